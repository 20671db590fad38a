"""What a memory system is: a function over the log.

A system observes episodes in order and answers with the records and links it wants written; it recalls hits for a cue;
it may do slow work in `consolidate`; and it says what a forgotten episode changes. It reads through a `View` of one
scope and writes nothing itself: whoever runs it (`runner.py`) writes its changes and moves its cursor in one
transaction, so that it sees each episode exactly once.

What must hold for every system, and is tested for each in `tests/systems/test_contract.py`:

- observing the log in pieces of any size gives the same records as observing it at once (records follow from the
  episodes and the view alone: no clock, no random ids, nothing kept on the instance between calls);
- the same log and cue give the same hits;
- nothing of another scope is seen;
- after an episode is forgotten, the records are those of a log in which it never was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from mnemic.model import Cue, Episode, Hit, Record
from mnemic.store.contract import Changes
from mnemic.systems.view import View


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What the registry, the documentation and the tables say of a system."""

    id: str
    title: str
    year: int
    family: str  # baseline, conversation, retrieval, …
    summary: str  # one sentence
    source: str  # paper or other origin
    needs: tuple[str, ...] = ()  # of "embedder", "llm"; without a model a system takes its offline path
    makes: tuple[str, ...] = ()  # kinds of records
    cost: str = ""  # in words: what it asks a model, and when
    flow: str = ""  # the body of a Mermaid flowchart: how episodes become records, and a cue hits
    departures: tuple[str, ...] = ()  # where it does otherwise than its source, and why


class MemorySystem:
    """The base of every system; made to be derived from, once.

    A system that keeps no records need only recall.
    """

    card: ClassVar[Card]
    params_type: ClassVar[type[Any] | None] = None  # the dataclass of its parameters, if it takes any
    exempt: ClassVar[Mapping[str, str]] = {}  # contract tests that it cannot pass, by name, with the reason
    params: Any = None

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The parameters it was made with, as JSON-ready values."""
        return {} if self.params is None else asdict(self.params)

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        """The records and links that follow from the next episodes of the log, oldest first.

        `view` shows the log up to the last of them, and the system's own records so far.
        """
        return Changes()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        """The hits for a cue, best first, at most cue.limit."""
        raise NotImplementedError

    def confidence(self, cue: Cue, hits: Sequence[Hit], view: View, embedder: str) -> float | None:
        """The probability that what the cue asks for is stored, from the hits of its recall; None where it cannot say.

        embedder: the id of what made the vectors, since cosines differ between embedders.
        """
        return None

    def consolidate(self, view: View) -> Changes:
        """Offline work: what to change now that nobody waits."""
        return Changes()

    def forget(self, episodes: Sequence[Episode], view: View) -> Changes | None:
        """What to change because these episodes are about to be forgotten; `view` still shows them.

        None follows provenance: if anything was made from them, the system's records of the scope are dropped and made
        again from what is left, which is always right. A system that can do it cheaper returns the changes; afterwards
        nothing it keeps may name a forgotten episode as a source.
        """
        return None


BY = "by"  # in a record's data: which path made it, "llm" or "offline"


def is_by_model(record: Record) -> bool:
    """Whether a model's answer went into the record."""
    return record.data.get(BY) == "llm"


def keeps_records(system: MemorySystem) -> bool:
    """Whether it makes anything of what it observes."""
    return type(system).observe is not MemorySystem.observe


def record_id(system: str, *parts: str) -> str:
    """A record's id from what it is made of, so that a rebuild gives the same one.

    >>> record_id("digest", "fact", "a") == record_id("digest", "fact", "a")
    True
    """
    digest = hashlib.blake2b("\x1f".join((system, *parts)).encode("utf-8", "surrogatepass"), digest_size=10)
    return f"{system}-{digest.hexdigest()}"
