"""The proxy itself: chats get what is remembered and are remembered; everything else under /v1 passes unchanged.

    POST /v1/chat/completions    recall, pass on, remember; streamed or not
    *    /v1/...                 passed on as it is, also POST /v1/responses
    GET  /health                 that it runs

The model's answer passes through as it comes, byte for byte, and is read on its way. The memory can fail without the
chat: then `X-Mnemic-Recalled: 0` says so, with X-Mnemic-Reason, and the log says why. A client that leaves stops the
model, and what came until then is remembered as partial. What the upstream refuses is not remembered: a retry will be.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

from mnemic.clock import Clock, SystemClock
from mnemic.errors import DependencyMissing, InvalidInput, MnemicError
from mnemic.integrations.handle import Handle
from mnemic.proxy import http
from mnemic.proxy.answers import Assembly
from mnemic.proxy.block import with_block
from mnemic.proxy.chat import Recalled, line_up_with_log, recall, remember_answers, remember_asked
from mnemic.proxy.http import Gone, Headers, Message, Receive, Request, Send, TooLarge
from mnemic.proxy.settings import Settings
from mnemic.proxy.turns import Lined
from mnemic.proxy.whose import NotAllowed, Whose, whose

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
WORKERS = 8  # calls of the memory that run side by side
WAIT_FOR_WRITE_S = 2.0  # how long the end of an answer is held back until it is remembered
CHAT = "/v1/chat/completions"
log = logging.getLogger("mnemic.proxy")


def proxy_app(
    handle_of: Callable[[str], Handle],
    upstream: str | None = None,
    *,
    settings: Settings | None = None,
    clock: Clock | None = None,
) -> Proxy:
    """An ASGI app that stands between OpenAI clients and an endpoint that speaks their protocol.

    handle_of: the handle on a scope, such as `memory.scope`. upstream: the endpoint's address with its /v1; the rest is in
    `settings`. Run it with uvicorn, or mount it in another app, which then calls `aclose` at its end.
    Raises DependencyMissing where httpx is not installed.
    """
    from dataclasses import replace

    chosen = settings or Settings()
    return Proxy(handle_of, chosen if upstream is None else replace(chosen, upstream=upstream), clock or SystemClock())


@dataclass(slots=True)
class _Chat:
    """What is known of the memory of one chat."""

    whose: Whose
    messages: Sequence[Any]
    handle: Handle | None = None
    lined: Lined | None = None


class Proxy:
    """See `proxy_app`, which makes it."""

    def __init__(self, handle_of: Callable[[str], Handle], settings: Settings, clock: Clock) -> None:
        if find_spec("httpx") is None:
            raise DependencyMissing('The proxy needs httpx. Install it with: pip install "mnemic[server]"')
        self.settings = settings
        self._handle_of = handle_of
        self._clock = clock
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="mnemic-proxy")
        self._client: httpx.AsyncClient | None = None
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._writing: set[asyncio.Task[Any]] = set()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._request(http.request_from(scope), receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1003})

    async def settle(self) -> None:
        """Wait until everything that passed is remembered."""
        while self._writing:
            await asyncio.wait(set(self._writing))

    async def aclose(self) -> None:
        """Remember what still waits, and close the connections to the upstream. The memory stays open."""
        await self.settle()
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()
        self._pool.shutdown(wait=False)

    # -- requests -----------------------------------------------------------------------------------------

    async def _request(self, request: Request, receive: Receive, send: Send) -> None:
        if request.path == "/health" and request.method in ("GET", "HEAD"):
            await http.answer(send, 200, {"status": "ok"})
            return
        if refused := http.refusal(self.settings, request):
            await http.complain(send, *refused, "invalid_api_key" if refused[0] == 401 else "not_allowed")
        elif not request.path.startswith("/v1/") or http.is_climbing(request.target.split("?")[0]):
            await http.complain(
                send, 404, "This proxy serves what is under /v1/. Set the base URL to end in /v1.", "not_found"
            )
        elif request.path.rstrip("/") == CHAT and request.method == "POST":
            await self._chat_request(request, receive, send)
        else:
            await self._pass_request(request, receive, send)

    async def _pass_request(self, request: Request, receive: Receive, send: Send) -> None:
        """Anything but a chat: body and answer pass as they come, encoded as they are."""
        is_read = asyncio.Event()
        headers = http.for_upstream(self.settings, request, is_read_here=False)
        has_body = any(name in (b"content-length", b"transfer-encoding") for name, _ in request.headers)
        body = http.chunks_of(receive, is_read) if has_body else None
        if body is None:
            is_read.set()

        async def work() -> None:
            response = await self._ask(request, headers, body, send)
            if response is not None:
                await self._pass_answer(response, send, [])

        await http.while_listened_to(work(), receive, is_read)

    async def _chat_request(self, request: Request, receive: Receive, send: Send) -> None:
        try:
            body = await http.body_of(receive, self.settings.max_body_bytes)
        except Gone:
            return
        except TooLarge:
            most = self.settings.max_body_bytes
            await http.complain(send, 413, f"The request has more than {most:,} bytes. Send less.", "too_large")
            return
        value = _object(body)
        try:
            place = whose(
                self.settings, {name.decode("latin-1"): text.decode("latin-1") for name, text in request.headers}, value
            )
        except NotAllowed as error:
            await http.complain(send, 403, str(error), "not_allowed")
            return
        except InvalidInput as error:
            await http.complain(send, 400, str(error), "invalid_memory")
            return
        messages = value.get("messages")
        chat = _Chat(place, messages) if place is not None and isinstance(messages, list) else None
        await http.while_listened_to(self._chat(request, body, value, chat, send), receive)

    async def _chat(self, request: Request, body: bytes, value: dict[str, Any], chat: _Chat | None, send: Send) -> None:
        recalled = await self._recalled(chat) if chat else Recalled(reason="not-kept-here")
        if recalled.block and chat:
            body = json.dumps({**value, "messages": with_block(chat.messages, recalled.block)}).encode()
        headers = http.for_upstream(self.settings, request, is_read_here=True)
        response = await self._ask(request, [*headers, (b"content-length", str(len(body)).encode())], body, send)
        if response is None:
            return
        told = [(b"x-mnemic-recalled", str(recalled.count).encode())]
        told += [(b"x-mnemic-reason", recalled.reason.encode())] if recalled.reason else []
        if chat is None or not response.is_success or not self.settings.is_remembering:
            await self._pass_answer(response, send, told)
            return
        assembly = Assembly(response.headers.get("content-type", ""))
        is_over = asyncio.Event()
        written = self._later(self._remember(chat, assembly, is_over))
        try:
            is_whole = await self._pass_answer(response, send, told, assembly)
        finally:
            is_over.set()  # also when the client left: what came until then is kept
        await asyncio.wait({written}, timeout=WAIT_FOR_WRITE_S)
        if is_whole:
            await send({"type": "http.response.body", "body": b""})

    # -- the upstream -------------------------------------------------------------------------------------

    async def _ask(
        self, request: Request, headers: Headers, body: bytes | AsyncIterator[bytes] | None, send: Send
    ) -> httpx.Response | None:
        """The upstream's answer, its body not yet read; None when it gave none, and the client has been told."""
        import httpx

        client = self._open()
        url = self.settings.base + request.target.removeprefix("/v1")
        try:
            return await client.send(
                client.build_request(request.method, url, headers=headers, content=body), stream=True
            )
        except Gone:
            return None
        except httpx.TimeoutException as error:
            status, said = 504, f"did not answer in time ({type(error).__name__})"
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            status, said = 502, f"cannot be reached ({type(error).__name__})"
        log.warning("The upstream %s %s.", self.settings.base, said)
        await http.complain(
            send, status, f"The upstream {self.settings.base} {said}. Check its address, or try again.", "upstream"
        )
        return None

    async def _pass_answer(
        self, response: httpx.Response, send: Send, more: Headers, assembly: Assembly | None = None
    ) -> bool:
        """Send on what the upstream answers; whether all of it came. An assembly reads it, and then the end is left open."""
        import httpx

        is_decoded = assembly is not None and "content-encoding" in response.headers
        besides = frozenset({b"content-encoding", b"content-length"} if is_decoded else ())
        headers = [*http.passing(response.headers.raw, besides=besides), *more]
        try:
            await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            async for chunk in response.aiter_bytes() if is_decoded else response.aiter_raw():
                if assembly is not None:
                    assembly.feed(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except httpx.HTTPError as error:  # the answer is left open, so that the client sees that it broke off
            log.warning("The upstream %s broke off its answer (%s).", self.settings.base, type(error).__name__)
            return False
        finally:
            await asyncio.shield(response.aclose())
        if assembly is None:
            await send({"type": "http.response.body", "body": b""})
        return True

    def _open(self) -> httpx.AsyncClient:
        import httpx

        if self._client is None:
            given = self.settings
            self._client = httpx.AsyncClient(
                timeout=httpx.Timeout(given.read_timeout_s, connect=given.connect_timeout_s, pool=None),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
                # no cookie is kept: one client's would be sent with the next one's request
                cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            )
        return self._client

    # -- the memory ---------------------------------------------------------------------------------------

    async def _recalled(self, chat: _Chat) -> Recalled:
        """What is recalled for a chat, in time; where the memory fails, nothing, and the chat goes on."""
        try:
            return await asyncio.wait_for(self._line_up_and_recall(chat), self.settings.recall_timeout_s)
        except TimeoutError:
            log.warning("Recalling took more than %s s; the chat goes on without.", self.settings.recall_timeout_s)
            return Recalled(reason="memory-slow")
        except Exception as error:
            _warn("Recalling failed; the chat goes on without", error)
            return Recalled(reason="memory-failed")

    async def _line_up_and_recall(self, chat: _Chat) -> Recalled:
        chat.handle = await self._run(self._handle_of, chat.whose.scope)
        chat.lined = await self._lined(chat)
        if not self.settings.is_recalling:
            return Recalled(reason="switched-off")
        given = self.settings
        return await self._run(
            recall,
            chat.handle,
            chat.messages,
            chat.lined.shown if chat.lined else frozenset(),
            budget_tokens=given.budget_tokens,
            min_confidence=given.min_confidence,
        )

    async def _lined(self, chat: _Chat) -> Lined | None:
        async with self._lock(chat.whose.scope):  # behind what is being written of this scope
            return await self._run(line_up_with_log, chat.handle, chat.messages, chat.whose.session, self._clock)

    async def _remember_asked(self, chat: _Chat) -> str | None:
        """Remember the new turns; the id of the last, None where there is none or it failed."""
        try:
            if chat.handle is None:
                chat.handle = await self._run(self._handle_of, chat.whose.scope)
            if chat.lined is None:  # recalling failed or took too long
                chat.lined = await self._lined(chat)
            if chat.lined is None:
                return None
            async with self._lock(chat.whose.scope):
                return await self._run(remember_asked, chat.handle, chat.lined, chat.whose.session)
        except Exception as error:
            _warn("What was asked could not be remembered", error)
            return None

    async def _remember(self, chat: _Chat, assembly: Assembly, is_over: asyncio.Event) -> None:
        """Remember the new turns at once, and the answer when it is over."""
        after = await self._remember_asked(chat)
        await is_over.wait()
        answers = assembly.answers()
        if after is None or not answers.messages:
            return
        try:
            async with self._lock(chat.whose.scope):
                await self._run(remember_answers, chat.handle, chat.lined, chat.whose.session, after, answers)
        except Exception as error:
            _warn("The answer could not be remembered", error)

    def _later(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do it even when the request that it is for is cancelled."""
        task = asyncio.ensure_future(work)
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return task

    def _lock(self, scope: str) -> asyncio.Lock:
        lock = self._locks.get(scope)
        if lock is None:
            lock = self._locks[scope] = asyncio.Lock()
        return lock

    async def _run(self, call: Callable[..., T], *args: Any, **named: Any) -> T:
        context = contextvars.copy_context()  # spans of the memory are children of the request's
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: context.run(call, *args, **named))

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _warn(what: str, error: Exception) -> None:
    """Log what the memory could not do. Only our own errors are quoted: others may hold anything."""
    said = f"{type(error).__name__}: {error}" if isinstance(error, MnemicError) else type(error).__name__
    log.warning("%s. %s", what, said)
