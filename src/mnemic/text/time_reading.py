"""What a rule of the time grammar is given and what it says: a text with its moment, and a meaning.

A rule reads one expression that stands for itself ("last week", "5 March 2023", "Q3", "at 3 pm"); `times` puts them
together ("the Friday before 5 March 2023", "from May to July"). A meaning may be *weak*: it counts only when it is
part of something larger, as "fall" is in "the fall of 2022" and is not in "I might fall".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from mnemic.text.periods import Period
from mnemic.text.time_words import direction

Kind = Literal["date", "clock", "weekday", "unit", "after"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an expression stands for, with what is needed to combine it."""

    period: Period
    is_relative: bool = True  # does it depend on when it was said?
    is_weak: bool = False
    cycle: Literal["", "week", "year"] = ""  # comes again every week or year: which one was a choice
    kind: Kind = "date"
    in_year: Callable[[int], Period] | None = field(default=None, compare=False)  # of cycle "year": it in another one
    step: tuple[int, str] = (0, "")  # of kind "after": how far after the time told before


@dataclass(frozen=True, slots=True)
class Saying:
    """A text and the moment it was said, in local wall-clock time."""

    text: str
    low: str
    said_at: datetime
    is_day_first: bool

    @property
    def now(self) -> datetime:
        return self.said_at.replace(tzinfo=None)

    def follows(self, cue: re.Pattern[str], at: int) -> bool:
        """Does the cue, which ends in $, stand right before position `at`?"""
        return cue.search(self.low, max(0, at - 28), at) is not None

    def looks_ahead(self, at: int) -> bool:
        return direction(self.low, at) > 0

    def shifted(self, delta: timedelta) -> datetime:
        """The local time so long from now, through changes of the clocks."""
        there = (self.said_at.astimezone(UTC) + delta).astimezone(self.said_at.tzinfo)
        return there.replace(tzinfo=None)


Rule = Callable[[re.Match[str], Saying], Meaning | None]
RuleTable = tuple[tuple[re.Pattern[str], Rule], ...]

GAP = r"\s{1,3}"  # between the words of an expression
THE = rf"(?:the{GAP})?"
YEAR = r"[12]\d{3}(?!\d)"
recurs = re.compile(r"\b(?:every|each|any)\s+(?:other\s+)?$")  # what repeats tells no time
