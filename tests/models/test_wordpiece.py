"""The tokenizer agrees with the reference implementation, and is bounded."""

import json
from pathlib import Path

import pytest

from mnemic.models.weights import find_weights
from mnemic.models.wordpiece import CHARACTERS_PER_TOKEN, WordPiece, clean

# made with tokenizers 0.23.3 from the model's own tokenizer.json, truncation and padding off
REFERENCE = json.loads(Path(__file__).with_name("wordpiece_reference.json").read_text(encoding="utf-8"))
TINY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "re", "##call", "call", "a", "##a", "!", "[MASK]"]


@pytest.fixture(scope="module")
def bert() -> WordPiece:
    folder = find_weights()
    if folder is None:
        pytest.skip("the vocabulary of all-MiniLM-L6-v2 is not installed")
    return WordPiece.from_file(folder / "vocab.txt")


@pytest.fixture
def tiny() -> WordPiece:
    return WordPiece(TINY)


@pytest.mark.parametrize("case", REFERENCE, ids=[ascii(case["text"][:24]) for case in REFERENCE])
def test_it_gives_the_pieces_of_the_reference(bert: WordPiece, case: dict) -> None:
    assert bert.encode(case["text"], max_tokens=512) == case["ids"]
    assert bert.count(case["text"]) == len(case["ids"]) - 2


def test_words_are_split_greedily_into_the_longest_pieces(tiny: WordPiece) -> None:
    assert tiny.encode("Recall recall! aaa", 16) == [2, 4, 5, 4, 5, 9, 7, 8, 8, 3]


def test_a_word_that_cannot_be_finished_is_unknown_as_a_whole(tiny: WordPiece) -> None:
    assert tiny.encode("recallx call", 16) == [2, 1, 6, 3]


def test_special_tokens_written_in_a_text_are_themselves(tiny: WordPiece) -> None:
    assert tiny.encode("call[MASK]call [mask]", 16) == [2, 6, 10, 6, 1, 1, 1, 3]


@pytest.mark.parametrize("max_tokens", [3, 4, 5, 8])
def test_the_end_is_kept_when_a_text_is_cut(tiny: WordPiece, max_tokens: int) -> None:
    ids = tiny.encode("call " * 50, max_tokens)
    assert ids == [2] + [6] * (max_tokens - 2) + [3]


def test_a_text_that_fits_exactly_is_not_cut(tiny: WordPiece) -> None:
    assert tiny.encode("call recall", 5) == [2, 6, 4, 5, 3]


def test_only_the_first_64_characters_for_each_token_are_looked_at(tiny: WordPiece) -> None:
    bound = CHARACTERS_PER_TOKEN * 8
    assert tiny.encode(" " * (bound - 4) + "call", 8) == [2, 6, 3]
    assert tiny.encode(" " * bound + "call", 8) == [2, 3]


def test_ten_megabytes_are_not_cleaned_whole(tiny: WordPiece, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr("mnemic.models.wordpiece.clean", lambda text: seen.append(len(text)) or clean(text))
    assert len(tiny.encode("recall " * 1_500_000, 256)) == 256
    assert seen == [CHARACTERS_PER_TOKEN * 256]


def test_counting_has_no_bound(tiny: WordPiece) -> None:
    assert tiny.count("recall " * 10_000) == 20_000


def test_a_lone_surrogate_is_dropped(tiny: WordPiece) -> None:
    assert tiny.encode("re\ud800call", 8) == [2, 4, 5, 3]


def test_clear_forgets_the_words(tiny: WordPiece) -> None:
    tiny.encode("secret call", 8)
    assert "secret" in tiny._words
    tiny.clear()
    assert tiny._words == {}
