"""LlamaIndex behind the verbs of `measure`: a VectorStoreIndex for each space, its default vector store, its retriever."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import measure
from llama_index.core import StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.schema import TextNode
from pydantic import PrivateAttr


class LookupEmbedding(BaseEmbedding):
    """The look-up as LlamaIndex wants its embedding model."""

    _lookup: Any = PrivateAttr()

    def __init__(self, lookup: measure.Lookup) -> None:
        super().__init__(model_name="lookup", embed_batch_size=measure.BATCH)
        self._lookup = lookup

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._lookup.lists([text])[0]  # type: ignore[no-any-return]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._lookup.lists(texts)  # type: ignore[no-any-return]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


class LlamaIndex(measure.Adapter):
    search_mode = "index.as_retriever(): cosine, every vector compared"
    guarantee = "none until persist(), which writes everything again"
    takes = "lists"

    def __init__(self, folder: Path, lookup: measure.Lookup) -> None:
        super().__init__(folder, lookup)
        self.model = LookupEmbedding(lookup)
        self.indexes: dict[str, Any] = {}
        for place in sorted(folder.iterdir()):
            context = StorageContext.from_defaults(persist_dir=str(place))
            self.indexes[place.name] = load_index_from_storage(context, embed_model=self.model)

    def add_many(self, space: str, items: Sequence[measure.Item]) -> None:
        if space not in self.indexes:
            self.indexes[space] = VectorStoreIndex([], embed_model=self.model)
        # no metadata: by default it would be embedded with the text, and the text would not be the same for all
        self.indexes[space].insert_nodes([TextNode(id_=item.id, text=item.text) for item in items])

    def search(self, space: str, query: str, k: int) -> list[str]:
        return [found.node.node_id for found in self.indexes[space].as_retriever(similarity_top_k=k).retrieve(query)]

    def count(self, space: str) -> int:
        return len(self.indexes[space].docstore.docs)

    def save(self) -> None:
        for space, index in self.indexes.items():
            index.storage_context.persist(persist_dir=str(self.folder / space))


if __name__ == "__main__":
    measure.main({"default": LlamaIndex})
