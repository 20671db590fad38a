"""Forgetting: what to forget is found, removed with all that came from it, and proved to be gone.

What goes is the chosen episodes, every version of them, and the echoes that repeat them. One transaction removes them,
their terms and vectors, the records and links made from them and the cached model answers that saw them; a system that
had made any of those starts the scope again from what is left. Index files that held the scope are deleted, the
write-ahead log is emptied, and what SQLite leaves in the file is overwritten, so that no file of the store holds the bytes
any more. What a file system or a disk keeps of overwritten blocks, and copies and backups made earlier, are out of reach.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mnemic.errors import ParameterError, SystemNotFound
from mnemic.memory.shared import Shared
from mnemic.model import Episode, upwards
from mnemic.store.contract import Removal, iterate
from mnemic.systems import runner
from mnemic.systems.registry import SYSTEMS

_SCRUB_PATIENCE_S, _SCRUB_WAIT_S = 1.0, 0.05
_PIECE, _PIECES = 128, 64  # bytes of a long text that are looked for at once, and how many such pieces


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was forgotten; holds ids and numbers, nothing of the content."""

    scope: str
    ids: tuple[str, ...]
    at: datetime
    records: int = 0  # that came from them, alone or with others; what else is made again is not counted
    links: int = 0
    answers: int = 0
    rebuilt_systems: tuple[str, ...] = ()  # make their records again from what is left
    is_scrubbed: bool = True  # False while a reader kept the write-ahead log from being emptied: call scrub() later
    is_dry_run: bool = False

    @property
    def episodes(self) -> int:
        """How many episodes went."""
        return len(self.ids)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            "message": str(self),
            "scope": self.scope,
            "episodes": self.episodes,
            "ids": list(self.ids),
            "records": self.records,
            "links": self.links,
            "answers": self.answers,
            "rebuilt_systems": list(self.rebuilt_systems),
            "at": self.at.isoformat(),
            "is_scrubbed": self.is_scrubbed,
            "is_dry_run": self.is_dry_run,
        }

    def __getitem__(self, key: str) -> Any:
        return self.to_dict()[key]

    def __str__(self) -> str:
        what = f"{self.episodes} episode{'' if self.episodes == 1 else 's'}"
        made = [
            f"{n} {name}{'' if n == 1 else 's'}"
            for name, n in (("record", self.records), ("link", self.links), ("cached answer", self.answers))
            if n
        ]
        verb = "Would forget" if self.is_dry_run else "Forgot"
        with_made = f" with {', '.join(made)} made from them" if made else ""
        again = ""
        if self.rebuilt_systems:
            names = ", ".join(self.rebuilt_systems)
            again = f" {names} will make again what follows from what is left" if self.is_dry_run else ""
            again = again or f" What follows from what is left is made again by: {names}"
        place = f"the scope {self.scope!r}" if self.scope else "the root scope"
        return f"{verb} {what}{with_made} in {place}.{again}{'.' if again else ''}"


def with_versions(shared: Shared, scope: str, episodes: Iterable[Episode]) -> list[Episode]:
    """The episodes and every earlier and later version of them: forgetting one text must not bring back another."""
    found = {episode.id: episode for episode in episodes}
    new = list(found.values())
    while new:
        earlier = [one.supersedes for one in new if one.supersedes and one.supersedes not in found]
        near = shared.store.get(scope, earlier) + shared.store.all_superseding(scope, [one.id for one in new])
        new = [one for one in {one.id: one for one in near}.values() if one.id not in found]
        found |= {one.id: one for one in new}
    return sorted(found.values(), key=lambda one: one.seq)


def with_echoes(shared: Shared, found: Mapping[str, Sequence[Episode]]) -> dict[str, list[Episode]]:
    """The chosen episodes by scope, with what repeats them: an echo holds the words of what it repeats.

    A recall with include_children shows a scope what stands below it, so echoes are looked for upwards, too.
    """
    every = {path: {episode.id: episode for episode in episodes} for path, episodes in found.items()}
    waiting = [(path, list(episodes)) for path, episodes in every.items()]
    while waiting:
        path, ids = waiting.pop()
        for above in upwards(path) if ids else ():
            known = every.setdefault(above, {})
            echoes = [one for one in shared.store.echoes_of(above, ids) if one.id not in known]
            more = [one for one in with_versions(shared, above, echoes) if one.id not in known]
            known |= {one.id: one for one in more}
            if more:
                waiting.append((above, [one.id for one in more]))
    return {
        path: sorted(ones.values(), key=lambda one: one.seq) for path, ones in every.items() if ones or path in found
    }


def selected(shared: Shared, scope: str, keep: Callable[[Episode], bool]) -> list[Episode]:
    """The scope's episodes for which `keep` holds."""
    return [episode for episode in iterate(shared.store, scope) if keep(episode)]


def preview(shared: Shared, scope: str, episodes: Sequence[Episode]) -> Receipt:
    """What forgetting them would take along, without doing it."""
    ids = {episode.id for episode in episodes}
    systems = []
    records = links = 0
    for system in {**shared.store.records.attached(), **SYSTEMS}:  # one need not be attached to have been asked
        made = [one for one in shared.store.records.records(system, scope) if ids & set(one.sources)]
        tied = [one for one in shared.store.records.links(system, scope) if ids & set(one.sources)]
        records, links = records + len(made), links + len(tied)
        if made or tied:
            systems.append(system)
    return Receipt(
        scope=scope,
        ids=tuple(episode.id for episode in episodes),
        at=shared.clock.now(),
        records=records,
        links=links,
        rebuilt_systems=tuple(systems),
        is_dry_run=True,
    )


def forget(shared: Shared, scope: str, episodes: Sequence[Episode], *, drop_scope: bool = False) -> Receipt:
    """Remove the episodes and all that came from them."""
    shared.must_write()
    at = shared.clock.now()
    seqs = [episode.seq for episode in episodes]
    scope_ids = shared.store.scope_ids(scope)
    shared.drop_traces(seqs)
    for failure in shared.store.records.failures():
        if failure.scope == scope:  # an error may quote what it failed on; the step is tried again anyway
            shared.store.records.clear_failure(failure.system, scope, failure.step)
    changes, restart = {}, []
    keeping = {*shared.store.records.attached(), *(SYSTEMS.keys() & shared.store.records.systems())}
    for name in sorted(keeping):  # one need not be attached to have been asked
        try:
            wanted = runner.forgetting(shared.system(name), scope, shared.store, shared.view_of, seqs)
        except (SystemNotFound, ParameterError):  # attached by another version: nothing may keep what is forgotten
            wanted = None
        if wanted is not None:
            changes[name] = wanted
        elif seqs and shared.store.records.cursor(name, scope) >= min(seqs):
            restart.append(name)  # what it made of other episodes may have depended on these
    # files first: should we be stopped in between, a missing index is built again, but a stale one would keep the words
    shared.library.drop(scope_ids)
    try:
        removal = shared.store.remove(scope, seqs, at=at, changes=changes, restart=restart, drop_scope=drop_scope)
    except ParameterError:  # a system wants what cannot be written: then its records are made again instead
        removal = shared.store.remove(scope, seqs, at=at, restart=sorted(keeping), drop_scope=drop_scope)
    shared.library.drop(scope_ids)
    shared.made.drop(scope)
    shared.observe_behind_others(scope)
    shared.drop_traces(seqs)  # again, for what a search in another thread read before it was removed
    receipt = _receipt(scope, episodes, at, removal, is_scrubbed=scrub(shared))
    ids = [episode.id for episode in episodes]
    late = shared.store.all_superseding(scope, ids) + shared.store.echoes_of(scope, ids)
    if not late:
        return receipt
    # corrected or repeated by somebody between our looking and our removing
    more = forget(shared, scope, with_versions(shared, scope, late), drop_scope=drop_scope)
    return together(scope, [receipt, more], at, dry_run=False)


def scrub(shared: Shared) -> bool:
    """Empty the write-ahead log; waits a second for readers that stand in the way, or for one busy_timeout_s."""
    gives_up_at = time.monotonic() + _SCRUB_PATIENCE_S
    while not shared.store.scrub():
        if time.monotonic() > gives_up_at:
            return False
        time.sleep(_SCRUB_WAIT_S)
    return True


def find_traces(shared: Shared, text: str) -> list[Path]:
    """The files of the store in which the bytes of `text` stand, read from disk as anyone could read them.

    The database breaks a long text into pages, so of one longer than two pieces any piece is enough.
    """
    if shared.store.path is None or not text:
        return []
    path = shared.store.path
    # Not -shm: it holds no content, and closing it would drop SQLite's locks on it. The same goes for the database, which the
    # store reads through a descriptor that stays open; -wal has no locks.
    files = [path.with_name(path.name + "-wal"), path.with_name(path.name + "-journal")]
    if shared.index_folder is not None and shared.index_folder.is_dir():
        files += sorted(shared.index_folder.iterdir())
    pieces = _pieces(text.encode("utf-8", "surrogatepass"))
    found = [path] if _stand_in(shared.store.raw_blocks(), pieces) else []
    return found + [file for file in files if file.is_file() and _stand_in(_blocks(file), pieces)]


def _pieces(wanted: bytes) -> list[bytes]:
    if len(wanted) <= 2 * _PIECE:
        return [wanted]
    n = min(_PIECES, len(wanted) // _PIECE)
    step = (len(wanted) - _PIECE) // (n - 1)
    return [wanted[at * step : at * step + _PIECE] for at in range(n)]


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            yield block


def _stand_in(blocks: Iterable[bytes], pieces: Sequence[bytes]) -> bool:
    tail = b""
    for block in blocks:
        seen = tail + block
        if any(piece in seen for piece in pieces):
            return True
        tail = seen[-2 * _PIECE :]
    return False


def _receipt(scope: str, episodes: Sequence[Episode], at: datetime, removal: Removal, *, is_scrubbed: bool) -> Receipt:
    return Receipt(
        scope=scope,
        ids=tuple(episode.id for episode in episodes),
        at=at,
        records=removal.records,
        links=removal.links,
        answers=removal.answers,
        rebuilt_systems=removal.rebuilt_systems,
        is_scrubbed=is_scrubbed,
    )


def together(scope: str, receipts: Sequence[Receipt], at: datetime, *, dry_run: bool) -> Receipt:
    """One receipt for what went from several scopes."""
    return Receipt(
        scope=scope,
        ids=tuple(id for one in receipts for id in one.ids),
        at=at,
        records=sum(one.records for one in receipts),
        links=sum(one.links for one in receipts),
        answers=sum(one.answers for one in receipts),
        rebuilt_systems=tuple(dict.fromkeys(name for one in receipts for name in one.rebuilt_systems)),
        is_scrubbed=all(one.is_scrubbed for one in receipts),
        is_dry_run=dry_run,
    )
