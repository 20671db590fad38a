"""What stands beside an episode: its neighbours in the session, and the session as a whole.

An answer often stands beside the words that were asked, not in them: a question turn carries the words, the next turn
the answer. So a row is judged with its neighbours, and with its session.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mnemic.index.scope_index import Mask, ScopeIndex

Rows = NDArray[np.int64]
Signal = NDArray[np.float32]
Beside = tuple[NDArray[np.int32], NDArray[np.int32]]  # each row's neighbours before and after it, in sight; -1 for none


def beside(index: ScopeIndex, visible: Mask | None) -> Beside:
    """The nearest neighbours in sight of every row: what is out of sight keeps nobody apart.

    An echo between a question and its answer must not weaken either, and a later time must not change an earlier one.
    """
    return _in_sight(index.previous, visible), _in_sight(index.following, visible)


def step(neighbour: NDArray[np.int32], rows: Rows) -> Rows:
    """The neighbours of rows, -1 staying -1."""
    return np.where(rows >= 0, neighbour[rows], -1).astype(np.int64)


def around(rows: Rows, neighbours: Beside, reach: int) -> Rows:
    """The rows and those up to `reach` steps away from them, ascending."""
    found = [rows]
    before = after = rows
    for _ in range(reach):
        before, after = step(neighbours[0], before), step(neighbours[1], after)
        found += [before, after]
    together = np.unique(np.concatenate(found))
    return together[together >= 0]


def smoothed(rows: Rows, values: Signal, neighbours: Beside, reach: int) -> Signal:
    """[n] the mean of each row's value and its neighbours', each step away counting half as much.

    rows: ascending; a neighbour that is not among them, or that there is none, does not count.
    """
    total, weight = values.astype(np.float32, copy=True), np.ones(len(rows), np.float32)
    is_all = len(rows) == len(neighbours[0])
    before = after = rows
    for distance in range(1, reach + 1):
        before, after = step(neighbours[0], before), step(neighbours[1], after)
        share = np.float32(0.5**distance)
        for other in (before, after):
            if is_all:
                places, there = other, other >= 0
            else:
                places = np.minimum(np.searchsorted(rows, other), len(rows) - 1)
                there = (other >= 0) & (rows[places] == other)
            counts = there * share  # the share, or nothing
            total += counts * values[places]
            weight += counts
    return total / weight


def best_of_session(sessions: NDArray[np.int64], values: Signal) -> Signal:
    """[n] the highest value of each row's session among the rows given."""
    highest = np.full(int(sessions.max()) + 1 if len(sessions) else 0, -np.inf, np.float32)
    np.maximum.at(highest, sessions, values)
    return highest[sessions]


def _in_sight(neighbour: NDArray[np.int32], visible: Mask | None) -> NDArray[np.int32]:
    if visible is None:
        return neighbour
    nearest = neighbour.copy()
    while len(hidden := np.flatnonzero((nearest >= 0) & ~visible[nearest])):
        nearest[hidden] = nearest[nearest[hidden]]  # twice as far at each turn
    return nearest
