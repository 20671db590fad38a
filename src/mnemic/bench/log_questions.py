"""A user's own questions to a log, from JSON Lines: one question a line, with its evidence or its answer.

    {"question": "Where does she live?", "evidence": ["m1"], "asked_at": "2024-06-01"}
    {"question": "What is the door code?", "answer": "8264", "scope": "acme/alice"}

The first is scored by whether the episodes are recalled, the second by whether a recalled text holds the answer's words.
A scope is meant inside the one that is compared. Every line is checked before anything is asked, and what is wrong is
said with its line.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemic.bench.probe import GIVEN, LogQuestion
from mnemic.clock import parse_time
from mnemic.errors import FormatError, InvalidInput
from mnemic.model import ECHO, Episode, join_scope
from mnemic.systems.view import HIDDEN_ROLES

_FIELDS = ("question", "evidence", "answer", "asked_at", "scope")
_SHOWN = 5  # problems


def read_questions(path: str | Path, logs: Mapping[str, Sequence[Episode]], scope: str = "") -> list[LogQuestion]:
    """The questions of a file, checked against the log. logs: episodes by absolute scope; scope: the one compared.

    Raises FormatError with the first five problems, each behind its line's number.
    """
    try:
        lines = Path(path).read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise FormatError(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}). Save it as UTF-8."
        ) from None
    known = {place: _Known.of(log) for place, log in logs.items()}
    found, problems = list[LogQuestion](), list[str]()
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                found.append(_question(line, number, known, scope))
            except (FormatError, InvalidInput) as error:
                problems.append(f"{path}:{number}: {error}")
    if problems:
        more = f" (and {len(problems) - _SHOWN} more lines)" if len(problems) > _SHOWN else ""
        raise FormatError(" ".join(problems[:_SHOWN]) + more)
    if not found:
        raise FormatError(f'{path} has no questions. Write one a line: {{"question": "…", "evidence": ["id"]}}.')
    return found


@dataclass(frozen=True, slots=True)
class _Known:
    """What can be evidence in a scope, and what cannot, with why."""

    ids: frozenset[str]
    never: Mapping[str, str]

    @classmethod
    def of(cls, log: Sequence[Episode]) -> _Known:
        never = {}
        for one in log:
            if one.supersedes:
                never[one.supersedes] = f"was corrected by {one.id!r}; name that one"
            if one.origin == ECHO:
                never[one.id] = (
                    f"only repeats what was recalled; name {', '.join(map(repr, one.echo_of)) or 'its source'}"
                )
            if one.role in HIDDEN_ROLES:
                never[one.id] = f"has the role {one.role!r}, which is never recalled"
        return cls(frozenset(one.id for one in log), never)


def _question(line: str, number: int, known: Mapping[str, _Known], compared: str) -> LogQuestion:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"This is not JSON ({error}).") from None
    if not isinstance(entry, dict):
        raise FormatError('This is no JSON object. Write {"question": "…", "evidence": ["id"]}.')
    for name in entry:
        if name not in _FIELDS:
            near = difflib.get_close_matches(name, _FIELDS, 1)
            raise FormatError(f"There is no field {name!r}; {f'did you mean {near[0]!r}?' if near else _fields()}")
    place = join_scope(compared, _text(entry, "scope") or "")
    asked_at = entry.get("asked_at")
    question = LogQuestion(
        id=f"line-{number}",
        text=_text(entry, "question") or "",
        kind=GIVEN,
        scope=place,
        evidence=_evidence(entry),
        answer=_text(entry, "answer"),
        asked_at=None if asked_at is None else parse_time(asked_at),
    )
    if not question.text:
        raise FormatError("The question is missing or empty.")
    if not question.evidence and not question.answer:
        raise FormatError('Give "evidence", a list of episode ids, or "answer", a text.')
    if place not in known:
        raise FormatError(f"Nothing is remembered in the scope {place!r}. There are: {', '.join(map(repr, known))}.")
    for id in question.evidence:
        if id not in known[place].ids:
            raise FormatError(f"The scope {place!r} has no episode {id!r}. `mnemic list` shows the ids.")
        if id in known[place].never:
            raise FormatError(f"The episode {id!r} {known[place].never[id]}.")
    return question


def _text(entry: Mapping[str, Any], name: str) -> str | None:
    value = entry.get(name)
    if value is not None and not isinstance(value, str):
        raise FormatError(f"{name!r} is {type(value).__name__}; text is expected.")
    return value.strip() if value else None


def _evidence(entry: Mapping[str, Any]) -> tuple[str, ...]:
    value = entry.get("evidence", [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise FormatError("'evidence' is a list of episode ids, such as [\"m1\"].")
    return tuple(dict.fromkeys(value))


def _fields() -> str:
    return f"there are: {', '.join(_FIELDS)}."
