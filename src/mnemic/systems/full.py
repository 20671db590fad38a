"""The whole log in order, as far as the limit reaches: the full-context control."""

from __future__ import annotations

import numpy as np

from mnemic.model import Cue, Hit, Reason
from mnemic.systems.contract import Card, MemorySystem
from mnemic.systems.view import View


class Full(MemorySystem):
    """Oldest first; nothing is chosen, so every score is 1."""

    card = Card(
        id="full",
        title="Full context",
        year=2026,
        family="baseline",
        summary="Everything that the cue allows, oldest first, up to the limit.",
        source="the usual control",
    )

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        index, allowed = view.index, view.allowed(cue)
        rows = np.arange(len(index)) if allowed is None else np.flatnonzero(allowed)
        rows = rows[np.lexsort((rows, index.occurred_at[rows]))][: cue.limit]
        return view.hits(rows, [1.0] * len(rows), lambda row: (Reason("everything", 1.0, 1.0),))
