"""Theanine: memories on timelines, so that an answer knows what led to a memory and what became of it.

The one idea: nothing is deleted. When a session ends, what it says of the speakers becomes memories, and each is linked to like
memories of earlier sessions by a relation of cause and effect (changed, caused, wanted, …). A recall takes the memories
nearest to the cue, and with each the whole path through the links on which it lies, told for the present question.

Without a model the memories are the statements of the session, relations come from the rules of `ops.update` and a few cue
words, and a timeline is recalled memory by memory: what a memory has changed into stands before it.
Card: theanine. Source: arXiv 2406.10996, THEANINE. Writing: `systems.linked_memories`; reading: `systems.timeline_recall`.
Departs: see `Theanine.card.departures`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mnemic.model import Cue, Episode, Hit
from mnemic.store.contract import Changes
from mnemic.systems.contract import Card, MemorySystem
from mnemic.systems.linked_memories import FOREST, ID, MEMORY, Params, Sessions, without
from mnemic.systems.timeline_recall import Sight, ranked, told
from mnemic.systems.view import View

__all__ = ["Params", "Theanine"]


class Theanine(MemorySystem):
    """Memories linked by cause and effect, recalled as timelines."""

    params_type = Params
    card = Card(
        id=ID,
        title="THEANINE",
        year=2024,
        family="conversation",
        summary="Nothing is deleted: memories of sessions are linked by cause and effect, and whole timelines are recalled.",
        source="Ong et al., Towards Lifelong Dialogue Agents via Timeline-based Memory Management, arXiv 2406.10996",
        needs=("embedder", "llm"),
        makes=(MEMORY,),
        cost="One call for each session, up to three for each memory in it (as many again where those find no relation), and "
        "one for each different timeline of a recall. Consolidation asks the same of the open session.",
        flow="""
        E[episodes] --> S[a session ends]
        S --> M[(memories)]
        M --> N[3 nearest of earlier sessions]
        N --> C[newest of each component]
        C --> R{relation}
        R --> L[(links, older to newer)]
        Q[cue] --> K[3 nearest memories]
        K --> T[past path, memory, future path]
        L --> T
        T --> F[refined timelines]
        """,
        departures=(
            "A session ends where another is named, after 30 minutes of silence, or after 50 episodes.",
            "A new memory is linked to the newest of each component, as in the paper. Where that one bears no relation, the "
            "newest that the similar memory has changed into is tried, so that a chain of changes does not break.",
            "One timeline is drawn for each memory, as in the paper, by a hash and among those that end in what the memory "
            "changed into, where there are such; paths are counted off up to a number.",
            "A recall gives hits: each told timeline is one, other near memories follow. Without a model every memory is a hit, "
            "its neighbours on the timeline a little below it, and what it has changed into above it.",
            "Without a model relations are told by claims and cue words; a Reason, which words do not tell, is never found.",
            "What only corrected messages said by then is linked to nothing that is said later.",
            "Offline, what a session itself takes back is left to the log: only what stands at its end becomes a memory.",
            "What is still open is recalled as it was said; once it is silent and was consolidated, as memories for now.",
            "The reply is the caller's: it is one more call to a model, and none of the memory's.",
            "TeaFarm's counterfactual questions test an agent that replies, not a memory, and are left out.",
        ),
    )  # fmt: skip

    def __init__(self, params: Params | None = None) -> None:
        self.params: Params = params or Params()

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        return Sessions(view, self.params).close_sessions()

    def consolidate(self, view: View) -> Changes:
        return Sessions(view, self.params).close_sessions(and_the_open_one=True)

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        vector, sight = view.query_vector(cue), Sight(cue, view, self.params)
        if vector is None:
            found = sight.by_words(cue.limit, [MEMORY])
            return [_as_made(hit) for hit in found if hit.score >= cue.threshold]
        near = sight.nearest(vector, max(cue.limit, self.params.recalled), [MEMORY])
        lines = sight.timelines([record for record, _ in near[: self.params.recalled]])
        tellings = told(lines, {record.id: score for record, score in near}, sight, self.params.most_steps)
        covered = {step for line in lines.values() for step in line.steps} if tellings else set()
        others = ranked(near, {} if tellings else lines, covered, sight, self.params.nearness)
        hits = sorted([*tellings, *others], key=lambda hit: -hit.score)
        return [_as_made(hit) for hit in hits if hit.score > 0.0 and hit.score >= cue.threshold][: cue.limit]


def _as_made(hit: Hit) -> Hit:
    """The hit without what later memories have noted on it: their component."""
    if hit.record is None or hit.record.data.keys().isdisjoint(FOREST):
        return hit
    return replace(hit, record=replace(hit.record, data=without(hit.record.data, *FOREST)))
