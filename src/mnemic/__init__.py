"""Mnemic: a durable, explainable, measurable memory for AI agents and models."""

from typing import TYPE_CHECKING, Any

from mnemic._version import __version__
from mnemic.errors import MnemicError
from mnemic.memory import Added, Context, Imported, Memory, Receipt, Version
from mnemic.model import Cue, Episode, Hit, Link, Reason, Recall, Record, Session

if TYPE_CHECKING:
    from mnemic.async_memory import AsyncMemory

__all__ = [
    "Added",
    "AsyncMemory",
    "Context",
    "Cue",
    "Episode",
    "Hit",
    "Imported",
    "Link",
    "Memory",
    "MnemicError",
    "Reason",
    "Recall",
    "Receipt",
    "Record",
    "Session",
    "Version",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name == "AsyncMemory":  # only those who use it pay for importing asyncio
        from mnemic.async_memory import AsyncMemory

        return AsyncMemory
    raise AttributeError(f"module 'mnemic' has no attribute {name!r}")
