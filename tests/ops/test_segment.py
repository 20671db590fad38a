"""Where a conversation is cut."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ops.scripted_asks import START, episode, talk

from mnemic.errors import ParameterError
from mnemic.model import Episode
from mnemic.ops.segment import exchanges, sessions_in, topic_cuts


def ids(units: list[list[Episode]]) -> list[list[str]]:
    return [[one.id for one in unit] for unit in units]


def at(minutes: list[int], sessions: list[str | None] | None = None) -> list[Episode]:
    names = sessions or [None] * len(minutes)
    return [
        episode("x", place, occurred_at=START + timedelta(minutes=minute), session=name)
        for place, (minute, name) in enumerate(zip(minutes, names, strict=True), start=1)
    ]


def test_a_session_closes_when_its_name_changes_or_after_a_silence() -> None:
    closed, tail = sessions_in(at([0, 5, 6, 36, 67], ["a", "a", "b", "b", "b"]))
    assert (ids(closed), ids([tail])) == ([["e1", "e2"], ["e3", "e4"]], [["e5"]])


def test_a_session_closes_when_it_is_full_without_waiting_for_the_next_episode() -> None:
    closed, tail = sessions_in(at([0, 1, 2, 3]), max_turns=2)
    assert (ids(closed), tail) == ([["e1", "e2"], ["e3", "e4"]], [])


def test_silence_closes_nothing_where_no_gap_is_given() -> None:
    closed, tail = sessions_in(at([0, 999]), gap=None)
    assert (closed, ids([tail])) == ([], [["e1", "e2"]])


def test_an_episode_that_was_told_late_closes_nothing_by_its_earlier_time() -> None:
    assert sessions_in(at([60, 0]))[0] == []


@pytest.mark.parametrize("named", [{"gap": timedelta(0)}, {"max_turns": 0}])
def test_a_limit_that_is_none_is_refused(named: dict) -> None:
    with pytest.raises(ParameterError):
        sessions_in([], **named)


LOGS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 60), st.sampled_from(["user", "assistant", "Ann"])), max_size=25
)


@given(LOGS, st.lists(st.integers(1, 5), max_size=25), st.sampled_from([None, 1, 3]))
def test_feeding_in_pieces_cuts_as_at_once(log: list, sizes: list[int], most: int | None) -> None:
    minute, episodes = 0, []
    for place, (session, gap, role) in enumerate(log, start=1):
        minute += gap
        when = START + timedelta(minutes=minute)
        episodes.append(episode("x", place, session=session, occurred_at=when, role=role))
    for cut in (lambda some: sessions_in(some, max_turns=most), exchanges):
        pieces, left, tail = [], list(episodes), []
        for size in [*sizes, len(episodes)]:
            closed, tail = cut([*tail, *left[:size]])
            left = left[size:]
            pieces += closed
        assert (pieces, tail) == cut(episodes)
        assert [one for unit in [*pieces, tail] for one in unit] == episodes


def test_an_exchange_is_what_one_said_and_the_answer_to_it() -> None:
    said = [
        episode("q", 1),
        episode("a", 2, role="assistant"),
        episode("q", 3),
        episode("q", 4),
        episode("a", 5, role="assistant"),
    ]
    pairs, tail = exchanges([*said, episode("q", 6)])
    assert (ids(pairs), ids([tail])) == ([["e1", "e2"], ["e3", "e4", "e5"]], [["e6"]])


def test_two_people_answer_each_other_and_a_lone_turn_waits() -> None:
    pairs, tail = exchanges(talk("Ann: a", "Bo: b", "Ann: c"))
    assert (ids(pairs), ids([tail])) == ([["e1", "e2"]], [["e3"]])


def test_an_assistant_who_answers_nothing_and_a_question_left_in_its_session_stand_alone() -> None:
    pairs, tail = exchanges(
        [episode("hi", 1, role="assistant"), episode("q", 2, session="a"), episode("q", 3, session="b")]
    )
    assert (ids(pairs), ids([tail])) == ([["e1"], ["e2"]], [["e3"]])


def planted(*topics: int) -> np.ndarray:
    noise = np.random.default_rng(3).standard_normal((len(topics), 16)).astype(np.float32) * 0.05
    return np.eye(16, dtype=np.float32)[list(topics)] + noise


def test_two_planted_topics_are_cut_at_the_right_turn() -> None:
    assert topic_cuts(planted(0, 0, 0, 1, 1)) == [3]
    assert topic_cuts(planted(0, 1, 1, 2)) == [1, 3]


def test_the_threshold_is_raised_until_there_is_a_cut_and_no_further_than_its_end() -> None:
    def pair(cosine: float) -> np.ndarray:
        return np.array([[1, 0], [1, 0], [cosine, np.sqrt(1 - cosine**2)]], np.float32)

    assert topic_cuts(pair(0.43)) == [2]
    assert topic_cuts(pair(0.47)) == [2]
    assert topic_cuts(pair(0.55)) == []
    assert topic_cuts(pair(0.43), tau_max=0.4) == []


def test_one_turn_and_none_have_no_cuts_and_zeros_are_like_nothing() -> None:
    assert topic_cuts([]) == topic_cuts(np.ones((1, 4), np.float32)) == []
    assert topic_cuts(np.array([[1, 0], [0, 0]], np.float32)) == [1]


def test_cuts_do_not_depend_on_what_follows_them_while_the_threshold_is_the_same() -> None:
    rows = planted(0, 0, 1, 1, 2, 2)
    assert [cut for cut in topic_cuts(rows) if cut < 4] == topic_cuts(rows[:4])


def test_a_step_that_leads_nowhere_is_refused() -> None:
    with pytest.raises(ParameterError):
        topic_cuts(planted(0, 1), step=0)
