"""Filters over what episodes carry, in the two dialects that users of memory libraries write.

    {"topic": "tea"}                              equal
    {"score": {"gte": 3, "lt": 5}}                eq ne gt gte lt lte in nin contains icontains
    {"score": {"$gte": 3}}                        the same with "$"
    {"topic": "*"}                                present, whatever its value
    {"place": {"city": "Porto"}}                  nested, by key
    {"AND": [...]}, {"OR": [...]}, {"NOT": [...]} any depth; NOT: none of them holds

A key names one of the episode's own fields (id, role, actor (actor_id, name), session (run_id, session_id), text,
occurred_at, recorded_at (created_at)), or else a field of its metadata ("topic" or "metadata.topic"). Times compare as
times; a date on the right of lte or gt means its whole day. What is absent equals nothing: a comparison with it fails,
and only ``ne`` and ``nin`` hold.

A compiled filter is a tree: joins of fields, each with a test of its value. Called with an episode it answers yes or no;
an index reads the tree to decide all its rows at once (`mnemic.index.filtering`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal

from mnemic.clock import parse_time
from mnemic.errors import InvalidFilter, InvalidTime
from mnemic.model import Episode

ABSENT = object()  # the value of a field that an episode does not have
TIMES = ("occurred_at", "recorded_at")
_MAX_DEPTH = 20
_OWN = {  # how a filter may name an episode's own fields
    **{name: name for name in ("id", "role", "text", "occurred_at", "recorded_at")},
    "created_at": "recorded_at",
    **dict.fromkeys(("actor", "actor_id", "name"), "actor"),
    **dict.fromkeys(("session", "run_id", "session_id"), "session"),
}
_ORDERED: dict[str, Callable[[Any, Any], Any]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_OPERATORS = {"eq", "ne", "in", "nin", "contains", "icontains", *_ORDERED}
_JOINS = {"AND", "OR", "NOT"}
_SCALARS = (str, int, float, bool, type(None))


@dataclass(frozen=True, slots=True)
class Equal:
    """Whether a value is one of some choices, or, where `is_in` is false, none of them."""

    choices: tuple[Any, ...]
    is_in: bool
    texts: frozenset[str] = field(init=False)  # the choices that are text, and the others
    others: tuple[Any, ...] = field(init=False)

    def __post_init__(self) -> None:
        is_text = [type(choice) is str for choice in self.choices]
        pairs = list(zip(self.choices, is_text, strict=True))
        object.__setattr__(self, "texts", frozenset(choice for choice, text in pairs if text))
        object.__setattr__(self, "others", tuple(choice for choice, text in pairs if not text))

    def __call__(self, value: Any) -> bool:
        if type(value) is str:
            return (value in self.texts or any(_equal(value, choice) for choice in self.others)) is self.is_in
        return any(_equal(value, choice) for choice in self.choices) is self.is_in

    @property
    def is_scalar(self) -> bool:
        """Whether every choice is plain text, a number, true, false or null, so that they can be looked up."""
        return all(type(choice) in _SCALARS for choice in self.others)

    def moments(self) -> list[datetime]:
        """The choices that are times, as times."""
        return [moment for choice in self.choices if (moment := _time(choice)) is not None]


@dataclass(frozen=True, slots=True)
class Ordered:
    """Whether a value lies on one side of another: as times, as numbers, else as texts."""

    compare: Callable[[Any, Any], Any]
    wanted: str | int | float | date
    moment: datetime | None  # the other as a time, where it is one

    def __call__(self, value: Any) -> bool:
        if value is ABSENT or value is None:
            return False
        if isinstance(value, datetime):
            return self.moment is not None and bool(self.compare(value, self.moment))
        if isinstance(value, int | float) and isinstance(self.wanted, int | float):
            return bool(self.compare(value, self.wanted))
        try:
            return bool(self.compare(float(value), float(self.wanted)))  # type: ignore[arg-type]  # a date: TypeError
        except (TypeError, ValueError, OverflowError):
            is_text = isinstance(value, str) and isinstance(self.wanted, str)
            return is_text and bool(self.compare(value, self.wanted))


@dataclass(frozen=True, slots=True)
class Contains:
    """Whether a text has another in it, or a list has it as an item."""

    wanted: Any
    fold: bool

    def __call__(self, value: Any) -> bool:
        return _contains(value, self.wanted, fold=self.fold)


@dataclass(frozen=True, slots=True)
class Present:
    """Whether there is a value at all."""

    def __call__(self, value: Any) -> bool:
        return value is not ABSENT


@dataclass(frozen=True, slots=True)
class Inside:
    """Whether a value is a dictionary whose items pass."""

    tests: Mapping[Any, Test]

    def __call__(self, value: Any) -> bool:
        return isinstance(value, Mapping) and all(test(value.get(name, ABSENT)) for name, test in self.tests.items())


@dataclass(frozen=True, slots=True)
class Every:
    """Whether a value passes all of some tests."""

    tests: tuple[Test, ...]

    def __call__(self, value: Any) -> bool:
        return all(test(value) for test in self.tests)


Test = Equal | Ordered | Contains | Present | Inside | Every


@dataclass(frozen=True, slots=True)
class Field:
    """A test of one field: of the episode's own one, or where `own` is None of its metadata."""

    name: str  # as the filter has it
    own: str | None
    test: Test

    def __call__(self, episode: Episode) -> bool:
        if self.own is None:
            return self.test(self.of(episode.metadata))
        value = getattr(episode, self.own)
        return self.test(ABSENT if value is None else value)

    def of(self, metadata: Mapping[str, Any]) -> Any:
        """The value in some metadata, or ABSENT."""
        return value_of(self.name, metadata)


@dataclass(frozen=True, slots=True)
class Join:
    """AND: all parts hold. OR: any does. NOT: none does."""

    kind: Literal["AND", "OR", "NOT"]
    parts: tuple[Filter, ...]

    def __call__(self, episode: Episode) -> bool:
        if self.kind == "AND":
            return all(part(episode) for part in self.parts)
        return any(part(episode) for part in self.parts) is (self.kind == "OR")


Filter = Field | Join


def compile_filter(filters: Mapping[str, Any]) -> Filter:
    """A predicate on episodes. Raises InvalidFilter, with what is wrong, before anything is searched.

    >>> keep = compile_filter({"OR": [{"topic": "tea"}, {"score": {"$gt": 3}}]})
    """
    return _all_of(filters, 0)


def value_of(name: str, metadata: Mapping[str, Any]) -> Any:
    """What a filter's key names in some metadata, or ABSENT; "metadata.topic" is the key itself, else "topic"."""
    value = metadata.get(name, ABSENT)
    return metadata.get(name.removeprefix("metadata."), ABSENT) if value is ABSENT else value


def _all_of(filters: Any, depth: int) -> Filter:
    if not isinstance(filters, Mapping):
        raise InvalidFilter(f"A filter is a dictionary such as {{'topic': 'tea'}}; {type(filters).__name__} was given.")
    if depth > _MAX_DEPTH:
        raise InvalidFilter(f"The filter is nested more than {_MAX_DEPTH} deep. Flatten it.")
    parts = tuple(_one(key, condition, depth) for key, condition in filters.items())
    return parts[0] if len(parts) == 1 else Join("AND", parts)


def _one(key: Any, condition: Any, depth: int) -> Filter:
    if not isinstance(key, str) or not key:
        raise InvalidFilter(f"A filter's keys are field names; {key!r} was given.")
    if key.upper().lstrip("$") in _JOINS and key.upper() != key.lower():
        return _join(key.upper().lstrip("$"), condition, depth)
    return Field(key, _OWN.get(key), _condition(condition, key, depth))


def _join(name: str, parts: Any, depth: int) -> Filter:
    if name == "NOT" and isinstance(parts, Mapping):
        parts = [parts]
    if not isinstance(parts, list | tuple):
        raise InvalidFilter(f"{name} takes a list of filters; {type(parts).__name__} was given.")
    joined = tuple(_all_of(part, depth + 1) for part in parts)
    return Join("AND" if name == "AND" else "OR" if name == "OR" else "NOT", joined)


def _condition(condition: Any, key: str, depth: int) -> Test:
    if depth > _MAX_DEPTH:
        raise InvalidFilter(f"The filter is nested more than {_MAX_DEPTH} deep. Flatten it.")
    if isinstance(condition, str) and condition == "*":
        return Present()
    if not isinstance(condition, Mapping):
        return Equal((condition,), is_in=True)
    names = {str(name): str(name).removeprefix("$") for name in condition}
    known = {name for name, bare in names.items() if bare in _OPERATORS}
    unknown = [name for name in names if name.startswith("$") and name not in known]
    if unknown or (known and len(known) < len(names)):
        wrong = unknown or [name for name in names if name not in known]
        raise InvalidFilter(
            f"The filter on {key!r} has {wrong[0]!r}, which is no operator. Known are: {', '.join(sorted(_OPERATORS))}."
        )
    if known:
        tests = tuple(_comparison(names[name], condition[name], key) for name in names)
        return tests[0] if len(tests) == 1 else Every(tests)
    return Inside({name: _condition(wanted, f"{key}.{name}", depth + 1) for name, wanted in condition.items()})


def _comparison(name: str, wanted: Any, key: str) -> Test:
    if name in ("in", "nin"):
        if not isinstance(wanted, list | tuple | set | frozenset):
            raise InvalidFilter(
                f"{name!r} on {key!r} takes a list; {wanted!r} was given. Write {{'{name}': [{wanted!r}]}}."
            )
        return Equal(tuple(wanted), is_in=name == "in")
    if name in ("eq", "ne"):
        return Equal((wanted,), is_in=name == "eq")
    if name in ("contains", "icontains"):
        return Contains(wanted, fold=name == "icontains")
    if isinstance(wanted, bool) or not isinstance(wanted, str | int | float | date):
        raise InvalidFilter(f"{name!r} on {key!r} takes a number, a text or a time; {wanted!r} was given.")
    # a date without a time is its whole day: up to it means to its end, and after it begins there
    moment = _time(wanted, end_of_day=name in ("lte", "gt"))
    if _OWN.get(key) in TIMES and moment is None:
        raise InvalidFilter(f"{name!r} on {key!r} takes a time such as '2024-05-01'; {wanted!r} was given.")
    return Ordered(_ORDERED[name], wanted, moment)


def _equal(value: Any, wanted: Any) -> bool:
    if value is ABSENT:
        return False
    if isinstance(value, datetime):
        moment = _time(wanted)
        return moment is not None and value == moment
    if isinstance(value, bool) is not isinstance(wanted, bool):
        return False  # True is not 1 here
    return bool(value == wanted)


def _contains(value: Any, wanted: Any, *, fold: bool) -> bool:
    if isinstance(value, str):
        text = str(wanted)
        return text.casefold() in value.casefold() if fold else text in value
    if isinstance(value, list | tuple):
        return any(_contains(item, wanted, fold=True) if fold else _equal(item, wanted) for item in value)
    return False


def _time(value: Any, *, end_of_day: bool = False) -> datetime | None:
    try:
        # in UTC: Python finds a local time that a change of the clocks repeats or skips equal to no other zone's
        return parse_time(value, end_of_day=end_of_day).astimezone(UTC)
    except InvalidTime:
        return None
