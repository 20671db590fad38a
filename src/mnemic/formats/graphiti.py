"""Graphiti and Zep: episodes and facts of a graph, sessions or threads with their messages, users.

Read are lists and pages as the clients give them (.json, .jsonl), and the lines that Neo4j's apoc.export.json writes.
An episode or message is an episode. A fact is one as well: occurred_at is valid_at, recorded_at is created_at, and its
whole validity (valid_at, invalid_at, expired_at) stays in the metadata with its name, nodes and episodes. A user with a
name or mail address is one. Nodes are passed over and counted, since facts say what they sum up; vectors are left out.

A user_id is the scope "user:alice", a group_id or graph_id the scope of that name; a session or thread is the session.
Ids: the uuid, so that the episodes a fact names are found under those ids.
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
from mnemic.formats.message import Message, Problem, excerpt, filled, own_id, passed_over, text_of, times_of, whole
from mnemic.formats.owner import segment
from mnemic.formats.source import Sample

_FACTS = ("edges", "entity_edges", "facts", "relevant_facts")
_EPISODES = ("episodes", "episodic_nodes")
_NODES = ("nodes", "entity_nodes", "communities", "community_nodes", "sagas")
_TALKS = ("sessions", "threads")
_LISTS = (*_FACTS, *_EPISODES, *_NODES, *_TALKS, "messages", "users", "items", "results")
_SESSIONS = ("session_id", "thread_id", "thread_uuid")
_NODE_LABELS = {"Entity", "Community", "Saga"}
_LINK_LABELS = {"MENTIONS", "HAS_MEMBER", "HAS_EPISODE", "NEXT_EPISODE"}
_GROUPS = ("group_id", "graph_id")
_DEFAULT_GROUPS = ("", "_", "\\_")  # what Graphiti writes where none was given
_TIMES = ("valid_at", "invalid_at", "expired_at", "created_at", "reference_time")
_VECTORS = ("fact_embedding", "name_embedding", "embedding")
_OF_A_SEARCH = ("score", "relevance", "processed")
_PLACED = ("uuid", "fact", "content", "role", "role_type", "role_name", "user_id", *_SESSIONS, *_GROUPS)
_KNOWN_AROUND = {
    "row_count",
    "total_count",
    "response_count",
    "total_size",
    "next_cursor",
    "context",
    *_SESSIONS,
    *_GROUPS,
}
_FACT = re.compile(r'"fact"\s*:\s*"')
_GRAPH_FIELD = re.compile(r'"(?:valid_at|source_node_uuid|created_at|uuid)"\s*:')
_EPISODE = re.compile(r'"(?:source_description|episode_metadata|entity_edges)"\s*:')
_TALK = re.compile(r'"(?:role_type|thread_uuid)"\s*:|"(?:sessions|threads)"\s*:\s*\[\s*\{')
_PROCESSED = re.compile(r'"processed"\s*:\s*(?:true|false)')


def is_graphiti(sample: Sample) -> bool:
    """Whether it looks like a graph's facts or episodes."""
    if sample.head.lstrip()[:1] not in ("{", "["):
        return False
    is_fact = _FACT.search(sample.head) and _GRAPH_FIELD.search(sample.head)
    return bool(is_fact or ('"content"' in sample.head and _EPISODE.search(sample.head)))


def is_zep(sample: Sample) -> bool:
    """Whether it looks like Zep's sessions, threads or messages."""
    if sample.head.lstrip()[:1] not in ("{", "[") or '"content"' not in sample.head:
        return False
    return bool(_TALK.search(sample.head) or ('"uuid"' in sample.head and _PROCESSED.search(sample.head)))


def read_graphiti(path: Path, limits: Limits = LIMITS) -> Iterator[Message | Problem]:
    """What the file holds, in its order."""
    left_out: Counter[str] = Counter()
    for entry in entries(path, _LISTS, limits=limits):
        if isinstance(entry, Problem):
            yield entry
            continue
        row = _row(entry.value)
        what = _kind(entry, row)
        if what == "fact":
            yield from _fact(entry, row)
        elif what == "said":
            yield from _said(entry, row)
        elif what == "user":
            yield from _user(entry, row, left_out)
        elif what == "around":
            for index, text in enumerate(_plain_facts(row)):
                yield from _fact(
                    Entry("facts", f"{entry.location}.facts[{index}]", None, {**entry.around, **row}), {"fact": text}
                )
        elif what:
            left_out[what] += 1
        else:
            yield Problem(entry.location, "It is no episode, message, fact or user.", excerpt(entry.value))
    yield from passed_over(path.name, left_out)


def _row(value: Any) -> dict[str, Any]:
    """The fields of an entry, also where a database's export puts them below `properties`."""
    if isinstance(value, str):
        return {"fact": value}
    if not isinstance(value, dict):
        return {}
    if value.get("type") in ("node", "relationship") and isinstance(value.get("properties"), dict):
        label = value.get("label")
        return {**value["properties"], "labels": value.get("labels") or ([label] if label else [])}
    return value


def _kind(entry: Entry, row: Mapping[str, Any]) -> str:
    """ "fact", "said", "user", "around" for what only stands around lists, a name for what is passed over; or ""."""
    if isinstance(entry.value, str) and entry.list_name not in _FACTS:
        return ""
    if text_of(row.get("fact")).strip():
        return "fact"
    if isinstance(row.get("content"), str):
        return "said"
    if entry.list_name == "users" or (
        text_of(row.get("user_id")) and row.keys() & {"email", "first_name", "last_name"}
    ):
        return "user"
    labels = {text_of(label) for label in row["labels"]} if isinstance(row.get("labels"), list) else set()
    if entry.list_name in _NODES or labels & _NODE_LABELS or (labels and "summary" in row):
        return "nodes"
    if labels & _LINK_LABELS:
        return "links between nodes and episodes"
    if (
        entry.list_name in _TALKS
        or (row.keys() & {"session_id", "thread_id"})
        or (isinstance(entry.value, dict) and row.keys() <= _KNOWN_AROUND)
    ):
        return "around"
    return ""


def _plain_facts(row: Mapping[str, Any]) -> list[str]:
    """The facts of an old session, which are texts without times."""
    listed = row.get("facts")
    return [one for one in listed if isinstance(one, str) and one.strip()] if isinstance(listed, list) else []


def _fact(entry: Entry, row: Mapping[str, Any]) -> Iterator[Message | Problem]:
    times, problems = times_of(row, _TIMES, entry.location)
    yield from problems
    yield _kept(
        entry,
        row,
        text=row["fact"],
        role="assistant",  # a model has drawn it from what was said
        occurred_at=times["valid_at"] or times["reference_time"] or times["created_at"],
        recorded_at=times["created_at"],
        metadata={**_rest(row, ()), "kind": "fact"},
    )


def _said(entry: Entry, row: Mapping[str, Any]) -> Iterator[Message | Problem]:
    if not row["content"].strip():
        return  # nothing was said
    times, problems = times_of(row, _TIMES, entry.location)
    yield from problems
    role, actor = text_of(row.get("role_type")), text_of(row.get("role_name")) or None
    is_message = entry.list_name == "messages" or bool(role) or "role" in row
    if role:  # then `role` is the name that was shown
        actor = actor or text_of(row.get("role")) or None
    else:
        role = text_of(row.get("role"))
    if is_message:
        actor = actor or text_of(row.get("name")) or None
    yield _kept(
        entry,
        row,
        text=row["content"],
        role=role if role and role != "norole" else "user",
        actor=actor,
        occurred_at=times["valid_at"] or times["reference_time"] or times["created_at"],
        recorded_at=times["created_at"],
        metadata=_rest(row, ("name",) if is_message else ()),
    )


def _user(entry: Entry, row: Mapping[str, Any], left_out: Counter[str]) -> Iterator[Message | Problem]:
    name = " ".join(filter(None, (text_of(row.get("first_name")), text_of(row.get("last_name")))))
    mail = text_of(row.get("email"))
    if not (name or mail) or not (text_of(row.get("user_id")) or text_of(row.get("uuid"))):
        left_out["users without a name"] += 1
        return
    times, problems = times_of(row, ("created_at",), entry.location)
    yield from problems
    row = {**row, "user_id": text_of(row.get("user_id")) or row["uuid"]}
    yield _kept(
        entry,
        row,
        text=f"{name} <{mail}>" if name and mail else name or mail,
        role="assistant",  # a record of the application, nothing that the user said
        occurred_at=times["created_at"],
        recorded_at=times["created_at"],
        metadata={**_rest(row, ()), "kind": "user"},
    )


def _kept(entry: Entry, row: Mapping[str, Any], **fields: Any) -> Message | Problem:
    around = {**entry.around, **row}
    try:
        scope = _scope(row) or _scope(around)
    except InvalidScope as error:
        return Problem(entry.location, str(error), excerpt(fields["text"]))
    session = next((one for key in _SESSIONS if (one := text_of(around.get(key)))), None)
    kind = fields["metadata"].get("kind", "")
    return whole(
        Message(
            id=own_id(
                "graphiti",
                row.get("uuid"),
                kind,
                scope or "",
                session or "",
                fields["text"],
                text_of(row.get("created_at")),
            ),
            location=entry.location,
            session=session,
            scope=scope,
            **fields,
        )
    )


def _scope(row: Mapping[str, Any]) -> str | None:
    if user := text_of(row.get("user_id")):
        return segment("user", user)
    for key in _GROUPS:
        if (group := text_of(row.get(key))) not in _DEFAULT_GROUPS:
            if "/" in group:
                raise InvalidScope(
                    f"The {key} {excerpt(group)!r} has a '/', which divides scopes. Rename it in the file."
                )
            return group
    if user := text_of(row.get("user_uuid")):
        return segment("user", user)
    return text_of(row.get("graph_uuid")) or None


def _rest(row: Mapping[str, Any], placed: tuple[str, ...]) -> dict[str, Any]:
    """What has no place of its own: every other field, with the metadata's own fields laid over them."""
    leave = {*_PLACED, *_VECTORS, *_OF_A_SEARCH, *placed, "metadata", "episode_metadata"}
    rest = filled(row, leave)
    for key in ("metadata", "episode_metadata"):
        if isinstance(row.get(key), dict):
            rest |= row[key]
    return rest
