"""What was measured, kept: one SQLite file of every question asked, everything recalled for it and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One call of the harness."""

    id: str
    dataset: str
    began_at: str
    version: str
    settings: Mapping[str, object]  # systems, parameters, k, limit, seed, embedder, machine, digests of the files
