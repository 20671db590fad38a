"""What holds until it is taken back: instructions ("always answer in French") and preferences ("I prefer trains").

A question that such a sentence bears on seldom shares its words: "When is it due?" is to be answered in the format that
"Always write dates day first when I ask about deadlines" laid down. So the sentences have to be known by what they
are. They are told by grammar alone: an order to the one spoken to that names no single occasion (`always`, `never`,
`from now on`, `when I ask …`), or a statement of the speaker's own taste, habit or limit (`I prefer`, `my favourite`,
`I'm allergic`).

Only what a user says counts. Quoted code, questions ("should I always …?"), reports ("they always call when I need
them"), advice to anybody and wishes of the moment ("I'd like to see …") do not. Encouragement between friends has the
same form ("Never give up!"): use it where the user speaks to an assistant.
"""
# ruff: noqa: SIM905 - word lists are read and edited as text

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mnemic.text.sentences import sentences

Kind = Literal["instruction", "preference"]

# Most instructions have one of these terms, as `mnemic.text.terms` writes them: an index says where to look first. (The
# words of "from now on" are stop words: beside these, the most relevant short messages are worth a look.)
INSTRUCTION_TERMS = tuple(
    "alway never ask futur forward henceforth default rememb mind forget call refer address unless".split()
)
LONGEST_TERMS = 60  # a message with more terms than this is seldom an instruction alone

_LONGEST_SENTENCE = 100  # words; longer ones are pasted text
_FEW_SENTENCES = 3  # a rule that is laid down stands nearly alone


@dataclass(frozen=True, slots=True)
class Standing:
    """A sentence that holds until it is taken back."""

    kind: Kind
    strength: float  # in (0, 1]: how surely it is one
    text: str  # the sentence
    condition: str = ""  # what it is limited to, "I ask about deadlines"; empty for everything


def standing(text: str, role: str = "user") -> Standing | None:
    """The instruction, or else the preference, that a message lays down most surely; None where there is none.

    >>> standing("Always use metric units when I ask about distances.").condition
    'I ask about distances'
    >>> standing("I prefer trains to planes, so how do I get to Rome?").kind
    'preference'
    >>> standing("I always forget my keys. Should I never lock the door?")
    """
    return _standing(text) if role == "user" else None


def instruction(text: str) -> float:
    """How surely a user's message lays down an instruction, in [0, 1]: what `standing` says of it, without looking for tastes.

    Nothing is kept of a text, so that nothing is left of one that is forgotten.

    >>> instruction("Always use metric units."), instruction("I prefer trains.")
    (1.0, 0.0)
    """
    if not _may_order(" ".join(text.split()).replace("’", "'")):
        return 0.0
    said, alone = _said(text)
    return alone * max((_order(one, _WHEN_I_ASK.search(one) is not None) for one in said), default=0.0)


def most_relevant(relevance: NDArray[np.float32], strength: NDArray[np.float32], places: int) -> NDArray[np.int64]:
    """The positions of the `places` standing items that bear most on a cue, best first; strength 0 is none.

    >>> most_relevant(np.array([0.9, 0.1, 0.4], np.float32), np.array([0.0, 1.0, 1.0], np.float32), 1).tolist()
    [2]
    """
    there = np.flatnonzero(strength > 0.0)
    return there[np.argsort(-(relevance * strength)[there], kind="stable")[:places]]


def _standing(text: str) -> Standing | None:
    if not _hint(text):
        return None
    said, alone = _said(text)
    found = [one for it in said if (one := _read(it, alone)) is not None]
    return max(found, key=lambda one: (one.kind == "instruction", one.strength), default=None)


def _may_order(text: str) -> bool:
    """Whether a text has what every order has."""
    low = text.lower()

    def has(words: Iterable[str]) -> bool:
        return any(word in low for word in words)

    return (
        has(_ORDER_WORDS)
        or (has(_TIME_WORDS) and has(_ASKING_WORDS) and _WHEN_I_ASK.search(text) is not None)
        or (has(_ON_WORDS) and _FROM_NOW_ON.search(text) is not None)
    )


def _said(text: str) -> tuple[list[str], float]:
    """(the sentences that may lay something down, how much the company that they stand in leaves of their strength)."""
    said = [" ".join(one.split()).replace("’", "'") for one in sentences(_CODE.sub(" ", text))]
    alone = 1.0 if len(said) <= _FEW_SENTENCES else 0.6
    return [one for one in said if one.count(" ") < _LONGEST_SENTENCE], alone


def _read(sentence: str, alone: float) -> Standing | None:
    match = _WHEN_I_ASK.search(sentence)
    condition = match["what"].strip(" ,.!") if match else ""
    if surely := _order(sentence, match is not None):
        return Standing("instruction", surely * alone, sentence, condition)
    strength = next((strength for taste, strength in _TASTES if taste(sentence)), 0.0)
    return Standing("preference", strength, sentence, condition) if strength else None


def _order(sentence: str, is_limited: bool) -> float:
    """How surely a sentence orders what is to be done from now on; 0 when it does not."""
    if sentence.endswith("?"):
        return 0.0
    bare = _OPENING.sub("", sentence)
    if is_limited and bare[:1].isupper() and (clause := _FIRST_CLAUSE.match(bare)):
        bare = _OPENING.sub("", bare[clause.end() :])  # "When I ask about dates, use ISO format."
    if _ALWAYS.match(bare):
        return 1.0
    is_order = _begins_with_order(bare)
    if is_limited and is_order:
        return 1.0
    if is_order and _FROM_NOW_ON.search(sentence):
        return 0.9
    return next((surely for pattern, surely in _OTHER_ORDERS if pattern.match(bare)), 0.0)


def _begins_with_order(bare: str) -> bool:
    """Whether it begins with a bare verb, or tells "you" what to do."""
    return _YOU_SHOULD.match(bare) is not None or (bool(bare) and _NO_VERB.match(bare) is None)


def _pattern(*parts: str) -> re.Pattern[str]:
    return re.compile("".join(parts), re.IGNORECASE)


_CODE = re.compile(r"```.*?(?:```|\Z)|^(?: {4,}|\t|>).*$", re.DOTALL | re.MULTILINE)

# what may stand before an order
_OPENING = _pattern(
    r"(?:(?:please|also|and|but|so|oh|ok|okay|hey|hi|hello|reminder|important|one more thing|by the way|btw|just|kindly"
    r"|from (?:now|here) on|from (?:today|this point)(?: on(?:wards?)?)?|going forward|moving forward|in (?:the )?future"
    r"|henceforth|for all future \w+)\b[\s,:;–—-]*|[-*•]\s+|\d+[.)]\s+)+"
)
_WHEN_I_ASK = _pattern(
    r"\b(?:when|whenever|if|any ?time|every ?time|each time|in case)\s+(?P<what>(?:I|we)(?:'m| am|'re| are)?\s+(?:\w+\s+)?"
    r"(?:ask|request|inquir|want|need|mention|say|send|share|bring up|talk|write|upload|paste)\w*\b[^.!?;]*)"
)
_FIRST_CLAUSE = _pattern(r"(?:when|whenever|if|any ?time|every ?time|each time|in case)\b[^,]*,\s*(?:then\s+)?")
_YOU_SHOULD = _pattern(
    r"(?:you (?:should|must|need to|have to|are to|may)|(?:I|we)(?: would|'d)? (?:want|need|expect|like|prefer) you to|make sure"
    r"|be sure)\b"
)
_ALWAYS = _pattern(
    r"(?:(?:remember to|make sure (?:to|you|that you)|be sure to|(?:do not|don't) forget to|try to"
    r"|you (?:should|must|need to|have to|are to)|(?:I|we)(?: would|'d)? (?:want|need|expect|like|prefer) you to)\s+)?"
    r"(?:always|never|(?:do not|don't) ever)\s+(?!(?:\w+(?:ed|ing|ly)|a|an|the|my|your|our|his|her|its|their|this|that|in"
    r"|on|at|up|for|to|of|as|with|too|so|such|more|better|here|there|been|had|have|has|was|were|is|are|am|will|would"
    r"|can|could|saw|seen|heard|thought|knew|known|felt|came|went|got|again|mind|good|great|happy|glad|nice|fun|ready"
    r"|available|hungry|tired|busy|sure|right|wrong|love|hate|a|I|you|he|she|it|we|they)\b)\w+"
)
_FROM_NOW_ON = _pattern(
    r"\b(?:from (?:now|here) on|from (?:today|this point)(?: on(?:wards?)?)?,|going forward|moving forward|henceforth"
    r"|in (?:the )?future|in all (?:of )?(?:your|future)|in every (?:answer|reply|response)|for all (?:future|my|your)"
    r"|at all times|until I (?:say|tell)|unless I (?:say|tell|ask|specify)|by default)\b"
)
# words with which a sentence that is no order begins
_NO_VERB = _pattern(
    r"(?:(?:I|we|you|he|she|it|they|my|our|your|his|her|its|their|this|that|these|those|there|here|the|a|an|what|when"
    r"|where|who|why|how|which|is|are|was|were|will|would|can|could|do|does|did|should|may|might|has|have|had|if|as"
    r"|for|in|on|at|to|with|by|from|of|no|not|yes|yeah|maybe|perhaps|thanks|thank|sure|well|got|every|each|some|all|any"
    r"|both|since|because|while|although|though|after|before|until|unless|once|then|now|today|see|let|hope|remember"
    r"|hmm|great|good|sounds|hopefully|actually|also|anyway|however|except|most|many|more|about|like)(?:'\w+)?\b"
    r"|[A-Za-z]+(?:ing|ed|ly|s)\b|[^A-Za-z])"
)
_OTHER_ORDERS = (
    (_pattern(r"(?:you (?:can|may|should) )?(?:call|address) me\b|(?:you (?:can|may|should) )?refer to me as\b"), 0.8),
    (
        _pattern(
            r"(?:remember|keep in mind|bear in mind|note|(?:do not|don't) forget)(?: that)? "
            r"(?:I|I'm|I've|my|we|our)\b(?! (?:asked|told|said|talked|mentioned))"
        ),
        0.7,
    ),
)

_MORE = (
    r"(?:(?:really|strongly|generally|usually|always|much|definitely|absolutely|also|do|just|still|personally|typically"
    r"|particularly|especially|completely|greatly|tend to|would|firmly)\s+)*"
)
_TASTES = tuple(
    (_pattern(pattern).search, strength)
    for pattern, strength in (
        (rf"\bI\s+{_MORE}(?:prefer|favou?r)\b|\bI'd (?:much |far )?(?:rather|prefer)\b", 0.9),
        (rf"\bI\b[^.;?!]*(?:,|\band|\bbut|\bso)\s+{_MORE}prefer\b", 0.9),
        (
            r"\bI(?:'ve| have)\s+(?:an? )?(?:\w+ )?(?:preference|aversion|dislike|distaste|allergy|intolerance|phobia|fear)\b",
            0.9,
        ),
        (
            r"\bI(?:'m| am)\s+(?:\w+ ){0,2}?(?:allergic|intolerant|vegetarian|vegan|diabetic|coeliac|celiac|colou?r.?blind)\b",
            0.9,
        ),
        (
            r"\bmy (?:all-time |absolute |personal )?favou?rite\b|\bmy go-to\b|\bmy (?:\w+ )?preferences? (?:is|are)\b",
            0.8,
        ),
        (
            rf"\bI\s+{_MORE}(?:can't stand|cannot stand|hate|dislike|detest|despise|loathe|avoid|refuse to|distrust)\b",
            0.8,
        ),
        (r"\bI(?:'m| am)\s+(?:\w+ ){0,3}?(?:fan of|fond of|partial to|keen on|averse to|against|opposed to)\b", 0.7),
        (r"\bI(?:'m| am) not (?:interested in|comfortable with|into)\b", 0.7),
        (
            rf"\bI\s+(?:{_MORE})(?:don't|do not)\s+(?:\w+\s+)?(?:like|enjoy|eat|drink|trust|care for|believe in)\b",
            0.7,
        ),
        (
            rf"(?<!what )(?<!which )\bI\s+{_MORE}(?:love|adore|enjoy|like)\b"
            r"(?! (?:the|your|this|that|these|those|it|how|to (?:know|see|hear|ask|understand|learn|get|try|make))\b)",
            0.6,
        ),
        (r"\bI\s+(?:\w+\s+)?(?:learn|work|study|focus|sleep|think|write) best\b|\bI\s+(?:\w+ )?thrive\b", 0.6),
        (r"\bI\s+(?:usually|typically|generally|normally|tend to|make it a (?:point|rule) to|stick to)\b", 0.5),
    )
)
# Every order has one of these; or one of each kind below and a match of `_WHEN_I_ASK`, or of the last kind and of
# `_FROM_NOW_ON`. Looking for plain words is a tenth of the work of looking for patterns.
_ORDER_WORDS = ("always", "ever", "call me", "address me", "refer to me", "remember", "in mind", "note", "forget")
_TIME_WORDS = ("when", "if", "time", "case")
_ASKING_WORDS = "ask request inquir want need mention say send share bring talk write upload paste".split()
_ON_WORDS = ("from", "forward", "henceforth", "future", "all", "every", "until", "unless", "default")
_hint = _pattern(
    r"\b(?:always|never|ever|whenever|every|each|when|if|any ?time|from|forward|future|henceforth|remember|mind|forget"
    r"|note|call|address|refer|unless|until|default|prefer\w*|favou?r\w*|rather|aversion|dislike|distaste|allerg\w+"
    r"|intoleran\w+|phobia|fear|vegetarian|vegan|diabetic|co?eliac|blind|go-to|stand|hate|detest|despise|loathe|avoid"
    r"|refuse|distrust|love|adore|enjoy|like|fan|fond|partial|keen|averse|against|opposed|interested|comfortable|into"
    r"|eat|drink|trust|care|believe|best|thrive|usually|typically|generally|normally|tend|point|rule|stick|all)\b"
).search
