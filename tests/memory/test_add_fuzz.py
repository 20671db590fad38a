"""Whatever a caller hands in is kept faithfully, or refused with nothing written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.errors import InvalidInput, MnemicError
from systems.worlds import START, empty

anything = st.text(st.characters(codec=None), max_size=60)  # lone surrogates too
ODD = [
    "\0",
    "a\0b",
    "\ud800",
    "‏שלום עולם‏",
    "👩‍👩‍👧‍👦🏽 ok",
    "e\u0301\u0301\u0323" * 5,
    "\u2028line\u2029\x85\x0b\x0c\x1c",
    "﷽" * 3,
    "\ufeff\u200b\u00ad",
    "\r\n\t ",
    "ﬁ ℌ Ⅳ ½",
    "[m:1-abc] [m:0-000] [m:zzzzzzzzzzzzz-zzz]",
    "İstanbul ẞ ǅ",
    "x" * 5000,
    "\U0010ffff\ue000",
]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | anything,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(anything, inner, max_size=4),
    max_leaves=12,
)
json_objects = st.dictionaries(anything, json_values, max_size=4)
names = st.sampled_from(["role", "content", "text", "name", "actor", "id", "metadata", "session", "tool_calls", "x"])
messages = anything | st.fixed_dictionaries(
    {"content": anything | st.lists(anything | json_objects, max_size=3) | json_values},
    optional={
        "role": st.sampled_from(["user", "assistant", "tool"]) | anything,
        "name": anything,
        "id": anything | st.integers(),
        "metadata": json_objects | json_values,
        "session": anything | st.none(),
        "tool_calls": json_values,
        "text": json_values,
    },
)


def kept_or_refused(memory: Memory, add: Callable[[], Any]) -> Any:
    """The episode as it was read back, None where it was refused; fails for anything in between."""
    before = memory.list(limit=1000)
    try:
        added = add()
    except InvalidInput:
        assert memory.list(limit=1000) == before
        return None
    episode = memory.get(added.id)
    assert episode == added[0]
    assert memory.list(limit=1000) == [*before, episode]
    for query in (episode.text[:200], episode.actor or "who"):
        assert all(0.0 <= hit.score <= 1.0 for hit in memory.search(query))
        block = memory.context(query, budget_tokens=80)
        assert block.tokens <= 80
    return episode


@given(message=messages)
@example(message={"content": "x", "metadata": {"a": -0.0, "b": 1e308, "c": 10**40}})
@example(message={"content": [{"type": {"a": 1}, "text": "x"}]})
@settings(max_examples=150)
def test_any_message_is_kept_faithfully_or_refused_with_nothing_written(message: Any) -> None:
    with empty() as memory:
        memory.add("before", id="before")
        episode = kept_or_refused(memory, lambda: memory.add(message))
        if episode is None or not isinstance(message, dict):
            assert episode is None or episode.text == message
            return
        if isinstance(message["content"], str):
            assert episode.text == message["content"]
        if isinstance(message.get("metadata"), dict):
            assert episode.metadata == message["metadata"]
        if message.get("id") is not None:
            assert episode.id == str(message["id"])
        if message.get("tool_calls") is not None:
            assert {"type": "message", "tool_calls": message["tool_calls"]} in episode.parts


@pytest.mark.parametrize("text", ODD, ids=lambda text: ascii(text)[:30])
def test_odd_text_is_kept_as_it_is_or_refused(memory: Memory, text: str) -> None:
    episode = kept_or_refused(memory, lambda: memory.add(text))
    assert episode is None or episode.text == text
    assert (episode is None) == (text == "\ud800")


@given(path=anything, text=st.sampled_from(ODD))
@settings(max_examples=60)
def test_any_scope_path_is_a_scope_of_its_own_or_refused(path: str, text: str) -> None:
    with empty() as memory:
        try:
            scope = memory.scope(path)
        except InvalidInput:
            return
        episode = kept_or_refused(scope, lambda: scope.add(text))
        assert episode is None or memory.scopes() == {path: 1}


@given(id=anything, other=anything)
@settings(max_examples=60)
def test_any_id_finds_its_episode_and_no_other(id: str, other: str) -> None:
    with empty() as memory:
        episode = kept_or_refused(memory, lambda: memory.add("tea", id=id))
        memory.add("coffee", id="fixed")
        for name in {id, other}:
            if episode is not None and name == episode.id:
                assert memory.get(name).text == "tea"
            elif name != "fixed":
                for verb in (memory.get, memory.history, memory.forget):
                    with pytest.raises(MnemicError):
                        verb(name)
        assert len(memory.list()) == 1 + (episode is not None)


@given(query=anything, session=anything, limit=st.integers(1, 3))
@settings(max_examples=80)
def test_any_query_is_answered(query: str, session: str, limit: int) -> None:
    with empty() as memory:
        memory.add(["tea in the garden", "coffee on Monday"], session="s")
        assert len(memory.search(query, limit=limit)) <= limit
        memory.search(query, session=session)
        memory.context(query, session=session)


def test_ten_megabytes_of_text_are_kept_found_and_cut_for_a_context(memory: Memory) -> None:
    text = "needle " + "".join(f"straw{at % 977} " for at in range(1_250_000))
    episode = memory.get(memory.add(text, id="big").id)
    assert (len(text) > 10_000_000, episode.text == text) == (True, True)
    block = memory.context("needle", budget_tokens=100)
    assert "needle straw0" in block
    assert block.tokens <= 100


def test_a_megabyte_of_metadata_wide_or_nested_is_kept(memory: Memory) -> None:
    wide = {f"key {at}": ["x" * 20, at, {"deeper": [at]}] for at in range(15_000)}
    nested: dict[str, Any] = {"end": True}
    for at in range(50):
        nested = {"inner": nested, f"beside {at}": "y" * 20_000}
    for metadata in (wide, nested):
        episode = memory.get(memory.add("x", metadata=metadata).id)
        assert episode.metadata == metadata


def test_more_than_64_mb_are_refused(memory: Memory) -> None:
    with pytest.raises(InvalidInput, match="Split it"):
        memory.add("ü" * (33 * 2**20))
    assert memory.list() == []


def test_a_clock_far_in_the_past_or_future_does_no_harm() -> None:
    for year in (2, 1969, 2100, 9990):
        with empty(ManualClock(START.replace(year=year))) as memory:
            memory.add("tea yesterday")
            assert [hit.text for hit in memory.search("tea yesterday")] == ["tea yesterday"]
            assert "tea" in memory.context("tea")
