"""Whose memory a request is for: a scope below the configured one, and a session.

    X-Mnemic-Scope: team/red      a path below the base scope
    X-Mnemic-User: alice          a segment "user:alice" below that; else the `user` field of the request
    X-Mnemic-Session: monday      else `metadata.session_id` of the request

The segments are those that `Memory.add(user_id=...)` makes, so the same memories are reached from the library. A path
cannot climb (no "..", no leading "/") and cannot name a user: users are named by their own header, and where the proxy
is one user's, no other is let in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mnemic.errors import InvalidInput, InvalidScope, MnemicError, ParameterError
from mnemic.model import is_within, join_scope
from mnemic.proxy.settings import LONGEST_NAME, Settings, is_session

_USER = "user:"


class NotAllowed(MnemicError):
    """A request for the memory of somebody else."""


@dataclass(frozen=True, slots=True)
class Whose:
    """Where a conversation is remembered, and from where it is recalled."""

    scope: str
    session: str | None = None


def whose(settings: Settings, headers: Mapping[str, str], body: Mapping[str, Any]) -> Whose | None:
    """The scope and session of a request; None when its `user` field names somebody whose memory this proxy does not keep.

    That field belongs to the protocol, and clients send it for purposes of their own: their chat goes on without a memory.
    Raises InvalidInput for what cannot be a scope or session, and NotAllowed for another user in our own header.
    headers: with names in lower case.
    """
    scope = settings.scope
    if path := _header(headers, "x-mnemic-scope"):
        if any(segment.casefold().startswith(_USER) for segment in path.split("/")):
            raise InvalidScope("X-Mnemic-Scope names a user. Name users with X-Mnemic-User.")
        scope = join_scope(scope, path)
    header, field = _header(headers, "x-mnemic-user"), body.get("user")
    named = header or (field.strip() if isinstance(field, str) else None) or settings.user
    if settings.user not in (None, named) and not settings.is_any_user:
        if header is None:
            return None
        raise NotAllowed(
            "This proxy keeps the memory of one user. Leave X-Mnemic-User out, or start it with --any-user."
        )
    if named:
        if "/" in named:
            raise InvalidScope("The user's name has a '/'. Send another name, or a path with X-Mnemic-Scope.")
        scope = join_scope(scope, _USER + named)
    assert is_within(scope, settings.scope), "a scope is only ever joined on below the base"
    return Whose(scope, _session(headers, body) or settings.session)


def _session(headers: Mapping[str, str], body: Mapping[str, Any]) -> str | None:
    session = _header(headers, "x-mnemic-session")
    metadata = body.get("metadata")
    if session is None and isinstance(metadata, Mapping) and isinstance(metadata.get("session_id"), str):
        session = metadata["session_id"].strip() or None
    if session is not None and not is_session(session):
        raise ParameterError(
            f"The session's name must be printable, and have at most {LONGEST_NAME} characters. Send another."
        )
    return session


def _header(headers: Mapping[str, str], name: str) -> str | None:
    """A header's text, which may be UTF-8; None where it is empty."""
    value = headers.get(name)
    if value is None:
        return None
    try:
        return value.encode("latin-1").decode().strip() or None
    except UnicodeError as error:
        raise InvalidHeader(f"{name} is not UTF-8. Send it as UTF-8, or in ASCII.") from error


class InvalidHeader(InvalidInput):
    """A header that is no text."""
