"""The tables of a report, from a sheet: numbers with their units and what to know of them. How they look is not said here.

A table that has nothing to say is None. Questions apart (adversarial, abstention) are in no total.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mnemic.bench.sheet import CORRECTED, Sheet
from mnemic.bench.statistics import (
    FEW_SAMPLES,
    SMALL_SAMPLE,
    Estimate,
    Floats,
    auroc,
    bootstrap,
    calibration_error,
    compare,
    is_share,
    mean,
    mean_over_samples,
    reliability,
    risk_at_coverage,
)

Unit = Literal["text", "count", "number", "share", "difference", "p", "ms", "s", "bytes", "tokens"]
Cell = Estimate | str | float | None
_AMOUNTS = ("lag", "sources@")  # metrics that are no shares


@dataclass(frozen=True, slots=True)
class Column:
    """What stands in a column, and in what unit; `n` questions, where an estimate of another number must say so."""

    name: str
    unit: Unit = "text"
    n: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of cells; the first column names the row."""

    id: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    about: str = ""  # what the table shows, before it
    notes: tuple[str, ...] = ()  # what to beware of, after it
    n: int | None = None  # questions of a column that does not say otherwise
    is_minor: bool = False  # for those who look for it


def retrieval(sheet: Sheet) -> Table | None:
    """Every system by the leading metrics that need no language model."""
    metrics = sheet.retrieval_metrics
    if not metrics:
        return None
    most = max(sheet.asked(metric) for metric in metrics)
    return Table(
        id="retrieval",
        title="Retrieval, without a language model",
        about=f"Averages over {most:,} questions with 95 % intervals; categories apart are not among them.",
        n=most,
        columns=(Column("system"), *_columns(sheet, metrics, most)),
        rows=_by_system(sheet, metrics),
    )


def other_metrics(sheet: Sheet) -> Table | None:
    """The remaining metrics of rankings: by session, by other formulas, by age, by the number of sources."""
    metrics = sheet.other_metrics
    if not metrics:
        return None
    most = max(sheet.asked(metric) for metric in sheet.retrieval_metrics)
    return Table(
        id="others",
        title="Further metrics of the same rankings",
        about="By session, by other formulas, by time. Lag counts updates; sources are the turns that a hit stands on.",
        n=most,
        columns=(Column("system"), *_columns(sheet, metrics, most)),
        rows=_by_system(sheet, metrics),
        is_minor=True,
    )


def _columns(sheet: Sheet, metrics: Sequence[str], most: int) -> list[Column]:
    asked = {metric: sheet.asked(metric) for metric in metrics}
    return [
        Column(one if n == most else f"{one} (n = {n:,})", "number" if one.startswith(_AMOUNTS) else "share", n)
        for one, n in asked.items()
    ]


def _by_system(sheet: Sheet, metrics: Sequence[str]) -> tuple[tuple[Cell, ...], ...]:
    return tuple((system, *(_average(sheet, system, metric) for metric in metrics)) for system in sheet.systems)


def _average(sheet: Sheet, system: str, metric: str) -> Estimate:
    values = sheet.row(system, metric)
    if metric.startswith(_AMOUNTS):
        known = ~np.isnan(values)
        return bootstrap(values[known], sheet.samples[known])
    return mean(values, sheet.samples)


def by_category(sheet: Sheet, metric: str) -> Table | None:
    """The metric by category, systems across."""
    if metric not in sheet.scores:
        return None
    rows: list[tuple[Cell, ...]] = []
    means: list[list[float]] = []
    for place in range(len(sheet.categories)):
        chosen = sheet.category == place
        cells = [mean(np.where(chosen, sheet.row(system, metric), np.nan), sheet.samples) for system in sheet.systems]
        if not any(one.n for one in cells):
            continue
        rows.append((category_name(sheet, place, max(one.n for one in cells)), *cells))
        means.append([one.value for one in cells])
    if not rows:
        return None
    total = [mean(sheet.row(system, metric), sheet.samples) for system in sheet.systems]
    rows.append((f"all, n = {max(one.n for one in total):,}", *total))
    if len(means) > 1:
        rows.append(("mean of the categories", *(float(one) for one in np.mean(means, axis=0))))
    return Table(
        id="categories",
        title=f"{metric} by category",
        columns=(Column("category"), *(Column(system, "share") for system in sheet.systems)),
        rows=tuple(rows),
    )


def category_name(sheet: Sheet, place: int, n: int) -> str:
    """Id, name and number of questions, which are never printed apart."""
    category, size = sheet.categories[place], sheet.sizes[place]
    of = f" of {size:,}" if size is not None and size != n else ""
    return f"{' '.join(filter(None, (category.id, category.name)))}, n = {n:,}{of}"


def apart(sheet: Sheet) -> Table | None:
    """Questions that nothing in the log answers: is the recall less sure of them than of the others?"""
    places = np.unique(sheet.category[sheet.is_apart]).tolist()
    if not places:
        return None
    by_place = [(place, sheet.is_apart & (sheet.category == place)) for place in places]
    groups = [(category_name(sheet, place, int(chosen.sum())), chosen) for place, chosen in by_place]
    if len(groups) > 1:
        groups.append((f"all apart, n = {int(sheet.is_apart.sum()):,}", sheet.is_apart))
    answered = (Column("the reader says so", "share"),) if "answer_absent" in sheet.scores else ()
    rows: list[tuple[Cell, ...]] = []
    for row, system in enumerate(sheet.systems):
        sure = sheet.confidence[row]
        is_known = ~np.isnan(sure)
        cells: list[Cell] = []
        for _, chosen in groups:
            used = is_known & (chosen | ~sheet.is_apart)
            is_constant = not used.any() or np.ptp(sure[used]) == 0  # then it cannot tell anything from anything
            cells.append(None if is_constant else auroc(sure[used], ~sheet.is_apart[used]))
        if "answer_absent" in sheet.scores:
            cells.append(mean(sheet.scores["answer_absent"][row], sheet.samples))
        rows.append((system, *cells))
    return Table(
        id="apart",
        title="Questions without an answer in the log",
        about=(
            "AUROC of the recall's confidence: the chance that a question with an answer is recalled with more "
            f"confidence than one of these; 0.5 is no better than a coin. {CONFIDENCE} None of them counts in any total."
        ),
        columns=(Column("system"), *(Column(name, "share") for name, _ in groups), *answered),
        rows=tuple(rows),
    )


CONFIDENCE = "It is what the system says; of one that says nothing, the best hit's score, which is no probability."


def calibration(sheet: Sheet) -> Table | None:
    """How well confidence tells right recalls from wrong ones, right meaning that some evidence is among the hits."""
    metric = right_metric(sheet)
    if metric is None:
        return None
    rows: list[tuple[Cell, ...]] = []
    for place, system in enumerate(sheet.systems):
        sure, right = _sure_and_right(sheet, place, metric)
        if not len(sure) or np.ptp(sure) == 0:
            continue
        is_probability = bool(sure.min() >= 0 and sure.max() <= 1)
        error = calibration_error(reliability(sure, right)) if is_probability else None
        risks = risk_at_coverage(sure, right, (0.25, 0.5, 1.0))
        rows.append((system, len(sure), float(sure.mean()), float(right.mean()), error, auroc(sure, right > 0), *risks))
    if not rows:
        return None
    shares = ("mean confidence", f"mean {metric}", "calibration error", "AUROC", "wrong in the surest 25 %")
    return Table(
        id="calibration",
        title="Confidence",
        about=(
            f"Confidence against {metric}. {CONFIDENCE} The last columns are the share wrong when only the surest are answered."
        ),
        columns=(
            Column("system"),
            Column("n", "count"),
            *(Column(name, "share") for name in (*shares, "wrong in the surest 50 %", "wrong in all")),
        ),
        rows=tuple(rows),
    )


def reliability_bins(sheet: Sheet) -> Table | None:
    """Confidence of the first system in ten bins."""
    metric = right_metric(sheet)
    if metric is None:
        return None
    sure, right = _sure_and_right(sheet, sheet.systems.index(sheet.first), metric)
    if not len(sure) or np.ptp(sure) == 0 or sure.min() < 0 or sure.max() > 1:
        return None
    rows = tuple(
        (f"{one.low:.1f} to {one.high:.1f}", one.n, one.confidence, one.right) for one in reliability(sure, right)
    )
    return Table(
        id="reliability",
        title=f"Confidence of {sheet.first}, in bins",
        columns=(
            Column("confidence"),
            Column("n", "count"),
            Column("mean confidence", "share"),
            Column(metric, "share"),
        ),
        rows=rows,
    )


def right_metric(sheet: Sheet) -> str | None:
    """The metric of 0 and 1 that says whether a recall was of use."""
    for metric in ("any@10", "newest", "order", "contains@10", "vote@10"):
        if sheet.asked(metric) and is_share(_known(sheet.scores[metric])):
            return metric
    return None


def equal_tokens(sheet: Sheet) -> Table | None:
    """Recall when every system may hand over the same number of tokens."""
    budgets = sheet.budgets
    if not budgets:
        return None
    has_block = bool(sheet.asked("block_recall"))
    rows: list[tuple[Cell, ...]] = []
    for row, system in enumerate(sheet.systems):
        cells: list[Cell] = [mean(sheet.row(system, f"recall@{budget}t"), sheet.samples) for budget in budgets]
        if has_block:
            cells.append(mean(sheet.row(system, "block_recall"), sheet.samples))
        rows.append((system, *cells, block_tokens(sheet, row)))
    most = max(sheet.asked(f"recall@{budget}t") for budget in budgets)
    block = (Column("block recall", "share"),) if has_block else ()
    return Table(
        id="tokens",
        title="Recall at equal tokens",
        about="Hits are taken, best first, until the budget is full. The block is what would be handed to a model.",
        columns=(
            Column("system"),
            *(Column(f"{budget:,} tokens", "share") for budget in budgets),
            *block,
            Column("block tokens", "tokens"),
        ),
        n=most,
        rows=tuple(rows),
        notes=("A figure over fewer questions says so: for the others the hits asked for did not fill the budget.",)
        if any(isinstance(cell, Estimate) and cell.n < most for row in rows for cell in row)
        else (),
    )


def block_tokens(sheet: Sheet, row: int) -> float | None:
    """The mean size of a system's context block, over the questions of the total."""
    known = _known(sheet.context_tokens[row][~sheet.is_apart])
    return float(known.mean()) if len(known) else None


def differences(sheet: Sheet, metric: str, against: str) -> Table | None:
    """Every system less the named baseline, question by question, corrected for the number of comparisons."""
    if not sheet.asked(metric) or against not in sheet.systems or len(sheet.systems) < 2:
        return None
    scores = {system: sheet.row(system, metric) for system in sheet.systems}
    compared = compare(scores, against, sheet.samples)
    if not compared:
        return None
    is_exact = is_share(_known(np.concatenate(list(scores.values()))))
    n_samples = len(np.unique(sheet.samples))
    test = "exact McNemar" if is_exact else "sign-flip permutation"
    notes = []
    if n_samples < 2:
        notes.append("One sample only: nothing can be said of other users.")
    elif n_samples < FEW_SAMPLES:
        notes.append(f"{n_samples} samples only: the interval over samples is Student's, and wide for good reason.")
    return Table(
        id=f"differences-{metric}",
        title=f"{metric} less that of {against}",
        about=(
            f"Paired differences. Intervals and p ({test}) are corrected by Holm's method for {len(compared)} "
            "comparisons; it is a tie unless both exclude 0. Over samples is the claim about new users."
        ),
        columns=(
            Column("system"),
            Column("n", "count"),
            Column("difference", "difference"),
            Column("over samples", "difference"),
            Column("p", "p"),
            Column("p, corrected", "p"),
            Column("verdict"),
        ),
        rows=tuple(
            (one.system, one.difference.n, one.difference, one.over_samples, one.p, one.p_corrected, one.verdict)
            for one in compared
        ),
        notes=tuple(notes),
    )


def over_samples(sheet: Sheet, metric: str) -> Table | None:
    """The headline metric with both intervals: for these users, and for new ones."""
    if not sheet.asked(metric):
        return None
    bounds = (-math.inf, math.inf) if metric.startswith(_AMOUNTS) else (0.0, 1.0)
    rows = []
    for system in sheet.systems:
        values = sheet.row(system, metric)
        rows.append((system, mean(values, sheet.samples), mean_over_samples(values, sheet.samples, bounds=bounds)))
    n_samples = len(np.unique(sheet.samples))
    return Table(
        id="samples",
        title=f"{metric} with both intervals",
        about=(
            f"{n_samples:,} samples. The first interval resamples questions within their samples (those with fewer than "
            f"{SMALL_SAMPLE} questions together) and speaks of these users; the second speaks of new ones: "
            f"it resamples the samples or, where they are fewer than {FEW_SAMPLES}, is Student's over them."
        ),
        columns=(Column("system"), Column("these users", "share"), Column("new users", "share")),
        rows=tuple(rows),
    )


def both_keys(sheet: Sheet, metrics: Sequence[str]) -> Table | None:
    """The same recalls scored by the file's key and by the corrected one."""
    metrics = [one for one in metrics if CORRECTED + one in sheet.scores]
    if not metrics:
        return None
    columns = [Column("system")]
    for metric in metrics:
        columns += [Column(f"{metric}, the file's key", "share"), Column(f"{metric}, corrected", "share")]
        columns.append(Column("corrected less file's", "difference"))
    rows = []
    for system in sheet.systems:
        cells: list[Cell] = [system]
        for metric in metrics:
            own, other = sheet.row(system, metric), sheet.corrected(system, metric)
            both = ~np.isnan(own) & ~np.isnan(other)
            changed = bootstrap((other - own)[both], sheet.samples[both])
            cells += [mean(own, sheet.samples), mean(other, sheet.samples), changed]
        rows.append(tuple(cells))
    n = int(np.sum(sheet.is_corrected & ~sheet.is_apart))
    return Table(
        id="keys",
        title="Both answer keys",
        about=f"The file is known to be wrong about {n:,} of these questions; both figures are given.",
        columns=tuple(columns),
        rows=tuple(rows),
    )


def answers(sheet: Sheet) -> Table | None:
    """What a reader made of the context, and what a judge thought of it."""
    metrics = sheet.answer_metrics
    if not metrics:
        return None
    columns = [Column("system"), *(Column(metric.replace("_", " "), "share") for metric in metrics)]
    has_both = {"judged", "answer_em"} <= set(metrics)
    faults = ("retrieval", "presentation", "reader") if any(sheet.faults.values()) else ()
    rows: list[tuple[Cell, ...]] = []
    for system in sheet.systems:
        scores = {metric: sheet.row(system, metric) for metric in metrics}
        if all(np.isnan(one).all() for one in scores.values()):
            continue
        cells: list[Cell] = [mean(one, sheet.samples) for one in scores.values()]
        if has_both:
            agree = np.where(
                np.isnan(scores["judged"] + scores["answer_em"]),
                np.nan,
                (scores["judged"] >= 0.5) == (scores["answer_em"] >= 0.5),
            )
            cells.append(mean(agree.astype(float), sheet.samples))
        cells += [sheet.faults[system].get(one, 0) for one in faults]
        rows.append((system, *cells))
    if has_both:
        columns.append(Column("judge agrees with exact match", "share"))
    columns += [Column(f"wrong by {one}", "count") for one in faults]
    return Table(
        id="answers",
        title="Answers of a language model",
        about="After all that needs no model: what a reader and a judge add to these figures is theirs, not the memory's.",
        columns=tuple(columns),
        rows=tuple(rows),
    )


def costs(sheet: Sheet) -> Table:
    """What each system costs: to take in a log, to ask it, to keep it."""
    columns = [
        Column("system"),
        Column("ingestion", "s"),
        Column("per 1,000 turns", "s"),
        Column("query p50", "ms"),
        Column("p95", "ms"),
        Column("p99", "ms"),
        Column("bytes per turn", "bytes"),
        Column("context tokens", "tokens"),
        Column("LLM calls", "count"),
        Column("LLM tokens", "tokens"),
        Column("failures", "count"),
    ]
    has_peak = any(one.peak_rss_bytes for rows in sheet.ingested.values() for one in rows)
    rows: list[tuple[Cell, ...]] = []
    for row, system in enumerate(sheet.systems):
        taken = sheet.ingested.get(system, ())
        seconds, turns = sum(one.log_s + one.system_s for one in taken), sum(one.turns for one in taken)
        elapsed = _known(sheet.elapsed_ms[row])
        percentiles = [float(one) for one in np.percentile(elapsed, [50, 95, 99])] if len(elapsed) else [None] * 3
        rows.append(
            (
                system,
                seconds if taken else None,
                1000 * seconds / turns if turns else None,
                *percentiles,
                sum(one.bytes for one in taken) / turns if turns else None,
                block_tokens(sheet, row),
                sum(one.llm_calls for one in taken),
                sum(one.llm_tokens for one in taken),
                sum(one.failures for one in taken),
                *((float(max((one.peak_rss_bytes for one in taken), default=0)) or None,) if has_peak else ()),
            )
        )
    if has_peak:
        columns.append(Column("peak memory, bytes", "bytes"))
    return Table(
        id="costs",
        title="Cost",
        about="Ingestion is the log and what the system makes of it. A query's time leaves out the embedding of its text.",
        columns=tuple(columns),
        rows=tuple(rows),
        notes=("Peak memory is of the whole process, systems that it measured before included.",) if has_peak else (),
    )


def growth(sheets: Sequence[Sheet], metric: str) -> Table | None:
    """One benchmark in several sizes: what becomes of the metric as the log grows."""
    sized = sorted((one for one in sheets if one.asked(metric)), key=lambda one: _or_zero(one.tokens_per_sample))
    if len(sized) < 2:
        return None
    systems = list(dict.fromkeys(system for sheet in sized for system in sheet.systems))
    rows = tuple(
        (
            system,
            *(mean(one.row(system, metric), one.samples) if system in one.systems else None for one in sized),
        )
        for system in systems
    )
    return Table(
        id="growth",
        title=f"{metric} as the log grows",
        about="The questions of the sizes differ, so a fall is the size's and theirs together.",
        columns=(Column("system"), *(Column(_size(one), "share") for one in sized)),
        rows=rows,
    )


def _size(sheet: Sheet) -> str:
    return f"{sheet.dataset}: {_or_zero(sheet.tokens_per_sample):,.0f} tokens, n = {len(sheet.questions):,}"


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def _sure_and_right(sheet: Sheet, row: int, metric: str) -> tuple[Floats, Floats]:
    """[n] confidence and 0 or 1 of the questions that have both."""
    sure, right = sheet.confidence[row], sheet.row(sheet.systems[row], metric)
    both = ~np.isnan(sure) & ~np.isnan(right)
    return sure[both], right[both]


def _known(values: Floats) -> Floats:
    known: Floats = values[~np.isnan(values)]
    return known
