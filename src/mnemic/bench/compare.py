"""Memory systems side by side on a user's own log, with the user's questions or with a probe made from the log.

The one idea: the log is only read. What is asked is asked of a copy in this process's memory (`log_copy`), without what
the probe holds out, so that nothing is noted as recalled and systems that keep records make them from the same
episodes. A question without a time of its own is asked just after the last episode of its scope.

The same words from the same mouth are one thing: whichever of them a system returns, it counts.
"""

from __future__ import annotations

import itertools
import math
import statistics as averages
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from mnemic._version import __version__
from mnemic.bench.dataset import Key, Question
from mnemic.bench.log_copy import HeldOut, copy_log, just_after, read_logs, read_vectors, take_in
from mnemic.bench.log_questions import read_questions
from mnemic.bench.metrics import Outcome, average, score
from mnemic.bench.probe import KINDS, LogQuestion, ScopeLog, make_probe, statement
from mnemic.bench.results import Asked, Found, Ingested, Results, Run, Text
from mnemic.bench.spec import Spec, parse_spec
from mnemic.bench.statistics import Comparison as Difference
from mnemic.bench.statistics import compare as paired
from mnemic.bench.trial import confidence_of
from mnemic.errors import ParameterError
from mnemic.memory import Memory
from mnemic.memory.ask import ask
from mnemic.model import Cue, Episode, new_id
from mnemic.models.llm import LLM
from mnemic.models.open_llm import open_llm
from mnemic.ops.pack import pack
from mnemic.progress import track
from mnemic.systems.registry import system_class
from mnemic.text.tokens import count_tokens

MEASURES = {kind.id: kind.measures for kind in KINDS}
_NO_BUDGET = 10**6  # tokens: every hit goes into the block
_SHOWN = 5  # hits of a question on which systems differ


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One system's figures on some of the questions."""

    system: str
    n: int
    figures: Mapping[str, float]  # means by metric
    tokens: float  # of a context block with all hits, on average
    median_ms: float  # of a search, the embedding of the question apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """Which path a system took."""

    model: str | None  # the id of the model that it could ask
    by_model: int  # recalls that a model, or what one had made, had a part in
    n: int  # recalls

    def __str__(self) -> str:
        if not self.by_model:
            return "without a model" if self.model is None else f"without an answer of {self.model}"
        some = "" if self.by_model == self.n else f" in {self.by_model:,} of {self.n:,} recalls"
        return f"with {self.model}{some}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Questions that are scored alike: all of them, or one kind of a probe."""

    name: str
    n: int
    metric: str  # what is compared
    lines: tuple[Line, ...]
    differences: tuple[Difference, ...] = ()  # of each further system less the first


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Something that a system recalled, or should have."""

    text: str
    speaker: str
    occurred_at: str
    is_evidence: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Differing:
    """A question on which the systems differ, with what each recalled."""

    question: LogQuestion
    scores: Mapping[str, float]
    recalled: Mapping[str, tuple[Seen, ...]]
    wanted: tuple[Seen, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogComparison:
    """What came out, and every row that it came from."""

    log: str
    scope: str
    episodes: int  # in sight of the systems
    embedder: str
    systems: tuple[str, ...]
    ran: Mapping[str, Ran]  # by system
    k: int
    seed: int
    is_probe: bool
    held_out: int
    chance: float | None  # recall@k of k episodes drawn at random; None where no question has evidence
    parts: tuple[Part, ...]
    kinds: tuple[Part, ...]  # of a probe
    differing: tuple[Differing, ...]
    run: Run = field(repr=False)
    rows: tuple[Asked, ...] = field(repr=False)
    ingested: tuple[Ingested, ...] = field(repr=False)
    texts: tuple[Text, ...] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values, without the rows; what cannot be told is None."""
        named: dict[str, Any] = {
            name: getattr(self, name)
            for name in (
                "log",
                "scope",
                "episodes",
                "embedder",
                "systems",
                "k",
                "seed",
                "is_probe",
                "held_out",
                "chance",
            )
        }
        named["ran"] = {system: {**asdict(one), "told": str(one)} for system, one in self.ran.items()}
        named["parts"] = [asdict(one) for one in self.parts]
        named["kinds"] = [{**asdict(one), "measures": MEASURES[one.name]} for one in self.kinds]
        named["differing"] = [asdict(one) for one in self.differing]
        plain: dict[str, Any] = _plain(named)
        return plain


def compare(
    memory: Memory,
    systems: Sequence[str],
    questions: str | Path | None = None,
    *,
    k: int = 10,
    n: int = 200,
    seed: int = 0,
    examples: int = 5,
    llm: str | LLM | None = None,
    show_progress: bool = False,
) -> LogComparison:
    """Put a file of questions, or else a probe of at most n, to systems on a copy of the memory's scope and those below it.

    systems: ids, with parameters where they differ ("hybrid:time=0"); the first is what the others are compared with.
    llm: what systems ask that can ask a model, as in `Memory.open`; None for their offline paths, whatever they are attached
    with and whatever $MNEMIC_LLM says, since everything is asked anew.
    Raises SystemNotFound; FormatError for the questions; ParameterError for a log or a probe without questions; StoreError
    where a system cannot take the log in.
    """
    if k < 1 or n < 1:
        raise ParameterError(f"k={k}, n={n}: give whole numbers of at least 1.")
    specs = _specs(systems)
    model = None if llm is None else open_llm(llm)
    logs = read_logs(memory)
    if not any(logs.values()):
        raise ParameterError(
            f"Nothing is remembered in the scope {memory.scope_path!r}, so nothing can be compared. `mnemic stats` says where "
            "something is."
        )
    held_out: HeldOut = frozenset()
    if questions is None:
        made = make_probe(
            (ScopeLog(path, log, read_vectors(memory, path)) for path, log in logs.items()), n=n, seed=seed
        )
        asking, held_out = list(made.questions), made.held_out
    else:
        asking = read_questions(questions, logs, memory.scope_path)
    run = Run(
        id=new_id(),
        dataset=f"log/{memory.path.stem if memory.path else 'memory'}",
        began_at=datetime.now().astimezone().isoformat(timespec="seconds"),
        version=__version__,
        settings={
            "systems": [spec.label for spec in specs],
            "k": k,
            "seed": seed,
            "scope": memory.scope_path,
            "embedder": memory.stats()["embedder"],
            "questions": "a probe" if questions is None else str(questions),
            "held_out": len(held_out),
            "llm": "none" if model is None else model.id,
        },
    )
    ran: dict[str, Ran] = {}
    with _closing(model, is_ours=isinstance(llm, str)), copy_log(memory, logs, held_out) as copy:
        stage = _Stage(copy, {path: _Sample.of(log) for path, log in read_logs(copy).items()}, run, k)
        rows, ingested = list[Asked](), list[Ingested]()
        for spec in specs:
            started = time.perf_counter()
            asking_model = model if "llm" in system_class(spec.id).card.needs else None
            attached = take_in(copy, memory, spec, asking_model)
            system_s = time.perf_counter() - started
            mine = [
                stage.ask(spec, question) for question in track(asking, spec.label, len(asking), show=show_progress)
            ]
            rows += mine
            ran[spec.label] = Ran(
                model=asking_model.id if asking_model else None,
                by_model=sum(row.extra["path"] == "llm" for row in mine),
                n=len(mine),
            )
            ingested += [stage.ingested(spec, scope, system_s) for scope in dict.fromkeys(row.sample for row in mine)]
            copy.detach(attached)
    labels = [spec.label for spec in specs]
    return LogComparison(
        log=str(memory.path or "in memory"),
        scope=memory.scope_path,
        episodes=sum(len(sample.episodes) for sample in stage.samples.values()),
        embedder=str(run.settings["embedder"]),
        systems=tuple(labels),
        ran=ran,
        k=k,
        seed=seed,
        is_probe=questions is None,
        held_out=len(held_out),
        chance=stage.chance(asking),
        parts=tuple(_parts(rows, labels, k)),
        kinds=tuple(_kinds(rows, labels, k)) if questions is None else (),
        differing=tuple(stage.differing(rows, asking, labels, examples)),
        run=run,
        rows=tuple(rows),
        ingested=tuple(ingested),
        texts=tuple(stage.texts(rows)),
    )


def save(comparison: LogComparison, path: str | Path) -> None:
    """Keep every question's row in a file of results, as `mnemic bench` keeps its own."""
    with Results(path) as results:
        results.begin(comparison.run)
        results.keep_texts(comparison.texts)
        for place, one in enumerate(comparison.ingested):
            mine = [row for row in comparison.rows if (row.system, row.sample) == (one.system, one.sample)]
            results.save(one, mine, place=place)


@contextmanager
def _closing(model: LLM | None, *, is_ours: bool) -> Iterator[None]:
    """Close a model that was opened here; one that was given stays its owner's."""
    try:
        yield
    finally:
        if model is not None and is_ours:
            model.close()


def _specs(systems: Sequence[str]) -> list[Spec]:
    specs = [parse_spec(name) for name in systems if name.strip()]
    labels = [spec.label for spec in specs]
    if not specs or len(set(labels)) < len(labels):
        raise ParameterError(f"systems={', '.join(systems)!r}: name one or more, each once, such as hybrid,bm25.")
    ours = [spec.label for spec in specs if spec.is_ours]
    if ours:
        raise ParameterError(
            f"{ours[0]!r} is no system; it is made by `mnemic bench`. `mnemic systems` lists those there are."
        )
    return specs


# -- asking ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Sample:
    """One scope of the copy, and which of its episodes say the same."""

    episodes: Mapping[str, Episode]
    first_said: Mapping[str, str]  # by id, the id of the episode that said it first
    after: datetime
    tokens: int

    @classmethod
    def of(cls, log: Sequence[Episode]) -> _Sample:
        first: dict[tuple[int, str | None], str] = {}
        first_said = {one.id: first.setdefault(statement(one), one.id) for one in log}
        tokens = sum(count_tokens(one.text) for one in log)
        return cls({one.id: one for one in log}, first_said, just_after(log).now(), tokens)

    def canonical(self, ids: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.first_said[id] for id in ids if id in self.first_said))


@dataclass(frozen=True, slots=True)
class _Stage:
    """The copy, and how questions are put to it."""

    copy: Memory
    samples: Mapping[str, _Sample]  # by absolute scope
    run: Run
    k: int

    def ask(self, spec: Spec, question: LogQuestion) -> Asked:
        shared, sample = self.copy._shared, self.samples[question.scope]
        asked_at = question.asked_at or sample.after
        cue = Cue(text=question.text, scope=question.scope, asked_at=asked_at, limit=self.k)
        recall = ask(shared, spec.id, cue, note=False)
        if not shared.waits(
            spec.id
        ):  # the query is embedded by now, so what is timed is the search; a model answers once
            recall = ask(shared, spec.id, cue, note=False)
        found = tuple(
            Found(
                turns=sample.canonical((*hit.sources, *hit.duplicates)), score=hit.score, tokens=count_tokens(hit.text)
            )
            for hit in recall.hits
        )
        block = pack(recall.hits, _NO_BUDGET, self.copy._mark)
        evidence = sample.canonical(question.evidence)
        answers = () if question.answer is None else (question.answer,)
        asked = Question(
            id=question.id,
            text=question.text,
            category=question.kind,
            key=Key(evidence=evidence, answers=answers),
            task="recall" if evidence else "contains",
        )
        turns = tuple(dict.fromkeys(turn for one in found for turn in one.turns))
        outcome = Outcome(
            found=found,
            is_all=len(found) < self.k,
            texts=[hit.text for hit in recall.hits],
            context_turns=turns,
        )
        return Asked(
            run=self.run.id,
            dataset=self.run.dataset,
            system=spec.label,
            sample=question.scope,
            question=question.id,
            text=question.text,
            category=question.kind,
            task=asked.task,
            evidence=evidence,
            corrected=None,
            found=found,
            scores=score(asked, outcome, (self.k,)),
            confidence=confidence_of(recall),
            elapsed_ms=recall.elapsed_ms,
            context_tokens=block.tokens,
            context_turns=turns,
            extra={"path": recall.path} | ({"answers": list(answers)} if answers else {}),
        )

    def ingested(self, spec: Spec, scope: str, system_s: float) -> Ingested:
        sample = self.samples[scope]
        return Ingested(
            run=self.run.id,
            dataset=self.run.dataset,
            system=spec.label,
            sample=scope,
            turns=len(sample.episodes),
            sessions=len({one.session for one in sample.episodes.values()} - {None}),
            tokens=sample.tokens,
            log_s=0.0,
            system_s=system_s,
            bytes=0,
            failures=0,
        )

    def texts(self, rows: Iterable[Asked]) -> Iterator[Text]:
        """What stands behind the rows, so that they can be read without the log."""
        wanted = {(row.sample, turn) for row in rows for turn in (*row.evidence, *row.context_turns)}
        for scope, id in sorted(wanted):
            one = self.samples[scope].episodes[id]
            yield Text(self.run.dataset, scope, id, one.speaker, one.session, one.occurred_at.isoformat(), one.text)

    def chance(self, asking: Iterable[LogQuestion]) -> float | None:
        """recall@k of k statements drawn at random."""
        shares = [
            min(1.0, self.k / len(set(self.samples[one.scope].first_said.values()))) for one in asking if one.evidence
        ]
        return averages.fmean(shares) if shares else None

    def differing(
        self, rows: Sequence[Asked], asking: Iterable[LogQuestion], labels: Sequence[str], most: int
    ) -> Iterator[Differing]:
        """The questions on which the systems differ most, by what is compared and then by rank."""
        by_question: dict[str, list[Asked]] = {}
        for row in rows:
            by_question.setdefault(row.question, []).append(row)

        def spread(asked: Sequence[Asked], metric: str) -> float:
            values = [row.scores.get(metric, 0.0) for row in asked]
            return max(values) - min(values)

        def gap(question: LogQuestion) -> tuple[float, float]:
            asked = by_question[question.id]
            return spread(asked, _metric(asked[0].task, self.k)), spread(asked, "mrr")

        ordered = sorted(asking, key=lambda question: (*(-size for size in gap(question)), question.id))
        nth = {kind: itertools.count() for kind in dict.fromkeys(question.kind for question in ordered)}
        turns = {question.id: next(nth[question.kind]) for question in ordered}
        # of equal gaps, one of each kind before the second of any
        ordered.sort(key=lambda question: (-gap(question)[0], turns[question.id]))
        for question in ordered[:most] if len(labels) > 1 else ():
            if gap(question) > (0.0, 0.0):
                asked = by_question[question.id]
                wanted = asked[0].evidence
                yield Differing(
                    question=question,
                    scores={row.system: row.scores[_metric(row.task, self.k)] for row in asked},
                    recalled={
                        row.system: tuple(
                            self._seen(row.sample, turn, wanted) for hit in row.found[:_SHOWN] for turn in hit.turns[:1]
                        )
                        for row in asked
                    },
                    wanted=tuple(self._seen(question.scope, turn, wanted) for turn in wanted),
                )

    def _seen(self, scope: str, id: str, wanted: Sequence[str]) -> Seen:
        one = self.samples[scope].episodes[id]
        return Seen(
            text=one.text, speaker=one.speaker, occurred_at=one.occurred_at.isoformat(), is_evidence=id in wanted
        )


# -- summing up -----------------------------------------------------------------------------------------------


def _metric(task: str, k: int) -> str:
    return f"recall@{k}" if task == "recall" else f"contains@{k}"


def _parts(rows: Sequence[Asked], labels: Sequence[str], k: int) -> Iterator[Part]:
    for task, name in (("recall", "questions with evidence"), ("contains", "questions with an answer only")):
        mine = [row for row in rows if row.task == task]
        if mine:
            yield _part(name, mine, labels, _metric(task, k), k, is_tested=True)


def _kinds(rows: Sequence[Asked], labels: Sequence[str], k: int) -> Iterator[Part]:
    for kind in KINDS:
        mine = [row for row in rows if row.category == kind.id]
        if mine:
            yield _part(kind.id, mine, labels, _metric("recall", k), k, is_tested=False)


def _part(name: str, rows: Sequence[Asked], labels: Sequence[str], metric: str, k: int, *, is_tested: bool) -> Part:
    by_system = {label: [row for row in rows if row.system == label] for label in labels}
    first = by_system[labels[0]]
    metrics = [f"recall@{k}", f"all@{k}", "mrr", f"ndcg@{k}"] if metric.startswith("recall") else [metric]
    lines = tuple(
        Line(
            system=label,
            n=len(mine),
            figures={one: average(mine, one)[0] for one in metrics},
            tokens=averages.fmean(row.context_tokens for row in mine),
            median_ms=averages.median(row.elapsed_ms for row in mine),
        )
        for label, mine in by_system.items()
    )
    differences: list[Difference] = []
    if is_tested and len(labels) > 1:
        scopes = {scope: code for code, scope in enumerate(dict.fromkeys(row.sample for row in first))}
        scores = {label: np.array([row.scores[metric] for row in mine]) for label, mine in by_system.items()}
        differences = paired(scores, labels[0], np.array([scopes[row.sample] for row in first]))
    return Part(name=name, n=len(first), metric=metric, lines=lines, differences=tuple(differences))


def _plain(value: Any) -> Any:
    """The value as JSON has it: None for what is not a number, text for times."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return None if isinstance(value, float) and math.isnan(value) else value
