"""An embedder that answers, fails or stops as the test says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mnemic.errors import EmbedderUnavailable
from mnemic.models.embedder import Kind, Vectors
from mnemic.models.hashing import HashingEmbedder


class ScriptedEmbedder:
    """Hashed n-grams under another name, while `is_up`; knows its dimension beforehand only if told so.

    stops_after: texts after which it raises KeyboardInterrupt, as a person would.
    """

    max_tokens, is_semantic = 8192, False

    def __init__(self, id: str = "scripted", *, is_up: bool = True, knows_dim: bool = True) -> None:
        self.id, self.is_up, self.knows_dim = id, is_up, knows_dim
        self.stops_after: int | None = None
        self.embedded: list[str] = []
        self._hashing = HashingEmbedder()

    @property
    def dim(self) -> int:
        if not self.is_up and not self.knows_dim:
            raise EmbedderUnavailable("nobody answers")
        return self._hashing.dim

    def embed(self, texts: Sequence[str], kind: Kind = "document") -> Vectors:
        if not self.is_up:
            raise EmbedderUnavailable("nobody answers")
        if self.stops_after is not None and len(self.embedded) >= self.stops_after:
            raise KeyboardInterrupt
        self.embedded += texts
        vectors: Vectors = np.asarray(self._hashing.embed(texts))
        return vectors
