"""The report of benchmark results: as Markdown here, as one HTML page in `page.py`, from the same chapters."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from mnemic.bench import tables
from mnemic.bench.chapter import Chapter, Failure, Said, chapters, families
from mnemic.bench.results import Results
from mnemic.bench.sheet import Source, Together
from mnemic.bench.statistics import Estimate
from mnemic.bench.tables import Cell, Table, Unit

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$&!])")
_SIGNED: tuple[Unit, ...] = ("difference",)
_SHARES: tuple[Unit, ...] = ("share", "difference")


def write_report(
    paths: Sequence[Path],
    markdown: Path | None,
    html: Path | None,
    *,
    against: str = "rrf",
    metric: str | None = None,
) -> None:
    """Write the report of one or several files of results, as Markdown, as HTML, or both.

    against: the system that the others are compared with. metric: what categories, comparisons and failures are shown
    by; None takes what most questions of a dataset are scored by. Raises ParameterError for either that is not there.
    """
    with ExitStack() as open_files:
        source = Together([open_files.enter_context(Results(path, must_exist=True)) for path in paths])
        made = chapters(source, against=against, metric=metric)
    if markdown is not None:
        markdown.write_text(as_markdown(made), encoding="utf-8")
    if html is not None:
        from mnemic.bench.page import as_html

        html.write_text(as_html(made), encoding="utf-8")


def markdown_report(results: Source, *, against: str = "rrf", metric: str | None = None) -> str:
    """The report of results as Markdown; arguments as of `write_report`."""
    return as_markdown(chapters(results, against=against, metric=metric))


def as_markdown(made: Sequence[Chapter]) -> str:
    """Chapters as Markdown."""
    blocks = ["# Benchmark report", HOW_TO_READ]
    for chapter in made:
        blocks += _chapter(chapter)
    for id, sheets, metric in families(made):
        if (table := tables.growth(sheets, metric)) is not None:
            blocks += [f"## {escaped(id)}: growth with the log", *_table(table)[1:]]
    return "\n\n".join(blocks) + "\n"


HOW_TO_READ = (
    "Figures are averages over questions, with 95 % intervals in brackets. Floors and ceilings stand beside the designs: "
    "`random`, `recent`, `bm25`, `dense`, `rrf`, `full` (the whole log), `oracle` (the evidence itself). "
    "A difference that its corrected interval or test does not tell from 0 is called a tie."
)


# -- cells ----------------------------------------------------------------------------------------------------


def shown(cell: Cell, unit: Unit, n: int | None = None) -> str:
    """A cell as text, its interval in brackets, with its number of questions where that is not the usual n.

    >>> shown(Estimate(0.5, 0.25, 0.75, 9), "share"), shown(-0.125, "difference"), shown(0.0004, "p")
    ('.500 (.250 to .750)', '−.125', '<.001')
    """
    if isinstance(cell, Estimate):
        details = "; ".join(filter(None, (interval_of(cell, unit), n_of(cell, n))))
        return f"{number(cell.value, unit)} ({details})" if details else number(cell.value, unit)
    return cell if isinstance(cell, str) else number(cell, unit)


def interval_of(cell: Estimate, unit: Unit) -> str:
    """The interval as text; nothing where it is not known."""
    if math.isnan(cell.low):
        return ""
    return f"{number(cell.low, unit)} to {number(cell.high, unit)}"


def n_of(cell: Estimate, n: int | None) -> str:
    """The number of questions, where it is not the usual one."""
    return "" if n is None or cell.n in (0, n) else f"n = {cell.n:,}"


def number(value: float | None, unit: Unit) -> str:
    """A number in its unit, as short as it is honest."""
    if value is None or math.isnan(value):
        return "–"
    if unit in _SHARES:
        digits = f"{abs(value):.3f}".removeprefix("0") if abs(value) < 0.9995 else f"{abs(value):.3f}"
        is_zero = digits == ".000"
        sign = "" if is_zero else "−" if value < 0 else "+" if unit in _SIGNED else ""
        return sign + digits
    if unit == "p":
        return "<.001" if value < 0.001 else f"{value:.3f}".removeprefix("0")
    if unit in ("count", "tokens", "bytes") or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def heading(name: str, unit: Unit) -> str:
    """A column's name with its unit, where the name does not say it."""
    return f"{name}, {unit}" if unit in ("ms", "s") else name


def escaped(text: str) -> str:
    """Text as one line that Markdown shows and never interprets."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


# -- blocks ---------------------------------------------------------------------------------------------------


def _chapter(chapter: Chapter) -> list[str]:
    blocks = [f"## {escaped(chapter.title)}"]
    if chapter.about:
        blocks.append(escaped(chapter.about))
    if chapter.warnings:
        blocks.append("\n".join(f"> **Beware.** {escaped(one)}  " for one in chapter.warnings))
    blocks.append("\n".join(f"- {escaped(name)}: {escaped(value)}" for name, value in chapter.facts))
    for table in chapter.tables:
        blocks += _table(table)
        if table.id == "answers" and chapter.prompts:
            blocks.append("\n".join(f"- {escaped(name)}: {escaped(value)}" for name, value in chapter.prompts))
    if chapter.failures:
        blocks.append(f"### Most telling failures of {escaped(chapter.sheet.first)}")
        blocks += [_failure(failure) for failure in chapter.failures]
    if chapter.notes:
        blocks.append("### About this dataset")
        blocks.append("\n".join(f"- {escaped(name)}: {escaped(value)}" for name, value in chapter.notes))
    return blocks


def _table(table: Table) -> list[str]:
    head = [escaped(heading(one.name, one.unit)) for one in table.columns]
    rule = ["---" if one.unit == "text" else "---:" for one in table.columns]
    rows = [
        [
            escaped(shown(cell, column.unit, column.n or table.n))
            for cell, column in zip(row, table.columns, strict=True)
        ]
        for row in table.rows
    ]
    lines = "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))
    before = [escaped(table.about)] if table.about else []
    return [f"### {escaped(table.title)}", *before, lines, *map(escaped, table.notes)]


def _failure(failure: Failure) -> str:
    lines = [f"- **{escaped(failure.question)}** ({escaped(failure.where)})", f"  {escaped(rank_of(failure))}"]
    lines += [f"  - wanted: {_said(one)}" for one in failure.evidence]
    lines += [f"  - recalled{' (wanted)' if one.is_evidence else ''}: {_said(one)}" for one in failure.recalled]
    return "\n".join(lines)


def rank_of(failure: Failure) -> str:
    """Where the evidence was after all, and who did better."""
    if failure.rank is None:
        where = f"None of the evidence is among the {failure.depth:,} hits kept."
    else:
        where = f"The first evidence is hit {failure.rank:,} of {failure.depth:,}."
    better = f" Better: {', '.join(failure.found_by)}." if failure.found_by else " No other retriever did better."
    return where + better


def _said(one: Said) -> str:
    return escaped(f"{speaker_of(one)}: {one.text}" if speaker_of(one) else one.text)


def speaker_of(one: Said) -> str:
    """Who said it and when, as far as is known."""
    return ", ".join(filter(None, (one.who, one.when)))
