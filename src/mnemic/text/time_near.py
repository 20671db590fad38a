"""Rules for times told from the moment of speaking: "last week", "two days ago", "on Friday", "at 3 pm".

"Next Friday" is the Friday of next week, "this Friday" the first one from today on, "last Friday" the one before
today. A last month, season or holiday is the latest that is over; a next one the first that has not begun.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from mnemic.text import periods
from mnemic.text.periods import DAY, Period, day, midnight, part_of_day, plus_units, unit_of
from mnemic.text.time_reading import GAP, YEAR, Meaning, RuleTable, Saying, recurs
from mnemic.text.time_words import (
    COUNT,
    HOLIDAY,
    MONTH,
    MONTHS,
    PART,
    SEASON,
    SEASONS,
    UNIT,
    UNITS,
    VERB_MONTHS,
    WEEKDAY,
    WEEKDAY_NAME,
    WEEKDAYS,
    WORD_WEEKDAYS,
    count_of,
    direction,
    holiday_name,
)


def _named_day(match: re.Match[str], saying: Saying) -> Meaning | None:
    word = re.sub(r"^the\s+", "", match.group())
    if word == "tonight":
        return Meaning(part_of_day(saying.now, "tonight"))
    if word.startswith("other"):
        return Meaning(Period(day(saying.now - 7 * DAY).start, midnight(saying.now), "range"))
    away = {"today": 0, "yesterday": -1, "tomorrow": 1}
    return Meaning(day(saying.now + away.get(word, 2 if "after" in word else -2) * DAY))


def _before_last(match: re.Match[str], saying: Saying) -> Meaning | None:
    sign = -1 if match["way"].startswith("before") else 1
    thing = match["thing"]
    if thing in WEEKDAYS:
        near = _near(thing, sign, saying)
        return Meaning(day(near.start + sign * 7 * DAY)) if near else None
    if thing == "night":
        return Meaning(part_of_day(saying.now + sign * 2 * DAY, "night"))
    if thing in SEASONS:
        near = _near(thing, sign, saying)
        return Meaning(periods.season(near.start.year + sign, thing)) if near else None
    return Meaning(unit_of(plus_units(saying.now, 2 * sign, thing), thing))


PARTS_OF_A_DAY = frozenset({"morning", "afternoon", "evening", "night"})


def _near_unit(match: re.Match[str], saying: Saying) -> Meaning | None:
    """last, this, next + week, Friday, March, summer, Christmas, morning."""
    which, thing = (re.sub(r"\s+", " ", match[name]) for name in ("which", "thing"))
    has_the = bool(match["the"])
    is_past = which.endswith("past") or which.startswith("this ")  # "this last week" is the seven days to now
    sign = -1 if which in {"last", "previous"} or is_past else 0 if which in {"this", "current"} else 1
    unit = UNITS.get(thing)
    if unit in {"hour", "day", "week", "month", "quarter", "year", "decade", "century"}:
        if has_the and which == "next" and unit == "day":
            return Meaning(day(saying.now), kind="after", step=(1, "day"))
        rolls = (has_the and which in {"last", "next"}) or is_past or which == "coming"
        if rolls and not saying.low.startswith(("'s", "’s"), match.end()):
            return Meaning(_rolling(saying, 1, unit, sign))
    if thing in VERB_MONTHS and sign == 0 and saying.text[match.end() - len(thing)].islower():
        return None
    if thing in {"sun", "sat"} and sign == 0 and saying.text[match.end() - len(thing)].islower():
        return None
    if thing in PARTS_OF_A_DAY:
        if sign > 0:
            return Meaning(day(saying.now), kind="after", step=(1, thing)) if has_the else None
        return Meaning(part_of_day(saying.now + sign * DAY, thing))
    period = _near(thing, sign, saying)
    return Meaning(period) if period else None


def _near(thing: str, sign: int, saying: Saying) -> Period | None:
    """The last (-1), this (0) or next (1) of a unit, weekday, month, season or holiday.

    "Next Friday" is the Friday of next week, "this Friday" the first one from today on, "last Friday" the one before
    today. A last month, season or holiday is the latest that is over; a next one the first that has not begun.
    """
    now = saying.now
    if thing in UNITS:
        return unit_of(plus_units(now, sign, UNITS[thing]), UNITS[thing])
    if thing in WEEKDAYS:
        weekday = WEEKDAYS[thing]
        if sign < 0:
            return periods.weekday_before(now, weekday)
        if sign == 0:
            return periods.weekday_after(now, weekday, is_strict=False)
        return day(periods.week(now).end + weekday * DAY)
    if sign == 0 and thing != "winter":
        return _yearly(thing, now.year)
    if sign == 0:
        return periods.season(now.year - (now.month < 3), "winter")
    nearby = [_yearly(thing, year) for year in range(max(1, now.year - 2), min(9998, now.year + 2) + 1)]
    if sign > 0:
        return next((period for period in nearby if period.start > now), None)
    return next((period for period in reversed(nearby) if period.end <= now), None)


def _yearly(thing: str, year: int) -> Period:
    if thing in MONTHS:
        return periods.months(year, MONTHS[thing], 1, "month")
    if thing in SEASONS:
        return periods.season(year, thing)
    return periods.holiday(holiday_name(thing), year)


def _rolling(saying: Saying, count: int, unit: str, sign: int) -> Period:
    if unit in {"minute", "hour"}:
        there = saying.shifted(sign * count * timedelta(minutes=1 if unit == "minute" else 60))
        begin, end = sorted((there, saying.now))
        return Period(begin, end, "range")
    there = plus_units(midnight(saying.now), sign * count, unit)
    if sign < 0:
        return Period(there, day(saying.now).end, "range")
    return Period(midnight(saying.now), there + DAY, "range")


def _last_few(match: re.Match[str], saying: Saying) -> Meaning | None:
    sign = 1 if match["which"] in {"next", "coming"} else -1
    if not match["count"] and not match["many"]:
        return None
    count, unit = whole_units(match["count"] or "few", UNITS[match["unit"]])
    return Meaning(_rolling(saying, count[1], unit, sign)) if count[1] else None


def whole_units(words: str, unit: str, and_half: bool = False) -> tuple[tuple[int, int], str]:
    """A count in units that have whole numbers: half a year is 6 months."""
    halves = {
        "year": (6, "month"),
        "month": (15, "day"),
        "week": (4, "day"),
        "day": (12, "hour"),
        "hour": (30, "minute"),
    }
    halves |= {"decade": (5, "year"), "century": (50, "year")}
    if words.startswith("half"):
        number, smaller = halves.get(unit, (0, unit))
        return (number, number), smaller
    low, high = count_of(words)
    if and_half and unit in halves:
        number, smaller = halves[unit]
        return (2 * number * low + number, 2 * number * high + number), smaller
    return (low, high), unit


def away(saying: Saying, start: datetime, count: tuple[int, int], unit: str) -> Period:
    """What lies `count` units from `start` (negative: before it), as wide as the words are loose.

    "Two weeks ago" is the seven days around that day, "three months ago" a calendar month, "an hour ago" the sixty
    minutes around that moment; "a few days ago" runs from the most to the least that "few" may mean.
    """
    least, most = sorted(count)
    if least != most:
        first, last = (plus_units(start, number, unit) for number in (least, most))
        wide = unit in {"month", "quarter", "year", "decade", "century"}
        begin = unit_of(first, unit).start if wide else midnight(first)
        end = unit_of(last, unit).end if wide else day(last).end
        if unit in {"hour", "minute"}:
            begin, end = first, last
        return Period(begin, end, "range")
    if unit in {"minute", "hour"}:
        half = timedelta(minutes=30 if unit == "hour" else max(0.5, abs(least) / 4))
        step = timedelta(minutes=least * (60 if unit == "hour" else 1))
        middle = saying.shifted(step) if start == saying.now else start + step
        return Period(middle - half, middle + half, "hour" if unit == "hour" else "minute")
    there = plus_units(start, least, unit)
    if unit == "week":
        return Period(midnight(there) - 3 * DAY, midnight(there) + 4 * DAY, "week")
    if unit == "night":
        return part_of_day(there, "night")
    return unit_of(there, unit)


def _ago(match: re.Match[str], saying: Saying) -> Meaning | None:
    way = match["way"]
    if match["weekday"]:
        count = count_of(match["count"])
        near = periods.weekday_before(saying.now, WEEKDAYS[match["weekday"]])
        return Meaning(day(near.start - 7 * (count[0] - 1) * DAY))
    unit = UNITS[match["unit"]]
    count, unit = whole_units(match["count"], unit, bool(match["half"]))
    if not count[1]:
        return None
    if way.startswith(("later", "after")):
        return Meaning(day(saying.now), kind="after", step=(count[1], unit))
    sign = -1 if way in {"ago", "back", "earlier", "before now"} else 1
    return Meaning(away(saying, saying.now, (sign * count[0], sign * count[1]), unit))


def _in_units(match: re.Match[str], saying: Saying) -> Meaning | None:
    unit = UNITS[match["unit"]]
    if direction(saying.low, match.start()) < 0 or (unit == "minute" and match["count"] in {"a", "one"}):
        return None  # "I read it in two weeks" tells how long
    count, unit = whole_units(match["count"], unit, bool(match["half"]))
    if not count[1]:
        return None
    if match["in"] == "within":
        return Meaning(_rolling(saying, count[1], unit, 1))
    return Meaning(away(saying, saying.now, count, unit))


_on = re.compile(r"\b(?:on|by|since|until|till|before|after|from|to)\s+$")


def _weekday_alone(match: re.Match[str], saying: Saying) -> Meaning | None:
    word, at = match.group("weekday"), match.start()
    if saying.follows(recurs, at):
        return None
    is_short = len(word) < 6
    if word in WORD_WEEKDAYS and saying.text[at].islower():
        return None
    weekday = WEEKDAYS[word]
    nearest = periods.weekday_after if saying.looks_ahead(at) else periods.weekday_before
    period = nearest(saying.now, weekday)
    is_weak = is_short and not saying.follows(_on, at)
    return Meaning(period, is_weak=is_weak, cycle="week", kind="weekday")


def _weekend(match: re.Match[str], saying: Saying) -> Meaning | None:
    this = periods.weekend(saying.now)
    if this.start <= saying.now or saying.looks_ahead(match.start()):
        return Meaning(this)
    return Meaning(periods.weekend(saying.now - 7 * DAY))


def _the_unit(match: re.Match[str], saying: Saying) -> Meaning | None:
    return Meaning(unit_of(saying.now, match["unit"]), is_weak=True, kind="unit")


def _following(match: re.Match[str], saying: Saying) -> Meaning | None:
    return Meaning(day(saying.now), kind="after", step=(1, match["unit"]))


_clock_cue = re.compile(r"\b(?:at|around|by|before|after|until|till|since|from|to|about)\s+$")


def _clock(match: re.Match[str], saying: Saying) -> Meaning | None:
    start = midnight(saying.now)
    if match["word"]:
        start += timedelta(hours=12 if match["word"] in {"noon", "midday"} else 0)
        return _clock_meaning(start, False, saying.follows(_clock_cue, match.start()))
    hour, minute, half = (
        int(match["hour"] or match["hour24"]),
        match["minute"] or match["minute24"],
        match["half"] or "",
    )
    if hour > 23 or (match["half"] and not 1 <= hour <= 12):
        return None
    if half.startswith("p") and hour < 12:
        hour += 12
    elif half.startswith("a") and hour == 12:
        hour = 0
    start += timedelta(hours=hour, minutes=int(minute or 0))
    return _clock_meaning(start, bool(minute), bool(half) or saying.follows(_clock_cue, match.start()))


def _clock_meaning(start: datetime, has_minute: bool, is_strong: bool) -> Meaning:
    length = timedelta(minutes=1) if has_minute else timedelta(hours=1)
    return Meaning(
        Period(start, start + length, "minute" if has_minute else "hour"), is_weak=not is_strong, kind="clock"
    )


def _part(match: re.Match[str], saying: Saying) -> Meaning | None:
    period = part_of_day(saying.now, match["part"])
    if match["which"]:
        period = periods.third(period, match["which"])
    return Meaning(period, is_weak=True, kind="clock")


_NOT_PART_OF = rf"(?!{GAP}(?:of\b|in{GAP}(?:{MONTH}\b|{YEAR})))"  # "the last Friday in March" is not last Friday
_NEAR_THING = (
    rf"(?:hour|day|morning|afternoon|evening|night|weekend|week|month|quarter|year|decade|century"
    rf"|{SEASON}|{HOLIDAY}|{WEEKDAY}|{MONTH})"
)

NEAR_RULES: RuleTable = tuple(
    (re.compile(pattern), rule)
    for pattern, rule in (
        (
            r"\b(?:(?:the\s+)?day before yesterday|(?:the\s+)?day after tomorrow|yesterday|today|tonight|tomorrow"
            r"|the\sother\s(?:day|night))\b",
            _named_day,
        ),
        (
            rf"\b(?:the{GAP})?(?P<thing>night|weekend|week|month|year|{SEASON}|{WEEKDAY}){GAP}"
            rf"(?P<way>before{GAP}last|after{GAP}next)\b",
            _before_last,
        ),
        (
            rf"\b(?P<the>(?:the|these){GAP})?(?P<which>this{GAP}(?:past|last|previous)|last|past|previous|this|current|next|coming)"
            rf"{GAP}(?P<thing>{_NEAR_THING})\b{_NOT_PART_OF}",
            _near_unit,
        ),
        (
            rf"\b(?:the{GAP}|these{GAP}|this{GAP})?(?P<which>last|past|previous|next|coming){GAP}(?:(?P<count>{COUNT}){GAP})?"
            rf"(?P<unit>{UNIT})(?P<many>s)?\b{_NOT_PART_OF}",
            _last_few,
        ),
        (
            rf"\b(?P<count>{COUNT})[\s-]{{0,3}}(?:(?P<weekday>{WEEKDAY_NAME})s?|(?P<unit>{UNIT})s?){GAP}"
            rf"(?P<half>and{GAP}a{GAP}half{GAP})?(?P<way>ago|back|from{GAP}now|from{GAP}today|hence|later|after{GAP}that"
            rf"|afterwards?|earlier|before{GAP}now)\b",
            _ago,
        ),
        (
            rf"\b(?P<in>in|within){GAP}(?:about{GAP}|another{GAP})?(?P<count>{COUNT}){GAP}(?P<unit>{UNIT})s?\b"
            rf"(?P<half>{GAP}and{GAP}a{GAP}half)?(?:['’]?\stime\b)?(?!{GAP}(?:ago|old|of|or)\b)",
            _in_units,
        ),
        (rf"\b(?P<weekday>{WEEKDAY})\b", _weekday_alone),
        (rf"\bthe{GAP}weekend\b(?!{GAP}(?:of|before|after)\b)", _weekend),
        (rf"\bthe{GAP}(?P<unit>week|month|year|quarter|decade)\b", _the_unit),
        (
            rf"\bthe{GAP}following{GAP}(?P<unit>day|morning|afternoon|evening|night|weekend|week|month|year)\b",
            _following,
        ),
        (
            r"(?<![\w.:$€£])(?P<hour>\d{1,2})(?:[:.](?P<minute>[0-5]\d))?\s?(?:(?P<half>[ap])(?:\.m\.|m\b)|(?P<clock>o['’]clock\b))"
            r"|(?<![\w.:/-])(?P<hour24>[01]?\d|2[0-3]):(?P<minute24>[0-5]\d)(?::[0-5]\d)?(?![\w:/-])"
            r"|\b(?P<word>noon|midday|midnight)\b",
            _clock,
        ),
        (rf"\b(?:in{GAP}the{GAP}|at{GAP})?(?:(?P<which>early|late){GAP})?(?P<part>{PART})\b", _part),
    )
)
