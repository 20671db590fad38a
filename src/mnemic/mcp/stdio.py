"""MCP over standard input and output, as desktop clients and editors start it."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream
from mcp.server.stdio import stdio_server

from mnemic.integrations.handle import Handle
from mnemic.mcp.access import Access
from mnemic.mcp.server import build_server

_BLOCK = 1 << 16


def serve_stdio(
    handle_factory: Callable[[], Handle | Access],
    *,
    tools: str = "default",
    read_only: bool = False,
    name: str = "mnemic",
) -> None:
    """Serve one client on standard input and output until it leaves; then the handle is closed.

    While it serves, whatever else prints to standard output goes to standard error. Raises what the factory raises, and
    ParameterError.
    """
    made = handle_factory()
    handle = made.handle if isinstance(made, Access) else made
    try:
        server = build_server(made, tools=tools, read_only=read_only, name=name)

        async def serve() -> None:
            lines: Any = _lines_of(
                sys.stdin.fileno()
            )  # all that the transport does with its input is to iterate over it
            async with stdio_server(stdin=lines) as (incoming, outgoing):
                await server.run(incoming, outgoing, server.create_initialization_options())

        anyio.run(serve)
    finally:
        handle.close()


def _lines_of(descriptor: int) -> MemoryObjectReceiveStream[str]:
    """The lines that come in, read by a thread that nobody waits for.

    The transport's own reader would hold up the end of the process, at Ctrl-C, until another line comes. Read without
    Python's buffer, whose lock such a thread would keep for ever.
    """
    outgoing, incoming = anyio.create_memory_object_stream[str](0)
    loop = asyncio.get_running_loop()

    def read() -> None:
        pieces: list[bytes] = []
        with suppress(OSError, RuntimeError):  # the input broke, or the loop is closed
            while block := os.read(descriptor, _BLOCK):
                *ends, rest = block.split(b"\n")
                for end in ends:
                    line = b"".join([*pieces, end]).decode("utf-8", "replace")
                    pieces.clear()
                    asyncio.run_coroutine_threadsafe(outgoing.send(mended(line)), loop).result()
                pieces.append(rest)
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(outgoing.close)

    threading.Thread(target=read, name="mnemic-mcp-input", daemon=True).start()
    return incoming


def mended(line: str) -> str:
    r"""The line with U+FFFD for each half of a character, which clients cut off when they shorten a text.

    The transport drops a message that has one, and its sender would wait for an answer for ever.

    >>> mended(r'"\ud83d\ude00 \ud83d \\ud83d"')
    '"\\ud83d\\ude00 \\ufffd \\\\ud83d"'
    """
    if "\\ud" not in line and "\\uD" not in line:
        return line
    return _ESCAPES.sub(lambda found: found[1] or r"\ufffd", line)


# group 1: what stays, an escaped backslash or a whole pair
_ESCAPES = re.compile(
    r"(\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
