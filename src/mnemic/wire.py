"""The nouns as JSON, without loss: what the server sends and the client reads.

`*_json` gives JSON-ready values, `*_from` the noun back. Of a context block only what it cites and costs travels with its
text. Unknown fields are ignored, so that an older client reads a newer server.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mnemic.clock import parse_time
from mnemic.formats.message import Problem
from mnemic.memory.forget import Receipt
from mnemic.memory.remember import Added
from mnemic.memory.results import Context, Version
from mnemic.memory.transfer import Imported
from mnemic.memory.why_not import Lack, Obstacle, WhyNot
from mnemic.model import Cue, Episode, Hit, Link, Reason, Recall, Record, Session
from mnemic.ops.pack import Citation

Json = dict[str, Any]


def episode_json(episode: Episode) -> Json:
    """An episode, with its position in the log."""
    return {**episode.to_dict(), "seq": episode.seq}


def episode_from(values: Mapping[str, Any]) -> Episode:
    """The inverse of `episode_json`."""
    return Episode(
        text=values["text"],
        id=values["id"],
        scope=values["scope"],
        occurred_at=parse_time(values["occurred_at"]),
        recorded_at=parse_time(values["recorded_at"]),
        role=values["role"],
        actor=values.get("actor"),
        session=values.get("session"),
        metadata=values.get("metadata", {}),
        parts=tuple(values.get("parts", ())),
        supersedes=values.get("supersedes"),
        origin=values.get("origin", "observed"),
        echo_of=tuple(values.get("echo_of", ())),
        seq=values.get("seq", 0),
    )


def record_from(values: Mapping[str, Any]) -> Record:
    """The inverse of `Record.to_dict`."""
    return Record(
        id=values["id"],
        system=values["system"],
        scope=values["scope"],
        kind=values["kind"],
        text=values["text"],
        sources=tuple(values["sources"]),
        recorded_at=parse_time(values["recorded_at"]),
        data=values.get("data", {}),
        valid_from=_time(values.get("valid_from")),
        valid_to=_time(values.get("valid_to")),
        retired_at=_time(values.get("retired_at")),
        strength=values["strength"],
    )


def link_from(values: Mapping[str, Any]) -> Link:
    """The inverse of `Link.to_dict`."""
    return Link(
        id=values["id"],
        system=values["system"],
        scope=values["scope"],
        kind=values["kind"],
        from_id=values["from_id"],
        to_id=values["to_id"],
        sources=tuple(values["sources"]),
        recorded_at=parse_time(values["recorded_at"]),
        weight=values["weight"],
        data=values.get("data", {}),
    )


def session_from(values: Mapping[str, Any]) -> Session:
    """The inverse of `Session.to_dict`."""
    return Session(
        session=values["session"],
        scope=values["scope"],
        episodes=values["episodes"],
        began_at=parse_time(values["began_at"]),
        ended_at=parse_time(values["ended_at"]),
        first_seq=values["first_seq"],
        last_seq=values["last_seq"],
    )


def hit_json(hit: Hit) -> Json:
    """A hit: the episode or record whole, and every reason."""
    values: Json = {
        "id": hit.id,
        "text": hit.text,
        "score": hit.score,
        "kind": hit.kind,
        "scope": hit.scope,
        "occurred_at": hit.occurred_at.isoformat(),
        "sources": list(hit.sources),
        "reasons": [
            {"signal": one.signal, "value": one.value, "weight": one.weight, "note": one.note} for one in hit.reasons
        ],
        "duplicates": list(hit.duplicates),
    }
    if hit.episode is not None:
        values["episode"] = episode_json(hit.episode)
    if hit.record is not None:
        values["record"] = hit.record.to_dict()
    return values


def hit_from(values: Mapping[str, Any]) -> Hit:
    """The inverse of `hit_json`."""
    return Hit(
        score=values["score"],
        episode=episode_from(values["episode"]) if values.get("episode") else None,
        record=record_from(values["record"]) if values.get("record") else None,
        reasons=tuple(
            Reason(one["signal"], one["value"], one["weight"], one.get("note", "")) for one in values["reasons"]
        ),
        duplicates=tuple(values.get("duplicates", ())),
    )


def recall_json(recall: Recall) -> Json:
    """A recall, with the cue that it answers."""
    return {
        "results": [hit_json(hit) for hit in recall.hits],
        "cue": cue_json(recall.cue),
        "system": recall.system,
        "path": recall.path,
        "confidence": recall.confidence,
        "is_doubtful": recall.is_doubtful,
        "elapsed_ms": recall.elapsed_ms,
        "behind": recall.behind,
    }


def recall_from(values: Mapping[str, Any]) -> Recall:
    """The inverse of `recall_json`."""
    return Recall(
        cue=cue_from(values["cue"]),
        hits=tuple(map(hit_from, values["results"])),
        system=values["system"],
        path=values["path"],
        elapsed_ms=values["elapsed_ms"],
        confidence=values.get("confidence"),
        behind=values.get("behind", 0),
    )


def cue_json(cue: Cue) -> Json:
    """A cue, empty fields left out."""
    values: Json = {
        "text": cue.text,
        "scope": cue.scope,
        "asked_at": cue.asked_at.isoformat(),
        "limit": cue.limit,
        "include_children": cue.include_children,
        "threshold": cue.threshold,
    }
    if cue.session is not None:
        values["session"] = cue.session
    for name in ("since", "until", "as_of"):
        if (moment := getattr(cue, name)) is not None:
            values[name] = moment.isoformat()
    if cue.filters:
        values["filters"] = dict(cue.filters)
    return values


def cue_from(values: Mapping[str, Any]) -> Cue:
    """The inverse of `cue_json`."""
    return Cue(
        text=values["text"],
        scope=values["scope"],
        asked_at=parse_time(values["asked_at"]),
        limit=values["limit"],
        include_children=values["include_children"],
        session=values.get("session"),
        since=_time(values.get("since")),
        until=_time(values.get("until")),
        as_of=_time(values.get("as_of")),
        filters=values.get("filters"),
        threshold=values["threshold"],
    )


def context_json(context: Context) -> Json:
    """A context block, and the recall that it was made from."""
    return {
        "text": str(context),
        "tokens": context.tokens,
        "citations": [{"mark": one.mark, "id": one.id, "sources": list(one.sources)} for one in context.citations],
        "recall": recall_json(context.recall),
    }


def context_from(values: Mapping[str, Any]) -> Context:
    """The inverse of `context_json`."""
    citations = tuple(Citation(one["mark"], one["id"], tuple(one["sources"])) for one in values["citations"])
    return Context(values["text"], citations, values["tokens"], recall_from(values["recall"]))


def added_json(added: Added) -> Json:
    """What an add did, the episodes as the log holds them."""
    return {
        **added.to_dict(),
        "episodes": [episode_json(episode) for episode in added.episodes],
        "is_new": list(added.is_new),
    }


def added_from(values: Mapping[str, Any]) -> Added:
    """The inverse of `added_json`."""
    return Added(tuple(map(episode_from, values["episodes"])), tuple(values["is_new"]))


def version_json(version: Version) -> Json:
    """One text that a memory had."""
    return {
        "episode": episode_json(version.episode),
        "event": version.event,
        "old_memory": version.old_memory,
    }


def version_from(values: Mapping[str, Any]) -> Version:
    """The inverse of `version_json`."""
    return Version(episode_from(values["episode"]), values["event"], values.get("old_memory"))


def receipt_from(values: Mapping[str, Any]) -> Receipt:
    """The inverse of `Receipt.to_dict`."""
    return Receipt(
        scope=values["scope"],
        ids=tuple(values["ids"]),
        at=parse_time(values["at"]),
        records=values["records"],
        links=values["links"],
        answers=values["answers"],
        rebuilt_systems=tuple(values["rebuilt_systems"]),
        is_scrubbed=values["is_scrubbed"],
        is_dry_run=values["is_dry_run"],
    )


def imported_from(values: Mapping[str, Any]) -> Imported:
    """The inverse of `Imported.to_dict`."""
    problems = [Problem(one["location"], one["reason"], one.get("excerpt", "")) for one in values["problems"]]
    return Imported(values["added"], values["skipped"], problems, dict(values["scopes"]))


def why_not_json(found: WhyNot) -> Json:
    """Why something was not found, its numbers as they are."""
    return {
        **found.to_dict(),
        "similarity": found.similarity,
        "score": found.score,
        "last_score": found.last_score,
        "episode": None if found.episode is None else episode_json(found.episode),
        "lacks": [
            {"signal": one.signal, "value": one.value, "last": one.last, "deficit": one.deficit} for one in found.lacks
        ],
    }


def why_not_from(values: Mapping[str, Any]) -> WhyNot:
    """The inverse of `why_not_json`."""
    episode = values.get("episode")
    return WhyNot(
        query=values["query"],
        wanted=values["wanted"],
        system=values["system"],
        found_by=values["found_by"],
        episode=episode_from(episode) if episode else None,
        similarity=values["similarity"],
        rank=values.get("rank"),
        score=values.get("score"),
        folded_into=values.get("folded_into"),
        limit=values["limit"],
        last_score=values.get("last_score"),
        obstacles=tuple(Obstacle(one["kind"], one["says"], one["change"]) for one in values["obstacles"]),
        lacks=tuple(Lack(**one) for one in values["lacks"]),
    )


def _time(value: str | None) -> datetime | None:
    return None if value is None else parse_time(value)
