"""SALM: a control loop over memories, whose adapters decide where a thing is kept, where it is looked for and when it goes.

The one idea: episodes, knowledge and skills are three kinds of memory in two media, and what use tells of them moves them: what
is repeated becomes knowledge, what succeeded repeatedly a skill, what is stable and hot is marked for parameters; what proved
unhelpful goes back. A recall asks these memories and other systems of the registry, each as much as its hits have helped. Every
decision stands in the record that it made (`decisions`), and follows from the log.

Card: salm-cognitive. Source: Human-inspired Perspectives: A Survey on AI Long-term Memory, arXiv 2411.00489. The policies and
their thresholds, which are ours: `ops.adapters`. Departs: see `SalmCognitive.card.departures`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from mnemic.errors import ParameterError
from mnemic.model import Cue, Episode, Hit, Link, Reason, Record
from mnemic.ops.adapters import (
    AllAlike,
    AllEpisodic,
    Decay,
    ForgettingPolicy,
    NeverForgets,
    RetrievalPolicy,
    StoragePolicy,
    Thresholds,
    Ucb,
)
from mnemic.ops.decay import days
from mnemic.store.contract import Changes
from mnemic.systems.contract import Card, MemorySystem, keeps_records
from mnemic.systems.feedback import feedback_in, heard
from mnemic.systems.made import Made
from mnemic.systems.meaning_and_words import hits_of, ranked
from mnemic.systems.salm_loop import EPISODIC, FORGOT, ID, KINDS, PROCEDURAL, SEMANTIC, Loop, arm
from mnemic.systems.uses import best_first, uses_of
from mnemic.systems.view import View

_WORDS = 0.3  # their share in a memory's score; the meaning has the rest
_HOW_TO = re.compile(r"(?i)\bhow (?:do|does|can|should|to|did you)\b|\bsteps?\b")
_HAPPENED = re.compile(r"(?i)\bwhen\b|\bwhat happened\b|\bdid\b|\blast\b|\byesterday\b")


@dataclass(frozen=True, slots=True)
class Params:
    """Which adapters are on, and their thresholds; all of them ours."""

    stores: tuple[str, ...] = ("hybrid",)  # systems of the registry that are asked too; they may keep no records
    storage: bool = True
    retrieval: bool = True
    forgetting: bool = True
    repeats: int = 2
    successes: int = 2
    hot: int = 5
    stable_days: float = 30.0
    demoting: int = 2
    exploration: float = 0.3
    scale_days: float = 30.0

    def __post_init__(self) -> None:
        from mnemic.systems.registry import system_class  # the registry imports this module's class by name

        given: Any = self.stores
        if not isinstance(given, list | tuple) or not all(isinstance(one, str) for one in given):
            raise ParameterError(f"stores={self.stores!r}: give a list of systems, such as ['hybrid', 'bm25'].")
        object.__setattr__(self, "stores", tuple(dict.fromkeys(self.stores)))
        keeping = [one for one in self.stores if one == ID or keeps_records(system_class(one)())]
        if keeping:
            raise ParameterError(
                f"stores: {', '.join(keeping)} keeps records of its own. Name systems that only recall."
            )
        if not all(isinstance(one, bool) for one in (self.storage, self.retrieval, self.forgetting)):
            raise ParameterError("storage, retrieval and forgetting are True or False.")


class SalmCognitive(MemorySystem):
    """Adaptive storage, retrieval and forgetting. Each policy may be given; else it is made from the parameters."""

    params_type = Params
    card = Card(
        id=ID,
        title="SALM, cognitive architecture",
        year=2024,
        family="conversation",
        summary="Adapters decide from use where memories live, which stores are asked, and what is forgotten.",
        source="Human-inspired Perspectives: A Survey on AI Long-term Memory, arXiv 2411.00489",
        needs=("embedder",),
        makes=KINDS,
        flow="""
        E[statements, actions, feedback] --> S{storage adapter}
        S --> P[(episodic)]
        S --> K[(semantic)]
        S --> A[(procedural)]
        E --> F{forgetting adapter}
        F --> P
        C[cue] --> R{retrieval adapter}
        P --> R
        K --> R
        A --> R
        L[other systems over the log] --> R
        U[feedback] --> R
        """,
        departures=(
            "The survey gives no constants: all thresholds are ours, and parameters.",
            "A memory that belongs into parameters is marked so (`data['medium']`) and recalled as text: nothing is trained.",
            "Actions are episodes with metadata 'action'; one with metadata 'outcome', success or failure, ends a run.",
            "The bandit learns from feedback in the log; where that names an episode and no store, all over the log share it.",
            "A cue is not expanded and hits are not verified; how useful they were is told by whoever asked, as feedback.",
            "Working memory is what the caller has before them, and no store here.",
            "Decay lowers what an episodic memory scores; the episode itself stays in the log, where other stores find it.",
        ),
    )  # fmt: skip

    def __init__(
        self,
        params: Params | None = None,
        *,
        storage: StoragePolicy | None = None,
        retrieval: RetrievalPolicy | None = None,
        forgetting: ForgettingPolicy | None = None,
    ) -> None:
        self.params = one = params or Params()
        thresholds = Thresholds(one.repeats, one.successes, one.hot, one.stable_days, one.demoting)
        self._storage = storage or (thresholds if one.storage else AllEpisodic())
        self._retrieval = retrieval or (Ucb(one.exploration) if one.retrieval else AllAlike())
        self._forgetting = forgetting or (Decay(one.scale_days) if one.forgetting else NeverForgets())

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        draft = view.draft()
        loop = Loop(self._storage, self._forgetting, self.params.stores, view, draft)
        loop.foresee(heard(episodes))
        for one in episodes:
            if feedback_in(one) is not None:
                loop.learn(one)
            elif heard([one]):
                loop.live(one)
        return draft.changes()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        from mnemic.systems.registry import create  # the registry imports this module's class by name

        asked = replace(cue, threshold=0.0)
        weights = self._retrieval.weights(counts_of(view.made, (*KINDS, *self.params.stores), cue))
        hits: list[Hit] = []
        for kind in KINDS:
            found = hits_of(ranked(asked, view, [kind], _WORDS), asked, view)
            hits += [scaled(hit, weights[kind] * self._left(hit, view.made, cue), kind) for hit in found]
        for store in self.params.stores:
            hits += [scaled(hit, weights[store], store) for hit in create(store).recall(asked, view)]
        hits = [hit for hit in best_first(_once(hits), replace(cue, limit=len(hits))) if hit.score > 0.0]
        return [hit for hit in hits if hit.score >= cue.threshold][: cue.limit]

    def _left(self, hit: Hit, made: Made, cue: Cue) -> float:
        record = hit.record
        if record is None or record.kind != EPISODIC:
            return 1.0
        recalls = [one.at for one in uses_of(made, record.data["ids"], cue) if one.is_recall]
        last = max([hit.occurred_at, *recalls])
        left = self._forgetting.left(days(cue.asked_at) - days(last), len(recalls))
        return (1.0 + left) / 2.0 if left > 0.0 else 0.0


# -- recalling --------------------------------------------------------------------------------------------


def counts_of(made: Made, stores: Sequence[str], cue: Cue) -> dict[str, tuple[int, int]]:
    """For each store (how often its hits were judged, how often they helped), as far as the cue may know.

    A store that suits the form of the cue has one success in advance: skills for "how to", episodes for what happened.
    """
    suited = PROCEDURAL if _HOW_TO.search(cue.text) else EPISODIC if _HAPPENED.search(cue.text) else SEMANTIC
    found: dict[str, tuple[int, int]] = {}
    for store in stores:
        told = helped = 1 if store == suited else 0
        for link in made.links_of(arm(store)):
            is_known = cue.as_of is None or link.recorded_at <= cue.as_of
            if is_known and datetime.fromisoformat(link.data["at"]) <= cue.asked_at:
                told, helped = told + 1, helped + int(link.data["helped"])
        found[store] = (told, helped)
    return found


def scaled(hit: Hit, weight: float, store: str) -> Hit:
    """The hit as a store of that weight counts it; the store is named, so that feedback can name it."""
    reasons = tuple(replace(one, weight=one.weight * weight) for one in hit.reasons)
    score = min(sum(one.contribution for one in reasons), hit.score * weight if reasons else 0.0)
    note = Reason("store", min(max(weight, 0.0), 1.0), 0.0, store)
    return replace(hit, score=score, reasons=(*reasons, note))


def _once(hits: Iterable[Hit]) -> list[Hit]:
    """Each episode once, by the best of its hits: as itself, or as the one memory that was made of it alone."""
    best: dict[str, Hit] = {}
    for hit in hits:
        name = hit.sources[0] if len(hit.sources) == 1 and hit.kind in ("episode", EPISODIC) else hit.id
        if name not in best or (hit.score, best[name].id) > (best[name].score, hit.id):
            best[name] = hit
    return list(best.values())


def decisions(records: Iterable[Record], links: Iterable[Link] = ()) -> list[dict[str, Any]]:
    """What the adapters decided, oldest first: {"at", "adapter", "key", "from", "to", "why"}.

    records: all versions, as `memory.records(system="salm-cognitive")` gives them; what was forgotten stands in the links.
    """
    found: list[dict[str, Any]] = [decision for one in records for decision in one.data.get("decisions", ())]
    found += [one.data["decision"] for one in links if one.kind == FORGOT]
    unique: dict[tuple[str, str, str, str], dict[str, Any]] = {
        (one["at"], one["adapter"], one["key"], str(one["to"])): one for one in found
    }
    return [unique[name] for name in sorted(unique)]
