"""Whether two statements of one topic tell apart what they speak of: the auth module and the payment module, Ann's and Bob's.

The one idea: what is common to two things is what they are, and what tells them apart stands right beside it. "The meeting with
Ann" and "the meeting with Bob" have a word in common and beside it, on the same side, each a word that the other statement
has nowhere: they are two meetings. The same goes for subjects that have each a word of its own, for owners, and for numbers that
are names ("Chapter 1", "Chapter 2"). A statement that merely says more than the other is not told apart from it.

Rules for English.
"""
# ruff: noqa: SIM905 - word lists are read and edited as text

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache

from mnemic.ops.claims import content
from mnemic.ops.statements import PREPOSITIONS, statement_in
from mnemic.text.terms import terms

Beside = dict[tuple[str, int], set[str]]


def are_told_apart(one: str, other: str, values: Collection[str] = (), places: tuple[str, str] | None = None) -> bool:
    """Whether two statements speak of two things of one kind.

    values: numbers that are what is said, and no names. places: the parts of the two that tell of the thing, where they tell of
    more than that; what stands elsewhere in a statement still shows that it knows a word.

    >>> are_told_apart("The team meeting is at 3.", "The board meeting is at 4.")
    True
    >>> are_told_apart("The team meeting is at 3.", "The team meeting in the hall is at 4.")
    False
    """
    here, there = places or (one, other)
    return (
        _owner(one) != _owner(other)
        or _have_own_subjects(one, other)
        or _have_own_numbers(here, there, values)
        or _is_of_somebody(here, other)
        or _is_of_somebody(there, one)
        or _have_own_words_beside(here, there, _said(one), _said(other))
    )


@cache
def little_said() -> frozenset[str]:
    """The terms that tell nothing apart, and make no topic: of trying and wanting, of before and now."""
    return frozenset(terms(_SAYS_LITTLE))


def _owner(text: str) -> str:
    """Whom a statement is about, where its subject begins with a person or a pet; the speaker and things have none."""
    one = statement_in(text)
    words = [word.replace("’", "'").removesuffix("'s").casefold() for word in one.subject.split(" ")] if one else [""]
    if words[0] in _DETERMINERS:
        return next((word for word in words[1:2] if word in _SOMEBODY), "")
    is_name = one is not None and one.subject[:1].isupper() and words[0] not in _NOBODY | PREPOSITIONS
    return words[0] if is_name else ""


def _have_own_subjects(one: str, other: str) -> bool:
    """Whether each subject has a word that the other statement has nowhere."""
    read = [statement_in(text) for text in (one, other)]
    subjects = [_said(said.subject) - little_said() if said is not None else frozenset() for said in read]
    return bool(subjects[0] - _said(other)) and bool(subjects[1] - _said(one))


def _have_own_numbers(here: str, there: str, values: Collection[str]) -> bool:
    """Whether a word is followed by one number here and by another there, as names are: "Chapter 1", "Chapter 2"."""
    first, second = _numbered(here), _numbered(there)
    return any(
        first[word].isdisjoint(second[word]) and (first[word] | second[word]).isdisjoint(values)
        for word in first.keys() & second.keys()
    )


def _is_of_somebody(text: str, other: str) -> bool:
    """Whether something that both speak of is somebody's here whom the other statement never names."""
    known = _said(other)
    return any(
        not known.isdisjoint(terms(match[2])) and set(terms(match[1])) - known - little_said()
        for match in _POSSESSED.finditer(text)
    )


def _have_own_words_beside(here: str, there: str, ours: frozenset[str], theirs: frozenset[str]) -> bool:
    """Whether a word of both has, on the same side, neighbours that the other statement has nowhere, and none in common."""
    first, second = _beside(here), _beside(there)
    return any(
        first[place].isdisjoint(second[place]) and first[place] - theirs and second[place] - ours
        for place in first.keys() & second.keys()
    )


def _beside(text: str) -> Beside:
    """By term and side (-1 left, 1 right), the terms that stand next to it within a phrase.

    A phrase ends at a sign, a number, a word that joins clauses, a verb that only says that something is or changes, and
    where an article begins the next one; "with the team" goes on, since a preposition leads to it.
    """
    found: Beside = {}
    last, leads_on = "", False
    for match in _WORD.finditer(text):
        word = match.group().casefold().replace("’", "'")
        if word in _DETERMINERS or word == "user's":
            last = last if leads_on else ""
            continue
        leads_on = word in PREPOSITIONS
        known = content(word)
        if not word[0].isalpha() or word in _ENDS or _CHANGES.fullmatch(word) or known & little_said():
            last = ""
            continue
        for term in () if word.endswith("ly") else sorted(known):
            if last and term != last:
                found.setdefault((last, 1), set()).add(term)
                found.setdefault((term, -1), set()).add(last)
            last = term
    return found


def _numbered(text: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for match in _NUMBERED.finditer(text):
        if match[1].casefold() not in _COUNTED_TIMES:
            for term in content(match[1]) - little_said():
                found.setdefault(term, set()).add(match[2])
    return found


def _said(text: str) -> frozenset[str]:
    return content(text) | frozenset(terms(text))


_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\S")
_NUMBERED = re.compile(r"\b([^\W\d_]{3,})\s+(\d+)\b(?![%:.,/]\d|\s?%|\s*[ap]\.?m\b|\s+[a-z]+s\b)")
_POSSESSED = re.compile(r"\b([^\W\d_]+)['’]s\s+(?!(?:been|a|an|the|not|going|now)\b)([^\W\d_]+(?:\s+[^\W\d_]+)?)")
_CHANGES = re.compile(
    r"(?:increas|improv|ris|grow|adjust|extend|reschedul|schedul|postpon|delay|mov|shift|chang|updat|rais|reduc|decreas|drop|"
    r"lower|shorten|push|bump|expand|climb|slow|switch|reach|set)(?:e[sdn]?|s|es|ed|ing|ped|ping|ting|n|th)?|rose|grew|fell"
)
_ENDS = frozenset(
    "is are was were be been being am has have had will would can could may might must do does did i'm i've it's that's "
    "and but or so because since that which who whom when while where if until than as by january february march april june july "
    "august september october november december monday tuesday wednesday thursday friday saturday sunday".split()
)
_SAYS_LITTLE = (
    "user assistant try trying want need make makes made making sure know think thinking work working use using go going went "
    "help helps understand consider considering wonder wondering like look looking plan planning really "
    "new old current currently recent recently previous previously original originally initial initially final finally actual "
    "actually next last today tomorrow yesterday week weekly month monthly year yearly day daily lately total average averaging "
    "around approximately roughly two three four five six seven eight nine ten"
)
_COUNTED_TIMES = frozenset(
    "week day month year january february march april may june july august september october november december".split()
)
_DETERMINERS = frozenset("my our your his her its their the a an this that these those".split())
_SOMEBODY = frozenset(
    "brother sister mother father mom mum dad son daughter wife husband uncle aunt cousin grandma grandpa grandmother "
    "grandfather niece nephew friend roommate flatmate neighbor neighbour colleague coworker girlfriend boyfriend fiance "
    "fiancee kid child baby dog cat".split()
)
_NOBODY = frozenset(
    "i we you it the a an my our your his her its their this that these those there here some all both each every no".split()
)
