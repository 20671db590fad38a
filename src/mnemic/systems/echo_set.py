"""Dialogues with times and questions about them whose answers can be computed: an evaluation set for temporal memory.

The one idea: what happens is drawn first, each event once and with its moment; the dialogue tells it on the day or a day late,
the questions ask for dates, durations, order and what happened when. Answers are computed from the events, never read from text.

Card: echo; the paper has model agents write its dialogues (arXiv 2502.16090). Departs: seeded, so that a seed gives the same set
anywhere, and no answer has to be checked by another model.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from mnemic.errors import ParameterError
from mnemic.ops.elapsed import days_between, elapsed

Kind = Literal["date", "ago", "between", "order", "event"]
KINDS: tuple[Kind, ...] = ("date", "ago", "between", "order", "event")
_NAMES = ("Ada", "Bruno", "Carla", "Deniz", "Ewa", "Farid")
_EVENTS = (
    ("adopted", "a grey cat"), ("planted", "an apple tree"), ("broke", "the blue vase"), ("sold", "the old bicycle"),
    ("finished", "the long novel"), ("painted", "the kitchen"), ("repaired", "the radio"), ("baked", "a walnut cake"),
    ("visited", "the harbour museum"), ("lost", "the house key"), ("bought", "a red kite"), ("cleaned", "the attic"),
    ("climbed", "the church tower"), ("caught", "a trout"), ("sewed", "a green coat"), ("tuned", "the piano"),
    ("joined", "a chess club"), ("quit", "the night shift"), ("found", "a silver coin"), ("wrote", "a letter to Oslo"),
)  # fmt: skip
_REPLIES = ("Oh, really?", "How did that go?", "I see.", "That must have taken a while.", "Well done!")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, and when it was told."""

    who: str
    did: str  # in the past tense
    what: str
    at: datetime
    told_at: datetime

    @property
    def text(self) -> str:
        """The event as a clause."""
        return f"{self.who} {self.did} {self.what}"


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of the dialogue."""

    speaker: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its answer, and the events that it follows from."""

    kind: Kind
    text: str
    answer: str
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class EchoSet:
    """A dialogue, the moment at which the questions are asked, and the questions."""

    turns: tuple[Turn, ...]
    events: tuple[Event, ...]
    now: datetime
    questions: tuple[Question, ...]


def generated(seed: int, *, events: int = 10, first: datetime | None = None, days: int = 500) -> EchoSet:
    """A set that follows from its seed alone.

    events: how many things happen, each told once. first: the earliest day; days: how many later the last may happen. Raises
    ParameterError where there are too few days or too many events.
    """
    if not 2 <= events <= len(_EVENTS) or days < 2 * events:
        raise ParameterError(f"events={events}, days={days}: give 2 to {len(_EVENTS)} events, and two days for each.")
    dice = random.Random(seed)
    start = first or datetime(2023, 1, 10, tzinfo=UTC)
    chosen = dice.sample(_EVENTS, events)
    on = sorted(dice.sample(range(0, days, 2), events))  # a day between two, so that each can be told a day late
    happened = []
    for day, (did, what) in zip(on, chosen, strict=True):
        at = start + timedelta(days=day, hours=dice.randrange(8, 20))
        late = dice.random() < 0.5
        told_at = (at + timedelta(days=1)).replace(hour=21) if late else at.replace(hour=22)
        happened.append(Event(dice.choice(_NAMES), did, what, at, told_at))
    turns: list[Turn] = []
    for one in happened:
        day_word = "yesterday" if days_between(one.at, one.told_at) else "today"
        turns.append(Turn(one.who, f"I {one.did} {one.what} {day_word}.", one.told_at))
        other = dice.choice([name for name in _NAMES if name != one.who])
        turns.append(Turn(other, dice.choice(_REPLIES), one.told_at + timedelta(minutes=1)))
    now = happened[-1].told_at + timedelta(days=dice.randrange(2, 90), hours=1)
    return EchoSet(tuple(turns), tuple(happened), now, tuple(_questions(happened, now, dice)))


def _questions(events: Sequence[Event], now: datetime, dice: random.Random) -> list[Question]:
    found: list[Question] = []
    for one in events:
        date = one.at.date().isoformat()
        found.append(Question("date", f"On which date did {_asked(one)}?", date, (one,)))
        days = days_between(one.at, now)
        found.append(Question("ago", f"How many days ago did {_asked(one)}?", str(days), (one,)))
        found.append(Question("event", f"What did {one.who} do on {date}?", f"{one.did} {one.what}", (one,)))
        other = dice.choice([event for event in events if event != one])
        early, late = sorted((one, other), key=lambda event: event.at)
        between = elapsed(early.at.replace(hour=0), late.at.replace(hour=0)).in_words
        text = f"How long after the day {early.text} was it that {late.text}?"
        found.append(Question("between", text, between, (early, late)))
        pair = [early, late] if dice.random() < 0.5 else [late, early]
        text = f"What came first: {pair[0].text}, or {pair[1].text}?"
        found.append(Question("order", text, early.text, (early, late)))
    return found


def _asked(event: Event) -> str:
    return f"it happen that {event.text}"
