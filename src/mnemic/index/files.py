"""Index files: a cache beside the store, checked when read and thrown away when in doubt.

One folder for each index, with one file that holds all arrays behind a header, and its checksum at the end. Files are
written under another name and renamed, so that a reader never sees half of one. Whatever is missing, damaged, of
another version or another embedder is simply not there: the index is built from the store again.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MAGIC = b"MNEMIDX1"
_ALIGNED = 64


class IndexFiles:
    """The index files of one store."""

    def __init__(self, folder: Path, identity: str) -> None:
        self.folder = folder
        self._identity = identity  # store and embedder: files made for others are not for us

    def load(self, scope_ids: Sequence[int], vectors: int) -> dict[str, NDArray[Any]] | None:
        """The arrays of an index, or None when there is no sound file of it for this version of the vectors."""
        try:
            data = np.fromfile(self._path(scope_ids), np.uint8)
            return self._unpacked(data, scope_ids, vectors)
        except (OSError, ValueError, KeyError, TypeError, UnicodeDecodeError):
            return None

    def save(self, scope_ids: Sequence[int], vectors: int, arrays: dict[str, NDArray[Any]]) -> bool:
        """Write an index; False when the folder cannot be written, which costs time later and nothing else."""
        path = self._path(scope_ids)
        draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
        entries, parts, offset = [], [], 0
        for name, array in arrays.items():
            array = np.ascontiguousarray(array)
            entries.append([name, array.dtype.str, array.shape, offset])
            padded = -array.nbytes % _ALIGNED
            parts.append((array, padded))
            offset += array.nbytes + padded
        header = json.dumps(
            {"identity": self._identity, "vectors": vectors, "scopes": list(scope_ids), "arrays": entries}
        ).encode()
        header += b" " * (-(len(_MAGIC) + 8 + len(header)) % _ALIGNED)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                check = 0
                for piece in (_MAGIC, len(header).to_bytes(8, "little"), header):
                    check = zlib.crc32(piece, check)
                    file.write(piece)
                for array, padded in parts:
                    for block in (array.reshape(-1).view(np.uint8).data, bytes(padded)):
                        check = zlib.crc32(block, check)
                        file.write(block)
                file.write(check.to_bytes(8, "little"))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink()
            return False
        return True

    def drop(self, scope_ids: Sequence[int]) -> None:
        """Delete every index file in which one of the scopes has a part.

        Raises OSError when a file stays: the caller must know when something could not be forgotten.
        """
        gone = set(scope_ids)
        for path in self.folder.glob("*.index*") if self.folder.is_dir() else ():
            if path.name.endswith(".draft") or gone & self._scopes_of(path, gone):
                path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete all index files."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, scope_ids: Sequence[int]) -> Path:
        if len(scope_ids) == 1:
            return self.folder / f"{scope_ids[0]}.index"
        name = "-".join(map(str, scope_ids))
        return self.folder / f"many-{zlib.crc32(name.encode()):08x}-{len(scope_ids)}.index"

    @staticmethod
    def _scopes_of(path: Path, unsure: set[int]) -> set[int]:
        """The scopes of an index file; where it cannot be read, those that are asked about."""
        try:
            with path.open("rb") as file:
                if file.read(len(_MAGIC)) != _MAGIC:
                    return unsure
                header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            return set(header["scopes"])
        except (OSError, ValueError, KeyError, TypeError, MemoryError, OverflowError):
            return unsure

    def _unpacked(
        self, data: NDArray[np.uint8], scope_ids: Sequence[int], vectors: int
    ) -> dict[str, NDArray[Any]] | None:
        if len(data) < len(_MAGIC) + 16 or data[: len(_MAGIC)].tobytes() != _MAGIC:
            return None
        if zlib.crc32(data[:-8].data) != int.from_bytes(data[-8:].tobytes(), "little"):
            return None
        start = len(_MAGIC) + 8
        length = int.from_bytes(data[len(_MAGIC) : start].tobytes(), "little")
        header = json.loads(data[start : start + length].tobytes())
        if (header["identity"], header["vectors"], header["scopes"]) != (self._identity, vectors, list(scope_ids)):
            return None
        body = data[start + length : -8]
        arrays = {}
        for name, dtype, shape, offset in header["arrays"]:
            kind = np.dtype(dtype)
            size = int(np.prod(shape)) * kind.itemsize
            arrays[name] = body[offset : offset + size].view(kind).reshape(shape)
        return arrays
