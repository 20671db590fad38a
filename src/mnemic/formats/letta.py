"""Letta: agent files (.af), and lists of messages, passages or blocks as its interface gives them (.json, .jsonl).

An agent is the scope "agent:NAME". Its messages are episodes, system prompts included, which are kept and never
recalled. A memory block is an episode with `kind: block` and its label in the metadata, in the scope of each agent that
has it; an archival passage is one with `kind: passage` and `archival: true`. Tools, files, groups and servers are
passed over and counted.

An agent file numbers its messages from 0, so there ids follow from what was said and when; elsewhere they are Letta's.
A block's id follows from its label and words: an edited block is another episode. Vectors are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mnemic.errors import InvalidScope
from mnemic.formats.json_entries import Entry, entries
from mnemic.formats.letta_message import said_in
from mnemic.formats.limits import LIMITS, Limits
from mnemic.formats.message import (
    Message,
    Problem,
    content_digest,
    dicts_of,
    digest,
    excerpt,
    filled,
    make_id,
    passed_over,
    text_of,
    times_of,
    whole,
)
from mnemic.formats.owner import segment
from mnemic.formats.source import Sample

_BLOCKS = ("blocks", "core_memory", "memory_blocks")
_PASSAGES = ("passages", "archival_passages", "archival_memory")
_OTHERS = ("tools", "groups", "files", "sources", "mcp_servers", "skills", "files_agents", "tool_rules")
_LISTS = ("agents", "messages", "items", *_BLOCKS, *_PASSAGES, *_OTHERS)
_MEMBERS = re.compile(r".*\.(af|json|jsonl|ndjson)")
_OF_AN_AGENT = ("agent_type", "llm_config", "block_ids", "in_context_message_ids", "in_context_message_indices")
_PAGE = {"created_at", "metadata", "count", "total", "next", "version"}
_TIMES = ("created_at", "date", "updated_at")
_SAID = {
    "id",
    "role",
    "content",
    "text",
    "summary",
    "reasoning",
    "tool_call",
    "tool_calls",
    "tool_return",
    "tool_returns",
}
_SAID |= {"type", "name", "signature", "agent_id", "date", "created_at", "conversation_id"}
_STORED = {"id", "text", "value", "embedding", "embedding_config", "agent_id", "metadata", "metadata_", "is_deleted"}
_OWN_ID = re.compile(r"[a-z]+-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_QUOTE = r'\\?"'  # with the backslash where a whole agent file is text within JSON
_FILE = re.compile(rf"{_QUOTE}(?:agent_type|core_memory|in_context_message_ids|block_ids){_QUOTE}\s*:")
_MESSAGE = re.compile(r'"message_type"\s*:\s*"\w+_message"')
_PASSAGE = re.compile(r'"(?:archive_id|embedding_config)"\s*:')
_BLOCK = (re.compile(r'"label"\s*:\s*"'), re.compile(r'"value"\s*:\s*"'), re.compile(r'"(?:limit|read_only)"\s*:'))


@dataclass(slots=True)
class _Agents:
    """Whose is what, from a first reading of the file."""

    scopes: dict[str, str] = field(default_factory=dict)  # of an agent's id or, without one, its name
    holders: dict[str, list[str]] = field(default_factory=dict)  # of a block's id, the scopes of those who have it
    refused: dict[str, str] = field(default_factory=dict)  # of a block's id, why one of them can have no scope
    said: Counter[str] = field(default_factory=Counter)  # how often the same was said at the same time


def is_letta(sample: Sample) -> bool:
    """Whether it looks like this format."""
    first = sample.head.lstrip()[:2]
    if sample.name.endswith(".af"):
        return True
    if first[:1] not in ("{", "[") and first != '"{':
        return False
    if _FILE.search(sample.head) or _MESSAGE.search(sample.head):
        return True
    is_passage = _PASSAGE.search(sample.head) and '"text"' in sample.head
    return bool(is_passage) or all(one.search(sample.head) for one in _BLOCK)


def read_letta(path: Path, limits: Limits = LIMITS) -> Iterator[Message | Problem]:
    """What the file holds, in its order."""
    agents = _Agents()
    for entry in entries(path, _LISTS, _MEMBERS, limits):
        if isinstance(entry, Entry) and isinstance(entry.value, dict) and _is_agent(entry.value):
            _note_agent(entry.value, agents)
    left_out: Counter[str] = Counter()
    for entry in entries(path, _LISTS, _MEMBERS, limits):
        if isinstance(entry, Problem):
            yield entry
        elif entry.list_name in _OTHERS:
            left_out[entry.list_name.replace("_", " ")] += 1
        else:
            try:
                yield from _entry(entry, agents, left_out)
            except InvalidScope as error:
                yield Problem(entry.location, str(error), excerpt(entry.value))
    yield from passed_over(path.name, left_out)


def _entry(entry: Entry, agents: _Agents, left_out: Counter[str]) -> Iterator[Message | Problem]:
    value = entry.value
    if not isinstance(value, dict):
        yield Problem(entry.location, "It is no message, passage or block.", excerpt(value))
    elif _is_agent(value):
        memory = value.get("memory")
        for index, block in enumerate(dicts_of(memory.get("blocks")) if isinstance(memory, dict) else []):
            yield from _block(Entry("blocks", f"{entry.location}.memory.blocks[{index}]", block, value), agents)
    elif entry.list_name in _BLOCKS or ("label" in value and isinstance(value.get("value"), str)):
        yield from _block(entry, agents)
    elif "message_type" in value or isinstance(value.get("role"), str):
        yield from _message(entry, agents, left_out)
    elif isinstance(value.get("text"), str):
        if value.get("is_deleted"):
            left_out["deleted passages"] += 1
        else:
            yield from _passage(entry, agents)
    elif entry.list_name or not value.keys() <= _PAGE:
        yield Problem(entry.location, "It is no message, passage or block.", excerpt(value))


def _is_agent(value: Mapping[str, Any]) -> bool:
    return any(key in value for key in _OF_AN_AGENT)


def _note_agent(value: Mapping[str, Any], agents: _Agents) -> None:
    id, name = text_of(value.get("id")), text_of(value.get("name"))
    blocks = [text_of(one) for one in value["block_ids"]] if isinstance(value.get("block_ids"), list) else []
    try:
        scope = segment("agent", name or id or "agent")
        if scope in agents.scopes.values():  # two agents of one name in one file stay apart
            scope = segment("agent", f"{name} {id}".strip())
    except InvalidScope as error:
        agents.refused |= dict.fromkeys(blocks, str(error))
        return
    agents.scopes.setdefault(id or name, scope)
    for block in blocks:
        agents.holders.setdefault(block, []).append(scope)


def _scope(entry: Entry, agents: _Agents) -> str | None:
    """Whose an entry is: the agent's that it stands in, or that it names."""
    if _is_agent(entry.around):
        id, name = text_of(entry.around.get("id")), text_of(entry.around.get("name"))
        return agents.scopes.get(id or name) or segment("agent", name or id or "agent")
    id = text_of(entry.value.get("agent_id"))
    return (agents.scopes.get(id) or segment("agent", id)) if id else None


def _message(entry: Entry, agents: _Agents, left_out: Counter[str]) -> Iterator[Message | Problem]:
    value = entry.value
    said = said_in(value)
    if said is None:
        yield Problem(entry.location, "It is no message: it has neither a role nor a message_type.", excerpt(value))
        return
    if said.left_out:
        left_out[said.left_out] += 1
        return
    times, problems = times_of(value, _TIMES, entry.location)
    yield from problems
    at, scope = times["created_at"] or times["date"], _scope(entry, agents)
    yield whole(
        Message(
            text=said.text,
            id=_message_id(value, [scope, said.role, said.text, said.parts, at and at.isoformat()], agents),
            location=entry.location,
            role=said.role,
            actor=text_of(value.get("name")) or None,
            session=text_of(value.get("conversation_id")) or (scope.partition(":")[2] if scope else None),
            occurred_at=at,
            recorded_at=at,
            metadata=filled(value, _SAID) | ({"kind": said.kind} if said.kind else {}),
            parts=tuple(said.parts),
            scope=scope,
        )
    )


def _message_id(value: Mapping[str, Any], content: list[Any], agents: _Agents) -> str:
    id, kind = text_of(value.get("id")), text_of(value.get("message_type"))
    if _OWN_ID.fullmatch(id):  # the interface gives one message as several types, all under its id
        return make_id("letta", id, *([kind] if kind else []))
    same = content_digest(content)
    agents.said[same] += 1
    return make_id("letta", same, *([str(agents.said[same])] if agents.said[same] > 1 else []))


def _passage(entry: Entry, agents: _Agents) -> Iterator[Message | Problem]:
    value = entry.value
    times, problems = times_of(value, _TIMES, entry.location)
    yield from problems
    id, scope, text = text_of(value.get("id")), _scope(entry, agents), value["text"]
    if not text.strip():
        yield Problem(entry.location, "The passage is empty.", excerpt(value))
        return
    yield whole(
        Message(
            text=text,
            id=make_id("letta", id)
            if _OWN_ID.fullmatch(id)
            else make_id("letta", digest("passage", scope or "", text)),
            location=entry.location,
            role="assistant",
            occurred_at=times["created_at"],
            recorded_at=times["updated_at"] or times["created_at"],
            metadata={**_stored(value), "kind": "passage", "archival": True},
            scope=scope,
        )
    )


def _block(entry: Entry, agents: _Agents) -> Iterator[Message | Problem]:
    value = entry.value
    label, text = text_of(value.get("label")), text_of(value.get("value"))
    if not label:
        yield Problem(entry.location, "It is no block: it has no label.", excerpt(value))
        return
    if not text.strip():
        return  # nothing is written in it
    times, problems = times_of(value, _TIMES, entry.location)
    yield from problems
    id = text_of(value.get("id"))
    if id in agents.refused:
        yield Problem(entry.location, agents.refused[id], excerpt(text))
    holders: Sequence[str | None] = agents.holders.get(id, ())
    for scope in holders or ([] if id in agents.refused else [_scope(entry, agents)]):
        yield whole(
            Message(
                text=text,
                id=make_id("letta", digest("block", scope or "", label, text)),
                location=entry.location,
                role="assistant",
                occurred_at=times["updated_at"] or times["created_at"],
                recorded_at=times["updated_at"] or times["created_at"],
                metadata={**_stored(value), "kind": "block", "label": label},
                scope=scope,
            )
        )


def _stored(value: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a block or passage, with its own metadata's laid over them."""
    rest = filled(value, _STORED)
    for key in ("metadata", "metadata_"):
        if isinstance(value.get(key), dict):
            rest |= value[key]
    return rest
