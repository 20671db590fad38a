"""Commands that move a memory, from a file or to a file: import, export."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated, Any, TextIO, cast

import typer

from mnemic.cli.options import (
    DEFAULT_DB,
    AsJson,
    Db,
    Embedder,
    Scope,
    open_to_add,
    open_to_read,
)

_PROBLEMS_SHOWN = 20


def import_(
    file: Annotated[Path, typer.Argument(help="A file, or a folder of Markdown journals.")],
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="mnemic, chatgpt, claude, locomo, langgraph, letta, mem0, graphiti, zep, markdown, openai, mbox, transcript.",
            show_default="told from the content",
        ),
    ] = None,
    db: Db = DEFAULT_DB,
    scope: Scope = "",
    embedder: Embedder = None,
    as_json: AsJson = False,
) -> None:
    """Read a past from a file: exports of ChatGPT and Claude, of mem0, Graphiti, Zep, Letta and LangGraph stores, mail,
    journals, transcripts, our own export.

    Importing again changes nothing; an import that was cut short goes on. What cannot be read is named with its place,
    does not stop the rest, and makes the exit code 1.

    \b
    Example: mnemic import conversations.json --scope alice
    """
    from mnemic.cli import render
    from mnemic.formats.registry import read

    read(file, format)  # says what is wrong with the file before a memory is made
    with open_to_add(db, scope, embedder) as memory:
        done = memory.import_(file, format, show_progress=not as_json)
    if as_json:
        render.as_json(done.to_dict())
    else:
        for problem in done.problems[:_PROBLEMS_SHOWN]:
            render.note(str(problem))
        if len(done.problems) > _PROBLEMS_SHOWN:
            render.note(f"… and {len(done.problems) - _PROBLEMS_SHOWN} more; --json lists all.")
        into = f" into {len(done.scopes)} scopes" if len(done.scopes) > 1 else ""
        typer.echo(
            f"Imported {_episodes(done.added)}{into}; {done.skipped:,} "
            f"{'was' if done.skipped == 1 else 'were'} there already; "
            f"{len(done.problems):,} could not be read."
        )
    if done.problems or not (done.added or done.skipped):
        raise typer.Exit(1)


def export(
    file: Annotated[str, typer.Argument(metavar="[FILE|-]", help="Where to; - is standard output.")] = "-",
    alone: Annotated[bool, typer.Option("--alone", help="Leave out the scopes below.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE when it is there.")] = False,
    db: Db = DEFAULT_DB,
    scope: Scope = "",
    as_json: AsJson = False,
) -> None:
    """Write a scope and those below it as JSON Lines, which `mnemic import` reads back.

    \b
    Example: mnemic export alice.jsonl --scope alice
             mnemic export - | gzip > memory.jsonl.gz
    """
    from mnemic.cli import render
    from mnemic.errors import ParameterError
    from mnemic.memory.transfer import check_target

    with open_to_read(db, scope) as memory:
        total = sum(memory.scopes().values())
        if file == "-":
            if hasattr(sys.stdout, "reconfigure"):
                sys.stdout.reconfigure(encoding="utf-8", errors="strict")
            memory.export(sys.stdout, include_children=not alone)
            return
        path = Path(file)
        if path.exists() and not force:
            raise ParameterError(f"{path} is there already. Give another name, or --force to replace it.")
        check_target(memory._shared, path)
        draft = path.with_name(path.name + ".part")  # a file of that name is always a whole export
        try:
            with draft.open("w", encoding="utf-8") as out, _Counted(out, total) as counted:
                written = memory.export(cast(TextIO, counted), include_children=not alone)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    if as_json:
        render.as_json({"path": str(path), "episodes": written, "bytes": path.stat().st_size})
    else:
        typer.echo(f"Exported {_episodes(written)} to {path} ({render.size(path.stat().st_size)}).")


def _episodes(n: int) -> str:
    return f"{n:,} episode{'' if n == 1 else 's'}"


class _Counted(io.TextIOBase):
    """A file to export to that draws how far it is."""

    def __init__(self, out: Any, total: int) -> None:
        self._out = out
        self._lines = self._bar(total)

    @staticmethod
    def _bar(total: int) -> Any:
        from mnemic.progress import track

        return iter(track(range(total), "Exporting", total))

    def write(self, text: str) -> int:
        next(self._lines, None)
        return int(self._out.write(text))

    def close(self) -> None:
        for _ in self._lines:
            pass
        super().close()


COMMANDS = (import_, export)
