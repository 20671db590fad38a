"""Opening a memory: where it lives, what is refused and with which remedy, several handles, closing."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from mnemic import Memory
from mnemic.errors import (
    EmbedderMismatch,
    NotAStore,
    ParameterError,
    StoreClosed,
    StoreReadOnly,
    StoreTooNew,
)
from mnemic.models.hashing import HASHING_ID
from mnemic.models.weights import find_weights

Open = Callable[..., Memory]
needs_weights = pytest.mark.skipif(find_weights() is None, reason="the weights of all-MiniLM-L6-v2 are not installed")


def texts(memory: Memory) -> list[str]:
    return [episode.text for episode in memory.list()]


def test_what_was_added_is_there_when_the_file_is_opened_again(open_memory: Open, tmp_path: Path) -> None:
    first = open_memory(tmp_path / "memory.db")
    added = first.scope("acme/alice").add("I moved to Porto.", session="monday", metadata={"a": [1, None]})
    first.close()
    assert open_memory(tmp_path / "memory.db").scope("acme/alice").get(added.id) == added[0]


@pytest.mark.parametrize("name", ["a b.db", "käse%20?#.db", "x", "[1].db", "it's.db"])
def test_a_file_may_have_any_name(open_memory: Open, tmp_path: Path, name: str) -> None:
    open_memory(str(tmp_path / name)).add("tea")
    assert texts(open_memory(tmp_path / name)) == ["tea"]


@pytest.mark.parametrize("path", [None, ":memory:"])
def test_without_a_file_nothing_is_written(
    open_memory: Open, path: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    memory = open_memory(path)
    memory.add("tea")
    assert (memory.path, texts(memory), texts(open_memory(path)), os.listdir(tmp_path)) == (None, ["tea"], [], [])


def test_a_relative_path_stays_that_file_when_the_working_directory_changes(
    open_memory: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    memory = open_memory("memory.db")
    memory.add("tea")
    monkeypatch.chdir(tmp_path / "elsewhere")
    memory.add("coffee")
    assert [hit.text for hit in memory.search("coffee")] == ["coffee"]
    memory.forget(everything=True)
    memory.close()
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_folder_is_refused_with_a_file_to_give_instead(open_memory: Open, tmp_path: Path) -> None:
    with pytest.raises(StoreReadOnly, match=r"is a folder.*memory\.db"):
        open_memory(tmp_path)


def test_a_missing_folder_is_refused_and_not_made(open_memory: Open, tmp_path: Path) -> None:
    with pytest.raises(StoreReadOnly, match="does not exist"):
        open_memory(tmp_path / "no" / "memory.db")
    assert os.listdir(tmp_path) == []


def test_a_file_of_another_kind_is_refused_and_left_as_it_was(open_memory: Open, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes, not a database\n" * 50)
    before = path.read_bytes()
    with pytest.raises(NotAStore, match="Give another path"):
        open_memory(path)
    assert path.read_bytes() == before


def test_a_database_of_another_program_is_refused_and_left_as_it_was(open_memory: Open, tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE t (x)")
    other.close()
    with pytest.raises(NotAStore):
        open_memory(path)
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("t",)]
    other.close()


def test_a_store_of_a_newer_version_is_refused_with_how_to_upgrade(open_memory: Open, tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    open_memory(path).close()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 9999")
    newer.close()
    with pytest.raises(StoreTooNew, match="pip install --upgrade mnemic"):
        open_memory(path)


@pytest.mark.parametrize(
    ("settings", "match"),
    [({"index_memory_mb": 0}, "index_memory_mb"), ({"durability": "none"}, "durability"), ({"embedder": "x"}, "'x'")],
    ids=str,
)
def test_a_setting_out_of_its_range_is_refused_and_named(
    open_memory: Open, settings: dict[str, object], match: str
) -> None:
    with pytest.raises(ParameterError, match=match):
        open_memory(None, **settings)


# -- read only ------------------------------------------------------------------------------------------------


def test_read_only_finds_everything_and_changes_no_file(open_memory: Open, tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    written = open_memory(path)
    written.add("tea in the garden")
    written.close()
    before = path.read_bytes()
    memory = open_memory(path, read_only=True)
    assert [hit.text for hit in memory.search("tea")] == ["tea in the garden"]
    assert "tea in the garden" in memory.context("tea")
    memory.close()
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "write",
    [
        lambda memory: memory.add("x"),
        lambda memory: memory.update("e", "x"),
        lambda memory: memory.forget("e"),
        lambda memory: memory.attach("bm25"),
        lambda memory: memory.detach("bm25"),
        lambda memory: memory.consolidate(),
        lambda memory: memory.scrub(),
        lambda memory: memory.import_("nowhere"),
    ],
    ids=["add", "update", "forget", "attach", "detach", "consolidate", "scrub", "import_"],
)
def test_read_only_refuses_to_write(open_memory: Open, tmp_path: Path, write: Callable[[Memory], object]) -> None:
    open_memory(tmp_path / "memory.db").add("tea", id="e")
    memory = open_memory(tmp_path / "memory.db", read_only=True)
    with pytest.raises(StoreReadOnly, match="read-only"):
        write(memory)
    assert texts(memory) == ["tea"]


def test_read_only_does_not_make_a_missing_file(open_memory: Open, tmp_path: Path) -> None:
    with pytest.raises(StoreReadOnly, match="does not exist"):
        open_memory(tmp_path / "memory.db", read_only=True)
    assert os.listdir(tmp_path) == []


# -- several handles ------------------------------------------------------------------------------------------


def test_what_one_handle_writes_another_finds_at_once(open_memory: Open, tmp_path: Path) -> None:
    one, other = open_memory(tmp_path / "memory.db"), open_memory(tmp_path / "memory.db")
    assert other.search("tea").hits == ()
    added = one.add("tea in the garden")
    assert [hit.id for hit in other.search("tea")] == added.ids
    one.forget(added.id)
    assert other.search("tea").hits == ()


def test_scope_handles_share_the_store_and_closing_one_closes_all(open_memory: Open) -> None:
    memory = open_memory()
    alice = memory.scope("acme").scope("alice")
    alice.add("tea")
    assert (alice.scope_path, texts(memory.scope("acme/alice"))) == ("acme/alice", ["tea"])
    alice.close()
    alice.close()
    with pytest.raises(StoreClosed, match="Open it again"):
        memory.add("coffee")
    with pytest.raises(StoreClosed):
        memory.search("tea")


def test_a_with_block_closes_the_memory(open_memory: Open) -> None:
    with open_memory() as memory:
        memory.add("tea")
    with pytest.raises(StoreClosed):
        memory.list()


# -- whose vectors they are -----------------------------------------------------------------------------------


class Other:
    """An embedder that is not the store's."""

    id, dim = "other/3", 3

    def embed(self, texts: list[str], kind: str = "document") -> object:
        import numpy as np

        return np.eye(3, dtype=np.float32)[[len(text) % 3 for text in texts]]


def test_another_embedder_than_the_one_that_made_the_store_is_refused_with_the_remedy(
    open_memory: Open, tmp_path: Path
) -> None:
    open_memory(tmp_path / "memory.db").add("tea")
    with pytest.raises(EmbedderMismatch, match=r"holds vectors of hashing.*opened with other/3.*mnemic reindex"):
        open_memory(tmp_path / "memory.db", embedder=Other())


@pytest.mark.parametrize("embedder", [None, "auto"])
def test_auto_follows_the_embedder_that_made_the_store(open_memory: Open, tmp_path: Path, embedder: str | None) -> None:
    open_memory(tmp_path / "memory.db").add("tea")
    assert open_memory(tmp_path / "memory.db", embedder=embedder).stats()["embedder"] == HASHING_ID


def test_of_two_handles_that_begin_a_store_with_two_embedders_the_second_to_write_is_refused(
    open_memory: Open, tmp_path: Path
) -> None:
    one, other = open_memory(tmp_path / "memory.db"), open_memory(tmp_path / "memory.db", embedder=Other())
    one.add("tea")
    with pytest.raises(EmbedderMismatch, match="Nothing was written"):
        other.add("coffee")
    assert texts(other) == ["tea"]


def test_a_handle_whose_store_was_reindexed_by_another_process_may_neither_write_nor_search(
    open_memory: Open, tmp_path: Path
) -> None:
    memory = open_memory(tmp_path / "memory.db")
    memory.add("tea")
    Memory.reindex(tmp_path / "memory.db", Other())
    with pytest.raises(EmbedderMismatch, match="Open it again"):
        memory.add("coffee")
    with pytest.raises(EmbedderMismatch, match="Open it again"):
        memory.search("tea")
    assert texts(open_memory(tmp_path / "memory.db", embedder=Other())) == ["tea"]


@needs_weights
def test_minilm_is_chosen_where_its_weights_are_and_finds_by_meaning(open_memory: Open, tmp_path: Path) -> None:
    memory = open_memory(tmp_path / "memory.db", embedder=None)
    memory.add(["My physician told me to rest.", "The train was late.", "We painted the fence."])
    assert memory.search("What did the doctor say?")[0].text == "My physician told me to rest."
    assert str(memory.stats()["embedder"]).startswith("all-MiniLM-L6-v2")
