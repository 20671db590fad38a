"""How fast texts become vectors: our two MiniLM backends, the hashed fallback, a floor, and sentence-transformers.

    python benchmarks/embedding.py --peer-python /path/to/venv/bin/python

Every runtime is a process of its own, given the same texts, and they take turns; figures are medians over the
rounds. "floor" is the matrix products of the model alone, in numpy, for as many padded tokens; for the few rows of
a query a library that packs its weights beforehand goes below it. The peer is plain sentence-transformers in the given
interpreter, on the same weights, batch 32. Read the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[1] / "src"
WORDS = (  # noqa: SIM905 - a list literal would be a hundred lines
    "time year people way day man thing woman life child world school state family student group country problem "
    "hand part place case week company system program question work government number night point home water room "
    "mother area money story fact month lot right study book eye job word business issue side kind head house "
    "service friend father power hour game line end member law car city community name president team minute idea "
    "body information back parent face others level office door health person art war history party result change "
    "morning reason research girl guy moment air teacher force education"
).split()
RUNTIMES = ("onnxruntime", "numpy", "hashing", "floor")

# run by the peer's interpreter, which has no Mnemic
PEER = """
import json, sys, time
began = time.perf_counter()
from sentence_transformers import SentenceTransformer
import numpy, torch, sentence_transformers
model = SentenceTransformer(sys.argv[1], device="cpu")
def embed(texts):
    return model.encode(texts, batch_size=32, normalize_embeddings=True, show_progress_bar=False)
embed(["first"])
versions = f"sentence-transformers {sentence_transformers.__version__}, torch {torch.__version__}"
"""
OURS = """
import json, sys, time
began = time.perf_counter()
import numpy
from mnemic.models import HashingEmbedder, MiniLM
kind = sys.argv[2]
embedder = HashingEmbedder() if kind == "hashing" else MiniLM(backend="numpy" if kind == "numpy" else "onnx")
embed = embedder.embed
embed(["first"])
versions = ""
"""
FLOOR = """
import json, sys, time
began = time.perf_counter()
import numpy
rng = numpy.random.default_rng(0)
shapes = [(1152, 384), (384, 384), (1536, 384), (384, 1536)]
layers = [[rng.random(shape, numpy.float32) for shape in shapes] for _ in range(6)]
def embed(texts):
    for start in range(0, len(texts), 32):
        batch = texts[start:start + 32]
        tokens = max(len(text.split()) + 2 for text in batch) * len(batch)
        states = {width: rng.random((tokens, width), numpy.float32) for width in (384, 1536)}
        for layer in layers:
            for matrix in layer:
                states[matrix.shape[1]] @ matrix.T
    return numpy.zeros((len(texts), 1))
embed(["first"])
versions = ""
"""
MEASURE = """
load_s = time.perf_counter() - began
texts = json.load(sys.stdin)
figures = {"load_s": load_s, "versions": versions}
for name in ("short", "long"):
    embed(texts[name][:32])
    start = time.perf_counter()
    embed(texts[name])
    figures[name] = len(texts[name]) / (time.perf_counter() - start)
times = []
for text in texts["queries"]:
    start = time.perf_counter()
    embed([text])
    times.append(1000 * (time.perf_counter() - start))
figures["p50"], figures["p95"] = numpy.percentile(times, [50, 95]).tolist()
figures["vectors"] = numpy.asarray(embed(texts["check"])).tolist()
json.dump(figures, sys.stdout)
"""


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--peer-python", help="an interpreter that has sentence-transformers")
    options.add_argument("--rounds", type=int, default=3)
    asked = options.parse_args()
    sys.path.insert(0, str(SOURCE))
    from mnemic.models.weights import require_weights

    folder = str(require_weights())
    texts = make_texts()
    commands = {name: [sys.executable, "-c", _program(name), folder, name] for name in RUNTIMES}
    if asked.peer_python:
        commands["sentence-transformers"] = [asked.peer_python, "-c", PEER + MEASURE, folder]
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in commands}
    for _ in range(asked.rounds):
        for name, command in commands.items():
            runs[name].append(_run(command, texts))
    report(runs, asked.rounds)
    report_files(Path(folder))


def make_texts() -> dict[str, list[str]]:
    """Sentences of common words, each one token: 18 and 98 words are 20 and 100 tokens."""
    rng = random.Random(7)

    def sentences(n: int, low: int, high: int) -> list[str]:
        return [" ".join(rng.choices(WORDS, k=rng.randint(low, high))) for _ in range(n)]

    return {
        "short": sentences(512, 14, 22),
        "long": sentences(128, 78, 118),
        "queries": sentences(100, 6, 12),
        "check": sentences(64, 1, 60),
    }


def report(runs: dict[str, list[dict[str, Any]]], rounds: int) -> None:
    """A table of medians, each speed with its ratio to the peer, or to the floor without one."""
    base = "sentence-transformers" if "sentence-transformers" in runs else "floor"
    medians = {
        name: {key: statistics.median(run[key] for run in of_name) for key in ("load_s", "short", "long", "p50", "p95")}
        for name, of_name in runs.items()
    }
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {_versions()}")
    print(f"peer: {runs[base][0]['versions'] or base}; medians of {rounds}; (x) is a ratio to {base}")
    print(f"{'':22} {'load s':>7} {'sent/s at 20':>18} {'sent/s at 100':>18} {'query p50 / p95 ms':>24}")
    for name, row in medians.items():
        short, long = (f"{row[key]:.0f} ({row[key] / medians[base][key]:.2f}x)" for key in ("short", "long"))
        query = f"{row['p50']:.2f} / {row['p95']:.2f} ({medians[base]['p50'] / row['p50']:.2f}x)"
        print(f"{name:22} {row['load_s']:7.2f} {short:>18} {long:>18} {query:>24}")
    import numpy as np

    reference = np.array(runs.get("sentence-transformers", runs["numpy"])[0]["vectors"])
    for name in ("onnxruntime", "numpy"):
        cosines = (np.array(runs[name][0]["vectors"]) * reference).sum(axis=1)
        print(f"{name}: smallest cosine with {base if base != 'floor' else 'numpy'} {cosines.min():.7f}")


def report_files(folder: Path) -> None:
    """What the checksum costs of the load."""
    from mnemic.models.weights import check_weights

    start = time.perf_counter()
    check_weights(folder)
    print(f"sha256 of the weights: {time.perf_counter() - start:.3f} s, once in a process")


def _program(name: str) -> str:
    return (FLOOR if name == "floor" else OURS) + MEASURE


def _run(command: list[str], texts: dict[str, list[str]]) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, env=environment, check=False)
    if run.returncode:
        sys.exit(f"{command[0]} failed:\n{run.stderr[-2000:]}")
    figures: dict[str, Any] = json.loads(run.stdout[run.stdout.index("{") :])
    return figures


def _versions() -> str:
    found = []
    for name in ("numpy", "onnxruntime"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"no {name}")
    return ", ".join(found)


if __name__ == "__main__":
    main()
