"""Fit the coefficients of `mnemic.ops.confidence`, and say how well it tells what is stored from what is not.

    python tools/fit_confidence.py [--data ../shared/data] [--embedder minilm] [--logs FOLDER]

Questions with an answer are those of LoCoMo, BEAM and LongMemEval. Questions without one are the files' own (LoCoMo's
adversarial ones, abstention), and every answerable question asked of another conversation, where the names of its
speakers are replaced by those of the speakers there. Half of the weight is with an answer; in each half a dataset counts
by the root of its number of answerable questions, and each kind without an answer as much as the dataset's others.
Figures are cross-validated: what is said of a conversation comes from coefficients that saw none of its turns or
questions. A third kind is only reported, never fitted: answerable questions of LoCoMo with one speaker's name in place of
the other's. Fit again when the weights of `hybrid` change: they decide which hits are the best.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnemic import Memory
from mnemic.bench import registry
from mnemic.bench.dataset import Question, Sample
from mnemic.model import DOUBTFUL
from mnemic.models.embedder import Embedder
from mnemic.ops.confidence import Evidence, evidence

VARIANTS = ("locomo/five", "longmemeval/s-samples", "longmemeval/oracle-sample", "beam/100k", "beam/500k", "beam/1m")
NAMES = [one.name for one in fields(Evidence)]
RIDGE = 1.0  # on standardised evidence, against a total weight of 1,000
BINS = 10
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Case:
    """One question asked of one conversation."""

    dataset: str
    kind: str  # answerable, adversarial or abstention, elsewhere, swapped
    conversation: str  # of which it was asked
    source: str  # from which it comes
    found: Evidence
    by_words: Evidence


def main() -> None:
    """Ask, fit, report."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = os.environ.get("MNEMIC_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data")
    arguments.add_argument("--data", type=Path, default=data)
    arguments.add_argument("--embedder", default="minilm")
    arguments.add_argument("--logs", type=Path, help="where the memories are kept between runs")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report(list(cases(given.data, given.logs or Path(folder), given.embedder)))


def report(asked: Sequence[Case]) -> None:
    """Print the coefficients, with and without meaning, and their cross-validated figures."""
    for title, found in (("with this embedder", "found"), ("words alone", "by_words")):
        values = np.array([astuple(getattr(one, found)) for one in asked], np.float64)
        is_stored, weights = stored_and_weights(asked)
        print(f"\n== {title}\n")
        print("Fit(" + ", ".join(f"{name}={one:.2f}" for name, one in fit(values, is_stored, weights).items()) + ")")
        tell(asked, held_out(asked, values, is_stored, weights))
        transfer(asked, values, is_stored, weights)


# -- asking ---------------------------------------------------------------------------------------------------


def cases(data: Path, logs: Path, embedder: str | Embedder) -> Iterator[Case]:
    """Every question, asked of its own conversation and of the next one of its dataset."""
    for name in VARIANTS:
        dataset, chosen = registry.variant(name)
        samples = list(dataset.load(data, chosen.id))
        with Memory.open(logs / f"{dataset.id}-{chosen.id}.db", embedder=embedder, durability="normal") as memory:
            for place, sample in enumerate(samples):
                remember(memory, sample)
                elsewhere = samples[(place + 1) % len(samples)]
                remember(memory, elsewhere)
                yield from asked_of(memory, dataset.id, chosen.id, sample, elsewhere)


def remember(memory: Memory, sample: Sample) -> None:
    """The turns of a sample, in a scope of its own."""
    scope = memory.scope(sample.id)
    if not scope.stats()["episodes"]:
        said = (one for one in sample.turns if one.text.strip())
        scope.add(
            [
                {
                    "role": one.role,
                    "content": one.text,
                    **{
                        key: value
                        for key, value in (
                            ("name", one.actor),
                            ("session", one.session),
                            ("timestamp", one.occurred_at),
                        )
                        if value
                    },
                }
                for one in said
            ]
        )


def asked_of(memory: Memory, dataset: str, variant: str, sample: Sample, elsewhere: Sample) -> Iterator[Case]:
    """A sample's questions, asked of it and of another; both are remembered already."""
    own, other = (f"{dataset}/{variant}/{one.id}" for one in (sample, elsewhere))
    mine, theirs = speakers(sample), speakers(elsewhere)
    for question in sample.questions:
        is_absent = question.task == "absent"
        kind = question.category if is_absent else "answerable"
        if is_absent and dataset == "locomo":
            kind = "adversarial"
        yield Case(dataset, kind, own, own, *ask(memory, sample, question, question.text))
        if is_absent:
            continue
        if other != own:
            text = renamed(question.text, dict(zip(mine, theirs, strict=False)))
            yield Case(dataset, "elsewhere", other, own, *ask(memory, elsewhere, question, text))
        if len(mine) == 2 and sum(one in question.text for one in mine) == 1:
            text = renamed(question.text, dict(zip(mine, mine[::-1], strict=True)))
            yield Case(dataset, "swapped", own, own, *ask(memory, sample, question, text))


def ask(memory: Memory, sample: Sample, question: Question, text: str) -> tuple[Evidence, Evidence]:
    """The evidence of what the default system recalls, and that of its words alone."""
    last = max(one.occurred_at for one in sample.turns if one.occurred_at)
    scope = memory.scope(sample.id)
    recall = scope.search(text, asked_at=question.asked_at or last + timedelta(minutes=1))
    view = memory._shared.view_of(scope.scope_path, "hybrid")
    seen = recall.cue, recall.hits, view.index, view.visible(recall.cue)
    return evidence(*seen), evidence(*seen, with_meaning=False)


def speakers(sample: Sample) -> list[str]:
    """The names of those who speak, in the order in which they begin."""
    return list(dict.fromkeys(one.actor for one in sample.turns if one.actor))


def renamed(text: str, names: dict[str, str]) -> str:
    """The text with each name replaced by another."""
    if not names:
        return text
    pattern = re.compile(r"\b(?:" + "|".join(map(re.escape, names)) + r")\b")
    return pattern.sub(lambda match: names[match[0]], text)


# -- fitting --------------------------------------------------------------------------------------------------


def stored_and_weights(asked: Sequence[Case]) -> tuple[NDArray[np.bool_], Values]:
    """([n] whether it has an answer, [n] weights, 500 for either side; 0 for what is only reported)."""
    groups = [(one.dataset, one.kind) for one in asked]
    counts = Counter(group for group in groups if group[1] != "swapped")
    kinds = Counter(dataset for dataset, kind in counts if kind != "answerable")  # without an answer, in each dataset
    by_group = {
        # by the root: a dataset of a handful of questions must not weigh as much as one of hundreds
        (dataset, kind): counts[dataset, "answerable"] ** 0.5 / n / (1 if kind == "answerable" else kinds[dataset])
        for (dataset, kind), n in counts.items()
    }
    weights = np.array([by_group.get(group, 0.0) for group in groups])
    is_stored = np.array([kind == "answerable" for _, kind in groups])
    for side in (is_stored, ~is_stored):
        weights[side] *= 500.0 / weights[side].sum()
    return is_stored, weights


def fit(values: Values, is_stored: NDArray[np.bool_], weights: Values) -> dict[str, float]:
    """The coefficients, by name, by Newton's method with a ridge on standardised values."""
    mean = np.average(values, axis=0, weights=weights)
    spread = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=weights))
    scale = np.where(spread > 0.0, spread, 1.0)  # what is always the same has coefficient 0
    design = np.column_stack([np.ones(len(values)), (values - mean) / scale])
    ridge = np.diag([0.0, *[RIDGE] * values.shape[1]])
    found = np.zeros(design.shape[1])
    for _ in range(30):
        chance = _logistic(design @ found)
        slope = design.T @ (weights * (is_stored - chance)) - ridge @ found
        curve = (design.T * (weights * chance * (1.0 - chance))) @ design + ridge
        found += np.linalg.solve(curve, slope)
    coefficients = found[1:] / scale
    constant = float(found[0] - coefficients @ mean)
    return {"constant": constant, **dict(zip(NAMES, coefficients.tolist(), strict=True))}


def held_out(asked: Sequence[Case], values: Values, is_stored: NDArray[np.bool_], weights: Values) -> Values:
    """[n] each question's probability from coefficients that saw neither its conversation nor that it comes from."""
    conversations, sources = (np.array([getattr(one, name) for one in asked]) for name in ("conversation", "source"))
    chance = np.zeros(len(asked))
    for conversation, source in sorted({(one.conversation, one.source) for one in asked}):
        apart = [conversation, source]
        seen = (weights > 0.0) & ~np.isin(conversations, apart) & ~np.isin(sources, apart)
        here = (conversations == conversation) & (sources == source)
        chance[here] = applied(fit(values[seen], is_stored[seen], weights[seen]), values[here])
    return chance


def applied(named: dict[str, float], values: Values) -> Values:
    """[n] the probabilities that coefficients give."""
    return _logistic(named["constant"] + values @ np.array([named[name] for name in NAMES]))


def _logistic(total: Values) -> Values:
    chance: Values = 1.0 / (1.0 + np.exp(-total))
    return chance


# -- telling --------------------------------------------------------------------------------------------------


def tell(asked: Sequence[Case], chance: Values) -> None:
    """Print the area under the curve for each kind, the reliability, and what the threshold does."""
    print(f"\n{'against':<28}{'n':>6}{'AUROC':>8}{f'below {DOUBTFUL}':>11}{'mean':>7}")
    for dataset in dict.fromkeys(one.dataset for one in asked):
        stored = chance[[one.dataset == dataset and one.kind == "answerable" for one in asked]]
        kinds = dict.fromkeys(one.kind for one in asked if one.dataset == dataset)
        for kind in sorted(kinds):
            here = chance[[one.dataset == dataset and one.kind == kind for one in asked]]
            area = "" if kind == "answerable" else f"{auroc(stored, here):.3f}"
            doubted = f"{(here < DOUBTFUL).mean():.1%}"
            print(f"{dataset + ' ' + kind:<28}{len(here):>6}{area:>8}{doubted:>11}{here.mean():>7.2f}")
    is_stored, weights = stored_and_weights(asked)
    fitted = weights > 0.0
    print(f"{'all without an answer':<28}{(fitted & ~is_stored).sum():>6}", end="")
    print(f"{auroc(chance[is_stored], chance[fitted & ~is_stored]):>8.3f}")
    rows, error = reliability(chance, is_stored, weights)
    print(f"\ncalibration (half of the weight is with an answer): expected error {error:.3f}")
    for low, share, mean, stored_share in rows:
        print(f"  {low:.1f}-{low + 1 / BINS:.1f}  weight {share:6.1%}  said {mean:.2f}  was stored {stored_share:.2f}")


def transfer(asked: Sequence[Case], values: Values, is_stored: NDArray[np.bool_], weights: Values) -> None:
    """Print what coefficients from all other datasets make of one."""
    print("\nfrom the other datasets alone")
    datasets = np.array([one.dataset for one in asked])
    kinds = np.array([one.kind for one in asked])
    for dataset in np.unique(datasets):
        seen, here = (weights > 0.0) & (datasets != dataset), datasets == dataset
        chance = applied(fit(values[seen], is_stored[seen], weights[seen]), values[here])
        for kind in np.unique(kinds[here & ~is_stored]):
            area = auroc(chance[is_stored[here]], chance[kinds[here] == kind])
            print(f"  {dataset + ' ' + kind:<26}{(kinds[here] == kind).sum():>6}{area:>8.3f}")


def auroc(stored: Values, absent: Values) -> float:
    """The chance that one that is stored has more than one that is not; ties count half."""
    together = np.concatenate([stored, absent])
    _, inverse, counts = np.unique(together, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = ((2 * last - counts + 1) / 2)[inverse]
    n, m = len(stored), len(absent)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m)) if n and m else float("nan")


def reliability(
    chance: Values, is_stored: NDArray[np.bool_], weights: Values
) -> tuple[list[tuple[float, float, float, float]], float]:
    """((where a bin begins, its share of the weight, the mean said, the share stored) of each bin, expected error)."""
    rows, error, total = [], 0.0, weights.sum()
    places = np.minimum((chance * BINS).astype(int), BINS - 1)
    for place in range(BINS):
        here = (places == place) & (weights > 0.0)
        if (share := weights[here].sum()) > 0.0:
            mean, stored = (
                np.average(chance[here], weights=weights[here]),
                np.average(is_stored[here], weights=weights[here]),
            )
            rows.append((place / BINS, float(share / total), float(mean), float(stored)))
            error += float(share / total * abs(mean - stored))
    return rows, error


if __name__ == "__main__":
    main()
