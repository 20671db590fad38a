"""Mem-α: a three-part text memory that a policy writes with three tools.

The one idea: a policy reads the conversation in chunks, sees the memory as it is, and answers each chunk with tool calls: insert
a fact or an event, update or delete one, rewrite the core paragraph. The policy is trained by what the finished memory is good
for (`systems.memory_tools.rewards`). Here any model is the policy; without one, rules are: statements are facts, what happened is
an event with its date, and the core says what holds of the speakers.

Card: mem-alpha. Source: Mem-α: Learning Memory Construction via Reinforcement Learning, arXiv 2509.25911, and its repository.
Departs: see `MemAlpha.card.departures`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import count
from typing import Any, Literal

from mnemic.errors import ParameterError
from mnemic.model import Cue, Episode, Hit, Reason, Record
from mnemic.models.prompt import Prompt, Shown, turns
from mnemic.ops.extract import facts_in
from mnemic.ops.update import superseded
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.made import Vector
from mnemic.systems.mem0 import hits_of, ranked
from mnemic.systems.mem_reader import judged_by_rule, keyed, says_less, slots_of
from mnemic.systems.memory_tools import CORE, CORE_TOKENS, EPISODIC, SEMANTIC, Call, Kind, applied
from mnemic.systems.open_units import Ledger, work
from mnemic.systems.uses import best_first
from mnemic.systems.view import View
from mnemic.text.sentences import sentences
from mnemic.text.tokens import count_tokens
from mnemic.text.verbs import is_past

ID = "mem-alpha"
_CORES = 512  # versions of the core that one chunk may make
INSERT, UPDATE, DELETE = "new_memory_insert", "memory_update", "memory_delete"

WRITE = """
You write a memory with three parts: "core", one paragraph on what matters most about the people in it, at most 512 tokens;
"semantic", facts; "episodic", events with their time. Of the lists you see the newest items, each with an id, and how many there
are. "turns" holds the next part of a conversation. Answer with all the calls that bring the memory up to date:
- {"tool": "new_memory_insert", "memory_type": "semantic_memory" or "episodic_memory", "content": a sentence that stands alone; an
  event begins with its date}.
- {"tool": "memory_update", "memory_type", "memory_id": an id from a list, "new_content"}; of "core_memory" without an id: the
  whole new paragraph.
- {"tool": "memory_delete", "memory_type", "memory_id"}; of "core_memory" without an id, to clear it.
Insert nothing that is there already. Keep what may be asked for later: names, numbers, dates, preferences, what changed.
Answer with {"calls": [...]}, an empty list where nothing is worth keeping.
"""
RETHINK = """
You keep a memory with three parts: "core", a paragraph; "semantic", facts; "episodic", events; the newest items of the lists are
shown with ids. Bring them in order: merge what says the same, correct what others contradict, delete what is of no use.
Calls: {"tool": "memory_update", "memory_type": "core_memory", "semantic_memory" or "episodic_memory", "memory_id": an id from a
list, none for the core, "new_content"}, {"tool": "memory_delete", "memory_type", "memory_id"}. Answer with {"calls": [...]}.
"""


@dataclass(frozen=True, slots=True)
class Params:
    """Of the paper, and what it leaves to the data."""

    chunk_tokens: int = (
        1024  # of messages that the policy reads at once; the paper's prompt has 4096 with memory and task
    )
    shown: int = 20  # newest items of each list that it sees
    per_list: int = 20  # items of each list that a recall takes
    method: Literal["bm25", "embedding", "both"] = "both"  # how they are found
    rethink_every: int = 0  # chunks after which the memory is brought in order; 0 for never

    def __post_init__(self) -> None:
        for one in fields(self):
            value, least = getattr(self, one.name), 0 if one.name == "rethink_every" else 1
            if one.name != "method" and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                raise ParameterError(f"{one.name}={value!r}: give a whole number of {least} or more.")
        if self.method not in ("bm25", "embedding", "both"):
            raise ParameterError(f"method={self.method!r}: give 'bm25', 'embedding' or 'both'.")


class MemAlpha(MemorySystem):
    """A core, facts and events, written by a policy."""

    params_type = Params
    card = Card(
        id=ID,
        title="Mem-α",
        year=2025,
        family="conversation",
        summary="A core paragraph, facts and events that a policy keeps with insert, update and delete.",
        source="Mem-α: Learning Memory Construction via Reinforcement Learning, arXiv 2509.25911",
        needs=("embedder", "llm"),
        makes=(CORE, SEMANTIC, EPISODIC),
        cost="One call for each chunk of about a thousand tokens; one more every few chunks where it rethinks.",
        flow="""
        E[chunk of messages] --> P[policy]
        M[core, newest facts and events] --> P
        P --> T{insert, update, delete}
        T --> S[(facts)]
        T --> V[(events with times)]
        T --> K[(core paragraph)]
        C[cue] --> R[core, best of each list]
        S --> R
        V --> R
        K --> R
        """,
        departures=(
            "The policy is the model that is configured, untrained; the rewards it would be trained with are in `memory_tools`.",
            "Calls are the items of one structured answer, so all come in one turn.",
            "Items are versions: an update or deletion retires one, which stays for what is asked as of an earlier time.",
            "Short ids have four digits, more where two items shown would share them; only items that were shown can be named.",
            "An event without a time is given that of its chunk, where the tools alone refuse it.",
            "`method` is followed; the official search accepts it and ignores it. Its default joins cosine and BM25.",
            "A recall is not cut at 30,000 tokens: its limit and the budget of the context do that.",
        ),
    )  # fmt: skip

    def __init__(self, params: Params | None = None) -> None:
        self.params = params or Params()

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        draft = view.draft()
        work(view, draft, Policy(self.params, view, draft), context=1)
        return draft.changes()

    def consolidate(self, view: View) -> Changes:
        draft = view.draft()
        work(view, draft, Policy(self.params, view, draft), context=1, closes=True)
        return draft.changes()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        weight = {"bm25": 1.0, "embedding": 0.0, "both": 0.3}[self.params.method]
        always = (Reason("core", 1.0, 1.0, "always in context"),)
        core = view.made.current([CORE], cue.as_of)
        hits = view.record_hits([(one, 1.0) for one in core], cue, why=lambda *_: always)
        each = replace(cue, limit=min(cue.limit, self.params.per_list))
        for kind in (SEMANTIC, EPISODIC):
            hits += hits_of(ranked(cue, view, [kind], weight), each, view)
        return best_first(hits, cue)


@dataclass(frozen=True, slots=True)
class CallsAnswer:
    """What a model answers to WRITE and RETHINK."""

    calls: list[Call] = field(default_factory=list)


class Policy:
    """Who writes the memory in one observation: the model chunk by chunk, or rules message by message."""

    def __init__(self, params: Params, view: View, draft: Draft) -> None:
        self._params, self._view, self._draft = params, view, draft
        self._vectors: dict[str, Vector] = {}

    def cut(self, episodes: Sequence[Episode]) -> tuple[list[list[Episode]], list[Episode]]:
        """Chunks of about as many tokens, within sessions."""
        units: list[list[Episode]] = []
        unit: list[Episode] = []
        for one in episodes:
            if unit and one.session != unit[-1].session:
                units.append(unit)
                unit = []
            unit.append(one)
            if sum(count_tokens(each.text) for each in unit) >= self._params.chunk_tokens:
                units.append(unit)
                unit = []
        return units, unit

    def foresee(self, episodes: Sequence[Episode], before: Sequence[Episode]) -> None:
        """The vectors of the statements of many messages at once."""
        speakers = [None, *(one.speaker for one in episodes)]
        texts = [fact for one, other in zip(episodes, speakers, strict=False) for fact in facts_of(one, other)]
        texts = list(dict.fromkeys(texts))
        self._vectors |= dict(zip(texts, self._view.embed(texts), strict=True))

    def by_rule(self, episode: Episode, before: Sequence[Episode], ledger: Ledger) -> None:
        """The statements of one message: what happened, what holds, and what holds of the speaker."""
        shelf = DraftShelf(self._draft, ledger, [episode], self._view.scope, "offline", self._vectors)
        for text in facts_of(episode, before[-1].speaker if before else None):
            kind: Kind = "episodic" if is_event(text) else "semantic"
            name = f"{kind}_memory"
            event = f"{episode.occurred_at.date().isoformat()}: {text}" if kind == EPISODIC else text
            call: Call | None = Call(INSERT, name, event)
            if kind == SEMANTIC:
                call = self._against_known(text, name)
            if call is not None:
                applied([call], shelf, episode.occurred_at)
            if call is not None and slots_of(text) and keyed(text) is None:
                core = shelf.with_line(text)
                applied([Call(UPDATE, "core_memory", new_content=core)], shelf)

    def by_model(self, unit: Sequence[Episode], before: Sequence[Episode], ledger: Ledger) -> bool:
        """A chunk, as the model writes it into the memory."""
        shelf = DraftShelf(self._draft, ledger, unit, self._view.scope, "llm", self._vectors)
        data = {**shelf.rendered(self._params.shown), "turns": turns(unit)}
        answer = self._view.ask("write", Prompt(WRITE, data), CallsAnswer)
        if answer is None:
            return False
        applied(answer.calls, shelf, unit[-1].occurred_at)
        return True

    def settled(self, unit: Sequence[Episode], before: Sequence[Episode]) -> None:
        """Bring the memory in order, once enough chunks were written since the last time."""
        state, every = self._draft.state, self._params.rethink_every
        if not every:
            return
        state["chunks"] = int(state.get("chunks", 0)) + 1
        if state["chunks"] % every:
            return
        shelf = DraftShelf(self._draft, Ledger(self._draft), unit, self._view.scope, "llm", self._vectors)
        answer = self._view.ask("rethink", Prompt(RETHINK, shelf.rendered(self._params.shown)), CallsAnswer)
        if answer is not None:
            applied([one for one in answer.calls if one.tool.strip() != INSERT], shelf, unit[-1].occurred_at)

    def _against_known(self, text: str, name: str) -> Call | None:
        """The call for a fact: an update of the one whose place it takes; none where it says no more than one that is there."""
        if text not in self._vectors:
            self._vectors[text] = self._view.embed([text])[0]
        for old, cosine in self._draft.nearest(self._vectors[text], 5, kinds=[SEMANTIC]):
            judgement = judged_by_rule(old.text, text, cosine)
            if judgement == "redundant" and says_less(text, old.text):
                return None
            if judgement != "independent":
                return Call(UPDATE, name, memory_id=old.id, new_content=text)
        return Call(INSERT, name, text)


class DraftShelf:
    """The memory in a draft, as the tools work on it; a change makes a version, noted in the ledger."""

    def __init__(
        self,
        draft: Draft,
        ledger: Ledger,
        unit: Sequence[Episode],
        scope: str,
        by: str,
        vectors: dict[str, Vector],
    ) -> None:
        self._draft, self._ledger, self._scope, self._by, self._vectors = draft, ledger, scope, by, vectors
        self._sources = tuple(one.id for one in unit)
        self._known_at = max(one.recorded_at for one in unit)
        self._said_at = max(one.occurred_at for one in unit)
        self._behind: dict[str, list[str]] = {}  # ids of episodes by the core's sentences, where rules write it
        self._by_short: dict[str, str] = {}  # record ids by the ids that were shown

    def rendered(self, newest: int) -> dict[str, Shown]:
        """The memory as the policy sees it: the core in full, the newest items of each list, and how many there are."""
        core = self._core()
        shown = {"core": Shown(core.text if core else "", core.sources if core else ())}
        for kind in (SEMANTIC, EPISODIC):
            every = self._draft.records([kind])
            items = every[-newest:]
            short = short_ids([one.id for one in items])
            self._by_short |= {f"{kind}:{short[one.id]}": one.id for one in items}
            value = {"count": len(every), "items": [{"id": short[one.id], "text": one.text} for one in items]}
            shown[kind] = Shown(value, tuple(dict.fromkeys(source for one in items for source in one.sources)))
        return shown

    def with_line(self, line: str) -> str:
        """The core with another sentence; it is noted which episodes stand behind each, so that what goes takes its own along."""
        core = self._core()
        before: dict[str, list[str]] = {}
        if core is not None:
            before = dict(core.data.get("behind") or {one: list(core.sources) for one in sentences(core.text)})
        kept = with_line(list(before), line)
        self._behind = {one: before.get(one, []) for one in kept[:-1]} | {kept[-1]: list(self._sources)}
        return " ".join(kept)

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
        sources = self._sources
        data: dict[str, Any] = {"key": old.data["key"] if old else id, BY: self._by}
        if kind == CORE and self._behind:
            sources = tuple(dict.fromkeys(one for ids in self._behind.values() for one in ids))
            data["behind"] = self._behind
        elif old is not None and self._by == "llm":
            sources = tuple(dict.fromkeys((*old.sources, *sources)))
        if old is not None:
            data["previous"] = old.id
        record = Record(
            id=id,
            system=ID,
            scope=self._scope,
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
            if one is None or one.retired_at is None:
                return id
        raise AssertionError("count() has no end")

    def _stands(self, id: str) -> Record | None:
        one = self._draft.get(id)
        return one if one is not None and one.retired_at is None else None

    def _full(self, kind: Kind, id: str) -> str:
        return self._by_short.get(f"{kind}:{id}", id)

    def _core(self) -> Record | None:
        ids = reversed(self._draft.state.get("cores", []))  # what was taken back stands no more, what it replaced does
        return next((one for id in ids if (one := self._stands(id)) is not None), None)


# -- rules ------------------------------------------------------------------------------------------------


def facts_of(episode: Episode, before: str | None) -> list[str]:
    """What a message states, each once. before: who spoke before it, whom its "you" means."""
    other = before if before != episode.speaker else None
    return list(dict.fromkeys(fact.text for fact in facts_in(episode, other)))


def is_event(text: str) -> bool:
    """Whether a statement tells what happened, not what holds.

    >>> is_event("Ann bought a violin."), is_event("Ann lives in Porto.")
    (True, False)
    """
    return not slots_of(text) and any(is_past(word.strip(".,;!").lower()) for word in text.split())


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
