"""The log in one SQLite file.

WAL, synchronous FULL, one writer at a time with group commit (`database.py`); the tables are in `schema.py`. Positions
(`seq`) are given inside the write transaction, one above both the newest episode and the newest removal, so that a
position is never used twice, also after the newest episode was forgotten.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mnemic.clock import Clock, SystemClock, from_microseconds, to_microseconds
from mnemic.errors import ParameterError
from mnemic.model import Episode, Session
from mnemic.store.contract import Appended, Change, Changes, Entry, IndexRows, Removal, VectorsBy
from mnemic.store.database import Database
from mnemic.store.rows import EPISODE_COLUMNS, IN_EPISODES, chunks, episode_from, marks
from mnemic.store.sqlite_answers import SqliteAnswers
from mnemic.store.sqlite_append import append, append_superseding, check_vectors
from mnemic.store.sqlite_records import SqliteRecords, count_made_from, drop_by_sources, restart_all, write_changes


class SqliteStore:
    """A store in one file, or in memory when path is None.

    read_only: never writes, also not what a missing file or an old schema would need.
    durability: "full" survives a power cut; "normal" may lose the last commits then, but not in a crash of the process.
    timeout_s: how long a write waits for another process's write before StoreBusy.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        clock: Clock | None = None,
        read_only: bool = False,
        durability: Literal["full", "normal"] = "full",
        timeout_s: float = 30.0,
    ) -> None:
        if durability not in ("full", "normal"):
            raise ParameterError(f"durability={durability!r} is not known; it is 'full' or 'normal'.")
        self.path = path = (
            None if path is None else path.absolute()
        )  # stays that file when the working directory changes
        self._database = Database(
            path, clock or SystemClock(), read_only=read_only, durability=durability, timeout_s=timeout_s
        )
        self._records = SqliteRecords(self._database)
        self._answers = SqliteAnswers(self._database)

    @property
    def records(self) -> SqliteRecords:
        """What systems made of the log."""
        return self._records

    @property
    def answers(self) -> SqliteAnswers:
        """What language models answered."""
        return self._answers

    @property
    def read_only(self) -> bool:
        """Whether this handle may write."""
        return self._database.read_only

    # -- the log ------------------------------------------------------------------------------------------

    def append(self, entries: Sequence[Entry], vectors_by: VectorsBy | None = None) -> Appended:
        """Append a batch atomically and durably; see the contract."""
        if not entries:
            return Appended((), ())
        return self._database.write(lambda connection: append(connection, entries, vectors_by))

    def get(self, scope: str, ids: Sequence[str]) -> list[Episode]:
        """The episodes of those ids that the scope has, in log order."""
        found: list[Episode] = []
        with self._database.reading() as connection:
            for chunk in chunks(list(dict.fromkeys(ids))):
                rows = connection.execute(
                    f"SELECT {EPISODE_COLUMNS} {IN_EPISODES} WHERE s.path = ? AND e.id IN ({marks(chunk)})",
                    (scope, *chunk),
                )
                found += map(episode_from, rows)
        return sorted(found, key=lambda episode: episode.seq)

    def find(self, prefix: str, id: str) -> list[Episode]:
        """The episodes of that id in the scope `prefix` and those below it, in log order."""
        condition, values = _below(prefix)
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {EPISODE_COLUMNS} FROM scopes s CROSS JOIN episodes e ON e.scope_id = s.scope_id "
                f"WHERE {condition} AND e.id = ? ORDER BY e.seq",
                (*values, id),
            ).fetchall()
        return [episode_from(row) for row in rows]

    def by_seq(self, seqs: Sequence[int]) -> dict[int, Episode]:
        """Episodes by position; positions that hold nothing are left out."""
        found: dict[int, Episode] = {}
        with self._database.reading() as connection:
            for chunk in chunks([int(seq) for seq in seqs]):
                rows = connection.execute(
                    f"SELECT {EPISODE_COLUMNS} {IN_EPISODES} WHERE e.seq IN ({marks(chunk)})",
                    chunk,
                )
                found |= {row[0]: episode_from(row) for row in rows}
        return found

    def scan(
        self, scope: str, *, after: int = 0, limit: int = 1000, newest_first: bool = False, session: str | None = None
    ) -> list[Episode]:
        """Episodes of exactly this scope, a page at a time; see the contract."""
        condition, order, bound = _page("e.seq", after, newest_first)
        if session is not None:
            condition += " AND e.session = ?3"
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT {EPISODE_COLUMNS} {IN_EPISODES} "
                f"WHERE e.scope_id = (SELECT scope_id FROM scopes WHERE path = ?1) AND {condition} "
                f"ORDER BY e.seq {order} LIMIT ?4",
                (scope, bound, session, limit),
            ).fetchall()
        return [episode_from(row) for row in rows]

    def sessions(self, scope: str, *, after: int = 0, limit: int = 100, newest_first: bool = False) -> list[Session]:
        """The scope's sessions, a page at a time; see the contract."""
        place = "max(seq)" if newest_first else "min(seq)"
        condition, order, bound = _page(place, after, newest_first)
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT g.session, g.n, g.first, g.last, b.occurred_at, b.occurred_offset, z.occurred_at, z.occurred_offset FROM "
                "(SELECT session, count(*) AS n, min(seq) AS first, max(seq) AS last FROM episodes "
                "WHERE scope_id = (SELECT scope_id FROM scopes WHERE path = ?1) AND session IS NOT NULL "
                f"GROUP BY session HAVING {condition} ORDER BY {place} {order} LIMIT ?3) g "
                "JOIN episodes b ON b.seq = g.first JOIN episodes z ON z.seq = g.last",
                (scope, bound, limit),
            ).fetchall()
        found = [
            Session(
                session=name,
                scope=scope,
                episodes=n,
                began_at=from_microseconds(began, began_offset),
                ended_at=from_microseconds(ended, ended_offset),
                first_seq=first,
                last_seq=last,
            )
            for name, n, first, last, began, began_offset, ended, ended_offset in rows
        ]
        return sorted(found, key=lambda one: -one.last_seq if newest_first else one.first_seq)

    def count(self, scope: str, *, after: int = 0) -> int:
        """How many episodes of exactly this scope stand after a position."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT count(*) FROM episodes WHERE scope_id = (SELECT scope_id FROM scopes WHERE path = ?) AND seq > ?",
                (scope, after),
            ).fetchone()
        return int(row[0])

    def existing(self, scope: str, ids: Sequence[str]) -> set[str]:
        """Which of the ids the scope already has."""
        found: set[str] = set()
        with self._database.reading() as connection:
            for chunk in chunks(list(ids)):
                rows = connection.execute(
                    f"SELECT e.id {IN_EPISODES} WHERE s.path = ? AND e.id IN ({marks(chunk)})",
                    (scope, *chunk),
                )
                found.update(row[0] for row in rows)
        return found

    def superseding(self, scope: str, id: str) -> Episode | None:
        """The episode that supersedes the one of that id, if any; the newest where there are several."""
        with self._database.reading() as connection:
            row = connection.execute(
                f"SELECT {EPISODE_COLUMNS} {IN_EPISODES} WHERE s.path = ? AND e.supersedes = ? "
                "ORDER BY e.seq DESC LIMIT 1",
                (scope, id),
            ).fetchone()
        return episode_from(row) if row else None

    def all_superseding(self, scope: str, ids: Sequence[str]) -> list[Episode]:
        """Every episode that supersedes one of these, in log order."""
        found: dict[int, Episode] = {}
        with self._database.reading() as connection:
            for chunk in chunks(list(ids)):
                rows = connection.execute(
                    f"SELECT {EPISODE_COLUMNS} {IN_EPISODES} WHERE s.path = ? AND e.supersedes IN ({marks(chunk)})",
                    (scope, *chunk),
                )
                found |= {row[0]: episode_from(row) for row in rows}
        return [found[seq] for seq in sorted(found)]

    def echoes_of(self, scope: str, ids: Sequence[str]) -> list[Episode]:
        """The scope's episodes that only repeat one of these, in log order."""
        found: dict[int, Episode] = {}
        with self._database.reading() as connection:
            for chunk in chunks(list(ids)):
                rows = connection.execute(
                    f"SELECT {EPISODE_COLUMNS} {IN_EPISODES} WHERE s.path = ? AND e.echo_of IS NOT NULL "
                    f"AND EXISTS (SELECT 1 FROM json_each(e.echo_of) WHERE value IN ({marks(chunk)}))",
                    (scope, *chunk),
                )
                found |= {row[0]: episode_from(row) for row in rows}
        return [found[seq] for seq in sorted(found)]

    def append_superseding(self, entry: Entry, vectors_by: VectorsBy | None = None) -> Appended | None:
        """Append an episode that supersedes another, unless something already does; then None, and nothing is written."""
        return self._database.write(lambda connection: append_superseding(connection, entry, vectors_by))

    # -- forgetting ---------------------------------------------------------------------------------------

    def remove(
        self,
        scope: str,
        seqs: Sequence[int],
        *,
        at: datetime,
        changes: Mapping[str, Changes] | None = None,
        restart: Collection[str] = (),
        drop_scope: bool = False,
    ) -> Removal:
        """Delete episodes and all that came from them, in one transaction; see the contract."""

        def job(connection: sqlite3.Connection) -> Removal:
            row = connection.execute("SELECT scope_id FROM scopes WHERE path = ?", (scope,)).fetchone()
            if row is None:
                return Removal(0)
            scope_id = row[0]
            present = [
                seq
                for seq in dict.fromkeys(map(int, seqs))
                if connection.execute(
                    "SELECT 1 FROM episodes WHERE seq = ? AND scope_id = ?", (seq, scope_id)
                ).fetchone()
            ]
            records, links = count_made_from(connection, present)
            for system, wanted in (changes or {}).items():
                write_changes(connection, scope_id, system, wanted)
            gone = drop_by_sources(connection, scope_id, present, restart)
            keys = [(seq,) for seq in present]
            for table in ("episodes", "recalled"):
                connection.executemany(f"DELETE FROM {table} WHERE seq = ?", keys)
            if present:  # an error may quote what it failed on; the step is tried again anyway
                connection.execute("DELETE FROM failures WHERE scope_id = ?", (scope_id,))
            connection.executemany(
                "INSERT INTO removals (scope_id, seq, removed_at) VALUES (?, ?, ?)",
                [(scope_id, seq, to_microseconds(at)) for seq in present],
            )
            if drop_scope and not _has_episodes(connection, scope_id):
                for table in ("cursors", "failures", "records", "links", "answers"):
                    connection.execute(f"DELETE FROM {table} WHERE scope_id = ?", (scope_id,))
                connection.execute("DELETE FROM scopes WHERE scope_id = ?", (scope_id,))
            return Removal(len(present), records, links, gone.answers, gone.rebuilt_systems)

        return self._database.write(job)

    def scrub(self) -> bool:
        """Empty the write-ahead log, in which removed text may still stand, and overwrite what moved rows left behind."""
        return self._database.scrub()

    # -- scopes -------------------------------------------------------------------------------------------

    def scopes(self, prefix: str = "") -> dict[str, int]:
        """Scopes that are `prefix` or below it, with their number of episodes."""
        condition, values = _below(prefix)
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT s.path, (SELECT count(*) FROM episodes e WHERE e.scope_id = s.scope_id) FROM scopes s "
                f"WHERE {condition} ORDER BY s.path",
                values,
            ).fetchall()
        return dict(rows)

    def scope_ids(self, scope: str, *, include_children: bool = False) -> tuple[int, ...]:
        """The store's own numbers of the scope (and of those below it); empty when it does not exist."""
        condition, values = _below(scope) if include_children else ("s.path = ?", (scope,))
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT s.scope_id FROM scopes s WHERE {condition} ORDER BY s.scope_id",
                values,
            ).fetchall()
        return tuple(row[0] for row in rows)

    # -- what indexes read --------------------------------------------------------------------------------

    def last_change(self, scope_ids: Sequence[int]) -> Change:
        """The newest things that happened to the scopes."""
        last_seq = last_removal = vectors = 0
        with self._database.reading() as connection:
            for scope_id in scope_ids:
                seq, removal, version = connection.execute(
                    "SELECT (SELECT max(seq) FROM episodes WHERE scope_id = ?1),"
                    " (SELECT max(removal_id) FROM removals WHERE scope_id = ?1),"
                    " (SELECT value FROM meta WHERE key = 'vectors_version')",
                    (scope_id,),
                ).fetchone()
                last_seq, last_removal = max(last_seq, seq or 0), max(last_removal, removal or 0)
                vectors = int(version or 0)
        return Change(last_seq, last_removal, vectors)

    def index_rows(self, scope_ids: Sequence[int], *, after: int = 0, limit: int | None = None) -> IndexRows:
        """What an index needs of the episodes after a position; see the contract."""
        places = marks(scope_ids)
        with self._database.snapshot() as connection:
            rows = connection.execute(
                "SELECT e.seq, e.scope_id, e.occurred_at, e.recorded_at, e.content_hash, e.role, e.actor, e.session,"
                " e.echo_of IS NOT NULL, e.supersedes, e.terms, e.vector "
                f"FROM episodes e WHERE e.scope_id IN ({places}) AND e.seq > ? ORDER BY e.seq LIMIT ?",
                (*scope_ids, after, -1 if limit is None else limit),
            ).fetchall()
            superseded: list[tuple[int, int]] = []
            if any(row[9] is not None for row in rows):
                superseded = connection.execute(
                    "SELECT old.seq, new.seq FROM episodes new JOIN episodes old "
                    "ON old.scope_id = new.scope_id AND old.id = new.supersedes "
                    f"WHERE new.scope_id IN ({places}) AND new.supersedes IS NOT NULL AND new.seq > ? AND new.seq <= ? "
                    "AND old.seq < new.seq ORDER BY new.seq",  # never one that the index does not have yet
                    (*scope_ids, after, rows[-1][0]),
                ).fetchall()
            known = connection.execute("SELECT value FROM meta WHERE key = 'dim'").fetchone()
        return _index_rows(rows, superseded, int(known[0]) if known else None)

    def metadata(self, scope_ids: Sequence[int], *, after: int = 0, limit: int | None = None) -> list[tuple[int, str]]:
        """(seq, metadata as JSON) of the episodes after a position that have any, in log order."""
        with self._database.reading() as connection:
            return connection.execute(
                "SELECT seq, metadata FROM episodes "
                f"WHERE scope_id IN ({marks(scope_ids)}) AND seq > ? AND metadata IS NOT NULL ORDER BY seq LIMIT ?",
                (*scope_ids, after, -1 if limit is None else limit),
            ).fetchall()

    def seqs_of(self, scope_ids: Sequence[int], ids: Sequence[str]) -> list[int]:
        """The positions of the episodes of those ids in the scopes, in log order."""
        found: list[int] = []
        with self._database.reading() as connection:
            for chunk in chunks(list(dict.fromkeys(ids))):
                rows = connection.execute(
                    f"SELECT seq FROM episodes WHERE scope_id IN ({marks(scope_ids)}) AND id IN ({marks(chunk)})",
                    (*scope_ids, *chunk),
                )
                found += [row[0] for row in rows]
        return sorted(found)

    def removed_seqs(self, scope_ids: Sequence[int], *, after: int = 0) -> tuple[int, list[int]]:
        """(newest removal number, seqs removed since removal number `after`)."""
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT removal_id, seq FROM removals WHERE scope_id IN ({marks(scope_ids)}) AND removal_id > ? "
                "ORDER BY removal_id",
                (*scope_ids, after),
            ).fetchall()
        return (rows[-1][0] if rows else after), [row[1] for row in rows]

    # -- vectors ------------------------------------------------------------------------------------------

    def without_vector(self, limit: int) -> list[tuple[int, str]]:
        """(seq, text) of episodes that wait for their embedding, in log order."""
        with self._database.reading() as connection:
            return connection.execute(
                "SELECT seq, text FROM episodes WHERE vector IS NULL ORDER BY seq LIMIT ?",
                (limit,),
            ).fetchall()

    def put_vectors(self, vectors: Sequence[tuple[int, bytes]], vectors_by: VectorsBy | None = None) -> None:
        """Set the vectors of episodes by position, in one transaction."""

        def job(connection: sqlite3.Connection) -> None:
            check_vectors(connection, vectors_by)
            connection.executemany("UPDATE episodes SET vector = ?2 WHERE seq = ?1", vectors)
            _next_vectors_version(connection)

        self._database.write(job)

    def clear_vectors(self, meta: Mapping[str, str]) -> None:
        """Drop every vector and set meta values, in one transaction."""

        def job(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE episodes SET vector = NULL WHERE vector IS NOT NULL")
            restart_all(connection)
            connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", list(meta.items()))
            _next_vectors_version(connection)

        self._database.write(job)

    # -- settings and counts ------------------------------------------------------------------------------

    def meta(self, key: str) -> str | None:
        """A setting that lives with the store."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def claim_meta(self, key: str, value: str) -> str:
        """Set a setting if it has no value yet; the value it has afterwards, whoever set it."""

        def job(connection: sqlite3.Connection) -> str:
            connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, value))
            return str(connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0])

        return self._database.write(job)

    def note_recalls(self, recalls: Mapping[int, tuple[int, datetime]]) -> None:
        """Add to how often, and set when last, episodes were recalled; what was forgotten meanwhile is passed over."""
        rows = [(seq, times, to_microseconds(last)) for seq, (times, last) in recalls.items()]

        def job(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "INSERT INTO recalled SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM episodes WHERE seq = ?1) "
                "ON CONFLICT (seq) DO UPDATE SET times = times + ?2, last_at = max(last_at, ?3)",
                rows,
            )

        self._database.write(job)

    def recalled_since(self, scope: str, since: datetime, limit: int) -> list[int]:
        """Positions of the scope's episodes recalled since then, latest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT r.seq FROM recalled r JOIN episodes e USING (seq) JOIN scopes s USING (scope_id) "
                "WHERE s.path = ? AND r.last_at >= ? ORDER BY r.last_at DESC, r.seq LIMIT ?",
                (scope, to_microseconds(since), limit),
            ).fetchall()
        return [row[0] for row in rows]

    def counts(self, scope: str | None = None) -> dict[str, int]:
        """Numbers of what the store, or one scope of it, holds."""
        only = "" if scope is None else " AND e.scope_id = (SELECT scope_id FROM scopes WHERE path = :scope)"
        alone = "" if scope is None else " WHERE scope_id = (SELECT scope_id FROM scopes WHERE path = :scope)"
        questions = {
            "episodes": f"SELECT count(*) FROM episodes e WHERE 1{only}",
            "echoes": f"SELECT count(*) FROM episodes e WHERE e.echo_of IS NOT NULL{only}",
            "superseded": "SELECT count(DISTINCT e.scope_id || '/' || e.supersedes) FROM episodes e "
            f"WHERE e.supersedes IS NOT NULL{only}",
            "waiting_vectors": "SELECT count(*) FROM episodes e WHERE e.vector IS NULL" + only,
            "recalled": f"SELECT count(*) FROM recalled r JOIN episodes e USING (seq) WHERE 1{only}",
            "sessions": f"SELECT count(DISTINCT e.scope_id || '/' || e.session) FROM episodes e WHERE 1{only}",
            "records": f"SELECT count(*) FROM records{alone}",
            "links": f"SELECT count(*) FROM links{alone}",
            "failures": f"SELECT count(*) FROM failures{alone}",
            "scopes": "SELECT count(*) FROM scopes" + (" WHERE path = :scope" if scope is not None else ""),
        }
        values = {"scope": scope}
        with self._database.snapshot() as connection:
            answers = {
                name: int(connection.execute(question, values).fetchone()[0]) for name, question in questions.items()
            }
            pages = (
                connection.execute("PRAGMA page_count").fetchone()[0]
                * connection.execute("PRAGMA page_size").fetchone()[0]
            )
        return answers | {"bytes": self._file_bytes() if self.path else pages}

    def _file_bytes(self) -> int:
        """Bytes of the file and of what its write-ahead log still holds."""
        assert self.path is not None
        log = self.path.with_name(self.path.name + "-wal")
        return self.path.stat().st_size + (log.stat().st_size if log.exists() else 0)

    def raw_blocks(self) -> Iterator[bytes]:
        """All bytes of the file, in pieces, read without disturbing SQLite's locks; nothing for a store in memory."""
        return self._database.raw_blocks()

    def integrity(self) -> list[str]:
        """What SQLite's own check finds wrong with the file; empty when it is sound."""
        with self._database.reading() as connection:
            try:
                rows = connection.execute("PRAGMA integrity_check(20)").fetchall()
            except sqlite3.DatabaseError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
                    raise
                return [str(error)]  # too damaged even for the check
        return [row[0] for row in rows if row[0] != "ok"]

    def backup(self, target: Path) -> None:
        """Write a consistent copy, one file without a log beside it, to `target` while the store stays in use."""
        with self._database.reading() as connection:
            copy = sqlite3.connect(target)
            try:
                connection.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
            finally:
                copy.close()

    def close(self) -> None:
        """Release files and connections. Calling it again does nothing."""
        self._database.close()


def _has_episodes(connection: sqlite3.Connection, scope_id: int) -> bool:
    return connection.execute("SELECT 1 FROM episodes WHERE scope_id = ? LIMIT 1", (scope_id,)).fetchone() is not None


def _next_vectors_version(connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT INTO meta VALUES ('vectors_version', '1') "
        "ON CONFLICT (key) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)"
    )


def _below(prefix: str) -> tuple[str, tuple[str, ...]]:
    if prefix == "":
        return "1", ()
    return "(s.path = ? OR (s.path > ? AND s.path < ?))", (
        prefix,
        prefix + "/",
        prefix + "0",
    )  # "0" follows "/"


def _page(place: str, after: int, newest_first: bool) -> tuple[str, str, int]:
    """The condition on ?2 and the order of a page of what lies behind `after`, and the value of ?2."""
    return (f"{place} < ?2", "DESC", after or 2**62) if newest_first else (f"{place} > ?2", "ASC", after)


def _index_rows(rows: list[Any], superseded: list[tuple[int, int]], dim: int | None) -> IndexRows:
    vectors = [row[11] for row in rows]
    width = next((len(vector) for vector in vectors if vector is not None), 0) if dim is None else 2 * dim
    # one of another width came from a process that had not yet seen a change of embedder: as good as missing
    vectors = [None if vector is None or len(vector) != width else vector for vector in vectors]
    blank = bytes(width)
    column = list(zip(*rows, strict=True)) if rows else [()] * 12
    return IndexRows(
        seqs=np.array(column[0], np.int64),
        scope_ids=np.array(column[1], np.int64),
        occurred_at=np.array(column[2], np.int64),
        recorded_at=np.array(column[3], np.int64),
        content_hashes=np.array(column[4], np.int64),
        roles=list(column[5]),
        actors=list(column[6]),
        sessions=list(column[7]),
        is_echo=np.array(column[8], np.bool_),
        superseded=superseded,
        terms=list(column[10]),
        vectors=np.frombuffer(b"".join(blank if vector is None else vector for vector in vectors), "<f2").reshape(
            len(rows), width // 2
        ),
        has_vector=np.array([vector is not None for vector in vectors], np.bool_),
    )
