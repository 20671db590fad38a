"""Choosing episodes by id, session, time and filters: what `list` and `forget` have in common."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemic.clock import parse_time
from mnemic.filters import Equal, Filter, Join, compile_filter
from mnemic.index.filtering import passing
from mnemic.memory.intake import Time
from mnemic.memory.shared import Shared
from mnemic.model import Episode

_PAGE = 1000
_PATIENCE = 3  # pages that are read before the index is asked where the chosen ones stand


def selector(
    ids: set[str] | None, session: str | None, since: Time | None, until: Time | None, filters: Mapping[str, Any] | None
) -> Filter:
    """Whether an episode is one of those chosen: everything that is given must hold. Raises InvalidTime, InvalidFilter."""
    own: dict[str, Any] = {}
    if ids is not None:
        own["id"] = {"in": sorted(ids)}
    if session is not None:
        own["session"] = {"eq": session}
    times = {}
    if since is not None:
        times["gte"] = parse_time(since)
    if until is not None:
        times["lte"] = parse_time(until, end_of_day=True)
    if times:
        own["occurred_at"] = times
    return Join("AND", (compile_filter(own), *([compile_filter(filters)] if filters else [])))


def listed(
    shared: Shared, scope: str, chosen: Filter, *, session: str | None, after: int, limit: int, newest_first: bool
) -> list[Episode]:
    """The scope's chosen episodes in log order, a page at a time. session: the one that `chosen` confines them to, if any.

    Ids are looked up. Else the log is read; where that takes long and the scope's index is in memory, it is asked instead.
    """
    if (ids := wanted_ids(chosen)) is not None:
        found = [one for one in shared.store.get(scope, sorted(filter(is_storable, ids))) if chosen(one)]
        by_seq = {one.seq: one for one in found}
        seqs = _behind(np.array(list(by_seq), np.int64), after, newest_first)
        return [by_seq[seq] for seq in seqs[:limit].tolist()]
    found = []
    for page_number in count():
        if page_number == _PATIENCE and (places := positions(shared, scope, chosen)) is not None:
            return found + _at(shared, _behind(places, after, newest_first), limit - len(found))
        page = shared.store.scan(
            scope,
            after=after,
            limit=_PAGE if page_number else min(limit, _PAGE),  # often the first ones are all that is wanted
            newest_first=newest_first,
            session=session,
        )
        found += [one for one in page if chosen(one)]
        if not page or len(found) >= limit:
            break
        after = page[-1].seq
    return found[:limit]


def positions(shared: Shared, scope: str, chosen: Filter) -> NDArray[np.int64] | None:
    """Where the chosen episodes stand in the log, ascending; None where the scope's index is not in memory."""
    scope_ids = shared.store.scope_ids(scope)
    if not scope_ids or not shared.index_bytes or not shared.library.holds(scope_ids):
        return None
    view = shared.view_of(scope, "")
    found: NDArray[np.int64] = view.index.seqs[passing(chosen, view.index, shared.store, view.episodes)]
    return found


def wanted_ids(chosen: Filter) -> frozenset[str] | None:
    """The ids to which a filter confines what it chooses, where it does."""
    if isinstance(chosen, Join):
        confined = map(wanted_ids, chosen.parts if chosen.kind == "AND" else ())
        return next((ids for ids in confined if ids is not None), None)
    if chosen.own != "id" or not isinstance(test := chosen.test, Equal):
        return None
    return test.texts if test.is_in and test.is_scalar else None


def is_storable(id: object) -> bool:
    """Whether this can be an id at all: text, without half a character."""
    return isinstance(id, str) and (id.isascii() or id.encode("utf-8", "replace").decode() == id)


def _behind(seqs: NDArray[np.int64], after: int, newest_first: bool) -> NDArray[np.int64]:
    if newest_first:
        return seqs[seqs < after][::-1] if after else seqs[::-1]
    return seqs[seqs > after]


def _at(shared: Shared, seqs: NDArray[np.int64], limit: int) -> list[Episode]:
    found: list[Episode] = []
    size = min(limit, _PAGE)
    for start in range(0, len(seqs), size):
        page = seqs[start : start + size].tolist()
        episodes = shared.store.by_seq(page)
        found += [episodes[seq] for seq in page if seq in episodes]
        if len(found) >= limit:
            break
    return found[:limit]
