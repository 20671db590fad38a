"""Indexes that are kept up to date: with other handles and other threads, within their budget, and with their files."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from index.world import contents
from mnemic.index import library as module
from mnemic.index.files import IndexFiles
from mnemic.index.library import IndexLibrary
from mnemic.index.scope_index import ScopeIndex
from mnemic.store.sqlite import SqliteStore
from store.world import START, entry, vector


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(path, durability="normal")
    yield store
    store.close()


@pytest.fixture
def other(path: Path, store: SqliteStore) -> Iterator[SqliteStore]:
    """Another handle on the same file, as another process would have."""
    other = SqliteStore(path, durability="normal")
    yield other
    other.close()


@pytest.fixture
def files(path: Path, monkeypatch: pytest.MonkeyPatch) -> IndexFiles:
    """Where indexes of three rows and more are kept."""
    monkeypatch.setattr(module, "WORTH_A_FILE", 3)
    return IndexFiles(path.with_name("memory.db.index"), "me")


def fresh(store: SqliteStore, scope: str = "a") -> dict:
    """What an index that is read from the store alone tells."""
    index = ScopeIndex(2)
    index.extend(store.index_rows(store.scope_ids(scope)))
    return contents(index)


def told(library: IndexLibrary, store: SqliteStore, scope: str = "a") -> dict:
    """What the library's index tells; how far it has read beyond the last that is there does not matter."""
    index = library.of(store.scope_ids(scope))
    return contents(index) | {"last_seq": int(index.seqs[-1]) if len(index) else 0}


# -- up to date -------------------------------------------------------------------------------------------


def test_an_index_follows_what_another_handle_adds_and_forgets(store: SqliteStore, other: SqliteStore) -> None:
    library = IndexLibrary(store, 2, None)
    store.append([entry(f"word{n}", id=str(n), vector=vector(n, 1), actor=f"Actor {n}") for n in range(5)])
    for change in (
        lambda: other.append([entry("new", session="s")]),
        lambda: other.remove("a", [2, 6], at=START),
        lambda: other.append_superseding(entry("corrected", supersedes="3")),
        lambda: other.remove("a", [1], at=START),
        lambda: other.put_vectors([(3, vector(9, 9))]),
        lambda: other.clear_vectors({"dim": "2"}),
        lambda: (other.append([entry("then")]), other.remove("a", [8], at=START)),
        lambda: other.remove("a", range(1, 99), at=START),
        lambda: other.append([entry("afresh")]),
    ):
        change()
        assert told(library, store) == fresh(store)


def test_an_index_that_is_up_to_date_is_the_same_object(store: SqliteStore) -> None:
    library = IndexLibrary(store, 2, None)
    store.append([entry("one"), entry("far", scope="b")])
    first = library.of(store.scope_ids("a"))
    store.append([entry("far", scope="b")])
    assert library.of(store.scope_ids("a")) is first
    store.append([entry("two")])
    assert (len(library.of(store.scope_ids("a"))), len(first)) == (2, 1)


def test_an_index_of_several_scopes_follows_each_of_them(store: SqliteStore) -> None:
    library = IndexLibrary(store, 2, None)
    for n in range(6):
        store.append([entry(f"word{n}", scope=("a", "a/b", "b")[n % 3])])
        ids = store.scope_ids("a", include_children=True)
        index = ScopeIndex(2)
        index.extend(store.index_rows(ids))
        assert contents(library.of(ids)) == contents(index)
    store.remove("a/b", [2], at=START)
    assert library.of(ids).seqs.tolist() == [1, 4, 5]


def test_a_large_log_with_corrections_across_pages_is_read(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAGE", 4)
    store.append([entry(f"word{n}", id=str(n)) for n in range(10)])
    for n in (9, 0, 5):
        store.append_superseding(entry("corrected", supersedes=str(n)))
    assert told(IndexLibrary(store, 2, None), store) == fresh(store)


class Racing(SqliteStore):
    """A store in which something happens between any two questions of a reader."""

    def __init__(self, *arguments, **options) -> None:
        super().__init__(*arguments, **options)
        self.between: list = []

    def _happen(self) -> None:
        if self.between:
            self.between.pop(0)()

    def last_change(self, scope_ids):
        answer = super().last_change(scope_ids)
        self._happen()
        return answer

    def removed_seqs(self, scope_ids, *, after=0):
        answer = super().removed_seqs(scope_ids, after=after)
        self._happen()
        return answer

    def index_rows(self, scope_ids, *, after=0, limit=None):
        answer = super().index_rows(scope_ids, after=after, limit=limit)
        self._happen()
        return answer


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("what", ["append", "remove", "correct", "vectors"])
def test_what_happens_while_an_index_is_read_is_seen_then_or_at_the_next_call(
    tmp_path: Path, place: int, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAGE", 2)
    store = Racing(tmp_path / "memory.db", durability="normal")
    store.append([entry(f"word{n}", id=str(n), vector=vector(1, n)) for n in range(5)])
    happenings = {
        "append": lambda: store.append([entry("new", id="new")]),
        "remove": lambda: store.remove("a", [1, 5], at=START),
        "correct": lambda: store.append_superseding(entry("new", supersedes="0")),
        "vectors": lambda: store.put_vectors([(1, vector(7, 7)), (5, vector(7, 7))]),
    }
    library = IndexLibrary(store, 2, None)
    store.between = [lambda: None] * place + [happenings[what]]
    library.of(store.scope_ids("a"))
    store.between = []
    assert told(library, store) == fresh(store)
    store.close()


def test_a_read_that_fails_leaves_a_library_that_starts_again_from_the_store(tmp_path: Path) -> None:
    store = Racing(tmp_path / "memory.db", durability="normal")
    store.append([entry("one")])
    library = IndexLibrary(store, 2, None)
    library.of(store.scope_ids("a"))
    store.append([entry("two")])

    def fail() -> None:
        raise OSError

    store.between = [lambda: None, lambda: None, fail]
    with pytest.raises(OSError):
        library.of(store.scope_ids("a"))
    store.between = []
    assert library.nbytes == 0
    assert told(library, store) == fresh(store)
    store.close()


# -- budget -----------------------------------------------------------------------------------------------


def test_indexes_beyond_the_budget_are_put_away_least_recently_used_first(store: SqliteStore) -> None:
    for scope in "abc":
        store.append([entry("x " * 50, scope=scope) for _ in range(20)])
    ids = {scope: store.scope_ids(scope) for scope in "abc"}
    one = IndexLibrary(store, 2, None)
    one.of(ids["a"])
    library = IndexLibrary(store, 2, None, budget_bytes=int(one.nbytes * 2.5))
    kept = {scope: library.of(ids[scope]) for scope in "ab"}
    assert library.of(ids["a"]) is kept["a"]
    library.of(ids["c"])  # room for two: "b" was used longest ago
    assert library.nbytes <= one.nbytes * 2.5
    assert library.of(ids["a"]) is kept["a"]
    assert library.of(ids["b"]) is not kept["b"]
    assert told(library, store, "b") == fresh(store, "b")


def test_the_index_in_use_stays_however_small_the_budget(store: SqliteStore) -> None:
    store.append([entry("one"), entry("two", scope="b")])
    library = IndexLibrary(store, 2, None, budget_bytes=1)
    for scope in "abab":
        index = library.of(store.scope_ids(scope))
        assert library.of(store.scope_ids(scope)) is index
        assert library.nbytes == index.nbytes


# -- files ------------------------------------------------------------------------------------------------


def test_an_index_with_a_file_reads_only_what_is_newer_from_the_store(
    store: SqliteStore, files: IndexFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append([entry(f"word{n}", vector=vector(n, 1)) for n in range(5)])
    IndexLibrary(store, 2, files).of(store.scope_ids("a"))
    assert [file.name for file in files.folder.iterdir()] == ["1.index"]
    store.append([entry("new")])
    store.remove("a", [2], at=START)
    asked: list[int] = []
    read = store.index_rows
    monkeypatch.setattr(store, "index_rows", lambda ids, **page: (asked.append(page["after"]), read(ids, **page))[1])
    again = told(IndexLibrary(store, 2, files), store)
    assert asked == [5]
    monkeypatch.undo()
    assert again == fresh(store)


@pytest.mark.parametrize("what", ["vectors", "damage", "another dimension", "another build"])
def test_a_file_that_does_not_fit_is_passed_over(store: SqliteStore, files: IndexFiles, what: str) -> None:
    store.append([entry(f"word{n}", vector=vector(n, 1)) for n in range(5)])
    scope = store.scope_ids("a")
    IndexLibrary(store, 2, files).of(scope)
    if what == "vectors":
        store.put_vectors([(1, vector(5, 5))])
    elif what == "damage":
        (files.folder / "1.index").write_bytes(b"MNEMIDX1 and nonsense")
    elif what == "another dimension":
        files.save(scope, 0, ScopeIndex(3).arrays())
    else:
        arrays = files.load(scope, 0)
        assert arrays is not None
        files.save(scope, 0, {name: array for name, array in arrays.items() if name != "column_roles"})
    assert told(IndexLibrary(store, 2, files), store) == fresh(store)


def test_save_writes_what_grew_and_nothing_small(store: SqliteStore, files: IndexFiles) -> None:
    store.append([entry("one"), entry("two")])
    library = IndexLibrary(store, 2, files)
    library.of(store.scope_ids("a"))
    library.save()
    assert not files.folder.exists()
    store.append([entry("three")])
    library.of(store.scope_ids("a"))
    library.save()
    arrays = files.load(store.scope_ids("a"), 0)
    assert arrays is not None
    assert contents(ScopeIndex.from_arrays(arrays)) == fresh(store)


def test_dropping_a_scope_leaves_it_neither_in_memory_nor_in_files(store: SqliteStore, files: IndexFiles) -> None:
    for scope in ("a", "a/b", "b"):
        store.append([entry(f"word{n}", scope=scope) for n in range(4)])
    library = IndexLibrary(store, 2, files)
    groups = [store.scope_ids("a"), store.scope_ids("b"), store.scope_ids("a", include_children=True)]
    for group in groups:
        library.of(group)
    library.drop(store.scope_ids("a"))
    assert [files.load(group, 0) is None for group in groups] == [True, False, True]
    assert library.nbytes == library.of(groups[1]).nbytes


def test_what_another_handle_forgot_is_not_saved_from_an_index_that_still_holds_it(
    store: SqliteStore, other: SqliteStore, files: IndexFiles
) -> None:
    store.append([entry(f"word{n}") for n in range(5)])
    library = IndexLibrary(store, 2, files)
    library.of(store.scope_ids("a"))
    files.drop(store.scope_ids("a"))
    other.remove("a", [1], at=START)
    library._saved.clear()
    library.save()
    assert list(files.folder.iterdir()) == []


def test_what_is_forgotten_while_its_index_is_being_saved_is_not_left_in_the_file(
    store: SqliteStore, other: SqliteStore, files: IndexFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append([entry(f"word{n}") for n in range(5)])
    save = files.save

    def forgotten_meanwhile(*arguments) -> bool:
        other.remove("a", [1], at=START)  # and its process deletes the file, which is not yet there
        files.drop(store.scope_ids("a"))
        return save(*arguments)

    monkeypatch.setattr(files, "save", forgotten_meanwhile)
    library = IndexLibrary(store, 2, files)
    library.of(store.scope_ids("a"))
    assert list(files.folder.iterdir()) == []
    assert told(library, store) == fresh(store)


# -- threads ----------------------------------------------------------------------------------------------


def test_threads_search_while_another_adds_and_forgets_and_always_see_one_state(
    store: SqliteStore, files: IndexFiles
) -> None:
    store.append([entry(f"word{n} even", id=str(n), vector=vector(1, 0)) for n in range(0, 40, 2)])
    library = IndexLibrary(store, 2, files)
    is_done = threading.Event()

    def search(me: int) -> int:
        searches = 0
        while not is_done.is_set() or not searches:
            index = library.of(store.scope_ids("a"))
            n = len(index)
            scores, _ = index.lexical.scores(["even"], index.visible())
            rows, _ = index.vectors.top(np.array([1, 0], np.float32), 10)
            assert len(scores) == n == len(index.vectors)
            assert (
                (scores > 0).sum() == index.lexical.frequency("even") == n
            )  # each text has the word, so each has a score
            assert rows.max() < n
            if me == 0 and searches % 10 == 0:
                library.save()
            searches += 1
        return searches

    def change() -> None:
        for n in range(60):
            store.append([entry(f"later{n} even even", actor=f"Actor {n}", vector=vector(0, 1)) for _ in range(3)])
            if n % 4 == 0:
                store.remove("a", [n + 1, n + 2], at=START)

    with ThreadPoolExecutor(5) as pool:
        searches = [pool.submit(search, me) for me in range(4)]
        pool.submit(change).result()
        is_done.set()
        assert all(one.result() for one in searches)
    assert told(library, store) == fresh(store)


def test_threads_that_need_the_same_index_at_once_get_the_same_one(store: SqliteStore) -> None:
    store.append([entry(f"word{n}") for n in range(50)])
    library, barrier = IndexLibrary(store, 2, None), threading.Barrier(6)

    def read(_: int) -> list[int]:
        barrier.wait()
        return library.of(store.scope_ids("a")).seqs.tolist()

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(read, range(6))) == [list(range(1, 51))] * 6
