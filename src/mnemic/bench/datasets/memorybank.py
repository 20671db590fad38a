"""MemoryBank: ten days of chat of fifteen invented users, with probing questions that have no gold answer.

One user is one log, one day a session. Source: arXiv 2305.10250, zhongwanjun/MemoryBank-SiliconFriend, eval_data.
Departs: people rated the answers in the paper; here nothing can be scored. The questions are kept with an empty key, for
cost, tokens and reading what is recalled. A day is all the file says of the time: its messages are set a minute apart
from noon.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mnemic.bench.dataset import Dataset, File, Key, Question, Sample, Turn, Variant
from mnemic.bench.datasets.files import categories, counted, read_json, read_lines, variant_of

_RAW = (
    "https://raw.githubusercontent.com/zhongwanjun/MemoryBank-SiliconFriend/"
    "ddd1b449926da32759d4f1ff86e69842c403be31/eval_data"
)
_SHA256 = {
    "memory_bank_cn.json": "6098382314c7e5cf1d4564a3b587e9863b1e083f2ba56ce3fbbea68a1c91d287",
    "probing_questions_cn.jsonl": "10f26828cc14a98b6dca39223d7536b7b9af38f1fe68d7851070a64ec0339aa7",
    "memory_bank_en.json": "27c302202f9675d87dcaa73e3a42dc0fca8999dcff3c6e7882a787c8a08d9bc7",
    "probing_questions_en.jsonl": "84538a41e5a9c8000850c19008a85445b01bf52c9960c9d735d21a4b73e5c648",
}


def to_sample(name: str, history: Mapping[str, Sequence[Mapping[str, str]]], asked: Sequence[str]) -> Sample:
    """One user's days of talk and what is asked of them."""
    turns: list[Turn] = []
    for day, talk in history.items():
        at = datetime.strptime(day, "%Y-%m-%d").replace(hour=12, tzinfo=UTC)
        for number, pair in enumerate(talk):
            said_at = at + timedelta(minutes=2 * number)
            id = f"{day}-{number}"
            turns.append(Turn(id=f"{id}-q", text=pair["query"], actor=name, session=day, occurred_at=said_at))
            answered_at = said_at + timedelta(minutes=1)
            turns.append(
                Turn(id=f"{id}-r", text=pair["response"], role="assistant", session=day, occurred_at=answered_at)
            )
    questions = tuple(
        Question(id=f"{name}-{number}", text=text, category="probing", key=Key()) for number, text in enumerate(asked)
    )
    return Sample(id=name, turns=tuple(turns), questions=questions)


def _samples(folder: Path, variant: Variant) -> Iterator[Sample]:
    bank, probing = (folder / file.path for file in variant.files)
    users: dict[str, Any] = {name.strip(): user for name, user in read_json(bank).items()}
    for line in filter(None, read_lines(probing)):
        for name, asked in json.loads(line).items():
            yield to_sample(name, users[name.strip()]["history"], asked)


def _load(folder: Path, variant_id: str) -> Iterator[Sample]:
    variant = variant_of(MEMORYBANK, variant_id)
    return counted(MEMORYBANK, variant, _samples(folder, variant))


def _variant(language: str) -> Variant:
    names = (f"memory_bank_{language}.json", f"probing_questions_{language}.jsonl")
    return Variant(
        id=language,
        samples=15,
        turns=1132,
        categories=categories([("probing", "probing, without a key", 100)]),
        files=tuple(
            File(path=f"memorybank/{language}/{name}", sha256=_SHA256[name], url=f"{_RAW}/{language}/{name}")
            for name in names
        ),
    )


MEMORYBANK = Dataset(
    id="memorybank",
    title="MemoryBank",
    source="Zhong et al. 2023, arXiv 2305.10250; zhongwanjun/MemoryBank-SiliconFriend, eval_data",
    licence="MIT",
    about=(
        "Ten days of friendly chat and about seven probing questions a user, in English and in Chinese. There is no answer "
        "key: it shows cost, tokens and what is recalled, and it measures no accuracy."
    ),
    variants=(_variant("en"), _variant("cn")),
    load=_load,
    apart=("probing",),
    notes={
        "no key": "No question has evidence or an answer, so none counts in any recall figure.",
        "summaries": "The file's fields for daily summaries and personality are not handed over.",
        "times": "The file has days only; messages of a day are set one minute apart from noon.",
    },
)
