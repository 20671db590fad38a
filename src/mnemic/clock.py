"""Time, asked at the edge only: whoever needs *now* is given a clock.

A clock is any object with `now() -> datetime` (aware). `SystemClock` is the machine's; `ManualClock` stands
still until it is told otherwise, for tests, replays and demonstrations.

Times are kept as integer microseconds since 1970-01-01 UTC, which is exact from year 1 to 9999, together with the
offset in which they were said, so that "Friday evening" stays a Friday.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Protocol

from mnemic.errors import InvalidTime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Clock(Protocol):
    """Whatever can say what time it is."""

    def now(self) -> datetime:
        """The present moment, timezone-aware."""
        ...


class SystemClock:
    """The machine's clock, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class ManualClock:
    """A clock that shows what it is set to.

    >>> clock = ManualClock(datetime(2024, 5, 1, tzinfo=UTC))
    >>> clock.advance(timedelta(days=1)); clock.now().day
    2
    """

    def __init__(self, start: datetime) -> None:
        self._now = as_aware(start)

    def now(self) -> datetime:
        return self._now

    def set(self, moment: datetime) -> None:
        """Show `moment` from now on."""
        self._now = as_aware(moment)

    def advance(self, step: timedelta) -> None:
        """Move forward by `step`."""
        self._now += step


def as_aware(moment: datetime) -> datetime:
    """`moment` with a time zone: a naive time is taken to be UTC."""
    return moment if moment.utcoffset() is not None else moment.replace(tzinfo=UTC)


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970-01-01 UTC; negative before it."""
    return (moment - EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int, offset_minutes: int = 0) -> datetime:
    """The inverse of `to_microseconds`, shown in the given offset from UTC where the calendar allows it."""
    moment = EPOCH + timedelta(microseconds=microseconds)
    if not offset_minutes:
        return moment
    try:
        return moment.astimezone(timezone(timedelta(minutes=offset_minutes)))
    except OverflowError:  # within a day of year 1 or 9999
        return moment


def offset_minutes(moment: datetime) -> int:
    """The offset from UTC in whole minutes, towards zero; 0 for UTC and naive times."""
    offset = moment.utcoffset()
    return 0 if not offset else int(offset.total_seconds() / 60)  # rounded, +23:59:59 would be a day, which none can be


def parse_time(value: datetime | date | str | int | float, *, end_of_day: bool = False) -> datetime:
    """An aware time from what callers really send: a datetime, a date, ISO 8601 text, or Unix seconds.

    Naive times are UTC. `end_of_day` makes a date without a time mean its last microsecond, as the end of a window.
    Raises InvalidTime.

    >>> parse_time("2024-05-01").isoformat()
    '2024-05-01T00:00:00+00:00'
    """
    if isinstance(value, datetime):
        moment = as_aware(value)
    elif isinstance(value, date):
        moment = datetime.combine(value, time.max if end_of_day else time.min, UTC)
    elif isinstance(value, bool):
        raise InvalidTime(f"A time was given as {value!r}. Give a datetime, ISO 8601 text or Unix seconds.")
    elif isinstance(value, int | float):
        try:
            moment = EPOCH + timedelta(seconds=value)
        except (OverflowError, ValueError) as error:
            raise InvalidTime(f"{value!r} is not a time in Unix seconds within years 1 to 9999.") from error
    elif isinstance(value, str):
        moment = _from_iso(value.strip(), end_of_day)
    else:
        raise InvalidTime(
            f"A time was given as {type(value).__name__}. Give a datetime, ISO 8601 text or Unix seconds."
        )
    try:
        moment.astimezone(UTC)
    except OverflowError as error:
        raise InvalidTime(f"{value!r} lies outside years 1 to 9999 in UTC.") from error
    return moment


def _from_iso(text: str, end_of_day: bool) -> datetime:
    try:
        return parse_time(date.fromisoformat(text), end_of_day=end_of_day)
    except ValueError:  # not a date alone
        pass
    try:
        return as_aware(datetime.fromisoformat(text))
    except ValueError as error:
        raise InvalidTime(
            f"{text[:60]!r} is not a time. Write ISO 8601, such as 2024-05-01 or 2024-05-01T18:30:00+02:00."
        ) from error
