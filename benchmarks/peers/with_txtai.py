"""txtai behind the verbs of `measure`: an Embeddings database for each space, content kept, hybrid search turned on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import measure
import numpy as np
from txtai import Embeddings


class Hybrid(measure.Adapter):
    search_mode = "search() with hybrid=True: BM25 and cosine, half each"
    guarantee = "none until save()"
    may_give_less = "a text without a score above 0 is no hit"

    def __init__(self, folder: Path, lookup: measure.Lookup) -> None:
        super().__init__(folder, lookup)
        self.databases: dict[str, Embeddings] = {}
        for place in sorted(folder.iterdir()):
            self.databases[place.name] = self.open()
            self.databases[place.name].load(str(place), config=self.settings())

    def open(self) -> Embeddings:
        return Embeddings(self.settings())

    def settings(self) -> dict[str, Any]:
        def transform(texts: Sequence[str]) -> np.ndarray:
            return self.lookup.rows(texts)

        return {"method": "external", "transform": transform, "hybrid": True, "content": True}

    def add_many(self, space: str, items: Sequence[measure.Item]) -> None:
        if space not in self.databases:
            self.databases[space] = self.open()
        self.databases[space].upsert([(item.id, item.text, None) for item in items])

    def search(self, space: str, query: str, k: int) -> list[str]:
        return [found["id"] for found in self.databases[space].search(query, k)]

    def count(self, space: str) -> int:
        return int(self.databases[space].count())

    def save(self) -> None:
        for space, database in self.databases.items():
            database.save(str(self.folder / space))

    def close(self) -> None:
        for database in self.databases.values():
            database.close()


if __name__ == "__main__":
    measure.main({"default": Hybrid})
