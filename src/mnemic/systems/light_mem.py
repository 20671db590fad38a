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
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Literal

from mnemic.errors import ParameterError
from mnemic.model import Cue, Episode, Hit, Reason, Record
from mnemic.store.contract import Changes
from mnemic.systems.contract import Card, MemorySystem
from mnemic.systems.feedback import heard
from mnemic.systems.light_mem_buffers import Buffers, flushed
from mnemic.systems.light_mem_sleep import ENTRY, ID, sleep, taken_back
from mnemic.systems.made import Vector
from mnemic.systems.nearest_first import nearest_hits
from mnemic.systems.open_units import Ledger
from mnemic.systems.uses import best_first
from mnemic.systems.view import View
from mnemic.text.terms import terms

_AFTERWARDS = timedelta(microseconds=1)  # a sleep at the end of the log comes after its last episode


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
        taken_back(draft)
        if heard(episodes):
            Buffers(view, draft, self.params).take_what_is_new()
        return draft.changes()

    def consolidate(self, view: View) -> Changes:
        draft = view.draft()
        taken_back(draft)
        if draft.state.get("pending"):
            last = view.since(draft.state["last"] - 1)[0]
            ledger = Ledger(draft)
            sleep(view, ledger, draft.state["pending"], last.recorded_at + _AFTERWARDS, self.params)
            if noted := ledger.noted():
                draft.state["open"] = noted
        return draft.changes()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        share = {"embedding": 1.0, "context": 0.0, "hybrid": 0.5}[self.params.retrieve]
        vector = view.query_vector(cue) if share else None
        if vector is not None and share == 1.0:
            entries = nearest_hits(cue, view, vector)
        else:
            entries = _by_words(cue, view, vector, share if vector is not None else 0.0)
        return best_first([*entries, *view.tail_hits(cue, after=flushed(view, cue))], cue)


def _by_words(cue: Cue, view: View, vector: Vector | None, share: float) -> list[Hit]:
    """Entries by their words, and with a share above 0 by their meaning too."""
    made = view.made
    words = made.words(terms(cue.text), as_of=cue.as_of)
    near = made.scores(vector, as_of=cue.as_of) if share else []
    meaning = {record.id: min(max(score, 0.0), 1.0) for record, score in near}
    scores = {id: share * meaning.get(id, 0.0) + (1.0 - share) * words.get(id, 0.0) for id in {**meaning, **words}}
    ranked = sorted(scores.items(), key=lambda one: (-one[1], one[0]))

    def why(record: Record, _: float) -> tuple[Reason, ...]:
        found = (
            Reason("meaning", meaning.get(record.id, 0.0), share),
            Reason("words", words.get(record.id, 0.0), 1.0 - share),
        )
        return tuple(one for one in found if one.weight > 0.0)

    return view.record_hits(((made.records[id], score) for id, score in ranked), cue, why)
