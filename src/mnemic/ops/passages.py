"""BM25 of something larger than an episode: an episode with the one before it, and its whole session.

Words of a question are spread over a conversation: "Which city did she move to?" is asked in one turn and answered in
the next. Statistics are those of the rows in sight and nothing else.

Source: Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009. A term's rarity is
counted over episodes for both, so that what is common in every session still tells one session from another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnemic.index.lexical import K1, B, LexicalIndex, rarity
from mnemic.index.scope_index import Mask

Signal = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PassageScores:
    """[n] each, as shares of what an ideal passage of mean length would reach; a passage of more than the terms asked for
    can reach more than 1 and is cut there."""

    pair: Signal  # the episode and the one before it in its session
    session: Signal  # all episodes of its session


@dataclass(frozen=True, slots=True)
class Norms:
    """What a passage's length takes off its score; it depends on the rows in sight alone."""

    pair: Signal  # [n]
    session: Signal  # [number of sessions]

    @classmethod
    def of(
        cls,
        lexical: LexicalIndex,
        previous: NDArray[np.int32],
        sessions: NDArray[np.int64],
        visible: Mask | None = None,
    ) -> Norms:
        """previous: [n] neighbours in sight, -1 for none; sessions: [n] numbers from 0."""
        lengths = lexical.lengths.values.astype(np.float32)
        if visible is not None:
            lengths = np.where(visible, lengths, np.float32(0.0))
        n_sessions = int(sessions.max()) + 1 if len(sessions) else 0
        pairs = lengths + np.where(previous >= 0, lengths[previous], np.float32(0.0))
        whole = np.bincount(sessions, weights=lengths, minlength=n_sessions).astype(np.float32)
        return cls(_norm(pairs, pairs if visible is None else pairs[visible]), _norm(whole, whole[whole > 0]))


def passage_scores(
    lexical: LexicalIndex,
    terms: Sequence[str],
    previous: NDArray[np.int32],
    following: NDArray[np.int32],
    sessions: NDArray[np.int64],
    visible: Mask | None = None,
    norms: Norms | None = None,
) -> PassageScores:
    """BM25 of each row's pair and of its session for the cue's terms.

    previous, following: [n] neighbours in sight, -1 for none; sessions: [n] numbers from 0. norms: of the same rows, where
    they are known.
    """
    n = len(lexical)
    pair = np.zeros(n, np.float32)
    n_visible = n if visible is None else int(visible.sum())
    if not n_visible:
        return PassageScores(pair, pair)
    norms = norms or Norms.of(lexical, previous, sessions, visible)
    pair_norm, session_norm = norms.pair, norms.session
    n_sessions = len(session_norm)
    session = np.zeros(n_sessions, np.float32)
    counts = np.zeros(n + 1, np.float32)  # one more: no neighbour, -1, has nothing
    ideal = 0.0
    for term in dict.fromkeys(terms):
        rows, times = lexical.postings(term)
        if visible is not None:
            keep = visible[rows]
            rows, times = rows[keep], times[keep]
        if not len(rows):
            continue
        idf = rarity(len(rows), n_visible)
        ideal += idf
        after = following[rows]
        touched = np.concatenate([rows, after[after >= 0]])  # a row that comes twice is given the same value twice
        counts[rows] = times
        earlier = previous[touched]
        found = counts[touched] + counts[earlier]
        pair[touched] += idf * (K1 + 1.0) * found / (found + pair_norm[touched])
        counts[rows] = 0.0
        counted = np.bincount(sessions[rows], weights=times, minlength=n_sessions)
        places = np.flatnonzero(counted)
        within = counted[places]
        session[places] += idf * (K1 + 1.0) * within / (within + session_norm[places])
    scale = np.float32(1.0 / ideal if ideal else 0.0)
    return PassageScores(np.minimum(pair * scale, 1.0), np.minimum(session * scale, 2.0)[sessions] / np.float32(2.0))


def _norm(lengths: Signal, of_those: Signal) -> Signal:
    mean = float(of_those.mean()) if len(of_those) else 0.0
    norm: Signal = (K1 * (1.0 - B + (B / (mean or 1.0)) * lengths)).astype(np.float32)
    return norm
