"""A task loop: act, be checked, reflect, and try again with what was learnt, until it is accepted. The agent of SAGE.

The one idea: what went wrong is put into words right away and stands in the next attempt's prompt; the trajectory, added to a
memory, leaves its reflections there (`systems.sage`).

Card: sage. Source: SAGE, arXiv 2409.00872: its user, assistant and checker. The loop ends when the checker accepts or N attempts
are spent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from mnemic.errors import LLMUnavailable, ParameterError
from mnemic.model import Hit
from mnemic.models.llm import LLM
from mnemic.models.prompt import Asks, Prompt, Shown
from mnemic.models.structured import ask_structured
from mnemic.systems.sage import CHECKER, LONGEST, MOST_REFLECTIONS, REFLECT, ReflectionsAnswer

T = TypeVar("T")

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
        texts = [" ".join(one.text.split())[:LONGEST] for one in answer.reflections] if answer else []
        return tuple(text for text in texts if text)[:MOST_REFLECTIONS] or (f"Not accepted: {verdict.feedback}",)


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
