"""Commands that look after a memory: stats, reindex, doctor, audit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnemic.cli.backup import Data, counted, moved, names_folder
from mnemic.cli.backup import Db as OneDb
from mnemic.cli.options import DEFAULT_DB, AsJson, Db, Embedder, Llm, Scope, open_to_read, stored_embedder

if TYPE_CHECKING:
    from rich.table import Table

    from mnemic.audit import Audit

_SCOPES_SHOWN = 10
_DAYS_TO_JUDGE = 7  # a forecast from fewer is called a guess


def stats(db: Db = DEFAULT_DB, scope: Scope = "", as_json: AsJson = False) -> None:
    """Count what a scope holds; without --scope, the whole file.

    \b
    Example: mnemic stats --scope acme/alice
    """
    from rich.text import Text

    from mnemic.cli import render

    with open_to_read(db, scope) as memory:
        numbers = memory.stats()
        scopes = memory.scopes()
    if as_json:
        render.as_json({"path": str(db), **numbers, "by_scope": scopes})
        return
    rows = {
        "file": f"{db}, {render.size(numbers['bytes'])}",
        "embedder": numbers["embedder"],
        "episodes": f"{numbers['episodes']:,} in {numbers['sessions']:,} sessions",
        "echoes": f"{numbers['echoes']:,}",
        "superseded": f"{numbers['superseded']:,}",
        "recalled": f"{numbers['recalled']:,} at least once",
        "waiting vectors": f"{numbers['waiting_vectors']:,}",
        "records, links": f"{numbers['records']:,}, {numbers['links']:,}",
        "failures": f"{numbers['failures']:,}",
        "systems": ", ".join(numbers["attached"]) or "none attached",
    }
    grid = render.table("", "")
    grid.show_header = False
    for name, value in rows.items():
        grid.add_row(Text(name, "dim"), Text(value))
    render.show(grid)
    if numbers["llm"]:
        render.show("", _spent(numbers["llm"]))
    if len(scopes) > 1 or scope:
        made = render.table("episodes", "scope", right=("episodes",))
        largest = sorted(scopes.items(), key=lambda item: -item[1])
        for path, n in largest[:_SCOPES_SHOWN]:
            made.add_row(f"{n:,}", Text(render.clean(path) or "(the root)"))
        render.show("", made)
        if len(largest) > _SCOPES_SHOWN:
            render.note(f"{len(largest) - _SCOPES_SHOWN:,} more scopes; --json lists all.")


def _spent(rows: list[dict[str, Any]]) -> Table:
    """What systems asked their models, and what it cost."""
    from mnemic.cli import render

    numbers = ("calls", "failed", "tokens in", "tokens out", "US$")
    made = render.table("system", "step", "model", *numbers, right=numbers)
    for one in rows:
        made.add_row(
            one["system"],
            one["step"],
            one["model"],
            *(f"{one[name]:,}" for name in ("calls", "failed", "tokens_in", "tokens_out")),
            f"{one['usd']:.4f}" if one["usd"] else "",
        )
    return made


def reindex(
    context: typer.Context,
    embedder: Embedder = None,
    again: Annotated[bool, typer.Option("--again", help="Embed everything anew, with the same embedder.")] = False,
    db: OneDb = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Embed what waits for its vector; with --embedder, change to another embedder and embed everything.

    With --data it does so for all tenants of a server's folder, which must be stopped. Interrupted, it goes on at the next
    call. Meanwhile what waits is found by its words.

    \b
    Example: mnemic reindex --embedder minilm
             mnemic reindex --data mnemic-data --embedder minilm
    """
    from mnemic.cli import render
    from mnemic.memory import Memory
    from mnemic.models.resolve import open_embedder

    if names_folder(context, db, data):
        assert data is not None
        _reindex_tenants(data, embedder, again=again, as_json=as_json)
        return
    file = db or DEFAULT_DB
    stored = stored_embedder(file)
    # without a name the store's own embedder goes on: "auto" must not throw away the vectors of another
    chosen = open_embedder(embedder or "auto", stored_id=stored)
    embedded = Memory.reindex(file, chosen, show_progress=not as_json, again=again)
    if as_json:
        render.as_json({"embedded": embedded, "embedder": chosen.id, "before": stored})
    else:
        made = counted(embedded, "episode")
        typer.echo(f"Embedded {made} with {chosen.id}." if embedded else f"All have vectors of {chosen.id}.")


def _reindex_tenants(data: Path, name: str | None, *, again: bool, as_json: bool) -> None:
    from mnemic.cli import render
    from mnemic.models.resolve import open_embedder
    from mnemic.serve.backup import files_of
    from mnemic.serve.reindex import reindex_all

    chosen = None if name in (None, "auto") else open_embedder(name)
    total = sum((data / one).stat().st_size for one in files_of(data)[:-1])
    with moved("Embedding", total, show=not as_json) as step:
        done = reindex_all(data, chosen, again=again, step=step)
    failed = [one for one in done if one.problem]
    if as_json:
        render.as_json({"tenants": [one.to_dict() for one in done]})
    else:
        for one in failed:
            render.complain(f"{one.path} was not embedded. {one.problem}")
        ids = sorted({one.embedder for one in done if one.embedder})
        episodes, tenants = sum(one.embedded for one in done), len(done) - len(failed)
        made = f"Embedded {counted(episodes, 'episode')} of {counted(tenants, 'tenant')}"
        typer.echo(f"{made}: {', '.join(ids)}." if ids else f"{made}.")
    if failed:
        raise typer.Exit(1)


def doctor(
    file: Annotated[Path | None, typer.Argument(help="The memory's file, like --db.")] = None,
    llm: Llm = None,
    db: Db = DEFAULT_DB,
    embedder: Embedder = None,
    as_json: AsJson = False,
) -> None:
    """Check the file, its embedder, its systems with their model and this machine; say what to do where something is wrong.

    Changes nothing. Exit code 1 when something is bad; warnings leave it 0.

    \b
    Example: mnemic doctor --db agent.db
    """
    from rich.text import Text

    from mnemic.cli import render
    from mnemic.doctor import doctor as examine

    found = examine(file or db, embedder, llm)
    if as_json:
        render.as_json(found.to_dict())
    else:
        made = render.table("", "", "")
        made.show_header = False
        style = {"ok": "green", "warn": "yellow", "bad": "bold red"}
        for check in found.checks:
            text = Text(render.flat(check.finding))
            if check.remedy:
                text.append(f"\n→ {render.flat(check.remedy)}", "bold")
            made.add_row(Text(check.status, style[check.status]), check.name, text)
        render.show(made)
    if not found.is_sound:
        raise typer.Exit(1)


def audit(
    stale_after: Annotated[
        float,
        typer.Option("--stale-after", metavar="DAYS", min=0, help="When an episode never recalled counts as unused."),
    ] = 90.0,
    examples: Annotated[int, typer.Option("--examples", min=0, max=5, help="Episodes shown for each finding.")] = 2,
    db: Db = DEFAULT_DB,
    scope: Scope = "",
    as_json: AsJson = False,
) -> None:
    """Measure a memory's health: repeats, echoes, what is stale or never asked for, and how it grows.

    \b
    Example: mnemic audit --scope acme --examples 5
    """
    from mnemic.audit import audit as measure
    from mnemic.cli import render

    with open_to_read(db, scope) as memory:
        found = measure(memory, stale_after_days=stale_after, examples=5 if as_json else examples)
        if as_json:
            render.as_json(found.to_dict())
            return
        if not found.episodes:
            render.nothing_found(memory, "Nothing is remembered")
    _show_audit(found)


def _show_audit(found: Audit) -> None:
    from rich.text import Text

    from mnemic.cli import render

    scopes = f"{found.n_scopes:,} scopes" if found.n_scopes != 1 else "1 scope"
    render.show(Text(f"{found.episodes:,} episodes in {scopes}, {render.size(found.bytes)}\n", "bold"))
    made = render.table("share", "", "episodes", "finding", right=("share", "episodes"))
    for one in found.shares.values():
        text = Text(one.title)
        for example in one.examples:
            about = " · ".join(part for part in (example.id, example.scope, example.note) if part)
            text.append(f"\n{render.flat(example.excerpt, 70)}  {render.clean(about)}", "dim")
        made.add_row(f"{one.share:.1%}", Text(f"{render.bar(one.share, 10):<10}", "cyan"), f"{one.count:,}", text)
    made.add_row("", "", f"{found.waiting_vectors:,}", "wait for their vectors")
    render.show(made)
    growth = found.growth
    ahead = "; ".join(
        f"in {one.days} days {one.episodes:,} episodes, {render.size(one.bytes)}" for one in growth.forecasts
    )
    if not growth.recorded:
        told = f"nothing was recorded in the last {growth.window_days:.0f} days."
    else:
        told = (
            f"{growth.recorded:,} recorded on {growth.on_days} of the last {growth.window_days:.0f} days, "
            f"{growth.per_day:,.1f} a day. If that is kept up: {ahead}."
        )
        if growth.on_days < _DAYS_TO_JUDGE:
            told += " Few days to judge by: a guess."
    render.show(Text(f"\nGrowth: {told}"))
    if found.n_scopes > 1:
        largest = ", ".join(f"{path or '(the root)'} {n:,}" for path, n in found.scopes)
        render.show(Text(render.clean(f"Largest scopes: {largest}")))


COMMANDS = (stats, reindex, doctor, audit)
