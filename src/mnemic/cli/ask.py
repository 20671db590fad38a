"""Commands that ask: search, context, why-not, list, show."""

from __future__ import annotations

from typing import Annotated

import typer

from mnemic.cli.options import (
    DEFAULT_DB,
    AsJson,
    Children,
    Db,
    Embedder,
    Filter,
    Limit,
    Llm,
    Scope,
    Session,
    Since,
    Until,
    json_object,
    open_to_ask,
    open_to_read,
)

Query = Annotated[str, typer.Argument(help="What to recall, in words.")]
System = Annotated[
    str | None,
    typer.Option("--system", metavar="NAME", help="Which system answers; `mnemic systems`.", show_default="hybrid"),
]
AsOf = Annotated[str | None, typer.Option("--as-of", metavar="TIME", help="Only what was recorded by then.")]
AskedAt = Annotated[
    str | None, typer.Option("--asked-at", metavar="TIME", help="What “yesterday” is relative to.", show_default="now")
]
Threshold = Annotated[float, typer.Option("--threshold", help="Leave out hits that score less; 0 to 1.")]


def search(
    query: Query,
    limit: Limit = 10,
    why: Annotated[bool, typer.Option("--why", help="Draw each signal's share in the score.")] = False,
    system: System = None,
    session: Session = None,
    since: Since = None,
    until: Until = None,
    as_of: AsOf = None,
    asked_at: AskedAt = None,
    filter: Filter = None,
    children: Children = False,
    threshold: Threshold = 0.0,
    llm: Llm = None,
    db: Db = DEFAULT_DB,
    scope: Scope = "",
    embedder: Embedder = None,
    as_json: AsJson = False,
) -> None:
    """Recall what answers a question, best first, with score, date and speaker.

    \b
    Example: mnemic search "Where does she live?" --limit 3 --why
             mnemic search "her job" --as-of 2024-06-15      what was known then
    """
    from mnemic.cli import render

    filters = json_object(filter, "--filter")
    with open_to_ask(db, scope, embedder, llm) as memory:
        asked = memory.system(system) if system else memory
        recall = asked.search(
            query,
            limit=limit,
            threshold=threshold,
            filters=filters,
            session=session,
            since=since,
            until=until,
            as_of=as_of,
            asked_at=asked_at,
            include_children=children,
        )
        if as_json:
            render.as_json(recall.to_dict())
        elif recall.hits:
            render.show(render.hit_lines(recall.hits, why=why), *render.confidence_line(recall))
        if not recall.hits:
            if recall.behind and not as_json:
                render.show(*render.confidence_line(recall))
            render.nothing_found(memory, "Nothing was found")


def context(
    query: Query,
    budget: Annotated[int, typer.Option("--budget", metavar="TOKENS", min=1, help="The block's size.")] = 1000,
    system: System = None,
    session: Session = None,
    since: Since = None,
    until: Until = None,
    as_of: AsOf = None,
    asked_at: AskedAt = None,
    filter: Filter = None,
    children: Children = False,
    threshold: Threshold = 0.0,
    llm: Llm = None,
    db: Db = DEFAULT_DB,
    scope: Scope = "",
    embedder: Embedder = None,
    as_json: AsJson = False,
) -> None:
    """Print what answers a question as a block for a prompt: dated, attributed, cited, within a budget.

    \b
    Example: mnemic context "What does she like?" --budget 400 > memories.txt
    """
    import sys

    from mnemic.cli import render
    from mnemic.model import NOTHING_RELEVANT

    filters = json_object(filter, "--filter")
    with open_to_ask(db, scope, embedder, llm) as memory:
        asked = memory.system(system) if system else memory
        block = asked.context(
            query,
            budget_tokens=budget,
            threshold=threshold,
            filters=filters,
            session=session,
            since=since,
            until=until,
            as_of=as_of,
            asked_at=asked_at,
            include_children=children,
        )
        if as_json:
            citations = [{"mark": one.mark, "id": one.id, "sources": list(one.sources)} for one in block.citations]
            sure = block.recall.to_dict()["confidence"]
            shown = {"context": str(block), "tokens": block.tokens, "confidence": sure, "citations": citations}
            render.as_json(shown)
        elif block:
            typer.echo(render.clean(block) if sys.stdout.isatty() else str(block))
            if block.recall.is_doubtful:
                render.note(NOTHING_RELEVANT)
        if not block:
            render.nothing_found(memory, "Nothing was found, or nothing fits the budget,")


def why_not(
    query: Query,
    wanted: Annotated[str, typer.Argument(metavar="TEXT_OR_ID", help="What was missed: its id, or what it says.")],
    limit: Limit = 10,
    system: System = None,
    session: Session = None,
    since: Since = None,
    until: Until = None,
    as_of: AsOf = None,
    asked_at: AskedAt = None,
    filter: Filter = None,
    children: Children = False,
    threshold: Threshold = 0.0,
    llm: Llm = None,
    db: Db = DEFAULT_DB,
    scope: Scope = "",
    embedder: Embedder = None,
    as_json: AsJson = False,
) -> None:
    """Say why a search did not recall an episode, and what would bring it in; exit 1 when nothing like it is stored.

    \b
    Example: mnemic why-not "Where does she live?" "I moved to Porto" --limit 3
    """
    from mnemic.cli import render

    filters = json_object(filter, "--filter")
    with open_to_ask(db, scope, embedder, llm) as memory:
        asked = memory.system(system) if system else memory
        found = asked.why_not(
            query,
            wanted,
            limit=limit,
            threshold=threshold,
            filters=filters,
            session=session,
            since=since,
            until=until,
            as_of=as_of,
            asked_at=asked_at,
            include_children=children,
        )
    if as_json:
        render.as_json(found.to_dict())
    else:
        typer.echo(render.clean(str(found)))
    if found.found_by == "nothing":
        raise typer.Exit(1)


why_not.__name__ = "why-not"  # a command is called as its function is named


def list_(
    limit: Limit = 20,
    after: Annotated[int, typer.Option("--after", metavar="#", min=0, help="The next page: the last # shown.")] = 0,
    newest: Annotated[bool, typer.Option("--newest", help="Newest first.")] = False,
    session: Session = None,
    since: Since = None,
    until: Until = None,
    filter: Filter = None,
    db: Db = DEFAULT_DB,
    scope: Scope = "",
    as_json: AsJson = False,
) -> None:
    """List episodes in the order in which they were recorded, a page at a time.

    \b
    Example: mnemic list --newest --limit 5
             mnemic list --session monday --after 40
    """
    from mnemic.cli import render

    filters = json_object(filter, "--filter")
    with open_to_read(db, scope) as memory:
        found = memory.list(
            limit=limit + 1,
            after=after,
            newest_first=newest,
            session=session,
            since=since,
            until=until,
            filters=filters,
        )
        shown, has_more = found[:limit], len(found) > limit
        next_after = shown[-1].seq if has_more else None
        if as_json:
            render.as_json({"episodes": [{"seq": one.seq, **one.to_dict()} for one in shown], "next_after": next_after})
        elif shown:
            render.show(render.episode_lines(shown))
        if not shown:
            render.nothing_found(memory, "Nothing is listed")
        if next_after is not None and not as_json:
            render.note(f"More: add --after {next_after}.")


def show(
    id: Annotated[str, typer.Argument(metavar="ID", help="The episode's id, as search and list print it.")],
    db: Db = DEFAULT_DB,
    scope: Scope = "",
    as_json: AsJson = False,
) -> None:
    """Show one episode in full, with every text that it had.

    \b
    Example: mnemic show s14-15 --db demo.db
    """
    from rich.text import Text

    from mnemic.cli import render

    with open_to_read(db, scope) as memory:
        episode = memory.get(id)
        versions = memory.history(id)
    if as_json:
        history = [{"event": one.event, "old_memory": one.old_memory, **one.episode.to_dict()} for one in versions]
        render.as_json({**episode.to_dict(), "seq": episode.seq, "history": history})
        return
    fields = {
        "id": episode.id,
        "scope": episode.scope,
        "who": f"{episode.speaker} ({episode.role})" if episode.actor else episode.role,
        "happened": render.minute(episode.occurred_at),
        "recorded": render.minute(episode.recorded_at),
        "session": episode.session,
        "corrects": episode.supersedes,
        "echo of": ", ".join(episode.echo_of),
        "metadata": _as_text(dict(episode.metadata)),
        "parts": _as_text([dict(part) for part in episode.parts]),
    }
    grid = render.table("", "")
    grid.show_header = False
    for name, value in fields.items():
        if value:
            grid.add_row(Text(name, "dim"), Text(render.clean(str(value))))
    render.show(grid, Text("\n" + render.clean(episode.text)))
    if len(versions) > 1:
        render.show(Text("\nHistory", "bold"))
        past = render.table("", "recorded", "text", "id")
        for one in versions:
            mark = Text("→" if one.episode.id == id else "")
            when, text = render.minute(one.episode.recorded_at), Text(render.flat(one.episode.text, 200))
            past.add_row(mark, when, text, Text(render.clean(one.episode.id), "dim"))
        render.show(past)


def _as_text(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False) if value else ""


COMMANDS = (search, context, why_not, list_, show)
