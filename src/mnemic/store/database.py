"""One SQLite file: its connections, to write and to read, and its errors in our words.

Writes go through one connection and share commits (`group_commit.py`). Reads: one read-only connection for each thread,
never inside a transaction for longer than one call. In WAL mode readers and the writer do not wait for one another. A store
in memory has one connection, guarded by one lock.

A process that forks should do so while no other thread uses a store; the child then opens connections of its own.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar

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
from mnemic.store.group_commit import GroupCommit, Job
from mnemic.store.residue import RawFile

T = TypeVar("T")
Durability = Literal["full", "normal"]


class _Reader:
    """A thread's own connection to read from; closed with the store, or when the thread has ended."""

    __slots__ = ("__weakref__", "_pid", "connection", "depth", "using")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.using = threading.RLock()  # held while a call reads: the store is not closed under it
        self.depth = 0  # calls within calls
        self._pid = os.getpid()

    def __del__(self) -> None:
        if self._pid == os.getpid():
            self.connection.close()
        else:
            _INHERITED.append(self.connection)


_INHERITED: list[sqlite3.Connection] = []  # made by the process we were forked from; kept, so that none is closed late


class Database:
    """The connections to one SQLite file, or to a private database in memory when path is None."""

    def __init__(
        self, path: Path | None, clock: Clock, *, read_only: bool, durability: Durability, timeout_s: float
    ) -> None:
        self.path = path
        self.read_only = read_only
        self._durability = durability
        self._timeout_s = timeout_s
        self._is_closed = False
        self._writer: sqlite3.Connection | None = None
        self._raw: RawFile | None = None
        self._reading_mode = "mode=ro"
        self._begin()
        try:
            with self._translated():
                self._open(clock)
            self._raw = None if path is None else RawFile(path)
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._shared = threading.RLock()  # guards the one connection of a store in memory
        self._writes = GroupCommit(self._own_writer, self._shared, lambda error: translated(error, self.path))
        self._local = threading.local()
        self._readers: weakref.WeakSet[_Reader] = weakref.WeakSet()
        self._opening = threading.Lock()  # guards the set of readers

    def _settle_after_fork(self) -> None:
        """In a forked child: leave the parent's connections, and make locks that its other threads held anew.

        SQLite keeps a table of the file locks that a process holds, and the child has a copy of it that is wrong: the locks
        stayed with the parent. Closing what was inherited empties that table, and what we open then locks for itself;
        otherwise a parent that closes would take the WAL away from under us. What a thread of the parent was using at the
        moment of the fork cannot be closed, and is left alone.
        """
        if self._pid == os.getpid():
            return
        for reader in list(self._readers):
            if reader.using.acquire(blocking=False):
                reader.connection.close()
            _INHERITED.append(reader.connection)
        if self._writer is not None and self.path is not None:
            if not self._writes.lock.locked():
                self._writer.close()
            _INHERITED.append(self._writer)
            self._writer = None
        self._begin()

    # -- opening ------------------------------------------------------------------------------------------

    def _open(self, clock: Clock) -> None:
        if self.read_only:
            self._open_to_read()
            return
        self._writer = self._connect(":memory:" if self.path is None else str(self.path), uri=False)
        is_old = self._check_file(self._writer)  # before anything is set: a file that is not ours stays as it is
        self._prepare_writer(self._writer)
        if is_old:
            schema.migrate(self._writer, clock.now())

    def _open_to_read(self) -> None:
        assert self.path is not None
        try:
            self._check_file(self._reader().connection)
        except sqlite3.OperationalError as error:
            log = self.path.with_name(self.path.name + "-wal")
            is_denied = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
            if not is_denied or not self.path.is_file() or (log.exists() and log.stat().st_size):
                raise
            # SQLite needs a -shm file to read what others may be writing, and cannot make one in a folder that may only be
            # read. Where nothing is in the log, nobody is writing.
            self._reading_mode = "mode=ro&immutable=1"
            self._begin()
            self._check_file(self._reader().connection)

    def _prepare_writer(self, connection: sqlite3.Connection) -> None:
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
        connection = self._connect(f"{self.path.absolute().as_uri()}?{self._reading_mode}", uri=True)
        connection.execute("PRAGMA query_only = ON")
        return connection

    def _connect(self, target: str, *, uri: bool) -> sqlite3.Connection:
        return sqlite3.connect(
            target,
            uri=uri,
            timeout=self._timeout_s,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )

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
        self._settle_after_fork()
        self._check_open()
        if self.path is None:
            with self._shared, self._translated():
                self._check_open()
                assert self._writer is not None
                yield self._writer
            return
        with self._translated():
            reader = self._reader()
            with reader.using:
                self._check_open()
                reader.depth += 1
                try:
                    if reader.depth == 1 and reader.connection.in_transaction:
                        reader.connection.execute(
                            "ROLLBACK"
                        )  # an interrupted snapshot: it would show one state for ever
                    yield reader.connection
                finally:
                    reader.depth -= 1

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

    def _reader(self) -> _Reader:
        reader: _Reader | None = getattr(self._local, "reader", None)
        if reader is None:
            self._local.reader = reader = _Reader(self._connect_reader())
            with self._opening:
                self._readers.add(reader)
        return reader

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreClosed(f"The store {self.path or 'in memory'} was closed. Open it again.")

    # -- writing ------------------------------------------------------------------------------------------

    def write(self, job: Job[T]) -> T:
        """Run `job` inside a write transaction and return its result once that is committed and durable."""
        self._settle_after_fork()
        self._check_open()
        if self.read_only:
            raise StoreReadOnly(f"{self.path} was opened read-only. Open it without read_only=True to write.")
        return self._writes.write(job)

    def _own_writer(self) -> sqlite3.Connection:
        self._check_open()
        if self._writer is None:  # we are a forked child
            self._writer = self._connect(str(self.path), uri=False)
            self._prepare_writer(self._writer)
        return self._writer

    # -- upkeep -------------------------------------------------------------------------------------------

    def checkpoint(self) -> bool:
        """Copy the write-ahead log into the database and empty it; False while a reader or writer stands in the way."""
        self._settle_after_fork()
        if self.path is None or self.read_only:
            return True
        with self._writes.lock, self._translated():
            return self._checkpoint("TRUNCATE")

    def scrub(self) -> bool:
        """Empty the write-ahead log and overwrite what moved rows left behind.

        False while somebody stands in the way, and where the disk has no room for what the log still holds.
        """
        self._settle_after_fork()
        if self.path is None or self.read_only:
            return True
        assert self._raw is not None
        with self._writes.lock, self._translated():
            if not self._checkpoint("TRUNCATE"):
                return False
            pages = self._raw.dirty_pages()
            if not pages:
                return True
            # a connection of its own: its commit tells all others, our writer among them, to read their pages again
            connection = self._connect(str(self.path), uri=False)
            try:
                connection.execute("PRAGMA busy_timeout = 0")
                if not _begins(connection) or not self._checkpoint("PASSIVE"):  # what was written since it was emptied
                    return False
                self._raw.overwrite(pages)
                connection.execute(f"PRAGMA user_version = {schema.version(connection)}")
                connection.execute("COMMIT")
            finally:
                connection.close()
            return self._checkpoint("TRUNCATE")

    def _checkpoint(self, mode: Literal["PASSIVE", "TRUNCATE"]) -> bool:
        writer = self._own_writer()
        # SQLite would hold all writers up for the whole timeout while it waits for a reader; the caller can try again
        writer.execute("PRAGMA busy_timeout = 0")
        try:
            busy, in_log, copied = writer.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_FULL:
                raise
            return False  # what the log holds stays there, safe, until there is room
        finally:
            writer.execute(f"PRAGMA busy_timeout = {round(self._timeout_s * 1000)}")
        return not busy and in_log == copied

    def raw_blocks(self) -> Iterator[bytes]:
        """All bytes of the file. Opening it beside SQLite and closing it again would drop SQLite's locks; this does not."""
        return iter(()) if self._raw is None else self._raw.blocks()

    def close(self) -> None:
        """Close every connection, once calls that are under way have ended; the last one to leave empties the WAL."""
        self._settle_after_fork()
        with self._writes.lock, self._shared:
            if self._is_closed:
                return
            self._is_closed = True
            with self._opening:
                readers = list(self._readers)
            for reader in readers:
                with reader.using:
                    reader.connection.close()
            if self._writer is not None:
                self._writer.close()
            if self._raw is not None:
                self._raw.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise translated(error, self.path) from error


def _begins(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if (error.sqlite_errorcode & 0xFF) == sqlite3.SQLITE_BUSY:
            return False
        raise
    return True


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
