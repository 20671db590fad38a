"""The numbers of an audit, on memories small enough to count by hand."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from mnemic import Memory
from mnemic.audit import audit
from mnemic.clock import ManualClock

START = datetime(2025, 1, 1, tzinfo=UTC)
PROMPT = "You are a careful assistant of the bicycle workshop. " + " ".join(
    f"Rule number {word} holds always."
    for word in [
        "apple",
        "bread",
        "cloud",
        "drum",
        "eagle",
        "flour",
        "grape",
        "house",
        "ivory",
        "jelly",
        "kite",
        "lemon",
        "mango",
        "night",
        "olive",
        "pearl",
        "quilt",
        "river",
        "stone",
        "tulip",
        "umbra",
        "violin",
        "water",
        "xenon",
        "yarrow",
        "zebra",
        "amber",
        "birch",
        "cedar",
        "dune",
        "elm",
        "fern",
        "gorse",
        "heath",
        "iris",
        "juniper",
        "kelp",
        "larch",
        "moss",
        "nettle",
    ]
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def memory(clock: ManualClock) -> Iterator[Memory]:
    with Memory.open(None, embedder="hashing", clock=clock) as opened:
        yield opened


def ids(share: object) -> list[str]:
    return [one.id for one in share.examples]  # type: ignore[attr-defined]


def test_exact_and_near_repeats_are_told_apart_and_counted_once_each(memory: Memory) -> None:
    memory.add(
        [
            {"id": "first", "content": "The blue bicycle stands in the shed behind our old house since last year"},
            {"id": "same", "content": "the blue bicycle  stands in the shed behind our old house since last year!"},
            {
                "id": "near",
                "content": "The blue bicycle stands in the shed behind our old house since last autumn year",
            },
            {"id": "other", "content": "Tobias bought a telescope from a retired colleague and named it Harald"},
        ]
    )
    found = audit(memory)
    assert ids(found.duplicates) == ["same"]
    assert found.duplicates.examples[0].note == "repeats first"
    assert ids(found.near_duplicates) == ["near"]
    assert found.duplicates.share == 0.25


def test_another_number_or_a_negation_makes_another_statement(memory: Memory) -> None:
    said = "The meeting of the whole bicycle workshop team in the old harbour building begins at {} on Monday"
    memory.add([said.format(7), said.format(8), said.format("not 7")])
    found = audit(memory)
    assert (found.duplicates.count, found.near_duplicates.count) == (0, 0)


def test_the_same_words_in_two_scopes_are_no_repeat(memory: Memory) -> None:
    for scope in ("a", "a/b"):
        memory.scope(scope).add("The blue bicycle stands in the shed behind our house")
    found = audit(memory)
    assert (found.episodes, found.duplicates.count, dict(found.scopes)) == (2, 0, {"a": 1, "a/b": 1})
    assert audit(memory.scope("a/b")).episodes == 1


def test_echoes_and_corrections_have_their_own_lines_alone(memory: Memory) -> None:
    first = memory.add("The front door code of the Kompashof is four numbers long", id="code").id
    block = memory.context("front door code")
    memory.add({"role": "assistant", "content": block.splitlines()[-1], "id": "echo"})
    memory.update(first, "The front door code of the Kompashof is five numbers long")
    found = audit(memory)
    assert ids(found.echoes) == ["echo"]
    assert found.echoes.examples[0].note == "echo of code"
    assert ids(found.superseded) == ["code"]
    assert (found.duplicates.count, found.near_duplicates.count) == (0, 0)


def test_what_was_never_recalled_becomes_unused_with_age(memory: Memory, clock: ManualClock) -> None:
    memory.add([{"id": "tea", "content": "Genmaicha tea"}, {"id": "cat", "content": "Otto the cat"}])
    clock.advance(timedelta(days=100))
    memory.add("A dog called Bruno", id="dog")
    memory.search("Genmaicha tea", limit=1)
    found = audit(memory)
    assert ids(found.never_recalled) == ["cat", "dog"]
    assert ids(found.unused) == ["cat"]
    assert ids(audit(memory, stale_after_days=101).unused) == []


def test_system_prompts_are_found_in_other_roles_and_with_a_changed_word(memory: Memory) -> None:
    memory.add(
        [
            {"id": "system", "role": "system", "content": PROMPT + " Today is 1 May."},
            {"id": "pasted", "role": "user", "content": PROMPT + " Today is 9 June."},
            {"id": "said", "role": "user", "content": "Please mend my bicycle"},
        ]
    )
    assert ids(audit(memory).system_prompts) == ["system", "pasted"]


def test_long_texts_of_three_sessions_are_boilerplate_and_short_ones_are_not(memory: Memory) -> None:
    for session in ("one", "two", "three"):
        memory.add([PROMPT, "Good morning to you"], session=session)
    found = audit(memory)
    assert found.system_prompts.count == 3
    assert found.system_prompts.examples[0].note == "the same in 3 sessions"
    assert found.duplicates.count == 4


def test_growth_is_the_last_thirty_days_kept_up(memory: Memory, clock: ManualClock) -> None:
    memory.add([f"Old thing number {n}" for n in range(7)])
    for day in range(60):
        clock.set(START + timedelta(days=40 + day))
        memory.add(f"Thing of day {day}")
    growth = audit(memory).growth
    assert (growth.window_days, growth.recorded, growth.on_days) == (30.0, 31, 31)  # both ends of the window count
    assert growth.per_day == pytest.approx(31 / 30, abs=0.001)
    assert [one.days for one in growth.forecasts] == [30, 365]
    assert growth.forecasts[0].episodes == 67 + 31
    assert growth.forecasts[0].bytes == pytest.approx(98 * growth.bytes_per_episode, rel=0.01)


def test_waiting_vectors_are_counted_in_the_scope_and_below(memory: Memory) -> None:
    memory.scope("a").add("One")
    memory.scope("a/b").add("Two")
    memory.scope("c").add("Three")
    store = memory._shared.store
    store.clear_vectors({"embedder": memory.stats()["embedder"]})
    assert audit(memory).waiting_vectors == 3
    assert audit(memory.scope("a")).waiting_vectors == 2


def test_an_empty_memory_is_healthy(memory: Memory) -> None:
    found = audit(memory)
    assert (found.episodes, [one.count for one in found.shares.values()], found.growth.recorded) == (0, [0] * 7, 0)
    json.dumps(found.to_dict())


def test_an_audit_changes_nothing_and_can_be_repeated(memory: Memory) -> None:
    memory.add([PROMPT, PROMPT + " Again.", "Tea", "tea!"])
    first = audit(memory).to_dict()
    assert audit(memory).to_dict() == first
    assert len(memory.list()) == 4


def test_near_repeats_are_found_in_a_crowd_without_comparing_all_with_all(memory: Memory) -> None:
    chosen = random.Random(1)
    crowd = [" ".join(f"word{chosen.randrange(800)}x" for _ in range(24)) for _ in range(2000)]
    planted = [" ".join([*text.split(), "indeed"]) for text in crowd[:50]]
    memory.add([*crowd, *planted])
    started = time.perf_counter()
    found = audit(memory)
    assert found.near_duplicates.count == 50
    assert time.perf_counter() - started < 5.0  # 0.3 s here; all with all would be two million comparisons
