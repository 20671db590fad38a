"""Speed of the server beside the library that it serves, in one run: `python benchmarks/server.py [--only PART]`.

search   /v1/search on one scope of 10,000 episodes: the library called directly, one client, eight clients
write    /v1/episodes, single episodes, durable: one client, eight clients
tenants  many tenants touched at random: time, open files, memory

The scope of `search` has vectors of MiniLM's size, and the server embeds each query once, before the clock runs; elsewhere
vectors are made by hashing. The server runs as a process of its own, clients in another. Eight clients are eight
connections that each send the next request when the last was answered.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from mnemic import Memory
from mnemic.models.minilm import MINILM_ID
from spine import ReadyVectors, World

PORT = 8765
WORDS = [
    f"{first}{last}"
    for first in ("gar", "tra", "vio", "win")
    for last in ("den", "ms", "lin", "ter", "dow", "ling", "ket")
]


def episode(n: int, rng: random.Random) -> dict[str, Any]:
    """A message of some fifteen words."""
    words = " ".join(rng.choices(WORDS, k=12))
    return {
        "role": "user",
        "name": rng.choice(["Ana", "Ben"]),
        "content": f"Note {n}: {words}",
        "session": f"s{n // 40}",
    }


@contextmanager
def server(data: Path, embedder: str = "hashing", *options: str) -> Iterator[int]:
    """A server process on the folder; its process id."""
    command = [
        sys.executable,
        "-m",
        "mnemic",
        "serve",
        "--data",
        str(data),
        "--port",
        str(PORT),
        "--embedder",
        embedder,
    ]
    process = subprocess.Popen([*command, *options], stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                if httpx.get(f"http://127.0.0.1:{PORT}/readyz").status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


async def _client(requests: list[tuple[str, bytes]], times: list[float]) -> None:
    """Send the requests one after another over one connection of plain HTTP/1.1: the client must cost little here."""
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    for path, body in requests:
        began = time.perf_counter()
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        status = await reader.readline()
        length = 0
        while (line := await reader.readline()) not in (b"\r\n", b""):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        await reader.readexactly(length)
        assert status.split()[1] in (b"200", b"201"), status
        times.append(time.perf_counter() - began)
    writer.close()


def _drive(per_client: list[list[tuple[str, bytes]]], out: Any) -> None:
    times: list[float] = []

    async def all_of_them() -> float:
        began = time.perf_counter()
        await asyncio.gather(*(_client(requests, times) for requests in per_client))
        return time.perf_counter() - began

    out.put((asyncio.run(all_of_them()), times))


def drive(per_client: list[list[tuple[str, bytes]]]) -> tuple[float, list[float]]:
    """Seconds for all, and of each request, with the clients in a process of their own."""
    out: Any = multiprocessing.Queue()
    process = multiprocessing.Process(target=_drive, args=(per_client, out))
    process.start()
    answer: tuple[float, list[float]] = out.get()
    process.join()
    return answer


def report(name: str, total_s: float, times: list[float]) -> None:
    """One line: requests a second, median and 95th percentile in milliseconds."""
    ordered = sorted(times)
    p95 = ordered[int(len(ordered) * 0.95)]
    print(
        f"{name:44} {len(times) / total_s:8.0f}/s   p50 {statistics.median(times) * 1e3:7.2f} ms   p95 {p95 * 1e3:7.2f} ms"
    )


def timed(call: Callable[[str], Any], queries: list[str]) -> tuple[float, list[float]]:
    """The library, one call after another."""
    times = []
    for query in queries:
        began = time.perf_counter()
        call(query)
        times.append(time.perf_counter() - began)
    return sum(times), times


def search(work: Path, n: int) -> None:
    """Search on one scope."""
    rng = random.Random(7)
    world = World(n)
    queries = world.queries[:50]
    embedder = ReadyVectors(world.vectors, world.places)
    embedder.id = MINILM_ID  # type: ignore[misc]
    (work / "tenants").mkdir(parents=True)
    with Memory.open(work / "tenants" / "t-acme.db", embedder=embedder, durability="normal") as memory:
        scope = memory.scope("acme/alice")
        for start in range(0, n, 1000):
            scope.add(world.messages(start, min(n, start + 1000)))
        for query in queries:
            scope.search(query)
        report("library, one caller", *timed(scope.search, queries * 4))
    with server(work, "minilm"):
        bodies = [json.dumps({"scope": "acme/alice", "query": query}).encode() for query in queries]
        requests = [("/v1/search", body) for body in bodies]
        drive([requests])
        report("/v1/search, 1 client", *drive([requests * 4]))
        report("/v1/search, 8 clients", *drive([rng.sample(requests, len(requests)) * 2 for _ in range(8)]))


def write(work: Path, n: int) -> None:
    """Single durable writes."""
    rng = random.Random(7)
    with server(work):
        made = [
            ("/v1/episodes", json.dumps({"scope": "acme/alice", "messages": [episode(i, rng)]}).encode())
            for i in range(n)
        ]
        drive([made[:50]])
        report("/v1/episodes, 1 client", *drive([made[: n // 4]]))
        report("/v1/episodes, 8 clients", *drive([made[k::8] for k in range(8)]))


def tenants(work: Path, n: int) -> None:
    """Many tenants, each with a little, asked at random."""
    rng = random.Random(7)
    with server(work) as pid:
        first = [
            (
                "/v1/episodes",
                json.dumps({"scope": f"t{i}/u", "messages": [episode(k, rng) for k in range(20)]}).encode(),
            )
            for i in range(n)
        ]
        report(f"{n} tenants made, 8 clients", *drive([first[k::8] for k in range(8)]))
        asked = []
        for _ in range(2 * n):
            scope = f"t{rng.randrange(n)}/u"
            if rng.random() < 0.2:
                asked.append(("/v1/episodes", json.dumps({"scope": scope, "messages": [episode(99, rng)]}).encode()))
            else:
                asked.append(("/v1/search", json.dumps({"scope": scope, "query": rng.choice(WORDS)}).encode()))
        report(f"{n} tenants at random, 8 clients", *drive([asked[k::8] for k in range(8)]))
        status = Path(f"/proc/{pid}/status").read_text()
        peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
        print(f"{'':44} peak {int(peak) / 1024:.0f} MB, {len(os.listdir(f'/proc/{pid}/fd'))} open files")


PARTS = {"search": (search, 10_000), "write": (write, 4_000), "tenants": (tenants, 2_000)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--size", type=int, help="episodes, writes or tenants")
    given = parser.parse_args()
    for name, (part, size) in PARTS.items():
        if given.only in (None, name):
            with tempfile.TemporaryDirectory() as folder:
                part(Path(folder), given.size or size)


if __name__ == "__main__":
    main()
