"""The conversation shipped in mnemic/data is whole: what the demo and the other tests rely on."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from importlib.resources import files
from itertools import pairwise
from typing import Any

import pytest

DATA = files("mnemic").joinpath("data")
KINDS = {"single-hop", "multi-hop", "temporal", "update", "absent"}
MESSAGE_KEYS = {"session", "id", "role", "name", "timestamp", "content"}
QUESTION_KEYS = {"question", "answer", "evidence", "kind", "asked_at"}
OPTIONAL_KEYS = {"show", "as_of", "answer_now", "evidence_now"}

DOOR_CODE_ID = "s14-11"  # the demo forgets this message
FORGET_REQUEST_ID = "s16-14"


@pytest.fixture(scope="module")
def messages() -> list[dict[str, Any]]:
    lines = DATA.joinpath("demo.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def by_id(messages: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {message["id"]: message for message in messages}


@pytest.fixture(scope="module")
def questions() -> list[dict[str, Any]]:
    return json.loads(DATA.joinpath("demo_questions.json").read_text(encoding="utf-8"))


def moment(text: str) -> datetime:
    when = datetime.fromisoformat(text)
    assert when.tzinfo is not None, text
    return when


def test_counts(messages: list[dict[str, Any]]) -> None:
    assert 340 <= len(messages) <= 400
    per_session = Counter(message["session"] for message in messages)
    assert 20 <= len(per_session) <= 22
    assert all(14 <= count <= 22 for count in per_session.values()), per_session


def test_every_message_has_the_same_keys_and_two_people_speak(messages: list[dict[str, Any]]) -> None:
    assert all(set(message) == MESSAGE_KEYS for message in messages)
    assert {message["role"] for message in messages} == {"user"}
    speakers = Counter(message["name"] for message in messages)
    assert set(speakers) == {"Mara", "Tobias"}
    assert min(speakers.values()) > 0.4 * len(messages)


def test_ids_are_unique_and_numbered_in_order(messages: list[dict[str, Any]]) -> None:
    expected = []
    session, number = 0, 0
    for message in messages:
        if message["session"] != f"s{session:02}":
            session, number = session + 1, 0
        number += 1
        expected.append((f"s{session:02}", f"s{session:02}-{number:02}"))
    assert [(message["session"], message["id"]) for message in messages] == expected
    assert len({message["id"] for message in messages}) == len(messages)


def test_time_runs_forward_over_about_a_year(messages: list[dict[str, Any]]) -> None:
    times = [moment(message["timestamp"]) for message in messages]
    assert all(earlier < later for earlier, later in pairwise(times))
    assert times[0] >= moment("2024-02-01T00:00:00+01:00")
    assert times[-1] < moment("2025-02-01T00:00:00+01:00")
    assert timedelta(days=330) < times[-1] - times[0] < timedelta(days=366)


def test_a_session_is_one_sitting_and_sessions_lie_days_apart(messages: list[dict[str, Any]]) -> None:
    spans: dict[str, list[datetime]] = {}
    for message in messages:
        spans.setdefault(message["session"], []).append(moment(message["timestamp"]))
    sittings = list(spans.values())
    assert all(sitting[-1] - sitting[0] < timedelta(hours=1) for sitting in sittings)
    gaps = [later[0] - earlier[-1] for earlier, later in pairwise(sittings)]
    assert min(gaps) > timedelta(days=3)
    assert len({gap.days for gap in gaps}) > 5
    assert len({sitting[0].hour for sitting in sittings}) > 8


def test_text_is_clean(messages: list[dict[str, Any]]) -> None:
    for message in messages:
        content = message["content"]
        assert content == content.strip()
        assert content.isprintable(), message["id"]
        assert "  " not in content
        assert 3 <= len(content.split()) <= 60, message["id"]
    repeated = [text for text, n in Counter(m["content"] for m in messages).items() if n > 1]
    assert repeated == []


def test_questions_are_well_formed(questions: list[dict[str, Any]], messages: list[dict[str, Any]]) -> None:
    end = moment(messages[-1]["timestamp"])
    assert 38 <= len(questions) <= 45
    assert len({question["question"] for question in questions}) == len(questions)
    for question in questions:
        assert set(question) >= QUESTION_KEYS
        assert set(question) <= QUESTION_KEYS | OPTIONAL_KEYS
        assert question["question"].endswith("?")
        assert question["answer"].strip()
        assert moment(question["asked_at"]) > end


def test_every_kind_is_present_and_one_of_each_is_shown(questions: list[dict[str, Any]]) -> None:
    kinds = Counter(question["kind"] for question in questions)
    assert set(kinds) == KINDS
    assert min(kinds.values()) >= 5
    shown = [question for question in questions if question.get("show")]
    assert Counter(question["kind"] for question in shown) == Counter(KINDS)


def test_evidence_exists(questions: list[dict[str, Any]], by_id: dict[str, dict[str, Any]]) -> None:
    for question in questions:
        evidence = question["evidence"] + question.get("evidence_now", [])
        assert all(identifier in by_id for identifier in evidence), question["question"]
        assert question["evidence"] == sorted(set(question["evidence"]))
        assert bool(evidence) == (question["kind"] != "absent"), question["question"]
        if question["kind"] == "multi-hop":
            assert len(evidence) >= 2, question["question"]


def test_the_one_question_as_of_june(questions: list[dict[str, Any]], by_id: dict[str, dict[str, Any]]) -> None:
    (question,) = [question for question in questions if "as_of" in question]
    as_of = moment(question["as_of"])
    assert (as_of.year, as_of.month) == (2024, 6)
    assert question["kind"] == "update"
    assert question["show"] is True
    assert question["answer_now"] != question["answer"]
    assert all(moment(by_id[i]["timestamp"]) <= as_of for i in question["evidence"])
    assert all(moment(by_id[i]["timestamp"]) > as_of for i in question["evidence_now"])
    assert "Lisbon" in question["answer"]
    assert "Porto" in question["answer_now"]


@pytest.mark.parametrize(
    ("wording", "exact", "ids"),
    [
        ("frame number of Mara's bicycle", "WK7Q-20418", ["s09-08", "s19-11"]),
        ("locker", "7-40-19", ["s07-13"]),
        ("flight number", "NV 4417", ["s14-15"]),
        ("bib number", "2816", ["s07-16"]),
        ("phone number", "0186", ["s10-02"]),
    ],
)
def test_rare_identifiers_stand_where_the_evidence_says(
    wording: str,
    exact: str,
    ids: list[str],
    messages: list[dict[str, Any]],
    questions: list[dict[str, Any]],
) -> None:
    assert [message["id"] for message in messages if exact in message["content"]] == ids
    (question,) = [question for question in questions if wording in question["question"]]
    assert question["evidence"] == ids
    assert exact in question["answer"]


def test_a_fact_is_said_again_months_later(messages: list[dict[str, Any]]) -> None:
    fact = "I'm allergic to hazelnuts, only hazelnuts"
    assert [message["id"] for message in messages if fact in message["content"]] == ["s01-11", "s20-13"]


def test_the_door_code_is_said_once_and_asked_to_be_forgotten(
    messages: list[dict[str, Any]], by_id: dict[str, dict[str, Any]], questions: list[dict[str, Any]]
) -> None:
    assert [message["id"] for message in messages if "8264" in message["content"]] == [DOOR_CODE_ID]
    assert "forget the door code" in by_id[FORGET_REQUEST_ID]["content"]
    # nothing that is asked leans on the message that the demo forgets
    assert "8264" not in json.dumps(questions)
    assert all(DOOR_CODE_ID not in question["evidence"] for question in questions)
