"""Systems made for the tests: two that keep records, and one that fails.

`SessionDigest` keeps a record for each session, with every text in it, and a link from each session to the next.
`CarefulDigest` does the same and says itself what a forgotten episode changes. `Fragile` cannot bear the word "bomb".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from mnemic.model import OBSERVED, Cue, Episode, Hit, Link, Reason, Record
from mnemic.store.contract import Changes
from mnemic.systems.contract import Card, MemorySystem, record_id
from mnemic.systems.view import View
from mnemic.text.terms import terms

FOR_TESTS = {
    "digest": "systems.digest:SessionDigest",
    "careful": "systems.digest:CarefulDigest",
}
FRAGILE = {"fragile": "systems.digest:Fragile"}


class SessionDigest(MemorySystem):
    """One record for each session, and links between consecutive sessions."""

    card = Card(
        id="digest",
        title="Digest",
        year=2024,
        family="test",
        summary="A record a session.",
        source="",
        makes=("digest",),
    )

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        touched = {one.session for one in episodes}
        records, links = self._made_of(view.log(), view.scope)
        return Changes(
            put_records=tuple(record for session, record in records.items() if session in touched),
            put_links=tuple(link for session, link in links.items() if session in touched),
        )

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        allowed = view.allowed(cue)
        rows = np.arange(len(view.index)) if allowed is None else np.flatnonzero(allowed)
        episodes = {episode.id: episode for episode in view.episodes(rows).values()}
        wanted, hits = frozenset(terms(cue.text)), []
        for record in view.records():
            if in_sight := [episodes[id] for id in record.sources if id in episodes]:
                shown = _record(self.card.id, view.scope, in_sight)
                if score := len(wanted & set(terms(shown.text))) / max(len(wanted), 1):
                    hits.append(Hit(score=score, record=shown, reasons=(Reason("words", score, 1.0),)))
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))[: cue.limit]

    def _made_of(self, log: Sequence[Episode], scope: str) -> tuple[dict[str | None, Record], dict[str | None, Link]]:
        said: dict[str | None, list[Episode]] = {}
        for episode in log:
            if episode.origin == OBSERVED:
                said.setdefault(episode.session, []).append(episode)
        records = {session: _record(self.card.id, scope, episodes) for session, episodes in said.items()}
        sessions = list(said)
        links = {
            later: Link(
                id=record_id(self.card.id, "next", str(earlier), str(later)),
                system=self.card.id,
                scope=scope,
                kind="next",
                from_id=records[earlier].id,
                to_id=records[later].id,
                sources=(said[earlier][0].id, said[later][0].id),
                recorded_at=said[later][0].recorded_at,
            )
            for earlier, later in pairwise(sessions)
        }
        return records, links


class CarefulDigest(SessionDigest):
    """The same, without starting again when an episode is forgotten."""

    card = replace(SessionDigest.card, id="careful")

    def forget(self, episodes: Sequence[Episode], view: View) -> Changes:
        gone = {episode.id for episode in episodes}
        seen = {id for record in view.records() for id in record.sources}
        records, links = self._made_of([one for one in view.log() if one.id in seen - gone], view.scope)
        return Changes(
            put_records=tuple(records.values()),
            drop_records=tuple({one.id for one in view.records()} - {one.id for one in records.values()}),
            put_links=tuple(links.values()),
            drop_links=tuple({one.id for one in view.links()} - {one.id for one in links.values()}),
        )


class Fragile(MemorySystem):
    """Fails on a word, in a way that no one has foreseen, until it is mended."""

    card = Card(id="fragile", title="Fragile", year=2024, family="test", summary="Fails.", source="")
    is_mended = False

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        for episode in episodes:
            if "bomb" in episode.text and not self.is_mended:
                raise AttributeError(f"no way to take {episode.text!r}")
        return Changes()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        return []


def _record(system: str, scope: str, episodes: Sequence[Episode]) -> Record:
    return Record(
        id=record_id(system, "session", str(episodes[0].session)),
        system=system,
        scope=scope,
        kind="digest",
        text="\n".join(episode.text for episode in episodes),
        sources=tuple(episode.id for episode in episodes),
        recorded_at=episodes[-1].recorded_at,
    )
