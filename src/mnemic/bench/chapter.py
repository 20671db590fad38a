"""What a report says of one dataset, in the order in which it is said; Markdown and HTML only show it.

What was run and what to beware of come first, figures that need no language model next, a model's answers after them,
and the most telling failures last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mnemic.bench import tables
from mnemic.bench.results import Asked, Run
from mnemic.bench.sheet import BOUNDS, Sheet, Source, read
from mnemic.bench.statistics import Floats
from mnemic.bench.tables import Table
from mnemic.errors import ParameterError

FAILURES = 10
RECALLED = 5  # hits shown of a failure
_SHOWN = 600  # characters of a turn


@dataclass(frozen=True, slots=True)
class Said:
    """A turn as a reader of the report sees it."""

    who: str
    when: str
    text: str
    is_evidence: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A question whose evidence the first system did not find, though others did."""

    question: str
    where: str  # category, sample and id
    score: float
    rank: int | None  # of the first hit with evidence, from 1; None: not among those that were kept
    depth: int  # hits that were kept
    evidence: tuple[Said, ...]
    recalled: tuple[Said, ...]
    found_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One dataset and variant."""

    sheet: Sheet
    title: str
    about: str
    facts: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    metric: str
    against: str | None  # the baseline, where it was run here
    tables: tuple[Table, ...]
    prompts: tuple[tuple[str, str], ...]  # what the reader and the judge were told
    failures: tuple[Failure, ...]
    notes: tuple[tuple[str, str], ...]


def chapters(source: Source, *, against: str, metric: str | None) -> list[Chapter]:
    """A chapter for each dataset with questions. Raises ParameterError for a baseline or metric that none of them has."""
    sheets = [sheet for name in source.datasets() if (sheet := read(source, name)) is not None]
    if not sheets:
        raise ParameterError(
            "The results hold no question that was asked. `mnemic bench DATASET --out FILE` asks some."
        )
    systems = list(dict.fromkeys(name for sheet in sheets for name in sheet.systems))
    if len(systems) > 1 and against not in systems:
        raise ParameterError(
            f"{against!r} was not run, so nothing can be compared with it. Run were: {', '.join(systems)}."
        )
    if metric is not None and not any(sheet.asked(metric) for sheet in sheets):
        scored = sorted({one for sheet in sheets for one in sheet.scores})
        raise ParameterError(
            f"Nothing was scored by {metric!r}. There are: {', '.join(scored) or 'no metrics at all'}."
        )
    return [_chapter(source, sheet, against, metric) for sheet in sheets]


def families(made: Sequence[Chapter]) -> list[tuple[str, list[Sheet], str]]:
    """Datasets that were run in several sizes: id, sheets from the smallest log to the largest, the metric to follow."""
    by_id: dict[str, list[Chapter]] = {}
    for chapter in made:
        by_id.setdefault(chapter.sheet.dataset.partition("/")[0], []).append(chapter)
    grown = []
    for id, members in by_id.items():
        metric = members[0].metric
        sheets = sorted((one.sheet for one in members), key=lambda one: one.tokens_per_sample)
        if len({one.tokens_per_sample for one in sheets if one.asked(metric)}) > 1:
            grown.append((id, [one for one in sheets if one.asked(metric)], metric))
    return grown


def _chapter(source: Source, sheet: Sheet, against: str, wanted: str | None) -> Chapter:
    runs = [run for run in source.runs() if run.id in sheet.run_ids]
    metric = wanted if wanted is not None and sheet.asked(wanted) else sheet.headline or ""
    described = sheet.described
    return Chapter(
        sheet=sheet,
        title=f"{described.title} ({sheet.dataset})" if described else sheet.dataset,
        about=described.about if described else "",
        facts=tuple(facts(sheet, runs)),
        warnings=(*source.warnings(sheet.dataset), *_own_warnings(sheet, runs, against)),
        metric=metric,
        against=against if against in sheet.systems else None,
        tables=tuple(_tables(sheet, metric, against)),
        prompts=tuple(_prompts(runs)),
        failures=tuple(failures(source, sheet, metric)),
        notes=tuple(described.notes.items()) if described else (),
    )


def _tables(sheet: Sheet, metric: str, against: str) -> list[Table]:
    others = [one for one in ("newest", "order", "contains@10", "vote@10") if one != metric and sheet.asked(one)]
    budget = "recall@2000t" if 2000 in sheet.budgets else ""
    made = [
        tables.retrieval(sheet),
        tables.other_metrics(sheet),
        tables.over_samples(sheet, metric),
        tables.by_category(sheet, metric),
        *(tables.by_category(sheet, one) for one in others),
        tables.apart(sheet),
        tables.calibration(sheet),
        tables.reliability_bins(sheet),
        tables.equal_tokens(sheet),
        tables.differences(sheet, metric, against),
        tables.differences(sheet, budget, against) if budget != metric else None,
        tables.both_keys(sheet, [metric, "all@10", "ndcg@10"]),
        tables.costs(sheet),
        tables.answers(sheet),
    ]
    return [one for one in made if one is not None]


# -- what was run ---------------------------------------------------------------------------------------------


def facts(sheet: Sheet, runs: Sequence[Run]) -> list[tuple[str, str]]:
    """What was run, by whom it can be run again: version, dates, settings, digests, counts."""
    found: list[tuple[str, str]] = []
    if runs:
        found.append(("version", ", ".join(dict.fromkeys(run.version for run in runs))))
        dates = list(dict.fromkeys(run.began_at for run in (runs[0], runs[-1])))
        found.append(("run" if len(runs) == 1 else f"{len(runs)} runs", " to ".join(dates)))
    taken = next((rows for rows in sheet.ingested.values() if rows), ())
    if taken:
        sums = {name: sum(getattr(one, name) for one in taken) for name in ("sessions", "turns", "tokens")}
        found.append(("log", f"{len(taken):,} samples, " + ", ".join(f"{n:,} {name}" for name, n in sums.items())))
    n_apart, n_all = int(sheet.is_apart.sum()), len(sheet.questions)
    found.append(("questions", f"{n_all - n_apart:,}" + (f", and {n_apart:,} apart" if n_apart else "")))
    if sheet.described:
        found += [("source", sheet.described.source), ("licence", sheet.described.licence)]
    settings = dict(runs[-1].settings) if runs else {}
    for name, value in settings.items():
        if name not in _PROMPTED and value not in (None, "", [], {}):
            found.append((name.replace("_", " "), _spelled(value)))
    return found


def _own_warnings(sheet: Sheet, runs: Sequence[Run], against: str) -> list[str]:
    found = []
    if len(versions := sorted({run.version for run in runs})) > 1:
        found.append(f"Rows of different versions stand side by side: {', '.join(versions)}. Run all of them again.")
    for name, what in (("embedder", "embedders"), ("code", "states of the code")):
        if len(seen := sorted({_spelled(run.settings[name]) for run in runs if run.settings.get(name)})) > 1:
            found.append(f"Rows of different {what} stand side by side: {', '.join(seen)}.")
    for name, what in (("limit", "questions"), ("samples", "samples")):
        if limits := sorted({_spelled(run.settings[name]) for run in runs if run.settings.get(name)}):
            found.append(f"A part of the dataset only: the first {' or '.join(limits)} {what}.")
    asked = {system: int(n) for system, n in zip(sheet.systems, (~np.isnan(sheet.elapsed_ms)).sum(1), strict=True)}
    if len(set(asked.values())) > 1:
        counts = ", ".join(f"{system} {n:,}" for system, n in asked.items())
        found.append(f"Not every system was asked every question ({counts}): only the paired differences are fair.")
    failed = {system: sum(one.failures for one in rows) for system, rows in sheet.ingested.items()}
    if any(failed.values()):
        found.append(
            "Ingestion failed for " + ", ".join(f"{name}: {n:,} turns" for name, n in failed.items() if n) + "."
        )
    if against not in sheet.systems and len(sheet.systems) > 1:
        found.append(f"{against} was not run here, so there are no paired differences.")
    if missing := [one for one in ("recent", "bm25", "dense", "full", "oracle") if one not in sheet.systems]:
        found.append(f"Controls that were not run: {', '.join(missing)}.")
    return found


def _spelled(value: object) -> str:
    """A setting in one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_spelled(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_spelled(one) for one in value)
    return (
        f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10_000 else str(value)
    )


_PROMPTED = ("judge", "reader")


def _prompts(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """What the reader and the judge were, were told, and how far the judge can be believed."""
    found: dict[str, str] = {}
    for run in runs:
        for name in ("reader", "judge"):
            settings = run.settings.get(name)
            if isinstance(settings, Mapping):
                found |= {f"{name}: {key.replace('_', ' ')}": _spelled(value) for key, value in settings.items()}
            elif settings:
                found[name] = _spelled(settings)
    return list(found.items())


# -- failures -------------------------------------------------------------------------------------------------


def failures(source: Source, sheet: Sheet, metric: str) -> list[Failure]:
    """The questions that the first system misses most and others least: those tell what it lacks.

    Questions whose key is known to be wrong are left out, as are floors and ceilings among the others.
    """
    if not sheet.asked(metric):
        return []
    ours = sheet.row(sheet.first, metric)
    rivals = [system for system in sheet.systems if system != sheet.first and system not in BOUNDS]
    theirs = np.array([sheet.row(system, metric) for system in rivals]).reshape(len(rivals), len(ours))
    average = np.where(np.isnan(theirs), 0.0, theirs).mean(0) if rivals else np.zeros_like(ours)
    rows = {(one.sample, one.question): one for one in source.asked(sheet.dataset, sheet.first)}
    is_missed = (ours < 1) & ~sheet.is_corrected
    ranked = sorted(np.flatnonzero(is_missed).tolist(), key=lambda at: _telling(ours, average, sheet, at))
    return [
        _failure(source, sheet, rows[sheet.questions[at]], float(ours[at]), _found_by(rivals, theirs[:, at], ours[at]))
        for at in ranked[:FAILURES]
    ]


def _telling(ours: Floats, average: Floats, sheet: Sheet, at: int) -> tuple[float, float, int]:
    sure = sheet.confidence[sheet.systems.index(sheet.first), at]
    return float(ours[at] - average[at]), -float(np.nan_to_num(sure)), at


def _found_by(rivals: Sequence[str], scores: Floats, ours: float) -> tuple[str, ...]:
    return tuple(name for name, score in zip(rivals, scores, strict=True) if score > ours)


def _failure(source: Source, sheet: Sheet, one: Asked, score: float, found_by: tuple[str, ...]) -> Failure:
    wanted = set(one.evidence)
    ranks = (place for place, hit in enumerate(one.found, 1) if wanted & set(hit.turns))
    place = next(place for place, category in enumerate(sheet.categories) if category.id == one.category)
    name = " ".join(filter(None, (one.category, sheet.categories[place].name)))
    shown = [next((turn for turn in hit.turns if turn in wanted), hit.turns[0]) for hit in one.found if hit.turns]
    return Failure(
        question=one.text,
        where=f"{name}, {one.sample}, {one.question}",
        score=score,
        rank=next(ranks, None),
        depth=len(one.found),
        evidence=tuple(_said(source, one, turn, True) for turn in one.evidence[:RECALLED]),
        recalled=tuple(_said(source, one, turn, turn in wanted) for turn in shown[:RECALLED]),
        found_by=found_by,
    )


def _said(source: Source, one: Asked, turn: str, is_evidence: bool) -> Said:
    kept = source.text(one.dataset, one.sample, turn)
    if kept is None:
        return Said("", "", f"turn {turn}, whose text was not kept", is_evidence)
    text = kept.text if len(kept.text) <= _SHOWN else kept.text[: _SHOWN - 1].rstrip() + "…"
    return Said(kept.speaker, (kept.occurred_at or "")[:16].replace("T", " "), text, is_evidence)
