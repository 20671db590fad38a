"""What a backup of a data folder is, and reading one without trusting it.

A backup is a folder, or one file (.tar, .tar.gz): a copy of each tenant's file and of `server.db`, and a manifest with the
size and SHA-256 of each. Files of any other name, links, and files that the manifest does not know make it no backup.
The manifest also names the tenants whose files were too damaged to be copied. `backup.py` writes backups, `restore.py`
brings them back.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from mnemic.errors import FormatError, NotAStore, ParameterError, StoreCorrupt
from mnemic.serve.control import APPLICATION_ID as CONTROL_ID
from mnemic.serve.control import FILE as CONTROL_FILE
from mnemic.store.database import translated
from mnemic.store.schema import APPLICATION_ID as MEMORY_ID

MANIFEST = "manifest.json"
FORMAT, VERSION = "mnemic-backup", 1
TENANTS = "tenants"
SAFE_NAME = re.compile(rf"{re.escape(CONTROL_FILE)}|{TENANTS}/[A-Za-z0-9%~_-][A-Za-z0-9%~_.-]{{0,200}}\.db")
_STEP = 2**20
_LARGEST_MANIFEST = 256 * 2**20
DAMAGE = (OSError, EOFError, tarfile.TarError, zlib.error)
Step = Callable[[int], None]  # told of bytes that are done


@dataclass(frozen=True, slots=True)
class Item:
    """One file of a backup."""

    path: str
    bytes: int
    sha256: str
    episodes: int | None = None  # None for the server's own file


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A tenant's file that could not be copied."""

    path: str
    reason: str  # the name of an error


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself."""

    made_by: str
    made_at: str
    files: tuple[Item, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(one.bytes for one in self.files)

    @property
    def episodes(self) -> int:
        """Of all tenants."""
        return sum(one.episodes or 0 for one in self.files)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        head = {"format": FORMAT, "version": VERSION, "made_by": self.made_by, "made_at": self.made_at}
        values = {**head, "files": [asdict(one) for one in self.files]}
        if self.left_out:
            values["left_out"] = [asdict(one) for one in self.left_out]
        return {**values, "sha256": hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()}


def check(backup: Path, step: Step = lambda n: None) -> Manifest:
    """Read all of a backup and compare it with its manifest. Raises FormatError and StoreCorrupt."""
    with opened(backup) as reader:
        found = checked_manifest(reader)
        verify(reader, found, backup, step)
    return found


class Reader(Protocol):
    """A backup that is open to read."""

    def names(self) -> list[str]: ...
    def open(self, name: str) -> IO[bytes]: ...


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        """Files; anything that is neither a file nor the folder of tenants is a name that no manifest has."""
        found = [one for one in self._folder.iterdir() if one.name != TENANTS]
        if (tenants := self._folder / TENANTS).is_symlink():
            found.append(tenants)
        elif tenants.is_dir():
            found += tenants.iterdir()
        return [
            one.relative_to(self._folder).as_posix() + ("" if one.is_file() and not one.is_symlink() else "/")
            for one in found
        ]

    def open(self, name: str) -> IO[bytes]:
        return (self._folder / name).open("rb")


class _Tar:
    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._members = tar.getmembers()
        self._files = {one.name: one for one in self._members if one.isreg()}

    def names(self) -> list[str]:
        return [one.name + ("" if one.isreg() else "/") for one in self._members]

    def open(self, name: str) -> IO[bytes]:
        content = self._tar.extractfile(self._files[name])
        assert content is not None
        return content


@contextmanager
def opened(backup: Path) -> Iterator[Reader]:
    if backup.is_dir():
        yield _Folder(backup)
        return
    if not backup.exists():
        raise ParameterError(f"There is no backup at {backup}. Give the folder or file that `mnemic backup` wrote.")
    try:
        tar = tarfile.open(backup, "r:*")  # noqa: SIM115
    except tarfile.ReadError as error:
        raise FormatError(f"{backup} is no backup: neither a folder, nor .tar or .tar.gz ({error}).") from error
    except DAMAGE as error:
        raise damaged(backup, f"it cannot be read: {error}") from error
    with tar:
        try:
            reader = _Tar(tar)
        except DAMAGE as error:
            raise damaged(backup, f"it cannot be read: {error}") from error
        yield reader


def checked_manifest(reader: Reader) -> Manifest:
    """The manifest, once it and the names in the backup agree and hold nothing but what a backup may."""
    names = reader.names()
    if MANIFEST not in names:
        raise FormatError(f"It holds no {MANIFEST}, so it is no backup of a server's folder, or only a part of one.")
    try:
        with reader.open(MANIFEST) as content:
            values = json.loads(content.read(_LARGEST_MANIFEST))
        if values["format"] != FORMAT:
            raise FormatError(f"Its {MANIFEST} is not that of a backup.")
        if values["version"] != VERSION:
            raise FormatError(
                f"It was written by {values['made_by']}, in version {values['version']} of the format; this Mnemic reads "
                f"{VERSION}. Upgrade with `pip install --upgrade mnemic`."
            )
        items = tuple(
            Item(str(one["path"]), int(one["bytes"]), str(one["sha256"]), _count(one["episodes"]))
            for one in values["files"]
        )
        left_out = tuple(LeftOut(str(one["path"]), str(one["reason"])) for one in values.get("left_out", ()))
        found = Manifest(str(values["made_by"]), str(values["made_at"]), items, left_out)
        is_whole = found.to_dict()["sha256"] == values["sha256"]
    except (*DAMAGE, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreCorrupt(f"The backup's {MANIFEST} cannot be read ({error}). Use another backup.") from error
    if not is_whole:
        raise StoreCorrupt(f"The backup's {MANIFEST} is not what was written. Use another backup.")
    paths = [one.path for one in found.files] + [one.path for one in found.left_out]
    if odd := [path for path in paths if not SAFE_NAME.fullmatch(path)]:
        raise StoreCorrupt(
            f"The backup names the file {odd[0][:120]!a}, which no backup holds. Nothing was written. Do not use it."
        )
    if len({path.lower() for path in paths}) != len(paths) or CONTROL_FILE not in paths:
        raise StoreCorrupt(
            "The backup names a file twice, or the server's own not at all. Nothing was written. Use another."
        )
    if len(set(names)) != len(names):
        raise StoreCorrupt("The backup holds a file twice. Nothing was written. Do not use it.")
    paths = [one.path for one in found.files]
    if missing := sorted(set(paths) - set(names)):
        raise StoreCorrupt(
            f"The backup lacks {missing[0]} and {len(missing) - 1} more. Nothing was written. Use another."
        )
    if extra := sorted(set(names) - {*paths, MANIFEST}):
        raise StoreCorrupt(
            f"The backup holds {extra[0][:120]!a}, of which its manifest does not know. Nothing was written. Do not use it."
        )
    return found


def verify(reader: Reader, found: Manifest, backup: Path, step: Step) -> None:
    for item in found.files:
        try:
            with reader.open(item.path) as content:
                digest, size = digest_of(content)
        except DAMAGE as error:
            raise damaged(backup, f"{item.path} cannot be read: {error}") from error
        if (digest, size) != (item.sha256, item.bytes):
            raise damaged(backup, f"{item.path} is not what was backed up")
        step(size)


def check_store(path: Path) -> int | None:
    """The episodes of a memory's file that nobody uses, None for a server's own. Raises NotAStore and StoreCorrupt."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        if application not in (MEMORY_ID, CONTROL_ID):
            raise NotAStore(f"{path} is no memory of Mnemic's. Nothing was changed.")
        said = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if said != "ok":
            raise StoreCorrupt(
                f"{path} is damaged ({said}). `mnemic doctor` says more of a memory's file; restore a backup, or save what can "
                "be read with `mnemic export`."
            )
        if application == CONTROL_ID:
            return None
        return int(connection.execute("SELECT count(*) FROM episodes").fetchone()[0])
    except sqlite3.Error as error:
        raise translated(error, path) from error
    finally:
        connection.close()


def damaged(backup: Path, what: str) -> StoreCorrupt:
    return StoreCorrupt(f"The backup {backup} is damaged: {what}. Nothing was restored. Use another backup.")


def digest_of(content: IO[bytes], out: IO[bytes] | None = None) -> tuple[str, int]:
    """SHA-256 and size of what can be read; written to `out` as well."""
    digest, size = hashlib.sha256(), 0
    while block := content.read(_STEP):
        digest.update(block)
        size += len(block)
        if out is not None:
            out.write(block)
    return digest.hexdigest(), size


def _count(value: Any) -> int | None:
    return None if value is None else int(value)
