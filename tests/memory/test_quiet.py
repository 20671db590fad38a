"""Nothing is written outside the given path, nothing is sent, and importing does nothing but define things."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mnemic

LIFE = """
import os, socket, sys
from pathlib import Path

def refused(*arguments, **named):
    raise AssertionError("the network was used")

socket.socket.connect = socket.socket.bind = socket.create_connection = socket.getaddrinfo = refused
socket.socket = refused

import mnemic.index.library
from mnemic import Memory

mnemic.index.library.WORTH_A_FILE = 5
for embedder in sys.argv[2:]:
    with Memory.open(sys.argv[1], embedder=embedder) as memory:
        alice = memory.scope("acme/alice")
        alice.add([f"tea number {at}" for at in range(20)], session="mon")
        alice.search("tea last March")
        alice.add(str(alice.context("tea")), role="assistant")
        alice.update(alice.list()[0].id, "coffee")
        memory.attach("rrf")
        memory.consolidate()
        alice.forget(alice.list()[3].id)
        memory.stats()
"""

IMPORTING = """
import builtins, json, os, socket, sys, threading

allowed = builtins.open
def watched(file, mode="r", *arguments, **named):
    if set(mode) & set("wax+"):
        raise AssertionError(f"{file} was opened to write")
    return allowed(file, mode, *arguments, **named)

def refused(*arguments, **named):
    raise AssertionError("not at import")

builtins.open = watched
os.mkdir = os.makedirs = socket.socket.connect = socket.getaddrinfo = refused
before = dict(os.environ), threading.active_count()
import logging, warnings
filters, handlers = list(warnings.filters), list(logging.root.handlers)
import mnemic
assert (dict(os.environ), threading.active_count()) == before
assert logging.root.handlers == handlers
print(json.dumps(sorted(set(sys.modules) & {"torch", "onnxruntime", "httpx", "transformers", "sentence_transformers",
                                            "rich", "typer", "dateparser", "sqlalchemy", "requests"})))
"""


def run(script: str, folder: Path, *arguments: str) -> str:
    """The output of a process whose home, working and temporary folders are three empty ones."""
    places = {name: folder / name for name in ("home", "cwd", "tmp")}
    for place in places.values():
        place.mkdir()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "MNEMIC_"))},
        "HOME": str(places["home"]),
        "TMPDIR": str(places["tmp"]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *arguments],
        cwd=places["cwd"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_a_whole_life_writes_only_the_file_and_its_index_folder_and_uses_no_network(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    assert run(LIFE, tmp_path, str(tmp_path / "given" / "memory.db"), "hashing") == ""
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert [name for name in written if not name.startswith("given/memory.db.index/")] == ["given/memory.db"]


def test_importing_does_nothing_but_define_things(tmp_path: Path) -> None:
    assert json.loads(run(IMPORTING, tmp_path)) == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_public_names_are_those_of_all_and_each_is_there() -> None:
    names: dict[str, object] = {}
    exec("from mnemic import *", names)
    del names["__builtins__"]
    assert sorted(names) == sorted(mnemic.__all__)
    assert mnemic.__all__ == sorted(mnemic.__all__, key=lambda name: (name.startswith("_"), name))


@pytest.mark.parametrize("module", ["mnemic.memory", "mnemic.systems", "mnemic.ops"])
def test_a_package_exports_what_it_says(module: str) -> None:
    package = __import__(module, fromlist=["x"])
    assert [name for name in getattr(package, "__all__", []) if not hasattr(package, name)] == []
