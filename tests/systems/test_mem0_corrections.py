"""Mem0's family and Keep Me Updated: what only a corrected message said is no longer stored, and may be said again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic import Hit, Memory
from mnemic.clock import ManualClock
from mnemic.systems import runner
from mnemic.testing import Asked, RuleLLM
from systems.under_test import examples, observed_all
from systems.worlds import START, empty, made

FAMILY = ["mem0", "mem0-additive", "mem0-graph", "keep-me-updated"]
every_one = pytest.mark.parametrize("system", FAMILY)
THINGS = ["I have a dog called Rex.", "I work at Bosch.", "I play the violin.", "My sister Clara is a doctor."]
Step = tuple[str, str, str | None]  # id, text, the id that it corrects


def model(*, is_forgetful: bool = False) -> RuleLLM:
    """What the user says are the facts and "a | b | c" the triples; what is stored already is no news.

    is_forgetful: it does not see that a fact is there already, and adds it.
    """
    llm = RuleLLM(f"rules:family{is_forgetful}")

    def spoken(asked: Asked) -> list[dict[str, Any]]:
        return [one for one in asked.data["turns"] if one["speaker"] != "assistant"]

    def decided(asked: Asked) -> dict[str, Any]:
        if "new" not in asked.data:
            return {"memory": [{"text": one["text"], "turns": [one["turn"]]} for one in spoken(asked)]}
        ids = {one["text"]: one["id"] for one in asked.data["old"] if not is_forgetful}
        return {
            "memory": [
                {
                    "event": "NONE" if one["text"] in ids else "ADD",
                    "id": ids.get(one["text"], ""),
                    "text": one["text"],
                    "fact": one["fact"],
                }
                for one in asked.data["new"]
            ]
        }

    def triples(asked: Asked) -> dict[str, Any]:
        said = [(one["turn"], one["text"].split(" | ")) for one in spoken(asked) if " | " in one["text"]]
        return {
            "triples": [{"subject": a, "relation": r, "object": b, "turns": [at]} for at, (a, r, b) in said],
        }

    llm.rule("facts", lambda asked: {"facts": [{"text": one["text"], "turns": [one["turn"]]} for one in spoken(asked)]})
    llm.rule("memory", decided)
    llm.rule("triples", triples)
    llm.rule("entities", {"entities": []})
    llm.rule("ids", {"ids": []})
    llm.rule(
        "operations",
        lambda asked: {
            "operations": [
                {"id": one["id"], "operation": "PASS" if one["text"] == asked.data["new"] else "APPEND"}
                for one in asked.data["old"]
            ]
        },
    )
    return llm


def tell(memory: Memory, steps: Sequence[Step], *, answers: bool = False) -> None:
    """Say and correct. answers: each message has an answer, and a session of its own, so that it is a whole unit."""
    for id, text, corrected in steps:
        if corrected is not None:
            memory.update(corrected, text, new_id=id)
        else:
            memory.add(text, id=id, session=f"s-{id}" if answers else None)
        if answers:
            memory.add([{"role": "assistant", "content": "I see."}], session=f"a-{id}")


def standing_on(hits: Sequence[Hit], word: str) -> set[str]:
    """The sources of the hits that have a word."""
    return {id for hit in hits if word in hit.text for id in hit.sources}


@every_one
@pytest.mark.parametrize("batch", [1, 2, 64])
@pytest.mark.parametrize("with_model", [False, True], ids=["by rule", "by a model"])
@pytest.mark.parametrize(
    ("first", "second"),
    [("I live in Berlin.", "I live in Bern."), ("I live in Berlin.", "I have a cold.")],
    ids=["corrected to another city", "corrected to something else"],
)
def test_what_was_corrected_and_is_said_again_later_is_found(
    system: str, batch: int, with_model: bool, first: str, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "BATCH", batch)
    monkeypatch.setattr(runner, "ASKING_BATCH", batch)
    with empty() as memory:
        memory.attach(system, **({"llm": model()} if with_model else {}))
        tell(memory, [("a", first, None), ("c", second, "a")], answers=with_model)
        memory.consolidate()
        asked = memory.system(system)
        assert "a" not in {id for hit in asked.search("Where does the user live? Berlin") for id in hit.sources}
        tell(memory, [("b", first, None)], answers=with_model)
        memory.consolidate()
        observed_all(memory, system)
        assert "b" in standing_on(asked.search("Where does the user live? Berlin").hits, "Berlin")


@every_one
def test_what_several_said_is_found_while_one_of_them_stands(system: str) -> None:
    with empty() as memory:
        memory.attach(system)
        tell(memory, [("a", "I have a dog called Rex.", None), ("b", "I have a dog called Rex.", None)])
        tell(memory, [("c", "I play chess.", "a")])
        hits = memory.system(system).search("dog called Rex").hits
        assert "b" in standing_on(hits, "Rex")


@every_one
def test_a_repeat_is_not_told_as_of_a_time_before_it(system: str, clock: ManualClock) -> None:
    with empty(clock) as memory:
        memory.attach(system)
        tell(memory, [("a", "I have a dog called Rex.", None)])
        then = clock.now()
        before = memory.system(system).search("dog called Rex").hits
        clock.advance(timedelta(days=1))
        tell(memory, [("b", "I have a dog called Rex.", None)])
        asked = memory.system(system)
        assert standing_on(asked.search("dog called Rex").hits, "Rex") == {"a", "b"}
        assert [one.record for one in asked.search("dog called Rex", as_of=then)] == [one.record for one in before]


@every_one
def test_what_only_corrected_messages_said_takes_no_place_among_what_is_compared(system: str) -> None:
    """Nothing is compared but the nearest; were they hidden ones, an update would meet nothing that it could change."""
    params = {"keep-me-updated": {"compared": 1}, "mem0-additive": {"shown": 1}}.get(system, {"similar": 1})
    with empty() as memory:
        memory.attach(system, llm=model(is_forgetful=True) if system == "mem0-additive" else None, **params)
        if system == "mem0-additive":
            return  # it compares nothing; what it shows a model is tested below
        tell(memory, [("home", "I live in Paris.", None)])
        for at in range(12):
            tell(memory, [(f"a{at}", f"In Rome I met Ann {at}.", None), (f"c{at}", "Never mind.", f"a{at}")])
        tell(memory, [("again", "In Rome I met Ann 3.", None), ("move", "I live in Rome.", None)])
        hits = memory.system(system).search("Where does the user live? Paris Rome").hits
        assert [hit.text for hit in hits if "Paris" in hit.text and hit.kind != "relation"] == []
        assert standing_on(hits, "Ann 3") == {"again"}


def test_a_model_is_not_shown_what_only_corrected_messages_said() -> None:
    for system in ("mem0", "mem0-additive", "mem0-graph", "keep-me-updated"):
        llm = model()
        with empty() as memory:
            memory.attach(system, llm=llm)
            tell(memory, [("a", "Ann | lives in | Berlin", None), ("c", "Ann | lives in | Bern", "a")], answers=True)
            memory.consolidate()
            asked = len(llm.requests)
            tell(memory, [("d", "Ann | likes | tea", None)], answers=True)
            memory.consolidate()
            shown = [str([one.data.get(name) for name in ("old", "stored", "edges")]) for one in llm.requests[asked:]]
        assert any("Bern" in one for one in shown), system
        assert [one for one in shown if "Berlin" in one] == []


@st.composite
def tales(draw: st.DrawFn) -> list[Step]:
    """Things said, repeated and corrected into others."""
    steps: list[Step] = []
    newest: list[str] = []  # ids that may be corrected
    for at in range(draw(st.integers(1, 9))):
        text = draw(st.sampled_from(THINGS))
        old = draw(st.sampled_from([None, *newest]))
        if old is not None:
            newest.remove(old)
        steps.append((f"e{at}", text, old))
        newest.append(f"e{at}")
    return steps


def standing(steps: Sequence[Step]) -> list[Step]:
    corrected = {one[2] for one in steps}
    return [one for one in steps if one[0] not in corrected]


@every_one
@given(steps=tales())
@settings(max_examples=examples(8))
def test_what_a_standing_message_says_is_found_and_nothing_else(system: str, steps: list[Step]) -> None:
    said = {text for _, text, _ in standing(steps)}
    with empty() as memory:
        memory.attach(system)
        tell(memory, steps)
        asked = memory.system(system)
        for text in THINGS:
            word = text.split()[-1].strip(".")
            sources = standing_on(asked.search(text, limit=20).hits, word)
            assert bool(sources) == (text in said), text
            assert not sources or sources & {id for id, other, _ in standing(steps) if other == text}


@every_one
@given(steps=tales(), splits=st.sets(st.integers(1, 9)), batch=st.integers(1, 4), with_model=st.booleans())
@settings(max_examples=examples(5))
def test_a_log_with_corrections_gives_the_same_records_however_it_is_cut(
    system: str, steps: list[Step], splits: set[int], batch: int, with_model: bool
) -> None:
    results = []
    for cuts in (splits, set[int]()):
        with pytest.MonkeyPatch.context() as patch, empty() as memory:
            patch.setattr(runner, "BATCH", batch if cuts else 64)
            patch.setattr(runner, "ASKING_BATCH", batch if cuts else 64)
            memory.attach(system, **({"llm": model()} if with_model else {}))
            for at, step in enumerate(steps):
                if at in cuts:
                    memory.consolidate()
                tell(memory, [step])
            memory.consolidate()
            observed_all(memory, system)
            results.append(made(memory, system))
    assert results[0] == results[1]


@every_one
@given(steps=tales(), gone=st.integers(0, 8))
@settings(max_examples=examples(5))
def test_after_a_correction_is_forgotten_the_records_are_those_of_a_log_without_it(
    system: str, steps: list[Step], gone: int
) -> None:
    chain = {steps[gone % len(steps)][0]}  # it, and every version of it
    for _ in steps:
        chain |= {id for id, _, old in steps if old in chain} | {old for id, _, old in steps if id in chain and old}
    with empty() as memory:
        memory.attach(system)
        tell(memory, steps)
        memory.consolidate()
        memory.forget(sorted(chain))
        memory.consolidate()
        left = made(memory, system)
    with empty() as memory:
        tell(memory, [one for one in steps if one[0] not in chain])
        memory.attach(system)
        memory.consolidate()
        assert made(memory, system) == left


def test_a_fact_names_the_first_messages_that_said_it_and_no_more_than_a_few(
    open_memory: Callable[..., Memory],
) -> None:
    for system in FAMILY:
        memory = open_memory()
        memory.add(["I have a dog called Rex."] * 40)
        records = memory.records(system=system)
        kinds = {one.kind for one in records if "Rex" in one.text and one.kind != "entity"}
        assert len([one for one in records if one.kind in kinds and "dog" in one.text]) == len(kinds)
        assert {len(one.sources) for one in records if one.kind in kinds} == {8}


@every_one
def test_a_repeat_is_kept_also_where_the_model_gave_no_usable_answer(system: str) -> None:
    clock, unusable = ManualClock(START), RuleLLM("rules:unusable")
    unusable.answers("no answer at all")
    for llm in ("none", unusable):
        with empty(clock) as memory:
            memory.attach(system, llm=llm)
            for id in ("first", "again"):
                memory.add(THINGS[0], id=id, session=id)
                memory.add([{"role": "assistant", "content": "I see."}], session=f"after {id}")
            for _ in range(12):  # every prompt is set aside after three tries
                memory.consolidate()
            memory.update("first", THINGS[2], new_id="other")
            memory.add([{"role": "assistant", "content": "I see."}], session="after other")
            for _ in range(12):
                memory.consolidate()
            found = [hit for hit in memory.system(system).search("a dog called Rex").hits if "Rex" in hit.text]
            assert found
            assert all("again" in hit.sources for hit in found)
