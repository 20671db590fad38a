"""The items of a LangGraph namespace, held in memory and brought up to date from its log before each use."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import merge
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemic.errors import ParameterError
from mnemic.index.columns import Column
from mnemic.integrations.handle import Handle
from mnemic.integrations.langgraph_names import Namespace, Place, key_of, note_of
from mnemic.model import Episode
from mnemic.systems.documents import KEPT_BESIDE, PUT, edit_in

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Expiry:
    """When an item ends unless it is read."""

    minutes: float
    at: datetime

    @classmethod
    def after(cls, minutes: float, now: datetime) -> Expiry:
        """That of an item written now."""
        return cls(minutes, now + timedelta(minutes=minutes))

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Expiry | None:
        """That of an item with this metadata; None for one that does not end."""
        minutes, at = metadata.get("ttl_minutes"), metadata.get("expires_at")
        if not isinstance(minutes, int | float) or not isinstance(at, str):
            return None
        return cls(float(minutes), datetime.fromisoformat(at))

    def to_metadata(self) -> dict[str, Any]:
        """The inverse of `of`."""
        return {"ttl_minutes": self.minutes, "expires_at": self.at.isoformat()}


@dataclass(eq=False, slots=True)
class Entry:
    """An item as the log has it."""

    namespace: Namespace
    key: str
    value: Mapping[str, Any]
    version: str
    seq: int
    created_at: datetime
    updated_at: datetime
    is_indexed: bool
    expiry: Expiry | None
    is_gone: bool = False  # another value took its place, or none

    def is_over(self, touches: Shelf, now: datetime) -> bool:
        """Whether it has ended, with what was noted of reads of it."""
        if self.expiry is None:
            return False
        return ends_at((self.namespace, self.key), self.version, self.expiry, touches) <= now


class _Rows:
    """Unit vectors of one length, each with the item that it belongs to."""

    def __init__(self, dims: int) -> None:
        self.units = Column(np.float32, dims)
        self.owners: list[Entry] = []

    def extend(self, vectors: Vectors, owner: Entry) -> None:
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        self.units.extend(np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0))
        self.owners += [owner] * len(vectors)

    def kept(self) -> _Rows:
        """Only the rows of items that are still there."""
        keep = np.array([not owner.is_gone for owner in self.owners], np.bool_)
        smaller = _Rows(self.units.values.shape[1])
        smaller.units.extend(self.units.values[keep])
        smaller.owners = [owner for owner in self.owners if not owner.is_gone]
        return smaller


class Shelf:
    """The items of one namespace, read from its scope's log and kept up to date."""

    def __init__(self, namespace: Namespace = (), *, has_vectors: bool = False) -> None:
        self.namespace = namespace
        self._has_vectors = has_vectors
        self._clear()

    def _clear(self) -> None:
        self.entries: dict[str, Entry] = {}  # by key, the latest changed last
        self.has_expiring = False
        self._rows: dict[int, _Rows] = {}  # by the vectors' length: there is one, unless the index was changed
        self._episodes = self._last_seq = self._gone = 0

    def sync(self, below: Handle, episodes: int) -> None:
        """Take in what is new in the log; where something is missing from it, read it anew.

        episodes: how many the scope has. Nothing comes back to a log, so what was read with what is new since is as many
        as there are, or some were forgotten.
        """
        self._read(below)
        if self._episodes != episodes and self._episodes != below.scopes().get(below.scope_path, 0):
            self._clear()
            self._read(below)

    def forget(self, keys: Sequence[str], episodes: int) -> None:
        """These were forgotten, with all their versions, which were so many."""
        for key in keys:
            self._drop(key)
        self._episodes -= episodes

    def cosines(self, query: Vectors) -> tuple[list[Entry], Vectors]:
        """(whose vectors they are, those of what is gone among them; their cosines with the query)."""
        for dims, rows in self._rows.items():
            if dims != len(query) and not all(owner.is_gone for owner in rows.owners):
                raise ParameterError(
                    f"Items of {self.namespace} have vectors of {dims} dimensions, and the query one of {len(query)}. Open the "
                    "store with the index that they were put with, or put them again."
                )
        if len(query) not in self._rows:
            return [], np.zeros(0, np.float32)
        rows, length = self._rows[len(query)], float(np.linalg.norm(query))
        scores: Vectors = rows.units.values @ (query / np.float32(length or 1.0))
        return rows.owners, scores

    def _read(self, below: Handle) -> None:
        while page := below.list(after=self._last_seq, limit=1000):
            for episode in page:
                self._take(episode)
            self._episodes += len(page)
            self._last_seq = page[-1].seq

    def _take(self, episode: Episode) -> None:
        edit = edit_in(episode)
        if edit is None:
            return
        old = self._drop(key_of(edit.name))
        value = edit.said.get("value")
        if edit.op != PUT or not isinstance(value, Mapping):
            return
        entry = Entry(
            namespace=self.namespace,
            key=key_of(edit.name),
            value=value,
            version=edit.version,
            seq=episode.seq,
            created_at=edit.at if old is None else old.created_at,
            updated_at=edit.at,
            is_indexed=bool(edit.text),
            expiry=Expiry.of(edit.metadata),
        )
        self.entries[entry.key] = entry
        self.has_expiring = self.has_expiring or entry.expiry is not None
        vectors = unpacked(episode.metadata.get(KEPT_BESIDE)) if self._has_vectors else None
        if vectors is not None:
            self._rows.setdefault(vectors.shape[1], _Rows(vectors.shape[1])).extend(vectors, entry)

    def _drop(self, key: str) -> Entry | None:
        old = self.entries.pop(key, None)
        if old is not None:
            old.is_gone = True
            self._gone += 1
        if self._gone > 32 + len(self.entries):  # most vectors are those of what is gone
            self._rows = {dims: rows.kept() for dims, rows in self._rows.items()}
            self._gone = 0
        return old


def latest_first(shelves: Sequence[Shelf]) -> Iterator[Entry]:
    """The items of all shelves, the latest changed first."""
    if len(shelves) == 1:
        return reversed(shelves[0].entries.values())
    return merge(*(reversed(shelf.entries.values()) for shelf in shelves), key=lambda entry: -entry.seq)


def nearest_first(shelves: Sequence[Shelf], query: Vectors) -> Iterator[tuple[Entry, float]]:
    """The items that have vectors, each with the highest cosine of them with the query, best first."""
    found = [shelf.cosines(query) for shelf in shelves]
    owners = [owner for some, _ in found for owner in some]
    scores = np.concatenate([np.zeros(0, np.float32), *(some for _, some in found)])
    seen: set[int] = set()
    for at in np.argsort(-scores, kind="stable").tolist():
        owner = owners[at]
        if not owner.is_gone and id(owner) not in seen:
            seen.add(id(owner))
            yield owner, float(scores[at])


def ends_at(place: Place, version: str, expiry: Expiry, touches: Shelf) -> datetime:
    """When an item ends, with what was noted of reads of this version."""
    note = touches.entries.get(note_of(place))
    if note is None or note.value["version"] != version:
        return expiry.at
    return max(expiry.at, datetime.fromisoformat(note.value["expires_at"]))


# -- vectors --------------------------------------------------------------------------------------------------


def checked_vector(vector: Sequence[float], dims: int | None) -> Vectors:
    """The vector as it is kept. Raises ParameterError for another length, and for numbers that are not finite."""
    try:
        checked = np.asarray(vector, np.float32)
    except (TypeError, ValueError) as error:
        raise ParameterError("The embed function gave what is no list of numbers.") from error
    if checked.ndim != 1 or (dims is not None and len(checked) != dims) or not np.isfinite(checked).all():
        raise ParameterError(
            f"The embed function gave a vector of shape {checked.shape}; {dims or 'some'} finite numbers are expected. "
            "Set `dims` of the index to what it gives."
        )
    return checked


def packed(vectors: Sequence[Vectors]) -> dict[str, Any]:
    """Vectors of one length as JSON, exactly."""
    rows = np.stack(vectors).astype("<f4")
    return {"dims": rows.shape[1], "float32": base64.b64encode(rows.tobytes()).decode()}


def unpacked(kept: Any) -> Vectors | None:
    """The inverse of `packed`; None for what is none."""
    if not isinstance(kept, Mapping):
        return None
    return np.frombuffer(base64.b64decode(kept["float32"]), "<f4").astype(np.float32).reshape(-1, kept["dims"])
