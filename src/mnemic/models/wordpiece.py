"""BERT's uncased WordPiece tokenizer: text to the piece numbers that MiniLM was trained on.

Each character is mapped once to what BERT's cleaning makes of it (dropped, a space, lower case without accents, set
apart when it is punctuation or CJK) and remembered; then a text costs one `str.translate`, a split, and one look-up
for each word, because the pieces of a word are remembered too.

Agrees with Hugging Face's `tokenizers` 0.23, special tokens written out in the text included: on 16,140 real texts,
and on every code point but some 500 of rare scripts, nearly all younger than its Unicode tables. Departs from it: a
text is cut at 64 characters for each token asked for, so that ten megabytes cost no more than sixteen kilobytes. Only
a text whose first words, with the spaces between them, average above 64 characters can come out shorter for it.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

CHARACTERS_PER_TOKEN = 64
_MAX_WORD = 100  # longer words are unknown, as in BERT
_MAX_CACHED_WORDS = 100_000
_SPECIAL = re.compile(r"(\[(?:PAD|UNK|CLS|SEP|MASK)\])")
_ASCII_PUNCTUATION = frozenset(string.punctuation)


class WordPiece:
    """A tokenizer over a vocabulary, one piece a line as in `vocab.txt`.

    >>> tiny = WordPiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "re", "##call", "!"])
    >>> tiny.encode("Recall!", max_tokens=16)
    [2, 4, 5, 6, 3]
    >>> tiny.count("Recall! Recall!")
    6
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        self._ids = {piece: position for position, piece in enumerate(pieces)}
        self._unknown = (self._ids["[UNK]"],)
        self._start, self._end = self._ids["[CLS]"], self._ids["[SEP]"]
        self._words: dict[str, tuple[int, ...]] = {}

    @classmethod
    def from_file(cls, vocabulary: Path) -> WordPiece:
        """The tokenizer of a `vocab.txt`."""
        return cls(vocabulary.read_text(encoding="utf-8").rstrip("\n").split("\n"))

    def encode(self, text: str, max_tokens: int) -> list[int]:
        """Piece numbers with [CLS] before and [SEP] after, at most `max_tokens` of them all together.

        Only the first `64 * max_tokens` characters are looked at.
        """
        ids = [self._start]
        for pieces in self._pieces(text[: CHARACTERS_PER_TOKEN * max_tokens]):
            ids += pieces
            if len(ids) >= max_tokens:
                del ids[max_tokens - 1 :]
                break
        ids.append(self._end)
        return ids

    def count(self, text: str) -> int:
        """How many pieces the whole text has, without [CLS] and [SEP] and without a bound."""
        return sum(map(len, self._pieces(text)))

    def clear(self) -> None:
        """Forget the words seen so far."""
        self._words.clear()

    def _pieces(self, text: str) -> Iterator[tuple[int, ...]]:
        words = self._words
        for part in _SPECIAL.split(text) if "[" in text else (text,):
            if part in self._ids and _SPECIAL.fullmatch(part):
                yield (self._ids[part],)
                continue
            for word in clean(part).split():
                pieces = words.get(word)
                if pieces is None:
                    pieces = self._split(word)
                    if len(words) < _MAX_CACHED_WORDS:
                        words[word] = pieces
                yield pieces

    def _split(self, word: str) -> tuple[int, ...]:
        """Greedy: the longest piece that fits, again and again; a word that cannot be finished is unknown."""
        if len(word) > _MAX_WORD:
            return self._unknown
        pieces = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            for stop in range(len(word), start, -1):
                piece = self._ids.get(prefix + word[start:stop])
                if piece is not None:
                    break
            else:
                return self._unknown
            pieces.append(piece)
            start = stop
        return tuple(pieces)


def clean(text: str) -> str:
    """BERT's words, set apart by spaces: lower case, no accents, punctuation and CJK characters alone.

    >>> clean("Café, 東京!").split()
    ['cafe', ',', '東', '京', '!']
    """
    return text.translate(_CLEANED)


class _CleanedCharacters(dict[int, str]):
    """What each character becomes, worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        self[code] = cleaned = _clean_character(chr(code))
        return cleaned


_CLEANED = _CleanedCharacters()


def _clean_character(character: str) -> str:
    category = unicodedata.category(character)
    if character in "\t\n\r" or (character.isspace() and category[0] == "Z"):
        return " "
    if category in ("Cc", "Cf", "Co", "Cs") or character == "\ufffd":  # the reference keeps unassigned ones
        return ""
    lowered = "".join(
        lower
        for part in unicodedata.normalize("NFD", character)
        if unicodedata.category(part) != "Mn"
        for lower in part.lower()
    )
    apart = "".join(f" {part} " if _is_punctuation(part) else part for part in lowered)
    return f" {apart} " if _is_cjk(ord(character)) else apart


def _is_punctuation(character: str) -> bool:
    return character in _ASCII_PUNCTUATION or unicodedata.category(character)[0] == "P"


def _is_cjk(code: int) -> bool:
    return (
        0x4E00 <= code <= 0x9FFF
        or 0x3400 <= code <= 0x4DBF
        or 0x20000 <= code <= 0x2A6DF
        or 0x2A700 <= code <= 0x2B73F
        or 0x2B740 <= code <= 0x2B81F
        or 0x2B920 <= code <= 0x2CEAF  # the block begins at 2B820, the reference here
        or 0xF900 <= code <= 0xFAFF
        or 0x2F800 <= code <= 0x2FA1F
    )
