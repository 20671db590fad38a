"""docs/cli.md mentions everything, and its examples name options that exist."""

import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mnemic.cli.main import app

DOCS = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")
COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
EXAMPLES = [line.strip() for line in DOCS.splitlines() if line.startswith("    ") and "mnemic " in line]


def test_the_commands_are_those_that_were_promised() -> None:
    promised = (
        "demo add import search context why-not list show forget export stats systems attach detach consolidate records "
        "reindex doctor audit backup restore serve keys mcp proxy compare bench"
    )
    assert sorted(promised.split()) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_its_section_and_an_example(command: str) -> None:
    assert f"\n### {command}\n" in DOCS
    assert any(f"mnemic {command}" in line for line in EXAMPLES)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_teaches_with_an_example(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"Example: mnemic {command}" in result.output
    assert "--json" in result.output


@pytest.mark.parametrize("line", EXAMPLES)
def test_an_examples_options_exist(line: str) -> None:
    words = shlex.split(line[line.index("mnemic ") :].split(" | ")[0].split(" > ")[0])
    command = typer.main.get_command(app).commands[words[1]]  # type: ignore[attr-defined]
    parts = [command, *getattr(command, "commands", {}).values()]
    known = {name for part in parts for one in part.params for name in one.opts}
    used = {word for word in words[2:] if re.fullmatch(r"--?[a-z][a-z-]*", word)}
    assert used <= known
