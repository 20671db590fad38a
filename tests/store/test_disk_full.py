"""A full disk: the write says so, nothing that was acknowledged is lost, and all goes on once there is room."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mnemic.errors import StoreFull
from mnemic.index import library as library_module
from mnemic.index.files import IndexFiles
from mnemic.index.library import IndexLibrary
from mnemic.store.sqlite import SqliteStore

from .processes import PRELUDE, TESTS, run
from .world import START, entry, log_of, record, texts


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path):
    store = SqliteStore(tmp_path / "memory.db" if request.param == "file" else None)
    yield store
    store.close()


def limit_pages(store: SqliteStore, more: int) -> None:
    """Let the database grow by so many pages and no further, which is to SQLite as a full disk."""
    connection = store._database._writer
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + more}")


def test_a_batch_that_does_not_fit_is_refused_whole_and_fits_when_there_is_room(store: SqliteStore) -> None:
    store.append([entry("one")])
    limit_pages(store, 3)
    big = [entry("small"), entry("x" * 200_000), entry("small")]
    with pytest.raises(
        StoreFull, match=r"is full\. Nothing of this call was written, and all that was acknowledged is safe"
    ):
        store.append(big)
    assert (texts(store.scan("a")), store.integrity()) == (["one"], [])
    assert store.append([entry("two")]).seqs == (2,)  # what still fits, fits
    limit_pages(store, 1_000)
    assert store.append(big).seqs == (3, 4, 5)
    assert store.integrity() == []


def test_records_that_do_not_fit_leave_the_cursor_where_it_was(store: SqliteStore) -> None:
    from mnemic.store.contract import Changes

    store.append([entry("one", id="x")])
    limit_pages(store, 2)
    changes = Changes((record("r", "x", text="y" * 200_000),))
    with pytest.raises(StoreFull):
        store.records.apply("notes", "a", changes, cursor_from=0, cursor_to=1)
    assert (store.records.cursor("notes", "a"), store.records.records("notes", "a")) == (0, [])
    limit_pages(store, 1_000)
    assert store.records.apply("notes", "a", changes, cursor_from=0, cursor_to=1)


def test_what_is_forgotten_makes_room(store: SqliteStore) -> None:
    store.append([entry("x" * 300_000), entry("two")])
    limit_pages(store, 1)
    with pytest.raises(StoreFull):
        store.append([entry("y" * 300_000)])
    store.remove("a", [1], at=START)
    assert store.append([entry("z" * 250_000)]).seqs == (3,)


LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
store = SqliteStore(path)
n = 0
try:
    while True:
        store.append([entry(f"{n} {i} " + "x" * 2_000) for i in range(2)])
        n += 1
except StoreError as error:
    say(type(error).__name__, "Nothing of this call was" in str(error))
say(n, len(store.scan("a", limit=10_000)))
os._exit(0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
def test_a_file_that_may_not_grow_keeps_all_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    kind, counted = run(LIMITED, path)
    n, seen = map(int, counted.split())
    assert (kind, n > 3, seen) == ("StoreError True", True, 2 * n)
    store = SqliteStore(path)
    assert [seq for seq, _, _ in log_of(store)] == list(range(1, 2 * n + 1))
    assert store.integrity() == []
    assert store.append([entry("after")]).seqs == (2 * n + 1,)
    store.close()


ON_A_SMALL_DISK = """
import subprocess
folder = path
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], check=True)
first, second = folder / "first", folder / "second"
first.write_bytes(bytes(300_000))
second.write_bytes(bytes(1_200_000))
store = SqliteStore(folder / "memory.db")
n = 0
def fill():
    global n
    try:
        while True:
            store.append([entry(f"{n} {i} " + "x" * 2_000) for i in range(2)])
            n += 1
    except StoreFull:
        assert len(store.scan("a", limit=10_000)) == 2 * n
        return n
say(fill() > 3)

from mnemic.index.files import IndexFiles
import numpy as np
files = IndexFiles(folder / "memory.db.index", "me")
say(files.save([1], 0, {"a": np.zeros(10_000_000)}), files.load([1], 0), os.listdir(files.folder))

before = n
first.unlink()
say(fill() > before)
fill()
say(store.scrub())
second.unlink()
say(store.remove("a", [1, 2], at=START).episodes, store.scrub())
store.close()
store = SqliteStore(folder / "memory.db")
say(len(store.scan("a", limit=10_000)) == 2 * n - 2, store.integrity())
"""


def test_a_small_disk_that_fills_up_loses_nothing_and_goes_on_when_room_is_made(tmp_path: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare to mount a disk of its own")
    ours = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*ours, "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)], capture_output=True).returncode:
        pytest.skip("this machine lets no user mount a disk of its own")
    script = PRELUDE.format(tests=str(TESTS)) + ON_A_SMALL_DISK
    done = subprocess.run([*ours, sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["True", "False None []", "True", "False", "2 True", "True []"], done.stderr


def test_an_index_that_cannot_be_saved_is_not_there_and_search_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library_module, "WORTH_A_FILE", 2)
    store = SqliteStore(tmp_path / "memory.db")
    store.append([entry(word) for word in ("one", "two", "three")])
    files = IndexFiles(tmp_path / "memory.db.index", "me")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    library = IndexLibrary(store, 2, files)
    assert library.of(store.scope_ids("a")).lexical.rows_of("two").tolist() == [1]
    library.save()
    assert list(files.folder.iterdir()) == []
    monkeypatch.undo()
    monkeypatch.setattr(library_module, "WORTH_A_FILE", 2)
    library.save()
    assert [file.name for file in files.folder.iterdir()] == ["1.index"]
    store.close()


def test_an_index_whose_folder_cannot_be_made_is_not_saved(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    files = IndexFiles(tmp_path / "taken", "me")
    assert files.save([1], 0, {"a": np.zeros(3)}) is False
    assert files.load([1], 0) is None
    files.drop([1])
