"""A memory behind a server, and the SDK's own client in front of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp.server.lowlevel", reason="the mcp extra is not installed")

import anyio
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.shared.exceptions import MCPError

from mnemic import Memory
from mnemic.mcp import build_server

Work = Callable[[Client], Awaitable[Any]]
COMMAND = "import typer; from mnemic.cli.mcp import mcp; typer.run(mcp)"


@pytest.fixture
def alice(memory: Memory) -> Memory:
    """The scope that a connection is on."""
    return memory.scope("acme/alice")


@pytest.fixture
def ask(alice: Memory) -> Callable[..., Any]:
    """Runs a coroutine with a client of a server on Alice's scope, in this process."""

    def run(work: Work, *, mode: str = "auto", handler: Any = None, **settings: Any) -> Any:
        server = build_server(settings.pop("access", alice), **{"tools": "all"} | settings)

        async def main() -> Any:
            async with Client(server, mode=mode, message_handler=handler) as client:
                try:
                    return await work(client)
                except MCPError as error:  # else the client's task group would wrap it
                    return error

        result = anyio.run(main)
        if isinstance(result, MCPError):
            raise result
        return result

    return run


@pytest.fixture
def call(ask: Callable[..., Any]) -> Callable[..., Any]:
    """Calls one tool; the result's structured content, or with error=True the message of its error."""

    def run(tool: str, *, error: bool = False, access: Any = None, **arguments: Any) -> Any:
        settings = {"access": access} if access else {}
        result = ask(lambda client: client.call_tool(tool, arguments), **settings)
        assert result.is_error is error, result.content
        return result.content[0].text if error else result.structured_content

    return run


def stdio(db: Path, *words: str, **variables: str) -> StdioServerParameters:
    """How a client starts the server as a process."""
    known = {key: value for key, value in os.environ.items() if not key.startswith("MNEMIC_")}
    return StdioServerParameters(
        command=sys.executable,
        args=["-c", COMMAND, "--db", str(db), *words],
        env=known | {"MNEMIC_EMBEDDER": "hashing", **variables},
    )


@pytest.fixture
def start() -> Callable[..., StdioServerParameters]:
    """How a client starts the server as a process."""
    return stdio
