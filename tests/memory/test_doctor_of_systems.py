"""The doctor on systems and their models: what stopped them, what they lack, and what to do."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from mnemic import Memory
from mnemic.doctor import doctor
from mnemic.memory import asking
from mnemic.models.budget import Budget
from mnemic.store.contract import Failure
from mnemic.testing import RuleLLM

from .scribe import World, gists

START = datetime(2024, 5, 1, tzinfo=UTC)


def told(world: World, name: str, llm: str | None = None) -> list[tuple[str, str, str]]:
    assert world.path is not None
    found = doctor(world.path, "hashing", llm)
    return [(one.status, one.finding, one.remedy) for one in found.checks if one.name == name]


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


def test_doctor_warns_of_a_system_that_is_behind_its_log_and_of_its_model_that_is_not_here(
    world: World, tmp_path: Path
) -> None:
    world.path = tmp_path / "memory.db"
    with world.open(gists(), background=False) as memory:
        memory.scope("ann").add(["tea", "coffee"])
        memory.add("milk")
        memory.attach("scribe")
    ((status, finding, remedy),) = told(world, "behind")
    assert (status, finding) == ("warn", "scribe has not observed 3 episodes in 2 scopes, most in 'ann' (2)")
    assert "`mnemic consolidate`, with the model rules:gist" in remedy
    ((status, finding, remedy),) = told(world, "model")
    assert (status, "rules:gist, and none is configured here" in finding) == ("warn", True)
    assert "MNEMIC_LLM" in remedy
    other = told(world, "model", "openai:other?base_url=http://127.0.0.1:9/v1")
    assert [(one[0], one[1]) for one in other] == [
        ("ok", "openai:other is configured"),
        ("warn", "scribe is attached with the model rules:gist, and openai:other is configured here: it waits"),
    ]
    assert told(world, "model", "gpt")[0][0] == "warn"  # no model at all
    with world.open(gists(), background=False) as memory:
        memory.consolidate()
    assert told(world, "behind") == []


def test_doctor_does_not_warn_of_a_system_that_observes_when_it_is_asked(world: World, tmp_path: Path) -> None:
    world.path = tmp_path / "memory.db"
    with world.open(background=False) as memory:
        memory.add("tea")
        memory.attach("scribe")
    ((status, finding, _),) = told(world, "behind")
    assert (status, "when it is next asked" in finding, told(world, "model")) == ("ok", True, [])


def test_doctor_counts_the_prompts_that_got_no_usable_answer(world: World, tmp_path: Path) -> None:
    world.path = tmp_path / "memory.db"
    llm = gists()
    llm.rule(lambda asked: asked.shows("turns") and "bomb" in asked.data["turns"][0]["text"], "No.")
    with world.open(llm, background=False) as memory:
        memory.add(["tea", "a bomb"])
        memory.attach("scribe")
        assert told(world, "answers") == []
        memory.consolidate()
        ((status, finding, remedy),) = told(world, "answers")
    assert (status, finding) == ("warn", "1 prompt of scribe got no usable answer so far")
    assert "--retry-failed" in remedy


def test_doctor_says_that_a_budget_is_spent_and_when_it_goes_on(world: World, tmp_path: Path) -> None:
    world.path = tmp_path / "memory.db"
    with world.open(gists(), background=False, budget=Budget(calls_per_day=1)) as memory:
        memory.add(["tea", "coffee"])
        memory.attach("scribe")
        memory.consolidate()
    ((status, finding, remedy),) = told(world, "budget")
    assert (status, "BudgetSpent" in finding, "next day" in remedy) == ("warn", True, True)
    assert not [one for one in told(world, "systems") if one[0] == "bad"]


def test_many_prompts_without_an_answer_are_a_warning_as_few_are(tmp_path: Path) -> None:
    findings = {}
    for n in (2, 8):
        path = tmp_path / f"{n}.db"
        with Memory.open(path, embedder="hashing", llm="none") as memory:
            memory.add("I live in Porto.")
            memory.attach("mem0")
            memory.consolidate()
            for at in range(n):
                failure = Failure("", "mem0", f"facts {at:012x}", "AnswerUnusable: no", 3, START, START, {})
                memory._shared.store.records.note_failure(failure)
        examined = doctor(path, llm="none")
        findings[n] = examined.is_sound, {one.status for one in examined.checks if one.name == "systems"}
    assert findings[2] == findings[8]
