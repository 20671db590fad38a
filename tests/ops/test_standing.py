"""Instructions and preferences that hold until they are taken back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.ops.standing import INSTRUCTION_TERMS, Standing, instruction, most_relevant, standing
from mnemic.text.terms import terms

INSTRUCTIONS = [
    "Always answer in French.",
    "Please always give distances in kilometres!",
    "Never suggest recipes with nuts.",
    "Don't ever schedule anything before nine.",
    "From now on, write dates day first.",
    "Going forward, keep your replies under a hundred words.",
    "Use euros from now on.",
    "When I ask about the weather, give temperatures in Celsius.",
    "Whenever I ask for a film, name the director as well.",
    "Give me the short version when I ask for news.",
    "Make sure you always cite a source.",
    "I want you to always double-check the arithmetic.",
    "You should never use emojis.",
    "Remember to always greet me by name.",
    "Call me Sam, please.",
    "Keep in mind that I work night shifts.",
    "Remember that my daughter is allergic to penicillin.",
    "Ok thanks. Also, in future answer with bullet points.",
]
PREFERENCES = [
    "I prefer trains to planes, so how do I get to Rome?",
    "I'd rather sit by the window.",
    "I'm vegetarian and want a quick dinner.",
    "I am severely allergic to peanuts.",
    "My favourite composer is Bach.",
    "I can't stand crowded beaches.",
    "I'm not a big fan of horror films.",
    "I really love hiking, so what should I pack?",
    "I don't eat pork.",
    "I have a strong aversion to spiders.",
    "I find videos tiring and prefer text.",
    "I usually work out before breakfast.",
]
NEITHER = [
    "I always forget my keys.",
    "They always make me laugh when I need a break.",
    "I have never been to Spain.",
    "Never mind, it works now.",
    "Should I always use a lock?",
    "Why do you never answer?",
    "Always good to hear from you!",
    "I'd like to know when the shop opens.",
    "I'm wondering if you can help me with something else.",
    "Every morning the train is late.",
    "I can always reinstall them later if I need to.",
    "See what I like?",
    "The meeting was moved to Friday.",
    "Write a poem about the sea.",
    "```\n# Always close the file\n```",
    "",
]


@pytest.mark.parametrize("text", INSTRUCTIONS)
def test_an_order_that_names_no_single_occasion_is_an_instruction(text: str) -> None:
    assert _kind(text) == "instruction"


@pytest.mark.parametrize("text", PREFERENCES)
def test_a_statement_of_the_speakers_own_taste_habit_or_limit_is_a_preference(text: str) -> None:
    assert _kind(text) == "preference"


@pytest.mark.parametrize("text", NEITHER)
def test_reports_questions_wishes_single_orders_and_code_are_neither(text: str) -> None:
    assert standing(text) is None


@pytest.mark.parametrize("text", [*INSTRUCTIONS, *PREFERENCES, *NEITHER])
def test_an_instruction_alone_is_looked_for_as_among_all_that_stands(text: str) -> None:
    for said in (text, f"Thanks.\n\n{text.replace(chr(39), chr(8217))} See you.", f"One. Two. Three. {text} Four."):
        laid_down = standing(said)
        is_order = laid_down is not None and laid_down.kind == "instruction"
        assert instruction(said) == (laid_down.strength if laid_down and is_order else 0.0)


def test_an_index_knows_where_most_instructions_stand() -> None:
    unknown = [text for text in INSTRUCTIONS if set(terms(text)).isdisjoint(INSTRUCTION_TERMS)]
    assert unknown == [
        "Don't ever schedule anything before nine.",
        "From now on, write dates day first.",
        "Use euros from now on.",
    ]


def test_only_a_user_lays_something_down() -> None:
    assert standing("Always back up your files.", role="assistant") is None


def test_the_condition_and_the_sentence_are_kept() -> None:
    assert standing("Thanks! Always use metric units when I ask about distances.") == Standing(
        "instruction", 1.0, "Always use metric units when I ask about distances.", "I ask about distances"
    )


def test_an_instruction_goes_before_a_preference() -> None:
    found = standing("I love pasta. Never suggest recipes with nuts.")
    assert found is not None
    assert (found.kind, found.text) == ("instruction", "Never suggest recipes with nuts.")


def test_a_rule_within_a_long_text_is_less_sure_than_one_that_stands_alone() -> None:
    alone, within = standing("Always cite a source."), standing("One. Two. Three. Four. Always cite a source.")
    assert alone is not None
    assert within is not None
    assert within.strength < alone.strength


@given(text=st.text(max_size=200))
def test_any_text_is_read_and_its_strength_is_a_share(text: str) -> None:
    found = standing(text)
    assert found is None or (0.0 < found.strength <= 1.0 and found.text)


@given(
    pairs=st.lists(st.tuples(st.floats(0, 1, width=32), st.floats(0, 1, width=32)), max_size=12),
    places=st.integers(0, 4),
)
def test_the_most_relevant_are_standing_few_and_best_first(pairs: list[tuple[float, float]], places: int) -> None:
    relevance = np.array([pair[0] for pair in pairs], np.float32)
    strength = np.array([pair[1] for pair in pairs], np.float32)
    chosen = most_relevant(relevance, strength, places)
    worth = (relevance * strength)[chosen]
    assert len(chosen) == min(places, int((strength > 0).sum()))
    assert (strength[chosen] > 0).all()
    assert (np.diff(worth) <= 0).all()
    left = np.setdiff1d(np.flatnonzero(strength > 0), chosen)
    assert not len(chosen) or not len(left) or (relevance * strength)[left].max() <= worth.min()


def _kind(text: str) -> str | None:
    found = standing(text)
    return None if found is None else found.kind
