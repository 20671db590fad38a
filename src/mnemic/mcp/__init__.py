"""The memory as an MCP server: a small set of tools of its own, and those of the reference memory server.

    from mnemic.mcp import build_server, http_app, serve_stdio

A connection is on one scope, which no tool can leave. The protocol is the official `mcp` package's, which is imported
when one of these names is first used; `mnemic.mcp.graph`, the knowledge graph in the log, needs nothing but a handle.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mnemic.errors import DependencyMissing
from mnemic.mcp.access import Access

if TYPE_CHECKING:
    from mnemic.mcp.http import http_app
    from mnemic.mcp.server import build_server
    from mnemic.mcp.stdio import serve_stdio

__all__ = ["Access", "build_server", "http_app", "serve_stdio"]

_HOMES = {"build_server": "server", "http_app": "http", "serve_stdio": "stdio"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("mnemic"):
            raise
        raise DependencyMissing(
            f'The MCP server needs the package {error.name!r}, which is not installed. Run: pip install "mnemic[mcp]"'
        ) from error
