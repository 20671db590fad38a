"""Nearest vectors of one index by cosine: exact while it is small, nearly exact and faster when it is large.

Small (up to SMALL rows): float16 as stored, widened at each cue. Medium: float32, one matrix product. Large: the rows
are rotated to their principal directions and only the leading ones are scanned; the best few hundred are then scored
exactly. How many directions are enough is measured when the index is built, on vectors of its own and on noisy ones,
and where even 256 do not find 99.5 % of the true nearest ten, the exact scan stays. Every score handed out is exact, any
set of rows may be left out of sight, and a row added is found at once, in all three.

A graph or inverted-list index answers faster beyond a million rows, but loses recall under a filter and needs a
package; docs/architecture.md has the measurements.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mnemic.index.columns import Column

SMALL, LARGE = 256, 15_000  # rows up to which an index is small; from which it is large
_BREADTHS = (64, 96, 128, 192, 256)  # leading directions to try
_RESCORED = 400  # rows scored exactly after the scan of the leading directions
_WANTED_RECALL = 0.995
_SAMPLE, _QUERIES, _NOISE = 8_192, 32, 0.5
_BLOCK = 4_096  # rows widened at a time


class VectorIndex:
    """Unit vectors by row, in the order they were added."""

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self._half = Column(np.float16, dim)
        self._wide: Column | None = None  # float32, while medium, or large without a useful rotation
        self._rotation: NDArray[np.float32] | None = None  # [dim, breadth]
        self._leading: Column | None = None  # float32 [n, breadth]
        self._rows_when_rotated = 0

    def clone(self) -> VectorIndex:
        """The same index, to be extended while others go on reading this one."""
        clone = VectorIndex(self.dim)
        clone._half = self._half.clone()
        clone._wide = self._wide and self._wide.clone()
        clone._leading = self._leading and self._leading.clone()
        clone._rotation, clone._rows_when_rotated = self._rotation, self._rows_when_rotated
        return clone

    def __len__(self) -> int:
        return len(self._half)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(column.nbytes for column in (self._half, self._wide, self._leading) if column is not None)

    @property
    def is_exact(self) -> bool:
        """Whether `top` looks at every row in full."""
        return self._leading is None

    def extend(self, vectors: NDArray[np.float16]) -> None:
        """Add rows: float16 [n, dim]; a row of zeros stands for a vector that is still missing."""
        self._half.extend(vectors)
        if self._leading is not None and self._rotation is not None:
            self._leading.extend(vectors.astype(np.float32) @ self._rotation)
        elif self._wide is not None:
            self._wide.extend(vectors.astype(np.float32))

    def settle(self) -> None:
        """Take the form that fits the number of rows. Reading does it where it was not done; it may take a second."""
        n = len(self)
        if n >= LARGE and n > 2 * self._rows_when_rotated:  # new, or the directions were found on half as many rows
            self._rotate()
        elif self._leading is None and self._wide is None and n > SMALL:
            self._wide = Column.of(self._half.values.astype(np.float32))

    def top(
        self, query: NDArray[np.float32], k: int, visible: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(rows, cosines) of the k nearest rows in sight, nearest first; ties in row order."""
        if not len(self):
            return np.empty(0, np.int64), np.empty(0, np.float32)
        self.settle()
        if self._leading is None:
            rows = best(self._scan(query), k, visible)
        else:
            assert self._rotation is not None
            rows = best(self._leading.values @ (query @ self._rotation), max(_RESCORED, 4 * k), visible)
        scores = self.scores(query, rows)
        order = np.lexsort((rows, -scores))[:k]
        return rows[order], scores[order]

    def all_scores(self, query: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """[n] the cosines of all rows, where the index is small enough to look at them all; None where it is not."""
        self.settle()
        return self._scan(query) if self._leading is None else None

    def scores(self, query: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The exact cosines of some rows."""
        values = self._half.values[rows].astype(np.float32) if self._wide is None else self._wide.values[rows]
        return products(values, query)

    def kept(self, keep: NDArray[np.bool_]) -> VectorIndex:
        """The same index without the rows where `keep` is false."""
        smaller = VectorIndex(self.dim)
        smaller._half = Column.of(self._half.values[keep])
        smaller._wide = None if self._wide is None else Column.of(self._wide.values[keep])
        smaller._leading = None if self._leading is None else Column.of(self._leading.values[keep])
        # the directions stay, or that there are none: it was right for these rows, and finding them takes seconds
        smaller._rotation, smaller._rows_when_rotated = self._rotation, self._rows_when_rotated
        return smaller

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything, as arrays for a file."""
        arrays: dict[str, NDArray[np.generic]] = {"vectors": self._half.values}
        if self._leading is not None and self._rotation is not None:
            arrays |= {"rotation": self._rotation, "leading": self._leading.values}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[np.generic]]) -> VectorIndex:
        """The inverse of `arrays`."""
        half = arrays["vectors"].astype(np.float16, copy=False)
        index = cls(half.shape[1])
        if "leading" in arrays:
            index._half = Column.of(half)
            index._rotation = arrays["rotation"].astype(np.float32, copy=False)
            index._leading = Column.of(arrays["leading"].astype(np.float32, copy=False))
            index._rows_when_rotated = len(half)
        else:
            index.extend(half)
        return index

    def _scan(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._wide is not None:
            return products(self._wide.values, query)
        return np.concatenate([products(block, query) for _, block in _blocks(self._half.values)])

    def _rotate(self) -> None:
        """Find the leading directions and how many are enough; keep the exact scan where none are."""
        half, n = self._half.values, len(self)
        self._rows_when_rotated = n
        generator = np.random.default_rng(n)  # the same rows give the same index
        sample = half[np.sort(generator.choice(n, min(n, _SAMPLE), replace=False))].astype(np.float32)
        _, directions = np.linalg.eigh(sample.T @ sample)
        directions = np.ascontiguousarray(directions[:, ::-1], np.float32)
        queries = sample[generator.choice(len(sample), min(_QUERIES, len(sample)), replace=False)]
        noise = generator.standard_normal(queries.shape).astype(np.float32)
        noise *= _NOISE / np.maximum(np.linalg.norm(noise, axis=1, keepdims=True), 1e-9)
        breadth = _enough(half, directions, np.concatenate([queries, queries + noise]))
        self._wide = self._leading = self._rotation = None
        if breadth is None:
            self._wide = Column.of(half.astype(np.float32))
            return
        rotation = np.ascontiguousarray(directions[:, :breadth])
        leading = np.empty((n, breadth), np.float32)
        for start, block in _blocks(half):
            leading[start : start + len(block)] = block @ rotation
        self._rotation, self._leading = rotation, Column.of(leading)


def _blocks(half: NDArray[np.float16]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    for start in range(0, len(half), _BLOCK):
        yield start, half[start : start + _BLOCK].astype(np.float32)


def _enough(half: NDArray[np.float16], directions: NDArray[np.float32], queries: NDArray[np.float32]) -> int | None:
    """How many directions put the queries' true nearest ten among the rows that are rescored; None when no number does."""
    scores, rows = np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
    for start, block in _blocks(half):  # the true nearest ten, a block at a time
        scores = np.concatenate([scores, queries @ block.T], axis=1)
        rows = np.concatenate(
            [rows, np.broadcast_to(np.arange(start, start + len(block)), (len(queries), len(block)))], 1
        )
        nearest = np.argpartition(-scores, 9, axis=1)[:, :10]
        scores, rows = np.take_along_axis(scores, nearest, 1), np.take_along_axis(rows, nearest, 1)
    for breadth in _BREADTHS:
        if breadth >= half.shape[1]:
            return None
        seen = directions[:, :breadth]
        turned = queries @ seen @ seen.T  # its product with a row is that of the leading directions alone
        theirs = np.einsum("qd,qrd->qr", turned, half[rows].astype(np.float32))
        ahead = np.zeros_like(rows)
        for _, block in _blocks(half):
            found = turned @ block.T
            for place in range(rows.shape[1]):
                ahead[:, place] += (found > theirs[:, place, None]).sum(1)
        if (ahead < _RESCORED).mean() >= _WANTED_RECALL:
            return breadth
    return None


def products(rows: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.float32]:
    """[n] the product of each row with the query, which does not depend on what other rows there are.

    BLAS is up to twice as fast and sums a row in another order when others follow it: a score would change in its last
    digit with every episode that is added, and a recall as of an earlier time would not be the recall of that time.
    """
    found: NDArray[np.float32] = np.einsum("ij,j->i", rows, query)
    return found


def best(scores: NDArray[np.float32], k: int, visible: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """The rows of the k highest scores in sight, in no particular order; ties at the edge go to earlier rows."""
    if visible is not None:
        scores = np.where(visible, scores, -np.inf)
    n = len(scores)
    if k >= n:
        rows = np.arange(n)
        return rows if visible is None else rows[visible]
    cut = _cut(scores, k)
    rows = np.flatnonzero(scores >= cut)
    if len(rows) > k:
        above = scores[rows]
        edge = np.partition(above, len(rows) - k)[len(rows) - k]
        certain, tied = rows[above > edge], rows[above == edge]
        rows = np.concatenate([certain, tied[: k - len(certain)]])
    return rows[np.isfinite(scores[rows])] if visible is not None else rows


def _cut(scores: NDArray[np.float32], k: int) -> float:
    """A value that at least k of the scores reach: guessed from a sample where that is cheaper than sorting out all."""
    n = len(scores)
    if n > 16_384:
        sample = scores[::16]
        rank = min(len(sample) - 1, k // 16 * 2 + 16)
        guess = float(np.partition(sample, len(sample) - 1 - rank)[len(sample) - 1 - rank])
        if np.count_nonzero(scores >= guess) >= k:
            return guess
    return float(np.partition(scores, n - k)[n - k])
