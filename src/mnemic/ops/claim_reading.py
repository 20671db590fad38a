"""From a statement to its claims: which attribute of whom a verb, a preposition and an object are about.

A reader for each family of wordings (home, work, changes, giving up, possessions, states), tried in order; what none of them
knows is claimed under its own verb, "do:paint", and is never single. See `ops.claims`.
"""
# ruff: noqa: SIM905 - word lists are read and edited as text

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache

from mnemic.ops.claim_forms import (
    ANY,
    Chain,
    Claim,
    attribute_of,
    names_value,
    noun_key,
    occupations,
    on_scale,
    owner,
    value_terms,
)
from mnemic.ops.statements import Statement
from mnemic.text.terms import terms
from mnemic.text.verbs import COMMON, base_form

_UNRESOLVED = ("it", "this", "that", "them", "so", "him", "her")  # nobody knows what is claimed
_NOW = frozenset("now nowadays today currently instead".split()) | {"these days"}
_ENDS = ("no longer", "anymore", "any more", "any longer")
_STOPS = ("stop -ing", "quit -ing", "finish -ing", "use to", "give -ing")


def claims_of(said: Statement, clause: str) -> list[Claim]:
    if said.object.lower() in _UNRESOLVED:
        return []
    chain = owner(said.subject)
    adverbs = set(said.adverbs)
    has_ended = any(one in adverbs for one in _ENDS) or any(one in adverbs for one in _STOPS)
    marks = _Marks(
        has_ended,
        said.is_negated and not has_ended,
        bool(adverbs & {"also", "too", "as well"}) or _ADDS.search(clause) is not None,
        bool(adverbs & _NOW) or _NEWLY.search(clause) is not None,
    )
    found = [_marked(one, marks) for one in _read(said, chain)]
    return [*_resolutions(said, chain, clause), *found]


@dataclass(frozen=True, slots=True)
class _Marks:
    has_ended: bool
    is_negated: bool
    is_additive: bool
    is_now: bool


def _marked(one: Claim, marks: _Marks) -> Claim:
    return replace(
        one,
        is_ended=one.is_ended or marks.has_ended,
        is_negative=one.is_negative != marks.is_negated,
        is_additive=marks.is_additive,
        is_now=one.is_now or marks.is_now,
    )


_ADDS = re.compile(r"\b(?:another|in addition|additionally|besides|as well|a second|a third)\b", re.IGNORECASE)
_NEWLY = re.compile(
    r"\b(?:now|nowadays|these days|instead|changed (?:his|her|their|my|to)|switched|as of (?:today|now)|from now on|new)\b",
    re.IGNORECASE,
)


def _read(said: Statement, chain: Chain) -> list[Claim]:
    """The claims of a statement, before what its adverbs do to them."""
    verb, preposition, value = said.verb, said.preposition, said.object
    if not said.is_pair and _PASSIVE.match(said.relation) and (scaled := on_scale(f"{said.relation} {value}")):
        return [Claim(chain, scaled[0], frozenset([scaled[1]]), is_single=True, is_event=said.is_past)]
    if said.is_pair or verb == "be":
        return _of_copula(said, chain)
    if verb in ("call", "name", "rename") and not said.relation.lower().startswith(("called", "calls", "named")):
        return [Claim(chain, "name", value_terms(value), is_single=True)]
    if verb in ("go",) and preposition == "by":
        return [Claim(chain, "name", value_terms(value), is_single=True)]
    if (attitude := _ATTITUDES.get(verb)) is not None and not (verb == "stand" and not said.is_negated):
        is_denied = verb in ("stand", "bear")  # "can't stand": its denial is the attitude itself
        return [Claim(chain, ATTITUDE, value_terms(_prepositional(said)), is_negative=(attitude < 0) != is_denied)]
    for read in (_home, _work, _changed, _given_up, _single_verbs):
        if found := read(said, chain):
            return found
    if verb in ("have", "own", "get", "adopt", "buy") and not preposition:
        return _possession(said, chain)
    intents = [one[:-3] for one in said.adverbs if one.endswith(" to") and one != "use to"]
    name = " ".join(["do:" + " ".join([*intents, verb]), *([preposition] if preposition else [])])
    is_event = said.is_past and not any(one in said.adverbs for one in ("use to",))
    return [Claim(chain, name, value_terms(value), is_event=is_event)]


ATTITUDE = "attitude"  # the attribute of what is liked and disliked
_ATTITUDES = {
    **dict.fromkeys("like love enjoy adore appreciate prefer favor admire crave".split(), 1),
    **dict.fromkeys("hate dislike detest loathe despise stand bear distrust".split(), -1),
}
_FOND = re.compile(
    r"(?:a (?:big |huge |great )?(?:fan|lover) of|fond of|into|keen on|crazy about|passionate about|"
    r"interested in|obsessed with|partial to)\s+(?P<what>.+)",
    re.IGNORECASE,
)
_TIRED = re.compile(
    r"(?:tired of|sick of|bored (?:of|with)|fed up with|over|done with|averse to|against)\s+(?P<what>.+)", re.IGNORECASE
)


def _prepositional(said: Statement) -> str:
    return f"{said.preposition} {said.object}" if said.preposition else said.object


def _of_copula(said: Statement, chain: Chain) -> list[Claim]:
    """ "Ann's job is X", "Ann is X", "the meeting is at X", "key: X"."""
    value = f"{said.preposition} {said.object}".strip()
    if said.is_pair:
        return _of_property(chain, said.object, is_single=True)
    if match := _FOND.match(value):
        return [Claim(chain, ATTITUDE, value_terms(match["what"]))]
    if (match := _TIRED.match(value)) and said.preposition != "against":
        return [Claim(chain, ATTITUDE, value_terms(match["what"]), is_negative=True)]
    if scaled := on_scale(value):
        return [Claim(chain, scaled[0], frozenset([scaled[1]]), is_single=True, is_event=said.is_past)]
    if match := _AGE.fullmatch(value):
        return [Claim(chain, "age", frozenset([match["age"]]), is_single=True)]
    if match := _BASED.match(value):
        return [Claim(chain, "home", value_terms(match["where"]), is_single=True)]
    if said.preposition in ("in", "at", "on", "for", "from", "by", "under"):
        return _placed(said, chain)
    if len(chain) > 1:
        is_plural = said.relation.lower().split()[-1:] == ["are"]
        is_value = names_value(chain[-1], said.object)
        if is_value and not said.is_past:
            return _of_property(chain, said.object, is_single=not is_plural)
    if match := _CLASS.match(value):
        kind = value_terms(match["what"])
        head = match["what"].split()[-1].lower()
        if kind & occupations():
            return [Claim(chain, "occupation", kind, is_single=True, is_event=said.is_past)]
        return [Claim(chain, "is a", kind, is_event=said.is_past)] if head else []
    return [Claim(chain, "is", value_terms(value), is_event=said.is_past)]


def _of_property(chain: Chain, value: str, *, is_single: bool) -> list[Claim]:
    """The attribute that the last noun of a chain names, of what stands before it."""
    holder = chain[:-1] or (ANY,)
    if holder == (ANY,) and chain[-1:] and attribute_of(chain[-1]) != f"of:{chain[-1]}":
        holder = ("",)  # "Name is John": whoever speaks
    found = [Claim(holder, attribute_of(chain[-1]), value_terms(value) or frozenset([value.casefold()]), is_single)]
    if re.fullmatch(r"[A-Z][\w'-]+", value):
        found.append(Claim(chain, "name", value_terms(value), is_single=True))
    return found


_AGE = re.compile(r"(?P<age>\d{1,3})(?: years? old| years? of age)?", re.IGNORECASE)
_BASED = re.compile(
    r"(?:now )?(?:based|living|resident|settled|staying|located) (?:in|at)\s+(?P<where>.+)", re.IGNORECASE
)
_CLASS = re.compile(r"an? (?P<what>[\w' -]{2,40})$", re.IGNORECASE)
_DAY = re.compile(
    r"\b(?:(?:mon|tues|wednes|thurs|fri|satur|sun)days?|january|february|march|april|may|june|july|august|september|october"
    r"|november|december|today|tomorrow|next \w+|\d{1,2}(?:st|nd|rd|th)|\d{4}-\d\d-\d\d|week|month)\b",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"\b(?:\d{1,2}(?::\d\d)?\s?(?:am|pm|o'clock|h)|\d{1,2}:\d\d|noon|midnight)\b|\bat \d{1,2}\b(?!:\d)", re.IGNORECASE
)


def _placed(said: Statement, chain: Chain) -> list[Claim]:
    """ "Is at five", "is on Friday", "is in Paris"."""
    value = f"{said.preposition} {said.object}"
    found = _times(chain, value, is_event=said.is_past)
    if found:
        return found
    return [
        Claim(
            chain, f"is {said.preposition}", value_terms(said.object), is_single=not said.is_past, is_event=said.is_past
        )
    ]


def _times(chain: Chain, value: str, *, is_event: bool = False) -> list[Claim]:
    clock = _CLOCK.search(value)
    rest = _CLOCK.sub(" ", value)
    found = []
    if clock:
        found.append(Claim(chain, "when:clock", value_terms(clock.group()), is_single=not is_event, is_event=is_event))
    if _DAY.search(rest):
        found.append(Claim(chain, "when:day", value_terms(rest), is_single=not is_event, is_event=is_event))
    return found


def _home(said: Statement, chain: Chain) -> list[Claim]:
    verb, preposition = said.verb, said.preposition
    intends = any(one.endswith(" to") and one != "use to" for one in said.adverbs)
    if intends:
        return []
    if verb in ("live", "reside", "settle", "bas") and preposition in ("in", "at", "near", "on"):
        return [Claim(chain, "home", _place(said.object), is_single=True)]
    if verb in ("move", "relocate") and preposition in ("to", "into", "in", "back to", "from", "out of", "out to"):
        if _times(chain, said.object) and _DAY.match(said.object):
            return [replace(one, is_now=True) for one in _times(chain, f"{preposition} {said.object}")]
        where, left = said.object, ""
        if preposition in ("from", "out of"):
            left, _, where = said.object.partition(" to ")
        elif " from " in where:
            where, _, left = where.partition(" from ")
        if not where:
            return [Claim(chain, "home", _place(left), is_single=True, is_ended=True)]
        return [Claim(chain, "home", _place(where), is_single=True, is_now=True)]
    return []


def _place(text: str) -> frozenset[str]:
    """Where, without with whom, since when and why."""
    cut = re.split(
        r"\s(?:with|since|for|because|to|when|last|next|this|after|from|and|where|which|on|as|by)\s"
        r"|,? (?:in|on) \d{4}|,? yesterday|,? recently",
        text,
    )[0]
    return value_terms(cut) or value_terms(text)


_JOB_AT = re.compile(
    r"(?:an? |the |his |her |their |my )?(?:new )?(?:job|position|role|internship)(?: offer)?\s+(?:at|with|for)\s+(?P<where>.+)",
    re.IGNORECASE,
)


def _work(said: Statement, chain: Chain) -> list[Claim]:
    verb, preposition, value = said.verb, said.preposition, said.object
    if verb == "become" or (verb == "work" and preposition == "as"):
        what, _, where = value.partition(" at ")
        found = [Claim(chain, "occupation", value_terms(what), is_single=True, is_now=verb == "become")]
        return found + ([Claim(chain, "employer", _place(where), is_single=True)] if where else [])
    if verb in ("work", "employ") and preposition in ("at", "for", "by", "with"):
        where, _, what = value.partition(" as ")
        found = [Claim(chain, "employer", _place(where), is_single=preposition != "with", is_event=False)]
        return found + ([Claim(chain, "occupation", value_terms(what), is_single=True)] if what else [])
    if verb in ("start", "get", "take", "have", "accept", "land", "begin") and (match := _JOB_AT.match(value)):
        return [Claim(chain, "employer", _place(match["where"]), is_single=True, is_now=True)]
    if verb == "join" and value[:1].isupper():
        return [Claim(chain, "employer", _place(value), is_single=True, is_now=True)]
    if verb in ("leave", "quit", "resign", "fire") and (
        (match := _JOB_AT.match(value)) or preposition == "from" or value[:1].isupper()
    ):
        return [
            Claim(chain, name, _place(match["where"] if match else value), is_single=True, is_ended=True)
            for name in ("employer", *(("home",) if verb == "leave" and not match else ()))
        ]
    return []


_INTO = re.compile(
    r"(?P<what>.*?)\s*\b(?:from\s+(?P<left>.+?)\s+)?(?:to|into|for|with)\s+(?P<value>.+)$", re.IGNORECASE
)
_CHANGES = frozenset(
    """
    change switch update reschedule move postpone push shift rename increase raise reduce lower drop replace set extend delay
    upgrade transfer
    """.split()
)


def _changed(said: Statement, chain: Chain) -> list[Claim]:
    """ "Changed her password to X", "switched from X to Y", "was moved to Friday"."""
    if said.verb not in _CHANGES or any(one.endswith(" to") for one in said.adverbs):
        return []
    match = _INTO.match(f"{said.preposition} {said.object}".strip())
    if match is None:
        return []
    what, value, left = match["what"], match["value"], match["left"] or ""
    if timed := _times(
        owner(what) if what and not said.relation.lower().startswith(("was", "is", "has been")) else chain,
        f"at {value}",
    ):
        return [replace(one, is_now=True, is_single=True) for one in timed]
    if what:
        thing = _of_possessed(what, chain)
        return [
            replace(one, is_now=True, replaced=value_terms(left)) for one in _of_property(thing, value, is_single=True)
        ]
    if left:
        return [Claim(chain, "do:" + said.verb, value_terms(value), is_now=True, replaced=value_terms(left))]
    if len(chain) > 1:
        return [replace(one, is_now=True) for one in _of_property(chain, value, is_single=True)]
    return []


def _of_possessed(what: str, chain: Chain) -> Chain:
    """Whose "her password" is, said of somebody: theirs."""
    thing = owner(what)
    if (thing[:1] and thing[0].startswith("~")) or thing[:1] == (ANY,):
        return (*chain, *thing[1:])
    return thing


_GIVES_UP = frozenset("quit stop drop cancel abandon sell lose return discard end".split())


def _given_up(said: Statement, chain: Chain) -> list[Claim]:
    """ "Gave up coffee", "sold the car", "lost interest in chess": what ends other claims with the same value."""
    verb, preposition, value = said.verb, said.preposition, said.object
    if (
        said.is_negated
        or any(one in said.adverbs for one in (*_STOPS,))
        or any(one.endswith(" to") for one in said.adverbs)
    ):
        return []
    if verb == "lose" and value.lower().startswith("interest in "):
        return [Claim(chain, ATTITUDE, value_terms(value[12:]), is_negative=True)]
    if verb == "break" and preposition.startswith("up"):
        return [Claim(chain, "scale:partner", frozenset(["single"]), is_single=True)]
    if (
        (verb in _GIVES_UP and not preposition and value)
        or (verb in ("give", "throw") and preposition in ("up", "up on"))
        or re.match(r"(?:up|away|off)\b", value)
    ):
        what = re.sub(r"^(?:up|away|off|on)\s+|\s+(?:up|away|off)$", "", value)
        head = what.split(" ")[0].lower()
        if head.endswith("ing") and base_form(head) in COMMON:
            rest = " ".join(what.split(" ")[1:])
            return [
                Claim(chain, f"do:{base_form(head)}", value_terms(rest), is_ended=True),
                Claim(chain, "given up", value_terms(what), is_ended=True),
            ]
        if verb in _GIVES_UP or verb in ("give", "throw"):
            return [Claim(chain, "given up", value_terms(re.sub(r"\s+to\s.+$", "", what)), is_ended=True)]
    return []


# verbs whose object, or what stands after the preposition, can be but one at a time
_SINGLE = frozenset(
    [
        ("drive", ""), ("weigh", ""), ("earn", ""), ("cost", ""), ("major", "in"), ("study", "at"), ("attend", ""),
        ("wake", "up at"), ("get", "up at"), ("wake", "at"), ("report", "to"), ("root", "for"), ("sleep", "at"), ("measure", ""),
    ]
)  # fmt: skip
_TIMED = frozenset("start begin end finish happen open close depart arrive schedule take be".split())


def _single_verbs(said: Statement, chain: Chain) -> list[Claim]:
    verb, preposition, value = said.verb, said.preposition, said.object
    if verb == "turn" and re.fullmatch(r"\d{1,3}", value):
        return [Claim(chain, "age", frozenset([value]), is_single=True, is_now=True)]
    if verb in ("marry", "divorce", "separate", "date", "engage", "get") and (
        scaled := on_scale(f"{said.relation} {value}")
    ):
        return [Claim(chain, scaled[0], frozenset([scaled[1]]), is_single=True, is_now=True)]
    if verb in _TIMED and (
        timed := _times(chain, f"{preposition} {value}", is_event=said.is_past and not _PASSIVE.match(said.relation))
    ):
        return timed
    if (verb, preposition) in _SINGLE and not said.is_past:
        return [Claim(chain, f"do:{verb} {preposition}".strip(), value_terms(value), is_single=True)]
    return []


_PASSIVE = re.compile(r"(?:is|are|was|were|has been|have been)\b", re.IGNORECASE)
_CALLED = re.compile(r"(?P<what>.+?)[, ]+(?:called|named)\s+(?P<name>[\w' -]+)$", re.IGNORECASE)


def _possession(said: Statement, chain: Chain) -> list[Claim]:
    """ "Has two dogs", "has a dog called Max"."""
    value = said.object
    is_event = said.verb in ("get", "buy") and said.is_past
    if match := _CALLED.fullmatch(value):
        thing = (*chain, noun_key(match["what"], first=False))
        return [
            Claim(chain, "has", value_terms(match["what"])),
            Claim(thing, "name", value_terms(match["name"]), is_single=True),
        ]
    attribute = "has" if said.verb in ("have", "own", "adopt") else f"do:{said.verb}"
    return [Claim(chain, attribute, value_terms(value), is_event=is_event)]


_OVER = re.compile(
    r"\b(?:gone|over|healed|cured|recovered|recovering well|fixed|repaired|solved|resolved|cleared up|went away|gone away|passed"
    r"|disappeared|ended|settled|sorted|found|arrived|back to normal|feel(?:s|ing)? (?:much |a lot )?better"
    r"|(?:is|am|are|got|'s|doing) (?:much |a lot |all |now )?(?:better|healthy again|well again)"
    r"|no longer (?:sick|ill)|got over|got rid of|paid off)\b",
    re.IGNORECASE,
)
_NOT_YET = re.compile(
    r"\b(?:not|n't|never|isn't|hasn't|haven't|yet to|almost|nearly|hopes?|wish(?:es)?|if|when|until|will)\b",
    re.IGNORECASE,
)


@cache
def _over_words() -> frozenset[str]:
    return frozenset(
        term
        for word in """
        gone heal cure recover fix repair solve resolve clear better feel find found arrive got get back end past
        """.split()
        for term in terms(word)
    )


def _resolutions(said: Statement, chain: Chain, clause: str) -> list[Claim]:
    """That a trouble is over: which, by its words; with none, somebody's health."""
    if not _OVER.search(clause) or _NOT_YET.search(clause) or said.verb in _ATTITUDES:
        return []
    about = frozenset(part for link in chain[1:] for part in link.split(" ")) | value_terms(said.object)
    return [Claim(chain, "resolved", about - _over_words())]
