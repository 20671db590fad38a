"""Mem0: a small, current set of facts instead of a transcript.

The one idea: from each pair of messages a model takes short facts, and a second call compares them with the nearest facts
stored and says for each what to do: add, update, delete, or nothing. Facts are versions here: an update retires the old text and
puts the new one under the same key, a deletion retires it, so the history of a fact is its chain of versions (`history_of`).
Without a model, a message's statements are its facts, and the rules of `ops.update` compare them.

Card: mem0. Source: Chhikara et al., Mem0: Building Production-Ready AI Agents with Scalable Long-Term Memory, arXiv 2504.19413.
Departs: see `Mem0.card.departures`. `FactStore` is the part that other systems run beside their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

import numpy as np

from mnemic.errors import ParameterError
from mnemic.index.vectors import products
from mnemic.model import Cue, Episode, Hit, Record
from mnemic.models.prompt import Asks, Prompt, Shown, turns
from mnemic.ops.extract import Fact, extract_facts, facts_in
from mnemic.ops.repeats import content_hash
from mnemic.ops.summarise import Summary, summarise
from mnemic.ops.update import Change, decide, superseded
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.made import Vector
from mnemic.systems.meaning_and_words import hits_of, ranked
from mnemic.systems.open_units import Ledger, Vectors, with_before, work
from mnemic.systems.said_again import Repeats
from mnemic.systems.view import NoModel, View

T = TypeVar("T")

ID = "mem0"
FACT, PROCEDURE, SUMMARY = "fact", "procedure", "summary"
RECALLED = (FACT, PROCEDURE)
PROCEDURAL = ("procedural", "procedural_memory")  # metadata "memory_type" of the steps of an agent's run
LONGEST_RUN = 200  # steps that are one procedure

EXTRACT = """
You keep the facts of a personal memory. "turns" holds the newest messages, each with a number, a time and a speaker; "recent"
the messages before them and "summary" what the conversation was about, both only so that you understand the turns.
Write down the facts in the turns that are worth keeping: preferences, personal details, plans and dates, what people do
and use, health, work, and whatever else they would want remembered.
- One fact is one short sentence that can be understood alone, with names in the place of pronouns, and dates in the place of
  "yesterday". A speaker called "user" or "assistant" is "the user" or "the assistant".
- Only what the turns say. Nothing for greetings, thanks, questions and small talk. In the language of the speaker.
Answer with {"facts": [{"text": the sentence, "turns": [numbers of the turns it came from]}]}, an empty list for none.
"""
PROCEDURE_TASK = """
"turns" holds a run of an agent, in order. Write its record, from which the agent could go on without having seen the run:
the objective and how far it came; then each step, numbered: what was done, its result word for word and in full, what was
learned, errors met, and where things stood afterwards. Leave out nothing that the steps hold, and add nothing.
Answer with {"procedure": the text}.
"""


@dataclass(frozen=True, slots=True)
class Params:
    """As in the paper, m and s, and what its code leaves open."""

    messages: int = 2  # that are read together: a pair (code: its evaluation's batch of 2)
    recent: int = 10  # m: messages before them that the model is shown
    similar: int = 10  # s: stored facts with which a new one is compared
    summary_every: int = (
        0  # messages after which the summary of the conversation is renewed; 0, as in the code, keeps none
    )
    infer: bool = True  # False: each message is kept as it is, and nothing is asked
    words: float = 0.3  # what a fact's words weigh in a recall beside its cosine; 0 is the paper's

    def __post_init__(self) -> None:
        for name, least in (("messages", 1), ("recent", 0), ("similar", 1), ("summary_every", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ParameterError(f"{name}={value!r}: give a whole number of {least} or more.")
        if not 0.0 <= self.words <= 1.0:
            raise ParameterError(f"words={self.words!r}: give a share from 0 to 1.")

    @property
    def context(self) -> int:
        """Messages before a unit that are needed to work it in."""
        return max(self.recent, self.summary_every)


class Mem0(MemorySystem):
    """Facts, kept current."""

    params_type = Params
    card = Card(
        id=ID,
        title="Mem0",
        year=2025,
        family="conversation",
        summary="Short facts from each pair of messages, each added to, merged into or removed from what is stored.",
        source="Chhikara et al., Mem0: Building Production-Ready AI Agents with Scalable Long-Term Memory, arXiv 2504.19413",
        needs=("embedder", "llm"),
        makes=(FACT, PROCEDURE, SUMMARY),
        cost="One call for each pair of messages, one more where facts were found.",
        flow="""
        E[pair of messages] --> X[extract facts]
        S[summary and last 10 messages] --> X
        X --> N[10 nearest facts of each]
        N --> U{add, update, delete, none}
        U --> F[(facts, as versions)]
        C[cue] --> R[cosine and words of current facts]
        F --> R
        """,
        departures=(
            "The last message waits for its pair; until then its facts are made by rule, so that nothing said is invisible.",
            "Nothing is overwritten: an update or deletion retires a version, and the history is read off the versions.",
            "The model names the turns of each fact, so that facts keep their episodes as sources.",
            "Broken JSON is asked for again; after three observations the facts of that pair are made by rule, instead of none.",
            "The rolling summary of the paper is off, as in its code: it would have every episode as its source.",
            "A recall also counts a fact's words, by 0.3: a cosine alone takes 'water body' for 'body'.",
            "One store for each scope: facts of both speakers lie together and are recalled together, not ten of each.",
            "A call without a user, an agent or a run is not refused: it means the scope at hand, which may be the root.",
            "An agent's run of more than 200 steps is more than one procedure, so that a prompt has a bound.",
            "A fact's hash, metadata and time of update are not kept beside it: its text, episodes and versions tell them.",
            "A fact said again gains a source, up to eight; what only corrected messages said does not count as stored.",
        ),
    )  # fmt: skip

    def __init__(self, params: Params | None = None) -> None:
        self.params = params or Params()

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        return self._worked(view)

    def consolidate(self, view: View) -> Changes:
        return self._worked(view, closes=True)

    def _worked(self, view: View, *, closes: bool = False) -> Changes:
        draft = view.draft()
        work(view, draft, FactStore(ID, self.params, view, draft), context=self.params.context, closes=closes)
        return draft.changes()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        return hits_of(ranked(cue, view, RECALLED, self.params.words), cue, view)


# -- writing --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProcedureAnswer:
    """What a model answers to PROCEDURE_TASK."""

    procedure: str = ""


class FactStore:
    """The facts of a system in one observation: how units of messages change them."""

    def __init__(self, system: str, params: Params, view: View, draft: Draft) -> None:
        self._system, self._params, self._view, self._draft = system, params, view, draft
        self._foreseen: dict[str, list[Fact]] = {}  # by episode
        self._vectors = Vectors(view)
        self._repeats = Repeats(view, draft)
        self.outdated: list[
            tuple[str, str]
        ] = []  # (a text that went, the fact for which it did), for who works beside it

    def cut(self, episodes: Sequence[Episode]) -> tuple[list[list[Episode]], list[Episode]]:
        """Pairs of messages, and runs of an agent."""
        return units_in(episodes, self._params.messages)

    def foresee(self, episodes: Sequence[Episode], before: Sequence[Episode]) -> None:
        """Facts and vectors of many messages at once."""
        for one, earlier in with_before(episodes, before, self._params.recent):
            self._foreseen[one.id] = self._facts_of(one, earlier)
        self._vectors.know(fact.text for facts in self._foreseen.values() for fact in facts)

    def by_rule(self, episode: Episode, before: Sequence[Episode], ledger: Ledger) -> None:
        """The statements of one message, compared by rule."""
        facts = self._foreseen.get(episode.id)
        if facts is None:
            facts = self._facts_of(episode, self._lately(before))
        if is_step(episode) or not self._params.infer:
            kind = PROCEDURE if is_step(episode) else FACT
            for at, fact in enumerate(facts):
                self._put(Change("add", fact.text, None, at), None, facts, [episode], ledger, kind)
        elif facts:
            self.take(facts, [episode], NoModel(), ledger)
        self._repeats.after_rule()

    def by_model(self, unit: Sequence[Episode], before: Sequence[Episode], ledger: Ledger) -> bool:
        """A unit as the model reads it."""
        if not self._params.infer:
            return False
        if is_step(unit[0]):
            return self._procedure(unit, ledger)
        ask = Beside(self._view.ask, self._context(self._lately(before)))
        facts = extract_facts(unit, ask, task=EXTRACT)
        if not ask.is_answered:
            return False
        if facts:
            self.take(facts, unit, self._view.ask, ledger)
        return True

    def settled_by_rule(self) -> None:
        """Add what was said again, in a unit that no model read."""
        self._repeats.settle()

    def settled(self, unit: Sequence[Episode], before: Sequence[Episode]) -> None:
        """Add what was said again; renew the rolling summary, once enough was said since the last one."""
        self._repeats.settle()
        state, every = self._draft.state, self._params.summary_every
        said = [one for one in [*before, *unit] if one.seq > int(state.get("summarised", 0))]
        if not every or len(said) < every:
            return
        old = self._draft.get(str(state.get("summary", "")))
        previous = Summary(old.text, old.sources) if old is not None else None
        summary = summarise(said, self._view.ask, previous=previous)
        if summary.text:
            if old is not None:
                self._draft.drop(old.id)  # it is context for the next call and no memory: no version of it is kept
            id = record_id(self._system, SUMMARY, unit[-1].id)
            self._draft.put(
                Record(
                    id=id,
                    system=self._system,
                    scope=self._view.scope,
                    kind=SUMMARY,
                    text=summary.text,
                    sources=summary.sources,
                    recorded_at=unit[-1].recorded_at,
                    data={BY: summary.path},
                ),
                embed=False,
            )
            state["summary"], state["summarised"] = id, unit[-1].seq

    def take(self, facts: Sequence[Fact], unit: Sequence[Episode], ask: Asks, ledger: Ledger) -> None:
        """Compare facts with what is stored near them, and do what follows."""
        self._vectors.know(fact.text for fact in facts)
        vectors = [self._vectors[fact.text] for fact in facts]
        near = {
            one.id: one
            for vector in vectors
            for one, _ in self._draft.nearest(vector, self._params.similar, kinds=[FACT], standing_at=unit[0].seq - 1)
        }
        records = sorted(near.values(), key=lambda one: (one.recorded_at, one.id))
        for change in decide(facts, records, ask, similarity=self._similarity(vectors, records)):
            old = near.get(change.old_id or "")
            if old is not None and change.event in ("update", "delete") and change.reason != "refines":
                at = change.fact_index
                self.outdated.append((old.text, facts[at].text if at is not None else change.text))
            if change.event == "add":
                self._put(change, None, facts, unit, ledger)
            elif old is not None and change.event == "update":
                self._put(change, old, facts, unit, ledger)
            elif old is not None and change.event == "delete":
                said = _behind(change, facts, unit)
                ledger.retire(old.id, _known_at(said), superseded(old, _said_at(said)).valid_to)
            elif old is not None:
                self._said_again(change, old, facts, unit, ledger)

    # -- inside -------------------------------------------------------------------------------------------

    def _facts_of(self, episode: Episode, before: Sequence[Episode]) -> list[Fact]:
        if is_step(episode) or not self._params.infer:
            return [Fact(episode.text, (episode.id,), episode.speaker, episode.occurred_at)]
        return facts_by_rule(episode, before)

    def _lately(self, before: Sequence[Episode]) -> Sequence[Episode]:
        return before[-self._params.recent :] if self._params.recent else ()

    def _context(self, before: Sequence[Episode]) -> dict[str, Shown]:
        summary = self._draft.get(str(self._draft.state.get("summary", "")))
        shown = {"summary": Shown(summary.text, summary.sources)} if summary is not None else {}
        return {**shown, "recent": turns(before)} if before else shown

    def _similarity(self, vectors: Sequence[Vector], records: Sequence[Record]) -> list[list[float]] | None:
        if not records:
            return None
        rows = np.stack([_vector(self._draft, one) for one in records])
        return [products(rows, vector).tolist() for vector in vectors]

    def _said_again(
        self, change: Change, old: Record, facts: Sequence[Fact], unit: Sequence[Episode], ledger: Ledger
    ) -> None:
        """One more message stands behind what is stored; where all others were corrected, with a version of its own."""
        at = change.fact_index
        if not self._draft.stands(old, unit[-1].seq):
            text = facts[at].text if at is not None else change.text or old.text
            self._put(replace(change, text=text), old, facts, unit, ledger)
        elif at is not None and content_hash(facts[at].text) == content_hash(old.text):
            self._repeats.note(old, facts[at].episode_ids)

    def _put(
        self,
        change: Change,
        old: Record | None,
        facts: Sequence[Fact],
        unit: Sequence[Episode],
        ledger: Ledger,
        kind: str = FACT,
    ) -> None:
        """A new fact, or the next version of an old one."""
        said = _behind(change, facts, unit)
        fact = facts[change.fact_index] if change.fact_index is not None else None
        path = fact.path if fact is not None else facts[0].path
        sources = tuple(one.id for one in said)
        if old is not None and path == "llm":  # its text may hold what the old one held
            sources = tuple(dict.fromkeys((*old.sources, *sources)))
        id = record_id(self._system, kind, old.id if old else "", change.text, *sources)
        known_at, said_at = _known_at(said), fact.said_at if fact is not None else _said_at(said)
        if old is not None and self._draft.get(old.id) is not None:
            ledger.retire(old.id, known_at, superseded(old, said_at).valid_to)
        data: dict[str, Any] = {"key": old.data["key"] if old else id, BY: path, "speaker": said[-1].speaker}
        data["created_at"] = old.data["created_at"] if old else known_at.isoformat()
        if old is not None:
            data["previous"] = old.id
        record = Record(
            id=id,
            system=self._system,
            scope=self._view.scope,
            kind=kind,
            text=change.text,
            sources=sources,
            recorded_at=known_at,
            valid_from=said_at,
            data=data,
        )
        ledger.put(record, vector=self._vectors.get(change.text))

    def _procedure(self, unit: Sequence[Episode], ledger: Ledger) -> bool:
        answer = self._view.ask("procedure", Prompt(PROCEDURE_TASK, {"turns": turns(unit)}, 4096), ProcedureAnswer)
        if answer is None or not any(map(str.isalnum, answer.procedure)):
            return False
        fact = Fact(
            answer.procedure.strip(), tuple(one.id for one in unit), unit[-1].speaker, unit[-1].occurred_at, (), "llm"
        )
        self._put(Change("add", fact.text, None, 0), None, [fact], unit, ledger, PROCEDURE)
        return True


class Beside:
    """An `Asks` that shows more with each prompt and tells whether it was answered."""

    def __init__(self, ask: Asks, more: Mapping[str, Shown]) -> None:
        self.is_answered = False
        self._ask, self._more = ask, more

    def __call__(self, step: str, prompt: Prompt, schema: type[T]) -> T | None:
        answer = self._ask(step, self._with_more(prompt), schema)
        self.is_answered = answer is not None
        return answer

    def many(self, step: str, prompts: Sequence[Prompt], schema: type[T]) -> list[T | None]:
        answers = self._ask.many(step, [self._with_more(one) for one in prompts], schema)
        self.is_answered = any(one is not None for one in answers)
        return answers

    def _with_more(self, prompt: Prompt) -> Prompt:
        return replace(prompt, data={**self._more, **prompt.data})


def facts_by_rule(episode: Episode, before: Sequence[Episode]) -> list[Fact]:
    """The statements of one message, each once; its "you" is whoever last spoke before."""
    other = next((one.speaker for one in reversed(before) if one.speaker != episode.speaker), None)
    once = {content_hash(fact.text): fact for fact in reversed(facts_in(episode, other))}
    return list(once.values())[::-1]


def units_in(episodes: Sequence[Episode], size: int) -> tuple[list[list[Episode]], list[Episode]]:
    """(units of `size` messages, the one that is not yet full), within sessions.

    What an assistant says first, with no message before it, stands alone, so that a pair is a message and its answer. An
    agent's steps in a row are one unit, as far as a unit may go on.
    """
    units: list[list[Episode]] = []
    unit: list[Episode] = []
    for one in episodes:
        if unit and (one.session != unit[-1].session or is_step(one) != is_step(unit[0])):
            units.append(unit)
            unit = []
        unit.append(one)
        is_whole = len(unit) >= LONGEST_RUN if is_step(one) else len(unit) >= size or one.role == "assistant"
        if is_whole:
            units.append(unit)
            unit = []
    return units, unit


def is_step(episode: Episode) -> bool:
    """Whether it is a step of an agent's run, to be kept as a procedure."""
    return episode.metadata.get("memory_type") in PROCEDURAL


def _behind(change: Change, facts: Sequence[Fact], unit: Sequence[Episode]) -> list[Episode]:
    """The messages that a change came from; all of the unit where the model does not say."""
    if change.fact_index is None:
        return list(unit)
    return [one for one in unit if one.id in facts[change.fact_index].episode_ids]


def _known_at(said: Sequence[Episode]) -> datetime:
    return max(one.recorded_at for one in said)


def _said_at(said: Sequence[Episode]) -> datetime:
    return max(one.occurred_at for one in said)


def _vector(draft: Draft, record: Record) -> Vector:
    vector = draft.vector(record.id)
    assert vector is not None, "facts are found by their vectors"
    return vector
