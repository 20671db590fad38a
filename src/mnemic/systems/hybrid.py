"""The default system: hybrid recall of episodes, with no LLM and nothing to learn.

Every episode that a cue may see gets signals in [0, 1], and its score is their weighted sum (the weights sum to 1):

  meaning   cosine of its vector with the cue's
  words     BM25 with the scope's own statistics, as a share of what an ideal episode would reach
  context   the same two, of its neighbours in the session: an answer often stands beside the words that were asked
  session   the same two, of the best of its session
  speaker   1 when who said it is named in the cue
  names     the share of the people, places and things named in the cue that it mentions or is said by
  time      whether it happened in a time the cue names ("last March", resolved against when the cue was asked)
  recency   halves with every half_life_days between it and the cue
  strength  how often the same thing was said; echoes of recalled text never count

In a large scope only candidates are scored: the best by meaning and by words, those in the cue's time, and their
neighbours. The same thing said several times is one hit. Nothing is written, so there is nothing to rebuild.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from mnemic.clock import to_microseconds
from mnemic.errors import ParameterError
from mnemic.index.scope_index import Mask, ScopeIndex
from mnemic.index.vectors import best
from mnemic.model import Cue, Episode, Hit
from mnemic.ops.fuse import reasons, weighted_sum
from mnemic.ops.repeats import fold_repeats
from mnemic.systems.contract import Card, MemorySystem
from mnemic.systems.view import View
from mnemic.text.names import find_names
from mnemic.text.terms import normalised, terms, words_matching
from mnemic.text.times import TimeSpan, find_times

Rows = NDArray[np.int64]
Signal = NDArray[np.float32]
Beside = tuple[NDArray[np.int32], NDArray[np.int32]]  # each row's neighbours before and after it, in sight
_DAY = 86_400_000_000  # microseconds
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Params:
    """Weights of the signals, and how far they reach."""

    meaning: float = 0.28
    words: float = 0.22
    context: float = 0.25
    session: float = 0.08
    speaker: float = 0.08
    names: float = 0.03
    time: float = 0.06
    recency: float = 0.01
    strength: float = 0.02
    half_life_days: float = 30.0
    neighbours: int = 2  # on each side, within the session
    candidates: int = 200  # rows of which all signals are computed

    def __post_init__(self) -> None:
        for field in fields(self):
            value, is_count = getattr(self, field.name), field.name in ("neighbours", "candidates")
            kinds = int if is_count else int | float
            if isinstance(value, bool) or not isinstance(value, kinds) or not 0 <= value < float("inf"):
                raise ParameterError(
                    f"{field.name}={value!r}: give a {'whole ' if is_count else ''}number of 0 or more."
                )
        if not (self.meaning + self.words and self.half_life_days):
            raise ParameterError(
                "meaning and words are both 0, or half_life_days is: nothing could be found or compared."
            )

    def weights(self) -> dict[str, float]:
        """The weights by signal, scaled to sum to 1."""
        named = {field.name: getattr(self, field.name) for field in fields(self)[:9]}
        total = sum(named.values()) or 1.0
        return {name: weight / total for name, weight in named.items()}


class Hybrid(MemorySystem):
    """Signals, weighted and summed."""

    params_type = Params
    card = Card(
        id="hybrid",
        title="Hybrid episodic recall",
        year=2026,
        family="baseline",
        summary="Meaning, words, neighbours, session, speaker, names, time, recency and repetition, in one explained score.",
        source="Mnemic's default",
        needs=("embedder",),
    )

    def __init__(self, params: Params | None = None) -> None:
        self.params = params or Params()
        self._weights = self.params.weights()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        index = view.index
        if not len(index):
            return []
        weights = self._weights
        visible, allowed = view.visible(cue), view.allowed(cue)
        wanted = terms(cue.text)
        spans = find_times(cue.text, cue.asked_at)
        vector = view.query_vector(cue.text)
        sums, ideal = index.lexical.scores(wanted, visible)
        words = np.minimum(sums / ideal, 1.0) if ideal else sums
        beside = (_in_sight_along(index.previous, visible), _in_sight_along(index.following, visible))
        rows, meaning = self._rows(index, vector, words, spans, beside, allowed)
        if not len(rows):
            return []
        words = words[rows] if len(rows) < len(words) else words
        base = weights["meaning"] * meaning + weights["words"] * words
        base /= weights["meaning"] + weights["words"]
        signals: dict[str, Signal] = {
            "meaning": meaning,
            "words": words,
            "context": _context(rows, base, beside, self.params.neighbours),
            "speaker": _is_among(index.actors[rows], index.speakers(_WORD.findall(cue.text.casefold()))),
            "names": _mentions(index, rows, cue.text),
            "time": _in_time(index.occurred_at[rows], spans),
            "recency": _recency(index.occurred_at[rows], to_microseconds(cue.asked_at), self.params.half_life_days),
        }
        partial = weighted_sum(signals, weights)
        chosen = best(partial, max(self.params.candidates, 4 * cue.limit), _in_sight(rows, allowed))
        signals = {name: values[chosen] for name, values in signals.items()}
        rows, base = rows[chosen], base[chosen]
        signals["session"] = _session(index.scopes[rows], index.sessions[rows], base)
        signals["strength"] = _strength(index.hashes[rows] ^ index.actors[rows])
        total = weighted_sum(signals, weights)
        scores = total * (base > 0.0)
        return self._hits(cue, view, rows, scores, signals, wanted, spans)

    def _rows(
        self,
        index: ScopeIndex,
        vector: Signal | None,
        words: Signal,
        spans: Sequence[TimeSpan],
        beside: Beside,
        allowed: Mask | None,
    ) -> tuple[Rows, Signal]:
        """The rows to score, ascending, and their cosines: all of them, or the candidates and their neighbours."""
        if vector is None:
            return np.arange(len(index)), np.zeros(len(index), np.float32)
        cosines = index.vectors.all_scores(vector)
        if cosines is not None:
            return np.arange(len(index)), np.clip(cosines, 0.0, 1.0)
        found = [index.vectors.top(vector, self.params.candidates, allowed)[0]]
        found.append(best(words, self.params.candidates, words > 0 if allowed is None else allowed & (words > 0)))
        if spans:
            timely = _in_time(index.occurred_at, spans) > 0
            found.append(best(words, self.params.candidates, timely if allowed is None else timely & allowed))
        rows = np.unique(np.concatenate(found))
        around = [rows]
        before = after = rows
        for _ in range(self.params.neighbours):
            before, after = _step(beside[0], before), _step(beside[1], after)
            around += [before, after]
        rows = np.unique(np.concatenate(around))
        rows = rows[rows >= 0]
        return rows, np.clip(index.vectors.scores(vector, rows), 0.0, 1.0)

    def _hits(
        self,
        cue: Cue,
        view: View,
        rows: Rows,
        scores: Signal,
        signals: dict[str, Signal],
        wanted: Sequence[str],
        spans: Sequence[TimeSpan],
    ) -> list[Hit]:
        index = view.index
        order = np.lexsort((rows, -scores))
        order = order[(scores[order] > 0.0) & (scores[order] >= cue.threshold)]
        reach, episodes, folded = cue.limit + 6, dict[int, Episode](), list[tuple[int, list[int]]]()
        while True:  # a few more than asked for, since the same thing said again takes no place of its own
            episodes |= view.episodes([row for row in rows[order[:reach]].tolist() if row not in episodes])
            shown = np.array([at for at in order[:reach] if int(rows[at]) in episodes], np.int64)
            said = [_words_said(episodes[int(rows[at])]) for at in shown]
            # the same words from another mouth are another statement
            folded = fold_repeats((index.hashes[rows[shown]] ^ index.actors[rows[shown]]).tolist(), said, cue.limit)
            if len(folded) == cue.limit or reach >= len(order):
                break
            reach *= 2
        order = shown
        hits, stems = [], frozenset(wanted)
        for place, repeats in folded:
            at = int(order[place])
            episode = episodes[int(rows[at])]
            hits.append(
                Hit(
                    score=float(scores[at]),
                    episode=episode,
                    reasons=reasons(signals, self._weights, at, _notes(episode, stems, spans)),
                    duplicates=tuple(episodes[int(rows[order[other]])].id for other in repeats),
                )
            )
        return hits


def _words_said(episode: Episode) -> frozenset[str]:
    """The words, and whose they are: the same words from another mouth are another statement."""
    return frozenset([*normalised(episode.text).split(), f"by {episode.actor}"])


def _notes(episode: Episode, wanted: Collection[str], spans: Sequence[TimeSpan]) -> dict[str, str]:
    """The signals in words."""
    notes = {"words": ", ".join(words_matching(episode.text, wanted)[:6]), "speaker": episode.actor or ""}
    moment = episode.occurred_at
    if (span := next((one for one in spans if one.start <= moment < one.end), None)) is not None:
        notes["time"] = span.text
    return notes


def _in_sight(rows: Rows, allowed: Mask | None) -> Mask | None:
    return None if allowed is None else allowed[rows]


def _step(neighbour: NDArray[np.int32], rows: Rows) -> Rows:
    """The neighbours of rows, -1 staying -1."""
    return np.where(rows >= 0, neighbour[rows], -1).astype(np.int64)


def _in_sight_along(neighbour: NDArray[np.int32], visible: Mask | None) -> NDArray[np.int32]:
    """The nearest neighbour in sight of every row, -1 where there is none: what is out of sight keeps nobody apart.

    An echo between a question and its answer must not weaken either, and a later time must not change an earlier one.
    """
    if visible is None:
        return neighbour
    nearest = neighbour.copy()
    while len(hidden := np.flatnonzero((nearest >= 0) & ~visible[nearest])):
        nearest[hidden] = nearest[nearest[hidden]]  # twice as far at each turn
    return nearest


def _context(rows: Rows, base: Signal, beside: Beside, reach: int) -> Signal:
    """[n] the neighbours' base scores, each step away counting half as much, scaled to [0, 1].

    A neighbour that is not among the rows counts as 0.
    """
    is_all = len(rows) == len(beside[0])
    total = np.zeros(len(rows), np.float32)
    most = 0.0
    before = after = rows
    for step in range(reach):
        before, after = _step(beside[0], before), _step(beside[1], after)
        most += 2 * 0.5**step
        for other in (before, after):
            if is_all:
                places = other
                there = other >= 0
            else:
                places = np.minimum(np.searchsorted(rows, other), len(rows) - 1)
                there = (other >= 0) & (rows[places] == other)
            total += np.float32(0.5**step) * np.where(there, base[places], np.float32(0.0))
    return total / np.float32(most or 1.0)


def _is_among(actors: NDArray[np.int32], wanted: Sequence[int]) -> Signal:
    """[n] 1 where the actor is one of those named."""
    return np.isin(actors, wanted).astype(np.float32) if wanted else np.zeros(len(actors), np.float32)


def _mentions(index: ScopeIndex, rows: Rows, text: str) -> Signal:
    """[n] the share of the cue's names (of people, places and things) that the episode mentions or is said by."""
    named = [words for name in find_names(text) if (words := set(terms(name.text)))]
    share = np.zeros(len(index), np.float32)
    for words in named:
        there = np.zeros(len(index), np.int8)
        for word in words:
            there[index.lexical.rows_of(word)] += 1
        share += np.float32(1.0 / len(named)) * (there == len(words))
    return share[rows] if len(rows) < len(share) else share


def _in_time(occurred_at: NDArray[np.int64], spans: Sequence[TimeSpan]) -> Signal:
    """[n] 1 inside one of the intervals, falling to 0 within one interval's length (a day at least) around it."""
    nearest = np.zeros(len(occurred_at), np.float32)
    for span in spans:
        start, end = to_microseconds(span.start), to_microseconds(span.end)
        outside = np.maximum(np.maximum(start - occurred_at, occurred_at - (end - 1)), 0)
        fall = float(max(end - start, _DAY))
        nearest = np.maximum(nearest, np.maximum(1.0 - outside / fall, 0.0).astype(np.float32))
    return nearest


def _recency(occurred_at: NDArray[np.int64], now: int, half_life_days: float) -> Signal:
    """[n] 1 for now (and the future), 0.5 after one half-life."""
    days = np.maximum(now - occurred_at, 0) / _DAY
    return np.exp2(-days / half_life_days).astype(np.float32)


def _session(scopes: NDArray[np.int64], sessions: NDArray[np.int32], base: Signal) -> Signal:
    """[n] the best base score among the candidates of the same session of the same scope; 0 for those without one."""
    places, inverse = np.unique(scopes << 32 | sessions, return_inverse=True)
    highest = np.zeros(len(places), np.float32)
    np.maximum.at(highest, inverse, base)
    return np.where(sessions >= 0, highest[inverse], np.float32(0.0))


def _strength(hashes: NDArray[np.int64]) -> Signal:
    """[n] 0 for what was said once, 0.5 for twice, towards 1 with every repetition."""
    _, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    return (1.0 - 1.0 / counts[inverse]).astype(np.float32)
