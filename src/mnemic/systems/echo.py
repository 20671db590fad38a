"""Echo: dialogue as episodic memory, every turn with its time, told from now.

The one idea: the time is part of what is remembered. Each turn is shown with the moment it was said, how long ago that was by the
calendar, and the dates behind its "yesterday" and "last week"; a reader then answers when, how long ago and in what order from
the text alone. A recall that names a time looks in that time: what was said then, and what tells of it.

Card: echo. Source: Echo: A Large Language Model with Temporal Episodic Memory, arXiv 2502.16090. Departs: see
`Echo.card.departures`. Dialogues with questions whose answers can be computed: `systems.echo_set`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from mnemic.clock import to_microseconds
from mnemic.errors import ParameterError
from mnemic.model import Cue, Episode, Hit, Reason
from mnemic.models.prompt import Prompt, Shown
from mnemic.ops.elapsed import relative
from mnemic.systems.contract import Card, MemorySystem
from mnemic.systems.view import View
from mnemic.text.terms import terms
from mnemic.text.times import END_OF_TIME, TimeSpan, find_times

ID = "echo"
Signal = NDArray[np.float32]
READ = """
"context" holds what was said, oldest first, one numbered line for a turn: the time it was said, how long before "now" that was,
who spoke, and the words; in brackets behind them the dates that words such as "yesterday" mean there. Answer "question" from
these lines alone. Tell the time something was said from the time it tells of; reckon by the calendar.
Answer with {"answer": the answer, "" where the lines do not say; "turns": [numbers of the lines it stands in]}.
"""
_DAY = 86_400_000_000  # microseconds


@dataclass(frozen=True, slots=True)
class Params:
    """What a recall weighs; the paper has no index and no such numbers."""

    meaning: float = 0.65
    words: float = 0.35
    time: float = 0.4  # share of a time that the cue names; the others have the rest
    read: float = 0.3  # share of being named by the model, where there is one
    context: int = 30  # turns that the model is shown

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            kinds = (int,) if one.name == "context" else (int, float)
            if isinstance(value, bool) or not isinstance(value, kinds) or value < 0:
                raise ParameterError(f"{one.name}={value!r}: give a number of 0 or more, for context a whole one.")
        if abs(self.meaning + self.words - 1.0) > 1e-9 or max(self.time, self.read) > 1.0 or self.context < 1:
            raise ParameterError(
                "meaning and words must add up to 1, time and read be 1 at most, and context be 1 or more."
            )


class Echo(MemorySystem):
    """Turns with their times, ranked by what is asked and when."""

    params_type = Params
    card = Card(
        id=ID,
        title="Echo",
        year=2025,
        family="conversation",
        summary="Turns rendered with absolute and relative time; time questions are answered from the rendered text.",
        source="Echo: A Large Language Model with Temporal Episodic Memory, arXiv 2502.16090",
        needs=("embedder", "llm"),
        cost="One call for each recall that finds anything; none to write.",
        flow="""
        C[cue] --> T{does it name a time?}
        T --> W[turns said then, or telling of it]
        C --> M[turns by meaning and words]
        W --> R[rank]
        M --> R
        R --> X[rendered: time, how long ago, dates behind words]
        X --> A[model: answer and the turns it stands in]
        A --> H[hits]
        """,
        departures=(
            "The paper teaches a model by fine-tuning; here any model is given its input format.",
            "A long log does not fit: the turns that bear most on the cue are rendered, not all.",
            "Dialogues and questions are made by a seeded generator, not by agents; answers are computed (`systems.echo_set`).",
            "Each turn also shows the dates that its words mean, so that when it was said is not taken for what it tells of.",
            "Without a model the rendered time stands in each hit's reasons, and the answer is left to the reader.",
        ),
    )  # fmt: skip

    def __init__(self, params: Params | None = None) -> None:
        self.params = params or Params()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        rows, signals = self._signals(cue, view)
        scores = sum((weight * values for values, weight in signals.values()), np.zeros(len(rows), np.float32))
        order = np.lexsort((rows, -scores))
        order = order[scores[order] > 0.0]
        if not len(order):
            return []
        answer, named, share = self._read(cue, view, rows[order[: self.params.context]])
        if named:
            is_named = np.isin(rows, np.asarray(named, np.int64)).astype(np.float32)
            signals = {name: (values, weight * (1.0 - share)) for name, (values, weight) in signals.items()}
            signals["read"] = (is_named, share)
            scores = sum((weight * values for values, weight in signals.values()), np.zeros(len(rows), np.float32))
            order = np.lexsort((rows, -scores))
            order = order[scores[order] > 0.0]
        order = order[scores[order] >= cue.threshold][: cue.limit]
        place = {int(rows[at]): int(at) for at in order}
        shown = view.episodes(rows[order])

        def why(row: int) -> tuple[Reason, ...]:
            found = [
                Reason(name, float(values[place[row]]), weight, answer if name == "read" else "")
                for name, (values, weight) in signals.items()
                if values[place[row]] > 0.0
            ]
            return (*found, Reason("when", 1.0, 0.0, when_said(shown[row], cue.asked_at)))

        hits = view.hits(rows[order], [float(scores[at]) for at in order], why)
        return [
            Hit(score=min(sum(one.contribution for one in hit.reasons), 1.0), episode=hit.episode, reasons=hit.reasons)
            for hit in hits
        ]

    def _signals(self, cue: Cue, view: View) -> tuple[NDArray[np.int64], dict[str, tuple[Signal, float]]]:
        """(rows that may be hits, by name how far each has a signal, in [0, 1], and its weight)."""
        index, allowed, vector = view.index, view.allowed(cue), view.query_vector(cue)
        rows = np.arange(len(index), dtype=np.int64) if allowed is None else np.flatnonzero(allowed)
        nothing = np.zeros(len(rows), np.float32)
        meaning = nothing
        if vector is not None and len(rows):
            meaning = np.clip(index.vectors.scores(vector, rows), 0.0, 1.0)
        sums, ideal = index.lexical.scores(terms(cue.text), view.visible(cue)) if len(rows) else (nothing, 0.0)
        words = np.minimum(sums[rows] / np.float32(ideal), 1.0) if ideal > 0.0 else nothing
        params = self.params
        weights = (params.meaning, params.words) if vector is not None else (0.0, 1.0)
        spans = find_times(cue.text, cue.asked_at)
        likely = weights[0] * meaning + weights[1] * words
        time = self._in_time(spans, cue.asked_at, view, rows, likely) if spans else nothing
        share = params.time if time.any() else 0.0
        return rows, {
            "meaning": (meaning, weights[0] * (1.0 - share)),
            "words": (words, weights[1] * (1.0 - share)),
            **({"time": (time, share)} if share else {}),
        }

    def _in_time(
        self, spans: Sequence[TimeSpan], now: datetime, view: View, rows: NDArray[np.int64], likely: Signal
    ) -> Signal:
        """[n] 1 where a turn was said in a time or tells of it, less with the distance of what was said outside.

        Of a time that is yet to come turns can only tell.
        """
        said_at = view.index.occurred_at[rows]
        found = np.zeros(len(rows), np.float32)
        for span in [one for one in spans if one.start <= now]:
            start, end = to_microseconds(span.start), to_microseconds(span.end)
            away = np.maximum(start - said_at, 0) + np.maximum(said_at - (end - 1), 0)
            reach = float(max(min(end - start, 366 * _DAY), _DAY))
            found = np.maximum(found, np.maximum(1.0 - away / reach, 0.0).astype(np.float32))
        best = np.lexsort((rows, -likely))[: 4 * self.params.context]
        episodes = view.episodes(rows[best])
        for at in best.tolist():
            one = episodes.get(int(rows[at]))
            if one is not None and any(
                _overlap(told, span) for told in find_times(one.text, one.occurred_at) for span in spans
            ):
                found[at] = 1.0
        return found

    def _read(self, cue: Cue, view: View, rows: NDArray[np.int64]) -> tuple[str, list[int], float]:
        """(the model's answer, the rows that it names, their share of a score)."""
        episodes = view.episodes(rows)
        shown = sorted(episodes, key=lambda row: (episodes[row].occurred_at, row))
        lines = render((episodes[row] for row in shown), cue.asked_at)
        data = {
            "now": Shown(stamp(cue.asked_at)),
            "context": Shown(lines, tuple(episodes[row].id for row in shown)),
            "question": Shown(cue.text),
        }
        answer = view.ask("read", Prompt(READ, data, 1024), ReadAnswer)
        if answer is None:
            return "", [], 0.0
        named = [row for at, row in enumerate(shown, start=1) if at in answer.turns]
        return " ".join(answer.answer.split())[:1000], named, self.params.read if named else 0.0


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """What a model answers to READ."""

    answer: str = ""
    turns: list[int] = field(default_factory=list)


# -- rendering --------------------------------------------------------------------------------------------


def render(episodes: Iterable[Episode], now: datetime, *, has_times: bool = True) -> list[str]:
    """The turns as lines with their times, numbered from 1.

    now: from where "ago" counts; nothing else of it is told. has_times: False leaves all times out.
    """
    return [
        f"{at}. [{when_said(one, now)}] {one.speaker}: {one.text}{_dates_in(one)}"
        if has_times
        else f"{at}. {one.speaker}: {one.text}"
        for at, one in enumerate(episodes, start=1)
    ]


def when_said(episode: Episode, now: datetime) -> str:
    """The moment an episode happened, and how long ago that was."""
    return f"{stamp(episode.occurred_at)}, {relative(episode.occurred_at, now)}"


def stamp(moment: datetime) -> str:
    """A moment in full.

    >>> stamp(datetime(2024, 2, 29, 9, 5))
    '2024-02-29 Thu 09:05'
    """
    return f"{moment.date().isoformat()} {_DAYS[moment.weekday()]} {moment:%H:%M}"


def _dates_in(episode: Episode) -> str:
    """The dates that the relative times in its words mean: " [yesterday = 2024-02-28]"."""
    told = [f"{one.text} = {_date(one)}" for one in find_times(episode.text, episode.occurred_at) if one.is_relative]
    return f" [{'; '.join(told)}]" if told else ""


def _date(span: TimeSpan) -> str:
    first = span.start.date().isoformat()
    if span.end >= END_OF_TIME:
        return f"from {first}"
    last = datetime.fromtimestamp(span.end.timestamp() - 1, span.end.tzinfo).date().isoformat()
    return first if first == last else f"{first} to {last}"


def _overlap(one: TimeSpan, other: TimeSpan) -> bool:
    return one.start < other.end and other.start < one.end


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")  # strftime would speak the machine's language
