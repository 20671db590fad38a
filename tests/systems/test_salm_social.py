"""SALM: what comes again is reused, the working set keeps its bound, drift is measured, nobody gets another's memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.errors import ParameterError
from mnemic.model import Cue
from mnemic.systems.salm_measures import ITEM, Statistics, drift, drift_bound, drift_of, statistics, tier
from mnemic.systems.salm_social import Params, SalmSocial, attended, attention, is_same
from mnemic.testing import RuleLLM

Open = Callable[..., Memory]
ID = "salm-social"
SITUATIONS = [
    "Good morning from the market", "Rain again over the harbour", "Shall we play chess tonight", "The bakery has run out",
    "My neighbour sings too loudly", "A parcel came for you", "The bus was late once more", "Dinner is on the table",
]  # fmt: skip


def seen(memory: Memory, **when: Any) -> Statistics:
    records, links = memory._shared.store.records.records(ID, ""), memory._shared.store.records.links(ID, "")
    return statistics(records, links, **when)


def test_where_situations_repeat_the_hit_rate_rises_and_calls_grow_slower_than_the_stream(open_memory: Open) -> None:
    llm = RuleLLM("rules:salm")
    llm.rule("summary", {"summary": "It was an everyday thing.", "importance": 3})
    memory = open_memory(llm=llm)
    memory.attach(ID)
    calls, rates = [], []
    for _ in range(4):
        memory.add(SITUATIONS * 2)
        memory.consolidate()
        calls.append(llm.calls)
        rates.append(seen(memory).hit_rate)
    assert calls == [8, 8, 8, 8]  # once for each situation, however long the stream is
    assert rates == [0.5, 0.75, pytest.approx(40 / 48), 0.875]
    assert {one.data["summary"] for one in memory.records(system=ID, kind=ITEM)} == {"It was an everyday thing."}


def test_a_higher_threshold_reuses_less(memory: Memory) -> None:
    memory.add(["tea in the old garden today", "tea in the old garden"])
    counts = []
    for threshold in (0.5, 0.999):
        memory.attach(ID, reuse_threshold=threshold)
        memory.consolidate()
        counts.append(seen(memory).hits)
    assert counts == [1, 0]


def test_beyond_its_capacity_the_least_recent_and_important_goes_to_the_archive_and_comes_back_when_met(
    open_memory: Open, clock: ManualClock
) -> None:
    memory = open_memory()
    memory.attach(ID, capacity=3)
    for text in SITUATIONS:
        memory.add(text)
        memory.consolidate()
        assert seen(memory).working <= 3
        clock.advance(timedelta(minutes=1))
    assert seen(memory) == Statistics(hits=0, misses=8, working=3, archived=5)
    then = clock.now()
    (first,) = [one for one in memory.records(system=ID, kind=ITEM) if one.text == SITUATIONS[0]]
    clock.advance(timedelta(minutes=1))
    memory.add(SITUATIONS[0])
    memory.consolidate()
    (again,) = memory.records(system=ID, kind=ITEM, ids=[first.id])
    assert (tier(again), tier(again, then)) == ("working", "archive")
    assert seen(memory) == Statistics(hits=1, misses=8, working=3, archived=5)
    assert seen(memory, as_of=then) == Statistics(hits=0, misses=8, working=3, archived=5)


def test_without_a_share_for_the_archive_only_the_working_set_is_recalled(memory: Memory) -> None:
    memory.add(SITUATIONS)
    memory.attach(ID, capacity=2, archive_share=0.0)
    hits = memory.system(ID).search(" ".join(SITUATIONS), limit=20).hits
    assert 0 < len(hits) <= 2


def test_what_came_again_is_one_hit_with_every_episode_behind_it(memory: Memory) -> None:
    ids = [memory.add(SITUATIONS[0]).episodes[0].id for _ in range(3)]
    (hit,) = memory.system(ID).search("market morning").hits
    assert sorted(hit.sources) == sorted(ids)


def test_a_number_or_a_negation_makes_another_situation(memory: Memory) -> None:
    assert is_same("We have 2 cats", "we have 2 cats!")
    assert not is_same("We have 2 cats", "We have 3 cats")
    assert not is_same("I will come", "I will not come")
    memory.add(["The train to the coast leaves at 7", "The train to the coast leaves at 8"])
    memory.attach(ID, reuse_threshold=0.5)
    memory.consolidate()
    assert seen(memory).misses == 2


def test_a_kept_response_comes_back_with_its_situation_and_only_to_its_own_agent(memory: Memory) -> None:
    memory.add("Shall we play chess tonight", actor="Ann", session="mon")
    memory.add("Gladly, at eight.", actor="Bob", session="mon")
    system, asked = SalmSocial(), memory.system(ID)
    hits = asked.search("Shall we play chess tonight").hits[:2]
    assert {(hit.kind, hit.text, hit.reasons[0].signal) for hit in hits} == {
        ("reply", "Gladly, at eight.", "reuse"),
        ("item", "Shall we play chess tonight", "attention"),
    }
    view = memory._shared.view_of("", ID)
    cue = Cue(text="Shall we play chess tonight", scope="", asked_at=memory.list()[0].occurred_at)
    found = system.reuse(cue, view, agent="Bob")
    assert found is not None
    assert (found.response, round(found.match, 2)) == ("Gladly, at eight.", 1.0)
    assert system.reuse(cue, view, agent="Carol") is None
    assert system.reuse(Cue(text="Is there any bread?", scope="", asked_at=cue.asked_at), view) is None
    elsewhere = memory.scope("other")
    elsewhere.add("hello")
    elsewhere.system(ID).search("hello")
    assert system.reuse(cue, memory._shared.view_of("other", ID)) is None


def test_the_same_words_of_another_speaker_are_another_memory(memory: Memory) -> None:
    memory.add(SITUATIONS[0], actor="Ann")
    memory.add(SITUATIONS[0], actor="Bob")
    memory.attach(ID)
    memory.consolidate()
    assert seen(memory) == Statistics(hits=0, misses=2, working=2, archived=0)


def test_what_many_others_said_does_not_hide_that_a_speaker_said_it_before(memory: Memory) -> None:
    for name in [*(f"Neighbour {at}" for at in range(25)), "Ann", "Ann"]:
        memory.add(SITUATIONS[0], actor=name)
    memory.attach(ID)
    memory.consolidate()
    assert (seen(memory).hits, seen(memory).misses) == (1, 26)


def test_a_response_is_found_where_many_others_answered_the_same_situation(memory: Memory) -> None:
    for at in range(25):
        memory.add("Shall we play chess tonight", actor="Ann", session=f"{at}")
        memory.add(f"Answer of {at}.", actor=f"Neighbour {at}", session=f"{at}")
    memory.system(ID).search("chess")
    view = memory._shared.view_of("", ID)
    cue = Cue(text="Shall we play chess tonight", scope="", asked_at=memory.list()[0].occurred_at)
    answered = [SalmSocial().reuse(cue, view, agent=f"Neighbour {at}") for at in range(25)]
    assert [one and one.response for one in answered] == [f"Answer of {at}." for at in range(25)]


def test_use_keeps_an_item_in_the_working_set(memory: Memory) -> None:
    memory.attach(ID, capacity=2)
    memory.add("The carpenter came by the harbour")
    memory.consolidate()
    (first,) = memory.records(system=ID, kind=ITEM)
    for who in ("baker", "doctor", "postman", "teacher"):
        memory.add(f"The {who} came by the harbour")
        memory.feedback(first.id, "used")
    memory.consolidate()
    (record,) = memory.records(system=ID, kind=ITEM, ids=[first.id])
    assert tier(record) == "working"


def test_the_drift_of_an_agent_is_measured_between_its_windows(memory: Memory) -> None:
    for at in range(6):
        memory.add([f"{text}, day {at}" for text in SITUATIONS[:4]], actor="Ann")
    memory.attach(ID, window=4)
    memory.consolidate()
    made = memory._shared.view_of("", ID).made
    found = drift_of(made, "Ann")
    assert len(found) == 6 * 5 // 2
    assert all(one.bound == drift_bound(one.steps) for one in found)
    assert max(one.distance for one in found) < 0.6  # the same things day by day
    assert drift_of(made, "Bob") == []


def test_drift_is_the_distance_of_personality_vectors_and_nothing_for_one_that_does_not_change() -> None:
    still = drift([[1.0, 0.0]] * 3)
    assert [one.distance for one in still] == [0.0, 0.0, 0.0]
    (moved,) = drift([[1.0, 0.0], [0.0, 1.0]])
    assert moved.distance == pytest.approx(2**0.5)
    assert moved.bound == pytest.approx(0.12)


def test_scores_rank_as_attention_times_recency_times_importance() -> None:
    generator = np.random.default_rng(4)
    keys = generator.standard_normal((30, 16)).astype(np.float32) + 2.0
    keys /= np.linalg.norm(keys, axis=1, keepdims=True)
    query, fresh, weight = keys[0], generator.uniform(0.5, 1, 30), generator.uniform(0.5, 1, 30)
    wanted = attention(query, keys, 0.05) * fresh * weight
    scores = [attended(float(c), f, w, 0.05) for c, f, w in zip(keys @ query, fresh, weight, strict=True)]
    assert np.argsort(-wanted).tolist() == np.argsort(-np.array(scores)).tolist()


@pytest.mark.parametrize("answer", [{"summary": "", "importance": 9}, {"summary": "!", "importance": 2}], ids=str)
def test_an_appraisal_that_says_nothing_is_made_by_rule(open_memory: Open, answer: dict[str, Any]) -> None:
    llm = RuleLLM("rules:salm")
    llm.rule("summary", answer)
    memory = open_memory(llm=llm)
    memory.add(SITUATIONS[0])
    memory.attach(ID)
    memory.consolidate()
    (one,) = memory.records(system=ID)
    assert (one.data["by"], "summary" in one.data) == ("offline", False)


@pytest.mark.parametrize(
    "wrong", [{"capacity": 0}, {"reuse_threshold": 0.0}, {"temperature": 0.0}, {"window": 0}], ids=str
)
def test_parameters_out_of_their_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Params(**wrong)


def test_a_corrected_answer_is_not_reused_and_the_next_one_is_kept_in_its_place(memory: Memory) -> None:
    asked = memory.attach(ID)

    def reused() -> list[str]:
        return [hit.text for hit in asked.search("Shall we play chess tonight") if hit.kind == "reply"]

    memory.add("Shall we play chess tonight", actor="Ann", session="mon")
    memory.add("Gladly, at eight.", id="answer", actor="Bob", session="mon")
    assert reused() == ["Gladly, at eight."]
    memory.add("Good.", actor="Bob", session="tue")
    memory.update("answer", "Gladly, at nine.")
    assert reused() == []
    memory.add("Shall we play chess tonight", actor="Ann", session="wed")
    memory.add("Rather tomorrow.", actor="Bob", session="wed")
    assert reused() == ["Rather tomorrow."]


def test_an_item_names_whom_the_speaker_spoke_with(memory: Memory) -> None:
    memory.add("Shall we play chess tonight", actor="Ann", session="mon")
    memory.add("Gladly, at eight.", actor="Bob", session="mon")
    memory.add("The bus was late once more", actor="Bob", session="tue")
    memory.attach(ID)
    memory.consolidate()
    items = {one.text: one.data.get("partner") for one in memory.records(system=ID, kind=ITEM)}
    assert items == {
        "Shall we play chess tonight": None,
        "Gladly, at eight.": "Ann",
        "The bus was late once more": None,
    }
