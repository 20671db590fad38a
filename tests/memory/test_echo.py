"""What was recalled and comes back is an echo: kept, never evidence, never a hit, and no score is the higher for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.memory.shared import ECHO_WINDOW
from systems.worlds import START, Said, empty, pasts, queries, say, seen

Open = Callable[..., Memory]
FACT = "Anna keeps the spare key under the blue pot"


@pytest.fixture
def told(memory: Memory) -> Memory:
    memory.add(["Bob has a red bicycle in the cellar", "We painted the fence in June"])
    memory.add(FACT, id="fact", actor="Anna")
    return memory


def origin(memory: Memory, text: str, role: str = "assistant") -> tuple[str, tuple[str, ...]]:
    episode = memory.get(memory.add(text, role=role).id)
    return episode.origin, episode.echo_of


# -- by lineage -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("around", ["{}", "Here is what I know:\n{}", "{}\n\nShall I go on?"])
def test_a_context_written_back_by_the_assistant_is_an_echo_of_what_it_cites(told: Memory, around: str) -> None:
    block = told.context("spare key", limit=1)
    assert origin(told, around.format(block)) == ("echo", ("fact",))


def test_a_cited_memory_is_an_echo_also_long_after_and_in_another_process(open_memory: Open, tmp_path: Path) -> None:
    clock = ManualClock(START)
    first = open_memory(tmp_path / "memory.db", clock=clock)
    first.add(FACT, id="fact")
    [mark] = [one.mark for one in first.context("spare key").citations]
    first.close()
    clock.advance(timedelta(days=400))
    assert origin(open_memory(tmp_path / "memory.db", clock=clock), f"The spare key is under the blue pot. {mark}") == (
        "echo",
        ("fact",),
    )


def test_an_answer_that_says_something_new_and_cites_is_no_echo(told: Memory) -> None:
    mark = told.context("spare key", limit=1).citations[0].mark
    text = f"The locksmith changed every door yesterday, ask Clara at the office for her new card {mark}"
    assert origin(told, text, "user") == ("observed", ())
    assert origin(told, text, "assistant") == ("observed", ())


def test_a_mark_of_another_store_or_an_invented_one_is_not_accepted(told: Memory, open_memory: Open) -> None:
    other = open_memory()
    other.add(["a first thing", "a second thing", FACT])
    foreign = other.context("spare key", limit=1).citations[0].mark
    genuine = told._shared.marks.of(3)
    assert foreign != genuine
    for mark in (foreign, genuine[:-2] + ("0]" if genuine[-2] != "0" else "1]"), "[m:3-000]", "[m:9999-abc]"):
        assert origin(told, f"Spare key: blue pot. {mark}") == ("observed", ())


def test_a_mark_of_another_scope_is_not_accepted(memory: Memory) -> None:
    memory.scope("alice").add(FACT)
    mark = memory.scope("alice").context("spare key").citations[0].mark
    assert origin(memory.scope("bob"), f"{FACT} {mark}") == ("observed", ())
    assert origin(memory.scope("alice/tutor"), f"{FACT} {mark}") == ("observed", ())


def test_what_a_recall_of_the_scopes_below_showed_is_an_echo_in_the_scope_that_asked(memory: Memory) -> None:
    memory.scope("acme/alice").add(FACT, id="fact")
    acme = memory.scope("acme")
    block = acme.context("spare key", include_children=True)
    assert origin(acme, block) == ("echo", ("fact",))
    assert origin(acme, FACT) == ("echo", ("fact",))


# -- by content -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recall", ["search", "context"])
def test_recalled_text_said_again_is_an_echo(told: Memory, recall: str) -> None:
    getattr(told, recall)("spare key", limit=1)
    assert origin(told, "anna keeps the SPARE key under the blue pot!", "user") == ("echo", ("fact",))
    assert origin(told, "Anna keeps the spare key under her blue pot.", "assistant") == ("echo", ("fact",))


def test_what_a_user_says_in_other_words_is_no_echo(told: Memory) -> None:
    told.search("spare key")
    assert origin(told, "Anna keeps the spare key under her blue pot now", "user") == ("observed", ())


def test_what_was_not_recalled_is_no_echo_when_it_is_said_again(told: Memory) -> None:
    told.search("bicycle", limit=1)
    assert origin(told, FACT) == ("observed", ())


def test_what_was_recalled_in_another_scope_is_no_echo(told: Memory) -> None:
    told.search("spare key")
    assert origin(told.scope("bob"), FACT) == ("observed", ())


def test_after_the_window_the_same_words_are_evidence_again(told: Memory, clock: ManualClock) -> None:
    told.search("spare key")
    clock.advance(ECHO_WINDOW)
    assert origin(told, FACT)[0] == "echo"
    clock.advance(timedelta(microseconds=1))
    assert origin(told, FACT)[0] == "observed"


def test_what_another_process_recalled_is_known_when_it_has_closed(open_memory: Open, tmp_path: Path) -> None:
    first = open_memory(tmp_path / "memory.db")
    first.add(FACT, id="fact")
    first.search("spare key")
    first.close()
    assert origin(open_memory(tmp_path / "memory.db"), FACT) == ("echo", ("fact",))


@pytest.mark.parametrize("text", ["Yes.", "ok, thanks", "blue pot", "👍"])
def test_a_text_of_a_word_or_two_is_no_echo(told: Memory, text: str) -> None:
    told.add(text)
    told.search(text)
    assert origin(told, text) == ("observed", ())


# -- no evidence ----------------------------------------------------------------------------------------------


def test_an_echo_is_kept_and_never_a_hit(told: Memory) -> None:
    added = told.add(told.context("spare key", limit=1), role="assistant")
    assert (added["results"][0]["origin"], told.get(added.id).text == added[0].text) == ("echo", True)
    for system in ("hybrid", "bm25", "dense", "rrf", "recent", "full"):
        assert added.id not in {hit.id for hit in told.system(system).search("spare key", limit=50)}
    assert told.stats()["echoes"] == 1


@pytest.mark.parametrize("between", [{"role": "assistant"}, {"role": "system"}], ids=["an echo", "an instruction"])
def test_what_is_no_evidence_does_not_stand_between_neighbours(open_memory: Open, between: dict[str, str]) -> None:
    answers = []
    for has_it in (False, True):
        memory = open_memory()
        memory.add("the violin from Porto cost a lot", id="a", session="mon")
        if has_it:
            memory.search("violin")
            memory.add("the violin from Porto cost a lot", session="mon", **between)
        memory.add([{"content": "eleven hundred", "id": "b"}, {"content": "rain all day", "id": "c"}], session="mon")
        answers.append(seen(memory.search("What did the violin cost?", asked_at=START).hits))
    assert answers[0] == answers[1]


@given(past=pasts(2), query=queries, times=st.integers(1, 4), whole=st.booleans())
@settings(max_examples=40)
def test_echoes_raise_no_score(past: list[Said], query: str, times: int, whole: bool) -> None:
    with empty() as memory:
        say(memory, past)
        before = {system: seen(memory.system(system).search(query).hits) for system in ("hybrid", "bm25", "full")}
        block = memory.context(query)
        said: list[Any] = [str(block)] if whole else [f"{one.text}" for one in memory.search(query)]
        for _ in range(times):
            for text in said:
                if text:
                    added = memory.add(text, role="assistant", session="mon", actor="Anna")
                    if not added.echoes:
                        memory.forget(added.id)  # too few words to be one
        after = {system: seen(memory.system(system).search(query).hits) for system in before}
    assert {system: [hit[:3] for hit in hits] for system, hits in after.items()} == {
        system: [hit[:3] for hit in hits] for system, hits in before.items()
    }
