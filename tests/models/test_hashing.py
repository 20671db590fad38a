"""Hashed n-grams are the same everywhere, and see spelling."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic.models import HashingEmbedder
from mnemic.models.hashing import CHARACTERS_PER_TOKEN, fold

hashing = HashingEmbedder()


def test_the_vector_of_a_word_never_changes() -> None:
    # stored vectors depend on it: a change here needs a new id
    (vector,) = hashing.embed(["Cat"])
    expected = np.zeros(1024, np.float32)
    expected[[7, 123, 317, 385, 516, 777]] = np.array([-1, 1, 1, 1, -1, 1]) / np.sqrt(6)  # six grams of " cat "
    np.testing.assert_allclose(vector, expected, atol=1e-7)


def test_another_process_with_another_hash_seed_agrees() -> None:
    code = (
        "from mnemic.models import HashingEmbedder; import hashlib;"
        "print(hashlib.sha256(HashingEmbedder().embed(['naïve 東京 text', 'b']).tobytes()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(digests) == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=40), max_size=5))
def test_a_text_has_its_vector_whatever_stands_beside_it(texts: list[str]) -> None:
    together = hashing.embed(texts)
    assert together.shape == (len(texts), 1024)
    assert together.dtype == np.float32
    for text, row in zip(texts, together, strict=True):
        assert np.array_equal(row, hashing.embed([text])[0])
        length = float(np.linalg.norm(row))
        assert length == pytest.approx(1.0, abs=1e-5) or (length == 0 and not row.any())


@pytest.mark.parametrize("text", ["", "  \n", "?!…", "\x00\x01"])
def test_a_text_without_words_is_the_zero_vector(text: str) -> None:
    assert not hashing.embed([text]).any()


def test_shared_spelling_is_near_and_shared_meaning_is_not() -> None:
    walked, walking, strolled = hashing.embed(["she walked home", "she is walking home", "the woman strolled"])
    assert walked @ walking > 0.4
    assert abs(walked @ strolled) < 0.15


def test_case_accents_and_punctuation_do_not_matter() -> None:
    plain, written = hashing.embed(["cafe zoe", "Café, ZOË!"])
    assert np.array_equal(plain, written)


def test_repetition_counts_logarithmically() -> None:
    once, often = hashing.embed(["apple pear", "apple " * 50 + "pear"])
    apple = hashing.embed(["apple"])[0]
    assert once @ apple < often @ apple < 0.99


def test_only_the_beginning_of_an_enormous_text_is_hashed() -> None:
    bound = CHARACTERS_PER_TOKEN * hashing.max_tokens
    head = ("word " * bound)[:bound]
    long, cut = hashing.embed([head + "tail " * 100_000, head])
    assert np.array_equal(long, cut)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"text {number} of several" for number in range(20)]
    whole = hashing.embed(texts)
    monkeypatch.setattr("mnemic.models.hashing._BLOCK", 50)
    assert np.array_equal(hashing.embed(texts), whole)


def test_folding_keeps_words_apart() -> None:
    assert fold("Straße ÉCOLE-x_1") == " strasse ecole x_1 "
