"""How time grows with the number of episodes: a slope, a comparison with n log n, and a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from mnemic.bench.plots import Axis

Times = Sequence[tuple[int, float]]  # (episodes, seconds), by episodes
WIDTH, HEIGHT, RIGHT = 760, 420, 170
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#333}.g{stroke:#8885}.f{stroke:#888;stroke-dasharray:5 4;fill:none}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}}"
)


def slope(times: Times) -> float:
    """The exponent b of a t = a n^b through the points, by least squares of the logarithms; NaN for fewer than two.

    >>> round(slope([(10, 1.0), (100, 100.0)]), 6)
    2.0
    """
    if len(times) < 2:
        return math.nan
    xs, ys = [math.log(n) for n, _ in times], [math.log(t) for _, t in times]
    middle_x, middle_y = sum(xs) / len(xs), sum(ys) / len(ys)
    across = sum((x - middle_x) ** 2 for x in xs)
    return sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / across


def n_log_n(sizes: Sequence[int]) -> list[tuple[int, float]]:
    """What would be measured at these sizes of something that takes n log n."""
    return [(n, n * math.log(n)) for n in sizes]


def beyond_n_log_n(times: Times) -> float:
    """How much longer the largest point took than the first one and n log n would have it: 1.0 is exactly n log n.

    >>> beyond_n_log_n([(1000, 1.0), (2000, 4.0)])
    1.8177...
    """
    (first, began), (last, ended) = times[0], times[-1]
    return (ended / began) / ((last * math.log(last)) / (first * math.log(first)))


def picture(series: Mapping[str, Times]) -> str:
    """Lines on logarithmic axes as SVG text, with a dashed line of n log n through the middle of the first points."""
    drawn = {name: times for name, times in series.items() if len(times) > 1}
    if not drawn:
        return ""
    sizes = sorted({n for times in drawn.values() for n, _ in times})
    seconds = [t for times in drawn.values() for _, t in times]
    across = Axis(sizes[0], sizes[-1], 60, WIDTH - RIGHT, is_log=True)
    up = Axis(
        10 ** math.floor(math.log10(min(seconds))), 10 ** math.ceil(math.log10(max(seconds))), HEIGHT - 40, 20, True
    )
    parts = []
    for n in sizes:
        x = across.at(n)
        parts.append(f'<line class="g" x1="{x}" x2="{x}" y1="20" y2="{HEIGHT - 40}"/>')
        parts.append(f'<text x="{x}" y="{HEIGHT - 22}" text-anchor="middle">{n:,}</text>')
    for power in range(round(math.log10(up.low)), round(math.log10(up.high)) + 1):
        y = up.at(10.0**power)
        parts.append(f'<line class="g" x1="60" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="54" y="{y + 4}" text-anchor="end">{10.0**power:g} s</text>')
    firsts = sorted(times[0][1] for times in drawn.values())
    scale = firsts[len(firsts) // 2] / n_log_n(sizes[:1])[0][1]
    parts.append(_line([(n, t * scale) for n, t in n_log_n(sizes)], across, up, 'class="f"'))
    labels = []
    for at, (name, times) in enumerate(sorted(drawn.items(), key=lambda one: -one[1][-1][1])):
        hue = 360 * at // len(drawn)
        parts.append(_line(times, across, up, f'fill="none" stroke-width="1.5" stroke="hsl({hue} 65% 48%)"'))
        labels.append((up.at(times[-1][1]), across.at(times[-1][0]), name, hue))
    below = 8.0
    for y, x, name, hue in labels:  # from the slowest down, each below the one before
        below = max(below + 13.0, y)
        at = WIDTH - RIGHT + 10
        parts.append(f'<line x1="{x}" x2="{at}" y1="{y}" y2="{below}" stroke="hsl({hue} 65% 48%)" stroke-width="0.5"/>')
        parts.append(f'<text x="{at + 3}" y="{below + 4}">{escape(name)}</text>')
    parts.append(
        f'<text x="{(60 + WIDTH - RIGHT) / 2}" y="{HEIGHT - 5}" text-anchor="middle">episodes; dashed: n log n</text>'
    )
    height = max(HEIGHT, round(below) + 12)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="Seconds to ingest, by episodes"><style>{_STYLE}</style>{"".join(parts)}</svg>\n'
    )


def _line(times: Times, across: Axis, up: Axis, how: str) -> str:
    return f'<polyline {how} points="{" ".join(f"{across.at(n)},{up.at(t)}" for n, t in times)}"/>'
