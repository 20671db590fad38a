"""The indexes of a store that are in memory: built when first needed, kept up to date, put away when room is short.

`of` returns an index that has seen everything committed before the call. It asks the store for the last position and
the last removal of the scope (two index seeks), reads what is newer, and leaves out what was removed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from mnemic.index.files import IndexFiles
from mnemic.index.scope_index import ScopeIndex
from mnemic.store.contract import Store

WORTH_A_FILE = 5_000  # rows: a smaller index is read from the store as fast as from a file
_PAGE = 8_192


class IndexLibrary:
    """Indexes by scope, at most `budget_bytes` of them in memory (the one in use always stays)."""

    def __init__(self, store: Store, dim: int, files: IndexFiles | None, budget_bytes: int = 512 * 2**20) -> None:
        self.dim = dim
        self._store = store
        self._files = files
        self._budget_bytes = budget_bytes
        self._lock = threading.Lock()  # guards the two dictionaries
        self._indexes: OrderedDict[tuple[int, ...], ScopeIndex] = OrderedDict()
        self._building: dict[tuple[int, ...], threading.Lock] = {}
        self._sizes: dict[tuple[int, ...], int] = {}
        self._saved: dict[tuple[int, ...], int] = {}  # rows in the file, as far as we know

    def of(self, scope_ids: Sequence[int]) -> ScopeIndex:
        """The index of these scopes together, up to date."""
        key = tuple(scope_ids)
        with self._lock:
            index = self._indexes.get(key)
            turn = self._building.setdefault(key, threading.Lock())
        change = self._store.last_change(key)
        if index is not None and index.seen == change:
            with self._lock:
                if key in self._indexes:
                    self._indexes.move_to_end(key)
                if index.fields.has_grown and self._indexes.get(key) is index:
                    self._count(key, index)
            return index
        with turn:  # one thread reads, the others find it done
            with self._lock:
                index = self._indexes.pop(key, None)  # if reading fails, the next call starts from the store
                self._sizes.pop(key, None)
            if index is not None and index.seen is not None and index.seen.vectors != change.vectors:
                index = None  # vectors of rows that it holds have changed
            index = self._caught_up(key, index, change.vectors)
            index.seen = change
            self._keep(key, index)
        return index

    def holds(self, scope_ids: Sequence[int]) -> bool:
        """Whether the index of these scopes together is in memory, so that it is quickly up to date."""
        with self._lock:
            return tuple(scope_ids) in self._indexes

    def drop(self, scope_ids: Sequence[int]) -> None:
        """Leave no trace of these scopes in memory or in files; they are read from the store again when needed."""
        gone = set(scope_ids)
        with self._lock:
            for key in [key for key in self._indexes if gone & set(key)]:
                del self._indexes[key], self._sizes[key]
                self._saved.pop(key, None)
        if self._files is not None:
            self._files.drop(scope_ids)

    def save(self) -> None:
        """Write the large indexes that grew since they were written."""
        if self._files is None:
            return
        with self._lock:
            indexes = list(self._indexes.items())
        for key, index in indexes:
            if len(index) >= WORTH_A_FILE and len(index) != self._saved.get(key):
                self._save(key, index, index.seen.vectors if index.seen else 0)

    @property
    def nbytes(self) -> int:
        """Bytes of all indexes in memory, about."""
        with self._lock:
            return sum(self._sizes.values())

    def _caught_up(self, key: tuple[int, ...], index: ScopeIndex | None, vectors: int) -> ScopeIndex:
        is_new = index is None
        index = (self._loaded(key, vectors) or ScopeIndex(self.dim)) if index is None else index.clone()
        last_removal, removed = self._store.removed_seqs(key, after=index.last_removal)
        if len(index) and removed:
            index = index.without(removed)
        index.last_removal = last_removal
        before = len(index)
        while True:
            rows = self._store.index_rows(key, after=index.last_seq, limit=_PAGE)
            index.extend(rows)
            if len(rows.seqs) < _PAGE:
                break
        # what was removed while we read: the rows are gone from the store, and must go here too
        newest, removed = self._store.removed_seqs(key, after=index.last_removal)
        if removed:
            index = index.without(removed)
            index.last_removal = newest
        index.settle()
        if is_new and len(index) >= WORTH_A_FILE and len(index) - before > WORTH_A_FILE // 10:
            self._save(key, index, vectors)
        return index

    def _loaded(self, key: tuple[int, ...], vectors: int) -> ScopeIndex | None:
        arrays = self._files.load(key, vectors) if self._files is not None else None
        if arrays is None:
            return None
        try:
            index = ScopeIndex.from_arrays(arrays)
        except (KeyError, ValueError, IndexError, TypeError):  # a file of another build
            return None
        if index.vectors.dim != self.dim:
            return None
        self._saved[key] = len(index)
        return index

    def _save(self, key: tuple[int, ...], index: ScopeIndex, vectors: int) -> None:
        if self._files is None or self._has_forgotten(key, index):
            return
        if self._files.save(key, vectors, index.arrays()):
            if self._has_forgotten(key, index):  # by another process, which deleted the files before we wrote this one
                self._files.drop(key)
                return
            self._saved[key] = len(index)

    def _has_forgotten(self, key: tuple[int, ...], index: ScopeIndex) -> bool:
        """Whether the store has removed what this index still holds."""
        return self._store.last_change(key).removal > index.last_removal

    def _keep(self, key: tuple[int, ...], index: ScopeIndex) -> None:
        with self._lock:
            self._indexes[key] = index
            self._indexes.move_to_end(key)
            self._count(key, index)

    def _count(self, key: tuple[int, ...], index: ScopeIndex) -> None:
        """Note what the newest index takes, and put others away where that is too much; with the lock held."""
        index.fields.has_grown = False
        self._sizes[key] = index.nbytes
        while sum(self._sizes.values()) > self._budget_bytes and len(self._indexes) > 1:
            put_away, _ = self._indexes.popitem(last=False)
            del self._sizes[put_away]
            self._building.pop(put_away, None)
