"""What kind of thing a question wants, and whether a text has one: a time, a number, a name.

"When did she move?" is answered by a text with a time in it, and hardly by another question. Told by form alone, in
English, and cheap enough to be asked of every candidate.
"""

from __future__ import annotations

import re
from typing import Literal

Kind = Literal["time", "number", "name"]

_ASKS = r"(?:^|[.!?,;:]\s|\b(?:and|so|but|know|tell me|remember)\s)\s*"
_WANTED: tuple[tuple[Kind, str], ...] = (
    ("time", r"when|(?:since |until |by |in |on )?(?:what|which) (?:date|day|month|year|time|week|season)|how long"),
    ("number", r"how (?:many|much|often|old|far|tall|big)|(?:at )?what (?:age|number|price|cost|amount)"),
    (
        "name",
        r"who|whose|whom|where|(?:in |at |from |to |for )?which|what(?:'s| is| was| are| were) the (?:name|title)s?"
        r"|(?:in |at |from |to )?what (?:\w+ )?(?:city|country|state|town|place|company|book|song|movie|film|show|band|"
        r"artist|author|game|restaurant|brand|breed|team|school|university|language|instrument)",
    ),
)
_WANTS = [(kind, re.compile(rf"{_ASKS}(?:{words})\b", re.IGNORECASE)) for kind, words in _WANTED]
_HAS: dict[Kind, re.Pattern[str]] = {
    "time": re.compile(
        r"\b(?:yesterday|today|tonight|tomorrow|ago|last|next|recently|since|weekends?|weeks?|months?|years?|days?|"
        r"(?:mon|tues|wednes|thurs|fri|satur|sun)days?|january|february|march|april|june|july|august|september|"
        r"october|november|december|spring|summer|autumn|winter|christmas|easter|(?:19|20)\d\d|\d{1,2}(?:st|nd|rd|th))\b",
        re.IGNORECASE,
    ),
    "number": re.compile(
        r"\b(?:\d[\d.,]*|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|once|twice|dozen|hundred|thousand|"
        r"couple|few|several|every (?:day|week|month|year))\b",
        re.IGNORECASE,
    ),
    "name": re.compile(r"(?<=[a-z,;:] )(?!I\b)[A-Z][\w'’-]+|[\"“][^\"”]{2,60}[\"”]"),
}


def wanted_kind(question: str) -> Kind | None:
    """The kind of thing that would answer, None where the form does not say.

    >>> wanted_kind("When did Ann move?"), wanted_kind("Which city is it?"), wanted_kind("Why did she leave?")
    ('time', 'name', None)
    """
    return next((kind for kind, pattern in _WANTS if pattern.search(question)), None)


def has_kind(text: str, kind: Kind) -> bool:
    """Whether there is such a thing in the text.

    >>> has_kind("I moved last spring.", "time"), has_kind("I moved to Porto.", "name"), has_kind("I moved.", "number")
    (True, True, False)
    """
    return _HAS[kind].search(text) is not None


def is_question(text: str) -> bool:
    """Whether it ends as a question.

    >>> is_question("I moved. Did you?"), is_question("Did I? Yes.")
    (True, False)
    """
    return text.rstrip().rstrip("\"'”’)*").endswith(("?", "？"))
