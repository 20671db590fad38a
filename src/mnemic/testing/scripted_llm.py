"""A language model that answers as a test tells it, behind a real HTTP server on 127.0.0.1.

It speaks OpenAI's chat completions and Anthropic's messages, whole and streamed, with forced tools and JSON schemas, and
lists its one model under /v1/models. Connections are kept; request bodies may come in chunks. Standard library only.
"""

from __future__ import annotations

import hmac
import json
import socket
import sys
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from types import ModuleType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from mnemic.errors import ParameterError
from mnemic.testing import anthropic_wire, openai_wire
from mnemic.testing.asked import Asked, Reply
from mnemic.testing.malformed import NO_TEXT
from mnemic.testing.script import Script, completed
from mnemic.testing.wire import BadRequest, kind_of_error

MAX_BODY_BYTES = 64 * 2**20
_SECRET = frozenset({"authorization", "proxy-authorization", "x-api-key", "api-key", "cookie"})
_WIRES: Mapping[str, ModuleType] = {"/v1/chat/completions": openai_wire, "/v1/messages": anthropic_wire}


class ScriptedLLM(Script):
    """The server: started by `with`, or by `start()` until `close()`; started again it has the same port.

    api_key: the only key that it takes; any, or none, where None. model: the name under /v1/models; requests may name any.
    """

    def __init__(self, *, api_key: str | None = None, model: str = "scripted") -> None:
        super().__init__()
        self.model = model
        self._api_key = api_key
        self._port = 0
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port it listens on. Raises ParameterError before the first start."""
        if not self._port:
            raise ParameterError("The scripted model has no address yet. Use `with ScriptedLLM() as llm:`, or start().")
        return self._port

    @property
    def base_url(self) -> str:
        """For OpenAI's clients; ends in /v1."""
        return f"{self.anthropic_base_url}/v1"

    @property
    def anthropic_base_url(self) -> str:
        """For Anthropic's clients, which add the /v1 themselves."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Listen."""
        if self._server is None:
            self._server = _Server(self._port, self)
            self._port = self._server.server_address[1]
            self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
            self._thread.start()
        return self

    def close(self) -> None:
        """Close all connections, also where an answer is under way, and the port."""
        if self._server is not None and self._thread is not None:
            self._server.stopping.set()
            self._server.shutdown()
            self._thread.join()
            self._server.hang_up()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def admits(self, headers: Mapping[str, str]) -> bool:
        """Whether a request with these headers has the key."""
        if self._api_key is None:
            return True
        given = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), self._api_key.encode())


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, llm: ScriptedLLM) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.llm = llm
        self.stopping = threading.Event()
        self._open: dict[threading.Thread, socket.socket] = {}

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer would ask for the host's name, which can take seconds

    def process_request(self, request: Any, client_address: Any) -> None:
        thread = threading.Thread(target=self._converse, args=(request, client_address), daemon=True)
        self._open[thread] = request
        thread.start()

    def _converse(self, request: Any, client_address: Any) -> None:
        try:
            self.process_request_thread(request, client_address)
        finally:
            self._open.pop(threading.current_thread(), None)

    def hang_up(self) -> None:
        """Close what connections are left, and wait for their threads."""
        for thread, connection in list(self._open.items()):
            with suppress(OSError):  # the other side was quicker
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(5)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        if not isinstance(error, ConnectionError):  # that the other side leaves is no noise
            self.llm._problem(500, f"The server failed with {type(error).__name__}: {error}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "mnemic-testing"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = 65_536
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        llm = self.server.llm
        if llm.is_down:
            self.close_connection = True
        elif not llm.admits(self._all_headers()):
            self._refuse(openai_wire, 401, "Incorrect API key provided.")
        elif path == "/v1/models":
            models = [_model(llm.model)]
            names = {"first_id": llm.model, "last_id": llm.model, "has_more": False}
            self._send(200, _json({"object": "list", "data": models, **names}))
        elif path == f"/v1/models/{llm.model}":
            self._send(200, _json(_model(llm.model)))
        else:
            self._refuse(openai_wire, 404, f"There is no {path}; there are /v1/models and /v1/models/{llm.model}.")

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        wire = _WIRES.get(path, openai_wire)
        headers = self._all_headers()
        try:
            body = self._body()
            if not self.server.llm.admits(headers):
                self._refuse(wire, 401, "Incorrect API key provided.")
            elif path not in _WIRES:
                self._refuse(wire, 404, f"There is no {path}; there are {' and '.join(_WIRES)}.")
            else:
                shown = {name: value for name, value in headers.items() if name not in _SECRET}
                self._answer(wire, *self.server.llm._reply(wire.read(_object(body), shown)))
        except BadRequest as error:
            self._refuse(wire, 400, str(error))

    def _answer(self, wire: ModuleType, asked: Asked, reply: Reply) -> None:
        is_stopped = reply.delay_s > 0 and self.server.stopping.wait(reply.delay_s)
        if is_stopped or reply.drops == "at once":
            self.close_connection = True
        elif reply.raw is not None:
            self._send(reply.status, reply.raw, reply.headers, is_half=reply.drops is not None)
        elif reply.malformed == "html":
            content = {"content-type": "text/html; charset=utf-8", **reply.headers}
            self._send(reply.status, reply.text.encode(), content, is_half=reply.drops is not None)
        elif reply.status >= 400:
            self._refuse(wire, reply.status, reply.text, reply.headers, number=asked.number)
        else:
            said = completed(asked, reply)
            headers = {"x-request-id": f"req_{asked.number}", "request-id": f"req_{asked.number}", **reply.headers}
            if asked.is_streamed:
                events = [event.encoded() for event in wire.stream(asked, said)]
                self._stream([_spoilt(one, reply) for one in events], headers, is_half=reply.drops is not None)
            else:
                body = _spoilt(_json(wire.whole(asked, said)), reply)
                self._send(reply.status, body, headers, is_half=reply.drops is not None)

    def _refuse(
        self, wire: ModuleType, status: int, message: str, headers: Mapping[str, str] | None = None, number: int = 0
    ) -> None:
        identity = {"x-request-id": f"req_{number}", "request-id": f"req_{number}"}
        self._send(status, _json(wire.error(kind_of_error(status), message)), {**identity, **(headers or {})})

    def _send(
        self, status: int, content: bytes, headers: Mapping[str, str] | None = None, *, is_half: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in {
            "content-type": "application/json",
            **(headers or {}),
            "content-length": str(len(content)),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if is_half else content)
        self.close_connection = self.close_connection or is_half

    def _stream(self, events: list[bytes], headers: Mapping[str, str], *, is_half: bool) -> None:
        self.send_response(200)
        for name, value in {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache",
            **headers,
            "transfer-encoding": "chunked",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        for event in events[: len(events) // 2] if is_half else events:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            self.wfile.flush()
        if is_half:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _all_headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def _body(self) -> bytes:
        """The request's body. Raises BadRequest, and closes the connection, where its end cannot be found."""
        if self.headers.get("transfer-encoding", "identity").lower() == "chunked":
            return b"".join(self._chunks())
        length = self.headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()) or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            raise BadRequest(f"content-length: a number of at most {MAX_BODY_BYTES} is needed")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionResetError("the client left in the middle of its request")
        return body

    def _chunks(self) -> Iterable[bytes]:
        left = MAX_BODY_BYTES
        while True:
            try:
                size = int(self.rfile.readline(1000).partition(b";")[0], 16)
            except ValueError:
                size = -1
            left -= size
            if size < 0 or left < 0:
                self.close_connection = True
                raise BadRequest("transfer-encoding: a chunk's size cannot be read, or the body is too large")
            if size == 0:
                break
            yield self.rfile.read(size)
            self.rfile.readline(1000)
        while self.rfile.readline(1000).strip():
            pass  # trailers


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BadRequest("We could not parse the JSON body of your request; it has to be an object.")
    return value


def _spoilt(content: bytes, reply: Reply) -> bytes:
    if reply.malformed != "invalid_utf8":
        return content
    return content.replace(json.dumps(NO_TEXT).strip('"').encode(), b"\xff\xc3")


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _model(name: str) -> dict[str, Any]:
    """The model in a form that is right in both protocols."""
    openai = {"id": name, "object": "model", "created": 0, "owned_by": "mnemic"}
    return openai | {"type": "model", "display_name": name, "created_at": "1970-01-01T00:00:00Z"}
