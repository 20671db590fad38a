"""bAbI: twenty tasks in small invented stories; which earlier sentences does a question need?

A story is a log, a sentence a turn; the line numbers behind an answer are the evidence. Source: arXiv 1502.05698; the
files are of its published generator, facebookarchive/bAbI-tasks, in its text format.
Departs: a story's questions stand between its sentences, while here all turns are there before anything is asked. So
only the questions after a story's last sentence are put, which have seen exactly these turns. Sentences are set one
minute apart.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mnemic.bench.dataset import Dataset, File, Key, Question, Sample, Turn, Variant
from mnemic.bench.datasets.files import categories, counted, read_lines, variant_of

TASKS = (
    "single-supporting-fact",
    "two-supporting-facts",
    "three-supporting-facts",
    "two-arg-relations",
    "three-arg-relations",
    "yes-no-questions",
    "counting",
    "lists-sets",
    "simple-negation",
    "indefinite-knowledge",
    "basic-coreference",
    "conjunction",
    "compound-coreference",
    "time-reasoning",
    "basic-deduction",
    "basic-induction",
    "positional-reasoning",
    "size-reasoning",
    "path-finding",
    "agents-motivations",
)
PER_TASK = 25  # stories drawn of each task
SEED = 0
BEGAN_AT = datetime(2024, 1, 1, tzinfo=UTC)


def read_stories(lines: Iterable[str], task: int) -> Iterator[Sample]:
    """The stories of a file, with the questions that stand after their last sentence."""
    story: list[tuple[str, str]] = []
    count = 0
    for line in filter(None, lines):
        number, text = line.split(" ", 1)
        if number == "1" and story:
            yield _to_sample(f"{task}-{count}", task, story)
            story, count = [], count + 1
        story.append((number, text))
    if story:
        yield _to_sample(f"{task}-{count}", task, story)


def _to_sample(id: str, task: int, story: list[tuple[str, str]]) -> Sample:
    sentences = [(number, text) for number, text in story if "\t" not in text]
    last = int(sentences[-1][0])
    turns = tuple(
        Turn(id=number, text=text, occurred_at=BEGAN_AT + timedelta(minutes=int(number))) for number, text in sentences
    )
    return Sample(
        id=id,
        turns=turns,
        questions=tuple(
            _to_question(f"{id}-{number}", task, text) for number, text in story if "\t" in text and int(number) > last
        ),
    )


def _to_question(id: str, task: int, text: str) -> Question:
    asked, answer, supporting = text.split("\t")
    key = Key(evidence=tuple(supporting.split()), answers=(answer.replace(",", ", "),))
    return Question(id=id, text=asked.strip(), category=str(task), key=key)


def _samples(folder: Path, variant: Variant) -> Iterator[Sample]:
    for task, file in enumerate(variant.files, 1):
        stories = [one for one in read_stories(read_lines(folder / file.path), task) if one.questions]
        drawn = random.Random(f"{SEED}:{task}").sample(range(len(stories)), PER_TASK)
        yield from (stories[at] for at in sorted(drawn))


def _load(folder: Path, variant_id: str) -> Iterator[Sample]:
    variant = variant_of(BABI, variant_id)
    return counted(BABI, variant, _samples(folder, variant))


def _variant(id: str, split: str, turns: int, more: Mapping[int, int]) -> Variant:
    """`more`: how many questions the tasks have whose stories end in several; the others have one a story."""
    rows = list(enumerate(TASKS, 1))
    return Variant(
        id=id,
        samples=len(TASKS) * PER_TASK,
        turns=turns,
        categories=categories((str(task), name.replace("-", " "), more.get(task, PER_TASK)) for task, name in rows),
        files=tuple(File(path=f"babi/{id}/qa{task}_{name}_{split}.txt.gz") for task, name in rows),
    )


BABI = Dataset(
    id="babi",
    title="bAbI tasks",
    source="Weston et al. 2015, arXiv 1502.05698; generated with facebookarchive/bAbI-tasks@ccd8fd6, seeds fixed",
    licence="BSD (generator)",
    about=(
        "Are all sentences that a question needs among the hits, from one fact to long chains? The newest of several like "
        "sentences is often the one that counts, and a question's own words name only the first of a chain."
    ),
    variants=(
        _variant("en", "test", 6241, {15: 100, 17: 200, 18: 70}),
        _variant("en-10k", "train", 6333, {15: 100, 17: 200, 18: 68}),
    ),
    load=_load,
    ks=(3, 5, 10),
    notes={
        "sample": f"{PER_TASK} stories of each task, drawn by a fixed seed; test files for en, training files for en-10k.",
        "last questions": "Only questions after the last sentence of a story are asked; most stories have one, some several.",
        "wording": "The generator's: it differs a little from the files of 2015 ('What is the path from A to B?').",
        "small logs": "Tasks 4, 17 and 19 have two to five sentences: every k has them all.",
    },
)
