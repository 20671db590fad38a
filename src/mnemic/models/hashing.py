"""Hashed character n-grams: vectors without a model. THIS IS LEXICAL: it sees spelling, not meaning.

"car" and "automobile" are strangers to it, "hot" and "hotel" are friends. It exists so that everything works where
the weights of a real model are missing; fuse it with a lexical search at a low weight, and reindex with a
sentence encoder when you can.

Words are lower-cased and stripped of accents; their character 3-, 4- and 5-grams, the word's edges marked, are
hashed to 1,024 signed dimensions (Weinberger et al., arXiv 0902.2206), each distinct gram weighing 1 + ln(count).
The hash is a polynomial over code points in 32-bit arithmetic, so that every process and platform agrees.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mnemic.models.embedder import Kind, Vectors, check_texts, to_unit_length

HASHING_ID = "hashing/char3-5/1024/v1"
SIZES = (3, 4, 5)
CHARACTERS_PER_TOKEN = 8
_BLOCK = 1 << 17  # characters hashed at once: the sort of their grams stays within some 10 MB
_WORD = re.compile(r"\w+")
_SPACE = 32
_BASE = np.uint32(0x01000193)


class HashingEmbedder:
    """The lexical fallback: fixed, stateless, numpy only.

    >>> cat, cats, dog = HashingEmbedder().embed(["one cat", "two cats", "a dog"])
    >>> bool(cat @ cats > cat @ dog)
    True
    """

    id = HASHING_ID
    dim = 1024
    max_tokens = 8192
    is_semantic = False

    def __repr__(self) -> str:
        return "HashingEmbedder()"

    def embed(self, texts: Sequence[str], kind: Kind = "document") -> Vectors:
        """As `Embedder.embed`: the first 65,536 characters of a text count, and `kind` makes no difference."""
        check_texts(texts)
        vectors = np.zeros((len(texts), self.dim), np.float32)
        block: list[str] = []
        size = start = 0
        for row, text in enumerate(texts):
            folded = fold(text[: CHARACTERS_PER_TOKEN * self.max_tokens])
            block.append(folded)
            size += len(folded)
            if size >= _BLOCK or row == len(texts) - 1:
                vectors[start : row + 1] = _hash_block(block, self.dim)
                start, size, block = row + 1, 0, []
        return vectors


def fold(text: str) -> str:
    """The words of a text, lower-case, without accents, a space on each side of each; "" where there are none.

    >>> fold("Ça va, Zoë?")
    ' ca va zoe '
    """
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text.casefold())
        text = "".join(char for char in decomposed if not unicodedata.combining(char))
    words = _WORD.findall(text.lower())
    return f" {' '.join(words)} " if words else ""


def _hash_block(texts: Sequence[str], dim: int) -> Vectors:
    """texts: folded. Returns [n, dim], unit length."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint32)
    rows = np.repeat(np.arange(len(texts), dtype=np.uint64), lengths)
    distinct, counts = np.unique(_grams(codes, rows), return_counts=True)
    row = (distinct >> np.uint64(32)).astype(np.int64)
    hashes = distinct.astype(np.uint32)  # the low half
    buckets = row * dim + hashes % np.uint32(dim)
    signs = np.where(hashes >> np.uint32(31), -1.0, 1.0)
    weights = signs * (1.0 + np.log(counts))
    sums = np.bincount(buckets, weights, minlength=len(texts) * dim).reshape(len(texts), dim)
    return to_unit_length(sums)


def _grams(codes: NDArray[np.uint32], rows: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """(row << 32 | hash) of every 3- to 5-gram of words that touch a space at their edges only."""
    spaces_before = np.concatenate(([0], np.cumsum(codes == _SPACE)))
    rolling = codes.copy()
    found = []
    for size in range(2, max(SIZES) + 1):
        n = len(codes) - size + 1
        if n <= 0:
            break
        rolling = rolling[:n] * _BASE + codes[size - 1 :]  # uint32: wraps around
        if size in SIZES:
            # no space strictly inside: two neighbouring words, and two texts, share their space with nobody
            is_gram = spaces_before[size - 1 : size - 1 + n] == spaces_before[1 : 1 + n]
            found.append(rows[:n][is_gram] << np.uint64(32) | _mix(rolling[is_gram], size))
    return np.concatenate(found) if found else np.zeros(0, np.uint64)


def _mix(hashes: NDArray[np.uint32], seed: int) -> NDArray[np.uint32]:
    """murmur3's finaliser: each input bit reaches every output bit, so low bits and sign are independent."""
    mixed = hashes ^ np.uint32(seed * 0x9E3779B1 & 0xFFFFFFFF)
    mixed ^= mixed >> np.uint32(16)
    mixed *= np.uint32(0x85EBCA6B)
    mixed ^= mixed >> np.uint32(13)
    mixed *= np.uint32(0xC2B2AE35)
    mixed ^= mixed >> np.uint32(16)
    return mixed
