"""The log as a table that is narrowed step by step: rows whose column has a value, rows whose column lies between two.

The one idea: a question of time is a chain of two small operations over columns, each on the result of the one before. "What
did we discuss last Friday?" is date = 2023-05-19; "in sessions 1 through 3" is session between 1 and 3; "this morning" is
date = today, then time between 00:00 and 12:00. A chain that leaves nothing answers with nothing.
Source: Alonso et al., Toward Conversational Agents with Context and Time Sensitive Long-term Memory, arXiv 2406.00057, with
chains of tables as in Wang et al., Chain-of-Table, arXiv 2401.04398.

Columns: response (0, 1, …), session (1, 2, … in the order in which they began), speaker, and of the local time of the one who
asks: date "2023-05-19", time "13:05:59", weekday "friday", month "2023-05", year 2023, at "2023-05-19T13:05:59". Ranges hold
both ends; a time or date told more coarsely than the column stands for all of it, so "12:00" ends a range with 12:00:59.

A chain can be made by a model, step by step, or by `chains`, from what `ops.when` reads in a question.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mnemic.clock import EPOCH
from mnemic.errors import ParameterError
from mnemic.ops.when import When
from mnemic.text.times import BEGINNING, END_OF_TIME

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
Value = str | int
COLUMNS = ("response", "session", "speaker", "date", "time", "weekday", "month", "year", "at")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SILENCE = timedelta(minutes=30)  # after which something said outside any session begins another one
_DAY, _SECOND, _HOUR = 86_400_000_000, 1_000_000, 3_600_000_000  # microseconds


@dataclass(frozen=True, slots=True)
class Keep:
    """One operation.

    "value" keeps the rows whose column has one of the values; "between" those whose column lies in [low, high], None for open.
    """

    op: Literal["value", "between"]
    column: str
    values: tuple[Value, ...] = ()
    low: Value | None = None
    high: Value | None = None

    def __str__(self) -> str:
        if self.op == "value":
            told = ", ".join(map(str, self.values[:4])) + (", …" if len(self.values) > 4 else "")
            return f"{self.column} = {told}"
        ends = (("from", self.low), ("to", self.high))
        return " ".join([self.column, *(f"{word} {end}" for word, end in ends if end is not None)])


def f_value(column: str, *values: Value) -> Keep:
    """Keep the rows whose column has one of these values."""
    return Keep("value", column, tuple(values))


def f_between(column: str, low: Value | None, high: Value | None) -> Keep:
    """Keep the rows whose column lies between two values, both included."""
    return Keep("between", column, (), low, high)


Chain = tuple[Keep, ...]


class Table:
    """Rows with their columns; a table never changes, operations give smaller ones.

    rows: [n] what the caller knows each row by, ascending. local: [n] microseconds since 1970 on the clock of the one who asks.
    """

    def __init__(self, rows: Rows, local: Rows, sessions: Rows, speakers: NDArray[np.object_]) -> None:
        self.rows = rows
        self._response = np.arange(len(rows), dtype=np.int64)
        self._local = local
        self._sessions = sessions
        self._speakers = speakers

    @classmethod
    def of(
        cls,
        rows: Rows,
        occurred_at: Rows,
        session_keys: Rows,
        speakers: NDArray[np.object_],
        zone: tzinfo | None = UTC,
    ) -> Table:
        """From rows in log order: times in microseconds since 1970, session keys (-1 for none), names in small letters."""
        numbers = session_numbers(session_keys, occurred_at)
        return cls(rows, local_times(occurred_at, zone), numbers, speakers)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def sessions(self) -> Rows:
        """[n] the number of each row's session."""
        return self._sessions

    def apply(self, keep: Keep) -> Table:
        """The table that an operation leaves. Raises ParameterError for a column or value that there cannot be."""
        if keep.column not in COLUMNS:
            raise ParameterError(f"There is no column {keep.column!r}. There are {', '.join(COLUMNS)}.")
        if keep.op == "value":
            kept = np.zeros(len(self), np.bool_)
            for value in keep.values:
                kept |= self._is(keep.column, value)
        else:
            kept = np.ones(len(self), np.bool_)
            if keep.low is not None:
                kept &= self._numbers(keep.column) >= _bounds(keep.column, keep.low)[0]
            if keep.high is not None:
                kept &= self._numbers(keep.column) < _bounds(keep.column, keep.high)[1]
        return self._kept(kept)

    def follow(self, chain: Sequence[Keep]) -> Table:
        """The table at the end of a chain; it stops where nothing is left."""
        table = self
        for keep in chain:
            if not len(table):
                break
            table = table.apply(keep)
        return table

    def only(self, rows: Rows) -> Table:
        """The rows of the table that are among these."""
        return self._kept(np.isin(self.rows, rows))

    def describe(self) -> dict[str, Any]:
        """The columns and what is in them, as a model is told."""
        if not len(self):
            return {"rows": 0}
        dates = [_day(int(self._local.min()) // _DAY), _day(int(self._local.max()) // _DAY)]
        return {
            "rows": len(self),
            "response": [int(self._response.min()), int(self._response.max())],
            "session": [int(self._sessions.min()), int(self._sessions.max())],
            "speaker": sorted({str(name) for name in self._speakers})[:20],
            "date": dates,
            "month": [one[:7] for one in dates],
            "year": [int(one[:4]) for one in dates],
            "weekday": list(WEEKDAYS),
            "time": ["00:00:00", "23:59:59"],
        }

    def row_in_words(self, at: int) -> str:
        """The columns of the row in that place, in words."""
        moment = EPOCH + timedelta(microseconds=int(self._local[at]))
        day = f"{WEEKDAYS[moment.weekday()].capitalize()} {moment:%Y-%m-%d %H:%M}"
        return f"response {self._response[at]}, session {self._sessions[at]}, {day}, {self._speakers[at]}"

    # -- inside -------------------------------------------------------------------------------------------

    def _kept(self, kept: Mask) -> Table:
        smaller = Table(self.rows[kept], self._local[kept], self._sessions[kept], self._speakers[kept])
        smaller._response = self._response[kept]  # a row keeps its number
        return smaller

    def _is(self, column: str, value: Value) -> Mask:
        if column == "speaker":
            wanted = str(value).casefold()
            is_named = [name == wanted or wanted in name.split() for name in self._speakers.tolist()]
            return np.array(is_named, np.bool_)
        if column in ("session", "response") and _whole(value) < 0:  # -1 is the last one
            numbers = self._numbers(column)
            last = int(numbers.max()) if len(numbers) else 0
            same: Mask = numbers == last + 1 + _whole(value)
            return same
        first, end = _bounds(column, value)
        numbers = self._numbers(column)
        inside: Mask = (numbers >= first) & (numbers < end)
        return inside

    def _numbers(self, column: str) -> Rows:
        """[n] the column as numbers; see `_bounds` for values on the same scale."""
        if column == "session":
            return self._sessions
        if column == "response":
            return self._response
        if column == "weekday":
            return (self._local // _DAY + 3) % 7  # 1970 began on a Thursday
        if column == "time":
            return self._local % _DAY
        if column == "speaker":
            raise ParameterError("Speakers have no order. Keep those of a value.")
        return self._local


# -- columns --------------------------------------------------------------------------------------------------


def session_numbers(keys: Rows, occurred_at: Rows) -> Rows:
    """[n] the number of each row's session, 1, 2, … in the order in which they began.

    keys: [n] one number for each session, -1 for none: what is said outside any is a session until a silence of 30 minutes.
    """
    own = keys.copy()
    alone = np.flatnonzero(keys < 0)
    if len(alone):
        is_new = np.ones(len(alone), np.bool_)
        is_new[1:] = np.abs(np.diff(occurred_at[alone])) > SILENCE // timedelta(microseconds=1)
        own[alone] = -1 - np.cumsum(is_new)
    _, first, place = np.unique(own, return_index=True, return_inverse=True)
    order = np.lexsort((first, occurred_at[first]))
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(1, len(order) + 1)
    numbers: Rows = number[place]
    return numbers


def local_times(occurred_at: Rows, zone: tzinfo | None) -> Rows:
    """[n] microseconds since 1970 in UTC as they are on the clocks of a zone; offsets are looked up hour by hour."""
    if zone is None or not len(occurred_at):
        return occurred_at
    hours, place = np.unique(occurred_at // _HOUR, return_inverse=True)
    offsets = np.array([_offset(int(hour), zone) for hour in hours.tolist()], np.int64)
    local: Rows = occurred_at + offsets[place]
    return local


def _offset(hour: int, zone: tzinfo) -> int:
    try:
        away = (EPOCH + timedelta(hours=hour)).astimezone(zone).utcoffset()
    except OverflowError:  # at the edge of the calendar
        away = None
    return 0 if away is None else away // timedelta(microseconds=1)


_date_like = re.compile(r"(\d{4})-(\d{1,2})(?:-(\d{1,2}))?(?:[T ](\d{1,2}:\d{2}(?::\d{2})?(?:\.\d+)?))?$")
_time_like = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?$")


def _bounds(column: str, value: Value) -> tuple[int, int]:
    """[first, end) of what a value of a column stands for, as numbers. Raises ParameterError for one that it cannot have."""
    if column in ("session", "response"):
        number = _whole(value)
        return number, number + 1
    text = str(value).strip().lower()
    if column == "weekday":
        found = [at for at, name in enumerate(WEEKDAYS) if len(text) >= 3 and name.startswith(text.rstrip("s") or "-")]
        if len(found) != 1:
            raise ParameterError(f"{value!r} is no weekday. Write it as 'friday'.")
        return found[0], found[0] + 1
    try:
        return _clock(text) if column == "time" else _calendar(text)
    except (ValueError, OverflowError):
        raise ParameterError(
            f"{value!r} is nothing that {column} can be. Write it as '2023-05-19' or '13:05'."
        ) from None


def _clock(text: str) -> tuple[int, int]:
    match = _time_like.match(text)
    if match is None:
        raise ValueError(text)
    if match[1] == "24" and match[2] == "00":
        return _DAY, _DAY
    micro = int((match[4] or "").ljust(6, "0")) if match[4] else 0
    at = time(int(match[1]), int(match[2]), int(match[3] or 0), micro)
    first = ((at.hour * 60 + at.minute) * 60 + at.second) * _SECOND + at.microsecond
    return first, first + (1 if match[4] else _SECOND if match[3] else 60 * _SECOND)


def _calendar(text: str) -> tuple[int, int]:
    if re.fullmatch(r"\d{4}", text):
        return _days(date(int(text), 1, 1)), _days(date(int(text), 12, 31)) + _DAY
    match = _date_like.match(text.replace("t", "T"))
    if match is None:
        raise ValueError(text)
    if match[3] is None:
        year, month = int(match[1]), int(match[2])
        after = date(year + month // 12, month % 12 + 1, 1)
        return _days(date(year, month, 1)), _days(after)
    day = _days(date(int(match[1]), int(match[2]), int(match[3])))
    if match[4] is None:
        return day, day + _DAY
    first, end = _clock(match[4])
    return day + first, day + end


def _days(day: date) -> int:
    return (day - EPOCH.date()).days * _DAY


def _day(number: int) -> str:
    return (EPOCH.date() + timedelta(days=number)).isoformat()


def _whole(value: Value) -> int:
    try:
        return int(value)
    except ValueError:
        raise ParameterError(f"{value!r} is no whole number. Sessions and responses are counted.") from None


# -- by rule --------------------------------------------------------------------------------------------------


def chains(when: When, zone: tzinfo | None) -> list[Chain]:
    """The chains of operations that a question's time stands for; the rows of all of them together are asked for.

    when: read with session numbers for session keys. [] where no time is named. What a chain cannot say in dates and times of
    day, such as a night, it says with `at`.
    """
    if when.sessions is not None:
        numbers = sorted(when.sessions)
        if len(numbers) > 1 and numbers[-1] - numbers[0] + 1 == len(numbers):
            return [(f_between("session", numbers[0], numbers[-1]),)]
        return [(f_value("session", *numbers),)]
    return [_chain(_on_clock(one.start, zone), _on_clock(one.end, zone)) for one in when.spans]


def _chain(start: datetime | None, end: datetime | None) -> Chain:
    """The chain for [start, end) in wall-clock time; None for an open end."""
    until = None if end is None else end - timedelta(microseconds=1)
    if all(one is None or one.time() == time(0) for one in (start, end)):
        first = None if start is None else start.date().isoformat()
        last = None if until is None else until.date().isoformat()
        if start is not None and end is not None:
            if first == last and first is not None:
                return (f_value("date", first),)
            if start.day == 1 and _month_after(start) == end:
                return (f_value("month", f"{start:%Y-%m}"),)
        return (f_between("date", first, last),)
    if start is not None and until is not None and start.date() == until.date():
        return (f_value("date", start.date().isoformat()), f_between("time", _clocked(start), _clocked(until)))
    low = None if start is None else start.isoformat(timespec="microseconds")
    return (f_between("at", low, None if until is None else until.isoformat(timespec="microseconds")),)


def _clocked(moment: datetime) -> str:
    return moment.time().isoformat("microseconds")


def _on_clock(moment: datetime, zone: tzinfo | None) -> datetime | None:
    """Wall-clock time in the zone; None for an open end."""
    if moment in (BEGINNING, END_OF_TIME):
        return None
    return moment.astimezone(zone or UTC).replace(tzinfo=None)


def _month_after(moment: datetime) -> datetime:
    return moment.replace(year=moment.year + moment.month // 12, month=moment.month % 12 + 1)
