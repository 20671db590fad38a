"""Plain reciprocal rank fusion of the dense and the BM25 ranking. A baseline."""

from __future__ import annotations

from dataclasses import replace

from mnemic.model import Cue, Hit, Reason
from mnemic.ops.fuse import RRF_K, reciprocal_rank_fusion
from mnemic.systems.bm25 import BM25
from mnemic.systems.contract import Card, MemorySystem
from mnemic.systems.dense import Dense
from mnemic.systems.view import View

DEPTH = 100  # how far down each ranking is read


class ReciprocalRank(MemorySystem):
    """Each ranking is read 100 deep; the score is scaled so that first place in both is 1."""

    card = Card(
        id="rrf",
        title="Reciprocal rank fusion of dense and BM25",
        year=2009,
        family="baseline",
        summary="The two baselines' rankings, merged by rank alone.",
        source="Cormack, Clarke and Büttcher, 2009",
        needs=("embedder",),
    )

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        deep = replace(cue, limit=max(cue.limit, DEPTH))
        rankings = {"meaning": Dense().recall(deep, view), "words": BM25().recall(deep, view)}
        hits = {hit.episode.seq: hit for ranking in rankings.values() for hit in ranking if hit.episode}
        places = {
            name: {hit.episode.seq: rank for rank, hit in enumerate(ranking) if hit.episode}
            for name, ranking in rankings.items()
        }
        fused = reciprocal_rank_fusion([list(place) for place in places.values()])
        order = sorted(fused, key=lambda seq: (-fused[seq], seq))[: cue.limit]
        first = RRF_K + 1.0
        return [
            Hit(
                score=fused[seq] * first / 2,
                episode=hits[seq].episode,
                reasons=tuple(
                    Reason(name, first / (first + place[seq]), 0.5, f"rank {place[seq] + 1}")
                    for name, place in places.items()
                    if seq in place
                ),
            )
            for seq in order
        ]
