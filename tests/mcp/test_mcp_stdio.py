"""The server as a process on standard input and output, as desktop clients start it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.client.client import Client

from mnemic import Memory
from mnemic.mcp.graph import KnowledgeGraph

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes and signals as POSIX has them")
Start = Callable[..., Any]


def reading(db: Path, scope: str) -> Memory:
    return Memory.open(db, embedder="hashing").scope(scope)


@pytest.mark.parametrize("mode", ["legacy", pytest.param("auto", marks=pytest.mark.slow)])
def test_what_one_run_remembers_the_next_one_knows(start: Start, tmp_path: Path, mode: str) -> None:
    db = tmp_path / "agent.db"

    async def main() -> Any:
        async with Client(start(db, "--scope", "alice"), mode=mode) as client:
            await client.call_tool("add_memory", {"text": "The ferry leaves at ten — Ærø 東京."})
        async with Client(start(db, "--scope", "alice"), mode=mode) as client:
            return await client.call_tool("search_memories", {"query": "When does the ferry leave?"})

    found = anyio.run(main)
    assert found.structured_content["results"][0]["memory"] == "The ferry leaves at ten — Ærø 東京."
    with reading(db, "alice") as memory:
        assert len(memory.list()) == 1


def test_two_clients_that_create_the_same_entities_at_once_make_them_once(start: Start, tmp_path: Path) -> None:
    db = tmp_path / "agent.db"
    made: list[str] = []

    async def one(kind: str) -> None:
        async with Client(start(db, "--tools", "reference"), mode="legacy") as client:
            for n in range(0, 20, 2):
                entities = [
                    {"name": f"E{n + at}", "entityType": kind, "observations": [f"of {kind}", "shared"]}
                    for at in (0, 1)
                ]
                result = await client.call_tool("create_entities", {"entities": entities})
                assert not result.is_error, result.content
                made.extend(f"{entity['name']} {kind}" for entity in result.structured_content["entities"])
                contents = [f"note {n}", f"{kind} {n}"]
                added = await client.call_tool(
                    "add_observations", {"observations": [{"entityName": "E0", "contents": contents}]}
                )
                assert not added.is_error, added.content

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(one, "cat")
            group.start_soon(one, "dog")

    anyio.run(main)
    with reading(db, "") as memory:
        graph = KnowledgeGraph(memory).read()
    assert sorted(made) == sorted(f"{entity.name} {entity.entity_type}" for entity in graph.entities)
    assert sorted(entity.name for entity in graph.entities) == sorted(f"E{n}" for n in range(20))
    for entity in graph.entities:
        assert entity.observations[:2] == (f"of {entity.entity_type}", "shared")
    notes = {f"{what} {n}" for what in ("note", "cat", "dog") for n in range(0, 20, 2)}
    assert set(graph.entities[[entity.name for entity in graph.entities].index("E0")].observations[2:]) == notes


def process(start: Start, db: Path, *words: str) -> subprocess.Popen[bytes]:
    how = start(db, *words)
    return subprocess.Popen(
        [how.command, *how.args], env=how.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def send(running: subprocess.Popen[bytes], method: str, params: dict[str, Any], id: int | None) -> Any:
    message = {"jsonrpc": "2.0", "method": method, "params": params} | ({} if id is None else {"id": id})
    assert running.stdin is not None
    assert running.stdout is not None
    running.stdin.write(json.dumps(message).encode() + b"\n")
    running.stdin.flush()
    return None if id is None else json.loads(running.stdout.readline())


def greet(running: subprocess.Popen[bytes]) -> None:
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    assert send(running, "initialize", hello, 1)["result"]["serverInfo"]["name"] == "mnemic"
    send(running, "notifications/initialized", {}, None)


def test_a_server_killed_between_calls_loses_nothing_that_was_acknowledged(start: Start, tmp_path: Path) -> None:
    db = tmp_path / "agent.db"
    acknowledged = []
    for round_ in range(2):
        with process(start, db, "--tools", "all") as running:
            greet(running)
            for n in range(2, 7):
                name = f"E{round_}-{n}"
                arguments = {"entities": [{"name": name, "entityType": "x", "observations": ["one"]}]}
                answer = send(running, "tools/call", {"name": "create_entities", "arguments": arguments}, n)
                assert answer["result"]["structuredContent"]["entities"][0]["name"] == name
                acknowledged.append(name)
            running.send_signal(signal.SIGKILL)
            running.wait(10)
    with reading(db, "") as memory:
        assert [entity.name for entity in KnowledgeGraph(memory).read().entities] == acknowledged


def test_nothing_but_protocol_is_on_standard_output_and_the_end_of_input_ends_it(start: Start, tmp_path: Path) -> None:
    with process(start, tmp_path / "agent.db") as running:
        greet(running)
        assert "result" in send(running, "tools/call", {"name": "recent", "arguments": {}}, 2)
        assert running.stdin is not None
        running.stdin.write(b"this is no message\n")
        running.stdin.flush()
        assert "result" in send(running, "tools/list", {}, 3)
        running.stdin.close()
        running.stdin = None
        rest, complaints = running.communicate(timeout=20)
    assert running.returncode == 0
    assert rest == b""
    assert b"Traceback" not in complaints


def test_an_interrupt_ends_it_though_no_line_comes(start: Start, tmp_path: Path) -> None:
    with process(start, tmp_path / "agent.db") as running:
        greet(running)
        running.send_signal(signal.SIGINT)
        assert running.wait(10) != 0


def test_half_a_character_gets_an_answer(start: Start, tmp_path: Path) -> None:
    with process(start, tmp_path / "agent.db", "--tools", "all") as running:
        greet(running)
        calls: list[tuple[str, dict[str, Any]]] = [
            ("add_memory", {"text": "cut \ud83d"}),
            ("search_memories", {"query": "\ud83d cut"}),
            ("delete_entities", {"entityNames": ["\ude00"]}),
            ("\ud83d", {}),
        ]
        for id, (name, arguments) in enumerate(calls, 2):
            assert send(running, "tools/call", {"name": name, "arguments": arguments}, id)["id"] == id
        running.kill()
    with reading(tmp_path / "agent.db", "") as memory:
        assert memory.list()[0].text == "cut \ufffd"


@pytest.mark.slow
def test_a_message_of_megabytes_arrives_whole(start: Start, tmp_path: Path) -> None:
    text = "long ünïcode " * 200_000
    with process(start, tmp_path / "agent.db") as running:
        greet(running)
        arguments = {"name": "add_memory", "arguments": {"text": text}}
        assert send(running, "tools/call", arguments, 2)["result"]["structuredContent"]["count"] == 1
        running.kill()
    with reading(tmp_path / "agent.db", "") as memory:
        assert memory.list()[0].text == text


def test_a_file_that_cannot_be_opened_ends_the_server_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "agent.db").write_bytes(b"no database at all" * 100)
    code = "from mnemic.mcp import serve_stdio; from mnemic import Memory; import sys; serve_stdio(lambda: Memory.open(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "agent.db"], input=b"", capture_output=True, timeout=30
    )
    assert done.returncode != 0
    assert done.stdout == b""
    assert b"NotAStore" in done.stderr
