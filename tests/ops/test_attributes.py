"""What a note is about."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ops.scripted_asks import INJECTION, OFFLINE, Scripted, episode, is_only_data, record

from mnemic.ops.attributes import GENERAL, Attributes, describe, describe_many, tags_of

NOTE = episode("Hey! I signed up for a pottery class yesterday. It was fun.", actor="Ann")
ANSWER = {
    "keywords": ["pottery", "class", "Pottery ", ""],
    "tags": ["Art", "hobby", "ART"],
    "context": "Ann\ntakes up pottery.",
}


def test_offline_a_note_has_its_keywords_broad_tags_and_its_central_statement() -> None:
    assert describe(NOTE, OFFLINE) == Attributes(
        ("pottery class", "signed"),
        ("education", "art"),
        "Ann signed up for a pottery class yesterday (2023-05-07).",
    )


def test_names_of_those_who_speak_are_no_keywords() -> None:
    said = episode("Thanks Caroline, I painted a lake.", actor="Mel")
    assert "Caroline" in describe(said, OFFLINE).keywords
    assert describe(said, OFFLINE, without=["Caroline"]).keywords == ("lake", "painted")


def test_a_record_is_described_as_it_is_written() -> None:
    found = describe(record("Ann has a cat named Tom."), OFFLINE)
    assert found.context == "Ann has a cat named Tom."
    assert found.tags == ("pets",)


def test_where_nothing_can_be_told_the_context_is_general() -> None:
    assert describe(episode("Hm?"), OFFLINE).context == GENERAL
    assert describe(episode(""), OFFLINE) == Attributes()


def test_a_models_answer_is_cleaned() -> None:
    assert describe(NOTE, Scripted([ANSWER])) == Attributes(
        ("pottery", "class"), ("art", "hobby"), "Ann takes up pottery.", "llm"
    )


def test_an_answer_that_says_nothing_takes_the_offline_path_and_a_partial_one_is_kept() -> None:
    assert describe(NOTE, Scripted([{"keywords": [" ", "…"]}])).path == "offline"
    assert describe(NOTE, Scripted([{"keywords": ["clay"]}])) == Attributes(("clay",), (), GENERAL, "llm")


def test_many_notes_are_described_side_by_side_each_by_its_own_path() -> None:
    notes = [NOTE, episode("I like tea.", 2), NOTE]
    ask = Scripted([ANSWER, None, {"context": "c"}])
    assert [one.path for one in describe_many(notes, ask)] == ["llm", "offline", "llm"]
    assert describe_many(notes, OFFLINE) == [describe(note, OFFLINE) for note in notes]
    assert describe_many([], OFFLINE) == []


def test_a_note_is_found_under_all_that_is_known_of_it() -> None:
    assert Attributes(("clay",), ("art", "hobby"), "Ann makes bowls.").indexed("I made a bowl.") == (
        "I made a bowl.\nclay\nart, hobby\nAnn makes bowls."
    )
    assert Attributes().indexed("I made a bowl.") == "I made a bowl."


def test_the_most_frequent_topic_comes_first() -> None:
    assert tags_of("The doctor at the hospital gave my dog medicine")[0] == "health"
    assert tags_of("zzz") == []


def test_what_was_said_is_data_in_the_prompt() -> None:
    ask = Scripted([ANSWER])
    describe(episode(INJECTION), ask)
    assert is_only_data(ask.prompts[0])
    assert ask.prompts[0].sources == ("e1",)


@given(st.text(max_size=200))
@settings(max_examples=100, deadline=None)
def test_no_text_is_too_strange(text: str) -> None:
    found = describe(episode(text, actor="Ann"), OFFLINE)
    assert found == describe(episode(text, actor="Ann"), OFFLINE)
    assert found.context
