"""Mem0, additive: facts that are only added, and how a recall weighs them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.errors import ParameterError
from mnemic.systems.mem0_additive import Params, combined, entity_boost, squashed
from mnemic.testing import Asked, RuleLLM
from systems.word_axes import WordAxes

ID = "mem0-additive"


def facts(memory: Memory) -> list[str]:
    return sorted(one.text for one in memory.records(system=ID, kind="fact"))


def model(*more: dict[str, Any]) -> RuleLLM:
    """Facts are the user's turns as they are, linked with all facts shown; and what else is given."""
    llm = RuleLLM("rules:additive")

    def memories(asked: Asked) -> dict[str, Any]:
        ids = [one["id"] for one in asked.data["stored"]]
        found = [
            {
                "text": one["text"],
                "turns": [one["turn"]],
                "attributed_to": one["speaker"],
                "linked_memory_ids": [*ids, "99"],
            }
            for one in asked.data["turns"]
            if one["speaker"] != "assistant"
        ]
        return {"memory": [*found, *more]}

    llm.rule("memory", memories)
    return llm


def say(memory: Memory, *texts: str) -> None:
    for text in texts:
        memory.add([{"role": "user", "content": text}, {"role": "assistant", "content": "I see."}])


def test_nothing_is_ever_updated_or_deleted(memory: Memory) -> None:
    memory.add(["I live in Paris.", "I moved to Rome.", "I live in Paris."])
    assert facts(memory) == ["The user lives in Paris.", "The user moved to Rome."]
    assert [one.retired_at for one in memory.records(system=ID)] == [None] * len(memory.records(system=ID))


def test_one_call_for_each_pair_gives_facts_that_are_linked_to_those_shown(memory: Memory) -> None:
    llm = model({"text": "", "turns": [1]}, {"text": "invented", "turns": [9]})
    memory.attach(ID, llm=llm)
    say(memory, "Ann lives in Paris", "Ann moved to Rome")
    memory.consolidate()
    assert facts(memory) == ["Ann lives in Paris", "Ann moved to Rome"]
    assert len(llm.requests) == 2
    by_id = {one.id: one.text for one in memory.records(system=ID)}
    related = [one for one in memory.links(system=ID) if one.kind == "related to"]
    assert [(by_id[one.from_id], by_id[one.to_id]) for one in related] == [("Ann moved to Rome", "Ann lives in Paris")]
    assert {len(one.sources) for one in related} == {2}


def test_the_same_text_is_stored_once(memory: Memory) -> None:
    memory.attach(ID, llm=model())
    say(memory, "Ann likes tea", "Ann likes tea")
    memory.consolidate()
    assert facts(memory) == ["Ann likes tea"]


def test_entities_point_to_the_facts_that_name_them(memory: Memory) -> None:
    memory.add(["Ann lives in Porto.", "Bob met Ann."])
    entities = {one.id: one.text for one in memory.records(system=ID, kind="entity")}
    texts = {one.id: one.text for one in memory.records(system=ID, kind="fact")}
    named = sorted(
        (entities[one.from_id], texts[one.to_id]) for one in memory.links(system=ID) if one.from_id in entities
    )
    assert ("Ann", "Ann lives in Porto.") in named
    assert ("Ann", "Bob met Ann.") in named
    assert list(entities.values()).count("Ann") == 1


def test_what_each_of_several_corrections_says_again_is_kept(memory: Memory) -> None:
    id = memory.add("I live in Paris. I have a dog called Rex.").ids[0]
    for city in ("Lyon", "Nice", "Lille"):
        id = memory.update(id, f"I live in {city}. I have a dog called Rex.").id
        [best, *_] = memory.system(ID).search("dog called Rex")
        assert ("Rex" in best.text, best.sources) == (True, (id,))
    assert facts(memory).count("The user has a dog called Rex.") == 4
    assert sum(one.retired_at is None for one in memory.records(system=ID, kind="fact") if "Rex" in one.text) == 1


def test_entities_of_nearly_the_same_vector_are_one_and_others_are_not(open_memory: Callable[..., Memory]) -> None:
    memory = open_memory(embedder=WordAxes("ann bob cleo york newark"))
    memory.add(["Ann visited New York.", "Bob visited New York City.", "Cleo visited Newark."])
    memory.system(ID).search("York")
    entities = {one.id: one.text for one in memory.records(system=ID, kind="entity")}
    assert sorted(entities.values()) == ["Ann", "Bob", "Cleo", "New York", "Newark"]
    named = [entities[one.from_id] for one in memory.links(system=ID) if one.kind == "mentioned in"]
    assert named.count("New York") == 2


def test_a_fact_far_from_the_question_is_no_candidate_whatever_its_words(open_memory: Callable[..., Memory]) -> None:
    memory = open_memory(embedder=WordAxes("tea dog"))
    memory.add(["The dog of the village is old.", "The tea of the village is old."])
    assert [hit.text for hit in memory.system(ID).search("Is tea of the village old?")] == [
        "The tea of the village is old."
    ]


@pytest.mark.parametrize(
    ("n_terms", "midpoint"), [(1, 5), (3, 5), (4, 7), (6, 7), (9, 9), (15, 10), (16, 12), (80, 12)]
)
def test_the_midpoint_of_bm25_moves_with_the_length_of_the_question(n_terms: int, midpoint: float) -> None:
    assert squashed(midpoint, n_terms) == 0.5
    assert squashed(midpoint + 1, n_terms) > 0.6 > 0.4 > squashed(midpoint - 1, n_terms)


def test_the_score_is_the_sum_of_its_parts_over_what_could_be_reached() -> None:
    assert combined(0.6, 0.0, 0.0, 1.0) == 0.6
    assert combined(0.6, 0.8, 0.0, 2.0) == pytest.approx(0.7)
    assert combined(0.9, 0.9, 0.5, 2.5) == pytest.approx(0.92)
    assert combined(1.0, 1.0, 0.5, 1.0) == 1.0
    assert entity_boost(0.8, 1) == pytest.approx(0.4)
    assert entity_boost(0.8, 11) == pytest.approx(0.4 / 1.1)


def test_a_fact_of_the_entity_asked_about_says_so(memory: Memory) -> None:
    memory.add(["Ann lives in Porto.", "The river is long."])
    [best, *_] = memory.system(ID).search("Tell me of Ann")
    assert best.text == "Ann lives in Porto."
    assert {reason.signal for reason in best.reasons} == {"meaning", "words", "entity"}


def test_a_fact_is_hidden_once_it_has_expired(memory: Memory, clock: ManualClock) -> None:
    memory.add("The parking permit is valid.", metadata={"expiration_date": "2024-05-03"})
    memory.add("The parking place is number 7.", metadata={"expiration_date": "no date"})
    assert len(memory.system(ID).search("parking permit place").hits) == 2
    clock.advance(timedelta(days=3))
    assert [hit.text for hit in memory.system(ID).search("parking permit place")] == ["The parking place is number 7."]
    assert len(facts(memory)) == 2


@pytest.mark.parametrize("wrong", [{"messages": 0}, {"candidates": 0}, {"least_meaning": 2.0}], ids=str)
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Params(**wrong)
