"""The control loop of SALM over what is observed: statements, actions and feedback, and what they move.

The one idea: whatever happens is evidence about a memory, and after each piece of it the storage adapter is asked anew where
that memory lives, and the forgetting adapter what gives way. Each decision is kept with what it made. See `salm_cognitive`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from mnemic.model import Episode, Link, Record
from mnemic.ops.adapters import Decision, Evidence, ForgettingPolicy, Place, StoragePolicy
from mnemic.ops.decay import days
from mnemic.ops.extract import facts_in
from mnemic.ops.update import superseded
from mnemic.systems.contract import BY, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.made import Vector
from mnemic.systems.mem_reader import judged_by_rule, says_less
from mnemic.systems.uses import RECALLED, note_use, uses_of
from mnemic.systems.view import View

ID = "salm-cognitive"
EPISODIC, SEMANTIC, PROCEDURAL = "episodic", "semantic", "procedural"
KINDS = (EPISODIC, SEMANTIC, PROCEDURAL)
SAID, CREDIT, DONE, FORGOT = "said", "credit", "done", "forgot"  # kinds of links
OUTCOMES = ("success", "failure")
_NEAR, _LIKE = 5, 0.5  # memories with which a statement is compared, from which cosine on


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
            for store in [named] if named else [record.kind] if record is not None else self._stores:
                data = {"at": said.at.isoformat(), "helped": said.verdict in RECALLED}
                self._link(CREDIT, arm(store), episode.id, episode, id, data)
            newest = self._newest(record)
            if newest is None:
                continue
            if said.verdict == "wrong" and self._forgetting.gives_way:
                self._give_up(newest, episode, "called wrong")
            elif newest.kind in KINDS:
                self._place_again(newest, episode, newest.text, ())

    # -- statements ---------------------------------------------------------------------------------------

    def _state(self, text: str, episode: Episode) -> None:
        near = self._draft.nearest(
            self._vectors[text], _NEAR, kinds=[EPISODIC, SEMANTIC], floor=_LIKE, standing_at=episode.seq
        )
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
        if text != old.text:
            data["changed_at"] = episode.occurred_at.isoformat()
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
        changed_at = _changed_at(record) if record is not None else episode.occurred_at
        return Evidence(
            said=1 + sum(one.kind == SAID for one in links),
            successes=sum(runs),
            failures=len(runs) - sum(runs),
            uses=sum(one.is_recall for one in told),
            unhelpful=sum(one.verdict == "unhelpful" for one in told),
            stable_days=max(days(episode.occurred_at) - days(changed_at), 0.0),
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


def arm(store: str) -> str:
    """The id under which a store's credit is kept."""
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


def _changed_at(record: Record) -> datetime:
    """Since when it says what it says."""
    changed = record.data.get("changed_at")
    return datetime.fromisoformat(changed) if changed else _said_at(record)


def _logged(episode: Episode, adapter: str, key: str, before: Place, decision: Decision) -> dict[str, Any]:
    return {
        "at": episode.recorded_at.isoformat(),
        "adapter": adapter,
        "key": key,
        "from": [before.kind, before.medium],
        "to": [decision.place.kind, decision.place.medium],
        "why": decision.why,
    }
