"""TradingGPT: events in layers that fade at different speeds, promoted by importance, sunk and purged as they grow stale.

The one idea: each day an event of layer l grows older by one (δ), its recency becomes exp(-δ/Q_l) and its importance v is
multiplied by α_l. A v that reaches the next layer's bound lifts it there, where it starts young; one that falls below its own
lets it sink; and it is purged once too little recency or importance is left. Profits raise v, losses lower it.

Source: arXiv 2309.03736; constants as in FinMem (pipiku915/FinMem-LLM-StockTrading), by the same authors. Departs: the daily step
is a function of an event's date, of the feedback and of the cue's time, in closed form, so that nothing runs every day and
nothing is deleted. See the card. The agents that decide on recalled events are in `systems.traders`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mnemic.clock import to_microseconds
from mnemic.errors import ParameterError
from mnemic.model import Cue, Episode, Hit, Reason, Record
from mnemic.ops.decay import drawn, importance, recency
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.feedback import heard
from mnemic.systems.units import said_rows
from mnemic.systems.uses import Use, note_use, uses_of
from mnemic.systems.view import View
from mnemic.text.terms import terms

ID = "tradinggpt"
EVENT = "event"
SHORT, MIDDLE, LONG, REFLECTION = "short", "middle", "long", "reflection"
LAYERS = (SHORT, MIDDLE, LONG, REFLECTION)
_DAY = 86_400_000_000  # microseconds
Days = NDArray[np.int64]  # since 1970
_MOVES = 2  # layers that an event may move in a day

# metadata's `source`, in small letters with blanks, by layer; others are daily events
_SOURCES: Mapping[str, str] = {
    **dict.fromkeys(("news", "price", "prices", "market", "tweet", "filing", "8-k", "transcript"), SHORT),
    **dict.fromkeys(
        ("10-q", "quarterly", "quarterly report", "fund", "fund position", "fund positions", "13f"), MIDDLE
    ),
    **dict.fromkeys(("10-k", "annual", "annual report", "yearly report"), LONG),
    REFLECTION: REFLECTION,
}
_NAMED: Mapping[str, str] = {"mid": MIDDLE, "middle": MIDDLE, "short": SHORT, "long": LONG, "reflection": REFLECTION}
_SAYS_LONG = re.compile(r"\b(?:annual report|10-?K|yearly report)\b", re.IGNORECASE)
_SAYS_MIDDLE = re.compile(
    r"\b(?:quarterly (?:report|results|earnings)|10-?Q|13-?F|Q[1-4] (?:results|earnings|report))\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Layer:
    """How events fade in one layer."""

    stability_days: float  # Q
    factor: float  # alpha: of importance, each day
    values: tuple[float, ...]  # that a new event's importance is drawn from
    weights: tuple[float, ...]  # with these probabilities


@dataclass(frozen=True, slots=True)
class Params:
    """The constants of the layers: 14, 90 and 365 days in the paper; the rest as in FinMem."""

    short_days: float = 14.0  # Q of the layers; FinMem has 3 for the short one
    middle_days: float = 90.0
    long_days: float = 365.0
    short_factor: float = 0.9  # alpha of the layers; FinMem has 0.92 for the short one
    middle_factor: float = 0.967
    long_factor: float = 0.988
    to_middle: float = 60.0  # importance from which a short event is lifted, and below which a middle one sinks
    to_long: float = 80.0  # the same between middle and long
    least_recency: float = 0.05  # below which an event is purged
    least_importance: float = 5.0  # likewise
    reward: float = 5.0  # what a profit adds to importance, and a loss takes
    clock: str = (
        "days"  # that age counts: "days" of the calendar, or "dates" on which the log has something, as FinMem does
    )
    top_k: int = 0  # events of each layer in a recall; 0 for as many as the cue asks for
    seed: int = 0  # of the draws of importance

    def __post_init__(self) -> None:
        if min(self.short_days, self.middle_days, self.long_days) <= 0.0:
            raise ParameterError(f"{self.short_days=}, {self.middle_days=}, {self.long_days=}: give days above 0.")
        if not all(0.0 < factor < 1.0 for factor in (self.short_factor, self.middle_factor, self.long_factor)):
            raise ParameterError(
                f"{self.short_factor=}, {self.middle_factor=}, {self.long_factor=}: between 0 and 1, without them."
            )
        if not 0.0 <= self.least_importance <= self.to_middle <= self.to_long or not 0.0 <= self.least_recency < 1.0:
            raise ParameterError(
                f"{self.least_importance=}, {self.to_middle=}, {self.to_long=}, {self.least_recency=}: give them in ascending "
                "order from 0, and a recency below 1."
            )
        if self.clock not in ("days", "dates"):
            raise ParameterError(f"clock={self.clock!r}: give 'days' or 'dates'.")
        if self.top_k < 0 or self.reward < 0.0:
            raise ParameterError(f"{self.top_k=}, {self.reward=}: give 0 or more.")

    @property
    def layers(self) -> Mapping[str, Layer]:
        """The layers by name; reflections fade as what is in the long one does."""
        return _layers(self)


@lru_cache(maxsize=64)
def _layers(params: Params) -> Mapping[str, Layer]:
    enduring = ((40.0, 60.0, 80.0), (0.05, 0.15, 0.8))
    return {
        SHORT: Layer(params.short_days, params.short_factor, (50.0, 70.0, 90.0), (0.5, 0.45, 0.05)),
        MIDDLE: Layer(params.middle_days, params.middle_factor, (40.0, 60.0, 80.0), (0.05, 0.8, 0.15)),
        LONG: Layer(params.long_days, params.long_factor, *enduring),
        REFLECTION: Layer(params.long_days, params.long_factor, *enduring),
    }


@dataclass(frozen=True, slots=True)
class Standing:
    """An event on some day."""

    layer: str
    importance: float  # v, 0 to 100 and above
    age_days: int = 0  # δ, since it happened or was last lifted
    is_purged: bool = False
    moves: tuple[tuple[int, str], ...] = ()  # (days since the event, the layer that it came to)
    purged_on: int | None = None  # days since the event

    def recency(self, params: Params) -> float:
        """exp(-δ/Q)."""
        return recency(float(self.age_days), params.layers[self.layer].stability_days)


class TradingGPT(MemorySystem):
    """Events in a short, a middle and a long layer, and reflections."""

    card = Card(
        id=ID,
        title="TradingGPT",
        year=2023,
        family="conversation",
        summary="Events in layers of different decay, ranked by meaning, recency and importance; profit lifts them.",
        source="TradingGPT: Multi-Agent System with Layered Memory and Distinct Characters, arXiv 2309.03736",
        needs=("embedder",),
        makes=(EVENT,),
        cost="Nothing is asked of a model by the memory; a Trader asks one call for a decision, and one more in a debate.",
        flow=(
            "E[episodes] --> S[short: news, prices]\nE --> M[middle: quarterly reports]\nE --> L[long: annual reports]\n"
            "E --> R[reflections]\nS <-->|v at 60| M\nM <-->|v at 80| L\nF[feedback: profit or loss] -->|v ± 5| D\n"
            "S --> D{day by day}\nM --> D\nL --> D\nD -->|recency below 0.05 or v below 5| P[purged, kept in the log]\n"
            "D --> Q[top K of each layer]"
        ),
        departures=(
            "The daily step is computed for the cue's date from the event's date and its feedback, in closed form; days are "
            "calendar days in UTC, as δ and Q are in the paper, where FinMem's loop counts the dates of its data (`clock`). A "
            "purged event is out of recall and stays in the log.",
            "So what is said by the way does not last: an event drawn at 50 is purged after 22 days, one at 70 rises for two "
            "days, sinks and is purged after 27. Only what is told to be of a longer layer, or was profitable, outlives a month.",
            "A layer is taken from the episode's metadata (`layer`, else `source`), else from words such as '10-K'; what says "
            "nothing of it is a daily event of the short layer. `importance` and `symbol` may be given there too.",
            "The draw of an event's importance is a hash of its id and the seed.",
            "Bounds are tested whenever importance changes, each day and after feedback, for a lift before a purge; FinMem tests "
            "them in the daily step, for a purge before a lift.",
            "Each profit adds the same to importance; FinMem's code adds 5 for each net profit so far, anew at every one.",
            "Reflections stay in their layer and fade as long events do.",
            "The score is divided by three, to lie from 0 to 1; a cosine below 0 counts as 0.",
            "Access alone changes nothing: recall writes nothing, and feedback says what was profitable (`value` above 0, or "
            "helpful) and what was not (below 0, unhelpful or wrong).",
            "K is not given in the paper: it is the cue's limit, for each layer.",
            "A purged event is given back by no filter or window, so it cannot be found however narrowly it is asked for.",
        ),
    )
    params_type = Params
    exempt: ClassVar[Mapping[str, str]] = {
        "test_a_rare_match_is_found_among_thousands_that_a_filter_or_window_leaves_out": (
            "a daily event of two months ago is purged"
        )
    }

    def __init__(self, params: Params | None = None) -> None:
        self.params: Params = params or Params()

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        draft = view.draft()
        for episode in episodes:
            note_use(draft, episode, ID)
        for episode in heard(episodes):
            draft.put(event(episode, self.params))
        return draft.changes()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        made, vector = view.made, view.query_vector(cue)
        if vector is not None:
            found = made.scores(vector, kinds=(EVENT,), as_of=cue.as_of)
        else:
            words = made.words(terms(cue.text), kinds=(EVENT,), as_of=cue.as_of)
            found = [(one, words.get(one.id, 0.0)) for one in made.current((EVENT,), cue.as_of)]
        in_sight = view.sees([one for one, _ in found], cue)
        signals: dict[str, tuple[float, float, float]] = {}
        layers: dict[str, list[tuple[Record, float]]] = {layer: [] for layer in LAYERS}
        standings: dict[str, Standing] = {}
        dates = self.dates(view, cue)
        for (one, similarity), is_seen in zip(found, in_sight, strict=True):
            if not is_seen:
                continue
            standing = self.standing(one, view, cue, dates)
            if standing.is_purged:
                continue
            standings[one.id] = standing
            near = min(max(float(similarity), 0.0), 1.0)
            signals[one.id] = near, standing.recency(self.params), min(standing.importance, 100.0) / 100.0
            layers[standing.layer].append((one, sum(signals[one.id]) / 3.0))
        k = self.params.top_k or cue.limit
        ranked = [pair for of_layer in layers.values() for pair in top_of_layer(of_layer, signals, k)]
        ranked.sort(key=lambda pair: (-pair[1], pair[0].id))

        def why(record: Record, score: float) -> tuple[Reason, ...]:
            near, young, weighty = signals[record.id]
            standing = standings[record.id]
            return (
                Reason("meaning" if vector is not None else "words", near, 1 / 3),
                Reason("recency", young, 1 / 3, f"{standing.layer} layer, {standing.age_days} days"),
                Reason("importance", weighty, 1 / 3, f"{standing.importance:.1f}"),
            )

        return view.record_hits(ranked, cue, why)

    def dates(self, view: View, cue: Cue) -> Days | None:
        """The days on which something was said, as far as was known, where these are what counts; in ascending order."""
        if self.params.clock == "days":
            return None
        return np.unique(view.index.occurred_at[said_rows(view.index, cue)] // _DAY)

    def standing(self, record: Record, view: View, cue: Cue, dates: Days | None) -> Standing:
        """How an event stands when the cue is asked."""
        began = _day(record.valid_from or record.recorded_at)
        gains: dict[int, float] = {}
        for use in uses_of(view.made, (record.id, *record.sources), cue):
            day = steps(began, _day(use.at), dates)
            gains[day] = gains.get(day, 0.0) + self.params.reward * gain(use)
        age = steps(began, _day(cue.asked_at), dates)
        return standing_after(record.data["layer"], record.data["importance"], age, self.params, gains)


# -- the daily step -------------------------------------------------------------------------------------------


def steps(began: int, day: int, dates: Days | None) -> int:
    """Daily steps from a day to another: one for each day that ended between them, of the calendar or of these dates.

    >>> steps(1, 9, None), steps(1, 9, np.array([1, 2, 7, 9]))
    (8, 3)
    """
    if dates is None:
        return max(day - began, 0)
    return max(int(np.searchsorted(dates, day) - np.searchsorted(dates, began)), 0)


def standing_after(
    layer: str, importance: float, days: int, params: Params, gains: Mapping[int, float] | None = None
) -> Standing:
    """How an event stands so many days after it happened, that began with an importance in a layer.

    gains: what feedback added to its importance, by days since the event. Each day it ages and loses importance, is lifted or
    sinks, and then is purged where a bound is crossed; what feedback adds on a day comes after that day's step.

    >>> now = standing_after("short", 70.0, 1, Params())
    >>> now.layer, round(now.importance, 6), now.age_days
    ('middle', 63.0, 0)
    """
    return _standing_after(layer, importance, max(days, 0), params, tuple(sorted((gains or {}).items())))


@lru_cache(maxsize=16_384)  # events that nothing was said of are alike by layer, importance and age
def _standing_after(
    layer: str, importance: float, last: int, params: Params, gains: tuple[tuple[int, float], ...]
) -> Standing:
    added = dict(gains)
    now = Standing(layer, importance)
    if 0 in added:
        now = _settled(replace(now, importance=now.importance + added[0]), 0, params)
    at = 0
    while at < last and not now.is_purged:
        stop = min([day for day in added if at < day <= last], default=last)
        steps = min(_quiet_days(now, params) + 1, stop - at)  # up to the day on which something happens
        at += steps
        now = _settled(_older(now, steps, params), at, params)
        if at in added and not now.is_purged:
            now = _settled(replace(now, importance=now.importance + added[at]), at, params)
    return now


def gain(use: Use) -> int:
    """1 for feedback of a profit, -1 of a loss, else 0: by its value where it has one, else by its verdict."""
    if use.value is not None:
        return (use.value > 0.0) - (use.value < 0.0)
    return {"helpful": 1, "unhelpful": -1, "wrong": -1}.get(use.verdict, 0)


def _older(now: Standing, days: int, params: Params) -> Standing:
    left = importance(now.importance, params.layers[now.layer].factor, float(days))
    return replace(now, importance=left, age_days=now.age_days + days)


def _settled(now: Standing, at: int, params: Params) -> Standing:
    """After its importance changed: in the layer where it belongs, or purged."""
    for _ in range(_MOVES):
        to = _layer_for(now, params)
        if to == now.layer:
            break
        is_lifted = LAYERS.index(to) > LAYERS.index(now.layer)
        now = replace(now, layer=to, age_days=0 if is_lifted else now.age_days, moves=(*now.moves, (at, to)))
    if now.recency(params) < params.least_recency or now.importance < params.least_importance:
        return replace(now, is_purged=True, purged_on=at)
    return now


def _layer_for(now: Standing, params: Params) -> str:
    """The layer next to its own where it belongs, or its own; reflections stay where they are."""
    if now.layer == SHORT:
        return MIDDLE if now.importance >= params.to_middle else SHORT
    if now.layer == MIDDLE:
        return LONG if now.importance >= params.to_long else SHORT if now.importance < params.to_middle else MIDDLE
    return MIDDLE if now.layer == LONG and now.importance < params.to_long else now.layer


def _quiet_days(now: Standing, params: Params) -> int:
    """Days through which nothing but fading can happen: one less than the first on which a bound may be crossed."""
    layer = params.layers[now.layer]
    if _layer_for(_older(now, 1, params), params) != now.layer:
        return 0
    sinks_below = {MIDDLE: params.to_middle, LONG: params.to_long}.get(now.layer, 0.0)
    bound = max(params.least_importance, sinks_below)
    quiet = math.inf
    if bound > 0.0 and now.importance > 0.0:
        quiet = min(quiet, math.log(bound / now.importance) / math.log(layer.factor))
    if params.least_recency > 0.0:
        quiet = min(quiet, -layer.stability_days * math.log(params.least_recency) - now.age_days)
    return 10**6 if math.isinf(quiet) else max(int(quiet) - 1, 0)  # a day less, whatever was lost by rounding


def _day(moment: datetime) -> int:
    return to_microseconds(moment) // _DAY


# -- events ---------------------------------------------------------------------------------------------------


def event(episode: Episode, params: Params) -> Record:
    """The event that an episode is."""
    layer = layer_of(episode)
    given = episode.metadata.get("importance")
    if isinstance(given, int | float) and not isinstance(given, bool) and 0.0 <= given <= 100.0:
        value = float(given)
    else:
        value = drawn(params.layers[layer].values, params.layers[layer].weights, episode.id, params.seed)
    data: dict[str, Any] = {BY: "offline", "layer": layer, "importance": value}
    if isinstance(symbol := episode.metadata.get("symbol"), str):
        data["symbol"] = symbol
    return Record(
        id=record_id(ID, EVENT, episode.id),
        system=ID,
        scope=episode.scope,
        kind=EVENT,
        text=episode.text,
        sources=(episode.id,),
        recorded_at=episode.recorded_at,
        valid_from=episode.occurred_at,
        data=data,
    )


def layer_of(episode: Episode) -> str:
    """The layer that an episode begins in: as its metadata says, else by what it calls itself."""
    named = _NAMED.get(str(episode.metadata.get("layer", "")).strip().lower())
    source = _SOURCES.get(" ".join(str(episode.metadata.get("source", "")).lower().replace("_", " ").split()))
    if named or source:
        return named or source or SHORT
    if episode.role == REFLECTION:
        return REFLECTION
    return LONG if _SAYS_LONG.search(episode.text) else MIDDLE if _SAYS_MIDDLE.search(episode.text) else SHORT


def top_of_layer(
    events: Sequence[tuple[Record, float]], signals: Mapping[str, tuple[float, float, float]], k: int
) -> list[tuple[Record, float]]:
    """The k best events of a layer by score, among the k nearest and the k that are most recent and important."""
    nearest = sorted(events, key=lambda pair: (-signals[pair[0].id][0], pair[0].id))[:k]
    weightiest = sorted(events, key=lambda pair: (-sum(signals[pair[0].id][1:]), pair[0].id))[:k]
    candidates = {pair[0].id: pair for pair in (*nearest, *weightiest)}
    return sorted(candidates.values(), key=lambda pair: (-pair[1], pair[0].id))[:k]
