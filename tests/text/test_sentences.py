import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.text.sentences import sentence_spans, sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("   \n ", []),
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("No stop at the end", ["No stop at the end"]),
        ("Dr. Smith met Mr. Jones. They ate.", ["Dr. Smith met Mr. Jones.", "They ate."]),
        ("J. K. Rowling wrote it. I read it.", ["J. K. Rowling wrote it.", "I read it."]),
        ("It costs $3.50. Cheap!", ["It costs $3.50.", "Cheap!"]),
        ("Well... maybe. Hmm... Yes.", ["Well... maybe.", "Hmm...", "Yes."]),
        ("He said “Stop!” and left. I stayed.", ["He said “Stop!” and left.", "I stayed."]),
        ('"Go away!" she cried. "Now." He went.', ['"Go away!" she cried.', '"Now."', "He went."]),
        ("i went home. then i slept.", ["i went home.", "then i slept."]),
        ("We use e.g. cats, i.e. pets. Fine.", ["We use e.g. cats, i.e. pets.", "Fine."]),
        ("She lives in the U.S. She likes it.", ["She lives in the U.S.", "She likes it."]),
        ("At 5 p.m. tomorrow we go.", ["At 5 p.m. tomorrow we go."]),
        ("Shopping:\n- milk\n- eggs", ["Shopping:", "- milk", "- eggs"]),
        ("1. First thing\n2. Second thing. Done", ["1. First thing", "2. Second thing.", "Done"]),
        ("a line that was\nwrapped here. Next", ["a line that was\nwrapped here.", "Next"]),
        ("Title\n\nBody text.", ["Title", "Body text."]),
        ("今日は晴れ。明日は雨！本当？", ["今日は晴れ。", "明日は雨！", "本当？"]),
        ("What?! No way!!! OK.", ["What?!", "No way!!!", "OK."]),
    ],
)
def test_text_is_split_into_these_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(
    st.text()
    | st.lists(st.sampled_from(["A", "b", ". ", "! ", "\n", "Dr. ", "...", '"', "。", " ", "1. "])).map("".join)
)
def test_the_spans_joined_are_the_whole_text(text: str) -> None:
    spans = sentence_spans(text)
    assert "".join(text[start:end] for start, end in spans) == text
    assert all(start < end for start, end in spans)


@given(st.text())
def test_every_sentence_is_trimmed_and_not_empty(text: str) -> None:
    assert all(sentence and sentence == sentence.strip() for sentence in sentences(text))
