"""Mnemic: a durable, explainable, measurable memory for AI agents and models."""

from mnemic._version import __version__
from mnemic.errors import MnemicError
from mnemic.memory import Added, Context, Imported, Memory, Receipt, Version
from mnemic.model import Cue, Episode, Hit, Link, Reason, Recall, Record

__all__ = [
    "Added",
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
    "Version",
    "__version__",
]
