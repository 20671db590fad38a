"""What a cue asks for, told by its grammar: whose words, whether of the past, and about what.

In a history of a user with an assistant, the two say different things: the user tells what is so ("my sprint ends on
Friday"), the assistant answers at length. A question about the user is answered by the user's words, whatever its
words have in common with the answers. Only "what did you recommend?" asks for the assistant's.

A question that looks back ("when did I say …", "in what order did I bring up …") wants what happened; one that asks for
help or a fact ("how should I …?") also wants what was laid down about such answers (`ops.standing`).
"""

from __future__ import annotations

import re
from typing import Literal


def whose(text: str) -> Literal["user", "assistant"]:
    """Whose words would answer: the assistant's when the cue asks what "you" said or did, else the user's.

    >>> whose("How did you recommend organising my week?"), whose("Could you organise my week?")
    ('assistant', 'user')
    """
    return "assistant" if _YOU_SAID.search(text) else "user"


def looks_back(text: str) -> bool:
    """Whether the cue asks about what was said or done before, and not for help or a fact.

    >>> looks_back("When did I start to run?"), looks_back("How should I start to run?")
    (True, False)
    """
    return _LOOKS_BACK.search(text) is not None or _YOU_SAID.search(text) is not None


def subject(text: str) -> str:
    """The cue without the words about asking: how to tell it, where it was said, in how many items.

    Those words are frequent in no memory, so that an index takes them for telling ones. What is left is for a word
    index; a text with nothing left comes back whole.

    >>> subject("Can you list the order in which I brought up my trips throughout our conversations, in order?")
    'my trips'
    >>> subject("What did I order for lunch?")
    'What did I order for lunch?'
    """
    left = _without_size(text)
    for frame in _FRAMES:
        left = frame.sub(" ", left)
    left = " ".join(left.split())
    if left == " ".join(text.split()):
        return text
    left = left.strip(" ,.;:?!")
    return left if len(left.split()) > 1 else text


def _without_size(text: str) -> str:
    """The text without a last sentence that only says how long the answer may be: "Mention only and only ten items."."""
    # in steps, each of them linear: one pattern for the whole sentence takes the square of a long text's length
    said = text.rstrip().rstrip(".?!")
    start = max(map(said.rfind, ".?!")) + 1
    limit = _LIMITS.search(said, start)
    rest = said[limit.end() :].split() if limit else []
    return text[:start] if rest and _SIZES.fullmatch(rest[-1]) else text


def _pattern(*parts: str) -> re.Pattern[str]:
    return re.compile("".join(parts), re.IGNORECASE)


_SAID = (
    r"(?:recommended|suggested|said|told|gave|given|advised|mentioned|explained|proposed|provided|listed|described|showed"
    r"|shown|helped|wrote|written|guided|offered|pointed|outlined|answered|shared|taught)"
)
_YOU_SAID = _pattern(
    r"\b(?:did|have|had|were) you\b",
    rf"|\byou(?:'ve| have| had)? (?:\w+ly )?{_SAID}\b",
    r"|\byour (?:\w+ )?(?:recommendation|suggestion|advice|answer|reply|response|explanation|proposal|guidance|tip)s?\b",
)
_PLACES = r"(?:conversation|session|discussion|chat|message|request|exchange)s?"
_LOOKS_BACK = _pattern(
    r"\b(?:did|have|had|was|were) (?:I|we)\b",
    r"|\b(?:I|we)(?:'ve| have|'d| had)? (?:\w+ly )?(?:\w{3,}ed|said|told|went|made|took|had|was|were|met|got|gave|chose|wrote"
    r"|set|began|brought|spent|bought|found|felt|thought|came|saw|left|ran|read|kept|knew|built)\b",
    rf"|\b(?:our|my) (?:\w+ )?{_PLACES}\b|\bsummar(?:y|ies|i[sz]e)\b|\bover time\b",
)
_LIMITS = _pattern(r"\b(?:only|exactly|at most|no more than)\b")
_SIZES = _pattern(r"\W*(?:items?|points?|sentences?|words|bullets?)")
_FRAMES = (
    _pattern(
        r"^\W*(?:please |so |and |also |ok |okay )*(?:can|could|would|will) you (?:please |kindly )?(?:help me )?"
        r"(?:list|walk me through|tell me|give me|provide(?: me with)?|summari[sz]e|describe|outline|recap|remind me(?: of)?"
        r"|recall|explain)\b"
    ),
    _pattern(
        r"\b(?:the |in |in what )?(?:chronological )?(?:order|sequence) (?:in which |that |of how |how )?(?:did )?(?:I|we|you)"
        r" (?:\w+ed|bring|brought|discuss|mention|spoke|told)\b(?: up\b| about\b| of\b)?"
    ),
    _pattern(
        r"\b(?:an? |the )?(?:comprehensive |detailed |brief |short |clear |complete |full |thorough |quick ){0,4}"
        r"(?:summary|overview|recap)\b(?: of| on| about)?"
    ),
    _pattern(
        r"\b(?:different|various|several) (?:aspects|parts|topics|things|ways|concepts)\b(?: of| in| related to)?"
    ),
    _pattern(rf"\b(?:throughout|across|over|during|in|from) (?:all )?(?:of )?(?:our|my) (?:\w+ )?{_PLACES}\b"),
    _pattern(r",? ?\bin order(?! to)\b|\b(?:over time|so far|along the way|up to now|to date)\b"),
)
