"""The file: whose it is, how it is opened, what damage does to it, and that what is forgotten is not in it."""

import os
import random
import shutil
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic.clock import ManualClock
from mnemic.errors import NotAStore, ParameterError, StoreClosed, StoreCorrupt, StoreError, StoreReadOnly, StoreTooNew
from mnemic.model import new_id
from mnemic.store import schema
from mnemic.store.contract import Changes
from mnemic.store.sqlite import SqliteStore

from .processes import go, line, run, start
from .world import START, entry, link, log_of, minute, record, texts


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memory.db"


@pytest.fixture
def opened() -> Iterator[Callable[..., SqliteStore]]:
    """SqliteStore, closed when the test ends."""
    stores: list[SqliteStore] = []

    def open_(*arguments, **options) -> SqliteStore:
        stores.append(SqliteStore(*arguments, **options))
        return stores[-1]

    yield open_
    for store in stores:
        store.close()


def made(path: Path, *words: str) -> Path:
    """A store that holds these words, closed."""
    store = SqliteStore(path)
    for word in words:
        store.append([entry(word, id=word)])
    store.close()
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder. Only for stores that no other process has open: reading them drops SQLite's locks."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def log_table(path: Path) -> int:
    """The number, from 0, of the page where the table of episodes begins."""
    connection = sqlite3.connect(path)
    page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'episodes'").fetchone()[0]
    connection.close()
    return page - 1


def damage(path: Path, page: int) -> None:
    """Fill a page with nonsense."""
    with path.open("r+b") as file:
        file.seek(8192 * page)
        file.write(b"\x0d\xff" * 4096)


# -- whose file it is -------------------------------------------------------------------------------------


def test_a_new_file_says_that_it_is_mnemics_and_which_migrations_made_it(path: Path) -> None:
    store = SqliteStore(path, clock=ManualClock(START))
    store.close()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA application_id").fetchone() == (0x4D4E454D,)
    assert connection.execute("PRAGMA user_version").fetchone() == (schema.NEWEST,)
    assert connection.execute("SELECT name, applied_at FROM migrations ORDER BY number").fetchall() == [
        (name, int(START.timestamp()) * 1_000_000) for name, _ in schema.MIGRATIONS
    ]
    connection.close()


def test_a_store_that_lacks_the_last_migration_gets_it_when_opened_for_writing_only(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
        older.setattr(schema, "NEWEST", 1)
        made(path, "one")
    with pytest.raises(StoreReadOnly, match=f"has schema 1 and needs to be brought to {schema.NEWEST}"):
        SqliteStore(path, read_only=True)
    store = SqliteStore(path)
    assert (texts(store.scan("a")), store.records.failures()) == (["one"], [])
    store.close()


def test_a_migration_that_fails_leaves_the_store_at_the_one_before(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(path, "one")
    with monkeypatch.context() as newer:
        newer.setattr(
            schema, "MIGRATIONS", (*schema.MIGRATIONS, ("bad", "CREATE TABLE extra (a);\nCREATE TABLE meta (a);\n"))
        )
        newer.setattr(schema, "NEWEST", schema.NEWEST + 1)
        with pytest.raises(sqlite3.OperationalError, match="table meta already exists"):
            SqliteStore(path)
    store = SqliteStore(path)
    assert (texts(store.scan("a")), store.integrity()) == (["one"], [])
    store.close()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_of_a_newer_version_is_refused_and_not_changed(path: Path, read_only: bool) -> None:
    made(path, "one")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreTooNew, match=r"schema 99.*pip install --upgrade mnemic"):
        SqliteStore(path, read_only=read_only)
    assert path.read_bytes() == before


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("kind", ["tables", "version", "application"])
def test_another_programs_database_is_refused_and_not_changed(path: Path, kind: str, read_only: bool) -> None:
    connection = sqlite3.connect(path)
    made_by = {
        "tables": "CREATE TABLE t (a)",
        "version": "PRAGMA user_version = 1",
        "application": "PRAGMA application_id = 7",
    }
    connection.execute(made_by[kind])
    connection.close()
    before = contents(path.parent)
    with pytest.raises(NotAStore, match=r"not one of Mnemic's\. Nothing was changed"):
        SqliteStore(path, read_only=read_only)
    assert contents(path.parent) == before


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize(
    "content", [b"no", b"Dear diary, today nothing happened.\n" * 100, bytes(5_000), b"SQLite format 3\0" + b"x" * 200]
)
def test_a_file_that_is_no_database_is_refused_and_not_changed(path: Path, content: bytes, read_only: bool) -> None:
    path.write_bytes(content)
    with pytest.raises(NotAStore, match="Give another path"):
        SqliteStore(path, read_only=read_only)
    assert contents(path.parent) == {path.name: content}


def test_an_empty_file_becomes_a_store_when_opened_for_writing_only(path: Path) -> None:
    path.touch()
    with pytest.raises(NotAStore):
        SqliteStore(path, read_only=True)
    assert path.read_bytes() == b""
    made(path, "one")


def test_a_path_with_odd_characters_is_opened_for_writing_and_for_reading(tmp_path: Path) -> None:
    path = made(tmp_path / "odd ?mode=rw&x#1 %41 é.db", "one")
    store = SqliteStore(path, read_only=True)
    assert texts(store.scan("a")) == ["one"]
    store.close()
    assert path.name in {file.name for file in tmp_path.iterdir()}


# -- what may not be written ------------------------------------------------------------------------------


@pytest.mark.parametrize("read_only", [False, True])
def test_a_missing_folder_and_a_missing_file_to_read_are_named(tmp_path: Path, read_only: bool) -> None:
    missing = tmp_path / "gone" / "memory.db" if not read_only else tmp_path / "gone.db"
    with pytest.raises(StoreReadOnly, match=f"{missing.name} cannot be opened"):
        SqliteStore(missing, read_only=read_only)
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_handle_reads_what_others_write_and_writes_nothing(path: Path, opened) -> None:
    writer = opened(made(path, "one"))
    reader = opened(path, read_only=True)
    writer.append([entry("two")])
    assert texts(reader.scan("a")) == ["one", "two"]
    for call in (
        lambda: reader.append([entry("three")]),
        lambda: reader.remove("a", [1], at=START),
        lambda: reader.claim_meta("k", "v"),
        lambda: reader.records.attach("notes", {}, START),
    ):
        with pytest.raises(StoreReadOnly, match="opened read-only"):
            call()
    assert reader.scrub()
    assert texts(writer.scan("a")) == ["one", "two"]


def test_opening_to_read_leaves_a_closed_store_as_it_is(path: Path) -> None:
    made(path, "one")
    before = contents(path.parent)
    store = SqliteStore(path, read_only=True)
    assert texts(store.scan("a")) == ["one"]
    store.close()
    assert path.read_bytes() == before[path.name]


AS_NOBODY = """
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
try:
    store = SqliteStore(path, read_only=sys.argv[2] == "True")
    say(*texts(store.scan("a")))
    store.append([entry("new")])
    say("written")
except StoreReadOnly as error:
    say("StoreReadOnly", "read_only=True opens" in str(error) or "opened read-only" in str(error))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
@pytest.mark.parametrize(
    ("file_mode", "folder_mode", "read_only", "said"),
    [
        (0o444, 0o777, False, ["one two", "StoreReadOnly True"]),
        (0o444, 0o777, True, ["one two", "StoreReadOnly True"]),
        (0o444, 0o555, True, ["one two", "StoreReadOnly True"]),
        (0o444, 0o555, False, ["StoreReadOnly True"]),
        (0o000, 0o777, True, ["StoreReadOnly True"]),
        (0o666, 0o777, False, ["one two", "written"]),
    ],
    ids=["file-write", "file-read", "folder-read", "folder-write", "unreadable", "free"],
)
def test_what_can_only_be_read_is_read_and_not_written(
    file_mode: int, folder_mode: int, read_only: bool, said: list[str]
) -> None:
    folder = Path(tempfile.mkdtemp(prefix="mnemic-"))  # pytest's own folders are closed to other users
    path = made(folder / "memory.db", "one", "two")
    path.chmod(file_mode)
    folder.chmod(folder_mode)
    try:
        assert run(AS_NOBODY, path, read_only) == said
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


# -- how it is opened -------------------------------------------------------------------------------------


def test_the_writing_connection_flushes_every_commit_keeps_a_log_and_overwrites_what_it_deletes(
    path: Path, opened
) -> None:
    def pragmas(store: SqliteStore) -> list:
        connection = store._database._writer
        names = ("journal_mode", "synchronous", "secure_delete", "temp_store", "page_size")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert pragmas(opened(path)) == ["wal", 2, 1, 2, 8192]
    assert pragmas(opened(path, durability="normal")) == ["wal", 1, 1, 2, 8192]


def test_an_unknown_durability_is_refused_before_a_file_is_made(path: Path) -> None:
    with pytest.raises(ParameterError, match="'full' or 'normal'"):
        SqliteStore(path, durability="none")
    assert not path.exists()


def test_nothing_but_the_file_its_log_and_its_index_is_made(path: Path, opened) -> None:
    store = opened(path)
    store.append([entry("x" * 100_000)])
    assert {file.name for file in path.parent.iterdir()} == {"memory.db", "memory.db-wal", "memory.db-shm"}
    store.scan("a")
    store.close()
    assert [file.name for file in path.parent.iterdir()] == ["memory.db"]


def test_two_handles_on_one_file_see_one_anothers_writes(path: Path, opened) -> None:
    one, other = opened(path), opened(path)
    for n in range(4):
        (one, other)[n % 2].append([entry(str(n))])
    assert log_of(one) == log_of(other)
    assert [seq for seq, _, _ in log_of(one)] == [1, 2, 3, 4]
    one.close()
    assert other.append([entry("after")]).seqs == (5,)


def test_a_file_moved_away_by_a_change_of_folder_is_still_the_one_that_was_opened(
    path: Path, opened, monkeypatch: pytest.MonkeyPatch, tmp_path_factory
) -> None:
    monkeypatch.chdir(path.parent)
    store = opened(Path("memory.db"))
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    store.append([entry("one")])
    store.remove("a", [1], at=START)
    assert (store.scrub(), texts(store.scan("a")), store.counts()["episodes"]) == (True, [], 0)
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors in /proc")
def test_a_thread_that_has_ended_holds_no_descriptors(path: Path, opened) -> None:
    store = opened(made(path, "one"))
    store.scan("a")

    def descriptors() -> int:
        return sum(
            os.readlink(f"/proc/self/fd/{fd}").startswith(str(path))
            for fd in os.listdir("/proc/self/fd")
            if os.path.islink(f"/proc/self/fd/{fd}")
        )

    before = descriptors()
    for _ in range(5):
        threads = [threading.Thread(target=store.scan, args=("a",)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert descriptors() <= before + 4  # SQLite keeps a few to reuse


def test_closing_while_threads_read_and_write_ends_each_of_them_with_store_closed(path: Path) -> None:
    store = SqliteStore(path, durability="normal")
    store.append([entry(str(n)) for n in range(200)])
    running = threading.Barrier(7)

    def until_closed(call: Callable[[], object]) -> str:
        call()
        running.wait()
        while True:
            try:
                call()
            except StoreClosed as error:
                return type(error).__name__

    calls = [lambda: store.scan("a"), lambda: store.counts(), lambda: store.append([entry("x")])] * 2
    with ThreadPoolExecutor(6) as pool:
        ends = [pool.submit(until_closed, call) for call in calls]
        running.wait()
        store.close()
        assert [end.result() for end in ends] == ["StoreClosed"] * 6
    store = SqliteStore(path)
    assert store.integrity() == []
    store.close()


def test_a_store_that_failed_to_open_holds_nothing_open(path: Path) -> None:
    path.write_bytes(b"no database at all")
    with pytest.raises(NotAStore):
        SqliteStore(path)
    if Path("/proc/self/fd").exists():
        assert str(path) not in {
            os.readlink(f"/proc/self/fd/{fd}")
            for fd in os.listdir("/proc/self/fd")
            if os.path.islink(f"/proc/self/fd/{fd}")
        }


FORKED = """
store = SqliteStore(path)
store.append([entry("before")])
store.scan("a")
to_parent, from_child = os.pipe()
to_child, from_parent = os.pipe()
pid = os.fork()
if pid == 0:
    store.append([entry("child")])
    seen = texts(store.scan("a"))
    os.write(from_child, b"." if seen == ["before", "child"] else b"!")
    os.read(to_child, 1)
    store.append([entry("child, after its parent closed")])
    os.kill(os.getpid(), signal.SIGKILL)
say(os.read(to_parent, 1).decode())
store.append([entry("parent")])
store.close()
os.write(from_parent, b".")
os.waitpid(pid, 0)
store = SqliteStore(path)
say(", ".join([*store.integrity(), *texts(store.scan("a"))]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_writes_through_connections_of_its_own_and_loses_nothing(path: Path) -> None:
    assert run(FORKED, path) == [".", "before, child, parent, child, after its parent closed"]


CHILD_CLOSES = """
store = SqliteStore(path)
store.append([entry("before")])
store.scan("a")
pid = os.fork()
if pid == 0:
    store.scan("a")
    store.append([entry("child")])
    store.close()
    os._exit(0)
os.waitpid(pid, 0)
store.append([entry("parent")])
say(*texts(store.scan("a")))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_that_closes_leaves_its_parents_connections_open(path: Path) -> None:
    assert run(CHILD_CLOSES, path) == ["before child parent"]


def test_a_backup_is_a_sound_copy_of_a_store_in_use(path: Path, opened, tmp_path: Path) -> None:
    store = opened(made(path, "one", "two"))
    store.append([entry("three")])
    store.backup(tmp_path / "copy.db")
    copy = opened(tmp_path / "copy.db")
    assert (log_of(copy), copy.integrity()) == (log_of(store), [])


# -- damage -----------------------------------------------------------------------------------------------


def test_a_damaged_page_is_named_with_its_remedy(path: Path, opened) -> None:
    made(path, *(f"word {n}" for n in range(100)))
    damage(path, log_table(path))
    store = opened(path)
    with pytest.raises(StoreCorrupt, match=r"memory.db is damaged.*mnemic doctor.*backup"):
        store.scan("a")
    with pytest.raises(StoreCorrupt, match="Copy the file away"):
        store.append([entry("new")])
    assert store.integrity() != []


def test_a_file_cut_short_is_damaged_not_empty(path: Path, opened) -> None:
    made(path, *(f"word {n}" * 100 for n in range(100)))
    os.truncate(path, 8192 * 3)
    with pytest.raises(StoreCorrupt):
        opened(path).scan("a")


def grown(path: Path) -> tuple[SqliteStore, list[tuple[int, list[str]]]]:
    """A store that is open, and for each of its appends the length of its write-ahead log and what it held by then."""
    store = SqliteStore(path)
    log, seen, n = path.with_name(path.name + "-wal"), [], 0
    for size in (1, 3, 1, 12, 1, 40, 2):
        store.append([entry(f"{n + i} " + "x" * 700) for i in range(size)])
        n += size
        seen.append((log.stat().st_size, [str(i) for i in range(n)]))
    return store, seen


def test_a_log_cut_anywhere_opens_with_whole_batches_in_order_and_all_that_were_acknowledged_before_the_cut(
    tmp_path: Path,
) -> None:
    store, seen = grown(tmp_path / "memory.db")
    states = [[], *(words for _, words in seen)]
    draw = random.Random(7)
    cuts = {size for size, _ in seen} | {draw.randrange(seen[-1][0]) for _ in range(25)} | {0, 31, 32, 33}
    for cut in sorted(cuts):
        folder = tmp_path / f"cut {cut}"
        folder.mkdir()
        for name in ("memory.db", "memory.db-wal"):
            shutil.copy(tmp_path / name, folder)
        os.truncate(folder / "memory.db-wal", cut)
        acknowledged = [words for size, words in seen if size <= cut]
        if not acknowledged and cut < seen[0][0]:
            continue  # not even the tables are in the file yet: that store was never opened
        again = SqliteStore(folder / "memory.db")
        words = [text.split()[0] for text in texts(again.scan("a"))]
        assert words in states
        assert len(words) >= len(acknowledged[-1] if acknowledged else [])
        assert again.integrity() == []
        assert again.append([entry("new")]).seqs == (len(words) + 1,)
        again.close()
    store.close()


def test_a_log_that_was_deleted_takes_only_what_was_not_in_the_file(tmp_path: Path, opened) -> None:
    store = opened(tmp_path / "memory.db")
    store.append([entry("one"), entry("two")])
    assert store._database.checkpoint()
    store.append([entry("three")])
    shutil.copy(tmp_path / "memory.db", tmp_path / "copy.db")
    again = opened(tmp_path / "copy.db")
    assert (texts(again.scan("a")), again.integrity()) == (["one", "two"], [])


def test_a_log_of_nonsense_is_passed_over(tmp_path: Path, opened) -> None:
    path = made(tmp_path / "memory.db", "one")
    path.with_name("memory.db-wal").write_bytes(random.Random(1).randbytes(50_000))
    assert texts(opened(path).scan("a")) == ["one"]


# -- what is forgotten ------------------------------------------------------------------------------------


def dirty_gaps(file: bytes) -> list[int]:
    """Pages with something between their cell pointers and their cells, read as sqlite.org/fileformat2.html tells."""
    size, found = int.from_bytes(file[16:18], "big"), []
    for page in range(len(file) // size):
        head = 100 if page == 0 else 0
        data = file[page * size : (page + 1) * size]
        kind, cells = data[head], int.from_bytes(data[head + 3 : head + 5], "big")
        if kind in (2, 5, 10, 13):
            end = int.from_bytes(data[head + 5 : head + 7], "big") or 65536
            if any(data[head + (12 if kind < 8 else 8) + 2 * cells : end]):
                found.append(page)
    return found


class Notebook:
    """A store with random content in which every episode has a word of its own, wherever it keeps anything."""

    def __init__(self, path: Path, seed: int) -> None:
        self.draw = random.Random(seed)
        self.folder = path.parent
        self.store = SqliteStore(path, durability="normal")
        self.words: dict[int, str] = {}
        self.gone: list[str] = []

    def write(self) -> None:
        entries, words = [], []
        for _ in range(self.draw.choice([1, 1, 5, 40])):
            word = "".join(self.draw.choices("bcdfghjklmnpqrstvwxz0123456789", k=16))
            text = f"{word} ça 日本 " * self.draw.choice([1, 1, 1, 3, 10, 100, 900])
            has = lambda share: self.draw.random() < share  # noqa: E731
            one = entry(
                text,
                id=word if has(0.4) else new_id(),
                vector=self.draw.choice([None, (word.encode() * 48)[:768]]),
                session=word if has(0.2) else None,
                actor=word if has(0.1) else None,
                metadata={word: word} if has(0.2) else {},
                parts=({"type": "x", "data": word * 1000},) if has(0.1) else (),
            )
            entries.append(one)
            words.append(word)
        self.words |= dict(zip(self.store.append(entries).seqs, words, strict=True))

    def embed(self) -> None:
        waiting = [seq for seq, _ in self.store.without_vector(200)]
        self.store.put_vectors([(seq, (self.words[seq].encode() * 48)[:768]) for seq in waiting])

    def correct(self) -> None:
        seq = self.draw.choice(list(self.words))
        old = self.store.by_seq([seq])[seq]
        word = self.words[seq][::-1]
        appended = self.store.append_superseding(entry(word, supersedes=old.id))
        if appended:
            self.words[appended.seqs[0]] = word

    def note(self) -> None:
        seq = self.draw.choice(list(self.words))
        source = self.store.by_seq([seq])[seq].id
        stands = self.store.records.cursor("notes", "a")
        text = f"{self.words[seq]} said so " * self.draw.choice([1, 300])
        put = Changes((record(self.words[seq], source, text=text),), (), (link(self.words[seq], source),))
        self.store.records.apply("notes", "a", put, cursor_from=stands, cursor_to=max(stands, seq))

    def forget(self) -> None:
        seqs = list(self.words)
        n, first = self.draw.choice([1, 1, 2, 10, 30]), self.draw.randrange(len(seqs))
        chosen = seqs[first : first + n] if self.draw.random() < 0.5 else self.draw.sample(seqs, min(n, len(seqs)))
        ids = {one.id for one in self.store.by_seq(chosen).values()}
        chosen += [seq for seq, one in self.store.by_seq(seqs).items() if one.supersedes in ids and seq not in chosen]
        assert self.store.remove("a", chosen, at=START).episodes == len(chosen)
        self.gone += [self.words.pop(seq) for seq in chosen]

    def live(self) -> None:
        """Any few things that a store goes through, then forget something and look for it in every file."""
        for _ in range(self.draw.randint(5, 30)):
            steps = [self.write] * 3 + [self.forget] * 2 + [self.embed, self.correct, self.note]
            step = self.draw.choice(steps)
            if self.words or step == self.write:
                step()
        if self.words:
            self.forget()

    def traces(self) -> list[str]:
        files = b"".join(contents(self.folder).values())
        known = set(self.words.values()) | {word[::-1] for word in self.words.values()}
        return [word for word in self.gone if word not in known and word.encode() in files]


@settings(max_examples=100)
@given(st.integers(0, 10**9))
def test_nothing_forgotten_stands_in_any_file_of_the_store(tmp_path_factory, seed: int) -> None:
    notebook = Notebook(tmp_path_factory.mktemp("notebook") / "memory.db", seed)
    notebook.live()
    assert notebook.store.scrub()
    assert notebook.traces() == []
    assert dirty_gaps((notebook.folder / "memory.db").read_bytes()) == []
    assert set(notebook.store.by_seq(list(notebook.words))) == set(notebook.words)
    assert notebook.store.integrity() == []
    notebook.store.close()
    assert (notebook.traces(), [file.name for file in notebook.folder.iterdir()]) == ([], ["memory.db"])
    shutil.rmtree(notebook.folder)


def test_what_moved_rows_leave_behind_would_stand_in_the_file_without_scrub(tmp_path: Path) -> None:
    """The reason for residue.py: secure_delete and an empty log alone leave copies, in some of these stores."""
    found = 0
    for seed in range(100):
        notebook = Notebook(tmp_path / f"{seed}.db", seed)
        notebook.live()
        assert notebook.store._database.checkpoint()
        found += bool(notebook.traces())
        notebook.store.close()
        (tmp_path / f"{seed}.db").unlink()
        if found:
            return
    pytest.fail("SQLite left nothing behind: residue.py may no longer be needed")


@pytest.mark.parametrize("who", ["the handle that scrubbed", "another handle"])
def test_pages_that_a_handle_has_in_mind_are_not_written_back_as_they_were(tmp_path: Path, opened, who: str) -> None:
    for seed in range(100, 115):
        notebook = Notebook(tmp_path / "memory.db", seed)
        other = opened(tmp_path / "memory.db", durability="normal")
        writer = notebook.store if who == "the handle that scrubbed" else other
        notebook.live()
        writer.put_vectors([(seq, bytes(768)) for seq in notebook.words])  # it has touched every page of the log
        assert notebook.store.scrub()
        writer.put_vectors(
            [(seq, b"\1" * 768) for seq in notebook.words]
        )  # and does so again, each row where it stands
        assert notebook.store._database.checkpoint()
        assert dirty_gaps(b"".join(notebook.store.raw_blocks())) == []
        assert notebook.traces() == []
        other.close()
        notebook.store.close()
        (tmp_path / "memory.db").unlink()


def test_scrub_does_not_wait_for_a_reader_and_says_that_it_stood_in_the_way(path: Path, opened) -> None:
    store = opened(path, timeout_s=30.0)
    store.append([entry("one")])
    with store._database.snapshot() as reader:
        reader.execute("SELECT * FROM episodes").fetchall()
        store.remove("a", [1], at=START)
        done = threading.Event()
        threading.Thread(target=lambda: store.scrub() or done.set(), daemon=True).start()
        assert done.wait(10)
    assert store.scrub()


def test_scrub_says_no_while_another_process_is_writing(path: Path, opened) -> None:
    store = opened(path, timeout_s=30.0)
    store.append([entry("one " * 500), entry("two")])
    store.remove("a", [1], at=START)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert not store.scrub()
    other.execute("ROLLBACK")
    other.close()
    assert store.scrub()


ANOTHER = """
wait()
store = SqliteStore(path)
store.append([entry("another process")])
store.close()
say("closed")
"""


def test_reading_and_scrubbing_the_raw_file_keeps_the_locks_that_sqlite_holds_on_it(path: Path, opened) -> None:
    store, second = opened(path), opened(path)
    store.append([entry("one " * 500), entry("two")])
    store.remove("a", [1], at=START)
    assert store.scrub()
    assert b"".join(store.raw_blocks()) == b"".join(second.raw_blocks())
    second.close()  # and this closes no descriptor that would take the locks along
    process = start(ANOTHER, path)
    go(process)
    assert line(process) == "closed"
    process.communicate()
    # had our locks been lost, the other process would have been the last to leave, and have deleted the log under us
    assert path.with_name("memory.db-wal").exists()
    store.append([entry("after")])
    assert texts(store.scan("a")) == ["two", "another process", "after"]
    assert store.integrity() == []


def test_the_raw_file_is_the_file(path: Path) -> None:
    store = SqliteStore(path)
    store.append([entry("x" * 3_000_000)])
    assert store.scrub()
    raw = b"".join(store.raw_blocks())
    store.close()
    assert raw == path.read_bytes()
    assert list(SqliteStore(None).raw_blocks()) == []


def test_a_model_answer_goes_with_any_episode_that_it_had_seen(path: Path, opened) -> None:
    store = opened(path)
    store.append([entry(id, id=id) for id in "xyz"])

    def keep_answers(connection: sqlite3.Connection) -> None:
        for number, (answer, seqs) in enumerate(
            {"of x and y": (1, 2), "of z": (3,), "of nothing": ()}.items(), start=1
        ):
            connection.execute(
                "INSERT INTO answers VALUES (?, ?, 1, 'notes', 'extract', 'model', 1, 1, 0, ?, 0)",
                (number, bytes([number]), answer),
            )
            connection.executemany("INSERT INTO answer_sources VALUES (?, ?)", [(number, seq) for seq in seqs])

    store._database.write(keep_answers)
    removal = store.remove("a", [2], at=START)
    with store._database.reading() as connection:
        kept = connection.execute("SELECT answer FROM answers ORDER BY answer_no").fetchall()
        sources = connection.execute("SELECT * FROM answer_sources").fetchall()
    # one that had seen no episode was given to a question, which may have said what is forgotten
    assert (removal.answers, kept, sources) == (2, [("of z",)], [(2, 3)])


def test_a_removal_leaves_no_row_that_names_it_but_its_own_number(path: Path, opened) -> None:
    store = opened(path)
    store.append([entry("one", id="x"), entry("two", id="y")])
    put = Changes((record("r", "x"),), (), (link("l", "x"),))
    store.records.apply("notes", "a", put, cursor_from=0, cursor_to=2)
    store.note_recalls({1: (1, minute(1))})
    store.remove("a", [1], at=minute(3))
    with store._database.reading() as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}
    assert {table: n for table, n in rows.items() if n} == {
        "migrations": len(schema.MIGRATIONS), "scopes": 1, "sqlite_sequence": 1, "episodes": 1, "removals": 1, "meta": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_IOERR_WRITE, StoreError),
        (sqlite3.SQLITE_FULL, StoreError),
        (sqlite3.SQLITE_CORRUPT_VTAB, StoreCorrupt),
        (sqlite3.SQLITE_READONLY_DIRECTORY, StoreReadOnly),
    ],
)
def test_an_extended_error_code_is_told_by_its_kind(code: int, kind: type[StoreError]) -> None:
    from mnemic.store.database import translated

    error = sqlite3.OperationalError("message")
    error.sqlite_errorcode = code
    assert isinstance(translated(error, None), kind)
