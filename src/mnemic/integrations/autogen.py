"""AutoGen's memory, kept in a scope: `AssistantAgent(..., memory=[MnemicMemory(memory.scope("acme/alice"))])`.

What is added comes back as it was: text, JSON, bytes and images, with its type and its metadata; text and JSON can be
searched. `update_context` asks for what answers the newest message and puts it before the model as a system message
that says it is a record and not an instruction. Results carry `score`, `id` and `occurred_at` in their metadata.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import Any

from mnemic.errors import DependencyMissing, ParameterError
from mnemic.integrations.handle import Handle
from mnemic.integrations.in_thread import finish
from mnemic.model import Episode, Hit

try:
    from autogen_core import CancellationToken, Image
    from autogen_core.memory import (
        Memory,
        MemoryContent,
        MemoryMimeType,
        MemoryQueryResult,
        UpdateContextResult,
    )
    from autogen_core.model_context import ChatCompletionContext
    from autogen_core.models import LLMMessage, SystemMessage
except ImportError as error:
    raise DependencyMissing("The memory needs autogen-core. Install it with: pip install 'mnemic[autogen]'") from error

FORMAT = "autogen.content"
_SEARCH_ARGUMENTS = frozenset(
    {"limit", "top_k", "threshold", "filters", "session", "since", "until", "as_of", "asked_at"}
)


class MnemicMemory(Memory):
    """A handle's scope as AutoGen's memory.

    limit: how many memories `query` returns. budget_tokens: how long the message is that `update_context` adds.
    threshold: memories that score lower are left out of both. The handle stays open when this is closed.
    """

    def __init__(
        self,
        handle: Handle,
        *,
        name: str = "mnemic",
        limit: int = 10,
        budget_tokens: int = 1000,
        threshold: float = 0.0,
        session: str | None = None,
    ) -> None:
        self.name = name
        self._handle = handle
        self._limit = limit
        self._budget_tokens = budget_tokens
        self._threshold = threshold
        self._session = session

    async def add(self, content: MemoryContent, cancellation_token: CancellationToken | None = None) -> None:
        """Remember a content; durable once this returns. Raises InvalidEpisode."""
        _stop_if_cancelled(cancellation_token)
        await finish(self._handle.add, _message(content), session=self._session)

    async def query(
        self, query: str | MemoryContent, cancellation_token: CancellationToken | None = None, **kwargs: Any
    ) -> MemoryQueryResult:
        """What answers the query, best first. Further arguments are those of `Memory.search`, such as limit and filters."""
        if unknown := kwargs.keys() - _SEARCH_ARGUMENTS:
            raise ParameterError(f"query() has no {min(unknown)!r}. It takes {', '.join(sorted(_SEARCH_ARGUMENTS))}.")
        _stop_if_cancelled(cancellation_token)
        text = query if isinstance(query, str) else _text(query)
        if not text:
            return MemoryQueryResult(results=[])
        arguments = {"limit": self._limit, "threshold": self._threshold, **kwargs}
        recall = await finish(self._handle.search, text, **arguments)
        return MemoryQueryResult(results=[_content_of(hit) for hit in recall])

    async def update_context(self, model_context: ChatCompletionContext) -> UpdateContextResult:
        """Put what answers the newest message before the model, as one system message; nothing where nothing is known."""
        asked = _newest_text(await model_context.get_messages())
        if not asked:
            return UpdateContextResult(memories=MemoryQueryResult(results=[]))
        block = await finish(self._handle.context, asked, budget_tokens=self._budget_tokens, threshold=self._threshold)
        if not block:
            return UpdateContextResult(memories=MemoryQueryResult(results=[]))
        await model_context.add_message(SystemMessage(content=str(block)))
        shown = {citation.id for citation in block.citations}
        results = [_content_of(hit) for hit in block.recall if hit.id in shown]
        return UpdateContextResult(memories=MemoryQueryResult(results=results))

    async def clear(self) -> None:
        """Forget everything in the scope; the scopes below it are not touched."""
        await finish(self._handle.forget, everything=True)

    async def close(self) -> None:
        """Nothing to do: who opened the memory closes it."""


def _stop_if_cancelled(token: CancellationToken | None) -> None:
    if token is not None and token.is_cancelled():
        raise asyncio.CancelledError


def _message(content: MemoryContent) -> dict[str, Any]:
    mime = content.mime_type.value if isinstance(content.mime_type, MemoryMimeType) else content.mime_type
    part: dict[str, Any] = {"type": FORMAT, "mime_type": mime}
    value = content.content
    if isinstance(value, bytes):
        part |= {"kind": "bytes", "content": base64.b64encode(value).decode()}
    elif isinstance(value, Image):
        part |= {"kind": "image", "content": value.to_base64()}
    elif not isinstance(value, str):
        part |= {"kind": "json", "content": value}
    text = _text(content)
    said = [{"type": "text", "text": text}] if text else []
    return {"content": [*said, part], "metadata": content.metadata or {}}


def _text(content: MemoryContent) -> str:
    """What can be searched for in a content: text as it is, JSON as it is written."""
    if isinstance(content.content, str):
        return content.content
    if isinstance(content.content, Mapping):
        return json.dumps(content.content, ensure_ascii=False)
    return ""


def _content_of(hit: Hit) -> MemoryContent:
    found = {"score": round(hit.score, 6), "id": hit.id, "occurred_at": hit.occurred_at.isoformat()}
    if hit.episode is None or hit.record is not None:
        return MemoryContent(content=hit.text, mime_type=MemoryMimeType.TEXT, metadata={"kind": hit.kind, **found})
    value, mime = _value(hit.episode)
    return MemoryContent(content=value, mime_type=mime, metadata={**hit.episode.metadata, **found})


def _value(episode: Episode) -> tuple[str | bytes | dict[str, Any] | Image, MemoryMimeType | str]:
    part = next((part for part in episode.parts if part.get("type") == FORMAT), None)
    if part is None:
        return episode.text, MemoryMimeType.TEXT
    known = {mime.value: mime for mime in MemoryMimeType}
    mime = known.get(part["mime_type"], part["mime_type"])
    kind = part.get("kind")
    if kind == "bytes":
        return base64.b64decode(part["content"]), mime
    if kind == "image":
        return Image.from_base64(part["content"]), mime
    if kind == "json" and not episode.supersedes:
        return dict(part["content"]), mime
    return episode.text, mime  # a correction is text, whatever it corrects


def _newest_text(messages: list[LLMMessage]) -> str:
    for message in reversed(messages):
        if not isinstance(message, SystemMessage) and isinstance(message.content, str):
            return message.content
        if message.type == "UserMessage":  # text and images
            return "\n".join(part for part in message.content if isinstance(part, str))
    return ""
