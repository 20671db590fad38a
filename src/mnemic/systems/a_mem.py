"""A-MEM: a box of notes that describe, link and rewrite each other.

The one idea: every turn becomes a note with keywords, tags and a sentence of context; a new note is linked to its nearest
neighbours and may give them other tags and another context, so that old notes are read in the light of new ones. A note
that is recalled brings the notes it is linked to.
Source: A-MEM, arXiv 2502.12110, and the repositories WujiangXu/AgenticMemory and agiresearch/A-mem.

Departs, as the card of this file says in full: a rewritten note is another record, so its past can be read; neighbours are
named by numbers that stand for real notes; a rewriting counts when it changed something; links are followed both ways; what
is linked competes by score for the places that the cue allows; without a model notes are linked and never rewritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice, takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemic.errors import ParameterError
from mnemic.model import Cue, Episode, Hit, Link, Reason, Record
from mnemic.models.prompt import Prompt, Shown
from mnemic.ops.attributes import describe_many
from mnemic.store.contract import Changes
from mnemic.systems.a_mem_notes import (
    ID,
    NOTE,
    attributes_of,
    content_of,
    described,
    key_of,
    next_version,
    note_of,
    own_turn,
    reindex,
    version_at,
)
from mnemic.systems.contract import Card, MemorySystem, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.feedback import heard
from mnemic.systems.made import Made, Scored
from mnemic.systems.nearest_first import nearest_first
from mnemic.systems.view import View
from mnemic.text.terms import terms

EVOLVE = """
You keep a box of notes in which related notes are linked and describe each other. "note" is a new note; "neighbours" holds
the stored notes most like it, each with an id. Decide what the new note changes.
- should_evolve: whether anything changes.
- actions: "strengthen" where the new note is to be linked or to get other tags; "update_neighbor" where neighbours are to be
  described otherwise now.
- suggested_connections: ids of the neighbours that the new note belongs together with. No ids but those in "neighbours".
- tags_to_update: the tags that the new note has from now on.
- new_context_neighborhood: for each neighbour, in their order, one sentence of context as it reads in the light of the new
  note; the old sentence where nothing changes.
- new_tags_neighborhood: for each neighbour, in their order, its tags; the old ones where nothing changes.
Say nothing that the notes do not say. "neighbour_count" is how many neighbours there are.
"""
QUESTION = """
"question" is asked of a memory of notes. Name the words under which the notes that answer it would be filed: names, things
and topics, the most important first. Answer with {"keywords": […]}.
"""
STRENGTHEN, UPDATE = "strengthen", "update_neighbor"
_LONGEST_CONTEXT, _LONGEST_TAG, _MOST_TAGS = 500, 60, 12
_NEAR = 4  # as many candidates as the cue asks for, and at least 50, are looked at for one that a filter lets through


@dataclass(frozen=True, slots=True)
class Params:
    """What A-MEM can be told."""

    neighbours: int = 5  # stored notes that a new one is compared with (paper)
    evolution_threshold: int = (
        100  # evolutions after which rewritten notes are indexed as they read (code: evo_threshold)
    )
    follow_links: bool = True  # whether a recalled note brings those it is linked to
    through_each: int = 3  # notes brought by one, so that one with many links leaves room for others' (ours)
    link_share: float = 0.8  # a linked note's score, as a share of the score of the note that brings it (ours)
    link_floor: float = 0.5  # without a model: the cosine from which a neighbour is linked (ours)
    ask_keywords: bool = False  # whether a question's keywords, by a model, are looked up instead (code: benchmark)

    def __post_init__(self) -> None:
        if self.neighbours < 1 or self.evolution_threshold < 1 or self.through_each < 1:
            raise ParameterError(
                f"neighbours={self.neighbours}, evolution_threshold={self.evolution_threshold}, "
                f"through_each={self.through_each}: give 1 or more of each."
            )
        if not 0.0 <= self.link_share <= 1.0 or not -1.0 <= self.link_floor <= 1.0:
            raise ParameterError(
                f"link_share={self.link_share}, link_floor={self.link_floor}: give a share between 0 and 1, and a cosine."
            )


@dataclass(frozen=True, slots=True)
class EvolveAnswer:
    """What a model answers to EVOLVE."""

    should_evolve: bool = False
    actions: list[str] = field(default_factory=list)
    suggested_connections: list[str] = field(default_factory=list)
    tags_to_update: list[str] = field(default_factory=list)
    new_context_neighborhood: list[str] = field(default_factory=list)
    new_tags_neighborhood: list[list[str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class KeywordsAnswer:
    """What a model answers to QUESTION."""

    keywords: list[str] = field(default_factory=list)


class AMem(MemorySystem):
    """Notes that are linked, and rewritten by later ones."""

    card = Card(
        id=ID,
        title="A-MEM, agentic memory",
        year=2025,
        family="conversation",
        summary="Each turn becomes a note with keywords, tags and context, linked to related notes and rewriting them.",
        source="A-MEM: Agentic Memory for LLM Agents, arXiv 2502.12110",
        needs=("embedder", "llm"),
        makes=(NOTE,),
        cost="two calls for each turn: one describes it, one links it and rewrites its neighbours; in a recall none, or one "
        "where a question's keywords are asked for",
        flow="E[turn] --> D[keywords, tags, context]\nD --> N[note]\nN --> K[5 nearest notes]\n"
        "K --> V{evolve?}\nV -->|strengthen| L[links, tags]\nV -->|update neighbours| W[new versions of neighbours]\n"
        "W -->|every 100| I[index rebuilt]\nQ[cue] --> C[nearest notes]\nC --> B[and the notes linked to them]",
        departures=(
            "A rewritten note is a new record and the old one is retired, so that its past stays readable; the code "
            "overwrites it.",
            "A model names neighbours by numbers that stand for real notes; the product's code takes the rank in a "
            "search for the position in the store and rewrites other notes.",
            "The vector of a note is made of content, keywords, tags and context, as in the paper; the product's code"
            " leaves the content out until the index is rebuilt.",
            "A rewriting counts towards the rebuilding of the index only when it changed something.",
            "Links are followed in both directions, at most three through one note and as many as the cue allows in "
            "all; the code lets one note's links take all the places. What is linked competes by score for the cue's "
            "places instead of being added beyond them.",
            "A rewritten note names as sources the turns of the notes that the model was shown, not all those behind "
            "their earlier rewritings; these are found through them.",
            "Without a model a note is linked to neighbours whose cosine reaches link_floor and that share a keyword "
            "or tag; nothing is rewritten. How often and when a note was recalled is not kept: a recall writes "
            "nothing; nor are category and importance, which no step uses.",
        ),
    )
    params_type = Params

    def __init__(self, params: Params | None = None) -> None:
        self.params: Params = params or Params()

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        said = heard(episodes)
        draft = view.draft()
        described = describe_many(said, view.ask)
        contents = [content_of(one) for one in said]
        vectors = view.embed(contents)
        documents = view.embed([about.indexed(text) for text, about in zip(contents, described, strict=True)])
        for at, episode in enumerate(said):
            scored = draft.nearest(vectors[at], self.params.neighbours, kinds=(NOTE,))
            near = [one for one, _ in scored]
            note = note_of(episode, described[at], view.scope)
            if not near:
                draft.put(note, vector=documents[at])
                continue
            answer = view.ask("evolve", _question(note, near), EvolveAnswer)
            if answer is None:
                draft.put(note, vector=documents[at])
                _link_alike(draft, note, [one for one, cosine in scored if cosine >= self.params.link_floor])
            else:
                self._evolve(draft, note, documents[at], near, answer)
        return draft.changes()

    def _evolve(
        self, draft: Draft, note: Record, vector: NDArray[np.float32], near: Sequence[Record], answer: EvolveAnswer
    ) -> None:
        """Work in what a model said of a new note and its neighbours."""
        actions = {action.strip().lower() for action in answer.actions} if answer.should_evolve else set()
        has_links = has_tags = False
        if STRENGTHEN in actions:
            by_number = {str(at): one for at, one in enumerate(near)}
            named = dict.fromkeys(number.strip() for number in answer.suggested_connections)
            for other in [by_number[number] for number in named if number in by_number]:
                draft.put_link(_link(note, other))
                has_links = True
            tags = _clean(answer.tags_to_update)
            if tags and tags != tuple(note.data["tags"]):
                shown = dict.fromkeys((*note.sources, *(own_turn(other) for other in near)))
                about = replace(attributes_of(note), tags=tags, path="llm")
                note = replace(described(note, about), sources=tuple(shown))
                has_tags = True
        if has_tags:
            draft.put(note, embed=attributes_of(note).indexed(note.data["content"]))
        else:
            draft.put(note, vector=vector)
        has_changed = has_links or has_tags
        if UPDATE in actions:
            for at, other in enumerate(near):
                has_changed |= _rewrite(draft, other, note, near, *_given(answer, at))
        if has_changed:
            evolutions = draft.state["evolutions"] = draft.state.get("evolutions", 0) + 1
            if evolutions % self.params.evolution_threshold == 0:
                draft.state["rebuilt"] = draft.state.get("rebuilt", 0) + 1
                reindex(draft, note)

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        made, vector = view.made, self._query(cue, view)
        scored: Iterable[Scored]
        if vector is None:
            words = made.words(terms(cue.text), kinds=(NOTE,), as_of=cue.as_of)
            scored = sorted(
                ((made.records[id], score) for id, score in words.items()), key=lambda one: (-one[1], one[0].id)
            )
        else:
            scored = nearest_first(vector, cue, view, (NOTE,))
        signal = "words" if vector is None else "meaning"
        direct = _in_sight(scored, cue, view)
        found = {record.id: (record, score, Reason(signal, score, 1.0)) for record, score in direct}
        if self.params.follow_links and self.params.link_share > 0.0:
            found |= self._through_links(direct, found, cue, view)
        ranked = sorted(found.values(), key=lambda one: (-one[1], one[0].id))
        why = {record.id: (reason,) for record, _, reason in ranked}
        return view.record_hits([one[:2] for one in ranked], cue, lambda record, _: why[record.id])

    def _query(self, cue: Cue, view: View) -> NDArray[np.float32] | None:
        if self.params.ask_keywords:
            answer = view.ask(
                "keywords", Prompt(QUESTION, {"question": Shown(cue.text)}, max_tokens=256), KeywordsAnswer
            )
            if answer is not None and (words := _clean(answer.keywords)):
                return view.query_vector(cue, ", ".join(words))
        return view.query_vector(cue)

    def _through_links(
        self,
        direct: Sequence[tuple[Record, float]],
        found: dict[str, tuple[Record, float, Reason]],
        cue: Cue,
        view: View,
    ) -> dict[str, tuple[Record, float, Reason]]:
        """The notes that the foremost ones are linked to and that score higher through them than by themselves."""
        made, share = view.made, self.params.link_share
        brought: dict[str, tuple[Record, float, Reason]] = {}
        for by, score in direct[: cue.limit]:
            notes = [version_at(key, made, cue.as_of) for key in _neighbours_of(key_of(by), made, cue.as_of)]
            better = [one for one in notes if one is not None and one.id not in brought]
            better = [one for one in better if one.id not in found or found[one.id][1] < share * score]
            shown = _in_sight([(one, 1.0) for one in better], cue, view)[: self.params.through_each]
            for record, _ in shown[: cue.limit - len(brought)]:
                note = f"linked to: {by.data['content'][:80]}"
                brought[record.id] = record, share * score, Reason("link", score, share, note)
        return brought


# -- evolution ------------------------------------------------------------------------------------------------


def _question(note: Record, near: Sequence[Record]) -> Prompt:
    def shown(one: Record) -> dict[str, Any]:
        time = (one.valid_from or one.recorded_at).isoformat()
        return {"time": time} | {name: one.data[name] for name in ("content", "context", "keywords", "tags")}

    behind = tuple(dict.fromkeys(source for one in near for source in one.sources))
    return Prompt(
        EVOLVE,
        {
            "note": Shown(shown(note), note.sources),
            "neighbours": Shown([{"id": str(at), **shown(one)} for at, one in enumerate(near)], behind),
            "neighbour_count": Shown(len(near)),
        },
    )


def _given(answer: EvolveAnswer, at: int) -> tuple[str, tuple[str, ...]]:
    """(context, tags) that a model gave the neighbour in that place; empty where its list is too short."""
    contexts, tags = answer.new_context_neighborhood, answer.new_tags_neighborhood
    context = " ".join(contexts[at].split())[:_LONGEST_CONTEXT] if at < len(contexts) else ""
    return context, _clean(tags[at]) if at < len(tags) else ()


def _rewrite(
    draft: Draft, old: Record, note: Record, near: Sequence[Record], context: str, tags: tuple[str, ...]
) -> bool:
    """Put a new version of a neighbour, under the vector of the old one; whether anything changed."""
    before = attributes_of(old)
    after = replace(before, context=context or before.context, tags=tags or before.tags, path="llm")
    if (after.context, after.tags) == (before.context, before.tags):
        return False
    sources = dict.fromkeys((*old.sources, own_turn(note), *(own_turn(one) for one in near)))
    new = described(next_version(old, note.recorded_at, {**old.data, "is_stale": True}), after)
    vector = draft.vector(old.id)
    draft.retire(old.id, note.recorded_at, note.valid_from)
    draft.put(replace(new, sources=tuple(sources)), vector=vector)
    stale = draft.state.setdefault("stale", [])
    if key_of(old) not in stale:
        stale.append(key_of(old))
    return True


def _link_alike(draft: Draft, note: Record, alike: Sequence[Record]) -> None:
    """Without a model: link those that have a keyword or tag in common with the note."""
    own = _words(note)
    for other in alike:
        if not own.isdisjoint(_words(other)):
            draft.put_link(_link(note, other))


def _words(note: Record) -> set[str]:
    return {term for phrase in (*note.data["keywords"], *note.data["tags"]) for term in terms(phrase)}


def _link(note: Record, other: Record) -> Link:
    return Link(
        id=record_id(ID, "link", key_of(note), key_of(other)),
        system=ID,
        scope=note.scope,
        kind="related",
        from_id=key_of(note),
        to_id=key_of(other),
        sources=(own_turn(note), own_turn(other)),
        recorded_at=note.recorded_at,
    )


def _clean(words: Sequence[str]) -> tuple[str, ...]:
    """Words of an answer that are some: in small letters, each once, no more and no longer than a note can bear."""
    found = dict.fromkeys(" ".join(word.split())[:_LONGEST_TAG].lower() for word in words)
    return tuple(word for word in found if any(map(str.isalnum, word)))[:_MOST_TAGS]


# -- recall ---------------------------------------------------------------------------------------------------


def _in_sight(scored: Iterable[Scored], cue: Cue, view: View) -> list[Scored]:
    """The foremost notes whose own turn may be seen: a later turn that rewrote a note does not stand for it."""
    found: list[Scored] = []
    size = max(50, _NEAR * cue.limit)
    alike = takewhile(lambda one: one[1] > 0.0, scored)
    while len(found) < cue.limit + size // 2 and (page := list(islice(alike, size))):
        own = [replace(record, sources=(own_turn(record),)) for record, _ in page]
        seen = view.sees(own, cue)
        found += [(record, min(score, 1.0)) for (record, score), is_seen in zip(page, seen, strict=True) if is_seen]
    return found


def _neighbours_of(key: str, made: Made, as_of: datetime | None) -> list[str]:
    """Keys of the notes that a note is linked to, either way, in the order in which the links came."""
    links = [one for one in made.links_of(key) if as_of is None or one.recorded_at <= as_of]
    return [one.to_id if one.from_id == key else one.from_id for one in links]
