"""Claude's export: conversations.json, or the .zip or folder that holds it.

Text is taken from the typed `content` blocks, because the flat `text` holds placeholders where blocks were; tool
calls, results and thoughts are kept as parts. An attachment's extracted text stays in its part.

Ids: conversation and message. Times: the message's own, else the conversation's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from mnemic.errors import InvalidTime
from mnemic.formats.json_stream import Element, elements
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
from mnemic.formats.source import Sample

_MEMBERS = re.compile(r"(.*/)?conversations\.json")
_MESSAGES = re.compile(r'"chat_messages"\s*:')
_ROLES = {"human": "user", "assistant": "assistant"}


def is_claude(sample: Sample) -> bool:
    """Whether it looks like this format."""
    return bool(_MESSAGES.search(sample.head))


def read_claude(path: Path, limits: Limits = LIMITS) -> Iterator[Message | Problem]:
    """The messages of each conversation in order."""
    for element in elements(path, _MEMBERS, limits):
        if isinstance(element, Problem):
            yield element
        else:
            yield from _conversation(element)


def _conversation(element: Element) -> Iterator[Message | Problem]:
    value = element.value
    messages = value.get("chat_messages") if isinstance(value, dict) else None
    if not isinstance(messages, list):
        yield Problem(element.location, "It is no conversation: it has no list of chat_messages.", excerpt(value))
        return
    title, session = text_of(value.get("name")), text_of(value.get("uuid"))
    session = session or content_digest([title, value.get("created_at")])
    started_at = None
    try:
        started_at = moment(value.get("created_at"))
    except InvalidTime as error:
        yield Problem(f"{element.location}.created_at", str(error))
    for position, one in enumerate(messages):
        location = f"{element.location}.chat_messages[{position}]"
        if not isinstance(one, dict) or text_of(one.get("sender")) not in _ROLES:
            yield Problem(location, "It is no message: its sender is neither human nor assistant.", excerpt(one))
        else:
            yield from _message(one, position, session, title, location, started_at)


def _message(
    value: Mapping[str, Any], position: int, session: str, title: str, location: str, started_at: datetime | None
) -> Iterator[Message | Problem]:
    occurred_at = started_at
    try:
        occurred_at = moment(value.get("created_at")) or started_at
    except InvalidTime as error:
        yield Problem(f"{location}.created_at", str(error))
    blocks = list(dicts_of(value.get("content")))
    texts = [text_of(block.get("text")) for block in blocks if block.get("type") == "text"]
    text = "\n\n".join(one for one in texts if one.strip()) or ("" if blocks else text_of(value.get("text")))
    parts = [block for block in blocks if block.get("type") != "text"]
    parts += [{"type": "attachment", **one} for one in dicts_of(value.get("attachments"))]
    parts += [{"type": "file", **one} for one in dicts_of(value.get("files"))]
    if not text.strip() and not parts:
        return  # an answer that was stopped before its first word
    own_id = text_of(value.get("uuid")) or f"{position}-{content_digest(dict(value))}"
    yield whole(
        Message(
            text=text.strip(),
            id=make_id("claude", session, own_id),
            location=location,
            role=_ROLES[value["sender"]],
            session=session,
            occurred_at=occurred_at,
            metadata={"title": title} if title else {},
            parts=tuple(parts),
        )
    )
