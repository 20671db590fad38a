"""A language model that answers as a test tells it, in this process: the script without the server."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from mnemic.errors import LLMClosed, LLMRefused, LLMUnavailable
from mnemic.models.llm import Completion
from mnemic.models.prompt import Message
from mnemic.models.retrying import passes
from mnemic.testing.asked import asked
from mnemic.testing.script import Script, completed


class RuleLLM(Script):
    """An `mnemic.models.llm.LLM` made of rules. It does not retry: what an endpoint would refuse for now is LLMUnavailable.

    id: the name under which answers are kept, such as "rules:facts"; give other rules another one.
    """

    def __init__(self, id: str) -> None:
        super().__init__()
        self.id = id
        self._closed = threading.Event()

    @property
    def calls(self) -> int:
        """How often it was asked."""
        return len(self.requests)

    def complete(
        self, messages: Sequence[Message], *, schema: Mapping[str, Any] | None = None, max_tokens: int = 2048
    ) -> Completion:
        """The answer by the rules. Raises LLMUnavailable, LLMRefused and LLMClosed as an endpoint's client does."""
        if self._closed.is_set():
            raise LLMClosed(f"The model {self.id} was closed. Make another one.")
        question, reply = self._reply(asked(messages, schema=schema, model=self.id, max_tokens=max_tokens))
        if reply.delay_s and self._closed.wait(reply.delay_s):
            raise LLMClosed(f"The model {self.id} was closed while it was asked.")
        if reply.drops is not None:
            raise LLMUnavailable(f"The model {self.id} closed the connection, as its script says. Try again later.")
        if reply.raw is not None or reply.malformed in ("html", "invalid_utf8"):
            raise LLMUnavailable(f"The model {self.id} answered in no form of its protocol, as its script says.")
        if reply.status >= 400:
            said = f"The model {self.id} answered with status {reply.status}: {reply.text}"
            is_final = "x-should-retry" in reply.headers  # a problem of the script
            raise LLMRefused(said) if is_final or not passes(reply.status) else LLMUnavailable(said)
        return completed(question, reply)

    def close(self) -> None:
        """Give up what is under way; whoever asks from now on gets LLMClosed."""
        self._closed.set()
