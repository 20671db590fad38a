"""BM25 over the episodes' stemmed terms, with the scope's own statistics. A baseline."""

from __future__ import annotations

import numpy as np

from mnemic.index.vectors import best
from mnemic.model import Cue, Hit, Reason
from mnemic.systems.contract import Card, MemorySystem
from mnemic.systems.view import View
from mnemic.text.terms import terms


class BM25(MemorySystem):
    """Scores are s / (s + 10) of the BM25 sum s: in [0, 1), in the same order, comparable between cues."""

    card = Card(
        id="bm25",
        title="BM25 over episodes",
        year=1994,
        family="baseline",
        summary="Lexical recall: rare words of the cue weigh most.",
        source="Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009",
    )

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        index, wanted = view.index, terms(cue.text)
        sums, _ = index.lexical.scores(wanted, view.visible(cue))
        allowed = view.allowed(cue)
        found = sums > 0 if allowed is None else (sums > 0) & allowed
        rows = best(sums, cue.limit, found)
        rows = rows[np.lexsort((rows, -sums[rows]))]
        scores = sums[rows] / (sums[rows] + 10.0)
        values = {int(row): float(score) for row, score in zip(rows, scores, strict=True)}
        return view.hits(rows, scores, lambda row: (Reason("words", values[row], 1.0),))
