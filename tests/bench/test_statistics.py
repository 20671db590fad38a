"""Intervals, paired tests, corrections and calibration, against their definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mnemic.bench.statistics import (
    auroc,
    bootstrap,
    calibration_error,
    compare,
    holm,
    mcnemar,
    mean,
    mean_over_samples,
    reliability,
    risk_at_coverage,
    sign_flip,
    student,
    wilson,
)
from mnemic.errors import ParameterError

shares = arrays.arrays(np.float64, st.integers(1, 40), elements=st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 1.0]))
p_values = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(shares, st.integers(1, 4))
def test_a_bootstrap_interval_covers_the_mean_and_stays_within_the_values(values: np.ndarray, n_samples: int) -> None:
    samples = np.arange(len(values)) % n_samples
    within = bootstrap(values, samples, resamples=200)
    assert values.min() - 1e-9 <= within.low <= within.value <= within.high <= values.max() + 1e-9
    over = mean_over_samples(values, samples, bounds=(0, 1))
    assert within.value == over.value == values.mean()
    assert math.isnan(over.low) or 0 <= over.low <= over.value <= over.high <= 1


@given(st.integers(0, 60), st.integers(1, 60))
def test_a_wilson_interval_covers_the_share_and_is_never_a_point(hits: int, n: int) -> None:
    hits = min(hits, n)
    one = wilson(hits, n)
    assert 0 <= one.low <= hits / n <= one.high <= 1
    assert one.low < one.high


def test_the_bootstrap_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(1).random(900)
    one = bootstrap(values, np.zeros(900, int))
    assert (one.high - one.low) / 2 == pytest.approx(1.96 * values.std() / 30, rel=0.06)


def test_questions_are_resampled_alike_whether_counts_or_places_are_drawn() -> None:
    few = np.repeat([0.0, 0.5, 1.0], [100, 50, 150])
    many = few + np.random.default_rng(3).normal(0, 1e-6, 300)  # as many distinct values as questions
    ours, theirs = bootstrap(few, np.zeros(300, int)), bootstrap(many, np.zeros(300, int))
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.006)


def test_what_differs_between_samples_widens_only_the_interval_over_samples() -> None:
    samples = np.repeat(np.arange(8), 50)
    noise = np.random.default_rng(2).random(400) * 0.1
    values = (samples % 2) * 0.8 + noise
    within, over = bootstrap(values, samples), mean_over_samples(values, samples)
    assert over.high - over.low > 10 * (within.high - within.low)


def test_samples_of_one_question_each_still_give_an_interval() -> None:
    one = bootstrap(np.array([0.0, 0.5, 1.0, 0.5] * 10), np.arange(40))
    assert one.low < 0.5 < one.high


def test_few_samples_give_students_interval_of_their_means() -> None:
    means = np.array([0.2, 0.4, 0.9])
    one = mean_over_samples(np.repeat(means, 50), np.repeat(np.arange(3), 50))
    half = 4.302653 * means.std(ddof=1) / math.sqrt(3)  # the 97.5 % quantile with two degrees of freedom
    assert (one.high - one.low) / 2 == pytest.approx(half, rel=1e-4)
    assert one.low < 0 < mean_over_samples(np.repeat(means, 50), np.repeat(np.arange(3), 50), bounds=(0.01, 1)).low


@pytest.mark.parametrize(("freedom", "t"), [(1, 12.70620), (4, 2.776445), (19, 2.093024)])
def test_students_quantile_is_that_of_the_tables(freedom: int, t: float) -> None:
    assert student(freedom, 0.05) == pytest.approx(t, rel=1e-4)
    assert student(1, 0.005) == pytest.approx(127.3213, rel=1e-3)


def test_many_samples_are_resampled_and_agree_with_students_interval() -> None:
    values = np.random.default_rng(3).random(900)
    one = mean_over_samples(values, np.arange(900) // 10)
    means = values.reshape(90, 10).mean(1)
    assert (one.high - one.low) / 2 == pytest.approx(1.987 * means.std(ddof=1) / math.sqrt(90), rel=0.06)


def test_one_sample_has_no_interval_over_samples() -> None:
    one = mean_over_samples(np.array([0.0, 1.0]), np.array([3, 3]))
    assert one.value == 0.5
    assert math.isnan(one.low)


def test_what_was_not_asked_counts_nowhere() -> None:
    one = mean(np.array([1.0, np.nan, 1.0, 0.0]), np.zeros(4, int))
    assert (one.value, one.n) == (2 / 3, 3)
    assert mean(np.array([np.nan]), np.zeros(1, int)).n == 0


@given(st.integers(0, 30), st.integers(0, 30))
def test_mcnemar_is_the_two_sided_binomial_test_of_the_differing_pairs(wins: int, losses: int) -> None:
    ours = np.array([1.0] * wins + [0.0] * losses + [1.0, 0.0])
    theirs = np.array([0.0] * wins + [1.0] * losses + [1.0, 0.0])
    n = wins + losses
    tail = sum(math.comb(n, k) for k in range(min(wins, losses) + 1)) / 2**n
    assert mcnemar(ours, theirs) == pytest.approx(min(1.0, 2 * tail))
    assert mcnemar(ours, theirs) == mcnemar(theirs, ours)


@given(arrays.arrays(np.float64, st.integers(1, 10), elements=st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0])))
def test_sign_flips_of_few_differences_try_every_way(differences: np.ndarray) -> None:
    ways = np.array(np.meshgrid(*[[-1, 1]] * len(differences))).reshape(len(differences), -1)
    sums = np.abs(differences @ ways)
    assert sign_flip(differences) == pytest.approx(np.mean(sums >= abs(differences.sum()) - 1e-9))


def test_sign_flips_of_many_ones_agree_with_the_exact_test() -> None:
    ours, theirs = np.repeat([1.0, 0.0], [40, 24]), np.repeat([0.0, 1.0], [40, 24])
    assert sign_flip(ours - theirs) == pytest.approx(mcnemar(ours, theirs), abs=0.01)


@given(p_values)
def test_holm_never_lowers_a_p_nor_changes_their_order(p: list[float]) -> None:
    corrected = holm(p)
    assert all(raw <= one <= 1 for raw, one in zip(p, corrected, strict=True))
    in_order = [corrected[at] for at in sorted(range(len(p)), key=p.__getitem__)]
    assert in_order == sorted(in_order)
    assert corrected[p.index(min(p))] == min(1.0, len(p) * min(p))


def test_a_better_system_is_ahead_a_worse_one_behind_and_an_equal_one_tied() -> None:
    rng = np.random.default_rng(5)
    luck, samples = rng.random(400), np.repeat(np.arange(4), 100)
    scores = {name: (luck < skill).astype(float) for name, skill in [("base", 0.5), ("up", 0.7), ("down", 0.3)]}
    scores["same"] = scores["base"].copy()
    scores["noise"] = (rng.random(400) < 0.52).astype(float)
    verdicts = {one.system: one.verdict for one in compare(scores, "base", samples)}
    assert verdicts == {"up": "ahead", "down": "behind", "same": "a tie", "noise": "a tie"}


def test_a_verdict_is_a_tie_whenever_its_interval_or_its_test_does_not_exclude_0() -> None:
    rng = np.random.default_rng(6)
    samples = np.repeat(np.arange(3), 30)
    base = rng.choice([0.0, 0.5, 1.0], 90)
    scores = {"base": base} | {f"s{at}": np.clip(base + rng.normal(0.02 * at, 0.3, 90), 0, 1) for at in range(10)}
    compared = compare(scores, "base", samples)
    assert {one.verdict for one in compared} == {"a tie", "ahead"}
    for one in compared:
        excludes = not one.difference.low <= 0 <= one.difference.high and one.p_corrected <= 0.05
        assert (one.verdict != "a tie") == excludes


def test_comparing_many_by_chance_rarely_finds_a_winner() -> None:
    rng = np.random.default_rng(8)
    samples = np.zeros(60, int)
    found = sum(
        any(
            one.verdict != "a tie"
            for one in compare({str(at): rng.integers(0, 2, 60) * 1.0 for at in range(6)}, "0", samples)
        )
        for _ in range(60)
    )
    assert found <= 8  # 5 % of 60 is 3


def test_only_questions_that_both_were_asked_are_compared() -> None:
    scores = {
        "base": np.array([1.0, 0.0, np.nan, 1.0]),
        "new": np.array([1.0, np.nan, 1.0, 0.0]),
        "none": np.full(4, np.nan),
    }
    (one,) = compare(scores, "base", np.zeros(4, int))
    assert (one.system, one.difference.n, one.difference.value) == ("new", 2, -0.5)


def test_a_baseline_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(ParameterError, match=r"'rrf'.*bm25"):
        compare({"bm25": np.ones(2)}, "rrf", np.zeros(2, int))


@given(
    arrays.arrays(np.float64, st.integers(2, 30), elements=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0])),
    st.integers(0, 2**30),
)
def test_auroc_is_the_share_of_pairs_in_the_right_order(scores: np.ndarray, seed: int) -> None:
    labels = np.random.default_rng(seed).random(len(scores)) < 0.5
    one = auroc(scores, labels)
    positives, negatives = scores[labels], scores[~labels]
    if not len(positives) or not len(negatives):
        assert math.isnan(one.value)
        return
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in positives for b in negatives]
    assert one.value == pytest.approx(np.mean(pairs))
    assert 0 <= one.low <= one.value + 1e-12
    assert one.value - 1e-12 <= one.high <= 1


def test_auroc_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    rng, covered = np.random.default_rng(9), 0
    truth = 0.760  # of two normals of unit spread, one apart: Φ(1 / √2)
    labels = np.repeat([True, False], 40)
    for _ in range(300):
        one = auroc(rng.normal(labels * 1.0, 1.0), labels)
        covered += one.low <= truth <= one.high
    assert 0.91 <= covered / 300 <= 0.99


def test_bins_hold_every_question_once_and_a_calibrated_recall_has_no_error() -> None:
    confidence = np.repeat([0.05, 0.55, 1.0], [100, 100, 10])
    right = np.concatenate([np.repeat([1.0, 0.0], [5, 95]), np.repeat([1.0, 0.0], [55, 45]), np.ones(10)])
    table = reliability(confidence, right)
    assert [one.n for one in table] == [100, 100, 10]
    assert calibration_error(table) == pytest.approx(0)
    assert calibration_error(reliability(confidence, 1 - right)) > 0.4


def test_risk_does_not_depend_on_the_order_of_equally_sure_questions() -> None:
    right = np.array([1.0, 0.0, 1.0, 0.0])
    assert risk_at_coverage(np.full(4, 0.5), right, (0.25, 0.5, 1.0)) == [0.5, 0.5, 0.5]
    assert risk_at_coverage(np.array([0.9, 0.1, 0.8, 0.2]), right, (0.5, 1.0)) == [0.0, 0.5]


def test_the_same_results_give_the_same_figures() -> None:
    values, samples = np.random.default_rng(4).random(100), np.arange(100) % 3
    assert bootstrap(values, samples) == bootstrap(values, samples)
    assert sign_flip(values - 0.5) == sign_flip(values - 0.5)


def test_shares_of_two_unlike_samples_differ_by_no_more_than_1_over_samples() -> None:
    samples = np.repeat([0, 1], 20)
    scores = {"base": np.repeat([0.0, 0.5], 20), "new": np.repeat([1.0, 0.5], 20)}
    (one,) = compare(scores, "base", samples)
    assert (one.over_samples.low, one.over_samples.high) == (-1.0, 1.0)
    (one,) = compare({name: 3 * values for name, values in scores.items()}, "base", samples)
    assert one.over_samples.high > 10
