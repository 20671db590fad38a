"""Embedding again: after a change of embedder, or for what could not be embedded when it was written.

The first step, one transaction, drops every vector and writes down the new embedder; from then on the store is the new
embedder's, and each batch of vectors is a transaction. An interrupted run leaves episodes that wait for their vectors and
are found by their words meanwhile; the next run goes on with them.
"""

from __future__ import annotations

from collections.abc import Iterator

from mnemic.models.embedder import CachedEmbedder, Embedder
from mnemic.progress import track
from mnemic.store.contract import VectorsBy
from mnemic.store.sqlite import SqliteStore

_BATCH = 512


def reindex(store: SqliteStore, embedder: Embedder, *, show_progress: bool = False, again: bool = False) -> int:
    """Give every episode a vector of this embedder; how many were embedded.

    again: embed everything, also what this embedder has embedded already.
    """
    if again or store.meta("embedder") != embedder.id or store.meta("dim") != str(embedder.dim):
        store.clear_vectors({"embedder": embedder.id, "dim": str(embedder.dim)})
    waiting = store.counts()["waiting_vectors"]
    return sum(
        1 for _ in track(_embedded(store, CachedEmbedder(embedder, 0)), "Embedding", waiting, show=show_progress)
    )


def _embedded(store: SqliteStore, embedder: CachedEmbedder) -> Iterator[int]:
    while batch := store.without_vector(_BATCH):
        vectors = embedder.embed([text for _, text in batch]).astype("<f2")
        written = [(seq, vector.tobytes()) for (seq, _), vector in zip(batch, vectors, strict=True)]
        store.put_vectors(written, VectorsBy(embedder.id, vectors.shape[1]))
        yield from (seq for seq, _ in batch)
