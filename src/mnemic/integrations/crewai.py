"""CrewAI's storage backend over a memory: `crewai.Memory(storage=storage, embedder=storage.embed)`.

CrewAI asks its storage with a vector and never says of what. So `embed` notes for each vector which text it was made of, and
`search` looks the text up and asks the memory with it, by meaning and words. The vectors are hashed n-grams: CrewAI itself
compares them only to drop what a batch says twice.

A scope "/company/eng" is the scope company/eng below the handle, and a prefix takes in what is below it. A record has one id
for all its versions. Scores are Mnemic's. Whatever CrewAI does with a language model, it goes on doing with its own.
"""

from __future__ import annotations

import threading
from array import array
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

from mnemic.errors import DependencyMissing, EditConflict, ParameterError
from mnemic.filters import compile_filter
from mnemic.integrations.handle import Handle
from mnemic.integrations.in_thread import finish
from mnemic.integrations.places import Places, current, first_version
from mnemic.model import Episode
from mnemic.models.hashing import HashingEmbedder

try:
    from crewai.memory.types import MemoryRecord, ScopeInfo  # type: ignore[import-not-found, unused-ignore]
except ImportError as error:
    raise DependencyMissing("The storage needs CrewAI. Install it with: pip install crewai") from error

_OWN = "crewai"  # the key of the metadata under which a record's own fields are kept
_FIELDS = ("categories", "importance", "source", "private")
_TEXTS_KEPT = 4096
_TRIES = 20


class MnemicStorage:
    """A handle's scope, and those below it, as CrewAI's storage. The handle stays open."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._places = Places(handle)
        self._embedder = HashingEmbedder()
        self._texts: OrderedDict[bytes, str] = OrderedDict()
        self._lock = threading.Lock()

    def embed(self, texts: list[str]) -> list[list[float]]:
        """Vectors that `search` can be asked with; give this to CrewAI as the embedder."""
        vectors = [[float(value) for value in vector] for vector in self._embedder.embed(texts)] if texts else []
        with self._lock:
            for text, vector in zip(texts, vectors, strict=True):
                self._texts[_key(vector)] = text
                self._texts.move_to_end(_key(vector))
            while len(self._texts) > _TEXTS_KEPT:
                self._texts.popitem(last=False)
        return vectors

    def save(self, records: list[MemoryRecord]) -> None:
        """Remember records, those of one scope all or none. Saving one again changes nothing. Raises IdConflict."""
        by_scope = sorted(records, key=attrgetter("scope"))
        for scope, group in groupby(by_scope, key=attrgetter("scope")):
            self._at(scope).add([_message(record) for record in group])

    def search(
        self,
        query_embedding: list[float],
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        metadata_filter: dict[str, Any] | None = None,
        limit: int = 10,
        min_score: float = 0.0,
    ) -> list[tuple[MemoryRecord, float]]:
        """Records that answer the text of which the vector was made, best first, with scores in [0, 1]."""
        with self._lock:
            text = self._texts.get(_key(query_embedding))
        if text is None:
            raise ParameterError(
                "This vector was not made here, so its text is not known. Give CrewAI the embedder of the storage: "
                "Memory(storage=storage, embedder=storage.embed)."
            )
        recall = self._at(scope_prefix).search(
            text,
            limit=limit,
            threshold=min_score,
            filters=_filters(categories, metadata_filter),
            include_children=True,
        )
        return [(self._record(hit.episode), hit.score) for hit in recall if hit.episode and not hit.record]

    def delete(
        self,
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        record_ids: list[str] | None = None,
        older_than: datetime | None = None,
        metadata_filter: dict[str, Any] | None = None,
    ) -> int:
        """Forget the records for which everything that is given holds, with their past; how many there were."""
        filters = _filters(categories, metadata_filter)
        passes = compile_filter(filters) if filters else None
        wanted = None if record_ids is None else set(record_ids)
        chosen: dict[str, list[str]] = {}
        for episode in self._below(scope_prefix):
            is_meant = (passes is None or passes(episode)) and (
                older_than is None or episode.occurred_at < _aware(older_than)
            )
            if is_meant and (wanted is None or self._id(episode) in wanted):
                chosen.setdefault(episode.scope, []).append(episode.id)
        for scope, ids in chosen.items():
            self._beneath(scope).forget(ids)
        return sum(map(len, chosen.values()))

    def update(self, record: MemoryRecord) -> None:
        """Replace the record of the same id; it may move to another scope. Raises ParameterError where there is none."""
        for attempt in range(_TRIES):
            place = self._places.find(record.id)
            if place is None:
                raise ParameterError(f"There is no record {record.id!r} to update. save() adds one.")
            if _scope_of(record.scope) != place.scope:
                self._at(record.scope).add(_message(record))
                place.handle.forget(place.current.id)
                return
            try:
                place.handle.update(place.current.id, record.content, metadata=_metadata(record))
            except EditConflict:
                if attempt == _TRIES - 1:
                    raise
            else:
                return

    def get_record(self, record_id: str) -> MemoryRecord | None:
        """The record of that id, None where there is none."""
        place = self._places.find(record_id)
        return None if place is None else _record(place.current, place.first, place.scope)

    def list_records(self, scope_prefix: str | None = None, limit: int = 200, offset: int = 0) -> list[MemoryRecord]:
        """The records of a scope and those below it, newest first."""
        newest = sorted(self._below(scope_prefix), key=lambda one: (one.occurred_at, one.seq), reverse=True)
        return [self._record(episode) for episode in newest[offset : offset + limit]]

    def get_scope_info(self, scope: str) -> ScopeInfo:
        """What a scope and those below it hold."""
        times = [_naive(episode.occurred_at) for episode in self._below(scope)]
        return ScopeInfo(
            path=_path_of(_scope_of(scope)),
            record_count=len(times),
            categories=sorted(self.list_categories(scope)),
            oldest_record=min(times, default=None),
            newest_record=max(times, default=None),
            child_scopes=self.list_scopes(scope),
        )

    def list_scopes(self, parent: str = "/") -> list[str]:
        """The scopes immediately below one."""
        within = _scope_of(parent)
        prefix = f"{within}/" if within else ""
        below = [path for path, n in self._scopes(parent).items() if n and path != within]
        return sorted({f"/{prefix}{path.removeprefix(prefix).split('/')[0]}" for path in below})

    def list_categories(self, scope_prefix: str | None = None) -> dict[str, int]:
        """How many records of a scope and those below it have each category."""
        return dict(Counter(one for episode in self._below(scope_prefix) for one in _own(episode)["categories"]))

    def count(self, scope_prefix: str | None = None) -> int:
        """How many records a scope and those below it have."""
        return sum(1 for _ in self._below(scope_prefix))

    def reset(self, scope_prefix: str | None = None) -> None:
        """Forget everything in a scope and below it."""
        self._at(scope_prefix).reset()

    async def asave(self, records: list[MemoryRecord]) -> None:
        """As `save`."""
        await finish(self.save, records)

    async def asearch(
        self,
        query_embedding: list[float],
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        metadata_filter: dict[str, Any] | None = None,
        limit: int = 10,
        min_score: float = 0.0,
    ) -> list[tuple[MemoryRecord, float]]:
        """As `search`."""
        return await finish(self.search, query_embedding, scope_prefix, categories, metadata_filter, limit, min_score)

    async def adelete(
        self,
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        record_ids: list[str] | None = None,
        older_than: datetime | None = None,
        metadata_filter: dict[str, Any] | None = None,
    ) -> int:
        """As `delete`."""
        return await finish(self.delete, scope_prefix, categories, record_ids, older_than, metadata_filter)

    def _at(self, scope: str | None) -> Handle:
        return self._places.handle(_scope_of(scope))

    def _beneath(self, path: str) -> Handle:
        return self._places.handle(self._relative(path))

    def _relative(self, path: str) -> str:
        return path.removeprefix(self._handle.scope_path).lstrip("/")

    def _scopes(self, scope: str | None) -> dict[str, int]:
        return {self._relative(path): n for path, n in self._at(scope).scopes().items()}

    def _below(self, scope: str | None) -> Iterator[Episode]:
        for path in self._scopes(scope):
            yield from current(self._places.handle(path))

    def _id(self, episode: Episode) -> str:
        return first_version(self._beneath(episode.scope), episode).id

    def _record(self, episode: Episode) -> MemoryRecord:
        return _record(episode, first_version(self._beneath(episode.scope), episode), self._relative(episode.scope))


def _message(record: MemoryRecord) -> dict[str, Any]:
    return {
        "role": "user",
        "content": record.content,
        "id": record.id,
        "timestamp": _aware(record.created_at),
        "metadata": _metadata(record),
    }


def _metadata(record: MemoryRecord) -> dict[str, Any]:
    own = {name: getattr(record, name) for name in _FIELDS}
    return {**record.metadata, _OWN: {**own, "last_accessed": _aware(record.last_accessed).isoformat()}}


def _own(episode: Episode) -> dict[str, Any]:
    """The record's own fields; those of an episode that was added in other ways are CrewAI's defaults."""
    own = episode.metadata.get(_OWN)
    return {"categories": [], **(own if isinstance(own, dict) else {})}


def _record(episode: Episode, first: Episode, scope: str) -> MemoryRecord:
    own = _own(episode)
    accessed = own.pop("last_accessed", None)
    return MemoryRecord(
        id=first.id,
        content=episode.text,
        scope=_path_of(scope),
        metadata={key: value for key, value in episode.metadata.items() if key != _OWN},
        created_at=_naive(first.occurred_at),
        last_accessed=_naive(datetime.fromisoformat(accessed) if accessed else episode.recorded_at),
        **own,
    )


def _filters(categories: Sequence[str] | None, metadata: dict[str, Any] | None) -> dict[str, Any] | None:
    """Any of the categories, and all of the metadata."""
    parts: list[dict[str, Any]] = [{f"metadata.{key}": {"eq": value}} for key, value in (metadata or {}).items()]
    if categories:
        parts.append({"OR": [{f"metadata.{_OWN}": {"categories": {"contains": one}}} for one in categories]})
    return {"AND": parts} if parts else None


def _scope_of(path: str | None) -> str:
    return (path or "").strip("/")


def _path_of(scope: str) -> str:
    return f"/{scope}"


def _key(vector: Sequence[float]) -> bytes:
    return array("d", vector).tobytes()


def _aware(moment: datetime) -> datetime:
    """The moment in UTC: CrewAI's are in UTC without saying so."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
