"""MemTree: memories in a tree that grows as they come, whose inner nodes say ever more generally what lies below.

A new text goes down from the root to the most similar child for as long as the similarity reaches a threshold that grows
with depth. Where it stops it becomes a leaf, and every node on its way takes it into its summary. Recall ignores the tree:
leaves and summaries compete by their similarity with the cue, so a theme finds a summary and a detail a leaf.

Source: MemTree, arXiv 2410.14052 (ICLR 2025). With its threshold, 0.4·exp(0.5·d), θ(2) exceeds 1: nothing goes deeper than
three levels and the tree grows wide; `is_scaled` divides d by the depth of the tree, as one re-implementation does.

The tree stands in links of kind "child", between keys: a leaf's key is its record, an inner node's the record of its first
summary, the root's is a name without a record. A summary is a version: the next one retires it, but for two that were
recorded at the same moment, of which only the later can ever be seen. A link to an inner node names its newest version.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mnemic.errors import ParameterError
from mnemic.index.vectors import products
from mnemic.model import Cue, Episode, Hit, Link, Reason, Record
from mnemic.models.prompt import Prompt, Shown, turns
from mnemic.ops.extract import facts_in
from mnemic.ops.summarise import Piece, Summary, summarise
from mnemic.ops.tree import descend, threshold
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, is_by_model, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.feedback import heard
from mnemic.systems.made import Scored, Vector
from mnemic.systems.nearest_first import nearest_hits
from mnemic.systems.view import NoModel, View
from mnemic.text.terms import terms

ID = "memtree"
LEAF, INNER, CHILD = "memory", "schema", "child"
ROOT = record_id(ID, "root")
AGGREGATE = """
You keep a summary of things that belong together. "new" is what has just come, with time and speaker; "summary" is the
summary so far; "entries" is how many things it stands for. Write one summary of both together, in the third person, in the
language of the texts. While entries are few, keep names, numbers and dates; the more they are, above two, the more say what
they have in common rather than each of them. Add nothing of your own. "max_words" is the most words that it may have.
Answer with {"summary": the text}.
"""
_WIDE = 256  # children whose cosines are all computed exactly
_MARGIN = np.float32(1e-4)  # by which two cosines out of a matrix product may be off: many times what float32 loses


@dataclass(frozen=True, slots=True)
class Params:
    """How the tree grows, and what is near enough to be recalled."""

    base: float = 0.4  # θ0, the similarity that a child of the root must reach
    rate: float = 0.5  # λ, how the threshold grows with depth
    is_scaled: bool = False  # d / deepest instead of d, which lets the tree grow deeper
    retrieve: float = 0.0  # θ_retrieve, the least cosine of a hit; none in the paper, 0.2 in re-implementations
    max_words: int = 80  # of a summary

    def __post_init__(self) -> None:
        for name in ("base", "rate", "retrieve"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value < math.inf:
                raise ParameterError(f"{name}={value!r}: give a number of 0 or more.")
        if isinstance(self.max_words, bool) or not isinstance(self.max_words, int) or self.max_words < 1:
            raise ParameterError(f"max_words={self.max_words!r}: give a whole number of 1 or more.")


@dataclass(frozen=True, slots=True)
class SummaryAnswer:
    """What a model answers to AGGREGATE."""

    summary: str = ""


class MemTree(MemorySystem):
    """A tree of summaries over what was said, and a flat search over all of it."""

    params_type = Params
    card = Card(
        id=ID,
        title="MemTree",
        year=2024,
        family="conversation",
        summary="A tree that grows online: each text joins the most similar branch, whose summaries take it in.",
        source="Rezazadeh et al., From Isolated Conversations to Hierarchical Schemas, arXiv 2410.14052",
        needs=("embedder", "llm"),
        makes=(LEAF, INNER),
        cost="one call for each inner node on an episode's way down, two at most with the paper's threshold; none in recall",
        flow=(
            "E[episode] --> D{nearest child above θ of its depth?}\n"
            "D -- yes --> G[go down] --> D\n"
            "D -- no --> L[new leaf]\n"
            "D -- at a leaf --> X[leaf becomes an inner node] --> L\n"
            "L --> A[every node on the way takes it into its summary]\n"
            "Q[cue] --> S[cosine with all leaves and summaries] --> T[the best above a threshold]"
        ),
        departures=(
            "A summary whose text a new episode leaves unchanged stays the version it was, and the episode is no source of it.",
            "Of children that are equally similar the one with the lesser id is taken, so that the way does not depend on how "
            "the log was cut.",
            "Without a model a summary is made of the most central statements of the last summary and the new text.",
            "A summary that a corrected episode went into is still shown while another of its episodes stands; and its next "
            "version builds on it.",
            "Forgetting grows the tree anew from what is left, from kept answers: where a leaf stood decides what came after.",
        ),
    )

    def __init__(self, params: Params | None = None) -> None:
        self.params: Params = params or Params()

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        said = heard(episodes)
        if not said:
            return Changes()
        tree = Growing(view.draft(), view, self.params, said)
        for at in range(len(said)):
            tree.insert(at)
        return tree.draft.changes()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        made, vector = view.made, view.query_vector(cue)
        if vector is None:
            words = made.words(terms(cue.text), as_of=cue.as_of)
            ranked = sorted(((made.records[id], score) for id, score in words.items()), key=_best_first)
            return view.record_hits(ranked, cue, lambda one, score: (Reason("words", score, 1.0, _note(one)),))
        return nearest_hits(
            cue,
            view,
            vector,
            lambda one, score: (Reason("meaning", score, 1.0, _note(one)),),
            least=self.params.retrieve,
        )


# -- growing --------------------------------------------------------------------------------------------------


class Growing:
    """The tree while some episodes are put into it. Only the children of nodes on their ways are looked at."""

    def __init__(self, draft: Draft, view: View, params: Params, said: Sequence[Episode]) -> None:
        self.draft = draft
        self._view = view
        self._params = params
        self._said = said
        self._vectors = view.embed([one.text for one in said])
        self._families: dict[str, Family] = {}

    def insert(self, at: int) -> None:
        """Put the episode of that place into the tree."""
        episode, vector, params = self._said[at], self._vectors[at], self._params
        found: dict[str, float] = {}

        def nearest(key: str) -> list[str]:
            nearest = self._family(key).nearest(at, vector)
            found.update(nearest)
            return list(nearest)

        deepest = self.draft.state.get("deepest", 0) if params.is_scaled else None
        way = descend(
            ROOT,
            nearest,
            lambda keys: [found[key] for key in keys],
            lambda depth: threshold(depth, params.base, params.rate, deepest),
        )
        summaries = self._aggregated(episode, way.path[1:])
        parent = way.parent
        for above, key, (text, by) in zip(way.path, way.path[1:], summaries, strict=False):
            if key == way.parent and way.is_leaf:
                parent = self._expand(key, above, episode, text, by)
            else:
                self._follow(key, above, episode, text, by)
        self._hang(_leaf(episode, self._view.scope), parent, episode, vector)
        if deepest is not None:
            self.draft.state["deepest"] = max(deepest, len(way.path))

    def _aggregated(self, episode: Episode, keys: Sequence[str]) -> list[tuple[str, str]]:
        """What the nodes say once they have taken the episode in, and which path told it."""
        olds = [self._now(key) for key in keys]
        entries = [max(len(self._family(key).keys), 1) for key in keys]
        shown, most = turns([episode]), self._params.max_words
        prompts = [
            Prompt(
                AGGREGATE,
                {
                    "new": shown,
                    "summary": Shown(old.text, old.sources),
                    "entries": Shown(count),
                    "max_words": Shown(most),
                },
            )
            for old, count in zip(olds, entries, strict=True)
        ]
        answers = self._view.ask.many("aggregate", prompts, SummaryAnswer)
        made, stated = list[tuple[str, str]](), ""
        for old, answer in zip(olds, answers, strict=True):
            words = answer.summary.split() if answer is not None else []
            if words:
                made.append((" ".join(words[: 2 * most]), "llm"))
            else:
                by = "llm" if is_by_model(old) else "offline"
                stated = stated or _statement(episode)
                made.append((aggregate(_stated(old), stated, most), by))
        return made

    def _expand(self, leaf: str, above: str, episode: Episode, text: str, by: str) -> str:
        """A leaf becomes an inner node, with what it held as its first child; the key of the inner node."""
        old, vector = self._now(leaf), self.draft.vector(leaf)
        assert vector is not None, "a leaf has a vector"
        key = record_id(ID, INNER, leaf, episode.id)  # a leaf may become an inner node more than once
        new = self._summary(key, old, episode, text, by)
        sources = (*old.sources, episode.id)
        self.draft.put_link(self._link(key, above, sources, episode))
        self.draft.put_link(self._link(leaf, key, sources, episode))
        self._family(above).replace(leaf, key, self._put(new))
        self._families[key] = Family(self._vectors, [(leaf, vector)])
        return key

    def _follow(self, key: str, above: str, episode: Episode, text: str, by: str) -> None:
        """A node's next version, where its text changes."""
        old = self._now(key)
        if text == old.text:
            return
        if old.recorded_at == episode.recorded_at:
            new = self._summary(old.id, old, episode, text, by)
        else:
            self.draft.retire(old.id, at=episode.recorded_at)
            new = self._summary(record_id(ID, INNER, key, episode.id), old, episode, text, by)
            new = replace(new, data={**new.data, "previous": old.id})
            link = self.draft.link(record_id(ID, CHILD, key))
            assert link is not None, "every node but the root hangs on a link"
            self.draft.put_link(replace(link, data={"now": new.id}))
        if old.id == new.id and "previous" in old.data:
            new = replace(new, data={**new.data, "previous": old.data["previous"]})
        self._family(above).replace(key, key, self._put(replace(new, data={**new.data, "key": key})))

    def _hang(self, leaf: Record, parent: str, episode: Episode, vector: Vector) -> None:
        self.draft.put(leaf, vector=vector)
        self.draft.put_link(self._link(leaf.id, parent, (episode.id,), episode))
        self._family(parent).add(leaf.id, vector)

    def _summary(self, id: str, old: Record, episode: Episode, text: str, by: str) -> Record:
        return Record(
            id=id,
            system=ID,
            scope=self._view.scope,
            kind=INNER,
            text=text,
            sources=tuple(dict.fromkeys((*old.sources, episode.id))),
            recorded_at=episode.recorded_at,
            valid_from=max(old.valid_from or episode.occurred_at, episode.occurred_at),
            data={BY: by, "key": id},
        )

    def _put(self, record: Record) -> Vector:
        vector: Vector = self._view.embed([record.text])[0]
        self.draft.put(record, vector=vector)
        return vector

    def _link(self, child: str, parent: str, sources: tuple[str, ...], episode: Episode) -> Link:
        return Link(
            id=record_id(ID, CHILD, child),
            system=ID,
            scope=self._view.scope,
            kind=CHILD,
            from_id=parent,
            to_id=child,
            sources=sources,
            recorded_at=episode.recorded_at,
            data={"now": child},
        )

    def _now(self, key: str) -> Record:
        """The newest version of a node."""
        link = self.draft.link(record_id(ID, CHILD, key))
        assert link is not None, "every node but the root hangs on a link"
        record = self.draft.get(link.data["now"])
        assert record is not None, "a link names a record"
        return record

    def _family(self, key: str) -> Family:
        if key not in self._families:
            links = [link for link in self.draft.links_of(key) if link.from_id == key]
            vectors = [(link.to_id, self.draft.vector(link.data["now"])) for link in links]
            known = [(child, vector) for child, vector in vectors if vector is not None]
            self._families[key] = Family(self._vectors, known)
        return self._families[key]


class Family:
    """The children of one node with their vectors, to be compared with one new text after another.

    said: [b, dim] the texts that will be compared. Of many children those that may be the nearest are told by one matrix
    product for all texts; what counts is always the exact cosine.
    """

    def __init__(self, said: Vector, children: Sequence[tuple[str, Vector]] = ()) -> None:
        self.keys = [key for key, _ in children]
        self._place = {key: at for at, key in enumerate(self.keys)}
        self._said = said
        self._rows = np.stack([vector for _, vector in children] or [np.zeros(said.shape[1], np.float32)])
        self._rough: NDArray[np.float32] | None = None  # [n when it was made, b]
        self._replaced: dict[int, None] = {}  # rows of it that are others now

    def add(self, key: str, vector: Vector) -> None:
        """One more child."""
        at = len(self.keys)
        if at == len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        self._rows[at] = vector
        self._place[key] = at
        self.keys.append(key)

    def replace(self, old: str, new: str, vector: Vector) -> None:
        """A child became another, or its vector changed."""
        at = self._place.pop(old)
        self._place[new], self.keys[at], self._rows[at] = at, new, vector
        if self._rough is not None and at < len(self._rough):
            self._replaced[at] = None

    def nearest(self, at: int, vector: Vector) -> dict[str, float]:
        """The child of the highest cosine with the text of that place, and the cosine; of two alike the lesser key."""
        n = len(self.keys)
        if not n:
            return {}
        rows = np.arange(n) if n <= _WIDE else self._likely(at)
        cosines = products(self._rows[rows], vector)
        best = cosines.max()
        key = min(self.keys[row] for row in rows[cosines == best].tolist())
        return {key: float(best)}

    def _likely(self, at: int) -> NDArray[np.int64]:
        """The rows that may be the nearest."""
        if self._rough is None:
            self._rough = self._rows[: len(self.keys)] @ self._said.T
        rough = self._rough[:, at].copy()
        others = np.array([*self._replaced, *range(len(rough), len(self.keys))], np.int64)
        rough[list(self._replaced)] = -np.inf
        return np.concatenate([np.flatnonzero(rough >= rough.max() - _MARGIN), others])


def aggregate(summary: str, new: str, max_words: int) -> str:
    """Without a model: the most central statements of a summary and what is new, within so many words."""
    return summarise([Piece(new)], NoModel(), previous=Summary(summary), max_words=max_words).text


def _leaf(episode: Episode, scope: str) -> Record:
    return Record(
        id=record_id(ID, LEAF, episode.id),
        system=ID,
        scope=scope,
        kind=LEAF,
        text=f"{episode.speaker}: {episode.text}",
        sources=(episode.id,),
        recorded_at=episode.recorded_at,
        valid_from=episode.occurred_at,
        data={BY: "offline", "speaker": episode.speaker},
    )


def _statement(episode: Episode) -> str:
    """What it states, in the third person; itself where it states nothing."""
    return " ".join(fact.text for fact in facts_in(episode)) or f"{episode.speaker}: {episode.text}"


def _stated(record: Record) -> str:
    """A summary; what a leaf states."""
    if record.kind != LEAF:
        return record.text
    speaker = record.data["speaker"]
    said = Episode(
        text=record.text.removeprefix(f"{speaker}: "),
        id=record.sources[0],
        scope=record.scope,
        occurred_at=record.valid_from or record.recorded_at,
        recorded_at=record.recorded_at,
        actor=speaker,
    )
    return _statement(said)


# -- recall ---------------------------------------------------------------------------------------------------


def _best_first(one: Scored) -> tuple[float, str]:
    return -one[1], one[0].id


def _note(record: Record) -> str:
    return f"sums up {len(record.sources)} episodes" if record.kind == INNER else ""
