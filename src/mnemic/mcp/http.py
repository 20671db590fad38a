"""MCP over streamable HTTP: an ASGI application in which every request stands for itself.

No session is kept between requests. The factory is asked for each one who its caller is, and a server is made on just
that access, for that request alone: nobody can go on with what another key began, because there is nothing to go on with.
There is no lifespan to run either, so it can be mounted anywhere.

Hosts and origins that are not listed are refused, so that a web page cannot reach a server on its reader's own machine by
a name that it controls (DNS rebinding).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakValueDictionary

import anyio.to_thread
import mcp_types as types
from mcp.server.streamable_http_manager import DEFAULT_MAX_REQUEST_BODY_SIZE, StreamableHTTPSessionManager
from mcp.server.subscriptions import InMemorySubscriptionBus
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mnemic.errors import (
    AccessError,
    Conflict,
    InvalidInput,
    MnemicError,
    NotFound,
    StoreBusy,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
)
from mnemic.integrations.handle import Handle
from mnemic.mcp.access import Access, checked_tools
from mnemic.mcp.server import build_server

LOCAL_HOSTS = ("127.0.0.1", "127.0.0.1:*", "localhost", "localhost:*", "[::1]", "[::1]:*")
LOCAL_ORIGINS = tuple(f"{scheme}://{host}" for scheme in ("http", "https") for host in LOCAL_HOSTS)

HandleOf = Callable[[Request], Handle | Access]


def http_app(
    handle_of: HandleOf,
    *,
    tools: str = "default",
    name: str = "mnemic",
    allowed_hosts: Sequence[str] | None = LOCAL_HOSTS,
    allowed_origins: Sequence[str] = LOCAL_ORIGINS,
    max_body_bytes: int = DEFAULT_MAX_REQUEST_BODY_SIZE,
) -> ASGIApp:
    """An ASGI application that serves MCP to whoever `handle_of` gives a handle, or an `Access`, for their request.

    handle_of: called in a thread for each request, with its headers and query; what it raises becomes the HTTP answer
    (an HTTPException as it says, Unauthenticated 401, Forbidden 403, InvalidInput 422, NotFound 404, …). tools: the set that
    is served where the URL has no `?tools=`. allowed_hosts: Host headers that are served, "name", "name:port" or "name:*";
    allowed_origins the same for pages in a browser, with their scheme. None where both are checked in front of this.
    """
    security = TransportSecuritySettings(
        enable_dns_rebinding_protection=allowed_hosts is not None,
        allowed_hosts=list(allowed_hosts or ()),
        allowed_origins=list(allowed_origins),
    )
    return _App(
        handle_of,
        checked_tools(tools),
        name,
        security,
        max_body_bytes,
    )


class _App:
    def __init__(
        self, handle_of: HandleOf, tools: str, name: str, security: TransportSecuritySettings, max_body_bytes: int
    ) -> None:
        self._handle_of = handle_of
        self._tools = tools
        self._name = name
        self._security = TransportSecurityMiddleware(security)
        self._max_body_bytes = max_body_bytes
        # who listens for changes where; kept for as long as somebody listens
        self._events: WeakValueDictionary[tuple[str, str], InMemorySubscriptionBus] = WeakValueDictionary()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await _nothing_to_start(receive, send)
        request = Request(scope)
        refusal = await self._security.validate_request(request, is_post=request.method == "POST")
        if refusal is None and request.method != "POST":
            # no stream is opened beside a request, and no session ended: there is none
            refusal = Response("Only POST is served here.", status_code=405, headers={"Allow": "POST"})
        if refusal is not None:
            return await refusal(scope, receive, send)
        try:
            access = await anyio.to_thread.run_sync(self._access_of, request)
            events = self._events_of(access.handle)
            server = build_server(
                access,
                tools=request.query_params.get("tools") or self._tools,
                name=self._name,
                events=events,
                is_one_connection=False,
            )
        except (HTTPException, MnemicError) as error:
            return await refused(error)(scope, receive, send)
        manager = StreamableHTTPSessionManager(
            server, stateless=True, json_response=True, max_request_body_size=self._max_body_bytes
        )
        async with manager.run():
            await manager.handle_request(scope, receive, send)
        return None

    def _access_of(self, request: Request) -> Access:
        made = self._handle_of(request)
        return made if isinstance(made, Access) else Access(made)

    def _events_of(self, handle: Handle) -> InMemorySubscriptionBus:
        key = (str(getattr(handle, "path", "")), handle.scope_path)  # a client of another server has no path
        events = self._events.get(key)
        if events is None:
            events = self._events[key] = InMemorySubscriptionBus()
        return events


def refused(error: HTTPException | MnemicError) -> Response:
    """The answer to a request whose caller gets no handle: an HTTP status, and an error as JSON-RPC has it."""
    if isinstance(error, HTTPException):
        status, message, headers = error.status_code, str(error.detail), dict(error.headers or {})
    else:
        status, message, headers = _status(error), str(error), {}
        if status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="mnemic"'
        elif status in (429, 503):
            headers["Retry-After"] = str(getattr(error, "retry_after_s", 1))
    code = types.INTERNAL_ERROR if status >= 500 else types.INVALID_REQUEST
    body: dict[str, Any] = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    return Response(json.dumps(body), status_code=status, media_type="application/json", headers=headers)


def _status(error: MnemicError) -> int:
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


_STATUSES: tuple[tuple[type[MnemicError], int], ...] = (
    (InvalidInput, 422),
    (NotFound, 404),
    (Conflict, 409),
    (Unauthenticated, 401),
    (AccessError, 403),
    (TooLarge, 413),
    (TooManyRequests, 429),
    (StoreBusy, 503),
)


async def _nothing_to_start(receive: Receive, send: Send) -> None:
    while True:
        phase = (await receive())["type"].removeprefix("lifespan.")
        await send({"type": f"lifespan.{phase}.complete"})
        if phase == "shutdown":
            return
