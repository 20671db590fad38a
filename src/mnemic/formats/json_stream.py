"""The elements of a JSON array, one after another, without ever holding the array.

A window on the text grows until `JSONDecoder.raw_decode` finds an element in it, and is then moved on. When that
fails, brackets and quotes are counted to find where the element ends: an element that is complete and cannot be
decoded is a Problem, and reading goes on behind it; else more text is needed. Several arrays may follow each other.
A lone object or value is taken to be an array of one.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemic.errors import FormatError
from mnemic.formats.limits import LIMITS, Limits
from mnemic.formats.message import Problem, excerpt
from mnemic.formats.source import Source, open_sources

_CHUNK_BYTES = 1 << 16
_SPACE = re.compile(r"[ \t\r\n]*")
# runs are taken at once, so that a file of brackets or quotes costs little time
_OUTSIDE = re.compile(r'(?:"[^"\\]*+")++|["\[\]{},]')
_DEEPER = re.compile(r'(?:"[^"\\]*+")++|"|[\[{]++|[\]}]++')
_INSIDE = re.compile(r'"|(?:\\(?s:.))++|\\')
_MOST_DISCARDED = 8  # times the limit of an entry; then the rest of the file is given up


@dataclass(frozen=True, slots=True)
class Element:
    """One element of an array."""

    source: str
    index: int  # from 0, counted over bad elements too
    offset_bytes: int  # where it begins
    value: Any

    @property
    def location(self) -> str:
        """Where a person finds it."""
        return f"{self.source}[{self.index}]"


def elements(
    path: Path, wanted: re.Pattern[str] = re.compile(""), limits: Limits = LIMITS
) -> Iterator[Element | Problem]:
    """The elements of the array in each source under `path` (see `open_sources`)."""
    for source in open_sources(path, wanted, limits):
        if isinstance(source, Problem):
            yield source
        else:
            yield from elements_of(source)


def elements_of(source: Source) -> Iterator[Element | Problem]:
    """The elements of the array in one source; a Problem for each bad one, and for an end that comes too early."""
    window = Window(source)
    index = 0
    try:
        while first := window.next_character():
            if first == "[":
                index = yield from read_array(window, source.name, index)
            else:
                yield _element(window, source.name, index)
                index += 1
                if window.next_character() in (",", "]", "}"):
                    yield Problem(
                        place(window, source.name, index), "Text follows that is no JSON array.", window.excerpt()
                    )
                    return
    except FormatError as error:
        yield Problem(place(window, source.name, index), str(error))


def read_array(window: Window, name: str, index: int = 0) -> Generator[Element | Problem, None, int]:
    """The elements of the array that begins here, counted from `index`; returns the index after the last."""
    window.skip(1)
    if window.next_character() == "]":
        window.skip(1)
        return index
    while True:
        yield _element(window, name, index)
        index += 1
        if (delimiter := window.next_character()) in ("]", ""):
            break
        if delimiter == ",":
            window.skip(1)
        else:
            yield Problem(place(window, name, index), "A comma is missing here.", window.excerpt())
    if not delimiter:
        yield Problem(place(window, name, index), "The array ends too early; the file may be cut short.")
    window.skip(1)
    return index


def _element(window: Window, name: str, index: int) -> Element | Problem:
    window.next_character()
    offset_bytes = window.offset_bytes
    value = read_value(window, place(window, name, index), "]")
    return value if isinstance(value, Problem) else Element(name, index, offset_bytes, value)


def read_value(window: Window, location: str, closing: str) -> Any | Problem:
    """The JSON value that begins here, up to a comma or the bracket that closes what it stands in; a Problem for a bad one."""
    window.next_character()
    shown = window.excerpt()
    boundary = _Boundary(closing)
    delimiters = (",", closing, "[", "{")  # the last two: a comma is missing, or another array follows
    while True:
        reason = "It is no JSON value."
        try:
            value, end = DECODER.raw_decode(window.text, window.start)
            after = _SPACE.match(window.text, end)
            assert after is not None, "the pattern matches everywhere"
            if window.text[after.end() : after.end() + 1] in delimiters or window.is_at_end:
                window.skip(end - window.start)
                return value
        except json.JSONDecodeError as error:
            reason = f"It is no JSON value: {error.msg}."
        except RecursionError:
            reason = "It is nested too deep."
        except ValueError as error:  # a number of more digits than int() takes
            reason = f"It is no JSON value: {error}."
        if (length := boundary.find(window)) is not None:
            window.skip(length)
            return Problem(location, reason, shown)
        if window.length > window.limits.entry_bytes:
            boundary.discard(window)
            return Problem(location, f"It is longer than {window.limits.entry_bytes} characters.", shown)
        if not window.grow():
            window.skip(window.length)
            return Problem(location, f"{reason} The file ends within it.", shown)


DECODER = json.JSONDecoder(strict=False)  # raw line ends and tabs within strings are read


def place(window: Window, name: str, index: int) -> str:
    """Where a bad element stands."""
    return f"{name}[{index}] at byte {window.offset_bytes}"


class Window:
    """The text that was read and not yet used: `text[start:]`."""

    def __init__(self, source: Source) -> None:
        self.limits = source.limits
        self.text = ""
        self.start = 0
        self.offset_bytes = 0  # of `start`, after the byte order mark
        self.is_at_end = False
        self._stream = source.stream
        # bytes that are not UTF-8 become lone surrogates, which `whole` reports with the message they stand in
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    @property
    def length(self) -> int:
        """How many characters there are."""
        return len(self.text) - self.start

    def grow(self) -> bool:
        """Read as much again as there is; False at the end of the file."""
        if self.is_at_end:
            return False
        content = self._stream.read(max(_CHUNK_BYTES, self.length))
        self.is_at_end = not content
        self.text = self.text[self.start :] + self._decoder.decode(content, final=self.is_at_end)
        self.start = 0
        return True

    def skip(self, length: int) -> None:
        """Move on by that many characters."""
        used = self.text[self.start : self.start + length]
        self.offset_bytes += len(used.encode("utf-8", "surrogateescape"))
        self.start += length

    def next_character(self) -> str:
        """The next character that is no white space, which is skipped; "" at the end."""
        while True:
            space = _SPACE.match(self.text, self.start)
            assert space is not None, "the pattern matches everywhere"
            self.skip(space.end() - self.start)
            if self.length:
                return self.text[self.start]
            if not self.grow():
                return ""

    def excerpt(self) -> str:
        """How it goes on, for a Problem."""
        return excerpt(self.text[self.start : self.start + 100])


class _Boundary:
    """Finds the comma or bracket that ends an element, going on where it stopped when the window has grown."""

    def __init__(self, closing: str) -> None:
        self._stray = "}" if closing == "]" else "]"  # that nothing opened, so it belongs to the bad element
        self._seen = 0  # characters of the element that were looked at
        self._depth = 0
        self._in_string = False

    def find(self, window: Window) -> int | None:
        """The element's length, or None while its end is not in the window."""
        at = window.start + self._seen
        while found := self._pattern.search(window.text, at):
            run, at = found.group(), found.end()
            if self._in_string:
                self._in_string = run != '"'
                if run == "\\":  # what it escapes is not here yet: look at it again
                    at -= 1
                    break
            elif run == '"':
                self._in_string = True
            elif run[0] in "[{":
                self._depth += len(run)
            elif run[0] == '"':
                continue  # whole strings
            elif self._depth:
                closed = min(self._depth, len(run))
                self._depth -= closed
                at = found.start() + closed
            elif run != self._stray:
                return at - 1 - window.start
        else:
            at = len(window.text)
        self._seen = at - window.start
        return None

    @property
    def _pattern(self) -> re.Pattern[str]:
        return _INSIDE if self._in_string else _DEEPER if self._depth else _OUTSIDE

    def discard(self, window: Window) -> None:
        """Move the window to the element's end without keeping what lies between. Raises FormatError where it is far."""
        left = _MOST_DISCARDED * window.limits.entry_bytes
        while (length := self.find(window)) is None:
            window.skip(self._seen)
            left -= self._seen
            if left < 0:
                raise FormatError("What begins here has no end in sight. Nothing was read from here on.")
            self._seen = 0
            if not window.grow():
                break
        window.skip(window.length if length is None else length)
