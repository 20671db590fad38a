"""Plots as SVG text: shares against a quantity, dots with names, bars by category. No script, no dependency.

A design has a colour and a shape of its own, a control is grey and dashed; colours are classes (`c0` to `c6`, `grey`)
that the page gives values for light and dark. Names stand beside what they name, and <title> tells the exact figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

COLOURS = 7
WIDTH, HEIGHT = 600.0, 340.0
LEFT, TOP, BOTTOM = 46.0, 28.0, 46.0
_LINE = 15.0  # from one label to the next
_LETTER = 6.6  # width of a letter of a label
_LONGEST = 20  # letters of a label
_DASHES = ("5 3", "2 3", "8 3 2 3", "1 3", "10 4", "6 2 1 2 1 2", "3 6", "12 3 3 3", "4 1")


@dataclass(frozen=True, slots=True)
class Point:
    """One measured share: where it stands, its interval, and what a pointer over it says."""

    x: float
    y: float
    low: float = math.nan
    high: float = math.nan
    title: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """The points of one system, from left to right. `number` is its place among designs, or among controls."""

    name: str
    number: int
    is_control: bool
    points: tuple[Point, ...]

    @property
    def label(self) -> str:
        return self.name if len(self.name) <= _LONGEST else self.name[: _LONGEST - 1] + "…"

    @property
    def css(self) -> str:
        return "grey" if self.is_control else f"c{self.number % COLOURS}"

    @property
    def dash(self) -> str:
        return f' stroke-dasharray="{_DASHES[self.number % len(_DASHES)]}"' if self.is_control else ""


@dataclass(frozen=True, slots=True)
class Axis:
    """A range drawn over a stretch of pixels."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def at(self, value: float) -> float:
        """Where a value stands; those outside stand at the edge."""
        low, high, value = self.low, self.high, min(max(value, self.low), self.high)
        if self.is_log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        share = 0.5 if high == low else (value - low) / (high - low)
        return round(self.start + share * (self.end - self.start), 1)


def curves(all_series: Sequence[Series], *, x_name: str, y_name: str, label: str) -> str:
    """Lines of a share against a positive quantity on a log scale, the first with its interval as a band."""
    drawn = [one for one in all_series if one.points]
    if not drawn:
        return ""
    right = 22 + _name_width(drawn)
    across, up = _axes(drawn, right)
    parts = [_frame(across, up, sorted({point.x for one in drawn for point in one.points}), x_name, y_name)]
    parts.append(_band(drawn[0], across, up))
    for one in reversed(drawn):  # the first on top
        path = " ".join(f"{across.at(point.x)},{up.at(point.y)}" for point in one.points)
        parts.append(f'<polyline class="line {one.css}" points="{path}"{one.dash}/>')
        parts += [_mark(one, across.at(point.x), up.at(point.y), point.title) for point in one.points]
    ends = [(across.at(one.points[-1].x), up.at(one.points[-1].y), one) for one in drawn]
    parts += _names_at_the_right(ends, WIDTH - right)
    return _svg("".join(parts), WIDTH, HEIGHT, label)


def scatter(all_series: Sequence[Series], *, x_name: str, y_name: str, label: str) -> str:
    """A named dot for each system, its interval as a whisker, on a log scale."""
    drawn = [one for one in all_series if one.points]
    if not drawn:
        return ""
    across, up = _axes(drawn, 24)
    values = [point.x for one in drawn for point in one.points]
    parts = [_frame(across, up, _log_ticks(min(values), max(values)), x_name, y_name)]
    placed: list[tuple[float, float, float, float]] = []
    for one in drawn:
        for point in one.points:
            x, y = across.at(point.x), up.at(point.y)
            if not math.isnan(point.low):
                low, high = up.at(point.low), up.at(point.high)
                parts.append(f'<line class="whisker {one.css}" x1="{x}" x2="{x}" y1="{low}" y2="{high}"/>')
            parts.append(_mark(one, x, y, point.title))
            placed.append((x - 6, y - 6, x + 6, y + 6))
    for one in drawn:
        point = one.points[-1]
        parts.append(_free_label(one, across.at(point.x), up.at(point.y), placed))
    return _svg("".join(parts), WIDTH, HEIGHT, label)


def bars(groups: Sequence[str], all_series: Sequence[Series], *, label: str, others: Sequence[Series] = ()) -> str:
    """Bars of shares, a group for each category: the point with x = 0 is the first group's. `others` share a row of dots."""
    if not groups or not all_series:
        return ""
    thick, gap, top = 13.0, 14.0, 4.0
    group_height = 18 + thick * (len(all_series) + bool(others)) + gap
    bottom = top + group_height * len(groups) - gap + 6
    across = Axis(0.0, 1.0, 12 + max(_name_width(all_series), 6 * _LETTER), WIDTH - 56)
    parts = [_upright(across.at(x), top + 16, bottom, _share(x)) for x in (0.0, 0.25, 0.5, 0.75, 1.0)]
    for place, group in enumerate(groups):
        y = top + place * group_height + 18
        parts.append(f'<text class="group" x="4" y="{y - 6:.1f}">{escape(group)}</text>')
        for one in all_series:
            parts += [_bar(one, point, across, y, thick) for point in one.points if point.x == place]
            y += thick
        if others:
            parts.append(_left_of(across.start, y + thick / 2, "others"))
        for one in others:
            points = [point for point in one.points if point.x == place]
            parts += [_mark(one, across.at(point.y), y + thick / 2, point.title) for point in points]
    return _svg("".join(parts), WIDTH, bottom + 24, label)


def forest(all_series: Sequence[Series], *, x_name: str, label: str) -> str:
    """Differences with their intervals around a line at 0: a row for each system, its only point's y the difference."""
    drawn = [one for one in all_series if one.points]
    if not drawn:
        return ""
    ends = [0.0, *(end for one in drawn for end in (one.points[0].low, one.points[0].high, one.points[0].y))]
    step = 0.2 if max(ends) - min(ends) > 0.7 else 0.1 if max(ends) - min(ends) > 0.3 else 0.05
    first, last = math.floor(min(ends) / step), math.ceil(max(ends) / step)
    bottom = 10 + 22.0 * len(drawn)
    across = Axis(first * step, last * step, 16 + _name_width(drawn), WIDTH - 60)
    parts = [_upright(across.at(at * step), 4, bottom, _signed(at * step)) for at in range(first, last + 1)]
    parts.append(f'<line class="zero" x1="{across.at(0)}" x2="{across.at(0)}" y1="4" y2="{bottom}"/>')
    for row, one in enumerate(drawn):
        point, y = one.points[0], 18 + 22.0 * row
        x, low, high = across.at(point.y), across.at(point.low), across.at(point.high)
        parts.append(_left_of(across.start, y, one.label))
        parts.append(f'<line class="whisker {one.css}" x1="{low}" x2="{high}" y1="{y}" y2="{y}"/>')
        parts.append(_mark(one, x, y, point.title))
        parts.append(
            f'<text class="value" x="{WIDTH - 8}" y="{y + 4:.1f}" text-anchor="end">{_signed(point.y, 3)}</text>'
        )
    middle = (across.start + across.end) / 2
    name = f'<text class="axis" x="{middle}" y="{bottom + 36}" text-anchor="middle">{escape(x_name)}</text>'
    return _svg("".join(parts) + name, WIDTH, bottom + 42, label)


# -- parts ----------------------------------------------------------------------------------------------------


def _axes(drawn: Sequence[Series], right: float) -> tuple[Axis, Axis]:
    points = [point for one in drawn for point in one.points]
    xs = [point.x for point in points]
    assert min(xs) > 0, "a log scale has no place for 0"
    highest = max((point.y if math.isnan(point.high) else point.high) for point in points)
    top = min(1.0, max(0.2, math.ceil(highest * 5 - 1e-9) / 5))
    return Axis(min(xs), max(xs), LEFT + 10, WIDTH - right - 10, is_log=True), Axis(0.0, top, HEIGHT - BOTTOM, TOP)


def _frame(across: Axis, up: Axis, ticks: Sequence[float], x_name: str, y_name: str) -> str:
    left, right, bottom = across.start - 10, across.end + 10, up.start
    parts = []
    steps = round(up.high / 0.2)
    for step in range(steps + 1):
        y = up.at(up.high * step / steps)
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y}" y2="{y}"/>')
        share = _share(up.high * step / steps)
        parts.append(f'<text class="tick" x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{share}</text>')
    last = -math.inf
    for value in ticks:
        x = across.at(value)
        if x - last < 38:
            continue
        last = x
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{bottom}" y2="{bottom + 4}"/>')
        parts.append(f'<text class="tick" x="{x}" y="{bottom + 18}" text-anchor="middle">{_quantity(value)}</text>')
    middle = (left + right) / 2
    parts.append(f'<text class="axis" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_name)}</text>')
    parts.append(f'<text class="axis" x="{left - 34}" y="12">{escape(y_name)}</text>')
    return "".join(parts)


def _band(one: Series, across: Axis, up: Axis) -> str:
    known = [point for point in one.points if not math.isnan(point.low)]
    if len(known) < 2:
        return ""
    there = [f"{across.at(point.x)},{up.at(point.high)}" for point in known]
    back = [f"{across.at(point.x)},{up.at(point.low)}" for point in reversed(known)]
    return f'<polygon class="band {one.css}" points="{" ".join(there + back)}"/>'


def _mark(one: Series, x: float, y: float, title: str) -> str:
    """A design's shape, or a control's open circle; a generous invisible disc catches the pointer."""
    shapes = (
        f'<circle cx="{x}" cy="{y}" r="4.5"/>',
        f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>',
        f'<path d="M{x} {y - 5:.1f}l5 9h-10z"/>',
        f'<path d="M{x} {y - 5.5:.1f}l5.5 5.5l-5.5 5.5l-5.5 -5.5z"/>',
        f'<path d="M{x} {y + 5:.1f}l5 -9h-10z"/>',
    )
    shape = f'<circle class="open" cx="{x}" cy="{y}" r="3"/>' if one.is_control else shapes[one.number % len(shapes)]
    return f'<g class="mark {one.css}">{_titled(f"""<circle class="touch" cx="{x}" cy="{y}" r="10"/>{shape}""", title)}</g>'


def _bar(one: Series, point: Point, across: Axis, y: float, thick: float) -> str:
    start, end, middle = across.at(0.0), across.at(point.y), y + thick / 2
    parts = [
        f'<rect class="bar {one.css}" x="{start}" y="{y + 1:.1f}" width="{end - start:.1f}" height="{thick - 2:.1f}"/>',
        _left_of(start, middle, one.label),
    ]
    edge = end
    if not math.isnan(point.low):
        low, edge = across.at(point.low), max(end, across.at(point.high))
        parts.append(f'<line class="span" x1="{low}" x2="{edge}" y1="{middle:.1f}" y2="{middle:.1f}"/>')
    parts.append(f'<text class="value" x="{edge + 5:.1f}" y="{middle + 4:.1f}">{_share(point.y, 3)}</text>')
    return _titled("".join(parts), point.title)


def _upright(x: float, top: float, bottom: float, name: str) -> str:
    """A grid line from top to bottom with its number under it."""
    return (
        f'<line class="grid" x1="{x}" x2="{x}" y1="{top:.1f}" y2="{bottom:.1f}"/>'
        f'<text class="tick" x="{x}" y="{bottom + 16:.1f}" text-anchor="middle">{name}</text>'
    )


def _left_of(x: float, y: float, name: str) -> str:
    return f'<text class="name" x="{x - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>'


def _names_at_the_right(ends: Sequence[tuple[float, float, Series]], edge: float) -> list[str]:
    """Labels in the right margin, pushed apart, each with a thin line to its curve's end."""
    ordered = sorted(ends, key=lambda end: end[1])
    places = _apart([y for _, y, _ in ordered], TOP + 4, HEIGHT - BOTTOM + 6)
    parts = []
    for (x, y, one), at in zip(ordered, places, strict=True):
        path = f"{x + 6:.1f},{y} {edge:.1f},{y} {edge + 12:.1f},{at:.1f}"
        parts.append(f'<polyline class="leader" points="{path}"/>')
        parts.append(f'<text class="label {one.css}" x="{edge + 15:.1f}" y="{at + 4:.1f}">{escape(one.label)}</text>')
    return parts


def _apart(wanted: Sequence[float], low: float, high: float) -> list[float]:
    """Rising places as near to the wanted (rising) ones as a line's height between them, and the edges, allow."""
    step = min(_LINE, (high - low) / max(1, len(wanted) - 1))
    places: list[float] = []
    for y in wanted:
        places.append(max(y, places[-1] + step) if places else max(low, y))
    limit = high
    for index in reversed(range(len(places))):
        places[index] = limit = min(places[index], limit)
        limit -= step
    return places


def _free_label(one: Series, x: float, y: float, placed: list[tuple[float, float, float, float]]) -> str:
    """The name beside its dot, on the first side where it covers nothing; where there is none, to the right."""
    width = _LETTER * len(one.label)
    sides = [
        (x + 9, y + 4),
        (x - 9 - width, y + 4),
        *(
            (x + dx - width / 2, y + dy)
            for dy in (-10, 18, -24, 32, -38)
            for dx in (0.0, width / 2 + 6, -width / 2 - 6)
        ),
    ]
    boxes = [(left, base - 10, left + width, base + 3) for left, base in sides]
    inside = [box for box in boxes if box[0] > LEFT and box[2] < WIDTH and box[1] > 2 and box[3] < HEIGHT - BOTTOM]
    free = next((box for box in inside if not any(_overlap(box, other) for other in placed)), boxes[0])
    placed.append(free)
    return f'<text class="label {one.css}" x="{free[0]:.1f}" y="{free[3] - 3:.1f}">{escape(one.label)}</text>'


def _name_width(all_series: Sequence[Series]) -> float:
    return _LETTER * max(len(one.label) for one in all_series)


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _titled(inner: str, title: str) -> str:
    return f"<g><title>{escape(title)}</title>{inner}</g>" if title else f"<g>{inner}</g>"


def _svg(inner: str, width: float, height: float, label: str) -> str:
    return f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(label)}">{inner}</svg>'


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten between low and high; the ends themselves where there are none."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [digit * 10.0**power for power in powers for digit in (1, 2, 5) if low <= digit * 10.0**power <= high]
    return ticks or sorted({low, high})


def _quantity(value: float) -> str:
    if value >= 1_000_000:
        return f"{value / 1_000_000:.3g} M"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _share(value: float, digits: int = 2) -> str:
    text = f"{value:.{digits}f}"
    return text.removeprefix("0") if value < 1 and float(text) > 0 else "0" if float(text) == 0 else text


def _signed(value: float, digits: int = 2) -> str:
    text = _share(abs(value), digits)
    return text if text == "0" else f"{'+' if value > 0 else '−'}{text}"
