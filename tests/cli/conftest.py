"""A command line with a memory of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mnemic.cli.main import app

Run = Callable[..., Any]
AsJson = Callable[..., Any]


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of a memory that is not there yet; all commands of the test use it."""
    path = tmp_path / "agent.db"
    for name in ("MNEMIC_SCOPE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MNEMIC_DB", str(path))
    monkeypatch.setenv("MNEMIC_EMBEDDER", "hashing")
    monkeypatch.chdir(tmp_path)
    return path


@pytest.fixture
def run(db: Path) -> Run:
    """Runs a command in this process; checks its exit code."""

    def call(*words: str, code: int = 0, stdin: str | None = None) -> Any:
        result = CliRunner().invoke(app, list(words), input=stdin)
        assert result.exit_code == code, (
            f"{words}: {result.exit_code}, not {code}: {result.output} {result.exception!r}"
        )
        return result

    return call


@pytest.fixture
def as_json(run: Run) -> AsJson:
    """Runs a command with --json and gives what it printed on standard output, parsed."""

    def call(*words: str, code: int = 0, stdin: str | None = None) -> Any:
        return json.loads(run(*words, "--json", code=code, stdin=stdin).stdout)

    return call


@pytest.fixture
def story(run: Run) -> None:
    """Three episodes of two people."""
    run("add", "I moved to Porto in March.", "--name", "Mara", "--id", "m1", "--session", "one", "--at", "2024-03-10")
    run("add", "I bought a telescope.", "--name", "Tobias", "--id", "t1", "--session", "one", "-m", "topic=sky")
    run("add", "The door code is 8264.", "--name", "Mara", "--id", "m2", "--session", "two")
