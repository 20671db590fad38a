"""What is measured of every memory, in its own environment: a self-check, LoCoMo retrieval, and speed (`speed.py`).

Each `with_*.py` beside this file puts one memory behind the verbs of `Adapter` and hands it to `main`, which does one
part and writes its figures as JSON. Nothing but numpy is needed. Embedding costs a dictionary look-up for everyone:
vectors were made once, by one model, and a text without one is an error. Any attempt to reach another machine is
refused and counted.
"""

from __future__ import annotations

import argparse
import json
import socket
import sqlite3
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

K = 20  # the most that a question asks for
BATCH = 100
EACH = 7  # every seventh canary is looked for
REFUSED: list[str] = []  # addresses that something tried to reach


@dataclass(frozen=True)
class Item:
    """One thing to remember: `text` is what every memory is given, the other fields are what it is made of."""

    id: str
    text: str
    said: str
    speaker: str
    session: str
    at: str


class Lookup:
    """The embedder of all memories: each text's vector is looked up."""

    def __init__(self, folder: Path, name: str) -> None:
        texts = json.loads((folder / f"{name}.texts.json").read_text())
        self.vectors: np.ndarray = np.load(folder / f"{name}.npy")
        self.dim = int(self.vectors.shape[1])
        self.asked = 0  # vectors handed out
        self._places = {text: place for place, text in enumerate(texts)}
        self._lists: list[list[float]] = []

    def rows(self, texts: Sequence[str]) -> np.ndarray:
        """[n, dim] float32."""
        rows: np.ndarray = self.vectors[[self._place(text) for text in texts]]
        return rows

    def lists(self, texts: Sequence[str]) -> list[list[float]]:
        """The same as plain numbers, made beforehand, for a memory whose interface wants those."""
        if not self._lists:
            self._lists = self.vectors.tolist()
        return [self._lists[self._place(text)] for text in texts]

    def _place(self, text: str) -> int:
        if text not in self._places:
            raise LookupError(f"No vector was made for {text[:80]!r}. Add it to what `texts_of` gives in peers.py.")
        self.asked += 1
        return self._places[text]


class Adapter:
    """A memory behind the few verbs that are measured; made to be derived from, once for each memory.

    A space keeps its items apart from those of other spaces: a collection, a user, a namespace, whatever it is there.
    """

    search_mode: ClassVar[str] = ""  # which of its searches, in a few words
    guarantee: ClassVar[str] = ""  # what holds once `add` has returned
    takes: ClassVar[Literal["arrays", "lists"]] = "arrays"
    is_kept: ClassVar[bool] = True  # whether items outlive `save` and `close`
    may_give_less: ClassVar[str] = ""  # why a search may give less than k hits, where it may

    def __init__(self, folder: Path, lookup: Lookup) -> None:
        self.folder = folder
        self.lookup = lookup

    def add_many(self, space: str, items: Sequence[Item]) -> None:
        """Remember several in the way that the memory has for it."""
        raise NotImplementedError

    def search(self, space: str, query: str, k: int) -> list[str]:
        """The ids of the items found, best first."""
        raise NotImplementedError

    def count(self, space: str) -> int:
        """How many items the space has."""
        raise NotImplementedError

    def add(self, space: str, item: Item) -> None:
        """Remember one."""
        self.add_many(space, [item])

    def save(self) -> None:
        """Write everything down, where adding does not."""

    def close(self) -> None:
        """Release files."""


def main(modes: dict[str, type[Adapter]]) -> None:
    """Do one part for one mode and write its figures. Called by each adapter's file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=["about", "check", "retrieval", "speed"])
    parser.add_argument("--mode", choices=list(modes), default=next(iter(modes)))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, required=True, help="an empty folder")
    parser.add_argument("--size", type=int, default=1000)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    sys.addaudithook(refuse_network)
    adapter = modes[options.mode]
    figures: dict[str, Any]
    if options.part == "about":
        figures = about(adapter)
    elif options.part == "check":
        figures = {"problems": problems(adapter, *locomo_lookup(options.data, adapter), options.scratch)}
    elif options.part == "retrieval":
        figures = retrieval(adapter, *locomo_lookup(options.data, adapter), options.scratch)
    else:
        from speed import speed  # beside this file; it needs what is defined here

        world = json.loads((options.data / "world.json").read_text())
        figures = speed(adapter, Lookup(options.data, "world"), world, options.size, options.scratch)
    options.out.write_text(json.dumps(figures | {"refused": sorted(set(REFUSED))}))


def about(adapter: type[Adapter]) -> dict[str, Any]:
    return {
        "search_mode": adapter.search_mode,
        "guarantee": adapter.guarantee,
        "is_kept": adapter.is_kept,
        "may_give_less": adapter.may_give_less,
        "python": sys.version.split()[0],
        "sqlite": sqlite3.sqlite_version,
    }


def refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: no memory may reach another machine while it is measured."""
    if event == "socket.getaddrinfo":
        host = str(arguments[0])
    elif event == "socket.connect" and arguments[0].family in (socket.AF_INET, socket.AF_INET6):
        host = str(arguments[1][0])
    else:
        return
    if host not in ("localhost", "127.0.0.1", "::1"):
        REFUSED.append(host)
        raise OSError(f"measuring: {host} may not be reached")


# -- self-check -----------------------------------------------------------------------------------------------


def problems(make: type[Adapter], lookup: Lookup, samples: Sequence[dict[str, Any]], folder: Path) -> list[str]:
    """What is wrong with an adapter, before any number is believed: written and read back, counts, k, spaces, reopening."""
    ours, others = canaries(samples)
    memory = make(folder, lookup)
    memory.add_many("canary", ours[:40])
    for item in ours[40:]:
        memory.add("canary", item)
    memory.add_many("other", others)
    found = _faults(memory, ours, len(others))
    if make.is_kept:
        before = [memory.search("canary", item.text, 10) for item in ours[::EACH]]
        memory.save()
        memory.close()
        memory = make(folder, lookup)
        found += [f"reopened: {fault}" for fault in _faults(memory, ours, len(others))]
        if before != [memory.search("canary", item.text, 10) for item in ours[::EACH]]:
            found.append("reopened: other hits than before")
    memory.close()
    return found


def canaries(samples: Sequence[dict[str, Any]]) -> tuple[list[Item], list[Item]]:
    """The items of the self-check: of one conversation, and of another that must stay out of sight."""
    return items_of(samples[0])[:60], items_of(samples[-1])[60:90]


def _faults(memory: Adapter, ours: Sequence[Item], others: int) -> list[str]:
    found = []
    counts = memory.count("canary"), memory.count("other")
    if counts != (len(ours), others):
        found.append(f"{counts} items of {(len(ours), others)}")
    known = {item.id for item in ours}
    for item in ours[::EACH]:
        for k in (5, 10, 20):
            ids = memory.search("canary", item.text, k)
            if len(ids) != len(set(ids)) or len(ids) > k or (len(ids) < k and not memory.may_give_less):
                found.append(f"{len(set(ids))} different hits of {len(ids)} for k = {k}")
            if not known.issuperset(ids):
                found.append("hits of another space, or of none")
            if ids[:1] != [item.id]:
                found.append(f"an item's own text does not find it first (k = {k})")
    return sorted(set(found))


# -- retrieval ------------------------------------------------------------------------------------------------


def retrieval(make: type[Adapter], lookup: Lookup, samples: Sequence[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """The hits of every question, each sample in a space of its own, all in one memory."""
    memory = make(folder, lookup)
    began = time.perf_counter()
    for sample in samples:
        items = items_of(sample)
        for start in range(0, len(items), BATCH):
            memory.add_many(sample["id"], items[start : start + BATCH])
    memory.save()
    wrote_s = time.perf_counter() - began
    counts = {sample["id"]: memory.count(sample["id"]) for sample in samples}
    wrong = {id: n for sample in samples if (n := counts[id := sample["id"]]) != len(sample["items"])}
    if wrong:
        raise SystemExit(f"items are missing after they were written: {wrong}")
    hits: dict[str, list[str]] = {}
    times = []
    asked = lookup.asked
    for sample in samples:
        for question in sample["questions"]:
            began = time.perf_counter()
            hits[question["id"]] = memory.search(sample["id"], question["text"], K)
            times.append(time.perf_counter() - began)
    memory.close()
    vectors = (lookup.asked - asked) / len(times)
    return {"hits": hits, "write_s": wrote_s, "search_ms": 1e3 * statistics.median(times), "vectors": vectors}


# -- reading --------------------------------------------------------------------------------------------------


def locomo_lookup(folder: Path, adapter: type[Adapter]) -> tuple[Lookup, list[dict[str, Any]]]:
    return Lookup(folder, "locomo"), json.loads((folder / "locomo.json").read_text())


def items_of(sample: dict[str, Any]) -> list[Item]:
    """The items of a sample or of the made-up world."""
    return [Item(**item) for item in sample["items"]]
