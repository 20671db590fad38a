"""MemoryAgentBench: its conflicting facts, generated here, and its published files for retrieval and classification.

"fact-…" is our own: numbered facts about invented things, some given again with another value, where the highest number
holds. It has the published shape (FactConsolidation, single hop) and none of its text. The other variants read the
published rows, exported to JSON Lines: `{"context", "questions", "answers", "metadata": {"source", …}}`, a row a line.
Source: arXiv 2507.05257, HUST-AI-HYZ/MemoryAgentBench, ai-hyz/MemoryAgentBench.
Departs: a context goes in by fact, by labelled example, or in pieces of about 512 tokens. Published rows name no
evidence: a hit that holds the answer's words counts. Summaries, the detective stories and film recommendation are not
read; no recall without a reader answers them.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

from mnemic.bench.dataset import Dataset, File, Key, Question, Sample, Turn, Variant
from mnemic.bench.datasets.files import categories, counted, read_lines, variant_of
from mnemic.errors import FormatError
from mnemic.text.sentences import sentences
from mnemic.text.tokens import count_tokens

FACTS = {"6k": 580, "32k": 2_920, "64k": 5_780, "262k": 23_300}  # how many make about so many tokens
ASKED = 100
PIECE_TOKENS = 512
SEED = 0
BEGAN_AT = datetime(2024, 1, 1, tzinfo=UTC)

_FIRST = "Ar Bel Cor Dra El Fen Gal Hes Ist Jor Kel Lan Mor Nar Or Pel Quor Ras Sel Tor Ul Var Wen Yor Zel".split()  # noqa: SIM905
_MIDDLE = "a e i o u an el im or ur ael ian ond esk ith".split()  # noqa: SIM905
_LAST = "dal den dor fell ga lis mar mir nak nia nor ra rim sin stad ta tis ven via wick".split()  # noqa: SIM905
_RELATIONS = (
    ("The capital of {0} is {1}.", "What is the capital of {0}?"),
    ("The largest river in {0} is the {1}.", "What is the largest river in {0}?"),
    ("The ruler of {0} is {1}.", "Who is the ruler of {0}?"),
    ("{0} was founded by {1}.", "Who founded {0}?"),
    ("The language spoken in {0} is {1}.", "What language is spoken in {0}?"),
    ("The money used in {0} is the {1}.", "What money is used in {0}?"),
    ("The favourite game of the people of {0} is {1}.", "What is the favourite game of the people of {0}?"),
    ("The highest mountain of {0} is {1}.", "What is the highest mountain of {0}?"),
    ("{0} buys most of its salt from {1}.", "From where does {0} buy most of its salt?"),
    ("The best known poet of {0} is {1}.", "Who is the best known poet of {0}?"),
)


def fact_stream(id: str, facts: int, is_shuffled: bool = False, seed: int = SEED) -> Sample:
    """One log of numbered facts; half of what is told is told once, the rest two to four times, each time otherwise.

    It asks for things told more than once. Shuffled, the facts arrive in no order and only their numbers say which holds.
    """
    rng = random.Random(f"{seed}:{facts}")
    names = list(dict.fromkeys("".join(parts) for parts in product(_FIRST, _MIDDLE, _LAST)))  # some come about twice
    things = list(product(rng.sample(names, facts // 4), range(len(_RELATIONS))))
    told: list[tuple[str, int]] = []
    for thing in rng.sample(things, facts):
        told += [thing] * rng.choice((1, 1, 1, 2, 3, 4))
        if len(told) >= facts:
            break
    told = told[:facts]
    rng.shuffle(told)
    serials: dict[tuple[str, int], list[int]] = {}
    values: list[str] = []
    for serial, thing in enumerate(told):
        taken = {values[earlier] for earlier in serials.setdefault(thing, [])} | {thing[0]}
        values.append(rng.choice([name for name in rng.sample(names, len(taken) + 1) if name not in taken]))
        serials[thing].append(serial)
    texts = [
        f"{serial}. {_RELATIONS[relation][0].format(name, values[serial])}"
        for serial, (name, relation) in enumerate(told)
    ]
    asked = rng.sample([thing for thing, found in serials.items() if len(found) > 1], ASKED)
    arrival = list(range(facts))
    if is_shuffled:
        rng.shuffle(arrival)
    return Sample(
        id=id,
        turns=tuple(
            Turn(id=str(serial), text=texts[serial], occurred_at=BEGAN_AT + timedelta(minutes=minute))
            for minute, serial in enumerate(arrival)
        ),
        questions=tuple(
            Question(
                id=f"{id}-{number}",
                text=_RELATIONS[relation][1].format(name),
                category="fact",
                task="newest",
                key=Key(evidence=(str(serials[name, relation][-1]),), answers=(values[serials[name, relation][-1]],)),
                stale=tuple(str(serial) for serial in serials[name, relation][:-1]),
            )
            for number, (name, relation) in enumerate(asked)
        ),
    )


_EXAMPLE = re.compile(r"\s*(?P<text>.+?)\s*\nlabel: *(?P<label>[^\n]+)", re.S)


def kind_of(source: str) -> str:
    """The category of a published row.

    >>> kind_of("icl_trec_coarse_6600shot_balance"), kind_of("factconsolidation_mh_32k"), kind_of("eventqa_65536")
    ('trec_coarse', 'factconsolidation_mh', 'eventqa')
    """
    if source.startswith("icl_"):
        return re.sub(r"_\d+shot.*", "", source.removeprefix("icl_"))
    family = source.partition("_")[0]
    return "_".join(source.split("_")[:2]) if family in ("ruler", "factconsolidation") else family.rstrip("*")


def pieces(context: str) -> Iterator[str]:
    """A context in pieces of about 512 tokens, cut between sentences."""
    held: list[str] = []
    tokens = 0
    for sentence in sentences(context):
        held.append(sentence)
        tokens += count_tokens(sentence)
        if tokens >= PIECE_TOKENS:
            yield " ".join(held)
            held, tokens = [], 0
    if held:
        yield " ".join(held)


def read_row(row: Mapping[str, Any], number: int) -> Sample:
    """One published row: its context as turns, its questions with the answers that count. Raises FormatError."""
    try:
        context, source = row["context"], row["metadata"]["source"]
        pairs = list(zip(row["questions"], row["answers"], strict=True))
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(
            f"Row {number} is not MemoryAgentBench's: {error!r}. It needs context, questions, as many answers, and "
            "metadata with a source."
        ) from error
    is_labelled = source.startswith("icl_")
    if is_labelled:
        examples = _EXAMPLE.finditer(context)
        turns = [Turn(id=str(at), text=one["text"], label=one["label"].strip()) for at, one in enumerate(examples)]
    else:
        is_facts = source.startswith("factconsolidation")
        said = (line.strip() for line in context.splitlines() if line.strip()) if is_facts else pieces(context)
        turns = [Turn(id=str(at), text=text) for at, text in enumerate(said)]
    id = f"{number}-{source}"
    questions = tuple(
        Question(
            id=f"{id}-{at}",
            text=asked,
            category=kind_of(source),
            task="vote" if is_labelled else "contains",
            key=Key(answers=tuple(map(str, [answers] if isinstance(answers, str | int) else answers))),
        )
        for at, (asked, answers) in enumerate(pairs)
    )
    return Sample(id=id, turns=tuple(turns), questions=questions)


def read_rows(lines: Iterable[str], wanted: Iterable[str]) -> Iterator[Sample]:
    """The rows of a file whose category is one of `wanted`."""
    kinds = set(wanted)
    for number, line in enumerate(filter(None, lines)):
        row = json.loads(line)
        if kind_of(row["metadata"]["source"]) in kinds:
            yield read_row(row, number)


def _samples(folder: Path, variant: Variant) -> Iterator[Sample]:
    if not variant.files:
        _, size, *shuffled = variant.id.split("-")
        yield fact_stream(variant.id, FACTS[size], is_shuffled=bool(shuffled))
    else:
        yield from read_rows(read_lines(folder / variant.files[0].path), [one.id for one in variant.categories])


def _load(folder: Path, variant_id: str) -> Iterator[Sample]:
    variant = variant_of(MEMORYAGENTBENCH, variant_id)
    samples = _samples(folder, variant)
    return samples if variant.files else counted(MEMORYAGENTBENCH, variant, samples)


def _facts(id: str) -> Variant:
    rows = [("fact", "one fact, told more than once", ASKED)]
    return Variant(id=id, samples=1, turns=FACTS[id.split("-")[1]], categories=categories(rows), files=())


def _published(id: str, split: str, kinds: Mapping[str, str]) -> Variant:
    return Variant(
        id=id,
        samples=0,
        turns=0,
        categories=categories((kind, name, 0) for kind, name in kinds.items()),
        files=(File(path=f"memoryagentbench/{split}.jsonl"),),
    )


MEMORYAGENTBENCH = Dataset(
    id="memoryagentbench",
    title="MemoryAgentBench",
    source="Hu et al. 2025, arXiv 2507.05257; ai-hyz/MemoryAgentBench; the variants 'fact-…' are generated here",
    licence="MIT (published rows); the generated facts are part of this library",
    about=(
        "Facts that later ones override, examples that show what a label means, and answers hidden in long text. The "
        "variants 'fact-…' are generated: their figures are not those of the published FactConsolidation."
    ),
    variants=(
        *(_facts(f"fact-{size}") for size in FACTS),
        _facts("fact-6k-shuffled"),
        _facts("fact-32k-shuffled"),
        _published(
            "retrieval",
            "Accurate_Retrieval",
            {
                "ruler_qa1": "RULER, one passage",
                "ruler_qa2": "RULER, two passages",
                "longmemeval": "LongMemEval S*",
                "eventqa": "EventQA, what happens next",
            },
        ),
        _published(
            "classification",
            "Test_Time_Learning",
            {
                "banking77": "banking77",
                "clinic150": "clinic150",
                "nlu": "nlu",
                "trec_coarse": "trec, coarse",
                "trec_fine": "trec, fine",
            },
        ),
        _published(
            "conflict",
            "Conflict_Resolution",
            {"factconsolidation_sh": "facts, one hop", "factconsolidation_mh": "facts, several hops"},
        ),
    ),
    load=_load,
    notes={
        "fact": "Generated from a fixed seed and word lists of our own: names are invented, so no model knows an answer.",
        "shuffled": "Facts arrive in no order, their numbers stay: arrival time misleads, only the number in the text helps.",
        "published": "Counts are not stated and not checked: the files were not at hand. Export each split to JSON Lines.",
        "proxy": "In 'retrieval' and 'conflict' a hit counts that holds the answer's words; an overridden fact may hold them.",
        "left out": "InfBench summaries, DetectiveQA and ReDial recommendation need a reader.",
    },
)
