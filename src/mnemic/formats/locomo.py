"""LoCoMo, the benchmark of very long conversations between two people: its turns as messages, and its questions.

A sample is a scope. Both speakers are people, so the role is "user" and the actor is the name. A shared photo's
caption is appended as "[shares a photo: caption]", and the photo is kept as a part.

Ids: `dia_id`, such as "D1:3", which is unique within its scope. Times: the session's, and TURN_GAP_S more for each
turn, so that turns stay in order. Source: snap-research/locomo, arXiv 2402.17753.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mnemic.formats.dates import clock, date_at_start
from mnemic.formats.json_stream import Element, elements
from mnemic.formats.limits import LIMITS, Limits
from mnemic.formats.message import Message, Problem, excerpt, text_of, whole
from mnemic.formats.source import Sample

TURN_GAP_S = 10
_SESSION = re.compile(r"session_(\d{1,6})")
_WHEN = re.compile(r"\s*(\d{1,2}):(\d\d)\s*([ap])m\s+on\s+(.*)", re.IGNORECASE)
_EVIDENCE = re.compile(r"D:?0*(\d+):0*(\d+)")
_TELLING = re.compile(r'"session_\d+_date_time"\s*:|"qa"\s*:\s*\[\s*\{(?s:.){0,4000}"evidence"\s*:')


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question about one sample, and the turns that hold its answer."""

    id: str  # the sample and the question's place in it: "conv-26/q0"
    scope: str
    text: str
    answer: str | None  # None for most of category 5, whose questions have none
    category: int  # 1 multi-hop, 2 temporal, 3 open-domain, 4 single-hop, 5 adversarial
    evidence: tuple[str, ...]  # ids of turns, each once
    unknown_evidence: tuple[str, ...] = ()  # what stood there and is no turn
    adversarial_answer: str | None = None  # the answer that would be wrong


def is_locomo(sample: Sample) -> bool:
    """Whether it looks like this format."""
    return bool(_TELLING.search(sample.head))


def read_locomo(path: Path, limits: Limits = LIMITS) -> Iterator[Message | Problem]:
    """The turns of each sample, session by session."""
    for element in elements(path, re.compile(r".*\.json"), limits):
        if isinstance(element, Problem):
            yield element
        elif (conversation := _conversation(element)) is None:
            yield Problem(element.location, "It is no sample: it has no conversation.", excerpt(element.value))
        else:
            for number, turns in _sessions(conversation):
                yield from _session(element, conversation, number, turns)


def read_questions(path: Path) -> Iterator[Question | Problem]:
    """The questions of each sample; evidence that names no turn is set apart."""
    for element in elements(path, re.compile(r".*\.json")):
        if isinstance(element, Problem):
            yield element
            continue
        conversation = _conversation(element) or {}
        turns = {
            text_of(turn.get("dia_id"))
            for _, turns in _sessions(conversation)
            for turn in turns
            if isinstance(turn, dict)
        }
        listed = element.value.get("qa") if isinstance(element.value, dict) else None
        if not isinstance(listed, list):
            yield Problem(element.location, "It has no list of questions.", excerpt(element.value))
            continue
        scope = _scope(element)
        for index, one in enumerate(listed):
            if not isinstance(one, dict) or not isinstance(one.get("question"), str):
                yield Problem(f"{element.location}.qa[{index}]", "It is no question.", excerpt(one))
                continue
            evidence, unknown = parse_evidence(one.get("evidence"), turns)
            category = one.get("category")
            yield Question(
                id=f"{scope}/q{index}",
                scope=scope,
                text=one["question"],
                answer=None if one.get("answer") is None else str(one["answer"]),
                category=category if isinstance(category, int) else 0,
                evidence=evidence,
                unknown_evidence=unknown,
                adversarial_answer=text_of(one.get("adversarial_answer")) or None,
            )


def parse_evidence(listed: object, turns: set[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The turns that a question's evidence names, and what is left over.

    The annotators wrote several ids in one string, padded them with zeros and slipped:
    >>> parse_evidence(["D8:6; D9:17", "D30:05", "D", "D:11:26"], {"D8:6", "D9:17", "D30:5"})
    (('D8:6', 'D9:17', 'D30:5'), ('D', 'D11:26'))
    """
    known: dict[str, None] = {}
    unknown: dict[str, None] = {}
    for one in listed if isinstance(listed, list) else [listed] if listed else []:
        named = [f"D{session}:{turn}" for session, turn in _EVIDENCE.findall(str(one))]
        for turn in named or [str(one)]:
            (known if turn in turns else unknown)[turn] = None
    return tuple(known), tuple(unknown)


def parse_when(text: str) -> datetime | None:
    """The time that LoCoMo writes as "1:56 pm on 8 May, 2023", taken as UTC."""
    found = _WHEN.fullmatch(text)
    day = date_at_start(found[4]) if found else None
    at = clock(found[1], found[2], None, found[3]) if found else None
    return datetime.combine(day[0], at, UTC) if day and at else None


def _conversation(element: Element) -> Mapping[str, Any] | None:
    value = element.value.get("conversation") if isinstance(element.value, dict) else None
    return value if isinstance(value, dict) else None


def _scope(element: Element) -> str:
    return text_of(element.value.get("sample_id")) or f"sample-{element.index}"


def _sessions(conversation: Mapping[str, Any]) -> list[tuple[int, list[Any]]]:
    found = [(int(named[1]), key) for key in conversation if (named := _SESSION.fullmatch(key))]
    return [(number, conversation[key]) for number, key in sorted(found) if isinstance(conversation[key], list)]


def _session(
    element: Element, conversation: Mapping[str, Any], number: int, turns: list[Any]
) -> Iterator[Message | Problem]:
    session = f"session_{number}"
    place = f"{element.location}.conversation.{session}"
    when = text_of(conversation.get(f"{session}_date_time"))
    started_at = parse_when(when)
    if started_at is None:
        yield Problem(f"{place}_date_time", "It is no time such as '1:56 pm on 8 May, 2023'.", excerpt(when))
    for position, turn in enumerate(turns):
        location = f"{place}[{position}]"
        if not isinstance(turn, dict) or not isinstance(turn.get("text"), str) or not text_of(turn.get("dia_id")):
            yield Problem(location, "It is no turn: it needs a text and a dia_id.", excerpt(turn))
            continue
        caption = text_of(turn.get("blip_caption"))
        photo = {key: turn[key] for key in ("img_url", "blip_caption", "query") if turn.get(key)}
        shared = f"[shares a photo: {caption}]" if caption else ""
        yield whole(
            Message(
                text=" ".join(one for one in (turn["text"].strip(), shared) if one),
                id=text_of(turn["dia_id"]),
                location=location,
                actor=text_of(turn.get("speaker")) or None,
                session=session,
                occurred_at=started_at + timedelta(seconds=TURN_GAP_S * position) if started_at else None,
                parts=({"type": "image", **photo},) if "img_url" in photo or caption else (),
                scope=_scope(element),
            )
        )
