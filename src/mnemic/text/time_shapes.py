"""What stands before a time and shapes it: "early May", "the first week of August", "the Friday before 5 May".

Each shape is a pattern that ends where the time begins, and what it makes of that time's period.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from mnemic.text import periods
from mnemic.text.periods import DAY, Period, midnight, plus_units, unit_of
from mnemic.text.time_near import away, whole_units
from mnemic.text.time_reading import GAP, THE, Meaning, Saying
from mnemic.text.time_words import COUNT, ORDINAL, PART, UNIT, UNITS, WEEKDAY, WEEKDAYS, ordinal_of

Shape = Callable[[re.Match[str], Meaning, Saying], Period | None]


def _third(match: re.Match[str], meaning: Meaning, saying: Saying) -> Period | None:
    word = match["noun"] or match["word"]
    which = {"beginning": "early", "start": "early", "middle": "mid", "end": "late"}.get(word, word)
    is_part = meaning.is_weak and meaning.kind == "clock"
    if match["word"] and (is_part or meaning.period.grain in {"day", "hour", "minute", "weekend"}):
        return None  # "I left early yesterday", "a late-night show"
    return periods.third(meaning.period, {"early part": "early", "latter part": "late"}.get(which, which))


def _side_of_now(match: re.Match[str], meaning: Meaning, saying: Saying) -> Period | None:
    period, now = meaning.period, saying.now
    if match["side"] == "earlier" and period.grain == "part" and period.start.date() == now.date():
        if now >= period.end:
            return period
        if now <= period.start and now.hour < 6:  # "earlier this morning", said at four
            return Period(midnight(now), now, "range")
    if not period.start < now < period.end:
        return None
    if match["side"] == "earlier":
        return Period(period.start, now, "range")
    return Period(now, period.end, "range")


def _nth_part(match: re.Match[str], meaning: Meaning, saying: Saying) -> Period | None:
    place, unit = ordinal_of(match["place"]), match["unit"]
    if match["weekday"]:
        return periods.nth_weekday(meaning.period, place, WEEKDAYS[match["weekday"]])
    if unit == "few":
        unit = "day"
    if not match["count"]:
        return periods.nth(meaning.period, place, unit)
    (_, count), unit = whole_units(match["count"], unit)
    first, last = (1, count) if place > 0 else (-1, -1)
    start, end = periods.nth(meaning.period, first, unit).start, periods.nth(meaning.period, last, unit).end
    return Period(start if place > 0 else plus_units(end, -count, unit), end, "range")


def _part_of(match: re.Match[str], meaning: Meaning, saying: Saying) -> Period | None:
    shift = {"before": -1, "after": 1}.get(match["way"], 0)
    if meaning.period.grain != "day":
        return None
    return periods.part_of_day(meaning.period.start + shift * DAY, match["part"])


def _so_far_from(match: re.Match[str], meaning: Meaning, saying: Saying) -> Period | None:
    count, unit = whole_units(match["count"], UNITS[match["unit"]])
    sign = -1 if match["way"] in {"before", "prior to"} else 1
    if not count[1] or (match["way"] == "from" and meaning.kind != "weekday" and meaning.period.grain != "day"):
        return None
    if match["way"] == "from":
        start = meaning.period.start
        if meaning.kind == "weekday":
            start = periods.weekday_after(saying.now, start.weekday()).start
        return periods.day(plus_units(start, count[1], unit))
    start = meaning.period.start if sign < 0 or meaning.period.grain == "day" else meaning.period.end - DAY
    return away(saying, start, (sign * count[0], sign * count[1]), unit)


def _beside(match: re.Match[str], meaning: Meaning, saying: Saying) -> Period | None:
    """The day, week, weekend, month, year or weekday next to a date."""
    period, unit, is_before = meaning.period, match["unit"], match["way"] in {"before", "prior to", "preceding"}
    if match["way"] == "of":
        return unit_of(period.start, unit) if unit in {"week", "weekend", "month", "year"} else None
    edge = period.start if is_before else period.end
    if match["weekday"]:
        weekday = WEEKDAYS[match["weekday"]]
        if is_before:
            return periods.weekday_before(edge, weekday)
        return periods.weekday_after(edge, weekday, is_strict=False)
    if unit == "weekend":
        saturday = periods.weekday_before(edge, 5) if is_before else periods.weekday_after(edge, 5, is_strict=False)
        if is_before and saturday.end >= edge:  # a weekend that the date is part of
            saturday = periods.day(saturday.start - 7 * DAY)
        return periods.weekend(saturday.start)
    other = plus_units(edge, -1 if is_before else 1, unit)
    grain = unit_of(edge, unit).grain
    return Period(other, edge, grain) if is_before else Period(edge, other, grain)


SHAPES: tuple[tuple[re.Pattern[str], Shape], ...] = tuple(
    (re.compile(pattern), shape)
    for pattern, shape in (
        (
            rf"\b{THE}(?:very{GAP})?(?:(?P<noun>beginning|start|middle|end|early{GAP}part|latter{GAP}part){GAP}of"
            rf"|(?P<word>early|mid|middle|late)(?:{GAP}in)?)[\s-]{{1,3}}{THE}$",
            _third,
        ),
        (rf"\b(?P<side>earlier|later)(?:{GAP}(?:in|on))?{GAP}$", _side_of_now),
        (
            rf"\b{THE}(?:very{GAP})?(?P<place>{ORDINAL}){GAP}(?:(?P<count>{COUNT}){GAP})?"
            rf"(?:(?P<unit>day|weekend|week|month|quarter|half|decade|year)s?|(?P<weekday>{WEEKDAY})){GAP}(?:of|in){GAP}{THE}$",
            _nth_part,
        ),
        (rf"\b{THE}(?P<part>{PART}){GAP}(?P<way>of|on|before|after){GAP}{THE}$", _part_of),
        (
            rf"\b(?P<count>{COUNT}){GAP}(?P<unit>{UNIT})s?{GAP}(?P<way>before|after|prior{GAP}to|following|from){GAP}{THE}$",
            _so_far_from,
        ),
        (
            rf"\b{THE}(?:(?P<unit>day|weekend|week|month|year)|(?P<weekday>{WEEKDAY})){GAP}"
            rf"(?P<way>before|after|prior{GAP}to|preceding|following|of){GAP}{THE}$",
            _beside,
        ),
    )
)
