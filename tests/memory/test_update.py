"""Correcting: a new version supersedes the old one, once; the past stays in the history."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.errors import EditConflict, EpisodeNotFound, InvalidEpisode, InvalidTime

Open = Callable[..., Memory]


def test_a_correction_is_found_and_the_old_text_is_not(memory: Memory) -> None:
    old = memory.add("I live in Porto", session="mon", actor="Anna", metadata={"k": 1}, occurred_at="2024-01-01")[0]
    new = memory.update(old.id, "I live in Lisbon")
    assert [(hit.id, hit.text) for hit in memory.search("Where do I live, in Porto or Lisbon?")] == [
        (new.id, "I live in Lisbon")
    ]
    assert (new.supersedes, new.session, new.actor, new.metadata, new.occurred_at) == (
        old.id,
        "mon",
        "Anna",
        {"k": 1},
        old.occurred_at,
    )
    assert memory.get(new.id) == new
    assert memory.get(old.id) == old


def test_only_what_is_given_changes(memory: Memory) -> None:
    parts = [{"type": "image", "url": "u"}]
    old = memory.add({"content": parts, "metadata": {"k": 1}})[0]
    changed = memory.update(old.id, metadata={"j": 2}, occurred_at="2024-01-01")
    assert (changed.text, changed.parts, changed.metadata, changed.occurred_at.isoformat()) == (
        "",
        old.parts,
        {"j": 2},
        "2024-01-01T00:00:00+00:00",
    )
    assert memory.update(changed.id, metadata={}).metadata == {}


def test_the_history_is_the_same_from_every_version(memory: Memory) -> None:
    first = memory.add("tea", id="first")[0]
    second = memory.update("first", "green tea")
    third = memory.update(second.id, "mint tea")
    for id in (first.id, second.id, third.id):
        assert [(one.episode, one.event, one.old_memory) for one in memory.history(id)] == [
            (first, "ADD", None),
            (second, "UPDATE", "tea"),
            (third, "UPDATE", "green tea"),
        ]
    assert [one["new_memory"] for one in memory.history("first")] == ["tea", "green tea", "mint tea"]


def test_a_correction_of_what_was_corrected_meanwhile_is_refused_with_the_current_id(memory: Memory) -> None:
    memory.add("tea", id="e")
    new = memory.update("e", "green tea")
    with pytest.raises(EditConflict, match=f"it is now '{new.id}'"):
        memory.update("e", "mint tea")
    assert [one.text for one in memory.list()] == ["tea", "green tea"]


def test_a_correction_of_what_is_forgotten_meanwhile_is_refused(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.add("tea", id="e")
    append = memory._shared.store.append_superseding

    def after_forgetting(*entry: Any) -> Any:
        memory.forget("e")
        return append(*entry)

    monkeypatch.setattr(memory._shared.store, "append_superseding", after_forgetting)
    with pytest.raises(EditConflict, match="it was forgotten"):
        memory.update("e", "mint tea")
    assert memory.list() == []


def test_of_threads_that_correct_the_same_version_one_wins(open_memory: Open, tmp_path: Path) -> None:
    memory = open_memory(tmp_path / "memory.db", durability="normal")
    memory.add("tea", id="e")
    start, outcomes = threading.Barrier(4), []

    def correct(name: str) -> None:
        start.wait()
        try:
            outcomes.append(memory.update("e", f"{name} tea").text)
        except EditConflict:
            outcomes.append("refused")

    threads = [threading.Thread(target=correct, args=(name,)) for name in ("green", "mint", "black", "white")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [one for one in outcomes if one != "refused"]
    assert (len(won), [one.text for one in memory.list()]) == (1, ["tea", *won])


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"text": ""}, InvalidEpisode),
        ({"text": "\ud800"}, InvalidEpisode),
        ({"text": 5}, InvalidEpisode),
        ({"metadata": ["a"]}, InvalidEpisode),
        ({"metadata": {"a": float("nan")}}, InvalidEpisode),
        ({"occurred_at": "soon"}, InvalidTime),
    ],
    ids=ascii,
)
def test_a_correction_that_cannot_be_kept_is_refused_and_changes_nothing(
    memory: Memory, change: dict[str, Any], error: type[Exception]
) -> None:
    memory.add("tea", id="e")
    with pytest.raises(error):
        memory.update("e", **change)
    assert [one.text for one in memory.list()] == ["tea"]


def test_a_correction_in_another_scope_finds_nothing_to_correct(memory: Memory) -> None:
    memory.add("tea", id="e", user_id="alice")
    with pytest.raises(EpisodeNotFound):
        memory.update("e", "coffee", user_id="bob")
    assert memory.update("e", "coffee", user_id="alice").scope == "user:alice"


def test_as_of_before_the_correction_the_old_text_is_known(memory: Memory, clock: ManualClock) -> None:
    memory.add("I live in Porto", id="e")
    before = clock.now()
    clock.advance(timedelta(days=1))
    memory.update("e", "I live in Lisbon")
    assert [hit.text for hit in memory.search("live", as_of=before)] == ["I live in Porto"]
    assert [hit.text for hit in memory.search("live", as_of=clock.now())] == ["I live in Lisbon"]


def test_a_correction_of_an_echo_is_still_an_echo(memory: Memory) -> None:
    memory.add("The tea is in the blue tin.")
    echo = memory.add(str(memory.context("tea")), role="assistant").id
    assert memory.update(echo, metadata={"seen": True}).origin == "echo"


def test_a_correction_moves_no_memory_from_one_agent_to_another(memory: Memory) -> None:
    id = memory.add("tea at four", user_id="alice", agent_id="tutor").id
    newer = memory.update(id, user_id="alice", metadata={"agent_id": "coach", "topic": "tea"})
    assert newer.metadata == {"agent_id": "tutor", "topic": "tea"}
