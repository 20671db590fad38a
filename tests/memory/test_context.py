"""Context blocks: within budget, dated, attributed, cited, and text like any other."""

from __future__ import annotations

import copy
import json
import pickle
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic import Context, Memory
from mnemic.errors import ParameterError
from mnemic.ops.pack import HEADING
from mnemic.systems.registry import SYSTEMS
from mnemic.text.tokens import count_tokens
from systems.digest import FOR_TESTS
from systems.worlds import Said, empty, pasts, queries, say


def test_a_context_is_a_dated_attributed_cited_block_in_the_order_of_events(memory: Memory) -> None:
    memory.add("I like tea.", id="late", actor="Anna", occurred_at="2024-03-02T10:00:00+01:00")
    memory.add("What tea?", id="early", role="assistant", occurred_at="2024-03-01")
    memory.add("Green tea.\n  Of course.", id="same day", occurred_at="2024-03-02T12:00:00+01:00")
    block = memory.context("tea")
    assert re.sub(r"\[m:[^\]]+\]", "[m]", block) == "\n".join(
        [
            HEADING,
            "Friday 1 March 2024",
            "- assistant: What tea? [m]",
            "Saturday 2 March 2024",
            "- Anna: I like tea. [m]",
            "- user: Green tea. Of course. [m]",
        ]
    )
    assert [(one.id, one.sources) for one in block.citations] == [
        ("early", ("early",)),
        ("late", ("late",)),
        ("same day", ("same day",)),
    ]
    assert re.findall(r"\[m:[^\]]+\]", block) == [one.mark for one in block.citations]


def test_the_marks_of_a_block_resolve_to_its_episodes(memory: Memory) -> None:
    memory.add(["tea one", "tea two"])
    block = memory.context("tea")
    seqs = memory._shared.marks.found_in(block)
    assert [memory._shared.store.by_seq([seq])[seq].id for seq in seqs] == [one.id for one in block.citations]


def test_a_context_is_a_string_that_can_be_copied_pickled_and_sent_as_json(memory: Memory) -> None:
    memory.add("tea in the garden")
    block = memory.context("tea")
    message = {"role": "system", "content": block}
    assert isinstance(block, str)
    assert (type(str(block)), f"{block}", block + "") == (str, str(block), str(block))
    assert json.loads(json.dumps(message)) == {"role": "system", "content": str(block)}
    for other in (copy.copy(block), copy.deepcopy(message)["content"], pickle.loads(pickle.dumps(block))):
        assert isinstance(other, Context)
        assert (str(other), other.citations, other.tokens, other.recall) == (
            str(block),
            block.citations,
            block.tokens,
            block.recall,
        )


@given(past=pasts(max_size=20), query=queries, budget=st.integers(1, 200), width=st.integers(1, 12))
@settings(max_examples=60)
def test_a_block_never_counts_more_than_its_budget_however_tokens_are_counted(
    past: list[Said], query: str, budget: int, width: int
) -> None:
    counters = [
        count_tokens,
        len,
        lambda text: len(text) // width,
        lambda text: -(-len(text) // width) + 2,
        lambda text: len(text.split()),
        lambda text: len(text) ** 2 // 500,  # a whole is more than its parts
    ]
    with empty() as memory:
        say(memory, past)
        for count in counters:
            block = memory.context(query, budget_tokens=budget, count=count)
            assert (block.tokens <= budget, block.tokens) == (True, count(block) if block else 0)


@given(
    moments=st.lists(
        st.datetimes(
            datetime(2024, 3, 1),
            datetime(2024, 3, 3),
            timezones=st.sampled_from(
                [UTC, *(datetime.fromisoformat(f"2024-01-01T00:00{z}").tzinfo for z in ("-11:00", "+13:00"))]
            ),
        ),
        max_size=8,
    ),
    budget=st.integers(30, 200),
)
@settings(max_examples=40)
def test_each_day_is_named_once_whatever_the_offsets(moments: list[datetime], budget: int) -> None:
    with empty() as memory:
        for at, moment in enumerate(moments):
            memory.add(f"tea number {at}", occurred_at=moment)
        block = memory.context("tea", budget_tokens=budget)
        days = [line for line in block.splitlines()[1:] if not line.startswith("- ")]
        assert len(days) == len(set(days))
        assert block.tokens <= budget


def test_nothing_remembered_nothing_found_and_nothing_that_fits_give_an_empty_block(memory: Memory) -> None:
    nothing = [memory.context("tea")]
    memory.add("tea in the garden")
    nothing += [memory.context("zzz"), memory.context("tea", budget_tokens=1), memory.context("tea", session="x")]
    assert [(str(one), one.citations, one.tokens) for one in nothing] == [("", (), 0)] * 4


def test_a_long_memory_is_cut_at_a_word_and_says_so(memory: Memory) -> None:
    memory.add("tea " * 500)
    block = memory.context("tea", budget_tokens=60)
    assert re.search(r"tea… \[m:\S+\]$", block)
    assert block.tokens <= 60


def test_max_tokens_is_budget_tokens(memory: Memory) -> None:
    memory.add([f"tea number {at}" for at in range(30)])
    assert memory.context("tea", max_tokens=90) == memory.context("tea", budget_tokens=90)


@pytest.mark.parametrize("budget", [0, -1, 1.5, True, "100"], ids=repr)
def test_a_budget_that_is_no_whole_number_above_0_is_refused(memory: Memory, budget: int) -> None:
    with pytest.raises(ParameterError, match="budget_tokens"):
        memory.context("tea", budget_tokens=budget)


def test_a_record_is_cited_by_the_marks_of_the_episodes_it_came_from(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SYSTEMS, "digest", FOR_TESTS["digest"])
    memory.add(["tea with Anna", "coffee with Bob"], session="mon")
    block = memory.system("digest").context("tea")
    assert memory._shared.marks.found_in(block) == [1, 2]
    echo = memory.add(f"As I said: {block}", role="assistant")
    assert echo[0].echo_of == block.citations[0].sources
