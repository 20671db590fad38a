"""The command `mnemic mcp`: what it prints, brings in and refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
import typer
from mcp.client.client import Client
from typer.testing import CliRunner

from mnemic import Memory
from mnemic.cli.main import Commands
from mnemic.cli.mcp import mcp
from mnemic.mcp.graph import KnowledgeGraph
from mnemic.mcp.toolsets import SETS

Run = Callable[..., Any]
LINE = {"type": "entity", "name": "Alice", "entityType": "person", "observations": ["likes tea"]}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command in this process, in an empty folder."""
    monkeypatch.setenv("MNEMIC_EMBEDDER", "hashing")
    monkeypatch.delenv("MNEMIC_DB", raising=False)
    monkeypatch.delenv("MNEMIC_SCOPE", raising=False)
    monkeypatch.chdir(tmp_path)
    app = typer.Typer(cls=Commands)
    app.command("mcp")(mcp)
    app.command("other")(lambda: None)

    def call(*words: str, code: int = 0) -> Any:
        result = CliRunner().invoke(app, ["mcp", *words], input="")
        assert result.exit_code == code, (result.output, result.exception)
        return result

    return call


@pytest.mark.parametrize("tools", ["default", "reference", "all"])
def test_json_prints_the_tools_and_makes_no_file(run: Run, tmp_path: Path, tools: Any) -> None:
    shown = json.loads(run("--tools", tools, "--json").stdout)
    assert shown == [tool.to_dict() for tool in SETS[tools]]
    reads = json.loads(run("--tools", tools, "--json", "--read-only").stdout)
    assert reads == [tool for tool in shown if tool["annotations"]["readOnlyHint"]]
    assert list(tmp_path.iterdir()) == []


def test_a_set_that_is_not_there_is_refused(run: Run, tmp_path: Path) -> None:
    assert "default, reference, all" in run("--tools", "some", code=2).output
    assert list(tmp_path.iterdir()) == []


def test_reading_alone_needs_a_file(run: Run, tmp_path: Path) -> None:
    assert "There is no memory" in run("--read-only", code=3).output
    assert list(tmp_path.iterdir()) == []


def test_the_reference_servers_file_is_imported_into_a_scope(run: Run, tmp_path: Path) -> None:
    (tmp_path / "memory.jsonl").write_text(json.dumps(LINE) + "\n", "utf-8")
    assert "Imported 1 entity, 1 observation" in run("--import-graph", "memory.jsonl", "--scope", "alice").output
    again = json.loads(run("--import-graph", "memory.jsonl", "--scope", "alice", "--json").stdout)
    assert again == {"entities": 0, "observations": 0, "relations": 0, "problems": []}
    with Memory.open(tmp_path / "mnemic.db", embedder="hashing") as memory:
        assert [one.name for one in KnowledgeGraph(memory.scope("alice")).read().entities] == ["Alice"]
    (tmp_path / "broken.jsonl").write_text(json.dumps(LINE) + "\nbroken\n", "utf-8")
    assert "broken.jsonl, line 2" in run("--import-graph", "broken.jsonl", code=1).output


def test_a_file_to_import_that_is_not_there_or_no_graph_makes_no_memory(run: Run, tmp_path: Path) -> None:
    run("--import-graph", "none.jsonl", code=2)
    (tmp_path / "notes.md").write_text("# Notes", "utf-8")
    run("--import-graph", "notes.md", code=2)
    assert not (tmp_path / "mnemic.db").exists()


def test_help_teaches_with_an_example(run: Run) -> None:
    assert "Example: mnemic mcp" in run("--help").output


def test_the_options_reach_the_server(start: Callable[..., Any], tmp_path: Path) -> None:
    db = tmp_path / "agent.db"
    with Memory.open(db, embedder="hashing") as memory:
        memory.scope("alice").add("hers")
        memory.scope("bob").add("his")
    before = db.read_bytes()

    async def main() -> Any:
        async with Client(start(db, "--scope", "bob", "--read-only", "--tools", "all")) as client:
            return await client.list_tools(), await client.call_tool("recent", {})

    listed, recent = anyio.run(main)
    assert {one.name for one in listed.tools} == {tool.name for tool in SETS["all"] if tool.verb == "read"}
    assert [one["memory"] for one in recent.structured_content["results"]] == ["his"]
    assert db.read_bytes() == before


def test_without_the_extra_the_error_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['mcp'] = None; sys.modules['mcp_types'] = None\n"
        "import mnemic.mcp\n"
        "from mnemic.errors import DependencyMissing\n"
        "try:\n    mnemic.mcp.build_server\n"
        "except DependencyMissing as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=dict(os.environ)
    )
    assert 'pip install "mnemic[mcp]"' in done.stdout, done.stderr


def test_the_protocol_is_imported_when_it_is_used_and_no_sooner(tmp_path: Path) -> None:
    code = "import sys, mnemic, mnemic.mcp, mnemic.mcp.graph, mnemic.cli.mcp; print('mcp' in sys.modules, 'mcp_types' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.strip() == "False False", done.stderr
