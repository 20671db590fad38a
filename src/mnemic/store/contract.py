"""What every store promises; SQLite keeps the promise in one file, a server store keeps it for many machines.

A store holds the log (episodes with their terms and vectors), what systems made of it (records, links, cursors) and
nothing that could be derived again. It never reads the clock, never embeds and never ranks: times, terms and vectors
come in with the episodes.

Promises, each of which `tests/store/` checks for every implementation:

- `append` is atomic and durable when it returns; positions (`seq`) grow in the order of commit, are never used
  twice, and no reader ever sees a later one without the earlier ones.
- An id that is sent again with the same content changes nothing; with other content it is an IdConflict.
- `remove` and `RecordStore.apply` are each one transaction.
- What is removed leaves no bytes behind in the store's files once `scrub` has returned True.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mnemic.model import Episode, Link, Record, Session


@dataclass(frozen=True, slots=True)
class Entry:
    """An episode on its way into the log, with what the indexes need."""

    episode: Episode
    terms: str  # normalised terms joined by single spaces, repeats kept
    content_hash: int  # signed 64 bits of the normalised text: the same thing said again has the same one
    vector: memoryview | bytes | None = None  # float16, little-endian; None while it waits for its embedding
    is_client_id: bool = False  # the id came from the caller, so it may have been seen before


class VectorsBy(NamedTuple):
    """Who made vectors that are to be written."""

    embedder: str  # its identity
    dim: int


@dataclass(frozen=True, slots=True)
class Appended:
    """Where the entries of one `append` stand in the log, in the order given."""

    seqs: tuple[int, ...]
    is_new: tuple[bool, ...]  # False where a retry found its episode already there


@dataclass(frozen=True, slots=True)
class IndexRows:
    """What the indexes of some scopes are built from: one entry per episode, in log order. All lists have equal length."""

    seqs: NDArray[np.int64]
    occurred_at: NDArray[np.int64]  # microseconds since 1970 UTC
    recorded_at: NDArray[np.int64]
    content_hashes: NDArray[np.int64]
    sessions: list[str | None]
    actors: list[str | None]
    roles: list[str]
    is_echo: NDArray[np.bool_]
    superseded: list[tuple[int, int]]  # (seq of the old, seq of the new) where the new is among these
    terms: list[str]
    vectors: NDArray[np.float16]  # [n, dim]; zeros where the embedding is still missing
    has_vector: NDArray[np.bool_]
    scope_ids: NDArray[np.int64]


class Change(NamedTuple):
    """How far a scope's log has come."""

    seq: int  # of its newest episode
    removal: int  # number of its newest removal
    vectors: int  # grows whenever vectors of episodes that were already there change, anywhere in the store


@dataclass(frozen=True, slots=True)
class Changes:
    """What a system wants written: put replaces by id, drop names ids that go."""

    put_records: tuple[Record, ...] = ()
    drop_records: tuple[str, ...] = ()
    put_links: tuple[Link, ...] = ()
    drop_links: tuple[str, ...] = ()
    vectors: Mapping[str, bytes] = field(default_factory=dict)  # float16, little-endian, of records that are put
    state: Mapping[str, Any] | None = None  # the system's notes of where it stands; None leaves them as they are

    def __bool__(self) -> bool:
        return bool(
            self.put_records or self.drop_records or self.put_links or self.drop_links or self.state is not None
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that a system made in a scope, and the version at which it stands."""

    records: list[Record]  # ordered by recorded_at, then id
    vectors: Mapping[str, bytes]  # float16, by record
    links: list[Link]
    state: Mapping[str, Any]
    version: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What a model answered to one prompt."""

    answer: str
    attempts: int = 0  # 0: it can be used; else how often nothing usable came, and `answer` is the last that came


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer on its way into the store, with what it cost."""

    key: bytes  # digests scope, model, parameters, prompt and schema
    system: str
    step: str
    model: str
    answer: str
    sources: tuple[str, ...]  # episodes that the model saw; none: it also saw a question, and any forgetting removes it
    attempts: int = 0
    calls: int = 1
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    usd: float = 0.0
    answered_at: datetime
    is_kept: bool = True  # False: only what it cost is written
    last_removal: int | None = (
        None  # the store's newest when its question was asked; not kept where there is another by now
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What was asked of a model, and what it cost."""

    system: str
    step: str
    model: str
    calls: int
    failed: int
    tokens_in: int
    tokens_out: int
    usd: float


@dataclass(frozen=True, slots=True)
class Removal:
    """What one `remove` took away."""

    episodes: int
    records: int = 0  # that came from them, alone or with others; what else a system makes again is not counted
    links: int = 0
    answers: int = 0  # cached model answers that had seen the removed text
    rebuilt_systems: tuple[str, ...] = ()  # systems whose records of the scope start again from what is left


@dataclass(frozen=True, slots=True)
class Failure:
    """Background work that could not be done, kept until it is."""

    scope: str
    system: str
    step: str
    error: str
    attempts: int
    first_at: datetime
    last_at: datetime
    detail: Mapping[str, Any] = field(default_factory=dict)


class RecordStore(Protocol):
    """Records, links, cursors and failures of memory systems."""

    def cursor(self, system: str, scope: str) -> int:
        """The seq up to which the system has observed the scope's log; 0 at the start."""
        ...

    def apply(
        self,
        system: str,
        scope: str,
        changes: Changes,
        *,
        cursor_from: int,
        cursor_to: int,
        based_on: int | None = None,
        last_removal: int | None = None,
    ) -> int:
        """Write the changes and move the cursor, in one transaction, if it still stands at `cursor_from`.

        based_on: the version that the changes follow from; they are written only if nothing was since. last_removal: the
        newest removal of the scope (`Change.removal`) when its episodes were read; what may owe something to an episode that
        was forgotten since is not written. Returns the version that they make; 0, and nothing written, when another got
        there first.
        """
        ...

    def records(
        self,
        system: str,
        scope: str,
        ids: Sequence[str] | None = None,
        *,
        kind: str | None = None,
        current_only: bool = False,
        after: str | None = None,
        limit: int | None = None,
    ) -> list[Record]:
        """The system's records in the scope, all or by id, ordered by recorded_at, then id; `after` the one of that id."""
        ...

    def existing(self, scope: str, ids: Sequence[str]) -> set[str]:
        """Which of the ids are of records of the scope, whichever system made them."""
        ...

    def standing(self, system: str, scope: str) -> Standing:
        """Everything that the system made in the scope, as one consistent snapshot."""
        ...

    def version(self, system: str, scope: str) -> int:
        """Which version of the system's records the scope holds; 0 where there are none yet. Versions are never used twice."""
        ...

    def links(self, system: str, scope: str) -> list[Link]:
        """The system's links in the scope, ordered by recorded_at, then id."""
        ...

    def reset(self, system: str, scope: str | None = None) -> None:
        """Drop the system's records and links and set its cursor to 0, in one scope or in all."""
        ...

    def systems(self) -> list[str]:
        """Systems that keep records or links here, attached or not."""
        ...

    def attach(self, system: str, parameters: Mapping[str, Any], at: datetime) -> None:
        """Remember that the system is attached, with its parameters."""
        ...

    def detach(self, system: str) -> None:
        """Forget the attachment and everything the system made."""
        ...

    def attached(self) -> dict[str, dict[str, Any]]:
        """Attached systems and their parameters."""
        ...

    def note_failure(self, failure: Failure, last_removal: int | None = None) -> None:
        """Keep a failure; the same system, scope and step counts one more attempt.

        last_removal: the scope's newest removal when the work began; nothing is kept where there is another by now, or where
        an episode of the detail's "sources" is gone, since the failure may quote what was forgotten.
        """
        ...

    def clear_failure(self, system: str, scope: str, step: str) -> None:
        """The step succeeded after all."""
        ...

    def failures(self) -> list[Failure]:
        """All unresolved failures, oldest first."""
        ...


class AnswerStore(Protocol):
    """What language models answered and cost."""

    def kept(self, scope: str, key: bytes) -> Kept | None:
        """The answer of that key in the scope."""
        ...

    def keep(self, scope: str, answered: Answered, day: str) -> None:
        """Keep an answer with what it cost, in one transaction; what was there under its key is replaced."""
        ...

    def newest_removal(self) -> int:
        """The number of the newest removal in the store; 0 where nothing was ever forgotten."""
        ...

    def retry_unusable(self, system: str, scope: str, *, attempts: int) -> int:
        """Count prompts that were not answered in a usable form as tried at most so often; how many there are."""
        ...

    def unusable(self) -> dict[str, int]:
        """How many prompts of each system got no usable answer so far, in all scopes; systems without any are left out."""
        ...

    def spent(self, *, scope: str | None = None, day: str | None = None) -> list[Spent]:
        """What was spent, by system, step and model; in one scope or in all, on one day (YYYY-MM-DD, UTC) or ever."""
        ...


class Store(Protocol):
    """The log."""

    @property
    def records(self) -> RecordStore:
        """What systems made of the log."""
        ...

    @property
    def answers(self) -> AnswerStore:
        """What language models answered."""
        ...

    def append(self, entries: Sequence[Entry], vectors_by: VectorsBy | None = None) -> Appended:
        """Append a batch atomically and durably.

        vectors_by: checked in the same transaction against whose vectors the store holds; the first to write decides.
        Raises IdConflict, EmbedderMismatch, StoreBusy, StoreFull, StoreReadOnly; in each case nothing of the batch was written.
        """
        ...

    def get(self, scope: str, ids: Sequence[str]) -> list[Episode]:
        """The episodes of those ids that the scope has, in log order."""
        ...

    def find(self, prefix: str, id: str) -> list[Episode]:
        """The episodes of that id in the scope `prefix` and those below it, in log order."""
        ...

    def by_seq(self, seqs: Sequence[int]) -> dict[int, Episode]:
        """Episodes by position; positions that hold nothing are left out."""
        ...

    def scan(
        self, scope: str, *, after: int = 0, limit: int = 1000, newest_first: bool = False, session: str | None = None
    ) -> list[Episode]:
        """Episodes of exactly this scope in log order, after position `after` (before it when newest first, if not 0)."""
        ...

    def sessions(self, scope: str, *, after: int = 0, limit: int = 100, newest_first: bool = False) -> list[Session]:
        """The scope's sessions by their first position, or by their last one when newest first; `after` as in `scan`."""
        ...

    def count(self, scope: str, *, after: int = 0) -> int:
        """How many episodes of exactly this scope stand after a position."""
        ...

    def existing(self, scope: str, ids: Sequence[str]) -> set[str]:
        """Which of the ids the scope already has."""
        ...

    def superseding(self, scope: str, id: str) -> Episode | None:
        """The episode that supersedes the one of that id, if any; the newest where there are several."""
        ...

    def all_superseding(self, scope: str, ids: Sequence[str]) -> list[Episode]:
        """Every episode that supersedes one of these, in log order."""
        ...

    def echoes_of(self, scope: str, ids: Sequence[str]) -> list[Episode]:
        """The scope's episodes that only repeat one of these, in log order."""
        ...

    def append_superseding(self, entry: Entry, vectors_by: VectorsBy | None = None) -> Appended | None:
        """Append an episode that supersedes another; None, and nothing written, when that is gone or already superseded."""
        ...

    def remove(
        self,
        scope: str,
        seqs: Sequence[int],
        *,
        at: datetime,
        changes: Mapping[str, Changes] | None = None,
        restart: Collection[str] = (),
        drop_scope: bool = False,
    ) -> Removal:
        """Delete episodes and all that came from them, in one transaction.

        `changes`, by system, is written first. Whatever record, link or cached answer then still has a removed source goes;
        a system that had made any of them starts the scope again from what is left, and so do the systems of `restart`. The
        scope's failures go too, since their errors may quote what is removed. `drop_scope` also removes the scope's name when
        nothing is left in it.
        """
        ...

    def scrub(self) -> bool:
        """Make sure that removed bytes are in no file of the store.

        False, and no waiting, while a reader or writer stands in the way, and where the disk has no room for it.
        """
        ...

    def scopes(self, prefix: str = "") -> dict[str, int]:
        """Scopes that are `prefix` or below it, with their number of episodes."""
        ...

    def scope_ids(self, scope: str, *, include_children: bool = False) -> tuple[int, ...]:
        """The store's own numbers of the scope (and of those below it); empty when it does not exist."""
        ...

    def last_change(self, scope_ids: Sequence[int]) -> Change:
        """The newest things that happened to the scopes: an index that has seen them is up to date."""
        ...

    def index_rows(self, scope_ids: Sequence[int], *, after: int = 0, limit: int | None = None) -> IndexRows:
        """What an index needs of the episodes after a position, as one consistent snapshot."""
        ...

    def metadata(self, scope_ids: Sequence[int], *, after: int = 0, limit: int | None = None) -> list[tuple[int, str]]:
        """(seq, metadata as JSON) of the episodes after a position that have any, in log order: what filters read."""
        ...

    def seqs_of(self, scope_ids: Sequence[int], ids: Sequence[str]) -> list[int]:
        """The positions of the episodes of those ids in the scopes, in log order; an id that is not there has none."""
        ...

    def removed_seqs(self, scope_ids: Sequence[int], *, after: int = 0) -> tuple[int, list[int]]:
        """(newest removal number, seqs removed since removal number `after`)."""
        ...

    def without_vector(self, limit: int) -> list[tuple[int, str]]:
        """(seq, text) of episodes that wait for their embedding, in log order."""
        ...

    def put_vectors(self, vectors: Sequence[tuple[int, bytes]], vectors_by: VectorsBy | None = None) -> None:
        """Set the vectors of episodes by position, in one transaction. Raises EmbedderMismatch as `append` does."""
        ...

    def clear_vectors(self, meta: Mapping[str, str]) -> None:
        """Drop every vector and set meta values, in one transaction: the start of a reindex."""
        ...

    def meta(self, key: str) -> str | None:
        """A setting that lives with the store, such as the embedder's identity."""
        ...

    def claim_meta(self, key: str, value: str) -> str:
        """Set a setting if it has no value yet; the value it has afterwards, whoever set it."""
        ...

    def note_recalls(self, recalls: Mapping[int, tuple[int, datetime]]) -> None:
        """Add to how often, and set when last, episodes were recalled."""
        ...

    def recalled_since(self, scope: str, since: datetime, limit: int) -> list[int]:
        """Positions of the scope's episodes recalled since then, latest first."""
        ...

    def counts(self, scope: str | None = None) -> dict[str, int]:
        """Numbers of episodes, echoes, waiting vectors, never-recalled episodes, records, links, failures; file bytes."""
        ...

    def close(self) -> None:
        """Release files and connections. Calling it again does nothing."""
        ...


def iterate(store: Store, scope: str, *, after: int = 0, page: int = 1000) -> Iterator[Episode]:
    """Every episode of a scope in log order, read page by page so that no read transaction stays open."""
    while batch := store.scan(scope, after=after, limit=page):
        yield from batch
        after = batch[-1].seq
