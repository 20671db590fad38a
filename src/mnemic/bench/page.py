"""The report as one HTML page: no script, no file beside it, dark or light as the reader has it, wide or on a phone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from mnemic.bench import plots, tables
from mnemic.bench.chapter import Chapter, Failure, Said, families
from mnemic.bench.plots import Point, Series
from mnemic.bench.report import HOW_TO_READ, heading, interval_of, n_of, number, rank_of, shown, speaker_of
from mnemic.bench.sheet import BOUNDS, Sheet
from mnemic.bench.spec import CONTROLS
from mnemic.bench.statistics import Estimate, mean
from mnemic.bench.tables import Cell, Table, Unit

_MOST = 0.9  # of the questions must have a figure for it to be drawn
_BARRED = 4  # systems with a bar of their own; the others are thin marks
_VERDICTS = {"ahead": ("ahead", "▲ "), "behind": ("behind", "▼ "), "a tie": ("tie", "● ")}  # told by more than colour


def as_html(made: Sequence[Chapter]) -> str:
    """Chapters as a page."""
    numbers = _numbers(made)
    grown = [_growth(id, sheets, metric, numbers) for id, sheets, metric in families(made)]
    links = "".join(f'<a href="#{_anchor(one)}">{escape(one.sheet.dataset)}</a>' for one in made)
    if any(grown):
        links += '<a href="#growth">growth</a>'
    return _PAGE.format(
        style=_STYLE,
        lead=escape(HOW_TO_READ.replace("`", "")),
        contents=f"<nav>{links}</nav>" if len(made) > 1 else "",
        body="".join(_chapter(one, numbers) for one in made),
        growth=f'<section id="growth"><h2>Growth with the log</h2>{"".join(grown)}</section>' if any(grown) else "",
    )


def _chapter(chapter: Chapter, numbers: Mapping[str, int]) -> str:
    parts = [f'<section id="{_anchor(chapter)}"><h2>{escape(chapter.title)}</h2>']
    if chapter.about:
        parts.append(f"<p>{escape(chapter.about)}</p>")
    if chapter.warnings:
        items = "".join(f"<li>{escape(one)}</li>" for one in chapter.warnings)
        parts.append(f'<aside class="beware"><strong>Beware</strong><ul>{items}</ul></aside>')
    parts.append(
        f'<details class="run"><summary>What was run: {_in_short(chapter)}</summary>{_pairs(chapter.facts)}</details>'
    )
    parts.append(_plots(chapter, numbers))
    for table in chapter.tables:
        parts.append(_table(table, chapter.sheet.first))
        if table.id == "answers" and chapter.prompts:
            parts.append(f'<details class="run"><summary>Reader and judge</summary>{_pairs(chapter.prompts)}</details>')
    if chapter.failures:
        parts.append(f"<h3>Most telling failures of {escape(chapter.sheet.first)}</h3>")
        parts.append("<p>What it missed and others found, from the plainest. Open one to see what came instead.</p>")
        parts += [_failure(one) for one in chapter.failures]
    if chapter.notes:
        parts.append(f"<h3>About this dataset</h3>{_pairs(chapter.notes)}")
    parts.append("</section>")
    return "".join(parts)


def _in_short(chapter: Chapter) -> str:
    known = dict(chapter.facts)
    told = (f"{name} {known[name]}" for name in ("version", "embedder", "questions", "log") if name in known)
    return escape("; ".join(told))


def _pairs(pairs: Sequence[tuple[str, str]]) -> str:
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
    return f"<dl>{items}</dl>"


# -- tables ---------------------------------------------------------------------------------------------------


def _table(table: Table, first: str) -> str:
    head = "".join(
        f'<th scope="col"{_kind(one.unit)}>{escape(heading(one.name, one.unit))}</th>' for one in table.columns
    )
    rows = "".join(_row(table, row, first) for row in table.rows)
    about = f"<p>{escape(table.about)}</p>" if table.about else ""
    notes = "".join(f'<p class="note">{escape(one)}</p>' for one in table.notes)
    body = (
        f'{about}<div class="wide" tabindex="0" role="region" aria-label="{escape(table.title)}"><table><thead><tr>{head}'
        f"</tr></thead><tbody>{rows}</tbody></table></div>{notes}"
    )
    if table.is_minor:
        return f'<details class="run"><summary>{escape(table.title)}</summary>{body}</details>'
    return f"<h3>{escape(table.title)}</h3>{body}"


def _row(table: Table, row: Sequence[Cell], first: str) -> str:
    name = str(row[0])
    css = "first" if name == first else "control" if name in CONTROLS else ""
    cells = "".join(
        _cell(cell, column.unit, column.n or table.n) for cell, column in zip(row[1:], table.columns[1:], strict=True)
    )
    kind = f' class="{css}"' if css else ""
    return f'<tr{kind}><th scope="row">{escape(name)}</th>{cells}</tr>'


def _cell(cell: Cell, unit: Unit, n: int | None) -> str:
    if isinstance(cell, str):
        css, sign = _VERDICTS.get(cell, ("text", ""))
        return f'<td class="{css}">{sign}{escape(cell)}</td>'
    value = cell.value if isinstance(cell, Estimate) else cell
    bar = ""
    if unit == "share" and value is not None and not math.isnan(value):
        bar = f' style="--share:{max(0.0, min(1.0, value)):.1%}" class="share"'
    if isinstance(cell, Estimate):
        details = (interval_of(cell, unit), n_of(cell, n))
        small = "".join(f"<small>{escape(one)}</small>" for one in details if one)
        return f"<td{bar}>{escape(number(cell.value, unit))}{small}</td>"
    return f"<td{bar}>{escape(shown(cell, unit))}</td>"


def _kind(unit: Unit) -> str:
    return ' class="text"' if unit == "text" else ""


# -- failures -------------------------------------------------------------------------------------------------


def _failure(failure: Failure) -> str:
    wanted = "".join(_said(one, "wanted") for one in failure.evidence)
    recalled = "".join(_said(one, "wanted" if one.is_evidence else "other") for one in failure.recalled)
    nothing = '<p class="note">Nothing was recalled.</p>'
    return (
        f'<details class="failure"><summary>{escape(failure.question)} <small>{escape(failure.where)}</small></summary>'
        f"<p>{escape(rank_of(failure))}</p><h4>Wanted</h4>{wanted}<h4>Recalled instead</h4>{recalled or nothing}</details>"
    )


def _said(one: Said, css: str) -> str:
    speaker = speaker_of(one)
    who = f"<cite>{escape(speaker)}</cite>" if speaker else ""
    return f'<blockquote class="{css}">{who}{escape(one.text)}</blockquote>'


# -- plots ----------------------------------------------------------------------------------------------------


def _plots(chapter: Chapter, numbers: Mapping[str, int]) -> str:
    sheet, metric = chapter.sheet, chapter.metric
    figures = [
        (
            "Recall against context tokens",
            plots.curves(
                _token_curves(sheet, numbers),
                x_name="tokens handed over",
                y_name="recall",
                label=f"{sheet.dataset}: recall at equal tokens, by system",
            ),
        ),
        (
            f"{metric} against time",
            plots.scatter(
                _times(sheet, metric, numbers),
                x_name="milliseconds a query, p50",
                y_name=metric,
                label=f"{sheet.dataset}: {metric} against milliseconds, by system",
            ),
        ),
        (f"{metric} by category", _category_bars(chapter, numbers)),
        (f"{metric} less that of {chapter.against}", _differences(chapter, numbers)),
    ]
    drawn = "".join(_figure(title, svg) for title, svg in figures if svg)
    return f'<div class="plots">{drawn}</div>' if drawn else ""


def _figure(title: str, svg: str) -> str:
    return f'<figure><figcaption>{escape(title)}</figcaption><div class="wide">{svg}</div></figure>'


def _token_curves(sheet: Sheet, numbers: Mapping[str, int]) -> list[Series]:
    made = []
    for system in sheet.systems:
        points = []
        for budget in sheet.budgets:
            share = mean(sheet.row(system, f"recall@{budget}t"), sheet.samples)
            if share.n < _MOST * sheet.asked(f"recall@{budget}t"):
                continue  # those whose hits fill the budget are not like the others
            points += _point(float(budget), share, f"{system} at {budget:,} tokens")
        made.append(_series(system, points, numbers))
    return made


def _times(sheet: Sheet, metric: str, numbers: Mapping[str, int]) -> list[Series]:
    if not sheet.asked(metric):
        return []
    made = []
    for row, system in enumerate(sheet.systems):
        elapsed = sheet.elapsed_ms[row][~np.isnan(sheet.elapsed_ms[row])]
        if system in BOUNDS or not len(elapsed):
            continue
        middle = max(0.01, float(np.median(elapsed)))
        share = mean(sheet.row(system, metric), sheet.samples)
        made.append(_series(system, _point(middle, share, f"{system}, {number(middle, 'ms')} ms"), numbers))
    return made


def _category_bars(chapter: Chapter, numbers: Mapping[str, int]) -> str:
    sheet, metric = chapter.sheet, chapter.metric
    table = tables.by_category(sheet, metric)
    if table is None:
        return ""
    rows = [row for row in table.rows if all(isinstance(cell, Estimate) for cell in row[1:])]
    made: dict[str, Series] = {}
    for column, system in enumerate(sheet.systems, 1):
        points = []
        for place, row in enumerate(rows):
            cell = row[column]
            assert isinstance(cell, Estimate)
            points += _point(float(place), cell, f"{system}, {row[0]}")
        made[system] = _series(system, points, numbers)
    barred = _barred(chapter)
    return plots.bars(
        [str(row[0]) for row in rows],
        [made[system] for system in barred],
        label=f"{sheet.dataset}: {metric} by category",
        others=[made[system] for system in sheet.systems if system not in barred and system not in BOUNDS],
    )


def _differences(chapter: Chapter, numbers: Mapping[str, int]) -> str:
    table = next((one for one in chapter.tables if one.id == f"differences-{chapter.metric}"), None)
    if table is None:
        return ""
    found = {str(row[0]): (row[2], str(row[-1])) for row in table.rows}
    points = {
        system: Point(0.0, cell.value, cell.low, cell.high, f"{system}: {shown(cell, 'difference')}, {verdict}")
        for system, (cell, verdict) in found.items()
        if isinstance(cell, Estimate) and system not in BOUNDS
    }
    ranked = sorted(points, key=lambda system: -points[system].y)
    return plots.forest(
        [_series(system, [points[system]], numbers) for system in ranked],
        x_name="difference, with intervals corrected for all comparisons",
        label=f"{chapter.sheet.dataset}: differences to {chapter.against}",
    )


def _barred(chapter: Chapter) -> list[str]:
    """The first system, the baseline, and the best of the others."""
    sheet = chapter.sheet
    fixed = [sheet.first] + ([chapter.against] if chapter.against and chapter.against != sheet.first else [])
    others = [system for system in sheet.systems if system not in (*fixed, *BOUNDS)]
    values = {system: mean(sheet.row(system, chapter.metric), sheet.samples).value for system in others}
    ranked = sorted(others, key=lambda system: -np.nan_to_num(values[system]))
    chosen = (*fixed, *ranked[: _BARRED - len(fixed)])
    return [system for system in sheet.systems if system in chosen]


def _growth(id: str, sheets: Sequence[Sheet], metric: str, numbers: Mapping[str, int]) -> str:
    table = tables.growth(sheets, metric)
    if table is None:
        return ""
    made = []
    for system in dict.fromkeys(system for sheet in sheets for system in sheet.systems):
        points = []
        for sheet in sheets:
            if system in sheet.systems and sheet.tokens_per_sample > 0:
                share = mean(sheet.row(system, metric), sheet.samples)
                points += _point(sheet.tokens_per_sample, share, f"{system} on {sheet.dataset}")
        made.append(_series(system, points, numbers))
    plot = plots.curves(made, x_name="tokens of the log", y_name=metric, label=f"{id}: {metric} as the log grows")
    return f"<h3>{escape(id)}</h3>" + (_figure(table.title, plot) if plot else "") + _table(table, sheets[0].first)


def _point(x: float, share: Estimate, said: str) -> list[Point]:
    if math.isnan(share.value):
        return []
    return [Point(x, share.value, share.low, share.high, f"{said}: {shown(share, 'share')}, n = {share.n:,}")]


def _series(system: str, points: Sequence[Point], numbers: Mapping[str, int]) -> Series:
    return Series(system, numbers[system], system in CONTROLS, tuple(points))


def _numbers(made: Sequence[Chapter]) -> dict[str, int]:
    """A place for each system, the same on the whole page, so that a colour always means one of them."""
    designs = dict.fromkeys(system for chapter in made for system in chapter.sheet.designs)
    return {name: place for place, name in enumerate(designs)} | {name: place for place, name in enumerate(CONTROLS)}


def _anchor(chapter: Chapter) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in chapter.sheet.dataset)


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>Mnemic: benchmark report</title>
<style>{style}</style>
</head>
<body>
<header><h1>Benchmark report</h1><p>{lead}</p>{contents}</header>
<main>{body}{growth}</main>
<footer><p>Made by Mnemic from a file that keeps every question, hit and cost.</p></footer>
</body>
</html>
"""

# One blue, one vermilion, … : the colours of Okabe and Ito, darkened for white and lightened for black.
_STYLE = """
:root{--ink:#1b1f24;--soft:#59636e;--paper:#fff;--card:#f6f7f9;--line:#d8dee4;--bar:#0067a51f;--warn:#fff4db;
--warn-line:#c98a00;--grey:#6e7781;--c0:#0067a5;--c1:#c4500a;--c2:#007a5a;--c3:#a2457f;--c4:#866400;--c5:#2f7fb8;
--c6:#5b4bb7}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#9aa4af;--paper:#111418;--card:#1a1e24;--line:#323943;
--bar:#5cb3e833;--warn:#2c2412;--warn-line:#d9a326;--grey:#9aa4af;--c0:#5cb3e8;--c1:#f08a4b;--c2:#3cc79a;--c3:#e08fc0;
--c4:#d9b13b;--c5:#8fcdf2;--c6:#a99bf5}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.2rem clamp(.8rem,3vw,2.5rem) 3rem;max-width:82rem;color:var(--ink);background:var(--paper);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif;overflow-wrap:break-word}
h1{font-size:1.9rem;margin:.4rem 0}
h2{font-size:1.45rem;margin:0 0 .5rem}
h3{font-size:1.08rem;margin:2rem 0 .3rem}
h4{font-size:.9rem;margin:.8rem 0 .3rem;color:var(--soft)}
p{margin:.35rem 0;max-width:52rem}
header p,footer p,.note{color:var(--soft)}
.note{font-size:.88rem}
nav{display:flex;flex-wrap:wrap;gap:.4rem;margin:.9rem 0}
nav a{padding:.15rem .7rem;border:1px solid var(--line);border-radius:1rem;color:var(--c0);text-decoration:none;
font-size:.9rem}
nav a:hover{background:var(--card)}
section{border-top:1px solid var(--line);margin-top:2rem;padding-top:1.4rem}
.beware{background:var(--warn);border-left:4px solid var(--warn-line);padding:.6rem 1rem;border-radius:.3rem;
margin:.8rem 0;font-size:.92rem}
.beware ul{margin:.2rem 0 0;padding-left:1.1rem}
details.run{margin:.6rem 0}
summary{cursor:pointer}
dl{display:grid;grid-template-columns:minmax(6rem,max-content) 1fr;gap:.15rem 1rem;font-size:.88rem;margin:.5rem 0}
dt{color:var(--soft)}
dd{margin:0;min-width:0;white-space:pre-line}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,31rem),1fr));gap:1.2rem;margin:1.2rem 0;
align-items:start}
figure{margin:0;background:var(--card);border-radius:.5rem;padding:.8rem;min-width:0;max-width:48rem}
figcaption{font-weight:600;margin-bottom:.3rem}
.wide{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-size:.88rem;font-variant-numeric:tabular-nums;margin:.5rem 0}
th,td{padding:.3rem .7rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap;vertical-align:top}
thead th{font-weight:600;color:var(--soft);vertical-align:bottom;white-space:normal;min-width:4.6rem}
tbody th,th.text,td.text{text-align:left}
tbody th{font-weight:500;position:sticky;left:0;background:var(--paper)}
td small{display:block;color:var(--soft);font-size:.74rem}
td.share{background:linear-gradient(var(--bar),var(--bar)) no-repeat left bottom/var(--share) 100%}
tr.first th,tr.first td{font-weight:650}
tr.first small{font-weight:400}
tr.control th{color:var(--soft);font-style:italic}
td.ahead{color:var(--c2);text-align:left}
td.behind{color:var(--c1);text-align:left}
td.tie{color:var(--soft);text-align:left}
details.failure{border:1px solid var(--line);border-radius:.4rem;margin:.45rem 0;padding:.5rem .8rem}
details.failure summary{font-weight:550}
details.failure summary small{color:var(--soft);font-weight:400}
blockquote{margin:.35rem 0;padding:.3rem .8rem;border-left:3px solid var(--grey);background:var(--card);font-size:.9rem;
white-space:pre-line}
blockquote.wanted{border-left-color:var(--c2)}
blockquote cite{display:block;color:var(--soft);font-size:.8rem;font-style:normal}
footer{margin-top:3rem;border-top:1px solid var(--line);font-size:.85rem}
svg{display:block;width:100%;min-width:27rem;height:auto;font-size:12px;font-family:inherit}
svg text{fill:var(--ink)}
svg .tick{fill:var(--soft);font-size:11px}
svg .axis{fill:var(--soft)}
svg .group{font-weight:600}
svg .name,svg .value{font-size:11px}
svg .grid{stroke:var(--line);stroke-width:1}
svg .line{fill:none;stroke:var(--c);stroke-width:2}
svg .line.grey{stroke-width:1.3}
svg .band{fill:var(--c);opacity:.16}
svg .leader{fill:none;stroke:var(--grey);stroke-width:.6;opacity:.7}
svg text.label{fill:var(--c)}
svg .mark{fill:var(--c)}
svg .open{fill:var(--card);stroke:var(--c);stroke-width:1.4}
svg .touch{fill:transparent}
svg .bar{fill:var(--c);opacity:.85}
svg .whisker{stroke:var(--c);stroke-width:1.4;opacity:.55}
svg .span{stroke:var(--ink);stroke-width:1.1}
svg .zero{stroke:var(--soft);stroke-width:1.4}
svg .grey{--c:var(--grey)}svg .c0{--c:var(--c0)}svg .c1{--c:var(--c1)}svg .c2{--c:var(--c2)}svg .c3{--c:var(--c3)}
svg .c4{--c:var(--c4)}svg .c5{--c:var(--c5)}svg .c6{--c:var(--c6)}
@media print{details.failure:not([open]){display:none}}
"""
