"""The sleep of LightMem: which entries newer ones end or change, decided for many at once while nobody waits.

An entry's queue holds the nearest entries that are not newer than it. An entry that stands in the queues of newer ones, as like
them as tau_u, is a target: a model, or a rule, says whether they delete it, update it or leave it.

Source: Fang et al., LightMem, arXiv 2510.18866; see `mnemic.systems.light_mem`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mnemic.model import Record
from mnemic.models.prompt import Prompt, Shown
from mnemic.ops.extract import LONGEST_FACT
from mnemic.ops.repeats import content_hash
from mnemic.ops.update import relation, superseded
from mnemic.systems.contract import BY, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.open_units import Ledger
from mnemic.systems.view import View

if TYPE_CHECKING:
    from mnemic.systems.light_mem import Params

ID = "lightmem"
ENTRY = "entry"
_ENDING = ("contradicts", "updates", "resolved")

SLEEP_TASK = """
You keep a memory true to what was said last. "targets" holds stored memories, each with a number and with newer memories that
are like it. Decide for each target what the newer ones do to it.
- "delete": a newer one contradicts it, so that it no longer holds.
- "update": it still holds, and a newer one adds to it. Give new_memory: the target's text with what is added.
- "ignore": they are about different things, or the newer ones only say it again.
Answer with {"decisions": [{"target": the number, "action": "update", "delete" or "ignore", "new_memory": the text or ""}]}.
"""


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a target, as a model gives it."""

    target: int = -1
    action: str = "ignore"
    new_memory: str = ""


@dataclass(frozen=True, slots=True)
class DecisionsAnswer:
    """What a model answers to SLEEP_TASK."""

    decisions: list[Decision] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Target:
    """An entry with the newer ones that may change it, oldest first, and their cosines."""

    entry: Record
    newer: tuple[Record, ...]
    likeness: tuple[float, ...]


def taken_back(draft: Draft) -> None:
    """Undo what a sleep at the end of the log has decided for now."""
    if noted := draft.state.pop("open", None):
        Ledger.of(draft, noted).take_back()


def sleep(view: View, ledger: Ledger, pending: Sequence[str], at: datetime, params: Params) -> None:
    """Let the pending entries, all newer than the last sleep, change older ones; `at` is when that becomes known."""
    targets = targets_of(ledger.draft, pending, params)
    groups = [targets[at : at + params.targets_per_call] for at in range(0, len(targets), params.targets_per_call)]
    answers = view.ask.many("sleep", [_sleep_prompt(group) for group in groups], DecisionsAnswer) if groups else []
    for group, answer in zip(groups, answers, strict=True):
        decided = _by_rule(group) if answer is None else _checked(answer, len(group))
        for number, (action, text) in sorted(decided.items()):
            _apply(group[number], action, text, at, "offline" if answer is None else "llm", ledger)


def targets_of(draft: Draft, pending: Sequence[str], params: Params) -> list[Target]:
    """The entries that pending ones may change, oldest first: those in a pending one's queue, at least as like as tau_u.

    A queue holds the nearest entries that are not newer than the one whose it is.
    """
    found: dict[str, list[tuple[Record, float]]] = {}
    for id in pending:
        newer, vector = draft.get(id), draft.vector(id)
        if newer is None or vector is None or newer.retired_at is not None:
            continue
        near = draft.nearest(vector, params.neighbours, kinds=[ENTRY], but=[id], floor=params.update_threshold)
        for older, cosine in [one for one in near if _order(one[0]) < _order(newer)][: params.queue]:
            found.setdefault(older.id, []).append((newer, cosine))
    targets = []
    for id, pairs in found.items():
        entry = draft.get(id)
        assert entry is not None, "the nearest entries are there"
        pairs.sort(key=lambda one: _order(one[0]))
        targets.append(Target(entry, tuple(one for one, _ in pairs), tuple(cosine for _, cosine in pairs)))
    return sorted(targets, key=lambda one: _order(one.entry))


def _order(entry: Record) -> tuple[datetime, datetime, str]:
    return datetime.fromisoformat(entry.data["time"]).astimezone(UTC), entry.recorded_at, entry.id


def _sleep_prompt(targets: Sequence[Target]) -> Prompt:
    values = [
        {
            "target": at,
            "time": one.entry.data["time"],
            "text": one.entry.text,
            "newer": [{"time": newer.data["time"], "text": newer.text} for newer in one.newer],
        }
        for at, one in enumerate(targets)
    ]
    sources = (source for one in targets for record in (one.entry, *one.newer) for source in record.sources)
    return Prompt(SLEEP_TASK, {"targets": Shown(values, tuple(dict.fromkeys(sources)))}, max(2048, 80 * len(targets)))


def _checked(answer: DecisionsAnswer, n: int) -> dict[int, tuple[str, str]]:
    """The decisions that mean something, the first one of each target: its number → (action, new text)."""
    found: dict[int, tuple[str, str]] = {}
    for one in answer.decisions:
        action, text = one.action.strip().lower(), " ".join(one.new_memory.split())[:LONGEST_FACT]
        has_text = any(map(str.isalnum, text))
        if 0 <= one.target < n and (action == "delete" or (action == "update" and has_text)):
            found.setdefault(one.target, (action, text))
    return found


def _by_rule(targets: Sequence[Target]) -> dict[int, tuple[str, str]]:
    """Without a model: what a newer entry contradicts, replaces or resolves is deleted."""
    return {
        at: ("delete", "")
        for at, one in enumerate(targets)
        if any(
            relation(one.entry.text, newer.text, similarity=cosine) in _ENDING
            for newer, cosine in zip(one.newer, one.likeness, strict=True)
        )
    }


def _apply(target: Target, action: str, text: str, at: datetime, path: str, ledger: Ledger) -> None:
    old, newest = target.entry, target.newer[-1]
    if action == "update" and content_hash(text) == content_hash(old.text):
        return
    said_at = newest.valid_from or newest.recorded_at
    ledger.retire(old.id, at, superseded(old, said_at).valid_to)
    if action == "update":
        sources = tuple(dict.fromkeys(source for one in (old, *target.newer) for source in one.sources))
        id = record_id(ID, ENTRY, "update", old.id, text, *(one.id for one in target.newer))
        data = {**old.data, "previous": old.id, BY: path}
        ledger.put(replace(old, id=id, text=text, sources=sources, recorded_at=at, valid_from=said_at, data=data))
