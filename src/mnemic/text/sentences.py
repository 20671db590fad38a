"""Sentences, by rule: where one ends and the next begins, with nothing lost in between.

The one idea: every mark that may end a sentence is a candidate, and a short list of reasons (an abbreviation, an
initial, a list number, a quotation that goes on, a wrapped line) speaks against it. A full stop ends a sentence even
before a small letter, because that is how people type in chat; a "?" or "!" inside quotes, and an ellipsis, do not.
"""
# ruff: noqa: SIM905 - word lists are read and edited as text

from __future__ import annotations

import re

_ABBREVIATIONS = frozenset(
    """
    mr mrs ms mx dr prof sr jr st mt ft rev hon gov sen rep gen col maj capt lt sgt cpl cmdr pres supt det insp
    vs v etc al cf ca approx est dept univ inc ltd co corp llc bros no nos vol vols fig figs eq eqs pp p ch sec
    e.g i.e eg ie viz resp incl excl min max avg a.m p.m u.s u.k u.s.a ph.d b.a m.a b.sc m.sc d.c
    jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri
    ave blvd rd hwy apt bldg ext tel
    """.split()
)
# These may also close a sentence: they end one when a capitalised word that often begins one follows.
_MAY_CLOSE = frozenset("etc inc ltd co corp llc jr sr a.m p.m u.s u.k u.s.a ph.d d.c al".split())

_BULLET = r"(?:[-*+•‣◦·–—]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])[ \t]"
_END = re.compile(
    r"(?P<stop>[.!?…‽]+)(?P<close>[\"'”’»)\]}*_]*)(?=\s|$)"
    r"|[。！？｡]+[」』”’）】]*"
    rf"|(?P<break>\n(?:[ \t]*\n)+|\n(?=[ \t]*{_BULLET})|\n(?=[ \t]*[^\sa-z]))"
)
_LAST_WORD = re.compile(r"[^\s\"'“”‘’(\[{*_]+$")
_LIST_NUMBER = re.compile(r"(?:^|\n)[ \t]*\(?(?:\d{1,3}|[a-zA-Z])$")
_LONGEST_WORD = 24


def sentences(text: str) -> list[str]:
    """The sentences of `text`, trimmed, empty ones left out.

    >>> sentences("Dr. Lee paid $3.50. Then she left... in a hurry! OK?")
    ['Dr. Lee paid $3.50.', 'Then she left... in a hurry!', 'OK?']
    """
    return [sentence for start, end in sentence_spans(text) if (sentence := text[start:end].strip())]


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Where each sentence begins and ends; a sentence owns the white space that follows it.

    The spans follow each other without gaps: joined, they are the whole text.

    >>> sentence_spans("One. Two.")
    [(0, 5), (5, 9)]
    """
    spans: list[tuple[int, int]] = []
    start = 0
    for match in _END.finditer(text):
        if match.end() <= start or not _is_end(text, match):
            continue
        end = _skip_space(text, match.end())
        if text[start:end].strip():
            spans.append((start, end))
            start = end
    if start < len(text):
        if spans and not text[start:].strip():
            spans[-1] = (spans[-1][0], len(text))
        else:
            spans.append((start, len(text)))
    return spans


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _is_end(text: str, match: re.Match[str]) -> bool:
    stop = match["stop"]
    if stop is None:
        return True
    after = text[_skip_space(text, match.end()) :][:1]
    if stop == ".":
        return _is_full_stop(text, match, after)
    if stop.startswith(("..", "…")):
        return not after.islower()
    return not (match["close"] and after.islower())


def _is_full_stop(text: str, match: re.Match[str], after: str) -> bool:
    if match["close"] and after.islower():
        return False
    at = match.start()
    found = _LAST_WORD.search(text, max(0, at - _LONGEST_WORD), at)
    word = found.group() if found else ""
    if word.lower() in _ABBREVIATIONS:
        return word.lower() in _MAY_CLOSE and _often_begins(text, match.end())
    if _LIST_NUMBER.search(text, max(0, at - 12), at):
        return False
    is_initial = len(word) == 1 and word.isupper() and word != "I"
    return not (is_initial and after.isupper() and not _often_begins(text, match.end()))


_BEGINNERS = re.compile(
    r"\s+[\"'“‘(]*(?:A|An|And|As|At|But|He|Her|His|How|I|If|In|It|Its|My|No|On|Our|She|So|That|The|Their|Then|There"
    r"|These|They|This|To|We|What|When|Where|Who|Why|With|Yes|You|Your)\b|\s*$"
)


def _often_begins(text: str, at: int) -> bool:
    return _BEGINNERS.match(text, at) is not None
