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
from typing import Literal

from mnemic.errors import ParameterError
from mnemic.model import Cue, Episode, Hit, Reason
from mnemic.models.prompt import Prompt, turns
from mnemic.ops.extract import facts_in
from mnemic.store.contract import Changes
from mnemic.systems.contract import Card, MemorySystem
from mnemic.systems.draft import Draft
from mnemic.systems.draft_shelf import ID, DraftShelf
from mnemic.systems.made import Vector
from mnemic.systems.meaning_and_words import hits_of, ranked
from mnemic.systems.mem_reader import judged_by_rule, keyed, says_less, slots_of
from mnemic.systems.memory_tools import CORE, EPISODIC, SEMANTIC, Call, Kind, applied
from mnemic.systems.open_units import Ledger, work
from mnemic.systems.uses import best_first
from mnemic.systems.view import View
from mnemic.text.tokens import count_tokens
from mnemic.text.verbs import is_past

INSERT, UPDATE, DELETE = "new_memory_insert", "memory_update", "memory_delete"

WRITE = """
You write a memory with three parts: "core", one paragraph on what matters most about the people in it, at most 512 tokens;
"semantic", facts; "episodic", events with their time. Of the lists you see the newest items, each with an id, and how many there
are. "turns" holds the next part of a conversation. Answer with all the calls that bring the memory up to date:
- {"tool": "new_memory_insert", "memory_type": "semantic_memory" or "episodic_memory", "content": a sentence that stands alone; an
  event begins with its date}.
- {"tool": "memory_update", "memory_type", "memory_id": an id from a list, "new_content"}; of "core_memory" without an id: the
  whole new paragraph.
  To both belongs "turns": [numbers of the turns that it comes from].
- {"tool": "memory_delete", "memory_type", "memory_id"}; of "core_memory" without an id, to clear it.
Insert nothing that is there already. Keep what may be asked for later: names, numbers, dates, preferences, what changed.
Answer with {"calls": [...]}, an empty list where nothing is worth keeping.
"""
RETHINK = """
You keep a memory with three parts: "core", a paragraph; "semantic", facts; "episodic", events; the newest items of the lists are
shown with ids. Bring them in order: merge what says the same, by an update of one and the deletion of the others, correct what
others contradict, delete what is of no use, insert what follows from several of them and is said by none.
Calls: {"tool": "memory_update", "memory_type": "core_memory", "semantic_memory" or "episodic_memory", "memory_id": an id from a
list, none for the core, "new_content"}, {"tool": "memory_delete", "memory_type", "memory_id"}, {"tool": "new_memory_insert",
"memory_type": "semantic_memory" or "episodic_memory", "content"}. Answer with {"calls": [...]}.
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
            "Calls are the items of one structured answer, so all come in one turn. They also name the turns that an item comes "
            "from, as its sources; without them it is the whole chunk.",
            "A sentence of the core keeps its sources as long as it stands, or one that shares a word takes its place.",
            "Items are versions: an update or deletion retires one, which stays for what is asked as of an earlier time.",
            "Short ids have four digits, more where two items shown would share them; only items that were shown can be named.",
            "An event without a time is given that of its chunk, where the tools alone refuse it.",
            "`method` is followed; the official search accepts it and ignores it. Its default joins cosine and BM25.",
            "A recall is not cut at 30,000 tokens: its limit and the budget of the context do that.",
            "An item is known by its text: updated to the text of another, it becomes that one. An updated item counts as new.",
            "What a rethink writes has for sources what stands behind the items that it touches; the core and insertions, all "
            "that was shown.",
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
        tokens = 0
        for one in episodes:
            if unit and one.session != unit[-1].session:
                units.append(unit)
                unit, tokens = [], 0
            unit.append(one)
            tokens += count_tokens(one.text)
            if tokens >= self._params.chunk_tokens:
                units.append(unit)
                unit, tokens = [], 0
        return units, unit

    def foresee(self, episodes: Sequence[Episode], before: Sequence[Episode]) -> None:
        """The vectors of the statements of many messages at once."""
        speakers = [None, *(one.speaker for one in episodes)]
        texts = [fact for one, other in zip(episodes, speakers, strict=False) for fact in facts_of(one, other)]
        texts = list(dict.fromkeys(texts))
        self._vectors |= dict(zip(texts, self._view.embed(texts), strict=True))

    def by_rule(self, episode: Episode, before: Sequence[Episode], ledger: Ledger) -> None:
        """The statements of one message: what happened, what holds, and what holds of the speaker."""
        shelf = DraftShelf(self._draft, ledger, [episode], self._view, "offline", self._vectors)
        for text in facts_of(episode, before[-1].speaker if before else None):
            kind: Kind = "episodic" if is_event(text) else "semantic"
            name = f"{kind}_memory"
            event = f"{episode.occurred_at.date().isoformat()}: {text}" if kind == EPISODIC else text
            call: Call | None = Call(INSERT, name, event)
            if kind == SEMANTIC:
                call = self._against_known(text, name, episode.seq)
            if call is not None:
                applied([call], shelf, episode.occurred_at)
            if call is not None and slots_of(text) and keyed(text) is None:
                core = shelf.with_line(text)
                applied([Call(UPDATE, "core_memory", new_content=core)], shelf)

    def by_model(self, unit: Sequence[Episode], before: Sequence[Episode], ledger: Ledger) -> bool:
        """A chunk, as the model writes it into the memory; what was corrected within it is not shown."""
        gone = self._view.superseded((one.id for one in unit), unit[-1].seq)
        unit = [one for one in unit if one.id not in gone]
        shelf = DraftShelf(self._draft, ledger, unit, self._view, "llm", self._vectors)
        data = {**shelf.rendered(self._params.shown), "turns": turns(unit)}
        answer = self._view.ask("write", Prompt(WRITE, data), CallsAnswer)
        if answer is None:
            return False
        for call in answer.calls:
            named = tuple(one.id for at, one in enumerate(unit, start=1) if at in call.turns)
            shelf.sources = named or tuple(one.id for one in unit)
            applied([call], shelf, unit[-1].occurred_at)
        return True

    def settled_by_rule(self) -> None:
        """Nothing waits for it."""

    def settled(self, unit: Sequence[Episode], before: Sequence[Episode]) -> None:
        """Bring the memory in order, once enough chunks were written since the last time."""
        state, every = self._draft.state, self._params.rethink_every
        if not every:
            return
        state["chunks"] = int(state.get("chunks", 0)) + 1
        if state["chunks"] % every:
            return
        shelf = DraftShelf(self._draft, Ledger(self._draft), unit, self._view, "llm", self._vectors)
        prompt = Prompt(RETHINK, shelf.rendered(self._params.shown))
        answer = self._view.ask("rethink", prompt, CallsAnswer)
        if answer is None:
            return
        touched = shelf.sources_of(answer.calls)
        for call in answer.calls:
            is_of_one = call.memory_id.strip() and call.tool.strip() != INSERT
            shelf.sources = touched if is_of_one else prompt.sources  # the core and what follows are drawn from all
            applied([call], shelf, unit[-1].occurred_at)

    def _against_known(self, text: str, name: str, at_seq: int) -> Call | None:
        """The call for a fact: an update of the one whose place it takes; none where it says no more than one that is there."""
        if text not in self._vectors:
            self._vectors[text] = self._view.embed([text])[0]
        for old, cosine in self._draft.nearest(self._vectors[text], 5, kinds=[SEMANTIC], standing_at=at_seq):
            judgement = judged_by_rule(old.text, text, cosine)
            if judgement == "redundant" and says_less(text, old.text):
                return None
            if judgement != "independent":
                return Call(UPDATE, name, memory_id=old.id, new_content=text)
        return Call(INSERT, name, text)


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
