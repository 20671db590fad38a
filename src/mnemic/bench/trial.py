"""One sample: its log written once, then every system over that log, every question asked once of each.

Nothing of the dataset but what was said, by whom, in which session and when reaches the log: ids are m000001…, sessions
s0001…, the scope is the same for all. A turn without a time follows the one before it by a minute. The file of the log
is kept while systems are still to be measured on it, with a note beside it of what writing it cost; without the note it
is not whole, and is written again.
"""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from mnemic.bench import metrics
from mnemic.bench.check import leaks
from mnemic.bench.dataset import Question, Sample, Turn
from mnemic.bench.results import Asked, Found, Ingested
from mnemic.bench.spec import ORACLE, Spec
from mnemic.clock import ManualClock, as_aware
from mnemic.errors import InvalidInput, MnemicError
from mnemic.memory import Memory
from mnemic.memory.ask import ask
from mnemic.memory.choose_model import NONE as NO_MODEL
from mnemic.memory.front import CONTEXT_HITS
from mnemic.model import Cue, Hit, Recall
from mnemic.models.embedder import Embedder
from mnemic.models.llm import LLM
from mnemic.ops.pack import pack
from mnemic.store.sqlite import SqliteStore
from mnemic.text.terms import as_said
from mnemic.text.times import find_times
from mnemic.text.tokens import count_tokens

SCOPE = "memory"
DEEPEST = 400  # hits
_LINE_TOKENS = 15  # of a line in a context block beside its text: who said it, and the mark
_START = datetime(2024, 1, 1, 9, tzinfo=UTC)  # of a log without times
_STEP = timedelta(minutes=1)
_STORE_ID = "bench"  # not a random one: marks follow from it, and how many tokens a mark is depends on its letters


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How questions are asked."""

    run: str
    dataset: str  # with its variant
    ks: tuple[int, ...]
    depth: int
    budget_tokens: int
    keeps_blocks: bool = False  # for a model to read


class Leak(MnemicError):
    """A log that gives away what is asked of it: a fault of the harness, so nothing is measured."""


@dataclass(frozen=True)
class Log:
    """A sample's log, open, and what stands behind its neutral ids."""

    memory: Memory
    sample: Sample
    times: tuple[datetime, ...]  # of the turns
    log_s: float
    failures: int
    turn_of: Mapping[str, str]  # from neutral to the dataset's id
    place_of: Mapping[str, int]  # of a turn of the dataset
    line_tokens: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def after(self) -> datetime:
        """Just after the last turn."""
        return _after(self.times)

    @cached_property
    def tokens_of_turns(self) -> int:
        """Of all turns' texts together."""
        return sum(count_tokens(turn.text) for turn in self.sample.turns)

    @cached_property
    def deep(self) -> int:
        """How many hits fill the largest budget, so that recall can be given at it: an average line's worth and a half."""
        n = max(len(self.sample.turns), 1)
        hits = math.ceil(1.5 * max(metrics.BUDGETS) / (self.tokens_of_turns / n + _LINE_TOKENS))
        return min(max(hits, CONTEXT_HITS), max(CONTEXT_HITS, n), DEEPEST)

    @cached_property
    def sessions(self) -> dict[str, str | None]:
        """The session of each turn, by the dataset's names."""
        return {turn.id: turn.session for turn in self.sample.turns}

    @cached_property
    def labels(self) -> dict[str, str | None]:
        """The label of each turn."""
        return {turn.id: turn.label for turn in self.sample.turns}

    @cached_property
    def days(self) -> dict[str, date]:
        """The day of each turn that the dataset dates."""
        return {turn.id: turn.occurred_at.date() for turn in self.sample.turns if turn.occurred_at}

    def turns(self, hit: Hit) -> tuple[str, ...]:
        """The dataset's ids of the turns that a hit stands on."""
        ids = dict.fromkeys((*hit.sources, *hit.duplicates))
        return tuple(self.turn_of[id] for id in ids if id in self.turn_of)

    def tokens(self, hit: Hit) -> int:
        """Of the hit's line in a context block, its day's heading apart."""
        key = (hit.id, hit.text)
        if key not in self.line_tokens:
            said = as_said(hit.episode.speaker if hit.episode else None, " ".join(hit.text.split()))
            self.line_tokens[key] = count_tokens(f"- {said} {self.memory._mark(hit)}") + 1
        return self.line_tokens[key]


@contextmanager
def open_log(path: Path, sample: Sample, embedder: Embedder, llm: str | LLM = NO_MODEL) -> Iterator[Log]:
    """The sample's log in the file `path`, written if it is not there whole. Raises Leak.

    llm: what systems that can ask a model are measured with; by default their offline path, whatever the environment names.
    """
    times = times_of(sample.turns)
    clock = ManualClock(_after(times))
    note = path.with_suffix(".json")
    if not note.exists():
        remove_log(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        store = SqliteStore(path, clock=clock)
        store.claim_meta("store_id", _STORE_ID)
        store.close()
        with Memory.open(path, embedder=embedder, clock=clock, llm=NO_MODEL) as root:
            log_s, failures = write(root.scope(SCOPE), sample, times)
            root.scope(SCOPE).system("bm25").search("warm")  # so that index files are there to be counted
        note.write_text(json.dumps({"log_s": log_s, "failures": failures}), "utf-8")
    noted = json.loads(note.read_text("utf-8"))
    turn_of = {neutral_id(place): turn.id for place, turn in enumerate(sample.turns)}
    place_of = {turn.id: place for place, turn in enumerate(sample.turns)}
    with Memory.open(path, embedder=embedder, clock=clock, llm=llm) as root:
        for name in root.stats()["attached"]:  # left by a run that was cut short
            root.detach(name)
        memory = root.scope(SCOPE)
        if found := leaks(memory):
            raise Leak(
                f"The log of sample {sample.id!r} shows {found[0]}, and {len(found) - 1} more. Nothing was asked."
            )
        yield Log(memory, sample, times, noted["log_s"], noted["failures"], turn_of, place_of)


def remove_log(path: Path) -> None:
    """Delete a log's files."""
    for name in (path.with_suffix(".json"), path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
        name.unlink(missing_ok=True)
    folder = path.with_name(path.name + ".index")
    for file in folder.iterdir() if folder.is_dir() else ():
        file.unlink()
    if folder.is_dir():
        folder.rmdir()


def write(memory: Memory, sample: Sample, times: Sequence[datetime]) -> tuple[float, int]:
    """Write the sample's turns; (seconds, turns that were refused)."""
    sessions: dict[str, str] = {}
    messages: list[Mapping[str, Any]] = []
    for place, (turn, at) in enumerate(zip(sample.turns, times, strict=True)):
        session = turn.session and sessions.setdefault(turn.session, f"s{len(sessions) + 1:04}")
        said = {"id": neutral_id(place), "role": turn.role, "content": turn.text, "name": turn.actor}
        messages.append({**said, "session": session, "occurred_at": at})
    started = time.perf_counter()
    failures = 0
    try:
        memory.add(messages)
    except InvalidInput:  # some turn is refused, so nothing was written: all others still count
        for message in messages:
            try:
                memory.add(message)
            except InvalidInput:
                failures += 1
    return time.perf_counter() - started, failures


def measure(log: Log, spec: Spec, asking: Asking) -> tuple[Ingested, list[Asked]]:
    """Let one system take the log in, and ask it every question. The log is left without it."""
    root = log.memory
    started = time.perf_counter()
    failures = log.failures
    if not spec.is_ours:
        root.attach(spec.id, **spec.parameters)
        failures += sum("error" in done for done in root.consolidate().values())
    system_s = time.perf_counter() - started
    size = _bytes(log.memory)
    asked = [ask_one(log, spec, question, asking) for question in log.sample.questions]
    if not spec.is_ours:
        root.detach(spec.id)
    turns = log.sample.turns
    ingested = Ingested(
        run=asking.run,
        dataset=asking.dataset,
        system=spec.label,
        sample=log.sample.id,
        turns=len(turns),
        sessions=len({turn.session for turn in turns} - {None}),
        tokens=log.tokens_of_turns,
        log_s=log.log_s,
        system_s=system_s,
        bytes=size,
        failures=failures,
        peak_rss_bytes=_peak_rss_bytes(),
    )
    return ingested, asked


def ask_one(log: Log, spec: Spec, question: Question, asking: Asking) -> Asked:
    """One question put to one system: as deep as the largest budget needs, then timed at the depth that was asked for."""
    asked_at = log.after if question.asked_at is None else as_aware(question.asked_at)
    texts = question.options if question.task == "order" else (question.text,)
    deep = max(asking.depth, log.deep)
    deeper = [_recall(log, spec, question, text, asked_at, deep).hits for text in texts]
    # asked again: the query's embedding is known by now, so what is timed is the search
    timed = [_recall(log, spec, question, text, asked_at, asking.depth) for text in texts]
    hits = _merged(deeper)
    found = [Found(turns=log.turns(hit), score=hit.score, tokens=log.tokens(hit)) for hit in hits]
    block = pack(hits[:CONTEXT_HITS], asking.budget_tokens, log.memory._mark)
    shown = {citation.id for citation in block.citations}
    context_turns = tuple(
        dict.fromkeys(turn for hit in hits[:CONTEXT_HITS] if hit.id in shown for turn in log.turns(hit))
    )
    firsts = [log.turns(ranking[0]) if ranking else () for ranking in deeper]
    outcome = metrics.Outcome(
        found=found,
        is_all=all(len(ranking) < deep for ranking in deeper) or deep >= len(log.sample.turns),
        texts=[hit.text for hit in hits[: max(asking.ks)]],
        context_turns=context_turns,
        sessions=log.sessions,
        labels=log.labels,
        days=log.days,
        names_a_time=bool(find_times(question.text, asked_at)),
        earlier=_earlier(log, firsts) if question.task == "order" else None,
        depth=asking.depth,
        located=tuple(_is_located(question, at, turns) for at, turns in enumerate(firsts)),
    )
    extra: dict[str, object] = {"answers": list(question.key.answers)} if question.key.answers else {}
    extra |= {"error": question.error} if question.error else {}
    extra |= {"first": [list(turns) for turns in firsts]} if question.task == "order" else {}
    extra |= {"block": block.text, "asked_at": asked_at.isoformat()} if asking.keeps_blocks else {}
    return Asked(
        run=asking.run,
        dataset=asking.dataset,
        system=spec.label,
        sample=log.sample.id,
        question=question.id,
        text=question.text,
        category=question.category,
        task=question.task,
        evidence=question.key.evidence,
        corrected=None if question.corrected is None else question.corrected.evidence,
        found=tuple(found[: asking.depth]),
        scores=metrics.score(question, outcome, asking.ks),
        confidence=max(map(confidence_of, timed), default=0.0),
        elapsed_ms=sum(recall.elapsed_ms for recall in timed),
        context_tokens=block.tokens,
        context_turns=context_turns,
        extra=extra,
    )


def confidence_of(recall: Recall) -> float:
    """How sure a recall is: what the system says of it or, where it cannot say, the best hit's score; 0 without hits."""
    if recall.confidence is not None:
        return recall.confidence
    return recall.hits[0].score if recall.hits else 0.0


def _recall(log: Log, spec: Spec, question: Question, text: str, asked_at: datetime, limit: int) -> Recall:
    """The recall; nothing is noted as recalled, so that no question changes the answer to the next."""
    cue = Cue(text=text, scope=log.memory.scope_path, asked_at=asked_at, limit=limit)
    if spec.is_ours:
        hits = _by_key(log, question, text)[:limit] if spec.id == ORACLE else ()
        return Recall(cue=cue, hits=tuple(hits), system=spec.id)
    return ask(log.memory._shared, spec.id, cue, note=False)


def _by_key(log: Log, question: Question, text: str) -> list[Hit]:
    """What a perfect recall would give: the evidence by the file's key and then the corrected one's, or what answers."""
    wanted = list(question.key.evidence) + list(question.corrected.evidence if question.corrected else ())
    if question.task == "order":
        at = question.options.index(text)
        wanted = wanted[at : at + 1]
    elif question.task == "vote":
        wanted = [turn.id for turn in log.sample.turns if turn.label in question.key.answers]
    elif question.task == "contains":
        wanted = [turn.id for turn in log.sample.turns if metrics.contains([turn.text], question.key.answers)]
    ids = [neutral_id(log.place_of[turn]) for turn in dict.fromkeys(wanted) if turn in log.place_of][:DEEPEST]
    there = {one.id: one for one in log.memory._shared.store.get(log.memory.scope_path, ids)}
    return [Hit(score=1.0, episode=there[id]) for id in ids if id in there]


def _merged(rankings: Sequence[Sequence[Hit]]) -> list[Hit]:
    """The first hits of all, then the second ones, each hit once."""
    merged: dict[str, Hit] = {}
    for at in range(max(map(len, rankings), default=0)):
        for ranking in rankings:
            if at < len(ranking):
                merged.setdefault(ranking[at].id, ranking[at])
    return list(merged.values())


def _is_located(question: Question, at: int, turns: Sequence[str]) -> bool:
    """Whether the first hit for the option at a place is its evidence, which stands at the same place."""
    evidence = question.key.evidence
    return bool(set(turns) & set(evidence[at : at + 1]))


def _earlier(log: Log, firsts: Sequence[Sequence[str]]) -> int | None:
    """Which option's first hit happened earlier, by the times and then the order of the log; None where that does not tell."""
    if len(firsts) != 2 or not all(firsts):
        return None
    first, second = (
        min((log.times[place], place) for turn in turns for place in [log.place_of[turn]]) for turns in firsts
    )
    return None if first == second else int(second < first)


# -- neutral names, times, sizes ------------------------------------------------------------------------------


def neutral_id(place: int) -> str:
    """The id of the turn at a place, from 0.

    >>> neutral_id(0)
    'm000001'
    """
    return f"m{place + 1:06}"


def times_of(turns: Sequence[Turn]) -> tuple[datetime, ...]:
    """When each turn happened; one that does not say, a minute after the one before it."""
    times: list[datetime] = []
    for turn in turns:
        before = times[-1] if times else _START - _STEP
        times.append(before + _STEP if turn.occurred_at is None else as_aware(turn.occurred_at))
    return tuple(times)


def sample_digest(sample: Sample) -> str:
    """A name for the content of a sample, questions and keys included."""
    return hashlib.blake2b(repr(sample).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def turns_digest(sample: Sample, embedder: str) -> str:
    """A name for the content of a sample's log."""
    return hashlib.blake2b(f"{embedder}{sample.turns!r}".encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _after(times: Sequence[datetime]) -> datetime:
    return max(times, default=_START) + _STEP


def _bytes(memory: Memory) -> int:
    """On disk, of the log with all that was made from it: pages in use and index files."""
    path = memory.path
    assert path is not None, "a log is a file"
    database = sqlite3.connect(path)
    try:
        pages, free, size = (database.execute(f"PRAGMA {name}").fetchone()[0] for name in _PAGES)
    finally:
        database.close()
    folder = path.with_name(path.name + ".index")
    files = sum(file.stat().st_size for file in folder.iterdir()) if folder.is_dir() else 0
    return int((pages - free) * size) + files


_PAGES = ("page_count", "freelist_count", "page_size")


def _peak_rss_bytes() -> int:
    """The process's high-water mark; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
