"""LIGHT: three stores over one dialogue, each for what the others lose.

The one idea: a question may need a detail of long ago, the turn of a moment ago, or something that holds throughout. Pairs of
messages are found by a digest of each and returned as they were said (episodic memory); the latest pairs are there unasked
(working memory); and notes on every pair grow into a scratchpad, which is compressed when it is too long and filtered for each
question.

Card: light. Source: Tavakoli et al., Beyond a Million Tokens: Benchmarking and Enhancing Long-Term Memory in LLMs, arXiv
2510.27246, and its code. Departs: see `Light.card.departures`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mnemic.errors import ParameterError
from mnemic.model import Cue, Episode, Hit, Reason, Record
from mnemic.models.prompt import Prompt, Shown, turns
from mnemic.ops.extract import entities_of
from mnemic.ops.keywords import keywords
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.feedback import heard
from mnemic.systems.made import Vector, holds
from mnemic.systems.nearest_first import nearest_hits
from mnemic.systems.parts import LENGTHS, without_corrected
from mnemic.systems.scratchpad import (
    CHUNK,
    NOTE,
    NOTE_TASK,
    NotesAnswer,
    Scratchpad,
    Stated,
    bearing_on,
    in_one_line,
    says_something,
)
from mnemic.systems.units import said_rows
from mnemic.systems.uses import best_first
from mnemic.systems.view import NoModel, View
from mnemic.text.terms import terms
from mnemic.text.tokens import count_tokens

ID = "light"
PAIR = "pair"
DIGEST_TASK = """
You index a conversation. "pair" holds a message and the answer to it, "history" what was said before it, for reference only. Say
what the pair is about, so that it can be found: keys with their values (people, places, things, dates, numbers, decisions,
topics), as they are named in the pair, and a summary of it in one sentence that can be understood alone.
Answer with {"entries": [{"key": text, "value": text}], "summary": text}.
"""


@dataclass(frozen=True, slots=True)
class Params:
    """Defaults are those of the paper's code."""

    top_pairs: int = 15  # k: pairs found by their digests, more where a cue asks for more; 0 for no episodic memory
    working_pairs: int = 100  # z: the latest pairs; 0 for no working memory
    scratchpad_tokens: int = 14_000  # to which the scratchpad is compressed, at twice as many; 0 for none
    reader_tokens: int = 14_000  # of everything that is recalled together
    history_tokens: int = 27_000  # of what was said before a pair and is shown with it
    filter_tokens: int = 14_000  # of chunks of the scratchpad that a model looks through for a question; ours
    chunk_percentile: float = 80.0  # of the distances of neighbouring notes, above which a chunk ends
    episodic_share: float = 0.6  # of the places in a recall, and of the reader's tokens; ours
    working_share: float = 0.2  # likewise; what is left is the scratchpad's, and what one does not need the others get
    working_weight: float = 0.3  # score of the latest pair, where it is not like the question; ours

    def __post_init__(self) -> None:
        for name in ("top_pairs", "working_pairs", "scratchpad_tokens", "history_tokens", "filter_tokens"):
            if getattr(self, name) < 0:
                raise ParameterError(f"{name}={getattr(self, name)}: give 0 or more.")
        if self.reader_tokens < 1:
            raise ParameterError(f"reader_tokens={self.reader_tokens}: give 1 or more.")
        if not 0.0 <= self.chunk_percentile <= 100.0:
            raise ParameterError(f"chunk_percentile={self.chunk_percentile}: it lies between 0 and 100.")
        if min(self.episodic_share, self.working_share) < 0 or self.episodic_share + self.working_share > 1.0:
            raise ParameterError("episodic_share and working_share are shares: give 0 or more, together at most 1.")
        if not 0.0 <= self.working_weight <= 1.0:
            raise ParameterError(f"working_weight={self.working_weight}: a score lies between 0 and 1.")


@dataclass(frozen=True, slots=True)
class Entry:
    """A key and its value, as a model gives them."""

    key: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class DigestAnswer:
    """What a model answers to DIGEST_TASK."""

    entries: list[Entry] = field(default_factory=list)
    summary: str = ""


class Light(MemorySystem):
    """Episodic memory by digests, working memory of the latest pairs, and a scratchpad."""

    card = Card(
        id=ID,
        title="LIGHT",
        year=2025,
        family="conversation",
        summary="Three stores: pairs found by a digest of each, the latest pairs, a scratchpad that is filtered for a question.",
        source="Beyond a Million Tokens: Benchmarking and Enhancing Long-Term Memory in LLMs, arXiv 2510.27246",
        needs=("embedder", "llm"),
        makes=(PAIR, NOTE, CHUNK),
        cost=(
            "Two calls for each pair of messages, its digest and its notes; one whenever the notes exceed 28,000 tokens; one for "
            "each recall, which says what in the scratchpad bears on the question."
        ),
        flow=(
            "E[episodes] --> P[pairs]\nP --> D[digest: keys, values, summary]\nD --> X[episodic memory]\nP --> N[notes]\n"
            "N --> S[scratchpad]\nS -->|over twice the limit| C[compress to sections, cut into chunks]\nC --> S\n"
            "P --> W[working memory: the latest pairs]\nQ[cue] --> B[reader's budget, shared]\nX --> B\nW --> B\n"
            "S -->|filter for the cue| B"
        ),
        departures=(
            "A pair is two messages of a session, or fewer where an assistant answers or the session ends; the history shown "
            "with it is what came before it in its session, or the session before.",
            "The scratchpad is a list of lines with their sources, so that forgetting and provenance reach each of them; it is "
            "cut into chunks when it is compressed and not for every question, and notes made since are chunks of their own.",
            "A model is asked about all chunks of a question in one call and not one by one; about those that fit filter_tokens, "
            "instructions first, then the nearest.",
            "The reader's budget and the places of a recall are shared: scratchpad, episodic and working memory each get theirs, "
            "and what one leaves the others take; a pair longer than the whole share of its store counts as that share. In the "
            "code the scratchpad is never subtracted, and many retrieved pairs leave "
            "nothing to working memory.",
            "Pairs are ordered by their number, not by ids as text, which put the tenth before the second.",
            "A message that was corrected is left out of its pair, with the notes made of it by rule; a model's notes stay.",
            "Hits are ranked by one score: likeness for pairs and chunks, what is left of working_weight for the latest pairs.",
            "Notes are counted in tokens by the library's rule, not in characters.",
            "A digest or note names its pair as what it came from, not the history that the model saw with it.",
        ),
    )
    params_type = Params

    def __init__(self, params: Params | None = None) -> None:
        self.params: Params = params or Params()

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        draft = view.draft()
        if heard(episodes):
            _Writer(view, draft, self.params).take_what_is_new()
        return draft.changes()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        p, wide = self.params, replace(cue, threshold=0.0)
        vector = view.query_vector(cue)
        episodic = _episodic(wide, view, vector, p) if p.top_pairs else []
        working = _working(wide, view, p) if p.working_pairs else []
        shown = {source for hit in episodic for source in hit.sources}
        scratch = bearing_on(wide, view, vector, p.filter_tokens) if p.scratchpad_tokens else []
        scratch = [hit for hit in scratch if not shown.issuperset(hit.sources)]
        shares = (1.0 - p.episodic_share - p.working_share, p.episodic_share, p.working_share)
        seen = {hit.id: hit for hit in [*working, *episodic]}  # a pair that is in both is as the better of them
        for hit in working:
            seen[hit.id] = max(seen[hit.id], hit, key=lambda one: one.score)
        fresh = [hit for hit in working if hit.id not in {one.id for one in episodic}]
        stores: list[list[Hit]] = [scratch, [seen[hit.id] for hit in episodic], [seen[hit.id] for hit in fresh]]
        stores = shared_out(
            stores, shares, p.reader_tokens, [[count_tokens(hit.text) for hit in one] for one in stores]
        )
        stores = shared_out(stores, shares, cue.limit, [[1] * len(one) for one in stores])
        hits = without_corrected(best_first([hit for one in stores for hit in one], cue), cue, view)
        return [hit for hit in hits if hit.score >= cue.threshold]


def shared_out(
    stores: Sequence[Sequence[Hit]], shares: Sequence[float], total: int, costs: Sequence[Sequence[int]]
) -> list[list[Hit]]:
    """The first of each store as far as its share of the total goes; what one store leaves, the next ones take, in order.

    costs: what each item takes of the total. One that does not fit is passed over; one that is longer than the whole share of
    its store counts as that share, for else it could never be recalled.
    """
    taken: list[list[int]] = [[] for _ in stores]
    left, parts = total, [round(share * total) for share in shares]
    for is_second in (False, True):
        for at, part in enumerate(parts):
            allowance = left if is_second else min(left, part)
            for place in range(len(stores[at])):
                cost = min(costs[at][place], part) if part else costs[at][place]
                if cost <= allowance and place not in taken[at]:
                    taken[at].append(place)
                    allowance, left = allowance - cost, left - cost
    return [[store[place] for place in sorted(places)] for store, places in zip(stores, taken, strict=True)]


# -- writing --------------------------------------------------------------------------------------------------


def pairs_in(said: Sequence[Episode]) -> tuple[list[tuple[list[Episode], Episode]], list[Episode]]:
    """(pairs of messages, each with the message that closed it; the one that may still be answered)."""
    pairs: list[tuple[list[Episode], Episode]] = []
    pair: list[Episode] = []
    for one in said:
        if pair and pair[-1].session != one.session:
            pairs.append((pair, one))
            pair = []
        pair.append(one)
        if len(pair) == 2 or one.role == "assistant":
            pairs.append((pair, one))
            pair = []
    return pairs, pair


class _Writer:
    """Works in pairs. Notes of the draft: "done", the last position worked in; "from", where the history begins; "pairs", how
    many there were; and those of the scratchpad."""

    def __init__(self, view: View, draft: Draft, params: Params) -> None:
        self._view, self._draft, self._params = view, draft, params
        self._scratchpad = Scratchpad(ID, view, draft, params.scratchpad_tokens, params.chunk_percentile)
        self._has_model = not isinstance(view.ask, NoModel)

    def take_what_is_new(self) -> None:
        state = self._draft.state
        done = int(state.get("done", 0))
        said = heard(self._view.since(min(done, int(state.get("from", done + 1)) - 1)))
        pairs, _ = pairs_in([one for one in said if one.seq > done])
        if not pairs:
            return
        past, last = pairs_in([one for one in said if one.seq <= done])
        before = [pair for pair, _ in past]
        before += [last] if last else []  # it was closed by a message of another session
        digests, notes = self._answers([pair for pair, _ in pairs], before)
        for (pair, closing), digest, note in zip(pairs, digests, notes, strict=True):
            number, stated = int(state.get("pairs", 0)) + 1, Stated(pair)
            state["pairs"] = number
            self._put_pair(pair, closing, number, digest, stated)
            if self._params.scratchpad_tokens:
                self._scratchpad.note(stated, closing, number, note)
        state["done"] = pairs[-1][0][-1].seq
        if self._has_model:
            kept = self._history([*before, *(pair for pair, _ in pairs)])
            state["from"] = kept[0].seq if kept else state["done"] + 1

    def _answers(
        self, pairs: Sequence[list[Episode]], before: Sequence[list[Episode]]
    ) -> tuple[list[DigestAnswer | None], list[NotesAnswer | None]]:
        if not self._has_model:
            return [None] * len(pairs), [None] * len(pairs)
        shown, past = list[dict[str, Shown]](), [*before]
        for pair in pairs:
            shown.append({"history": turns(self._history(past)), "pair": turns(pair)})
            past.append(pair)
        ask = self._view.ask.many
        digests = ask("digest", [Prompt(DIGEST_TASK, one) for one in shown], DigestAnswer)
        if not self._params.scratchpad_tokens:
            return digests, [None] * len(pairs)
        return digests, ask("note", [Prompt(NOTE_TASK, one) for one in shown], NotesAnswer)

    def _history(self, past: Sequence[list[Episode]]) -> list[Episode]:
        """The last pairs of the session that the last one is of, as many as fit."""
        found: list[list[Episode]] = []
        left = self._params.history_tokens
        for pair in reversed(past):
            left -= sum(count_tokens(one.text) for one in pair)
            if left < 0 or pair[0].session != past[-1][0].session:
                break
            found.append(pair)
        return [one for pair in reversed(found) for one in pair]

    def _put_pair(
        self, pair: Sequence[Episode], closing: Episode, number: int, answer: DigestAnswer | None, stated: Stated
    ) -> None:
        digest, path = digest_of(pair, answer, stated)
        texts = [f"{one.speaker}: {one.text}" for one in pair]
        record = Record(
            id=record_id(ID, PAIR, pair[0].id),
            system=ID,
            scope=self._view.scope,
            kind=PAIR,
            text="\n".join(texts),
            sources=tuple(one.id for one in pair),
            recorded_at=max(one.recorded_at for one in (*pair, closing)),  # an import need not come in order
            valid_from=pair[0].occurred_at,
            data={"number": number, "digest": digest, BY: path, LENGTHS: list(map(len, texts))},
        )
        self._draft.put(record, embed=digest)


def digest_of(pair: Sequence[Episode], answer: DigestAnswer | None, stated: Stated) -> tuple[str, str]:
    """(what a pair is found by: "key: value" lines and a summary; which path made it)."""
    if answer is not None:
        lines = [
            f"{in_one_line(one.key)}: {in_one_line(one.value)}"
            for one in answer.entries
            if says_something(one.key) and says_something(one.value)
        ]
        if says_something(answer.summary):
            lines.append(f"Summary: {in_one_line(answer.summary)}")
        if lines:
            return "\n".join(lines), "llm"
    texts = [one.text for one in pair]
    told = " ".join(text for one in stated.facts for text in one) or " ".join(texts)
    names = entities_of(told, [one.actor for one in pair if one.actor])
    found = [("names", ", ".join(names)), ("topics", ", ".join(keywords(texts, 5, names)))]
    return "\n".join([*(f"{key}: {value}" for key, value in found if value), f"Summary: {told}"]), "offline"


# -- recall ---------------------------------------------------------------------------------------------------


def _episodic(cue: Cue, view: View, vector: Vector | None, params: Params) -> list[Hit]:
    cue = replace(cue, limit=max(params.top_pairs, cue.limit))
    if vector is not None:
        return nearest_hits(cue, view, vector, kinds=[PAIR])
    words = view.made.words(terms(cue.text), kinds=[PAIR], as_of=cue.as_of)
    ranked = sorted(words.items(), key=lambda one: (-one[1], one[0]))
    return view.record_hits(
        ((view.made.records[id], score) for id, score in ranked), cue, lambda _, score: (Reason("words", score, 1.0),)
    )


def _working(cue: Cue, view: View, params: Params) -> list[Hit]:
    """The latest pairs, and the message that waits for its answer: the latest first."""
    latest = _latest(cue, view, params.working_pairs)
    left = {one.id: params.working_weight * (1.0 - at / params.working_pairs) for at, one in enumerate(latest)}

    def why(_: Record, score: float) -> tuple[Reason, ...]:
        value = score / params.working_weight if params.working_weight else 0.0
        return (Reason("working", min(value, 1.0), params.working_weight, "one of the latest pairs"),)

    ranked = ((one, left[one.id]) for one in latest)
    return [*_waiting(cue, view, params), *view.record_hits(ranked, replace(cue, limit=params.working_pairs), why)]


def _latest(cue: Cue, view: View, most: int) -> list[Record]:
    """The latest pairs, the last one first, by way of their messages in the log."""
    found: list[Record] = []
    rows, made = said_rows(view.index, cue), view.made
    while len(rows) and len(found) < most:
        rows, part = rows[: -2 * most], rows[-2 * most :]
        for _, one in sorted(view.episodes(part).items(), reverse=True):
            pair = made.records.get(record_id(ID, PAIR, one.id))
            if pair is not None and holds(pair, cue.as_of):
                found.append(pair)
    return found[:most]


def _waiting(cue: Cue, view: View, params: Params) -> list[Hit]:
    """The last message, if it is not part of a pair yet."""
    rows = said_rows(view.index, cue)[-2:]
    said = view.episodes(rows)
    if not len(rows) or int(rows[-1]) not in said:
        return []
    row, paired = int(rows[-1]), set[str]()
    for one in said.values():
        pair = view.made.records.get(record_id(ID, PAIR, one.id))
        if pair is not None and (cue.as_of is None or pair.recorded_at <= cue.as_of):
            paired.update(pair.sources)
    allowed = view.allowed(cue)
    if said[row].id in paired or (allowed is not None and not allowed[row]):
        return []
    vector = view.query_vector(cue)
    cosine = 0.0 if vector is None else float(view.index.vectors.scores(vector, np.array([row]))[0])
    if cosine > params.working_weight:
        score = min(cosine, 1.0)
        return view.hits([row], [score], lambda _: (Reason("meaning", score, 1.0, "the latest message"),))
    weight = params.working_weight
    return (
        view.hits([row], [weight], lambda _: (Reason("working", 1.0, weight, "the latest message"),)) if weight else []
    )
