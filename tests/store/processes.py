"""Other processes, for tests of what happens between them: short scripts that speak through lines of text."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent.parent
PRELUDE = """
import os, sys, signal, threading
from pathlib import Path
sys.path.insert(0, {tests!r})
from mnemic.errors import *
from mnemic.store.contract import Changes
from mnemic.store.sqlite import SqliteStore
from store.world import START, entry, episode, log_of, texts, vector

def say(*words):
    print(*words, flush=True)

def wait():
    return sys.stdin.readline().strip()

path = Path(sys.argv[1])
"""


def start(script: str, path: Path, *arguments: Any, **options: Any) -> subprocess.Popen[str]:
    """Run a script with the prelude's names in another process; it waits for `go` where it calls wait()."""
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE.format(tests=str(TESTS)) + script, str(path), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        **options,
    )


def go(process: subprocess.Popen[str]) -> None:
    """Let a script that waits go on."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def line(process: subprocess.Popen[str]) -> str:
    """What the script said next."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def run(script: str, path: Path, *arguments: Any, **options: Any) -> list[str]:
    """Run a script to its end; the lines that it said. A script that fails fails the test."""
    process = start(script, path, *arguments, **options)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    return said.splitlines()
