"""Nearest episodes by the cosine of their vectors with the cue's. A baseline."""

from __future__ import annotations

import numpy as np

from mnemic.model import Cue, Hit, Reason
from mnemic.systems.contract import Card, MemorySystem
from mnemic.systems.view import View


class Dense(MemorySystem):
    """The score is the cosine, cut to [0, 1]: half precision makes some a hair longer than 1."""

    card = Card(
        id="dense",
        title="Dense retrieval over episodes",
        year=2020,
        family="baseline",
        summary="Recall by meaning: the nearest vectors.",
        source="the usual control; vectors of the store's embedder",
        needs=("embedder",),
    )

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        vector = view.query_vector(cue)
        if vector is None:
            return []
        rows, cosines = view.index.vectors.top(vector, cue.limit, view.allowed(cue))
        scores = np.clip(cosines, 0.0, 1.0)
        values = {int(row): float(score) for row, score in zip(rows, scores, strict=True)}
        return view.hits(rows, scores, lambda row: (Reason("meaning", values[row], 1.0),))
