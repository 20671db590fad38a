"""The hash table of Think-in-Memory: which thoughts lie in which bucket, when they are recalled and while they change.

The one idea: a thought's record says in which bucket it lies, so the table is read off the records. See `think_in_memory`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mnemic.index.vectors import products
from mnemic.model import Record
from mnemic.ops.lsh import CrossPolytope
from mnemic.store.contract import Changes
from mnemic.systems.draft import Draft
from mnemic.systems.made import Made, holds

ID, KIND = "think-in-memory", "thought"
K = TypeVar("K")
LONGEST = 1000  # characters of a thought


@lru_cache(maxsize=16)
def hash_of(dim: int, buckets: int, seed: int) -> CrossPolytope:
    """The hash for vectors of that size."""
    return CrossPolytope(dim, buckets, seed)


def in_bucket(made: Made, bucket: int, as_of: datetime | None = None) -> list[Record]:
    """The thoughts in a bucket as they stand, or stood at a time: all that a recall compares with its cue."""
    return [one for one in made.derived(Thoughts).ever.get(bucket, {}).values() if holds(one, as_of)]


def compared(records: Sequence[Record], vector: NDArray[np.float32], made: Made) -> list[tuple[Record, float]]:
    """Each thought with its cosine: one comparison each."""
    known = [(one, found) for one in records if (found := made.vector(one.id)) is not None]
    if not known:
        return []
    cosines = products(np.stack([found for _, found in known]), vector).tolist()
    return [(one, cosine) for (one, _), cosine in zip(known, cosines, strict=True)]


Place = tuple[int, str]  # a bucket, and what thoughts in it are about


class Thoughts:
    """The thoughts by bucket, the oldest first: all there were, and those that stand, these also by what they are about."""

    def __init__(self, before: Thoughts | None = None) -> None:
        self.ever: dict[int, dict[str, Record]] = {} if before is None else _copied(before.ever)
        self.members: dict[int, dict[str, Record]] = {} if before is None else _copied(before.members)
        self.about: dict[Place, dict[str, Record]] = {} if before is None else _copied(before.about)

    @classmethod
    def of(cls, made: Made) -> Thoughts:
        """Read off the records."""
        return cls()._with(made.records.values())

    def after(self, changes: Changes) -> Thoughts:
        """With what was put and dropped since."""
        new = Thoughts(self)
        for bucket in list(new.ever.values()):
            for one in [one for id in changes.drop_records if (one := bucket.get(id)) is not None]:
                new.drop(one)
        return new._with(changes.put_records)

    def add(self, one: Record) -> None:
        """As the newest of its bucket; in its own place, where it has one."""
        bucket = one.data["bucket"]
        self.ever.setdefault(bucket, {})[one.id] = one
        if one.retired_at is None:
            self.members.setdefault(bucket, {})[one.id] = one
            self.about.setdefault((bucket, head_of(one)), {})[one.id] = one
        else:
            self.close(one)

    def close(self, one: Record) -> None:
        """It no longer stands."""
        self.members.get(one.data["bucket"], {}).pop(one.id, None)
        self.about.get((one.data["bucket"], head_of(one)), {}).pop(one.id, None)

    def drop(self, one: Record) -> None:
        """It is as if it had never been."""
        self.close(one)
        self.ever.get(one.data["bucket"], {}).pop(one.id, None)

    def known(self, one: Record) -> Record | None:
        """The thought of the same id and bucket."""
        return self.ever.get(one.data["bucket"], {}).get(one.id)

    def _with(self, put: Iterable[Record]) -> Thoughts:
        for one in sorted(put, key=number_of):
            old = self.known(one)
            if old is not None and (number_of(old) != number_of(one) or head_of(old) != head_of(one)):
                self.drop(old)  # thought anew, it is the newest again
            self.add(one)
        return self


def _copied(what: Mapping[K, Mapping[str, Record]]) -> dict[K, dict[str, Record]]:
    return {key: dict(those) for key, those in what.items()}


class Table:
    """The thoughts by bucket while they are being changed."""

    def __init__(self, draft: Draft, made: Made, hash: CrossPolytope, without: Iterable[str] = ()) -> None:
        self._draft = draft
        self._hash = hash
        self._thoughts = Thoughts(made.derived(Thoughts))
        for id in without:
            if (one := made.records.get(id)) is not None:
                self._thoughts.drop(one)

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
        found = self._thoughts.members.get(bucket, {}) if head is None else self._thoughts.about.get((bucket, head), {})
        return list(found.values())

    def nearest(
        self, vector: NDArray[np.float32], k: int, bucket: int | None = None, head: str | None = None
    ) -> list[Record]:
        """The k most like a vector in its bucket, or in the one given; with `head`, of those with that head."""
        records = self.members(self.bucket(vector) if bucket is None else bucket, head)
        if not records or k < 1:
            return []
        cosines = self._draft.cosines([one.id for one in records], vector)
        return [records[at] for at in np.argsort(-cosines, kind="stable")[:k].tolist()]

    def put(self, record: Record, vector: NDArray[np.float32] | None = None) -> Record:
        """Add a record to its bucket; without a vector it is embedded."""
        record = self._draft.put(record, vector=vector)
        if (same := self._thoughts.known(record)) is not None:
            self._thoughts.drop(same)  # thought anew, it is the newest again
        self._thoughts.add(record)
        return record

    def retire(self, record: Record, at: datetime, valid_to: datetime | None = None) -> None:
        """Take a record out of its bucket."""
        self._draft.retire(record.id, at, valid_to)
        self._thoughts.close(record)


def number_of(record: Record) -> int:
    """The place of a thought among all, in the order in which they were thought."""
    return int(record.data["number"])


def head_of(record: Record) -> str:
    """What a thought is about, as it is compared."""
    return " ".join(record.data["head"].casefold().split())
