"""Questions whose answer was changed in the course of the log: which turns tell the old value, and which the new one.

The keys of the data sets name turns of evidence, which is not enough: some tell no value ("Sure, here is my schedule"), others
that tell it are not named (a user says it again, an assistant repeats it). So the values, and all turns that tell them of what
is asked, were read out of the logs by hand and stand below; the questions' own keys are not used. In a log each turn is
recorded when it was said, so that "as of its time" means something.

newest    the first hit that tells a value tells the newest; a hit that tells none of them is passed over
found     a hit tells any value at all: what is missing here was not recalled, so nothing is learned of updates
newest@10 one of the first ten hits tells the newest value
then      asked as of just before the new value was said, a hit tells the old one
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate, islice
from pathlib import Path
from statistics import mean
from typing import Literal

from mnemic import Memory
from mnemic.bench.dataset import Sample
from mnemic.bench.registry import dataset
from mnemic.bench.trial import times_of
from mnemic.clock import ManualClock
from mnemic.model import Hit
from mnemic.models.embedder import Embedder
from mnemic.text.terms import normalised

DATASETS = (("longmemeval", "s-samples"), ("beam", "100k"))
LIMIT = 50


@dataclass(frozen=True, slots=True)
class Value:
    """A value: the words that tell it, any of them, and the turns in which they do."""

    words: tuple[str, ...]
    turns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """The last value and the one before it; turns that only repeat the old one later are among its own."""

    old: Value
    new: Value


def _changed(old_words: str, old_turns: str, new_words: str, new_turns: str) -> Changed:
    """Words are divided by "|", turns by blanks."""
    old, new = (
        Value(tuple(f" {normalised(one)} " for one in words.split("|")), tuple(turns.split()))
        for words, turns in ((old_words, old_turns), (new_words, new_turns))
    )
    return Changed(old, new)


CHANGED = {
    # the key of the file says $350,000; a later session tells of $400,000, and the newest is what is asked for here
    "852ce960": _changed("$350,000", "s2:2 s2:3 s2:11", "$400,000", "s36:0"),
    # the first turn of the key tells no response time, turn 104 does
    "1/knowledge_update/0": _changed("300ms", "104", "250ms", "108 114 186"),
    "1/knowledge_update/1": _changed("150 commits", "148", "165", "182"),
    "2/knowledge_update/0": _changed("1000 calls/day|1,000", "32 46 64 65", "1,200|1200", "66 67 69 71"),
    "2/knowledge_update/1": _changed("65%", "114 124", "78%", "128"),
    "3/knowledge_update/0": _changed("April 1|April 1 2024", "12 13 38 39 40 48", "April 5", "52 53"),
    "3/knowledge_update/1": _changed("8 cards", "60", "10 cards", "116"),
    "4/knowledge_update/0": _changed("90%", "82 83 134 154", "95%", "130"),
    "4/knowledge_update/1": _changed("10 classification problems|8 10", "30", "15 classification problems|above 80%", "58 59"),
    "5/knowledge_update/0": _changed("3 hours", "44 45 48 49", "4 hours", "62 63 108 150"),
    "5/knowledge_update/1": _changed("8 problems|8 conditional", "84 100 108 130", "12 conditional", "130"),
    "6/knowledge_update/0": _changed("3 interviews|three interviews", "62 63", "5 interviews", "92 93"),
    "6/knowledge_update/1": _changed("5 women|5 mentees", "182 183", "to 7|7 mentees", "192 193 195"),
    "7/knowledge_update/0": _changed("45 sources", "82 83", "52 sources", "110 111"),
    "7/knowledge_update/1": _changed("4,500 words|4,500 word", "116 117 131", "4,700 words", "158 159"),
    "8/knowledge_update/0": _changed("April 21", "92", "April 22|11 AM", "94 97 99 101 103"),
    # the key's one turn tells the new value alone; the old one was said in turn 208
    "8/knowledge_update/1": _changed("2 remote workdays", "208 213 219", "three days a week", "214 215"),
    "9/knowledge_update/0": _changed("3 PM|3 00 PM", "44 153 155 157", "4 30 PM", "46 47 49"),
    "10/knowledge_update/0": _changed("1,200 words|1,200", "22 23 27", "1,350|1,350 words", "64 65 67"),
    "10/knowledge_update/1": _changed("April 20", "86 87", "April 25", "168 169 171"),
}  # fmt: skip
UNTOLD = ("9/knowledge_update/1",)  # nobody ever says that the session was moved to May 22


@dataclass(frozen=True, slots=True)
class Scores:
    """Of one question."""

    id: str
    newest: float
    found: float
    newest_at_10: float
    then: float


def measured_questions(
    system: str, data: Path, embedder: Embedder, samples: int | None = None
) -> Iterator[tuple[str, Scores]]:
    """(the dataset, scores) of every question whose change is told in the log."""
    for name, variant in DATASETS:
        for sample in islice(dataset(name).load(data, variant), samples):
            if any(question.id in CHANGED for question in sample.questions):
                yield from ((name, scores) for scores in of_sample(system, sample, embedder))


def figures(scored: Sequence[tuple[str, Scores]]) -> dict[str, float]:
    """Means over the questions of all data sets."""
    all_scores = [scores for _, scores in scored]
    names = {"newest": "newest", "found": "found", "newest@10": "newest_at_10", "then": "then"}
    means = {f"questions {name}": mean(getattr(one, field) for one in all_scores) for name, field in names.items()}
    return {"questions n": float(len(all_scores)), **means}


def of_sample(system: str, sample: Sample, embedder: Embedder) -> list[Scores]:
    """One log with each turn recorded when it was said, observed by one system, and its questions asked."""
    times = list(accumulate(times_of(sample.turns), max))
    clock = ManualClock(times[0])
    place = {turn.id: at for at, turn in enumerate(sample.turns)}
    scored = []
    with Memory.open(embedder=embedder, clock=clock, llm="none", background=False) as memory:
        for turn, at in zip(sample.turns, times, strict=True):
            clock.set(at)
            said = {"id": turn.id, "role": turn.role, "content": turn.text, "name": turn.actor}
            memory.add({**said, "session": turn.session, "occurred_at": at})
        clock.advance(timedelta(days=1))
        memory.attach(system)
        if error := memory.consolidate()[system].get("error"):
            raise RuntimeError(str(error))
        handle = memory.system(system)
        for question in sample.questions:
            if (changed := CHANGED.get(question.id)) is not None:
                before = times[min(map(place.__getitem__, changed.new.turns)) - 1]
                now = handle.search(question.text, limit=LIMIT).hits
                then = handle.search(question.text, limit=LIMIT, as_of=before).hits
                scored.append(scores_of(question.id, changed, now, then))
    return scored


def scores_of(id: str, changed: Changed, now: Sequence[Hit], then: Sequence[Hit]) -> Scores:
    """What the hits of a question tell, asked at the end of the log and as of the time before the change."""
    told = [told_by(hit, changed) for hit in now]
    first = next((what for what in told if what), None)
    return Scores(
        id,
        newest=float(first == "new"),
        found=float(first is not None),
        newest_at_10=float("new" in told[:10]),
        then=float(any(told_by(hit, changed) == "old" for hit in then)),
    )


def told_by(hit: Hit, changed: Changed) -> Literal["new", "old", ""]:
    """Which value a hit tells; the new one where it tells both, since whoever reads it learns of the change."""
    text, turns = f" {normalised(hit.text)} ", {*hit.sources, *hit.duplicates}
    if not turns.isdisjoint(changed.new.turns) and any(one in text for one in changed.new.words):
        return "new"
    return "old" if not turns.isdisjoint(changed.old.turns) and any(one in text for one in changed.old.words) else ""
