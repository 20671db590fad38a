"""From what was measured to tables: recall with intervals and paired differences, speed, size, and what failed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mnemic.bench import statistics
from mnemic.bench.statistics import Codes, Floats

KS = (5, 10, 20)
BASELINE = "mnemic"
NAMES = {"1": "multi-hop", "2": "temporal", "3": "open-domain", "4": "single-hop"}


@dataclass(frozen=True)
class Question:
    """A question as the report knows it: which sample and category, and the items that answer it."""

    id: str
    sample: int
    category: str
    evidence: tuple[str, ...]


def recall(hits: Mapping[str, Sequence[str]], questions: Sequence[Question], k: int) -> Floats:
    """[n_questions] the share of each question's evidence among its first k hits.

    >>> asked = [Question("q", 0, "1", ("a", "b"))]
    >>> recall({"q": ["a", "c", "b"]}, asked, 2).tolist()
    [0.5]
    """
    shares = [len(set(one.evidence).intersection(hits[one.id][:k])) / len(one.evidence) for one in questions]
    return np.array(shares, np.float64)


def markdown(found: Mapping[str, Any]) -> str:
    """The whole report."""
    questions = [
        Question(one["id"], one["sample"], one["category"], tuple(one["evidence"])) for one in found["questions"]
    ]
    memories = {name: one for name, one in found["memories"].items() if "failed" not in one}
    parts = [
        f"{found['machine']}, Python {found['python']} in every environment, {found['made_at'][:10]}; {found['embedder']} "
        "for everyone.",
        compared(memories),
        retrieval(memories, questions),
        *(speed(memories, size) for size in found["sizes"]),
        size_of(memories),
        failures(found["memories"]),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def compared(memories: Mapping[str, Any]) -> str:
    rows = [
        [name, versions(one), one["search_mode"], one["guarantee"]]
        for name, one in memories.items()
        if not is_control(one)
    ]
    return table(["memory", "version", "its search", "once `add` has returned"], rows)


def versions(memory: Mapping[str, Any]) -> str:
    """The version of the memory's own package, and of those asked for beside it."""
    named: Mapping[str, str] = memory["environment"]["versions"]
    first, *more = named.items()
    return ", ".join([first[1], *(f"{name} {version}" for name, version in more)])


def retrieval(memories: Mapping[str, Any], questions: Sequence[Question]) -> str:
    """Recall by category and in total, and how each differs from Mnemic."""
    categories = np.array([one.category for one in questions])
    samples: Codes = np.array([one.sample for one in questions], np.int64)
    recalls = {name: {k: recall(one["retrieval"]["hits"], questions, k) for k in KS} for name, one in memories.items()}
    shown = [id for id in NAMES if (categories == id).any()]
    rows = []
    for name, values in sorted(recalls.items(), key=lambda one: -one[1][10].mean()):
        cells = [" / ".join(three(values[k][categories == id].mean()) for k in KS) for id in shown]
        label = f"*{name}*" if is_control(memories[name]) else name
        rows.append([label, " / ".join(three(values[k].mean()) for k in KS), *cells])
    heads = [f"{id} {NAMES[id]}, n = {int((categories == id).sum())}" for id in shown]
    first = table([f"recall@{'/'.join(map(str, KS))}", f"all, n = {len(questions)}", *heads], rows)
    return f"{first}\n\n{differences(memories, recalls, samples)}"


def differences(memories: Mapping[str, Any], recalls: Mapping[str, Mapping[int, Floats]], samples: Codes) -> str:
    """Recall@10 with its 95 % interval, and each memory less Mnemic, question by question."""
    at_10 = {name: values[10] for name, values in recalls.items()}
    verdicts = {}
    if BASELINE in at_10:
        verdicts = {one.system: one.verdict for one in statistics.compare(at_10, BASELINE, samples)}
    rows = []
    for name, values in sorted(at_10.items(), key=lambda one: -one[1].mean()):
        whole = statistics.bootstrap(values, samples)
        less = beside = ""
        if name in verdicts:
            gap = statistics.bootstrap(values - at_10[BASELINE], samples)
            less, beside = f"{gap.value:+.3f} ({gap.low:+.3f} to {gap.high:+.3f})", verdicts[name]
        few = sum(len(ids) < max(KS) for ids in memories[name]["retrieval"]["hits"].values())
        label = f"*{name}*" if is_control(memories[name]) else name
        interval = f"{three(whole.value)} ({three(whole.low)} to {three(whole.high)})"
        vectors = f"{memories[name]['retrieval']['vectors']:.2f}"
        rows.append([label, interval, less, beside, str(few), vectors])
    heads = ["recall@10", "(95 % interval)", f"less {BASELINE}", "verdict", f"questions with fewer than {max(KS)} hits"]
    heads.append("vectors a question")
    return table(heads, rows)


def speed(memories: Mapping[str, Any], size: int) -> str:
    """One size; the floors are of the same process and minute as the row."""
    rows = []
    for name, one in memories.items():
        for run in one.get("speed", ()):
            if run["size"] == size:
                save = "" if not one["is_kept"] or run["save_ms"] < 1 else f" + {run['save_ms']:,.0f} to save"
                rows.append(
                    [
                        name,
                        f"{run['single_ms']:.2f} ({run['single_cpu_ms']:.2f}){save}",
                        f"{run['batch_per_s']:,.0f} ({1e3 / run['batch_cpu_ms']:,.0f})",
                        f"{run['search_p50_ms']:.2f} / {run['search_p95_ms']:.2f} ({run['search_cpu_ms']:.2f})",
                        f"{run['disk_bytes'] / 2**20:.1f}" if one["is_kept"] else "none",
                        f"{run['rss_bytes'] / 2**20:.0f}",
                        f"{run['floor_commit_ms']:.2f} / {run['floor_scan_ms']:.2f}",
                        str(run["runs"]),
                    ]
                )
    heads = [
        f"{size:,} items",
        "one add, p50, ms (CPU)",
        "adds/s, 100 at once (by CPU)",
        "search p50 / p95, ms (CPU)",
        "MiB on disk",
        "memory, MiB",
        "floors: commit / scan, ms",
        "runs",
    ]
    return table(heads, rows) if rows else ""


def size_of(memories: Mapping[str, Any]) -> str:
    """Once for each environment."""
    rows, seen = [], set()
    for name, one in memories.items():
        inside = one["environment"]
        if (id := name.split(":")[0]) not in seen:
            seen.add(id)
            cells = [f"{inside['import_s']:.2f}", f"{inside['import_rss_bytes'] / 2**20:.0f}"]
            rows.append([id, *cells, f"{inside['installed_bytes'] / 1e6:.0f}", str(len(inside["packages"]))])
    return table(["environment", "import, s", "import, MiB of memory", "installed, MB", "packages"], rows)


def failures(memories: Mapping[str, Any]) -> str:
    """What gave no figures, as it said it; and what tried to reach another machine."""
    lines = [f"- {name}: {one['failed']}" for name, one in memories.items() if "failed" in one]
    for name, one in memories.items():
        parts = [one.get("retrieval", {}), *one.get("speed", ())]
        hosts = sorted({host for part in parts for host in part.get("refused", ())})
        lines += [f"- {name} tried to reach {', '.join(hosts)}, and was refused"] if hosts else []
    return "Not measured, or noteworthy:\n\n" + "\n".join(lines) if lines else ""


def is_control(memory: Mapping[str, Any]) -> bool:
    """Whether it stands there to be compared with, not as a memory of its own."""
    return str(memory["search_mode"]).startswith("control")


def three(value: float) -> str:
    """A share as .764; 1.000 for all.

    >>> three(0.7641), three(1.0)
    ('.764', '1.000')
    """
    return "" if math.isnan(value) else f"{value:.3f}".removeprefix("0")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
