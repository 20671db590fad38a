"""Records by row, in arrays: which of them are there, of which kind, and when they held.

Rows are only ever added, so that states of different age share them. A record whose row no longer fits gets another, and
the old row is no longer there. What is laid over the rows, vectors or words, is added in the same order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from mnemic.clock import to_microseconds
from mnemic.index import signs
from mnemic.index.columns import Column
from mnemic.index.lexical import LexicalIndex
from mnemic.model import Record
from mnemic.text.terms import terms

Vector = NDArray[np.float32]
Rows = NDArray[np.int64]
NEVER = np.iinfo(np.int64).max


class RecordRows:
    """Kinds and times of records, by row."""

    def __init__(self) -> None:
        self.ids = list[str]()  # shared by later states, which only append
        self.row_of: dict[str, int] = {}  # of the records that are there
        self._numbers: dict[str, int] = {}  # of kinds
        self._kinds, self._recorded = Column(np.int32), Column(np.int64)
        self._retired, self._is_there = np.empty(0, np.int64), np.empty(0, np.bool_)
        self._sights: dict[frozenset[str] | None, Rows] = {}

    def __len__(self) -> int:
        return len(self._kinds)

    def after(self, gone: Iterable[str], same: Iterable[Record], new: Sequence[Record]) -> RecordRows:
        """The rows once some ids are gone, some records were changed where they stand, and some have a row of their own.

        Only the newest state may be asked for the next.
        """
        next = RecordRows()
        next.ids, next.row_of, next._numbers = self.ids, dict(self.row_of), dict(self._numbers)
        next._kinds, next._recorded = self._kinds.clone(), self._recorded.clone()
        retired, is_there = self._retired.copy(), self._is_there.copy()
        for one in same:
            retired[self.row_of[one.id]] = _moment(one.retired_at)
        for id in [*gone, *(one.id for one in new)]:
            if (row := next.row_of.pop(id, None)) is not None:
                is_there[row] = False
        if new:
            del next.ids[len(self) :]  # of a state that was never written
            next._kinds.extend(
                np.array([next._numbers.setdefault(one.kind, len(next._numbers)) for one in new], np.int32)
            )
            next._recorded.extend(np.array([to_microseconds(one.recorded_at) for one in new], np.int64))
            retired = np.concatenate([retired, np.array([_moment(one.retired_at) for one in new], np.int64)])
            is_there = np.concatenate([is_there, np.ones(len(new), np.bool_)])
            for row, one in enumerate(new, start=len(self)):
                next.row_of[one.id] = row
                next.ids.append(one.id)
        next._retired, next._is_there = retired, is_there
        return next

    def fits(self, row: int, record: Record) -> bool:
        """Whether kind and time of a row are still the record's; when it was retired may change."""
        return bool(
            self._kinds.values[row] == self._numbers.get(record.kind, -1)
            and self._recorded.values[row] == to_microseconds(record.recorded_at)
        )

    def mask(self, kinds: Collection[str] | None = None, as_of: datetime | None = None) -> NDArray[np.bool_]:
        """[n] the rows whose records hold now, or held as far as was known at a time."""
        at = NEVER - 1 if as_of is None else to_microseconds(as_of)
        mask: NDArray[np.bool_] = self._is_there & (self._retired > at)
        if as_of is not None:
            mask &= self._recorded.values <= at
        if kinds is not None and len(self._numbers) > 0:
            wanted = np.zeros(len(self._numbers), np.bool_)
            wanted[[self._numbers[kind] for kind in kinds if kind in self._numbers]] = True
            mask &= wanted[self._kinds.values]
        return mask

    def sight(self, kinds: Collection[str] | None = None, as_of: datetime | None = None) -> Rows:
        """The rows of the mask, ascending; what holds now is looked up once."""
        if as_of is not None:
            return np.flatnonzero(self.mask(kinds, as_of))
        key = None if kinds is None else frozenset(kinds)
        if (found := self._sights.get(key)) is None:
            found = self._sights[key] = np.flatnonzero(self.mask(kinds))
        return found

    def places(self, sight: Rows, ids: Iterable[str]) -> Rows:
        """Where the rows of some records stand in a sight; those that are not in it are left out."""
        rows = np.array([row for id in ids if (row := self.row_of.get(id)) is not None], np.int64)
        places = np.searchsorted(sight, rows)
        is_in = places < len(sight)
        is_in[is_in] = sight[places[is_in]] == rows[is_in]
        found: Rows = places[is_in]
        return found


class VectorRows:
    """Vectors with their codes (see `mnemic.index.signs`), by row."""

    def __init__(self, dim: int) -> None:
        self._vectors = Column(np.float32, dim)
        self._codes = Column(np.uint64, signs.WORDS)

    def __len__(self) -> int:
        return len(self._vectors)

    def clone(self) -> VectorRows:
        """The same rows, to be extended while others go on reading these."""
        clone = VectorRows.__new__(VectorRows)
        clone._vectors, clone._codes = self._vectors.clone(), self._codes.clone()
        return clone

    def extend(self, vectors: Vector) -> None:
        """Add rows [n, dim]."""
        self._vectors.extend(vectors)
        self._codes.extend(signs.codes(vectors))

    @property
    def vectors(self) -> Vector:
        """[n, dim]"""
        values: Vector = self._vectors.values
        return values

    @property
    def codes(self) -> signs.Codes:
        """[n, 4]"""
        values: signs.Codes = self._codes.values
        return values


class WordRows:
    """The words of records, by row: an index that grows with what was made, and leaves out what no longer holds."""

    def __init__(self) -> None:
        self.rows = RecordRows()
        self.index = LexicalIndex()

    @classmethod
    def of(cls, records: Iterable[Record]) -> WordRows:
        """Those of all records."""
        return cls().after({}, (), list(records))

    def after(self, before: dict[str, Record], gone: Iterable[str], put: Sequence[Record]) -> WordRows:
        """The words once some ids are gone and some records were put; `before` holds the records as they were."""
        is_same = [
            (row := self.rows.row_of.get(one.id)) is not None
            and before[one.id].text == one.text
            and self.rows.fits(row, one)
            for one in put
        ]
        new = [one for one, same in zip(put, is_same, strict=True) if not same]
        words = WordRows()
        words.rows = self.rows.after(gone, [one for one, same in zip(put, is_same, strict=True) if same], new)
        words.index = self.index.clone()
        if new:
            words.index.extend([" ".join(terms(one.text)) for one in new])
            words.index.settle()  # here, where nobody reads it yet: threads that did it as they read would disturb each other
        return words


def _moment(at: datetime | None) -> int:
    return NEVER if at is None else to_microseconds(at)
