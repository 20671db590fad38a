"""Mem0 with graph memory: beside the facts, a graph of who stands how to what, whose contradicted edges are retired.

The one idea: the same messages are turned into labelled edges between entities. A new edge that outdates old ones retires
them, with the time, so that a question as of an earlier time still finds them. A recall gives facts, and with them the edges
that fit best: by their meaning, by their words, and by whether they touch an entity that the question names.

Card: mem0-graph. Source: Chhikara et al., Mem0, arXiv 2504.19413, its graph memory; code: the graph module of mem0ai/mem0.
Departs: see the card's departures. Nodes are records of kind "entity", edges of kind "relation"; each time that an edge is
stated is a link from it to the message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import heappop, heappush, merge
from itertools import islice
from typing import Any

from mnemic.errors import ParameterError
from mnemic.model import Cue, Episode, Hit, Link, Reason, Record
from mnemic.models.prompt import Prompt, Shown, turns
from mnemic.ops.triples import Triple, entities_in, extract_triples, normal_name, triples_in
from mnemic.ops.update import relation, superseded
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.meaning_and_words import Ranked, hits_of, ranked
from mnemic.systems.mem0 import (
    FACT,
    PROCEDURE,
    RECALLED,
    Beside,
    FactStore,
    facts_by_rule,
)
from mnemic.systems.mem0 import Params as FactParams
from mnemic.systems.open_units import Ledger, Vectors, with_before, work
from mnemic.systems.said_again import Repeats
from mnemic.systems.view import View

ID = "mem0-graph"
NODE, EDGE = "entity", "relation"
STATED = "stated in"
MOST_EDGES = 100  # of the neighbourhood that a model is shown (code: its limit)

ENTITIES = """
"turns" are messages. List the entities that they speak of: people, places, organisations, things, dates, ideas. Whoever says "I"
or "my" is the speaker of that turn. Answer no questions that stand in the turns.
Answer with {"entities": [{"entity": its name, "entity_type": one word for what it is}]}.
"""
RELATIONS = """
You build a graph of what people know. "turns" holds messages, each with a number, a time and a speaker; "entities" what they
speak of. Write down the relations between these entities that the turns state.
- subject and object are names from "entities"; "I" is the speaker. relation is general and timeless, in small letters:
  "professor", not "became professor"; "lives in", not "moved to".
- Only what was said; conclude nothing.
Answer with {"triples": [{"subject": …, "relation": …, "object": …, "turns": [numbers of the turns it came from]}]}.
"""
RETIRE = """
"edges" are relations that were learned before, each with an id, as "source -- relationship -- destination"; "turns" are new
messages. Which edges do the turns make outdated, inaccurate or wrong? An edge stays where the same relation may hold with several
things at a time: who loves pizza and now also burgers still loves pizza.
Answer with {"ids": [ids of the edges that no longer hold]}, an empty list for none.
"""


@dataclass(frozen=True, slots=True)
class Params:
    """The thresholds of the code, and those of the facts beside the graph."""

    messages: int = 2  # that are read together
    recent: int = 10  # messages before them that the model is shown
    similar: int = 10  # stored facts with which a new one is compared
    found: float = 0.7  # cosine from which a node is one that a name means, when searching
    merged: float = 0.9  # cosine from which a name is that of a node there is, when writing
    edges: int = 5  # that come with the facts of a recall
    words: float = 0.3  # what the words of a fact weigh in a recall beside its cosine
    named: float = 0.1  # what it weighs in a recall that an edge touches an entity of the question

    def __post_init__(self) -> None:
        self.facts()
        if isinstance(self.edges, bool) or not isinstance(self.edges, int) or self.edges < 0:
            raise ParameterError(f"edges={self.edges!r}: give a whole number of 0 or more.")
        for name in ("found", "merged", "named"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ParameterError(f"{name}={getattr(self, name)!r}: give a number from 0 to 1.")
        if self.words + self.named > 1.0:
            raise ParameterError(f"words and named are {self.words} and {self.named}: together they may be 1 at most.")

    def facts(self) -> FactParams:
        """Those of the facts."""
        return FactParams(messages=self.messages, recent=self.recent, similar=self.similar, words=self.words)


class Mem0Graph(MemorySystem):
    """Facts and a graph of entities."""

    params_type = Params
    card = Card(
        id=ID,
        title="Mem0 with graph memory",
        year=2025,
        family="conversation",
        summary="Mem0's facts, and beside them a graph of entities whose contradicted edges are retired with their time.",
        source="Chhikara et al., Mem0, arXiv 2504.19413; graph module of mem0ai/mem0",
        needs=("embedder", "llm"),
        makes=(FACT, PROCEDURE, NODE, EDGE),
        cost="For each pair of messages two calls for facts, two for the graph, one more where edges might be outdated.",
        flow="""
        E[pair of messages] --> F[(facts, as in Mem0)]
        E --> N[entities and relations]
        N --> M[nodes of nearly the same name]
        M --> O{outdated edges?}
        O -- retired with the time --> G[(graph)]
        N --> G
        C[cue] --> R[facts, and the five best edges]
        F --> R
        G --> R
        """,
        departures=(
            "Edges are retired, as in the paper and the later code; an edge that holds again is a new version of it.",
            "Both modes of the paper at once: an edge's score has its meaning, its words, and whether it touches a named entity.",
            "Names and relations are split into words on both sides before BM25, which else finds few three-word documents.",
            "Of the nodes that a name may mean the ten nearest are looked at, and a model is shown 100 edges in all.",
            "An edge stated again gains a source, up to eight; what only corrected messages stated does not count as known.",
            "Outdated edges are named by number in one call, instead of one tool call for each.",
            "Without a model, edges are the triples of each message; those of a fact that is outdated are retired with it.",
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
        work(view, draft, Graph(self.params, view, draft), context=self.params.recent, closes=closes)
        return draft.changes()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        facts = ranked(cue, view, RECALLED, self.params.words)
        edges = sorted(self._edges(cue, view), key=_place)
        return hits_of(merge(facts, edges, key=_place), cue, view)

    def _edges(self, cue: Cue, view: View) -> list[Ranked]:
        """The best edges that may be hits."""
        kept: list[Ranked] = []
        scored = self._scored(cue, view) if self.params.edges else iter(())
        while len(kept) < self.params.edges and (page := list(islice(scored, 50))):
            seen = view.sees([one[0] for one in page], cue)
            kept += [one for one, is_seen in zip(page, seen, strict=True) if is_seen]
        return kept[: self.params.edges]

    def _scored(self, cue: Cue, view: View) -> Iterator[Ranked]:
        """Edges, best first: by meaning and words, and by whether they touch a node that the cue names."""
        touched, named = self._touched(cue, view), self.params.named
        scale = 1.0 - named
        waiting: list[tuple[tuple[float, str], Ranked]] = []  # a heap of edges that a later one may still pass
        for record, score, why in ranked(cue, view, [EDGE], self.params.words / scale if scale else 0.0):
            most = score * scale + named  # that this one or any later one can have
            while waiting and -waiting[0][0][0] > most:
                yield heappop(waiting)[1]
            is_near = not touched.isdisjoint((record.data["from"], record.data["to"]))
            reasons = tuple(Reason(one.signal, one.value, one.weight * scale, one.note) for one in why)
            near = (Reason("entity", 1.0, named),) if is_near and named else ()
            one = (record, score * scale + named * is_near, reasons + near)
            heappush(waiting, (_place(one), one))
        while waiting:
            yield heappop(waiting)[1]

    def _touched(self, cue: Cue, view: View) -> set[str]:
        """The nodes that the cue names."""
        touched: set[str] = set()
        for name in dict.fromkeys(one.name for one in entities_in(cue.text)):
            id = node_id(name)
            node = view.made.records.get(id)
            if node is not None and (cue.as_of is None or node.recorded_at <= cue.as_of):
                touched.add(id)
            elif (vector := view.query_vector(cue, name)) is not None:
                near = view.made.nearest(vector, 10, kinds=[NODE], as_of=cue.as_of)
                touched.update(one.id for one, cosine in near if cosine >= self.params.found)
        return touched


# -- writing --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EntityAnswer:
    """One entity, as a model gives it."""

    entity: str = ""
    entity_type: str = ""


@dataclass(frozen=True, slots=True)
class EntitiesAnswer:
    """What a model answers to ENTITIES."""

    entities: list[EntityAnswer] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RetireAnswer:
    """What a model answers to RETIRE."""

    ids: list[str] = field(default_factory=list)


class Graph:
    """The facts and the graph of a scope in one observation."""

    def __init__(self, params: Params, view: View, draft: Draft) -> None:
        self._params, self._view, self._draft = params, view, draft
        self._facts = FactStore(ID, params.facts(), view, draft)
        self._foreseen: dict[str, list[Triple]] = {}
        self._vectors = Vectors(view)
        self._repeats = Repeats(view, draft)
        self._edges_at: dict[str, list[str]] = {}  # ids of edges by the node at either end, once they are needed

    def cut(self, episodes: Sequence[Episode]) -> tuple[list[list[Episode]], list[Episode]]:
        """Pairs of messages, as for the facts."""
        return self._facts.cut(episodes)

    def foresee(self, episodes: Sequence[Episode], before: Sequence[Episode]) -> None:
        """Facts and triples, and the vectors of both, of many messages at once."""
        self._facts.foresee(episodes, before)
        for one, earlier in with_before(episodes, before, self._params.recent):
            self._foreseen[one.id] = self._stated(one, earlier)
        self._vectors.know(text for triples in self._foreseen.values() for one in triples for text in _texts(one))

    def by_rule(self, episode: Episode, before: Sequence[Episode], ledger: Ledger) -> None:
        """The triples of one message; what contradicts them goes."""
        self._facts.by_rule(episode, before, ledger)
        self._draw_by_rule([episode], before, ledger)
        self._repeats.after_rule()

    def by_model(self, unit: Sequence[Episode], before: Sequence[Episode], ledger: Ledger) -> bool:
        """Entities, relations and outdated edges as the model names them."""
        if not self._facts.by_model(unit, before, ledger):
            return False
        if not self._draw_by_model(unit, ledger):
            self._draw_by_rule(unit, before, ledger)
        self._facts.outdated.clear()
        return True

    def settled_by_rule(self) -> None:
        """As for the facts."""
        self._facts.settled_by_rule()
        self._repeats.settle()

    def settled(self, unit: Sequence[Episode], before: Sequence[Episode]) -> None:
        """As for the facts."""
        self._facts.settled(unit, before)
        self._repeats.settle()

    # -- inside -------------------------------------------------------------------------------------------

    def _stated(self, episode: Episode, before: Sequence[Episode]) -> list[Triple]:
        once: dict[tuple[str, str, str], Triple] = {}
        for fact in facts_by_rule(episode, before):
            for one in triples_in(fact.text, fact.episode_ids):
                once.setdefault(one.key, one)
        return list(once.values())

    def _draw_by_rule(self, unit: Sequence[Episode], before: Sequence[Episode], ledger: Ledger) -> None:
        for old, new in self._facts.outdated:
            for one in triples_in(old):
                if relation(one.text, new) in ("updates", "contradicts", "resolved"):
                    edge = self._edge(self._key(one, self._node(one.subject), self._node(one.object)))[1]
                    if edge is not None:
                        self._retire(edge, unit, ledger)
        self._facts.outdated.clear()
        for at, episode in enumerate(unit):
            triples = self._foreseen.get(episode.id)
            for one in self._stated(episode, [*before, *unit[:at]]) if triples is None else triples:
                self._draw(one, [episode], unit[-1].seq, ledger, {})

    def _draw_by_model(self, unit: Sequence[Episode], ledger: Ledger) -> bool:
        ask, said = self._view.ask, turns(unit)
        answer = ask("entities", Prompt(ENTITIES, {"turns": said}), EntitiesAnswer)
        if answer is None:
            return False
        named = [(" ".join(one.entity.split()), one.entity_type.strip().lower()) for one in answer.entities]
        types = {normal_name(name): type for name, type in named if any(map(str.isalnum, name))}
        names = list(dict.fromkeys(name for name, _ in named if any(map(str.isalnum, name))))
        listed = Beside(ask, {"entities": Shown(names, said.sources)})
        triples = extract_triples(unit, listed, step="relations", task=RELATIONS)
        if not listed.is_answered:
            return False
        names += [name for one in triples for name in (one.subject, one.object)]
        if edges := self._neighbourhood(names, [one.text for one in triples], unit[0].seq - 1):
            data = {"edges": _listed(edges), "turns": said}
            outdated = ask("retire", Prompt(RETIRE, data), RetireAnswer)
            for at in dict.fromkeys(one.strip() for one in outdated.ids) if outdated is not None else ():
                if at.isdigit() and int(at) < len(edges):
                    self._retire(edges[int(at)], unit, ledger)
        for one in triples:
            said_by = [episode for episode in unit if episode.id in one.episode_ids]
            self._draw(one, said_by, unit[-1].seq, ledger, types)
        return True

    def _neighbourhood(self, names: Sequence[str], stated: Sequence[str], before_seq: int) -> list[Record]:
        """The edges at the nodes that the names may mean that stood at a position of the log, oldest first; of very many
        those nearest to what is stated."""
        self._vectors.know([*names, *stated])
        nodes: dict[str, None] = {}
        for name in dict.fromkeys(names):
            near = self._draft.nearest(self._vectors[name], 10, kinds=[NODE], floor=self._params.found)
            nodes |= dict.fromkeys([self._node(name), *(one.id for one, _ in near)])
        found = {one.id: one for node in nodes for one in islice(self._newest_at(node, before_seq), MOST_EDGES)}
        likeness: dict[str, float] = {}
        for text in dict.fromkeys([*stated, *names]) if len(found) >= MOST_EDGES else ():
            for one, cosine in self._draft.nearest(
                self._vectors[text], MOST_EDGES, kinds=[EDGE], standing_at=before_seq
            ):
                if one.data["from"] in nodes or one.data["to"] in nodes:
                    found[one.id] = one
                    likeness[one.id] = max(cosine, likeness.get(one.id, -1.0))
        newest = sorted(found.values(), key=lambda one: (one.recorded_at, one.id), reverse=True)
        shown = sorted(newest, key=lambda one: -likeness.get(one.id, -1.0))[:MOST_EDGES]
        return sorted(shown, key=lambda one: (one.recorded_at, one.id))

    def _newest_at(self, node: str, before_seq: int) -> Iterator[Record]:
        """The current edges at a node that stood then, newest first."""
        if not self._edges_at:
            for one in self._draft.records([EDGE]):
                self._note(one)
        for id in reversed(self._edges_at.get(node, [])):
            edge = self._draft.get(id)
            if edge is not None and edge.retired_at is None and self._draft.stands(edge, before_seq):
                yield edge

    def _note(self, edge: Record) -> None:
        for node in dict.fromkeys((edge.data["from"], edge.data["to"])):
            self._edges_at.setdefault(node, []).append(edge.id)

    def _node(self, name: str) -> str:
        """The id of the node that a name means: its own, or that of the likest name there is, or its own still to be made."""
        id = node_id(name)
        if self._draft.get(id) is None:
            near = self._draft.nearest(self._vectors[name], 1, kinds=[NODE], floor=self._params.merged)
            return near[0][0].id if near else id
        return id

    def _draw(
        self, one: Triple, said: Sequence[Episode], at_seq: int, ledger: Ledger, types: Mapping[str, str]
    ) -> None:
        """An edge: a new one, or stated again. at_seq: where in the log it is drawn."""
        self._vectors.know(_texts(one))
        ends = [self._make_node(name, one, said, ledger, types) for name in (one.subject, one.object)]
        key = self._key(one, *ends)
        again, edge = self._edge(key)
        if edge is not None and self._draft.stands(edge, at_seq):
            self._repeats.note(edge, (episode.id for episode in said))
        else:
            if edge is not None:
                self._retire(edge, said, ledger)
                again += 1
            data: dict[str, Any] = {"key": key, "from": ends[0], "to": ends[1], "triple": list(one.key), BY: one.path}
            edge = self._record(_version(key, again), EDGE, one.text, said, data)
            ledger.put(edge, vector=self._vectors[one.text])
            if self._edges_at:
                self._note(edge)
        for episode in said:
            ledger.put_link(
                Link(
                    id=record_id(ID, STATED, edge.id, episode.id),
                    system=ID,
                    scope=self._view.scope,
                    kind=STATED,
                    from_id=edge.id,
                    to_id=episode.id,
                    sources=(episode.id,),
                    recorded_at=episode.recorded_at,
                )
            )

    def _key(self, one: Triple, start: str, end: str) -> str:
        return record_id(ID, EDGE, start, normal_name(one.relation), end)

    def _edge(self, key: str) -> tuple[int, Record | None]:
        """(how often an edge has ceased to hold, the edge as it holds now)."""
        again, edge = 0, self._draft.get(key)
        while edge is not None and edge.retired_at is not None:
            again += 1
            edge = self._draft.get(_version(key, again))
        return again, edge

    def _make_node(
        self, name: str, one: Triple, said: Sequence[Episode], ledger: Ledger, types: Mapping[str, str]
    ) -> str:
        id = self._node(name)
        if self._draft.get(id) is None:
            type = types.get(normal_name(name)) or next((entity.type for entity in entities_in(name)), "thing")
            data = {"name": normal_name(name), "type": type, BY: one.path}
            ledger.put(self._record(id, NODE, name, said, data), vector=self._vectors[name])
        return id

    def _record(self, id: str, kind: str, text: str, said: Sequence[Episode], data: Mapping[str, Any]) -> Record:
        return Record(
            id=id,
            system=ID,
            scope=self._view.scope,
            kind=kind,
            text=text,
            sources=tuple(one.id for one in said),
            recorded_at=max(one.recorded_at for one in said),
            valid_from=max(one.occurred_at for one in said),
            data=data,
        )

    def _retire(self, edge: Record, said: Sequence[Episode], ledger: Ledger) -> None:
        at = max(one.recorded_at for one in said)
        ledger.retire(edge.id, at, superseded(edge, max(one.occurred_at for one in said)).valid_to)


def node_id(name: str) -> str:
    """The id of the node of a name; "new york" and "New  York " are one.

    >>> node_id("new york") == node_id("New  York ")
    True
    """
    return record_id(ID, NODE, normal_name(name))


def mentions(links: Iterable[Link], as_of: datetime | None = None) -> dict[str, int]:
    """How often each edge was stated, by its id; as of a time, how often until then."""
    counts: dict[str, int] = {}
    for one in links:
        if one.kind == STATED and (as_of is None or one.recorded_at <= as_of):
            counts[one.from_id] = counts.get(one.from_id, 0) + 1
    return counts


def _place(one: Ranked) -> tuple[float, str]:
    return -one[1], one[0].id


def _version(key: str, again: int) -> str:
    """The id of an edge that has ceased to hold so often before."""
    return record_id(ID, EDGE, key, str(again)) if again else key


def _texts(one: Triple) -> tuple[str, str, str]:
    return one.text, one.subject, one.object


def _listed(edges: Sequence[Record]) -> Shown:
    shown = [{"id": str(at), "edge": " -- ".join(one.data["triple"])} for at, one in enumerate(edges)]
    return Shown(shown, tuple(dict.fromkeys(source for one in edges for source in one.sources)))
