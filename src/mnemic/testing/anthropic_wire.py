"""Anthropic's messages as they go over the wire: requests read, answers written.

A tool's input is an object on this wire, so an answer to a forced tool that is no JSON object comes as a text block, as
from a model that did not call the tool.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mnemic.models.llm import Completion
from mnemic.models.prompt import Message
from mnemic.testing.asked import Asked, asked
from mnemic.testing.wire import BadRequest, Event, pieces, text_of


def read(body: Mapping[str, Any], headers: Mapping[str, str]) -> Asked:
    """The request. Raises BadRequest where it is none."""
    if "anthropic-version" not in headers:
        raise BadRequest("anthropic-version: header is required")
    if not isinstance(body.get("model"), str):
        raise BadRequest("model: Field required")
    if not isinstance(body.get("max_tokens"), int) or body["max_tokens"] < 1:
        raise BadRequest("max_tokens: Field required, an integer of 1 or more")
    listed = body.get("messages")
    if not isinstance(listed, list) or not listed or not all(isinstance(one, dict) for one in listed):
        raise BadRequest("messages: at least one message is required")
    if any(one.get("role") not in ("user", "assistant") for one in listed):
        raise BadRequest(
            "messages: the role of each is 'user' or 'assistant'; use 'system' of the request for the system"
        )
    messages = [Message(role=one["role"], content=text_of(one.get("content"))) for one in listed]
    if system := text_of(body.get("system")):
        messages.insert(0, Message(role="system", content=system))
    tool = _forced(body)
    config = body.get("output_config")
    form = config.get("format") if isinstance(config, dict) else body.get("output_format")
    return asked(
        messages,
        schema=tool.get("input_schema") if tool else form.get("schema") if isinstance(form, dict) else None,
        protocol="anthropic",
        model=body["model"],
        max_tokens=body["max_tokens"],
        tool=str(tool.get("name")) if tool else None,
        is_streamed=bool(body.get("stream")),
        headers=headers,
        body=body,
    )


def whole(asked: Asked, said: Completion) -> dict[str, Any]:
    """The answer in one piece."""
    block = _block(asked, said.text)
    usage = {"input_tokens": said.tokens_in, "output_tokens": said.tokens_out}
    return _frame(asked) | {
        "content": [block],
        "stop_reason": _stop(block, said),
        "stop_sequence": None,
        "usage": usage,
    }


def stream(asked: Asked, said: Completion) -> Iterator[Event]:
    """The answer as events."""
    block = _block(asked, said.text)
    empty: dict[str, Any] = {"text": ""} if block["type"] == "text" else {"input": {}}
    yield _event(
        "message_start",
        message=_frame(asked)
        | {
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": said.tokens_in, "output_tokens": 0},
        },
    )
    yield _event("content_block_start", index=0, content_block=block | empty)
    for piece in pieces(said.text):
        is_text = block["type"] == "text"
        delta = (
            {"type": "text_delta", "text": piece} if is_text else {"type": "input_json_delta", "partial_json": piece}
        )
        yield _event("content_block_delta", index=0, delta=delta)
    yield _event("content_block_stop", index=0)
    stopped = {"stop_reason": _stop(block, said), "stop_sequence": None}
    yield _event("message_delta", delta=stopped, usage={"output_tokens": said.tokens_out})
    yield _event("message_stop")


def error(kind: str, message: str) -> dict[str, Any]:
    """An error."""
    return {"type": "error", "error": {"type": kind, "message": message}}


def _forced(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The tool that has to be used, if one has to be."""
    listed = body.get("tools")
    known = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    choice = body.get("tool_choice")
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind == "any":
        return known[0] if known else None
    if kind != "tool" or not isinstance(choice, dict):
        return None
    found = next((one for one in known if one.get("name") == choice.get("name")), None)
    if found is None:
        raise BadRequest(f"tool_choice: there is no tool {choice.get('name')!r} in tools")
    return found


def _block(asked: Asked, text: str) -> dict[str, Any]:
    if asked.tool is not None:
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if isinstance(value, dict):
            return {"type": "tool_use", "id": f"toolu_{asked.number}", "name": asked.tool, "input": value}
    return {"type": "text", "text": text}


def _stop(block: Mapping[str, Any], said: Completion) -> str:
    return "max_tokens" if said.is_cut else "tool_use" if block["type"] == "tool_use" else "end_turn"


def _frame(asked: Asked) -> dict[str, Any]:
    return {"id": f"msg_{asked.number}", "type": "message", "role": "assistant", "model": asked.model}


def _event(kind: str, **values: Any) -> Event:
    return Event({"type": kind, **values}, kind)
