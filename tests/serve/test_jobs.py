"""Jobs: durable, visible, tried again, stopped without loss; and what they do is done once."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.errors import Conflict, InvalidScope, NotFound, ParameterError, StoreBusy, StoreFull
from mnemic.serve.control import Control
from mnemic.serve.jobs import Jobs, Pace, delay_s, overlap
from mnemic.systems.registry import SYSTEMS
from systems.digest import FOR_TESTS, FRAGILE, Fragile, SessionDigest

TESTS = Path(__file__).parents[1]
PACE = Pace(attempts=3, first_delay_s=10.0, quiet_s=30.0, look_every_s=0.02)


class Folder:
    """Memories of tenants in a folder, opened when they are leased."""

    def __init__(self, folder: Path, open_memory: Callable[..., Memory]) -> None:
        self._folder = folder
        self._open = open_memory
        self._memories: dict[str, Memory] = {}
        self._lock = threading.Lock()
        self.is_out_of_reach = False

    @contextmanager
    def lease(self, scope: str) -> Iterator[Memory]:
        if self.is_out_of_reach:
            raise StoreBusy("The memory was busy for too long. Nothing was written; try again.")
        tenant = scope.partition("/")[0] or "root"
        with self._lock:
            if tenant not in self._memories:
                self._memories[tenant] = self._open(self._folder / f"{tenant}.db")
        yield self._memories[tenant].scope(scope)

    def fill(self, *scopes: str, texts: int = 2, system: str | None = "digest") -> None:
        for scope in scopes:
            with self.lease(scope) as memory:
                memory.add([f"tea number {n} of {scope}" for n in range(texts)], session="mon")
                if system:
                    memory.attach(system)

    def records(self, scope: str) -> list[str]:
        with self.lease(scope) as memory:
            return [record.text for record in memory._shared.store.records.records("digest", scope)]


@pytest.fixture(autouse=True)
def _systems_for_tests(monkeypatch) -> None:
    for name, where in (FOR_TESTS | FRAGILE).items():
        monkeypatch.setitem(SYSTEMS, name, where)


@pytest.fixture
def control(tmp_path: Path, clock: ManualClock) -> Iterator[Control]:
    with Control(tmp_path / "server.db", clock) as control:
        yield control


@pytest.fixture
def tenants(tmp_path: Path, open_memory) -> Folder:
    return Folder(tmp_path, open_memory)


@pytest.fixture
def jobs(control, tenants, clock) -> Iterator[Jobs]:
    jobs = Jobs(control, tenants, clock, PACE, random.Random(1))
    yield jobs
    assert jobs.stop(5.0)


def wait_until(is_so: Callable[[], bool], seconds: float = 10.0) -> None:
    ends_at = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends_at, "it did not come to be"
        time.sleep(0.005)


# -- asking -----------------------------------------------------------------------------------------------------


def test_a_job_waits_runs_and_is_done_with_what_it_did(jobs, tenants, clock):
    tenants.fill("acme/alice", "acme/bob", "beta")
    asked = jobs.submit("acme", by="key1")
    assert (asked.state, asked.by, asked.scope, asked.progress) == ("waiting", "key1", "acme", 0.0)
    clock.advance(timedelta(seconds=1))
    done = jobs.run_next()
    assert (done.id, done.state, done.progress, done.attempts) == (asked.id, "done", 1.0, 1)
    assert done.note == "4 episodes observed in 2 scopes"
    assert (done.started_at, done.finished_at) == (clock.now(), clock.now())
    assert tenants.records("acme/alice") == ["tea number 0 of acme/alice\ntea number 1 of acme/alice"]
    assert tenants.records("beta") == []
    assert jobs.run_next() is None


def test_of_one_scope_there_is_one_waiting_job_however_often_it_is_asked_for(jobs):
    first = jobs.submit("acme", by="one")
    assert jobs.submit("acme", by="two") == first
    assert jobs.submit("acme/alice") != first
    assert jobs.counts()["waiting"] == 2


def test_many_threads_that_ask_at_once_get_the_same_job(jobs):
    found = []
    threads = [threading.Thread(target=lambda: found.append(jobs.submit("acme").id)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1


def test_what_was_written_while_a_job_runs_gets_a_job_of_its_own(jobs, tenants, monkeypatch):
    tenants.fill("acme")
    later = []
    observe = SessionDigest.observe

    def observing(self, episodes, view):
        later.append(jobs.submit("acme"))
        return observe(self, episodes, view)

    monkeypatch.setattr(SessionDigest, "observe", observing)
    jobs.submit("acme")
    done = jobs.run_next()
    assert later[0].id != done.id
    assert jobs.get(later[0].id).state == "waiting"


def test_bad_input_is_refused(jobs):
    with pytest.raises(InvalidScope):
        jobs.submit("acme//x")
    with pytest.raises(ParameterError):
        jobs.submit("acme", kind="dream")
    with pytest.raises(ParameterError):
        jobs.list(state="odd")
    for verb in (jobs.get, jobs.retry, jobs.cancel):
        with pytest.raises(NotFound):
            verb("nobody")
    assert jobs.list() == []


def test_jobs_are_listed_newest_first_by_scope_state_and_page(jobs, tenants):
    made = [jobs.submit(scope).id for scope in ("acme", "acme/a", "acmes", "beta", "")]
    assert [one.id for one in jobs.list()] == made[::-1]
    assert [one.scope for one in jobs.list(["acme"])] == ["acme/a", "acme"]
    assert [one.scope for one in jobs.list(["acme/a", "beta"])] == ["beta", "acme/a"]
    assert jobs.list([]) == []
    assert [one.scope for one in jobs.list(limit=2, after=made[3])] == ["acmes", "acme/a"]
    jobs.cancel(made[0])
    assert [one.scope for one in jobs.list(state="cancelled")] == ["acme"]


# -- failing ----------------------------------------------------------------------------------------------------


def test_a_job_that_fails_keeps_its_error_and_is_tried_again_later_each_time(jobs, tenants, clock):
    tenants.is_out_of_reach = True
    asked = jobs.submit("acme")
    waits = []
    for attempt in (1, 2):
        failed = jobs.run_next()
        assert (failed.state, failed.attempts, failed.error) == (
            "waiting",
            attempt,
            "StoreBusy: The memory was busy for too long. Nothing was written; try again.",
        )
        waits.append((failed.next_try_at - clock.now()).total_seconds())
        assert jobs.run_next() is None
        clock.set(failed.next_try_at)
    assert 5.0 <= waits[0] < 10.0 <= waits[1] < 20.0
    given_up = jobs.run_next()
    assert (given_up.state, given_up.attempts) == ("failed", 3)
    assert given_up.error == "StoreBusy: The memory was busy for too long. Nothing was written; try again."
    clock.advance(timedelta(days=1))
    assert jobs.run_next() is None
    tenants.is_out_of_reach = False
    assert jobs.retry(asked.id).state == "waiting"
    assert jobs.run_next().state == "done"
    assert jobs.get(asked.id).error is None


def test_a_system_that_fails_in_one_scope_keeps_no_other_from_its_work(jobs, tenants, clock, monkeypatch):
    tenants.fill("acme/a", "acme/b")
    with tenants.lease("acme/a") as memory:
        memory.add("a bomb of a violin")
        memory.attach("fragile")
    jobs.submit("acme")
    failed = jobs.run_next()
    assert failed.state == "waiting"
    assert "fragile in acme/a: AttributeError" in failed.error
    assert tenants.records("acme/b") != []
    monkeypatch.setattr(Fragile, "is_mended", True)
    clock.set(failed.next_try_at)
    assert jobs.run_next().state == "done"


def test_what_an_error_quotes_goes_when_its_scope_is_forgotten(jobs, tenants, control):
    tenants.fill("acme/a", system="fragile")
    with tenants.lease("acme/a") as memory:
        memory.add("a bomb of a violin")
    jobs.submit("acme")
    other = jobs.submit("beta")
    assert "violin" in jobs.run_next().error
    jobs.forget("acme")
    assert "violin" not in str(jobs.list())
    jobs.forget("")
    control.close()  # empties its log
    assert b"violin" not in control.path.read_bytes()
    assert other.state == "waiting"


@given(attempts=st.integers(1, 10_000), chance=st.floats(0, 1, exclude_max=True))
def test_delays_grow_to_a_limit_and_never_beyond(attempts, chance):
    pace = Pace()
    assert pace.first_delay_s / 2 <= delay_s(pace, attempts, chance) <= pace.longest_delay_s
    assert delay_s(pace, attempts, chance) <= delay_s(pace, attempts + 1, chance)


# -- cancelling and retrying ------------------------------------------------------------------------------------


def test_a_waiting_job_that_is_cancelled_never_runs_and_can_be_retried(jobs, tenants):
    tenants.fill("acme")
    asked = jobs.submit("acme")
    assert jobs.cancel(asked.id).state == "cancelled"
    assert jobs.cancel(asked.id).state == "cancelled"
    assert jobs.run_next() is None
    again = jobs.retry(asked.id)
    assert (again.id, again.state, again.finished_at) == (asked.id, "waiting", None)
    assert jobs.run_next().state == "done"


def test_a_running_job_that_is_cancelled_stops_before_its_next_scope(jobs, tenants, monkeypatch):
    tenants.fill("acme/a", "acme/b")
    asked = jobs.submit("acme")
    observe = SessionDigest.observe

    def observing(self, episodes, view):
        jobs.cancel(asked.id)
        return observe(self, episodes, view)

    monkeypatch.setattr(SessionDigest, "observe", observing)
    assert jobs.run_next().state == "cancelled"
    assert (len(tenants.records("acme/a")), len(tenants.records("acme/b"))) == (1, 0)


def test_what_is_over_is_neither_cancelled_nor_retried_again(jobs, tenants):
    jobs.submit("acme")
    done = jobs.run_next()
    for verb in (jobs.cancel, jobs.retry):
        with pytest.raises(Conflict):
            verb(done.id)


def test_retrying_where_another_waits_gives_the_other(jobs):
    first = jobs.submit("acme")
    jobs.cancel(first.id)
    second = jobs.submit("acme")
    assert jobs.retry(first.id).id == second.id
    assert jobs.get(first.id).state == "cancelled"


# -- threads ----------------------------------------------------------------------------------------------------


def test_workers_do_what_is_asked_for_and_progress_is_seen_meanwhile(jobs, tenants, monkeypatch):
    tenants.fill(*(f"acme/{name}" for name in "abcd"))
    halfway, go_on = threading.Event(), threading.Event()
    observe = SessionDigest.observe

    def observing(self, episodes, view):
        if view.scope == "acme/c":
            halfway.set()
            assert go_on.wait(10)
        return observe(self, episodes, view)

    monkeypatch.setattr(SessionDigest, "observe", observing)
    monkeypatch.setattr("mnemic.serve.jobs._SAY_EVERY_S", 0.0)
    jobs.start()
    asked = jobs.submit("acme")
    assert halfway.wait(10)
    seen = jobs.get(asked.id)
    assert (seen.state, seen.progress, seen.note) == ("running", 0.5, "2 of 4 scopes")
    go_on.set()
    wait_until(lambda: jobs.get(asked.id).state == "done")


def test_jobs_on_scopes_that_overlap_are_not_run_at_once(control, tenants, clock, monkeypatch):
    jobs = Jobs(control, tenants, clock, Pace(workers=4, look_every_s=0.01))
    scopes = ["acme", "acme/a", "acme/b", "beta", "beta/c", ""]
    tenants.fill("acme/a", "acme/b", "beta/c", "")
    at_work: list[str] = []
    clashes, lock, at_once = [], threading.Lock(), []
    consolidate = jobs._consolidate

    def consolidating(job, memory):
        with lock:
            clashes.extend((job.scope, other) for other in at_work if overlap(job.scope, other))
            at_work.append(job.scope)
            at_once.append(len(at_work))
        time.sleep(0.02)
        errors = consolidate(job, memory)
        with lock:
            at_work.remove(job.scope)
        return errors

    monkeypatch.setattr(jobs, "_consolidate", consolidating)
    for scope in scopes:
        jobs.submit(scope)
    jobs.start()
    wait_until(lambda: jobs.counts()["done"] == len(scopes))
    assert jobs.stop()
    assert clashes == []
    assert max(at_once) > 1


def test_stopping_lets_a_job_end_within_its_grace(jobs, tenants, monkeypatch):
    tenants.fill("acme/a", "acme/b")
    begun = threading.Event()
    observe = SessionDigest.observe

    def observing(self, episodes, view):
        begun.set()
        time.sleep(0.05)
        return observe(self, episodes, view)

    monkeypatch.setattr(SessionDigest, "observe", observing)
    jobs.start()
    asked = jobs.submit("acme")
    assert begun.wait(10)
    assert jobs.stop(10.0)
    assert jobs.get(asked.id).state == "done"


def test_a_job_that_stopping_cut_short_goes_on_at_the_next_start(jobs, control, tenants, clock, monkeypatch):
    tenants.fill("acme/a", "acme/b")
    begun = threading.Event()
    observe = SessionDigest.observe

    def observing(self, episodes, view):
        begun.set()
        time.sleep(0.05)
        return observe(self, episodes, view)

    monkeypatch.setattr(SessionDigest, "observe", observing)
    jobs.start()
    asked = jobs.submit("acme")
    assert begun.wait(10)
    jobs.stop(0.0)
    wait_until(lambda: jobs.get(asked.id).state == "waiting")
    assert jobs.get(asked.id).attempts == 0
    assert tenants.records("acme/b") == []
    later = Jobs(control, tenants, clock, PACE)
    later.start()
    wait_until(lambda: later.get(asked.id).state == "done")
    assert later.stop()
    assert [len(tenants.records(f"acme/{name}")) for name in "ab"] == [1, 1]


def test_stopping_waits_no_longer_than_its_grace_and_costs_the_job_no_attempt(jobs, tenants, monkeypatch):
    tenants.fill("acme")
    begun, go_on = threading.Event(), threading.Event()
    observe = SessionDigest.observe

    def observing(self, episodes, view):
        begun.set()
        assert go_on.wait(10)
        return observe(self, episodes, view)

    monkeypatch.setattr(SessionDigest, "observe", observing)
    jobs.start()
    asked = jobs.submit("acme")
    assert begun.wait(10)
    assert not jobs.stop(0.05)
    assert (jobs.get(asked.id).state, jobs.get(asked.id).attempts) == ("waiting", 0)
    go_on.set()
    assert jobs.stop(10.0)
    assert (jobs.get(asked.id).state, jobs.get(asked.id).attempts) == ("waiting", 0)


def test_a_full_disk_stops_no_worker_and_the_job_is_taken_up_again(jobs, control, tenants, monkeypatch, caplog):
    tenants.fill("acme")
    writing = control.write
    refused = []

    def write(job):
        if job.__qualname__.split(".")[1] in ("done", "failed") and len(refused) < 2:
            refused.append(job)
            raise StoreFull("The disk is full.")
        return writing(job)

    monkeypatch.setattr(control, "write", write)
    jobs.start()
    asked = jobs.submit("acme")
    wait_until(lambda: jobs.get(asked.id).state == "done")
    assert len(refused) == 2
    assert len(tenants.records("acme")) == 1
    assert "StoreFull: The disk is full." in caplog.text


def test_a_job_found_running_at_the_start_was_cut_short_and_goes_on(control, tenants, clock):
    dead = Jobs(control, tenants, clock, PACE)
    asked = dead.submit("acme")
    for attempt in range(1, PACE.attempts + 1):
        assert dead._queue.take("somebody who is gone", lambda scope: True).attempts == attempt
        Jobs(control, tenants, clock, PACE)._upkeep()
    last = dead.get(asked.id)
    assert (last.state, last.error) == ("failed", "It was cut short.")


def test_jobs_that_are_over_are_dropped_after_a_month(jobs, tenants, clock):
    jobs.submit("acme")
    jobs.run_next()
    waiting = jobs.submit("beta")
    clock.advance(timedelta(days=31))
    jobs._queue.prune(timedelta(days=30))
    assert jobs.list() == [waiting]


# -- by itself, when it is quiet --------------------------------------------------------------------------------


def test_a_scope_that_was_written_to_is_consolidated_once_it_is_quiet(jobs, tenants, clock):
    tenants.fill("acme")
    jobs.touch("acme")
    jobs.plan_touched()
    (planned,) = jobs.list()
    assert (planned.by, planned.state) == ("auto", "waiting")
    clock.advance(timedelta(seconds=20))
    jobs.touch("acme")
    jobs.plan_touched()
    clock.advance(timedelta(seconds=20))
    assert jobs.run_next() is None
    clock.advance(timedelta(seconds=10))
    assert (jobs.run_next().id, tenants.records("acme") != []) == (planned.id, True)


def test_a_scope_that_is_never_quiet_is_consolidated_all_the_same(jobs, tenants, clock):
    tenants.fill("acme")
    for _ in range(100):
        jobs.touch("acme")
        jobs.plan_touched()
        clock.advance(timedelta(seconds=20))
        if jobs.run_next():
            return
    pytest.fail("it was put off for ever")


def test_where_no_system_is_attached_nothing_is_planned(jobs, tenants):
    tenants.fill("acme", system=None)
    jobs.touch("acme")
    jobs.plan_touched()
    assert jobs.list() == []


def test_who_asks_does_not_wait_for_quiet_and_further_writes_do_not_put_it_off(jobs, tenants, clock):
    tenants.fill("acme")
    jobs.touch("acme")
    jobs.plan_touched()
    asked = jobs.submit("acme", by="key1")
    assert (asked.next_try_at, asked.by) == (clock.now(), "key1")
    jobs.touch("acme")
    jobs.plan_touched()
    assert jobs.run_next().state == "done"


def test_a_memory_that_cannot_be_opened_is_planned_for_later(jobs, tenants):
    tenants.fill("acme")
    jobs.touch("acme")
    tenants.is_out_of_reach = True
    with pytest.raises(StoreBusy):
        jobs.plan_touched()
    tenants.is_out_of_reach = False
    jobs.plan_touched()
    assert len(jobs.list()) == 1


def test_what_was_written_just_before_stopping_is_planned(jobs, tenants):
    tenants.fill("acme")
    jobs.start()
    jobs.touch("acme")
    assert jobs.stop()
    assert [one.by for one in jobs.list()] == ["auto"]


# -- killed -----------------------------------------------------------------------------------------------------

WORKING = """
import sys
from pathlib import Path
from mnemic import Memory
from mnemic.clock import SystemClock
from mnemic.serve.control import Control
from mnemic.serve.jobs import Jobs, Pace
from mnemic.systems.registry import SYSTEMS
from serve.test_jobs import Folder
from systems.digest import FOR_TESTS

SYSTEMS.update(FOR_TESTS)
folder = Path(sys.argv[1])
tenants = Folder(folder, lambda path: Memory.open(path, embedder="hashing"))
jobs = Jobs(Control(folder / "server.db"), tenants, SystemClock(), Pace(attempts=1000, look_every_s=0.01))
jobs.start()
print("ready", flush=True)
while jobs.counts()["done"] < int(sys.argv[2]):
    pass
jobs.stop()
print("done", flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kill -9 as POSIX has it")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_process_killed_again_and_again_loses_no_job_and_does_nothing_twice(tmp_path):
    tenants = Folder(tmp_path, lambda path: Memory.open(path, embedder="hashing"))
    scopes = [f"acme/{n}" for n in range(12)] + ["beta"]
    tenants.fill(*scopes, texts=150)
    with Control(tmp_path / "server.db") as control:
        asked = Jobs(control, tenants, ManualClock(control.clock.now()))
        ids = {asked.submit(scope).id for scope in ("acme", "beta")}
        for memory in tenants._memories.values():
            memory.close()
        tenants._memories.clear()
        chance = random.Random(7)
        command = [sys.executable, "-c", WORKING, str(tmp_path), "2"]
        environment = os.environ | {"PYTHONPATH": str(TESTS)}
        for attempt in range(60):
            process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)
            assert process.stdout.readline() == "ready\n"
            if attempt < 12:
                time.sleep(chance.uniform(0.0, 0.15))
                process.send_signal(signal.SIGKILL)
            is_done = process.communicate(timeout=60)[0] == "done\n"
            if is_done:
                break
        assert is_done
        assert {one.id: one.state for one in asked.list()} == dict.fromkeys(ids, "done")
    for scope in scopes:
        assert tenants.records(scope) == ["\n".join(f"tea number {n} of {scope}" for n in range(150))]
    for memory in tenants._memories.values():
        memory.close()
