"""MaLP: notes of a dialogue become keyed facts in short-term memory, and those that are used move to long-term memory.

The one idea, after the dual process of human memory: rehearsal learns notes from the dialogue (working memory) and sums them up
as key and value (short-term memory); execution keeps for good what was used so many times, and lets the rest go when short-term
memory is flushed. Facts are of two types: common sense, and specific to one user. Keys are looked up forgiving typing errors.

Source: arXiv 2309.11696 (DPeM) and its repository MatthewKKai/MaLP. Departs: an edit distance of 6 alone makes any two short keys
alike and no two long ones, so that the edits are also bounded by a share of the key. The tuned generator is not part of a
memory. See the card.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from mnemic.errors import ParameterError
from mnemic.model import Cue, Episode, Hit, Reason, Record
from mnemic.models.prompt import Asks, Prompt, Shown, turns
from mnemic.ops.edit_distance import levenshtein
from mnemic.ops.extract import facts_in
from mnemic.ops.keywords import keywords
from mnemic.ops.statements import statement_in
from mnemic.ops.update import relation
from mnemic.store.contract import Changes
from mnemic.systems.contract import BY, Card, MemorySystem, record_id
from mnemic.systems.draft import Draft
from mnemic.systems.feedback import Feedback, feedback_in
from mnemic.systems.units import closed_units, is_new_session, open_session_after, open_unit
from mnemic.systems.uses import best_first, note_use, uses_of
from mnemic.systems.view import View
from mnemic.text.terms import normalised, terms

ID = "malp"
SHORT, LONG = "short_term", "long_term"
COMMON, USER = "common", "user"
PREFERENCE = "dialogue preference"  # the key of how a user wants to be answered
_PREFERENCE_SHARE = 0.05  # the least score of such an entry: the generator is always given it
_CHUNK = 60  # turns that a model is shown at once
_LONGEST_KEY, _LONGEST_VALUE, _MOST_STATEMENTS = 60, 600, 8

LEARN = """
You take notes of a dialogue for a memory. "turns" holds what was said; each turn has a number, a time and a speaker. Write down
what is worth keeping, of two types: "common" is knowledge that holds for anybody, "user" is what belongs to one user alone: who
the user is, situation, history, symptoms, wishes. How a user wants to be answered (concisely, in detail, politely) is of type
"user" too. Each note is one sentence in the third person that can be understood alone.
Answer with {"notes": [{"text": …, "type": "common" or "user", "turns": [numbers of the turns it comes from]}]}.
"""
CONDENSE = """
"notes" holds notes of one dialogue, each with an id, a type and a text. Sum them up as facts by key: a key is one to four words
by which the fact will be looked for, a value is one short sentence. Notes of one thing become one fact; notes of different
types are never joined. The key for how a user wants to be answered is "dialogue preference".
Answer with {"facts": [{"key": …, "value": …, "type": "common" or "user", "notes": [ids of the notes it sums up]}]}.
"""


@dataclass(frozen=True, slots=True)
class Params:
    """When entries are promoted, flushed, and found by their keys."""

    promote_at: int = 3  # uses after which an entry is in long-term memory; not given in the paper
    flush_every: int = 50  # sessions after which short-term memory is flushed; 0 for never; not given in the paper
    most_edits: int = 6  # between a cue's words and a key, as in the code
    most_share: float = 0.25  # of the longer of the two that the edits may be; 1.0 for the code's bound alone
    gap_minutes: int = 30  # a silence after which a dialogue is over

    def __post_init__(self) -> None:
        if self.promote_at < 1 or self.flush_every < 0 or self.gap_minutes < 1:
            raise ParameterError(
                f"{self.promote_at=}, {self.flush_every=}, {self.gap_minutes=}: give uses and minutes from 1, sessions from 0."
            )
        if self.most_edits < 0 or not 0.0 <= self.most_share <= 1.0:
            raise ParameterError(f"{self.most_edits=}, {self.most_share=}: give edits from 0, and a share from 0 to 1.")


@dataclass(frozen=True, slots=True)
class NoteAnswer:
    """One note, as a model gives it."""

    text: str = ""
    type: str = USER
    turns: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class NotesAnswer:
    """What a model answers to LEARN."""

    notes: list[NoteAnswer] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class KeyedAnswer:
    """One fact, as a model gives it."""

    key: str = ""
    value: str = ""
    type: str = ""
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FactsAnswer:
    """What a model answers to CONDENSE."""

    facts: list[KeyedAnswer] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Note:
    """Something learnt from a dialogue, in working memory until it is summed up."""

    text: str
    user: str  # whose it is; "" for common sense
    sources: tuple[str, ...]
    by: str = "offline"

    @property
    def type(self) -> str:
        """COMMON or USER."""
        return USER if self.user else COMMON


@dataclass(frozen=True, slots=True)
class Keyed:
    """A fact by its key."""

    key: str
    value: str
    user: str
    sources: tuple[str, ...]
    by: str = "offline"


class Malp(MemorySystem):
    """Working, short-term and long-term memory with fuzzy keys."""

    card = Card(
        id=ID,
        title="MaLP",
        year=2023,
        family="conversation",
        summary="Dialogues are noted down and summed up by key; entries that are used move from short-term to long-term memory.",
        source="Memory-Augmented LLM Personalization with Short- and Long-Term Memory Coordination, arXiv 2309.11696",
        needs=("embedder", "llm"),
        makes=(SHORT, LONG),
        cost="Two calls for each dialogue (session) when it is over: notes, of each 60 turns, and the facts that sum them up.",
        flow=(
            "E[episodes] --> W[working memory: the dialogue]\nW -->|learning| N[notes: common sense, user]\n"
            "N -->|summarising| S[short-term: key and value]\nF[feedback: used] -->|the n-th| M{memorising}\nS --> M\n"
            "M --> L[long-term: for good]\nS -->|flush| X[out of recall, kept in the log]\nS --> Q[recall by key, else meaning]\n"
            "L --> Q\nW --> Q"
        ),
        departures=(
            "Edits between a cue and a key are bounded by a number (6, as in the code) and by a share of the longer of the two: "
            "6 edits alone make any two keys of six letters alike.",
            "The number of uses that promotes an entry and the time of a flush were not found: 3 uses, every 50 sessions; the "
            "session whose end flushes keeps its own entries.",
            "Recall writes nothing: a use is feedback that an entry was used or helpful.",
            "The cue is looked up whole and by its foremost words and phrases; what no key finds is found by meaning.",
            "Working memory is the dialogue itself, recalled as it was said until the dialogue is over; `consolidate` sums up "
            "what there is of it provisionally.",
            "A key that is there already keeps what it holds unless the new value contradicts or refines it.",
            "The generator tuned with LoRA is not part of the memory. A dialogue preference is among the hits of any cue.",
            "A user of the paper is a scope here, which nothing leaves. Where several people speak in one scope, each has their "
            "own entries, and those of all are recalled unless a filter names a speaker.",
            "An entry's sources are the turns that the model names for its notes, of all that it was shown of the dialogue.",
            "Without a model, what users state is specific to them and what an assistant states is common sense; keys are "
            "foremost words.",
        ),
    )
    params_type = Params

    def __init__(self, params: Params | None = None) -> None:
        self.params: Params = params or Params()

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        draft = view.draft()
        _drop_provisional(draft)
        happened: list[tuple[int, list[Episode] | Feedback, Episode]] = []
        for unit, closer in closed_units(view, draft, episodes, is_new_session(self._gap)):
            happened.append((closer.seq, unit, closer))
        for episode in episodes:
            if (said := feedback_in(episode)) is not None:
                happened.append((episode.seq, said, episode))
        for _, what, episode in sorted(happened, key=lambda one: one[0]):
            if isinstance(what, Feedback):
                note_use(draft, episode, ID)
                self._memorise(draft, what, episode)
            else:
                self._close(draft, view, what, episode.recorded_at)
        return draft.changes()

    def consolidate(self, view: View) -> Changes:
        """Sum up the dialogue that is not over yet, until it goes on."""
        draft = view.draft()
        _drop_provisional(draft)
        if unit := open_unit(view, draft):
            put: dict[str, None] = {}
            for fact in learnt(unit, view.ask):
                record, _before = _entry(draft, view.scope, fact, unit[-1], unit[-1].recorded_at)
                if record is not None:
                    draft.put(replace(record, data={**record.data, "provisional": True}))
                    put[record.id] = None
            draft.state["provisional"] = list(put)
        return draft.changes()

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        made, vector = view.made, view.query_vector(cue)
        current = [
            one
            for one in made.current((SHORT, LONG), cue.as_of)
            if cue.as_of is None or not one.data.get("provisional")
        ]
        replaced = {one.data.get("previous") for one in current if one.data.get("provisional")}
        current = [one for one in current if one.id not in replaced]
        if vector is not None:
            near = {one.id: score for one, score in made.scores(vector, kinds=(SHORT, LONG), as_of=cue.as_of)}
        else:
            near = made.words(terms(cue.text), kinds=(SHORT, LONG), as_of=cue.as_of)
        by_key = keys_found(cue.text, [one.data["key"] for one in current], self.params)
        reasons: dict[str, Reason] = {}
        for one in current:
            similarity = min(max(float(near.get(one.id, 0.0)), 0.0), 1.0)
            reason = Reason("meaning" if vector is not None else "words", similarity, 1.0, one.kind.replace("_", "-"))
            if (found := by_key.get(one.data["key"])) is not None and found[0] >= similarity:
                reason = Reason(
                    "key", found[0], 1.0, f"“{one.data['key']}”, {found[1]} edits, {one.kind.replace('_', '-')}"
                )
            elif one.data["key"] == PREFERENCE and similarity < _PREFERENCE_SHARE:
                reason = Reason("preference", 1.0, _PREFERENCE_SHARE, "how to answer")
            reasons[one.id] = reason
        ranked = sorted(
            ((one, reasons[one.id].contribution) for one in current), key=lambda pair: (-pair[1], pair[0].id)
        )
        hits = view.record_hits(ranked, cue, lambda record, score: (reasons[record.id],))
        working = view.tail_hits(cue, open_session_after(view, cue, self._gap))
        return best_first([*hits, *working], cue)

    # -- inside -------------------------------------------------------------------------------------------

    @property
    def _gap(self) -> timedelta:
        return timedelta(minutes=self.params.gap_minutes)

    def _close(self, draft: Draft, view: View, unit: Sequence[Episode], at: datetime) -> None:
        """A dialogue is over: flush what is due, and sum it up in short-term memory."""
        draft.state["sessions"] = draft.state.get("sessions", 0) + 1
        if self.params.flush_every and draft.state["sessions"] % self.params.flush_every == 0:
            for entry in draft.records((SHORT,)):
                draft.retire(entry.id, at)
        for fact in learnt(unit, view.ask):
            record, old = _entry(draft, view.scope, fact, unit[-1], at)
            if record is None:
                continue
            if old is not None and old.retired_at is None:
                draft.retire(old.id, at)
            draft.put(record)

    def _memorise(self, draft: Draft, said: Feedback, episode: Episode) -> None:
        """Move the entries that were used often enough to long-term memory."""
        for id in said.ids:
            named = draft.get(id)
            if named is None or named.kind not in (SHORT, LONG):
                continue
            data = named.data
            number, entry = _newest(draft, data["user"], data["key"])
            if entry is None or entry.kind != SHORT or entry.retired_at is not None:
                continue
            ids = [entry_id(data["user"], data["key"], at) for at in range(entry.data["since"], number)]
            served = [use for use in uses_of(draft, ids) if use.is_recall]
            if len(served) < self.params.promote_at:
                continue
            vector = draft.vector(entry.id)
            draft.retire(entry.id, episode.recorded_at)
            moved = replace(
                entry,
                id=entry_id(data["user"], data["key"], number),
                kind=LONG,
                sources=tuple(dict.fromkeys([*entry.sources, *(use.source for use in served)])),
                recorded_at=episode.recorded_at,
                data={**entry.data, "number": number, "previous": entry.id},
            )
            draft.put(moved, vector=vector)


# -- entries --------------------------------------------------------------------------------------------------


def entry_id(user: str, key: str, number: int) -> str:
    """The id of a version of the entry of a key, of one user or, "", of nobody."""
    return record_id(ID, "entry", user, key, str(number))


def _entry(draft: Draft, scope: str, fact: Keyed, last: Episode, at: datetime) -> tuple[Record | None, Record | None]:
    """(the version of an entry that a fact makes, or None where it says nothing new; the version before it)."""
    number, current = _newest(draft, fact.user, fact.key)
    if current is not None and current.data.get("provisional"):  # of the same dialogue, a moment ago
        number = current.data["number"]
    elif current is not None and current.retired_at is not None:
        current = None
    before: list[str] = current.data["statements"] if current is not None else []
    stated = merged(before, fact.value)
    if current is not None and stated == before:
        return None, current
    previous = (
        current.data.get("previous")
        if current is not None and number == current.data["number"]
        else current and current.id
    )
    data: dict[str, Any] = {
        BY: fact.by,
        "key": fact.key,
        "type": USER if fact.user else COMMON,
        "user": fact.user,
        "statements": stated,
        "number": number,
        "since": current.data["since"] if current is not None else number,
    }
    if previous:
        data["previous"] = previous
    record = Record(
        id=entry_id(fact.user, fact.key, number),
        system=ID,
        scope=scope,
        kind=current.kind if current is not None else SHORT,
        text=f"{fact.key}: {' '.join(stated)}",
        sources=tuple(dict.fromkeys([*(current.sources if current is not None else ()), *fact.sources])),
        recorded_at=at,
        valid_from=last.occurred_at,
        data=data,
    )
    return record, current


def merged(before: Sequence[str], value: str) -> list[str]:
    """The statements of an entry with a new value: it takes the place of what it contradicts or refines.

    >>> merged(["Ann lives in Rome."], "Ann moved to Porto."), merged(["Ann has a dog."], "Ann has a dog.")
    (['Ann moved to Porto.'], ['Ann has a dog.'])
    """
    relations = [relation(old, value) for old in before]
    if "same" in relations:
        return list(before)
    kept = [old for old, told in zip(before, relations, strict=True) if told == "unrelated"]
    return [*kept, value][-_MOST_STATEMENTS:]


def _newest(draft: Draft, user: str, key: str) -> tuple[int, Record | None]:
    """(the number of the next version, the last one)."""
    number, last = 0, None
    while (one := draft.get(entry_id(user, key, number))) is not None:
        number, last = number + 1, one
    return number, last


def _drop_provisional(draft: Draft) -> None:
    for id in draft.state.pop("provisional", []):
        draft.drop(id)


# -- recall by key --------------------------------------------------------------------------------------------


def keys_found(text: str, keys: Iterable[str], params: Params) -> dict[str, tuple[float, int]]:
    """The keys that the text, or a word or phrase of it, is near enough to, with (likeness from 0 to 1, edits)."""
    whole = key_form(text.rstrip("?!. "))
    asked = dict.fromkeys([whole, *(key_form(one) for one in keywords([text], 6)), *map(key_form, _WORD.findall(text))])
    spans = [one for one in asked if len(one) > 2]
    found: dict[str, tuple[float, int]] = {}
    for key in dict.fromkeys(keys):
        for span in spans:
            longer = max(len(key), len(span))
            most = min(params.most_edits, int(params.most_share * longer + 1e-9))
            if abs(len(key) - len(span)) <= most and (edits := levenshtein(span, key, most)) <= most:
                likeness = 1.0 - edits / longer
                if key not in found or likeness > found[key][0]:
                    found[key] = likeness, edits
    return found


_WORD = re.compile(r"[^\W\d_]{4,}")


def key_form(text: str) -> str:
    """A key as it is compared: without case and needless blanks."""
    return " ".join(text.casefold().split())[:_LONGEST_KEY].strip()


# -- rehearsal ------------------------------------------------------------------------------------------------


def learnt(unit: Sequence[Episode], ask: Asks) -> list[Keyed]:
    """The facts of a dialogue by key: its notes, summed up."""
    return condensed(notes_of(unit, ask), unit, ask)


def notes_of(unit: Sequence[Episode], ask: Asks) -> list[Note]:
    """What a dialogue teaches. Without a model: what users state of themselves, and what an assistant states of the world."""
    parts = [unit[start : start + _CHUNK] for start in range(0, len(unit), _CHUNK)]
    answers = ask.many("learn", [Prompt(LEARN, {"turns": turns(part)}) for part in parts], NotesAnswer)
    found: list[Note] = []
    for part, answer in zip(parts, answers, strict=True):
        if answer is None:
            found += [note for one in part for note in _noted(one)]
            continue
        for given in answer.notes:
            text = " ".join(given.text.split())[:_LONGEST_VALUE]
            numbers = sorted({number for number in given.turns if 1 <= number <= len(part)})
            if not any(map(str.isalnum, text)) or (given.turns and not numbers):
                continue
            behind = [part[number - 1] for number in numbers] or list(part)
            user = "" if given.type.strip().casefold().startswith(COMMON) else _user_of(behind, part)
            found.append(Note(text, user, tuple(one.id for one in behind), "llm"))
    return found


def condensed(notes: Sequence[Note], unit: Sequence[Episode], ask: Asks) -> list[Keyed]:
    """Notes of a dialogue as facts by key. Without a model each note is a fact, under its foremost words."""
    if not notes:
        return []
    listed = [{"id": str(at), "type": note.type, "text": note.text} for at, note in enumerate(notes)]
    shown = Shown(listed, tuple(one.id for one in unit))  # a note may tell more than the turns that it names
    answer = ask("condense", Prompt(CONDENSE, {"notes": shown}), FactsAnswer) if _is_by_model(notes) else None
    if answer is None:
        return [Keyed(key, note.text, note.user, note.sources, note.by) for note in notes if (key := _key_of(note))]
    found: list[Keyed] = []
    for given in answer.facts:
        key, value = key_form(given.key), " ".join(given.value.split())[:_LONGEST_VALUE]
        behind = [notes[int(one)] for one in dict.fromkeys(given.notes) if one.isdecimal() and int(one) < len(notes)]
        if not key or not any(map(str.isalnum, value)) or not behind:
            continue
        users = {note.user for note in behind}
        if len(users) > 1:  # notes of several people, or types, are never joined
            continue
        sources = tuple(dict.fromkeys(id for note in behind for id in note.sources))
        found.append(Keyed(key, value, behind[0].user, sources, "llm"))
    return found


def _is_by_model(notes: Sequence[Note]) -> bool:
    return any(note.by == "llm" for note in notes)


def _noted(episode: Episode) -> list[Note]:
    user = "" if episode.role == "assistant" else episode.speaker
    facts = [fact.text for fact in facts_in(episode)]
    found = [Note(text, user, (episode.id,)) for text in facts if not (user and _WANTS.search(text))]
    if user and (told := _WANTS.search(episode.text)):
        found.append(Note(f"{user} prefers {told[1].lower()} answers.", user, (episode.id,)))
    return found


def _key_of(note: Note) -> str:
    if _IS_PREFERENCE.search(note.text):
        return PREFERENCE
    stated = statement_in(note.text)
    if stated is not None and stated.is_pair:
        return key_form(stated.subject)
    foremost = keywords([note.text], 1, [note.user] if note.user else [])
    return key_form(foremost[0] if foremost else normalised(note.text))


_WANTS = re.compile(
    r"\b(?:prefer|like|want|need|give|keep|please|be)\b[^.!?\n]{0,40}?\b(concise|brief|short|detailed|polite|simple|thorough)\b"
    r"[^.!?\n]{0,30}?\b(?:answers?|responses?|repl(?:y|ies)|descriptions?|explanations?)\b",
    re.IGNORECASE,
)
_IS_PREFERENCE = re.compile(
    r"\bprefers? (?:\w+ )?(?:concise|brief|short|detailed|polite|simple|thorough) (?:answers?|responses?|repl|descriptions?)",
    re.IGNORECASE,
)


def _user_of(behind: Sequence[Episode], part: Sequence[Episode]) -> str:
    """Whose a note is: the first user behind it, or of the dialogue."""
    return next((one.speaker for one in (*behind, *part) if one.role != "assistant"), behind[0].speaker)
