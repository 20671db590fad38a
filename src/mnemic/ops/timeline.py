"""Timelines: what led to a memory and what came of it, as paths through dated links.

Memories of different sessions are linked by relations; a link leads from the earlier session to the later, so that no path
returns. A timeline of a memory is one longest path that leads to it, the memory, and one longest path that leads on from it;
all pairs of such paths are its timelines. Source: Theanine, arXiv 2406.10996.

Departs: paths are counted off in a fixed order, those through the nearest sessions first, and cut at a number, since a dense
graph has more than anyone could read; the choice of one timeline is drawn by a hash of the memory's id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise, product
from typing import TypeVar

from mnemic.ops.decay import uniform

T = TypeVar("T")
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """A link between two memories and what kind it is; which end is older follows from their sessions."""

    one: str
    other: str
    kind: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Memories from the oldest to the newest, and how each leads to the next."""

    steps: Path
    relations: Path  # one fewer than steps


class Dated:
    """Memories with the number of their session, and the relations between them.

    sessions: by memory. before: only memories of earlier sessions are there, so that an answer within a session does not
    draw on it; None for all. A relation within one session, or to a memory that is not there, is none. Of several relations
    between two memories the last counts.
    """

    def __init__(self, sessions: Mapping[str, int], relations: Iterable[Relation], before: int | None = None) -> None:
        self._sessions = {id: at for id, at in sessions.items() if before is None or at < before}
        self._kinds: dict[tuple[str, str], str] = {}  # by (older, newer)
        for one in relations:
            first, second = self._sessions.get(one.one), self._sessions.get(one.other)
            if first is not None and second is not None and first != second:
                pair = (one.one, one.other) if first < second else (one.other, one.one)
                self._kinds[pair] = one.kind
        self._older: dict[str, list[str]] = {}
        self._newer: dict[str, list[str]] = {}
        for older, newer in self._kinds:
            self._older.setdefault(newer, []).append(older)
            self._newer.setdefault(older, []).append(newer)
        for beside in self._older.values():
            beside.sort(key=lambda id: (-self._sessions[id], id))
        for beside in self._newer.values():
            beside.sort(key=lambda id: (self._sessions[id], id))

    def __contains__(self, id: str) -> bool:
        return id in self._sessions

    def past(self, id: str, most: int = 32) -> list[Path]:
        """The longest paths that lead to a memory, oldest step first and without itself; one empty path where there is none."""
        return [path[::-1] for path in islice(_ways(id, self._older), most)]

    def future(self, id: str, most: int = 32) -> list[Path]:
        """The longest paths that lead on from a memory, without itself; one empty path where there is none."""
        return list(islice(_ways(id, self._newer), most))

    def timelines(self, id: str, most: int = 64) -> list[Timeline]:
        """past × future of a memory, at most `most`; none for a memory that is not there.

        First pasts meet first futures, so that a cut takes from both: pairs (0, 0), (0, 1), (1, 0), (0, 2), …
        """
        if id not in self:
            return []
        past, future = self.past(id, most), self.future(id, most)
        pairs = sorted(product(range(len(past)), range(len(future))), key=lambda at: (sum(at), at))
        return [self._timeline((*past[i], id, *future[j])) for i, j in pairs[: max(most, 0)]]

    def _timeline(self, steps: Path) -> Timeline:
        return Timeline(steps, tuple(self._kinds[pair] for pair in pairwise(steps)))


def chosen(timelines: Mapping[str, Sequence[Timeline]], seed: int = 0) -> dict[str, Timeline]:
    """One timeline for each memory, drawn by its id and the seed among those that no memory before it was given.

    A memory whose timelines are all taken has none: the same timeline never has to be told twice.
    """
    taken: dict[str, Timeline] = {}
    for id, every in timelines.items():
        left = [one for one in dict.fromkeys(every) if one not in taken.values()]
        if left:
            taken[id] = left[int(uniform(id, seed) * len(left))]
    return taken


def chronological(items: Iterable[T], at: Callable[[T], float | None]) -> list[T]:
    """The items by their time, earliest first; of the same time in the order given, those without one last.

    >>> chronological(["b 2", "a", "c 1"], lambda text: float(text[2:]) if text[2:] else None)
    ['c 1', 'b 2', 'a']
    """
    dated = [(at(item), item) for item in items]
    known = [(moment, item) for moment, item in dated if moment is not None]
    return [item for _, item in sorted(known, key=lambda one: one[0])] + [item for when, item in dated if when is None]


def _ways(start: str, beside: Mapping[str, Sequence[str]]) -> Iterator[Path]:
    """Every longest path from the start, without it, in the order of the neighbours. Links lead one way, so it ends."""
    path: list[str] = []
    open_ways: list[Iterator[str]] = [iter(beside.get(start, ()))]
    if start not in beside:
        yield ()
        return
    while open_ways:
        following = next(open_ways[-1], None)
        if following is None:
            open_ways.pop()
            if path:
                path.pop()
            continue
        if further := beside.get(following):
            path.append(following)
            open_ways.append(iter(further))
        else:
            yield (*path, following)
