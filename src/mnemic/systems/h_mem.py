"""H-MEM: four layers of memories, from domains to episodes, and a recall that only scores the children of what it chose.

Every episode is filed under a domain, a category of it and a memory trace (its keywords) in that. A cue is compared with the
domains, then with the categories of the best of these, and so on down: what lies under other branches is never looked at. The
episodes it arrives at are ranked by similarity times a weight, which approval raises, objection lowers and time wears away.

Source: H-MEM, arXiv 2507.22925. An entry's pointers are links of kind "child" between stable ids, and its own id of the parent
is in its data. The k best children of every chosen entry are kept, as its formula says, so layer l may keep k^l; `most` caps a
layer, as its complexity claim assumes.

What lies under a domain that is not among the k best cannot be reached, whatever it says: the price of not looking at
everything. `fallback` fills the places that are left with a search over all episodes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any

import numpy as np

from mnemic.errors import ParameterError
from mnemic.index.vectors import products
from mnemic.model import Cue, Episode, Hit, Link, Reason, Record
from mnemic.models.prompt import Prompt, turns
from mnemic.ops.attributes import tags_of
from mnemic.ops.decay import days, retention
from mnemic.ops.extract import facts_in
from mnemic.ops.keywords import keywords
from mnemic.ops.tree import Layers, top_down
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.feedback import Feedback, feedback_in, heard
from mnemic.systems.made import Made, Vector
from mnemic.systems.view import View
from mnemic.text.terms import terms

ID = "h-mem"
DOMAIN, CATEGORY, TRACE, EPISODE = LAYERS = ("domain", "category", "trace", "episode")
CHILD = "child"
ROOT = record_id(ID, "root")
PARSE = """
You file what was said in a memory of four layers. "turns" holds one turn, with time and speaker. Answer with
- domain: the broad field of life or knowledge it belongs to, in one or two words, such as "health";
- category: the part of that field, in one to three words, such as "running";
- memory_trace: two to five keywords that would lead back to it, the most important first;
- episode: all of what was said, in the third person, with names, numbers and dates; relative times with the date they mean;
- user_profile: what it shows of the speaker's preferences, interests and mood, in one sentence; "" where it shows nothing;
- timestamp: when what it tells happened, as an ISO date; "" where it does not say.
"""
_TRACE_WORDS, _LABEL, _TEXT = 5, 60, 2000  # keywords of a trace; characters of a label and of an episode's text
_SHOWS_PROFILE = re.compile(
    r"\b(?:love|like|enjoy|prefer|hate|dislike|adore|feel|felt|afraid|proud|excited|worried|passionate|interested|favou?rite)[sd]?\b"
)


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
    fallback: bool = False  # fill the places that are left from all episodes

    def __post_init__(self) -> None:
        for name in ("k", "most"):
            value = getattr(self, name)
            if not (name == "most" and value is None) and (
                isinstance(value, bool) or not isinstance(value, int) or value < 1
            ):
                raise ParameterError(f"{name}={value!r}: give a whole number of 1 or more.")
        for one in fields(self)[2:8]:
            value = getattr(self, one.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value < math.inf:
                raise ParameterError(f"{one.name}={value!r}: give a number of 0 or more.")
        if not 0.0 < self.least <= self.start <= 1.0 or self.stability_days <= 0.0:
            raise ParameterError("least, start and 1 must ascend from above 0, and stability_days be above 0.")


@dataclass(frozen=True, slots=True)
class FiledAnswer:
    """What a model answers to PARSE."""

    domain: str = ""
    category: str = ""
    memory_trace: list[str] = field(default_factory=list)
    episode: str = ""
    user_profile: str = ""
    timestamp: str = ""


@dataclass(frozen=True, slots=True)
class Filed:
    """Where an episode belongs, and how it is told."""

    labels: tuple[str, str, str]  # domain, category, trace
    gist: str  # what stands for the trace among the vectors
    text: str
    embedded: str
    data: Mapping[str, Any]


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
            "Without a model the domain is the foremost of a short list of topics, the category the two foremost together, "
            "the trace its keywords, compared together with the first text that left it.",
            "What lies under a domain out of the k best is unreachable, as in the paper; `fallback` searches all episodes "
            "for the places that are left. So does a cue with a session, window or filter, which the layers know nothing of.",
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


# -- filing ---------------------------------------------------------------------------------------------------


def filed(episode: Episode, answer: FiledAnswer | None) -> Filed:
    """Where an episode belongs, by a model's answer; by rule where there is none, or one without labels."""
    own = f"{episode.speaker}: {episode.text}"
    if answer is not None:
        words = [_label(one) for one in answer.memory_trace[:_TRACE_WORDS]]
        trace = ", ".join(dict.fromkeys(one for one in words if one))
        labels = (_label(answer.domain), _label(answer.category), trace)
        if all(labels):
            text = " ".join(answer.episode.split())[:_TEXT]
            data = {
                BY: "llm",
                "profile": " ".join(answer.user_profile.split())[:_TEXT],
                "when": _date(answer.timestamp),
            }
            return Filed(
                labels, trace, text or own, text or episode.text, {key: one for key, one in data.items() if one}
            )
    tags = tags_of(episode.text, 2)
    domain = tags[0] if tags else "daily life"
    category = " and ".join(tags) if tags else f"said by {_label(episode.speaker)}"
    trace = ", ".join(keywords([episode.text], 3, [episode.speaker])) or "small talk"
    shows = [fact.text for fact in facts_in(episode) if _SHOWS_PROFILE.search(fact.text)]
    data = {BY: "offline", **({"profile": " ".join(shows)} if shows else {})}
    return Filed((domain, category, trace), f"{trace}: {episode.text}", own, episode.text, data)


class Filing:
    """The layers while some episodes are filed. Of each parent that is met the children are kept at hand."""

    def __init__(self, view: View, params: Params, filed: Sequence[Filed]) -> None:
        self.draft: Draft = view.draft()
        self._scope = view.scope
        self._params = params
        self._families: dict[str, Family] = {}
        texts = list(dict.fromkeys(text for one in filed for text in (*one.labels[:2], one.gist, one.embedded)))
        self._vectors: dict[str, Vector] = dict(zip(texts, view.embed(texts), strict=True))
        self._view = view

    def file(self, episode: Episode, filed: Filed) -> None:
        """Put an episode under its trace."""
        parent = ROOT
        for layer, label, text in zip(LAYERS, filed.labels, (*filed.labels[:2], filed.gist), strict=False):
            parent = self._entry(layer, label, text, parent, episode, filed.data[BY])
        id = record_id(ID, EPISODE, episode.id)
        data = {**filed.data, "parent": parent}
        self._put(
            id, EPISODE, filed.text, (episode.id,), episode, episode.occurred_at, data, self._vectors[filed.embedded]
        )

    def react(self, episode: Episode, feedback: Feedback) -> None:
        """What was said of episodes changes their weight; what was said to be right is filed beside what was wrong."""
        objected: Record | None = None
        for id in dict.fromkeys(feedback.ids):
            old = self.draft.get(id) or self.draft.get(record_id(ID, EPISODE, id))
            if old is None or old.kind != EPISODE:
                continue
            reaction = {
                "verdict": feedback.verdict,
                "at": feedback.at.isoformat(),
                "known": episode.recorded_at.isoformat(),
                "source": feedback.source,
            }
            data = {**old.data, "reactions": [*old.data.get("reactions", ()), reaction]}
            sources = tuple(dict.fromkeys((*old.sources, feedback.source)))
            self.draft.change(replace(old, data=data, sources=sources))
            objected = objected or old
        if objected is None or feedback.verdict != "wrong" or not feedback.note.strip():
            return
        note = " ".join(feedback.note.split())
        data = {BY: "offline", "parent": objected.data["parent"], "corrects": objected.id}
        sources = (*stood(objected, None, plain=True).sources, feedback.source)
        vector: Vector = self._view.embed([note])[0]
        self._put(record_id(ID, EPISODE, feedback.source), EPISODE, note, sources, episode, feedback.at, data, vector)

    def _entry(self, layer: str, label: str, text: str, parent: str, episode: Episode, by: str) -> str:
        """The entry of that label under a parent: of the same words, or else of the same meaning, or a new one."""
        id = record_id(ID, layer, parent, label.casefold())
        if self.draft.get(id) is not None:
            return id
        vector = self._vectors[text]
        near = self._family(parent).nearest(vector)
        if near is not None and near[1] >= self._params.same:
            return near[0]
        data = {BY: by, "parent": parent} if parent != ROOT else {BY: by}
        self._put(id, layer, label, (episode.id,), episode, episode.occurred_at, data, vector)
        self._family(parent).add(id, vector)
        self._families[id] = Family(len(vector))
        return id

    def _put(
        self,
        id: str,
        kind: str,
        text: str,
        sources: tuple[str, ...],
        episode: Episode,
        valid_from: datetime,
        data: Mapping[str, Any],
        vector: Vector,
    ) -> None:
        """A record, and the link from its parent."""
        parent = data.get("parent", ROOT)
        self.draft.put(
            Record(
                id=id,
                system=ID,
                scope=self._scope,
                kind=kind,
                text=text,
                sources=sources,
                recorded_at=episode.recorded_at,
                valid_from=valid_from,
                data=dict(data),
            ),
            vector=vector,
        )
        self.draft.put_link(
            Link(
                id=record_id(ID, CHILD, id),
                system=ID,
                scope=self._scope,
                kind=CHILD,
                from_id=parent,
                to_id=id,
                sources=sources,
                recorded_at=episode.recorded_at,
            )
        )

    def _family(self, parent: str) -> Family:
        if parent not in self._families:
            ids = [link.to_id for link in self.draft.links_of(parent) if link.from_id == parent]
            vectors = [vector for id in ids if (vector := self.draft.vector(id)) is not None]
            dim = len(next(iter(self._vectors.values())))
            self._families[parent] = family = Family(dim)
            for id, vector in zip(ids, vectors, strict=True):
                family.add(id, vector)
        return self._families[parent]


class Family:
    """The children of one entry, with their vectors."""

    def __init__(self, dim: int) -> None:
        self._ids: list[str] = []
        self._rows = np.zeros((4, dim), np.float32)

    def add(self, id: str, vector: Vector) -> None:
        """One more child."""
        if len(self._ids) == len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        self._rows[len(self._ids)] = vector
        self._ids.append(id)

    def nearest(self, vector: Vector) -> tuple[str, float] | None:
        """The child of the highest cosine, and the cosine; of two alike the lesser id."""
        if not self._ids:
            return None
        cosines = products(self._rows[: len(self._ids)], vector)
        best = cosines.max()
        return min(self._ids[row] for row in np.flatnonzero(cosines == best).tolist()), float(best)


# -- recall ---------------------------------------------------------------------------------------------------


def chosen(made: Made, vector: Vector, params: Params, as_of: datetime | None = None) -> Layers[str]:
    """What is kept of each layer for a cue's vector, and how many scores that took."""

    def children(id: str) -> list[str]:
        links = made.links_of(id)
        return [one.to_id for one in links if one.from_id == id and (as_of is None or one.recorded_at <= as_of)]

    def scores(ids: Sequence[str]) -> Sequence[float]:
        rows = [made.vector(id) for id in ids]
        known = np.stack([np.zeros(len(vector), np.float32) if row is None else row for row in rows])
        cosines: list[float] = products(known, vector).tolist()
        return cosines

    return top_down(children(ROOT), children, scores, params.k, most=params.most)


def weight(record: Record, asked_at: datetime, params: Params, as_of: datetime | None = None) -> float:
    """What an episode weighs when it is asked for: approvals and objections, worn by the time since it was last used.

    w = min(1, max(least, start + approved·a - objected·o)) · exp(-t / stability), t in days. An Ebbinghaus-like curve, as the
    paper has it; its constants are ours.
    """
    reactions = _reactions(record, as_of)
    said = [one["verdict"] for one in reactions]
    good, bad = said.count("helpful"), said.count("unhelpful") + said.count("wrong")
    base = min(1.0, max(params.least, params.start + params.approved * good - params.objected * bad))
    used = [datetime.fromisoformat(one["at"]) for one in reactions if one["verdict"] in ("used", "helpful")]
    last = max([record.valid_from or record.recorded_at, *used])
    return base * retention(days(asked_at) - days(last), 1.0, params.stability_days)


def stood(record: Record, as_of: datetime | None, *, plain: bool = False) -> Record:
    """The record as it was at a time; plain: as it was before anything was said of it."""
    every = record.data.get("reactions", ())
    if not every or (as_of is None and not plain):
        return record
    kept = [] if plain else _reactions(record, as_of)
    gone = {one["source"] for one in every} - {one["source"] for one in kept}
    data = {key: value for key, value in record.data.items() if key != "reactions"}
    if kept:
        data["reactions"] = kept
    return replace(record, data=data, sources=tuple(id for id in record.sources if id not in gone))


def _reactions(record: Record, as_of: datetime | None) -> list[Mapping[str, Any]]:
    every = record.data.get("reactions", ())
    return [one for one in every if as_of is None or datetime.fromisoformat(one["known"]) <= as_of]


def _where(record: Record, made: Made) -> str:
    """Its trace, category and domain, in words."""
    path, parent = list[str](), record.data.get("parent")
    while parent is not None and (one := made.records.get(parent)) is not None:
        path.append(one.text)
        parent = one.data.get("parent")
    return " › ".join(reversed(path))


def _label(text: str) -> str:
    return " ".join(text.split())[:_LABEL].strip(" .,;:\"'")


def _date(text: str) -> str:
    try:
        return datetime.fromisoformat(text.strip()).isoformat()
    except ValueError:
        return ""
