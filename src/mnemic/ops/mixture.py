"""Which of some scores stand out: a mixture of Gaussians on a line, fitted by expectation maximisation.

p(x) = Σ_j w_j N(x; m_j, v_j). Each round gives every component its share of each value (E) and moves the components to the
weighted mean and variance of their shares (M). Source: Dempster, Laird and Rubin, Maximum Likelihood from Incomplete Data
via the EM Algorithm, 1977; the accept set is that of MemGAS, arXiv 2505.19549.

Departs: the start is not random but at quantiles of the distinct values, so the same scores, in any order, give the same
components; and a wide component cannot claim both ends of the scale (see `accepted`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnemic.errors import ParameterError

Values = NDArray[np.float64]
SAME = 1e-6  # scores that lie this close together are one
_TINY = 10.0 * np.finfo(np.float64).tiny


@dataclass(frozen=True, slots=True)
class Mixture:
    """A fitted mixture of k components, by ascending mean."""

    means: Values  # [k]
    variances: Values  # [k]
    weights: Values  # [k], summing to 1
    log_likelihood: float  # mean over the values, in nats

    def shares(self, values: ArrayLike) -> Values:
        """[n, k] the probability that each value came from each component; rows sum to 1."""
        away = (np.asarray(values, np.float64)[:, None] - self.means) ** 2
        with np.errstate(divide="ignore"):
            shares, _ = _expected(away, self.variances, self.weights)
        return shares


def fit(
    values: ArrayLike, components: int = 2, *, floor: float = 1e-6, tolerance: float = 1e-6, rounds: int = 200
) -> Mixture:
    """The mixture that EM arrives at from components spread evenly over the quantiles of the distinct values.

    values: [n], at least 1 and all finite; fewer distinct values than components give as many components as there are
    distinct values. floor: what is added to every variance, so that a component cannot close in on one value. Stops when
    the mean log likelihood gains no more than the tolerance, or after so many rounds.
    """
    x = np.sort(np.asarray(values, np.float64).ravel())  # sorted: sums do not depend on the order given
    if not len(x) or not np.isfinite(x).all() or components < 1:
        raise ParameterError(f"components={components}, {len(x)} values: give at least one of each, values all finite.")
    distinct = np.unique(x)
    k = min(components, len(distinct))
    means: Values = np.quantile(distinct, (np.arange(k) + 0.5) / k)
    variances = np.full(k, x.var() / k**2 + floor)
    weights = np.full(k, 1.0 / k)
    column = x[:, None]
    with np.errstate(divide="ignore"):  # a component that lost all its weight has a logarithm of minus infinity
        shares, reached = _expected((column - means) ** 2, variances, weights)
        for _ in range(rounds):
            counts = np.add.reduce(shares, 0) + _TINY
            means = np.add.reduce(shares * column, 0) / counts
            away = (column - means) ** 2
            variances = np.add.reduce(shares * away, 0) / counts + floor
            weights = counts / np.add.reduce(counts)
            before = reached
            shares, reached = _expected(away, variances, weights)
            if abs(reached - before) <= tolerance:
                break
    order = np.argsort(means, kind="stable")
    return Mixture(means[order], variances[order], weights[order], reached)


def accepted(scores: ArrayLike) -> NDArray[np.bool_]:
    """[n] which scores belong to the component with the larger mean, of two.

    A score is accepted when it reaches the larger mean, or lies between the means and is likelier to come from the larger.
    So whatever scores higher than an accepted one is accepted too, which likelihood alone does not promise when the
    variances differ. With fewer than two scores, or all of them equal, nothing stands out and none is accepted.

    >>> accepted([0.9, 0.88, 0.2, 0.15, 0.1]).tolist()
    [True, True, False, False, False]
    >>> accepted([0.9]).tolist(), accepted([0.5, 0.5]).tolist()
    ([False], [False, False])
    """
    x = np.asarray(scores, np.float64).ravel()
    if len(x) < 2 or x.max() - x.min() <= SAME:
        return np.zeros(len(x), np.bool_)
    mixture = fit(x, 2)
    low, high = mixture.means
    likely = mixture.shares(x)[:, 1] > 0.5
    found: NDArray[np.bool_] = (x >= high) | ((x > low) & likely)
    return found


def _expected(away: Values, variances: Values, weights: Values) -> tuple[Values, float]:
    """([n, k] shares, mean log likelihood). away: [n, k] squared distances from the means."""
    logs = np.log(weights) - 0.5 * (np.log(2.0 * np.pi * variances) + away / variances)
    highest = np.maximum.reduce(logs, 1, keepdims=True)
    shares = np.exp(logs - highest)
    total = np.add.reduce(shares, 1, keepdims=True)
    return shares / total, float(np.add.reduce(highest + np.log(total), None)) / len(away)
