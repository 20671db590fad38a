"""Conversation memories measured: `python benchmarks/conversation.py PART [--systems a,b] [--out FILE]`.

ingest    seconds for 5,000 episodes without a model, embedding left out; with --growth, at 1,250 to 50,000
calls     what a model is asked for 100 turns of LoCoMo, by system and step
recorded  evidence recall on LoCoMo with the answers that a model once gave, beside the offline path and the baselines
update    is the newest value first, and the old one still there as of its time
hostile   a model that answers badly, slowly or not at all: what is left when it is well again

Systems are those that the registry has. Figures go into one JSON file: what was measured before is kept, a row that is
measured again is replaced. No network beyond 127.0.0.1, and no model but a scripted one (conversation/recorded_model.py).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.pop("MNEMIC_LLM", None)  # what is measured is said here, not there
PARTS = Path(__file__).with_suffix("")
sys.path.insert(0, str(PARTS))

import ingest  # noqa: E402

RESULTS = Path(__file__).parent / "results"  # which git ignores
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "conversation-growth.svg"


def main() -> None:
    options = parse()
    systems = options.systems or []
    if options.part == "point":
        print(json.dumps(ingest.one(options.system, options.n)))
    elif options.part == "ingest" and options.growth:
        sizes = [n for n in ingest.SIZES if options.n is None or n <= options.n]
        ingest.growth(systems, options.out, sizes=sizes, limit_s=options.limit, plot=options.plot)
    elif options.part == "ingest":
        n = options.n or ingest.ONE
        ingest.speeds(systems, options.out, n=n, runs=options.runs, limit_s=options.limit)
    elif options.part == "calls":
        import model_calls

        model_calls.calls(systems, options.out, options.data, turns=options.n or 400)
    elif options.part == "recorded":
        import recorded_recall

        recorded_recall.recorded(
            systems, options.out, options.data, options.work, samples=options.samples, embedder=options.embedder
        )
    elif options.part == "update":
        import updates

        updates.updated(
            systems,
            options.out,
            options.data,
            options.work,
            sizes=options.updates,
            embedder=options.embedder,
            samples=options.samples,
        )
    else:
        import hostile

        hostile.hostile(systems, options.out, options.data, turns=options.n or 80)


def parse() -> argparse.Namespace:
    shared = os.environ.get("MNEMIC_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    for name in ("ingest", "calls", "recorded", "update", "hostile"):
        part = parts.add_parser(name)
        part.add_argument("--systems", "--only", action="append", metavar="A,B", help="these alone; all by default")
        part.add_argument("--out", type=Path, default=RESULTS / "conversation.json", help="the file of figures")
        part.add_argument("--data", type=Path, default=Path(shared), help="the folder of data sets")
        part.add_argument("--work", type=Path, default=RESULTS / "conversation", help="for logs and vectors")
        part.add_argument("--n", type=int, help="episodes; with --growth the most")
        if name == "ingest":
            part.add_argument("--runs", type=int, default=3)
            part.add_argument("--growth", action="store_true")
            part.add_argument("--limit", type=float, default=600.0, metavar="S", help="a longer point ends its series")
            part.add_argument("--plot", type=Path, default=PICTURE)
        if name in ("recorded", "update"):
            part.add_argument("--embedder", default="auto")
            part.add_argument("--samples", type=int, metavar="N", help="the first N conversations of a data set alone")
        if name == "update":
            part.add_argument("--updates", type=lambda text: [int(n) for n in text.split(",")], default=[2, 8, 24, 48])
    point = parts.add_parser("point")
    point.add_argument("system")
    point.add_argument("n", type=int)
    point.set_defaults(systems=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
