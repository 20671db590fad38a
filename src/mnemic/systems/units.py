"""Units of a log that close only when the next one begins: a day, a session. For systems that work when a unit closes.

The one idea: whether a unit has closed is seen from two neighbouring episodes, so a unit is read once, when it has closed,
however long it is and however the log was cut into batches. `state` holds two positions: the first episode of what is still
open ("start"), and the last one seen ("last"). What was made of the open unit for now stands under "provisional".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mnemic.clock import to_microseconds
from mnemic.index.scope_index import ScopeIndex
from mnemic.model import Cue, Episode
from mnemic.systems.draft import Draft
from mnemic.systems.feedback import heard
from mnemic.systems.view import HIDDEN_ROLES, View

IsNew = Callable[[Episode, Episode], bool]  # whether the second of two neighbours begins another unit
_MICROSECOND = timedelta(microseconds=1)


def closed_units(
    view: View, draft: Draft, episodes: Sequence[Episode], is_new: IsNew
) -> list[tuple[list[Episode], Episode]]:
    """The units that the next episodes close, each with the episode that closed it; what is said alone counts."""
    said = heard(episodes)
    if not said:
        return []
    state = draft.state
    before = heard(view.since(state["last"] - 1))[:1] if "last" in state else []
    state["last"] = said[-1].seq
    state.setdefault("start", said[0].seq)
    if not any(is_new(one, other) for one, other in pairwise([*before, *said])):
        return []
    closed: list[tuple[list[Episode], Episode]] = []
    unit: list[Episode] = []
    for one in heard(view.since(state["start"] - 1)):
        if unit and is_new(unit[-1], one):
            closed.append((unit, one))
            unit = []
        unit.append(one)
    state["start"] = unit[0].seq
    return closed


def open_unit(view: View, draft: Draft) -> list[Episode]:
    """What was said since the last unit closed."""
    return heard(view.since(draft.state["start"] - 1)) if "start" in draft.state else []


def uncorrected(view: View, unit: Sequence[Episode], closer: Episode) -> list[Episode]:
    """The episodes of a unit that had not been corrected when it was closed: what there is to be read in it."""
    gone = view.superseded((one.id for one in unit), closer.seq)
    return [one for one in unit if one.id not in gone]


def drop_provisional(draft: Draft) -> None:
    """Take away what was made of the open unit for now, whose ids stand in `state` under "provisional"."""
    for id in draft.state.pop("provisional", ()):
        draft.drop(id)


def episode_at(seq: int | None, view: View) -> Episode | None:
    """The episode at a position of the log, None where none is in sight."""
    seqs = view.index.seqs
    row = int(np.searchsorted(seqs, seq or 0))
    return view.episodes([row]).get(row) if row < len(seqs) and seqs[row] == seq else None


def is_new_session(gap: timedelta) -> IsNew:
    """A session ends where another is named, or after a silence longer than `gap`."""
    return lambda one, other: one.session != other.session or other.occurred_at - one.occurred_at > gap


def open_session_after(view: View, cue: Cue, gap: timedelta, max_turns: int | None = None) -> int:
    """The position in the log behind which stands the session that was still open at the cue's time.

    It is read off the index, as `is_new_session` would cut it, from what had been recorded then. max_turns: after which a
    session is over too, as in `ops.segment.sessions_in`.
    """
    index = view.index
    rows = said_rows(index, cue)
    if not len(rows):
        return int(index.last_seq)
    sessions, times = index.sessions[rows], index.occurred_at[rows]
    cuts = np.flatnonzero((sessions[1:] != sessions[:-1]) | (np.diff(times) > gap // _MICROSECOND))
    first = int(cuts[-1]) + 1 if len(cuts) else 0
    if max_turns is not None:
        first += (len(rows) - first) // max_turns * max_turns
    return int(index.seqs[rows[first]]) - 1 if first < len(rows) else int(index.seqs[rows[-1]])


def said_rows(index: ScopeIndex, cue: Cue) -> NDArray[np.int64]:
    """The rows of what was said, also where it was corrected since, as far as it was known at the cue's time."""
    as_of = None if cue.as_of is None else to_microseconds(cue.as_of)
    said = np.ones(len(index), np.bool_) if as_of is None else index.recorded_at <= as_of
    if (visible := index.visible(as_of)) is not None:
        said = visible | (said & (index.superseded_by >= 0))
    hidden = [number for role in HIDDEN_ROLES if (number := index.number(role)) >= 0]
    found: NDArray[np.int64] = np.flatnonzero(said & ~np.isin(index.roles, hidden))
    return found
