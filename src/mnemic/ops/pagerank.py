"""Personalised PageRank: how often a walker is at each node who follows edges, and starts anew at what was found.

x = f·(Pᵀx + r·Σ x over nodes without edges) + (1 - f)·r: r the places to start from, summing to 1; P[i, j] the share of i's
outgoing weight that leads to j; f the probability of following an edge rather than starting anew. It is often called
damping. With f = 0.85 a walk goes far; with f = 0.1, as MemGAS has it, nine steps in ten start anew.
Source: Page, Brin, Motwani and Winograd, The PageRank Citation Ranking, 1999; Haveliwala, Topic-Sensitive PageRank, 2002.
A walker with no edge to follow starts anew.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnemic.errors import ParameterError
from mnemic.index.vectors import best

Scores = NDArray[np.float64]


def pagerank(
    n: int,
    from_nodes: ArrayLike,
    to_nodes: ArrayLike,
    reset: ArrayLike,
    *,
    follow: float = 0.85,
    weights: ArrayLike | None = None,
    is_directed: bool = False,
    tolerance: float = 1e-10,
) -> Scores:
    """[n] how often the walker is at each node; sums to 1, or is all 0 where there is nowhere to start.

    n: nodes, numbered from 0. from_nodes, to_nodes: [e] ends of the edges; an edge given twice counts twice, and each leads
    both ways unless is_directed (a node's edge to itself counts once). reset: [n] how likely a walk starts at each node, of
    any sum; what is below 0 counts as 0. follow: in [0, 1). weights: [e], 0 or more; 1 each where None. tolerance: the most
    that all scores together may be off. Raises ParameterError for nodes, weights or a follow out of range.
    """
    starts = np.maximum(np.asarray(reset, np.float64), 0.0)
    begins, ends = np.asarray(from_nodes, np.int64).ravel(), np.asarray(to_nodes, np.int64).ravel()
    heavy = np.ones(len(begins)) if weights is None else np.asarray(weights, np.float64).ravel()
    _check(n, starts, begins, ends, heavy, follow, tolerance)
    total = starts.sum()
    if not total > 0.0:
        return np.zeros(n)
    starts = starts / total
    if not is_directed:
        apart = begins != ends
        begins, ends = np.concatenate([begins, ends[apart]]), np.concatenate([ends, begins[apart]])
        heavy = np.concatenate([heavy, heavy[apart]])
    leaving = np.bincount(begins, weights=heavy, minlength=n)
    is_stuck = leaving <= 0.0
    share = heavy / np.where(is_stuck, 1.0, leaving)[begins]
    # an error shrinks by `follow` in each round, so the last change tells how far off the scores still are
    enough = tolerance * (1.0 - follow) / follow if follow else math.inf
    rounds = math.ceil(math.log(tolerance / 2.0) / math.log(follow)) if follow else 1
    x = starts
    for _ in range(max(rounds, 1)):
        moved = np.bincount(ends, weights=x[begins] * share, minlength=n)
        after = follow * (moved + starts * x[is_stuck].sum()) + (1.0 - follow) * starts
        change = float(np.abs(after - x).sum())
        x = after
        if change <= enough:
            break
    return np.asarray(x / x.sum(), np.float64)


def seeded(scores: NDArray[np.floating[Any]], count: int) -> Scores:
    """[n] the `count` highest scores, all others 0: where the walk of `pagerank` starts.

    What is 0 or below starts nothing; of equal scores at the edge the earlier ones are taken, so never more than `count`.

    >>> seeded(np.array([0.2, 0.9, -0.5, 0.2]), 2).tolist()
    [0.2, 0.9, 0.0, 0.0]
    """
    found = np.zeros(len(scores))
    if count > 0:
        rows = best(np.asarray(scores, np.float64), count)
        found[rows] = np.maximum(scores[rows], 0.0)
    return found


def _check(
    n: int,
    starts: Scores,
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    heavy: Scores,
    follow: float,
    tolerance: float,
) -> None:
    if starts.shape != (n,) or not np.isfinite(starts).all():
        raise ParameterError(f"reset has the shape {starts.shape}; give one finite number for each of the {n} nodes.")
    if not len(begins) == len(ends) == len(heavy):
        raise ParameterError(f"{len(begins)} from, {len(ends)} to, {len(heavy)} weights: give each edge all three.")
    if len(begins) and not (min(begins.min(), ends.min()) >= 0 and max(begins.max(), ends.max()) < n):
        raise ParameterError(f"An edge ends at a node out of [0, {n}). Number the nodes from 0.")
    if not (np.isfinite(heavy).all() and (heavy >= 0.0).all()):
        raise ParameterError("A weight is below 0 or not finite. Give each edge a weight of 0 or more.")
    if not 0.0 <= follow < 1.0 or not 0.0 < tolerance < 1.0:
        raise ParameterError(
            f"follow={follow!r}, tolerance={tolerance!r}: follow lies in [0, 1), tolerance between 0 and 1."
        )
