"""The results of one dataset as arrays: systems down, questions across; what every table and plot is computed from."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mnemic.bench.dataset import Category, Dataset, Variant
from mnemic.bench.registry import variant
from mnemic.bench.results import Asked, Ingested, Run, Text
from mnemic.bench.spec import CONTROLS
from mnemic.bench.statistics import Codes, Floats
from mnemic.errors import ParameterError

CORRECTED = "corrected:"
BOUNDS = ("none", "random", "full", "oracle")  # the controls that are no retriever but a floor or a ceiling
_BUDGET = re.compile(r"recall@(\d+)t")
_LEADING = ("recall@", "all@", "ndcg@10", "mrr", "newest", "order", "contains@", "vote@")
_HEADLINES = ("recall@10", "recall@5", "newest", "order", "contains@10", "vote@10")
_ANSWERS = ("answer_", "judged")


class Source(Protocol):
    """Where results are read from; `Results` is one, and so are several of them together."""

    def runs(self) -> list[Run]: ...
    def datasets(self) -> list[str]: ...
    def systems(self, dataset: str) -> list[str]: ...
    def asked(self, dataset: str, system: str | None = None) -> list[Asked]: ...
    def ingested(self, dataset: str, system: str | None = None) -> list[Ingested]: ...
    def warnings(self, dataset: str) -> list[str]: ...
    def text(self, dataset: str, sample: str, turn: str) -> Text | None: ...


class Together:
    """Several sources read as one. Of a system measured on a dataset in two of them, the first source counts."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources

    def runs(self) -> list[Run]:
        return list({run.id: run for source in self._sources for run in source.runs()}.values())

    def datasets(self) -> list[str]:
        return _distinct(name for source in self._sources for name in source.datasets())

    def systems(self, dataset: str) -> list[str]:
        return _distinct(name for source in self._sources for name in source.systems(dataset))

    def asked(self, dataset: str, system: str | None = None) -> list[Asked]:
        return [row for name, source in self._owners(dataset, system) for row in source.asked(dataset, name)]

    def ingested(self, dataset: str, system: str | None = None) -> list[Ingested]:
        return [row for name, source in self._owners(dataset, system) for row in source.ingested(dataset, name)]

    def warnings(self, dataset: str) -> list[str]:
        return _distinct(text for source in self._sources for text in source.warnings(dataset))

    def text(self, dataset: str, sample: str, turn: str) -> Text | None:
        found = (source.text(dataset, sample, turn) for source in self._sources)
        return next((text for text in found if text is not None), None)

    def _owners(self, dataset: str, system: str | None) -> list[tuple[str, Source]]:
        names = self.systems(dataset) if system is None else [system]
        owners = ((name, (one for one in self._sources if name in one.systems(dataset))) for name in names)
        return [(name, source) for name, holding in owners if (source := next(holding, None)) is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One dataset. Arrays are [n_systems, n_questions] unless said otherwise, NaN where there is nothing."""

    dataset: str  # with its variant
    described: Dataset | None  # as the registry knows it
    systems: tuple[str, ...]  # designs first, controls after
    questions: tuple[tuple[str, str], ...]  # sample and question id
    samples: Codes  # [n_questions]
    categories: tuple[Category, ...]  # those that were asked, each with how many were asked
    category: NDArray[np.int64]  # [n_questions], an index into `categories`
    sizes: tuple[int | None, ...]  # how many the file has, by category
    is_apart: NDArray[np.bool_]  # [n_questions]: never in a total
    is_corrected: NDArray[np.bool_]  # [n_questions]: there is another key
    scores: dict[str, Floats]
    confidence: Floats
    elapsed_ms: Floats
    context_tokens: Floats
    ingested: dict[str, tuple[Ingested, ...]]  # by system
    run_ids: frozenset[str]
    faults: Mapping[str, Mapping[str, int]]  # by system: whose fault a wrong answer was, where a model answered

    def __post_init__(self) -> None:
        assert all(one.shape == (len(self.systems), len(self.questions)) for one in self.scores.values())

    def row(self, system: str, metric: str) -> Floats:
        """[n_questions] of one system, questions apart left out as NaN."""
        return np.where(self.is_apart, np.nan, self.scores[metric][self.systems.index(system)])

    def corrected(self, system: str, metric: str) -> Floats:
        """The same by the corrected key: that of the file where it stands uncorrected."""
        own = self.row(system, metric)
        other = self.row(system, CORRECTED + metric) if CORRECTED + metric in self.scores else np.full_like(own, np.nan)
        return np.where(self.is_corrected | ~np.isnan(other), other, own)

    def asked(self, metric: str) -> int:
        """How many questions that count in the total have the metric, whatever the system."""
        return int(np.sum(~np.isnan(self.scores[metric]).all(0) & ~self.is_apart)) if metric in self.scores else 0

    @property
    def designs(self) -> tuple[str, ...]:
        """The systems that are not controls."""
        return tuple(name for name in self.systems if name not in CONTROLS)

    @property
    def first(self) -> str:
        """The system that the report looks at most closely."""
        return next(iter(self.designs or self.systems))

    @property
    def retrieval_metrics(self) -> list[str]:
        """What is scored at a number of hits and told first, in the order of the table."""
        leading = [one for one in self._counting() if _is_leading(one)]
        return leading or self._counting()

    @property
    def other_metrics(self) -> list[str]:
        """What else is scored of a ranking: by session, by other formulas, how old, how many sources."""
        return [one for one in self._counting() if not _is_leading(one)]

    @property
    def answer_metrics(self) -> list[str]:
        """What is scored on an answer that a model wrote."""
        return sorted(one for one in self.scores if one.startswith(_ANSWERS) and self.asked(one))

    @property
    def budgets(self) -> list[int]:
        """The numbers of tokens at which recall was scored, rising."""
        return sorted(int(found[1]) for one in self.scores if (found := _BUDGET.fullmatch(one)) and self.asked(one))

    @property
    def headline(self) -> str | None:
        """The metric that most of the questions have."""
        metrics = [one for one in _HEADLINES if self.asked(one)] or self.retrieval_metrics
        return max(metrics, key=self.asked) if metrics else None

    @property
    def turns_per_sample(self) -> float:
        """The median number of turns of a sample."""
        return self._over_samples("turns")

    @property
    def tokens_per_sample(self) -> float:
        """The median number of tokens of a sample's turns."""
        return self._over_samples("tokens")

    def _over_samples(self, field: str) -> float:
        rows = next((rows for rows in self.ingested.values() if rows), ())
        return float(np.median([getattr(row, field) for row in rows])) if rows else math.nan

    def _counting(self) -> list[str]:
        named = (one for one in self.scores if not one.startswith((CORRECTED, *_ANSWERS)) and self.asked(one))
        return sorted((one for one in named if not _BUDGET.fullmatch(one) and one != "block_recall"), key=_place)


def read(source: Source, dataset: str) -> Sheet | None:
    """The sheet of a dataset; None where no question was asked."""
    names = source.systems(dataset)
    systems = tuple(sorted(names, key=lambda name: name in CONTROLS))
    known: dict[tuple[str, str], _Known] = {}
    rows: dict[str, list[_Numbers]] = {}
    runs: set[str] = set()
    faults: dict[str, Counter[str]] = {}
    for system in systems:
        rows[system] = []
        faults[system] = Counter()
        for one in source.asked(dataset, system):  # the hits are let go at once: there are many
            key = one.sample, one.question
            known.setdefault(key, _Known(one.category, one.task == "absent", one.corrected is not None))
            rows[system].append(_Numbers(key, one.scores, one.confidence, one.elapsed_ms, one.context_tokens))
            runs.add(one.run)
            faults[system].update(_fault(one))
    if not known:
        return None
    described, kind = describe(dataset)
    apart = described.apart if described else ()
    places = {key: place for place, key in enumerate(known)}
    sample_codes = {sample: code for code, sample in enumerate(dict.fromkeys(sample for sample, _ in known))}
    categories, sizes = _categories([one.category for one in known.values()], kind)
    category_places = {one.id: place for place, one in enumerate(categories)}
    shape = (len(systems), len(known))
    metrics = dict.fromkeys(metric for one in chain(*rows.values()) for metric in one.scores)
    scores = {metric: np.full(shape, np.nan) for metric in metrics}
    confidence, elapsed_ms, context_tokens = (np.full(shape, np.nan) for _ in range(3))
    for place, system in enumerate(systems):
        for numbers in rows[system]:
            at = place, places[numbers.key]
            confidence[at] = np.nan if numbers.confidence is None else numbers.confidence
            elapsed_ms[at], context_tokens[at] = numbers.elapsed_ms, numbers.context_tokens
            for metric, value in numbers.scores.items():
                scores[metric][at] = value
    ingested = {system: tuple(source.ingested(dataset, system)) for system in systems}
    runs |= {one.run for one in chain(*ingested.values())}
    return Sheet(
        dataset=dataset,
        described=described,
        systems=systems,
        questions=tuple(known),
        samples=np.array([sample_codes[sample] for sample, _ in known]),
        categories=categories,
        category=np.array([category_places[one.category] for one in known.values()]),
        sizes=sizes,
        is_apart=np.array([one.is_absent or one.category in apart for one in known.values()]),
        is_corrected=np.array([one.is_corrected for one in known.values()]),
        scores=scores,
        confidence=confidence,
        elapsed_ms=elapsed_ms,
        context_tokens=context_tokens,
        ingested=ingested,
        run_ids=frozenset(runs),
        faults=faults,
    )


def describe(dataset: str) -> tuple[Dataset | None, Variant | None]:
    """What the registry knows of a dataset and its variant; nothing of one that has left it."""
    try:
        return variant(dataset)
    except ParameterError:
        return None, None


def _fault(one: Asked) -> list[str]:
    """Whose fault it was that the model that answered last was wrong; nothing where none was, or it was right."""
    read = one.extra.get("read")
    last = list(read.values())[-1] if isinstance(read, Mapping) and read else None
    return [str(last["fault"])] if isinstance(last, Mapping) and "fault" in last else []


@dataclass(frozen=True, slots=True)
class _Known:
    """What is the same of a question whichever system it was put to."""

    category: str
    is_absent: bool
    is_corrected: bool


@dataclass(frozen=True, slots=True)
class _Numbers:
    key: tuple[str, str]
    scores: Mapping[str, float]
    confidence: float | None
    elapsed_ms: float
    context_tokens: int


def _categories(asked: list[str], kind: Variant | None) -> tuple[tuple[Category, ...], tuple[int | None, ...]]:
    """The categories that were asked, in the dataset's order, and how many questions of each the file has."""
    counts = Counter(asked)
    known = {one.id: one for one in kind.categories} if kind else {}
    ids = [id for id in known if id in counts] + sorted(id for id in counts if id not in known)
    categories = tuple(Category(id=id, name=known[id].name if id in known else "", n=counts[id]) for id in ids)
    return categories, tuple(known[id].n if id in known else None for id in ids)


def _place(metric: str) -> tuple[int, str, int]:
    place = next((place for place, start in enumerate(_LEADING) if metric.startswith(start)), len(_LEADING))
    name, _, number = metric.partition("@")
    return place, name, int(number) if number.isdigit() else 0


def _is_leading(metric: str) -> bool:
    name, at, _ = metric.partition("@")
    return f"{name}{at}" in _LEADING or metric in _LEADING


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
