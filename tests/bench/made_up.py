"""Results that nobody measured: systems of known skill on a log of invented turns, for the tests of reports."""

from pathlib import Path

import numpy as np

from mnemic.bench.results import Asked, Found, Ingested, Results, Run, Text

SKILLS = {"hybrid": 0.8, "amem": 0.72, "rrf": 0.6, "bm25": 0.6, "dense": 0.5, "recent": 0.05, "full": 0.3}
SKILLS |= {"grep": 0.45, "random": 0.02, "none": 0.0, "oracle": 1.0}
BUDGETS = (500, 1000, 2000, 4000, 8000)


def asked(system: str = "hybrid", question: str = "q0", **changes: object) -> Asked:
    """One question, whatever else is said of it."""
    fields: dict[str, object] = {
        "run": "r1",
        "dataset": "made-up",
        "system": system,
        "sample": "s0",
        "question": question,
        "text": f"What of {question}?",
        "category": "1",
        "task": "recall",
        "evidence": ("t1",),
        "corrected": None,
        "found": (Found(turns=("t2",), score=0.5, tokens=10),),
        "scores": {"recall@10": 1.0},
        "confidence": 0.5,
        "elapsed_ms": 1.0,
        "context_tokens": 100,
        "context_turns": ("t2",),
    }
    return Asked(**(fields | changes))  # type: ignore[arg-type]


def ingested(system: str = "hybrid", sample: str = "s0", **changes: object) -> Ingested:
    """One sample taken in, whatever else is said of it."""
    fields: dict[str, object] = {
        "run": "r1",
        "dataset": "made-up",
        "system": system,
        "sample": sample,
        "turns": 600,
        "sessions": 20,
        "tokens": 20_000,
        "log_s": 0.5,
        "system_s": 0.25,
        "bytes": 600_000,
        "failures": 0,
        "peak_rss_bytes": 150_000_000,
    }
    return Ingested(**(fields | changes))  # type: ignore[arg-type]


def write(path: Path, dataset: str = "made-up", *, samples: int = 3, questions: int = 40, tokens: int = 20_000) -> Path:
    """A file of results of every kind of system and question, drawn with a fixed seed."""
    rng = np.random.default_rng(7)
    luck = rng.random((samples, questions))
    run = f"run of {dataset}"
    settings = {
        "systems": list(SKILLS),
        "embedder": "all-MiniLM-L6-v2",
        "machine": "2 cores",
        "digests": {"made-up.json": "0" * 64},
        "judge": {"model": "scripted", "prompt": "Is <this> right?", "false_accept_rate": 0.12},
    }
    with Results(path) as results:
        results.begin(Run(id=run, dataset=dataset, began_at="2024-05-01T12:00:00Z", version="0.1", settings=settings))
        results.warn(dataset, "origin", "Nobody measured this.")
        for place in range(samples):
            sample = f"s{place}"
            texts = [f"Turn {n}: nothing to see" for n in range(30)]
            texts[3] = "<script>alert('a turn')</script> & a | pipe, *stars*"
            results.keep_texts(
                Text(dataset, sample, f"t{n}", "Ann", None, "2024-05-01T09:30:00+00:00", text)
                for n, text in enumerate(texts)
            )
            for system, skill in SKILLS.items():
                rows = [
                    _question(run, dataset, system, sample, n, skill, float(luck[place, n]), rng)
                    for n in range(questions)
                ]
                fields = {"run": run, "dataset": dataset, "tokens": tokens, "turns": tokens // 33}
                results.save(ingested(system, sample, **fields), rows, place=place)
    return path


def _question(
    run: str, dataset: str, system: str, sample: str, n: int, skill: float, luck: float, rng: np.random.Generator
) -> Asked:
    category = str(1 + n % 5)
    is_absent = category == "5"
    hit = float(luck < skill)
    scores: dict[str, float] = {}
    if not is_absent:
        ranks = {
            "recall@5": 0.8 * hit,
            "recall@10": hit,
            "recall@20": hit,
            "all@10": hit,
            "any@10": hit,
            "mrr": hit / 2,
        }
        tokens = {f"recall@{budget}t": float(luck < skill * (0.55 + 0.15 * at)) for at, budget in enumerate(BUDGETS)}
        answers = {"answer_em": float(luck < skill - 0.2), "answer_f1": 0.9 * hit, "judged": hit}
        scores = {**ranks, "ndcg@10": 0.7 * hit + 0.1 * luck, "block_recall": hit, **tokens, **answers}
    if n % 11 == 1 and not is_absent:
        scores["corrected:recall@10"] = 1.0
    return asked(
        system,
        f"{sample}-q{n}",
        run=run,
        dataset=dataset,
        sample=sample,
        text=f"Who said <b>{n}</b> | and why?",
        category=category,
        task="absent" if is_absent else "recall",
        evidence=() if is_absent else ("t1", "t3"),
        corrected=("t4",) if n % 11 == 1 and not is_absent else None,
        found=tuple(Found(turns=(f"t{at}",), score=1 / at, tokens=40) for at in ((3, 7, 8) if hit else (7, 8, 9, 3))),
        scores=scores,
        confidence=None
        if system == "full"
        else float(np.clip(0.3 + 0.4 * (hit and not is_absent) + 0.3 * rng.random(), 0, 1)),
        elapsed_ms=float(rng.gamma(4, {"bm25": 0.2, "dense": 0.3}.get(system, 0.6))),
        context_tokens={"full": 20_000, "oracle": 60}.get(system, 1500),
    )
