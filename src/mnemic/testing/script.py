"""The script of a model: rules by which it answers, and how it misbehaves. The server and the in-process model share it.

In this order: while it is down or over its rate limit it says so; then come the answers of `say`, each once; then the
newest rule that fits; then the fallback of `answers`. A request that nothing fits is refused with a 404, a rule that
breaks is a 500, and both stand in `problems`, so that a test cannot pass by accident.

What misbehaves follows from the seed, what is asked, and the number of the attempt at it: not from the order in which
requests arrive. `say`, `down` and `rate_limit` count requests as they arrive.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from mnemic.errors import ParameterError
from mnemic.models.llm import Completion
from mnemic.testing.asked import Answer, Asked, Reply, Rule, When, fails
from mnemic.testing.malformed import MALFORMATIONS, malform
from mnemic.text.tokens import count_tokens

_NOT_AGAIN = {
    "x-should-retry": "false"
}  # the clients of both vendors heed it: trying a broken script again helps nobody


@dataclass(frozen=True, slots=True)
class _Misbehaviour:
    malformed: float
    failing: float
    dropped: float
    kinds: tuple[str, ...]
    attempts: int | None
    seed: int


class Script:
    """The base of `ScriptedLLM` and `RuleLLM`; made to be derived from, once. Safe to use from several threads.

    requests: all that was asked, in order of arrival, also what was turned away. problems: what is wrong with the script.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Be as new: no rules, no misbehaviour, and nothing asked."""
        with self._lock:
            self.requests: list[Asked] = []
            self.problems: list[str] = []
            self._rules: list[tuple[When, Answer]] = []
            self._fallback: Answer = None
            self._said: deque[Answer] = deque()
            self._attempts: Counter[bytes] = Counter()
            self._misbehaviour: _Misbehaviour | None = None
            self._delay_s = 0.0
            self._down: tuple[float, int | None] | None = None  # for how many requests, and with which status
            self._limit: tuple[int, float] | None = None
            self._began = time.monotonic()

    # What it answers.

    def rule(self, when: When, answer: Answer) -> None:
        """Answer so where `when` holds; of several rules that fit, the newest does.

        when: a name, which holds where the answer is to have a top-level field of that name; or a function of Asked.
        answer: a dict, list or dataclass, which is sent as JSON; a str, which is sent as it is; a Reply; or a function of
        Asked that returns one of these. Functions are called from several threads at a time.
        """
        with self._lock:
            self._rules.insert(0, (when, answer))

    def answers(self, answer: Answer) -> None:
        """Answer so where no rule fits."""
        with self._lock:
            self._fallback = answer

    def say(self, *answers: Answer) -> None:
        """Give these answers to the next requests, whatever they ask, one to each."""
        if None in answers:
            raise ParameterError("None was to be said. Give a str, a dict, a list, a dataclass or a Reply.")
        with self._lock:
            self._said.extend(answers)

    # How it misbehaves.

    def misbehave(
        self,
        malformed: float = 0.0,
        *,
        failing: float = 0.0,
        dropped: float = 0.0,
        kinds: Iterable[str] = MALFORMATIONS,
        attempts: int | None = None,
        seed: int = 0,
    ) -> None:
        """Spoil these fractions of the answers: malformed, refused with a 503, or not given as the connection closes.

        kinds: which malformations. attempts: only the first so many attempts at each question; all where None.
        What is spoilt, and how, follows from the seed, the question and the attempt. With no fractions it behaves again.
        """
        chosen = tuple(kinds)
        if min(malformed, failing, dropped) < 0 or malformed + failing + dropped > 1:
            raise ParameterError("Of all answers a part is spoilt: give fractions of 0 or more whose sum is at most 1.")
        if malformed and not chosen:
            raise ParameterError(
                f"Answers were to be malformed, and in no way. Name some of {', '.join(MALFORMATIONS)}."
            )
        for kind in chosen:
            malform(kind, "", 0)  # refuses a kind that is none
        with self._lock:
            self._misbehaviour = _Misbehaviour(malformed, failing, dropped, chosen, attempts, seed)

    def slow(self, delay_s: float) -> None:
        """Wait so long before each answer; 0 to be quick again."""
        if not 0 <= delay_s < threading.TIMEOUT_MAX:
            raise ParameterError(f"An answer was to come after {delay_s} seconds. Give 0 or more.")
        with self._lock:
            self._delay_s = delay_s

    def down(self, for_requests: int | None = None, *, status: int | None = None) -> None:
        """Answer none of the next requests, or none until `up`: the connection closes, or with `status` this is said."""
        if for_requests is not None and for_requests < 1:
            raise ParameterError(f"It was to be down for {for_requests} requests. Give 1 or more, or None until up().")
        with self._lock:
            self._down = (float("inf") if for_requests is None else for_requests, status)

    def up(self) -> None:
        """Answer again."""
        with self._lock:
            self._down = None

    @property
    def is_down(self) -> bool:
        """Whether the next request will find it down."""
        return self._down is not None

    def rate_limit(self, *, every: int | None, retry_after_s: float = 1.0) -> None:
        """Refuse every so-manyth request with a 429 that asks to come again after `retry_after_s`; None for no limit."""
        if every is not None and every < 1:
            raise ParameterError(f"Every {every}th request was to be refused. Give 1 or more, or None.")
        with self._lock:
            self._limit = None if every is None else (every, retry_after_s)

    # What came of it.

    def check(self) -> None:
        """Raise AssertionError where a rule broke or was missing."""
        if self.problems:
            raise AssertionError("\n".join(["The scripted model could not answer as it was told:", *self.problems]))

    def close(self) -> None:
        """Give up what is under way."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if error is None:
            self.check()
            return
        for problem in self.problems:
            error.add_note(f"The scripted model: {problem}")

    def _reply(self, asked: Asked) -> tuple[Asked, Reply]:
        """The request as it is kept, and the answer: its value is a text, malformed where it is to be."""
        with self._lock:
            self._attempts[asked.question] += 1
            asked = replace(
                asked,
                number=len(self.requests) + 1,
                attempt=self._attempts[asked.question],
                at_s=time.monotonic() - self._began,
            )
            self.requests.append(asked)
            reply = self._turned_away(asked)
            answer = self._said.popleft() if reply is None and self._said else None
            delay_s = self._delay_s
            misbehaviour = self._misbehaviour
        if reply is None:
            reply = self._finished(asked, answer)
            if misbehaviour is not None and reply.status < 400:
                reply = _misbehaved(asked, reply, misbehaviour)
            reply = _held_to_length(asked, reply)
        return asked, replace(reply, delay_s=reply.delay_s + delay_s)

    def _turned_away(self, asked: Asked) -> Reply | None:
        if self._down is not None:
            left, status = self._down
            self._down = (left - 1, status) if left > 1 else None
            return Reply(drops="at once") if status is None else fails(status, "The model is down.")
        if self._limit is not None and asked.number % self._limit[0] == 0:
            return fails(429, "Too many requests.", retry_after_s=self._limit[1])
        return None

    def _finished(self, asked: Asked, answer: Answer) -> Reply:
        """The answer in full; a 500 where its rule breaks, a 404 where there is none."""
        try:
            rule = self._fitting(asked) if answer is None else answer
            value = rule(asked) if callable(rule) and not isinstance(rule, type) else rule
            if value is None and rule is not None:
                raise TypeError("the rule returned None")  # noqa: TRY301
            if rule is not None:
                return _settled(value)
        except Exception as error:
            name = type(error).__name__
            problem = f"A rule broke with {name}: {error} (asked: {_named(asked)})"
            return self._problem(500, problem)
        return self._problem(404, f"No rule fits (asked: {_named(asked)}). Add one with rule() or answers().")

    def _fitting(self, asked: Asked) -> Answer:
        with self._lock:
            rules, fallback = list(self._rules), self._fallback
        for when, answer in rules:
            if asked.asks_for(when) if isinstance(when, str) else when(asked):
                return answer
        return fallback

    def _problem(self, status: int, text: str) -> Reply:
        with self._lock:
            if text not in self.problems:
                self.problems.append(text)
        return Reply(value=text, status=status, headers=_NOT_AGAIN)


def completed(asked: Asked, reply: Reply) -> Completion:
    """What an endpoint says of an answer; tokens are counted by the rule of `mnemic.text.tokens`."""
    tokens_in = sum(count_tokens(message.content) for message in asked.messages)
    return Completion(text=reply.text, tokens_in=tokens_in, tokens_out=count_tokens(reply.text), is_cut=reply.is_cut)


def _settled(value: Any) -> Reply:
    reply = value if isinstance(value, Reply) else Reply(value=value)
    text = reply.text  # raises where it is no JSON
    if reply.malformed is not None:
        spoilt = malform(reply.malformed, text, 0)
        if spoilt == text:
            raise ParameterError(f"An answer was to be malformed as {reply.malformed!r}, and has nothing to spoil so.")
        return replace(reply, value=spoilt, is_cut=reply.is_cut or reply.malformed == "cut")
    return replace(reply, value=text)


def _misbehaved(asked: Asked, reply: Reply, how: _Misbehaviour) -> Reply:
    if how.attempts is not None and asked.attempt > how.attempts:
        return reply
    content = b"%d\x1f%d\x1f" % (how.seed, asked.attempt) + asked.question
    digest = hashlib.blake2b(content, digest_size=16).digest()
    chance = int.from_bytes(digest[:8], "big") / 2**64
    draw = int.from_bytes(digest[8:], "big")
    if chance < how.malformed:
        start = draw % len(how.kinds)
        for kind in how.kinds[start:] + how.kinds[:start]:  # the first, from the one drawn, that has something to spoil
            if (text := malform(kind, reply.text, draw)) != reply.text:
                return replace(reply, value=text, malformed=kind, is_cut=reply.is_cut or kind == "cut")
        return reply
    if chance < how.malformed + how.failing:
        return fails(503, "Overloaded.")
    return Reply(drops="at once") if chance < how.malformed + how.failing + how.dropped else reply


def _held_to_length(asked: Asked, reply: Reply) -> Reply:
    """The answer cut at max_tokens, as endpoints do."""
    text = reply.text
    if asked.max_tokens is None or reply.status >= 400 or count_tokens(text) <= asked.max_tokens:
        return reply
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if count_tokens(text[:middle]) <= asked.max_tokens else (low, middle - 1)
    return replace(reply, value=text[:low], is_cut=True)


def _named(asked: Asked) -> str:
    """A request in a few words: never what was remembered."""
    first = next((line.strip() for line in asked.task.splitlines() if line.strip()), "no task")
    return f"{first[:120]!r}; fields {list(asked.fields)}; data {list(asked.data)}"


__all__ = ["Rule", "Script", "completed"]
