"""An embedder whose vectors are kept in a file, so that systems over the same texts wait for each text once."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnemic.models.embedder import Embedder, Kind
from mnemic.models.resolve import open_embedder


class KeptVectors:
    """The vectors of another embedder, each made once and then read from a SQLite file; float32, so as they were."""

    is_semantic = True

    def __init__(self, embedder: Embedder, path: Path) -> None:
        self.embedder = embedder
        self.id, self.dim = embedder.id, embedder.dim
        self.max_tokens = int(getattr(embedder, "max_tokens", 512))
        self.is_semantic = bool(getattr(embedder, "is_semantic", True))
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = OFF")
        self._file.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID")

    def embed(self, texts: Sequence[str], kind: Kind = "document") -> NDArray[np.float32]:
        """[n, dim] unit vectors."""
        keys = [self._key(text, kind) for text in texts]
        found = {key: vector for key in dict.fromkeys(keys) if (vector := self._kept(key)) is not None}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if missing:
            made = np.asarray(self.embedder.embed(list(missing.values()), kind), np.float32)
            found |= dict(zip(missing, made, strict=True))
            rows = [(key, vector.tobytes()) for key, vector in zip(missing, made, strict=True)]
            self._file.execute("BEGIN")
            self._file.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)
            self._file.execute("COMMIT")
        return np.stack([found[key] for key in keys]) if keys else np.zeros((0, self.dim), np.float32)

    def _kept(self, key: bytes) -> NDArray[np.float32] | None:
        row = self._file.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
        return None if row is None else np.frombuffer(row[0], np.float32)

    def _key(self, text: str, kind: Kind) -> bytes:
        content = f"{self.id}\x1f{kind}\x1f{text}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(content, digest_size=16).digest()


def kept_vectors(spec: str, work: Path) -> KeptVectors:
    """The embedder of a spec, its vectors kept below `work`."""
    return KeptVectors(open_embedder(spec), work / "vectors.db")
