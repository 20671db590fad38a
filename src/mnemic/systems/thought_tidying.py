"""Tidying the hash table of Think-in-Memory: what is forgotten in a bucket, and what is merged there.

The one idea: both work inside one bucket, on the thoughts that stand in it, once enough has come into it. A model names what is
to go, then merges what has the same head; without one, what came is compared with what is nearest to it there and has its
head. What goes is retired, so that its past can be asked about. See `think_in_memory`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemic.index.vectors import products
from mnemic.model import Episode, Record
from mnemic.models.prompt import Prompt, numbered
from mnemic.ops.update import relation
from mnemic.systems.contract import BY, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.made import holds
from mnemic.systems.thought_table import ID, LONGEST, Table, head_of, number_of
from mnemic.systems.view import NoModel, View

FORGET = """
"thoughts" holds things that were concluded from conversations, each with an id and the time it held. Name those that
should be forgotten: what a newer one contradicts, and what is of no use to anybody. Keep everything else.
Answer with {"remove": [ids]}, an empty list when all should stay.
"""
MERGE = """
"thoughts" holds things that were concluded about one and the same head, each with an id and time. Where several say the same, or
belong into one sentence, write that sentence. It keeps every name, number and date of those it replaces, and stands alone.
Answer with {"merged": [{"text": the sentence, "relation": …, "tail": …, "replaces": [ids of two thoughts or more]}]}, an empty
list when nothing should be merged.
"""
_SHOWN = 100  # thoughts of a bucket that a model sees at once, the newest
_NEAR = 5  # thoughts with which a new one is compared by rule


@dataclass(frozen=True, slots=True)
class ForgetAnswer:
    """What a model answers to FORGET."""

    remove: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MergedAnswer:
    """One sentence in the place of several, as a model gives it."""

    text: str = ""
    relation: str = ""
    tail: str = ""
    replaces: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MergeAnswer:
    """What a model answers to MERGE."""

    merged: list[MergedAnswer] = field(default_factory=list)


def tidy(draft: Draft, table: Table, at: Episode, view: View, every: int) -> None:
    """Forget and merge in the buckets into which `every` thoughts have come, or more."""
    fresh: dict[str, list[str]] = draft.state.setdefault("fresh", {})
    for name in sorted((name for name, ids in fresh.items() if len(ids) >= every), key=int):
        new, bucket = fresh.pop(name), int(name)
        members = table.members(bucket)[-_SHOWN:]
        if len(members) < 2:
            continue
        if isinstance(view.ask, NoModel):
            _tidy_by_rule(draft, table, bucket, new, at)
            continue
        answer = view.ask("forget", Prompt(FORGET, {"thoughts": numbered(members)}), ForgetAnswer)
        if answer is None:
            _tidy_by_rule(draft, table, bucket, new, at)
            continue
        gone = named(answer.remove, members)
        for one in gone:
            table.retire(one, at.recorded_at)
        groups = _of_one_head([one for one in members if one not in gone], new)
        prompts = [Prompt(MERGE, {"thoughts": numbered(group)}) for group in groups]
        for group, merged in zip(groups, view.ask.many("merge", prompts, MergeAnswer), strict=True):
            for given in merged.merged if merged is not None else []:
                _merge_as_told(table, given, group, at)


def named(ids: Sequence[str], shown: Sequence[Record]) -> list[Record]:
    """The records that a model named, each once; numbers that it invents are skipped."""
    by_number = {str(at): one for at, one in enumerate(shown)}
    return [by_number[id] for id in dict.fromkeys(id.strip() for id in ids) if id in by_number]


def _of_one_head(members: Sequence[Record], new: Sequence[str]) -> list[list[Record]]:
    """Two or more thoughts with the same head, one of them new; by head, in the order of the oldest."""
    groups: dict[str, list[Record]] = {}
    for one in members:
        groups.setdefault(head_of(one), []).append(one)
    return [group for group in groups.values() if len(group) > 1 and any(one.id in new for one in group)]


def _merge_as_told(table: Table, given: MergedAnswer, group: list[Record], at: Episode) -> None:
    """Put the sentence that a model wrote in the place of those that it names, of which none was replaced before."""
    text = " ".join(given.text.split())[:LONGEST]
    old = named(given.replaces, group)
    members = {one.id for one in table.members(group[0].data["bucket"])}
    if len(old) < 2 or not any(map(str.isalnum, text)) or not all(one.id in members for one in old):
        return
    parts = {"relation": " ".join(given.relation.split()), "tail": " ".join(given.tail.split())}
    _merge(table, old, text, {**old[-1].data, **{name: part for name, part in parts.items() if part}, BY: "llm"}, at)


def _merge(
    table: Table,
    old: Sequence[Record],
    text: str,
    data: Mapping[str, Any],
    at: Episode,
    vector: NDArray[np.float32] | None = None,
) -> Record:
    """One thought in the place of several, in their bucket."""
    for one in old:
        table.retire(one, at.recorded_at)
    ids = [one.id for one in old]
    return table.put(
        replace(
            old[-1],
            id=record_id(ID, "merged", *ids, at.id),
            text=text,
            sources=tuple(dict.fromkeys(source for one in old for source in one.sources)),
            recorded_at=at.recorded_at,
            valid_from=max(one.valid_from or one.recorded_at for one in old),
            data={**data, "previous": ids, "number": table.next_number()},
            retired_at=None,
            valid_to=None,
        ),
        vector,
    )


def _tidy_by_rule(draft: Draft, table: Table, bucket: int, new: Sequence[str], at: Episode) -> None:
    """Compare what came into a bucket with what is nearest to it there and has the same head."""
    for id in new:
        one, vector = draft.get(id), draft.vector(id)
        if one is None or vector is None or not holds(one):
            continue
        for other in table.nearest(vector, _NEAR + 1, bucket, head_of(one)):
            if other.id == one.id or number_of(other) > number_of(one):
                continue
            cosine = float(products(np.stack([_known(draft, other.id)]), vector)[0])
            kind = relation(other.text, one.text, similarity=cosine)
            is_newer = (one.valid_from or one.recorded_at) >= (other.valid_from or other.recorded_at)
            if kind in ("contradicts", "updates", "resolved") and is_newer:
                table.retire(other, at.recorded_at, one.valid_from)
            elif kind in ("same", "refines"):
                kept = one if kind == "refines" else other
                one = _merge(table, [other, one], kept.text, kept.data, at, _known(draft, kept.id))


def _known(draft: Draft, id: str) -> NDArray[np.float32]:
    vector = draft.vector(id)
    assert vector is not None, "every thought has a vector"
    return vector
