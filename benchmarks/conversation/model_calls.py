"""What each system asks a model for a hundred turns: calls and tokens, by step, on the first conversation of LoCoMo.

The model is `recorded_model.RecordedModel`: it answers at once, and tokens are counted by the rule of `mnemic.text.tokens`.
Writing is all that is asked until the log is taken in; recall is what ten questions ask.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dialogue import WordVectors
from found import measured, merge_into, show
from recorded_model import EMPTY, RecordedModel

from mnemic import Memory
from mnemic.bench.dataset import Sample
from mnemic.bench.registry import dataset
from mnemic.bench.trial import SCOPE, times_of, write
from mnemic.clock import ManualClock

QUESTIONS = 10
OF_MEM0 = 0.1  # the most that lightmem may ask, as a share of mem0's calls


def calls(systems: Sequence[str], out: Path, data: Path, *, turns: int) -> None:
    """Measure, keep and show it."""
    whole = next(iter(dataset("locomo").load(data, "five")))
    sample = Sample(id=whole.id, turns=whole.turns[:turns], questions=whole.questions[:QUESTIONS])
    rows = []
    for card in measured(systems):
        if "llm" in card.needs:
            rows.append(one(card.id, sample, data))
            merge_into(out, "calls", rows[-1:], ("system",), turns=len(sample.turns))
            print(f"{card.id}: {rows[-1]['calls']} calls {rows[-1]['error'] or ''}", flush=True)
    names = ("calls", "tokens_in", "tokens_out", "empty", "given_up", "recall_calls", "elapsed_s", "error")
    show(
        f"Asked for 100 turns of LoCoMo ({len(sample.turns)} were taken in)",
        (
            "system",
            "calls",
            "tokens in",
            "tokens out",
            "of them empty",
            "given up",
            "calls a recall",
            "s in all",
            "error",
        ),
        ([row["system"], *(row[name] for name in names)] for row in sorted(rows, key=lambda row: -row["calls"])),
    )
    show(
        "Where the answers came from",
        ("system", "step: calls", "answers"),
        (
            [
                row["system"],
                ", ".join(f"{step} {n}" for step, n in row["steps"].items()),
                ", ".join(f"{name} {n}" for name, n in row["answers"].items()),
            ]
            for row in rows
        ),
    )
    by = {row["system"]: row["calls"] for row in merge_into(out, "calls", [], ("system",), turns=len(sample.turns))}
    if by.get("mem0") and "lightmem" in by:
        share = by["lightmem"] / by["mem0"]
        told = "as it should be" if share <= OF_MEM0 else "more than it should be"
        print(f"lightmem asks {share:.3f} of mem0's calls; at most {OF_MEM0:g} is wanted: {told}.")


def one(system: str, sample: Sample, data: Path) -> dict[str, Any]:
    """What one system asks."""
    model = RecordedModel.of(data)
    llm = model.llm()
    times = times_of(sample.turns)
    began = time.perf_counter()
    with Memory.open(embedder=WordVectors(), clock=ManualClock(max(times)), llm="none", background=False) as root:
        write(root.scope(SCOPE), sample, times)
        root.attach(system, llm=llm)
        error = root.consolidate()[system].get("error")
        spent = root.stats()["llm"]
        answers = model.shares()
        failures = [one for one in root._shared.store.records.failures() if one.system == system]
        asked_before = llm.calls
        handle = root.scope(SCOPE).system(system)
        for question in sample.questions:
            handle.search(question.text, limit=10)
    per_100 = 100 / len(sample.turns)
    problems = "; ".join(llm.problems)
    return {
        "system": system,
        "turns": len(sample.turns),
        "calls": sum(step["calls"] for step in spent) * per_100,
        "tokens_in": round(sum(step["tokens_in"] for step in spent) * per_100),
        "tokens_out": round(sum(step["tokens_out"] for step in spent) * per_100),
        "steps": {step["step"]: step["calls"] for step in spent},
        "answers": answers,
        "empty": sum(n for name, n in answers.items() if name.startswith(EMPTY)),
        "given_up": len(failures),
        "recall_calls": (llm.calls - asked_before) / max(len(sample.questions), 1),
        "elapsed_s": time.perf_counter() - began,
        "error": error or problems or None,
    }
