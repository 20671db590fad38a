"""What is asked on the search pages, as it stands in their address."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from mnemic.errors import InvalidFilter
from mnemic.serve.inspector.frame import Asked
from mnemic.systems.registry import DEFAULT

MOST = 100  # hits on a page


@dataclass(frozen=True, slots=True)
class Question:
    """A query and what narrows it."""

    scope: str
    q: str | None = None
    system: str = DEFAULT
    limit: int = 10
    session: str | None = None
    since: str | None = None
    until: str | None = None
    as_of: str | None = None
    filters: str | None = None
    children: bool = False

    @classmethod
    def of(cls, asked: Asked, limit: int = 10) -> Question:
        """As the address has it. Raises ParameterError and InvalidScope."""
        return cls(
            scope=asked.scope,
            q=asked.text("q"),
            system=asked.text("system") or DEFAULT,
            limit=max(1, asked.number("limit", limit, MOST)),
            session=asked.name("session"),
            since=asked.text("since"),
            until=asked.text("until"),
            as_of=asked.text("as_of"),
            filters=asked.text("filters"),
            children=asked.flag("children"),
        )

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of a search. Raises InvalidFilter."""
        return {
            "limit": self.limit,
            "session": self.session,
            "since": self.since,
            "until": self.until,
            "as_of": self.as_of,
            "filters": filters_in(self.filters),
            "include_children": self.children,
        }

    @property
    def narrowing(self) -> int:
        """How many fields narrow it."""
        return sum(map(bool, (self.session, self.since, self.until, self.as_of, self.filters, self.children)))

    def query(self, **changes: Any) -> dict[str, Any]:
        """The fields of an address that asks this, with some of them changed."""
        given = {name: getattr(self, name) for name in self.__slots__}
        defaults = {"system": DEFAULT, "limit": 10}
        kept = {name: value for name, value in given.items() if value != defaults.get(name)}
        return {**kept, **changes}

    def with_remedy(self, remedy: Mapping[str, Any]) -> Question:
        """The same with the arguments that bring in what was missed."""
        names = {"include_children": "children", "top_k": "limit"}
        changes = {names.get(name, name): value for name, value in remedy.items()}
        known = {name: _field(name, value) for name, value in changes.items() if name in self.__slots__}
        return replace(self, **known)


def filters_in(text: str | None) -> dict[str, Any] | None:
    """Filters as they are typed. Raises InvalidFilter."""
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InvalidFilter(
            f'The filter {text[:80]!r} is not JSON. Write it as {{"topic": "tea"}}, with double quotes.'
        ) from error
    if not isinstance(found, dict):
        raise InvalidFilter('A filter is an object. Write it as {"topic": "tea"}.')
    return found


def _field(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if name == "filters" and value is not None:
        return json.dumps(value, ensure_ascii=False)
    return min(value, MOST) if name == "limit" else value
