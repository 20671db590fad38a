"""Buckets for vectors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mnemic.errors import ParameterError
from mnemic.ops.lsh import Buckets, CrossPolytope


def unit_vectors(n: int, dim: int, seed: int = 0) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


@given(st.integers(0, 100), st.floats(0.01, 100.0))
def test_equal_vectors_share_a_bucket_and_length_does_not_matter(seed: int, length: float) -> None:
    hash, vector = CrossPolytope(8, 16), unit_vectors(1, 8, seed)[0]

    assert hash.bucket(vector) == CrossPolytope(8, 16).bucket(vector) == hash.bucket(length * vector.astype(np.float64))
    assert 0 <= hash.bucket(vector) < 16


@given(st.integers(0, 100))
def test_the_bucket_is_the_highest_of_xr_and_minus_xr(seed: int) -> None:
    hash, vector = CrossPolytope(6, 10, seed), unit_vectors(1, 6, seed)[0]
    scores = hash.scores(vector)

    assert scores[:5].tolist() == (-scores[5:]).tolist()
    assert hash.bucket(vector) == int(np.argmax(scores)) == hash.probes(vector, 1)[0]
    opposite = hash.bucket(-vector)
    assert opposite == (hash.bucket(vector) + 5) % 10
    assert sorted(hash.probes(vector, 10)) == list(range(10))


def test_many_vectors_fall_where_each_falls() -> None:
    hash, vectors = CrossPolytope(12, 8, 4), unit_vectors(200, 12)

    assert hash.buckets_of(vectors).tolist() == [hash.bucket(vector) for vector in vectors]
    assert len(set(hash.buckets_of(vectors).tolist())) == 8


def test_the_directions_are_normal_numbers_and_differ_by_seed() -> None:
    one = CrossPolytope(200, 200, 1)._directions

    assert one.mean() == pytest.approx(0.0, abs=0.02)
    assert one.std() == pytest.approx(1.0, abs=0.02)
    assert not np.array_equal(one, CrossPolytope(200, 200, 2)._directions)


def test_the_directions_stay_what_they_were() -> None:
    # written down: a table that was stored must be read by every later version
    assert CrossPolytope(2, 4, 7)._directions.round(6).tolist() == [[-0.434255, 1.494573], [1.728046, 0.309142]]


@pytest.mark.parametrize(("dim", "buckets"), [(4, 3), (4, 0), (0, 2)])
def test_the_number_of_buckets_must_be_even(dim: int, buckets: int) -> None:
    with pytest.raises(ParameterError):
        CrossPolytope(dim, buckets)


def test_a_vector_of_another_size_is_refused() -> None:
    with pytest.raises(ParameterError):
        CrossPolytope(4, 2).bucket(np.ones(5))


def test_a_recall_compares_with_one_bucket_and_more_probes_restore_what_it_missed() -> None:
    hash, vectors = CrossPolytope(16, 16), unit_vectors(1_000, 16)
    table = Buckets(hash)
    for at, vector in enumerate(vectors):
        table.add(str(at), vector)
    queries = vectors[:100] + 0.15 * unit_vectors(100, 16, seed=1)

    def recall(probes: int) -> float:
        found = 0
        for query in queries:
            exact = set(np.argsort(-vectors @ query, kind="stable")[:5].tolist())
            found += len(exact & {int(id) for id, _ in table.nearest(query, 5, probes)})
        return found / 500

    at_one = table.candidates(queries[0])
    assert len(at_one) == len(table.members(hash.bucket(queries[0]))) < 250
    assert 0.2 < recall(1) < recall(4) < recall(16) == 1.0


def test_buckets_forget_replace_and_take_back_a_known_bucket() -> None:
    hash = CrossPolytope(4, 4)
    table, vectors = Buckets(hash), unit_vectors(3, 4)
    here = table.add("a", vectors[0])
    table.add("b", vectors[0])
    table.add("a", -vectors[0])

    assert table.bucket_of("a") == (here + 2) % 4
    assert table.members(here) == ["b"]
    table.remove("b")
    table.remove("b")
    assert (len(table), table.candidates(vectors[0]), table.nearest(vectors[0], 3)) == (1, [], [])
    other = Buckets(hash)
    other.place("a", -vectors[0], (here + 2) % 4)
    [(id, cosine)] = other.nearest(-vectors[0], 1)
    assert id == "a"
    assert cosine == pytest.approx(1.0)
    assert table.nearest(-vectors[0], 1) == [(id, cosine)]
