"""Portraits: what a day, and all days, tell of a user's personality, mood, and how to answer. For MemoryBank.

The one idea: beside what happened stands who it happened to. A model reads it from what was said; without one it is what users
say of what they like, feel and want, and their foremost topics.

Card: memorybank. Source: MemoryBank, arXiv 2305.10250: its personality summaries. Departs: without a model no mood is named.
"""
# ruff: noqa: SIM905 - word lists are read and edited as text

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mnemic.model import Episode, Record
from mnemic.models.prompt import Asks, Prompt, Shown, turns
from mnemic.ops.extract import facts_in
from mnemic.ops.keywords import keywords
from mnemic.ops.summarise import Piece, Said, Summary, summarise
from mnemic.systems.view import NoModel
from mnemic.text.terms import terms

_CHUNK = 80  # turns that a model is shown at once
_LONGEST = 1200  # characters of a portrait

PORTRAIT_TASK = """
"turns" holds what a user and a companion said on one day; "previous", where it is there, what was noted of the user earlier that
day. Say what the user's personality seems to be, in what mood the user was that day, and how a companion should answer: from
what is said alone, careful with what is only guessed, in the third person.
Answer with {"personality": …, "mood": …, "strategy": …}, each one or two sentences, "" where nothing can be told.
"""
GLOBAL_PORTRAIT_TASK = """
"portraits" holds notes on a user from single days, oldest first; "previous", where it is there, what was noted of all days
before. Say what the user's personality is on the whole, how the mood developed, and how a companion should answer.
Answer with {"personality": …, "mood": …, "strategy": …}, each one or two sentences, "" where nothing can be told.
"""


@dataclass(frozen=True, slots=True)
class PortraitAnswer:
    """What a model answers to PORTRAIT_TASK and GLOBAL_PORTRAIT_TASK."""

    personality: str = ""
    mood: str = ""
    strategy: str = ""


def day_portrait(unit: Sequence[Episode], ask: Asks, previous: Summary | None) -> Summary:
    """The portrait of the users of one day; previous: what was noted earlier that day."""
    for start in range(0, len(unit), _CHUNK):
        part = unit[start : start + _CHUNK]
        data = {} if previous is None else {"previous": Shown(previous.text, previous.sources)}
        answer = ask("portrait", Prompt(PORTRAIT_TASK, {**data, "turns": turns(part)}), PortraitAnswer)
        sources = tuple(dict.fromkeys([*(previous.sources if previous else ()), *(one.id for one in part)]))
        if answer is not None:
            previous = Summary(portrait_text(answer) or (previous.text if previous else ""), sources, "llm")
        else:
            before = [Piece(previous.text, previous.sources)] if previous and previous.text else []
            previous = Summary(portrait_by_rule(part, before), sources)
    return previous or Summary("")


def global_portrait(pieces: Sequence[Record], ask: Asks, previous: Summary | None) -> Summary:
    """The portrait of all days, of those of single ones; previous: of the days before them."""
    sources = tuple(
        dict.fromkeys([*(previous.sources if previous else ()), *(id for one in pieces for id in one.sources)])
    )
    notes = [{"date": one.data["date"], "portrait": one.text} for one in pieces]
    data = {} if previous is None else {"previous": Shown(previous.text, previous.sources)}
    shown = Shown(notes, tuple(dict.fromkeys(id for one in pieces for id in one.sources)))
    answer = ask("global portrait", Prompt(GLOBAL_PORTRAIT_TASK, {**data, "portraits": shown}), PortraitAnswer)
    if answer is not None and portrait_text(answer):
        return Summary(portrait_text(answer), sources, "llm")
    joined = summarise(pieces, NoModel(), max_words=_PORTRAIT_WORDS, previous=previous)
    return Summary(joined.text, sources)


def portrait_text(answer: PortraitAnswer) -> str:
    """A portrait in one paragraph; "" for an empty one."""
    named = (("Personality", answer.personality), ("Mood", answer.mood), ("How to answer", answer.strategy))
    return " ".join(f"{name}: {' '.join(text.split())[: _LONGEST // 3]}" for name, text in named if text.strip())


def portrait_by_rule(unit: Sequence[Episode], before: Sequence[Piece] = ()) -> str:
    """What the users say of what they like, feel and want, shortened, or their foremost topics; "" where they say nothing."""
    users = [one for one in unit if one.role != "assistant"]
    said = [fact for one in users for fact in facts_in(one)]
    telling = [fact for fact in said if _TELLING & {*terms(fact.text)}]
    topics = keywords([one.text for one in users], 4, sorted({one.speaker for one in users}))
    about = f"Speaks of: {', '.join(topics)}." if topics else ""
    if not telling and not before:
        return about
    stated: list[Said] = [*before, *telling]
    shortened = summarise(stated, NoModel(), max_words=_PORTRAIT_WORDS - 12).text
    return " ".join(part for part in (shortened, "" if before else about) if part)


_PORTRAIT_WORDS = 80
_TELLING = frozenset(
    term
    for word in (
        "like love enjoy prefer hate dislike favourite favorite feel felt feeling happy sad angry tired worried afraid excited "
        "nervous proud lonely stressed anxious want wish hope plan dream believe interested passionate fan hobby usually always"
    ).split()
    for term in terms(word)
)
