"""How sure a recall is: the probability that what was asked is stored at all.

A search always finds something nearest. Whether that holds an answer shows in what the best hits have in common with
the cue: how close they come in meaning, how much of its telling words one of them has, how many of its words stand
nowhere in the scope; and, where the cue names somebody who speaks here, whether the hits tell of that person or of
another. Who a message tells of is read from its pronouns: one that says "I" tells of its speaker, one that says "you"
of somebody else. "What did Ann realise after her race?" finds Bo's "My race was great!", which tells of Bo.

A handful of episodes must be judged otherwise than a long log. In a long log all of the best hits are near to what was
talked about, and a word that nobody ever said is telling. Among seven facts one hit is the answer and the others are about
other things, and nearly every word of a question is one that nobody said. So the best hit alone counts there, and missing
words do not; in between, the one passes into the other with the number of rows.

The evidence goes through a logistic curve whose few coefficients `tools/fit_confidence.py` fits to questions with and
without an answer, as many of each, asked of whole conversations and of small parts of them: so it is a probability where
half of what is asked is stored. Cosines differ between embedders, so each known embedder has its own coefficients; for
another one words alone decide. Hashed n-grams know no meanings: among a handful of episodes an answer in other words looks
to them like no answer at all, so there they never deny more than missing words do.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mnemic.index.scope_index import Mask, ScopeIndex
from mnemic.model import Cue, Hit
from mnemic.text.speakers import named_speakers
from mnemic.text.terms import terms

BEST = 5  # hits that are looked at
MANY = 300  # rows in sight from which a scope is a long log
_READ = 2000  # characters of a hit: who it tells of shows at its beginning


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the best hits have in common with a cue; each in [0, 1] but `about`."""

    best: float = 0.0  # the best cosine of a hit
    meaning: float = 0.0  # the mean over hits of the best cosine in their sessions
    told: float = 0.0  # the largest share of the cue's words that one hit has, rare words counting more
    unknown: float = 0.0  # the share of the cue's words that stand nowhere in sight
    about: float = 0.0  # in [-1, 1]: how much more they tell of the person named than of others; 0 when none is named
    breadth: float = 0.0  # how far the scope is on the way from nothing to a long log


@dataclass(frozen=True, slots=True)
class Fit:
    """Coefficients of the logistic curve."""

    constant: float
    meaning: float  # of the best hit in a handful of episodes, of all of the best hits in a long log
    told: float
    unknown: float
    about: float


@dataclass(frozen=True, slots=True)
class Fits:
    """Those of a handful of episodes, and those of a long log."""

    few: Fit
    many: Fit
    floor: float = -math.inf  # no handful of episodes adds up to less: what tells nothing must not deny


def evidence(
    cue: Cue, hits: Sequence[Hit], index: ScopeIndex, visible: Mask | None, *, with_meaning: bool = True
) -> Evidence:
    """The evidence of the best hits, given best first; without meaning, of their words alone.

    visible: the rows whose statistics count for the cue.
    """
    shown = [hit for hit in hits[:BEST] if hit.episode is not None]
    if not shown:
        return Evidence(unknown=1.0)
    speakers = set(named_speakers(cue.text, _heard(index, visible)))
    shares, unknown = _shares(cue.text, speakers, shown, index, visible)
    cosines = _values(shown, "meaning") if with_meaning else [0.0] * len(shown)
    best = max(cosines)
    return Evidence(
        best=best,
        meaning=_mean_of_sessions(shown, best) if with_meaning else 0.0,
        told=max(shares),
        unknown=unknown,
        about=_about(shown, speakers, [(share + cosine) / 2 for share, cosine in zip(shares, cosines, strict=True)]),
        breadth=min(_rows_in_sight(index, visible) / MANY, 1.0) ** 0.5,
    )


def confidence(cue: Cue, hits: Sequence[Hit], index: ScopeIndex, visible: Mask | None, embedder: str) -> float:
    """The probability, in [0, 1], that what the cue asks for is stored; 0 when there are no hits.

    hits: with their signals as reasons, best first; five are looked at. embedder: the id of what made the cosines.
    """
    if not hits:
        return 0.0
    if any(
        one.signal == "told" and one.value > 0.0 for one in hits[0].reasons
    ):  # all of a time is asked for, and it is there
        return _values(hits[:1], "time")[0]
    fits = next((fits for id, fits in FITS.items() if embedder == id or embedder.startswith(f"{id}/")), None)
    if fits is not None and (found := evidence(cue, hits, index, visible)).meaning > 0.0:
        return probability(found, fits)
    return probability(evidence(cue, hits, index, visible, with_meaning=False), WORDS)


def probability(found: Evidence, fits: Fits) -> float:
    """The logistic curve of the evidence."""
    few, many = max(_total(found, found.best, fits.few), fits.floor), _total(found, found.meaning, fits.many)
    return 1.0 / (1.0 + math.exp(-(few + found.breadth * (many - few))))


def _total(found: Evidence, meaning: float, fit: Fit) -> float:
    words = fit.told * found.told + fit.unknown * found.unknown
    return fit.constant + fit.meaning * meaning + words + fit.about * found.about


def of_speaker(text: str) -> float:
    """The share of a message that tells of who says it and not of who is spoken to; 0.5 where it does not show.

    >>> of_speaker("I ran my first race."), of_speaker("How was your race?"), of_speaker("Races are fun.")
    (0.8333333333333334, 0.25, 0.5)
    """
    own, others = len(_OWN.findall(text, 0, _READ)), len(_OTHERS.findall(text, 0, _READ))
    return (own + 0.5) / (own + others + 1.0)


def _heard(index: ScopeIndex, visible: Mask | None) -> Callable[[str], bool]:
    """Whether a word, in lower case, stands in the name of somebody who speaks in sight."""
    if visible is None:
        return index.is_speaker
    heard = set(np.unique(index.actors[visible]).tolist())
    return lambda word: not heard.isdisjoint(index.speakers([word]))


def _values(shown: Sequence[Hit], signal: str) -> list[float]:
    return [next((reason.value for reason in hit.reasons if reason.signal == signal), 0.0) for hit in shown]


def _mean_of_sessions(shown: Sequence[Hit], best: float) -> float:
    """The mean over hits of the best cosine in their sessions; what is in none is one conversation with all the others."""
    sessions = _values(shown, "session")
    near = [value if hit.episode and hit.episode.session else best for hit, value in zip(shown, sessions, strict=True)]
    return sum(near) / len(near)


def _rows_in_sight(index: ScopeIndex, visible: Mask | None) -> int:
    return len(index) if visible is None else int(visible.sum())


def _shares(
    text: str, speakers: set[str], shown: Sequence[Hit], index: ScopeIndex, visible: Mask | None
) -> tuple[list[float], float]:
    """(for each hit the share of the cue's words that it has, the share that no row in sight has), by rarity."""
    called = {term for word in speakers for term in terms(word)}
    asked = dict.fromkeys(terms(text))
    wanted = [term for term in asked if term not in called] or list(asked)
    n_rows = _rows_in_sight(index, visible)
    rows = np.searchsorted(index.seqs, [hit.episode.seq for hit in shown if hit.episode])
    held, total, unknown = np.zeros(len(rows)), 0.0, 0.0
    for term in wanted:
        there = index.lexical.rows_of(term)
        if visible is not None:
            there = there[visible[there]]
        rarity = math.log1p((n_rows - len(there) + 0.5) / (len(there) + 0.5))
        total += rarity
        if len(there):
            places = np.minimum(np.searchsorted(there, rows), len(there) - 1)
            held += rarity * (there[places] == rows)
        else:
            unknown += rarity
    scale = 1.0 / total if total else 0.0
    return (scale * held).tolist(), scale * unknown


def _about(shown: Sequence[Hit], speakers: set[str], weights: Sequence[float]) -> float:
    """The most that a hit tells of a person named, less the most that one tells of another."""
    if not speakers:
        return 0.0
    of_named = of_other = 0.0
    for hit, weight in zip(shown, weights, strict=True):
        assert hit.episode is not None
        is_named = not speakers.isdisjoint((hit.episode.actor or "").casefold().split())
        share = of_speaker(hit.text)
        of_named = max(of_named, weight * (share if is_named else 1.0 - share))
        of_other = max(of_other, weight * (1.0 - share if is_named else share))
    return of_named - of_other


_OWN = re.compile(r"\b(?:i|me|my|mine|myself|we|us|our|ours)\b", re.IGNORECASE)
_OTHERS = re.compile(r"\b(?:you|your|yours|yourself)\b", re.IGNORECASE)

# Fitted by tools/fit_confidence.py on five conversations of LoCoMo, 21 chats of BEAM and three of LongMemEval, whole and in
# parts. By the id of the embedder; an id that goes on behind a slash is the same model, reading more or less of a text.
WORDS = Fits(
    few=Fit(constant=-0.94, meaning=0.00, told=4.96, unknown=0.00, about=2.15),
    many=Fit(constant=-0.64, meaning=0.00, told=1.89, unknown=-2.31, about=9.21),
)
FITS = {
    "all-MiniLM-L6-v2/53aa5117": Fits(
        few=Fit(constant=-2.70, meaning=7.13, told=1.66, unknown=0.00, about=1.77),
        many=Fit(constant=-2.67, meaning=4.83, told=0.90, unknown=-1.80, about=6.71),
    ),
    "hashing/char3-5/1024/v1": Fits(
        few=Fit(constant=-2.13, meaning=6.88, told=2.71, unknown=0.00, about=2.83),
        many=Fit(constant=-1.88, meaning=4.11, told=1.41, unknown=-2.03, about=7.05),
        floor=WORDS.few.constant,
    ),
}
