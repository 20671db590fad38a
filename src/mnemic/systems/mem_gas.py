"""MemGAS: sessions at four granularities, linked by a mixture, weighed by how well each tells the cue's matches apart.

Every session is kept as its whole text, the mean of its turns, a summary and keywords. Each of these is linked to older ones
of any granularity: of the nearest, those that a mixture of two Gaussians puts into the higher component. A cue weighs the
granularities by the entropy of its similarities, the best units of all are where a walk over the links starts, and a session's
rank is the sum of its four units' shares of that walk (personalised PageRank).

Source: MemGAS, arXiv 2505.19549. The entropy is divided by log N, since with its code's 1 - H a weight falls below 0 where more
than e units compare; `formula="nats"` is that form. Only a tenth of each step of the walk follows links, as there.

A session is closed by the next one, by silence or by its length; what is still open is recalled turn by turn, and
`consolidate` makes its units for now. As of an earlier time what was open then is recalled turn by turn.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, get_args

import numpy as np

from mnemic.errors import ParameterError
from mnemic.model import Cue, Episode, Hit, Link, Reason, Record
from mnemic.models.prompt import Asks, Prompt, Shown, turns
from mnemic.ops.granularity import Formula, by_owner, weighted, weights
from mnemic.ops.keywords import keywords
from mnemic.ops.mixture import accepted
from mnemic.ops.pagerank import pagerank, seeded
from mnemic.ops.segment import sessions_in
from mnemic.ops.summarise import summarise
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.feedback import heard
from mnemic.systems.made import Made, Vector
from mnemic.systems.units import drop_provisional, open_session_after, uncorrected
from mnemic.systems.view import View
from mnemic.text.terms import terms

ID = "memgas"
SESSION, TURN, SUMMARY, KEYWORD = GRANULARITIES = ("session", "turn", "summary", "keyword")
ASSOCIATED = "associated"
KEYWORDS = """
"turns" holds a conversation. List the keywords that would lead back to it: names, places, things, activities and topics, the
most important first, in the language of the conversation.
Answer with {"keywords": [the words]}.
"""
FILTER = """
"sessions" holds past conversations, each with a number, its date, text, summary and keywords; "question" is what is asked now.
Copy from the texts what bears on the question, word for word, leaving out everything else.
Answer with {"relevant": [{"session": the number, "parts": [the copied passages]}]}; leave out a session with nothing relevant.
"""
_MOST_KEYWORDS = 12


@dataclass(frozen=True, slots=True)
class Params:
    """How sessions are cut and linked, and how recall weighs, walks and filters."""

    candidates: int = 30  # older units whose similarities the mixture looks at (mem_threshold)
    first: int = 5  # sessions that are not linked back, being too few for a mixture
    seeds: int = 15  # units at which the walk starts (num_seednodes)
    follow: float = 0.1  # the probability of following a link rather than starting anew (damping)
    temperature: float = 0.2  # of the router; the paper's command has 0.2, its code 0.1
    formula: Formula = "normalised"  # of the router, or "nats" as its code has it
    filtered: int = 3  # sessions of which a model keeps only what bears on the cue; 0 for none
    gap_minutes: float = 30.0  # of silence, after which a session is over
    max_turns: int = 100  # after which it is over too
    max_words: int = 120  # of a summary

    def __post_init__(self) -> None:
        for name, least in (
            ("candidates", 2),
            ("first", 0),
            ("seeds", 1),
            ("filtered", 0),
            ("max_turns", 1),
            ("max_words", 1),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ParameterError(f"{name}={value!r}: give a whole number of {least} or more.")
        for name in ("temperature", "gap_minutes"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 < value < math.inf:
                raise ParameterError(f"{name}={value!r}: give a number above 0.")
        if not isinstance(self.follow, int | float) or not 0.0 <= self.follow < 1.0:
            raise ParameterError(f"follow={self.follow!r}: give a number of 0 or more, below 1.")
        if self.formula not in get_args(Formula):
            raise ParameterError(f"formula={self.formula!r}: it is {' or '.join(get_args(Formula))}.")


@dataclass(frozen=True, slots=True)
class KeywordsAnswer:
    """What a model answers to KEYWORDS."""

    keywords: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Relevant:
    """What bears on the question in one session, as a model gives it."""

    session: int = -1
    parts: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FilterAnswer:
    """What a model answers to FILTER."""

    relevant: list[Relevant] = field(default_factory=list)


class MemGAS(MemorySystem):
    """Sessions at four granularities in one graph."""

    params_type = Params
    card = Card(
        id=ID,
        title="MemGAS",
        year=2025,
        family="conversation",
        summary="Sessions, turns, summaries and keywords in one graph; entropy weighs them, PageRank ranks the sessions.",
        source="Xu et al., Towards Multi-Granularity Memory Association and Selection, arXiv 2505.19549",
        needs=("embedder", "llm"),
        makes=GRANULARITIES,
        cost="two calls for each session; one in recall, to keep what bears on the cue of the best sessions",
        flow=(
            "E[episodes] --> S[a session closes]\n"
            "S --> G[text, mean of turns, summary, keywords]\n"
            "G --> M[mixture of two over the nearest older units]\n"
            "M --> L[links to the higher component]\n"
            "Q[cue] --> R[granularities weighed by entropy]\n"
            "R --> P[PageRank from the best units over links]\n"
            "L --> P --> T[sessions by the sum of their units]\n"
            "T --> F[a model keeps what bears on the cue]"
        ),
        departures=(
            "The router divides an entropy by log N, so that no weight falls below 0; the published form is a parameter.",
            "The mean of the turns is scaled to unit length, as all vectors here are.",
            "A session's score is its share of the walk relative to the best session's, times that session's best cosine, so "
            "that it can stand beside turns of a session that is still open.",
            "Ties at the seeds are cut, not kept; a session's filtered text is given once.",
            "What a model copies counts only where it stands word for word in the session; a session of which nothing does stays "
            "whole.",
            "Without a model keywords and summary are extracted, and sessions are recalled in full.",
            "What was corrected before its session was over is not in it; later its session still has it beside the correction.",
        ),
    )

    def __init__(self, params: Params | None = None) -> None:
        self.params: Params = params or Params()

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        draft = view.draft()
        state = draft.state
        _reopen(draft)
        units, _, closers = self._units(view, state.get("done", 0))
        for unit, closer in zip(units, closers, strict=True):
            self._keep(unit, closer, draft, view)
            state["sessions"] = state.get("sessions", 0) + 1
            state["done"] = unit[-1].seq
        return draft.changes()

    def consolidate(self, view: View) -> Changes:
        """Make the units of the session that is still open, for now."""
        draft = view.draft()
        _reopen(draft)
        _, tail, _ = self._units(view, draft.state.get("done", 0))
        if tail:
            draft.state["provisional"] = self._keep(tail, tail[-1], draft, view, is_provisional=True)
            draft.state["provisional_to"] = tail[-1].seq
        return draft.changes()

    def _units(self, view: View, done: int) -> tuple[list[list[Episode]], list[Episode], list[Episode]]:
        """(closed sessions, what is still open, the episode that closed each)."""
        said = heard(view.since(done))
        most = self.params.max_turns
        units, tail = sessions_in(said, gap=timedelta(minutes=self.params.gap_minutes), max_turns=most)
        following = [*(unit[0] for unit in units[1:]), *tail[:1]]
        closers = [unit[-1] if len(unit) >= most else following[at] for at, unit in enumerate(units)]
        return units, tail, closers

    def _keep(
        self, unit: Sequence[Episode], closer: Episode, draft: Draft, view: View, *, is_provisional: bool = False
    ) -> list[str]:
        """Make the four units of a session, as far as it was not corrected meanwhile, and link them back; their ids."""
        unit = uncorrected(view, unit, closer)
        if not unit:
            return []
        own = unit_ids(unit[0].id)
        prompt = Prompt(KEYWORDS, {"turns": turns(unit)}, max_tokens=512)
        summary = summarise(unit, view.ask, max_words=self.params.max_words)
        words = _keywords(unit, view.ask, prompt)
        speakers = ", ".join(dict.fromkeys(one.speaker for one in unit))
        texts = {
            SESSION: ("\n".join(f"{one.speaker}: {one.text}" for one in unit), "offline"),
            TURN: (f"{len(unit)} turns by {speakers}", "offline"),
            SUMMARY: (summary.text or unit[0].text, summary.path),
            KEYWORD: words,
        }
        embedded = view.embed([*(texts[one][0] for one in (SESSION, SUMMARY, KEYWORD)), *(one.text for one in unit)])
        vectors = {SESSION: embedded[0], SUMMARY: embedded[1], KEYWORD: embedded[2], TURN: _mean(embedded[3:])}
        sources = tuple(one.id for one in unit)
        may_link = draft.state.get("sessions", 0) >= self.params.first
        for kind in GRANULARITIES:
            text, by = texts[kind]
            data: dict[str, Any] = {BY: by, "session": own[SESSION]}
            if unit[0].session is not None:
                data["name"] = unit[0].session
            if is_provisional:
                data["provisional"] = True
            record = Record(
                id=own[kind],
                system=ID,
                scope=view.scope,
                kind=kind,
                text=text,
                sources=sources,
                recorded_at=max(one.recorded_at for one in (*unit, closer)),
                valid_from=unit[0].occurred_at,
                data=data,
            )
            near = draft.nearest(vectors[kind], self.params.candidates, but=tuple(own.values())) if may_link else []
            draft.put(record, vector=vectors[kind])
            is_linked = accepted([score for _, score in near]).tolist()
            for (other, score), is_near in zip(near, is_linked, strict=True):
                if is_near:
                    draft.put_link(_association(record, other, score))
        return list(own.values())

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        made, vector = view.made, view.query_vector(cue)
        if vector is None:
            words = made.words(terms(cue.text), kinds=[SESSION, SUMMARY, KEYWORD], as_of=cue.as_of)
            best: dict[str, float] = {}
            for id, score in words.items():
                if cue.as_of is None or not made.records[id].data.get("provisional"):
                    owner = made.records[id].data["session"]
                    best[owner] = max(best.get(owner, 0.0), score)
            ranked = [(made.records[id], score, 1.0, "words") for id, score in best.items()]
        else:
            ranked = ranked_sessions(made, vector, self.params, cue.as_of)
        ranked.sort(key=lambda one: (-one[1] * one[2], one[0].id))
        of = {one.id: (share, scale, note) for one, share, scale, note in ranked}

        def why(record: Record, score: float) -> tuple[Reason, ...]:
            share, scale, note = of[record.id]
            return (Reason("association", share, scale, note),)

        hits = view.record_hits([(one, share * scale) for one, share, scale, _ in ranked], cue, why)
        hits += view.tail_hits(cue, after=self._closed(view, cue))
        hits = sorted(hits, key=lambda hit: (-hit.score, hit.id))[: cue.limit]
        return self._filtered(hits, cue, view)

    def _closed(self, view: View, cue: Cue) -> int:
        """The last position whose session had been closed, or made for now, at the cue's time."""
        state = view.made.state
        done = int(state.get("done", 0))
        if cue.as_of is None:
            return int(state.get("provisional_to", done))
        gap = timedelta(minutes=self.params.gap_minutes)
        return min(done, open_session_after(view, cue, gap, self.params.max_turns))

    def _filtered(self, hits: list[Hit], cue: Cue, view: View) -> list[Hit]:
        """The hits, of the best sessions only what a model says bears on the cue."""
        whole = [hit.record for hit in hits if hit.record is not None][: self.params.filtered]
        if not whole:
            return hits
        made = view.made
        shown = []
        for number, one in enumerate(whole, start=1):
            own = unit_ids(one.sources[0])
            beside = {kind: made.records[own[kind]].text for kind in (SUMMARY, KEYWORD) if own[kind] in made.records}
            date = (one.valid_from or one.recorded_at).date().isoformat()
            shown.append({"session": number, "date": date, "text": one.text, **beside})
        sources = tuple(dict.fromkeys(source for one in whole for source in one.sources))
        data = {"sessions": Shown(shown, sources), "question": Shown(cue.text)}
        answer = view.ask("filter", Prompt(FILTER, data), FilterAnswer)
        if answer is None:
            return hits
        kept: dict[str, str] = {}
        for given in answer.relevant:
            if 1 <= given.session <= len(whole):
                one = whole[given.session - 1]
                if text := verbatim(one.text, given.parts):
                    kept.setdefault(one.id, text)
        return [
            replace(
                hit, record=replace(hit.record, text=kept[hit.record.id], data={**hit.record.data, "filtered": True})
            )
            if hit.record is not None and hit.record.id in kept
            else hit
            for hit in hits
        ]


# -- making ---------------------------------------------------------------------------------------------------


def unit_ids(first: str) -> dict[str, str]:
    """The ids of a session's four units, from its first episode's."""
    return {kind: record_id(ID, kind, first) for kind in GRANULARITIES}


def _keywords(unit: Sequence[Episode], ask: Asks, prompt: Prompt) -> tuple[str, str]:
    """(keywords, semicolon-separated; which path told them)."""
    answer = ask("keywords", prompt, KeywordsAnswer)
    given = (
        [" ".join(word.split()).strip(" ;,.") for one in answer.keywords for word in one.split(";")] if answer else []
    )
    words = list(dict.fromkeys(word for word in given if word))[:_MOST_KEYWORDS]
    if words:
        return "; ".join(words), "llm"
    speakers = list(dict.fromkeys(one.speaker for one in unit))
    return "; ".join(keywords([one.text for one in unit], _MOST_KEYWORDS, speakers)) or unit[0].text, "offline"


def _mean(rows: Vector) -> Vector:
    mean = rows.sum(axis=0, dtype=np.float64)
    length = math.sqrt(float((mean * mean).sum()))
    return np.asarray(mean / length if length > 0.0 else mean, np.float32)


def _association(new: Record, old: Record, score: float) -> Link:
    return Link(
        id=record_id(ID, ASSOCIATED, new.id, old.id),
        system=ID,
        scope=new.scope,
        kind=ASSOCIATED,
        from_id=new.id,
        to_id=old.id,
        sources=(*old.sources, *new.sources),
        recorded_at=new.recorded_at,
        weight=round(min(max(float(score), 0.0), 1.0), 6),
    )


def _reopen(draft: Draft) -> None:
    drop_provisional(draft)
    draft.state.pop("provisional_to", None)


# -- recall ---------------------------------------------------------------------------------------------------


def ranked_sessions(
    made: Made, vector: Vector, params: Params, as_of: datetime | None = None
) -> list[tuple[Record, float, float, str]]:
    """(session, its share of the walk relative to the best one's, the best session's highest cosine, why) in no order."""
    units: list[Record] = []
    similarities: dict[str, list[float]] = {}
    for kind in GRANULARITIES:
        found = [
            (one, score)
            for one, score in made.scores(vector, kinds=[kind], as_of=as_of)
            if as_of is None or not one.data.get("provisional")
        ]
        found.sort(key=lambda one: one[0].id)
        units += [one for one, _ in found]
        similarities[kind] = [score for _, score in found]
    if not units:
        return []
    arrays = {kind: np.array(scores, np.float64) for kind, scores in similarities.items()}
    router = weights(arrays, params.temperature, params.formula)
    score = np.concatenate(list(weighted(arrays, router).values()))
    place = {one.id: at for at, one in enumerate(units)}
    ends = [
        (place[link.from_id], place[link.to_id])
        for link in made.links.values()
        if link.from_id in place and link.to_id in place
    ]
    ends.sort()
    walk = pagerank(
        len(units),
        [first for first, _ in ends],
        [last for _, last in ends],
        seeded(score, params.seeds),
        follow=params.follow,
    )
    owners = {id: at for at, id in enumerate(dict.fromkeys(one.data["session"] for one in units))}
    owner_of = [owners[one.data["session"]] for one in units]
    ranks = by_owner(walk, owner_of, len(owners))
    cosine = np.concatenate(list(arrays.values()))
    top = int(np.argmax(ranks))
    if not ranks[top] > 0.0:
        return []
    best = min(1.0, max(0.0, max(float(value) for value, own in zip(cosine, owner_of, strict=True) if own == top)))
    foremost = max(router, key=lambda kind: router[kind])
    return [
        (made.records[id], float(ranks[at] / ranks[top]), best, f"told apart best by {foremost}")
        for id, at in owners.items()
        if ranks[at] > 0.0
    ]


def verbatim(text: str, parts: Sequence[str]) -> str:
    """The parts that stand word for word in the text, in its order and as it has them; white space may differ."""
    found: dict[int, str] = {}
    for part in parts:
        words = part.split()
        if words and (match := re.search(r"\s+".join(map(re.escape, words)), text)):
            found.setdefault(match.start(), match.group())
    return "\n".join(found[at] for at in sorted(found))
