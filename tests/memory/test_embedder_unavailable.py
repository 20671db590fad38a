"""While the embedder cannot be reached, nothing is lost: episodes are kept, found by their words, and embedded later."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from memory.scripted import ScriptedEmbedder
from mnemic import Memory

Open = Callable[..., Memory]
pytestmark = pytest.mark.parametrize("knows_dim", [True, False], ids=["dim known", "dim unknown"])
TEXT = "tea in the garden"


def test_episodes_are_kept_with_a_warning_and_found_by_their_words(open_memory: Open, knows_dim: bool) -> None:
    memory = open_memory(embedder=ScriptedEmbedder(is_up=False, knows_dim=knows_dim))
    with pytest.warns(RuntimeWarning, match=r"cannot be reached.*kept.*mnemic reindex") as warned:
        memory.add([TEXT, "coffee by the river"])
    assert warned[0].filename == __file__
    assert [hit.text for hit in memory.search("tea")] == [TEXT]
    assert TEXT in memory.context("tea")
    assert [len(memory.system(name).search("tea")) for name in ("bm25", "dense", "rrf", "recent")] == [1, 0, 1, 2]
    assert memory.stats()["waiting_vectors"] == 2


def test_updates_and_imports_warn_too(open_memory: Open, knows_dim: bool, tmp_path: Path) -> None:
    memory = open_memory(embedder=ScriptedEmbedder(is_up=False, knows_dim=knows_dim))
    (tmp_path / "said.jsonl").write_text('{"role": "user", "content": "coffee by the river"}\n')
    with pytest.warns(RuntimeWarning, match="cannot be reached"):
        memory.import_(tmp_path / "said.jsonl")
    with pytest.warns(RuntimeWarning, match="cannot be reached"):
        memory.update(memory.list()[0].id, TEXT)
    assert [hit.text for hit in memory.search("tea")] == [TEXT]


@pytest.mark.filterwarnings("ignore:The embedder:RuntimeWarning")
def test_what_waits_is_embedded_when_the_memory_consolidates(open_memory: Open, knows_dim: bool) -> None:
    embedder = ScriptedEmbedder(is_up=False, knows_dim=knows_dim)
    memory = open_memory(embedder=embedder)
    memory.add(TEXT)
    memory.search("tea")
    memory.consolidate()
    assert memory.stats()["waiting_vectors"] == 1
    embedder.is_up = True
    memory.consolidate()
    assert memory.stats()["waiting_vectors"] == 0
    assert [hit.text for hit in memory.system("dense").search("teas and gardens")] == [TEXT]
    assert embedder.embedded.count(TEXT) == 1


@pytest.mark.filterwarnings("ignore:The embedder:RuntimeWarning")
def test_what_waits_is_embedded_by_reindex_and_nothing_else_is(
    open_memory: Open, knows_dim: bool, tmp_path: Path
) -> None:
    embedder = ScriptedEmbedder(knows_dim=knows_dim)
    memory = open_memory(tmp_path / "memory.db", embedder=embedder)
    memory.add("coffee by the river")
    embedder.is_up = False
    memory.add(TEXT)
    assert [hit.text for hit in memory.search("tea")] == [TEXT]
    memory.close()
    embedder.is_up = True
    embedder.embedded.clear()
    assert Memory.reindex(tmp_path / "memory.db", embedder) == 1
    assert embedder.embedded == [TEXT]


@pytest.mark.filterwarnings("ignore:The embedder:RuntimeWarning")
def test_forgetting_needs_no_embedder(open_memory: Open, knows_dim: bool) -> None:
    memory = open_memory(embedder=ScriptedEmbedder(is_up=False, knows_dim=knows_dim))
    memory.add(TEXT)
    assert (memory.forget(everything=True).episodes, memory.list()) == (1, [])
