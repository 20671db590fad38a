"""What a system has made in a scope, with what it changes now: what an observation works on.

    draft = view.draft()
    near = draft.nearest(vector, 5, kinds=["fact"])
    draft.put(Record(...))                        # embedded when it is first needed, with all others that wait
    draft.retire(old.id, at=episode.recorded_at)
    return draft.changes()

Nothing is written: the changes are, once the observation is over, together with its cursor.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from mnemic.index.vectors import products
from mnemic.model import Link, Record
from mnemic.store.contract import Changes
from mnemic.store.rows import to_json
from mnemic.systems.made import Beside, Made, Scored, holds, rounded
from mnemic.systems.made_rows import Vector, VectorRows


class Draft:
    """The records, links and notes of a system as they stand, and as it wants them.

    state: the system's notes of where it stands, JSON values that may be changed in place. They are gone when anything that
    the system observed is forgotten, since it starts again then; still they should hold numbers and ids, no texts.
    """

    def __init__(
        self,
        made: Made,
        embed: Callable[[Sequence[str]], Vector],
        superseded: Callable[[Iterable[str], int], set[str]] = lambda ids, at_seq: set(),
    ) -> None:
        self._made = made
        self._embed = embed
        self._superseded = superseded  # see `View.superseded`
        self._put: dict[str, Record] = {}
        self._dropped: dict[str, None] = {}
        self._vectors = VectorRows(made.dim)
        self._row_of: dict[str, int] = {}  # of the vectors of those that were put
        self._texts: dict[str, str] = {}  # waiting to be embedded, by record
        self._links: dict[str, Link] = {}
        self._dropped_links: dict[str, None] = {}
        self.state: dict[str, Any] = deepcopy(dict(made.state))

    # -- records ------------------------------------------------------------------------------------------

    def get(self, id: str) -> Record | None:
        """The record of that id."""
        if id in self._dropped:
            return None
        return self._put.get(id) or self._made.records.get(id)

    def records(self, kinds: Collection[str] | None = None, *, include_retired: bool = False) -> list[Record]:
        """The records of these kinds, oldest first."""
        found = [one for id, one in self._made.records.items() if id not in self._put and id not in self._dropped]
        found += self._put.values()
        found = [one for one in found if (kinds is None or one.kind in kinds) and (include_retired or holds(one))]
        return sorted(found, key=lambda one: (one.recorded_at, one.id))

    def put(self, record: Record, *, embed: str | bool = True, vector: Vector | None = None) -> Record:
        """Add a record, or replace the one of its id.

        embed: the text that stands for it among the vectors, where it is not its own; False for none. vector: [dim] what
        stands for it, where it is known already. Returns the record as it will come back from the store.
        """
        record = as_stored(record)
        self._dropped.pop(record.id, None)
        self._put[record.id] = record
        self._texts.pop(record.id, None)
        self._row_of.pop(record.id, None)
        if vector is not None:
            self._add({record.id: None}, rounded(vector)[None])
        elif embed:
            self._texts[record.id] = record.text if embed is True else str(embed)
        return record

    def change(self, record: Record) -> Record:
        """Replace the record of that id by one whose vector is the same: its strength, data or times changed."""
        vector = self.vector(record.id)
        return self.put(record, embed=False, vector=vector)

    def retire(self, id: str, at: datetime, valid_to: datetime | None = None) -> Record | None:
        """A record is superseded: it stays, for what is asked as of an earlier time."""
        if (record := self.get(id)) is None or record.retired_at is not None:
            return None
        return self.change(replace(record, retired_at=at, valid_to=valid_to or record.valid_to))

    def drop(self, id: str) -> None:
        """Take a record away, with its links and every trace."""
        for link in self.links_of(id):
            self.drop_link(link.id)
        self._put.pop(id, None)
        self._texts.pop(id, None)
        self._row_of.pop(id, None)
        if id in self._made.records:
            self._dropped[id] = None

    def vector(self, id: str) -> Vector | None:
        """[dim] the vector of a record, if it has one."""
        if id in self._texts:
            self._embed_waiting()
        if id in self._put or id in self._dropped:
            return self._own_vector(id)
        return self._made.vector(id)

    def cosines(self, ids: Sequence[str], vector: Vector) -> Vector:
        """[n] of records that have a vector."""
        self._embed_waiting()
        found = np.empty(len(ids), np.float32)
        own = [at for at, id in enumerate(ids) if id in self._row_of]
        others = [at for at, id in enumerate(ids) if id not in self._row_of]
        found[own] = products(self._vectors.vectors[[self._row_of[ids[at]] for at in own]], vector)
        found[others] = self._made.cosines([ids[at] for at in others], vector)
        return found

    def nearest(
        self,
        vector: Vector,
        k: int,
        *,
        kinds: Collection[str] | None = None,
        where: Callable[[Record], bool] | None = None,
        but: Collection[str] = (),
        floor: float = -1.0,
        standing_at: int | None = None,
    ) -> list[Scored]:
        """The k current records of the highest cosine with a vector, at least `floor`, best first; ties by id.

        standing_at: leave out what no longer stood at that position of the log (see `standing`).
        """
        self._embed_waiting()
        there = [
            (one, row)
            for id, row in self._row_of.items()
            if (one := self._put[id]).retired_at is None and id not in but and (kinds is None or one.kind in kinds)
        ]
        rows = [row for _, row in there]
        vectors, codes = self._vectors.vectors[rows], self._vectors.codes[rows]
        beside = Beside([one for one, _ in there], vectors, codes) if there else None
        without = {*self._put, *self._dropped, *but}
        wanted, found = k, list[Scored]()
        while True:
            near = self._made.nearest(vector, wanted, kinds=kinds, where=where, but=without, beside=beside)
            found = [one for one in near if one[1] >= floor]
            if standing_at is None:
                return found
            stands = self.standing([one for one, _ in found], standing_at)
            standing = [one for one, is_standing in zip(found, stands, strict=True) if is_standing]
            if len(standing) >= k or len(found) < wanted:
                return standing[:k]
            wanted *= 4

    def standing(self, records: Sequence[Record], at_seq: int) -> list[bool]:
        """Whether an episode that each was made of stood at that position of the log: was not corrected before or there.

        A record that does not stand is no hit (`View.sees`), so what it says must not count as known: it may be said again.
        """
        gone = self._superseded((id for one in records for id in one.sources), at_seq)
        return [not gone or not one.sources or not gone.issuperset(one.sources) for one in records]

    def stands(self, record: Record, at_seq: int) -> bool:
        """The same of one record."""
        return self.standing([record], at_seq)[0]

    # -- links --------------------------------------------------------------------------------------------

    def put_link(self, link: Link) -> Link:
        """Add a link, or replace the one of its id."""
        self._dropped_links.pop(link.id, None)
        self._links[link.id] = link
        return link

    def drop_link(self, id: str) -> None:
        """Take a link away."""
        self._links.pop(id, None)
        if id in self._made.links:
            self._dropped_links[id] = None

    def link(self, id: str) -> Link | None:
        """The link of that id."""
        if id in self._dropped_links:
            return None
        return self._links.get(id) or self._made.links.get(id)

    def links(self) -> list[Link]:
        """All links, oldest first."""
        found = {**self._made.links, **self._links}
        return sorted(
            (one for one in found.values() if one.id not in self._dropped_links),
            key=lambda one: (one.recorded_at, one.id),
        )

    def links_of(self, id: str) -> list[Link]:
        """The links that begin or end at a record or episode, oldest first."""
        found = {one.id: one for one in self._made.links_of(id) if self.link(one.id) is one}
        found |= {one.id: one for one in self._links.values() if id in (one.from_id, one.to_id)}
        return sorted(found.values(), key=lambda one: (one.recorded_at, one.id))

    # -- the end ------------------------------------------------------------------------------------------

    def changes(self) -> Changes:
        """What is to be written."""
        self._embed_waiting()
        put = tuple(one for id, one in self._put.items() if one != self._made.records.get(id) or self._moved(id))
        notes = as_json(self.state)
        state = notes if notes != dict(self._made.state) else None
        return Changes(
            put_records=put,
            drop_records=tuple(self._dropped),
            put_links=tuple(one for id, one in self._links.items() if one != self._made.links.get(id)),
            drop_links=tuple(self._dropped_links),
            vectors={
                one.id: vector.astype("<f2").tobytes()
                for one in put
                if (vector := self._own_vector(one.id)) is not None
            },
            state=state,
        )

    def _moved(self, id: str) -> bool:
        new, old = self._own_vector(id), self._made.vector(id)
        return (new is None) != (old is None) or (new is not None and old is not None and bool((new != old).any()))

    def _own_vector(self, id: str) -> Vector | None:
        row = self._row_of.get(id)
        return None if row is None else self._vectors.vectors[row]

    def _embed_waiting(self) -> None:
        if self._texts:
            vectors = self._embed(list(self._texts.values()))
            self._add(self._texts, vectors)
            self._texts.clear()

    def _add(self, ids: Iterable[str], vectors: Vector) -> None:
        self._row_of |= {id: row for row, id in enumerate(ids, start=len(self._vectors))}
        self._vectors.extend(vectors)


def as_stored(record: Record) -> Record:
    """The record as it comes back from the store: times in UTC, data as JSON gives it.

    So a prompt that shows it is the same now and after the memory was opened again.
    """
    return replace(
        record,
        recorded_at=record.recorded_at.astimezone(UTC),
        valid_from=record.valid_from and record.valid_from.astimezone(UTC),
        valid_to=record.valid_to and record.valid_to.astimezone(UTC),
        retired_at=record.retired_at and record.retired_at.astimezone(UTC),
        data=as_json(record.data),
    )


def as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they come back from the store: lists for tuples, text for keys that are numbers."""
    read: dict[str, Any] = json.loads(to_json(values) or "{}")
    return read
