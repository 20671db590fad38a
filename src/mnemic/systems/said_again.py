"""What is stored and said again, in the same words: whoever says it stands behind it too.

The one idea: a repeat makes no new record, but its message becomes one more source of the one there is. So a fact that several
said stays known while one of them is not corrected, and is found in each of the first sessions that say it.

For a system that works in units (`open_units`): a source is added for good, so only once nothing can be taken back any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mnemic.model import Record
from mnemic.systems.draft import Draft
from mnemic.systems.view import NoModel, View

MOST_SOURCES = 8  # of one record, from repeats: what is said all the time need not name every time


class Repeats:
    """The repeats that were met, until it is certain that they are some."""

    def __init__(self, view: View, draft: Draft) -> None:
        self._draft = draft
        self._has_model = not isinstance(view.ask, NoModel)
        self._waiting: list[tuple[str, tuple[str, ...]]] = []  # (record, episodes that say it again)

    def note(self, record: Record, episode_ids: Iterable[str]) -> None:
        """Episodes say a record again."""
        self._waiting.append((record.id, tuple(episode_ids)))

    def after_rule(self) -> None:
        """A message was worked in by rule: for good, unless a model is to read its unit."""
        if not self._has_model:
            self.settle()

    def settle(self) -> None:
        """What was noted stays."""
        for id, episode_ids in self._waiting:
            record = self._draft.get(id)
            if record is None or record.retired_at is not None or len(record.sources) >= MOST_SOURCES:
                continue
            sources = tuple(dict.fromkeys((*record.sources, *episode_ids)))[:MOST_SOURCES]
            if sources != record.sources:
                self._draft.change(replace(record, sources=sources))
        self._waiting.clear()
