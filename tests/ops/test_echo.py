"""Marks, and knowing again what was recalled."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.model import Episode
from mnemic.ops.echo import Echo, Marks, RecalledTexts, echo_by_lineage
from mnemic.text.terms import terms

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
seqs = st.integers(0, 2**60)


def episode(seq: int, text: str) -> Episode:
    return Episode(text=text, id=f"e{seq}", scope="", occurred_at=NOW, recorded_at=NOW, seq=seq)


def echo_of(recalled: RecalledTexts, text: str, role: str = "assistant", now: datetime = NOW) -> Echo | None:
    return recalled.echo_of(text, frozenset(terms(text)), role, now)


# -- marks ----------------------------------------------------------------------------------------------------


@given(numbers=st.lists(seqs, max_size=5), around=st.text(st.characters(codec="utf-8", exclude_characters="[")))
def test_marks_are_read_back_in_their_order_from_any_text(numbers: list[int], around: str) -> None:
    marks = Marks("a store")
    assert marks.found_in(around.join(["", *map(marks.of, numbers), ""])) == numbers


@given(number=seqs)
def test_a_mark_is_not_accepted_once_its_position_is_changed(number: int) -> None:
    marks = Marks("a store")
    code, check = marks.of(number)[3:-1].split("-")
    forged = [one for one in range(number + 1, number + 40) if marks.of(one)[3:-1].split("-")[1] != check]
    codes = [marks.of(one)[3:-1].split("-")[0] for one in forged]
    assert [found for code in codes for found in marks.found_in(f"[m:{code}-{check}]")] == []
    assert marks.found_in(f"[m:{code}-{check}]") == [number]


def test_the_marks_of_two_stores_differ() -> None:
    one, other = Marks("one"), Marks("other")
    accepted = [seq for seq in range(2000) if other.found_in(one.of(seq))]
    assert len(accepted) < 5  # 15 bits of check: one in 32,768 by chance


@given(text=st.text(st.sampled_from("[m:01-zuolabc]-"), max_size=60))
def test_whatever_looks_like_a_mark_is_read_without_an_error_and_stripped(text: str) -> None:
    marks = Marks("a store")
    marks.found_in(text)
    assert "[m:1-abc]" not in Marks.stripped(text.replace("[m:1-abc]", "[m:1-abc]")).replace("[m:[m:1-abc]", "")


# -- by lineage -----------------------------------------------------------------------------------------------

FACT = episode(1, "Anna keeps the spare key under the blue pot")


@pytest.mark.parametrize(
    "text", [FACT.text, "The spare key is under the blue pot.", "[m:1-abc]", "", "Anna, spare key, blue pot, right?"]
)
def test_a_text_made_of_the_words_it_cites_is_an_echo(text: str) -> None:
    assert echo_by_lineage(text, [FACT]) == Echo(("e1",), "lineage")


@pytest.mark.parametrize("text", ["Clara changed the locks yesterday and has new cards", "東京に住んでいます"])
def test_a_text_of_other_words_is_none(text: str) -> None:
    assert echo_by_lineage(text, [FACT]) is None


def test_a_text_that_cites_nothing_is_none() -> None:
    assert echo_by_lineage(FACT.text, []) is None


# -- by content -----------------------------------------------------------------------------------------------


@pytest.fixture
def recalled() -> RecalledTexts:
    texts = RecalledTexts(DAY, capacity=3)
    texts.note([FACT, episode(2, "Bob has a red bicycle in the cellar")], NOW)
    return texts


@pytest.mark.parametrize(
    ("text", "role", "expected"),
    [
        ("anna keeps the spare key under the blue pot!", "user", Echo(("e1",), "content")),
        ("Anna keeps her spare key under her blue pot", "assistant", Echo(("e1",), "content")),
        ("Anna keeps a spare key under that blue pot", "user", None),
        ("Anna keeps the spare key in the office now, by the door", "assistant", None),
        ("the pot", "assistant", None),
        ("", "assistant", None),
    ],
)
def test_the_assistant_may_say_it_nearly_and_the_user_only_word_for_word(
    recalled: RecalledTexts, text: str, role: str, expected: Echo | None
) -> None:
    assert echo_of(recalled, text, role) == expected


def test_recalled_texts_are_known_until_the_window_has_passed(recalled: RecalledTexts) -> None:
    assert echo_of(recalled, FACT.text, now=NOW + DAY) is not None
    assert echo_of(recalled, FACT.text, now=NOW + DAY + timedelta(microseconds=1)) is None


def test_recalled_again_the_window_begins_anew(recalled: RecalledTexts) -> None:
    recalled.note([FACT], NOW + DAY)
    assert echo_of(recalled, FACT.text, now=NOW + 2 * DAY) == Echo(("e1",), "content")


def test_beyond_its_capacity_the_least_lately_recalled_are_let_go(recalled: RecalledTexts) -> None:
    recalled.note([FACT, episode(3, "We painted the fence in June"), episode(4, "The river was very high")], NOW)
    assert echo_of(recalled, "Bob has a red bicycle in the cellar") is None
    assert echo_of(recalled, FACT.text) == Echo(("e1",), "content")


@given(gone=st.sets(st.integers(0, 3)))
def test_what_is_dropped_is_not_known_and_the_rest_is(gone: set[int]) -> None:
    texts = RecalledTexts(DAY)
    said = [f"the {word} stands beside seven quiet neighbours" for word in ["lamp", "chair", "table", "clock"]]
    texts.note([episode(seq, text) for seq, text in enumerate(said)], NOW)
    echo_of(texts, said[0])
    texts.drop(gone)
    for seq, text in enumerate(said):
        found = echo_of(texts, text, "user")
        assert found == (None if seq in gone else Echo((f"e{seq}",), "content"))
