"""What a plain sentence says of what: subject, verb group and object, found by where the verb must be.

The one idea: in a short English statement the subject stands first, so it is enough to find the first word that can only be
the verb. After a bare name that is the next word; after "Ann's sister's dog" or "the meeting" it is the first auxiliary, past
form or third-person form of a known verb. What follows the verb and its preposition is the object.

No tagger and no parser: long sentences, inversions and relative clauses are not understood and give nothing, or less than
there is. A "key: value" line says that the key is the value. `clauses` cuts a sentence where a second one begins.
"""
# ruff: noqa: SIM905 - word lists are read and edited as text

from __future__ import annotations

import re
from dataclasses import dataclass

from mnemic.text.names import find_names
from mnemic.text.verbs import ADVERBS, AUXILIARIES, COMMON, COPULAS, base_form, is_participle, is_past

_LONGEST_SUBJECT = 9  # words
_LONGEST = 600  # characters of a sentence that is looked at


@dataclass(frozen=True, slots=True)
class Statement:
    """subject – relation – object, as they are written."""

    subject: str  # "" where it is left out: "Likes cricket"
    relation: str  # the verb group with its preposition: "has moved to", "is", "doesn't like"
    object: str
    verb: str  # the main verb's base form: "move", "be", "like"
    preposition: str = ""  # that belongs to the relation: "to"
    is_negated: bool = False
    adverbs: tuple[str, ...] = ()  # of the verb group and its end, in lower case: "now", "also", "no longer"
    is_past: bool = False
    is_pair: bool = False  # of a "key: value" line


def statement_in(sentence: str) -> Statement | None:
    """What a sentence states; None where that cannot be told.

    >>> one = statement_in("Ann's sister has moved to Porto.")
    >>> one.subject, one.relation, one.object, one.verb
    ("Ann's sister", 'has moved to', 'Porto', 'move')
    >>> statement_in("favourite colour: blue").object
    'blue'
    """
    said = " ".join(sentence.replace("’", "'").split())
    if not said or len(said) > _LONGEST or said.endswith(("?", "？")):
        return None
    if pair := _KEY_VALUE.fullmatch(said):
        return Statement(pair["key"].strip(" -*•"), "is", pair["value"].rstrip(" .;,"), "be", is_pair=True)
    said, opening = _without_opening(said.rstrip(" .!…;"))
    words = said.split(" ")
    lows = [word.strip(",;:\"'“”()").lower() for word in words]
    start = _verb_at(said, words, lows)
    return None if start is None else _read(words, lows, start, opening)


def clauses(sentence: str) -> list[str]:
    """The sentence as statements of one verb each; a subject that serves for two verbs is written twice.

    >>> clauses("Ann lives in Rome and works at Bosch, but her brother lives in Oslo.")
    ['Ann lives in Rome', 'Ann works at Bosch', 'her brother lives in Oslo']
    """
    said = " ".join(sentence.replace("’", "'").split()).rstrip(" .!…;")
    found: list[str] = []
    for _ in range(8):
        first = statement_in(said)
        cut = _cut(said, first) if first is not None and not first.is_pair and len(said) <= _LONGEST else None
        if cut is None:
            break
        found.append(said[: cut[0]].rstrip(" ,;"))
        said = cut[1]
    return [*found, said] if said else found


def before_question(sentence: str) -> str:
    """The statement with which a sentence begins that goes on to ask something; the whole sentence where none does.

    >>> before_question("I've booked a room for May 20, how do I get there?")
    "I've booked a room for May 20"
    >>> before_question("I run daily and can you help me with that"), before_question("If it rains, can you come?")
    ('I run daily', 'If it rains, can you come?')
    """
    for match in _ASKS.finditer(sentence):
        head = sentence[: match.start()].rstrip(" ,;–—-")
        if _OPENS_QUESTION.match(head):
            return sentence
        one = statement_in(_CONTRACTED.sub(r"\1 is", head))
        if one is not None and one.subject and one.object and not one.is_pair:
            return head
    return sentence


def noun_phrase(text: str) -> str:
    """A subject or object without its article.

    >>> noun_phrase("the old house"), noun_phrase("a dog")
    ('old house', 'dog')
    """
    return _ARTICLE.sub("", text).strip(' ,;:.!"“”')


_ASKED_OF = r"(?:you|we|I|he|she|it|they|there|that|this|my|your|our)"
_AUXILIARY = r"(?:can|could|would|will|should|shall|do|does|did|is|are|was|were|have|has)"
_JOINED = r"(?:(?:\s*[,;–—]\s*|\s-\s)(?:(?:and|but|so|or)\s+)?|\s+(?:and|but|or)\s+)"
_ASKS = re.compile(
    rf"{_JOINED}(?:{_AUXILIARY}\s+{_ASKED_OF}\b"
    rf"|(?:how|what|when|where|which|who|why)(?:'s|\s+(?:[\w-]+\s+){{0,3}}?{_AUXILIARY})\s+(?:{_ASKED_OF}|the|some)\b)",
    re.IGNORECASE,
)
_CONTRACTED = re.compile(r"\b(I|you|we|they|he|she|it|that)['’](?:m|re|ve|d|ll|s)\b", re.IGNORECASE)
_OPENS_QUESTION = re.compile(
    rf"\s*(?:how|what|when|where|which|who|why|if|{_AUXILIARY}\s+{_ASKED_OF})\b", re.IGNORECASE
)
_ARTICLE = re.compile(r"^(?:the|a|an|some|this|that|these|those)\s+", re.IGNORECASE)
_KEY_VALUE = re.compile(
    r"(?P<key>[^\s:：=?!.,\"][^:：=?!\"]{0,58}?)\s?(?:(?<!\d):|:(?!\d)|[：=]|->)(?!//)\s*(?P<value>[^\s].*)", re.DOTALL
)
PREPOSITIONS = frozenset(
    "to in at on for with from of as by about into onto over under near around through towards toward against off up out"
    " after before until since between among within without during across along like".split()
)
_DETERMINERS = frozenset(
    "the a an this that these those my your his her its our their some every each no one two three".split()
)
PRONOUNS = frozenset("i you he she it we they this that there who everyone everybody someone somebody nobody".split())
_JOINS = frozenset("and or but nor so because although though while since if when whereas".split())
_NO_VERB = (
    PREPOSITIONS | _DETERMINERS | _JOINS | PRONOUNS | frozenset("which whose whom what me him us them not".split())
)
_TRAILING = frozenset("now anymore nowadays today currently too instead again already".split())


def _without_opening(said: str) -> tuple[str, str]:
    """(the sentence from its subject on, the adverbial before it): "In 2020, Ann moved" → ("Ann moved", "In 2020")."""
    if match := _OPENING.match(said):
        return said[match.end() :], match["opening"]
    return said, ""


_OPENING = re.compile(
    r"(?P<opening>(?:In|On|At|Since|After|Before|During|By|For|Last|This|Next|Yesterday|Today|Tomorrow|Recently|Currently"
    r"|Now|Lately|Nowadays|These days|From|Until|Two|Three|A few|Also|Then|Later|Finally|Actually|Unfortunately|Luckily)\b"
    r"[^,]{0,60}),\s+(?=\S)"
)


def _verb_at(said: str, words: list[str], lows: list[str]) -> int | None:
    """The position of the first word of the verb group."""
    if not lows or lows[0] in _JOINS:
        return None
    if lows[0] in PRONOUNS:
        return _next_verb(lows, 1, trusts_any=True)
    name = next(iter(find_names(said)), None)
    if name is not None and name.start == 0 and (name.is_certain or len(words) > 1) and "'s" not in words[0]:
        at = len(said[: name.end].split(" "))
        if not words[at - 1].endswith(("'s", "'", ",")):
            while at + 1 < len(words) and lows[at] == "and" and words[at + 1][:1].isupper():
                at += 2
            verb = _next_verb(lows, at, trusts_any=True)
            if verb is not None:
                return verb
    if _is_subjectless(words, lows):
        return 0
    place = _verb_after_noun(words, lows)
    while place is not None and place > 1 and (lows[place - 1] in ADVERBS or lows[place - 1].endswith("ly")):
        place -= 1  # "now works": what comes before the verb goes with it
    return place


def _next_verb(lows: list[str], at: int, *, trusts_any: bool) -> int | None:
    """The position at `at` or after adverbs there, if a verb may stand there."""
    first = at
    while at < len(lows) and (lows[at] in ADVERBS or lows[at].endswith("ly") or lows[at] in ("no", "longer")):
        at += 1
    if at >= len(lows):
        return None
    low = lows[at]
    is_one = low in AUXILIARIES or is_past(low) or base_form(low) in COMMON
    if not is_one and trusts_any:
        is_one = low.isalpha() and low not in _NO_VERB and (low.endswith(("s", "ed")))
    return first if is_one and (low not in _NO_VERB or low == "like") else None


def _is_subjectless(words: list[str], lows: list[str]) -> bool:
    first = 1 if lows[0] in ADVERBS or lows[0] == "no" else 0
    if first + 1 >= len(lows):
        return False
    low, after = lows[first], lows[first + 1]
    if after in AUXILIARIES or words[first].endswith("'s"):
        return False
    if low in ("is", "was", "has", "had", "does", "doesn't", "didn't", "isn't", "no"):
        return True
    is_finite = is_past(low) or (low.endswith("s") and base_form(low) in COMMON and low not in COMMON)
    return is_finite and (after in _NO_VERB or not is_past(after))


def _verb_after_noun(words: list[str], lows: list[str]) -> int | None:
    """The first word that can only be a verb, after a noun phrase."""
    first = 2 if lows[0] in _DETERMINERS or words[0].endswith("'s") else 1
    for at in range(first, min(len(lows), _LONGEST_SUBJECT + 1)):
        low, before = lows[at], lows[at - 1]
        following = lows[at + 1] if at + 1 < len(lows) else ""
        if low in AUXILIARIES or (low in ("never", "no") and following not in _NO_VERB):
            return at
        if before in _DETERMINERS or before in PREPOSITIONS or words[at - 1].endswith("'s"):
            continue
        if following in AUXILIARIES and following not in ("'s", "'d"):
            continue  # "Ann's plans are": a noun
        if is_past(low) and not (is_participle(low) and following == "by"):
            return at
        if low.endswith("s") and low not in COMMON and base_form(low) in COMMON and not low.endswith("ss"):
            return at
        if low in COMMON and before.endswith("s") and not words[at - 1].endswith(("'s", "ss")):
            return at
    return None


def _read(words: list[str], lows: list[str], start: int, opening: str) -> Statement | None:
    """The statement whose verb group begins at `start`."""
    at, verb, adverbs, is_negated, past = start, "", [], False, False
    while at < len(words):
        low = lows[at]
        if low == "no" and at + 1 < len(lows) and lows[at + 1] == "longer":
            adverbs.append("no longer")
            is_negated, at = True, at + 2
            continue
        if low in ("not", "never"):
            is_negated = True
        elif low in ADVERBS or (low.endswith("ly") and low not in COMMON):
            adverbs.append(low)
        elif low in AUXILIARIES:
            is_negated = is_negated or low.endswith("n't") or low == "cannot"
            past = past or low in ("was", "were", "had", "did", "didn't", "wasn't", "weren't", "hadn't")
            verb = base_form(low) if low not in _MODAL_ONLY else verb
        elif verb and not _continues(low, lows[at - 1], verb):
            break
        else:
            past = past or (is_past(low) and verb not in ("be", "have"))
            verb = base_form(low)
            at += 1
            if words[at - 1].endswith((",", ";")):
                break
            at, verb, extra = _chained(lows, at, verb)
            adverbs += extra
            break
        at += 1
        if words[at - 1].endswith((",", ";", ":")):
            break
    if not verb:
        return None
    preposition = ""
    if at < len(words) and lows[at] in PREPOSITIONS and lows[at] != "like" and at + 1 < len(words):
        preposition = lows[at]
        at += 1
        if at < len(words) and lows[at] in PREPOSITIONS and at + 1 < len(words) and lows[at] not in ("on", "at"):
            preposition += " " + lows[at]
            at += 1
    rest = words[at:]
    while rest and (ending := rest[-1].lower().strip(",")) in _TRAILING:
        adverbs.append(ending)
        rest = rest[:-1]
    for ending in ("any more", "any longer", "as well", "these days"):
        if " ".join(rest).lower().endswith(ending):
            adverbs.append(ending)
            rest = rest[: -len(ending.split())]
    if opening.split(" ")[0].lower() in ("now", "currently", "nowadays", "these", "also"):
        adverbs.append(opening.lower())
    while rest and rest[0].lower() in ("now", "also", "still", "currently"):
        adverbs.append(rest[0].lower())
        rest = rest[1:]
    relation = " ".join(word.strip(",;") for word in words[start:at])
    return Statement(
        " ".join(words[:start]).strip(" ,;"),
        relation,
        " ".join(rest).strip(" ,;"),
        verb,
        preposition,
        is_negated,
        tuple(adverbs),
        past,
    )


_MODAL_ONLY = frozenset(
    "can could will would shall should may might must 'll 'd can't cannot couldn't won't wouldn't".split()
)


def _continues(low: str, before: str, verb: str) -> bool:
    """Whether a word goes on with a verb group that has an auxiliary already."""
    if low in _NO_VERB and not (low == "like" and (verb == "do" or before in _MODAL_ONLY)):
        return False
    if verb == "be":
        return is_participle(low) or (low.endswith("ing") and base_form(low) in COMMON)
    if verb == "have":
        return (
            is_participle(low)
            and before in ("have", "has", "had", "'ve", "haven't", "hasn't", "hadn't", "not", "never")
        ) or (is_participle(low) and before in ADVERBS)
    return base_form(low) in COMMON or low in AUXILIARIES or before in _MODAL_ONLY


def _chained(lows: list[str], at: int, verb: str) -> tuple[int, str, list[str]]:
    """Past "to" and a further verb: "wants to visit" → visit; what came before is told as an adverb: "want to"."""
    extra: list[str] = []
    for _ in range(2):
        if at + 1 < len(lows) and lows[at] == "to" and (lows[at + 1] in COMMON or lows[at + 1] in ("be", "have", "do")):
            extra.append(f"{verb} to")
            verb, at = lows[at + 1], at + 2
        elif verb in _BEFORE_ING and at < len(lows) and lows[at].endswith("ing") and base_form(lows[at]) in COMMON:
            extra.append(f"{verb} -ing")
            verb, at = base_form(lows[at]), at + 1
        else:
            break
    return at, verb, extra


_BEFORE_ING = frozenset("stop start begin quit keep finish give continue avoid resume".split())

_AND = re.compile(r"(?:,\s*|;\s*|\s+)(?:and|but|so|because|although|though|while|whereas)\s+|;\s+")
_STARTS_OBJECT = PREPOSITIONS | _DETERMINERS | frozenset("not him them it me us".split())


def _cut(said: str, first: Statement) -> tuple[int, str] | None:
    """(where the first clause ends, the next one with its subject); None where there is no second."""
    begin = said.find(first.relation)
    for match in _AND.finditer(said, max(0, begin) + len(first.relation)):
        rest = said[match.end() :]
        words = rest.split(" ")
        lows = [word.strip(",;").lower() for word in words]
        place = 1 if len(lows) > 1 and lows[0] in ADVERBS else 0
        low = lows[place]
        following = lows[place + 1] if place + 1 < len(lows) else ""
        is_finite = low in COPULAS | {"has", "does", "had", "doesn't", "didn't"} or is_past(low)
        is_finite = is_finite or (low.endswith("s") and low not in COMMON and base_form(low) in COMMON)
        goes_on = (
            following in _STARTS_OBJECT
            or following.endswith(("ing", "'s"))
            or (words[place + 1 : place + 2] != [] and (words[place + 1][:1].isupper() or low in AUXILIARIES))
        )
        if is_finite and goes_on and first.subject and match.group().strip(" ,;") in ("and", "but"):
            return match.start(), f"{first.subject} {rest}"
        second = statement_in(rest)
        if second is not None and second.subject and not second.is_pair and len(second.subject.split()) <= 5:
            return match.start(), rest
    return None
