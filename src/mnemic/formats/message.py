"""What every reader yields: a Message, or a Problem where an entry could not be read.

Ids follow from the file alone, so importing the same file twice is harmless and an import that was cut short can be
resumed: where the format has ids, they are used; elsewhere an id is made of the file's name, the entry's place and a
digest of its content. A bad entry becomes a Problem that says where it is and never stops the rest.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import reprlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from mnemic.clock import parse_time
from mnemic.errors import InvalidTime

MAX_DEPTH = 64  # of metadata and parts; what is nested deeper is an attack or a mistake
_EXCERPT_LENGTH = 80
_SHORT = reprlib.Repr()  # a few items of a few levels, however large and deep the value
_SHORT.maxstring = _EXCERPT_LENGTH
_PLAIN_ID = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_UNIX_TIME = re.compile(r"\d{9,16}(\.\d{0,9})?")  # fewer digits would be a year or a day
_MILLISECONDS_FROM = 1e11  # as seconds this is the year 5138; as milliseconds 1973


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One thing that was said or happened, as a file tells it; what becomes an episode."""

    text: str
    id: str  # the same each time the file is read
    location: str  # "file:line" or "file[3].path": where a person finds it
    role: str = "user"
    actor: str | None = None
    session: str | None = None
    occurred_at: datetime | None = None  # None where the file does not say
    metadata: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[Mapping[str, Any], ...] = ()  # what is not text, in the form it came
    scope: str | None = None  # None where the format has no notion of it
    recorded_at: datetime | None = None  # when the other memory came to know it; None where it had no such notion
    supersedes: str | None = None
    origin: str = "observed"
    echo_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """What could not be read: one entry, a part of one, or the rest of a file."""

    location: str
    reason: str
    excerpt: str = ""

    def __str__(self) -> str:
        return f"{safe(self.location)}: {self.reason}" + (f" ({self.excerpt})" if self.excerpt else "")


def make_id(format_name: str, *parts: str) -> str:
    """An id that follows from `parts` alone: readable where all are plain and short, a digest elsewhere.

    >>> make_id("claude", "c1", "m1")
    'claude:c1:m1'
    """
    if all(_PLAIN_ID.fullmatch(part) for part in parts):
        return ":".join((format_name, *parts))
    return f"{format_name}:{digest(*parts)}"


def digest(*parts: str) -> str:
    """32 hexadecimal characters that follow from `parts`, each kept apart from the next."""
    found = hashlib.sha256()
    for part in parts:
        content = part.encode("utf-8", "surrogatepass")
        found.update(b"%d:" % len(content) + content)
    return found.hexdigest()[:32]


def excerpt(value: object) -> str:
    """The beginning of `value`, safe to print."""
    text = value if isinstance(value, str) else _SHORT.repr(value)
    return safe(text[:_EXCERPT_LENGTH] + ("…" if len(text) > _EXCERPT_LENGTH else ""))


def safe(text: str) -> str:
    """`text` as a terminal may be sent it: what is not printable is shown as an escape."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def own_id(format_name: str, id: object, *rest: str) -> str:
    """The id that an entry gets here: a UUID stays what it is, so that references to it still lead to it.

    Where there is no id at all it follows from `rest`.

    >>> own_id("mem0", "0b7c6f6e-2f0a-4d3e-9d53-6a5f3f6f7c11")
    '0b7c6f6e-2f0a-4d3e-9d53-6a5f3f6f7c11'
    >>> own_id("mem0", 7)
    'mem0:7'
    """
    text = text_of(id)
    if _UUID.fullmatch(text):
        return text
    return make_id(format_name, text) if text else make_id(format_name, digest(*rest))


def passed_over(location: str, counts: Mapping[str, int]) -> Iterator[Problem]:
    """What a reader has left out on purpose, one Problem for each kind of it."""
    for kind, count in sorted(counts.items()):
        yield Problem(location, f"{kind[0].upper()}{kind[1:]} were passed over ({count:,}).")


def whole(message: Message) -> Message | Problem:
    """`message`, fit to be kept: halves of surrogate pairs joined, NaN and infinities (not JSON) as None.

    A Problem where half a pair or a byte that was not UTF-8 is left, or where parts are nested too deep.
    """
    try:
        return replace(
            message,
            text=_repair(message.text),
            id=_repair(message.id),
            role=_repair(message.role),
            actor=_repair(message.actor),
            session=_repair(message.session),
            scope=_repair(message.scope),
            metadata=_repair(message.metadata),
            parts=tuple(_repair(part) for part in message.parts),
        )
    except UnicodeError:
        reason = "It holds half of a surrogate pair, or bytes that are not UTF-8; mend the file and import it again."
    except RecursionError:
        reason = f"It is nested deeper than {MAX_DEPTH} levels."
    return Problem(message.location, reason, excerpt(message.text))


def _repair(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:  # two halves side by side are one character; one half alone raises again
            return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        return value
    if depth > MAX_DEPTH:
        raise RecursionError
    if isinstance(value, Mapping):
        return {_repair(key): _repair(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_repair(inner, depth + 1) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def moment(value: object) -> datetime | None:
    """The time that an export's field means: ISO 8601, Unix seconds or milliseconds, as number or text; None for null.

    Raises InvalidTime.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        if not _UNIX_TIME.fullmatch(value.strip()):
            return parse_time(value)
        value = float(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return parse_time(value / 1000 if abs(value) >= _MILLISECONDS_FROM else value)
        except OverflowError as error:
            raise InvalidTime(f"{excerpt(value)} is not a time in Unix seconds.") from error
    raise InvalidTime(f"{excerpt(value)} is not a time.")


def times_of(
    value: Mapping[str, Any], keys: Iterable[str], location: str
) -> tuple[dict[str, datetime | None], list[Problem]]:
    """The times in those fields, None where there is none, and a Problem for each that is no time."""
    found: dict[str, datetime | None] = {}
    problems = []
    for key in keys:
        found[key] = None
        try:
            found[key] = moment(value.get(key))
        except InvalidTime as error:
            problems.append(Problem(f"{location}.{key}", f"{error} The entry is kept without it."))
    return found, problems


def text_of(value: object) -> str:
    """`value` when it is text or a number, else ""; for fields that ought to be text."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def filled(value: Mapping[str, Any], placed: Collection[str]) -> dict[str, Any]:
    """The fields that say something and have no place of their own; false and 0 do, None and what is empty do not."""
    return {key: one for key, one in value.items() if key not in placed and one is not None and one not in ("", [], {})}


def dicts_of(value: object) -> Iterable[dict[str, Any]]:
    """The objects in `value` when it is a list; what else stands there is left out."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def content_digest(value: object) -> str:
    """The digest of a JSON value, whatever the order of its keys; the same for all that are nested too deep."""
    try:
        return digest(json.dumps(value, sort_keys=True, default=str))
    except RecursionError:  # `whole` reports such content
        return digest("nested too deep")
