"""Moving pasts in and out: import from files of many formats, export to one open format.

An import reads a stream and writes batches, each one transaction. Ids follow from the file, so an entry that is already
there is skipped before anything is embedded: importing twice is harmless, and an import that was cut short goes on where
it was. What cannot be read is reported with its place and does not stop the rest.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from mnemic._version import __version__
from mnemic.errors import IdConflict, InvalidEpisode, InvalidInput, InvalidScope, ParameterError
from mnemic.formats.message import Message, Problem
from mnemic.formats.registry import read
from mnemic.memory.intake import checked_json, checked_text
from mnemic.memory.shared import Shared
from mnemic.model import ECHO, OBSERVED, Episode, join_scope
from mnemic.ops.repeats import content_hash
from mnemic.progress import track
from mnemic.store.contract import Entry, iterate
from mnemic.store.rows import has_same_content
from mnemic.text.terms import as_said, terms

_BATCH = 256
MAX_IMPORTED_NAME = 1024  # wider than what `add` takes: other programs have made these


@dataclass(slots=True)
class Imported:
    """What an import did."""

    added: int = 0
    skipped: int = 0  # already there
    problems: list[Problem] = field(default_factory=list)
    scopes: dict[str, int] = field(default_factory=dict)  # scope -> episodes added

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            "added": self.added,
            "skipped": self.skipped,
            "scopes": dict(self.scopes),
            "problems": [
                {"location": one.location, "reason": one.reason, "excerpt": one.excerpt} for one in self.problems
            ],
        }


def import_file(
    shared: Shared, scope: str, path: str | Path, format: str | None = None, *, show_progress: bool = False
) -> Imported:
    """Read a file into the scope; what has scopes of its own goes below it. Raises FormatError for an unknown format."""
    shared.must_write()
    done = Imported()
    stream = iter(track(read(path, format), f"Importing {Path(path).name}", show=show_progress))
    while batch := list(islice(stream, _BATCH)):
        done.problems += [one for one in batch if isinstance(one, Problem)]
        by_scope: dict[str, list[Message]] = {}
        for one in batch:
            if isinstance(one, Message):
                try:
                    by_scope.setdefault(join_scope(scope, one.scope or ""), []).append(one)
                except InvalidScope as error:
                    done.problems.append(Problem(one.location, str(error)))
        for target, messages in by_scope.items():
            _append(shared, target, messages, done)
    return done


def check_target(shared: Shared, path: Path) -> None:
    """Refuse to export onto the store itself. Raises ParameterError."""
    own = shared.store.path
    if own is not None and path.name.startswith(own.name) and path.absolute().parent.resolve() == own.parent.resolve():
        raise ParameterError(f"{path} is a file of the memory itself. Export to another name, such as memory.jsonl.")


def export_file(shared: Shared, scope: str, path: Path, *, include_children: bool = True) -> int:
    """`export` into a file, which is there whole or not at all. Raises ParameterError for a file of the store itself."""
    check_target(shared, path)
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with draft.open("w", encoding="utf-8") as out:
            written = export(shared, scope, out, include_children=include_children)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return written


def backup_file(shared: Shared, path: Path) -> Path:
    """A consistent copy of the store, which is there whole or not at all. Raises ParameterError for a file that exists."""
    if path.exists():
        raise ParameterError(f"{path} exists, and a backup overwrites nothing. Give the name of a new file.")
    if not path.parent.is_dir():
        raise ParameterError(f"The folder {path.parent} does not exist. Make it first.")
    shared.flush_recalls()
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        shared.store.backup(draft)
        with draft.open("rb+") as copy:
            os.fsync(copy.fileno())
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def export(shared: Shared, scope: str, out: TextIO, *, include_children: bool = True) -> int:
    """Write a scope as JSON Lines; how many episodes there were."""
    written = -1  # the header is no episode
    for line in export_lines(shared, scope, include_children=include_children):
        out.write(line)
        written += 1
    return written


def export_lines(shared: Shared, scope: str, *, include_children: bool = True) -> Iterator[str]:
    """A scope as JSON Lines: a header, then one episode a line.

    Scopes are written relative to the exported one, so that an import can put them anywhere.
    """
    paths = [path for path in shared.store.scopes(scope) if include_children or path == scope]
    header = {"format": "mnemic", "version": 1, "made_by": f"mnemic {__version__}", "scope": scope}
    yield json.dumps(header, ensure_ascii=False) + "\n"
    for path in paths:
        relative = path[len(scope) :].removeprefix("/") if scope else path
        for episode in iterate(shared.store, path):
            yield json.dumps({"type": "episode", **episode.to_dict(), "scope": relative}, ensure_ascii=False) + "\n"


def _append(shared: Shared, scope: str, messages: list[Message], done: Imported) -> None:
    known = {episode.id: episode for episode in shared.store.get(scope, [message.id for message in messages])}
    new: dict[str, Message] = {}
    for message in messages:
        episode = _checked(shared, scope, message, done)
        if episode is None:
            continue
        if message.id not in known:
            known[message.id], new[message.id] = episode, message
        elif has_same_content(episode, known[message.id]):
            done.skipped += 1
        else:
            done.problems.append(
                Problem(message.location, f"The id {message.id[:80]!r} already names other content; that was kept.")
            )
    if not new:
        return
    episodes = [known[id] for id in new]
    vectors = shared.vectors_of([episode.text for episode in episodes])
    by = shared.made_by(vectors)
    entries = [
        Entry(
            episode,
            " ".join(terms(as_said(episode.actor, episode.text))),
            content_hash(episode.text),
            None if vectors is None else vectors[place].tobytes(),
            True,
        )
        for place, episode in enumerate(episodes)
    ]
    try:
        appended = shared.store.append(entries, by)
    except IdConflict:  # another process imported the same file with other content meanwhile: one by one, then
        for entry in entries:
            try:
                _count(done, scope, shared.store.append([entry], by).is_new)
            except IdConflict as error:
                done.problems.append(Problem(new[entry.episode.id].location, str(error)))
        return
    _count(done, scope, appended.is_new)


def _count(done: Imported, scope: str, is_new: tuple[bool, ...]) -> None:
    done.added += sum(is_new)
    done.skipped += len(is_new) - sum(is_new)
    done.scopes[scope] = done.scopes.get(scope, 0) + sum(is_new)


def _checked(shared: Shared, scope: str, message: Message, done: Imported) -> Episode | None:
    now = shared.clock.now()
    try:
        for name in (message.id, message.role, message.actor, message.session):
            if name is not None and (not name or "\0" in name or len(name) > MAX_IMPORTED_NAME):
                raise InvalidEpisode(f"An id, role, actor or session is empty, too long or has a NUL: {name[:40]!a}.")
        parts = checked_json({"parts": list(message.parts)}, "content")["parts"] if message.parts else []
        return Episode(
            text=checked_text(message.text),
            id=message.id,
            scope=scope,
            occurred_at=message.occurred_at or message.recorded_at or now,
            recorded_at=message.recorded_at or now,
            role=message.role,
            actor=message.actor,
            session=message.session,
            metadata=checked_json(message.metadata, "metadata") if message.metadata else {},
            parts=tuple(parts),
            supersedes=message.supersedes,
            origin=ECHO if message.origin == ECHO else OBSERVED,
            echo_of=message.echo_of,
        )
    except InvalidInput as error:
        done.problems.append(Problem(message.location, str(error)))
        return None
