"""Consolidating on a server is a job, which is waited for: what it did, how far it is, and what stopped it."""

import json
import logging

import pytest

from mnemic.client import Client
from mnemic.errors import Conflict, MnemicError, ServerUnreachable, StoreFull
from mnemic.systems.registry import SYSTEMS

from .serving import http, mnemic_at, raw


def job(state, attempts=0, error=None, progress=0.0, note="", **more):
    values = {"id": "j1", "scope": "acme", "state": state, "attempts": attempts, "error": error, "progress": progress}
    return http(200, json.dumps({**values, "note": note, **more}).encode())


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr("mnemic.client.waiting.time.sleep", lambda _: None)


def consolidated(*answers):
    with raw([*answers]) as (where, asked), Client(where, retries=0) as client:
        return client.scope("acme").consolidate(), asked


def test_it_waits_until_the_job_is_done_and_tells_what_each_system_did(caplog):
    caplog.set_level(logging.INFO, "mnemic.client")
    result = {"documents": {"observed": 3}, "bm25": {"observed": 0, "error": "acme: it is broken"}}
    found, asked = consolidated(
        job("waiting"),
        job("running", 1, progress=0.25, note="1 of 4 scopes"),
        job("running", 1, progress=0.25, note="1 of 4 scopes"),
        job("done", 1, progress=1.0, result=result),
    )
    assert found == result
    assert [line.split()[1].decode() for line in asked] == ["/v1/consolidate", *["/v1/jobs/j1"] * 3]
    assert [one.getMessage() for one in caplog.records if one.name == "mnemic.client"] == [
        "consolidating: 25% 1 of 4 scopes"
    ]


def test_an_attempt_that_failed_is_raised_and_not_waited_for_again():
    with pytest.raises(StoreFull, match=r"^The disk is full\. Make room\.$"):
        consolidated(job("waiting"), job("waiting", 1, "StoreFull: The disk is full. Make room."))
    with pytest.raises(MnemicError, match="something else"):
        consolidated(job("waiting"), job("failed", 5, "something else"))


def test_a_failure_from_before_it_was_asked_for_is_not_this_one():
    found, _ = consolidated(job("waiting", 2, "an old error"), job("running", 3), job("done", 3, result={}))
    assert found == {}


def test_what_each_system_did_is_told_where_one_of_them_failed():
    result = {"documents": {"observed": 1, "error": "acme: it is broken"}}
    assert (
        consolidated(job("waiting"), job("waiting", 1, "documents in acme: it is broken", result=result))[0] == result
    )


def test_a_job_that_somebody_cancelled_is_a_conflict():
    with pytest.raises(Conflict, match="cancelled"):
        consolidated(job("waiting"), job("cancelled"))


def test_a_job_that_is_no_job_is_no_answer():
    with pytest.raises(ServerUnreachable, match="cannot be read"):
        consolidated(http(200, b'{"id": "j1"}'))


def test_a_system_that_fails_on_a_server_is_reported_as_in_a_file(tmp_path, clock, open_memory, monkeypatch):
    class Broken(system_class()):
        def observe(self, *_, **__):
            raise ValueError("it is broken")

    monkeypatch.setattr(module(), "Documents", Broken)
    with mnemic_at(tmp_path / "server", clock) as (url, _), Client(url) as client:
        reports = []
        for handle in (open_memory(tmp_path / "a.db"), client):
            handle = handle.scope("acme")
            handle.add("one")
            handle.attach("documents")
            reports.append(handle.consolidate())
    assert "it is broken" in reports[0]["documents"]["error"]
    assert reports[1] == reports[0]


def module():
    import importlib

    return importlib.import_module(SYSTEMS["documents"].split(":")[0])


def system_class():
    return getattr(module(), SYSTEMS["documents"].split(":")[1])
