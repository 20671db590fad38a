"""mem0: memories go where `Memory.add` would put them, with their times; history.db is read as versions, untouched."""

import json
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic import Memory
from mnemic.errors import FormatError, InvalidScope
from mnemic.formats import Message, Problem, read, sniff
from mnemic.formats.mem0 import _id
from mnemic.formats.message import make_id
from mnemic.formats.owner import owner_of
from mnemic.integrations.mem0 import Memory as Mem0
from mnemic.memory.ask import resolve

TEA = {
    "id": "0b7c6f6e-2f0a-4d3e-9d53-6a5f3f6f7c11",
    "memory": "Likes green tea",
    "hash": "d41d8cd98f00b204e9800998ecf8427e",
    "created_at": "2024-05-01T10:00:00-07:00",
    "updated_at": "2024-06-01T10:00:00-07:00",
    "user_id": "alice",
    "agent_id": "tutor",
    "run_id": "monday",
    "actor_id": "Alice",
    "role": "user",
    "categories": ["food"],
    "expiration_date": "2030-01-01",
    "metadata": {"topic": "tea"},
    "score": 0.93,
}
PLAIN = {"id": "m2", "memory": "Lives in Porto", "created_at": "2024-05-02", "updated_at": None, "agent_id": "tutor"}


def write(path: Path, value: Any) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def messages(path: Path) -> list[Message]:
    return [one for one in read(path, "mem0") if isinstance(one, Message)]


def problems(path: Path) -> list[str]:
    return [str(one) for one in read(path, "mem0") if isinstance(one, Problem)]


def history(path: Path, *events: tuple[Any, ...]) -> Path:
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE history (id TEXT PRIMARY KEY, memory_id TEXT, old_memory TEXT, new_memory TEXT, event TEXT, "
            "created_at DATETIME, updated_at DATETIME, is_deleted INTEGER, actor_id TEXT, role TEXT)"
        )
        connection.executemany("INSERT INTO history VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", events)
    connection.close()
    return path


EVENTS = (
    ("h1", "m1", None, "Likes tea", "ADD", "2024-05-01T10:00:00+00:00", None, 0, "Alice", "user"),
    ("h2", "m2", None, "A secret", "ADD", "2024-05-01T11:00:00+00:00", None, 0, None, None),
    (
        "h3",
        "m1",
        "Likes tea",
        "Likes green tea",
        "UPDATE",
        "2024-05-01T10:00:00+00:00",
        "2024-06-01",
        0,
        "Alice",
        "user",
    ),
    ("h4", "m2", "A secret", None, "DELETE", None, None, 1, None, None),
)


def test_a_memory_keeps_its_ids_times_and_fields(tmp_path: Path) -> None:
    path = write(tmp_path / "all.json", {"results": [TEA, PLAIN]})
    assert sniff(path) == "mem0"
    tea, plain = read(path)
    assert tea == Message(
        text="Likes green tea",
        id=TEA["id"],
        location="all.json.results[0]",
        role="user",
        actor="Alice",
        session="monday",
        occurred_at=datetime.fromisoformat("2024-05-01T10:00:00-07:00"),
        recorded_at=datetime.fromisoformat("2024-06-01T10:00:00-07:00"),
        metadata={
            "topic": "tea",
            "agent_id": "tutor",
            "categories": ["food"],
            "expiration_date": "2030-01-01",
            "created_at": "2024-05-01T10:00:00-07:00",
            "updated_at": "2024-06-01T10:00:00-07:00",
        },
        scope="user:alice",
    )
    at = datetime(2024, 5, 2, tzinfo=UTC)
    assert plain == Message(
        text="Lives in Porto",
        id="m2",
        location="all.json.results[1]",
        occurred_at=at,
        recorded_at=at,
        scope="agent:tutor",
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", [TEA, PLAIN]),
        ("a.jsonl", json.dumps(TEA) + "\n" + json.dumps(PLAIN) + "\n"),
        ("a.txt", json.dumps(TEA) + "\n" + json.dumps(PLAIN) + "\n"),
        ("a.json", {"count": 2, "next": None, "previous": None, "results": [TEA, PLAIN]}),
        ("a.json", json.dumps({"results": [TEA, PLAIN]}, indent=2)),
        ("a.json", {"memories": [TEA, PLAIN]}),
        ("a.json", json.dumps({"results": [TEA]}) + "\n" + json.dumps({"results": [PLAIN]})),
    ],
)
def test_a_page_a_list_and_lines_say_the_same(tmp_path: Path, name: str, content: Any) -> None:
    path = write(tmp_path / name, content)
    assert sniff(path) == "mem0"
    assert [(one.text, one.scope) for one in messages(path)] == [
        ("Likes green tea", "user:alice"),
        ("Lives in Porto", "agent:tutor"),
    ]
    assert problems(path) == []


names = (
    st.none()
    | st.text(max_size=5)
    | st.sampled_from(["alice", " bob ", "a/b", "", " ", "Zoë", ".", "..", "\0"])
    | st.integers()
)


@given(user_id=names, agent_id=names, run_id=names, app_id=names)
def test_ids_lead_to_the_scope_and_session_that_add_would_choose(**ids: Any) -> None:
    given_ids = {key: None if id == "" else id for key, id in ids.items()}  # an export writes "" for none
    try:
        place = resolve("", **given_ids)
    except InvalidScope:
        with pytest.raises(InvalidScope):
            owner_of(ids)
        return
    owner = owner_of(ids)
    assert (owner.scope or "", owner.session, owner.metadata) == (place.scope, place.session, place.metadata)


def test_importing_twice_changes_nothing_and_the_ids_find_what_was_imported(tmp_path: Path, memory: Memory) -> None:
    path = write(
        tmp_path / "all.json", {"results": [TEA, PLAIN, {**PLAIN, "id": "m3", "memory": "Has a cat", "agent_id": None}]}
    )
    first, second = memory.import_(path), memory.import_(path)
    assert (first.added, first.scopes) == (3, {"user:alice": 1, "agent:tutor": 1, "": 1})
    assert (second.added, second.skipped, second.problems) == (0, 3, [])
    (hit,) = memory.search("tea", user_id="alice", run_id="monday", filters={"topic": "tea", "agent_id": "tutor"})
    assert (hit.id, hit.text) == (TEA["id"], "Likes green tea")
    assert len(memory.search("tea", user_id="alice", as_of="2024-05-15")) == 0  # these words are known since June


def test_what_cannot_be_read_is_named_with_its_place_and_the_rest_is_read(tmp_path: Path) -> None:
    bad = [
        {"id": "x"},
        "text",
        {**PLAIN, "user_id": "a/b"},
        {**PLAIN, "created_at": "soon", "memory": "Kept"},
        {**PLAIN, "user_id": [1]},
    ]
    path = write(tmp_path / "a.json", {"results": [*bad, TEA], "relations": [{"source": "a"}, {"source": "b"}]})
    assert [one.text for one in messages(path)] == ["Kept", "Likes green tea"]
    assert [one.split(": ")[0] for one in problems(path)] == [
        "a.json.results[0]",
        "a.json.results[1]",
        "a.json.results[2]",
        "a.json.results[3].created_at",
        "a.json.results[4]",
        "a.json",
    ]
    assert problems(path)[-1] == "a.json: Relations of the graph were passed over (2)."
    assert problems(write(tmp_path / "b.json", {"detail": "Not authenticated"})) == [
        "b.json: It is no memory: it has no text in `memory`. ({'detail': 'Not authenticated'})"
    ]


def test_nul_and_halves_of_characters_do_not_get_in(tmp_path: Path, memory: Memory) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        "\n".join(
            json.dumps(one)
            for one in (
                {**PLAIN, "id": "1", "user_id": "a\0b"},
                {**PLAIN, "id": "2", "memory": "half \ud83d"},
                {**PLAIN, "id": "3", "actor_id": "x\0"},
                {**PLAIN, "id": "4", "metadata": {"a": "\udc00"}},
                {**PLAIN, "id": "5"},
            )
        )
    )
    done = memory.import_(path, "mem0")
    assert (done.added, sorted(one.location for one in done.problems)) == (
        1,
        ["a.jsonl:1", "a.jsonl:2", "a.jsonl:3", "a.jsonl:4"],
    )


def test_history_is_read_as_versions_and_the_deleted_stay_deleted(tmp_path: Path, memory: Memory) -> None:
    path = history(tmp_path / "history.db", *EVENTS)
    assert sniff(path) == "mem0"
    done = memory.import_(path)
    assert (done.added, [str(one) for one in done.problems]) == (
        2,
        ["history.db: Events of deleted memories were passed over (2)."],
    )
    for id in ("m1", "mem0:m1:h3"):
        assert [version.episode.text for version in memory.history(id)] == ["Likes tea", "Likes green tea"]
    assert [hit.text for hit in memory.search("tea")] == ["Likes green tea"]
    assert [hit.text for hit in memory.search("tea", as_of="2024-05-20")] == ["Likes tea"]
    assert "A secret" not in [one.text for one in memory.list()]
    assert memory.import_(path).added == 0


def test_the_id_of_a_memory_names_its_first_version_also_when_the_history_goes_on(
    tmp_path: Path, memory: Memory
) -> None:
    path = history(tmp_path / "history.db", *EVENTS)
    memory.import_(path, "mem0")
    with sqlite3.connect(path) as connection:
        later = ("h5", "m1", "Likes green tea", "Likes coffee", "UPDATE", *EVENTS[2][5:])
        connection.execute(f"INSERT INTO history VALUES ({', '.join('?' * 10)})", later)
    connection.close()
    assert [one.id for one in messages(path)] == ["m1", "mem0:m1:h3", "mem0:m1:h5"]
    done = memory.import_(path, "mem0")
    assert (done.added, done.skipped) == (1, 2)
    assert [one.episode.text for one in memory.history("m1")] == ["Likes tea", "Likes green tea", "Likes coffee"]


def test_programs_that_kept_ids_of_mem0_go_on_after_the_history_was_imported(tmp_path: Path, memory: Memory) -> None:
    memory.scope("user:alice").import_(history(tmp_path / "history.db", *EVENTS))
    theirs = Mem0(memory)
    assert [row["event"] for row in theirs.history("m1")] == ["ADD", "UPDATE"]
    assert theirs.get("m1")["memory"] == "Likes green tea"
    theirs.update("m1", "Likes coffee")
    assert theirs.get_all(user_id="alice")["results"][0]["memory"] == "Likes coffee"
    theirs.delete("m1")
    assert theirs.get_all(user_id="alice")["results"] == []


@given(id=st.text(min_size=1, max_size=80), other=st.text(min_size=1, max_size=80))
def test_two_memories_have_two_ids_and_none_is_that_of_a_later_version(id: str, other: str) -> None:
    assert (_id(id) == _id(other)) == (id == other)
    assert _id(id) != make_id("mem0", id, "h1") != _id(other)


def test_a_database_is_read_without_a_trace(tmp_path: Path) -> None:
    folder = tmp_path / "a folder? #1%"
    folder.mkdir()
    path = history(folder / "history.db", *EVENTS)
    content = path.read_bytes()
    folder.chmod(0o500)
    try:
        assert len(messages(path)) == 2
    finally:
        folder.chmod(0o700)
    assert [one.name for one in folder.iterdir()] == ["history.db"]
    assert path.read_bytes() == content


def test_a_database_with_unfinished_writes_is_refused_with_the_remedy(tmp_path: Path, memory: Memory) -> None:
    path = history(tmp_path / "history.db", *EVENTS)
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("DELETE FROM history")
    writer.commit()
    with pytest.raises(FormatError, match=r"still in 'history\.db-wal'.*wal_checkpoint"):
        memory.import_(path, "mem0")
    writer.close()
    assert messages(path) == []  # closing has put them into the file


def test_hostile_databases_give_problems_and_run_nothing(tmp_path: Path, open_memory: Callable[..., Memory]) -> None:
    endless = tmp_path / "endless.db"
    with sqlite3.connect(endless) as connection:
        connection.execute(
            "CREATE VIEW history AS WITH RECURSIVE more(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more) "
            "SELECT n AS id, n AS memory_id, 'x' AS new_memory, 'x' AS old_memory, 'ADD' AS event FROM more"
        )
    connection.close()
    with pytest.raises(FormatError, match="has no table 'history'"):
        messages(endless)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE history (id TEXT)")
    connection.close()
    with pytest.raises(FormatError, match="no column memory_id, new_memory, event"):
        messages(other)
    broken = history(
        tmp_path / "broken.db", *((f"h{n}", f"m{n}", None, "word " * 200, *EVENTS[0][4:]) for n in range(50))
    )
    content = bytearray(broken.read_bytes())
    content[8192:24576] = b"\xff" * 16384
    broken.write_bytes(content)
    assert any("cannot be read from here on" in one for one in problems(broken))
    halves = history(tmp_path / "halves.db", *EVENTS)
    with sqlite3.connect(halves) as connection:
        connection.execute("UPDATE history SET new_memory = CAST(X'ff41' AS TEXT) WHERE id = 'h1'")
    connection.close()
    done = open_memory().import_(halves)
    assert (done.added, done.problems[0].location) == (1, "halves.db.history[0]")
