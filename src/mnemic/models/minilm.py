"""all-MiniLM-L6-v2 without torch: a sentence encoder of 22.7 million parameters, on onnxruntime or on numpy.

The package carries a graph of the model without its weights (see tools/make_minilm_graph.py); onnxruntime is given
the weights straight from the mapped safetensors file. Where onnxruntime is missing, `minilm_numpy` computes the same
vectors to about 1e-6 at half the speed, so both carry one id. Source: the model's card; BERT, arXiv 1810.04805.

Departs from sentence-transformers: a text with nothing to embed gives the zero vector, not the vector of "[CLS]
[SEP]"; and a very long text is cut by characters before it is tokenised (see `wordpiece`).
"""

from __future__ import annotations

import importlib.util
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mnemic.errors import DependencyMissing, ParameterError
from mnemic.models.embedder import Kind, Vectors, check_texts
from mnemic.models.weights import WEIGHTS_SHA256, check_weights, read_safetensors, require_weights
from mnemic.models.wordpiece import WordPiece

MINILM_ID = f"all-MiniLM-L6-v2/{WEIGHTS_SHA256[:8]}"
LAYERS = 6

Ids: TypeAlias = NDArray[np.int32]
Forward: TypeAlias = Callable[[Ids, Ids], Vectors]
"""(piece numbers [batch, tokens] padded with 0, lengths [batch]) to unit vectors [batch, 384]."""


class MiniLM:
    """The default embedder. Nothing is read until the first text is embedded or counted.

    folder: where model.safetensors and vocab.txt are; see `weights.find_weights` for what happens without it.
    backend: "auto" is onnxruntime where it is installed, else numpy.
    threads: of onnxruntime; None is one for each core. numpy's threads are its own affair.
    """

    id = MINILM_ID
    dim = 384
    is_semantic = True

    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        backend: Literal["auto", "onnx", "numpy"] = "auto",
        threads: int | None = None,
        batch_size: int = 32,
        max_tokens: int = 256,
    ) -> None:
        if backend not in ("auto", "onnx", "numpy"):
            raise ParameterError(f"backend is {backend!r}; it can be 'auto', 'onnx' or 'numpy'.")
        if not 3 <= max_tokens <= 512:
            raise ParameterError(f"max_tokens is {max_tokens}; all-MiniLM-L6-v2 takes 3 to 512.")
        if batch_size < 1:
            raise ParameterError(f"batch_size is {batch_size}; give 1 or more.")
        self.folder = folder
        self.backend = backend
        self.threads = threads
        self.batch_size = batch_size
        self.max_tokens = max_tokens
        if max_tokens != 256:  # other vectors for long texts, so another identity
            self.id = f"{MINILM_ID}/{max_tokens}"
        self._lock = threading.Lock()
        self._loaded: tuple[int, WordPiece, Forward] | None = None

    def __repr__(self) -> str:
        return f"MiniLM(backend={self.backend!r}, folder={str(self.folder) if self.folder else None!r})"

    def embed(self, texts: Sequence[str], kind: Kind = "document") -> Vectors:
        """As `Embedder.embed`; `kind` makes no difference to this model. At most `max_tokens` of a text are seen.

        Raises WeightsMissing, WeightsDamaged, or DependencyMissing for backend "onnx" without onnxruntime.
        """
        check_texts(texts)
        vectors = np.zeros((len(texts), self.dim), np.float32)
        if not any(map(str.strip, texts)):
            return vectors
        tokenizer, forward = self._load()
        ids = [tokenizer.encode(text, self.max_tokens) for text in texts]
        # by length, so that a batch is padded little; what has only [CLS] and [SEP] keeps its zero vector
        order = sorted((row for row, pieces in enumerate(ids) if len(pieces) > 2), key=lambda row: len(ids[row]))
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            vectors[rows] = forward(*_pad([ids[row] for row in rows]))
        return vectors

    def count(self, text: str) -> int:
        """How many tokens the whole text has for this model, without a bound and without [CLS] and [SEP]."""
        return self._load()[0].count(text)

    def clear(self) -> None:
        """Forget the words that the tokenizer remembers."""
        if self._loaded is not None:
            self._loaded[1].clear()

    def _load(self) -> tuple[WordPiece, Forward]:
        loaded = self._loaded
        if loaded is None or loaded[0] != os.getpid():  # onnxruntime's threads do not survive a fork
            with self._lock:
                loaded = self._loaded
                if loaded is None or loaded[0] != os.getpid():
                    folder = require_weights(self.folder)
                    check_weights(folder)
                    tokenizer = WordPiece.from_file(folder / "vocab.txt")
                    forward = self._open(read_safetensors(folder / "model.safetensors"))
                    if loaded is not None:
                        _INHERITED.append(loaded)
                    self._loaded = loaded = (os.getpid(), tokenizer, forward)
        return loaded[1], loaded[2]

    def _open(self, weights: Mapping[str, NDArray[Any]]) -> Forward:
        if self.backend == "onnx" or (self.backend == "auto" and importlib.util.find_spec("onnxruntime")):
            return open_onnx(weights, self.threads)
        from mnemic.models.minilm_numpy import NumpyMiniLM

        return NumpyMiniLM(weights)


# What a forked child got from its parent: kept, since to drop a session waits for threads that the child does not have.
_INHERITED: list[object] = []


def open_onnx(weights: Mapping[str, NDArray[Any]], threads: int | None = None) -> Forward:
    """The forward pass on onnxruntime. Raises DependencyMissing without it."""
    # onnxruntime 1.30 and later writes an id into ~/.cache/Microsoft and looks for a server at import, unless told not to;
    # nothing is sent or written that the user did not ask for
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise DependencyMissing(
            "onnxruntime was asked for and is not installed. Install it with: pip install 'mnemic[onnx]' — or use "
            "the slower 'minilm-numpy', which gives the same vectors."
        ) from error
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or os.cpu_count() or 1
    options.log_severity_level = 3
    tensors = onnx_initialisers(weights)
    values = [ort.OrtValue.ortvalue_from_numpy(tensor) for tensor in tensors.values()]
    options.add_external_initializers(list(tensors), values)
    graph = files("mnemic.models").joinpath("minilm.onnx").read_bytes()
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def forward(ids: Ids, lengths: Ids) -> Vectors:
        vectors: Vectors = session.run(["vectors"], {"input_ids": ids, "lengths": lengths})[0]
        return vectors

    forward.weights = tensors  # type: ignore[attr-defined]  # the session points into them
    return forward


def onnx_initialisers(weights: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """The tensors that the graph names: those of the file, with query, key and value of a layer joined in one."""
    tensors = {
        name: tensor
        for name, tensor in weights.items()
        if tensor.dtype == np.float32 and ".self." not in name and not name.startswith("pooler.")
    }
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        parts = [f"{at}.attention.self.{part}" for part in ("query", "key", "value")]
        # [384, 3 * 384], as the operator multiplies from the right; contiguous, or onnxruntime refuses it
        matrix = np.concatenate([weights[f"{part}.weight"] for part in parts]).T
        tensors[f"{at}.qkv.weight"] = np.ascontiguousarray(matrix)
        tensors[f"{at}.qkv.bias"] = np.concatenate([weights[f"{part}.bias"] for part in parts])
    return tensors


def _pad(rows: Sequence[Sequence[int]]) -> tuple[Ids, Ids]:
    lengths = np.fromiter(map(len, rows), np.int32, len(rows))
    ids = np.zeros((len(rows), int(lengths.max())), np.int32)
    for row, pieces in enumerate(rows):
        ids[row, : len(pieces)] = pieces
    return ids, lengths
