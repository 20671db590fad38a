"""Small parts of long conversations, of which a question is asked: with its evidence, without it, and of another.

Files of questions come with long logs; a memory begins with a handful of lines. A part has so many turns of a conversation:
the evidence and turns around it, or the evidence and turns from anywhere, or what one person alone says, without sessions
and names, and asked in the first person, as somebody who keeps notes would.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mnemic.bench.dataset import Question, Sample, Turn
from mnemic.text.speakers import in_first_person

SIZES = (1, 3, 7, 20, 50, 200)


@dataclass(frozen=True, slots=True)
class Part:
    """Some turns of a conversation, and what is asked of them."""

    kind: str  # answerable, left out (the evidence is) or elsewhere (the turns are of another conversation)
    size: int
    turns: tuple[Turn, ...]
    text: str


@dataclass(frozen=True, slots=True)
class _Source:
    """Turns to draw from, with the question as it is asked of them and of others."""

    evidence: tuple[int, ...]  # places in `turns`
    turns: Sequence[Turn]
    others: Sequence[Turn]
    text: str
    is_near: bool


def parts_of(question: Question, sample: Sample, elsewhere: Sample, chance: random.Random) -> Iterator[Part]:
    """For each size for which there are turns enough: a part with the evidence, one without it, one of elsewhere."""
    for size in SIZES:
        source = _source(question, sample, elsewhere, chance)
        if not 0 < len(source.evidence) <= size or len(source.turns) < size + len(source.evidence):
            continue
        beside = _beside(source, size, chance)
        held = [*source.evidence, *beside[: size - len(source.evidence)]]
        yield Part("answerable", size, _at(source.turns, held), source.text)
        yield Part("left out", size, _at(source.turns, beside), source.text)
        if len(source.others) >= size and elsewhere is not sample:
            start = chance.randrange(len(source.others) - size + 1)
            near = range(start, start + size)
            drawn = near if source.is_near else chance.sample(range(len(source.others)), size)
            yield Part("elsewhere", size, _at(source.others, drawn), source.text)


def _source(question: Question, sample: Sample, elsewhere: Sample, chance: random.Random) -> _Source:
    turns = [one for one in sample.turns if one.text.strip()]
    others = [one for one in elsewhere.turns if one.text.strip()]
    text, way = question.text, chance.choice(("near", "far", "alone", "alone"))
    if way == "alone":
        said_by = {one.actor for one in turns if one.id in question.key.evidence}
        people = {one.actor for one in turns if one.actor}
        if not people:  # a user and an assistant
            turns, others = _alone(turns), _alone(others)
        elif len(said_by) == 1 and {one for one in people if one in text} == said_by:
            (name,) = said_by
            first = next((one.actor for one in others if one.actor), None)
            text = in_first_person(text, {str(name).casefold()}.__contains__)
            turns = _alone([one for one in turns if one.actor == name])
            others = _alone([one for one in others if one.actor == first])
    evidence = tuple(place for place, one in enumerate(turns) if one.id in question.key.evidence)
    return _Source(evidence, turns, others, text, way == "near")


def _alone(turns: Sequence[Turn]) -> list[Turn]:
    return [replace(one, actor=None, session=None) for one in turns]


def _beside(source: _Source, size: int, chance: random.Random) -> list[int]:
    """The places of `size` turns that are no evidence, shuffled: the nearest to some of it, or any."""
    rest = [place for place in range(len(source.turns)) if place not in source.evidence]
    if source.is_near:
        middle = chance.choice(source.evidence) + chance.uniform(-0.5, 0.5) * size
        rest = sorted(rest, key=lambda place: abs(place - middle))[:size]
    return chance.sample(rest, size)


def _at(turns: Sequence[Turn], places: Sequence[int]) -> tuple[Turn, ...]:
    return tuple(turns[place] for place in sorted(places))
