"""PopQA: short questions about known and little-known things; is an answer among the passages recalled?

One log of all passages of a corpus that you give; a hit counts when it holds one of the accepted answers, which is a
proxy for evidence. Source: arXiv 2212.10511; akariasai/PopQA, test.tsv.
Departs: the paper asks a model with and without retrieval; here only retrieval is scored, by the popularity of the
subject. The bins are by powers of ten of its monthly page views.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mnemic.bench.dataset import Dataset, File, Key, Question, Sample, Turn, Variant
from mnemic.bench.datasets.files import categories, open_text, read_lines, variant_of
from mnemic.errors import FormatError

BINS = ("2", "3", "4", "5", "6")

_QUESTIONS = File(path="popqa/test.tsv", url="https://huggingface.co/datasets/akariasai/PopQA/resolve/main/test.tsv")
_CORPUS = File(path="popqa/corpus.jsonl")


def popularity_bin(views: float) -> str:
    """The decimal digits of the page views, two at least and six at most.

    >>> popularity_bin(7), popularity_bin(1250), popularity_bin(3_000_000)
    ('2', '4', '6')
    """
    return str(min(max(int(math.log10(max(views, 1))) + 1, 2), 6))


def read_questions(lines: Iterable[str]) -> Iterator[Question]:
    """The rows of the TSV. Raises FormatError where it is not PopQA's."""
    for row in csv.DictReader(lines, delimiter="\t"):
        try:
            yield Question(
                id=row["id"],
                text=row["question"],
                category=popularity_bin(float(row["s_pop"])),
                task="contains",
                key=Key(answers=tuple(json.loads(row["possible_answers"]))),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise FormatError(
                f"{_QUESTIONS.path} is not PopQA's TSV: {error!r}. It needs the columns id, question, s_pop and "
                "possible_answers, the last a JSON list."
            ) from error


def read_passages(lines: Iterable[str]) -> Iterator[Turn]:
    """The passages of a JSONL corpus, `{"title": …, "text": …}` a line."""
    for number, line in enumerate(filter(None, lines)):
        row: Mapping[str, str] = json.loads(line)
        yield Turn(id=str(number), text=f"{row['title']}\n{row['text']}")


def _load(folder: Path, variant_id: str) -> Iterator[Sample]:
    questions, corpus = variant_of(POPQA, variant_id).files
    with open_text(folder / questions.path) as file:
        asked = tuple(read_questions(file))
    yield Sample(id="test", turns=tuple(read_passages(read_lines(folder / corpus.path))), questions=asked)


POPQA = Dataset(
    id="popqa",
    title="PopQA",
    source="Mallen et al. 2022, arXiv 2212.10511; akariasai/PopQA, test.tsv, and a corpus of your own",
    licence="MIT (repository)",
    about=(
        "Is an accepted answer in one of the first passages recalled, for things that many and that few people look up? "
        "It depends on the corpus that you give: name it beside every figure."
    ),
    variants=(
        Variant(
            id="",
            samples=1,
            turns=0,
            categories=categories((digits, f"page views of {digits} digits", 0) for digits in BINS),
            files=(_QUESTIONS, _CORPUS),
        ),
    ),
    load=_load,
    notes={
        "counts": "Not stated and not checked: the corpus is yours. The published TSV has 14,267 questions.",
        "corpus": "popqa/corpus.jsonl, a passage a line: title and text. Wikipedia passages of 100 words are usual.",
        "proxy": "An answer's words in a hit are no proof that the hit says it: short answers are found by chance.",
        "bins": "By digits of the subject's monthly page views; 2 holds all below 100, 6 all from 100,000.",
    },
)
