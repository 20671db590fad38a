"""Sessions become memories, and memories are linked by what leads from one to another: the writing side of Theanine.

The one idea: when a session ends, what it says of the speakers becomes memories. Each is compared with the memories of earlier
sessions that are like it, and linked to the newest of each component reached, from the older to the newer one; none is ever
removed, nor what it says changed. The components are kept as a forest, so that joining two costs next to nothing however
large they are.

Card: theanine. Source: arXiv 2406.10996, THEANINE. Departs: see `systems.theanine`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np

from mnemic.clock import to_microseconds
from mnemic.errors import ParameterError
from mnemic.model import Episode, Link, Record
from mnemic.models.prompt import Prompt, Shown, turns
from mnemic.ops.cause_effect import CHANGED, RELATIONS, related, still_standing
from mnemic.ops.claims import Claim, claims_in
from mnemic.ops.extract import extract_facts
from mnemic.ops.segment import sessions_in
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, record_id
from mnemic.systems.feedback import heard
from mnemic.systems.made import Vector
from mnemic.systems.view import NoModel, View

ID, MEMORY = "theanine", "memory"
SESSIONS = "sessions"  # the note of where sessions end
FOREST = ("under", "newest", "size")  # of a memory's data, what is noted of its component

SUMMARISE = """
A conversation has ended. "turns" holds it, in order; each turn has a number, a time and a speaker. List what it tells about the
speakers: what they did, plan, like, feel, have, and what changed. One item is one sentence about one speaker, with names in
the place of pronouns and dates in the place of "yesterday". Leave out greetings, questions and small talk; add nothing.
Answer with {"facts": [{"text": the sentence, "turns": [numbers of the turns it came from]}]}.
"""
RELATE = """
"A" is a memory of an earlier conversation, "B" one of a later conversation; "earlier" and "later" hold the conversations.
Say in "explanation" how the two are connected, in view of the conversations, and name it in "relation" with one word:
- Changed: what A says has changed into what B says.  - Cause: A caused B.  - Reason: A happened because of what B says.
- HinderedBy: what A says is hindered by B.  - React: B is what the speaker of A feels as a result of A.
- Want: B is what the speaker of A wants as a result of A.
- SameTopic: none of these, and yet both are about the same particular topic.  - None: nothing connects them.
Try the six of cause and effect first. Answer with {"explanation": …, "relation": …}.
"""


@dataclass(frozen=True, slots=True)
class Params:
    """As in the paper; where a session ends is ours."""

    similar: int = 3  # j: memories of earlier sessions to which a new one may be linked
    recalled: int = 3  # k: memories that are recalled with their timelines
    link_to: Literal["newest", "similar"] = (
        "newest"  # the newest of a similar memory's component (paper), or itself (code)
    )
    gap_minutes: float = 30.0  # silence that ends a session
    max_turns: int = 50  # episodes after which a session without end is taken as one
    most_timelines: int = 64  # paths through a memory that are counted off
    most_steps: int = 24  # memories of a timeline that a model is shown
    nearness: float = 0.8  # offline: what is left of a score with each step along the timeline
    seed: int = 0  # of the choice among the timelines of a memory

    def __post_init__(self) -> None:
        for name in ("similar", "recalled", "max_turns", "most_timelines", "most_steps"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name}={getattr(self, name)!r}: give 1 or more.")
        if self.link_to not in ("newest", "similar"):
            raise ParameterError(f"link_to={self.link_to!r}: it is 'newest' or 'similar'.")
        if not self.gap_minutes > 0.0:
            raise ParameterError(f"gap_minutes={self.gap_minutes!r}: give more than 0.")
        if not 0.0 <= self.nearness <= 1.0:
            raise ParameterError(f"nearness={self.nearness!r}: it lies between 0 and 1.")

    @property
    def gap(self) -> timedelta:
        """The silence as a duration."""
        return timedelta(minutes=self.gap_minutes)


@dataclass(frozen=True, slots=True)
class RelationAnswer:
    """What a model answers to RELATE."""

    explanation: str = ""
    relation: str = ""


class Sessions:
    """The sessions of one observation: those that have ended become memories with links.

    Notes: "done", the last episode of the last session; "sessions", of each its first and last episode and when its end was
    known; "open", what is provisional. The forest of components stands in the memories' data: "under", the memory that one
    was joined to; of a root "newest", the newest memory of its component, and "size".
    """

    def __init__(self, view: View, params: Params) -> None:
        self._view, self._params, self._draft = view, params, view.draft()
        self._sessions: list[list[int]] = self._draft.state.setdefault(SESSIONS, [])
        self._claims: dict[str, list[Claim]] = {}

    def close_sessions(self, and_the_open_one: bool = False) -> Changes:
        state = self._draft.state
        for id in state.pop("open", {}).get("ids", ()):
            self._draft.drop(id)
        said = heard(self._view.since(int(state.get("done", 0))))
        closed, tail = sessions_in(said, gap=self._params.gap, max_turns=self._params.max_turns)
        for unit, following in zip(closed, [*closed[1:], tail], strict=False):
            is_full = len(unit) >= self._params.max_turns
            known_at = (unit[-1] if is_full else following[0]).recorded_at
            made, links = self._remember(unit, known_at, {})
            for record in made:
                self._add(record.id, [link.from_id for link in links if link.to_id == record.id])
            self._sessions.append([unit[0].seq, unit[-1].seq, to_microseconds(known_at)])
            state["done"] = unit[-1].seq
        if tail and and_the_open_one:
            made, _ = self._remember(tail, tail[-1].recorded_at, {"provisional": True})
            state["open"] = {"ids": [one.id for one in made], "seq": tail[-1].seq}
            state["open"]["at"] = to_microseconds(tail[-1].occurred_at)
        return self._draft.changes()

    def _remember(
        self, unit: Sequence[Episode], known_at: datetime, marks: Mapping[str, Any]
    ) -> tuple[list[Record], list[Link]]:
        facts = extract_facts(unit, self._view.ask, step="summarise", task=SUMMARISE)
        facts = still_standing(facts, self._claims_in)  # memories of one session are never linked as "Changed"
        number, by_id = len(self._sessions) + 1, {one.id: one for one in unit}
        made: dict[str, Record] = {}
        for fact in facts:
            id = record_id(ID, MEMORY, unit[0].id, fact.text, *fact.episode_ids)
            made[id] = Record(
                id=id,
                system=ID,
                scope=self._view.scope,
                kind=MEMORY,
                text=fact.text,
                sources=fact.episode_ids,
                recorded_at=known_at,
                valid_from=max(by_id[source].occurred_at for source in fact.episode_ids),
                data={"session": number, "name": f"s{number}-m{len(made) + 1}", BY: fact.path, **marks},
            )
        records = list(made.values())
        vectors = list(self._view.embed([one.text for one in records]))
        links = self._related(records, vectors, unit)
        for record, vector in zip(records, vectors, strict=True):
            self._draft.put(record, vector=vector)
        for link in links:
            self._draft.put_link(link)
        return records, links

    def _claims_in(self, text: str) -> list[Claim]:
        if text not in self._claims:
            self._claims[text] = claims_in(text)
        return self._claims[text]

    # -- links ------------------------------------------------------------------------------------------------

    def _related(self, made: Sequence[Record], vectors: Sequence[Vector], unit: Sequence[Episode]) -> list[Link]:
        """Links from memories of earlier sessions to those of this one, which are not in the draft yet."""
        tried: dict[tuple[str, str], Link | None] = {}  # by older and newer
        ways = []
        for record, vector in zip(made, vectors, strict=True):
            found = self._draft.nearest(vector, self._params.similar, kinds=[MEMORY], standing_at=unit[0].seq - 1)
            near = [one for one, _ in found]
            ways += [(record, one) for one in sorted(near, key=lambda one: (-one.data["session"], one.id))]
        firsts = [(self._target(one), record) for record, one in ways]
        self._try(firsts, tried, unit)
        if self._params.link_to == "newest":
            pairs = zip(firsts, ways, strict=True)
            missed = [(record, one) for (first, _), (record, one) in pairs if tried[first.id, record.id] is None]
            self._try([(self._changed_into(one), record) for record, one in missed], tried, unit)
        return [link for link in tried.values() if link is not None]

    def _try(
        self,
        pairs: Sequence[tuple[Record, Record]],
        tried: dict[tuple[str, str], Link | None],
        unit: Sequence[Episode],
    ) -> None:
        once = {(older.id, newer.id): (older, newer) for older, newer in pairs}
        left = [pair for ids, pair in once.items() if ids not in tried]
        answers: list[RelationAnswer | None] = [None] * len(left)
        if left and not isinstance(self._view.ask, NoModel):
            spoken: dict[int, list[Episode]] = {}
            for older, _ in left:
                number = older.data["session"]
                spoken.setdefault(number, self._spoken(number))
            prompts = [_relating(older, newer, spoken[older.data["session"]], unit) for older, newer in left]
            answers = self._view.ask.many("relate", prompts, RelationAnswer)
        for (older, newer), answer in zip(left, answers, strict=True):
            kind = related(older.text, newer.text, self._claims_in) if answer is None else _known(answer.relation)
            by = "offline" if answer is None else "llm"
            tried[older.id, newer.id] = None if kind is None else _link(older, newer, kind, by)

    def _spoken(self, number: int) -> list[Episode]:
        """What was said in a session that has ended."""
        first, last, _ = self._sessions[number - 1]
        seqs = self._view.index.seqs
        rows = np.arange(np.searchsorted(seqs, first), np.searchsorted(seqs, last, side="right"))
        return heard(self._view.episodes(rows).values())

    def _target(self, one: Record) -> Record:
        """The memory to link to: the newest of the component of a similar one."""
        if self._params.link_to == "similar":
            return one
        root = self._root(one)
        return self._draft.get(root.data.get("newest", root.id)) or one

    def _changed_into(self, one: Record) -> Record:
        """The newest memory to which changes lead from it."""
        while later := [
            link.to_id for link in self._draft.links_of(one.id) if link.kind == CHANGED and link.from_id == one.id
        ]:
            following = [record for id in later if (record := self._draft.get(id)) is not None]
            one = max(following, key=lambda record: (record.data["session"], record.id))
        return one  # fmt: skip

    # -- components -------------------------------------------------------------------------------------------

    def _root(self, one: Record) -> Record:
        while (above := self._draft.get(one.data.get("under", ""))) is not None:
            one = above
        return one

    def _add(self, id: str, linked: Iterable[str]) -> None:
        """A memory, newer than all others, joins the components of those that it is linked to."""
        for other in linked:
            here, there = (self._draft.get(one) for one in (id, other))
            assert here, "it was put"
            assert there, "memories stay"
            roots = self._root(here), self._root(there)
            if roots[0].id != roots[1].id:
                small, large = sorted(roots, key=lambda root: (_size(root), root.id))
                self._draft.change(replace(small, data=without(small.data, "newest", "size") | {"under": large.id}))
                grown = {"newest": id, "size": _size(small) + _size(large)}
                self._draft.change(replace(large, data={**large.data, **grown}))


def _size(root: Record) -> int:
    return int(root.data.get("size", 1))


def without(data: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The data without some names."""
    return {name: value for name, value in data.items() if name not in names}


def _relating(older: Record, newer: Record, earlier: Sequence[Episode], later: Sequence[Episode]) -> Prompt:
    memories = {"A": Shown(older.text, older.sources), "B": Shown(newer.text, newer.sources)}
    return Prompt(RELATE, {"earlier": turns(earlier), "later": turns(later), **memories}, max_tokens=512)


def _known(name: str) -> str | None:
    """The relation that a model named; None for none, or for one that there is not."""
    said = re.sub(r"[\W_]+", "", name).casefold()
    return next((kind for kind in RELATIONS if kind.casefold() == said), None)


def _link(older: Record, newer: Record, kind: str, by: str) -> Link:
    """The link of two memories. The model's explanation is not kept: it may hold anything of both sessions."""
    return Link(
        id=record_id(ID, "link", older.id, newer.id),
        system=ID,
        scope=newer.scope,
        kind=kind,
        from_id=older.id,
        to_id=newer.id,
        sources=tuple(dict.fromkeys((*older.sources, *newer.sources))),
        recorded_at=newer.recorded_at,
        data={BY: by},
    )
