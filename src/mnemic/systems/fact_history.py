"""What became of each fact: every time that it was added, updated or deleted, read off its versions.

Mem0 keeps a table of such rows beside its facts (Chhikara et al., arXiv 2504.19413; code: mem0ai/mem0). Here a fact is its
versions, under one key, so the rows follow from them, and `replay` gives back the facts that are left.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from mnemic.model import Record


@dataclass(frozen=True, slots=True)
class Row:
    """One change of a fact, as in Mem0's history table."""

    key: str  # of the fact, through all its texts
    event: Literal["ADD", "UPDATE", "DELETE"]
    old: str | None
    new: str | None
    at: datetime
    record_id: str  # the version that came, or the one that went


def history_of(records: Iterable[Record], key: str | None = None) -> list[Row]:
    """Every change of the facts that these versions are of, oldest first; of one fact, where a key is given.

    records: all versions, also retired ones, as `memory.records(system="mem0")` gives them.
    """
    versions = {one.id: one for one in records if "key" in one.data and key in (None, one.data["key"])}
    followed = {one.data.get("previous") for one in versions.values()}
    rows: list[tuple[datetime, int, Row]] = []
    depth: dict[str, int] = {}
    for one in versions.values():
        chain = [one]
        while (before := versions.get(chain[-1].data.get("previous", ""))) and before.id not in depth:
            chain.append(before)
        for link in reversed(chain):
            depth[link.id] = depth.get(link.data.get("previous", ""), 0) + 1
    for one in versions.values():
        name, old = one.data["key"], versions.get(one.data.get("previous", ""))
        event: Literal["ADD", "UPDATE"] = "UPDATE" if old else "ADD"
        rows.append(
            (
                one.recorded_at,
                depth[one.id],
                Row(name, event, old.text if old else None, one.text, one.recorded_at, one.id),
            )
        )
        if one.retired_at is not None and one.id not in followed:
            rows.append(
                (one.retired_at, depth[one.id] + 1, Row(name, "DELETE", one.text, None, one.retired_at, one.id))
            )
    return [row for *_, row in sorted(rows, key=lambda one: (one[0], one[1], one[2].key))]


def replay(rows: Iterable[Row]) -> dict[str, str]:
    """The texts that are left, by key, once all changes are made in order."""
    live: dict[str, str] = {}
    for row in rows:
        if row.new is None:
            del live[row.key]
        else:
            live[row.key] = row.new
    return live
