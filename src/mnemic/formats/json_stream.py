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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemic.errors import FormatError
from mnemic.formats.message import Problem, excerpt
from mnemic.formats.source import MAX_ENTRY_BYTES, Source, open_sources

_CHUNK_BYTES = 1 << 16
_SPACE = re.compile(r"[ \t\r\n]*")
_OUTSIDE = re.compile(r'["\[\]{},]')
_INSIDE = re.compile(r'["\\]')


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


def elements(path: Path, wanted: re.Pattern[str] = re.compile("")) -> Iterator[Element | Problem]:
    """The elements of the array in each source under `path` (see `open_sources`)."""
    for source in open_sources(path, wanted):
        if isinstance(source, Problem):
            yield source
        else:
            yield from elements_of(source)


def elements_of(source: Source) -> Iterator[Element | Problem]:
    """The elements of the array in one source; a Problem for each bad one, and for an end that comes too early."""
    window = _Window(source)
    index = 0
    try:
        while first := window.next_character():
            if first == "[":
                window.skip(1)
                if window.next_character() == "]":
                    window.skip(1)
                    continue
                while True:
                    yield _element(window, index)
                    index += 1
                    if (delimiter := window.next_character()) in ("]", ""):
                        break
                    if delimiter == ",":
                        window.skip(1)
                    else:
                        yield Problem(_place(window, index), "A comma is missing here.", window.excerpt())
                if not delimiter:
                    yield Problem(_place(window, index), "The array ends too early; the file may be cut short.")
                window.skip(1)
            else:
                yield _element(window, index)
                index += 1
                if window.next_character() in (",", "]", "}"):
                    yield Problem(_place(window, index), "Text follows that is no JSON array.", window.excerpt())
                    return
    except FormatError as error:
        yield Problem(_place(window, index), str(error))


def _element(window: _Window, index: int) -> Element | Problem:
    window.next_character()
    place, offset_bytes, shown = _place(window, index), window.offset_bytes, window.excerpt()
    boundary = _Boundary()
    while True:
        reason = "It is no JSON value."
        try:
            value, end = _DECODER.raw_decode(window.text, window.start)
            after = _SPACE.match(window.text, end)
            assert after is not None, "the pattern matches everywhere"
            if window.text[after.end() : after.end() + 1] in _DELIMITERS or window.is_at_end:
                window.skip(end - window.start)
                return Element(window.name, index, offset_bytes, value)
        except json.JSONDecodeError as error:
            reason = f"It is no JSON value: {error.msg}."
        except RecursionError:
            reason = "It is nested too deep."
        except ValueError as error:  # a number of more digits than int() takes
            reason = f"It is no JSON value: {error}."
        if (length := boundary.find(window)) is not None:
            window.skip(length)
            return Problem(place, reason, shown)
        if window.length > MAX_ENTRY_BYTES:
            boundary.discard(window)
            return Problem(place, f"It is longer than {MAX_ENTRY_BYTES} characters.", shown)
        if not window.grow():
            window.skip(window.length)
            return Problem(place, f"{reason} The file ends within it.", shown)


_DECODER = json.JSONDecoder(strict=False)  # raw line ends and tabs within strings are read
_DELIMITERS = (",", "]", "[", "{")  # the last two: a comma is missing, or another array follows


def _place(window: _Window, index: int) -> str:
    return f"{window.name}[{index}] at byte {window.offset_bytes}"


class _Window:
    """The text that was read and not yet used: `text[start:]`."""

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self.text = ""
        self.start = 0
        self.offset_bytes = 0  # of `start`, after the byte order mark
        self.is_at_end = False
        self._stream = source.stream
        # bytes that are not UTF-8 become lone surrogates, which `whole` reports with the message they stand in
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    @property
    def length(self) -> int:
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
        return excerpt(self.text[self.start : self.start + 100])


class _Boundary:
    """Finds the comma or bracket that ends an element, going on where it stopped when the window has grown."""

    def __init__(self) -> None:
        self._seen = 0  # characters of the element that were looked at
        self._depth = 0
        self._in_string = False

    def find(self, window: _Window) -> int | None:
        """The element's length, or None while its end is not in the window."""
        at = window.start + self._seen
        while found := (_INSIDE if self._in_string else _OUTSIDE).search(window.text, at):
            at, character = found.end(), found.group()
            if character == "\\":
                if at == len(window.text):  # what it escapes is not here yet: look at it again
                    at -= 1
                    break
                at += 1
            elif character == '"':
                self._in_string = not self._in_string
            elif character in "[{":
                self._depth += 1
            elif character == "," or self._depth == 0:
                if self._depth == 0 and character != "}":  # a "}" that nothing opened belongs to the bad element
                    return at - 1 - window.start
            else:
                self._depth -= 1
        else:
            at = len(window.text)
        self._seen = at - window.start
        return None

    def discard(self, window: _Window) -> None:
        """Move the window to the element's end without keeping what lies between."""
        while (length := self.find(window)) is None:
            window.skip(self._seen)
            self._seen = 0
            if not window.grow():
                break
        window.skip(window.length if length is None else length)
