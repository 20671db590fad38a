"""Rows of comma-separated values as PostgreSQL's COPY writes them: quotes doubled, line ends within quotes, NULL empty.

The standard library's reader has one limit on the length of a field for the whole process, which is too low for JSON
and not ours to change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mnemic.formats.message import Problem, excerpt
from mnemic.formats.source import Line, Source, lines_of

_FIELD = re.compile(r'(?:"((?:[^"]++|"")*+)"|([^",]*+))(,|\Z)')


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One row; a field that is empty and not quoted is None."""

    location: str
    values: list[str | None]


def csv_rows(source: Source) -> Iterator[CsvRow | Problem]:
    """The rows of one source, each with the line that it begins in; a Problem for a bad one."""
    begun: list[Line] = []
    length, is_open = 0, False
    for line in lines_of(source):
        if isinstance(line, Problem):
            yield line
            begun, length, is_open = [], 0, False  # what it quoted is unknown: begin anew
            continue
        if not begun and not line.text.strip():
            continue
        is_open ^= line.text.count('"') % 2 == 1
        length += len(line.text) + 1
        if length <= source.limits.entry_bytes:
            begun.append(line)
        elif begun and not is_open:
            yield Problem(begun[0].location, f"The row is longer than {source.limits.entry_bytes} characters.")
        if not is_open:
            if length <= source.limits.entry_bytes:
                yield _row(begun)
            begun, length = [], 0
    if begun:
        yield Problem(begun[0].location, "The file ends within a quotation.", excerpt(begun[0].text))


def _row(begun: list[Line]) -> CsvRow | Problem:
    text = "\n".join(line.text for line in begun)
    values: list[str | None] = []
    at = 0
    while found := _FIELD.match(text, at):
        quoted, plain, end = found.groups()
        values.append(quoted.replace('""', '"') if quoted is not None else plain or None)
        at = found.end()
        if not end:
            return CsvRow(begun[0].location, values)
    return Problem(begun[0].location, "It is no row of comma-separated values.", excerpt(text[at : at + 100]))
