"""Several processes and several threads on one file: nothing lost, nothing by half, and nobody takes another's write along."""

import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from mnemic.errors import IdConflict, ParameterError, StoreBusy, StoreClosed
from mnemic.store.contract import Appended
from mnemic.store.sqlite import SqliteStore

from .processes import go, line, run, start
from .world import START, entry, log_of, texts

WRITER = """
store = SqliteStore(path)
say("open")
wait()
me, n = sys.argv[2], int(sys.argv[3])
for batch in range(n):
    size = 1 + batch % 5
    store.append([entry(f"{me} {batch} {size}", id=f"{me} {batch} {i}") for i in range(size)])
store.close()
"""

READER = """
store = SqliteStore(path, read_only=True)
say("open")
wait()
total, before, reads = int(sys.argv[2]), 0, 0
while before < total:
    log = store.scan("a", limit=10**6)
    assert [one.seq for one in log] == list(range(1, len(log) + 1)), "a position is missing"
    sizes = {}
    for one in log:
        sizes[one.text] = sizes.get(one.text, 0) + 1
    assert all(n == int(text.split()[2]) for text, n in sizes.items()), "half a batch"
    counted = store.counts("a")["episodes"]
    assert before <= len(log) <= counted, "an episode went away"
    rows = store.index_rows(store.scope_ids("a"))
    assert len(rows.seqs) >= counted and len(rows.terms) == len(rows.seqs)
    before, reads = len(log), reads + 1
say("read", reads)
"""


def test_two_processes_write_and_ten_read_and_nothing_is_lost_or_seen_by_half(tmp_path: Path) -> None:
    path, batches = tmp_path / "memory.db", 60
    total = 2 * sum(1 + n % 5 for n in range(batches))
    SqliteStore(path).close()
    writers = [start(WRITER, path, me, batches) for me in ("one", "other")]
    readers = [start(READER, path, total) for _ in range(10)]
    everyone = writers + readers
    assert [line(process) for process in everyone] == ["open"] * 12
    for process in everyone:
        go(process)
    said = [process.communicate(timeout=60)[0] for process in everyone]
    assert [process.returncode for process in everyone] == [0] * 12
    assert all(one.startswith("read ") for one in said[2:])
    store = SqliteStore(path)
    for me in ("one", "other"):  # each writer's batches stand in its own order
        mine = [int(text.split()[1]) for text in texts(store.scan("a", limit=10**6)) if text.startswith(me)]
        assert mine == [batch for batch in range(batches) for _ in range(1 + batch % 5)]
    assert store.integrity() == []
    store.close()


OPENER = """
say("ready")
wait()
store = SqliteStore(path)
store.append([entry(sys.argv[2])])
store.close()
"""


def test_processes_that_make_the_same_new_file_at_once_all_succeed(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    processes = [start(OPENER, path, n) for n in range(5)]
    assert [line(process) for process in processes] == ["ready"] * 5
    for process in processes:
        go(process)
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0] * 5
    store = SqliteStore(path)
    assert sorted(texts(store.scan("a"))) == list("01234")
    store.close()


def test_two_processes_that_correct_the_same_episode_agree_on_one_correction(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    store = SqliteStore(path)
    store.append([entry("old", id="x")])
    script = """
store = SqliteStore(path)
say("open")
wait()
say(store.append_superseding(entry(sys.argv[2], supersedes="x")) is not None)
"""
    processes = [start(script, path, me) for me in ("one", "other")]
    assert [line(process) for process in processes] == ["open"] * 2
    for process in processes:
        go(process)
    won = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert sorted(won) == ["False", "True"]
    assert texts(store.scan("a")) == ["old", ("one", "other")[won.index("True")]]
    store.close()


def test_a_forgotten_episode_is_gone_for_another_process_at_once(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    store = SqliteStore(path)
    store.append([entry("one"), entry("two")])
    assert run("say(*texts(SqliteStore(path).scan('a')))", path) == ["one two"]
    store.remove("a", [1], at=START)
    assert run("say(*texts(SqliteStore(path).scan('a')))", path) == ["two"]
    store.close()


# -- waiting for one another ------------------------------------------------------------------------------


def test_a_write_that_others_hold_up_for_too_long_is_busy_and_was_not_written(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "memory.db", timeout_s=0.05)
    other = sqlite3.connect(tmp_path / "memory.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for write in (
        lambda: store.append([entry("one", id="x")]),
        lambda: store.remove("a", [1], at=START),
        lambda: store.records.attach("notes", {}, START),
    ):
        with pytest.raises(StoreBusy, match="Nothing was written; try again"):
            write()
    assert store.scan("a") == []  # reading goes on
    other.execute("ROLLBACK")
    other.close()
    assert store.append([entry("one", id="x")]) == Appended((1,), (True,))
    store.close()


# -- threads ----------------------------------------------------------------------------------------------


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "memory.db" if request.param == "file" else None)
    yield store
    store.close()


def test_eight_threads_append_together_and_everything_is_there_in_each_threads_order(store: SqliteStore) -> None:
    def append(me: int) -> list[int]:
        return [store.append([entry(f"{me} {n}", scope="ab"[me % 2])]).seqs[0] for n in range(40)]

    with ThreadPoolExecutor(8) as pool:
        seqs = list(pool.map(append, range(8)))
    assert sorted(seq for mine in seqs for seq in mine) == list(range(1, 321))
    found = store.by_seq(range(1, 321))
    assert [[found[seq].text for seq in mine] for mine in seqs] == [[f"{me} {n}" for n in range(40)] for me in range(8)]


def test_each_job_is_done_once_however_few_share_a_commit(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnemic.store.group_commit.MAX_GROUP", 1)
    store._database.write(lambda connection: connection.execute("INSERT INTO meta VALUES ('n', '0')"))

    def count(_: int) -> None:
        for _ in range(30):
            store._database.write(
                lambda connection: connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'n'")
            )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(8)))
    assert store.meta("n") == "240"


class Gate:
    """Holds the store's commits up until it is opened, so that what is written meanwhile shares one commit."""

    def __init__(self, store: SqliteStore) -> None:
        self.writes = store._database._writes
        self.pool = ThreadPoolExecutor(12)
        self.opened = threading.Event()
        store.append([entry("first")])
        self.first = self.pool.submit(store._database.write, lambda connection: self.opened.wait())
        self._until(lambda: self.writes.lock.locked() and not self.writes.waiting)

    def write(self, *writes: Callable[[], object]) -> list[Future]:
        """Queue these in this order."""
        futures = []
        for n, write in enumerate(writes, start=len(self.writes.waiting) + 1):
            futures.append(self.pool.submit(write))
            self._until(lambda n=n: len(self.writes.waiting) == n)
        return futures

    def open(self) -> None:
        self.opened.set()
        self.first.result()
        self.pool.shutdown()

    @staticmethod
    def _until(is_so: Callable[[], bool]) -> None:
        while not is_so():
            time.sleep(0)


def fails_in_sql(store: SqliteStore) -> None:
    store._database.write(lambda connection: connection.execute("INSERT INTO scopes (path) VALUES (NULL)"))


def test_a_refused_job_takes_nothing_of_its_group_with_it(store: SqliteStore) -> None:
    store.append([entry("known", id="x")])
    gate = Gate(store)
    futures = gate.write(
        lambda: store.append([entry("one")]),
        lambda: store.append([entry("beside"), entry("other", id="x")]),
        lambda: store.append([entry("two"), entry("three")]),
        lambda: fails_in_sql(store),
        lambda: store.remove("a", [1], at=START, changes={"notes": None}),  # type: ignore[dict-item]
        lambda: store.append([entry("four")]),
    )
    gate.open()
    errors = [type(future.exception()) for future in futures]
    none = type(None)
    assert errors == [none, IdConflict, none, sqlite3.IntegrityError, AttributeError, none]
    assert texts(store.scan("a")) == ["known", "first", "one", "two", "three", "four"]
    assert [seq for seq, _, _ in log_of(store)] == [1, 2, 3, 4, 5, 6]


class Stop(BaseException):
    """What Ctrl-C is."""


def stop(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO meta VALUES ('stopped', 'yes')")
    raise Stop


def test_an_interrupt_in_a_job_leaves_nothing_of_it_and_a_store_that_works(store: SqliteStore) -> None:
    for _ in range(3):
        with pytest.raises(Stop):
            store._database.write(stop)
    assert store.meta("stopped") is None
    assert store.append([entry("one")]).seqs == (1,)


def test_an_interrupted_leader_takes_nothing_of_its_group_with_it(store: SqliteStore) -> None:
    gate = Gate(store)
    interrupted, one, two = gate.write(
        lambda: store._database.write(stop),
        lambda: store.append([entry("one")]),
        lambda: store.append([entry("two")]),
    )
    gate.open()
    assert isinstance(interrupted.exception(), Stop)
    assert (one.result(), two.result()) == (Appended((2,), (True,)), Appended((3,), (True,)))
    assert (texts(store.scan("a")), store.meta("stopped")) == (["first", "one", "two"], None)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs POSIX signals")
def test_a_write_interrupted_while_it_waits_is_not_written_and_holds_nobody_up(store: SqliteStore) -> None:
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("only the main thread is interrupted by signals")

    was_interrupted = threading.Event()

    def interrupt(*_: object) -> None:
        if not was_interrupted.is_set():
            was_interrupted.set()
            raise Stop

    gate = Gate(store)
    main = threading.main_thread().ident
    assert main is not None

    def when_it_waits() -> None:
        Gate._until(lambda: len(gate.writes.waiting) == 1)
        while (
            not was_interrupted.is_set()
        ):  # Python misses a signal that comes just before it begins to wait for a lock
            signal.pthread_kill(main, signal.SIGUSR1)
            time.sleep(0.001)

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        interrupting = threading.Thread(target=when_it_waits)
        interrupting.start()
        with pytest.raises(Stop):
            store.append([entry("interrupted")])
        interrupting.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    (after,) = gate.write(lambda: store.append([entry("after")]))
    gate.open()
    assert after.result() == Appended((2,), (True,))
    assert texts(store.scan("a")) == ["first", "after"]


class Interrupting(list):
    """A queue in which the interrupt comes just when somebody has queued."""

    def append(self, ticket: object) -> None:
        super().append(ticket)
        raise Stop


def test_a_write_interrupted_while_it_queues_is_not_written_and_holds_nobody_up(store: SqliteStore) -> None:
    store.append([entry("before")])
    store._database._writes.waiting = Interrupting()
    with pytest.raises(Stop):
        store.append([entry("interrupted")])
    assert store._database._writes.waiting == []
    store._database._writes.waiting = []
    store.append([entry("after")])
    assert texts(store.scan("a")) == ["before", "after"]


INTERRUPTED_AT_RANDOM = """
import random, signal, sys, threading, time
from mnemic import Memory

class Interrupt(KeyboardInterrupt): pass
is_armed = True
def interrupt(*_):
    if is_armed: raise Interrupt
signal.signal(signal.SIGALRM, interrupt)
random.seed(int(sys.argv[1]))
memory = Memory.open(sys.argv[2], embedder="hashing", durability="normal")
write = memory._shared.store._database.write
done, acknowledged, stop = 0, [], threading.Event()

def follow(me):
    n = 0
    while not stop.is_set():
        name = f"follower {me} {n}"
        assert write(lambda connection: connection.execute("INSERT INTO meta VALUES (?, '')", (name,)) and name) == name
        acknowledged.append(name)
        n += 1

followers = [threading.Thread(target=follow, args=(me,)) for me in range(int(sys.argv[3]))]
for follower in followers: follower.start()
until = time.monotonic() + 2.0
while time.monotonic() < until:
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(2e-5, 2e-3))
            name = f"main {done}"
            write(lambda connection: connection.execute("INSERT OR REPLACE INTO meta VALUES (?, '')", (name,)))
            done += 1
            acknowledged.append(name)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except Interrupt:
        pass
is_armed = False
signal.setitimer(signal.ITIMER_REAL, 0)
stop.set()
for follower in followers: follower.join(20)
assert not any(follower.is_alive() for follower in followers), "a follower hangs"
memory.add("and it still writes")
lost = [name for name in acknowledged if memory._shared.store.meta(name) is None]
assert not lost, lost[:3]
memory.close()
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers")
@pytest.mark.parametrize("followers", [0, 3])
def test_a_writer_that_is_interrupted_at_any_moment_loses_nothing_acknowledged_and_hangs_nobody(
    tmp_path: Path, followers: int
) -> None:
    command = [sys.executable, "-c", INTERRUPTED_AT_RANDOM, str(followers), str(tmp_path / "memory.db"), str(followers)]
    subprocess.run(command, check=True, timeout=60)


def test_writes_that_wait_when_the_store_is_closed_are_refused_and_none_hangs(store: SqliteStore) -> None:
    gate = Gate(store)
    futures = gate.write(*[lambda: store.append([entry("late")])] * 3)
    closing = threading.Thread(target=store.close)
    closing.start()
    gate.opened.set()
    closing.join()
    outcomes = {type(future.exception()) for future in [gate.first, *futures]}
    gate.pool.shutdown()
    assert outcomes <= {type(None), StoreClosed}


def test_threads_that_read_while_others_write_see_whole_batches_only(store: SqliteStore) -> None:
    is_done = threading.Event()

    def read() -> int:
        reads = 0
        while not is_done.is_set() or not reads:
            log = store.scan("a", limit=10_000)
            assert [one.seq for one in log] == list(range(1, len(log) + 1))
            assert len(log) % 4 == 0
            rows = store.index_rows(store.scope_ids("a"))
            assert len(rows.seqs) % 4 == 0
            reads += 1
        return reads

    def write(me: int) -> None:
        for n in range(25):
            store.append([entry(f"{me} {n} {i}") for i in range(4)])

    with ThreadPoolExecutor(6) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        writers = [pool.submit(write, me) for me in range(3)]
        for writer in writers:
            writer.result()
        is_done.set()
        assert all(reader.result() for reader in readers)
    assert store.counts("a")["episodes"] == 300


def test_a_parameter_error_comes_out_as_it_went_in(store: SqliteStore) -> None:
    def refuse(connection: sqlite3.Connection) -> None:
        raise ParameterError("no")

    with pytest.raises(ParameterError, match="no"):
        store._database.write(refuse)
    assert store.append([entry("one")]).seqs == (1,)
