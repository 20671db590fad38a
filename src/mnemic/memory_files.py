"""The files of an agent's memory: the six commands of the `memory_20250818` tool, on documents instead of a disk.

    files = MemoryFiles(memory.scope("acme/alice"), actor="tutor")
    files.create("/memories/plans.md", "Tea at five.\\n", reason="Alice asked")
    print(files.view("/memories"))

A file is a document in the scope "memories" below the handle's. There is no file system behind it, so no link and no
".." leads anywhere, and a directory is there as long as a file is in it. Every edit is a version with who made it and
why; edits are compare-and-set, so of two agents that edit at once neither loses a word. A deleted file keeps its
versions and can be restored; `redact` and `purge` forget for good.

Commands answer with the texts that the tool's protocol has. Arguments that it does not have, `reason` and
`expected_sha256`, are welcome wherever a file is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from mnemic.documents import Document, Documents, Log
from mnemic.errors import EditConflict, EpisodeNotFound, MnemicError, ParameterError, StoreError
from mnemic.memory.forget import Receipt
from mnemic.text.edits import Replaced, insert_at, numbered, replace_once
from mnemic.text.listing import listing
from mnemic.text.paths import checked_path

ROOT = "/memories"
MAX_BYTES = 102_400
_ATTEMPTS = 16
_AROUND = 2  # lines shown before and behind a change
Operation = Literal["created", "modified", "deleted"]


class HasScopes(Protocol):
    """What is asked of a handle: `Memory` has it."""

    def scope(self, path: str) -> Log: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FileVersion:
    """One state of a file, and who brought it about."""

    version: str
    path: str
    operation: Operation
    text: str | None  # None where the file was deleted
    sha256: str | None
    actor: str | None
    reason: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class _Arguments:
    """What a command must and may be given."""

    needed: tuple[str, ...]
    welcome: tuple[str, ...]


_ARGUMENTS = {
    "view": _Arguments(("path",), ("view_range",)),
    "create": _Arguments(("path", "file_text"), ("reason",)),
    "str_replace": _Arguments(("path", "old_str"), ("new_str", "reason", "expected_sha256")),
    "insert": _Arguments(("path", "insert_line", "insert_text"), ("reason", "expected_sha256")),
    "delete": _Arguments(("path",), ("reason", "expected_sha256")),
    "rename": _Arguments(("old_path", "new_path"), ("reason",)),
}


class MemoryFiles:
    """The memory files of one scope, under `/memories`. Cheap to make; nothing is written before a command asks for it."""

    def __init__(self, handle: HasScopes, *, actor: str | None = None, max_bytes: int = MAX_BYTES) -> None:
        self._documents = Documents(handle.scope(ROOT.removeprefix("/")))
        self._actor = actor
        self._max_bytes = max_bytes

    # -- the commands of the tool ---------------------------------------------------------------------------

    def view(self, path: str, view_range: Sequence[int] | None = None) -> str:
        """A file with numbered lines, or those of `view_range` ([first, last], from 1, -1 being the end); or a directory's tree,
        two levels deep, with sizes, without hidden names."""
        inside = checked_path(path)
        file = self._found(inside)
        if file is not None:
            first, last = _range(view_range, file.text.count("\n") + 1)
            shown = numbered(file.text, first, last)
            return f"Here's the content of {_outside(inside)} with line numbers:\n{shown}"
        below = self._below(inside)
        if inside and not below:
            raise _missing(inside)
        sizes = {_outside(file.name): len(file.text.encode()) for file in below}
        return (
            f"Here're the files and directories up to 2 levels deep in {_outside(inside)}, "
            f"excluding hidden items and node_modules:\n{listing(_outside(inside), sizes)}"
        )

    def create(self, path: str, file_text: str, *, reason: str | None = None) -> str:
        """A new file. Raises EditConflict where something of that name is there: nothing is overwritten."""
        inside = self._file_path(path)
        self._check_text(inside, file_text)
        self._check_free(inside, f"File {_outside(inside)} already exists")
        try:
            self._put(inside, file_text, expected=None, reason=reason or "create")
        except EditConflict as error:
            raise EditConflict(f"File {_outside(inside)} already exists.") from error
        return f"File created successfully at: {_outside(inside)}"

    def str_replace(
        self,
        path: str,
        old_str: str,
        new_str: str = "",
        *,
        reason: str | None = None,
        expected_sha256: str | None = None,
    ) -> str:
        """Replace text that stands in the file exactly once; the answer shows the lines around it."""
        inside = self._file_path(path)
        for name, text in (("old_str", old_str), ("new_str", new_str)):
            _check_is_text(name, text)
        made: list[Replaced] = []

        def change(text: str) -> str:
            made.append(replace_once(text, old_str, new_str, name="old_str", place=_outside(inside)))
            return made[-1].text

        self._edit(inside, change, reason or "str_replace", expected_sha256)
        done = made[-1]
        shown = numbered(done.text, max(1, done.first_line - _AROUND), done.last_line + _AROUND)
        return f"The memory file has been edited. Here is the snippet showing the change (with line numbers):\n{shown}"

    def insert(
        self,
        path: str,
        insert_line: int,
        insert_text: str,
        *,
        reason: str | None = None,
        expected_sha256: str | None = None,
    ) -> str:
        """Insert whole lines behind a line; 0 is the top."""
        inside = self._file_path(path)
        _check_is_text("insert_text", insert_text)
        self._edit(
            inside,
            lambda text: insert_at(text, insert_line, insert_text, name="insert_line"),
            reason or "insert",
            expected_sha256,
        )
        return f"The file {_outside(inside)} has been edited."

    def delete(self, path: str, *, reason: str | None = None, expected_sha256: str | None = None) -> str:
        """Delete a file, or a directory with all that is in it; never the root. The versions stay: see `restore`."""
        inside = checked_path(path)
        if not inside:
            raise ParameterError(f"Cannot delete the {ROOT} directory itself. Delete what is in it, by name.")
        for file in self._chosen(inside, expected_sha256):
            self._delete(file, reason or "delete")
        return f"Successfully deleted {_outside(inside)}"

    def rename(self, old_path: str, new_path: str, *, reason: str | None = None) -> str:
        """Rename or move a file or directory. Raises EditConflict where the destination is there already."""
        old, new = checked_path(old_path), checked_path(new_path)
        if not old or not new:
            raise ParameterError(f"Cannot rename the {ROOT} directory itself, nor put something in its place.")
        chosen = self._chosen(old, None)
        self._check_free(new, f"The destination {_outside(new)} already exists")
        if new.startswith(f"{old}/"):
            raise ParameterError(f"Cannot move {_outside(old)} into itself. Give another destination.")
        for file in chosen:
            target = new + file.name.removeprefix(old)
            self._move(file, target, reason or "rename")
        return f"Successfully renamed {_outside(old)} to {_outside(new)}"

    def clear(self, *, reason: str | None = None) -> str:
        """Delete every file; their versions stay, so each can be restored."""
        for file in self._below(""):
            self._delete(file, reason or "clear")
        return "All memory cleared"

    def execute(self, command: object) -> str:
        """Run one command of the tool, as the model sent it. Raises a MnemicError that says what to do."""
        if not isinstance(command, Mapping):
            raise ParameterError(
                f"A command is an object with 'command' and its arguments; {type(command).__name__} was given."
            )
        name = command.get("command")
        wanted = _ARGUMENTS.get(name) if isinstance(name, str) else None
        if not isinstance(name, str) or wanted is None:
            raise ParameterError(f"Unknown command: {name!r}. Commands are {', '.join(_ARGUMENTS)}.")
        given = {key: value for key, value in command.items() if key != "command" and value is not None}
        if missing := [key for key in wanted.needed if key not in given]:
            raise ParameterError(f"{name} needs `{missing[0]}`. Give it and try again.")
        if unknown := [key for key in given if key not in wanted.needed + wanted.welcome]:
            raise ParameterError(
                f"{name} takes no `{unknown[0]}`. It takes {', '.join(wanted.needed + wanted.welcome)}."
            )
        done = getattr(self, name)(**given)
        assert isinstance(done, str)
        return done

    def handle_command(self, command: Mapping[str, Any]) -> str:
        """`execute`, with a refusal as a text for the model, "Error: ...". What the store cannot do is raised."""
        try:
            return self.execute(command)
        except StoreError:
            raise
        except MnemicError as error:
            return f"Error: {error}"

    # -- for programs -----------------------------------------------------------------------------------------

    def read(self, path: str) -> Document:
        """The file as it stands: text, version, sha256, when, by whom and why. Raises EpisodeNotFound."""
        return self._existing(self._file_path(path))

    def write(self, path: str, text: str, *, reason: str | None = None, expected_sha256: str | None = None) -> Document:
        """Set a file's text, whole, whether it is there or not.

        expected_sha256: the hash that its text must have now. Raises EditConflict, and writes nothing, where it has another.
        """
        inside = self._file_path(path)
        self._check_text(inside, text)
        for _ in range(_ATTEMPTS):
            file = self._found(inside)
            if file is None:
                self._check_free(inside, f"{_outside(inside)} is a directory. Give the path of a file")
            self._check_hash(inside, file, expected_sha256)
            try:
                return self._put(inside, text, None if file is None else file.version, reason or "write")
            except EditConflict:
                continue
        raise _contended(inside)

    def paths(self, path: str = ROOT) -> list[str]:
        """Every file below a directory, hidden ones too."""
        return [_outside(file.name) for file in self._below(checked_path(path))]

    def versions(self, path: str) -> list[FileVersion]:
        """Every version of the file at `path`, oldest first, with deletions and from before it was renamed."""
        told, used = list[FileVersion](), set[str]()
        for life in reversed(_lives(self._documents.history(self._file_path(path)))):
            if life[0].version not in used:
                told[:0] = self._told(life, used)
        return told

    def restore(self, path: str, version: str, *, reason: str | None = None) -> Document:
        """Give the file the text of one of its versions again, as a new version. It may have been deleted since."""
        wanted = next((one for one in self.versions(path) if one.version == version), None)
        if wanted is None or wanted.text is None:
            raise EpisodeNotFound(f"{path} has no version {version!r} with a text. `versions` lists those it has.")
        return self.write(path, wanted.text, reason=reason or f"restored {version}")

    def redact(self, path: str, *, reason: str | None = None) -> Receipt:
        """Forget every earlier version of a file for good; what it says now stays, as its first version.

        In between the file is deleted for a moment: a crash then leaves its text in `versions`, to be restored.
        """
        inside = self._file_path(path)
        file = self._existing(inside)
        past = [one.version for one in self.versions(path)]
        reason = reason or "redact"
        self._delete(file, reason)
        try:
            made = self._put(inside, file.text, None, reason)
        except EditConflict as error:
            raise EditConflict(
                f"{_outside(inside)} was made anew by somebody else meanwhile. Nothing was forgotten; its text is in `versions`."
            ) from error
        past = [*past, *(one.version for one in self._documents.history(inside) if one.version != made.version)]
        return self._documents.handle.forget(list(dict.fromkeys(past)), dry_run=False)

    def purge(self, path: str) -> Receipt:
        """Forget a file for good, with every version that it ever had. Raises EpisodeNotFound where there never was one."""
        return self._documents.forget(self._file_path(path))

    # -- inside -----------------------------------------------------------------------------------------------

    def _told(self, life: Sequence[Document], used: set[str]) -> list[FileVersion]:
        """The versions of one life of a file, from before it was renamed, too."""
        told = list[FileVersion]()
        while life:
            first = life[0]
            used.add(first.version)
            begins: Operation = "created" if first.renamed_from is None else "modified"
            told[:0] = [_version(one, "modified" if place else begins) for place, one in enumerate(life)]
            life = self._life_before(first, used)[:-1]  # its end was that it was renamed
        return told

    def _life_before(self, first: Document, used: set[str]) -> Sequence[Document]:
        """The life of a file under the name that it had before `first`."""
        if first.renamed_from is None:
            return ()
        lives = _lives(self._documents.history(first.renamed_from))
        ended = [
            life
            for life in reversed(lives)
            if life[-1].renamed_to == first.name
            and life[-1].updated_at >= first.updated_at
            and life[0].version not in used
        ]
        return min(ended, key=lambda life: life[-1].updated_at, default=())

    def _edit(self, inside: str, change: Callable[[str], str], reason: str, expected_sha256: str | None) -> None:
        """Change the text; where somebody else was faster, change what they made of it."""
        for _ in range(_ATTEMPTS):
            file = self._existing(inside)
            self._check_hash(inside, file, expected_sha256)
            text = change(file.text)
            self._check_text(inside, text)
            if text == file.text:
                return
            try:
                self._put(inside, text, file.version, reason)
            except EditConflict:
                continue
            return
        raise _contended(inside)

    def _put(self, inside: str, text: str, expected: str | None, reason: str) -> Document:
        return self._documents.put(inside, text, expected=expected, actor=self._actor, reason=reason)

    def _delete(self, file: Document, reason: str) -> None:
        try:
            self._documents.delete(file.name, expected=file.version, actor=self._actor, reason=reason)
        except EditConflict as error:
            raise _contended(file.name) from error

    def _move(self, file: Document, target: str, reason: str) -> None:
        try:
            self._documents.rename(file.name, target, actor=self._actor, reason=reason)
        except (EditConflict, EpisodeNotFound) as error:
            raise _contended(file.name) from error

    def _file_path(self, path: str) -> str:
        inside = checked_path(path)
        if not inside:
            raise ParameterError(f"{ROOT} is a directory. Give the path of a file in it, such as {ROOT}/notes.md.")
        return inside

    def _found(self, inside: str) -> Document | None:
        return self._documents.get(inside) if inside else None

    def _existing(self, inside: str) -> Document:
        file = self._found(inside)
        if file is None:
            if self._below(inside):
                raise ParameterError(f"The path {_outside(inside)} is not a file.")
            raise _missing(inside)
        return file

    def _below(self, inside: str) -> list[Document]:
        return self._documents.list(f"{inside}/" if inside else "")

    def _chosen(self, inside: str, expected_sha256: str | None) -> list[Document]:
        """The file, or those in the directory."""
        file = self._found(inside)
        if file is not None or expected_sha256 is not None:
            self._check_hash(inside, file, expected_sha256)
        chosen = [file] if file is not None else self._below(inside)
        if not chosen:
            raise _missing(inside)
        return chosen

    def _check_free(self, inside: str, message: str) -> None:
        """Raise where the path is taken, or leads through a file."""
        if self._found(inside) is not None or self._below(inside):
            raise EditConflict(f"{message}.")
        segments = inside.split("/")
        above = ["/".join(segments[:depth]) for depth in range(1, len(segments))]
        if files := sorted(self._documents.get_all(above)):
            raise ParameterError(f"{_outside(files[0])} is a file, so nothing can be in it. Choose another path.")

    def _check_text(self, inside: str, text: str) -> None:
        _check_is_text("file_text", text)
        size = len(text.encode("utf-8", "surrogatepass"))
        if size > self._max_bytes:
            raise ParameterError(
                f"{_outside(inside)} would have {size:,} bytes; {self._max_bytes:,} is the most. Nothing was changed. "
                f"Leave out {size - self._max_bytes:,} bytes, or split the file."
            )

    def _check_hash(self, inside: str, file: Document | None, expected_sha256: str | None) -> None:
        if expected_sha256 is None:
            return
        now = None if file is None else file.sha256
        if not isinstance(expected_sha256, str) or expected_sha256.lower() != now:
            stands = f"Its sha256 is {now} now" if now else "It is not there now"
            raise EditConflict(
                f"{_outside(inside)} is not as you read it. {stands}. Nothing was changed. View it and try again."
            )


# -- texts ------------------------------------------------------------------------------------------------------


def _outside(inside: str) -> str:
    return f"{ROOT}/{inside}" if inside else ROOT


def _missing(inside: str) -> EpisodeNotFound:
    return EpisodeNotFound(f"The path {_outside(inside)} does not exist. Please provide a valid path.")


def _contended(inside: str) -> EditConflict:
    return EditConflict(f"{_outside(inside)} was changed by somebody else at the same time. View it and try again.")


def _check_is_text(name: str, text: object) -> None:
    if not isinstance(text, str):
        raise ParameterError(f"`{name}` is {type(text).__name__}; text is expected.")


def _range(view_range: Sequence[int] | None, lines: int) -> tuple[int, int]:
    """The first and the last line to show."""
    if view_range is None:
        return 1, lines
    given = list(view_range) if isinstance(view_range, list | tuple) else []
    if len(given) != 2 or not all(type(one) is int for one in given):
        raise ParameterError(f"Invalid `view_range`: {view_range!r}. Give [first, last], with -1 for the end.")
    first, last = max(1, given[0]), lines if given[1] == -1 else min(given[1], lines)
    if first > last:
        raise ParameterError(f"Invalid `view_range`: {given}. The file has the lines [1, {lines}].")
    return first, last


def _lives(history: Sequence[Document]) -> list[list[Document]]:
    """The versions of a name, cut behind each deletion."""
    lives: list[list[Document]] = [[]]
    for one in history:
        lives[-1].append(one)
        if one.is_deleted:
            lives.append([])
    return [life for life in lives if life]


def _version(one: Document, operation: Operation) -> FileVersion:
    return FileVersion(
        version=one.version,
        path=_outside(one.name),
        operation="deleted" if one.is_deleted else operation,
        text=None if one.is_deleted else one.text,
        sha256=None if one.is_deleted else one.sha256,
        actor=one.actor,
        reason=one.reason,
        at=one.updated_at,
    )
