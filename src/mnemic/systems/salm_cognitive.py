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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from mnemic.errors import ParameterError
from mnemic.model import Cue, Episode, Hit, Link, Reason, Record
from mnemic.ops.adapters import (
    AllAlike,
    AllEpisodic,
    Decay,
    Decision,
    Evidence,
    ForgettingPolicy,
    NeverForgets,
    Place,
    RetrievalPolicy,
    StoragePolicy,
    Thresholds,
    Ucb,
)
from mnemic.ops.decay import days
from mnemic.ops.extract import facts_in
from mnemic.ops.update import superseded
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, keeps_records, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.feedback import feedback_in, heard
from mnemic.systems.made import Made, Vector
from mnemic.systems.mem0 import hits_of, ranked
from mnemic.systems.mem_reader import judged_by_rule, says_less
from mnemic.systems.uses import RECALLED, best_first, note_use, uses_of
from mnemic.systems.view import View

ID = "salm-cognitive"
EPISODIC, SEMANTIC, PROCEDURAL = "episodic", "semantic", "procedural"
KINDS = (EPISODIC, SEMANTIC, PROCEDURAL)
SAID, CREDIT, DONE, FORGOT = "said", "credit", "done", "forgot"  # kinds of links
OUTCOMES = ("success", "failure")
_NEAR, _LIKE = 5, 0.5  # memories with which a statement is compared, from which cosine on
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
            found = hits_of(ranked(asked, view, [kind], 0.3), asked, view)
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
        for link in made.links_of(_arm(store)):
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


# -- writing ----------------------------------------------------------------------------------------------


class Loop:
    """The control loop over one observation."""

    def __init__(
        self,
        storage: StoragePolicy,
        forgetting: ForgettingPolicy,
        stores: Sequence[str],
        view: View,
        draft: Draft,
    ) -> None:
        self._storage, self._forgetting, self._stores = storage, forgetting, stores
        self._view, self._draft = view, draft
        self._facts: dict[str, list[str]] = {}
        self._vectors: dict[str, Vector] = {}

    def foresee(self, episodes: Sequence[Episode]) -> None:
        """What the episodes state, and the vectors of it, at once."""
        for one in episodes:
            texts = [one.text] if "action" in one.metadata else [fact.text for fact in facts_in(one)]
            self._facts[one.id] = list(dict.fromkeys(texts))
        every = list(dict.fromkeys(text for texts in self._facts.values() for text in texts))
        self._vectors = dict(zip(every, self._view.embed(every), strict=True))

    def live(self, episode: Episode) -> None:
        """What was said or done."""
        if isinstance(episode.metadata.get("action"), str) and episode.metadata["action"].strip():
            self._act(episode)
        else:
            for text in self._facts[episode.id]:
                self._state(text, episode)
        if episode.metadata.get("outcome") in OUTCOMES:
            self._end_run(episode)

    def learn(self, episode: Episode) -> None:
        """What was said of memories: it is credited to the stores, and memories may move."""
        said = note_use(self._draft, episode, ID)
        if said is None:
            return
        named = _named_store(episode.metadata)
        for id in dict.fromkeys(said.ids):
            record = self._draft.get(id)
            arms = [named] if named else [record.kind] if record is not None else list(self._stores)
            for arm in arms:
                data = {"at": said.at.isoformat(), "helped": said.verdict in RECALLED}
                self._link(CREDIT, _arm(arm), episode.id, episode, id, data)
            newest = self._newest(record)
            if newest is None:
                continue
            if said.verdict == "wrong" and self._forgetting.gives_way:
                self._give_up(newest, episode, "called wrong")
            elif newest.kind in KINDS:
                self._place_again(newest, episode, newest.text, ())

    # -- statements ---------------------------------------------------------------------------------------

    def _state(self, text: str, episode: Episode) -> None:
        near = self._draft.nearest(self._vectors[text], _NEAR, kinds=[EPISODIC, SEMANTIC], floor=_LIKE)
        same: Record | None = None
        for old, cosine in near:
            if old.data.get("action"):
                continue
            judgement = judged_by_rule(old.text, text, cosine)
            if judgement == "redundant" and same is None:
                same = old
            elif judgement == "contradictory" and self._forgetting.gives_way and _said_at(old) <= episode.occurred_at:
                self._give_up(old, episode, "a newer memory contradicts it")
        if same is not None:
            self._link(SAID, same.data["key"], episode.id, episode, "", {})
            more = same.text if says_less(text, same.text) or not says_less(same.text, text) else text
            if self._place_again(same, episode, more, (episode.id,)):
                return
        self._new(text, episode)

    def _new(self, text: str, episode: Episode, action: str = "") -> Record:
        id = record_id(ID, EPISODIC, text, episode.id)
        data: dict[str, Any] = {"key": id, "ids": [id], "medium": "external", BY: "offline"}
        if action:
            data["action"] = action
        record = self._record(id, EPISODIC, text, (episode.id,), episode, data)
        if self._draft.get(id) is None:
            self._draft.put(record, vector=self._vectors.get(text))
        return record

    # -- actions ------------------------------------------------------------------------------------------

    def _act(self, episode: Episode) -> None:
        action = " ".join(str(episode.metadata["action"]).split())
        record = self._new(episode.text, episode, action)
        runs = self._draft.state.setdefault("runs", {})
        runs.setdefault(_run_of(episode), []).append(record.id)

    def _end_run(self, episode: Episode) -> None:
        """A run of actions is over: if it succeeded often enough it is a skill, and no more if it fails too often."""
        ids = self._draft.state.get("runs", {}).pop(_run_of(episode), [])
        steps = [one for id in ids if (one := self._draft.get(id)) is not None]
        if not steps:
            return
        actions = [str(one.data["action"]) for one in steps]
        key = record_id(ID, PROCEDURAL, *actions)
        sources = tuple(dict.fromkeys((*(source for one in steps for source in one.sources), episode.id)))
        is_success = episode.metadata["outcome"] == "success"
        told = {"is_success": is_success, "steps": [one.id for one in steps]}
        self._link(DONE, key, episode.id, episode, "", told, sources)
        runs = [one for one in self._draft.links_of(key) if one.kind == DONE]
        now = self._newest(self._draft.get(str(self._draft.state.get("skills", {}).get(key, ""))))
        decision = self._storage.place(self._evidence(now, key, episode, is_sequence=True))
        if now is None and decision.place.kind == PROCEDURAL:
            used = tuple(dict.fromkeys(source for one in runs if one.data["is_success"] for source in one.sources))
            id = record_id(ID, PROCEDURAL, key, episode.id)
            data: dict[str, Any] = {
                "key": key,
                "ids": [id],
                "steps": actions,
                "medium": decision.place.medium,
                BY: "offline",
            }
            data["decisions"] = [_logged(episode, "storage", key, Place(), decision)]
            text = "Steps that worked: " + "; then ".join(actions)
            self._draft.put(self._record(id, PROCEDURAL, text, used, episode, data))
            self._draft.state.setdefault("skills", {})[key] = id
            for step in (step for one in runs if one.data["is_success"] for step in one.data["steps"]):
                self._draft.retire(step, episode.recorded_at)  # the episodes became the skill; the log has them still
        elif now is not None and decision.place.kind != PROCEDURAL:
            self._retire(now, episode, _logged(episode, "storage", key, _place_of(now), decision))

    # -- moving -------------------------------------------------------------------------------------------

    def _place_again(self, old: Record, episode: Episode, text: str, more: tuple[str, ...]) -> bool:
        """Let the storage adapter decide anew; whether what was said again has found its place in the old memory."""
        key = str(old.data["key"])
        evidence = self._evidence(old, key, episode, is_sequence=old.kind == PROCEDURAL)
        decision = self._storage.place(evidence)
        before, after = _place_of(old), decision.place
        log: list[dict[str, Any]]
        if after == before:
            if after.kind == EPISODIC or text == old.text:
                return after.kind != EPISODIC
            log = old.data.get("decisions", [])
        else:
            log = [*old.data.get("decisions", []), _logged(episode, "storage", key, before, decision)]
        id = record_id(ID, after.kind, text, key, episode.id)
        if self._draft.get(id) is not None:
            return True
        again = tuple(link.to_id for link in self._draft.links_of(key) if link.kind == SAID)
        sources = tuple(dict.fromkeys((*old.sources, *(again if after.kind != before.kind else ()), *more)))
        data = {**old.data, "ids": [*old.data["ids"], id], "previous": old.id, "medium": after.medium, "decisions": log}
        self._draft.retire(old.id, episode.recorded_at)
        record = self._record(id, after.kind, text, sources, episode, data)
        self._draft.put(replace(record, valid_from=old.valid_from), vector=self._vectors.get(text))
        if old.kind == PROCEDURAL:
            self._draft.state.setdefault("skills", {})[key] = id
        self._draft.state.setdefault("moved", {})[old.id] = id
        return True

    def _evidence(self, record: Record | None, key: str, episode: Episode, *, is_sequence: bool) -> Evidence:
        links = self._draft.links_of(key)
        ids = record.data["ids"] if record is not None else []
        told = uses_of(self._draft, ids)
        runs = [one.data["is_success"] for one in links if one.kind == DONE]
        first = _said_at(record) if record is not None else episode.occurred_at
        return Evidence(
            said=1 + sum(one.kind == SAID for one in links),
            successes=sum(runs),
            failures=len(runs) - sum(runs),
            uses=sum(one.is_recall for one in told),
            unhelpful=sum(one.verdict == "unhelpful" for one in told),
            stable_days=max(days(episode.occurred_at) - days(first), 0.0),
            is_sequence=is_sequence,
        )

    def _give_up(self, record: Record, episode: Episode, why: str) -> None:
        gone = {
            "at": episode.recorded_at.isoformat(),
            "adapter": "forgetting",
            "key": record.data["key"],
            "from": [record.kind, record.data["medium"]],
            "to": [],
            "why": why,
        }
        self._retire(record, episode, gone)

    def _retire(self, record: Record, episode: Episode, logged: Mapping[str, Any]) -> None:
        if (
            gone := self._draft.retire(record.id, episode.recorded_at, superseded(record, episode.occurred_at).valid_to)
        ) is not None:
            link = {"decision": dict(logged)}
            self._link(FORGOT, record.id, episode.id, episode, str(gone.data["key"]), link)

    def _newest(self, record: Record | None) -> Record | None:
        """The version that stands of a memory, None where none does."""
        moved = self._draft.state.get("moved", {})
        while record is not None and record.retired_at is not None:
            record = self._draft.get(moved.get(record.id, ""))
        return record

    # -- inside -------------------------------------------------------------------------------------------

    def _record(
        self, id: str, kind: str, text: str, sources: tuple[str, ...], episode: Episode, data: Mapping[str, Any]
    ) -> Record:
        return Record(
            id=id,
            system=ID,
            scope=self._view.scope,
            kind=kind,
            text=text,
            sources=sources,
            recorded_at=episode.recorded_at,
            valid_from=episode.occurred_at,
            data=data,
        )

    def _link(
        self,
        kind: str,
        one: str,
        other: str,
        episode: Episode,
        more: str,
        data: Mapping[str, Any],
        sources: tuple[str, ...] = (),
    ) -> None:
        self._draft.put_link(
            Link(
                id=record_id(ID, kind, one, other, more),
                system=ID,
                scope=self._view.scope,
                kind=kind,
                from_id=one,
                to_id=other,
                sources=sources or (episode.id,),
                recorded_at=episode.recorded_at,
                data=data,
            )
        )


def _arm(store: str) -> str:
    return record_id(ID, "store", store)


def _named_store(metadata: Mapping[str, Any]) -> str | None:
    said = metadata.get("feedback")
    store = said.get("store") if isinstance(said, Mapping) else None
    return store if isinstance(store, str) and store else None


def _run_of(episode: Episode) -> str:
    return record_id(ID, "run", episode.session or "")


def _place_of(record: Record) -> Place:
    kind: Any = record.kind
    medium: Any = record.data["medium"]
    return Place(kind, medium)


def _said_at(record: Record) -> datetime:
    return record.valid_from or record.recorded_at


def _logged(episode: Episode, adapter: str, key: str, before: Place, decision: Decision) -> dict[str, Any]:
    return {
        "at": episode.recorded_at.isoformat(),
        "adapter": adapter,
        "key": key,
        "from": [before.kind, before.medium],
        "to": [decision.place.kind, decision.place.medium],
        "why": decision.why,
    }
