"""The arguments of a tool: what is advertised, and what is understood when a model sends it a little differently.

Models vary the names (`q` for `query`, `top_k` for `limit`) and the forms ("5", "a, b", '["a"]', null for what is left
out). Each argument knows its other names and how to read a value. What is not understood is refused with its name, the
value as it came and what would do; an argument that does not exist is refused with those that do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mnemic.errors import ParameterError

Schema = dict[str, Any]
_SCOPES = {
    "user_id",
    "agent_id",
    "app_id",
    "scope",
    "namespace",
    "group_id",
    "group_ids",
    "bank_id",
    "project",
    "dataset",
}
_TRUE, _FALSE = ("true", "yes", "1", "on"), ("false", "no", "0", "off")


@dataclass(frozen=True, slots=True)
class Kind:
    """A form that values take: its JSON schema, and how what was sent is read. `read` raises ValueError with what is wanted."""

    schema: Mapping[str, Any]
    read: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: its name, what it is for, the names it also goes by."""

    name: str
    kind: Kind
    description: str = ""
    aliases: tuple[str, ...] = ()
    is_required: bool = False
    default: Any = None
    alias_kinds: Mapping[str, Kind] = field(default_factory=dict)  # where another name also means another form

    def schema(self) -> Schema:
        """What is advertised of it."""
        shown = dict(self.kind.schema)
        if self.description:
            shown["description"] = self.description
        if self.default is not None:
            shown["default"] = self.default
        return shown


def object_schema(arguments: Sequence[Argument]) -> Schema:
    """The JSON schema of an object with these members and no others."""
    made: Schema = {"type": "object", "properties": {one.name: one.schema() for one in arguments}}
    if required := [one.name for one in arguments if one.is_required]:
        made["required"] = required
    return {**made, "additionalProperties": False}


def read_arguments(what: str, arguments: Sequence[Argument], given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Every argument by its own name, as its kind reads it; what was not sent has its default.

    null, and "" where something is optional, mean that it was not sent. Raises ParameterError.
    """
    left = {name: value for name, value in (given or {}).items() if value is not None}
    read: dict[str, Any] = {}
    for one in arguments:
        sent = {name: left.pop(name) for name in (one.name, *one.aliases) if name in left}
        if not one.is_required:
            sent = {name: value for name, value in sent.items() if value != ""}
        values = [_read(what, one, name, value) for name, value in sent.items()]
        if any(value != values[0] for value in values[1:]):
            raise ParameterError(
                f"{what}: {' and '.join(sent)} are the same argument with different values. Send {one.name} alone."
            )
        if not values and one.is_required:
            raise ParameterError(f"{what}: {one.name} is missing. {one.description or 'Send it.'}")
        read[one.name] = values[0] if values else one.default
    if left:
        _refuse(what, arguments, left)
    return read


def _read(what: str, one: Argument, name: str, value: Any) -> Any:
    try:
        return one.alias_kinds.get(name, one.kind).read(value)
    except ParameterError:
        raise
    except ValueError as error:
        raise ParameterError(f"{what}: {name}={_shown(value)}: {error}") from None


def _refuse(what: str, arguments: Sequence[Argument], left: Mapping[str, Any]) -> None:
    names = ", ".join(one.name for one in arguments) or "none"
    unknown = ", ".join(_shown(name) for name in sorted(left))
    scopes = " The memory is fixed by the connection; no argument chooses another." if _SCOPES & left.keys() else ""
    raise ParameterError(f"{what} has no argument {unknown}. It has: {names}.{scopes}")


def _shown(value: Any) -> str:
    shown = ascii(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def from_json(value: Any) -> Any:
    """The value that a JSON text holds; anything else, and text that is not a JSON list or object, as it came."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


# -- kinds ----------------------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    if isinstance(value, str) and value.strip():
        return value
    raise ValueError("give a text that is not empty.")


def _name(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return _text(value)


def _time(value: Any) -> str | int | float:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return value
    raise ValueError("give a time, such as 2024-05-01 or 2024-05-01T18:30:00+02:00.")


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    said = str(value).strip().lower()
    if said in _TRUE or said in _FALSE:
        return said in _TRUE
    raise ValueError("give true or false.")


def _object(value: Any) -> dict[str, Any]:
    value = from_json(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise ValueError('give an object, such as {"topic": "tea"}.')


def _content(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping) or (isinstance(value, list) and value):
        return value
    raise ValueError('give a text, or a list of messages {"role": ..., "content": ...}.')


def whole_number(least: int, most: int) -> Kind:
    """A whole number, also sent as 5.0 or "5"."""

    def read(value: Any) -> int:
        wanted = f"give a whole number from {least} to {most}."
        if isinstance(value, str) and value.strip().lstrip("+-").isdecimal():
            value = int(value) if len(value) < 20 else most + 1
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(wanted)
        return value

    return Kind({"type": "integer", "minimum": least, "maximum": most}, read)


def _share(value: Any) -> float:
    wanted = "give a number from 0 to 1."
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
    except ValueError:
        raise ValueError(wanted) from None
    if not 0.0 <= number <= 1.0:
        raise ValueError(wanted)
    return number


def choice(*options: str) -> Kind:
    """One of a few words, in any case."""

    def read(value: Any) -> str:
        if isinstance(value, str) and value.strip().lower() in options:
            return value.strip().lower()
        raise ValueError(f"give one of {', '.join(options)}.")

    return Kind({"type": "string", "enum": list(options)}, read)


def list_of(item: Kind, *, split: str = "") -> Kind:
    """A list, also sent as JSON text, as one item alone or, with `split`, as a text of items with that between them."""

    def read(value: Any) -> list[Any]:
        value = from_json(value)
        if split and isinstance(value, str):
            value = [part.strip() for part in value.split(split) if part.strip()]
        items = value if isinstance(value, list) else [value]
        return [item.read(one) for one in items]

    return Kind({"type": "array", "items": dict(item.schema)}, read)


def object_of(what: str, *members: Argument) -> Kind:
    """An object with known members, which also go by their other names."""

    def read(value: Any) -> dict[str, Any]:
        value = from_json(value)
        if not isinstance(value, Mapping):
            raise ValueError(f"give an object with {', '.join(one.name for one in members)}.")  # noqa: TRY004 - read, not a bug
        return read_arguments(what, members, value)

    return Kind(object_schema(members), read)


TEXT = Kind({"type": "string"}, _text)
NAME = Kind({"type": "string"}, _name)
TIME = Kind({"type": "string"}, _time)
BOOLEAN = Kind({"type": "boolean"}, _boolean)
OBJECT = Kind({"type": "object"}, _object)
SHARE = Kind({"type": "number", "minimum": 0, "maximum": 1}, _share)
CONTENT = Kind(
    {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]},
    _content,
)
MESSAGES = Kind(CONTENT.schema, lambda value: _content(from_json(value)))
NAMES = list_of(NAME, split=",")
