"""The log as a table: operations, their ends, and the chain for each of the eleven kinds of questions of time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.clock import to_microseconds
from mnemic.errors import ParameterError
from mnemic.ops.table import Chain, Keep, Table, chains, f_between, f_value, local_times, session_numbers
from mnemic.ops.when import SessionTable, read_when

NOW = datetime(2023, 10, 23, 10, 30, tzinfo=UTC)  # a Monday
TALKS = [  # when each session began, and how many turns it had, half an hour apart
    (datetime(2023, 5, 8, 13, 0), 3),
    (datetime(2023, 5, 25, 9, 0), 2),
    (datetime(2023, 6, 9, 20, 0), 2),
    (datetime(2023, 6, 9, 23, 45), 3),  # the second of that day, past midnight
    (datetime(2023, 8, 31, 11, 0), 2),
    (datetime(2023, 9, 30, 8, 0), 2),
    (datetime(2023, 10, 13, 16, 0), 2),
    (datetime(2023, 10, 20, 12, 0), 2),  # the last Friday
    (datetime(2023, 10, 23, 8, 15), 3),  # this morning
]
ROWS = [
    (number, began.replace(tzinfo=UTC) + timedelta(minutes=10 * turn), "ann" if turn % 2 == 0 else "bo lee")
    for number, (began, turns) in enumerate(TALKS, start=1)
    for turn in range(turns)
]


def table(zone: Any = UTC) -> Table:
    at = np.array([to_microseconds(moment) for _, moment, _ in ROWS], np.int64)
    keys = np.array([number for number, _, _ in ROWS], np.int64)
    return Table.of(np.arange(len(ROWS)), at, keys + 100, np.array([who for *_, who in ROWS], np.object_), zone)


def asked(question: str) -> tuple[list[Chain], list[int]]:
    """The chains for a question, and the rows that they leave."""
    whole = table()
    at = np.array([to_microseconds(moment) for _, moment, _ in ROWS], np.int64)
    when = read_when(question, NOW, lambda: SessionTable.of(whole.sessions, at))
    found = chains(when, UTC)
    left = sorted({int(row) for chain in found for row in whole.follow(chain).rows})
    return found, left


def rows(*sessions: int) -> list[int]:
    return [at for at, (number, _, _) in enumerate(ROWS) if number in sessions]


KINDS: dict[str, tuple[str, list[Chain], list[int]]] = {
    "dates": ("What did we chat about on May 8th?", [(f_value("date", "2023-05-08"),)], rows(1)),
    "date_span": (
        "What did we chat about between May 8th and May 25th?",
        [(f_between("date", "2023-05-08", "2023-05-25"),)],
        rows(1, 2),
    ),
    "day_span": (
        "Summarize what we discussed over the last 3 days.",
        [(f_between("date", "2023-10-20", "2023-10-23"),)],
        rows(8, 9),
    ),
    "month": ("What did we discuss in May?", [(f_value("month", "2023-05"),)], rows(1, 2)),
    "rel_month": ("What did we discuss 5 months ago?", [(f_value("month", "2023-05"),)], rows(1, 2)),
    "rel_day": ("What did we discuss 10 days ago?", [(f_value("date", "2023-10-13"),)], rows(7)),
    "last_named_day": ("What did we discuss last Friday?", [(f_value("date", "2023-10-20"),)], rows(8)),
    "earlier_today": (
        "What did we discuss earlier this morning?",
        [(f_value("date", "2023-10-23"), f_between("time", "05:00:00.000000", "11:59:59.999999"))],
        rows(9),
    ),
    "session": ("What did we discuss in our second session?", [(f_value("session", 2),)], rows(2)),
    "rel_session": ("What did we discuss 3 sessions ago?", [(f_value("session", 7),)], rows(7)),
    "session_span": (
        "What did we discuss over sessions 1 through 3?",
        [(f_between("session", 1, 3),)],
        rows(1, 2, 3),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_question_of_each_kind_leaves_exactly_the_rows_that_it_asks_for(kind: str) -> None:
    question, _, expected = KINDS[kind]
    assert asked(question)[1] == expected


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("day_span", "earlier_today")])
def test_the_chain_of_a_question_is_made_of_two_operations(kind: str) -> None:
    question, chain, _ = KINDS[kind]
    assert asked(question)[0] == chain


def test_a_range_holds_both_its_ends() -> None:
    assert table().apply(f_between("date", "2023-05-08", "2023-05-25")).rows.tolist() == rows(1, 2)
    assert table().apply(f_between("session", 2, 2)).rows.tolist() == rows(2)
    day = table().apply(f_value("date", "2023-05-08"))
    assert day.apply(f_between("time", "13:00", "13:10")).rows.tolist() == [0, 1]


def test_days_ago_are_counted_across_the_end_of_a_month() -> None:
    at = datetime(2023, 9, 2, 12, tzinfo=UTC)
    when = read_when(
        "What did we discuss 2 days ago?", at, lambda: SessionTable.of(np.empty(0, np.int64), np.empty(0, np.int64))
    )
    assert table().follow(chains(when, UTC)[0]).rows.tolist() == rows(5)


def test_a_session_past_midnight_is_one_session_of_two_days() -> None:
    assert table().apply(f_value("session", 4)).rows.tolist() == rows(4)
    assert table().apply(f_value("date", "2023-06-10")).rows.tolist() == rows(4)[2:]
    assert table().apply(f_value("date", "2023-06-09")).rows.tolist() == rows(3) + rows(4)[:2]


def test_several_sessions_of_one_day_are_counted_as_several() -> None:
    assert asked("What did we discuss 6 sessions ago?")[1] == rows(4)
    assert asked("What did we discuss 7 sessions ago?")[1] == rows(3)


def test_no_matching_rows_leave_an_empty_table() -> None:
    assert asked("What did we discuss in July?")[1] == []
    chain = (f_value("date", "2023-05-08"), f_value("session", 2), f_value("speaker", "ann"))
    assert len(table().follow(chain)) == 0


def test_each_operation_works_on_what_the_one_before_left() -> None:
    chain = (f_value("month", "2023-06"), f_value("weekday", "Friday"), f_value("speaker", "Bo"))
    assert table().follow(chain).rows.tolist() == [rows(3)[1], rows(4)[1]]


def test_sessions_and_responses_are_counted_from_the_end_by_negative_numbers() -> None:
    assert table().apply(f_value("session", -1)).rows.tolist() == rows(9)
    assert table().apply(f_value("response", -1)).rows.tolist() == [len(ROWS) - 1]
    assert table().apply(f_value("session", 1)).apply(f_value("response", 2)).rows.tolist() == [2]


@pytest.mark.parametrize(
    "keep",
    [
        Keep("value", "mood", ("good",)),
        f_value("date", "someday"),
        f_value("date", "2023-02-30"),
        f_value("weekday", "today"),
        f_value("session", "last"),
        f_between("time", "25:00", None),
        f_between("speaker", "a", "b"),
    ],
    ids=str,
)
def test_a_column_or_value_that_there_cannot_be_is_refused(keep: Keep) -> None:
    with pytest.raises(ParameterError):
        table().apply(keep)


def test_dates_are_those_of_the_zone_of_the_one_who_asks() -> None:
    tokyo = table(timezone(timedelta(hours=9)))
    assert tokyo.apply(f_value("date", "2023-06-10")).rows.tolist() == rows(3, 4)


def test_offsets_follow_the_changes_of_the_clocks() -> None:
    moments = [datetime(2024, 1, 1, 12, tzinfo=UTC), datetime(2024, 7, 1, 12, tzinfo=UTC)]
    at = np.array([to_microseconds(one) for one in moments], np.int64)
    hours = (local_times(at, ZoneInfo("Europe/Lisbon")) - at) // 3_600_000_000
    assert hours.tolist() == [0, 1]


def test_what_is_said_outside_sessions_is_one_until_a_silence() -> None:
    minutes = np.array([0, 10, 20, 100, 110, 105], np.int64) * 60_000_000
    keys = np.array([-1, -1, -1, -1, -1, 7], np.int64)
    assert session_numbers(keys, minutes).tolist() == [1, 1, 1, 2, 2, 3]


days = st.integers(0, 400).map(lambda day: (datetime(2023, 1, 1, tzinfo=UTC) + timedelta(days=day)).date().isoformat())


@given(low=days, high=days)
def test_a_range_of_dates_is_the_union_of_its_days(low: str, high: str) -> None:
    whole = table()
    between = whole.apply(f_between("date", low, high)).rows.tolist()
    each = [at for at, (_, moment, _) in enumerate(ROWS) if low <= moment.date().isoformat() <= high]
    assert between == each
