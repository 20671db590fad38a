"""What every memory system keeps: order, exactly once, isolation, forgetting, rebuilding, determinism, as of, scores.

Each test runs for every system in the registry, and for two that keep records and live in the tests.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic import Episode, Memory
from mnemic.clock import ManualClock
from mnemic.index.vectors import VectorIndex
from mnemic.store.sqlite_records import SqliteRecords
from mnemic.systems import runner
from mnemic.systems.contract import MemorySystem
from mnemic.systems.registry import SYSTEMS, cards, system_class
from systems.digest import FOR_TESTS, FRAGILE, Fragile, SessionDigest
from systems.worlds import START, Said, empty, made, pasts, queries, say, seen, texts

TESTS = Path(__file__).parents[1]
ALL = [*SYSTEMS, *(name for name in FOR_TESTS if name not in SYSTEMS)]
KEEPING = list(FOR_TESTS)  # those that keep records
every_system = pytest.mark.parametrize("system", ALL)
keeping_systems = pytest.mark.parametrize("system", KEEPING)
PAST = [
    Said("e0", "Anna bought a violin", "mon", "Anna", 9),
    Said("e1", "Bob walks by the river in Porto", "mon", "Bob", 8),
    Said("e2", "tea in the garden", "tue", None, 5),
    Said("e3", "Bob bought coffee", "wed", "Bob", 2),
    Said("e4", "more tea in the garden", "mon", "Anna", 1),
]


class PowerCut(BaseException):
    """The machine stops; nothing in the library may catch it."""


def fresh(said: Sequence[Said], system: str) -> tuple[list[Any], list[Any]]:
    """What the system makes of a log that it observes at once."""
    with empty() as memory:
        say(memory, said)
        memory.attach(system)
        memory.consolidate()
        return made(memory, system)


# -- the registry ---------------------------------------------------------------------------------------------


@every_system
def test_a_system_is_registered_under_the_id_of_its_card(system: str) -> None:
    assert system_class(system).card.id == system


def test_every_card_says_what_the_system_is_and_where_it_comes_from() -> None:
    built_in = [card for card in cards() if card.family != "test"]
    assert [card.id for card in built_in if not (card.title and card.summary and card.source and card.year)] == []


# -- order and exactly once -----------------------------------------------------------------------------------


@pytest.fixture
def observed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of what SessionDigest observed, in the order in which it did."""
    ids: list[str] = []
    observe = SessionDigest.observe

    def noting(self: SessionDigest, episodes: Sequence[Episode], view: Any) -> Any:
        ids.extend(one.id for one in episodes)
        return observe(self, episodes, view)

    monkeypatch.setattr(SessionDigest, "observe", noting)
    return ids


@keeping_systems
@pytest.mark.parametrize("batch", [1, 2, 64])
def test_episodes_are_observed_once_and_in_the_order_of_the_log(
    system: str, batch: int, observed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "BATCH", batch)
    with empty() as memory:
        say(memory, PAST[:3])
        memory.attach(system)
        memory.consolidate()
        say(memory, PAST[3:])
        memory.consolidate()
        memory.consolidate()
    assert observed == ["e0", "e1", "e2", "e3", "e4"]


@keeping_systems
def test_asking_a_system_lets_it_observe_what_it_has_not_seen(system: str, observed: list[str]) -> None:
    with empty() as memory:
        say(memory, PAST)
        memory.system(system).search("tea")
        memory.system(system).search("tea")
    assert observed == ["e0", "e1", "e2", "e3", "e4"]


@keeping_systems
@pytest.mark.parametrize("is_written", [False, True], ids=["before the commit", "after the commit"])
def test_after_a_crash_the_records_are_those_of_a_run_without_one(
    system: str, is_written: bool, observed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fresh(PAST, system)
    observed.clear()
    monkeypatch.setattr(runner, "BATCH", 2)
    apply, countdown = SqliteRecords.apply, iter([True, False, True, True])

    def stopping(self: SqliteRecords, *arguments: Any, **named: Any) -> bool:
        if next(countdown, True):
            return apply(self, *arguments, **named)
        if is_written:
            apply(self, *arguments, **named)
        raise PowerCut

    with empty() as memory:
        say(memory, PAST)
        memory.attach(system)
        monkeypatch.setattr(SqliteRecords, "apply", stopping)
        with pytest.raises(PowerCut):
            memory.consolidate()
        memory.consolidate()
        assert made(memory, system) == expected
        repeated = [] if is_written else ["e2", "e3"]  # a batch that was never written is observed again
        assert observed == ["e0", "e1", "e2", "e3", *repeated, "e4"]


KILLED = """
import sys
from pathlib import Path
from mnemic import Memory
from mnemic.index.vectors import VectorIndex
from mnemic.store.sqlite_records import SqliteRecords
from mnemic.systems import runner
from mnemic.systems.registry import SYSTEMS
from systems.digest import FOR_TESTS

path, system, moment = sys.argv[1:]
SYSTEMS.update(FOR_TESTS)
runner.BATCH = 2
apply, calls = SqliteRecords.apply, []

def waiting(self, *arguments, **named):
    calls.append(1)
    if moment == "before" and len(calls) == 2:
        print("ready", flush=True)
        sys.stdin.read()
    result = apply(self, *arguments, **named)
    if moment == "after" and len(calls) == 2:
        print("ready", flush=True)
        sys.stdin.read()
    return result

SqliteRecords.apply = waiting
Memory.open(path, embedder="hashing").consolidate()
"""


@keeping_systems
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_process_killed_while_it_observes_leaves_a_store_that_goes_on_where_it_was(
    system: str, moment: str, tmp_path: Path
) -> None:
    path = tmp_path / "memory.db"
    with Memory.open(path, embedder="hashing", clock=ManualClock(START)) as memory:
        say(memory, PAST)
        memory.attach(system)
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path), system, moment],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        child.kill()
    with Memory.open(path, embedder="hashing", clock=ManualClock(START)) as memory:
        left = memory.consolidate()[system]["observed"]
        assert (left, made(memory, system)) == (3 if moment == "before" else 1, fresh(PAST, system))


# -- rebuilding -----------------------------------------------------------------------------------------------


@keeping_systems
@given(past=pasts(), splits=st.sets(st.integers(1, 11)), batch=st.integers(1, 5))
@settings(max_examples=20)
def test_records_made_in_pieces_are_those_made_at_once(
    system: str, past: list[Said], splits: set[int], batch: int
) -> None:
    with pytest.MonkeyPatch.context() as patch, empty() as memory:
        patch.setattr(runner, "BATCH", batch)
        memory.attach(system)
        for at, one in enumerate(past):
            if at in splits:
                memory.consolidate()
            say(memory, [one])
        memory.consolidate()
        in_pieces = made(memory, system)
    assert in_pieces == fresh(past, system)


@keeping_systems
def test_a_system_dropped_and_attached_again_makes_the_same_records(system: str) -> None:
    with empty() as memory:
        say(memory, PAST)
        memory.attach(system)
        memory.consolidate()
        before = made(memory, system)
        memory.detach(system)
        assert made(memory, system) == ([], [])
        memory.attach(system)
        memory.consolidate()
        assert made(memory, system) == before


# -- isolation ------------------------------------------------------------------------------------------------

PLACES = ["acme/alice", "acme/bob", "acme", "acme/alice/tutor", "acmes", "other"]


@every_system
@given(past=pasts(), others=pasts(0, 8), where=st.lists(st.sampled_from(PLACES[1:]), min_size=8), query=queries)
@settings(max_examples=15)
def test_what_a_scope_answers_does_not_depend_on_other_scopes(
    system: str, past: list[Said], others: list[Said], where: list[str], query: str
) -> None:
    with empty() as alone, empty() as crowded:
        say(alone.scope("acme/alice"), past)
        for at, one in enumerate(past):  # the others in between, with the same ids and words
            if at < len(others):
                say(crowded.scope(where[at]), [others[at]])
            say(crowded.scope("acme/alice"), [one])
        for at in range(len(past), len(others)):
            say(crowded.scope(where[at]), [others[at]])
        for place in PLACES[1:]:
            crowded.scope(place).system(system).search(query)
        answers = [seen(memory.scope("acme/alice").system(system).search(query).hits) for memory in (alone, crowded)]
    assert answers[0] == answers[1]


@every_system
def test_nothing_of_another_scope_is_recalled(system: str) -> None:
    with empty() as memory:
        say(memory.scope("acme/bob"), PAST)
        say(memory.scope("acme/alice"), PAST[:1])
        hits = memory.scope("acme/alice").system(system).search("Anna tea violin coffee")
        assert [hit.sources for hit in hits] == [("e0",)]
        assert {hit.scope for hit in hits} == {"acme/alice"}


# -- forgetting -----------------------------------------------------------------------------------------------


@keeping_systems
@given(past=pasts(2), gone=st.sets(st.integers(0, 11), min_size=1), caught_up=st.integers(0, 12))
@settings(max_examples=25)
def test_after_forgetting_the_records_are_those_of_a_log_in_which_it_never_was(
    system: str, past: list[Said], gone: set[int], caught_up: int
) -> None:
    ids = [one.id for at, one in enumerate(past) if at in gone]
    with empty() as memory:
        memory.attach(system)
        say(memory, past[:caught_up])
        memory.consolidate()
        say(memory, past[caught_up:])
        if ids:
            memory.forget(ids)
        memory.consolidate()
        left = made(memory, system)
    assert left == fresh([one for one in past if one.id not in ids], system)


@every_system
@given(past=pasts(2), query=queries, data=st.data())
@settings(max_examples=15)
def test_what_was_forgotten_is_never_recalled_and_the_rest_as_if_it_had_never_been(
    system: str, past: list[Said], query: str, data: st.DataObject
) -> None:
    gone = data.draw(st.sets(st.sampled_from([one.id for one in past]), min_size=1))
    with empty() as memory, empty() as never:
        say(memory, past)
        memory.system(system).search(query)
        memory.forget(sorted(gone))
        say(never, [one for one in past if one.id not in gone])
        left, expected = (seen(each.system(system).search(query, limit=20).hits) for each in (memory, never))
    assert left == expected
    assert not gone & {id for hit in left for id in hit[5]}


def test_a_system_that_tells_what_to_change_does_not_start_again() -> None:
    with empty() as memory:
        say(memory, PAST)
        memory.attach("careful")
        memory.attach("digest")
        memory.consolidate()
        assert memory.forget("e1").rebuilt_systems == ("digest",)
        assert memory._shared.store.records.cursor("careful", "") == 5


@pytest.mark.parametrize("fault", [RuntimeError("no"), None], ids=["it fails", "it keeps the source"])
def test_a_system_that_cannot_forget_is_made_again_instead(
    fault: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def badly(self: MemorySystem, episodes: Sequence[Episode], view: Any) -> Any:
        if fault:
            raise fault
        from mnemic.store.contract import Changes

        return Changes(put_records=tuple(view.records()))

    monkeypatch.setattr(system_class("careful"), "forget", badly)
    with empty() as memory:
        say(memory, PAST)
        memory.attach("careful")
        memory.consolidate()
        assert memory.forget("e1").rebuilt_systems == ("careful",)
        memory.consolidate()
        assert made(memory, "careful") == fresh([PAST[0], *PAST[2:]], "careful")


# -- determinism ----------------------------------------------------------------------------------------------

ANSWERING = """
import json
from mnemic.systems.registry import SYSTEMS
from systems.digest import FOR_TESTS
from systems.test_contract import ALL, PAST
from systems.worlds import empty, made, say, seen

SYSTEMS.update(FOR_TESTS)
with empty() as memory:
    say(memory, PAST)
    print(json.dumps([(name, str(seen(memory.system(name).search("did Anna or Bob have tea in the garden").hits)),
                       str(made(memory, name))) for name in ALL]))
"""


def test_two_processes_with_other_hash_seeds_give_the_same_records_and_ranking() -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", ANSWERING],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(TESTS), "PYTHONHASHSEED": seed},
        )
        for seed in ("1", "2")
    ]
    first, second = (json.loads(child.communicate()[0]) for child in children)
    assert [name for name, *_ in first] == ALL
    assert first == second


@every_system
@given(past=pasts(), query=queries)
@settings(max_examples=10)
def test_the_same_log_and_cue_give_the_same_hits(system: str, past: list[Said], query: str) -> None:
    with empty() as one, empty() as other:
        say(one, past)
        say(other, past)
        answers = [seen(memory.system(system).search(query).hits) for memory in (one, one, other)]
    assert answers[0] == answers[1] == answers[2]


# -- as of an earlier time ------------------------------------------------------------------------------------


def test_the_cosine_of_an_episode_does_not_depend_on_how_many_follow() -> None:
    vectors = np.random.default_rng(1).standard_normal((40, 384)).astype(np.float16)
    index, answers = VectorIndex(384), []
    for start in range(0, 40, 3):
        index.extend(vectors[start : start + 3])
        answers.append(index.all_scores(vectors[0].astype(np.float32))[:3].tolist())
    assert answers == answers[:1] * len(answers)


@every_system
@given(
    past=pasts(),
    later=pasts(0, 6),
    corrections=st.lists(st.tuples(st.integers(0, 11), texts), max_size=3),
    query=queries,
    has_echo=st.booleans(),
)
@settings(max_examples=20)
def test_a_recall_as_of_an_earlier_time_is_the_recall_that_was_made_then(
    system: str,
    past: list[Said],
    later: list[Said],
    corrections: list[tuple[int, str]],
    query: str,
    has_echo: bool,
) -> None:
    clock = ManualClock(START)
    with empty(clock) as memory:
        asked = memory.system(system)
        say(memory, past)
        then, asked_at = clock.now(), START + timedelta(days=40)
        answer = seen(asked.search(query, asked_at=asked_at).hits)
        clock.advance(timedelta(minutes=1))
        if has_echo:
            memory.add(memory.context(query) or "nothing", role="assistant", session="mon")
        current = {one.id: one.id for one in past}
        for at, text in corrections:
            id = past[at % len(past)].id
            current[id] = memory.update(current[id], text).id
        say(memory, [Said(f"later{one.id}", one.text, one.session, one.actor, one.day) for one in later])
        memory.attach(system)
        memory.consolidate()
        assert seen(asked.search(query, asked_at=asked_at, as_of=then).hits) == answer


# -- scores, limits, thresholds -------------------------------------------------------------------------------


@every_system
@given(past=pasts(max_size=20), query=queries, limit=st.integers(1, 25), threshold=st.floats(0, 1))
@settings(max_examples=20)
def test_scores_lie_in_0_to_1_best_first_within_limit_and_threshold(
    system: str, past: list[Said], query: str, limit: int, threshold: float
) -> None:
    with empty() as memory:
        say(memory, past)
        asked = memory.system(system)
        scores = [hit.score for hit in asked.search(query, limit=limit)]
        over = [hit.score for hit in asked.search(query, limit=limit, threshold=threshold)]
    assert scores == sorted(scores, reverse=True)
    assert [score for score in scores if not 0.0 <= score <= 1.0] == []
    assert len(scores) <= limit
    assert over == [score for score in scores if score >= threshold]


@every_system
def test_the_very_words_of_an_episode_do_not_score_more_than_1(system: str) -> None:
    with empty() as memory:
        said = [f"fact {number}: {number * 7919} is a number that nobody had in mind" for number in range(40)]
        memory.add(said)
        scores = [hit.score for text in said for hit in memory.system(system).search(text, limit=3)]
    assert max(scores) <= 1.0


@every_system
@given(past=pasts(max_size=20), query=queries)
@settings(max_examples=15)
def test_the_reasons_of_a_hit_add_up_to_its_score(system: str, past: list[Said], query: str) -> None:
    with empty() as memory:
        say(memory, past)
        hits = memory.system(system).search(query).hits
    off = [hit for hit in hits if abs(hit.score - sum(reason.contribution for reason in hit.reasons)) > 1e-5]
    assert off == []
    assert [reason for hit in hits for reason in hit.reasons if not 0.0 <= reason.value <= 1.0] == []


@every_system
def test_an_empty_memory_answers_with_nothing(system: str) -> None:
    with empty() as memory:
        assert memory.system(system).search("tea").hits == ()


@every_system
def test_instructions_to_the_model_are_not_recalled(system: str) -> None:
    with empty() as memory:
        memory.add(
            [{"role": "system", "content": "always praise tea"}, {"role": "developer", "content": "tea, tea, tea"}]
        )
        assert memory.system(system).search("tea").hits == ()


# -- filters and windows come before the search ---------------------------------------------------------------


@pytest.fixture(scope="module")
def crowd() -> Iterator[Memory]:
    """Two thousand strong matches, and one weak one that alone is rare, in March, in its session."""
    generator = random.Random(7)
    with Memory.open(embedder="hashing", clock=ManualClock(START)) as memory:
        memory.add(
            [
                {"content": f"Tea, lovely tea, tea number {at}", "session": f"s{generator.randrange(5)}"}
                for at in range(2000)
            ],
            occurred_at=START,
        )
        memory.add(
            "a cup of tea that time",
            id="rare",
            session="rare",
            occurred_at="2024-03-05",
            metadata={"kind": "rare", "size": 3},
        )
        memory.add([{"content": f"Tea after tea, number {at}", "session": "late"} for at in range(100)])
        yield memory


NARROWED: list[dict[str, Any]] = [
    {"filters": {"kind": "rare"}},
    {"filters": {"size": {"$gt": 2}}},
    {"filters": {"AND": [{"kind": {"in": ["rare"]}}, {"NOT": [{"size": 4}]}]}},
    {"filters": {"session_id": "rare"}},
    {"session": "rare"},
    {"run_id": "rare"},
    {"until": "2024-03-05"},
    {"since": "2024-03-01", "until": "2024-03-31"},
]


@every_system
@pytest.mark.parametrize("narrowed", NARROWED, ids=str)
def test_a_rare_match_is_found_among_thousands_that_a_filter_or_window_leaves_out(
    system: str, narrowed: dict[str, Any], crowd: Memory
) -> None:
    hits = crowd.system(system).search("lovely tea", limit=3, **narrowed)
    assert [hit.sources for hit in hits] == [("rare",)]


@every_system
def test_a_filter_that_nothing_passes_gives_no_hits(system: str, crowd: Memory) -> None:
    assert crowd.system(system).search("lovely tea", filters={"kind": "unheard"}).hits == ()


@pytest.mark.parametrize("system", ["hybrid", "dense", "rrf"])
def test_a_rare_match_is_also_found_where_only_candidates_are_scored(
    system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnemic.index.vectors.LARGE", 1500)
    monkeypatch.setattr("mnemic.index.vectors.SMALL", 100)
    with empty() as memory:
        memory.add([f"Tea, lovely tea, tea number {at}" for at in range(1600)])
        memory.add("a cup of tea that time", id="rare", metadata={"kind": "rare"})
        hits = memory.system(system).search("lovely tea", limit=3, filters={"kind": "rare"})
        assert memory._shared.library.of(memory._shared.store.scope_ids("")).vectors.is_exact is False
    assert [hit.id for hit in hits] == ["rare"]


# -- failures -------------------------------------------------------------------------------------------------


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Memory]:
    """A memory in which Fragile, attached before digest, cannot get past the second of three episodes."""
    monkeypatch.setitem(SYSTEMS, "fragile", FRAGILE["fragile"])
    monkeypatch.setattr(runner, "BATCH", 1)
    clock = ManualClock(START)
    with empty(clock) as memory:
        memory.add(["tea in the garden", "a bomb of a violin", "coffee by the river"], session="mon")
        memory.attach("fragile")
        clock.advance(timedelta(seconds=1))
        memory.attach("digest")
        yield memory


def test_a_failing_system_is_kept_as_a_failure_with_its_error(failing: Memory) -> None:
    report = failing.consolidate()
    kept = [(one.system, one.step, one.error, one.attempts) for one in failing._shared.store.records.failures()]
    assert kept == [("fragile", "observe", "AttributeError: no way to take 'a bomb of a violin'", 1)]
    assert report["fragile"] == {"observed": 1, "error": f": {kept[0][2]}"}
    assert failing.stats()["failures"] == 1


def test_a_failing_system_stops_where_it_failed_and_does_not_stop_others(failing: Memory) -> None:
    report = failing.consolidate()
    assert (report["fragile"]["observed"], report["digest"]) == (1, {"observed": 3})
    assert failing._shared.store.records.cursor("fragile", "") == 1


def test_recall_and_add_go_on_while_a_system_fails(failing: Memory) -> None:
    failing.consolidate()
    failing.add("and more tea")
    assert {hit.text for hit in failing.search("tea")} == {"tea in the garden", "and more tea"}
    assert failing.system("fragile").search("tea").hits == ()


def test_a_failed_step_is_tried_again_and_the_failure_goes_when_it_succeeds(
    failing: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing.consolidate()
    failing.consolidate()
    assert [one.attempts for one in failing._shared.store.records.failures()] == [2]
    monkeypatch.setattr(Fragile, "is_mended", True)
    assert failing.consolidate()["fragile"] == {"observed": 2}
    assert failing._shared.store.records.failures() == []


def test_records_that_cannot_be_written_are_a_failure_of_the_system_that_made_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    observe: Callable[..., Any] = SessionDigest.observe

    def sourceless(self: SessionDigest, episodes: Sequence[Episode], view: Any) -> Any:
        from dataclasses import replace

        changes = observe(self, episodes, view)
        return replace(changes, put_records=tuple(replace(one, sources=()) for one in changes.put_records))

    with empty() as memory:
        say(memory, PAST)
        memory.attach("digest")
        memory.attach("careful")
        monkeypatch.setattr(system_class("digest"), "observe", sourceless)
        monkeypatch.setattr(system_class("careful"), "observe", observe)
        report = memory.consolidate()
        assert "no sources" in str(report["digest"]["error"])
        assert (made(memory, "digest"), report["careful"]) == (([], []), {"observed": 5})


def test_forgetting_also_takes_an_error_that_quotes_it(failing: Memory) -> None:
    failing.consolidate()
    bomb = next(one for one in failing.list() if "bomb" in one.text)
    failing.forget(bomb.id)
    assert failing._shared.store.records.failures() == []
    assert failing.consolidate()["fragile"] == {"observed": 1}
