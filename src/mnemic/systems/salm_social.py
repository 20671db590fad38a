"""SALM for social agents: a small memory that is scored by attention and used as a cache.

The one idea: in a long social life most situations come again. What an agent lives through is appraised once; when it comes
again the kept appraisal is reused and the memory only grows stronger, so that the calls grow slower than the life. A bounded
working set holds what scores highest by recency and importance, the rest is archived. What was answered in a situation is kept
with it and comes back when the situation does. How far an agent drifts from itself is measured.
Source: SALM, arXiv 2505.09081; its code was not read.

Departs, as the card of this file says in full: where the paper's formulas were not found they are ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemic.errors import ParameterError
from mnemic.index.vectors import products
from mnemic.model import Cue, Episode, Hit, Link, Reason, Record
from mnemic.models.prompt import Prompt, turns
from mnemic.ops.extract import facts_in
from mnemic.ops.granularity import softmax
from mnemic.ops.keywords import keywords
from mnemic.ops.repeats import has_number
from mnemic.ops.repeats import turns as turns_round
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.feedback import feedback_in, heard
from mnemic.systems.made import Made, Scored, holds
from mnemic.systems.nearest_first import hits_of_nearest, nearest_first
from mnemic.systems.salm_measures import AGAIN, ARCHIVE, ITEM, PERSONALITY, WORKING, moves_of, tier
from mnemic.systems.units import episode_at
from mnemic.systems.view import View
from mnemic.text.terms import normalised, terms

ID = "salm-social"
REPLY = "reply"
USED = "used"  # a link from an item to the feedback that says so
APPRAISE = """
You appraise what happened for the memory of somebody who takes part in a social life. "interaction" is one turn of it.
- summary: one sentence in the third person that says what happened and what it means between those involved, with names.
- importance: from 1, everyday and soon forgotten, to 10, a turning point.
Answer with {"summary": …, "importance": …}.
"""
_LONGEST = 500  # characters of a summary
_NEAR = 20  # items that may be the same again


@dataclass(frozen=True, slots=True)
class Params:
    """What SALM can be told. The paper's figures were not found: these are ours."""

    capacity: int = 200  # items of the working set
    reuse_threshold: float = 0.92  # the cosine from which a situation is one that was met before; 1 nearly never reuses
    temperature: float = 0.05  # of attention, for unit vectors; the paper divides by the root of the dimension
    recency_power: float = 0.2  # how fast an item fades with the steps since it was last met: (1 + steps)^-power
    archive_share: float = 0.95  # what a match in the archive counts; 0 looks into the working set alone
    window: int = 20  # turns of one speaker that a personality vector is the mean of

    def __post_init__(self) -> None:
        if self.capacity < 1 or self.window < 1:
            raise ParameterError(f"capacity={self.capacity}, window={self.window}: give 1 or more of each.")
        if not 0.0 < self.reuse_threshold <= 1.0 or not 0.0 <= self.archive_share <= 1.0:
            raise ParameterError(
                f"reuse_threshold={self.reuse_threshold}, archive_share={self.archive_share}: give numbers up to 1, "
                "the threshold above 0."
            )
        if not self.temperature > 0.0 or not self.recency_power >= 0.0:
            raise ParameterError(
                f"temperature={self.temperature}, recency_power={self.recency_power}: give one above 0, and 0 or more."
            )


@dataclass(frozen=True, slots=True)
class AppraiseAnswer:
    """What a model answers to APPRAISE."""

    summary: str = ""
    importance: float = 5.0


@dataclass(frozen=True, slots=True)
class Reuse:
    """A kept response that a situation calls for."""

    response: str
    match: float  # the cosine of the two situations
    record: Record


class SalmSocial(MemorySystem):
    """A working set and an archive, used as a cache."""

    card = Card(
        id=ID,
        title="SALM social agents",
        year=2025,
        family="conversation",
        summary="A small attention-scored memory used as a cache: what comes again is reused instead of appraised again.",
        source="SALM: A Multi-Agent Framework for Language Model-Driven Social Network Simulation, arXiv 2505.09081",
        needs=("embedder", "llm"),
        makes=(ITEM, REPLY, PERSONALITY),
        cost="one call for each turn that is like none before; none for one that comes again; none in a recall",
        flow="E[turn] --> M{met before?}\nM -->|hit| A[counts again, summary reused]\nM -->|miss| S[summary and importance]\n"
        "S --> W[working set]\nW -->|beyond capacity| X[archive]\nE --> R[situation and response]\n"
        "E --> P[personality vectors, drift]\nQ[cue] --> T[attention x recency x importance]\nW --> T\nX --> T",
        departures=(
            "The formulas of scoring and the threshold of reuse were not found; attention is a softmax over cosines "
            "with a temperature, since the products of unit vectors over the root of their dimension would be all but"
            " even.",
            "A hit's score is its cosine with the temperature times the logarithms of recency and importance added: "
            "in the order of attention times recency times importance, on the scale of cosines.",
            "Two situations are the same only with the same speaker, and where no number and no negation tells them "
            "apart.",
            "What comes again is a dated link to its episode and leaves the item as it is, so that its past can be "
            "asked for.",
            "The archive is looked into as well, at a discount; the paper recalls from the working set.",
            "The agent is the scope, and in it the speaker: a kept response is given to the speaker who gave it, and "
            "no other.",
            "Prompts are not split into levels of which only the changed ones are sent: every call stands alone here,"
            " and shows the turn alone.",
            "The system keeps responses and finds them; whether to reuse one or to ask a model is the caller's to "
            "decide.",
            "Personality is the mean vector of what a speaker said in a window, as the log holds no traits.",
        ),
    )
    params_type = Params

    def __init__(self, params: Params | None = None) -> None:
        self.params: Params = params or Params()

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        draft = view.draft()
        said = heard(episodes)
        vectors = dict(zip((one.id for one in said), view.embed([one.text for one in said]), strict=True))
        before = episode_at(draft.state.get("last"), view) if said else None
        for episode in episodes:
            if episode.id in vectors:
                is_with = before is not None and before.session == episode.session and before.speaker != episode.speaker
                partner = before if is_with else None
                item = self._meet(draft, episode, vectors[episode.id], view, partner)
                self._note_personality(draft, item, episode)
                if partner is not None:
                    known = vectors[partner.id] if partner.id in vectors else view.embed([partner.text])[0]
                    self._keep_reply(draft, partner, known, episode)
                before = episode
                draft.state["last"] = episode.seq
            elif (feedback := feedback_in(episode)) is not None and feedback.verdict in ("used", "helpful"):
                for id in dict.fromkeys(feedback.ids):
                    if (record := draft.get(id)) is not None and record.kind == ITEM:
                        self._touch(draft, record, episode, USED)
        return draft.changes()

    # -- writing ------------------------------------------------------------------------------------------

    def _meet(
        self, draft: Draft, episode: Episode, vector: NDArray[np.float32], view: View, partner: Episode | None
    ) -> str:
        """Let an item count again, or make one; its id."""
        draft.state["step"] = draft.state.get("step", 0) + 1
        known = self._met(draft, ITEM, vector, episode)
        if known is not None:
            self._touch(draft, known, episode, AGAIN)
            return known.id
        answer = view.ask(
            "appraise", Prompt(APPRAISE, {"interaction": turns([episode])}, max_tokens=256), AppraiseAnswer
        )
        record = _item(episode, draft.state["step"], answer, view.scope, partner.speaker if partner else None)
        draft.put(record, vector=vector)
        self._admit(draft, record.id, episode)
        return record.id

    def _met(
        self, draft: Draft, kind: str, vector: NDArray[np.float32], episode: Episode, text: str = ""
    ) -> Record | None:
        """What was met before, by the same speaker, and is the same again."""
        near = draft.nearest(vector, _NEAR, kinds=(kind,), floor=self.params.reuse_threshold)
        if len(near) == _NEAR:  # many speak alike: then of the speaker's own
            near = draft.nearest(
                vector,
                _NEAR,
                kinds=(kind,),
                where=lambda one: one.data["agent"] == episode.speaker,
                floor=self.params.reuse_threshold,
            )
        said = text or episode.text
        for record, _ in near:
            is_own = record.data["agent"] == episode.speaker
            if not is_own or not is_same(record.data.get("situation", record.text), said):
                continue
            if kind == ITEM or draft.stands(_answer_alone(record), episode.seq):
                return record
        return None

    def _touch(self, draft: Draft, item: Record, episode: Episode, kind: str) -> None:
        draft.put_link(_link(item, episode, kind, draft.state.get("step", 0)))
        if item.kind == ITEM:
            if item.id not in draft.state.setdefault(WORKING, {}):
                draft.change(_moved(item, WORKING, episode.recorded_at))
            self._admit(draft, item.id, episode)

    def _admit(self, draft: Draft, id: str, episode: Episode) -> None:
        """Put an item into the working set; of the others, what scores lowest goes to the archive beyond its capacity."""
        step, working = draft.state.get("step", 0), draft.state.setdefault(WORKING, {})
        working[id] = step
        while len(working) > self.params.capacity:
            kept = [(one, last, record) for one, last in working.items() if one != id and (record := draft.get(one))]
            lowest = min(
                kept,
                key=lambda one: (
                    recency(step - one[1], self.params.recency_power) * one[2].data["importance"],
                    one[1],
                    one[0],
                ),
            )
            del working[lowest[0]]
            draft.change(_moved(lowest[2], ARCHIVE, episode.recorded_at))

    def _keep_reply(self, draft: Draft, before: Episode, vector: NDArray[np.float32], episode: Episode) -> None:
        """Keep what a speaker answered in a situation; the first answer stays where the situation comes again."""
        known = self._met(draft, REPLY, vector, episode, before.text)
        if known is not None:
            self._touch(draft, known, episode, AGAIN)
        else:
            draft.put(_reply(before, episode), vector=vector)

    def _note_personality(self, draft: Draft, item: str, episode: Episode) -> None:
        """Close a speaker's window when it is full."""
        windows = draft.state.setdefault("windows", {})
        window = windows.setdefault(episode.speaker, {"number": 0, "turns": []})
        window["turns"].append([item, episode.id])
        if len(window["turns"]) < self.params.window:
            return
        items = [record for id, _ in window["turns"] if (record := draft.get(id)) is not None]
        vectors = [found for one in items if (found := draft.vector(one.id)) is not None]
        sources = [*(id for _, id in window["turns"]), *(source for one in items for source in one.sources)]
        record = _personality(episode, window["number"], sources, [one.text for one in items])
        draft.put(record, vector=_mean(vectors))
        windows[episode.speaker] = {"number": window["number"] + 1, "turns": []}

    # -- recall -------------------------------------------------------------------------------------------

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        made, vector, reply = view.made, view.query_vector(cue), self.reuse(cue, view)
        now = _step_now(made, cue.as_of)

        def hits_among(scored: Iterable[Scored]) -> list[Hit]:
            found = {record.id: self._attended(record, cosine, now, cue, made) for record, cosine in scored}
            if reply is not None:
                reason = Reason("reuse", reply.match, 1.0, "what was answered when this came before")
                found[reply.record.id] = reply.record, reply.match, reason
            ranked = sorted(found.values(), key=lambda one: (-one[1], one[0].id))
            return view.record_hits([one[:2] for one in ranked], cue, lambda record, _: (found[record.id][2],))

        if vector is None:
            words = made.words(terms(cue.text), kinds=(ITEM,), as_of=cue.as_of)
            return hits_among((made.records[id], score) for id, score in words.items())
        return hits_of_nearest(vector, cue, view, (ITEM,), hits_among)

    def _attended(self, record: Record, cosine: float, now: int, cue: Cue, made: Made) -> tuple[Record, float, Reason]:
        """An item as it was met by the cue's time, its score and why."""
        links = [one for one in made.links_of(record.id) if cue.as_of is None or one.recorded_at <= cue.as_of]
        place = tier(record, cue.as_of)
        share = 1.0 if place == WORKING else self.params.archive_share
        last = max([record.data["step"], *(one.data["step"] for one in links)])
        fresh, importance = recency(now - last, self.params.recency_power), record.data["importance"]
        score = share * attended(cosine, fresh, importance, self.params.temperature)
        note = f"cosine {cosine:.2f}, recency {fresh:.2f}, importance {importance:.1f}, {place}"
        return _as_met(record, links, cue.as_of), score, Reason("attention", min(score, 1.0), 1.0, note)

    def reuse(self, cue: Cue, view: View, agent: str | None = None) -> Reuse | None:
        """What was answered in this situation before, where one is like it enough; None tells the caller to think anew.

        agent: only what this speaker answered.
        """
        vector = view.query_vector(cue)
        if vector is None:
            return None
        for record, cosine in nearest_first(vector, cue, view, (REPLY,)):
            match = min(cosine, 1.0)
            if match < self.params.reuse_threshold:
                break
            is_own = agent is None or record.data["agent"] == agent
            if not is_own or not is_same(record.data["situation"], cue.text):
                continue
            if view.sees([_answer_alone(record)], cue)[0]:
                return Reuse(record.text, match, record)
        return None


# -- formulas -------------------------------------------------------------------------------------------------


def attention(query: NDArray[np.float32], keys: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """[n] softmax(q·k / temperature) over keys [n, d]; with temperature √d that of the paper, for vectors of length √d."""
    return softmax(products(keys, query).astype(np.float64) / temperature)


def recency(steps: float, power: float = 0.2) -> float:
    """How fresh an item is: (1 + steps)^-power for the steps since it was last met; 1 now, never 0.

    >>> recency(0), round(recency(31), 3)
    (1.0, 0.5)
    """
    return float((1.0 + max(steps, 0.0)) ** -power)


def attended(cosine: float, recency: float, importance: float, temperature: float) -> float:
    """cosine + temperature·log(recency·importance), in [0, 1]: ranks as softmax(cosine / temperature)·recency·importance."""
    return min(max(cosine + temperature * math.log(recency * importance), 0.0), 1.0)


def importance_of(episode: Episode) -> float:
    """Without a model: how much a turn tells, from 0.3 for small talk to 0.9 for facts with names and numbers."""
    facts = facts_in(episode)
    names = {name for fact in facts for name in fact.entities}
    has_figure = has_number(frozenset(normalised(episode.text).split()))
    return round(0.3 + 0.3 * bool(facts) + 0.1 * min(len(names), 2) + 0.1 * has_figure, 2)


def is_same(one: str, other: str) -> bool:
    """Whether two texts that are alike in meaning say the same: no number and no negation stands in one alone."""
    apart = frozenset(normalised(one).split()) ^ frozenset(normalised(other).split())
    return not has_number(apart) and not turns_round(apart)


# -- records --------------------------------------------------------------------------------------------------


def _item(episode: Episode, step: int, answer: AppraiseAnswer | None, scope: str, partner: str | None) -> Record:
    summary = " ".join(answer.summary.split())[:_LONGEST] if answer is not None else ""
    is_said = answer is not None and any(map(str.isalnum, summary)) and math.isfinite(answer.importance)
    importance = (
        min(max(answer.importance / 10.0, 0.1), 1.0) if answer is not None and is_said else importance_of(episode)
    )
    data: dict[str, Any] = {"agent": episode.speaker, "step": step, "importance": importance}
    data |= {"partner": partner} if partner else {}
    return Record(
        id=record_id(ID, ITEM, episode.id),
        system=ID,
        scope=scope,
        kind=ITEM,
        text=episode.text,
        sources=(episode.id,),
        recorded_at=episode.recorded_at,
        valid_from=episode.occurred_at,
        data={**data, **({"summary": summary} if is_said else {}), BY: "llm" if is_said else "offline"},
    )


def _reply(before: Episode, episode: Episode) -> Record:
    return Record(
        id=record_id(ID, REPLY, before.id, episode.id),
        system=ID,
        scope=episode.scope,
        kind=REPLY,
        text=episode.text,
        sources=(before.id, episode.id),
        recorded_at=episode.recorded_at,
        valid_from=episode.occurred_at,
        data={"agent": episode.speaker, "partner": before.speaker, "situation": before.text, BY: "offline"},
    )


def _answer_alone(reply: Record) -> Record:
    """A reply as it came from the answer, which may have been corrected while its situation was not."""
    return replace(reply, sources=reply.sources[-1:])


def _personality(episode: Episode, number: int, sources: Sequence[str], texts: Sequence[str]) -> Record:
    words = ", ".join(keywords(texts, 5, (episode.speaker,)))
    return Record(
        id=record_id(ID, PERSONALITY, episode.speaker, str(number)),
        system=ID,
        scope=episode.scope,
        kind=PERSONALITY,
        text=f"{episode.speaker} speaks of {words}" if words else episode.speaker,
        sources=tuple(dict.fromkeys(sources)),
        recorded_at=episode.recorded_at,
        valid_from=episode.occurred_at,
        data={"agent": episode.speaker, "number": number, BY: "offline"},
    )


def _link(record: Record, episode: Episode, kind: str, step: int) -> Link:
    return Link(
        id=record_id(ID, kind, record.id, episode.id),
        system=ID,
        scope=record.scope,
        kind=kind,
        from_id=record.id,
        to_id=episode.id,
        sources=(episode.id,),
        recorded_at=episode.recorded_at,
        data={"step": step},
    )


def _moved(item: Record, to: str, at: datetime) -> Record:
    return replace(item, data={**item.data, "moves": [*item.data.get("moves", []), [at.isoformat(), to]]})


def _as_met(item: Record, links: Sequence[Link], as_of: datetime | None) -> Record:
    """The item as it was at a time, with every episode in which it was met by then."""
    data: Mapping[str, Any] = {name: value for name, value in item.data.items() if name != "moves"}
    if moves := moves_of(item, as_of):
        data = {**data, "moves": moves}
    met = (source for one in links if one.kind == AGAIN for source in one.sources)
    return replace(item, data=data, sources=tuple(dict.fromkeys((*item.sources, *met))))


def _mean(vectors: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """The unit vector in the direction of the mean."""
    mean = np.mean(np.stack(vectors).astype(np.float64), axis=0)
    length = float(np.sqrt(np.einsum("d,d->", mean, mean)))
    return np.asarray(mean / length if length > 0.0 else mean, np.float32)


def _step_now(made: Made, as_of: datetime | None) -> int:
    """How many turns there were, as far as was known at a time."""
    if as_of is None:
        return int(made.state.get("step", 0))
    steps = [one.data["step"] for one in made.records.values() if one.kind == ITEM and holds(one, as_of)]
    steps += [one.data["step"] for one in made.links.values() if one.kind == AGAIN and one.recorded_at <= as_of]
    return max(steps, default=0)
