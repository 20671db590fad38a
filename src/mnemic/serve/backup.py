"""Making a backup of a data folder while it is served.

Each copy is of one moment; the server's own file is copied last, so it knows every tenant that is in the backup. Caches and
uploads are left out. A tenant's file that is damaged does not keep the others from being saved: the manifest names it. What
was written is read again before the backup gets its name.
"""

from __future__ import annotations

import io
import json
import os
import re
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from mnemic._version import __version__
from mnemic.errors import NotAStore, ParameterError, StoreCorrupt, StoreReadOnly, StoreTooNew
from mnemic.serve.archive import (
    MANIFEST,
    SAFE_NAME,
    TENANTS,
    Item,
    LeftOut,
    Manifest,
    Step,
    check_store,
    checked_manifest,
    digest_of,
    opened,
    verify,
)
from mnemic.serve.control import FILE as CONTROL_FILE
from mnemic.serve.drafts import drafted, sync, sync_tree
from mnemic.store.database import translated

COMPRESSED = (".tar.gz", ".tgz")
ARCHIVES = (".tar", *COMPRESSED)
_DAMAGED = (StoreCorrupt, NotAStore, StoreTooNew, StoreReadOnly)  # of one file; a full or busy disk is of all
_SUFFIX = re.compile(r"\.(?=[^.]*[A-Za-z])[A-Za-z0-9]+")  # of a kind of file, and not of a date or a version
_PAGES = 1024  # copied between two looks at the progress


def back_up(data: Path, target: Path, now: datetime, step: Step = lambda n: None) -> Manifest:
    """Write a data folder, which may be in use, to a new folder or .tar, .tar.gz. What it holds, once it is on disk.

    Tenants' files that are damaged are named in `left_out`. Raises ParameterError for a target that is there or cannot be,
    StoreCorrupt where the server's own file is damaged, and StoreFull.
    """
    sources = files_of(data)
    check_target(target)
    check_kind(target)
    if target.resolve().is_relative_to(data.resolve()):
        raise ParameterError(f"{target} lies in the folder that is backed up. Give a place outside of {data}.")
    with drafted(target) as draft:
        if target.name.lower().endswith(ARCHIVES):
            made = _into_tar(data, sources, draft, target, now, step)
        else:
            made = _into_folder(data, sources, draft, now, step)
        sync_tree(draft)
        with opened(draft) as backup:
            found = checked_manifest(backup)
            if found != made:
                raise StoreCorrupt(f"The backup {target} does not read as it was written. Check the disk; try again.")
            verify(backup, found, target, step)
        draft.rename(target)
    sync(target.parent)
    return made


def copy_file(source: Path, target: Path, step: Step = lambda n: None) -> int:
    """Write a memory's file, which may be in use, to a new file, and check it; its episodes, once it is on disk.

    Raises ParameterError for a target that is there, NotAStore for what is no memory, StoreCorrupt, StoreFull.
    """
    check_target(target)
    with drafted(target) as draft:
        episodes = copy_store(source, draft, step)
        if episodes is None:
            raise NotAStore(f"{source} is a server's own file and no memory. Back up its folder with --data.")
        draft.rename(target)
    sync(target.parent)
    return episodes


def check_target(target: Path) -> None:
    """Raise ParameterError where nothing new can be written."""
    if target.exists() or target.is_symlink():
        raise ParameterError(f"{target} is there already, and a backup overwrites nothing. Give a new name.")
    if not target.parent.is_dir():
        raise ParameterError(f"The folder {target.parent} does not exist. Make it first.")


def check_kind(target: Path) -> None:
    """Raise ParameterError for a name that promises another kind of file than is written."""
    if _SUFFIX.fullmatch(target.suffix) and not target.name.lower().endswith(ARCHIVES):
        raise ParameterError(
            f"{target} ends in {target.suffix}, and no backup of that kind is made. Give a name in {', '.join(ARCHIVES)}, or "
            "one without a suffix, for a folder."
        )


def files_of(data: Path) -> list[str]:
    """What a data folder's backup holds: the files of tenants, and the server's own, last. Raises ParameterError."""
    if not (data / CONTROL_FILE).is_file():
        raise ParameterError(
            f"{data} is no server's folder: it has no {CONTROL_FILE}. Name the folder of `mnemic serve` with --data, or a "
            "memory's file with --db."
        )
    tenants = sorted(f"{TENANTS}/{one.name}" for one in (data / TENANTS).glob("*.db"))
    if odd := [one for one in tenants if not SAFE_NAME.fullmatch(one)]:
        raise ParameterError(f"{data / odd[0]} is no tenant's file. Move it elsewhere, then back up again.")
    return [*tenants, CONTROL_FILE]


def copy_store(source: Path, target: Path, step: Step = lambda n: None) -> int | None:
    """A consistent, checked copy of a database in use, as one file that is on disk; its episodes, for a memory.

    Raises NotAStore, StoreCorrupt, StoreFull, StoreBusy.
    """
    try:
        reading = sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=30.0)
        try:
            # one state for all steps: without it a busy writer would make the copy begin again and again
            reading.execute("BEGIN")
            reading.execute("SELECT count(*) FROM sqlite_master").fetchone()
            _copy(reading, target, step)
        finally:
            reading.close()
        episodes = check_store(target)
    except sqlite3.Error as error:
        raise translated(error, source) from error
    with target.open("rb+") as copy:
        os.fsync(copy.fileno())
    return episodes


def _copy(reading: sqlite3.Connection, target: Path, step: Step) -> None:
    page_bytes = reading.execute("PRAGMA page_size").fetchone()[0]
    before = None

    def progress(status: int, remaining: int, total: int) -> None:
        nonlocal before
        step(((total if before is None else before) - remaining) * page_bytes)
        before = remaining

    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    copy = sqlite3.connect(target)
    try:
        reading.backup(copy, pages=_PAGES, progress=progress, sleep=0)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, with no log beside it
    finally:
        copy.close()


def _into_folder(data: Path, sources: list[str], draft: Path, now: datetime, step: Step) -> Manifest:
    draft.mkdir(mode=0o700)
    (draft / TENANTS).mkdir(mode=0o700)
    copied = _Copied()
    for _ in copied.each(data, sources, lambda name: draft / name, step):
        pass
    made = copied.manifest(now)
    with os.fdopen(os.open(draft / MANIFEST, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
        out.write(_as_bytes(made))
    return made


def _into_tar(data: Path, sources: list[str], draft: Path, target: Path, now: datetime, step: Step) -> Manifest:
    mode = "w:gz" if target.name.lower().endswith(COMPRESSED) else "w"
    copy = draft.with_name(f"{draft.name}.file")
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    copied = _Copied()
    try:
        with tarfile.open(draft, mode) as tar:  # type: ignore[call-overload]
            for item in copied.each(data, sources, lambda _: copy, step):
                with copy.open("rb") as content:
                    tar.addfile(_member(item.path, item.bytes, now), content)
                copy.unlink()
            made = copied.manifest(now)
            said = _as_bytes(made)
            tar.addfile(_member(MANIFEST, len(said), now), io.BytesIO(said))
    finally:
        copy.unlink(missing_ok=True)
    return made


class _Copied:
    """What was copied so far, and what could not be."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._left_out: list[LeftOut] = []

    def each(self, data: Path, sources: list[str], place: Callable[[str], Path], step: Step) -> Iterator[Item]:
        """Copy each file to its place, and yield it while the copy is there."""
        for name in sources:
            copy = place(name)
            if not (data / name).exists():  # its tenant was forgotten since it was listed
                continue
            try:
                episodes = copy_store(data / name, copy, step)
            except _DAMAGED as error:
                copy.unlink(missing_ok=True)
                if name == CONTROL_FILE:
                    raise
                self._left_out.append(LeftOut(name, type(error).__name__))
                continue
            with copy.open("rb") as content:
                digest, size = digest_of(content)
            self._items.append(Item(name, size, digest, episodes))
            yield self._items[-1]

    def manifest(self, now: datetime) -> Manifest:
        """What the backup says of itself."""
        return Manifest(f"mnemic {__version__}", now.isoformat(), tuple(self._items), tuple(self._left_out))


def _member(name: str, size: int, now: datetime) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, int(now.timestamp()), 0o600
    return member


def _as_bytes(made: Manifest) -> bytes:
    return (json.dumps(made.to_dict(), indent=1) + "\n").encode()
