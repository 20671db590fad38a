"""Times that a text tells, as intervals, resolved against the moment it was said.

The one idea: read every expression that stands for itself (the rules of `time_near` and `time_dates`), then let what
stands around it shape it ("the Friday before", "the first week of", "early", a year or a clock time beside it, "from
… to …", "since") until the whole phrase is one half-open interval [start, end) in the time zone in which it was said.

Conventions, where English leaves a choice:
- weeks begin on Monday; "last week" is the calendar week before, "the last week" or "past week" the seven days to now;
- a bare "Friday", "March" or "March 5" is the latest one, unless its sentence looks ahead ("will", "is on", "by"); then
  it is the next one. "Next Friday" is the Friday of next week;
- "two weeks ago" is the seven days around that day, "three months ago" a calendar month, "a few days ago" two to five;
- 5/3/2023 is May 3 unless `is_day_first`; 5.3.2023 is always 5 March; seasons are those of the northern hemisphere;
- "since June" ends with the moment of speaking; "before 2020" begins with `BEGINNING`, "after 3 March" ends with
  `END_OF_TIME`, which are the first and last moments of the calendar in UTC;
- "three days later" counts from the time told before it in the same text; with none, it tells no time.

English only, but for ISO dates and dates such as 2024年3月5日. Times of day without a day are those of the day of
speaking. What repeats ("every Friday", "on Fridays"), durations ("for two years") and vague words ("recently") tell no
time. Dates before year 1 or after 9999 are not found.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import ParamSpec

from mnemic.clock import as_aware
from mnemic.text import periods
from mnemic.text.periods import DAY, Grain, Period, midnight, plus_units
from mnemic.text.time_dates import DATE_RULES
from mnemic.text.time_near import NEAR_RULES, away
from mnemic.text.time_reading import GAP, THE, Meaning, Saying
from mnemic.text.time_shapes import SHAPES
from mnemic.text.time_words import PARTS, has_time_words

BEGINNING = datetime.min.replace(tzinfo=UTC)
END_OF_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """A time told in a text: the half-open interval [start, end) that it means."""

    start: datetime  # aware, in the zone of said_at; BEGINNING where open
    end: datetime  # aware, exclusive; END_OF_TIME where open
    text: str
    span: tuple[int, int]  # where `text` stands
    grain: Grain  # the unit that was named; "range" for what is put together or loose
    is_relative: bool  # does the interval depend on when the text was said?


def find_times(text: str, said_at: datetime, *, is_day_first: bool = False) -> list[TimeSpan]:
    """The times that `text` tells, in order and without overlaps; never raises, whatever the text.

    A naive `said_at` is taken to be UTC. See the module's docstring for what each expression means.

    >>> said = datetime(2023, 5, 25, 18, 30, tzinfo=UTC)
    >>> [(time.text, time.start.date().isoformat(), time.end.date().isoformat())
    ...  for time in find_times("I ran a race the Friday before 20 May and camped last weekend.", said)]
    [('the Friday before 20 May', '2023-05-19', '2023-05-20'), ('last weekend', '2023-05-20', '2023-05-22')]
    """
    low = _lower(text)
    if not has_time_words(low):
        return []
    saying = Saying(text, low, as_aware(said_at), is_day_first)
    found = _expressions(saying)
    for combine in (_with_years, _with_clocks, _shaped, _ranges, _open):
        found = combine(found, saying)
    spans = (_time_span(one, saying) for one in found if not one.meaning.is_weak)
    return [span for span in spans if span]


def mentions_time(text: str) -> bool:
    """Whether `text` has a word or number that may tell a time: a quick test before `find_times`.

    It may say yes to a text that tells none; it never says no to one that does.

    >>> mentions_time("We met in the spring of 2022"), mentions_time("We met at the lake")
    (True, False)
    """
    return has_time_words(_lower(text))


def _lower(text: str) -> str:
    low = text.lower()
    if len(low) == len(text):
        return low
    return "".join(small if len(small := letter.lower()) == 1 else letter for letter in text)


_P = ParamSpec("_P")
_RULES = (*NEAR_RULES, *DATE_RULES)


@dataclass(frozen=True, slots=True)
class _Found:
    start: int
    end: int
    meaning: Meaning

    @property
    def period(self) -> Period:
        return self.meaning.period


def _safely(read: Callable[_P, Meaning | None], *given: _P.args, **named: _P.kwargs) -> Meaning | None:
    """What `read` makes of what it is given, unless the calendar has no such time."""
    try:
        meaning = read(*given, **named)
    except (ValueError, OverflowError):  # no such day, or a year outside 1 to 9999
        return None
    return meaning if meaning and meaning.period.start < meaning.period.end else None


def _expressions(saying: Saying) -> list[_Found]:
    """What the rules read, leftmost and longest first; of equals the earlier rule."""
    matches = [
        (match.start(), -match.end(), place, match)
        for place, (pattern, _) in enumerate(_RULES)
        for match in pattern.finditer(saying.low)
    ]
    matches.sort(key=lambda one: one[:3])
    found: list[_Found] = []
    for start, minus_end, place, match in matches:
        if found and start < found[-1].end:
            continue
        rule = _RULES[place][1]
        meaning = _safely(rule, match, saying)
        if meaning and meaning.kind == "after":
            meaning = _after_the_last(found, meaning, saying)
        if meaning:
            found.append(_Found(start, -minus_end, meaning))
    return found


def _after_the_last(found: list[_Found], meaning: Meaning, saying: Saying) -> Meaning | None:
    """Anchors "three days later" at the time told before it."""
    anchor = next((one for one in reversed(found) if not one.meaning.is_weak), None)
    if not anchor:
        return None
    made = _safely(_step_from, anchor.period.start, meaning.step, saying)
    return replace(made, is_relative=anchor.meaning.is_relative) if made else None


def _step_from(start: datetime, step: tuple[int, str], saying: Saying) -> Meaning:
    count, unit = step
    if unit in PARTS:
        return Meaning(periods.part_of_day(start + DAY, unit))
    return Meaning(away(saying, start, (count, count), unit))


_beside_year = re.compile(r"[,\s]{0,2}\s?(?:of\s|in\s)?$|,$")
_beside_week = re.compile(r",?\s(?:of\s|on\s)?$|['’]s\s$")
_beside_date = re.compile(r",?\s(?:the\s)?$")
_shares_year = re.compile(r"\s?(?:,|and|or|to|through|until|till|-|–|—|/)\s?$")


def _with_years(found: list[_Found], saying: Saying) -> list[_Found]:
    """Joins "March 5" with "last year" beside it, "Friday" with "last week", "Friday" with "May 5"."""
    joined: list[_Found] = []
    for one in found:
        last = joined[-1] if joined else None
        if last is not None and one.start - last.end <= 6:
            between = saying.low[last.end : one.start]
            meaning = _safely(_joined, last, one, between)
            if meaning:
                joined[-1] = _Found(last.start, one.end, meaning)
                continue
            if _year_passes_on(last, one, between):
                shared = _safely(_in_year, last.meaning, one.period.start.year)
                joined[-1] = replace(last, meaning=shared) if shared else last
        joined.append(one)
    return joined


def _joined(first: _Found, second: _Found, between: str) -> Meaning | None:
    one, two = first.meaning, second.meaning
    if one.cycle == "year" and two.period.grain == "year" and _beside_year.match(between):
        year = two.period.start.year
        return replace(_in_year(one, year), is_relative=two.is_relative)
    if one.kind == "weekday" and two.period.grain == "week" and _beside_week.match(between):
        return Meaning(periods.nth_weekday(two.period, 1, one.period.start.weekday()))
    if two.kind == "weekday" and one.period.grain == "week" and _beside_week.match(between):
        return Meaning(periods.nth_weekday(one.period, 1, two.period.start.weekday()))
    if one.kind == "weekday" and two.period.grain == "day" and two.kind == "date" and _beside_date.match(between):
        return two
    return None


def _year_passes_on(first: _Found, second: _Found, between: str) -> bool:
    is_dated = not second.meaning.is_relative and second.period.grain in {"day", "month", "range"}
    return first.meaning.cycle == "year" and is_dated and _shares_year.match(between) is not None


def _in_year(meaning: Meaning, year: int) -> Meaning:
    assert meaning.in_year, "what comes again every year knows its other years"
    return Meaning(meaning.in_year(year), is_relative=False, kind=meaning.kind)


_to = re.compile(r"\s?(?:to|until|till|through|-|–|—)\s?$")
_and = re.compile(r"\s(?:and|to|until|till|through|-|–|—)\s(?:the\s)?$")
_beside_clock = re.compile(r"(?:,?\s(?:at\s|on\s|around\s|about\s|by\s|in\sthe\s|the\s|@\s)?)$|,$")


def _with_clocks(found: list[_Found], saying: Saying) -> list[_Found]:
    """Joins clock times into ranges, and clock times and parts of a day with the day beside them."""
    joined: list[_Found] = []
    for one in found:
        last = joined[-1] if joined else None
        between = saying.low[last.end : one.start] if last else ""
        if last and last.meaning.kind == one.meaning.kind == "clock":
            cue = saying.follows(_from, last.start) and _and.match(between)
            is_beside = _beside_clock.match(between)
            if (cue or _to.match(between)) and last.period.start < one.period.start:
                period = Period(last.period.start, one.period.start, "range")
                joined[-1] = _Found(last.start, one.end, replace(last.meaning, period=period, is_weak=False))
                continue
            if is_beside and one.period.grain == "part" and last.period.grain in {"hour", "minute"}:
                joined[-1] = _Found(last.start, one.end, _in_part(last.meaning, one.period))
                continue
        if last and _beside_clock.match(between):
            for clock, date in ((one, last), (last, one)):
                is_pair = clock.meaning.kind == "clock" and date.meaning.kind != "clock"
                if is_pair and date.period.grain in {"day", "part"}:
                    meaning = _safely(_on_the_day, clock, date)
                    if meaning:
                        joined[-1] = _Found(last.start, one.end, meaning)
                        break
            else:
                joined.append(one)
            continue
        joined.append(one)
    return joined


def _in_part(clock: Meaning, part: Period) -> Meaning:
    """ "9 o'clock" of "in the evening" is 21:00."""
    period = clock.period
    if period.start.hour < 12 <= part.start.hour:
        half_day = timedelta(hours=12)
        period = Period(period.start + half_day, period.end + half_day, period.grain)
    return replace(clock, period=period, is_weak=False)


def _on_the_day(clock: _Found, date: _Found) -> Meaning | None:
    period = _on_day(clock.period, date.period)
    return replace(date.meaning, period=period, is_weak=False, kind="date", cycle="") if period else None


def _on_day(clock: Period, date: Period) -> Period:
    shift = midnight(date.start) - midnight(clock.start)
    if date.grain == "part" and clock.start + shift < date.start and clock.start.hour < 6:
        shift += DAY  # "1 am last night"
    return Period(clock.start + shift, clock.end + shift, clock.grain)


_REACH = 48  # characters before an expression in which its shapes are looked for


def _shaped(found: list[_Found], saying: Saying) -> list[_Found]:
    """Applies "early", "the first week of", "the Friday before", … to what follows them, the nearest first."""
    shaped: list[_Found] = []
    for one in found:
        for _ in range(4):
            wider = _shape_once(one, shaped, saying)
            if not wider:
                break
            one = wider
            while shaped and shaped[-1].start >= one.start:
                shaped.pop()
        shaped.append(one)
    return shaped


def _shape_once(one: _Found, before: list[_Found], saying: Saying) -> _Found | None:
    for pattern, shape in SHAPES:
        match = pattern.search(saying.low, max(0, one.start - _REACH), one.start)
        if not match or any(other.start < match.start() < other.end for other in before[-2:]):
            continue
        try:
            period = shape(match, one.meaning, saying)
        except (ValueError, OverflowError):
            continue
        if period and period.start < period.end:
            meaning = replace(one.meaning, period=period, is_weak=False, cycle="", kind="date")
            return _Found(match.start(), one.end, meaning)
    return None


_from = re.compile(rf"\b(?:between|from){GAP}{THE}$")
_from_only = re.compile(rf"\bfrom{GAP}{THE}$")
_dash = re.compile(r"\s?(?:to|through|thru|–|—|-)\s?(?:the\s)?$")


def _ranges(found: list[_Found], saying: Saying) -> list[_Found]:
    """Joins "from X to Y", "between X and Y", "X to Y" and "X – Y"."""
    joined: list[_Found] = []
    for one in found:
        last = joined[-1] if joined else None
        if last and last.meaning.kind != "unit" and one.meaning.kind != "unit" and one.start - last.end <= 12:
            between = saying.low[last.end : one.start]
            cue = _from.search(saying.low, max(0, last.start - 14), last.start)
            is_dash = _dash.match(between) and (cue or not (last.meaning.is_weak or one.meaning.is_weak))
            if (cue and _and.match(between)) or is_dash:
                meaning = _safely(_from_to, last.meaning, one.meaning)
                if meaning:
                    joined[-1] = _Found(cue.start() if cue else last.start, one.end, meaning)
                    continue
        joined.append(one)
    return joined


def _from_to(first: Meaning, last: Meaning) -> Meaning | None:
    if first.cycle == "year" and not last.is_relative:
        first = _in_year(first, last.period.start.year)
    start, end = first.period.start, last.period.end
    if start >= last.period.start and (first.cycle or last.period.start.year == start.year):
        start = plus_units(start, -1, first.cycle or "year")
    if start >= last.period.start:
        return None
    is_relative = first.is_relative or last.is_relative
    return Meaning(Period(start, end, "range"), is_relative=is_relative)


_bound = re.compile(
    rf"\b(?:(?P<since>(?:ever{GAP})?since|starting(?:{GAP}(?:in|from|on))?)|(?P<before>before|prior{GAP}to|earlier{GAP}than)"
    rf"|(?P<after>after|later{GAP}than)|(?P<until>up{GAP}until|until|till|up{GAP}to|by|no{GAP}later{GAP}than)"
    rf"|(?P<from>from)){GAP}{THE}$"
)
_onwards = re.compile(rf"{GAP}(?:onwards?\b|forward\b|on(?=\s*(?:$|[.,;:!?])))")


def _open(found: list[_Found], saying: Saying) -> list[_Found]:
    """Opens what follows "since", "before", "after", "until", and "from X on"."""
    opened: list[_Found] = []
    for one in found:
        match = _bound.search(saying.low, max(0, one.start - 20), one.start)
        onwards = _onwards.match(saying.low, one.end) if match and match["from"] else None
        if match and one.meaning.kind != "unit" and (onwards or not match["from"]):
            meaning = _safely(_bounded, match, one.meaning, saying)
            if meaning:
                opened.append(_Found(match.start(), onwards.end() if onwards else one.end, meaning))
                continue
        opened.append(one)
    return opened


def _bounded(match: re.Match[str], meaning: Meaning, saying: Saying) -> Meaning | None:
    period = meaning.period
    is_clock = period.grain in {"hour", "minute", "part"}
    first, last = (midnight(period.start), periods.day(period.start).end) if is_clock else (datetime.min, datetime.max)
    if match["since"]:
        if meaning.cycle and period.start > saying.now:
            period = replace(period, start=plus_units(period.start, -1, meaning.cycle))
        if period.start < saying.now:
            return Meaning(Period(period.start, saying.now, "range"))
        return replace(meaning, is_weak=False)
    made = {
        "before": Period(first, period.start, "range"),
        "after": Period(period.start if is_clock else period.end, last, "range"),
        "until": Period(first, period.start if is_clock else period.end, "range"),
        "from": Period(period.start, last, "range"),
    }
    return replace(meaning, period=made[str(match.lastgroup)], is_weak=False, cycle="", kind="date")


def _time_span(one: _Found, saying: Saying) -> TimeSpan | None:
    period, zone = one.period, saying.said_at.tzinfo
    start = BEGINNING if period.start == datetime.min else period.start.replace(tzinfo=zone)
    end = END_OF_TIME if period.end == datetime.max else period.end.replace(tzinfo=zone)
    try:  # near the ends of the calendar a local time may have no name in UTC
        if not start.astimezone(UTC) < end.astimezone(UTC):
            return None
    except OverflowError:
        return None
    words = saying.text[one.start : one.end]
    return TimeSpan(start, end, words, (one.start, one.end), period.grain, one.meaning.is_relative)
