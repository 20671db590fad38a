"""LangGraph's stores behind the verbs of `measure`: SqliteStore with sqlite-vec, and InMemoryStore; one namespace a space."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import measure
import sqlite_vec
from langgraph.store.base import BaseStore, PutOp
from langgraph.store.memory import InMemoryStore
from langgraph.store.sqlite import SqliteStore


class InProcess(measure.Adapter):
    search_mode = "store.search(query=): cosine, every vector compared, with numpy"
    guarantee = "none: it lives in the process"
    takes = "lists"
    is_kept = False

    def __init__(self, folder: Path, lookup: measure.Lookup) -> None:
        super().__init__(folder, lookup)
        self.store = self.open()

    def open(self) -> BaseStore:
        return InMemoryStore(index={"dims": self.lookup.dim, "embed": self.lookup.lists, "fields": ["text"]})

    def add_many(self, space: str, items: Sequence[measure.Item]) -> None:
        self.store.batch([PutOp(("memories", space), item.id, self.value(item)) for item in items])

    def add(self, space: str, item: measure.Item) -> None:
        self.store.put(("memories", space), item.id, self.value(item))

    def value(self, item: measure.Item) -> dict[str, str]:
        return {"text": item.text, "session": item.session, "speaker": item.speaker, "at": item.at}

    def search(self, space: str, query: str, k: int) -> list[str]:
        return [found.key for found in self.store.search(("memories", space), query=query, limit=k)]

    def count(self, space: str) -> int:
        return len(self.store.search(("memories", space), limit=1_000_000))


class Sqlite(InProcess):
    search_mode = "store.search(query=): cosine, every vector compared, in SQL"
    guarantee = "survives a power cut (SQLite's default: rollback journal, FULL)"
    is_kept = True

    def open(self) -> BaseStore:
        self.connection = sqlite3.connect(self.folder / "store.db", check_same_thread=False, isolation_level=None)
        self.connection.enable_load_extension(True)
        sqlite_vec.load(self.connection)
        # "fields", as its documentation has it, is not read here: the whole value would be embedded
        store = SqliteStore(
            self.connection, index={"dims": self.lookup.dim, "embed": self.lookup.lists, "text_fields": ["text"]}
        )
        store.setup()
        return store

    def close(self) -> None:
        self.connection.close()


if __name__ == "__main__":
    measure.main({"sqlite": Sqlite, "in-process": InProcess})
