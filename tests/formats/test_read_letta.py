"""Letta: an agent's messages, blocks and passages go to the agent; tools are counted; what was packed is unpacked."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mnemic import Memory
from mnemic.formats import Message, Problem, read, sniff

AT = "2025-10-31T22:56:56.459100+00:00"
UUID = "0b7c6f6e-2f0a-4d3e-9d53-6a5f3f6f7c11"


def said(role: str, text: Any, id: str = "message-0", **more: Any) -> dict[str, Any]:
    content = text if isinstance(text, list) else [{"type": "text", "text": text, "signature": None}]
    return {
        "type": "message",
        "role": role,
        "content": content,
        "id": id,
        "agent_id": "agent-0",
        "created_at": AT,
    } | more


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def block(id: str, label: str, value: str) -> dict[str, Any]:
    return {
        "id": id,
        "label": label,
        "value": value,
        "limit": 20000,
        "description": f"about the {label}",
        "metadata": {},
        "hidden": None,
    }


def agent_file(*messages: dict[str, Any]) -> dict[str, Any]:
    agent = {
        "id": "agent-0",
        "name": "Sam",
        "agent_type": "letta_v1_agent",
        "system": "Be kind.",
        "block_ids": ["block-0", "block-1"],
    }
    other = {
        "id": "agent-1",
        "name": "Max",
        "agent_type": "letta_v1_agent",
        "block_ids": ["block-1"],
        "messages": [said("user", "Hello Max")],
    }
    return {
        "agents": [{**agent, "messages": list(messages), "tool_rules": []}, other],
        "groups": [],
        "blocks": [
            block("block-0", "persona", "I am Sam."),
            block("block-1", "team", "We are two."),
            block("block-2", "empty", ""),
        ],
        "files": [],
        "tools": [{"id": "tool-0", "name": "send_message", "source_code": "…"}, {"id": "tool-1", "name": "run"}],
        "mcp_servers": [{"id": "mcp_server-0", "server_name": "files"}],
        "metadata": {"revision_id": "abc"},
        "created_at": AT,
    }


def write(path: Path, value: Any) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def messages(path: Path) -> list[Message]:
    return [one for one in read(path, "letta") if isinstance(one, Message)]


def problems(path: Path) -> list[str]:
    return [str(one) for one in read(path, "letta") if isinstance(one, Problem)]


def test_an_agent_file_gives_messages_and_blocks_to_each_agent_and_counts_the_rest(tmp_path: Path) -> None:
    path = write(
        tmp_path / "sam.af",
        agent_file(said("system", "Be kind. <memory_blocks>…"), said("user", "I moved to Porto.", "message-1")),
    )
    assert sniff(path) == "letta"
    found = messages(path)
    assert [(one.text, one.role, one.scope, one.session, one.metadata.get("label")) for one in found] == [
        ("Be kind. <memory_blocks>…", "system", "agent:Sam", "Sam", None),
        ("I moved to Porto.", "user", "agent:Sam", "Sam", None),
        ("Hello Max", "user", "agent:Max", "Max", None),
        ("I am Sam.", "assistant", "agent:Sam", None, "persona"),
        ("We are two.", "assistant", "agent:Sam", None, "team"),
        ("We are two.", "assistant", "agent:Max", None, "team"),
    ]
    assert found[1].occurred_at == found[1].recorded_at == datetime(2025, 10, 31, 22, 56, 56, 459100, UTC)
    assert found[3].metadata == {
        "kind": "block",
        "label": "persona",
        "limit": 20000,
        "description": "about the persona",
    }
    assert problems(path) == [
        "sam.af: Mcp servers were passed over (1).",
        "sam.af: Tools were passed over (2).",
    ]


def test_importing_twice_changes_nothing_and_a_later_file_adds_what_is_new(tmp_path: Path, memory: Memory) -> None:
    first, twice = said("user", "Yes.", "message-0"), said("user", "Yes.", "message-1")
    path = write(tmp_path / "a.af", agent_file(first, twice))
    assert memory.import_(path).added == 6  # the same words at the same time twice are two messages
    assert memory.import_(path).added == 0
    later = said("user", "No.", "message-0", created_at="2025-11-01T00:00:00Z")  # numbers begin anew in each file
    assert memory.import_(write(tmp_path / "b.af", agent_file(twice, later))).added == 1


def test_a_file_that_is_text_within_json_is_read_as_well(tmp_path: Path) -> None:
    whole = agent_file(said("user", 'He said "hi".'))
    path = write(tmp_path / "a.json", json.dumps(json.dumps(whole, indent=2)))
    assert sniff(path) == "letta"
    assert [one.text for one in messages(path)] == [one.text for one in messages(write(tmp_path / "b.af", whole))]


def test_the_first_kind_of_agent_file_is_read(tmp_path: Path) -> None:
    whole = {
        "agent_type": "memgpt_agent",
        "core_memory": [
            {"created_at": AT, "label": "human", "value": "Chad", "limit": 5000, "updated_at": AT, "metadata_": {}}
        ],
        "in_context_message_indices": [0],
        "messages": [said("user", "Hi", "message-0") | {"agent_id": None}],
        "name": "Sam",
        "tools": [{"name": "f"}],
        "version": "0.6",
    }
    path = write(tmp_path / "old.af", whole)
    assert [(one.text, one.scope) for one in messages(path)] == [("Chad", "agent:Sam"), ("Hi", "agent:Sam")]
    assert problems(path) == ["old.af: Tools were passed over (1)."]


@pytest.mark.parametrize(
    ("message", "role", "text", "parts"),
    [
        (said("user", json.dumps({"type": "user_message", "message": "Hi", "time": "…"})), "user", "Hi", ()),
        (said("user", json.dumps({"type": "system_alert", "message": "Summary"})), "system", "Summary", ()),
        (said("user", json.dumps({"a": 1})), "user", '{"a": 1}', ()),
        (
            said("assistant", "They greet me.", tool_calls=[call("send_message", message="Hello!")]),
            "assistant",
            "Hello!",
            ({"type": "reasoning", "text": "They greet me."},),
        ),
        (
            said("assistant", [{"type": "reasoning", "reasoning": "hm"}], tool_calls=[call("run", x=1)]),
            "assistant",
            "",
            (
                {"type": "reasoning", "reasoning": "hm"},
                {**call("run", x=1), "type": "tool_call"} | {"id": "c1", "type": "function"},
            ),
        ),
        (
            said("tool", json.dumps({"status": "OK", "message": "42", "time": "…"}), name="run", tool_call_id="c1"),
            "tool",
            "42",
            (),
        ),
    ],
)
def test_what_was_packed_into_a_message_is_unpacked(
    tmp_path: Path, message: dict[str, Any], role: str, text: str, parts: tuple[Any, ...]
) -> None:
    (found,) = messages(write(tmp_path / "m.json", [message]))
    assert (found.role, found.text, found.parts) == (role, text, parts)


def test_what_nobody_said_is_counted(tmp_path: Path) -> None:
    silent = [
        said("user", json.dumps({"type": "heartbeat", "reason": "…"})),
        said("user", json.dumps({"type": "login", "last_login": "…"})),
        said("tool", json.dumps({"status": "OK", "message": "None"}), name="send_message"),
        {"message_type": "hidden_reasoning_message", "id": "x", "date": AT},
        {"message_type": "event_message", "id": "x", "date": AT, "event_type": "compaction"},
    ]
    path = write(tmp_path / "m.jsonl", "\n".join(map(json.dumps, silent)))
    assert messages(path) == []
    assert problems(path) == [
        "m.jsonl: Events of the server were passed over (1).",
        "m.jsonl: Heartbeats and logins were passed over (2).",
        "m.jsonl: Hidden thoughts were passed over (1).",
        "m.jsonl: Messages without content were passed over (1).",
    ]


def test_messages_of_the_interface_share_an_id_and_stay_apart(tmp_path: Path) -> None:
    id = f"message-{UUID}"
    listed = [
        {"id": id, "date": AT, "message_type": "reasoning_message", "reasoning": "Porto is in Portugal."},
        {"id": id, "date": AT, "message_type": "assistant_message", "content": "Nice!", "otid": "o"},
        {"id": id, "date": AT, "message_type": "tool_call_message", "tool_call": {"name": "run", "arguments": "{}"}},
        {"id": id, "date": AT, "message_type": "tool_return_message", "tool_return": "done", "status": "success"},
        {"id": id, "date": AT, "message_type": "summary_message", "summary": "They spoke of Porto."},
        {
            "id": id,
            "date": AT,
            "message_type": "user_message",
            "content": "I moved to Porto.",
            "conversation_id": "conv-1",
        },
    ]
    path = write(tmp_path / "messages.json", listed)
    assert sniff(path) == "letta"
    assert [(one.id.rpartition(":")[2], one.role, one.text, len(one.parts), one.session) for one in messages(path)] == [
        ("reasoning_message", "assistant", "", 1, None),
        ("assistant_message", "assistant", "Nice!", 0, None),
        ("tool_call_message", "assistant", "", 1, None),
        ("tool_return_message", "tool", "done", 0, None),
        ("summary_message", "assistant", "They spoke of Porto.", 0, None),
        ("user_message", "user", "I moved to Porto.", 0, "conv-1"),
    ]
    assert problems(path) == []


def test_passages_are_the_agent_s_own_and_lose_their_vectors(tmp_path: Path) -> None:
    passage = {
        "id": f"passage-{UUID}",
        "text": "Porto lies on the Douro.",
        "created_at": AT,
        "agent_id": f"agent-{UUID}",
        "archive_id": "archive-1",
        "tags": ["places"],
        "embedding": [0.1] * 8,
        "embedding_config": {"embedding_dim": 8},
        "metadata": {"source": "book"},
    }
    path = write(tmp_path / "passages.json", [passage, {**passage, "is_deleted": True}])
    assert sniff(path) == "letta"
    (found,) = messages(path)
    assert (found.id, found.scope, found.role) == (f"letta:passage-{UUID}", f"agent:agent-{UUID}", "assistant")
    assert found.metadata == {
        "kind": "passage",
        "archival": True,
        "tags": ["places"],
        "archive_id": "archive-1",
        "created_at": AT,
        "source": "book",
    }
    assert problems(path) == ["passages.json: Deleted passages were passed over (1)."]


def test_what_cannot_be_read_is_named_with_its_place(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.json",
        {"messages": [7, {"id": "x"}, said("user", "Hi", created_at="then")], "blocks": [{"value": "v"}], "x": 1},
    )
    assert [one.split(": ")[0] for one in problems(path)] == [
        "a.json",
        "a.json.messages[0]",
        "a.json.messages[1]",
        "a.json.messages[2].created_at",
        "a.json.blocks[0]",
    ]
    assert [one.text for one in messages(path)] == ["Hi"]
    slashed = agent_file(said("user", "Hi"))
    slashed["agents"][0]["name"] = "a/b"
    path = write(tmp_path / "b.af", slashed)
    assert [one.text for one in messages(path)] == ["Hello Max", "We are two."]
    refused = [one.split(": ")[0] for one in problems(path) if "The agent_id 'a/b' has a '/'" in one]
    assert refused == ["b.af.agents[0].messages[0]", "b.af.blocks[0]", "b.af.blocks[1]"]
