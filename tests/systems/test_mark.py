"""MARK: three kinds of memories, terms that are resolved, and trust that feedback earns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.errors import ParameterError
from mnemic.memory import background
from mnemic.systems.mark import Params
from mnemic.systems.mark_agents import terms_in
from mnemic.testing import RuleLLM
from systems.under_test import examples
from systems.worlds import START, Said, empty, made, pasts, queries, say, seen


@pytest.fixture(autouse=True)
def _nothing_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background.Background, "wake", lambda *_: None)


def talk(memory: Memory, said: Sequence[str | tuple[str, str]], session: str) -> list[str]:
    """Say it in a session; a pair is a role and a text. The ids of the episodes."""
    messages = [("user", one) if isinstance(one, str) else one for one in said]
    added = memory.add([{"role": role, "content": text} for role, text in messages], session=session)
    return [one.id for one in added.episodes]


def current(memory: Memory, kind: str | None = None) -> list[str]:
    found = made(memory, "mark")[0]
    return sorted(one.text for one in found if one.retired_at is None and kind in (None, one.kind))


def test_an_abbreviation_explained_once_is_resolved_in_a_later_session(memory: Memory) -> None:
    mark = memory.attach("mark")
    talk(
        memory,
        ["By CKD I mean chronic kidney disease.", "My father takes tablets for his chronic kidney disease."],
        "a",
    )
    talk(memory, ["The weather is fine today in Porto.", "The garden needs some water."], "b")
    hits = mark.search("What does my father take for CKD?").hits
    texts = [hit.text for hit in hits]
    assert hits[0].text == "CKD stands for chronic kidney disease."
    assert hits[0].reasons[0].signal == "term"
    assert "tablets" in texts[1]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The intensive care unit (ICU) is full.", [("ICU", "intensive care unit")]),
        ("An MRI (magnetic resonance imaging) was made.", [("MRI", "magnetic resonance imaging")]),
        ("PT stands for physical therapy, of course", [("PT", "physical therapy, of course")]),
        ("I met him in Rome (IT) on Monday.", []),
    ],
)
def test_abbreviations_are_known_where_they_are_explained(text: str, found: list[tuple[str, str]]) -> None:
    assert terms_in(text) == found


def test_what_a_newer_statement_contradicts_is_not_recalled_now_and_is_as_of_then() -> None:
    clock = ManualClock(START)
    with Memory.open(embedder="hashing", clock=clock) as memory:
        mark = memory.attach("mark")
        talk(memory, ["I live in Paris."], "a")
        talk(memory, ["The weather is fine today."], "b")
        assert "The user lives in Paris." in [hit.text for hit in mark.search("Where do I live?")]
        then = clock.now()
        clock.advance(timedelta(days=1))
        talk(memory, ["I moved to Rome."], "c")
        talk(memory, ["The garden needs water."], "d")
        now = [hit.text for hit in mark.search("I moved from Paris, where I live")]
        assert "The user lives in Paris." not in now
        assert "The user moved to Rome." in now
        assert "The user lives in Paris." in [hit.text for hit in mark.search("Where do I live?", as_of=then)]


def test_types_narrow_what_is_recalled(memory: Memory) -> None:
    memory.attach("mark", require_feedback=False)
    talk(
        memory,
        ["Insulin must be kept cold.", "I keep my insulin in the kitchen.", ("assistant", "Insulin lasts four weeks.")],
        "a",
    )
    talk(memory, ["The weather is fine today."], "b")
    memory.consolidate()
    assert current(memory, "residual") == ["Insulin must be kept cold."]
    for kind, text in [("residual", "must be kept cold"), ("user_question", "kitchen"), ("llm_response", "four weeks")]:
        mark = memory.attach("mark", require_feedback=False, types=[kind])
        hits = [hit for hit in mark.search("insulin") if hit.record]
        assert [hit.kind for hit in hits] == [kind]
        assert text in hits[0].text


class Violins:
    """All that has a violin in it is alike, and nothing else is."""

    id, dim, is_semantic, max_tokens = "violins", 2, True, 512

    def embed(self, texts: Sequence[str], kind: str = "document") -> Any:
        return np.array([[1.0, 0.0] if "violin" in text else [0.0, 1.0] for text in texts], np.float32)


def test_what_was_confirmed_often_comes_before_what_is_as_like_and_was_not() -> None:
    with Memory.open(embedder=Violins(), clock=ManualClock(START)) as memory:
        mark = memory.attach("mark")
        talk(memory, ["Anna plays the red violin.", "Berta plays the red violin."], "a")
        for session in "bcd":
            talk(memory, ["Berta plays the red violin."], session)
        talk(memory, ["The garden needs water."], "e")
        hits = [hit for hit in mark.search("red violin") if "violin" in hit.text]
    assert [hit.text.split()[0] for hit in hits] == ["Berta", "Anna"]
    by_signal = [{one.signal: one.value for one in hit.reasons} for hit in hits]
    assert by_signal[0]["persistence"] > by_signal[1]["persistence"]


def test_an_answer_is_recalled_as_knowledge_only_when_feedback_speaks_for_it(memory: Memory) -> None:
    mark = memory.attach("mark")
    ids = talk(memory, ["How long does the vaccine last?", ("assistant", "The vaccine lasts ten years.")], "a")
    talk(memory, ["The garden needs water."], "b")
    assert [hit for hit in mark.search("vaccine") if hit.record] == []
    memory.feedback(ids[1], "helpful")
    hits = [hit for hit in mark.search("vaccine") if hit.record]
    assert [hit.text for hit in hits] == ["The vaccine lasts ten years."]
    memory.feedback(hits[0].id, "wrong")
    assert [hit for hit in mark.search("vaccine") if hit.record] == []


def test_what_a_user_said_is_not_overruled_by_an_answer(memory: Memory) -> None:
    memory.attach("mark")
    talk(memory, ["I live in Paris.", ("assistant", "Good to know.")], "a")
    talk(memory, ["Hm?", ("assistant", "You live in Rome. The user lives in Rome.")], "b")
    talk(memory, ["The garden needs water."], "c")
    memory.consolidate()
    assert "The user lives in Paris." in current(memory)
    assert not [text for text in current(memory) if "Rome" in text]


def test_consolidate_refines_the_open_conversation_for_now(memory: Memory) -> None:
    memory.attach("mark")
    talk(memory, ["By CKD I mean chronic kidney disease."], "a")
    memory.consolidate()
    assert "CKD stands for chronic kidney disease." in current(memory)
    assert all(one.data["provisional"] for one in made(memory, "mark")[0])
    talk(memory, ["The garden needs water."], "b")
    memory._shared.observe("mark", "")
    assert "CKD stands for chronic kidney disease." in current(memory)
    assert not any("provisional" in one.data for one in made(memory, "mark")[0])


def test_the_open_conversation_is_recalled_as_it_was_said_or_as_it_was_refined_and_not_as_both() -> None:
    clock = ManualClock(START)
    with Memory.open(embedder="hashing", clock=clock) as memory:
        mark = memory.attach("mark")
        talk(memory, ["I keep my insulin in the kitchen."], "a")
        memory._shared.observe("mark", "")
        assert [hit.kind for hit in mark.search("insulin")] == ["episode"]
        memory.consolidate()
        assert [hit.kind for hit in mark.search("insulin")] == ["user_question"]
        clock.advance(timedelta(minutes=1))
        assert [hit.kind for hit in mark.search("insulin", as_of=clock.now())] == ["episode"]


def test_what_another_turn_confirmed_stays_when_the_first_one_is_corrected(memory: Memory) -> None:
    mark = memory.attach("mark")
    (first,) = talk(memory, ["Anna plays the red violin."], "a")
    (again,) = talk(memory, ["Anna plays the red violin."], "b")
    talk(memory, ["The garden needs water."], "c")
    (hit,) = [one for one in mark.search("red violin") if one.kind == "user_question" and "violin" in one.text]
    assert hit.sources == (first, again)
    memory.update(first, "The bus was late.")
    assert "Anna plays the red violin." in [one.text for one in mark.search("red violin") if one.record]


def test_what_was_corrected_away_is_remembered_anew_when_it_is_said_again(memory: Memory) -> None:
    mark = memory.attach("mark")
    (first,) = talk(memory, ["Anna plays the red violin."], "a")
    talk(memory, ["The garden needs water."], "b")
    memory.update(first, "The bus was late.")
    talk(memory, ["Anna plays the red violin."], "c")
    talk(memory, ["The cellar is dry."], "d")
    assert "Anna plays the red violin." in [one.text for one in mark.search("red violin") if one.record]


# -- with a model ---------------------------------------------------------------------------------------------


def agents(asked: Any) -> Any:
    """Each agent finds one thing."""
    turns = {one["text"]: one["turn"] for one in asked.data["turns"]}
    found = [{"text": " ", "turns": [1], "term": ""}, {"text": "no source", "turns": [99], "term": ""}]
    if asked.says("insights about the field"):
        found += [{"text": f"Rule: {text}", "turns": [at], "term": ""} for text, at in turns.items() if "must" in text]
    elif asked.says("what the user stated"):
        found += [
            {"text": "SGA means Stuttgart.", "turns": [at], "term": "SGA"}
            for text, at in turns.items()
            if "SGA" in text
        ]
        found += [
            {"text": f"Said: {text}", "turns": [at], "term": ""}
            for text, at in turns.items()
            if text.startswith("Take")
        ]
    return {"memories": found}


def test_three_agents_are_asked_once_for_a_conversation_and_nonsense_is_passed_over() -> None:
    with RuleLLM("rules:mark") as llm, Memory.open(embedder="hashing", llm=llm) as memory:
        llm.rule("memories", agents)
        mark = memory.attach("mark")
        talk(memory, ["Wheels must be round.", "I go to SGA on Monday.", ("assistant", "Take the train.")], "a")
        talk(memory, ["Hello"], "b")
        memory._shared.observe("mark", "")
        assert llm.calls == 3
        assert current(memory, "residual") == ["Rule: Wheels must be round."]
        assert current(memory, "user_question") == ["SGA means Stuttgart."]
        assert current(memory, "llm_response") == ["Said: Take the train."]  # all it comes from is the assistant's
        assert mark.search("When do I go to SGA?").hits[0].text == "SGA means Stuttgart."


@given(past=pasts(2, 12), later=pasts(0, 6), query=queries, told=st.integers(0, 11))
@settings(max_examples=examples(6))
def test_a_recall_as_of_an_earlier_time_knows_nothing_of_later_feedback_and_copies(
    past: list[Said], later: list[Said], query: str, told: int
) -> None:
    clock = ManualClock(START)
    with empty(clock) as memory:
        mark = memory.attach("mark")
        say(memory, past)
        then, asked_at = clock.now(), START + timedelta(days=40)
        answer = seen(mark.search(query, asked_at=asked_at).hits)
        clock.advance(timedelta(minutes=1))
        memory.feedback(past[told % len(past)].id, "helpful")
        again = enumerate([*past, *later])
        say(memory, [Said(f"later{at}", one.text, one.session, one.actor, one.day) for at, one in again])
        memory.consolidate()
        assert seen(mark.search(query, asked_at=asked_at, as_of=then).hits) == answer


@pytest.mark.parametrize("bad", [{"types": ["x"]}, {"top_k": 0}, {"meaning": 0.9}, {"use_weight": -1.0}])
def test_parameters_out_of_range_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Params(**bad)
