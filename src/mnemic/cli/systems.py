"""Commands for memory systems: systems, attach, detach, consolidate, records."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnemic.cli.options import (
    DEFAULT_DB,
    AsJson,
    Db,
    Embedder,
    Limit,
    Llm,
    Scope,
    json_object,
    open_to_forget,
    open_to_work,
)

if TYPE_CHECKING:
    from mnemic.systems.contract import Card

Name = Annotated[str, typer.Argument(metavar="SYSTEM", help="Such as mem0; `mnemic systems` lists them.")]


def systems(
    system: Annotated[
        str | None, typer.Argument(metavar="[SYSTEM]", help="Tell all of one.", show_default=False)
    ] = None,
    family: Annotated[str | None, typer.Option("--family", metavar="NAME", help="Only this family.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the memory systems that can answer a search, with what they need and cost; or tell all of one.

    \b
    Example: mnemic systems
             mnemic systems mem0
             mnemic search "her job" --system bm25
    """
    from rich.text import Text

    from mnemic.cli import render
    from mnemic.systems.registry import DEFAULT, cards, system_class

    if system is not None:
        card = system_class(system).card
        if as_json:
            render.as_json({**asdict(card), "is_default": system == DEFAULT, "parameters": _parameters(system)})
        else:
            _tell(card)
        return
    found = [card for card in cards() if family in (None, card.family)]
    if not found:
        families = ", ".join(dict.fromkeys(card.family for card in cards()))
        raise typer.BadParameter(f"There is no family {family!r}; there is {families}.", param_hint="--family")
    if as_json:
        render.as_json([{**asdict(card), "is_default": card.id == DEFAULT} for card in found])
        return
    made = render.table("name", "family", "year", "needs", "what it does, and what it asks a model", right=("year",))
    for card in found:
        what = Text(render.clean(card.summary))
        if card.cost:
            what.append(f" {render.clean(card.cost)}", "dim")
        name = card.id + ("*" if card.id == DEFAULT else "")
        made.add_row(name, card.family, str(card.year), ", ".join(card.needs), what)
    render.show(
        made, "", "* answers when --system is not given. A system that needs an llm has a path without one, too."
    )


def attach(
    system: Name,
    llm: Llm = None,
    parameters: Annotated[
        str | None, typer.Option("--parameters", metavar="JSON", help='Instead of its defaults: {"limit": 5}.')
    ] = None,
    db: Db = DEFAULT_DB,
    embedder: Embedder = None,
    as_json: AsJson = False,
) -> None:
    """Let a system observe the memory from its beginning, and go on; `mnemic consolidate` lets it work.

    Attached with --llm, it asks that model, and waits where it is not there; without, it takes its offline path.
    Attaching it again with other parameters or another model starts what it made anew. Nothing remembered changes.

    \b
    Example: mnemic attach mem0
             mnemic attach mem0 --llm openai:gpt-4o-mini
             mnemic consolidate && mnemic search "her job" --system mem0
    """
    from mnemic.cli import render
    from mnemic.systems.contract import MemorySystem
    from mnemic.systems.registry import system_class

    with open_to_work(db, "", embedder, llm) as memory:
        memory.attach(system, **_checked(json_object(parameters, "--parameters") or {}))
        attached = memory.attached()
    if as_json:
        render.as_json({"attached": attached})
        return
    model = attached[system].get("llm")
    if system_class(system).observe is MemorySystem.observe:
        typer.echo(f"{system} is attached. It keeps no records, so there is nothing to wait for.")
    elif model:
        typer.echo(
            f"{system} is attached, with the model {model}. The file keeps its name, not its address: `mnemic consolidate` with "
            "the same --llm, or MNEMIC_LLM, lets it observe what there is."
        )
    else:
        typer.echo(f"{system} is attached, without a model. `mnemic consolidate` lets it observe what there is.")
    if llm not in (None, "none") and not model:
        render.note(f"{system} asks no model; --llm was not used.")


def detach(system: Name, db: Db = DEFAULT_DB, as_json: AsJson = False) -> None:
    """Drop a system and everything that it made. Nothing remembered changes; what a model answered is kept for next time.

    \b
    Example: mnemic detach mem0
    """
    from mnemic.cli import render
    from mnemic.systems.registry import system_class

    system_class(system)
    with open_to_forget(db, "") as memory:
        was_attached = system in memory.attached()
        memory.detach(system)
        attached = memory.attached()
    if as_json:
        render.as_json({"attached": attached})
    else:
        typer.echo(f"{system} is detached; what it made is gone." if was_attached else f"{system} was not attached.")


def consolidate(
    llm: Llm = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask again what a model answered in no usable form.")
    ] = False,
    db: Db = DEFAULT_DB,
    scope: Scope = "",
    embedder: Embedder = None,
    as_json: AsJson = False,
) -> None:
    """Let attached systems observe what they have not seen and do their offline work, here and in all scopes below.

    Interrupted, it goes on at the next call: what a model answered is kept. Exit code 1 when something could not be done.

    \b
    Example: mnemic consolidate
             mnemic consolidate --llm openai:gpt-4o-mini
    """
    import sys
    from contextlib import nullcontext

    from mnemic.cli import render
    from mnemic.memory.consolidate import consolidate as work
    from mnemic.progress import told
    from mnemic.text.counting import counted

    is_watched = not as_json and sys.stderr.isatty()
    with (
        open_to_work(db, scope, embedder, llm) as memory,
        told("Episodes observed") if is_watched and memory.attached() else nullcontext() as step,
    ):
        found = work(memory._shared, list(memory.scopes()), retry_failed=retry_failed, told=step)
    errors = [
        f"{name} in {path}: {why}" if path else f"{name}: {why}"
        for name, one in found.items()
        for path, why in one.errors.items()
    ]
    if as_json:
        render.as_json(
            {
                name: {
                    "observed": one.observed,
                    "errors": [f"{path}: {why}" if path else why for path, why in one.errors.items()],
                }
                for name, one in found.items()
            }
        )
    elif not found:
        typer.echo("No system is attached. `mnemic attach mem0` attaches one; `mnemic systems` lists them.")
    else:
        for name, one in found.items():
            typer.echo(f"{name}: {counted(one.observed, 'episode')} observed")
        for error in errors:
            render.complain(render.clean(error))
    if errors:
        raise typer.Exit(1)


def records(
    system: Name,
    kind: Annotated[str | None, typer.Option("--kind", metavar="KIND", help="Only these, such as fact.")] = None,
    retired: Annotated[bool, typer.Option("--retired", help="Those that were superseded as well.")] = False,
    limit: Limit = 50,
    llm: Llm = None,
    db: Db = DEFAULT_DB,
    scope: Scope = "",
    embedder: Embedder = None,
    as_json: AsJson = False,
) -> None:
    """List what a system made of a scope: facts, notes, summaries, with when they held.

    \b
    Example: mnemic records mem0 --scope acme/alice
             mnemic records mem0 --retired
    """
    from rich.text import Text

    from mnemic.cli import render
    from mnemic.systems.registry import system_class

    system_class(system)
    with open_to_work(db, scope, embedder, llm) as memory:
        is_attached = system in memory.attached()
        found = memory.records(system=system, kind=kind, include_retired=retired, limit=limit) if is_attached else []
        elsewhere = list(memory.scopes()) if is_attached and not found else []
    if as_json:
        render.as_json([one.to_dict() for one in found])
        return
    if not is_attached:
        typer.echo(f"{system} is not attached. `mnemic attach {system}`, then `mnemic consolidate`, lets it work.")
        raise typer.Exit(1)
    if not found:
        others = ", ".join(render.clean(path) for path in elsewhere if path != scope)
        where = f" Memories are also in: {others}; give --scope." if others else ""
        typer.echo(f"{system} has made nothing of this{f' (of the kind {kind})' if kind else ''}.{where}")
        raise typer.Exit(1)
    made = render.table("since", "until", "kind", "what", "from")
    for one in found:
        until = render.day(one.valid_to or one.retired_at) if one.retired_at else ""
        style = "dim" if one.retired_at else ""
        sources = f"{len(one.sources)} episode{'' if len(one.sources) == 1 else 's'}"
        made.add_row(
            render.day(one.valid_from or one.recorded_at), until, one.kind, Text(render.flat(one.text), style), sources
        )
    render.show(made)


def _tell(card: Card) -> None:
    from rich.text import Text

    from mnemic.cli import render

    grid = render.table("", "")
    grid.show_header = False
    rows = {
        "system": f"{card.id}: {card.title}, {card.year}",
        "what it does": card.summary,
        "source": card.source,
        "family": card.family,
        "needs": ", ".join(card.needs) or "nothing",
        "makes": ", ".join(card.makes) or "no records",
        "asks a model": card.cost or "never",
        "parameters": ", ".join(f"{name}={value!r}" for name, value in _parameters(card.id).items()) or "none",
        "departures": "\n".join(f"- {one}" for one in card.departures) or "none",
    }
    for name, value in rows.items():
        grid.add_row(Text(name, "dim"), Text(render.clean(value)))
    render.show(grid)


def _parameters(system: str) -> dict[str, Any]:
    """A system's parameters with their defaults."""
    from mnemic.systems.registry import create

    return dict(create(system).parameters)


def _checked(parameters: dict[str, Any]) -> dict[str, Any]:
    from mnemic.errors import ParameterError

    for name in ("self", "system", "llm"):  # the names of attach's own arguments
        if name in parameters:
            raise ParameterError(
                f"No system has a parameter named {name!r}. `mnemic systems SYSTEM` tells of those it has."
            )
    return parameters


COMMANDS = (systems, attach, detach, consolidate, records)
