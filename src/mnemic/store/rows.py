"""Between nouns and rows: how an episode, a record and a link stand in their tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from mnemic.clock import from_microseconds, offset_minutes, to_microseconds
from mnemic.model import ECHO, OBSERVED, Episode, Link, Record
from mnemic.store.contract import Entry

INSERT_EPISODE = "INSERT INTO episodes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
EPISODE_COLUMNS = (
    "e.seq, s.path, e.id, e.occurred_at, e.occurred_offset, e.recorded_at, e.role, e.actor, e.session, "
    "e.supersedes, e.echo_of, e.text, e.parts, e.metadata"
)
IN_EPISODES = "FROM episodes e JOIN scopes s USING (scope_id)"
RECORD_COLUMNS = "record_no, id, kind, recorded_at, valid_from, valid_to, retired_at, strength, text, data"
LINK_COLUMNS = "link_no, id, kind, from_id, to_id, weight, recorded_at, data"
_CHUNK = 500  # values in one IN (…)


def to_json(value: Any) -> str | None:
    """Compact JSON, or None for what is empty."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=dict) if value else None


def episode_row(entry: Entry, seq: int, scope_id: int) -> tuple[Any, ...]:
    """The values of one row of `episodes`, in the order of its columns."""
    episode = entry.episode
    return (
        seq,
        scope_id,
        episode.id,
        to_microseconds(episode.occurred_at),
        offset_minutes(episode.occurred_at),
        to_microseconds(episode.recorded_at),
        entry.content_hash,
        episode.role,
        episode.actor,
        episode.session,
        episode.supersedes,
        # an echo of something unnamed is still an echo: "[]" and NULL differ
        json.dumps(list(episode.echo_of)) if episode.origin == ECHO else None,
        entry.terms,
        entry.vector,
        episode.text,
        to_json(episode.parts),
        to_json(episode.metadata),
    )


def episode_from(row: tuple[Any, ...]) -> Episode:
    """An episode from the columns of EPISODE_COLUMNS."""
    (
        seq,
        path,
        id,
        occurred,
        offset,
        recorded,
        role,
        actor,
        session,
        supersedes,
        echo_of,
        text,
        parts,
        metadata,
    ) = row
    return Episode(
        text=text,
        id=id,
        scope=path,
        occurred_at=from_microseconds(occurred, offset),
        recorded_at=from_microseconds(recorded),
        role=role,
        actor=actor,
        session=session,
        metadata=json.loads(metadata) if metadata else {},
        parts=tuple(json.loads(parts)) if parts else (),
        supersedes=supersedes,
        origin=OBSERVED if echo_of is None else ECHO,
        echo_of=tuple(json.loads(echo_of)) if echo_of else (),
        seq=seq,
    )


def has_same_content(one: Episode, other: Episode) -> bool:
    """Whether a retry sends what is already there: everything but the times and what the log itself adds."""
    return (
        one.text,
        one.role,
        one.actor,
        one.session,
        dict(one.metadata),
        [dict(part) for part in one.parts],
    ) == (
        other.text,
        other.role,
        other.actor,
        other.session,
        dict(other.metadata),
        [dict(part) for part in other.parts],
    )


def microseconds(moment: datetime | None) -> int | None:
    """Microseconds since 1970, or None."""
    return None if moment is None else to_microseconds(moment)


def moment(value: int | None) -> datetime | None:
    """The inverse of `microseconds`."""
    return None if value is None else from_microseconds(value)


def record_row(record: Record, scope_id: int) -> tuple[Any, ...]:
    """The values of one row of `records` without its number."""
    return (
        scope_id,
        record.system,
        record.id,
        record.kind,
        to_microseconds(record.recorded_at),
        microseconds(record.valid_from),
        microseconds(record.valid_to),
        microseconds(record.retired_at),
        record.strength,
        record.text,
        to_json(record.data),
    )


def record_from(row: tuple[Any, ...], system: str, scope: str, sources: tuple[str, ...]) -> Record:
    """A record from the columns of RECORD_COLUMNS."""
    _, id, kind, recorded, valid_from, valid_to, retired, strength, text, data = row
    return Record(
        id=id,
        system=system,
        scope=scope,
        kind=kind,
        text=text,
        sources=sources,
        recorded_at=from_microseconds(recorded),
        data=_mapping(data),
        valid_from=moment(valid_from),
        valid_to=moment(valid_to),
        retired_at=moment(retired),
        strength=strength,
    )


def link_row(link: Link, scope_id: int) -> tuple[Any, ...]:
    """The values of one row of `links` without its number."""
    return (
        scope_id,
        link.system,
        link.id,
        link.kind,
        link.from_id,
        link.to_id,
        link.weight,
        to_microseconds(link.recorded_at),
        to_json(link.data),
    )


def link_from(row: tuple[Any, ...], system: str, scope: str, sources: tuple[str, ...]) -> Link:
    """A link from the columns of LINK_COLUMNS."""
    _, id, kind, from_id, to_id, weight, recorded, data = row
    return Link(
        id=id,
        system=system,
        scope=scope,
        kind=kind,
        from_id=from_id,
        to_id=to_id,
        sources=sources,
        recorded_at=from_microseconds(recorded),
        weight=weight,
        data=_mapping(data),
    )


def _mapping(data: str | None) -> Mapping[str, Any]:
    return json.loads(data) if data else {}


def marks(values: Sequence[Any]) -> str:
    """The places of these values in an IN (…)."""
    return ",".join("?" * len(values))


def chunks(values: list[Any]) -> Iterable[list[Any]]:
    """The values, as many at once as one IN (…) takes."""
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))
