"""Offline work: attached systems observe what they have not seen, in all scopes that are meant, and do what nobody waits for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from mnemic.errors import EmbedderUnavailable, ParameterError, SystemNotFound
from mnemic.memory.asking import MAX_ATTEMPTS
from mnemic.memory.reindex import reindex
from mnemic.memory.shared import Shared
from mnemic.systems.runner import Progress

Told = Callable[[int, int], None]  # (episodes observed, of how many)


@dataclass(slots=True)
class Consolidated:
    """What one system did."""

    observed: int = 0
    errors: dict[str, str] = field(default_factory=dict)  # by scope, what stopped it


def consolidate(
    shared: Shared, scopes: Sequence[str], *, retry_failed: bool = False, told: Told | None = None
) -> dict[str, Consolidated]:
    """Let every attached system work in these scopes; what each did, by system. told: hears of each batch."""
    shared.must_write()
    if shared.store.without_vector(1) and shared.store.meta("embedder") in (None, shared.embedder.id):
        with suppress(EmbedderUnavailable):  # they go on waiting, as `stats` shows
            reindex(shared.store, shared.embedder.embedder)
    attached = list(shared.store.records.attached())
    count = None if told is None else _Count(shared, [(name, scope) for name in attached for scope in scopes], told)
    done: dict[str, Consolidated] = {}
    for name in attached:
        report = done[name] = Consolidated()
        for scope in scopes:
            progress = _work(shared, name, scope, retry_failed, count)
            report.observed += progress.observed
            if progress.error:
                report.errors[scope] = progress.error
    return done


def _work(shared: Shared, system: str, scope: str, retry_failed: bool, count: _Count | None) -> Progress:
    can_retry = retry_failed and not shared.models.is_missing(system)
    if can_retry and shared.store.answers.retry_unusable(system, scope, attempts=MAX_ATTEMPTS - 1):
        shared.start_again(system, scope)
    try:
        return shared.observe(
            system, scope, consolidates=True, moved=None if count is None else lambda: count.look(system, scope)
        )
    except (SystemNotFound, ParameterError) as error:  # attached by another version; the others go on
        return Progress(error=f"{type(error).__name__}: {error}")


class _Count:
    """How many episodes are still to be observed, and of how many: more where a system begins anew."""

    def __init__(self, shared: Shared, work: Sequence[tuple[str, str]], told: Told) -> None:
        self._shared = shared
        self._told = told
        self._left = {one: self._behind(*one) for one in work}
        self._total = self._all_left = sum(self._left.values())
        told(0, self._total)

    def look(self, system: str, scope: str) -> None:
        """The system is about to go on, or has ended."""
        before, now = self._left[system, scope], self._behind(system, scope)
        if now != before:
            self._left[system, scope] = now
            self._all_left += now - before
            self._total += max(now - before, 0)
            self._told(self._total - self._all_left, self._total)

    def _behind(self, system: str, scope: str) -> int:
        try:
            return self._shared.behind(system, scope)
        except (SystemNotFound, ParameterError):
            return 0
