"""Whether a statement itself says that a value changed: words of change, a value of the same kind before, the same topic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.ops.cause_effect import related
from mnemic.ops.statements import before_question
from mnemic.ops.told_change import tells_change, values_in
from mnemic.ops.update import relation


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("The rent of my flat in Rome is $900.", "The rent of my flat in Rome was raised to $950."),
        ("My thesis has 40 pages of text.", "My thesis has recently grown to 55 pages of text."),
        ("The dentist appointment is at 3 PM.", "The dentist appointment was rescheduled to 4:30 PM."),
        ("The choir sings on Tuesday in the church.", "The choir in the church moved to Thursday."),
        (
            "I met the May 3 deadline plan for my book review.",
            "I worry about the new May 9 deadline of my book review.",
        ),
        (
            "We have 8 hens in the yard behind the barn.",
            "In the yard behind the barn there are now a total of 12 hens.",
        ),
        (
            "Our library has 120 members and a reading room.",
            "The members of our library, with the reading room, reached 150.",
        ),
    ],
)
def test_a_value_behind_words_of_change_takes_the_place_of_an_earlier_one_of_its_kind(old, new):
    assert tells_change(old, new)
    assert not tells_change(new, old)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("I ran 5 km in the park with my dog.", "I ran 7 km in the park with my dog."),  # two events
        ("The dentist appointment is at 3 PM.", "The dentist appointment is fine now."),  # no value
        ("The dentist appointment is on May 3.", "The dentist appointment was moved to 4:30 PM."),  # of another kind
        ("The rent of my flat in Rome is $900.", "The price of pears at the market was raised to $3."),  # another topic
        ("Ann's rent of the flat in Rome is $900.", "Bob's rent of the flat in Rome was raised to $950."),  # another's
        ("My thesis has 55 pages of text.", "My thesis has grown to 55 pages of text."),  # the same value
        (
            "The team has 9 members of the club.",
            "The team has 9 members of the club, and moved to 2 rooms of the club.",
        ),
    ],
)
def test_what_is_no_change_of_that_value_is_none(old, new):
    assert not tells_change(old, new)


def test_a_text_that_says_more_than_one_thing_is_not_replaced_but_linked():
    old = "Ann moved to Porto and Ann pays a rent of $900 for the flat near the river."
    new = "Ann pays a rent for the flat near the river that was raised to $950."
    assert tells_change(old, new)
    assert relation(old, new) == "unrelated"
    assert related(old, new) == "Changed"


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_is_read(old, new):
    assert all(0 <= one.start < len(old) for one in values_in(old))
    assert tells_change(old, new) in (True, False)


@pytest.mark.parametrize(
    ("sentence", "stated"),
    [
        ("I've booked a table for May 20, how do I get there?", "I've booked a table for May 20"),
        ("I added 52 songs to my list, what are some key points?", "I added 52 songs to my list"),
        ("I'm starting a course in June, and can you help me with it?", "I'm starting a course in June"),
        ("What did you say, and when is it?", None),
        ("If it rains, can you come?", None),
        ("You have a dog, don't you?", None),
        ("I know what you did and when it is.", None),
        ("We went out, and so did they.", None),
    ],
)
def test_what_is_stated_before_a_question_is_kept_and_all_else_left_as_it_is(sentence, stated):
    assert before_question(sentence) == (sentence if stated is None else stated)
