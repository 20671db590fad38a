"""What the default recall reads off an episode: its pair, its session, its neighbours, its order in time."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mnemic.index.lexical import K1, B, LexicalIndex
from mnemic.ops.answers import has_kind, is_question, wanted_kind
from mnemic.ops.neighbours import best_of_session, smoothed
from mnemic.ops.passages import passage_scores
from mnemic.ops.signals import in_order, of_another, strength

texts = st.lists(st.lists(st.sampled_from("abcd"), max_size=6), min_size=1, max_size=12)


def lexical(rows: list[list[str]]) -> LexicalIndex:
    index = LexicalIndex()
    index.extend([" ".join(row) for row in rows])
    return index


@given(texts, st.integers(1, 4), st.lists(st.sampled_from("abcde"), min_size=1, max_size=3))
def test_a_pair_scores_as_one_text_of_both_with_the_rarity_of_single_episodes(
    rows: list[list[str]], session_length: int, wanted: list[str]
) -> None:
    n = len(rows)
    sessions = np.arange(n) // session_length
    previous = np.array([at - 1 if at and sessions[at - 1] == sessions[at] else -1 for at in range(n)], np.int32)
    following = np.array(
        [at + 1 if at + 1 < n and sessions[at + 1] == sessions[at] else -1 for at in range(n)], np.int32
    )
    found = passage_scores(lexical(rows), wanted, previous, following, sessions)
    pairs = [[*(rows[previous[at]] if previous[at] >= 0 else []), *rows[at]] for at in range(n)]
    mean = sum(map(len, pairs)) / n or 1.0
    idf = {
        term: math.log1p((n - held + 0.5) / (held + 0.5))
        for term in set(wanted)
        if (held := sum(term in row for row in rows))
    }
    for at, pair in enumerate(pairs):
        counts = Counter(pair)
        total = sum(
            weight * (K1 + 1) * counts[term] / (counts[term] + K1 * (1 - B + B * len(pair) / mean))
            for term, weight in idf.items()
        )
        assert math.isclose(found.pair[at], min(total / (sum(idf.values()) or 1.0), 1.0), abs_tol=1e-4)
    assert all(
        len({found.session[at] for at in range(n) if sessions[at] == one}) == 1 for one in set(sessions.tolist())
    )


@given(texts, st.lists(st.booleans(), min_size=12, max_size=12))
def test_rows_out_of_sight_change_nothing(rows: list[list[str]], seen: list[bool]) -> None:
    visible = np.array(seen[: len(rows)])
    alone = np.full(len(rows), -1, np.int32)
    kept = [row for row, there in zip(rows, visible, strict=True) if there]
    found = passage_scores(lexical(rows), ["a", "b"], alone, alone, np.arange(len(rows)), visible)
    if kept:
        fewer = np.full(len(kept), -1, np.int32)
        expected = passage_scores(lexical(kept), ["a", "b"], fewer, fewer, np.arange(len(kept)))
        assert np.allclose(found.pair[visible], expected.pair, atol=1e-6)
    assert not found.pair[~visible].any()


def test_a_neighbour_counts_half_and_a_missing_one_not_at_all() -> None:
    beside = (np.array([-1, 0, 1], np.int32), np.array([1, 2, -1], np.int32))
    values = np.array([1.0, 0.0, 0.0], np.float32)
    assert np.allclose(smoothed(np.arange(3), values, beside, 1), [1 / 1.5, 0.5 / 2, 0.0])
    assert np.allclose(smoothed(np.array([0, 2]), np.array([1.0, 0.5], np.float32), beside, 1), [1.0, 0.5])


def test_a_session_is_worth_its_best_episode() -> None:
    values = np.array([0.2, 0.9, 0.4], np.float32)
    assert best_of_session(np.array([0, 0, 1]), values).tolist() == values[[1, 1, 2]].tolist()


def test_the_newest_of_those_that_match_comes_first_and_the_oldest_where_that_is_asked() -> None:
    when, matches = np.array([1, 2, 3, 4]), np.array([1.0, 1.0, 0.95, 0.2], np.float32)
    assert in_order(when, matches, 1.0).tolist() == [np.float32(1 / 3), 0.5, 1.0, 0.0]
    assert in_order(when, matches, -1.0).tolist() == [1.0, 0.5, np.float32(1 / 3), 0.0]
    assert not in_order(when, matches, 0.0).any()


def test_a_note_on_something_else_counts_less() -> None:
    found = of_another(["body: belly", "water body: lake", "The body is found"], {"bodi"})
    assert found[0] == found[2] == 1.0 > found[1]


def test_what_was_said_twice_is_stronger_than_what_was_said_once() -> None:
    assert strength(np.array([7, 8, 7])).tolist() == [0.5, 0.0, 0.5]


def test_the_kind_of_answer_is_read_off_the_question() -> None:
    asked = {"When did Ann move?": "time", "How many cats has she?": "number", "Where does she live?": "name"}
    assert {text: wanted_kind(text) for text in asked} == asked
    assert wanted_kind("Tell me about whenever") is None
    assert has_kind("It was last Tuesday", "time")
    assert not has_kind("It was fine", "time")
    assert is_question("Did you?")
    assert not is_question("You did.")
