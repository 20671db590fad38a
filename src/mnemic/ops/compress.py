"""Shortening a message to the words that say most, by how surprising each is in what was said before.

A word's surprisal is -log2 of the share of earlier messages that have it; words that stand in most messages go, rare ones stay.
Source: Shannon, 1948; LightMem, arXiv 2510.18866, which keeps the tokens of the highest -log2 p(token | prefix), or those that a
trained compressor (LLMLingua-2, arXiv 2403.12968) wants kept, above the percentile of a target rate.

Departs: names, numbers and negations always stay, so that a shortened statement says nothing else than the whole one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np

from mnemic.errors import ParameterError
from mnemic.index.lexical import LexicalIndex
from mnemic.ops.repeats import turns
from mnemic.text.terms import normalised, terms
from mnemic.text.tokens import count_tokens

_WORD = re.compile(r"\S+")
_SENTENCE_END = (".", "!", "?", "…", "。", "！", "？")


class Surprisal:
    """How surprising words are in the messages of an index, up to a row of it."""

    def __init__(self, lexical: LexicalIndex) -> None:
        self._lexical = lexical
        self._rows: dict[str, np.ndarray[tuple[int], np.dtype[np.int32]]] = {}

    def __call__(self, word: str, row: int) -> float:
        """-log2 of the share of the rows up to `row`, itself included, that have the word; of its terms the rarest counts.

        0 for a word that no text is found by, such as "the".
        """
        return max((-math.log2((self._count(term, row) + 1) / (row + 2)) for term in terms(word)), default=0.0)

    def _count(self, term: str, row: int) -> int:
        if term not in self._rows:
            self._rows[term] = self._lexical.rows_of(term)
        return int(np.searchsorted(self._rows[term], row, side="right"))


def compressed(text: str, surprisal: Callable[[str], float], retention: float, most_tokens: int | None = None) -> str:
    """The text with the share `retention` of its words, those of the highest surprisal, in their order.

    most_tokens: what is still longer is shortened again, as long as that helps. A text of which nothing would be left stays
    whole. Raises ParameterError when retention does not lie in (0, 1].

    >>> compressed("I really do not like the opera", lambda word: len(word), 0.5)
    'really not like opera'
    """
    if not 0.0 < retention <= 1.0:
        raise ParameterError(f"retention={retention}: the share of words kept lies above 0 and at most at 1.")
    short = _once(text, surprisal, retention)
    while most_tokens is not None and retention < 1.0 and count_tokens(short) >= most_tokens:
        shorter = _once(short, surprisal, retention)
        if len(shorter) >= len(short):
            break
        short = shorter
    return short


def _once(text: str, surprisal: Callable[[str], float], retention: float) -> str:
    words = _WORD.findall(text)
    n_kept = math.ceil(retention * len(words) - 1e-9)
    if n_kept >= len(words):
        return text
    order = sorted(range(len(words)), key=lambda at: (-surprisal(words[at]), at))
    kept = {*order[:n_kept], *(at for at in range(len(words)) if _must_stay(words, at))}
    return " ".join(words[at] for at in sorted(kept))


def _must_stay(words: list[str], at: int) -> bool:
    word = words[at]
    if any(map(str.isdigit, word)) or turns(frozenset(normalised(word).split())):
        return True
    is_first = at == 0 or words[at - 1].endswith(_SENTENCE_END)
    return not is_first and word.lstrip("\"'“‘([")[:1].isupper() and bool(terms(word))
