"""Choosing episodes by id, session, time and filters: what `list` and `forget` have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mnemic.clock import parse_time
from mnemic.filters import compile_filter
from mnemic.memory.intake import Time
from mnemic.model import Episode


def selector(
    ids: set[str] | None, session: str | None, since: Time | None, until: Time | None, filters: Mapping[str, Any] | None
) -> Callable[[Episode], bool]:
    """Whether an episode is one of those chosen: everything that is given must hold. Raises InvalidTime, InvalidFilter."""
    begins = None if since is None else parse_time(since)
    ends = None if until is None else parse_time(until, end_of_day=True)
    passes = compile_filter(filters) if filters else None

    def keep(episode: Episode) -> bool:
        return (
            (ids is None or episode.id in ids)
            and (session is None or episode.session == session)
            and (begins is None or episode.occurred_at >= begins)
            and (ends is None or episode.occurred_at <= ends)
            and (passes is None or passes(episode))
        )

    return keep


def is_storable(id: object) -> bool:
    """Whether this can be an id at all: text, without half a character."""
    return isinstance(id, str) and (id.isascii() or id.encode("utf-8", "replace").decode() == id)
