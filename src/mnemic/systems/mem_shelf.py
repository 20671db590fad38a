"""What MemOS keeps, and by what it is looked up: the parameters, the active memories, and how a memory and an edge are written.

The one idea: the active memories of a draft stand on a shelf, by id, by type and by slot, so that neither a new memory nor the
scheduler has to look through all that was ever stored.

Card: memos. Source: MemOS, arXiv 2507.03724; numbers as in its repository of mid-August 2025. Departs: see `MemOS.card`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal

from mnemic.errors import ParameterError
from mnemic.model import Link, Record
from mnemic.systems.contract import BY, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.mem_reader import LONG_TERM, USER
from mnemic.systems.memcube import Governance

ID = "memos"
MEMORY, TOPIC, WORKING = "memory", "topic", "working_set"
PARENT = "PARENT"


@dataclass(frozen=True, slots=True)
class Params:
    """Numbers of the repository, and what a recall weighs."""

    window: int = 10  # messages that are read together
    mode: Literal["fast", "fine"] = "fast"  # "fine" asks a model what a question looks for
    similar: int = 5  # stored memories with which a new one is compared
    threshold: float = 0.8  # from which cosine on
    working: int = 20  # newest memories that are at hand
    long_term: int = 1500  # memories of each type that stay active
    user: int = 480
    cluster: int = 20  # memories from which, and for how many, a parent is made
    smallest: int = 4  # memories under a parent
    schedules: bool = True  # whether questions in the log renew the working set
    retrieved: int = 10  # memories looked up for a question's missing evidence
    meaning: float = 0.60  # weights of the signals of a recall
    words: float = 0.24
    key: float = 0.10
    tags: float = 0.04
    at_hand: float = 0.02

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name in ("mode", "schedules"):
                continue
            is_share = one.name in ("threshold", "meaning", "words", "key", "tags", "at_hand")
            kinds = (int, float) if is_share else (int,)
            if isinstance(value, bool) or not isinstance(value, kinds) or not (0 if is_share else 1) <= value:
                raise ParameterError(
                    f"{one.name}={value!r}: give a {'number of 0' if is_share else 'whole number of 1'} or more."
                )
        if self.mode not in ("fast", "fine") or not isinstance(self.schedules, bool):
            raise ParameterError(
                f"mode={self.mode!r}, schedules={self.schedules!r}: give 'fast' or 'fine', True or False."
            )
        if not 0.0 < self.meaning + self.words + self.key + self.tags + self.at_hand <= 1.0 + 1e-9:
            raise ParameterError(
                "The weights meaning, words, key, tags and at_hand must add up to 1 or less, and above 0."
            )


class Shelf:
    """The active memories of a draft, by what they are looked up by."""

    def __init__(self, draft: Draft) -> None:
        self.memories: dict[str, Record] = {}
        self.counts = {LONG_TERM: 0, USER: 0}
        self._slots: dict[str, dict[str, None]] = {}
        for one in draft.records([MEMORY]):
            self.add(one)

    def add(self, record: Record) -> None:
        self.memories[record.id] = record
        self.counts[record.data["memory_type"]] += 1
        for slot in record.data["slots"]:
            self._slots.setdefault(slot, {})[record.id] = None

    def remove(self, record: Record) -> None:
        if self.memories.pop(record.id, None) is not None:
            self.counts[record.data["memory_type"]] -= 1
        for slot in record.data["slots"]:
            self._slots.get(slot, {}).pop(record.id, None)

    def of_slots(self, slots: Iterable[str]) -> list[Record]:
        """The memories that give a value to one of these, each once."""
        ids = dict.fromkeys(id for slot in slots for id in self._slots.get(slot, ()))
        return [self.memories[id] for id in ids]

    def of_type(self, memory_type: str) -> list[Record]:
        """Those of a type, oldest first."""
        found = [one for one in self.memories.values() if one.data["memory_type"] == memory_type]
        return sorted(found, key=age)


def age(record: Record) -> tuple[datetime, datetime, str]:
    """What memories are ordered by, oldest first: of those that became known together, the one that was said first."""
    return (record.recorded_at, record.valid_from or record.recorded_at, record.id)


def header_data(
    title: str,
    memory_type: str,
    tags: Sequence[str],
    slots: Sequence[str],
    by: str,
    header: Governance,
    session: str | None,
) -> dict[str, Any]:
    """A memory's header, as it is kept in its record."""
    data: dict[str, Any] = {
        "title": title,
        "memory_type": memory_type,
        "tags": list(tags),
        "slots": list(slots),
        "confidence": 99 if by == "offline" else 80,  # a statement as it was made, or as a model retold it
        BY: by,
    }
    if values := header.to_dict():
        data["governance"] = values
        if session is not None:
            data["session"] = session
    return data


def link(
    scope: str,
    kind: str,
    one: str,
    other: str,
    sources: tuple[str, ...],
    at: datetime,
    data: Mapping[str, Any] | None = None,
) -> Link:
    """An edge between two memories."""
    return Link(
        id=record_id(ID, kind, one, other),
        system=ID,
        scope=scope,
        kind=kind,
        from_id=one,
        to_id=other,
        sources=sources,
        recorded_at=at,
        data=dict(data or {}),
    )
