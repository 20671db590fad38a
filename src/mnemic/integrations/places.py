"""Where a memory lies, told from its id alone: other libraries' verbs take nothing else, and here an id belongs to a scope.

A memory has one id for all its versions, that of the first; an update gives the log a new version and keeps that id.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from mnemic.errors import EpisodeNotFound
from mnemic.integrations.handle import Handle
from mnemic.memory.results import Version
from mnemic.model import ECHO, Episode

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

    def handle(self, scope: str) -> Handle:
        """The handle of a scope below."""
        return self._handle.scope(scope) if scope else self._handle

    def find(self, id: str) -> Place | None:
        """The memory of that id, the oldest where several scopes have one; None where there is none."""
        for episode in self._handle.find(id):
            scope = episode.scope.removeprefix(self._handle.scope_path).lstrip("/")
            handle = self.handle(scope)
            with suppress(EpisodeNotFound):  # forgotten meanwhile
                return Place(handle, scope, tuple(handle.history(id)))
        return None
