"""What passes is tried again: which failures do, how long to wait, when to stop.

Pauses have full jitter: the n-th is drawn from 0 to 0.5 * 2^n seconds, capped, so that many who failed together do not
come back together (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015). Where the endpoint says how
long to wait, at least that long is waited, up to the cap. A request keeps its place among the concurrent ones
while it pauses, so an endpoint that is overloaded is asked less.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from mnemic.errors import ParameterError
from mnemic.models.retry_after import seconds_asked

FIRST_PAUSE_S = 0.5
_OF_REQUEST = frozenset({0, 400, 413, 422})  # 0: the model answered, that it does not answer
_PASSING = frozenset({408, 409, 425, 429})
_LASTING = frozenset({501, 505})  # the others of 500 and above pass

A = TypeVar("A")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a request has no answer.

    status: of HTTP, 0 where there was none. passes: whether the same request may succeed later. is_worth_a_try: whether
    that may be soon. asked_s: how long the endpoint asks to wait.
    """

    said: str
    status: int = 0
    passes: bool = True
    is_worth_a_try: bool = True
    asked_s: float | None = None
    tries: int = 1
    remedy: str = ""

    @property
    def is_of_request(self) -> bool:
        """Whether it is this request that is refused, such as one that is too long, and others may do."""
        return not self.passes and self.status in _OF_REQUEST

    @property
    def what(self) -> str:
        """In words, with the number of tries where there was more than one."""
        return self.said if self.tries == 1 else f"after {self.tries} tries: {self.said}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often to try, and how long a pause may be."""

    max_tries: int = 5
    max_pause_s: float = 60.0

    def __post_init__(self) -> None:
        if self.max_tries < 1 or not self.max_pause_s >= 0:
            raise ParameterError("max_tries must be 1 or more, max_pause_s 0 or more.")

    def pause_s(self, tries: int, asked_s: float | None, drawn: float) -> float:
        """The pause after so many tries; drawn: uniform in [0, 1].

        >>> Patience().pause_s(3, None, 0.5), Patience().pause_s(3, 7.0, 0.5), Patience(max_pause_s=5.0).pause_s(1, 7.0, 0.5)
        (1.0, 7.0, 5.0)
        """
        growing = drawn * FIRST_PAUSE_S * 2.0 ** min(tries - 1, 30)
        return min(max(growing, asked_s or 0.0), self.max_pause_s)


async def until_answered(
    once: Callable[[], Awaitable[A | Failure]], patience: Patience, sleep: Callable[[float], Awaitable[None]]
) -> A | Failure:
    """What `once` answers, called again while it fails with what passes; its last failure where it never does."""
    for tries in range(1, patience.max_tries + 1):
        answer = await once()
        if not isinstance(answer, Failure):
            return answer
        failure = replace(answer, tries=tries)
        if not (failure.passes and failure.is_worth_a_try):
            break
        if tries < patience.max_tries:
            await sleep(patience.pause_s(tries, failure.asked_s, random.random()))
    return failure


def passes(status: int) -> bool:
    """Whether an HTTP status says that the same request may succeed later."""
    return status in _PASSING or (500 <= status <= 599 and status not in _LASTING)


def asked_to_wait_s(headers: Mapping[str, str]) -> float | None:
    """The seconds that a refusal asks to wait; header names in lower case or a mapping that ignores case.

    >>> asked_to_wait_s({"retry-after": "3"}), asked_to_wait_s({"retry-after-ms": "250"}), asked_to_wait_s({})
    (3.0, 0.25, None)
    """
    milliseconds = seconds_asked(headers.get("retry-after-ms"), datetime.now(UTC))
    if milliseconds is not None:
        return milliseconds / 1000
    return seconds_asked(headers.get("retry-after"), datetime.now(UTC))
