"""One chat and its memory: what is recalled for it, and what of it is remembered. No HTTP here."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mnemic.clock import Clock
from mnemic.errors import IdConflict, InvalidInput
from mnemic.integrations.handle import Handle
from mnemic.proxy.answers import Answers, joined
from mnemic.proxy.block import FRAME_TOKENS, framed
from mnemic.proxy.turns import MOST_STORED, Lined, Turn, last_user_text, line_up, placed, turn_of, turns_of
from mnemic.telemetry import span

LONGEST_CUE = 4000  # characters of the user's message that are searched with
LONGEST_VALUE = 2**20  # characters of one value in a part: what is longer, such as an image, is kept as its hash
_KEPT = ("role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal")


@dataclass(frozen=True, slots=True)
class Recalled:
    """The block to show to the model, how many memories it holds; and where it is empty, why."""

    block: str = ""
    count: int = 0
    reason: str = ""


def line_up_with_log(handle: Handle, messages: Sequence[Any], session: str | None, clock: Clock) -> Lined | None:
    """What of a chat is new; None when it has no turns."""
    turns = turns_of(messages)
    if not turns:
        return None
    stored = handle.list(session=session, newest_first=True, limit=MOST_STORED)
    if session is None:  # conversations without a name are told by their content, among their like
        stored = [one for one in stored if (one.session or "").startswith("chat-")]
    return line_up(turns, stored[::-1], session, clock.now())


def recall(
    handle: Handle, messages: Sequence[Any], shown: Collection[str], *, budget_tokens: int, min_confidence: float
) -> Recalled:
    """What is remembered of what the user said last, framed for the model.

    shown: ids of what the conversation holds already. Nothing, with a reason, when nothing relevant seems to be stored.
    """
    text = last_user_text(messages)
    if not text:
        return Recalled(reason="no-question")
    cue, budget = text[:LONGEST_CUE], max(budget_tokens - FRAME_TOKENS, 1)
    with span("search_memory", handle.scope_path, query=cue) as traced:
        others = {"id": {"nin": sorted(shown)}} if shown else None
        context = handle.context(cue, budget_tokens=budget, filters=others)
        traced.note(hits=len(context.citations), confidence=context.recall.confidence)
    if not context:
        return Recalled(reason="nothing-stored")
    if context.recall.confidence is not None and context.recall.confidence < min_confidence:
        return Recalled(reason="nothing-relevant")
    return Recalled(framed(str(context)), len(context.citations))


def remember_asked(handle: Handle, lined: Lined, session: str | None) -> str:
    """Remember the turns that are new; the id of the last turn. session: the one that was named."""
    asked = placed(lined.new, lined.previous, session)
    _add(handle, [_message(id, turn, {}) for id, turn in asked], lined.session)
    return asked[-1][0] if asked else lined.previous


def remember_answers(handle: Handle, lined: Lined, session: str | None, after: str, answers: Answers) -> None:
    """Remember what the model answered to the turn with the id `after`; unfinished, it is marked as partial."""
    metadata: dict[str, Any] = {"model": answers.model} if answers.model else {}
    if not answers.is_complete:
        metadata |= {"partial": True, "after": after}
    turns = [turn for message in answers.messages if (turn := turn_of(message)) is not None]
    found = {turn.id_after(after, session): turn for turn in turns}
    _add(handle, [_message(id, turn, metadata) for id, turn in found.items()], lined.session)


def _message(id: str, turn: Turn, metadata: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: turn.message[name] for name in _KEPT if turn.message.get(name) is not None}
    return {**_slim(kept), "id": id, "metadata": dict(metadata)}


def _add(handle: Handle, messages: Sequence[dict[str, Any]], session: str) -> None:
    """All of it at once; where one cannot be kept, each that can. Raises what stood in the way of the last that could not."""
    if not messages:
        return
    with span("update_memory", handle.scope_path, episodes=len(messages)):
        try:
            handle.add(messages, session=session)
        except (InvalidInput, IdConflict):
            _add_each(handle, messages, session)


def _add_each(handle: Handle, messages: Iterable[dict[str, Any]], session: str) -> None:
    wrong: InvalidInput | None = None
    for message in messages:
        try:
            handle.add(message, session=session)
        except IdConflict:  # the same turn, remembered meanwhile by another request, with other metadata
            continue
        except InvalidInput as error:
            wrong = error
    if wrong is not None:
        raise wrong


def _slim(value: Any) -> Any:
    """The value, with very long texts of parts (images, sounds) replaced by their length and hash."""
    if isinstance(value, Mapping):
        return {
            name: joined([each]) if isinstance(each, str) and name in ("text", "content") else _slim(each)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_slim(each) for each in value]
    if isinstance(value, str) and len(value) > LONGEST_VALUE:
        digest = hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
        return f"{value[:40]}… ({len(value)} characters, blake2b {digest})"
    return joined([value]) if isinstance(value, str) else value
