"""Theanine: memories on timelines, so that an answer knows what led to a memory and what became of it.

The one idea: nothing is deleted. When a session ends, what it says of the speakers becomes memories, and each is linked to like
memories of earlier sessions by a relation of cause and effect (changed, caused, wanted, …). A recall takes the memories
nearest to the cue, and with each the whole path through the links on which it lies, told for the present question.

Without a model the memories are the statements of the session, relations come from the rules of `ops.update` and a few cue
words, and a timeline is recalled memory by memory: what a memory has changed into stands before it.
Card: theanine. Source: arXiv 2406.10996, THEANINE. Departs: see `Theanine.card.departures`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from mnemic.clock import to_microseconds
from mnemic.errors import ParameterError
from mnemic.model import Cue, Episode, Hit, Link, Reason, Record
from mnemic.models.prompt import Prompt, Shown, turns
from mnemic.ops.cause_effect import CHANGED, RELATIONS, related, still_standing, takes_back
from mnemic.ops.claims import Claim, claims_in
from mnemic.ops.extract import extract_facts, facts_in
from mnemic.ops.segment import sessions_in
from mnemic.ops.timeline import Dated, Relation, Timeline, chosen
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.feedback import heard
from mnemic.systems.made import Vector
from mnemic.systems.view import NoModel, View
from mnemic.text.terms import terms

ID = "theanine"
MEMORY, TIMELINE = "memory", "timeline"

SUMMARISE = """
A conversation has ended. "turns" holds it, in order; each turn has a number, a time and a speaker. List what it tells about the
speakers: what they did, plan, like, feel, have, and what changed. One item is one sentence about one speaker, with names in
the place of pronouns and dates in the place of "yesterday". Leave out greetings, questions and small talk; add nothing.
Answer with {"facts": [{"text": the sentence, "turns": [numbers of the turns it came from]}]}.
"""
RELATE = """
"A" is a memory of an earlier conversation, "B" one of a later conversation; "earlier" and "later" hold the conversations.
Say in "explanation" how the two are connected, in view of the conversations, and name it in "relation" with one word:
- Changed: what A says has changed into what B says.  - Cause: A caused B.  - Reason: A happened because of what B says.
- HinderedBy: what A says is hindered by B.  - React: B is what the speaker of A feels as a result of A.
- Want: B is what the speaker of A wants as a result of A.
- SameTopic: none of these, and yet both are about the same particular topic.  - None: nothing connects them.
Try the six of cause and effect first. Answer with {"explanation": …, "relation": …}.
"""
REFINE = """
"cue" is what is said or asked now. "timeline" holds memories of the same speakers from the oldest to the newest; "relation" says
how each leads to the next. Rewrite the timeline as a short text with what is useful for the next reply: keep the order of
events, names and dates, say what has changed into what, leave out what does not bear on the cue, and add nothing.
Answer with {"text": …}.
"""
_MOST_NODES = 400  # of a timeline's surroundings that are looked at
_TAIL = 64  # episodes of the open session that may update what is recalled


@dataclass(frozen=True, slots=True)
class Params:
    """As in the paper; where a session ends is ours."""

    similar: int = 3  # j: memories of earlier sessions to which a new one may be linked
    recalled: int = 3  # k: memories that are recalled with their timelines
    link_to: Literal["newest", "similar"] = (
        "newest"  # the newest of a similar memory's component (paper), or itself (code)
    )
    gap_minutes: float = 30.0  # silence that ends a session
    max_turns: int = 50  # episodes after which a session without end is taken as one
    most_timelines: int = 64  # paths through a memory that are counted off
    most_steps: int = 24  # memories of a timeline that a model is shown
    nearness: float = 0.8  # offline: what is left of a score with each step along the timeline
    seed: int = 0  # of the choice among the timelines of a memory

    def __post_init__(self) -> None:
        for name in ("similar", "recalled", "max_turns", "most_timelines", "most_steps"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name}={getattr(self, name)!r}: give 1 or more.")
        if self.link_to not in ("newest", "similar"):
            raise ParameterError(f"link_to={self.link_to!r}: it is 'newest' or 'similar'.")
        if not self.gap_minutes > 0.0:
            raise ParameterError(f"gap_minutes={self.gap_minutes!r}: give more than 0.")
        if not 0.0 <= self.nearness <= 1.0:
            raise ParameterError(f"nearness={self.nearness!r}: it lies between 0 and 1.")

    @property
    def gap(self) -> timedelta:
        """The silence as a duration."""
        return timedelta(minutes=self.gap_minutes)


@dataclass(frozen=True, slots=True)
class RelationAnswer:
    """What a model answers to RELATE."""

    explanation: str = ""
    relation: str = ""


@dataclass(frozen=True, slots=True)
class RefinedAnswer:
    """What a model answers to REFINE."""

    text: str = ""


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
            "Offline, what a session itself takes back is left to the log: only what stands at its end becomes a memory.",
            "What is still open is recalled as it was said; once it is silent and was consolidated, as memories for now.",
            "The reply is the caller's: it is one more call to a model, and none of the memory's.",
            "TeaFarm's counterfactual questions test an agent that replies, not a memory, and are left out.",
        ),
    )  # fmt: skip

    def __init__(self, params: Params | None = None) -> None:
        self.params: Params = params or Params()

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        return _Writing(view, self.params).close_sessions()

    def consolidate(self, view: View) -> Changes:
        return _Writing(view, self.params).close_sessions(and_the_open_one=True)

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        vector, sight = view.query_vector(cue), _Sight(cue, view, self.params)
        if vector is None:
            words = view.made.words(terms(cue.text), kinds=[MEMORY], as_of=cue.as_of)
            ids = sorted(words.keys() - sight.hidden, key=lambda id: (-words[id], id))
            ranked = ((sight.record(id), words[id]) for id in ids)
            return view.record_hits(ranked, cue, why=lambda _, score: (Reason("words", score, 1.0),))
        near = sight.nearest(vector, max(cue.limit, self.params.recalled))
        lines = sight.timelines([record for record, _ in near[: self.params.recalled]])
        told = self._told(lines, {record.id: score for record, score in near}, sight)
        covered = {step for id, line in lines.items() for step in line.steps} if told else set()
        ranked_hits = _ranked(near, {} if told else lines, covered, sight, self.params.nearness)
        hits = sorted([*told, *ranked_hits], key=lambda hit: -hit.score)
        return [hit for hit in hits if hit.score > 0.0 and hit.score >= cue.threshold][: cue.limit]

    def _told(self, lines: Mapping[str, Timeline], scores: Mapping[str, float], sight: _Sight) -> list[Hit]:
        """Each timeline as a model tells it for the cue; none where no model answers."""
        shown = {id: _shortened(line, id, self.params.most_steps) for id, line in lines.items()}
        prompts = [_refining(line, sight) for line in shown.values()]
        answers = sight.view.ask.many("refine", prompts, RefinedAnswer) if prompts else []
        if all(answer is None for answer in answers):
            return []
        hits = []
        for (id, line), answer in zip(shown.items(), answers, strict=True):
            text = " ".join(answer.text.split()) if answer is not None else ""
            record = _as_record(line, text, sight)
            hits.append(Hit(score=scores[id], record=record, reasons=(Reason("meaning", scores[id], 1.0),)))
        return hits


# -- writing --------------------------------------------------------------------------------------------------


class _Writing:
    """One observation: sessions that have ended become memories with links.

    Notes: "done", the last episode of the last session; "sessions", of each its first and last episode and when its end was
    known; "joined" and "newest", the components as a forest, the newest memory and the size of each; "open", what is provisional.
    """

    def __init__(self, view: View, params: Params) -> None:
        self._view, self._params, self._draft = view, params, view.draft()
        self._sessions: list[list[int]] = self._draft.state.setdefault("sessions", [])
        self._joined: dict[str, str] = self._draft.state.setdefault("joined", {})
        self._newest: dict[str, list[Any]] = self._draft.state.setdefault("newest", {})
        self._claims: dict[str, list[Claim]] = {}

    def close_sessions(self, and_the_open_one: bool = False) -> Changes:
        state = self._draft.state
        for id in state.pop("open", {}).get("ids", ()):
            self._draft.drop(id)
        said = heard(self._view.since(int(state.get("done", 0))))
        closed, tail = sessions_in(said, gap=self._params.gap, max_turns=self._params.max_turns)
        for unit, following in zip(closed, [*closed[1:], tail], strict=False):
            is_full = len(unit) >= self._params.max_turns
            known_at = (unit[-1] if is_full else following[0]).recorded_at
            made, links = self._remember(unit, known_at, {})
            for record in made:
                self._add(record.id, [link.from_id for link in links if link.to_id == record.id])
            self._sessions.append([unit[0].seq, unit[-1].seq, to_microseconds(known_at)])
            state["done"] = unit[-1].seq
        if tail and and_the_open_one:
            made, _ = self._remember(tail, tail[-1].recorded_at, {"provisional": True})
            state["open"] = {"ids": [one.id for one in made], "seq": tail[-1].seq}
            state["open"]["at"] = to_microseconds(tail[-1].occurred_at)
        return self._draft.changes()

    def _remember(
        self, unit: Sequence[Episode], known_at: datetime, marks: Mapping[str, Any]
    ) -> tuple[list[Record], list[Link]]:
        facts = extract_facts(unit, self._view.ask, step="summarise", task=SUMMARISE)
        facts = still_standing(facts, self._claims_in)  # memories of one session are never linked as "Changed"
        number, by_id = len(self._sessions) + 1, {one.id: one for one in unit}
        made: dict[str, Record] = {}
        for fact in facts:
            id = record_id(ID, MEMORY, unit[0].id, fact.text, *fact.episode_ids)
            made[id] = Record(
                id=id,
                system=ID,
                scope=self._view.scope,
                kind=MEMORY,
                text=fact.text,
                sources=fact.episode_ids,
                recorded_at=known_at,
                valid_from=max(by_id[source].occurred_at for source in fact.episode_ids),
                data={"session": number, "name": f"s{number}-m{len(made) + 1}", BY: fact.path, **marks},
            )
        records = list(made.values())
        vectors = list(self._view.embed([one.text for one in records]))
        links = self._related(records, vectors, unit)
        for record, vector in zip(records, vectors, strict=True):
            self._draft.put(record, vector=vector)
        for link in links:
            self._draft.put_link(link)
        return records, links

    def _claims_in(self, text: str) -> list[Claim]:
        if text not in self._claims:
            self._claims[text] = claims_in(text)
        return self._claims[text]

    # -- links ------------------------------------------------------------------------------------------------

    def _related(self, made: Sequence[Record], vectors: Sequence[Vector], unit: Sequence[Episode]) -> list[Link]:
        """Links from memories of earlier sessions to those of this one, which are not in the draft yet."""
        tried: dict[tuple[str, str], Link | None] = {}  # by older and newer
        ways = []
        for record, vector in zip(made, vectors, strict=True):
            near = [one for one, _ in self._draft.nearest(vector, self._params.similar, kinds=[MEMORY])]
            ways += [(record, one) for one in sorted(near, key=lambda one: (-one.data["session"], one.id))]
        firsts = [(self._target(one), record) for record, one in ways]
        self._try(firsts, tried, unit)
        if self._params.link_to == "newest":
            pairs = zip(firsts, ways, strict=True)
            missed = [(record, one) for (first, _), (record, one) in pairs if tried[first.id, record.id] is None]
            self._try([(self._changed_into(one), record) for record, one in missed], tried, unit)
        return [link for link in tried.values() if link is not None]

    def _try(
        self,
        pairs: Sequence[tuple[Record, Record]],
        tried: dict[tuple[str, str], Link | None],
        unit: Sequence[Episode],
    ) -> None:
        once = {(older.id, newer.id): (older, newer) for older, newer in pairs}
        left = [pair for ids, pair in once.items() if ids not in tried]
        answers: list[RelationAnswer | None] = [None] * len(left)
        if left and not isinstance(self._view.ask, NoModel):
            spoken: dict[int, list[Episode]] = {}
            for older, _ in left:
                number = older.data["session"]
                spoken.setdefault(number, self._spoken(number))
            prompts = [_relating(older, newer, spoken[older.data["session"]], unit) for older, newer in left]
            answers = self._view.ask.many("relate", prompts, RelationAnswer)
        for (older, newer), answer in zip(left, answers, strict=True):
            kind = related(older.text, newer.text, self._claims_in) if answer is None else _known(answer.relation)
            by = "offline" if answer is None else "llm"
            tried[older.id, newer.id] = None if kind is None else _link(older, newer, kind, by)

    def _spoken(self, number: int) -> list[Episode]:
        """What was said in a session that has ended."""
        first, last, _ = self._sessions[number - 1]
        seqs = self._view.index.seqs
        rows = np.arange(np.searchsorted(seqs, first), np.searchsorted(seqs, last, side="right"))
        return heard(self._view.episodes(rows).values())

    def _target(self, one: Record) -> Record:
        """The memory to link to: the newest of the component of a similar one."""
        if self._params.link_to == "similar":
            return one
        return self._draft.get(self._newest.get(self._root(one.id), [one.id])[0]) or one

    def _changed_into(self, one: Record) -> Record:
        """The newest memory to which changes lead from it."""
        while later := [
            link.to_id for link in self._draft.links_of(one.id) if link.kind == CHANGED and link.from_id == one.id
        ]:
            following = [record for id in later if (record := self._draft.get(id)) is not None]
            one = max(following, key=lambda record: (record.data["session"], record.id))
        return one  # fmt: skip

    # -- components -------------------------------------------------------------------------------------------

    def _root(self, id: str) -> str:
        while id in self._joined:
            id = self._joined[id]
        return id

    def _add(self, id: str, linked: Iterable[str]) -> None:
        """A memory, newer than all others, joins the components of those that it is linked to."""
        for other in linked:
            mine, theirs = self._root(id), self._root(other)
            if mine != theirs:
                sizes = {root: self._newest.pop(root, [root, 1])[1] for root in (mine, theirs)}
                small, large = sorted((mine, theirs), key=lambda root: (sizes[root], root))
                self._joined[small] = large
                self._newest[large] = [id, sizes[small] + sizes[large]]


# -- reading --------------------------------------------------------------------------------------------------


class _Sight:
    """What a recall sees: the sessions before the present one, and what of the present one was said."""

    def __init__(self, cue: Cue, view: View, params: Params) -> None:
        self.cue, self.view, self._params, self._made = cue, view, params, view.made
        state = self._made.state
        as_of = None if cue.as_of is None else to_microseconds(cue.as_of)
        ended = [one for one in state.get("sessions", ()) if as_of is None or one[2] <= as_of]
        self.after = int(ended[-1][1]) if ended else 0  # the last episode that became memories
        is_open, gap = state.get("open"), params.gap // timedelta(microseconds=1)
        self.hidden: frozenset[str] = frozenset(is_open["ids"]) if is_open else frozenset()
        if is_open and as_of is None and to_microseconds(cue.asked_at) - is_open["at"] > gap:
            self.after, self.hidden = int(is_open["seq"]), frozenset()
        self._is_seen: dict[str, bool] = {}
        self._claims: dict[str, list[Claim]] = {}
        self._ends: dict[str, list[str]] = {}

    def record(self, id: str) -> Record:
        return self._made.records[id]

    def seen(self, ids: Iterable[str]) -> list[str]:
        """Those that the cue may be answered with."""
        ids = list(dict.fromkeys(ids))
        new = [self._made.records[id] for id in ids if id not in self._is_seen and id in self._made.records]
        self._is_seen |= {one.id: sees for one, sees in zip(new, self.view.sees(new, self.cue), strict=True)}
        return [id for id in ids if id not in self.hidden and self._is_seen.get(id, False)]

    def nearest(self, vector: Vector, n: int) -> list[tuple[Record, float]]:
        """The n memories nearest to the cue, with their cosines, which are above 0."""
        k = n
        while True:
            found = self._made.nearest(vector, k, kinds=[MEMORY], as_of=self.cue.as_of, but=self.hidden)
            seen = set(self.seen(record.id for record, _ in found))
            kept = [(record, min(cosine, 1.0)) for record, cosine in found if record.id in seen and cosine > 0.0]
            if len(kept) >= n or len(found) < k or found[-1][1] <= 0.0:
                return kept[:n]
            k *= 4

    def changed_into(self, id: str) -> list[str]:
        """What has become of a memory: where the changes that lead on from it end; empty where it has not changed."""
        if id not in self._ends:
            later = self._reached(id, lambda link: link.kind == CHANGED and link.from_id)[1:]
            self._ends[id] = [one for one in later if not self.has_changed(one)]
        return self._ends[id]

    def has_changed(self, id: str) -> bool:
        """Whether a later memory says what a memory has changed into."""
        links = self._made.links_of(id)
        leading = [link.to_id for link in links if link.kind == CHANGED and link.from_id == id and self._is_known(link)]
        return bool(self.seen(leading))

    def timelines(self, records: Sequence[Record]) -> dict[str, Timeline]:
        """For each memory one timeline, of those that end in what it has changed into where there are such."""
        every: dict[str, list[Timeline]] = {}
        for one in records:
            ids = self._reached(one.id, lambda link: link.from_id)
            ids += [id for id in self._reached(one.id, lambda link: link.to_id) if id != one.id]
            links = {link.id: link for id in ids for link in self._made.links_of(id) if self._is_known(link)}
            sessions = {id: int(self.record(id).data["session"]) for id in ids}
            graph = Dated(sessions, (Relation(link.from_id, link.to_id, link.kind) for link in links.values()))
            through = graph.timelines(one.id, self._params.most_timelines)
            ends = self.changed_into(one.id)
            every[one.id] = [line for line in through if line.steps[-1] in ends] or through
        return chosen(every, self._params.seed)

    def newer_said(self, hits: Sequence[Hit]) -> list[tuple[Hit, list[str]]]:
        """Hits of the open session with what they state, oldest first."""
        episodes = [(hit, hit.episode) for hit in hits if hit.episode is not None]
        ordered = sorted(episodes, key=lambda one: one[1].seq)
        return [(hit, [fact.text for fact in facts_in(episode)]) for hit, episode in ordered]

    def updates(self, old: str, new: str) -> bool:
        """Whether a statement takes the place of another."""
        for text in (old, new):
            if text not in self._claims:
                self._claims[text] = claims_in(text)
        return takes_back(self._claims[old], self._claims[new])

    def _is_known(self, link: Link) -> bool:
        return self.cue.as_of is None or link.recorded_at <= self.cue.as_of

    def _reached(self, start: str, side: Any) -> list[str]:
        """The memories that links lead to from one, itself first; `side`: the end of a link from which it is followed."""
        reached = {start: None}
        waiting = [start]
        while waiting and len(reached) < _MOST_NODES:
            following: list[str] = []
            for id in waiting:
                links = [link for link in self._made.links_of(id) if self._is_known(link) and side(link) == id]
                following += [link.to_id if link.from_id == id else link.from_id for link in links]
            waiting = [id for id in self.seen(following) if id not in reached]
            reached |= dict.fromkeys(waiting)
        return list(reached)


def _ranked(
    near: Sequence[tuple[Record, float]],
    lines: Mapping[str, Timeline],
    covered: Iterable[str],
    sight: _Sight,
    nearness: float,
) -> list[Hit]:
    """Memories and what was said since, one by one, best first; of the same score the newest first.

    A neighbour on a timeline has its memory's score, less with each step. What a memory has changed into, on record or in
    what was said since, has at least its score. covered: memories that were told already.
    """
    shown: dict[str, tuple[float, Reason]] = {}

    def lift(id: str, reason: Reason) -> None:
        if id not in shown or reason.contribution > shown[id][0]:
            shown[id] = (reason.contribution, reason)

    for record, score in near:
        lift(record.id, Reason("meaning", score, 1.0))
    scores = {record.id: score for record, score in near}
    for id, line in lines.items():
        at = line.steps.index(id)
        for place, step in enumerate(line.steps):
            if place != at and not sight.has_changed(step):
                note = f"on the timeline of: {_brief(sight.record(id).text)}"
                lift(step, Reason("timeline", scores[id], nearness ** abs(place - at), note))
    said = sight.newer_said(sight.view.tail_hits(replace(sight.cue, limit=_TAIL, threshold=0.0), after=sight.after))
    for hit, _ in said:
        lift(hit.id, hit.reasons[0])
    for record, score in near:
        for later in sight.changed_into(record.id):
            lift(later, Reason("timeline", score, 1.0, f"what has changed: {_brief(record.text)}"))
    for at, (hit, facts) in enumerate(said):  # oldest first, so that a second change has the first one's score
        stated = [(id, [sight.record(id).text]) for id in shown if id in sight.view.made.records]
        stated += [(other.id, texts) for other, texts in said[:at]]
        for id, texts in stated:
            if any(sight.updates(old, new) for old in texts for new in facts):
                lift(hit.id, Reason("timeline", min(shown[id][0], 1.0), 1.0, "said since, in another way"))
    order = {hit.id: at for at, (hit, _) in enumerate(said)}
    tail = {hit.id: hit for hit, _ in said}
    covered = set(covered)
    ranked = sorted(
        (id for id in shown if id not in covered),
        key=lambda id: (-shown[id][0], id not in order, -order[id] if id in order else -sight.record(id).data["session"], id),
    )  # fmt: skip
    hits = []
    for id in ranked:
        score, reason = shown[id]
        hit = tail[id] if id in tail else Hit(record=sight.record(id), score=score)
        hits.append(replace(hit, score=score, reasons=(reason,)))
    return hits


# -- prompts --------------------------------------------------------------------------------------------------


def _relating(older: Record, newer: Record, earlier: Sequence[Episode], later: Sequence[Episode]) -> Prompt:
    memories = {"A": Shown(older.text, older.sources), "B": Shown(newer.text, newer.sources)}
    return Prompt(RELATE, {"earlier": turns(earlier), "later": turns(later), **memories}, max_tokens=512)


def _refining(line: Timeline, sight: _Sight) -> Prompt:
    steps = []
    for id, leads in zip(line.steps, [*line.relations, None], strict=True):
        record = sight.record(id)
        time = (record.valid_from or record.recorded_at).isoformat()
        steps.append({"time": time, "text": record.text} | ({"relation": leads} if leads else {}))
    return Prompt(REFINE, {"cue": Shown(sight.cue.text), "timeline": Shown(steps, _sources(line, sight))})


def _as_record(line: Timeline, text: str, sight: _Sight) -> Record:
    """A timeline as it was told, or as it stands where nothing was told; a record of this recall alone."""
    steps = [sight.record(id) for id in line.steps]
    return Record(
        id=record_id(ID, TIMELINE, *line.steps),
        system=ID,
        scope=sight.view.scope,
        kind=TIMELINE,
        text=text or plain([one.text for one in steps], line.relations),
        sources=_sources(line, sight),
        recorded_at=max(one.recorded_at for one in steps),
        valid_from=steps[-1].valid_from,
        data={"steps": list(line.steps), "relations": list(line.relations), BY: "llm" if text else "offline"},
    )


def plain(texts: Sequence[str], relations: Sequence[str]) -> str:
    """A timeline in one line.

    >>> plain(["A.", "B."], ["Changed"])
    '[A.] - (Changed) - [B.]'
    """
    leads = [*(f" - ({kind}) - " for kind in relations), ""]
    return "".join(f"[{text}]{lead}" for text, lead in zip(texts, leads, strict=True))


def _shortened(line: Timeline, id: str, most: int) -> Timeline:
    """The steps that lead to a memory and the last ones, at most so many together."""
    at = line.steps.index(id)
    if len(line.steps) <= most:
        return line
    keep = [*range(len(line.steps))][max(0, at - most // 2) : at + 1]
    rest = most - len(keep)
    keep += [*range(max(at + 1, len(line.steps) - rest), len(line.steps))] if rest > 0 else []
    leads = [line.relations[one] if other == one + 1 else "later" for one, other in pairwise(keep)]
    return Timeline(tuple(line.steps[one] for one in keep), tuple(leads))


def _sources(line: Timeline, sight: _Sight) -> tuple[str, ...]:
    return tuple(dict.fromkeys(source for id in line.steps for source in sight.record(id).sources))


def _brief(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"


def _known(name: str) -> str | None:
    """The relation that a model named; None for none, or for one that there is not."""
    said = re.sub(r"[\W_]+", "", name).casefold()
    return next((kind for kind in RELATIONS if kind.casefold() == said), None)


def _link(older: Record, newer: Record, kind: str, by: str) -> Link:
    """The link of two memories. The model's explanation is not kept: it may hold anything of both sessions."""
    return Link(
        id=record_id(ID, "link", older.id, newer.id),
        system=ID,
        scope=newer.scope,
        kind=kind,
        from_id=older.id,
        to_id=newer.id,
        sources=tuple(dict.fromkeys((*older.sources, *newer.sources))),
        recorded_at=newer.recorded_at,
        data={BY: by},
    )
