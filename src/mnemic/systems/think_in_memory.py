"""Think-in-Memory: conclusions are kept in a hash table, not the talk that they were drawn from.

The one idea: after each exchange the agent thinks once about what follows from it and keeps that as thoughts, each a
relation between a head and a tail; later questions are answered from the thoughts as they stand and nothing is thought
twice. A thought lies in the bucket of its vector, a cue looks into its own bucket alone, and forgetting and merging stay
inside one bucket too.
Source: Think-in-Memory, arXiv 2311.08719.

Departs, as the card of this file says in full: a bucket is tidied when some thoughts have come into it; a cue may look into
further buckets; without a model thoughts are the facts that were stated, and are compared by rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from mnemic.errors import ParameterError
from mnemic.index.vectors import products
from mnemic.model import Cue, Episode, Hit, Reason, Record
from mnemic.models.prompt import Prompt, numbered, turns
from mnemic.ops.extract import extract_facts
from mnemic.ops.lsh import Buckets
from mnemic.ops.segment import exchanges
from mnemic.ops.triples import triples_in
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.feedback import heard
from mnemic.systems.open_units import Vectors
from mnemic.systems.thought_table import ID, KIND, LONGEST, Table, compared, hash_of, in_bucket
from mnemic.systems.thought_tidying import named, tidy
from mnemic.systems.view import NoModel, View
from mnemic.text.terms import terms

MOST_TURNS = 20  # of one speaker in a row: then they are thought about, answered or not
THINK = """
You think about a conversation after it was held, so that nobody has to think it through again. "exchange" holds what was said
and answered, as numbered turns with time and speaker; "thoughts" holds what was concluded earlier and may bear on it.
Write down what can be concluded about the people and things spoken of, and is worth knowing later. Each thought is one
sentence in the third person that can be understood alone, with names in the place of pronouns and dates in the place of words
such as "yesterday", and states one relation between a head and a tail. Do not repeat earlier thoughts. Conclude nothing that
what is shown does not bear out.
Answer with {"thoughts": [{"text": the sentence, "head": whom or what it is about, "relation": …, "tail": …, "turns": [numbers of
the turns behind it], "recalled": [ids of the earlier thoughts that it also rests on]}]}, an empty list when nothing follows.
"""


@dataclass(frozen=True, slots=True)
class Params:
    """What Think-in-Memory can be told. The paper's k and b were not found: the figures are ours."""

    buckets: int = 16  # b, an even number
    seed: int = 0  # of the directions that make the buckets
    recalled: int = 5  # thoughts of the query's bucket that a model sees while it thinks
    probes: int = 1  # buckets that a cue always looks into, the nearest first; 1 is the paper's
    fill: bool = True  # whether it goes on to the next buckets as long as fewer are found than were asked for
    tidy_every: int = 4  # thoughts that come into a bucket before it is tidied; 1 is after every exchange

    def __post_init__(self) -> None:
        if self.buckets < 2 or self.buckets % 2:
            raise ParameterError(f"buckets={self.buckets}: F(x) needs an even number of them, 2 or more.")
        if self.recalled < 0 or self.probes < 1 or self.tidy_every < 1:
            raise ParameterError(
                f"recalled={self.recalled}, probes={self.probes}, tidy_every={self.tidy_every}: "
                "give 0 or more, 1 or more, 1 or more."
            )


@dataclass(frozen=True, slots=True)
class ThoughtAnswer:
    """One thought, as a model gives it."""

    text: str = ""
    head: str = ""
    relation: str = ""
    tail: str = ""
    turns: list[int] = field(default_factory=list)
    recalled: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ThinkAnswer:
    """What a model answers to THINK."""

    thoughts: list[ThoughtAnswer] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Thought:
    """A conclusion, before it is a record."""

    text: str
    head: str
    relation: str
    tail: str
    sources: tuple[str, ...]
    path: str = "offline"


class ThinkInMemory(MemorySystem):
    """A hash table of thoughts."""

    card = Card(
        id=ID,
        title="Think-in-Memory",
        year=2023,
        family="conversation",
        summary="Exchanges are thought through once; the conclusions lie in hash buckets and are merged and forgotten there.",
        source="Think-in-Memory: Recalling and Post-thinking Enable LLMs with Long-Term Memory, arXiv 2311.08719",
        needs=("embedder", "llm"),
        makes=(KIND,),
        cost="one call for each exchange; for a bucket into which four thoughts came, one to forget and one for each head with "
        "several thoughts to merge; none in a recall",
        flow="E[exchange] --> B1[bucket of the query]\nB1 --> P[post-think]\nP --> T[thoughts: head, relation, tail]\n"
        "T --> F[bucket of each thought]\nF --> G[forget inside the bucket]\nG --> M[merge inside the bucket]\n"
        "Q[cue] --> B2[its bucket]\nB2 --> C[cosines inside it]\nC --> H[best thoughts]",
        departures=(
            "Twenty turns of one speaker in a row are an exchange, answered or not.",
            "The paper gives neither the number of buckets nor how often they are tidied; here there are 16, and a "
            "bucket is tidied when four thoughts have come into it.",
            "A cue whose bucket holds fewer thoughts than it asks for goes on to the next nearest buckets; fill=False"
            " and probes=1 look into its own bucket alone, as the paper does, and more probes trade comparisons for "
            "recall.",
            "To forget, a model names what is to go instead of writing down what stays, so that a cut answer loses "
            "nothing.",
            "A merged thought stays in the bucket of those it replaces, also where its vector would fall into another"
            " one.",
            "A thought's sources are the turns and the earlier thoughts that the model says it rests on, of all that it was "
            "shown.",
            "What was forgotten or merged is retired, so that a recall as of an earlier time still finds it.",
            "Without a model thoughts are the facts that were stated, with the speech itself where nothing is; a "
            "newer one that contradicts or updates an older one of its head and bucket retires it, and one that says "
            "the same or more is merged.",
            "An exchange that waits for its answer is recalled as it was said; `consolidate` thinks about it for the "
            "time being, and does so again when the answer is there. As of an earlier time it is always shown as it "
            "was said.",
        ),
    )
    params_type = Params

    def __init__(self, params: Params | None = None) -> None:
        self.params: Params = params or Params()

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        draft = view.draft()
        dropped = _drop_provisional(draft)
        closed, tail = exchanges(heard(view.since(draft.state.get("done", 0))), max_turns=MOST_TURNS)
        if closed:
            table, thinker = self._table(draft, view, dropped), _Thinker(view, self.params.recalled)
            thinker.foresee(closed)
            for unit, following in zip(closed, [*closed[1:], tail], strict=True):
                closer = _closer(unit, following)
                _insert(draft, table, thinker.think(unit, table), unit, closer.recorded_at, thinker.vectors)
                tidy(draft, table, closer, view, self.params.tidy_every)
            draft.state["done"] = closed[-1][-1].seq
        return draft.changes()

    def consolidate(self, view: View) -> Changes:
        draft = view.draft()
        dropped = _drop_provisional(draft)
        _, tail = exchanges(heard(view.since(draft.state.get("done", 0))), max_turns=MOST_TURNS)
        if tail:
            table, thinker = self._table(draft, view, dropped), _Thinker(view, self.params.recalled)
            thoughts, known_at = thinker.think(tail, table), tail[-1].recorded_at
            made = _insert(draft, table, thoughts, tail, known_at, thinker.vectors, is_provisional=True)
            draft.state["provisional"] = {"ids": [one.id for one in made], "seq": tail[-1].seq}
        return draft.changes()

    def _table(self, draft: Draft, view: View, dropped: Sequence[str]) -> Table:
        return Table(draft, view.made, hash_of(view.made.dim, self.params.buckets, self.params.seed), dropped)

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        made, vector = view.made, view.query_vector(cue)
        if vector is None:
            words = made.words(terms(cue.text), kinds=(KIND,), as_of=cue.as_of)
            found = [(made.records[id], score) for id, score in words.items()]
        else:
            found = self._in_buckets(vector, cue, view)
        found = [one for one in found if cue.as_of is None or not one[0].data.get("provisional")]
        ranked = sorted(found, key=lambda one: (-one[1], one[0].id))
        signal = "words" if vector is None else "meaning"
        hits = view.record_hits(
            ranked,
            cue,
            lambda record, score: (Reason(signal, score, 1.0, f"bucket {record.data['bucket']}"),),
        )
        hits += view.tail_hits(cue, after=_closed_up_to(cue, view))
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))[: cue.limit]

    def _in_buckets(self, vector: NDArray[np.float32], cue: Cue, view: View) -> list[tuple[Record, float]]:
        """The thoughts of the cue's nearest buckets that may be seen, with their cosines."""
        hash = hash_of(view.made.dim, self.params.buckets, self.params.seed)
        found: list[tuple[Record, float]] = []
        for at, bucket in enumerate(hash.probes(vector, hash.buckets)):
            if at >= self.params.probes and (len(found) >= cue.limit or not self.params.fill):
                break
            records = in_bucket(view.made, bucket, cue.as_of)
            seen = [one for one, is_seen in zip(records, view.sees(records, cue), strict=True) if is_seen]
            found += compared(seen, vector, view.made)
        return found


def recall_loss(
    vectors: NDArray[np.float32], queries: NDArray[np.float32], k: int, params: Params | None = None
) -> float:
    """The share of each query's k exactly nearest vectors that its buckets do not hold, on average; in [0, 1].

    vectors: [n, dim] and queries: [m, dim], of unit length. Of the parameters, buckets, seed and probes count.
    """
    told = params or Params()
    table = Buckets(hash_of(vectors.shape[1], told.buckets, told.seed))
    for at, vector in enumerate(vectors):
        table.add(str(at), vector)
    lost = 0
    for query in queries:
        exact = np.argsort(-products(vectors, query), kind="stable")[:k].tolist()
        near = {id for id, _ in table.nearest(query, k, told.probes)}
        lost += len({str(at) for at in exact} - near)
    return lost / max(1, min(k, len(vectors)) * len(queries))


# -- thinking -------------------------------------------------------------------------------------------------


class _Thinker:
    """Thinks about the exchanges of one observation."""

    def __init__(self, view: View, recalled: int) -> None:
        self._view, self._recalled = view, recalled
        self._has_model = not isinstance(view.ask, NoModel)
        self._thoughts: dict[str, list[Thought]] = {}  # without a model, by the exchange's first turn
        self.vectors = Vectors(view)

    def foresee(self, units: Sequence[Sequence[Episode]]) -> None:
        """These will be thought about: time to embed what they are compared by together."""
        if self._has_model:
            self.vectors.know(map(_query_of, units))
        else:
            self._thoughts = {unit[0].id: thoughts_in(unit) for unit in units}
            self.vectors.know(one.text for thoughts in self._thoughts.values() for one in thoughts)

    def think(self, unit: Sequence[Episode], table: Table) -> list[Thought]:
        """What follows from an exchange, in the light of the thoughts in the bucket of its query."""
        if not self._has_model:
            return self._thoughts[unit[0].id] if unit[0].id in self._thoughts else thoughts_in(unit)
        earlier = table.nearest(self.vectors[_query_of(unit)], self._recalled)
        prompt = Prompt(THINK, {"exchange": turns(unit), "thoughts": numbered(earlier)})
        answer = self._view.ask("think", prompt, ThinkAnswer)
        if answer is None:
            return thoughts_in(unit)
        return [thought for given in answer.thoughts if (thought := _checked(given, unit, earlier)) is not None]


def thoughts_in(unit: Sequence[Episode]) -> list[Thought]:
    """Without a model: the facts that an exchange states, with the relation in each; a turn without any, as it was said."""
    facts = extract_facts(unit, NoModel())
    stated = {id for fact in facts for id in fact.episode_ids}
    found = []
    for episode in unit:
        own = [fact for fact in facts if fact.episode_ids[0] == episode.id]
        for fact in own:
            triple = next(iter(triples_in(fact.text)), None)
            parts = (triple.subject, triple.relation, triple.object) if triple else (fact.speaker, "says", fact.text)
            found.append(Thought(fact.text, *parts, fact.episode_ids))
        if episode.id not in stated:
            text = episode.text[:LONGEST]
            found.append(Thought(text, episode.speaker, "says", text, (episode.id,)))
    return found


def _checked(given: ThoughtAnswer, unit: Sequence[Episode], earlier: Sequence[Record]) -> Thought | None:
    """The thought that a model gave; None where it says nothing or names only turns that there are not."""
    text, head, link, tail = (
        " ".join(part.split())[:LONGEST] for part in (given.text, given.head, given.relation, given.tail)
    )
    text = text or " ".join(part for part in (head, link, tail) if part)
    numbers = sorted({number for number in given.turns if 1 <= number <= len(unit)})
    if not any(map(str.isalnum, text)) or (given.turns and not numbers):
        return None
    behind = [unit[number - 1].id for number in numbers] or [one.id for one in unit]
    behind += [source for one in named(given.recalled, earlier) for source in one.sources]
    return Thought(text, head or unit[0].speaker, link, tail, tuple(dict.fromkeys(behind)), "llm")


def _drop_provisional(draft: Draft) -> list[str]:
    ids: list[str] = draft.state.pop("provisional", {"ids": []})["ids"]
    for id in ids:
        draft.drop(id)
    return ids


def _insert(
    draft: Draft,
    table: Table,
    thoughts: Sequence[Thought],
    unit: Sequence[Episode],
    known_at: datetime,
    vectors: Vectors,
    *,
    is_provisional: bool = False,
) -> list[Record]:
    """Put the thoughts about an exchange, whose end was known at a time, into the buckets of their vectors."""
    when = {one.id: one.occurred_at for one in unit}
    first = draft.state.get("thoughts", 0)
    made = []
    vectors.know(one.text for one in thoughts)
    for number, thought in enumerate(thoughts, start=first):
        vector = vectors[thought.text]
        bucket = table.bucket(vector)
        data = {
            "head": thought.head,
            "relation": thought.relation,
            "tail": thought.tail,
            "bucket": bucket,
            "number": number,
        }
        record = Record(
            id=record_id(ID, KIND, *when, thought.text),
            system=ID,
            scope=unit[0].scope,
            kind=KIND,
            text=thought.text,
            sources=thought.sources,
            recorded_at=known_at,
            valid_from=max(when[source] for source in thought.sources if source in when),
            data={**data, BY: thought.path, **({"provisional": True} if is_provisional else {})},
        )
        made.append(table.put(record, vector))
        if not is_provisional:
            waiting = draft.state.setdefault("fresh", {}).setdefault(str(bucket), [])
            waiting += [record.id] if record.id not in waiting else []
            draft.state["thoughts"] = number + 1
    return made


def _closer(unit: Sequence[Episode], following: Sequence[Episode]) -> Episode:
    """The turn that ended an exchange: its answer, or what came next in another session where it has none."""
    _, is_waiting = exchanges(unit, max_turns=MOST_TURNS)
    return following[0] if is_waiting else unit[-1]


def _query_of(unit: Sequence[Episode]) -> str:
    """What the exchange began with: the turns of the one who spoke first."""
    return "\n".join(one.text for one in unit if one.speaker == unit[0].speaker)


# -- recall ---------------------------------------------------------------------------------------------------


def _closed_up_to(cue: Cue, view: View) -> int:
    """The position of the log up to which exchanges were thought through, as far as was known at the cue's time."""
    if cue.as_of is None:
        state = view.made.state
        return int(state["provisional"]["seq"] if "provisional" in state else state.get("done", 0))
    known = [one for one in heard(view.log()) if one.recorded_at <= cue.as_of]
    _, tail = exchanges(known, max_turns=MOST_TURNS)
    return tail[0].seq - 1 if tail else known[-1].seq if known else 0
