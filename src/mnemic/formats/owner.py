"""Where the ids of other memory libraries lead: the scope and session that `Memory.add(user_id=...)` would choose.

app_id and user_id are segments, "app:crm/user:alice"; agent_id is one, "agent:tutor", where there is no user, and else
a field of the metadata; run_id is the session. The rules are those of `mnemic.memory.ask.resolve`, and a test holds
both together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mnemic.errors import InvalidScope
from mnemic.formats.message import excerpt
from mnemic.model import join_scope

_KINDS = (("app", "app_id"), ("user", "user_id"))


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose an entry is."""

    scope: str | None = None
    session: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


def owner_of(ids: Mapping[str, Any]) -> Owner:
    """Whose an entry with these ids is; None and "" are no id. Raises InvalidScope for one that cannot be a segment."""
    scope = ""
    for kind, key in _KINDS:
        if (id := _id(key, ids.get(key))) is not None:
            scope = join_scope(scope, segment(kind, id))
    agent = _id("agent_id", ids.get("agent_id"))
    metadata = {}
    if agent is not None and _id("user_id", ids.get("user_id")) is None:
        scope = join_scope(scope, segment("agent", agent))
    elif agent is not None:
        metadata["agent_id"] = agent
    return Owner(scope or None, _id("run_id", ids.get("run_id")), metadata)


def segment(kind: str, id: str) -> str:
    """The segment for an id of that kind. Raises InvalidScope."""
    if "/" in id:
        raise InvalidScope(
            f"The {kind}_id {excerpt(id)!r} has a '/', which divides scopes. Rename it in the file and import it again."
        )
    return f"{kind}:{id}"


def _id(key: str, value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise InvalidScope(f"The {key} is {type(value).__name__}; text is expected.")
    if not (text := str(value).strip()):
        raise InvalidScope(f"The {key} {value!r} is empty. Give a name, or leave it out.")
    return text
