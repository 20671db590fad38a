"""Keys that find, values that are returned."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.errors import ParameterError
from mnemic.ops.keys import Separation, learned, loss, matrix, recall_from, recall_values, separated


def unit_vectors(n: int, dim: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((n, dim))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


@given(st.lists(st.floats(-2.0, 2.0), min_size=1), st.floats(0.1, 20.0))
def test_the_separations_are_as_written(values: list[float], beta: float) -> None:
    powers = np.exp(beta * (np.array(values) - max(values)))

    assert separated(values, "linear").tolist() == values
    assert separated(values, "softmax", beta) == pytest.approx(powers / powers.sum())
    assert separated(values, "max").tolist() == [float(at == values.index(max(values))) for at in range(len(values))]


def test_no_keys_recall_nothing() -> None:
    separations: tuple[Separation, ...] = ("linear", "softmax", "max")
    for separation in separations:
        assert recall_values(np.ones(3), np.empty((0, 3)), np.empty((0, 2)), separation).tolist() == [0.0, 0.0]
    assert matrix(np.empty((0, 3)), np.empty((0, 2))).shape == (2, 3)


@given(st.integers(0, 20), st.integers(1, 6), st.integers(1, 5))
def test_linear_recall_from_the_matrix_is_the_weighted_sum(n: int, d: int, e: int) -> None:
    draw = np.random.default_rng(n)
    keys, values, query = draw.standard_normal((n, d)), draw.standard_normal((n, e)), draw.standard_normal(d)

    expected = sum(((key @ query) * value for key, value in zip(keys, values, strict=True)), np.zeros(e))
    assert recall_values(query, keys, values, "linear") == pytest.approx(expected)
    assert recall_from(matrix(keys, values), query) == pytest.approx(expected)


def test_linear_recall_blurs_as_keys_fill_their_space_and_exponential_recall_does_not() -> None:
    # error of a value recalled by its own key; d = 32, so n / d goes from 1/8 to 16
    errors: dict[Separation, list[float]] = {"linear": [], "softmax": []}
    for n in (4, 32, 512):
        keys, values = unit_vectors(n, 32, 1), unit_vectors(n, 8, 2)
        for separation, found in errors.items():
            apart = [recall_values(keys[at], keys, values, separation, 40.0) - values[at] for at in range(4)]
            found.append(float(np.mean([one @ one for one in apart])))

    assert errors["linear"][0] < errors["linear"][1] < errors["linear"][2]
    assert errors["linear"][2] == pytest.approx(512 / 32, rel=0.5)
    assert max(errors["softmax"]) < 0.01


def test_max_recall_returns_a_value_as_it_was_stored() -> None:
    keys, values = unit_vectors(50, 16), unit_vectors(50, 8)
    assert all(recall_values(keys[at], keys, values, "max").tolist() == values[at].tolist() for at in range(50))


def test_a_step_of_learning_goes_down_the_gradient_of_the_loss() -> None:
    keys, queries, hits = unit_vectors(6, 4, 1), unit_vectors(3, 4, 2), [[0], [2, 5], []]
    before = loss(keys, queries, hits, 3.0)
    slope = np.zeros_like(keys)
    for at in np.ndindex(keys.shape):
        moved = keys.copy()
        moved[at] += 1e-6
        slope[at] = (loss(moved, queries, hits, 3.0) - before) / 1e-6
    along_the_sphere = slope - (slope * keys).sum(1, keepdims=True) * keys
    step = learned(keys, queries, hits, rate=1e-5, beta=3.0) - keys

    assert step / 1e-5 == pytest.approx(-along_the_sphere, abs=1e-3)


def test_learning_pulls_hits_pushes_what_is_confused_with_them_and_keeps_lengths() -> None:
    keys = np.array([[1.0, 0.1, 0.0], [1.0, 0.0, 0.1], [0.0, 0.0, 2.0]])
    query = np.array([[1.0, 0.0, 0.0]])
    found = learned(keys, query, [[0]], rate=0.1)

    before, after = keys @ query[0], found @ query[0]
    assert after[0] > before[0]
    assert after[1] < before[1]
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.linalg.norm(keys, axis=1))
    assert found.tolist() == learned(keys, query, [[0]], rate=0.1).tolist()
    assert keys[0].tolist() == [1.0, 0.1, 0.0]


def test_learned_keys_tell_apart_what_was_confused() -> None:
    draw = np.random.default_rng(3)
    keys = unit_vectors(1, 16, 4) + 0.2 * draw.standard_normal((20, 16))  # all much alike
    queries = keys + 0.25 * draw.standard_normal((20, 16))
    hits = [[at] for at in range(20)]

    def found(keys: np.ndarray) -> int:
        return sum(int(np.argmax(keys @ query)) == at for at, query in enumerate(queries))

    trained = keys
    for _ in range(30):
        trained = learned(trained, queries, hits)
    assert loss(trained, queries, hits) < loss(keys, queries, hits)
    assert found(trained) > found(keys)


def test_without_hits_or_rate_nothing_is_learned() -> None:
    keys, queries = unit_vectors(4, 3), unit_vectors(2, 3)

    assert learned(keys, queries, [[], []]) == pytest.approx(keys)
    assert learned(keys, queries, [[0], [1]], rate=0.0) == pytest.approx(keys)
    assert loss(keys, queries, [[], []]) == 0.0


@pytest.mark.parametrize(
    "call",
    [
        lambda: separated([0.1], "cubic"),  # type: ignore[arg-type]
        lambda: separated([0.1], "softmax", 0.0),
        lambda: learned(np.eye(2), np.eye(2), [[0]]),
    ],
    ids=range(3),
)
def test_what_is_no_recall_is_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ParameterError):
        call()
