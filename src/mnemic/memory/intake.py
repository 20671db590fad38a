"""What callers hand in, turned into episodes and checked, before anything is written.

Accepted: a string; a message `{"role": ..., "content": ...}` as chat APIs have it, with a name, a time, a session, an id
or metadata of its own where the caller knows them; a list of either. Content may be a list of parts: the text parts
become the episode's text, the others are kept as they came. What cannot be kept faithfully is refused with a reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, TypeAlias

from mnemic.clock import parse_time
from mnemic.errors import InvalidEpisode, InvalidInput
from mnemic.model import new_ids

MAX_TEXT_BYTES = 64 * 2**20
MAX_METADATA_BYTES = 16 * 2**20
MAX_DEPTH = 64
MAX_NAME = 256

Message: TypeAlias = str | Mapping[str, Any]
Time: TypeAlias = datetime | date | str | int | float

_BYTES: tuple[type[Any], ...] = (bytes, bytearray)  # iterable, but of numbers
_TIME_KEYS = ("occurred_at", "timestamp", "created_at", "time", "date")
_SESSION_KEYS = ("session", "session_id", "run_id")
_OWN_KEYS = {"role", "content", "text", "name", "actor", "id", "metadata", *_TIME_KEYS, *_SESSION_KEYS}


@dataclass(slots=True)
class Draft:
    """An episode before its place and time of recording are known."""

    text: str
    role: str = "user"
    actor: str | None = None
    session: str | None = None
    occurred_at: datetime | None = None
    id: str = ""
    is_client_id: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[Mapping[str, Any], ...] = ()


def drafts_from(
    messages: Message | Iterable[Message],
    *,
    role: str | None,
    actor: str | None,
    session: str | None,
    occurred_at: Time | None,
    metadata: Mapping[str, Any] | None,
    id: str | None,
) -> list[Draft]:
    """Checked drafts, in the order given. What a message says of itself goes before what the call says of all.

    Raises InvalidEpisode or InvalidTime, naming the message's place in a list, before anything is written.
    """
    if isinstance(messages, str | Mapping):
        listed: Sequence[Message] = [messages]
    elif isinstance(messages, Iterable) and not isinstance(messages, _BYTES):
        listed = list(messages)
    else:
        raise InvalidEpisode(
            f"A string, a message or a list of messages is expected; {type(messages).__name__} was given. Decode bytes to text."
        )
    if id is not None and len(listed) != 1:
        raise InvalidEpisode(f"One id was given for {len(listed)} messages. Give each message its own 'id'.")
    shared = Draft(
        "",
        role=_name(role, "role", 64) or "user",
        actor=_name(actor, "name"),
        session=_name(session, "session"),
        occurred_at=None if occurred_at is None else parse_time(occurred_at),
        metadata={} if metadata is None else checked_json(metadata, "metadata"),
    )
    drafts = []
    for place, message in enumerate(listed):
        try:
            draft = _draft(message, shared)
            if id is not None:
                draft.id, draft.is_client_id = checked_id(id), True
            drafts.append(draft)
        except InvalidInput as error:
            if len(listed) == 1:
                raise
            raise type(error)(f"Message {place} of {len(listed)}: {error}") from error
    nameless = [draft for draft in drafts if not draft.id]
    for draft, fresh in zip(nameless, new_ids(len(nameless)), strict=True):
        draft.id = fresh
    return drafts


def _draft(message: Message, shared: Draft) -> Draft:
    if isinstance(message, str):
        text = checked_text(message)
        if not text:
            raise InvalidEpisode("The text is empty. There is nothing to remember; leave it out.")
        return Draft(text, shared.role, shared.actor, shared.session, shared.occurred_at, "", False, shared.metadata)
    if type(message) is not dict and not isinstance(message, Mapping):
        raise InvalidEpisode(
            f"A message is a string or a dictionary with 'role' and 'content'; {type(message).__name__} was given."
        )
    text, parts = _content(message)
    if not text and not parts:
        raise InvalidEpisode("The message has no content. There is nothing to remember; leave it out.")
    id, own = message.get("id"), message.get("metadata")
    get = message.get
    session = get("session") or get("session_id") or get("run_id")
    moment = None
    if not message.keys().isdisjoint(_TIME_KEYS):
        moment = next((at for key in _TIME_KEYS if (at := get(key)) is not None), None)
    return Draft(
        text=text,
        role=_name(message.get("role"), "role", 64) or shared.role,
        actor=_name(message.get("name") or message.get("actor"), "name") or shared.actor,
        session=_name(session, "session") or shared.session,
        occurred_at=shared.occurred_at if moment is None else parse_time(moment),
        id="" if id is None else checked_id(id),
        is_client_id=id is not None,
        metadata=shared.metadata if own is None else {**shared.metadata, **checked_json(own, "metadata")},
        parts=parts,
    )


def _content(message: Mapping[str, Any]) -> tuple[str, tuple[Mapping[str, Any], ...]]:
    content, parts = message.get("content"), list[Mapping[str, Any]]()
    if content is None:
        content = message.get("text")
    elif (besides := message.get("text")) is not None and besides != content:
        parts.append({"type": "message", "text": besides})
    if content is None or isinstance(content, str):
        text = checked_text(content or "")
    elif isinstance(content, Sequence) and not isinstance(content, bytes):
        texts = []
        for part in content:
            if isinstance(part, str):
                texts.append(part)
            elif isinstance(part, Mapping) and isinstance(part.get("text"), str) and part.get("type") in _TEXT_PARTS:
                texts.append(part["text"])
            elif isinstance(part, Mapping):
                parts.append(part)
            else:
                raise InvalidEpisode(
                    f"A part of the content is {type(part).__name__}; parts are dictionaries with a 'type'."
                )
        text = checked_text("\n".join(texts))
    else:
        raise InvalidEpisode(f"The content is {type(content).__name__}; it is text or a list of parts.")
    if not message.keys() <= _OWN_KEYS:
        rest = {key: value for key, value in message.items() if key not in _OWN_KEYS and value is not None}
        if rest:  # tool calls, refusals, annotations: kept as they came
            parts.append({"type": "message", **rest})
    if not parts:
        return text, ()
    return text, tuple(checked_json({"parts": parts}, "content")["parts"])


_TEXT_PARTS = ("text", "input_text", "output_text", None)  # no set: what stands there may be a list


def checked_text(text: str) -> str:
    """The text, when it can be kept faithfully. Raises InvalidEpisode for lone surrogates and for what is too long."""
    if not isinstance(text, str):
        raise InvalidEpisode(f"Text is expected; {type(text).__name__} was given.")
    if text.isascii():
        size = len(text)
    else:
        try:
            size = len(text.encode())
        except UnicodeEncodeError as error:
            raise InvalidEpisode(
                f"The text has a lone surrogate ({text[error.start]!a} at {error.start}), half of a character, which no encoding "
                "can keep. Repair it with text.encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')."
            ) from error
    if size > MAX_TEXT_BYTES:
        raise InvalidEpisode(f"The text has {size:,} bytes; {MAX_TEXT_BYTES:,} is the most for one episode. Split it.")
    return text


def checked_json(value: Any, what: str) -> Any:
    """A copy of a JSON value as it will be read back. Raises InvalidEpisode for what JSON cannot hold."""
    if not isinstance(value, Mapping):
        raise InvalidEpisode(f"The {what} is {type(value).__name__}; a dictionary is expected.")
    try:
        _check_depth(value, what)
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidEpisode(f"The {what} holds a lone surrogate, which no encoding can keep. Leave it out.") from error
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidEpisode(
            f"The {what} cannot be kept as JSON: {error}. Use text, finite numbers, true, false, null, lists and dictionaries."
        ) from error
    if size > MAX_METADATA_BYTES:
        raise InvalidEpisode(f"The {what} has {size:,} bytes as JSON; {MAX_METADATA_BYTES:,} is the most.")
    return json.loads(text)


def _check_depth(value: Any, what: str) -> None:
    """Refuse what is nested too deep, and keys that JSON would silently turn into text."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise InvalidEpisode(f"The {what} is nested more than {MAX_DEPTH} deep. Flatten it.")
        below: dict[int, Any] = {}  # by identity: what contains itself twice would double at every level
        for item in level:
            if isinstance(item, Mapping):
                if not all(isinstance(key, str) for key in item):
                    raise InvalidEpisode(f"The {what} has a key that is not text. JSON keys are text.")
                item = item.values()
            below |= {id(inner): inner for inner in item if isinstance(inner, Mapping | list | tuple)}
        level = list(below.values())


def checked_id(id: Any) -> str:
    """An id that the log can keep. Raises InvalidEpisode."""
    name = _name(id if not isinstance(id, int) or isinstance(id, bool) else str(id), "id")
    if name is None:
        raise InvalidEpisode("The id is empty. Leave it out to be given one.")
    return name


def _name(value: Any, what: str, longest: int = MAX_NAME) -> str | None:
    if value is None or value == "":
        return None
    if type(value) is str and len(value) <= 64 and value.isprintable():
        return value  # nearly all
    if not isinstance(value, str):
        raise InvalidEpisode(f"The {what} is {type(value).__name__}; text is expected.")
    if len(value) > longest:
        raise InvalidEpisode(f"The {what} has {len(value)} characters; {longest} is the most.")
    if "\0" in value or not value.isprintable():
        raise InvalidEpisode(f"The {what} {value[:40]!a} has a character that cannot be printed. Leave it out.")
    return value
