"""Scopes and statistics: what there is, in this scope and in the whole store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.models.hashing import HASHING_ID

Open = Callable[..., Memory]


def test_scopes_are_this_one_and_those_below_that_hold_anything(memory: Memory) -> None:
    for path in ("acme", "acme/alice", "acme/alice", "acmes"):
        memory.scope(path).add("tea")
    memory.scope("empty").search("tea")
    assert memory.scopes() == {"acme": 1, "acme/alice": 2, "acmes": 1}
    assert memory.scope("acme").scopes() == {"acme": 1, "acme/alice": 2}
    assert memory.scope("acme/bob").scopes() == {}


def test_statistics_count_the_whole_store_from_its_root_and_one_scope_from_below(memory: Memory) -> None:
    alice = memory.scope("alice")
    alice.add(["Anna keeps the key under the pot", "coffee"], session="mon")
    alice.add(str(alice.context("key pot")), role="assistant", session="tue")
    alice.update(alice.list()[1].id, "green coffee")
    memory.scope("bob").add("tea")
    counted = {name: alice.stats()[name] for name in ("episodes", "echoes", "superseded", "sessions", "scopes")}
    assert counted == {"episodes": 4, "echoes": 1, "superseded": 1, "sessions": 2, "scopes": 1}
    whole = memory.stats()
    assert (whole["episodes"], whole["scopes"], whole["scope"], whole["embedder"]) == (5, 2, "", HASHING_ID)


def test_recalls_are_counted_also_those_that_have_not_been_written_yet(memory: Memory) -> None:
    memory.add(["tea in the garden", "coffee by the river"])
    assert memory.stats()["recalled"] == 0
    memory.search("tea", limit=1)
    assert memory.stats()["recalled"] == 1


def test_recall_counts_survive_closing(open_memory: Open, tmp_path: Path) -> None:
    memory = open_memory(tmp_path / "memory.db")
    memory.add("tea")
    memory.search("tea")
    memory.close()
    assert open_memory(tmp_path / "memory.db").stats()["recalled"] == 1


def test_attached_systems_are_listed_in_the_order_in_which_they_were_attached(
    memory: Memory, clock: ManualClock
) -> None:
    for system in ("rrf", "bm25"):
        memory.attach(system)
        clock.advance(timedelta(seconds=1))
    assert memory.stats()["attached"] == ["rrf", "bm25"]
