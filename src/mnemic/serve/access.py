"""Who asks, and what they may: a key reaches the scopes under its prefixes, with the verbs it was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mnemic.errors import Forbidden
from mnemic.model import check_scope, is_within

VERBS = frozenset({"read", "write", "forget", "admin"})


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller behind a request."""

    key_id: str  # "" on a server without keys
    name: str
    scopes: tuple[str, ...]  # prefixes; "" is everything
    verbs: frozenset[str]

    def may(self, verb: str, scope: str) -> bool:
        """Whether the verb is allowed in the scope."""
        return verb in self.verbs and any(is_within(scope, prefix) for prefix in self.scopes)

    def must(self, verb: str, scope: str) -> None:
        """Raise Forbidden where it is not, and InvalidScope for what is none. Says nothing about whether the scope exists."""
        check_scope(scope)
        if not self.may(verb, scope):
            raise Forbidden(
                f"This key may not {verb} in the scope {scope!r}. It has {', '.join(sorted(self.verbs)) or 'no verb'} under "
                f"{', '.join(repr(one) for one in self.scopes) or 'no scope'}. Ask for another: `mnemic keys create`."
            )


ANYONE = Principal("", "anyone on this machine", ("",), VERBS)  # on the loopback, while no key was made


def scope_in(headers: Mapping[str, str]) -> str | None:
    """The scope in the header `X-Mnemic-Scope`; bytes that are UTF-8 are read as that."""
    value = headers.get("x-mnemic-scope")
    if value is None:
        return None
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def secret_in(headers: Mapping[str, str]) -> str | None:
    """The key in a request's headers: `Authorization: Bearer`, `Authorization: Token` or `X-API-Key`."""
    kind, _, value = headers.get("authorization", "").partition(" ")
    if value and kind.lower() in ("bearer", "token"):
        return value.strip()
    return headers.get("x-api-key") or None
