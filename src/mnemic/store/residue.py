"""What SQLite leaves of rows in the free part of a page, found and overwritten.

`secure_delete` overwrites a row where it stands, but not the copies that stay behind in a page when SQLite moves its rows
to a neighbour to balance a tree: in one of fifteen random logs a forgotten text was still in the file. Such a copy lies
between a page's list of cells and its first cell, a gap that the file format defines as unused. VACUUM would remove it by
writing the whole file anew, at 75 MB a second; overwriting the gaps alone costs one pass of reading.

The file is read and written past SQLite here, which is safe under three conditions that `Database.scrub` keeps: the write
lock is held and the write-ahead log is wholly in the file, so nobody writes to it; only gaps are written, and only in pages
whose cells all lie behind theirs; a commit follows, which makes every connection drop the pages that it has in mind.

POSIX drops all locks that a process holds on a file when it closes any descriptor of it. So a descriptor, once opened,
stays open until the last handle of this process on that file is closed.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_BLOCK_PAGES = 512
_LEAVES, _INTERIORS = (10, 13), (2, 5)  # b-tree pages by their first byte; index and table

_lock = threading.Lock()
_handles: dict[tuple[int, int], int] = {}  # how many handles of this process are open, by device and inode
_descriptors: dict[tuple[int, int], int] = {}


class RawFile:
    """The bytes of a database file that is open in SQLite at the same time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        status = path.stat()
        self._key = (status.st_dev, status.st_ino)
        with _lock:
            _handles[self._key] = _handles.get(self._key, 0) + 1

    def close(self) -> None:
        """Let go of the file; call it when the handle's connections are closed."""
        with _lock:
            _handles[self._key] -= 1
            if not _handles[self._key]:
                del _handles[self._key]
                if self._key in _descriptors:
                    os.close(_descriptors.pop(self._key))

    def blocks(self, size: int = 1 << 20) -> Iterator[bytes]:
        """All bytes, in pieces."""
        at = 0
        while block := _read(self._descriptor(), size, at):
            yield block
            at += len(block)

    def dirty_pages(self) -> list[int]:
        """The numbers, from 0, of the pages in whose gap something stands."""
        size = self._page_size()
        found: list[int] = []
        for first in range(0, os.fstat(self._descriptor()).st_size // size if size else 0, _BLOCK_PAGES):
            block = np.frombuffer(_read(self._descriptor(), size * _BLOCK_PAGES, first * size), np.uint8)
            pages = block[: len(block) // size * size].reshape(-1, size)
            found += [first + n for n, page in enumerate(pages) if page[_gap(page, is_first=first + n == 0)].any()]
        return found

    def overwrite(self, pages: list[int]) -> None:
        """Zero the gaps of these pages, and make sure it is on the disk."""
        size = self._page_size()
        for number in pages:
            page = np.frombuffer(_read(self._descriptor(), size, number * size), np.uint8)
            gap = _gap(page, is_first=number == 0)
            if gap.stop > gap.start:
                _write(self._descriptor(), bytes(gap.stop - gap.start), number * size + gap.start)
        os.fsync(self._descriptor())

    def _descriptor(self) -> int:
        with _lock:
            if self._key not in _descriptors:
                binary = getattr(os, "O_BINARY", 0)
                try:
                    _descriptors[self._key] = os.open(self._path, os.O_RDWR | binary)
                except PermissionError:  # enough to look for traces in a file that may only be read
                    _descriptors[self._key] = os.open(self._path, os.O_RDONLY | binary)
            return _descriptors[self._key]

    def _page_size(self) -> int:
        """Bytes of a page; 0 for a file whose pages are not plainly SQLite's own."""
        header = _read(self._descriptor(), 100, 0)
        if len(header) < 100 or header[:16] != b"SQLite format 3\0" or header[20]:
            return 0
        size = int.from_bytes(header[16:18], "big")
        return 65536 if size == 1 else size


def _read(descriptor: int, size: int, at: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(descriptor, size, at)
    with _lock:  # Windows has no pread
        os.lseek(descriptor, at, os.SEEK_SET)
        return os.read(descriptor, size)


def _write(descriptor: int, data: bytes, at: int) -> None:
    if hasattr(os, "pwrite"):
        os.pwrite(descriptor, data, at)
        return
    with _lock:
        os.lseek(descriptor, at, os.SEEK_SET)
        os.write(descriptor, data)


def _gap(page: NDArray[np.uint8], *, is_first: bool) -> slice:
    """Where a b-tree page is unused; nothing for any other page, and for one that is not as it should be."""
    start = 100 if is_first else 0
    kind = int(page[start])
    if kind not in _LEAVES and kind not in _INTERIORS:
        return slice(0, 0)
    n_cells, content = (int(page[start + at]) << 8 | int(page[start + at + 1]) for at in (3, 5))
    content = content or 65536
    cells = start + (8 if kind in _LEAVES else 12)
    gap = cells + 2 * n_cells
    if not gap <= content <= len(page):
        return slice(0, 0)
    pointers = page[cells:gap].reshape(-1, 2).astype(np.int64)
    if n_cells and int((pointers[:, 0] << 8 | pointers[:, 1]).min()) < content:
        return slice(0, 0)
    return slice(gap, content)
