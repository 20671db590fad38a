"""What a system has made in one scope, as it stands: its records with their vectors, its links, its notes.

A `Made` never changes; `after` gives the one that follows from changes. So a recall reads one state of things while an
observation works on the next, and what is kept in mind between two calls is exactly what the store holds.

A record is a version: a system that changes its mind retires the old one and puts another, with an id of its own. What
was known at an earlier time is then what had been recorded by then and was not yet retired.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from threading import Lock
from typing import Any, NamedTuple, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from mnemic.index import signs
from mnemic.index.vectors import products
from mnemic.model import Link, Record
from mnemic.store.contract import Changes, Standing, Store
from mnemic.systems.made_rows import RecordRows, Rows, VectorRows, WordRows
from mnemic.systems.made_rows import Vector as Vector

Scored = tuple[Record, float]
_EXACT = 2500  # records whose cosines are all computed; of more, those of the likeliest
_LIKELY, _SHARE = 400, 100  # as many, or one in so many
_SPARE = 5000  # rows of records that are gone, beyond as many as are there, before the others are put together anew
_BLOCK = 128


class Beside(NamedTuple):
    """Further records with their vectors [n, dim] and codes [n, 4], such as a draft has."""

    records: Sequence[Record]
    vectors: Vector
    codes: signs.Codes


class Derived(Protocol):
    """Something worked out from what a system has made, that can follow its changes. It never changes itself."""

    @classmethod
    def of(cls, made: Made) -> Self:
        """Worked out from all there is."""
        ...

    def after(self, changes: Changes) -> Self:
        """What it is once these changes are written."""
        ...


D = TypeVar("D", bound=Derived)


class Made:
    """Records, vectors, links and notes of a system in a scope, at one version."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self.version = 0
        self.records: dict[str, Record] = {}
        self.links: dict[str, Link] = {}
        self.state: Mapping[str, Any] = {}
        self._links_at: dict[str, tuple[Link, ...]] = {}  # by the id at either end, oldest first
        self._rows, self._vectors = RecordRows(), VectorRows(dim)  # of the records that have a vector
        self._words: WordRows | None = None  # of all records, from the first time that words are asked for
        self._is_followed = False
        self._codes: dict[frozenset[str] | None, signs.Codes] = {}
        self._derived: dict[type[Derived], Derived] = {}

    @classmethod
    def of(cls, standing: Standing, dim: int) -> Made:
        """What the store holds."""
        made = cls(dim)
        changes = Changes(tuple(standing.records), (), tuple(standing.links), (), standing.vectors, standing.state)
        return made.after(changes, standing.version)

    def after(self, changes: Changes, version: int) -> Made:
        """What stands once these changes are written. Only the newest may be asked for the next."""
        new = Made(self.dim)
        new.version = version
        new.state = self.state if changes.state is None else changes.state
        new.records, new.links, new._links_at = dict(self.records), dict(self.links), dict(self._links_at)
        new._put_records(self, changes)
        for id in changes.drop_links:
            new._unlink(id)
        for link in changes.put_links:
            new._unlink(link.id)
            new.links[link.id] = link
            for end in {link.from_id, link.to_id}:
                others = new._links_at.get(end, ())
                at = bisect_right(others, _age(link), key=_age)
                new._links_at[end] = (*others[:at], link, *others[at:])
        new._derived = {kind: one.after(changes) for kind, one in dict(self._derived).items()}
        return new

    # -- reading ------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.records)

    def current(self, kinds: Collection[str] | None = None, as_of: datetime | None = None) -> list[Record]:
        """The records that hold now, or held as far as was known at a time; oldest first."""
        found = [one for one in self.records.values() if (kinds is None or one.kind in kinds) and holds(one, as_of)]
        return sorted(found, key=lambda one: (one.recorded_at, one.id))

    def vector(self, id: str) -> Vector | None:
        """[dim] the vector of a record, if it has one."""
        row = self._rows.row_of.get(id)
        return None if row is None else self._vectors.vectors[row]

    def cosines(self, ids: Sequence[str], vector: Vector) -> Vector:
        """[n] of records that have a vector."""
        return self._cosines(np.array([self._rows.row_of[id] for id in ids], np.int64), vector)

    def links_of(self, id: str) -> list[Link]:
        """The links that begin or end at a record or episode, oldest first."""
        return list(self._links_at.get(id, ()))

    def derived(self, kind: type[D]) -> D:
        """What a system works out from its records, such as a table of them: once, then carried on from state to state."""
        found = self._derived.get(kind)
        if found is None:
            found = self._derived[kind] = kind.of(self)
        assert isinstance(found, kind)
        return found

    def nearest(
        self,
        vector: Vector,
        k: int,
        *,
        kinds: Collection[str] | None = None,
        as_of: datetime | None = None,
        where: Callable[[Record], bool] | None = None,
        but: Collection[str] = (),
        beside: Beside | None = None,
    ) -> list[Scored]:
        """The k records of the highest cosine with a vector, best first; ties by id.

        where: what else must hold of a record. but: ids to leave out. In a large scope, and for k up to 100, the cosines
        of the likeliest few hundred are computed; of all where too few of those fit. `scores` always computes all. What
        is found does not depend on which of the records stand beside.
        """
        rows = self._rows.sight(kinds, as_of)
        hidden = self._rows.places(rows, but)
        others = np.arange(0 if beside is None else len(beside.records))
        n = len(rows) - len(hidden) + len(others)
        if n > _EXACT and k <= _LIKELY // 4:
            most = max(_LIKELY, n // _SHARE)
            code = signs.codes(vector[None])[0]
            far = signs.distances(self._codes_of(rows, kinds, as_of), code)
            far[hidden] = signs.BITS + 1
            both = far if beside is None else np.concatenate([far, signs.distances(beside.codes.T, code)])
            cut = np.partition(both, most - 1)[most - 1]
            likely = rows[both[: len(rows)] <= cut], others[both[len(rows) :] <= cut]
            found = self._scored(vector, k, likely, beside, where)
            if where is None or len(found) >= _LIKELY // 2:
                return _first(k, found)
        return _first(k, self._scored(vector, k, (np.delete(rows, hidden), others), beside, where))

    def scores(
        self, vector: Vector | None, *, kinds: Collection[str] | None = None, as_of: datetime | None = None
    ) -> list[Scored]:
        """Every record that has a vector with its cosine, best first; ties by id. Without a vector, all 0."""
        rows = self._rows.sight(kinds, as_of)
        cosines = np.zeros(len(rows), np.float32) if vector is None else self._cosines(rows, vector)
        ids = self._rows.ids
        order = _best_first(rows, cosines, ids)
        return [
            (self.records[ids[row]], cosine)
            for row, cosine in zip(rows[order].tolist(), cosines[order].tolist(), strict=True)
        ]

    def words(
        self, wanted: Sequence[str], *, kinds: Collection[str] | None = None, as_of: datetime | None = None
    ) -> dict[str, float]:
        """BM25 of the records' texts for terms (see `mnemic.text.terms.terms`), by id, in [0, 1] of an ideal text's."""
        scores, ideal = self._bm25(wanted, kinds, as_of)
        return {id: min(score / ideal, 1.0) for id, score in scores.items()}

    def bm25(
        self, wanted: Sequence[str], *, kinds: Collection[str] | None = None, as_of: datetime | None = None
    ) -> dict[str, float]:
        """The same, not scaled: the sums as they are."""
        return self._bm25(wanted, kinds, as_of)[0]

    # -- inside -------------------------------------------------------------------------------------------

    def _put_records(self, before: Made, changes: Changes) -> None:
        put = tuple({one.id: one for one in changes.put_records}.values())
        gone = dict.fromkeys(changes.drop_records)
        same, fresh = list[Record](), list[tuple[Record, bytes]]()
        for one in put:
            row, vector = before._rows.row_of.get(one.id), changes.vectors.get(one.id)
            is_same = row is not None and one.id not in gone and vector is not None
            if is_same and row is not None and before._is_vector(row, vector) and before._rows.fits(row, one):
                same.append(one)
            elif vector is not None:
                fresh.append((one, vector))
            else:
                gone[one.id] = None
        self._rows = before._rows.after(gone, same, [one for one, _ in fresh])
        self._vectors = before._vectors.clone()
        if fresh:
            self._vectors.extend(np.stack([_read(vector) for _, vector in fresh]))
        if before._words is not None and not before._is_followed:
            self._words = before._words.after(before.records, changes.drop_records, put)
        before._is_followed = True  # the words of a state grow into those of the next one, and of no other
        for id in changes.drop_records:
            self.records.pop(id, None)
        self.records |= {one.id: one for one in put}
        if len(self._vectors) > 2 * len(self._rows.row_of) + _SPARE:
            self._gather()

    def _gather(self) -> None:
        """Put the rows that are there together, without those of records that are gone."""
        kept = sorted(self._rows.row_of.items(), key=lambda one: one[1])
        vectors = VectorRows(self.dim)
        vectors.extend(self._vectors.vectors[[row for _, row in kept]])
        self._rows = RecordRows().after((), (), [self.records[id] for id, _ in kept])
        self._vectors, self._words = vectors, None

    def _scored(
        self,
        vector: Vector,
        k: int,
        among: tuple[Rows, Rows],
        beside: Beside | None,
        where: Callable[[Record], bool] | None,
    ) -> list[Scored]:
        """Some rows, and some that stand beside, that fit; without `where` the k best of them alone, with their ties."""
        rows, others = among
        ids, records = self._rows.ids, self.records
        cosines = self._cosines(rows, vector)
        if beside is not None:
            cosines = np.concatenate([cosines, products(beside.vectors[others], vector)])
        places = np.arange(len(cosines))
        if where is None and len(cosines) > k > 0:
            places = np.flatnonzero(cosines >= np.partition(cosines, len(cosines) - k)[len(cosines) - k])
        scored = [
            (
                records[ids[rows[at]]] if at < len(rows) or beside is None else beside.records[others[at - len(rows)]],
                cosine,
            )
            for at, cosine in zip(places.tolist(), cosines[places].tolist(), strict=True)
        ]
        return [one for one in scored if where is None or where(one[0])]

    def _codes_of(self, rows: Rows, kinds: Collection[str] | None, as_of: datetime | None) -> signs.Codes:
        """[4, n] the codes of a sight, of what holds now laid out once."""
        if as_of is not None:
            return self._vectors.codes[rows].T
        key = None if kinds is None else frozenset(kinds)
        if (found := self._codes.get(key)) is None:
            found = self._codes[key] = np.ascontiguousarray(self._vectors.codes[rows].T)
        return found

    def _cosines(self, rows: Rows, vector: Vector) -> Vector:
        """[n] of some rows; where they are most of all, those of all take less time than copying them."""
        values = self._vectors.vectors
        if 2 * len(rows) > len(values):
            return products(values, vector)[rows]
        found, room = np.empty(len(rows), np.float32), np.empty((_BLOCK, self.dim), np.float32)
        for at in range(0, len(rows), _BLOCK):  # copied in pieces that stay in the cache
            part = rows[at : at + _BLOCK]
            found[at : at + len(part)] = products(
                np.take(values, part, axis=0, out=room[: len(part)], mode="clip"), vector
            )
        return found

    def _bm25(
        self, wanted: Sequence[str], kinds: Collection[str] | None, as_of: datetime | None
    ) -> tuple[dict[str, float], float]:
        words = self._words
        if words is None:
            words = self._words = WordRows.of(self.records.values())
        scores, ideal = words.index.scores(wanted, words.rows.mask(kinds, as_of))
        ids = words.rows.ids
        return {ids[row]: float(scores[row]) for row in np.flatnonzero(scores > 0.0).tolist()}, ideal or 1.0

    def _is_vector(self, row: int, vector: bytes | None) -> bool:
        return vector is not None and bool((self._vectors.vectors[row] == _read(vector)).all())

    def _unlink(self, id: str) -> None:
        if (link := self.links.pop(id, None)) is not None:
            for end in {link.from_id, link.to_id}:
                self._links_at[end] = tuple(other for other in self._links_at[end] if other.id != id)


class MadeLibrary:
    """What systems made, scope by scope, kept in mind as long as nobody changed it."""

    def __init__(self, store: Store, capacity: int = 64) -> None:
        self._store = store
        self._capacity = capacity
        self._kept: OrderedDict[tuple[str, str], Made] = OrderedDict()
        self._lock = Lock()

    def of(self, system: str, scope: str, dim: Callable[[], int]) -> Made:
        """What the system made in the scope, as the store holds it now."""
        key, version = (system, scope), self._store.records.version(system, scope)
        with self._lock:
            made = self._kept.get(key)
            if made is not None:
                self._kept.move_to_end(key)
        if made is None or made.version != version or made.dim != dim():
            made = Made.of(self._store.records.standing(system, scope), dim())
            if self._store.records.version(system, scope) == made.version:  # else something newer may be kept by now
                self._keep(key, made)
        return made

    def applied(self, system: str, scope: str, before: Made, changes: Changes, version: int) -> None:
        """The changes were written and made this version."""
        self._keep((system, scope), before.after(changes, version))

    def drop(self, scope: str) -> None:
        """Forget what was made in a scope."""
        with self._lock:
            for key in [key for key in self._kept if key[1] == scope]:
                del self._kept[key]

    def _keep(self, key: tuple[str, str], made: Made) -> None:
        with self._lock:
            self._kept[key] = made
            self._kept.move_to_end(key)
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)


def holds(record: Record, as_of: datetime | None = None) -> bool:
    """Whether a record is current, or was as far as was known at a time."""
    if as_of is None:
        return record.retired_at is None
    return record.recorded_at <= as_of and (record.retired_at is None or record.retired_at > as_of)


def rounded(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """As they will be once they were stored."""
    return vectors.astype("<f2").astype(np.float32)


def _age(link: Link) -> tuple[datetime, str]:
    return link.recorded_at, link.id


def _read(vector: bytes) -> Vector:
    return np.frombuffer(vector, "<f2").astype(np.float32)


def _first(k: int, scored: Iterable[Scored]) -> list[Scored]:
    return sorted(scored, key=lambda one: (-one[1], one[0].id))[: max(k, 0)]


def _best_first(rows: Rows, cosines: Vector, ids: Sequence[str]) -> NDArray[np.int64]:
    """[n] the order of falling cosines; where some are equal, of ids."""
    order = np.argsort(-cosines, kind="stable")
    ordered = cosines[order]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(ordered) != 0.0) + 1, [len(order)]])
    for run in np.flatnonzero(np.diff(starts) > 1).tolist():
        tied = order[starts[run] : starts[run + 1]]
        tied[:] = sorted(tied.tolist(), key=lambda at: ids[int(rows[at])])
    return order
