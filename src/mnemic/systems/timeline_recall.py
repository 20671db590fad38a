"""Recall along timelines: the memories nearest to a cue, with what led to each and what became of it.

The one idea: a memory alone may be out of date, or out of its context. So each recalled memory comes with one path through the
links on which it lies, told for the present question by a model; without one memory by memory, and what a memory has changed
into stands before it. What was said since the last session is recalled as it was said, and may change what is on record.

Card: theanine. Source: arXiv 2406.10996, THEANINE. Departs: see `systems.theanine`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

from mnemic.clock import to_microseconds
from mnemic.model import Cue, Hit, Link, Reason, Record
from mnemic.models.prompt import Prompt, Shown
from mnemic.ops.cause_effect import CHANGED, takes_back
from mnemic.ops.claims import Claim, claims_in
from mnemic.ops.extract import facts_in
from mnemic.ops.timeline import Dated, Relation, Timeline, chosen
from mnemic.ops.told_change import tells_change
from mnemic.systems.chunked import Standing
from mnemic.systems.contract import BY
from mnemic.systems.linked_memories import ID, SESSIONS, Params
from mnemic.systems.view import View

TIMELINE = "timeline"

REFINE = """
"cue" is what is said or asked now. "timeline" holds memories of the same speakers from the oldest to the newest; "relation" says
how each leads to the next. Rewrite the timeline as a short text with what is useful for the next reply: keep the order of
events, names and dates, say what has changed into what, leave out what does not bear on the cue, and add nothing.
Answer with {"text": …}.
"""
_MOST_NODES = 400  # of a timeline's surroundings that are looked at
_TAIL = 64  # episodes of the open session that may update what is recalled


@dataclass(frozen=True, slots=True)
class RefinedAnswer:
    """What a model answers to REFINE."""

    text: str = ""


class Sight(Standing):
    """What a recall sees: the sessions before the present one, and what of the present one was said."""

    def __init__(self, cue: Cue, view: View, params: Params) -> None:
        super().__init__(cue, view, SESSIONS)
        self.view, self._params, self._made = view, params, view.made
        is_open, gap = view.made.state.get("open"), params.gap // timedelta(microseconds=1)
        if is_open and cue.as_of is None and to_microseconds(cue.asked_at) - is_open["at"] <= gap:
            self.after = int(view.made.state.get("done", 0))  # it may still go on
            self.hidden = frozenset(is_open["ids"])
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
        return takes_back(self._claims[old], self._claims[new]) or tells_change(old, new)

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


def ranked(
    near: Sequence[tuple[Record, float]],
    lines: Mapping[str, Timeline],
    covered: Iterable[str],
    sight: Sight,
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
    said = sight.newer_said(sight.tail(_TAIL))
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
    ordered = sorted(
        (id for id in shown if id not in covered),
        key=lambda id: (-shown[id][0], id not in order, -order[id] if id in order else -sight.record(id).data["session"], id),
    )  # fmt: skip
    hits = []
    for id in ordered:
        score, reason = shown[id]
        hit = tail[id] if id in tail else Hit(record=sight.record(id), score=score)
        hits.append(replace(hit, score=score, reasons=(reason,)))
    return hits


def told(lines: Mapping[str, Timeline], scores: Mapping[str, float], sight: Sight, most_steps: int) -> list[Hit]:
    """Each timeline as a model tells it for the cue; none where no model answers."""
    shown = {id: _shortened(line, id, most_steps) for id, line in lines.items()}
    prompts = [_refining(line, sight) for line in shown.values()]
    answers = sight.view.ask.many("refine", prompts, RefinedAnswer) if prompts else []
    if all(answer is None for answer in answers):
        return []
    hits = []
    for (id, line), answer in zip(shown.items(), answers, strict=True):
        text = " ".join(answer.text.split()) if answer is not None else ""
        record = _as_record(id, line, text, sight)
        hits.append(Hit(score=scores[id], record=record, reasons=(Reason("meaning", scores[id], 1.0),)))
    return hits


def _refining(line: Timeline, sight: Sight) -> Prompt:
    steps = []
    for id, leads in zip(line.steps, [*line.relations, None], strict=True):
        record = sight.record(id)
        time = (record.valid_from or record.recorded_at).isoformat()
        steps.append({"time": time, "text": record.text} | ({"relation": leads} if leads else {}))
    return Prompt(REFINE, {"cue": Shown(sight.cue.text), "timeline": Shown(steps, _sources(line, sight))})


def _as_record(id: str, line: Timeline, text: str, sight: Sight) -> Record:
    """A timeline as it was told, or as it stands where nothing was told; it goes by the id of the memory it was told for, so
    that feedback names what is there."""
    steps = [sight.record(id) for id in line.steps]
    return Record(
        id=id,
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


def _sources(line: Timeline, sight: Sight) -> tuple[str, ...]:
    return tuple(dict.fromkeys(source for id in line.steps for source in sight.record(id).sources))


def _brief(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"
