"""Graphiti and Zep: episodes and facts keep their validity, groups and users are scopes, sessions stay sessions."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mnemic import Memory
from mnemic.formats import Message, Problem, read, sniff

FACT = {
    "uuid": "11111111-2222-4333-8444-555555555555",
    "group_id": "acme",
    "source_node_uuid": "a",
    "target_node_uuid": "b",
    "created_at": "2024-05-02T08:00:00.123456789Z",
    "name": "WORKS_AT",
    "fact": "Ann works at the observatory.",
    "fact_embedding": [0.1, 0.2],
    "episodes": ["99999999-2222-4333-8444-555555555555"],
    "expired_at": None,
    "valid_at": "2024-05-01T00:00:00Z",
    "invalid_at": "2024-06-01T00:00:00Z",
    "attributes": {"since": 2024},
}
EPISODE = {
    "uuid": "99999999-2222-4333-8444-555555555555",
    "name": "chat 1",
    "group_id": "acme",
    "source": "message",
    "source_description": "a chat",
    "content": "Ann: I work at the observatory.",
    "valid_at": "2024-05-01T09:00:00+02:00",
    "created_at": "2024-05-02T08:00:00Z",
    "entity_edges": [FACT["uuid"]],
}
NODE = {"uuid": "n", "name": "Ann", "labels": ["Entity"], "summary": "works", "group_id": "acme"}
SAID = [
    {
        "uuid": "m1",
        "role": "Ann",
        "role_type": "user",
        "content": "I moved to Porto.",
        "created_at": "2024-05-01T10:00:00Z",
    },
    {
        "uuid": "m2",
        "role": "assistant",
        "name": "Tutor",
        "content": "When?",
        "created_at": "2024-05-01T10:00:05Z",
        "processed": True,
    },
    {"uuid": "m3", "role": "norole", "content": "  "},
]


def write(path: Path, value: Any) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def messages(path: Path) -> list[Message]:
    return [one for one in read(path) if isinstance(one, Message)]


def problems(path: Path) -> list[str]:
    return [str(one) for one in read(path) if isinstance(one, Problem)]


def test_a_fact_is_an_episode_at_the_time_from_which_it_holds(tmp_path: Path) -> None:
    path = write(tmp_path / "edges.json", [FACT])
    assert sniff(path) == "graphiti"
    assert list(read(path)) == [
        Message(
            text="Ann works at the observatory.",
            id="11111111-2222-4333-8444-555555555555",
            location="edges.json[0]",
            role="assistant",
            occurred_at=datetime(2024, 5, 1, tzinfo=UTC),
            recorded_at=datetime(2024, 5, 2, 8, 0, 0, 123456, UTC),
            scope="acme",
            metadata={
                "kind": "fact",
                "name": "WORKS_AT",
                "source_node_uuid": "a",
                "target_node_uuid": "b",
                "created_at": "2024-05-02T08:00:00.123456789Z",
                "valid_at": "2024-05-01T00:00:00Z",
                "invalid_at": "2024-06-01T00:00:00Z",
                "episodes": ["99999999-2222-4333-8444-555555555555"],
                "attributes": {"since": 2024},
            },
        )
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("g.json", {"nodes": [NODE], "edges": [FACT], "episodes": [EPISODE]}),
        ("g.json", {"episodic_nodes": [EPISODE], "entity_nodes": [NODE], "entity_edges": [FACT]}),
        ("g.jsonl", "\n".join(json.dumps(one) for one in (EPISODE, NODE, FACT))),
        ("g.json", [EPISODE, FACT, NODE]),
        (
            "g.json",  # as apoc.export.json writes a graph
            "\n".join(
                json.dumps(one)
                for one in (
                    {"type": "node", "id": "0", "labels": ["Episodic"], "properties": EPISODE},
                    {"type": "node", "id": "1", "labels": ["Entity"], "properties": {"uuid": "n", "name": "Ann"}},
                    {
                        "type": "relationship",
                        "id": "2",
                        "label": "RELATES_TO",
                        "properties": FACT,
                        "start": {},
                        "end": {},
                    },
                )
            ),
        ),
    ],
)
def test_lists_lines_and_a_database_s_export_say_the_same(tmp_path: Path, name: str, content: Any) -> None:
    path = write(tmp_path / name, content)
    assert sniff(path) == "graphiti"
    found = {one.id: one for one in messages(path)}
    assert set(found) == {FACT["uuid"], EPISODE["uuid"]}
    assert found[FACT["uuid"]].metadata["episodes"] == [EPISODE["uuid"]]
    episode = found[EPISODE["uuid"]]
    assert (episode.text, episode.role, episode.scope) == ("Ann: I work at the observatory.", "user", "acme")
    assert episode.metadata["name"] == "chat 1"
    assert episode.occurred_at is not None
    assert episode.occurred_at.isoformat() == "2024-05-01T09:00:00+02:00"
    assert problems(path) == [f"{name}: Nodes were passed over (1)."]


def test_links_between_nodes_are_counted_apart(tmp_path: Path) -> None:
    lines = [
        {"type": "relationship", "id": "1", "label": "MENTIONS", "properties": {"uuid": "x", "group_id": "g"}},
        {"type": "relationship", "id": "2", "label": "HAS_MEMBER", "properties": {}},
        {"uuid": "e", "fact": "Ann likes tea"},
    ]
    path = write(tmp_path / "g.jsonl", "\n".join(json.dumps(one) for one in lines))
    assert problems(path) == ["g.jsonl: Links between nodes and episodes were passed over (2)."]


def test_a_session_s_messages_and_facts_go_to_its_user(tmp_path: Path, memory: Memory) -> None:
    session = {"session_id": "s1", "user_id": "ann", "facts": ["Ann lives in Porto"], "messages": SAID}
    user = {
        "user_id": "ann",
        "first_name": "Ann",
        "last_name": "Lee",
        "email": "ann@a.example",
        "metadata": {"plan": "pro"},
    }
    path = write(tmp_path / "zep.json", {"sessions": [session], "users": [user, {"user_id": "bob"}]})
    assert sniff(path) == "zep"
    assert [(one.text, one.role, one.actor, one.session, one.scope) for one in messages(path)] == [
        ("Ann lives in Porto", "assistant", None, "s1", "user:ann"),
        ("I moved to Porto.", "user", "Ann", "s1", "user:ann"),
        ("When?", "assistant", "Tutor", "s1", "user:ann"),
        ("Ann Lee <ann@a.example>", "assistant", None, None, "user:ann"),
    ]
    assert problems(path) == ["zep.json: Users without a name were passed over (1)."]
    done = memory.import_(path)
    assert (done.added, done.scopes) == (4, {"user:ann": 4})
    assert memory.import_(path).added == 0
    assert memory.search("Where did Ann move?", user_id="ann", filters={"role": "user"})[0].text == "I moved to Porto."


@pytest.mark.parametrize(
    "page",
    [
        {"messages": SAID, "row_count": 3, "total_count": 3, "session_id": "s1", "user_id": "ann"},
        {"user_id": "ann", "thread_id": "s1", "messages": SAID},
        {"items": [one | {"thread_uuid": "s1", "user_id": "ann"} for one in SAID], "next_cursor": None},
    ],
)
def test_a_page_of_messages_takes_the_ids_that_stand_around_it(tmp_path: Path, page: dict[str, Any]) -> None:
    path = write(tmp_path / "page.json", page)
    assert sniff(path) == "zep"
    assert [(one.session, one.scope) for one in messages(path)] == [("s1", "user:ann")] * 2


@pytest.mark.parametrize(
    ("ids", "scope"),
    [
        ({"group_id": ""}, None),
        ({"group_id": "\\_"}, None),
        ({"graph_id": "g", "user_uuid": "u"}, "g"),
        ({"group_id": "g", "user_id": "u"}, "user:u"),
        ({"graph_uuid": "G", "user_uuid": "U"}, "user:U"),
        ({"graph_uuid": "G"}, "G"),
    ],
)
def test_groups_and_users_are_scopes(tmp_path: Path, ids: dict[str, str], scope: str | None) -> None:
    (found,) = messages(write(tmp_path / "a.json", [{"uuid": "x", "fact": "Ann likes tea", **ids}]))
    assert found.scope == scope


def test_what_holds_no_longer_can_be_left_out_of_a_search(tmp_path: Path, memory: Memory) -> None:
    now = {**FACT, "uuid": "now", "fact": "Ann works at the harbour.", "valid_at": "2024-06-01", "invalid_at": None}
    memory.import_(write(tmp_path / "edges.json", {"edges": [FACT, now]}))
    acme = memory.scope("acme")
    holds = {"NOT": [{"invalid_at": "*"}]}
    assert [hit.text for hit in acme.search("Where does Ann work?", filters=holds)] == ["Ann works at the harbour."]
    assert len(acme.search("Where does Ann work?")) == 2


def test_what_cannot_be_read_is_named_with_its_place(tmp_path: Path) -> None:
    rows = [
        "x",
        {"uuid": "u"},
        {**FACT, "group_id": "a/b"},
        {**FACT, "valid_at": "later"},
        {"uuid": "n", "labels": [{}, "Entity"]},
    ]
    path = write(tmp_path / "a.json", {"edges": rows, "unknown": [1]})
    assert [one.split(": ")[0] for one in problems(path)] == [
        "a.json",
        "a.json.edges[1]",
        "a.json.edges[2]",
        "a.json.edges[3].valid_at",
        "a.json",
    ]
    assert [one.text for one in messages(path)] == ["x", FACT["fact"]]  # a bare text among facts is one
