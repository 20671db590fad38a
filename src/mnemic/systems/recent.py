"""The most recent episodes, whatever the cue: what an agent without a memory has in its window. A baseline."""

from __future__ import annotations

import numpy as np

from mnemic.model import Cue, Hit, Reason
from mnemic.systems.contract import Card, MemorySystem
from mnemic.systems.view import View


class Recent(MemorySystem):
    """Newest first, by when things happened; ties by the order of the log."""

    card = Card(
        id="recent",
        title="Most recent episodes",
        year=2026,
        family="baseline",
        summary="The last episodes that the cue allows, newest first.",
        source="the usual control",
    )

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        index, allowed = view.index, view.allowed(cue)
        rows = np.arange(len(index)) if allowed is None else np.flatnonzero(allowed)
        rows = rows[np.lexsort((-rows, -index.occurred_at[rows]))][: cue.limit]
        scores = 1.0 / np.arange(1, len(rows) + 1, dtype=np.float32)
        ranks = {int(row): float(score) for row, score in zip(rows, scores, strict=True)}
        return view.hits(rows, scores, lambda row: (Reason("recency", ranks[row], 1.0),))
