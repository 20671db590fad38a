"""Batched, durable adds into LangGraph's SqliteStore, embedding excluded: a peer for `spine.py`, which calls this.

Runs in an interpreter of its own that has langgraph-checkpoint-sqlite and sqlite-vec and whose sqlite3 loads extensions
(Debian's python3 does; pyenv's does not). Prints {"adds_per_s": {batch size: …}}. Texts are as long as those of
`spine.py` and vectors are ready made; its connection has the settings of its own constructor, with synchronous FULL.
"""

import json
import random
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

import sqlite_vec
from langgraph.store.base import PutOp
from langgraph.store.sqlite import SqliteStore

N, DIM = 10_000, 384


def main() -> None:
    generator = random.Random(5)
    vectors = [[generator.gauss(0.0, 0.05) for _ in range(DIM)] for _ in range(200)]
    words = [f"w{number}" for number in range(5000)]
    texts = [" ".join(generator.choices(words, k=14)) for _ in range(N)]

    def embed(batch: list[str]) -> list[list[float]]:
        return [vectors[len(text) % len(vectors)] for text in batch]

    rates = {}
    for size in (100, 1_000):
        with tempfile.TemporaryDirectory() as folder:
            connection = sqlite3.connect(Path(folder) / "peer.db", check_same_thread=False, isolation_level=None)
            connection.enable_load_extension(True)
            sqlite_vec.load(connection)
            connection.execute("PRAGMA synchronous = FULL")
            store = SqliteStore(connection, index={"dims": DIM, "embed": embed, "text_fields": ["text"]})
            store.setup()
            operations = [
                PutOp(("acme", f"user{number % 10}"), f"{number:08d}", {"text": text, "session": f"s{number // 20}"})
                for number, text in enumerate(texts)
            ]
            began = time.perf_counter()
            for start in range(0, N, size):
                store.batch(operations[start : start + size])
            rates[size] = N / (time.perf_counter() - began)
    print(json.dumps({"adds_per_s": rates, "python": sys.version.split()[0]}))


if __name__ == "__main__":
    main()
