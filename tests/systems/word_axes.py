"""An embedder for tests in which every word that counts has an axis of its own, so that cosines can be worked out by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

REST = 0.05  # along the last axis, which all texts share, so that no text is without a direction


class WordAxes:
    """A text points where the words of its that were named point, each as often as it stands there."""

    is_semantic = True
    max_tokens = 512

    def __init__(self, words: str) -> None:
        self.words = words.split()
        self.dim = max(8, len(self.words) + 1)
        self.id = f"word-axes:{' '.join(self.words)}"

    def embed(self, texts: Sequence[str], kind: str = "document") -> NDArray[np.float32]:
        """[n, dim] unit vectors."""
        rows = np.zeros((len(texts), self.dim), np.float32)
        for row, text in enumerate(texts):
            said = re.findall(r"\w+", text.casefold())
            for axis, word in enumerate(self.words):
                rows[row, axis] = said.count(word)
            rows[row, -1] = REST
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
