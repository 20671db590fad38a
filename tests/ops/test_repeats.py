"""Recognising the same thing said again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.ops.repeats import containment, content_hash, fold_repeats, jaccard

words = st.frozensets(
    st.sampled_from(["tea", "garden", "river", "violin", "Anna", "Bob", "not", "7", "8", "March", "Porto", "walks"])
)
WORDS = ["the", "old", "train", "to", "Porto", "leaves", "from", "our", "station", "in", "town"]


def said(text: str) -> frozenset[str]:
    return frozenset(text.split())


@pytest.mark.parametrize("other", ["i like TEA", "  I  like\n\ttea!! ", '"I like tea."', "I like tea…"])
def test_case_space_and_punctuation_at_the_ends_do_not_change_the_hash(other: str) -> None:
    assert content_hash(other) == content_hash("I like tea")


@pytest.mark.parametrize(
    "other", ["I like teas", "I like tea 2", "I like", "we like tea", "I don't like tea", "I like tee"]
)
def test_another_word_changes_the_hash(other: str) -> None:
    assert content_hash(other) != content_hash("I like tea")


@given(text=st.text(st.characters(codec="utf-8")))
def test_a_hash_is_64_signed_bits_for_any_text(text: str) -> None:
    assert -(2**63) <= content_hash(text) < 2**63


@given(one=words, other=words)
def test_jaccard_is_symmetric_and_never_above_either_containment(one: frozenset[str], other: frozenset[str]) -> None:
    assert jaccard(one, other) == jaccard(other, one)
    assert 0.0 <= jaccard(one, other) <= min(containment(one, other), containment(other, one)) <= 1.0
    assert jaccard(one, one) == containment(one, one) == (1.0 if one else 0.0)


@given(items=st.lists(st.tuples(st.integers(0, 4), words), max_size=12), limit=st.integers(1, 12))
def test_every_item_is_kept_folded_or_beyond_the_limit_and_never_twice(
    items: list[tuple[int, frozenset[str]]], limit: int
) -> None:
    hashes, terms = [one[0] for one in items], [one[1] for one in items]
    folded = fold_repeats(hashes, terms, limit)
    firsts = [first for first, _ in folded]
    places = firsts + [place for _, repeats in folded for place in repeats]
    assert len(places) == len(set(places))
    assert firsts == sorted(firsts)
    assert len(folded) <= limit
    assert all(repeat > first for first, repeats in folded for repeat in repeats)
    if len(folded) < limit:
        assert sorted(places) == list(range(len(items)))
    kept = {hashes[first] for first in firsts}
    assert len(kept) == len(firsts)


def test_items_with_the_same_hash_are_folded_whatever_their_words() -> None:
    assert fold_repeats([1, 2, 1], [said("a"), said("b"), said("c")], 5) == [(0, [2]), (1, [])]


def test_nine_words_in_ten_fold_and_fewer_do_not() -> None:
    nearly, less = said(" ".join([*WORDS, "now"])), said(" ".join([*WORDS, "now", "and", "then"]))
    assert fold_repeats([1, 2, 3], [said(" ".join(WORDS)), nearly, less], 5) == [(0, [1]), (2, [])]


@pytest.mark.parametrize("turning", ["7", "not", "never", "dont", "4th", "without"])
def test_a_number_or_a_negation_keeps_two_statements_apart(turning: str) -> None:
    assert fold_repeats([1, 2], [frozenset(WORDS), frozenset([*WORDS, turning])], 5) == [(0, []), (1, [])]


def test_texts_of_fewer_than_four_words_fold_by_hash_alone() -> None:
    assert fold_repeats([1, 2], [said("yes of course"), said("yes of course")], 5) == [(0, []), (1, [])]


def test_a_repeat_of_what_is_kept_is_folded_also_beyond_the_limit() -> None:
    assert fold_repeats([1, 2, 1], [said("a"), said("b"), said("a")], 1) == [(0, [2])]


def test_a_word_in_the_place_of_another_keeps_two_statements_apart() -> None:
    many = [f"word{chr(97 + at)}" for at in range(25)]
    assert fold_repeats([1, 2], [frozenset([*many, "loves"]), frozenset([*many, "hates"])], 5) == [(0, []), (1, [])]
