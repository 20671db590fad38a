"""What all loaders share: opening a dataset's files, and refusing a dataset whose counts are not the stated ones.

A file may stand as it is or as `.gz` of the same name, whichever is there. Counts are what tells one release of a file
from another: a figure over other questions than its table says is worse than none, so a loader that finds other counts
than its variant states raises; 0 turns means that nobody states how many there are. Samples of one's own in the same
format are read by the loaders' inner functions, which do not count.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from mnemic.bench.dataset import Category, Dataset, Sample, Variant
from mnemic.errors import FormatError, NotFound, ParameterError

TURN_GAP_S = 10  # between turns whose session alone has a time, so that they stay in order


def find(path: Path) -> Path:
    """`path`, or the same with or without `.gz`, whichever is there. Raises NotFound, which names the path."""
    other = path.with_suffix("") if path.suffix == ".gz" else path.with_name(f"{path.name}.gz")
    for one in (path, other):
        if one.is_file():
            return one
    raise NotFound(
        f"There is no file {str(path)!r}, nor {other.name!r} beside it. Put the dataset's file there, or name the "
        "folder of all datasets that has it."
    )


def open_text(path: Path) -> IO[str]:
    """The text of a file, packed or not, without a byte order mark and with its line ends as they are."""
    found = find(path)
    if found.suffix == ".gz":
        return gzip.open(found, "rt", encoding="utf-8-sig", newline="")
    return found.open(encoding="utf-8-sig", newline="")


def read_json(path: Path) -> Any:
    """What a JSON file holds. Raises FormatError where it is damaged."""
    with open_text(path) as file:
        try:
            return json.load(file)
        except (ValueError, EOFError, gzip.BadGzipFile) as error:
            raise FormatError(f"{str(path)!r} is no JSON: {error}. Download it again.") from error


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a file without their ends."""
    with open_text(path) as file:
        for line in file:
            yield line.rstrip("\r\n")


def variant_of(dataset: Dataset, variant_id: str) -> Variant:
    """The variant of that id. Raises ParameterError."""
    for one in dataset.variants:
        if one.id == variant_id:
            return one
    known = ", ".join(repr(one.id) for one in dataset.variants)
    raise ParameterError(f"{dataset.id} has no variant {variant_id!r}. It has: {known}.")


def categories(counts: Iterable[tuple[str, str, int]]) -> tuple[Category, ...]:
    """Categories from rows of id, name and number of questions."""
    return tuple(Category(id=id, name=name, n=n) for id, name, n in counts)


def assert_counts(dataset: Dataset, variant: Variant, samples: Sequence[Sample]) -> None:
    """Raises FormatError where `samples` are not as many, with as many turns and questions, as `variant` states."""
    for _ in counted(dataset, variant, samples):
        pass


def counted(dataset: Dataset, variant: Variant, samples: Iterable[Sample]) -> Iterator[Sample]:
    """`samples`, one by one; after the last, FormatError where they were not what `variant` states.

    It also refuses what no dataset may have: an id twice, or evidence that names no turn.
    """
    tally = _Tally()
    for sample in samples:
        tally.add(sample)
        yield sample
    wrong = [*tally.faults[:3], *tally.differences(variant)]
    if wrong:
        name = f"{dataset.id}/{variant.id}" if variant.id else dataset.id
        files = ", ".join(one.path for one in variant.files)
        raise FormatError(
            f"{name} is not the release that its counts are stated for: {'; '.join(wrong)}. Compare the SHA-256 of "
            f"{files} with the stated one, and get the file again."
        )


@dataclass(slots=True)
class _Tally:
    samples: set[str] = field(default_factory=set)
    turns: int = 0
    questions: set[str] = field(default_factory=set)
    by_category: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, sample: Sample) -> None:
        turns = {one.id for one in sample.turns}
        if sample.id in self.samples:
            self.faults.append(f"there are two samples {sample.id!r}")
        if len(turns) != len(sample.turns):
            self.faults.append(f"sample {sample.id!r} has two turns of one id")
        for question in sample.questions:
            if question.id in self.questions:
                self.faults.append(f"there are two questions {question.id!r}")
            self.questions.add(question.id)
            keys = [question.key, *([question.corrected] if question.corrected else [])]
            named = {turn for key in keys for turn in key.evidence} | set(question.stale)
            if unknown := named - turns:
                self.faults.append(f"question {question.id!r} names no turn with {min(unknown)!r}")
        self.samples.add(sample.id)
        self.turns += len(sample.turns)
        self.by_category.update(one.category for one in sample.questions)

    def differences(self, variant: Variant) -> list[str]:
        stated = {one.id: one.n for one in variant.categories}
        rows = [("samples", len(self.samples), variant.samples), ("turns", self.turns, variant.turns or self.turns)]
        for id in sorted(stated.keys() | self.by_category.keys()):
            rows.append((f"questions of category {id!r}", self.by_category[id], stated.get(id, 0)))
        return [f"{found} {what} where there should be {wanted}" for what, found, wanted in rows if found != wanted]
