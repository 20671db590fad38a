"""Association: what was found points, by the names in it, to what the cue does not mention.

"Who is married to the director of Big Eyes?" finds the episode about the film, and that one names the director. The
episode about his marriage shares hardly a word with the question, but it shares his name with what was found. So the
best few episodes hand their strength to all others that mention one of their names, and those once more to the next.
A name hands on the more, the fewer episodes mention it and the more of an episode it makes up; an episode that is full
of names hands on less by each. Names that the cue itself holds hand on nothing: they were looked for already. An episode
that also has words of the cue which the first one lacks answers more of the question, and gets more for every such word.

Spreading activation over the graph of names and episodes; the graph is never built, since the index's postings are it.
Source: Collins and Loftus, A Spreading-Activation Theory of Semantic Processing, 1975. Departs: the strongest path to an
episode counts, not the sum of all, or what mentions many names would be found by every cue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnemic.index.lexical import K1, B, LexicalIndex, rarity
from mnemic.index.vectors import best
from mnemic.text.names import find_names
from mnemic.text.terms import terms

Rows = NDArray[np.int64]
Signal = NDArray[np.float32]
Name = tuple[str, ...]  # the terms of a name, each once, in order
Names = Mapping[Name, str]  # to the name as it is written
Postings = tuple[NDArray[np.integer], NDArray[np.integer]]  # rows ascending, and how often the term stands in each
_COMMON = 1_000  # episodes that mention a name, from which on it is too common to be worth its time
_SHARED_FROM = 8  # names of an episode; more of them share what eight would hand on
_READ = 2_000  # characters of a text that are searched for names


@dataclass(frozen=True, slots=True)
class Found:
    """How strongly each row is pointed to, and by which name."""

    values: Signal  # [n] in [0, 1]
    through: Mapping[int, str]  # the name on the strongest path, by row, where the value is not 0


@dataclass(frozen=True, slots=True)
class Sight:
    """What the cue may see of an index: the postings of a term among those rows, and how many and how long they are."""

    find: Callable[[str], Postings]
    lengths: NDArray[np.integer]  # terms in each row, out of sight or not
    n_rows: int
    mean_length: float

    @classmethod
    def of(cls, lexical: LexicalIndex, visible: NDArray[np.bool_] | None = None) -> Sight:
        """The rows of an index that are visible, all where that is None; each term is looked up once."""
        known: dict[str, Postings] = {}

        def find(term: str) -> Postings:
            if term not in known:
                rows, counts = lexical.postings(term)
                known[term] = (rows, counts) if visible is None else (rows[keep := visible[rows]], counts[keep])
            return known[term]

        lengths = lexical.lengths.values
        seen = lengths if visible is None else lengths[visible]
        return cls(find, lengths, len(seen), float(seen.mean()) if len(seen) else 0.0)


def names_in(text: str) -> Names:
    """The names in the beginning of a text, by their terms; a word that only begins a sentence is none.

    >>> dict(names_in("A film by Tim Burton, with Amy Adams."))
    {('tim', 'burton'): 'Tim Burton', ('ami', 'adam'): 'Amy Adams'}
    """
    found: dict[Name, str] = {}
    for name in find_names(text[:_READ]):
        if name.is_certain and (words := tuple(dict.fromkeys(terms(name.text)))):
            found.setdefault(words, name.text)
    return found


def associate(
    scores: Signal,
    wanted: Sequence[str],
    names_of: Callable[[Rows], Mapping[int, Names]],
    sight: Sight,
    *,
    weight: float,
    seeds: int = 5,
    hops: int = 2,
) -> Found:
    """What the best rows point to, and what those point to.

    scores: [n] what is known of each row without association; 0 for those out of sight or not looked at. wanted: the
    cue's terms. names_of: the names in some rows; a row that it leaves out points nowhere. weight: what a value of 1 is
    worth beside the scores, which decides from which rows the next hop starts. Each hop hands on half as much as the one
    before. No row points to itself, and nothing depends on rows out of sight.
    """
    values, through = np.zeros(len(scores), np.float32), dict[int, str]()
    known: dict[int, Names] = {}
    for hop in range(hops if sight.n_rows > 1 else 0):
        total = scores + np.float32(weight) * values
        starts = best(total, seeds, total > 0.0)
        if not len(starts):
            break
        unread = np.array([row for row in starts.tolist() if row not in known], np.int64)
        if len(unread):
            known |= names_of(unread)
        strengths = (total[starts] / total[starts].max()) ** 2 * np.float32(0.5**hop)
        _point(starts, strengths, wanted, known, sight, values, through)
    return Found(values, through)


def _point(
    starts: Rows,
    strengths: Signal,
    wanted: Sequence[str],
    known: Mapping[int, Names],
    sight: Sight,
    values: Signal,
    through: dict[int, str],
) -> None:
    """Raise the values of what the starting rows point to in one hop, and note by which name."""
    asked = set(wanted)
    paths: list[tuple[int, str, Rows, Signal]] = []  # from which start, by which name, to which rows, how strongly
    ends: dict[Name, tuple[Rows, Signal]] = {}
    for start, row in enumerate(starts.tolist()):
        names = known.get(row, {})
        share = np.float32(min(1.0, _SHARED_FROM / max(len(names), 1)))
        for name, spelled in names.items():
            if asked.issuperset(name):
                continue
            if name not in ends:
                ends[name] = mentions(name, sight)
            rows, weights = ends[name]
            if len(rows) > 1:
                paths.append((start, spelled, rows, share * weights))
    if not paths:
        return
    counts = [len(rows) for _, _, rows, _ in paths]
    to = np.concatenate([rows for _, _, rows, _ in paths])
    place = np.repeat([start for start, _, _, _ in paths], counts)
    by = np.repeat(np.arange(len(paths)), counts)
    strength = np.concatenate([weights for _, _, _, weights in paths]) * strengths[place]
    strength *= 1.0 + _words_added(to, starts, place, wanted, sight)
    strength = np.minimum(strength, np.float32(1.0))
    strength[to == starts[place]] = 0.0
    raised = strength > values[to]
    to, by, strength = to[raised], by[raised], strength[raised]
    np.maximum.at(values, to, strength)
    strongest = strength == values[to]
    for row, path in zip(to[strongest].tolist(), by[strongest].tolist(), strict=True):
        through[row] = paths[path][1]


def mentions(name: Name, sight: Sight) -> tuple[Rows, Signal]:
    """(rows, weights) of what mentions every term of a name; empty for a name that is too common.

    A weight is the square of the name's rarity, which is 1 when one row has it and 0 when all have, times BM25's share
    for how much of the row it makes up.
    """
    (rows, counts), *others = sorted(map(sight.find, name), key=lambda found: len(found[0]))
    for there, theirs in others:
        at, is_there = _places(there, rows)
        rows, counts = rows[is_there], np.minimum(counts[is_there], theirs[at[is_there]])
    if not 0 < len(rows) <= _COMMON:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    rarity = np.log(sight.n_rows / len(rows)) / np.log(sight.n_rows)
    return rows.astype(np.int64), (rarity**2 * _saturated(rows, counts, sight)).astype(np.float32)


def _words_added(to: Rows, starts: Rows, place: Rows, wanted: Sequence[str], sight: Sight) -> Signal:
    """[n_paths] how many of the cue's words the end of each path adds to those at its start.

    A word counts by its rarity beside the cue's others, 1 on average, and by how much of a row it makes up.
    """
    every = np.zeros(len(sight.lengths), np.bool_)
    every[to], every[starts] = True, True
    rows = np.flatnonzero(every)
    ends, begins = np.searchsorted(rows, to), np.searchsorted(rows, starts)
    added, rarities = np.zeros(len(to), np.float32), []
    for term in dict.fromkeys(wanted):
        there, counts = sight.find(term)
        if not len(there):
            continue
        rarities.append(rarity(len(there), sight.n_rows))
        at, is_there = _places(there, rows)
        share = np.zeros(len(rows), np.float32)
        share[is_there] = np.minimum((K1 + 1.0) * _saturated(rows[is_there], counts[at[is_there]], sight), 1.0)
        added += np.float32(rarities[-1]) * np.maximum(share[ends] - share[begins][place], np.float32(0.0))
    return added / np.float32(np.mean(rarities)) if rarities else added


def _saturated(rows: NDArray[np.integer], counts: NDArray[np.integer], sight: Sight) -> NDArray[np.float64]:
    """BM25's share, in [0, 1), for a term that stands so often in rows of such lengths."""
    norm = K1 * (1.0 - B + (B / (sight.mean_length or 1.0)) * sight.lengths[rows])
    return np.asarray(counts / (counts + norm), np.float64)


def _places(rows: NDArray[np.integer], wanted: NDArray[np.integer]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Where each wanted row stands in rows, which ascend, and whether it is there at all."""
    if not len(rows):
        return np.zeros(len(wanted), np.intp), np.zeros(len(wanted), np.bool_)
    at = np.minimum(np.searchsorted(rows, wanted), len(rows) - 1)
    return at, rows[at] == wanted
