"""What systems made, sessions, backups, and corrections that can be sent twice."""

import pytest

from mnemic import Memory
from mnemic.errors import EditConflict, IdConflict, ParameterError, SystemNotFound


def test_sessions_are_those_of_the_scope_alone(memory):
    memory.scope("a").add(["one", "two"], session="monday")
    memory.scope("a").add("three", session="tuesday")
    memory.scope("b").add("four", session="monday")
    assert [(one.session, one.episodes) for one in memory.scope("a").sessions()] == [("monday", 2), ("tuesday", 1)]
    assert [one.session for one in memory.scope("a").sessions(newest_first=True, limit=1)] == ["tuesday"]
    assert [one.session for one in memory.sessions(user_id="nobody")] == []
    with pytest.raises(ParameterError, match="no argument 'colour'"):
        memory.sessions(colour="red")


def test_a_system_without_records_has_none_and_an_unknown_one_is_refused(memory):
    memory.add("one")
    assert (memory.records(system="bm25"), memory.records(), memory.links()) == ([], [], [])
    with pytest.raises(SystemNotFound):
        memory.records(system="no such")
    with pytest.raises(ParameterError, match="name the system"):
        memory.records(after="r")


def test_a_correction_with_its_own_id_can_be_sent_twice(memory):
    first = memory.add("The meeting is at nine.").id
    memory.add("Something else.", id="taken")
    assert memory.update(first, "The meeting is at ten.", new_id="v2") == memory.update(
        first, "The meeting is at ten.", new_id="v2"
    )
    with pytest.raises(EditConflict):
        memory.update(first, "The meeting is at eleven.", new_id="v2")
    with pytest.raises(IdConflict, match="'taken' already names another"):
        memory.update("v2", "The meeting is at eleven.", new_id="taken")
    texts = [version["new_memory"] for version in memory.history(first)]
    assert texts == ["The meeting is at nine.", "The meeting is at ten."]


def test_a_backup_is_a_memory_of_its_own(open_memory, tmp_path):
    memory = open_memory(tmp_path / "memory.db")
    memory.add("The archive is in the attic.", session="s")
    copy = memory.backup(tmp_path / "copy.db")
    memory.add("Written later.")
    with Memory.open(copy, embedder="hashing", read_only=True) as kept:
        assert [one.text for one in kept.list()] == ["The archive is in the attic."]
    assert sorted(one.name for one in tmp_path.iterdir() if one.name.startswith("copy")) == ["copy.db"]
    with pytest.raises(ParameterError, match="overwrites nothing"):
        memory.backup(copy)
    with pytest.raises(ParameterError, match="does not exist"):
        memory.backup(tmp_path / "no" / "copy.db")
