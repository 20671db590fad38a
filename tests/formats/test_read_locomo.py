"""LoCoMo: turns in order, photos, questions with their evidence; and the real file, where it is at hand."""

import json
import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mnemic.formats import Message, Problem, read, sniff
from mnemic.formats.locomo import Question, parse_evidence, parse_when, read_locomo, read_questions

SAMPLE = {
    "sample_id": "conv-1",
    "qa": [
        {"question": "When?", "answer": 2022, "evidence": ["D1:1; D2:01", "D9:9"], "category": 2},
        {"question": "Why?", "evidence": [], "category": 5, "adversarial_answer": "no"},
        "bad",
    ],
    "conversation": {
        "speaker_a": "Ann",
        "speaker_b": "Bob",
        "session_2_date_time": "12:05 am on 9 May, 2023",
        "session_2": [{"speaker": "Bob", "dia_id": "D2:1", "text": "Later."}],
        "session_1_date_time": "1:56 pm on 8 May, 2023",
        "session_1": [
            {"speaker": "Ann", "dia_id": "D1:1", "text": "Hi!"},
            {"speaker": "Bob", "text": "no id"},
            {"speaker": "Bob", "dia_id": "D1:3", "text": "Look", "img_url": ["u"], "blip_caption": "a dog"},
        ],
        "session_3_date_time": "a session that was never held",
    },
}


def data_folder() -> Path:
    named = os.environ.get("MNEMIC_SHARED_DATA")
    return Path(named) if named else Path(__file__).parents[3] / "shared" / "data"


LOCOMO = data_folder() / "locomo" / "locomo5.json"
needs_locomo = pytest.mark.skipif(not LOCOMO.exists(), reason="the LoCoMo file is not here; set MNEMIC_SHARED_DATA")


def test_turns_are_messages_of_their_scope_in_order_of_time(tmp_path: Path) -> None:
    path = tmp_path / "l.json"
    path.write_text(json.dumps([SAMPLE]))
    assert sniff(path) == "locomo"
    found = list(read(path))
    assert [one for one in found if isinstance(one, Message)] == [
        Message(
            text="Hi!",
            id="D1:1",
            location="l.json[0].conversation.session_1[0]",
            actor="Ann",
            session="session_1",
            occurred_at=datetime(2023, 5, 8, 13, 56, tzinfo=UTC),
            scope="conv-1",
        ),
        Message(
            text="Look [shares a photo: a dog]",
            id="D1:3",
            location="l.json[0].conversation.session_1[2]",
            actor="Bob",
            session="session_1",
            occurred_at=datetime(2023, 5, 8, 13, 56, 20, tzinfo=UTC),
            parts=({"type": "image", "img_url": ["u"], "blip_caption": "a dog"},),
            scope="conv-1",
        ),
        Message(
            text="Later.",
            id="D2:1",
            location="l.json[0].conversation.session_2[0]",
            actor="Bob",
            session="session_2",
            occurred_at=datetime(2023, 5, 9, 0, 5, tzinfo=UTC),
            scope="conv-1",
        ),
    ]
    assert [one.location for one in found if isinstance(one, Problem)] == ["l.json[0].conversation.session_1[1]"]


def test_questions_come_with_evidence_that_exists(tmp_path: Path) -> None:
    path = tmp_path / "l.json"
    path.write_text(json.dumps([SAMPLE]))
    first, second, bad = read_questions(path)
    assert first == Question(
        id="conv-1/q0",
        scope="conv-1",
        text="When?",
        answer="2022",
        category=2,
        evidence=("D1:1", "D2:1"),
        unknown_evidence=("D9:9",),
    )
    assert second == Question(
        id="conv-1/q1", scope="conv-1", text="Why?", answer=None, category=5, evidence=(), adversarial_answer="no"
    )
    assert isinstance(bad, Problem)


def test_evidence_is_parsed_as_the_annotators_wrote_it() -> None:
    turns = {"D9:1", "D4:4", "D4:6", "D11:26", "D30:5"}
    assert parse_evidence(["D9:1 D4:4 D4:6", "D:11:26", "D30:05", "D"], turns) == (
        ("D9:1", "D4:4", "D4:6", "D11:26", "D30:5"),
        ("D",),
    )
    assert parse_evidence(None, turns) == ((), ())


def test_times_are_read_at_noon_and_midnight() -> None:
    assert parse_when("12:00 pm on 1 January, 2023") == datetime(2023, 1, 1, 12, tzinfo=UTC)
    assert parse_when("12:00 am on 1 January, 2023") == datetime(2023, 1, 1, tzinfo=UTC)
    assert parse_when("13:99 pm on 1 Janvier, 2023") is None


@needs_locomo
def test_the_five_real_conversations_are_read_whole() -> None:
    found = list(read_locomo(LOCOMO))
    assert [one for one in found if isinstance(one, Problem)] == []
    messages = [one for one in found if isinstance(one, Message)]
    assert Counter(one.scope for one in messages) == {
        "conv-26": 419,
        "conv-30": 369,
        "conv-41": 663,
        "conv-42": 629,
        "conv-43": 680,
    }
    assert len({(one.scope, one.id) for one in messages}) == 2760
    assert all(one.occurred_at is not None for one in messages)
    assert [one.id for one in read_locomo(LOCOMO) if isinstance(one, Message)] == [one.id for one in messages]


@needs_locomo
def test_the_real_questions_are_read_whole() -> None:
    questions = [one for one in read_questions(LOCOMO) if isinstance(one, Question)]
    assert Counter(one.scope for one in questions) == {
        "conv-26": 199,
        "conv-30": 105,
        "conv-41": 193,
        "conv-42": 260,
        "conv-43": 242,
    }
    assert [one.unknown_evidence for one in questions if one.unknown_evidence] == [("D10:19",), ("D",)]
    assert sum(not one.evidence for one in questions) == 2
