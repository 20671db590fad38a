"""MCP and the inspector, as doors of a running server: what they are lent, and to whom."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from mnemic.errors import DependencyMissing, Forbidden
from mnemic.memory import Memory
from mnemic.model import check_scope
from mnemic.serve.access import Principal, scope_in
from mnemic.serve.inspector.pages import router
from mnemic.serve.jobs import Job
from mnemic.serve.leased import leased
from mnemic.serve.problems import from_error
from mnemic.serve.routes.made import may_look_into, readable_scopes
from mnemic.serve.routes.upkeep import job_of
from mnemic.serve.server import Ids, Server

if TYPE_CHECKING:
    from mnemic.mcp.access import Access

MCP_PATH = "/mcp"
_MCP_VERBS = ("read", "write", "forget")
_TENANTS = 200  # looked into for one page of scopes


def add_doors(app: FastAPI) -> None:
    """Put both into the application."""
    mcp = _Mcp(app)
    # both, and no redirect from one to the other: clients send no body after one
    app.router.routes += [Route(MCP_PATH, mcp), Route(f"{MCP_PATH}/", mcp)]
    app.include_router(router(_Desk(app)))


class _Mcp:
    """The MCP application, made when it is first asked for: its SDK takes a second to import."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._made: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._made is None:
            if importlib.util.find_spec("mcp") is None:
                missing = DependencyMissing(
                    'MCP is not installed on this server. Install it: pip install "mnemic[mcp]".'
                )
                await from_error(missing)(scope, receive, send)
                return
            from mnemic.mcp.http import http_app

            # hosts and origins are checked in front of every route
            self._made = http_app(self._handle_of, allowed_hosts=None)
        await self._made(scope, receive, send)

    def _handle_of(self, request: Request) -> Access:
        from mnemic.mcp.access import Access

        server: Server = self._app.state.server
        who = server.principal(request)
        asked = scope_in(request.headers) or request.query_params.get("scope")
        if asked is None:
            asked = who.scopes[0] if len(who.scopes) == 1 else ""
        scope = check_scope(asked)
        allowed = frozenset(verb for verb in _MCP_VERBS if who.may(verb, scope))
        if not allowed:
            raise Forbidden(
                f"This key reaches nothing in the scope {scope!r}. Send one that it reaches as the header X-Mnemic-Scope."
            )
        return Access(leased(server, who, scope), allowed)


class _Desk:
    """What the inspector is lent."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    @property
    def _server(self) -> Server:
        server: Server = self._app.state.server
        return server

    def principal(self, request: Request) -> Principal:
        """Who asks."""
        return self._server.principal(request)

    @contextmanager
    def handle(self, request: Request, scope: str, verb: str) -> Iterator[Memory]:
        """A handle on the scope, for a caller who may do that there."""
        operation = {"read": "list", "forget": "forget"}.get(verb, "update")
        with self._server.memory(request, verb, Ids(scope), operation) as memory:
            yield memory

    def scopes(self, request: Request, prefix: str, after: str, limit: int) -> Sequence[tuple[str, int]]:
        """Scopes that begin with `prefix`, by path, behind `after`."""
        server = self._server
        who = server.principal(request)
        first = prefix.partition("/")[0]
        found: dict[str, int] = {}
        last: str | None = None
        while len(found) <= limit:
            names = server.tenants.names(prefix=first, after=last, limit=_TENANTS)
            for name in names:
                if name < after.partition("/")[0]:
                    continue
                counts = readable_scopes(server, who, name, None, 1).counts
                if name == "":
                    counts = {"": counts[""]} if "" in counts else {}
                found |= {
                    path: n
                    for path, n in counts.items()
                    if (path.startswith(prefix) and path > after) or path == prefix
                }
                if len(found) > limit:
                    break
            if len(names) < _TENANTS:
                break
            last = names[-1]
        return sorted(found.items())[:limit]

    def unreadable(self, request: Request, prefix: str) -> Sequence[tuple[str, str]]:
        """Tenants that begin with `prefix` and could not be read when they were last asked, each with the error's name."""
        who = self._server.principal(request)
        first = prefix.partition("/")[0]
        known = self._server.tenants.unreadable
        return sorted(
            (name, code) for name, code in known.items() if name.startswith(first) and may_look_into(who, name)
        )

    def jobs(self, request: Request, state: str | None, after: str, limit: int) -> Sequence[Job]:
        """Jobs in scopes that the caller may read, newest first."""
        who = self._server.principal(request)
        prefixes = who.scopes if "read" in who.verbs else ()
        return self._server.jobs.list(prefixes, state=state, after=after or None, limit=limit)

    def submit_job(self, request: Request, scope: str) -> Job:
        """Put a consolidation of the scope into the queue."""
        who = self._server.principal(request)
        who.must("write", scope)
        return self._server.jobs.submit(scope, by=who.key_id)

    def retry_job(self, request: Request, id: str) -> None:
        """Let a failed or cancelled job wait again."""
        self._reach_job(request, id)
        self._server.jobs.retry(id)

    def cancel_job(self, request: Request, id: str) -> None:
        """Take a job out of the queue."""
        self._reach_job(request, id)
        self._server.jobs.cancel(id)

    def _reach_job(self, request: Request, id: str) -> None:
        job_of(request, id, "write")  # the same words for a job of others as for none

    def login(self, secret: str) -> str | None:
        """A new session for the key; None for one that is not known."""
        who = self._server.principal_of(secret)
        return None if who is None else self._server.logins.begin(who.key_id)

    def logout(self, session: str) -> None:
        """End a session."""
        self._server.logins.end(session)
