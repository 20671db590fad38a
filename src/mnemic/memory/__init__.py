"""The front door of the library."""

from mnemic.memory.forget import Receipt
from mnemic.memory.front import Memory
from mnemic.memory.remember import Added
from mnemic.memory.results import Context, Version
from mnemic.memory.transfer import Imported

__all__ = ["Added", "Context", "Imported", "Memory", "Receipt", "Version"]
