"""A session of the OpenAI Agents SDK, kept in a memory: `Runner.run(agent, text, session=MnemicSession("monday", handle))`.

Every item comes back exactly as it was added, in the order it was added: messages, function calls and their outputs,
reasoning, and whatever else the SDK hands over. What messages and tools say in text can be found by `Memory.search`,
also from other sessions; calls and reasoning are kept without being recalled.

It follows the SDK's `Session` protocol: four coroutines, a `session_id` and optional `session_settings`. A write that the
caller cancels is finished before the cancellation goes on, so that a history is never half of what was acknowledged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from mnemic.errors import DependencyMissing, InvalidEpisode
from mnemic.integrations.handle import Handle
from mnemic.integrations.in_thread import finish
from mnemic.integrations.transcript import Item, Transcript

try:
    from agents.memory import SessionSettings
except ImportError as error:
    raise DependencyMissing(
        "The session needs the OpenAI Agents SDK. Install it with: pip install 'mnemic[openai-agents]'"
    ) from error

if TYPE_CHECKING:
    from agents import TResponseInputItem

FORMAT = "openai-agents.item"


class MnemicSession:
    """The history of one conversation, in the scope of a handle."""

    def __init__(self, session_id: str, handle: Handle, *, session_settings: SessionSettings | None = None) -> None:
        self.session_id = session_id
        self.session_settings: SessionSettings | None = session_settings or SessionSettings()
        self._transcript = Transcript(handle, session_id, FORMAT)

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """The items, oldest first; the newest `limit` of them, or as many as `session_settings` says."""
        if limit is None and self.session_settings is not None:
            limit = self.session_settings.limit
        if limit is not None and limit < 0:
            limit = None  # as the SDK's own sessions take it
        return cast("list[TResponseInputItem]", await finish(self._transcript.values, limit))

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Append items, all or none; they are durable once this returns. Raises InvalidEpisode."""
        await finish(self._transcript.add, [_item(value) for value in items])

    async def pop_item(self) -> TResponseInputItem | None:
        """Forget the newest item, and return it; None where there is none."""
        return cast("TResponseInputItem | None", await finish(self._transcript.pop))

    async def clear_session(self) -> None:
        """Forget everything of this session."""
        await finish(self._transcript.clear)


def _item(value: object) -> Item:
    if not isinstance(value, Mapping):
        raise InvalidEpisode(f"An item is a dictionary, as the SDK hands it over; {type(value).__name__} was given.")
    kind = value.get("type") or "message"
    if kind == "message":
        return Item(value, str(value.get("role") or "user"), _text(value.get("content")))
    if isinstance(kind, str) and kind.endswith("_output"):
        return Item(value, "tool", _text(value.get("output")))
    return Item(value, "assistant")


def _text(content: Any) -> str:
    """What is said in a content: text, or a list of parts of which some are text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        return ""
    parts = [part for part in content if isinstance(part, Mapping)]
    said = [part.get("text", part.get("refusal")) for part in parts]
    return "\n".join(text for text in said if isinstance(text, str))
