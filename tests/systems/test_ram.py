"""RAM: feedback corrects what is recalled, and retrieval goes on from what it found."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.errors import ParameterError
from mnemic.memory import background
from mnemic.systems.ram import Params
from mnemic.testing import RuleLLM
from systems.worlds import START, made

ASKED = "Where does Ann live?"


@pytest.fixture(autouse=True)
def _nothing_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background.Background, "wake", lambda *_: None)


def filled(**settings: Any) -> tuple[Memory, ManualClock]:
    clock = ManualClock(START)
    memory = Memory.open(embedder="hashing", clock=clock, **settings)
    memory.add("Ann lives in Paris.", id="old")
    memory.add("The violin is in the attic.", id="violin")
    memory.attach("ram")
    memory.consolidate()
    return memory, clock


def asked_and_answered(memory: Memory, clock: ManualClock) -> str:
    """Somebody asked, was given the wrong answer, and says so; the id of the passage that it was taken from."""
    clock.advance(timedelta(minutes=1))
    wrong = next(hit.id for hit in memory.system("ram").search(ASKED) if hit.text == "Ann lives in Paris.")
    memory.add([{"role": "user", "content": ASKED}, {"role": "assistant", "content": "In Paris, I think."}])
    clock.advance(timedelta(minutes=1))
    return wrong


def texts(memory: Memory, query: str, **more: Any) -> list[str]:
    return [hit.text for hit in memory.system("ram").search(query, **more)]


def test_the_same_question_is_answered_wrong_and_after_feedback_right_and_so_is_a_paraphrase() -> None:
    memory, clock = filled()
    with memory:
        assert texts(memory, ASKED)[0] == "Ann lives in Paris."
        before = texts(memory, "Where is the violin?")[0]
        then = clock.now()
        memory.feedback(asked_and_answered(memory, clock), "wrong", note="Ann has been living in Rome since May.")
        for query in (ASKED, "In which city does Ann live now?"):
            found = texts(memory, query)
            assert "Ann has been living in Rome since May." in found[:2]
            assert "Ann lives in Paris." not in found
        assert texts(memory, "Where is the violin?")[0] == before
        assert "Ann lives in Paris." in texts(memory, ASKED, as_of=then)


def test_a_bare_answer_is_kept_behind_its_question() -> None:
    memory, clock = filled()
    with memory:
        memory.feedback(asked_and_answered(memory, clock), "wrong", note="Rome")
        assert f"{ASKED} Rome" in texts(memory, ASKED)


def test_without_feedback_nothing_changes_and_a_bare_wrong_changes_no_text() -> None:
    memory, clock = filled()
    with memory:
        wrong = asked_and_answered(memory, clock)
        memory.consolidate()
        before = made(memory, "ram")[0]
        score = next(hit.score for hit in memory.system("ram").search("Paris") if hit.id == wrong)
        memory.feedback(wrong, "wrong")
        memory.consolidate()
        assert made(memory, "ram")[0] == before
        assert next(hit.score for hit in memory.system("ram").search("Paris") if hit.id == wrong) < score


def test_a_new_version_names_what_it_replaced_and_all_that_it_came_from() -> None:
    memory, clock = filled()
    with memory:
        wrong = asked_and_answered(memory, clock)
        told = memory.feedback(wrong, "wrong", note="Ann has been living in Rome since May.")
        memory.consolidate()
        versions = {one.id: one for one in made(memory, "ram")[0]}
        new = next(one for one in versions.values() if one.kind == "knowledge")
        assert (new.data["version"], new.data["previous"], versions[wrong].retired_at) == (2, wrong, told.recorded_at)
        assert {"old", told.id} <= set(new.sources)


def test_a_correction_that_was_wrong_itself_is_taken_back_or_forgotten() -> None:
    memory, clock = filled()
    with memory:
        told = memory.feedback(
            asked_and_answered(memory, clock), "wrong", note="Ann has been living on Mars since May."
        )
        memory.consolidate()
        mars = next(one for one in made(memory, "ram")[0] if one.kind == "knowledge")
        clock.advance(timedelta(minutes=1))
        back = memory.feedback(mars.id, "wrong")
        assert "Ann lives in Paris." in texts(memory, ASKED)
        assert mars.text not in texts(memory, ASKED)
        memory.forget(back.id)
        assert mars.text in texts(memory, ASKED)
        memory.forget(told.id)
        assert "Ann lives in Paris." in texts(memory, ASKED)
        assert [one for one in made(memory, "ram")[0] if one.kind == "knowledge"] == []


def test_a_helpful_hint_is_added_and_replaces_nothing() -> None:
    memory, clock = filled()
    with memory:
        memory.feedback(asked_and_answered(memory, clock), "helpful", note="Ann lives near the Eiffel Tower.")
        assert {"Ann lives in Paris.", "Ann lives near the Eiffel Tower."} <= set(texts(memory, ASKED))


def test_a_second_step_finds_what_the_first_passages_lead_to() -> None:
    with Memory.open(embedder="hashing") as memory:
        memory.add(["The novel Dune was written by Frank Herbert.", "Frank Herbert grew up in Tacoma."])
        memory.add([f"Novel number {at} was a gift." for at in range(30)])
        memory.attach("ram")
        steps = memory.system("ram").search("Who wrote the novel Dune?", limit=4)
        memory.attach("ram", steps=1)
        once = memory.system("ram").search("Who wrote the novel Dune?", limit=4)
        assert "Frank Herbert grew up in Tacoma." in [hit.text for hit in steps]
        assert "Frank Herbert grew up in Tacoma." not in [hit.text for hit in once]
        found = next(hit for hit in steps if "Tacoma" in hit.text)
        assert "Frank Herbert" in found.reasons[0].note


# -- with a model ---------------------------------------------------------------------------------------------


def test_a_model_reflects_and_names_the_passage_that_was_wrong() -> None:
    def reflect(asked: Any) -> Any:
        assert asked.data["question"] == ASKED
        wrong = [one["id"] for one in asked.data["memory"] if "Paris" in one["text"]]
        return {"knowledge": "Ann lives in Rome.", "wrong": [*wrong, "99"]}

    with RuleLLM("rules:ram") as llm:
        llm.rule("knowledge", reflect)
        llm.rule("thought", {"thought": "", "answer": "", "evidence": [], "query": ""})
        memory, clock = filled(llm=llm)
        with memory:
            memory.feedback([asked_and_answered(memory, clock), "violin"], "wrong", note="It is in Italy.")
            memory.consolidate()
            found = texts(memory, ASKED)
        assert "Ann lives in Rome." in found
        assert "Ann lives in Paris." not in found
        assert "The violin is in the attic." in found


def test_a_passage_that_a_lesson_does_not_find_wrong_is_not_doubted() -> None:
    def reflect(asked: Any) -> Any:
        return {
            "knowledge": "Ann lives in Rome.",
            "wrong": [o["id"] for o in asked.data["memory"] if "Paris" in o["text"]],
        }

    with RuleLLM("rules:ram-doubt") as llm:
        llm.rule("knowledge", reflect)
        llm.rule("thought", {"thought": "", "answer": "", "evidence": [], "query": ""})
        memory, clock = filled(llm=llm)
        with memory:

            def score() -> float:
                return next(hit.score for hit in memory.system("ram").search("violin attic") if "violin" in hit.text)

            before = score()
            memory.feedback([asked_and_answered(memory, clock), "violin"], "wrong", note="It is in Italy.")
            memory.consolidate()
            assert score() == before
            memory.feedback("violin", "wrong")
            memory.consolidate()
            assert score() == pytest.approx(before / 2)


def test_a_correction_of_several_that_was_taken_back_is_named_as_all_of_them() -> None:
    memory, clock = filled()
    with memory:
        ids = [asked_and_answered(memory, clock), "violin"]
        memory.feedback(ids, "wrong", note="Both of them are in Rome since May.")
        memory.consolidate()
        both = next(one for one in made(memory, "ram")[0] if one.kind == "knowledge")
        memory.feedback(both.id, "wrong")
        memory.consolidate()
        memory.feedback(both.id, "wrong", note="Nobody knows where they are now.")
        found = texts(memory, "Ann Paris violin attic")
        assert "Nobody knows where they are now." in found
        assert {"Ann lives in Paris.", "The violin is in the attic."}.isdisjoint(found)


@pytest.mark.parametrize("answer", [{"knowledge": "  ", "wrong": ["0"]}, {"knowledge": "", "wrong": []}])
def test_a_reflection_that_says_nothing_changes_nothing(answer: Any) -> None:
    with RuleLLM("rules:ram-empty") as llm:
        llm.rule("knowledge", answer)
        llm.rule("thought", {"thought": "", "answer": "", "evidence": [], "query": ""})
        memory, clock = filled(llm=llm)
        with memory:
            memory.feedback(asked_and_answered(memory, clock), "wrong", note="It is in Italy.")
            memory.consolidate()
            assert "Ann lives in Paris." in texts(memory, ASKED)


def test_a_model_reasons_on_until_the_evidence_supports_its_answer() -> None:
    def think(asked: Any) -> Any:
        shown = {one["text"]: one["id"] for one in asked.data["evidence"]}
        last = next((id for text, id in shown.items() if "Tacoma" in text), None)
        if last is None:
            return {
                "thought": "Frank Herbert wrote it.",
                "answer": "",
                "evidence": [],
                "query": "Frank Herbert grew up",
            }
        return {"thought": "", "answer": "In Tacoma.", "evidence": [last, "77"], "query": ""}

    with RuleLLM("rules:ram-steps") as llm, Memory.open(embedder="hashing", llm=llm) as memory:
        llm.rule("thought", think)
        llm.rule("is_supported", {"is_supported": True})
        memory.attach("ram", evidence=3)
        memory.add(["The novel Dune was written by Frank Herbert.", "Frank Herbert grew up in Tacoma."])
        memory.add([f"The author of novel {at} grew older." for at in range(30)])
        memory.consolidate()
        recall = memory.system("ram").search("Where did the author of the novel Dune grow up?")
        assert recall.path == "llm"
        assert recall.hits[0].text == "Frank Herbert grew up in Tacoma."
        assert [one.signal for one in recall.hits[0].reasons] == ["meaning", "cited"]


def test_an_answer_that_is_never_supported_ends_after_so_many_steps() -> None:
    with RuleLLM("rules:ram-loop") as llm, Memory.open(embedder="hashing", llm=llm) as memory:
        llm.rule("thought", {"thought": "so", "answer": "Mars", "evidence": [], "query": "Mars"})
        llm.rule("is_supported", {"is_supported": False})
        memory.attach("ram", steps=3)
        memory.add("Ann lives in Paris.")
        memory.consolidate()
        assert [hit.text for hit in memory.system("ram").search(ASKED)] == ["Ann lives in Paris."]
        assert llm.calls == 3 + 1  # three steps, and one judgement: the same is not asked twice


@pytest.mark.parametrize("bad", [{"steps": 0}, {"doubt": 2.0}, {"bridges": -1}, {"cited_weight": -0.1}])
def test_parameters_out_of_range_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Params(**bad)
