"""The front door of the library."""

from mnemic.memory.forget import Receipt
from mnemic.memory.front import Context, Memory, Version
from mnemic.memory.remember import Added
from mnemic.memory.transfer import Imported

__all__ = ["Added", "Context", "Imported", "Memory", "Receipt", "Version"]
