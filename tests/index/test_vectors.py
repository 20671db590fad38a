"""Nearest vectors: exact in all three sizes where it can be, found at once after every change, under any mask."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.world import unit
from mnemic.index import vectors as module
from mnemic.index.vectors import VectorIndex, best

DIM = 16


@pytest.fixture
def small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thresholds that a test can cross: medium above 20 rows, large from 600, of which a tenth is rescored."""
    monkeypatch.setattr(module, "SMALL", 20)
    monkeypatch.setattr(module, "LARGE", 600)
    monkeypatch.setattr(module, "_RESCORED", 60)


def drawn(n: int, dim: int = DIM, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).standard_normal((n, dim)))


def clustered(n: int, dim: int = 256, seed: int = 0) -> np.ndarray:
    """Points near a plane of 12 dimensions, as sentence vectors are near one of some dozens."""
    draw = np.random.default_rng(seed)
    plane = draw.standard_normal((12, dim))
    return unit(draw.standard_normal((n, 12)) @ plane + 0.2 * draw.standard_normal((n, dim)))


def index_of(rows: np.ndarray) -> VectorIndex:
    index = VectorIndex(rows.shape[1])
    index.extend(rows)
    return index


def brute_force(rows: np.ndarray, query: np.ndarray, k: int, visible: np.ndarray | None = None) -> list[int]:
    """The k nearest, nearest first, ties in row order; by the definition."""
    scores = rows.astype(np.float32) @ query
    order = sorted(range(len(rows)), key=lambda row: (-scores[row], row))
    return [row for row in order if visible is None or visible[row]][:k]


def nearest(index: VectorIndex, query: np.ndarray, k: int, visible: np.ndarray | None = None) -> list[int]:
    return index.top(query, k, visible)[0].tolist()


# -- exactness --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small_sizes")
@settings(max_examples=60)
@given(st.integers(0, 90), st.integers(1, 100), st.integers(0, 10**6), st.sampled_from([None, 0.0, 0.1, 0.9]))
def test_a_small_or_medium_index_gives_exactly_what_looking_at_every_row_gives(
    n: int, k: int, seed: int, share
) -> None:
    rows, query = drawn(n, seed=seed), drawn(1, seed=seed + 1)[0].astype(np.float32)
    visible = None if share is None else np.random.default_rng(seed).random(n) < share
    index = index_of(rows)
    found, scores = index.top(query, k, visible)
    assert found.tolist() == brute_force(rows, query, k, visible)
    assert np.allclose(scores, rows[found].astype(np.float32) @ query, atol=1e-6)
    assert index.is_exact


def test_equal_vectors_come_in_row_order() -> None:
    rows = np.repeat(drawn(3), 5, axis=0)
    assert nearest(index_of(rows), rows[5].astype(np.float32), 7)[:5] == [5, 6, 7, 8, 9]


def test_a_vector_that_is_missing_is_near_to_nothing() -> None:
    rows = np.concatenate([np.zeros((1, DIM), np.float16), drawn(2)])
    found, scores = index_of(rows).top(rows[1].astype(np.float32), 3)
    assert scores[found.tolist().index(0)] == 0.0


def test_an_empty_index_finds_nothing() -> None:
    assert nearest(VectorIndex(DIM), drawn(1)[0].astype(np.float32), 5) == []


@settings(max_examples=100)
@given(
    st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, -1.0]), max_size=40),
    st.integers(1, 45),
    st.integers(0, 2**20 - 1) | st.none(),
)
def test_best_gives_the_highest_scores_and_of_equals_the_earlier_rows(values: list[float], k: int, bits) -> None:
    scores = np.array(values, np.float32)
    visible = None if bits is None else np.array([bits >> (n % 20) & 1 for n in range(len(values))], np.bool_)
    order = sorted(range(len(values)), key=lambda row: (-values[row], row))
    expected = [row for row in order if visible is None or visible[row]][:k]
    assert sorted(best(scores, k, visible).tolist()) == sorted(expected)


@pytest.mark.parametrize("is_sorted", [False, True])
@pytest.mark.parametrize("k", [1, 10, 400, 19_999, 20_000, 30_000])
def test_best_of_many_scores_is_the_same_as_sorting_them(k: int, is_sorted: bool) -> None:
    scores = np.random.default_rng(1).standard_normal(20_000).astype(np.float32).round(3)
    scores = np.sort(scores) if is_sorted else scores
    expected = np.lexsort((np.arange(20_000), -scores))[:k]
    assert sorted(best(scores, k).tolist()) == sorted(expected.tolist())
    visible = np.arange(20_000) % 7 == 0
    shown = [row for row in np.lexsort((np.arange(20_000), -scores)).tolist() if visible[row]][:k]
    assert sorted(best(scores, k, visible).tolist()) == sorted(shown)


# -- large ------------------------------------------------------------------------------------------------


def recall_at_ten(
    index: VectorIndex, rows: np.ndarray, queries: np.ndarray, visible: np.ndarray | None = None
) -> float:
    found = [set(nearest(index, query, 10, visible)) & set(brute_force(rows, query, 10, visible)) for query in queries]
    return sum(map(len, found)) / (10 * len(queries))


@pytest.mark.usefixtures("small_sizes")
def test_a_large_index_of_clustered_vectors_finds_98_of_100_of_the_true_nearest() -> None:
    rows = clustered(4_000)
    index = index_of(rows)
    index.settle()
    assert not index.is_exact
    queries = unit(rows[::200].astype(np.float32) + 0.02 * np.random.default_rng(5).standard_normal((20, 256)))
    assert recall_at_ten(index, rows, queries.astype(np.float32)) >= 0.98
    visible = np.random.default_rng(6).random(4_000) < 0.3
    assert recall_at_ten(index, rows, queries.astype(np.float32), visible) >= 0.98


@pytest.mark.slow
def test_an_index_of_forty_thousand_vectors_finds_98_of_100_of_the_true_nearest() -> None:
    rows = clustered(40_000, dim=384)
    index = index_of(rows)
    index.settle()
    assert not index.is_exact
    queries = unit(rows[::1_000].astype(np.float32) + 0.02 * np.random.default_rng(5).standard_normal((40, 384)))
    assert recall_at_ten(index, rows, queries.astype(np.float32)) >= 0.98


@pytest.mark.usefixtures("small_sizes")
def test_a_large_index_hands_out_exact_scores() -> None:
    rows = clustered(1_000)
    index, query = index_of(rows), clustered(1, seed=9)[0].astype(np.float32)
    found, scores = index.top(query, 50)
    assert not index.is_exact
    assert np.allclose(scores, rows[found].astype(np.float32) @ query, atol=1e-5)
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)


@pytest.mark.usefixtures("small_sizes")
def test_vectors_without_leading_directions_are_scanned_in_full() -> None:
    rows = drawn(1_200, dim=1_024)
    index, query = index_of(rows), drawn(1, dim=1_024, seed=3)[0].astype(np.float32)
    index.settle()
    assert index.is_exact
    assert nearest(index, query, 20) == brute_force(rows, query, 20)


@pytest.mark.usefixtures("small_sizes")
def test_a_row_added_to_a_large_index_is_found_at_once() -> None:
    index = index_of(clustered(900))
    assert len(index.top(np.ones(256, np.float32), 1)[0]) == 1
    assert not index.is_exact
    new = drawn(1, dim=256, seed=77)  # not at all like those that the directions were found on
    index.extend(new)
    assert nearest(index, new[0].astype(np.float32), 1) == [900]


@pytest.mark.usefixtures("small_sizes")
def test_few_visible_rows_of_a_large_index_are_all_found() -> None:
    rows = clustered(900)
    index, visible = index_of(rows), np.zeros(900, np.bool_)
    visible[[3, 500, 899]] = True
    query = rows[0].astype(np.float32)
    assert nearest(index, query, 10, visible) == brute_force(rows, query, 10, visible)
    assert nearest(index, query, 10, np.zeros(900, np.bool_)) == []


# -- growing, shrinking, keeping --------------------------------------------------------------------------


@pytest.mark.usefixtures("small_sizes")
@pytest.mark.parametrize("pieces", [[1], [7, 30], [19, 1, 1, 1], [500], [300, 1, 300, 650]])
def test_an_index_grown_in_pieces_finds_what_one_built_at_once_finds(pieces: list[int]) -> None:
    rows, at, n = clustered(1_300), 0, 0
    index = VectorIndex(256)
    query = rows[17].astype(np.float32)
    while at < len(rows):
        step = pieces[n % len(pieces)] if n < 40 else 400
        index.extend(rows[at : at + step])
        at, n = min(at + step, len(rows)), n + 1
        if n % 5 == 0 or at == len(rows):  # asked on the way, so that it takes each form
            assert nearest(index, query, 5) == brute_force(rows[:at], query, 5)
    assert np.array_equal(index.arrays()["vectors"], rows)


@pytest.mark.usefixtures("small_sizes")
@pytest.mark.parametrize("n", [10, 100, 900])
@pytest.mark.parametrize("is_flat", [False, True])
def test_what_is_kept_is_the_index_without_the_other_rows(n: int, is_flat: bool) -> None:
    rows = drawn(n, dim=256) if is_flat else clustered(n)
    index = index_of(rows)
    index.settle()
    keep = np.random.default_rng(2).random(n) < 0.6
    smaller = index.kept(keep)
    query = clustered(1, seed=4)[0].astype(np.float32)
    assert nearest(smaller, query, 10) == brute_force(rows[keep], query, 10)
    assert len(smaller) == keep.sum()
    assert nearest(index, query, 10) == brute_force(rows, query, 10)
    smaller.extend(rows[:3])
    assert smaller.top(rows[1].astype(np.float32), 1)[1] == pytest.approx(1.0, abs=1e-3)


@pytest.mark.usefixtures("small_sizes")
@pytest.mark.parametrize("n", [5, 100, 900])
def test_a_clone_that_grows_changes_nothing_for_those_who_read_the_older_one(n: int) -> None:
    rows, more = clustered(n), clustered(1_000, seed=8)
    index, query = index_of(rows), more[0].astype(np.float32)
    before = [array.tolist() for array in index.top(query, 10)]
    clone = index
    for start in range(0, 1_000, 100):
        clone = clone.clone()
        clone.extend(more[start : start + 100])
        clone.settle()
        assert [array.tolist() for array in index.top(query, 10)] == before
    assert nearest(clone, query, 1) == [n]
    assert (len(index), len(clone)) == (n, n + 1_000)


@pytest.mark.usefixtures("small_sizes")
@pytest.mark.parametrize("n", [0, 5, 100, 900])
def test_an_index_comes_back_from_its_arrays(n: int) -> None:
    index, query = index_of(clustered(n)), clustered(1, seed=4)[0].astype(np.float32)
    index.settle()
    again = VectorIndex.from_arrays({name: array.copy() for name, array in index.arrays().items()})
    assert (again.dim, len(again), nearest(again, query, 10)) == (256, n, nearest(index, query, 10))
    assert again.is_exact == index.is_exact
    again.extend(clustered(3, seed=5))
    assert (len(again), len(index)) == (n + 3, n)


def test_the_same_rows_give_the_same_large_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGE", 600)
    one, other = index_of(clustered(700)), index_of(clustered(700))
    one.settle()
    other.settle()
    assert all(np.array_equal(one.arrays()[name], other.arrays()[name]) for name in one.arrays())
    assert not one.is_exact
