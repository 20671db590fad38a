"""The parts that claims are made of: whose chains, words that mean one, states that exclude each other, troubles that pass.

Lists and rules of English, each with one use; `ops.claim_reading` makes claims with them and `ops.claims` compares those.
"""
# ruff: noqa: SIM905 - word lists are read and edited as text

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from mnemic.text.terms import terms

Chain = tuple[str, ...]
ANY = "*"  # the owner of "the meeting": whoever else has one


@dataclass(frozen=True, slots=True)
class Claim:
    """One attribute of somebody or something."""

    subject: Chain
    attribute: str
    value: frozenset[str]  # terms
    is_single: bool = False  # has it one value at a time?
    is_negative: bool = False  # denied, disliked
    is_ended: bool = False  # "no longer", "stopped", "sold"
    is_additive: bool = False  # "also", "another"
    is_now: bool = False  # "now", "changed to"
    is_event: bool = False  # something that happened, not a state
    replaced: frozenset[str] = frozenset()  # terms of the value that it says it takes the place of


def spelled(text: str) -> str:
    """One spelling for "favourite" and "favorite", "I'm" and "I am"."""
    text = re.sub(r"(?i)\b(fav|col|neighb|behavi|hum|lab)our", r"\1or", text.replace("’", "'"))
    return _CONTRACTED.sub(
        lambda match: f"{match[1]} {_FULL[(match[2] or match[4]).lower()]}" if match[1] else f"{match[3]} is", text
    )


_CONTRACTED = re.compile(r"\b(i|we|you|they)'(m|ve|re|ll)\b|\b(he|she|it|that|there)'(s)\b", re.IGNORECASE)
_FULL = {"m": "am", "ve": "have", "re": "are", "ll": "will", "s": "is"}


@cache
def _alike() -> dict[str, str]:
    """Terms that are counted as another one: all liking is one, "" where a term says nothing."""
    nothing = "like love enjoy adore also still now user really actually current"
    return (
        {term: "" for word in nothing.split() for term in terms(word)}
        | dict.fromkeys(terms("hate"), "dislik")
        | {"like": ""}
    )


def value_terms(text: str) -> frozenset[str]:
    """The terms of a value, without those that say nothing of it."""
    alike = _alike()
    return frozenset(told for term in terms(text) if (told := alike.get(term, term)))


_SELF = frozenset("i me my mine user the_user we our myself speaker".split())
_OWNERS = re.compile(r"(.+?)(?:'s|(?<=s)')\s+")
_POSSESSIVE = re.compile(r"(my|our|his|her|its|their|your)\s+", re.IGNORECASE)
_KEY_OF = re.compile(r"(?:the\s+)?(?P<what>[\w -]{1,40}?)\s+of\s+(?P<owner>.+)$", re.IGNORECASE)


def owner(phrase: str) -> Chain:
    """A noun phrase as a chain of owners, each as its terms.

    >>> owner("My sister's dog"), owner("Ann"), owner("the meeting"), owner("the user's job")
    (('', 'sister', 'dog'), ('ann',), ('*', 'meet'), ('', 'job'))
    """
    left = phrase.strip().replace("_", " ")
    chain: list[str] = []
    if match := _KEY_OF.fullmatch(left):
        left = f"{match['owner']}'s {match['what']}"
    if match := _POSSESSIVE.match(left):
        chain = ["" if match[1].lower() in _SELF else "~" + match[1].lower()]
        left = left[match.end() :]
    while match := _OWNERS.match(left):
        chain.append(noun_key(match[1], first=not chain))
        left = left[match.end() :]
    if left.strip():
        is_thing = not chain and _is_thing(left)
        chain += [ANY, noun_key(left, first=False)] if is_thing else [noun_key(left, first=not chain)]
    return tuple(chain) or ("",)


def _is_thing(phrase: str) -> bool:
    low = phrase.lower()
    if re.fullmatch(r"(?:the )?(?:user|speaker)|i|we", low):
        return False
    return re.match(r"(?:the|this|that|a|an)\s", low) is not None or phrase[:1].islower() or low in _PROPERTY_WORDS


def noun_key(phrase: str, *, first: bool) -> str:
    low = re.sub(r"^(?:(?:the|a|an|this|that|new|current|latest)\s+)+", "", phrase.lower().strip(" .,;:"))
    if first and (low in _SELF or low in ("he", "she", "they", "it")):
        return "" if low in _SELF else "~" + low
    return " ".join(terms(low)) or low


_SYNONYMS = {
    "home": "home city town residence address",
    "employer": "employer company workplace",
    "occupation": "job profession occupation position role",
    "name": "name",
    "age": "age",
    "status": "status relationship marital",
}
_PROPERTIES = {word: attribute for attribute, words in _SYNONYMS.items() for word in words.split()}
_PROPERTY_WORDS = frozenset(
    """
    name age home city town address job profession occupation employer company email phone number password username birthday
    budget price cost deadline status size height weight color favorite goal hobby language team plan capital population
    leader president ceo version temperature rate level score title location major school university salary rent code key
    id model brand nickname timezone currency frequency duration limit threshold dose dosage schedule topic theme
    destination venue date time day distance speed balance rating rank count total amount quantity value
    """.split()
)


def attribute_of(key: str) -> str:
    """The attribute that a noun names."""
    words = key.split(" ")
    return next((name for word, name in _property_terms() if [word] == words), f"of:{key}")


@cache
def _property_terms() -> tuple[tuple[str, str], ...]:
    return tuple((term, name) for word, name in _PROPERTIES.items() for term in terms(word)[:1])


def names_value(noun: str, value: str) -> bool:
    """Whether what follows "is" is a value of the noun, and no judgement of it."""
    is_property = any(word in _property_stems() for word in noun.split(" "))
    return (
        is_property
        or any(map(str.isdigit, value))
        or re.match(r"(?:the|my|his|her|their|our|[A-Z\"“$€£])", value) is not None
    )


@cache
def _property_stems() -> frozenset[str]:
    return frozenset(term for word in _PROPERTY_WORDS for term in terms(spelled(word)))


# -- states that exclude each other -----------------------------------------------------------------------

_SCALES = {
    "scale:health": {
        "ill": "sick ill unwell injured hospitalised hospitalized feverish",
        "well": "healthy well recovered fine cured",
    },
    "scale:partner": {
        "single": "single divorced separated widowed unmarried",
        "engaged": "engaged",
        "married": "married marry",
        "dating": "dating taken",
    },
    "scale:diet": {
        "vegan": "vegan",
        "vegetarian": "vegetarian",
        "pescatarian": "pescatarian",
        "omnivore": "omnivore",
    },
    "scale:employment": {"employed": "employed", "unemployed": "unemployed jobless", "retired": "retired"},
    "scale:open": {"open": "open reopened", "closed": "closed shut"},
    "scale:on": {"on": "enabled active online running", "off": "disabled inactive offline down"},
    "scale:stock": {"available": "available", "gone": "unavailable"},
    "scale:life": {"alive": "alive", "dead": "dead deceased"},
    "scale:truth": {"true": "true correct", "false": "false wrong incorrect"},
    "scale:plan": {"planned": "confirmed planned scheduled", "off": "cancelled canceled postponed"},
    "scale:done": {"open": "unfinished incomplete pending", "done": "finished complete completed done"},
    "scale:colour": {
        color: color for color in "red blue green yellow black white orange purple pink brown grey gray silver".split()
    },
}
_ON_SCALE = {
    word: (scale, value)
    for scale, values in _SCALES.items()
    for value, words in values.items()
    for word in words.split()
}
_BEFORE_STATE = frozenset(
    "is was be been get gets got now currently very so really feeling feels a an still quite newly happily".split()
)


def on_scale(value: str) -> tuple[str, str] | None:
    """The scale on which a state is, and where: (scale:partner, married)."""
    words = [word for word in re.findall(r"[a-z]+", value.lower()) if word not in _BEFORE_STATE]
    if not words or words[0] not in _ON_SCALE:
        return None
    if (
        len(words) > 1
        and words[0] not in ("dating", "married", "marry")
        and words[1] not in ("to", "with", "from", "for", "since", "in", "of", "again", "today", "at", "on", "and")
    ):
        return None
    if words[0] in ("taken", "running", "down", "fine", "well", "open", "single") and len(words) > 1:
        return None
    return _ON_SCALE[words[0]]


@cache
def occupations() -> frozenset[str]:
    return frozenset(
        term
        for word in """
        teacher nurse engineer doctor lawyer student chef cook designer developer programmer manager accountant writer journalist
        scientist researcher professor artist musician actor photographer plumber electrician carpenter mechanic pilot driver
        farmer baker barista waiter waitress cashier clerk secretary consultant analyst architect dentist pharmacist surgeon
        therapist psychologist counselor counsellor librarian translator editor firefighter officer soldier paramedic
        freelancer entrepreneur founder salesperson technician intern tutor coach
        """.split()
        for term in terms(word)
    )


# -- troubles that pass -----------------------------------------------------------------------------------


@cache
def illnesses() -> frozenset[str]:
    return frozenset(
        term
        for word in """
        cold flu fever headache cough migraine infection sick ill illness injury injured pain ache sore throat covid virus
        pneumonia bronchitis allergy rash broken sprained ankle arm leg back toothache nausea stomach anxiety depression
        insomnia unwell surgery
        """.split()
        for term in terms(word)
    ) | {"ill"}


@cache
def troubles() -> frozenset[str]:
    return illnesses() | frozenset(
        term
        for word in """
        problem issue bug error trouble leak outage broken stuck late lost missing debt strike delay conflict argument dispute
        worried stressed worry stress concern wait waiting looking search searching pending waits looks
        """.split()
        for term in terms(word)
    )
