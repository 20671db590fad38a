"""Elapsed time by the calendar: months of every length, leap days, and what comes back from a step."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.ops.elapsed import Elapsed, days_between, elapsed, plus_months, relative

moments = st.datetimes(datetime(1990, 1, 1), datetime(2050, 1, 1)).map(lambda one: one.replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("2024-01-31", "2024-02-29", "1 month"),
        ("2023-01-31", "2023-02-28", "1 month"),
        ("2024-01-31", "2024-03-01", "1 month and 1 day"),
        ("2023-02-28", "2024-02-28", "1 year"),
        ("2024-02-29", "2025-02-28", "1 year"),
        ("2024-02-29", "2028-02-29", "4 years"),
        ("2024-02-28", "2024-03-01", "2 days"),
        ("2023-02-28", "2023-03-01", "1 day"),
        ("2023-12-31", "2024-01-01", "1 day"),
        ("2000-02-29", "2100-03-01", "100 years and 1 day"),
    ],
)
def test_elapsed_times_are_exact_across_months_and_leap_days(start: str, end: str, words: str) -> None:
    assert elapsed(datetime.fromisoformat(start), datetime.fromisoformat(end)).in_words == words


@given(start=moments, later=st.integers(0, 20_000_000))
def test_stepping_the_months_and_days_of_an_elapsed_time_comes_to_its_end(start: datetime, later: int) -> None:
    end = start + timedelta(minutes=later)
    passed = elapsed(start, end)
    step = timedelta(days=passed.days, hours=passed.hours, minutes=passed.minutes)
    arrived = plus_months(start, 12 * passed.years + passed.months) + step
    assert timedelta(0) <= end - arrived < timedelta(minutes=1)
    assert 0 <= passed.months < 12
    assert 0 <= passed.days < 31
    assert elapsed(end, start) == Elapsed(
        passed.years, passed.months, passed.days, passed.hours, passed.minutes, is_future=start < end
    )


def test_seen_from_now_a_moment_is_today_yesterday_days_or_months_ago_or_to_come() -> None:
    now = datetime(2024, 3, 1, 9, tzinfo=UTC)
    asked = ["2024-03-01T08:30", "2024-02-29T23:00", "2024-02-28T09:00", "2024-01-31T09:00", "2024-03-03T09:00"]
    assert [relative(datetime.fromisoformat(one).replace(tzinfo=UTC), now) for one in asked] == [
        "today, 30 minutes ago",
        "yesterday",
        "2 days ago",
        "1 month and 1 day ago",
        "in 2 days",
    ]


def test_days_are_counted_in_midnights() -> None:
    assert days_between(datetime(2024, 2, 28, 23, 59), datetime(2024, 3, 1, 0, 1)) == 2
