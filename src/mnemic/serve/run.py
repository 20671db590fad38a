"""Running a server: its socket, its locks, its logs, and a graceful end.

One process serves a data folder; a second is refused, whatever its port. SIGTERM and SIGINT let requests and jobs end:
no new connection is taken, what is under way gets GRACE_S, jobs stop at their next scope, files are closed. Killed
outright, the next start goes on where this one was.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import sqlite3
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mnemic._version import __version__
from mnemic.errors import DependencyMissing, ParameterError, StoreBusy, StoreReadOnly
from mnemic.serve.control import FILE, Control
from mnemic.serve.keys import Keys
from mnemic.serve.logs import FIELDS, Door, Format, configure

if TYPE_CHECKING:
    import uvicorn

    from mnemic.serve.settings import Settings

GRACE_S = 20  # for requests under way when the server is told to stop
LOCK = "server.lock"
MOST_FILES = 65_536  # where the system's limit is none at all
_BACKLOG = 2048
_LOG = logging.getLogger("mnemic.serve")


def serve(settings: Settings, *, log_format: Format = "text", verbose: bool = False) -> None:
    """Serve a data folder until SIGTERM or SIGINT.

    Raises DependencyMissing, ParameterError for what cannot be listened on, StoreBusy where the folder is served already,
    and whatever keeps the application from starting.
    """
    try:
        import uvicorn

        from mnemic.serve.app import create_app
        from mnemic.serve.limits import http_protocol
    except ImportError as error:
        raise DependencyMissing(
            f'The server needs the package {error.name}, which is not installed. Run `pip install "mnemic[server]"`.'
        ) from error
    check_tls(settings.tls_cert, settings.tls_key)
    make_folder(settings.data)
    with only_one(settings.data):
        has_keys = check_keys(settings)
        with bound(settings.host, settings.port) as listening:
            configure(log_format, verbose=verbose)
            raise_file_limit()
            door = Door(create_app(settings, holds_folder=True))
            config = uvicorn.Config(
                door,
                log_config=None,
                access_log=False,
                lifespan="on",
                ws="none",
                http=http_protocol(),
                server_header=False,
                timeout_keep_alive=30,
                timeout_graceful_shutdown=GRACE_S,
                ssl_certfile=settings.tls_cert,
                ssl_keyfile=settings.tls_key,
            )
            scheme = "https" if settings.tls_cert else "http"
            _run(uvicorn.Server(config), door, listening, _greeting(settings, scheme, listening, has_keys))


def make_folder(data: Path) -> None:
    """The data folder, for its owner alone where it is made. Raises StoreReadOnly."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreReadOnly(
            f"The data folder {data} cannot be made ({error.strerror}). Give a folder that you may write to, with --data."
        ) from error


def check_keys(settings: Settings) -> bool:
    """Whether keys exist. Raises ParameterError where others could reach a server that has none."""
    with Control(settings.data / FILE) as control:
        has_keys = Keys(control).any()
    if not has_keys and not settings.is_loopback:
        raise ParameterError(
            f"Listening on {settings.host} without a key would give everything to everyone who can reach it. Make a key first: "
            f'`mnemic keys create --data {settings.data} --name me --scope ""`; or listen on 127.0.0.1.'
        )
    return has_keys


def check_tls(certificate: Path | None, key: Path | None) -> None:
    """Raise ParameterError for a certificate and key that cannot be read or do not belong together."""
    if certificate is None or key is None:
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ParameterError(
            f"The certificate {certificate} and the key {key} cannot be used ({error.strerror or error}). Give two PEM files "
            "that belong together, with --tls-cert and --tls-key; an encrypted key must be decrypted first."
        ) from error


@contextmanager
def only_one(data: Path) -> Iterator[None]:
    """Hold the folder for this process. Raises StoreBusy where another serves it."""
    # a lock of SQLite's on a file of its own: it works on every system, and ends with the process, however that ends
    lock = sqlite3.connect(data / LOCK, timeout=0.2, isolation_level=None, check_same_thread=False)
    try:
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if (error.sqlite_errorcode & 0xFF) == sqlite3.SQLITE_BUSY:
                raise StoreBusy(
                    f"Another server serves {data} already. Stop it first, or give another folder with --data."
                ) from None
            raise StoreReadOnly(
                f"{data / LOCK} cannot be written ({error}). Check that you may write there."
            ) from error
        yield
    finally:
        lock.close()


@contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """A listening socket. Raises ParameterError, with what to do, where there can be none."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ParameterError(
            f"{host!r} is no address of this machine ({error.strerror}). Give one with --host."
        ) from error
    with made:
        if os.name == "posix":  # elsewhere it would let two servers share a port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind(address)
            made.listen(_BACKLOG)
        except OSError as error:
            raise ParameterError(_cannot_listen(host, port, error)) from error
        yield made


def raise_file_limit() -> None:
    """Let this process open as many files as it may: every open tenant takes a few for each thread."""
    try:
        import resource
    except ImportError:  # not on this system, which has no such limit
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else hard
    with suppress(ValueError, OSError):  # the limit stays as it is
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _run(server: uvicorn.Server, door: Door, listening: socket.socket, greeting: tuple[str, dict[str, object]]) -> None:
    def stop(*_: object) -> None:
        server.should_exit = True

    if threading.current_thread() is threading.main_thread():
        # uvicorn raises a signal again when it has ended gracefully; with these, the process then leaves with 0
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
    message, fields = greeting
    _LOG.info(message, extra={FIELDS: fields})
    try:
        server.run(sockets=[listening])
    except SystemExit:  # the application did not start
        if door.failure is None:
            raise
    if door.failure is not None:
        raise door.failure
    _LOG.info("stopped")


def _greeting(
    settings: Settings, scheme: str, listening: socket.socket, has_keys: bool
) -> tuple[str, dict[str, object]]:
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    access = "keys" if has_keys else "open to this machine"
    return "starting", {
        "version": __version__,
        "url": f"{scheme}://{shown}:{port}",
        "data": str(settings.data),
        "access": access,
    }


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} of {host} is in use. Stop what listens there, or give another with --port."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"Port {port} needs more rights than this process has. Give one above 1023 with --port."
    return f"{host}:{port} cannot be listened on ({error.strerror}). Give an address of this machine with --host."
