"""A system that asks a model: in the background, each with a model of its own, and a recall says which path it took."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from mnemic import Memory
from mnemic.errors import ParameterError
from mnemic.testing import Asked, RuleLLM

from .scribe import Scribe, World, gists, texts, until

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


def test_a_recall_with_the_scopes_below_says_that_a_model_was_asked_there_and_what_is_not_observed_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Scribe.recall
    monkeypatch.setattr(Scribe, "recall", lambda self, cue, view: plain(self, cue, view) if view.scope else [])
    with world.open(gists(), background=False) as memory:
        memory.scope("ann").add("tea")
        memory.add("coffee")
        scribe = memory.attach("scribe")
        both = scribe.search("tea", include_children=True)
        assert (both.path, both.behind) == ("llm", 2)
        memory.consolidate()
        assert [hit.text for hit in scribe.search("tea", include_children=True)] == ["gist of tea"]
        assert scribe.search("tea", include_children=True, threshold=1.0).hits == ()


def test_a_recall_that_lacks_something_says_so_in_words(world: World) -> None:
    with world.open(gists(), background=False) as memory:
        memory.add(["tea", "coffee"])
        recall = memory.attach("scribe").search("tea")
        assert "scribe has not observed 2 episodes yet" in str(recall)
        memory.consolidate()
        assert "not observed" not in str(memory.system("scribe").search("tea"))


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
