"""The memory of Mem-α as it stands in a draft: what the three tools work on when they write into a store.

The one idea: an item is known by its text and its versions by a number, so that a rebuild gives the same ids; a change makes a
version, noted in a ledger, and each sentence of the core keeps the episodes that stand behind it.

Card: mem-alpha. Source: the tools of its repository (`systems.memory_tools`). Departs: nothing is overwritten.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

from mnemic.model import Episode, Record
from mnemic.models.prompt import Shown
from mnemic.ops.update import superseded
from mnemic.systems.contract import BY, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.made import Vector
from mnemic.systems.mem_reader import slots_of
from mnemic.systems.memory_tools import CORE, CORE_TOKENS, EPISODIC, SEMANTIC, Call, Kind, kind_of
from mnemic.systems.open_units import Ledger
from mnemic.systems.view import View
from mnemic.text.sentences import sentences
from mnemic.text.terms import terms
from mnemic.text.tokens import count_tokens

ID = "mem-alpha"
_CORES = 512  # versions of the core that one chunk may make


class DraftShelf:
    """The memory in a draft, as the tools work on it; a change makes a version, noted in the ledger.

    sources: the episodes from which what is written comes, beside those behind what it replaces. What was made of messages
    that had been corrected by the end of the unit is not there.
    """

    def __init__(
        self,
        draft: Draft,
        ledger: Ledger,
        unit: Sequence[Episode],
        view: View,
        by: str,
        vectors: dict[str, Vector],
    ) -> None:
        self._draft, self._ledger, self._view, self._by, self._vectors = draft, ledger, view, by, vectors
        self.sources = tuple(one.id for one in unit)
        self._at_seq = unit[-1].seq
        self._known_at = max(one.recorded_at for one in unit)
        self._said_at = max(one.occurred_at for one in unit)
        self._behind: dict[str, list[str]] = {}  # ids of episodes by the core's sentences
        self._by_short: dict[str, str] = {}  # record ids by the ids that were shown

    def rendered(self, newest: int) -> dict[str, Shown]:
        """The memory as the policy sees it: the core in full, the newest items of each list, and how many there are."""
        core = self._core()
        shown = {"core": Shown(core.text if core else "", core.sources if core else ())}
        for kind in (SEMANTIC, EPISODIC):
            kept = self._draft.records([kind])
            stands = self._draft.standing(kept, self._at_seq)
            every = [one for one, is_standing in zip(kept, stands, strict=True) if is_standing]
            items = every[-newest:]
            short = short_ids([one.id for one in items])
            self._by_short |= {f"{kind}:{short[one.id]}": one.id for one in items}
            value = {"count": len(every), "items": [{"id": short[one.id], "text": one.text} for one in items]}
            shown[kind] = Shown(value, tuple(dict.fromkeys(source for one in items for source in one.sources)))
        return shown

    def sources_of(self, calls: Sequence[Call]) -> tuple[str, ...]:
        """The episodes behind the items that these calls name."""
        named = [self._stands(self._by_short.get(f"{kind_of(call)}:{call.memory_id.strip()}", "")) for call in calls]
        return tuple(dict.fromkeys(id for one in named if one is not None for id in one.sources))

    def with_line(self, line: str) -> str:
        """The core with another sentence; it is noted which episodes stand behind each, so that what goes takes its own along."""
        before = self._core_lines()
        kept = with_line(list(before), line)
        self._behind = {one: before.get(one, []) for one in kept[:-1]} | {kept[-1]: list(self.sources)}
        return " ".join(kept)

    def _core_lines(self) -> dict[str, list[str]]:
        """The sentences of the core that still stand, with the episodes behind each."""
        if (core := self._core()) is None:
            return {}
        lines: dict[str, list[str]] = core.data["behind"]
        gone = self._view.superseded((id for ids in lines.values() for id in ids), self._at_seq)
        return {one: ids for one, ids in lines.items() if not gone.issuperset(ids)}

    def _rewritten(self, text: str) -> dict[str, list[str]]:
        """The sentences of a core that a model wrote, with the episodes behind each.

        One that was there keeps its own. A new one has those of what was read, and of the sentences that are gone and share a
        word with it, since it may be one of them in other words.
        """
        before, lines = self._core_lines(), sentences(text) or [text]
        lost = [({*terms(one)}, ids) for one, ids in before.items() if one not in lines]
        made = {}
        for one in lines:
            words = {*terms(one)}
            replaced = (id for lost_words, ids in lost if words & lost_words for id in ids)
            made[one] = before[one] if one in before else list(dict.fromkeys([*replaced, *self.sources]))
        return made

    def find(self, kind: Kind, text: str) -> str | None:
        id = self._place(kind, text)
        return id if self._stands(id) else None

    def has(self, kind: Kind, id: str) -> bool:
        one = self._stands(self._full(kind, id))
        return one is not None and one.kind == kind

    def insert(self, kind: Kind, text: str) -> str:
        return self._put(kind, text, None)

    def replace(self, kind: Kind, id: str, text: str) -> str:
        old = self._core() if kind == CORE else self._stands(self._full(kind, id))
        if old is not None and old.text == text and self._by == "llm":
            return old.id
        if kind == CORE and self._by == "llm":
            self._behind = self._rewritten(text)
        place = self._place(kind, text)
        if old is not None:
            self._retire(old)
        if kind != CORE and old is not None and place != old.id and self._stands(place):
            return place  # another item says it already
        return self._put(kind, text, old)

    def delete(self, kind: Kind, id: str) -> None:
        old = self._core() if kind == CORE else self._stands(self._full(kind, id))
        if old is not None:
            self._retire(old)

    def _put(self, kind: Kind, text: str, old: Record | None) -> str:
        id = self._place(kind, text)
        sources = self.sources
        data: dict[str, Any] = {"key": old.data["key"] if old else id, BY: self._by}
        if kind == CORE:
            sources = tuple(dict.fromkeys(one for ids in self._behind.values() for one in ids))
            data["behind"] = self._behind
        elif old is not None and self._by == "llm":
            sources = tuple(dict.fromkeys((*old.sources, *sources)))
        if old is not None:
            data["previous"] = old.id
        record = Record(
            id=id,
            system=ID,
            scope=self._view.scope,
            kind=kind,
            text=text,
            sources=sources,
            recorded_at=self._known_at,
            valid_from=self._said_at,
            data=data,
        )
        if kind == CORE:
            self._draft.state["cores"] = [*self._draft.state.get("cores", []), id][-_CORES:]
        self._ledger.put(record, embed=kind != CORE, vector=self._vectors.get(text) if kind != CORE else None)
        return id

    def _retire(self, old: Record) -> None:
        self._ledger.retire(old.id, self._known_at, superseded(old, self._said_at).valid_to)

    def _place(self, kind: Kind, text: str) -> str:
        """The id of the item of that text, or the one that it would have: each time it comes anew it has another."""
        for number in count():
            id = record_id(ID, kind, text, str(number))
            one = self._draft.get(id)
            if one is None or self._is_standing(one):
                return id
        raise AssertionError("count() has no end")

    def _stands(self, id: str) -> Record | None:
        one = self._draft.get(id)
        return one if one is not None and self._is_standing(one) else None

    def _is_standing(self, one: Record) -> bool:
        return one.retired_at is None and self._draft.stands(one, self._at_seq)

    def _full(self, kind: Kind, id: str) -> str:
        return self._by_short.get(f"{kind}:{id}", id)

    def _core(self) -> Record | None:
        ids = reversed(self._draft.state.get("cores", []))  # what was taken back stands no more, what it replaced does
        return next((one for id in ids if (one := self._stands(id)) is not None), None)


def with_line(core: Sequence[str], line: str, budget_tokens: int = CORE_TOKENS) -> list[str]:
    """The sentences with another, in the place of one that gave a value to the same; the oldest go where they are too long.

    >>> with_line(["Ann lives in Porto.", "Ann is a doctor."], "Ann lives in Rome")
    ['Ann is a doctor.', 'Ann lives in Rome.']
    """
    slots = frozenset(slots_of(line))
    line = line if line.endswith((".", "!", "?")) else f"{line}."
    kept = [*(one for one in core if one != line and slots.isdisjoint(slots_of(one))), line]
    while len(kept) > 1 and count_tokens(" ".join(kept)) > budget_tokens:
        del kept[0]
    return kept


def short_ids(ids: Sequence[str]) -> dict[str, str]:
    """A short id for each: four digits of its own, more where two would share them.

    >>> short_ids(["mem-alpha-12345", "mem-alpha-12346", "mem-alpha-abcdef"])
    {'mem-alpha-12345': '12345', 'mem-alpha-12346': '12346', 'mem-alpha-abcdef': 'abcd'}
    """
    digits = {id: id.rpartition("-")[2] for id in ids}
    found = {}
    for id, own in digits.items():
        others = [other for each, other in digits.items() if each != id]
        length = next(
            (n for n in range(4, len(own)) if not any(other.startswith(own[:n]) for other in others)), len(own)
        )
        found[id] = own[:length]
    return found
