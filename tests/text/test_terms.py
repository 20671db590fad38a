import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mnemic
from mnemic.text.terms import STOP_WORDS, normalised, terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("The cat and the dog", ["cat", "dog"]),
        ("running runs run", ["run", "run", "run"]),
        ("Caroline's car; Caroline’s cars", ["carolin", "car", "carolin", "car"]),
        ("I don't, we can't, they've won't", []),
        ("O'Neil at 5 o'clock", ["oneil", "5", "oclock"]),
        ("room 2022 on 2023-03-05", ["room", "2022", "2023", "03", "05"]),
        ("snake_case and kebab-case", ["snake", "case", "kebab", "case"]),
        ("Café CAFE cafe\u0301", ["cafe", "cafe", "cafe"]),
        ("ﬁne ＷＩＤＥ", ["fine", "wide"]),
        ("東京都", ["東京", "京都"]),
        ("犬", ["犬"]),
        ("私のGPUは速い", ["私の", "gpu", "は速", "速い"]),
        ("안녕하세요 세계", ["안녕하세요", "세계"]),
        ("Привет, мир", ["привет", "мир"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("!!! 😀", []),
    ],
)
def test_text_becomes_these_terms(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


def test_a_very_long_word_is_cut_to_64_characters() -> None:
    assert [len(term) for term in terms("x1" * 500)] == [64]


def test_a_stop_word_is_never_a_term_however_it_is_written() -> None:
    assert terms(" ".join(sorted(STOP_WORDS)).upper()) == []


@given(st.text())
def test_terms_do_not_depend_on_case_where_case_is_reversible(text: str) -> None:
    shouted = text.upper()
    if shouted.lower() == text.lower() and shouted.casefold() == text.casefold():
        assert terms(shouted) == terms(text)


@given(st.text(), st.text())
def test_the_terms_of_two_lines_are_the_terms_of_each(first: str, second: str) -> None:
    assert terms(first + "\n" + second) == terms(first) + terms(second)


@given(st.text())
def test_no_term_is_empty_or_longer_than_64_characters(text: str) -> None:
    assert all(0 < len(term) <= 64 for term in terms("a" + text + "b"))


@given(st.text(alphabet=st.sampled_from("aB1 .,'-+$!é\u0301_~#。「」-5C")))
def test_normalising_twice_is_normalising_once(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I live in Berlin.", "i live in  BERLIN"),
        ("Don’t do that!", "don't do that"),
        ("“Hello”, he said", "hello he said"),
        ("well-known", "well known"),
        ("ｈｅｌｌｏ", "hello"),
        ("東京に住んでいます。", "東京に住んでいます"),
    ],
)
def test_two_writings_of_the_same_statement_are_recognised(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I like C", "I like C++"),
        ("-5 degrees", "5 degrees"),
        ("3.5 km", "35 km"),
        ("😀", "😡"),
        ("!", "?"),
        ("C#", "C"),
    ],
)
def test_different_statements_stay_different(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


def test_terms_are_the_same_in_another_process() -> None:
    text = "Caroline's friends were hiking happily near München in 2023; 東京にも行きました"
    program = f"from mnemic.text.terms import terms; print(ascii(terms({text!a})))"
    path = str(Path(mnemic.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": path, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == ascii(terms(text))
