"""Looking without leaving traces: what the pages read of a memory beside its public verbs.

A recall is noted by the library, since what an agent was told is an echo when it says so again. A person who looks at a
page has told the agent nothing, so searches made here are not noted: looking changes no count, and makes nothing an echo.
The rest is read off columns, which takes milliseconds where reading the episodes would take seconds. This is the one file of
the inspector that reaches behind a handle.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemic.clock import from_microseconds
from mnemic.index.lexical import rarity
from mnemic.index.scope_index import ScopeIndex
from mnemic.memory import Memory
from mnemic.memory.ask import ask
from mnemic.model import Episode, Link, Recall, Record
from mnemic.ops.spread import Name, names_in
from mnemic.store.contract import Change, Failure

STOPS = 80  # of the slider over recorded times
_CALENDARS = 256  # that are kept
_NO_IDS = (None, None, None, None)
_COMMON = 1_000  # episodes that mention a name, from which on it says nothing about one of them


@dataclass(frozen=True, slots=True)
class Month:
    """How much of a scope happened in a month, and where in the log to look for it."""

    year: int
    month: int
    episodes: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class Calendar:
    """How a scope's episodes lie in time, in UTC; months that have none are left out."""

    episodes: int
    first: datetime | None  # when the first and the last happened
    last: datetime | None
    months: tuple[Month, ...]  # by when they happened
    recorded: tuple[Month, ...]  # by when they were recorded
    stops: tuple[datetime, ...]  # at most STOPS moments, rising, by which ever more was known; the last one knows all


@dataclass(frozen=True, slots=True)
class Beside:
    """What stands around an episode in its session, nearest last and first."""

    before: tuple[Episode, ...]
    after: tuple[Episode, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """A name that an episode mentions, in how many others it stands, and in which."""

    text: str
    others: int
    weight: float  # its rarity
    seqs: frozenset[int]


def search(memory: Memory, query: str, given: Mapping[str, Any]) -> Recall:
    """`Memory.search` with these arguments, not noted as a recall."""
    wanted = {"threshold": 0.0, "asked_at": None, **given}
    cue = memory._cue(query, wanted.pop("limit"), ids=_NO_IDS, **wanted)
    return ask(memory._shared, memory.system_id, cue, note=False)


def calendar(memory: Memory, *, include_children: bool = False) -> Calendar:
    """How the scope's episodes lie in time.

    Read in one pass over three columns, a fifth of a second for a hundred thousand episodes, and kept until the scope
    changes. Not read off the index, which a page that only browses should not have to wait for.
    """
    shared = memory._shared
    scope_ids = shared.store.scope_ids(memory.scope_path, include_children=include_children)
    key, change = (shared.store_id, scope_ids), shared.store.last_change(scope_ids)
    with _calendars_lock:
        known = _calendars.get(key)
    if known is not None and known[0] == change:
        return known[1]
    rows: list[tuple[int, int, int]] = []
    with shared.store._database.reading() as connection:
        for scope_id in scope_ids:
            rows += connection.execute(
                "SELECT seq, occurred_at, recorded_at FROM episodes WHERE scope_id = ?", (scope_id,)
            ).fetchall()
    found = _calendar_of(np.array(rows, np.int64).reshape(len(rows), 3))
    with _calendars_lock:
        _calendars[key] = (change, found)
        while len(_calendars) > _CALENDARS:
            del _calendars[next(iter(_calendars))]
    return found


def beside(
    memory: Memory, episodes: Sequence[Episode], *, include_children: bool = False, reach: int = 2
) -> dict[tuple[str, str], Beside]:
    """By scope and id, what stands around each of these episodes in its session."""
    index = _index(memory, include_children)
    rows = np.searchsorted(index.seqs, [one.seq for one in episodes])
    around: dict[tuple[str, str], tuple[list[int], list[int]]] = {}
    for episode, row in zip(episodes, rows.tolist(), strict=True):
        if episode.session is None or row >= len(index) or index.seqs[row] != episode.seq:
            continue
        before, after = _walk(index.previous, row, reach), _walk(index.following, row, reach)
        around[(episode.scope, episode.id)] = ([*reversed(before)], after)
    wanted = {row for sides in around.values() for side in sides for row in side}
    seqs = {row: int(index.seqs[row]) for row in wanted}
    read = memory._shared.store.by_seq(sorted(seqs.values()))

    def told(side: Iterable[int]) -> tuple[Episode, ...]:
        return tuple(read[seqs[row]] for row in side if seqs[row] in read)

    return {key: Beside(told(before), told(after)) for key, (before, after) in around.items()}


def corrections(memory: Memory, episodes: Sequence[Episode]) -> dict[str, str]:
    """By id, the id of what corrects it, for those of these episodes that were corrected."""
    newer = memory._shared.store.all_superseding(memory.scope_path, [one.id for one in episodes])
    return {one.supersedes: one.id for one in newer if one.supersedes}


def by_ids(memory: Memory, ids: Sequence[str]) -> list[Episode]:
    """Those of the episodes that this scope has, in log order."""
    return memory._shared.store.get(memory.scope_path, list(ids))


def names_of(memory: Memory, episode: Episode) -> list[Named]:
    """The names that the text of an episode mentions, rare ones first, each with the others in sight that hold it."""
    index = _index(memory)
    visible = index.visible()
    found = []
    for words, text in names_in(episode.text).items():
        rows = _holding(index, words)
        rows = rows if visible is None else rows[visible[rows]]
        rows = rows[index.seqs[rows] != episode.seq]
        seqs = frozenset(index.seqs[rows].tolist()) if len(rows) <= _COMMON else frozenset[int]()
        found.append(Named(text, len(rows), rarity(len(rows) + 1, max(len(index), 1)), seqs))
    return sorted(found, key=lambda one: (-one.weight, one.text))


def by_seqs(memory: Memory, seqs: Iterable[int]) -> dict[int, Episode]:
    """Episodes of this scope by their position."""
    found = memory._shared.store.by_seq(sorted(seqs))
    return {seq: one for seq, one in found.items() if one.scope == memory.scope_path}


def systems_with_records(memory: Memory) -> list[str]:
    """Systems that keep records or links in the store, and those attached."""
    records = memory._shared.store.records
    return sorted({*records.systems(), *records.attached()})


def made_from(memory: Memory, id: str, most: int = 5_000) -> tuple[list[Record], list[Link]]:
    """Records that name the episode as a source, and the links that touch it or one of them."""
    records = [one for one in memory.records(limit=most) if id in one.sources]
    near = {id, *(one.id for one in records)}
    return records, [one for one in memory.links(limit=most) if near & {one.from_id, one.to_id}]


def failures(memory: Memory) -> list[Failure]:
    """Background work that failed in this scope and those below it."""
    inside = memory.scopes()
    return [one for one in memory._shared.store.records.failures() if one.scope in inside]


# -- inside ---------------------------------------------------------------------------------------------------

_calendars: dict[tuple[str, tuple[int, ...]], tuple[Change, Calendar]] = {}
_calendars_lock = threading.Lock()


def _calendar_of(rows: NDArray[np.int64]) -> Calendar:
    """rows: [n, 3] of seq, occurred_at and recorded_at."""
    if not len(rows):
        return Calendar(0, None, None, (), (), ())
    seqs, occurred, recorded = rows.T
    seconds = np.unique(recorded // 1_000_000 + 1)  # whole seconds, rounded up
    places = np.unique(np.linspace(0, len(seconds) - 1, min(STOPS, len(seconds))).round().astype(np.int64))
    return Calendar(
        len(rows),
        from_microseconds(int(occurred.min())),
        from_microseconds(int(occurred.max())),
        _months(occurred, seqs),
        _months(recorded, seqs),
        tuple(from_microseconds(int(second) * 1_000_000) for second in seconds[places]),
    )


def _months(times: NDArray[np.int64], seqs: NDArray[np.int64]) -> tuple[Month, ...]:
    by_month = times.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    found, inverse, counts = np.unique(by_month, return_inverse=True, return_counts=True)
    last = np.zeros(len(found), np.int64)
    np.maximum.at(last, inverse, seqs)
    return tuple(
        Month(1970 + int(month) // 12, int(month) % 12 + 1, int(n), int(seq))
        for month, n, seq in zip(found, counts, last, strict=True)
    )


def _index(memory: Memory, include_children: bool = False) -> ScopeIndex:
    view = memory._shared.view_of(memory.scope_path, memory.system_id, include_children=include_children)
    return view.index


def _holding(index: ScopeIndex, words: Name) -> Any:
    """[n] rows in which every word of a name stands."""
    return reduce(np.intersect1d, (index.lexical.rows_of(word) for word in words))


def _walk(step: Any, row: int, reach: int) -> list[int]:
    rows: list[int] = []
    while len(rows) < reach and (row := int(step[row])) >= 0:
        rows.append(row)
    return rows
