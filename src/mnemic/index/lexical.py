"""BM25 over the episodes of one index, with that index's own statistics.

Most postings lie in sealed arrays, sorted by term; the newest lie in small lists until there are enough of them to be
worth sorting in. Document frequencies and the mean length count visible episodes only, so that a recall as of last
June scores as it would have in June, and nothing outside the scope is ever counted.

Source: Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009, with the logarithm's
argument raised by one as Lucene does, so that a term in most episodes still counts a little.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mnemic.index.columns import Column

K1, B = 1.2, 0.75
_BULK = 500  # this many episodes at once are sorted in at once
_SEAL_SHARE = 0.05  # of the sealed episodes; as many in the lists are sorted in


def rarity(n_with: int, n: int) -> float:
    """BM25's weight of a term that stands in `n_with` of `n` rows.

    >>> rarity(1, 100) > rarity(50, 100) > rarity(100, 100) > 0.0
    True
    """
    return float(np.log1p((n - n_with + 0.5) / (n_with + 0.5)))


class LexicalIndex:
    """Postings from term to rows; rows are numbered from 0 in the order they were added."""

    def __init__(self) -> None:
        self._vocabulary: dict[str, int] = {}
        self._offsets = np.zeros(1, np.int64)  # [n_terms + 1], where each term's postings begin
        self._rows = np.empty(0, np.int32)  # [n_postings], sorted by term, then row
        self._counts = np.empty(0, np.uint16)
        self._unsorted: list[
            tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint16]]
        ] = []  # (terms, rows, counts)
        self._recent: dict[int, tuple[list[int], list[int]]] = {}
        self._sealed_rows = 0
        self.lengths = Column(np.int32)  # [n], terms in each episode

    def clone(self) -> LexicalIndex:
        """The same index, to be extended while others go on reading this one."""
        clone = LexicalIndex()
        clone.__dict__.update(self.__dict__)
        clone.lengths = self.lengths.clone()
        return clone

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def nbytes(self) -> int:
        """Bytes held, about."""
        return int(self._rows.nbytes + self._counts.nbytes + self._offsets.nbytes + 110 * len(self._vocabulary))

    def extend(self, terms: Sequence[str]) -> None:
        """Add episodes by their terms, each a string of terms joined by spaces."""
        first = len(self)
        split = [text.split() for text in terms]
        self.lengths.extend(np.array([len(words) for words in split], np.int32))
        numbers = self._vocabulary
        if len(split) >= _BULK or not first:
            flat = [numbers.setdefault(word, len(numbers)) for words in split for word in words]
            rows = np.repeat(np.arange(len(split)), self.lengths.values[first:])
            pairs, counts = np.unique((np.array(flat, np.int64) << 32) | rows, return_counts=True)
            block = (
                (pairs >> 32).astype(np.int32),
                (pairs & 0xFFFFFFFF).astype(np.int32) + np.int32(first),
                _small(counts),
            )
            self._unsorted = [*self._unsorted, block]
            return
        self.settle()
        for row, words in enumerate(split, start=first):
            for word in set(words):
                at, counts_at = self._recent.setdefault(numbers.setdefault(word, len(numbers)), ([], []))
                counts_at.append(min(words.count(word), 65535))
                at.append(row)
        if len(self) - self._sealed_rows > max(_BULK, _SEAL_SHARE * self._sealed_rows):
            self._seal()

    def settle(self) -> None:
        """Sort in what was added in bulk. Reading does it where it was not done."""
        if self._unsorted:
            self._seal()

    def scores(
        self, terms: Sequence[str], visible: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.float32], float]:
        """BM25 of every row for the cue's terms: [n], 0 where none of them stands; and the score of an ideal row.

        visible: [n], the rows that exist for this cue; None for all of them. The ideal row has mean length and holds
        once each of the terms that any row in sight holds.
        """
        self.settle()
        n = len(self)
        scores = np.zeros(n, np.float32)
        lengths = self.lengths.values
        n_visible = n if visible is None else int(visible.sum())
        ideal = 0.0
        if not n_visible:
            return scores, ideal
        mean = float(lengths.mean() if visible is None else lengths[visible].mean()) or 1.0
        for term in dict.fromkeys(terms):
            number = self._vocabulary.get(term)
            if number is None:
                continue
            rows, counts = self._postings(number)
            if visible is not None:
                keep = visible[rows]
                rows, counts = rows[keep], counts[keep]
            if len(rows):
                idf = rarity(len(rows), n_visible)
                ideal += idf
                norm = K1 * (1.0 - B + (B / mean) * lengths[rows])
                scores[rows] += (idf * (K1 + 1.0) * counts / (counts + norm)).astype(np.float32)
        return scores, ideal

    def covered(self, terms: Sequence[str], visible: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
        """[n] the share of the cue's terms that each row holds, rare ones counting for more; how often or in how long a text
        does not matter. Terms that no row in sight holds do not count."""
        self.settle()
        n = len(self)
        n_visible = n if visible is None else int(visible.sum())
        share, total = np.zeros(n, np.float32), 0.0
        for term in dict.fromkeys(terms):
            rows = self.rows_of(term)
            rows = rows if visible is None else rows[visible[rows]]
            if len(rows):
                idf = rarity(len(rows), n_visible)
                share[rows] += np.float32(idf)
                total += idf
        return share / np.float32(total or 1.0)

    def frequency(self, term: str) -> int:
        """In how many rows the term stands."""
        number = self._vocabulary.get(term)
        return 0 if number is None else len(self._postings(number)[0])

    def postings(self, term: str) -> tuple[NDArray[np.int32], NDArray[np.uint16]]:
        """The rows in which the term stands, ascending, and how often in each."""
        number = self._vocabulary.get(term)
        return (np.empty(0, np.int32), np.empty(0, np.uint16)) if number is None else self._postings(number)

    def rows_of(self, term: str) -> NDArray[np.int32]:
        """The rows in which the term stands."""
        return self.postings(term)[0]

    def kept(self, keep: NDArray[np.bool_]) -> LexicalIndex:
        """The same index without the rows where `keep` is false, as if they had never been added."""
        full = self._sealed()
        terms = np.repeat(np.arange(len(full._offsets) - 1), np.diff(full._offsets))
        stays = keep[full._rows]
        renumbered = np.cumsum(keep) - 1
        used = np.unique(terms[stays])
        names = list(full._vocabulary)
        smaller = LexicalIndex()
        smaller._vocabulary = {names[number]: new for new, number in enumerate(used)}
        counts = np.bincount(np.searchsorted(used, terms[stays]), minlength=len(used))
        smaller._offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        smaller._rows = renumbered[full._rows[stays]].astype(np.int32)
        smaller._counts = full._counts[stays]
        smaller.lengths = Column.of(full.lengths.values[keep])
        smaller._sealed_rows = len(smaller.lengths)
        return smaller

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything, as arrays for a file."""
        full = self._sealed()
        names = list(full._vocabulary)[: len(full._offsets) - 1]  # a clone may have met later terms
        return {
            "terms": np.frombuffer("\n".join(names).encode(), np.uint8),
            "offsets": full._offsets,
            "posting_rows": full._rows,
            "posting_counts": full._counts,
            "lengths": full.lengths.values,
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[np.generic]]) -> LexicalIndex:
        """The inverse of `arrays`."""
        index = cls()
        names = arrays["terms"].tobytes().decode()
        index._vocabulary = {name: number for number, name in enumerate(names.split("\n"))} if names else {}
        index._offsets = arrays["offsets"].astype(np.int64)
        index._rows = arrays["posting_rows"].astype(np.int32)
        index._counts = arrays["posting_counts"].astype(np.uint16)
        index.lengths = Column.of(arrays["lengths"].astype(np.int32))
        index._sealed_rows = len(index)
        return index

    def _postings(self, number: int) -> tuple[NDArray[np.int32], NDArray[np.uint16]]:
        self.settle()
        if number + 1 < len(self._offsets):
            start, stop = self._offsets[number], self._offsets[number + 1]
            rows, counts = self._rows[start:stop], self._counts[start:stop]
        else:
            rows, counts = self._rows[:0], self._counts[:0]
        recent = self._recent.get(number)
        if recent is None:
            return rows, counts
        n = bisect_left(recent[0], len(self))  # a clone may have added later rows, which are not ours
        return np.append(rows, np.array(recent[0][:n], np.int32)), np.append(counts, np.array(recent[1][:n], np.uint16))

    def _sealed(self) -> LexicalIndex:
        """The same index, all sorted in; this one stays as it is for those who are reading it."""
        full = self.clone()
        if full._unsorted or full._recent:
            full._seal()
        return full

    def _seal(self) -> None:
        """Sort everything that is not yet sorted into the sealed arrays."""
        terms = [np.repeat(np.arange(len(self._offsets) - 1, dtype=np.int32), np.diff(self._offsets))]
        rows, counts = [self._rows], [self._counts]
        for block in self._unsorted:
            terms.append(block[0])
            rows.append(block[1])
            counts.append(block[2])
        for number, (at, times) in list(self._recent.items()):
            n = bisect_left(at, len(self))  # a clone may have added later rows, which are not ours
            terms.append(np.full(n, number, np.int32))
            rows.append(np.array(at[:n], np.int32))
            counts.append(np.array(times[:n], np.uint16))
        term_of, row_of = np.concatenate(terms), np.concatenate(rows)
        order = np.lexsort((row_of, term_of))
        self._offsets = np.concatenate(([0], np.cumsum(np.bincount(term_of, minlength=len(self._vocabulary)))))
        self._rows, self._counts = row_of[order], np.concatenate(counts)[order]
        self._recent, self._unsorted = {}, []
        self._sealed_rows = len(self)


def _small(counts: NDArray[np.int64]) -> NDArray[np.uint16]:
    return np.minimum(counts, 65535).astype(np.uint16)
