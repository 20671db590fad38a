"""Edits of a text by its lines, as the editing tools of agents make them: replace once, insert, patch.

Each is a function from a text to the text after it, and refuses what it cannot place exactly: a replacement that fits
in several places names their lines, a patch must find the lines that it takes away. Lines end at "\\n" alone, so that a
"\\r" before it stays where it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mnemic.errors import ParameterError

NUMBER_WIDTH = 6
MOST_LINES = 10**NUMBER_WIDTH - 1
_SHOWN_CHARS, _SHOWN_LINES = 200, 40
_NUMBER_PREFIX = re.compile(rf"^(?:Line \d+: |(?=.{{{NUMBER_WIDTH}}}\t) *\d+\t| *\d+→)", re.M)
_HUNK = re.compile(r"@@(?: -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@.*| *|.*@@)$")
_FILE_HEAD = re.compile(r"diff |index |--- |\+\+\+ |(?:new|deleted) file |$")


@dataclass(frozen=True, slots=True)
class Replaced:
    """A text after a replacement, and the lines that it touched, from 1."""

    text: str
    first_line: int
    last_line: int


def lines_of(text: str) -> list[str]:
    """The lines of a text; the end of the last one begins no further line.

    >>> lines_of("a\\nb\\n"), lines_of("a\\n\\n"), lines_of("")
    (['a', 'b'], ['a', ''], [])
    """
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def numbered(text: str, first: int = 1, last: int | None = None) -> str:
    """The lines from `first` to `last`, each behind its number and a tab.

    >>> numbered("tea\\nmilk\\nrice", 2)
    '     2\\tmilk\\n     3\\trice'
    """
    lines = text.split("\n")[first - 1 : last]
    return "\n".join(f"{number:{NUMBER_WIDTH}}\t{line}" for number, line in enumerate(lines, first))


def replace_once(text: str, old: str, new: str, *, name: str, place: str) -> Replaced:
    """`text` with `old`, which must stand in it exactly once, replaced by `new`.

    name, place: what `old` and the text are called in the message. Raises ParameterError, with the lines of all matches
    where there are several.
    """
    if not old:
        raise ParameterError(f"No replacement was performed, {name} is empty. Give the exact text to replace.")
    found = positions(text, old)
    if not found:
        raise ParameterError(
            f"No replacement was performed, {name} `{shown(old)}` did not appear verbatim in {place}. View it and copy the text."
        )
    if len(found) > 1:
        raise ParameterError(
            f"No replacement was performed. Multiple occurrences of {name} `{shown(old)}` in lines: {_listed(text, found)}. "
            "Please ensure it is unique: give more of what stands around it."
        )
    first = line_at(text, found[0])
    return Replaced(text[: found[0]] + new + text[found[0] + len(old) :], first, first + new.count("\n"))


def insert_at(text: str, line: int, inserted: str, *, name: str) -> str:
    """`text` with whole lines inserted behind line `line`, 0 being the top. Raises ParameterError out of [0, number of lines].

    >>> insert_at("tea\\nmilk\\n", 1, "rice", name="line")
    'tea\\nrice\\nmilk\\n'
    """
    lines = lines_of(text)
    if isinstance(line, bool) or not isinstance(line, int) or not 0 <= line <= len(lines):
        raise ParameterError(
            f"Invalid `{name}` parameter: {line!r}. It should be within the range of lines of the text: [0, {len(lines)}]."
        )
    return "\n".join([*lines[:line], inserted.removesuffix("\n"), *lines[line:]]) + "\n"


def apply_patch(text: str, patch: str) -> str:
    """`text` after a unified diff of it. Heads of files are ignored; so are the counts of a hunk, which models get wrong.

    The lines that a hunk keeps or takes away must stand in the text as they are: at the line that it names, or else in
    one place only. Raises ParameterError, and then nothing of the patch holds.
    """
    lines, made, done = text.split("\n") if text else [], list[str](), 0
    for number, hunk in enumerate(_hunks(patch), 1):
        at = _place_of(hunk, lines, done, number)
        made += [*lines[done:at], *hunk.new]
        done = at + len(hunk.old)
    return "\n".join([*made, *lines[done:]])


def refuse_line_numbers(**arguments: str) -> None:
    """Raise ParameterError for an argument that copies the line numbers of a view: they are no part of the text."""
    for name, text in arguments.items():
        if found := _NUMBER_PREFIX.search(text):
            raise ParameterError(
                f"`{name}` holds a line number, {found.group()!r}, as views show them. It is no part of the text. "
                "Leave the numbers out and try again."
            )


def positions(text: str, part: str) -> list[int]:
    """Where `part` begins in the text, overlapping places too.

    >>> positions("aaa", "aa")
    [0, 1]
    """
    found, at = list[int](), text.find(part)
    while at >= 0:
        found.append(at)
        at = text.find(part, at + 1)
    return found


def line_at(text: str, position: int) -> int:
    """The number of the line, from 1, in which a position lies."""
    return text.count("\n", 0, position) + 1


def shown(text: str) -> str:
    """The text, or its beginning where it is long, for a message."""
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


def _listed(text: str, found: list[int]) -> str:
    lines = [str(line_at(text, at)) for at in found[:_SHOWN_LINES]]
    return ", ".join(lines) + (f" and {len(found) - _SHOWN_LINES} more" if len(found) > _SHOWN_LINES else "")


@dataclass(slots=True)
class _Hunk:
    old: list[str]
    new: list[str]
    begins_at: int | None = None  # the line that it names, from 1
    inserts_after: int | None = None  # instead, where it takes and keeps no line


def _hunks(patch: str) -> list[_Hunk]:
    """The hunks of a unified diff. Raises ParameterError for what is none."""
    hunks: list[_Hunk] = []
    for number, line in enumerate(lines_of(patch), 1):
        if head := _HUNK.match(line):
            begins = int(head[1]) if head[1] else None
            empty = head[2] == "0"
            hunks.append(_Hunk([], [], None if empty else begins, begins if empty else None))
        elif not hunks and _FILE_HEAD.match(line):
            continue
        elif line[:1] in ("", " ", "-", "+"):
            if not hunks:
                hunks.append(_Hunk([], []))  # a single hunk may go without its head
            kept = line[1:]
            if line[:1] != "+":
                hunks[-1].old.append(kept)
            if line[:1] != "-":
                hunks[-1].new.append(kept)
        elif not line.startswith("\\"):  # "\ No newline at end of file"
            raise ParameterError(
                f"Line {number} of the patch, {shown(line)!r}, begins with none of ' ', '-', '+' and '@@'. Nothing was changed. "
                "Give a unified diff: '@@ -2,2 +2,2 @@', then ' ' before lines that stay, '-' before old and '+' before new ones."
            )
    if not any(hunk.old != hunk.new for hunk in hunks):
        raise ParameterError("The patch changes nothing. Give a unified diff with '-' and '+' lines.")
    return hunks


def _place_of(hunk: _Hunk, lines: list[str], done: int, number: int) -> int:
    """The index of the line at which the hunk's old lines stand."""
    if not hunk.old:
        at = hunk.inserts_after if hunk.inserts_after is not None else (None if lines else 0)
        if at is None or not done <= at <= len(lines):
            raise ParameterError(
                f"Hunk {number} of the patch has nothing that says where it goes. Nothing was changed. "
                "Add a line of the text before or behind it, with ' ' in front."
            )
        return at
    size = len(hunk.old)
    found = [at for at in range(done, len(lines) - size + 1) if lines[at : at + size] == hunk.old]
    if hunk.begins_at is not None and hunk.begins_at - 1 in found:
        return hunk.begins_at - 1
    if not found:
        raise ParameterError(
            f"Hunk {number} of the patch does not fit: the lines that it keeps or takes away, from {shown(hunk.old[0])!r} on, "
            "do not stand there as they are. Nothing was changed. View the text and copy its lines."
        )
    if len(found) > 1:
        places = ", ".join(str(at + 1) for at in found[:_SHOWN_LINES])
        raise ParameterError(
            f"Hunk {number} of the patch fits at several lines: {places}. Nothing was changed. Give more lines around it."
        )
    return found[0]
