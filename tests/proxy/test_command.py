"""`mnemic proxy`: its settings, what it refuses, and a real one from its start to its end."""

from __future__ import annotations

import importlib.util
import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("httpx")
pytest.importorskip("uvicorn")
pytest.importorskip("openai")

import openai
import typer
from typer.testing import CliRunner

from mnemic import Memory
from mnemic.cli.main import Commands
from mnemic.cli.proxy import COMMANDS, KEY_VARIABLE

from .scripted_llm import ScriptedLLM

KEY = "a-key-for-this-proxy"
app = typer.Typer(cls=Commands)
for command in COMMANDS:
    app.command(command.__name__)(command)


@app.callback()
def together() -> None:
    """A command line with this command alone, below its name."""


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting from outside."""
    for name in (
        "OPENAI_BASE_URL",
        "OPENAI_API_KEY",
        "MNEMIC_DB",
        "MNEMIC_SCOPE",
        "MNEMIC_EMBEDDER",
        KEY_VARIABLE,
        "COLUMNS",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def run(*words: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["proxy", *words])
    assert result.exit_code == code, result.output
    return result


def test_json_prints_the_settings_without_secrets_and_starts_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-ours-123456")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1")
    (tmp_path / "key").write_text(f"{KEY}\n")
    printed = run("--json", "--host", "0.0.0.0", "--api-key-file", "key", "--scope", "acme", "--no-recall").stdout
    found = json.loads(printed)
    assert found["listen"] == "http://0.0.0.0:8377/v1"
    assert (found["upstream"], found["scope"]) == ("http://127.0.0.1:11434/v1", "acme")
    assert (found["has_proxy_key"], found["has_upstream_key"]) == (True, True)
    assert (found["is_recalling"], found["is_remembering"], found["budget_tokens"]) == (False, True, 1000)
    assert KEY not in printed
    assert "sk-ours" not in printed
    assert list(tmp_path.iterdir()) == [tmp_path / "key"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host", "0.0.0.0"], "--api-key-file"),
        (["--host", "::"], "lets other machines in"),
        (["--upstream", "http://localhost:8377/v1"], "is this proxy itself"),
        (["--upstream", "localhost"], "no address"),
        (["--budget", "1"], "100 or more"),
        (["--scope", "../x"], "segment"),
        (["--api-key-file", "not-there"], "not-there"),
        (["--api-key-file", "empty"], "holds no key"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(words: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text(" \n")
    assert said in run(*words, "--json", code=2).stderr
    assert not (tmp_path / "mnemic.db").exists()


def test_a_port_in_use_is_said_and_nothing_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = run("--port", str(port), code=2).stderr
    (tmp_path / "key").write_text(KEY)
    assert f"Port {port} of 127.0.0.1 is in use. Stop what listens there, or give another with --port." in told
    told = run("--host", "192.0.2.1", "--api-key-file", "key", code=2).stderr
    assert "cannot be listened on" in told
    assert not (tmp_path / "mnemic.db").exists()


def test_a_key_in_the_environment_lets_it_listen_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    assert json.loads(run("--host", "0.0.0.0", "--json").stdout)["has_proxy_key"] is True


@pytest.mark.parametrize("package", ["uvicorn", "httpx"])
def test_without_the_extra_it_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package: str
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == package else find(name, *rest))
    assert 'pip install "mnemic[server]"' in run(code=3).stderr
    assert not (tmp_path / "mnemic.db").exists()


def test_the_help_teaches_with_an_example() -> None:
    assert "Example: mnemic proxy" in run("--help").output


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_real_one_listens_remembers_and_ends_when_it_is_told_to(tmp_path: Path) -> None:
    with ScriptedLLM() as llm:
        program = (
            "import typer; from mnemic.cli.main import Commands; from mnemic.cli.proxy import proxy\n"
            "app = typer.Typer(cls=Commands, pretty_exceptions_enable=False); app.command()(proxy)\n"
            "app.callback()(lambda: None); app()"
        )
        words = ["proxy", "--upstream", llm.base_url, "--port", "0", "--db", "agent.db", "--embedder", "hashing"]
        process = subprocess.Popen(
            [sys.executable, "-c", program, *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        try:
            told = process.stderr.readline()
            place = re.search(r"http://127\.0\.0\.1:\d+/v1", told)
            assert place, told
            with openai.OpenAI(base_url=place[0], api_key="client-key", max_retries=5) as client:
                answer = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hello!"}])
            assert answer.choices[0].message.content == "Yes."
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
            assert process.stderr.read() == ""
        finally:
            process.kill()
            process.wait()
            process.stderr.close()
    with Memory.open(tmp_path / "agent.db") as memory:
        assert [one.text for one in memory.list()] == ["Hello!", "Yes."]
