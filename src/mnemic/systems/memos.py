"""MemOS: memory as a resource of an operating system, with headers, a reorganiser, a scheduler and states of life.

The one idea: whatever is remembered is wrapped with who may see it, how long it lives and what it came from; a reorganiser
merges what contradicts or repeats, a structure pass gathers it under parents, a scheduler keeps at hand what questions want.
Nothing is overwritten: merged memories are archived and point to what they were merged into, so any earlier time can be asked.
Without a model a message's statements are its memories, and of two that cannot both hold the newer stays.

Card: memos. Source: Li et al., MemOS, arXiv 2507.03724 and 2505.22101; numbers as in its repository of mid-August 2025.
Reading and judging: `systems.mem_reader`; the scheduler's formulas: `ops.scheduling`; governance and cubes that are handed on:
`systems.memcube`. Departs: see `MemOS.card.departures`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from mnemic.errors import ParameterError
from mnemic.model import Cue, Episode, Hit, Link, Reason, Record
from mnemic.models.prompt import Prompt, Shown
from mnemic.ops.answers import is_question
from mnemic.ops.attributes import tags_of
from mnemic.ops.cluster import split
from mnemic.ops.keywords import keywords
from mnemic.ops.scheduling import Monitor, renewed
from mnemic.ops.summarise import summarise, topic_label
from mnemic.ops.update import superseded
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.made import Made, Vector, holds
from mnemic.systems.mem_reader import (
    LONG_TERM,
    USER,
    Item,
    judged,
    judged_by_rule,
    read,
    read_by_rule,
    resolve,
    says_less,
)
from mnemic.systems.memcube import Governance, governance, governance_in, is_expired
from mnemic.systems.open_units import Ledger, work
from mnemic.systems.uses import as_they_stood, note_use, uses_of
from mnemic.systems.view import NoModel, View
from mnemic.text.terms import terms

ID = "memos"
MEMORY, TOPIC, WORKING = "memory", "topic", "working_set"
PARENT, MERGED_TO = "PARENT", "MERGED_TO"

GOAL = """
"question" is what somebody asks a memory. Say what is looked for: keys, titles that the wanted notes may bear; tags, broad words
they may be filed under; rephrased_query, the question as one would search for its answer.
Answer with {"keys": [...], "tags": [...], "rephrased_query": ...}.
"""
INTENT = """
"queries" holds the newest questions of a conversation, "working" the memories that are at hand. Say whether these are enough to
answer. Answer with {"trigger_retrieval": true where more is needed, "missing_evidences": [what to look for, one phrase each]}.
"""
RERANK = """
"queries" holds questions, "memories" notes with ids. Order the notes by how much they help to answer, best first, and leave out
those that do not. Answer with {"order": [ids]}.
"""
STRUCTURE = """
"notes" holds memories with ids. Form groups of four or more that belong together. For each: the ids of its notes; key, a short
title; value, what they say together, in a few sentences; tags; background, one sentence on how they hang together.
Answer with {"groups": [{"ids", "key", "value", "tags", "background"}]}, an empty list where nothing belongs together.
"""


@dataclass(frozen=True, slots=True)
class Params:
    """Numbers of the repository, and what a recall weighs."""

    window: int = 10  # messages that are read together
    mode: Literal["fast", "fine"] = "fast"  # "fine" asks a model what a question looks for
    similar: int = 5  # stored memories with which a new one is compared
    threshold: float = 0.8  # from which cosine on
    working: int = 20  # newest memories that are at hand
    long_term: int = 1500  # memories of each type that stay active
    user: int = 480
    cluster: int = 20  # memories from which, and for how many, a parent is made
    smallest: int = 4  # memories under a parent
    schedules: bool = True  # whether questions in the log renew the working set
    retrieved: int = 10  # memories looked up for a question's missing evidence
    meaning: float = 0.60  # weights of the signals of a recall
    words: float = 0.24
    key: float = 0.10
    tags: float = 0.04
    at_hand: float = 0.02

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name in ("mode", "schedules"):
                continue
            is_share = one.name in ("threshold", "meaning", "words", "key", "tags", "at_hand")
            kinds = (int, float) if is_share else (int,)
            if isinstance(value, bool) or not isinstance(value, kinds) or not (0 if is_share else 1) <= value:
                raise ParameterError(
                    f"{one.name}={value!r}: give a {'number of 0' if is_share else 'whole number of 1'} or more."
                )
        if self.mode not in ("fast", "fine") or not isinstance(self.schedules, bool):
            raise ParameterError(
                f"mode={self.mode!r}, schedules={self.schedules!r}: give 'fast' or 'fine', True or False."
            )
        if not 0.0 < self.meaning + self.words + self.key + self.tags + self.at_hand <= 1.0 + 1e-9:
            raise ParameterError(
                "The weights meaning, words, key, tags and at_hand must add up to 1 or less, and above 0."
            )


class MemOS(MemorySystem):
    """Governed memories, merged, structured and scheduled."""

    params_type = Params
    card = Card(
        id=ID,
        title="MemOS",
        year=2025,
        family="conversation",
        summary="Memories with headers and states of life: merged where they conflict, gathered under parents, kept at hand by use.",
        source="Li et al., MemOS: A Memory OS for AI System, arXiv 2507.03724; an earlier version: arXiv 2505.22101",
        needs=("embedder", "llm"),
        makes=(MEMORY, TOPIC, WORKING),
        cost="One call for ten messages; for each memory found one for each near one, one more to merge; two where questions were asked; one for each cluster.",
        flow="""
        E[ten messages] --> R[MemReader: items with key, type, tags]
        R --> G[header: governance, time to live]
        G --> N[near memories and those of the same slot]
        N --> J{contradictory, redundant, independent}
        J --> M[(memories, archived ones with MERGED_TO)]
        M --> T[clusters under parents]
        Q[questions in the log] --> S[scheduler: working set]
        C[cue] --> P[cosine, words, key, tags, at hand]
        M --> P
        S --> P
        """,
        departures=(
            "Payloads are plaintext. Activation memory (a KV cache of the hot texts) and parametric memory (adapters) are the next "
            "step, with the neural wing; `ops.scheduling.activated` already says what would be prefilled, and when anew.",
            "Nothing is deleted: where two memories cannot be fused the older is archived with MERGED_TO, as a fused one's parents are.",
            "What is older is told by when it was said, not by updated_at, which the code leaves stale.",
            "Beyond capacity the least used of the 50 oldest is archived, not simply the oldest; frozen ones stay.",
            "A memory is also compared with those of the same slot ('bird:', somebody's home), however far apart their vectors are.",
            "Without a model the newer of two stays as it is: texts are not fused by rule.",
            "Recall ranks every visible memory: cosine, words, key and tags are signals, not paths with a cut.",
            "A parent (topic) is no hit, since it may tell what was superseded since; it shows the structure.",
            "The structure pass runs when the active memories have grown by half since the last one, not every 30 seconds.",
            "The scheduler takes the questions of the log as queries; a recall writes nothing.",
            "Access is the scope's; the cube (`systems.memcube`) checks each reader, keeps an audit log and a watermark.",
        ),
    )  # fmt: skip

    def __init__(self, params: Params | None = None) -> None:
        self.params = params or Params()

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        draft = view.draft()
        for one in episodes:
            note_use(draft, one, ID)
        work(view, draft, Operator(self.params, view, draft), context=2)
        return draft.changes()

    def consolidate(self, view: View) -> Changes:
        draft = view.draft()
        work(view, draft, Operator(self.params, view, draft), context=2, closes=True)
        return draft.changes()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        goal = self._goal(cue, view)
        vector = view.query_vector(cue, goal.query if goal.query != cue.text else None)
        words = view.made.words(terms(goal.query), kinds=[MEMORY], as_of=cue.as_of)
        at_hand = frozenset(working_set(view.made, cue.as_of, self.params.working))
        if vector is None:
            scored = [(one, 0.0) for one in view.made.current([MEMORY], cue.as_of)]
        else:
            scored = view.made.scores(vector, kinds=[MEMORY], as_of=cue.as_of)
        seen = [(one, cosine) for one, cosine in scored if is_in_sight(one, cue)]
        keyed = _keyed([one for one, _ in seen], goal)
        weights = self.params
        why: dict[str, tuple[Reason, ...]] = {}
        ranked: list[tuple[Record, float]] = []
        for one, cosine in seen:
            shared = len(goal.tags.intersection(one.data["tags"]))
            signals = [Reason("meaning", min(max(cosine, 0.0), 1.0), weights.meaning)]
            signals.append(Reason("words", words.get(one.id, 0.0), weights.words))
            signals.append(Reason("key", keyed.get(one.id, 0.0), weights.key))
            signals.append(Reason("tags", 1.0 if shared >= 2 else 0.0, weights.tags))
            if sum(each.contribution for each in signals) > 0.0 and one.id in at_hand:
                signals.append(Reason("at hand", 1.0, weights.at_hand))
            why[one.id] = tuple(each for each in signals if each.value)
            ranked.append((one, sum(each.contribution for each in why[one.id])))
        ranked.sort(key=lambda one: (-one[1], one[0].id))
        return as_they_stood(view.record_hits(ranked, cue, why=lambda one, _: why[one.id]), cue)

    def _goal(self, cue: Cue, view: View) -> Goal:
        told = [word.casefold() for word in keywords([cue.text], 8)]
        goal = Goal(cue.text, frozenset(told), frozenset((*tags_of(cue.text), *told)))
        if self.params.mode == "fast":
            return goal
        answer = view.ask("goal", Prompt(GOAL, {"question": Shown(cue.text)}, 512), GoalAnswer)
        if answer is None:
            return goal
        keys = {" ".join(one.split()).casefold() for one in answer.keys if one.strip()}
        tags = {" ".join(one.split()).casefold() for one in answer.tags if one.strip()}
        return Goal(" ".join(answer.rephrased_query.split()) or cue.text, goal.keys | keys, goal.tags | tags)


@dataclass(frozen=True, slots=True)
class Goal:
    """What a question looks for."""

    query: str
    keys: frozenset[str]
    tags: frozenset[str]


@dataclass(frozen=True, slots=True)
class GoalAnswer:
    """What a model answers to GOAL."""

    keys: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    rephrased_query: str = ""


@dataclass(frozen=True, slots=True)
class IntentAnswer:
    """What a model answers to INTENT."""

    trigger_retrieval: bool = False
    missing_evidences: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class OrderAnswer:
    """What a model answers to RERANK."""

    order: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class GroupAnswer:
    """One group, as a model gives it."""

    ids: list[str] = field(default_factory=list)
    key: str = ""
    value: str = ""
    tags: list[str] = field(default_factory=list)
    background: str = ""


@dataclass(frozen=True, slots=True)
class GroupsAnswer:
    """What a model answers to STRUCTURE."""

    groups: list[GroupAnswer] = field(default_factory=list)


# -- reading ----------------------------------------------------------------------------------------------


def is_in_sight(record: Record, cue: Cue) -> bool:
    """Whether a memory's header lets a cue see it: it has not expired, and is of the cue's session where it is bound to one."""
    if "governance" not in record.data:
        return True
    if is_expired(record, cue.asked_at):
        return False
    return governance(record).visibility != "session" or record.data.get("session") == cue.session


def working_set(made: Made, as_of: datetime | None = None, newest: int = 20) -> list[str]:
    """Ids of the memories at hand: those that the scheduler chose, most important first, then the newest."""
    chosen = [id for one in made.current([WORKING], as_of) for id, *_ in one.data["monitors"]]
    memories = {one.id: None for one in made.current([MEMORY], as_of)}
    return list(dict.fromkeys([*(id for id in chosen if id in memories), *list(memories)[::-1][:newest]]))


def state_of(record: Record, at: datetime) -> str:
    """Where a memory stands in its life: activated, frozen, merged, archived or expired."""
    if record.retired_at is not None and record.retired_at <= at:
        return "merged" if record.data.get("merged") else "archived"
    if is_expired(record, at):
        return "expired"
    return "frozen" if governance(record).is_frozen else "activated"


def _keyed(records: Iterable[Record], goal: Goal) -> dict[str, float]:
    """How much of the longest title that stands in the query each memory's title is; 1 also where the goal names it."""
    query = f" {' '.join(terms(goal.query))} "
    found: dict[str, float] = {}
    for one in records:
        title = str(one.data["title"])
        key = terms(title)
        if key and f" {' '.join(key)} " in query:
            found[one.id] = float(len(key))
        elif title in goal.keys:
            found[one.id] = 1.0
    most = max(found.values(), default=1.0)
    return {id: value / most for id, value in found.items()}


# -- writing ----------------------------------------------------------------------------------------------


class Shelf:
    """The active memories of a draft, by what they are looked up by."""

    def __init__(self, draft: Draft) -> None:
        self.memories: dict[str, Record] = {}
        self._slots: dict[str, dict[str, None]] = {}
        for one in draft.records([MEMORY]):
            self.add(one)

    def add(self, record: Record) -> None:
        self.memories[record.id] = record
        for slot in record.data["slots"]:
            self._slots.setdefault(slot, {})[record.id] = None

    def remove(self, record: Record) -> None:
        self.memories.pop(record.id, None)
        for slot in record.data["slots"]:
            self._slots.get(slot, {}).pop(record.id, None)

    def of_slots(self, slots: Iterable[str]) -> list[Record]:
        """The memories that give a value to one of these, each once."""
        ids = dict.fromkeys(id for slot in slots for id in self._slots.get(slot, ()))
        return [self.memories[id] for id in ids]

    def of_type(self, memory_type: str) -> list[Record]:
        """Those of a type, oldest first."""
        found = [one for one in self.memories.values() if one.data["memory_type"] == memory_type]
        return sorted(found, key=lambda one: (one.recorded_at, one.id))


class Operator:
    """MemOperator, MemLifecycle and MemScheduler in one observation: how messages change what is stored."""

    def __init__(self, params: Params, view: View, draft: Draft) -> None:
        self._params, self._view, self._draft = params, view, draft
        self._has_model = not isinstance(view.ask, NoModel)
        self._shelf: Shelf | None = None
        self._items: dict[str, list[Item]] = {}  # foreseen, by episode
        self._vectors: dict[str, Vector] = {}  # by text

    def cut(self, episodes: Sequence[Episode]) -> tuple[list[list[Episode]], list[Episode]]:
        """Windows of messages, within sessions."""
        units: list[list[Episode]] = []
        unit: list[Episode] = []
        for one in episodes:
            if unit and one.session != unit[-1].session:
                units.append(unit)
                unit = []
            unit.append(one)
            if len(unit) == self._params.window:
                units.append(unit)
                unit = []
        return units, unit

    def foresee(self, episodes: Sequence[Episode], before: Sequence[Episode]) -> None:
        """Items and vectors of many messages at once."""
        others = [None, *pairwise([*before[-1:], *episodes])] if not before else list(pairwise([before[-1], *episodes]))
        for one, pair in zip(episodes, others, strict=True):
            self._items[one.id] = read_by_rule(one, _listener(one, pair[0] if pair else None))
        texts = [item.text for items in self._items.values() for item in items]
        texts += [one.text for one in episodes if self._is_query(one)]
        texts = list(dict.fromkeys(texts))
        self._vectors |= dict(zip(texts, self._view.embed(texts), strict=True))

    def by_rule(self, episode: Episode, before: Sequence[Episode], ledger: Ledger) -> None:
        """The statements of one message; what is older than they say is archived."""
        if self._has_model:
            self._shelf = None  # what was noted may have been taken back
        if episode.id in self._items:
            items = self._items[episode.id]
        else:
            items = read_by_rule(episode, _listener(episode, before[-1] if before else None))
        for item in items:
            self._write(item, ledger, by_model=False)
        if not self._has_model:
            self._keep_house([episode])

    def by_model(self, unit: Sequence[Episode], before: Sequence[Episode], ledger: Ledger) -> bool:
        """What the model reads in a window."""
        self._shelf = None
        items = read(unit, self._view.ask)
        if items is None:
            return False
        for item in items:
            self._write(item, ledger, by_model=True)
        return True

    def settled(self, unit: Sequence[Episode], before: Sequence[Episode]) -> None:
        """A window was read for good: time for the scheduler and the structure."""
        self._keep_house(unit)

    # -- memories -----------------------------------------------------------------------------------------

    def _write(self, item: Item, ledger: Ledger, *, by_model: bool) -> None:
        known_at = max(one.recorded_at for one in item.episodes)
        sources = tuple(one.id for one in item.episodes)
        last = item.episodes[-1]
        header = governance_in(last.metadata, item.said_at)
        data = _data(item.key, item.memory_type, item.tags, item.slots, item.by, header, last.session)
        record = Record(
            id=record_id(ID, MEMORY, item.text, *sources),
            system=ID,
            scope=self._view.scope,
            kind=MEMORY,
            text=item.text,
            sources=sources,
            recorded_at=known_at,
            valid_from=item.said_at,
            data=data,
        )
        if self._draft.get(record.id) is not None:
            return
        is_correction = any(one.supersedes for one in item.episodes)
        near = self._near(record, self._vector(item.text))
        if by_model:
            self._put(record, ledger)
            self._reorganise(record, near, ledger)
            return
        for old, cosine in near:
            judgement = judged_by_rule(old.text, record.text, cosine)
            if judgement == "redundant" and says_less(record.text, old.text) and not is_correction:
                return
            if judgement == "contradictory" and _said_at(old) > item.said_at and not is_correction:
                self._put(record, ledger)  # it was told late: what it says was over by then
                self._archive(record, old, known_at, ledger)
                return
        self._put(record, ledger)
        for old, cosine in near:
            if judged_by_rule(old.text, record.text, cosine) != "independent":
                self._archive(old, record, known_at, ledger)
        self._trim(item.memory_type, known_at, ledger)

    def _near(self, record: Record, vector: Vector) -> list[tuple[Record, float]]:
        """What a new memory is compared with: the nearest, and those of the same slot; frozen ones are left in peace."""
        found = self._draft.nearest(
            vector, self._params.similar, kinds=[MEMORY], but=(record.id,), floor=self._params.threshold
        )
        ids = {one.id for one, _ in found}
        for one in self._at_hand().of_slots(record.data["slots"]):
            if one.id not in ids and one.id != record.id:
                found.append((one, 0.0))
        mine = record.data.get("governance"), record.data.get("session")
        return [
            (one, cosine)
            for one, cosine in found
            if not governance(one).is_frozen
            and (not _is_bound(one, record) or mine == (one.data.get("governance"), one.data.get("session")))
        ]

    def _reorganise(self, new: Record, near: Sequence[tuple[Record, float]], ledger: Ledger) -> None:
        """Merge what the model says contradicts or repeats each other."""
        known_at = new.recorded_at
        for (old, _), judgement in zip(near, judged(near, new, self._view.ask), strict=True):
            stands = self._draft.get(old.id)
            if judgement == "independent" or stands is None or stands.retired_at is not None or old.id == new.id:
                continue
            text = resolve((old, new), self._view.ask)
            if text is None:
                older, newer = (old, new) if _said_at(old) <= _said_at(new) else (new, old)
                self._archive(older, newer, known_at, ledger)
                if older is new:
                    break
                continue
            fused = self._fused(old, new, text)
            if self._draft.get(fused.id) is not None:
                continue
            self._put(fused, ledger)
            for parent in (old, new):
                self._archive(parent, fused, known_at, ledger)
            new = fused
        self._trim(new.data["memory_type"], known_at, ledger)

    def _fused(self, old: Record, new: Record, text: str) -> Record:
        tags = tuple(dict.fromkeys((*new.data["tags"], *old.data["tags"])))[:8]
        slots = tuple(dict.fromkeys((*new.data["slots"], *old.data["slots"])))
        data = {**new.data, "tags": list(tags), "slots": list(slots), "previous": [old.id, new.id]}
        return replace(
            new,
            id=record_id(ID, MEMORY, text, old.id, new.id),
            text=text,
            sources=tuple(dict.fromkeys((*old.sources, *new.sources))),
            valid_from=max(_said_at(old), _said_at(new)),
            data=data,
        )

    def _put(self, record: Record, ledger: Ledger) -> None:
        ledger.put(record, vector=self._vector(record.text))
        self._at_hand().add(record)

    def _archive(self, old: Record, into: Record, at: datetime, ledger: Ledger) -> None:
        """The old memory is over: it points to what it was merged into, which inherits its edges."""
        stands = self._draft.get(old.id)
        if stands is None or stands.retired_at is not None:
            return
        ledger.retire(old.id, at, superseded(old, _said_at(into)).valid_to)
        self._at_hand().remove(old)
        for edge in self._draft.links_of(old.id):
            if edge.kind != MERGED_TO:
                ends = [into.id if end == old.id else end for end in (edge.from_id, edge.to_id)]
                sources = tuple(dict.fromkeys((*edge.sources, *into.sources)))
                ledger.put_link(self._link(edge.kind, ends[0], ends[1], sources, at, edge.data))
        ledger.put_link(self._link(MERGED_TO, old.id, into.id, into.sources, at))

    def _trim(self, memory_type: str, at: datetime, ledger: Ledger) -> None:
        """Beyond capacity the least used of the oldest is archived."""
        capacity = self._params.user if memory_type == USER else self._params.long_term
        if len(self._at_hand().memories) <= capacity:
            return
        kept = self._at_hand().of_type(memory_type)
        while len(kept) > capacity:
            oldest = [one for one in kept[:50] if not governance(one).is_frozen]
            if not oldest:
                return
            gone = min(oldest, key=lambda one: (governance(one).priority, len(uses_of(self._draft, [one.id]))))
            ledger.retire(gone.id, at)
            self._at_hand().remove(gone)
            kept.remove(gone)

    # -- what is done when a unit is over -----------------------------------------------------------------

    def _keep_house(self, unit: Sequence[Episode]) -> None:
        asked = [one for one in unit if self._is_query(one)]
        if asked:
            self._schedule(asked)
        active, last = len(self._at_hand().memories), int(self._draft.state.get("structured", 0))
        if active >= self._params.cluster and (active >= 1.5 * last or 2 * active <= last):
            self._draft.state["structured"] = active
            self._structure(unit[-1])

    def _schedule(self, asked: Sequence[Episode]) -> None:
        """Renew the working set for questions."""
        draft, ask = self._draft, self._view.ask
        before = draft.get(str(draft.state.get("working", "")))
        monitors = [Monitor(*one) for one in before.data["monitors"]] if before is not None else []
        monitors = [one for one in monitors if one.id in self._at_hand().memories]
        held = [self._at_hand().memories[one.id] for one in monitors]
        queries = Shown([one.text for one in asked], tuple(one.id for one in asked))
        shown = Shown([one.text for one in held], tuple(source for one in held for source in one.sources))
        intent = ask("intent", Prompt(INTENT, {"queries": queries, "working": shown}, 512), IntentAnswer)
        if intent is None:
            missing = [one.text for one in asked]
        else:
            missing = [text for one in intent.missing_evidences if any(map(str.isalnum, text := " ".join(one.split())))]
            missing = (missing or [one.text for one in asked]) if intent.trigger_retrieval else []
        if not missing:
            return
        k = max(1, self._params.retrieved // len(missing))
        found = [one for text in missing for one in draft.nearest(self._vector(text), k, kinds=[MEMORY])]
        candidates = {one.id: one for one in [*(one for one, _ in found), *held]}
        order = list(dict.fromkeys(one.id for one, _ in sorted(found, key=lambda one: (-one[1], one[0].id))))
        listed = list(candidates.values())
        notes = Shown(
            [{"id": str(at), "text": one.text} for at, one in enumerate(listed)],
            tuple(source for one in listed for source in one.sources),
        )
        answer = ask("rerank", Prompt(RERANK, {"queries": queries, "memories": notes}, 512), OrderAnswer)
        if answer is not None:
            numbers = [one.strip() for one in answer.order]
            order = [
                listed[int(one)].id for one in numbers if one.isascii() and one.isdigit() and int(one) < len(listed)
            ]
        wanted = frozenset(terms(" ".join(one.text for one in asked)))
        words = {one.id: float(len(wanted.intersection(terms(one.text)))) for one in listed}
        after = renewed(monitors, order, words)
        values = [[one.id, one.sorting, one.words, one.count] for one in after]
        if before is not None and before.data["monitors"] == values:
            return
        at, last = max(one.recorded_at for one in asked), asked[-1]
        if before is not None:
            draft.retire(before.id, at)
        id = record_id(ID, WORKING, *(one.id for one in asked))
        draft.put(
            Record(
                id=id,
                system=ID,
                scope=self._view.scope,
                kind=WORKING,
                text="working memory",
                sources=tuple(one.id for one in asked),
                recorded_at=at,
                valid_from=last.occurred_at,
                data={"monitors": values, BY: "offline" if intent is None else "llm"},
            ),
            embed=False,
        )
        draft.state["working"] = id

    def _structure(self, last: Episode) -> None:
        """Gather the active memories under parents; the parents of the last pass are archived."""
        draft = self._draft
        for topic in draft.records([TOPIC]):
            draft.retire(topic.id, last.recorded_at)
        active = sorted(self._at_hand().memories.values(), key=lambda one: (one.recorded_at, one.id))
        vectors = np.stack([self._vector(one.text) for one in active])
        clusters = [[active[row] for row in rows] for rows in split(vectors, self._params.cluster)]
        clusters = [one for one in clusters if len(one) >= self._params.smallest]
        prompts = [Prompt(STRUCTURE, {"notes": _notes(one)}) for one in clusters]
        answers = self._view.ask.many("structure", prompts, GroupsAnswer)
        for cluster, answer in zip(clusters, answers, strict=True):
            if answer is None:
                summary, label = summarise(cluster, NoModel()).text, topic_label(cluster)
                tags = tuple(dict.fromkeys(tag for one in cluster for tag in one.data["tags"]))[:8]
                self._parent(cluster, cluster, label, summary, tags, "", "offline", last)
                continue
            for given in answer.groups:
                numbers = dict.fromkeys(int(one) for one in given.ids if one.isascii() and one.isdigit())
                members = [cluster[at] for at in numbers if at < len(cluster)]
                text = " ".join(given.value.split())[:2000]
                if len(members) >= self._params.smallest and any(map(str.isalnum, text)):
                    tags = tuple(tag.strip().casefold() for tag in given.tags if tag.strip())[:8]
                    self._parent(members, cluster, given.key.strip()[:80], text, tags, given.background, "llm", last)

    def _parent(
        self,
        members: Sequence[Record],
        shown: Sequence[Record],
        title: str,
        text: str,
        tags: Sequence[str],
        background: str,
        by: str,
        last: Episode,
    ) -> None:
        sources = tuple(dict.fromkeys((*(source for one in shown for source in one.sources), last.id)))
        data = {**_data(title, LONG_TERM, tags, (), by, Governance(), None), "background": background[:1000]}
        parent = Record(
            id=record_id(ID, TOPIC, last.id, *(one.id for one in members)),
            system=ID,
            scope=self._view.scope,
            kind=TOPIC,
            text=text or title or "memories",
            sources=sources,
            recorded_at=last.recorded_at,
            data=data,
        )
        self._draft.put(parent, embed=False)
        for one in members:
            self._draft.put_link(self._link(PARENT, one.id, parent.id, parent.sources, last.recorded_at))

    # -- inside -------------------------------------------------------------------------------------------

    def _at_hand(self) -> Shelf:
        if self._shelf is None:
            self._shelf = Shelf(self._draft)
        return self._shelf

    def _is_query(self, episode: Episode) -> bool:
        return self._params.schedules and episode.role == "user" and is_question(episode.text)

    def _vector(self, text: str) -> Vector:
        if text not in self._vectors:
            self._vectors[text] = self._view.embed([text])[0]
        return self._vectors[text]

    def _link(
        self,
        kind: str,
        one: str,
        other: str,
        sources: tuple[str, ...],
        at: datetime,
        data: Mapping[str, Any] | None = None,
    ) -> Link:
        return Link(
            id=record_id(ID, kind, one, other),
            system=ID,
            scope=self._view.scope,
            kind=kind,
            from_id=one,
            to_id=other,
            sources=sources,
            recorded_at=at,
            data=dict(data or {}),
        )


def audit(records: Iterable[Record], links: Iterable[Link] = ()) -> list[tuple[datetime, str, str]]:
    """What happened to memories, oldest first: (when, what, to which id), read off their versions and links.

    records: all versions, as `memory.records(system="memos", include_retired=True)` gives them.
    """
    merged = {one.from_id for one in links if one.kind == MERGED_TO}
    lines: list[tuple[datetime, str, str]] = []
    for one in records:
        lines.append((one.recorded_at, "frozen" if governance(one).is_frozen else "activated", one.id))
        if one.retired_at is not None:
            lines.append((one.retired_at, "merged" if one.id in merged else "archived", one.id))
        if (end := governance(one).expires_at) is not None:
            lines.append((end, "expired", one.id))
    return sorted(lines)


def _data(
    title: str,
    memory_type: str,
    tags: Sequence[str],
    slots: Sequence[str],
    by: str,
    header: Governance,
    session: str | None,
) -> dict[str, Any]:
    data: dict[str, Any] = {
        "title": title,
        "memory_type": memory_type,
        "tags": list(tags),
        "slots": list(slots),
        "confidence": 99 if by == "offline" else 80,  # a statement as it was made, or as a model retold it
        BY: by,
    }
    if values := header.to_dict():
        data["governance"] = values
        if session is not None:
            data["session"] = session
    return data


def _is_bound(one: Record, other: Record) -> bool:
    return "governance" in one.data or "governance" in other.data


def _said_at(record: Record) -> datetime:
    return record.valid_from or record.recorded_at


def _listener(episode: Episode, before: Episode | None) -> str | None:
    return before.speaker if before is not None and before.speaker != episode.speaker else None


def _notes(cluster: Sequence[Record]) -> Shown:
    """At most 8000 characters of notes."""
    notes, left = [], 8000
    for at, one in enumerate(cluster):
        left -= len(one.text)
        if left < 0 and notes:
            break
        notes.append({"id": str(at), "key": one.data["title"], "text": one.text})
    return Shown(notes, tuple(dict.fromkeys(source for one in cluster[: len(notes)] for source in one.sources)))
