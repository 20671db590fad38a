"""What systems made of a scope's log: their records and links, up to date when they are read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mnemic.errors import ParameterError
from mnemic.memory.shared import Shared
from mnemic.model import Link, Record
from mnemic.systems.registry import system_class


def records(
    shared: Shared,
    scopes: Iterable[str],
    system: str | None,
    ids: Sequence[str] | None,
    *,
    kind: str | None,
    current_only: bool,
    after: str | None,
    limit: int,
) -> list[Record]:
    """Records of one system, or of all that keep any here, scope by scope; `after` needs one system and one scope."""
    found: list[Record] = []
    for scope in scopes:
        for name in _systems(shared, scope, system):
            room = limit - len(found)
            if room <= 0:
                return found
            found += shared.store.records.records(
                name, scope, ids, kind=kind, current_only=current_only, after=after, limit=room
            )
    return found


def links(shared: Shared, scopes: Iterable[str], system: str | None, limit: int) -> list[Link]:
    """Links of one system, or of all that keep any here, scope by scope."""
    found: list[Link] = []
    for scope in scopes:
        for name in _systems(shared, scope, system):
            found += shared.store.records.links(name, scope)
            if len(found) >= limit:
                return found[:limit]
    return found


def checked_limit(limit: int) -> int:
    """A whole number of at least 1. Raises ParameterError."""
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise ParameterError(f"limit={limit!r}: give a whole number of at least 1.")
    return limit


def _systems(shared: Shared, scope: str, system: str | None) -> list[str]:
    """The systems to read, each having observed what there is of the scope, where the store may be written."""
    if system is not None:
        system_class(system)
    names = (
        [system] if system is not None else sorted({*shared.store.records.systems(), *shared.store.records.attached()})
    )
    for name in names:
        shared.catch_up(name, scope)
    return names
