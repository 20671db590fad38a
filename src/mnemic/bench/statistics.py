"""How sure a figure is: intervals, paired tests, correction for many comparisons, and how well confidence orders.

Questions of one sample (one user's log) are alike, so two intervals are always at hand: over questions within samples,
for a claim about these users, and over samples, for a claim about new ones. Every function is a function of arrays,
and the random ones are drawn from a fixed seed, so that the same results give the same report.

Two shortcuts keep it quick. A resampled mean depends only on how often each distinct value is drawn, and most metrics
have few distinct values, so counts are drawn instead of questions. And whatever is 0 or 1 needs no drawing at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mnemic.errors import ParameterError

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]  # which sample a question belongs to
Verdict = Literal["ahead", "behind", "a tie"]

SEED = 20240501
RESAMPLES = 4000
SMALL_SAMPLE = 10  # questions; samples with fewer are resampled together, as one's own few say nothing of their spread
FEW_SAMPLES = 20
ALPHA = 0.05
_BLOCK = 4_000_000  # numbers drawn at once


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and its interval; all NaN where there is nothing to average, the interval alone where it cannot be told."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A system less the baseline, on the questions that both were asked."""

    system: str
    difference: Estimate  # over questions within samples, at the level that Holm's correction leaves
    over_samples: Estimate  # the same level; what new users may expect
    p: float
    p_corrected: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Bin:
    """Questions of like confidence: how sure the recall was, and how often it was right."""

    low: float
    high: float
    n: int
    confidence: float
    right: float


def wilson(hits: float, n: int, alpha: float = ALPHA) -> Estimate:
    """A share with Wilson's score interval, which stays sensible at 0 and 1.

    >>> one = wilson(10, 10)
    >>> f"{one.value:.2f} {one.low:.3f} {one.high:.3f}"
    '1.00 0.722 1.000'
    """
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    share, z = hits / n, NormalDist().inv_cdf(1 - alpha / 2)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Estimate(share, min(share, max(0.0, middle - half)), max(share, min(1.0, middle + half)), n)


def mean(values: Floats, samples: Codes, alpha: float = ALPHA) -> Estimate:
    """A mean over questions within samples: Wilson's interval for what is 0 or 1, else a bootstrap. NaNs are left out."""
    is_there = ~np.isnan(values)
    values, samples = values[is_there], samples[is_there]
    if is_share(values):
        return wilson(float(values.sum()), len(values), alpha)
    return bootstrap(values, samples, alpha)


def is_share(values: Floats) -> bool:
    """Whether every value is 0 or 1."""
    return bool(np.all((values == 0) | (values == 1)))


def bootstrap(values: Floats, samples: Codes, alpha: float = ALPHA, resamples: int = RESAMPLES) -> Estimate:
    """The mean with its percentile interval, questions being resampled within their samples.

    values: [n]; samples: [n], any integers. Samples with fewer than `SMALL_SAMPLE` questions are taken together.
    """
    n = len(values)
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    _, codes, sizes = np.unique(samples, return_inverse=True, return_counts=True)
    strata = np.where(sizes[codes] < SMALL_SAMPLE, -1, codes)
    rng = np.random.default_rng(SEED)
    totals = np.zeros(resamples)
    for stratum in np.unique(strata):
        totals += _resampled_totals(values[strata == stratum], rng, resamples)
    return _percentiles(float(values.mean()), totals / n, alpha, n)


def mean_over_samples(
    values: Floats,
    samples: Codes,
    alpha: float = ALPHA,
    resamples: int = RESAMPLES,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Estimate:
    """The mean over questions with an interval for other samples. NaNs are left out.

    From `FEW_SAMPLES` on, whole samples are resampled. Fewer show too little of their spread for that, so Student's
    interval is taken, of the linearised ratio of sums: with two samples it is as wide as two samples deserve. With
    one there is none (NaN). The interval is cut at `bounds`.
    """
    is_there = ~np.isnan(values)
    values, samples = values[is_there], samples[is_there]
    if not len(values):
        return Estimate(math.nan, math.nan, math.nan, 0)
    _, codes, sizes = np.unique(samples, return_inverse=True, return_counts=True)
    n, n_samples, value = len(values), len(sizes), float(values.mean())
    if n_samples < 2:
        return Estimate(value, math.nan, math.nan, n)
    totals = np.bincount(codes, weights=values)
    if n_samples < FEW_SAMPLES:
        spread = math.sqrt(n_samples / (n_samples - 1) * float(np.sum((totals - value * sizes) ** 2))) / n
        half = student(n_samples - 1, alpha) * spread
        return Estimate(value, max(bounds[0], value - half), min(bounds[1], value + half), n)
    rng = np.random.default_rng(SEED)
    means = np.empty(resamples)
    for rows in _blocks(resamples, n_samples):
        drawn = rng.multinomial(n_samples, np.full(n_samples, 1 / n_samples), size=rows.stop - rows.start)
        means[rows] = (drawn @ totals) / (drawn @ sizes)
    return _percentiles(value, means, alpha, n)


def student(freedom: int, alpha: float) -> float:
    """The two-sided quantile of Student's t: what it exceeds, on either side, with probability alpha."""
    # with t = √ν tan θ the density is that of cos θ to the power ν - 1, on a finite range
    angles = np.linspace(0, math.pi / 2, 20_001)
    density = np.cos(angles) ** (freedom - 1)
    inside = np.concatenate(([0.0], np.cumsum((density[1:] + density[:-1]) / 2)))
    return math.sqrt(freedom) * math.tan(float(np.interp(1 - alpha, inside / inside[-1], angles)))


def mcnemar(ours: Floats, theirs: Floats) -> float:
    """Exact two-sided p that two systems with answers of 0 or 1 are right equally often, from where they differ.

    >>> mcnemar(np.array([1.0, 1, 1, 1, 1, 0]), np.array([0.0, 0, 0, 0, 0, 0]))
    0.0625
    """
    wins, losses = int(np.sum(ours > theirs)), int(np.sum(ours < theirs))
    n = wins + losses
    if n == 0:
        return 1.0
    factorials = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, n + 1)))))
    k = np.arange(min(wins, losses) + 1)
    logs = factorials[n] - factorials[k] - factorials[n - k] - n * math.log(2)
    return min(1.0, 2 * float(np.exp(logs).sum()))


def sign_flip(differences: Floats, resamples: int = 20_000) -> float:
    """Two-sided p that differences are as often for as against: their signs are flipped at random, all ways if few.

    >>> sign_flip(np.array([0.5, 0.25, 0.5, 1.0]))
    0.125
    """
    sizes = np.abs(differences[differences != 0])
    if not len(sizes):
        return 1.0
    seen = abs(float(differences.sum())) - 1e-9
    if len(sizes) <= 14:
        ways = np.arange(2 ** len(sizes))[:, None] >> np.arange(len(sizes)) & 1
        return float(np.mean(np.abs((2 * ways - 1) @ sizes) >= seen))
    distinct, counts = np.unique(sizes, return_counts=True)
    rng = np.random.default_rng(SEED)
    beyond = 0
    for rows in _blocks(resamples, len(distinct)):
        kept = rng.binomial(counts, 0.5, size=(rows.stop - rows.start, len(distinct)))
        beyond += int(np.sum(np.abs((2 * kept - counts) @ distinct) >= seen))
    return (1 + beyond) / (1 + resamples)


def holm(p: Sequence[float]) -> list[float]:
    """Holm's corrected p values, in the order given: each times the number of hypotheses still open, never falling.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected, floor = [0.0] * len(p), 0.0
    for place, index in enumerate(sorted(range(len(p)), key=lambda one: p[one])):
        floor = max(floor, min(1.0, (len(p) - place) * p[index]))
        corrected[index] = floor
    return corrected


def compare(scores: dict[str, Floats], baseline: str, samples: Codes, alpha: float = ALPHA) -> list[Comparison]:
    """Every system less the baseline on the same questions, corrected for how many are compared.

    scores: by system, [n], NaN where it was not asked. The test is McNemar's where both are 0 or 1, else sign flips.
    A verdict other than a tie needs both the corrected p below alpha and an interval, at the corrected level, without 0.
    Raises ParameterError when the baseline is not there.
    """
    if baseline not in scores:
        raise ParameterError(f"There is no system {baseline!r} to compare with. There are: {', '.join(scores)}.")
    rivals = [name for name in scores if name != baseline]
    pairs = {name: _paired(scores[name], scores[baseline]) for name in rivals}
    rivals = [name for name in rivals if pairs[name].any()]
    raw = [_test(scores[name][pairs[name]], scores[baseline][pairs[name]]) for name in rivals]
    ranks = {index: place for place, index in enumerate(sorted(range(len(raw)), key=lambda one: raw[one]))}
    furthest = 1.0 if all(np.nanmax(np.abs(scores[name]), initial=0) <= 1 for name in scores) else math.inf
    compared = []
    for index, (name, p, corrected) in enumerate(zip(rivals, raw, holm(raw), strict=True)):
        both = pairs[name]
        differences = (scores[name] - scores[baseline])[both]
        level = alpha / (len(rivals) - ranks[index])
        # far out in the tails, more draws are needed for a quantile to stand on some twenty of them
        draws = max(RESAMPLES, math.ceil(40 / level))
        difference = bootstrap(differences, samples[both], level, draws)
        over_samples = mean_over_samples(differences, samples[both], level, draws, (-furthest, furthest))
        compared.append(
            Comparison(
                system=name,
                difference=difference,
                over_samples=over_samples,
                p=p,
                p_corrected=corrected,
                verdict=_verdict(difference, corrected, alpha),
            )
        )
    return compared


def auroc(scores: Floats, labels: NDArray[np.bool_], alpha: float = ALPHA) -> Estimate:
    """The chance that a case with the label scores above one without it, ties counting half; DeLong's interval.

    The interval is taken on the logit, so that it stays within 0 and 1. Where one class is missing all is NaN.
    """
    positives, negatives = np.sort(scores[labels]), np.sort(scores[~labels])
    n = len(scores)
    if not len(positives) or not len(negatives):
        return Estimate(math.nan, math.nan, math.nan, n)
    above = _placements(positives, negatives)  # per positive: the share of negatives it beats
    below = 1 - _placements(negatives, positives)
    value = float(above.mean())
    spread = math.sqrt(_variance(above) / len(positives) + _variance(below) / len(negatives))
    if not 0 < value < 1 or spread == 0:  # no spread to see: as sure as the smaller class alone makes us
        fewest = min(len(positives), len(negatives))
        bound = wilson(value * fewest, fewest, alpha)
        return Estimate(value, bound.low, bound.high, n)
    z, logit = NormalDist().inv_cdf(1 - alpha / 2), math.log(value / (1 - value))
    half = z * spread / (value * (1 - value))
    return Estimate(value, _sigmoid(logit - half), _sigmoid(logit + half), n)


def reliability(confidence: Floats, right: Floats, bins: int = 10) -> list[Bin]:
    """Bins of equal width from 0 to 1, empty ones left out: well calibrated, each is as often right as it is sure."""
    places = np.clip((confidence * bins).astype(int), 0, bins - 1)
    table = []
    for place in np.unique(places):
        chosen = places == place
        sure, share = float(confidence[chosen].mean()), float(right[chosen].mean())
        table.append(Bin(place / bins, (place + 1) / bins, int(chosen.sum()), sure, share))
    return table


def calibration_error(table: Sequence[Bin]) -> float:
    """Expected calibration error: how far confidence is from being right, averaged over questions; 0 is perfect."""
    n = sum(one.n for one in table)
    return sum(one.n * abs(one.confidence - one.right) for one in table) / n if n else math.nan


def risk_at_coverage(confidence: Floats, right: Floats, shares: Sequence[float]) -> list[float]:
    """The share of wrong answers when only the surest `share` of the questions is answered; ties share their average.

    >>> risk_at_coverage(np.array([0.9, 0.8, 0.2, 0.1]), np.array([1.0, 1.0, 0.0, 1.0]), [0.5, 1.0])
    [0.0, 0.25]
    """
    if not len(right):
        return [math.nan for _ in shares]
    _, groups = np.unique(-confidence, return_inverse=True)
    shared = (np.bincount(groups, weights=right) / np.bincount(groups))[groups]
    wrong = 1 - shared[np.argsort(-confidence, kind="stable")]
    return [float(wrong[: max(1, round(share * len(wrong)))].mean()) for share in shares]


def _paired(ours: Floats, theirs: Floats) -> NDArray[np.bool_]:
    return ~np.isnan(ours) & ~np.isnan(theirs)


def _test(ours: Floats, theirs: Floats) -> float:
    return mcnemar(ours, theirs) if is_share(ours) and is_share(theirs) else sign_flip(ours - theirs)


def _verdict(difference: Estimate, p_corrected: float, alpha: float) -> Verdict:
    if p_corrected > alpha or difference.low <= 0 <= difference.high:
        return "a tie"
    return "ahead" if difference.value > 0 else "behind"


def _resampled_totals(values: Floats, rng: np.random.Generator, resamples: int) -> Floats:
    """[resamples] sums of len(values) draws from values, with replacement."""
    n, totals = len(values), np.empty(resamples)
    distinct, counts = np.unique(values, return_counts=True)
    is_counted = len(distinct) * 4 < n  # drawing a count costs about four times drawing an index
    for rows in _blocks(resamples, len(distinct) if is_counted else n):
        draws = rows.stop - rows.start
        if is_counted:
            totals[rows] = rng.multinomial(n, counts / n, size=draws) @ distinct
        else:
            totals[rows] = values[rng.integers(0, n, size=(draws, n))].sum(1)
    return totals


def _blocks(resamples: int, width: int) -> list[slice]:
    rows = max(1, _BLOCK // max(1, width))
    return [slice(start, min(start + rows, resamples)) for start in range(0, resamples, rows)]


def _percentiles(value: float, means: Floats, alpha: float, n: int) -> Estimate:
    low, high = np.quantile(means, [alpha / 2, 1 - alpha / 2])
    return Estimate(value, min(value, float(low)), max(value, float(high)), n)


def _placements(ours: Floats, theirs: Floats) -> Floats:
    """For each of ours, the share of theirs (both sorted) that is smaller, equal ones counting half."""
    smaller, up_to = np.searchsorted(theirs, ours, "left"), np.searchsorted(theirs, ours, "right")
    shares: Floats = (smaller + up_to) / (2 * len(theirs))
    return shares


def _variance(values: Floats) -> float:
    return float(values.var(ddof=1)) if len(values) > 1 else 0.0


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))
