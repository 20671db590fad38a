"""The vocabulary of time in English: numbers, months, weekdays, units, and which way a sentence looks.

Small letters throughout: the grammar reads a lower-cased copy of the text that keeps every character's place.
"""
# ruff: noqa: SIM905 - word lists are read and edited as text

from __future__ import annotations

import re
from collections.abc import Iterable

from mnemic.text.periods import HOLIDAYS

_UP_TO_TWENTY = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen twenty"
).split()
_COUNTS = {word: (number, number) for number, word in enumerate(_UP_TO_TWENTY, 1)} | {
    "a": (1, 1),
    "an": (1, 1),
    "thirty": (30, 30),
    "forty": (40, 40),
    "fifty": (50, 50),
    "sixty": (60, 60),
    "a hundred": (100, 100),
    "a dozen": (11, 13),
    "couple": (1, 3),  # people say it of one to three, and "a few" of two to five
    "few": (2, 5),
    "several": (3, 7),
}
_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth"
    " sixteenth seventeenth eighteenth nineteenth twentieth twenty-first twenty-second twenty-third twenty-fourth"
    " twenty-fifth twenty-sixth twenty-seventh twenty-eighth twenty-ninth thirtieth thirty-first"
).split()
ORDINALS = {word: number for number, word in enumerate(_ORDINALS, 1)} | {"last": -1, "final": -1}

_MONTH_NAMES = "january february march april may june july august september october november december".split()
MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
MONTHS |= {name[:3]: number for name, number in MONTHS.items()} | {"sept": 9}
MONTHS |= {"janurary": 1, "febuary": 2, "feburary": 2, "septmber": 9, "octobor": 10, "novemeber": 11}  # common slips
_WEEKDAY_NAMES = "monday tuesday wednesday thursday friday saturday sunday".split()
WEEKDAYS = {name: number for number, name in enumerate(_WEEKDAY_NAMES)}
WEEKDAYS |= {name[:3]: number for name, number in WEEKDAYS.items()} | {"tues": 1, "thur": 3, "thurs": 3}
UNITS = {
    unit: unit for unit in "minute hour day night week weekend fortnight month quarter year decade century".split()
}
UNITS |= {
    "min": "minute",
    "hr": "hour",
    "wk": "week",
    "yr": "year",
    "centurie": "century",
    "mo": "month",
    "mon": "month",
}
SEASONS = ("spring", "summer", "autumn", "fall", "winter")
PARTS = ("morning", "afternoon", "evening", "night", "lunchtime")

# Month and weekday words that are ordinary words or first names as well: alone they need a cue.
AMBIGUOUS_MONTHS = frozenset("april june august may march jan mar jun jul dec sep sept apr aug oct nov feb".split())
VERB_MONTHS = frozenset({"may", "march", "mar"})
WORD_WEEKDAYS = frozenset({"sun", "sat", "mon", "wed"})


def _any_of(words: Iterable[str]) -> str:
    """An alternation, longest first, so that "march" is not read as "mar"."""
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


MONTH = rf"(?:{_any_of(MONTHS)})"
WEEKDAY_NAME = rf"(?:{_any_of(_WEEKDAY_NAMES)})"
WEEKDAY = rf"(?:{_any_of(WEEKDAYS)})"
UNIT = rf"(?:{_any_of(UNITS)})"
SEASON = rf"(?:{_any_of(SEASONS)})"
PART = rf"(?:{_any_of(PARTS)})"
ORDINAL = rf"(?:{_any_of(ORDINALS)}|\d{{1,2}}(?:st|nd|rd|th))"
DAY_NUMBER = rf"(?:\d{{1,2}}(?:st|nd|rd|th)?(?![\d:])|{_any_of(_ORDINALS)})"
COUNT = rf"(?:\d{{1,4}}|(?:a\s)?couple(?:\sof)?|(?:a\s)?few|half\san?|{_any_of(w for w in _COUNTS if len(w) > 2)}|an?)"
HOLIDAY = (
    r"(?:new\syear(?:['’]?s)?(?:\seve|\sday)?|(?:christmas|xmas)(?:\seve|\sday)?|halloween|thanksgiving(?:\sday)?"
    r"|easter(?:\ssunday|\smonday)?|good\sfriday|black\sfriday|cyber\smonday|juneteenth|cinco\sde\smayo"
    r"|(?:4th|fourth)\sof\sjuly|(?:memorial|labou?r|independence|boxing|canada|bastille|mlk)\sday"
    r"|(?:valentine|mother|father|veteran|president|april\sfool)['’]?s?['’]?\sday|(?:st\.?|saint)\spatrick['’]?s\sday)"
)


def holiday_name(words: str) -> str:
    """The calendar's name of a holiday, however it was written.

    >>> holiday_name("new year’s eve"), holiday_name("labour day")
    ('new year eve', 'labor')
    """
    name = re.sub(r"['’]s?|s['’]|\.", "", re.sub(r"\s+", " ", words))
    for written, meant in (("xmas", "christmas"), ("labour", "labor"), ("saint", "st"), ("4th", "fourth")):
        name = name.replace(written, meant)
    name = name.removesuffix(" day")
    return name if name in HOLIDAYS else re.sub(r"s\b", "", name)


def count_of(words: str) -> tuple[int, int]:
    """The least and the most that a number word may mean.

    >>> count_of("a few"), count_of("12")
    ((2, 5), (12, 12))
    """
    words = re.sub(r"\s+", " ", words)
    if words[0].isdigit():
        return int(words), int(words)
    if words in _COUNTS:
        return _COUNTS[words]
    return _COUNTS[words.removeprefix("a ").removesuffix(" of")]


def ordinal_of(word: str) -> int:
    """The place that "third", "3rd", "3" or "last" (-1) names."""
    return ORDINALS[word] if word in ORDINALS else int(re.sub(r"\D", "", word))


_DIRECTION = re.compile(
    r"\b(?:(?P<ahead>will|won['’]t|shall|gonna|going\sto|plan|plans|planning|upcoming|scheduled?|due|deadline|hope|hoping"
    r"|looking\sforward|can['’]?t\swait|excited|see\syou|let['’]s|remind|need|have\sto|has\sto|must|should|want|wanna"
    r"|next|coming\sup|tomorrow|soon|(?:i|we|you|he|she|it|they|that|there)['’]ll|can\s(?:we|you|i)|book|reserve)"
    r"|(?P<back>did|didn['’]t|was|wasn['’]t|were|weren['’]t|had|been|went|said|told|saw|met|bought|got|made|took|came|gave"
    r"|found|ran|won|lost|left|began|felt|had|ago|yesterday|last|since|ate|wrote|read|heard|spent|held|kept|flew|drove"
    r"|\w{2,}ed))\b"
)
_IS_ON = re.compile(r"(?:\b(?:is|are|am)|['’](?:s|re|m))\s(?:\w+\s){0,2}(?:(?:on|in|this|for|at)\s)?(?:the\s)?$")
_BY = re.compile(r"\b(?:by|until|till)\s(?:the\s)?$")
_SENTENCE_END = re.compile(r"[.!?\n]\s")


def direction(low: str, at: int) -> int:
    """Which way the sentence around position `at` looks: 1 to the future, -1 to the past, 0 when it does not say.

    The last word before `at` that tells counts, else the first one after it. "By" and "is on" look ahead.
    """
    if _BY.search(low, max(0, at - 14), at) or _IS_ON.search(low, max(0, at - 32), at):
        return 1
    begin = max(0, at - 120)
    for stop in _SENTENCE_END.finditer(low, begin, at):
        begin = stop.end()
    told = 0
    for word in _DIRECTION.finditer(low, begin, at):
        told = 1 if word["ahead"] else -1
    if told:
        return told
    stop_after = _SENTENCE_END.search(low, at, at + 120)
    word_after = _DIRECTION.search(low, at, stop_after.start() if stop_after else at + 120)
    if not word_after:
        return 0
    return 1 if word_after["ahead"] else -1


_TIME_WORDS = frozenset(
    {*MONTHS, *WEEKDAYS, *SEASONS, *PARTS, *(unit + plural for unit in UNITS for plural in ("", "s"))}
    | {word + "s" for word in WEEKDAYS}
    | set("yesterday today tonight tomorrow noon midday midnight q eve christmas xmas easter halloween".split())
    | set("thanksgiving juneteenth valentine valentines mayo twenties thirties forties fifties sixties".split())
    | set("seventies eighties nineties centuries".split())
)
_letters = re.compile(r"[a-z]+").findall
_telling_number = re.compile(
    rf"\d(?:\d{{3}}|\d?\s?(?:[:/.-]\s?\d|[ap]\.?m|o['’]|st\b|nd\b|rd\b|th\b)|0['’]?s|\d?\s?{MONTH}|\d{{0,3}}[\s-]{{0,3}}{UNIT}s?\b)"
)


def has_time_words(low: str) -> bool:
    """Is there a word or number without which no time expression can be?"""
    return not _TIME_WORDS.isdisjoint(_letters(low)) or _telling_number.search(low) is not None
