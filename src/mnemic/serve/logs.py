"""What a server writes about itself: one line for each event, as text or as JSON, on standard error.

A request's line has the time, its method, path, status, milliseconds, and the id of the key. Queries, headers, bodies,
secrets and remembered texts are never written. Of an unforeseen error the line has the type and the places in the code,
and not its message, which may quote anything.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any, Literal

Format = Literal["text", "json"]
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

FIELDS = "fields"  # what a log record carries beside its message
_FIRST = ("time", "level", "message")  # of a line, without their names
_QUIET_PATHS = ("/healthz", "/readyz", "/metrics")  # asked every few seconds by machines
_LONGEST_PATH = 300
_FRAMES = 8
_LOG = logging.getLogger("mnemic.serve")


class TextLines(logging.Formatter):
    """2026-05-01T12:00:00.000Z INFO GET /v1/episodes 200 3.1 ms key 0f3a…"""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        values = _values(record)
        said = " ".join(f"{name}={value}" for name, value in values.items() if name not in _FIRST and value is not None)
        return _flat(f"{values['time']} {values['level'].upper()} {values['message']} {said}".rstrip())


class JsonLines(logging.Formatter):
    """{"time": …, "level": "info", "message": "request", "method": "GET", "path": "/v1/episodes", "status": 200, …}"""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        return json.dumps(_values(record), ensure_ascii=True, default=str)


def configure(format: Format = "text", *, verbose: bool = False) -> None:
    """Write logs to standard error from now on; `verbose` adds health checks and what the HTTP server says of itself."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if format == "json" else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("mnemic").setLevel(logging.DEBUG if verbose else logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.INFO if verbose else logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers[:] = []
        logging.getLogger(name).propagate = True
    logging.captureWarnings(True)


class Door:
    """Around the application: a line for each request, and the error for which it could not start."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.failure: BaseException | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._request(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def without_traceback(message: Message) -> None:
            if message["type"].endswith(".failed"):
                message = {"type": message["type"], "message": ""}
            await send(message)

        try:
            await self._app(scope, receive, without_traceback)
        except BaseException as error:
            self.failure = error
            raise

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, status = time.perf_counter(), 500
        scope.setdefault("state", {})

        async def noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting_status)
        finally:
            is_quiet = scope["path"] in _QUIET_PATHS and status < 500
            fields = {
                "method": scope["method"],
                "path": scope["path"][:_LONGEST_PATH],
                "status": status,
                "ms": round((time.perf_counter() - began) * 1000, 1),
                # whom `Server.principal` found; None for nobody, and on a server without keys
                "key": getattr(scope["state"].get("who"), "key_id", None) or None,
            }
            _LOG.log(logging.DEBUG if is_quiet else logging.INFO, "request", extra={FIELDS: fields})


def _values(record: logging.LogRecord) -> dict[str, Any]:
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    values = {"time": at, "level": record.levelname.lower(), "message": record.getMessage()}
    values |= getattr(record, FIELDS, {})
    if record.exc_info and record.exc_info[1] is not None:
        values["message"] = record.getMessage().partition("\n")[0]
        values["error"] = _places(record.exc_info[1])
    return values


def _places(error: BaseException) -> str:
    """Types of an error and of what caused it, with where each was raised; no messages."""
    said: list[str] = []
    one: BaseException | None = error
    while one is not None and len(said) < _FRAMES:
        frames = traceback.extract_tb(one.__traceback__)[-_FRAMES:]
        where = " > ".join(f"{frame.filename.rpartition('site-packages/')[2]}:{frame.lineno}" for frame in frames)
        said.append(f"{type(one).__name__} at {where}" if where else type(one).__name__)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return "; from ".join(said)


def _flat(line: str) -> str:
    """The line without what could begin another or steer a terminal."""
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in line)
