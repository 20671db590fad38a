"""BEAM: long histories of a user with an assistant, and twenty questions on each, two for every one of ten abilities.

Messages are the turns, batches the sessions. A batch's first message has the day; the rest follow it. What the makers
left at the end of messages ("->-> 1,1") is stripped: it counts the sessions. Evidence is `source_chat_ids`, which may be
a list, lists in a list, or a dict with what came first and what came later.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

from mnemic.bench.dataset import Dataset, File, Key, Question, Sample, Turn, Variant
from mnemic.bench.datasets.files import TURN_GAP_S, categories, counted, read_json, variant_of
from mnemic.formats.dates import date_at_start

ABSTENTION, KNOWLEDGE_UPDATE = "abstention", "knowledge_update"
ABILITIES = (
    ABSTENTION,
    "contradiction_resolution",
    "event_ordering",
    "information_extraction",
    "instruction_following",
    KNOWLEDGE_UPDATE,
    "multi_session_reasoning",
    "preference_following",
    "summarization",
    "temporal_reasoning",
)
_TAIL = re.compile(r"\s*->->\s*\d+\s*,\s*(\d+|N/A)?\)?\s*$")
_ANSWERS = ("answer", "ideal_answer", "ideal_summary")


def load(folder: Path, variant_id: str) -> Iterator[Sample]:
    """The chats of a size. Raises FormatError where the counts are not the stated ones."""
    variant = variant_of(BEAM, variant_id)
    chats = variant.files[::2]  # each is followed by its questions
    return counted(BEAM, variant, (_open(folder / one.path) for one in chats))


def read(id: str, batches: Sequence[Mapping[str, Any]], probing: Mapping[str, Sequence[Mapping[str, Any]]]) -> Sample:
    """One chat in the published format with its probing questions."""
    turns = tuple(_turns(batches))
    ids = {one.id for one in turns}
    questions = tuple(
        _question(f"{id}/{ability}/{index}", ability, asked, ids)
        for ability in ABILITIES
        for index, asked in enumerate(probing.get(ability, ()))
    )
    return Sample(id=id, turns=turns, questions=questions)


def parse_anchor(text: str) -> datetime | None:
    """The day that a time anchor names, taken as UTC; None where it names none.

    >>> parse_anchor("March-15-2024"), parse_anchor("2024-03-15"), parse_anchor("15 March 2024, at noon")
    (datetime.datetime(2024, 3, 15, 0, 0, tzinfo=datetime.timezone.utc), \
datetime.datetime(2024, 3, 15, 0, 0, tzinfo=datetime.timezone.utc), \
datetime.datetime(2024, 3, 15, 0, 0, tzinfo=datetime.timezone.utc))
    """
    found = date_at_start(text) or date_at_start(text.replace("-", " "))
    return datetime.combine(found[0], time(), UTC) if found else None


def source_ids(value: object) -> tuple[str, ...]:
    """The message ids anywhere in `value`, each once, in order.

    >>> source_ids({"first_statement": [58], "second_statement": [24, [26, 58]]})
    ('58', '24', '26')
    """
    if isinstance(value, Mapping):
        return source_ids(list(value.values()))
    if isinstance(value, list):
        return tuple(dict.fromkeys(id for one in value for id in source_ids(one)))
    return () if value is None else (str(value),)


def _open(chat: Path) -> Sample:
    return read(chat.parent.name, read_json(chat), read_json(chat.with_name("probing_questions.json")))


def _turns(batches: Sequence[Mapping[str, Any]]) -> Iterator[Turn]:
    at: datetime | None = None
    for batch in batches:
        for message in (one for turn in batch["turns"] for one in turn):
            if anchor := parse_anchor(str(message.get("time_anchor") or "")):
                at = anchor
            yield Turn(
                id=str(message["id"]),
                text=_TAIL.sub("", message["content"]),
                role=message["role"],
                session=f"batch_{batch['batch_number']}",
                occurred_at=at,
            )
            at = at + timedelta(seconds=TURN_GAP_S) if at else None


def _question(id: str, ability: str, asked: Mapping[str, Any], turns: set[str]) -> Question:
    sources = asked.get("source_chat_ids")
    named = source_ids(sources)
    evidence = tuple(one for one in named if one in turns)
    updated = source_ids(sources.get("updated_info")) if isinstance(sources, Mapping) else ()
    is_update = ability == KNOWLEDGE_UPDATE and bool(updated)
    return Question(
        id=id,
        text=asked["question"],
        category=ability,
        key=Key(evidence=evidence, answers=tuple(asked[one] for one in _ANSWERS if one in asked)),
        task="absent" if ability == ABSTENTION else "recall",
        error=None if ability == ABSTENTION else _error(named, evidence),
        stale=tuple(one for one in evidence if one not in updated) if is_update else (),
    )


def _error(named: tuple[str, ...], evidence: tuple[str, ...]) -> str | None:
    if not named:
        return "the file names no evidence"
    unknown = [one for one in named if one not in evidence]
    return f"evidence that is no message: {', '.join(unknown)}" if unknown else None


def _variant(id: str, size: str, chats: Sequence[int], turns: int) -> Variant:
    names = ("chat.json.gz", "probing_questions.json")
    return Variant(
        id=id,
        samples=len(chats),
        turns=turns,
        categories=categories((one, one.replace("_", " "), 2 * len(chats)) for one in ABILITIES),
        files=tuple(File(path=f"beam/{size}/{chat}/{name}") for chat in chats for name in names),
    )


BEAM = Dataset(
    id="beam",
    title="BEAM",
    source="Tavakoli et al. 2025, arXiv 2510.27246; mohammadtavakoli78/BEAM",
    licence="none stated",
    about=(
        "Ten abilities over one user's long history with an assistant. Beware that instructions and preferences cannot be "
        "found by the question's words, and that summaries and orderings need coverage rather than the first ten."
    ),
    variants=(
        _variant("100k", "100K", range(1, 11), 2362),
        _variant("500k", "500K", range(1, 9), 7802),
        _variant("1m", "1M", (3, 6, 8), 4988),
    ),
    load=load,
    apart=(ABSTENTION,),
    ks=(5, 10, 20, 50),
    notes={
        "variants": "A part of what is published: ten of 20 chats of 100K tokens, eight of 35 of 500K, three of 35 of 1M. "
        "Figures over all of them are not comparable.",
        "times": "Only the first message of a batch has a day; the others follow it, 10 s apart. Questions are asked after "
        "the last message.",
        "evidence": "Abstention names none and stands apart. Other questions without any are kept, with none, and say so in "
        "`error`: 1 preference (100k), 1 knowledge update (500k), 1 preference and 1 summary (1m).",
        "stale": "For knowledge updates the evidence holds the old and the new statement; `stale` names the old ones, so "
        "that their order can be scored beside recall.",
        "answers": "The published score is a rubric that a model judges, and the answer and the rubric disagree now and "
        "then. Instructions and preferences have no answer text, abstention none that counts.",
        "order of statements": "In 13 of the 42 contradictions at hand the first statement is the later message.",
        "wrong answers": "Found so far: 1/temporal_reasoning/0 of 100k says 4 weeks where its rubric says 8 (it is nearly 9); "
        "4/temporal_reasoning/1 of 500k counts 135 days from early November to 25 February, about 115.",
    },
)
