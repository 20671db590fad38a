"""MemOS at work: how messages change what is stored, what is at hand, and what is gathered under parents.

The one idea: the operator writes items and has them reorganised (merged, archived), keeps the house when a unit is over (working
set, parents), and leaves nothing that cannot be dated: what is over is retired, with a link to what took its place.

Card: memos. Source: MemOS, arXiv 2507.03724; numbers as in its repository of mid-August 2025. Departs: see `MemOS.card`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Literal

import numpy as np

from mnemic.errors import ParameterError
from mnemic.model import Episode, Link, Record
from mnemic.models.prompt import Prompt, Shown
from mnemic.ops.answers import is_question
from mnemic.ops.cluster import split
from mnemic.ops.scheduling import Monitor, renewed
from mnemic.ops.summarise import summarise, topic_label
from mnemic.ops.update import superseded
from mnemic.systems.contract import BY, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.made import Vector
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
from mnemic.systems.memcube import Governance, governance, governance_in
from mnemic.systems.open_units import Ledger
from mnemic.systems.uses import uses_of
from mnemic.systems.view import NoModel, View
from mnemic.text.terms import terms

ID = "memos"
MEMORY, TOPIC, WORKING = "memory", "topic", "working_set"
PARENT, MERGED_TO = "PARENT", "MERGED_TO"

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


class Shelf:
    """The active memories of a draft, by what they are looked up by."""

    def __init__(self, draft: Draft) -> None:
        self.memories: dict[str, Record] = {}
        self.counts = {LONG_TERM: 0, USER: 0}
        self._slots: dict[str, dict[str, None]] = {}
        for one in draft.records([MEMORY]):
            self.add(one)

    def add(self, record: Record) -> None:
        self.memories[record.id] = record
        self.counts[record.data["memory_type"]] += 1
        for slot in record.data["slots"]:
            self._slots.setdefault(slot, {})[record.id] = None

    def remove(self, record: Record) -> None:
        if self.memories.pop(record.id, None) is not None:
            self.counts[record.data["memory_type"]] -= 1
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
        for at, one in enumerate(episodes[1:], start=1):  # whom the first answers, only its unit knows
            self._items[one.id] = read_by_rule(one, _listener(one, episodes[at - 1]))
        texts = [item.text for items in self._items.values() for item in items]
        texts += [item.text for item in read_by_rule(episodes[0])] if episodes else []
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
        judgements = [judged_by_rule(old.text, record.text, cosine) for old, cosine in near]
        for (old, _), judgement in zip(near, judgements, strict=True):
            if judgement == "redundant" and says_less(record.text, old.text) and not is_correction:
                return
            if judgement == "contradictory" and _said_at(old) > item.said_at and not is_correction:
                self._put(record, ledger)  # it was told late: what it says was over by then
                self._archive(record, old, known_at, ledger)
                return
        self._put(record, ledger)
        for (old, _), judgement in zip(near, judgements, strict=True):
            if judgement != "independent":
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
        if self._at_hand().counts[memory_type] <= capacity:
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
        if active >= self._params.cluster and (active >= 2 * last or 2 * active <= last):
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
        vectors = np.stack([_vector_of(self._draft, one) for one in active])
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


def _vector_of(draft: Draft, record: Record) -> Vector:
    vector = draft.vector(record.id)
    assert vector is not None, "memories are put with their vectors"
    return vector


def _said_at(record: Record) -> datetime:
    return record.valid_from or record.recorded_at


def _listener(episode: Episode, before: Episode | None) -> str | None:
    return before.speaker if before is not None and before.speaker != episode.speaker else None


def _notes(cluster: Sequence[Record]) -> Shown:
    """At most 8000 characters of notes."""
    notes: list[dict[str, str]] = []
    left = 8000
    for at, one in enumerate(cluster):
        left -= len(one.text)
        if left < 0 and notes:
            break
        notes.append({"id": str(at), "key": one.data["title"], "text": one.text})
    return Shown(notes, tuple(dict.fromkeys(source for one in cluster[: len(notes)] for source in one.sources)))
