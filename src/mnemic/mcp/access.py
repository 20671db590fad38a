"""Who is connected: which memory, and what may be done with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mnemic.errors import ParameterError
from mnemic.integrations.handle import Handle

Verb = Literal["read", "write", "forget"]
ToolSet = Literal["default", "reference", "all"]

VERBS: frozenset[str] = frozenset({"read", "write", "forget"})
TOOL_SETS: tuple[ToolSet, ...] = ("default", "reference", "all")


@dataclass(frozen=True, slots=True)
class Access:
    """A handle on one scope, and which of read, write and forget its holder may do."""

    handle: Handle
    allowed: frozenset[str] = VERBS

    def __post_init__(self) -> None:
        if unknown := set(self.allowed) - VERBS:
            raise ParameterError(f"{min(unknown)!r} cannot be allowed. What can: {', '.join(sorted(VERBS))}.")


def checked_tools(tools: str) -> ToolSet:
    """The name of a tool set. Raises ParameterError."""
    if tools not in TOOL_SETS:
        raise ParameterError(f"There is no tool set {tools[:40]!a}. There are: {', '.join(TOOL_SETS)}.")
    return tools
