"""Fit the default system's weights to questions whose evidence is known, and say what each signal is worth.

    python tools/fit_weights.py locomo --data PATH
    python tools/fit_weights.py beam/100k longmemeval/s-samples --data PATH --parts 2

A question's signals come from `Hybrid.measure`, so what is fitted is what runs. The loss is the cross entropy of the
evidence under a softmax over the episodes of the log (a listwise ranking loss), with an L2 penalty; weights are not
negative, since a signal is a reason for an episode and never against it. Each dataset counts the same, whatever its
number of questions. Figures are cross-validated: samples are dealt into parts, and each part is ranked with weights
fitted on the others. What is printed last, fitted on all, is what `Params` ships, rounded.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from mnemic.bench.dataset import Question
from mnemic.bench.download import data_folder
from mnemic.bench.registry import variant
from mnemic.bench.trial import Log, open_log
from mnemic.model import Cue
from mnemic.models.embedder import Embedder
from mnemic.models.resolve import open_embedder
from mnemic.progress import track
from mnemic.systems.hybrid import Hybrid
from mnemic.systems.hybrid import read as read_texts

K = 10
L2 = 3e-3
NEGATIVES = 100  # episodes of a question that are no evidence and are learned from: the likeliest, and some at random
NOT_FITTED = ("time", "newest", "association", "recency", "strength")  # rare in these questions, so set by hand


@dataclass(frozen=True)
class Case:
    """One question: all signals of all rows, and which rows are evidence."""

    dataset: str
    sample: str
    category: str
    signals: np.ndarray  # [n_rows, n_signals]
    is_evidence: np.ndarray  # [n_rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("datasets", nargs="+", help="such as locomo or beam/100k")
    parser.add_argument("--data", type=Path, help="the folder of the datasets")
    parser.add_argument("--parts", type=int, default=5, help="of the cross-validation")
    parser.add_argument("--work", type=Path, help="keep the logs here, for another run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work, embedder = options.work or Path(folder), open_embedder("minilm")
        cases = [one for name in options.datasets for one in read(name, options.data, work, embedder)]
    report(cases, options.parts)


def read(name: str, data: Path | None, work: Path, embedder: Embedder) -> list[Case]:
    """The questions of a dataset with evidence, measured."""
    dataset, chosen = variant(name)
    folder = data_folder(data)
    cases: list[Case] = []
    for sample in track(dataset.load(folder, chosen.id), f"Measuring {name}", chosen.samples):
        with open_log(work / name / f"{len(cases)}.db", sample, embedder) as log:
            for question in sample.questions:
                if question.task == "recall" and question.key.evidence and question.category not in dataset.apart:
                    cases.append(measured(log, question, name))
    return cases


def measured(log: Log, question: Question, dataset: str) -> Case:
    """A question's signals in its log."""
    shared, scope = log.memory._shared, log.memory.scope_path
    view = shared.view_of(scope, "hybrid")
    asked_at: datetime = question.asked_at or log.after
    cue = Cue(text=question.text, scope=scope, asked_at=asked_at)
    found = Hybrid().measure(cue, view)
    signals = {**found.signals, **read_texts(cue, found.rows, view.episodes(found.rows))}
    names = signal_names()
    wanted = np.array([log.place_of[turn] for turn in question.key.evidence if turn in log.place_of])
    return Case(
        dataset,
        f"{dataset}/{log.sample.id}",
        question.category,
        np.stack([signals.get(name, np.zeros(len(found.rows), np.float32)) for name in names], 1),
        np.isin(found.rows, wanted),
    )


def signal_names() -> list[str]:
    """The signals in the order of their weights."""
    return list(Hybrid().params.weights())


def report(cases: Sequence[Case], parts: int) -> None:
    """Print cross-validated recall, what leaving out each signal costs, and the weights fitted on all."""
    names = signal_names()
    fitted = [
        name for name in names if name not in NOT_FITTED and any(c.signals[:, names.index(name)].any() for c in cases)
    ]
    samples = list(dict.fromkeys(case.sample for case in cases))
    part_of = {sample: place % parts for place, sample in enumerate(samples)}
    print(f"{len(cases)} questions of {len(samples)} samples; signals: {', '.join(fitted)}")
    full = cross_validated(cases, part_of, names, fitted)
    print_recall("all signals", cases, full)
    for left_out in fitted:
        print_recall(
            f"  without {left_out}",
            cases,
            cross_validated(cases, part_of, names, [one for one in fitted if one != left_out]),
        )
    weights = fit(cases, names, fitted)
    print("weights, summing to 1: " + ", ".join(f"{name}={weights[names.index(name)]:.3f}" for name in fitted))


def cross_validated(cases: Sequence[Case], part_of: dict[str, int], names: list[str], fitted: list[str]) -> np.ndarray:
    """[n_cases] recall@K of each question, ranked with weights that were fitted without its sample's part."""
    recall = np.zeros(len(cases))
    for part in sorted(set(part_of.values())):
        weights = fit([case for case in cases if part_of[case.sample] != part], names, fitted)
        for place, case in enumerate(cases):
            if part_of[case.sample] == part:
                recall[place] = recall_at(case, weights)
    return recall


def recall_at(case: Case, weights: np.ndarray) -> float:
    """The share of the evidence among the first K."""
    first = np.argsort(-(case.signals @ weights), kind="stable")[:K]
    return float(case.is_evidence[first].sum() / max(case.is_evidence.sum(), 1))


def fit(cases: Sequence[Case], names: list[str], fitted: list[str], steps: int = 400) -> np.ndarray:
    """[n_signals] non-negative weights that sum to 1, by Adam on the listwise loss."""
    columns = [names.index(name) for name in fitted]
    generator = np.random.default_rng(7)
    chosen = [case for case in cases if case.is_evidence.any()]
    width = NEGATIVES + max(int(case.is_evidence.sum()) for case in chosen)
    values = np.zeros((len(chosen), width, len(columns)), np.float32)
    there = np.zeros((len(chosen), width), bool)
    target = np.zeros((len(chosen), width), np.float32)
    for place, case in enumerate(chosen):
        likely = np.argsort(-case.signals[:, columns].mean(1))[: NEGATIVES * 2 // 3]
        others = generator.choice(len(case.is_evidence), min(NEGATIVES // 3, len(case.is_evidence)), replace=False)
        rows = np.unique(np.concatenate([likely, others, np.flatnonzero(case.is_evidence)]))[:width]
        values[place, : len(rows)] = case.signals[rows][:, columns]
        there[place, : len(rows)] = True
        target[place, : len(rows)] = case.is_evidence[rows] / case.is_evidence[rows].sum()
    scale = values[there].std(0) + 1e-6
    values /= scale
    counts = {name: sum(case.dataset == name for case in chosen) for name in {case.dataset for case in chosen}}
    share = np.array([1.0 / counts[case.dataset] / len(counts) for case in chosen], np.float32)
    weights, mean, square = np.full(len(columns), 0.1), np.zeros(len(columns)), np.zeros(len(columns))
    for step in range(1, steps + 1):
        scores = np.where(there, values @ weights.astype(np.float32), -1e9)
        likelihood = np.exp(scores - scores.max(1, keepdims=True))
        likelihood /= likelihood.sum(1, keepdims=True)
        gradient = np.einsum("qn,qnf->f", (likelihood - target) * share[:, None], values) + 2 * L2 * weights
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        weights -= 0.03 * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-9)
        weights = np.maximum(weights, 0.0)
    result = np.zeros(len(names))
    result[columns] = weights / scale
    total: float = result.sum()
    return np.divide(result, total)


def print_recall(title: str, cases: Sequence[Case], recall: np.ndarray) -> None:
    """Means by dataset and category."""
    print(f"{title}: recall@{K}")
    for dataset in dict.fromkeys(case.dataset for case in cases):
        of = np.array([case.dataset == dataset for case in cases])
        kinds = sorted({case.category for case in cases if case.dataset == dataset})
        cells = [
            f"{kind} {recall[of & np.array([case.category == kind for case in cases])].mean():.3f}" for kind in kinds
        ]
        print(f"  {dataset:22} {recall[of].mean():.3f}   {'  '.join(cells)}")


if __name__ == "__main__":
    main()
