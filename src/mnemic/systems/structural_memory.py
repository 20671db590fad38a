"""Structural memory: four shapes of the same memory, crossed with three ways to search it.

The one idea: a controlled comparison that is also a system. A chunk of a conversation is kept as it is, as triples, as atomic
facts, as a summary, or as all of these in one index ("mixed"); what is asked is found in one step, by having a model score
what was found, or by letting it think and search again. What is handed over is the units, or the chunks behind them.

Card: structural-memory. Source: Zeng et al., On the Structural Memory of LLM Agents, arXiv 2412.15266.
Departs: see `StructuralMemory.card.departures`. One index holds all kinds; which are asked for makes the five memories.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from mnemic.errors import ParameterError
from mnemic.model import Cue, Episode, Hit, Reason, Record
from mnemic.models.prompt import Prompt, Shown
from mnemic.ops.extract import extract_facts
from mnemic.ops.repeats import containment
from mnemic.ops.rerank import rerank
from mnemic.ops.summarise import Said, summarise
from mnemic.ops.triples import extract_triples
from mnemic.store.contract import Changes
from mnemic.systems.chunked import CHUNK, Chunk, Standing, follow, put_once
from mnemic.systems.contract import Card, MemorySystem
from mnemic.systems.draft import Draft
from mnemic.systems.parts import without_corrected
from mnemic.systems.view import NoModel, View
from mnemic.text.terms import terms
from mnemic.text.tokens import count_tokens

ID = "structural-memory"
TRIPLE, FACT, SUMMARY = "triple", "atomic_fact", "summary"
Structure = Literal["chunks", "triples", "atomic_facts", "summaries", "mixed"]
Retrieval = Literal["single", "reranked", "iterative"]
KINDS: dict[str, tuple[str, ...]] = {
    "chunks": (CHUNK,),
    "triples": (TRIPLE,),
    "atomic_facts": (FACT,),
    "summaries": (SUMMARY,),
    "mixed": (CHUNK, TRIPLE, FACT, SUMMARY),
}

FACTS = """
"turns" holds a part of a conversation or document; each turn has a number, a time and a speaker. Take it apart into atomic facts:
the smallest statements that are true alone. One fact is one short sentence, with names in the place of every pronoun, and with
the place, date or number that belongs to it. Leave out nothing that is stated, and add nothing.
Answer with {"facts": [{"text": the fact, "turns": [numbers of the turns it came from]}]}.
"""
TRIPLES = """
"turns" holds a part of a conversation or document; each turn has a number, a time and a speaker. Write what it states as triples
of subject, relation and object, together at most seven words each, with names in the place of pronouns. Add nothing.
Answer with {"triples": [{"subject": …, "relation": …, "object": …, "turns": [numbers of the turns it came from]}]}.
"""
SUMMARISE = """
"pieces" holds the facts of a part of a conversation or document, and the part itself. Write one coherent paragraph in the third
person that holds all of it; where two things disagree, say what holds in the end. "max_words" is the most words that it may have.
Answer with {"summary": the text}.
"""
THINK = """
"units" holds pieces of a memory, the nearest first, and "question" is what is asked. Think one step towards the answer: say what
the units tell already, by name, who or what has to be known next, and the answer as far as it can be given. Two sentences.
Answer with {"thought": the text}.
"""
_SUMMARY_WORDS = 120


@dataclass(frozen=True, slots=True)
class Params:
    """As in the paper and its README."""

    structure: Structure = "mixed"  # which shapes are kept and searched
    retrieval: Retrieval = "single"  # how they are searched
    answer_with: Literal["units", "documents"] = "units"  # what is handed over: units, or the chunks behind them
    candidates: int = 100  # K: units that are found
    reranked: int = 10  # R: units that are left once a model scored them
    each_turn: int = 50  # T: units that a turn of the iteration finds
    search_turns: int = 4  # N: turns of the iteration
    chunk_tokens: int = 1000  # the most in a chunk
    context_tokens: int = 4096  # the most units, in tokens, that a model thinks over

    def __post_init__(self) -> None:
        for name in ("candidates", "reranked", "each_turn", "search_turns", "chunk_tokens", "context_tokens"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name}={getattr(self, name)!r}: give 1 or more.")
        known = {"structure": Structure, "retrieval": Retrieval}
        for name, choices in {name: get_args(one) for name, one in known.items()}.items():
            if getattr(self, name) not in choices:
                raise ParameterError(f"{name}={getattr(self, name)!r}: it is one of {', '.join(choices)}.")
        if self.answer_with not in ("units", "documents"):
            raise ParameterError(f"answer_with={self.answer_with!r}: it is 'units' or 'documents'.")


@dataclass(frozen=True, slots=True)
class ThoughtAnswer:
    """What a model answers to THINK."""

    thought: str = ""


class StructuralMemory(MemorySystem):
    """Chunks, triples, atomic facts, summaries, or all of them."""

    params_type = Params
    card = Card(
        id=ID,
        title="Structural memory",
        year=2024,
        family="conversation",
        summary="Chunks, triples, atomic facts and summaries of the same past, found in one step, by reranking or by iteration.",
        source="Zeng et al., On the Structural Memory of LLM Agents, arXiv 2412.15266",
        needs=("embedder", "llm"),
        makes=(CHUNK, TRIPLE, FACT, SUMMARY),
        cost="Three calls for each chunk (facts, triples, summary; one or two of them for a single structure). A recall asks "
        "nothing in one step, once for ten candidates when reranking, and three times when iterating.",
        flow="""
        E[episodes] --> C[chunks of at most 1000 tokens]
        C --> F[atomic facts]
        C --> T[triples]
        F --> S[summary]
        C --> S
        C & F & T & S --> I[(one index)]
        Q[cue] --> R{single, reranked, iterative}
        I --> R
        R --> U[units]
        R --> D[or the chunks behind them]
        """,
        departures=(
            "A chunk is a session, cut where 1000 tokens are full; it is worked in when the next one begins. What is open is "
            "recalled as it was said, or, after consolidation, as units for now.",
            "All kinds lie in one index, of which a recall takes those of its structure; chunks are always kept, as what units "
            "resolve to, by id and not by text.",
            "A chunk is shown without the turns of it that were corrected since; a summary, whose words cannot be told apart, as "
            "it is.",
            "Key elements of a fact are not asked for: nothing uses them.",
            "The last turn of the iteration asks for no thought, since nothing is searched with it.",
            "A unit without a score keeps its place when reranking. Without a model, words and meaning in equal parts rerank, "
            "and a turn of the iteration searches with the question and the best unit that it has not searched with.",
        ),
    )  # fmt: skip

    def __init__(self, params: Params | None = None) -> None:
        self.params: Params = params or Params()

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        return follow(view, ID, self.params.chunk_tokens, self._units(view))

    def consolidate(self, view: View) -> Changes:
        return follow(view, ID, self.params.chunk_tokens, self._units(view), and_the_open_one=True)

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        standing, kinds = Standing(cue, view), KINDS[self.params.structure]
        most = max(self.params.candidates, cue.limit)
        if self.params.retrieval == "iterative":
            hits = _iterated(cue, view, standing, kinds, self.params)
        else:
            hits = _found(cue.text, view, standing, kinds, most)
            if self.params.retrieval == "reranked":
                hits = _reranked(cue, view, hits)[: self.params.reranked]
        if self.params.answer_with == "documents":
            hits = _documents(hits, view)
        hits = [hit for hit in hits[:most] if hit.score > 0.0 and hit.score >= cue.threshold][: cue.limit]
        return without_corrected(hits, cue, view)

    def _units(self, view: View) -> _Units:
        return _Units(view, KINDS[self.params.structure])


class _Units:
    """Makes the units of a chunk."""

    def __init__(self, view: View, kinds: Sequence[str]) -> None:
        self._view, self._kinds = view, kinds

    def __call__(self, chunk: Chunk, draft: Draft) -> Iterable[Record]:
        whole = chunk.unit(ID, CHUNK, chunk.text, chunk.sources, "offline")
        made = [draft.put(whole, embed=CHUNK in self._kinds)]
        ask, facts = self._view.ask, []
        if FACT in self._kinds or SUMMARY in self._kinds:
            facts = extract_facts(chunk.turns, ask, step="facts", task=FACTS)
        if FACT in self._kinds:
            made += [put_once(draft, chunk.unit(ID, FACT, one.text, one.episode_ids, one.path)) for one in facts]
        if TRIPLE in self._kinds:
            for one in extract_triples(chunk.turns, ask, step="triples", task=TRIPLES):
                text = f"{one.subject} not {one.relation} {one.object}" if one.is_negated else one.text
                parts = {"subject": one.subject, "relation": one.relation, "object": one.object}
                made.append(put_once(draft, chunk.unit(ID, TRIPLE, text, one.episode_ids, one.path, **parts)))
        if SUMMARY in self._kinds:
            said: list[Said] = [*facts] if facts and facts[0].path == "llm" else []
            said += chunk.turns
            if isinstance(ask, NoModel):
                said = [*facts] or said  # by rule, the facts are what the turns state
            summary = summarise(said, ask, step="summary", task=SUMMARISE, max_words=_SUMMARY_WORDS)
            if summary.text:
                made.append(draft.put(chunk.unit(ID, SUMMARY, summary.text, chunk.sources, summary.path)))
        return made


# -- recalling ------------------------------------------------------------------------------------------------


def _found(text: str, view: View, standing: Standing, kinds: Sequence[str], n: int, note: str = "") -> list[Hit]:
    """The n units nearest to a text, and what was said since, best first; by words alone where the text has no vector."""
    vector = view.query_vector(standing.cue, text)
    if vector is None:
        return standing.by_words(n, kinds, text, note)
    return _best([*standing.by_meaning(vector, n, kinds, note), *standing.tail(n, text)])[:n]


def _best(hits: Iterable[Hit]) -> list[Hit]:
    return sorted(hits, key=lambda hit: (-hit.score, hit.id))


def _reranked(cue: Cue, view: View, hits: Sequence[Hit]) -> list[Hit]:
    """The hits by a model's scores; without them by words and meaning in equal parts."""
    wanted = frozenset(terms(cue.text))
    by_both = []
    for hit in hits:
        reasons = (
            Reason("meaning", hit.score, 0.5),
            Reason("words", containment(wanted, frozenset(terms(hit.text))), 0.5),
        )
        score = min(sum(one.contribution for one in reasons), 1.0)
        by_both.append(replace(hit, score=score, reasons=reasons))
    answer = rerank(cue.text, [Shown(hit.text, hit.sources) for hit in hits], view.ask)
    if answer.path == "offline":
        return _best(by_both)
    found: list[Hit] = []
    last = 1.0
    for at in answer.order:  # a hit without a score stands where it stood, with the score of the one before it
        last = min(answer.scores.get(at, 10.0 * last) / 10.0, last)
        found.append(replace(hits[at], score=last, reasons=(Reason("relevance", last, 1.0),)))
    return found


def _iterated(cue: Cue, view: View, standing: Standing, kinds: Sequence[str], params: Params) -> list[Hit]:
    """What any of several searches found: for the question, then for the question with the last thought."""
    best: dict[str, Hit] = {}
    query, note, own = cue.text, "", ""
    used: set[str] = set()
    for turn in range(1, params.search_turns + 1):
        for hit in _found(query, view, standing, kinds, params.each_turn, note):
            if hit.id != own and (hit.id not in best or hit.score > best[hit.id].score):
                best[hit.id] = hit
        ranked = _best(best.values())
        if turn == params.search_turns or not ranked:
            break
        answer = view.ask("think", _thinking(cue, ranked, params.context_tokens), ThoughtAnswer)
        thought, own = " ".join(answer.thought.split())[:2000] if answer is not None else "", ""
        if not thought:  # the best unit leads on; to itself it would always be nearest
            unused = next((hit for hit in ranked if hit.id not in used), None)
            if unused is None:
                break
            used.add(unused.id)
            thought, own = unused.text, unused.id
        if f"{cue.text} {thought}" == query:
            break
        query, note = f"{cue.text} {thought}", f"by the thought of turn {turn}"
    return _best(best.values())[: max(params.candidates, cue.limit)]


def _thinking(cue: Cue, hits: Sequence[Hit], most_tokens: int) -> Prompt:
    """The question, and as many of the units as fit."""
    shown: list[Hit] = []
    left = most_tokens
    for hit in hits:
        left -= count_tokens(hit.text) + 1
        if left < 0 and shown:
            break
        shown.append(hit)
    sources = tuple(dict.fromkeys(source for hit in shown for source in hit.sources))
    units = Shown([hit.text for hit in shown], sources)
    return Prompt(THINK, {"units": units, "question": Shown(cue.text)}, max_tokens=512)


def _documents(hits: Sequence[Hit], view: View) -> list[Hit]:
    """The chunks behind units, each once, where its best unit stood; what is in no chunk yet stays as it is."""
    found: dict[str, Hit] = {}
    for hit in hits:
        chunk = view.made.records.get(str(hit.record.data["chunk"])) if hit.record is not None else None
        if chunk is not None:
            found.setdefault(chunk.id, replace(hit, record=chunk))
        else:
            found.setdefault(hit.id, hit)
    return list(found.values())
