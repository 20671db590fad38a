"""ChatGPT's export: conversations.json, conversations-NNN.json, or the .zip or folder that holds them.

A conversation is a tree, because messages are edited and answers regenerated. We follow the branch that was on the
screen last, from `current_node` up to the root; `side_branches` adds the others, marked in their metadata. Messages
that ChatGPT hides, such as its own system prompt and the custom instructions, are left out, and so are empty ones.

Ids: conversation and message. Times: the message's, else those of the message before it, else the conversation's.
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

_MEMBERS = re.compile(r"(.*/)?conversations(-\d+)?\.json")
_TEXT_FIELDS = ("text", "result", "content", "model_set_context")
_READ_FIELDS = {*_TEXT_FIELDS, "content_type", "parts", "thoughts"}
_NOTHING: tuple[object, ...] = (None, "", [], {}, "unknown")
_MAPPING = re.compile(r'"mapping"\s*:\s*\{')


def is_chatgpt(sample: Sample) -> bool:
    """Whether it looks like this format."""
    return bool(_MAPPING.search(sample.head))


def read_chatgpt(path: Path, limits: Limits = LIMITS, *, side_branches: bool = False) -> Iterator[Message | Problem]:
    """The messages of each conversation in order, the current branch alone unless `side_branches`."""
    for element in elements(path, _MEMBERS, limits):
        if isinstance(element, Problem):
            yield element
        else:
            yield from _conversation(element, side_branches)


def _conversation(element: Element, side_branches: bool) -> Iterator[Message | Problem]:
    value = element.value
    mapping = value.get("mapping") if isinstance(value, dict) else None
    if not isinstance(mapping, dict):
        yield Problem(element.location, "It is no conversation: it has no mapping of nodes.", excerpt(value))
        return
    session = text_of(value.get("conversation_id")) or text_of(value.get("id"))
    if not session:
        session = content_digest([value.get("title"), value.get("create_time"), sorted(mapping)])
    branch = current_branch(mapping, value.get("current_node"))
    if not branch and mapping:
        yield Problem(element.location, "No branch leads from a last message to the root.", excerpt(value.get("title")))
    last_at = None
    try:
        last_at = moment(value.get("create_time"))
    except InvalidTime as error:
        yield Problem(f"{element.location}.create_time", str(error))
    title = text_of(value.get("title"))
    shared = {"title": title} if title else {}
    aside = set(mapping) - set(branch) if side_branches else set()
    for node_id in (*branch, *sorted(aside)):
        location = f"{element.location}.mapping.{excerpt(node_id)}"
        metadata = shared if node_id not in aside else shared | {"branch": "side"}
        for found in _message(mapping[node_id], node_id, session, metadata, location, last_at):
            if isinstance(found, Message):
                last_at = found.occurred_at
            yield found


def current_branch(mapping: Mapping[str, Any], current_node: object) -> tuple[str, ...]:
    """Node ids from the root to `current_node`; without a usable one, to the last leaf. Cycles are cut."""
    if not (isinstance(current_node, str) and current_node in mapping):
        leaves = [key for key, node in mapping.items() if isinstance(node, dict) and not node.get("children")]
        current_node = leaves[-1] if leaves else None
    branch: dict[str, None] = {}
    while isinstance(current_node, str) and current_node in mapping and current_node not in branch:
        branch[current_node] = None
        node = mapping[current_node]
        current_node = node.get("parent") if isinstance(node, dict) else None
    return tuple(reversed(branch))


def _message(
    node: Any, node_id: str, session: str, shared: dict[str, str], location: str, last_at: datetime | None
) -> Iterator[Message | Problem]:
    if isinstance(node, dict) and node.get("message") is None:
        return  # the root, which holds nothing
    value = node.get("message") if isinstance(node, dict) else None
    content, author = (value.get("content"), value.get("author")) if isinstance(value, dict) else (None, None)
    if not isinstance(value, dict) or not isinstance(content, dict) or not isinstance(author, dict):
        yield Problem(location, "It is no message: its author or content is missing.", excerpt(node))
        return
    about = value.get("metadata")
    about = about if isinstance(about, dict) else {}
    text, parts = text_and_parts(content)
    if about.get("is_visually_hidden_from_conversation") or not (text or parts):
        return
    parts += [{"type": "attachment", **one} for one in dicts_of(about.get("attachments"))]
    occurred_at = last_at
    try:
        occurred_at = moment(value.get("create_time")) or last_at
    except InvalidTime as error:
        yield Problem(f"{location}.create_time", str(error))
    metadata = dict(shared)
    if isinstance(about.get("model_slug"), str):
        metadata["model"] = about["model_slug"]
    if content.get("content_type") not in ("text", "multimodal_text"):
        metadata["content_type"] = text_of(content.get("content_type"))
    yield whole(
        Message(
            text=text,
            id=make_id("chatgpt", session, text_of(value.get("id")) or node_id),
            location=location,
            role=text_of(author.get("role")) or "user",
            actor=text_of(author.get("name")) or None,
            session=session,
            occurred_at=occurred_at,
            metadata=metadata,
            parts=tuple(parts),
        )
    )


def text_and_parts(content: Mapping[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """The text of a message's content and what is not text, as it came.

    Code, tool results and quotations have a `text` or `result`; thoughts are a list of summaries with content. What
    else there is, such as a quotation's address, becomes one more part.
    """
    texts: list[str] = []
    parts: list[dict[str, Any]] = []
    listed = content.get("parts")
    for one in listed if isinstance(listed, list) else []:
        if isinstance(one, str):
            texts.append(one)
        elif isinstance(one, dict):
            texts.append(text_of(one.get("text")))  # the transcription of a voice message
            parts.append(one)
    for key in _TEXT_FIELDS:
        texts.append(text_of(content.get(key)))
    for thought in dicts_of(content.get("thoughts")):
        texts.append("\n".join(filter(None, (text_of(thought.get("summary")), text_of(thought.get("content"))))))
    rest = {key: one for key, one in content.items() if key not in _READ_FIELDS and one not in _NOTHING}
    if rest:
        parts.append({"type": text_of(content.get("content_type")), **rest})
    return "\n\n".join(one for one in texts if one.strip()).strip(), parts
