"""Making a backup of a data folder while it is served.

Each copy is of one moment; the server's own file is copied last, so it knows every tenant that is in the backup. Caches and
uploads are left out. What was written is read again before the backup gets its name.
"""

from __future__ import annotations

import io
import json
import os
import sqlite3
import tarfile
from datetime import datetime
from pathlib import Path

from mnemic._version import __version__
from mnemic.errors import NotAStore, ParameterError, StoreCorrupt
from mnemic.serve.archive import (
    MANIFEST,
    SAFE_NAME,
    TENANTS,
    Item,
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
_PAGES = 1024  # copied between two looks at the progress


def back_up(data: Path, target: Path, now: datetime, step: Step = lambda n: None) -> Manifest:
    """Write a data folder, which may be in use, to a new folder or .tar, .tar.gz. What it holds, once it is on disk.

    Raises ParameterError for a target that is there or cannot be, StoreCorrupt for a file that is damaged, and StoreFull.
    """
    sources = files_of(data)
    check_target(target)
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
    items = [item for name in sources if (item := _copied(data, name, draft / name, step))]
    made = Manifest(f"mnemic {__version__}", now.isoformat(), tuple(items))
    with os.fdopen(os.open(draft / MANIFEST, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
        out.write(_as_bytes(made))
    return made


def _into_tar(data: Path, sources: list[str], draft: Path, target: Path, now: datetime, step: Step) -> Manifest:
    items, mode = [], "w:gz" if target.name.lower().endswith(COMPRESSED) else "w"
    copy = draft.with_name(f"{draft.name}.file")
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        with tarfile.open(draft, mode) as tar:  # type: ignore[call-overload]
            for name in sources:
                if item := _copied(data, name, copy, step):
                    items.append(item)
                    with copy.open("rb") as content:
                        tar.addfile(_member(name, item.bytes, now), content)
                    copy.unlink()
            made = Manifest(f"mnemic {__version__}", now.isoformat(), tuple(items))
            said = _as_bytes(made)
            tar.addfile(_member(MANIFEST, len(said), now), io.BytesIO(said))
    finally:
        copy.unlink(missing_ok=True)
    return made


def _copied(data: Path, name: str, copy: Path, step: Step) -> Item | None:
    """A file's copy in the backup; None where its tenant was forgotten since it was listed."""
    if not (data / name).exists():
        return None
    episodes = copy_store(data / name, copy, step)
    with copy.open("rb") as content:
        digest, size = digest_of(content)
    return Item(name, size, digest, episodes)


def _member(name: str, size: int, now: datetime) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, int(now.timestamp()), 0o600
    return member


def _as_bytes(made: Manifest) -> bytes:
    return (json.dumps(made.to_dict(), indent=1) + "\n").encode()
