"""How long ago, by the calendar: years, months and days as people count them.

The one idea: from one moment to a later one there are as many whole months as can be stepped without passing it, then as many
days. A step from a day that a month lacks ends on that month's last: from 31 January one month is 28 or 29 February. So 29
February has its birthdays on the 28th in common years, and no month is ever thirty days.

Days are days of the calendar in the zone in which the earlier moment is given; clock times count only within two days.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Elapsed:
    """A time between two moments, each part the rest of the one before."""

    years: int = 0
    months: int = 0
    days: int = 0
    hours: int = 0
    minutes: int = 0
    is_future: bool = False  # the second moment lies before the first

    @property
    def in_words(self) -> str:
        """The two largest parts; clock times only where less than two days passed.

        >>> Elapsed(years=1, months=0, days=3).in_words, Elapsed(days=1, hours=5).in_words, Elapsed().in_words
        ('1 year and 3 days', '1 day and 5 hours', '0 minutes')
        """
        parts = [("year", self.years), ("month", self.months), ("day", self.days)]
        if not (self.years or self.months or self.days > 1):
            parts += [("hour", self.hours), ("minute", self.minutes)]
        told = [f"{number} {name}{'' if number == 1 else 's'}" for name, number in parts if number][:2]
        return " and ".join(told) or "0 minutes"


def elapsed(start: datetime, end: datetime) -> Elapsed:
    """The time from `start` to `end`.

    >>> elapsed(datetime(2024, 1, 31), datetime(2024, 3, 1)).in_words
    '1 month and 1 day'
    >>> elapsed(datetime(2023, 2, 28), datetime(2024, 2, 29)).in_words
    '1 year and 1 day'
    """
    end = end.astimezone(start.tzinfo) if start.tzinfo is not None else end
    if end < start:
        back = elapsed(end, start)
        return Elapsed(back.years, back.months, back.days, back.hours, back.minutes, is_future=True)
    months = (end.year - start.year) * 12 + end.month - start.month
    if plus_months(start, months) > end:
        months -= 1
    rest = end - plus_months(start, months)
    minutes = rest.seconds // 60
    return Elapsed(months // 12, months % 12, rest.days, minutes // 60, minutes % 60)


def days_between(start: datetime, end: datetime) -> int:
    """How many midnights lie between two moments, negative where the second is earlier.

    >>> days_between(datetime(2024, 2, 28, 23), datetime(2024, 3, 1, 1))
    2
    """
    end = end.astimezone(start.tzinfo) if start.tzinfo is not None else end
    return (end.date() - start.date()).days


def plus_months(moment: datetime, months: int) -> datetime:
    """The same day so many months later, or the last of that month where it has no such day.

    >>> plus_months(datetime(2024, 1, 31), 1).date().isoformat(), plus_months(datetime(2024, 2, 29), 12).date().isoformat()
    ('2024-02-29', '2025-02-28')
    """
    years, month = divmod(moment.month - 1 + months, 12)
    year = moment.year + years
    return moment.replace(year=year, month=month + 1, day=min(moment.day, monthrange(year, month + 1)[1]))


def relative(moment: datetime, now: datetime) -> str:
    """Where a moment lies, seen from now.

    >>> relative(datetime(2024, 2, 28, 9), datetime(2024, 3, 1, 9)), relative(datetime(2024, 3, 1, 8), datetime(2024, 3, 1, 9))
    ('2 days ago', 'today, 1 hour ago')
    """
    passed = elapsed(moment, now)
    if passed.is_future:
        return f"in {passed.in_words}"
    days = days_between(moment, now)
    if days == 0:
        return f"today, {passed.in_words} ago"
    if days == 1:
        return "yesterday"
    if now - moment < timedelta(days=28):
        return f"{days} days ago"
    return f"{passed.in_words} ago"
