"""Opening what is to be read: a file, a .gz, the members of a .zip, the files of a folder; and its lines.

Nothing is unpacked to disk, and nothing is read without a bound (`Limits`). Symbolic links inside a folder are not
followed. What is damaged or refused becomes a Problem, and what was read before it stands.
"""

from __future__ import annotations

import io
import os
import re
import unicodedata
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from mnemic.errors import FormatError
from mnemic.formats.archive import bounded, gzip_stream, open_members
from mnemic.formats.limits import LIMITS, Limits
from mnemic.formats.message import Problem, excerpt

_HEAD_BYTES = 1 << 16
_ANYTHING = re.compile("")
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_TELLING_MEMBERS = (r"(.*/)?conversations(-\d+)?\.json", r".*\.(json|jsonl|ndjson|af|csv|mbox|md|txt)")


@dataclass(frozen=True, slots=True)
class Source:
    """An open stream of bytes, after the byte order mark, and the name to report it by."""

    name: str
    stream: BinaryIO
    limits: Limits = LIMITS


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


def open_sources(
    path: Path, wanted: re.Pattern[str] = _ANYTHING, limits: Limits = LIMITS
) -> Iterator[Source | Problem]:
    """Each stream under `path`: the file itself, or those files of a folder or .zip whose name `wanted` matches whole.

    A stream is open until the next one is asked for. Raises FormatError for a damaged archive or one without such files.
    """
    if path.is_dir():
        yield from _folder(path, wanted, limits)
    elif zipfile.is_zipfile(path):
        for member in open_members(path, wanted, limits):
            if isinstance(member, Problem):
                yield member
            else:
                yield opened(*member, limits)
    else:
        with path.open("rb") as file:
            if file.peek(2)[:2] == _GZIP:
                packed_bytes = os.fstat(file.fileno()).st_size
                with gzip_stream(file) as inner, bounded(inner, packed_bytes, limits) as stream:
                    yield _opened(path.name, stream, limits)
            else:
                yield _opened(path.name, file, limits)


def open_file(path: Path) -> io.BufferedReader:
    """A file found in a folder, which must not have become a symbolic link since."""
    return path.open("rb") if not hasattr(os, "O_NOFOLLOW") else open(path, "rb", opener=_without_following)


def _without_following(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


def lines(path: Path, wanted: re.Pattern[str] = _ANYTHING, limits: Limits = LIMITS) -> Iterator[Line | Problem]:
    """The lines of each source under `path`; a line that is too long or not UTF-8 is a Problem."""
    for source in open_sources(path, wanted, limits):
        if isinstance(source, Problem):
            yield source
        else:
            yield from lines_of(source)


def lines_of(source: Source) -> Iterator[Line | Problem]:
    """The lines of one source."""
    number, most_bytes = 0, source.limits.entry_bytes
    try:
        while content := source.stream.readline(most_bytes):
            number += 1
            location = f"{source.name}:{number}"
            if len(content) == most_bytes and not content.endswith(b"\n"):
                yield Problem(location, f"The line is longer than {most_bytes} bytes.")
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


def sample(path: Path, limits: Limits = LIMITS) -> Sample:
    """What tells the format of `path`."""
    if path.is_dir() and not _files(path, re.compile(_TELLING_MEMBERS[0])):
        return Sample(path.name, "", is_folder=True)
    for wanted in _TELLING_MEMBERS:
        try:
            for source in open_sources(path, re.compile(wanted), limits):
                if isinstance(source, Source):
                    head = source.stream.read(_HEAD_BYTES).decode("utf-8", "replace")
                    return Sample(source.name.rsplit("/", 1)[-1].removesuffix(".gz"), head)
        except FormatError:
            continue
    return Sample(path.name, "")


def _files(folder: Path, wanted: re.Pattern[str]) -> list[Path]:
    return sorted(one for one in folder.iterdir() if wanted.fullmatch(one.name) and one.is_file())


def _folder(path: Path, wanted: re.Pattern[str], limits: Limits) -> Iterator[Source | Problem]:
    files = _files(path, wanted)
    if not files:
        raise FormatError(f"The folder {path.name!r} holds no file named like {wanted.pattern}. Name the file itself.")
    if len(files) > limits.members:
        raise FormatError(f"The folder {path.name!r} holds more than {limits.members} files. Import a part of them.")
    for one in files:
        if one.is_symlink():
            yield Problem(printable(one.name), "It is a symbolic link, which is not followed. Name the file itself.")
            continue
        with open_file(one) as file:
            yield opened(one.name, file, limits)


def printable(name: str) -> str:
    """A file's name without what neither a terminal nor a JSON file may be sent: control characters, half characters."""
    return "".join(ascii(one)[1:-1] if unicodedata.category(one) in ("Cc", "Cs") else one for one in name)


def opened(name: str, reader: io.BufferedReader, limits: Limits) -> Source | Problem:
    """One of several files, which does not stop the others when it cannot be read."""
    try:
        return _opened(name, reader, limits)
    except FormatError as error:
        return Problem(printable(name), str(error))


def _opened(name: str, reader: io.BufferedReader, limits: Limits) -> Source:
    try:
        head = reader.peek(3)[:3]
    except FormatError:
        head = b""  # whoever reads on meets the same damage and reports it
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise FormatError(f"{name!r} is UTF-16. Save it as UTF-8 and import it again.")
    if head == _BOM:
        reader.read(3)
    return Source(printable(name), cast(BinaryIO, reader), limits)
