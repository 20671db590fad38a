"""MemDaily: short Chinese streams of messages about a person's days, each with one question and the messages it needs.

One stream is one log; the file's `target_step_id` is the evidence. Source: MemSim, arXiv 2409.20163,
nuster1128/MemSim, data_generation/final_dataset.
Departs: the 46 questions whose text failed in the making ("[ERRORQ]") are left out, with their streams. The place of a
message is not part of its text and is not handed over. Times are read as UTC.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mnemic.bench.dataset import Dataset, File, Key, Question, Sample, Turn, Variant
from mnemic.bench.datasets.files import categories, counted, read_json, variant_of

FILES: Mapping[str, tuple[str, ...]] = {
    "01_simple": ("events", "hybrid", "items", "places", "roles"),
    "02_conditional": ("events", "hybrid", "items", "places", "roles"),
    "03_comparative": ("events", "hybrid", "roles"),
    "04_aggregative": ("events", "hybrid", "roles"),
    "05_post_processing": ("events", "hybrid", "items", "places", "roles"),
    "06_noisy": ("events", "hybrid", "items", "places", "roles"),
}
PER_FILE = 20  # streams of a file in the small variant
SEED = 0


def read_time(text: str) -> datetime:
    """A time as the file writes it.

    >>> read_time("2024年04月01日 周一 08:38")
    datetime.datetime(2024, 4, 1, 8, 38, tzinfo=datetime.timezone.utc)
    """
    date, _, clock = text.split(" ")
    return datetime.strptime(f"{date} {clock}", "%Y年%m月%d日 %H:%M").replace(tzinfo=UTC)


def read_stream(row: Mapping[str, Any], file: str) -> Sample | None:
    """One stream of `file`, such as "01_simple_events"; None where the file says that its question failed."""
    id = f"{file}-{row['tid']}"
    (asked,) = row["question_list"]
    if asked["question"].startswith("[ERROR"):
        return None
    turns = tuple(
        Turn(id=str(one["mid"]), text=one["message"], occurred_at=read_time(one["time"])) for one in row["message_list"]
    )
    question = Question(
        id=id,
        text=asked["question"],
        category=file[:2],
        key=Key(evidence=tuple(map(str, asked["target_step_id"])), answers=(asked["answer"],)),
        asked_at=read_time(asked["time"]),
        options=tuple(asked["choices"].values()),
    )
    return Sample(id=id, turns=turns, questions=(question,))


def _samples(folder: Path, variant: Variant) -> Iterator[Sample]:
    for file in variant.files:
        name = Path(file.path).name.removesuffix(".json.gz")
        streams = [one for row in read_json(folder / file.path) if (one := read_stream(row, name))]
        if variant.id == "small":
            drawn = random.Random(f"{SEED}:{name}").sample(range(len(streams)), PER_FILE)
            streams = [streams[at] for at in sorted(drawn)]
        yield from streams


def _load(folder: Path, variant_id: str) -> Iterator[Sample]:
    variant = variant_of(MEMDAILY, variant_id)
    return counted(MEMDAILY, variant, _samples(folder, variant))


def _variant(id: str, turns: int, questions: Iterable[int]) -> Variant:
    rows = [(kind[:2], kind[3:].replace("_", " "), n) for kind, n in zip(FILES, questions, strict=True)]
    return Variant(
        id=id,
        samples=sum(n for _, _, n in rows),
        turns=turns,
        categories=categories(rows),
        files=tuple(
            File(path=f"memdaily/{kind}_{topic}.json.gz") for kind, topics in FILES.items() for topic in topics
        ),
    )


MEMDAILY = Dataset(
    id="memdaily",
    title="MemDaily",
    source="Zhang et al. 2024, MemSim, arXiv 2409.20163; nuster1128/MemSim@db9d5d5, data_generation/final_dataset",
    licence="none stated",
    about=(
        "Chinese messages of a few days and one question about them, some wrapped in small talk: are the messages that "
        "hold the answer recalled? A stream has four to some twenty messages, so only a small k says anything."
    ),
    variants=(
        _variant("small", 3750, (100, 100, 60, 60, 100, 100)),
        _variant("all", 26_003, (500, 500, 492, 462, 500, 500)),
    ),
    load=_load,
    ks=(1, 3, 5),
    notes={
        "language": "Chinese throughout: a lexical index must segment it, an English embedder is out of its depth.",
        "small": f"{PER_FILE} streams of each of the 26 files, drawn by a fixed seed; 'all' has every one.",
        "left out": "46 questions (8 comparative, 38 aggregative) whose text the file gives as [ERRORQ], with their streams.",
        "streams": "Streams contradict each other (each has its own 'my boss'), so they are never joined.",
        "place": "Evidence stands early in its stream (small talk follows it): the oldest messages first find more of it than "
        "any order by chance, the newest first less.",
        "noise": "The paper also mixes in other people's messages at 10, 50 and 100 to one; its noise is not in the files.",
    },
)
