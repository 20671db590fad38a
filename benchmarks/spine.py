"""How fast the spine is: adding, searching, opening; and how much memory it takes. Each figure beside a floor or peer.

    python benchmarks/spine.py [--quick] [--only start,add,batch,search,filters,scopes,open,memory] [--peer-python PATH]

Embedding is left out: texts come with vectors (mixes of real ones when MiniLM is there, of random ones where not), so that
what is measured is everything else. Medians of several runs; ratios to a floor measured in the same run, since machines and
their noise differ. --peer-python names an interpreter in which langgraph-checkpoint-sqlite and sqlite-vec are installed.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mnemic import Memory, __version__

DIM = 384
WORDS = 30_000


class ReadyVectors:
    """An embedder that costs next to nothing: each text's vector is looked up."""

    id = "ready-vectors"
    dim = DIM
    max_tokens = 512
    is_semantic = True

    def __init__(self, vectors: np.ndarray, places: dict[str, int]) -> None:
        self.vectors = vectors
        self.places = places

    def embed(self, texts: Sequence[str], kind: str = "document") -> np.ndarray:
        """The vectors of the texts, with or without the name of who said them before; the first one for others."""
        return self.vectors[[self.places.get(text.split(": ", 1)[-1], 0) for text in texts]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the sizes: to see that it runs")
    parser.add_argument("--only", default="start,add,batch,search,filters,scopes,open,memory")
    parser.add_argument(
        "--peer-python", type=Path, help="an interpreter that has langgraph-checkpoint-sqlite and sqlite-vec"
    )
    options = parser.parse_args()
    scale = 10 if options.quick else 1
    print(
        f"mnemic {__version__}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, numpy {np.__version__}, "
        f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f}"
    )
    world = World(100_000 // scale)
    parts: dict[str, Callable[[World, Path, int], None]] = {
        "start": start,
        "add": single_adds,
        "batch": lambda world, folder, scale: batched_adds(world, folder, scale, options.peer_python),
        "search": searches,
        "filters": filtered_searches,
        "scopes": many_scopes,
        "open": opening,
        "memory": memory_taken,
    }
    for name in options.only.split(","):
        with tempfile.TemporaryDirectory() as folder:
            parts[name](world, Path(folder), scale)


class World:
    """Texts with a vocabulary like English and vectors with the spread of real ones, the same at every run."""

    def __init__(self, n: int) -> None:
        self.n = n
        generator = np.random.default_rng(5)
        weights = 1.0 / np.arange(1, WORDS + 1) ** 1.05
        self.words = np.array([_word(number) for number in range(WORDS)])
        drawn = generator.choice(WORDS, size=(n, 14), p=weights / weights.sum())
        self.texts = [" ".join(self.words[row]) for row in drawn]
        self.vectors = _vectors(n, generator)
        self.queries = [" ".join(self.words[generator.choice(WORDS, 6, p=weights / weights.sum())]) for _ in range(300)]
        self.places = {text: place for place, text in enumerate(self.texts)}
        self.places |= {
            query: int(place) for query, place in zip(self.queries, generator.integers(0, n, 300), strict=True)
        }

    def messages(self, start: int, stop: int) -> list[dict[str, str]]:
        """Messages with a session for every twenty."""
        return [
            {"role": "user", "content": text, "name": "Mara" if number % 2 else "Tobias", "session": f"s{number // 20}"}
            for number, text in enumerate(self.texts[start:stop], start=start)
        ]

    def open(self, path: Path) -> Memory:
        """A memory whose embedder costs nothing."""
        return Memory.open(path, embedder=ReadyVectors(self.vectors, self.places))


def start(world: World, folder: Path, scale: int) -> None:
    def took(code: str) -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - began

    bare = statistics.median(took("pass") for _ in range(7))
    numpy = statistics.median(took("import numpy") for _ in range(7)) - bare
    ours = statistics.median(took("import mnemic") for _ in range(7)) - bare
    line("import mnemic", f"{ours:.3f} s", "<= 0.3 s", f"numpy alone {numpy:.3f} s")


def single_adds(world: World, folder: Path, scale: int) -> None:
    n = 2000 // scale
    ours, floors, rates = [], [], []
    for run in range(3):
        with world.open(folder / f"add{run}.db") as memory:
            scope = memory.scope("acme/alice")
            scope.add(world.messages(0, 1))
            ours.append(statistics.median(timed(lambda message: scope.add(message), world.messages(1, n))))
            floors.append(bare_commits(folder / f"floor{run}.db", world, n))
            rates.append((rate_of_threads(scope, world, 1, n), rate_of_threads(scope, world, 8, n)))
    ratio = statistics.median(mine / floor for mine, floor in zip(ours, floors, strict=True))
    line(
        "durable single add, p50",
        f"{1e3 * statistics.median(ours):.3f} ms",
        "<= 2.5x a bare commit",
        f"{ratio:.2f}x of {1e3 * statistics.median(floors):.3f} ms",
    )
    gain = statistics.median(many / one for one, many in rates)
    one, many = (statistics.median(column) for column in zip(*rates, strict=True))
    line("8 threads adding", f"{many:,.0f}/s", ">= 2x one thread", f"{gain:.2f}x of {one:,.0f}/s")


def bare_commits(path: Path, world: World, n: int) -> float:
    """The median seconds of a FULL commit of the same bytes in one plain table."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(
        "CREATE TABLE bare (id TEXT, text TEXT, terms TEXT, session TEXT, actor TEXT, at INTEGER, vector BLOB)"
    )
    rows = [
        (
            f"{number:036d}",
            text,
            text,
            f"s{number // 20}",
            "Mara",
            number,
            world.vectors[number].astype("<f2").tobytes(),
        )
        for number, text in enumerate(world.texts[:n])
    ]
    times = timed(lambda row: connection.execute("INSERT INTO bare VALUES (?, ?, ?, ?, ?, ?, ?)", row), rows)
    connection.close()
    return statistics.median(times)


def rate_of_threads(memory: Memory, world: World, threads: int, n: int) -> float:
    def work(number: int) -> None:
        for message in world.messages(number * n // threads, (number + 1) * n // threads):
            memory.add(message)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return n / (time.perf_counter() - began)


def batched_adds(world: World, folder: Path, scale: int, peer: Path | None) -> None:
    n = 50_000 // scale
    rates: dict[int, list[float]] = {100: [], 1_000: []}
    theirs: dict[int, list[float]] = {100: [], 1_000: []}
    for run in range(3):
        for size, found in rates.items():
            with world.open(folder / f"batch{run}-{size}.db") as memory:
                scope = memory.scope("acme/alice")
                batches = [world.messages(start, start + size) for start in range(0, n, size)]
                scope.add(batches.pop())
                gc.collect()
                began = time.perf_counter()
                for batch in batches:
                    scope.add(batch)
                found.append((n - size) / (time.perf_counter() - began))
        for size, rate in peer_rates(peer).items() if peer else ():
            theirs[size].append(rate)
    for size, found in rates.items():
        beside = "no peer given"
        if theirs[size]:
            peers = statistics.median(theirs[size])
            beside = f"{statistics.median(found) / peers:.2f}x LangGraph SqliteStore's {peers:,.0f}/s"
        line(
            f"batched add, durable, {size:,} at once",
            f"{statistics.median(found):,.0f}/s",
            "ahead of the peer; aim 40,000/s",
            beside,
        )


def peer_rates(python: Path) -> dict[int, float]:
    script = Path(__file__).with_name("peers") / "langgraph_sqlite.py"
    done = subprocess.run([python, script], check=True, capture_output=True, text=True)
    return {int(size): float(rate) for size, rate in json.loads(done.stdout)["adds_per_s"].items()}


def searches(world: World, folder: Path, scale: int) -> None:
    targets = {1_000: 1.5, 10_000: 15.0, 100_000: 8.0}
    for size, target in targets.items():
        n = size // scale
        with world.open(folder / f"search{n}.db") as memory:
            scope = memory.scope("acme/alice")
            fill(scope, world, n)
            for query in world.queries[:20]:
                scope.search(query)
            times = [statistics.median(timed(lambda query: scope.search(query), world.queries)) for _ in range(3)]
            p95 = float(np.percentile(timed(lambda query: scope.search(query), world.queries), 95))
            index = scope._shared.library.of(scope._shared.store.scope_ids("acme/alice"))
            floor = exact_scan(world, n)
            line(
                f"search, {n:,} episodes, p50",
                f"{1e3 * statistics.median(times):.2f} ms",
                f"<= {target} ms",
                f"p95 {1e3 * p95:.2f} ms; exact float32 scan alone {1e3 * floor:.2f} ms; "
                f"recall@10 of exact {recall_of_exact(index, world, n):.3f}",
            )


def filtered_searches(world: World, folder: Path, scale: int) -> None:
    """Searches with filters beside the same searches without; and beside reading every episode, which is what a filter needs
    that no column helps."""
    for size in (1_000, 10_000, 100_000):
        n = size // scale
        with world.open(folder / f"filters{n}.db") as memory:
            scope = memory.scope("acme/user:alice")
            for begin in range(0, n, 5000):
                scope.add([marked(message, begin + at, n) for at, message in enumerate(batch_of(world, begin, n))])
            for query in world.queries[:20]:
                scope.search(query)
            before = scope.index_bytes
            for name, filters in filters_over(n).items():
                first = timed(lambda query, filters=filters: scope.search(query, filters=filters), world.queries[:1])[0]
                pairs = [
                    (
                        timed(lambda query: scope.search(query), [query])[0],
                        timed(lambda query, filters=filters: scope.search(query, filters=filters), [query])[0],
                    )
                    for query in world.queries[:100]  # taken in turn, so that both meet the same noise
                ]
                plain, filtered = (statistics.median(times) for times in zip(*pairs, strict=True))
                line(
                    f"search with {name}, {n:,} episodes, p50",
                    f"{1e3 * filtered:.2f} ms",
                    "<= 1.5x without",
                    f"{filtered / plain:.2f}x of {1e3 * plain:.2f} ms; the first {1e3 * first:.0f} ms",
                )
            scope.search(world.queries[0])
            floor = statistics.median(timed(lambda _: scope.list(limit=n), range(3)))
            line(
                f"memory of the fields, {n:,} episodes",
                f"{(scope.index_bytes - before) / 2**20:.1f} MiB",
                "<= the vectors",
                f"index without them {before / 2**20:.0f} MiB; reading every episode takes {1e3 * floor:.0f} ms",
            )


def batch_of(world: World, begin: int, n: int) -> list[dict[str, str]]:
    return world.messages(begin, min(n, begin + 5000))


def marked(message: dict[str, str], number: int, n: int) -> dict[str, object]:
    """The message with an id and metadata: an agent of seven, a ticket and a score of its own."""
    metadata = {
        "agent_id": f"agent{number % 7}",
        "ticket": f"ticket-{number * 7919 % n:08d}",
        "score": number * 31 % n / 3,
    }
    return {**message, "id": f"id-{number}", "metadata": metadata}


def filters_over(n: int) -> dict[str, dict[str, object]]:
    """What users filter by."""
    return {
        "agent_id": {"agent_id": "agent3"},
        "one of many values": {"ticket": f"ticket-{n // 2:08d}"},
        "NOT session": {"NOT": [{"session": "s3"}]},
        "200 ids left out": {"id": {"nin": [f"id-{number}" for number in range(n - 200, n)]}},
        "a range of numbers": {"score": {"gte": n / 30, "lt": n / 5}},
        "AND and OR": {
            "AND": [
                {"topic": {"ne": "x"}},
                {"OR": [{"score": {"gt": n / 4}}, {"role": "assistant"}, {"session": "s3"}]},
            ]
        },
    }


def exact_scan(world: World, n: int) -> float:
    matrix = world.vectors[:n].astype(np.float32)
    return statistics.median(timed(lambda number: np.argpartition(-(matrix @ world.vectors[number]), 10), range(50)))


def recall_of_exact(index: object, world: World, n: int) -> float:
    matrix = world.vectors[:n].astype("<f2").astype(np.float32)
    generator = np.random.default_rng(11)
    found = []
    for number in generator.integers(0, n, 100):
        query = world.vectors[number] + 0.4 * generator.standard_normal(DIM).astype(np.float32) / np.sqrt(DIM)
        query /= np.linalg.norm(query)
        truth = set(np.argsort(-(matrix @ query))[:10].tolist())
        found.append(len(truth & set(index.vectors.top(query, 10)[0].tolist())) / 10)  # type: ignore[attr-defined]
    return float(np.mean(found))


def many_scopes(world: World, folder: Path, scale: int) -> None:
    n = 1_000 // scale
    path = folder / "scopes.db"
    with world.open(path) as memory:
        for number in range(n):
            memory.scope(f"acme/user{number}").add(world.messages(number * 100 % world.n, number * 100 % world.n + 100))
    with world.open(path) as memory:
        order = random.Random(3).sample(range(n), n)
        queries = [world.queries[number % len(world.queries)] for number in order]
        memory.scope("acme").search(queries[0])
        pairs = list(zip(order, queries, strict=True))
        cold = timed(lambda pair: memory.scope(f"acme/user{pair[0]}").search(pair[1]), pairs)
        warm = timed(lambda pair: memory.scope(f"acme/user{pair[0]}").search(pair[1]), pairs)
        for name, times, target in (("cold", cold, 3.0), ("warm", warm, 1.5)):
            line(
                f"search, {n:,} scopes of 100, {name}, p50",
                f"{1e3 * statistics.median(times):.2f} ms",
                f"<= {target} ms",
                f"p95 {1e3 * float(np.percentile(times, 95)):.2f} ms",
            )


def opening(world: World, folder: Path, scale: int) -> None:
    n = 100_000 // scale
    path = folder / "open.db"
    with world.open(path) as memory:
        fill(memory.scope("acme/alice"), world, n)
    times: dict[str, list[float]] = {"without index files": [], "with index files": []}
    for _ in range(3):
        for name, found in times.items():
            index_files = path.with_name(path.name + ".index")
            if name.startswith("without") and index_files.exists():
                for file in index_files.iterdir():
                    file.unlink()
            began = time.perf_counter()
            with world.open(path) as memory:
                memory.scope("acme/alice").search(world.queries[0])
                found.append(time.perf_counter() - began)
    floor = statistics.median(timed(lambda _: read_all(path), range(3)))
    for name, target in (("with index files", "1 s"), ("without index files", "15 s")):
        line(
            f"open {n:,} to first answer, {name}",
            f"{statistics.median(times[name]):.2f} s",
            f"<= {target}",
            f"reading every vector with SQLite alone {floor:.2f} s",
        )


def read_all(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("SELECT vector FROM episodes").fetchall()
    connection.close()


def memory_taken(world: World, folder: Path, scale: int) -> None:
    n = 100_000 // scale
    path = folder / "memory.db"
    with world.open(path) as memory:
        fill(memory.scope("acme/alice"), world, n)
    vectors = n * DIM * 4
    for how in ("index built", "index from file"):
        done = subprocess.run(
            [sys.executable, __file__, "--rss", str(path)], check=True, capture_output=True, text=True
        )
        found = json.loads(done.stdout)
        line(
            f"memory at {n:,} episodes, {how}",
            f"{found['rss'] / 2**20:.0f} MiB",
            "<= 2.5x the vectors",
            f"{found['rss'] / vectors:.2f}x of {vectors / 2**20:.0f} MiB as float32, "
            f"{2 * found['rss'] / vectors:.2f}x as float16; "
            f"at most {found['peak'] / 2**20:.0f} MiB; the interpreter with numpy {found['before'] / 2**20:.0f} MiB",
        )


def measure_rss(path: str) -> None:
    """What a process takes that opened the store and answered some cues."""
    before = current_rss()
    generator = np.random.default_rng(1)
    vectors = generator.standard_normal((64, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with Memory.open(path, embedder=ReadyVectors(vectors, {})) as memory:
        for number in range(20):
            memory.scope("acme/alice").search(f"{_word(number)} {_word(number + 50)}")
        print(json.dumps({"before": before, "rss": current_rss(), "peak": highest_rss()}))


def current_rss() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def highest_rss() -> int:
    # not ru_maxrss, which a child inherits from the process that started it
    for entry in Path("/proc/self/status").read_text().splitlines():
        if entry.startswith("VmHWM:"):
            return int(entry.split()[1]) * 1024
    return 0


def fill(memory: Memory, world: World, n: int) -> None:
    for begin in range(0, n, 5000):
        memory.add(world.messages(begin, min(n, begin + 5000)))


def timed(call: Callable[[object], object], items: object) -> list[float]:
    """The seconds of each call."""
    times = []
    for item in items:  # type: ignore[attr-defined]
        began = time.perf_counter()
        call(item)
        times.append(time.perf_counter() - began)
    return times


def line(what: str, figure: str, target: str, beside: str) -> None:
    print(f"{what:48} {figure:>12}   {target:32} {beside}", flush=True)


def _word(number: int) -> str:
    syllables = ("ba", "de", "fi", "go", "lu", "ma", "ne", "pi", "ro", "su", "ta", "ve", "wi", "zo", "ka", "le", "mi")
    text = ""
    number += len(syllables)
    while number:
        number, part = divmod(number, len(syllables))
        text += syllables[part]
    return text


def _vectors(n: int, generator: np.random.Generator) -> np.ndarray:
    """[n, DIM] unit vectors with the spread of real ones: mixes of some thousand centres, and noise."""
    centres = generator.standard_normal((2000, DIM)).astype(np.float32) * (np.arange(1, DIM + 1) ** -0.35).astype(
        np.float32
    )
    vectors = centres[generator.integers(0, 2000, n)] + 0.6 * centres[generator.integers(0, 2000, n)]
    vectors += (
        0.5
        * generator.standard_normal((n, DIM)).astype(np.float32)
        * (np.arange(1, DIM + 1) ** -0.35).astype(np.float32)
    )
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors, np.float32)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--rss"]:
        measure_rss(sys.argv[2])
    else:
        main()
