"""LoCoMo without an LLM: is the evidence of a question among the episodes recalled for it?

    python benchmarks/locomo.py [--data PATH/locomo5.json] [--systems hybrid,rrf,bm25,dense,recent] [--resamples 2000]

Imports the conversations with `Memory.import_`, one scope each, asks every question of categories 1 to 4 in the scope of
its conversation, and prints recall@k of the evidence turns: the share of a question's evidence that is among the first
k hits, averaged over questions. Intervals are 95 % bootstrap intervals over questions within conversations; differences
are paired. Category 5 has no answer in the conversation, and is left out, as are questions without usable evidence, which
are counted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mnemic import Memory
from mnemic.formats.locomo import Question, read_questions

CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop"}
KS = (5, 10, 20)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, default=default_data())
    parser.add_argument("--systems", default="hybrid,rrf,bm25,dense,recent")
    parser.add_argument("--resamples", type=int, default=2000)
    options = parser.parse_args()
    if options.data is None or not options.data.exists():
        sys.exit(
            "No LoCoMo file found. Give one with --data, or set MNEMIC_SHARED_DATA to the folder that holds locomo/."
        )
    systems = options.systems.split(",")
    questions = [one for one in read_questions(options.data) if one.category in CATEGORIES]
    asked = [one for one in questions if one.evidence]
    with tempfile.TemporaryDirectory() as folder, Memory.open(Path(folder) / "locomo.db") as memory:
        began = time.perf_counter()
        done = memory.import_(options.data, "locomo", show_progress=True)
        print(
            f"{done.added} turns of {len(memory.scopes())} conversations in {time.perf_counter() - began:.1f} s with "
            f"{memory.stats()['embedder']}; {len(asked)} questions, {len(questions) - len(asked)} without evidence left out"
        )
        recalls = {system: measure(memory.system(system), asked) for system in systems}
    report(systems, asked, recalls, options.resamples)


def default_data() -> Path | None:
    """The shared LoCoMo file, where there is one."""
    folders = [os.environ.get("MNEMIC_SHARED_DATA"), Path(__file__).parents[2] / "shared" / "data"]
    files = [Path(folder) / "locomo" / "locomo5.json" for folder in folders if folder]
    return next((file for file in files if file.exists()), None)


def measure(memory: Memory, questions: list[Question]) -> np.ndarray:
    """[n_questions, n_ks] recall of each question's evidence."""
    rows, seconds = [], []
    for question in questions:
        began = time.perf_counter()
        ids = [hit.id for hit in memory.scope(question.scope).search(question.text, limit=max(KS))]
        seconds.append(time.perf_counter() - began)
        rows.append([sum(one in ids[:k] for one in question.evidence) / len(question.evidence) for k in KS])
    print(f"  {memory.system_id:8} {1000 * statistics.median(seconds):.1f} ms a question, embedding it where it is new")
    return np.array(rows)


def report(systems: list[str], questions: list[Question], recalls: dict[str, np.ndarray], resamples: int) -> None:
    category = np.array([question.category for question in questions])
    draws = resampled(np.array([question.scope for question in questions]), resamples)
    print(f"\n{'recall@' + '/'.join(map(str, KS)):24}" + "".join(f"{system:>22}" for system in systems))
    for number, name in CATEGORIES.items():
        chosen = category == number
        cells = ["  ".join(f"{value:.3f}" for value in recalls[one][chosen].mean(0)) for one in systems]
        print(f"{number} {name:12} n={chosen.sum():<6}" + "".join(f"{cell:>22}" for cell in cells))
    cells = ["  ".join(f"{value:.3f}" for value in recalls[one].mean(0)) for one in systems]
    print(f"all questions   n={len(questions):<6}" + "".join(f"{cell:>22}" for cell in cells))
    at = KS.index(10)
    print(
        "\nrecall@10 over all questions of categories 1-4, with the 95 % interval; and the first system less each other"
    )
    first = recalls[systems[0]][:, at]
    for system in systems:
        values = recalls[system][:, at]
        low, high = np.percentile(values[draws].mean(1), [2.5, 97.5])
        line = f"  {system:8} {values.mean():.3f} [{low:.3f}, {high:.3f}]"
        if system != systems[0]:
            gap = first - values
            low, high = np.percentile(gap[draws].mean(1), [2.5, 97.5])
            verdict = "ahead" if low > 0 else "behind" if high < 0 else "a tie"
            line += f"   {systems[0]} {gap.mean():+.3f} [{low:+.3f}, {high:+.3f}]: {verdict}"
        print(line)
    means = {one: np.mean([recalls[one][category == number, at].mean() for number in CATEGORIES]) for one in systems}
    print("mean of the four categories' recall@10: " + ", ".join(f"{one} {value:.3f}" for one, value in means.items()))


def resampled(scopes: np.ndarray, resamples: int) -> np.ndarray:
    """[resamples, n] indexes drawn with replacement within each conversation; the same at every run."""
    generator = np.random.default_rng(7)
    parts = [
        generator.choice(np.flatnonzero(scopes == scope), (resamples, int((scopes == scope).sum())))
        for scope in np.unique(scopes)
    ]
    return np.concatenate(parts, axis=1)


if __name__ == "__main__":
    main()
