"""Options that several commands share, and the opening of the memory that they name.

Which kind of opening a command needs is the one decision here. What writes may make the file; what reads refuses a
missing one. What asks or adds needs the embedder; what only lists, exports or forgets must work without it, so it is
given a stand-in that carries the stored id and embeds nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mnemic.memory import Memory

Db = Annotated[
    Path, typer.Option("--db", envvar="MNEMIC_DB", metavar="FILE", help="The memory's file.", show_default="mnemic.db")
]
Scope = Annotated[
    str,
    typer.Option(
        "--scope",
        envvar="MNEMIC_SCOPE",
        metavar="PATH",
        help="Whose memory, such as acme/alice.",
        show_default="the root",
    ),
]
Embedder = Annotated[
    str | None,
    typer.Option(
        "--embedder",
        envvar="MNEMIC_EMBEDDER",
        metavar="NAME",
        help="auto, minilm, hashing, openai:MODEL, sentence-transformers:NAME.",
        show_default="the one that made the file",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, and nothing else there.")]
Llm = Annotated[
    str | None,
    typer.Option(
        "--llm",
        envvar="MNEMIC_LLM",
        metavar="MODEL",
        help="What systems ask: openai:MODEL, anthropic:MODEL, with settings as in docs/llm.md; none.",
        show_default="none",
    ),
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")]
Session = Annotated[str | None, typer.Option("--session", metavar="NAME", help="Only this session.")]
Since = Annotated[str | None, typer.Option("--since", metavar="TIME", help="What happened from then on: 2024-05-01.")]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="What happened up to then; a whole day.")]
Filter = Annotated[
    str | None, typer.Option("--filter", metavar="JSON", help='On metadata and fields: {"topic": "tea"}.')
]
Children = Annotated[bool, typer.Option("--children", help="The scopes below it as well.")]
DEFAULT_DB = Path("mnemic.db")


class NoEmbedder:
    """Stands where an embedder must and none is needed."""

    dim = 1

    def __init__(self, id: str) -> None:
        self.id = id

    def embed(self, texts: Sequence[str], kind: str = "document") -> Any:
        """Raises EmbedderUnavailable."""
        from mnemic.errors import EmbedderUnavailable

        raise EmbedderUnavailable(f"This command embeds nothing, so {self.id} was not opened.")


def open_to_add(db: Path, scope: str, embedder: str | None) -> Memory:
    """The memory, made if it is not there."""
    return _opened(db, scope, embedder, llm="none")


def open_to_ask(db: Path, scope: str, embedder: str | None, llm: str | None) -> Memory:
    """The memory, which must be there; read-only where its file is, and then nothing is noted as recalled.

    llm: what the system that answers asks, if it is attached with that model; None for $MNEMIC_LLM.
    """
    must_exist(db)
    is_writable = os.access(db, os.W_OK) and os.access(db.parent, os.W_OK)
    return _opened(db, scope, embedder, read_only=not is_writable, llm=llm)


def open_to_read(db: Path, scope: str) -> Memory:
    """The memory, which must be there, read-only and without its embedder."""
    return _opened(db, scope, _stand_in(db), read_only=True, llm="none")


def open_to_forget(db: Path, scope: str) -> Memory:
    """The memory, which must be there, for changes that need no embedder."""
    return _opened(db, scope, _stand_in(db), llm="none")


def open_to_work(db: Path, scope: str, embedder: str | None, llm: str | None) -> Memory:
    """The memory, which must be there, for what systems do with it. llm: None for $MNEMIC_LLM."""
    must_exist(db)
    return _opened(db, scope, embedder, llm=llm)


def must_exist(db: Path) -> None:
    """Raise StoreReadOnly, with what to do, where there is no file."""
    if not db.exists():
        from mnemic.errors import StoreReadOnly

        raise StoreReadOnly(
            f'There is no memory at {db}. `mnemic add "…"` begins one there; --db or $MNEMIC_DB names another file; '
            "`mnemic demo` shows one at work."
        )


def stored_embedder(db: Path) -> str | None:
    """The id of the embedder that made the file's vectors. The file must be there."""
    from mnemic.store.sqlite import SqliteStore

    must_exist(db)
    store = SqliteStore(db, read_only=True)
    try:
        return store.meta("embedder")
    finally:
        store.close()


def json_object(text: str | None, option: str) -> dict[str, Any] | None:
    """The JSON object that an option holds. Raises ParameterError."""
    if text is None:
        return None
    from mnemic.errors import ParameterError

    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ParameterError(f'{option} is not JSON ({error}). Write it as \'{{"topic": "tea"}}\'.') from None
    if not isinstance(value, dict):
        raise ParameterError(f'{option} is no JSON object. Write it as \'{{"topic": "tea"}}\'.')
    return value


def _opened(db: Path, scope: str, embedder: Any, *, read_only: bool = False, llm: str | None = None) -> Memory:
    from mnemic.memory import Memory
    from mnemic.model import check_scope

    check_scope(scope)
    # a command ends before a model has answered: what systems ask one is done by `mnemic consolidate`
    return Memory.open(db, embedder=embedder, read_only=read_only, llm=llm, background=False).scope(scope)


def _stand_in(db: Path) -> NoEmbedder:
    return NoEmbedder(stored_embedder(db) or "none yet")
