"""A real server on a free port of this machine, and one that answers whatever a test wants."""

import socket
import threading
import time
from contextlib import contextmanager

import uvicorn

from mnemic.serve.app import create_app
from mnemic.serve.settings import Settings


@contextmanager
def served(app, port=0):
    """An ASGI application behind uvicorn; its address."""
    config = uvicorn.Config(app, port=port, log_level="critical", ws="none", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.005)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)


@contextmanager
def mnemic_at(folder, clock, port=0, **settings):
    """A Mnemic server over a folder; (its address, its application)."""
    wanted = {"embedder": "hashing", "consolidate_after_s": None} | settings
    app = create_app(Settings(data=folder, **wanted), clock)
    with served(app, port) as url:
        yield url, app


@contextmanager
def raw(answers):
    """A socket that gives each connection the next of these bytes, and the last one for ever; (address, what was asked)."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(0.01)
    asked, is_over = [], threading.Event()

    def serve():
        given = 0
        while not is_over.is_set():
            try:
                connection, _ = listening.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(5)
                said = b""
                try:
                    while b"\r\n\r\n" not in said and (more := connection.recv(65536)):
                        said += more
                    head, _, body = said.partition(b"\r\n\r\n")
                    length = next(
                        (
                            int(line.split(b":")[1])
                            for line in head.split(b"\r\n")
                            if line.lower().startswith(b"content-length")
                        ),
                        0,
                    )
                    while len(body) < length and (more := connection.recv(65536)):
                        body += more
                    asked.append(head + b"\r\n\r\n" + body)
                    connection.sendall(answers[min(given, len(answers) - 1)])
                except OSError:
                    pass
                given += 1

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
    finally:
        is_over.set()
        thread.join(5)
        listening.close()


def http(status, body=b"", kind="application/json", *headers, length=None):
    """The bytes of an HTTP answer; `length` claims another one than the body has."""
    head = [
        f"HTTP/1.1 {status} Some",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body) if length is None else length}",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body
