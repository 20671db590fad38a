"""mem0 behind the verbs of `measure`: its Memory with Qdrant in a local folder, infer=False, so that no LLM is asked.

`default` is what a plain install does. `keywords` adds the keyword half of its hybrid search: fastembed's BM25, which mem0
uses when it is there. fastembed would download its stop words; they are given here instead.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import measure
from mem0 import Memory
from mem0.embeddings.base import EmbeddingBase
from mem0.utils.factory import EmbedderFactory

STOP_WORDS = """
i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers herself it its
itself they them their theirs themselves what which who whom this that these those am is are was were be been being have
has had having do does did doing a an the and but if or because as until while of at by for with about against between
into through during before after above below to from up down in out on off over under again further then once here there
when where why how all any both each few more most other some such no nor not only own same so than too very can will just
should now
"""


class LookupEmbedding(EmbeddingBase):
    """The look-up as mem0 wants its embedding model; made by its own factory, which knows no arguments of ours."""

    lookup: measure.Lookup

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        return self.lookup.lists([text])[0]


class Mem0(measure.Adapter):
    search_mode = "search(): cosine, threshold 0.1 (its default)"
    guarantee = "in SQLite (Qdrant's local mode, a history beside it), a commit each"
    takes = "lists"
    may_give_less = "what has a cosine below 0.1 is no hit"

    def __init__(self, folder: Path, lookup: measure.Lookup) -> None:
        super().__init__(folder, lookup)
        LookupEmbedding.lookup = lookup
        EmbedderFactory.provider_to_class["langchain"] = f"{__name__}.LookupEmbedding"
        self.memory = Memory.from_config(
            {
                "embedder": {"provider": "langchain", "config": {"embedding_dims": lookup.dim}},
                "vector_store": {
                    "provider": "qdrant",
                    "config": {"path": str(folder / "qdrant"), "embedding_model_dims": lookup.dim, "on_disk": True},
                },
                "llm": {"provider": "openai", "config": {"api_key": "none: it is never asked"}},
                "history_db_path": str(folder / "history.db"),
            }
        )

    def add_many(self, space: str, items: Sequence[measure.Item]) -> None:
        for item in items:
            self.add(space, item)

    def add(self, space: str, item: measure.Item) -> None:
        self.memory.add(
            [{"role": "user", "content": item.text}],
            user_id=space,
            metadata={"item": item.id, "session": item.session, "speaker": item.speaker, "at": item.at},
            infer=False,
        )

    def search(self, space: str, query: str, k: int) -> list[str]:
        found = self.memory.search(query, filters={"user_id": space}, top_k=k)
        return [one["metadata"]["item"] for one in found["results"]]

    def count(self, space: str) -> int:
        return len(self.memory.get_all(filters={"user_id": space}, top_k=1_000_000)["results"])

    def close(self) -> None:
        self.memory.vector_store.client.close()
        self.memory.close()


class Keywords(Mem0):
    search_mode = "search(): cosine and BM25 added, threshold 0.1"

    def __init__(self, folder: Path, lookup: measure.Lookup) -> None:
        super().__init__(folder, lookup)
        self.memory.vector_store._bm25_encoder = bm25()


def bm25() -> Any:
    """fastembed's encoder with a folder of its own for the stop words."""
    from fastembed.sparse.bm25 import Bm25

    folder = Path(tempfile.mkdtemp())
    (folder / "english.txt").write_text("\n".join(STOP_WORDS.split()))
    return Bm25("Qdrant/bm25", specific_model_path=str(folder))


if __name__ == "__main__":
    measure.main({"default": Mem0, "keywords": Keywords})
