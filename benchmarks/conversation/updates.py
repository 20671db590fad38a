"""Is the newest value first, and is an old one still there as of its time?

pi-llm: 46 keys that get N values each as "key: value" episodes, in the order of a seeded shuffle, recorded one minute apart.
  newest    the first hit that tells a value of the key tells its last one
  then      asked as of the moment a middle value was recorded, the first hit that tells a value tells that one
questions: of LongMemEval and BEAM, whose answer was changed in the course of the log; see `update_questions`
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from statistics import mean
from typing import Any

from found import measured, merge_into, show
from recorded_model import RecordedModel
from update_questions import figures, measured_questions
from vectors import kept_vectors

from mnemic import Memory
from mnemic.bench.dataset import Sample
from mnemic.bench.registry import dataset
from mnemic.bench.trial import times_of
from mnemic.clock import ManualClock
from mnemic.model import Hit
from mnemic.models.embedder import Embedder
from mnemic.text.terms import normalised

SYSTEMS = ("mem0", "keep-me-updated", "theanine", "memos", "hybrid", "dense")
OFFLINE, RULED = "offline", "ruled"
LIMIT = 50


def updated(
    systems: Sequence[str],
    out: Path,
    data: Path,
    work: Path,
    *,
    sizes: Sequence[int],
    embedder: str,
    samples: int | None = None,
) -> None:
    """Measure, keep and show it."""
    vectors = kept_vectors(embedder, work)
    cards = [card for card in measured(systems or SYSTEMS) if card.id not in ("full", "random")]
    rows: list[dict[str, Any]] = []
    for card in cards:
        for path in (OFFLINE, *((RULED,) if "llm" in card.needs else ())):
            row: dict[str, Any] = {"system": card.id, "path": path, "error": None}
            began = time.perf_counter()
            try:
                for size in sizes:
                    sample = next(iter(dataset("pi-llm").load(data, str(size))))
                    row |= {
                        f"{name} {size}": value for name, value in stream(card.id, path, sample, data, vectors).items()
                    }
                if path == OFFLINE:
                    asked = list(measured_questions(card.id, data, vectors, samples))
                    row |= figures(asked) | {"questions": [asdict(scores) for _, scores in asked]}
            except Exception as error:  # the others are measured
                row["error"] = f"{type(error).__name__}: {error}"[:300]
            row["elapsed_s"] = time.perf_counter() - began
            rows.append(row)
            merge_into(out, "update", [row], ("system", "path"), embedder=vectors.id)
            print(f"{card.id} ({path}): {row['elapsed_s']:.0f} s {row['error'] or ''}", flush=True)
    columns = ["path", *(f"{name} {size}" for name in ("newest", "then") for size in sizes)]
    columns += [f"questions {what}" for what in ("n", "newest", "found", "newest@10", "then")]
    show(
        "Updates",
        ("system", *columns, "error"),
        ([row["system"], *map(row.get, columns), row["error"]] for row in rows),
    )


def stream(system: str, path: str, sample: Sample, data: Path, embedder: Embedder) -> dict[str, float]:
    """Both figures of one stream."""
    times = times_of(sample.turns)
    clock = ManualClock(times[0])
    llm = RecordedModel.of(data).llm() if path == RULED else "none"
    newest, then = [], []
    with Memory.open(embedder=embedder, clock=clock, llm="none", background=False) as memory:
        for turn, at in zip(sample.turns, times, strict=True):
            clock.set(at)
            memory.add({"id": f"t{turn.id}", "role": "user", "content": turn.text, "occurred_at": at})
        clock.advance(timedelta(hours=1))
        memory.attach(system, llm=llm)
        if error := memory.consolidate()[system].get("error"):
            raise RuntimeError(str(error))
        handle = memory.system(system)
        said = {f"t{turn.id}": turn for turn in sample.turns}
        for question in sample.questions:
            ids = [f"t{id}" for id in (*question.stale, *question.key.evidence)]
            values = [said[id].text.partition(": ")[2] for id in ids]
            newest.append(is_newest(handle.search(question.text, limit=LIMIT).hits, ids, values))
            middle = max(len(ids) // 2 - 1, 0)
            as_of = said[ids[middle]].occurred_at
            recall = handle.search(question.text, limit=LIMIT, as_of=as_of)
            then.append(is_newest(recall.hits, ids[: middle + 1], values[: middle + 1]))
    return {"newest": mean(newest), "then": mean(then)}


def is_newest(hits: Sequence[Hit], ids: Sequence[str], values: Sequence[str]) -> float:
    """1 where the first hit that tells any of the values tells the last one; of a text with several, the last counts.

    ids: of the turns that told the values, oldest first; only hits that stand on one of them count.
    """
    told = [f" {normalised(value)} " for value in values]
    for hit in hits:
        text = f" {normalised(hit.text)} "
        found = [(text.rindex(value), at) for at, value in enumerate(told) if value in text]
        if found and not set(hit.sources).isdisjoint(ids):
            return float(max(found)[1] == len(told) - 1)
    return 0.0
