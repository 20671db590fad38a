"""An endpoint that speaks the OpenAI protocol over real HTTP and answers what a test has written for it.

    with ScriptedLLM() as llm:
        llm.will(says("Porto."), streams("It ", "rains."), refuses(429, "slow down", retry_after=2))

Each request takes the next reply, the last one again and again; `llm.requests` has what came in.
"""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Asked:
    """One request as it came in."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def messages(self) -> list[dict[str, Any]]:
        return self.body["messages"]

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass
class Reply:
    """What is sent back: all pieces, each after a pause; `breaks_off` closes the connection behind the last one."""

    status: int = 200
    pieces: Sequence[bytes] = ()
    headers: dict[str, str] = field(default_factory=dict)
    pause_s: float = 0.0  # before each piece
    wait_s: float = 0.0  # before anything is sent
    breaks_off: bool = False
    goes_on: bool = False  # sends the last piece until the other side leaves


class ScriptedLLM:
    """The server; `base_url` ends in /v1. `left` is set when the other side left before the end of a reply."""

    def __init__(self) -> None:
        self.requests: list[Asked] = []
        self.left = threading.Event()
        self._replies: list[Reply] = [says("Yes.")]
        self._lock = threading.Lock()
        llm = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                llm._answer(self)

            do_GET = do_POST = do_DELETE = do_PUT = answer  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> ScriptedLLM:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def will(self, *replies: Reply) -> None:
        """Answer so from now on, in this order."""
        with self._lock:
            self._replies = list(replies)

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        with self._lock:
            raw = _read(handler)
            self.requests.append(Asked(handler.command, handler.path, list(handler.headers.items()), raw))
            reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        try:
            self._send(handler, reply)
        except OSError:
            self.left.set()
            handler.close_connection = True

    def _send(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        time.sleep(reply.wait_s)
        handler.send_response(reply.status)
        is_streamed = "content-length" not in {name.lower() for name in reply.headers}
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        if is_streamed:
            handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        for piece in reply.pieces:
            time.sleep(reply.pause_s)
            _write(handler, piece, is_streamed)
        while reply.goes_on:
            time.sleep(0.005)
            _write(handler, reply.pieces[-1], is_streamed)
        if reply.breaks_off:
            handler.close_connection = True
        elif is_streamed:
            handler.wfile.write(b"0\r\n\r\n")


def says(text: str | None, *, calls: Sequence[dict[str, Any]] = (), more: Sequence[str] = (), **reply: Any) -> Reply:
    """A whole answer; `more` are further choices."""
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    if calls:
        message["tool_calls"] = list(calls)
    choices = [{"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop", "logprobs": None}]
    for other in more:
        choices.append(
            {"index": len(choices), "message": {"role": "assistant", "content": other}, "finish_reason": "stop"}
        )
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "scripted-1", "choices": choices}
    return gives(body, **reply)


def gives(value: Any, status: int = 200, headers: dict[str, str] | None = None, **reply: Any) -> Reply:
    """A JSON value."""
    raw = json.dumps(value).encode()
    given = {"Content-Type": "application/json", "Content-Length": str(len(raw)), "x-request-id": "req-7"}
    return Reply(status, [raw], given | (headers or {}), **reply)


def zipped(text: str) -> Reply:
    """A whole answer that is compressed though nobody asked for it."""
    raw = gzip.compress(says(text).pieces[0], mtime=0)
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip", "Content-Length": str(len(raw))}
    return Reply(200, [raw], headers)


def refuses(status: int, message: str, retry_after: int | None = None) -> Reply:
    """An error in the protocol's form."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return gives({"error": {"message": message, "type": "scripted", "param": None, "code": "no"}}, status, headers)


def streams(*texts: str, is_finished: bool = True, **reply: Any) -> Reply:
    """An answer as a stream, a chunk for each text."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": text} for text in texts)]
    return streams_deltas(*deltas, is_finished=is_finished, **reply)


def streams_deltas(*deltas: dict[str, Any], is_finished: bool = True, finish: str = "stop", **reply: Any) -> Reply:
    """A stream of deltas, as server-sent events."""
    pieces = [event(_chunk({"index": 0, "delta": delta, "finish_reason": None})) for delta in deltas]
    if is_finished:
        pieces += [event(_chunk({"index": 0, "delta": {}, "finish_reason": finish})), b"data: [DONE]\n\n"]
    return Reply(200, pieces, {"Content-Type": "text/event-stream; charset=utf-8"}, **reply)


def event(value: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def call(id: str, name: str, arguments: str) -> dict[str, Any]:
    """One tool call."""
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _chunk(choice: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "scripted-1",
        "choices": [choice],
    }


def _read(handler: BaseHTTPRequestHandler) -> bytes:
    if handler.headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while size := int(handler.rfile.readline(), 16):
            body += handler.rfile.read(size)
            handler.rfile.readline()
        handler.rfile.readline()
        return body
    return handler.rfile.read(int(handler.headers.get("content-length", 0)))


def _write(handler: BaseHTTPRequestHandler, piece: bytes, is_streamed: bool) -> None:
    handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if is_streamed else piece)
    handler.wfile.flush()
