"""The members of a .zip and the content of a .gz, unpacked as they are read and never to disk.

A counter stops at the bounds of `Limits` whatever the archive's directory says, so a bomb costs some time but neither
memory nor disk. The directory is measured before it is loaded. Of compressions only deflate is read: others unpack
a whole block at once, however large. Archives within archives are not opened.
"""

from __future__ import annotations

import gzip
import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from mnemic.errors import FormatError
from mnemic.formats.limits import Limits
from mnemic.formats.message import Problem, excerpt

DAMAGE = (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError)
_READ_BYTES = 1 << 16  # at most at once, so that the counter sees an excess early
_DIRECTORY_ENTRY_BYTES = 1024  # what a member may take in the directory on the average: its name and more
_END = struct.Struct("<4s4H2LH")  # the end of central directory record
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LONGEST_COMMENT = 1 << 16
_SEPARATOR = re.compile(r"[/\\]")
_ARCHIVE_NAME = re.compile(r".*\.(zip|gz|tgz|bz2|xz|zst|7z|rar|tar)", re.IGNORECASE)


@dataclass(slots=True)
class Allowance:
    """What one archive may still unpack."""

    left_bytes: int


def open_members(
    path: Path, wanted: re.Pattern[str], limits: Limits
) -> Iterator[tuple[str, io.BufferedReader] | Problem]:
    """The name and stream of each member whose name `wanted` matches whole, in the order of their names.

    Raises FormatError for a damaged archive, one with too many members, and one without such members.
    """
    try:
        check_directory(path, limits)
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError, struct.error) as error:
        raise FormatError(f"{path.name!r} is a damaged .zip: {error}. Download it again.") from error
    with archive:
        listed = archive.infolist()
        if len(listed) > limits.members:
            raise _too_many(path, limits)
        members = sorted((one for one in listed if wanted.fullmatch(one.filename)), key=lambda one: one.filename)
        if not members:
            packed = next((one.filename for one in listed if _ARCHIVE_NAME.fullmatch(one.filename)), None)
            hint = f"Unpack {excerpt(packed)!r} in it, and import that." if packed else "Is it another export?"
            raise FormatError(f"{path.name!r} holds no file named like {wanted.pattern}. {hint}")
        allowance = Allowance(limits.archive_bytes)
        for member in members:
            name = f"{path.name}/{excerpt(member.filename)}"
            if reason := refusal(member, limits):
                yield Problem(name, reason)
                continue
            try:
                inner = archive.open(member)
            except (*DAMAGE, RuntimeError, NotImplementedError) as error:  # encrypted; an unknown compression
                yield Problem(name, f"It cannot be unpacked: {error}. Unpack it with another tool and import that.")
                continue
            with inner, bounded(inner, member.compress_size, limits, allowance) as stream:
                yield f"{path.name}/{member.filename}", stream
            if allowance.left_bytes < 0:
                yield Problem(
                    path.name, "The members after this one were not read; unpack it yourself and import them."
                )
                return


def refusal(member: zipfile.ZipInfo, limits: Limits) -> str:
    """Why a member is not read; "" where nothing speaks against it.

    Nothing is ever written under these names. But ids are made of them, and what hides behind such a name is no export.
    """
    name = member.orig_filename
    if len(name) > limits.name_length:
        return f"Its name is longer than {limits.name_length} characters."
    steps = _SEPARATOR.split(name)
    is_absolute = steps[0] == "" or (len(steps[0]) == 2 and steps[0][1] == ":")
    if is_absolute or ".." in steps or any(ord(one) < 32 or one == "\x7f" for one in name):
        return (
            "Its name leads out of the archive or has control characters. Unpack it with another tool and import that."
        )
    if stat.S_ISLNK(member.external_attr >> 16):
        return "It is a symbolic link, which is not followed."
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "Its compression is not deflate. Unpack it with another tool and import that."
    return ""


def check_directory(path: Path, limits: Limits) -> None:
    """Refuse a directory too large to be loaded, before it is. Raises FormatError."""
    most_bytes = limits.members * _DIRECTORY_ENTRY_BYTES
    with path.open("rb") as file:
        start = max(0, file.seek(0, io.SEEK_END) - _END.size - _LONGEST_COMMENT)
        file.seek(start)
        tail = file.read()
        for found in re.finditer(rb"PK\x05\x06", tail):  # each of them, because readers differ in which they take
            at = found.start()
            if len(tail) - at < _END.size:
                continue
            directory_bytes = _END.unpack_from(tail, at)[5]
            if directory_bytes == 0xFFFFFFFF:
                directory_bytes = _directory64_bytes(file, start + at)
            if directory_bytes > most_bytes:
                raise _too_many(path, limits)


def _directory64_bytes(file: BinaryIO, at: int) -> int:
    """The directory's size by the record of large archives, which stands before the end record at `at`; 0 without one."""
    begin = at - _END64_LOCATOR.size - _END64.size
    if begin < 0:
        return 0
    file.seek(begin)
    content = file.read(_END64.size + 4)
    return int(_END64.unpack_from(content)[8]) if content.endswith(b"PK\x06\x07") else 0


@contextmanager
def bounded(
    inner: IO[bytes], packed_bytes: int, limits: Limits, allowance: Allowance | None = None
) -> Iterator[io.BufferedReader]:
    """A stream of what `inner` unpacks, up to the limits; damage and excess are raised as FormatError at each read."""
    raw = _Bounded(inner, packed_bytes, limits, allowance or Allowance(limits.archive_bytes))
    with io.BufferedReader(raw) as stream:
        yield cast(io.BufferedReader, stream)


def gzip_stream(file: BinaryIO) -> IO[bytes]:
    """What a .gz holds."""
    return cast(IO[bytes], gzip.open(file))


class _Bounded(io.RawIOBase):
    """Counts what passes."""

    def __init__(self, inner: IO[bytes], packed_bytes: int, limits: Limits, allowance: Allowance) -> None:
        self._inner = inner
        self._limits = limits
        self._allowance = allowance
        self._most_by_ratio = max(limits.ratio_free_bytes, packed_bytes * limits.ratio)
        self._read_bytes = 0
        self._failure: FormatError | None = None  # raised again at each later read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        if self._failure is not None:
            raise self._failure
        content = b""
        try:
            content = self._inner.read(min(len(buffer), _READ_BYTES))
        except DAMAGE as error:
            self._failure = FormatError(f"The archive is damaged from here on: {error}. Download it again.")
        self._read_bytes += len(content)
        self._allowance.left_bytes -= len(content)
        if self._read_bytes > self._limits.unpacked_bytes:
            self._failure = FormatError(
                f"It unpacks to more than {self._limits.unpacked_bytes} bytes. Split it, or unpack it yourself."
            )
        elif self._read_bytes > self._most_by_ratio:
            self._failure = FormatError(
                f"It unpacks to more than {self._limits.ratio} times its size, as no export does. If it is one, unpack it "
                "yourself."
            )
        elif self._allowance.left_bytes < 0:
            self._failure = FormatError(
                f"The archive unpacks to more than {self._limits.archive_bytes} bytes. Split it, or unpack it yourself."
            )
        if self._failure is not None:
            raise self._failure
        buffer[: len(content)] = content
        return len(content)


def _too_many(path: Path, limits: Limits) -> FormatError:
    return FormatError(f"{path.name!r} holds more than {limits.members} files. Unpack what you want to import.")
