"""Commands that change a memory or move it: add, import, export, forget, reindex."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO, cast

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
    open_to_read,
)

if TYPE_CHECKING:
    from mnemic.memory import Memory, Receipt

_PROBLEMS_SHOWN = 20
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


def import_(
    file: Annotated[Path, typer.Argument(help="A file, or a folder of Markdown journals.")],
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="mnemic, chatgpt, claude, locomo, markdown, openai, mbox, transcript.",
            show_default="told from the content",
        ),
    ] = None,
    db: Db = DEFAULT_DB,
    scope: Scope = "",
    embedder: Embedder = None,
    as_json: AsJson = False,
) -> None:
    """Read a past from a file: exports of ChatGPT and Claude, mail, journals, transcripts, our own export.

    Importing again changes nothing; an import that was cut short goes on. What cannot be read is named with its place,
    does not stop the rest, and makes the exit code 1.

    \b
    Example: mnemic import conversations.json --scope alice
    """
    from mnemic.cli import render

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
            f"Imported {done.added:,} episodes{into}; {done.skipped:,} were there already; "
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
        typer.echo(f"Exported {written:,} episodes to {path} ({render.size(path.stat().st_size)}).")


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

    filters = json_object(filter, "--filter")
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


def reindex(
    embedder: Embedder = None,
    again: Annotated[bool, typer.Option("--again", help="Embed everything anew, with the same embedder.")] = False,
    db: Db = DEFAULT_DB,
    as_json: AsJson = False,
) -> None:
    """Embed what waits for its vector; with --embedder, change to another embedder and embed everything.

    Interrupted, it goes on at the next call. Meanwhile what waits is found by its words.

    \b
    Example: mnemic reindex --embedder minilm
    """
    from mnemic.cli import render
    from mnemic.cli.options import _must_exist
    from mnemic.memory import Memory
    from mnemic.models.resolve import open_embedder
    from mnemic.store.sqlite import SqliteStore

    _must_exist(db)
    store = SqliteStore(db, read_only=True)
    try:
        stored = store.meta("embedder")
    finally:
        store.close()
    # without a name the store's own embedder goes on: "auto" must not throw away the vectors of another
    chosen = open_embedder(embedder or "auto", stored_id=stored)
    embedded = Memory.reindex(db, chosen, show_progress=not as_json, again=again)
    if as_json:
        render.as_json({"embedded": embedded, "embedder": chosen.id, "before": stored})
    else:
        typer.echo(
            f"Embedded {embedded:,} episodes with {chosen.id}." if embedded else f"All have vectors of {chosen.id}."
        )


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


COMMANDS = (add, import_, export, forget, reindex)
