"""Rehearsal: what a dialogue teaches, first as notes, then summed up as facts by key. The first half of MaLP's dual process.

A note is of common sense, or belongs to one user; notes of several users are never joined. Without a model, notes are what users
state of themselves and what an assistant states of the world, and each is a fact under its foremost words.

Card: malp. Source: DPeM, arXiv 2309.11696: its learning and its summarising.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from mnemic.model import Episode
from mnemic.models.prompt import Asks, Prompt, Shown, turns
from mnemic.ops.extract import facts_in
from mnemic.ops.keywords import keywords
from mnemic.ops.statements import statement_in
from mnemic.text.terms import normalised

COMMON, USER = "common", "user"
PREFERENCE = "dialogue preference"  # the key of how a user wants to be answered
_CHUNK = 60  # turns that a model is shown at once
_LONGEST_KEY, _LONGEST_VALUE = 60, 600

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


def key_form(text: str) -> str:
    """A key as it is compared: without case and needless blanks."""
    return " ".join(text.casefold().split())[:_LONGEST_KEY].strip()


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
