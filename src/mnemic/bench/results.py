"""What was measured, kept: one SQLite file of every question asked, everything recalled for it and what it cost."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mnemic.errors import ParameterError


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One hit, by the dataset's own ids."""

    turns: tuple[str, ...]  # the turns it stands on
    score: float
    tokens: int  # of its line in a context block


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question put to one system."""

    run: str
    dataset: str  # with its variant: "beam/100k"
    system: str
    sample: str
    question: str  # its id
    text: str
    category: str
    task: str
    evidence: tuple[str, ...]
    corrected: tuple[str, ...] | None  # the other key's evidence
    found: tuple[Found, ...]  # best first, `depth` at most
    scores: Mapping[str, float]  # by metric: "recall@10", "ndcg@10", "mrr", "newest", "order", "answer_f1", …
    confidence: float | None
    elapsed_ms: float  # of the search, the query's embedding apart
    context_tokens: int  # of the context block that would be handed over
    context_turns: tuple[str, ...]  # whose text stands in it
    extra: Mapping[str, object] = field(default_factory=dict)  # answers given, the judge's words, which hit came first


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """One sample taken in by one system."""

    run: str
    dataset: str
    system: str
    sample: str
    turns: int
    sessions: int
    tokens: int  # of all turns together
    log_s: float  # writing the log, shared by all systems
    system_s: float  # observing and consolidating
    bytes: int  # on disk, of the log and everything made from it
    failures: int
    llm_calls: int = 0
    llm_tokens: int = 0
    peak_rss_bytes: int = 0  # of the process when it was done: its high-water mark, systems run before it included


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One call of the harness."""

    id: str
    dataset: str
    began_at: str
    version: str
    settings: Mapping[str, object]  # systems, parameters, k, limit, seed, embedder, machine, digests of the files


@dataclass(frozen=True, slots=True)
class Text:
    """What a turn of a dataset says: kept once, so that a row can be questioned without the dataset's files."""

    dataset: str
    sample: str
    turn: str
    speaker: str
    session: str | None
    occurred_at: str | None
    text: str


class Results:
    """The file of results. Rows of one sample and system are written in one transaction, and replaced together.

    A row is known by dataset, system and sample; `state` says under which code, settings, turns and questions it was
    measured, so that the harness can tell what is done from what must be done again. A system that failed its
    self-check has an error instead of numbers: `systems`, `asked` and `ingested` leave it out, `errors` has it.
    """

    def __init__(self, path: str | Path, *, must_exist: bool = False) -> None:
        self.path = Path(path)
        if must_exist and not self.path.is_file():
            raise ParameterError(f"There are no results at {self.path}. `mnemic bench DATASET --out FILE` makes some.")
        if not self.path.parent.is_dir():
            raise ParameterError(
                f"There is no folder {self.path.parent} for the results. Make it, or give another --out."
            )
        if self.path.is_dir():
            raise ParameterError(f"{self.path} is a folder. Give the name of a file for the results.")
        is_fixed = must_exist and not (os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK))
        name = f"{self.path.resolve().as_uri()}?mode=ro&immutable=1" if is_fixed else str(self.path)
        self._db = sqlite3.connect(name, timeout=60.0, isolation_level=None, uri=is_fixed)
        try:
            self._prepare(is_fixed=is_fixed)
        except (sqlite3.Error, ParameterError) as error:
            self._db.close()
            if isinstance(error, sqlite3.OperationalError):  # read-only, busy, or on a full disk
                raise ParameterError(
                    f"{self.path} cannot be opened: {error}. Make it writable, or give another."
                ) from None
            raise ParameterError(f"{self.path} is no file of benchmark results. Give another name.") from None

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def __enter__(self) -> Results:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- writing ------------------------------------------------------------------------------------------

    def begin(self, run: Run) -> None:
        """Note a call of the harness."""
        row = (run.id, run.dataset, run.began_at, run.version, _json(run.settings))
        self._db.execute("INSERT INTO runs (id, dataset, began_at, version, settings) VALUES (?, ?, ?, ?, ?)", row)

    def save(self, ingested: Ingested, asked: Sequence[Asked], *, place: int = 0, state: str = "") -> None:
        """Keep what one system did with one sample, in the place of what was kept before; all or nothing.

        place: where the sample stands in its dataset; rows are read back in that order.
        """
        key = (ingested.dataset, ingested.system, ingested.sample)
        others = {(one.dataset, one.system, one.sample) for one in asked} - {key}
        assert not others, f"rows of {others} among those of {key}"
        with self._transaction():
            self._db.execute("DELETE FROM asked WHERE dataset = ? AND system = ? AND sample = ?", key)
            self._db.execute("DELETE FROM ingested WHERE dataset = ? AND system = ? AND sample = ?", key)
            row = (*key, place, state, ingested.run, _json(asdict(ingested)))
            self._db.execute("INSERT INTO ingested VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            self._db.executemany("INSERT INTO asked VALUES (?, ?, ?, ?, ?, ?)", [_row(one, place) for one in asked])

    def update(self, asked: Sequence[Asked]) -> None:
        """Replace rows that are there: with the answers of a model, say, and what a judge thought of them."""
        with self._transaction():
            for one in asked:
                key = (one.dataset, one.system, one.sample, one.question)
                done = self._db.execute(
                    "UPDATE asked SET row = ? WHERE dataset = ? AND system = ? AND sample = ? AND question = ?",
                    (_row(one, 0)[-1], *key),
                )
                if not done.rowcount:
                    raise ParameterError(f"{self.path} has no row for {key}. Save it first.")

    def keep_texts(self, texts: Iterable[Text]) -> None:
        """Keep what turns say; those that are there already stay."""
        with self._transaction():
            rows = [(one.dataset, one.sample, one.turn, _json(asdict(one))) for one in texts]
            self._db.executemany("INSERT OR IGNORE INTO texts VALUES (?, ?, ?, ?)", rows)

    def warn(self, dataset: str, kind: str, text: str | None) -> None:
        """Keep a warning that belongs under the dataset's table, in the place of the last of its kind; None takes it away."""
        with self._transaction():
            self._db.execute("DELETE FROM warnings WHERE dataset = ? AND kind = ?", (dataset, kind))
            if text is not None:
                self._db.execute("INSERT INTO warnings VALUES (?, ?, ?)", (dataset, kind, text))

    def fail(self, dataset: str, system: str, error: str | None) -> None:
        """This system gives no numbers on this dataset, and why; None: it does give them, after all."""
        with self._transaction():
            self._db.execute("DELETE FROM errors WHERE dataset = ? AND system = ?", (dataset, system))
            if error is not None:
                self._db.execute("INSERT INTO errors VALUES (?, ?, ?)", (dataset, system, error))

    # -- reading ------------------------------------------------------------------------------------------

    def runs(self) -> list[Run]:
        """All calls of the harness, oldest first."""
        rows = self._db.execute("SELECT id, dataset, began_at, version, settings FROM runs ORDER BY rowid")
        return [
            Run(id=id, dataset=dataset, began_at=began_at, version=version, settings=json.loads(settings))
            for id, dataset, began_at, version, settings in rows
        ]

    def datasets(self) -> list[str]:
        """The datasets with their variants, in the order in which they were first run."""
        rows = self._db.execute(
            "SELECT dataset FROM (SELECT dataset, rowid FROM runs UNION ALL SELECT dataset, 1e18 + rowid FROM ingested)"
            " GROUP BY dataset ORDER BY min(rowid)"
        )
        return [dataset for (dataset,) in rows]

    def systems(self, dataset: str) -> list[str]:
        """The systems with numbers on the dataset, in the order in which they were named, else by name."""
        rows = self._db.execute(
            "SELECT DISTINCT system FROM ingested WHERE dataset = ?1"
            " AND system NOT IN (SELECT system FROM errors WHERE dataset = ?1)",
            (dataset,),
        )
        named = [name for run in self.runs() if run.dataset == dataset for name in _systems_of(run)]
        places = {name: place for place, name in reversed(list(enumerate(named)))}
        return sorted((name for (name,) in rows), key=lambda name: (places.get(name, len(places)), name))

    def asked(self, dataset: str, system: str | None = None) -> list[Asked]:
        """Every question put to a system (to all), by system and in the order of the dataset."""
        return [one for name in self._named(dataset, system) for one in self._asked(dataset, name)]

    def ingested(self, dataset: str, system: str | None = None) -> list[Ingested]:
        """Every sample taken in by a system (by all), by system and in the order of the dataset."""
        rows = (
            row
            for name in self._named(dataset, system)
            for (row,) in self._db.execute(
                "SELECT row FROM ingested WHERE dataset = ? AND system = ? ORDER BY place, rowid", (dataset, name)
            )
        )
        return [Ingested(**json.loads(row)) for row in rows]

    def state(self, dataset: str, system: str, sample: str) -> str | None:
        """Under what the rows of this sample were measured; None where there are none."""
        found = self._db.execute(
            "SELECT state FROM ingested WHERE dataset = ? AND system = ? AND sample = ?", (dataset, system, sample)
        ).fetchone()
        return None if found is None else str(found[0])

    def counts(self, dataset: str, sample: str | None = None) -> dict[str, int]:
        """How many questions were put to each system, of a sample or of all; without the systems that were asked none."""
        rows = self._db.execute(
            "SELECT system, count(*) FROM asked WHERE dataset = ?1 AND (?2 IS NULL OR sample = ?2) GROUP BY system",
            (dataset, sample),
        )
        return dict(rows)

    def errors(self, dataset: str) -> dict[str, str]:
        """The systems without numbers, each with why."""
        return dict(self._db.execute("SELECT system, error FROM errors WHERE dataset = ? ORDER BY rowid", (dataset,)))

    def warnings(self, dataset: str) -> list[str]:
        """What must stand under the dataset's table: the harness's warnings, then the systems that gave no numbers."""
        rows = self._db.execute("SELECT warning FROM warnings WHERE dataset = ? ORDER BY rowid", (dataset,))
        failed = [f"{system} gives no numbers: {why}" for system, why in self.errors(dataset).items()]
        return [warning for (warning,) in rows] + failed

    def text(self, dataset: str, sample: str, turn: str) -> Text | None:
        """What a turn says; None for one that is not kept."""
        found = self._db.execute(
            "SELECT row FROM texts WHERE dataset = ? AND sample = ? AND turn = ?", (dataset, sample, turn)
        ).fetchone()
        return None if found is None else Text(**json.loads(found[0]))

    def export_jsonl(self, path: str | Path) -> int:
        """Write every question's row as a line of JSON, hits and all; returns how many."""
        n = 0
        with open(path, "w", encoding="utf-8") as file:
            for dataset in self.datasets():
                for system in self.systems(dataset):
                    for one in self._asked(dataset, system):
                        file.write(_json(asdict(one)) + "\n")
                        n += 1
        return n

    # -- inside -------------------------------------------------------------------------------------------

    def _prepare(self, *, is_fixed: bool) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        kind = self._db.execute("PRAGMA application_id").fetchone()[0]
        if tables and (kind, version) != (_KIND, _VERSION):
            raise ParameterError("another file")
        if is_fixed:
            return
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        if not tables:
            with self._transaction():
                self._db.execute(f"PRAGMA application_id = {_KIND}")
                self._db.execute(f"PRAGMA user_version = {_VERSION}")
                for statement in _TABLES:
                    self._db.execute(statement)

    def _named(self, dataset: str, system: str | None) -> list[str]:
        named = self.systems(dataset)
        return named if system is None else [name for name in named if name == system]

    def _asked(self, dataset: str, system: str) -> Iterator[Asked]:
        rows = self._db.execute(
            "SELECT row FROM asked WHERE dataset = ? AND system = ? ORDER BY place, rowid", (dataset, system)
        )
        for (row,) in rows:
            yield _asked(json.loads(row))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


_KIND, _VERSION = 0x6D6E6272, 1  # "mnbr"
_TABLES = (
    "CREATE TABLE IF NOT EXISTS runs (id TEXT PRIMARY KEY, dataset TEXT, began_at TEXT, version TEXT, settings TEXT)",
    "CREATE TABLE IF NOT EXISTS ingested (dataset TEXT, system TEXT, sample TEXT, place INTEGER, state TEXT, run TEXT,"
    " row TEXT, UNIQUE (dataset, system, sample))",
    "CREATE TABLE IF NOT EXISTS asked (dataset TEXT, system TEXT, sample TEXT, question TEXT, place INTEGER, row TEXT,"
    " UNIQUE (dataset, system, sample, question))",
    "CREATE TABLE IF NOT EXISTS texts (dataset TEXT, sample TEXT, turn TEXT, row TEXT, UNIQUE (dataset, sample, turn))",
    "CREATE TABLE IF NOT EXISTS warnings (dataset TEXT, kind TEXT, warning TEXT, UNIQUE (dataset, kind))",
    "CREATE TABLE IF NOT EXISTS errors (dataset TEXT, system TEXT, error TEXT, UNIQUE (dataset, system))",
)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=dict)


def _row(one: Asked, place: int) -> tuple[object, ...]:
    return one.dataset, one.system, one.sample, one.question, place, _json(asdict(one))


def _asked(row: dict[str, Any]) -> Asked:
    found = tuple(Found(turns=tuple(hit["turns"]), score=hit["score"], tokens=hit["tokens"]) for hit in row["found"])
    tuples = {
        "found": found,
        "evidence": tuple(row["evidence"]),
        "corrected": None if row["corrected"] is None else tuple(row["corrected"]),
        "context_turns": tuple(row["context_turns"]),
    }
    return Asked(**{**row, **tuples})


def _systems_of(run: Run) -> list[str]:
    named = run.settings.get("systems", ())
    return [str(name) for name in named] if isinstance(named, list | tuple) else []
