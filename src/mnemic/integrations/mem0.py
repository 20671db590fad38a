"""mem0's classes, over a memory of ours: the same verbs, arguments and results, so that a program changes one import.

    from mnemic.integrations.mem0 import Memory
    memory = Memory()                        # $MNEMIC_DB, or mnemic.db in the working directory
    memory.add("I moved to Porto.", user_id="alice")
    memory.search("Where does she live?", filters={"user_id": "alice"})["results"]

Departs from mem0, each for a reason:
- Nothing is inferred: with `infer=True` as with `infer=False` every message is kept verbatim, and `add` needs no model.
- user_id chooses a scope. What was added for a user is found under that user only, not by its agent_id or run_id alone.
- The ids may be given to `search` and `get_all` as arguments, as before mem0 2.0, or in `filters`, as since.
- `timestamp` and `reference_date` work. Scores are Mnemic's: a threshold that was tuned for another scale needs another look.
- Deleting forgets for good, with the history. A text that only repeats what was recalled is an echo: `add` says NONE.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from mnemic.errors import EditConflict, EpisodeNotFound, ParameterError
from mnemic.filters import compile_filter
from mnemic.integrations.handle import Handle
from mnemic.integrations.in_thread import finish
from mnemic.integrations.mem0_settings import Settings, default_path, open_settings, read_settings
from mnemic.integrations.mem0_shapes import (
    EXPIRES,
    ValidationError,
    added_item,
    expiration,
    found_item,
    history_rows,
    is_expired,
    listed_item,
    memory_item,
    message_with,
    messages_from,
    without_identities,
)
from mnemic.integrations.places import Place, Places, current, first_version
from mnemic.memory.ask import Place as Ids
from mnemic.memory.ask import resolve
from mnemic.memory.results import Version
from mnemic.model import ECHO, Episode, Recall, new_ids

__all__ = ["AsyncMemory", "Memory", "MemoryNotFound", "ValidationError"]

_UNSET: Any = object()
_DEFAULT_LIMIT = 20
_PAGE = 1000
_TRIES = 20
_PROCEDURAL = "procedural_memory"
_ID_NAMES = ("user_id", "agent_id", "run_id")


class MemoryNotFound(EpisodeNotFound, ValueError):
    """No memory of that id; a ValueError too, as in mem0."""


class Memory:
    """mem0's Memory. Made with nothing, with a handle of ours, or with a configuration in mem0's shape.

    A handle on a scope confines it to that scope and those below. It stays open when this is closed.
    """

    def __init__(self, config: Handle | Mapping[str, Any] | None = None) -> None:
        self._owns = config is None or isinstance(config, Mapping)
        if config is None:
            self._handle = open_settings(Settings(default_path()))
        elif isinstance(config, Mapping):
            self._handle = open_settings(read_settings(config))
        elif isinstance(config, Handle):
            self._handle = config
        else:
            raise ParameterError(
                f"Memory() takes a handle of ours or a configuration; {type(config).__name__} was given. For a MemoryConfig of "
                "mem0, give config.model_dump()."
            )
        self._places = Places(self._handle)

    @classmethod
    def from_config(cls, config_dict: dict[str, Any]) -> Memory:
        """A memory from a configuration in mem0's shape; a warning names the keys that mean nothing here."""
        if not isinstance(config_dict, Mapping):
            raise ParameterError(f"A configuration is a dictionary; {type(config_dict).__name__} was given.")
        return cls(config_dict)

    def add(
        self,
        messages: Any,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        timestamp: Any | None = None,
        expiration_date: Any | None = None,
        infer: bool = True,
        memory_type: str | None = None,
        prompt: str | None = None,
    ) -> dict[str, Any]:
        """Keep messages verbatim, all or none: `{"results": [{"id", "memory", "event", "actor_id", "role"}]}`.

        infer is accepted and changes nothing; prompt is not used, and says so. System messages are left out, as in mem0.
        expiration_date: the last day (YYYY-MM-DD) on which search and get_all show it. timestamp: when it happened.
        Raises ValidationError where no id is given, and what `mnemic.Memory.add` raises; then nothing was written.
        """
        day = expiration(expiration_date)
        ids = _needed(resolve("", user_id, agent_id, run_id))
        if memory_type not in (None, _PROCEDURAL):
            raise ValidationError(
                "Invalid 'memory_type'.",
                "VALIDATION_002",
                {"provided_type": memory_type, "valid_type": _PROCEDURAL},
                f"Use {_PROCEDURAL!r}, or leave it out.",
            )
        listed = messages_from(messages)
        if prompt is not None:
            warnings.warn("The prompt is not used: nothing is inferred here.", UserWarning, stacklevel=2)
        own = {
            **without_identities(metadata or {}, "the metadata"),
            **ids.metadata,
            **({EXPIRES: day} if day else {}),
            **({"memory_type": memory_type} if memory_type else {}),
        }
        drafts = [
            {**message, "metadata": {**message.get("metadata", {}), **own}}
            for message in map(message_with, listed, new_ids(len(listed)))
        ]
        added = self._places.handle(ids.scope).add(drafts, session=ids.session, timestamp=timestamp)
        return {"results": [added_item(episode, is_new=episode.origin != ECHO) for episode in added]}

    def search(
        self,
        query: str,
        *,
        top_k: int = _DEFAULT_LIMIT,
        filters: dict[str, Any] | None = None,
        threshold: float = 0.1,
        rerank: bool = False,
        explain: bool = False,
        reference_date: Any | None = None,
        show_expired: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """What answers the query, best first: `{"results": [{"id", "memory", "score", ...}]}`.

        user_id, agent_id and run_id stand in the filters or are arguments; limit is top_k. rerank is accepted: there is one
        ranking. explain adds score_details. reference_date: what "yesterday" in the query is relative to.
        """
        asked = _asked("search", filters, top_k, kwargs)
        if not isinstance(query, str) or not query.strip():
            raise ParameterError("The query is empty. Give the text to search for.")
        if asked.limit == 0:
            return {"results": []}
        least = 0.0 if threshold is None else threshold
        today = datetime.now(UTC).date()

        def ask(filters: Mapping[str, Any] | None) -> Recall:
            return self._handle.search(
                query.strip(),
                limit=asked.limit,
                threshold=least,
                asked_at=reference_date,
                **asked.given,
                filters=filters,
            )

        hits = ask(asked.filters)
        if not show_expired and any(is_expired(hit.episode, today) for hit in hits):
            # few memories expire, and a filter makes every search read them all: so only now
            lasting = {"NOT": [{EXPIRES: {"lt": today.isoformat()}}]}
            hits = ask({"AND": [asked.filters, lasting]} if asked.filters else lasting)
        handle = self._places.handle(asked.ids.scope)
        return {
            "results": [
                found_item(
                    hit,
                    first_version(handle, hit.episode) if hit.episode and not hit.record else None,
                    asked.ids.scope,
                    explain=explain,
                    threshold=least,
                )
                for hit in hits
            ]
        }

    def get(self, memory_id: str) -> dict[str, Any] | None:
        """The memory of that id, of whatever user; None where there is none."""
        place = self._places.find(memory_id)
        return None if place is None else memory_item(place)

    def get_all(
        self,
        *,
        filters: dict[str, Any] | None = None,
        top_k: int = _DEFAULT_LIMIT,
        show_expired: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """What is remembered, newest first: `{"results": [...]}`. The ids are as in search; limit is top_k."""
        asked = _asked("get_all", filters, top_k, kwargs)
        ids, limit = asked.ids, asked.limit
        passes = compile_filter(ids.filters) if ids.filters else None
        handle, today = self._places.handle(ids.scope), datetime.now(UTC).date()
        chosen = (
            episode
            for episode in current(handle, ids.session, min(max(limit, 1), _PAGE))
            if (passes is None or passes(episode)) and (show_expired or not is_expired(episode, today))
        )
        return {"results": [listed_item(_as_place(handle, ids.scope, episode)) for episode in islice(chosen, limit)]}

    def update(
        self,
        memory_id: str,
        text: str | None = None,
        metadata: dict[str, Any] | None = None,
        expiration_date: Any = _UNSET,
        data: str | None = None,
    ) -> dict[str, str]:
        """Give the memory another text, add to its metadata, or change when it expires (None: never).

        The last one to write wins, and every text stays in the history. Raises MemoryNotFound. data is an older name of text.
        """
        if data is not None:
            warnings.warn("update(data=...) is an older name; write text=...", DeprecationWarning, stacklevel=2)
            text = data if text is None else text
        if text is None and metadata is None and expiration_date is _UNSET:
            raise ParameterError("There is nothing to update. Give text, metadata or expiration_date.")
        day = _UNSET if expiration_date is _UNSET else expiration(expiration_date)
        for attempt in range(_TRIES):
            place = self._found(memory_id)
            try:
                place.handle.update(place.current.id, text, metadata=_changed(place, metadata, day))
            except EditConflict:
                if attempt == _TRIES - 1:
                    raise
            except EpisodeNotFound as error:
                raise _not_found(memory_id) from error
            else:
                break
        return {"message": "Memory updated successfully!"}

    def delete(self, memory_id: str) -> dict[str, str]:
        """Forget the memory for good, with its history. Raises MemoryNotFound."""
        place = self._found(memory_id)
        try:
            place.handle.forget(place.current.id)
        except EpisodeNotFound as error:
            raise _not_found(memory_id) from error
        return {"message": "Memory deleted successfully!"}

    def delete_all(
        self, user_id: str | None = None, agent_id: str | None = None, run_id: str | None = None
    ) -> dict[str, str]:
        """Forget everything of a user, an agent or a run; all that are given must hold. Raises ValidationError without any."""
        _needed(resolve("", user_id, agent_id, run_id), "To forget everything, call reset().")
        given = {"user_id": user_id, "agent_id": agent_id, "run_id": run_id}
        self._handle.delete_all(**{name: id for name, id in given.items() if id is not None})
        return {"message": "Memories deleted successfully!"}

    def history(self, memory_id: str) -> list[dict[str, Any]]:
        """Every text that the memory had, oldest first; empty where there is no such memory."""
        place = self._places.find(memory_id)
        return [] if place is None else history_rows(place)

    def reset(self) -> None:
        """Forget everything: in the scope of the handle, and in those below it."""
        self._handle.reset()

    def close(self) -> None:
        """Close the file, if it was opened here."""
        if self._owns:
            self._handle.close()

    def __enter__(self) -> Memory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _found(self, memory_id: str) -> Place:
        place = self._places.find(memory_id)
        if place is None:
            raise _not_found(memory_id)
        return place


class AsyncMemory:
    """mem0's AsyncMemory: the verbs of `Memory`, each in a thread; a write that is cancelled is finished first."""

    def __init__(self, config: Handle | Mapping[str, Any] | None = None) -> None:
        self._memory = Memory(config)

    @classmethod
    def from_config(cls, config_dict: dict[str, Any]) -> AsyncMemory:
        """A memory from a configuration in mem0's shape."""
        memory = cls.__new__(cls)
        memory._memory = Memory.from_config(config_dict)
        return memory

    async def add(
        self,
        messages: Any,
        *,
        user_id: str | None = None,
        agent_id: str | None = None,
        run_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        timestamp: Any | None = None,
        expiration_date: Any | None = None,
        infer: bool = True,
        memory_type: str | None = None,
        prompt: str | None = None,
        llm: Any = None,
    ) -> dict[str, Any]:
        """As `Memory.add`; llm is not used."""
        return await finish(
            self._memory.add,
            messages,
            user_id=user_id,
            agent_id=agent_id,
            run_id=run_id,
            metadata=metadata,
            timestamp=timestamp,
            expiration_date=expiration_date,
            infer=infer,
            memory_type=memory_type,
            prompt=prompt,
        )

    async def search(
        self,
        query: str,
        *,
        top_k: int = _DEFAULT_LIMIT,
        filters: dict[str, Any] | None = None,
        threshold: float = 0.1,
        rerank: bool = False,
        explain: bool = False,
        reference_date: Any | None = None,
        show_expired: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """As `Memory.search`."""
        return await finish(
            self._memory.search,
            query,
            top_k=top_k,
            filters=filters,
            threshold=threshold,
            rerank=rerank,
            explain=explain,
            reference_date=reference_date,
            show_expired=show_expired,
            **kwargs,
        )

    async def get(self, memory_id: str) -> dict[str, Any] | None:
        """As `Memory.get`."""
        return await finish(self._memory.get, memory_id)

    async def get_all(
        self,
        *,
        filters: dict[str, Any] | None = None,
        top_k: int = _DEFAULT_LIMIT,
        show_expired: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """As `Memory.get_all`."""
        return await finish(self._memory.get_all, filters=filters, top_k=top_k, show_expired=show_expired, **kwargs)

    async def update(
        self,
        memory_id: str,
        text: str | None = None,
        metadata: dict[str, Any] | None = None,
        expiration_date: Any = _UNSET,
        data: str | None = None,
    ) -> dict[str, str]:
        """As `Memory.update`."""
        return await finish(self._memory.update, memory_id, text, metadata, expiration_date, data)

    async def delete(self, memory_id: str) -> dict[str, str]:
        """As `Memory.delete`."""
        return await finish(self._memory.delete, memory_id)

    async def delete_all(
        self, user_id: str | None = None, agent_id: str | None = None, run_id: str | None = None
    ) -> dict[str, str]:
        """As `Memory.delete_all`."""
        return await finish(self._memory.delete_all, user_id, agent_id, run_id)

    async def history(self, memory_id: str) -> list[dict[str, Any]]:
        """As `Memory.history`."""
        return await finish(self._memory.history, memory_id)

    async def reset(self) -> None:
        """As `Memory.reset`."""
        await finish(self._memory.reset)

    def close(self) -> None:
        """As `Memory.close`; not a coroutine, as in mem0."""
        self._memory.close()

    async def __aenter__(self) -> AsyncMemory:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a search or a listing asks for: its ids and filters as they were given, and where they lead."""

    given: dict[str, Any]
    filters: Mapping[str, Any] | None
    ids: Ids
    limit: int


def _asked(verb: str, filters: Any, top_k: Any, kwargs: Mapping[str, Any]) -> _Asked:
    """Raises ParameterError, InvalidFilter, InvalidScope and ValidationError."""
    unknown = kwargs.keys() - {*_ID_NAMES, "limit"}
    if unknown:
        raise ParameterError(f"{verb}() has no argument {min(unknown)!r}.")
    limit = kwargs.get("limit", top_k)
    limit = _DEFAULT_LIMIT if limit is None else limit
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        raise ParameterError(f"top_k={limit!r}: give a whole number of at least 0.")
    if isinstance(filters, Mapping):
        # a number is a name, as a database's key is
        filters = {
            key: str(value) if key in _ID_NAMES and type(value) is int else value for key, value in filters.items()
        }
    given = {name: kwargs.get(name) for name in _ID_NAMES}
    ids = _needed(resolve("", given["user_id"], given["agent_id"], given["run_id"], None, filters))
    return _Asked(given, filters, ids, limit)


def _needed(ids: Ids, otherwise: str = "") -> Ids:
    if not ids.scope and ids.session is None:
        raise ValidationError(
            "At least one of 'user_id', 'agent_id', or 'run_id' must be provided.",
            "VALIDATION_001",
            {"provided_ids": dict.fromkeys(_ID_NAMES)},
            f"Give one, such as user_id='alice', or filters={{'user_id': 'alice'}} in a search. {otherwise}".rstrip(),
        )
    return ids


def _as_place(handle: Handle, scope: str, episode: Episode) -> Place:
    if episode.supersedes:
        return Place(handle, scope, tuple(handle.history(episode.id)))
    return Place(handle, scope, (Version(episode, "ADD", None),))


def _changed(place: Place, metadata: Mapping[str, Any] | None, day: Any) -> dict[str, Any] | None:
    """The metadata after an update; None where it stays as it is."""
    if metadata is None and day is _UNSET:
        return None
    known = memory_item(place)
    changed = {**place.current.metadata, **without_identities(metadata or {}, "the metadata", known)}
    if day is None:
        changed.pop(EXPIRES, None)
    elif day is not _UNSET:
        changed[EXPIRES] = day
    return changed


def _not_found(memory_id: object) -> MemoryNotFound:
    return MemoryNotFound(
        f"Memory with id {memory_id!r} not found. It may have been deleted; get_all() lists what is there."
    )
