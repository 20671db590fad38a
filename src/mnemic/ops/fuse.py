"""Bringing several rankings into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mnemic.model import Reason

RRF_K = 60


def reciprocal_rank_fusion(
    rankings: Sequence[Sequence[int]], weights: Sequence[float] | None = None, k: int = RRF_K
) -> dict[int, float]:
    """Score of each item over rankings given best first: the sum of weight / (k + rank), rank from 1.

    Source: Cormack, Clarke and Büttcher, Reciprocal Rank Fusion outperforms Condorcet, 2009; k = 60 is theirs.

    >>> reciprocal_rank_fusion([[7, 3], [3]])[3] > reciprocal_rank_fusion([[7, 3], [3]])[7]
    True
    """
    scores: dict[int, float] = {}
    for ranking, weight in zip(rankings, weights or [1.0] * len(rankings), strict=True):
        for rank, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + weight / (k + rank)
    return scores


def weighted_sum(signals: Mapping[str, NDArray[np.float32]], weights: Mapping[str, float]) -> NDArray[np.float32]:
    """[n] the sum of the signals, each [n] in [0, 1], times their weights; in [0, 1] when the weights sum to 1."""
    total = np.zeros(len(next(iter(signals.values()))), np.float32)
    for name, values in signals.items():
        if weight := weights[name]:
            total += np.float32(weight) * values
    return total


def reasons(
    signals: Mapping[str, NDArray[np.float32]],
    weights: Mapping[str, float],
    at: int,
    notes: Mapping[str, str] | None = None,
) -> tuple[Reason, ...]:
    """Why item `at` has its score: the signals that added to it, strongest first."""
    notes = notes or {}
    found = [
        Reason(name, value, weights[name], notes.get(name, ""))
        for name, values in signals.items()
        if (value := values.item(at)) > 0.0 and weights[name] > 0.0
    ]
    return tuple(sorted(found, key=lambda reason: -reason.contribution))
