"""Where things stand in a drawing: numbers worked out here, written as SVG by the templates, which escape every text.

A colour is a class, and never alone in saying something. Nothing depends on the clock or on chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mnemic.model import Hit
from mnemic.serve.inspector import words
from mnemic.serve.inspector.looking import Month

STRIP = (1000.0, 56.0)
GROWTH = (1000.0, 160.0)
_NAMES = 6  # under a drawing


@dataclass(frozen=True, slots=True)
class Bar:
    """A month of a strip."""

    x: float
    y: float
    width: float
    height: float
    month: Month
    title: str
    is_shown: bool  # some of it is on the page


@dataclass(frozen=True, slots=True)
class Strip:
    """Months from the first to the last, as bars, with some of their names under them."""

    bars: tuple[Bar, ...]
    names: tuple[tuple[float, str], ...]  # percent of the width
    width: float = STRIP[0]
    height: float = STRIP[1]


@dataclass(frozen=True, slots=True)
class Piece:
    """One signal's part of a stacked bar."""

    x: float
    width: float
    signal: str
    family: int
    title: str


@dataclass(frozen=True, slots=True)
class Line:
    """The same memory in two rankings: from which row to which, counted from 0, and its colour."""

    start: int
    end: int
    colour: int


@dataclass(frozen=True, slots=True)
class Growth:
    """How many episodes there were, as the outline of an area, with some names of months under it."""

    area: str
    line: str
    names: tuple[tuple[float, str], ...]  # percent of the width
    most: int
    width: float = GROWTH[0]
    height: float = GROWTH[1]


def strip(months: Sequence[Month], shown: tuple[int, int] | None = None) -> Strip | None:
    """Bars as wide as the time between the first and the last month allows; None where there are fewer than two.

    shown: the months that the page has something of, as the first and the last by `number_of`.
    """
    if len(months) < 2:
        return None
    first, last = number_of(months[0].year, months[0].month), number_of(months[-1].year, months[-1].month)
    step = STRIP[0] / (last - first + 1)
    most = max(one.episodes for one in months)
    bars = []
    for one in months:
        number = number_of(one.year, one.month)
        height = max(2.0, STRIP[1] * one.episodes / most)
        title = f"{words.MONTHS[one.month - 1]} {one.year}: {words.things(one.episodes, 'episode')}"
        bars.append(
            Bar(
                round((number - first) * step, 2),
                round(STRIP[1] - height, 2),
                round(max(step * 0.86, step - 3), 2),
                round(height, 2),
                one,
                title,
                shown is not None and shown[0] <= number <= shown[1],
            )
        )
    return Strip(tuple(bars), _names(first, last))


def number_of(year: int, month: int) -> int:
    """A month's place in the calendar."""
    return year * 12 + month - 1


def stack(hit: Hit, longest: float) -> list[Piece]:
    """What each signal added to a hit's score, side by side in 1000 units, in the order of FAMILIES, largest first.

    longest: the score that fills the whole width.
    """
    parts = [(words.family(one.signal), one) for one in hit.reasons if one.contribution > 0.0]
    parts.sort(key=lambda part: (part[0], -part[1].contribution, part[1].signal))
    pieces, x = [], 0.0
    for place, one in parts:
        width = 1000.0 * one.contribution / longest if longest > 0 else 0.0
        said = words.means(one.signal)
        title = f"{one.signal} {one.contribution:.3f} = {one.value:.2f} × {one.weight:.2f}" + (
            f": {said}" if said else ""
        )
        pieces.append(Piece(round(x, 1), round(width, 1), one.signal, place, title))
        x += width
    return pieces


def crossings(left: Sequence[Hit], right: Sequence[Hit]) -> list[Line]:
    """A line for every memory that stands in both rankings, as itself or folded into one that says the same."""
    places = {id: row for row, hit in reversed(list(enumerate(right))) for id in _ids(hit)}
    lines: list[Line] = []
    for row, hit in enumerate(left):
        found = [places[id] for id in _ids(hit) if id in places]
        if found:
            lines.append(Line(row, min(found), len(lines) % 7))
    return lines


def growth(months: Sequence[Month]) -> Growth | None:
    """How the log grew, month by month; None where it has fewer than two."""
    if len(months) < 2:
        return None
    left, top, right, bottom = 0.0, 2.0, GROWTH[0], GROWTH[1]
    first, last = number_of(months[0].year, months[0].month), number_of(months[-1].year, months[-1].month)
    step = (right - left) / (last - first + 1)
    most = sum(one.episodes for one in months)
    total, points = 0, [(left, bottom)]
    for one in months:
        at = left + (number_of(one.year, one.month) - first) * step
        points.append((at, bottom - (bottom - top) * total / most))
        total += one.episodes
        points.append((at + step, bottom - (bottom - top) * total / most))
    outline = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return Growth(f"{outline} {right:.1f},{bottom:.1f} {left:.1f},{bottom:.1f}", outline, _names(first, last), most)


def partners(lines: Sequence[Line]) -> tuple[Mapping[int, Line], Mapping[int, Line]]:
    """The lines by their row on the left, and by their row on the right."""
    return {one.start: one for one in lines}, {one.end: one for one in reversed(lines)}


def _names(first: int, last: int) -> tuple[tuple[float, str], ...]:
    """(percent of the width, name) of a few months, or of Januaries as years, evenly spread."""
    total = last - first + 1
    in_years = total > 30
    every = 12 * -(-total // (12 * 2 * _NAMES)) if in_years else -(-total // _NAMES)
    start = -first % 12 if in_years else 0
    names, year = [], None
    for number in range(first + start, last + 1, every):
        month = words.MONTHS[number % 12]
        name = str(number // 12) if in_years else month if number // 12 == year else f"{month} {number // 12}"
        names.append((round(100.0 * (number - first) / total, 2), name))
        year = number // 12
    return tuple(names)


def _ids(hit: Hit) -> tuple[tuple[str, str], ...]:
    return tuple((hit.scope, id) for id in (hit.id, *hit.duplicates))
