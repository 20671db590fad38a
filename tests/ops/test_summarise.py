"""Summaries, keywords and labels."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ops.scripted_asks import INJECTION, OFFLINE, Scripted, episode, is_only_data, record, talk

from mnemic.errors import ParameterError
from mnemic.ops.extract import facts_in
from mnemic.ops.summarise import Piece, Summary, central, keywords, merge, summarise, topic_label

TALK = talk(
    "Ann: Hey Bo! I joined a pottery class last week.",
    "Bo: Cool! What did you make in the pottery class?",
    "Ann: I made a clay bowl in the pottery class, and a vase.",
    "Bo: My car broke down.",
    "Ann: The pottery class meets every Friday in an old barn.",
)


def test_all_that_fits_is_told_in_order_in_the_third_person() -> None:
    assert summarise(TALK, OFFLINE).text == (
        "Ann joined a pottery class last week (2023-05-01 to 2023-05-07). "
        "Ann made a clay bowl in the pottery class, and a vase. "
        "Bo's car broke down. "
        "The pottery class meets every Friday in an old barn."
    )


def test_of_more_the_central_sentences_are_told_and_not_what_stands_alone() -> None:
    short = summarise(TALK, OFFLINE, max_words=22)
    assert "pottery class" in short.text
    assert "car" not in short.text
    assert len(short.text.split()) <= 22


def test_what_was_said_again_is_told_once() -> None:
    said = [
        Piece(text)
        for text in ("Ann has a red boat.", "Ann has a red boat!", "Bo sails on lakes.", "Ann has a red boat.")
    ]
    assert summarise(said, OFFLINE, max_words=10).text.count("red boat") == 1


def test_a_summarys_sources_are_those_of_everything_it_was_made_from() -> None:
    short = summarise(TALK, OFFLINE, max_words=8)
    assert short.sources == ("e1", "e2", "e3", "e4", "e5")
    assert short.path == "offline"


def test_a_rolling_summary_goes_on_from_the_last_one() -> None:
    first = summarise(TALK[:1], OFFLINE)
    second = summarise(TALK[2:3], OFFLINE, previous=first)
    assert second.text == first.text + " Ann made a clay bowl in the pottery class, and a vase."
    assert second.sources == ("e1", "e3")
    assert summarise([], OFFLINE, previous=first) == first


def test_summaries_are_merged_with_the_sources_of_all() -> None:
    parts = [Summary("Ann moved to Porto.", ("e1",)), Summary("Bo has a dog.", ("e2", "e3"))]
    assert merge(parts, OFFLINE) == Summary("Ann moved to Porto. Bo has a dog.", ("e1", "e2", "e3"))


def test_records_facts_and_pieces_are_summarised_alike() -> None:
    fact = facts_in(TALK[0])[0]
    short = summarise([record("Ann has a dog.", 8), fact, Piece("Bo left.", ("e9",))], OFFLINE)
    assert short.text.startswith("Ann has a dog. Ann joined")
    assert short.sources == ("e8", "e1", "e9")


def test_a_model_is_shown_the_previous_summary_the_pieces_and_the_words_it_has() -> None:
    ask = Scripted([{"summary": " Ann does\npottery. "}])
    previous = Summary("Ann likes art.", ("e0",), "llm")
    assert summarise(TALK[:2], ask, max_words=30, previous=previous) == Summary(
        "Ann does pottery.", ("e0", "e1", "e2"), "llm"
    )
    data = ask.prompts[0].data
    assert list(data) == ["previous", "pieces", "max_words"]
    assert data["pieces"].value[0] == {
        "time": TALK[0].occurred_at.isoformat(),
        "speaker": "Ann",
        "text": TALK[0].text,
    }
    assert ask.prompts[0].sources == ("e0", "e1", "e2")


def test_a_models_summary_is_cut_between_sentences_where_it_is_too_long() -> None:
    ask = Scripted([{"summary": "One two three. Four five six. Seven."}, {"summary": "a b c d e f"}])
    assert summarise(TALK, ask, max_words=6).text == "One two three. Four five six."
    assert summarise(TALK, ask, max_words=4).text == "a b c d"


def test_an_empty_answer_takes_the_offline_path() -> None:
    assert summarise(TALK[:1], Scripted([{"summary": "  "}])).path == "offline"


def test_nothing_is_summarised_as_nothing_without_asking() -> None:
    ask = Scripted([{"summary": "x"}])
    assert summarise([], ask) == summarise([episode("  "), episode("Obey.", role="system")], ask) == Summary("")
    assert ask.prompts == []


def test_a_summary_of_no_words_is_refused() -> None:
    with pytest.raises(ParameterError):
        summarise(TALK, OFFLINE, max_words=0)


def test_small_talk_alone_is_still_summarised() -> None:
    assert summarise(talk("Ann: Hi!", "Bo: Hello!"), OFFLINE).text == "Hi! Hello!"


def test_what_shares_its_words_is_central() -> None:
    rank = central(["the boat on the lake", "a boat on a lake at noon", "the lake has a boat", "my tax form"])
    assert rank.sum() == pytest.approx(1.0)
    assert rank.argmin() == 3


def test_long_logs_are_summarised_too() -> None:
    said = [episode(f"I visited museum number {at} in city {at % 7}.", at) for at in range(1, 900)]
    assert 0 < len(summarise(said, OFFLINE, max_words=50).text.split()) <= 50


def test_keywords_are_what_is_spoken_of_and_not_who_speaks_or_when() -> None:
    found = keywords([one.text for one in TALK], 3, ["Ann", "Bo"])
    assert found[0] == "pottery class"
    assert not {"ann", "bo", "friday", "last week"} & {word.lower() for word in found}


def test_names_are_kept_as_they_are_written() -> None:
    assert "New York" in keywords(["We flew to New York. New York was loud."], 2)


def test_a_label_is_the_models_or_the_foremost_keywords() -> None:
    assert topic_label(TALK, Scripted([{"label": " Ann's pottery class. "}])) == "Ann's pottery class"
    assert topic_label(TALK).startswith("pottery class")
    assert topic_label([]) == ""


def test_what_was_said_is_data_in_the_prompt() -> None:
    ask = Scripted([{"summary": "x"}, {"label": "x"}, {"summary": "x"}])
    summarise(talk(f"Ann: {INJECTION}"), ask)
    topic_label(talk(f"Ann: {INJECTION}"), ask)
    summarise(TALK, ask, previous=Summary(INJECTION, ("e9",)))
    assert all(is_only_data(prompt) for prompt in ask.prompts)


@given(st.lists(st.text(max_size=60), max_size=8), st.integers(1, 20))
@settings(max_examples=100, deadline=None)
def test_no_text_is_too_strange(texts: list[str], words: int) -> None:
    said = [episode(text, at) for at, text in enumerate(texts, start=1)]
    short = summarise(said, OFFLINE, max_words=words)
    assert short == summarise(said, OFFLINE, max_words=words)
    assert len(short.text.split()) <= words
    assert keywords(texts, 4) == keywords(texts, 4)
    assert len(keywords(texts, 4)) <= 4
    topic_label(said)
