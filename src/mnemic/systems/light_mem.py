"""LightMem: three cheap stages instead of a model call for each message.

The one idea: what is said waits. A sensory buffer drops words that say little and cuts the talk into topics, a short-term buffer
gathers topics until a model reads a batch of them at once, and what it finds is only added; which older memory a newer one ends
or changes is decided later, for several batches together, while nobody waits ("sleep"). Model calls grow with tokens, not with
turns. What still waits in the buffers is recalled as it was said.

Card: lightmem. Source: Fang et al., LightMem: Lightweight and Efficient Memory-Augmented Generation, arXiv 2510.18866, and
its code. Departs: see `LightMem.card.departures`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal

import numpy as np

from mnemic.clock import to_microseconds
from mnemic.errors import ParameterError
from mnemic.model import Cue, Episode, Hit, Reason, Record
from mnemic.models.prompt import Prompt, Shown
from mnemic.ops.compress import Surprisal, compressed
from mnemic.ops.extract import LONGEST_FACT, facts_in
from mnemic.ops.repeats import content_hash
from mnemic.ops.segment import topic_cuts
from mnemic.ops.update import relation, superseded
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.feedback import heard
from mnemic.systems.open_units import Ledger
from mnemic.systems.uses import best_first
from mnemic.systems.view import View
from mnemic.text.terms import terms
from mnemic.text.tokens import count_tokens

ID = "lightmem"
ENTRY = "entry"
_APART = timedelta(milliseconds=500)  # of two messages of a session that have the same time
_AFTERWARDS = timedelta(microseconds=1)  # a sleep at the end of the log comes after its last episode
_ENDING = ("contradicts", "updates", "resolved")

EXTRACT_TASK = """
You take notes for a memory. "topics" holds parts of a conversation, one for each topic; each has messages with an id, a time, a
weekday, a speaker and a text. Texts were shortened: small words may be missing. Write down every fact, however small, that
somebody states: about themselves, others, plans, likes, events, things.
- One fact is one complete sentence that can be understood alone: names in the place of pronouns.
- Keep names, numbers and titles exactly. Keep a relative time together with the date of its message:
  "last week (before 2023-05-07)".
- Conclude nothing, and leave out greetings, thanks and questions.
Answer with {"data": [{"source_id": the id of the message that states it, "fact": the sentence}]}, an empty list for none.
"""
SLEEP_TASK = """
You keep a memory true to what was said last. "targets" holds stored memories, each with a number and with newer memories that
are like it. Decide for each target what the newer ones do to it.
- "delete": a newer one contradicts it, so that it no longer holds.
- "update": it still holds, and a newer one adds to it. Give new_memory: the target's text with what is added.
- "ignore": they are about different things, or the newer ones only say it again.
Answer with {"decisions": [{"target": the number, "action": "update", "delete" or "ignore", "new_memory": the text or ""}]}.
"""


@dataclass(frozen=True, slots=True)
class Params:
    """Defaults are those of the paper and its code, but for what the card's departures name."""

    sensory_tokens: int = 512  # of user messages, after which the sensory buffer is cut into topics
    short_term_tokens: int = 512  # that the short-term buffer holds before a model reads it; experiments: 256 to 2048
    retention: float = 0.7  # r: the share of a message's words that is kept; 1 keeps all
    messages_use: Literal["user_only", "hybrid"] = "user_only"  # whose messages are mined: not the assistant's, or all
    flush_at_session_end: bool = False  # whether a model reads what waits as soon as another session begins
    neighbours: int = 20  # k: entries near a newer one
    queue: int = 10  # n: those of them that it may change
    update_threshold: float = 0.8  # tau_u: cosine from which a newer entry may change an older one
    sleep_batches: int = 4  # batches after which the memory sleeps
    targets_per_call: int = 20  # decisions that a model makes in one call
    retrieve: Literal["embedding", "context", "hybrid"] = "embedding"  # by meaning, by words, or by both alike

    def __post_init__(self) -> None:
        for name in ("sensory_tokens", "short_term_tokens", "neighbours", "queue", "sleep_batches", "targets_per_call"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name}={getattr(self, name)}: give 1 or more.")
        if not 0.0 < self.retention <= 1.0:
            raise ParameterError(f"retention={self.retention}: the share of words kept lies above 0 and at most at 1.")
        if not -1.0 <= self.update_threshold <= 1.0:
            raise ParameterError(f"update_threshold={self.update_threshold}: a cosine lies between -1 and 1.")
        if self.messages_use not in ("user_only", "hybrid"):
            raise ParameterError(f"messages_use={self.messages_use!r}: give 'user_only' or 'hybrid'.")
        if self.retrieve not in ("embedding", "context", "hybrid"):
            raise ParameterError(f"retrieve={self.retrieve!r}: give 'embedding', 'context' or 'hybrid'.")


@dataclass(frozen=True, slots=True)
class Noted:
    """A fact, as a model gives it."""

    source_id: int = -1
    fact: str = ""


@dataclass(frozen=True, slots=True)
class NotedAnswer:
    """What a model answers to EXTRACT_TASK."""

    data: list[Noted] = field(default_factory=list)


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


class LightMem(MemorySystem):
    """Sensory buffer, short-term buffer, long-term entries that are put in order in their sleep."""

    card = Card(
        id=ID,
        title="LightMem",
        year=2025,
        family="conversation",
        summary="Messages are shortened, cut into topics and read in batches; conflicts are settled later, in a sleep.",
        source="LightMem: Lightweight and Efficient Memory-Augmented Generation, arXiv 2510.18866",
        needs=("embedder", "llm"),
        makes=(ENTRY,),
        cost=(
            "One call for each batch of about 512 tokens of users' messages; after every fourth batch, and in consolidate, one "
            "more for up to 20 memories that newer ones may have changed, if there are any."
        ),
        flow=(
            "E[episodes] --> C[shorten: drop words of low surprisal]\nC --> S[sensory buffer]\nS -->|full, or another session| "
            "T[cut into topics]\nT --> B[short-term buffer]\nB -->|full| X[extract: one call for the batch]\n"
            "X --> N[entries, added unseen]\nN -->|every few batches, consolidate| Z[sleep: delete or update older entries]\n"
            "Z --> N\nQ[cue] --> R[nearest entries]\nN --> R\nS --> R\nB --> R"
        ),
        departures=(
            "A short chat makes no entry before the buffers are full; until then it is recalled as it was said.",
            "Topics are cut by the likeness of neighbouring turns alone: the attention of a small encoder, the other signal, is "
            "not at hand. This is the published fallback.",
            "Words are weighed by their surprisal in the scope's own past (the share of earlier messages that have them), not by "
            "a language model; names, numbers and negations are always kept, so that shortening turns no statement round.",
            "A fact without a model is a statement of the whole message; the shortened text is only what a model reads.",
            "The sleep runs when the batch after every fourth is read, as a part of observing, since records must follow from "
            "the log alone. What is due before that is done in consolidate for now: it counts as learned right after the last "
            "episode, and is taken back and decided again when more is observed. Each pair is decided once for good.",
            "One call decides on up to 20 targets instead of one, each of them on what stood when the sleep began.",
            "A delete or an update retires the old text, for recalls as of an earlier time; an update embeds the new text.",
            "The short-term buffer goes on over the end of a session, as in the published runs, unless flush_at_session_end "
            "says otherwise; topics never do.",
            "A message with the time of the one before it, or an earlier one, comes half a second later; others keep theirs.",
            "Categories, summaries of topics, hit times and queues are not kept: nothing that is recalled depends on them. A "
            "hit's text is the memory alone; its time and weekday stand in its data.",
            "An entry names the message that states it, an update the two entries that it joins; what else the model saw in the "
            "same call is not named.",
        ),
    )
    params_type = Params
    exempt: ClassVar[Mapping[str, str]] = {
        "test_nothing_that_was_remembered_stands_among_the_instructions_to_the_model": (
            "It asks nothing before its short-term buffer is full; tests/systems/test_light_mem.py does this with a small one."
        )
    }

    def __init__(self, params: Params | None = None) -> None:
        self.params: Params = params or Params()

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        draft = view.draft()
        _taken_back(draft)
        if heard(episodes):
            _Buffers(view, draft, self.params).take_what_is_new()
        return draft.changes()

    def consolidate(self, view: View) -> Changes:
        draft = view.draft()
        _taken_back(draft)
        if draft.state.get("pending"):
            last = view.since(draft.state["last"] - 1)[0]
            ledger = Ledger(draft)
            _sleep(view, ledger, draft.state["pending"], last.recorded_at + _AFTERWARDS, self.params)
            if noted := ledger.noted():
                draft.state["open"] = noted
        return draft.changes()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        share = {"embedding": 1.0, "context": 0.0, "hybrid": 0.5}[self.params.retrieve]
        vector = view.query_vector(cue) if share else None
        meaning = dict(_by_id(view.made.scores(vector, as_of=cue.as_of))) if vector is not None else {}
        words = view.made.words(terms(cue.text), as_of=cue.as_of) if share < 1.0 or vector is None else {}
        share = share if vector is not None else 0.0

        def score(id: str) -> float:
            return share * min(max(meaning.get(id, 0.0), 0.0), 1.0) + (1.0 - share) * words.get(id, 0.0)

        def why(record: Record, _: float) -> tuple[Reason, ...]:
            near = min(max(meaning.get(record.id, 0.0), 0.0), 1.0)
            found = (Reason("meaning", near, share), Reason("words", words.get(record.id, 0.0), 1.0 - share))
            return tuple(one for one in found if one.weight > 0.0)

        ranked = sorted(((id, score(id)) for id in {**meaning, **words}), key=lambda one: (-one[1], one[0]))
        entries = view.record_hits(((view.made.records[id], value) for id, value in ranked), cue, why)
        return best_first([*entries, *view.tail_hits(cue, after=_flushed(view, cue))], cue)


def _by_id(scored: Sequence[tuple[Record, float]]) -> list[tuple[str, float]]:
    return [(record.id, score) for record, score in scored]


def _flushed(view: View, cue: Cue) -> int:
    """The position in the log up to which batches had been read at the cue's time."""
    closings = view.made.state.get("closings", [])
    if cue.as_of is not None:
        known = view.index.seqs[view.index.recorded_at <= to_microseconds(cue.as_of)]
        latest = int(known[-1]) if len(known) else 0
        closings = [one for one in closings if one[0] <= latest]
    return int(closings[-1][1]) if closings else 0


# -- the buffers ----------------------------------------------------------------------------------------------


class _Buffers:
    """What was said and not yet read, in its two stages.

    The draft's notes: "done", the last position that was read; "cuts", where the topics that wait end; "last", the last position
    seen; "closings", by which position each batch was closed and how far it reached; "batches"; "pending", the entries that no
    sleep has looked at; "stamp", the time of the last message read; "topics", how many there were.
    """

    def __init__(self, view: View, draft: Draft, params: Params) -> None:
        self._view, self._draft, self._params = view, draft, params
        state = draft.state
        self._done, last = int(state.get("done", 0)), int(state.get("last", 0))
        shown = heard(view.since(max(self._done - 1, 0)))
        self._before = shown[0] if shown and shown[0].seq == self._done else None  # the last message read
        waiting = [one for one in shown if one.seq > self._done]
        self._new = [one for one in waiting if one.seq > last]
        self._segments: list[list[Episode]] = []
        start = self._done
        for end in state.get("cuts", []):
            self._segments.append([one for one in waiting if start < one.seq <= end])
            start = end
        self._sensory = [one for one in waiting if start < one.seq <= last]
        self._surprisal = Surprisal(view.index.lexical)
        self._short: dict[str, str] = {}  # by episode

    def take_what_is_new(self) -> None:
        """Take in the messages that have not been seen."""
        for message in self._new:
            self._take(message)
        state = self._draft.state
        state["last"] = self._new[-1].seq
        state["cuts"] = [segment[-1].seq for segment in self._segments]

    def _take(self, message: Episode) -> None:
        if self._sensory and message.session != self._sensory[-1].session:
            self._cut(message, is_forced=True)
        last = self._segments[-1][-1] if self._segments and not self._sensory else None
        if self._params.flush_at_session_end and last is not None and last.session != message.session:
            self._flush(message)
        # a reply stays with its message, also where that alone fills the buffer
        if message.role != "assistant" or (self._sensory and self._sensory[-1].role == "assistant"):
            while self._sensory and self._size([*self._sensory, message]) > self._params.sensory_tokens:
                self._cut(message, is_forced=False)
        self._sensory.append(message)

    def _cut(self, closing: Episode, *, is_forced: bool) -> None:
        """Cut the sensory buffer into topics, between turns; the last one stays where there are several, unless forced."""
        turns = turns_in(self._sensory)
        cuts = (
            topic_cuts(self._view.embed(["\n".join(one.text for one in turn) for turn in turns])) if turns[1:] else []
        )
        ends = [*cuts, len(turns)]
        topics = [[one for turn in turns[a:b] for one in turn] for a, b in zip([0, *cuts], ends, strict=True)]
        self._sensory = topics.pop() if cuts and not is_forced else []
        for topic in topics:
            if self._segments and self._size(sum(self._segments, topic)) > self._params.short_term_tokens:
                self._flush(closing)
            self._segments.append(topic)

    def _flush(self, closing: Episode) -> None:
        """Have the batch read, and add what it holds; before that, every few batches, sleep."""
        state = self._draft.state
        batches = int(state.get("batches", 0))
        if state.get("pending") and batches % self._params.sleep_batches == 0:
            _sleep(self._view, Ledger(self._draft), state["pending"], closing.recorded_at, self._params)
            state["pending"] = []
        made = self._read(self._segments, closing)
        for entry in made:
            self._draft.put(entry)
        state["pending"] = [*state.get("pending", []), *(entry.id for entry in made)]
        state["batches"], state["topics"] = batches + 1, int(state.get("topics", 0)) + len(self._segments)
        self._done = self._segments[-1][-1].seq
        self._segments = []
        state["done"] = self._done
        state["closings"] = [*state.get("closings", []), [closing.seq, self._done]]

    def _read(self, segments: Sequence[Sequence[Episode]], closing: Episode) -> list[Record]:
        """The entries that a batch gives."""
        first_topic = int(self._draft.state.get("topics", 0))
        stamps = self._stamps([one for segment in segments for one in segment])
        used = [(first_topic + at, one) for at, segment in enumerate(segments) for one in segment if self._is_used(one)]
        answer = self._view.ask("extract", Prompt(EXTRACT_TASK, {"topics": self._shown(used, stamps)}), NotedAnswer)
        stated: list[tuple[int, str]] = []
        if answer is None:
            speakers = list(dict.fromkeys(one.speaker for segment in segments for one in segment))
            for at, (_, one) in enumerate(used):
                other = next((name for name in speakers if name != one.speaker), None) if len(speakers) == 2 else None
                stated += [(at, fact.text) for fact in facts_in(one, other)]
        else:
            stated = [(one.source_id, " ".join(one.fact.split())[:LONGEST_FACT]) for one in answer.data]
            stated = [(at, text) for at, text in stated if 0 <= at < len(used) and any(map(str.isalnum, text))]
        found: dict[tuple[int, int], Record] = {}
        for at, text in stated:
            topic, said = used[at]
            id, stamp = record_id(ID, ENTRY, said.id, text), stamps[said.id]
            record = Record(
                id=id,
                system=ID,
                scope=self._view.scope,
                kind=ENTRY,
                text=text,
                sources=(said.id,),
                recorded_at=closing.recorded_at,
                valid_from=said.occurred_at,
                data={
                    "key": id,
                    BY: "offline" if answer is None else "llm",
                    "time": stamp.isoformat(timespec="milliseconds"),
                    "weekday": f"{stamp:%a}",
                    "topic": topic,
                    "speaker": said.speaker,
                },
            )
            found.setdefault((at, content_hash(text)), record)
        return list(found.values())

    def _stamps(self, said: Sequence[Episode]) -> dict[str, datetime]:
        """When each message was said, later than the one before it in its session."""
        state, found = self._draft.state, dict[str, datetime]()
        before, at = self._before, datetime.fromisoformat(state["stamp"]) if "stamp" in state else None
        for one in said:
            is_same = before is not None and at is not None and before.session == one.session
            at = max(one.occurred_at, at + _APART) if is_same and at is not None else one.occurred_at
            found[one.id], before = at, one
        assert at is not None, "a batch has messages"
        self._before, state["stamp"] = before, at.isoformat()
        return found

    def _shown(self, used: Sequence[tuple[int, Episode]], stamps: dict[str, datetime]) -> Shown:
        topics: dict[int, list[dict[str, Any]]] = {}
        for at, (topic, one) in enumerate(used):
            stamp = stamps[one.id]
            message = {
                "id": at,
                "time": stamp.isoformat(timespec="milliseconds"),
                "weekday": f"{stamp:%a}",
                "speaker": one.speaker,
                "text": self._shortened(one),
            }
            topics.setdefault(topic, []).append(message)
        listed = [{"topic": at, "messages": said} for at, said in enumerate(topics.values(), start=1)]
        return Shown(listed, tuple(one.id for _, one in used))

    def _is_used(self, message: Episode) -> bool:
        return self._params.messages_use == "hybrid" or message.role != "assistant"

    def _size(self, said: Sequence[Episode]) -> int:
        """Tokens of the messages that are mined; another one counts as one token, so that no buffer grows without bound."""
        return sum(count_tokens(self._shortened(one)) if self._is_used(one) else 1 for one in said)

    def _shortened(self, message: Episode) -> str:
        if message.id not in self._short:
            row = int(np.searchsorted(self._view.index.seqs, message.seq))
            self._short[message.id] = compressed(
                message.text,
                lambda word: self._surprisal(word, row),
                self._params.retention,
                self._params.sensory_tokens,
            )
        return self._short[message.id]


def turns_in(said: Sequence[Episode]) -> list[list[Episode]]:
    """What was said in turns: a message with what an assistant answers to it."""
    turns: list[list[Episode]] = []
    for one in said:
        if not turns or one.role != "assistant":
            turns.append([])
        turns[-1].append(one)
    return turns


# -- the sleep ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Target:
    """An entry with the newer ones that may change it, oldest first, and their cosines."""

    entry: Record
    newer: tuple[Record, ...]
    likeness: tuple[float, ...]


def _taken_back(draft: Draft) -> None:
    """Undo what a sleep at the end of the log has decided for now."""
    if noted := draft.state.pop("open", None):
        Ledger.of(draft, noted).take_back()


def _sleep(view: View, ledger: Ledger, pending: Sequence[str], at: datetime, params: Params) -> None:
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
