"""Group commit: many threads write, and one flush of the disk serves all who wait for one.

A caller queues its job. Whoever gets the lock leads: it takes the whole queue, runs every job in one transaction, commits
once, and wakes those whose jobs are done. A lone writer pays for no thread switch. A job that is refused takes nothing with
it: the others run again without it. So a job must do nothing but what the transaction undoes.

Nothing here relies on an interrupted thread (Ctrl-C, a signal) to tidy up. Who leads is decided by the lock alone, which
`with` releases whatever happens; a leader always runs its own job, also when the queue has lost it; and who waits looks
again every PATIENCE_S, so that a wake-up that was never sent costs that long and no more. A group's outcome is one object:
it is committed for all of its members or for none.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]
MAX_GROUP = 512  # jobs in one commit: bounds how long the first of them waits
GATHER_S = 0.001  # how long a leader waits for as many jobs as shared the last commit; a lone writer never waits
PATIENCE_S = 0.05


class _Group:
    """Jobs that share a transaction, and how that ended."""

    __slots__ = ("error", "is_committing", "is_finished")

    def __init__(self) -> None:
        self.is_committing = False  # COMMIT was ordered
        self.is_finished = False
        self.error: BaseException | None = None


class _Ticket:
    """A queued write and its outcome."""

    __slots__ = ("error", "group", "job", "result", "turn")

    def __init__(self, job: Job[Any]) -> None:
        self.job = job
        self.turn = threading.Lock()  # released when there is something to see
        self.turn.acquire()
        self.group: _Group | None = None
        self.result: Any = None
        self.error: BaseException | None = None

    @property
    def is_done(self) -> bool:
        return self.group is not None and self.group.is_finished

    def wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # it is awake
            self.turn.release()


class GroupCommit:
    """The write queue of one connection.

    writer: gives the connection, or raises when the store is closed. guard: what else is held while it is used.
    translated: a SQLite error in our words.
    """

    def __init__(
        self,
        writer: Callable[[], sqlite3.Connection],
        guard: AbstractContextManager[Any],
        translated: Callable[[sqlite3.Error], Exception],
    ) -> None:
        self.lock = threading.Lock()  # held by whoever uses the writing connection
        self.waiting: list[_Ticket] = []
        self._writer = writer
        self._guard = guard
        self._translated = translated
        self._last_group = 1

    def write(self, job: Job[T]) -> T:
        """Run `job` inside a write transaction; its result once that is committed and durable."""
        ticket = _Ticket(job)
        try:
            self.waiting.append(ticket)  # atomic
            while not ticket.is_done:
                if self.lock.locked():
                    ticket.turn.acquire(timeout=PATIENCE_S)
                    continue
                with self.lock:
                    if not ticket.is_done:
                        self._lead(ticket)
                for first in self.waiting[:1]:
                    first.wake()
        finally:
            if not ticket.is_done:  # interrupted
                with contextlib.suppress(ValueError):
                    self.waiting.remove(ticket)
        assert ticket.group is not None
        if (error := ticket.error or ticket.group.error) is not None:
            raise error
        result: T = ticket.result
        return result

    def _lead(self, own: _Ticket) -> None:
        """Commit what is queued, our own job among it; called with the lock held."""
        if self._last_group > 1:
            self._gather()
        tickets = self.waiting[:MAX_GROUP]
        del self.waiting[: len(tickets)]  # only a leader takes away from the front; others append behind
        if own not in tickets:
            with contextlib.suppress(ValueError):  # behind those, or lost by an interrupted leader
                self.waiting.remove(own)
            tickets.insert(0, own)
        self._last_group = len(tickets)
        group = _Group()
        for ticket in tickets:
            ticket.group, ticket.error = group, None
        try:
            with self._guard:
                self._commit(group, tickets)
        except sqlite3.Error as error:
            group.error = self._translated(error)
            group.is_finished = True
        except Exception as error:
            group.error = error
            group.is_finished = True
        finally:
            if not group.is_finished:  # we were interrupted, the others were not: they write without us
                others = [ticket for ticket in tickets if ticket is not own]
                for ticket in others:
                    ticket.group = None
                self.waiting[:0] = others
            for ticket in tickets:
                if ticket is not own:
                    ticket.wake()

    def _gather(self) -> None:
        """Let those who wrote a moment ago, and are about to write again, share the flush.

        Yields instead of sleeping: waking a sleeping thread takes longer here than all the work of an append.
        """
        until = time.perf_counter() + GATHER_S
        while len(self.waiting) < self._last_group and time.perf_counter() < until:
            time.sleep(0)

    def _commit(self, group: _Group, tickets: list[_Ticket]) -> None:
        """Run the jobs in one transaction; where one of several is refused, again, each in a savepoint of its own."""
        connection = self._writer()
        try:
            if not self._run_together(connection, group, tickets):
                self._run_apart(connection, group, tickets)
        except BaseException as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            elif group.is_committing and not isinstance(error, sqlite3.Error):
                group.is_finished = True  # interrupted just when COMMIT had returned
            raise

    def _run_together(self, connection: sqlite3.Connection, group: _Group, tickets: list[_Ticket]) -> bool:
        connection.execute("BEGIN IMMEDIATE")
        for ticket in tickets:
            try:
                ticket.result = ticket.job(connection)
            except Exception as error:
                if _ends_the_transaction(error):
                    raise
                connection.execute("ROLLBACK")
                if len(tickets) > 1:
                    return False
                ticket.error = error
                group.is_finished = True
                return True
        _finish(connection, group)
        return True

    def _run_apart(self, connection: sqlite3.Connection, group: _Group, tickets: list[_Ticket]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        for ticket in tickets:
            connection.execute("SAVEPOINT job")
            try:
                ticket.result = ticket.job(connection)
            except Exception as error:
                if _ends_the_transaction(error):
                    raise
                ticket.error = error
                connection.execute("ROLLBACK TO job")
            connection.execute("RELEASE job")
        _finish(connection, group)


def _finish(connection: sqlite3.Connection, group: _Group) -> None:
    group.is_committing = True
    connection.execute("COMMIT")
    group.is_finished = True


def _ends_the_transaction(error: Exception) -> bool:
    """Whether the error ends the transaction for all, not only for the job in which it came up."""
    of_the_job = sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.DataError | sqlite3.InterfaceError
    return isinstance(error, sqlite3.Error) and not isinstance(error, of_the_job)
