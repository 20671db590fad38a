"""GoodAI LTM benchmark: many small memory tests in one conversation, their messages mixed.

One log has one test of every kind of a published run: the statements of all of them, one minute apart, in a seeded mix
that keeps each test's order; then the questions that name what they need are asked. The tests do not name evidence. In
the kinds asked here it follows from their build, by the rules of `EVIDENCE`.
Source: NeurIPS 2024 Datasets and Benchmarks, GoodAI/goodai-ltm-benchmark, data/tests.
Departs: no agent is in the loop, nothing is answered, and no filler is put between the messages to reach a span.
"""

from __future__ import annotations

import html
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mnemic.bench.dataset import Dataset, File, Key, Question, Sample, Turn, Variant
from mnemic.bench.datasets.files import categories, counted, read_json, variant_of

SEED = 0
BEGAN_AT = datetime(2024, 1, 1, tzinfo=UTC)
PER_RUN = 3  # tests of each kind in a run

_EVERY = (
    "colours",
    "jokes",
    "locations-directions",
    "namelist",
    "prospective-memory",
    "sallyanne",
    "shopping",
    "trigger-response",
)
RUNS: Mapping[str, tuple[str, ...]] = {
    "benchmark-1_1k-filler": (*_EVERY, "delayed-recall", "instruction-recall"),
    "benchmark-2_1k-filler": (*_EVERY, "delayed-recall", "instruction-recall", "chapterbreak", "spy-meeting"),
    "benchmark-3_32k": (*_EVERY, "chapterbreak", "spy-meeting"),
}
_CHAPTERS = ("12653258_1", "47583370_7", "90051444_0")


@dataclass(frozen=True, slots=True)
class Test:
    """One test: what is said, what is asked, what is expected."""

    __test__ = False  # no test of ours

    kind: str
    said: tuple[str, ...]
    asked: tuple[str, ...]
    expected: tuple[Any, ...]


def read_test(kind: str, definition: Mapping[str, Any]) -> Test:
    """A test from its definition file."""
    # the jokes have one line fewer than marks: their question is made while the benchmark runs
    lines = zip(definition["script"], definition["is_question"], strict=False)
    script = [(html.unescape(line).strip(), is_question) for line, is_question in lines]
    return Test(
        kind=kind,
        said=tuple(line for line, is_question in script if not is_question),
        asked=tuple(line for line, is_question in script if is_question),
        expected=tuple(definition["expected_responses"]),
    )


def _all(test: Test) -> list[int]:
    return list(range(len(test.said)))


def _items(test: Test) -> list[int]:
    return [at for at, line in enumerate(test.said) if any(item.lower() in line.lower() for item, _ in test.expected)]


def _place(test: Test) -> list[int]:
    return [at for at, line in enumerate(test.said) if test.expected[0] in line]


EVIDENCE: Mapping[str, tuple[str, Callable[[Test], list[int]]]] = {
    "colours": ("the last of several favourite colours", lambda test: [len(test.said) - 1]),
    "namelist": ("all names ever given", _all),
    "locations-directions": ("all steps of a way", _all),
    "shopping": ("every change to what is on the list at the end", _items),
    "sallyanne": ("the one line that puts the thing where it is looked for", _place),
    "spy-meeting": ("all three messages, not what announces them", lambda test: _all(test)[1:]),
    "trigger-response": ("the rule, when what triggers it is said", _all),
    "delayed-recall": ("the one long message of facts", _all),
    "instruction-recall": ("the one long message of steps", _all),
}


def questions_of(test: Test, id: str) -> Iterator[Question]:
    """The questions of a test, each once; none of a kind that is not in `EVIDENCE`."""
    if test.kind not in EVIDENCE:
        return
    evidence = tuple(f"{test.kind}-{at}" for at in EVIDENCE[test.kind][1](test))
    is_newest = test.kind == "colours"
    for number, text in enumerate(dict.fromkeys(test.asked)):
        each = len(set(test.asked)) > 1  # as many answers as questions; else all are the parts of one answer
        yield Question(
            id=f"{id}-{test.kind}-{number}",
            text=text,
            category=test.kind,
            task="newest" if is_newest else "recall",
            key=Key(
                evidence=evidence, answers=(_written(test.expected[number : number + 1] if each else test.expected),)
            ),
            stale=tuple(f"{test.kind}-{at}" for at in range(len(test.said) - 1)) if is_newest else (),
        )


def _written(expected: Sequence[Any]) -> str:
    """Expected parts as one text; a part is a text, alternatives, or an item and its number."""
    parts = [one if isinstance(one, str) else " ".join(map(str, one)) for one in expected]
    return ", ".join(dict.fromkeys(html.unescape(one) for one in parts))


def mix(tests: Sequence[Test], id: str) -> Sample:
    """One log of tests of different kinds, each in its own order, the order between them drawn."""
    order = [test.kind for test in tests for _ in test.said]
    random.Random(f"{SEED}:{id}").shuffle(order)
    left = {test.kind: iter(enumerate(test.said)) for test in tests}
    turns = []
    for minute, kind in enumerate(order):
        at, text = next(left[kind])
        turns.append(Turn(id=f"{kind}-{at}", text=text, occurred_at=BEGAN_AT + timedelta(minutes=minute)))
    return Sample(id=id, turns=tuple(turns), questions=tuple(one for test in tests for one in questions_of(test, id)))


def _path(run: str, kind: str, number: int) -> str:
    name = _CHAPTERS[number] if kind == "chapterbreak" else number
    return f"goodai-ltm/definitions/{run}/{kind}/{name}.def.json"


def _kinds(run: str, number: int) -> Iterator[str]:
    for kind in RUNS[run]:
        if kind != "spy-meeting" or run == "benchmark-3_32k" or number == 0:  # the second run has one of them
            yield kind


def _samples(folder: Path, variant: Variant) -> Iterator[Sample]:
    for run in RUNS:
        for number in range(PER_RUN):
            tests = [read_test(kind, read_json(folder / _path(run, kind, number))) for kind in _kinds(run, number)]
            yield mix(tests, f"{run}-{number}")


def _load(folder: Path, variant_id: str) -> Iterator[Sample]:
    variant = variant_of(GOODAI_LTM, variant_id)
    return counted(GOODAI_LTM, variant, _samples(folder, variant))


_N = {"delayed-recall": 60, "instruction-recall": 30, "spy-meeting": 4}  # the other kinds have one a log

GOODAI_LTM = Dataset(
    id="goodai-ltm",
    title="GoodAI LTM benchmark",
    source="Castillo-Bolado et al. 2024, NeurIPS Datasets and Benchmarks; GoodAI/goodai-ltm-benchmark@188e761, data/tests",
    licence="MIT",
    about=(
        "Do the messages that a small test needs come back from a conversation of many tests? Colours asks whether the "
        "last value comes before the earlier ones; names, ways and lists need every message of their test."
    ),
    variants=(
        Variant(
            id="",
            samples=len(RUNS) * PER_RUN,
            turns=443,
            categories=categories((kind, what, _N.get(kind, 9)) for kind, (what, _) in EVIDENCE.items()),
            files=tuple(
                File(path=_path(run, kind, number))
                for run in RUNS
                for number in range(PER_RUN)
                for kind in _kinds(run, number)
            ),
        ),
    ),
    load=_load,
    notes={
        "evidence": "Derived from how a kind of test is built, not from the file: see the name of each category.",
        "jokes": "Said, not asked: the question is made while the benchmark runs ('which joke an hour ago?').",
        "prospective-memory": "Said, not asked: it wants an act at a later moment, not something recalled.",
        "chapterbreak": "Its pages are in the log as long distractors; which chapter comes next cannot be recalled.",
        "restaurant": "Left out: the dialogue is made up while it runs, and the definition is empty.",
        "runs": "Three runs; two further ones repeat the third's tests at other spans.",
        "one message": "delayed-recall and instruction-recall ask ten and five questions of one message: read them apart.",
    },
)
