"""What a cue says of time. Asked on Sunday 1 October 2023 at noon, after ten sessions, one a month from January."""

import gzip
import json
import os
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.clock import to_microseconds
from mnemic.ops.when import ALL, HAPPENED, SAID, SessionTable, When, in_when, read_when, session_keys, told_in_turn

NOW = datetime(2023, 10, 1, 12, tzinfo=UTC)
SPEAKERS = frozenset({"ann", "bo"})
DATA = Path(os.environ.get("MNEMIC_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "temporal-memory"


def monthly() -> SessionTable:
    """Session k (key k - 1) begins on the 10th of month k."""
    began = [to_microseconds(datetime(2023, month, 10, tzinfo=UTC)) for month in range(1, 11)]
    return SessionTable.of(np.arange(10, dtype=np.int64), np.array(began, np.int64))


def when(text: str) -> When:
    return read_when(text, NOW, monthly, SPEAKERS)


def days(text: str) -> list[tuple[str, str]]:
    return [(str(one.start)[:10], str(one.end)[:10]) for one in when(text).spans]


def signal(asked: When, *moments: datetime) -> list[float]:
    at = np.array([to_microseconds(moment) for moment in moments], np.int64)
    return [round(float(value), 3) for value in in_when(asked, at, np.full(len(at), -1, np.int64))]


@pytest.mark.parametrize(
    "text",
    [
        "What did we discuss in May?",
        "Tell me everything I said on 3 May.",
        "What did Ann say on May 8th?",
        "Last Friday, what did we chat about?",
        "What sorts of things did we talk about 38 days ago?",
        "Give me a recap of yesterday's conversation",
        "summary of session 4 to 6",
        "What was our second chat about?",
        "I'd like to know what we went over last week",
        "Remind me what we covered in the last two sessions",
        "List all topics from March",
    ],
)
def test_a_cue_of_time_and_talk_alone_asks_for_all_that_was_said_then(text: str) -> None:
    asked = when(text)
    assert (asked.is_all, asked.hold, asked.rest) == (True, ALL, "")


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("What did Ann say about the tent in May?", "What did Ann say about the tent ?"),
        ("On May 8th, what did Bo say he would cook?", "what did Bo say he would cook?"),
        ("What does Ann like, as mentioned on May 8, 2023?", "What does Ann like ?"),
        ("Who won according to the conversation on May 8?", "Who won ?"),
        ("In session 3, where did I say I was going?", "where did I say I was going?"),
    ],
)
def test_a_question_about_what_was_said_then_is_searched_for_without_the_time(text: str, rest: str) -> None:
    asked = when(text)
    assert (asked.is_all, asked.hold, asked.rest) == (False, SAID, rest)


@pytest.mark.parametrize(
    "text", ["Where did we camp in May?", "Who came to the concert on 5 May?", "Did I swim last week?"]
)
def test_the_date_of_an_event_holds_loosely_and_stays_in_the_words(text: str) -> None:
    asked = when(text)
    assert (asked.is_all, asked.hold, asked.rest) == (False, HAPPENED, text)


def test_all_that_happened_may_have_been_told_later() -> None:
    asked = when("What happened on 5 May?")
    assert (asked.is_all, asked.hold) == (True, HAPPENED)


@pytest.mark.parametrize(
    "text", ["When did I go to the dentist?", "What will I do tomorrow?", "my first session with the trainer"]
)
def test_a_cue_without_a_past_time_names_none(text: str) -> None:
    asked = when(text)
    assert not asked
    assert (asked.spans, asked.sessions, asked.rest) == ((), None, text)


def test_the_time_of_saying_counts_where_another_time_is_asked_about() -> None:
    asked = when("What did Ann do last Friday, as mentioned on February 21, 2023?")
    assert (asked.note, asked.is_all) == ("February 21, 2023", False)
    assert "last Friday" in asked.rest


# -- sessions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("What did we discuss in the third session?", {3}),
        ("What did we discuss two sessions ago?", {9}),
        ("What did we discuss last time?", {10}),
        ("What did we discuss in sessions 4 to 6?", {4, 5, 6}),
        ("What did we discuss in our first session in March?", {3}),
        ("What have we said since session 9?", {9, 10}),
    ],
)
def test_sessions_are_counted_from_the_front_and_from_the_back(text: str, places: set[int]) -> None:
    assert when(text).sessions == frozenset(place - 1 for place in places)


def test_a_session_that_there_is_not_names_no_time() -> None:
    assert not when("What did we discuss in session 40?")


def test_the_order_of_sessions_is_that_of_their_beginnings() -> None:
    keys = np.array([7, 7, -1, 3, 7, 5], np.int64)
    occurred_at = np.array([50, 60, 1, 10, 70, 50], np.int64)
    table = SessionTable.of(keys, occurred_at)
    assert table.keys.tolist() == [3, 7, 5]
    assert table.at([(1, 1), (-1, -1)]) == {3, 5}
    assert table.at([(0, 0)]) == table.at([(4, 9)]) == frozenset()


def test_the_sessions_are_not_looked_at_unless_they_are_named() -> None:
    def never() -> SessionTable:
        raise AssertionError("looked at")

    assert read_when("What did we discuss in May?", NOW, never).is_all
    assert not read_when("What does Ann like?", NOW, never)


def test_rows_of_a_named_session_are_in_and_all_others_out() -> None:
    scopes, sessions = np.array([1, 1, 2, 1], np.int64), np.array([0, 4, 4, -1], np.int32)
    keys = session_keys(scopes, sessions)
    asked = When(sessions=frozenset({int(keys[1])}), hold=ALL)
    assert in_when(asked, np.zeros(4, np.int64), keys).tolist() == [0.0, 1.0, 0.0, 0.0]


# -- conversations -------------------------------------------------------------------------------------------


def test_a_request_after_small_talk_asks_for_the_time_named_before() -> None:
    asked = when(
        "Ann: I see in my calendar that we talked on May 8th.\nBo: Yes! I always enjoy our chats.\n"
        "Ann: Wow, you have a better memory than me!\nBo: I can summarize it.\nAnn: Yes, please do."
    )
    assert (asked.is_all, asked.note) == (True, "May 8th")


def test_the_last_line_that_names_a_time_decides() -> None:
    assert days("What did we discuss in May?\nThis and that.\nAnd in June?") == [("2023-06-01", "2023-07-01")]


@pytest.mark.parametrize(
    ("step", "day_range"),
    [
        ("the week after", ("2023-05-09", "2023-05-16")),
        ("the day before that", ("2023-05-07", "2023-05-08")),
        ("the month after that", ("2023-05-09", "2023-06-09")),
        ("the weekend after", ("2023-05-13", "2023-05-14")),
    ],
)
def test_a_later_line_moves_the_time_named_before(step: str, day_range: tuple[str, str]) -> None:
    found = days(f"What did we discuss on May 8th?\nA lot.\nAnd what about {step}?")
    assert found == [day_range] or (step == "the weekend after" and found[0][0] == day_range[0])


def test_a_follow_up_keeps_the_content_of_what_it_follows() -> None:
    asked = when("What did we say about camping in May?\nThat it rained.\nAnd in June?")
    assert (asked.is_all, asked.note) == (False, "June")
    assert "camping" in asked.rest


def test_a_thing_said_to_be_known_is_not_everything_that_was_said() -> None:
    assert not when("Do you remember that concert?\nWhich one?\nThe one in May. Tell me all about it.").is_all


# -- what is in the time ---------------------------------------------------------------------------------------


def test_what_is_outside_the_time_of_saying_counts_at_most_half_and_falls_to_nothing() -> None:
    asked = when("What did we discuss on 8 May?")
    eve, night = datetime(2023, 5, 7, 23, 59, tzinfo=UTC), datetime(2023, 5, 9, 12, tzinfo=UTC)
    assert signal(asked, datetime(2023, 5, 8, 9, tzinfo=UTC), eve, night, datetime(2023, 5, 10, 1, tzinfo=UTC)) == [
        1.0,
        0.5,
        0.25,
        0.0,
    ]


def test_what_happened_counts_longer_after_it_than_before_it() -> None:
    asked = when("Who came to the concert on 8 May?")
    before, after = signal(asked, datetime(2023, 5, 6, 12, tzinfo=UTC), datetime(2023, 5, 11, tzinfo=UTC))
    assert before == 0.0
    assert after > 0.5


@given(st.lists(st.integers(0, 40 * 24), min_size=1, max_size=30), st.integers(0, 5))
def test_the_signal_is_one_inside_and_less_with_every_hour_outside(hours: list[int], of_session: int) -> None:
    asked = when("What did we discuss on 20 April?")
    moments = [datetime(2023, 4, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in hours]
    values = signal(asked, *moments)
    inside = [datetime(2023, 4, 20, tzinfo=UTC) <= moment < datetime(2023, 4, 21, tzinfo=UTC) for moment in moments]
    assert [value == 1.0 for value in values] == inside
    assert all(0.0 <= value <= 1.0 for value in values)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.booleans()), min_size=1, max_size=40))
def test_every_session_is_told_once_before_any_is_told_twice(rows: list[tuple[int, int, bool]]) -> None:
    keys = np.array([key for key, _, _ in rows], np.int64)
    told = np.array([length for _, length, _ in rows], np.float32)
    is_in = np.array([inside for _, _, inside in rows])
    order = told_in_turn(told, keys, is_in)
    assert ((order > 0) == is_in).all()
    chosen = np.argsort(-order, kind="stable")[: int(is_in.sum())]
    sessions = len(set(keys[is_in].tolist()))
    assert len(set(keys[chosen[:sessions]].tolist())) == sessions
    for key in set(keys[is_in].tolist()):
        lengths = told[[at for at in chosen if keys[at] == key]]
        assert (np.diff(lengths) <= 0).all()


@given(st.text(max_size=120))
def test_any_text_is_read(text: str) -> None:
    asked = when(text)
    assert asked.rest == text or asked.hold > 0


def test_reading_a_cue_takes_little_time() -> None:
    plain, timed = "What does Ann like about her new house?", "What did we discuss between May 8th and June 9th?"

    def milliseconds(text: str) -> float:
        runs = []
        for _ in range(50):
            began = time.perf_counter()
            when(text)
            runs.append(time.perf_counter() - began)
        return 1000 * min(runs)

    assert milliseconds(plain) < 0.1
    assert milliseconds(timed) < 2.0


# -- real questions --------------------------------------------------------------------------------------------


@pytest.mark.skipif(not DATA.exists(), reason="the shared data sets are not on this machine")
def test_questions_about_when_something_was_said_find_their_turns_as_often_as_when_last_measured() -> None:
    worlds = {
        path.stem: _world(json.loads(path.read_text())) for path in sorted((DATA / "conversations").glob("*.json"))
    }
    found = {"time_qs": [0, 0], "ambiguous_time_qs": [0, 0], "content_time_qs": [0, 0]}
    for path in sorted((DATA / "questions").glob("*/*.json*")):
        read = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for name, groups in json.loads(read).items():
            if name != "file_indexes":
                for group in groups[::3]:
                    text, wanted = _text(group["questions"][-1]), {int(one) for one in group["relevant_docs"]}
                    asked, inside = _asked(text, *worlds[name.removeprefix("file_")])
                    kind = found[path.parent.name]
                    is_right = wanted <= inside if path.parent.name == "content_time_qs" else wanted == inside
                    kind[0] += is_right and asked.is_all == (path.parent.name != "content_time_qs")
                    kind[1] += 1
    shares = {kind: right / n for kind, (right, n) in found.items()}
    assert shares["time_qs"] >= 0.90
    assert shares["ambiguous_time_qs"] >= 0.90
    assert shares["content_time_qs"] >= 0.95


def _world(read: dict[str, Any]) -> tuple[list[int], Any, Any, datetime, set[str]]:
    turns = [
        (int(turn["response_number"]), number, turn["speaker"], _moment(turn["date_time"]))
        for number, name in enumerate(name for name in read if re.fullmatch(r"session_\d+", name))
        for turn in read[name]
    ]
    keys = np.array([number for _, number, _, _ in turns], np.int64)
    occurred_at = np.array([to_microseconds(moment) for _, _, _, moment in turns], np.int64)
    return (
        [one[0] for one in turns],
        keys,
        occurred_at,
        turns[-1][3] + timedelta(seconds=1),
        {one[2].lower() for one in turns},
    )


def _moment(written: str) -> datetime:
    return datetime.strptime(written, "%I:%M:%S %p on %A %d %B, %Y").replace(tzinfo=UTC)


def _text(question: str | list[dict[str, str]]) -> str:
    return question if isinstance(question, str) else "\n".join(f"{one['speaker']}: {one['text']}" for one in question)


def _asked(
    text: str, ids: list[int], keys: Any, occurred_at: Any, now: datetime, names: set[str]
) -> tuple[When, set[int]]:
    asked = read_when(text, now, lambda: SessionTable.of(keys, occurred_at), names)
    return asked, {ids[row] for row in np.flatnonzero(in_when(asked, occurred_at, keys) == 1.0)}


def test_of_a_very_long_cue_the_end_names_the_time_and_the_beginning_is_still_looked_for() -> None:
    history = "Bo: the tent leaks again.\n" * 4000
    asked = when(f"{history}Ann: What did she say about the stove in May?")
    assert (asked.note, asked.hold) == ("May", SAID)
    assert asked.rest.startswith("Bo: the tent leaks")
    assert asked.rest.endswith("What did she say about the stove ?")
    started = time.perf_counter()
    for text in ("3 days ago ", "january 5 ", "x", " "):
        read_when((text * 100_000)[:100_000], NOW, monthly)
    assert time.perf_counter() - started < 10  # minutes, when every time was compared with every word
