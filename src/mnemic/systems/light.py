"""LIGHT: three stores over one dialogue, each for what the others lose.

The one idea: a question may need a detail of long ago, the turn of a moment ago, or something that holds throughout. Pairs of
messages are found by a digest of each and returned as they were said (episodic memory); the latest pairs are there unasked
(working memory); and notes on every pair grow into a scratchpad, which is compressed when it is too long and filtered for each
question.

Card: light. Source: Tavakoli et al., Beyond a Million Tokens: Benchmarking and Enhancing Long-Term Memory in LLMs, arXiv
2510.27246, and its code. Departs: see `Light.card.departures`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice, pairwise

import numpy as np
from numpy.typing import NDArray

from mnemic.errors import ParameterError
from mnemic.index.vectors import products
from mnemic.model import Cue, Episode, Hit, Reason, Record
from mnemic.models.prompt import Prompt, Shown, turns
from mnemic.ops.extract import entities_of, facts_in
from mnemic.ops.keywords import keywords
from mnemic.ops.rerank import overlapping, relevant
from mnemic.ops.standing import standing
from mnemic.ops.summarise import central
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.feedback import heard
from mnemic.systems.units import said_rows
from mnemic.systems.uses import best_first
from mnemic.systems.view import NoModel, View
from mnemic.text.terms import terms
from mnemic.text.times import find_times
from mnemic.text.tokens import count_tokens, fit_tokens

ID = "light"
PAIR, NOTE, CHUNK = "pair", "note", "chunk"
SECTIONS = (
    "user instructions",
    "user preferences",
    "important dates",
    "key entities and relationships",
    "core decisions and processes",
    "critical context",
)
INSTRUCTION, PREFERENCE, DATES, ENTITIES, _, CONTEXT = SECTIONS
_SAID_OF = {"instruction": INSTRUCTION, "preference": PREFERENCE}
_LONGEST_LINE = 1000  # characters

DIGEST_TASK = """
You index a conversation. "pair" holds a message and the answer to it, "history" what was said before it, for reference only. Say
what the pair is about, so that it can be found: keys with their values (people, places, things, dates, numbers, decisions,
topics), as they are named in the pair, and a summary of it in one sentence that can be understood alone.
Answer with {"entries": [{"key": text, "value": text}], "summary": text}.
"""
NOTE_TASK = """
You keep the notes of a conversation. "pair" holds the latest message and the answer to it, "history" what was said before it,
for reference only. Note what in the pair is worth keeping for the rest of the conversation: facts, instructions of the user,
constraints, preferences, decisions, dates, and what plainly follows from them. One short sentence each, which can be understood
alone; an instruction begins with "Instruction:". An empty list where there is nothing.
Answer with {"notes": [text]}.
"""
COMPRESS_TASK = """
You keep the notes of a conversation short. "notes" holds them, oldest first, each with a number. Write them anew in at most
"max_tokens" tokens: join what belongs together, drop what is repeated, outdated or of no use later; keep every instruction of the
user, names, numbers and dates. Where two notes disagree the later one holds. Give each item its section, one of "sections", and
the numbers of the notes that it was made of.
Answer with {"items": [{"section": text, "text": text, "notes": [numbers]}]}.
"""


@dataclass(frozen=True, slots=True)
class Params:
    """Defaults are those of the paper's code."""

    top_pairs: int = 15  # k: pairs found by their digests; 0 for no episodic memory
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


@dataclass(frozen=True, slots=True)
class NotesAnswer:
    """What a model answers to NOTE_TASK."""

    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Item:
    """A line of a compressed scratchpad, as a model gives it."""

    section: str = ""
    text: str = ""
    notes: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ItemsAnswer:
    """What a model answers to COMPRESS_TASK."""

    items: list[Item] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the scratchpad."""

    text: str
    section: str
    sources: tuple[str, ...]
    at: datetime


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
            "and what one leaves the others take. In the code the scratchpad is never subtracted, and many retrieved pairs leave "
            "nothing to working memory.",
            "Pairs are ordered by their number, not by ids as text, which put the tenth before the second.",
            "Hits are ranked by one score: likeness for pairs and chunks, what is left of working_weight for the latest pairs.",
            "Notes are counted in tokens by the library's rule, not in characters.",
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
        scratch = [hit for hit in _scratch(wide, view, vector, p) if not shown.issuperset(hit.sources)]
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
        return [hit for hit in best_first([hit for one in stores for hit in one], cue) if hit.score >= cue.threshold]


def shared_out(
    stores: Sequence[Sequence[Hit]], shares: Sequence[float], total: int, costs: Sequence[Sequence[int]]
) -> list[list[Hit]]:
    """The first of each store as far as its share of the total goes; what one store leaves, the next ones take, in order.

    costs: what each item takes of the total. An item that does not fit ends its store's turn.
    """
    taken, left = [0] * len(stores), total
    for is_second in (False, True):
        for at, share in enumerate(shares):
            allowance = left if is_second else min(left, round(share * total))
            while taken[at] < len(stores[at]) and (cost := costs[at][taken[at]]) <= allowance:
                allowance, left, taken[at] = allowance - cost, left - cost, taken[at] + 1
    return [list(store[:n]) for store, n in zip(stores, taken, strict=True)]


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
    many there were; "tokens", those of the scratchpad; "version", how often it was compressed."""

    def __init__(self, view: View, draft: Draft, params: Params) -> None:
        self._view, self._draft, self._params = view, draft, params
        self._has_model = not isinstance(view.ask, NoModel)

    def take_what_is_new(self) -> None:
        state = self._draft.state
        done = int(state.get("done", 0))
        said = heard(self._view.since(min(done, int(state.get("from", done + 1)) - 1)))
        pairs, _ = pairs_in([one for one in said if one.seq > done])
        if not pairs:
            return
        past, last = pairs_in([one for one in said if one.seq <= done])
        before = [
            *(pair for pair, _ in past),
            *([last] if last else []),
        ]  # it was closed by a message of another session
        digests, notes = self._answers([pair for pair, _ in pairs], before)
        for (pair, closing), digest, note in zip(pairs, digests, notes, strict=True):
            number = state["pairs"] = int(state.get("pairs", 0)) + 1
            self._put_pair(pair, closing, number, digest)
            if self._params.scratchpad_tokens:
                self._put_note(pair, closing, number, note)
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

    def _put_pair(self, pair: Sequence[Episode], closing: Episode, number: int, answer: DigestAnswer | None) -> None:
        digest, path = digest_of(pair, answer)
        record = Record(
            id=record_id(ID, PAIR, pair[0].id),
            system=ID,
            scope=self._view.scope,
            kind=PAIR,
            text="\n".join(f"{one.speaker}: {one.text}" for one in pair),
            sources=tuple(one.id for one in pair),
            recorded_at=closing.recorded_at,
            valid_from=pair[0].occurred_at,
            data={"number": number, "digest": digest, BY: path},
        )
        self._draft.put(record, embed=digest)

    def _put_note(self, pair: Sequence[Episode], closing: Episode, number: int, answer: NotesAnswer | None) -> None:
        lines = notes_of(pair, answer)
        if not lines:
            return
        text, state = "\n".join(lines), self._draft.state
        self._put_lines(
            NOTE,
            record_id(ID, NOTE, pair[0].id),
            [Line(one, "", tuple(said.id for said in pair), pair[0].occurred_at) for one in lines],
            closing.recorded_at,
            {"number": number, BY: "offline" if answer is None else "llm"},
        )
        state["tokens"] = int(state.get("tokens", 0)) + count_tokens(text)
        if state["tokens"] > 2 * self._params.scratchpad_tokens:
            self._compress(closing)

    def _put_lines(self, kind: str, id: str, lines: Sequence[Line], at: datetime, data: dict[str, object]) -> None:
        self._draft.put(
            Record(
                id=id,
                system=ID,
                scope=self._view.scope,
                kind=kind,
                text="\n".join(one.text for one in lines),
                sources=tuple(dict.fromkeys(source for one in lines for source in one.sources)),
                recorded_at=at,
                valid_from=min(one.at for one in lines),
                data=data,
            )
        )

    def _compress(self, closing: Episode) -> None:
        """Write the scratchpad anew, in its sections, and cut it into chunks."""
        state, limit = self._draft.state, self._params.scratchpad_tokens
        old = sorted(self._draft.records([NOTE, CHUNK]), key=lambda one: (one.kind == NOTE, one.data["number"]))
        lines = [line for record in old for line in _lines_of(record)]
        data = {
            "notes": Shown(
                [{"note": at, "text": one.text} for at, one in enumerate(lines)],
                tuple(dict.fromkeys(source for one in lines for source in one.sources)),
            ),
            "sections": Shown(list(SECTIONS)),
            "max_tokens": Shown(limit),
        }
        prompt = Prompt(COMPRESS_TASK, data, max(2048, 2 * limit))
        answer = self._view.ask("compress", prompt, ItemsAnswer) if self._has_model else None
        kept = _checked(answer, lines) if answer is not None else []
        path = "llm" if kept else "offline"
        kept = _within(kept or compressed(lines, limit), limit)
        for record in old:
            self._draft.retire(record.id, closing.recorded_at)
        version = state["version"] = int(state.get("version", 0)) + 1
        number = 0
        for section in SECTIONS:
            for chunk in self._chunks([one for one in kept if one.section == section]):
                data_of = {"number": (number := number + 1), "section": section, "version": version, BY: path}
                data_of["lines"] = [list(one.sources) for one in chunk]
                self._put_lines(
                    CHUNK, record_id(ID, CHUNK, closing.id, str(number)), chunk, closing.recorded_at, data_of
                )
        state["tokens"] = sum(count_tokens(one.text) for one in kept)

    def _chunks(self, lines: Sequence[Line]) -> Iterator[list[Line]]:
        """Neighbouring lines that are about the same."""
        around = [" ".join(one.text for one in lines[max(at - 1, 0) : at + 2]) for at in range(len(lines))]
        ends = [*breakpoints(self._view.embed(around), self._params.chunk_percentile), len(lines)] if lines else []
        start = 0
        for end in ends:
            yield list(lines[start:end])
            start = end


def breakpoints(vectors: NDArray[np.float32], percentile: float) -> list[int]:
    """Where a chunk begins: behind a distance of neighbours above the percentile of all of them.

    >>> breakpoints(np.array([[1, 0], [1, 0], [1, 0], [0, 1], [0, 1]], np.float32), 80)
    [3]
    """
    if len(vectors) < 3:
        return []
    distances = np.array([1.0 - float(products(one[None], other)[0]) for one, other in pairwise(vectors)])
    return [int(at) + 1 for at in np.flatnonzero(distances > np.percentile(distances, percentile))]


def digest_of(pair: Sequence[Episode], answer: DigestAnswer | None) -> tuple[str, str]:
    """(what a pair is found by: "key: value" lines and a summary; which path made it)."""
    if answer is not None:
        lines = [
            f"{_line(one.key)}: {_line(one.value)}" for one in answer.entries if _says(one.key) and _says(one.value)
        ]
        if _says(answer.summary):
            lines.append(f"Summary: {_line(answer.summary)}")
        if lines:
            return "\n".join(lines), "llm"
    texts = [one.text for one in pair]
    stated = " ".join(fact.text for one in pair for fact in facts_in(one, _other(one, pair)))
    names = entities_of(stated or " ".join(texts), [one.actor for one in pair if one.actor])
    found = [("names", ", ".join(names)), ("topics", ", ".join(keywords(texts, 5, names)))]
    return "\n".join(
        [*(f"{key}: {value}" for key, value in found if value), f"Summary: {stated or ' '.join(texts)}"]
    ), "offline"


def notes_of(pair: Sequence[Episode], answer: NotesAnswer | None) -> list[str]:
    """What is noted of a pair, one line each."""
    if answer is not None:
        return list(dict.fromkeys(_line(one) for one in answer.notes if _says(one)))
    lines = list[str]()
    for one in pair:
        if (said := standing(one.text, one.role)) is not None:
            lines.append(f"{said.kind.capitalize()}: {_line(said.text)}")
        lines += [_line(fact.text) for fact in facts_in(one, _other(one, pair))]
    return list(dict.fromkeys(lines))


def _other(one: Episode, pair: Sequence[Episode]) -> str | None:
    return next((other.speaker for other in pair if other.speaker != one.speaker), None)


def _says(text: str) -> bool:
    return any(map(str.isalnum, text))


def _line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_LINE]


# -- the scratchpad -------------------------------------------------------------------------------------------


def _lines_of(record: Record) -> Iterator[Line]:
    texts = record.text.split("\n")
    sources = record.data.get("lines", [list(record.sources)] * len(texts))
    for text, behind in zip(texts, sources, strict=True):
        section = str(record.data.get("section") or section_of(text))
        yield Line(text, section, tuple(behind), record.valid_from or record.recorded_at)


def section_of(text: str) -> str:
    """The section of the scratchpad in which a line belongs, by rule."""
    kind = text.partition(":")[0].strip().casefold()
    if kind in _SAID_OF:
        return _SAID_OF[kind]
    said = standing(text)
    if said is not None:
        return _SAID_OF[said.kind]
    if any(map(str.isdigit, text)) and find_times(text, datetime.fromisoformat("2000-01-01T00:00:00+00:00")):
        return DATES
    return ENTITIES if entities_of(text) else CONTEXT


def compressed(lines: Sequence[Line], limit_tokens: int) -> list[Line]:
    """Without a model: the lines that say most within the limit, in their order, and each thing once.

    Instructions and preferences go first, the newest of them before others; of the rest those that are most central
    (LexRank, as in `ops.summarise`), the newer of two alike.
    """
    once = {" ".join(terms(one.text)): one for one in lines}
    kept, left = set[int](), limit_tokens
    unlike = list(once.values())
    rank = central([one.text for one in unlike])
    place = {INSTRUCTION: 0, PREFERENCE: 1}

    def worth(at: int) -> tuple[int, float, int]:
        section = place.get(unlike[at].section, 2)
        return section, 0.0 if section < 2 else -round(float(rank[at]), 12), -at

    for at in sorted(range(len(unlike)), key=worth):
        cost = count_tokens(unlike[at].text)
        if cost <= left:
            kept.add(at)
            left -= cost
    return [unlike[at] for at in sorted(kept)]


def _checked(answer: ItemsAnswer, lines: Sequence[Line]) -> list[Line]:
    """The items that say something; one that names no note, or none that there is, may be of any."""
    found = []
    for one in answer.items:
        if not _says(one.text):
            continue
        behind = [lines[at] for at in sorted(set(one.notes)) if 0 <= at < len(lines)] or lines
        sources = tuple(dict.fromkeys(source for line in behind for source in line.sources))
        section = one.section.strip().casefold()
        text = _line(one.text)
        found.append(
            Line(text, section if section in SECTIONS else section_of(text), sources, min(line.at for line in behind))
        )
    return found


def _within(lines: Sequence[Line], limit_tokens: int) -> list[Line]:
    """The first lines that fit; a first one that is too long is cut."""
    kept, left = list[Line](), limit_tokens
    for one in lines:
        left -= count_tokens(one.text)
        if left < 0:
            break
        kept.append(one)
    return kept or [replace(one, text=fit_tokens(one.text, limit_tokens)) for one in lines[:1]]


# -- recall ---------------------------------------------------------------------------------------------------


def _episodic(cue: Cue, view: View, vector: NDArray[np.float32] | None, params: Params) -> list[Hit]:
    cue = replace(cue, limit=max(params.top_pairs, cue.limit))
    if vector is not None:
        return view.record_hits(view.made.scores(vector, kinds=[PAIR], as_of=cue.as_of), cue)
    words = view.made.words(terms(cue.text), kinds=[PAIR], as_of=cue.as_of)
    ranked = sorted(words.items(), key=lambda one: (-one[1], one[0]))
    return view.record_hits(
        ((view.made.records[id], score) for id, score in ranked), cue, lambda _, score: (Reason("words", score, 1.0),)
    )


def _working(cue: Cue, view: View, params: Params) -> list[Hit]:
    """The latest pairs, and the message that waits for its answer: the latest first."""
    latest = sorted(view.made.current([PAIR], cue.as_of), key=lambda one: -int(one.data["number"]))[
        : params.working_pairs
    ]
    left = {one.id: params.working_weight * (1.0 - at / params.working_pairs) for at, one in enumerate(latest)}

    def why(_: Record, score: float) -> tuple[Reason, ...]:
        value = score / params.working_weight if params.working_weight else 0.0
        return (Reason("working", min(value, 1.0), params.working_weight, "one of the latest pairs"),)

    ranked = ((one, left[one.id]) for one in latest)
    return [*_waiting(cue, view, params), *view.record_hits(ranked, replace(cue, limit=params.working_pairs), why)]


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


def _scratch(cue: Cue, view: View, vector: NDArray[np.float32] | None, params: Params) -> list[Hit]:
    """The chunks of the scratchpad that bear on the question, the best first."""
    if not params.scratchpad_tokens:
        return []
    cosines = {one.id: max(score, 0.0) for one, score in view.made.scores(vector, kinds=[NOTE, CHUNK], as_of=cue.as_of)}
    orders = {id: _order_in(view.made.records[id].text) for id in cosines}
    ids = sorted(cosines, key=lambda id: (orders[id] is None, -cosines[id], id))
    records = list(_fitting([view.made.records[id] for id in ids], params.filter_tokens))
    seen = view.sees(records, cue)
    records = [one for one, is_seen in zip(records, seen, strict=True) if is_seen]
    near = [cosines[one.id] for one in records]
    texts = [one.text for one in records]
    offline = [
        is_near or (order is not None and (not order or overlapping([order], cue.text)[0]))
        for is_near, order in zip(
            overlapping(texts, cue.text, cosines=near), (orders[one.id] for one in records), strict=True
        )
    ]
    kept = relevant([Shown(one.text, one.sources) for one in records], cue.text, view.ask, offline)
    weight = {one.id: (0.7, 0.3) if orders[one.id] is not None else (1.0, 0.0) for one in records}

    def why(record: Record, _: float) -> tuple[Reason, ...]:
        meaning, rule = weight[record.id]
        found = (Reason("meaning", min(cosines[record.id], 1.0), meaning, "in the scratchpad"),)
        return (*found, Reason("instruction", 1.0, rule, "holds throughout")) if rule else found

    scored = [
        (one, weight[one.id][0] * min(cosines[one.id], 1.0) + weight[one.id][1])
        for one, is_kept in zip(records, kept, strict=True)
        if is_kept
    ]
    scored.sort(key=lambda one: (-one[1], one[0].id))
    return view.record_hits(scored, replace(cue, limit=max(cue.limit, 1)), why)


def _order_in(text: str) -> str | None:
    """What an instruction among the lines is limited to, "" for everything; None where there is none."""
    for line in text.split("\n"):
        tag, _, said = line.partition(":")
        if tag.casefold() == "instruction":
            found = standing(said.strip())
            return found.condition if found is not None else ""
    return None


def _fitting(records: Sequence[Record], tokens: int) -> Iterator[Record]:
    left = tokens
    for one in islice(records, 400):
        left -= count_tokens(one.text)
        if left < 0:
            return
        yield one
