"""Embeddings from any endpoint that speaks OpenAI's `/v1/embeddings`: OpenAI, Ollama, vLLM, LM Studio and others.

One POST for each batch: `{"model", "input": [...], "dimensions"?}`, answered by `{"data": [{"index", "embedding"}]}`.
Refusals that pass (429, 5xx, a broken connection) are tried again with growing, jittered pauses, or after as long
as the server asks; whatever is wrong with an answer is said, never guessed around. The key is never shown.

The id is `openai:MODEL`, with `?dimensions=N` where given, and so is also the spec that opens it. The address is not
part of it, since the same model moves between addresses: two different models under one name are not told apart.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from mnemic.clock import Clock, SystemClock
from mnemic.errors import DependencyMissing, EmbedderUnavailable, ParameterError
from mnemic.models.embedder import Kind, Vectors, check_texts, to_unit_length
from mnemic.models.retry_after import seconds_asked

if TYPE_CHECKING:
    import httpx

OPENAI_URL = "https://api.openai.com/v1"
CHARACTERS_PER_TOKEN = 3  # under the limit for Latin script; set max_tokens lower for denser ones
_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_KNOWN_DIMENSIONS = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}


class RemoteEmbedder:
    """An embedding endpoint; nothing is sent before the first text, or before its dimension is asked for.

    base_url and api_key default to $OPENAI_BASE_URL (else OpenAI's own address) and $OPENAI_API_KEY, both read here
    and now. dimensions asks the server to shorten its vectors, and refuses any that are not so. A request waits at
    most timeout_s, a pause between two tries at most max_pause_s.
    Raises DependencyMissing where httpx is not installed.
    """

    is_semantic = True

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        dimensions: int | None = None,
        batch_size: int = 128,
        max_tokens: int = 8191,
        timeout_s: float = 30.0,
        max_tries: int = 5,
        max_pause_s: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
        clock: Clock | None = None,
    ) -> None:
        if not model:
            raise ParameterError("The embedding model has no name. Give one, such as 'text-embedding-3-small'.")
        if (dimensions is not None and dimensions < 1) or batch_size < 1 or max_tries < 1:
            raise ParameterError("dimensions, batch_size and max_tries must be 1 or more.")
        if find_spec("httpx") is None:
            raise DependencyMissing(
                f"The embedder 'openai:{model}' needs httpx, which is not installed. Install it with: "
                "pip install 'mnemic[remote]'"
            )
        self.model = model
        self.base_url = (base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL).rstrip("/")
        self.dimensions = dimensions
        self.batch_size = batch_size
        self.max_tokens = max_tokens
        self.timeout_s = timeout_s
        self.max_tries = max_tries
        self.max_pause_s = max_pause_s
        self.id = f"openai:{model}" + (f"?dimensions={dimensions}" if dimensions else "")
        self._api_key = api_key if api_key is not None else os.environ.get("OPENAI_API_KEY", "")
        self._dim = dimensions or _KNOWN_DIMENSIONS.get(model)
        self._sleep = sleep
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None

    def __repr__(self) -> str:
        return f"RemoteEmbedder({self.model!r}, base_url={self._place!r})"

    @property
    def dim(self) -> int:
        """Known for OpenAI's own models and where `dimensions` is given; otherwise asking sends one short text."""
        if self._dim is None:
            self._request(["dimension"])
        assert self._dim is not None
        return self._dim

    def embed(self, texts: Sequence[str], kind: Kind = "document") -> Vectors:
        """As `Embedder.embed`. Blank texts are not sent, long ones are cut at 3 characters for each of max_tokens.

        Raises EmbedderUnavailable when the endpoint does not give proper vectors.
        """
        check_texts(texts)
        rows = [row for row, text in enumerate(texts) if text.strip()]
        answers = []
        for start in range(0, len(rows), self.batch_size):
            batch = rows[start : start + self.batch_size]
            answers.append(self._request([texts[row][: CHARACTERS_PER_TOKEN * self.max_tokens] for row in batch]))
        vectors = np.zeros((len(texts), self.dim), np.float32)
        if answers:
            vectors[rows] = np.concatenate(answers)
        return vectors

    def close(self) -> None:
        """Close the connections. The next text opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    @property
    def _place(self) -> str:
        """The address without user names, passwords and queries, which may be secret."""
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"

    def _request(self, texts: list[str]) -> Vectors:
        if not self._api_key and self.base_url == OPENAI_URL:
            raise self._unavailable("no key is set", "Set OPENAI_API_KEY, or OPENAI_BASE_URL for another endpoint")
        body: dict[str, Any] = {
            "model": self.model,
            "input": [text.encode("utf-8", "replace").decode() for text in texts],  # lone surrogates are not JSON
        }
        if self.dimensions:
            body["dimensions"] = self.dimensions
        vectors = to_unit_length(self._read(self._post(body), len(texts)))
        self._dim = vectors.shape[1]
        return vectors

    def _post(self, body: dict[str, Any]) -> httpx.Response:
        import httpx

        said = ""
        for attempt in range(self.max_tries):
            asked: float | None = None
            try:
                response = self._open().post(f"{self.base_url}/embeddings", json=body)
            except httpx.TransportError as error:
                said = f"{type(error).__name__}: {error}"
            except (httpx.InvalidURL, httpx.HTTPError) as error:
                raise self._unavailable(f"{type(error).__name__}: {error}", "Check the address") from None
            else:
                if response.status_code == 200:
                    return response
                said = f"HTTP {response.status_code}: {response.text[:300].strip()}"
                if response.status_code not in _PASSING:
                    raise self._unavailable(said, _remedy(response.status_code))
                asked = seconds_asked(response.headers.get("retry-after"), self._clock.now())
            if attempt + 1 < self.max_tries:
                growing = min(0.5 * 2**attempt, self.max_pause_s)
                pause = growing * random.uniform(0.5, 1.0) if asked is None else asked
                self._sleep(min(pause, self.max_pause_s))
        raise self._unavailable(
            f"after {self.max_tries} tries: {said}", "Check that it runs and is reachable, then do it again"
        )

    def _open(self) -> httpx.Client:
        import httpx

        with self._lock:
            if self._client is None:
                headers = {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}
                self._client = httpx.Client(headers=headers, timeout=self.timeout_s)
            return self._client

    def _read(self, response: httpx.Response, n_texts: int) -> Vectors:
        """[n_texts, dim] in the order of the texts, whatever order the answer has."""
        try:
            entries = response.json()["data"]
            places = [int(entry.get("index", place)) for place, entry in enumerate(entries)]
            if sorted(places) != list(range(n_texts)):
                raise self._malformed(f"{n_texts} texts were sent and vectors came back for {places[:8]}")
            vectors = np.empty((n_texts, len(entries[0]["embedding"])), np.float32)
            for place, entry in zip(places, entries, strict=True):
                vectors[place] = entry["embedding"]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise self._malformed(f"{type(error).__name__}: {error}") from None
        if vectors.shape[1] == 0 or not np.isfinite(vectors).all():
            raise self._malformed("a vector is empty or not finite")
        if self._dim is not None and vectors.shape[1] != self._dim:
            raise self._unavailable(
                f"its vectors have {vectors.shape[1]} dimensions where {self._dim} were expected",
                "Name the model it really serves, or leave `dimensions` out if it cannot shorten vectors",
            )
        return vectors

    def _malformed(self, what: str) -> EmbedderUnavailable:
        return self._unavailable(
            f"its answer is not in the format of /v1/embeddings ({what})",
            "Check that the address ends where that path begins, usually in /v1",
        )

    def _unavailable(self, what: str, remedy: str) -> EmbedderUnavailable:
        message = f"{self.id} was asked for vectors at {self._place}: {what}. {remedy}."
        return EmbedderUnavailable(message.replace(self._api_key, "***") if self._api_key else message)


def _remedy(status: int) -> str:
    if status in (401, 403):
        return "Check OPENAI_API_KEY"
    if status == 404:
        return "Check the model's name, and that the address ends where /embeddings begins, usually in /v1"
    return "Check the model's name and settings; for texts that are too long, set max_tokens lower"
