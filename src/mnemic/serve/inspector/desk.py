"""What a server lends the inspector: handles on memories, who asks, the queue, and the way in."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from fastapi import Request

from mnemic.memory import Memory
from mnemic.serve.logins import Logins

SESSION_COOKIE = Logins.COOKIE  # set by the login page; a desk reads it to know who asks


class Principal(Protocol):
    """Who asks."""

    @property
    def key_id(self) -> str:
        """The key's id; "" on a server without keys."""
        ...

    @property
    def name(self) -> str:
        """What the key is called."""
        ...

    def may(self, verb: str, scope: str) -> bool:
        """Whether "read", "write", "forget" or "admin" is allowed in the scope."""
        ...


class Job(Protocol):
    """One piece of background work."""

    @property
    def id(self) -> str: ...
    @property
    def scope(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def state(self) -> str:
        """waiting, running, done, failed or cancelled."""
        ...

    @property
    def progress(self) -> float:
        """From 0 to 1."""
        ...

    @property
    def note(self) -> str: ...
    @property
    def attempts(self) -> int: ...
    @property
    def error(self) -> str | None: ...
    @property
    def created_at(self) -> datetime: ...
    @property
    def started_at(self) -> datetime | None: ...
    @property
    def finished_at(self) -> datetime | None: ...
    @property
    def next_try_at(self) -> datetime | None: ...


class Desk(Protocol):
    """A server, as far as the inspector needs it. Every method raises Unauthenticated or Forbidden as it must."""

    def principal(self, request: Request) -> Principal:
        """Who asks. Raises Unauthenticated where the server has keys and the request shows none."""
        ...

    def handle(self, request: Request, scope: str, verb: str) -> AbstractContextManager[Memory]:
        """A handle on the scope, for a caller who may do that there."""
        ...

    def scopes(self, request: Request, prefix: str, after: str, limit: int) -> Sequence[tuple[str, int]]:
        """Scopes that begin with `prefix` and that the caller may read, by path, with their number of episodes; those
        behind `after`, at most `limit`."""
        ...

    def unreadable(self, request: Request, prefix: str) -> Sequence[tuple[str, str]]:
        """Tenants that begin with `prefix`, may be read by the caller, and could not be read when they were last asked;
        each with the name of the error."""
        ...

    def jobs(self, request: Request, state: str | None, after: str, limit: int) -> Sequence[Job]:
        """Jobs in scopes that the caller may read, newest first, those behind the one of the id `after`."""
        ...

    def submit_job(self, request: Request, scope: str) -> Job:
        """Put a consolidation of the scope into the queue."""
        ...

    def retry_job(self, request: Request, id: str) -> None:
        """Let a failed or cancelled job wait again."""
        ...

    def cancel_job(self, request: Request, id: str) -> None:
        """Take a job out of the queue."""
        ...

    def login(self, secret: str) -> str | None:
        """A new session for the key, as the random id that the cookie will hold; None for a key that is not known."""
        ...

    def logout(self, session: str) -> None:
        """End a session."""
        ...
