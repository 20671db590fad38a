"""Facts from what was said: by rule, and as a model gives them."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ops.scripted_asks import INJECTION, OFFLINE, START, Scripted, episode, is_only_data, talk

from mnemic.ops.extract import EXTRACT, Fact, dated, extract_facts, facts_in, is_statement, third_person


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("I moved to Porto.", "Ann moved to Porto."),
        ("I'm a nurse.", "Ann is a nurse."),
        ("I am tired and I've slept badly.", "Ann is tired and Ann has slept badly."),
        ("I have a dog.", "Ann has a dog."),
        ("I was there.", "Ann was there."),
        ("If I were you I would go.", "If Ann was Bo Ann would go."),
        ("I'll call my sister.", "Ann will call Ann's sister."),
        ("I'd love to go.", "Ann would love to go."),
        ("I'd never been there.", "Ann had never been there."),
        ("I do not eat meat, I don't drink.", "Ann does not eat meat, Ann doesn't drink."),
        ("I really love hiking.", "Ann really loves hiking."),
        ("I watch films and try cooking.", "Ann watches films and tries cooking."),
        ("I live in Rome and work at Bosch.", "Ann lives in Rome and works at Bosch."),
        ("I want to swim and play tennis.", "Ann wants to swim and play tennis."),
        ("My sister and I have a boat.", "Ann's sister and Ann have a boat."),
        ("It rained and I have a cold.", "It rained and Ann has a cold."),
        ("She gave me a book of mine.", "She gave Ann a book of Ann's."),
        ("We love our dog.", "Ann and others love their dog."),
        ("Our dog likes us.", "Ann's dog likes Ann and others."),
        ("I hope you like your job.", "Ann hopes Bo likes Bo's job."),
        ("You're a great friend.", "Bo is a great friend."),
        ("So do I.", "So does Ann."),
        ("i think i need a break", "Ann thinks Ann needs a break"),
        ("I read a book.", "Ann read a book."),
        ("I read every day.", "Ann reads every day."),
        ("I’ve moved.", "Ann has moved."),
    ],
)
def test_what_ann_says_of_herself_is_told_of_ann(said: str, told: str) -> None:
    assert third_person(said, "Ann", "Bo") == told


@pytest.mark.parametrize(
    "text",
    [
        "World War I began in 1914.",
        "He took the I-95.",
        'The sign said "I love my town".',
        "Me gusta la casa.",
        "Ich wohne in Berlin.",
        "东京に住む",
        "favourite colour: blue",
        "See https://i.am/me for it.",
    ],
)
def test_what_is_not_about_the_speaker_is_left_as_it_is(text: str) -> None:
    assert third_person(text, "Ann", "Bo") == text


def test_you_is_left_alone_where_nobody_is_known_to_be_meant() -> None:
    assert third_person("You're right, I trust you.", "Ann") == "You're right, Ann trusts you."


def test_a_role_gets_an_article_and_a_capital_at_the_start_of_a_sentence() -> None:
    assert third_person("I like tea. My dog likes me.", "user") == "The user likes tea. The user's dog likes the user."


@pytest.mark.parametrize(
    ("sentence", "states"),
    [
        ("I moved to Porto.", True),
        ("The support group has made me feel accepted.", True),
        ("favourite colour: blue", True),
        ("Rex is a dog.", True),
        ("I'm so proud of you for running the charity race in Boston!", True),
        ("How are you", False),
        ("What's new?", False),
        ("Thanks so much!", False),
        ("Good to see you!", False),
        ("That's awesome!", False),
        ("Take care, bye!", False),
        ("Yeah.", False),
        ("Wow, cool!", False),
        ("I totally agree!", False),
        ("...", False),
        ("", False),
    ],
)
def test_statements_are_told_from_questions_and_small_talk(sentence: str, states: bool) -> None:
    assert is_statement(sentence) is states


def test_a_relative_time_is_kept_with_its_date_and_an_absolute_one_as_it_is() -> None:
    assert dated("I ran yesterday.", START) == "I ran yesterday (2023-05-07)."
    assert dated("I ran last week, not in 2019.", START) == "I ran last week (2023-05-01 to 2023-05-07), not in 2019."
    assert dated("We met last month.", START) == "We met last month (2023-04)."
    assert dated("We met on 3 May 2021.", START) == "We met on 3 May 2021."


def test_offline_facts_are_the_statements_with_who_said_them_when_and_where_they_stand() -> None:
    said = talk("Ann: Hey Bo! I moved to Porto yesterday. How are you?", "Bo: Thanks! I miss you.")
    assert extract_facts(said, OFFLINE) == [
        Fact("Ann moved to Porto yesterday (2023-05-07).", ("e1",), "Ann", said[0].occurred_at, ("Ann", "Porto")),
        Fact("Bo misses Ann.", ("e2",), "Bo", said[1].occurred_at, ("Bo", "Ann")),
    ]


def test_you_is_the_other_of_two_also_when_only_one_of_them_is_in_sight() -> None:
    said = talk("Ann: I admire you for your courage.")
    assert extract_facts(said, OFFLINE)[0].text == "Ann admires you for your courage."
    assert extract_facts(said, OFFLINE, speakers=["Ann", "Bo"])[0].text == "Ann admires Bo for Bo's courage."
    assert extract_facts(said, OFFLINE, speakers=["Ann", "Bo", "Cy"])[0].text == "Ann admires you for your courage."


def test_a_subject_that_speech_leaves_out_is_the_speaker() -> None:
    said = talk("Ann: Just moved to Porto. Gonna study law. Went swimming with the kids.")
    assert [fact.text for fact in extract_facts(said, OFFLINE)] == [
        "Ann just moved to Porto.",
        "Ann is going to study law.",
        "Ann went swimming with the kids.",
    ]


def test_the_same_thing_said_twice_is_one_fact_with_both_episodes() -> None:
    said = talk("Ann: I like tea.", "Bo: I like tea.", "Ann: I like tea!")
    facts = extract_facts(said, OFFLINE)
    assert [(fact.text, fact.episode_ids) for fact in facts] == [
        ("Bo likes tea.", ("e2",)),
        ("Ann likes tea.", ("e1", "e3")),  # which was said last
    ]


def test_instructions_to_a_model_are_nobodys_facts_and_nothing_is_asked_of_nothing() -> None:
    ask = Scripted([{"facts": []}])
    assert extract_facts([episode("I am your system prompt.", role="system"), episode("   ")], ask) == []
    assert ask.prompts == []


def test_a_models_facts_carry_the_turns_they_name() -> None:
    said = talk("Ann: I moved to Porto.", "Bo: Nice.", "Ann: With my dog.")
    ask = Scripted([{"facts": [{"text": " Ann moved to\nPorto with her dog. ", "turns": [3, 1, 1]}]}])
    assert extract_facts(said, ask) == [
        Fact("Ann moved to Porto with her dog.", ("e1", "e3"), "Ann", said[2].occurred_at, ("Ann", "Porto"), "llm")
    ]
    assert ask.steps == ["extract"]


def test_what_means_nothing_in_a_models_answer_is_dropped() -> None:
    said = talk("Ann: I moved to Porto.", "Bo: Nice.")
    answer = [{"text": "", "turns": [1]}, {"text": "…", "turns": [1]}, {"text": "Invented.", "turns": [7, 0, -1]}, {}]
    ask = Scripted([{"facts": [*answer, {"text": "Ann moved.", "turns": [1, 99]}, {"text": "They spoke."}]}])
    assert [(fact.text, fact.episode_ids) for fact in extract_facts(said, ask)] == [
        ("Ann moved.", ("e1",)),
        ("They spoke.", ("e1", "e2")),
    ]


def test_an_answer_without_facts_is_no_reason_to_take_the_offline_path() -> None:
    assert extract_facts(talk("Ann: I moved to Porto."), Scripted([{}])) == []


def test_what_was_said_is_data_in_the_prompt_and_never_instruction() -> None:
    ask = Scripted([{"facts": []}])
    extract_facts(talk(f"Ann: {INJECTION}"), ask)
    assert is_only_data(ask.prompts[0])
    assert ask.prompts[0].messages()[0].content.startswith(EXTRACT.strip())
    assert ask.prompts[0].sources == ("e1",)


TEXTS = st.one_of(
    st.text(max_size=200),
    st.lists(
        st.sampled_from(
            [
                "I",
                "you",
                "we",
                "my",
                "me",
                "i'm",
                "I'd",
                "don't",
                "and",
                ".",
                "?",
                "!",
                ",",
                ":",
                "yesterday",
                "Ann",
                '"',
                "`",
                "'",
                "’",
                "love",
                "went",
                "\n",
                "mine",
                "五月",
                "ß",
                "'s",
            ]
        ),
        max_size=30,
    ).map(" ".join),
)


@given(
    TEXTS, st.sampled_from(["Ann", "user", "", "  ", "Żółć's", "\ud800"]), st.sampled_from([None, "Bo", "assistant"])
)
@settings(max_examples=150, deadline=None)
def test_no_text_is_too_strange(text: str, speaker: str, other: str | None) -> None:
    assert third_person(text, speaker, other) == third_person(text, speaker, other)
    for fact in facts_in(episode(text, actor=speaker), other):
        assert fact.text.strip()
        assert fact.episode_ids == ("e1",)


@given(TEXTS)
@settings(max_examples=60, deadline=None)
def test_times_near_the_ends_of_the_calendar_break_nothing(text: str) -> None:
    for moment in (
        START.replace(year=1, month=1, day=1),
        START.replace(year=9999, month=12, day=31),
        START - timedelta(days=9),
    ):
        dated(text + " yesterday, last year, next week", moment)
