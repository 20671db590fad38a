"""Mem0: facts that are added, updated and deleted, and their history."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.errors import ParameterError
from mnemic.store.contract import iterate
from mnemic.systems.fact_history import history_of, replay
from mnemic.systems.mem0 import LONGEST_RUN, Params, units_in
from mnemic.testing import Asked, RuleLLM
from systems.worlds import Said, empty, made, pasts, say


class Answers:
    """Facts are what stands behind "fact: " in a turn; what they do is looked up by their text."""

    def __init__(self, decisions: dict[str, list[dict[str, Any]]] | None = None) -> None:
        self.decisions = decisions or {}
        self.llm = RuleLLM("rules:mem0")
        self.llm.rule("facts", self._facts)
        self.llm.rule("memory", self._decided)
        self.llm.rule("procedure", {"procedure": "1. searched. Result: 42"})
        self.llm.rule("summary", {"summary": "They spoke of tea."})

    def _facts(self, asked: Asked) -> dict[str, Any]:
        said = [(turn["turn"], turn["text"]) for turn in asked.data["turns"]]
        return {"facts": [{"text": text[6:], "turns": [at]} for at, text in said if text.startswith("fact: ")]}

    def _decided(self, asked: Asked) -> dict[str, Any]:
        found = []
        for new in asked.data["new"]:
            default = [{"event": "ADD", "text": new["text"], "fact": new["fact"]}]
            for one in self.decisions.get(new["text"], default):
                old = next((old["id"] for old in asked.data["old"] if old["text"] == one.get("old")), one.get("id", ""))
                found.append({"fact": new["fact"], **{key: one[key] for key in one if key != "old"}, "id": old})
        return {"memory": found}


@pytest.fixture
def scripted(open_memory: Callable[..., Memory]) -> Callable[..., tuple[Memory, Answers]]:
    def make(decisions: dict[str, list[dict[str, Any]]] | None = None, **params: Any) -> tuple[Memory, Answers]:
        answers = Answers(decisions)
        memory = open_memory()
        memory.attach("mem0", llm=answers.llm, **params)
        return memory, answers

    return make


def pair(memory: Memory, user: str, assistant: str = "I see.", **more: Any) -> None:
    memory.add([{"role": "user", "content": user}, {"role": "assistant", "content": assistant}], **more)


def facts(memory: Memory, system: str = "mem0") -> list[str]:
    return [one.text for one in memory.records(system=system, kind="fact", include_retired=False)]


def rows(memory: Memory) -> list[tuple[str, str | None, str | None]]:
    return [(one.event, one.old, one.new) for one in history_of(memory.records(system="mem0"))]


# -- with a model ---------------------------------------------------------------------------------------------


def test_a_richer_fact_takes_the_place_of_the_old_one_and_the_history_has_both_texts(scripted: Any) -> None:
    memory, _ = scripted(
        {
            "loves cricket with friends": [
                {"event": "UPDATE", "text": "loves cricket with friends", "old": "likes cricket"}
            ]
        }
    )
    pair(memory, "fact: likes cricket")
    pair(memory, "fact: loves cricket with friends")
    memory.consolidate()
    assert facts(memory) == ["loves cricket with friends"]
    assert rows(memory) == [
        ("ADD", None, "likes cricket"),
        ("UPDATE", "likes cricket", "loves cricket with friends"),
    ]
    keys = {one.data["key"] for one in memory.records(system="mem0")}
    assert len(keys) == 1
    newest = memory.records(system="mem0", include_retired=False)[0]
    assert len(newest.sources) == 2


def test_a_contradicted_fact_is_recalled_no_more_and_stays_in_the_history(scripted: Any) -> None:
    memory, _ = scripted({"dislikes cheese pizza": [{"event": "DELETE", "old": "loves cheese pizza"}]})
    pair(memory, "fact: loves cheese pizza")
    pair(memory, "fact: dislikes cheese pizza")
    memory.consolidate()
    assert facts(memory) == []
    assert memory.system("mem0").search("cheese pizza").hits == ()
    assert rows(memory) == [("ADD", None, "loves cheese pizza"), ("DELETE", "loves cheese pizza", None)]


@pytest.mark.parametrize(
    "answer",
    [
        {"event": "UPDATE", "id": "17", "text": "owns a horse"},
        {"event": "DELETE", "id": "made-up"},
        {"event": "UPDATE", "text": " ", "old": "likes tea"},
        {"event": "ADD", "text": ""},
        {"event": "EXPLODE", "text": "owns a horse", "old": "likes tea"},
    ],
    ids=lambda answer: f"{answer['event']} {answer.get('id', '')}".strip(),
)
def test_a_decision_that_means_nothing_changes_nothing(scripted: Any, answer: dict[str, Any]) -> None:
    memory, _ = scripted({"owns a horse": [answer]})
    pair(memory, "fact: likes tea")
    memory.consolidate()
    pair(memory, "fact: owns a horse")
    memory.consolidate()
    assert memory._shared.store.records.failures() == []
    assert facts(memory) == ["likes tea"]


def test_one_call_reads_a_pair_and_one_more_compares_where_facts_were_found(scripted: Any) -> None:
    memory, answers = scripted()
    pair(memory, "Hello", "fact: Paris is big")
    memory.consolidate()
    pair(memory, "Fine, thanks", "Good")
    memory.consolidate()
    assert [one.fields for one in answers.llm.requests] == [("facts",), ("memory",), ("facts",)]
    assert [len(one.data["recent"]) for one in answers.llm.requests if one.shows("recent")] == [2]


def test_the_model_sees_small_numbers_instead_of_ids(scripted: Any) -> None:
    memory, answers = scripted()
    pair(memory, "fact: likes tea")
    pair(memory, "fact: likes cake")
    memory.consolidate()
    assert [one["id"] for one in answers.llm.requests[-1].data["old"]] == ["0"]
    assert "mem0-" not in answers.llm.requests[-1].messages[1].content


def test_a_message_without_its_answer_is_read_for_now_and_again_with_the_answer(scripted: Any) -> None:
    memory, _ = scripted(
        {"Porto is nice": [{"event": "UPDATE", "text": "Ann lives in nice Porto", "old": "Ann lives in Porto"}]}
    )
    memory.add("fact: Ann lives in Porto")
    memory.consolidate()
    assert facts(memory) == ["Ann lives in Porto"]
    memory.add([{"role": "assistant", "content": "fact: Porto is nice"}])
    memory.consolidate()
    assert facts(memory) == ["Ann lives in Porto"]  # both in one call now, with nothing old that could be updated
    assert len(memory.records(system="mem0")) == 1


def test_without_consolidating_the_waiting_message_is_known_by_rule(open_memory: Callable[..., Memory]) -> None:
    memory = open_memory()
    memory.attach("mem0", llm=Answers().llm)
    pair(memory, "fact: likes tea")
    memory.add("I live in Porto.")
    assert memory._shared.observe("mem0", "").error is None
    assert "Porto" in memory.system("mem0").search("live in Porto", limit=1)[0].text


@given(past=pasts(), splits=st.sets(st.integers(1, 11)))
@settings(max_examples=15)
def test_with_a_model_records_made_in_pieces_are_those_made_at_once(past: list[Said], splits: set[int]) -> None:
    past = [Said(one.id, f"fact: {one.text}", one.session, one.actor, one.day) for one in past]
    results = []
    for cuts in (splits, set[int]()):
        with empty() as memory:
            memory.attach("mem0", llm=Answers({"tea": [{"event": "DELETE", "id": "0"}]}).llm)
            for at, one in enumerate(past):
                if at in cuts:
                    memory.consolidate()
                say(memory, [one])
            memory.consolidate()
            results.append(made(memory, "mem0"))
    assert results[0] == results[1]


def test_a_run_of_an_agent_becomes_one_procedure(scripted: Any) -> None:
    memory, _ = scripted()
    step = {"memory_type": "procedural_memory"}
    memory.add("searched for the answer", role="assistant", metadata=step)
    memory.add("the answer is 42", role="tool", metadata=step)
    pair(memory, "Thank you")
    memory.consolidate()
    procedures = memory.records(system="mem0", kind="procedure")
    assert [(one.text, len(one.sources)) for one in procedures] == [("1. searched. Result: 42", 2)]


def test_the_summary_of_the_paper_is_shown_with_the_next_pair(scripted: Any) -> None:
    memory, answers = scripted(summary_every=2)
    pair(memory, "fact: likes tea")
    pair(memory, "fact: likes cake")
    memory.consolidate()
    shown = [one.data.get("summary") for one in answers.llm.requests if one.fields == ("facts",)]
    assert shown == [None, "They spoke of tea."]
    assert len(memory.records(system="mem0", kind="summary")) == 1


def test_a_summary_renewed_seldom_is_made_of_all_that_was_said_since_the_last_one(scripted: Any) -> None:
    memory, answers = scripted(summary_every=8, recent=2)
    for at in range(8):
        pair(memory, f"Word {at}.")
    memory.consolidate()
    summarised = [one.data["pieces"] for one in answers.llm.requests if one.fields == ("summary",)]
    words = [[at for at in range(8) if f"Word {at}." in str(pieces)] for pieces in summarised]
    assert words == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert max(len(one.data["recent"]) for one in answers.llm.requests if one.shows("recent")) == 2


def test_broken_json_changes_nothing_and_the_facts_are_made_by_rule_in_the_end(scripted: Any) -> None:
    memory, answers = scripted()
    pair(memory, "fact: likes tea")
    memory.consolidate()
    answers.llm.rule("facts", '{"facts": [')
    pair(memory, "I live in Porto.")
    reports = [memory.consolidate()["mem0"] for _ in range(4)]
    assert "error" not in reports[-1]
    assert sorted(facts(memory)) == ["The user lives in Porto.", "likes tea"]


def test_broken_json_of_the_comparison_changes_nothing_and_the_facts_are_compared_by_rule_in_the_end(
    scripted: Any,
) -> None:
    memory, answers = scripted()
    pair(memory, "fact: Ann lives in Paris")
    memory.consolidate()
    answers.llm.rule("memory", '{"memory": [{"event": ')
    pair(memory, "fact: Ann lives in Rome")
    first = memory.consolidate()["mem0"]
    assert ("error" in first, facts(memory)) == (True, ["Ann lives in Paris"])
    reports = [memory.consolidate()["mem0"] for _ in range(3)]
    assert ("error" in reports[-1], facts(memory)) == (False, ["Ann lives in Rome"])


def test_facts_without_a_text_or_of_turns_that_there_are_not_are_none(scripted: Any) -> None:
    memory, answers = scripted()
    pair(memory, "fact: likes tea")
    memory.consolidate()
    answers.llm.rule("facts", {"facts": [{"text": " ", "turns": [1]}, {"text": "owns a horse", "turns": [77]}]})
    pair(memory, "Anything")
    assert "error" not in memory.consolidate()["mem0"]
    assert facts(memory) == ["likes tea"]
    assert [one.fields for one in answers.llm.requests].count(("memory",)) == 1


def test_what_the_system_itself_is_told_is_never_mined(scripted: Any) -> None:
    memory, answers = scripted()
    memory.add([{"role": "system", "content": "fact: the user is a king"}])
    pair(memory, "fact: likes tea")
    memory.consolidate()
    assert facts(memory) == ["likes tea"]
    assert "king" not in "".join(message.content for one in answers.llm.requests for message in one.messages)


def test_the_nearest_ten_facts_of_each_new_one_are_compared_each_once(scripted: Any) -> None:
    memory, answers = scripted()
    for at in range(14):
        pair(memory, f"fact: likes tea number {at}")
    pair(memory, "fact: likes tea number 3 and 4", "fact: likes tea number 4 and 3")
    memory.consolidate()
    last = [one for one in answers.llm.requests if one.fields == ("memory",)][-1]
    shown = [one["text"] for one in last.data["old"]]
    assert (len(last.data["new"]), len(shown) == len(set(shown))) == (2, True)
    assert 10 <= len(shown) <= 14


def test_a_very_long_run_of_an_agent_becomes_several_procedures(memory: Memory) -> None:
    steps = [{"content": f"step {at}", "metadata": {"memory_type": "procedural"}} for at in range(LONGEST_RUN + 3)]
    memory.add([{"role": "assistant", **one} for one in steps])
    log = list(iterate(memory._shared.store, ""))
    closed, tail = units_in(log, 2)
    assert ([len(unit) for unit in closed], len(tail)) == ([LONGEST_RUN], 3)


# -- without one ----------------------------------------------------------------------------------------------


def test_messages_kept_as_they_are_are_facts_word_for_word(memory: Memory) -> None:
    memory.attach("mem0", infer=False)
    pair(memory, "I live in Porto!", "Do you?")
    memory.consolidate()
    assert sorted(facts(memory)) == ["Do you?", "I live in Porto!"]


UPDATES = [
    ("I live in Paris.", "I moved to Rome.", "Which city did the user move to? Rome? Paris?", "Rome"),
    ("My phone number is 123.", "My phone number is 456.", "What is the user's phone number?", "456"),
    ("I work at Bosch.", "I work at Siemens.", "Where does the user work?", "Siemens"),
    ("My favourite colour is blue.", "My favourite colour is now green.", "What is the favourite colour?", "green"),
    ("The meeting is on Monday.", "The meeting was moved to Friday.", "When is the meeting?", "Friday"),
    ("budget: 500", "budget: 700", "What is the current value of budget?", "700"),
]


@pytest.mark.parametrize("system", ["mem0", "keep-me-updated"])
def test_the_newest_value_comes_first_and_the_old_one_as_of_then(
    system: str, open_memory: Callable[..., Memory], clock: ManualClock
) -> None:
    memory = open_memory()
    memory.add([old for old, *_ in UPDATES], session="first")
    then = clock.now()
    clock.advance(timedelta(days=1))
    memory.add([new for _, new, *_ in UPDATES], session="second")
    asked = memory.system(system)
    wrong = [
        (question, hits[0].text)
        for _, _, question, value in UPDATES
        if value not in (hits := asked.search(question, limit=3))[0].text
    ]
    assert wrong == []
    before = [asked.search(question, limit=1, as_of=then)[0].text for _, _, question, _ in UPDATES]
    olds = ["Paris", "123", "Bosch", "blue", "Monday", "500"]
    assert [old for old, text in zip(olds, before, strict=True) if old not in text] == []


@pytest.mark.slow
@pytest.mark.parametrize("embedder", ["hashing", "minilm"])
@pytest.mark.parametrize("system", ["mem0", "keep-me-updated"])
def test_of_real_keys_with_many_updates_the_newest_value_comes_first(
    system: str, embedder: str, open_memory: Callable[..., Memory], clock: ManualClock
) -> None:
    folder = Path(os.environ.get("MNEMIC_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
    path = folder / "pi-llm" / "dict_category_double-word_46-400_v1-1.json"
    if not path.is_file():
        pytest.skip("the key-value streams are not here; set MNEMIC_SHARED_DATA")
    values = json.loads(path.read_text(encoding="utf-8"))
    draw = random.Random(1)
    stream = [(key, draw.choice(values[key])) for _ in range(30) for key in draw.sample(sorted(values), len(values))]
    memory, times = open_memory(embedder=embedder), list[tuple[Any, dict[str, str]]]()
    for half in (stream[: len(stream) // 2], stream[len(stream) // 2 :]):
        memory.add([f"{key}: {value}" for key, value in half], session="stream")
        times.append((clock.now(), dict(half)))
        clock.advance(timedelta(hours=1))
    for at, newest in times:
        tops = {
            key: memory.system(system).search(f"What is the current value of {key}?", limit=1, as_of=at)[0].text
            for key in newest
        }
        right = [key for key, value in newest.items() if tops[key].endswith(f"{key}: {value}")]
        assert len(right) >= 0.95 * len(newest), {key: tops[key] for key in newest if key not in right}


@given(past=pasts(max_size=20))
@settings(max_examples=20)
def test_replaying_the_history_gives_exactly_the_live_set(past: list[Said]) -> None:
    with empty() as memory:
        memory.attach("mem0")
        say(memory, past)
        say(memory, [Said("c1", "key: tea", None, None, 0), Said("c2", "key: coffee", None, None, 0)])
        memory.consolidate()
        records = memory.records(system="mem0", kind="fact")
        live = {one.data["key"]: one.text for one in memory.records(system="mem0", include_retired=False)}
    assert replay(history_of(records)) == live
    assert any(one.event == "UPDATE" for one in history_of(records))
    for key in live:
        assert {one.key for one in history_of(records, key)} == {key}


def test_users_with_the_same_texts_never_see_each_others_facts(memory: Memory) -> None:
    for user in ("ann", "bob"):
        pair(memory.scope(user), f"I live in Paris, says {user}.")
    for user in ("ann", "bob"):
        hits = memory.scope(user).system("mem0").search("Where does the user live? Paris")
        assert hits.hits
        assert {hit.scope for hit in hits} == {user}
    assert memory.system("mem0").search("Where does the user live? Paris").hits == ()  # nor does who names no user


def test_a_correction_keeps_what_it_says_again(memory: Memory) -> None:
    first = memory.add("I live in Paris. I have a dog called Rex.").ids[0]
    memory.system("mem0").search("dog")
    memory.update(first, "I live in Lyon. I have a dog called Rex.")
    hits = memory.system("mem0").search("dog called Rex")
    assert "Rex" in hits[0].text
    assert "Lyon" in memory.system("mem0").search("Where does the user live? Paris Lyon")[0].text


@pytest.mark.parametrize("wrong", [{"messages": 0}, {"similar": 0}, {"recent": -1}, {"words": 1.5}], ids=str)
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Params(**wrong)
