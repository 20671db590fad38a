"""The seam between text and vectors, and a cache that stands before any embedder.

An embedder is whatever turns texts into unit-length vectors and can say who it is: its `id` is stored beside the
vectors, because vectors of two models must never be compared. `CachedEmbedder` wraps any of them and is one itself.

One rule holds for all: a text with nothing in it to embed (empty, blank, only control characters) gives the zero
vector, whose cosine with everything is 0. Where models give an arbitrary direction for it, we depart from them: an
empty episode should be near to nothing.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mnemic.errors import EmbedderError, ParameterError
from mnemic.progress import track

Kind: TypeAlias = Literal["document", "query"]
Vectors: TypeAlias = NDArray[np.float32]


class Embedder(Protocol):
    """Whatever turns texts into vectors."""

    @property
    def id(self) -> str:
        """Model, revision and mode, as stored in the database: equal ids promise comparable vectors."""
        ...

    @property
    def dim(self) -> int:
        """Length of a vector. Asking may load a model or call its endpoint once."""
        ...

    @property
    def max_tokens(self) -> int:
        """How much of a text is seen; the rest of it has no influence on the vector."""
        ...

    @property
    def is_semantic(self) -> bool:
        """False where only shared spelling makes two texts similar."""
        ...

    def embed(self, texts: Sequence[str], kind: Kind = "document") -> Vectors:
        """[n, dim] vectors of unit length, in the order of `texts`; zero for a text with nothing to embed.

        Safe to call from several threads.
        """
        ...


@runtime_checkable
class Forgetful(Protocol):
    """An embedder that keeps something of the texts it saw, and can drop it."""

    def clear(self) -> None:
        """Forget every text seen so far."""
        ...


BULK = 64  # so many different texts in one call pass by the cache: they would only push out the rest


class CachedEmbedder:
    """An embedder that remembers its last vectors, and embeds a text repeated within one call once.

    Vectors are kept by a hash of their text, never the text itself, at most `capacity` of them, least recently used
    out first: 4,096 vectors of 384 dimensions are 6 MB. The lock is not held while embedding, so two threads that ask
    for the same new text at the same moment may both embed it.
    """

    def __init__(self, embedder: Embedder, capacity: int = 4096) -> None:
        if capacity < 0:
            raise ParameterError(f"capacity is {capacity}; give the number of vectors to keep, 0 or more.")
        self.embedder = embedder
        self.capacity = capacity
        self._vectors: OrderedDict[bytes, Vectors] = OrderedDict()
        self._lock = threading.Lock()
        self._generation = 0

    def __repr__(self) -> str:
        return f"CachedEmbedder({self.embedder!r}, capacity={self.capacity})"

    @property
    def id(self) -> str:
        return self.embedder.id

    @property
    def dim(self) -> int:
        return self.embedder.dim

    @property
    def max_tokens(self) -> int:
        """As the wrapped embedder says; 512 where it does not."""
        return int(getattr(self.embedder, "max_tokens", 512))

    @property
    def is_semantic(self) -> bool:
        """As the wrapped embedder says; true where it does not."""
        return bool(getattr(self.embedder, "is_semantic", True))

    def embed(self, texts: Sequence[str], kind: Kind = "document") -> Vectors:
        """As `Embedder.embed`. The array is the caller's own.

        Raises EmbedderError when the wrapped embedder gives an array of another shape than it promised.
        """
        check_texts(texts)
        if not texts:
            return np.zeros((0, self.dim), np.float32)
        if len(texts) == 1:
            return self._embed_one(texts[0], kind)
        if len(texts) >= BULK and len(set(texts)) == len(texts):
            return self._embed_new(list(texts), kind)
        keys = [_key(text, kind) for text in texts]
        with self._lock:
            generation = self._generation
            found = {key: self._vectors[key] for key in keys if key in self._vectors}
            for key in found:
                self._vectors.move_to_end(key)
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if new:
            rows = self._embed_new(list(new.values()), kind)
            for key, row in zip(new, rows, strict=True):
                found[key] = row
            self._keep(found, list(new), generation)
        return np.stack([found[key] for key in keys])

    def _embed_one(self, text: str, kind: Kind) -> Vectors:
        key = _key(text, kind)
        with self._lock:
            generation, row = self._generation, self._vectors.get(key)
            if row is not None:
                self._vectors.move_to_end(key)
                return row[np.newaxis].copy()
        rows = self._embed_new([text], kind)
        self._keep({key: rows[0]}, [key], generation)
        return rows.copy()

    def embed_many(
        self,
        texts: Sequence[str],
        show_progress: bool = False,
        *,
        kind: Kind = "document",
        batch_size: int = 1024,
    ) -> Vectors:
        """As `embed`, in batches, with a bar on a terminal where `show_progress` is true."""
        check_texts(texts)
        vectors = np.zeros((len(texts), self.dim), np.float32)
        starts = range(0, len(texts), batch_size)
        for start in track(starts, "Embedding", len(starts), show=show_progress):
            stop = start + batch_size
            vectors[start:stop] = self.embed(texts[start:stop], kind)
        return vectors

    def clear(self) -> None:
        """Forget every vector, and what the wrapped embedder keeps of texts it saw.

        A call that is embedding at this moment still returns its answer, and does not put it back into the cache.
        """
        with self._lock:
            self._vectors.clear()
            self._generation += 1
        if isinstance(self.embedder, Forgetful):
            self.embedder.clear()

    def _embed_new(self, texts: list[str], kind: Kind) -> Vectors:
        rows = np.asarray(self.embedder.embed(texts, kind), dtype=np.float32)
        if rows.shape != (len(texts), self.dim):
            raise EmbedderError(
                f"{self.embedder.id} was asked for {len(texts)} vectors of {self.dim} dimensions and gave an array "
                f"of shape {rows.shape}. Its embed() must return one row for each text."
            )
        return rows

    def _keep(self, found: dict[bytes, Vectors], new: list[bytes], generation: int) -> None:
        with self._lock:
            if generation != self._generation:  # cleared while we embedded
                return
            for key in new[-self.capacity :] if self.capacity else ():
                self._vectors[key] = found[key].copy()  # a view would keep the whole batch alive
            while len(self._vectors) > self.capacity:
                self._vectors.popitem(last=False)


def check_texts(texts: Sequence[Any]) -> None:
    """Refuse what is not a sequence of strings: a lone string would be embedded letter by letter.

    >>> check_texts("hello")
    Traceback (most recent call last):
    mnemic.errors.ParameterError: embed() was given a str. Give a list of texts: embed(["..."]).
    """
    if isinstance(texts, str | bytes):
        raise ParameterError(f'embed() was given a {type(texts).__name__}. Give a list of texts: embed(["..."]).')
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise ParameterError(
                f"embed() was given {type(text).__name__} at position {position}. Give a list of texts."
            )


def to_unit_length(vectors: NDArray[Any]) -> Vectors:
    """Each row divided by its length, as float32; a zero row stays zero.

    >>> to_unit_length(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    wide = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(wide, axis=-1, keepdims=True)
    unit: Vectors = np.divide(wide, lengths, out=np.zeros_like(wide), where=lengths > 0).astype(np.float32)
    return unit


def _key(text: str, kind: Kind) -> bytes:
    content = text.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(content, digest_size=16, person=kind.encode()).digest()
