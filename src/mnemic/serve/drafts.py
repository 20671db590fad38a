"""Writing something beside its place, whole and on disk, before it gets its name."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mnemic.errors import StoreFull, StoreReadOnly


@contextmanager
def drafted(target: Path) -> Iterator[Path]:
    """Where something is written before it gets its name; what is left there at the end is removed."""
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield draft
    except OSError as error:
        if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
            raise StoreFull(
                f"The disk under {target.parent} is full. Nothing was kept. Free some space and try again."
            ) from error
        raise StoreReadOnly(
            f"{target} cannot be written ({error.strerror}). Check that you may write there."
        ) from error
    finally:
        if draft.is_dir():
            shutil.rmtree(draft)
        else:
            with suppress(FileNotFoundError):
                draft.unlink()


def sync_tree(path: Path) -> None:
    for one in [path, *path.rglob("*")] if path.is_dir() else [path]:
        sync(one)


def sync(path: Path) -> None:
    if path.is_dir() and os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
