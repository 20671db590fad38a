"""Evidence recall on LoCoMo: each system with the answers that a model once gave, on its offline path, and the baselines.

What is asked and how it is scored is `mnemic.bench`'s: its logs, its trial, its figures. Categories 1 to 4 count, as there.
The recorded answers are what a model wrote about these very conversations, without the questions in view: they show what a
system does with facts and summaries of a model's quality, not how well a model would find them. Decisions are ruled.
A hit that stands on many turns finds much: so beside recall@10 stands how many turns a hit stands on, and the recall of the
hits that fit into 1,000 tokens.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import Any

from found import BASELINES, measured, merge_into, show
from recorded_model import EMPTY, RECORDED, RecordedModel
from vectors import kept_vectors

from mnemic.bench.dataset import Sample
from mnemic.bench.registry import dataset
from mnemic.bench.results import Asked
from mnemic.bench.run import code_digest
from mnemic.bench.spec import Spec
from mnemic.bench.trial import Asking, measure, open_log, remove_log, turns_digest
from mnemic.models.embedder import Embedder

APART = ("5",)  # adversarial
METRICS = ("recall@10", "recall@5", "mrr", "recall@1000t", "sources@10")
CATEGORIES = {"1": "multi-hop", "2": "temporal", "3": "open-domain", "4": "single-hop"}
ASKING = Asking(run="recorded", dataset="locomo/five", ks=(5, 10), depth=20, budget_tokens=700)
OFFLINE, WITH_MODEL, RULES_ALONE = "offline", "recorded", "ruled"


def recorded(systems: Sequence[str], out: Path, data: Path, work: Path, *, samples: int | None, embedder: str) -> None:
    """Measure, keep and show it."""
    read = list(islice(dataset("locomo").load(data, "five"), samples))
    vectors = kept_vectors(embedder, work)
    cards = measured(systems)
    paths = [(id, OFFLINE) for id in BASELINES if not any(card.id == id for card in cards)]
    for card in cards:
        paths += [(card.id, OFFLINE), *([(card.id, WITH_MODEL)] if "llm" in card.needs else [])]
    rows: list[dict[str, Any]] = [ceiling(read, data)]
    merge_into(out, "recorded", rows, ("system", "path"))
    for system, path in paths:
        rows.append(one(system, path, read, data, work, vectors))
        kept = merge_into(
            out, "recorded", rows[-1:], ("system", "path"), samples=len(read), embedder=vectors.id, code=code_digest()
        )
        print(f"{system} ({path}): {rows[-1].get('recall@10', 'none')} {rows[-1]['error'] or ''}", flush=True)
    columns = ("path", *METRICS, *CATEGORIES.values(), "questions", "ingest_s", "calls", "empty", "error")
    show(
        f"Evidence recall, LoCoMo, {len(read)} conversations, {vectors.id}",
        ("system", *columns),
        (
            [row["system"], *(row.get(name) for name in columns)]
            for row in sorted(kept, key=lambda row: -row.get("recall@10", 0.0))
        ),
    )


def ceiling(samples: Sequence[Sample], data: Path) -> dict[str, Any]:
    """The share of the evidence that any recorded fact stands on: what is made of recorded facts alone finds no more."""
    said = RecordedModel.of(data).said
    shares: dict[str, list[float]] = {}
    for sample in samples:
        turns = [{"turn": turn.id, "speaker": turn.actor, "text": turn.text} for turn in sample.turns]
        numbers = [{**turn, "turn": at} for at, turn in enumerate(turns)]
        stated = {turns[fact["turn"]]["turn"] for fact in said.facts(numbers)}
        for question in sample.questions:
            if question.category not in APART and question.key.evidence:
                evidence = set(question.key.evidence)
                shares.setdefault(question.category, []).append(len(evidence & stated) / len(evidence))
    every = [share for own in shares.values() for share in own]
    by_name = {CATEGORIES[id]: mean(own) for id, own in shares.items()}
    return {
        "system": "(all recorded facts)",
        "path": WITH_MODEL,
        "recall@10": mean(every),
        "questions": len(every),
        **by_name,
    }


def one(
    system: str, path: str, samples: Sequence[Sample], data: Path, work: Path, embedder: Embedder
) -> dict[str, Any]:
    """The means of one system over all samples."""
    model = RecordedModel.of(data)
    llm = model.llm() if path == WITH_MODEL else None
    asked: list[Asked] = []
    error, ingest_s, began = None, 0.0, time.perf_counter()
    for sample in samples:
        counted = Sample(
            id=sample.id,
            turns=sample.turns,
            questions=tuple(one for one in sample.questions if one.category not in APART),
        )
        with open_log(log_file(work, sample, embedder.id), counted, embedder, llm or "none") as log:
            try:
                ingested, answers = measure(log, Spec(system, system), ASKING)
            except Exception as failure:  # the others are measured
                error = f"{sample.id}: {type(failure).__name__}: {failure}"[:200]
                break
        asked += answers
        ingest_s += ingested.system_s
        if ingested.failures:
            error = f"{sample.id}: {ingested.failures} failures of ingestion"
    if llm and model.counts and not any(origin == RECORDED for origin, _ in model.counts):
        path = RULES_ALONE  # nothing that it asks was recorded
    return {"system": system, "path": path, "ingest_s": ingest_s, "elapsed_s": time.perf_counter() - began} | {
        **figures(asked),
        "calls": llm.calls if llm else 0,
        "answers": model.shares(),
        "empty": sum(n for (origin, _), n in model.counts.items() if origin == EMPTY),
        "error": error or (llm.problems[0] if llm and llm.problems else None),
    }


def figures(asked: Sequence[Asked]) -> dict[str, Any]:
    """The means of the questions that have evidence, over all and by category."""
    scored = [one for one in asked if "recall@10" in one.scores]
    if not scored:
        return {"questions": 0}
    found: dict[str, Any] = {
        name: mean(one.scores[name] for one in scored if name in one.scores)
        for name in METRICS
        if any(name in one.scores for one in scored)
    }
    for id, name in CATEGORIES.items():
        if own := [one.scores["recall@10"] for one in scored if one.category == id]:
            found[name] = mean(own)
    return {**found, "questions": len(scored)}


def log_file(work: Path, sample: Sample, embedder: str) -> Path:
    """Where a sample's log is kept: another one for other code, whose terms and vectors may be others."""
    folder = work / "locomo"
    path = folder / f"{sample.id.replace('/', '-')}-{turns_digest(sample, embedder)}-{code_digest()}.db"
    for other in set(folder.glob(f"{sample.id.replace('/', '-')}-*.db")) - {path}:
        remove_log(other)
    return path
