"""Factual decomposition: text as atomic pairs of an entity and a statement about it, so that a small context goes far.

The one idea: what is retrieved should be the size of what is asked. A model first guesses what a reader may ask about a part of
a conversation, then takes it apart into pairs that answer that, and cover the rest; several passes find more than one. Every
retrieved token then carries a fact that can be answered with.

Without a model the pairs are the statements of the part, clause by clause, each with who or what it is about.
Card: factual-decomposition. Source: FADER, Context-Efficient Retrieval with Factual Decomposition, arXiv 2503.19574.
Departs: see `FactualDecomposition.card.departures`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from mnemic.errors import ParameterError
from mnemic.model import Cue, Episode, Hit, Record
from mnemic.models.prompt import Asks, Prompt, Shown, turns
from mnemic.ops.extract import Fact, extract_facts
from mnemic.ops.repeats import content_hash, fold_repeats
from mnemic.ops.statements import PRONOUNS, clauses, statement_in
from mnemic.store.contract import Changes
from mnemic.systems.chunked import CHUNK, Chunk, Standing, follow
from mnemic.systems.contract import Card, MemorySystem
from mnemic.systems.draft import Draft
from mnemic.systems.view import NoModel, View
from mnemic.text.terms import normalised
from mnemic.text.third_person import called
from mnemic.text.tokens import count_tokens

ID = "factual-decomposition"
PAIR = "pair"

SPECULATE = """
"turns" holds a part of a conversation or document; each turn has a number, a time and a speaker. Write down the questions that
somebody may ask later and that this part answers: who, what, when, where, why, how many. Each must be understood alone.
Answer with {"questions": [the questions]}.
"""
DECOMPOSE = """
"turns" holds a part of a conversation or document; each turn has a number, a time and a speaker. "questions" holds what may be
asked about it. Take the part apart into pairs of an entity and a description of it.
- entity: a name, or a short noun phrase; never a pronoun.
- description: one short statement about it that can be understood alone and holds one fact, with names in the place of pronouns
  and dates in the place of "yesterday".
- Together they answer all of "questions", as far as the part does, and hold whatever else it states. Add nothing.
- "found" holds what earlier passes found: say none of it again, also not in other words; find what they left out.
Answer with {"pairs": [{"entity": …, "description": …, "turns": [numbers of the turns it came from]}]}.
"""
_MOST_QUESTIONS, _LONGEST_ENTITY, _LONGEST = 40, 120, 600  # of an answer; characters of an entity, of a description


@dataclass(frozen=True, slots=True)
class Params:
    """The paper's own figures were not found; these are ours."""

    chunk_tokens: int = 400  # the most in a part that is taken apart at once
    passes: int = 3  # how often a part is taken apart; the pairs of all passes are kept
    retrieval: Literal["dense", "sparse"] = "dense"  # by meaning, or by words
    budget_tokens: int = 0  # of a recall, entities included; 0 for as many pairs as the cue asks for

    def __post_init__(self) -> None:
        for name, least in (("chunk_tokens", 1), ("passes", 1), ("budget_tokens", 0)):
            if getattr(self, name) < least:
                raise ParameterError(f"{name}={getattr(self, name)!r}: give {least} or more.")
        if self.retrieval not in ("dense", "sparse"):
            raise ParameterError(f"retrieval={self.retrieval!r}: it is 'dense' or 'sparse'.")


@dataclass(frozen=True, slots=True)
class QuestionsAnswer:
    """What a model answers to SPECULATE."""

    questions: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PairAnswer:
    """One pair, as a model gives it."""

    entity: str = ""
    description: str = ""
    turns: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PairsAnswer:
    """What a model answers to DECOMPOSE."""

    pairs: list[PairAnswer] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Pair:
    """Somebody or something, and one statement about it."""

    entity: str
    description: str
    sources: tuple[str, ...]
    by: str = "offline"

    @property
    def text(self) -> str:
        """What is indexed, and what a budget counts."""
        return f"{self.entity}: {self.description}"


class FactualDecomposition(MemorySystem):
    """Pairs of an entity and a description."""

    params_type = Params
    card = Card(
        id=ID,
        title="FADER",
        year=2025,
        family="retrieval",
        summary="Text as atomic pairs of an entity and a description, so that each retrieved token carries a fact.",
        source="Context-Efficient Retrieval with Factual Decomposition, arXiv 2503.19574",
        needs=("embedder", "llm"),
        makes=(PAIR, CHUNK),
        cost="For each chunk of at most 400 tokens one call for questions and three that take it apart; none in a recall.",
        flow="""
        E[episodes] --> C[chunk]
        C --> Q[questions that may be asked]
        C --> D[entity and description]
        Q --> D
        D -->|what was left out| D
        D --> I[(index on entity: description)]
        A[cue] --> R[nearest pairs, until the budget is full]
        I --> R
        """,
        departures=(
            "A pass of sampling is a call that is shown what the passes before it found and asked for the rest: an answer that "
            "is kept must be the same each time. The protocol's third step is not known beyond 'several times'.",
            "Pairs of one chunk that say the same in nearly the same words are one, besides exact repeats.",
            "A pronoun at the head of a description is replaced by the entity.",
            "Hits come best first; `grouped` puts them under their entities for a reader.",
            "A budget is a parameter of a recall, off by default, since a context block has one of its own.",
        ),
    )  # fmt: skip

    def __init__(self, params: Params | None = None) -> None:
        self.params: Params = params or Params()

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        return follow(view, ID, self.params.chunk_tokens, self._maker(view.ask))

    def consolidate(self, view: View) -> Changes:
        return follow(view, ID, self.params.chunk_tokens, self._maker(view.ask), and_the_open_one=True)

    def _maker(self, ask: Asks) -> _Decomposing:
        return _Decomposing(ask, self.params.passes)

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        standing = Standing(cue, view)
        vector = view.query_vector(cue) if self.params.retrieval == "dense" else None
        found = (
            standing.by_words(cue.limit, [PAIR]) if vector is None else standing.by_meaning(vector, cue.limit, [PAIR])
        )
        hits = sorted([*found, *standing.tail(cue.limit)], key=lambda hit: (-hit.score, hit.id))
        return within(
            [hit for hit in hits if hit.score > 0.0 and hit.score >= cue.threshold][: cue.limit],
            self.params.budget_tokens,
        )


class _Decomposing:
    """Makes the pairs of a chunk."""

    def __init__(self, ask: Asks, passes: int) -> None:
        self._ask, self._passes = ask, passes

    def __call__(self, chunk: Chunk, draft: Draft) -> Iterable[Record]:
        made = [draft.put(chunk.unit(ID, CHUNK, chunk.text, chunk.sources, "offline"), embed=False)]
        for pair in decompose(chunk, self._ask, self._passes):
            parts = {"entity": pair.entity, "description": pair.description}
            made.append(draft.put(chunk.unit(ID, PAIR, pair.text, pair.sources, pair.by, **parts)))
        return made


def decompose(chunk: Chunk, ask: Asks, passes: int = 3) -> list[Pair]:
    """The pairs of a chunk, each once, in the order in which they were found."""
    if isinstance(ask, NoModel):
        return union(pairs_in(extract_facts(chunk.turns, ask)))
    shown = turns(chunk.turns)
    guessed = ask("speculate", Prompt(SPECULATE, {"turns": shown}), QuestionsAnswer)
    asked = [" ".join(one.split()) for one in guessed.questions if one.strip()] if guessed is not None else []
    questions = Shown(asked[:_MOST_QUESTIONS], shown.sources)
    found: list[Pair] = []
    is_answered = False
    for _ in range(passes):
        before = Shown([one.text for one in found], shown.sources)
        data = {"turns": shown, "questions": questions, "found": before}
        answer = ask("decompose", Prompt(DECOMPOSE, data), PairsAnswer)
        is_answered = is_answered or answer is not None
        more = union([*found, *(pair for one in (answer.pairs if answer else ()) if (pair := _checked(one, chunk)))])
        if len(more) == len(found):
            break  # nothing new: asked again, it would be asked the same
        found = more
    return found if is_answered else union(pairs_in(extract_facts(chunk.turns, NoModel())))


def union(pairs: Iterable[Pair]) -> list[Pair]:
    """The pairs without those that repeat an earlier one, in the same words or nearly so; their episodes are joined."""
    every = list(pairs)
    words = [frozenset(normalised(one.text).split()) for one in every]
    kept = fold_repeats([content_hash(one.text) for one in every], words, len(every))
    return [
        replace(every[at], sources=tuple(dict.fromkeys(id for one in (at, *again) for id in every[one].sources)))
        for at, again in kept
    ]


def _checked(given: PairAnswer, chunk: Chunk) -> Pair | None:
    """The pair that a model gave, its pronoun replaced, with the turns that there are; None where nothing is left of it."""
    entity = " ".join(given.entity.split()).strip(" :")[:_LONGEST_ENTITY]
    description = " ".join(given.description.split())[:_LONGEST]
    numbers = sorted({number for number in given.turns if 1 <= number <= len(chunk.turns)})
    is_empty = not any(map(str.isalnum, entity)) or not any(map(str.isalnum, description))
    if is_empty or entity.casefold() in PRONOUNS or (given.turns and not numbers):
        return None
    sources = [chunk.turns[number - 1].id for number in numbers] or list(chunk.sources)
    return Pair(entity, without_pronoun(description, entity), tuple(dict.fromkeys(sources)), "llm")


def without_pronoun(description: str, entity: str) -> str:
    """The description with the entity in the place of a pronoun at its head.

    >>> without_pronoun("She moved to Oslo.", "Ann"), without_pronoun("Her sister is a nurse.", "Ann")
    ('Ann moved to Oslo.', "Ann's sister is a nurse.")
    >>> without_pronoun("It rained.", "weather")
    'It rained.'
    """
    owned = re.sub(r"^(?:his|her|their)(?=\s+[a-z])", lambda _: f"{entity}'s", description, flags=re.IGNORECASE)
    return re.sub(r"^(?:he|she|they)\b(?=[\s'])", lambda _: entity, owned, flags=re.IGNORECASE)


# -- without a model ------------------------------------------------------------------------------------------


def pairs_in(facts: Iterable[Fact]) -> list[Pair]:
    """Statements as pairs: each clause that stands alone, with its subject; else the whole, with whom it is about."""
    found = []
    for fact in facts:
        for text in _atoms(fact.text):
            found.append(Pair(_about(text, fact), text, fact.episode_ids))
    return found


def _atoms(text: str) -> list[str]:
    """The clauses of a statement, where each of them says by itself whom it is about; else the statement."""
    parts = clauses(text)
    stated = [statement_in(part) for part in parts]
    stand = [one is not None and "," not in one.subject and one.subject.lower() not in PRONOUNS for one in stated]
    return [part.strip() for part in parts] if len(parts) > 1 and all(stand) else [text]


def _about(text: str, fact: Fact) -> str:
    """Who or what a statement is about: its subject, else the first name in it, else who said it."""
    stated = statement_in(text)
    subject = stated.subject if stated is not None else ""
    if subject and len(subject.split()) <= 6 and subject.lower() not in PRONOUNS:
        return subject
    return next((name for name in fact.entities if name in text), called(fact.speaker))


# -- recalling ------------------------------------------------------------------------------------------------


def within(hits: Sequence[Hit], budget_tokens: int) -> list[Hit]:
    """The best hits, until the next does not fit; 0 tokens are no bound."""
    kept: list[Hit] = []
    left = budget_tokens
    for hit in hits:
        left -= count_tokens(hit.text)
        if budget_tokens and left < 0:
            break
        kept.append(hit)
    return kept


def grouped(hits: Iterable[Hit]) -> dict[str, list[str]]:
    """Descriptions under their entities, both in the order of the hits; what is no pair stands under ""."""
    found: dict[str, list[str]] = {}
    for hit in hits:
        data = hit.record.data if hit.record is not None else {}
        found.setdefault(str(data.get("entity", "")), []).append(str(data.get("description", hit.text)))
    return found
