"""Embedding all tenants of a data folder again, with no server running.

The folder is held meanwhile, so that no server opens it halfway. Each tenant is done as one memory is (`memory/reindex.py`):
an interrupted run goes on at the next call. A tenant's file that is damaged, or whose embedder cannot be opened, is named and
does not stop the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mnemic.errors import EmbedderMismatch, NotAStore, StoreCorrupt, StoreReadOnly, StoreTooNew
from mnemic.memory.reindex import reindex
from mnemic.models.embedder import Embedder
from mnemic.models.resolve import open_embedder
from mnemic.serve.archive import Step
from mnemic.serve.backup import files_of
from mnemic.serve.control import FILE as CONTROL_FILE
from mnemic.serve.embedders import Embedders
from mnemic.serve.run import only_one
from mnemic.store.sqlite import SqliteStore

_OF_ONE = (StoreCorrupt, NotAStore, StoreTooNew, StoreReadOnly, EmbedderMismatch)


@dataclass(frozen=True, slots=True)
class Embedded:
    """One tenant's file."""

    path: str  # in the data folder
    embedded: int = 0
    embedder: str | None = None
    before: str | None = None  # the embedder that it had
    problem: str | None = None  # for which nothing of it was embedded

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return asdict(self)


def reindex_all(
    data: Path, embedder: Embedder | None = None, *, again: bool = False, step: Step = lambda n: None
) -> list[Embedded]:
    """Give every episode of every tenant a vector of this embedder; None: what waits for one, of its tenant's own embedder.

    step: told of each file's bytes once it is done. Raises ParameterError for what is no server's folder, StoreBusy while a
    server holds it, EmbedderUnavailable and StoreFull; what was done until then stays.
    """
    files = [name for name in files_of(data) if name != CONTROL_FILE]
    done = []
    with only_one(data):
        chosen = Embedders(open_embedder()).of if embedder is None else lambda _: embedder
        for name in files:
            done.append(_embedded(data, name, chosen, again=again))
            step((data / name).stat().st_size)
    return done


def _embedded(data: Path, name: str, chosen: Callable[[str | None], Embedder], *, again: bool) -> Embedded:
    before = None
    try:
        store = SqliteStore(data / name)
        try:
            before = store.meta("embedder")
            embedder = chosen(before)
            return Embedded(name, reindex(store, embedder, again=again), embedder.id, before)
        finally:
            store.close()
    except _OF_ONE as error:
        return Embedded(name, before=before, problem=f"{type(error).__name__}: {error}")
