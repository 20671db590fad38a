"""Triples and entities from text: who – stands how to – what.

With a model: it reads numbered turns (or one text) and answers with triples and the turns behind them. Without one: the
statements of the text's facts (`ops.extract`), split as the grammar of `ops.statements` splits them; "Ann's dog is Rex" is
(Ann, dog, Rex), "favourite colour: blue" is (favourite colour, is, blue). Entities are names, and the nouns that stand at the
ends of triples; their types are guessed from how they are written, "thing" where nothing tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mnemic.model import Episode
from mnemic.models.prompt import Asks, Prompt, Shown, turns
from mnemic.ops.extract import NOT_MINED, facts_in, is_statement, statements_in
from mnemic.ops.statements import PRONOUNS, Statement, clauses, noun_phrase, statement_in
from mnemic.text.names import find_names
from mnemic.text.sentences import sentences

TRIPLES = """
You build a graph of what people know. "turns" holds what was said, in order; each turn has a number, a time and a speaker.
Write down the relations that are stated between people, places, things, dates and ideas, each as a triple.
- subject and object are names or short noun phrases, never pronouns: "I" is the speaker. relation is a short, general and
  timeless verb or noun phrase in small letters, such as "lives in", "sister", "works at".
- Only what was said; conclude nothing. Leave out greetings and questions.
Answer with {"triples": [{"subject": …, "relation": …, "object": …, "turns": [numbers of the turns it came from]}]}, an empty
list when there are none.
"""
LONGEST_OBJECT = 12  # words; what is longer is cut at its first clause, else dropped


@dataclass(frozen=True, slots=True)
class Triple:
    """One relation that was stated."""

    subject: str
    relation: str
    object: str
    episode_ids: tuple[str, ...] = ()  # the episodes it came from; empty when it was made from bare text
    path: str = "offline"  # "llm" or "offline"
    is_negated: bool = False  # it was denied: "doesn't like"

    @property
    def text(self) -> str:
        """As a plain sentence."""
        return f"{self.subject} {self.relation} {self.object}"

    @property
    def key(self) -> tuple[str, str, str]:
        """Under which it is the same as another."""
        return normal_name(self.subject), normal_name(self.relation), normal_name(self.object)


@dataclass(frozen=True, slots=True)
class Entity:
    """Somebody or something that a text speaks of."""

    name: str
    type: str  # person, place, organisation, title, date, number, thing


@dataclass(frozen=True, slots=True)
class TripleAnswer:
    """One triple, as a model gives it."""

    subject: str = ""
    relation: str = ""
    object: str = ""
    turns: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TriplesAnswer:
    """What a model answers to TRIPLES."""

    triples: list[TripleAnswer] = field(default_factory=list)


def extract_triples(
    said: Sequence[Episode] | str,
    ask: Asks,
    *,
    step: str = "triples",
    task: str = TRIPLES,
    sources: Sequence[str] = (),
    speakers: Sequence[str] = (),
) -> list[Triple]:
    """The triples that episodes, or a text, state, in order, each once.

    sources: ids of the episodes behind a text. speakers: who takes part, as for `extract_facts`.
    """
    if isinstance(said, str):
        shown = Shown([{"turn": 1, "text": said}], tuple(sources))
        behind: list[tuple[str, ...]] = [tuple(sources)]
        if not said.strip():
            return []
    else:
        said = [one for one in said if one.role not in NOT_MINED and one.text.strip()]
        shown = turns(said)
        behind = [(one.id,) for one in said]
        if not said:
            return []
    answer = ask(step, Prompt(task, {"turns": shown}), TriplesAnswer)
    if answer is not None:
        return _once(triple for given in answer.triples if (triple := _checked(given, behind)) is not None)
    if isinstance(said, str):
        return _once(triple for text in statements_in(said) for triple in triples_in(text, tuple(sources)))
    everybody = list(dict.fromkeys([*speakers, *(one.speaker for one in said)]))
    others = {one: other for one in everybody for other in everybody if other != one} if len(everybody) == 2 else {}
    facts = [fact for one in said for fact in facts_in(one, others.get(one.speaker))]
    return _once(triple for fact in facts for triple in triples_in(fact.text, fact.episode_ids))


def triples_in(sentence: str, sources: tuple[str, ...] = ()) -> list[Triple]:
    """The triples of one sentence in the third person, by rule.

    >>> [(one.subject, one.relation, one.object) for one in triples_in("Ann's dog is Rex and Ann lives in Oslo.")]
    [('Ann', 'dog', 'Rex'), ('Ann', 'lives in', 'Oslo')]
    """
    stated = (statement_in(clause) for clause in clauses(sentence))
    return [triple for one in stated if one is not None and (triple := _triple(one, sources)) is not None]


def normal_name(text: str) -> str:
    """A name as graphs compare it: case, white space, articles and marks at its ends left out, spaces as underscores.

    >>> normal_name(" The  New York Times. "), normal_name("STRASSE")
    ('new_york_times', 'strasse')
    """
    name = " ".join(text.casefold().replace("_", " ").split())
    while (bare := noun_phrase(name).strip(_ENDS)) and bare != name:  # an article may stand behind a mark
        name = bare
    return name.replace(" ", "_")


_ENDS = " .,;:!?\"'“”‘’()[]"


def entities_in(text: str, known: Iterable[str] = ()) -> list[Entity]:
    """The entities of a text, in order, each once: its names, then the nouns at the ends of its triples.

    >>> entities_in("Ann adopted a cat in Porto.")
    [Entity(name='Ann', type='person'), Entity(name='Porto', type='place'), Entity(name='cat', type='thing')]
    """
    said, held = sentences(text), list(known)
    found = []
    for sentence in said:  # one by one: "… with Bo. Ann …" is no name
        for name in find_names(sentence, held):
            found.append(Entity(name.text, _type_of(name.text, sentence[: name.start], sentence[name.end :])))
    spans = [entity.name.casefold() for entity in found]
    for triple in (one for sentence in said if is_statement(sentence) for one in triples_in(sentence)):
        for end in (triple.subject, triple.object):
            noun = _bare_noun(end)
            if noun and not any(noun.casefold() in span or span in noun.casefold() for span in spans):
                found.append(Entity(noun, _type_of(noun, "", "")))
    once = {normal_name(entity.name): entity for entity in reversed(found)}
    return [once[key] for key in dict.fromkeys(normal_name(entity.name) for entity in found)]


# -- private ----------------------------------------------------------------------------------------------


def _checked(given: TripleAnswer, behind: Sequence[tuple[str, ...]]) -> Triple | None:
    parts = [" ".join(part.split()) for part in (given.subject, given.relation, given.object)]
    numbers = sorted({number for number in given.turns if 1 <= number <= len(behind)})
    if not all(any(map(str.isalnum, part)) for part in parts) or (given.turns and not numbers):
        return None
    ids = [behind[number - 1] for number in numbers] or list(behind)
    return Triple(parts[0], parts[1], parts[2], tuple(dict.fromkeys(one for more in ids for one in more)), "llm")


def _once(triples: Iterable[Triple]) -> list[Triple]:
    kept: dict[tuple[str, str, str], Triple] = {}
    for one in triples:
        if first := kept.get(one.key):
            ids = tuple(dict.fromkeys((*first.episode_ids, *one.episode_ids)))
            one = Triple(first.subject, first.relation, first.object, ids, first.path, first.is_negated)
        kept[one.key] = one
    return list(kept.values())


_OWNED = re.compile(r"(?P<owner>.+?)'s?\s+(?P<what>[^']+)$")
_OF = re.compile(
    r"(?:the\s+)?(?!\w+ing\b)(?P<what>[\w-]+(?:\s[\w-]+)?)\s+of\s+(?P<owner>(?!\w+sel(?:f|ves)\b|it\b|this\b|that\b).+)$",
    re.IGNORECASE,
)


def _triple(stated: Statement, sources: tuple[str, ...]) -> Triple | None:
    subject, relation, value = stated.subject, stated.relation.lower(), noun_phrase(_short(stated.object))
    if not subject or subject.lower() in PRONOUNS or not value:
        return None
    names_it = stated.verb == "be" or (stated.verb in ("call", "name") and stated.relation.split()[0] in ("is", "was"))
    if names_it and not stated.is_negated and not stated.preposition and not stated.is_pair:
        match = _OWNED.match(subject) or _OF.match(subject)
        if match and noun_phrase(match["owner"]):
            return Triple(noun_phrase(match["owner"]), noun_phrase(match["what"]).lower(), value, sources)
    subject = noun_phrase(subject)
    return Triple(subject, relation, value, sources, is_negated=stated.is_negated) if subject and relation else None


_CLAUSE = re.compile(r"[,;(]|\s(?:because|so that|which|who|when|while|since|although|but|where|after|before|to)\s")


def _short(text: str) -> str:
    """An object of a few words: a long one is cut where its first clause ends."""
    if len(text.split()) <= LONGEST_OBJECT:
        return text
    cut = next((match.start() for match in _CLAUSE.finditer(text) if match.start()), None)
    short = text[:cut] if cut is not None else ""
    return short if 0 < len(short.split()) <= LONGEST_OBJECT else ""


def _bare_noun(text: str) -> str:
    """A noun phrase of at most four words; "" where it is none."""
    noun = noun_phrase(re.split(r"[,;(]|\s(?:and|or|in|at|on|for|with|from|of|to|by|that|who|which)\s", text)[0])
    words = noun.split()
    if not 1 <= len(words) <= 4 or not noun[0].isalnum() or words[0].lower() in PRONOUNS or words[0].endswith("ing"):
        return ""
    return noun


_PLACE_BEFORE = re.compile(r"\b(?:in|to|from|at|near|visited|visiting|around|across|through|of)\s+$", re.IGNORECASE)
_ORGANISATION = re.compile(
    r"\b(?:Inc|Ltd|LLC|GmbH|Corp|Corporation|Company|University|College|School|Institute|Bank|Club|Foundation|Association"
    r"|Society|Hospital|Agency|Group|Team|Committee|Ministry|Department|Church|Museum)\b"
)
_WORKS_BEFORE = re.compile(
    r"\b(?:work\w*|job|employed|engineer|intern\w*|studi\w*|enrol\w*) (?:at|for|with|by)\s+$", re.IGNORECASE
)
_PERSON_AFTER = re.compile(
    r"\s+(?:is|was|has|had|said|says|told|likes?|loves?|went|lives?|works?|moved|met|and I|will|wants?|enjoys?|adopted|bought"
    r"|thinks?|feels?|plays?|who)\b|['’]s\s",
    re.IGNORECASE,
)
_PERSON_BEFORE = re.compile(
    r"\b(?:with|friend|sister|brother|son|daughter|wife|husband|mother|father|aunt|uncle|cousin|boss|colleague|partner|named"
    r"|met|told|asked|by|Mr\.?|Mrs\.?|Ms\.?|Dr\.?)\s+$",
    re.IGNORECASE,
)


def _type_of(name: str, before: str, after: str) -> str:
    if re.fullmatch(r"\d{4}(?:-\d\d){0,2}", name):
        return "date"
    if name[:1].isdigit():
        return "number"
    if before.endswith(('"', "“", "«", "《", "『")) or before[-1:] == '"':
        return "title"
    if _ORGANISATION.search(name) or _WORKS_BEFORE.search(before[-40:]):
        return "organisation"
    if _PLACE_BEFORE.search(before[-20:]) and not _PERSON_BEFORE.search(before[-20:]):
        return "place" if name[:1].isupper() else "thing"
    if (
        name[:1] == "@"
        or _PERSON_BEFORE.search(before[-20:])
        or (name[:1].isupper() and _PERSON_AFTER.match(after[:20]))
    ):
        return "person"
    return "thing"
