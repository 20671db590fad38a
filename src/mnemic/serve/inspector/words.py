"""How the pages say things: dates, sizes, numbers, and what each signal means.

Dates are short to read and exact on hover; numbers line up. English whatever the locale.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# What a reason speaks of; its place is its colour on every page.
FAMILIES = ("meaning", "words", "names and people", "time", "form", "repetition", "other")
_FAMILY = {
    "meaning": "meaning context session",
    "time": "time newest recency told",
    "words": "words own topic",
    "names and people": "names speaker role association",
    "form": "substance kind statement standing",
    "repetition": "strength",
}
_FAMILY_OF = {signal: family for family, signals in _FAMILY.items() for signal in signals.split()}
SIGNALS = {
    "meaning": "close in meaning to the question",
    "context": "what stands beside it is close in meaning",
    "session": "its session is about this",
    "words": "it and the episode before it share the question's words",
    "topic": "its session has the question's words",
    "own": "it has the question's words",
    "speaker": "who said it is named in the question",
    "names": "it mentions the names in the question",
    "substance": "it says much",
    "kind": "it has what is asked for: a time, a number, a name",
    "statement": "it is no question itself",
    "association": "what answers best points to it by a name",
    "role": "the side that was asked about said it",
    "standing": "an instruction that stands",
    "time": "it happened in the time that is asked about",
    "newest": "its place from the newest or the oldest, as asked",
    "told": "it tells of that time",
    "recency": "it is recent",
    "strength": "it was said more than once",
}


def family(signal: str) -> int:
    """The place in FAMILIES of what a signal speaks of."""
    return FAMILIES.index(_FAMILY_OF.get(signal, "other"))


def means(signal: str) -> str:
    """What a signal says, as half a sentence; nothing for one that only its system knows."""
    return SIGNALS.get(signal, "")


def day(moment: datetime) -> str:
    """Sat 9 March 2024, in the offset in which it was said."""
    return f"{WEEKDAYS[moment.weekday()]} {moment.day} {moment:%B} {moment.year}"


def date(moment: datetime) -> str:
    """9 Mar 2024."""
    return f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}"


def minute(moment: datetime) -> str:
    """9 Mar 2024, 18:30."""
    return f"{date(moment)}, {moment:%H:%M}"


def exact(moment: datetime) -> str:
    """Sat 9 March 2024, 18:30:05 +01:00."""
    offset = moment.strftime("%z")
    return f"{day(moment)}, {moment:%H:%M:%S} " + (f"{offset[:3]}:{offset[3:5]}" if offset.strip("+0") else "UTC")


def ago(moment: datetime, now: datetime) -> str:
    """3 minutes ago, in 2 hours."""
    seconds = (now - moment).total_seconds()
    for name, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if (n := int(abs(seconds) // length)) >= 1:
            text = f"{n} {name}{'' if n == 1 else 's'}"
            return f"{text} ago" if seconds > 0 else f"in {text}"
    return "just now" if seconds >= 0 else "in a moment"


def local(moment: datetime | None) -> str:
    """As a date field of a form wants it: UTC, without an offset."""
    if moment is None:
        return ""
    there = moment.astimezone(UTC).replace(tzinfo=None)
    return there.isoformat(timespec="milliseconds" if there.microsecond else "seconds")


def count(number: float) -> str:
    """12,345."""
    return f"{number:,.0f}"


def things(number: int, one: str, many: str = "") -> str:
    """1 episode, 12,345 episodes."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size(n_bytes: float) -> str:
    """12.3 MB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000 or unit == "GB":
            return f"{n_bytes:.0f} {unit}" if unit == "bytes" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    raise AssertionError


def figure(value: float, digits: int = 2) -> str:
    """0.42, always as long."""
    return f"{value:.{digits}f}"


def percent(share: float) -> str:
    """42 %, with what is not quite none or all said so."""
    if 0 < share < 0.005:
        return "under 1 %"
    return "over 99 %" if 0.995 <= share < 1 else f"{share:.0%}".replace("%", " %")


def excerpt(text: str, width: int = 90) -> str:
    """The text as one line, cut at a word."""
    line = " ".join(text.split())
    if len(line) <= width:
        return line
    cut = line[: width - 1]
    return (cut.rsplit(" ", 1)[0] if " " in cut[width // 2 :] else cut).rstrip(" ,.;:") + "…"


def as_json(value: Any) -> str:
    """Values for reading."""
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def filters() -> Mapping[str, Any]:
    """All of these under the names that templates use."""
    known = (family, means, day, date, minute, exact, local, count, things, size, figure, percent, excerpt, as_json)
    return {one.__name__: one for one in known}
