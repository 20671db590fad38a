"""Uses and units: records and links follow from the log alone, with feedback in it and with a model, however it is cut."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.systems import runner
from mnemic.systems.contract import record_id
from mnemic.testing import RuleLLM
from systems.imported import import_feedback
from systems.under_test import observed_all
from systems.worlds import START, empty, made, queries, seen, texts

SYSTEMS = ["memorybank", "sage", "tradinggpt", "malp"]
Step = tuple[str, str, int, int]  # what, text, session, how many hours later


@st.composite
def lives(draw: st.DrawFn) -> list[Step]:
    """Things said in sessions over some days, answers, and feedback on what was said before."""
    what = st.sampled_from(["user", "user", "assistant", "used", "wrong"])
    steps = st.tuples(what, texts, st.integers(0, 2), st.sampled_from([0, 0, 1, 14]))
    return draw(st.lists(steps, min_size=1, max_size=12))


def live(memory: Memory, steps: list[Step], between: Callable[[int], None] = lambda at: None) -> None:
    when = START - timedelta(days=10)
    for at, (what, text, session, hours) in enumerate(steps):
        between(at)
        when += timedelta(hours=hours)
        if what in ("user", "assistant"):
            memory.add(text, id=f"e{at}", role=what, session=f"s{session}", occurred_at=when)
        else:
            ids = [
                f"e{at - 1}",
                record_id("sage", "item", f"e{at // 2}"),
                record_id("malp", "entry", "user", "tea", "0"),
            ]
            import_feedback(memory, ids, what, value=1.0, id=f"f{at}", occurred_at=when)


def model() -> RuleLLM:
    llm = RuleLLM("rules:all")
    llm.rule("summary", lambda asked: {"summary": " / ".join(one["text"] for one in asked.data["pieces"])[:200]})
    llm.rule("personality", {"personality": "Open.", "mood": "", "strategy": ""})
    llm.rule(
        "reflections", lambda asked: {"reflections": [{"text": asked.data["trajectory"][-1]["text"], "turns": [1]}]}
    )
    llm.rule(
        "notes",
        lambda asked: {
            "notes": [{"text": one["text"], "type": "user", "turns": [one["turn"]]} for one in asked.data["turns"]]
        },
    )
    llm.rule(
        "facts",
        lambda asked: {
            "facts": [
                {"key": one["text"].split()[0], "value": one["text"], "type": "user", "notes": [one["id"]]}
                for one in asked.data["notes"]
            ]
        },
    )
    return llm


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("has_model", [False, True], ids=["offline", "with a model"])
@given(steps=lives(), splits=st.sets(st.integers(1, 11)), batch=st.integers(1, 5), query=queries)
@settings(max_examples=8)
def test_records_links_and_hits_do_not_depend_on_how_the_log_was_cut(
    system: str, has_model: bool, steps: list[Step], splits: set[int], batch: int, query: str
) -> None:
    parameters: dict[str, Any] = {"llm": model()} if has_model and system != "tradinggpt" else {}
    with pytest.MonkeyPatch.context() as patch, empty() as memory, empty() as at_once:
        live(at_once, steps)
        at_once.attach(system, **parameters)
        at_once.consolidate()
        patch.setattr(runner, "BATCH", batch)
        memory.attach(system, **parameters)

        def consolidate(at: int) -> None:
            if at in splits:
                memory.consolidate()

        live(memory, steps, consolidate)
        memory.consolidate()
        observed_all(memory, system)
        assert made(memory, system) == made(at_once, system)
        assert seen(memory.system(system).search(query).hits) == seen(at_once.system(system).search(query).hits)


@pytest.mark.parametrize("system", SYSTEMS)
@given(before=lives(), after=lives(), query=queries)
@settings(max_examples=8)
def test_feedback_that_came_later_changes_nothing_of_an_earlier_time(
    system: str, before: list[Step], after: list[Step], query: str
) -> None:
    clock = ManualClock(START)
    with empty(clock) as memory:
        live(memory, before)
        asked = memory.system(system)
        then, asked_at = clock.now(), START + timedelta(days=3)
        answer = seen(asked.search(query, asked_at=asked_at).hits)
        clock.advance(timedelta(minutes=1))
        for at, (what, text, session, _) in enumerate(after):
            if what in ("user", "assistant"):
                memory.add(text, id=f"later{at}", role=what, session=f"s{session}")
            else:
                import_feedback(memory, [f"e{at}", *(hit[0] for hit in answer[:2])], what)
        memory.attach(system)
        memory.consolidate()
        assert seen(asked.search(query, asked_at=asked_at, as_of=then).hits) == answer
