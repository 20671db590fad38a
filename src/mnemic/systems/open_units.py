"""Work in units that a model reads at once, such as a pair of messages or a session, without waiting until they are whole.

The one idea: a message is worked in as soon as it is observed, by rule, and what that changes is noted. Once its unit is whole
and there is a model, what was noted is taken back and the model's reading takes its place. So nothing that was said is ever
invisible, the model is asked once for each unit, and records do not depend on how the log was cut: without a model, a unit is
nothing but its messages, one by one.

What can be taken back: records put, records retired and links put, through the `Ledger`. Nothing else may be done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from mnemic.model import Episode, Link, Record
from mnemic.systems.draft import Draft
from mnemic.systems.feedback import heard
from mnemic.systems.made import Vector
from mnemic.systems.view import NoModel, View

CONTEXT = 10  # messages before a unit that are shown with it, unless another number is wanted


@dataclass(slots=True)
class Ledger:
    """A draft that notes what is done to it."""

    draft: Draft
    put_ids: list[str] = field(default_factory=list)
    retired_ids: list[str] = field(default_factory=list)
    link_ids: list[str] = field(default_factory=list)

    def put(self, record: Record, *, embed: str | bool = True, vector: Vector | None = None) -> Record:
        """Add a record."""
        self.put_ids.append(record.id)
        return self.draft.put(record, embed=embed, vector=vector)

    def retire(self, id: str, at: datetime, valid_to: datetime | None = None) -> None:
        """A record is superseded; it must not have had an end of its validity before."""
        if self.draft.retire(id, at, valid_to) is not None:
            self.retired_ids.append(id)

    def put_link(self, link: Link) -> None:
        """Add a link, unless it is there already."""
        if self.draft.link(link.id) is None:
            self.link_ids.append(link.id)
            self.draft.put_link(link)

    def take_back(self) -> None:
        """Undo all that was noted."""
        for id in self.link_ids:
            self.draft.drop_link(id)
        for id in self.put_ids:
            self.draft.drop(id)
        for id in self.retired_ids:
            if (record := self.draft.get(id)) is not None:
                self.draft.change(replace(record, retired_at=None, valid_to=None))
        self.settle()

    def settle(self) -> None:
        """What was noted stays."""
        self.put_ids, self.retired_ids, self.link_ids = [], [], []

    def noted(self) -> dict[str, list[str]]:
        """What was noted, for a system's notes."""
        found = {"put": self.put_ids, "retired": self.retired_ids, "links": self.link_ids}
        return {name: ids for name, ids in found.items() if ids}

    @classmethod
    def of(cls, draft: Draft, noted: Mapping[str, Any]) -> Ledger:
        """One that goes on from its notes."""
        return cls(draft, *(list(noted.get(name, ())) for name in ("put", "retired", "links")))


class Vectors:
    """The vectors of texts in one observation; each text is embedded once."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._known: dict[str, Vector] = {}

    def know(self, texts: Iterable[str]) -> None:
        """Embed many at once."""
        missing = list(dict.fromkeys(text for text in texts if text not in self._known))
        self._known |= dict(zip(missing, self._view.embed(missing), strict=True))

    def get(self, text: str) -> Vector | None:
        """[dim] of a text that was embedded."""
        return self._known.get(text)

    def __getitem__(self, text: str) -> Vector:
        self.know([text])
        return self._known[text]


def with_before(
    episodes: Sequence[Episode], before: Sequence[Episode], most: int
) -> list[tuple[Episode, list[Episode]]]:
    """Each episode with at most so many of those before it."""
    said = [*before, *episodes]
    return [(one, said[max(0, at - most) : at]) for at, one in enumerate(episodes, start=len(before))]


class Worker(Protocol):
    """How a system works on units."""

    def cut(self, episodes: Sequence[Episode]) -> tuple[list[list[Episode]], list[Episode]]:
        """(whole units, the one that may still go on). What is in the open one stays together later on."""
        ...

    def by_rule(self, episode: Episode, before: Sequence[Episode], ledger: Ledger) -> None:
        """Work in one message, without a model."""
        ...

    def by_model(self, unit: Sequence[Episode], before: Sequence[Episode], ledger: Ledger) -> bool:
        """Work in a unit as a model reads it; False, and nothing done, where it gave no answer."""
        ...

    def settled(self, unit: Sequence[Episode], before: Sequence[Episode]) -> None:
        """A whole unit was worked in as the model reads it, for good."""
        ...

    def settled_by_rule(self) -> None:
        """The messages of a whole unit were worked in by rule, for good."""
        ...

    def foresee(self, episodes: Sequence[Episode], before: Sequence[Episode]) -> None:
        """These will be worked in one by one, by rule: time to embed them together."""
        ...


def work(view: View, draft: Draft, worker: Worker, *, context: int = CONTEXT, closes: bool = False) -> None:
    """Work in what the draft's system has not seen yet.

    context: messages before a unit that are handed over with it. closes: have the model read the open unit too, for now.
    """
    state, has_model = draft.state, not isinstance(view.ask, NoModel)
    done = int(state.get("done", 0))
    shown = heard(view.since(int(state.get("from", 1)) - 1))
    before = [one for one in shown if one.seq <= done]
    pending = [one for one in shown if one.seq > done]
    if not pending or (closes and not has_model):
        return
    ledger = Ledger.of(draft, state.get("open", {}))
    seen = int(state.get("seen", 0))
    if state.pop("is_asked", False):
        ledger.take_back()
        seen = done

    def rule(unit: Sequence[Episode]) -> None:
        for at, one in enumerate(unit):
            if one.seq > seen:
                worker.by_rule(one, [*before, *unit[:at]][-context:] if context else [], ledger)

    closed, tail = worker.cut(pending)
    if not has_model:
        read = [*before, *(one for one in pending if one.seq <= seen)]  # of the open unit, by an earlier batch
        worker.foresee([one for one in pending if one.seq > seen], read)
    for unit in closed:
        if has_model:
            ledger.take_back()
            seen = done
        if has_model and worker.by_model(unit, before, ledger):
            worker.settled(unit, before)
        else:
            rule(unit)
            worker.settled_by_rule()
        ledger.settle()
        done = unit[-1].seq
        before = [*before, *unit][-context:] if context else []
    if tail and closes:
        ledger.take_back()
        seen = done
        if worker.by_model(tail, before, ledger):
            state["is_asked"] = True
        else:
            rule(tail)
    else:
        rule(tail)
    state["done"], state["seen"] = done, pending[-1].seq
    state["from"] = before[0].seq if before else done + 1
    state.pop("open", None)
    if noted := ledger.noted():
        state["open"] = noted
