"""TimeQuestions: of what temporal type is a question, told by questions whose type is known?

Half of the questions with one type are turns with that type as their label; the other half, and all questions with
several types, are asked, and the hits' labels vote. Source: arXiv 2109.08935, the test file in SteveTANTAN/MemoTime.
Departs: the benchmark's measure, Hits@1 of answers, needs its knowledge graph, which is not here. This measures how well
recalled cases classify a new one, and no more.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mnemic.bench.dataset import Dataset, File, Key, Question, Sample, Turn, Variant
from mnemic.bench.datasets.files import categories, counted, read_json, variant_of

SEVERAL = "several"
SEED = 0

_FILE = File(path="timequestions/test.json.gz")


def split(rows: Sequence[Mapping[str, Any]], seed: int = SEED) -> Sample:
    """One log of a half of the questions that have one type; the others are asked."""
    told = {one["Id"] for one in rows if len(one["Temporal question type"]) == 1}
    kept = set(random.Random(seed).sample(sorted(told), len(told) // 2))
    turns, questions = [], []
    for row in rows:
        id, text, types = str(row["Id"]), row["Question"], tuple(row["Temporal question type"])
        if row["Id"] in kept:
            turns.append(Turn(id=id, text=text, label=types[0]))
        else:
            category = types[0] if len(types) == 1 else SEVERAL
            questions.append(Question(id=id, text=text, category=category, task="vote", key=Key(answers=types)))
    return Sample(id="test", turns=tuple(turns), questions=tuple(questions))


def _samples(folder: Path, variant: Variant) -> Iterator[Sample]:
    yield split(read_json(folder / variant.files[0].path))


def _load(folder: Path, variant_id: str) -> Iterator[Sample]:
    variant = variant_of(TIMEQUESTIONS, variant_id)
    return counted(TIMEQUESTIONS, variant, _samples(folder, variant))


TIMEQUESTIONS = Dataset(
    id="timequestions",
    title="TimeQuestions, types",
    source="Jia et al. 2021, arXiv 2109.08935; test file as in SteveTANTAN/MemoTime@d1be3e6, Data",
    licence="CC BY 4.0 (questions); MIT (repository)",
    about=(
        "Which temporal type has a question: explicit, implicit, ordinal, or one that asks for a time? The labels of the "
        "recalled questions vote; it is case-based classification, not question answering."
    ),
    variants=(
        Variant(
            id="",
            samples=1,
            turns=1555,
            categories=categories(
                [
                    ("Explicit", "explicit", 632),
                    ("Implicit", "implicit", 138),
                    ("Ordinal", "ordinal", 248),
                    ("Temp.Ans", "temporal answer", 537),
                    (SEVERAL, "several types, any of them counts", 127),
                ]
            ),
            files=(_FILE,),
        ),
    ),
    load=_load,
    notes={
        "measure": "Accuracy of the vote. The published Hits@1 of answers needs the knowledge graph, which is not here.",
        "several": "127 questions have two or three types: any of them counts as right, so read that row apart.",
        "chance": "Always saying the commonest type is right for about four in ten.",
    },
    apart=(SEVERAL,),
)
