"""Whether a question asks for the newest or for the oldest of what was said: "her current job", "the first car"."""

from __future__ import annotations

import re

_TIME = (
    r"(?:(?:\w+\s+)?(?:night|evening|morning|afternoon|day|weekend|week|month|quarter|year|decade|century|hour|minute)s?"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day|spring|summer|autumn|fall|winter|christmas|easter|thanksgiving|halloween"
    r"|january|february|march|april|may|june|july|august|september|october|november|december)"
)
_RANKED = (
    r"(?:aid|floor|class|grade|hand|place|person|lad(?:y|ies)|degree|of\s+all|and\s+foremost|responders?|language|draft"
    r"|nations?|world|half)"
)
_NEWEST = (
    (
        1.0,
        r"current(?:ly)?|latest|newest|most\s+recent(?:ly)?|up[\s-]to[\s-]date|presently|present\s+(?:value|state|status)",
    ),
    (1.0, r"nowadays|these\s+days|at\s+(?:the\s+moment|present)|right\s+now|as\s+of\s+(?:now|today)|by\s+now|so\s+far"),
    (0.8, r"(?<!for\s)(?<!until\s)(?<!till\s)(?<!from\s)now(?!\s+that\b)"),
    (0.6, rf"last(?!\s+(?:{_TIME}|names?)\b)|recently|updated?|still|any\s?more|no\s+longer"),
)
_OLDEST = (
    (1.0, r"original(?:ly)?|earliest|initial(?:ly)?|very\s+first|at\s+first|to\s+begin\s+with|in\s+the\s+beginning"),
    (1.0, r"oldest\s+(?:value|version|entry|record|message)"),
    (0.6, rf"first(?![\s-]+(?:{_TIME}|{_RANKED}|names?)\b)"),
    (0.4, r"previous(?:ly)?|former(?:ly)?|used\s+to|back\s+then"),
)

_newest = tuple((weight, re.compile(rf"\b(?:{words})\b")) for weight, words in _NEWEST)
_oldest = tuple((weight, re.compile(rf"\b(?:{words})\b")) for weight, words in _OLDEST)
_quick = re.compile(
    r"\b(?:current|latest|newest|recent|up[\s-]to[\s-]date|present|now|these\sdays|at\sthe\smoment|as\sof|so\sfar|last|update|still|any\s?more"
    r"|no\slonger|original|earliest|initial|first|begin|oldest|previous|former|used\sto|back\sthen)"
)


def wants_newest(text: str) -> float:
    """How much the question asks for the newest (up to 1) or the oldest (down to -1) of what was said; 0 for neither.

    "Current", "latest" and "now" ask with all their weight, "the last" and "the first" with less: they may as well
    count events.

    >>> wants_newest("What is the current value of x?"), wants_newest("Where did she live originally?")
    (1.0, -1.0)
    >>> wants_newest("What did we do last week?")
    0.0
    """
    low = text.lower()
    if not _quick.search(low):
        return 0.0
    newest = max((weight for weight, pattern in _newest if pattern.search(low)), default=0.0)
    oldest = max((weight for weight, pattern in _oldest if pattern.search(low)), default=0.0)
    return newest - oldest if newest != oldest else 0.0


def without_order(text: str) -> str:
    """The text without the words that ask for the newest or the oldest: they are seldom in what is asked for.

    >>> without_order("What is the current value of my budget?"), without_order("Does Ann still run?")
    ('What is the of my budget?', 'Does Ann run?')
    """
    if not _quick.search(text.lower()):
        return text
    for _, pattern in (*_newest, *_oldest):
        text = re.sub(rf"(?i:{pattern.pattern}(?:\s+(?:value|version|entry|state)s?\b)?)", " ", text)
    return " ".join(text.split())
