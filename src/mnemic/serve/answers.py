"""What answers look like, as the OpenAPI document says it.

They are built from `mnemic.wire`, and the tests check that they agree.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Out(BaseModel):
    """An answer; fields that are empty may be left out, and new ones may come."""


class Episode(Out):
    """One thing that happened."""

    id: str
    scope: str
    text: str
    role: str
    occurred_at: str
    recorded_at: str
    seq: int
    actor: str | None = None
    session: str | None = None
    supersedes: str | None = None
    metadata: dict[str, Any] = {}
    parts: list[dict[str, Any]] = []
    origin: Literal["observed", "echo"] = "observed"
    echo_of: list[str] = []


class Record(Out):
    """What a system made of episodes."""

    id: str
    system: str
    scope: str
    kind: str
    text: str
    sources: list[str]
    recorded_at: str
    strength: float
    valid_from: str | None = None
    valid_to: str | None = None
    retired_at: str | None = None
    data: dict[str, Any] = {}


class Link(Out):
    """An edge between records or episodes."""

    id: str
    system: str
    scope: str
    kind: str
    from_id: str
    to_id: str
    sources: list[str]
    recorded_at: str
    weight: float
    data: dict[str, Any] = {}


class Session(Out):
    """One conversation."""

    session: str
    scope: str
    episodes: int
    began_at: str
    ended_at: str
    first_seq: int
    last_seq: int


class AddedOne(Out):
    """One added memory, in the shape that users of other libraries know."""

    id: str
    memory: str
    event: Literal["ADD", "NONE"]
    origin: Literal["observed", "echo"]


class Added(Out):
    """What an add did."""

    results: list[AddedOne]
    episodes: list[Episode]
    is_new: list[bool]


class Reason(Out):
    """One signal's share in a score: value times weight."""

    signal: str
    value: float
    weight: float
    note: str


class Hit(Out):
    """One recalled memory, with why."""

    id: str
    text: str
    score: float
    kind: str
    scope: str
    occurred_at: str
    sources: list[str]
    reasons: list[Reason]
    duplicates: list[str]
    episode: Episode | None = None
    record: Record | None = None


class Cue(Out):
    """The request as it was understood."""

    text: str
    scope: str
    asked_at: str
    limit: int
    include_children: bool
    threshold: float
    session: str | None = None
    since: str | None = None
    until: str | None = None
    as_of: str | None = None
    filters: dict[str, Any] | None = None


class Recall(Out):
    """The answer to a cue."""

    results: list[Hit]
    cue: Cue
    system: str
    path: str
    confidence: float | None
    is_doubtful: bool
    elapsed_ms: float
    behind: int = Field(0, description="episodes that the system has not observed yet")


class Citation(Out):
    """Which memory a mark in a context block stands for."""

    mark: str
    id: str
    sources: list[str]


class Context(Out):
    """A block of text for a prompt."""

    text: str
    tokens: int
    citations: list[Citation]
    recall: Recall


class Obstacle(Out):
    """One thing that kept an episode out."""

    kind: str
    says: str
    change: dict[str, Any]


class Lack(Out):
    """A signal beside the same of the last hit that was shown."""

    signal: str
    value: float
    last: float
    deficit: float


class WhyNot(Out):
    """Why an episode was not recalled."""

    query: str
    wanted: str
    system: str
    found_by: str
    similarity: float
    episode: Episode | None
    is_recalled: bool
    rank: int | None
    score: float | None
    folded_into: str | None
    limit: int
    last_score: float | None
    obstacles: list[Obstacle]
    lacks: list[Lack]
    says: str


class Version(Out):
    """One text that a memory had."""

    episode: Episode
    event: Literal["ADD", "UPDATE"]
    old_memory: str | None


class Receipt(Out):
    """What was forgotten: ids and numbers, nothing of the content."""

    message: str
    scope: str
    episodes: int
    ids: list[str]
    records: int
    links: int
    answers: int
    rebuilt_systems: list[str]
    at: str
    is_scrubbed: bool
    is_dry_run: bool


class ImportProblem(Out):
    """Something that could not be read."""

    location: str
    reason: str
    excerpt: str = ""


class Imported(Out):
    """What an import did."""

    added: int
    skipped: int
    scopes: dict[str, int]
    problems: list[ImportProblem]


class EpisodePage(Out):
    """Episodes in the order of the log."""

    episodes: list[Episode]
    next_cursor: str | None


class EpisodeList(Out):
    """Episodes."""

    episodes: list[Episode]


class SessionPage(Out):
    """Sessions."""

    sessions: list[Session]
    next_cursor: str | None


class RecordPage(Out):
    """Records, oldest first."""

    records: list[Record]
    next_cursor: str | None


class LinkList(Out):
    """Links."""

    links: list[Link]


class History(Out):
    """Every text that a memory had, oldest first."""

    versions: list[Version]


class ScopeCount(Out):
    """A scope and how many episodes it holds."""

    scope: str
    episodes: int


class TenantProblem(Out):
    """A tenant that cannot be read now; its operator finds the reason in the server's log."""

    tenant: str
    code: str


class ScopePage(Out):
    """Scopes that hold anything."""

    scopes: list[ScopeCount]
    problems: list[TenantProblem]
    next_cursor: str | None


class System(Out):
    """A memory design."""

    id: str
    title: str
    year: int
    family: str
    summary: str
    source: str
    needs: list[str]
    makes: list[str]
    cost: str
    attached: bool
    parameters: dict[str, Any] | None


class Systems(Out):
    """All systems; those attached to the tenant keep records of its log."""

    systems: list[System]


class Spent(Out):
    """What a system asked a model, and what it cost."""

    system: str
    step: str
    model: str
    calls: int
    failed: int
    tokens_in: int
    tokens_out: int
    usd: float


class Stats(Out):
    """What a scope holds."""

    model_config = ConfigDict(extra="allow")
    scope: str
    episodes: int
    records: int
    links: int
    failures: int
    bytes: int
    embedder: str
    attached: list[str]
    llm: list[Spent]


class Me(Out):
    """Who the key is, and what it may."""

    key_id: str
    name: str
    scopes: list[str]
    verbs: list[str]


class Job(Out):
    """Work in the background."""

    id: str
    scope: str
    kind: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    progress: float
    note: str
    attempts: int
    error: str | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    next_try_at: str | None
    result: dict[str, dict[str, int | str]] | None = Field(
        None, description="what each system did: episodes observed, and the error that stopped it"
    )


class JobPage(Out):
    """Jobs, newest first."""

    jobs: list[Job]
    next_cursor: str | None


class ProblemField(Out):
    """One thing that is wrong with a request."""

    where: str
    says: str


class Problem(Out):
    """What is wrong, and what to do about it (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    remedy: str
    errors: list[ProblemField] = []


class Health(Out):
    """Whether the server lives, or is ready."""

    status: Literal["ok", "starting", "failing"]
    checks: dict[str, str] = {}
