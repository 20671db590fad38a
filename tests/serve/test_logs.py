"""Lines of the log: one for each event, with nothing in them that was asked, remembered or kept secret."""

import asyncio
import json
import logging
import sys

import pytest

from mnemic.serve.access import Principal
from mnemic.serve.logs import FIELDS, Door, JsonLines, TextLines

SECRET = "the orchid is in locker 8264"


def record(message: str, **fields):
    made = logging.LogRecord("mnemic.serve", logging.INFO, "x.py", 1, message, None, None)
    setattr(made, FIELDS, fields)
    return made


def look_up() -> None:
    try:
        {}[SECRET]
    except KeyError as error:
        raise ValueError(SECRET) from error


def failed(message: str) -> logging.LogRecord:
    try:
        look_up()
    except ValueError:
        made = record(message)
        made.exc_info = sys.exc_info()
        return made


@pytest.mark.parametrize("lines", [TextLines(), JsonLines()])
def test_an_unforeseen_error_is_told_by_type_and_place_and_not_by_its_message(lines):
    line = lines.format(failed("Exception in ASGI application\nTraceback …"))
    assert "orchid" not in line
    assert "ValueError at " in line
    assert "; from KeyError at " in line
    assert "test_logs.py:" in line
    assert "\n" not in line


@pytest.mark.parametrize("lines", [TextLines(), JsonLines()])
def test_a_path_can_neither_begin_a_line_nor_steer_a_terminal(lines):
    line = lines.format(record("request", path="/v1/a\n2026 INFO forged\x1b[2J\u2028"))
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line


def test_a_json_line_has_the_fields_beside_the_message():
    values = json.loads(JsonLines().format(record("request", status=200, key=None)))
    assert values.pop("time").endswith("Z")
    assert values == {"level": "info", "message": "request", "status": 200, "key": None}


def ask(app, path: str, caplog) -> list[dict[str, object]]:
    """The lines of one request with a query and a header."""

    async def receive():
        return {"type": "http.request", "body": SECRET.encode()}

    async def send(message):
        pass

    headers = [(b"authorization", b"Bearer mnk_1_2")]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"query=orchid", "headers": headers}
    with caplog.at_level(logging.INFO, "mnemic.serve"):
        asyncio.run(Door(app)(scope, receive, send))
    return [getattr(one, FIELDS) for one in caplog.records]


async def answering(scope, receive, send):
    scope["state"]["who"] = Principal("k1", "one", ("",), frozenset({"read"}))
    await send({"type": "http.response.start", "status": 404, "headers": []})


async def failing(scope, receive, send):
    raise ValueError(SECRET)


def test_a_request_is_one_line_with_the_key_and_without_the_query(caplog):
    (line,) = ask(answering, "/v1/episodes", caplog)
    assert line.pop("ms") >= 0
    assert line == {"method": "GET", "path": "/v1/episodes", "status": 404, "key": "k1"}


def test_a_request_that_fails_is_logged_as_500(caplog):
    with pytest.raises(ValueError):
        ask(failing, "/v1/episodes", caplog)
    assert [getattr(one, FIELDS)["status"] for one in caplog.records] == [500]


def test_health_checks_are_logged_only_when_asked_for(caplog):
    assert ask(answering, "/healthz", caplog) == []
