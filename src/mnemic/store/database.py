"""One SQLite file: its connections, its write queue with group commit, and its errors in our words.

Writes: a caller queues its job. Where nobody leads, it leads: it takes the whole queue, runs every job in one
transaction, commits once, wakes those whose jobs are done, and passes the lead to the first who queued meanwhile. A
lone writer pays for no thread switch, and many writers share one disk flush. A job that is refused takes nothing with
it: the others run again without it. So a job must do nothing but what the transaction undoes.

Reads: one read-only connection for each thread, never inside a transaction for longer than one call. In WAL mode readers
and the writer do not wait for one another. A store in memory has one connection, guarded by one lock.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

from mnemic.clock import Clock
from mnemic.errors import (
    NotAStore,
    StoreBusy,
    StoreClosed,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreTooNew,
)
from mnemic.store import schema

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]
Durability = Literal["full", "normal"]
MAX_GROUP = 512  # jobs in one commit: bounds how long the first of them waits
GATHER_S = 0.001  # how long a leader waits for as many jobs as shared the last commit; a lone writer never waits


class _Ticket:
    """A queued write and its outcome."""

    __slots__ = ("error", "is_done", "job", "leads", "result", "turn")

    def __init__(self, job: Job[Any]) -> None:
        self.job = job
        self.turn = threading.Lock()  # released when the job is done, or when it is this one's turn to lead
        self.turn.acquire()
        self.is_done = False
        self.leads = False
        self.result: Any = None
        self.error: BaseException | None = None


class Database:
    """The connections to one SQLite file, or to a private database in memory when path is None."""

    def __init__(
        self, path: Path | None, clock: Clock, *, read_only: bool, durability: Durability, timeout_s: float
    ) -> None:
        self.path = path
        self.read_only = read_only
        self._durability = durability
        self._timeout_s = timeout_s
        self._queue: list[_Ticket] = []
        self._mutex = threading.Lock()  # guards the queue and who leads it
        self._has_leader = False
        self._last_group = 1
        self._committing = threading.Lock()  # held while the writing connection is in use
        self._shared = threading.RLock()  # guards the one connection of a store in memory
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._is_closed = False
        self._pid = os.getpid()
        self._writer: sqlite3.Connection | None = None
        try:
            with self._translated():
                self._open(clock)
        except BaseException:
            self.close()
            raise

    # -- opening ------------------------------------------------------------------------------------------

    def _open(self, clock: Clock) -> None:
        if self.read_only:
            self._check_file(self._reader())
        else:
            connection = self._connect(":memory:" if self.path is None else str(self.path), uri=False)
            is_old = self._check_file(connection)  # before anything is set: a file that is not ours stays as it is
            self._writer = self._as_writer(connection)
            if is_old:
                schema.migrate(self._writer, clock.now())

    def _as_writer(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        if self.path is not None:
            # measured: a row with its vector is near 1 kB, and 8 kB pages take half again as many a second as 4 kB ones;
            # a file that has tables keeps its page size
            connection.execute("PRAGMA page_size = 8192")
            self._choose_wal(connection)
        # FULL, not NORMAL: in WAL mode NORMAL may lose the last commits on power loss, and add() has already returned
        connection.execute(f"PRAGMA synchronous = {'FULL' if self._durability == 'full' else 'NORMAL'}")
        connection.execute("PRAGMA secure_delete = ON")  # what is forgotten is overwritten, not only unlinked
        connection.execute("PRAGMA temp_store = MEMORY")  # what a savepoint keeps of pages goes into no temporary file
        connection.execute("PRAGMA wal_autocheckpoint = 2000")
        connection.execute("PRAGMA cache_size = -16384")
        return connection

    def _choose_wal(self, connection: sqlite3.Connection) -> None:
        """Of several processes that make a file at once, SQLite refuses this to some without waiting; so we wait."""
        gives_up_at = time.monotonic() + self._timeout_s
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if (error.sqlite_errorcode & 0xFF) != sqlite3.SQLITE_BUSY or time.monotonic() > gives_up_at:
                    raise
                time.sleep(0.01)
            else:
                return

    def _connect_reader(self) -> sqlite3.Connection:
        assert self.path is not None
        connection = self._connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)
        connection.execute("PRAGMA query_only = ON")
        return connection

    def _connect(self, target: str, *, uri: bool) -> sqlite3.Connection:
        connection = sqlite3.connect(
            target,
            uri=uri,
            timeout=self._timeout_s,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        self._opened.append(connection)
        return connection

    def _check_file(self, connection: sqlite3.Connection) -> bool:
        """Whether a migration is due; raises for a file that is not ours to open."""
        connection.execute("BEGIN")  # one state for all three: another process may be making the file at this moment
        try:
            number, application = schema.version(connection), schema.application(connection)
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        if application != schema.APPLICATION_ID and (application or number or tables or self.read_only):
            raise NotAStore(
                f"{self.path} is a SQLite database, but not one of Mnemic's. Nothing was changed in it. Give another path."
            )
        if number > schema.NEWEST:
            raise StoreTooNew(
                f"{self.path} was written by a newer Mnemic (schema {number}; this one knows {schema.NEWEST}). "
                "Nothing was changed in it. Upgrade with `pip install --upgrade mnemic`."
            )
        if number < schema.NEWEST and self.read_only:
            raise StoreReadOnly(
                f"{self.path} has schema {number} and needs to be brought to {schema.NEWEST}. Open it once for writing."
            )
        return number < schema.NEWEST

    # -- reading ------------------------------------------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to read from; errors come out in our words."""
        if self._is_closed:
            raise StoreClosed(f"The store {self.path or 'in memory'} was closed. Open it again.")
        if self.path is None:
            with self._shared, self._translated():
                assert self._writer is not None
                yield self._writer
        else:
            with self._translated():
                yield self._reader()

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Like `reading`, with all statements inside seeing one state of the store."""
        with self.reading() as connection:
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    def _reader(self) -> sqlite3.Connection:
        held: tuple[int, sqlite3.Connection] | None = getattr(self._local, "held", None)
        pid = os.getpid()
        if held is None or held[0] != pid:  # a forked child must not use its parent's connection
            held = (pid, self._connect_reader())
            self._local.held = held
        return held[1]

    # -- writing ------------------------------------------------------------------------------------------

    def write(self, job: Job[T]) -> T:
        """Run `job` inside a write transaction and return its result once that is committed and durable."""
        if self._is_closed:
            raise StoreClosed(f"The store {self.path or 'in memory'} was closed. Open it again.")
        if self._writer is None:
            raise StoreReadOnly(f"{self.path} was opened read-only. Open it without read_only=True to write.")
        ticket = _Ticket(job)
        with self._mutex:
            self._queue.append(ticket)
            has_leader, self._has_leader = self._has_leader, True
        try:
            if has_leader:
                ticket.turn.acquire()
            if not ticket.is_done:  # nobody leads, or the last leader passed the lead to us
                ticket.leads = True
                self._lead()
        except BaseException:  # interrupted: nobody may wait for us any more
            self._abandon(ticket)
            raise
        if ticket.error is not None:
            raise ticket.error
        result: T = ticket.result
        return result

    def _lead(self) -> None:
        """Commit what is queued, our own job among it, and pass the lead on to whoever queued meanwhile."""
        tickets: list[_Ticket] = []
        try:
            if self._last_group > 1:
                self._gather()
            with self._mutex:
                tickets = self._queue[:MAX_GROUP]
                del self._queue[: len(tickets)]
                self._last_group = len(tickets)
            with self._committing, self._shared:
                self._commit(tickets)
        except BaseException as error:
            shown = translated(error, self.path) if isinstance(error, sqlite3.Error) else error
            for ticket in tickets:
                ticket.error = ticket.error or shown
            if not isinstance(error, Exception):
                raise
        finally:
            with self._mutex:
                for ticket in tickets:
                    ticket.is_done, ticket.leads = True, False
                    ticket.turn.release()
                if tickets:
                    self._pass_lead()

    def _pass_lead(self) -> None:
        """Whoever queued first leads now; called with the mutex held."""
        self._has_leader = bool(self._queue)
        if self._queue:
            self._queue[0].leads = True
            self._queue[0].turn.release()

    def _abandon(self, ticket: _Ticket) -> None:
        with self._mutex:
            if ticket in self._queue:
                self._queue.remove(ticket)
            if ticket.leads and not ticket.is_done:
                self._pass_lead()

    def _gather(self) -> None:
        """Let those who wrote a moment ago, and are about to write again, share the flush.

        Yields instead of sleeping: waking a sleeping thread takes longer here than all the work of an append.
        """
        until = time.perf_counter() + GATHER_S
        while len(self._queue) < self._last_group and time.perf_counter() < until:
            time.sleep(0)

    def _commit(self, tickets: list[_Ticket]) -> None:
        """Run the jobs in one transaction; where one of several is refused, again, each in a savepoint of its own."""
        connection = self._own_writer()
        try:
            if not self._run_together(connection, tickets):
                self._run_apart(connection, tickets)
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    @staticmethod
    def _run_together(connection: sqlite3.Connection, tickets: list[_Ticket]) -> bool:
        connection.execute("BEGIN IMMEDIATE")
        for ticket in tickets:
            try:
                ticket.result = ticket.job(connection)
            except sqlite3.Error:
                raise
            except Exception as error:
                connection.execute("ROLLBACK")
                if len(tickets) == 1:
                    ticket.error = error
                return len(tickets) == 1
        connection.execute("COMMIT")
        return True

    @staticmethod
    def _run_apart(connection: sqlite3.Connection, tickets: list[_Ticket]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        for ticket in tickets:
            connection.execute("SAVEPOINT job")
            try:
                ticket.result = ticket.job(connection)
            except sqlite3.Error:
                raise
            except Exception as error:
                ticket.error = error
                connection.execute("ROLLBACK TO job")
            connection.execute("RELEASE job")
        connection.execute("COMMIT")

    def _own_writer(self) -> sqlite3.Connection:
        assert self._writer is not None
        if os.getpid() != self._pid and self.path is not None:  # we are a forked child: the parent's stays the parent's
            self._pid = os.getpid()
            self._writer = self._connect_writer()
        return self._writer

    # -- upkeep -------------------------------------------------------------------------------------------

    def checkpoint(self) -> bool:
        """Copy the write-ahead log into the database and empty it; False while a reader or writer stands in the way."""
        if self.path is None or self._writer is None:
            return True
        with self._committing, self._translated():
            busy, _, _ = self._own_writer().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def close(self) -> None:
        """Close every connection; the last one to leave empties the write-ahead log."""
        with self._committing:
            if self._is_closed:
                return
            self._is_closed = True
            if os.getpid() == self._pid:
                for connection in self._opened:
                    connection.close()
            self._opened.clear()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise translated(error, self.path) from error


def translated(error: sqlite3.Error, path: Path | None) -> Exception:
    """A SQLite error as one of ours, with its remedy; programming errors stay as they are."""
    text, where = str(error), str(path or "the store in memory")
    code = getattr(error, "sqlite_errorcode", None) or 0
    match code & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreBusy(
                f"Another process kept {where} locked for writing for too long. Nothing was written; try again, or let one "
                "process own the store."
            )
        case sqlite3.SQLITE_FULL:
            return StoreFull(
                f"The disk under {where} is full. Nothing of this call was written, and all that was acknowledged is safe. "
                "Free some space and try again."
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return StoreReadOnly(
                f"{where} cannot be opened or written ({text}). Check that the folder exists and that you may write to it and to "
                "the file; read_only=True opens what can only be read."
            )
        case sqlite3.SQLITE_NOTADB:
            return NotAStore(f"{where} is not a Mnemic store ({text}). Nothing was changed in it. Give another path.")
        case sqlite3.SQLITE_CORRUPT:
            return StoreCorrupt(
                f"{where} is damaged ({text}). Copy the file away before anything else, run `mnemic doctor {where}`, and restore "
                "a backup, or save what can be read with `mnemic export`."
            )
        case sqlite3.SQLITE_IOERR:
            return StoreError(
                f"The disk under {where} failed ({text}). Nothing of this call was acknowledged. Check the disk and its space."
            )
        case _:
            return error
