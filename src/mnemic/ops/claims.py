"""What a statement claims, in a form in which two claims can be compared: whose, which attribute, which value.

The one idea: many wordings, few attributes. "Lives in Paris", "moved to Paris", "home: Paris" are all the home of somebody,
and a person has one home; so is an employer, a name, an age, "favourite X", the value of "key: value". Likes and dislikes
are one attitude with a sign, of which there are many. What is not known to be single (hobbies, friends, "has a dog")
is never replaced, unless a number in it changed, or the new statement says "now" or "no longer".

Whose: a chain of owners, ("ann", "sister", "dog") for "Ann's sister's dog". The speaker, "I", "the user" and a subject that is
left out are one owner, "". Rules for English; a text they do not understand claims nothing.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Literal

from mnemic.ops.claim_forms import ANY, Chain, Claim, illnesses, owner, spelled, troubles, value_terms
from mnemic.ops.claim_reading import ATTITUDE, claims_of
from mnemic.ops.repeats import has_number
from mnemic.ops.statements import clauses, statement_in
from mnemic.text.sentences import sentences
from mnemic.text.terms import terms

__all__ = ["Claim", "claims_in", "content", "owner", "same_owner", "verdict"]

Verdict = Literal["agrees", "contradicts", "updates", "resolved", "unrelated"]

PRESENT_UPDATE = 0.8  # cosine from which a present state with another value is taken for its update
SHORT = 4  # terms of a value that is one thing, and no tale
_MOST = 12  # sentences of a text that are read
_OPEN_ENDS = ("look", "wait", "worry", "search", "stress", "struggle")  # what one does until something is over


def drop_remembered_claims() -> None:
    """Empty the table of what was read: one of the texts may be one that was forgotten."""
    _read.cache_clear()


def claims_in(text: str) -> list[Claim]:
    """What a text of a few sentences claims, in order. What was read lately is remembered.

    >>> [(one.subject, one.attribute, sorted(one.value)) for one in claims_in("Ann's sister moved to Rome.")]
    [(('ann', 'sister'), 'home', ['rome'])]
    """
    return list(_read(text))


@lru_cache(maxsize=4096)
def _read(text: str) -> tuple[Claim, ...]:
    text = spelled(text)
    said = [clause for sentence in sentences(text)[:_MOST] for clause in clauses(_without_dates(sentence))]
    found = ((clause, one) for clause in said if (one := statement_in(clause)) is not None)
    return tuple(claim for clause, one in found for claim in claims_of(one, clause))


def verdict(old: Claim, new: Claim, similarity: float | None = None) -> Verdict:
    """What the new claim is to the old one; "agrees" where they speak of the same and nothing speaks against both."""
    if new.attribute == "resolved":
        return "resolved" if _is_resolved(old, new) else "unrelated"
    if not same_owner(old.subject, new.subject):
        return "unrelated"
    if new.replaced and new.replaced <= old.value and not old.is_event:
        return "updates"
    if old.attribute != new.attribute:
        return _across(old, new)
    overlaps = bool(old.value & new.value) or (not old.value and not new.value)
    if new.is_ended != old.is_ended:
        return ("contradicts" if overlaps or not new.value else "unrelated") if _is_whole(old, new) else "unrelated"
    if new.is_negative != old.is_negative:
        return "contradicts" if overlaps and _is_whole(old, new) else "unrelated"
    if old.value == new.value:
        return "agrees"
    if new.is_additive:
        return "agrees" if old.value < new.value else "unrelated"
    return _of_two_values(old, new, similarity)


def same_owner(one: Chain, other: Chain) -> bool:
    """Whether two chains may be of the same owner."""
    if one == other:
        return True
    return one[1:] == other[1:] and len(one) > 1 and ANY in (one[0], other[0])


def content(text: str) -> frozenset[str]:
    """The terms that say what a text is about: liking and loving are one, "also" and "now" are none."""
    return value_terms(spelled(text))


# -- comparing --------------------------------------------------------------------------------------------


def _of_two_values(old: Claim, new: Claim, similarity: float | None) -> Verdict:
    """Two claims of the same attribute and sign with different values."""
    is_state = not old.is_event and not new.is_event
    if new.is_single and old.is_single and not new.is_negative:
        if old.value < new.value and not has_number(new.value - old.value):
            return "agrees"
        return "unrelated" if new.value < old.value and not new.is_now else "updates"
    if is_state and _numbers(old.value) and _numbers(new.value) and _bare(old.value) == _bare(new.value):
        return "updates"
    if old.value < new.value or new.value < old.value:
        return "agrees"
    if new.attribute == ATTITUDE or not is_state or new.is_negative:
        return "unrelated"
    if new.is_now and new.attribute != "has" and max(len(old.value), len(new.value)) <= SHORT:
        return "updates"
    return (
        "updates" if similarity is not None and similarity >= PRESENT_UPDATE and new.attribute != "has" else "unrelated"
    )


def _is_whole(old: Claim, new: Claim) -> bool:
    """Whether the shorter value is all in the longer one, so that what is denied is what was said."""
    short, long = sorted((old.value, new.value), key=len)
    return short <= long


def _across(old: Claim, new: Claim) -> Verdict:
    """Claims of different attributes of one owner."""
    if (
        new.is_ended
        and not old.is_ended
        and not old.is_negative
        and new.attribute in ("given up", "do:sell", "do:lose")
    ):
        return (
            "contradicts"
            if new.value and (new.value <= old.value or old.value <= new.value) and old.value
            else "unrelated"
        )
    pair = {old.attribute, new.attribute}
    if pair == {"when:day", "when:clock"}:
        return "unrelated"
    if new.is_now and old.attribute.startswith("when") and new.attribute.startswith("of:"):
        return "updates"
    return "unrelated"


def _is_resolved(old: Claim, new: Claim) -> bool:
    """Whether the old claim is of a trouble, or an open end, that the new one says is over."""
    doing = old.attribute.removeprefix("do:").split(" ")[0]
    is_open = (
        (len(old.value) <= SHORT and bool(old.value & troubles()))
        or old.attribute == "scale:health"
        or doing in _OPEN_ENDS
    )
    if not is_open or old.is_negative or old.is_ended:
        return False
    owners = (new.subject, new.subject[:-1])
    if new.subject[0] != ANY and not any(same_owner(old.subject, one) for one in owners):
        return False
    if not new.value:
        return bool(old.value & illnesses()) and old.subject == new.subject
    return bool(new.value & (old.value | {part for link in old.subject[1:] for part in link.split(" ")}))


def _numbers(value: frozenset[str]) -> bool:
    return has_number(value) or not value.isdisjoint(_number_words())


def _bare(value: frozenset[str]) -> frozenset[str]:
    """A value without its numbers and their plurals."""
    return frozenset(term for term in value if not has_number(frozenset([term])) and term not in _number_words())


@cache
def _number_words() -> frozenset[str]:
    words = "two three four five six seven eight nine ten eleven twelve twenty thirty hundred once twice"
    return frozenset(term for word in words.split() for term in terms(word))


_DATE_BEHIND = re.compile(r"\s*\(\d{4}(?:-\d\d){0,2}(?: to \d{4}-\d\d-\d\d)?\)")


def _without_dates(sentence: str) -> str:
    return _DATE_BEHIND.sub("", sentence)
