"""Which memories are at hand: a working set that questions renew, and when what is derived from it must be made again.

The one idea: each memory in the set has a monitor. A question ranks the old set together with what was found for it; the better
the rank, the more words it shares with the question and the oftener it came up, the more it matters. What came up again stays,
what did not leaves, but for the best few, which wait with their scores at zero.

Importance = 0.9·s + min(0.05·w, 5) + min(0.05·c, 2): s the sorting score, w the words' score, c how often it was recorded.
Source: MemOS, arXiv 2507.03724; formula and numbers as in its repository of mid-August 2025.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

CAPACITY = 30  # monitors
RETAINED = 2  # of those that would leave
HOT = 20  # memories that feed the activation memory
REBUILD_EVERY = timedelta(seconds=300)


@dataclass(frozen=True, slots=True)
class Monitor:
    """What is known of a memory in the working set."""

    id: str
    sorting: float = 0.0  # n for the first of n in the last ranking, 1 for the last of them
    words: float = 0.0  # how many words of the question it has
    count: int = 1  # in how many rankings it came up

    @property
    def importance(self) -> float:
        """0.9·sorting + min(0.05·words, 5) + min(0.05·count, 2).

        >>> round(Monitor("a", sorting=10.0, words=20.0, count=4).importance, 3)
        10.2
        """
        return 0.9 * self.sorting + min(0.05 * self.words, 5.0) + min(0.05 * self.count, 2.0)


@dataclass(frozen=True, slots=True)
class Activation:
    """The texts that a model would be prefilled with, and when they were put together."""

    text: str = ""
    built_at: datetime | None = None


def renewed(
    old: Sequence[Monitor],
    ranked: Sequence[str],
    words: Mapping[str, float],
    *,
    capacity: int = CAPACITY,
    retained: int = RETAINED,
) -> list[Monitor]:
    """The working set after a ranking, the most important first.

    ranked: ids of memories, best first. words: by id, the score of the question's words. What came up before counts once more;
    of what did not come up the best `retained` stay, with scores of zero.
    """
    before = {one.id: one for one in old}
    ids = list(dict.fromkeys(ranked))
    kept = [
        Monitor(id, float(len(ids) - at), words.get(id, 0.0), before[id].count + 1 if id in before else 1)
        for at, id in enumerate(ids)
    ]
    leaving = by_importance([one for one in old if one.id not in ids])[:retained]
    waiting = [replace(one, sorting=0.0, words=0.0) for one in leaving]
    return [*by_importance(kept)[: max(capacity - len(waiting), 0)], *waiting][:capacity]


def by_importance(monitors: Sequence[Monitor]) -> list[Monitor]:
    """The most important first; ties by id."""
    return sorted(monitors, key=lambda one: (-one.importance, one.id))


def activated(
    before: Activation,
    monitors: Sequence[Monitor],
    texts: Mapping[str, str],
    now: datetime,
    *,
    hot: int = HOT,
    every: timedelta = REBUILD_EVERY,
) -> Activation:
    """The activation memory for a working set: `before` itself while its set of texts is the same or it is too young.

    texts: of the memories, by id; one without a text is left out.
    """
    chosen = [texts[one.id] for one in by_importance(monitors)[:hot] if one.id in texts]
    text = "\n".join(sorted(dict.fromkeys(chosen)))
    if text == before.text or (before.built_at is not None and now - before.built_at < every):
        return before
    return Activation(text, now)
