"""API keys: who may do what, in which scopes. At rest a key is a digest; its secret is shown once and kept nowhere.

A secret is `mnk_<id>_<random>`. The random part has 256 bits, so a plain SHA-256 of it is enough: there is nothing to
guess. Every check reads the file, so a key that another process revokes is refused from that moment on. A check does the
same work for an id that is not known, and compares in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
import threading
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mnemic.clock import from_microseconds, to_microseconds
from mnemic.errors import NotFound, ParameterError, StoreError
from mnemic.model import check_scope
from mnemic.serve.control import Control

VERBS = ("read", "write", "forget", "admin")
PREFIX = "mnk"
NOTE_USE_EVERY = timedelta(
    minutes=1
)  # `last_used_at` is exact to this: a write for each request would cost more than it tells
_MAX_NAME = 200
_MAX_SCOPES = 1000
_NOBODY = hashlib.sha256(b"").digest()  # what is compared with where there is no key, so that it takes as long


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key without its secret. A scope stands for itself and all below it; "" for everything."""

    id: str
    name: str
    scopes: tuple[str, ...]
    verbs: frozenset[str]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def state(self, now: datetime) -> str:
        """`active`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values, without anything secret."""
        times = {name: getattr(self, name) for name in ("created_at", "expires_at", "revoked_at", "last_used_at")}
        return {
            "id": self.id,
            "name": self.name,
            "scopes": list(self.scopes),
            "verbs": [verb for verb in VERBS if verb in self.verbs],
            **{name: None if moment is None else moment.isoformat() for name, moment in times.items()},
        }


class Keys:
    """The keys in a server's control file."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._noting = threading.Lock()
        self._noted: dict[str, datetime] = {}

    def create(
        self, name: str, scopes: Iterable[str], verbs: Iterable[str], expires_at: datetime | None = None
    ) -> tuple[Key, str]:
        """A new key and its secret, which cannot be had again.

        Raises ParameterError for a name, verbs or a time that will not do, and InvalidScope.
        """
        now = self._control.clock.now()
        key = Key(
            id=secrets.token_hex(6),
            name=_checked_name(name),
            scopes=_checked_scopes(scopes),
            verbs=_checked_verbs(verbs),
            created_at=now,
            expires_at=expires_at,
        )
        if expires_at is not None and expires_at <= now:
            raise ParameterError(f"The key would expire at {expires_at.isoformat()}, which is past. Give a later time.")
        noise = secrets.token_hex(32)
        row = (
            key.id,
            key.name,
            _digest(noise),
            "\n".join(key.scopes),  # no scope holds a line break
            ",".join(sorted(key.verbs)),
            to_microseconds(now),
            None if expires_at is None else to_microseconds(expires_at),
        )
        insert = (
            "INSERT INTO keys (id, name, digest, scopes, verbs, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)"
        )
        self._control.write(lambda connection: connection.execute(insert, row))
        return key, f"{PREFIX}_{key.id}_{noise}"

    def check(self, secret: str) -> Key | None:
        """The key of a secret; None for one that is not known, is revoked or has expired."""
        prefix, _, rest = secret.partition("_")
        id, _, noise = rest.partition("_")
        found = self._control.rows("SELECT * FROM keys WHERE id = ?", (id if id.isascii() else "",))
        is_same = hmac.compare_digest(_digest(noise), found[0]["digest"] if found else _NOBODY)
        if prefix != PREFIX or not found or not is_same:
            return None
        key, now = _key(found[0]), self._control.clock.now()
        if key.state(now) != "active":
            return None
        self._note_use(key, now)
        return key

    def revoke(self, id: str) -> Key:
        """Refuse a key from now on; it stays listed. Again changes nothing. Raises NotFound."""
        at = to_microseconds(self._control.clock.now())

        def revoke(connection: sqlite3.Connection) -> Key:
            connection.execute("UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (at, id))
            found = connection.execute("SELECT * FROM keys WHERE id = ?", (id,)).fetchone()
            if found is None:
                raise NotFound(f"There is no key {id[:80]!r}. `mnemic keys list` shows the ids of all.")
            return _key(found)

        return self._control.write(revoke)

    def list(self) -> list[Key]:
        """All keys, oldest first, the revoked and expired among them."""
        return [_key(row) for row in self._control.rows("SELECT * FROM keys ORDER BY created_at, id")]

    def any(self) -> bool:
        """Whether a key was ever made: from then on nobody gets in without one, also when all are revoked."""
        return bool(self._control.rows("SELECT 1 FROM keys LIMIT 1"))

    def _note_use(self, key: Key, now: datetime) -> None:
        with self._noting:
            before = self._noted.get(key.id) or key.last_used_at
            if before is not None and now - before < NOTE_USE_EVERY:
                return
            self._noted[key.id] = now
        at = to_microseconds(now)
        with suppress(StoreError):  # a courtesy: a full disk must not lock out those who come to read
            self._control.write(
                lambda connection: connection.execute("UPDATE keys SET last_used_at = ? WHERE id = ?", (at, key.id))
            )


def _digest(noise: str) -> bytes:
    return hashlib.sha256(noise.encode("utf-8", "surrogatepass")).digest()


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > _MAX_NAME or any(unicodedata.category(one).startswith("C") for one in name):
        raise ParameterError(
            f"A key needs a name of 1 to {_MAX_NAME} visible characters, that says whose it is; {name[:80]!a} is none."
        )
    return name


def _checked_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    if isinstance(scopes, str):
        raise ParameterError(f"scopes={scopes!r}: give a list of scopes, such as ['acme']; [''] is everything.")
    checked = tuple(dict.fromkeys(check_scope(scope) for scope in scopes))
    if not 1 <= len(checked) <= _MAX_SCOPES:
        raise ParameterError(
            f"A key reaches 1 to {_MAX_SCOPES} scopes; {len(checked)} were given. '' stands for everything."
        )
    return checked


def _checked_verbs(verbs: Iterable[str]) -> frozenset[str]:
    checked = frozenset([verbs] if isinstance(verbs, str) else verbs)
    if not checked or not checked <= set(VERBS):
        odd = ", ".join(sorted(map(ascii, checked - set(VERBS)))) or "nothing"
        raise ParameterError(f"A key's verbs are some of {', '.join(VERBS)}; {odd} was given.")
    return checked


def _key(row: sqlite3.Row) -> Key:
    return Key(
        id=row["id"],
        name=row["name"],
        scopes=tuple(row["scopes"].split("\n")),
        verbs=frozenset(row["verbs"].split(",")),
        created_at=from_microseconds(row["created_at"]),
        expires_at=_time(row["expires_at"]),
        revoked_at=_time(row["revoked_at"]),
        last_used_at=_time(row["last_used_at"]),
    )


def _time(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else from_microseconds(microseconds)
