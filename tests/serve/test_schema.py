"""The OpenAPI document against the server: every answer that any request gets is one that the document tells of.

Requests are drawn from the document, those that follow it and those that break it, and sent to a real server over a socket.
"""

import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs the extra 'server'")
pytest.importorskip("schemathesis")
pytest.importorskip("uvicorn")

import requests
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from mnemic.serve.app import create_app
from mnemic.serve.run import bound
from mnemic.serve.settings import Settings

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
BIG = 20  # of the slow test: times as many requests


def attempts():
    """(mode, method, path) of every operation of the document; what takes nothing cannot be given anything wrong."""
    document = create_app(Settings(data=Path("unused"), embedder="hashing")).openapi()
    return [
        (mode, method, path)
        for mode in GenerationMode
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if mode is GenerationMode.POSITIVE or operation.get("requestBody") or has_query(operation)
    ]


def has_query(operation):
    """Whether it takes what can be wrong; a path may hold any text."""
    return any(one["in"] != "path" for one in operation.get("parameters", []))


@contextmanager
def running(data, **given):
    """A real server on a port of its own, in a thread; its address and its application."""
    app = create_app(Settings(data=data, embedder="hashing", consolidate_after_s=None, **given))
    with bound("127.0.0.1", 0) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", timeout_keep_alive=30))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", app
        finally:
            server.should_exit = True
            thread.join(20)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(address, document, session) of a server that holds something in the scope which is meant where none is named."""
    with running(tmp_path_factory.mktemp("schema") / "data") as (address, app), requests.Session() as session:
        for id in ("0", "a", "1"):
            session.post(
                f"{address}/v1/episodes", json={"messages": f"Alice likes tea {id}.", "id": id, "session": "0"}
            )
        session.put(f"{address}/v1/systems/a-mem", json={})
        session.put(f"{address}/v1/systems/bm25", json={})
        session.post(f"{address}/v1/consolidate", json={})
        yield address, app.openapi(), session


def attack(served, method, path, mode, count):
    """Send that many requests of a kind to one operation, and check every answer."""
    address, document, session = served
    operation = schemathesis.openapi.from_dict(document)[path][method.upper()]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=count, database=None, suppress_health_check=list(HealthCheck))
    def send(case):
        answer = case.call(base_url=address, session=session, timeout=30)
        if answer.content == b"Invalid HTTP request received.":  # uvicorn's own, of an address beyond 64 kB
            return
        assert answer.status_code < 500, (answer.request.url, answer.request.body, answer.text[:200])
        case.validate_response(answer, checks=CHECKS)

    send()


@pytest.mark.parametrize(("mode", "method", "path"), attempts(), ids=str)
def test_every_answer_is_one_that_the_document_tells_of(served, mode, method, path):
    attack(served, method, path, mode, 6)


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "method", "path"), attempts(), ids=str)
def test_every_answer_is_one_that_the_document_tells_of_however_long_one_tries(served, mode, method, path):
    attack(served, method, path, mode, 6 * BIG)
