"""Requests of a model run on one event loop in a thread of its own, whoever asks: threads, coroutines, many loops.

So the way of a request is written once, as a coroutine; one limit holds for all who ask; and giving up is exact: a
request that waits, sleeps or reads is cancelled at once, where closing a connection under a blocked thread would leave it
waiting until its timeout. The loop starts with the first request and ends with the process; a forked process starts
its own.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent import futures
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

from mnemic.errors import LLMClosed

CLOSING_S = 5.0  # connections that do not close within this time are left


class Client(Protocol):
    """What holds the connections."""

    def close(self) -> Awaitable[None]:
        """Release them."""
        ...


T = TypeVar("T")
C = TypeVar("C", bound=Client)


class Desk(Generic[C]):
    """Takes requests from anywhere, lets `concurrency` of them run at a time, and can be closed under all of them.

    name: what errors call it. open_client: makes the client that a request is given, at the first one.
    """

    def __init__(self, name: str, open_client: Callable[[], C], concurrency: int) -> None:
        self._name = name
        self._open_client = open_client
        self._concurrency = concurrency
        self._lock = threading.Lock()
        self._is_closed = False
        self._under_way: set[futures.Future[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._client: C | None = None
        self._places = asyncio.Semaphore(concurrency)

    def ask(self, request: Callable[[C], Coroutine[Any, Any, T]]) -> T:
        """The request's result; this thread waits for it. Raises LLMClosed where `close` comes first."""
        future = self._start(request)
        try:
            return future.result()
        except futures.CancelledError:
            raise self._closed() from None
        except BaseException:  # such as Ctrl-C, which interrupts the wait and not the request
            future.cancel()
            raise

    async def aask(self, request: Callable[[C], Coroutine[Any, Any, T]]) -> T:
        """The same, for a coroutine of any loop; the request is cancelled with its task."""
        future = self._start(request)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._is_closed and not (task and task.cancelling()):
                raise self._closed() from None
            raise

    def close(self) -> None:
        """Give up every request and release the connections. May be called twice."""
        with self._lock:
            self._is_closed = True
            given_up, client, loop = list(self._under_way), self._client, self._loop
            self._client = None
        for future in given_up:
            future.cancel()
        if client is not None and loop is not None and _is_ours(loop):
            with suppress(futures.TimeoutError, RuntimeError):  # RuntimeError: the loop ended with the process
                asyncio.run_coroutine_threadsafe(_close(client), loop).result(CLOSING_S)

    def _start(self, request: Callable[[C], Coroutine[Any, Any, T]]) -> futures.Future[T]:
        with self._lock:
            if self._is_closed:
                raise self._closed()
            loop = _background_loop()
            if self._client is None or loop is not self._loop:  # the first request, or the first after a fork
                self._client, self._loop = self._open_client(), loop
                self._places = asyncio.Semaphore(self._concurrency)
            future = asyncio.run_coroutine_threadsafe(_in_turn(self._places, request, self._client), loop)
            self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)
        return future

    def _closed(self) -> LLMClosed:
        return LLMClosed(f"{self._name} was closed before it answered. Open it again and ask once more.")


async def _in_turn(places: asyncio.Semaphore, request: Callable[[C], Coroutine[Any, Any, T]], client: C) -> T:
    async with places:
        return await request(client)


async def _close(client: Client) -> None:
    await client.close()


_starting = threading.Lock()
_running: tuple[int, asyncio.AbstractEventLoop, threading.Thread] | None = None


def _background_loop() -> asyncio.AbstractEventLoop:
    global _running
    with _starting:
        if _running is None or _running[0] != os.getpid() or _running[1].is_closed():
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever, name="mnemic-models", daemon=True)
            thread.start()
            atexit.register(_stop, os.getpid(), loop, thread)
            _running = (os.getpid(), loop, thread)
        return _running[1]


def _is_ours(loop: asyncio.AbstractEventLoop) -> bool:
    return _running is not None and _running[0] == os.getpid() and _running[1] is loop and not loop.is_closed()


def _stop(pid: int, loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    if pid == os.getpid():  # a forked process has the loop's copy, not its thread
        loop.call_soon_threadsafe(loop.stop)
        thread.join(CLOSING_S)
        if not thread.is_alive():
            loop.close()
