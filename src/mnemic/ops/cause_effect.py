"""How one memory leads to another: changed into it, caused it, wanted because of it; by rule.

A change is told by what the two claim (`ops.claims`); so is what says the same thing more closely. Otherwise two memories that
have enough words in common are of one topic, and cue words in the newer one say more. Relations: THEANINE, arXiv 2406.10996;
the rules are ours, and never find a Reason: that an earlier event is explained by a later one is not told by words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from mnemic.ops.claims import Claim, claims_in, content, same_owner, verdict
from mnemic.ops.extract import Fact
from mnemic.ops.told_change import tells_change, values_after_change

Reading = Callable[[str], list[Claim]]
CHANGED, SAME_TOPIC = "Changed", "SameTopic"
RELATIONS = (CHANGED, "Cause", "Reason", "HinderedBy", "React", "Want", SAME_TOPIC)
_COMMON, _SHARE = 2, 0.2  # terms that two memories of one topic have in common, and their share of all


def still_standing(facts: Sequence[Fact], read: Reading = claims_in) -> list[Fact]:
    """The facts of a session without those that a later one of them takes back.

    read: how a text's claims are read, for a caller that keeps them.

    >>> from datetime import UTC, datetime
    >>> said = [Fact(text, ("e",), "Ann", datetime(2024, 5, 1, tzinfo=UTC)) for text in ("bird: emu", "fish: eel", "bird: owl")]
    >>> [one.text for one in still_standing(said)]
    ['fish: eel', 'bird: owl']
    """
    left: list[tuple[Fact, list[Claim]]] = []
    for fact in facts:
        claims = read(fact.text)
        left = [(one, old) for one, old in left if not takes_back(old, claims)]
        if values_after_change(fact.text):
            left = [(one, old) for one, old in left if not tells_change(one.text, fact.text)]
        left.append((fact, claims))
    return [one for one, _ in left]


def related(older: str, newer: str, read: Reading = claims_in) -> str | None:
    """The relation of two memories by rule: a change first, then what cue words in the newer one tell, else the same topic.

    >>> related("Ann lives in Oslo.", "Ann moved to Rome."), related("Ann lives in Oslo.", "Ann likes tea.")
    ('Changed', None)
    >>> related("Ann adopted a puppy from the shelter.", "Ann is so happy with the puppy from the shelter.")
    'React'
    """
    if takes_back(read(older), read(newer)) or tells_change(older, newer):
        return CHANGED
    one, other = content(older), content(newer)
    common = one & other
    if len(common) < _COMMON or len(common) < _SHARE * len(one | other):
        return None
    return next((kind for kind, cues in _CUES if cues.search(newer)), SAME_TOPIC)


def takes_back(old: Sequence[Claim], new: Sequence[Claim]) -> bool:
    """Whether what is claimed later stands in the place of what was claimed before; also where it only says it more closely."""
    return any(
        (said := verdict(one, other)) in ("contradicts", "updates", "resolved")
        or (said in ("agrees", "unrelated") and _is_same_state(one, other))
        for one in old
        for other in new
    )


def _is_same_state(old: Claim, new: Claim) -> bool:
    """Whether both give a value, and not the same, for what can have but one."""
    same = same_owner(old.subject, new.subject) and old.attribute == new.attribute
    is_single = old.is_single and new.is_single and not new.is_additive
    is_alike = old.is_negative == new.is_negative and old.is_ended == new.is_ended
    return same and is_single and is_alike and old.value != new.value


_CUES = tuple(
    (kind, re.compile(rf"\b(?:{words})\b", re.IGNORECASE))
    for kind, words in (
        ("HinderedBy", r"can't|cannot|couldn't|unable to|had to (?:cancel|stop|postpone)|cancel\w*|postpon\w*|not able to"),
        ("Cause", r"because|since|due to|thanks to|that's why|therefore|as a result|so that|led to|inspired by"),
        ("Want", r"want\w*|hop(?:es?|ing)|plan(?:s|ning)?|going to|wish\w*|would (?:like|love)|looking forward"),
        ("React", r"feel\w*|felt|happy|sad|excited|proud|nervous|grateful|upset|relieved|glad|thrilled|disappointed"),
    )
)  # fmt: skip
