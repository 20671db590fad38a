"""What holds for every system that keeps records: order, exactly once, rebuilding, forgetting without a trace.

Each test runs for every such system in the registry, and for two that live in the tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic import Episode, Memory
from mnemic.clock import ManualClock
from mnemic.store.sqlite_records import SqliteRecords
from mnemic.systems import runner
from mnemic.systems.contract import MemorySystem
from mnemic.systems.registry import system_class
from systems.story import STORY
from systems.under_test import PAST, PowerCut, examples, fresh, keeping_systems, observed_all
from systems.worlds import START, Said, empty, made, pasts, say

TESTS = Path(__file__).parents[1]

# -- order and exactly once -----------------------------------------------------------------------------------


@pytest.fixture
def observed(system: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of what the system observed, in the order in which it did."""
    ids: list[str] = []
    kind = system_class(system)
    observe = kind.observe

    def noting(self: MemorySystem, episodes: Sequence[Episode], view: Any) -> Any:
        ids.extend(one.id for one in episodes)
        return observe(self, episodes, view)

    monkeypatch.setattr(kind, "observe", noting)
    return ids


@keeping_systems
@pytest.mark.parametrize("batch", [1, 2, 64])
def test_episodes_are_observed_once_and_in_the_order_of_the_log(
    system: str, batch: int, observed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "BATCH", batch)
    with empty() as memory:
        say(memory, PAST[:3])
        memory.attach(system)
        memory.consolidate()
        say(memory, PAST[3:])
        memory.consolidate()
        memory.consolidate()
    assert observed == ["e0", "e1", "e2", "e3", "e4"]


@keeping_systems
def test_asking_a_system_lets_it_observe_what_it_has_not_seen(system: str, observed: list[str]) -> None:
    with empty() as memory:
        say(memory, PAST)
        memory.system(system).search("tea")
        memory.system(system).search("tea")
    assert observed == ["e0", "e1", "e2", "e3", "e4"]


@keeping_systems
@pytest.mark.parametrize("is_written", [False, True], ids=["before the commit", "after the commit"])
def test_after_a_crash_the_records_are_those_of_a_run_without_one(
    system: str, is_written: bool, observed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = fresh(PAST, system)
    observed.clear()
    monkeypatch.setattr(runner, "BATCH", 2)
    apply, countdown = SqliteRecords.apply, iter([True, False, True, True])

    def stopping(self: SqliteRecords, *arguments: Any, **named: Any) -> bool:
        if next(countdown, True):
            return apply(self, *arguments, **named)
        if is_written:
            apply(self, *arguments, **named)
        raise PowerCut

    with empty() as memory:
        say(memory, PAST)
        memory.attach(system)
        monkeypatch.setattr(SqliteRecords, "apply", stopping)
        with pytest.raises(PowerCut):
            memory.consolidate()
        memory.consolidate()
        assert made(memory, system) == expected
        repeated = [] if is_written else ["e2", "e3"]  # a batch that was never written is observed again
        assert observed == ["e0", "e1", "e2", "e3", *repeated, "e4"]


KILLED = """
import sys
from pathlib import Path
from mnemic import Memory
from mnemic.index.vectors import VectorIndex
from mnemic.store.sqlite_records import SqliteRecords
from mnemic.systems import runner
from mnemic.systems.registry import SYSTEMS
from systems.digest import FOR_TESTS

path, system, moment = sys.argv[1:]
SYSTEMS.update(FOR_TESTS)
runner.BATCH = 2
apply, calls = SqliteRecords.apply, []

def waiting(self, *arguments, **named):
    calls.append(1)
    if moment == "before" and len(calls) == 2:
        print("ready", flush=True)
        sys.stdin.read()
    result = apply(self, *arguments, **named)
    if moment == "after" and len(calls) == 2:
        print("ready", flush=True)
        sys.stdin.read()
    return result

SqliteRecords.apply = waiting
Memory.open(path, embedder="hashing").consolidate()
"""


@keeping_systems
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_process_killed_while_it_observes_leaves_a_store_that_goes_on_where_it_was(
    system: str, moment: str, tmp_path: Path
) -> None:
    path = tmp_path / "memory.db"
    with Memory.open(path, embedder="hashing", clock=ManualClock(START)) as memory:
        say(memory, PAST)
        memory.attach(system)
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path), system, moment],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])},
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        child.kill()
    with Memory.open(path, embedder="hashing", clock=ManualClock(START)) as memory:
        left = memory.consolidate()[system]["observed"]
        assert (left, made(memory, system)) == (3 if moment == "before" else 1, fresh(PAST, system))


# -- rebuilding -----------------------------------------------------------------------------------------------


@keeping_systems
@given(past=pasts(), splits=st.sets(st.integers(1, 11)), batch=st.integers(1, 5))
@settings(max_examples=examples(4))
def test_records_made_in_pieces_are_those_made_at_once(
    system: str, past: list[Said], splits: set[int], batch: int
) -> None:
    with pytest.MonkeyPatch.context() as patch, empty() as memory:
        patch.setattr(runner, "BATCH", batch)
        memory.attach(system)
        for at, one in enumerate(past):
            if at in splits:
                memory.consolidate()
            say(memory, [one])
        memory.consolidate()
        in_pieces = made(memory, system)
    assert in_pieces == fresh(past, system)


@keeping_systems
@pytest.mark.parametrize(("batch", "every"), [(1, 1), (2, 5), (3, 100)], ids=["one by one", "in twos", "in threes"])
def test_a_conversation_gives_the_same_records_however_it_is_cut(
    system: str, batch: int, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """every: turns after which what is there is consolidated; all at once in the run that it is compared with."""
    at_once = fresh(STORY, system)
    monkeypatch.setattr(runner, "BATCH", batch)
    with empty() as memory:
        memory.attach(system)
        for start in range(0, len(STORY), every):
            say(memory, STORY[start : start + every])
            memory.consolidate()
        observed_all(memory, system)
        assert made(memory, system) == at_once


@keeping_systems
def test_a_system_dropped_and_attached_again_makes_the_same_records(system: str) -> None:
    with empty() as memory:
        say(memory, PAST)
        memory.attach(system)
        memory.consolidate()
        before = made(memory, system)
        memory.detach(system)
        assert made(memory, system) == ([], [])
        memory.attach(system)
        memory.consolidate()
        assert made(memory, system) == before


# -- forgetting -----------------------------------------------------------------------------------------------


@keeping_systems
@given(past=pasts(2), gone=st.sets(st.integers(0, 11), min_size=1), caught_up=st.integers(0, 12))
@settings(max_examples=examples(4))
def test_after_forgetting_the_records_are_those_of_a_log_in_which_it_never_was(
    system: str, past: list[Said], gone: set[int], caught_up: int
) -> None:
    ids = [one.id for at, one in enumerate(past) if at in gone]
    with empty() as memory:
        memory.attach(system)
        say(memory, past[:caught_up])
        memory.consolidate()
        say(memory, past[caught_up:])
        if ids:
            memory.forget(ids)
        memory.consolidate()
        left = made(memory, system)
    assert left == fresh([one for one in past if one.id not in ids], system)


@keeping_systems
def test_after_forgetting_no_file_of_the_store_holds_a_word_of_it(system: str, tmp_path: Path) -> None:
    words = ("Zanzibarquux", "Wobblefinch")
    with Memory.open(tmp_path / "memory.db", embedder="hashing", clock=ManualClock(START)) as memory:
        say(memory, [*PAST, Said("gone", f"Anna moved to {words[0]} and works as a {words[1]}", "wed", "Anna", 1)])
        say(memory, [Said("after", "Bob drinks tea in the garden with Anna", "thu", "Bob", 0)])
        memory.attach(system)
        memory.consolidate()
        memory.system(system).search("Where does Anna live?")
        memory.forget("gone")
        memory.consolidate()
        observed_all(memory, system)
        assert [memory.find_traces(word) for word in words] == [[], []]
        assert made(memory, system) == fresh(
            [*PAST, Said("after", "Bob drinks tea in the garden with Anna", "thu", "Bob", 0)], system
        )


def test_a_system_that_tells_what_to_change_does_not_start_again() -> None:
    with empty() as memory:
        say(memory, PAST)
        memory.attach("careful")
        memory.attach("digest")
        memory.consolidate()
        assert memory.forget("e1").rebuilt_systems == ("digest",)
        assert memory._shared.store.records.cursor("careful", "") == 5


@pytest.mark.parametrize("fault", [RuntimeError("no"), None], ids=["it fails", "it keeps the source"])
def test_a_system_that_cannot_forget_is_made_again_instead(
    fault: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def badly(self: MemorySystem, episodes: Sequence[Episode], view: Any) -> Any:
        if fault:
            raise fault
        from mnemic.store.contract import Changes

        return Changes(put_records=tuple(view.records()))

    monkeypatch.setattr(system_class("careful"), "forget", badly)
    with empty() as memory:
        say(memory, PAST)
        memory.attach("careful")
        memory.consolidate()
        assert memory.forget("e1").rebuilt_systems == ("careful",)
        memory.consolidate()
        assert made(memory, "careful") == fresh([PAST[0], *PAST[2:]], "careful")
