"""What systems made of the log, in SQLite: records, links, cursors, attachments, failures.

A system's changes and its cursor move in one transaction, and only from the position where the system stood when it
read: of two processes that observe the same episodes, one writes and the other finds that nothing is left to do.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mnemic.clock import from_microseconds, to_microseconds
from mnemic.errors import ParameterError
from mnemic.model import Link, Record, upwards
from mnemic.store.contract import Changes, Failure, Standing
from mnemic.store.database import Database
from mnemic.store.rows import (
    LINK_COLUMNS,
    RECORD_COLUMNS,
    link_from,
    link_row,
    record_from,
    record_row,
    to_json,
)

_THIS_SCOPE = "(SELECT scope_id FROM scopes WHERE path = ?)"


@dataclass(frozen=True, slots=True)
class Dropped:
    """What went because of what it came from, the records and links apart."""

    answers: int = 0
    rebuilt_systems: tuple[str, ...] = ()


class SqliteRecords:
    """The RecordStore of a SQLite store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def cursor(self, system: str, scope: str) -> int:
        """The seq up to which the system has observed the scope's log; 0 at the start."""
        with self._database.reading() as connection:
            row = connection.execute(
                f"SELECT seq FROM cursors WHERE system = ? AND scope_id = {_THIS_SCOPE}",
                (system, scope),
            ).fetchone()
        return int(row[0]) if row else 0

    def apply(
        self,
        system: str,
        scope: str,
        changes: Changes,
        *,
        cursor_from: int,
        cursor_to: int,
        based_on: int | None = None,
        last_removal: int | None = None,
    ) -> int:
        """Write changes and move the cursor in one transaction; see the contract."""

        def job(connection: sqlite3.Connection) -> int:
            row = connection.execute("SELECT scope_id FROM scopes WHERE path = ?", (scope,)).fetchone()
            if row is None:
                return 0
            scope_id = row[0]
            stands = connection.execute(
                "SELECT seq, version, state FROM cursors WHERE system = ? AND scope_id = ?", (system, scope_id)
            ).fetchone() or (0, _unmade_version(connection), None)
            removal = connection.execute(
                "SELECT coalesce(max(removal_id), 0) FROM removals WHERE scope_id = ?", (scope_id,)
            ).fetchone()[0]
            expected = (cursor_from, based_on, last_removal)
            found = (stands[0], stands[1], removal)
            if any(wanted not in (None, there) for wanted, there in zip(expected, found, strict=True)):
                return 0
            version = write_changes(connection, scope_id, system, changes)
            state = stands[2] if changes.state is None else to_json(dict(changes.state))
            connection.execute(
                "INSERT OR REPLACE INTO cursors (system, scope_id, seq, version, state) VALUES (?, ?, ?, ?, ?)",
                (system, scope_id, cursor_to, version, state),
            )
            return version

        return self._database.write(job)

    def version(self, system: str, scope: str) -> int:
        """Which version of the system's records the scope holds."""
        with self._database.reading() as connection:
            row = connection.execute(
                f"SELECT version FROM cursors WHERE system = ? AND scope_id = {_THIS_SCOPE}", (system, scope)
            ).fetchone()
            return int(row[0]) if row else _unmade_version(connection)

    def standing(self, system: str, scope: str) -> Standing:
        """Everything that the system made in the scope, as one consistent snapshot."""
        own = f"scope_id = {_THIS_SCOPE} AND system = ?"
        values = (scope, system)
        with self._database.snapshot() as connection:
            rows, vectors = [], {}
            sources = _all_sources(connection, "record", own, values)
            for row in connection.execute(
                f"SELECT {RECORD_COLUMNS}, vector FROM records WHERE {own} ORDER BY recorded_at, id", values
            ):
                rows.append(record_from(row[:-1], system, scope, sources.get(row[0], ())))
                if row[-1] is not None:
                    vectors[row[1]] = bytes(row[-1])
            sources = _all_sources(connection, "link", own, values)
            links = [
                link_from(row, system, scope, sources.get(row[0], ()))
                for row in connection.execute(
                    f"SELECT {LINK_COLUMNS} FROM links WHERE {own} ORDER BY recorded_at, id", values
                )
            ]
            stands = connection.execute(f"SELECT version, state FROM cursors WHERE {own}", values).fetchone() or (
                _unmade_version(connection),
                None,
            )
        return Standing(rows, vectors, links, json.loads(stands[1]) if stands[1] else {}, int(stands[0]))

    def records(
        self,
        system: str,
        scope: str,
        ids: Sequence[str] | None = None,
        *,
        kind: str | None = None,
        current_only: bool = False,
        after: str | None = None,
        limit: int | None = None,
    ) -> list[Record]:
        """The system's records in the scope; see the contract."""
        own = f"scope_id = {_THIS_SCOPE} AND system = ?"
        where, values = own, [scope, system]
        if kind is not None:
            where, values = f"{where} AND kind = ?", [*values, kind]
        if current_only:
            where += " AND retired_at IS NULL"
        if after is not None:
            where = f"{where} AND (recorded_at, id) > (SELECT recorded_at, id FROM records WHERE {own} AND id = ?)"
            values += [scope, system, after]
        if ids is not None:
            where, values = f"{where} AND id IN (SELECT value FROM json_each(?))", [*values, json.dumps(list(ids))]
        with self._database.snapshot() as connection:
            rows = connection.execute(
                f"SELECT {RECORD_COLUMNS} FROM records WHERE {where} ORDER BY recorded_at, id LIMIT ?",
                (*values, -1 if limit is None else limit),
            ).fetchall()
            return [record_from(row, system, scope, _sources(connection, "record", row[0])) for row in rows]

    def existing(self, scope: str, ids: Sequence[str]) -> set[str]:
        """Which of the ids are of records of the scope, whichever system made them."""
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT DISTINCT id FROM records WHERE scope_id = {_THIS_SCOPE} "
                "AND id IN (SELECT value FROM json_each(?))",
                (scope, json.dumps(list(ids))),
            ).fetchall()
        return {row[0] for row in rows}

    def links(self, system: str, scope: str) -> list[Link]:
        """The system's links in the scope, ordered by recorded_at, then id."""
        with self._database.snapshot() as connection:
            rows = connection.execute(
                f"SELECT {LINK_COLUMNS} FROM links WHERE scope_id = {_THIS_SCOPE} AND system = ? ORDER BY recorded_at, id",
                (scope, system),
            ).fetchall()
            return [link_from(row, system, scope, _sources(connection, "link", row[0])) for row in rows]

    def systems(self) -> list[str]:
        """Systems that keep records or links here, attached or not."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT system FROM cursors UNION SELECT system FROM records ORDER BY system")
            return [row[0] for row in rows.fetchall()]

    def reset(self, system: str, scope: str | None = None) -> None:
        """Drop the system's records and links and set its cursor to 0, in one scope or in all."""

        self._database.write(lambda connection: _reset(connection, system, scope))

    def attach(self, system: str, parameters: Mapping[str, Any], at: datetime) -> None:
        """Remember that the system is attached, with its parameters."""
        values = (system, json.dumps(dict(parameters), sort_keys=True), to_microseconds(at))
        self._database.write(
            lambda connection: (
                connection.execute("INSERT OR REPLACE INTO attachments VALUES (?, ?, ?)", values) and None
            )
        )

    def detach(self, system: str) -> None:
        """Forget the attachment and everything the system made."""

        def job(connection: sqlite3.Connection) -> None:
            _reset(connection, system, None)
            for table in ("attachments", "cursors", "failures"):
                connection.execute(f"DELETE FROM {table} WHERE system = ?", (system,))

        self._database.write(job)

    def attached(self) -> dict[str, dict[str, Any]]:
        """Attached systems and their parameters."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT system, parameters FROM attachments ORDER BY attached_at, system"
            ).fetchall()
        return {system: json.loads(parameters) for system, parameters in rows}

    def note_failure(self, failure: Failure, last_removal: int | None = None) -> None:
        """Keep a failure; the same system, scope and step counts one more attempt. See the contract."""
        times = (to_microseconds(failure.first_at), to_microseconds(failure.last_at))

        def job(connection: sqlite3.Connection) -> None:
            if _is_of_what_is_gone(connection, failure, last_removal):
                return
            connection.execute(
                "INSERT INTO failures SELECT ?2, scope_id, ?3, ?4, ?5, ?6, ?7, ?8 FROM scopes WHERE path = ?1 "
                "ON CONFLICT DO UPDATE SET attempts = attempts + 1, last_at = ?6, error = ?7, detail = ?8",
                (
                    failure.scope,
                    failure.system,
                    failure.step,
                    failure.attempts,
                    *times,
                    failure.error,
                    to_json(failure.detail),
                ),
            )

        self._database.write(job)

    def clear_failure(self, system: str, scope: str, step: str) -> None:
        """The step succeeded after all."""
        self._database.write(
            lambda connection: (
                connection.execute(
                    f"DELETE FROM failures WHERE system = ? AND scope_id = {_THIS_SCOPE} AND step = ?",
                    (system, scope, step),
                )
                and None
            )
        )

    def failures(self) -> list[Failure]:
        """All unresolved failures, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT s.path, f.system, f.step, f.error, f.attempts, f.first_at, f.last_at, f.detail "
                "FROM failures f JOIN scopes s USING (scope_id) ORDER BY f.first_at, s.path, f.system, f.step"
            ).fetchall()
        return [
            Failure(
                scope,
                system,
                step,
                error,
                attempts,
                from_microseconds(first),
                from_microseconds(last),
                json.loads(detail) if detail else {},
            )
            for scope, system, step, error, attempts, first, last, detail in rows
        ]


def _is_of_what_is_gone(connection: sqlite3.Connection, failure: Failure, last_removal: int | None) -> bool:
    """Whether something was forgotten since the work began that failed, or what its model was shown."""
    removal = connection.execute(
        f"SELECT coalesce(max(removal_id), 0) FROM removals WHERE scope_id = {_THIS_SCOPE}", (failure.scope,)
    ).fetchone()[0]
    if last_removal not in (None, removal):
        return True
    sources = failure.detail.get("sources", ())
    return any(
        connection.execute(
            f"SELECT 1 FROM episodes WHERE scope_id = {_THIS_SCOPE} AND id = ?", (failure.scope, id)
        ).fetchone()
        is None
        for id in sources
    )


def write_changes(connection: sqlite3.Connection, scope_id: int, system: str, changes: Changes) -> int:
    """Write a system's changes inside a transaction that is already open; the version that they make."""
    _drop(connection, "record", scope_id, system, changes.drop_records)
    _drop(connection, "link", scope_id, system, changes.drop_links)
    for record in changes.put_records:
        _put_record(connection, scope_id, system, record, changes.vectors.get(record.id))
    for link in changes.put_links:
        _put_link(connection, scope_id, system, link)
    version = _next_version(connection)
    connection.execute("UPDATE cursors SET version = ? WHERE system = ? AND scope_id = ?", (version, system, scope_id))
    return version


def drop_by_sources(
    connection: sqlite3.Connection, scope_id: int, seqs: Sequence[int], restart: Collection[str] = ()
) -> Dropped:
    """Drop whatever came from these episodes; a system that had made any of it starts the scope again, and so do `restart`.

    A record with other sources left must not stay as it was, and cannot be patched by us: only its system can make it,
    by observing what is left.
    """
    systems = {system for kind in ("record", "link") for system, _ in _made_from(connection, kind, seqs)}
    if seqs:
        systems.update(restart)
    rebuilt = [system for system in sorted(systems) if _restart(connection, scope_id, system)]
    answers = {
        row[0]
        for seq in seqs
        for row in connection.execute("SELECT answer_no FROM answer_sources WHERE seq = ?", (seq,))
    }
    if seqs:  # those to a question: what it said, and what the answer says, may be what is forgotten
        (path,) = connection.execute("SELECT path FROM scopes WHERE scope_id = ?", (scope_id,)).fetchone()
        for above in upwards(path):  # a question to a scope may have been shown what stands below it
            answers |= {
                row[0]
                for row in connection.execute(
                    f"SELECT answer_no FROM answers a WHERE scope_id = {_THIS_SCOPE} AND NOT EXISTS "
                    "(SELECT 1 FROM answer_sources x WHERE x.answer_no = a.answer_no)",
                    (above,),
                )
            }
    for table in ("answers", "answer_sources"):
        connection.executemany(f"DELETE FROM {table} WHERE answer_no = ?", [(number,) for number in sorted(answers)])
    return Dropped(len(answers), tuple(rebuilt))


def count_made_from(connection: sqlite3.Connection, seqs: Sequence[int]) -> tuple[int, int]:
    """How many records and links came from these episodes, alone or with others."""
    return len(_made_from(connection, "record", seqs)), len(_made_from(connection, "link", seqs))


def _made_from(connection: sqlite3.Connection, kind: str, seqs: Sequence[int]) -> set[tuple[str, int]]:
    """(system, number) of the records or links that came from these episodes, alone or with others."""
    return {
        row
        for seq in seqs
        for row in connection.execute(
            f"SELECT t.system, t.{kind}_no FROM {kind}_sources x JOIN {kind}s t USING ({kind}_no) WHERE x.seq = ?",
            (seq,),
        )
    }


def restart_all(connection: sqlite3.Connection) -> None:
    """Drop what all systems made, everywhere: their vectors cannot be compared with those to come."""
    _count_restart(connection)
    for table in ("record_sources", "records", "link_sources", "links", "cursors"):
        connection.execute(f"DELETE FROM {table}")


def _reset(connection: sqlite3.Connection, system: str, scope: str | None) -> None:
    where, values = ("1", ()) if scope is None else ("path = ?", (scope,))
    for (scope_id,) in connection.execute(f"SELECT scope_id FROM scopes WHERE {where}", values).fetchall():
        _restart(connection, scope_id, system)


def _restart(connection: sqlite3.Connection, scope_id: int, system: str) -> bool:
    """Drop what the system made in the scope, and whether there was anything."""
    _count_restart(connection)
    dropped = 0
    for kind in ("record", "link"):
        connection.execute(
            f"DELETE FROM {kind}_sources WHERE {kind}_no IN (SELECT {kind}_no FROM {kind}s WHERE scope_id = ? AND system = ?)",
            (scope_id, system),
        )
        cursor = connection.execute(
            f"DELETE FROM {kind}s WHERE scope_id = ? AND system = ?",
            (scope_id, system),
        )
        dropped += cursor.rowcount
    connection.execute("DELETE FROM cursors WHERE scope_id = ? AND system = ?", (scope_id, system))
    return dropped > 0


def _drop(connection: sqlite3.Connection, kind: str, scope_id: int, system: str, ids: Sequence[str]) -> None:
    for id in ids:
        row = connection.execute(
            f"DELETE FROM {kind}s WHERE scope_id = ? AND system = ? AND id = ? RETURNING {kind}_no",
            (scope_id, system, id),
        ).fetchone()
        if row:
            connection.execute(f"DELETE FROM {kind}_sources WHERE {kind}_no = ?", row)


def _put_record(
    connection: sqlite3.Connection, scope_id: int, system: str, record: Record, vector: bytes | None
) -> None:
    if record.system != system:
        raise ParameterError(
            f"The record {record.id!r} names the system {record.system!r}; it is written by {system!r}."
        )
    _drop(connection, "record", scope_id, system, [record.id])
    number = connection.execute(
        "INSERT INTO records (scope_id, system, id, kind, recorded_at, valid_from, valid_to, retired_at, strength, text, data, "
        "vector) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING record_no",
        (*record_row(record, scope_id), vector),
    ).fetchone()[0]
    _put_sources(connection, "record", number, scope_id, record.sources)


def _put_link(connection: sqlite3.Connection, scope_id: int, system: str, link: Link) -> None:
    if link.system != system:
        raise ParameterError(f"The link {link.id!r} names the system {link.system!r}; it is written by {system!r}.")
    _drop(connection, "link", scope_id, system, [link.id])
    number = connection.execute(
        "INSERT INTO links (scope_id, system, id, kind, from_id, to_id, weight, recorded_at, data) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING link_no",
        link_row(link, scope_id),
    ).fetchone()[0]
    _put_sources(connection, "link", number, scope_id, link.sources)


def _put_sources(connection: sqlite3.Connection, kind: str, number: int, scope_id: int, sources: Sequence[str]) -> None:
    if not sources:
        raise ParameterError(f"A {kind} must name the episodes it came from; one with no sources was given.")
    for id in dict.fromkeys(sources):
        row = connection.execute("SELECT seq FROM episodes WHERE scope_id = ? AND id = ?", (scope_id, id)).fetchone()
        if row is None:
            raise ParameterError(f"A {kind} names the source {id!r}, which is no episode of its scope.")
        connection.execute(f"INSERT INTO {kind}_sources VALUES (?, ?)", (number, row[0]))


def _next_version(connection: sqlite3.Connection) -> int:
    return _counted(connection, "made_version")


def _count_restart(connection: sqlite3.Connection) -> None:
    """What was begun before a restart is not written after it, also where it had begun with nothing."""
    _counted(connection, "made_restarts")


def _unmade_version(connection: sqlite3.Connection) -> int:
    """The version of what a system made where it has made nothing: 0, and another one after every restart."""
    row = connection.execute("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'made_restarts'").fetchone()
    return -int(row[0]) if row else 0


def _counted(connection: sqlite3.Connection, key: str) -> int:
    number: int = connection.execute(
        "INSERT INTO meta VALUES (?, '1') ON CONFLICT DO UPDATE SET value = CAST(value AS INTEGER) + 1 "
        "RETURNING CAST(value AS INTEGER)",
        (key,),
    ).fetchone()[0]
    return number


def _all_sources(
    connection: sqlite3.Connection, kind: str, own: str, values: tuple[str, str]
) -> dict[int, tuple[str, ...]]:
    """Ids of the episodes behind every record or link of a system in a scope, by its number."""
    found: dict[int, list[str]] = {}
    for number, id in connection.execute(
        f"SELECT x.{kind}_no, e.id FROM {kind}_sources x JOIN episodes e USING (seq) "
        f"WHERE x.{kind}_no IN (SELECT {kind}_no FROM {kind}s WHERE {own}) ORDER BY x.{kind}_no, x.seq",
        values,
    ):
        found.setdefault(number, []).append(id)
    return {number: tuple(ids) for number, ids in found.items()}


def _sources(connection: sqlite3.Connection, kind: str, number: int) -> tuple[str, ...]:
    rows = connection.execute(
        f"SELECT e.id FROM {kind}_sources x JOIN episodes e USING (seq) WHERE x.{kind}_no = ? ORDER BY x.seq",
        (number,),
    )
    return tuple(row[0] for row in rows)
