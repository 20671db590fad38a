"""Signals of episodes towards a cue that are read off single columns: who, when, which names, how often said.

Each is [n] in [0, 1] for the rows given.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from mnemic.index.scope_index import ScopeIndex
from mnemic.text.names import find_names
from mnemic.text.terms import terms

Rows = NDArray[np.int64]
Signal = NDArray[np.float32]
_HEADING = re.compile(r"\s*((?:[^\s:]+\s+){0,4}[^\s:]+):\s")
_OF_ANOTHER = 0.4
_ABOUT = 0.9  # of the best match
_DAY = 86_400_000_000  # microseconds


def said_by(actors: NDArray[np.int32], wanted: Sequence[int]) -> Signal:
    """[n] 1 where the actor is one of those named."""
    return np.isin(actors, wanted).astype(np.float32) if wanted else np.zeros(len(actors), np.float32)


def mentions(index: ScopeIndex, rows: Rows, text: str) -> Signal:
    """[n] the share of the cue's names (of people, places and things) that the episode mentions or is said by."""
    named = [words for name in find_names(text) if (words := set(terms(name.text)))]
    share = np.zeros(len(index), np.float32)
    for words in named:
        there = np.zeros(len(index), np.int8)
        for word in words:
            there[index.lexical.rows_of(word)] += 1
        share += np.float32(1.0 / len(named)) * (there == len(words))
    return share[rows] if len(rows) < len(share) else share


def recency(occurred_at: NDArray[np.int64], now: int, half_life_days: float) -> Signal:
    """[n] 1 for now (and the future), 0.5 after one half-life."""
    days = np.maximum(now - occurred_at, 0) / _DAY
    return np.exp2(-days / half_life_days).astype(np.float32)


def strength(hashes: NDArray[np.int64]) -> Signal:
    """[n] 0 for what was said once, 0.5 for twice, towards 1 with every repetition."""
    _, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    return (1.0 - 1.0 / counts[inverse]).astype(np.float32)


def in_order(occurred_at: NDArray[np.int64], matches: Signal, newest: float) -> Signal:
    """[n] for a cue that asks for the newest of something: 1 for the newest episode that is about it, then 1/2, 1/3, …

    matches: [n] how much of what is asked each episode has; those with nearly as much as the best are about it. newest: from
    `wants_newest`; below 0 the oldest is asked for and comes first.
    """
    ranked = np.zeros(len(matches), np.float32)
    most = float(matches.max(initial=0.0))
    if not newest or not most:
        return ranked
    about = np.flatnonzero(matches >= _ABOUT * most)
    order = about[np.argsort(occurred_at[about], kind="stable")]  # of the same moment, the one recorded later is newer
    if newest > 0:
        order = order[::-1]
    ranked[order] = np.float32(abs(newest)) / np.arange(1, len(order) + 1, dtype=np.float32)
    return ranked


def of_another(texts: Sequence[str], wanted: Collection[str]) -> Signal:
    """[n] less than 1 for a note on something else, "water body: lake" where the body is asked for; else 1.

    A note is a short heading, a colon, and what is noted; it is on something else when its heading says more than was asked.
    """
    found = np.ones(len(texts), np.float32)
    for at, text in enumerate(texts):
        heading = _HEADING.match(text)
        if heading and not set(terms(heading[1])) <= set(wanted):
            found[at] = _OF_ANOTHER
    return found
