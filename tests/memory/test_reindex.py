"""Reindexing: to another embedder, interrupted and gone on with, of what waits alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from memory.scripted import ScriptedEmbedder
from mnemic import Memory
from mnemic.models.hashing import HASHING_ID
from mnemic.models.weights import find_weights
from systems.worlds import seen

Open = Callable[..., Memory]
needs_weights = pytest.mark.skipif(find_weights() is None, reason="the weights of all-MiniLM-L6-v2 are not installed")


@pytest.fixture
def path(open_memory: Open, tmp_path: Path) -> Path:
    """A closed store with ten episodes of the hashing embedder."""
    memory = open_memory(tmp_path / "memory.db")
    memory.add([f"tea number {at} in the garden" for at in range(10)], actor="Anna")
    memory.close()
    return tmp_path / "memory.db"


def test_another_embedder_gets_the_store_and_answers_as_if_it_had_made_it(open_memory: Open, path: Path) -> None:
    assert Memory.reindex(path, ScriptedEmbedder()) == 10
    reindexed, made = open_memory(path, embedder=ScriptedEmbedder()), open_memory(embedder=ScriptedEmbedder())
    made.add([{"content": one.text, "id": one.id} for one in reindexed.list()], actor="Anna")
    assert reindexed.stats()["embedder"] == "scripted"
    assert seen(reindexed.search("garden number 3").hits) == seen(made.search("garden number 3").hits)


def test_an_interrupted_reindex_leaves_a_store_that_is_found_by_words_and_goes_on_where_it_was(
    open_memory: Open, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnemic.memory.reindex._BATCH", 3)
    embedder = ScriptedEmbedder()
    embedder.stops_after = 6
    with pytest.raises(KeyboardInterrupt):
        Memory.reindex(path, embedder)
    embedder.stops_after = None
    memory = open_memory(path, embedder=embedder)
    assert memory.stats()["waiting_vectors"] == 4
    assert memory.search("number 9")[0].text == "tea number 9 in the garden"
    embedder.embedded.clear()
    assert Memory.reindex(path, embedder) == 4
    assert embedder.embedded == [f"tea number {at} in the garden" for at in range(6, 10)]
    assert (memory.stats()["waiting_vectors"], Memory.reindex(path, embedder)) == (0, 0)
    assert memory.system("dense").search("number 9 garden")[0].text == "tea number 9 in the garden"


def test_without_an_embedder_the_stores_own_is_used(open_memory: Open, path: Path) -> None:
    assert Memory.reindex(path) == 0
    assert Memory.reindex(path, again=True) == 10
    assert open_memory(path).stats()["embedder"] == HASHING_ID


def test_again_embeds_everything_anew(path: Path) -> None:
    embedder = ScriptedEmbedder()
    assert [
        Memory.reindex(path, embedder),
        Memory.reindex(path, embedder),
        Memory.reindex(path, embedder, again=True),
    ] == [
        10,
        0,
        10,
    ]


def test_index_files_of_the_old_vectors_are_not_read_any_more(
    open_memory: Open, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnemic.index.library.WORTH_A_FILE", 5)
    memory = open_memory(path)
    memory.search("tea")
    memory.close()
    assert list((path.parent / "memory.db.index").iterdir()) != []

    class Reversed(ScriptedEmbedder):
        def embed(self, texts: list[str], kind: str = "document") -> object:  # type: ignore[override]
            return super().embed([text[::-1] for text in texts], kind)  # type: ignore[arg-type]

    Memory.reindex(path, Reversed("reversed"))
    scores = [hit.score for hit in open_memory(path, embedder=Reversed("reversed")).system("dense").search("garden")]
    fresh = open_memory(embedder=Reversed("reversed"))
    fresh.add([f"tea number {at} in the garden" for at in range(10)], actor="Anna")
    assert scores == [hit.score for hit in fresh.system("dense").search("garden")]


@needs_weights
def test_from_hashing_to_minilm_recall_by_spelling_becomes_recall_by_meaning(open_memory: Open, tmp_path: Path) -> None:
    memory = open_memory(tmp_path / "memory.db")
    memory.add(["My physician told me to rest.", "The document is on the desk.", "We painted the fence."])
    memory.close()
    assert Memory.reindex(tmp_path / "memory.db", "minilm") == 3
    memory = open_memory(tmp_path / "memory.db", embedder="auto")
    assert memory.system("dense").search("doctor")[0].text == "My physician told me to rest."
