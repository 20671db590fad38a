"""Which granularity a cue trusts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.errors import ParameterError
from mnemic.ops.granularity import by_owner, entropy, selected, softmax, weighted, weights

similarities = st.dictionaries(
    st.sampled_from(["session", "turn", "summary", "keyword"]),
    st.lists(st.floats(-1.0, 1.0), max_size=30).map(lambda values: np.array(values, np.float32)),
    min_size=1,
)


def test_entropy_is_zero_when_certain_and_log_n_when_even() -> None:
    assert entropy([1.0, 0.0]) == 0.0
    assert entropy([0.25] * 4) == pytest.approx(math.log(4))
    assert entropy([]) == 0.0


@given(st.lists(st.floats(-1.0, 1.0), min_size=1), st.floats(0.05, 5.0))
def test_softmax_is_the_share_of_the_exponentials(values: list[float], temperature: float) -> None:
    powers = [math.exp(value / temperature) for value in values]
    assert softmax(values, temperature) == pytest.approx([power / sum(powers) for power in powers])


def test_a_granularity_with_one_clear_match_weighs_more_than_a_flat_one() -> None:
    clear, flat = np.array([0.9] + [0.1] * 19), np.linspace(0.4, 0.5, 20)
    found = weights({"turn": clear, "session": flat})

    assert found["turn"] > 0.9
    assert found["turn"] + found["session"] == pytest.approx(1.0)


@given(similarities, st.floats(0.05, 2.0))
def test_the_normalised_weights_are_shares(given_: dict[str, np.ndarray], temperature: float) -> None:
    found = weights(given_, temperature)

    assert all(0.0 <= weight <= 1.0 for weight in found.values())
    assert sum(found.values()) == pytest.approx(1.0 if any(len(values) for values in given_.values()) else 0.0)
    assert all(found[name] == 0.0 for name, values in given_.items() if not len(values))


def test_both_formulas_are_as_written() -> None:
    given_ = {"a": np.array([0.9, 0.1]), "b": np.array([0.5, 0.3])}
    h = {name: entropy(softmax(values, 0.2)) for name, values in given_.items()}

    nats = 2.0 - h["a"] - h["b"]
    assert weights(given_, 0.2, "nats") == pytest.approx({name: (1 - h[name]) / nats for name in given_})
    share = {name: 1 - h[name] / math.log(2) for name in given_}
    assert weights(given_, 0.2) == pytest.approx({name: share[name] / sum(share.values()) for name in given_})


def test_in_nats_many_units_turn_the_weights_round() -> None:
    # the reason for the normalised form: both H are above 1, so the flatter one gets more
    many = {"clear": np.array([0.9] + [0.1] * 99), "flat": np.full(100, 0.5)}
    turned = weights(many, 0.2, "nats")

    assert turned["flat"] > turned["clear"]
    assert weights(many, 0.2) == {"clear": 1.0, "flat": 0.0}


def test_where_all_are_flat_all_count_the_same() -> None:
    assert weights({"a": np.full(7, 0.3), "b": np.full(3, 0.9), "c": np.empty(0)}) == {"a": 0.5, "b": 0.5, "c": 0.0}


def test_units_of_all_granularities_are_ranked_together() -> None:
    given_, shares = {"turn": np.array([0.5, 0.9]), "summary": np.array([0.8])}, {"turn": 0.5, "summary": 0.6}

    assert weighted(given_, shares)["turn"].tolist() == [0.25, 0.45]
    assert selected(given_, shares, 2) == [("summary", 0, pytest.approx(0.48)), ("turn", 1, 0.45)]
    assert selected(given_, shares, 9)[2:] == [("turn", 0, 0.25)]


def test_a_sessions_score_is_the_sum_of_its_units() -> None:
    assert by_owner([0.1, 0.2, 0.4], [2, 0, 2], 4).tolist() == [0.2, 0.0, 0.5, 0.0]


@pytest.mark.parametrize("options", [{"temperature": 0.0}, {"formula": "bits"}], ids=["temperature", "formula"])
def test_what_is_no_router_is_refused(options) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ParameterError):
        weights({"a": np.ones(2)}, **options)
