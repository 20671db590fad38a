"""What a system sees of one scope: its episodes, its indexes, the system's own records. Nothing can be written here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mnemic.clock import to_microseconds
from mnemic.filters import compile_filter
from mnemic.index.filtering import passing
from mnemic.index.scope_index import Mask, ScopeIndex
from mnemic.model import Cue, Episode, Hit, Link, Reason, Record
from mnemic.store.contract import Store, iterate
from mnemic.text.speakers import in_first_person

LATELY = 8192  # episodes of an index that are kept at hand
HIDDEN_ROLES = ("system", "developer")  # instructions to a model are kept in the log and are nobody's memories


class View:
    """One scope (and, where the cue asks, those below it) as a system may see it.

    embed_query: turns a cue's text into a unit vector, or None where no embedder can.
    until_seq: the last position in sight, for a system that observes; None shows everything.
    """

    def __init__(
        self,
        store: Store,
        index: Callable[[], ScopeIndex],
        embed_query: Callable[[str], NDArray[np.float32] | None],
        scope: str,
        system: str,
        until_seq: int | None = None,
    ) -> None:
        self.scope = scope
        self._store = store
        self._index = index
        self._embed_query = embed_query
        self._system = system
        self._until_seq = until_seq

    @cached_property
    def index(self) -> ScopeIndex:
        """Vectors, terms and times of the episodes, by row; fixed for the life of this view."""
        return self._index()

    # -- what may be seen ---------------------------------------------------------------------------------

    def visible(self, cue: Cue) -> Mask | None:
        """[n] the rows whose statistics count for the cue, None for all of them: what was known at `cue.as_of`."""
        index = self.index
        mask = index.visible(None if cue.as_of is None else to_microseconds(cue.as_of))
        hidden = [number for role in HIDDEN_ROLES if (number := index.number(role)) >= 0]
        if hidden:
            shown = ~np.isin(index.roles, hidden)
            mask = shown if mask is None else mask & shown
        if self._until_seq is not None and len(index) and index.seqs[-1] > self._until_seq:
            early = index.seqs <= self._until_seq
            mask = early if mask is None else mask & early
        return mask

    def allowed(self, cue: Cue) -> Mask | None:
        """[n] the rows that may be hits: what is visible, and passes the cue's session, window and filters."""
        index, mask = self.index, self.visible(cue)

        def narrowed(by: Mask) -> Mask:
            return by if mask is None else mask & by

        if cue.session is not None:
            mask = narrowed(index.sessions == index.number(cue.session))
        if cue.since is not None:
            mask = narrowed(index.occurred_at >= to_microseconds(cue.since))
        if cue.until is not None:
            mask = narrowed(index.occurred_at <= to_microseconds(cue.until))
        if cue.filters:
            mask = narrowed(passing(compile_filter(cue.filters), index, self._store, self.episodes, mask))
        return mask

    # -- reading ------------------------------------------------------------------------------------------

    def query_vector(self, cue: Cue, text: str | None = None) -> NDArray[np.float32] | None:
        """The cue's text (or another for it) as a unit vector; None where it has none.

        Speakers whom it names are asked about in the first person, as they speak of themselves.
        """
        return self._embed_query(in_first_person(cue.text if text is None else text, self.speaker_test(cue)))

    def speaker_test(self, cue: Cue) -> Callable[[str], bool]:
        """Whether a word, in lower case, stands in the name of somebody who speaks in what the cue may see."""
        index, visible = self.index, self.visible(cue)
        if visible is None:
            return index.is_speaker
        heard = set(np.unique(index.actors[visible]).tolist())
        return lambda word: not heard.isdisjoint(index.speakers([word]))

    def episodes(self, rows: Sequence[int] | NDArray[np.int64]) -> dict[int, Episode]:
        """Episodes by row; one that was forgotten before this view was made is not among them."""
        places = np.asarray(rows, np.int64)
        wanted = dict(zip(self.index.seqs[places].tolist(), places.tolist(), strict=True))
        lately = self.index.lately  # episodes never change, and an index that learns of a removal starts another
        found = {seq: lately[seq] for seq in wanted if seq in lately}
        if len(found) < len(wanted):
            read = self._store.by_seq([seq for seq in wanted if seq not in found])
            found |= read
            if len(lately) + len(read) > LATELY:
                lately.clear()
            lately.update(read)
        return {row: found[seq] for seq, row in wanted.items() if seq in found}

    def log(self) -> list[Episode]:
        """Every episode of the scope in sight, in log order."""
        return [
            one for one in iterate(self._store, self.scope) if self._until_seq is None or one.seq <= self._until_seq
        ]

    def records(self, ids: Sequence[str] | None = None) -> list[Record]:
        """The system's own records in the scope."""
        return self._store.records.records(self._system, self.scope, ids)

    def links(self) -> list[Link]:
        """The system's own links in the scope."""
        return self._store.records.links(self._system, self.scope)

    # -- answering ----------------------------------------------------------------------------------------

    def hits(
        self,
        rows: Sequence[int] | NDArray[np.int64],
        scores: Sequence[float] | NDArray[np.float32],
        why: Callable[[int], tuple[Reason, ...]],
        repeats: Mapping[int, Sequence[int]] | None = None,
    ) -> list[Hit]:
        """Hits for rows in the order given; `why` gives a row's reasons, `repeats` the rows folded into it."""
        episodes = self.episodes([*map(int, rows), *(row for more in (repeats or {}).values() for row in more)])
        hits = []
        for row, score in zip(map(int, rows), scores, strict=True):
            if row in episodes:
                folded = tuple(episodes[other].id for other in (repeats or {}).get(row, ()) if other in episodes)
                hits.append(Hit(score=float(score), episode=episodes[row], reasons=why(row), duplicates=folded))
        return hits
