"""A model that is down, refuses, or answers what cannot be used: nothing is lost, and nothing waits for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnemic.errors import LLMUnavailable
from mnemic.memory import asking
from mnemic.testing import Reply, RuleLLM, fails

from .scribe import World, gists, texts


def test_what_cannot_be_used_is_kept_with_the_raw_answer_and_tried_again(world: World) -> None:
    llm = RuleLLM("rules:bad")
    llm.answers("I would rather not say.")
    with world.open(llm, background=False) as memory:
        memory.add("tea")
        memory.attach("scribe")
        assert "AnswerUnusable" in str(memory.consolidate()["scribe"]["error"])
        (failure,) = memory._shared.store.records.failures()
        assert (failure.step, failure.detail["answer"]) == ("observe", "I would rather not say.")
        assert (texts(memory), memory._shared.behind("scribe", "")) == ([], 1)
        llm.answers({"gist": "better"})
        memory.consolidate()
        assert (texts(memory), memory.stats()["failures"]) == (["better"], 0)


def test_a_prompt_that_is_never_answered_holds_up_nothing_for_ever_and_can_be_retried(world: World) -> None:
    llm = gists()
    llm.rule(lambda asked: asked.shows("turns") and "bomb" in asked.data["turns"][0]["text"], "No.")
    with world.open(llm, background=False) as memory:
        memory.add(["tea", "a bomb", "coffee"])
        memory.attach("scribe")
        errors = [memory.consolidate()["scribe"].get("error") for _ in range(asking.MAX_ATTEMPTS)]
        assert [error is None for error in errors] == [False] * (asking.MAX_ATTEMPTS - 1) + [True]
        assert sorted(texts(memory)) == ["gist of coffee", "gist of tea", "offline a bomb"]
        (failure,) = memory._shared.store.records.failures()
        assert (failure.step.split()[0], failure.detail["answer"]) == ("gist", "No.")
        calls = llm.calls
        memory.consolidate()
        assert llm.calls == calls  # it is not asked again and again
        llm.rule(lambda asked: asked.shows("turns") and "bomb" in asked.data["turns"][0]["text"], {"gist": "a word"})
        memory.consolidate(retry_failed=True)
        assert sorted(texts(memory)) == ["a word", "gist of coffee", "gist of tea"]
        assert memory.stats()["failures"] == 0
        assert llm.calls == calls + 1  # the others were kept


def test_asking_again_where_the_model_is_not_there_loses_no_record(world: World, tmp_path: Path) -> None:
    world.path = tmp_path / "memory.db"
    llm = gists()
    llm.rule(lambda asked: asked.shows("turns") and "bomb" in asked.data["turns"][0]["text"], "No.")
    with world.open(llm, background=False) as memory:
        memory.add(["tea", "a bomb", "coffee"])
        memory.attach("scribe")
        for _ in range(asking.MAX_ATTEMPTS):
            memory.consolidate()
        made = texts(memory)
    with world.open(background=False) as memory:
        memory.consolidate(retry_failed=True)
        assert texts(memory) == made
    with world.open(llm, background=False) as memory:
        memory.consolidate(retry_failed=True)  # it still will not answer: that is found out at once, and the rest stays
        assert (texts(memory), memory._shared.behind("scribe", "")) == (made, 0)


def test_forgetting_takes_the_raw_answer_along(world: World, tmp_path: Path) -> None:
    world.path = tmp_path / "memory.db"
    llm = RuleLLM("rules:bad")
    llm.answers(lambda asked: f"Sorry, {asked.data['turns'][0]['text']} is not for me.")
    with world.open(llm, background=False) as memory:
        memory.add("Zanzibarquux", id="z")
        memory.attach("scribe")
        for _ in range(4):
            memory.consolidate()
        assert memory.find_traces("Zanzibarquux") != []
        memory.forget("z")
        assert memory.find_traces("Zanzibarquux") == []


def test_a_refused_request_is_set_aside_and_a_refused_key_only_waits(world: World) -> None:
    llm = gists()
    llm.answers({"gist": "x"})
    llm.say(*[fails(401)] * 4)
    with world.open(llm, background=False) as memory:
        memory.add("tea")
        memory.attach("scribe")
        for _ in range(4):
            assert "LLMRefused" in str(memory.consolidate()["scribe"]["error"])
        memory.consolidate()
        assert texts(memory) == ["gist of tea"]


def test_a_recall_does_not_wait_again_for_a_model_that_did_not_answer_lately(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = gists()
    with world.open(llm, background=False) as memory:
        memory.add("tea")
        memory.attach("scribe")
        memory.consolidate()
        llm.down()
        for question in ("one", "two", "three"):
            memory.system("scribe").search(question)
        asked = llm.calls
        assert asked == 2  # the gist, and the first question
        llm.up()
        memory.system("scribe").search("four")
        assert llm.calls == asked
        memory._shared._rest.end(llm.id)  # as time does
        memory.system("scribe").search("five")
        assert llm.calls == asked + 1


def test_an_outage_while_recalling_is_the_offline_path(world: World) -> None:
    llm = gists()
    with world.open(llm, background=False) as memory:
        memory.add("tea")
        memory.attach("scribe")
        memory.consolidate()
        llm.down()
        recall = memory.system("scribe").search("tea")
        assert [hit.text for hit in recall] == ["gist of tea"]
        with pytest.raises(LLMUnavailable):
            llm.complete([])


def test_an_unusable_answer_while_recalling_is_the_offline_path(world: World) -> None:
    llm = gists()
    llm.rule(lambda asked: asked.shows("question"), Reply(value="no idea"))
    with world.open(llm, background=False) as memory:
        memory.add("tea")
        memory.attach("scribe")
        memory.consolidate()
        assert [hit.text for hit in memory.system("scribe").search("tea")] == ["gist of tea"]
        assert memory.stats()["failures"] == 0
