"""The nearest records first, and hits among them, without scoring all there are for a few of them.

The one idea: where no record can score more than its cosine, the ones nearest to the cue are scored first, and once the last
of the hits scores more than the cosine of the next record, no other can be among them. So the hits are those of scoring all;
but for `nearest_hits`, which in a large scope takes the nearest as `Made.nearest` finds them: nearly always the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from mnemic.model import Cue, Hit, Reason, Record
from mnemic.systems.made import Scored, Vector
from mnemic.systems.view import View

CANDIDATES = 400  # records that are looked at first
_FEW = 100  # where the cosine alone decides


def hits_of_nearest(
    vector: Vector,
    cue: Cue,
    view: View,
    kinds: Collection[str] | None,
    hits_among: Callable[[Sequence[Scored]], list[Hit]],
    *,
    first: int = CANDIDATES,
) -> list[Hit]:
    """The hits among all records of these kinds, as `hits_among` makes them of some records with their cosines.

    hits_among: best first, at most as many as the cue asks for, none with a score above its record's cosine.
    """
    hits: list[Hit] = []
    for found in _growing(vector, cue, view, kinds, first):
        hits = hits_among(found)
        if found and (found[-1][1] <= 0.0 or found[-1][1] < cue.threshold):
            break
        if len(hits) >= cue.limit and hits[-1].score > found[-1][1]:
            break
    return hits


def nearest_first(
    vector: Vector, cue: Cue, view: View, kinds: Collection[str], *, first: int = CANDIDATES
) -> Iterator[Scored]:
    """All records of these kinds with their cosines, the nearest to a vector first."""
    given = 0
    for found in _growing(vector, cue, view, kinds, first):
        yield from found[given:]
        given = len(found)


def nearest_hits(
    cue: Cue,
    view: View,
    vector: Vector,
    why: Callable[[Record, float], tuple[Reason, ...]] | None = None,
    *,
    kinds: Collection[str] | None = None,
    least: float = 0.0,
) -> list[Hit]:
    """The hits of the highest cosine with a vector, at least `least`, as many as the cue asks for.

    why: see `View.record_hits`.
    """
    asked = replace(cue, threshold=max(least, cue.threshold))
    return hits_of_nearest(vector, asked, view, kinds, lambda scored: view.record_hits(scored, asked, why), first=_FEW)


def _growing(vector: Vector, cue: Cue, view: View, kinds: Collection[str] | None, first: int) -> Iterator[list[Scored]]:
    """The nearest records, every time more of them, until they are all."""
    k = max(first, 4 * cue.limit)
    while True:
        found = view.made.nearest(vector, k, kinds=kinds, as_of=cue.as_of)
        yield found
        if len(found) < k:
            return
        k *= 4
