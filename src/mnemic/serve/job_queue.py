"""Jobs and the durable queue of them, in the server's control file; `jobs.py` does them.

Of one scope there is one waiting job of a kind, however often it is asked for. Whoever takes a job puts a name on it, and
only under that name is it finished: a worker whose job was cancelled meanwhile changes nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from mnemic.clock import Clock, from_microseconds, to_microseconds
from mnemic.errors import Conflict, NotFound, ParameterError
from mnemic.model import check_scope, new_id
from mnemic.serve.control import Control

State = Literal["waiting", "running", "done", "failed", "cancelled"]
STATES: tuple[State, ...] = get_args(State)
_ALONE, _RETRY = "_alone", "_retry"  # without the scopes below; asking models again what they could not answer
KINDS = tuple(f"consolidate{alone}{retry}" for alone in ("", _ALONE) for retry in ("", _RETRY))
Reports = dict[str, dict[str, int | str]]  # what each system did
AUTOMATIC = "auto"  # who asked, where nobody did
_MAX_ERROR = 2000


def kind_of(*, include_children: bool = True, retry_failed: bool = False) -> str:
    """The kind of job that does so.

    >>> kind_of(include_children=False)
    'consolidate_alone'
    """
    return f"consolidate{'' if include_children else _ALONE}{_RETRY if retry_failed else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A piece of work and how it stands."""

    id: str
    scope: str
    kind: str
    state: State
    by: str | None  # the id of the key that asked, or "auto"
    progress: float  # 0 to 1
    note: str
    attempts: int
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    next_try_at: datetime | None
    result: Reports | None = None  # what each system did at the last attempt, once it is over

    @property
    def is_alone(self) -> bool:
        """Whether it leaves out the scopes below."""
        return _ALONE in self.kind

    @property
    def is_retry(self) -> bool:
        """Whether models are asked again what they answered in no usable form."""
        return self.kind.endswith(_RETRY)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        times = {name: getattr(self, name) for name in ("created_at", "started_at", "finished_at", "next_try_at")}
        return {
            "id": self.id,
            "scope": self.scope,
            "kind": self.kind,
            "state": self.state,
            "by": self.by,
            "progress": round(self.progress, 4),
            "note": self.note,
            "attempts": self.attempts,
            "error": self.error,
            **{name: None if moment is None else moment.isoformat() for name, moment in times.items()},
            "result": self.result,
        }


JobList = list[Job]  # a name for what JobQueue.list would hide from type checkers inside the class


class JobQueue:
    """The jobs in a control file."""

    def __init__(self, control: Control, clock: Clock) -> None:
        self._control = control
        self._clock = clock

    # -- asking -------------------------------------------------------------------------------------------

    def submit(
        self, scope: str, kind: str, by: str | None, *, due_at: datetime, put_off: timedelta | None = None
    ) -> Job:
        """A new job; or, where one of its kind waits for the scope, that one, due at the earlier time.

        put_off: instead, an automatic job that nobody else asked for is put off to `due_at`, by this at most.
        Raises InvalidScope and ParameterError.
        """
        check_scope(scope)
        if kind not in KINDS:
            raise ParameterError(f"There is no job of the kind {kind!r}; there is {', '.join(KINDS)}.")
        now, due = to_microseconds(self._clock.now()), to_microseconds(due_at)

        def submit(connection: sqlite3.Connection) -> Job:
            waiting = _waiting(connection, scope, kind)
            if waiting is None:
                id = new_id()
                connection.execute(
                    "INSERT INTO jobs (id, scope, kind, state, asked_by, created_at, next_try_at) "
                    "VALUES (?, ?, ?, 'waiting', ?, ?, ?)",
                    (id, scope, kind, by, now, due),
                )
                return _read(connection, id)
            if put_off is None:
                connection.execute(
                    "UPDATE jobs SET asked_by = ?, next_try_at = min(next_try_at, ?) WHERE id = ?",
                    (by if waiting.by == AUTOMATIC else waiting.by, due, waiting.id),
                )
            elif waiting.by == AUTOMATIC and not waiting.attempts:
                latest = to_microseconds(waiting.created_at + put_off)
                connection.execute(
                    "UPDATE jobs SET next_try_at = max(next_try_at, ?) WHERE id = ?", (min(due, latest), waiting.id)
                )
            return _read(connection, waiting.id)

        return self._control.write(submit)

    def get(self, id: str) -> Job:
        """One job. Raises NotFound."""
        found = self._control.rows("SELECT * FROM jobs WHERE id = ?", (id,))
        if not found:
            raise _unknown(id)
        return _job(found[0])

    def list(self, scope_prefixes: Iterable[str], state: str | None, after: str | None, limit: int) -> JobList:
        """Jobs on these scopes and those below, newest first, behind the job `after`. Raises ParameterError."""
        if state is not None and state not in STATES:
            raise ParameterError(f"state={state!r}: it is one of {', '.join(STATES)}.")
        where, values = _within(scope_prefixes)
        sql = f"SELECT * FROM jobs WHERE {where} AND (? IS NULL OR state = ?) AND (? IS NULL OR id < ?) ORDER BY id DESC LIMIT ?"  # noqa: S608
        return [_job(row) for row in self._control.rows(sql, [*values, state, state, after, after, limit])]

    def counts(self) -> dict[str, int]:
        """How many jobs there are in each state."""
        rows = self._control.rows("SELECT state, count(*) AS n FROM jobs GROUP BY state")
        return dict.fromkeys(STATES, 0) | {row["state"]: row["n"] for row in rows}

    def retry(self, id: str) -> Job:
        """Let a failed or cancelled job wait again, with all its attempts; one that waits is due now.

        Where another waits for its scope, it is that one. Raises NotFound, and Conflict for a job that runs or is done.
        """
        now = to_microseconds(self._clock.now())

        def retry(connection: sqlite3.Connection) -> Job:
            job = _read(connection, id)
            if job.state in ("running", "done"):
                raise Conflict(
                    f"The job {id} is {job.state}; one that failed or was cancelled can be retried. Ask for a new one."
                )
            waiting = _waiting(connection, job.scope, job.kind)
            if waiting is not None:
                connection.execute("UPDATE jobs SET next_try_at = min(next_try_at, ?) WHERE id = ?", (now, waiting.id))
                return _read(connection, waiting.id)
            connection.execute(
                "UPDATE jobs SET state = 'waiting', attempts = 0, error = NULL, progress = 0, note = '', finished_at = NULL, "
                "next_try_at = ? WHERE id = ?",
                (now, id),
            )
            return _read(connection, id)

        return self._control.write(retry)

    def cancel(self, id: str) -> Job:
        """Let a job be, at once or before the next scope that it would come to. Raises NotFound, and Conflict for one that is
        over."""
        now = to_microseconds(self._clock.now())

        def cancel(connection: sqlite3.Connection) -> Job:
            job = _read(connection, id)
            if job.state in ("done", "failed"):
                raise Conflict(f"The job {id} is {job.state} already; there is nothing to cancel.")
            connection.execute(
                "UPDATE jobs SET state = 'cancelled', owner = NULL, finished_at = ?, next_try_at = NULL "
                "WHERE id = ? AND state != 'cancelled'",
                (now, id),
            )
            return _read(connection, id)

        return self._control.write(cancel)

    def forget(self, scope: str) -> None:
        """Drop what the queue tells of a scope and those below: jobs that are over, and errors, which may quote a memory."""
        where, values = _within([scope])

        def forget(connection: sqlite3.Connection) -> None:
            connection.execute(f"DELETE FROM jobs WHERE {where} AND finished_at IS NOT NULL", values)  # noqa: S608
            connection.execute(f"UPDATE jobs SET error = NULL, result = NULL WHERE {where}", values)  # noqa: S608

        self._control.write(forget)

    # -- doing --------------------------------------------------------------------------------------------

    def take(self, owner: str, is_free: Callable[[str], bool]) -> Job | None:
        """The first waiting job that is due and whose scope is free; it runs from now on, under the name of its owner."""
        now = to_microseconds(self._clock.now())
        if not self._control.rows("SELECT 1 FROM jobs WHERE state = 'waiting' AND next_try_at <= ? LIMIT 1", (now,)):
            return None

        def take(connection: sqlite3.Connection) -> Job | None:
            due = "SELECT id, scope FROM jobs WHERE state = 'waiting' AND next_try_at <= ? ORDER BY next_try_at, id"
            for id, scope in connection.execute(due, (now,)):
                if is_free(scope):
                    connection.execute(
                        "UPDATE jobs SET state = 'running', owner = ?, attempts = attempts + 1, started_at = ?, "
                        "progress = 0, note = '', next_try_at = NULL, result = NULL WHERE id = ?",
                        (owner, now, id),
                    )
                    return _read(connection, id)
            return None

        return self._control.write(take)

    def is_owned(self, id: str, owner: str) -> bool:
        """Whether the job still runs under that name."""
        return bool(self._control.rows("SELECT 1 FROM jobs WHERE id = ? AND owner = ?", (id, owner)))

    def say(self, id: str, owner: str, progress: float, note: str) -> None:
        """How far a running job is."""
        update = "UPDATE jobs SET progress = ?, note = ? WHERE id = ? AND owner = ?"
        self._control.write(lambda connection: connection.execute(update, (progress, note, id, owner)))

    def report(self, id: str, owner: str, result: Reports) -> None:
        """What each system did at this attempt."""
        update = "UPDATE jobs SET result = ? WHERE id = ? AND owner = ?"
        self._control.write(lambda connection: connection.execute(update, (json.dumps(result), id, owner)))

    def done(self, id: str, owner: str, note: str) -> None:
        """A running job has succeeded."""
        now = to_microseconds(self._clock.now())
        update = (
            "UPDATE jobs SET state = 'done', progress = 1, note = ?, error = NULL, finished_at = ?, owner = NULL "
            "WHERE id = ? AND owner = ?"
        )
        self._control.write(lambda connection: connection.execute(update, (note, now, id, owner)))

    def put_back(self, id: str, owner: str) -> None:
        """A running job goes on another time; this was no attempt."""

        def put_back(connection: sqlite3.Connection) -> None:
            for job in _running(connection, id, owner):
                self._wait(connection, job, job.attempts - 1, job.error, after_s=0.0)

        self._control.write(put_back)

    def failed(self, id: str, owner: str, error: str, after_s: float | None) -> None:
        """A running job has failed; it waits for that long before it is tried again, or, with None, has failed for good."""

        def failed(connection: sqlite3.Connection) -> None:
            for job in _running(connection, id, owner):
                self._wait(connection, job, job.attempts, error, after_s=after_s)

        self._control.write(failed)

    def recover(self, under_way: Collection[str], attempts: int) -> int:
        """Let jobs that are marked as running, but are not under way, wait again: they were cut short. How many there were.

        A cut counts as an attempt, so that a job that brings the process down does not do so for ever.
        """
        running = "SELECT * FROM jobs WHERE state = 'running'"
        if all(row["id"] in under_way for row in self._control.rows(running)):
            return 0

        def recover(connection: sqlite3.Connection) -> int:
            cut = [job for job in map(_job, connection.execute(running)) if job.id not in under_way]
            for job in cut:
                error = job.error or "It was cut short."
                self._wait(connection, job, job.attempts, error, after_s=0.0 if job.attempts < attempts else None)
            return len(cut)

        return self._control.write(recover)

    def prune(self, older_than: timedelta) -> None:
        """Drop jobs that have been over for that long."""
        until = to_microseconds(self._clock.now() - older_than)
        self._control.write(lambda connection: connection.execute("DELETE FROM jobs WHERE finished_at < ?", (until,)))

    def _wait(
        self, connection: sqlite3.Connection, job: Job, attempts: int, error: str | None, *, after_s: float | None
    ) -> None:
        """Let a running job wait; where it has failed for good, or another waits for its scope already, it is over."""
        now = self._clock.now()
        other = _waiting(connection, job.scope, job.kind)
        if after_s is None or other is not None:
            note = f"given up after {attempts} attempts" if other is None else f"goes on as {other.id}"
            connection.execute(
                "UPDATE jobs SET state = 'failed', attempts = ?, error = ?, note = ?, owner = NULL, finished_at = ? WHERE id = ?",
                (attempts, error and error[:_MAX_ERROR], note, to_microseconds(now), job.id),
            )
            return
        due = to_microseconds(now + timedelta(seconds=after_s))
        connection.execute(
            "UPDATE jobs SET state = 'waiting', attempts = ?, error = ?, owner = NULL, next_try_at = ? WHERE id = ?",
            (attempts, error and error[:_MAX_ERROR], due, job.id),
        )


def _read(connection: sqlite3.Connection, id: str) -> Job:
    found = connection.execute("SELECT * FROM jobs WHERE id = ?", (id,)).fetchone()
    if found is None:
        raise _unknown(id)
    return _job(found)


def _waiting(connection: sqlite3.Connection, scope: str, kind: str) -> Job | None:
    sql = "SELECT * FROM jobs WHERE scope = ? AND kind = ? AND state = 'waiting'"
    found = connection.execute(sql, (scope, kind)).fetchone()
    return None if found is None else _job(found)


def _running(connection: sqlite3.Connection, id: str, owner: str) -> list[Job]:
    """The job, where it still runs under that name."""
    return [_job(row) for row in connection.execute("SELECT * FROM jobs WHERE id = ? AND owner = ?", (id, owner))]


def _within(scopes: Iterable[str]) -> tuple[str, list[Any]]:
    """The condition that a job's scope is one of these or below it, and its values."""
    one = "(? = '' OR scope = ? OR substr(scope, 1, length(?) + 1) = ? || '/')"
    prefixes = [*scopes]
    return f"({' OR '.join([one] * len(prefixes)) or '0'})", [prefix for prefix in prefixes for _ in range(4)]


def _unknown(id: str) -> NotFound:
    return NotFound(f"There is no job {id[:80]!r}; those that are over are dropped after a while. List the jobs.")


def _job(row: sqlite3.Row) -> Job:
    return Job(
        id=row["id"],
        scope=row["scope"],
        kind=row["kind"],
        state=row["state"],
        by=row["asked_by"],
        progress=row["progress"],
        note=row["note"],
        attempts=row["attempts"],
        error=row["error"],
        created_at=from_microseconds(row["created_at"]),
        started_at=_time(row["started_at"]),
        finished_at=_time(row["finished_at"]),
        next_try_at=_time(row["next_try_at"]),
        result=None if row["result"] is None else json.loads(row["result"]),
    )


def _time(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else from_microseconds(microseconds)
