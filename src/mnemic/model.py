"""The nouns: Episode, Record, Link, Session, Cue, Reason, Hit, Recall; and scopes, which are paths.

All are frozen and slotted. They are built from checked input (`intake.py`, `memory.py`) or from the store, and are
trusted afterwards, so they do not check themselves again. `Hit`, `Recall` and `Added` can also be read like the
dictionaries that other memory libraries return: `recall["results"][0]["memory"]`.
"""

from __future__ import annotations

import os
import threading
import time
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, overload

from mnemic.errors import InvalidScope

MAX_SCOPE_LENGTH = 1000
Origin = Literal["observed", "echo"]
OBSERVED: Origin = "observed"
ECHO: Origin = "echo"
DOUBTFUL = 0.2  # a recall that is less sure than this says NOTHING_RELEVANT
NOTHING_RELEVANT = "Nothing relevant seems to be stored."


def check_scope(path: str) -> str:
    """`path` when it is a scope: segments joined by "/", such as ``acme/alice``; "" is the root.

    Letters of any script, spaces and punctuation are welcome. Raises InvalidScope for what could make two scopes
    look like one: empty segments, "." and "..", control characters, lone surrogates, text that is not NFC.
    """
    if not isinstance(path, str):
        raise InvalidScope(f"A scope is a path such as 'acme/alice'; {type(path).__name__} was given.")
    if path == "":
        return path
    if len(path) > MAX_SCOPE_LENGTH:
        raise InvalidScope(f"The scope has {len(path)} characters; {MAX_SCOPE_LENGTH} is the most. Shorten it.")
    shown = ascii(path[:80])
    for segment in path.split("/"):
        if segment in ("", ".", ".."):
            raise InvalidScope(f"The scope {shown} has the segment {segment!r}. Write it as 'acme/alice'.")
        if segment != segment.strip():
            raise InvalidScope(f"The scope {shown} has white space around a segment. Strip it.")
    for character in path:
        if unicodedata.category(character) in ("Cc", "Cs", "Cf", "Zl", "Zp"):
            raise InvalidScope(f"The scope {shown} holds the invisible character {character!a}. Leave it out.")
    if not unicodedata.is_normalized("NFC", path):
        raise InvalidScope(f"The scope {shown} is not in NFC form; pass unicodedata.normalize('NFC', scope).")
    return path


def join_scope(parent: str, child: str) -> str:
    """The scope `child` inside `parent`."""
    return check_scope(f"{parent}/{child}" if parent and child else parent or child)


def is_within(scope: str, prefix: str) -> bool:
    """Whether the scope is `prefix` or below it.

    >>> is_within("acme/alice", "acme"), is_within("acmes", "acme"), is_within("acme", "")
    (True, False, True)
    """
    return not prefix or scope == prefix or scope.startswith(prefix + "/")


def upwards(scope: str) -> list[str]:
    """The scope and all those above it, nearest first.

    >>> upwards("acme/alice")
    ['acme/alice', 'acme', '']
    """
    parts = scope.split("/") if scope else []
    return ["/".join(parts[:depth]) for depth in range(len(parts), -1, -1)]


_last_id = 0
_id_lock = threading.Lock()


def new_id() -> str:
    """A fresh UUIDv7 (RFC 9562): milliseconds, then random bits; ordered by time, also within one process."""
    return new_ids(1)[0]


def new_ids(count: int) -> list[str]:
    """That many fresh ids, ascending."""
    global _last_id
    millisecond = (time.time_ns() // 1_000_000) << 80 | 0x7 << 76 | 0x2 << 62  # with version and variant
    noise = os.urandom(10 * count)
    made = []
    with _id_lock:
        for start in range(0, 10 * count, 10):
            value = millisecond | int.from_bytes(noise[start : start + 10], "big") & _RANDOM_BITS
            if value <= _last_id:  # same millisecond: count on from the last one
                value = _last_id + 1 if (_last_id + 1) >> 62 & 0x3 == 0x2 else millisecond + (1 << 80)
            _last_id = value
            text = f"{value:032x}"
            made.append(f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}")
    return made


_RANDOM_BITS = (1 << 80) - 1 & ~(0xF << 76) & ~(0x3 << 62)


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """One thing that happened. Immutable; the log keeps it as it was."""

    text: str
    id: str
    scope: str
    occurred_at: datetime
    recorded_at: datetime
    role: str = "user"
    actor: str | None = None  # the name of who said or did it
    session: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[Mapping[str, Any], ...] = ()  # what is not text: images, tool calls, in the form they came
    supersedes: str | None = None  # the id of the episode that this one corrects
    origin: Origin = OBSERVED
    echo_of: tuple[str, ...] = ()  # ids of the recalled episodes that this one repeats
    seq: int = 0  # position in the log, from 1; 0 before it is appended

    @property
    def speaker(self) -> str:
        """The actor's name, or the role where there is none."""
        return self.actor or self.role

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values, empty fields left out."""
        values: dict[str, Any] = {
            "id": self.id,
            "scope": self.scope,
            "text": self.text,
            "role": self.role,
            "occurred_at": self.occurred_at.isoformat(),
            "recorded_at": self.recorded_at.isoformat(),
        }
        for name in ("actor", "session", "supersedes"):
            if (value := getattr(self, name)) is not None:
                values[name] = value
        if self.metadata:
            values["metadata"] = dict(self.metadata)
        if self.parts:
            values["parts"] = [dict(part) for part in self.parts]
        if self.origin != OBSERVED:
            values["origin"] = self.origin
            values["echo_of"] = list(self.echo_of)
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a system made of episodes. Its id is the system's own and must follow from its sources alone."""

    id: str
    system: str
    scope: str
    kind: str  # fact, note, summary, entity, procedure, …
    text: str
    sources: tuple[str, ...]  # ids of the episodes it came from
    recorded_at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    retired_at: datetime | None = None  # when it was superseded; None while it is current
    strength: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values, empty fields left out."""
        values: dict[str, Any] = {
            "id": self.id,
            "system": self.system,
            "scope": self.scope,
            "kind": self.kind,
            "text": self.text,
            "sources": list(self.sources),
            "recorded_at": self.recorded_at.isoformat(),
            "strength": self.strength,
        }
        for name in ("valid_from", "valid_to", "retired_at"):
            if (moment := getattr(self, name)) is not None:
                values[name] = moment.isoformat()
        if self.data:
            values["data"] = dict(self.data)
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A typed, weighted, dated edge between records or episodes of one scope."""

    id: str
    system: str
    scope: str
    kind: str
    from_id: str
    to_id: str
    sources: tuple[str, ...]
    recorded_at: datetime
    weight: float = 1.0
    data: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values, empty fields left out."""
        values: dict[str, Any] = {
            "id": self.id,
            "system": self.system,
            "scope": self.scope,
            "kind": self.kind,
            "from_id": self.from_id,
            "to_id": self.to_id,
            "sources": list(self.sources),
            "recorded_at": self.recorded_at.isoformat(),
            "weight": self.weight,
        }
        if self.data:
            values["data"] = dict(self.data)
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One conversation or run inside a scope, as it stands in the log."""

    session: str  # its name
    scope: str
    episodes: int
    began_at: datetime  # when its first episode of the log happened, and its last
    ended_at: datetime
    first_seq: int
    last_seq: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            "session": self.session,
            "scope": self.scope,
            "episodes": self.episodes,
            "began_at": self.began_at.isoformat(),
            "ended_at": self.ended_at.isoformat(),
            "first_seq": self.first_seq,
            "last_seq": self.last_seq,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """A request for memories."""

    text: str
    scope: str
    asked_at: datetime  # what "yesterday" in the text is relative to
    limit: int = 10
    include_children: bool = False  # also search every scope below
    session: str | None = None
    since: datetime | None = None  # window on occurred_at, both ends included
    until: datetime | None = None
    as_of: datetime | None = None  # only what was recorded by then
    filters: Mapping[str, Any] | None = None
    threshold: float = 0.0  # hits scoring lower are left out; scores lie in [0, 1]


@dataclass(frozen=True, slots=True)
class Reason:
    """One signal's share in a hit's score."""

    signal: str
    value: float  # what the signal measured, in [0, 1]
    weight: float
    note: str = ""  # in words: the terms that matched, the interval, the neighbour

    @property
    def contribution(self) -> float:
        """What this signal added to the score."""
        return self.value * self.weight


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One recalled memory: an episode, or a record made from episodes, with why it was recalled."""

    score: float
    episode: Episode | None = None
    record: Record | None = None
    reasons: tuple[Reason, ...] = ()
    duplicates: tuple[str, ...] = ()  # ids of the same thing said again, folded into this hit

    @property
    def id(self) -> str:
        """The id of the episode or record."""
        return self.record.id if self.record else self._episode.id

    @property
    def text(self) -> str:
        """The text, exactly as it was remembered."""
        return self.record.text if self.record else self._episode.text

    @property
    def kind(self) -> str:
        """'episode', or the record's kind."""
        return self.record.kind if self.record else "episode"

    @property
    def scope(self) -> str:
        """Where it lives."""
        return self.record.scope if self.record else self._episode.scope

    @property
    def sources(self) -> tuple[str, ...]:
        """Ids of the episodes that stand behind it."""
        return self.record.sources if self.record else (self._episode.id,)

    @property
    def occurred_at(self) -> datetime:
        """When it happened; for a record, when it began to hold or was recorded."""
        if self.record:
            return self.record.valid_from or self.record.recorded_at
        return self._episode.occurred_at

    @property
    def _episode(self) -> Episode:
        assert self.episode is not None, "a hit holds an episode or a record"
        return self.episode

    def to_dict(self) -> dict[str, Any]:
        """In the shape that users of other memory libraries know."""
        values: dict[str, Any] = {
            "id": self.id,
            "memory": self.text,
            "score": round(self.score, 6),
            "kind": self.kind,
            "scope": self.scope,
            "sources": list(self.sources),
            "occurred_at": self.occurred_at.isoformat(),
        }
        if self.episode and not self.record:
            one = self.episode
            values |= {
                "created_at": one.recorded_at.isoformat(),
                "updated_at": one.recorded_at.isoformat(),
                "role": one.role,
                "actor_id": one.actor,
                "run_id": one.session,
                "metadata": dict(one.metadata),
            }
        if self.duplicates:
            values["duplicates"] = list(self.duplicates)
        values["score_details"] = {
            reason.signal: {
                "value": round(reason.value, 4),
                "weight": round(reason.weight, 4),
                "note": reason.note,
            }
            for reason in self.reasons
        }
        return values

    def __getitem__(self, key: str) -> Any:
        return self.to_dict()[key]

    def __str__(self) -> str:
        who = f"{self.episode.speaker}: " if self.episode and not self.record else ""
        return f"{self.score:.2f}  {self.occurred_at.date().isoformat()}  {who}{self.text}"

    def explain(self) -> str:
        """Why it was recalled, strongest signal first, in one line."""
        ordered = sorted(self.reasons, key=lambda reason: -reason.contribution)
        return ", ".join(
            f"{reason.signal} {reason.contribution:.2f}" + (f" ({reason.note})" if reason.note else "")
            for reason in ordered
            if reason.contribution > 0.0
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recall:
    """The answer to a cue: hits, best first."""

    cue: Cue
    hits: tuple[Hit, ...]
    system: str
    path: str = "offline"  # which path ran: "offline" or "llm"
    elapsed_ms: float = 0.0
    confidence: float | None = None  # that what was asked is stored, in [0, 1]; None where the system cannot say
    behind: int = 0  # episodes that the system has not observed yet: it does so in the background, or in `consolidate`

    @property
    def is_doubtful(self) -> bool:
        """Whether the confidence is so low that nothing relevant seems to be stored."""
        return self.confidence is not None and self.confidence < DOUBTFUL

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    @overload
    def __getitem__(self, key: int) -> Hit: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Hit, ...]: ...
    @overload
    def __getitem__(self, key: str) -> Any: ...
    def __getitem__(self, key: int | slice | str) -> Any:
        return self.to_dict()[key] if isinstance(key, str) else self.hits[key]

    def __str__(self) -> str:
        lines = [NOTHING_RELEVANT] if self.is_doubtful and self.hits else []
        lines += map(str, self.hits) if self.hits else [f"Nothing was recalled for {self.cue.text!r}."]
        if self.behind:
            lines.append(f"({self.system} has not observed {self.behind} episodes yet; consolidate() waits for it.)")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values; `results` has the shape that users of other memory libraries know."""
        return {
            "results": [hit.to_dict() for hit in self.hits],
            "query": self.cue.text,
            "scope": self.cue.scope,
            "system": self.system,
            "path": self.path,
            "behind": self.behind,
            "confidence": None if self.confidence is None else round(self.confidence, 4),
            "elapsed_ms": round(self.elapsed_ms, 3),
        }
