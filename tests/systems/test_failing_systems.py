"""What a system cannot do is kept, is tried again, and stops nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from mnemic import Episode, Memory
from mnemic.clock import ManualClock
from mnemic.systems import runner
from mnemic.systems.registry import SYSTEMS, system_class
from systems.digest import FRAGILE, Fragile, SessionDigest
from systems.under_test import PAST
from systems.worlds import START, empty, made, say


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Memory]:
    """A memory in which Fragile, attached before digest, cannot get past the second of three episodes."""
    monkeypatch.setitem(SYSTEMS, "fragile", FRAGILE["fragile"])
    monkeypatch.setattr(runner, "BATCH", 1)
    clock = ManualClock(START)
    with empty(clock) as memory:
        memory.add(["tea in the garden", "a bomb of a violin", "coffee by the river"], session="mon")
        memory.attach("fragile")
        clock.advance(timedelta(seconds=1))
        memory.attach("digest")
        yield memory


def test_a_failing_system_is_kept_as_a_failure_with_its_error(failing: Memory) -> None:
    report = failing.consolidate()
    kept = [(one.system, one.step, one.error, one.attempts) for one in failing._shared.store.records.failures()]
    assert kept == [("fragile", "observe", "AttributeError: no way to take 'a bomb of a violin'", 1)]
    assert report["fragile"] == {"observed": 1, "error": kept[0][2]}
    assert failing.stats()["failures"] == 1


def test_a_failing_system_stops_where_it_failed_and_does_not_stop_others(failing: Memory) -> None:
    report = failing.consolidate()
    assert (report["fragile"]["observed"], report["digest"]) == (1, {"observed": 3})
    assert failing._shared.store.records.cursor("fragile", "") == 1


def test_recall_and_add_go_on_while_a_system_fails(failing: Memory) -> None:
    failing.consolidate()
    failing.add("and more tea")
    assert {hit.text for hit in failing.search("tea")} == {"tea in the garden", "and more tea"}
    assert failing.system("fragile").search("tea").hits == ()


def test_a_failed_step_is_tried_again_and_the_failure_goes_when_it_succeeds(
    failing: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing.consolidate()
    failing.consolidate()
    assert [one.attempts for one in failing._shared.store.records.failures()] == [2]
    monkeypatch.setattr(Fragile, "is_mended", True)
    assert failing.consolidate()["fragile"] == {"observed": 2}
    assert failing._shared.store.records.failures() == []


def test_records_that_cannot_be_written_are_a_failure_of_the_system_that_made_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    observe: Callable[..., Any] = SessionDigest.observe

    def sourceless(self: SessionDigest, episodes: Sequence[Episode], view: Any) -> Any:
        from dataclasses import replace

        changes = observe(self, episodes, view)
        return replace(changes, put_records=tuple(replace(one, sources=()) for one in changes.put_records))

    with empty() as memory:
        say(memory, PAST)
        memory.attach("digest")
        memory.attach("careful")
        monkeypatch.setattr(system_class("digest"), "observe", sourceless)
        monkeypatch.setattr(system_class("careful"), "observe", observe)
        report = memory.consolidate()
        assert "no sources" in str(report["digest"]["error"])
        assert (made(memory, "digest"), report["careful"]) == (([], []), {"observed": 5})


def test_forgetting_also_takes_an_error_that_quotes_it(failing: Memory) -> None:
    failing.consolidate()
    bomb = next(one for one in failing.list() if "bomb" in one.text)
    failing.forget(bomb.id)
    assert failing._shared.store.records.failures() == []
    assert failing.consolidate()["fragile"] == {"observed": 1}
