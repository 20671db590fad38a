"""The notes of A-MEM: each turn is one, and each version of it a record.

The one idea: a note has a key that stays, the id of its first version; what rewrites it makes another version, whose id
follows from the key and its number, so that all of them can be read in their order. See `a_mem`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from mnemic.model import Episode, Record
from mnemic.ops.attributes import GENERAL, Attributes
from mnemic.systems.contract import BY, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.made import Made, holds

ID, NOTE = "a-mem", "note"


def content_of(episode: Episode) -> str:
    """A turn as a note holds it: with its speaker, where the speaker has a name.

    >>> from datetime import UTC, datetime
    >>> at = datetime(2024, 5, 1, tzinfo=UTC)
    >>> content_of(Episode(text="Hi!", id="e", scope="", occurred_at=at, recorded_at=at, actor="Ann"))
    'Ann says: Hi!'
    """
    return f"{episode.actor} says: {episode.text}" if episode.actor else episode.text


def note_of(episode: Episode, about: Attributes, scope: str) -> Record:
    """The first version of a turn's note; its id is the note's key."""
    key = record_id(ID, NOTE, episode.id)
    bare = Record(
        id=key,
        system=ID,
        scope=scope,
        kind=NOTE,
        text="",
        sources=(episode.id,),
        recorded_at=episode.recorded_at,
        valid_from=episode.occurred_at,
        data={"key": key, "version": 0, "episode": episode.id, "content": content_of(episode)},
    )
    return described(bare, about)


def described(note: Record, about: Attributes) -> Record:
    """The note with these keywords, tags and context; what a model wrote of it stands in its text."""
    data = {
        **note.data,
        "keywords": list(about.keywords),
        "tags": list(about.tags),
        "context": about.context,
        BY: about.path,
    }
    return replace(note, text=rendered(note.data["content"], about), data=data)


def rendered(content: str, about: Attributes) -> str:
    """A note as an answering model reads it; what was made of its own words by rule is not said again."""
    if about.path != "llm":
        return content
    lines = [content]
    lines += [f"Context: {about.context}"] if about.context != GENERAL else []
    lines += [f"Keywords: {', '.join(about.keywords)}"] if about.keywords else []
    lines += [f"Tags: {', '.join(about.tags)}"] if about.tags else []
    return "\n".join(lines)


def history(key: str, made: Made) -> list[Record]:
    """All versions of the note with that key, oldest first."""
    found: list[Record] = []
    while (record := made.records.get(_version_id(key, len(found)))) is not None:
        found.append(record)
    return found


def version_at(key: str, made: Made, as_of: datetime | None = None) -> Record | None:
    """The note as it stands, or as it stood as far as was known at a time."""
    return next((one for one in history(key, made) if holds(one, as_of)), None)


def reindex(draft: Draft, cause: Record) -> list[Record]:
    """Index the notes that were rewritten since the last time as they read now; the versions made, none the second time.

    cause: the note whose arrival brings it about.
    """
    made = []
    for key in draft.state.pop("stale", []):
        old = current(draft, key)
        if old is None:
            continue
        data = {name: value for name, value in old.data.items() if name != "is_stale"}
        new = next_version(old, cause.recorded_at, data)
        draft.retire(old.id, cause.recorded_at)
        made.append(draft.put(new, embed=attributes_of(new).indexed(new.data["content"])))
    return made


def key_of(record: Record) -> str:
    """What all versions of a note have in common."""
    return str(record.data["key"])


def own_turn(note: Record) -> str:
    """The id of the turn that a note is of; its other sources are those that rewrote it."""
    return str(note.data["episode"])


def _version_id(key: str, version: int) -> str:
    return key if version == 0 else record_id(ID, "version", key, str(version))


def attributes_of(note: Record) -> Attributes:
    """What a note says that it is about."""
    data = note.data
    return Attributes(tuple(data["keywords"]), tuple(data["tags"]), data["context"], data[BY])


def current(draft: Draft, key: str) -> Record | None:
    """The newest version of the note with that key."""
    version = 0
    found = None
    while (record := draft.get(_version_id(key, version))) is not None:
        found, version = record, version + 1
    return found


def next_version(old: Record, at: datetime, data: dict[str, Any]) -> Record:
    """The version after `old`."""
    version = old.data["version"] + 1
    return replace(
        old,
        id=_version_id(key_of(old), version),
        recorded_at=at,
        data={**data, "version": version, "previous": old.id},
    )
