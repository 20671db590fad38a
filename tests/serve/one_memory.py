"""A server as small as the inspector allows: one memory, some keys, a queue that is a list."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from fastapi import FastAPI, Request

from mnemic import Memory
from mnemic.errors import NotFound, Unauthenticated
from mnemic.model import new_id
from mnemic.serve.access import ANYONE, Principal
from mnemic.serve.inspector.desk import SESSION_COOKIE
from mnemic.serve.inspector.pages import router


@dataclass(frozen=True)
class Work:
    """A job."""

    id: str
    scope: str
    state: str = "waiting"
    kind: str = "consolidate"
    progress: float = 0.0
    note: str = ""
    attempts: int = 0
    error: str | None = None
    created_at: datetime = datetime(2024, 5, 1, tzinfo=UTC)
    started_at: datetime | None = None
    finished_at: datetime | None = None
    next_try_at: datetime | None = None


class OneMemory:
    """A desk over the root handle of one memory."""

    def __init__(self, memory: Memory, keys: Mapping[str, Principal] | None = None) -> None:
        self.memory = memory
        self.keys = dict(keys or {})
        self.sessions: dict[str, Principal] = {}
        self.work: list[Work] = []

    def principal(self, request: Request) -> Principal:
        if not self.keys:
            return ANYONE
        known = self.sessions.get(request.cookies.get(SESSION_COOKIE, ""))
        if known is None:
            raise Unauthenticated("No key was given. Log in.")
        return known

    @contextmanager
    def handle(self, request: Request, scope: str, verb: str) -> Iterator[Memory]:
        self.principal(request).must(verb, scope)
        yield self.memory.scope(scope)

    def scopes(self, request: Request, prefix: str, after: str, limit: int) -> Sequence[tuple[str, int]]:
        who = self.principal(request)
        found = sorted(self.memory.scopes().items())
        return [
            (path, n)
            for path, n in found
            if path.startswith(prefix) and (not after or path > after) and who.may("read", path)
        ][:limit]

    def unreadable(self, request: Request, prefix: str) -> Sequence[tuple[str, str]]:
        self.principal(request)
        return ()

    def jobs(self, request: Request, state: str | None, after: str, limit: int) -> Sequence[Work]:
        who = self.principal(request)
        found = [one for one in self.work if state in (None, one.state) and who.may("read", one.scope)]
        start = next((place + 1 for place, one in enumerate(found) if one.id == after), 0)
        return found[start : start + limit]

    def submit_job(self, request: Request, scope: str) -> Work:
        self.principal(request).must("write", scope)
        self.work.insert(0, Work(new_id(), scope, created_at=datetime.now(UTC)))
        return self.work[0]

    def retry_job(self, request: Request, id: str) -> None:
        self._change(request, id, "waiting")

    def cancel_job(self, request: Request, id: str) -> None:
        self._change(request, id, "cancelled")

    def login(self, secret: str) -> str | None:
        if secret not in self.keys:
            return None
        name = secrets.token_urlsafe(16)
        self.sessions[name] = self.keys[secret]
        return name

    def logout(self, session: str) -> None:
        self.sessions.pop(session, None)

    def _change(self, request: Request, id: str, state: str) -> None:
        for place, one in enumerate(self.work):
            if one.id == id and self.principal(request).may("write", one.scope):
                self.work[place] = replace(one, state=state)
                return
        raise NotFound(f"There is no job {id!r}.")


def reader(*scopes: str) -> Principal:
    """A key that may read there and do nothing else."""
    return Principal("k-read", "a reader", scopes, frozenset({"read"}))


def app_over(desk: OneMemory) -> FastAPI:
    """An application with the inspector alone."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.include_router(router(desk))
    return app
