"""Plain transcripts: who said what, with or without times.

Read are "Name: text"; "[2024-05-01 10:22] Name: text"; IRC's "[10:22] <nick> text" and "* nick waves"; WhatsApp's
"12/05/2023, 21:44 - Name: text" and "[12/05/2023, 21:44:10] Name: text"; "Name (1m 12s): text". Other lines continue
what was said before; once a line has carried a time, "Name: text" without one is such a line.

Ids: the file's name, the message's place and a digest. Times are taken as UTC unless they say otherwise. Where lines
carry only a clock, the day is a header line's ("--- Day changed Tue May 02 2024", "Date: 2024-05-02") or the file
name's, and moves on when the clock falls by over half a day; without a day there is no time. Whether 12/05 is in May
or December is told by the file's other dates; where none tells, am and pm mean month first, their absence day first.
IRC's joins, parts and renames are left out; WhatsApp's notices have the role "system".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from mnemic.formats.dates import date_within
from mnemic.formats.limits import LIMITS, Limits
from mnemic.formats.message import Message, Problem, digest, excerpt, make_id, whole
from mnemic.formats.source import Sample, Source, lines_of, open_sources
from mnemic.formats.transcript_line import DayBegins, Noise, Said, chat_day, parse_line

MAX_TEXT_LENGTH = 1 << 20  # of what one person says in one go; more becomes several messages
_MEMBERS = re.compile(r".*\.(txt|log)", re.IGNORECASE)
_SUFFIXES = re.compile(r"(\.(txt|log|ascii|gz))+$", re.IGNORECASE)
_MARKS = "\u200e\u200f\ufeff"  # WhatsApp puts them before lines
_FILE = re.compile(r"<attached: (?P<a>[^<>\n]{1,300})>|^(?P<b>\S.*?\.\w{2,5}) \(file attached\)")
_OMITTED = re.compile(r"<Media omitted>|\b(?:image|video|audio|sticker|document|GIF) omitted$")
_ASSISTANTS = ("assistant", "ai", "bot", "chatgpt", "claude")


@dataclass(slots=True)
class _Draft:
    """A message whose last line may be still to come."""

    location: str
    said: Said
    occurred_at: datetime | None
    texts: list[str]
    length: int = 0


@dataclass(slots=True)
class _Log:
    """What the lines so far have shown of the file's kind and day."""

    day: date | None
    clock: time = time.min
    is_timed: bool = False  # some line carried a time
    has_days: bool = False  # with its day
    is_irc: bool = False

    def begins_message(self, said: Said) -> bool:
        """Whether this line begins a message here, or continues one; what it shows is remembered."""
        if not said.is_timed and said.style != "irc":
            return not self.is_timed
        if not said.is_timed and said.is_action and not self.is_irc:
            return False  # "* text" is a list's item elsewhere
        self.is_timed = self.is_timed or said.is_timed
        self.has_days = self.has_days or said.occurred_at is not None
        self.is_irc = self.is_irc or said.style == "irc"
        return True

    def time_of(self, said: Said) -> datetime | None:
        """When it was said, as far as the file tells."""
        if said.occurred_at is not None or self.day is None:
            return said.occurred_at
        if said.offset_s is not None:
            return datetime.combine(self.day, time.min, UTC) + timedelta(seconds=said.offset_s)
        if said.clock is not None:
            if said.clock.hour + 12 < self.clock.hour and self.day < date.max:
                self.day += timedelta(days=1)
            self.clock = said.clock
        return datetime.combine(self.day, self.clock, UTC)


def is_transcript(sample: Sample) -> bool:
    """Whether half of its first lines, or two of them, name a speaker."""
    first = list(islice((line for line in sample.head.splitlines() if line.strip()), 50))
    spoken = sum(isinstance(parse_line(line.lstrip(_MARKS), True), Said) for line in first)
    return spoken >= 2 or 0 < len(first) <= 2 * spoken


def read_transcript(path: Path, limits: Limits = LIMITS) -> Iterator[Message | Problem]:
    """The messages of each transcript under `path`, which is read twice: first for the order of day and month."""
    is_day_first = {
        one.name: _is_day_first(one) for one in open_sources(path, _MEMBERS, limits) if isinstance(one, Source)
    }
    for source in open_sources(path, _MEMBERS, limits):
        if isinstance(source, Problem):
            yield source
        else:
            yield from _messages(source, is_day_first[source.name])


def _is_day_first(source: Source) -> bool:
    has_half = False
    for line in lines_of(source):
        if not isinstance(line, Problem) and (found := chat_day(line.text.lstrip(_MARKS))):
            first, second, is_half = found
            if first > 12 or second > 12:
                return first > 12
            has_half = has_half or is_half
    return not has_half


def _messages(source: Source, is_day_first: bool) -> Iterator[Message | Problem]:
    name = source.name.rsplit("/", 1)[-1]
    session, log = _SUFFIXES.sub("", name), _Log(date_within(name))
    draft: _Draft | None = None
    count = 0
    for line in lines_of(source):
        if isinstance(line, Problem):
            yield line
            continue
        text = line.text.lstrip(_MARKS)
        found = parse_line(text, is_day_first)
        if isinstance(found, DayBegins) and not log.has_days:
            log.day, log.clock = found.day, time.min
            continue
        if isinstance(found, Noise) and (log.is_irc or draft is None):
            continue
        if isinstance(found, Said) and log.begins_message(found):
            if found.reason:
                yield Problem(line.location, f"{found.reason} The message is kept without it.", excerpt(text))
            next_draft = _Draft(line.location, found, log.time_of(found), [found.text], len(found.text))
        elif draft is None:
            if text.strip():
                yield Problem(line.location, "No speaker is named here, and nothing was said before.", excerpt(text))
            continue
        elif draft.length + len(text) <= MAX_TEXT_LENGTH:
            draft.texts.append(text)
            draft.length += len(text) + 1
            continue
        else:
            next_draft = replace(draft, location=line.location, texts=[text], length=len(text))
        if draft is not None:
            yield from _finish(draft, session, count)
            count += 1
        draft = next_draft
    if draft is not None:
        yield from _finish(draft, session, count)


def _finish(draft: _Draft, session: str, position: int) -> Iterator[Message | Problem]:
    said = draft.said
    text = "\n".join(draft.texts).strip()
    if not text:
        return
    metadata: dict[str, Any] = {}
    if said.is_action:
        metadata["kind"] = "action"
    if said.offset_s is not None:
        metadata["offset_s"] = said.offset_s
    if said.clock is not None and draft.occurred_at is None:
        metadata["clock"] = said.clock.isoformat()
    parts: list[dict[str, Any]] = [{"type": "file", "name": found["a"] or found["b"]} for found in _FILE.finditer(text)]
    if said.style == "chat" and _OMITTED.search(text):
        parts.append({"type": "media", "omitted": True})
    when = draft.occurred_at.isoformat() if draft.occurred_at else ""
    yield whole(
        Message(
            text=text,
            id=make_id("transcript", session, str(position), digest(when, said.name or "", text)),
            location=draft.location,
            role=_role(said),
            actor=said.name,
            session=session,
            occurred_at=draft.occurred_at,
            metadata=metadata,
            parts=tuple(parts),
        )
    )


def _role(said: Said) -> str:
    name = (said.name or "").lower()
    if name == "system" or (said.name is None and said.style == "chat"):
        return "system"
    return "assistant" if name in _ASSISTANTS else "user"
