"""Running systems over the log: each episode once, in order, whatever crashes in between.

The cursor of a system in a scope moves in the transaction that writes the records, and only from where it stood when
the episodes were read; so a crash repeats a batch whose changes were never written, and of two processes one does the
work. A batch that fails is kept as a failure with its error and is tried again at the next call; the system goes no
further in that scope until it succeeds, because order matters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from mnemic.errors import AnswerUnusable, StoreError
from mnemic.store.contract import Changes, Failure, Store
from mnemic.systems.contract import MemorySystem
from mnemic.systems.view import View

BATCH = 64
ASKING_BATCH = 8  # of a system that asks a model: what it has done is seen, and safe, the sooner
_RAW = 20_000  # characters of an unusable answer that are kept
ViewOf = Callable[[str, str, int | None], View]  # (scope, system, until_seq)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a system came in one scope."""

    observed: int = 0
    error: str | None = None


def catch_up(
    system: MemorySystem, scope: str, store: Store, view_of: ViewOf, now: datetime, *, is_asking: bool = False
) -> Progress:
    """Let the system observe what it has not seen of the scope's log."""
    name, observed = system.card.id, 0
    if type(system).observe is MemorySystem.observe:
        return Progress()  # it keeps no records, so there is nothing to catch up on
    attached = store.records.attached().get(name)
    while True:
        removal = store.last_change(store.scope_ids(scope)).removal
        stands, based_on = store.records.cursor(name, scope), store.records.version(name, scope)
        episodes = store.scan(scope, after=stands, limit=min(BATCH, ASKING_BATCH) if is_asking else BATCH)
        if not episodes:
            return Progress(observed)
        last = episodes[-1].seq
        view = view_of(scope, name, last)
        try:
            changes = system.observe(episodes, view)
            version = _written(store, name, scope, changes, view, based_on, (stands, last), removal)
        except Exception as error:  # whatever a system raises, or wants written, the reason is kept
            return _failed(store, name, scope, "observe", error, now, observed, removal)
        if not version and store.records.attached().get(name) != attached:
            return Progress(
                observed
            )  # detached, or attached with other parameters or another model: not by this system
        if version:
            view.applied(changes, version)
            observed += len(episodes)
            if any(failure.system == name and failure.scope == scope for failure in store.records.failures()):
                store.records.clear_failure(name, scope, "observe")


def consolidate(
    system: MemorySystem, scope: str, store: Store, view_of: ViewOf, now: datetime, *, is_asking: bool = False
) -> Progress:
    """Catch up, then let the system do its offline work."""
    progress = catch_up(system, scope, store, view_of, now, is_asking=is_asking)
    if progress.error or type(system).consolidate is MemorySystem.consolidate:
        return progress
    name = system.card.id
    removal = store.last_change(store.scope_ids(scope)).removal
    stands, based_on = store.records.cursor(name, scope), store.records.version(name, scope)
    try:
        view = view_of(scope, name, stands)
        changes = system.consolidate(view)
        if changes:
            version = _written(store, name, scope, changes, view, based_on, (stands, stands), removal)
            if version:
                view.applied(changes, version)
    except Exception as error:
        return _failed(store, name, scope, "consolidate", error, now, progress.observed, removal)
    store.records.clear_failure(name, scope, "consolidate")
    return progress


def _written(
    store: Store,
    name: str,
    scope: str,
    changes: Changes,
    view: View,
    based_on: int,
    cursor: tuple[int, int],
    removal: int,
) -> int:
    """Write what follows from what was read; 0 where it stands no longer as it was before anything was read."""
    if view.based_on not in (None, based_on):
        return 0
    return store.records.apply(
        name, scope, changes, cursor_from=cursor[0], cursor_to=cursor[1], based_on=based_on, last_removal=removal
    )


def forgetting(system: MemorySystem, scope: str, store: Store, view_of: ViewOf, seqs: list[int]) -> Changes | None:
    """What the system wants changed because these episodes go; None to follow provenance, also where it fails."""
    if type(system).forget is MemorySystem.forget:
        return None
    episodes = sorted(store.by_seq(seqs).values(), key=lambda one: one.seq)
    try:
        return system.forget(episodes, view_of(scope, system.card.id, None))
    except StoreError:
        raise
    except Exception:  # nothing is lost: what it made of them goes, and is made again from what is left
        return None


def _failed(
    store: Store, name: str, scope: str, step: str, error: Exception, now: datetime, done: int, removal: int
) -> Progress:
    if isinstance(error, StoreError):
        raise error  # no fault of the system's; and the store could not keep the failure either
    reason = f"{type(error).__name__}: {error}"[:2000]
    detail = {"answer": error.raw[:_RAW]} if isinstance(error, AnswerUnusable) else {}
    store.records.note_failure(Failure(scope, name, step, reason, 1, now, now, detail), removal)
    return Progress(done, reason)
