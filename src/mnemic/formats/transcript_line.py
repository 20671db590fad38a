"""One line of a plain transcript: something said, a day that begins, noise, or neither.

Pure: what a line means beside its neighbours is decided in `transcript.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Literal

from mnemic.clock import parse_time
from mnemic.errors import InvalidTime
from mnemic.formats.dates import clock, date_at_start, day_of

Style = Literal["plain", "irc", "chat"]

_FULL = re.compile(
    r"\[?(?P<day>\d{4}-\d\d-\d\d)[T ,]+(?P<clock>\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?)\]?"
    r"\s*(?:[-–|]\s+)?(?P<rest>.*)"
)
_CHAT = re.compile(  # WhatsApp: "12/05/2023, 21:44 - ", "[12.05.23, 9:44:10 PM] "
    r"\[?(?P<a>\d{1,2})[./-](?P<b>\d{1,2})[./-](?P<year>\d{4}|\d\d),?\s+(?P<hour>\d{1,2})[:.](?P<minute>\d\d)"
    r"(?:[:.](?P<second>\d\d))?(?:\s*(?P<half>[ap])\.?\s?m\.?)?\s*(?:\]|-)\s*(?P<rest>.*)",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"(?P<bracket>\[)?(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d))?(?:\s*(?P<half>[ap])m)?(?(bracket)\])"
    r"\s+(?P<rest>.*)",
    re.IGNORECASE,
)
_OFFSET = re.compile(  # "Ann (1m 12s): ", "Ann (00:01:12): "
    r"(?P<name>[^:()]{1,60}?)\s{0,3}\((?:(?:(?P<h>\d{1,4})h\s*)?(?:(?P<m>\d{1,4})m\s*)?(?P<s>\d{1,6})s"
    r"|(?:(?P<hours>\d{1,3}):)?(?P<minutes>\d{1,3}):(?P<seconds>\d\d))\):\s*(?P<text>.*)"
)
_NICK = re.compile(r"<[ @+%&~]?(?P<name>[^<>\s][^<>]{0,60})>\s?(?P<text>.*)")
_ACTION = re.compile(r"(?:\*|===)\s+(?P<name>\S{1,60})\s+(?P<text>.*)")
_NOISE = re.compile(
    r"(?:\*{3}|-!-|-->|<--)\s|(?:===|\*)\s.*?(?:\bhas (?:joined|left|quit)\b|\bis now known as\b|\bTopic\b|\bsets? mode\b)"
)
_NAME = re.compile(r"(?P<name>[^:<>\"\[\]]{1,60}?):(?:\s+(?P<text>.*)|$)")
_BARE_NAME = re.compile(r"\*{0,2}(?P<name>[\w#][\w .'’()/&|-]{0,39}?)\*{0,2}:\*{0,2}(?:\s+(?P<text>.*)|$)")
_HEADER = re.compile(r"(?:(?:log opened|day changed(?: to)?|begin logging at|date)\b:?)?\s*", re.IGNORECASE)
_MOST_WORDS = 4  # of a name that no time stands before


@dataclass(frozen=True, slots=True)
class Said:
    """The first line of a message, and what it says of its time."""

    name: str | None
    text: str
    style: Style = "plain"
    is_action: bool = False
    is_timed: bool = False
    occurred_at: datetime | None = None  # day and clock
    clock: time | None = None  # a clock alone
    offset_s: int | None = None  # since the recording began
    reason: str = ""  # why its time is none


@dataclass(frozen=True, slots=True)
class DayBegins:
    """A header: the clocks from here on belong to this day."""

    day: date


class Noise:
    """Someone came, went or was renamed."""


def parse_line(text: str, is_day_first: bool) -> Said | DayBegins | Noise | None:
    """What `text` is; None for a line that continues what was said before."""
    if found := _FULL.match(text):
        return _full(found)
    if found := _CHAT.match(text):
        return _chat(found, is_day_first)
    if (found := _CLOCK.match(text)) and (at := clock(found["hour"], found["minute"], found["second"], found["half"])):
        said = _spoken(found["rest"])
        if isinstance(said, Noise):
            return said
        if said is not None or found["bracket"]:
            said = said or Said(None, found["rest"])
            return Said(said.name, said.text, said.style, said.is_action, is_timed=True, clock=at)
    if found := _OFFSET.match(text):
        hours, minutes, seconds = (
            int(found[a] or found[b] or 0) for a, b in (("h", "hours"), ("m", "minutes"), ("s", "seconds"))
        )
        offset_s = 3600 * hours + 60 * minutes + seconds
        return Said(found["name"].strip(), found["text"], is_timed=True, offset_s=offset_s)
    return header(text) or _unstamped(text)


def header(text: str) -> DayBegins | None:
    """The day that a line announces which holds hardly anything else."""
    stripped = text.strip("-=*#_ \t")
    found = date_at_start(stripped[_HEADER.match(stripped).end() :])  # type: ignore[union-attr]  # it matches ""
    return DayBegins(found[0]) if found and len(found[1].strip("-=*#_ :0123456789")) <= 3 else None


def chat_day(text: str) -> tuple[int, int, bool] | None:
    """The two numbers of a WhatsApp line that are day and month, and whether it says am or pm."""
    found = _CHAT.match(text)
    return (int(found["a"]), int(found["b"]), bool(found["half"])) if found else None


def _full(found: re.Match[str]) -> Said | Noise:
    said = _spoken(found["rest"])
    if isinstance(said, Noise):
        return said
    said = said or Said(None, found["rest"])
    occurred_at, reason = None, ""
    try:
        occurred_at = parse_time(f"{found['day']}T{found['clock']}")
    except InvalidTime as error:
        reason = str(error)
    return Said(said.name, said.text, said.style, said.is_action, is_timed=True, occurred_at=occurred_at, reason=reason)


def _chat(found: re.Match[str], is_day_first: bool) -> Said:
    first, second = int(found["a"]), int(found["b"])
    day = day_of(int(found["year"]), *((second, first) if is_day_first else (first, second)))
    at = clock(found["hour"], found["minute"], found["second"], found["half"])
    named = _NAME.match(found["rest"].lstrip("\u200e"))
    name, text = (named["name"].strip(), named["text"] or "") if named else (None, found["rest"])
    if day is None or at is None:
        return Said(name, text, "chat", is_timed=True, reason="Its date or time is not in the calendar.")
    return Said(name, text, "chat", is_timed=True, occurred_at=parse_time(datetime.combine(day, at)))


def _spoken(rest: str) -> Said | Noise | None:
    if _NOISE.match(rest):
        return Noise()
    if found := _NICK.match(rest):
        return Said(found["name"], found["text"], "irc")
    if found := _ACTION.match(rest):
        return Said(found["name"], found["text"], "irc", is_action=True)
    if found := _NAME.match(rest):
        return Said(found["name"].strip(), found["text"] or "")
    return None


def _unstamped(text: str) -> Said | Noise | None:
    if _NOISE.match(text):
        return Noise()
    if found := _NICK.match(text):
        return Said(found["name"], found["text"], "irc")
    if found := _ACTION.match(text):
        return Said(found["name"], found["text"], "irc", is_action=True)
    if found := _BARE_NAME.match(text):
        words = found["name"].split()
        if len(words) == 1 or (len(words) <= _MOST_WORDS and not any(word[0].islower() for word in words)):
            return Said(found["name"].strip(), found["text"] or "")
    return None
