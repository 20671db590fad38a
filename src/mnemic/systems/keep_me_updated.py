"""Keep Me Updated: a memory of short sentences, each new one compared with every one that is there.

The one idea: after a session, each sentence of its summary meets each stored sentence, and one of four operations decides who
stays: PASS keeps the stored one, REPLACE the new one, APPEND both, DELETE neither ("has a cold" meets "the cold is gone"). So
what is outdated or said twice goes, and the memory stays small. `outcome` is the rule by which the operations of one new
sentence combine.

Card: keep-me-updated. Source: Bae et al., Keep Me Updated! Memory Management in Long-term Conversations, arXiv 2210.08750.
Departs: see the card's departures. Without a model the statements of each message are its sentences, and `ops.update.relation`
is the classifier.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from mnemic.errors import ParameterError
from mnemic.model import Cue, Episode, Hit, Record
from mnemic.models.prompt import Prompt, Shown, numbered
from mnemic.ops.extract import Fact, extract_facts
from mnemic.ops.repeats import content_hash
from mnemic.ops.segment import sessions_in
from mnemic.ops.update import Relation, relation, superseded
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.meaning_and_words import hits_of, ranked
from mnemic.systems.mem0 import Beside, facts_by_rule
from mnemic.systems.open_units import CONTEXT, Ledger, Vectors, with_before, work
from mnemic.systems.said_again import Repeats
from mnemic.systems.view import View

ID = "keep-me-updated"
SENTENCE = "sentence"
Operation = Literal["PASS", "REPLACE", "APPEND", "DELETE"]
OPERATIONS: dict[str, Operation] = {"pass": "PASS", "replace": "REPLACE", "append": "APPEND", "delete": "DELETE"}
_BY_RULE: dict[Relation, Operation] = {
    "same": "PASS",
    "refines": "REPLACE",
    "updates": "REPLACE",
    "contradicts": "REPLACE",
    "resolved": "DELETE",
    "unrelated": "APPEND",
}

SUMMARISE = """
"turns" is a session of a conversation. Write down, in three to seven short sentences, what it says about the people in it that
should be known at their next meeting: health, meals, sleep, activities, work, people around them, and what changed.
- One sentence, one thing, in the third person, to be understood alone. A speaker called "user" is "the user".
- Only what was said; nothing for greetings and questions. In the language of the turns.
Answer with {"facts": [{"text": the sentence, "turns": [numbers of the turns it came from]}]}.
"""
COMPARE = """
"new" is a sentence about somebody, learned just now; "old" are sentences learned before, each with an id. Say for each old one
what is to be done, as "operation":
- "PASS": the old one says all that the new one says; the old one is kept.
- "REPLACE": the new one makes the old one outdated or says all that it says; the new one is kept.
- "APPEND": both are kept, as they are about different things or add to each other.
- "DELETE": the new one says that the state in the old one has come to an end, so that neither need be remembered, as in "has a
  cold" and "the cold is gone".
Answer with {"operations": [{"id": the old one's id, "operation": …}]}.
"""


@dataclass(frozen=True, slots=True)
class Params:
    """What the paper leaves open, and the limits of one comparison."""

    compared: int = 10  # stored sentences that a new one meets: the nearest, instead of all of them
    gap_minutes: float = 30.0  # silence after which a session is over, where it has no name
    longest: int = 100  # messages after which a session is read in any case
    words: float = 0.3  # what a sentence's words weigh in a recall beside its cosine

    def __post_init__(self) -> None:
        for name in ("compared", "longest"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ParameterError(f"{name}={value!r}: give a whole number of 1 or more.")
        if not 0.0 < self.gap_minutes < float("inf"):
            raise ParameterError(f"gap_minutes={self.gap_minutes!r}: give a number above 0.")
        if not 0.0 <= self.words <= 1.0:
            raise ParameterError(f"words={self.words!r}: give a share from 0 to 1.")


class KeepMeUpdated(MemorySystem):
    """Sentences that replace and delete each other."""

    params_type = Params
    card = Card(
        id=ID,
        title="Keep Me Updated",
        year=2022,
        family="conversation",
        summary="Sentences of session summaries; each new one passes, replaces, joins or deletes the stored ones it meets.",
        source="Bae et al., Keep Me Updated! Memory Management in Long-term Conversations, arXiv 2210.08750",
        needs=("embedder", "llm"),
        makes=(SENTENCE,),
        cost="One call for each session, and one for each sentence of its summary.",
        flow="""
        E[session] --> S[three to seven sentences]
        S --> N[nearest stored sentences]
        N --> O{pass, replace, append, delete}
        O --> M[(sentences, as versions)]
        C[cue] --> R[cosine and words]
        M --> R
        """,
        departures=(
            "A new sentence meets the ten nearest stored ones, not all: the paper's calls grow with their product.",
            "Sentences of one session are compared among themselves first, the later one winning; the paper lets them disagree.",
            "One call gives the operations of a new sentence against all it meets; the paper classifies each pair with its T5.",
            "By precedence PASS, then DELETE, keeps a new sentence out; stored ones go by any REPLACE or DELETE.",
            "Nothing is removed: what goes is retired with its time, so that the memory of any past session can be asked.",
            "Without a model the memory holds every statement of a message rather than a summary, and changes with each message.",
            "A sentence said again gains a source, up to eight; what only corrected messages said counts as not stored.",
            "What an assistant says is no evidence about the user, where no model reads the session.",
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
        work(view, draft, Sentences(self.params, view, draft), closes=closes)
        return draft.changes()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        return hits_of(ranked(cue, view, [SENTENCE], self.params.words), cue, view)


def outcome(operations: Sequence[Operation]) -> tuple[bool, list[int]]:
    """(whether a new sentence is stored, the places of the old ones that go), from its operation with each old one.

    >>> outcome([]), outcome(["APPEND", "REPLACE"]), outcome(["REPLACE", "DELETE"]), outcome(["PASS", "REPLACE"])
    ((True, []), (True, [1]), (False, [0, 1]), (False, [1]))
    """
    gone = [at for at, one in enumerate(operations) if one in ("REPLACE", "DELETE")]
    return "PASS" not in operations and "DELETE" not in operations, gone


def by_those_that_stand(operations: Sequence[Operation], stands: Sequence[bool]) -> list[Operation]:
    """The operations, where some old sentences come from corrected messages alone: they do not make a new one needless.

    >>> by_those_that_stand(["PASS", "PASS", "DELETE"], [True, False, False])
    ['PASS', 'REPLACE', 'DELETE']
    """
    return [
        "REPLACE" if one == "PASS" and not is_standing else one
        for one, is_standing in zip(operations, stands, strict=True)
    ]


def operation_by_rule(old: str, new: str, similarity: float | None = None) -> Operation:
    """What is to be done where the new sentence meets the old one.

    >>> operation_by_rule("Ann has a cold", "Ann's cold is gone"), operation_by_rule("Ann lives in Rome", "Ann likes tea")
    ('DELETE', 'APPEND')
    """
    return _BY_RULE[relation(old, new, similarity=similarity)]


# -- writing --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OperationAnswer:
    """One operation, as a model gives it."""

    id: str = ""
    operation: str = ""


@dataclass(frozen=True, slots=True)
class OperationsAnswer:
    """What a model answers to COMPARE."""

    operations: list[OperationAnswer] = field(default_factory=list)


class Sentences:
    """The sentences of a scope in one observation: how messages and sessions change them."""

    def __init__(self, params: Params, view: View, draft: Draft) -> None:
        self._params, self._view, self._draft = params, view, draft
        self._foreseen: dict[str, list[Fact]] = {}
        self._vectors = Vectors(view)
        self._repeats = Repeats(view, draft)

    def cut(self, episodes: Sequence[Episode]) -> tuple[list[list[Episode]], list[Episode]]:
        """Sessions."""
        return sessions_in(episodes, gap=timedelta(minutes=self._params.gap_minutes), max_turns=self._params.longest)

    def foresee(self, episodes: Sequence[Episode], before: Sequence[Episode]) -> None:
        """Sentences and vectors of many messages at once."""
        for one, earlier in with_before(episodes, before, CONTEXT):
            self._foreseen[one.id] = self._stated(one, earlier)
        self._vectors.know(fact.text for facts in self._foreseen.values() for fact in facts)

    def by_rule(self, episode: Episode, before: Sequence[Episode], ledger: Ledger) -> None:
        """Each statement of a message meets what is stored, one after the other."""
        facts = self._foreseen[episode.id] if episode.id in self._foreseen else self._stated(episode, before)
        self._vectors.know(fact.text for fact in facts)
        for fact in facts:
            met = self._met(fact, [episode])
            operations = [operation_by_rule(one.text, fact.text, cosine) for one, cosine in met]
            self._apply([(fact, [one for one, _ in met], operations)], [episode], ledger)
        self._repeats.after_rule()

    def by_model(self, unit: Sequence[Episode], before: Sequence[Episode], ledger: Ledger) -> bool:
        """A session's summary meets what was stored before it."""
        ask = Beside(self._view.ask, {})
        facts = extract_facts(unit, ask, step="summarise", task=SUMMARISE)
        if not ask.is_answered:
            return False
        place = {one.id: at for at, one in enumerate(unit)}
        facts.sort(key=lambda fact: max(place[id] for id in fact.episode_ids))  # said again, it is the newest
        facts, went = without_conflict(facts, self._view.superseded((one.id for one in unit), unit[-1].seq))
        self._vectors.know(fact.text for fact, _ in went)
        for fact, newer in went:  # it held for a part of the session
            self._add(fact, None, [one for one in unit if one.id in fact.episode_ids], ledger)
            self._draft.retire(ledger.put_ids[-1], _known_at(newer, unit), newer.said_at)
        self._vectors.know(fact.text for fact in facts)
        met = [self._met(fact, unit) for fact in facts]
        asked = [at for at, found in enumerate(met) if found]
        prompts = [Prompt(COMPARE, _compared(facts[at], [one for one, _ in met[at]])) for at in asked]
        answers = dict(zip(asked, self._view.ask.many("compare", prompts, OperationsAnswer), strict=True))
        decided = [
            (fact, [one for one, _ in found], operations_in(answers.get(at), fact, found))
            for at, (fact, found) in enumerate(zip(facts, met, strict=True))
        ]
        self._apply(decided, unit, ledger)
        return True

    def settled_by_rule(self) -> None:
        """Add what was said again, in a unit that no model read."""
        self._repeats.settle()

    def settled(self, unit: Sequence[Episode], before: Sequence[Episode]) -> None:
        """Add what was said again."""
        self._repeats.settle()

    # -- inside -------------------------------------------------------------------------------------------

    def _stated(self, episode: Episode, before: Sequence[Episode]) -> list[Fact]:
        return [] if episode.role == "assistant" else facts_by_rule(episode, before)

    def _met(self, fact: Fact, unit: Sequence[Episode]) -> list[tuple[Record, float]]:
        vector, most = self._vectors[fact.text], self._params.compared
        return self._draft.nearest(vector, most, kinds=[SENTENCE], standing_at=unit[0].seq - 1)

    def _apply(
        self,
        decided: Sequence[tuple[Fact, Sequence[Record], Sequence[Operation]]],
        unit: Sequence[Episode],
        ledger: Ledger,
    ) -> None:
        """Remove and add, as decided against the memory as it was."""
        for fact, met, operations in decided:
            said = [one for one in unit if one.id in fact.episode_ids]
            known_at = max(one.recorded_at for one in said)
            stands = self._draft.standing(met, unit[-1].seq)
            for old, operation, is_standing in zip(met, operations, stands, strict=True):
                if operation == "PASS" and is_standing and content_hash(old.text) == content_hash(fact.text):
                    self._repeats.note(old, fact.episode_ids)
            is_kept, gone = outcome(by_those_that_stand(operations, stands))
            went = [one for at in gone if (one := self._draft.get(met[at].id)) is not None and one.retired_at is None]
            for old in went:
                ledger.retire(old.id, known_at, superseded(old, fact.said_at).valid_to)
            if is_kept:
                self._add(fact, went[0] if went else None, said, ledger)

    def _add(self, fact: Fact, old: Record | None, said: Sequence[Episode], ledger: Ledger) -> None:
        known_at = max(one.recorded_at for one in said)
        id = record_id(ID, SENTENCE, old.id if old else "", fact.text, *fact.episode_ids)
        data = {"key": old.data["key"] if old else id, BY: fact.path, "speaker": fact.speaker}
        if old is not None:
            data["previous"] = old.id
        record = Record(
            id=id,
            system=ID,
            scope=self._view.scope,
            kind=SENTENCE,
            text=fact.text,
            sources=fact.episode_ids,
            recorded_at=known_at,
            valid_from=fact.said_at,
            data=data,
        )
        ledger.put(record, vector=self._vectors[fact.text])


def without_conflict(
    facts: Sequence[Fact], corrected: Collection[str] = ()
) -> tuple[list[Fact], list[tuple[Fact, Fact]]]:
    """(sentences of one session without those that a later one of them repeats, replaces or ends; what was replaced or ended,
    each with what did it).

    corrected: episodes that another one of the session corrects; what only they say keeps no later sentence out.
    """
    kept: list[Fact] = []
    went: list[tuple[Fact, Fact]] = []
    for fact in facts:
        operations = [operation_by_rule(one.text, fact.text) for one in kept]
        stands = [not set(one.episode_ids) <= set(corrected) for one in kept]
        is_kept, gone = outcome(by_those_that_stand(operations, stands))
        went += [(kept[at], fact) for at in gone]
        kept = [one for at, one in enumerate(kept) if at not in gone] + ([fact] if is_kept else [])
    return kept, went


def _known_at(fact: Fact, unit: Sequence[Episode]) -> datetime:
    return max(one.recorded_at for one in unit if one.id in fact.episode_ids)


def operations_in(answer: OperationsAnswer | None, fact: Fact, met: Sequence[tuple[Record, float]]) -> list[Operation]:
    """The operation with each sentence met: as the model says, APPEND where it says nothing; by rule without an answer."""
    if answer is None:
        return [operation_by_rule(one.text, fact.text, cosine) for one, cosine in met]
    said = {given.id.strip(): OPERATIONS.get(given.operation.strip().lower(), "APPEND") for given in answer.operations}
    return [said.get(str(at), "APPEND") for at in range(len(met))]


def _compared(fact: Fact, met: Sequence[Record]) -> dict[str, Shown]:
    return {"new": Shown(fact.text, fact.episode_ids), "old": numbered(met)}
