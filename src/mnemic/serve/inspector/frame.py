"""What every page goes through: who asks, templates that escape everything, headers, tokens on forms, and errors as pages.

A form is taken only with the token that its page carried: a keyed digest of a random name which the browser holds in a cookie
that no other site can send, so a page elsewhere can neither read nor guess it. Where the browser says that a request
comes from elsewhere, it is refused before that. Tokens end when the server does; a stale form says so and loses nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mnemic.clock import parse_time
from mnemic.errors import Forbidden, MnemicError, ParameterError, TooLarge
from mnemic.model import check_scope
from mnemic.serve.inspector import words
from mnemic.serve.inspector.desk import Desk, Principal
from mnemic.serve.problems import STATUS, TITLES, told

PREFIX = "/inspector"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # same-origin and not no-referrer: under no-referrer a browser says that our own forms come from "null". Nothing leaves for
    # another origin either way.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
FORM_COOKIE, THEME_COOKIE = "mnemic_form", "mnemic_theme"
THEMES = ("light", "dark")
_MAX_FORM = 256 * 1024
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Asked:
    """The fields of an address or a form: the last of each name, empty ones left out."""

    values: Mapping[str, str]

    @classmethod
    def of(cls, request: Request) -> Asked:
        """Those of the address."""
        return cls({name: value for name, value in request.query_params.items() if value})

    def text(self, name: str) -> str | None:
        """The field without the space around it."""
        value = self.values.get(name)
        return None if value is None else value.strip() or None

    def name(self, name: str) -> str | None:
        """The field exactly as it was sent: ids and names of sessions may hold spaces anywhere."""
        return self.values.get(name)

    def number(self, name: str, default: int, most: int = 2**62) -> int:
        """A whole number from 0 to `most`. Raises ParameterError."""
        value = self.text(name)
        if value is None:
            return default
        if not (value.isascii() and value.isdigit()) or len(value) > 19 or int(value) > most:
            raise ParameterError(f"{name}={value[:40]!r}: give a whole number from 0 to {most:,}.")
        return int(value)

    def flag(self, name: str) -> bool:
        """Whether a box is ticked."""
        return self.text(name) in ("1", "on", "true")

    def time(self, name: str, *, end_of_day: bool = False) -> datetime | None:
        """A time, UTC where it does not say. Raises InvalidTime."""
        value = self.text(name)
        return None if value is None else parse_time(value, end_of_day=end_of_day)

    @property
    def scope(self) -> str:
        """The scope. Raises InvalidScope."""
        return check_scope(self.values.get("scope", ""))


class Frame:
    """Renders pages for one desk."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._key = secrets.token_bytes(32)
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            auto_reload=False,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(words.filters())
        self.assets = {
            path.name: Asset(path.read_bytes(), _TYPES[path.suffix]) for path in sorted((_HERE / "static").iterdir())
        }

    # -- pages --------------------------------------------------------------------------------------------

    def page(
        self,
        request: Request,
        template: str,
        *,
        principal: Principal | None,
        scope: str | None = None,
        status: int = 200,
        **values: Any,
    ) -> Response:
        """A template as a whole page."""
        nonce = request.cookies.get(FORM_COOKIE, "")
        is_new = len(nonce) != 43
        nonce = secrets.token_urlsafe(32) if is_new else nonce
        root = request.scope.get("root_path", "")

        def link(path: str, **given: Any) -> str:
            """The address of a page, with what is not empty as its query."""
            query = {name: _plain(value) for name, value in given.items() if value not in (None, "", False)}
            whole = f"{root}{PREFIX}/{path}" if path else f"{root}/"
            return f"{whole}?{urlencode(query, quote_via=quote)}" if query else whole

        text = self._templates.get_template(template).render(
            link=link,
            asset=lambda name: f"{root}{PREFIX}/static/{name}?v={self.assets[name].version}",
            here=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            origin=str(request.base_url).rstrip("/"),
            place=template.removesuffix(".html"),
            token=self._token(nonce),
            theme=theme if (theme := request.cookies.get(THEME_COOKIE)) in THEMES else None,
            principal=principal,
            scope=scope,
            now=datetime.now(UTC),
            ago=words.ago,
            **values,
        )
        response = HTMLResponse(text, status)
        if is_new and request.method == "GET":
            set_cookie(request, response, FORM_COOKIE, nonce)
        return response

    def sorry(self, request: Request, error: MnemicError) -> Response:
        """An error as a page; the login page where a key is needed."""
        status = next(number for kind, number in STATUS if isinstance(error, kind))
        if status == 401 and request.method == "GET":
            given = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            target = f"{request.scope.get('root_path', '')}{PREFIX}/login"
            return RedirectResponse(f"{target}?{urlencode({'next': given})}" if given != "/" else target, 303)
        try:
            principal = self.desk.principal(request)
        except MnemicError:
            principal = None
        says, _, remedy = told(error).partition(". ")
        return self.page(
            request,
            "sorry.html",
            principal=principal,
            status=status,
            title=TITLES.get(status, "Problem"),
            says=says if says.endswith((".", "!", "?")) else says + ".",
            remedy=remedy,
        )

    # -- forms --------------------------------------------------------------------------------------------

    async def form(self, request: Request) -> Asked:
        """The fields of a form that one of our own pages sent. Raises Forbidden for any other."""
        site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
        is_own = origin is None or urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower()
        if not is_own or site not in (None, "same-origin", "none"):
            raise Forbidden("This form was sent from another site. Nothing was done. Open the inspector itself.")
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > _MAX_FORM:
                raise TooLarge(f"This form holds more than {_MAX_FORM // 1024} kB. Nothing was done. Shorten it.")
        try:
            fields = dict(parse_qsl(body.decode(), max_num_fields=100, errors="strict"))
        except ValueError as error:
            raise ParameterError("This form cannot be read. Nothing was done. Reload its page.") from error
        expected = self._token(request.cookies.get(FORM_COOKIE, ""))
        if not hmac.compare_digest(fields.get("token", "").encode(), expected.encode()):
            raise Forbidden(
                "This form is stale: the server has started anew since its page was opened. Nothing was done. Reload "
                "the page and send it again."
            )
        return Asked({name: value for name, value in fields.items() if value})

    def _token(self, nonce: str) -> str:
        return hmac.new(self._key, nonce.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


class Asset:
    """A file that pages use."""

    def __init__(self, content: bytes, media_type: str) -> None:
        self.content, self.media_type = content, media_type
        self.version = hashlib.sha256(content).hexdigest()[:12]


_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def route_class(frame: Frame) -> type[APIRoute]:
    """Routes whose answers carry our headers, and whose errors are pages."""

    class Page(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            answer = super().get_route_handler()

            async def framed(request: Request) -> Response:
                try:
                    response = await answer(request)
                except MnemicError as error:
                    response = frame.sorry(request, error)
                for name, value in HEADERS.items():
                    if name not in response.headers:
                        response.headers[name] = value
                return response

            return framed

    return Page


def set_cookie(request: Request, response: Response, name: str, value: str, *, days: float | None = None) -> None:
    """A cookie for this origin alone, out of reach for scripts."""
    response.set_cookie(
        name,
        value,
        max_age=None if days is None else round(days * 86_400),
        path=request.scope.get("root_path", "") or "/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def safe_target(request: Request, target: str | None) -> str:
    """An address on this server, for going back to; the first page for any other."""
    first = f"{request.scope.get('root_path', '')}/"
    if target is None or not target.startswith("/") or any(one in target for one in "\\\r\n\t") or target[1:2] == "/":
        return first
    return target if not urlsplit(target).netloc else first


def _plain(value: Any) -> str:
    if value is True:
        return "1"
    return value.isoformat() if isinstance(value, datetime) else str(value)
