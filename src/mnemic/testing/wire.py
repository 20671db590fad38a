"""What the two protocols share: text in parts, events, and the names of errors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

_PIECE_CHARACTERS = 16  # in a stream


class BadRequest(Exception):
    """A request that is not in its protocol's form."""


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event."""

    value: Any  # JSON, or a text as it is
    name: str | None = None

    def encoded(self) -> bytes:
        """As it is sent."""
        data = self.value if isinstance(self.value, str) else json.dumps(self.value)
        name = f"event: {self.name}\n" if self.name else ""
        return f"{name}data: {data}\n\n".encode()


def text_of(content: Any) -> str:
    """The text of a message's content, which is a text or a list of parts; what is no text is left out."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return "\n".join(text for text in texts if isinstance(text, str))


def pieces(text: str) -> list[str]:
    """The text as a stream brings it."""
    return [text[start : start + _PIECE_CHARACTERS] for start in range(0, len(text), _PIECE_CHARACTERS)]


def kind_of_error(status: int) -> str:
    """What both vendors call an error of this status."""
    known = {
        401: "authentication_error",
        403: "permission_error",
        404: "not_found_error",
        413: "request_too_large",
        429: "rate_limit_error",
        529: "overloaded_error",
    }
    return known.get(status, "invalid_request_error" if status < 500 else "api_error")
