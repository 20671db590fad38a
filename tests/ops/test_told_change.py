"""Whether a statement itself says that a value changed: words of change, a value of the same kind before, the same topic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.ops.cause_effect import related
from mnemic.ops.statements import before_question
from mnemic.ops.told_apart import are_told_apart
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


# -- two things of one kind: what is said of one changes nothing of the other ---------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # two meetings
        (
            "The meeting with Ann about the budget is on Monday.",
            "The meeting with Bob about the budget was moved to Friday.",
        ),
        ("The team meeting is at 3 PM in the big room.", "The board meeting in the big room was moved to 4 PM."),
        ("The design review meeting is on May 3.", "The budget review meeting was moved to May 5."),
        (
            "I have a meeting with the marketing team on Tuesday at 10 AM.",
            "I have a meeting with the sales team, now on Wednesday at 10 AM.",
        ),
        # two people
        (
            "My brother's weight went down to 80 kg in the clinic.",
            "My sister's weight went down to 70 kg in the clinic.",
        ),
        ("The salary of Ann at the firm is $900.", "The salary of Bob at the firm was raised to $950."),
        ("My son is 5 years old and goes to school.", "My daughter is now 7 years old and goes to school."),
        ("My rent of the flat is $900.", "My sister's rent of the flat was raised to $950."),
        ("My sister's rent of the flat is $900.", "My rent of the flat was raised to $950."),
        (
            "I told Ann that her rent for the flat is $900.",
            "I told Bob that his rent for the flat was raised to $950.",
        ),
        # two modules
        (
            "The auth module of our app has 78% test coverage.",
            "The payment module of our app has now 85% test coverage.",
        ),
        (
            "I improved the API response time of the login endpoint to 300 ms.",
            "I improved the API response time of the search endpoint to 250 ms.",
        ),
        # two pets
        ("My dog Rex eats 2 cups of food a day.", "My dog Max now eats 3 cups of food a day."),
        ("My dog weighs 12 kg according to the vet.", "My cat according to the vet now weighs 5 kg."),
        # two journeys, two objects, two parts of one thing
        ("The train to Porto leaves at 9 AM.", "The bus to Porto now leaves at 10 AM."),
        ("The museum opens at 9 AM on Sunday.", "The museum now closes at 6 PM on Sunday."),
        ("My shift at the cafe starts at 9 AM.", "My shift at the cafe now ends at 5 PM."),
        ("The price of the red bike is $300.", "The price of the blue bike was cut to $250."),
        ("The first milestone deadline is May 3.", "The second milestone deadline was moved to May 9."),
        ("Chapter 1 of my thesis has 40 pages.", "Chapter 2 of my thesis has grown to 55 pages."),
    ],
)
def test_of_two_things_of_one_kind_one_does_not_change_the_other(old, new):
    assert not tells_change(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # deeds at their times, with words that otherwise tell of changes
        ("I went to the gym at 6 PM with Tom.", "I went to the gym until 8 PM with Tom."),
        ("I went to the dentist at 3 PM on May 3.", "I went to the dentist at 4 PM on May 9."),
        ("We went to 3 concerts in the hall downtown.", "We went to 5 concerts in the hall downtown."),
        ("I changed the oil of my car at 50,000 km.", "I changed the tires of my car at 60,000 km."),
        ("I go to yoga class at 6 PM on Monday.", "I go to yoga class at 7 PM on Friday."),
        ("I bought a new phone for $900 at the mall.", "I bought a new laptop for $1200 at the mall."),
        ("The rent of the flat in Rome is $900.", "The new rent of the flat in Porto is $1200."),
        ("I bought 3 new books at the store.", "I bought a new set of 5 books at the store."),
        # of other kinds, though a word of them is the same
        ("The course takes 5 days in the town hall.", "The course in the town hall was moved to Monday."),
        ("I walk 3 km each morning with my dog.", "I now drink 5 cups each morning with my dog."),
        ("The release date of the app is May 3.", "The release date team of the app reached 15."),
        # an aim, and what was reached of it
        ("My goal is to read 20 books this year.", "I have now read 7 books this year."),
        ("I want to save $5000 for my trip to Japan.", "I have now saved $1200 for my trip to Japan."),
        # what has not come about
        ("The rent of my flat is $900.", "The rent of my flat was not raised to $950."),
        (
            "The meeting with Ann about the budget is on Monday.",
            "I want to move the meeting with Ann about the budget to Friday.",
        ),
        (
            "The meeting with Ann about the budget is on Monday.",
            "If the meeting with Ann about the budget were moved to Friday, I could come.",
        ),
        # a change of something that stood elsewhere
        ("The user's quiz score improved from 65% to 82%.", "The user's quiz score improved from 60% to 85%."),
    ],
)
def test_a_deed_a_wish_and_a_number_of_another_kind_change_nothing(old, new):
    assert not tells_change(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "The meeting with Ann about the budget is on Monday.",
            "The meeting with Ann about the budget was moved to Friday.",
        ),
        ("My dog Rex eats 2 cups of food a day.", "My dog Rex now eats 3 cups of food a day."),
        ("The rent of my flat is $900.", "The rent of my flat rose from $900 to $950."),
        (
            "My commute to the office takes 40 minutes by bus.",
            "My commute to the office went down to 30 minutes by bus.",
        ),
        ("The flight to Lima leaves on May 3.", "The flight to Lima was postponed until May 5."),
        ("The deadline for the grant proposal is June 1.", "The new deadline for the grant proposal is June 15."),
        ("My weekly savings goal is $50 for the trip.", "I raised my weekly savings goal for the trip to $80."),
        ("The essay's deadline is April 20.", "I worry that I won't meet the new April 25 deadline of the essay."),
    ],
)
def test_of_one_and_the_same_thing_it_does(old, new):
    assert tells_change(old, new)


@given(st.text(max_size=200), st.text(max_size=200))
def test_two_statements_are_told_apart_whichever_comes_first_and_none_from_itself(one, other):
    assert are_told_apart(one, other) == are_told_apart(other, one)
    assert not are_told_apart(one, one)


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
