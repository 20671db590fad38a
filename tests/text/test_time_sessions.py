"""Sessions that a text names by their place, and what only looks like one."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.text.time_sessions import Range, find_sessions

NAMED: list[tuple[str, str, tuple[Range, ...]]] = [
    ("What did we say in our third session?", "third session", ((3, 3),)),
    ("our 21st chat", "21st chat", ((21, 21),)),
    ("our twenty first discussion", "twenty first discussion", ((21, 21),)),
    ("our thirty-second conversation", "thirty-second conversation", ((32, 32),)),
    ("in session 4", "session 4", ((4, 4),)),
    ("session #4", "session #4", ((4, 4),)),
    ("conversation number seven", "conversation number seven", ((7, 7),)),
    ("over sessions 4 through 6", "sessions 4 through 6", ((4, 6),)),
    ("session 4 to 6", "session 4 to 6", ((4, 6),)),
    ("from session 4 to session 6", "session 4 to session 6", ((4, 6),)),
    ("between sessions 3 and 5", "between sessions 3 and 5", ((3, 5),)),
    ("sessions 3, 5 and 7 to 9", "sessions 3, 5 and 7 to 9", ((3, 3), (5, 5), (7, 9))),
    ("from the first through third sessions", "first through third sessions", ((1, 3),)),
    ("the first and third chats", "the first and third chats", ((1, 1), (3, 3))),
    ("our first two sessions", "first two sessions", ((1, 2),)),
    ("the last three conversations", "last three conversations", ((-3, -1),)),
    ("the last couple of chats", "last couple of chats", ((-2, -1),)),
    ("two sessions ago", "two sessions ago", ((-2, -2),)),
    ("20 discussions ago", "20 discussions ago", ((-20, -20),)),
    ("a few sessions ago", "a few sessions ago", ((-5, -2),)),
    ("our last conversation", "last conversation", ((-1, -1),)),
    ("our last talk", "last talk", ((-1, -1),)),
    ("the most recent session", "most recent session", ((-1, -1),)),
    ("the session before last", "session before last", ((-2, -2),)),
    ("our second to last chat", "second to last chat", ((-2, -2),)),
    ("the last session but one", "last session but one", ((-2, -2),)),
    ("Tell me what we discussed last time.", "last time", ((-1, -1),)),
    ("when we last spoke", "last spoke", ((-1, -1),)),
    ("the first time we talked", "first time we talked", ((1, 1),)),
    ("not the last session, but the one before that", "the one before that", ((-2, -2),)),
    ("since session 4", "session 4", ((4, -1),)),
    ("before our last session", "last session", ((1, -2),)),
    ("after the third session", "third session", ((4, -1),)),
]


@pytest.mark.parametrize(("text", "words", "ranges"), NAMED)
def test_sessions_are_named_by_their_place(text: str, words: str, ranges: tuple[Range, ...]) -> None:
    assert [(one.text, one.ranges) for one in find_sessions(text)] == [(words, ranges)]


@pytest.mark.parametrize(
    "text",
    [
        "my first session with the trainer",
        "her last conversation with Bob",
        "therapy session 3",
        "the third training session",
        "our last chat about money",
        "our discussion 3 days ago",
        "the last meeting",
        "the second call I got",
        "we had a discussion earlier",
        "the last time I went riding",
        "every first session of the gym",
        "session 3 pm",
        "the first of May",
        "I chat, you call",
    ],
)
def test_other_meetings_topics_and_times_are_no_place_of_a_session(text: str) -> None:
    assert find_sessions(text) == []


def test_a_step_keeps_what_it_is_joined_to_and_replaces_what_it_corrects() -> None:
    joined = find_sessions("the last session and the one before that")
    assert [one.ranges for one in joined] == [((-1, -1),), ((-2, -2),)]
    followed = find_sessions("What was said in the third session?\nAnd the next one?")
    assert followed[-1].ranges == ((4, 4),)


@given(st.text(max_size=80))
def test_any_text_gives_phrases_that_stand_where_they_say(text: str) -> None:
    found = find_sessions(text)
    assert all(text[one.span[0] : one.span[1]] == one.text and one.ranges for one in found)
    assert all(one.span[1] <= other.span[0] for one, other in pairwise(found))


@given(st.integers(1, 99))
def test_words_and_figures_name_the_same_session(number: int) -> None:
    figure = find_sessions(f"{number} sessions ago")[0].ranges
    assert figure == ((-number, -number),)
    assert find_sessions(f"session {number}")[0].ranges == ((number, number),)
