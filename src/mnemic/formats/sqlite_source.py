"""The rows of one table of somebody else's SQLite file, which is opened so that nothing can be written beside it.

`immutable=1` takes no lock and makes no -wal or -shm; therefore a file with writes that are still in a -wal or -journal
is refused, with the remedy, rather than read as it was before them. Only plain columns of an ordinary table are asked
for: no view, trigger, virtual table or computed column of a hostile file ever runs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemic.errors import FormatError
from mnemic.formats.limits import LIMITS, Limits
from mnemic.formats.message import Problem
from mnemic.formats.source import printable

MAGIC = "SQLite format 3\0"
_ROW_ID_NAMES = {"rowid", "_rowid_", "oid"}
_DAMAGE = (sqlite3.Error, UnicodeDecodeError)  # the latter for a message that quotes damaged text


@dataclass(frozen=True, slots=True)
class Row:
    """One row as a dictionary of its columns."""

    location: str
    value: dict[str, Any]


def is_sqlite(path: Path) -> bool:
    """Whether it begins as SQLite files do."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC.encode()


def rows(path: Path, table: str, needed: Sequence[str], limits: Limits = LIMITS) -> Iterator[Row | Problem]:
    """The rows of a table in the order they were written; a Problem for each that is damaged or too long.

    `table` is a name from our own code, never from the file. Raises FormatError where it is not there or lacks a column.
    """
    _refuse_unfinished(path)
    before = _version(path)
    name = f"{printable(path.name)}.{table}"
    with closing(_connect(path, limits)) as connection:
        try:
            columns = _columns(connection, path, table, needed)
            names = ", ".join(f'"{one}"' for one in columns)
            query = f'SELECT {names} FROM "{table}" WHERE _rowid_ = ?'  # noqa: S608 (names without quotes in them)
            for number, id in enumerate(_row_ids(connection, table)):
                yield _row(connection, query, id, columns, f"{name}[{number}]")
        except _DAMAGE as error:
            yield Problem(name, f"The database cannot be read from here on: {error}. Check it with another tool.")
    if _version(path) != before:
        yield Problem(name, "It was written to meanwhile. Import it again when the program that uses it has stopped.")


def _row(connection: sqlite3.Connection, query: str, id: int, columns: Sequence[str], location: str) -> Row | Problem:
    """One row. Row by row, because a cursor over all loses the row before a damaged one and those behind it."""
    try:
        found = connection.execute(query, (id,)).fetchone()
    except _DAMAGE as error:
        return Problem(location, f"The row cannot be read: {error}.")
    if found is None:
        return Problem(location, "The row cannot be found again; the database is damaged.")
    return Row(location, dict(zip(columns, map(_plain, found), strict=True)))


def _row_ids(connection: sqlite3.Connection, table: str) -> Iterator[int]:
    """The ids of all rows, ascending. Raises sqlite3.DatabaseError where they are not, as only damage or malice makes them."""
    last: int | None = None
    for (id,) in connection.execute(f'SELECT _rowid_ FROM "{table}" ORDER BY _rowid_'):  # noqa: S608
        if not isinstance(id, int) or (last is not None and id <= last):
            raise sqlite3.DatabaseError("its rows are out of order")
        yield id
        last = id


def count(path: Path, table: str, limits: Limits = LIMITS) -> int:
    """How many rows a table has; 0 where there is none of that name."""
    with closing(_connect(path, limits)) as connection:
        try:
            if not _is_plain_table(connection, table):
                return 0
            return int(connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0])  # noqa: S608
        except _DAMAGE:
            return 0  # `rows` reports the damage


def _connect(path: Path, limits: Limits) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro&immutable=1",
        uri=True,
        isolation_level=None,
        check_same_thread=False,  # a generator may be drawn from another thread than the one that began it
    )
    connection.text_factory = _text
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limits.entry_bytes)
    for pragma in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _columns(connection: sqlite3.Connection, path: Path, table: str, needed: Sequence[str]) -> list[str]:
    if not _is_plain_table(connection, table):
        raise FormatError(f"{path.name!r} has no table {table!r}. Is it the right file?")
    columns = [str(row[1]) for row in connection.execute(f'PRAGMA table_info("{table}")')]  # without computed columns
    missing = [one for one in needed if one not in columns]
    if missing or any('"' in one or one.lower() in _ROW_ID_NAMES for one in columns):
        raise FormatError(
            f"The table {table!r} of {path.name!r} has no column {', '.join(missing) or 'of a plain name'}."
        )
    return columns


def _is_plain_table(connection: sqlite3.Connection, table: str) -> bool:
    found = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)).fetchone()
    return found is not None and not str(found[0]).lstrip().upper().startswith("CREATE VIRTUAL")


def _refuse_unfinished(path: Path) -> None:
    for suffix in ("-wal", "-journal"):
        beside = path.with_name(path.name + suffix)
        if beside.exists() and beside.stat().st_size > 0:
            raise FormatError(
                f"{path.name!r} has writes that are still in {beside.name!r}. Close the program that uses it, or run "
                f"sqlite3 {path.name} 'PRAGMA wal_checkpoint(TRUNCATE)', and import it again."
            )


def _version(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")  # half characters are reported with the entry they stand in


def _plain(value: Any) -> Any:
    return _text(value) if isinstance(value, bytes) else value
