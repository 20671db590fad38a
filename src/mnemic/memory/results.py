"""What the front door hands back beside the nouns: a context block, and a version of a memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mnemic.model import Episode, Recall
from mnemic.ops.pack import Citation


class Context(str):
    """A prompt-ready block of memories. It is its text; it also knows what it cites and what it costs."""

    citations: tuple[Citation, ...]
    tokens: int
    recall: Recall

    def __new__(cls, text: str, citations: tuple[Citation, ...], tokens: int, recall: Recall) -> Context:
        """Text with what stands behind it."""
        self = super().__new__(cls, text)
        self.citations, self.tokens, self.recall = citations, tokens, recall
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:  # so that it can be copied and pickled
        return str(self), self.citations, self.tokens, self.recall


@dataclass(frozen=True, slots=True)
class Version:
    """One text that a memory had."""

    episode: Episode
    event: Literal["ADD", "UPDATE"]
    old_memory: str | None

    def to_dict(self) -> dict[str, Any]:
        """In the shape that users of other memory libraries know."""
        return {
            "id": self.episode.id,
            "memory_id": self.episode.id,
            "old_memory": self.old_memory,
            "new_memory": self.episode.text,
            "event": self.event,
            "created_at": self.episode.recorded_at.isoformat(),
            "updated_at": self.episode.recorded_at.isoformat(),
            "is_deleted": False,
            "actor_id": self.episode.actor,
            "role": self.episode.role,
        }

    def __getitem__(self, key: str) -> Any:
        return self.to_dict()[key]
