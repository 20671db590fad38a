"""OpenAI-style lines: messages, conversations, parts, tool calls, times in every spelling."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mnemic.formats import Message, Problem, read, sniff
from mnemic.formats.openai_jsonl import read_openai

AT = datetime(2024, 5, 1, 10, tzinfo=UTC)


def write(path: Path, *lines: Any) -> Path:
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines), encoding="utf-8")
    return path


def test_a_line_is_a_message_with_its_parts_calls_and_unknown_fields_kept(tmp_path: Path) -> None:
    call = {"id": "t1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    image = {"type": "image_url", "image_url": {"url": "https://a.example/x.png"}}
    path = write(
        tmp_path / "log.jsonl",
        {
            "role": "user",
            "name": "Ann",
            "content": [{"type": "text", "text": "Look"}, image],
            "id": "m1",
            "session_id": "s1",
        },
        {"role": "assistant", "content": None, "tool_calls": [call], "id": "m2", "model": "m"},
        {"role": "function", "content": "seen", "tool_call_id": "t1", "id": "m3", "metadata": {"k": 1}},
    )
    assert sniff(path) == "openai"
    assert list(read(path)) == [
        Message(text="Look", id="openai:s1:m1", location="log.jsonl:1", actor="Ann", session="s1", parts=(image,)),
        Message(
            text="",
            id="openai:log.jsonl:m2",
            location="log.jsonl:2",
            role="assistant",
            session="log.jsonl",
            metadata={"model": "m"},
            parts=(call,),
        ),
        Message(
            text="seen",
            id="openai:log.jsonl:m3",
            location="log.jsonl:3",
            role="tool",
            session="log.jsonl",
            metadata={"tool_call_id": "t1", "k": 1},
        ),
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("timestamp", 1714557600),
        ("created_at", 1714557600000),
        ("time", "1714557600"),
        ("create_time", "2024-05-01T12:00:00+02:00"),
        ("date", "2024-05-01 10:00"),
    ],
)
def test_times_are_understood_in_every_spelling(tmp_path: Path, key: str, value: Any) -> None:
    (found,) = read_openai(write(tmp_path / "a.jsonl", {"role": "user", "content": "x", key: value}))
    assert isinstance(found, Message)
    assert found.occurred_at == AT


def test_a_conversation_line_is_a_session_of_its_own(tmp_path: Path) -> None:
    talk = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    found = list(read_openai(write(tmp_path / "a.jsonl", talk, talk, [talk["messages"]])))
    assert all(isinstance(one, Message) for one in found)
    assert [one.session for one in found if isinstance(one, Message)] == [
        *["a.jsonl:1"] * 2,
        *["a.jsonl:2"] * 2,
        *["a.jsonl:3:0"] * 2,
    ]
    assert len({one.id for one in found if isinstance(one, Message)}) == 6


def test_bad_lines_are_reported_by_number_and_the_rest_is_read(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl",
        '{"role": "user", "content"',
        {"role": "user", "content": "one"},
        "",
        {"role": 3, "content": "x"},
        {"role": "user", "content": "two", "time": "soon"},
        "7",
        "[" * 100_000,
        '{"role": "user", "content": "half \\ud83d"}',
        '{"role": "user", "content": "pair \\ud83d\\ude00"}',
    )
    found = list(read_openai(path))
    assert [one.location if isinstance(one, Problem) else one.text for one in found] == [
        "a.jsonl:1",
        "one",
        "a.jsonl:4",
        "a.jsonl:5",
        "two",
        "a.jsonl:6",
        "a.jsonl:7",
        "a.jsonl:8",
        "pair 😀",
    ]


def test_a_json_array_of_messages_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}], indent=1))
    assert sniff(path) == "openai"
    assert [one.text for one in read(path) if isinstance(one, Message)] == ["a", "b"]


def test_ids_stay_when_lines_are_appended(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"role": "user", "content": "a"}, {"role": "user", "content": "a"})
    before = [one.id for one in read_openai(path) if isinstance(one, Message)]
    write(path, {"role": "user", "content": "a"}, {"role": "user", "content": "a"}, {"role": "user", "content": "b"})
    after = [one.id for one in read_openai(path) if isinstance(one, Message)]
    assert after[:2] == before
    assert len(set(after)) == 3


def test_an_array_over_several_lines_is_read_whatever_the_file_is_called(tmp_path: Path) -> None:
    talk = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
    path = tmp_path / "3f8a"
    path.write_text(json.dumps(talk, indent=2))
    assert [one.text for one in read(path, "openai") if isinstance(one, Message)] == ["one", "two"]
