"""What the server itself must remember: keys, tenants and jobs, in one SQLite file beside the memories.

The file is `server.db` in the data folder, readable by its owner alone. `mnemic keys` writes it while a server reads it;
every read sees what was last committed, by whichever process. Writes are durable when they return (WAL, synchronous FULL),
and many threads share their commits. Nothing that was remembered is kept here.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from mnemic.clock import Clock, SystemClock, to_microseconds
from mnemic.errors import NotAStore, StoreClosed, StoreError, StoreReadOnly, StoreTooNew
from mnemic.store.database import translated
from mnemic.store.group_commit import GroupCommit

T = TypeVar("T")
FILE = "server.db"
APPLICATION_ID = 0x4D4E5356  # "MNSV": a file of this kind is no memory, and a memory is no file of this kind
BUSY_TIMEOUT_S = 30.0

_KEYS_AND_TENANTS = """
CREATE TABLE migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL);

CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    digest BLOB NOT NULL,
    scopes TEXT NOT NULL,
    verbs TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    last_used_at INTEGER
) WITHOUT ROWID;

CREATE TABLE tenants (name TEXT PRIMARY KEY, file TEXT NOT NULL UNIQUE, made_at INTEGER NOT NULL) WITHOUT ROWID
"""

_JOBS = """
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    scope TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'failed', 'cancelled')),
    asked_by TEXT,
    progress REAL NOT NULL DEFAULT 0,
    note TEXT NOT NULL DEFAULT '',
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    owner TEXT,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    next_try_at INTEGER
) WITHOUT ROWID;
CREATE UNIQUE INDEX jobs_one_waiting ON jobs (scope, kind) WHERE state = 'waiting';
CREATE INDEX jobs_by_state ON jobs (state, next_try_at)
"""

_RESULTS = "ALTER TABLE jobs ADD COLUMN result TEXT"

MIGRATIONS: tuple[tuple[str, str], ...] = (
    ("keys and tenants", _KEYS_AND_TENANTS),
    ("jobs", _JOBS),
    ("results of jobs", _RESULTS),
)
NEWEST = len(MIGRATIONS)


class Control:
    """The open `server.db`. Many threads may use it, and other processes theirs; made where it is missing.

    Raises NotAStore, StoreTooNew, StoreReadOnly, StoreBusy; each says what to do.
    """

    def __init__(self, path: Path, clock: Clock | None = None, *, timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self.path = Path(path)
        self.clock: Clock = clock or SystemClock()
        self._timeout_s = timeout_s
        self._reading = threading.RLock()
        self._is_closed = False
        _make_private(self.path)
        with self._translated():
            self._writer = self._connect()
            try:
                _check_file(self._writer, self.path)
                self._prepare(self._writer)
                _migrate(self._writer, to_microseconds(self.clock.now()))
                self._reader = self._connect()
            except BaseException:
                self._writer.close()
                raise
            self._reader.execute("PRAGMA query_only = ON")
        self._writes = GroupCommit(self._open_writer, threading.RLock(), lambda error: translated(error, self.path))

    # -- tenants ------------------------------------------------------------------------------------------

    def tenant_file(self, name: str) -> str | None:
        """The file of a tenant, relative to the data folder; None for one that is not known."""
        found = self.rows("SELECT file FROM tenants WHERE name = ?", (name,))
        return found[0]["file"] if found else None

    def claim_tenant(self, name: str, file: str) -> str:
        """Give a tenant its file, durably; the file that it has, which is another's choice where somebody was faster.

        Raises StoreError when the file belongs to another tenant.
        """
        at = to_microseconds(self.clock.now())

        def claim(connection: sqlite3.Connection) -> str:
            connection.execute("INSERT INTO tenants VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (name, file, at))
            found = connection.execute("SELECT file FROM tenants WHERE name = ?", (name,)).fetchone()
            if found is None:
                raise StoreError(f"The file {file!r} belongs to another tenant than {name!r}. Choose another name.")
            return str(found["file"])

        return self.write(claim)

    def tenants(self, after: str | None = None, limit: int = 100, prefix: str = "") -> list[str]:
        """Names of tenants in order, those that begin with `prefix`, behind `after`; "" is that of the root."""
        sql = "SELECT name FROM tenants WHERE name >= ? AND name < ? AND (? IS NULL OR name > ?) ORDER BY name LIMIT ?"
        return [row["name"] for row in self.rows(sql, (prefix, prefix + "\U0010ffff", after, after, limit))]

    # -- for keys and jobs --------------------------------------------------------------------------------

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """What a SELECT gives, as of the last commit of any process."""
        with self._reading, self._translated():
            self._check_open()
            return self._reader.execute(sql, values).fetchall()

    def write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run `job` inside a write transaction; its result once that is committed and durable."""
        self._check_open()
        return self._writes.write(job)

    def backup(self, path: Path) -> None:
        """Write a consistent copy to a new file while this one stays in use."""
        with self._reading, self._translated():
            self._check_open()
            copy = sqlite3.connect(path)
            try:
                self._reader.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, with no log beside it
            finally:
                copy.close()

    def close(self) -> None:
        """Close the file. Calling it again does nothing."""
        with self._writes.lock, self._reading:
            if not self._is_closed:
                self._is_closed = True
                self._reader.close()
                self._writer.close()

    def __enter__(self) -> Control:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- inside -------------------------------------------------------------------------------------------

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=self._timeout_s, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        connection.row_factory = sqlite3.Row
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        gives_up_at = time.monotonic() + self._timeout_s
        while True:  # of several processes that make a file at once, SQLite refuses this to some without waiting
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                if (error.sqlite_errorcode & 0xFF) != sqlite3.SQLITE_BUSY or time.monotonic() > gives_up_at:
                    raise
                time.sleep(0.01)
        connection.execute("PRAGMA synchronous = FULL")  # a revoked key stays revoked, also after a power cut
        connection.execute("PRAGMA secure_delete = ON")

    def _open_writer(self) -> sqlite3.Connection:
        self._check_open()
        return self._writer

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreClosed(f"{self.path} was closed. Open it again.")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise translated(error, self.path) from error


def _make_private(path: Path) -> None:
    """Make the file, for its owner alone, where it is missing; SQLite gives its log the same rights."""
    try:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreReadOnly(
            f"{path} cannot be made ({error.strerror}). Check that the folder exists and that you may write to it."
        ) from error


def _check_file(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN")  # one state for all: another process may be making the file at this moment
    try:
        number, application = _pragma(connection, "user_version"), _pragma(connection, "application_id")
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    if application != APPLICATION_ID and (application or number or tables):
        raise NotAStore(
            f"{path} is a SQLite database, but not a server's. Nothing was changed in it. Give another folder."
        )
    if number > NEWEST:
        raise StoreTooNew(
            f"{path} was written by a newer Mnemic (version {number}; this one knows {NEWEST}). Nothing was changed in it. "
            "Upgrade with `pip install --upgrade mnemic`."
        )


def _migrate(connection: sqlite3.Connection, at: int) -> None:
    """Bring the file to the newest version, one transaction for each missing migration; safe when two processes do."""
    for number, (name, statements) in enumerate(MIGRATIONS, start=1):
        if _pragma(connection, "user_version") >= number:
            continue
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _pragma(connection, "user_version") < number:
                for statement in filter(str.strip, statements.split(";\n")):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {number}")
                connection.execute("INSERT INTO migrations VALUES (?, ?, ?)", (number, name, at))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
