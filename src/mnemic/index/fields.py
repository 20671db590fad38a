"""The metadata fields that filters ask for, kept beside an index: for each field a number for every row, and the distinct
values by number.

A field is read when a filter first names it: the metadata of all rows, once; later only that of rows that came since. Nothing
that no filter names takes room. Clones of an index share its fields, since rows are only ever appended; an index that learns of
a removal starts others, so that no value outlives its episodes. All fields together take at most as much as the vectors do;
one that would take more by itself is not kept, and is decided by reading the episodes.
"""

from __future__ import annotations

import json
import sys
import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemic.filters import ABSENT, Equal, Every, Ordered, Present, Test, value_of
from mnemic.index.columns import Column
from mnemic.store.contract import Store

LEAST_ROOM = 16 * 2**20  # bytes that fields may take beside an index of any size
_PAGE = 2_048
_ENTRY = 130  # bytes of a value's places in a dictionary, a list and a column, about
_EXACT = 2**53  # whole numbers up to this are the same as floats
_JSON = json.JSONDecoder()


class Values:
    """Distinct JSON values, numbered from 0; only ever appended to, so that the first n stay what they are."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.nbytes = 0
        self._number_of: dict[Hashable, int] = {}
        self._floats = Column(np.float64)  # each value as a number: numbers, and texts that read as one; else NaN
        self._texts: list[int] = []  # the numbers of the texts that do not read as a number
        self._odd: list[int] = []  # of what is neither: true, null, whole numbers too large, lists, dictionaries

    def numbers(self, values: Iterable[Any]) -> list[int]:
        """The values' numbers, new ones where they are new; -1 for ABSENT."""
        known = self._number_of.get
        found = []
        for value in values:
            if value is ABSENT:
                found.append(-1)
                continue
            key = value if type(value) is str else _key(value)
            number = known(key)
            found.append(self._add(key, value) if number is None else number)
        return found

    def _add(self, key: Hashable, value: Any) -> int:
        number = self._number_of[key] = len(self.items)
        self.items.append(value)
        self.nbytes += _ENTRY + (200 + 8 * len(key[0]) if isinstance(key, tuple) else sys.getsizeof(value))
        return number

    def settle(self) -> None:
        """Note the new values as numbers; called once they are all in."""
        first = len(self._floats)
        floats = np.full(len(self.items) - first, np.nan)
        for place, value in enumerate(self.items[first:]):
            if (number := _as_float(value)) is not None:
                floats[place] = number
            else:
                (self._texts if isinstance(value, str) else self._odd).append(first + place)
        self._floats.extend(floats)

    def passing(self, test: Test, n: int) -> NDArray[np.bool_]:
        """[n + 1] which of the first n values pass a test; the last place is for what has no value at all."""
        passed = np.zeros(n + 1, np.bool_)
        passed[n] = test(ABSENT)
        if isinstance(test, Every):
            passed[:n] = True
            for one in test.tests:
                passed[:n] &= self.passing(one, n)[:n]
        elif isinstance(test, Present):
            passed[:n] = True
        elif isinstance(test, Equal) and test.is_scalar:
            found = (self._number_of.get(_key(choice), n) for choice in test.choices)
            chosen = [number for number in found if number < n]
            passed[:n] = not test.is_in
            passed[chosen] = test.is_in
        elif isinstance(test, Ordered) and _is_exact(test.wanted):
            self._compare(test, passed[:n])
        else:
            passed[:n] = np.fromiter(map(test, self.items[:n]), np.bool_, n)
        return passed

    def _compare(self, test: Ordered, passed: NDArray[np.bool_]) -> None:
        """As the test itself has it: as numbers where both read as numbers, else as texts where both are."""
        n, wanted = len(passed), _as_float(test.wanted)
        if wanted is None:
            compare, text = test.compare, test.wanted
            passed[:] = np.fromiter((type(one) is str and compare(one, text) for one in self.items[:n]), np.bool_, n)
            return
        passed[:] = test.compare(self._floats.values[:n], wanted)
        for numbers in (self._odd, self._texts if isinstance(test.wanted, str) else []):
            for number in numbers[: bisect_left(numbers, n)]:
                passed[number] = test(self.items[number])


@dataclass(frozen=True, slots=True)
class FieldRows:
    """One metadata field of the rows of an index, as it stands."""

    values: Values
    n_values: int  # another thread may add more
    numbers: NDArray[np.int32]  # [n_rows] each row's value by number, -1 where it has none

    def passing(self, test: Test) -> NDArray[np.bool_]:
        """[n_rows] which rows pass a test."""
        passed: NDArray[np.bool_] = self.values.passing(test, self.n_values)[self.numbers]  # -1 is its last place
        return passed


class KeptField:
    """One metadata field of an index's rows, as it grows."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.values = Values()
        self.numbers = Column(np.int32)
        self.is_too_large = False

    @property
    def nbytes(self) -> int:
        """Bytes held, about."""
        return self.values.nbytes + self.numbers.nbytes

    def give_up(self) -> None:
        """Hold nothing: the values take too much room."""
        self.values, self.numbers, self.is_too_large = Values(), Column(np.int32), True


class Fields:
    """The metadata fields of one index and its clones, by the names that filters gave them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, KeptField] = OrderedDict()
        self.has_grown = False  # since the library counted it

    @property
    def nbytes(self) -> int:
        """Bytes held, about."""
        return sum(field.nbytes for field in list(self._kept.values()))

    def of(
        self, names: Iterable[str], store: Store, scopes: NDArray[np.int64], seqs: NDArray[np.int64], room: int
    ) -> dict[str, FieldRows]:
        """These fields, up to date for the rows at `seqs` of the scopes; those that are too large are left out.

        room: how many bytes all fields of the index may take; those that were not asked for lately go first.
        """
        with self._lock:  # one thread reads, the others find it done
            asked = {name: self._kept.get(name) or KeptField(name) for name in names}
            behind: dict[int, list[KeptField]] = {}
            for field in asked.values():
                if not field.is_too_large and len(field.numbers) < len(seqs):
                    behind.setdefault(len(field.numbers), []).append(field)
            for first, fields in behind.items():
                _read(fields, store, scopes[first:], seqs[first:], room)
                self.has_grown = True
            for name, field in asked.items():
                self._kept[name] = field
                self._kept.move_to_end(name)
            while len(self._kept) > len(asked) and self.nbytes > room:
                self._kept.popitem(last=False)
            return {
                name: FieldRows(field.values, len(field.values.items), field.numbers.values[: len(seqs)])
                for name, field in asked.items()
                if not field.is_too_large
            }


def _read(
    fields: Sequence[KeptField], store: Store, scopes: NDArray[np.int64], seqs: NDArray[np.int64], room: int
) -> None:
    """Append the fields' values of the rows at `seqs`; a row that was removed meanwhile has none."""
    scope_ids, after, last = distinct(scopes), int(seqs[0]) - 1, int(seqs[-1])
    numbers = {field.name: np.full(len(seqs), -1, np.int32) for field in fields}
    page_size = min(_PAGE, len(seqs))
    while after < last:
        page = store.metadata(scope_ids, after=after, limit=page_size)
        read = np.array([seq for seq, _ in page], np.int64)
        places = np.minimum(np.searchsorted(seqs, read), len(seqs) - 1)
        is_ours = seqs[places] == read
        parsed = {text: _JSON.raw_decode(text)[0] for text in dict.fromkeys(text for _, text in page)}
        for field in fields:
            if not field.is_too_large:
                found = field.values.numbers(value_of(field.name, metadata) for metadata in parsed.values())
                number_of = dict(zip(parsed, found, strict=True))
                column = np.fromiter((number_of[text] for _, text in page), np.int32, len(page))
                numbers[field.name][places[is_ours]] = column[is_ours]
                if field.nbytes > room:
                    field.give_up()
        after = page[-1][0] if len(page) == page_size else last
    for field in fields:
        if not field.is_too_large:
            field.values.settle()
            field.numbers.extend(numbers[field.name])


def distinct(scopes: NDArray[np.int64]) -> list[int]:
    """The scopes that occur, ascending; nearly always it is one."""
    return [int(scopes[0])] if bool((scopes == scopes[0]).all()) else [int(scope) for scope in np.unique(scopes)]


def _key(value: Any) -> Hashable:
    """The same for values that no filter tells apart. A number is itself, so that 3 is 3.0; True is not 1 here."""
    return value if type(value) in (str, int, float) or value is None else (json.dumps(value),)


def _as_float(value: Any) -> float | None:
    """The number that a filter takes the value for, where a float holds it exactly or it is text that reads as one."""
    if type(value) is float or (type(value) is int and -_EXACT <= value <= _EXACT):
        return float(value)
    if type(value) is not str or (value[:1].isalpha() and value[0] not in "iInN"):  # quicker; inf and nan are numbers
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _is_exact(wanted: object) -> bool:
    """Whether comparing with it can be done on floats and texts alone."""
    return type(wanted) in (str, float) or (type(wanted) is int and -_EXACT <= wanted <= _EXACT)
