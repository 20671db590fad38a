"""Which rows of an index pass a filter, decided on its columns: the same rows as the filter called with each episode.

Session, actor and role are decided once for each name, times by comparing numbers, metadata once for each distinct value
(`fields.py`), ids by asking the store for their positions. What no column holds (the text, a part of an id, a metadata field
too large to keep) is decided by reading episodes, last, and only those that the rest of the filter leaves open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnemic.clock import to_microseconds
from mnemic.filters import ABSENT, Equal, Every, Field, Filter, Ordered, Present, Test
from mnemic.index.fields import LEAST_ROOM, FieldRows, distinct
from mnemic.index.scope_index import Mask, ScopeIndex
from mnemic.model import Episode
from mnemic.store.contract import Store

Read = Callable[[NDArray[np.int64]], Mapping[int, Episode]]
_PAGE = 1_000  # episodes read at a time


def passing(wanted: Filter, index: ScopeIndex, store: Store, read: Read, among: Mask | None = None) -> Mask:
    """[n] the rows that pass; where `among` is given, rows outside it may be left undecided, as False or True.

    read: gives the episodes of some rows, without those that are gone.
    """
    names = {field.name for field in _fields(wanted) if field.own is None}
    kept: dict[str, FieldRows] = {}
    if names:
        room = max(LEAST_ROOM, index.vectors.nbytes)
        kept = index.fields.of(sorted(names), store, index.scopes, index.seqs, room)
    return _Deciding(index, store, read, kept).of(wanted, among)


@dataclass(frozen=True, slots=True)
class _Deciding:
    index: ScopeIndex
    store: Store
    read: Read
    kept: Mapping[str, FieldRows]

    def of(self, wanted: Filter, among: Mask | None) -> Mask:
        if isinstance(wanted, Field):
            by_columns = self._by_columns(wanted)
            return self._by_reading(wanted, among) if by_columns is None else by_columns
        is_and = wanted.kind == "AND"
        found = np.full(len(self.index), is_and)
        for part in sorted(wanted.parts, key=self._is_read):
            is_open = found if is_and else ~found
            passed = self.of(part, is_open if among is None else is_open & among)
            found = found & passed if is_and else found | passed
        return ~found if wanted.kind == "NOT" else found

    def _is_read(self, wanted: Filter) -> bool:
        """Whether episodes must be read to decide this."""
        return any(
            field.own == "text"
            or (field.own == "id" and not _is_by_id(field.test))
            or (field.own is None and field.name not in self.kept)
            for field in _fields(wanted)
        )

    def _by_columns(self, field: Field) -> Mask | None:
        index, test = self.index, field.test
        if field.own is None:
            kept = self.kept.get(field.name)
            return None if kept is None else kept.passing(test)
        if field.own == "id":
            return self._by_id(test)
        columns = {"session": index.sessions, "actor": index.actors, "role": index.roles}
        if field.own in columns:
            return _named(test, index, columns[field.own])
        times = {"occurred_at": index.occurred_at, "recorded_at": index.recorded_at}
        return _timely(test, times[field.own]) if field.own in times else None

    def _by_id(self, test: Test) -> Mask | None:
        if not _is_by_id(test):
            return None
        found = np.full(len(self.index), True)
        for one in test.tests if isinstance(test, Every) else (test,):
            if isinstance(one, Equal):
                chosen = self._with_ids(one.texts)
                found &= chosen if one.is_in else ~chosen
        return found

    def _with_ids(self, ids: frozenset[str]) -> Mask:
        index, found = self.index, np.zeros(len(self.index), np.bool_)
        storable = sorted(id for id in ids if id.isascii() or id.encode("utf-8", "replace").decode() == id)
        if storable and len(index):
            seqs = np.array(self.store.seqs_of(distinct(index.scopes), storable), np.int64)
            places = np.minimum(np.searchsorted(index.seqs, seqs), len(index) - 1)
            found[places[index.seqs[places] == seqs]] = True
        return found

    def _by_reading(self, field: Field, among: Mask | None) -> Mask:
        passed = np.zeros(len(self.index), np.bool_)
        rows = np.arange(len(self.index)) if among is None else np.flatnonzero(among)
        for start in range(0, len(rows), _PAGE):
            episodes = self.read(rows[start : start + _PAGE])
            passed[[row for row, episode in episodes.items() if field(episode)]] = True
        return passed


def _fields(wanted: Filter) -> Iterator[Field]:
    if isinstance(wanted, Field):
        yield wanted
    else:
        for part in wanted.parts:
            yield from _fields(part)


def _is_by_id(test: Test) -> bool:
    """Whether a test of ids asks for whole ones, which the store can look up, or for nothing but that there is one."""
    if isinstance(test, Every):
        return all(map(_is_by_id, test.tests))
    return isinstance(test, Present) or (isinstance(test, Equal) and test.is_scalar)


def _named(test: Test, index: ScopeIndex, numbers: NDArray[np.int32]) -> Mask:
    """Rows by the name that each has, by number; -1 is none."""
    n = int(numbers.max(initial=-1)) + 1
    passed = np.zeros(n + 1, np.bool_)  # the last place is for none
    passed[n] = test(ABSENT)
    if isinstance(test, Equal) and test.is_scalar:
        found = [number for text in test.texts if 0 <= (number := index.number(text)) < n]
        passed[:n] = not test.is_in
        passed[found] = test.is_in
    else:
        for number in np.flatnonzero(np.bincount(numbers[numbers >= 0], minlength=n)).tolist():
            passed[number] = test(index.name(number))
    return passed[numbers]


def _timely(test: Test, moments: NDArray[np.int64]) -> Mask:
    """Rows by their times, in microseconds since 1970."""
    if isinstance(test, Every):
        passed = np.full(len(moments), True)
        for one in test.tests:
            passed &= _timely(one, moments)
        return passed
    if isinstance(test, Equal):
        among: Mask = np.isin(moments, [to_microseconds(moment) for moment in test.moments()])
        return among if test.is_in else ~among
    if isinstance(test, Ordered) and test.moment is not None:
        found: Mask = test.compare(moments, to_microseconds(test.moment))
        return found
    return np.full(len(moments), isinstance(test, Present))  # a time contains nothing
