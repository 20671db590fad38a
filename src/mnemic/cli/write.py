"""Commands that change a memory: add, forget."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnemic.cli.options import (
    DEFAULT_DB,
    AsJson,
    Children,
    Db,
    Embedder,
    Filter,
    Scope,
    Session,
    Since,
    Until,
    json_object,
    open_to_add,
    open_to_forget,
)

if TYPE_CHECKING:
    from mnemic.memory import Memory, Receipt

_PREVIEWED = 5


def add(
    text: Annotated[
        str, typer.Argument(metavar="[TEXT|-]", help="What to remember; - reads it from standard input.")
    ] = "-",
    role: Annotated[
        str | None, typer.Option("--role", help="user, assistant, system, tool.", show_default="user")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Who said it.")] = None,
    session: Annotated[str | None, typer.Option("--session", metavar="NAME", help="Which conversation or run.")] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="When it happened.", show_default="now")
    ] = None,
    metadata: Annotated[
        list[str] | None, typer.Option("--metadata", "-m", metavar="K=V|JSON", help="Facts about it; may be repeated.")
    ] = None,
    id: Annotated[
        str | None, typer.Option("--id", help="Its id: sent again with the same text, nothing changes.")
    ] = None,
    db: Db = DEFAULT_DB,
    scope: Scope = "",
    embedder: Embedder = None,
    as_json: AsJson = False,
) -> None:
    """Remember a text, durably, once the command returns. Makes the file if it is not there.

    \b
    Example: mnemic add "I moved to Porto in March." --name Alice -m topic=home
             git log -1 | mnemic add - --role tool --session deploy
    """
    from mnemic.cli import render
    from mnemic.errors import InvalidEpisode

    if text == "-":
        if sys.stdin.isatty():
            render.note("Reading from standard input; end it with Ctrl-D.")
        try:
            text = sys.stdin.read().strip()
        except UnicodeDecodeError as error:
            raise InvalidEpisode(
                f"Standard input is not {error.encoding} text. Convert it first, with iconv."
            ) from None
    facts = _metadata(metadata or [])
    with open_to_add(db, scope, embedder) as memory:
        added = memory.add(text, role=role, actor=name, session=session, occurred_at=at, metadata=facts, id=id)
        episode = added.episodes[0]
        if as_json:
            render.as_json(added.to_dict())
        else:
            where = f" in {episode.scope}" if episode.scope else ""
            typer.echo(f"Remembered {episode.id}{where}." if added.is_new[0] else f"{episode.id} was there already.")
        if added.echoes:
            render.note(
                f"It repeats what was recalled ({', '.join(episode.echo_of)}): kept as an echo, never as evidence."
            )


def forget(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Episodes, as search and list print them.")
    ] = None,
    session: Session = None,
    since: Since = None,
    until: Until = None,
    filter: Filter = None,
    everything: Annotated[bool, typer.Option("--everything", help="All of the scope.")] = False,
    children: Children = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and leave it.")] = False,
    prove: Annotated[
        str | None,
        typer.Option("--prove", metavar="TEXT", help="Read the store's files for this text, before and after."),
    ] = None,
    db: Db = DEFAULT_DB,
    scope: Scope = "",
    as_json: AsJson = False,
) -> None:
    """Forget for good: the episodes, every version of them, and all that was made from them, in every file.

    Several choices must all hold. Asks first, unless --yes. Copies and backups made elsewhere are out of reach.

    \b
    Example: mnemic forget s14-11 --prove 8264
             mnemic forget --session monday --dry-run
    """
    from mnemic.cli import render
    from mnemic.errors import ParameterError

    filters = json_object(filter, "--filter")
    is_chosen = bool(ids or session or filters or since or until)
    if is_chosen is everything:
        raise ParameterError(
            "Nothing was forgotten. Name ids, or --session, --since, --until or --filter; or, alone, --everything."
        )
    with open_to_forget(db, scope) as memory:
        chosen: dict[str, Any] = {
            "id": ids or None,
            "session": session,
            "filters": filters,
            "since": since,
            "until": until,
            "everything": everything,
            "include_children": children,
        }
        planned = memory.forget(**chosen, dry_run=True)
        if not planned.episodes:
            render.nothing_found(memory, "Nothing that this names")
        if dry_run:
            if as_json:
                render.as_json(planned.to_dict())
            else:
                _preview(memory, planned)
            return
        if not yes:
            _preview(memory, planned, err=True)
            _confirm()
        before = memory.find_traces(prove) if prove else []
        # the ids that were shown, not the choice again: what was added meanwhile was not agreed to
        receipt = memory.forget(**chosen) if everything or children else memory.forget(list(planned.ids))
        after = memory.find_traces(prove) if prove else []
    if as_json:
        proof = {"prove": {"before": [str(one) for one in before], "after": [str(one) for one in after]}}
        render.as_json(receipt.to_dict() | (proof if prove else {}))
    else:
        typer.echo(str(receipt))
        if prove:
            typer.echo(_proof(prove, before, after))
    if not receipt.is_scrubbed:
        render.note(
            "Another program is reading, so the write-ahead log still holds old pages; its next write or close empties it."
        )
    if after:
        raise typer.Exit(1)


def _metadata(given: list[str]) -> dict[str, Any]:
    import json

    from mnemic.errors import ParameterError

    facts: dict[str, Any] = {}
    for one in given:
        if one.lstrip().startswith("{"):
            facts |= json_object(one, "--metadata") or {}
            continue
        key, equals, value = one.partition("=")
        if not equals or not key:
            raise ParameterError(f"--metadata {one!r} is neither key=value nor a JSON object.")
        try:
            facts[key] = json.loads(value)
        except ValueError:
            facts[key] = value
    return facts


def _preview(memory: Memory, planned: Receipt, *, err: bool = False) -> None:
    from mnemic.cli import render
    from mnemic.errors import EpisodeNotFound

    for id in planned.ids[:_PREVIEWED]:
        try:
            one = memory.get(id)
            line = f"{render.day(one.occurred_at)}  {one.speaker}: {render.flat(one.text, 80)}  ({id})"
        except EpisodeNotFound:  # in a scope below
            line = id
        typer.echo("  " + render.clean(line), err=err)
    if planned.episodes > _PREVIEWED:
        typer.echo(f"  … and {planned.episodes - _PREVIEWED:,} more", err=err)
    typer.echo(str(planned), err=err)


def _confirm() -> None:
    from mnemic.errors import ParameterError

    if not sys.stdin.isatty():
        raise ParameterError("Nothing was forgotten: there is no terminal to ask at. Add --yes.")
    if not typer.confirm("Forget it for good?", err=True):
        typer.echo("Nothing was forgotten.", err=True)
        raise typer.Exit(1)


def _proof(text: str, before: list[Path], after: list[Path]) -> str:
    def named(files: list[Path]) -> str:
        return ", ".join(file.name for file in files) or "no file"

    tail = "" if not after else " Something else that is remembered holds it too: `mnemic search` finds it."
    return f"{text!r} was in {named(before)}; now it is in {named(after)}.{tail}"


COMMANDS = (add, forget)
