"""The scratchpad of LIGHT: notes on every pair of messages, compressed when they are too long, filtered for a question.

The one idea: what holds throughout a dialogue, such as an instruction, is found by no likeness with a question. So what is
worth keeping of each pair is noted as lines; when these exceed twice a limit they are written anew within it, in sections, and
cut into chunks where neighbouring lines turn to something else; and a question is answered with the chunks that bear on it.

Source: LIGHT, arXiv 2510.27246, and its code; see `mnemic.systems.light`. Departs: a line keeps the ids of the episodes that it
came from, and chunks are cut when the scratchpad is compressed, not for each question.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from itertools import islice, pairwise

import numpy as np

from mnemic.index.vectors import products
from mnemic.model import Cue, Episode, Hit, Reason, Record
from mnemic.models.prompt import Prompt, Shown
from mnemic.ops.extract import entities_of, facts_in
from mnemic.ops.repeats import content_hash
from mnemic.ops.rerank import overlapping, relevant
from mnemic.ops.standing import standing
from mnemic.ops.summarise import central
from mnemic.systems.contract import BY, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.made import Vector
from mnemic.systems.parts import LINES, parts_of
from mnemic.systems.view import View
from mnemic.text.times import find_times
from mnemic.text.tokens import count_tokens, fit_tokens

NOTE, CHUNK = "note", "chunk"
ORDER = "order"  # in the data of a note or chunk with an instruction: what that is limited to
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
_LONGEST = 1000  # characters

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


class Scratchpad:
    """The notes, while more are made.

    system: whose they are. limit_tokens: to which they are compressed, at twice as many. percentile: of the distances of
    neighbouring lines, above which a chunk ends. Notes of the draft: "tokens", those of all lines; "version", how often they were
    compressed.
    """

    def __init__(self, system: str, view: View, draft: Draft, limit_tokens: int, percentile: float) -> None:
        self._system, self._view, self._draft = system, view, draft
        self._limit, self._percentile = limit_tokens, percentile

    def note(self, stated: Stated, closing: Episode, number: int, answer: NotesAnswer | None) -> None:
        """Note what a pair says, and write everything anew where that is too much.

        closing: the message that closed the pair. number: how many pairs there were. answer: a model's notes, if it was asked.
        """
        notes, first = notes_of(stated, answer), stated.pair[0]
        if not notes:
            return
        state = self._draft.state
        self._put_lines(
            NOTE,
            record_id(self._system, NOTE, first.id),
            [Line(text, "", sources, first.occurred_at) for text, sources in notes.items()],
            closing.recorded_at,
            {"number": number, BY: "offline" if answer is None else "llm"},
        )
        state["tokens"] = int(state.get("tokens", 0)) + count_tokens("\n".join(notes))
        if state["tokens"] > 2 * self._limit:
            self._compress(closing)

    def _put_lines(self, kind: str, id: str, lines: Sequence[Line], at: datetime, data: dict[str, object]) -> None:
        self._draft.put(
            Record(
                id=id,
                system=self._system,
                scope=self._view.scope,
                kind=kind,
                text="\n".join(one.text for one in lines),
                sources=tuple(dict.fromkeys(source for one in lines for source in one.sources)),
                recorded_at=at,
                valid_from=min(one.at for one in lines),
                data={**data, LINES: [list(one.sources) for one in lines], **_order_in(lines)},
            )
        )

    def _compress(self, closing: Episode) -> None:
        """Write the scratchpad anew, in its sections, and cut it into chunks."""
        state, limit = self._draft.state, self._limit
        old = sorted(self._draft.records([NOTE, CHUNK]), key=lambda one: (one.kind == NOTE, one.data["number"]))
        lines = [line for record in old for line in _lines_of(record)]
        told = self._told_anew(lines)
        path = "llm" if told else "offline"
        kept = _within(told or compressed(lines, limit), limit)
        for record in old:
            self._draft.retire(record.id, closing.recorded_at)
        version = state["version"] = int(state.get("version", 0)) + 1
        number = 0
        for section in SECTIONS:
            for chunk in self._chunks([one for one in kept if one.section == section]):
                data_of = {"number": (number := number + 1), "section": section, "version": version, BY: path}
                self._put_lines(
                    CHUNK, record_id(self._system, CHUNK, closing.id, str(number)), chunk, closing.recorded_at, data_of
                )
        state["tokens"] = sum(count_tokens(one.text) for one in kept)

    def _told_anew(self, lines: Sequence[Line]) -> list[Line]:
        """What a model makes of the lines; none where it gives none."""
        data = {
            "notes": Shown(
                [{"note": at, "text": one.text} for at, one in enumerate(lines)],
                tuple(dict.fromkeys(source for one in lines for source in one.sources)),
            ),
            "sections": Shown(list(SECTIONS)),
            "max_tokens": Shown(self._limit),
        }
        answer = self._view.ask("compress", Prompt(COMPRESS_TASK, data, max(2048, 2 * self._limit)), ItemsAnswer)
        return _checked(answer, lines) if answer is not None else []

    def _chunks(self, lines: Sequence[Line]) -> Iterator[list[Line]]:
        """Neighbouring lines that are about the same."""
        around = [" ".join(one.text for one in lines[max(at - 1, 0) : at + 2]) for at in range(len(lines))]
        ends = [*breakpoints(self._view.embed(around), self._percentile), len(lines)] if lines else []
        start = 0
        for end in ends:
            yield list(lines[start:end])
            start = end


# -- lines ----------------------------------------------------------------------------------------------------


class Stated:
    """A pair of messages, and by rule what each of them states."""

    def __init__(self, pair: Sequence[Episode]) -> None:
        self.pair = pair

    @cached_property
    def facts(self) -> list[list[str]]:
        """Of each message its statements, in the third person."""
        return [[fact.text for fact in facts_in(one, _whom(one, self.pair))] for one in self.pair]


def notes_of(stated: Stated, answer: NotesAnswer | None) -> dict[str, tuple[str, ...]]:
    """What is noted of a pair, one line each, and the messages behind it: of a model's note, all."""
    if answer is not None:
        both = tuple(one.id for one in stated.pair)
        return {in_one_line(one): both for one in answer.notes if says_something(one)}
    lines: dict[str, tuple[str, ...]] = {}
    for one, facts in zip(stated.pair, stated.facts, strict=True):
        said = standing(one.text, one.role)
        order = [] if said is None else [f"{said.kind.capitalize()}: {in_one_line(said.text)}"]
        for line in dict.fromkeys([*order, *map(in_one_line, facts)]):
            lines[line] = (*lines.get(line, ()), one.id)
    return lines


def _whom(one: Episode, pair: Sequence[Episode]) -> str | None:
    """Whom a message of a pair speaks to: the other speaker, if there is one."""
    return next((other.speaker for other in pair if other.speaker != one.speaker), None)


def says_something(text: str) -> bool:
    """Whether there is a letter or a number in it."""
    return any(map(str.isalnum, text))


def in_one_line(text: str) -> str:
    """The text without breaks, cut where it is very long."""
    return " ".join(text.split())[:_LONGEST]


def breakpoints(vectors: Vector, percentile: float) -> list[int]:
    """Where a chunk begins: behind a distance of neighbours above the percentile of all of them.

    >>> breakpoints(np.array([[1, 0], [1, 0], [1, 0], [0, 1], [0, 1]], np.float32), 80)
    [3]
    """
    if len(vectors) < 3:
        return []
    distances = np.array([1.0 - float(products(one[None], other)[0]) for one, other in pairwise(vectors)])
    return [int(at) + 1 for at in np.flatnonzero(distances > np.percentile(distances, percentile))]


def _lines_of(record: Record) -> Iterator[Line]:
    for text, behind in parts_of(record):
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
    newest = {content_hash(one.text): at for at, one in enumerate(lines)}
    unlike = [lines[at] for at in sorted(newest.values())]
    kept, left = set[int](), limit_tokens
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
        if not says_something(one.text):
            continue
        behind = [lines[at] for at in sorted(set(one.notes)) if 0 <= at < len(lines)] or lines
        sources = tuple(dict.fromkeys(source for line in behind for source in line.sources))
        section = one.section.strip().casefold()
        text = in_one_line(one.text)
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


def bearing_on(cue: Cue, view: View, vector: Vector | None, filter_tokens: int) -> list[Hit]:
    """The notes and chunks that bear on a question, the best first; a model looks through no more than so many tokens of them."""
    cosines = {one.id: max(score, 0.0) for one, score in view.made.scores(vector, kinds=[NOTE, CHUNK], as_of=cue.as_of)}
    orders = {id: view.made.records[id].data.get(ORDER) for id in cosines}
    ids = sorted(cosines, key=lambda id: (orders[id] is None, -cosines[id], id))
    records = list(_fitting([view.made.records[id] for id in ids], filter_tokens))
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


def _order_in(lines: Sequence[Line]) -> dict[str, str]:
    """What the first instruction among lines is limited to, "" for everything, under its name; empty where there is none."""
    for line in lines:
        tag, _, said = line.text.partition(":")
        if tag.casefold() == "instruction":
            found = standing(said.strip())
            return {ORDER: found.condition if found is not None else ""}
    return {}


def _fitting(records: Sequence[Record], tokens: int) -> Iterator[Record]:
    left = tokens
    for one in islice(records, 400):
        left -= count_tokens(one.text)
        if left < 0:
            return
        yield one
