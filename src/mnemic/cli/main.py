"""The `mnemic` command: its parts put together, and what happens when something goes wrong.

Exit codes: 0 done; 1 nothing was found, or something found to be wrong; 2 bad usage or input; 3 the store or its
embedder cannot do it; 130 interrupted; 141 whoever read our output closed it. An error that Mnemic knows is one line on
standard error, never a traceback. Every command imports what it needs when it runs.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mnemic.cli import ask, backup, bench, compare, demo, keys, mcp, move, proxy, serve, systems, upkeep, write
from mnemic.errors import (
    Conflict,
    FormatError,
    InvalidInput,
    MnemicError,
    NotFound,
    SystemNotFound,
)

INTERRUPTED, BROKEN_PIPE = 130, 141  # 128 and the number of the signal, as shells have it


class Commands(TyperGroup):
    """All commands; the one place where errors become exit codes."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        from mnemic.cli.render import complain, note

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("always", UserWarning)
                warnings.simplefilter("always", RuntimeWarning)
                warnings.showwarning = lambda message, *_, **__: note(f"Note: {message}")
                result = super().invoke(ctx)
            sys.stdout.flush()
        except MnemicError as error:
            complain(str(error))
            raise typer.Exit(exit_code(error)) from None
        except BrokenPipeError:
            # what is still buffered must go somewhere, or Python complains when it exits
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(BROKEN_PIPE) from None
        except OSError as error:
            complain(f"{error.filename or 'The system'}: {error.strerror or error}.")
            raise typer.Exit(2) from None
        except (KeyboardInterrupt, typer.Abort):
            complain("Interrupted.")
            raise typer.Exit(INTERRUPTED) from None
        return result


def exit_code(error: MnemicError) -> int:
    """1 for what is not there, 2 for bad input, 3 for what the store or its embedder cannot do."""
    if isinstance(error, NotFound) and not isinstance(error, SystemNotFound):
        return 1
    if isinstance(error, InvalidInput | SystemNotFound | Conflict | FormatError):
        return 2
    return 3


app = typer.Typer(
    name="mnemic",
    cls=Commands,
    help="A durable memory for AI agents: keep what happened, recall it with reasons, forget it for good.\n\n"
    "See it at work with `mnemic demo`; begin with `mnemic add`, then `mnemic search`.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        from mnemic._version import __version__

        typer.echo(f"mnemic {__version__}")
        raise typer.Exit


@app.callback()
def mnemic(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """What all commands have in common."""


for part in (demo, write, ask, move, systems, upkeep, backup, serve, mcp, proxy, compare):
    for command in part.COMMANDS:
        name = command.__name__.rstrip("_")
        app.command(name)(command)
app.add_typer(bench.app)
app.add_typer(keys.app)


def run() -> None:
    """The entry point of the installed command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character still gets the line
    app()
