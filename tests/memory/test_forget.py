"""Forgetting: by what it is chosen, what goes along, what stays, receipts, and readers that stand in the way."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnemic import Memory
from mnemic.errors import EpisodeNotFound, InvalidFilter, ParameterError
from mnemic.systems.registry import SYSTEMS
from systems.digest import FOR_TESTS

Open = Callable[..., Memory]


@pytest.fixture
def log(memory: Memory) -> Memory:
    """Six episodes in two sessions and three months, beside another scope."""
    for at, (session, month) in enumerate([("a", 1), ("a", 2), ("b", 2), ("b", 3), (None, 3), (None, 4)]):
        memory.add(f"tea {at}", id=f"e{at}", session=session, occurred_at=f"2024-{month:02}-15", metadata={"n": at})
    memory.scope("other").add("tea elsewhere", id="e0")
    return memory


@pytest.mark.parametrize(
    ("chosen", "left"),
    [
        ({"id": "e0"}, "12345"),
        ({"id": ["e0", "e5", "e5"]}, "1234"),
        ({"session": "a"}, "2345"),
        ({"run_id": "a"}, "2345"),
        ({"filters": {"n": {"gte": 4}}}, "0123"),
        ({"filters": {"session_id": "b", "n": 2}}, "01345"),
        ({"since": "2024-03-01"}, "012"),
        ({"until": "2024-02-15"}, "345"),
        ({"since": "2024-02-01", "until": "2024-02-28", "session": "b"}, "01345"),
        ({"session": "unheard"}, "012345"),
        ({"everything": True}, ""),
    ],
    ids=str,
)
def test_what_is_chosen_goes_and_the_rest_stays(log: Memory, chosen: dict[str, Any], left: str) -> None:
    gone = set("012345") - set(left)
    preview = log.forget(dry_run=True, **chosen)
    assert [one.id for one in log.list()] == [f"e{at}" for at in range(6)]
    receipt = log.forget(**chosen)
    assert [one.id for one in log.list()] == [f"e{at}" for at in left]
    assert [hit.id for hit in log.system("full").search("tea")] == [f"e{at}" for at in left]
    assert set(receipt.ids) == set(preview.ids) == {f"e{at}" for at in gone}
    assert (preview.is_dry_run, receipt.is_dry_run, receipt.is_scrubbed) == (True, False, True)
    assert [one.text for one in log.scope("other").list()] == ["tea elsewhere"]


@pytest.mark.parametrize("id", ["nothing", ["e0", "nothing"], "\ud800", ""], ids=ascii)
def test_an_id_that_is_not_there_is_not_found_and_nothing_is_forgotten(log: Memory, id: Any) -> None:
    with pytest.raises(EpisodeNotFound, match="Nothing was forgotten"):
        log.forget(id)
    assert len(log.list()) == 6


@pytest.mark.parametrize(
    ("chosen", "error"),
    [
        ({}, ParameterError),
        ({"session": ""}, ParameterError),
        ({"user_id": "alice"}, ParameterError),
        ({"everything": True, "id": "e0"}, ParameterError),
        ({"everything": True, "session": "a"}, ParameterError),
        ({"filters": {"n": {"$near": 1}}}, InvalidFilter),
    ],
    ids=str,
)
def test_a_choice_that_is_none_or_contradicts_itself_is_refused(
    log: Memory, chosen: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        log.forget(**chosen)
    assert len(log.list()) == 6


def test_every_version_of_a_memory_goes_together_from_whichever_id(memory: Memory) -> None:
    for which in range(3):
        memory.add("tea", id=f"v{which}")
        second = memory.update(f"v{which}", "green tea")
        third = memory.update(second.id, "mint tea")
        ids = (f"v{which}", second.id, third.id)
        assert memory.forget(ids[which]).ids == ids
        assert memory.list() == []


def test_delete_all_takes_what_the_ids_choose_and_nothing_else(memory: Memory) -> None:
    memory.add("a", user_id="alice", agent_id="tutor")
    memory.add("b", user_id="alice", agent_id="cook")
    memory.add("c", user_id="alice", run_id="r1")
    memory.add("d", user_id="bob")
    memory.add("e")
    assert memory.delete_all(user_id="alice", run_id="r1").episodes == 1
    assert memory.delete_all(user_id="alice", agent_id="tutor").episodes == 1
    assert {one["memory"] for one in memory.get_all(user_id="alice")["results"]} == {"b"}
    assert memory.delete_all(user_id="alice").episodes == 1
    assert memory.scopes() == {"": 1, "user:bob": 1}
    assert memory.reset().episodes == 2
    assert memory.scopes() == {}


def test_reset_takes_the_scopes_below_and_leaves_the_others(memory: Memory) -> None:
    for path in ("acme", "acme/alice", "acmes"):
        memory.scope(path).add("tea")
    memory.scope("acme").reset()
    assert memory.scopes() == {"acmes": 1}


def test_a_forgotten_id_may_be_used_again_and_stands_later_in_the_log(memory: Memory) -> None:
    memory.add(["a", "b"])
    memory.add("c", id="e")
    memory.delete("e")
    added = memory.add("other", id="e")
    assert (added.is_new, added[0].seq) == ((True,), 4)


def test_forgetting_takes_what_systems_made_of_it_and_says_how_much(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SYSTEMS, "digest", FOR_TESTS["digest"])
    memory.add({"content": "tea", "id": "a"}, session="mon")
    memory.add({"content": "coffee", "id": "b"}, session="tue")
    memory.system("digest").search("tea")
    for receipt in (memory.forget("a", dry_run=True), memory.forget("a")):
        # the record of the other session is made again as it was: nothing of it was forgotten
        assert (receipt.records, receipt.links, receipt.rebuilt_systems) == (1, 1, ("digest",))
    assert [hit.text for hit in memory.system("digest").search("tea coffee")] == ["coffee"]


def test_a_receipt_counts_what_came_from_what_was_forgotten_also_where_the_system_mends_it_itself(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SYSTEMS, "careful", FOR_TESTS["careful"])
    memory.add([{"content": "tea", "id": "a"}, {"content": "coffee", "id": "b"}], session="mon")
    memory.add("cake", session="tue")
    memory.system("careful").search("tea")
    preview, receipt = memory.forget("a", dry_run=True), memory.forget("a")
    assert (preview.records, receipt.records, receipt.rebuilt_systems) == (1, 1, ())
    assert len(memory.records(system="careful")) == 2


def test_a_receipt_holds_ids_and_numbers_and_nothing_of_the_content(memory: Memory) -> None:
    acme = memory.scope("acme")
    acme.add("the safe opens with 4711", id="secret", actor="Anna", session="mon", metadata={"k": "hidden"})
    receipt = acme.forget("secret")
    shown = json.dumps(receipt.to_dict()) + repr(receipt) + str(receipt)
    assert [word for word in ("safe", "4711", "Anna", "mon", "hidden") if word in shown] == []
    assert receipt["message"].startswith("Forgot 1 episode in ")


def test_a_forgotten_episode_is_not_known_again_as_an_echo(memory: Memory) -> None:
    memory.add("Anna keeps the spare key under the blue pot", id="key")
    block = memory.context("spare key")
    memory.search("spare key")
    memory.forget("key")
    added = memory.add([block, "Anna keeps the spare key under the blue pot"], role="assistant")
    assert added.echoes == []


def test_while_a_reader_stands_in_the_way_the_receipt_says_so_and_scrub_does_it_later(
    open_memory: Open, tmp_path: Path
) -> None:
    path = tmp_path / "memory.db"
    memory = open_memory(path, busy_timeout_s=0.01)
    memory.add("the safe opens with 4711", id="secret")
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM episodes").fetchone() == (1,)
    receipt = memory.forget("secret")
    assert (receipt.is_scrubbed, memory.list(), memory.find_traces("opens with 4711") != []) == (False, [], True)
    reader.execute("ROLLBACK")
    reader.close()
    assert (memory.scrub(), memory.find_traces("opens with 4711")) == (True, [])


@pytest.mark.parametrize("ids", [{}, {"user_id": None}, {"run_id": None}])
def test_delete_all_without_a_name_erases_nothing(memory: Memory, ids: dict[str, Any]) -> None:
    memory.add("kept")
    with pytest.raises(ParameterError, match="everything=True"):
        memory.delete_all(**ids)
    assert [one.text for one in memory.list()] == ["kept"]


def test_delete_all_on_the_handle_of_a_scope_erases_that_scope(memory: Memory) -> None:
    memory.scope("acme/alice").add("gone")
    memory.scope("acme/bob").add("kept")
    memory.scope("acme/alice").delete_all()
    assert memory.scopes() == {"acme/bob": 1}


def test_every_branch_of_a_memorys_versions_goes_with_it(memory: Memory, tmp_path: Path) -> None:
    lines = [{"format": "mnemic", "version": 1, "scope": ""}]
    for id, text, supersedes in (
        ("v1", "one", None),
        ("v2a", "two a", "v1"),
        ("v2b", "two b", "v1"),
        ("v3", "three", "v2a"),
    ):
        line = {"type": "episode", "id": id, "scope": "", "text": text, "role": "user", "supersedes": supersedes}
        times = dict.fromkeys(("occurred_at", "recorded_at"), "2024-05-01T00:00:00+00:00")
        lines.append({name: value for name, value in (line | times).items() if value is not None})
    (tmp_path / "past.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    assert memory.import_(tmp_path / "past.jsonl").added == 4
    assert memory.forget("v2b").ids == ("v1", "v2a", "v2b", "v3")


def test_a_correction_that_comes_while_its_memory_is_forgotten_goes_with_it(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.add("the code is 8264", id="v1")
    remove, newer = memory._shared.store.remove, []

    def after_a_correction(*arguments: Any, **named: Any) -> Any:
        if not newer:
            newer.append(memory.update("v1", "the code is 8265").id)
        return remove(*arguments, **named)

    monkeypatch.setattr(memory._shared.store, "remove", after_a_correction)
    assert memory.forget("v1").ids == ("v1", newer[0])
    assert memory.list() == []


def test_delete_all_of_an_agent_on_a_users_handle_takes_that_agents_part(memory: Memory) -> None:
    memory.add("a", user_id="alice", agent_id="tutor")
    memory.add("b", user_id="alice", agent_id="cook")
    assert memory.scope("user:alice").delete_all(agent_id="tutor").episodes == 1
    assert memory.scopes() == {"user:alice": 1}
