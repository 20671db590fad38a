"""Records by their meaning and their words, best first: only as many are scored as somebody looks at.

The score is (1 - weight) times the cosine with the cue plus weight times BM25 in [0, 1]. Of many records nearly all have no
chance: one that is not among the k nearest, and has few of the words, cannot reach those that were scored already (as in the
threshold algorithm of Fagin, Lotem and Naor, 2003). So what is given is exactly the ranking of all, in pieces.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime

import numpy as np

from mnemic.index.vectors import products
from mnemic.model import Cue, Hit, Reason, Record
from mnemic.systems.made import Made, Scored, Vector
from mnemic.systems.view import View
from mnemic.text.terms import terms

Ranked = tuple[Record, float, tuple[Reason, ...]]
_FIRST, _MORE = 400, 8  # records that are scored at first, and how many times as many when those do not suffice


def ranked(cue: Cue, view: View, kinds: Collection[str], weight: float) -> Iterator[Ranked]:
    """Records by meaning and words, best first, with why; by words alone where the cue has no vector.

    weight: of the words, from 0 to 1; the meaning has the rest.
    """
    made, vector = view.made, view.query_vector(cue)
    words = made.words(terms(cue.text), kinds=kinds, as_of=cue.as_of) if weight or vector is None else {}
    if vector is None:
        weight, certain = 1.0, iter([_best([(made.records[id], 0.0) for id in words], words, 1.0)])
    else:
        certain = _certain(made, vector, words, weight, kinds, cue.as_of, max(_FIRST, 8 * cue.limit))
    done = 0
    for best in certain:
        for record, score, cosine in best[done:]:
            meaning = Reason("meaning", min(max(cosine, 0.0), 1.0), 1.0 - weight)
            why = (meaning, Reason("words", words.get(record.id, 0.0), weight)) if weight else (meaning,)
            yield record, score, why
        done = len(best)


def hits_of(found: Iterable[Ranked], cue: Cue, view: View) -> list[Hit]:
    """The hits of ranked records."""
    reasons: dict[str, tuple[Reason, ...]] = {}

    def looked_at() -> Iterator[Scored]:
        for record, score, why in found:
            reasons[record.id] = why
            yield record, score

    return view.record_hits(looked_at(), cue, why=lambda record, _: reasons[record.id])


_Best = list[tuple[Record, float, float]]  # with score and cosine


def _certain(
    made: Made,
    vector: Vector,
    words: Mapping[str, float],
    weight: float,
    kinds: Collection[str],
    as_of: datetime | None,
    k: int,
) -> Iterator[_Best]:
    """The ranking of all records as far as it is certain, each time further."""
    while True:
        near = made.nearest(vector, k, kinds=kinds, as_of=as_of)
        if len(near) < k:
            yield _best(near, words, weight)
            return
        least = near[-1][1]  # no other record is nearer
        known = {record.id for record, _ in near}
        others = sorted((id for id in words if id not in known), key=words.__getitem__, reverse=True)
        best = _best([*near, *_scored(made, vector, others[:k])], words, weight)
        worth = (
            best[k // 4][1] if k // 4 < len(best) else 0.0
        )  # a quarter is what is looked at before more are asked for
        end = next(
            (at for at in range(k, len(others)) if _score(least, words[others[at]], weight) < worth), len(others)
        )
        if end > k:
            best = sorted([*best, *_best(_scored(made, vector, others[k:end]), words, weight)], key=_place)
        left = words[others[end]] if end < len(others) else 0.0
        bound = _score(least, left, weight)  # of all that were not scored
        yield [one for one in best if one[1] > bound]
        k *= _MORE


def _scored(made: Made, vector: Vector, ids: Iterable[str]) -> list[Scored]:
    """Some records with their cosines, those that have a vector."""
    there = [(made.records[id], mine) for id in ids if (mine := made.vector(id)) is not None]
    if not there:
        return []
    cosines = products(np.stack([mine for _, mine in there]), vector).tolist()
    return [(record, cosine) for (record, _), cosine in zip(there, cosines, strict=True)]


def _best(scored: Iterable[Scored], words: Mapping[str, float], weight: float) -> _Best:
    """Those that have a score, best first; ties by id."""
    found = [(one, _score(cosine, words.get(one.id, 0.0), weight), cosine) for one, cosine in scored]
    return sorted((one for one in found if one[1]), key=_place)


def _place(one: tuple[Record, float, float]) -> tuple[float, str]:
    return -one[1], one[0].id


def _score(cosine: float, words: float, weight: float) -> float:
    return min(max(cosine, 0.0), 1.0) * (1.0 - weight) + words * weight
