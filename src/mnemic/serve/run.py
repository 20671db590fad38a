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
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
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
API, MCP = "/v1", "/mcp"
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
            log_warnings()
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
            greeting = Greeting.of(settings, listening, has_keys)
            _run(_server(config, lambda: greet(greeting, log_format)), door, listening)


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
    """Hold the folder for this process. Raises StoreBusy where another serves or embeds it."""
    # a lock of SQLite's on a file of its own: it works on every system, and ends with the process, however that ends
    lock = sqlite3.connect(data / LOCK, timeout=0.2, isolation_level=None, check_same_thread=False)
    try:
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if (error.sqlite_errorcode & 0xFF) == sqlite3.SQLITE_BUSY:
                raise StoreBusy(
                    f"Another server serves {data} already, or it is being embedded again. Stop that first, or give another "
                    "folder with --data."
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


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a server says of itself once it answers."""

    url: str
    data: str
    has_keys: bool
    is_in_the_clear: bool  # others reach it, and there is no TLS

    @classmethod
    def of(cls, settings: Settings, listening: socket.socket, has_keys: bool) -> Greeting:
        """From the settings, and where it listens."""
        host, port = listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        url = f"{'https' if settings.tls_cert else 'http'}://{shown}:{port}"
        return cls(url, str(settings.data.absolute()), has_keys, not settings.is_loopback and not settings.tls_cert)

    @property
    def lines(self) -> tuple[str, str, str]:
        """For people."""
        here = self.url.replace("://0.0.0.0:", "://127.0.0.1:").replace("://[::]:", "://[::1]:")
        keys = "Keys are needed" if self.has_keys else "No key was made: only this machine may ask"
        return (
            f"Mnemic {__version__} is ready. The inspector: {here}/ (REST under {API}, MCP at {MCP}).",
            f"{keys}. `mnemic keys create` makes {'another' if self.has_keys else 'one'}.",
            f"Data: {self.data}. Ctrl-C ends the server.",
        )


def greet(greeting: Greeting, log_format: Format) -> None:
    """Say that the server answers: three lines to people, one event to a log; and whether keys can be overheard."""
    if log_format == "text":
        sys.stderr.write("".join(f"{line}\n" for line in greeting.lines))
        sys.stderr.flush()
    if log_format == "json" or not sys.stderr.isatty():  # a log that is kept, or read by a program
        access = "keys" if greeting.has_keys else "open to this machine"
        fields = {"version": __version__, "url": greeting.url, "data": greeting.data, "access": access}
        _LOG.info("ready", extra={FIELDS: fields})
    if greeting.is_in_the_clear:
        _LOG.warning(
            "Keys and memories travel in the clear, unless a proxy in front does TLS. Give --tls-cert and --tls-key, or "
            "listen on 127.0.0.1 behind the proxy."
        )


def log_warnings() -> None:
    """Log warnings without their place in the code, which tells an operator nothing."""

    def log(message: Warning | str, *_: object, **__: object) -> None:
        _LOG.warning("%s", message)

    warnings.showwarning = log


def _server(config: uvicorn.Config, greet: Callable[[], None]) -> uvicorn.Server:
    import uvicorn

    class Server(uvicorn.Server):
        """Greets once the application has started."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                greet()

    return Server(config)


def _run(server: uvicorn.Server, door: Door, listening: socket.socket) -> None:
    def stop(*_: object) -> None:
        server.should_exit = True

    if threading.current_thread() is threading.main_thread():
        # uvicorn raises a signal again when it has ended gracefully; with these, the process then leaves with 0
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
    try:
        server.run(sockets=[listening])
    except SystemExit:  # the application did not start
        if door.failure is None:
            raise
    if door.failure is not None:
        raise door.failure
    _LOG.info("stopped")


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} of {host} is in use. Stop what listens there, or give another with --port."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"Port {port} needs more rights than this process has. Give one above 1023 with --port."
    return f"{host}:{port} cannot be listened on ({error.strerror}). Give an address of this machine with --host."
