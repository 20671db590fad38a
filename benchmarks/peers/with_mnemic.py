"""Mnemic behind the verbs of `measure`: the front door as anyone would use it, in one file on disk.

`default` gives who spoke, when and in which session in their own fields, as a chat has them; `line` gives only the line
that the others get. `bm25` and `dense` answer from the same line by other systems: the controls that any memory has to beat.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import measure
import numpy as np

from mnemic import Memory


class LookupEmbedder:
    """The look-up as Mnemic wants its embedder."""

    id = "lookup"
    max_tokens = 256
    is_semantic = True

    def __init__(self, lookup: measure.Lookup) -> None:
        self.lookup = lookup
        self.dim = lookup.dim

    def embed(self, texts: Sequence[str], kind: str = "document") -> np.ndarray:
        return self.lookup.rows(texts)


def message(item: measure.Item) -> dict[str, Any]:
    """A turn of a chat as Mnemic takes it."""
    return {
        "role": "user",
        "content": item.said,
        "name": item.speaker,
        "session": item.session,
        "timestamp": item.at,
        "id": item.id,
    }


def line(item: measure.Item) -> dict[str, Any]:
    """The same turn as the others get it."""
    return {"role": "user", "content": item.text, "id": item.id}


class Default(measure.Adapter):
    search_mode = "search(): the default system"
    guarantee = "survives a power cut (WAL, FULL)"
    system = ""

    def __init__(self, folder: Path, lookup: measure.Lookup) -> None:
        super().__init__(folder, lookup)
        memory = Memory.open(folder / "memory.db", embedder=LookupEmbedder(lookup))
        self.memory = memory.system(self.system) if self.system else memory

    def add_many(self, space: str, items: Sequence[measure.Item]) -> None:
        self.memory.scope(space).add([self.message(item) for item in items])

    def message(self, item: measure.Item) -> dict[str, Any]:
        return message(item)

    def search(self, space: str, query: str, k: int) -> list[str]:
        return [hit.id for hit in self.memory.scope(space).search(query, limit=k)]

    def count(self, space: str) -> int:
        return int(self.memory.scope(space).stats()["episodes"])

    def close(self) -> None:
        self.memory.close()


class Line(Default):
    search_mode = "the default system, given the line alone"

    def message(self, item: measure.Item) -> dict[str, Any]:
        return line(item)


class Bm25(Line):
    search_mode = "control: BM25 over the line"
    system = "bm25"
    may_give_less = "a text without a word of the query is no hit"


class Dense(Line):
    search_mode = "control: cosine over the line"
    system = "dense"
    may_give_less = "a text whose cosine is not above 0 is no hit"


if __name__ == "__main__":
    measure.main({"default": Default, "line": Line, "bm25": Bm25, "dense": Dense})
