"""Is the newest value first, and is an old one still there as of its time?

pi-llm: 46 keys that get N values each as "key: value" episodes, in the order of a seeded shuffle, recorded one minute apart.
  newest    the first hit that tells a value of the key tells its last one
  then      asked as of the moment a middle value was recorded, the first hit that tells a value tells that one
knowledge update: questions of LongMemEval and BEAM whose answer was changed in the course of the log
  newest@10 the newest turn of the evidence is behind one of the first ten hits;  first: and before the others of it
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import Any

from found import measured, merge_into, show
from recorded_model import RecordedModel
from vectors import kept_vectors

from mnemic import Memory
from mnemic.bench.dataset import Question, Sample
from mnemic.bench.metrics import ranks
from mnemic.bench.registry import dataset
from mnemic.bench.results import Asked
from mnemic.bench.spec import Spec
from mnemic.bench.trial import Asking, measure, open_log, times_of
from mnemic.clock import ManualClock
from mnemic.model import Hit
from mnemic.models.embedder import Embedder
from mnemic.text.terms import normalised

SYSTEMS = ("mem0", "keep-me-updated", "theanine", "memos", "hybrid", "dense")
OFFLINE, RULED = "offline", "ruled"
LIMIT = 50
KNOWLEDGE_UPDATES = (("longmemeval", "s-samples", "knowledge-update"), ("beam", "100k", "knowledge_update"))


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
                for name, variant, category in KNOWLEDGE_UPDATES:
                    if path == OFFLINE:
                        row |= questions(card.id, name, variant, category, data, work, vectors, samples)
            except Exception as error:  # the others are measured
                row["error"] = f"{type(error).__name__}: {error}"[:300]
            row["elapsed_s"] = time.perf_counter() - began
            rows.append(row)
            merge_into(out, "update", [row], ("system", "path"), embedder=vectors.id)
            print(f"{card.id} ({path}): {row['elapsed_s']:.0f} s {row['error'] or ''}", flush=True)
    columns = ["path", *(f"{name} {size}" for name in ("newest", "then") for size in sizes)]
    columns += [
        f"{name} {what}" for name, _, _ in KNOWLEDGE_UPDATES for what in ("n", "newest@10", "first", "recall@10")
    ]
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


def questions(
    system: str,
    name: str,
    variant: str,
    category: str,
    data: Path,
    work: Path,
    embedder: Embedder,
    samples: int | None = None,
) -> dict[str, float]:
    """The figures of a dataset's questions about what was changed."""
    asking = Asking(run="update", dataset=name, ks=(10,), depth=50, budget_tokens=700)
    first, newest, recalls = [], [], []
    for sample in islice(dataset(name).load(data, variant), samples):
        wanted = tuple(one for one in sample.questions if one.category == category and one.key.evidence)
        if not wanted:
            continue
        place = {turn.id: at for at, turn in enumerate(sample.turns)}
        counted = Sample(id=sample.id, turns=sample.turns, questions=wanted)
        file = work / name / f"{sample.id.replace('/', '-')}-{embedder.id.replace('/', '-')}.db"
        with open_log(file, counted, embedder) as log:
            _, answers = measure(log, Spec(system, system), asking)
        for question, asked in zip(wanted, answers, strict=True):
            scores = of_newest(question, asked, place)
            newest.append(scores["newest@10"])
            first += [scores["first"]] if "first" in scores else []
            recalls.append(asked.scores["recall@10"])
    found = {"n": float(len(newest)), "newest@10": mean(newest), "recall@10": mean(recalls)} if newest else {}
    return {f"{name} {what}": value for what, value in (found | ({"first": mean(first)} if first else {})).items()}


def of_newest(question: Question, asked: Asked, place: Mapping[str, int]) -> dict[str, float]:
    """Whether the newest turn of the evidence is among ten hits, and where there are several, whether it is the first of them."""
    evidence = sorted((id for id in question.key.evidence if id in place), key=place.__getitem__)
    found = ranks([hit.turns for hit in asked.found], evidence)
    rank = found.get(evidence[-1]) if evidence else None
    scores = {"newest@10": float(rank is not None and rank <= 10)}
    if len(evidence) > 1:
        others = [found[id] for id in evidence[:-1] if id in found]
        scores["first"] = float(rank is not None and all(rank < other for other in others))
    return scores
