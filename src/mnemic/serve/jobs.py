"""Work that nobody waits for: the threads that do the jobs of the queue (`job_queue.py`).

A job consolidates a scope and those below it, scope by scope, so that its progress can be seen. What it did stays done:
systems observe each episode once, so a job that was cut short goes on where it was. A job that failed is tried again,
later each time, and keeps its error; after its last attempt it stays failed until somebody retries it. Jobs on scopes that
overlap are not run at once.

Scopes that got writes are consolidated by themselves after a quiet time, where a system is attached: routes say `touch`
after a write. One process does the jobs of a folder. Jobs that it finds running at its start were cut short; they wait again.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from mnemic.clock import Clock
from mnemic.errors import MnemicError, StoreError
from mnemic.memory import Memory
from mnemic.model import is_within, new_id
from mnemic.serve.control import Control
from mnemic.serve.job_queue import AUTOMATIC, Job, JobList, JobQueue, Reports
from mnemic.serve.problems import told
from mnemic.text.counting import counted

__all__ = ["Job", "Jobs", "Leases", "Pace"]
Errors = list[str]  # a name for what Jobs.list would hide from type checkers inside the class
_SAY_EVERY_S = 0.5  # how often progress is written
_PUT_OFF_AT_MOST = 20  # quiet times: a scope that is never quiet is consolidated all the same
_PRUNE_EVERY_S = 3600.0
_LOG = logging.getLogger("mnemic.serve.jobs")


class Leases(Protocol):
    """Whoever opens the memory of a scope and keeps it open for as long as it is used."""

    def lease(self, scope: str, /) -> AbstractContextManager[Memory]:
        """A handle on the scope."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How many jobs run at once, and when they are tried."""

    workers: int = 2
    attempts: int = 5
    first_delay_s: float = 10.0  # before the second attempt; doubles with each
    longest_delay_s: float = 3600.0
    quiet_s: float = 30.0  # without writes, before a scope is consolidated by itself; 0 leaves it to who asks
    look_every_s: float = 1.0
    keep_days: float = 30.0  # how long jobs that are over stay listed


def delay_s(pace: Pace, attempts: int, chance: float) -> float:
    """How long to wait after so many attempts. chance, in [0, 1), draws from the upper half, so that many do not come at once.

    >>> [delay_s(Pace(), attempts, 0.0) for attempts in (1, 2, 3, 50)]
    [5.0, 10.0, 20.0, 1800.0]
    """
    longest = min(pace.first_delay_s * 2.0 ** min(attempts - 1, 60), pace.longest_delay_s)
    return longest * (0.5 + chance / 2)


class Jobs:
    """The queue of a server and its workers; `start` makes the threads, `stop` ends them."""

    def __init__(
        self,
        control: Control,
        tenants: Leases,
        clock: Clock,
        pace: Pace | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._queue = JobQueue(control, clock)
        self._tenants = tenants
        self._clock = clock
        self._pace = pace or Pace()
        self._rng = rng or random.Random()
        self._owner = new_id()
        self._taking = threading.Lock()
        self._under_way: dict[str, str] = {}  # job -> scope, of those that a thread is at, cancelled or not
        self._wake = threading.Condition()
        self._touched: dict[str, datetime] = {}
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()  # no new jobs
        self._leaving = threading.Event()  # and those under way stop at their next scope

    # -- asking -------------------------------------------------------------------------------------------

    def submit(self, scope: str, kind: str = "consolidate", by: str | None = None) -> Job:
        """Ask for work on a scope, durably. Where a job of that kind waits for the scope, it is that one, and due now.

        Raises InvalidScope and ParameterError.
        """
        return self._woken(self._queue.submit(scope, kind, by, due_at=self._clock.now()))

    def touch(self, scope: str) -> None:
        """Note that a scope was written to. Cheap: another thread does what follows."""
        if self._pace.quiet_s > 0:
            self._touched[scope] = self._clock.now()

    def get(self, id: str) -> Job:
        """One job. Raises NotFound."""
        return self._queue.get(id)

    def list(
        self,
        scope_prefixes: Iterable[str] = ("",),
        state: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> JobList:
        """Jobs on these scopes and those below, newest first, behind the job `after`. Raises ParameterError."""
        return self._queue.list(scope_prefixes, state, after, limit)

    def counts(self) -> dict[str, int]:
        """How many jobs there are in each state."""
        return self._queue.counts()

    def retry(self, id: str) -> Job:
        """Let a failed or cancelled job wait again, with all its attempts; one that waits is due now.

        Where another waits for its scope, it is that one. Raises NotFound, and Conflict for a job that runs or is done.
        """
        return self._woken(self._queue.retry(id))

    def cancel(self, id: str) -> Job:
        """Let a job be; one that runs stops before its next scope, and what it did stays.

        Raises NotFound, and Conflict for one that is over.
        """
        return self._queue.cancel(id)

    def forget(self, scope: str) -> None:
        """Drop what the queue tells of a scope and those below: jobs that are over, and errors, which may quote a memory."""
        self._queue.forget(scope)

    # -- working ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Let what was cut short wait again, and begin to work."""
        self._upkeep()
        self._queue.prune(timedelta(days=self._pace.keep_days))
        self._begin("mnemic-jobs-upkeep", self._look_around)
        for n in range(self._pace.workers):
            self._begin(f"mnemic-jobs-{n}", self._work)

    def stop(self, grace_s: float = 10.0) -> bool:
        """Take no more jobs, and let those under way end; in the last quarter of the grace they stop at their next scope.

        What did not end waits for the next start. False where a thread is still at work.
        """
        ends_at = time.monotonic() + grace_s
        self._stopping.set()
        self._notify()
        self._join(ends_at - grace_s / 4)
        self._leaving.set()
        self._join(ends_at)
        with self._taking:
            left = [*self._under_way]
        for id in left:  # in the middle of a long scope: its thread finds that it is no longer its job
            self._queue.put_back(id, self._owner)
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        return not self._threads

    def run_next(self) -> Job | None:
        """Take the next job that is due and do it in this thread; how it stands then. None where nothing is due."""
        with self._taking:
            job = self._queue.take(self._owner, self._is_free)
            if job is None:
                return None
            self._under_way[job.id] = job.scope
        try:
            self._run(job)
        finally:
            with self._taking:
                del self._under_way[job.id]
            self._notify()  # one that overlapped may be free
        return self._queue.get(job.id)

    def plan_touched(self) -> None:
        """Plan a job for each scope that was written to since the last call, where a system is attached; due when it is quiet.

        It waits, durable and visible, from the first write on; each further write puts it off.
        """
        quiet = timedelta(seconds=self._pace.quiet_s)
        for scope in [*self._touched]:
            at = self._touched.pop(scope)
            try:
                with self._tenants.lease(scope) as memory:
                    is_wanted = bool(memory.attached())
                if is_wanted:
                    self._queue.submit(
                        scope, "consolidate", AUTOMATIC, due_at=at + quiet, put_off=quiet * _PUT_OFF_AT_MOST
                    )
            except BaseException:
                self._touched.setdefault(scope, at)  # for the next time
                raise

    # -- inside -------------------------------------------------------------------------------------------

    def _run(self, job: Job) -> None:
        try:
            with self._tenants.lease(job.scope) as memory:
                errors = self._consolidate(job, memory)
        except Exception as error:  # whatever it is, it is kept with the job, which is tried again
            errors = [f"{type(error).__name__}: {told(error) if isinstance(error, MnemicError) else error}"]
        if errors:
            _LOG.warning("job %s failed, attempt %d of %d", job.id, job.attempts, self._pace.attempts)
            is_last = job.attempts >= self._pace.attempts
            wait_s = None if is_last else delay_s(self._pace, job.attempts, self._rng.random())
            self._queue.failed(job.id, self._owner, "; ".join(errors), wait_s)

    def _consolidate(self, job: Job, memory: Memory) -> Errors:
        """Do a job, or as much of it as there is time for; what went wrong."""
        paths = [memory.scope_path] if job.is_alone else list(memory.scopes())
        reports: Reports = {system: {"observed": 0} for system in memory.attached()}
        errors, said_at = [], float("-inf")
        for done, path in enumerate(paths):
            if self._leaving.is_set():
                self._queue.put_back(job.id, self._owner)
                return []
            if not self._queue.is_owned(job.id, self._owner):  # it was cancelled
                return []
            if time.monotonic() - said_at >= _SAY_EVERY_S:
                self._queue.say(job.id, self._owner, done / len(paths), f"{done:,} of {len(paths):,} scopes")
                said_at = time.monotonic()
            below = path[len(memory.scope_path) :].removeprefix("/")
            found = memory.scope(below).consolidate(include_children=False, retry_failed=job.is_retry)
            for system, report in found.items():
                done_so_far = reports.setdefault(system, {"observed": 0})
                done_so_far["observed"] = int(done_so_far["observed"]) + int(report["observed"])
                if "error" in report:
                    done_so_far["error"] = report["error"]
                    errors.append(f"{system} in {report['error']}")
        self._queue.report(job.id, self._owner, reports)
        if not errors:
            observed = sum(int(report["observed"]) for report in reports.values())
            said = f"{counted(observed, 'episode')} observed in {counted(len(paths), 'scope')}"
            self._queue.done(job.id, self._owner, said)
        return errors

    def _is_free(self, scope: str) -> bool:
        return not any(overlap(scope, other) for other in self._under_way.values())

    def _upkeep(self) -> None:
        with self._taking:
            self._queue.recover(self._under_way, self._pace.attempts)

    def _begin(self, name: str, target: Callable[[], None]) -> None:
        # daemons: a job that does not end must not keep the process; what it was at goes on at the next start
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while not self._stopping.is_set():
            if not self._survives(self.run_next):
                with self._wake:
                    if not self._stopping.is_set():
                        self._wake.wait(self._pace.look_every_s)

    def _look_around(self) -> None:
        prune_at = time.monotonic() + _PRUNE_EVERY_S
        while not self._stopping.wait(self._pace.look_every_s):
            self._survives(self._upkeep)
            self._survives(self.plan_touched)
            if time.monotonic() >= prune_at:
                prune_at += _PRUNE_EVERY_S
                self._survives(lambda: self._queue.prune(timedelta(days=self._pace.keep_days)))
        self._survives(self.plan_touched)  # what was written in the last moment is planned for the next start

    def _survives(self, step: Callable[[], Job | None]) -> bool:
        """Whether the step did something. What stands in its way (a full disk, a busy file) is logged; it comes again."""
        try:
            return step() is not None
        except Exception as error:
            said = f": {error}" if isinstance(error, StoreError) else ""  # nothing that could quote a memory
            _LOG.error("%s: %s%s", threading.current_thread().name, type(error).__name__, said)
            return False

    def _woken(self, job: Job) -> Job:
        self._notify()
        return job

    def _notify(self) -> None:
        with self._wake:
            self._wake.notify_all()

    def _join(self, until: float) -> None:
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0.0))


def overlap(scope: str, other: str) -> bool:
    """Whether two jobs would come to the same scope. The root is a file of its own.

    >>> overlap("acme", "acme/a"), overlap("acme/a", "acme/b"), overlap("", "acme")
    (True, False, False)
    """
    if not scope or not other:
        return scope == other
    return is_within(scope, other) or is_within(other, scope)
