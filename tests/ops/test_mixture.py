"""Which scores stand out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.errors import ParameterError
from mnemic.ops.mixture import SAME, accepted, fit

scores = st.lists(st.floats(-1.0, 1.0), max_size=40)


def test_two_groups_are_told_apart() -> None:
    assert accepted([0.9, 0.88, 0.2, 0.15, 0.1]).tolist() == [True, True, False, False, False]


def test_one_score_among_many_equal_ones_stands_out() -> None:
    assert np.flatnonzero(accepted([0.1] * 9 + [0.9] + [0.1] * 9)).tolist() == [9]


@pytest.mark.parametrize("values", [[], [0.7], [0.7, 0.7], [0.7] * 30, [0.7, 0.7 + SAME / 2]])
def test_where_nothing_differs_nothing_stands_out(values: list[float]) -> None:
    assert not accepted(values).any()
    assert len(accepted(values)) == len(values)


def test_of_two_different_scores_the_higher_stands_out() -> None:
    assert accepted([0.2, 0.8]).tolist() == [False, True]


@given(scores)
def test_what_scores_higher_than_an_accepted_score_is_accepted(values: list[float]) -> None:
    found = accepted(values)
    if found.any():
        lowest = min(value for value, is_in in zip(values, found, strict=True) if is_in)
        assert [value >= lowest for value in values] == found.tolist()
        assert not found.all()


@given(scores, st.randoms(use_true_random=False))
def test_the_order_of_the_scores_does_not_matter(values: list[float], random) -> None:  # type: ignore[no-untyped-def]
    order = list(range(len(values)))
    random.shuffle(order)

    assert accepted([values[at] for at in order]).tolist() == accepted(values)[order].tolist()


def test_em_finds_the_components_that_values_were_drawn_from() -> None:
    draw = np.random.default_rng(1)
    values = np.concatenate([draw.normal(-2.0, 0.5, 3_000), draw.normal(1.0, 0.25, 1_000)])

    found = fit(values, 2)

    assert found.means == pytest.approx([-2.0, 1.0], abs=0.05)
    assert np.sqrt(found.variances) == pytest.approx([0.5, 0.25], abs=0.03)
    assert found.weights == pytest.approx([0.75, 0.25], abs=0.01)


@given(st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=30), st.integers(1, 4))
def test_more_rounds_never_fit_worse_and_shares_are_probabilities(values: list[float], k: int) -> None:
    # The floor that is added to a variance takes a little back, a round at most max_t (ln(1 + t) + t / (1 + t) - t) / 2 = 0.122;
    # without it EM never falls.
    reached = [fit(values, k, rounds=rounds, tolerance=0.0, floor=1e-3).log_likelihood for rounds in (1, 5, 25)]
    assert reached[0] <= reached[1] + 0.125
    assert reached[1] <= reached[2] + 0.125

    mixture = fit(values, k)
    shares = mixture.shares(values)
    assert shares.shape == (len(values), len(mixture.means))
    assert shares.sum(1) == pytest.approx(np.ones(len(values)))
    assert mixture.weights.sum() == pytest.approx(1.0)
    assert (np.diff(mixture.means) >= 0.0).all()


def test_there_are_no_more_components_than_distinct_values() -> None:
    assert len(fit([0.5, 0.5, 0.7], 5).means) == 2


@pytest.mark.parametrize(("values", "k"), [([], 2), ([float("nan")], 2), ([0.1], 0)])
def test_what_cannot_be_fitted_is_refused(values: list[float], k: int) -> None:
    with pytest.raises(ParameterError):
        fit(values, k)
