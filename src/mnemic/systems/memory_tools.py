"""Three tools with which a policy writes a memory, and what its work is worth.

The one idea: a memory is a core paragraph and two lists, of facts and of events; a policy reads a chunk and answers with all its
calls at once: insert, update, delete. Each call succeeds or fails by rule, and the reward of a chunk is made of what can then be
counted: r = r1 + r2 + β·r3 + γ·r4, with r1 the answers that the finished memory allows, r2 the share of calls that succeeded, r3
how much shorter the memory is than what was read, r4 the share of calls that make sense.

Card: mem-alpha. Source: Mem-α, arXiv 2509.25911; the tools as in its repository. Departs: of two items whose short ids would be
the same one has a longer id; a chunk without calls has r2 = r4 = 1, since nothing went wrong in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from mnemic.errors import ParameterError
from mnemic.text.times import mentions_time
from mnemic.text.tokens import count_tokens, fit_tokens

CORE, SEMANTIC, EPISODIC = "core", "semantic", "episodic"
Kind = Literal["core", "semantic", "episodic"]
CORE_TOKENS = 512
_NAMES: dict[str, Kind] = {
    "core": "core", "core_memory": "core",
    "semantic": "semantic", "semantic_memory": "semantic",
    "episodic": "episodic", "episodic_memory": "episodic",
}  # fmt: skip
LONGEST_ITEM = 2000  # characters


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool, as a policy gives it."""

    tool: str = ""  # "new_memory_insert", "memory_update" or "memory_delete"
    memory_type: str = ""  # "core_memory", "semantic_memory" or "episodic_memory"
    content: str = ""  # of an insert
    memory_id: str = ""  # of an update or delete in a list
    new_content: str = ""  # of an update
    turns: tuple[int, ...] = ()  # numbers of the turns that an insert or update comes from; none for the whole chunk


@dataclass(frozen=True, slots=True)
class Result:
    """What a call did."""

    is_ok: bool
    id: str = ""  # of the item it made or changed
    error: str = ""
    is_skipped: bool = False  # it was there already


class Shelf(Protocol):
    """What the tools work on."""

    def find(self, kind: Kind, text: str) -> str | None:
        """The id of the item of exactly that text."""
        ...

    def has(self, kind: Kind, id: str) -> bool:
        """Whether the list holds an item of that id."""
        ...

    def insert(self, kind: Kind, text: str) -> str:
        """Add an item; returns its id."""
        ...

    def replace(self, kind: Kind, id: str, text: str) -> str:
        """Give an item another text; returns its id, which may be another. Of the core the id is ""."""
        ...

    def delete(self, kind: Kind, id: str) -> None:
        """Take an item away, or clear the core."""
        ...


def applied(calls: Sequence[Call], shelf: Shelf, said_at: datetime | None = None) -> list[Result]:
    """Make the calls, in order; one that fails changes nothing.

    said_at: the time of the chunk, put before an event that tells no time of its own; without it such an event is refused.
    """
    return [_apply(call, shelf, said_at) for call in calls]


def kind_of(call: Call) -> Kind | None:
    """Which part of the memory a call is about; None for none."""
    return _NAMES.get(call.memory_type.strip())


def _apply(call: Call, shelf: Shelf, said_at: datetime | None) -> Result:
    kind = kind_of(call)
    tool = call.tool.strip()
    if kind is None:
        return Result(
            False, error=f"memory_type {call.memory_type!r}: one of core_memory, semantic_memory, episodic_memory."
        )
    if tool == "new_memory_insert":
        if kind == CORE:
            return Result(False, error="The core is one paragraph and cannot be inserted: update it.")
        text, error = _checked(kind, call.content, said_at)
        if error:
            return Result(False, error=error)
        if (old := shelf.find(kind, text)) is not None:
            return Result(True, old, is_skipped=True)
        return Result(True, shelf.insert(kind, text))
    if tool not in ("memory_update", "memory_delete"):
        return Result(False, error=f"tool {call.tool!r}: one of new_memory_insert, memory_update, memory_delete.")
    id = "" if kind == CORE else call.memory_id.strip()
    if kind != CORE and not shelf.has(kind, id):
        return Result(False, error=f"memory_id {call.memory_id!r}: no item of that id is in {kind}_memory.")
    if tool == "memory_delete":
        shelf.delete(kind, id)
        return Result(True, id)
    text, error = _checked(kind, call.new_content, said_at)
    if error:
        return Result(False, error=error)
    return Result(True, shelf.replace(kind, id, text))


def _checked(kind: Kind, text: str, said_at: datetime | None) -> tuple[str, str]:
    """(the text as it is kept, what is wrong with it)."""
    text = " ".join(text.split())
    if not any(map(str.isalnum, text)):
        return "", "The content is empty."
    if kind == CORE:
        return fit_tokens(text, CORE_TOKENS), ""
    if kind == EPISODIC and not mentions_time(text):
        if said_at is None:
            return "", "An event needs its time: begin with its date."
        text = f"{said_at.date().isoformat()}: {text}"
    return text[:LONGEST_ITEM], ""


@dataclass(slots=True)
class PlainShelf:
    """A memory in this process: for policies that are trained or tried out."""

    core: str = ""
    items: dict[str, dict[str, str]] = field(default_factory=lambda: {SEMANTIC: {}, EPISODIC: {}})

    def find(self, kind: Kind, text: str) -> str | None:
        return next((id for id, one in self.items[kind].items() if one == text), None)

    def has(self, kind: Kind, id: str) -> bool:
        return id in self.items[kind]

    def insert(self, kind: Kind, text: str) -> str:
        digest = hashlib.blake2b(f"{kind}\x1f{text}".encode("utf-8", "surrogatepass")).hexdigest()
        id = next(digest[:length] for length in range(4, len(digest)) if digest[:length] not in self.items[kind])
        self.items[kind][id] = text
        return id

    def replace(self, kind: Kind, id: str, text: str) -> str:
        if kind == CORE:
            self.core = text
        else:
            self.items[kind][id] = text
        return id

    def delete(self, kind: Kind, id: str) -> None:
        if kind == CORE:
            self.core = ""
        else:
            del self.items[kind][id]

    def tokens(self) -> int:
        """How long the memory is."""
        texts = [self.core, *(one for kind in self.items.values() for one in kind.values())]
        return sum(map(count_tokens, texts))


# -- rewards ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a policy did with one chunk."""

    results: tuple[Result, ...] = ()
    judged: tuple[bool, ...] = ()  # by call, whether a judge holds that it makes sense


@dataclass(frozen=True, slots=True)
class Trace:
    """A rollout: every chunk of an instance, and what came of it."""

    chunks: tuple[Chunk, ...]
    answers: tuple[float, ...]  # scores of the instance's questions, in [0, 1]
    memory_tokens: int
    input_tokens: int


@dataclass(frozen=True, slots=True)
class Reward:
    """The reward of one chunk and its terms."""

    answers: float  # r1, of the whole rollout
    calls: float  # r2
    compression: float  # r3, of the whole rollout; below 0 where the memory is longer than what was read
    content: float  # r4
    total: float


def rewards(trace: Trace, beta: float = 0.05, gamma: float = 0.1) -> list[Reward]:
    """r1 + r2 + beta·r3 + gamma·r4 for each chunk. Raises ParameterError without input or with scores out of range."""
    if trace.input_tokens < 1 or trace.memory_tokens < 0:
        raise ParameterError(
            f"input_tokens={trace.input_tokens}, memory_tokens={trace.memory_tokens}: give what was read."
        )
    if any(not 0.0 <= one <= 1.0 for one in trace.answers):
        raise ParameterError("answers: scores of questions must lie in [0, 1].")
    answers = _mean([float(one) for one in trace.answers], 0.0)
    compression = 1.0 - trace.memory_tokens / trace.input_tokens
    found = []
    for chunk in trace.chunks:
        calls = _mean([float(one.is_ok) for one in chunk.results], 1.0)
        content = _mean([float(one) for one in chunk.judged], 1.0)
        found.append(
            Reward(answers, calls, compression, content, answers + calls + beta * compression + gamma * content)
        )
    return found


def advantages(totals: Sequence[float]) -> list[float]:
    """How much better than its group each rollout is, in standard deviations; 0 where all are alike (GRPO).

    >>> [round(one, 3) for one in advantages([1.0, 3.0])], advantages([2.0, 2.0])
    ([-1.0, 1.0], [0.0, 0.0])
    """
    mean = _mean(totals, 0.0)
    spread = _mean([(one - mean) ** 2 for one in totals], 0.0) ** 0.5
    return [(one - mean) / spread if spread > 1e-12 else 0.0 for one in totals]


def _mean(values: Sequence[float], of_none: float) -> float:
    return sum(values) / len(values) if values else of_none
