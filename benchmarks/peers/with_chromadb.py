"""Chroma behind the verbs of `measure`: a persistent client, one collection a space, cosine, the query that its guide shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import chromadb
import measure
from chromadb.config import Settings


class LookupFunction(chromadb.EmbeddingFunction[chromadb.Documents]):
    """The look-up as Chroma wants its embedding function."""

    def __init__(self, lookup: measure.Lookup | None = None) -> None:
        self.lookup = lookup

    def __call__(self, input: chromadb.Documents) -> Any:
        assert self.lookup is not None
        return list(self.lookup.rows(input))

    @staticmethod
    def name() -> str:
        return "lookup"

    def get_config(self) -> dict[str, Any]:
        return {}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> LookupFunction:
        return LookupFunction()


class Chroma(measure.Adapter):
    search_mode = "collection.query(): cosine over an HNSW graph"
    guarantee = "in SQLite, with Chroma's own settings; the graph follows later"

    def __init__(self, folder: Path, lookup: measure.Lookup) -> None:
        super().__init__(folder, lookup)
        self.client = chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))
        self.collections: dict[str, Any] = {}

    def collection(self, space: str) -> Any:
        if space not in self.collections:
            self.collections[space] = self.client.get_or_create_collection(
                f"space-{space}",
                embedding_function=LookupFunction(self.lookup),
                configuration={"hnsw": {"space": "cosine"}},
            )
        return self.collections[space]

    def add_many(self, space: str, items: Sequence[measure.Item]) -> None:
        self.collection(space).add(
            ids=[item.id for item in items],
            documents=[item.text for item in items],
            metadatas=[{"session": item.session, "speaker": item.speaker, "at": item.at} for item in items],
        )

    def search(self, space: str, query: str, k: int) -> list[str]:
        return list(self.collection(space).query(query_texts=[query], n_results=k)["ids"][0])

    def count(self, space: str) -> int:
        return int(self.collection(space).count())

    def close(self) -> None:
        self.client.close()


if __name__ == "__main__":
    measure.main({"default": Chroma})
