"""The write path: drafts become episodes with terms, hashes and vectors, and are appended in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, overload

from mnemic.memory.intake import Draft
from mnemic.memory.shared import Shared
from mnemic.model import ECHO, OBSERVED, Episode, Origin, is_within
from mnemic.ops.echo import Echo, RecalledTexts, echo_by_lineage
from mnemic.ops.repeats import content_hash
from mnemic.store.contract import Appended, Entry
from mnemic.text.terms import as_said, terms


@dataclass(frozen=True, slots=True)
class Added:
    """What `add` did: the episodes as the log holds them, in the order given, and which of them are new.

    Iterates over the episodes; `added["results"]` has the shape that users of other memory libraries know.
    """

    episodes: tuple[Episode, ...]
    is_new: tuple[bool, ...]  # False where the id was there already, with the same content: a retry

    @property
    def ids(self) -> list[str]:
        """The episodes' ids."""
        return [episode.id for episode in self.episodes]

    @property
    def id(self) -> str:
        """The id of the only episode, or of the first."""
        return self.episodes[0].id

    @property
    def echoes(self) -> list[Episode]:
        """Those that only repeat what was recalled."""
        return [episode for episode in self.episodes if episode.origin == ECHO]

    def __len__(self) -> int:
        return len(self.episodes)

    def __iter__(self) -> Iterator[Episode]:
        return iter(self.episodes)

    def __str__(self) -> str:
        new = sum(self.is_new)
        there = len(self) - new
        notes = [f"{there} there already"] if there else []
        notes += [f"{len(self.echoes)} as {'an echo' if len(self.echoes) == 1 else 'echoes'}"] if self.echoes else []
        return f"Added {new} episode{'' if new == 1 else 's'}" + (f" ({', '.join(notes)})" if notes else "")

    @overload
    def __getitem__(self, key: int) -> Episode: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Episode, ...]: ...
    @overload
    def __getitem__(self, key: str) -> Any: ...
    def __getitem__(self, key: int | slice | str) -> Any:
        return self.to_dict()[key] if isinstance(key, str) else self.episodes[key]

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            "results": [
                {
                    "id": episode.id,
                    "memory": episode.text,
                    "event": "ADD" if is_new else "NONE",
                    "origin": episode.origin,
                }
                for episode, is_new in zip(self.episodes, self.is_new, strict=True)
            ]
        }


def remember(shared: Shared, scope: str, drafts: Sequence[Draft], *, show_progress: bool = False) -> Added:
    """Append drafts to the scope's log, durably and all together."""
    shared.must_write()
    now = shared.clock.now()
    recalled = shared.recalled(scope)
    entries: list[Entry] = []
    vectors = shared.vectors_of([draft.text for draft in drafts], show_progress=show_progress) if drafts else None
    rows = None if vectors is None else memoryview(vectors.reshape(-1).view("u1"))  # type: ignore[arg-type]
    width = 0 if vectors is None else 2 * vectors.shape[1]
    for place, draft in enumerate(drafts):
        words = terms(as_said(draft.actor, draft.text))
        echo = _echo(shared, scope, draft, words, recalled)
        episode = episode_from(draft, scope, now, echo)
        vector = None if rows is None else rows[place * width : (place + 1) * width]
        entries.append(Entry(episode, " ".join(words), content_hash(draft.text), vector, draft.is_client_id))
    appended = shared.store.append(entries, shared.made_by(vectors))
    return _added(shared, entries, appended.seqs, appended.is_new)


def episode_from(
    draft: Draft, scope: str, now: datetime, echo: Echo | None = None, supersedes: str | None = None
) -> Episode:
    """The episode that a draft becomes."""
    origin: Origin = OBSERVED if echo is None else ECHO
    return Episode(
        text=draft.text,
        id=draft.id,
        scope=scope,
        occurred_at=draft.occurred_at or now,
        recorded_at=now,
        role=draft.role,
        actor=draft.actor,
        session=draft.session,
        metadata=draft.metadata,
        parts=draft.parts,
        supersedes=supersedes,
        origin=origin,
        echo_of=() if echo is None else echo.ids,
    )


def correct(shared: Shared, episode: Episode) -> Appended | None:
    """Append an episode that supersedes another; None, and nothing written, when that is gone or already superseded."""
    shared.must_write()
    vectors = shared.vectors_of([episode.text])
    vector = None if vectors is None else vectors[0].tobytes()
    entry = Entry(episode, " ".join(terms(as_said(episode.actor, episode.text))), content_hash(episode.text), vector)
    return shared.store.append_superseding(entry, shared.made_by(vectors))


def _echo(shared: Shared, scope: str, draft: Draft, words: list[str], recalled: RecalledTexts) -> Echo | None:
    if draft.role == "document" and "document" in draft.metadata:
        return None  # an edit is a state, not evidence; it must not go when another document is forgotten
    if "[m:" in draft.text and (seqs := shared.marks.found_in(draft.text)):
        # what a recall of the scope and its children can have shown
        marked = [one for one in shared.store.by_seq(seqs).values() if is_within(one.scope, scope)]
        if (echo := echo_by_lineage(draft.text, marked)) is not None:
            return echo
    if not recalled:
        return None

    def is_current(episode: Episode) -> bool:
        there = shared.store.get(episode.scope, [episode.id])
        return bool(there) and shared.store.superseding(episode.scope, episode.id) is None

    return recalled.echo_of(draft.text, frozenset(words), draft.role, shared.clock.now(), is_current)


def _added(shared: Shared, entries: list[Entry], seqs: Sequence[int], is_new: Sequence[bool]) -> Added:
    already = (
        shared.store.by_seq([seq for seq, new in zip(seqs, is_new, strict=True) if not new]) if not all(is_new) else {}
    )
    episodes = tuple(
        _placed(entry.episode, seq) if new else already.get(seq, entry.episode)
        for entry, seq, new in zip(entries, seqs, is_new, strict=True)
    )
    return Added(episodes, tuple(is_new))


def _placed(episode: Episode, seq: int) -> Episode:
    # not dataclasses.replace: this runs for every episode of a batch, and nobody else has seen the episode yet
    object.__setattr__(episode, "seq", seq)
    return episode
