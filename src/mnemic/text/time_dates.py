"""Rules for times told by the calendar: dates, months, years, decades, quarters, seasons and holidays.

A date without its year is the latest that has begun, or, when its sentence looks ahead, the first that is not over.
The rest of the care taken here is against taking words and numbers for dates that are none: "may" and "march" the
verbs, "2000 tokens", "fall", version numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from mnemic.text import periods
from mnemic.text.periods import Period, plus_units, unit_of
from mnemic.text.time_reading import GAP, YEAR, Meaning, RuleTable, Saying, recurs
from mnemic.text.time_words import (
    AMBIGUOUS_MONTHS,
    DAY_NUMBER,
    HOLIDAY,
    MONTH,
    MONTHS,
    SEASON,
    VERB_MONTHS,
    holiday_name,
    ordinal_of,
)


def _iso_date(match: re.Match[str], saying: Saying) -> Meaning | None:
    period = periods.date(int(match["year"]), int(match["month"]), int(match["day"]))
    if match["clock"]:
        moment = datetime.fromisoformat(match.group().replace("/", "-").replace(".", "-", 2).upper())
        if moment.tzinfo:
            moment = moment.astimezone(saying.said_at.tzinfo).replace(tzinfo=None)
        period = unit_of(moment, "minute")
    return Meaning(period, is_relative=False)


def _iso_month(match: re.Match[str], saying: Saying) -> Meaning | None:
    return Meaning(periods.months(int(match["year"]), int(match["month"]), 1, "month"), is_relative=False)


def _numeric_date(match: re.Match[str], saying: Saying) -> Meaning | None:
    first, second, year = int(match["first"]), int(match["second"]), int(match["year"])
    if len(match["year"]) == 2:
        if match["sign"] != "/":
            return None
        year += saying.now.year // 100 * 100
        year -= 100 if year > saying.now.year + 20 else 0
    is_day_first = saying.is_day_first or match["sign"] == "." or first > 12
    day_of_month, month = (first, second) if is_day_first and second <= 12 else (second, first)
    return Meaning(periods.date(year, month, day_of_month), is_relative=False)


_date_cue = re.compile(r"\b(?:on|since|by|before|after|until|from|to|of)\s+(?:the\s+)?$")


def _short_date(match: re.Match[str], saying: Saying) -> Meaning | None:
    if not saying.follows(_date_cue, match.start()):
        return None
    first, second = int(match["first"]), int(match["second"])
    if (saying.is_day_first and second <= 12) or first > 12:
        first, second = second, first
    return _in_some_year(saying, match, lambda year: periods.date(year, first, second))


def _in_some_year(saying: Saying, match: re.Match[str], of_year: Callable[[int], Period]) -> Meaning | None:
    """A yearless date: the latest that has begun, or when the sentence looks ahead the first that is not over."""
    now, looks_ahead = saying.now, saying.looks_ahead(match.start())
    for year in range(now.year - 1, now.year + 9) if looks_ahead else range(now.year, now.year - 9, -1):
        try:
            period = of_year(year)
        except ValueError:  # no 29 February in it, or no such year
            continue
        if (period.end > now) if looks_ahead else (period.start <= now):
            return Meaning(period, cycle="year", in_year=of_year)
    return None


_clause_goes_on = re.compile(
    r"\s+(?!(?:at|in|on|and|or|to|we|i|from|for|with|was|is|if|but|because|he|she|they|last|this)\b)[a-z]"
)


def _month_day(match: re.Match[str], saying: Saying) -> Meaning | None:
    month, first, last = MONTHS[match["month"]], ordinal_of(match["day"]), match["last"]
    at = match.start("month")
    if match["month"] in VERB_MONTHS and saying.text[at].islower() and not match["year"]:
        is_day_first = match.start("day") < at
        if is_day_first and not re.search(r"(?:st|(?<!\ba)nd|rd|th|of)\s", match.group()):
            return None  # "5 may be enough"
        if not is_day_first and match["day"].isdigit() and _clause_goes_on.match(saying.low, match.end()):
            return None  # "we march 5 miles"

    def of_year(year: int) -> Period:
        start = periods.date(year, month, first)
        end = periods.date(year, month, ordinal_of(last)) if last else start
        if end.start < start.start:
            raise ValueError("a range that ends before it begins")
        return Period(start.start, end.end, "range" if last else "day")

    if match["year"]:
        return Meaning(of_year(int(match["year"])), is_relative=False)
    return _in_some_year(saying, match, of_year)


def _month_year(match: re.Match[str], saying: Saying) -> Meaning | None:
    year = _written_year(match["year"], saying)
    return Meaning(periods.months(year, MONTHS[match["month"]], 1, "month"), is_relative=False)


def _written_year(word: str, saying: Saying) -> int:
    if word[0].isdigit():
        return int(word)
    year = saying.now.year // 100 * 100 + int(word[1:])
    return year - 100 if year > saying.now.year + 20 else year


_month_cue = re.compile(
    r"\b(?:in|since|during|until|till|by|of|through|throughout|around|from|for|(?:between|from)\s+\w+\.?\s+(?:to|and))\s+$"
)


def _month_alone(match: re.Match[str], saying: Saying) -> Meaning | None:
    word, at = match["month"], match.start()
    if saying.follows(recurs, at):
        return None
    is_cued = saying.follows(_month_cue, at)
    is_lower_verb = word in VERB_MONTHS and saying.text[at].islower()
    is_strong = is_cued if word in AMBIGUOUS_MONTHS else True
    if is_lower_verb and not re.search(r"\b(?:in|since|during|until|till)\s+$", saying.low[max(0, at - 10) : at]):
        is_strong = False
    found = _in_some_year(saying, match, lambda year: periods.months(year, MONTHS[word], 1, "month"))
    return replace(found, is_weak=not is_strong) if found else None


def _day_of_month(match: re.Match[str], saying: Saying) -> Meaning | None:
    number, month = ordinal_of(match["day"]), match["month"]
    if not month and (not saying.follows(_date_cue, match.start()) or _clause_goes_on.match(saying.low, match.end())):
        return None
    now = saying.now
    if month:
        there = plus_units(now, {"last": -1, "next": 1}.get(month, 0), "month")
        return Meaning(periods.date(there.year, there.month, number))
    first = 0 if saying.looks_ahead(match.start()) else -1
    for months in range(first, 3) if first == 0 else range(0, -3, -1):
        there = plus_units(now.replace(day=1), months, "month")
        try:
            found = periods.date(there.year, there.month, number)
        except ValueError:
            continue
        if (found.end > now) if first == 0 else (found.start <= now):
            return Meaning(found)
    return None


_year_cue = re.compile(
    r"(?:\b(?:in|since|during|until|till|before|after|year|year\sof|around|circa|early|mid|late|between|from|by"
    r"|back\sin|the|my|our|his|her|their|your)[\s-]+|[(\[]|^\s*|,\s*)$"
)


_of = re.compile(r"\bof\s+$")


_not_a_year_before = re.compile(
    r"[\d$€£¥#№:/.,+*=&?_-]\s?$|\b(?:room|route|page|line|no\.?|number|version|over|than|about|only)\s+$"
)


_not_a_year_after = re.compile(
    r"[%°$€£]|[.,:/_]\d|-\w|\s?(?:k|km|m|kg|g|mb|gb|ms|usd|eur|dollars|euros|percent|hours|people|words|tokens|miles"
    r"|pages|points|calories|times|of|more|million|thousand|hundred)\b"
)


_plural_after = re.compile(r"\s+[a-z]{2,}s\b(?<!was)(?<!is)(?<!has)(?<!his)(?<!this)(?<!us)(?<!as)")


def _year(match: re.Match[str], saying: Saying) -> Meaning | None:
    year, at, low = int(match["year"]), match.start(), saying.low
    if saying.follows(_not_a_year_before, at) or _not_a_year_after.match(low, match.end()):
        return None
    distance = abs(year - saying.now.year)
    is_plural = _plural_after.match(low, match.end()) is not None
    is_cued = saying.follows(_year_cue, at) or (saying.follows(_of, at) and distance < 130 and year % 100 != 0)
    if is_plural and (year % 100 == 0 or not is_cued):
        return None
    before = re.search(r"(\w+)['’]?\s+$", saying.text[max(0, at - 28) : at])
    after_name = before is not None and before[1][0].isupper() and distance <= 10
    is_strong = (is_cued and 1000 <= year < 3000) or after_name
    return Meaning(unit_of(datetime(year, 1, 1), "year"), is_relative=False, is_weak=not is_strong)


def _years(match: re.Match[str], saying: Saying) -> Meaning | None:
    first, last = int(match["first"]), match["last"]
    end = int(last) if len(last) == 4 else first // 100 * 100 + int(last)
    if not (1800 <= first < end < 2200):
        return None
    return Meaning(Period(datetime(first, 1, 1), unit_of(datetime(end, 1, 1), "year").end, "range"), is_relative=False)


_DECADES = {"twenties": 20, "thirties": 30, "forties": 40, "fifties": 50, "sixties": 60, "seventies": 70}
_DECADES |= {"eighties": 80, "nineties": 90}


def _decade(match: re.Match[str], saying: Saying) -> Meaning | None:
    if not match["decade"] and not match.group().startswith("the"):
        return None
    number = _DECADES[match["word"]] if match["word"] else int(match["decade"] or match["short"])
    if number >= 100:
        return _part_of_decade(match, unit_of(datetime(number, 1, 1), "decade"), False)
    year = saying.now.year // 100 * 100 + number
    year -= 100 if year > saying.now.year else 0
    return _part_of_decade(match, unit_of(datetime(year, 1, 1), "decade"), True)


def _part_of_decade(match: re.Match[str], decade: Period, is_relative: bool) -> Meaning:
    return Meaning(periods.third(decade, match["part"]) if match["part"] else decade, is_relative=is_relative)


def _century(match: re.Match[str], saying: Saying) -> Meaning | None:
    number = ordinal_of(match["century"])
    return Meaning(unit_of(datetime(number * 100 - 50, 1, 1), "century"), is_relative=False)


def _quarter(match: re.Match[str], saying: Saying) -> Meaning | None:
    number, year = int(match["quarter"] or match["quarter2"]), match["year"] or match["year2"]
    if year:
        return Meaning(periods.months(int(year), 3 * number - 2, 3, "quarter"), is_relative=False)
    return _in_some_year(saying, match, lambda in_year: periods.months(in_year, 3 * number - 2, 3, "quarter"))


_season_cue = re.compile(
    r"\b(?:in|during|over|for|since|throughout|all|by|before|after|until)\s+(?:the\s+)$|\b(?:that|all)\s+$"
)


def _season(match: re.Match[str], saying: Saying) -> Meaning | None:
    name, at = match["season"], match.start()
    if saying.follows(recurs, at):
        return None
    found = _in_some_year(saying, match, lambda year: periods.season(year, name))
    return replace(found, is_weak=not saying.follows(_season_cue, at)) if found else None


_holiday_cue = re.compile(
    r"\b(?:at|on|for|since|before|after|over|during|around|by|until|till|of|from|the\s+day\s+of)\s+$"
)


def _holiday(match: re.Match[str], saying: Saying) -> Meaning | None:
    name, at = holiday_name(match.group()), match.start()
    if saying.follows(recurs, at):
        return None
    found = _in_some_year(saying, match, lambda year: periods.holiday(name, year))
    return replace(found, is_weak=not saying.follows(_holiday_cue, at)) if found else None


def _cjk_date(match: re.Match[str], saying: Saying) -> Meaning | None:
    year, month, day_of_month = int(match["year"]), match["month"], match["day"]
    if day_of_month:
        return Meaning(periods.date(year, int(month), int(day_of_month)), is_relative=False)
    if month:
        return Meaning(periods.months(year, int(month), 1, "month"), is_relative=False)
    return Meaning(unit_of(datetime(year, 1, 1), "year"), is_relative=False)


DATE_RULES: RuleTable = tuple(
    (re.compile(pattern), rule)
    for pattern, rule in (
        (
            r"(?<![\w./-])(?P<year>\d{4})(?P<sign>[-/.])(?P<month>\d{1,2})(?P=sign)(?P<day>\d{1,2})(?!\d)"
            r"(?P<clock>[t ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:z|[+-]\d\d:?\d\d)?(?!\d))?",
            _iso_date,
        ),
        (r"(?<![\w./-])(?P<year>[12]\d{3})-(?P<month>0[1-9]|1[0-2])(?![\w/-])", _iso_month),
        (
            r"(?<![\w./-])(?P<first>\d{1,2})(?P<sign>[-/.])(?P<second>\d{1,2})(?P=sign)(?P<year>\d{4}|\d{2})"
            r"(?![\w/-]|\.\d)",
            _numeric_date,
        ),
        (r"(?<![\w./-])(?P<first>\d{1,2})/(?P<second>\d{1,2})(?![\w/%-]|\.\d)", _short_date),
        (
            rf"\b(?P<month>{MONTH})\.?\s{{0,2}}(?:the\s)?(?P<day>{DAY_NUMBER})"
            rf"(?:\s?(?:-|–|—|to|through|thru|until|till)\s?(?P<last>{DAY_NUMBER})(?!\d))?(?:(?:,\s{{0,2}}|\s(?:of\s)?)(?P<year>{YEAR}))?"
            r"(?![\w/%])(?!\s?[ap]\.?m\b)",
            _month_day,
        ),
        (
            rf"(?<![\w./:-])(?:the\s)?(?P<day>{DAY_NUMBER})(?:\s?(?:-|–|—|to|through|thru|until|till)\s?(?P<last>{DAY_NUMBER}))?\s{{0,2}}"
            rf"(?:of\s)?(?:(?<=\d)|\b)(?P<month>{MONTH})\b(?:\.?(?:,\s{{0,2}}|\s)(?P<year>{YEAR}))?",
            _month_day,
        ),
        (
            rf"\bbetween{GAP}(?:the\s)?(?P<day>{DAY_NUMBER}){GAP}and{GAP}(?:the\s)?(?P<last>{DAY_NUMBER})\s(?:of\s)?"
            rf"(?P<month>{MONTH})\b(?:\.?(?:,\s{{0,2}}|\s)(?P<year>{YEAR}))?",
            _month_day,
        ),
        (
            rf"\bbetween{GAP}(?P<month>{MONTH})\.?\s{{0,2}}(?:the\s)?(?P<day>{DAY_NUMBER}){GAP}and{GAP}(?:the\s)?"
            rf"(?P<last>{DAY_NUMBER})(?!\d|\s{{0,2}}(?:of\s)?{MONTH}\b)(?:(?:,\s{{0,2}}|\s(?:of\s)?)(?P<year>{YEAR}))?(?![\w/%])",
            _month_day,
        ),
        (
            rf"\b(?P<month>{MONTH})\b\.?(?:,?\s{{1,2}}(?:of\s)?|\s?[-/]\s?|,)(?P<year>\d{{4}}|['’]\d\d)(?![\d/-])",
            _month_year,
        ),
        (rf"\b(?P<month>{MONTH})\b(?!['’]s\b|,?\s\d{{4}})", _month_alone),
        (
            rf"\bthe{GAP}(?P<day>\d{{1,2}}(?:st|nd|rd|th))\b(?:{GAP}of{GAP}(?P<month>this|last|next|the){GAP}month\b)?",
            _day_of_month,
        ),
        (rf"(?<![\w./-])(?P<year>{YEAR})(?![\w])", _year),
        (r"(?<![\w./-])(?P<first>[12]\d{3})\s?[-–]\s?(?P<last>\d{4}|\d{2})(?![\w/-])", _years),
        (
            rf"\b(?:the{GAP}(?:(?P<part>early|mid|late)[\s-])?)?(?:(?P<decade>[12]\d{{2}}0)['’]?s\b"
            rf"|(?<=[\s-])['’]?(?P<short>\d0)['’]?s\b|(?<=[\s-])(?P<word>{'|'.join(_DECADES)})\b)",
            _decade,
        ),
        (rf"\b(?:the{GAP})?(?P<century>\d{{1,2}}(?:st|nd|rd|th)){GAP}century\b", _century),
        (
            rf"\bq(?P<quarter>[1-4])(?:\s?[-/]?\s?(?:of\s)?(?P<year>{YEAR}))?\b"
            rf"|\b(?P<year2>[12]\d{{3}})[\s/-]?q(?P<quarter2>[1-4])\b",
            _quarter,
        ),
        (rf"\b(?P<season>{SEASON})\b(?!{GAP}(?:break|camp|school|olympics|cleaning|roll)\b)", _season),
        (rf"\b{HOLIDAY}(?!\w)", _holiday),
        (r"(?P<year>\d{4})年(?:\s?(?P<month>\d{1,2})月(?:\s?(?P<day>\d{1,2})[日号])?)?", _cjk_date),
    )
)
