"""LangChain's chat message history, kept in a memory: one session of a handle's scope.

    history = MnemicChatMessageHistory(memory.scope("acme/alice"), "monday")

Messages come back as they were added: content and its blocks, tool calls, ids, names, metadata. What they say in text can
be found by `Memory.search`, also from other sessions. It serves `RunnableWithMessageHistory`, and a LangGraph node that
wants a history without a checkpointer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mnemic.errors import DependencyMissing
from mnemic.integrations.handle import Handle
from mnemic.integrations.in_thread import finish
from mnemic.integrations.transcript import Item, Transcript

try:
    from langchain_core.chat_history import BaseChatMessageHistory
    from langchain_core.messages import (
        BaseMessage,
        ChatMessage,
        FunctionMessage,
        HumanMessage,
        SystemMessage,
        ToolMessage,
        message_to_dict,
        messages_from_dict,
    )
except ImportError as error:
    raise DependencyMissing(
        "The chat history needs langchain-core. Install it with: pip install 'mnemic[langgraph]'"
    ) from error

FORMAT = "langchain.message"
_ROLES = {HumanMessage: "user", SystemMessage: "system", ToolMessage: "tool", FunctionMessage: "tool"}


class MnemicChatMessageHistory(BaseChatMessageHistory):
    """The messages of one session, in the scope of a handle."""

    def __init__(self, handle: Handle, session_id: str) -> None:
        self.session_id = session_id
        self._transcript = Transcript(handle, session_id, FORMAT)

    @property
    def messages(self) -> list[BaseMessage]:
        """All messages, oldest first."""
        return self.newest(None)

    @messages.setter
    def messages(self, messages: Sequence[BaseMessage]) -> None:
        self._transcript.replace([_item(message) for message in messages])

    def newest(self, limit: int | None) -> list[BaseMessage]:
        """The newest messages, oldest first; None is all of them."""
        return messages_from_dict(self._transcript.values(limit))

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Append messages, all or none; durable once this returns. Raises InvalidEpisode."""
        self._transcript.add([_item(message) for message in messages])

    def clear(self) -> None:
        """Forget the session."""
        self._transcript.clear()

    async def aget_messages(self) -> list[BaseMessage]:
        """All messages, oldest first."""
        return await finish(self.newest, None)

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Append messages; finished even when the caller is cancelled."""
        await finish(self.add_messages, messages)

    async def aclear(self) -> None:
        """Forget the session; finished even when the caller is cancelled."""
        await finish(self.clear)


def _item(message: BaseMessage) -> Item:
    return Item(message_to_dict(message), _role(message), _text(message.content), message.name)


def _role(message: BaseMessage) -> str:
    if isinstance(message, ChatMessage):
        return message.role
    return next((role for kind, role in _ROLES.items() if isinstance(message, kind)), "assistant")


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    said = [part if isinstance(part, str) else part.get("text") for part in content]
    return "\n".join(text for text in said if isinstance(text, str))
