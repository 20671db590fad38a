"""What models really send is understood, and what is not understood is refused by name."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.errors import ParameterError
from mnemic.mcp.arguments import read_arguments
from mnemic.mcp.memory_tools import ADD, DELETE, RECENT, SEARCH
from mnemic.mcp.tool import Tool
from mnemic.mcp.toolsets import SETS, tools_of


def read(tool: Tool, **given: Any) -> dict[str, Any]:
    return read_arguments(tool.name, tool.arguments, given)


@pytest.mark.parametrize(
    ("tool", "name", "aliases"),
    [
        (SEARCH, "query", "q search text"),
        (SEARCH, "limit", "top_k num_results page_size per_page"),
        (SEARCH, "since", "after after_date from_date start_date"),
        (SEARCH, "until", "before before_date to_date end_date"),
        (SEARCH, "filters", "filter search_filter"),
        (SEARCH, "threshold", "min_score min_similarity"),
        (ADD, "content", "text memory data messages"),
        (ADD, "session", "session_id run_id"),
        (ADD, "occurred_at", "timestamp reference_time"),
        (DELETE, "id", "memory_id"),
    ],
)
def test_an_argument_goes_by_the_names_that_models_use(tool: Tool, name: str, aliases: str) -> None:
    (one,) = (argument for argument in tool.arguments if argument.name == name)
    assert set(aliases.split()) <= set(one.aliases)


@pytest.mark.parametrize("tools", SETS)
def test_no_name_means_two_arguments(tools: Any) -> None:
    for tool in SETS[tools]:
        names = [name for one in tool.arguments for name in (one.name, *one.aliases)]
        assert len(names) == len(set(names)), tool.name


@pytest.mark.parametrize("value", [3, 3.0, "3", " 3 "])
def test_a_number_may_come_as_text(value: Any) -> None:
    assert read(SEARCH, query="x", top_k=value)["limit"] == 3


@pytest.mark.parametrize("value", [0, -1, 101, 1.5, "many", True, [3], "9" * 50])
def test_a_number_out_of_range_is_refused_with_its_range(value: Any) -> None:
    with pytest.raises(ParameterError, match=r"search_memories: limit=.*from 1 to 100"):
        read(SEARCH, query="x", limit=value)


def test_null_and_an_empty_text_mean_not_sent() -> None:
    sent = read(RECENT, limit=None, session="", filters=None)
    assert sent == {"limit": 10, "since": None, "until": None, "session": None, "filters": None}


def test_what_is_needed_and_missing_is_named() -> None:
    for sent in ({}, {"query": None}, {"query": ""}, {"q": "  "}):
        with pytest.raises(ParameterError, match="search_memories: q"):
            read(SEARCH, **sent)


def test_the_same_argument_twice_is_fine_only_when_equal() -> None:
    assert read(SEARCH, query="x", q="x")["query"] == "x"
    with pytest.raises(ParameterError, match="query and q are the same argument"):
        read(SEARCH, query="x", q="y")


def test_an_unknown_argument_is_refused_with_those_that_exist() -> None:
    with pytest.raises(
        ParameterError, match=r"search_memories has no argument 'depth'. It has: query, limit, since, until"
    ):
        read(SEARCH, query="x", depth=3)


@pytest.mark.parametrize("name", ["user_id", "agent_id", "app_id", "scope", "namespace", "group_id"])
def test_no_tool_takes_a_scope(name: str) -> None:
    for tool in SETS["all"]:
        with pytest.raises(ParameterError, match=f"no argument '{name}'.*fixed by the connection|is missing"):
            read(tool, **{name: "bob"})


def test_objects_and_lists_may_come_as_json_text() -> None:
    assert read(SEARCH, query="x", filters='{"topic": "tea"}')["filters"] == {"topic": "tea"}
    forget = tools_of("default", frozenset({"forget"}))["forget"]
    for ids in ("a, b", '["a", "b"]', ["a", "b"]):
        assert read(forget, ids=ids)["ids"] == ["a", "b"]
    assert read(forget, memory_id="a")["ids"] == ["a"]


def test_messages_as_json_text_are_messages_and_other_text_stays_text() -> None:
    told = '[{"role": "user", "content": "Hi"}]'
    assert read(ADD, messages=told)["content"] == [{"role": "user", "content": "Hi"}]
    assert read(ADD, content=told)["content"] == told
    assert read(ADD, messages="[not json")["content"] == "[not json"


def test_a_list_of_sentences_is_never_split_at_commas() -> None:
    open_nodes = tools_of("reference", frozenset({"read"}))["open_nodes"]
    assert read(open_nodes, names="Smith, John")["names"] == ["Smith, John"]
    create = tools_of("reference", frozenset({"write"}))["create_entities"]
    entity = {"name": "A", "type": "x", "observations": "tall, kind"}
    assert read(create, entities=entity)["entities"] == [
        {"name": "A", "entityType": "x", "observations": ["tall, kind"]}
    ]


def test_an_unknown_member_of_an_object_is_refused_too() -> None:
    create = tools_of("reference", frozenset({"write"}))["create_entities"]
    with pytest.raises(ParameterError, match="an entity has no argument 'mood'"):
        read(create, entities=[{"name": "A", "entityType": "x", "observations": [], "mood": "good"}])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(data=st.data())
def test_whatever_is_sent_is_read_or_refused_with_a_reason(data: st.DataObject) -> None:
    tool = data.draw(st.sampled_from(SETS["all"]))
    names = [name for one in tool.arguments for name in (one.name, *one.aliases)] + ["other"]
    given = data.draw(st.dictionaries(st.sampled_from(names), JSON, max_size=4))
    with contextlib.suppress(ParameterError):
        assert set(read(tool, **given)) == {one.name for one in tool.arguments}
