"""How often and how much: a bucket of tokens for each caller, and a bound on what a request may bring."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mnemic.errors import TooLarge, TooManyRequests
from mnemic.serve.problems import from_error

_CALLERS = 10_000  # buckets that are remembered


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
            error.retry_after_s = max(1, round(wait + 0.5))  # type: ignore[attr-defined]
            raise error


class BodyLimit:
    """Refuses a body larger than `most_mb`, and on the import path larger than `import_mb`, as soon as that is known."""

    def __init__(self, app: ASGIApp, most_mb: float, import_mb: float, import_path: str) -> None:
        self._app = app
        self._most = int(most_mb * 2**20)
        self._most_import = int(import_mb * 2**20)
        self._import_path = import_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._most_import if scope["path"] == self._import_path else self._most
        error = TooLarge(
            f"The request is larger than {most / 2**20:g} MB, the most that this server takes. Send less at once."
        )
        said = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if said.isdigit() and int(said) > most:
            await from_error(error)(scope, receive, send)
            return
        seen = 0

        async def bounded() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                raise error
            return message

        await self._app(scope, bounded, send)
