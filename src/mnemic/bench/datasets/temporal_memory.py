"""Temporal Memory Dataset: which turns were said at a time, asked by date, month, span, session or "3 days ago".

Conversations are LoCoMo's with a time for each turn and a short last session added. A variant is a family of questions:
`direct`, `ambiguous` (a few turns that end in a follow-up such as "can you summarize it?") and `content` (a time and a
matter). A group of paraphrases is one question; which paraphrase is asked follows from the group's id alone.

"Now" is right after the last session: its own turns are evidence of "today", "this month" and "one session ago".
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mnemic.bench.dataset import Dataset, File, Key, Question, Sample, Turn, Variant
from mnemic.bench.datasets.files import TURN_GAP_S, categories, counted, read_json, variant_of
from mnemic.errors import FormatError
from mnemic.formats.dates import clock_at_start, date_at_start

CONVERSATIONS = (26, 28, 31, 41, 42, 43, 45, 46)
FOLDERS = {"direct": "time_qs", "ambiguous": "ambiguous_time_qs", "content": "content_time_qs"}
KINDS = (  # direct questions; of "rel_day" there are 195 among the ambiguous ones
    ("dates", "on a date", 212),
    ("date_span", "between two dates", 120),
    ("day_span", "over the last days", 16),
    ("earlier_today", "earlier today", 8),
    ("last_named_day", "last Tuesday", 8),
    ("month", "in a month", 65),
    ("rel_day", "days ago", 203),
    ("rel_month", "months ago", 65),
    ("rel_session", "sessions ago", 212),
    ("session", "session by number", 188),
    ("session_span", "sessions by number", 164),
)
_SESSION = re.compile(r"session_(\d+)")
_DAYS_AGO = re.compile(r"\b(\d+) days ago\b")

Group = Mapping[str, Any]  # {questions, relevant_docs}


def load(folder: Path, variant_id: str) -> Iterator[Sample]:
    """The conversations with one family of questions. Raises FormatError where the counts are not the stated ones."""
    variant = variant_of(TEMPORAL_MEMORY, variant_id)
    root = folder / "temporal-memory"
    by_kind = {
        one.id: read_json(root / "questions" / FOLDERS[variant_id] / _file_name(one.id)) for one in variant.categories
    }
    samples = (
        read(str(number), read_json(root / "conversations" / f"{number}.json"), _groups(by_kind, number))
        for number in CONVERSATIONS
    )
    return counted(TEMPORAL_MEMORY, variant, samples)


def read(id: str, conversation: Mapping[str, Any], groups: Mapping[str, Iterable[Group]]) -> Sample:
    """One conversation in the published format, with groups of questions by kind."""
    turns = tuple(_turns(conversation))
    questions = [one for kind, listed in groups.items() for one in _questions(f"{id}/{kind}", kind, listed, turns)]
    return Sample(id=id, turns=turns, questions=tuple(questions))


def parse_when(text: str) -> datetime:
    """The time of a turn, such as "09:55:12 AM on Sunday 22 October, 2023", as UTC. Raises FormatError.

    >>> parse_when("01:13:00 PM on Monday 18 July, 2022").isoformat()
    '2022-07-18T13:13:00+00:00'
    """
    clock, _, day = text.partition(" on ")
    at, on = clock_at_start(clock), date_at_start(day)
    if at is None or on is None:
        raise FormatError(f"{text!r} is no time such as '09:55:12 AM on Sunday 22 October, 2023'. Get the file again.")
    return datetime.combine(on[0], at, UTC)


def _turns(conversation: Mapping[str, Any]) -> Iterator[Turn]:
    numbers = sorted(int(found[1]) for key in conversation if (found := _SESSION.fullmatch(key)))
    for number in numbers:
        for turn in conversation[f"session_{number}"]:
            caption = turn.get("blip_caption")
            shared = f"[shares a photo: {caption}]" if caption else ""
            yield Turn(
                id=str(int(turn["response_number"])),
                text=" ".join(one for one in (turn["text"].strip(), shared) if one),
                actor=turn["speaker"],
                session=f"session_{number}",
                occurred_at=parse_when(turn["date_time"]),
            )


def _questions(prefix: str, kind: str, groups: Iterable[Group], turns: tuple[Turn, ...]) -> Iterator[Question]:
    when = {one.id: one.occurred_at for one in turns if one.occurred_at}
    asked_at = max(when.values()) + timedelta(seconds=TURN_GAP_S)
    listed = [([_text(one) for one in group["questions"]], group["relevant_docs"]) for group in groups]
    of_all: defaultdict[tuple[str, ...], set[int]] = defaultdict(set)
    for asked, relevant in listed:
        of_all[tuple(asked)] |= set(relevant)
    for index, (asked, relevant) in enumerate(listed):
        id = f"{prefix}/{index}"
        text = asked[_draw(id, len(asked))]
        evidence, all_evidence = (tuple(map(str, sorted(ids))) for ids in (set(relevant), of_all[tuple(asked)]))
        is_split = evidence != all_evidence
        days = {(asked_at.date() - when[one].date()).days for one in evidence if one in when}
        error = "another group asks the same and has the rest" if is_split else _wrong_day(text, days)
        yield Question(
            id=id,
            text=text,
            category=kind,
            key=Key(evidence=evidence),
            corrected=Key(evidence=all_evidence) if is_split else None,
            error=error,
            asked_at=asked_at,
        )


def _text(question: str | list[Mapping[str, str]]) -> str:
    """A question as it is; the turns that lead to a follow-up line by line, the follow-up last."""
    return question if isinstance(question, str) else "\n".join(turn["text"].strip() for turn in question)


def _draw(id: str, n: int) -> int:
    return int.from_bytes(hashlib.sha256(id.encode()).digest()[:8]) % n


def _wrong_day(text: str, days: set[int]) -> str | None:
    named = _DAYS_AGO.search(text)
    if named is None or days == {int(named[1])}:
        return None
    return f"by the calendar its turns are {' and '.join(map(str, sorted(days)))} days back"


def _groups(by_kind: Mapping[str, Mapping[str, Any]], number: int) -> dict[str, list[Group]]:
    return {kind: content[f"file_{number}"] for kind, content in by_kind.items()}


def _file_name(kind: str) -> str:
    return "content_time_qs.json" if kind == "content" else f"test_{kind}.json"


def _variant(id: str, kinds: Sequence[tuple[str, str, int]]) -> Variant:
    questions = (f"questions/{FOLDERS[id]}/{_file_name(kind)}" for kind, _, _ in kinds)
    conversations = (f"conversations/{number}.json" for number in CONVERSATIONS)
    return Variant(
        id=id,
        samples=len(CONVERSATIONS),
        turns=4857,
        categories=categories(kinds),
        files=tuple(File(path=f"temporal-memory/{path}") for path in (*conversations, *questions)),
    )


TEMPORAL_MEMORY = Dataset(
    id="temporal-memory",
    title="Temporal Memory Dataset",
    source="Alonso et al. 2024, arXiv 2406.00057; Zyphra/TemporalMemoryDataset",
    licence="none stated; the conversations derive from LoCoMo (CC BY-NC 4.0)",
    about=(
        "Which turns were said at a time, when the question names only the time. Beware that the evidence is whole "
        "sessions, often more turns than k, so recall@k has a ceiling, and that a quarter of the keys of 'days ago' are a "
        "day off by the calendar."
    ),
    variants=(
        _variant("direct", KINDS),
        _variant("ambiguous", [(id, name, 195 if id == "rel_day" else n) for id, name, n in KINDS]),
        _variant("content", [("content", "a time and a matter", 109)]),
    ),
    load=load,
    ks=(5, 10, 20, 50, 100),
    notes={
        "ceiling": "The most that recall@20 can be, in %: dates 86.3, date_span 29.2, day_span 39.4, earlier_today 88.1, "
        "last_named_day 79.3, month 36.6, rel_day 84.5 (ambiguous 85.4), rel_month 36.6, rel_session 86.3, session 86.0, "
        "session_span 29.9, content 100. Median and most turns of evidence: 21 and 51 for one day or session, 69 and 115 "
        "for spans, 71 and 217 for months, 1 and 6 for content.",
        "groups": "2,623 groups of 1 to 12 paraphrases (1,261 direct, 1,253 ambiguous, 109 content); one of each group is "
        "asked, drawn by the digest of its id.",
        "ambiguous": "The turns that lead to the follow-up are one text, a line each, without names, the follow-up last.",
        "now": "Questions are asked right after the last turn: 'today' counts the last session, and so does 'one session "
        "ago'. But 'earlier today' leaves it out, though it is as early: its key takes the asker to be still in it.",
        "rel_day": "50 of 203 (ambiguous 50 of 195) keys hold turns of another calendar day than N days before now, nearly "
        "all one day earlier, as counting whole 24 hours gives: `error` says how far. They have no corrected key: there "
        "was no conversation on the days that they name.",
        "last_named_day": "In conversation 31 'last Saturday', asked on a Monday, means nine days before, not two.",
        "dates": "The last two sessions are of one day and have a group each, with the same words (16 groups): `corrected` "
        "holds both. Dates and months name no year; none of them is ambiguous in these conversations.",
        "clock": "Clock times lost their 'pm' in three sessions of four; the days are right.",
    },
)
