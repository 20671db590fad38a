"""Keep Me Updated: sentences that pass, replace, join and delete each other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import permutations, product
from typing import Any, get_args

import pytest

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.errors import ParameterError
from mnemic.systems.keep_me_updated import Operation, Params, operation_by_rule, outcome
from mnemic.testing import Asked, RuleLLM
from systems.worlds import START

ID = "keep-me-updated"


def sentences(memory: Memory) -> list[str]:
    return sorted(one.text for one in memory.records(system=ID, include_retired=False))


def test_a_new_sentence_is_stored_unless_one_passes_or_deletes_and_the_replaced_and_deleted_go() -> None:
    operations = get_args(Operation)
    for combined in [
        (),
        *((one,) for one in operations),
        *product(operations, repeat=2),
        *product(operations, repeat=3),
    ]:
        is_stored, gone = outcome(combined)
        assert is_stored == all(one in ("APPEND", "REPLACE") for one in combined)
        assert gone == [at for at, one in enumerate(combined) if one in ("REPLACE", "DELETE")]


@pytest.mark.parametrize(
    ("old", "new", "operation"),
    [
        ("Ann lives in Rome", "Ann lives in Rome", "PASS"),
        ("Ann lives in Paris", "Ann moved to Rome", "REPLACE"),
        ("Ann likes cricket", "Ann likes cricket with friends", "REPLACE"),
        ("Ann has a cold", "Ann's cold is gone", "DELETE"),
        ("Ann likes tea", "Ann has a dog", "APPEND"),
    ],
)
def test_the_rules_classify_plain_sentences(old: str, new: str, operation: str) -> None:
    assert operation_by_rule(old, new) == operation


KEYS = ["home", "budget", "phone", "team", "size", "doctor", "diet", "password", "goal", "plan"]


def test_the_memory_stays_small_on_a_stream_that_repeats_and_updates_the_same_ten_facts(memory: Memory) -> None:
    sizes = []
    for turn in range(12):
        memory.add([f"{key}: value {turn // 2}x{at}" for at, key in enumerate(KEYS)], session=f"s{turn}")
        sizes.append(len(sentences(memory)))
    assert sizes == [10] * 12
    assert len(memory.records(system=ID)) == 10 * 6  # what was ever known of them, which only grows


def test_sentences_of_one_session_that_do_not_meet_give_the_same_memory_in_any_order(
    open_memory: Callable[..., Memory],
) -> None:
    said = ["I live in Rome.", "I have a cold.", "My budget is 700 dollars."]
    found = []
    for order in permutations(said):
        memory = open_memory()
        memory.add(["I live in Paris.", "My budget is 500 dollars."], session="before")
        memory.add(list(order), session="after")
        found.append(sentences(memory))
    assert found == [["The user has a cold.", "The user lives in Rome.", "The user's budget is 700 dollars."]] * 6


def test_the_memory_as_of_any_past_session_is_the_memory_of_then(memory: Memory, clock: ManualClock) -> None:
    sessions = [
        ["I have a cold.", "I live in Paris."],
        ["I moved to Rome."],
        ["My cold is gone.", "I have a dog."],
        ["I moved to Oslo."],
    ]
    then = []
    for at, said in enumerate(sessions):
        memory.add(said, session=f"s{at}")
        then.append((clock.now(), sentences(memory)))
        clock.advance(timedelta(days=7))
    assert [len(texts) for _, texts in then] == [2, 2, 2, 2]
    assert "The user has a cold." not in then[2][1]
    records = memory.records(system=ID)
    for moment, texts in then:
        held = [one for one in records if one.recorded_at <= moment and (one.retired_at or clock.now()) > moment]
        assert sorted(one.text for one in held) == texts
        assert memory.system(ID).search("live cold dog user", as_of=moment).hits


# -- with a model ---------------------------------------------------------------------------------------------


def model(operations: Callable[[str, str], str]) -> RuleLLM:
    """Summaries are the user's turns as they are; operations are given by a function of old and new."""
    llm = RuleLLM("rules:kmu")
    llm.rule(
        "facts",
        lambda asked: {"facts": [{"text": one["text"], "turns": [one["turn"]]} for one in asked.data["turns"]]},
    )

    def compared(asked: Asked) -> dict[str, Any]:
        new = asked.data["new"]
        return {
            "operations": [{"id": one["id"], "operation": operations(one["text"], new)} for one in asked.data["old"]]
        }

    llm.rule("operations", compared)
    return llm


def test_a_session_is_summarised_once_and_each_sentence_meets_what_was_there_before(memory: Memory) -> None:
    llm = model(lambda old, new: "delete" if "cold" in old and "cold" in new else "append")
    memory.attach(ID, llm=llm)
    memory.add(["Ann has a cold", "Ann likes tea"], session="one")
    memory.add(["that cold passed", "Ann likes chess"], session="two")
    memory.add(["Ann likes rain"], session="three")
    memory.consolidate()
    assert sentences(memory) == ["Ann likes chess", "Ann likes rain", "Ann likes tea"]
    assert [one.fields for one in llm.requests].count(("facts",)) == 3
    assert {one.data["by"] for one in memory.records(system=ID)} == {"llm"}


def test_operations_of_unknown_ids_or_names_append(memory: Memory) -> None:
    llm = model(lambda old, new: "EXPLODE")
    llm.rule(
        lambda asked: asked.data.get("new") == "Ann likes rain",
        {"operations": [{"id": "99", "operation": "DELETE"}, {"id": "x", "operation": "REPLACE"}]},
    )
    memory.attach(ID, llm=llm)
    for at, text in enumerate(["Ann likes tea", "Ann likes chess", "Ann likes rain"]):
        memory.add(text, session=f"s{at}")
    memory.consolidate()
    assert sentences(memory) == ["Ann likes chess", "Ann likes rain", "Ann likes tea"]


def test_an_open_session_is_read_for_now_and_again_when_it_is_over(open_memory: Callable[..., Memory]) -> None:
    def operation(old: str, new: str) -> str:
        return "REPLACE" if old.split()[:2] == new.split()[:2] else "APPEND"

    results = []
    for in_pieces in (True, False):
        memory = open_memory()
        memory.attach(ID, llm=model(operation))
        for at, text in enumerate(["Ann eats rice", "Ann eats bread", "Bob naps daily", "Ann eats soup"]):
            memory.add(text, id=f"e{at}", session=f"s{at // 2}")
            if in_pieces:
                memory.consolidate()
        memory.consolidate()
        results.append(memory.records(system=ID))
    assert list(results[0]) == list(results[1])
    live = sorted(one.text for one in results[0] if one.retired_at is None)
    assert live == ["Ann eats soup", "Bob naps daily"]


@pytest.mark.parametrize("wrong", [{"compared": 0}, {"gap_minutes": 0}, {"longest": 0}, {"words": -1}], ids=str)
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Params(**wrong)


def test_a_value_that_a_session_itself_replaces_is_found_as_of_its_time() -> None:
    llm = RuleLLM("rules:session")
    llm.rule(
        "facts",
        lambda asked: {"facts": [{"text": one["text"], "turns": [one["turn"]]} for one in asked.data["turns"]]},
    )
    clock = ManualClock(START)
    with Memory.open(embedder="hashing", clock=clock, llm=llm, background=False) as memory:
        memory.add("colour: blue", session="a", occurred_at=START)
        then = clock.now()
        clock.advance(timedelta(minutes=1))
        memory.add("colour: green", session="a", occurred_at=clock.now())
        memory.add("I play chess.", session="b", occurred_at=clock.now())
        system = memory.attach("keep-me-updated")
        memory.consolidate()
        assert system.search("colour").path == "llm"
        assert system.search("What is the colour?")[0].text == "colour: green"
        assert system.search("What is the colour?", as_of=then)[0].text == "colour: blue"


def test_of_what_a_session_says_again_the_last_time_counts(memory: Memory) -> None:
    memory.attach(ID, llm=model(lambda old, new: "append"))
    memory.add(["colour: blue", "colour: green", "colour: blue"], session="one")
    memory.consolidate()
    assert sentences(memory) == ["colour: blue"]


@pytest.mark.parametrize("operation", ["PASS", "REPLACE", "APPEND", "DELETE"])
def test_each_operation_of_a_model_does_what_the_paper_says(memory: Memory, operation: str) -> None:
    memory.attach(ID, llm=model(lambda old, new: operation))
    memory.add("Ann eats rice", session="one")
    memory.add("Ann eats bread", session="two")
    memory.consolidate()
    expected = {
        "PASS": ["Ann eats rice"],
        "REPLACE": ["Ann eats bread"],
        "APPEND": ["Ann eats bread", "Ann eats rice"],
        "DELETE": [],
    }
    assert sentences(memory) == expected[operation]


def test_what_goes_and_what_comes_follow_from_the_memory_before_the_session(memory: Memory) -> None:
    llm = model(lambda old, new: "REPLACE" if old == "Ann naps" else "APPEND")
    memory.attach(ID, llm=llm)
    memory.add("Ann naps", session="one")
    memory.add(["Bob jogs daily", "Cleo swims weekly"], session="two")  # both replace it; neither meets the other
    memory.consolidate()
    assert sentences(memory) == ["Bob jogs daily", "Cleo swims weekly"]
    compared = [one.data for one in llm.requests if one.fields == ("operations",)]
    assert [[old["text"] for old in data["old"]] for data in compared] == [["Ann naps"], ["Ann naps"]]
