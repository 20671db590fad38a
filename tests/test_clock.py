"""Time: what is understood as a time, and how it is kept."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.clock import (
    ManualClock,
    SystemClock,
    as_aware,
    from_microseconds,
    offset_minutes,
    parse_time,
    to_microseconds,
)
from mnemic.errors import InvalidTime

offsets = st.integers(-86_399, 86_399).map(lambda seconds: timezone(timedelta(seconds=seconds)))
moments = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=offsets)


@given(moment=moments)
def test_a_moment_survives_being_kept_to_the_microsecond_whatever_its_offset(moment: datetime) -> None:
    kept = from_microseconds(to_microseconds(moment), offset_minutes(moment))
    assert kept == moment
    assert abs(kept.utcoffset() - moment.utcoffset()) < timedelta(minutes=1)  # type: ignore[operator]


@given(moment=moments)
def test_iso_text_is_read_back_as_the_same_moment(moment: datetime) -> None:
    assert parse_time(moment.isoformat()) == parse_time(moment) == moment


@given(one=moments, other=moments)
def test_microseconds_are_in_the_order_of_the_moments(one: datetime, other: datetime) -> None:
    assert (to_microseconds(one) < to_microseconds(other)) == (one < other)


@pytest.mark.parametrize("edge", [datetime.min, datetime.max])
def test_the_first_and_the_last_moment_of_the_calendar_are_kept_in_any_offset(edge: datetime) -> None:
    moment = edge.replace(tzinfo=UTC)
    for minutes in (0, 720, -720):
        assert from_microseconds(to_microseconds(moment), minutes) == moment


UNDERSTOOD: list[tuple[Any, str]] = [
    (datetime(2024, 5, 1, 12), "2024-05-01T12:00:00+00:00"),
    (date(2024, 5, 1), "2024-05-01T00:00:00+00:00"),
    ("2024-05-01", "2024-05-01T00:00:00+00:00"),
    ("20240501", "2024-05-01T00:00:00+00:00"),
    ("2024-W18-3", "2024-05-01T00:00:00+00:00"),
    (" 2024-05-01T12:00 ", "2024-05-01T12:00:00+00:00"),
    ("2024-05-01 12:00:00.5+02:00", "2024-05-01T12:00:00.500000+02:00"),
    ("2024-05-01T12:00:00Z", "2024-05-01T12:00:00+00:00"),
    (0, "1970-01-01T00:00:00+00:00"),
    (-1.5, "1969-12-31T23:59:58.500000+00:00"),
]


@pytest.mark.parametrize(("given", "expected"), UNDERSTOOD, ids=str)
def test_a_time_is_understood_in_the_forms_that_callers_send(given: Any, expected: str) -> None:
    assert parse_time(given).isoformat() == expected


@pytest.mark.parametrize("day", [date(2024, 5, 1), "2024-05-01", "20240501", "2024-W18-3"], ids=str)
def test_a_date_as_the_end_of_a_window_is_its_last_microsecond(day: Any) -> None:
    assert parse_time(day, end_of_day=True).isoformat() == "2024-05-01T23:59:59.999999+00:00"


@pytest.mark.parametrize("moment", ["2024-05-01T00:00", datetime(2024, 5, 1), 1714521600], ids=str)
def test_a_time_as_the_end_of_a_window_stays_that_time(moment: Any) -> None:
    assert parse_time(moment, end_of_day=True).isoformat() == "2024-05-01T00:00:00+00:00"


NOT_UNDERSTOOD: list[Any] = [
    "",
    "yesterday",
    "2024-5-1",
    "2024-02-30",
    "24:00",
    "1714521600",
    True,
    None,
    b"2024-05-01",
    [2024],
    float("nan"),
    float("inf"),
    10**20,
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:00:00-14:00",
]


@pytest.mark.parametrize("given", NOT_UNDERSTOOD, ids=repr)
def test_what_is_no_time_is_refused(given: Any) -> None:
    with pytest.raises(InvalidTime):
        parse_time(given)


@given(
    text=st.text(max_size=30) | st.from_regex(r"\d{4}-?\d\d-?\d\d([T ]\d\d:?\d\d)?(Z|[+-]\d\d:\d\d)?", fullmatch=True)
)
def test_any_text_is_a_time_with_a_zone_or_refused(text: str) -> None:
    try:
        moment = parse_time(text)
    except InvalidTime:
        return
    assert moment.utcoffset() is not None
    assert to_microseconds(moment) == to_microseconds(moment.astimezone(UTC))


class Zoneless(tzinfo):
    """A zone that does not know its offset."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        return None


def test_a_time_whose_zone_knows_no_offset_is_taken_as_utc() -> None:
    assert as_aware(datetime(2024, 5, 1, tzinfo=Zoneless())) == datetime(2024, 5, 1, tzinfo=UTC)


def test_a_manual_clock_stands_still_until_it_is_told_otherwise() -> None:
    clock = ManualClock(datetime(2024, 5, 1))
    assert clock.now() == clock.now() == datetime(2024, 5, 1, tzinfo=UTC)
    clock.advance(timedelta(days=-1))
    assert clock.now() == datetime(2024, 4, 30, tzinfo=UTC)
    clock.set(datetime(2030, 1, 1))
    assert clock.now() == datetime(2030, 1, 1, tzinfo=UTC)


def test_the_system_clock_is_in_utc() -> None:
    assert SystemClock().now().tzinfo is UTC
