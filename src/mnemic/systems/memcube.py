"""A MemCube: memories with what governs them, to be handed on and read elsewhere under the same rules.

The one idea: whoever holds the cube holds everything that is needed to recall from it: records with all their versions, links,
vectors, owner, readers and times to live. Each reading and writing names who does it and when; each leaves a line in the
cube's audit log, also where it was refused. What has expired is invisible to all, and its line stays.

Card: memos. Source: MemOS, arXiv 2507.03724 and 2505.22101. Departs: payloads are text; activation and parametric memories
come with the neural wing. The log's own scopes keep their rule: a cube is a copy that somebody took, never a way across.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mnemic.clock import as_aware
from mnemic.errors import Forbidden, FormatError, NotFound, ParameterError
from mnemic.index.vectors import products
from mnemic.model import Link, Record
from mnemic.systems.made import Scored, Vector, holds, rounded

FORMAT = "mnemic-memcube-1"
MERGED_TO = "MERGED_TO"  # the kind of a link from what was archived to what took its place
Visibility = Literal["private", "session", "public"]
Embed = Callable[[Sequence[str]], Vector]


@dataclass(frozen=True, slots=True)
class Governance:
    """Who may read a memory, and how long it lives."""

    visibility: Visibility = "private"  # "session": only within the session it was said in
    expires_at: datetime | None = None
    priority: int = 0
    is_frozen: bool = False  # it is never merged, replaced or moved out
    tags: tuple[str, ...] = ()  # of compliance

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values, what is usual left out."""
        values: dict[str, Any] = {}
        if self.visibility != "private":
            values["visibility"] = self.visibility
        if self.expires_at is not None:
            values["expires_at"] = self.expires_at.isoformat()
        if self.priority:
            values["priority"] = self.priority
        if self.is_frozen:
            values["is_frozen"] = True
        if self.tags:
            values["tags"] = list(self.tags)
        return values

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Governance:
        """What `to_dict` gave."""
        end = values.get("expires_at")
        return cls(
            values.get("visibility", "private"),
            datetime.fromisoformat(end) if end else None,
            int(values.get("priority", 0)),
            bool(values.get("is_frozen")),
            tuple(values.get("tags", ())),
        )


def governance_in(metadata: Mapping[str, Any], said_at: datetime) -> Governance:
    """What an episode's metadata orders: visibility, ttl_days or expires_at, priority, frozen, compliance.

    What means nothing is left out: an episode is remembered, whatever stands in its metadata.
    """
    visibility = metadata.get("visibility")
    priority, tags = metadata.get("priority"), metadata.get("compliance")
    return Governance(
        visibility if visibility in ("private", "session", "public") else "private",
        _end_in(metadata, said_at),
        priority if isinstance(priority, int) and not isinstance(priority, bool) else 0,
        metadata.get("frozen") is True,
        tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list | tuple) else (),
    )


def governance(record: Record) -> Governance:
    """What governs a record."""
    return Governance.of(record.data.get("governance", {}))


def is_expired(record: Record, at: datetime) -> bool:
    """Whether its time to live is over."""
    end = governance(record).expires_at
    return end is not None and end <= at


def is_bound(record: Record) -> bool:
    """Whether it is not for everybody who may read the rest, or not for good: of one session, or with a time to live."""
    found = governance(record)
    return found.visibility == "session" or found.expires_at is not None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an audit log."""

    at: datetime
    who: str
    operation: str
    outcome: Literal["done", "denied", "expired"]
    ids: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            "at": self.at.isoformat(),
            "who": self.who,
            "operation": self.operation,
            "outcome": self.outcome,
            "ids": list(self.ids),
        }


@dataclass(slots=True)
class MemCube:
    """Records, links and vectors of one owner.

    readers: who else may read everything; a record that is public everybody may. Times are handed in: a cube has no clock.
    """

    owner: str
    origin: str  # where it was taken from
    records: dict[str, Record]
    links: dict[str, Link]
    vectors: dict[str, Vector]
    readers: tuple[str, ...] = ()
    audit: list[Line] = field(default_factory=list)

    @classmethod
    def take(
        cls,
        records: Sequence[Record],
        links: Sequence[Link],
        embed: Embed,
        *,
        owner: str,
        at: datetime,
        origin: str = "",
        readers: Sequence[str] = (),
    ) -> MemCube:
        """A cube of records, such as `memory.records(system="memos", include_retired=True)`, and the links between them."""
        if not owner:
            raise ParameterError("owner='': a cube needs somebody who may open it; name its owner.")
        kept = {one.id: one for one in records}
        vectors = rounded(embed([one.text for one in records])) if records else np.zeros((0, 0), np.float32)
        cube = cls(
            owner,
            origin or next((one.scope for one in records), ""),
            kept,
            {one.id: one for one in links if one.from_id in kept and one.to_id in kept},
            dict(zip(kept, vectors, strict=True)),
            tuple(readers),
        )
        cube._note(at, owner, "take", "done", tuple(kept))
        return cube

    # -- reading ------------------------------------------------------------------------------------------

    def read(
        self, who: str, at: datetime, *, as_of: datetime | None = None, session: str | None = None
    ) -> list[Record]:
        """The records that hold and that `who` may see, oldest first. Raises Forbidden where that is none of all there are."""
        self._expire(who, at)
        return self._seen(who, "read", at, as_of, session)

    def search(
        self,
        vector: Vector,
        k: int,
        who: str,
        at: datetime,
        *,
        as_of: datetime | None = None,
        session: str | None = None,
    ) -> list[Scored]:
        """The k nearest of what `who` may see, with their cosines; ties by id. Raises Forbidden as `read` does."""
        self._expire(who, at)
        seen = self._seen(who, "search", at, as_of, session)
        if not seen or k < 1:
            return []
        cosines = products(np.stack([self.vectors[one.id] for one in seen]), vector).tolist()
        found = list(zip(seen, cosines, strict=True))
        return sorted(found, key=lambda one: (-one[1], one[0].id))[:k]

    def versions(self, id: str, who: str, at: datetime, *, session: str | None = None) -> list[Record]:
        """The memory and what it took the place of, newest first, as far as `who` may see it. Raises Forbidden as `read` does."""
        self._expire(who, at)
        chain = [self.records[one] for one in self._chain(id) if not is_expired(self.records[one], at)]
        return self._of_those(chain, who, "versions", at, session)

    # -- writing ------------------------------------------------------------------------------------------

    def put(self, record: Record, vector: Vector, who: str, at: datetime) -> None:
        """Add a record, or the next state of one. Raises Forbidden for all but the owner, and for what is frozen."""
        self._own(who, "put", at, (record.id,))
        frozen = [one for one in self.records.values() if governance(one).is_frozen]
        for one in frozen if record.id in self.records else ():
            if record.id in self._chain(one.id):  # its history is as little changed as it is itself
                self._thawed(one, who, "put", at)
        self.records[record.id], self.vectors[record.id] = record, rounded(vector)
        self._note(at, who, "put", "done", (record.id,))

    def freeze(self, id: str, who: str, at: datetime) -> None:
        """Nobody changes it from now on; its whole history stays."""
        self._own(who, "freeze", at, (id,))
        one = self._one(id)
        state = replace(governance(one), is_frozen=True).to_dict()
        self.records[id] = replace(one, data={**one.data, "governance": state})
        self._note(at, who, "freeze", "done", (id,))

    def roll_back(self, id: str, to: str, who: str, at: datetime) -> Record:
        """An earlier version of a memory holds again, as a new version; the one in between stays in the history."""
        self._own(who, "roll back", at, (id, to))
        now, then = self._one(id), self._one(to)
        self._thawed(now, who, "roll back", at)
        if then.id not in self._chain(id) or then.id == id or now.retired_at is not None:
            raise ParameterError(f"{to!r} is no earlier version of the current memory {id!r}: `versions` lists them.")
        again = replace(
            then,
            id=f"{id}-{hashlib.blake2b(f'{to} {at.isoformat()}'.encode(), digest_size=4).hexdigest()}",
            recorded_at=at,
            retired_at=None,
            valid_to=None,
            data={**then.data, "previous": [id]},
        )
        self.records[id] = replace(now, retired_at=at, valid_to=at)
        self.records[again.id], self.vectors[again.id] = again, self.vectors[to]
        self._note(at, who, "roll back", "done", (id, again.id))
        return again

    # -- handing on ---------------------------------------------------------------------------------------

    def dump(self, path: Path, who: str, at: datetime) -> str:
        """Write the cube to a file; returns its watermark, which names owner, origin and content. Raises Forbidden."""
        self._own(who, "dump", at, tuple(self.records))
        self._note(at, who, "dump", "done", tuple(self.records))
        body = {
            "format": FORMAT,
            "owner": self.owner,
            "origin": self.origin,
            "readers": list(self.readers),
            "records": [one.to_dict() for one in self.records.values()],
            "links": [one.to_dict() for one in self.links.values()],
            "vectors": {id: base64.b64encode(one.astype("<f2").tobytes()).decode() for id, one in self.vectors.items()},
            "audit": [one.to_dict() for one in self.audit],
        }
        mark = _watermark(body)
        path.write_text(json.dumps({**body, "watermark": mark}, ensure_ascii=False), encoding="utf-8")
        return mark

    @classmethod
    def load(cls, path: Path, who: str, at: datetime) -> MemCube:
        """The cube in a file. Raises FormatError for a file that is none or was changed, Forbidden for who may not open it."""
        try:
            body = json.loads(path.read_text(encoding="utf-8"))
            mark = body.pop("watermark")
            is_whole = body["format"] == FORMAT and mark == _watermark(body)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FormatError(f"{path} is no MemCube ({error}). Give a file that `dump` wrote.") from error
        if not is_whole:
            raise FormatError(f"{path} was changed since it was dumped, or is of another format. Dump it again.")
        cube = cls(
            body["owner"],
            body["origin"],
            {one["id"]: _record(one) for one in body["records"]},
            {one["id"]: _link(one) for one in body["links"]},
            {id: np.frombuffer(base64.b64decode(one), "<f2").astype(np.float32) for id, one in body["vectors"].items()},
            tuple(body["readers"]),
            [_line(one) for one in body["audit"]],
        )
        if who not in (cube.owner, *cube.readers):
            cube._deny(who, "load", at)
        cube._note(at, who, "load", "done")
        return cube

    # -- inside -------------------------------------------------------------------------------------------

    def _seen(
        self, who: str, operation: str, at: datetime, as_of: datetime | None, session: str | None
    ) -> list[Record]:
        standing = [one for one in self.records.values() if holds(one, as_of) and not is_expired(one, at)]
        seen = self._of_those(standing, who, operation, at, session)
        return sorted(seen, key=lambda one: (one.recorded_at, one.id))

    def _of_those(
        self, records: Sequence[Record], who: str, operation: str, at: datetime, session: str | None
    ) -> list[Record]:
        seen = [one for one in records if self._may_see(who, one, session)]
        if records and not seen and who not in (self.owner, *self.readers):
            self._deny(who, operation, at)
        self._note(at, who, operation, "done", tuple(one.id for one in seen))
        return seen

    def _chain(self, id: str) -> list[str]:
        """Ids of a memory and of what it took the place of, by what it names and by the links that lead to it."""
        into: dict[str, list[str]] = {}
        for link in self.links.values():
            if link.kind == MERGED_TO:
                into.setdefault(link.to_id, []).append(link.from_id)
        found: dict[str, None] = {}
        waiting = [id]
        while waiting:
            one = self.records.get(waiting.pop(0))
            if one is not None and one.id not in found:
                found[one.id] = None
                waiting += [*one.data.get("previous", ()), *into.get(one.id, ())]
        return list(found)

    def _may_see(self, who: str, record: Record, session: str | None) -> bool:
        visibility = governance(record).visibility
        if visibility == "session" and record.data.get("session") != session:
            return False
        return visibility == "public" or who in (self.owner, *self.readers)

    def _expire(self, who: str, at: datetime) -> None:
        told = {id for line in self.audit if line.outcome == "expired" for id in line.ids}
        gone = tuple(one.id for one in self.records.values() if is_expired(one, at) and one.id not in told)
        if gone:
            self._note(at, who, "expire", "expired", gone)

    def _own(self, who: str, operation: str, at: datetime, ids: tuple[str, ...]) -> None:
        if who != self.owner:
            self._deny(who, operation, at, ids)

    def _thawed(self, record: Record, who: str, operation: str, at: datetime) -> None:
        if governance(record).is_frozen:
            self._note(at, who, operation, "denied", (record.id,))
            raise Forbidden(f"{operation}: the memory {record.id!r} is frozen. Write a new one beside it.")

    def _one(self, id: str) -> Record:
        if id not in self.records:
            raise NotFound(f"There is no memory {id!r} in the cube. `read` lists those there are.")
        return self.records[id]

    def _deny(self, who: str, operation: str, at: datetime, ids: tuple[str, ...] = ()) -> None:
        self._note(at, who, operation, "denied", ids)
        raise Forbidden(
            f"{operation}: {who!r} may not, in a cube of {self.owner!r}. Ask its owner to do it, or to add you."
        )

    def _note(
        self,
        at: datetime,
        who: str,
        operation: str,
        outcome: Literal["done", "denied", "expired"],
        ids: tuple[str, ...] = (),
    ) -> None:
        self.audit.append(Line(at, who, operation, outcome, ids))


def _end_in(metadata: Mapping[str, Any], said_at: datetime) -> datetime | None:
    end, ttl = metadata.get("expires_at"), metadata.get("ttl_days")
    try:
        if isinstance(end, str):
            return as_aware(datetime.fromisoformat(end))
        if isinstance(ttl, int | float) and not isinstance(ttl, bool) and ttl >= 0:
            return said_at + timedelta(days=ttl)
    except (ValueError, OverflowError):
        return None
    return None


def _watermark(body: Mapping[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


_TIMES = ("recorded_at", "valid_from", "valid_to", "retired_at")


def _record(values: Mapping[str, Any]) -> Record:
    times = {name: datetime.fromisoformat(values[name]) for name in _TIMES if name in values}
    return Record(**{**values, **times, "sources": tuple(values["sources"])})


def _link(values: Mapping[str, Any]) -> Link:
    recorded_at = datetime.fromisoformat(values["recorded_at"])
    return Link(**{**values, "recorded_at": recorded_at, "sources": tuple(values["sources"])})


def _line(values: Mapping[str, Any]) -> Line:
    at = datetime.fromisoformat(values["at"])
    return Line(at, values["who"], values["operation"], values["outcome"], tuple(values["ids"]))
