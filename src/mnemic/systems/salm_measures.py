"""What SALM measures of its memory: how its cache has done, where its items are, how far an agent drifts from itself.

The one idea: all of it follows from what the system has made, up to any time that is asked about. See `salm_social`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import ArrayLike

from mnemic.model import Link, Record
from mnemic.systems.made import Made, holds

ITEM, PERSONALITY = "item", "personality"
AGAIN = "again"  # a link from an item or reply to an episode in which it came again
WORKING, ARCHIVE = "working", "archive"


@dataclass(frozen=True, slots=True)
class Statistics:
    """How the cache has done."""

    hits: int  # situations that had been met before: no call
    misses: int  # situations that were new
    working: int  # items in the working set
    archived: int

    @property
    def hit_rate(self) -> float:
        """Hits as a share of all; 0 before anything happened."""
        return self.hits / (self.hits + self.misses) if self.hits + self.misses else 0.0


@dataclass(frozen=True, slots=True)
class Drift:
    """How far an agent moved between two of its personality vectors."""

    agent: str
    at: int  # the earlier one's number
    steps: int  # windows between the two
    distance: float
    bound: float  # what the paper holds it to


def drift(personalities: Sequence[ArrayLike], agent: str = "") -> list[Drift]:
    """How far an agent moved between each two of its personality vectors, oldest first, beside the paper's bound."""
    rows = [np.asarray(one, np.float64) for one in personalities]
    found = []
    for at, one in enumerate(rows):
        for later in range(at + 1, len(rows)):
            apart = rows[later] - one
            distance = math.sqrt(float(np.einsum("d,d->", apart, apart)))
            found.append(Drift(agent, at, later - at, distance, drift_bound(later - at)))
    return found


def drift_bound(steps: int) -> float:
    """What the paper holds the distance after so many steps to: 0.08·log(steps) + 0.12."""
    return 0.08 * math.log(steps) + 0.12


def drift_of(made: Made, agent: str, as_of: datetime | None = None) -> list[Drift]:
    """The drift of a speaker, from the personality vectors that are kept."""
    kept = [one for one in made.current((PERSONALITY,), as_of) if one.data["agent"] == agent]
    kept.sort(key=lambda one: one.data["number"])
    return drift([vector for one in kept if (vector := made.vector(one.id)) is not None], agent)


def statistics(records: Iterable[Record], links: Iterable[Link], as_of: datetime | None = None) -> Statistics:
    """How the cache has done, from what the system has made; up to a time, where one is given."""
    items = {one.id: one for one in records if one.kind == ITEM and holds(one, as_of)}
    again = [one for one in links if one.kind == AGAIN and (as_of is None or one.recorded_at <= as_of)]
    working = sum(tier(one, as_of) == WORKING for one in items.values())
    return Statistics(sum(one.from_id in items for one in again), len(items), working, len(items) - working)


def tier(item: Record, as_of: datetime | None = None) -> str:
    """ "working" or "archive": where an item is, or was at a time."""
    moves = moves_of(item, as_of)
    return str(moves[-1][1]) if moves else WORKING


def moves_of(item: Record, as_of: datetime | None) -> list[list[str]]:
    """When an item moved and where to, oldest first; up to a time, where one is given."""
    moves: list[list[str]] = item.data.get("moves", [])
    return [one for one in moves if as_of is None or datetime.fromisoformat(one[0]) <= as_of]
