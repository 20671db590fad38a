"""What language models answered and cost, in SQLite.

An answer is kept with the episodes that the model saw, so that it goes when one of them is forgotten; one without any was
given to a question, and goes with the next forgetting in its scope. What was spent is kept apart, by day, system, step and
model: it holds no text and stays.
"""

from __future__ import annotations

import sqlite3

from mnemic.clock import to_microseconds
from mnemic.store.contract import Answered, Kept, Spent
from mnemic.store.database import Database


class SqliteAnswers:
    """The AnswerStore of a SQLite store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def kept(self, scope: str, key: bytes) -> Kept | None:
        """The answer of that key in the scope."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT a.answer, a.attempts FROM answers a JOIN scopes s USING (scope_id) WHERE a.key = ? AND s.path = ?",
                (key, scope),
            ).fetchone()
        return Kept(*row) if row else None

    def keep(self, scope: str, answered: Answered, day: str) -> None:
        """Keep an answer with what it cost, in one transaction.

        If an episode that it saw, or may have seen, was forgotten meanwhile, only the cost is written.
        """

        def job(connection: sqlite3.Connection) -> None:
            row = connection.execute("SELECT scope_id FROM scopes WHERE path = ?", (scope,)).fetchone()
            if row is None:
                return
            _note(connection, row[0], answered, day)
            if answered.is_kept:
                _put(connection, row[0], answered)

        self._database.write(job)

    def newest_removal(self) -> int:
        """The number of the newest removal in the store; 0 where nothing was ever forgotten."""
        with self._database.reading() as connection:
            return _newest_removal(connection)

    def retry_unusable(self, system: str, scope: str, *, attempts: int) -> int:
        """Count prompts that were not answered in a usable form as tried at most so often; how many there are."""

        def job(connection: sqlite3.Connection) -> int:
            return connection.execute(
                "UPDATE answers SET attempts = min(attempts, ?) WHERE attempts > 0 AND system = ? "
                "AND scope_id = (SELECT scope_id FROM scopes WHERE path = ?)",
                (attempts, system, scope),
            ).rowcount

        return self._database.write(job)

    def unusable(self) -> dict[str, int]:
        """How many prompts of each system got no usable answer so far, in all scopes."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT system, count(*) FROM answers WHERE attempts > 0 GROUP BY system ORDER BY system"
            ).fetchall()
        return dict(rows)

    def spent(self, *, scope: str | None = None, day: str | None = None) -> list[Spent]:
        """What was spent, by system, step and model."""
        where, values = "1", dict[str, str]()
        if scope is not None:
            where, values["scope"] = f"{where} AND scope_id = (SELECT scope_id FROM scopes WHERE path = :scope)", scope
        if day is not None:
            where, values["day"] = f"{where} AND day = :day", day
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT system, step, model, sum(calls), sum(failed), sum(tokens_in), sum(tokens_out), sum(usd) "
                f"FROM spending WHERE {where} GROUP BY system, step, model ORDER BY system, step, model",
                values,
            ).fetchall()
        return [
            Spent(
                system=system,
                step=step,
                model=model,
                calls=calls,
                failed=failed,
                tokens_in=tokens_in,
                tokens_out=tokens_out,
                usd=usd,
            )
            for system, step, model, calls, failed, tokens_in, tokens_out, usd in rows
        ]


def _note(connection: sqlite3.Connection, scope_id: int, one: Answered, day: str) -> None:
    connection.execute(
        "INSERT INTO spending VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO UPDATE SET "
        "calls = calls + ?6, failed = failed + ?7, tokens_in = tokens_in + ?8, tokens_out = tokens_out + ?9, usd = usd + ?10",
        (
            day,
            scope_id,
            one.system,
            one.step,
            one.model,
            one.calls,
            one.failed,
            one.tokens_in,
            one.tokens_out,
            one.usd,
        ),
    )


def _newest_removal(connection: sqlite3.Connection) -> int:
    number: int = connection.execute("SELECT coalesce(max(removal_id), 0) FROM removals").fetchone()[0]
    return number


def _put(connection: sqlite3.Connection, scope_id: int, one: Answered) -> None:
    if one.last_removal not in (None, _newest_removal(connection)):
        return
    seqs = []
    for id in dict.fromkeys(one.sources):
        row = connection.execute("SELECT seq FROM episodes WHERE scope_id = ? AND id = ?", (scope_id, id)).fetchone()
        if row is None:
            return
        seqs.append(row[0])
    old = connection.execute("DELETE FROM answers WHERE key = ? RETURNING answer_no", (one.key,)).fetchone()
    if old:
        connection.execute("DELETE FROM answer_sources WHERE answer_no = ?", old)
    number = connection.execute(
        "INSERT INTO answers (key, scope_id, system, step, model, tokens_in, tokens_out, answered_at, answer, attempts) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING answer_no",
        (
            one.key,
            scope_id,
            one.system,
            one.step,
            one.model,
            one.tokens_in,
            one.tokens_out,
            to_microseconds(one.answered_at),
            one.answer,
            one.attempts,
        ),
    ).fetchone()[0]
    connection.executemany("INSERT INTO answer_sources VALUES (?, ?)", [(number, seq) for seq in seqs])
