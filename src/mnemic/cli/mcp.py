"""The command that serves a memory to one MCP client: mcp."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mnemic.cli.options import DEFAULT_DB, AsJson, Db, Embedder, Scope, must_exist, open_to_add

if TYPE_CHECKING:
    from mnemic.memory import Memory

_PROBLEMS_SHOWN = 20


def mcp(
    tools: Annotated[
        str, typer.Option("--tools", metavar="SET", help="default, reference (those of the reference server), or all.")
    ] = "default",
    read_only: Annotated[bool, typer.Option("--read-only", help="Only tools that read; nothing is written.")] = False,
    graph: Annotated[
        Path | None,
        typer.Option(
            "--import-graph", metavar="FILE", help="Bring in the reference server's file (MEMORY_FILE_PATH) and leave."
        ),
    ] = None,
    db: Db = DEFAULT_DB,
    scope: Scope = "",
    embedder: Embedder = None,
    as_json: AsJson = False,
) -> None:
    """Serve the memory to an MCP client, such as a desktop app or an editor, on standard input and output.

    The client starts this command itself; docs/mcp.md has the lines for its settings. It serves one scope, and no tool can
    leave it. With --json it prints the tools with their schemas and leaves.

    \b
    Example: mnemic mcp --db agent.db --scope alice
             mnemic mcp --tools reference --db agent.db
             mnemic mcp --import-graph memory.jsonl --db agent.db
    """
    from mnemic.cli import render
    from mnemic.mcp.access import VERBS, checked_tools

    checked_tools(tools)
    if graph is not None:
        _import(graph, db, scope, embedder, as_json=as_json)
        return
    if as_json:
        from mnemic.mcp.toolsets import tools_of

        allowed = frozenset({"read"}) if read_only else VERBS
        render.as_json([tool.to_dict() for tool in tools_of(checked_tools(tools), allowed).values()])
        return
    from mnemic.mcp import serve_stdio

    if tools != "default" and os.environ.get("MEMORY_FILE_PATH"):
        render.note("MEMORY_FILE_PATH is not read while serving: bring that file in once, with --import-graph FILE.")

    def opened() -> Memory:
        return _open_to_read(db, scope, embedder) if read_only else open_to_add(db, scope, embedder)

    serve_stdio(opened, tools=tools, read_only=read_only)


def _open_to_read(db: Path, scope: str, embedder: str | None) -> Memory:
    from mnemic.memory import Memory
    from mnemic.model import check_scope

    check_scope(scope)
    must_exist(db)
    return Memory.open(db, embedder=embedder, read_only=True).scope(scope)


def _import(file: Path, db: Path, scope: str, embedder: str | None, *, as_json: bool) -> None:
    from mnemic.cli import render
    from mnemic.mcp.graph_file import import_graph, read_graph_file
    from mnemic.text.counting import counted

    read_graph_file(file)  # says what is wrong with the file before a memory is made
    with open_to_add(db, scope, embedder) as memory:
        done = import_graph(memory, file)
    if as_json:
        render.as_json(done.to_dict())
    else:
        for problem in done.problems[:_PROBLEMS_SHOWN]:
            render.note(problem)
        typer.echo(
            f"Imported {counted(done.entities, 'entity', 'entities')}, {counted(done.observations, 'observation')} and "
            f"{counted(done.relations, 'relation')} that were not here; {counted(len(done.problems), 'line')} could not be read."
        )
    if done.problems:
        raise typer.Exit(1)


COMMANDS = (mcp,)
