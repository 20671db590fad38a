"""What asking a model costs is counted and bounded; what it answered is kept, sealed, and asked for once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from mnemic.models.budget import Budget
from mnemic.testing import RuleLLM

from .scribe import World, gists, texts


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
