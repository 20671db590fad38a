"""A run of the harness: every sample of a dataset, every system, in any number of processes, and nothing done twice.

A system is checked before it is measured. What it does with one sample is kept in one transaction, together with a name
for everything that it depends on: code, settings, turns and questions. A run that finds that name among the results
goes on to the next, so a run that was cut short is finished by running it again. The controls run in every run.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import signal
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from multiprocessing import get_context, parent_process
from pathlib import Path

import mnemic
from mnemic._version import __version__
from mnemic.bench import check
from mnemic.bench.dataset import Dataset, Sample, Variant
from mnemic.bench.download import differing, sha256
from mnemic.bench.results import Results, Run, Text
from mnemic.bench.spec import Spec, with_controls
from mnemic.bench.trial import Asking, Leak, measure, open_log, remove_log, sample_digest, turns_digest
from mnemic.errors import FormatError, ParameterError, StoreError
from mnemic.memory.choose_model import NONE as NO_MODEL
from mnemic.model import new_id
from mnemic.models.embedder import CachedEmbedder
from mnemic.models.resolve import open_embedder
from mnemic.progress import track
from mnemic.systems.registry import system_class

WIDE = 0.1  # of a log: where k covers more of it, finding is no feat
_NOT_MEASURED_WITH = ("cli", "formats", "bench/datasets", "async_memory.py", "audit.py", "doctor.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run is asked to do."""

    out: Path
    systems: tuple[str, ...] = ()
    ks: tuple[int, ...] = ()  # none: those of the dataset
    depth: int = 50
    budget_tokens: int = 700
    seed: int = 0
    limit: int | None = None  # questions, in the dataset's order
    samples: int | None = None
    work: Path | None = None  # None: beside the results
    jobs: int = 1
    embedder: str = "auto"
    llm: str = NO_MODEL  # the spec of what systems ask that can ask a model
    keep_logs: bool = False
    keeps_blocks: bool = False
    show_progress: bool = False

    def __post_init__(self) -> None:
        for name in ("depth", "budget_tokens", "jobs", "limit", "samples"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ParameterError(f"{name}={value}: give at least 1.")
        if any(k < 1 for k in self.ks):
            raise ParameterError(f"k={','.join(map(str, self.ks))}: each is a number of hits, 1 or more.")
        if self.ks and max(self.ks) > self.depth:
            raise ParameterError(f"k={max(self.ks)} is deeper than --depth {self.depth}. Give a greater depth.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One sample for the systems that are still to be measured on it; what goes to another process."""

    sample: Sample
    place: int
    specs: tuple[tuple[Spec, str], ...]  # each with the state under which its rows are kept
    asking: Asking
    log: Path
    out: Path
    embedder: str
    llm: str
    keep_log: bool


@dataclass(frozen=True, slots=True)
class Done:
    """What a run did."""

    run: Run
    measured: int  # pairs of a system and a sample
    skipped: int  # those that were there already
    errors: dict[str, str]  # the systems without numbers


def run(dataset: Dataset, variant: Variant, data: Path, settings: Settings) -> Done:
    """Measure systems on a variant of a dataset whose files stand below `data`, into the file of results.

    Raises ParameterError, SystemNotFound, FormatError for a file without what was promised, and StoreError.
    """
    name = f"{dataset.id}/{variant.id}" if variant.id else dataset.id
    ks = settings.ks or tuple(k for k in dataset.ks if k <= settings.depth) or (settings.depth,)
    specs = with_controls(settings.systems, settings.seed)
    embedder = _embedder(settings.embedder)
    begun = _begun(name, variant, data, settings, ks, specs, embedder.id)
    asking = Asking(
        run=begun.id,
        dataset=name,
        ks=ks,
        depth=settings.depth,
        budget_tokens=settings.budget_tokens,
        keeps_blocks=settings.keeps_blocks,
    )
    work = (settings.work or settings.out.with_name(settings.out.name + ".work")) / name.replace("/", "-")
    measured, skipped, errors = 0, 0, dict[str, str]()
    seen = _Seen()
    with Results(settings.out) as results, _alone(work):
        results.begin(begun)
        wrong = differing(variant, data)
        results.warn(
            name, "files", f"Not the files that the counts were taken from: {', '.join(wrong)}." if wrong else None
        )
        specs = list(_checked(specs, embedder, results, name))
        common = _digest(
            "code", code_digest(), asking.ks, asking.depth, asking.budget_tokens, asking.keeps_blocks, embedder.id
        )

        def tasks() -> Iterator[Task]:
            nonlocal skipped
            loaded = _limited(dataset.load(data, variant.id), settings)
            total = variant.samples if settings.samples is None else min(variant.samples, settings.samples)
            for place, sample in enumerate(track(loaded, name, total, show=settings.show_progress)):
                seen.note(sample, ks)
                results.keep_texts(_texts(name, sample))
                if settings.limit is not None:
                    _refuse_to_shrink(results, name, specs, sample)
                own = sample_digest(sample)
                states = [(spec, _state(common, own, spec, settings.llm)) for spec in specs]
                waiting = tuple(each for each in states if results.state(name, each[0].label, sample.id) != each[1])
                skipped += len(states) - len(waiting)
                # named for the code too: terms and vectors that other code wrote are not what this code would find
                log = work / f"{place + 1}-{turns_digest(sample, embedder.id)}-{code_digest()}.db"
                for other in set(work.glob(f"{place + 1}-*.db")) - {log}:
                    remove_log(other)
                if waiting:
                    yield Task(
                        sample=sample,
                        place=place,
                        specs=waiting,
                        asking=asking,
                        log=log,
                        out=settings.out,
                        embedder=settings.embedder,
                        llm=settings.llm,
                        keep_log=settings.keep_logs,
                    )
                elif not settings.keep_logs:
                    remove_log(log)

        for task, failed in _outcomes(tasks(), settings.jobs):
            measured += len(task.specs) - len(failed)
            for label, why in failed.items():
                if label not in errors:
                    errors[label] = why
                    results.fail(name, label, why)
        for kind, warning in seen.warnings(ks).items():
            results.warn(name, kind, warning)
        results.warn(name, "uneven", _uneven(results, name))
        results.warn(name, "other", _measured_otherwise(results, begun))
        errors = results.errors(name)
    if settings.limit is None and settings.samples is None:
        check_counts(name, variant, seen.categories)
    if not settings.keep_logs:
        for folder in (work, work.parent):
            with suppress(OSError):  # something is still in it, or it was never made
                folder.rmdir()
    return Done(begun, measured, skipped, errors)


def measure_task(task: Task) -> dict[str, str]:
    """Measure a sample's systems, keeping the rows of each as soon as they are there; {system: why it has none}."""
    failed: dict[str, str] = {}
    embedder = _embedder(task.embedder)
    with Results(task.out) as results, open_log(task.log, task.sample, embedder, task.llm) as log:
        for spec, state in task.specs:
            try:
                ingested, asked = measure(log, spec, task.asking)
            except (StoreError, Leak):
                raise  # no fault of the system's
            except Exception as error:  # a system may fail in any way; it is said, and the others are measured
                failed[spec.label] = f"sample {task.sample.id!r}: {type(error).__name__}: {error}"
                continue
            results.save(ingested, asked, place=task.place, state=state)
    if not task.keep_log:
        remove_log(task.log)
    return failed


def check_counts(name: str, variant: Variant, counted: Counter[str]) -> None:
    """Raise FormatError unless every category has as many questions as it must: a denominator is never a surprise."""
    expected = {category.id: category.n for category in variant.categories}
    if not any(expected.values()):
        return  # nobody states the counts: the files are the user's own
    wrong = {id: (counted[id], n) for id, n in expected.items() if counted[id] != n}
    wrong |= {id: (n, 0) for id, n in counted.items() if id not in expected}
    if wrong:
        told = "; ".join(f"category {id}: {found} questions, {n} expected" for id, (found, n) in wrong.items())
        raise FormatError(f"{name} has other questions than it should ({told}). Compare its files' checksums.")


@lru_cache(maxsize=1)
def code_digest() -> str:
    """A name for the code that figures depend on."""
    root = Path(mnemic.__file__).parent
    digest = hashlib.blake2b(digest_size=8)
    for file in sorted(root.rglob("*.py")):
        name = file.relative_to(root).as_posix()
        if not name.startswith(_NOT_MEASURED_WITH) and not (name.startswith("bench/") and name not in _MEASURING):
            digest.update(name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


_MEASURING = ("bench/trial.py", "bench/metrics.py", "bench/spec.py")  # of the files beside this one


# -- processes ------------------------------------------------------------------------------------------------


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Hold the folder of logs for this run; let go when the process ends, however it ends."""
    work.mkdir(parents=True, exist_ok=True)
    lock = sqlite3.connect(work / "lock", timeout=0.0, isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError:
        lock.close()
        raise ParameterError(
            f"Another run is at work in {work}. Let it finish, or give this one another --out; "
            "`mnemic bench report` reads several files as one."
        ) from None
    try:
        yield
    finally:
        lock.close()
        (work / "lock").unlink(missing_ok=True)


def _outcomes(tasks: Iterable[Task], jobs: int) -> Iterator[tuple[Task, dict[str, str]]]:
    """Each task with the systems that failed, as they are done."""
    if jobs == 1:
        for task in tasks:
            yield task, measure_task(task)
        return
    waiting: dict[Future[dict[str, str]], Task] = {}
    context = get_context("spawn")  # a fork would share the embedder's threads and this process's connections
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_end_with_parent)
    try:
        for task in tasks:
            waiting[pool.submit(measure_task, task)] = task
            if len(waiting) > 2 * jobs:  # so that a large dataset is not in memory as a whole
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                yield from ((waiting.pop(one), one.result()) for one in done)
        while waiting:
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            yield from ((waiting.pop(one), one.result()) for one in done)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)  # what is under way may take minutes; it ends with this process
        raise
    pool.shutdown()


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, however that ended."""
    parent = parent_process()
    assert parent is not None, "a process of a pool has a parent"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of them; the first one answers it

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@lru_cache(maxsize=1)
def _embedder(spec: str) -> CachedEmbedder:
    return CachedEmbedder(open_embedder(spec))


# -- before and after -----------------------------------------------------------------------------------------


class _Seen:
    """What the samples were like, for the warnings."""

    def __init__(self) -> None:
        self.categories: Counter[str] = Counter()
        self.samples = self.wide = 0
        self.without_evidence = self.elsewhere = 0

    def note(self, sample: Sample, ks: Sequence[int]) -> None:
        self.samples += 1
        self.wide += max(ks) > WIDE * len(sample.turns)
        turns = {turn.id for turn in sample.turns}
        for question in sample.questions:
            self.categories[question.category] += 1
            if question.task in ("recall", "newest"):
                self.without_evidence += not question.key.evidence
                self.elsewhere += not turns.issuperset(question.key.evidence)

    def warnings(self, ks: Sequence[int]) -> dict[str, str | None]:
        k = max(ks)
        return {
            "wide": f"k = {k} covers more than a tenth of the log in {self.wide} of {self.samples} samples: compare at equal "
            "tokens instead."
            if self.wide
            else None,
            "evidence": f"{self.without_evidence} questions have no evidence in the file and no figure of recall."
            if self.without_evidence
            else None,
            "elsewhere": f"{self.elsewhere} questions name evidence that is not among the turns: it can never be found."
            if self.elsewhere
            else None,
        }


def _checked(specs: Iterable[Spec], embedder: CachedEmbedder, results: Results, name: str) -> Iterator[Spec]:
    """The specs that pass their self-check; the others get an error instead of numbers."""
    for spec in specs:
        found = [] if spec.is_ours else check.problems(spec.id, spec.parameters, embedder)
        results.fail(name, spec.label, f"its self-check failed: {'; '.join(found)}." if found else None)
        if not found:
            yield spec


def _refuse_to_shrink(results: Results, name: str, specs: Iterable[Spec], sample: Sample) -> None:
    """Raise ParameterError where a run with a limit would replace rows of a sample by fewer."""
    kept, n = results.counts(name, sample.id), len(sample.questions)
    for spec in specs:
        if kept.get(spec.label, 0) > n:
            raise ParameterError(
                f"{results.path} has {kept[spec.label]} questions of {name}'s sample {sample.id!r} for {spec.label}; this limit "
                f"would leave {n} of them. Give another --out, or no --limit."
            )


def _uneven(results: Results, name: str) -> str | None:
    """A warning where systems were not asked the same number of questions, so that their means are over other ones."""
    counts = results.counts(name)
    counts = {system: counts.get(system, 0) for system in results.systems(name)}
    most = max(counts.values(), default=0)
    fewer = [f"{system} {n:,}" for system, n in counts.items() if n < most]
    return f"Not all systems were asked all {most:,} questions: {', '.join(fewer)}. Run these again." if fewer else None


def _measured_otherwise(results: Results, begun: Run) -> str | None:
    """A warning where rows come from a run with other code or settings than this one's."""
    told = {run.id: [run.settings.get(name) for name in _MUST_AGREE] for run in results.runs()}
    runs: dict[str, set[str]] = {}
    for one in results.ingested(begun.dataset):
        runs.setdefault(one.system, set()).add(one.run)
    other = [
        system for system, ids in runs.items() if any(told.get(id) not in (None, told.get(begun.id)) for id in ids)
    ]
    return (
        f"Measured in part by other code or with other settings than the rest: {', '.join(other)}. Run these again."
        if other
        else None
    )


_MUST_AGREE = ("code", "embedder", "k", "depth", "budget", "files")


def _limited(samples: Iterator[Sample], settings: Settings) -> Iterator[Sample]:
    left = settings.limit
    for sample in islice(samples, settings.samples):
        if left is None:
            yield sample
            continue
        kept = sample.questions[:left]
        left -= len(kept)
        if kept:
            yield Sample(id=sample.id, turns=sample.turns, questions=kept)
        if not left:
            return


def _texts(name: str, sample: Sample) -> Iterator[Text]:
    for turn in sample.turns:
        at = turn.occurred_at.isoformat() if turn.occurred_at else None
        yield Text(name, sample.id, turn.id, turn.actor or turn.role, turn.session, at, turn.text)


def _begun(
    name: str, variant: Variant, data: Path, settings: Settings, ks: Sequence[int], specs: Sequence[Spec], embedder: str
) -> Run:
    return Run(
        id=new_id(),
        dataset=name,
        began_at=datetime.now(UTC).isoformat(timespec="seconds"),
        version=__version__,
        settings={
            "systems": [spec.label for spec in specs],
            "parameters": {spec.label: dict(spec.parameters) for spec in specs if spec.parameters},
            "k": list(ks),
            "depth": settings.depth,
            "budget": settings.budget_tokens,
            "limit": settings.limit,
            "samples": settings.samples,
            "seed": settings.seed,
            "jobs": settings.jobs,
            "embedder": embedder,
            "llm": settings.llm,
            "code": code_digest(),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}",
            "files": {file.path: sha256(path) for file in variant.files if (path := data / file.path).is_file()},
        },
    )


def _state(common: str, sample: str, spec: Spec, llm: str) -> str:
    """The name under which a system's rows of a sample are kept: of all that they follow from."""
    asks = not spec.is_ours and llm != NO_MODEL and "llm" in system_class(spec.id).card.needs
    return _digest(common, sample, spec.label, dict(spec.parameters), *([llm] if asks else []))


def _digest(*parts: object) -> str:
    content = json.dumps(parts, sort_keys=True, default=str).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(content, digest_size=10).hexdigest()
