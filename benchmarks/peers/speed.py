"""How fast a memory adds and searches, and how much disk and memory it takes, in its own environment.

Seconds on a busy machine say as much of the others on it as of the memory, so the processor's time of this process (all
its threads) stands beside them, and floors of the same minute.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from measure import BATCH, Adapter, Item, Lookup, items_of

RUNS = 3
SINGLES = 200  # adds one by one, on top of what is there
WARM, SEARCHES = 10, 100
SLOW_S = 60.0  # what takes longer to fill is filled once


def speed(make: type[Adapter], lookup: Lookup, world: dict[str, Any], n: int, scratch: Path) -> dict[str, Any]:
    """Adding in batches and one by one, searching, bytes and memory, with n items; medians of several fresh runs."""
    items = items_of(world)
    if make.takes == "lists":
        lookup.lists([])
    floors = {"floor_commit_ms": bare_commits(scratch, items), "floor_scan_ms": exact_scan(lookup, n)}
    forget_peak()
    before = current_rss()
    runs = []
    for number in range(RUNS):
        folder = scratch / f"run{number}"
        folder.mkdir()
        runs.append(one_run(make, folder, lookup, items[:n], world["queries"]))
        if number == 0:
            rss = highest_rss() - before
        if runs[0]["fill_s"] > SLOW_S:
            break
    medians = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    return medians | floors | {"runs": len(runs), "rss_bytes": rss, "size": n}


def one_run(
    make: type[Adapter], folder: Path, lookup: Lookup, items: Sequence[Item], queries: Sequence[str]
) -> dict[str, float]:
    """One life of a memory: filled in batches, then one by one, written down, searched, closed."""
    memory = make(folder, lookup)
    many, single = items[:-SINGLES], items[-SINGLES:]
    batches = [many[start : start + BATCH] for start in range(0, len(many), BATCH)]
    fill = Spent(lambda batch: memory.add_many("speed", batch), batches)
    one_by_one = Spent(lambda item: memory.add("speed", item), single)
    save = Spent(lambda _: memory.save(), [None])
    if memory.count("speed") != len(items):
        raise SystemExit(f"{memory.count('speed')} items are there of {len(items)}")
    for query in queries[:WARM]:
        memory.search("speed", query, 10)
    search = Spent(lambda query: memory.search("speed", query, 10), queries[WARM : WARM + SEARCHES])
    memory.close()
    return {
        "fill_s": sum(fill.seconds),
        "batch_per_s": len(many) / sum(fill.seconds),
        "batch_cpu_ms": 1e3 * fill.cpu_s / len(many),
        "single_ms": 1e3 * statistics.median(one_by_one.seconds),
        "single_cpu_ms": 1e3 * one_by_one.cpu_s / len(single),
        "save_ms": 1e3 * save.seconds[0],
        "search_p50_ms": 1e3 * statistics.median(search.seconds),
        "search_p95_ms": 1e3 * float(np.percentile(search.seconds, 95)),
        "search_cpu_ms": 1e3 * search.cpu_s / SEARCHES,
        "disk_bytes": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
    }


class Spent:
    """The seconds of each call, and the processor's seconds of all together."""

    def __init__(self, call: Callable[[Any], object], values: Iterable[Any]) -> None:
        self.seconds: list[float] = []
        before = time.process_time()
        for value in values:
            began = time.perf_counter()
            call(value)
            self.seconds.append(time.perf_counter() - began)
        self.cpu_s = time.process_time() - before


def bare_commits(folder: Path, items: Sequence[Item]) -> float:
    """The median milliseconds of a commit of one row with SQLite alone (WAL, FULL): what a durable write costs here now."""
    connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE bare (id TEXT PRIMARY KEY, text TEXT, vector BLOB)")
    rows = [(item.id, item.text, bytes(768)) for item in items[:SINGLES]]
    spent = Spent(lambda row: connection.execute("INSERT INTO bare VALUES (?, ?, ?)", row), rows)
    connection.close()
    return 1e3 * statistics.median(spent.seconds)


def exact_scan(lookup: Lookup, n: int) -> float:
    """The median milliseconds of numpy's exact scan of n vectors: what a search costs at least here now."""
    matrix = np.ascontiguousarray(lookup.vectors[:n])
    return 1e3 * statistics.median(Spent(lambda row: np.argpartition(-(matrix @ matrix[row]), 10), range(50)).seconds)


def current_rss() -> int:
    """Bytes in memory now; 0 where /proc is not there."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def forget_peak() -> None:
    """Start the high-water mark afresh, so that reading the vectors does not count."""
    with suppress(OSError):  # where /proc is not there
        Path("/proc/self/clear_refs").write_text("5")


def highest_rss() -> int:
    """The most bytes in memory since `forget_peak`."""
    try:
        entries = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(entry.split()[1]) * 1024 for entry in entries if entry.startswith("VmHWM:")), 0)
