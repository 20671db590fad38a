"""Our own export: a header line, then one episode a line, as `Episode.to_dict()` writes it.

Nothing that an episode holds is lost, its id and its time of recording included. Lines with a `type` of "record" or
"link" are counted and passed over, because systems make those again from the episodes.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from mnemic.clock import parse_time
from mnemic.errors import FormatError, InvalidTime
from mnemic.formats.limits import LIMITS, Limits
from mnemic.formats.message import Message, Problem, excerpt, whole
from mnemic.formats.source import Line, Sample, lines

VERSION = 1
_TELLING = re.compile(r'\s*\{[^{}\n]*"format"\s*:\s*"mnemic"')
_TEXTS = ("id", "scope", "text", "role")
_OPTIONAL_TEXTS = ("actor", "session", "supersedes")
_TIMES = ("occurred_at", "recorded_at")
_KNOWN = {*_TEXTS, *_OPTIONAL_TEXTS, *_TIMES, "metadata", "parts", "origin", "echo_of", "type", "seq"}


def is_mnemic(sample: Sample) -> bool:
    """Whether it begins with our header."""
    return bool(_TELLING.match(sample.head))


def read_mnemic(path: Path, limits: Limits = LIMITS) -> Iterator[Message | Problem]:
    """The episodes in order. Raises FormatError where the header is missing or of a newer version."""
    has_header = False
    passed_over: Counter[str] = Counter()
    for line in lines(path, re.compile(r".*\.jsonl"), limits):
        if isinstance(line, Problem):
            yield line
            continue
        if not line.text.strip():
            continue
        value = _value(line)
        if not has_header:
            _check_header(value, line)
            has_header = True
        elif isinstance(value, Problem):
            yield value
        elif value.get("type", "episode") != "episode":
            passed_over[excerpt(value["type"])] += 1
        else:
            yield from _episode(value, line.location)
    for kind, count in sorted(passed_over.items()):
        yield Problem(path.name, f"Lines of the type {kind} were passed over ({count:,}); systems make those again.")


def _value(line: Line) -> dict[str, Any] | Problem:
    try:
        value = json.loads(line.text)
    except RecursionError:
        return Problem(line.location, "It is nested too deep.", excerpt(line.text))
    except ValueError as error:
        return Problem(line.location, f"It is no JSON: {error}.", excerpt(line.text))
    return value if isinstance(value, dict) else Problem(line.location, "It is no object.", excerpt(value))


def _check_header(value: dict[str, Any] | Problem, line: Line) -> None:
    if isinstance(value, Problem) or value.get("format") != "mnemic":
        raise FormatError(
            f'{line.location} is no header {{"format": "mnemic", "version": {VERSION}}}. Name the format.'
        )
    if not isinstance(value.get("version"), int) or value["version"] > VERSION:
        raise FormatError(
            f"{line.location} has the version {excerpt(value.get('version'))}; {VERSION} is the newest that this Mnemic "
            "reads. Update Mnemic."
        )


def _episode(value: Mapping[str, Any], location: str) -> Iterator[Message | Problem]:
    wrong = [key for key in _TEXTS if not isinstance(value.get(key), str)]
    wrong += [key for key in _OPTIONAL_TEXTS if not isinstance(value.get(key), str | None)]
    if not isinstance(value.get("metadata", {}), dict):
        wrong.append("metadata")
    if not _is_list(value.get("parts", []), dict):
        wrong.append("parts")
    if not _is_list(value.get("echo_of", []), str):
        wrong.append("echo_of")
    if value.get("origin", "observed") not in ("observed", "echo"):
        wrong.append("origin")
    times: dict[str, datetime] = {}
    for key in _TIMES:
        try:
            times[key] = parse_time(value.get(key, ""))
        except InvalidTime:
            wrong.append(key)
    if wrong:
        yield Problem(location, f"It is no episode: {', '.join(wrong)} missing or of the wrong type.", excerpt(value))
        return
    if unknown := sorted(set(value) - _KNOWN):
        yield Problem(location, f"The fields {excerpt(', '.join(unknown))} are not known; the rest is kept.")
    yield whole(
        Message(
            text=value["text"],
            id=value["id"],
            location=location,
            role=value["role"],
            actor=value.get("actor"),
            session=value.get("session"),
            occurred_at=times["occurred_at"],
            recorded_at=times["recorded_at"],
            metadata=value.get("metadata", {}),
            parts=tuple(value.get("parts", [])),
            scope=value["scope"],
            supersedes=value.get("supersedes"),
            origin=value.get("origin", "observed"),
            echo_of=tuple(value.get("echo_of", [])),
        )
    )


def _is_list(value: object, of: type) -> bool:
    return isinstance(value, list) and all(isinstance(one, of) for one in value)
