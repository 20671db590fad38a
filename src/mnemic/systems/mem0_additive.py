"""Mem0, later version: facts are only ever added, and reading sorts out which count.

The one idea: one model call takes facts from a pair of messages, shown the last messages and the nearest facts so that it repeats
none; nothing is updated or deleted. Entities are found without a model and point to the facts that name them. A recall adds
up meaning, squashed BM25 and a boost for facts of the entities asked about (`combined`, `squashed`, `entity_boost`).

Card: mem0, "later versions". Source: repository mem0ai/mem0, as of 2026.
Departs: see the card's departures.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from mnemic.clock import parse_time
from mnemic.errors import InvalidTime, ParameterError
from mnemic.model import Cue, Episode, Hit, Link, Reason, Record
from mnemic.models.prompt import Prompt, numbered, turns
from mnemic.ops.extract import Fact, entities_of
from mnemic.ops.triples import entities_in, normal_name
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.made import Scored
from mnemic.systems.meaning_and_words import Ranked, hits_of
from mnemic.systems.mem0 import facts_by_rule, units_in
from mnemic.systems.nearest_first import CANDIDATES, nearest_first
from mnemic.systems.open_units import Ledger, Vectors, with_before, work
from mnemic.systems.said_again import Repeats
from mnemic.systems.view import View
from mnemic.text.terms import terms

ID = "mem0-additive"
FACT, ENTITY = "fact", "entity"
MENTIONS, RELATED = "mentioned in", "related to"
LONGEST_FACT = 1000  # characters
_LENGTHS = ((3, 5.0, 0.7), (6, 7.0, 0.6), (9, 9.0, 0.5), (15, 10.0, 0.5))  # query terms up to, midpoint, steepness
_LONGER = (12.0, 0.5)

EXTRACT = """
You keep the facts of a personal memory, to which facts are only added. "turns" holds the newest messages, each with a number, a
time and a speaker; "recent" the messages before them; "stored" facts that are there already, each with an id.
Write down the facts in the turns that are worth keeping and are not stored yet: preferences, personal details, plans, events,
health, work, and what changed since a stored one.
- One fact is one sentence that can be understood alone, with names in the place of pronouns and dates in the place of
  "yesterday". A speaker called "user" or "assistant" is "the user" or "the assistant".
- Only what the turns say. Nothing for greetings, thanks, questions and small talk. In the language of the speaker.
Answer with {"memory": [{"text": the sentence, "turns": [numbers of the turns it came from], "attributed_to": who said it,
"linked_memory_ids": [ids of stored facts that it adds to or changes]}]}, an empty list for none.
"""


@dataclass(frozen=True, slots=True)
class Params:
    """As in the code of 2026."""

    messages: int = 2  # that are read together
    recent: int = 10  # messages before them that the model is shown
    shown: int = 10  # stored facts that the model is shown
    same_entity: float = 0.95  # cosine from which two names are one entity
    least_meaning: float = 0.1  # cosine from which a fact may be recalled
    candidates: int = 60  # facts, the nearest, that are scored; 4 times the limit where that is more
    entity_likeness: float = 0.5  # cosine from which an entity is one asked about
    entity_weight: float = 0.5  # of the boost

    def __post_init__(self) -> None:
        for name, least in (("messages", 1), ("recent", 0), ("shown", 0), ("candidates", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ParameterError(f"{name}={value!r}: give a whole number of {least} or more.")
        for name in ("same_entity", "least_meaning", "entity_likeness", "entity_weight"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ParameterError(f"{name}={getattr(self, name)!r}: give a number from 0 to 1.")


class Mem0Additive(MemorySystem):
    """Facts that are only added, and a hybrid read."""

    params_type = Params
    card = Card(
        id=ID,
        title="Mem0, additive",
        year=2026,
        family="conversation",
        summary="Facts are only added; a recall weighs their meaning, words and entities.",
        source="repository mem0ai/mem0, read at its 2026 state",
        needs=("embedder", "llm"),
        makes=(FACT, ENTITY),
        cost="One call for each pair of messages.",
        flow="""
        E[pair of messages] --> X[extract facts]
        K[last 10 messages, 10 nearest facts] --> X
        X --> D{new by its hash?}
        D --> F[(facts)]
        F --> N[entities, without a model]
        N --> I[(entity index)]
        C[cue] --> S[meaning + squashed BM25 + entity boost]
        F --> S
        I --> S
        """,
        departures=(
            "The last message waits for its pair; until then its facts are made by rule, so that nothing said is invisible.",
            "The model names the turns of each fact, so that facts keep their episodes as sources.",
            "Lemmas are the index's stems, names are found by this library's rules instead of spaCy's.",
            "A fact said again gains a source, up to eight; what only corrected messages said does not count as stored.",
        ),
    )

    def __init__(self, params: Params | None = None) -> None:
        self.params = params or Params()

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        return self._worked(view)

    def consolidate(self, view: View) -> Changes:
        return self._worked(view, closes=True)

    def _worked(self, view: View, *, closes: bool = False) -> Changes:
        draft = view.draft()
        work(view, draft, Additions(self.params, view, draft), context=self.params.recent, closes=closes)
        return draft.changes()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        wanted = terms(cue.text)
        found = self._candidates(cue, view)
        bm25 = words_of(view, wanted, [one.id for one, _ in found], cue.as_of)
        boosts = self._boosts(cue, view)
        whole = 1.0 + any(one.id in bm25 for one, _ in found) + 0.5 * any(one.id in boosts for one, _ in found)
        scored: list[Ranked] = []
        for record, meaning in found:
            values = (meaning, bm25.get(record.id, 0.0), boosts.get(record.id, 0.0))
            scored.append((record, combined(*values, whole), _why(*values, whole)))
        return hits_of(sorted(scored, key=lambda one: (-one[1], one[0].id)), cue, view)

    def _candidates(self, cue: Cue, view: View) -> list[Scored]:
        """The nearest facts that may be hits, up to as many as are scored; where the cue has no vector, those with its words."""
        wanted, found = max(4 * cue.limit, self.params.candidates), list[Scored]()
        near = (one for one in self._nearest(cue, view, wanted) if not has_expired(one[0], cue.asked_at))
        while len(found) < wanted and (page := list(islice(near, 4 * wanted))):
            seen = view.sees([one for one, _ in page], cue)
            found += [one for one, is_seen in zip(page, seen, strict=True) if is_seen]
        return found[:wanted]

    def _nearest(self, cue: Cue, view: View, wanted: int) -> Iterator[Scored]:
        """The facts that are near enough, nearest first; without a vector those with the cue's words, all as near."""
        vector = view.query_vector(cue)
        if vector is None:
            texts = view.made.words(terms(cue.text), kinds=[FACT], as_of=cue.as_of)
            yield from ((view.made.records[id], 0.0) for id in sorted(texts, key=lambda id: (-texts[id], id)))
            return
        for record, cosine in nearest_first(vector, cue, view, [FACT], first=max(CANDIDATES, 4 * wanted)):
            if cosine < self.params.least_meaning:
                return
            yield record, min(cosine, 1.0)

    def _boosts(self, cue: Cue, view: View) -> dict[str, float]:
        """By fact, the strongest boost that an entity of the cue gives it."""
        boosts: dict[str, float] = {}
        for entity in entities_in(cue.text)[:8]:
            vector = view.query_vector(cue, entity.name)
            if vector is None:
                continue
            for record, cosine in view.made.nearest(vector, 20, kinds=[ENTITY], as_of=cue.as_of):
                if cosine < self.params.entity_likeness:
                    break
                links = [
                    one
                    for one in view.made.links_of(record.id)
                    if one.kind == MENTIONS and (cue.as_of is None or one.recorded_at <= cue.as_of)
                ]
                boost = entity_boost(min(cosine, 1.0), len(links), self.params.entity_weight)
                for link in links:
                    boosts[link.to_id] = max(boosts.get(link.to_id, 0.0), boost)
        return boosts


# -- reading --------------------------------------------------------------------------------------------------


def squashed(bm25: float, n_terms: int) -> float:
    """BM25 in (0, 1): a logistic whose midpoint and steepness depend on how long the question is. mem0ai/mem0, 2026.

    >>> squashed(5.0, 3), squashed(5.0, 12) < 0.1
    (0.5, True)
    """
    midpoint, steepness = next(((mid, steep) for most, mid, steep in _LENGTHS if n_terms <= most), _LONGER)
    return 1.0 / (1.0 + math.exp(-steepness * (bm25 - midpoint)))


def entity_boost(likeness: float, n_linked: int, weight: float = 0.5) -> float:
    """What a fact gains by an entity asked about; an entity of many facts tells little. mem0ai/mem0, 2026.

    >>> entity_boost(1.0, 1), round(entity_boost(1.0, 101), 4)
    (0.5, 0.0455)
    """
    return likeness * weight / (1.0 + 0.001 * (n_linked - 1) ** 2)


def combined(meaning: float, words: float, boost: float, whole: float) -> float:
    """The score, at most 1. whole: 1, and 1 more where any fact has words, and 0.5 more where any has a boost.

    >>> combined(0.6, 0.4, 0.5, 2.5)
    0.6
    """
    return min((meaning + words + boost) / whole, 1.0)


def words_of(view: View, wanted: Sequence[str], ids: Iterable[str], as_of: datetime | None) -> dict[str, float]:
    """Squashed BM25 of some facts, of those that have any of the terms."""
    sums = view.made.bm25(wanted, kinds=(FACT,), as_of=as_of)
    return {id: squashed(sums[id], len(wanted)) for id in ids if id in sums}


def has_expired(record: Record, at: datetime) -> bool:
    """Whether a fact was to hold only until before that moment."""
    until = record.data.get("expires")
    return until is not None and datetime.fromisoformat(until) <= at


def _why(meaning: float, words: float, boost: float, whole: float) -> tuple[Reason, ...]:
    cut = 1.0 / max(whole, meaning + words + boost)
    named = (("meaning", meaning), ("words", words), ("entity", boost))
    return tuple(Reason(name, value, cut) for name, value in named if value)


# -- writing --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MemoryAnswer:
    """One fact, as a model gives it."""

    text: str = ""
    turns: list[int] = field(default_factory=list)
    attributed_to: str = ""
    linked_memory_ids: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MemoriesAnswer:
    """What a model answers to EXTRACT."""

    memory: list[MemoryAnswer] = field(default_factory=list)


class Additions:
    """The facts and entities of a scope in one observation."""

    def __init__(self, params: Params, view: View, draft: Draft) -> None:
        self._params, self._view, self._draft = params, view, draft
        self._foreseen: dict[str, list[Fact]] = {}
        self._vectors = Vectors(view)
        self._repeats = Repeats(view, draft)

    def cut(self, episodes: Sequence[Episode]) -> tuple[list[list[Episode]], list[Episode]]:
        """Pairs of messages."""
        return units_in(episodes, self._params.messages)

    def foresee(self, episodes: Sequence[Episode], before: Sequence[Episode]) -> None:
        """Facts, and the vectors of facts and names, of many messages at once."""
        for one, earlier in with_before(episodes, before, self._params.recent):
            self._foreseen[one.id] = facts_by_rule(one, earlier)
        facts = [fact for found in self._foreseen.values() for fact in found]
        self._vectors.know(text for fact in facts for text in (fact.text, *names_of(fact)))

    def by_rule(self, episode: Episode, before: Sequence[Episode], ledger: Ledger) -> None:
        """The statements of one message."""
        facts = self._foreseen[episode.id] if episode.id in self._foreseen else facts_by_rule(episode, before)
        for fact in facts:
            self._add(fact, [episode], ledger)
        self._repeats.after_rule()

    def by_model(self, unit: Sequence[Episode], before: Sequence[Episode], ledger: Ledger) -> bool:
        """A pair as the model reads it."""
        said = "\n".join(one.text for one in unit)
        near = self._draft.nearest(self._vectors[said], self._params.shown, kinds=[FACT], standing_at=unit[0].seq - 1)
        stored = [one for one, _ in near]
        data = {"recent": turns(before), "stored": numbered(stored), "turns": turns(unit)}
        answer = self._view.ask("extract", Prompt(EXTRACT, data), MemoriesAnswer)
        if answer is None:
            return False
        for given in answer.memory:
            fact = _checked(given, unit)
            record = self._add(fact, unit, ledger) if fact is not None else None
            for at in dict.fromkeys(one.strip() for one in given.linked_memory_ids):
                if record is not None and at.isdigit() and int(at) < len(stored):
                    self._relate(record, stored[int(at)], ledger)
        return True

    def settled_by_rule(self) -> None:
        """Add what was said again, in a unit that no model read."""
        self._repeats.settle()

    def settled(self, unit: Sequence[Episode], before: Sequence[Episode]) -> None:
        """Add what was said again."""
        self._repeats.settle()

    # -- inside -------------------------------------------------------------------------------------------

    def _add(self, fact: Fact, unit: Sequence[Episode], ledger: Ledger) -> Record | None:
        """A fact that is not there yet, with its entities; None for one that is."""
        said = [one for one in unit if one.id in fact.episode_ids]
        known_at = max(one.recorded_at for one in said)
        digest = hashlib.md5(fact.text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
        again, old = self._stored(digest)
        if old is not None:
            if self._draft.stands(old, unit[-1].seq):
                self._repeats.note(old, fact.episode_ids)
                return None
            ledger.retire(old.id, known_at)
            again += 1
        self._vectors.know([fact.text, *names_of(fact)])
        data: dict[str, Any] = {"hash": digest, BY: fact.path, "attributed_to": fact.speaker}
        if until := next((end for one in said if (end := expiry_of(one)) is not None), None):
            data["expires"] = until.isoformat()
        record = Record(
            id=_version(digest, again),
            system=ID,
            scope=self._view.scope,
            kind=FACT,
            text=fact.text,
            sources=fact.episode_ids,
            recorded_at=known_at,
            valid_from=fact.said_at,
            data=data,
        )
        ledger.put(record, vector=self._vectors[fact.text])
        for name in names_of(fact):
            entity = self._entity(name, record, ledger)
            ledger.put_link(self._link(MENTIONS, entity, record, record.sources))
        return record

    def _stored(self, digest: str) -> tuple[int, Record | None]:
        """(how often a fact was said anew, after all who had said it were corrected; the fact as it is now)."""
        again, fact = 0, self._draft.get(_version(digest, 0))
        while fact is not None and fact.retired_at is not None:
            again += 1
            fact = self._draft.get(_version(digest, again))
        return again, fact

    def _entity(self, name: str, record: Record, ledger: Ledger) -> Record:
        """The entity of that name, or of one that is nearly the same; a new one where there is none."""
        id = record_id(ID, ENTITY, normal_name(name))
        if (known := self._draft.get(id)) is not None:
            return known
        near = self._draft.nearest(self._vectors[name], 1, kinds=[ENTITY], floor=self._params.same_entity)
        if near:
            return near[0][0]
        entity = Record(
            id=id,
            system=ID,
            scope=self._view.scope,
            kind=ENTITY,
            text=name,
            sources=record.sources,
            recorded_at=record.recorded_at,
            valid_from=record.valid_from,
            data={BY: "offline"},
        )
        return ledger.put(entity, vector=self._vectors[name])

    def _relate(self, record: Record, stored: Record, ledger: Ledger) -> None:
        sources = tuple(dict.fromkeys((*record.sources, *stored.sources)))
        ledger.put_link(self._link(RELATED, record, stored, sources))

    def _link(self, kind: str, start: Record, end: Record, sources: tuple[str, ...]) -> Link:
        return Link(
            id=record_id(ID, kind, start.id, end.id),
            system=ID,
            scope=self._view.scope,
            kind=kind,
            from_id=start.id,
            to_id=end.id,
            sources=sources,
            recorded_at=max(start.recorded_at, end.recorded_at),
        )


def _version(digest: str, again: int) -> str:
    """The id of the fact of that hash, said anew so often."""
    return record_id(ID, FACT, digest, str(again)) if again else record_id(ID, FACT, digest)


def names_of(fact: Fact) -> list[str]:
    """The entities that a fact names, each once."""
    found = [*fact.entities, *(one.name for one in entities_in(fact.text))]
    once = {normal_name(name): name for name in reversed(found)}
    return [once[key] for key in dict.fromkeys(map(normal_name, found))]


def expiry_of(episode: Episode) -> datetime | None:
    """When what was said ceases to count: metadata "expiration_date", a moment, or a day whose end is meant."""
    said = episode.metadata.get("expiration_date")
    if not isinstance(said, str):
        return None
    try:
        return parse_time(said, end_of_day=True)
    except InvalidTime:
        return None


def _checked(given: MemoryAnswer, unit: Sequence[Episode]) -> Fact | None:
    """The fact that a model gave, with the turns that there are; None where nothing is left of it."""
    text = " ".join(given.text.split())[:LONGEST_FACT]
    numbers = sorted({number for number in given.turns if 1 <= number <= len(unit)})
    if not any(map(str.isalnum, text)) or (given.turns and not numbers):
        return None
    behind = [unit[number - 1] for number in numbers] or list(unit)
    said_at = max(one.occurred_at for one in behind)
    speaker = " ".join(given.attributed_to.split())[:100] or behind[0].speaker
    return Fact(text, tuple(one.id for one in behind), speaker, said_at, entities_of(text), "llm")
