"""Where a conversation is cut: into sessions by name and silence, into exchanges by who speaks, into topics by meaning.

The one idea: a cut depends on what stands before it and the one thing after it, so a log that is cut piece by piece is cut
as at once. What may still go on is handed back as the tail: the caller gives it again, with what came since.

Source of `topic_cuts`: LightMem, arXiv 2510.18866, the similarity signal of its topic segmentation; tau from 0.20 in steps of
0.05 to 0.50 is that of its code.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from mnemic.errors import ParameterError
from mnemic.index.vectors import products
from mnemic.model import Episode

GAP = timedelta(minutes=30)


def sessions_in(
    episodes: Sequence[Episode], *, gap: timedelta | None = GAP, max_turns: int | None = None
) -> tuple[list[list[Episode]], list[Episode]]:
    """(closed units, the tail that is still open), from episodes in log order.

    A unit closes when the next episode has another session name, when it happened more than `gap` after the last one of the
    unit (None: silence closes nothing), or when it has `max_turns` episodes. Conversations that are interleaved in the log
    are cut at each change of the name. Raises ParameterError when gap or max_turns is not positive.
    """
    if gap is not None and gap <= timedelta(0):
        raise ParameterError(f"Sessions were to close after a gap of {gap}. Give one above zero, or None.")
    if max_turns is not None and max_turns < 1:
        raise ParameterError(f"Sessions were to close after {max_turns} turns. Give 1 or more, or None.")
    closed: list[list[Episode]] = []
    unit: list[Episode] = []
    for one in episodes:
        if unit and _is_new(unit[-1], one, gap):
            closed.append(unit)
            unit = []
        unit.append(one)
        if max_turns is not None and len(unit) >= max_turns:
            closed.append(unit)
            unit = []
    return closed, unit


def _is_new(last: Episode, one: Episode, gap: timedelta | None) -> bool:
    return one.session != last.session or (gap is not None and one.occurred_at - last.occurred_at > gap)


def exchanges(
    episodes: Sequence[Episode], *, max_turns: int | None = None
) -> tuple[list[list[Episode]], list[Episode]]:
    """(exchanges, the turns that still wait for an answer): what one said, and the answer of another to it.

    The turns of one speaker in a row, and the first turn by another, are an exchange. It ends inside its session: what is
    unanswered when the session changes stands alone, and so does an assistant's turn that answers nothing, such as the second
    one of a long answer. max_turns: after so many turns in a row it ends unanswered. So feeding in pieces, with the tail again
    each time, gives the same exchanges.
    """
    pairs: list[list[Episode]] = []
    waiting: list[Episode] = []
    for one in episodes:
        if waiting and one.session != waiting[-1].session:
            pairs.append(waiting)
            waiting = []
        if not waiting and one.role == "assistant":
            pairs.append([one])
            continue
        is_answer = bool(waiting) and one.speaker != waiting[-1].speaker
        waiting = [*waiting, one]
        if is_answer or len(waiting) == max_turns:
            pairs.append(waiting)
            waiting = []
    return pairs, waiting


def topic_cuts(
    vectors: NDArray[np.float32] | Sequence[NDArray[np.float32]],
    *,
    tau0: float = 0.20,
    step: float = 0.05,
    tau_max: float = 0.50,
) -> list[int]:
    """The positions at which a new topic begins, ascending: where neighbours have a cosine below tau.

    vectors: [n, dim], one for each turn, of any length; a row of zeros is like no other. tau begins at tau0 and is raised by
    `step` up to tau_max until there is a cut; with none even then, [] says that it is all one topic.
    Raises ParameterError when step is not positive.

    >>> topic_cuts(np.array([[1, 0], [1, 0.1], [0, 1]], np.float32))
    [2]
    """
    if step <= 0:
        raise ParameterError(f"The threshold was to be raised by {step} at a time. Give a step above zero.")
    rows = np.asarray(vectors, np.float32)
    if len(rows) < 2:
        return []
    likeness = neighbour_cosines(rows)
    rounds = max(0, int(np.floor((tau_max - tau0) / step + 1e-6)))
    for turn in range(rounds + 1):
        cuts = np.flatnonzero(likeness < np.float32(tau0 + turn * step)) + 1
        if len(cuts):
            return [int(at) for at in cuts]
    return []


def neighbour_cosines(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """[n - 1] the cosine of each row with the next one; 0 where either is all zeros."""
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    units = rows / np.maximum(norms, np.float32(1e-9))[:, None]
    return np.array([products(units[at : at + 1], units[at + 1])[0] for at in range(len(rows) - 1)], np.float32)
