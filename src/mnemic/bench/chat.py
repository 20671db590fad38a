"""A chat model behind any endpoint that speaks OpenAI's `/chat/completions`, for the benchmark's reader and judge.

The one idea: a run of thousands of questions is interrupted, rate-limited and repeated, so every answer is kept in a
file under (model, messages, parameters) and never asked for twice. What could not be answered is data too: a reply with
its failure, kept out of the file, so that a resumed run asks again. The key is never shown. Nothing is sent before the
first question.

The address is not part of the key, since the same model moves between addresses: give two different models of one name
two files.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from mnemic.errors import DependencyMissing, ParameterError
from mnemic.models.retry_after import seconds_asked

if TYPE_CHECKING:
    import httpx

OPENAI_URL = "https://api.openai.com/v1"
_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_OF_ONE_REQUEST = frozenset({400, 413, 422})  # too long, say: the next may do


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a chat."""

    role: str
    content: str


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
    Raises DependencyMissing where httpx is not installed, ParameterError without a key for OpenAI's own address.
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
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not model:
            raise ParameterError("The model has no name. Give one, such as --llm gpt-4o-mini.")
        if max_tries < 1 or give_up_after < 1 or timeout_s <= 0:
            raise ParameterError("max_tries and give_up_after must be 1 or more, timeout_s more than 0.")
        if find_spec("httpx") is None:
            raise DependencyMissing(
                f"The model {model!r} needs httpx, which is not installed. Install it with: pip install 'mnemic[remote]'"
            )
        self.model = model
        self.base_url = (base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL).rstrip("/")
        self._api_key = api_key if api_key is not None else os.environ.get("OPENAI_API_KEY", "")
        if not self._api_key and self.base_url == OPENAI_URL:
            raise ParameterError(
                f"The model {model!r} has no key. Set OPENAI_API_KEY, or OPENAI_BASE_URL for another endpoint."
            )
        self.timeout_s = timeout_s
        self.max_tries = max_tries
        self.max_pause_s = max_pause_s
        self.give_up_after = give_up_after
        self._sleep = sleep
        self._kept = None if cache is None else KeptReplies(cache)
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None
        self._failed_in_a_row = 0
        self._last_failure = ""

    def __repr__(self) -> str:
        parts = urlsplit(self.base_url)  # without user names, passwords and queries, which may be secret
        place = f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
        return f"ChatEndpoint({self.model!r}, base_url={place!r})"

    def ask(self, messages: Sequence[Message], *, seed: int = 0, max_tokens: int = 256) -> Reply:
        """The reply, from the file where it is known; a Reply with its failure where the endpoint gives none."""
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": one.role, "content": _sendable(one.content)} for one in messages],
            "temperature": 0,
            "seed": seed,
            "max_tokens": max_tokens,
        }
        if self._kept is not None and (known := self._kept.get(body)) is not None:
            return known
        if self._failed_in_a_row >= self.give_up_after:
            return Reply(
                failure=f"not asked, after {self._failed_in_a_row} failures in a row, the last: {self._last_failure}"
            )
        started = time.perf_counter()
        reply = replace(self._post(body), elapsed_ms=1000 * (time.perf_counter() - started))
        if reply.failure is not None:
            self._last_failure = reply.failure
            return reply
        if self._kept is not None:
            self._kept.put(body, reply)
        return reply

    def close(self) -> None:
        """Close the connections and the file of answers."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()
        if self._kept is not None:
            self._kept.close()

    def _post(self, body: dict[str, Any]) -> Reply:
        import httpx

        said, tries = "", 0
        for attempt in range(self.max_tries):
            tries = attempt + 1
            asked: float | None = None
            try:
                response = self._open().post(f"{self.base_url}/chat/completions", json=body)
            except httpx.TransportError as error:
                said = f"{type(error).__name__}: {error}"
            except (httpx.InvalidURL, httpx.HTTPError) as error:
                said = f"{type(error).__name__}: {error}"
                break
            else:
                if response.status_code == 200:
                    reply = _read(response.content)
                    if reply.failure is None:
                        self._failed_in_a_row = 0
                        return reply
                    said = reply.failure  # half an answer, or a proxy's page: both pass
                else:
                    said = f"HTTP {response.status_code}: {self._hidden(response.text)[:300].strip()}"
                    if response.status_code in _OF_ONE_REQUEST:
                        return self._failed(said)
                    if response.status_code not in _PASSING:
                        break
                    asked = seconds_asked(response.headers.get("retry-after"), datetime.now(UTC))
            if tries < self.max_tries:
                growing = min(0.5 * 2**attempt, self.max_pause_s) * random.uniform(0.5, 1.0)
                self._sleep(min(growing if asked is None else asked, self.max_pause_s))
        self._failed_in_a_row += 1
        return self._failed(said if tries == 1 else f"after {tries} tries: {said}")

    def _failed(self, what: str) -> Reply:
        return Reply(failure=self._hidden(what))

    def _hidden(self, text: str) -> str:
        return text.replace(self._api_key, "***") if self._api_key else text

    def _open(self) -> httpx.Client:
        import httpx

        with self._lock:
            if self._client is None:
                headers = {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}
                self._client = httpx.Client(headers=headers, timeout=self.timeout_s)
            return self._client


def _read(content: bytes) -> Reply:
    try:
        answer = json.loads(content)
        choice = answer["choices"][0]
        text = choice["message"]["content"]
        usage = answer.get("usage") or {}
        tokens_in, tokens_out = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        return Reply(failure=f"the answer is not in the format of /chat/completions ({type(error).__name__}: {error})")
    if not isinstance(text, str) or not text.strip():
        return Reply(failure=f"the answer is empty (finish_reason {choice.get('finish_reason')!r})")
    return Reply(text=text.strip(), tokens_in=tokens_in, tokens_out=tokens_out)


def _sendable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()  # lone surrogates are not JSON


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=True).encode()).hexdigest()
