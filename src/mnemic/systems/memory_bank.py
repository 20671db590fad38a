"""MemoryBank: dated turns, summaries and portraits of each day, thinned by a forgetting curve that recall resets.

The one idea: what is left of a turn after t days is R = exp(-t / (c·S)); each recall adds 1 to its strength S and starts t
anew, so what is never needed fades and what is needed stays. Days are summed up as events and as a portrait of the user.

Source: arXiv 2305.10250 and its repository zhongwanjun/MemoryBank-SiliconFriend. Departs: the official code writes
exp(-t / 5*S), by precedence (t/5)·S, so that stronger turns fade faster; here c·S divides, with the paper's c = 1. Forgetting
is a view over the log at the time of the cue, drawn by id or decided by a threshold, never a deletion. See the card.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from mnemic.errors import ParameterError
from mnemic.model import Cue, Episode, Hit, Reason, Record
from mnemic.models.prompt import Asks
from mnemic.ops.decay import Strength, days, keep_draw
from mnemic.ops.summarise import Summary, summarise
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.feedback import heard
from mnemic.systems.made import holds
from mnemic.systems.parts import LENGTHS, without_corrected
from mnemic.systems.portraits import day_portrait, global_portrait
from mnemic.systems.units import closed_units, drop_provisional, open_unit, said_rows, uncorrected
from mnemic.systems.uses import best_first, note_use, uses_of
from mnemic.systems.view import View
from mnemic.text.terms import terms

ID = "memorybank"
TURN, DAY, PORTRAIT = "turn", "day_summary", "day_portrait"
GLOBAL, GLOBAL_PORTRAIT = "global_summary", "global_portrait"
FORGETTING = ("off", "threshold", "drawn")
_CHUNK = 80  # turns that a model is shown at once

DAY_TASK = """
You keep the diary of a companion. "pieces" holds what was said on one day, in order, with time and speaker; "previous", where it
is there, is what was written of the day so far. Write down the day's themes and key events in the third person: who did, felt,
wanted and recommended what, with names, titles, numbers and dates as they are given. Add nothing of your own. "max_words" is
the most words that it may have. Answer with {"summary": the text}.
"""
GLOBAL_TASK = """
You keep the memory of a companion. "pieces" holds summaries of days, oldest first; "previous", where it is there, sums up the
days before them. Write one summary of all: the events and themes that matter for knowing these people, what changed, and names
and dates as they are given. "max_words" is the most words that it may have. Answer with {"summary": the text}.
"""


@dataclass(frozen=True, slots=True)
class Params:
    """How it forgets and sums up."""

    forgetting: str = "off"  # "off" as in the code's default; "threshold" on R; "drawn": kept with probability R
    threshold: float = 0.05  # of retention, below which a turn is forgotten where forgetting is "threshold"
    scale_days: float = 1.0  # c: 1 in the paper; the code means 5
    seed: int = 0  # of the draws
    hides_empty_days: bool = True  # a day whose turns are all forgotten loses its summary, as in the code
    with_global: bool = False  # whether the global summary and portrait are recalled beside turns and days
    day_words: int = 100  # of a day's summary
    global_words: int = 200  # of the global one
    whole_days: int = 30  # up to so many days, the global ones are made of all; then of the last ones and what is new

    def __post_init__(self) -> None:
        if self.forgetting not in FORGETTING or not self.scale_days > 0.0 or not 0.0 <= self.threshold <= 1.0:
            raise ParameterError(
                f"forgetting={self.forgetting!r}, scale_days={self.scale_days}, threshold={self.threshold}: give one of "
                f"{', '.join(FORGETTING)}, a scale above 0, and a threshold from 0 to 1."
            )
        if min(self.day_words, self.global_words, self.whole_days) < 1:
            raise ParameterError(f"{self.day_words=}, {self.global_words=}, {self.whole_days=}: give 1 or more.")


class MemoryBank(MemorySystem):
    """Turns, days and portraits, with an Ebbinghaus forgetting curve."""

    card = Card(
        id=ID,
        title="MemoryBank",
        year=2023,
        family="conversation",
        summary="Dated turns, summaries and portraits of days and of all days; what is not recalled fades by a forgetting curve.",
        source="MemoryBank: Enhancing Large Language Models with Long-Term Memory, arXiv 2305.10250",
        needs=("embedder", "llm"),
        makes=(TURN, DAY, PORTRAIT, GLOBAL, GLOBAL_PORTRAIT),
        cost="Two calls for each day when it is over, and two more that refresh the global summary and portrait.",
        flow=(
            "E[episodes] --> T[turns: what was said and its answer]\nT -->|a day is over| D[summary of the day]\n"
            "T --> P[portrait of the day]\nD --> G[global summary]\nP --> H[global portrait]\n"
            "F[feedback: used] --> S[strength S]\nT --> R{R = exp of -t/cS}\nS --> R\nR -->|kept| Q[recall by meaning]\nD --> Q"
        ),
        departures=(
            "Forgetting is off by default, as in the code; strength is kept then, and changes no ranking.",
            "R = exp(-t/(c·S)) with c = 1; the official code's exp(-t / 5*S) makes stronger turns fade faster by precedence, and "
            "means c = 5.",
            "Forgetting is decided when a cue is asked, for its time: the draw is a hash of the turn's id and of how often it "
            "was used, not a new draw at each login. So the share that is kept after t days is R(t), whatever the number of "
            "logins, nothing is deleted, and a rebuild forgets the same.",
            "Recall writes nothing: a turn is strengthened by feedback that it, or an episode of it, was used or helpful.",
            "A day is over when something of another date is said; until then `consolidate` sums it up provisionally. What is "
            "told late of a day gives its summary another version.",
            "Beyond 30 days the global summary is made of the last one and the days since, which are gathered until they are "
            "a thirtieth of all.",
            "The prompt of the paper always has the global summary and portrait; here they are records, recalled by meaning "
            "where with_global is set, because a hit that stands on everything would answer any question for evidence.",
            "Hits are ranked by meaning, as many as the cue asks for (2, 3 or 6 in the code); that neighbours are joined and put "
            "in order of date is left to the context block.",
            "What was corrected on its day is not in the day's summary and portrait.",
            "The threshold of retention and the lengths of summaries are ours. Summaries have no strength, since in the code "
            "theirs decides nothing.",
            "Without a model, portraits are what the users say of themselves and their foremost topics; they name no mood.",
        ),
    )
    params_type = Params

    def __init__(self, params: Params | None = None) -> None:
        self.params: Params = params or Params()

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        draft = view.draft()
        drop_provisional(draft)
        for episode in episodes:
            note_use(draft, episode, ID)
        self._put_turns(draft, view, episodes)
        for unit, closer in closed_units(view, draft, episodes, is_another_day):
            self._close(draft, view, unit, closer)
        return draft.changes()

    def consolidate(self, view: View) -> Changes:
        """Sum up the day that is not over yet, until it goes on."""
        draft = view.draft()
        drop_provisional(draft)
        if unit := open_unit(view, draft):
            made = self._close(draft, view, unit, unit[-1], is_provisional=True)
            draft.state["provisional"] = [one.id for one in made]
        return draft.changes()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        made, vector = view.made, view.query_vector(cue)
        kinds = (TURN, DAY, *((GLOBAL, GLOBAL_PORTRAIT) if self.params.with_global else ()))
        if vector is not None:
            found = made.scores(vector, kinds=kinds, as_of=cue.as_of)
        else:
            words = made.words(terms(cue.text), kinds=kinds, as_of=cue.as_of)
            found = sorted(
                ((made.records[id], score) for id, score in words.items()), key=lambda one: (-one[1], one[0].id)
            )
        provisional = [one for one, _ in found if one.data.get("provisional")]
        replaced = (
            {one.data.get("previous") for one in provisional} if cue.as_of is None else {one.id for one in provisional}
        )
        is_forgetting, now = self.params.forgetting != "off", days(cue.asked_at)

        def is_kept(turn: Record | None) -> bool:  # what still waits for its answer is no record yet, and fresh
            return turn is None or self.keeps(turn, self.strength(turn, view, cue), now)

        def is_shown(record: Record) -> bool:
            if record.id in replaced:
                return False
            if is_forgetting and record.kind == TURN:
                return is_kept(record)
            if is_forgetting and record.kind == DAY and self.params.hides_empty_days:
                return any(is_kept(made.records.get(id)) for id in record.data["turns"])
            return True

        def why(record: Record, score: float) -> tuple[Reason, ...]:
            reasons = (Reason("meaning" if vector is not None else "words", score, 1.0),)
            if record.kind != TURN or not is_forgetting:
                return reasons
            strength = self.strength(record, view, cue)
            return (
                *reasons,
                Reason("retention", strength.retention(now, self.params.scale_days), 0.0, f"S = {strength.value:g}"),
            )

        hits = view.record_hits(((record, score) for record, score in found if is_shown(record)), cue, why)
        return without_corrected(best_first([*hits, *self._unanswered(cue, view)], cue), cue, view)

    def strength(self, turn: Record, view: View, cue: Cue) -> Strength:
        """How strong a turn is when the cue is asked, and when it was last recalled or said."""
        strength = Strength(days(turn.valid_from or turn.recorded_at))
        for use in uses_of(view.made, (turn.id, *turn.sources), cue):
            if use.is_recall:
                strength = strength.recalled(days(use.at))
        return strength

    def keeps(self, turn: Record, strength: Strength, now: float) -> bool:
        """Whether a turn is still remembered at a time in days."""
        if self.params.forgetting == "off":
            return True
        retained = strength.retention(now, self.params.scale_days)
        if self.params.forgetting == "threshold":
            return retained >= self.params.threshold
        return keep_draw(f"{turn.id}#{strength.uses}", retained, self.params.seed)

    # -- turns --------------------------------------------------------------------------------------------

    def _put_turns(self, draft: Draft, view: View, episodes: Sequence[Episode]) -> None:
        waiting = draft.state.pop("waiting", 0)
        said = heard(view.since(waiting - 1)) if waiting else heard(episodes)
        closed, rest = turns_in(said)
        for turn, closer in closed:
            known_at = max(one.recorded_at for one in (*turn, closer))  # an import need not come in order
            draft.put(_turn(turn, known_at), embed=f"Conversation on {_date(turn[0])}: {_text(turn)}")
        if rest is not None:
            draft.state["waiting"] = rest.seq

    def _unanswered(self, cue: Cue, view: View) -> list[Hit]:
        """What was said last and had no answer when the cue's time came."""
        index, made = view.index, view.made
        rows = said_rows(index, cue)[-2:]
        last = list(view.episodes(rows).values())
        if not last or _is_there(made.records.get(turn_id(last[-1])), cue):
            return []
        if len(last) == 2 and _is_there(before := made.records.get(turn_id(last[0])), cue):
            assert before is not None
            if last[-1].id in before.sources:
                return []
        return view.tail_hits(cue, int(index.seqs[rows[-1]]) - 1)

    # -- days ---------------------------------------------------------------------------------------------

    def _close(
        self, draft: Draft, view: View, unit: Sequence[Episode], closer: Episode, *, is_provisional: bool = False
    ) -> list[Record]:
        """The summary and the portrait of a day, or of what was told late of it, and what they do to the global ones."""
        date, ids = _date(unit[0]), [turn_id(turn[0]) for turn in _all_turns(unit)]
        unit, at = uncorrected(view, unit, closer), closer.recorded_at
        if not unit:
            return []
        put: list[Record] = []
        for kind in (DAY, PORTRAIT):
            number, old = _newest(draft, kind, date)
            previous = Summary(old.text, old.sources, old.data[BY]) if old else None
            if kind == DAY:
                made = _day_summary(unit, view.ask, previous, self.params.day_words)
            else:
                made = day_portrait(unit, view.ask, previous)
            if not made.text:
                continue
            data: dict[str, Any] = {BY: made.path, "date": date, "number": number}
            if kind == DAY:
                data["turns"] = [*(old.data["turns"] if old else ()), *ids]
            if old:
                data["previous"] = old.id
                if not is_provisional:
                    draft.retire(old.id, at)
            first = min(unit[0].occurred_at, old.valid_from or unit[0].occurred_at) if old else unit[0].occurred_at
            put.append(_record(record_id(ID, kind, date, str(number)), view.scope, kind, made, at, first, data))
        if is_provisional:
            put = [_provisional(one) for one in put]
        for one in put:
            draft.put(one, embed=f"Summary of {date}: {one.text}" if one.kind == DAY else one.kind != PORTRAIT)
        if is_provisional and not draft.state.get("days"):
            put += self._globals(draft, view, put, at, is_provisional=True)
        elif not is_provisional:
            draft.state["days"] = draft.state.get("days", 0) + 1
            draft.state["fresh"] = [*draft.state.get("fresh", []), [one.id for one in put]]
            self._refresh(draft, view, at)
        return put

    def _refresh(self, draft: Draft, view: View, at: datetime) -> None:
        """Make the global records anew, of all days while they are few, later of the last ones and what came since."""
        count, whole = draft.state["days"], self.params.whole_days
        if count > whole and len(draft.state["fresh"]) < count // whole:
            return
        found = [draft.get(id) for ids in draft.state["fresh"] for id in ids]
        fresh = [one for one in found if one is not None and one.retired_at is None]
        self._globals(draft, view, fresh, at)
        if count >= whole:
            draft.state["fresh"] = []

    def _globals(
        self, draft: Draft, view: View, fresh: Sequence[Record], at: datetime, *, is_provisional: bool = False
    ) -> list[Record]:
        put: list[Record] = []
        for kind, of in ((GLOBAL, DAY), (GLOBAL_PORTRAIT, PORTRAIT)):
            pieces = sorted((one for one in fresh if one.kind == of), key=lambda one: (one.data["date"], one.id))
            if not pieces:
                continue
            number, old = _newest(draft, kind, "")
            is_rolling = draft.state.get("days", 0) > self.params.whole_days
            previous = Summary(old.text, old.sources, old.data[BY]) if old and is_rolling else None
            if kind == GLOBAL:
                words = self.params.global_words
                made = summarise(pieces, view.ask, step="global", task=GLOBAL_TASK, max_words=words, previous=previous)
            else:
                made = global_portrait(pieces, view.ask, previous)
            data: dict[str, Any] = {BY: made.path, "number": number, "days": draft.state.get("days", 0)}
            if old:
                data["previous"] = old.id
                draft.retire(old.id, at)
            first = min(one.valid_from or one.recorded_at for one in pieces)
            record = _record(record_id(ID, kind, "", str(number)), view.scope, kind, made, at, first, data)
            put.append(draft.put(_provisional(record) if is_provisional else record))
        return put


# -- turns ----------------------------------------------------------------------------------------------------


def is_another_day(one: Episode, other: Episode) -> bool:
    """Whether two neighbours of the log happened on different dates, each as it was told."""
    return _date(one) != _date(other)


def turns_in(said: Sequence[Episode]) -> tuple[list[tuple[list[Episode], Episode]], Episode | None]:
    """(turns, each with the episode that closed it; what still waits for an answer).

    A turn is what one said and the next thing said, where that is another's, of the same session and day. An assistant's
    words that answer nothing are a turn of their own.
    """
    closed: list[tuple[list[Episode], Episode]] = []
    waiting: Episode | None = None
    for one in said:
        if waiting is not None:
            is_answer = (
                one.speaker != waiting.speaker and one.session == waiting.session and not is_another_day(waiting, one)
            )
            closed.append(([waiting, one] if is_answer else [waiting], one))
            waiting = None
            if is_answer:
                continue
        if one.role == "assistant":
            closed.append(([one], one))
        else:
            waiting = one
    return closed, waiting


def turn_id(first: Episode) -> str:
    """The id of the turn that begins with an episode."""
    return record_id(ID, TURN, first.id)


def _all_turns(unit: Sequence[Episode]) -> list[list[Episode]]:
    closed, waiting = turns_in(unit)
    return [turn for turn, _ in closed] + ([[waiting]] if waiting is not None else [])


def _turn(turn: Sequence[Episode], at: datetime) -> Record:
    said = Summary(_text(turn), tuple(one.id for one in turn))
    data = {BY: "offline", "date": _date(turn[0]), LENGTHS: [len(_text([one])) for one in turn]}
    return _record(turn_id(turn[0]), turn[0].scope, TURN, said, at, turn[0].occurred_at, data)


def _text(turn: Sequence[Episode]) -> str:
    return "\n".join(f"{one.speaker}: {one.text}" for one in turn)


def _date(episode: Episode) -> str:
    return episode.occurred_at.date().isoformat()


def _is_there(record: Record | None, cue: Cue) -> bool:
    return record is not None and holds(record, cue.as_of)


# -- summaries ----------------------------------------------------------------------------------------------


def _day_summary(unit: Sequence[Episode], ask: Asks, previous: Summary | None, words: int) -> Summary:
    for start in range(0, len(unit), _CHUNK):
        part = unit[start : start + _CHUNK]
        previous = summarise(part, ask, step="day", task=DAY_TASK, max_words=words, previous=previous)
    assert previous is not None, "a day has turns"
    return previous


# -- records --------------------------------------------------------------------------------------------------


def _record(
    id: str, scope: str, kind: str, said: Summary, at: datetime, first: datetime, data: dict[str, Any]
) -> Record:
    return Record(
        id=id,
        system=ID,
        scope=scope,
        kind=kind,
        text=said.text,
        sources=said.sources,
        recorded_at=at,
        valid_from=first,
        data=data,
    )


def _newest(draft: Draft, kind: str, date: str) -> tuple[int, Record | None]:
    """(the number of the next version, the last one)."""
    number, last = 0, None
    while (one := draft.get(record_id(ID, kind, date, str(number)))) is not None:
        number, last = number + 1, one
    return number, last


def _provisional(record: Record) -> Record:
    return replace(record, data={**record.data, "provisional": True})
