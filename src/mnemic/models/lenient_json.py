"""JSON as models write it: in fences and prose, with Python's quotes and literals, trailing commas, or cut in the middle.

The one rule: nothing is guessed. What is read differently from strict JSON has one meaning only; what might have two is
`Broken`. A container that the text ends in is an `OpenList` or `OpenDict` and holds what was complete by then: a string
without its closing quote, or a number that more digits might have followed, is not in it.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

MAX_DEPTH = 64
_LITERALS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_INCOMPLETE: Final = object()  # a scalar that the text ends in

_start = re.compile(r"[\[{]")
_space = re.compile(r"[ \t\r\n]*")
_strings = {
    '"': re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL),
    "'": re.compile(r"'[^'\\]*(?:\\.[^'\\]*)*'", re.DOTALL),
}
_number_like = re.compile(r"[-+.\w]+")
_number = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?", re.ASCII)
_escape = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_escaped = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "/": "/", "\\": "\\", '"': '"', "'": "'"}


class OpenList(list[Any]):
    """A list that the text ends in; all items but the last are complete, and the last one too unless it is open."""


class OpenDict(dict[str, Any]):
    """An object that the text ends in, with the fields that were complete, the last one open perhaps."""


class Broken(ValueError):
    """Text that begins as JSON and goes on as something else."""

    def __init__(self, place: int, what: str) -> None:
        super().__init__(f"at character {place + 1}, {what}")
        self.place = place


def json_values(text: str) -> list[Any]:
    """The lists and objects in a text that are not part of one another, in order; what stands around them is passed over.

    Raises Broken where one begins properly and does not go on so.

    >>> json_values('Sure! {"a": [1, True,],} as [asked].')
    [{'a': [1, True]}]
    """
    found, at = [], 0
    while (start := _start.search(text, at)) is not None:
        reader = _Reader(text, start.start())
        try:
            found.append(reader.value(0))
            at = reader.at
        except Broken as broken:
            if reader.has_read:
                raise
            at = max(broken.place, start.end())  # a bracket of the prose
    return found


class _Reader:
    def __init__(self, text: str, at: int) -> None:
        self.text = text
        self.at = at
        self.has_read = False  # anything inside the first bracket

    def value(self, depth: int) -> Any:
        """The value at `at`, which moves behind it."""
        mark = self._next()
        if depth > MAX_DEPTH:
            raise Broken(self.at, "lists and objects are nested too deeply")
        if mark == "{":
            return self._object(depth)
        if mark == "[":
            return self._list(depth)
        if mark in ('"', "'"):
            return self._string(mark)
        return self._word() if mark else _INCOMPLETE

    def _object(self, depth: int) -> dict[str, Any]:
        self.at += 1
        read: dict[str, Any] = {}
        while (mark := self._next()) != "}":
            if mark not in ('"', "'", ""):
                raise Broken(self.at, f"a name in quotes or '}}' should stand, not {mark!r}")
            name: Any = self._string(mark) if mark else _INCOMPLETE
            if name is _INCOMPLETE or not self._next():
                return OpenDict(read)
            self._expect(":")
            value = self.value(depth + 1)
            if value is _INCOMPLETE:
                return OpenDict(read)
            read[name] = value
            self.has_read = True
            if is_open(value) or not self._separated("}"):
                return OpenDict(read)
        self.at += 1
        return read

    def _list(self, depth: int) -> list[Any]:
        self.at += 1
        read: list[Any] = []
        while self._next() != "]":
            value = self.value(depth + 1)
            if value is _INCOMPLETE:
                return OpenList(read)
            read.append(value)
            self.has_read = True
            if is_open(value) or not self._separated("]"):
                return OpenList(read)
        self.at += 1
        return read

    def _separated(self, end: str) -> bool:
        """Whether the text goes on, with a comma, which is passed, or with the end."""
        mark = self._next()
        if mark == ",":
            self.at += 1
        elif mark and mark != end:
            raise Broken(self.at, f"',' or '{end}' should stand, not {mark!r}")
        return bool(mark)

    def _string(self, quote: str) -> Any:
        whole = _strings[quote].match(self.text, self.at)
        if whole is None:
            self.at = len(self.text)
            return _INCOMPLETE
        place, self.at = self.at, whole.end()
        return _unescaped(whole.group()[1:-1], place)

    def _word(self) -> Any:
        word = _number_like.match(self.text, self.at)
        if word is None:
            raise Broken(self.at, f"a value should stand, not {self.text[self.at]!r}")
        if word.end() == len(self.text):
            self.at = word.end()
            return _INCOMPLETE
        text = word.group()
        if text in _LITERALS:
            value = _LITERALS[text]
        elif _number.fullmatch(text) and len(text) <= 400:
            value = json.loads(text)
        else:
            raise Broken(self.at, f"a value should stand, not {text[:20]!r}")
        self.at = word.end()
        return value

    def _expect(self, mark: str) -> None:
        if self.text[self.at] != mark:
            raise Broken(self.at, f"{mark!r} should stand, not {self.text[self.at]!r}")
        self.at += 1

    def _next(self) -> str:
        """The next mark that is no space; "" at the end."""
        space = _space.match(self.text, self.at)
        assert space is not None
        self.at = space.end()
        return self.text[self.at : self.at + 1]


def is_open(value: Any) -> bool:
    """Whether the text ended in this list or object."""
    return isinstance(value, OpenList | OpenDict)


def _unescaped(inside: str, place: int) -> str:
    def meant(escape: re.Match[str]) -> str:
        code, letter = escape.groups()
        if code:
            return chr(int(code, 16))
        if letter not in _escaped:
            raise Broken(place, f"the string holds \\{letter}, which is no escape of JSON")
        return _escaped[letter]

    text = _escape.sub(meant, inside) if "\\" in inside else inside
    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")  # joins the halves of a pair
    except UnicodeDecodeError:
        raise Broken(place, "the string holds half of a surrogate pair") from None
