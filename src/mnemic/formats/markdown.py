"""Markdown journals: a file with dated headings, or a folder of dated files, read with all folders below it.

Each paragraph, list or fenced block is a message, with the headings above it in its metadata. Its day is that of the
nearest heading that begins with a date ("## 2024-05-01", "# Monday, 3 June 2024"), else the front matter's `date`,
else the file name's; a heading that begins with a clock ("### 14:30 Lunch") sets the time. Undated text has no time.

Ids: the file's path below the one given, the headings, a digest, and a count for what a section says twice; so what
is written before or after a paragraph leaves its id as it was. Session: the day, else the file.
Departs from YAML: of the front matter only `key: value`, `[a, b]` and "- item" lists are understood. Hidden files
and folders are passed over, symbolic links are not followed; headings underlined with === or --- are read as text,
and so is a heading of more than 1,000 characters. A paragraph of more than a million becomes several messages.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from itertools import chain
from pathlib import Path
from typing import Any

from mnemic.errors import InvalidTime
from mnemic.formats.dates import clock_at_start, date_at_start, date_within
from mnemic.formats.limits import LIMITS, Limits
from mnemic.formats.message import Message, Problem, digest, make_id, moment, whole
from mnemic.formats.source import Line, Sample, Source, lines_of, open_file, open_sources, opened, printable

_MEMBERS = re.compile(r".*\.(md|markdown)", re.IGNORECASE)
_HEADING = re.compile(r" {0,3}(#{1,6})\s+(.*)")
_FENCE = re.compile(r"\s*(`{3,}|~{3,})")
_FIELD = re.compile(r"([A-Za-z_-]+):\s*(.*)")
_MOST_FRONT_LINES, _MOST_FRONT_LENGTH = 200, 1 << 16
_LONGEST_HEADING = 1000
_LONGEST_BLOCK = 1 << 20


@dataclass(slots=True)
class _Page:
    """A file as far as it was read."""

    name: str
    occurred_at: datetime | None
    tags: list[str] = field(default_factory=list)
    headings: list[tuple[int, str, datetime | None]] = field(default_factory=list)  # level, title, time
    seen: Counter[str] = field(default_factory=Counter)

    def enter(self, level: int, title: str) -> None:
        """Go below a heading, leaving those of its level and deeper."""
        while self.headings and self.headings[-1][0] >= level:
            self.headings.pop()
        above = self.time()
        if found := date_at_start(title):
            above = datetime.combine(found[0], clock_at_start(found[1]) or time.min, UTC)
        elif above is not None and (clock := clock_at_start(title)):
            above = datetime.combine(above.date(), clock, above.tzinfo)
        self.headings.append((level, title, above))

    def time(self) -> datetime | None:
        return self.headings[-1][2] if self.headings else self.occurred_at


def is_markdown(sample: Sample) -> bool:
    """Whether it is a folder or has the name of a Markdown file."""
    return sample.is_folder or bool(_MEMBERS.fullmatch(sample.name))


def read_markdown(path: Path, limits: Limits = LIMITS) -> Iterator[Message | Problem]:
    """The paragraphs of each Markdown file, in the order of the files' names."""
    sources = _folder(path, limits) if path.is_dir() else open_sources(path, _MEMBERS, limits)
    for source in sources:
        yield from [source] if isinstance(source, Problem) else _page(source)


def _folder(path: Path, limits: Limits) -> Iterator[Source | Problem]:
    """The Markdown files below a folder, however deep within the limits; links are reported and not followed."""
    waiting, n_files = [path], 0
    while waiting:
        folder = waiting.pop()
        below: list[Path] = []
        try:
            listed = sorted(folder.iterdir())
        except OSError as error:
            yield Problem(_name(path, folder), f"The folder cannot be read: {error.strerror}.")
            continue
        for one in listed:
            name = _name(path, one)
            is_wanted = one.is_dir() or bool(_MEMBERS.fullmatch(one.name))
            if one.name.startswith(".") or not is_wanted:
                continue
            if one.is_symlink():
                yield Problem(
                    name, "It is a symbolic link, which is not followed. Import what it leads to by its own name."
                )
            elif one.is_dir():
                below.append(one)
            elif one.is_file():
                n_files += 1
                if n_files > limits.members:
                    yield Problem(
                        name, f"It and those after it are more than {limits.members} files. Import them in parts."
                    )
                    return
                try:
                    with open_file(one) as file:
                        yield opened(name, file, limits)
                except OSError as error:
                    yield Problem(name, f"The file cannot be read: {error.strerror}.")
        if below and len(folder.relative_to(path).parts) >= limits.folder_depth:
            yield Problem(
                _name(path, folder), f"Its folders lie deeper than {limits.folder_depth} levels. Import them by name."
            )
        else:
            waiting += reversed(below)


def _name(path: Path, one: Path) -> str:
    return printable(one.relative_to(path).as_posix())


def _page(source: Source) -> Iterator[Message | Problem]:
    page = _Page(source.name, _midnight(date_within(source.name)))
    lines = lines_of(source)
    opening = _front_matter(lines)
    if isinstance(opening, dict):
        page.tags = [str(tag).lstrip("#") for key in ("tags", "tag", "keywords") for tag in opening.get(key, [])]
        for key in ("date", "created", "created_at", "day"):
            for value in opening.get(key, [])[:1]:
                try:
                    page.occurred_at = moment(value) or page.occurred_at
                except InvalidTime as error:
                    yield Problem(f"{source.name}: {key}", str(error))
        opening = []
    block: list[Line] = []
    length, fence = 0, ""
    for line in chain(opening, lines):
        if isinstance(line, Problem):
            yield line
            continue
        mark = _FENCE.match(line.text)
        heading = None if fence or len(line.text) > _LONGEST_HEADING else _HEADING.match(line.text)
        if heading or (not fence and not line.text.strip()):
            yield from _block(page, block)
            block, length = [], 0
            if heading:
                page.enter(len(heading[1]), heading[2].rstrip().rstrip("#").rstrip())
            continue
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence):
            fence = ""
        if block and length + len(line.text) > _LONGEST_BLOCK:
            yield from _block(page, block)
            block, length = [], 0
        block.append(line)
        length += len(line.text) + 1
    yield from _block(page, block)


def _front_matter(lines: Iterator[Line | Problem]) -> dict[str, list[str]] | list[Line | Problem]:
    """Its fields, or the lines that were looked at where there is none."""
    looked_at: list[Line | Problem] = []
    fields: dict[str, list[str]] = {}
    key, length = "", 0
    for line in lines:
        looked_at.append(line)
        text = "" if isinstance(line, Problem) else line.text.rstrip()
        length += len(text)
        if len(looked_at) == 1:
            if text != "---":
                return looked_at
        elif text in ("---", "..."):
            return fields
        elif found := _FIELD.fullmatch(text):
            key = found[1].lower()
            value = found[2].strip()
            listed = value[1:-1].split(",") if value.startswith("[") and value.endswith("]") else [value]
            fields[key] = [one for item in listed if (one := item.strip().strip("\"'"))]
        elif key and text.lstrip().startswith("- "):
            fields[key].append(text.lstrip()[2:].strip().strip("\"'"))
        if len(looked_at) > _MOST_FRONT_LINES or length > _MOST_FRONT_LENGTH:
            break
    return looked_at


def _block(page: _Page, block: list[Line]) -> Iterator[Message | Problem]:
    text = "\n".join(line.text for line in block).strip("\n")
    if not text.strip(" \t\n-*_=#>"):
        return  # nothing, or a rule across the page
    occurred_at = page.time()
    headings = [title for _, title, _ in page.headings]
    metadata: dict[str, Any] = {"file": page.name}
    if headings:
        metadata["headings"] = headings
    if page.tags:
        metadata["tags"] = page.tags
    content = digest(page.name, *headings, text)
    page.seen[content] += 1
    yield whole(
        Message(
            text=text,
            id=make_id("markdown", content, *([str(page.seen[content])] if page.seen[content] > 1 else [])),
            location=block[0].location,
            session=occurred_at.date().isoformat() if occurred_at else page.name,
            occurred_at=occurred_at,
            metadata=metadata,
        )
    )


def _midnight(day: date | None) -> datetime | None:
    return datetime.combine(day, time.min, UTC) if day else None
