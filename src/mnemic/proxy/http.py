"""The HTTP of a proxy: reading requests of ASGI, which headers pass, who may ask, and errors in the protocol's form."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from mnemic.proxy.settings import Settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

# RFC 9110, 7.6.1, and what older proxies named
_HOP_BY_HOP = frozenset(
    (
        *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"),
        *(b"te", b"trailer", b"trailers", b"transfer-encoding", b"upgrade"),
    )
)
KEY_HEADER = b"x-mnemic-key"


class Gone(Exception):
    """The client left before its request was read."""


class TooLarge(Exception):
    """A body that is larger than was allowed."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as far as it is known before its body is read."""

    method: str
    path: str  # decoded, without the place where the app is mounted
    target: str  # the same as it was sent, with the query
    headers: Headers
    client: str | None

    def header(self, name: bytes) -> str:
        """The value of a header, "" when there is none."""
        return next((value.decode("latin-1") for key, value in self.headers if key == name), "")


def request_from(scope: Message) -> Request:
    """The request of an ASGI scope."""
    root = scope.get("root_path", "")
    raw = (scope.get("raw_path") or scope["path"].encode()).decode("ascii", "replace")
    query = scope.get("query_string", b"").decode("ascii", "replace")
    client = scope.get("client")
    return Request(
        method=scope["method"],
        path=scope["path"].removeprefix(root),
        target=raw.split("?")[0].removeprefix(root) + (f"?{query}" if query else ""),
        headers=[(name.lower(), value) for name, value in scope["headers"]],
        client=client[0] if client else None,
    )


async def body_of(receive: Receive, most_bytes: int) -> bytes:
    """The whole body. Raises Gone and TooLarge."""
    body = bytearray()
    async for chunk in chunks_of(receive):
        body += chunk
        if len(body) > most_bytes:
            raise TooLarge
    return bytes(body)


async def chunks_of(receive: Receive, is_read: asyncio.Event | None = None) -> AsyncIterator[bytes]:
    """The body, piece by piece; `is_read` is set when it is at its end. Raises Gone."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        if chunk := message.get("body", b""):
            yield chunk
        if not message.get("more_body", False):
            break
    if is_read is not None:
        is_read.set()


async def while_listened_to(
    work: Coroutine[Any, Any, None], receive: Receive, is_read: asyncio.Event | None = None
) -> None:
    """Do the work until it is done or the client leaves, which cancels it. is_read: waited for before listening."""
    doing = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(receive, is_read))
    try:
        await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        if not doing.done():
            doing.cancel()
        await asyncio.gather(doing, leaving, return_exceptions=True)
    if not doing.cancelled() and (error := doing.exception()) is not None:
        raise error


async def _left(receive: Receive, is_read: asyncio.Event | None) -> None:
    if is_read is not None:
        await is_read.wait()
    while (await receive())["type"] != "http.disconnect":
        pass


def passing(headers: Iterable[tuple[bytes, bytes]], *, besides: frozenset[bytes] = frozenset()) -> Headers:
    """The headers that go on to the other side: all but those of one hop, and `besides`. Names become lower case."""
    known = [(name.lower(), value) for name, value in headers]
    named = {part.strip().lower() for name, value in known if name == b"connection" for part in value.split(b",")}
    return [(name, value) for name, value in known if name not in _HOP_BY_HOP | named | besides]


def for_upstream(settings: Settings, request: Request, *, is_read_here: bool) -> Headers:
    """The headers of the upstream's request: the client's, without ours, and with the key that is to be used.

    is_read_here: the answer must come in a form that can be read as it passes by, and the body may have changed.
    """
    ours = {name for name, _ in request.headers if name.startswith(b"x-mnemic-")}
    headers = passing(request.headers, besides=frozenset({b"host", b"expect", *ours}))
    if is_read_here:
        headers = [pair for pair in headers if pair[0] not in (b"accept-encoding", b"content-length")]
    if not any(name == b"accept-encoding" for name, _ in headers):
        headers.append((b"accept-encoding", b"identity"))
    authorization = request.header(b"authorization")
    is_ours = settings.proxy_key is not None and is_key(settings.proxy_key, _bearer(authorization))
    if is_ours or (settings.upstream_key and (settings.is_own_key_first or not authorization)):
        headers = [pair for pair in headers if pair[0] != b"authorization"]
        if settings.upstream_key:
            headers.append((b"authorization", f"Bearer {settings.upstream_key}".encode("ascii")))
    return headers


def refusal(settings: Settings, request: Request) -> tuple[int, str] | None:
    """Why a request is not let in, as a status and a message; None when it is.

    With a proxy key, whoever shows it is. Without one, this machine is: not a page in a browser, which may be anybody's,
    and no name that was made to point here.
    """
    if settings.proxy_key is not None:
        shown = request.header(KEY_HEADER) or _bearer(request.header(b"authorization"))
        if is_key(settings.proxy_key, shown):
            return None
        return 401, "This proxy asks for its own key. Send it as 'Authorization: Bearer KEY' or as X-Mnemic-Key."
    host, origin = request.header(b"host"), request.header(b"origin")
    if request.client is not None and not is_loopback(request.client):
        return 403, "This proxy has no key, so it answers this machine alone. Start it with a key in MNEMIC_PROXY_KEY."
    if (host and not is_loopback(_host_in(f"//{host}"))) or (origin and not is_loopback(_host_in(origin))):
        return 403, "This proxy has no key, so it answers programs of this machine alone. Ask it by 127.0.0.1."
    return None


def is_key(key: str, shown: str) -> bool:
    """Whether the key is the one, in a time that does not tell how much of it is."""
    return hmac.compare_digest(key.encode(), shown.encode("utf-8", "surrogatepass"))


def is_loopback(host: str) -> bool:
    """Whether the host is this machine, and only this machine."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _host_in(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def is_climbing(path: str) -> bool:
    """Whether a path has a segment that leads out of the place it begins in, however often it is encoded."""
    for _ in range(3):
        if any(segment in (".", "..") for segment in path.replace("\\", "/").split("/")):
            return True
        path = unquote(path)
    return False


async def answer(send: Send, status: int, value: Any, headers: Headers | None = None) -> None:
    """Send a JSON value."""
    body = json.dumps(value).encode()
    sent = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *(headers or [])]
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": body})


async def complain(send: Send, status: int, message: str, code: str) -> None:
    """Send an error in the form of the protocol, so that its clients understand it."""
    kind = "invalid_request_error" if status < 500 else "upstream_error"
    await answer(send, status, {"error": {"message": message, "type": kind, "param": None, "code": code}})


def _bearer(authorization: str) -> str:
    scheme, _, key = authorization.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""
