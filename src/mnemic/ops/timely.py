"""How a time that the cue names enters the ranking of a scope's episodes.

Where all that was said in a time is asked for, nothing else is compared: what is in the time comes first, each session's
most telling episodes before the rest, those of a named speaker before others. Else the time is one signal among
others, and the stricter it holds, the more of the whole weight it has.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from mnemic.index.scope_index import Mask, ScopeIndex
from mnemic.model import Cue
from mnemic.ops.when import SessionTable, Signal, When, in_when, read_when, session_keys, told_in_turn

EVERYTHING = {"time": 0.7, "told": 0.2, "speaker": 0.1}  # the weights where all of a time is asked for
_TELLING_TERMS = 40  # more terms of an episode tell no more


def asked_when(
    cue: Cue,
    index: ScopeIndex,
    speakers: Collection[str],
    previous: NDArray[np.int32],
    visible: Mask | None,
    allowed: Mask | None,
) -> tuple[When, Signal]:
    """What the cue says of time, and [n] how far each row is in it.

    speakers: the words of the cue that name speakers, in small letters. previous: [n] the row in sight before each, -1 at
    the start of a session. Where all of a time is asked for and nothing was said near it, the time is a word like others.
    """

    def sessions() -> SessionTable:
        first = previous < 0 if visible is None else visible & (previous < 0)
        return SessionTable.of(session_keys(index.scopes[first], index.sessions[first]), index.occurred_at[first])

    when = read_when(cue.text, cue.asked_at, sessions, speakers)
    nowhere = np.zeros(len(index), np.float32)
    if not when:
        return when, nowhere
    timely = in_when(when, index.occurred_at, session_keys(index.scopes, index.sessions))
    if when.is_all and not (timely > 0 if allowed is None else (timely > 0) & allowed).any():
        return When(rest=cue.text, newest=when.newest), nowhere
    return when, timely


def weights_when(when: When, weights: Mapping[str, float]) -> Mapping[str, float]:
    """The weights of the signals for a cue that says so of time; they sum to 1 where `weights` do.

    >>> weights_when(When(hold=0.6), {"meaning": 0.9, "time": 0.1})
    {'meaning': 0.7, 'time': 0.3}
    """
    if when.is_all:
        return dict.fromkeys(weights, 0.0) | EVERYTHING
    if not when or not 0.0 < weights["time"] < 1.0:
        return weights
    share = when.hold / 2
    kept = (1.0 - share) / (1.0 - weights["time"])
    return {name: share if name == "time" else kept * weight for name, weight in weights.items()}


def told(index: ScopeIndex, rows: NDArray[np.int64], time: Signal, speaker: Signal, may_be: Mask | None) -> Signal:
    """[n] the order in which to tell all of a time, for rows with these signals; 0 outside the time and where `may_be` is not.

    The longest of each session first, and what a named speaker said before all else of its session.
    """
    length = np.minimum(index.lexical.lengths.values[rows], _TELLING_TERMS) / np.float32(_TELLING_TERMS)
    is_in = time == 1.0 if may_be is None else (time == 1.0) & may_be
    return told_in_turn(length + speaker, session_keys(index.scopes[rows], index.sessions[rows]), is_in)


def all_in(timely: Signal, allowed: Mask | None, most: int = 5000) -> NDArray[np.int64]:
    """The rows that are in the time or near it, ascending; an even sample of them where there are more than `most`."""
    rows = np.flatnonzero(timely > 0 if allowed is None else (timely > 0) & allowed)
    return rows[:: 1 + max(len(rows) - 1, 0) // most]
