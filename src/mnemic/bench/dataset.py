"""The nouns of a benchmark: what is remembered, what is asked, and what the file says is right.

A loader yields samples. A sample is one memory: its turns go into a scope of their own, then its questions are asked
there. Nothing of a question but its text and the time it is asked at ever reaches a system, and nothing of a turn but
its text, speaker, role, session and time: ids and session names are replaced by neutral ones before (`mnemic.bench.run`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

Task = Literal["recall", "newest", "order", "absent", "contains", "vote"]
"""How a question is scored without an LLM.

recall    is the evidence among the hits?
newest    the evidence is one turn, the newest of those that give the key a value: does it rank before all `stale` ones?
order     which of the two `options` (texts of the log) came first? `answers` holds the index of it, "0" or "1"
absent    nothing of the sample answers it: only how sure the recall is counts
contains  there is no evidence; does one of the first k hits contain one of the `answers`? A proxy, and called so
vote      the turns have labels; do the hits' labels elect one of the `answers`?
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One thing to remember, as the dataset has it."""

    id: str  # the dataset's own, unique in its sample
    text: str
    role: str = "user"
    actor: str | None = None
    session: str | None = None
    occurred_at: datetime | None = None
    label: str | None = None  # for `vote`; never shown to a system


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One answer key: the turns that hold the answer, and the answers that count as right."""

    evidence: tuple[str, ...] = ()  # ids of turns
    answers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question of a sample. `key` is the file's own; `corrected` is another's, where the file is known to be wrong."""

    id: str  # unique in the dataset
    text: str
    category: str  # one of the dataset's
    key: Key
    task: Task = "recall"
    corrected: Key | None = None
    error: str | None = None  # what is wrong with the file's key, in a few words
    asked_at: datetime | None = None  # what "yesterday" is relative to; None: just after the last turn
    options: tuple[str, ...] = ()  # the choices, where there are any; the two texts of an `order` question
    stale: tuple[str, ...] = ()  # ids of the turns with an earlier value, oldest first


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One memory and what is asked of it."""

    id: str
    turns: tuple[Turn, ...]
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """A category as the file numbers it, what it is called, and how many questions it has: printed together, always."""

    id: str
    name: str
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a dataset: where it stands below the data folder, and where it can be had."""

    path: str  # such as "locomo/locomo5.json"
    sha256: str | None = None
    url: str | None = None  # None: it must be given


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One form of a dataset (a size, a subset), with the counts that a loader must find, or it raises."""

    id: str  # such as "100k"; "" where there is only one
    samples: int
    turns: int
    categories: tuple[Category, ...]
    files: tuple[File, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One benchmark. `load` reads a variant from the folder of its files, sample by sample, in the file's order."""

    id: str
    title: str
    source: str  # paper and origin
    licence: str
    about: str  # two sentences: what it asks, and what to beware of
    variants: tuple[Variant, ...]
    load: Callable[[Path, str], Iterator[Sample]]
    apart: tuple[str, ...] = ()  # ids of categories that never count in the total: adversarial, abstention
    ks: tuple[int, ...] = (5, 10, 20)
    notes: Mapping[str, str] = field(default_factory=dict)  # traps, known errors: printed under its table
