"""Fusing rankings and signals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.model import Reason
from mnemic.ops.fuse import RRF_K, reasons, reciprocal_rank_fusion, weighted_sum

rankings = st.lists(st.lists(st.integers(0, 9), unique=True, max_size=6), max_size=4)
shares = st.floats(0, 1, width=32)
signals = st.integers(1, 8).flatmap(
    lambda n: st.dictionaries(
        st.sampled_from("abcdef"),
        st.lists(shares, min_size=n, max_size=n).map(lambda values: np.array(values, np.float32)),
        min_size=1,
    )
)


def test_a_fused_score_is_the_sum_of_one_over_k_plus_rank() -> None:
    assert reciprocal_rank_fusion([[7, 3], [3]]) == {7: 1 / (RRF_K + 1), 3: 1 / (RRF_K + 2) + 1 / (RRF_K + 1)}


def test_weights_scale_a_rankings_share() -> None:
    assert reciprocal_rank_fusion([[1], [2]], weights=[2.0, 0.5], k=1) == {1: 1.0, 2: 0.25}


def test_as_many_weights_as_rankings_are_wanted() -> None:
    with pytest.raises(ValueError):
        reciprocal_rank_fusion([[1], [2]], weights=[1.0])


@given(rankings=rankings, data=st.data())
def test_the_order_of_the_rankings_does_not_matter(rankings: list[list[int]], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(rankings))
    fused, again = reciprocal_rank_fusion(rankings), reciprocal_rank_fusion(shuffled)
    assert fused.keys() == again.keys()
    assert all(abs(fused[item] - again[item]) < 1e-12 for item in fused)


@given(rankings=rankings)
def test_who_stands_before_another_in_every_ranking_stands_before_it_when_fused(rankings: list[list[int]]) -> None:
    fused = reciprocal_rank_fusion(rankings)
    for one in fused:
        for other in fused:
            if one != other and all(
                one in ranking and (other not in ranking or ranking.index(one) < ranking.index(other))
                for ranking in rankings
            ):
                assert fused[one] > fused[other]


@given(signals=signals)
def test_a_weighted_sum_of_shares_whose_weights_sum_to_1_is_a_share(signals: dict[str, np.ndarray]) -> None:
    total = weighted_sum(signals, dict.fromkeys(signals, 1 / len(signals)))
    assert [value for value in total.tolist() if not -1e-6 <= value <= 1 + 1e-6] == []


@given(signals=signals, data=st.data())
def test_the_contributions_of_an_item_add_up_to_its_sum_strongest_first(
    signals: dict[str, np.ndarray], data: st.DataObject
) -> None:
    weights = {name: data.draw(shares) for name in signals}
    total = weighted_sum(signals, weights)
    for at in range(len(total)):
        contributions = [reason.contribution for reason in reasons(signals, weights, at)]
        assert abs(sum(contributions) - float(total[at])) < 1e-5
        assert contributions == sorted(contributions, reverse=True)


def test_a_signal_that_added_nothing_is_no_reason() -> None:
    values = {"a": np.array([0.5], np.float32), "b": np.array([0.0], np.float32), "c": np.array([1.0], np.float32)}
    assert reasons(values, {"a": 0.5, "b": 0.5, "c": 0.0}, 0, {"a": "why"}) == (Reason("a", 0.5, 0.5, "why"),)
