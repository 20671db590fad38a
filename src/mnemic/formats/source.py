"""Opening what is to be read: a file, a .gz, the members of a .zip, the files of a folder; and its lines.

Nothing is unpacked to disk. Archives are read through a counter that stops at MAX_UNPACKED_BYTES a member, whatever
their directory says, so a bomb costs time but neither memory nor disk; one line or one JSON element may have
MAX_ENTRY_BYTES. What is damaged becomes a Problem, and what was read before it stands.
"""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from mnemic.errors import FormatError
from mnemic.formats.message import Problem, excerpt

MAX_UNPACKED_BYTES = 2 << 30
MAX_ENTRY_BYTES = 64 << 20
_HEAD_BYTES = 1 << 16
_ANYTHING = re.compile("")
_BOM = b"\xef\xbb\xbf"
_DAMAGE = (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError)


@dataclass(frozen=True, slots=True)
class Source:
    """An open stream of bytes, after the byte order mark, and the name to report it by."""

    name: str
    stream: BinaryIO


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its end."""

    source: str
    number: int  # from 1
    text: str

    @property
    def location(self) -> str:
        """Where a person finds it."""
        return f"{self.source}:{self.number}"


@dataclass(frozen=True, slots=True)
class Sample:
    """What is looked at to tell a format: the name of a file, or of an archive's first telling member, and its head."""

    name: str
    head: str
    is_folder: bool = False


def open_sources(path: Path, wanted: re.Pattern[str] = _ANYTHING) -> Iterator[Source | Problem]:
    """Each stream under `path`: the file itself, or those files of a folder or .zip whose name `wanted` matches whole.

    A stream is open until the next one is asked for. Raises FormatError for a damaged archive or one without such files.
    """
    if path.is_dir():
        yield from _folder(path, wanted)
    elif zipfile.is_zipfile(path):
        yield from _archive(path, wanted)
    else:
        with path.open("rb") as file:
            yield from _opened(path.name, file, is_gzip=path.suffix == ".gz")


def lines(path: Path, wanted: re.Pattern[str] = _ANYTHING) -> Iterator[Line | Problem]:
    """The lines of each source under `path`; a line that is too long or not UTF-8 is a Problem."""
    for source in open_sources(path, wanted):
        if isinstance(source, Problem):
            yield source
        else:
            yield from lines_of(source)


def lines_of(source: Source) -> Iterator[Line | Problem]:
    """The lines of one source."""
    number = 0
    try:
        while content := source.stream.readline(MAX_ENTRY_BYTES):
            number += 1
            location = f"{source.name}:{number}"
            if len(content) == MAX_ENTRY_BYTES and not content.endswith(b"\n"):
                yield Problem(location, f"The line is longer than {MAX_ENTRY_BYTES} bytes.")
                while (rest := source.stream.readline(1 << 20)) and not rest.endswith(b"\n"):
                    pass
                continue
            try:
                yield Line(source.name, number, content.decode().rstrip("\r\n"))
            except UnicodeDecodeError as error:
                shown = excerpt(content[:200].decode("utf-8", "backslashreplace").rstrip("\r\n"))
                yield Problem(location, f"Byte {error.start} of the line is not UTF-8.", shown)
    except FormatError as error:
        yield Problem(f"{source.name}:{number + 1}", str(error))


def sample(path: Path) -> Sample:
    """What tells the format of `path`."""
    if path.is_dir() and not _files(path, re.compile(r"conversations(-\d+)?\.json")):
        return Sample(path.name, "", is_folder=True)
    for wanted in (r"(.*/)?conversations(-\d+)?\.json", r".*\.(json|jsonl|mbox|md|txt)"):
        try:
            for source in open_sources(path, re.compile(wanted)):
                if isinstance(source, Source):
                    head = source.stream.read(_HEAD_BYTES).decode("utf-8", "replace")
                    return Sample(source.name.rsplit("/", 1)[-1].removesuffix(".gz"), head)
        except FormatError:
            continue
    return Sample(path.name, "")


def _files(folder: Path, wanted: re.Pattern[str]) -> list[Path]:
    return sorted(one for one in folder.iterdir() if wanted.fullmatch(one.name) and one.is_file())


def _folder(path: Path, wanted: re.Pattern[str]) -> Iterator[Source | Problem]:
    files = _files(path, wanted)
    if not files:
        raise FormatError(f"The folder {path.name!r} holds no file named like {wanted.pattern}. Name the file itself.")
    for one in files:
        with one.open("rb") as file:
            yield from _opened(one.name, file)


def _archive(path: Path, wanted: re.Pattern[str]) -> Iterator[Source | Problem]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise FormatError(f"{path.name!r} is a damaged .zip: {error}. Download it again.") from error
    with archive:
        members = sorted(
            (one for one in archive.infolist() if wanted.fullmatch(one.filename)), key=lambda one: one.filename
        )
        if not members:
            raise FormatError(f"{path.name!r} holds no file named like {wanted.pattern}. Is it another export?")
        for member in members:
            name = f"{path.name}/{member.filename}"
            try:
                inner = archive.open(member)
            except (*_DAMAGE, RuntimeError, NotImplementedError) as error:  # encrypted; an unknown compression
                yield Problem(name, f"It cannot be unpacked: {error}. Unpack it with another tool and import that.")
                continue
            with inner, _bounded(inner) as stream:
                yield from _opened(name, stream)


def _opened(name: str, file: IO[bytes], is_gzip: bool = False) -> Iterator[Source]:
    if is_gzip:
        with gzip.open(file) as inner, _bounded(cast(IO[bytes], inner)) as stream:
            yield from _opened(name, stream)
        return
    reader = cast(io.BufferedReader, file)
    try:
        head = reader.peek(3)[:3]
    except FormatError:
        head = b""  # whoever reads on meets the same damage and reports it
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise FormatError(f"{name!r} is UTF-16. Save it as UTF-8 and import it again.")
    if head == _BOM:
        reader.read(3)
    yield Source(name, reader)


@contextmanager
def _bounded(inner: IO[bytes]) -> Iterator[BinaryIO]:
    with io.BufferedReader(_Bounded(inner, MAX_UNPACKED_BYTES)) as stream:
        yield stream


class _Bounded(io.RawIOBase):
    """Reads `inner` up to a limit; damage and excess are raised as FormatError."""

    def __init__(self, inner: IO[bytes], limit_bytes: int) -> None:
        self._inner = inner
        self._limit_bytes = limit_bytes
        self._left_bytes = limit_bytes
        self._failure: FormatError | None = None  # raised again at each later read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        if self._failure is not None:
            raise self._failure
        content = b""
        try:
            content = self._inner.read(len(buffer))
        except _DAMAGE as error:
            self._failure = FormatError(f"The archive is damaged from here on: {error}. Download it again.")
        self._left_bytes -= len(content)
        if self._left_bytes < 0:
            self._failure = FormatError(
                f"It unpacks to more than {self._limit_bytes} bytes. Split it, or unpack it yourself."
            )
        if self._failure is not None:
            raise self._failure
        buffer[: len(content)] = content
        return len(content)
