"""Searching: arguments and their other names, ids, shapes, explanations, children."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.errors import InvalidFilter, InvalidScope, InvalidTime, ParameterError, SystemNotFound

Open = Callable[..., Memory]


def found(recall: Any) -> list[str]:
    return [hit.text for hit in recall]


@pytest.fixture
def alices(memory: Memory) -> Memory:
    """Tea in five places: alice with two agents and a run, bob, an agent alone."""
    memory.add("green tea", user_id="alice", agent_id="tutor")
    memory.add("black tea", user_id="alice", agent_id="cook")
    memory.add("mint tea", user_id="alice", run_id="r1")
    memory.add("white tea", user_id="bob")
    memory.add("iced tea", agent_id="tutor")
    return memory


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ({"user_id": "alice"}, {"green tea", "black tea", "mint tea"}),
        ({"user_id": " alice "}, {"green tea", "black tea", "mint tea"}),
        ({"user_id": "bob"}, {"white tea"}),
        ({"user_id": "alice", "agent_id": "tutor"}, {"green tea"}),
        ({"user_id": "alice", "run_id": "r1"}, {"mint tea"}),
        ({"agent_id": "tutor"}, {"iced tea"}),
        ({"user_id": "nobody"}, set()),
        ({"app_id": "crm", "user_id": "alice"}, set()),
        ({}, set()),
    ],
    ids=lambda one: str(sorted(one)) if isinstance(one, set) else str(one),
)
def test_ids_choose_the_same_as_keywords_and_inside_filters(
    alices: Memory, ids: dict[str, str], expected: set[str]
) -> None:
    assert set(found(alices.search("tea", **ids))) == expected
    assert set(found(alices.search("tea", filters=ids))) == expected
    assert set(found(alices.search("tea", filters=ids, **ids))) == expected
    assert set(found(alices.context("tea", **ids).recall)) == expected
    assert {one["memory"] for one in alices.get_all(filters=ids)["results"]} == expected


@pytest.mark.parametrize("path", ["user:alice", "crm/user:alice"])
def test_on_a_users_own_handle_agent_id_is_a_field_as_with_user_id(memory: Memory, path: str) -> None:
    above = memory.scope("crm") if path.startswith("crm") else memory
    above.add("green tea", user_id="alice", agent_id="tutor")
    above.add("black tea", user_id="alice", agent_id="cook")
    alice = memory.scope(path)
    alice.add("mint tea", agent_id="tutor")
    assert memory.scopes() == {path: 3}
    for given in (
        {"agent_id": "tutor"},
        {"filters": {"agent_id": "tutor"}},
        {"filters": {"AND": [{"agent_id": {"eq": "tutor"}}]}},
        {"agent_id": "tutor", "filters": {"agent_id": "tutor"}},
    ):
        assert set(found(alice.search("tea", **given))) == {"green tea", "mint tea"}
        assert {one.text for one in alice.list(**given)} == {"green tea", "mint tea"}
    assert set(found(alice.search("tea", filters={"agent_id": {"in": ["cook"]}}))) == {"black tea"}
    assert alice.forget(agent_id="tutor").episodes == 2
    assert [one.text for one in alice.list()] == ["black tea"]


def test_below_a_users_handle_and_elsewhere_agent_id_is_a_scope(memory: Memory) -> None:
    memory.scope("user:alice").add("a", app_id="crm", agent_id="tutor")
    memory.scope("user:alice/notes").add("b", agent_id="tutor")
    memory.scope("superuser:alice").add("c", agent_id="tutor")
    assert list(memory.scopes()) == [
        "superuser:alice/agent:tutor",
        "user:alice/app:crm/agent:tutor",
        "user:alice/notes/agent:tutor",
    ]


def test_ids_and_filters_that_contradict_each_other_are_refused(alices: Memory) -> None:
    with pytest.raises(InvalidFilter, match="Give it once"):
        alices.search("tea", user_id="alice", filters={"user_id": "bob"})


def test_top_k_is_limit(alices: Memory) -> None:
    assert len(alices.search("tea", top_k=2, user_id="alice")) == 2
    assert found(alices.search("tea", top_k=2, user_id="alice")) == found(
        alices.search("tea", limit=2, user_id="alice")
    )


def test_a_recall_is_a_sequence_of_hits_and_the_dictionary_of_other_memory_libraries(memory: Memory) -> None:
    added = memory.add("tea in the garden", role="user", actor="Anna", session="mon", metadata={"k": 1})
    recall = memory.recall("garden tea")
    [hit] = recall
    result = recall["results"][0]
    assert (len(recall), recall[0], recall[-1], recall[:5], list(recall)) == (1, hit, hit, (hit,), [hit])
    assert {key: result[key] for key in ("id", "memory", "score", "metadata", "actor_id", "run_id", "role")} == {
        "id": added.id,
        "memory": "tea in the garden",
        "score": round(hit.score, 6),
        "metadata": {"k": 1},
        "actor_id": "Anna",
        "run_id": "mon",
        "role": "user",
    }
    assert (hit["memory"], hit.sources, hit.kind) == ("tea in the garden", (added.id,), "episode")
    assert json.loads(json.dumps(recall.to_dict()))["results"][0] == result


def test_a_hit_explains_itself_strongest_signal_first(memory: Memory) -> None:
    memory.add("tea in the garden", actor="Anna")
    hit = memory.search("Did Anna have tea?")[0]
    said = hit.explain()
    assert "words" in said
    assert "(tea" in said
    assert "speaker" in said
    shares = [float(part.split()[1]) for part in said.split(", ") if part.split()[1][:1].isdigit()]
    assert shares == sorted(shares, reverse=True)


def test_the_text_is_given_back_exactly_as_it_was_said(memory: Memory) -> None:
    text = "  Tea,\n\n\tin the   GARDEN!  "
    memory.add(text)
    assert found(memory.search("tea")) == [text]


def test_a_time_in_the_query_is_read_from_when_it_was_asked(memory: Memory) -> None:
    memory.add("dinner with Bob", id="march", occurred_at="2024-03-10")
    memory.add("dinner with Ann", id="april", occurred_at="2024-04-10")
    assert memory.search("dinner last month", asked_at="2024-05-15")[0].id == "april"
    assert memory.search("dinner last month", asked_at="2024-04-15")[0].id == "march"


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ({"since": "2024-03-10"}, {"a", "b", "c"}),
        ({"until": "2024-03-10"}, {"a", "b"}),
        ({"until": "2024-03-10T12:00"}, {"a"}),
        ({"since": "2024-03-10T12:00", "until": "2024-03-10"}, {"b"}),
        ({"since": "2024-04-01", "until": "2024-03-01"}, set()),
    ],
    ids=lambda one: str(sorted(one)) if isinstance(one, set) else str(one),
)
def test_a_window_includes_both_ends_and_a_date_as_its_end_is_the_whole_day(
    memory: Memory, window: dict[str, str], expected: set[str]
) -> None:
    memory.add("tea", id="a", occurred_at="2024-03-10T00:00")
    memory.add("more tea", id="b", occurred_at="2024-03-10T23:59:59.999999")
    memory.add("tea again", id="c", occurred_at="2024-03-11T00:00")
    assert {hit.id for hit in memory.search("tea", **window)} == expected
    assert {one.id for one in memory.list(**window)} == expected


def test_as_of_a_date_is_what_was_known_at_its_end(open_memory: Open) -> None:
    clock = ManualClock(__import__("datetime").datetime(2024, 5, 1, 20))
    memory = open_memory(clock=clock)
    memory.add("tea", id="a")
    clock.advance(timedelta(hours=5))
    memory.add("tea too", id="b")
    assert [hit.id for hit in memory.search("tea", as_of="2024-05-01")] == ["a"]
    assert [hit.id for hit in memory.search("tea", as_of="2024-04-30")] == []


def test_children_are_searched_only_when_asked_for_and_siblings_never(memory: Memory) -> None:
    for path in ("acme", "acme/alice", "acme/alice/tutor", "acmes", "acme2/x"):
        memory.scope(path).add(f"tea of {path}")
    acme = memory.scope("acme")
    assert found(acme.search("tea")) == ["tea of acme"]
    children = {"tea of acme", "tea of acme/alice", "tea of acme/alice/tutor"}
    assert set(found(acme.search("tea", include_children=True))) == children
    assert len(memory.search("tea", include_children=True)) == 5


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"limit": 0}, ParameterError),
        ({"limit": True}, ParameterError),
        ({"limit": 1.5}, ParameterError),
        ({"top_k": -1}, ParameterError),
        ({"threshold": 1.01}, ParameterError),
        ({"threshold": float("nan")}, ParameterError),
        ({"threshold": "high"}, ParameterError),
        ({"filters": {"k": {"$near": 3}}}, InvalidFilter),
        ({"filters": ["k"]}, InvalidFilter),
        ({"filters": "k"}, InvalidFilter),
        ({"since": "yesterday"}, InvalidTime),
        ({"as_of": "soon"}, InvalidTime),
        ({"asked_at": ""}, InvalidTime),
        ({"user_id": "a/b"}, InvalidScope),
    ],
    ids=str,
)
def test_an_argument_that_makes_no_sense_is_refused_also_in_an_empty_memory(
    memory: Memory, arguments: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        memory.search("tea", **arguments)
    if "top_k" not in arguments:
        with pytest.raises(error):
            memory.context("tea", **arguments)


@pytest.mark.parametrize("query", [None, 5, b"tea", ["tea"]], ids=repr)
def test_a_query_that_is_no_text_is_refused(memory: Memory, query: Any) -> None:
    with pytest.raises(ParameterError, match="text is expected"):
        memory.search(query)


def test_an_unknown_system_is_refused_with_the_nearest_name(memory: Memory) -> None:
    with pytest.raises(SystemNotFound, match="Did you mean 'hybrid'"):
        memory.system("hybird")


def test_a_limit_beyond_all_there_is_gives_all(memory: Memory) -> None:
    memory.add([f"tea number {at}" for at in range(5)])
    assert len(memory.search("tea", limit=10**12)) == 5


@pytest.mark.parametrize(
    "filters",
    [
        {"user_id": {"eq": "alice"}},
        {"AND": [{"user_id": "alice"}, {"topic": "tea"}]},
        {"AND": [{"AND": [{"user_id": {"$eq": "alice"}}]}], "topic": "tea"},
    ],
)
def test_an_id_is_found_wherever_filters_may_name_it(memory: Memory, filters: dict[str, Any]) -> None:
    memory.add("alice drinks tea", user_id="alice", metadata={"topic": "tea"})
    memory.add("bob drinks tea", user_id="bob", metadata={"topic": "tea"})
    assert [hit.text for hit in memory.search("tea", filters=filters)] == ["alice drinks tea"]


@pytest.mark.parametrize(
    "filters", [{"user_id": "*"}, {"OR": [{"user_id": "alice"}, {"user_id": "bob"}]}, {"user_id": {"in": ["alice"]}}]
)
def test_a_user_who_is_not_one_name_is_refused_with_the_remedy(memory: Memory, filters: dict[str, Any]) -> None:
    with pytest.raises(InvalidFilter, match="include_children"):
        memory.search("tea", filters=filters)
