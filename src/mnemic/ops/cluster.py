"""Groups of vectors: k-means, k-means until every group is small, groups that grow as vectors come, and names that are one.

k-means: every vector belongs to its nearest centre, every centre is the mean of its vectors, in turns until nothing moves.
Source: Lloyd, Least Squares Quantization in PCM, 1982; the start is k-means++, Arthur and Vassilvitskii, 2007: each next
centre is drawn with a probability in proportion to its squared distance from those there are. Splitting until no group has
more than so many members: MemOS, arXiv 2507.03724.

Departs: draws are hashes of the seed, groups are numbered in the order of their first members, and a centre that loses all
its vectors is given up. Sums are taken row by row, not by BLAS, so a group does not hang on the machine's threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemic.errors import ParameterError
from mnemic.index.vectors import products
from mnemic.ops.decay import uniform
from mnemic.text.terms import normalised, terms

Vectors = NDArray[np.floating[Any]]  # [n, d]
_BLOCK = 2_048  # rows compared at a time


@dataclass(frozen=True, slots=True)
class Clusters:
    """Which group each vector is in, and the groups' means."""

    labels: NDArray[np.int64]  # [n], numbered from 0 in the order of the groups' first members
    centres: NDArray[np.float64]  # [k, d]

    @property
    def members(self) -> list[list[int]]:
        """The rows of each group, ascending."""
        order = np.argsort(self.labels, kind="stable")
        ends = np.cumsum(np.bincount(self.labels, minlength=len(self.centres)))[:-1]
        return [rows.tolist() for rows in np.split(order, ends)] if len(self.centres) else []


def k_means(vectors: Vectors, k: int, *, seed: int = 0, rounds: int = 50) -> Clusters:
    """At most k groups of vectors [n, d]; fewer where fewer are distinct. The same rows and seed give the same groups.

    On unit vectors the nearest centre is by squared distance to the mean, which ranks nearly as cosines do.
    """
    if k < 1:
        raise ParameterError(f"k={k}: ask for at least 1 cluster.")
    x = np.ascontiguousarray(vectors, np.float64)
    if not len(x):
        return Clusters(np.empty(0, np.int64), np.empty((0, x.shape[1] if x.ndim == 2 else 0)))
    centres = x[_starts(x, min(k, len(x)), seed)]
    labels = _nearest(x, centres)
    for _ in range(rounds):
        labels, centres = _means(x, labels)
        moved = _nearest(x, centres)
        if np.array_equal(moved, labels):
            break
        labels = moved
    return Clusters(*_means(x, labels))


def split(vectors: Vectors, max_size: int, *, seed: int = 0) -> list[list[int]]:
    """Groups of rows, none larger than max_size: k-means with k = ceil(n / max_size), again in each that is too large.

    Rows ascend within a group; groups stand in the order of their first rows. Vectors that k-means cannot tell apart are cut
    in the order in which they stand.
    """
    if max_size < 1:
        raise ParameterError(f"max_size={max_size}: a cluster needs room for at least 1 member.")
    x = np.ascontiguousarray(vectors, np.float64)
    done: list[list[int]] = []
    waiting = [np.arange(len(x))] if len(x) else []
    while waiting:
        rows = waiting.pop()
        if len(rows) <= max_size:
            done.append(rows.tolist())
            continue
        found = k_means(x[rows], max(2, -(-len(rows) // max_size)), seed=seed).members
        if len(found) == 1:
            done += [rows[at : at + max_size].tolist() for at in range(0, len(rows), max_size)]
        else:
            waiting += [rows[group] for group in found]
    return sorted(done, key=lambda group: group[0])


class Online:
    """Groups that grow as vectors come: each joins the most similar group, or founds one where none is similar enough.

    threshold: the cosine with a group's mean direction from which on a vector joins it. The order of the vectors matters,
    and nothing else does.
    """

    def __init__(self, dim: int, threshold: float) -> None:
        self.threshold = threshold
        self.sizes: list[int] = []  # members of each group
        self._sums = np.zeros((8, dim))
        self._means = np.zeros((8, dim))  # unit vectors

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def centres(self) -> NDArray[np.float64]:
        """[k, d] the groups' mean directions, unit vectors."""
        return self._means[: len(self)].copy()

    def nearest(self, vector: NDArray[np.floating[Any]]) -> tuple[int, float]:
        """(group, cosine) of the most similar group, the earlier of two alike; (-1, -1.0) while there is none."""
        if not len(self):
            return -1, -1.0
        cosines = np.einsum("ij,j->i", self._means[: len(self)], _unit(vector))
        group = int(np.argmax(cosines))
        return group, float(cosines[group])

    def add(self, vector: NDArray[np.floating[Any]]) -> int:
        """The number of the group that the vector joins, or founds."""
        group, cosine = self.nearest(vector)
        if group < 0 or cosine < self.threshold:
            group = len(self)
            self.sizes.append(0)
            if group == len(self._sums):
                self._sums = np.concatenate([self._sums, np.zeros_like(self._sums)])
                self._means = np.concatenate([self._means, np.zeros_like(self._means)])
        self.sizes[group] += 1
        self._sums[group] += _unit(vector)
        self._means[group] = _unit(self._sums[group])
        return group


def matching_name(
    name: str, vector: NDArray[np.float32] | None, names: Sequence[str], vectors: Vectors | None, threshold: float
) -> int | None:
    """The position of the known name that means the same: spelled alike, else of the same terms, else the nearest by cosine.

    vector, vectors: unit vectors of the name and of the known names, [d] and [n, d]; None to go by spelling and terms. A
    cosine counts from the threshold on. None where no known name is the same.

    >>> matching_name("sport", None, ["Music", "Sports"], None, 0.9)
    1
    """
    said, stems = normalised(name), terms(name)
    of_terms = None
    for at, known in enumerate(names):
        if normalised(known) == said:
            return at
        if of_terms is None and stems and terms(known) == stems:
            of_terms = at
    if of_terms is not None or vector is None or vectors is None or not len(vectors):
        return of_terms
    cosines = products(np.asarray(vectors, np.float32), np.asarray(vector, np.float32))
    at = int(np.argmax(cosines))
    return at if cosines[at] >= threshold else None


def merged_names(names: Sequence[str], vectors: Vectors | None, threshold: float) -> list[int]:
    """[n] for each name the position of the first name that it is the same as; its own where it is the first.

    Names are compared with first names only, so a chain of small steps does not lead from one meaning to another. Give the
    names that are to be kept first. vectors: unit vectors [n, d], or None to go by spelling and terms.

    >>> merged_names(["sports", "cooking", "sport"], None, 0.9)
    [0, 1, 0]
    """
    kept: list[int] = []
    found: list[int] = []
    by_spelling: dict[str, int] = {}
    by_terms: dict[tuple[str, ...], int] = {}
    wide = None if vectors is None else np.asarray(vectors, np.float32)
    firsts = None if wide is None else np.empty_like(wide)  # vectors of the kept, in their order
    for at, name in enumerate(names):
        said, stems = normalised(name), tuple(terms(name))
        first = by_spelling.get(said)
        if first is None and stems:
            first = by_terms.get(stems)
        if first is None and wide is not None and firsts is not None and kept:
            cosines = products(firsts[: len(kept)], wide[at])
            place = int(np.argmax(cosines))
            first = kept[place] if cosines[place] >= threshold else None
        if first is None:
            first = at
            if wide is not None and firsts is not None:
                firsts[len(kept)] = wide[at]
            kept.append(at)
            by_spelling.setdefault(said, at)
            by_terms.setdefault(stems, at)
        found.append(first)
    return found


def _starts(x: NDArray[np.float64], k: int, seed: int) -> list[int]:
    """The rows that k-means starts from; fewer than k where no further row is distinct."""
    rows = [min(int(uniform("start 0", seed) * len(x)), len(x) - 1)]
    nearest = _distances(x, x[rows[0]])
    while len(rows) < k:
        sums = np.cumsum(nearest)
        if not sums[-1] > 0.0:
            break
        at = int(np.searchsorted(sums, uniform(f"start {len(rows)}", seed) * sums[-1], side="right"))
        rows.append(min(at, len(x) - 1))
        nearest = np.minimum(nearest, _distances(x, x[rows[-1]]))
    return rows


def _distances(x: NDArray[np.float64], point: NDArray[np.float64]) -> NDArray[np.float64]:
    apart = x - point
    found: NDArray[np.float64] = np.einsum("ij,ij->i", apart, apart)
    return found


def _nearest(x: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.int64]:
    """[n] the nearest centre of each row, the earlier of two as near."""
    squares = np.einsum("kd,kd->k", centres, centres)
    found = np.empty(len(x), np.int64)
    for at in range(0, len(x), _BLOCK):
        block = x[at : at + _BLOCK]
        found[at : at + _BLOCK] = np.argmin(squares - 2.0 * np.einsum("nd,kd->nk", block, centres), axis=1)
    return found


def _means(x: NDArray[np.float64], labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The labels numbered in the order of first members, without gaps, and the mean of each group."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    numbers = np.empty(len(first), np.int64)
    numbers[np.argsort(first, kind="stable")] = np.arange(len(first))
    ordered = numbers[inverse]
    sums = np.zeros((len(first), x.shape[1]))
    np.add.at(sums, ordered, x)
    return ordered, sums / np.bincount(ordered)[:, None]


def _unit(vector: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    wide = np.asarray(vector, np.float64)
    length = float(np.sqrt(np.einsum("i,i->", wide, wide)))
    return wide / length if length else wide
