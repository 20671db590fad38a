"""SAGE: an item's way from short-term to long-term memory to oblivion, and the loop that reflects."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.errors import LLMUnavailable, ParameterError
from mnemic.systems.sage import lasts, state_of
from mnemic.systems.task_loop import Direct, Outcome, TaskLoop, Verdict
from mnemic.systems.view import NoModel
from mnemic.testing import Asked, RuleLLM

START = datetime(2024, 5, 1, 12, tzinfo=UTC)
Open = Callable[..., Memory]
LONG_TEXT = (
    "The violin stands in the attic. It was bought in Porto in 1998 by our grandfather, who played it every Sunday until "
    "he was ninety. Nobody has touched it since then, and the strings are gone."
)


def sage(memory: Memory, **parameters: Any) -> Memory:
    asked = memory.attach("sage", **parameters)
    memory.consolidate()
    return asked


def reflecting(*texts: str) -> RuleLLM:
    llm = RuleLLM("rules:reflect")
    llm.rule("reflections", {"reflections": [{"text": text, "turns": [1]} for text in texts]})
    return llm


# -- the states -----------------------------------------------------------------------------------------------


def test_an_item_goes_from_short_term_to_long_term_memory_and_out_at_the_thresholds(memory: Memory) -> None:
    memory.add(LONG_TEXT, id="v")
    asked = sage(memory, upper=0.5, lower=0.1, scale=10.0)

    def found(days: float) -> list[tuple[bool, str]]:
        hits = asked.search("violin in the attic", asked_at=START + timedelta(days=days))
        return [(hit.text == f"user: {LONG_TEXT}", hit.reasons[0].note.split(",")[0]) for hit in hits]

    until_long, until_gone = 10 * math.log(2), 10 * math.log(10)
    assert found(0) == found(until_long - 0.01) == [(True, "short-term")]
    assert found(until_long + 0.01) == found(until_gone - 0.01) == [(False, "long-term")]
    assert found(until_gone + 0.01) == []


def test_what_is_in_long_term_memory_is_shortened_and_ranks_by_what_is_left_of_it(memory: Memory) -> None:
    memory.add(LONG_TEXT)
    asked = sage(memory, upper=0.5, lower=0.01, scale=10.0)
    now, later = (asked.search("violin in the attic", asked_at=START + timedelta(days=days))[0] for days in (0, 20))
    assert len(later.text.split()) <= 26 < len(now.text.split())
    assert later.score == pytest.approx(now.score * math.exp(-2), rel=1e-6)


def test_use_delays_demotion(memory: Memory, clock: ManualClock) -> None:
    memory.add("The violin is in the attic.", id="v")
    memory.add("The piano is in the attic.", id="p")
    asked = sage(memory, upper=0.5, lower=0.1, scale=10.0)
    clock.advance(timedelta(days=5))
    memory.feedback("v", "used")
    notes = {
        days: {
            hit.sources[0]: hit.reasons[0].note.split(",")[0]
            for hit in asked.search("attic", asked_at=START + timedelta(days=days))
        }
        for days in (6, 15, 40, 55)
    }
    assert notes == {
        6: {"v": "short-term", "p": "short-term"},
        15: {"v": "short-term", "p": "long-term"},  # 10 of 20·ln 2 days after the use
        40: {"v": "long-term"},
        55: {},
    }


def test_discarded_items_stay_in_the_log_and_come_back_with_other_thresholds(memory: Memory) -> None:
    memory.add("The violin is in the attic.", id="v")
    late = START + timedelta(days=365)
    assert sage(memory).search("violin", asked_at=late).hits == ()
    assert [one.id for one in memory.list()] == ["v"]
    assert [hit.sources for hit in sage(memory, lower=0.0).search("violin", asked_at=late)] == [("v",)]


def test_time_can_be_counted_in_steps(memory: Memory) -> None:
    memory.add("The violin is in the attic.", id="v")
    asked = sage(memory, clock="steps", upper=0.5, lower=0.1, scale=4.0)

    def state() -> list[str]:
        hits = asked.search("violin in the attic", asked_at=START + timedelta(days=3650))
        return [hit.reasons[0].note.split(",")[0] for hit in hits if hit.sources == ("v",)]

    seen = []
    for step in range(11):
        seen.append(state())
        memory.add(f"Word number {step} of something else")
    expected = [[state_of(math.exp(-step / 4), 0.5, 0.1)] for step in range(11)]
    assert seen == [[] if one == ["forgotten"] else one for one in expected]


def test_a_use_starts_the_steps_anew(memory: Memory) -> None:
    memory.add("The violin is in the attic.", id="v")
    asked = sage(memory, clock="steps", upper=0.5, lower=0.1, scale=4.0)
    memory.add([f"Word number {step} of something else" for step in range(9)])
    memory.feedback("v", "used")
    assert asked.search("violin in the attic")[0].reasons[0].note.startswith("short-term")


@given(uses=st.integers(0, 20), threshold=st.floats(0.01, 0.99), scale=st.floats(0.1, 100))
def test_each_use_adds_the_same_time_to_the_life_of_an_item(uses: int, threshold: float, scale: float) -> None:
    assert lasts(threshold, uses, scale) == pytest.approx((1 + uses) * lasts(threshold, 0, scale))


@pytest.mark.parametrize("bad", [{"upper": 0.1, "lower": 0.2}, {"scale": 0.0}, {"clock": "moons"}, {"gap_minutes": 0}])
def test_parameters_out_of_range_are_refused(memory: Memory, bad: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        memory.attach("sage", **bad)


# -- reflections ----------------------------------------------------------------------------------------------


def test_a_task_that_is_over_leaves_reflections_in_long_term_memory(open_memory: Open) -> None:
    memory = open_memory(llm=reflecting("Ask for the table's name before writing SQL."))
    memory.add(["List all users", "SELECT * FROM people"], session="task 1")
    memory.add("Another task", session="task 2")
    asked = sage(memory)
    hit = next(hit for hit in asked.search("writing SQL for a table") if hit.kind == "reflection")
    assert hit.text == "Ask for the table's name before writing SQL."
    assert hit.reasons[0].note.startswith("long-term")
    assert hit.record is not None
    assert hit.record.data["by"] == "llm"


def test_without_a_model_the_reflection_of_a_task_is_what_its_checker_said(memory: Memory) -> None:
    memory.add(
        [{"role": "user", "content": "List all users"}, {"role": "assistant", "content": "SELECT 1"}], session="t"
    )
    memory.add("not accepted: there is no table in it", role="checker", metadata={"reward": 0.0}, session="t")
    memory.add("Good morning", session="u")
    sage(memory)
    made = memory.records(system="sage", kind="reflection")
    assert [(one.text, len(one.sources), one.data["by"]) for one in made] == [
        ("On “List all users”: not accepted: there is no table in it", 3, "offline")
    ]


@pytest.mark.parametrize(
    "answer",
    [[{"text": "  ", "turns": [1]}], [{"text": "Nice.", "turns": [9]}], [{"text": "…", "turns": []}], []],
    ids=["no text", "an unknown turn", "no word", "nothing"],
)
def test_reflections_that_are_none_are_passed_over(open_memory: Open, answer: list[Any]) -> None:
    llm = RuleLLM("rules:bad")
    llm.rule("reflections", {"reflections": answer})
    memory = open_memory(llm=llm)
    memory.add("List all users", session="t")
    sage(memory)
    assert list(memory.records(system="sage", kind="reflection")) == []
    assert len(memory.records(system="sage", kind="item")) == 1


def test_what_was_corrected_before_the_task_was_over_is_not_reflected_on(open_memory: Open) -> None:
    llm = reflecting("Measure twice.")
    memory = open_memory(llm=llm)
    memory.add("The board is 3 m long", id="old", session="t")
    memory.update("old", "The board is 2 m long")
    sage(memory)
    assert [[one["text"] for one in asked.data["trajectory"]] for asked in llm.requests] == [["The board is 2 m long"]]


# -- the loop -------------------------------------------------------------------------------------------------


def agent(accepts: Callable[[Asked], bool] = lambda asked: False) -> RuleLLM:
    """Solves with what it has learnt; judged by `accepts`; learns to think twice as often as before."""
    llm = RuleLLM("rules:agent")
    llm.rule("output", lambda asked: {"output": " ".join(["think", *asked.data["reflections"]])})
    llm.rule("accepted", lambda asked: {"accepted": accepts(asked), "feedback": "think harder", "reward": 0.25})
    llm.rule("reflections", {"reflections": [{"text": "Think twice.", "turns": [2]}]})
    return llm


def test_the_loop_ends_when_the_attempts_are_spent() -> None:
    llm = agent()
    outcome = TaskLoop(Direct(llm), attempts=3).run("Solve it")
    assert (len(outcome.attempts), outcome.is_accepted, llm.calls) == (3, False, 9)


def test_the_loop_ends_when_the_checker_accepts() -> None:
    llm = agent(lambda asked: "Think twice." in asked.data["output"])
    outcome = TaskLoop(Direct(llm), attempts=5).run("Solve it")
    assert (outcome.output, outcome.is_accepted, llm.calls) == ("think Think twice.", True, 5)


def test_a_reflection_written_after_a_failure_is_in_the_next_attempts_prompt() -> None:
    llm = agent()
    TaskLoop(Direct(llm), attempts=2).run("Solve it")
    acts = [asked for asked in llm.requests if asked.asks_for("output")]
    assert [asked.data["reflections"] for asked in acts] == [[], ["Think twice."]]
    assert acts[1].data["attempts"] == [{"output": "think", "feedback": "think harder"}]


def test_a_checker_that_is_a_function_is_asked_instead_of_a_model() -> None:
    llm = agent()
    loop = TaskLoop(Direct(llm), lambda task, output: Verdict(output.endswith("twice."), "run the tests", 0.0))
    assert [one.verdict.accepted for one in loop.run("Solve it").attempts] == [False, True]
    assert [asked for asked in llm.requests if asked.asks_for("accepted")] == []


def test_what_was_recalled_stands_in_the_prompt_and_the_trajectory_becomes_a_reflection(open_memory: Open) -> None:
    llm = agent(lambda asked: "twice" in asked.data["output"])
    memory = open_memory(llm=llm)
    memory.add("Tests live in the folder named spec", session="facts")
    asked = sage(memory)
    outcome = TaskLoop(Direct(llm)).run("Where do tests live?", asked.search("where do tests live"))
    first = next(one for one in llm.requests if one.asks_for("output"))
    assert first.data["memories"] == ["user: Tests live in the folder named spec"]
    memory.add(outcome.messages(), session="task")
    memory.consolidate()
    assert "Think twice." in [one.text for one in memory.records(system="sage", kind="reflection")]


def test_a_loop_without_a_model_says_so() -> None:
    with pytest.raises(LLMUnavailable):
        TaskLoop(NoModel()).run("Solve it")


def test_a_loop_needs_an_attempt() -> None:
    with pytest.raises(ParameterError):
        TaskLoop(NoModel(), attempts=0)
    assert Outcome("x", ()).output == ""
