"""What every memory system keeps: isolation, forgetting, determinism, as of, scores, filters.

Each test runs for every system in the registry, and for two that keep records and live in the tests. What holds beyond
that for those that keep records is in `test_contract_records.py`, for those that ask a model in `test_contract_model.py`.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.index.vectors import VectorIndex
from mnemic.systems.registry import cards, system_class
from systems.under_test import ALL, KEEPING, PAST, every_system, examples
from systems.worlds import START, Said, empty, pasts, queries, say, seen, texts

TESTS = Path(__file__).parents[1]


# -- the registry ---------------------------------------------------------------------------------------------


@every_system
def test_a_system_is_registered_under_the_id_of_its_card(system: str) -> None:
    assert system_class(system).card.id == system


def test_every_card_says_what_the_system_is_and_where_it_comes_from() -> None:
    built_in = [card for card in cards() if card.family != "test"]
    assert [card.id for card in built_in if not (card.title and card.summary and card.source and card.year)] == []


# -- isolation ------------------------------------------------------------------------------------------------

PLACES = ["acme/alice", "acme/bob", "acme", "acme/alice/tutor", "acmes", "other"]


@every_system
@given(past=pasts(), others=pasts(0, 8), where=st.lists(st.sampled_from(PLACES[1:]), min_size=8), query=queries)
@settings(max_examples=examples(4))
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
        assert {source for hit in hits for source in hit.sources} == {"e0"}
        assert {hit.scope for hit in hits} == {"acme/alice"}


# -- forgetting -----------------------------------------------------------------------------------------------


@every_system
@given(past=pasts(2), query=queries, data=st.data())
@settings(max_examples=examples(4))
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


# -- determinism ----------------------------------------------------------------------------------------------

ANSWERING = """
import json
from mnemic.systems.registry import SYSTEMS
from systems.digest import FOR_TESTS
from systems.under_test import ALL, PAST
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
@settings(max_examples=examples(4))
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
@settings(max_examples=examples(4))
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
@settings(max_examples=examples(4))
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
@settings(max_examples=examples(4))
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
def crowds() -> Iterator[dict[str, Memory]]:
    """Many strong matches, and one weak one that alone is rare, in March, in its session."""
    with _crowd(2000) as large, _crowd(150) as small:
        yield {name: small if name in KEEPING else large for name in ALL}


@contextmanager
def _crowd(size: int) -> Iterator[Memory]:
    generator = random.Random(7)
    with Memory.open(embedder="hashing", clock=ManualClock(START)) as memory:
        memory.add(
            [
                {"content": f"Tea, lovely tea, tea number {at}", "session": f"s{generator.randrange(5)}"}
                for at in range(size)
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
        memory.add([{"content": f"Tea after tea, number {at}", "session": "late"} for at in range(size // 20)])
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
    system: str, narrowed: dict[str, Any], crowds: dict[str, Memory]
) -> None:
    hits = crowds[system].system(system).search("lovely tea", limit=3, **narrowed).hits
    assert hits
    assert [hit.sources for hit in hits if "rare" not in hit.sources] == []
    assert system in KEEPING or [hit.sources for hit in hits] == [("rare",)]


@every_system
def test_a_filter_that_nothing_passes_gives_no_hits(system: str, crowds: dict[str, Memory]) -> None:
    assert crowds[system].system(system).search("lovely tea", filters={"kind": "unheard"}).hits == ()


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
