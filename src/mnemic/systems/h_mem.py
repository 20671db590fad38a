"""H-MEM: four layers of memories, from domains to episodes, and a recall that only scores the children of what it chose.

Every episode is filed under a domain, a category of it and a memory trace (its keywords) in that. A cue is compared with the
domains, then with the categories of the best of these, and so on down: what lies under other branches is never looked at. The
episodes it arrives at are ranked by similarity times a weight, which approval raises, objection lowers and time wears away.

Source: H-MEM, arXiv 2507.22925. An entry's pointers are links of kind "child" between stable ids, and its own id of the parent
is in its data. The k best children of every chosen entry are kept, as its formula says, so layer l may keep k^l; `most` caps a
layer, as its complexity claim assumes.

Without a model an episode goes down to the entry that it is most like, layer by layer, and founds one where it is like none,
which keeps its words for a name and its vector: so what is near a cue lies under entries that are near it.

What lies under a domain that is not among the k best cannot be reached, whatever it says: the price of not looking at
everything. With `fallback` all episodes are searched where places are left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

import numpy as np

from mnemic.errors import ParameterError
from mnemic.index.vectors import products
from mnemic.model import Cue, Episode, Hit, Reason, Record
from mnemic.models.prompt import Prompt, turns
from mnemic.ops.decay import days, retention
from mnemic.ops.tree import Layers, top_down
from mnemic.store.contract import Changes
from mnemic.systems.contract import Card, MemorySystem
from mnemic.systems.feedback import feedback_in, heard
from mnemic.systems.h_mem_filing import (
    EPISODE,
    ID,
    LAYERS,
    PARSE,
    ROOT,
    FiledAnswer,
    Filing,
    filed,
    reactions_to,
    stood,
)
from mnemic.systems.made import Made, Vector
from mnemic.systems.view import View
from mnemic.text.terms import terms


@dataclass(frozen=True, slots=True)
class Params:
    """How recall goes down the layers, when two labels are one, and what a memory weighs. The paper gives k alone."""

    k: int = 10  # of the children of each entry that was chosen, how many are
    most: int | None = None  # of a whole layer, how many are chosen; None for no cap
    same: float = 0.85  # cosine of two labels under one parent that name the same thing
    start: float = 0.5  # the weight of a memory that nobody said anything of
    approved: float = 0.15  # what an approval adds
    objected: float = 0.25  # what an objection takes
    least: float = 0.05  # the lowest weight
    stability_days: float = 1000.0  # after which, unused, 1/e of the weight is left
    fallback: bool = False  # where places are left, search all episodes instead
    like_domain: float = 0.2  # without a model: cosine with a domain from which an episode belongs to it
    like_category: float = 0.4  # likewise with a category
    like_trace: float = 0.6  # likewise with a trace
    children: int = 100  # without a model: the most entries under one; a further episode goes to the nearest

    def __post_init__(self) -> None:
        for name in ("k", "most", "children"):
            value = getattr(self, name)
            if not (name == "most" and value is None) and (
                isinstance(value, bool) or not isinstance(value, int) or value < 1
            ):
                raise ParameterError(f"{name}={value!r}: give a whole number of 1 or more.")
        for name in [one.name for one in fields(self) if one.type == "float"]:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value < math.inf:
                raise ParameterError(f"{name}={value!r}: give a number of 0 or more.")
        if not 0.0 < self.least <= self.start <= 1.0 or self.stability_days <= 0.0:
            raise ParameterError("least, start and 1 must ascend from above 0, and stability_days be above 0.")


class HMem(MemorySystem):
    """Domains, categories, traces and episodes, searched from the top down."""

    params_type = Params
    card = Card(
        id=ID,
        title="H-MEM",
        year=2025,
        family="conversation",
        summary="Four layers from domain to episode; recall scores only the children of what it chose one layer up.",
        source="Sun and Zeng, Hierarchical Memory for High-Efficiency Long-Term Reasoning in LLM Agents, arXiv 2507.22925",
        needs=("embedder", "llm"),
        makes=LAYERS,
        cost="one call for each episode; none in recall",
        flow=(
            "E[episode] --> P[domain, category, trace, text, profile]\n"
            "P --> M{label under its parent?}\n"
            "M -- same words or meaning --> U[that entry]\n"
            "M -- none --> N[new entry]\n"
            "U --> L[episode linked to its trace]\n"
            "N --> L\n"
            "F[feedback] --> W[weight up or down, correction added] --> L\n"
            "Q[cue] --> T[k best domains, their k best categories, traces, episodes]\n"
            "T --> R[similarity × weight that decays]"
        ),
        departures=(
            "Feedback constants and decay are ours and parameters: the paper gives none.",
            "Children are named by stable ids in links, not by their place in a list.",
            "A profile is told by each episode it shows in; there is no single profile that is overwritten.",
            "Without a model an episode joins the entry that it is most like in each layer, by cosine with the episode that "
            "founded it, or founds one named by its topic or keywords; an entry has at most 100 such below it.",
            "What lies under a domain out of the k best is unreachable, as in the paper; with `fallback` all episodes are "
            "searched where places are left. So they are for a cue with a session, window or filter, which the layers do not "
            "know.",
        ),
    )

    def __init__(self, params: Params | None = None) -> None:
        self.params: Params = params or Params()

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        said = heard(episodes)
        prompts = [Prompt(PARSE, {"turns": turns([one])}, max_tokens=1024) for one in said]
        answers = view.ask.many("parse", prompts, FiledAnswer)
        found = {one.id: filed(one, answer) for one, answer in zip(said, answers, strict=True)}
        filing = Filing(view, self.params, list(found.values()))
        for episode in episodes:
            if episode.id in found:
                filing.file(episode, found[episode.id])
            elif (feedback := feedback_in(episode)) is not None:
                filing.react(episode, feedback)
        return filing.draft.changes()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        made, vector = view.made, view.query_vector(cue)
        if vector is None:
            words = made.words(terms(cue.text), kinds=[EPISODE], as_of=cue.as_of)
            return self._hits([(made.records[id], score) for id, score in words.items()], "words", cue, view)
        layers = chosen(made, vector, self.params, cue.as_of)
        reached = layers.kept[3] if len(layers.kept) > 3 else ()
        hits = self._hits([(made.records[id], score) for id, score in reached], "meaning", cue, view)
        is_narrowed = cue.session is not None or cue.since or cue.until or cue.filters
        if len(hits) < cue.limit and (self.params.fallback or is_narrowed):
            hits = self._hits(made.scores(vector, kinds=[EPISODE], as_of=cue.as_of), "meaning", cue, view)
        return hits

    def _hits(self, found: Sequence[tuple[Record, float]], signal: str, cue: Cue, view: View) -> list[Hit]:
        weighed = [
            (stood(one, cue.as_of), min(score, 1.0), weight(one, cue.asked_at, self.params, cue.as_of))
            for one, score in found
            if score > 0.0
        ]
        weighed.sort(key=lambda one: (-one[1] * one[2], one[0].id))
        of = {one.id: (score, weight) for one, score, weight in weighed}

        def why(record: Record, score: float) -> tuple[Reason, ...]:
            similarity, weight = of[record.id]
            return (Reason(signal, similarity, weight, _where(record, view.made)),)

        return view.record_hits([(one, score * weight) for one, score, weight in weighed], cue, why)


# -- recall ---------------------------------------------------------------------------------------------------


def chosen(made: Made, vector: Vector, params: Params, as_of: datetime | None = None) -> Layers[str]:
    """What is kept of each layer for a cue's vector, and how many scores that took."""

    waiting: dict[str, None] = {}  # of a layer that is looked at, what is scored at once
    known: dict[str, float] = {}

    def children(id: str) -> list[str]:
        links = made.links_of(id)
        ids = [one.to_id for one in links if one.from_id == id and (as_of is None or one.recorded_at <= as_of)]
        waiting.update(dict.fromkeys(ids))
        return ids

    def scores(ids: Sequence[str]) -> Sequence[float]:
        if waiting:
            rows = [made.vector(id) for id in waiting]
            none = np.zeros(len(vector), np.float32)
            cosines = products(np.stack([none if row is None else row for row in rows]), vector)
            known.update(zip(waiting, cosines.tolist(), strict=True))
            waiting.clear()
        return [known[id] for id in ids]

    return top_down(children(ROOT), children, scores, params.k, most=params.most)


def weight(record: Record, asked_at: datetime, params: Params, as_of: datetime | None = None) -> float:
    """What an episode weighs when it is asked for: approvals and objections, worn by the time since it was last used.

    w = min(1, max(least, start + approved·a - objected·o)) · exp(-t / stability), t in days. An Ebbinghaus-like curve, as the
    paper has it; its constants are ours.
    """
    reactions = reactions_to(record, as_of)
    if not reactions:
        return params.start * _kept(record.valid_from or record.recorded_at, asked_at, params)
    said = [one["verdict"] for one in reactions]
    good, bad = said.count("helpful"), said.count("unhelpful") + said.count("wrong")
    base = min(1.0, max(params.least, params.start + params.approved * good - params.objected * bad))
    used = [datetime.fromisoformat(one["at"]) for one in reactions if one["verdict"] in ("used", "helpful")]
    last = max([record.valid_from or record.recorded_at, *used])
    return base * _kept(last, asked_at, params)


def _kept(last: datetime, asked_at: datetime, params: Params) -> float:
    return retention(days(asked_at) - days(last), 1.0, params.stability_days)


def _where(record: Record, made: Made) -> str:
    """Its trace, category and domain, in words."""
    path, parent = list[str](), record.data.get("parent")
    while parent is not None and (one := made.records.get(parent)) is not None:
        path.append(one.text)
        parent = one.data.get("parent")
    return " › ".join(reversed(path))
