"""All datasets by name. To add one: write its loader in `datasets/`, add its line here."""

from __future__ import annotations

import difflib
import importlib

from mnemic.bench.dataset import Dataset, Variant
from mnemic.errors import ParameterError

DATASETS: dict[str, str] = {
    "locomo": "mnemic.bench.datasets.locomo:LOCOMO",
    "temporal-memory": "mnemic.bench.datasets.temporal_memory:TEMPORAL_MEMORY",
    "beam": "mnemic.bench.datasets.beam:BEAM",
    "longmemeval": "mnemic.bench.datasets.longmemeval:LONGMEMEVAL",
    "musique": "mnemic.bench.datasets.multihop:MUSIQUE",
    "2wiki": "mnemic.bench.datasets.multihop:TWO_WIKI",
    "hotpotqa": "mnemic.bench.datasets.multihop:HOTPOTQA",
    "pi-llm": "mnemic.bench.datasets.pi_llm:PI_LLM",
    "book-sort": "mnemic.bench.datasets.book_sort:BOOK_SORT",
    "memdaily": "mnemic.bench.datasets.memdaily:MEMDAILY",
    "memorybank": "mnemic.bench.datasets.memorybank:MEMORYBANK",
    "prefeval": "mnemic.bench.datasets.prefeval:PREFEVAL",
    "goodai-ltm": "mnemic.bench.datasets.goodai_ltm:GOODAI_LTM",
    "stepgame": "mnemic.bench.datasets.stepgame:STEPGAME",
    "clutrr": "mnemic.bench.datasets.clutrr:CLUTRR",
    "babi": "mnemic.bench.datasets.babi:BABI",
    "timequestions": "mnemic.bench.datasets.timequestions:TIMEQUESTIONS",
    "memoryagentbench": "mnemic.bench.datasets.memoryagentbench:MEMORYAGENTBENCH",
    "popqa": "mnemic.bench.datasets.popqa:POPQA",
}


def dataset(id: str) -> Dataset:
    """A dataset by its id. Raises ParameterError, with the nearest name."""
    if id not in DATASETS:
        near = difflib.get_close_matches(id, DATASETS, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ParameterError(f"There is no dataset {id!r}.{hint} There are: {', '.join(DATASETS)}.")
    module, name = DATASETS[id].split(":")
    found: Dataset = getattr(importlib.import_module(module), name)
    return found


def variant(name: str) -> tuple[Dataset, Variant]:
    """A dataset and one of its variants, from "beam/100k", or "beam" for its first. Raises ParameterError."""
    id, _, wanted = name.partition("/")
    chosen = dataset(id)
    known = {one.id: one for one in chosen.variants}
    if wanted and wanted not in known:
        raise ParameterError(f"{id} has no variant {wanted!r}. It has: {', '.join(filter(None, known)) or 'only one'}.")
    return chosen, known[wanted] if wanted else chosen.variants[0]
