"""Small random pasts, and memories filled with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from mnemic import Hit, Memory
from mnemic.clock import ManualClock

START = datetime(2024, 5, 1, 12, tzinfo=UTC)
WORDS = [
    "tea",
    "coffee",
    "Porto",
    "river",
    "garden",
    "violin",
    "Anna",
    "Bob",
    "yesterday",
    "March",
    "seven",
    "not",
    "love",
    "bought",
    "walks",
]


@dataclass(frozen=True)
class Said:
    """One thing said in a random past."""

    id: str
    text: str
    session: str | None
    actor: str | None
    day: int


texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)
queries = st.lists(st.sampled_from([*WORDS, "unheard"]), min_size=1, max_size=4).map(" ".join)


@st.composite
def pasts(draw: st.DrawFn, min_size: int = 1, max_size: int = 12) -> list[Said]:
    """A log of things said, with ids of their own."""
    n = draw(st.integers(min_size, max_size))
    return [
        Said(
            f"e{at}",
            draw(texts),
            draw(st.sampled_from([None, "mon", "tue", "wed"])),
            draw(st.sampled_from([None, "Anna", "Bob"])),
            draw(st.integers(0, 90)),
        )
        for at in range(n)
    ]


def empty(clock: ManualClock | None = None) -> Memory:
    """A memory in this process alone."""
    return Memory.open(embedder="hashing", clock=clock or ManualClock(START))


def say(memory: Memory, said: Sequence[Said]) -> None:
    """Add them, one call each."""
    for one in said:
        memory.add(
            one.text,
            id=one.id,
            session=one.session,
            actor=one.actor,
            occurred_at=START - timedelta(days=one.day),
        )


def made(memory: Memory, system: str) -> tuple[list[Any], list[Any]]:
    """The records and links of a system in the memory's scope."""
    records = memory._shared.store.records
    return records.records(system, memory.scope_path), records.links(system, memory.scope_path)


def seen(hits: Sequence[Hit]) -> list[Any]:
    """Hits as values that can be compared between logs whose positions differ."""
    return [
        (
            hit.id,
            hit.text,
            hit.score,
            hit.reasons,
            hit.duplicates,
            hit.sources,
            hit.episode and replace(hit.episode, seq=0),
            hit.record,
        )
        for hit in hits
    ]
