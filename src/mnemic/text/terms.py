"""Index terms: what a text is found by, and the form in which two sayings are the same.

The one idea: all the slow work on a word — folding, stop words, stemming — is done once and kept in a bounded table,
so that indexing a sentence is one regular expression and one table lookup for each word.

Terms are casefolded NFKC. English words are stemmed (Snowball) after the stop words are dropped; Latin letters lose
their accents, so "café" is found by "cafe". Han, kana, Thai, Lao, Khmer and Burmese, which are written without
spaces, become overlapping pairs of characters; every other script is kept word by word, unstemmed. The stemmer is
always the pure Python one: a C stemmer that happens to be installed may know another revision of the algorithm, and
an index must not depend on that.
"""
# ruff: noqa: SIM905 - word lists are read and edited as text

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection
from threading import Lock

STOP_WORDS: frozenset[str] = frozenset(
    """
    a about after again all also am an and any are as at be because been before being both but by can could did do
    does doing done down during each either else even ever few for from further get gets got had has have having he
    her here hers herself him himself his how i if in into is it its itself just let like may me might more most much
    must my myself no nor not now of off oh ok okay on once one only or other our ours ourselves out over own per
    quite rather really same shall she should so some such than that the their theirs them themselves then there these
    they this those though through thus to too under until up upon us very via was we well were what when where
    whether which while who whom whose why will with within without would yeah yes yet you your yours yourself
    yourselves ain't can't shan't won't y'all cannot gonna wanna gotta
    """.split()
)

_LONGEST_TERM = 64
_REMEMBERED_WORDS = 65_536

# Scripts that put no spaces between words: kana, Han, their iteration marks, Thai, Lao, Burmese, Khmer.
_UNSPACED = (
    "\u3005\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u1000-\u109f\u1780-\u17d3"
)
# Combining marks that Python's \w leaves out and without which Indic, Arabic and Hebrew words would fall apart.
_MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0903"
    "\u093a-\u094f\u0951-\u0957\u0962\u0963\u0981-\u0983\u09bc-\u09cd\u09d7\u0a01-\u0a03\u0a3c-\u0a4d\u0a70\u0a71"
    "\u0a81-\u0a83\u0abc-\u0acd\u0b01-\u0b03\u0b3c-\u0b57\u0b82\u0bbe-\u0bcd\u0c00-\u0c04\u0c3c-\u0c56\u0c81-\u0c83"
    "\u0cbc-\u0cd6\u0d00-\u0d03\u0d3b-\u0d4d\u0d57\u0dca-\u0ddf"
)
_LETTER = rf"(?:[^\W_{_UNSPACED}]|[{_MARKS}])"

_ascii_words = re.compile(r"[a-z0-9]+(?:'[a-z0-9]+)*").findall
_words = re.compile(rf"[{_UNSPACED}]+|{_LETTER}+(?:['’]{_LETTER}+)*").findall
_is_unspaced = re.compile(rf"[{_UNSPACED}]").match
_clitic = re.compile(r"(?:n't|'s|'re|'ve|'ll|'d|'m)$")
_stem_lock = Lock()  # the stemmer keeps its word in itself


def terms(text: str) -> list[str]:
    """The index terms of `text`, in order, repeats kept.

    Numbers are kept; a word longer than 64 characters is cut. The same text gives the same terms in every process.

    >>> terms("Caroline's friends don't run in the 2 cafés")
    ['carolin', 'friend', 'run', '2', 'cafe']
    >>> terms("東京に住む")
    ['東京', '京に', 'に住', '住む']
    """
    stem = _stems
    if text.isascii():
        return [term for word in _ascii_words(text.lower()) if (term := stem[word])]
    found: list[str] = []
    for word in _words(_fold(text)):
        if _is_unspaced(word):
            found += _pairs(word)
        elif term := stem[word]:
            found.append(term)
    return found


def words_matching(text: str, wanted: Collection[str]) -> list[str]:
    """The words of the text, as they are written there, whose terms are among those wanted; each once.

    >>> words_matching("Running late; I run every day.", {"run"})
    ['Running', 'run']
    """
    stem = _stems
    found = (word for word in _words(text) if stem[word.lower() if word.isascii() else _fold(word)] in wanted)
    return list(dict.fromkeys(found))


def as_said(actor: str | None, text: str) -> str:
    """The text as it is indexed: behind the name of who said it, where that is known.

    Questions name people ("What did Caroline research?"), who themselves say "I": with the name in front, the words of what
    she said answer to her. (Vectors are of the text alone: `mnemic.text.speakers`.)

    >>> as_said("Caroline", "I researched adoption agencies."), as_said(None, "It rains.")
    ('Caroline: I researched adoption agencies.', 'It rains.')
    """
    return f"{actor}: {text}" if actor else text


def normalised(text: str) -> str:
    """`text` without the differences that do not make it another statement: case, spacing, punctuation, width.

    Signs that carry meaning stay: "C++" is not "C", "-5" is not "5", and "3.5" is not "35".

    >>> normalised("I  don't like C++ -- at all!")
    'i dont like c++ at all'
    """
    if text.isascii():  # the same, faster: this runs for every episode that is written
        folded = text.lower().translate(_ascii_plain)
        folded = _with_digits.sub(" ", folded) if _digit(folded) else folded.translate(_ascii_points)
    else:
        folded = _fold(_ignored.sub("", _fold(text)))  # again: an accent may now stand by its letter
        folded = _punctuation.sub(" ", folded)
    return " ".join(folded.split()) or " ".join(text.split())


_digit = re.compile(r"\d").search
_ignored = re.compile("['’‘`´\u00ad\u200b\u2060\ufeff]")
_with_digits = re.compile(r"(?<!\d)[.,]|[.,](?!\d)|-(?!\d)|(?<=\w)-|_")
_punctuation = re.compile(
    _with_digits.pattern + r"|[;:!?\"“”„«»‹›()\[\]{}…–—―‐‑‒*~|¿¡·•、。・「」『』【】《》〈〉〔〕،؛؟।॥]"
)
_ascii_plain = str.maketrans(dict.fromkeys(';:!?"()[]{}*~|', " ") | dict.fromkeys("'`"))
_ascii_points = str.maketrans(dict.fromkeys(".,-_", " "))


def _fold(text: str) -> str:
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded)


def _pairs(run: str) -> list[str]:
    return [run] if len(run) == 1 else [run[at : at + 2] for at in range(len(run) - 1)]


class _Stems(dict[str, str]):
    """From a folded word to its term, "" where it has none."""

    def __missing__(self, word: str) -> str:
        if len(word) > _LONGEST_TERM:
            return self[word[:_LONGEST_TERM]]  # never kept whole: the table is bounded in bytes too
        term = _term(word)
        if len(self) >= _REMEMBERED_WORDS:
            self.clear()
        self[word] = term
        return term


_stems = _Stems()


def drop_remembered_words() -> None:
    """Empty the table of words: one of them may be of a text that was forgotten. It fills again as it is used."""
    _stems.clear()


def _term(word: str) -> str:
    word = word.replace("’", "'").strip("'")
    if word in STOP_WORDS:
        return ""
    word = _clitic.sub("", word).replace("'", "")
    if word in STOP_WORDS:
        return ""
    bare = word if word.isascii() else _without_accents(word)
    return _stem(bare) if bare.isascii() and bare.isalpha() else bare


def _without_accents(word: str) -> str:
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", word) if not unicodedata.combining(letter))
    return plain if plain.isascii() else word


_english: list[Callable[[str], str]] = []


def _stem(word: str) -> str:
    with _stem_lock:
        if not _english:
            from snowballstemmer.english_stemmer import EnglishStemmer

            _english.append(EnglishStemmer().stemWord)
        return _english[0](word)
