"""What a cue asks for, told by its grammar."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.ops.asking import looks_back, subject, whose


@pytest.mark.parametrize(
    "text",
    [
        "What did you recommend for my back?",
        "Which three hotels have you suggested?",
        "Remind me of the recipe you gave me.",
        "What was your advice on the contract?",
    ],
)
def test_what_you_said_is_asked_of_the_assistant(text: str) -> None:
    assert whose(text) == "assistant"
    assert looks_back(text)


@pytest.mark.parametrize(
    "text",
    ["When is my flight?", "Could you suggest a hotel?", "What would you do?", "How are you?", "Where did I park?", ""],
)
def test_everything_else_is_asked_of_the_user(text: str) -> None:
    assert whose(text) == "user"


@pytest.mark.parametrize(
    "text",
    [
        "When did I say the sprint ends?",
        "How many books have I read this year?",
        "What was I planning for June?",
        "Which city I moved to first?",
        "Summarise what happened with the house.",
        "How has my diet changed over time?",
        "What came up in our last session?",
    ],
)
def test_a_question_about_what_was_looks_back(text: str) -> None:
    assert looks_back(text)


@pytest.mark.parametrize(
    "text",
    [
        "How should I list my sources?",
        "When is the paper due?",
        "Which tools help with writing?",
        "How do I add a login?",
    ],
)
def test_a_question_for_help_or_a_fact_does_not(text: str) -> None:
    assert not looks_back(text)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Can you list the order in which I brought up my trips, in order? Mention only three items.", "my trips"),
        ("Could you give me a short summary of my work with Anna over time?", "my work with Anna"),
        ("How many pets did I mention across our conversations?", "How many pets did I mention"),
        ("In what order did I mention different aspects of my thesis throughout our chats?", "my thesis"),
    ],
)
def test_the_words_about_asking_are_left_out(text: str, left: str) -> None:
    assert subject(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "What did I order for lunch?",
        "Which items did I return in order to get a refund?",
        "Summary?",
        "Where is  it?",
        "",
    ],
)
def test_a_text_without_them_or_of_nothing_else_stays_whole(text: str) -> None:
    assert subject(text) == text


@given(text=st.text(max_size=200))
def test_any_text_has_a_subject_that_is_no_longer_and_not_empty(text: str) -> None:
    assert len(subject(text)) <= len(text)
    assert bool(subject(text)) == bool(text)
    assert whose(text) == "user" or looks_back(text)


@pytest.mark.parametrize("text", ["a ", "only items ", "only ", "comprehensive ", "order in which I ", ". ", " "])
def test_a_very_long_text_is_read_in_steps_that_grow_with_its_length(text: str) -> None:
    started = time.perf_counter()
    subject((text * 100_000)[:100_000])
    assert time.perf_counter() - started < 10  # minutes, when the time taken grew with the square of the length


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("What did I plant in the garden? Mention ONLY and ONLY ten items.", "What did I plant in the garden"),
        ("What did I plant in the garden? Only ten items, please.", None),
        ("Did I order only six items?", None),
    ],
)
def test_a_last_sentence_on_the_length_of_the_answer_is_left_out(text: str, left: str | None) -> None:
    assert subject(text) == (left or text)
