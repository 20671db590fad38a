"""What callers hand to a verb, as JSON: checked by what `Memory` checks it with, so that it is refused in the same words."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from mnemic.clock import parse_time
from mnemic.errors import InvalidFilter, ParameterError
from mnemic.filters import compile_filter
from mnemic.memory.ask import resolve
from mnemic.memory.intake import Draft, Time

Json = dict[str, Any]
Id = str | None
MOST = 1000  # rows of one page


def place(scope: str, user_id: Id = None, agent_id: Id = None, run_id: Id = None, app_id: Id = None) -> Json:
    """The scope and ids of a request. Raises InvalidScope."""
    resolve(scope, user_id, agent_id, run_id, app_id)
    ids = {"user_id": user_id, "agent_id": agent_id, "run_id": run_id, "app_id": app_id}
    return {"scope": scope, **{name: str(id) for name, id in ids.items() if id is not None}}


def question(
    where: Json,
    system: str,
    query: str,
    limit: int,
    *,
    threshold: float,
    filters: Mapping[str, Any] | None,
    session: str | None,
    since: Time | None,
    until: Time | None,
    as_of: Time | None,
    asked_at: Time | None,
    include_children: bool,
) -> Json:
    """The body of a search. Raises ParameterError, InvalidFilter, InvalidTime and InvalidScope."""
    if not isinstance(query, str):
        raise ParameterError(f"The query is {type(query).__name__}; text is expected.")
    whole("limit", limit, 1)
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0.0 <= threshold <= 1.0:
        raise ParameterError(f"threshold={threshold!r}: scores lie between 0 and 1.")
    return given(
        **where,
        system=system,
        query=query,
        limit=limit,
        threshold=threshold,
        filters=condition(where, filters),
        session=session,
        since=moment(since),
        until=moment(until),
        as_of=moment(as_of),
        asked_at=moment(asked_at),
        include_children=bool(include_children),
    )


def message(draft: Draft) -> Json:
    """A draft as the message that becomes it again."""
    content: Any = draft.text
    if draft.parts:
        text = [{"type": "text", "text": draft.text}] if draft.text else []
        content = [*text, *(dict(part) for part in draft.parts)]
    return given(
        role=draft.role,
        content=content,
        name=draft.actor,
        session=draft.session,
        timestamp=moment(draft.occurred_at),
        id=draft.id,
        metadata=dict(draft.metadata) or None,
    )


def condition(where: Json, filters: Mapping[str, Any] | None) -> Json | None:
    """Filters as JSON. Raises InvalidFilter, also where the ids of `where` contradict them."""
    if filters is None:
        return None
    user, agent, run, app = (where.get(name) for name in ("user_id", "agent_id", "run_id", "app_id"))
    chosen = resolve(where["scope"], user, agent, run, app, filters)
    if chosen.filters:
        compile_filter(chosen.filters)
    plain: Json = _plain(filters)
    return plain


def moment(value: Time | None) -> str | None:
    """A time as text; a date stays a date, which as the end of a window is its whole day. Raises InvalidTime."""
    if value is None:
        return None
    parsed = parse_time(value)
    if isinstance(value, str):
        return value
    return value.isoformat() if isinstance(value, date) else parsed.isoformat()


def whole(name: str, number: int, least: int) -> int:
    """A whole number of at least that. Raises ParameterError."""
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number < 2**62:
        raise ParameterError(f"{name}={number!r}: give a whole number of at least {least}.")
    return number


def cursor_after(where: int | str | None) -> str | None:
    """The cursor of the page that begins behind that place in a listing; None for the first page."""
    return None if not where else base64.urlsafe_b64encode(json.dumps(where).encode()).decode().rstrip("=")


def given(**values: Any) -> Json:
    """Those that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def _plain(value: Any, depth: int = 0) -> Any:
    """A filter's value as JSON holds it. `compile_filter` has seen the depth of what it knows; the rest is bounded here."""
    if depth > 100:
        raise InvalidFilter("The filter is nested too deep. Flatten it.")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _plain(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner, depth + 1) for inner in value]
    return value
