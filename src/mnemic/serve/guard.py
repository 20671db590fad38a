"""What a web page elsewhere could make a browser send is refused: foreign origins, and names that were rebound to us."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from mnemic.serve.problems import problem
from mnemic.serve.settings import LOOPBACK

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:@/?#\s]+)(?::[0-9]{1,5})?")
SAFE = ("GET", "HEAD", "OPTIONS")


class Guard:
    """ASGI middleware in front of every route.

    A server on the loopback, or one that was told its names, answers to those names alone. A request that may change
    something and that a browser sent from a page must come from a page of this server.
    """

    def __init__(self, app: ASGIApp, *, is_loopback: bool, allow_hosts: tuple[str, ...] = ()) -> None:
        self._app = app
        self._is_choosy = is_loopback or bool(allow_hosts)
        self._known = {_bracketed(name.lower()) for name in (*LOOPBACK, *allow_hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = None
        if scope["type"] in ("http", "websocket"):
            hosts = _values(scope, b"host")
            host = hosts[0].lower() if len(hosts) == 1 else ""  # two names are none
            origins = _values(scope, b"origin")
            if self._is_choosy and _name(host) not in self._known:
                says = f"This server is not known as {host[:80]!a}. Name it with --allow-host to reach it so."
                refused = problem(421, "WrongHost", says)
            elif scope.get("method") not in SAFE and not all(_is_own(origin, host) for origin in origins):
                says = "A page of another origin sent this. Only pages of this server may write."
                refused = problem(403, "ForeignOrigin", says)
        if scope.get("method") == "HEAD":  # answered as GET; the server itself leaves the body out
            scope = {**scope, "method": "GET"}
        await (refused or self._app)(scope, receive, send)


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for known, value in scope["headers"] if known == name]


def _is_own(origin: str, host: str) -> bool:
    """Whether an origin is that of the server which is called by this name and port."""
    try:
        return bool(host) and urlsplit(origin).netloc.lower() == host
    except ValueError:  # half an address of IPv6
        return False


def _bracketed(name: str) -> str:
    """An address of IPv6 as a Host header has it."""
    return f"[{name}]" if ":" in name and not name.startswith("[") else name


def _name(host: str) -> str:
    """The name in a Host header, without the port; "" for what is none."""
    found = _HOST.fullmatch(host)
    return found[1] if found else ""
