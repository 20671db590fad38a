"""LlamaIndex: a chat store, a memory, and a block for its `Memory` class, each over a handle's scope.

`MnemicChatStore` keeps the messages of each key as a session. `MnemicMemory` is a memory of its own: the newest messages of
a session that fit, and before them what answers the question from everything the scope remembers, these messages left
out. `MnemicMemoryBlock` is long-term memory for `llama_index.core.memory.Memory`: what falls out of its queue is
remembered, and what answers the newest messages is put into the prompt.

Messages come back as they were: blocks of every kind, tool calls, additional_kwargs. Nothing is ever cut out of the log: a
message that does not fit any more is only not shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mnemic.errors import DependencyMissing, ParameterError
from mnemic.integrations.handle import Handle
from mnemic.integrations.in_thread import finish
from mnemic.integrations.transcript import Item, Transcript
from mnemic.memory.results import Context
from mnemic.text.tokens import count_tokens

try:
    from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock
    from llama_index.core.bridge.pydantic import Field, PrivateAttr
    from llama_index.core.memory.memory import BaseMemoryBlock
    from llama_index.core.memory.types import BaseMemory
    from llama_index.core.storage.chat_store.base import BaseChatStore
except ImportError as error:
    raise DependencyMissing(
        "These need llama-index-core. Install it with: pip install 'mnemic[llama-index]'"
    ) from error

FORMAT = "llama-index.message"
DEFAULT_SESSION = "chat_history"
_PAGE = 100


class MnemicChatStore(BaseChatStore):
    """Chat histories by key: each key is a session of the handle's scope."""

    _handle: Handle = PrivateAttr()

    def __init__(self, handle: Handle, **data: Any) -> None:
        super().__init__(**data)
        self._handle = handle

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex knows it."""
        return "MnemicChatStore"

    def set_messages(self, key: str, messages: list[ChatMessage]) -> None:
        """Make these the messages of the key, in one write; those that stood there are forgotten."""
        self._of(key).replace([_item(message) for message in messages])

    def get_messages(self, key: str) -> list[ChatMessage]:
        """The messages of the key, oldest first; none for a key that is not there."""
        return [ChatMessage.model_validate(value) for value in self._of(key).values()]

    def add_message(self, key: str, message: ChatMessage) -> None:
        """Append a message; durable once this returns."""
        self._of(key).add([_item(message)])

    def delete_messages(self, key: str) -> list[ChatMessage] | None:
        """Forget the key; its messages, or None where it is not there."""
        messages = self.get_messages(key)
        self._of(key).clear()
        return messages or None

    def delete_message(self, key: str, idx: int) -> ChatMessage | None:
        """Forget one message, and what only repeats it; None where there is no such place."""
        return _message_of(self._of(key).remove(idx))

    def delete_last_message(self, key: str) -> ChatMessage | None:
        """Forget the newest message; None where there is none."""
        return _message_of(self._of(key).pop())

    def get_keys(self) -> list[str]:
        """The keys that have messages, oldest first."""
        keys: list[str] = []
        after = 0
        while page := self._handle.sessions(limit=_PAGE, after=after):
            keys += [one.session for one in page if self._of(one.session).values(1)]
            after = page[-1].first_seq
        return keys

    def _of(self, key: str) -> Transcript:
        return Transcript(self._handle, key, FORMAT)


class MnemicMemory(BaseMemory):
    """A chat memory: the newest messages of a session, and what the scope remembers that answers the question."""

    session_id: str = Field(default=DEFAULT_SESSION, description="The session that the messages belong to.")
    token_limit: int = Field(default=30_000, description="How long what `get` returns may be, in tokens.")
    recall_tokens: int = Field(
        default=1_000, description="How much of that what is recalled may take; 0 recalls nothing."
    )
    _handle: Handle = PrivateAttr()

    def __init__(self, handle: Handle, **data: Any) -> None:
        super().__init__(**data)
        self._handle = handle
        if self.token_limit < 1 or not 0 <= self.recall_tokens <= self.token_limit:
            raise ParameterError(
                f"token_limit={self.token_limit}, recall_tokens={self.recall_tokens}: give a limit of at least 1, and a "
                "share of it, from 0 to all."
            )

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex knows it."""
        return "MnemicMemory"

    @classmethod
    def from_defaults(
        cls, handle: Handle | None = None, chat_history: list[ChatMessage] | None = None, **kwargs: Any
    ) -> MnemicMemory:
        """A memory over a handle's scope; `chat_history` replaces what the session holds."""
        if handle is None:
            raise ParameterError("Give the handle of a memory: MnemicMemory.from_defaults(memory.scope('alice')).")
        memory = cls(handle, **kwargs)
        if chat_history is not None:
            memory.set(chat_history)
        return memory

    def get(self, input: str | ChatMessage | None = None, **kwargs: Any) -> list[ChatMessage]:
        """The newest messages that fit, beginning with a user's, and before them what is recalled for `input`.

        Without an input the newest message of the user is what is asked. What is recalled becomes a system message, or
        stands at the beginning of the one that is there.
        """
        kept = self._transcript.kept()
        messages = [ChatMessage.model_validate(one.item.value) for one in kept]
        system = [one for one in messages if one.role == MessageRole.SYSTEM][-1:]
        first = _first_that_fits(messages, self.token_limit - self.recall_tokens - sum(map(_tokens, system)))
        shown = messages[first:]
        asked = input.content if isinstance(input, ChatMessage) else input
        if asked is None:
            asked = next((one.content for one in reversed(shown) if one.role == MessageRole.USER), None)
        block = self._recalled(asked, [one.id for one in kept[first:]]) if asked and self.recall_tokens else ""
        return _with_block(block, shown if system and system[0] in shown else system + shown)

    def get_all(self) -> list[ChatMessage]:
        """Every message of the session, oldest first."""
        return [ChatMessage.model_validate(value) for value in self._transcript.values()]

    def put(self, message: ChatMessage) -> None:
        """Append a message; durable once this returns."""
        self.put_messages([message])

    def put_messages(self, messages: list[ChatMessage]) -> None:
        """Append messages, all or none."""
        self._transcript.add([_item(message) for message in messages])

    def set(self, messages: list[ChatMessage]) -> None:
        """Make these the messages of the session, in one write; those that stood there are forgotten."""
        self._transcript.replace([_item(message) for message in messages])

    def reset(self) -> None:
        """Forget the session; what other sessions of the scope hold stays."""
        self._transcript.clear()

    @property
    def _transcript(self) -> Transcript:
        return Transcript(self._handle, self.session_id, FORMAT)

    def _recalled(self, asked: str, shown_ids: list[str]) -> str:
        filters = {"id": {"nin": shown_ids}} if shown_ids else None
        return str(self._handle.context(asked, budget_tokens=self.recall_tokens, filters=filters))


class MnemicMemoryBlock(BaseMemoryBlock[str]):
    """Long-term memory for LlamaIndex's `Memory`: `Memory.from_defaults(memory_blocks=[MnemicMemoryBlock(handle)])`."""

    name: str = Field(default="long_term_memory", description="The name of the block, unique in a memory.")
    budget_tokens: int = Field(default=1_000, ge=1, description="How long the block may be, in tokens.")
    messages_asked: int = Field(
        default=1, ge=1, description="How many of the user's newest messages make the question."
    )
    _handle: Handle = PrivateAttr()

    def __init__(self, handle: Handle, **data: Any) -> None:
        super().__init__(**data)
        self._handle = handle

    async def _aget(self, messages: list[ChatMessage] | None = None, **block_kwargs: Any) -> str:
        said = [one.content for one in messages or () if one.role == MessageRole.USER and one.content]
        if not said:
            return ""
        asked = "\n".join(said[-self.messages_asked :])
        return await finish(self._handle.context, asked, budget_tokens=self.budget_tokens)

    async def _aput(self, messages: list[ChatMessage]) -> None:
        """Remember messages, each in the session that it names in its additional_kwargs, as `Memory` writes it there."""
        await finish(self._handle.add, [_message(one) for one in messages if one.content or not _is_plain(one)])

    async def atruncate(self, content: str, tokens_to_truncate: int) -> str | None:
        """The block made anew with so many tokens less, best memories first; None where nothing is left."""
        if not isinstance(content, Context):
            return None
        budget = content.tokens - tokens_to_truncate
        if budget < 1:
            return None
        shorter = await finish(self._handle.context, content.recall.cue.text, budget_tokens=budget)
        return shorter or None


def _item(message: ChatMessage) -> Item:
    return Item(message.model_dump(mode="json"), message.role.value, message.content or "")


def _message(message: ChatMessage) -> dict[str, Any]:
    """The message for the log, without the session in the message itself."""
    value = message.model_dump(mode="json")
    session = value["additional_kwargs"].pop("session_id", None)
    said = [{"type": "text", "text": message.content}] if message.content else []
    parts = [] if _is_plain(message) else [{"type": FORMAT, "item": value}]
    return {"role": message.role.value, "session": session, "content": [*said, *parts]}


def _is_plain(message: ChatMessage) -> bool:
    """Whether the text is all there is."""
    has_more = message.additional_kwargs.keys() - {"session_id"}
    return not has_more and all(isinstance(block, TextBlock) for block in message.blocks)


def _message_of(value: dict[str, Any] | None) -> ChatMessage | None:
    return None if value is None else ChatMessage.model_validate(value)


def _first_that_fits(messages: Sequence[ChatMessage], budget: int) -> int:
    """From where on the messages fit: a user's turn begins there, or it is the newest turn, which is never cut."""
    turns = [place for place, one in enumerate(messages) if one.role == MessageRole.USER] or [0]
    used, first = 0, turns[-1]
    for place in range(len(messages) - 1, -1, -1):
        used += _tokens(messages[place])
        if used > budget:
            return first
        if place in turns:
            first = place
    return 0


def _tokens(message: ChatMessage) -> int:
    extra = str(message.additional_kwargs) if message.additional_kwargs else ""
    return count_tokens((message.content or "") + extra)


def _with_block(block: str, messages: list[ChatMessage]) -> list[ChatMessage]:
    if not block:
        return messages
    place = next((place for place, one in enumerate(messages) if one.role == MessageRole.SYSTEM), None)
    if place is None:
        return [ChatMessage(role=MessageRole.SYSTEM, content=block), *messages]
    system = messages[place].model_copy(update={"blocks": [TextBlock(text=block), *messages[place].blocks]})
    return [*messages[:place], system, *messages[place + 1 :]]
