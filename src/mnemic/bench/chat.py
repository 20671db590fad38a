"""A chat model whose answers are kept, for the benchmark's reader and judge; it is asked through `OpenAIChat`.

The one idea: a run of thousands of questions is interrupted, rate-limited and repeated, so every answer is kept in a
file under (model, messages, parameters) and never asked for twice. What could not be answered is data too: a reply with
its failure, kept out of the file, so that a resumed run asks again. The key is never shown. Nothing is sent before the
first question.

The address is not part of the key, since the same model moves between addresses: give two different models of one name
two files.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from mnemic.errors import ParameterError
from mnemic.models.endpoint import sendable
from mnemic.models.openai_chat import OpenAIChat
from mnemic.models.prompt import Message
from mnemic.models.retrying import Failure

__all__ = ["Chat", "ChatEndpoint", "KeptReplies", "Message", "Reply"]
_SIDE_BY_SIDE = 64  # whoever reads a benchmark says how many threads ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the model said, or why it said nothing."""

    text: str = ""
    failure: str | None = None
    tokens_in: int = 0  # as the endpoint counts them; 0 where it does not say
    tokens_out: int = 0
    elapsed_ms: float = 0.0
    is_cached: bool = False


class Chat(Protocol):
    """Whatever answers messages."""

    model: str

    def ask(self, messages: Sequence[Message], *, seed: int = 0, max_tokens: int = 256) -> Reply:
        """The model's reply; never raises for what the endpoint does."""
        ...


class KeptReplies:
    """Replies in a SQLite file, by the request that got them."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(self.path, timeout=60.0, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("CREATE TABLE IF NOT EXISTS replies (request TEXT PRIMARY KEY, model TEXT, reply TEXT)")
        except sqlite3.Error as error:
            raise ParameterError(
                f"{self.path} cannot keep a model's answers ({error}). Name a file in a folder that is there, or one that "
                "holds answers already."
            ) from None

    def get(self, body: dict[str, Any]) -> Reply | None:
        """The reply to a request; None where it has none yet."""
        with self._lock:
            row = self._db.execute("SELECT reply FROM replies WHERE request = ?", (_digest(body),)).fetchone()
        return None if row is None else replace(Reply(**json.loads(row[0])), is_cached=True)

    def put(self, body: dict[str, Any], reply: Reply) -> None:
        """Keep a reply. A failure is none."""
        assert reply.failure is None
        values = {name: getattr(reply, name) for name in ("text", "tokens_in", "tokens_out", "elapsed_ms")}
        with self._lock:
            row = (_digest(body), body["model"], json.dumps(values))
            self._db.execute("INSERT OR REPLACE INTO replies VALUES (?, ?, ?)", row)

    def close(self) -> None:
        """Release the file."""
        self._db.close()


class ChatEndpoint:
    """A model at an address. Temperature is 0; the seed is passed on, and honoured by endpoints that know it.

    base_url and api_key default to $OPENAI_BASE_URL (else OpenAI's own address) and $OPENAI_API_KEY, read here and now.
    A request waits at most timeout_s, a pause between two tries at most max_pause_s. After give_up_after requests in a
    row that failed for no fault of their own, the rest fails at once: a run against an endpoint that is down ends soon.
    sleep: waits instead of the clock. Raises DependencyMissing where openai is not installed, ParameterError without a key for
    OpenAI's own address.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        cache: str | Path | None = None,
        timeout_s: float = 120.0,
        max_tries: int = 5,
        max_pause_s: float = 60.0,
        give_up_after: int = 5,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        if give_up_after < 1:
            raise ParameterError("give_up_after must be 1 or more.")
        self.model = model
        self.give_up_after = give_up_after
        self._chat = OpenAIChat(
            model,
            base_url=base_url,
            api_key=api_key,
            timeout_s=timeout_s,
            max_tries=max_tries,
            max_pause_s=max_pause_s,
            concurrency=_SIDE_BY_SIDE,
            sleep=asyncio.sleep if sleep is None else lambda pause_s: asyncio.to_thread(sleep, pause_s),
        )
        self._kept = None if cache is None else KeptReplies(cache)
        self._failed_in_a_row = 0
        self._last_failure = ""

    def __repr__(self) -> str:
        return f"ChatEndpoint({self.model!r}, base_url={self._chat.base_url!r})"

    def ask(self, messages: Sequence[Message], *, seed: int = 0, max_tokens: int = 256) -> Reply:
        """The reply, from the file where it is known; a Reply with its failure where the endpoint gives none."""
        request: dict[str, Any] = {  # what an answer is kept under
            "model": self.model,
            "messages": [{"role": one.role, "content": sendable(one.content)} for one in messages],
            "temperature": 0,
            "seed": seed,
            "max_tokens": max_tokens,
        }
        if self._kept is not None and (known := self._kept.get(request)) is not None:
            return known
        if self._failed_in_a_row >= self.give_up_after:
            return Reply(
                failure=f"not asked, after {self._failed_in_a_row} failures in a row, the last: {self._last_failure}"
            )
        started = time.perf_counter()
        answer = self._chat.attempt(messages, max_tokens=max_tokens, seed=seed)
        elapsed_ms = 1000 * (time.perf_counter() - started)
        if isinstance(answer, Failure):
            self._last_failure = answer.what
            self._failed_in_a_row += not answer.is_of_request
            return Reply(failure=answer.what, elapsed_ms=elapsed_ms)
        self._failed_in_a_row = 0
        if not answer.text:
            return Reply(failure=f"the answer is empty, cut at {max_tokens} tokens", elapsed_ms=elapsed_ms)
        reply = Reply(text=answer.text, tokens_in=answer.tokens_in, tokens_out=answer.tokens_out, elapsed_ms=elapsed_ms)
        if self._kept is not None:
            self._kept.put(request, reply)
        return reply

    def close(self) -> None:
        """Close the connections and the file of answers."""
        self._chat.close()
        if self._kept is not None:
            self._kept.close()


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=True).encode()).hexdigest()
