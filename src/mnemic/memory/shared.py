"""What all handles of one open store share: the store, the indexes, the embedder, and what was recalled lately."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemic.clock import Clock
from mnemic.errors import EmbedderMismatch, EmbedderUnavailable, ParameterError, StoreError, StoreReadOnly
from mnemic.index.files import IndexFiles
from mnemic.index.library import IndexLibrary
from mnemic.index.scope_index import ScopeIndex
from mnemic.memory.asking import Account, Asker, Rest
from mnemic.memory.background import Background
from mnemic.memory.choose_model import Models, without_llm
from mnemic.model import Episode, new_id
from mnemic.models.budget import Budget
from mnemic.models.embedder import CachedEmbedder, Embedder
from mnemic.models.prompt import Asks
from mnemic.models.resolve import open_embedder
from mnemic.ops.echo import Marks, RecalledTexts
from mnemic.store.contract import VectorsBy
from mnemic.store.sqlite import SqliteStore
from mnemic.systems import runner
from mnemic.systems.contract import MemorySystem, keeps_records
from mnemic.systems.made import MadeLibrary
from mnemic.systems.registry import create
from mnemic.systems.view import View
from mnemic.text.terms import drop_remembered_words
from mnemic.text.tokens import drop_remembered_pieces

ECHO_WINDOW = timedelta(days=1)  # how long recalled text is recognised by its content; its mark is known for ever
_FLUSH_RECALLS = 256  # episodes whose recall counts wait in memory
_SCOPES_IN_MIND = 1024
FLUSH_EVERY = timedelta(seconds=1)


class Shared:
    """The parts behind every `Memory` handle of one open store."""

    def __init__(
        self,
        store: SqliteStore,
        embedder: str | Embedder | None,
        clock: Clock,
        index_memory_mb: int,
        budget: Budget | None = None,
        *,
        background: bool = True,
    ) -> None:
        if index_memory_mb < 1:
            raise ParameterError(f"index_memory_mb={index_memory_mb}: give at least 1.")
        self.store = store
        self.clock = clock
        self._index_bytes = index_memory_mb * 2**20
        stored = store.meta("embedder")
        self.embedder = CachedEmbedder(open_embedder(embedder, stored_id=stored))
        if stored is not None and stored != self.embedder.id:
            raise EmbedderMismatch(
                f"{store.path or 'The store'} holds vectors of {stored}; it was opened with {self.embedder.id}. Their vectors "
                "cannot be compared. Open it with the embedder that made it, or embed everything again: "
                "`mnemic reindex --embedder NAME`."
            )
        if store.read_only:
            self.store_id = store.meta("store_id") or ""
        else:
            self.store_id = store.claim_meta("store_id", new_id())
        self.marks = Marks(self.store_id)
        self._library: IndexLibrary | None = None
        self._lock = threading.Lock()
        self._recalled: dict[str, RecalledTexts] = {}
        self._recall_counts: dict[int, tuple[int, datetime]] = {}
        self._flush_after = clock.now()
        self._systems: dict[str, tuple[dict[str, Any], MemorySystem]] = {}
        self.made = MadeLibrary(store)
        self.models = Models(store, None)
        self.budget = budget
        self._rest, self._account = Rest(), Account()
        self.background = Background(self._observe_behind, is_on=background)
        self._observing: dict[tuple[str, str], threading.RLock] = {}

    # -- indexes and vectors ------------------------------------------------------------------------------

    @property
    def index_folder(self) -> Path | None:
        """Where index files go: beside the database, in a folder of its name with `.index` behind it."""
        path = self.store.path
        return None if path is None else path.with_name(path.name + ".index")

    @property
    def library(self) -> IndexLibrary:
        """The indexes; made at the first need, since only then the embedder must know its dimension."""
        with self._lock:
            if self._library is None:
                files = None
                if self.index_folder is not None and not self.store.read_only:
                    files = IndexFiles(self.index_folder, f"{self.store_id} {self.embedder.id}")
                try:
                    dim = int(self.store.meta("dim") or 0) or self.embedder.dim
                except EmbedderUnavailable:  # there is no vector yet: words will do, until it can say its dimension
                    return IndexLibrary(self.store, 1, files, self._index_bytes)
                self._library = IndexLibrary(self.store, dim, files, self._index_bytes)
            return self._library

    @property
    def index_bytes(self) -> int:
        """Bytes of the indexes that are in memory, about."""
        return 0 if self._library is None else self._library.nbytes

    def vectors_of(self, texts: Sequence[str], *, show_progress: bool = False) -> NDArray[np.float16] | None:
        """float16 [n, dim] vectors of the texts; None, with a warning, when the embedder cannot be reached."""
        try:
            vectors = self.embedder.embed_many(texts, show_progress) if len(texts) > 1 else self.embedder.embed(texts)
        except EmbedderUnavailable:
            warnings.warn(
                f"The embedder {self.embedder.id} cannot be reached. The episodes are kept and found by their words; "
                "`mnemic reindex` embeds them later.",
                RuntimeWarning,
                stacklevel=4,
            )
            return None
        return vectors.astype("<f2")

    def query_vector(self, text: str) -> NDArray[np.float32] | None:
        """A cue's text as a unit vector; None when there is nothing to compare it with, or the embedder cannot be reached.

        Recall is then by words alone. Raises EmbedderMismatch when another process has given this store another embedder.
        """
        owner = self.store.meta("embedder")
        if owner is None:
            return None
        if owner != self.embedder.id:
            raise self._mismatch(owner)
        try:
            vector: NDArray[np.float32] = self.embedder.embed([text], kind="query")[0]
        except EmbedderUnavailable:
            return None
        return vector if bool(vector.any()) else None

    def made_by(self, vectors: NDArray[np.float16] | None) -> VectorsBy | None:
        """Whose vectors these are, for the store to check when it writes them."""
        return None if vectors is None else VectorsBy(self.embedder.id, vectors.shape[1])

    def _mismatch(self, owner: str) -> EmbedderMismatch:
        return EmbedderMismatch(
            f"{self.store.path or 'The store'} holds vectors of {owner} by now; this handle has {self.embedder.id}. Nothing was "
            "written. Open it again with that embedder, or embed everything again: `mnemic reindex --embedder NAME`."
        )

    # -- views and systems --------------------------------------------------------------------------------

    def view_of(
        self,
        scope: str,
        system: str,
        until_seq: int | None = None,
        *,
        include_children: bool = False,
        ask: Asks | None = None,
    ) -> View:
        """What the system may see of the scope. ask: its way to a model."""

        def index() -> ScopeIndex:
            ids = self.store.scope_ids(scope, include_children=include_children)
            return self.library.of(ids) if ids else ScopeIndex(self.library.dim)

        return View(
            self.store, index, self.query_vector, scope, system, until_seq, made=self.made, embed=self.embed, ask=ask
        )

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[n, dim] vectors of what a system makes. Raises EmbedderMismatch as `query_vector` does."""
        owner = self.store.meta("embedder")
        if owner is not None and owner != self.embedder.id:
            raise self._mismatch(owner)
        return self.embedder.embed(texts)

    def asker(self, scope: str, system: str, *, is_recall: bool) -> Asker | None:
        """The system's way to its model in a scope; None where it has none."""
        if "llm" not in self.system(system).card.needs:
            return None
        llm = self.models.of(system)
        if llm is None:
            return None
        return Asker(
            self.store,
            self.clock,
            llm,
            scope,
            system,
            budget=self.budget,
            is_recall=is_recall,
            may_write=not self.store.read_only,
            cancelled=self.background.cancelled,
            rest=self._rest,
            account=self._account,
        )

    # -- observing ----------------------------------------------------------------------------------------

    def observing_view(self, scope: str, system: str, until_seq: int | None) -> View:
        """What the system sees while it observes or consolidates."""
        return self.view_of(scope, system, until_seq, ask=self.asker(scope, system, is_recall=False))

    def waits(self, system: str) -> bool:
        """Whether the system asks a model while it observes, so that nobody should wait for it."""
        known = self.system(system)
        return keeps_records(known) and "llm" in known.card.needs and self.models.of(system) is not None

    def catch_up(self, system: str, scope: str) -> None:
        """Let the system observe what it has not seen: now where that is quick, else in the background."""
        if self.store.read_only or not keeps_records(self.system(system)):
            return
        if self.waits(system):
            self.background.wake(system, scope)
        else:
            self.observe(system, scope)

    def behind(self, system: str, scope: str) -> int:
        """How many episodes of the scope the system has not observed yet."""
        if not keeps_records(self.system(system)):
            return 0
        return self.store.count(scope, after=self.store.records.cursor(system, scope))

    def observe(
        self, system: str, scope: str, *, consolidates: bool = False, moved: Callable[[], None] | None = None
    ) -> runner.Progress:
        """Let the system observe what it has not seen, and wait for it. moved: is called before each batch, and at the end."""

        def view_of(scope: str, system: str, until_seq: int | None) -> View:
            if moved is not None:
                moved()
            return self.observing_view(scope, system, until_seq)

        with self._lock:
            lock = self._observing.setdefault((system, scope), threading.RLock())
        step = partial(runner.consolidate if consolidates else runner.catch_up, is_asking=self.waits(system))
        try:
            with lock:  # two that ask a model the same would pay twice
                return step(self.system(system), scope, self.store, view_of, self.clock.now())
        finally:
            if moved is not None:
                moved()

    def start_again(self, system: str, scope: str) -> None:
        """Drop what the system made in the scope, and the failures that say what it went on without."""
        self.store.records.reset(system, scope)
        for failure in self.store.records.failures():
            if (failure.system, failure.scope) == (system, scope):
                self.store.records.clear_failure(system, scope, failure.step)

    def observe_behind_others(self, scope: str) -> None:
        """Something was added: let the attached systems that ask a model observe it in the background."""
        for system in self.models.asking() if self.models.are_any else ():
            self.background.wake(system, scope)

    def _observe_behind(self, system: str, scope: str) -> bool:
        """One piece of work of the background; whether it was done."""
        if system not in self.models.asking():
            return True  # detached meanwhile
        return self.observe(system, scope).error is None

    def system(self, id: str) -> MemorySystem:
        """The system of that name: as it is attached, else with its defaults."""
        given = without_llm(self.store.records.attached().get(id))
        known = self._systems.get(id)
        if known is None or known[0] != given:  # another process may have attached it with other parameters
            known = self._systems[id] = given, create(id, given)
        return known[1]

    def forget_system(self, id: str) -> None:
        """Make it again at the next use: its parameters changed."""
        self._systems.pop(id, None)

    # -- what was recalled --------------------------------------------------------------------------------

    def note_recall(self, scope: str, episodes: Sequence[Episode]) -> None:
        """These episodes, of the scope or below it, were handed out: to be recognised as echoes, and counted."""
        now = self.clock.now()
        with self._lock:
            for episode in episodes:
                for place in {scope, episode.scope}:
                    self._recalled_in(place).note([episode], now)
                times, _ = self._recall_counts.get(episode.seq, (0, now))
                self._recall_counts[episode.seq] = (times + 1, now)
            is_time = len(self._recall_counts) >= _FLUSH_RECALLS and now >= self._flush_after
            if is_time:
                self._flush_after = now + FLUSH_EVERY  # not at every search, should it fail
        if is_time:
            self.flush_recalls()

    def recalled(self, scope: str) -> RecalledTexts:
        """What was recalled in the scope within the echo window, by this process and, as far as it was written, by others."""
        with self._lock:
            return self._recalled_in(scope)

    def flush_recalls(self) -> None:
        """Write the recall counts. They are statistics: a crash before this loses no memory, and what cannot be written now
        is kept for the next time, since no search may fail because of it."""
        with self._lock:
            waiting, self._recall_counts = self._recall_counts, {}
        if not waiting or self.store.read_only:
            return
        try:
            self.store.note_recalls(waiting)
        except StoreError:
            with self._lock:
                for seq, (times, last) in waiting.items():
                    more, latest = self._recall_counts.get(seq, (0, last))
                    self._recall_counts[seq] = (times + more, max(last, latest))

    def drop_traces(self, seqs: Iterable[int]) -> None:
        """Forget what memory holds of these episodes."""
        gone = set(seqs)
        self.embedder.clear()
        drop_remembered_words()
        drop_remembered_pieces()
        if (
            claims := sys.modules.get("mnemic.ops.claims")
        ) is not None:  # only systems that compare claims have read any
            claims.drop_remembered_claims()
        with self._lock:
            for texts in self._recalled.values():
                texts.drop(gone)
            for seq in gone:
                self._recall_counts.pop(seq, None)

    def must_write(self) -> None:
        """Raise StoreReadOnly where this handle may only read."""
        if self.store.read_only:
            raise StoreReadOnly(f"{self.store.path} was opened read-only. Open it without read_only=True to write.")

    def close(self) -> None:
        """Write what waits, and close."""
        self.background.stop(self.models.close)
        try:
            self.flush_recalls()
            if self._library is not None:
                self._library.save()
        finally:
            self.store.close()

    def _recalled_in(self, scope: str) -> RecalledTexts:
        if scope not in self._recalled:
            if len(self._recalled) >= _SCOPES_IN_MIND:
                del self._recalled[next(iter(self._recalled))]
            texts = RecalledTexts(ECHO_WINDOW)
            now = self.clock.now()
            seqs = self.store.recalled_since(scope, now - ECHO_WINDOW, texts.capacity)
            if seqs:
                found = self.store.by_seq(seqs)
                texts.note([found[seq] for seq in reversed(seqs) if seq in found], now)
            self._recalled[scope] = texts
        return self._recalled[scope]


def store_path(path: str | Path, read_only: bool) -> Path:
    """Where a store's file is, or will be made. Raises StoreReadOnly, with what to do, where it cannot be."""
    where = Path(path).absolute()  # now: the working directory may change while the store is open
    if where.is_dir():
        raise StoreReadOnly(
            f"{where} is a folder; a memory is a file. Give a file in it, such as {where / 'memory.db'}."
        )
    if not where.parent.is_dir():
        raise StoreReadOnly(
            f"The folder {where.parent} does not exist, so {where.name} cannot be made in it. Make it first."
        )
    if read_only and not where.exists():
        raise StoreReadOnly(
            f"{where} does not exist, and read_only=True makes no files. Give the path of an existing memory."
        )
    return where
