"""SAGE: an agent that reflects on its tasks, with a memory whose items fade from short-term to long-term to oblivion.

The one idea: retention R = exp(-t/S) is compared with two thresholds. At or above the upper one an item is in short-term
memory and recalled as it was said; between the two it is in long-term memory, shortened, and ranks by what is left of it;
below the lower one it is out of recall. What was learnt of a task, its reflections, goes to long-term memory at once.
`TaskLoop` is the agent: it acts, is checked, reflects and tries again with its reflections before it.

Source: arXiv 2409.00872; no official code was found, and neither the thresholds nor the unit of time are given there.
Departs: states are read off the log at the time of the cue, so nothing is moved and nothing lost; see the card.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar

from mnemic.errors import LLMUnavailable, ParameterError
from mnemic.model import Cue, Episode, Hit, Reason, Record
from mnemic.models.llm import LLM
from mnemic.models.prompt import Asks, Prompt, Shown, turns
from mnemic.models.structured import ask_structured
from mnemic.ops.decay import Strength, days, reinforced
from mnemic.ops.summarise import Piece, summarise
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.feedback import heard
from mnemic.systems.units import closed_units, is_new_session, open_unit
from mnemic.systems.uses import note_use, uses_of
from mnemic.systems.view import NoModel, View
from mnemic.text.terms import terms

ID = "sage"
ITEM, REFLECTION = "item", "reflection"
CHECKER = "checker"  # the role of what judges an assistant's output
State = Literal["short-term", "long-term", "forgotten"]
T = TypeVar("T")
_MOST_REFLECTIONS, _LONGEST = 5, 600  # of one task; characters of one
_CHUNK = 80  # turns that a model is shown at once

REFLECT = """
"trajectory" holds what happened while somebody worked on a task, in order: requests, outputs, and what was said of them;
"reward", where it is there, how good the result was, from 0 to 1. Write what is to be learnt from it for the next time: why it
went well or badly and what to do then, and facts that will be needed again. Each is one or two sentences that can be
understood alone.
Answer with {"reflections": [{"text": …, "turns": [numbers of the turns it comes from]}]}, at most five, an empty list where
nothing is to be learnt.
"""
ACT = """
You work on "task". "memories" holds what may be known about it, "reflections" what was learnt in attempts before this one, and
"attempts" those attempts with what was said of them. Do not repeat what was not accepted.
Answer with {"output": your solution}.
"""
CHECK = """
"output" is an attempt at "task". Judge whether it does what was asked, completely and correctly.
Answer with {"accepted": true or false, "feedback": what is wrong with it and how it can be found, or what is right, "reward":
how good it is, from 0 to 1}.
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
            "An item's state is read off the log when a cue is asked, so an item is never moved or deleted and a use can bring "
            "it back.",
            "Recall writes nothing: an item grows stronger by feedback that it was used or helpful. What importance does was not "
            "found, and items have none: S is 1 and one more for each use.",
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
        _drop_provisional(draft)
        said = {one.id for one in heard(episodes)}
        for episode in episodes:
            note_use(draft, episode, ID, draft.state.get("steps", 0))
            if episode.id in said:
                draft.state["steps"] = draft.state.get("steps", 0) + 1
                draft.put(self._item(episode, draft.state["steps"]))
        for unit, closer in closed_units(view, draft, episodes, is_new_session(self._gap)):
            self._reflect(draft, view, unit, closer.recorded_at)
        return draft.changes()

    def consolidate(self, view: View) -> Changes:
        """Reflect on the task that is still under way, until it goes on."""
        draft = view.draft()
        _drop_provisional(draft)
        if unit := open_unit(view, draft):
            made = self._reflect(draft, view, unit, unit[-1].recorded_at, is_provisional=True)
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
        self, draft: Draft, view: View, unit: Sequence[Episode], at: datetime, *, is_provisional: bool = False
    ) -> list[Record]:
        last = draft.get(record_id(ID, ITEM, unit[-1].id))
        assert last is not None, "every episode of a task became an item"
        made: list[Record] = []
        for text, sources, by in reflections(unit, view.ask):
            data: dict[str, Any] = {BY: by, "step": last.data["step"]}
            record = Record(
                id=record_id(ID, REFLECTION, unit[0].id, str(len(made))),
                system=ID,
                scope=view.scope,
                kind=REFLECTION,
                text=text,
                sources=sources,
                recorded_at=at,
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
        for given in answer.reflections[:_MOST_REFLECTIONS]:
            text = " ".join(given.text.split())[:_LONGEST]
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
            found.append((f"{about}{_short(one.text, _LONGEST)}", sources, "offline"))
    return found[-_MOST_REFLECTIONS:]


def _drop_provisional(draft: Draft) -> None:
    for id in draft.state.pop("provisional", []):
        draft.drop(id)


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


# -- the agent ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OutputAnswer:
    """What a model answers to ACT."""

    output: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a checker says of an output; what a model answers to CHECK."""

    accepted: bool = False
    feedback: str = ""
    reward: float | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One output with its judgement, and what was learnt from it."""

    output: str
    verdict: Verdict
    reflections: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task went."""

    task: str
    attempts: tuple[Attempt, ...]

    @property
    def is_accepted(self) -> bool:
        """Whether the checker accepted the last output."""
        return bool(self.attempts) and self.attempts[-1].verdict.accepted

    @property
    def output(self) -> str:
        """The last output."""
        return self.attempts[-1].output if self.attempts else ""

    def messages(self) -> list[dict[str, Any]]:
        """The trajectory for `Memory.add(..., session=the task's name)`: the task, each output, and what the checker said."""
        said: list[dict[str, Any]] = [{"role": "user", "content": self.task}]
        for one in self.attempts:
            judged = "accepted" if one.verdict.accepted else "not accepted"
            reward = {} if one.verdict.reward is None else {"reward": one.verdict.reward}
            said.append({"role": "assistant", "content": one.output})
            said.append(
                {
                    "role": CHECKER,
                    "content": f"{judged}: {one.verdict.feedback}" if one.verdict.feedback else judged,
                    "metadata": {"accepted": one.verdict.accepted, **reward},
                }
            )
        return said


class TaskLoop:
    """Acts, is checked, reflects, and tries again until the checker accepts or the attempts are spent.

    ask: the way to a model, as `Direct(llm)` gives. check: judges (task, output), such as a test that is run; a model judges
    where it is None. attempts: N, the most there are.
    """

    def __init__(self, ask: Asks, check: Callable[[str, str], Verdict] | None = None, *, attempts: int = 3) -> None:
        if attempts < 1:
            raise ParameterError(f"attempts={attempts}: allow 1 or more.")
        self._ask = ask
        self._check = check
        self._attempts = attempts

    def run(self, task: str, memories: Iterable[Hit] = ()) -> Outcome:
        """Work on the task. memories: what was recalled for it.

        Raises LLMUnavailable where there is no model to act, and whatever the model's way raises.
        """
        recalled = list(memories)
        known = Shown([hit.text for hit in recalled], tuple(id for hit in recalled for id in hit.sources))
        done: list[Attempt] = []
        while len(done) < self._attempts and not (done and done[-1].verdict.accepted):
            tried = Shown([{"output": one.output, "feedback": one.verdict.feedback} for one in done], known.sources)
            learnt = Shown([text for one in done for text in one.reflections], known.sources)
            data = {"task": Shown(task), "memories": known, "reflections": learnt, "attempts": tried}
            answer = self._ask("act", Prompt(ACT, data), OutputAnswer)
            if answer is None:
                raise LLMUnavailable(
                    "A task was to be worked on and there is no model. Give TaskLoop one that answers."
                )
            verdict = self._verdict(task, answer.output, known.sources)
            learned = () if verdict.accepted else self._learnt(task, answer.output, verdict, known.sources)
            done.append(Attempt(answer.output, verdict, learned))
        return Outcome(task, tuple(done))

    def _verdict(self, task: str, output: str, sources: tuple[str, ...]) -> Verdict:
        if self._check is not None:
            return self._check(task, output)
        data = {"task": Shown(task), "output": Shown(output, sources)}
        answer = self._ask("check", Prompt(CHECK, data), Verdict)
        return answer or Verdict(feedback="nobody could judge it")

    def _learnt(self, task: str, output: str, verdict: Verdict, sources: tuple[str, ...]) -> tuple[str, ...]:
        said = [("user", task), ("assistant", output), (CHECKER, verdict.feedback)]
        steps = [{"turn": at, "speaker": who, "text": text} for at, (who, text) in enumerate(said, start=1)]
        data = {"trajectory": Shown(steps, sources)}
        if verdict.reward is not None:
            data["reward"] = Shown(verdict.reward)
        answer = self._ask("reflect", Prompt(REFLECT, data), ReflectionsAnswer)
        texts = [" ".join(one.text.split())[:_LONGEST] for one in answer.reflections] if answer else []
        return tuple(text for text in texts if text)[:_MOST_REFLECTIONS] or (f"Not accepted: {verdict.feedback}",)


class Direct:
    """The way to a model without a memory around it: nothing is kept, and its errors are raised."""

    def __init__(self, llm: LLM) -> None:
        self._llm = llm

    def __call__(self, step: str, prompt: Prompt, schema: type[T]) -> T | None:
        """The answer, after as many repairs as `ask_structured` allows."""
        return ask_structured(self._llm, prompt.messages(), schema, max_tokens=prompt.max_tokens).value

    def many(self, step: str, prompts: Sequence[Prompt], schema: type[T]) -> list[T | None]:
        """The answers, one after the other."""
        return [self(step, prompt, schema) for prompt in prompts]
