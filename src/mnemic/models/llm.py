"""The seam between the library and a language model: messages in, text out.

An `LLM` is whatever completes a chat and can say who it is: its `id` names the model and every setting that changes its
answers, because answers are kept under it. It waits, retries and limits itself as its endpoint needs; it does not cache,
check or repair answers (`mnemic.models.structured` does) and knows nothing of stores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from mnemic.models.prompt import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What a model said."""

    text: str
    tokens_in: int = 0  # as the endpoint counts them; 0 where it does not say
    tokens_out: int = 0
    is_cut: bool = False  # it stopped at max_tokens, in the middle


class LLM(Protocol):
    """Whatever completes a chat. Safe to call from several threads."""

    @property
    def id(self) -> str:
        """The model and its settings, such as "openai:gpt-4o-mini": equal ids promise answers of equal kind."""
        ...

    def complete(
        self, messages: Sequence[Message], *, schema: Mapping[str, Any] | None = None, max_tokens: int = 2048
    ) -> Completion:
        """The model's next message.

        schema: a JSON schema that the text should follow, for endpoints with a mode for it; others ignore it.
        Raises LLMUnavailable for what passes (no connection, rate limit, overload, after the tries allowed), LLMRefused for a
        request that will not succeed as it is, LLMClosed once `close` was called.
        """
        ...

    def close(self) -> None:
        """Give up what is under way and release connections."""
        ...


@runtime_checkable
class Priced(Protocol):
    """A model whose price is known, in US dollars for a million tokens."""

    @property
    def price_in(self) -> float: ...

    @property
    def price_out(self) -> float: ...
