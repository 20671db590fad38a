"""MemOS at work: how messages change what is stored.

The one idea: the operator writes items and has them reorganised (merged, archived), keeps the house when a unit is over (working
set: `systems.mem_scheduler`; parents: `systems.mem_structure`), and leaves nothing that cannot be dated: what is over is
retired, with a link to what took its place.

Card: memos. Source: MemOS, arXiv 2507.03724; numbers as in its repository of mid-August 2025. Departs: see `MemOS.card`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from mnemic.model import Episode, Record
from mnemic.ops.answers import is_question
from mnemic.ops.update import superseded
from mnemic.systems.contract import record_id
from mnemic.systems.draft import Draft
from mnemic.systems.made import Vector
from mnemic.systems.mem_reader import (
    USER,
    Item,
    judged,
    judged_by_rule,
    read,
    read_by_rule,
    resolve,
    says_less,
)
from mnemic.systems.mem_scheduler import schedule
from mnemic.systems.mem_shelf import ID, MEMORY, Params, Shelf, header_data, link
from mnemic.systems.mem_structure import structure
from mnemic.systems.memcube import MERGED_TO, governance, governance_in
from mnemic.systems.open_units import Ledger
from mnemic.systems.uses import uses_of
from mnemic.systems.view import NoModel, View


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

    def settled_by_rule(self) -> None:
        """Nothing waits for it."""

    def settled(self, unit: Sequence[Episode], before: Sequence[Episode]) -> None:
        """A window was read for good: time for the scheduler and the structure."""
        self._keep_house(unit)

    # -- memories -----------------------------------------------------------------------------------------

    def _write(self, item: Item, ledger: Ledger, *, by_model: bool) -> None:
        known_at = max(one.recorded_at for one in item.episodes)
        sources = tuple(one.id for one in item.episodes)
        last = item.episodes[-1]
        header = governance_in(last.metadata, item.said_at)
        data = header_data(item.key, item.memory_type, item.tags, item.slots, item.by, header, last.session)
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
        near = self._near(record, self._vector(item.text), item.episodes[0].seq - 1)
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

    def _near(self, record: Record, vector: Vector, at_seq: int) -> list[tuple[Record, float]]:
        """What a new memory is compared with: the nearest, and those of the same slot; frozen ones are left in peace.

        at_seq: the position of the log before it; what only corrected messages had said by then does not count as stored.
        """
        least = self._params.threshold
        found = self._draft.nearest(
            vector, self._params.similar, kinds=[MEMORY], but=(record.id,), floor=least, standing_at=at_seq
        )
        ids = {record.id, *(one.id for one, _ in found)}
        slots = [one for one in self._at_hand().of_slots(record.data["slots"]) if one.id not in ids]
        standing = self._draft.standing(slots, at_seq)
        found += [(one, 0.0) for one, is_standing in zip(slots, standing, strict=True) if is_standing]
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
                ledger.put_link(link(self._view.scope, edge.kind, ends[0], ends[1], sources, at, edge.data))
        ledger.put_link(link(self._view.scope, MERGED_TO, old.id, into.id, into.sources, at))

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
            schedule(asked, self._params, self._view, self._draft, self._at_hand(), self._vector)
        active, last = len(self._at_hand().memories), int(self._draft.state.get("structured", 0))
        if active >= self._params.cluster and (active >= 2 * last or 2 * active <= last):
            self._draft.state["structured"] = active
            structure(unit[-1], self._params, self._view, self._draft, self._at_hand())

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


def _is_bound(one: Record, other: Record) -> bool:
    return "governance" in one.data or "governance" in other.data


def _said_at(record: Record) -> datetime:
    return record.valid_from or record.recorded_at


def _listener(episode: Episode, before: Episode | None) -> str | None:
    return before.speaker if before is not None and before.speaker != episode.speaker else None
