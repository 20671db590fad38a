"""What a system has made in one scope, as it stands: its records with their vectors, its links, its notes.

A `Made` never changes; `after` gives the one that follows from changes. So a recall reads one state of things while an
observation works on the next, and what is kept in mind between two calls is exactly what the store holds.

A record is a version: a system that changes its mind retires the old one and puts another, with an id of its own. What
was known at an earlier time is then what had been recorded by then and was not yet retired.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemic.clock import to_microseconds
from mnemic.index.columns import Column
from mnemic.index.lexical import LexicalIndex
from mnemic.index.vectors import products
from mnemic.model import Link, Record
from mnemic.store.contract import Changes, Standing, Store
from mnemic.text.terms import terms

Vector = NDArray[np.float32]
Scored = tuple[Record, float]
NEVER = np.iinfo(np.int64).max
_EXACT = 2500  # records whose cosines are all computed; of more, those of the likeliest
_BREADTH = 96  # directions that tell which are likely
_LIKELY = 400
_BLOCK = 128


class Made:
    """Records, vectors, links and notes of a system in a scope, at one version."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self.version = 0
        self.records: dict[str, Record] = {}
        self.links: dict[str, Link] = {}
        self.state: Mapping[str, Any] = {}
        self._links_at: dict[str, tuple[str, ...]] = {}  # ids of links by the id at either end
        self._row_of: dict[str, int] = {}
        self._ids = list[str]()  # by row; shared by later versions, which only append
        self._vectors = Column(np.float32, dim)
        self._coarse = Column(np.float32, _BREADTH)
        self._kinds = Column(np.int32)
        self._recorded = Column(np.int64)
        self._retired = np.empty(0, np.int64)
        self._is_there = np.empty(0, np.bool_)
        self._kind_numbers: dict[str, int] = {}

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
        new.records, new.links = dict(self.records), dict(self.links)
        new.state = self.state if changes.state is None else changes.state
        new._links_at, new._row_of, new._ids = dict(self._links_at), dict(self._row_of), self._ids
        new._vectors, new._coarse = self._vectors.clone(), self._coarse.clone()
        new._kinds, new._recorded = self._kinds.clone(), self._recorded.clone()
        new._kind_numbers = dict(self._kind_numbers)
        retired, is_there = Column.of(self._retired.copy()), Column.of(self._is_there.copy())
        for id in changes.drop_records:
            new.records.pop(id, None)
            if (row := new._row_of.pop(id, None)) is not None:
                is_there.values[row] = False
        fresh: list[tuple[Record, bytes]] = []
        for record in changes.put_records:
            row = new._row_of.get(record.id)
            vector = changes.vectors.get(record.id)
            if row is not None and vector is not None and self._same(row, vector, record):
                retired.values[row] = _moment(record.retired_at)
            elif row is not None:
                is_there.values[row] = False
                del new._row_of[record.id]
                row = None
            new.records[record.id] = record
            if row is None and vector is not None:
                fresh.append((record, vector))
        if fresh:
            rows = np.stack([np.frombuffer(vector, "<f2") for _, vector in fresh]).astype(np.float32)
            first = len(new._vectors)
            del new._ids[first:]  # of a version that was never written
            new._vectors.extend(rows)
            new._coarse.extend(_coarse(rows))
            new._kinds.extend(np.array([new._kind(record.kind) for record, _ in fresh], np.int32))
            new._recorded.extend(np.array([to_microseconds(record.recorded_at) for record, _ in fresh], np.int64))
            retired.extend(np.array([_moment(record.retired_at) for record, _ in fresh], np.int64))
            is_there.extend(np.ones(len(fresh), np.bool_))
            for row, (record, _) in enumerate(fresh, start=first):
                new._row_of[record.id] = row
                new._ids.append(record.id)
        new._retired, new._is_there = retired.values, is_there.values
        for id in changes.drop_links:
            new._unlink(id)
        for link in changes.put_links:
            new._unlink(link.id)
            new.links[link.id] = link
            for end in {link.from_id, link.to_id}:
                new._links_at[end] = (*new._links_at.get(end, ()), link.id)
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
        row = self._row_of.get(id)
        return None if row is None else self._vectors.values[row]

    def links_of(self, id: str) -> list[Link]:
        """The links that begin or end at a record or episode, oldest first."""
        return sorted(
            (self.links[link] for link in self._links_at.get(id, ())), key=lambda one: (one.recorded_at, one.id)
        )

    def nearest(
        self,
        vector: Vector,
        k: int,
        *,
        kinds: Collection[str] | None = None,
        as_of: datetime | None = None,
        where: Callable[[Record], bool] | None = None,
        but: Collection[str] = (),
        beside: Sequence[tuple[Record, Vector]] = (),
    ) -> list[Scored]:
        """The k records of the highest cosine with a vector, best first; ties by id.

        where: what else must hold of a record. but: ids to leave out. beside: further records with their vectors, such as a
        draft has. In a large scope the cosines of the likeliest few hundred are computed; `scores` computes all. What is
        found does not depend on which of the records stand beside.
        """
        mask = self._mask(kinds, as_of)
        mask[[row for id in but if (row := self._row_of.get(id)) is not None]] = False
        rows = np.flatnonzero(mask)
        if len(rows) + len(beside) > _EXACT and k <= _LIKELY // 4 and where is None:
            direction = _coarse(vector[None])[0]
            rough = products(self._coarse.values, direction)[rows]
            others = products(_coarse(np.stack([one for _, one in beside])), direction) if beside else rough[:0]
            both = np.concatenate([rough, others])
            cut = np.partition(both, len(both) - _LIKELY)[len(both) - _LIKELY]
            rows = rows[rough >= cut]
            beside = [one for one, score in zip(beside, others.tolist(), strict=True) if score >= cut]
        cosines = self._cosines(rows, vector)
        if where is None and len(rows) > k > 0:
            cut = np.partition(cosines, len(rows) - k)[len(rows) - k]
            rows, cosines = rows[cosines >= cut], cosines[cosines >= cut]
        records = [self.records[self._ids[row]] for row in rows.tolist()]
        found = list(zip(records, cosines.tolist(), strict=True))
        if beside:
            near = products(np.stack([one for _, one in beside]), vector).tolist()
            found += [(record, cosine) for (record, _), cosine in zip(beside, near, strict=True)]
        found = [one for one in found if where is None or where(one[0])]
        return sorted(found, key=lambda one: (-one[1], one[0].id))[: max(k, 0)]

    def scores(
        self, vector: Vector | None, *, kinds: Collection[str] | None = None, as_of: datetime | None = None
    ) -> list[Scored]:
        """Every record that has a vector with its cosine, best first; ties by id. Without a vector, all 0."""
        rows = np.flatnonzero(self._mask(kinds, as_of))
        cosines = np.zeros(len(rows), np.float32) if vector is None else self._cosines(rows, vector)
        order = np.lexsort((self._rank[rows], -cosines))
        return [
            (self.records[self._ids[row]], cosine)
            for row, cosine in zip(rows[order].tolist(), cosines[order].tolist(), strict=True)
        ]

    @cached_property
    def _rank(self) -> NDArray[np.int64]:
        """[rows] the place of each row's id among all."""
        order = sorted(range(len(self._vectors)), key=self._ids.__getitem__)
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        return rank

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

    def _bm25(
        self, wanted: Sequence[str], kinds: Collection[str] | None, as_of: datetime | None
    ) -> tuple[dict[str, float], float]:
        index, ids = self._lexical
        if not ids:
            return {}, 1.0
        seen = np.array(
            [holds(self.records[id], as_of) and (kinds is None or self.records[id].kind in kinds) for id in ids],
            np.bool_,
        )
        scores, ideal = index.scores(wanted, seen)
        return {ids[row]: float(scores[row]) for row in np.flatnonzero(scores > 0.0).tolist()}, ideal or 1.0

    @cached_property
    def _lexical(self) -> tuple[LexicalIndex, list[str]]:
        index, ids = LexicalIndex(), sorted(self.records)
        index.extend([" ".join(terms(self.records[id].text)) for id in ids])
        return index, ids

    # -- inside -------------------------------------------------------------------------------------------

    def _mask(self, kinds: Collection[str] | None, as_of: datetime | None) -> NDArray[np.bool_]:
        at = NEVER - 1 if as_of is None else to_microseconds(as_of)
        mask: NDArray[np.bool_] = self._is_there & (self._retired > at)
        if as_of is not None:
            mask &= self._recorded.values <= at
        if kinds is not None:
            mask &= np.isin(
                self._kinds.values, [self._kind_numbers[kind] for kind in kinds if kind in self._kind_numbers]
            )
        return mask

    def _cosines(self, rows: NDArray[np.int64], vector: Vector) -> Vector:
        """[n] of some rows; where they are most of all, those of all take less time than copying them."""
        values = self._vectors.values
        if 2 * len(rows) > len(values):
            return products(values, vector)[rows]
        found, room = np.empty(len(rows), np.float32), np.empty((_BLOCK, self.dim), np.float32)
        for at in range(0, len(rows), _BLOCK):  # copied in pieces that stay in the cache
            part = rows[at : at + _BLOCK]
            found[at : at + len(part)] = products(
                np.take(values, part, axis=0, out=room[: len(part)], mode="clip"), vector
            )
        return found

    def _same(self, row: int, vector: bytes, record: Record) -> bool:
        return (
            bool((self._vectors.values[row] == np.frombuffer(vector, "<f2")).all())
            if row < len(self._vectors)
            and self._kinds.values[row] == self._kind_numbers.get(record.kind)
            and self._recorded.values[row] == to_microseconds(record.recorded_at)
            else False
        )

    def _kind(self, kind: str) -> int:
        return self._kind_numbers.setdefault(kind, len(self._kind_numbers))

    def _unlink(self, id: str) -> None:
        if (link := self.links.pop(id, None)) is not None:
            for end in {link.from_id, link.to_id}:
                self._links_at[end] = tuple(other for other in self._links_at[end] if other != id)


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
        if made is None or made.version != version or made.dim != dim():
            made = Made.of(self._store.records.standing(system, scope), dim())
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


def _moment(at: datetime | None) -> int:
    return NEVER if at is None else to_microseconds(at)


_directions: dict[int, Vector] = {}


def _coarse(rows: Vector) -> Vector:
    """[n, 96] what is left of vectors in some fixed directions; cosines survive to about 0.1."""
    dim = rows.shape[1]
    if dim not in _directions:
        made = np.random.default_rng(dim).standard_normal((dim, _BREADTH)).astype(np.float32)
        _directions[dim] = made / np.float32(np.sqrt(_BREADTH))
    found: Vector = np.einsum("nd,db->nb", rows, _directions[dim])
    return found


def by_id(records: Iterable[Record]) -> dict[str, Record]:
    """Records by their ids."""
    return {one.id: one for one in records}
