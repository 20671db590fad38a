"""Seconds that a system takes to ingest a log without a model, embedding left out; each point in a process of its own.

The log is written before the clock runs. Timed is `attach` with `consolidate`: reading the log, observing it in batches,
writing records, links and vectors into a SQLite file. What the embedder takes (`dialogue.WordVectors`) is timed and
subtracted, in seconds and in the processor's time.
"""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dialogue import BEGAN_AT, QUESTIONS, WordVectors, messages
from found import measured, merge_into, show, with_records
from growth import beyond_n_log_n, picture, slope

from mnemic import Memory
from mnemic.clock import ManualClock

SIZES = (1250, 2500, 5000, 10_000, 20_000, 50_000)
ONE = 5000


def one(system: str, n: int) -> dict[str, Any]:
    """One point, in this process."""
    embedder = WordVectors()
    said = messages(n)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.db"
        clock = ManualClock(max(said[-1]["occurred_at"], BEGAN_AT))
        with Memory.open(path, embedder=embedder, clock=clock, durability="normal", llm="none") as memory:
            for start in range(0, n, 1000):
                memory.add(said[start : start + 1000])
            memory.search("warm", limit=1)
            embedded, embedded_cpu = embedder.elapsed_s, embedder.cpu_s
            began, began_cpu = time.perf_counter(), time.process_time()
            memory.attach(system)
            done = memory.consolidate()[system]
            elapsed_s, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
            elapsed_s -= embedder.elapsed_s - embedded
            cpu_s -= embedder.cpu_s - embedded_cpu
            handle = memory.system(system)
            asked = []
            for question in QUESTIONS * 3:
                since = time.perf_counter()
                handle.search(question, limit=10)
                asked.append(1e3 * (time.perf_counter() - since))
            records = memory.records(system=system, limit=1_000_000)
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    return {
        "system": system,
        "n": n,
        "elapsed_s": elapsed_s,
        "cpu_s": cpu_s,
        "embedding_s": embedder.elapsed_s - embedded,
        "records": len(records),
        "recall_p50_ms": statistics.median(asked),
        "recall_first_ms": asked[0],
        "bytes": size,
        "error": done.get("error"),
    }


def apart(system: str, n: int, limit_s: float) -> dict[str, Any]:
    """One point in a fresh process; with the error where it fails, or takes longer than `limit_s` of the processor's time."""
    command = [sys.executable, str(Path(__file__).parent.parent / "conversation.py"), "point", system, str(n)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    began = time.perf_counter()

    def limited() -> None:  # the processor's time: that of the clock says more of the machine's other work
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(limit_s), math.ceil(limit_s) + 1))

    ended = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, preexec_fn=limited)
    whole_s = time.perf_counter() - began
    if ended.returncode == -signal.SIGXCPU:
        return {"system": system, "n": n, "error": f"longer than {limit_s:g} s of CPU", "whole_s": whole_s}
    if ended.returncode:
        lines = ended.stderr.strip().splitlines() or ["no word of why"]
        return {"system": system, "n": n, "error": lines[-1], "whole_s": whole_s}
    point: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return point | {"whole_s": whole_s}


def speeds(systems: Sequence[str], out: Path, *, n: int, runs: int, limit_s: float) -> None:
    """The median of several runs at one size."""
    rows = []
    for card in with_records(measured(systems)):
        points = [apart(card.id, n, limit_s)]
        while len(points) < runs and not points[-1].get("error"):
            points.append(apart(card.id, n, limit_s))
        good = [point for point in points if not point.get("error")]
        middle = sorted(good, key=lambda point: point["cpu_s"])[len(good) // 2] if good else points[-1]
        rows.append({**middle, "runs": [point.get("elapsed_s") for point in points]})
        merge_into(out, "ingest", rows, ("system", "n"), embedding="subtracted")
        told = middle.get("error") or f"{middle['elapsed_s']:.1f} s, {middle['cpu_s']:.1f} of CPU"
        print(f"{card.id}: {told}", flush=True)
    names = ("elapsed_s", "cpu_s", "embedding_s", "records", "recall_p50_ms", "recall_first_ms", "error")
    ordered = sorted(rows, key=lambda row: -row.get("cpu_s", math.inf))
    show(
        f"{n:,} episodes, offline, without embedding; median of {runs}",
        ("system", "s", "s of CPU", "(embedding, s)", "records", "recall p50, ms", "first recall, ms", "error"),
        ([row["system"], *(row.get(name) for name in names)] for row in ordered),
    )


def growth(systems: Sequence[str], out: Path, *, sizes: Sequence[int], limit_s: float, plot: Path | None) -> None:
    """One run at each size; a system's series ends with the first point that takes longer than `limit_s` of CPU."""
    cards = with_records(measured(systems))
    kept: list[dict[str, Any]] = []
    for card in cards:
        for n in sizes:
            point = apart(card.id, n, limit_s)
            kept = merge_into(out, "growth", [point], ("system", "n"), embedding="subtracted", limit_s=limit_s)
            told = point.get("error") or f"{point['cpu_s']:.1f} s of CPU"
            print(f"{card.id} {n:,}: {told}", flush=True)
            if point.get("error"):
                break
    rows = sorted(kept, key=lambda row: row["n"])  # with what was measured before
    drawn = {}
    table = []
    sizes = sorted({row["n"] for row in rows})
    for system in dict.fromkeys(row["system"] for row in rows):
        own = [row for row in rows if row["system"] == system]
        times = [(row["n"], row["cpu_s"]) for row in own if not row.get("error")]
        drawn[system] = times
        at = dict(times)
        ratio = beyond_n_log_n(times) if len(times) > 1 else None
        table.append([system, *(at.get(n) for n in sizes), slope(times), ratio, own[-1].get("error") or ""])
    show(
        "Seconds of CPU by episodes, without embedding",
        ("system", *(f"{n:,}" for n in sizes), "slope", "of n log n", "ended by"),
        sorted(table, key=lambda row: -(row[-2] or 99.0)),
    )
    if plot is not None and (text := picture(drawn)):
        plot.parent.mkdir(parents=True, exist_ok=True)
        plot.write_text(text, "utf-8")
        print(f"The picture is in {plot}.")
