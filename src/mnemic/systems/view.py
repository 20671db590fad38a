"""What a system sees of one scope: its episodes, its indexes, its own records, its model. Nothing can be written here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from itertools import islice, takewhile
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mnemic.clock import to_microseconds
from mnemic.filters import compile_filter
from mnemic.index.filtering import passing
from mnemic.index.scope_index import Mask, ScopeIndex
from mnemic.model import Cue, Episode, Hit, Link, Reason, Record
from mnemic.models.prompt import Asks, Prompt
from mnemic.store.contract import Changes, Store, iterate
from mnemic.systems.draft import Draft
from mnemic.systems.made import Made, MadeLibrary, holds, rounded
from mnemic.text.speakers import in_first_person

LATELY = 8192  # episodes of an index that are kept at hand
FEEDBACK = "feedback"  # the role of what was said of memories: see `mnemic.systems.feedback`
HIDDEN_ROLES = (
    "system",
    "developer",
    FEEDBACK,
)  # instructions to a model are kept in the log and are nobody's memories
_PAGE = 100  # records whose sources are looked at together
_NEVER = sys.maxsize  # a position that no log reaches


T = TypeVar("T")


class NoModel:
    """The `Asks` of a system without a model: always the offline path."""

    def __call__(self, step: str, prompt: Prompt, schema: type[T]) -> T | None:
        return None

    def many(self, step: str, prompts: Sequence[Prompt], schema: type[T]) -> list[T | None]:
        return [None] * len(prompts)


class View:
    """One scope (and, where the cue asks, those below it) as a system may see it.

    embed_query: turns a cue's text into a unit vector, or None where no embedder can.
    until_seq: the last position in sight, for a system that observes; None shows everything.
    ask: the system's way to its model; answers None, for the offline path, where there is none.
    """

    def __init__(
        self,
        store: Store,
        index: Callable[[], ScopeIndex],
        embed_query: Callable[[str], NDArray[np.float32] | None],
        scope: str,
        system: str,
        until_seq: int | None = None,
        *,
        made: MadeLibrary | None = None,
        embed: Callable[[Sequence[str]], NDArray[np.float32]] | None = None,
        ask: Asks | None = None,
    ) -> None:
        self.scope = scope
        self.ask: Asks = ask or NoModel()
        self._library = made
        self._embed_texts = embed
        self._store = store
        self._index = index
        self._embed_query = embed_query
        self._system = system
        self._until_seq = until_seq
        self._corrected_at: dict[str, int] = {}  # of episodes that were asked about; _NEVER where nothing corrects them

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

    def since(self, seq: int) -> list[Episode]:
        """The scope's episodes after a position, as far as they are in sight, in log order."""
        found = iterate(self._store, self.scope, after=seq, page=256)
        return list(takewhile(lambda one: self._until_seq is None or one.seq <= self._until_seq, found))

    @cached_property
    def made(self) -> Made:
        """What the system has made in the scope, as it stands in the store."""
        assert self._library is not None, "a view that was made without it"
        return self._library.of(self._system, self.scope, lambda: self.index.vectors.dim)

    @property
    def based_on(self) -> int | None:
        """The version of the system's records that was read here; None if none was."""
        return self.made.version if "made" in self.__dict__ else None

    def applied(self, changes: Changes, version: int) -> None:
        """The changes that followed from this view were written; it is told so that they need not be read again."""
        if self._library is not None and "made" in self.__dict__:
            self._library.applied(self._system, self.scope, self.made, changes, version)

    def draft(self) -> Draft:
        """What the system has made, to be changed: `draft.changes()` is what an observation returns."""
        return Draft(self.made, self.embed, self.superseded)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[n, dim] unit vectors of texts as documents, as they are when they come back from the store.

        Raises EmbedderUnavailable: the observation is then repeated later.
        """
        assert self._embed_texts is not None, "a view that was made without it"
        return rounded(self._embed_texts(texts)) if texts else np.zeros((0, self.made.dim), np.float32)

    def superseded(self, ids: Iterable[str], at_seq: int) -> set[str]:
        """Which of these episodes had been corrected at a position of the log, however far the log goes on."""
        if not self._has_corrections:
            return set()
        asked = dict.fromkeys(ids)
        if missing := [id for id in asked if id not in self._corrected_at]:
            self._corrected_at |= dict.fromkeys(missing, _NEVER)
            for one in reversed(self._store.all_superseding(self.scope, missing)):  # of several the first counts
                self._corrected_at[str(one.supersedes)] = one.seq
        return {id for id in asked if self._corrected_at[id] <= at_seq}

    @cached_property
    def _has_corrections(self) -> bool:
        return bool((self.index.superseded_by >= 0).any())

    def records(self, ids: Sequence[str] | None = None) -> list[Record]:
        """The system's own records in the scope."""
        return self._store.records.records(self._system, self.scope, ids)

    def links(self) -> list[Link]:
        """The system's own links in the scope."""
        return self._store.records.links(self._system, self.scope)

    # -- answering ----------------------------------------------------------------------------------------

    def sees(self, records: Sequence[Record], cue: Cue) -> list[bool]:
        """Whether each record may be a hit: it holds, and an episode that it came from is in sight and passes the filters.

        So what was made only of an episode that was corrected since is not shown.
        """
        standing = [holds(one, cue.as_of) for one in records]
        allowed = self.allowed(cue)
        if allowed is None:
            return standing
        ids = {id for one, stands in zip(records, standing, strict=True) if stands for id in one.sources}
        passing_ids = set()
        for episode in self._store.get(self.scope, sorted(ids)):
            row = int(np.searchsorted(self.index.seqs, episode.seq))
            if row < len(self.index) and self.index.seqs[row] == episode.seq and allowed[row]:
                passing_ids.add(episode.id)
        return [
            stands and not passing_ids.isdisjoint(one.sources) for one, stands in zip(records, standing, strict=True)
        ]

    def tail_hits(self, cue: Cue, after: int) -> list[Hit]:
        """Episodes behind a position of the log as hits by their meaning, best first, at most as many as the cue asks for.

        For a system that makes records of whole sessions: what it has not closed yet is recalled as it was said.
        """
        index, vector = self.index, self.query_vector(cue)
        rows = np.flatnonzero(index.seqs > after)
        if (allowed := self.allowed(cue)) is not None:
            rows = rows[allowed[rows]]
        if vector is None or not len(rows):
            return []
        cosines = index.vectors.scores(vector, rows)
        order = np.lexsort((rows, -cosines))
        order = order[(cosines[order] > 0.0) & (cosines[order] >= cue.threshold)][: cue.limit]
        return self.hits(
            rows[order],
            np.minimum(cosines[order], 1.0),
            lambda row: (
                Reason("meaning", min(float(cosines[rows == row][0]), 1.0), 1.0, "not yet part of a session"),
            ),
        )

    def record_hits(
        self,
        ranked: Iterable[tuple[Record, float]],
        cue: Cue,
        why: Callable[[Record, float], tuple[Reason, ...]] | None = None,
        *,
        floor: float = 0.0,
    ) -> list[Hit]:
        """Hits for records, best first, with a score above `floor`, until there are as many as the cue asks for.

        why: a record's reasons; without it the score is its cosine with the cue.
        """
        hits: list[Hit] = []
        waiting = ((record, score) for record, score in ranked if score > floor and score >= cue.threshold)
        while len(hits) < cue.limit and (page := list(islice(waiting, max(_PAGE, 2 * cue.limit)))):
            seen = self.sees([record for record, _ in page], cue)
            for (record, score), is_seen in zip(page, seen, strict=True):
                if is_seen and len(hits) < cue.limit:
                    if cue.as_of is not None:
                        record = self._as_known(record, cue.as_of)
                    score = min(max(float(score), 0.0), 1.0)
                    reasons = why(record, score) if why else (Reason("meaning", score, 1.0),)
                    hits.append(Hit(score=score, record=record, reasons=reasons))
        return hits

    def _as_known(self, record: Record, as_of: datetime) -> Record:
        """A record without what nobody knew then: that it would be superseded, and episodes that said it again later."""
        if record.retired_at is not None:
            record = replace(record, retired_at=None, valid_to=None)
        if len(record.sources) > 1:
            known = {one.id for one in self._store.get(self.scope, record.sources) if one.recorded_at <= as_of}
            record = replace(record, sources=tuple(id for id in record.sources if id in known))
        return record

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
