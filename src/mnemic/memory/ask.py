"""From what a caller asks to a recall: which scope is meant, which system answers, how long it took."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mnemic.errors import InvalidFilter, InvalidScope
from mnemic.memory.shared import Shared
from mnemic.model import Cue, Hit, Recall, join_scope
from mnemic.systems.contract import is_by_model, keeps_records

_IDS = ("user_id", "agent_id", "run_id", "app_id")
_SESSIONS = ("session_id", "session")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the ids of other libraries point to here."""

    scope: str
    session: str | None = None
    filters: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)  # what a write adds


def resolve(
    scope: str,
    user_id: str | None = None,
    agent_id: str | None = None,
    run_id: str | None = None,
    app_id: str | None = None,
    filters: Mapping[str, Any] | None = None,
) -> Place:
    """The scope, session and filters that ids stand for, given as arguments or inside filters.

    app_id and user_id are segments below the given scope, "app:crm/user:alice". agent_id is a segment of its own,
    "agent:tutor", where there is no user; with a user, given or as the last segment of the scope, it is a field of the
    episode that a search can be narrowed to. run_id is the session. Raises InvalidScope for an id that is empty or cannot be
    a segment, and InvalidFilter for one that the filters contradict.
    """
    if filters is not None and not isinstance(filters, Mapping):
        raise InvalidFilter(f"A filter is a dictionary such as {{'topic': 'tea'}}; {type(filters).__name__} was given.")
    given = {"user_id": user_id, "agent_id": agent_id, "run_id": run_id, "app_id": app_id}
    ids = {name: _id(name, id) for name, id in given.items()}
    chosen, rest = _ids_in(filters or {})
    for name, wanted in chosen.items():
        if name in ids:
            if ids[name] not in (None, wanted):
                raise InvalidFilter(f"{name} is {ids[name]!r}, and {wanted!r} in the filters. Give it once.")
            ids[name] = wanted
    session = next((chosen[name] for name in _SESSIONS if name in chosen and name not in ids), None)
    for kind, name in (("app", "app_id"), ("user", "user_id")):
        if (id := ids[name]) is not None:
            scope = join_scope(scope, _segment(kind, id))
    agent = ids["agent_id"]
    metadata = {}
    if agent is not None and not scope.rpartition("/")[2].startswith("user:"):
        scope = join_scope(scope, _segment("agent", agent))
    elif agent is not None:
        metadata["agent_id"] = rest["agent_id"] = agent
    return Place(scope, ids["run_id"] or session, rest or None, metadata)


def ask(shared: Shared, system: str, cue: Cue, *, note: bool = True) -> Recall:
    """Let a system answer a cue; it first observes what it has not seen, if it keeps records and this handle may write."""
    started = time.perf_counter()
    answering = shared.system(system)
    shared.catch_up(system, cue.scope)
    asker = shared.asker(cue.scope, system, is_recall=True)
    view = shared.view_of(cue.scope, system, include_children=cue.include_children, ask=asker)
    hits = [hit for hit in answering.recall(cue, view) if hit.score >= cue.threshold]
    by_model, behind = asker is not None and asker.used, shared.behind(system, cue.scope)
    if cue.include_children and keeps_records(answering):
        below = [_below(shared, system, cue, path) for path in shared.store.scopes(cue.scope) if path != cue.scope]
        hits = _best([hits, *(one.hits for one in below)], cue.limit)
        by_model = by_model or any(one.used_model for one in below)
        behind += sum(one.behind for one in below)
    confidence = answering.confidence(cue, hits, view, shared.embedder.id)
    if note:
        shared.note_recall(cue.scope, [hit.episode for hit in hits if hit.episode is not None])
    by_model = by_model or any(is_by_model(hit.record) for hit in hits if hit.record)
    if not hits and not behind and shared.waits(system):  # what it has made with its model holds nothing of this
        by_model = True
    return Recall(
        cue=cue,
        hits=tuple(hits),
        system=system,
        path="llm" if by_model else "offline",
        elapsed_ms=1000 * (time.perf_counter() - started),
        confidence=confidence,
        behind=behind,
    )


@dataclass(frozen=True, slots=True)
class _Below:
    """What a scope below the cue's gave."""

    hits: list[Hit]
    used_model: bool
    behind: int


def _below(shared: Shared, system: str, cue: Cue, path: str) -> _Below:
    """Records are made scope by scope, so each scope is asked by itself."""
    shared.catch_up(system, path)
    asker = shared.asker(path, system, is_recall=True)
    view = shared.view_of(path, system, ask=asker)
    hits = shared.system(system).recall(replace(cue, scope=path, include_children=False), view)
    return _Below(
        [hit for hit in hits if hit.score >= cue.threshold],
        asker is not None and asker.used,
        shared.behind(system, path),
    )


def _best(rankings: Sequence[Sequence[Hit]], limit: int) -> list[Hit]:
    """The best hits of several rankings, each once."""
    found = {(hit.scope, hit.id): hit for hits in rankings for hit in hits}
    return sorted(found.values(), key=lambda hit: (-hit.score, hit.scope, hit.id))[:limit]


def _ids_in(filters: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """(ids that the filters name, at the top or in an AND; what is left of the filters)."""
    chosen: dict[str, str] = {}
    rest: dict[str, Any] = {}
    for key, value in filters.items():
        if key == "AND" and isinstance(value, list | tuple) and all(isinstance(part, Mapping) for part in value):
            parts = []
            for part in value:
                inner, left = _ids_in(part)
                chosen |= inner
                parts += [left] if left else []
            rest |= {key: parts} if parts else {}
        elif key in _IDS or key in _SESSIONS:
            if isinstance(value, Mapping) and set(value) in ({"eq"}, {"$eq"}):
                (value,) = value.values()
            if isinstance(value, str) and value != "*":
                chosen[key] = str(_id(key, value))
            else:
                rest[key] = value
        else:
            rest[key] = value
    _refuse_scopes_in(rest)
    return chosen, rest


def _refuse_scopes_in(filters: Any) -> None:
    """A user or an application is a scope, which is chosen before anything is filtered: no other condition can hold for it."""
    if isinstance(filters, list | tuple):
        for part in filters:
            _refuse_scopes_in(part)
    if not isinstance(filters, Mapping):
        return
    for key, value in filters.items():
        if key in ("user_id", "app_id"):
            raise InvalidFilter(
                f"{key} chooses a scope, so it must be one name, at the top of the filters or in an AND; {value!r} was given. "
                "To search the scopes below this one together, use include_children=True."
            )
        if key in ("AND", "OR", "NOT"):
            _refuse_scopes_in(value)


def _id(name: str, id: Any) -> str | None:
    """The id as text without the space around it. An empty one is refused: taken for none, it would widen what is meant."""
    if id is None:
        return None
    if not isinstance(id, str | int) or isinstance(id, bool):
        raise InvalidScope(f"The {name} is {type(id).__name__}; text is expected.")
    if not (text := str(id).strip()):
        raise InvalidScope(f"The {name} {id!r} is empty. Give a name, or leave it out.")
    return text


def _segment(kind: str, id: str) -> str:
    if "/" in id:
        raise InvalidScope(f"The {kind}_id {id!r} has a '/'. Give a name, or use scope('a/b') for a path.")
    return f"{kind}:{id}"
