"""How a system asks its model in one scope: kept answers first, then the model, counted and within its budget.

An answer is kept in the store under scope, model, prompt and schema, so that the same log asks nothing twice: an
observation that failed half-way goes on where it was, a system that is dropped and attached again makes the same records.
It is kept sealed: only who has the very prompt can read it. An answer may owe something to an episode that its prompt does
not name, through a tag of a note that a model once wrote of another; when that episode is forgotten, the prompt is never
made again, and what is left of its answer on the disk is noise.

What came in no usable form is kept too, with the number of times it was tried; after a few the system goes on without an
answer, on its offline path, and a failure that shows what came stays visible until `consolidate(retry_failed=True)`.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from threading import Condition, Event, Thread
from typing import Any, TypeVar

from mnemic.clock import Clock
from mnemic.errors import AnswerUnusable, BudgetSpent, LLMClosed, LLMError, LLMRefused, LLMUnavailable
from mnemic.models.budget import Budget, Spending, estimated_tokens, price_usd, spent_on
from mnemic.models.llm import LLM, Completion
from mnemic.models.prompt import Message, Prompt
from mnemic.store.contract import Answered, Failure, Spent, Store

T = TypeVar("T")
REST_S = 30.0  # without a recall that waits for a model, after it did not answer
MAX_ATTEMPTS = 3  # observations that may fail on one prompt before the system goes on without its answer
_SIDE_BY_SIDE = 4
_RAW = 20_000


class Rest:
    """Which models did not answer lately: for a while no recall waits for them again."""

    def __init__(self, seconds: float = REST_S) -> None:
        self._seconds = seconds
        self._until: dict[str, float] = {}

    def begin(self, llm: str) -> None:
        """It did not answer."""
        self._until[llm] = time.monotonic() + self._seconds

    def end(self, llm: str) -> None:
        """It answered."""
        self._until.pop(llm, None)

    def is_resting(self, llm: str) -> bool:
        """Whether it did not answer lately."""
        return time.monotonic() < self._until.get(llm, 0.0)


class Account:
    """What is being spent and is not yet written down: for all who ask of one open store."""

    def __init__(self) -> None:
        self.changed = Condition()
        self.open = Spending()  # in any scope
        self.of_scope: dict[str, Spending] = {}
        self.under_way = 0  # requests

    def add(self, scope: str, spent: Spending, sign: int = 1) -> None:
        """So much more, or less, is spent; held by whoever holds `changed`."""
        self.open = _plus(self.open, spent, sign)
        self.of_scope[scope] = _plus(self.of_scope.get(scope, Spending()), spent, sign)
        if not self.of_scope[scope].calls:
            del self.of_scope[scope]


class Asker:
    """The `Asks` of one system in one scope.

    is_recall: somebody waits, so whatever the model cannot do now is None; and what it saw was a question, whose answer goes
    with the next forgetting. `used` tells afterwards whether any answer of a model was used. may_write: False asks without
    keeping anything, as a read-only store must. account: shared by all who ask of the store, so that those who ask at the
    same time keep to the budget together.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        llm: LLM,
        scope: str,
        system: str,
        *,
        budget: Budget | None = None,
        is_recall: bool = False,
        may_write: bool = True,
        cancelled: Event | None = None,
        rest: Rest | None = None,
        account: Account | None = None,
    ) -> None:
        self.used = False
        self._store = store
        self._clock = clock
        self._llm = llm
        self._scope = scope
        self._system = system
        self._budget = budget or Budget()
        self._is_recall = is_recall
        self._may_write = may_write
        self._cancelled = cancelled or Event()
        self._rest = rest or Rest()
        self._account = account or Account()
        self._gave_up: LLMError | None = None  # why no request can be made now
        self._last_removal = store.answers.newest_removal() if is_recall and may_write else None

    def __call__(self, step: str, prompt: Prompt, schema: type[T]) -> T | None:
        """The answer; None for the offline path. See `mnemic.models.prompt.Asks`."""
        from mnemic.models.structured import ask_structured, read_answer, with_schema

        messages = with_schema(prompt.messages(), schema)
        text = self._text(prompt, schema)
        key = hashlib.blake2b(text, digest_size=20, person=b"key").digest()
        kept = self._store.answers.kept(self._scope, key)
        if kept is not None and not kept.attempts:
            self.used = True
            return read_answer(unsealed(kept.answer, text), schema)[0]
        attempts = kept.attempts if kept else 0
        if attempts >= MAX_ATTEMPTS:
            return None
        if self._is_recall and self._rest.is_resting(self._llm.id):
            return None
        if self._gave_up is not None:  # each would wait for it again
            if self._is_recall:
                return None
            raise LLMUnavailable(str(self._gave_up))
        try:
            found = ask_structured(_Counted(self), messages, schema, max_tokens=prompt.max_tokens)
            spent = Spending(calls=found.calls, tokens_in=found.tokens_in, tokens_out=found.tokens_out)
            self._keep(step, prompt, key, sealed(found.raw, text), 0, spent)
        except LLMRefused as error:  # of this request; a wrong key or model shows at all of them, and passes
            if not error.is_of_request:
                self._gave_up = error
            self._unanswered(step, prompt, key, attempts, "", error, may_set_aside=error.is_of_request)
            return None
        except AnswerUnusable as error:
            self._unanswered(step, prompt, key, attempts, error.raw, error, may_set_aside=True)
            return None
        except LLMError as error:
            self._gave_up = error
            if isinstance(error, LLMUnavailable):
                self._rest.begin(self._llm.id)
            if error.calls:  # answers that could not be used, before it gave none
                self._keep(step, prompt, key, "", attempts, _cost(error), is_kept=False)
            if self._is_recall:
                return None
            raise
        self._rest.end(self._llm.id)
        self.used = True
        return found.value

    def many(self, step: str, prompts: Sequence[Prompt], schema: type[T]) -> list[T | None]:
        """The answers to independent prompts, asked side by side; all that come are kept, also where one fails.

        Where the model cannot be reached, or nothing may be spent any more, those that wait are not asked.
        """
        if len(prompts) < 2:
            return [self(step, prompt, schema) for prompt in prompts]
        return side_by_side([partial(self, step, prompt, schema) for prompt in prompts])

    # -- inside -------------------------------------------------------------------------------------------

    def _unanswered(
        self,
        step: str,
        prompt: Prompt,
        key: bytes,
        attempts: int,
        raw: str,
        error: LLMError,
        *,
        may_set_aside: bool,
    ) -> None:
        # the failure has what came
        self._keep(step, prompt, key, "", attempts + 1, _cost(error), is_kept=may_set_aside)
        if self._is_recall:
            return
        if not may_set_aside or attempts + 1 < MAX_ATTEMPTS:
            raise error
        if self._may_write:  # the system goes on without it; what came stays to be seen
            now = self._clock.now()
            name = f"{step} {key.hex()[:12]}"
            reason = f"{type(error).__name__}: {error}"[:2000]
            detail = {"answer": raw[:_RAW], "sources": list(prompt.sources)}
            self._store.records.note_failure(
                Failure(self._scope, self._system, name, reason, attempts + 1, now, now, detail)
            )

    def _keep(
        self,
        step: str,
        prompt: Prompt,
        key: bytes,
        answer: str,
        attempts: int,
        spent: Spending,
        *,
        is_kept: bool = True,
    ) -> None:
        if not self._may_write:
            return
        llm, now = self._llm, self._clock.now()
        answered = Answered(
            key=key,
            system=self._system,
            step=step,
            model=llm.id,
            answer=answer,
            sources=() if self._is_recall else prompt.sources,
            attempts=attempts,
            calls=spent.calls,
            failed=spent.failed,
            tokens_in=spent.tokens_in,
            tokens_out=spent.tokens_out,
            usd=price_usd(llm, spent.tokens_in, spent.tokens_out) or 0.0,
            answered_at=now,
            is_kept=is_kept,
            last_removal=self._last_removal,
        )
        with (
            self._account.changed
        ):  # from here on it stands in the store; what a read-only one took goes on counting here
            self._store.answers.keep(self._scope, answered, _day(now))
            self._account.add(self._scope, replace(spent, usd=answered.usd), -1)
            self._account.changed.notify_all()

    def _begin(self, tokens: int) -> Spending:
        """Hold what the next request may take, once the budget allows it; near its end one waits for those under way."""
        if self._cancelled.is_set():
            raise LLMClosed(f"The memory was closed while {self._system!r} worked. It goes on when it is open again.")
        held, account = Spending(calls=1, tokens_in=tokens, usd=price_usd(self._llm, tokens, 0) or 0.0), self._account
        with account.changed:
            while self._budget != Budget():
                try:
                    self._check_budget(tokens)
                    break
                except BudgetSpent:
                    if not account.under_way:
                        raise
                    account.changed.wait()
            account.under_way += 1
            account.add(self._scope, held)
        return held

    def _check_budget(self, tokens: int) -> None:
        day, account = _day(self._clock.now()), self._account
        everywhere, here = (
            sum(map(_spending, self._store.answers.spent(day=day, scope=scope)), Spending())
            for scope in (None, self._scope)
        )
        self._budget.check(everywhere + account.open, here + account.of_scope.get(self._scope, Spending()), tokens)

    def _text(self, prompt: Prompt, schema: type[Any]) -> bytes:
        """All that an answer follows from: one scope never reads another's."""
        from mnemic.models.structured import schema_of

        parts: list[Any] = [self._scope, self._llm.id, prompt.max_tokens, schema_of(schema)]
        parts += [[message.role, message.content] for message in prompt.messages()]
        return json.dumps(parts, sort_keys=True, ensure_ascii=True).encode()


def sealed(answer: str, prompt: bytes) -> str:
    """The answer so that only who has the prompt can read it: xor with a stream that SHAKE-256 makes of the prompt."""
    plain = answer.encode("utf-8", "surrogatepass")
    stream = hashlib.shake_256(b"answer" + prompt).digest(len(plain))
    return bytes(one ^ other for one, other in zip(plain, stream, strict=True)).hex()


def unsealed(answer: str, prompt: bytes) -> str:
    """The inverse of `sealed`.

    >>> unsealed(sealed("Porto", b"Where?"), b"Where?")
    'Porto'
    """
    hidden = bytes.fromhex(answer)
    stream = hashlib.shake_256(b"answer" + prompt).digest(len(hidden))
    return bytes(one ^ other for one, other in zip(hidden, stream, strict=True)).decode("utf-8", "surrogatepass")


def side_by_side(calls: Sequence[Callable[[], T]], at_once: int = _SIDE_BY_SIDE) -> list[T]:
    """What the calls give, in their order, once all have ended; the first error in that order.

    In daemon threads, unlike those of a pool: a process that ends does not wait for a model that is still to answer.
    """
    left = deque(zip(calls, done := [Future[T]() for _ in calls], strict=True))

    def work() -> None:
        while left:
            try:
                call, future = left.popleft()
            except IndexError:  # another thread was faster
                return
            try:
                future.set_result(call())
            except BaseException as error:  # it is raised where it is waited for
                future.set_exception(error)

    for _ in range(min(at_once, len(calls))):
        Thread(target=work, name="mnemic-ask", daemon=True).start()
    wait(done)
    return [one.result() for one in done]


class _Counted:
    """The model, each request of it within the budget, and what it took on the account until it is written down."""

    def __init__(self, asker: Asker) -> None:
        self.id = asker._llm.id
        self._asker = asker

    def complete(
        self, messages: Sequence[Message], *, schema: Mapping[str, Any] | None = None, max_tokens: int = 2048
    ) -> Completion:
        asker, took = self._asker, Spending()
        held = asker._begin(estimated_tokens(messages, max_tokens))
        try:
            completion = asker._llm.complete(messages, schema=schema, max_tokens=max_tokens)
            took = spent_on(asker._llm, completion)
            return completion
        finally:
            with asker._account.changed:
                asker._account.under_way -= 1
                asker._account.add(asker._scope, held, -1)
                asker._account.add(asker._scope, took)
                asker._account.changed.notify_all()

    def close(self) -> None:
        """The model is its owner's."""


def _plus(one: Spending, other: Spending, sign: int) -> Spending:
    return Spending(
        calls=one.calls + sign * other.calls,
        tokens_in=one.tokens_in + sign * other.tokens_in,
        tokens_out=one.tokens_out + sign * other.tokens_out,
        usd=one.usd + sign * other.usd,
    )


def _cost(error: LLMError) -> Spending:
    return Spending(calls=error.calls, failed=error.calls, tokens_in=error.tokens_in, tokens_out=error.tokens_out)


def _spending(spent: Spent) -> Spending:
    return Spending(
        calls=spent.calls,
        failed=spent.failed,
        tokens_in=spent.tokens_in,
        tokens_out=spent.tokens_out,
        usd=spent.usd,
    )


def _day(at: datetime) -> str:
    return at.astimezone(UTC).date().isoformat()
