"""The structure pass of MemOS: active memories are gathered under parents.

The one idea: clusters of like memories are made by recursive k-means; within each a model forms groups of four or more and says
what they tell together. Without a model a cluster is one group, told by its foremost sentences. The parents of the last pass
are archived, so what was seen at an earlier time can still be asked.

Card: memos. Source: MemOS, arXiv 2507.03724; numbers as in its repository of mid-August 2025. Departs: see `MemOS.card`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mnemic.model import Episode, Record
from mnemic.models.prompt import Prompt, Shown
from mnemic.ops.cluster import split
from mnemic.ops.summarise import summarise, topic_label
from mnemic.systems.contract import record_id
from mnemic.systems.draft import Draft
from mnemic.systems.made import Vector
from mnemic.systems.mem_reader import LONG_TERM
from mnemic.systems.mem_shelf import ID, PARENT, TOPIC, Params, Shelf, header_data, link
from mnemic.systems.memcube import Governance, is_bound
from mnemic.systems.view import NoModel, View

STRUCTURE = """
"notes" holds memories with ids. Form groups of four or more that belong together. For each: the ids of its notes; key, a short
title; value, what they say together, in a few sentences; tags; background, one sentence on how they hang together.
Answer with {"groups": [{"ids", "key", "value", "tags", "background"}]}, an empty list where nothing belongs together.
"""


def structure(last: Episode, params: Params, view: View, draft: Draft, shelf: Shelf) -> None:
    """Gather the active memories under parents; the parents of the last pass are archived."""
    for topic in draft.records([TOPIC]):
        draft.retire(topic.id, last.recorded_at)
    active = sorted(shelf.memories.values(), key=lambda one: (one.recorded_at, one.id))
    active = [one for one in active if not is_bound(one)]  # what a parent tells is there for everybody, and stays
    if not active:
        return
    vectors = np.stack([_vector_of(draft, one) for one in active])
    clusters = [[active[row] for row in rows] for rows in split(vectors, params.cluster)]
    clusters = [one for one in clusters if len(one) >= params.smallest]
    prompts = [Prompt(STRUCTURE, {"notes": _notes(one)}) for one in clusters]
    answers = view.ask.many("structure", prompts, GroupsAnswer)
    for cluster, answer in zip(clusters, answers, strict=True):
        if answer is None:
            summary, label = summarise(cluster, NoModel()).text, topic_label(cluster)
            tags = tuple(dict.fromkeys(tag for one in cluster for tag in one.data["tags"]))[:8]
            _put_parent(
                draft, _parent_of(view.scope, cluster, cluster, label, summary, tags, "", "offline", last), cluster
            )
            continue
        for given in answer.groups:
            numbers = dict.fromkeys(int(one) for one in given.ids if one.isascii() and one.isdigit())
            members = [cluster[at] for at in numbers if at < len(cluster)]
            text = " ".join(given.value.split())[:2000]
            if len(members) >= params.smallest and any(map(str.isalnum, text)):
                tags = tuple(tag.strip().casefold() for tag in given.tags if tag.strip())[:8]
                parent = _parent_of(
                    view.scope, members, cluster, given.key.strip()[:80], text, tags, given.background, "llm", last
                )
                _put_parent(draft, parent, members)


def _parent_of(
    scope: str,
    members: Sequence[Record],
    shown: Sequence[Record],
    title: str,
    text: str,
    tags: Sequence[str],
    background: str,
    by: str,
    last: Episode,
) -> Record:
    sources = tuple(dict.fromkeys((*(source for one in shown for source in one.sources), last.id)))
    data = {**header_data(title, LONG_TERM, tags, (), by, Governance(), None), "background": background[:1000]}
    return Record(
        id=record_id(ID, TOPIC, last.id, *(one.id for one in members)),
        system=ID,
        scope=scope,
        kind=TOPIC,
        text=text or title or "memories",
        sources=sources,
        recorded_at=last.recorded_at,
        data=data,
    )


def _put_parent(draft: Draft, parent: Record, members: Sequence[Record]) -> None:
    draft.put(parent, embed=False)
    for one in members:
        draft.put_link(link(parent.scope, PARENT, one.id, parent.id, parent.sources, parent.recorded_at))


def _vector_of(draft: Draft, record: Record) -> Vector:
    vector = draft.vector(record.id)
    assert vector is not None, "memories are put with their vectors"
    return vector


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
