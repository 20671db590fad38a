"""Whether a statement itself says that a value has changed: "the deadline moved to May 5", "now 10 cards", "the new quota of 90".

The one idea: two unlike numbers of one topic are mostly two events ("ran 5 km", "ran 7 km") and say nothing of each other. But
who says that something increased to, was moved to, is now or is the new … gives the value that holds, and one of the same
kind in an earlier statement of the same thing is what held before. So both are asked for: a word of change right before a value,
and an earlier value of its kind in a statement that shares the topic. Rules for English.
"""
# ruff: noqa: SIM905 - word lists are read and edited as text

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from mnemic.ops.claims import content
from mnemic.ops.statements import PREPOSITIONS, statement_in
from mnemic.text.terms import terms

_COMMON, _FEWEST = 3, 2  # terms that both statements have, beside the values; and where they are half of a statement
_LOOK_BACK = 160  # characters before a value in which a word of change is looked for


@dataclass(frozen=True, slots=True)
class Told:
    """A value in a text: what it is of, what it is, and where it stands."""

    kinds: frozenset[
        str
    ]  # "date", "clock", "day", "money", "share", or the terms of what is counted; none: a bare number
    value: str
    start: int


def tells_change(old: str, new: str, *, share: float = 0.0) -> bool:
    """Whether the new statement says of something in the old one that its value is now another.

    share: of what the old one is about, how much the new one must be about as well; more where the old one would be lost.

    >>> tells_change("The review of my draft is on May 3 at the office.", "The review of my draft was moved to May 5.")
    True
    >>> tells_change("I ran 5 km in the park with Ann.", "I ran 7 km in the park with Ann.")
    False
    """
    changed = values_after_change(new)
    if not changed or _owner(old) != _owner(new):
        return False
    topics = [_topic(text) for text in (old, new)]
    about = topics[0] & topics[1]
    if len(about) < _COMMON and (len(about) < _FEWEST or 2 * len(about) < min(map(len, topics))):
        return False
    if len(about) < share * len(topics[0]):
        return False
    before, after = list(values_in(old)), list(values_in(new))
    for value in changed:
        olds = [one.value for one in before if _is_alike(one, value, about)]
        stands = {one.value for one in after if one.start == value.start or _is_alike(one, value, about)}
        if olds and stands.isdisjoint(olds):
            return True
    return False


def _is_alike(one: Told, other: Told, about: Collection[str]) -> bool:
    """Whether two values are of one kind; a bare number is of what both statements are about."""
    if one.kinds and other.kinds:
        return not one.kinds.isdisjoint(other.kinds)
    return not (one.kinds | other.kinds).isdisjoint(about)


def values_in(text: str) -> Iterator[Told]:
    """The dates, clock times, days, sums, shares and counts in a text.

    >>> [(*one.kinds, one.value) for one in values_in("150 commits, and 78% by May 3, at 4:30 PM")]
    [('commit', '150'), ('share', '78'), ('date', 'may 3'), ('clock', '4:30pm')]
    """
    for match in _VALUE.finditer(text):
        name = match.lastgroup or ""
        said = " ".join(match.group().lower().split())
        if name == "count":
            yield Told(frozenset(terms(match["unit"] or "")), match["number"].replace(",", ""), match.start())
        else:
            bare = re.sub(r"[^\w:. ]|percent", "", said).strip()
            yield Told(frozenset([name]), bare.replace(" ", "") if name == "clock" else bare, match.start())


def values_after_change(text: str) -> list[Told]:
    """Those that stand right behind words of change."""
    if _HINT.search(text) is None:
        return []
    return [one for one in values_in(text) if _CHANGE.search(text[max(0, one.start - _LOOK_BACK) : one.start])]


def _topic(text: str) -> frozenset[str]:
    return frozenset(term for term in content(text) if not any(map(str.isdigit, term)))


def _owner(text: str) -> str:
    """Whom a statement is about, where its subject begins with a name; the speaker and things have none."""
    one = statement_in(text)
    first = one.subject.split(" ")[0].replace("’", "'").removesuffix("'s") if one is not None else ""
    return first.casefold() if first[:1].isupper() and first.casefold() not in _NOBODY | PREPOSITIONS else ""


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
_CHANGE = re.compile(
    r"\b(?:(?:increas|improv|ris|grow|reach|adjust|extend|reschedul|postpon|mov|shift|chang|updat|rais|cut|reduc|decreas|drop|"
    r"lower|shorten|push|bump|expand|go|climb|fall|slow|switch)(?:e[sdn]?|s|es|ed|ing|ped|ping|ting|n)?|rose|risen|grew|went|fell)"
    r"(?:\s+[\w'’]+){0,8}?\s+(?:to|at|until)(?:\s+(?:around|about|over|nearly|roughly|a|an|the|total|of))*\s*$"
    r"|\breach(?:ed|es|ing)?(?:\s+(?:around|about|over|nearly|a|an|the|total|of))*\s*$"
    r"|\bnew(?:\s+[\w'’-]+){0,4}?(?:\s+(?:of|is|to|at|on|being))?\s*$"
    r"|\bnow(?:\s+(?!(?:since|by|before|after|for|from|in)\b)[\w'’-]+){0,6}\s*$",
    re.IGNORECASE,
)
_HINT = re.compile(r"\b(?:to|at|until|reach\w*|new|now)\b", re.IGNORECASE)  # one of these stands in every change
_NOBODY = frozenset(
    "i we you it the a an my our your his her its their this that these those there here some all both each every no".split()
)
