"""The buffers of LightMem: what was said waits, shortened and cut into topics, until a model reads a batch of it at once.

The sensory buffer is cut where neighbouring turns are unlike; its topics go to the short-term buffer; when another does not fit
there, those that are in it are read. What was read becomes entries, added without a look at older ones.

Source: Fang et al., LightMem, arXiv 2510.18866; see `mnemic.systems.light_mem`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from mnemic.clock import to_microseconds
from mnemic.model import Cue, Episode, Record
from mnemic.models.prompt import Prompt, Shown
from mnemic.ops.compress import Surprisal, compressed
from mnemic.ops.extract import LONGEST_FACT, facts_in
from mnemic.ops.repeats import content_hash
from mnemic.ops.segment import topic_cuts
from mnemic.systems.contract import BY, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.feedback import heard
from mnemic.systems.light_mem_sleep import ENTRY, ID, sleep
from mnemic.systems.open_units import Ledger
from mnemic.systems.view import View
from mnemic.text.tokens import count_tokens

if TYPE_CHECKING:
    from mnemic.systems.light_mem import Params

_APART = timedelta(milliseconds=500)  # of two messages of a session that have the same time

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


@dataclass(frozen=True, slots=True)
class Noted:
    """A fact, as a model gives it."""

    source_id: int = -1
    fact: str = ""


@dataclass(frozen=True, slots=True)
class NotedAnswer:
    """What a model answers to EXTRACT_TASK."""

    data: list[Noted] = field(default_factory=list)


class Buffers:
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
        self._tokens: dict[str, int] = {}

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
            sleep(self._view, Ledger(self._draft), state["pending"], closing.recorded_at, self._params)
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
        for one in said:
            if one.id not in self._tokens:
                self._tokens[one.id] = count_tokens(self._shortened(one)) if self._is_used(one) else 1
        return sum(self._tokens[one.id] for one in said)

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


def flushed(view: View, cue: Cue) -> int:
    """The position in the log up to which batches had been read at the cue's time."""
    closings = view.made.state.get("closings", [])
    if cue.as_of is not None:
        known = view.index.seqs[view.index.recorded_at <= to_microseconds(cue.as_of)]
        latest = int(known[-1]) if len(known) else 0
        closings = [one for one in closings if one[0] <= latest]
    return int(closings[-1][1]) if closings else 0
