"""mem0: what `get_all()` or the platform's export gives (.json, .jsonl), and the library's history.db.

A memory is an episode. Its ids choose the scope as `Memory.add(user_id=...)` does; run_id is the session, actor_id the
actor. occurred_at is created_at and recorded_at is updated_at, since its present words are known since then; where they
differ, both stay in the metadata as they came. So does every other field, but for the hash of the text and the score of
a search; mem0's own metadata goes before them.

history.db knows no ids of users. Each ADD and UPDATE there is an episode, the later superseding the earlier; memories
that were deleted stay deleted. Ids: the memory's, for its later versions with the event's, so that whoever kept the id of
a memory finds it, and its history, under that.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mnemic.errors import InvalidScope
from mnemic.formats.json_entries import Entry, entries
from mnemic.formats.limits import LIMITS, Limits
from mnemic.formats.message import (
    Message,
    Problem,
    content_digest,
    digest,
    excerpt,
    filled,
    make_id,
    passed_over,
    text_of,
    times_of,
    whole,
)
from mnemic.formats.owner import owner_of
from mnemic.formats.source import Sample
from mnemic.formats.sqlite_source import MAGIC, Row, count, is_sqlite, rows

_LISTS = ("results", "memories", "relations")
_PLACED = ("id", "memory", "data", "metadata", "user_id", "agent_id", "run_id", "app_id", "actor_id", "role")
_PAGE = {"count", "total", "next", "previous", "page", "page_size"}  # what stands around a list of memories
_TIMES = ("created_at", "updated_at")
_MADE_AGAIN = ("hash", "score", "score_details", "event")
_MEMORY = re.compile(r'"memory"\s*:\s*"')
_BESIDE = re.compile(r'"(?:user_id|agent_id|run_id|hash|created_at|updated_at)"\s*:')
_OWN_ID = re.compile(r"[A-Za-z0-9_.@-]{1,64}")  # UUIDs, as a rule; without a ":" it is never one of ours
_HISTORY_COLUMNS = ("id", "memory_id", "new_memory", "event")


def is_mem0(sample: Sample) -> bool:
    """Whether it looks like this format."""
    if sample.head.startswith(MAGIC):
        return "memory_id" in sample.head and "old_memory" in sample.head
    is_json = sample.head.lstrip()[:1] in ("{", "[")
    return is_json and bool(_MEMORY.search(sample.head) and _BESIDE.search(sample.head))


def read_mem0(path: Path, limits: Limits = LIMITS) -> Iterator[Message | Problem]:
    """The memories in the order of the file."""
    if is_sqlite(path):
        yield from _history(path, limits)
        return
    left_out: Counter[str] = Counter()
    for entry in entries(path, _LISTS, limits=limits):
        if isinstance(entry, Problem):
            yield entry
        elif entry.list_name == "relations":
            left_out["relations of the graph"] += 1
        elif entry.list_name or not (isinstance(entry.value, dict) and entry.value.keys() <= _PAGE):
            yield from _memory(entry)
    yield from passed_over(path.name, left_out)


def _memory(entry: Entry) -> Iterator[Message | Problem]:
    value = entry.value
    text = (text_of(value.get("memory")) or text_of(value.get("data"))) if isinstance(value, dict) else ""
    if not text.strip():
        yield Problem(entry.location, "It is no memory: it has no text in `memory`.", excerpt(value))
        return
    try:
        owner = owner_of(value)
    except InvalidScope as error:
        yield Problem(entry.location, str(error), excerpt(text))
        return
    times, problems = times_of(value, _TIMES, entry.location)
    yield from problems
    created_at, updated_at = times["created_at"], times["updated_at"]
    is_updated = bool(problems) or updated_at not in (None, created_at)
    yield whole(
        Message(
            text=text,
            id=_id(text_of(value.get("id"))) or make_id("mem0", digest(owner.scope or "", text)),
            location=entry.location,
            role=text_of(value.get("role")) or "user",
            actor=text_of(value.get("actor_id")) or None,
            session=owner.session,
            occurred_at=created_at or updated_at,
            recorded_at=updated_at or created_at,
            metadata={**_rest(value, is_updated), **owner.metadata},
            scope=owner.scope,
        )
    )


def _rest(value: Mapping[str, Any], is_updated: bool) -> dict[str, Any]:
    rest = filled(value, (*_PLACED, *_MADE_AGAIN, *(() if is_updated else _TIMES)))
    own = value.get("metadata")
    return rest | own if isinstance(own, dict) else rest | ({"metadata": own} if own else {})


def _history(path: Path, limits: Limits) -> Iterator[Message | Problem]:
    """The events of history.db, read twice: first for the memories that are deleted by its end."""
    deleted = set()
    for row in rows(path, "history", _HISTORY_COLUMNS, limits):
        if isinstance(row, Row) and (row.value["event"] == "DELETE" or row.value.get("is_deleted")):
            deleted.add(row.value["memory_id"])
    left_out: Counter[str] = Counter()
    latest: dict[str, str] = {}  # of each memory, the id of the episode that has its words so far
    for row in rows(path, "history", _HISTORY_COLUMNS, limits):
        if isinstance(row, Problem):
            yield row
        elif row.value["memory_id"] in deleted:
            left_out["events of deleted memories"] += 1
        elif row.value["event"] == "NONE":
            left_out["events that changed nothing"] += 1
        else:
            yield from _event(row, latest)
    if messages := count(path, "messages", limits):
        left_out["rows of the table 'messages'"] += messages
    yield from passed_over(path.name, left_out)


def _id(given: str) -> str:
    """A memory's id as mem0 has it, where it can be one here; "" for none."""
    return given if not given or _OWN_ID.fullmatch(given) else make_id("mem0", given)


def _event(row: Row, latest: dict[str, str]) -> Iterator[Message | Problem]:
    value = row.value
    text, memory_id = text_of(value["new_memory"]), text_of(value["memory_id"])
    if not text.strip() or not memory_id:
        yield Problem(row.location, "It is no event of a memory: it needs memory_id and new_memory.", excerpt(value))
        return
    times, problems = times_of(value, _TIMES, row.location)
    yield from problems
    known_at = times["updated_at"] or times["created_at"]
    supersedes = latest.get(memory_id)
    event_id = text_of(value["id"]) or content_digest([text, value.get("updated_at")])
    id = _id(memory_id) if supersedes is None else make_id("mem0", memory_id, event_id)
    kept = whole(
        Message(
            text=text,
            id=id,
            location=row.location,
            role=text_of(value.get("role")) or "user",
            actor=text_of(value.get("actor_id")) or None,
            occurred_at=known_at,
            recorded_at=known_at,
            metadata={"memory_id": memory_id, "event": text_of(value["event"])},
            supersedes=supersedes,
        )
    )
    if isinstance(kept, Message):
        latest[memory_id] = id
    yield kept
