"""Logins of the inspector: a browser holds a random name, the server what it stands for. A restart ends them all."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from typing import ClassVar

_HOURS = 12
_MOST = 10_000


class Logins:
    """Sessions of browsers; kept in memory, by a hash of their name."""

    COOKIE: ClassVar[str] = "mnemic_login"

    def __init__(self, lasts_s: float = _HOURS * 3600.0) -> None:
        self._lasts_s = lasts_s
        self._known: dict[bytes, tuple[str, float]] = {}  # hash of the name -> (key id, ends at)
        self._lock = threading.Lock()

    def begin(self, key_id: str) -> str:
        """A new login of that key's holder; the name is for the cookie alone."""
        name = secrets.token_urlsafe(32)
        now = time.monotonic()
        with self._lock:
            self._known = {known: one for known, one in self._known.items() if one[1] > now}
            while len(self._known) >= _MOST:
                del self._known[next(iter(self._known))]
            self._known[_hash(name)] = (key_id, now + self._lasts_s)
        return name

    def key_id(self, name: str) -> str | None:
        """Whose login it is; None for one that has ended."""
        with self._lock:
            found = self._known.get(_hash(name))
        return None if found is None or found[1] <= time.monotonic() else found[0]

    def end(self, name: str) -> None:
        """Log out."""
        with self._lock:
            self._known.pop(_hash(name), None)


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "replace")).digest()
