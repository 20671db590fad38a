"""SALM: memories move as use tells, every decision is logged and follows from the log, and each adapter can be turned off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.errors import ParameterError, SystemNotFound
from mnemic.model import Hit, Record
from mnemic.systems.salm_cognitive import Params, SalmCognitive, decisions

START = datetime(2024, 5, 1, 12, tzinfo=UTC)
ID = "salm-cognitive"


def opened(**parameters: Any) -> tuple[Memory, ManualClock]:
    clock = ManualClock(START)
    return Memory.open(embedder="hashing", clock=clock).attach(ID, **parameters), clock


def current(memory: Memory) -> list[tuple[str, str, str]]:
    memory.consolidate()
    found: list[Record] = list(memory.records(system=ID, include_retired=False))
    return [(one.kind, str(one.data["medium"]), one.text) for one in found]


def logged(memory: Memory) -> list[tuple[str, str]]:
    return [(one["adapter"], one["why"]) for one in decisions(memory.records(system=ID), memory.links(system=ID))]


def test_what_is_said_again_becomes_knowledge_with_both_episodes_behind_it() -> None:
    memory, clock = opened()
    with memory:
        memory.add("Ann has a dog.", id="one")
        assert current(memory) == [("episodic", "external", "Ann has a dog.")]
        then = clock.now()
        clock.advance(timedelta(days=1))
        memory.add("Ann has a dog.", id="two")
        assert current(memory) == [("semantic", "external", "Ann has a dog.")]
        (known,) = memory.records(system=ID, include_retired=False)
        assert known.sources == ("one", "two")
        assert logged(memory) == [("storage", "said 2 times")]
        kinds = {hit.kind for hit in memory.system(ID).search("dog", as_of=then)}
        assert "semantic" not in kinds


def test_used_and_stable_knowledge_goes_into_parameters_and_comes_back_when_it_proves_unhelpful() -> None:
    memory, clock = opened()
    with memory:
        memory.add(["Ann has a dog.", "Ann has a dog."])
        assert current(memory) == [("semantic", "external", "Ann has a dog.")]
        known = memory.records(system=ID, include_retired=False)[0].id
        clock.advance(timedelta(days=40))
        for at in range(5):
            assert current(memory)[0][1] == "external", at
            memory.feedback(known, "helpful")
        assert current(memory) == [("semantic", "parameters", "Ann has a dog.")]
        memory.feedback(known, "unhelpful")  # the id of an earlier version names the memory
        assert current(memory) == [("semantic", "parameters", "Ann has a dog.")]
        now = memory.records(system=ID, include_retired=False)[0].id
        memory.feedback(now, "unhelpful")
        assert current(memory) == [("episodic", "external", "Ann has a dog.")]
        told = ["said 2 times", "unhelpful 2 times", "used 5 times, unchanged for 40 days"]
        assert sorted(why for _, why in logged(memory)) == told


def test_knowledge_whose_words_changed_lately_is_not_stable_yet() -> None:
    memory, clock = opened()
    with memory:
        memory.add(["Ann has a dog.", "Ann has a dog."])
        memory.consolidate()
        clock.advance(timedelta(days=40))
        memory.add("Ann has a dog called Rex.")
        assert current(memory) == [("semantic", "external", "Ann has a dog called Rex.")]
        known = memory.records(system=ID, include_retired=False)[0].id
        for _ in range(6):
            memory.feedback(known, "helpful")
        assert current(memory)[0][1] == "external"
        clock.advance(timedelta(days=31))
        memory.feedback(known, "helpful")
        assert current(memory)[0][1] == "parameters"


def test_what_was_corrected_away_and_is_said_again_is_recalled() -> None:
    memory, _ = opened(stores=[])
    with memory:
        memory.add("Ann has a dog.", id="one")
        memory.update("one", "The bus was late.")
        memory.add("Ann has a dog.", id="two")
        assert "Ann has a dog." in [hit.text for hit in memory.system(ID).search("dog")]


def run(memory: Memory, session: str, outcome: str) -> None:
    for action in ("open the valve", "start the pump"):
        memory.add(f"I {action} now", session=session, metadata={"action": action})
    memory.add("that was it", session=session, metadata={"outcome": outcome})


def test_a_sequence_of_actions_that_succeeded_twice_is_a_skill_until_it_fails_too_often() -> None:
    memory, _ = opened(stores=[])
    with memory:
        run(memory, "one", "success")
        assert "procedural" not in [kind for kind, *_ in current(memory)]
        run(memory, "two", "success")
        skill = ("procedural", "external", "Steps that worked: open the valve; then start the pump")
        assert skill in current(memory)
        assert memory.system(ID).search("how to start the pump").hits[0].kind == "procedural"
        for session in "abc":
            run(memory, session, "failure")
        assert skill in current(memory)
        run(memory, "d", "failure")
        assert skill not in current(memory)
        assert [one for one in logged(memory) if "failed" in one[1]] == [("storage", "succeeded 2 times, failed 4")]


def test_a_newer_memory_takes_the_place_of_what_it_contradicts_and_what_is_called_wrong_goes() -> None:
    memory, clock = opened(stores=[])
    with memory:
        memory.add("I live in Porto.", actor="Ann")
        then = clock.now()
        memory.consolidate()
        clock.advance(timedelta(days=1))
        memory.add("I live in Rome.", actor="Ann")
        assert [text for *_, text in current(memory)] == ["Ann lives in Rome."]
        assert [hit.text for hit in memory.system(ID).search("Ann lives", as_of=then).hits] == ["Ann lives in Porto."]
        memory.feedback(memory.records(system=ID, include_retired=False)[0].id, "wrong")
        assert current(memory) == []
        assert sorted(logged(memory)) == [
            ("forgetting", "a newer memory contradicts it"),
            ("forgetting", "called wrong"),
        ]


def test_decisions_follow_from_the_log_alone() -> None:
    memory, clock = opened()
    with memory:
        memory.add(["Ann has a dog.", "Ann has a dog.", "I live in Porto."], actor="Ann")
        run(memory, "one", "success")
        run(memory, "two", "success")
        clock.advance(timedelta(days=1))
        memory.add("I live in Rome.", actor="Ann")
        memory.consolidate()
        before = decisions(memory.records(system=ID), memory.links(system=ID))
        assert len(before) == 3
        memory.detach(ID)
        memory.attach(ID)
        memory.consolidate()
        assert decisions(memory.records(system=ID), memory.links(system=ID)) == before


def found(hits: Any) -> list[tuple[str, float]]:
    listed: list[Hit] = list(hits)
    return [(hit.text, round(hit.score, 6)) for hit in listed]


def test_turned_off_the_adapters_leave_the_static_baseline() -> None:
    off, clock = opened(stores=[], storage=False, retrieval=False, forgetting=False)
    with off:
        off.add(["Ann has a dog.", "Ann has a dog.", "I live in Porto.", "I live in Rome."], actor="Ann")
        run(off, "one", "success")
        run(off, "two", "success")
        assert {kind for kind, *_ in current(off)} == {"episodic"}
        assert logged(off) == []
        before = found(off.system(ID).search("Ann"))
        for hit in off.system(ID).search("Ann").hits:
            off.feedback(hit.id, "unhelpful")
        assert found(off.system(ID).search("Ann")) == before
        later = clock.now() + timedelta(days=300)
        assert found(off.system(ID).search("Ann", asked_at=later)) == before != []


@pytest.mark.parametrize("is_on", [True, False], ids=["on", "off"])
def test_a_store_whose_hits_did_not_help_counts_for_less_unless_the_adapter_is_off(is_on: bool) -> None:
    memory, _ = opened(stores=["dense"], retrieval=is_on)
    with memory:
        memory.add("Where is the violin?")  # a question states nothing: only the store over the log finds it

        def seen() -> Hit:
            (hit,) = memory.system(ID).search("violin").hits
            assert [one.note for one in hit.reasons if one.signal == "store"] == ["dense"]
            return hit

        before = seen()
        for _ in range(6):
            feedback = {"ids": [before.id], "verdict": "unhelpful", "store": "dense"}
            memory.add([{"role": "feedback", "content": "unhelpful", "metadata": {"feedback": feedback}}])
        low = seen()
        assert low.score < 0.8 * before.score if is_on else low.score == before.score
        for _ in range(30):
            memory.feedback(before.id, "helpful")
        high = seen()
        assert high.score > low.score if is_on else high.score == before.score


def test_an_old_episodic_memory_scores_less_than_a_fresh_one_and_use_keeps_it() -> None:
    memory, clock = opened(stores=[], retrieval=False)
    with memory:
        memory.add("Ann has a dog.")

        def score(later: int) -> float:
            hits = memory.system(ID).search("dog", asked_at=START + timedelta(days=later)).hits
            return hits[0].score if hits else 0.0

        fresh, old = score(0), score(60)
        assert 0.0 < old < fresh
        assert score(400) == 0.0
        clock.advance(timedelta(days=50))
        memory.feedback(memory.records(system=ID)[0].id, "used")
        assert old < score(60) < fresh


@pytest.mark.parametrize(
    "wrong", [{"stores": "hybrid"}, {"stores": ("documents",)}, {"storage": 1}, {"repeats": 0}], ids=str
)
def test_parameters_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        SalmCognitive(Params(**wrong))
    with pytest.raises(SystemNotFound):
        Params(stores=("nothing",))
