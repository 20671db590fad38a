"""How a named time enters the ranking. Three sessions of two days each, a week apart; asked after the last."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.clock import to_microseconds
from mnemic.index.scope_index import ScopeIndex
from mnemic.model import Cue
from mnemic.ops.timely import EVERYTHING, all_in, asked_when, told, weights_when
from mnemic.ops.when import ALL, HAPPENED, SAID, When
from mnemic.store.contract import IndexRows

FIRST = datetime(2023, 5, 1, 12, tzinfo=UTC)
ASKED = FIRST + timedelta(days=20)
WEIGHTS = {"meaning": 0.5, "speaker": 0.4, "time": 0.1}


@pytest.fixture
def index() -> ScopeIndex:
    """Rows 0 and 1 in session s0 (1 and 2 May), 2 and 3 in s1 (8 and 9 May), 4 and 5 in s2 (15 and 16 May)."""
    moments = [to_microseconds(FIRST + timedelta(days=7 * (row // 2) + row % 2)) for row in range(6)]
    index = ScopeIndex(dim=2)
    index.extend(rows_at(moments))
    return index


def rows_at(moments: list[int]) -> IndexRows:
    n = len(moments)
    return IndexRows(
        seqs=np.arange(1, n + 1, dtype=np.int64),
        scope_ids=np.ones(n, np.int64),
        occurred_at=np.array(moments, np.int64),
        recorded_at=np.array(moments, np.int64),
        content_hashes=np.arange(n, dtype=np.int64),
        sessions=[f"s{row // 2}" for row in range(n)],
        actors=["Ann", "Bo"] * (n // 2),
        roles=["user"] * n,
        is_echo=np.zeros(n, np.bool_),
        terms=["tea"] * n,
        vectors=np.ones((n, 2), np.float16),
        has_vector=np.ones(n, np.bool_),
        superseded=[],
    )


def asked(text: str, index: ScopeIndex, visible: Any = None, allowed: Any = None) -> tuple[When, list[float]]:
    when, timely = asked_when(Cue(text=text, scope="", asked_at=ASKED), index, (), index.previous, visible, allowed)
    return when, timely.tolist()


def test_a_session_named_by_its_place_is_found_among_those_in_sight(index: ScopeIndex) -> None:
    _, timely = asked("What did we discuss in our last session?", index)
    assert timely == [0, 0, 0, 0, 1, 1]
    until_then = np.array([True, True, True, True, False, False])
    _, timely = asked("What did we discuss in our last session?", index, until_then, until_then)
    assert timely == [0, 0, 1, 1, 0, 0]


def test_where_nothing_was_said_in_or_near_the_time_it_is_a_word_like_others(index: ScopeIndex) -> None:
    when, timely = asked("What did we discuss in May 2019?", index)
    assert not when
    assert (when.rest, timely) == ("What did we discuss in May 2019?", [0.0] * 6)


def test_a_cue_without_a_time_leaves_the_weights_alone(index: ScopeIndex) -> None:
    when, _ = asked("What does Ann drink?", index)
    assert weights_when(when, WEIGHTS) is WEIGHTS


@pytest.mark.parametrize("hold", [HAPPENED, SAID])
def test_the_stricter_a_time_holds_the_more_of_the_weight_it_has(hold: float) -> None:
    weights = weights_when(When(hold=hold), WEIGHTS)
    assert weights["time"] == hold / 2
    assert sum(weights.values()) == pytest.approx(1.0)
    assert weights["meaning"] / weights["speaker"] == pytest.approx(1.25)


def test_where_all_of_a_time_is_asked_for_nothing_outside_it_can_pass_what_is_inside() -> None:
    weights = weights_when(When(hold=ALL, is_all=True), WEIGHTS)
    assert sum(weights.values()) == pytest.approx(1.0)
    assert weights["time"] > weights["time"] / 2 + EVERYTHING["speaker"]
    assert weights["meaning"] == 0.0


def test_all_of_a_time_is_told_session_by_session_and_a_named_speaker_first(index: ScopeIndex) -> None:
    rows = np.arange(6)
    time = np.array([0, 0, 1, 1, 1, 1], np.float32)
    by_bo = np.array([0, 1, 0, 1, 0, 1], np.float32)
    order = told(index, rows, time, by_bo, None)
    assert np.argsort(-order, kind="stable")[:4].tolist() == [3, 5, 2, 4]
    assert order[:2].tolist() == [0.0, 0.0]


@given(st.lists(st.sampled_from([0.0, 0.4, 1.0]), max_size=60), st.integers(1, 20))
def test_a_sample_of_a_time_is_even_and_no_larger_than_asked(values: list[float], most: int) -> None:
    timely = np.array(values, np.float32)
    rows = all_in(timely, None, most)
    there = np.flatnonzero(timely > 0)
    assert len(rows) <= most
    assert len(rows) > min(len(there), most) // 2 or not len(there)
    assert set(rows.tolist()) <= set(there.tolist())
