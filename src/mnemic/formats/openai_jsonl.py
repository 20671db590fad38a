"""Messages as OpenAI's interfaces write them, in lines of JSON (.jsonl) or one array (.json).

A line is one message, a conversation `{"messages": [...]}` as for fine-tuning, or a list of messages or of such lists. Content
may be text, typed parts or null; tool calls become parts. Whatever else a message carries is kept in its metadata.

Ids: the message's, else the file's name, the line and a digest of the content. Times: `timestamp`, `created_at`,
`create_time`, `occurred_at`, `time` or `date`, in ISO 8601, Unix seconds or milliseconds.
Sessions: `session`, `session_id`, `conversation_id` or `thread_id`; else one a conversation, or one a file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mnemic.errors import InvalidTime
from mnemic.formats.json_stream import elements
from mnemic.formats.limits import LIMITS, Limits
from mnemic.formats.message import (
    Message,
    Problem,
    content_digest,
    dicts_of,
    excerpt,
    make_id,
    moment,
    text_of,
    whole,
)
from mnemic.formats.source import Line, Sample, lines, sample

_TIMES = ("timestamp", "created_at", "create_time", "occurred_at", "time", "date")
_SESSIONS = ("session", "session_id", "conversation_id", "thread_id")
_IDS = ("id", "message_id")
_TEXT_PARTS = ("text", "input_text", "output_text")
_KNOWN = {*_TIMES, *_SESSIONS, *_IDS, "role", "content", "name", "metadata", "tool_calls", "function_call"}
_ROLES = {"human": "user", "ai": "assistant", "bot": "assistant", "function": "tool", "developer": "system"}
_TELLING = re.compile(r'"(?:role|messages)"\s*:')
_DEEPEST = 4  # lists within lists
_MEMBERS = re.compile(r".*\.(jsonl|ndjson)")


def is_openai(sample: Sample) -> bool:
    """Whether it looks like this format."""
    return sample.head.lstrip()[:1] in ("{", "[") and bool(_TELLING.search(sample.head))


def read_openai(path: Path, limits: Limits = LIMITS) -> Iterator[Message | Problem]:
    """The messages in order: of each line, or of each element of the array in a file named .json or written over lines."""
    if path.suffix == ".json" or _is_array(path, limits):
        for element in elements(path, limits=limits):
            if isinstance(element, Problem):
                yield element
            else:
                yield from _entry(element.value, element.location, _place(element.source, element.index))
        return
    for line in lines(path, _MEMBERS, limits):
        if isinstance(line, Problem):
            yield line
        elif line.text.strip():
            yield from _line(line)


def _is_array(path: Path, limits: Limits) -> bool:
    """Whether one array goes over several lines, whatever the file is called."""
    first, end, _ = sample(path, limits).head.lstrip().partition("\n")
    if not first.startswith("[") or not end:
        return False
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return True
    return False


def _line(line: Line) -> Iterator[Message | Problem]:
    try:
        value = json.loads(line.text)
    except RecursionError:
        yield Problem(line.location, "It is nested too deep.", excerpt(line.text))
    except ValueError as error:
        yield Problem(line.location, f"It is no JSON: {error}.", excerpt(line.text))
    else:
        yield from _entry(value, line.location, _place(line.source, line.number))


def _entry(value: Any, location: str, place: tuple[str, ...]) -> Iterator[Message | Problem]:
    if isinstance(value, dict) and "messages" not in value:
        yield from _message(value, place[0], location, place)
        return
    messages = value.get("messages") if isinstance(value, dict) else value
    if not isinstance(messages, list) or len(place) > _DEEPEST:
        yield Problem(location, "It is neither a message nor a conversation.", excerpt(value))
        return
    session = ":".join(place)
    if isinstance(value, dict):
        session = _first(value, (*_SESSIONS, *_IDS)) or session
    for position, one in enumerate(messages):
        inner, here = f"{location}[{position}]", (*place, str(position))
        if isinstance(one, list):
            yield from _entry(one, inner, here)
        elif isinstance(one, dict):
            yield from _message(one, session, inner, here)
        else:
            yield Problem(inner, "It is no message.", excerpt(one))


def _place(source: str, number: int) -> tuple[str, ...]:
    return source.rsplit("/", 1)[-1], str(number)


def _message(
    value: Mapping[str, Any], session: str, location: str, place: tuple[str, ...]
) -> Iterator[Message | Problem]:
    role, content = value.get("role"), value.get("content")
    if not isinstance(role, str) or not role or not isinstance(content, str | list | None):
        yield Problem(
            location, "It is no message: it needs a role, and content that is text or a list.", excerpt(value)
        )
        return
    session = _first(value, _SESSIONS) or session
    own_id = _first(value, _IDS)
    texts, parts = [content] if isinstance(content, str) else [], []
    for one in content if isinstance(content, list) else []:
        if isinstance(one, str):
            texts.append(one)
        elif isinstance(one, dict) and one.get("type") in _TEXT_PARTS and isinstance(one.get("text"), str):
            texts.append(one["text"])
        else:
            parts.append(one if isinstance(one, dict) else {"value": one})
    parts += dicts_of(value.get("tool_calls"))
    if isinstance(value.get("function_call"), dict):
        parts.append({"type": "function_call", **value["function_call"]})
    if not parts and not any(one.strip() for one in texts):
        return  # nothing was said
    occurred_at = None
    try:
        occurred_at = next((at for key in _TIMES if (at := moment(value.get(key)))), None)
    except InvalidTime as error:
        yield Problem(location, f"{error} The message is kept without it.", excerpt(value))
    metadata = {key: one for key, one in value.items() if key not in _KNOWN and one is not None}
    if isinstance(value.get("metadata"), dict):
        metadata |= value["metadata"]
    yield whole(
        Message(
            text="\n\n".join(one for one in texts if one.strip()),
            id=make_id("openai", session, own_id)
            if own_id
            else make_id("openai", *place, content_digest([role, content, parts])),
            location=location,
            role=_ROLES.get(role, role),
            actor=text_of(value.get("name")) or None,
            session=session,
            occurred_at=occurred_at,
            metadata=metadata,
            parts=tuple(parts),
        )
    )


def _first(value: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    return next((found for key in keys if (found := text_of(value.get(key)))), "")
