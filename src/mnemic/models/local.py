"""Any sentence-transformers model, by name or by folder. It brings torch, so it is imported at the first text.

A name that is not on this machine is downloaded by that package, from where it is configured to: choosing this
embedder is choosing that. Source: sentence-transformers, `SentenceTransformer.encode`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from mnemic.errors import DependencyMissing
from mnemic.models.embedder import Kind, Vectors, check_texts, to_unit_length

_MISSING = (
    "The embedder 'sentence-transformers:{name}' needs a package that is not installed. Install it with: "
    "pip install 'mnemic[sentence-transformers]' — on Linux install the CPU build of torch first, or gigabytes of "
    "CUDA come along."
)


class SentenceTransformerEmbedder:
    """A sentence-transformers model behind our seam; `model` is a name on the hub or a folder.

    The id is the model's name, with `revision` where one is given: pin it, because a name alone may change under you.
    Raises DependencyMissing where the package is not installed.
    """

    is_semantic = True

    def __init__(
        self, model: str, *, revision: str | None = None, device: str | None = None, batch_size: int = 32
    ) -> None:
        self.model = model
        self.revision = revision
        self.device = device
        self.batch_size = batch_size
        self.id = f"sentence-transformers:{model}" + (f"@{revision}" if revision else "")
        self._lock = threading.Lock()
        self._model: Any = None
        if find_spec("sentence_transformers") is None:
            raise DependencyMissing(_MISSING.format(name=model))

    def __repr__(self) -> str:
        return f"SentenceTransformerEmbedder({self.model!r})"

    @property
    def dim(self) -> int:
        """Asking loads the model."""
        model = self._load()
        # renamed in version 5 of that package; the old name warns there
        size = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension
        return int(size())

    @property
    def max_tokens(self) -> int:
        """Asking loads the model."""
        return int(self._load().max_seq_length or 512)

    def embed(self, texts: Sequence[str], kind: Kind = "document") -> Vectors:
        """As `Embedder.embed`. A model with prompts named "query" and "document" gets the one of this `kind`."""
        check_texts(texts)
        model = self._load()
        vectors = np.zeros((len(texts), self.dim), np.float32)
        rows = [row for row, text in enumerate(texts) if text.strip()]
        if rows:
            prompt = kind if kind in (getattr(model, "prompts", None) or {}) else None
            vectors[rows] = to_unit_length(
                model.encode(
                    [texts[row] for row in rows],
                    batch_size=self.batch_size,
                    prompt_name=prompt,
                    convert_to_numpy=True,
                    show_progress_bar=False,
                )
            )
        return vectors

    def _load(self) -> Any:
        with self._lock:
            if self._model is None:
                from sentence_transformers import SentenceTransformer

                self._model = SentenceTransformer(self.model, revision=self.revision, device=self.device)
            return self._model
