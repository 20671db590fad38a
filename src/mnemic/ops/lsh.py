"""Buckets for vectors: near vectors fall into the same one, so that a recall compares with one bucket, not with all.

F(x) = argmax([xR; -xR]), R a fixed random d × (b/2) matrix of normal numbers, b the number of buckets. Each bucket is one of
b directions, and a vector falls to the direction nearest to it; its length does not matter.
Source: Andoni, Indyk, Laarhoven, Razenshteyn and Schmidt, Practical and Optimal LSH for Angular Distance, 2015, with a plain
random matrix, as Think-in-Memory, arXiv 2311.08719, uses it.

Departs: a query near a border may also look into the next buckets, in the order of [xR; -xR] (multi-probe: Lv and others,
2007). R is made from the raw bits of PCG64, whose stream numpy promises to keep, so a bucket keeps its number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemic.errors import ParameterError
from mnemic.index.vectors import products

Vector = NDArray[np.floating[Any]]


class CrossPolytope:
    """The hash: vectors of `dim` numbers into `buckets` buckets, an even number. Equal arguments make equal hashes."""

    def __init__(self, dim: int, buckets: int, seed: int = 0) -> None:
        if dim < 1 or buckets < 2 or buckets % 2:
            raise ParameterError(
                f"dim={dim}, buckets={buckets}: give 1 dimension or more, and an even number of buckets."
            )
        self.dim, self.buckets, self.seed = dim, buckets, seed
        self._directions = _normal(buckets // 2 * dim, seed).reshape(buckets // 2, dim)  # R, transposed

    def scores(self, vector: Vector) -> NDArray[np.float64]:
        """[buckets] [xR; -xR]: how far the vector points in each bucket's direction."""
        wide = np.asarray(vector, np.float64)
        if wide.shape != (self.dim,):
            raise ParameterError(f"A vector of shape {wide.shape} was given; these buckets take ({self.dim},).")
        along = np.einsum("ij,j->i", self._directions, wide)
        return np.concatenate([along, -along])

    def bucket(self, vector: Vector) -> int:
        """The vector's bucket, in [0, buckets); that of zeros is 0."""
        return int(np.argmax(self.scores(vector)))

    def buckets_of(self, vectors: Vector) -> NDArray[np.int64]:
        """[n] the bucket of each row of [n, dim]."""
        along = np.einsum("nd,bd->nb", np.asarray(vectors, np.float64), self._directions)
        found: NDArray[np.int64] = np.argmax(np.concatenate([along, -along], axis=1), axis=1)
        return found

    def probes(self, vector: Vector, count: int) -> list[int]:
        """The `count` nearest buckets, nearest first: the vector's own, then those it nearly fell into."""
        nearest: list[int] = np.argsort(-self.scores(vector), kind="stable")[:count].tolist()
        return nearest


class Buckets:
    """Vectors by bucket, under ids."""

    def __init__(self, hash: CrossPolytope) -> None:
        self.hash = hash
        self._members: dict[int, dict[str, NDArray[np.float32]]] = {}  # by bucket, in the order they came
        self._bucket: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._bucket)

    def add(self, id: str, vector: Vector) -> int:
        """Put a vector into its bucket, and return which; one that was there under the id is replaced."""
        return self.place(id, vector, self.hash.bucket(vector))

    def place(self, id: str, vector: Vector, bucket: int) -> int:
        """Put a vector into a bucket that is known already, as from a record that kept it."""
        self.remove(id)
        self._members.setdefault(bucket, {})[id] = np.asarray(vector, np.float32)
        self._bucket[id] = bucket
        return bucket

    def remove(self, id: str) -> None:
        """Take an id out, if it is there."""
        if (bucket := self._bucket.pop(id, None)) is not None:
            del self._members[bucket][id]

    def bucket_of(self, id: str) -> int | None:
        """The bucket that holds the id."""
        return self._bucket.get(id)

    def members(self, bucket: int) -> list[str]:
        """The ids in a bucket, in the order they came."""
        return list(self._members.get(bucket, ()))

    def candidates(self, query: Vector, probes: int = 1) -> list[str]:
        """The ids in the query's nearest buckets, nearest bucket first: what a recall has to compare."""
        return [id for bucket in self.hash.probes(query, probes) for id in self._members.get(bucket, ())]

    def nearest(self, query: Vector, k: int, probes: int = 1) -> list[tuple[str, float]]:
        """(id, product with the query) of the k best candidates, best first, the earlier of two alike; cosines for unit
        vectors."""
        ids = self.candidates(query, probes)
        if not ids or k < 1:
            return []
        rows = np.stack([self._members[self._bucket[id]][id] for id in ids])
        scores = products(rows, np.asarray(query, np.float32))
        order: Sequence[int] = np.argsort(-scores, kind="stable")[:k].tolist()
        return [(ids[at], float(scores[at])) for at in order]


def _normal(count: int, seed: int) -> NDArray[np.float64]:
    """Normal numbers from the seed, by Box and Muller's transform."""
    raw = np.asarray(np.random.PCG64(seed).random_raw(2 * count), np.uint64) >> np.uint64(11)
    one, other = (raw.astype(np.float64) / float(1 << 53)).reshape(2, count)
    return np.asarray(np.sqrt(-2.0 * np.log1p(-one)) * np.cos(2.0 * np.pi * other), np.float64)
