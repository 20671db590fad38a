"""The reference set, as clients of the reference server call it: shapes, texts and silences."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnemic import Memory
from mnemic.errors import FormatError
from mnemic.mcp.graph import KnowledgeGraph
from mnemic.mcp.graph_file import import_graph, read_graph_file

Call = Callable[..., Any]
ALICE = {"name": "Alice", "entityType": "person", "observations": ["likes tea"]}
BOB = {"name": "Bob", "entityType": "person", "observations": []}
KNOWS = {"from": "Alice", "to": "Bob", "relationType": "knows"}


def test_the_nine_tools_answer_in_the_reference_shapes(call: Call) -> None:
    assert call("create_entities", entities=[ALICE, BOB]) == {"entities": [ALICE, BOB]}
    assert call("create_entities", entities=[ALICE]) == {"entities": []}
    assert call("create_relations", relations=[KNOWS, KNOWS]) == {"relations": [KNOWS]}
    assert call("create_relations", relations=[KNOWS]) == {"relations": []}
    added = call("add_observations", observations=[{"entityName": "Bob", "contents": ["tall", "tall"]}])
    assert added == {"results": [{"entityName": "Bob", "addedObservations": ["tall"]}]}
    bob = BOB | {"observations": ["tall"]}
    assert call("read_graph") == {"entities": [ALICE, bob], "relations": [KNOWS]}
    assert call("search_nodes", query="TALL") == {"entities": [bob], "relations": [KNOWS]}
    assert call("open_nodes", names=["Alice", "Zed"]) == {"entities": [ALICE], "relations": [KNOWS]}
    gone = call("delete_observations", deletions=[{"entityName": "Bob", "observations": ["tall"]}])
    assert gone == {"success": True, "message": "Deleted 1 observations."}
    assert call("delete_relations", relations=[KNOWS])["success"] is True
    assert call("delete_entities", entityNames=["Bob"])["success"] is True
    assert call("read_graph") == {"entities": [ALICE], "relations": []}


def test_what_is_not_there_is_deleted_in_silence(call: Call) -> None:
    for tool, arguments in (
        ("delete_entities", {"entityNames": ["Zed"]}),
        ("delete_observations", {"deletions": [{"entityName": "Zed", "observations": ["x"]}]}),
        ("delete_relations", {"relations": [KNOWS]}),
    ):
        assert call(tool, **arguments)["success"] is True


def test_an_observation_of_an_unknown_entity_is_an_error(call: Call) -> None:
    message = call("add_observations", observations=[{"entityName": "Zed", "contents": ["x"]}], error=True)
    assert "Zed" in message
    assert "create_entities" in message


def test_the_text_is_the_json_that_clients_parse(ask: Callable[..., Any]) -> None:
    made = ask(lambda client: client.call_tool("create_entities", {"entities": [ALICE]}))
    assert json.loads(made.content[0].text) == [ALICE]
    read = ask(lambda client: client.call_tool("read_graph", {}))
    assert json.loads(read.content[0].text) == read.structured_content == {"entities": [ALICE], "relations": []}
    assert len(read.content) == 1


def test_the_graph_and_the_memories_are_one_log(call: Call) -> None:
    call("create_entities", entities=[ALICE])
    assert call("search_memories", query="Who likes tea?")["results"][0]["memory"] == "Alice: likes tea"


def test_the_reference_servers_file_is_brought_in_once(alice: Memory, tmp_path: Path) -> None:
    file = tmp_path / "memory.jsonl"
    lines = [
        json.dumps({"type": "entity", **ALICE}),
        "",
        "not json",
        json.dumps({"type": "entity", **ALICE, "observations": ["plays chess"]}),
        json.dumps({"type": "entity", "name": "no type"}),
        json.dumps({"type": "relation", **KNOWS}),
        json.dumps(["neither"]),
    ]
    file.write_text("\n".join(lines), "utf-8")
    done = import_graph(alice, file)
    assert (done.entities, done.observations, done.relations) == (1, 2, 1)
    assert [problem.split(":")[0] for problem in done.problems] == [f"memory.jsonl, line {n}" for n in (3, 5, 7)]
    assert KnowledgeGraph(alice).read().to_dict() == {
        "entities": [ALICE | {"observations": ["likes tea", "plays chess"]}],
        "relations": [KNOWS],
    }
    assert import_graph(alice, file).to_dict() | {"problems": []} == {
        "entities": 0,
        "observations": 0,
        "relations": 0,
        "problems": [],
    }


def test_a_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "notes.md"
    file.write_text("# Notes\n", "utf-8")
    with pytest.raises(FormatError, match="mnemic import"):
        read_graph_file(file)
    (tmp_path / "empty.jsonl").write_text("", "utf-8")
    assert read_graph_file(tmp_path / "empty.jsonl")[0].to_dict() == {"entities": [], "relations": []}
