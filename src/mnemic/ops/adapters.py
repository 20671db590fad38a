"""Who decides where a memory lives, where it is looked for and how long it lasts: three adapters, each a policy to be replaced.

The one idea: each process of a long-term memory has a controller that decides from what use has told. Storage: what is new is
an episode, what is repeated is knowledge, what succeeded repeatedly is a skill, what is stable and hot belongs into parameters.
Retrieval: of several stores the one whose hits helped is asked first (a bandit). Forgetting: by decay, interference and deletion.

Source: Human-inspired Perspectives: A Survey on AI Long-term Memory, arXiv 2411.00489, its architecture SALM. It gives no
constants: all thresholds are ours. The bandit is UCB1 (Auer et al., 2002) over means with one success and one failure as prior.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from mnemic.errors import ParameterError
from mnemic.ops.decay import retention

Kind = Literal["episodic", "semantic", "procedural"]
Medium = Literal["external", "parameters"]


@dataclass(frozen=True, slots=True)
class Place:
    """A cell of the matrix: which kind of memory, in which medium."""

    kind: Kind = "episodic"
    medium: Medium = "external"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a memory when it is decided where it lives."""

    said: int = 1  # in how many episodes
    successes: int = 0  # of a sequence of actions
    failures: int = 0
    uses: int = 0  # times it was used or helped
    unhelpful: int = 0
    stable_days: float = 0.0  # since it was last changed
    is_sequence: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """A place and why."""

    place: Place
    why: str


class StoragePolicy(Protocol):
    """Chooses kind and medium."""

    def place(self, evidence: Evidence) -> Decision: ...


class RetrievalPolicy(Protocol):
    """Weighs stores."""

    def weights(self, counts: Mapping[str, tuple[int, int]]) -> dict[str, float]:
        """For each store its weight in [0, 1]; counts: (how often it was told of, how often it had helped)."""
        ...


class ForgettingPolicy(Protocol):
    """Says what is left of a memory, and what is given up."""

    @property
    def gives_way(self) -> bool:
        """Whether what contradicts a newer memory, or was called wrong, goes."""
        ...

    def left(self, elapsed_days: float, uses: int) -> float:
        """The share in [0, 1] that is left so long after the last use; 0 for what is not recalled any more."""
        ...


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Storage by thresholds.

    >>> Thresholds().place(Evidence(said=2)).place.kind, Thresholds().place(Evidence(said=2, unhelpful=2)).place.kind
    ('semantic', 'episodic')
    """

    repeats: int = 2  # episodes that say a thing, from which on it is knowledge
    successes: int = 2  # of a sequence of actions, from which on it is a skill
    hot: int = 5  # uses from which on, and
    stable_days: float = 30.0  # days unchanged from which on, a memory belongs into parameters
    demoting: int = 2  # times unhelpful, or failures beyond successes, that take a memory one step back

    def __post_init__(self) -> None:
        if min(self.repeats, self.successes, self.hot, self.demoting) < 1 or self.stable_days < 0:
            raise ParameterError(f"{self}: thresholds are 1 or more, stable_days 0 or more.")

    def place(self, evidence: Evidence) -> Decision:
        if evidence.unhelpful >= self.demoting:
            return Decision(Place(), f"unhelpful {evidence.unhelpful} times")
        if evidence.is_sequence:
            if evidence.successes < self.successes or evidence.failures - evidence.successes >= self.demoting:
                return Decision(Place(), f"succeeded {evidence.successes} times, failed {evidence.failures}")
            kind: Kind = "procedural"
            why = f"succeeded {evidence.successes} times"
        else:
            if evidence.said < self.repeats:
                return Decision(Place(), f"said {evidence.said} times")
            kind, why = "semantic", f"said {evidence.said} times"
        if evidence.uses >= self.hot and evidence.stable_days >= self.stable_days:
            return Decision(
                Place(kind, "parameters"), f"used {evidence.uses} times, unchanged for {evidence.stable_days:.0f} days"
            )
        return Decision(Place(kind), why)


@dataclass(frozen=True, slots=True)
class AllEpisodic:
    """Storage turned off: everything stays an episode."""

    def place(self, evidence: Evidence) -> Decision:
        return Decision(Place(), "the storage adapter is off")


@dataclass(frozen=True, slots=True)
class Ucb:
    """Retrieval as a bandit: upper confidence bounds of how often a store's hits helped."""

    exploration: float = 0.3

    def __post_init__(self) -> None:
        if not 0.0 <= self.exploration < math.inf:
            raise ParameterError(f"exploration={self.exploration!r}: give a number of 0 or more.")

    def bounds(self, counts: Mapping[str, tuple[int, int]]) -> dict[str, float]:
        """(helped + 1) / (told + 2) + exploration·sqrt(ln(1 + all told) / (told + 1)), by store."""
        total = sum(told for told, _ in counts.values())
        return {
            store: (helped + 1) / (told + 2) + self.exploration * math.sqrt(math.log(1 + total) / (told + 1))
            for store, (told, helped) in counts.items()
        }

    def weights(self, counts: Mapping[str, tuple[int, int]]) -> dict[str, float]:
        bounds = self.bounds(counts)
        best = max(bounds.values(), default=1.0)
        return {store: bound / best for store, bound in bounds.items()}

    def choice(self, counts: Mapping[str, tuple[int, int]]) -> str:
        """The store of the highest bound; of equal ones the first."""
        bounds = self.bounds(counts)
        return max(bounds, key=lambda store: bounds[store])


@dataclass(frozen=True, slots=True)
class AllAlike:
    """Retrieval turned off: every store counts the same."""

    def weights(self, counts: Mapping[str, tuple[int, int]]) -> dict[str, float]:
        return dict.fromkeys(counts, 1.0)


@dataclass(frozen=True, slots=True)
class Decay:
    """Forgetting by the curve exp(-t / (scale·(1 + uses))), by interference and by deletion."""

    scale_days: float = 30.0
    floor: float = 0.02  # of what less is left, nothing is recalled
    gives_way: bool = True

    def __post_init__(self) -> None:
        if not self.scale_days > 0.0 or not 0.0 <= self.floor < 1.0:
            raise ParameterError(f"scale_days={self.scale_days!r} must be above 0, floor={self.floor!r} in [0, 1).")

    def left(self, elapsed_days: float, uses: int) -> float:
        share = retention(elapsed_days, 1.0 + uses, self.scale_days)
        return share if share >= self.floor else 0.0


@dataclass(frozen=True, slots=True)
class NeverForgets:
    """Forgetting turned off."""

    gives_way: bool = False

    def left(self, elapsed_days: float, uses: int) -> float:
        return 1.0
