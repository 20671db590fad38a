"""PI-LLM: what is the last value of a key, after many updates of many keys?

A stream of "key: value" turns, one minute apart; a key's last turn is the evidence, its earlier ones are stale.
Source: "Unable to Forget", arXiv 2506.08184, zhuangziGiantfish/Unable-to-Forget: 46 categories of 400 values.
Departs: the stream is drawn by our own seeded shuffle, which keeps the paper's rule that no key comes twice in a row;
one stream for each number of updates, where the paper repeats until its interval is narrow.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mnemic.bench.dataset import Dataset, File, Key, Question, Sample, Turn, Variant
from mnemic.bench.datasets.files import categories, counted, read_json, variant_of

KEYS = 46
UPDATES = (
    48,
    2,
    3,
    4,
    6,
    8,
    12,
    17,
    24,
    34,
    68,
    97,
    139,
    197,
    281,
    400,
)  # the first is what runs unless another is named
SEED = 0
BEGAN_AT = datetime(2024, 1, 1, tzinfo=UTC)

_FILE = File(
    path="pi-llm/dict_category_double-word_46-400_v1-1.json",
    sha256="53386c85a198bed08a1171909de3bc1c6f424ddd3acee1fc4c63448468095253",
    url="https://raw.githubusercontent.com/zhuangziGiantfish/Unable-to-Forget/"
    "3534274880727d2bad5cbd2b850923ee5a683a1c/testing_data/dict_category_double-word_46-400_v1-1.json",
)


def interleave(counts: Mapping[str, int], rng: random.Random) -> list[str]:
    """Each key as often as `counts` says, in random order, never the same twice in a row.

    A key is drawn with the weight of what is left of it, unless another has so many left that it must come now.
    `counts` must allow it: no key may be more than half of all, rounded up.
    """
    left, order = dict(counts), list[str]()
    for total in range(sum(counts.values()), 0, -1):
        last = order[-1] if order else None
        must = [key for key, n in left.items() if 2 * n > total and key != last]
        able = must or [key for key, n in left.items() if n and key != last]
        order.append(rng.choices(able, [left[key] for key in able])[0])
        left[order[-1]] -= 1
    return order


def stream(values: Mapping[str, Sequence[str]], updates: int, seed: int = SEED) -> Sample:
    """One log in which every key gets `updates` values, each once."""
    rng = random.Random(f"{seed}:{updates}")
    drawn = {key: iter(rng.sample(list(known), updates)) for key, known in values.items()}
    turns: list[Turn] = []
    of_key: dict[str, list[Turn]] = {key: [] for key in values}
    for at, key in enumerate(interleave(dict.fromkeys(values, updates), rng)):
        turn = Turn(id=str(at), text=f"{key}: {next(drawn[key])}", occurred_at=BEGAN_AT + timedelta(minutes=at))
        turns.append(turn)
        of_key[key].append(turn)
    questions = tuple(
        Question(
            id=f"{updates}-{key}",
            text=f"What is the current value of {key}?",
            category="last",
            task="newest",
            key=Key(evidence=(said[-1].id,), answers=(said[-1].text.removeprefix(f"{key}: "),)),
            stale=tuple(one.id for one in said[:-1]),
        )
        for key, said in of_key.items()
    )
    return Sample(id=str(updates), turns=tuple(turns), questions=questions)


def _samples(folder: Path, variant: Variant) -> Iterator[Sample]:
    yield stream(read_json(folder / _FILE.path), int(variant.id))


def _load(folder: Path, variant_id: str) -> Iterator[Sample]:
    variant = variant_of(PI_LLM, variant_id)
    return counted(PI_LLM, variant, _samples(folder, variant))


PI_LLM = Dataset(
    id="pi-llm",
    title="PI-LLM",
    source="Wang and Sun 2025, Unable to Forget, arXiv 2506.08184; zhuangziGiantfish/Unable-to-Forget, testing_data",
    licence="MIT",
    about=(
        "Does the last value of a key come before all of its earlier ones? Beware of equal scores: texts of one key differ "
        "by their value alone, so the order of ties decides for a system that does not look at the time."
    ),
    variants=tuple(
        Variant(
            id=str(updates),
            samples=1,
            turns=KEYS * updates,
            categories=categories([("last", "last value of a key", KEYS)]),
            files=(_FILE,),
        )
        for updates in UPDATES
    ),
    load=_load,
    notes={
        "variants": "The number is how many values each of the 46 keys gets; plot the score against its logarithm.",
        "values": "No value stands under two keys, nor twice under one, letter case aside: checked on the file.",
        "chance": "A system that ranks a key's turns in no order of time is right once in as many as there are updates.",
        "one stream": "46 questions a variant: the interval is wide, and one seed is one stream.",
    },
)
