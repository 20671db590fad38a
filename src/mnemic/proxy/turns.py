"""The turns of a conversation, and which of them are new, though a client sends all of them each time.

The id of a turn is made of the session, the id of the turn before it, and what it says, so the same turn after the same
past has the same id on every retry, and the same words said twice have two. What stands in the log of the session is
lined up with what was sent: the last turn that both have is found, and what follows it is new. So a history may grow,
be edited, begin later because it was cut, or lack what was forgotten since: nothing is taken twice, and what was
forgotten does not come back with the next request.

A system's or developer's message is an instruction and no turn: it is not remembered.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mnemic.model import Episode

ROLES = ("user", "assistant", "tool", "function")
RETRY_WINDOW = timedelta(minutes=10)  # a first turn that is sent again within it is a retry, and later said again
TELLING = 24  # characters from which a text is known again without its neighbours
MOST_STORED = 1000  # newest turns of a session that a request is lined up with
_ID = re.compile(r"turn-([0-9a-f]{16})-([0-9a-f]{16})")
_MOST_PATHS = 64  # places in the log that a turn may be lined up with at once


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation, as it was sent, and what is compared of it."""

    message: Mapping[str, Any]
    role: str
    text: str
    digest: str

    def id_after(self, previous: str, session: str | None) -> str:
        """The id of this turn when `previous` is the id of the turn before it; "" when there is none."""
        return f"turn-{_hashed(session or '', previous, self.digest)}-{self.digest}"


@dataclass(frozen=True, slots=True)
class Lined:
    """A conversation lined up with the log: what is new, after which id, and in which session."""

    new: tuple[Turn, ...]
    previous: str  # the id that the first new turn follows; "" when it follows nothing
    session: str  # the session to remember in
    shown: frozenset[str] = frozenset()  # ids of episodes that say what the conversation holds already


def placed(turns: Iterable[Turn], after: str, session: str | None) -> list[tuple[str, Turn]]:
    """Each turn with its id, one following the other. session: the one that was named, if any."""
    found = []
    for turn in turns:
        after = turn.id_after(after, session)
        found.append((after, turn))
    return found


def turns_of(messages: Sequence[Any]) -> list[Turn]:
    """The turns among the messages of a chat, in order; what says nothing is none."""
    return [turn for message in messages if isinstance(message, Mapping) and (turn := turn_of(message)) is not None]


def turn_of(message: Mapping[str, Any]) -> Turn | None:
    """The message as a turn; None for instructions and for what says nothing."""
    role = message.get("role")
    if role not in ROLES:
        return None
    text, parts = _said(message)
    calls = _calls(message)
    if not text and not parts and not calls:
        return None
    answers = message.get("tool_call_id") or (message.get("name") if role == "function" else "") or ""
    digest = _hashed(role, " ".join(text.split()), _canonical(parts), _canonical(calls), str(answers))
    return Turn(message, role, text, digest)


def last_user_text(messages: Sequence[Any]) -> str:
    """What the user said last, without images and the like; "" when nothing."""
    for message in reversed(messages):
        if isinstance(message, Mapping) and message.get("role") == "user":
            return _said(message)[0].strip()
    return ""


def line_up(turns: Sequence[Turn], stored: Sequence[Episode], session: str | None, now: datetime) -> Lined:
    """What of a conversation is new.

    stored: the newest episodes of the session, or, where none is named, of the scope; oldest first.
    session: the one that was named; without one, that of the turn that was found, or a new one.
    """
    known = {one.id: one for one in stored if _ID.fullmatch(one.id)}
    by_digest: dict[str, list[str]] = {}
    for id in known:
        by_digest.setdefault(id[-16:], []).append(id)
    digests = {turn.digest for turn in turns}
    shown = frozenset(id for id in known if id[-16:] in digests)
    place, previous = _last_known(turns, known, by_digest, session)
    if place >= 0 and _begins_anew(turns, place, known, previous, session, now):
        place = -1
    if place < 0:
        previous = next(reversed(known), "")
    new = tuple(turns[place + 1 :])
    if session is None:
        session = known[previous].session if place >= 0 else None
        session = session or f"chat-{turns[0].id_after(previous, None)[5:21]}"
    return Lined(new, previous, session, shown)


def _last_known(
    turns: Sequence[Turn], known: Mapping[str, Episode], by_digest: Mapping[str, list[str]], session: str | None
) -> tuple[int, str]:
    """(place of the last turn that the log has, its id); (-1, "") when it has none.

    A turn is known when the log has it after the one that was sent before it. Known by what they say alone are the first one,
    and of those that others follow a long one, and an answer that is the last of its session in the log.
    """
    tails = set({one.session: id for id, one in known.items()}.values())
    place, previous = -1, ""
    before: list[str] = []  # ids that the turn before may have, in the log or where something was forgotten
    for at, turn in enumerate(turns):
        after = [turn.id_after(id, session) for id in before]
        alike = by_digest.get(turn.digest, [])
        found = [id for id in after if id in known]
        is_followed = at < len(turns) - 1
        if not found and (at == 0 or (is_followed and len(turn.text) >= TELLING)):
            found = alike
        if not found and is_followed and turn.role == "assistant":
            found = [id for id in alike if id in tails]
        if not found and turn.role == "assistant":
            found = _begun(turn, before, known)
        if found:
            place, previous = at, max(found, key=lambda id: known[id].seq)
        # on along what the log has; where it has nothing, begin again from whatever says the same
        before = found[-_MOST_PATHS:] or list(dict.fromkeys([*reversed(alike), *after]))[:_MOST_PATHS]
    return place, previous


def _begun(turn: Turn, before: Sequence[str], known: Mapping[str, Episode]) -> list[str]:
    """Ids of answers that were cut short when the client left, of which it sends what it had got, or a little less."""
    begun = (id for id, one in known.items() if one.metadata.get("partial") and one.metadata.get("after") in before)
    return [id for id in begun if turn.text and known[id].text.startswith(turn.text)]


def _begins_anew(
    turns: Sequence[Turn], place: int, known: Mapping[str, Episode], id: str, session: str | None, now: datetime
) -> bool:
    """Whether a conversation only begins with the words of an earlier one: its greeting, or the same first question again.

    A first question is a retry when it is the one that was asked last, and not long ago.
    """
    if session is None and not any(turn.role == "user" for turn in turns[: place + 1]):
        return True
    if place < len(turns) - 1 or sum(turn.role == "user" for turn in turns) > 1:
        return False
    later = any(one.role == "user" and one.seq > known[id].seq for one in known.values())
    return later or now - known[id].recorded_at >= RETRY_WINDOW


def _said(message: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """(the text of a message, its other parts)."""
    content = message.get("content")
    if isinstance(content, str):
        return content, _besides(message)
    texts, parts = [], _besides(message)
    for part in content if isinstance(content, list) else ():
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, Mapping) and isinstance(part.get("text"), str):
            texts.append(part["text"])
        else:
            parts.append(part)
    return "\n".join(texts), parts


def _besides(message: Mapping[str, Any]) -> list[Any]:
    return [message["refusal"]] if message.get("refusal") else []


def _calls(message: Mapping[str, Any]) -> list[Any]:
    """Tool calls, reduced to what a client sends back: its arguments may be spelled in another way."""
    calls = message.get("tool_calls")
    found = [
        [call.get("id"), call["function"].get("name"), _arguments(call["function"].get("arguments"))]
        for call in (calls if isinstance(calls, list) else ())
        if isinstance(call, Mapping) and isinstance(call.get("function"), Mapping)
    ]
    old = message.get("function_call")
    if isinstance(old, Mapping):
        found.append(["", old.get("name"), _arguments(old.get("arguments"))])
    return found


def _arguments(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return text


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str) if value else ""


def _hashed(*texts: str) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()
