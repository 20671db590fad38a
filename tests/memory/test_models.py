"""A system that asks a model: in the background, once for each prompt, within a budget, and never at the cost of a memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.doctor import doctor
from mnemic.errors import LLMUnavailable, ParameterError
from mnemic.memory import asking, background
from mnemic.model import Cue, Episode, Hit, Record
from mnemic.models.budget import Budget
from mnemic.models.prompt import Prompt, Shown, turns
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.feedback import heard
from mnemic.systems.registry import SYSTEMS
from mnemic.systems.view import View
from mnemic.testing import Asked, Reply, RuleLLM, fails

START = datetime(2024, 5, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Gist:
    gist: str


class Scribe(MemorySystem):
    """Asks for the gist of each episode, and in a recall what the question is about."""

    card = Card(
        id="scribe", title="Scribe", year=2024, family="test", summary="Gists.", source="", needs=("embedder", "llm")
    )

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        draft = view.draft()
        said = heard(episodes)
        prompts = [Prompt("Write the gist of the turn.", {"turns": turns([one])}) for one in said]
        for one, answer in zip(said, view.ask.many("gist", prompts, Gist), strict=True):
            draft.put(
                Record(
                    id=record_id("scribe", one.id),
                    system="scribe",
                    scope=view.scope,
                    kind="gist",
                    text=answer.gist if answer else f"offline {one.text}",
                    sources=(one.id,),
                    recorded_at=one.recorded_at,
                    data={BY: "llm" if answer else "offline"},
                )
            )
        return draft.changes()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        answer = view.ask("about", Prompt("What is the question about?", {"question": Shown(cue.text)}), Gist)
        vector = view.embed([answer.gist])[0] if answer else view.query_vector(cue)
        return view.record_hits(view.made.scores(vector, as_of=cue.as_of), cue)


@pytest.fixture(autouse=True)
def scribe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SYSTEMS, "scribe", f"{__name__}:Scribe")
    monkeypatch.setattr(background, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(background, "LONGEST_PAUSE_S", 0.1)


@dataclass
class World:
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    path: Path | None = None

    def open(self, llm: object = None, **named: object) -> Memory:
        return Memory.open(self.path, embedder="hashing", clock=self.clock, llm=llm, **named)


@pytest.fixture
def world() -> World:
    return World()


def gists() -> RuleLLM:
    llm = RuleLLM("rules:gist")
    llm.rule(
        "gist", lambda asked: {"gist": f"gist of {(asked.data.get('turns') or [{'text': 'a question'}])[0]['text']}"}
    )
    return llm


def until(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for what another thread does."""
    gives_up = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < gives_up, "it never came to that"
        time.sleep(0.005)


def texts(memory: Memory) -> list[str]:
    return [one.text for one in memory._shared.store.records.records("scribe", memory.scope_path)]


# -- in the background ----------------------------------------------------------------------------------------


def test_what_is_added_is_observed_in_the_background(world: World) -> None:
    with world.open(gists()) as memory:
        memory.add("tea")
        memory.attach("scribe")
        until(lambda: texts(memory) == ["gist of tea"])
        memory.add("coffee")
        until(lambda: len(texts(memory)) == 2)
        recall = memory.system("scribe").search("tea")
        assert (recall.path, recall.behind) == ("llm", 0)


def test_nobody_waits_for_a_slow_model_and_a_recall_says_what_it_lacks(world: World) -> None:
    answers = threading.Event()
    llm = RuleLLM("rules:slow")
    llm.rule("gist", lambda asked: (answers.wait(5), {"gist": "slow"})[1])
    with world.open(llm) as memory:
        memory.attach("scribe")
        began = time.monotonic()
        memory.add(["tea", "coffee"])
        memory._shared.models.give("scribe", llm)
        assert memory._shared.behind("scribe", "") == 2
        assert memory.search("tea").hits[0].text == "tea"
        assert time.monotonic() - began < 3
        answers.set()
        memory.consolidate()
        assert memory.system("scribe").search("slow").behind == 0


def test_a_model_that_was_down_is_asked_again_by_itself(world: World) -> None:
    llm = gists()
    llm.down()
    with world.open(llm) as memory:
        memory.attach("scribe")
        memory.add("tea")
        until(lambda: memory.stats()["failures"] == 1)
        llm.up()
        until(lambda: texts(memory) == ["gist of tea"] and memory.stats()["failures"] == 0)


def test_closing_gives_up_what_is_under_way_and_loses_nothing(world: World, tmp_path: Path) -> None:
    world.path = tmp_path / "memory.db"
    llm = gists()
    llm.slow(0.05)
    with world.open(llm) as memory:
        memory.attach("scribe")
        memory.add([f"tea {at}" for at in range(200)])
        until(lambda: llm.calls > 3)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    asked = llm.calls
    assert asked < 150
    llm.slow(0.0)
    with world.open(llm) as memory:
        memory.consolidate()
        assert len(texts(memory)) == 200
        assert llm.calls <= 200 + 8  # what was answered was kept; a few were under way


def test_without_the_background_only_consolidate_asks(world: World) -> None:
    llm = gists()
    with world.open(llm, background=False) as memory:
        memory.attach("scribe")
        memory.add("tea")
        time.sleep(0.05)
        assert (llm.calls, texts(memory)) == (0, [])
        memory.consolidate()
        assert (llm.calls, texts(memory)) == (1, ["gist of tea"])


def test_two_threads_that_consolidate_do_not_pay_twice(world: World) -> None:
    llm = gists()
    llm.slow(0.01)
    with world.open(llm) as memory:
        memory.attach("scribe")
        memory.add([f"tea {at}" for at in range(20)])
        threads = [threading.Thread(target=memory.consolidate) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(texts(memory)), llm.calls) == (20, 20)


def test_what_is_forgotten_while_a_model_reads_it_leaves_nothing_behind(world: World, tmp_path: Path) -> None:
    world.path = tmp_path / "memory.db"
    reading, answers = threading.Event(), threading.Event()
    llm = RuleLLM("rules:slow")

    def gist(asked: Asked) -> dict[str, str]:
        reading.set()
        answers.wait(5)
        return {"gist": f"gist of {asked.data['turns'][0]['text']}"}

    llm.rule("gist", gist)
    with world.open(llm) as memory:
        memory.add(["tea", "Zanzibarquux"])
        memory.attach("scribe")
        assert reading.wait(5)
        memory.forget(memory.list()[1].id)
        answers.set()
        memory.consolidate()
        assert texts(memory) == ["gist of tea"]
        assert memory.find_traces("Zanzibarquux") == []
        assert memory.stats()["failures"] == 0


# -- which model ----------------------------------------------------------------------------------------------


def test_a_system_without_a_model_takes_its_offline_path_and_says_so(world: World) -> None:
    with world.open() as memory:
        memory.add("tea")
        assert texts(memory.attach("scribe")) == []
        recall = memory.system("scribe").search("tea")
        assert ([hit.text for hit in recall], recall.path) == (["offline tea"], "offline")


def test_a_system_can_be_told_to_do_without_the_memorys_model(world: World) -> None:
    llm = gists()
    with world.open(llm) as memory:
        memory.add("tea")
        memory.attach("scribe", llm="none")
        memory.consolidate()
        memory.system("scribe").search("tea")
        assert (texts(memory), llm.calls) == (["offline tea"], 0)


def test_a_system_has_its_own_model_where_it_is_given_one(world: World) -> None:
    mine, other = gists(), RuleLLM("rules:other")
    with world.open(other, background=False) as memory:
        memory.add("tea")
        memory.attach("scribe", llm=mine)
        memory.consolidate()
        assert (mine.calls, other.calls) == (1, 0)
        assert memory.attached() == {"scribe": {"llm": "rules:gist"}}


def test_another_model_starts_the_records_anew(world: World) -> None:
    with world.open(gists(), background=False) as memory:
        memory.add("tea")
        memory.attach("scribe")
        memory.consolidate()
        other = RuleLLM("rules:other")
        other.answers({"gist": "another gist"})
        memory.attach("scribe", llm=other)
        memory.consolidate()
        assert texts(memory) == ["another gist"]


def test_a_store_that_is_opened_without_the_model_of_a_system_sends_nothing_and_says_what_to_do(
    world: World, tmp_path: Path
) -> None:
    world.path = tmp_path / "memory.db"
    with world.open(gists(), background=False) as memory:
        memory.add("tea")
        memory.attach("scribe")
        memory.consolidate()
    for llm in (None, RuleLLM("rules:other")):
        with world.open(llm, background=False) as memory:
            memory.add("coffee")
            report = memory.consolidate()
            assert "attached with the model 'rules:gist'" in str(report["scribe"]["error"])
            recall = memory.system("scribe").search("tea")
            assert ([hit.text for hit in recall], recall.behind > 0) == (["gist of tea"], True)
            assert llm is None or llm.calls == 0
    with world.open(gists(), background=False) as memory:
        assert "error" not in memory.consolidate()["scribe"]
        assert memory.stats()["failures"] == 0


def test_what_is_no_model_is_refused_before_anything_is_written(world: World, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="openai:MODEL"):
        Memory.open(tmp_path / "new.db", embedder="hashing", llm="gpt")
    with world.open() as memory:
        memory.add("tea")
        with pytest.raises(ParameterError, match="openai:MODEL"):
            memory.attach("scribe", llm="gpt")
        assert memory.attached() == {}


# -- bad answers ----------------------------------------------------------------------------------------------


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


def test_doctor_tells_what_a_model_could_not_answer_and_how_to_ask_again(world: World, tmp_path: Path) -> None:
    world.path = tmp_path / "memory.db"
    llm = RuleLLM("rules:bad")
    llm.answers("I would rather not say.")
    with world.open(llm, background=False) as memory:
        memory.add("tea")
        memory.attach("scribe")
        memory.consolidate()
        stopped = next(one for one in doctor(world.path, "hashing").checks if one.name == "systems")
        for _ in range(asking.MAX_ATTEMPTS):
            memory.consolidate()
        went_on = next(one for one in doctor(world.path, "hashing").checks if one.name == "systems")
    assert (stopped.status, went_on.status) == ("bad", "warn")
    assert "I would rather not say." in stopped.finding
    assert "--retry-failed" in went_on.remedy


def test_a_recall_that_lacks_something_says_so_in_words(world: World) -> None:
    with world.open(gists(), background=False) as memory:
        memory.add(["tea", "coffee"])
        recall = memory.attach("scribe").search("tea")
        assert "scribe has not observed 2 episodes yet" in str(recall)
        memory.consolidate()
        assert "not observed" not in str(memory.system("scribe").search("tea"))


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


def test_what_a_slow_model_has_done_is_there_before_all_is_done(world: World) -> None:
    llm = gists()
    llm.slow(0.02)
    with world.open(llm, background=False) as memory:
        memory.attach("scribe")
        memory.add([f"tea {at}" for at in range(40)])
        thread = threading.Thread(target=memory.consolidate)
        thread.start()
        until(lambda: 0 < len(texts(memory)) < 40)
        thread.join()
        assert len(texts(memory)) == 40


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


# -- what it costs --------------------------------------------------------------------------------------------


def test_calls_and_tokens_are_told_by_system_and_step(world: World) -> None:
    with world.open(gists(), background=False) as memory:
        alice, bob = memory.scope("alice"), memory.scope("bob")
        alice.add(["tea", "coffee"])
        bob.add("milk")
        memory.attach("scribe")
        memory.consolidate()
        alice.system("scribe").search("tea")
        told = {one["step"]: one for one in memory.stats()["llm"]}
        assert {step: one["calls"] for step, one in told.items()} == {"about": 1, "gist": 3}
        assert all(one["tokens_in"] > 0 and one["model"] == "rules:gist" for one in told.values())
        assert {one["step"]: one["calls"] for one in bob.stats()["llm"]} == {"gist": 1}


def test_a_budget_ends_the_day_and_the_next_one_goes_on(world: World) -> None:
    llm = gists()
    with world.open(llm, background=False, budget=Budget(calls_per_day=2)) as memory:
        memory.attach("scribe")
        for text in ("tea", "coffee", "milk"):
            memory.add(text)
            report = memory.consolidate()["scribe"]
        assert "BudgetSpent" in str(report["error"])
        assert (llm.calls, len(texts(memory))) == (2, 2)
        recall = memory.system("scribe").search("tea")
        assert llm.calls == 2  # the question was not asked either
        assert [hit.text for hit in recall] == ["gist of tea"]
        world.clock.advance(timedelta(days=1))
        memory.consolidate()
        assert len(texts(memory)) == 3


def test_a_budget_of_a_scope_is_its_own(world: World) -> None:
    llm = gists()
    with world.open(llm, background=False, budget=Budget(scope_tokens_per_day=2600)) as memory:
        memory.attach("scribe")
        for name in ("alice", "bob"):
            memory.scope(name).add([f"tea {at}" for at in range(4)])
        report = memory.consolidate()
        assert "This scope took" in str(report["scribe"]["error"])
        asked = {one["step"] for name in ("alice", "bob") for one in memory.scope(name).stats()["llm"]}
        assert asked == {"gist"}


def test_a_question_is_asked_once_until_something_is_forgotten(world: World) -> None:
    llm = gists()
    with world.open(llm, background=False) as memory:
        memory.add(["tea", "coffee"])
        memory.attach("scribe")
        memory.consolidate()
        asked = llm.calls
        for _ in range(3):
            memory.system("scribe").search("the same question")
        assert llm.calls == asked + 1
        memory.forget(memory.list()[0].id)
        memory.consolidate()
        memory.system("scribe").search("the same question")
        assert llm.calls == asked + 2


def test_a_read_only_memory_asks_and_keeps_nothing(world: World, tmp_path: Path) -> None:
    world.path = tmp_path / "memory.db"
    llm = gists()
    with world.open(llm, background=False) as memory:
        memory.add("tea")
        memory.attach("scribe")
        memory.consolidate()
    with world.open(llm, read_only=True) as memory:
        asked = llm.calls
        assert memory.system("scribe").search("tea").path == "llm"
        memory.system("scribe").search("tea")
        assert llm.calls == asked + 2


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


def test_answers_are_sealed_by_their_prompts(world: World, tmp_path: Path) -> None:
    world.path = tmp_path / "memory.db"
    llm = RuleLLM("rules:x")
    llm.answers({"gist": "Zanzibarquux"})
    with world.open(llm, background=False) as memory:
        memory.add("tea")
        memory.attach("scribe")
        memory.consolidate()
        assert texts(memory) == ["Zanzibarquux"]
        memory.detach("scribe")
        memory.scrub()
        assert memory.find_traces("Zanzibarquux") == []
        memory.attach("scribe")
        memory.consolidate()
        assert (texts(memory), llm.calls) == (["Zanzibarquux"], 1)


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
