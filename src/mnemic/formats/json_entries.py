"""Exports that keep their lists in an object: `{"results": [...]}`, `{"agents": [{"messages": [...]}], "blocks": [...]}`.

Lists whose names a reader gives are taken apart, however large, one entry after another; each entry knows the fields
of the object that it stands in. For that the file is read twice side by side, once for those fields and once for the
lists, because they may stand behind them. JSON Lines and bare arrays of such objects are read in the same way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from io import BufferedReader
from pathlib import Path
from typing import Any

from mnemic.errors import FormatError
from mnemic.formats.json_stream import DECODER, Element, Window, place, read_array, read_value
from mnemic.formats.limits import LIMITS, Limits
from mnemic.formats.message import Problem, excerpt
from mnemic.formats.source import Source, lines_of, open_sources

_MEMBERS = re.compile(r".*\.(json|jsonl|ndjson)")
_LINES_NAME = re.compile(r".*\.(jsonl|ndjson)(\.gz)?", re.IGNORECASE)
_DEEPEST = 4  # lists within lists
_LONGEST_KEY = 1 << 16
_PEEK_BYTES = 1 << 13


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of an export, without the lists in it that are entries of their own."""

    list_name: str  # the key that its list has; "" for an object that stands alone, in a line or in a bare array
    location: str
    value: Any
    around: Mapping[str, Any] = field(
        default_factory=dict
    )  # fields of the objects that it stands in, the nearest first


def entries(
    path: Path, lists: Collection[str], wanted: re.Pattern[str] = _MEMBERS, limits: Limits = LIMITS
) -> Iterator[Entry | Problem]:
    """What each source under `path` holds: an object first, then what is in those of its lists that are named."""
    for source, ahead in zip(open_sources(path, wanted, limits), open_sources(path, wanted, limits), strict=True):
        if isinstance(source, Problem):
            yield source
        elif isinstance(ahead, Problem):
            yield ahead
        elif _is_lines(source):
            yield from _lines(source, lists)
        else:
            yield from _documents(source, ahead, lists)


def _is_lines(source: Source) -> bool:
    """Whether each line is a value: by its name, or because the first line is a whole object."""
    if _LINES_NAME.fullmatch(source.name):
        return True
    assert isinstance(source.stream, BufferedReader), "sources are buffered"
    first, end, _ = source.stream.peek(_PEEK_BYTES).lstrip().partition(b"\n")
    try:
        return bool(end) and isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _lines(source: Source, lists: Collection[str]) -> Iterator[Entry | Problem]:
    for line in lines_of(source):
        if isinstance(line, Problem):
            yield line
        elif line.text.strip():
            yield from _parsed(line.text, line.location, lists)


def _parsed(text: str, location: str, lists: Collection[str]) -> Iterator[Entry | Problem]:
    try:
        value = json.loads(text)
    except RecursionError:
        yield Problem(location, "It is nested too deep.", excerpt(text))
    except ValueError as error:
        yield Problem(location, f"It is no JSON: {error}.", excerpt(text))
    else:
        yield from _split(Entry("", location, value), lists)


def _documents(source: Source, ahead: Source, lists: Collection[str]) -> Iterator[Entry | Problem]:
    window, scout = Window(source), Window(ahead)
    name, index = source.name, 0
    try:
        while first := window.next_character():
            scout.next_character()
            if first == "[":
                for _ in read_array(scout, name):
                    pass
                end = read_array(window, name, index)
                for element in end:
                    index += 1
                    if isinstance(element, Problem):
                        yield element
                    else:
                        yield from _split(Entry("", element.location, element.value), lists)
            elif first == "{":
                label = name if index == 0 else f"{name}[{index}]"
                around = _around(scout, label, lists)
                yield Entry("", label, around)
                for member in _members(window, label, lists):
                    if isinstance(member, Problem):
                        yield member
                    elif isinstance(member.value, Element):
                        element = member.value
                        yield from _split(Entry(member.key, element.location, element.value, around), lists)
                index += 1
            else:
                location = place(window, name, index)
                read_value(scout, location, "]")
                value = read_value(window, location, "]")
                if isinstance(value, str):  # an export that was written as text within JSON
                    yield from _parsed(value, name, lists)
                elif isinstance(value, Problem):
                    yield value
                    return
                else:
                    yield Problem(location, "It is neither an object nor an array.", excerpt(value))
                index += 1
    except FormatError as error:
        yield Problem(place(window, name, index), str(error))


def _around(scout: Window, label: str, lists: Collection[str]) -> dict[str, Any]:
    """The fields of an object that are none of the lists; bad ones are reported when they are met again."""
    found: dict[str, Any] = {}
    for member in _members(scout, label, lists):
        if isinstance(member, _Member) and not isinstance(member.value, Element):
            found[member.key] = member.value
    return found


@dataclass(frozen=True, slots=True)
class _Member:
    """A field of an object, or an element of the list that is one."""

    key: str
    value: Any


def _members(window: Window, label: str, lists: Collection[str]) -> Iterator[_Member | Problem]:
    """The fields of the object that begins here. Raises FormatError where it cannot be read on."""
    window.skip(1)
    kept_bytes = 0
    while (first := window.next_character()) != "}":
        if first == ",":
            window.skip(1)
            continue
        if not first:
            yield Problem(
                f"{label} at byte {window.offset_bytes}", "The object ends too early; the file may be cut short."
            )
            return
        key = _key(window, label)
        if key in lists and window.next_character() == "[":
            for element in read_array(window, f"{label}.{excerpt(key)}"):
                yield element if isinstance(element, Problem) else _Member(key, element)
            continue
        begin = window.offset_bytes
        value = read_value(window, f"{label}.{excerpt(key)} at byte {begin}", "}")
        kept_bytes += window.offset_bytes - begin
        if kept_bytes > window.limits.entry_bytes:
            raise FormatError(f"The fields of the object are longer than {window.limits.entry_bytes} bytes.")
        yield value if isinstance(value, Problem) else _Member(key, value)
    window.skip(1)


def _key(window: Window, label: str) -> str:
    while True:
        try:
            key, end = DECODER.raw_decode(window.text, window.start)
            break
        except (ValueError, RecursionError):
            if window.text[window.start] != '"' or window.length > _LONGEST_KEY or not window.grow():
                key = None
                break
    if isinstance(key, str):
        window.skip(end - window.start)
        if window.next_character() == ":":
            window.skip(1)
            return key
    raise FormatError(f"A field's name and a colon are expected in {label} here. What follows was not read.")


def _split(entry: Entry, lists: Collection[str], depth: int = 0) -> Iterator[Entry | Problem]:
    """The entry without those of its lists that are named and hold objects, and then what is in them."""
    value = entry.value
    inner = (
        [key for key, one in value.items() if key in lists and _holds_objects(one)] if isinstance(value, dict) else []
    )
    if not inner or depth >= _DEEPEST:
        yield entry
        return
    rest = {key: one for key, one in value.items() if key not in inner}
    yield replace(entry, value=rest)
    around = {**entry.around, **rest}
    for key in inner:
        for index, one in enumerate(value[key]):
            yield from _split(Entry(key, f"{entry.location}.{key}[{index}]", one, around), lists, depth + 1)


def _holds_objects(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(one, dict) for one in value)
