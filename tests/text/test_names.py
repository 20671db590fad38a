import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.text.names import find_names, name_keys


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("what did she do", []),
        ("I flew to New York City with Dr. Anna O'Neil", ["New York City", "Dr. Anna O'Neil"]),
        ("Hey Mel! Good to see you! I went to a LGBTQ support group.", ["Mel", "LGBTQ"]),
        (
            "We saw paintings by Vincent van Gogh and music of Ludwig von Beethoven.",
            ["Vincent van Gogh", "Ludwig von Beethoven"],
        ),
        ("Running is fun. Today was great. However, I rest.", []),
        ('I read "Becoming Nicole" by Amy Ellis Nutt', ["Becoming Nicole", "Amy Ellis Nutt"]),
        ('He said "Stop it." Then he left.', []),
        ("Ask @anna_k at NASA in March or on Friday", ["@anna_k", "NASA"]),
        ("Mr. Smith's dog met Caroline’s cat", ["Mr. Smith", "Caroline"]),
        ("I know Tom and Jerry", ["Tom", "Jerry"]),
        ("The University of California and The Lord of the Rings", ["University of California", "Lord of the Rings"]),
        ("She is from Côte d'Ivoire, he is Jean-Luc Picard", ["Côte d'Ivoire", "Jean-Luc Picard"]),
        ("my iPhone 15 and J. K. Rowling", ["iPhone 15", "J. K. Rowling"]),
        ("а Анна Каренина живёт тут", ["Анна Каренина"]),
        ("THIS IS ALL SHOUTED AND NAMES NOBODY", []),
        ("Do you know Jon? Yes.", ["Jon"]),
    ],
)
def test_these_names_are_found(text: str, expected: list[str]) -> None:
    assert [name.text for name in find_names(text)] == expected


def test_a_sentence_initial_word_is_certain_only_when_something_else_speaks_for_it() -> None:
    alone = find_names("Caroline left.")
    again = find_names("Caroline left. I miss Caroline.")
    known = find_names("Caroline left.", known=["Caroline"])
    assert [name.is_certain for name in alone] == [False]
    assert [name.is_certain for name in again] == [True, True]
    assert [name.is_certain for name in known] == [True]


def test_known_names_are_found_in_any_case_and_script() -> None:
    found = find_names("what does melanie like in 東京, and melanies?", known=["Melanie", "東京"])
    assert [(name.text, name.start, name.end) for name in found] == [("melanie", 10, 17), ("東京", 26, 28)]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Melanie"], {"melanie"}),
        (["Dr. Anna O’Neil"], {"anna o'neil", "anna", "o'neil"}),
        (["Lord of the Rings"], {"lord of the rings"}),
        (["@Anna_K", "NASA"], {"anna_k", "nasa"}),
        ([], set()),
    ],
)
def test_names_have_these_keys(names: list[str], expected: set[str]) -> None:
    assert name_keys(names) == expected


@given(
    st.text()
    | st.lists(st.sampled_from(["Anna", "van", "O'Neil", "The", ". ", " ", "'s", "NASA", '"', "@x", "7", "é"])).map(
        "".join
    )
)
def test_names_stand_where_they_say_in_order_without_overlaps(text: str) -> None:
    end = 0
    for name in find_names(text, known=["anna"]):
        assert name.start >= end
        assert text[name.start : name.end] == name.text != ""
        end = name.end
