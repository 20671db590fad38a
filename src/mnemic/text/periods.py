"""Periods of the calendar: half-open stretches of local wall-clock time, and the arithmetic that speech does on them.

The one idea: everything a time expression can mean is a `Period` [start, end) of naive local times with a grain, so a
day, a quarter, a weekend and "late May" are handled alike. Nothing here knows of text or time zones. Weeks begin on
Monday; a weekend is Saturday and Sunday; seasons are the meteorological ones of the northern hemisphere, a winter
belonging to the year in which it begins. What falls outside years 1 to 9999 raises OverflowError or ValueError.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Grain = Literal[
    "minute",
    "hour",
    "part",
    "day",
    "weekend",
    "week",
    "month",
    "quarter",
    "season",
    "year",
    "decade",
    "century",
    "range",
]

DAY = timedelta(days=1)
_UNIT_MONTHS = {"month": 1, "quarter": 3, "year": 12, "decade": 120, "century": 1200}
_SEASON_STARTS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
_PARTS = {  # hours from midnight of the day that names them; a night ends on the next day
    "morning": (5, 12),
    "afternoon": (12, 18),
    "evening": (17, 23),
    "night": (18, 30),
    "tonight": (17, 30),
    "lunchtime": (11, 14),
}


@dataclass(frozen=True, slots=True)
class Period:
    """A half-open stretch [start, end) of local time."""

    start: datetime
    end: datetime
    grain: Grain


def midnight(moment: datetime) -> datetime:
    """The beginning of the day of `moment`."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def plus_months(moment: datetime, months: int) -> datetime:
    """`moment` so many months later, on the last day of the month where that month is shorter.

    >>> plus_months(datetime(2024, 1, 31), 1)
    datetime.datetime(2024, 2, 29, 0, 0)
    """
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise OverflowError(f"year {year}")
    return moment.replace(year=year, month=month + 1, day=min(moment.day, monthrange(year, month + 1)[1]))


def plus_units(moment: datetime, count: int, unit: str) -> datetime:
    """`moment` moved by `count` units, from "minute" to "century"; a weekend or night moves as a week or day."""
    if unit in _UNIT_MONTHS:
        return plus_months(moment, count * _UNIT_MONTHS[unit])
    if unit in {"week", "weekend", "fortnight"}:
        return moment + count * (14 if unit == "fortnight" else 7) * DAY
    if unit == "hour":
        return moment + timedelta(hours=count)
    if unit == "minute":
        return moment + timedelta(minutes=count)
    return moment + count * DAY


def day(moment: datetime, days: int = 1) -> Period:
    """The day of `moment`, or as many days from it."""
    start = midnight(moment)
    return Period(start, start + days * DAY, "day")


def date(year: int, month: int, day_of_month: int) -> Period:
    """One day by its numbers; ValueError when the calendar has none such."""
    return day(datetime(year, month, day_of_month))


def week(moment: datetime) -> Period:
    """The week, Monday to Sunday, that holds `moment`."""
    start = midnight(moment) - moment.weekday() * DAY
    return Period(start, start + 7 * DAY, "week")


def weekend(moment: datetime) -> Period:
    """Saturday and Sunday of the week that holds `moment`."""
    end = week(moment).end
    return Period(end - 2 * DAY, end, "weekend")


def months(year: int, month: int, count: int, grain: Grain) -> Period:
    """`count` whole months from the first of `month`."""
    start = datetime(year, month, 1)
    return Period(start, plus_months(start, count), grain)


def season(year: int, name: str) -> Period:
    """A season by the year in which it begins.

    >>> season(2022, "winter").end
    datetime.datetime(2023, 3, 1, 0, 0)
    """
    return months(year, _SEASON_STARTS[name], 3, "season")


def unit_of(moment: datetime, unit: str) -> Period:
    """The calendar unit, from "minute" to "century", that holds `moment`."""
    if unit == "week":
        return week(moment)
    if unit == "weekend":
        return weekend(moment)
    if unit == "month":
        return months(moment.year, moment.month, 1, "month")
    if unit == "quarter":
        return months(moment.year, (moment.month - 1) // 3 * 3 + 1, 3, "quarter")
    if unit == "year":
        return months(moment.year, 1, 12, "year")
    if unit == "decade":
        return months(max(1, moment.year // 10 * 10), 1, 120 if moment.year >= 10 else 108, "decade")
    if unit == "century":
        return months((moment.year - 1) // 100 * 100 + 1, 1, 1200, "century")
    if unit == "hour":
        start = moment.replace(minute=0, second=0, microsecond=0)
        return Period(start, start + timedelta(hours=1), "hour")
    if unit == "minute":
        start = moment.replace(second=0, microsecond=0)
        return Period(start, start + timedelta(minutes=1), "minute")
    return day(moment)


def part_of_day(moment: datetime, part: str) -> Period:
    """The morning, afternoon, evening, night or lunchtime of the day of `moment`."""
    first, last = _PARTS[part]
    start = midnight(moment)
    return Period(start + timedelta(hours=first), start + timedelta(hours=last), "part")


def weekday_before(moment: datetime, weekday: int, is_strict: bool = True) -> Period:
    """The last such weekday (Monday is 0) before the day of `moment`, or on it when not strict."""
    back = (moment.weekday() - weekday) % 7 or (7 if is_strict else 0)
    return day(midnight(moment) - back * DAY)


def weekday_after(moment: datetime, weekday: int, is_strict: bool = True) -> Period:
    """The first such weekday after the day of `moment`, or on it when not strict."""
    ahead = (weekday - moment.weekday()) % 7 or (7 if is_strict else 0)
    return day(midnight(moment) + ahead * DAY)


def third(period: Period, which: str) -> Period:
    """The early, mid or late third of a period; of a month days 1 to 10, 11 to 20 and the rest.

    >>> third(unit_of(datetime(2023, 5, 9), "month"), "late").start
    datetime.datetime(2023, 5, 21, 0, 0)
    """
    length = period.end - period.start
    if length > 80 * DAY:
        count = max(1, round(length.days / 30.44 / 3))
        first, second = plus_months(period.start, count), plus_months(period.start, 2 * count)
        starts = {"early": (period.start, first), "mid": (first, second), "late": (second, period.end)}
        return Period(*starts[which], "range")
    step = length / 3 if length < 3 * DAY else (length // (3 * DAY)) * DAY
    first, second = period.start + step, period.start + 2 * step
    grain: Grain = "range" if length > DAY else "part"
    if which == "early":
        return Period(period.start, first, grain)
    return Period(first, second, grain) if which == "mid" else Period(second, period.end, grain)


def nth(period: Period, place: int, unit: str) -> Period:
    """The first, second, … (place 1, 2, …) or last (-1) day, week, weekend, month, quarter or half of a period.

    Weeks are counted in sevens from the period's first day, as in "the first week of August"; ValueError when the
    period has no such part.
    """
    if unit == "half":
        middle = period.start + (period.end - period.start) / 2
        if period.grain in {"year", "quarter", "decade", "century"}:
            half_months = round((period.end - period.start).days / 30.44 / 2)
            middle = plus_months(period.start, half_months) if half_months > 1 else midnight(middle)
        elif period.end - period.start > DAY:
            middle = midnight(middle)
        if place not in {1, 2, -1}:
            raise ValueError("a whole has two halves")
        return Period(period.start, middle, "range") if place == 1 else Period(middle, period.end, "range")
    if unit == "weekend":
        first = weekday_after(period.start, 5, is_strict=False).start
        last = weekday_before(period.end, 5).start
        return _inside(period, weekend(first + (place - 1) * 7 * DAY if place > 0 else last))
    if place < 0:
        start = plus_units(period.end, -1, unit)
        return _inside(period, Period(start, period.end, _grain_of(unit)))
    start = plus_units(period.start, place - 1, unit)
    return _inside(period, Period(start, min(plus_units(start, 1, unit), period.end), _grain_of(unit)))


def nth_weekday(period: Period, place: int, weekday: int) -> Period:
    """The first, second, … or last (-1) such weekday of a period; ValueError when it has none."""
    if place < 0:
        return _inside(period, weekday_before(period.end, weekday))
    first = weekday_after(period.start, weekday, is_strict=False).start
    return _inside(period, day(first + (place - 1) * 7 * DAY))


def _inside(period: Period, part: Period) -> Period:
    if not (period.start <= part.start < period.end):
        raise ValueError("no such part")
    return part


def _grain_of(unit: str) -> Grain:
    grains: dict[str, Grain] = {
        "week": "week",
        "month": "month",
        "quarter": "quarter",
        "year": "year",
        "decade": "decade",
    }
    return grains.get(unit, "day")


def easter(year: int) -> Period:
    """Easter Sunday of the Gregorian calendar, by the anonymous (Meeus/Jones/Butcher) computus.

    >>> easter(2024).start
    datetime.datetime(2024, 3, 31, 0, 0)
    """
    golden, century, of_century = year % 19, year // 100, year % 100
    leap_centuries, rest = divmod(century, 4)
    correction = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leap_centuries - correction + 15) % 30
    leaps, since_leap = divmod(of_century, 4)
    weekday = (32 + 2 * rest + 2 * leaps - epact - since_leap) % 7
    late = (golden + 11 * epact + 22 * weekday) // 451
    month, day_before = divmod(epact + weekday - 7 * late + 114, 31)
    return date(year, month, day_before + 1)


def holiday(name: str, year: int) -> Period:
    """A holiday of a year by its name in small letters, without "'s" and "day"; KeyError when unknown."""
    if name in _FIXED_HOLIDAYS:
        return date(year, *_FIXED_HOLIDAYS[name])
    if name in _EASTER_HOLIDAYS:
        return day(easter(year).start + _EASTER_HOLIDAYS[name] * DAY)
    month, place, weekday, offset = _FLOATING_HOLIDAYS[name]
    found = nth_weekday(months(year, month, 1, "month"), place, weekday)
    return day(found.start + offset * DAY)


_FIXED_HOLIDAYS = {
    "new year eve": (12, 31),
    "new year": (1, 1),
    "valentine": (2, 14),
    "st patrick": (3, 17),
    "april fool": (4, 1),
    "cinco de mayo": (5, 5),
    "juneteenth": (6, 19),
    "canada": (7, 1),
    "fourth of july": (7, 4),
    "independence": (7, 4),
    "bastille": (7, 14),
    "halloween": (10, 31),
    "veteran": (11, 11),
    "christmas eve": (12, 24),
    "christmas": (12, 25),
    "boxing": (12, 26),
}
_EASTER_HOLIDAYS = {"good friday": -2, "easter sunday": 0, "easter monday": 1, "easter": 0}
_FLOATING_HOLIDAYS = {  # month, place, weekday, days from there (American)
    "mlk": (1, 3, 0, 0),
    "president": (2, 3, 0, 0),
    "mother": (5, 2, 6, 0),
    "memorial": (5, -1, 0, 0),
    "father": (6, 3, 6, 0),
    "labor": (9, 1, 0, 0),
    "thanksgiving": (11, 4, 3, 0),
    "black friday": (11, 4, 3, 1),
    "cyber monday": (11, 4, 3, 4),
}
HOLIDAYS = (*_FIXED_HOLIDAYS, *_EASTER_HOLIDAYS, *_FLOATING_HOLIDAYS)
