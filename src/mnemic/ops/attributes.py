"""What a note is about, kept beside it: keywords, tags, and one sentence of context.

Source: A-MEM, arXiv 2502.12110, its note construction; where nothing can be told, keywords and tags are empty and the context
is "General", as there. Without a model: keywords by `ops.keywords`; tags from a short list of broad topics whose words stand in
the note; as context the note's own most central statement, in the third person.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from mnemic.model import Episode
from mnemic.models.prompt import Asks, Prompt
from mnemic.ops.extract import Fact, facts_in
from mnemic.ops.keywords import keywords
from mnemic.ops.summarise import Said, central, piece, shown
from mnemic.text.sentences import sentences
from mnemic.text.terms import terms

DESCRIBE = """
"pieces" holds one note of a memory: what was said, with speaker and time where they are known. Say what it is about.
- keywords: at least three nouns, verbs or names that carry the note, the most important first; no speakers' names, no times.
- tags: at least three broad categories for finding it with others of its kind.
- context: one sentence with its topic, its main points and what it was said for.
Answer with {"keywords": […], "tags": […], "context": …}.
"""
GENERAL = "General"
_KEYWORDS, _TAGS, _CONTEXT_WORDS = 5, 3, 40
_MOST, _LONGEST = 12, 60  # keywords or tags taken from an answer; characters of one


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a note is about."""

    keywords: tuple[str, ...] = ()  # most important first
    tags: tuple[str, ...] = ()  # broad categories, in small letters
    context: str = GENERAL  # one sentence
    path: str = "offline"  # "llm" or "offline"

    def indexed(self, content: str) -> str:
        """The text under which the note is found: its content, keywords, tags and context."""
        context = "" if self.context == GENERAL else self.context
        return "\n".join(part for part in (content, ", ".join(self.keywords), ", ".join(self.tags), context) if part)


@dataclass(frozen=True, slots=True)
class AttributesAnswer:
    """What a model answers to DESCRIBE."""

    keywords: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    context: str = ""


def describe(
    note: Said, ask: Asks, *, step: str = "describe", task: str = DESCRIBE, without: Collection[str] = ()
) -> Attributes:
    """The attributes of an episode, record, fact, summary or piece.

    without: names that are no keywords offline, such as those of all who speak; that of the note's own speaker never is one.
    """
    answer = ask(step, Prompt(task, {"pieces": shown([piece(note)])}, max_tokens=512), AttributesAnswer)
    return _described(note, answer, without)


def describe_many(
    notes: Sequence[Said],
    ask: Asks,
    *,
    step: str = "describe",
    task: str = DESCRIBE,
    without: Collection[str] = (),
) -> list[Attributes]:
    """The attributes of each note; a model is asked for all of them side by side."""
    prompts = [Prompt(task, {"pieces": shown([piece(note)])}, max_tokens=512) for note in notes]
    answers = ask.many(step, prompts, AttributesAnswer)
    return [_described(note, answer, without) for note, answer in zip(notes, answers, strict=True)]


def tags_of(text: str, k: int = _TAGS) -> list[str]:
    """The broad topics whose words stand in a text, the most frequent first.

    >>> tags_of("My doctor says that running is good for my knee.")
    ['health', 'sport']
    """
    found: dict[str, int] = {}
    for term in terms(text):
        for topic in _topics().get(term, ()):
            found[topic] = found.get(topic, 0) + 1
    order = list(_TOPICS)
    return sorted(found, key=lambda topic: (-found[topic], order.index(topic)))[:k]


# -- private ----------------------------------------------------------------------------------------------


def _described(note: Said, answer: AttributesAnswer | None, without: Collection[str]) -> Attributes:
    if answer is None:
        return _offline(note, without)
    context = " ".join(answer.context.split())[:500]
    tags = _clean([tag.lower() for tag in answer.tags])
    found = Attributes(_clean(answer.keywords), tags, context or GENERAL, "llm")
    return found if found.keywords or found.tags or context else _offline(note, without)


def _clean(words: Sequence[str]) -> tuple[str, ...]:
    once = {" ".join(word.split())[:_LONGEST].casefold(): " ".join(word.split())[:_LONGEST] for word in reversed(words)}
    ordered = dict.fromkeys(" ".join(word.split())[:_LONGEST].casefold() for word in words)
    return tuple(once[key] for key in ordered if any(map(str.isalnum, key)))[:_MOST]


def _offline(note: Said, without: Collection[str]) -> Attributes:
    text = piece(note).text
    speakers = [*without, *([note.actor] if isinstance(note, Episode) and note.actor else [])]
    speakers += [note.speaker] if isinstance(note, Fact) else []
    stated = [fact.text for fact in facts_in(note)] if isinstance(note, Episode) else sentences(text)
    return Attributes(tuple(keywords([text], _KEYWORDS, speakers)), tuple(tags_of(text)), _context(stated))


def _context(stated: Sequence[str]) -> str:
    if not stated:
        return GENERAL
    best = " ".join(stated[int(np.argmax(np.round(central(list(stated)), 9)))].split())
    words = best.split(" ")
    return best if len(words) <= _CONTEXT_WORDS else " ".join(words[:_CONTEXT_WORDS]) + "…"


_TOPICS = {
    "family": "family mother father mom mum dad sister brother son daughter kid child children parent grandma grandpa aunt"
    " uncle cousin niece nephew baby wife husband sibling",
    "relationships": "friend friendship partner girlfriend boyfriend dating wedding marriage married divorce engaged date"
    " neighbour neighbor relationship",
    "work": "work job career office boss colleague coworker company employer project meeting deadline promotion interview salary"
    " client business team manager resume startup",
    "education": "school college university class course study student teacher exam degree lesson homework lecture graduate"
    " professor thesis learn tutor",
    "health": "health doctor hospital sick illness pain medicine medication allergy allergic diet sleep therapy therapist stress"
    " anxiety injury surgery diabetes knee cold flu fever symptom weight nutrition mental dentist",
    "food": "food cook recipe restaurant dinner lunch breakfast meal bake cake pizza coffee tea vegan vegetarian eat drink"
    " cheese bread chocolate wine beer kitchen snack",
    "travel": "travel trip flight hotel vacation holiday airport abroad tour visit passport journey train plane destination"
    " camping beach road-trip luggage",
    "home": "home house apartment flat rent move furniture garden room neighbourhood kitchen landlord renovation mortgage",
    "pets": "pet dog cat puppy kitten rabbit hamster parrot turtle vet aquarium",
    "sport": "sport run running race marathon gym workout exercise football soccer basketball tennis swim hike hiking cycling"
    " bike yoga climb ski surf skate team match training",
    "music": "music song band concert guitar piano violin sing singer album drum orchestra playlist instrument",
    "art": "art paint painting draw drawing museum gallery sculpture pottery photography photo artist design craft",
    "books": "book novel read author library poem poetry story writing writer",
    "film and television": "film movie series show cinema actor actress director episode netflix documentary",
    "games": "game gaming video-game console chess puzzle board-game tournament player",
    "technology": "computer software app code programming phone laptop data server internet website api database bug ai algorithm"
    " python robot",
    "money": "money budget price cost pay bank loan saving invest tax bill debt income dollar euro insurance",
    "nature": "nature mountain lake forest river sea ocean park tree flower animal weather plant bird wildlife climate",
    "community": "community volunteer charity support group activism rights pride lgbtq church event donation fundraiser",
    "plans": "plan goal schedule appointment calendar reminder deadline intend",
    "preferences": "prefer favourite favorite love hate dislike enjoy",
    "transport": "car bus drive train bike traffic license commute",
    "shopping": "buy shop shopping store order purchase gift clothes shoes dress",
}


@cache
def _topics() -> dict[str, tuple[str, ...]]:
    """From a term to the topics it speaks for."""
    made: dict[str, tuple[str, ...]] = {}
    for topic, words in _TOPICS.items():
        for term in dict.fromkeys(term for word in words.split() for term in terms(word)[:1]):
            made[term] = (*made.get(term, ()), topic)
    return made
