"""Where a memory lies, told from its id alone: other libraries' verbs take nothing else, and here an id belongs to a scope.

An id made here is a UUID of version 8: one of ours, with 36 of its random bits replaced by a digest of the scope. So an
id is found by one look into a dictionary of the scopes' digests, however many users there are; the list of scopes is read
again only where a digest is new. Other ids, of an import or of `Memory.add`, are looked for in every scope, one by one.

A memory has one id for all its versions, that of the first; an update gives the log a new version and keeps that id.
"""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from mnemic.errors import EpisodeNotFound
from mnemic.integrations.handle import Handle
from mnemic.memory.results import Version
from mnemic.model import ECHO, Episode, new_ids

_TAG_BITS, _LOW_TAG_BITS, _RANDOM_BITS = 36, 24, 38
_VERSION = 8
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Place:
    """A memory that was found: the handle of its scope, that scope's path, and all its versions, oldest first."""

    handle: Handle
    scope: str
    versions: tuple[Version, ...]

    @property
    def first(self) -> Episode:
        """Its first version, whose id is the memory's."""
        return self.versions[0].episode

    @property
    def current(self) -> Episode:
        """What it says now."""
        return self.versions[-1].episode


def current(handle: Handle, session: str | None = None, page_size: int = _PAGE) -> Iterator[Episode]:
    """What a scope remembers now, newest first: without echoes and what was corrected since."""
    superseded: set[str] = set()
    after = 0
    while True:
        page = handle.list(limit=page_size, after=after, newest_first=True, session=session)
        for episode in page:
            if episode.supersedes:
                superseded.add(episode.supersedes)
            if episode.id not in superseded and episode.origin != ECHO:
                yield episode
        if len(page) < page_size:
            return
        after, page_size = page[-1].seq, _PAGE


def first_version(handle: Handle, episode: Episode) -> Episode:
    """The first version of what the episode is a version of."""
    return handle.history(episode.id)[0].episode if episode.supersedes else episode


class Places:
    """Finds memories by id among a handle's scope and those below it."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._scopes: dict[int, set[str]] = {}
        self._lock = threading.Lock()

    def handle(self, scope: str) -> Handle:
        """The handle of a scope below."""
        return self._handle.scope(scope) if scope else self._handle

    def ids(self, scope: str, count: int) -> list[str]:
        """Fresh ids for memories of that scope."""
        tag = _tag(scope)
        with self._lock:
            self._scopes.setdefault(tag, set()).add(scope)
        ids: list[str] = []
        while len(set(ids)) < count or (not ids and count):
            ids = [_tagged(id, tag) for id in new_ids(count)]
        return ids

    def find(self, id: str) -> Place | None:
        """The memory of that id; None where there is none."""
        for scope in self._candidates(id):
            handle = self.handle(scope)
            try:
                return Place(handle, scope, tuple(handle.history(id)))
            except EpisodeNotFound:
                continue
        return None

    def _candidates(self, id: str) -> Iterator[str]:
        """Scopes where it may be, likely ones first, none twice."""
        tag = tag_of(id)
        with self._lock:
            likely = sorted(self._scopes.get(tag, ())) if tag is not None else []
        yield from likely
        every = self._below()
        likelier = [scope for scope in every if tag is not None and _tag(scope) == tag and scope not in likely]
        yield from likelier
        tried = {*likely, *likelier}
        yield from (scope for scope in every if scope not in tried)

    def _below(self) -> list[str]:
        """All scopes, relative to the handle's; their digests are noted."""
        own = self._handle.scope_path
        scopes = [path.removeprefix(own).lstrip("/") for path in self._handle.scopes()]
        with self._lock:
            self._scopes.clear()
            for scope in scopes:
                self._scopes.setdefault(_tag(scope), set()).add(scope)
        return scopes


def tag_of(id: str) -> int | None:
    """The digest of a scope that the id carries; None for an id that was not made here.

    >>> tag_of("018f0000-0000-7000-8000-000000000000") is None
    True
    """
    try:
        value = uuid.UUID(id)
    except (ValueError, AttributeError, TypeError):
        return None
    if value.version != _VERSION or str(value) != id:
        return None
    number = value.int
    return (number >> 64 & 0xFFF) << _LOW_TAG_BITS | number >> _RANDOM_BITS & (1 << _LOW_TAG_BITS) - 1


def _tag(scope: str) -> int:
    digest = hashlib.blake2b(scope.encode(), digest_size=8, person=b"mnemic scope").digest()
    return int.from_bytes(digest) >> 64 - _TAG_BITS


def _tagged(id: str, tag: int) -> str:
    number = uuid.UUID(id).int
    kept = number & ~(0xFFFF << 64) & ~((1 << _LOW_TAG_BITS) - 1 << _RANDOM_BITS)
    high, low = tag >> _LOW_TAG_BITS, tag & (1 << _LOW_TAG_BITS) - 1
    return str(uuid.UUID(int=kept | _VERSION << 76 | high << 64 | low << _RANDOM_BITS))
