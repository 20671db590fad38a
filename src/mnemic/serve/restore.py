"""Bringing a backup back.

All of a backup is read and checked before anything is written; then it is written beside the place where it goes, and
renamed. Nothing is overwritten.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mnemic.errors import NotAStore, ParameterError, StoreFull
from mnemic.serve.archive import (
    DAMAGE,
    TENANTS,
    Item,
    Manifest,
    Reader,
    Step,
    check,
    check_store,
    damaged,
    digest_of,
    opened,
)
from mnemic.serve.backup import copy_store
from mnemic.serve.control import FILE as CONTROL_FILE
from mnemic.serve.drafts import drafted, sync, sync_tree


def restore(backup: Path, data: Path, step: Step = lambda n: None) -> Manifest:
    """Write a backup's files into a data folder that is not there, or empty. What it held.

    Nothing is written before all of the backup was checked. Raises ParameterError where the folder holds something, StoreFull,
    FormatError and StoreCorrupt.
    """
    if data.is_symlink() or (data.exists() and (not data.is_dir() or any(data.iterdir()))):
        raise ParameterError(
            f"{data} holds something, and a restore overwrites nothing. Give a new folder, or move that one away first."
        )
    found = check(backup, step)
    into = data.absolute()
    is_mounted = into.exists() and os.path.ismount(into)  # a volume cannot be renamed over
    beside = into if is_mounted else into.parent
    if not beside.is_dir():
        raise ParameterError(f"The folder {beside} does not exist. Make it first.")
    if (free := shutil.disk_usage(beside).free) < found.bytes:
        raise StoreFull(
            f"The backup needs {found.bytes:,} bytes, and the disk under {beside} has {free:,}. Nothing was written. Free some "
            "space and try again."
        )
    with opened(backup) as reader, drafted(beside / (into.name or "data")) as draft:
        (draft / TENANTS).mkdir(mode=0o700, parents=True)
        draft.chmod(0o700)
        for item in found.files:
            _restore_one(reader, item, draft / item.path, backup)
            step(item.bytes)
        sync_tree(draft)
        if is_mounted:
            for name in (TENANTS, CONTROL_FILE):
                (draft / name).rename(into / name)
        else:
            if into.exists():
                into.rmdir()  # empty, or this fails
            draft.rename(into)
    sync(into.parent)
    return found


def restore_file(backup: Path, target: Path, step: Step = lambda n: None) -> int:
    """Write one memory's backup to a file that is not there; its episodes.

    Raises ParameterError where something is there, NotAStore and StoreCorrupt for what is no whole memory.
    """
    leftovers = [target.with_name(target.name + end) for end in ("", "-wal", "-shm", "-journal", ".index")]
    if there := next((one for one in leftovers if one.exists() or one.is_symlink()), None):
        raise ParameterError(
            f"{there} is there, and a restore overwrites nothing. Give a new name, or move it away first."
        )
    if not target.parent.is_dir():
        raise ParameterError(f"The folder {target.parent} does not exist. Make it first.")
    with drafted(target) as draft:
        episodes = copy_store(backup, draft, step)
        if episodes is None:
            raise NotAStore(f"{backup} is a server's own file and no memory. Restore the backup that it belongs to.")
        draft.rename(target)
    sync(target.parent)
    return episodes


def is_memory_file(path: Path) -> bool:
    """Whether this is a single SQLite file, and not a backup of a folder."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"


def _restore_one(reader: Reader, item: Item, target: Path, backup: Path) -> None:
    try:
        with (
            reader.open(item.path) as content,
            os.fdopen(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out,
        ):
            digest, _ = digest_of(content, out)
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk, not of the backup
        raise damaged(backup, f"{item.path} cannot be copied: {error}") from error
    if digest != item.sha256:
        raise damaged(backup, f"{item.path} changed while it was read")
    if (check_store(target) is None) != (item.path == CONTROL_FILE):
        raise damaged(backup, f"{item.path} is another kind of file than its name says")
