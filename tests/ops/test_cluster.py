"""Groups of vectors, and of names."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mnemic.errors import ParameterError
from mnemic.ops.cluster import Online, k_means, matching_name, merged_names, split

AXES = np.eye(4, dtype=np.float32)


def around_axes(groups: int, each: int, seed: int = 0) -> tuple[NDArray[np.float32], list[int]]:
    """Unit vectors close to the first axes, shuffled; and the axis of each."""
    draw = np.random.default_rng(seed)
    truth = draw.permutation(np.repeat(np.arange(groups), each))
    vectors = AXES[truth] + 0.1 * draw.standard_normal((len(truth), 4)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), truth.tolist()


def renumbered(labels: list[int]) -> list[int]:
    """Labels numbered by first appearance."""
    numbers: dict[int, int] = {}
    return [numbers.setdefault(label, len(numbers)) for label in labels]


@pytest.mark.parametrize("seed", range(5))
def test_k_means_finds_tight_groups_whatever_its_seed(seed: int) -> None:
    vectors, truth = around_axes(4, 25, seed)
    found = k_means(vectors, 4, seed=seed)

    assert found.labels.tolist() == renumbered(truth)
    for label, rows in enumerate(found.members):
        assert found.centres[label] == pytest.approx(vectors[rows].astype(np.float64).mean(0))


@given(st.integers(0, 30), st.integers(1, 8), st.integers(0, 3))
def test_every_vector_is_in_the_group_with_the_nearest_centre(n: int, k: int, seed: int) -> None:
    vectors = np.random.default_rng(n).standard_normal((n, 3))
    found = k_means(vectors, k, seed=seed)

    assert sorted(row for rows in found.members for row in rows) == list(range(n))
    assert len(found.centres) <= min(k, n)
    assert found.labels.tolist() == renumbered(found.labels.tolist())
    apart = ((vectors[:, None] - found.centres[None]) ** 2).sum(-1) if n else np.empty((0, 1))
    assert apart.argmin(1).tolist() == found.labels.tolist()


def test_equal_vectors_are_one_group() -> None:
    assert k_means(np.ones((5, 3)), 3).labels.tolist() == [0] * 5


@given(st.integers(0, 60), st.integers(1, 7), st.booleans())
def test_split_gives_groups_of_at_most_the_size_asked_for(n: int, most: int, is_flat: bool) -> None:
    vectors = np.ones((n, 3)) if is_flat else np.random.default_rng(n).standard_normal((n, 3))
    groups = split(vectors, most)

    assert sorted(row for rows in groups for row in rows) == list(range(n))
    assert all(0 < len(rows) <= most for rows in groups)
    assert groups == split(vectors, most)


def test_split_keeps_together_what_fits() -> None:
    vectors, truth = around_axes(4, 20)
    assert sorted(split(vectors, 20)) == sorted(
        [at for at, one in enumerate(truth) if one == axis] for axis in range(4)
    )


def test_online_groups_take_in_what_is_similar_and_found_others() -> None:
    vectors, truth = around_axes(3, 20)
    groups = Online(4, threshold=0.7)

    assert [groups.add(vector) for vector in vectors] == renumbered(truth)
    assert groups.sizes == [20, 20, 20]
    assert np.linalg.norm(groups.centres, axis=1) == pytest.approx(np.ones(3))


def test_online_groups_have_room_for_many() -> None:
    groups = Online(40, threshold=0.5)
    assert [groups.add(axis) for axis in np.eye(40)] == list(range(40))
    assert groups.nearest(np.eye(40)[33]) == (33, 1.0)


def test_an_empty_group_of_groups_has_no_nearest() -> None:
    assert Online(3, 0.5).nearest(np.ones(3)) == (-1, -1.0)


def test_names_are_one_by_spelling_then_terms_then_meaning() -> None:
    names, vectors = ["Sport", "sports", "football"], AXES[:3]

    assert matching_name("SPORTS", AXES[2], names, vectors, 0.8) == 1
    assert matching_name("sporting", None, ["Sport"], None, 0.8) == 0
    assert matching_name("soccer", AXES[2], names, vectors, 0.8) == 2
    assert matching_name("soccer", AXES[3], names, vectors, 0.8) is None
    assert matching_name("soccer", None, [], None, 0.8) is None


def test_merged_names_do_not_lead_from_one_meaning_to_another_in_small_steps() -> None:
    angles = np.radians([0.0, 30.0, 60.0])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)

    assert merged_names(["a1", "b1", "c1"], vectors, np.cos(np.radians(31.0))) == [0, 0, 2]


@pytest.mark.parametrize("call", [lambda: k_means(AXES, 0), lambda: split(AXES, 0)])
def test_no_groups_cannot_be_asked_for(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ParameterError):
        call()
