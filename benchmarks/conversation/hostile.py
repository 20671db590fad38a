"""A model that answers badly, slowly, too seldom or not at all, behind a real server: what is left when it is well again.

The same turns go into three logs: one with a healthy model; one whose model gives malformed answers to three prompts in ten,
is slow, refuses every seventh request with a 429, and is down while the second half of the turns comes and recall is timed;
one with every malformation that the scripted model knows, also those that look like an answer. When the model is well again:

  equal     in the second log, records and links are those of the first (after what was given up is asked again)
  given up  prompts that the system went on without, before they were asked again
  episodes, twice   the log holds everything, and no record stands there under two ids
  p95 down  recall in milliseconds while no connection is taken, beside that with the healthy model; tries and pauses are few
            and short there, so beside it stands the slowest of some recalls with the settings that a spec has by default
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dialogue import WordVectors
from found import measured, merge_into, show
from recorded_model import RecordedModel

from mnemic import Memory
from mnemic.bench.dataset import Sample
from mnemic.bench.registry import dataset
from mnemic.bench.trial import SCOPE, neutral_id, times_of
from mnemic.clock import ManualClock
from mnemic.testing import MALFORMATIONS, ScriptedLLM

SYSTEMS = ("mem0", "lightmem", "theanine", "a-mem", "memorybank")
# what the library repairs to the same answer, or refuses; the others look like an answer and may be taken for one
PLAIN = ("fenced", "prose_around", "trailing_comma", "single_quotes", "empty", "refusal", "html", "invalid_utf8")
ASKED, ASKED_BY_DEFAULT = 40, 4
QUICK = "&timeout_s=5&max_tries=3&max_pause_s=0.05"
QUICK_ALONE = "&timeout_s=5"
ROUNDS = 60


def hostile(systems: Sequence[str], out: Path, data: Path, *, turns: int) -> None:
    """Measure, keep and show it."""
    whole = next(iter(dataset("locomo").load(data, "five")))
    sample = Sample(id=whole.id, turns=whole.turns[:turns], questions=whole.questions[:ASKED])
    rows = []
    for card in measured(systems or SYSTEMS):
        if "llm" not in card.needs:
            continue
        rows.append(one(card.id, sample, data))
        merge_into(out, "hostile", rows[-1:], ("system",), turns=turns)
        print(f"{card.id}: equal {rows[-1]['equal']}", flush=True)
    names = (
        *("records", "requests", "requests_bad", "rounds", "given_up", "differ", "equal", "episodes", "twice"),
        *("p95_up_ms", "p95_down_ms", "down_by_default_ms", "all_kinds_differ", "all_kinds_twice", "error"),
    )
    show("A hostile model", ("system", *names), ([row["system"], *(row[name] for name in names)] for row in rows))


def one(system: str, sample: Sample, data: Path) -> dict[str, Any]:
    """One system, three times."""
    with tempfile.TemporaryDirectory() as folder:
        healthy = Log(Path(folder) / "healthy.db", system, sample, data)
        with healthy as log:
            log.add()
            log.catch_up()
            expected, up = log.made(), log.timed()
        bad = Log(Path(folder) / "bad.db", system, sample, data)
        with bad as log:
            log.llm.misbehave(0.3, kinds=PLAIN, seed=1)
            log.llm.slow(0.01)
            log.llm.rate_limit(every=7, retry_after_s=0.02)
            half = len(sample.turns) // 2
            log.add(0, half)
            log.catch_up()
            log.llm.down()
            log.add(half)
            log.consolidate()
            down = log.timed()
            log.llm.up()
            rounds = log.catch_up()
            after, given_up = log.made(), log.given_up()
            log.llm.misbehave()
            log.llm.rate_limit(every=None)
            log.consolidate(retry_failed=True)
            log.catch_up()
            again, episodes, twice = log.made(), log.episodes(), log.twice()
        worst = Log(Path(folder) / "worst.db", system, sample, data)
        with worst as log:
            log.add()
            log.llm.misbehave(0.3, failing=0.05, dropped=0.05, kinds=MALFORMATIONS, seed=2)
            log.catch_up()
            strange, strange_twice, error = log.made(), log.twice(), log.error
            strange_episodes = log.episodes()
        with Log(Path(folder) / "default.db", system, sample, data, QUICK_ALONE) as log:
            log.add()
            log.catch_up()
            log.llm.down()
            by_default = log.timed(ASKED_BY_DEFAULT)
    return {
        "system": system,
        "records": len(expected),
        "requests": healthy.requests,
        "requests_bad": bad.requests,
        "rounds": rounds,
        "given_up": len(given_up),
        "given_up_prompts": given_up,
        "differ": differing(expected, after),
        "equal": expected == again,
        "episodes": min(episodes, strange_episodes) / len(sample.turns),
        "twice": twice,
        "p95_up_ms": up[int(len(up) * 0.95)],
        "p95_down_ms": down[int(len(down) * 0.95)],
        "p50_down_ms": statistics.median(down),
        "down_by_default_ms": by_default[-1],
        "all_kinds_differ": differing(expected, strange),
        "all_kinds_twice": strange_twice,
        "error": bad.error or error,
    }


class Log:
    """A log with a system that asks a scripted model over HTTP."""

    def __init__(self, path: Path, system: str, sample: Sample, data: Path, settings: str = QUICK) -> None:
        self.path, self.system, self.sample, self.settings = path, system, sample, settings
        self.llm = ScriptedLLM()
        self.error: str | None = None
        self.requests = 0
        RecordedModel.of(data).teach(self.llm)

    def __enter__(self) -> Log:
        self.llm.start()
        self.times = times_of(self.sample.turns)
        clock = ManualClock(max(self.times))
        spec = f"openai:scripted?base_url={self.llm.base_url}{self.settings}"
        self.root = Memory.open(self.path, embedder=WordVectors(), clock=clock, llm="none", background=False)
        self.root.attach(self.system, llm=spec)
        self.handle = self.root.scope(SCOPE).system(self.system)
        return self

    def add(self, start: int = 0, stop: int | None = None) -> None:
        """Write turns into the log."""
        places = range(len(self.sample.turns))[start:stop]
        self.root.scope(SCOPE).add(
            [
                {
                    "id": neutral_id(place),
                    "role": turn.role,
                    "content": turn.text,
                    "name": turn.actor,
                    "session": turn.session,
                    "occurred_at": self.times[place],
                }
                for place in places
                for turn in [self.sample.turns[place]]
            ]
        )

    def __exit__(self, *error: object) -> None:
        self.requests = len(self.llm.requests)
        self.root.close()
        self.llm.close()

    def consolidate(self, *, retry_failed: bool = False) -> bool:
        """Once; whether everything was taken in."""
        done = self.root.consolidate(retry_failed=retry_failed)[self.system]
        self.error = str(done["error"])[:200] if "error" in done else None
        return self.error is None

    def catch_up(self) -> int:
        """As often as it takes; how often that was."""
        for number in range(1, ROUNDS + 1):
            if self.consolidate():
                return number
        return ROUNDS

    def made(self) -> dict[str, Any]:
        """Records by id, and links, as they can be compared with another log's."""
        store = self.root._shared.store.records
        made = {one.id: one.to_dict() for one in store.records(self.system, SCOPE)}
        return made | {one.id: one.to_dict() for one in store.links(self.system, SCOPE)}

    def twice(self) -> int:
        """Records that are current and say the same of the same episodes as another of their kind."""
        current = [one for one in self.root._shared.store.records.records(self.system, SCOPE) if not one.retired_at]
        same = Counter((one.kind, one.text, tuple(sorted(one.sources))) for one in current)
        return sum(n - 1 for n in same.values())

    def given_up(self) -> list[str]:
        """What stands among the failures, in words."""
        return [f"{one.step}: {one.error}"[:120] for one in self.root._shared.store.records.failures()]

    def episodes(self) -> int:
        """How many the log holds."""
        return int(self.root.scope(SCOPE).stats()["episodes"])

    def timed(self, most: int = ASKED) -> list[float]:
        """The milliseconds of a recall of each question, ascending."""
        times = []
        for question in self.sample.questions[:most]:
            began = time.perf_counter()
            self.handle.search(question.text, limit=10)
            times.append(1e3 * (time.perf_counter() - began))
        return sorted(times)


def differing(one: dict[str, Any], other: dict[str, Any]) -> int:
    """How many records and links are not the same in both."""
    return sum(one.get(id) != other.get(id) for id in {*one, *other})
