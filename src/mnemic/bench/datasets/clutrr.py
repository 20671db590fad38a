"""CLUTRR: family stories; what relation have two people whose story never says it?

A story is a log, a sentence a turn. The file names the pairs of relatives on the proof's way from one to the other; the
evidence is, for each pair, the sentences that name both: the shortest run of them, where no single one does.
Source: arXiv 1908.06177; the copy is kliang5/CLUTRR_huggingface_dataset, test files.
Departs: the brackets around names are taken off. Accuracy by inference is not measured; the relation is the answer.
"""

from __future__ import annotations

import ast
import csv
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from mnemic.bench.dataset import Dataset, File, Key, Question, Sample, Turn, Variant
from mnemic.bench.datasets.files import categories, counted, open_text, variant_of
from mnemic.text.sentences import sentences

KINDS = {"1": "", "2": ", supporting facts added", "3": ", irrelevant facts added", "4": ", disconnected facts added"}
PER_TASK = 50  # stories drawn of each task of a file, or all where there are fewer
SEED = 0


def shortest_run(said: Sequence[str], names: Iterable[str]) -> range | None:
    """The first of the shortest runs of sentences that name all of `names`, in brackets as the file has them."""
    wanted = [f"[{name}]" for name in names]
    for length in range(1, len(said) + 1):
        for start in range(len(said) - length + 1):
            text = " ".join(said[start : start + length])
            if all(name in text for name in wanted):
                return range(start, start + length)
    return None


def read_story(row: Mapping[str, str]) -> Sample | None:
    """One story; None where it does not name a pair of its own proof."""
    said = sentences(row["story"])
    people = [one.partition(":")[0] for one in row["genders"].split(",")]
    proof = ast.literal_eval(row["story_edges"])[: len(ast.literal_eval(row["edge_types"]))]
    evidence: set[int] = set()
    for pair in proof:
        run = shortest_run(said, (people[one] for one in pair))
        if run is None:
            return None
        evidence |= set(run)
    asking, asked = ast.literal_eval(row["query"])
    question = Question(
        id=row["id"],
        text=f"How is {asked} related to {asking}? {asked} is the … of {asking}.",
        category=row["task_name"].removeprefix("task_"),
        key=Key(evidence=tuple(str(at) for at in sorted(evidence)), answers=(row["target_text"],)),
    )
    turns = tuple(Turn(id=str(at), text=text.replace("[", "").replace("]", "")) for at, text in enumerate(said))
    return Sample(id=row["id"], turns=turns, questions=(question,))


def _samples(folder: Path, variant: Variant) -> Iterator[Sample]:
    with open_text(folder / variant.files[0].path) as file:
        stories = [one for row in csv.DictReader(file) if (one := read_story(row))]
    for category in variant.categories:
        of_task = [one for one in stories if one.questions[0].category == category.id]
        drawn = random.Random(f"{SEED}:{category.id}").sample(range(len(of_task)), min(PER_TASK, len(of_task)))
        yield from (of_task[at] for at in sorted(drawn))


def _load(folder: Path, variant_id: str) -> Iterator[Sample]:
    variant = variant_of(CLUTRR, variant_id)
    return counted(CLUTRR, variant, _samples(folder, variant))


def _variant(id: str, folder: str, turns: int, tasks: Mapping[str, int]) -> Variant:
    rows = []
    for task, n in tasks.items():
        kind, _, length = task.partition(".")
        rows.append((task, f"{length} relations{KINDS[kind]}", n))
    return Variant(
        id=id,
        samples=sum(tasks.values()),
        turns=turns,
        categories=categories(rows),
        files=(File(path=f"clutrr/{folder}/test.csv.gz"),),
    )


def _lengths(longest: int, two: int) -> dict[str, int]:
    return {f"1.{length}": two if length == 2 else PER_TASK for length in range(2, longest + 1)}


def _kinds(short: str) -> dict[str, int]:
    return {short: 38} | {f"{kind}.3": PER_TASK for kind in KINDS}


CLUTRR = Dataset(
    id="clutrr",
    title="CLUTRR",
    source="Sinha et al. 2019, arXiv 1908.06177; kliang5/CLUTRR_huggingface_dataset@e5b4969, test files",
    licence="CC BY-NC 4.0 (original); none stated in the copy",
    about=(
        "Two relatives are joined by a chain of up to ten stated relations: are all sentences of the chain recalled? The "
        "question names its two ends alone."
    ),
    variants=(
        _variant("train23", "gen_train23_test2to10", 2458, _lengths(10, 38)),
        _variant("train234", "gen_train234_test2to10", 2492, _lengths(10, 38)),
        _variant("clean", "rob_train_clean_23_test_all_23", 866, _kinds("1.2")),
        _variant("supporting", "rob_train_sup_23_test_all_23", 971, _kinds("2.2")),
        _variant("irrelevant", "rob_train_irr_23_test_all_23", 903, _kinds("3.2")),
        _variant("disconnected", "rob_train_disc_23_test_all_23", 896, _kinds("4.2")),
    ),
    load=_load,
    ks=(3, 5, 10),
    notes={
        "sample": f"Up to {PER_TASK} stories of each task and length, drawn by a fixed seed from the test file.",
        "evidence": (
            "One sentence for most pairs; for one in twenty the pair is named across two or three, which all count. Where "
            "two sentences name a pair the first does. A proof may turn back on its way: all its pairs count."
        ),
        "without noise": "In train23 and train234 85 of 100 sentences are evidence: only stories longer than k say much.",
        "slips": "The crowd's slips, such as a man called a mother, are left as they are.",
    },
)
