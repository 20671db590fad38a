"""Fit the coefficients of `mnemic.ops.confidence`, and say how well it tells what is stored from what is not.

    python tools/fit_confidence.py [--data ../shared/data] [--embedder minilm] [--logs FOLDER] [--questions 60]

Questions with an answer are those of LoCoMo, BEAM and LongMemEval. Questions without one are the files' own (LoCoMo's
adversarial ones, abstention), and every answerable question asked of another conversation, where the names of its
speakers are replaced by those of the speakers there. Half of the weight is with an answer; in each half a dataset counts
by the root of its number of answerable questions, and each kind without an answer as much as the dataset's others.

Those coefficients are for a long log (`many`). Those for a handful of episodes (`few`) are fitted after them, to parts of 1
to 200 turns of the same conversations (`tools/scope_parts.py`), each size weighing the same. Among so few, that a word
stands nowhere tells nothing, so it is left out there.

Figures are cross-validated: what is said of a conversation comes from coefficients that saw none of its turns or
questions. A kind is only reported, never fitted: answerable questions of LoCoMo with one speaker's name in place of the
other's. Fit again when the weights of `hybrid` change: they decide which hits are the best.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnemic import Memory
from mnemic.bench import registry
from mnemic.bench.dataset import Question, Sample, Turn
from mnemic.model import DOUBTFUL
from mnemic.models.embedder import Embedder
from mnemic.models.resolve import open_embedder
from mnemic.ops.confidence import FITS, Evidence, evidence
from scope_parts import SIZES, parts_of

VARIANTS = ("locomo/five", "longmemeval/s-samples", "longmemeval/oracle-sample", "beam/100k", "beam/500k", "beam/1m")
NAMES = ("meaning", "told", "unknown", "about")
SEED = 7
RIDGE = 1.0  # on standardised evidence, against a total weight of 1,000
BINS = 10
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Case:
    """One question asked of one conversation."""

    dataset: str
    kind: str  # answerable, adversarial or abstention, elsewhere, swapped, left out
    conversation: str  # of which it was asked
    source: str  # from which it comes
    found: Evidence
    by_words: Evidence
    size: int = 0  # turns of the part that was asked; 0 for all of the conversation


def main() -> None:
    """Ask, fit, report."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = os.environ.get("MNEMIC_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data")
    arguments.add_argument("--data", type=Path, default=data)
    arguments.add_argument("--embedder", default="minilm")
    arguments.add_argument("--logs", type=Path, help="where the memories of whole conversations are kept between runs")
    arguments.add_argument("--questions", type=int, default=60, help="of a conversation at most, asked of parts of it")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        logs = given.logs or Path(folder)
        logs.mkdir(exist_ok=True)
        whole = list(cases(given.data, logs, given.embedder))
        parts = list(cases_of_parts(given.data, Path(folder), given.embedder, given.questions))
        known = FITS.get(open_embedder(given.embedder).id)
        report(whole, parts, known.floor if known else -math.inf)


def report(whole: Sequence[Case], parts: Sequence[Case], floor: float) -> None:
    """Print the coefficients, with and without meaning, and their cross-validated figures."""
    asked = [*whole, *parts]
    for title, is_by_words in (("with this embedder", False), ("words alone", True)):
        table = tabled(asked, is_by_words=is_by_words)
        print(f"\n== {title}\n")
        for name, found in zip(("few", "many"), fits(table), strict=True):
            named = zip(("constant", *NAMES), found.tolist(), strict=True)
            print(f"{name}=Fit(" + ", ".join(f"{part}={one:.2f}" for part, one in named) + ")")
        chance = held_out(asked, table, -math.inf if is_by_words else floor)
        tell(whole, chance[: len(whole)])
        tell_parts(parts, chance[len(whole) :])
        transfer(whole, tabled(whole, is_by_words=is_by_words))


# -- asking ---------------------------------------------------------------------------------------------------


def cases(data: Path, logs: Path, embedder: str | Embedder) -> Iterator[Case]:
    """Every question, asked of its own conversation and of the next one of its dataset."""
    for name in VARIANTS:
        dataset, chosen = registry.variant(name)
        samples = list(dataset.load(data, chosen.id))
        with Memory.open(logs / f"{dataset.id}-{chosen.id}.db", embedder=embedder, durability="normal") as memory:
            for place, sample in enumerate(samples):
                remember(memory, sample.id, sample.turns)
                elsewhere = samples[(place + 1) % len(samples)]
                remember(memory, elsewhere.id, elsewhere.turns)
                yield from asked_of(memory, dataset.id, chosen.id, sample, elsewhere)


def cases_of_parts(data: Path, folder: Path, embedder: str | Embedder, questions: int) -> Iterator[Case]:
    """Some questions of each conversation, asked of small parts of it and of the next one of its dataset."""
    chance = random.Random(SEED)
    for name in VARIANTS:
        dataset, chosen = registry.variant(name)
        samples = list(dataset.load(data, chosen.id))
        path = folder / f"parts-{dataset.id}-{chosen.id}.db"
        with Memory.open(path, embedder=embedder, durability="normal") as memory:
            for place, sample in enumerate(samples):
                elsewhere = samples[(place + 1) % len(samples)]
                asked = [one for one in sample.questions if one.task != "absent" and one.key.evidence]
                for question in chance.sample(asked, min(questions, len(asked))):
                    yield from asked_of_parts(memory, name, sample, elsewhere, question, chance)


def asked_of_parts(
    memory: Memory, variant: str, sample: Sample, elsewhere: Sample, question: Question, chance: random.Random
) -> Iterator[Case]:
    """One question, asked of parts of its own conversation and of another."""
    names = dict(zip(speakers(sample), speakers(elsewhere), strict=False))
    for part in parts_of(question, sample, elsewhere, chance):
        is_other = part.kind == "elsewhere"
        scope = f"{question.id}-{part.kind}-{part.size}".replace("/", "-")
        remember(memory, scope, part.turns)
        text = renamed(part.text, names) if is_other else part.text
        found = ask(memory, scope, text, when_asked(question, elsewhere if is_other else sample))
        own, other = (f"{variant}/{one.id}" for one in (sample, elsewhere))
        dataset = variant.partition("/")[0]
        yield Case(dataset, part.kind, other if is_other else own, own, *found, size=part.size)


def remember(memory: Memory, name: str, turns: Sequence[Turn]) -> None:
    """The turns, in a scope of their own."""
    scope = memory.scope(name)
    if not scope.stats()["episodes"]:
        said = (one for one in turns if one.text.strip())
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
        yield Case(dataset, kind, own, own, *ask(memory, sample.id, question.text, when_asked(question, sample)))
        if is_absent:
            continue
        if other != own:
            text = renamed(question.text, dict(zip(mine, theirs, strict=False)))
            yield Case(
                dataset, "elsewhere", other, own, *ask(memory, elsewhere.id, text, when_asked(question, elsewhere))
            )
        if len(mine) == 2 and sum(one in question.text for one in mine) == 1:
            text = renamed(question.text, dict(zip(mine, mine[::-1], strict=True)))
            yield Case(dataset, "swapped", own, own, *ask(memory, sample.id, text, when_asked(question, sample)))


def ask(memory: Memory, name: str, text: str, asked_at: datetime) -> tuple[Evidence, Evidence]:
    """The evidence of what the default system recalls, and that of its words alone."""
    scope = memory.scope(name)
    recall = scope.search(text, asked_at=asked_at)
    view = memory._shared.view_of(scope.scope_path, "hybrid")
    seen = recall.cue, recall.hits, view.index, view.visible(recall.cue)
    return evidence(*seen), evidence(*seen, with_meaning=False)


def when_asked(question: Question, sample: Sample) -> datetime:
    """The question's own time, or just after the last turn of the sample."""
    last = max(one.occurred_at for one in sample.turns if one.occurred_at)
    return question.asked_at or last + timedelta(minutes=1)


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


@dataclass(frozen=True, slots=True)
class Table:
    """The evidence of all cases as numbers."""

    best: Values  # [n, 5] 1, then in the order of NAMES, the best hit for its meaning
    mean: Values  # [n, 5] the same, all of the hits for their meaning
    breadth: Values
    is_stored: NDArray[np.bool_]
    is_part: NDArray[np.bool_]
    weights: Values

    def __getitem__(self, chosen: NDArray[np.bool_]) -> Table:
        return Table(*(getattr(self, name)[chosen] for name in Table.__slots__))


def tabled(asked: Sequence[Case], *, is_by_words: bool) -> Table:
    """The cases as numbers."""
    found = [one.by_words if is_by_words else one.found for one in asked]
    best = np.array([(1.0, one.best, one.told, one.unknown, one.about) for one in found])
    mean = np.array([(1.0, one.meaning, one.told, one.unknown, one.about) for one in found])
    is_stored, weights = stored_and_weights(asked)
    is_part = np.array([one.size > 0 for one in asked])
    return Table(best, mean, np.array([one.breadth for one in found]), is_stored, is_part, weights)


def stored_and_weights(asked: Sequence[Case]) -> tuple[NDArray[np.bool_], Values]:
    """([n] whether it has an answer, [n] weights, 500 for either side of each size; 0 for what is only reported)."""
    groups = [(one.size, one.dataset, one.kind) for one in asked]
    counts = Counter(group for group in groups if group[2] != "swapped")
    kinds = Counter(group[:2] for group in counts if group[2] != "answerable")  # without an answer, in each dataset
    by_group = {
        # by the root: a dataset of a handful of questions must not weigh as much as one of hundreds
        (size, dataset, kind): counts[size, dataset, "answerable"] ** 0.5
        / n
        / (1 if kind == "answerable" else kinds[size, dataset])
        for (size, dataset, kind), n in counts.items()
    }
    weights = np.array([by_group.get(group, 0.0) for group in groups])
    is_stored = np.array([kind == "answerable" for _, _, kind in groups])
    sizes = np.array([size for size, _, _ in groups])
    for size in np.unique(sizes):
        for side in (is_stored & (sizes == size), ~is_stored & (sizes == size)):
            weights[side] *= 500.0 / weights[side].sum()
    return is_stored, weights


def fits(table: Table) -> tuple[Values, Values]:
    """The coefficients of a handful of episodes and those of a long log: the constant, then in the order of NAMES."""
    whole, parts = table[~table.is_part & (table.weights > 0.0)], table[table.is_part]
    many = logistic(whole.mean, np.zeros(len(whole.mean)), whole)
    design = parts.best * (1.0 - parts.breadth)[:, None]
    design[:, 1 + NAMES.index("unknown")] = 0.0
    return logistic(design, parts.breadth * (parts.mean @ many), parts), many


def logistic(design: Values, known: Values, table: Table) -> Values:
    """The coefficients of a design whose first column is the constant, beside a total that is known: Newton, with a ridge."""
    mean = np.average(design, axis=0, weights=table.weights)
    spread = np.sqrt(np.average((design - mean) ** 2, axis=0, weights=table.weights))
    scale = np.where(spread > 0.0, spread, 1.0)  # what is always the same has coefficient 0
    design, ridge = design / scale, np.diag([0.0, *[RIDGE] * len(NAMES)])
    found = np.zeros(design.shape[1])
    for _ in range(30):
        chance = _curve(design @ found + known)
        slope = design.T @ (table.weights * (table.is_stored - chance)) - ridge @ found
        curve = (design.T * (table.weights * chance * (1.0 - chance))) @ design + ridge
        found += np.linalg.solve(curve, slope)
    result: Values = found / scale
    return result


def held_out(asked: Sequence[Case], table: Table, floor: float = -math.inf) -> Values:
    """[n] each question's probability from coefficients that saw neither its conversation nor that it comes from."""
    conversations, sources = (np.array([getattr(one, name) for one in asked]) for name in ("conversation", "source"))
    chance = np.zeros(len(asked))
    for conversation, source in sorted({(one.conversation, one.source) for one in asked}):
        apart = [conversation, source]
        seen = ~np.isin(conversations, apart) & ~np.isin(sources, apart)
        here = (conversations == conversation) & (sources == source)
        chance[here] = applied(table[here], *fits(table[seen]), floor)
    return chance


def applied(table: Table, few: Values, many: Values, floor: float) -> Values:
    """[n] the probabilities that coefficients give."""
    of_few, of_many = np.maximum(table.best @ few, floor), table.mean @ many
    return _curve(of_few + table.breadth * (of_many - of_few))


def _curve(total: Values) -> Values:
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


def tell_parts(parts: Sequence[Case], chance: Values) -> None:
    """Print for each size what is called doubtful, and the area under the curve for each kind without an answer."""
    print(
        f"\n{'turns':>5}{'n':>6}{'answerable':>12}{'elsewhere':>11}{'left out':>10}   (doubted)    AUROC: elsewhere, left out"
    )
    sizes, kinds = (np.array([getattr(one, name) for one in parts]) for name in ("size", "kind"))
    for size in SIZES:
        groups = [chance[(sizes == size) & (kinds == kind)] for kind in ("answerable", "elsewhere", "left out")]
        doubted = [f"{(one < DOUBTFUL).mean():.1%}" for one in groups]
        areas = [f"{auroc(groups[0], one):.3f}" for one in groups[1:]]
        print(
            f"{size:>5}{len(groups[0]):>6}{doubted[0]:>12}{doubted[1]:>11}{doubted[2]:>10}{areas[0]:>26}{areas[1]:>10}"
        )


def transfer(asked: Sequence[Case], table: Table) -> None:
    """Print what coefficients of long logs from all other datasets make of one."""
    print("\nfrom the other datasets alone")
    datasets = np.array([one.dataset for one in asked])
    kinds = np.array([one.kind for one in asked])
    for dataset in np.unique(datasets):
        seen, here = table[(table.weights > 0.0) & (datasets != dataset)], table[datasets == dataset]
        chance = _curve(here.mean @ logistic(seen.mean, np.zeros(len(seen.mean)), seen))
        of_kind = kinds[datasets == dataset]
        for kind in np.unique(of_kind[~here.is_stored]):
            area = auroc(chance[here.is_stored], chance[of_kind == kind])
            print(f"  {dataset + ' ' + kind:<26}{(of_kind == kind).sum():>6}{area:>8.3f}")


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
