"""Which granularity to trust for a cue: the one whose units it tells apart.

For each granularity g (sessions, turns, summaries, keywords): p = softmax(s / T) over the cue's similarities s to its units,
H = -Σ p log p in nats. A low entropy means one clear match. The weight of g is its 1 - H / log N, N its number of units,
divided by the sum over all granularities.
Source: MemGAS, arXiv 2505.19549. Departs: its code takes 1 - H, which falls below 0 once more than e units compare and then
turns the ranking round; that form is there as "nats".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnemic.errors import ParameterError

Similarities = NDArray[np.floating[Any]]
Formula = Literal["normalised", "nats"]


def softmax(values: ArrayLike, temperature: float = 1.0) -> NDArray[np.float64]:
    """[n] exp(v / temperature), divided by their sum; empty for no values."""
    if not temperature > 0.0:
        raise ParameterError(f"temperature={temperature!r}: it must be above 0.")
    scaled = np.asarray(values, np.float64) / temperature
    if not len(scaled):
        return scaled
    powers = np.exp(scaled - scaled.max())
    return np.asarray(powers / powers.sum(), np.float64)


def entropy(probabilities: ArrayLike) -> float:
    """-Σ p log p in nats, from 0 (certain) to log n (even)."""
    p = np.asarray(probabilities, np.float64)
    p = p[p > 0.0]
    return max(0.0, float(-(p * np.log(p)).sum()))


def weights(
    similarities: Mapping[str, Similarities], temperature: float = 0.2, formula: Formula = "normalised"
) -> dict[str, float]:
    """How much each granularity counts; the weights sum to 1.

    similarities: by granularity, [N_g] of the cue to its units. "normalised": all in [0, 1]; a granularity of one unit is
    certain of it, one of none gets 0, and where all are flat, all count the same. "nats": the published code's, of any sign.

    >>> weights({"turn": np.array([0.9, 0.1, 0.1]), "session": np.array([0.5, 0.5, 0.5])})["turn"]
    1.0
    """
    if formula not in ("normalised", "nats"):
        raise ParameterError(f"formula={formula!r}: it is 'normalised' or 'nats'.")
    sure: dict[str, float] = {}
    for name, values in similarities.items():
        h, n = entropy(softmax(values, temperature)), len(values)
        if formula == "nats":
            sure[name] = 1.0 - h if n else 0.0
        else:
            even = h / math.log(n) if n > 1 else 0.0
            sure[name] = (0.0 if even > 1.0 - 1e-12 else 1.0 - even) if n else 0.0
    total = math.fsum(sure.values())
    if abs(total) > 1e-12:
        return {name: value / total for name, value in sure.items()}
    filled = sum(1 for values in similarities.values() if len(values))
    return {name: 1.0 / filled if len(values) else 0.0 for name, values in similarities.items()}


def weighted(similarities: Mapping[str, Similarities], weights: Mapping[str, float]) -> dict[str, NDArray[np.float64]]:
    """By granularity, [N_g] each unit's similarity times its granularity's weight."""
    return {name: weights[name] * np.asarray(values, np.float64) for name, values in similarities.items()}


def selected(
    similarities: Mapping[str, Similarities], weights: Mapping[str, float], count: int
) -> list[tuple[str, int, float]]:
    """(granularity, unit, score) of the `count` best units of all granularities together, best first.

    Of equal scores the granularity given first comes first, then the lower unit.
    """
    every = [
        (name, unit, score)
        for name, scores in weighted(similarities, weights).items()
        for unit, score in enumerate(scores.tolist())
    ]
    return sorted(every, key=lambda unit: -unit[2])[: max(count, 0)]


def by_owner(scores: ArrayLike, owners: Sequence[int] | NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """[n] the sum of the scores of the units that each owner (session) has. scores, owners: [units]."""
    found = np.bincount(
        np.asarray(owners, np.int64), weights=np.asarray(scores, np.float64), minlength=n
    )  # in the units' order
    return np.asarray(found, np.float64)
