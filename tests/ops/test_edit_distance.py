"""How many letters have to change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.errors import ParameterError
from mnemic.ops.edit_distance import difference, levenshtein, nearest_key

few_letters = st.text("abc", max_size=12)
any_text = st.text(max_size=90)


def by_table(one: str, other: str) -> int:
    """The recurrence as it is defined."""
    above = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        row = [i]
        for j, against in enumerate(other, start=1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (letter != against)))
        above = row
    return above[-1]


@given(few_letters | any_text, few_letters | any_text)
def test_it_is_the_distance_of_the_recurrence(one: str, other: str) -> None:
    assert levenshtein(one, other) == by_table(one, other)


@given(few_letters, few_letters, st.integers(0, 13))
def test_a_bound_changes_nothing_below_it(one: str, other: str, bound: int) -> None:
    assert levenshtein(one, other, bound) == min(by_table(one, other), bound + 1)


@given(few_letters, few_letters, few_letters)
def test_it_is_a_distance(one: str, other: str, third: str) -> None:
    assert levenshtein(one, other) == levenshtein(other, one)
    assert levenshtein(one, third) <= levenshtein(one, other) + levenshtein(other, third)
    assert (levenshtein(one, other) == 0) == (one == other)


@given(few_letters, few_letters)
def test_the_difference_is_the_share_of_the_longer_text(one: str, other: str) -> None:
    assert difference(one, other) == by_table(one, other) / max(len(one), len(other), 1)


def test_long_texts_are_compared_too() -> None:
    assert levenshtein("ab" * 2_000, "ba" * 2_000) == 2
    assert levenshtein("a" * 5_000, "b" * 5_000, bound=3) == 4


@given(few_letters, st.lists(few_letters, max_size=6), st.integers(0, 6), st.none() | st.floats(0.0, 1.0))
def test_the_nearest_key_is_the_first_of_the_nearest_within_both_bounds(
    key: str, keys: list[str], edits: int, share: float | None
) -> None:
    near = [
        (distance, at)
        for at, known in enumerate(keys)
        if (distance := by_table(key, known)) <= edits
        and (share is None or distance <= share * max(len(key), len(known)) + 1e-9)
    ]
    expected = min(near)[::-1] if near else None
    assert nearest_key(key, keys, most_edits=edits, most_share=share) == expected


def test_a_typo_hits_within_the_bound_and_misses_beyond() -> None:
    keys = ["blood pressure", "diet"]

    assert nearest_key("blod presure", keys, most_edits=6) == (0, 2)
    assert nearest_key("blod presure", keys, most_edits=1) is None
    # six edits make any short key of any other; a share does not
    assert nearest_key("tea", keys, most_edits=6) == (1, 3)
    assert nearest_key("tea", keys, most_edits=6, most_share=0.34) is None


@pytest.mark.parametrize(
    "call", [lambda: nearest_key("a", ["b"]), lambda: levenshtein("a", "b", -1)], ids=["no", "minus"]
)
def test_a_bound_must_be_given_and_be_one(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ParameterError):
        call()
