"""One message of Letta: as an agent file has it, and as the interface's message types have it.

MemGPT packed what happened into JSON text: what a user said is unpacked, its heartbeats and logins are nobody's words.
Where an assistant speaks through the tool `send_message`, the tool's text is what it said, and the content beside it
are its thoughts, which are kept as a part.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mnemic.formats.message import dicts_of, text_of

_SILENT = {  # what is passed over, by the type that says so
    "heartbeat": "heartbeats and logins",
    "login": "heartbeats and logins",
    "hidden_reasoning_message": "hidden thoughts",
    "approval_response_message": "approvals",
    "event_message": "events of the server",
}
_ROLES = {"system_message": "system", "user_message": "user", "tool_return_message": "tool"}
_NOTHING = ("", "None", "null")


@dataclass(slots=True)
class Said:
    """What a message says."""

    role: str
    text: str = ""
    parts: list[dict[str, Any]] = field(default_factory=list)
    kind: str = ""
    left_out: str = ""  # what it is, where it is passed over


def said_in(value: Mapping[str, Any]) -> Said | None:
    """What a message says; None for what is no message."""
    message_type = text_of(value.get("message_type"))
    role = text_of(value.get("role")) or _ROLES.get(message_type, "assistant" if message_type else "")
    if not role:
        return None
    if message_type in _SILENT:
        return Said(role, left_out=_SILENT[message_type])
    said = Said({"approval": "tool", "function": "tool"}.get(role, role))
    _read_content(value, said)
    _read_calls(value, said)
    if said.role == "user":
        _unpack_event(said)
    elif said.role == "tool":
        _unpack_result(value, said)
    if not said.text.strip() and not said.parts and not said.left_out:
        said.left_out = "messages without content"
    return said


def _read_content(value: Mapping[str, Any], said: Said) -> None:
    content = value.get("content")
    texts = [content] if isinstance(content, str) else []
    for one in content if isinstance(content, list) else []:
        if isinstance(one, str):
            texts.append(one)
        elif isinstance(one, dict) and one.get("type", "text") == "text" and isinstance(one.get("text"), str):
            texts.append(one["text"])
        elif isinstance(one, dict):
            said.parts.append(one)
    if isinstance(value.get("summary"), str):
        texts.append(value["summary"])
        said.kind = "summary"
    texts += [text_of(value.get(key)) for key in ("text", "tool_return")]
    if isinstance(value.get("reasoning"), str):
        said.parts.append({"type": "reasoning", "text": value["reasoning"]})
    said.text = "\n\n".join(one for one in texts if one.strip())


def _read_calls(value: Mapping[str, Any], said: Said) -> None:
    calls = [*dicts_of(value.get("tool_calls"))]
    if isinstance(value.get("tool_call"), dict) and not calls:
        calls.append(value["tool_call"])
    spoken = []
    for call in calls:
        function = call["function"] if isinstance(call.get("function"), dict) else call
        if function.get("name") == "send_message" and (words := _json(function.get("arguments")).get("message")):
            spoken.append(text_of(words))
        else:
            said.parts.append({"type": "tool_call", **call})
    if spoken:
        if said.text:
            said.parts.append({"type": "reasoning", "text": said.text})
        said.text = "\n\n".join(spoken)
    said.parts += [{"type": "tool_return", **one} for one in dicts_of(value.get("tool_returns"))]


def _unpack_event(said: Said) -> None:
    packed = _json(said.text)
    kind = text_of(packed.get("type"))
    if kind in _SILENT:
        said.left_out = _SILENT[kind]
    elif kind and isinstance(packed.get("message"), str):
        said.text = packed["message"]
        if kind != "user_message":
            said.role, said.kind = "system", kind


def _unpack_result(value: Mapping[str, Any], said: Said) -> None:
    packed = _json(said.text)
    if "status" in packed and "message" in packed:
        said.text = text_of(packed["message"])
    if said.text.strip() in _NOTHING or text_of(value.get("name")) == "send_message":
        said.text = ""


def _json(text: object) -> dict[str, Any]:
    """The object that `text` is in JSON; an empty one where it is none."""
    if isinstance(text, dict):
        return text
    if not isinstance(text, str) or not text.lstrip().startswith("{"):
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
