"""Any episodes, in an order that a hash decides: what a system must beat to have done anything at all. A baseline."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from mnemic.errors import ParameterError
from mnemic.model import Cue, Hit, Reason
from mnemic.systems.contract import Card, MemorySystem
from mnemic.systems.view import View


@dataclass(frozen=True, slots=True)
class Params:
    """Which of the orders."""

    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise ParameterError(f"seed={self.seed!r}: give a whole number.")


class RandomOrder(MemorySystem):
    """Shuffled by a hash of the seed, the cue's text and the episode's id, so that the same cue gives the same hits."""

    params_type = Params
    card = Card(
        id="random",
        title="Random episodes",
        year=2026,
        family="baseline",
        summary="Any episodes that the cue allows, shuffled by a hash of the cue and the episode's id.",
        source="the usual control: chance",
    )

    def __init__(self, params: Params | None = None) -> None:
        self.params = params or Params()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        allowed = view.allowed(cue)
        rows = np.arange(len(view.index)) if allowed is None else np.flatnonzero(allowed)
        drawn = {row: chance(self.params.seed, cue.text, one.id) for row, one in view.episodes(rows).items()}
        shown = sorted(drawn, key=lambda row: (-drawn[row], row))[: cue.limit]
        return view.hits(shown, [drawn[row] for row in shown], lambda row: (Reason("chance", drawn[row], 1.0),))


def chance(seed: int, *parts: str) -> float:
    """A number in [0, 1) that depends on the seed and the texts alone.

    >>> chance(0, "cue", "e1") == chance(0, "cue", "e1") != chance(1, "cue", "e1")
    True
    """
    content = "\x1f".join((str(seed), *parts)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=6).digest(), "big") / 2**48
