"""The smallest worlds that the store's tests are made of."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from mnemic.model import Episode, Link, Record, new_id
from mnemic.store.contract import Entry, Store

START = datetime(2024, 5, 1, 12, tzinfo=UTC)


def minute(n: int) -> datetime:
    """n minutes after the start."""
    return START + timedelta(minutes=n)


def episode(text: str, *, scope: str = "a", id: str | None = None, **fields: Any) -> Episode:
    """An episode that happened at the start, unless it is said otherwise."""
    times = {"occurred_at": START, "recorded_at": START}
    return Episode(text=text, id=id or new_id(), scope=scope, **times | fields)


def entry(text: str, *, id: str | None = None, vector: bytes | None = None, **fields: Any) -> Entry:
    """An entry whose terms are its words; an id that is given is the client's."""
    one = episode(text, id=id, **fields)
    return Entry(one, text.lower(), hash(text) % 2**31, vector, is_client_id=id is not None)


def vector(*values: float) -> bytes:
    """The stored bytes of a vector."""
    return np.array(values, "<f2").tobytes()


def record(id: str, *sources: str, system: str = "notes", scope: str = "a", **fields: Any) -> Record:
    """A note."""
    fields = {"kind": "note", "text": f"note {id}", "recorded_at": START} | fields
    return Record(id=id, system=system, scope=scope, sources=sources, **fields)


def link(id: str, *sources: str, system: str = "notes", scope: str = "a", **fields: Any) -> Link:
    """A link from x to y."""
    fields = {"kind": "about", "from_id": "x", "to_id": "y", "recorded_at": START} | fields
    return Link(id=id, system=system, scope=scope, sources=sources, **fields)


def texts(episodes: Iterable[Episode]) -> list[str]:
    """What was said."""
    return [one.text for one in episodes]


def log_of(store: Store, scope: str = "a") -> list[tuple[int, str, str]]:
    """(seq, id, text) of everything in the scope."""
    return [(one.seq, one.id, one.text) for one in store.scan(scope, limit=10**6)]
