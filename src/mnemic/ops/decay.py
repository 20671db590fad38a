"""Forgetting: how much of a memory is left after a time, and how use makes it last.

Retention R = exp(-t / (c·S)): t since the last recall, S the strength, c a scale. A recall adds 1 to S and starts t anew.
Source: Ebbinghaus, Über das Gedächtnis, 1885; MemoryBank, arXiv 2305.10250 (c = 1; its code means c = 5 and, by
precedence, multiplies by S instead). Layers with a stability and a factor for each day: TradingGPT, arXiv 2309.03736.

Departs: a draw is a hash of the memory's id, not the next number of a generator. So a rebuild draws the same, one memory's
draw does not depend on which others there are, and what is forgotten stays forgotten until it is recalled, while the share
that is kept after a time t is still R(t).

Time is in days, or in steps where a memory lives by steps: only its ratio to scale and strength matters. Time that has not
come yet counts as none.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from mnemic.clock import to_microseconds
from mnemic.errors import ParameterError

T = TypeVar("T")
_DAY = 86_400_000_000  # microseconds


def days(moment: datetime) -> float:
    """The moment in days since 1970, to subtract one from another."""
    return to_microseconds(moment) / _DAY


def retention(elapsed_days: float, strength: float, scale: float = 1.0) -> float:
    """exp(-elapsed_days / (scale·strength)): the share of a memory that is left, in [0, 1]; 1 when no time passed.

    elapsed_days: since the last recall; in steps where the scale is. Raises ParameterError for a strength or a scale that is
    not above 0.

    >>> round(retention(2.0, 1.0), 3), round(retention(2.0, 4.0), 3), retention(-1.0, 1.0)
    (0.135, 0.607, 1.0)
    """
    lasting = scale * strength
    if not lasting > 0.0 or not scale > 0.0:
        raise ParameterError(f"strength={strength!r} and scale={scale!r}: both must be above 0.")
    return math.exp(-max(elapsed_days, 0.0) / lasting)


def reinforced(uses: int) -> float:
    """The strength of a memory that was recalled so many times: S = 1 + uses."""
    if uses < 0:
        raise ParameterError(f"uses={uses}: a memory cannot have been recalled less than 0 times.")
    return 1.0 + uses


@dataclass(frozen=True, slots=True)
class Strength:
    """How often a memory was recalled, and when it was last recalled or made.

    last_at: in days (see `days`) or steps, on the clock that `now` is read from.

    >>> once = Strength(last_at=0.0).recalled(at=3.0)
    >>> once.value, round(once.retention(now=5.0), 3)
    (2.0, 0.368)
    """

    last_at: float
    uses: int = 0

    @property
    def value(self) -> float:
        """S = 1 + uses."""
        return reinforced(self.uses)

    def recalled(self, at: float) -> Strength:
        """After one more recall: stronger, and its time starts anew; a recall told late does not turn the clock back."""
        return Strength(max(at, self.last_at), self.uses + 1)

    def retention(self, now: float, scale: float = 1.0) -> float:
        """What is left of it at `now`."""
        return retention(now - self.last_at, self.value, scale)


def uniform(id: str, seed: int = 0) -> float:
    """A number in [0, 1) that follows from the id and the seed, evenly spread over ids and over seeds."""
    digest = hashlib.blake2b(f"{seed}\x1f{id}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)


def keep_draw(id: str, retention: float, seed: int = 0) -> bool:
    """Whether the memory is kept, which over many ids happens with probability `retention`.

    The same id and seed draw the same number at any time, so a memory that is lost at one retention is lost at every lower.

    >>> keep_draw("m1", 1.0), keep_draw("m1", 0.0)
    (True, False)
    """
    return uniform(id, seed) < retention


def drawn(values: Sequence[T], weights: Sequence[float], id: str, seed: int = 0) -> T:
    """One of the values for the id, each with a probability in proportion to its weight; the same for the same id and seed.

    >>> drawn([50, 70, 90], [0.0, 1.0, 0.0], "event 1")
    70
    """
    total = math.fsum(weights)
    if len(values) != len(weights) or not total > 0.0 or min(weights) < 0.0:
        raise ParameterError(f"weights={list(weights)!r}: give one of 0 or more for each value, and one above 0.")
    left = uniform(id, seed) * total
    for value, weight in zip(values, weights, strict=True):
        left -= weight
        if left < 0.0:
            return value
    return next(value for value, weight in zip(reversed(values), reversed(weights), strict=True) if weight > 0.0)


def exponential(value: float, steps: float, factor: float) -> float:
    """value·factor^steps: what is left of a value that is multiplied by the factor at every step.

    Raises ParameterError for a factor out of [0, 1].
    """
    if not 0.0 <= factor <= 1.0:
        raise ParameterError(f"factor={factor!r}: what decays keeps a share in [0, 1] at each step.")
    return float(value * factor ** max(steps, 0.0))


def recency(days: float, stability_days: float) -> float:
    """exp(-days / stability_days), the recency of an event in a layer of that stability: 14, 90 or 365 days in TradingGPT.

    It is `retention` with the layer's stability for the strength. `signals.recency` halves with a half-life instead:
    a stability of Q days is a half-life of Q·ln 2.
    """
    return retention(days, stability_days)


def importance(v0: float, factor: float, days: float) -> float:
    """v0·factor^days, the importance of an event (0 to 100) in a layer: factor 0.9, 0.967 or 0.988 in TradingGPT."""
    return exponential(v0, days, factor)


def persistence(
    age_days: float, uses: int, *, stability_days: float, recency_weight: float = 1.0, use_weight: float = 1.0
) -> float:
    """recency_weight·exp(-age_days / stability_days) + use_weight·ln(1 + uses): how much speaks for keeping a memory.

    MARK, arXiv 2505.05177, combines the decay of recency with how often a memory was recalled, and gives no formula; this one
    is ours. It grows without bound with use: compare it with others of its kind.
    """
    return recency_weight * recency(age_days, stability_days) + use_weight * math.log(reinforced(uses))
