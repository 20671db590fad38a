"""Arguments that several tools narrow by: how many, when, which session, which fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mnemic.errors import ParameterError
from mnemic.mcp.arguments import NAME, OBJECT, TIME, Argument, whole_number

_SCOPE_KEYS = ("user_id", "agent_id", "app_id")

LIMIT = Argument(
    "limit",
    whole_number(1, 100),
    "How many at most.",
    ("top_k", "num_results", "page_size", "per_page", "max_results", "k", "n", "count"),
    default=10,
)
SINCE = Argument(
    "since",
    TIME,
    "Only what happened from then on: 2024-05-01.",
    ("after", "after_date", "from_date", "start_date", "start", "date_from"),
)
UNTIL = Argument(
    "until",
    TIME,
    "Only what happened up to then; a date means its whole day.",
    ("before", "before_date", "to_date", "end_date", "end", "date_to"),
)
IN_SESSION = Argument(
    "session", NAME, "Only this conversation or run.", ("session_id", "run_id", "conversation_id", "thread_id")
)
FILTERS = Argument(
    "filters",
    OBJECT,
    'Only what these hold for, on metadata and fields: {"topic": "tea"}, {"role": "user"}, {"n": {"gte": 3}}, '
    '{"OR": [...]}.',
    ("filter", "where", "search_filter"),
)


def without_scopes(filters: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The filters, when they choose no other scope. Raises ParameterError."""
    waiting: list[Any] = [filters]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            if named := [key for key in _SCOPE_KEYS if key in one]:
                raise ParameterError(
                    f"The filters name {named[0]}. The memory is fixed by the connection; leave {named[0]} out, or keep such a "
                    "field in the metadata under another name."
                )
            waiting += [value for key, value in one.items() if key in ("AND", "OR", "NOT")]
        elif isinstance(one, list | tuple):
            waiting += one
    return filters
