"""Mnemic beside other memories: the same texts, the same vectors, the same questions, one machine, one run.

    python benchmarks/peers.py [--peers mem0,chromadb,langgraph,llamaindex,txtai] [--data FOLDER] [--work FOLDER] [--limit N]

Every memory runs in a virtual environment of its own, made below --work with pinned packages; one that cannot be
installed is left out, with its reason. Environments and figures are kept there: a later call measures Mnemic again where
its code changed, and of the others only what is missing or named by --again. What is measured, and how, is in
peers/README.md. Prints Markdown, and writes it as report.md with results.json beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

PARTS = Path(__file__).with_suffix("")
sys.path.insert(0, str(PARTS))

import environments  # noqa: E402
import measure  # noqa: E402
import report  # noqa: E402
import with_mnemic  # noqa: E402
from environments import MNEMIC, PEERS, NotInstalled, Peer  # noqa: E402

from mnemic import Memory  # noqa: E402
from mnemic.bench.dataset import Sample, Turn  # noqa: E402
from mnemic.bench.registry import dataset  # noqa: E402
from mnemic.models.resolve import open_embedder  # noqa: E402
from spine import World  # noqa: E402

CONTROLS = ("line", "bm25", "dense")  # modes of Mnemic whose speed is not of interest
CATEGORIES = ("1", "2", "3", "4")
PART_S = 1800


def main() -> None:
    options = parse()
    work: Path = options.work
    data = work / "data"
    data.mkdir(parents=True, exist_ok=True)
    samples = load(options.data, options.limit)
    write_locomo(data, samples)
    write_world(data, max(options.sizes))
    python = environments.interpreter(options.python)
    chosen = [MNEMIC, *(peer for peer in PEERS if is_wanted(peer, options.peers))]
    results: dict[str, Any] = {}
    for peer in chosen:
        for mode in peer.modes:
            name = peer.id if mode == "default" or len(peer.modes) == 1 else f"{peer.id}:{mode}"
            say(f"{name} ...")
            results[name] = {"title": peer.title, "mode": mode} | measured(peer, mode, options, python)
            say(f"{name}: {results[name].get('failed', 'done')}")
    found = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": environments.machine(),
        "python": environments.says(python, "import sys; print(sys.version.split()[0])"),
        "load": os.getloadavg()[0],
        "embedder": open_embedder("minilm").id,
        "limit": options.limit,
        "sizes": options.sizes,
        "questions": [asdict(one) for one in asked(samples)],
        "memories": results,
    }
    (work / "results.json").write_text(json.dumps(found, indent=1))
    text = report.markdown(found)
    (work / "report.md").write_text(text)
    print(text)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    everyone = ",".join(peer.id for peer in PEERS)
    parser.add_argument("--peers", default=everyone, help=f"of {everyone}; a name stands for its variants too")
    parser.add_argument("--data", type=Path, default=default_data(), help="the folder that holds locomo/locomo5.json")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "mnemic-peers")
    parser.add_argument("--limit", type=int, help="ask only the first N questions")
    parser.add_argument("--sizes", type=lambda text: [int(part) for part in text.split(",")], default=[1_000, 10_000])
    parser.add_argument("--python", type=Path, help="the interpreter of the environments")
    parser.add_argument("--again", default="", help="measure these anew: names as above, or all")
    options = parser.parse_args()
    options.peers, options.again = set(options.peers.split(",")), set(filter(None, options.again.split(",")))
    unknown = {
        one for one in options.peers | options.again - {"all", "mnemic"} if not any(is_wanted(p, {one}) for p in PEERS)
    }
    if unknown:
        parser.error(f"there is no peer {', '.join(sorted(unknown))}; there are {everyone}")
    if options.data is None or not (options.data / "locomo" / "locomo5.json").exists():
        parser.error(
            "no LoCoMo file; give the folder that holds locomo/locomo5.json as --data, or set MNEMIC_SHARED_DATA"
        )
    if min(options.sizes) < 500:
        parser.error("--sizes must be 500 or more")
    return options


def default_data() -> Path | None:
    folders = [os.environ.get("MNEMIC_SHARED_DATA"), Path(__file__).parents[2] / "shared" / "data"]
    return next((Path(folder) for folder in folders if folder and Path(folder).is_dir()), None)


def is_wanted(peer: Peer, names: set[str]) -> bool:
    """Whether a peer is named, itself or by the first part of its name."""
    return peer.id in names or peer.id.split("-")[0] in names


# -- what all are given ---------------------------------------------------------------------------------------


def load(folder: Path, limit: int | None) -> list[Sample]:
    """LoCoMo's five conversations, with the questions of categories 1 to 4 that have usable evidence."""
    samples, left = [], limit
    for sample in dataset("locomo").load(folder, "five"):
        kept = tuple(one for one in sample.questions if one.category in CATEGORIES and one.key.evidence)[:left]
        left = None if left is None else left - len(kept)
        samples.append(Sample(id=sample.id, turns=sample.turns, questions=kept))
    return samples


def line(turn: Turn) -> str:
    """A turn as every memory is given it: when, who, what.

    >>> line(Turn(id="1", text="Hello!", actor="Mara", occurred_at=datetime(2023, 5, 8, 13, 56)))
    '[2023-05-08 13:56] Mara: Hello!'
    """
    at = f"[{turn.occurred_at:%Y-%m-%d %H:%M}] " if turn.occurred_at else ""
    return f"{at}{turn.actor or turn.role}: {turn.text}"


def neutral(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """The samples as the peers see them: ids that say nothing, and of a question its text alone."""
    return [
        {
            "id": f"c{number}",
            "items": [
                {
                    "id": f"c{number}-{place:05d}",
                    "text": line(turn),
                    "said": turn.text,
                    "speaker": turn.actor or turn.role,
                    "session": turn.session or "",
                    "at": turn.occurred_at.isoformat() if turn.occurred_at else "",
                }
                for place, turn in enumerate(sample.turns)
            ],
            "questions": [
                {"id": f"c{number}-q{place}", "text": one.text.strip()} for place, one in enumerate(sample.questions)
            ],
        }
        for number, sample in enumerate(samples)
    ]


def asked(samples: Sequence[Sample]) -> list[report.Question]:
    """The questions with the neutral ids of their evidence, for the report alone."""
    found = []
    for number, sample in enumerate(samples):
        places = {turn.id: f"c{number}-{place:05d}" for place, turn in enumerate(sample.turns)}
        for place, one in enumerate(sample.questions):
            evidence = tuple(places[id] for id in one.key.evidence)
            found.append(report.Question(f"c{number}-q{place}", number, one.category, evidence))
    return found


class Recording:
    """An embedder that says nothing and notes what it is asked for."""

    id = "recording"
    dim = 8
    max_tokens = 256
    is_semantic = True

    def __init__(self) -> None:
        self.texts: dict[str, None] = {}

    def embed(self, texts: Sequence[str], kind: str = "document") -> np.ndarray:
        self.texts |= dict.fromkeys(texts)
        return np.full((len(texts), self.dim), self.dim**-0.5, np.float32)


def texts_of(samples: Sequence[dict[str, Any]]) -> list[str]:
    """Every text that some memory may ask a vector of: lines, questions, and whatever Mnemic makes of them in its two forms."""
    recording = Recording()
    for sample in samples:
        items = measure.items_of(sample)
        queries = [one["text"] for one in sample["questions"]]
        canaries = [item.text for item in items[:: measure.EACH]] if sample is samples[0] else []
        recording.texts |= dict.fromkeys((*queries, *(item.text for item in items)))
        for form in (with_mnemic.message, with_mnemic.line):
            with (
                tempfile.TemporaryDirectory() as folder,
                Memory.open(Path(folder) / "memory.db", embedder=recording) as memory,
            ):
                memory.add([form(item) for item in items])
                for query in (*canaries, *queries):
                    memory.search(query, limit=1)
    return list(recording.texts)


def write_locomo(folder: Path, samples: Sequence[Sample]) -> None:
    """The samples and a vector for every text, those kept that were made before."""
    given = neutral(samples)
    (folder / "locomo.json").write_text(json.dumps(given))
    embedder = open_embedder("minilm")
    kept: dict[str, np.ndarray] = {}
    if (folder / "embedder").exists() and (folder / "embedder").read_text() == embedder.id:
        kept = dict(
            zip(json.loads((folder / "locomo.texts.json").read_text()), np.load(folder / "locomo.npy"), strict=True)
        )
    texts = [text for text in texts_of(given) if text not in kept]
    if texts:
        say(f"embedding {len(texts)} texts ...")
        kept |= dict(zip(texts, embedder.embed(texts), strict=True))
        (folder / "embedder").unlink(missing_ok=True)  # until both files are there
        np.save(folder / "locomo.npy", np.stack(list(kept.values())))
        (folder / "locomo.texts.json").write_text(json.dumps(list(kept)))
        (folder / "embedder").write_text(embedder.id)


def write_world(folder: Path, n: int) -> None:
    """Made-up texts and vectors for the speed, those of spine.py."""
    world = World(n)
    items = [
        {
            "id": f"w{place:06d}",
            "text": text,
            "said": text,
            "speaker": "Mara" if place % 2 else "Tobias",
            "session": f"s{place // 20}",
            "at": "2024-05-01T12:00:00+00:00",
        }
        for place, text in enumerate(world.texts)
    ]
    (folder / "world.json").write_text(json.dumps({"items": items, "queries": world.queries}))
    (folder / "world.texts.json").write_text(json.dumps([*world.texts, *world.queries]))
    np.save(folder / "world.npy", world.vectors[[*range(n), *(world.places[query] for query in world.queries)]])


# -- measuring ------------------------------------------------------------------------------------------------


def measured(peer: Peer, mode: str, options: argparse.Namespace, python: Path) -> dict[str, Any]:
    """The figures of one memory in one mode: those kept from before where nothing has changed, else new ones."""
    kept = options.work / peer.id / f"{mode}.json"
    groups: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    is_again = "all" in options.again or is_wanted(peer, options.again)
    stale = {
        name: state
        for name, state in states(peer, mode, options, python).items()
        if is_again or name not in groups or groups[name]["state"] != state
    }
    try:
        inside = environments.prepare(peer, kept.parent, python) if stale else python
        for name, state in stale.items():
            groups[name] = {"state": state, "figures": figures_of(name, peer, mode, inside, options)}
            kept.write_text(json.dumps(groups))
    except NotInstalled as error:
        return {"failed": f"not installed: {error}"}
    except PartFailed as error:
        return {"failed": str(error)}
    return {name: value for group in groups.values() for name, value in group["figures"].items()}


def states(peer: Peer, mode: str, options: argparse.Namespace, python: Path) -> dict[str, Any]:
    """For each group of figures, everything that they follow from but the machine."""
    data = options.work / "data"
    common = [str(python), *peer.requirements, *([environments.mnemic_digest()] if peer is MNEMIC else [])]
    adapter = [PARTS / peer.script, PARTS / "measure.py"]
    found = {
        "recall": [*common, environments.digest_of(*adapter, data / "locomo.json", data / "embedder")],
        "environment": common,
    }
    if not (peer is MNEMIC and mode in CONTROLS):
        inputs = [PARTS / "speed.py", data / "world.json", data / "world.npy"]
        found["speed"] = [*common, *map(str, options.sizes), environments.digest_of(*adapter, *inputs)]
    return found


class PartFailed(Exception):
    """A part did not give figures; the message says why."""


def figures_of(group: str, peer: Peer, mode: str, python: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one group. Raises PartFailed."""

    def part(name: str, *more: str) -> dict[str, Any]:
        return run_part(peer, python, [name, "--mode", mode, *more], options.work / "data")

    if group == "environment":
        return {"environment": environments.describe(peer, python)}
    if group == "speed":
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return {"speed": [part("speed", "--size", str(size)) for size in options.sizes], "speed_at": now}
    about, wrong = part("about"), part("check")["problems"]
    if wrong:
        raise PartFailed(f"its self-check failed: {'; '.join(wrong)}")
    return about | {"retrieval": part("retrieval")}


def run_part(peer: Peer, python: Path, arguments: Sequence[str], data: Path) -> dict[str, Any]:
    """One part in a process of its own and an empty folder."""
    with tempfile.TemporaryDirectory(dir=data.parent) as place:
        folders = {name: Path(place) / name for name in ("home", "scratch")}
        for folder in folders.values():
            folder.mkdir()
        out = Path(place) / "out.json"
        command = [str(python), str(PARTS / peer.script), *arguments, "--data", str(data), "--out", str(out)]
        command += ["--scratch", str(folders["scratch"])]
        try:
            done = subprocess.run(
                command,
                env=environments.quiet_environment(folders["home"]),
                cwd=place,
                capture_output=True,
                text=True,
                check=False,
                timeout=PART_S,
            )
        except subprocess.TimeoutExpired:
            raise PartFailed(f"{arguments[0]} took more than {PART_S} s") from None
        if done.returncode or not out.exists():
            last = (done.stderr.strip().splitlines() or ["no word"])[-1]
            raise PartFailed(f"{arguments[0]} ended with {done.returncode}: {last}")
        return dict(json.loads(out.read_text()))


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
