"""The three agents of MARK: what each takes out of a conversation, as a model reads it or by rule.

The one idea: an agent is a task over the turns of a conversation; what it gives is checked against them, so that every memory
names turns that it comes from, and what comes from the assistant's turns alone is one of answers, whichever agent gave it.
Without a model: statements, told apart by their form, and the explanations of abbreviations. See `mark`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from mnemic.model import Episode, Record
from mnemic.models.prompt import Prompt, numbered, turns
from mnemic.ops.extract import LONGEST_FACT, facts_in
from mnemic.ops.summarise import central

RESIDUAL, QUESTION, RESPONSE = "residual", "user_question", "llm_response"
TYPES = (RESIDUAL, QUESTION, RESPONSE)

_FRAME = """
"turns" holds a conversation; each turn has a number, a time, a speaker and a text. "memories" holds what is remembered of this
kind already, so that you need not say it again. %s
Each memory is one sentence that can be understood alone, with names, numbers and dates as they were given. Conclude nothing, and
give none where there is nothing. "turns" of a memory are the numbers of the turns that it comes from; "term" is the abbreviation
or term that it explains, "" for none.
Answer with {"memories": [{"text": the sentence, "turns": [numbers], "term": text}]}.
"""
TASKS = {
    RESIDUAL: _FRAME
    % "Write down insights about the field that hold beyond this conversation: rules, causes, how things are done.",
    QUESTION: _FRAME
    % "Write down what the user stated: facts, needs, corrections, and what terms and abbreviations mean to them.",
    RESPONSE: _FRAME % "Write down the key elements of the assistant's answers, on which a later answer could build.",
}


@dataclass(frozen=True, slots=True)
class MemoryAnswer:
    """A memory, as an agent gives it."""

    text: str = ""
    turns: list[int] = field(default_factory=list)
    term: str = ""


@dataclass(frozen=True, slots=True)
class MemoriesAnswer:
    """What an agent answers."""

    memories: list[MemoryAnswer] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Refined:
    """A memory before it is compared with others."""

    kind: str
    text: str
    said: tuple[Episode, ...]  # the turns that it comes from
    path: str
    term: str = ""


def prompt_of(kind: str, piece: Sequence[Episode], known: Sequence[Record]) -> Prompt:
    """What the agent of a type is asked, beside the memories of its type that are known already."""
    return Prompt(TASKS[kind], {"turns": turns(piece), "memories": numbered(known)})


def checked(kind: str, answer: MemoriesAnswer, piece: Sequence[Episode]) -> Iterator[Refined]:
    """The memories that say something; one of an answer that names no turn of it has no source, and is none."""
    for one in answer.memories:
        text = " ".join(one.text.split())[:LONGEST_FACT]
        numbers = sorted({number for number in one.turns if 1 <= number <= len(piece)})
        said = tuple(piece[number - 1] for number in numbers)
        if not any(map(str.isalnum, text)) or not said:
            continue
        of = RESPONSE if all(turn.role == "assistant" for turn in said) else kind
        if of == RESPONSE and not any(turn.role == "assistant" for turn in said):
            of = QUESTION
        yield Refined(of, text, said, "llm", " ".join(one.term.split())[:80] if of == QUESTION else "")


# -- without a model ------------------------------------------------------------------------------------------

_GENERAL = re.compile(
    r"\b(?:always|never|usually|generally|typically|must|should|requires?|needs? to|causes?|leads? to|depends? on|tends? to|"
    r"because|whenever|every)\b",
    re.IGNORECASE,
)
_PERSONAL = re.compile(r"\b(?:I|I'\w+|me|my|mine|we|us|our|you|your|the user)\b", re.IGNORECASE)
_TERM = r"(?P<term>[A-Z][A-Za-z0-9&/.-]{0,11}[A-Z0-9])"
_MEANS = re.compile(
    rf"\b(?:by\s+)?[\"'“]?{_TERM}[\"'”]?,?\s+(?:stands for|means|is short for|"
    r"is (?:an )?(?:abbreviation|acronym) (?:of|for)|I mean)\s+[\"'“]?(?P<meaning>[^.;!?\"”]{2,120})"
)
_BEHIND = re.compile(rf"(?P<meaning>(?:[\w'-]+\s+){{1,7}}[\w'-]+)\s+\((?:or\s+|the\s+)?{_TERM}\)")
_BEFORE = re.compile(rf"\b{_TERM}\s+\((?P<meaning>[^)]{{3,80}})\)")
_KEY_ELEMENTS = 3  # statements of an answer that are kept


def by_rule(kind: str, piece: Sequence[Episode]) -> Iterator[Refined]:
    """The memories of a type that rules find."""
    speakers = list(dict.fromkeys(one.speaker for one in piece))
    for one in piece:
        is_answer = one.role == "assistant"
        other = next((name for name in speakers if name != one.speaker), None) if len(speakers) == 2 else None
        if is_answer != (kind == RESPONSE):
            continue
        if kind == QUESTION:
            for term, meaning in terms_in(one.text):
                yield Refined(kind, f"{term} stands for {meaning}.", (one,), "offline", term)
        texts = [fact.text for fact in facts_in(one, other)]
        if is_answer and len(texts) > _KEY_ELEMENTS:
            order = np.argsort(-central(texts), kind="stable")[:_KEY_ELEMENTS]
            texts = [texts[at] for at in sorted(order.tolist())]
        for text in texts:
            is_insight = bool(_GENERAL.search(text)) and not _PERSONAL.search(text)
            if is_answer or is_insight == (kind == RESIDUAL):
                yield Refined(kind, text, (one,), "offline")


def terms_in(text: str) -> list[tuple[str, str]]:
    """The abbreviations that a text explains, with what they mean.

    >>> terms_in("By CKD I mean chronic kidney disease. The intensive care unit (ICU) is full.")
    [('CKD', 'chronic kidney disease'), ('ICU', 'intensive care unit')]
    """
    found = {match["term"]: match["meaning"].strip(" ,'") for match in _MEANS.finditer(text)}
    for pattern in (_BEHIND, _BEFORE):
        for match in pattern.finditer(text):
            meaning = _spelled_out(match["term"], match["meaning"])
            if meaning:
                found.setdefault(match["term"], meaning)
    return [(term, meaning) for term, meaning in found.items() if meaning]


def _spelled_out(term: str, text: str) -> str:
    """The words at the end of the text, or all of it, whose initials are the term; "" for none."""
    letters = [letter.casefold() for letter in term if letter.isalnum()]
    words = re.findall(r"[\w']+", text)
    last = words[-len(letters) :]
    return " ".join(last) if [word[0].casefold() for word in last] == letters else ""
