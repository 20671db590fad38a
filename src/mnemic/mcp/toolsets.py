"""Which tools there are in each set, and which of them a caller may use."""

from __future__ import annotations

from mnemic.mcp import graph_tools, memory_tools
from mnemic.mcp.access import ToolSet
from mnemic.mcp.tool import Tool

SETS: dict[ToolSet, tuple[Tool, ...]] = {
    "default": memory_tools.TOOLS,
    "reference": graph_tools.TOOLS,
    "all": (*memory_tools.TOOLS, *graph_tools.TOOLS),
}


def tools_of(tools: ToolSet, allowed: frozenset[str]) -> dict[str, Tool]:
    """The tools of a set whose verb is allowed, by name."""
    return {tool.name: tool for tool in SETS[tools] if tool.verb in allowed}


def has_graph(tools: ToolSet) -> bool:
    """Whether the set includes the knowledge graph."""
    return tools != "default"
