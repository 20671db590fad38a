"""SAGE: an agent that reflects on its tasks, with a memory whose items fade from short-term to long-term to oblivion.

The one idea: retention R = exp(-t/S) is compared with two thresholds. At or above the upper one an item is in short-term
memory and recalled as it was said; between the two it is in long-term memory, shortened, and ranks by what is left of it;
below the lower one it is out of recall. What was learnt of a task, its reflections, goes to long-term memory at once.
`systems.task_loop.TaskLoop` is the agent: it acts, is checked, reflects and tries again with its reflections before it.

Source: arXiv 2409.00872; no official code was found, and neither the thresholds nor the unit of time are given there.
Departs: states are read off the log at the time of the cue, so nothing is moved and nothing lost; see the card.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from mnemic.errors import ParameterError
from mnemic.model import Cue, Episode, Hit, Reason, Record
from mnemic.models.prompt import Asks, Prompt, Shown, turns
from mnemic.ops.decay import Strength, days, reinforced
from mnemic.ops.summarise import Piece, summarise
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.feedback import heard
from mnemic.systems.units import closed_units, drop_provisional, is_new_session, open_unit, uncorrected
from mnemic.systems.uses import note_use, uses_of
from mnemic.systems.view import NoModel, View
from mnemic.text.terms import terms

ID = "sage"
ITEM, REFLECTION = "item", "reflection"
CHECKER = "checker"  # the role of what judges an assistant's output
State = Literal["short-term", "long-term", "forgotten"]
MOST_REFLECTIONS, LONGEST = 5, 600  # of one task; characters of one
_CHUNK = 80  # turns that a model is shown at once

REFLECT = """
"trajectory" holds what happened while somebody worked on a task, in order: requests, outputs, and what was said of them;
"reward", where it is there, how good the result was, from 0 to 1. Write what is to be learnt from it for the next time: why it
went well or badly and what to do then, and facts that will be needed again. Each is one or two sentences that can be
understood alone.
Answer with {"reflections": [{"text": …, "turns": [numbers of the turns it comes from]}]}, at most five, an empty list where
nothing is to be learnt.
"""


@dataclass(frozen=True, slots=True)
class Params:
    """How items fade. The paper gives none of the values."""

    upper: float = 0.5  # theta 1: from this retention on an item is in short-term memory
    lower: float = 0.01  # theta 2: below it an item is forgotten
    scale: float = 30.0  # days, or steps, after which an item that was never used keeps 1/e
    clock: str = "days"  # "days", or "steps": how many episodes came since
    gap_minutes: int = 30  # a silence after which a task is over
    compressed_words: int = 25  # of an item in long-term memory

    def __post_init__(self) -> None:
        if not 0.0 <= self.lower < self.upper <= 1.0:
            raise ParameterError(f"upper={self.upper}, lower={self.lower}: give 0 <= lower < upper <= 1.")
        if not self.scale > 0.0 or self.clock not in ("days", "steps"):
            raise ParameterError(f"scale={self.scale}, clock={self.clock!r}: above 0, and 'days' or 'steps'.")
        if self.gap_minutes < 1 or self.compressed_words < 1:
            raise ParameterError(f"{self.gap_minutes=}, {self.compressed_words=}: give 1 or more.")


@dataclass(frozen=True, slots=True)
class ReflectionAnswer:
    """One reflection, as a model gives it."""

    text: str = ""
    turns: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ReflectionsAnswer:
    """What a model answers to REFLECT."""

    reflections: list[ReflectionAnswer] = field(default_factory=list)


class Sage(MemorySystem):
    """Short-term memory, long-term memory and oblivion, told apart by retention."""

    card = Card(
        id=ID,
        title="SAGE",
        year=2024,
        family="conversation",
        summary="Items fade by a forgetting curve from short-term to long-term memory and out; tasks leave reflections.",
        source="Self-evolving Agents with reflective and memory-augmented abilities, arXiv 2409.00872",
        needs=("embedder", "llm"),
        makes=(ITEM, REFLECTION),
        cost="One call for each task (session) when it is over, for its reflections; a TaskLoop asks up to three for an attempt.",
        flow=(
            "E[episodes] --> I[items]\nE -->|a task is over| R[reflections]\nF[feedback: used] --> S[strength S]\n"
            "I --> C{R = exp of -t/S}\nR --> C\nS --> C\nC -->|R at least upper| T[short-term: as it was said]\n"
            "C -->|between| L[long-term: shortened, weighted by R]\nC -->|R below lower| O[out of recall, kept in the log]"
        ),
        departures=(
            "The paper's thresholds and its unit of time were not found: an item that was never used keeps 1/e after 30 days, "
            "leaves short-term memory at 0.5 and recall at 0.01; all of them are parameters, and the clock may count steps.",
            "What was corrected before its task was over is not reflected on.",
            "An item's state is read off the log when a cue is asked, so an item is never moved or deleted and a use can bring "
            "it back.",
            "Recall writes nothing: an item grows stronger by feedback that it was used or helpful. What importance does was not "
            "found, and items have none: S is 1 and one more for each use.",
            "Long-term items count by what is left of them, so that an unused item of 60 days ago has 0.14 of the weight of one "
            "of today, however well it fits: without feedback this is a memory of the last weeks.",
            "Short-term items are ranked by similarity, not all put before the model: a recall has a limit.",
            "Items are shortened by rule; a model is asked for reflections alone. A reflection's sources are the turns that the "
            "model says it comes from, of all that it was shown of the task.",
            "Without a model, reflections are what a checker said of the outputs of the task, word for word.",
        ),
    )
    params_type = Params

    def __init__(self, params: Params | None = None) -> None:
        self.params: Params = params or Params()

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        draft = view.draft()
        drop_provisional(draft)
        said = {one.id for one in heard(episodes)}
        for episode in episodes:
            note_use(draft, episode, ID, draft.state.get("steps", 0))
            if episode.id in said:
                draft.state["steps"] = draft.state.get("steps", 0) + 1
                draft.put(self._item(episode, draft.state["steps"]))
        for unit, closer in closed_units(view, draft, episodes, is_new_session(self._gap)):
            self._reflect(draft, view, unit, closer)
        return draft.changes()

    def consolidate(self, view: View) -> Changes:
        """Reflect on the task that is still under way, until it goes on."""
        draft = view.draft()
        drop_provisional(draft)
        if unit := open_unit(view, draft):
            made = self._reflect(draft, view, unit, unit[-1], is_provisional=True)
            draft.state["provisional"] = [one.id for one in made]
        return draft.changes()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        made, vector = view.made, view.query_vector(cue)
        if vector is not None:
            found = made.scores(vector, kinds=(ITEM, REFLECTION), as_of=cue.as_of)
        else:
            words = made.words(terms(cue.text), kinds=(ITEM, REFLECTION), as_of=cue.as_of)
            found = [(made.records[id], score) for id, score in words.items()]
        now = len(made.current((ITEM,), cue.as_of)) if self.params.clock == "steps" else days(cue.asked_at)
        ranked: list[tuple[Record, float]] = []
        left: dict[str, tuple[float, float]] = {}  # similarity and retention by record
        for record, similarity in found:
            if similarity <= 0.0 or (cue.as_of is not None and record.data.get("provisional")):
                continue
            retained = self._strength(record, view, cue).retention(now, self.params.scale)
            state = self.state(record, retained)
            if state == "forgotten":
                continue
            similarity = min(similarity, 1.0)
            left[record.id] = similarity, retained
            weighted = similarity if state == "short-term" else similarity * retained
            shown = record if state == "short-term" or record.kind == REFLECTION else _compressed(record)
            ranked.append((shown, weighted))
        ranked.sort(key=lambda one: (-one[1], one[0].id))

        def why(record: Record, score: float) -> tuple[Reason, ...]:
            similarity, retained = left[record.id]
            state = self.state(record, retained)
            weight = 1.0 if state == "short-term" else retained
            return (
                Reason(
                    "meaning" if vector is not None else "words", similarity, weight, f"{state}, {retained:.2f} left"
                ),
            )

        return view.record_hits(ranked, cue, why)

    def state(self, record: Record, retained: float) -> State:
        """Where a record stands with so much of it left; reflections begin in long-term memory."""
        state = state_of(retained, self.params.upper, self.params.lower)
        return "long-term" if record.kind == REFLECTION and state == "short-term" else state

    # -- inside -------------------------------------------------------------------------------------------

    @property
    def _gap(self) -> timedelta:
        return timedelta(minutes=self.params.gap_minutes)

    def _strength(self, record: Record, view: View, cue: Cue) -> Strength:
        by_steps = self.params.clock == "steps"
        ids = (record.id, *record.sources) if record.kind == ITEM else (record.id,)
        strength = Strength(float(record.data["step"]) if by_steps else days(_made_at(record)))
        for use in uses_of(view.made, ids, cue):
            if use.is_recall:
                strength = strength.recalled(float(use.step) if by_steps else days(use.at))
        return strength

    def _item(self, episode: Episode, step: int) -> Record:
        compressed = summarise([Piece(episode.text, (episode.id,))], NoModel(), max_words=self.params.compressed_words)
        return Record(
            id=record_id(ID, ITEM, episode.id),
            system=ID,
            scope=episode.scope,
            kind=ITEM,
            text=f"{episode.speaker}: {episode.text}",
            sources=(episode.id,),
            recorded_at=episode.recorded_at,
            valid_from=episode.occurred_at,
            data={BY: "offline", "step": step, "compressed": f"{episode.speaker}: {compressed.text or episode.text}"},
        )

    def _reflect(
        self, draft: Draft, view: View, unit: Sequence[Episode], closer: Episode, *, is_provisional: bool = False
    ) -> list[Record]:
        last = draft.get(record_id(ID, ITEM, unit[-1].id))
        assert last is not None, "every episode of a task became an item"
        made: list[Record] = []
        for text, sources, by in reflections(uncorrected(view, unit, closer), view.ask):
            data: dict[str, Any] = {BY: by, "step": last.data["step"]}
            record = Record(
                id=record_id(ID, REFLECTION, unit[0].id, str(len(made))),
                system=ID,
                scope=view.scope,
                kind=REFLECTION,
                text=text,
                sources=sources,
                recorded_at=closer.recorded_at,
                valid_from=max(one.occurred_at for one in unit),
                data={**data, "provisional": True} if is_provisional else data,
            )
            made.append(draft.put(record))
        return made


def state_of(retained: float, upper: float, lower: float) -> State:
    """The state of an item by what is left of it.

    >>> [state_of(left, 0.5, 0.1) for left in (0.5, 0.1, 0.09)]
    ['short-term', 'long-term', 'forgotten']
    """
    return "short-term" if retained >= upper else "long-term" if retained >= lower else "forgotten"


def lasts(threshold: float, uses: int = 0, scale: float = 30.0) -> float:
    """How long after its last use an item stays at or above a retention: scale·S·ln(1/threshold).

    >>> round(lasts(0.5), 1), round(lasts(0.5, uses=2), 1)
    (20.8, 62.4)
    """
    return scale * reinforced(uses) * math.log(1.0 / threshold)


def reflections(unit: Sequence[Episode], ask: Asks) -> list[tuple[str, tuple[str, ...], str]]:
    """What is to be learnt from a task, as (text, sources, "llm" or "offline").

    Without a model: what a checker said of each output, of a task that had one.
    """
    found: list[tuple[str, tuple[str, ...], str]] = []
    for start in range(0, len(unit), _CHUNK):
        part = unit[start : start + _CHUNK]
        rewards = [reward for one in part if (reward := _reward(one)) is not None]
        data = {"trajectory": turns(part)}
        if rewards:
            data["reward"] = Shown(rewards[-1], tuple(one.id for one in part))
        answer = ask("reflect", Prompt(REFLECT, data), ReflectionsAnswer)
        if answer is None:
            found += _checked_outputs(part)
            continue
        for given in answer.reflections[:MOST_REFLECTIONS]:
            text = " ".join(given.text.split())[:LONGEST]
            numbers = sorted({number for number in given.turns if 1 <= number <= len(part)})
            if any(map(str.isalnum, text)) and (numbers or not given.turns):
                behind = [part[number - 1] for number in numbers] or part
                found.append((text, tuple(one.id for one in behind), "llm"))
    return found


def _checked_outputs(part: Sequence[Episode]) -> list[tuple[str, tuple[str, ...], str]]:
    found = []
    task = next((one for one in part if one.role not in ("assistant", CHECKER, "tool")), None)
    for at, one in enumerate(part):
        if one.role == CHECKER or _reward(one) is not None:
            before = next((part[back] for back in range(at - 1, -1, -1) if part[back].role == "assistant"), None)
            behind = [each for each in (task, before, one) if each is not None]
            about = f"On “{_short(task.text)}”: " if task is not None and task is not one else ""
            sources = tuple(dict.fromkeys(each.id for each in behind))
            found.append((f"{about}{_short(one.text, LONGEST)}", sources, "offline"))
    return found[-MOST_REFLECTIONS:]


def _reward(episode: Episode) -> float | None:
    value = episode.metadata.get("reward")
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _short(text: str, most: int = 160) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= most else flat[: most - 1].rstrip() + "…"


def _compressed(record: Record) -> Record:
    return replace(record, text=record.data["compressed"])


def _made_at(record: Record) -> datetime:
    return record.valid_from or record.recorded_at
