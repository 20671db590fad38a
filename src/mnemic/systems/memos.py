"""MemOS: memory as a resource of an operating system, with headers, a reorganiser, a scheduler and states of life.

The one idea: whatever is remembered is wrapped with who may see it, how long it lives and what it came from; a reorganiser
merges what contradicts or repeats, a structure pass gathers it under parents, a scheduler keeps at hand what questions want.
Nothing is overwritten: merged memories are archived and point to what they were merged into, so any earlier time can be asked.
Without a model a message's statements are its memories, and of two that cannot both hold the newer stays.

Card: memos. Source: Li et al., MemOS, arXiv 2507.03724 and 2505.22101; numbers as in its repository of mid-August 2025.
Reading and judging: `systems.mem_reader`; writing: `systems.mem_operator`, with `systems.mem_scheduler`,
`systems.mem_structure` and `systems.mem_shelf`; the scheduler's formulas: `ops.scheduling`; governance, and cubes that are
handed on: `systems.memcube`. Departs: see `MemOS.card.departures`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mnemic.model import Cue, Episode, Hit, Link, Reason, Record
from mnemic.models.prompt import Prompt, Shown
from mnemic.ops.attributes import tags_of
from mnemic.ops.keywords import keywords
from mnemic.store.contract import Changes
from mnemic.systems.contract import Card, MemorySystem
from mnemic.systems.made import Made
from mnemic.systems.mem_operator import Operator
from mnemic.systems.mem_shelf import ID, MEMORY, PARENT, TOPIC, WORKING, Params, age
from mnemic.systems.memcube import MERGED_TO, governance, is_expired
from mnemic.systems.open_units import work
from mnemic.systems.uses import note_use
from mnemic.systems.view import View
from mnemic.text.terms import terms

__all__ = ["MERGED_TO", "PARENT", "MemOS", "Params", "audit", "working_set"]

GOAL = """
"question" is what somebody asks a memory. Say what is looked for: keys, titles that the wanted notes may bear; tags, broad words
they may be filed under; rephrased_query, the question as one would search for its answer.
Answer with {"keys": [...], "tags": [...], "rephrased_query": ...}.
"""


class MemOS(MemorySystem):
    """Governed memories, merged, structured and scheduled."""

    params_type = Params
    card = Card(
        id=ID,
        title="MemOS",
        year=2025,
        family="conversation",
        summary="Governed memories: merged where they conflict, gathered under parents, kept at hand by what is asked.",
        source="Li et al., MemOS: A Memory OS for AI System, arXiv 2507.03724; an earlier version: arXiv 2505.22101",
        needs=("embedder", "llm"),
        makes=(MEMORY, TOPIC, WORKING),
        cost="One call for ten messages and for each two near memories, one more to merge them; two where questions were asked.",
        flow="""
        E[ten messages] --> R[MemReader: items with key, type, tags]
        R --> G[header: governance, time to live]
        G --> N[near memories and those of the same slot]
        N --> J{contradictory, redundant, independent}
        J --> M[(memories, archived ones with MERGED_TO)]
        M --> T[clusters under parents]
        Q[questions in the log] --> S[scheduler: working set]
        C[cue] --> P[cosine, words, key, tags, at hand]
        M --> P
        S --> P
        """,
        departures=(
            "Payloads are plaintext: activation memory (a KV cache of the hot texts) and parametric memory (adapters) come next; "
            "`ops.scheduling.activated` says already what would be prefilled, and when anew.",
            "Nothing is deleted: where two cannot be fused the older is archived with MERGED_TO, as a fused one's parents are.",
            "What is older is told by when it was said, not by updated_at, which the code leaves stale.",
            "Beyond capacity the least used of the 50 oldest is archived, not simply the oldest; frozen ones stay.",
            "A memory is also compared with those of the same slot ('bird:', somebody's home), however unlike their vectors.",
            "Without a model the newer of two stays as it is: texts are not fused by rule.",
            "Recall ranks every visible memory: cosine, words, key and tags are signals, not paths with a cut.",
            "A parent (topic) is no hit, since it may tell what was superseded since; it shows the structure.",
            "The structure pass runs when the active memories have doubled, or halved, since the last one, not every 30 seconds.",
            "The scheduler takes the questions of the log as queries, and has no time trigger; a recall writes nothing.",
            "A dialogue is read for its items alone, without a summary; what is told together is told by the parents.",
            "What expires or is of one session has no parent, whose text would outlive it.",
            "What only corrected messages said does not count as stored: it may be said again.",
            "Access is the scope's; the cube (`systems.memcube`) checks each reader, keeps an audit log and a watermark.",
        ),
    )  # fmt: skip

    def __init__(self, params: Params | None = None) -> None:
        self.params = params or Params()

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        draft = view.draft()
        for one in episodes:
            note_use(draft, one, ID)
        work(view, draft, Operator(self.params, view, draft), context=2)
        return draft.changes()

    def consolidate(self, view: View) -> Changes:
        draft = view.draft()
        work(view, draft, Operator(self.params, view, draft), context=2, closes=True)
        return draft.changes()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        goal = self._goal(cue, view)
        vector = view.query_vector(cue, goal.query if goal.query != cue.text else None)
        words = view.made.words(terms(goal.query), kinds=[MEMORY], as_of=cue.as_of)
        at_hand = frozenset(working_set(view.made, cue.as_of, self.params.working))
        if vector is None:
            scored = [(one, 0.0) for one in view.made.current([MEMORY], cue.as_of)]
        else:
            scored = view.made.scores(vector, kinds=[MEMORY], as_of=cue.as_of)
        seen = [(one, cosine) for one, cosine in scored if is_in_sight(one, cue)]
        keyed = _keyed([one for one, _ in seen], goal)
        weights = self.params
        why: dict[str, tuple[Reason, ...]] = {}
        ranked: list[tuple[Record, float]] = []
        for one, cosine in seen:
            shared = len(goal.tags.intersection(one.data["tags"]))
            signals = [Reason("meaning", min(max(cosine, 0.0), 1.0), weights.meaning)]
            signals.append(Reason("words", words.get(one.id, 0.0), weights.words))
            signals.append(Reason("key", keyed.get(one.id, 0.0), weights.key))
            signals.append(Reason("tags", 1.0 if shared >= 2 else 0.0, weights.tags))
            if sum(each.contribution for each in signals) > 0.0 and one.id in at_hand:
                signals.append(Reason("at hand", 1.0, weights.at_hand))
            why[one.id] = tuple(each for each in signals if each.value)
            ranked.append((one, sum(each.contribution for each in why[one.id])))
        ranked.sort(key=lambda one: (-one[1], one[0].id))
        ranked = _once(ranked, cue, view)
        return view.record_hits(ranked, cue, why=lambda one, _: why[one.id])

    def _goal(self, cue: Cue, view: View) -> Goal:
        told = [word.casefold() for word in keywords([cue.text], 8)]
        goal = Goal(cue.text, frozenset(told), frozenset((*tags_of(cue.text), *told)))
        if self.params.mode == "fast":
            return goal
        answer = view.ask("goal", Prompt(GOAL, {"question": Shown(cue.text)}, 512), GoalAnswer)
        if answer is None:
            return goal
        keys = {" ".join(one.split()).casefold() for one in answer.keys if one.strip()}
        tags = {" ".join(one.split()).casefold() for one in answer.tags if one.strip()}
        return Goal(" ".join(answer.rephrased_query.split()) or cue.text, goal.keys | keys, goal.tags | tags)


@dataclass(frozen=True, slots=True)
class Goal:
    """What a question looks for."""

    query: str
    keys: frozenset[str]
    tags: frozenset[str]


@dataclass(frozen=True, slots=True)
class GoalAnswer:
    """What a model answers to GOAL."""

    keys: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    rephrased_query: str = ""


# -- reading ----------------------------------------------------------------------------------------------


def is_in_sight(record: Record, cue: Cue) -> bool:
    """Whether a memory's header lets a cue see it: it has not expired, and is of the cue's session where it is bound to one."""
    if "governance" not in record.data:
        return True
    if is_expired(record, cue.asked_at):
        return False
    return governance(record).visibility != "session" or record.data.get("session") == cue.session


def working_set(made: Made, as_of: datetime | None = None, newest: int = 20) -> list[str]:
    """Ids of the memories at hand: those that the scheduler chose, most important first, then the newest."""
    chosen = [id for one in made.current([WORKING], as_of) for id, *_ in one.data["monitors"]]
    memories = {one.id: None for one in sorted(made.current([MEMORY], as_of), key=age)}
    return list(dict.fromkeys([*(id for id in chosen if id in memories), *list(memories)[::-1][:newest]]))


def _once(ranked: Sequence[tuple[Record, float]], cue: Cue, view: View) -> list[tuple[Record, float]]:
    """Of memories of the same text the best that the cue may see."""
    alike: dict[str, list[Record]] = {}
    for one, _ in ranked:
        alike.setdefault(one.text, []).append(one)
    left_out: set[str] = set()
    for same in alike.values():
        if len(same) > 1:
            seen = [one.id for one, is_seen in zip(same, view.sees(same, cue), strict=True) if is_seen]
            left_out.update(seen[1:])
    return [(one, score) for one, score in ranked if one.id not in left_out]


def _keyed(records: Iterable[Record], goal: Goal) -> dict[str, float]:
    """How much of the longest title that stands in the query each memory's title is; 1 also where the goal names it."""
    query = f" {' '.join(terms(goal.query))} "
    found: dict[str, float] = {}
    for one in records:
        title = str(one.data["title"])
        key = terms(title)
        if key and f" {' '.join(key)} " in query:
            found[one.id] = float(len(key))
        elif title in goal.keys:
            found[one.id] = 1.0
    most = max(found.values(), default=1.0)
    return {id: value / most for id, value in found.items()}


def audit(records: Iterable[Record], links: Iterable[Link] = ()) -> list[tuple[datetime, str, str]]:
    """What happened to memories, oldest first: (when, what, to which id), read off their versions and links.

    records: all versions, as `memory.records(system="memos", include_retired=True)` gives them.
    """
    merged = {one.from_id for one in links if one.kind == MERGED_TO}
    lines: list[tuple[datetime, str, str]] = []
    for one in records:
        lines.append((one.recorded_at, "frozen" if governance(one).is_frozen else "activated", one.id))
        if one.retired_at is not None:
            lines.append((one.retired_at, "merged" if one.id in merged else "archived", one.id))
        if (end := governance(one).expires_at) is not None:
            lines.append((end, "expired", one.id))
    return sorted(lines)
