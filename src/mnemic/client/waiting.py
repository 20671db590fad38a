"""Waiting for a job of the server: asked after it, less and less often, until it is over or an attempt at it has failed."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

from mnemic.client.connection import Connection, segment
from mnemic.client.problem import error_of_job
from mnemic.errors import Conflict

Reports = dict[str, dict[str, int | str]]  # what each system did
_FIRST_WAIT_S, _LONGEST_WAIT_S, _GROWTH = 0.02, 1.0, 1.5
_LOG = logging.getLogger("mnemic.client")


def wait_for(connection: Connection, scope: str, *, include_children: bool, retry_failed: bool = False) -> Reports:
    """Consolidate a scope on the server, and those below it where they are included.

    Returns what each system did, by its id, with the error that stopped it, if any.
    Raises what kept the job from being done, and Conflict for a job that somebody cancelled.
    """
    body: dict[str, Any] = {"scope": scope}
    body |= {} if include_children else {"include_children": False}
    body |= {"retry_failed": True} if retry_failed else {}
    job = connection.ask("POST", "/v1/consolidate", _job, body=body)
    before = 0 if job["state"] == "running" else job["attempts"]  # it may have waited already, after failing
    said = ""
    for pause in _waits():
        if job["state"] == "done" or (job["state"] in ("waiting", "failed") and job["attempts"] > before):
            return _reports(job)
        if job["state"] == "cancelled":
            raise Conflict(
                f"The job {job['id']}, which consolidates {scope!r}, was cancelled. What it did stays; ask again."
            )
        note = f"{job['progress']:.0%} {job['note']}"
        if job["state"] == "running" and note != said:
            _LOG.info("consolidating: %s", note)
            said = note
        time.sleep(pause)
        job = connection.ask("GET", f"/v1/jobs/{segment(job['id'])}", _job)
    raise AssertionError("there is always a next wait")


def _reports(job: dict[str, Any]) -> Reports:
    reports: Reports | None = job.get("result")
    if reports is not None:
        return reports
    if job["state"] == "done":
        return {}
    raise error_of_job(job["error"] or f"The job {job['id']} failed. The server's log has the reason.")


def _job(values: Any) -> dict[str, Any]:
    return {name: values[name] for name in ("id", "state", "progress", "note", "attempts", "error")} | {
        "result": values.get("result")
    }


def _waits() -> Iterator[float]:
    pause = _FIRST_WAIT_S
    while True:
        yield pause
        pause = min(pause * _GROWTH, _LONGEST_WAIT_S)
