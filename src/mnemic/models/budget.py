"""What may be spent on a language model, and what was.

A budget is checked before a request, with an estimate of its tokens, so what is spent may pass a limit by as much as
the estimates and the requests under way are off, and no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from mnemic.errors import BudgetSpent, ParameterError
from mnemic.models.llm import LLM, Completion, Priced
from mnemic.models.prompt import Message
from mnemic.text.tokens import TokenCounter, count_tokens

TOKENS_PER_MESSAGE = 4  # what chat formats put around each
_NEXT = "Wait for the next day, or allow more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What a model was used for, and what it took."""

    calls: int = 0  # that the endpoint was asked
    cached: int = 0  # answered from what was kept
    failed: int = 0  # without an answer that could be used
    tokens_in: int = 0
    tokens_out: int = 0
    usd: float = 0.0  # of the calls whose price is known

    @property
    def tokens(self) -> int:
        """In and out."""
        return self.tokens_in + self.tokens_out

    def __add__(self, other: Spending) -> Spending:
        return Spending(**{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)})

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits; None is none. Days are those of whoever keeps the accounts. Raises ParameterError for negative ones."""

    calls_per_day: int | None = None
    tokens_per_day: int | None = None
    usd_per_day: float | None = None
    scope_tokens_per_day: int | None = None  # of any one scope
    tokens_per_call: int | None = None

    def __post_init__(self) -> None:
        for one in fields(self):
            limit = getattr(self, one.name)
            if limit is not None and not limit >= 0:
                raise ParameterError(f"The budget's {one.name} is {limit}. Give 0 or more, or None for no limit.")

    def check(self, spent_today: Spending, spent_in_scope_today: Spending, estimated_tokens: int) -> None:
        """Raises BudgetSpent where a request of so many tokens, in and out, would pass a limit."""
        if self.tokens_per_call is not None and estimated_tokens > self.tokens_per_call:
            raise BudgetSpent(
                f"A request of about {estimated_tokens} tokens was to be made; tokens_per_call is {self.tokens_per_call}. "
                "Allow more, or let the system show less at once."
            )
        if self.calls_per_day is not None and spent_today.calls >= self.calls_per_day:
            raise BudgetSpent(
                f"The model was called {spent_today.calls} times today; calls_per_day is {self.calls_per_day}. {_NEXT}."
            )
        if self.usd_per_day is not None and spent_today.usd >= self.usd_per_day:
            raise BudgetSpent(
                f"The model took {spent_today.usd:.4f} US dollars today; usd_per_day is {self.usd_per_day:g}. {_NEXT}."
            )
        _check_tokens("The model took", "tokens_per_day", self.tokens_per_day, spent_today, estimated_tokens)
        scope_limit = self.scope_tokens_per_day
        _check_tokens("This scope took", "scope_tokens_per_day", scope_limit, spent_in_scope_today, estimated_tokens)


def _check_tokens(who: str, name: str, limit: int | None, spent: Spending, estimated_tokens: int) -> None:
    if limit is not None and spent.tokens + estimated_tokens > limit:
        raise BudgetSpent(
            f"{who} {spent.tokens} tokens today, and the next request takes about {estimated_tokens}; {name} is {limit}. "
            f"{_NEXT}."
        )


def estimated_tokens(messages: Sequence[Message], max_tokens: int = 0, count: TokenCounter = count_tokens) -> int:
    """About how many tokens a request takes: those of its messages and, at most, max_tokens of the answer.

    >>> estimated_tokens([Message(role="user", content="The cat sat on the mat.")], max_tokens=100)
    111
    """
    return sum(TOKENS_PER_MESSAGE + count(one.content) for one in messages) + max_tokens


def price_usd(llm: LLM, tokens_in: int, tokens_out: int) -> float | None:
    """What so many tokens cost, None where the model's price is not known."""
    if not isinstance(llm, Priced):
        return None
    return (tokens_in * llm.price_in + tokens_out * llm.price_out) / 1_000_000


def spent_on(llm: LLM, completion: Completion) -> Spending:
    """What one call took."""
    usd = price_usd(llm, completion.tokens_in, completion.tokens_out)
    return Spending(calls=1, tokens_in=completion.tokens_in, tokens_out=completion.tokens_out, usd=usd or 0.0)
