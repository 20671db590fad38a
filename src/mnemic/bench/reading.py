"""A model reads the context blocks of a run and answers; another may judge; both are kept in the rows they belong to.

The one idea: the blocks were made before, one budget for all systems, so reading adds columns to a finished run and can
be cut short and resumed: replies are kept in a file beside the results. A question that the model did not answer has no
score, and a warning counts it. Every wrong answer has its fault: retrieval, presentation or reader.

Rows hold the scores of the model that read them last; what each model said stays in `extra["read"]`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from mnemic._version import __version__
from mnemic.bench.answering import (
    READER_PROMPT,
    Answer,
    LocomoCategory,
    Reader,
    answer_scores,
    fault,
    locomo_f1,
    open_reader,
)
from mnemic.bench.judge import Graded, Judge, JudgeQuality, Rate, Strictness, Verdict, measure_judge, open_judge
from mnemic.bench.results import Asked, Results, Run
from mnemic.errors import ParameterError
from mnemic.model import new_id
from mnemic.progress import track

JUDGED: dict[Strictness, str] = {"strict": "judged", "lenient": "judged_lenient"}
_MEASURED = 40  # questions on which the judge itself is measured
_RIGHT = 0.5  # token F1 from which an answer counts as right where nobody judges it


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What became of the questions, over all systems."""

    model: str
    answered: int
    failed: int
    unjudged: int
    faults: Mapping[str, Mapping[str, int]]  # of wrong answers, by system
    quality: tuple[JudgeQuality, ...] = ()


def read_answers(
    path: str | Path,
    dataset: str,
    model: str,
    *,
    judge: str | None = None,
    base_url: str | None = None,
    api_key: str | None = None,
    seed: int = 0,
    judge_seeds: Sequence[int] = (0, 1, 2),
    show_progress: bool = False,
    **settings: Any,
) -> Read:
    """Let a model answer every row of a dataset that kept its context block, and another judge the answers.

    settings are those of `ChatEndpoint`. Raises ParameterError where no row has a block.
    """
    kept = Path(path).with_name(Path(path).name + ".answers")
    with Results(path, must_exist=True) as results:
        rows = [row for row in results.asked(dataset) if "block" in row.extra]
        if not rows:
            raise ParameterError(
                f"{path} has no context blocks of {dataset} to read. Run `mnemic bench {dataset} --llm {model}` again: it "
                "keeps them."
            )
        reader = open_reader(model, base_url, api_key, kept, seed=seed, **settings)
        judges: list[Judge] = []
        if judge is not None:
            judges += [
                open_judge(judge, base_url, api_key, kept, strictness=one, seeds=judge_seeds, **settings)
                for one in JUDGED
            ]
        try:
            return _read(results, dataset, rows, reader, judges, seed, show_progress=show_progress)
        finally:
            reader.close()
            for one in judges:
                one.close()


def _read(
    results: Results,
    dataset: str,
    rows: Sequence[Asked],
    reader: Reader,
    judges: Sequence[Judge],
    seed: int,
    *,
    show_progress: bool,
) -> Read:
    answers = [
        (row, reader.answer(row.text, str(row.extra["block"]), asked_at=_day(row)))
        for row in track(rows, f"{reader.model} answers", len(rows), show=show_progress)
    ]
    faults: dict[str, Counter[str]] = {row.system: Counter() for row in rows}
    unjudged, scored = 0, list[Asked]()
    for row, answer in track(answers, "Judging", len(answers), show=show_progress and bool(judges)):
        verdicts = _verdicts(row, answer, judges)
        unjudged += any(verdict.score is None for verdict in verdicts.values())
        scores, cause = _scored(row, answer, verdicts)
        faults[row.system].update([cause] if cause else [])
        read = {**_mapping(row.extra.get("read")), reader.model: _said(answer, verdicts, cause)}
        scored.append(replace(row, scores=scores, extra={**row.extra, "read": read}))
    quality = tuple(measure_judge(judge, _graded(answers, seed)) for judge in judges)
    run = _run(results, dataset, rows, reader, judges, quality, faults)
    results.begin(run)
    results.update([replace(row, run=run.id) for row in scored])
    failures = [answer.failure for _, answer in answers if answer.failure is not None]
    _warn(results, dataset, reader.model, failures, unjudged, len(answers))
    return Read(
        model=reader.model,
        answered=len(answers) - len(failures),
        failed=len(failures),
        unjudged=unjudged,
        faults={system: dict(counts) for system, counts in faults.items()},
        quality=quality,
    )


def _is_absent(row: Asked) -> bool:
    return row.task == "absent" or not _answers(row)


def _answers(row: Asked) -> tuple[str, ...]:
    found = row.extra.get("answers", ())
    return tuple(map(str, found)) if isinstance(found, list | tuple) else ()


def _day(row: Asked) -> str | None:
    asked_at = row.extra.get("asked_at")
    return str(asked_at)[:10] if asked_at else None


def _verdicts(row: Asked, answer: Answer, judges: Sequence[Judge]) -> dict[Strictness, Verdict]:
    if answer.failure is not None or _is_absent(row):
        return {}
    return {judge.strictness: judge.judge(row.text, _answers(row), answer.text) for judge in judges}


def _scored(row: Asked, answer: Answer, verdicts: Mapping[Strictness, Verdict]) -> tuple[dict[str, float], str | None]:
    """(all scores of the row, those of an earlier reading gone; whose fault it is where the answer is wrong)."""
    scores = {name: value for name, value in row.scores.items() if not name.startswith(("answer_", "judged"))}
    scores |= answer_scores(answer, _answers(row), is_absent=_is_absent(row))
    if answer.failure is None and row.dataset.split("/")[0] == "locomo" and row.category in get_args(LocomoCategory):
        category: LocomoCategory = row.category  # type: ignore[assignment]
        right = _answers(row) or ("",)
        scores["answer_locomo_f1"] = max(locomo_f1(answer.text, one, category) for one in right)
    scores |= {JUDGED[name]: verdict.score for name, verdict in verdicts.items() if verdict.score is not None}
    if answer.failure is not None or _is_absent(row):
        return scores, None
    is_right = scores.get("judged", scores["answer_f1"]) > _RIGHT or scores["answer_em"] == 1.0
    found = {turn for hit in row.found for turn in hit.turns}
    return scores, None if is_right else fault(row.evidence, found | set(row.context_turns), row.context_turns)


def _said(answer: Answer, verdicts: Mapping[Strictness, Verdict], cause: str | None) -> dict[str, object]:
    if answer.failure is not None:
        return {"failure": answer.failure}
    judged = {name: list(verdict.said) for name, verdict in verdicts.items()}
    told: dict[str, object] = {"answer": answer.text, "tokens_in": answer.tokens_in, "tokens_out": answer.tokens_out}
    return told | ({"judge": judged} if judged else {}) | ({"fault": cause} if cause else {})


def _graded(answers: Sequence[tuple[Asked, Answer]], seed: int) -> list[Graded]:
    """At most 40 questions with what a system's reader said, drawn once for all systems."""
    by_question = {
        (row.sample, row.question): Graded(
            question=row.text, answers=_answers(row), category=row.category, given=answer.text
        )
        for row, answer in answers
        if answer.failure is None and not _is_absent(row)
    }
    names = sorted(by_question)
    return [by_question[name] for name in sorted(random.Random(seed).sample(names, min(_MEASURED, len(names))))]


def _run(
    results: Results,
    dataset: str,
    rows: Sequence[Asked],
    reader: Reader,
    judges: Sequence[Judge],
    quality: Sequence[JudgeQuality],
    faults: Mapping[str, Mapping[str, int]],
) -> Run:
    """A run of its own, with the settings of the one whose blocks it reads, and with what reader and judge were told."""
    before = next((run.settings for run in reversed(results.runs()) if run.id == rows[-1].run), {})
    told: dict[str, object] = {
        **before,
        "reader": {"model": reader.model, "seed": reader.seed, "prompt": READER_PROMPT},
    }
    told.pop("judge", None)
    if judges:
        told["judge"] = {"model": judges[0].chat.model, "seeds": list(judges[0].seeds)} | {
            f"{judge.strictness} {name}": value
            for judge, one in zip(judges, quality, strict=True)
            for name, value in {"prompt": judge.prompt, **_trust(one)}.items()
        }
    return Run(
        id=new_id(),
        dataset=dataset,
        began_at=datetime.now(UTC).isoformat(timespec="seconds"),
        version=__version__,
        settings=told,
    )


def _trust(quality: JudgeQuality) -> dict[str, str]:
    rates = {
        "accepts the right answer": quality.accepts_right,
        "accepts another question's answer": quality.accepts_swapped,
        "accepts a vague answer": quality.accepts_vague,
        "agrees with exact match": quality.agrees_with_exact_match,
        "changes its mind": quality.changes_its_mind,
        "gives no verdict": Rate(quality.failures, quality.failures + quality.changes_its_mind.n),
    }
    return {name: f"{rate.hits} of {rate.n}" for name, rate in rates.items()}


def _warn(results: Results, dataset: str, model: str, failures: Sequence[str], unjudged: int, n: int) -> None:
    results.warn(
        dataset,
        f"reader {model}",
        f"{model} gave no answer to {len(failures):,} of {n:,} questions ({failures[0]}); they are in no answer score. Run "
        "it again: what was answered is not asked twice."
        if failures
        else None,
    )
    results.warn(
        dataset,
        f"judge of {model}",
        f"The judge gave no verdict on {unjudged:,} answers; they are in no judged accuracy." if unjudged else None,
    )


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
