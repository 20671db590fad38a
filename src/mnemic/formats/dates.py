"""Dates as people write them in headings, file names and logs; English month names."""

from __future__ import annotations

import re
from datetime import date, time

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+)?"
_MONTH = r"(?P<month>(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*)\.?"
_YEAR, _DAY = r"(?P<year>(?:1[0-9]|2[01])\d\d)", r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_END = r"(?!\d)"
_FORMS = tuple(
    re.compile(_WEEKDAY + form + _END, re.IGNORECASE)
    for form in (
        rf"{_YEAR}(?P<mark>[-/._])(?P<month>\d{{1,2}})(?P=mark)(?P<day>\d{{1,2}})",  # 2024-05-01
        rf"{_YEAR}(?P<month>\d\d)(?P<day>\d\d)",  # 20240501
        rf"{_DAY}\s+(?:of\s+)?{_MONTH},?\s+{_YEAR}",  # 3 June 2024
        rf"{_MONTH}\s+{_DAY}(?:,|\s)\s*(?:\d\d:\d\d:\d\d\s+)?{_YEAR}",  # June 3, 2024; Jun 03 10:00:00 2024
    )
)
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?(?:\s*([ap])\.?m\b)?", re.IGNORECASE)


def date_at_start(text: str) -> tuple[date, str] | None:
    """The date that `text` begins with, after an optional weekday and brackets, and what follows it.

    >>> date_at_start("Monday, 3 June 2024 – Lisbon")
    (datetime.date(2024, 6, 3), '– Lisbon')
    """
    text = text.lstrip(" [(*_")
    for form in _FORMS:
        if (found := form.match(text)) and (day := _date(found)):
            return day, text[found.end() :].lstrip(" ])*_T,")
    return None


def date_within(text: str) -> date | None:
    """The first date anywhere in `text`, such as a file's name.

    >>> date_within("irc/2004-11-15_03.txt")
    datetime.date(2004, 11, 15)
    """
    for form in _FORMS:
        for found in form.finditer(text):
            follows_digit = found.start() > 0 and text[found.start() - 1].isdigit()
            if not follows_digit and (day := _date(found)):
                return day
    return None


def clock_at_start(text: str) -> time | None:
    """The time of day that `text` begins with: "14:30", "2:30 pm", "14:30:05"."""
    found = _CLOCK.match(text.lstrip())
    return clock(found[1], found[2], found[3], found[4]) if found else None


def clock(hour: str, minute: str, second: str | None = None, half: str | None = None) -> time | None:
    """A time of day from its digits and the "a" or "p" of am and pm; None where there is no such time."""
    hours = int(hour)
    if half:
        hours = hours % 12 + (12 if half.lower().startswith("p") else 0)
    try:
        return time(hours, int(minute), int(second or 0))
    except ValueError:
        return None


def day_of(year: int, month: int, day: int) -> date | None:
    """That date, or None where the calendar has none; two digits of a year mean 2000 and later."""
    try:
        return date(year + 2000 if year < 100 else year, month, day)
    except ValueError:
        return None


def month_number(name: str) -> int:
    """1 to 12 for an English month's name or its first three letters; 0 for anything else."""
    key = name[:3].lower()
    return _MONTHS.index(key) + 1 if key in _MONTHS else 0


def _date(found: re.Match[str]) -> date | None:
    month = found["month"]
    return day_of(int(found["year"]), int(month) if month.isdigit() else month_number(month), int(found["day"]))
