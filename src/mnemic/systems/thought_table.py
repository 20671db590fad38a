"""The hash table of Think-in-Memory: which thoughts lie in which bucket, when they are recalled and while they change.

The one idea: a thought's record says in which bucket it lies, so the table is read off the records. See `think_in_memory`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from mnemic.index.vectors import products
from mnemic.model import Record
from mnemic.ops.lsh import CrossPolytope
from mnemic.systems.draft import Draft
from mnemic.systems.made import Made, holds

ID, KIND = "think-in-memory", "thought"
LONGEST = 1000  # characters of a thought


@lru_cache(maxsize=16)
def hash_of(dim: int, buckets: int, seed: int) -> CrossPolytope:
    """The hash for vectors of that size."""
    return CrossPolytope(dim, buckets, seed)


def in_bucket(made: Made, bucket: int, as_of: datetime | None = None) -> list[Record]:
    """The thoughts in a bucket as they stand, or stood at a time: all that a recall compares with its cue."""
    ids = _by_bucket(made).get(bucket, ())
    return [record for id in ids if holds(record := made.records[id], as_of)]


def compared(records: Sequence[Record], vector: NDArray[np.float32], made: Made) -> list[tuple[Record, float]]:
    """Each thought with its cosine: one comparison each."""
    known = [(one, found) for one in records if (found := made.vector(one.id)) is not None]
    if not known:
        return []
    cosines = products(np.stack([found for _, found in known]), vector).tolist()
    return [(one, cosine) for (one, _), cosine in zip(known, cosines, strict=True)]


_tables: WeakKeyDictionary[Made, Mapping[int, Sequence[str]]] = WeakKeyDictionary()


def _by_bucket(made: Made) -> Mapping[int, Sequence[str]]:
    """The ids of all thoughts by bucket, oldest first; worked out once for each state of things."""
    if made not in _tables:
        found: dict[int, list[str]] = {}
        for one in sorted(made.records.values(), key=number_of):
            found.setdefault(one.data["bucket"], []).append(one.id)
        _tables[made] = found
    return _tables[made]


class Table:
    """The thoughts by bucket while they are being changed."""

    def __init__(self, draft: Draft, made: Made, hash: CrossPolytope) -> None:
        self._draft = draft
        self._hash = hash
        self._members: dict[int, dict[str, Record]] = {}  # the oldest first
        self._about: dict[tuple[int, str], dict[str, Record]] = {}  # the same by what they are about
        standing = [one for id, one in made.records.items() if one.retired_at is None and draft.get(id) is not None]
        for one in sorted(standing, key=number_of):
            self._add(one)

    def next_number(self) -> int:
        """A place behind all thoughts so far."""
        number = int(self._draft.state.get("thoughts", 0))
        self._draft.state["thoughts"] = number + 1
        return number

    def bucket(self, vector: NDArray[np.float32]) -> int:
        """Where a vector falls."""
        return self._hash.bucket(vector)

    def members(self, bucket: int, head: str | None = None) -> list[Record]:
        """What lies in a bucket, oldest first; with `head`, what has that head of it."""
        found = self._members.get(bucket, {}) if head is None else self._about.get((bucket, head), {})
        return list(found.values())

    def nearest(
        self, vector: NDArray[np.float32], k: int, bucket: int | None = None, head: str | None = None
    ) -> list[Record]:
        """The k most like a vector in its bucket, or in the one given; with `head`, of those with that head."""
        records = self.members(self.bucket(vector) if bucket is None else bucket, head)
        vectors = [self._draft.vector(one.id) for one in records]
        known = [(one, found) for one, found in zip(records, vectors, strict=True) if found is not None]
        if not known or k < 1:
            return []
        cosines = products(np.stack([found for _, found in known]), vector)
        return [known[at][0] for at in np.argsort(-cosines, kind="stable")[:k].tolist()]

    def put(self, record: Record, vector: NDArray[np.float32] | None = None) -> Record:
        """Add a record to its bucket; without a vector it is embedded."""
        record = self._draft.put(record, vector=vector)
        if (same := self._members.get(record.data["bucket"], {}).get(record.id)) is not None:
            self._remove(same)  # thought anew, it is the newest again
        self._add(record)
        return record

    def retire(self, record: Record, at: datetime, valid_to: datetime | None = None) -> None:
        """Take a record out of its bucket."""
        self._draft.retire(record.id, at, valid_to)
        self._remove(record)

    def _add(self, record: Record) -> None:
        bucket = record.data["bucket"]
        self._members.setdefault(bucket, {})[record.id] = record
        self._about.setdefault((bucket, head_of(record)), {})[record.id] = record

    def _remove(self, record: Record) -> None:
        bucket = record.data["bucket"]
        self._members.get(bucket, {}).pop(record.id, None)
        self._about.get((bucket, head_of(record)), {}).pop(record.id, None)


def number_of(record: Record) -> int:
    """The place of a thought among all, in the order in which they were thought."""
    return int(record.data["number"])


def head_of(record: Record) -> str:
    """What a thought is about, as it is compared."""
    return " ".join(record.data["head"].casefold().split())
