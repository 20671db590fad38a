"""Saying a thing once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.errors import ParameterError
from mnemic.ops.redundancy import folded_by_cosine, folded_by_terms, linked, marginal
from mnemic.ops.repeats import jaccard


def unit_vectors(n: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((n, 3)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


@given(st.integers(0, 12), st.integers(0, 14), st.floats(0.0, 1.0), st.integers(0, 50))
def test_each_choice_has_the_highest_marginal_relevance_left(n: int, k: int, balance: float, seed: int) -> None:
    vectors, relevance = unit_vectors(n, seed), np.random.default_rng(seed + 1).random(n)
    chosen = marginal(relevance, vectors, k, balance)

    assert len(chosen) == len(set(chosen)) == min(n, k)
    for at, row in enumerate(chosen):

        def worth(one: int, before: list[int] = chosen[:at]) -> float:
            if not before:
                return float(relevance[one])
            alike = max(float(vectors[one] @ vectors[other]) for other in before)
            return float(balance * relevance[one] - (1.0 - balance) * alike)

        left = [one for one in range(n) if one not in chosen[:at]]
        assert worth(row) == pytest.approx(max(map(worth, left)), abs=1e-5)


def test_relevance_alone_ranks_and_novelty_leaves_out_the_copy() -> None:
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])

    assert marginal([0.9, 0.8, 0.5], vectors, 3, balance=1.0) == [0, 1, 2]
    assert marginal([0.9, 0.8, 0.5], vectors, 2, balance=0.5) == [0, 2]
    with pytest.raises(ParameterError):
        marginal([0.9], vectors[:1], 1, balance=1.5)


@given(st.integers(0, 20), st.floats(-0.5, 1.0), st.integers(0, 50))
def test_kept_rows_differ_and_each_other_row_is_folded_into_the_kept_one_it_is_most_like(
    n: int, threshold: float, seed: int
) -> None:
    vectors = unit_vectors(n, seed)
    found = folded_by_cosine(vectors, threshold)

    cosines = np.einsum("id,jd->ij", vectors, vectors)
    kept = [first for first, _ in found]
    assert sorted(kept + [row for _, rows in found for row in rows]) == list(range(n))
    assert all(cosines[one, other] < threshold for one in kept for other in kept if one < other)
    for first, rows in found:
        for row in rows:
            before = [one for one in kept if one < row]
            assert cosines[row, first] == max(cosines[row, before]) >= threshold


def test_beyond_the_limit_rows_are_folded_or_left_out() -> None:
    axes = np.eye(3, dtype=np.float32)
    assert folded_by_cosine(axes[[0, 1, 2, 0]], 0.9, limit=2) == [(0, [3]), (1, [])]


def test_texts_are_folded_by_the_terms_they_share() -> None:
    terms = [frozenset("abcd"), frozenset("xy"), frozenset("abce"), frozenset("abcd")]

    assert folded_by_terms(terms, 0.6) == [(0, [2, 3]), (1, [])]
    assert folded_by_terms(terms, 0.9) == [(0, [3]), (1, []), (2, [])]
    assert folded_by_terms(terms, 0.9, limit=1) == [(0, [3])]
    assert folded_by_terms([], 0.9) == []
    assert folded_by_terms([frozenset(), frozenset()], 0.5) == [(0, []), (1, [])]
    with pytest.raises(ParameterError):
        folded_by_terms(terms, 0.0)


@given(st.lists(st.frozensets(st.sampled_from("abcdef")), max_size=12), st.floats(0.05, 1.0))
def test_a_text_is_folded_into_the_kept_text_that_it_shares_most_with(
    terms: list[frozenset[str]], threshold: float
) -> None:
    expected: list[tuple[int, list[int]]] = []
    for at, words in enumerate(terms):
        nearest = max(expected, key=lambda one: (jaccard(words, terms[one[0]]), -one[0]), default=None)
        if nearest and jaccard(words, terms[nearest[0]]) >= threshold:
            nearest[1].append(at)
        else:
            expected.append((at, []))
    assert folded_by_terms(terms, threshold) == expected


LINKS = {"1": ["2", "3", "4"], "2": ["1", "3"], "9": ["5"]}


def test_linked_notes_come_with_a_hit_once_in_order_and_no_more_than_asked_for() -> None:
    assert linked(["1", "2", "9"], LINKS, most=9) == [("3", "1"), ("4", "1"), ("5", "9")]
    assert linked(["2", "1", "9"], LINKS, most=2) == [("3", "2"), ("4", "1")]
    assert linked(["1", "2", "9"], LINKS, most=9, each=1) == [("3", "1"), ("5", "9")]
    assert linked(["1", "2", "9"], LINKS, most=0) == []
    assert linked(["7"], LINKS, most=3) == []
