"""How often and how much: a bucket of tokens for each caller, and a bound on what a request may bring."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mnemic.errors import MnemicError, TooLarge, TooManyRequests, Unauthenticated
from mnemic.serve.problems import from_error

MOST_HEAD = 64 * 1024  # bytes of a request line and headers, beyond the first piece
HEAD_S = 30.0
_CALLERS = 10_000  # buckets that are remembered
_OF_STRANGERS = 64 * 1024  # bytes of a body that are taken in before it is asked who sends them


class Rates:
    """A token bucket for each caller: `burst` requests at once, then `rate_per_s`. Without a rate, no limit."""

    def __init__(self, rate_per_s: float | None, burst: int) -> None:
        self._rate = rate_per_s
        self._burst = float(burst)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # caller -> (tokens, when)
        self._lock = threading.Lock()

    def take(self, caller: str) -> None:
        """Count one request. Raises TooManyRequests."""
        if self._rate is None:
            return
        now = time.monotonic()
        with self._lock:
            tokens, then = self._buckets.pop(caller, (self._burst, now))
            tokens = min(self._burst, tokens + (now - then) * self._rate)
            self._buckets[caller] = (max(tokens - 1.0, 0.0) if tokens >= 1.0 else tokens, now)
            if len(self._buckets) > _CALLERS:
                self._buckets.popitem(last=False)
        if tokens < 1.0:
            wait = (1.0 - tokens) / self._rate
            error = TooManyRequests(f"More than {self._rate:g} requests a second. Wait {wait:.1f} s and try again.")
            error.retry_after_s = max(1, round(wait + 0.5))
            raise error


class BodyLimit:
    """Refuses a body larger than `most_mb`, and on the import path larger than `import_mb`, as soon as that is known.

    knows: asked, in a thread, before more than a little is taken in: a caller that is not known gets Unauthenticated instead of
    the server's memory. Without it all are trusted alike.
    """

    def __init__(
        self,
        app: ASGIApp,
        most_mb: float,
        import_mb: float,
        import_path: str,
        knows: Callable[[HTTPConnection], bool] | None = None,
    ) -> None:
        self._app = app
        self._most = int(most_mb * 2**20)
        self._most_import = int(import_mb * 2**20)
        self._import_path = import_path
        self._knows = knows

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._most_import if scope["path"] == self._import_path else self._most
        is_known = self._knows is None
        refused: MnemicError | None = None
        has_begun = False
        seen = 0

        async def refuse_if(size: int) -> None:
            nonlocal is_known, refused
            if size > most:
                refused = TooLarge(
                    f"The request is larger than {most / 2**20:g} MB, the most that this server takes. Send less at once."
                )
            elif not is_known and size > _OF_STRANGERS and self._knows is not None:
                is_known = await run_in_threadpool(self._knows, HTTPConnection(scope))
                if not is_known:
                    refused = Unauthenticated(
                        "A request of this size needs a key. Send it as `Authorization: Bearer mnk_…`."
                    )
            if refused is not None:
                raise refused

        async def bounded() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            await refuse_if(seen)
            return message

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        said = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        try:
            await refuse_if(int(said[:20]) if said.isdigit() else 0)
            await self._app(scope, bounded, noted)
        except Exception:  # ours, or whatever an application makes of it
            if refused is None or has_begun:
                raise
            await from_error(refused)(scope, receive, send)


def http_protocol() -> type[asyncio.Protocol]:
    """uvicorn's own protocol, with a bound on the head of a request: without one a stranger fills the server's memory.

    For `uvicorn.Config(http=...)`. A head must be whole within HEAD_S, and so must the first one of a connection.
    """
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:  # without httptools uvicorn parses with h11, which has a bound of its own
        from uvicorn.protocols.http.h11_impl import H11Protocol

        return H11Protocol

    class Bounded(HttpToolsProtocol):
        _head = 0  # bytes of a head that is not whole yet
        _in_head = True
        _clock: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._clock = self.loop.call_later(HEAD_S, self._too_late)

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_clock()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            was_in_head = self._in_head
            super().data_received(data)
            if was_in_head and self._in_head:
                self._head += len(data)
                if self._head > MOST_HEAD and not self.transport.is_closing():
                    self.send_400_response("The head of this request is too large.")

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._in_head, self._head = True, 0
            self._stop_clock()
            self._clock = self.loop.call_later(HEAD_S, self._too_late)

        def on_headers_complete(self) -> None:
            self._in_head = False
            self._stop_clock()
            super().on_headers_complete()

        def _too_late(self) -> None:
            if self.transport is not None and not self.transport.is_closing():
                self.transport.close()

        def _stop_clock(self) -> None:
            if self._clock is not None:
                self._clock.cancel()
                self._clock = None

    return Bounded
