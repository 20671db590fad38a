"""The installed command as a process: exit codes, pipes, encodings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from mnemic import __version__

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and pipes as POSIX has them")
COMMAND = [sys.executable, "-c", "from mnemic.cli.main import run; run()"]


def mnemic(folder: Path, *words: str, stdin: bytes = b"", **variables: str) -> subprocess.CompletedProcess[bytes]:
    known = {key: value for key, value in os.environ.items() if not key.startswith("MNEMIC_")}
    environment = known | {"MNEMIC_EMBEDDER": "hashing", **variables}
    return subprocess.run([*COMMAND, *words], cwd=folder, input=stdin, env=environment, capture_output=True, timeout=60)


def test_the_default_file_is_mnemic_db_in_the_current_folder(tmp_path: Path) -> None:
    assert mnemic(tmp_path, "list").returncode == 3
    added = mnemic(tmp_path, "add", "-", stdin="Grüße aus Ærø".encode())
    assert added.returncode == 0, added.stderr
    assert (tmp_path / "mnemic.db").exists()
    assert "Grüße aus Ærø" in mnemic(tmp_path, "list").stdout.decode()


def test_an_error_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    failed = mnemic(tmp_path, "search", "x", "--db", "no/where.db")
    assert (failed.returncode, failed.stdout) == (3, b"")
    assert failed.stderr.count(b"\n") == 1
    assert b"Traceback" not in failed.stderr


def test_a_narrow_encoding_loses_characters_and_never_the_answer(tmp_path: Path) -> None:
    mnemic(tmp_path, "add", "naïve 東京")
    shown = mnemic(tmp_path, "list", PYTHONIOENCODING="latin-1", PYTHONUTF8="0")
    assert shown.returncode == 0, shown.stderr
    assert "naïve ??".encode("latin-1") in shown.stdout
    escaped = mnemic(tmp_path, "list", "--json", PYTHONIOENCODING="latin-1", PYTHONUTF8="0").stdout
    assert json.loads(escaped)["episodes"][0]["text"] == "naïve 東京"


@pytest.mark.parametrize("words", [("export", "-"), ("list", "--limit", "5000"), ("list", "--limit", "5000", "--json")])
def test_a_reader_that_leaves_early_is_no_error_message(tmp_path: Path, words: tuple[str, ...]) -> None:
    from mnemic import Memory

    with Memory.open(tmp_path / "mnemic.db", embedder="hashing") as memory:
        memory.add([f"Line {n} " + "long " * 40 for n in range(1500)])
    process = subprocess.Popen([*COMMAND, *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        process.stdout.close()  # before anything can be written: how much a kernel takes of a large write differs
        complaint = process.stderr.read()
    assert (process.returncode, complaint) == (141, b"")


def test_consolidate_shows_on_a_terminal_how_much_is_observed_and_nothing_in_a_pipe(tmp_path: Path) -> None:
    from mnemic import Memory

    with Memory.open(tmp_path / "mnemic.db", embedder="hashing") as memory:
        memory.add([f"Ann likes tea number {n}." for n in range(70)])
        memory.attach("mem0")
    copy = tmp_path / "copy.db"
    copy.write_bytes((tmp_path / "mnemic.db").read_bytes())
    piped = mnemic(tmp_path, "consolidate")
    assert (piped.stdout, piped.stderr) == (b"mem0: 70 episodes observed\n", b"")
    ours, theirs = os.openpty()
    words = [*COMMAND, "consolidate", "--db", str(copy), "--embedder", "hashing"]
    with subprocess.Popen(
        words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=theirs, env=os.environ | {"TERM": "xterm"}
    ) as process:
        os.close(theirs)
        drawn = b""
        with suppress(OSError):  # Linux's word for the end of a terminal
            while piece := os.read(ours, 65536):
                drawn += piece
        os.close(ours)
    assert process.returncode == 0
    assert b"Episodes observed" in drawn
    assert b"70/70" in drawn


def test_an_interrupt_is_exit_code_130(tmp_path: Path) -> None:
    script = "import os, signal, sys; sys.argv = ['mnemic', 'add', '-']\n"
    script += "sys.stdin = type('Stdin', (), {'isatty': lambda s: False, 'read': lambda s: os.kill(os.getpid(), signal.SIGINT)})()\n"
    script += "from mnemic.cli.main import run; run()"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, b"Interrupted.\n")


def test_help_imports_no_model_and_no_console(tmp_path: Path) -> None:
    script = "import sys; from mnemic.cli.main import app; print([one for one in ('onnxruntime', 'rich', 'torch', 'httpx') if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, timeout=60, check=True)
    assert done.stdout.strip() == b"[]"


def test_the_version_is_printed_whichever_way_the_command_is_called():
    for command in (
        [sys.executable, "-m", "mnemic", "--version"],
        [str(Path(sys.executable).with_name("mnemic")), "--version"],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, f"mnemic {__version__}\n")
