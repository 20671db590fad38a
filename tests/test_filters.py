"""Filters in both dialects: what passes, what does not, what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.errors import InvalidFilter
from mnemic.filters import compile_filter
from mnemic.model import Episode

EPISODE = Episode(
    text="Tea in the garden",
    id="e1",
    scope="acme",
    occurred_at=datetime(2024, 5, 1, 12, tzinfo=UTC),
    recorded_at=datetime(2024, 5, 2, 12, tzinfo=UTC),
    role="user",
    actor="Anna",
    session="mon",
    metadata={
        "topic": "tea",
        "score": 3,
        "ratio": 2.5,
        "flag": True,
        "one": 1,
        "none": None,
        "tags": ["green", "Leaf", 7],
        "place": {"city": "Porto", "geo": {"lat": 41.1}},
        "text_number": "12",
        "huge": 10**400,
        "day": "2024-03-05",
    },
)


def passes(filters: dict[str, Any]) -> bool:
    return compile_filter(filters)(EPISODE)


YES: list[dict[str, Any]] = [
    {},
    {"topic": "tea"},
    {"topic": {"eq": "tea"}},
    {"topic": {"$eq": "tea"}},
    {"topic": {"ne": "coffee"}},
    {"absent": {"ne": "x"}},
    {"absent": {"nin": ["x"]}},
    {"topic": {"in": ["coffee", "tea"]}},
    {"topic": {"$in": ("tea",)}},
    {"topic": {"nin": ["coffee"]}},
    {"topic": {"contains": "ea"}},
    {"topic": {"icontains": "TE"}},
    {"tags": {"contains": "green"}},
    {"tags": {"icontains": "LEAF"}},
    {"tags": {"contains": 7}},
    {"tags": ["green", "Leaf", 7]},
    {"score": 3},
    {"score": 3.0},
    {"score": {"gte": 3, "lt": 5}},
    {"score": {"$gt": 2.5, "$lte": 3}},
    {"score": {"gt": "2"}},
    {"text_number": {"gt": 5}},
    {"huge": {"gt": 1}},
    {"day": {"gte": "2024-03-01", "lt": "2024-04"}},
    {"topic": "*"},
    {"none": "*"},
    {"none": None},
    {"flag": True},
    {"place": {"city": "Porto"}},
    {"place": {"geo": {"lat": {"$gt": 41}}}},
    {"place": {"geo": {"lat": 41.1}}},
    {"AND": [{"topic": "tea"}, {"score": 3}]},
    {"$and": [{"topic": "tea"}]},
    {"OR": [{"topic": "coffee"}, {"score": 3}]},
    {"NOT": [{"topic": "coffee"}, {"score": 4}]},
    {"NOT": {"topic": "coffee"}},
    {"AND": []},
    {"NOT": []},
    {"AND": [{"OR": [{"score": 9}, {"NOT": [{"topic": "x"}]}]}, {"topic": "tea"}]},
    {"id": "e1", "role": "user", "actor": "Anna", "session": "mon"},
    {"actor_id": "Anna", "name": "Anna", "run_id": "mon", "session_id": "mon"},
    {"text": {"icontains": "GARDEN"}},
    {"occurred_at": "2024-05-01T12:00:00Z"},
    {"occurred_at": {"gte": "2024-05-01", "lte": "2024-05-01"}},
    {"occurred_at": {"gt": "2024-04-30"}},
    {"occurred_at": {"lt": datetime(2024, 5, 1, 14, 30, tzinfo=timezone(timedelta(hours=2)))}},
    {"created_at": {"gt": 1714600000}},
    {"recorded_at": {"in": ["2024-05-02T12:00:00+00:00"]}},
]
NO: list[dict[str, Any]] = [
    {"topic": "Tea"},
    {"absent": "tea"},
    {"absent": None},
    {"absent": "*"},
    {"absent": {"gt": 0}},
    {"absent": {"in": ["tea"]}},
    {"absent": {"contains": "x"}},
    {"topic": {"ne": "tea"}},
    {"topic": {"in": []}},
    {"topic": {"nin": ["tea"]}},
    {"topic": {"contains": "TE"}},
    {"score": {"gt": 3}},
    {"score": {"gt": "high"}},
    {"score": "3"},
    {"score": True},
    {"one": True},
    {"flag": 1},
    {"none": {"gt": 0}},
    {"none": "none"},
    {"tags": ["Leaf", "green", 7]},
    {"tags": "green"},
    {"tags": {"contains": "gre"}},
    {"place": {"city": "Lisbon"}},
    {"place": {"city": "Porto", "country": "PT"}},
    {"place": "Porto"},
    {"topic": {"inner": "x"}},
    {"OR": []},
    {"AND": [{"topic": "tea"}, {"score": 4}]},
    {"NOT": [{"topic": "tea"}]},
    {"NOT": [{"topic": "x"}, {"score": 3}]},
    {"topic": "tea", "score": 4},
    {"occurred_at": {"gt": "2024-05-01"}},
    {"occurred_at": {"lt": "2024-05-01"}},
    {"occurred_at": "May"},
    {"actor": None},
]
MALFORMED: list[Any] = [
    "topic",
    ["topic"],
    None,
    5,
    {5: "x"},
    {"": "x"},
    {"topic": {"$near": 5}},
    {"topic": {"gt": 1, "colour": 2}},
    {"topic": {"$gt": 1, "$foo": 2}},
    {"topic": {"in": "tea"}},
    {"topic": {"nin": "tea"}},
    {"topic": {"in": {"a": 1}}},
    {"topic": {"in": None}},
    {"score": {"gt": None}},
    {"score": {"lte": [3]}},
    {"score": {"lt": True}},
    {"score": {"gte": {"x": 1}}},
    {"occurred_at": {"gte": "yesterday"}},
    {"created_at": {"lt": float("nan")}},
    {"AND": {"topic": "tea"}},
    {"OR": "tea"},
    {"OR": ["tea"]},
    {"NOT": 5},
    {"AND": [{"topic": {"$near": 1}}]},
]


@pytest.mark.parametrize("filters", YES, ids=str)
def test_an_episode_passes(filters: dict[str, Any]) -> None:
    assert passes(filters)


@pytest.mark.parametrize("filters", NO, ids=str)
def test_an_episode_does_not_pass(filters: dict[str, Any]) -> None:
    assert not passes(filters)


@pytest.mark.parametrize("filters", MALFORMED, ids=str)
def test_a_malformed_filter_is_refused_before_anything_is_searched(filters: Any) -> None:
    with pytest.raises(InvalidFilter):
        compile_filter(filters)


def test_a_filter_nested_too_deep_is_refused() -> None:
    for wrap in (lambda inner: {"AND": [inner]}, lambda inner: {"NOT": inner}, lambda inner: {"k": inner}):
        filters: dict[str, Any] = {"topic": "tea"}
        for _ in range(500):
            filters = wrap(filters)
        with pytest.raises(InvalidFilter, match="nested more than 20 deep"):
            compile_filter(filters)


def test_a_message_says_what_was_meant() -> None:
    with pytest.raises(InvalidFilter, match=r"'in' on 'topic' takes a list.*\{'in': \['tea'\]\}"):
        compile_filter({"topic": {"in": "tea"}})


def test_a_field_of_the_episodes_own_goes_before_metadata_of_the_same_name() -> None:
    episode = Episode(
        text="x",
        id="e",
        scope="",
        occurred_at=EPISODE.occurred_at,
        recorded_at=EPISODE.occurred_at,
        metadata={"role": "boss"},
    )
    assert compile_filter({"role": "user"})(episode)
    assert not compile_filter({"role": "boss"})(episode)
    assert compile_filter({"metadata.role": "boss"})(episode)


# -- properties -----------------------------------------------------------------------------------------------

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
numbers = st.integers() | st.floats(allow_nan=False)
metadata = st.dictionaries(st.sampled_from("abc"), values)
filters = st.recursive(
    st.dictionaries(
        st.sampled_from("abcd"),
        values | st.dictionaries(st.sampled_from(["eq", "$ne", "contains"]), values, min_size=1),
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "AND": st.lists(inner, max_size=3),
            "OR": st.lists(inner, max_size=3),
            "NOT": st.lists(inner, max_size=3),
        },
    ),
    max_leaves=6,
)


def having(fields: dict[str, Any]) -> Episode:
    return Episode(
        text="x", id="e", scope="", occurred_at=EPISODE.occurred_at, recorded_at=EPISODE.occurred_at, metadata=fields
    )


@given(filters=st.one_of(filters, st.dictionaries(st.text(max_size=8), values)), fields=metadata)
def test_any_filter_answers_yes_or_no_or_is_refused(filters: dict[str, Any], fields: dict[str, Any]) -> None:
    try:
        keep = compile_filter(filters)
    except InvalidFilter:
        return
    assert keep(having(fields)) in (True, False)


@given(one=filters, other=filters, fields=metadata)
def test_and_or_and_not_are_those_of_logic(one: dict[str, Any], other: dict[str, Any], fields: dict[str, Any]) -> None:
    episode = having(fields)
    try:
        a, b = compile_filter(one)(episode), compile_filter(other)(episode)
    except InvalidFilter:
        return
    assert compile_filter({"AND": [one, other]})(episode) == (a and b)
    assert compile_filter({"OR": [one, other]})(episode) == (a or b)
    assert compile_filter({"NOT": [one, other]})(episode) == (not a and not b)
    assert compile_filter({"NOT": one})(episode) != a


@given(value=numbers, bound=numbers)
def test_the_orders_of_numbers_are_those_of_python_in_both_dialects(value: float, bound: float) -> None:
    for sign in ("", "$"):
        held = {
            name: compile_filter({"a": {f"{sign}{name}": bound}})(having({"a": value}))
            for name in ("gt", "gte", "lt", "lte", "eq", "ne")
        }
        assert held == {
            "gt": value > bound,
            "gte": value >= bound,
            "lt": value < bound,
            "lte": value <= bound,
            "eq": value == bound,
            "ne": value != bound,
        }


@given(value=values, choices=st.lists(values, max_size=4))
def test_nin_is_the_opposite_of_in_and_ne_of_eq(value: Any, choices: list[Any]) -> None:
    for fields in ({"a": value}, {}):
        episode = having(fields)
        assert compile_filter({"a": {"in": choices}})(episode) != compile_filter({"a": {"nin": choices}})(episode)
        for choice in choices:
            assert compile_filter({"a": {"eq": choice}})(episode) != compile_filter({"a": {"ne": choice}})(episode)
