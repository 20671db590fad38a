"""Mnemic: a durable, explainable, measurable memory for AI agents and models."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mnemic._version import __version__
from mnemic.errors import MnemicError
from mnemic.memory import Added, Context, Imported, Memory, Receipt, Version
from mnemic.model import Cue, Episode, Hit, Link, Reason, Recall, Record, Session

if TYPE_CHECKING:
    from mnemic.async_memory import AsyncMemory
    from mnemic.client import AsyncClient, Client

__all__ = [
    "Added",
    "AsyncClient",
    "AsyncMemory",
    "Client",
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


# only those who use them pay for importing asyncio, or what a server needs
_WHERE = {"AsyncClient": "mnemic.client", "AsyncMemory": "mnemic.async_memory", "Client": "mnemic.client"}


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'mnemic' has no attribute {name!r}")
