"""How a system asks its model in one scope: kept answers first, then the model, counted and within its budget.

An answer is kept in the store under scope, model, prompt and schema, so that the same log asks nothing twice: an
observation that failed half-way goes on where it was, a system that is dropped and attached again makes the same records.
What came in no usable form is kept too, with the number of times it was tried; after a few the system goes on without an
answer, on its offline path, and a failure that shows what came stays visible until `consolidate(retry_failed=True)`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Event
from typing import Any, TypeVar

from mnemic.clock import Clock
from mnemic.errors import AnswerUnusable, LLMClosed, LLMError, LLMRefused
from mnemic.models.budget import Budget, Spending, estimated_tokens, price_usd
from mnemic.models.llm import LLM
from mnemic.models.prompt import Prompt
from mnemic.models.structured import ask_structured, read_answer, schema_of, with_schema
from mnemic.store.contract import Answered, Failure, Spent, Store

T = TypeVar("T")
MAX_ATTEMPTS = 3  # observations that may fail on one prompt before the system goes on without its answer
_SIDE_BY_SIDE = 4
_RAW = 20_000


class Asker:
    """The `Asks` of one system in one scope.

    is_recall: somebody waits, so whatever the model cannot do now is None; and what it saw was a question, whose answer goes
    with the next forgetting. `used` tells afterwards whether any answer of a model was used. may_write: False asks without
    keeping anything, as a read-only store must.
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

    def __call__(self, step: str, prompt: Prompt, schema: type[T]) -> T | None:
        """The answer; None for the offline path. See `mnemic.models.prompt.Asks`."""
        messages = with_schema(prompt.messages(), schema)
        key = self._key(prompt, schema)
        kept = self._store.answers.kept(self._scope, key)
        if kept is not None and not kept.attempts:
            self.used = True
            return read_answer(kept.answer, schema)[0]
        attempts = kept.attempts if kept else 0
        if attempts >= MAX_ATTEMPTS:
            return None
        try:
            if self._cancelled.is_set():
                raise LLMClosed(
                    f"The memory was closed while {self._system!r} worked. It goes on when it is open again."
                )
            tokens = estimated_tokens(messages, prompt.max_tokens)
            self._check_budget(tokens)
            found = ask_structured(self._llm, messages, schema, max_tokens=prompt.max_tokens)
        except LLMRefused as error:  # of this request; a wrong key or model shows at all of them, and passes
            self._unanswered(step, prompt, key, attempts, "", error, may_set_aside=error.is_of_request)
            return None
        except AnswerUnusable as error:
            self._unanswered(step, prompt, key, attempts, error.raw, error, may_set_aside=True)
            return None
        except LLMError:
            if self._is_recall:
                return None
            raise
        self._keep(
            step,
            prompt,
            key,
            found.raw,
            0,
            Spending(calls=found.calls, tokens_in=found.tokens_in, tokens_out=found.tokens_out),
        )
        self.used = True
        return found.value

    def many(self, step: str, prompts: Sequence[Prompt], schema: type[T]) -> list[T | None]:
        """The answers to independent prompts, asked side by side; all are kept, also where one fails."""
        if len(prompts) < 2:
            return [self(step, prompt, schema) for prompt in prompts]
        with ThreadPoolExecutor(min(_SIDE_BY_SIDE, len(prompts)), thread_name_prefix="mnemic-ask") as pool:
            waiting = [pool.submit(self, step, prompt, schema) for prompt in prompts]
        return [one.result() for one in waiting]

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
        spent = Spending(calls=error.calls, failed=error.calls, tokens_in=error.tokens_in, tokens_out=error.tokens_out)
        self._keep(step, prompt, key, raw[:_RAW], attempts + 1, spent, is_kept=may_set_aside)
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
        )
        self._store.answers.keep(self._scope, answered, _day(now))

    def _check_budget(self, tokens: int) -> None:
        if self._budget == Budget():
            return
        day = _day(self._clock.now())
        everywhere, here = (
            sum(map(_spending, self._store.answers.spent(day=day, scope=scope)), Spending())
            for scope in (None, self._scope)
        )
        self._budget.check(everywhere, here, tokens)

    def _key(self, prompt: Prompt, schema: type[Any]) -> bytes:
        """Digests all that an answer follows from: one scope never reads another's."""
        parts: list[Any] = [self._scope, self._llm.id, prompt.max_tokens, schema_of(schema)]
        parts += [[message.role, message.content] for message in prompt.messages()]
        text = json.dumps(parts, sort_keys=True, ensure_ascii=True)
        return hashlib.blake2b(text.encode(), digest_size=20).digest()


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
