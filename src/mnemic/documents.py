"""Documents: named values kept on the log, with versions, who and why, and compare-and-set.

    documents = Documents(memory.scope("acme/alice"))
    plan = documents.put("plan", "Call the dentist.")
    documents.put("plan", "Call the dentist on Monday.", expected=plan.version, actor="tutor", reason="she said so")
    print(documents.get("plan").text, len(documents.history("plan")))

Every edit is an episode; the system "documents" folds them into what stands now. A version is the id of its edit. An
edit supersedes the one before it, which the store lets only one writer do, and the first edit of a name has an id that
follows from the name, so that of two writers who make the same document one is told so. A deletion is an edit, too:
the history stays, and the name may begin again. `forget` removes every version for good.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Final, Protocol

from mnemic.clock import Clock, SystemClock, parse_time
from mnemic.errors import EditConflict, EpisodeNotFound, IdConflict, ParameterError
from mnemic.memory.forget import Receipt
from mnemic.memory.intake import Time
from mnemic.memory.remember import Added
from mnemic.memory.results import Version
from mnemic.model import Episode, Hit, Reason, Recall, Record
from mnemic.systems.documents import DELETE, ID, KEPT_BESIDE, KEY, PUT, edit_in, follow, state_id, version_id

ROLE = "document"  # whose words an edit is, for whoever reads the log
MAX_NAME = 4096
_TRIES = 100  # writers that may come first before a put without a condition gives up
_PAGE = 1000


class _Any(Enum):
    ANY = "any"


ANY: Final = _Any.ANY  # whatever version stands now, or none
Expected = str | None | _Any
Episodes = list[Episode]  # names for what Documents.list would hide from type checkers inside the class
Listed = list["Document"]
Hits = list["Found"]
Ids = list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One version of a named value."""

    name: str
    text: str
    version: str  # the id of the edit that made it: what `expected` is compared with
    number: int  # how many edits of this name there had been with it, from 1
    created_at: datetime  # when the document was made, or made again after a deletion
    updated_at: datetime  # when this version was
    value: Any = None  # any JSON value, exactly as it was put
    actor: str | None = None
    reason: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    scope: str = ""
    is_deleted: bool = False  # this version says that the document is gone
    renamed_from: str | None = None
    renamed_to: str | None = None

    @property
    def sha256(self) -> str:
        """The SHA-256 of the text in UTF-8, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values, empty fields left out."""
        values: dict[str, Any] = {
            "name": self.name,
            "text": self.text,
            "version": self.version,
            "number": self.number,
            "created_at": self.created_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
            "scope": self.scope,
        }
        for name in ("value", "actor", "reason", "renamed_from", "renamed_to"):
            if (value := getattr(self, name)) is not None:
                values[name] = value
        if self.metadata:
            values["metadata"] = dict(self.metadata)
        if self.is_deleted:
            values["is_deleted"] = True
        return values


@dataclass(frozen=True, slots=True)
class Found:
    """A document that answers a query, with its score and why."""

    document: Document
    score: float
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """One document to put, for `put_all`."""

    name: str
    text: str
    value: Any = None
    actor: str | None = None
    reason: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    vectors: Any = None  # JSON kept beside the edit, out of the document: what an index of its own made of it

    def said(self, op: str = PUT, **more: Any) -> dict[str, Any]:
        """The metadata of the edit."""
        edit = {"value": self.value, "actor": self.actor, "reason": self.reason, **more}
        told = {key: value for key, value in edit.items() if value is not None}
        beside = {} if self.vectors is None else {KEPT_BESIDE: self.vectors}
        return {**self.metadata, **beside, KEY: {"name": self.name, "op": op, **told}}


class Log(Protocol):
    """What is asked of a handle: `Memory` has it, and whatever else has its verbs."""

    @property
    def scope_path(self) -> str: ...

    def system(self, id: str) -> Log: ...

    def add(self, messages: Sequence[Mapping[str, Any]]) -> Added: ...

    def update(self, id: str, text: str, *, metadata: Mapping[str, Any], occurred_at: datetime) -> Episode: ...

    def search(
        self,
        query: str,
        *,
        limit: int,
        threshold: float,
        as_of: Time | None,
        filters: Mapping[str, Any] | None,
    ) -> Recall: ...

    def records(
        self,
        *,
        system: str,
        kind: str | None = None,
        ids: Sequence[str] | None = None,
        include_retired: bool = True,
        after: str | None = None,
        limit: int = 1000,
    ) -> list[Record]: ...

    def history(self, id: str) -> list[Version]: ...

    def forget(self, id: Sequence[str], *, dry_run: bool) -> Receipt: ...


class Documents:
    """The documents of one scope: a view on a handle, cheap to make."""

    def __init__(self, handle: Log, *, clock: Clock | None = None) -> None:
        self.handle = handle
        self._clock = clock or SystemClock()

    # -- reading ------------------------------------------------------------------------------------------

    def get(self, name: str, *, as_of: Time | None = None) -> Document | None:
        """The document as it stands, or as it stood at a time; None where there is, or was, none."""
        if as_of is not None:
            until = parse_time(as_of, end_of_day=True)
            versions = [one for one in self.history(name) if one.updated_at <= until]
            return versions[-1] if versions and not versions[-1].is_deleted else None
        state = self._state(checked_name(name))
        return None if state is None or state.retired_at else document_of(state)

    def get_all(self, names: Sequence[str]) -> dict[str, Document]:
        """Those of the named documents that there are, by name."""
        return {name: document_of(state) for name, state in self._states(names).items() if state.retired_at is None}

    def list(self, prefix: str = "") -> Listed:
        """The documents whose names begin with `prefix`, by name."""
        found = [document_of(state) for state in self._all_states() if state.data["name"].startswith(prefix)]
        return sorted(found, key=lambda one: one.name)

    def history(self, name: str) -> Listed:
        """Every version of a name, oldest first, with its deletions; empty where there never was any."""
        episodes = self._episodes_of(checked_name(name))
        versions, state = [], None
        for episode in episodes:
            edit = edit_in(episode)
            assert edit is not None, "the versions of a document are edits"
            state = follow(state, edit, episode.scope)[-1]
            versions.append(document_of(state))
        return versions

    def search(self, query: str, limit: int = 10, *, threshold: float = 0.0, as_of: Time | None = None) -> Hits:
        """The documents that answer `query` by meaning and words, best first, each with its score in [0, 1]."""
        asked = self.handle.system(ID)
        hits = list(asked.search(query, limit=limit, threshold=threshold, as_of=as_of, filters=None))
        if not all(is_document(hit) for hit in hits):  # other episodes stand here, too: leave them out before ranking
            only = {KEY: "*"}
            hits = list(asked.search(query, limit=limit, threshold=threshold, as_of=as_of, filters=only))
        return [Found(document_of(hit.record), hit.score, hit.reasons) for hit in hits if hit.record is not None]

    # -- writing ------------------------------------------------------------------------------------------

    def put(
        self,
        name: str,
        text: str,
        *,
        value: Any = None,
        expected: Expected = ANY,
        actor: str | None = None,
        reason: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Document:
        """Set a document's text and value, whole; the version that was made.

        expected: the version that must stand now, None where there must be no such document, ANY for whatever there is.
        Raises EditConflict, with what stands, and writes nothing where that does not hold; InvalidEpisode for text or
        JSON that cannot be kept.
        """
        wanted = Put(name=name, text=text, value=value, actor=actor, reason=reason, metadata=metadata or {})
        return self._put(wanted, expected)

    def put_all(self, puts: Sequence[Put]) -> Listed:
        """Put several documents, whatever stands; those that are new in one transaction, the others one by one."""
        last = {checked_name(one.name): one for one in puts}
        states = self._states(list(last))
        new = [one for name, one in last.items() if name not in states or states[name].retired_at]
        try:
            made = self._created(new, states)
        except IdConflict:  # somebody else made one of them a moment ago, and nothing was written
            made = {}
        for name, one in last.items():
            if name not in made:
                made[name] = self._put(one, ANY)
        return [made[name] for name in last]

    def delete(
        self, name: str, *, expected: Expected = ANY, actor: str | None = None, reason: str | None = None
    ) -> Document | None:
        """End a document; its history stays. The deletion as a version, None where there was nothing to delete.

        expected: as in `put`. To remove what it said for good, call `forget`.
        """
        return self._delete(name, expected, {"actor": actor, "reason": reason})

    def rename(self, old: str, new: str, *, actor: str | None = None, reason: str | None = None) -> Document:
        """Give a document another name; the document under its new one.

        It is written under the new name and then ended under the old one, so a crash between the two leaves both.
        Raises EpisodeNotFound where there is no such document, and EditConflict where the new name is taken or the
        document changed meanwhile.
        """
        document = self.get(old)
        if document is None:
            raise _missing(old, self.handle.scope_path)
        if checked_name(new) == old:
            return document
        moved = Put(
            name=new,
            text=document.text,
            value=document.value,
            actor=actor or document.actor,
            reason=reason,
            metadata=document.metadata,
        )
        made = self._put(moved, None, renamed_from=old)
        try:
            self._delete(old, document.version, {"actor": actor, "reason": reason, "renamed_to": new})
        except EditConflict:  # the old name has news that the new one lacks: take the move back
            self._delete(new, made.version, {"actor": actor, "reason": "the move was taken back"})
            raise
        return made

    def forget(self, name: str, *, dry_run: bool = False) -> Receipt:
        """Remove every version of a document for good, also from before it was renamed to this name.

        Raises EpisodeNotFound where there never was one.
        """
        ids = self._ids_of(name)
        if not ids:
            raise _missing(name, self.handle.scope_path)
        return self.handle.forget(ids, dry_run=dry_run)

    def forget_all(self, names: Sequence[str]) -> int:
        """As `forget`, for several at once and whether or not there ever were such; how many versions went."""
        for _ in range(_TRIES):
            ids = list(dict.fromkeys(id for name in names for id in self._ids_of(name)))
            try:
                return self.handle.forget(ids, dry_run=False).episodes if ids else 0
            except EpisodeNotFound:  # somebody else forgot one a moment ago
                continue
        raise EditConflict(f"The documents were forgotten by somebody else {_TRIES} times meanwhile. Try again.")

    # -- inside -------------------------------------------------------------------------------------------

    def _state(self, name: str) -> Record | None:
        return self._states([name]).get(name)

    def _states(self, names: Sequence[str]) -> dict[str, Record]:
        found: dict[str, Record] = {}
        for start in range(0, len(names), _PAGE):
            ids = [state_id(name) for name in names[start : start + _PAGE]]
            found |= {one.data["name"]: one for one in self.handle.records(system=ID, ids=ids, limit=_PAGE)}
        return found

    def _all_states(self) -> Iterator[Record]:
        after: str | None = None
        while page := self.handle.records(system=ID, kind="document", include_retired=False, after=after, limit=_PAGE):
            yield from page
            after = page[-1].id

    def _episodes_of(self, name: str) -> Episodes:
        """Every edit of a name, oldest first: chains of versions that supersede each other, one for each life."""
        found: Episodes = []
        state = self._state(name)
        version = None if state is None else state.data["version"]
        while version is not None:
            try:
                chain = [one.episode for one in self.handle.history(version)]
            except EpisodeNotFound:  # forgotten a moment ago
                break
            found[:0] = chain
            ids = [state_id(name), version_id(name, chain[0].id)]
            made = {one.data["version"]: one for one in self.handle.records(system=ID, ids=ids)}
            version = made[chain[0].id].data.get("previous") if chain[0].id in made else None
        return found

    def _put(self, wanted: Put, expected: Expected, **more: Any) -> Document:
        name = checked_name(wanted.name)
        for _ in range(_TRIES):
            state = self._state(name)
            _check_expected(name, expected, state)
            try:
                if state is None or state.retired_at:
                    made = self._created([wanted], {} if state is None else {name: state}, **more).get(name)
                else:
                    made = _document_after(state, self._follow(state, wanted.text, wanted.said(**more)))
            except (EditConflict, EpisodeNotFound, IdConflict):
                made = None
            if made is not None:
                return made
            if expected is not ANY:
                raise _changed(name, self._state(name))
        raise EditConflict(f"The document {name!r} changed {_TRIES} times while it was written. Try again.")

    def _delete(self, name: str, expected: Expected, said: Mapping[str, Any]) -> Document | None:
        for _ in range(_TRIES):
            state = self._state(checked_name(name))
            _check_expected(name, expected, state)
            if state is None or state.retired_at:
                return None
            told = {key: value for key, value in said.items() if value is not None}
            try:
                episode = self._follow(state, "", {KEY: {"name": name, "op": DELETE, **told}})
            except (EditConflict, EpisodeNotFound):
                if expected is not ANY:
                    raise _changed(name, self._state(name)) from None
                continue
            return _document_after(state, episode)
        raise EditConflict(f"The document {name!r} changed {_TRIES} times while it was deleted. Try again.")

    def _follow(self, state: Record, text: str, metadata: Mapping[str, Any]) -> Episode:
        return self.handle.update(state.data["version"], text, metadata=metadata, occurred_at=self._clock.now())

    def _created(self, wanted: Sequence[Put], states: Mapping[str, Record], **more: Any) -> dict[str, Document]:
        """Make documents of names that have none, in one transaction; those that were made, by name.

        One that somebody else just made is left out where it says the same; where it does not, IdConflict, and none is made.
        """
        messages = [
            {
                "role": ROLE,
                "content": [
                    {"type": "text", "text": one.text},
                    {"type": KEY, "name": one.name},  # no edit is without content, so a text may be empty
                ],
                "id": _first_id(one.name, states.get(one.name)),
                "metadata": one.said(**more),
            }
            for one in wanted
        ]
        if not messages:
            return {}
        added = self.handle.add(messages)
        return {
            one.name: _document_after(states.get(one.name), episode)
            for one, episode, is_new in zip(wanted, added.episodes, added.is_new, strict=True)
            if is_new
        }

    def _ids_of(self, name: str) -> Ids:
        """Every version of a name, and of what became it by a renaming."""
        episodes = self._episodes_of(checked_name(name))
        return list(dict.fromkeys([*(one.id for one in episodes), *self._before_renaming(episodes)]))

    def _before_renaming(self, episodes: Sequence[Episode]) -> dict[str, None]:
        """The edits of a document under the names it had before."""
        found: dict[str, None] = {}
        waiting = list(episodes)
        while waiting:
            edit = edit_in(waiting.pop())
            old = edit.said.get("renamed_from") if edit else None
            if not edit or not isinstance(old, str):
                continue
            for life in _lives(self._episodes_of(old)):
                ended = edit_in(life[-1])
                if ended and ended.said.get("renamed_to") == edit.name and life[0].id not in found:
                    found |= dict.fromkeys(one.id for one in life)
                    waiting += life
        return found


def document_of(record: Record) -> Document:
    """The document that a record of the system "documents" is."""
    data = record.data
    return Document(
        name=data["name"],
        text=record.text,
        version=data["version"],
        number=data["number"],
        created_at=datetime.fromisoformat(data["created_at"]),
        updated_at=record.recorded_at,
        value=data.get("value"),
        actor=data.get("actor"),
        reason=data.get("reason"),
        metadata=data.get("metadata", {}),
        scope=record.scope,
        is_deleted=data["op"] == DELETE,
        renamed_from=data.get("renamed_from"),
        renamed_to=data.get("renamed_to"),
    )


def is_document(hit: Hit) -> bool:
    """Whether a hit of the system "documents" is a document, and no other episode."""
    return hit.record is not None


def checked_name(name: str) -> str:
    """The name, when a document can have it. Raises ParameterError."""
    if not isinstance(name, str) or not name:
        raise ParameterError(f"A document's name is text of at least one character; {name!r} was given.")
    if len(name) > MAX_NAME:
        raise ParameterError(f"The name has {len(name)} characters; {MAX_NAME} is the most. Shorten it.")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ParameterError(
            f"The name {name[:40]!a} has a lone surrogate, which no encoding can keep. Leave it out."
        ) from error
    return name


def _first_id(name: str, ended: Record | None) -> str:
    """The id of the edit that begins a document: whoever begins it after the same end has the same one."""
    after = "" if ended is None else ended.data["version"]
    digest = hashlib.blake2b(f"{after}\x1f{name}".encode(), digest_size=16)
    return f"{KEY}-{digest.hexdigest()}"


def _lives(episodes: Sequence[Episode]) -> list[Episodes]:
    """The edits of a name, cut behind each deletion."""
    lives: list[Episodes] = [[]]
    for episode in episodes:
        lives[-1].append(episode)
        edit = edit_in(episode)
        if edit and edit.op == DELETE:
            lives.append([])
    return [life for life in lives if life]


def _document_after(state: Record | None, episode: Episode) -> Document:
    edit = edit_in(episode)
    assert edit is not None, "what was written is an edit"
    return document_of(follow(state, edit, episode.scope)[-1])


def _check_expected(name: str, expected: Expected, state: Record | None) -> None:
    if expected is ANY:
        return
    if expected is not None and not isinstance(expected, str):
        raise ParameterError(
            f"expected={expected!r}: give the version that must stand, None where there must be none, or leave it out."
        )
    if expected != (None if state is None or state.retired_at else state.data["version"]):
        raise _changed(name, state)


def _changed(name: str, state: Record | None) -> EditConflict:
    if state is None or state.retired_at:
        return EditConflict(f"There is no document {name!r} now. Nothing was written. Put it with expected=None.")
    return EditConflict(
        f"The document {name!r} is at version {state.data['version']!r}, which is not what was expected. Nothing was written. "
        "Read it and try again."
    )


def _missing(name: str, scope: str) -> EpisodeNotFound:
    return EpisodeNotFound(f"There is no document {name!r} in the scope {scope!r}. `list` shows what there is.")
