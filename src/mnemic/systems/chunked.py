"""Work in chunks of a conversation: for systems that make units of each once it is whole.

The one idea: a chunk is as much of a session as fits in so many tokens, so it closes when what follows is of another session,
or does not fit any more. What is in a chunk that may still go on is provisional: `consolidate` makes units of it as it stands,
the next observation takes them back. A recall as of an earlier time shows what was open then as it was said.

`state`: "done", the last episode of the last whole chunk; "chunks", for each its last episode and when its end was known;
"open", the ids of what is provisional and the last episode in it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mnemic.clock import to_microseconds
from mnemic.errors import ParameterError
from mnemic.model import Cue, Episode, Hit, Reason, Record
from mnemic.ops.segment import GAP, sessions_in
from mnemic.store.contract import Changes
from mnemic.systems.contract import record_id
from mnemic.systems.draft import Draft
from mnemic.systems.feedback import heard
from mnemic.systems.made import Vector
from mnemic.systems.parts import LENGTHS
from mnemic.systems.view import View
from mnemic.text.sentences import sentences
from mnemic.text.terms import terms
from mnemic.text.tokens import count_tokens

CHUNK = "chunk"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a conversation, and how its units are recorded."""

    turns: tuple[Episode, ...]  # of an episode that is longer than a chunk, a part of its text
    id: str
    known_at: datetime  # when it was known to be whole; of an open one, when its last episode came
    is_open: bool = False

    @property
    def text(self) -> str:
        """What was said, a line for each turn."""
        return "\n".join(f"{one.speaker}: {one.text}" for one in self.turns)

    @property
    def sources(self) -> tuple[str, ...]:
        """The ids of its episodes."""
        return tuple(dict.fromkeys(one.id for one in self.turns))

    def unit(self, system: str, kind: str, text: str, sources: Sequence[str], by: str, **data: object) -> Record:
        """A unit made of it; equal texts of one kind in a chunk are one unit."""
        marks: dict[str, object] = {"provisional": True} if self.is_open else {}
        if kind == CHUNK and len(self.turns) == len(self.sources):
            marks[LENGTHS] = [len(f"{one.speaker}: {one.text}") for one in self.turns]
        return Record(
            id=self.id if kind == CHUNK else record_id(system, kind, self.id, text),
            system=system,
            scope=self.turns[0].scope,
            kind=kind,
            text=text,
            sources=tuple(dict.fromkeys(sources)),
            recorded_at=self.known_at,
            valid_from=max(one.occurred_at for one in self.turns if one.id in sources),
            data={"chunk": self.id, "by": by, **data, **marks},
        )


def put_once(draft: Draft, unit: Record) -> Record:
    """Put a unit; what a chunk says already, in another turn, keeps the episodes of both."""
    if (there := draft.get(unit.id)) is not None:
        known = [one for one in (there.valid_from, unit.valid_from) if one is not None]
        sources = tuple(dict.fromkeys((*there.sources, *unit.sources)))
        unit = replace(unit, sources=sources, valid_from=max(known))
    return draft.put(unit)


def follow(
    view: View,
    system: str,
    most_tokens: int,
    make: Callable[[Chunk, Draft], Iterable[Record]],
    *,
    and_the_open_one: bool = False,
) -> Changes:
    """What follows from the episodes that were not worked in yet.

    make: puts the units of a chunk into the draft, and returns them. and_the_open_one: for now, also of the chunk that may
    still go on.
    """
    draft = view.draft()
    state = draft.state
    for id in state.pop("open", {}).get("ids", ()):
        draft.drop(id)
    closed, tail = cut(heard(view.since(int(state.get("done", 0)))), most_tokens)
    ended = state.setdefault("chunks", [])
    for unit, following in zip(closed, [*closed[1:], tail], strict=False):
        known_at = max(one.recorded_at for one in (*unit, following[0]))  # an import need not come in order
        for chunk in _chunks_of(unit, system, most_tokens, known_at, is_open=False):
            list(make(chunk, draft))
        ended.append([unit[-1].seq, to_microseconds(known_at)])
        state["done"] = unit[-1].seq
    if tail and and_the_open_one:
        chunks = _chunks_of(tail, system, most_tokens, tail[-1].recorded_at, is_open=True)
        ids = [record.id for chunk in chunks for record in make(chunk, draft)]
        state["open"] = {"ids": list(dict.fromkeys(ids)), "seq": tail[-1].seq}
    return draft.changes()


def cut(
    episodes: Sequence[Episode], most_tokens: int, gap: timedelta = GAP
) -> tuple[list[list[Episode]], list[Episode]]:
    """(whole units, the open one): sessions, cut where the next episode does not fit; an episode too long stands alone.

    There is an open one wherever there are episodes: a unit is whole only when something follows.
    """
    if most_tokens < 1:
        raise ParameterError(f"A chunk was to have {most_tokens} tokens. Give 1 or more.")
    sessions, last = sessions_in(episodes, gap=gap)
    units: list[list[Episode]] = []
    for session in [*sessions, last] if last else sessions:
        used = 0
        for at, one in enumerate(session):
            tokens = count_tokens(one.text)
            if at == 0 or used + tokens > most_tokens:
                units.append([])
                used = 0
            units[-1].append(one)
            used += tokens
    return units[:-1], units[-1] if units else []


def pieces(text: str, most_tokens: int) -> list[str]:
    """A text in parts of whole sentences that fit; a sentence that does not is cut between words.

    >>> pieces("One two three. Four five. Six.", 5)
    ['One two three.', 'Four five. Six.']
    """
    parts: list[str] = []
    used = 0
    for sentence in sentences(text):
        for bit in _bits(sentence, most_tokens):
            tokens = count_tokens(bit)
            if parts and used + tokens <= most_tokens:
                parts[-1] += f" {bit}"
                used += tokens
            else:
                parts.append(bit)
                used = tokens
    return parts


def _bits(sentence: str, most_tokens: int) -> list[str]:
    if count_tokens(sentence) <= most_tokens:
        return [sentence]
    found: list[str] = []
    used = 0
    for word in sentence.split():
        tokens = count_tokens(word) + 1
        if found and used + tokens <= most_tokens:
            found[-1] += f" {word}"
            used += tokens
        else:
            found.append(word)
            used = tokens
    return found


def _chunks_of(
    unit: Sequence[Episode], system: str, most_tokens: int, known_at: datetime, *, is_open: bool
) -> list[Chunk]:
    if len(unit) > 1 or count_tokens(unit[0].text) <= most_tokens:
        return [Chunk(tuple(unit), record_id(system, CHUNK, unit[0].id), known_at, is_open)]
    parts = [replace(unit[0], text=part) for part in pieces(unit[0].text, most_tokens)]
    ids = [record_id(system, CHUNK, unit[0].id, str(at)) for at in range(len(parts))]
    return [Chunk((part,), id, known_at, is_open) for part, id in zip(parts, ids, strict=True)]


# -- reading --------------------------------------------------------------------------------------------------


class Standing:
    """What of the chunks a recall may use, and from where on it takes the episodes themselves.

    chunks: the note of them; of each its last two entries are its last episode and when its end was known.
    """

    def __init__(self, cue: Cue, view: View, chunks: str = "chunks") -> None:
        self.cue, self._view, state = cue, view, view.made.state
        as_of = None if cue.as_of is None else to_microseconds(cue.as_of)
        ended = [one for one in state.get(chunks, ()) if as_of is None or one[-1] <= as_of]
        self.after = int(ended[-1][-2]) if ended else 0  # the last episode that stands in units
        is_open = state.get("open")
        self.hidden: frozenset[str] = frozenset(is_open["ids"]) if is_open else frozenset()
        if is_open and as_of is None:
            self.after, self.hidden = int(is_open["seq"]), frozenset()

    def nearest(self, vector: Vector, n: int, kinds: Collection[str]) -> list[tuple[Record, float]]:
        """The n units nearest to a vector that the cue may be answered with, and their cosines, which are above 0."""
        made, k = self._view.made, n
        while True:
            found = made.nearest(vector, k, kinds=kinds, as_of=self.cue.as_of, but=self.hidden)
            seen = self._view.sees([record for record, _ in found], self.cue)
            pairs = zip(found, seen, strict=True)
            kept = [(record, min(cosine, 1.0)) for (record, cosine), is_seen in pairs if is_seen and cosine > 0.0]
            if len(kept) >= n or len(found) < k or found[-1][1] <= 0.0:
                return kept[:n]
            k *= 4

    def by_meaning(self, vector: Vector, n: int, kinds: Collection[str], note: str = "") -> list[Hit]:
        """The n units nearest to a vector, as hits."""
        return [
            Hit(score=cosine, record=record, reasons=(Reason("meaning", cosine, 1.0, note),))
            for record, cosine in self.nearest(vector, n, kinds)
        ]

    def by_words(self, n: int, kinds: Collection[str], text: str | None = None, note: str = "") -> list[Hit]:
        """The n units with the words of the cue (or of another text), as hits."""
        made, cue = self._view.made, self.cue
        words = made.words(terms(cue.text if text is None else text), kinds=kinds, as_of=cue.as_of)
        ids = sorted(words.keys() - self.hidden, key=lambda id: (-words[id], id))
        ranked = ((made.records[id], words[id]) for id in ids)
        any_score = replace(cue, limit=n, threshold=0.0)
        return self._view.record_hits(ranked, any_score, lambda _, score: (Reason("words", score, 1.0, note),))

    def tail(self, n: int, text: str | None = None) -> list[Hit]:
        """What was said since, nearest to the cue (or to another text) first."""
        cue = replace(self.cue, limit=n, threshold=0.0, text=self.cue.text if text is None else text)
        return self._view.tail_hits(cue, after=self.after)
