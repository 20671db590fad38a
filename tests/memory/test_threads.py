"""Many threads on one handle: nothing is lost, doubled, torn or leaked into another scope."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mnemic import Memory
from mnemic.model import new_id
from mnemic.systems.registry import SYSTEMS
from systems.digest import FOR_TESTS

Open = Callable[..., Memory]


@pytest.mark.parametrize("is_in_file", [True, False], ids=["file", "in memory"])
def test_threads_that_add_search_update_and_forget_lose_nothing(
    open_memory: Open, tmp_path: Path, is_in_file: bool
) -> None:
    memory = open_memory(tmp_path / "memory.db" if is_in_file else None, durability="normal")

    def work(number: int) -> None:
        mine = memory.scope(f"user{number % 3}")
        for at in range(12):
            added = mine.add(f"worker {number} says tea {at}", id=f"{number}-{at}", session=f"s{number}")
            assert added[0].seq in {one.seq for one in mine.list(limit=1000)}
            assert {hit.scope for hit in mine.search(f"worker {number} tea")} == {mine.scope_path}
            assert mine.context("tea", budget_tokens=60).tokens <= 60
            if at % 4 == 1:
                mine.update(f"{number}-{at}", f"worker {number} says coffee {at}")
            if at % 4 == 2:
                mine.forget(f"{number}-{at}")

    with ThreadPoolExecutor(6) as pool:
        for outcome in [pool.submit(work, number) for number in range(6)]:
            outcome.result()
    kept = {one.text for path in memory.scopes() for one in memory.scope(path).list(limit=1000)}
    expected = {
        f"worker {number} says {what} {at}"
        for number in range(6)
        for at in range(12)
        for what in (["tea"] if at % 4 in (0, 3) else ["tea", "coffee"] if at % 4 == 1 else [])
    }
    assert kept == expected
    seqs = [one.seq for path in memory.scopes() for one in memory.scope(path).list(limit=1000)]
    assert len(seqs) == len(set(seqs))


def test_threads_that_let_one_system_observe_do_it_once(
    open_memory: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SYSTEMS, "digest", FOR_TESTS["digest"])
    monkeypatch.setattr("mnemic.systems.runner.BATCH", 4)
    memory = open_memory(tmp_path / "memory.db", durability="normal")
    memory.add([{"content": f"tea {at}", "session": f"s{at % 3}"} for at in range(30)])
    digest = memory.attach("digest")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: [hit.text for hit in digest.search("tea")], range(8)))
    assert answers == answers[:1] * 8
    assert sum(text.count("tea") for text in answers[0]) == 30


def test_ids_made_by_many_threads_are_all_different() -> None:
    start, made = threading.Barrier(8), [[] for _ in range(8)]  # type: list[list[str]]

    def work(mine: list[str]) -> None:
        start.wait()
        mine.extend(new_id() for _ in range(2000))

    threads = [threading.Thread(target=work, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id for mine in made for id in mine}) == 16_000
    assert all(mine == sorted(mine) for mine in made)
