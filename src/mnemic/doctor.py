"""What may be wrong with a memory's file, its embedder and its machine, line by line, each with what to do.

The file is only read, and need not open: a damaged one is exactly what this is for. No endpoint is called.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sqlite3
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from mnemic._version import __version__
from mnemic.errors import BudgetSpent, EmbedderMismatch, MnemicError, StoreCorrupt, StoreReadOnly, SystemNotFound
from mnemic.memory.choose_model import LLM_KEY
from mnemic.models.minilm import MINILM_ID
from mnemic.models.open_llm import open_llm
from mnemic.models.resolve import open_embedder
from mnemic.models.weights import INSTALL_WEIGHTS, check_weights, find_weights
from mnemic.store import schema
from mnemic.store.contract import Failure
from mnemic.store.sqlite import SqliteStore
from mnemic.systems.contract import MemorySystem
from mnemic.systems.registry import system_class
from mnemic.text.counting import counted

Status = Literal["ok", "warn", "bad"]
LARGE_WAL = 64 * 2**20  # SQLite empties it at 4000 pages, 16 MB: several times that means a reader never lets go
LITTLE_SPACE, VERY_LITTLE_SPACE = 2**30, 100 * 2**20
_INDEX_MAGIC = b"MNEMIDX1"
_ASK_AGAIN = "memory.consolidate(retry_failed=True), or mnemic consolidate --retry-failed, asks again for"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    status: Status
    finding: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that was looked at."""

    path: str
    checks: tuple[Check, ...]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is bad; warnings may be there."""
        return all(check.status != "bad" for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {"path": self.path, "is_sound": self.is_sound, "checks": [asdict(check) for check in self.checks]}


def doctor(path: str | Path, embedder: str | None = None, llm: str | None = None) -> Diagnosis:
    """Look at the memory in the file `path`.

    embedder: the one it will be opened with, if it is not its own. llm: the model it will be opened with; None for $MNEMIC_LLM.
    """
    where = Path(path)
    return Diagnosis(str(where), (*_file(where, embedder, llm), *_machine(where)))


def _file(path: Path, embedder: str | None, llm: str | None) -> Iterator[Check]:
    if not path.is_file():
        there = "a folder" if path.is_dir() else "not there"
        yield Check("file", "bad", f"{path} is {there}", 'begin one with `mnemic add "…"`, or name another with --db')
        yield from _embedder(None, embedder)
        return
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        yield Check("file", "ok", f"{path}, {_size(path.stat().st_size)}, can be written")
    else:
        yield Check("file", "warn", f"{path} can only be read", "give yourself write access to the file and its folder")
    try:
        store = SqliteStore(path, read_only=True)
    except MnemicError as error:
        yield _trouble("opens", error)
        yield from _embedder(None, embedder)
        return
    try:
        yield Check("schema", "ok", f"version {schema.NEWEST}, the newest that Mnemic {__version__} knows")
        yield _integrity(path, store)
        yield from _stored(path, store, embedder)
        yield from _systems(store, llm)
        yield _write_ahead_log(path)
    except MnemicError as error:
        yield _trouble("reading", error)
    finally:
        store.close()


def _integrity(path: Path, store: SqliteStore) -> Check:
    try:
        wrong = store.integrity()
    except MnemicError as error:
        return _trouble("integrity", error)
    if not wrong:
        return Check("integrity", "ok", "SQLite's own check finds nothing wrong")
    return Check(
        "integrity",
        "bad",
        f"{len(wrong)} findings, first: {' '.join(wrong[0].split())}",
        f"copy {path.name} and {path.name}-wal away, then restore a backup, or save what can be read with `mnemic export`",
    )


def _stored(path: Path, store: SqliteStore, embedder: str | None) -> Iterator[Check]:
    stored = store.meta("embedder")
    yield from _embedder(stored, embedder)
    counts = store.counts()
    if counts["waiting_vectors"]:
        yield Check(
            "vectors",
            "warn",
            f"{counts['waiting_vectors']:,} of {counts['episodes']:,} episodes wait for theirs and are found by words only",
            "embed them with `mnemic reindex`",
        )
    else:
        yield Check("vectors", "ok", f"none of {counted(counts['episodes'], 'episode')} waits for one")
    yield _index_files(path)


def _systems(store: SqliteStore, llm: str | None) -> Iterator[Check]:
    """What attached systems could not do, have not done yet, and could not do here."""
    failures, attached = store.records.failures(), store.records.attached()
    yield from map(_failed, failures[:5])
    if len(failures) > 5:
        rest = [_failed(one) for one in failures[5:]]
        status: Status = "bad" if any(one.status == "bad" for one in rest) else "warn"
        yield Check("systems", status, f"{counted(len(rest), 'more failure')}", "mend the first ones first")
    if not failures:
        yield Check("systems", "ok", f"no failures; {', '.join(attached) or 'none attached'}")
    models = {system: str(given[LLM_KEY]) for system, given in attached.items() if LLM_KEY in given}
    yield from _models(models, llm)
    for system, n in store.answers.unusable().items():
        yield Check(
            "answers",
            "warn",
            f"{counted(n, 'prompt')} of {system} got no usable answer so far",
            f"{_ASK_AGAIN} what it went on without; what it still waits for is asked at the next consolidation",
        )
    for system in attached:
        yield from _behind(store, system, models.get(system))


def _failed(failure: Failure) -> Check:
    tried = f"in scope {failure.scope!r}, tried {counted(failure.attempts, 'time')}: {failure.error}"
    answer = str(failure.detail.get("answer", ""))
    came = f" The model's last answer began: {answer[:200]!r}" if answer else ""
    if failure.step not in ("observe", "consolidate"):
        what = f"{failure.system} went on without an answer to {failure.step} {tried}{came}"
        return Check("systems", "warn", what, f"{_ASK_AGAIN} it")
    what = f"{failure.system} stopped at {failure.step} {tried}{came}"
    if failure.error.startswith(f"{BudgetSpent.__name__}:"):
        remedy = "it goes on when the next day begins (UTC); or open the memory with a larger budget, and consolidate"
        return Check("budget", "warn", what, remedy)
    return Check("systems", "bad", what, "mend the cause; memory.consolidate() then goes on where it stopped")


def _models(wanted: dict[str, str], llm: str | None) -> Iterator[Check]:
    """Whether the models that systems are attached with are the one that is configured. Opening one sends nothing."""
    try:
        model = open_llm(llm)
    except MnemicError as error:
        yield Check("model", "warn", _line(error), "mend --llm, or $MNEMIC_LLM")
        return
    if model is not None:
        model.close()
        yield Check("model", "ok", f"{model.id} is configured")
    for system, id in wanted.items():
        if model is None or model.id != id:
            here = "none is" if model is None else f"{model.id} is"
            yield Check(
                "model",
                "warn",
                f"{system} is attached with the model {id}, and {here} configured here: it waits",
                "name that model with --llm or MNEMIC_LLM, or attach the system again, with another or with --llm none",
            )


def _behind(store: SqliteStore, system: str, model: str | None) -> Iterator[Check]:
    """How much of the log an attached system has not observed."""
    try:
        if system_class(system).observe is MemorySystem.observe:
            return  # it keeps no records
    except SystemNotFound as error:
        yield Check(
            "systems", "warn", _line(error), f"use the version of Mnemic that has it, or `mnemic detach {system}`"
        )
        return
    waiting = {scope: store.count(scope, after=store.records.cursor(system, scope)) for scope in store.scopes()}
    waiting = {scope: n for scope, n in waiting.items() if n}
    if not waiting:
        return
    total, most = sum(waiting.values()), max(waiting, key=lambda scope: (waiting[scope], scope))
    where = f" in {len(waiting):,} scopes, most in {most!r} ({waiting[most]:,})" if len(waiting) > 1 else ""
    told = f"{system} has not observed {counted(total, 'episode')}{where}"
    if model is None:
        yield Check("behind", "ok", f"{told}: it does when it is next asked, or at `mnemic consolidate`")
    else:
        yield Check("behind", "warn", told, f"`mnemic consolidate`, with the model {model}, lets it")


def _write_ahead_log(path: Path) -> Check:
    wal = path.with_name(path.name + "-wal")
    size = wal.stat().st_size if wal.is_file() else 0
    if size > LARGE_WAL:
        return Check(
            "write-ahead log",
            "warn",
            f"{_size(size)}: some process has been reading for a long time",
            "close long-lived readers; the next write empties it",
        )
    return Check("write-ahead log", "ok", _size(size))


def _embedder(stored: str | None, asked: str | None) -> Iterator[Check]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            opened = open_embedder(asked or "auto", stored_id=stored)
        folder = find_weights()
    except EmbedderMismatch as error:
        yield Check("embedder", "bad", _line(error), "mnemic reindex --embedder NAME")
        return
    except MnemicError as error:
        yield Check("embedder", "bad", _line(error))
        return
    if stored is not None and opened.id != stored:
        yield Check(
            "embedder",
            "bad",
            f"the store holds vectors of {stored}; {opened.id} was asked for",
            f"leave --embedder out, or embed everything again with `mnemic reindex --embedder {asked}`",
        )
    elif not opened.id.startswith(MINILM_ID):
        is_chosen = asked is not None or stored is not None
        meaning = getattr(opened, "is_semantic", True)
        yield Check(
            "embedder",
            "ok" if meaning or asked else "warn",
            f"{opened.id}" + ("" if meaning else ": recall is by spelling and words, not by meaning"),
            "" if meaning or asked else _to_meaning(folder is not None, is_chosen),
        )
    else:
        assert folder is not None, "MiniLM opened, so its weights were found"
        try:
            check_weights(folder)
        except MnemicError as error:
            yield Check("embedder", "bad", _line(error))
            return
        yield Check("embedder", "ok", f"{opened.id}, weights in {folder} have the right checksum")
        if _version("onnxruntime") is None:
            yield Check(
                "onnxruntime", "warn", "not installed: embedding runs on numpy, slower", "pip install 'mnemic[onnx]'"
            )


def _to_meaning(has_weights: bool, has_store: bool) -> str:
    reindex = "mnemic reindex --embedder minilm"
    if has_weights:
        return reindex if has_store else ""
    return f"{INSTALL_WEIGHTS}" + (f", then {reindex}" if has_store else "")


def _index_files(path: Path) -> Check:
    folder = path.with_name(path.name + ".index")
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    drafts = [file for file in files if file.name.endswith(".draft")]
    broken = [file for file in files if file not in drafts and not _has_checksum(file)]
    total = _size(sum(file.stat().st_size for file in files))
    if broken or drafts:
        return Check(
            "index files",
            "warn",
            f"{len(broken)} damaged, {len(drafts)} unfinished, of {len(files)} ({total}); they are ignored",
            f"delete the folder {folder} while nobody uses the memory: it is built again, nothing is lost",
        )
    return Check("index files", "ok", f"{len(files)}, {total}" if files else "none needed so far")


def _has_checksum(file: Path) -> bool:
    """Whether an index file is whole: it begins with the magic and ends with the CRC-32 of all before its last 8 bytes."""
    try:
        left = file.stat().st_size - 8
        check, is_first = 0, True
        with file.open("rb") as stream:
            while left > 0 and (block := stream.read(min(left, 1 << 20))):
                if is_first and not block.startswith(_INDEX_MAGIC):
                    return False
                is_first = False
                check = zlib.crc32(block, check)
                left -= len(block)
            return not is_first and int.from_bytes(stream.read(8), "little") == check
    except OSError:
        return False


def _machine(path: Path) -> Iterator[Check]:
    folder = next((one for one in (path.absolute().parent, *path.absolute().parents) if one.is_dir()), Path("/"))
    free = shutil.disk_usage(folder).free
    needed = path.stat().st_size if path.is_file() else 0  # a migration or a reindex may need the file's size again
    status: Status = "bad" if free < VERY_LITTLE_SPACE else "warn" if free < max(LITTLE_SPACE, needed) else "ok"
    remedy = "" if status == "ok" else f"free some space on the disk of {folder}"
    yield Check("disk", status, f"{_size(free)} free", remedy)
    parts = [
        f"mnemic {__version__}",
        f"python {platform.python_version()}",
        f"sqlite {sqlite3.sqlite_version}",
        f"numpy {_version('numpy')}",
        f"onnxruntime {_version('onnxruntime') or 'not installed'}",
    ]
    if sqlite3.sqlite_version_info < (3, 35):
        yield Check(
            "versions", "bad", ", ".join(parts), "Mnemic needs SQLite 3.35; use a Python built with a newer one"
        )
    else:
        yield Check("versions", "ok", ", ".join(parts))


def _trouble(name: str, error: MnemicError) -> Check:
    if isinstance(error, StoreCorrupt):
        remedy = "copy the file away first; then restore a backup, or save what can be read with `mnemic export`"
    else:
        remedy = "" if isinstance(error, StoreReadOnly) else "give the path of a memory with --db"
    return Check(name, "bad", _line(error), remedy)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _size(n_bytes: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000 or unit == "GB":
            break
        n_bytes /= 1000
    return f"{n_bytes:.0f} {unit}" if unit == "bytes" else f"{n_bytes:.1f} {unit}"
