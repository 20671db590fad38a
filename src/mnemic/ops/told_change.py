"""Whether a statement itself says that a value has changed: "the deadline moved to May 5", "now 10 cards", "the new quota of 90".

The one idea: two unlike numbers of one topic are mostly two events ("ran 5 km", "ran 7 km") and say nothing of each other. But
who says that something increased to, was moved to, is now or is the new … gives the value that holds, and one of the same
kind in an earlier statement of the same thing is what held before. So three things are asked for: a word of change right before
a value, an earlier value of its kind, and the same topic around both.

The same topic is not the same thing: of two meetings, people, pets or modules each has a number. So nothing changes where the
statements tell apart what they speak of (`mnemic.ops.told_apart`), where the change is only wished for or denied, or where one
number is an aim and the other is what was reached. Rules for English; in doubt both stand.
"""
# ruff: noqa: SIM905 - word lists are read and edited as text

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from mnemic.ops.claims import content
from mnemic.ops.told_apart import are_told_apart, little_said
from mnemic.text.terms import STOP_WORDS, terms

_COMMON, _FEWEST = 3, 2  # terms that both statements have, beside the values; and where they are half of a statement
_LOOK_BACK = 160  # characters before a value in which a word of change is looked for
_AROUND = 90  # characters on either side of a value in which it is said what it is of
_TIMES = frozenset(["a date", "a clock time", "a day"])  # kinds are no terms: "5 days" are of another than "Monday"


@dataclass(frozen=True, slots=True)
class Told:
    """A value in a text: what it is of, what it is, and where it stands."""

    kinds: frozenset[str]  # "a date", "money", …, or the terms of what is counted; none: a bare number
    value: str
    start: int
    end: int


def tells_change(old: str, new: str, *, share: float = 0.0) -> bool:
    """Whether the new statement says of something in the old one that its value is now another.

    share: of what the old one is about, how much the new one must be about as well; more where the old one would be lost.

    >>> tells_change("The review of my draft is on May 3 at the office.", "The review of my draft was moved to May 5.")
    True
    >>> tells_change("I ran 5 km in the park with Ann.", "I ran 7 km in the park with Ann.")
    False
    >>> tells_change("The review of my draft is on May 3.", "The review of my essay was moved to May 5.")
    False
    """
    changed = values_after_change(new)
    if not changed:
        return False
    topics = [_topic(text) for text in (old, new)]
    about = topics[0] & topics[1]
    if len(about) < _COMMON and (len(about) < _FEWEST or 2 * len(about) < min(map(len, topics))):
        return False
    if len(about) < share * len(topics[0]):
        return False
    before, after = list(values_in(old)), list(values_in(new))
    for value in changed:
        from_values = {one.value for one in after if _is_left(new, one, value) and _is_alike(one, value, about)}
        if not _named_new(new, value) <= content(old):
            continue
        olds = {one.value for one in before if _is_alike(one, value, about) and _is_of_same(old, one, new, value)}
        stands = {one.value for one in after if one.start == value.start or _is_alike(one, value, about)} - from_values
        if olds and stands.isdisjoint(olds) and (not from_values or olds & from_values):
            return True
    return False


def values_in(text: str) -> Iterator[Told]:
    """The dates, clock times, days, sums, shares and counts in a text.

    >>> [(*one.kinds, one.value) for one in values_in("150 commits, and 78% by May 3, at 4:30 PM")]
    [('commit', '150'), ('a share', '78'), ('a date', 'may 3'), ('a clock time', '4:30pm')]
    """
    for match in _VALUE.finditer(text):
        name = match.lastgroup or ""
        said = " ".join(match.group().lower().split())
        if name == "count":
            kinds, value = _counted(match["unit"] or ""), match["number"].replace(",", "")
        else:
            bare = re.sub(r"[^\w:. ]|percent", "", said).strip(" .")
            kinds = frozenset([_KIND_NAMES[name]])
            value = re.sub(r"[ .]", "", bare) if name == "clock" else bare
        yield Told(kinds, value, match.start(), match.end())


def values_after_change(text: str) -> list[Told]:
    """Those that stand right behind words of change, unless the change is denied or only thought of."""
    if _HINT.search(text) is None or _SUPPOSED.match(text):
        return []
    return [one for one in values_in(text) if _is_changed_to(text, one)]


def _is_changed_to(text: str, value: Told) -> bool:
    before, change = _change_before(text, value)
    is_there = change.casefold().startswith("new") and _THE.search(before) is not None
    return bool(change) and (is_there or _UNREAL.search(before) is None)


def _named_new(text: str, value: Told) -> frozenset[str]:
    """What is said to be new: "a new set of 5" is of no set that there was before."""
    _, change = _change_before(text, value)
    return content(change) - little_said() if change.casefold().startswith("new") else frozenset()


def _change_before(text: str, value: Told) -> tuple[str, str]:
    """(what stands before the words of change, those that lead to the value); "" where there are none."""
    before = text[max(0, value.start - _LOOK_BACK) : value.start]
    match = _CHANGE.search(before)
    return (before[: match.start()], match.group()) if match else (before, "")


def _is_left(text: str, one: Told, value: Told) -> bool:
    """Whether the text says that the other value came from this one: "from 9 to 12"."""
    between = text[one.end : value.start]
    return text[: one.start].casefold().endswith("from ") and one.end <= value.start and len(between.split()) <= 3


def _is_alike(one: Told, other: Told, about: Collection[str]) -> bool:
    """Whether two values are of one kind; a bare number is of what both statements are about."""
    if one.kinds and other.kinds:
        return not one.kinds.isdisjoint(other.kinds)
    return not (one.kinds | other.kinds).isdisjoint(about)


def _is_of_same(old: str, before: Told, new: str, value: Told) -> bool:
    """Whether the words around two values tell of one thing, and both of what is, or both of what is aimed at."""
    places = _around(old, before), _around(new, value)
    if len(_topic(places[0]) & _topic(places[1])) < _FEWEST:
        return False
    is_aim, is_set = _AIM.search(_ahead(old, before)), _SETS.search(_ahead(new, value))
    if is_aim and not is_set and value.kinds.isdisjoint(_TIMES):
        return False
    return not are_told_apart(old, new, (before.value, value.value), places)


def _around(text: str, value: Told) -> str:
    """The words around a value."""
    after = text[value.start : value.end + _AROUND]
    is_cut = value.end + _AROUND < len(text)
    return _ahead(text, value) + (after.rpartition(" ")[0] if is_cut else after)


def _ahead(text: str, value: Told) -> str:
    """The words before a value."""
    start = max(0, value.start - _AROUND)
    return text[start : value.start].partition(" ")[2] if start else text[: value.start]


def _counted(unit: str) -> frozenset[str]:
    """What is counted: the words behind a number up to one that begins something else."""
    words = unit.replace("-", " ").lower().split()
    end = next((at for at, word in enumerate(words) if word in STOP_WORDS or word in ("per", "every")), len(words))
    return frozenset(terms(" ".join(word for word in words[:end] if word not in _NO_KIND)))


def _topic(text: str) -> frozenset[str]:
    return frozenset(term for term in content(text) - little_said() if not any(map(str.isdigit, term)))


_KIND_NAMES = {"date": "a date", "clock": "a clock time", "day": "a day", "money": "money", "share": "a share"}
_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_VALUE = re.compile(
    rf"(?P<date>\b(?:{_MONTHS})\s+\d{{1,2}}\b(?!:)|\b\d{{1,2}}\s+(?:{_MONTHS})\b)"
    r"|(?P<clock>\b\d{1,2}(?::\d\d)?\s?[ap]\.?m\b\.?)"
    r"|(?P<day>\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b)"
    r"|(?P<money>[$€£]\s?\d[\d,]*(?:\.\d+)?)"
    r"|(?P<share>\b\d+(?:\.\d+)?\s?(?:%|percent\b))"
    r"|(?P<count>(?<![\w.$€£:-])(?P<number>\d+(?:,\d{3})*(?:\.\d+)?)(?!\d|[:/.,]\d|%|(?:st|nd|rd|th)\b)"
    r"(?P<unit>(?:[ -]?[a-z]{2,}){0,3}))",
    re.IGNORECASE,
)
_ABOUT = r"(?:\s+(?:around|about|over|nearly|roughly|a|an|the|total|of))*\s*$"
_BETWEEN = r"(?:\s+(?!to\b)[\w'’$€£%:-]+(?:[.,]\d+)*%?)"  # a word of the same clause
_CHANGE = re.compile(
    r"\b(?:(?:increas|improv|ris|grow|adjust|extend|reschedul|postpon|delay|mov|shift|chang|updat|rais|cut|reduc|decreas|drop|"
    r"lower|shorten|push|bump|expand|climb|fall|slow|switch)(?:e[sdn]?|s|es|ed|ing|ped|ping|ting|n)?|rose|risen|grew|fell)"
    rf"{_BETWEEN}{{0,8}}?\s+to{_ABOUT}"
    rf"|\b(?:extend|push|postpon|delay)(?:ed|ing|e|es|s)?{_BETWEEN}{{0,4}}?\s+until{_ABOUT}"
    rf"|\b(?:go|goes|went|gone|going)(?:\s+(?:up|down|back|from\s+\S+(?:\s+\S+)?))+\s+to{_ABOUT}"  # not "went to 3 shops"
    rf"|\breach(?:ed|es|ing)?{_ABOUT}"
    r"|\bnew(?:\s+(?!(?:for|in|with|from|by|since|after|before|to\s+\w+)\b)[\w'’-]+){0,4}?(?:\s+(?:of|is|to|at|on|being))?\s*$"
    r"|\bnew(?:\s+[\w'’-]+){1,8}\s+(?:is|was)(?:\s+(?:on|at|about|around|set\s+(?:to|for)))?\s*$"
    r"|\bnow(?:\s+(?!(?:since|by|before|after|for|from|in)\b)[\w'’-]+){0,6}\s*$",
    re.IGNORECASE,
)
_HINT = re.compile(r"\b(?:to|until|reach\w*|new|now)\b", re.IGNORECASE)  # one of these stands in every change
_SUPPOSED = re.compile(r"\s*(?:what\s+)?(?:if|suppose|imagine|unless)\b", re.IGNORECASE)
_UNREAL = re.compile(  # before a word of change: what it tells of has not come about
    r"\b(?:not|never|cannot|\w+n['’]t|if|whether|unless|could|might|should|would|want\w*|wish\w*|hop(?:e|es|ing)|plan\w*|"
    r"think\w*|consider\w*|tr(?:y|ies|ied|ying)|suggest\w*|propos\w*|ask\w*|maybe|perhaps|refus\w*|almost|need\w*|can)"
    r"(?:\s+[\w'’]+){0,2}\s+$",
    re.IGNORECASE,
)
_THE = re.compile(r"(?:\b(?:the|my|our|your|his|her|its|their|this)|['’]s)\s+$", re.IGNORECASE)
_AIM = re.compile(r"\b(?:want\w*|aim\w*|goals?|target\w*|hop(?:e|es|ing)|dream\w*|wish\w*)\b", re.IGNORECASE)
_SETS = re.compile(  # what is aimed at is set anew; what was reached says nothing of it
    r"\b(?:want\w*|aim\w*|goals?|target\w*|adjust\w*|extend\w*|chang\w*|updat\w*|rais\w*|cut|lower\w*|shorten\w*|push\w*|"
    r"bump\w*|expand\w*|new)\b",
    re.IGNORECASE,
)
_NO_KIND = frozenset("new more extra further additional total other different".split())
