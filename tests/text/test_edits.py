"""Edits by lines: each lands exactly where it was meant, or is refused with the lines that say why."""

import difflib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mnemic.errors import ParameterError
from mnemic.text.edits import apply_patch, insert_at, lines_of, numbered, refuse_line_numbers, replace_once

LINES = st.lists(st.sampled_from(["tea", "milk", "", "rice ", "- tea", "+x", "@at", "\\", "\tx\r"]), max_size=12)
PLAIN = st.lists(st.sampled_from(["tea", "milk", "rice", "salt", ""]), max_size=12)


def test_a_replacement_says_which_lines_it_made():
    found = replace_once("a\nb\nc\n", "b", "x\ny", name="old_str", place="/memories/f")
    assert (found.text, found.first_line, found.last_line) == ("a\nx\ny\nc\n", 2, 3)


def test_a_replacement_that_fits_in_several_places_names_their_lines():
    with pytest.raises(ParameterError, match=r"`tea` in lines: 1, 3\."):
        replace_once("tea\nmilk\ntea", "tea", "x", name="old_str", place="/memories/f")


def test_overlapping_places_count_as_several():
    with pytest.raises(ParameterError, match="in lines: 1, 1"):
        replace_once("aaa", "aa", "b", name="old_str", place="f")


@pytest.mark.parametrize(("old", "says"), [("", "old_str is empty"), ("x" * 500, "did not appear verbatim in f")])
def test_a_replacement_without_a_place_is_refused_in_few_words(old, says):
    with pytest.raises(ParameterError, match=says) as refused:
        replace_once("tea", old, "b", name="old_str", place="f")
    assert len(str(refused.value)) < 400


def test_a_thousand_matches_are_not_all_listed():
    with pytest.raises(ParameterError, match="and 960 more"):
        replace_once("e\n" * 1000, "e", "b", name="old_str", place="f")


@given(PLAIN, st.integers(0, 12), st.sampled_from(["new", "new\n", "a\nb", "a\n\n", ""]))
def test_lines_are_inserted_behind_the_line_that_was_named(lines, line, inserted):
    assume(line <= len(lines))
    text = "".join(f"{one}\n" for one in lines)
    after = insert_at(text, line, inserted, name="insert_line")
    wanted = lines[:line] + inserted.removesuffix("\n").split("\n") + lines[line:]
    assert after == "".join(f"{one}\n" for one in wanted)


@pytest.mark.parametrize("line", [-1, 3, True, "1", 1.0])
def test_a_line_out_of_range_names_the_range(line):
    with pytest.raises(ParameterError, match=r"\[0, 2\]"):
        insert_at("a\nb\n", line, "x", name="insert_line")


def test_numbers_are_six_wide_with_a_tab_behind_them():
    assert numbered("a\nb", 1) == "     1\ta\n     2\tb"


@given(PLAIN, PLAIN, st.booleans(), st.booleans(), st.integers(1, 3))
def test_a_unified_diff_of_two_texts_makes_one_the_other(before, after, ends_before, ends_after, context):
    old = "\n".join(before) + ("\n" if before and ends_before else "")
    new = "\n".join(after) + ("\n" if after and ends_after else "")
    # compared by the lines that apply_patch sees, so that the end of the last line counts
    pieces = [text.split("\n") if text else [] for text in (old, new)]
    diff = list(difflib.unified_diff(*pieces, "a", "b", lineterm="", n=context))
    assume(diff)
    assert apply_patch(old, "\n".join(diff) + "\n") == new


@given(LINES, LINES)
def test_lines_of_any_look_survive_a_patch(before, after):
    pieces = [[*lines, "end"] for lines in (before, after)]
    diff = list(difflib.unified_diff(*pieces, "a", "b", lineterm=""))
    assume(diff)
    assert apply_patch("\n".join(pieces[0]), "\n".join(diff)) == "\n".join(pieces[1])


def test_a_patch_without_heads_and_counts_is_placed_by_its_lines():
    assert apply_patch("tea\nmilk\nrice", " tea\n-milk\n+oat milk") == "tea\noat milk\nrice"
    assert apply_patch("tea\nmilk", "@@\n-milk\n+salt") == "tea\nsalt"
    assert apply_patch("tea\nmilk", "@@ -7,9 +7,9 @@ about\n-milk\n+salt") == "tea\nsalt"
    assert apply_patch("", "+first") == "first"


@pytest.mark.parametrize(
    ("patch", "says"),
    [
        ("-salt\n+x", "does not fit"),
        ("-tea\n+x", "several lines: 1, 3"),
        ("+x", "nothing that says where"),
        (" tea\n milk", "changes nothing"),
        ("", "changes nothing"),
        ("*** Begin Patch", "begins with none of"),
        ("-tea\n-milk\n+x\n@@\n-tea\n+y\n@@\n-tea\n+z", "Hunk 3 of the patch does not fit"),
    ],
)
def test_a_patch_that_cannot_be_placed_is_refused(patch, says):
    with pytest.raises(ParameterError, match=says):
        apply_patch("tea\nmilk\ntea", patch)


def test_a_line_that_a_hunk_names_decides_between_equal_places():
    assert apply_patch("tea\nmilk\ntea", "@@ -3 +3 @@\n-tea\n+x") == "tea\nmilk\nx"


@pytest.mark.parametrize("text", ["Line 3: tea", "a\nLine 3: tea", "     1\ttea", "3→tea", "a\n 12→ tea"])
def test_a_copied_line_number_is_refused(text):
    with pytest.raises(ParameterError, match="`old_string` holds a line number"):
        refuse_line_numbers(old_string=text)


@pytest.mark.parametrize("text", ["1\ttea", "Lines 3: tea", "at 3→4", "2024: moved", "1. tea", ""])
def test_other_numbers_are_welcome(text):
    refuse_line_numbers(old_string=text)


@given(st.text(alphabet="a\n", max_size=9))
def test_lines_are_those_of_an_editor(text):
    assert "\n".join(lines_of(text)) == text.removesuffix("\n")
