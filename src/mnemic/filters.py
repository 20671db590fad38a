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
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from mnemic.clock import parse_time
from mnemic.errors import InvalidFilter, InvalidTime
from mnemic.model import Episode

Predicate = Callable[[Episode], bool]
_MAX_DEPTH = 20
_ABSENT = object()
_OWN: dict[str, Callable[[Episode], Any]] = {
    "id": lambda episode: episode.id,
    "role": lambda episode: episode.role,
    "text": lambda episode: episode.text,
    "occurred_at": lambda episode: episode.occurred_at,
    "recorded_at": lambda episode: episode.recorded_at,
    "created_at": lambda episode: episode.recorded_at,
    **dict.fromkeys(("actor", "actor_id", "name"), lambda episode: episode.actor),
    **dict.fromkeys(("session", "run_id", "session_id"), lambda episode: episode.session),
}
_TIMES = ("occurred_at", "recorded_at", "created_at")
_ORDERED = {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
_OPERATORS = {"eq", "ne", "in", "nin", "contains", "icontains", *_ORDERED}
_JOINS = {"AND", "OR", "NOT"}


def compile_filter(filters: Mapping[str, Any]) -> Predicate:
    """A predicate on episodes. Raises InvalidFilter, with what is wrong, before anything is searched.

    >>> keep = compile_filter({"OR": [{"topic": "tea"}, {"score": {"$gt": 3}}]})
    """
    return _all_of(filters, 0)


def _all_of(filters: Any, depth: int) -> Predicate:
    if not isinstance(filters, Mapping):
        raise InvalidFilter(f"A filter is a dictionary such as {{'topic': 'tea'}}; {type(filters).__name__} was given.")
    if depth > _MAX_DEPTH:
        raise InvalidFilter(f"The filter is nested more than {_MAX_DEPTH} deep. Flatten it.")
    tests = [_one(key, condition, depth) for key, condition in filters.items()]
    return lambda episode: all(test(episode) for test in tests)


def _one(key: Any, condition: Any, depth: int) -> Predicate:
    if not isinstance(key, str) or not key:
        raise InvalidFilter(f"A filter's keys are field names; {key!r} was given.")
    if key.upper().lstrip("$") in _JOINS and key.upper() != key.lower():
        return _join(key.upper().lstrip("$"), condition, depth)
    holds = _condition(condition, key, depth)
    own = _OWN.get(key)
    field = key.removeprefix("metadata.")

    def test(episode: Episode) -> bool:
        if own is None:
            return holds(episode.metadata.get(key, episode.metadata.get(field, _ABSENT)))
        value = own(episode)
        return holds(_ABSENT if value is None else value)

    return test


def _join(name: str, parts: Any, depth: int) -> Predicate:
    if name == "NOT" and isinstance(parts, Mapping):
        parts = [parts]
    if not isinstance(parts, list | tuple):
        raise InvalidFilter(f"{name} takes a list of filters; {type(parts).__name__} was given.")
    tests = [_all_of(part, depth + 1) for part in parts]
    if name == "AND":
        return lambda episode: all(test(episode) for test in tests)
    if name == "OR":
        return lambda episode: any(test(episode) for test in tests)
    return lambda episode: not any(test(episode) for test in tests)


def _condition(condition: Any, key: str, depth: int) -> Callable[[Any], bool]:
    if depth > _MAX_DEPTH:
        raise InvalidFilter(f"The filter is nested more than {_MAX_DEPTH} deep. Flatten it.")
    if isinstance(condition, str) and condition == "*":
        return lambda value: value is not _ABSENT
    if not isinstance(condition, Mapping):
        return lambda value: _equal(value, condition)
    names = {str(name): str(name).removeprefix("$") for name in condition}
    known = {name for name, bare in names.items() if bare in _OPERATORS}
    unknown = [name for name in names if name.startswith("$") and name not in known]
    if unknown or (known and len(known) < len(names)):
        wrong = unknown or [name for name in names if name not in known]
        raise InvalidFilter(
            f"The filter on {key!r} has {wrong[0]!r}, which is no operator. Known are: {', '.join(sorted(_OPERATORS))}."
        )
    if known:
        tests = [_comparison(names[name], condition[name], key) for name in names]
        return lambda value: all(test(value) for test in tests)
    inner = {name: _condition(wanted, f"{key}.{name}", depth + 1) for name, wanted in condition.items()}
    return lambda value: (
        isinstance(value, Mapping) and all(test(value.get(name, _ABSENT)) for name, test in inner.items())
    )


def _comparison(name: str, wanted: Any, key: str) -> Callable[[Any], bool]:
    if name in ("in", "nin"):
        if not isinstance(wanted, list | tuple | set | frozenset):
            raise InvalidFilter(
                f"{name!r} on {key!r} takes a list; {wanted!r} was given. Write {{'{name}': [{wanted!r}]}}."
            )
        choices = list(wanted)
        is_in = name == "in"
        return lambda value: any(_equal(value, choice) for choice in choices) is is_in
    if name == "eq":
        return lambda value: _equal(value, wanted)
    if name == "ne":
        return lambda value: not _equal(value, wanted)
    if name in ("contains", "icontains"):
        return lambda value: _contains(value, wanted, fold=name == "icontains")
    if isinstance(wanted, bool) or not isinstance(wanted, str | int | float | date):
        raise InvalidFilter(f"{name!r} on {key!r} takes a number, a text or a time; {wanted!r} was given.")
    compare = _ORDERED[name]
    # a date without a time is its whole day: up to it means to its end, and after it begins there
    moment = _time(wanted, end_of_day=name in ("lte", "gt"))
    if key in _TIMES and moment is None:
        raise InvalidFilter(f"{name!r} on {key!r} takes a time such as '2024-05-01'; {wanted!r} was given.")
    return lambda value: _ordered(value, wanted, moment, compare)


def _equal(value: Any, wanted: Any) -> bool:
    if value is _ABSENT:
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


def _ordered(value: Any, wanted: Any, moment: datetime | None, compare: Callable[[Any, Any], bool]) -> bool:
    if value is _ABSENT or value is None:
        return False
    if isinstance(value, datetime):
        return moment is not None and compare(value, moment)
    if isinstance(value, int | float) and isinstance(wanted, int | float):
        return bool(compare(value, wanted))
    try:
        return bool(compare(float(value), float(wanted)))
    except (TypeError, ValueError, OverflowError):
        return isinstance(value, str) and isinstance(wanted, str) and bool(compare(value, wanted))


def _time(value: Any, *, end_of_day: bool = False) -> datetime | None:
    try:
        return parse_time(value, end_of_day=end_of_day)
    except InvalidTime:
        return None
