"""A virtual environment for each memory: made once, kept, with pinned packages and nothing of anyone else's.

pip stays outside (`pip --python`), so that what is counted in an environment is the memory's own.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
INSTALL_S = 1800

# Nobody is told that they are measured, and nothing is downloaded. README.md says which variable is whose.
QUIET = {
    "ANONYMIZED_TELEMETRY": "False",
    "MEM0_TELEMETRY": "False",
    "LANGSMITH_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "OTEL_SDK_DISABLED": "true",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class Peer:
    """One memory: what to install, which file drives it, in which modes."""

    id: str
    title: str
    requirements: tuple[str, ...]  # pinned; the first is the memory itself
    script: str
    modes: tuple[str, ...]
    imports: str  # what a user's first line is
    needs_extensions: bool = False  # of sqlite3


MNEMIC = Peer(
    "mnemic",
    "Mnemic",
    ("mnemic",),
    "with_mnemic.py",
    ("default", "line", "bm25", "dense"),
    "from mnemic import Memory",
)
PEERS = (
    Peer("mem0", "mem0", ("mem0ai==2.2.1",), "with_mem0.py", ("default",), "from mem0 import Memory"),
    Peer(
        "mem0-keywords",
        "mem0 with BM25",
        ("mem0ai==2.2.1", "fastembed==0.9.1"),
        "with_mem0.py",
        ("keywords",),
        "from mem0 import Memory",
    ),
    Peer("chromadb", "Chroma", ("chromadb==1.5.9",), "with_chromadb.py", ("default",), "import chromadb"),
    Peer(
        "langgraph",
        "LangGraph",
        # InMemoryStore's documentation asks for numpy
        ("langgraph==1.2.22", "langgraph-checkpoint-sqlite==3.1.2", "sqlite-vec==0.1.9", "numpy==2.4.6"),
        "with_langgraph.py",
        ("sqlite", "in-process"),
        "from langgraph.store.sqlite import SqliteStore",
        needs_extensions=True,
    ),
    Peer(
        "llamaindex",
        "LlamaIndex",
        ("llama-index-core==0.14.25",),
        "with_llamaindex.py",
        ("default",),
        "from llama_index.core import VectorStoreIndex",
    ),
    Peer(
        "txtai",
        "txtai",
        ("txtai==9.14.0", "torch==2.13.0"),
        "with_txtai.py",
        ("default",),
        "from txtai import Embeddings",
    ),
)


class NotInstalled(Exception):
    """An environment could not be made; the message says why."""


def interpreter(wanted: Path | None) -> Path:
    """The Python of every environment: the one given, else the first at hand whose sqlite3 loads extensions, else ours."""
    if wanted is not None:
        return wanted
    names = [sys.executable, "/usr/bin/python3", *(f"python3.{minor}" for minor in (14, 13, 12, 11))]
    found = [Path(place) for name in names if (place := shutil.which(name))]
    return next((one for one in found if loads_extensions(one) and is_recent(one)), Path(sys.executable))


def loads_extensions(python: Path) -> bool:
    """Whether its sqlite3 can load sqlite-vec."""
    return says(python, "import sqlite3; print(hasattr(sqlite3.Connection, 'enable_load_extension'))") == "True"


def is_recent(python: Path) -> bool:
    return says(python, "import sys; print(sys.version_info >= (3, 11))") == "True"


def prepare(peer: Peer, folder: Path, python: Path) -> Path:
    """The interpreter of the peer's environment in `folder`/venv, made where it is not there. Raises NotInstalled."""
    if peer.needs_extensions and not loads_extensions(python):
        raise NotInstalled(f"the sqlite3 of {python} loads no extensions; give another --python")
    venv, stamp = folder / "venv", folder / "installed.json"
    inside = venv / "bin" / "python"
    wanted = {"python": says(python, "import sys; print(sys.version)"), "requirements": _stamped(peer)}
    if stamp.exists() and json.loads(stamp.read_text()) == wanted:
        return inside
    stamp.unlink(missing_ok=True)
    if not inside.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _run([str(python), "-m", "venv", "--without-pip", str(venv)])
    ours = [str(REPOSITORY)] if peer is MNEMIC else list(peer.requirements)
    install = [sys.executable, "-m", "pip", "--python", str(inside), "--disable-pip-version-check", "-q", "install"]
    _run([*install, *ours])
    if peer is MNEMIC:  # the version has not changed, the code may have
        _run([*install, "--force-reinstall", "--no-deps", *ours])
    stamp.write_text(json.dumps(wanted))
    return inside


def describe(peer: Peer, python: Path) -> dict[str, Any]:
    """What an environment holds: packages with versions, megabytes, and the seconds that the first import takes."""
    code = (
        "import importlib.metadata as m, json, sysconfig; "
        "print(json.dumps([sysconfig.get_path('purelib'), sorted({(d.name, d.version) for d in m.distributions()})]))"
    )
    place, packages = json.loads(says(python, code))
    versions = {str(name): str(version) for name, version in packages}
    return {
        "packages": versions,
        "versions": {name: versions.get(name, "?") for name in (part.split("==")[0] for part in peer.requirements)},
        "installed_bytes": sum(file.lstat().st_size for file in Path(place).rglob("*") if _is_installed(file)),
        "import_s": import_seconds(peer, python),
        "import_rss_bytes": import_bytes(peer, python),
    }


def import_seconds(peer: Peer, python: Path, runs: int = 5) -> float:
    """The median seconds that the first line of a user takes, beyond an empty program; bytecode is there already."""

    def took(code: str) -> float:
        began = time.perf_counter()
        subprocess.run([str(python), "-c", code], check=True, capture_output=True, env=quiet_environment())
        return time.perf_counter() - began

    took(peer.imports)
    bare, imported = zip(*((took("pass"), took(peer.imports)) for _ in range(runs)), strict=True)
    return float(statistics.median(imported) - statistics.median(bare))


def import_bytes(peer: Peer, python: Path) -> int:
    """How much more memory a process takes that did it; 0 where /proc is not there."""
    resident = "import os; print(int(open('/proc/self/statm').read().split()[1]) * os.sysconf('SC_PAGE_SIZE'))"
    bare, imported = (says(python, f"{line}\n{resident}") for line in ("pass", peer.imports))
    return int(imported) - int(bare) if bare and imported else 0


def quiet_environment(home: Path | None = None) -> dict[str, str]:
    """This process's environment with telemetry off; what a peer keeps beside its store goes into `home`."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR") if name in os.environ}
    places = {} if home is None else {"HOME": str(home), "MEM0_DIR": str(home / "mem0")}
    return kept | QUIET | places


def digest_of(*files: Path) -> str:
    """A name for the content of files."""
    digest = hashlib.blake2b(digest_size=8)
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def mnemic_digest() -> str:
    """A name for the code of Mnemic that figures here depend on."""
    root = REPOSITORY / "src" / "mnemic"
    return digest_of(
        *(file for file in sorted(root.rglob("*.py")) if file.relative_to(root).parts[0] not in ("bench", "cli"))
    )


def machine() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"


def _stamped(peer: Peer) -> list[str]:
    return [*peer.requirements, mnemic_digest()] if peer is MNEMIC else list(peer.requirements)


def _is_installed(file: Path) -> bool:
    return file.is_file() and not file.is_symlink() and "__pycache__" not in file.parts


def says(python: Path, code: str) -> str:
    """What a line of Python prints there."""
    done = subprocess.run(
        [str(python), "-c", code], capture_output=True, text=True, check=False, env=quiet_environment()
    )
    return done.stdout.strip()


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL_S)
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"installing took more than {INSTALL_S} s") from None
    if done.returncode:
        last = [entry for entry in done.stderr.strip().splitlines() if entry.strip()][-2:]
        raise NotInstalled("; ".join(last) or f"{command[0]} ended with {done.returncode}")
