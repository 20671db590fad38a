"""Saying a thing once: choosing what is relevant and new, leaving out near copies, and adding what hits are linked to.

For copies by words, exact or nearly, see `ops/repeats.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnemic.errors import ParameterError
from mnemic.index.vectors import products

Vectors = NDArray[np.floating[Any]]  # [n, d] unit vectors


def marginal(relevance: ArrayLike, vectors: Vectors, k: int, balance: float = 0.5) -> list[int]:
    """At most k rows, each the best by balance·relevance - (1 - balance)·(highest cosine with a row chosen before).

    relevance: [n], on the scale of cosines. balance: 1 ranks by relevance alone, 0 by novelty alone after the most relevant;
    of equal rows the earlier is chosen. Source: Carbonell and Goldstein, The Use of MMR, 1998 (maximal marginal relevance).

    >>> marginal([0.9, 0.89, 0.5], np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), 2)
    [0, 2]
    """
    if not 0.0 <= balance <= 1.0:
        raise ParameterError(f"balance={balance!r}: it lies between 0, novelty, and 1, relevance.")
    wanted, wide = np.asarray(relevance, np.float64), np.ascontiguousarray(vectors, np.float32)
    chosen: list[int] = []
    nearest = np.full(len(wanted), -np.inf)
    is_left = np.ones(len(wanted), np.bool_)
    while len(chosen) < min(k, len(wanted)):
        scores = balance * wanted - (1.0 - balance) * nearest if chosen else wanted
        row = int(np.argmax(np.where(is_left, scores, -np.inf)))
        chosen.append(row)
        is_left[row] = False
        np.maximum(nearest, products(wide, wide[row]), out=nearest)
    return chosen


def folded_by_cosine(vectors: Vectors, threshold: float = 0.9, limit: int | None = None) -> list[tuple[int, list[int]]]:
    """(row, rows that nearly repeat it) for the first `limit` different rows, in the order given, best first.

    A row repeats the most similar kept row (the earlier of two alike) when their cosine reaches the threshold. Rows are
    compared with kept rows only, so nothing is left out for the sake of something that was left out itself.

    >>> folded_by_cosine(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]))
    [(0, [2]), (1, [])]
    """
    wide = np.ascontiguousarray(vectors, np.float32)
    firsts = np.empty_like(wide)  # vectors of the kept, in their order
    kept: list[tuple[int, list[int]]] = []
    for row, vector in enumerate(wide):
        if kept:
            cosines = products(firsts[: len(kept)], vector)
            place = int(np.argmax(cosines))
            if cosines[place] >= threshold:
                kept[place][1].append(row)
                continue
        if limit is None or len(kept) < limit:
            firsts[len(kept)] = vector
            kept.append((row, []))
    return kept


def folded_by_terms(
    terms: Sequence[frozenset[str]], threshold: float = 0.9, limit: int | None = None
) -> list[tuple[int, list[int]]]:
    """The same by the share of terms in common (Jaccard's), which must be above 0.

    `fold_repeats` is stricter: it never folds another statement, such as one with another number or a negation.
    """
    if not threshold > 0.0:
        raise ParameterError(f"threshold={threshold!r}: texts without a term in common cannot be the same.")
    with_term: dict[str, list[int]] = {}  # places among the kept
    kept: list[tuple[int, list[int]]] = []
    for row, words in enumerate(terms):
        common = Counter(place for word in words for place in with_term.get(word, ()))
        shares = {place: n / (len(words) + len(terms[kept[place][0]]) - n) for place, n in common.items()}
        nearest = max(shares, key=lambda place: (shares[place], -place), default=-1)
        if nearest >= 0 and shares[nearest] >= threshold:
            kept[nearest][1].append(row)
        elif limit is None or len(kept) < limit:
            for word in words:
                with_term.setdefault(word, []).append(len(kept))
            kept.append((row, []))
    return kept


def linked(
    hits: Sequence[str], links: Mapping[str, Sequence[str]], most: int, *, each: int | None = None
) -> list[tuple[str, str]]:
    """(id, the hit through which it comes) for what the hits are linked to and is no hit itself, at most `most` together.

    The first hit's links come first, in their order; what several hits are linked to comes once, through the first. each: at
    most so many through one hit, so that one with many links leaves room for the others'; None for no bound. Source: A-MEM,
    arXiv 2502.12110, where the linked notes of a box are recalled with any of them, up to k more in all.

    >>> linked(["3", "7"], {"3": ["1", "7"], "7": ["1", "2"]}, most=5)
    [('1', '3'), ('2', '7')]
    """
    known, found = set(hits), list[tuple[str, str]]()
    for hit in hits:
        through = 0
        for other in links.get(hit, ()):
            if len(found) >= most or (each is not None and through >= each):
                break
            if other not in known:
                known.add(other)
                found.append((other, hit))
                through += 1
    return found
