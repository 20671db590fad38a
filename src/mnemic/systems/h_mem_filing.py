"""Filing of H-MEM: where an episode belongs in its four layers, the entries that it founds, and what is said of it later.

Where a model names a domain, a category and keywords, an entry is known by its label, or by a label of the same meaning. Without
one an episode joins the entry that it is most like. See `mnemic.systems.h_mem`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from mnemic.index.vectors import products
from mnemic.model import Episode, Link, Record
from mnemic.ops.attributes import tags_of
from mnemic.ops.extract import facts_in
from mnemic.ops.keywords import keywords
from mnemic.systems.contract import BY, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.feedback import Feedback
from mnemic.systems.made import Vector
from mnemic.systems.view import View

if TYPE_CHECKING:
    from mnemic.systems.h_mem import Params

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
    text: str
    embedded: str  # what stands for it among the vectors; without a model, also for the entries that it founds
    data: Mapping[str, Any]

    @property
    def is_by_model(self) -> bool:
        """Whether a model named its entries, so that these are told apart by their names."""
        return bool(self.data[BY] == "llm")

    @property
    def gists(self) -> tuple[str, str, str]:
        """What stands for its entries among the vectors."""
        return self.labels if self.is_by_model else (self.embedded, self.embedded, self.embedded)


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
            return Filed(labels, text or own, text or episode.text, {key: one for key, one in data.items() if one})
    words = keywords([episode.text], 3, [episode.speaker]) or ["small talk"]
    domain = next(iter(tags_of(episode.text, 1)), words[0])
    stated = facts_in(episode) if _SHOWS_PROFILE.search(episode.text.lower()) else []
    shows = [fact.text for fact in stated if _SHOWS_PROFILE.search(fact.text)]
    data = {BY: "offline", **({"profile": " ".join(shows)} if shows else {})}
    return Filed((domain, ", ".join(words[:2]), ", ".join(words)), own, episode.text, data)


class Filing:
    """The layers while some episodes are filed. Of each parent that is met the children are kept at hand."""

    def __init__(self, view: View, params: Params, filed: Sequence[Filed]) -> None:
        self.draft: Draft = view.draft()
        self._scope = view.scope
        self._params = params
        self._families: dict[str, Family] = {}
        texts = list(dict.fromkeys(text for one in filed for text in (*one.gists, one.embedded)))
        self._vectors: dict[str, Vector] = dict(zip(texts, view.embed(texts), strict=True))
        self._view = view

    def file(self, episode: Episode, filed: Filed) -> None:
        """Put an episode under its trace."""
        parent, params = ROOT, self._params
        likes = (params.like_domain, params.like_category, params.like_trace)
        for layer, label, gist, like in zip(LAYERS, filed.labels, filed.gists, likes, strict=False):
            if filed.is_by_model:
                parent = self._named(layer, label, self._vectors[gist], parent, episode)
            else:
                parent = self._nearest(layer, label, self._vectors[gist], parent, episode, like)
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

    def _named(self, layer: str, label: str, vector: Vector, parent: str, episode: Episode) -> str:
        """The entry of that label under a parent: of the same words, or else of the same meaning, or a new one."""
        id = record_id(ID, layer, parent, label.casefold())
        if self.draft.get(id) is not None:
            return id
        near = self._family(parent).nearest(vector)
        if near is not None and near[1] >= self._params.same:
            return near[0]
        return self._found(id, layer, label, vector, parent, episode, "llm")

    def _nearest(self, layer: str, label: str, vector: Vector, parent: str, episode: Episode, like: float) -> str:
        """The entry under a parent that an episode is most like, if it is so like it; a new one, if there is room."""
        family = self._family(parent)
        near = family.nearest(vector)
        if near is not None and (near[1] >= like or len(family) >= self._params.children):
            return near[0]
        return self._found(record_id(ID, layer, parent, episode.id), layer, label, vector, parent, episode, "offline")

    def _found(self, id: str, layer: str, label: str, vector: Vector, parent: str, episode: Episode, by: str) -> str:
        data = {BY: by, "parent": parent} if parent != ROOT else {BY: by}
        self._put(id, layer, label, (episode.id,), episode, episode.occurred_at, data, vector)
        self._family(parent).add(id, vector)
        self._families[id] = Family([])
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
            vectors = [(id, vector) for id in ids if (vector := self.draft.vector(id)) is not None]
            self._families[parent] = Family(vectors)
        return self._families[parent]


class Family:
    """The children of one entry, with their vectors."""

    def __init__(self, children: Sequence[tuple[str, Vector]]) -> None:
        self._ids = [id for id, _ in children]
        self._rows = np.stack([vector for _, vector in children]) if children else np.zeros((0, 0), np.float32)

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, id: str, vector: Vector) -> None:
        """One more child."""
        if len(self._ids) == len(self._rows):
            room = np.zeros((max(len(self._rows), 4), len(vector)), np.float32)
            self._rows = np.concatenate([self._rows, room]) if len(self._rows) else room
        self._rows[len(self._ids)] = vector
        self._ids.append(id)

    def nearest(self, vector: Vector) -> tuple[str, float] | None:
        """The child of the highest cosine, and the cosine; of two alike the lesser id."""
        if not self._ids:
            return None
        cosines = products(self._rows[: len(self._ids)], vector)
        best = cosines.max()
        return min(self._ids[row] for row in np.flatnonzero(cosines == best).tolist()), float(best)


# -- what was said of an episode


def stood(record: Record, as_of: datetime | None, *, plain: bool = False) -> Record:
    """The record as it was at a time; plain: as it was before anything was said of it."""
    every = record.data.get("reactions", ())
    if not every or (as_of is None and not plain):
        return record
    kept = [] if plain else reactions_to(record, as_of)
    gone = {one["source"] for one in every} - {one["source"] for one in kept}
    data = {key: value for key, value in record.data.items() if key != "reactions"}
    if kept:
        data["reactions"] = kept
    return replace(record, data=data, sources=tuple(id for id in record.sources if id not in gone))


def reactions_to(record: Record, as_of: datetime | None) -> list[Mapping[str, Any]]:
    every = record.data.get("reactions", ())
    return [one for one in every if as_of is None or datetime.fromisoformat(one["known"]) <= as_of]


def _label(text: str) -> str:
    return " ".join(text.split())[:_LABEL].strip(" .,;:\"'")


def _date(text: str) -> str:
    try:
        return datetime.fromisoformat(text.strip()).isoformat()
    except ValueError:
        return ""
