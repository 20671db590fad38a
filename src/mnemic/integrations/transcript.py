"""The items of one session, in the order they came, each kept exactly as it came beside its text.

Chat frameworks hand over messages, tool calls and results in shapes of their own and expect them back unchanged. Each
becomes one episode: its text is the episode's text, recalled like any other, and the item itself is a part of it.

A transcript is replaced in one write: the new items are appended together, the first of them marked as a beginning, and
what stands before the newest beginning is not shown any more and then forgotten. A crash in between shows the new items.
An earlier episode is kept where a new item was recognised as its echo: forgetting it would take the new item along.

Departs: a correction made with `Memory.update` changes what is recalled, not the transcript; episodes that were added to
the session in other ways are not shown.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mnemic.errors import EpisodeNotFound, ParameterError
from mnemic.integrations.handle import Handle
from mnemic.model import Episode

_PAGE = 200
_MAX_NAME = 256
_removing = threading.Lock()  # of this process: two that pop at once must not both get the last item


@dataclass(frozen=True, slots=True)
class Item:
    """What a framework hands over: the value as it is, and what of it is said by whom."""

    value: Mapping[str, Any]
    role: str
    text: str = ""
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """An item as the log has it."""

    id: str
    seq: int
    item: Item
    is_beginning: bool


class Transcript:
    """One session of a handle's scope as a list of items of one format."""

    def __init__(self, handle: Handle, session: str, format: str) -> None:
        if not isinstance(session, str) or not session.strip():
            raise ParameterError(f"The session is {session!r}. Give it a name, such as 'monday'.")
        self.session = session
        self._handle = handle
        self._format = format

    def add(self, items: Sequence[Item]) -> None:
        """Append items, all or none; durable once this returns."""
        self._append(items, is_beginning=False)

    def values(self, limit: int | None = None) -> list[dict[str, Any]]:
        """The items, oldest first; the newest `limit` of them where it is given."""
        return [dict(one.item.value) for one in self.kept(limit)]

    def kept(self, limit: int | None = None) -> list[Kept]:
        """The items with their ids, oldest first; the newest `limit` of them where it is given."""
        if limit is not None and limit <= 0:
            return []
        newest: list[Kept] = []
        for one in self._from_newest(_PAGE if limit is None else min(limit, _PAGE)):
            newest.append(one)
            if one.is_beginning or len(newest) == limit:
                break
        return newest[::-1]

    def pop(self) -> dict[str, Any] | None:
        """Forget the newest item, and return it; None where there is none."""
        with _removing:
            for one in self._from_newest(2):
                if one.is_beginning:  # the only one left: what stands behind it must not show again
                    self.clear()
                    return dict(one.item.value)
                with suppress(EpisodeNotFound):  # another process was first
                    self._handle.forget(one.id)
                    return dict(one.item.value)
        return None

    def remove(self, index: int) -> dict[str, Any] | None:
        """Forget the item at that place, and what only repeats it; return it, or None where there is no such place."""
        with _removing:
            items = self.kept()
            if not -len(items) <= index < len(items):
                return None
            removed = items.pop(index)
            if removed.is_beginning:  # without it, what stands before the beginning would show again
                self._replace([one.item for one in items])
            else:
                self._forget([removed.id])
        return dict(removed.item.value)

    def replace(self, items: Sequence[Item]) -> None:
        """Make these the items of the session, in one write."""
        with _removing:
            self._replace(items)

    def clear(self) -> None:
        """Forget the whole session."""
        self._handle.forget(session=self.session)

    def _replace(self, items: Sequence[Item]) -> None:
        if not items:
            return self.clear()
        first_seq, echoed = self._append(items, is_beginning=True)
        before = [one.id for one in self._from_newest(_PAGE) if one.seq < first_seq]
        return self._forget([id for id in before if id not in echoed])

    def _append(self, items: Sequence[Item], *, is_beginning: bool) -> tuple[int, set[str]]:
        """The first one's place in the log, and the ids of what was recognised as said before."""
        if not items:
            return 0, set()
        messages = [self._message(item, is_beginning=is_beginning and not place) for place, item in enumerate(items)]
        added = self._handle.add(messages, session=self.session)
        return added[0].seq, {id for echo in added.echoes for id in echo.echo_of}

    def _message(self, item: Item, *, is_beginning: bool) -> dict[str, Any]:
        part = {"type": self._format, "item": item.value, **({"begins": True} if is_beginning else {})}
        said = [{"type": "text", "text": item.text}] if item.text else []
        message: dict[str, Any] = {"role": item.role, "content": [*said, part]}
        if item.name and len(item.name) <= _MAX_NAME and item.name.isprintable():
            message["name"] = item.name
        return message

    def _from_newest(self, page_size: int) -> Iterator[Kept]:
        after = 0
        while True:
            page = self._handle.list(session=self.session, newest_first=True, limit=page_size, after=after)
            yield from filter(None, map(self._kept, page))
            if len(page) < page_size:
                return
            after, page_size = page[-1].seq, _PAGE

    def _kept(self, episode: Episode) -> Kept | None:
        if episode.supersedes:
            return None
        for part in episode.parts:
            if part.get("type") == self._format and isinstance(part.get("item"), dict):
                item = Item(part["item"], episode.role, episode.text, episode.actor)
                return Kept(episode.id, episode.seq, item, bool(part.get("begins")))
        return None

    def _forget(self, ids: Sequence[str]) -> None:
        if not ids:
            return
        try:
            self._handle.forget(ids)
        except EpisodeNotFound:  # another process forgot some of them: the others one by one
            for id in ids:
                with suppress(EpisodeNotFound):
                    self._handle.forget(id)
