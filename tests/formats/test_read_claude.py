"""Claude's export: text from blocks, the rest as parts, bad messages reported."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mnemic.formats import Message, Problem, read, sniff
from mnemic.formats.claude import read_claude

CONVERSATION: dict[str, Any] = {
    "uuid": "c1",
    "name": "Bread",
    "created_at": "2024-05-01T10:00:00.000000Z",
    "chat_messages": [
        {
            "uuid": "m1",
            "sender": "human",
            "text": "How long does it rise?",
            "content": [],
            "created_at": "2024-05-01T10:00:05+02:00",
            "attachments": [{"file_name": "recipe.txt", "extracted_content": "flour"}],
            "files": [{"file_name": "loaf.jpg"}],
        },
        {
            "uuid": "m2",
            "sender": "assistant",
            "text": "This block is not supported on your current device yet.",
            "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Two hours."}],
        },
    ],
}


def write(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def test_messages_are_read_with_blocks_attachments_and_times(tmp_path: Path) -> None:
    path = write(tmp_path / "conversations.json", [CONVERSATION])
    assert sniff(path) == "claude"
    assert list(read(path)) == [
        Message(
            text="How long does it rise?",
            id="claude:c1:m1",
            location="conversations.json[0].chat_messages[0]",
            session="c1",
            occurred_at=datetime(2024, 5, 1, 8, 0, 5, tzinfo=UTC),
            metadata={"title": "Bread"},
            parts=(
                {"type": "attachment", "file_name": "recipe.txt", "extracted_content": "flour"},
                {"type": "file", "file_name": "loaf.jpg"},
            ),
        ),
        Message(
            text="Two hours.",
            id="claude:c1:m2",
            location="conversations.json[0].chat_messages[1]",
            role="assistant",
            session="c1",
            occurred_at=datetime(2024, 5, 1, 10, tzinfo=UTC),
            metadata={"title": "Bread"},
            parts=({"type": "thinking", "thinking": "hm"},),
        ),
    ]


def test_bad_messages_and_times_are_reported_and_the_rest_is_read(tmp_path: Path) -> None:
    messages = [
        {"uuid": "m1", "sender": ["human"], "text": "who?"},
        "nothing",
        {"uuid": "m3", "sender": "human", "text": "kept", "created_at": "yesterday"},
    ]
    found = list(read_claude(write(tmp_path / "c.json", [CONVERSATION | {"chat_messages": messages}, 7])))
    assert [one.location if isinstance(one, Problem) else one.text for one in found] == [
        "c.json[0].chat_messages[0]",
        "c.json[0].chat_messages[1]",
        "c.json[0].chat_messages[2].created_at",
        "kept",
        "c.json[1]",
    ]


def test_messages_without_ids_get_the_same_ones_each_time(tmp_path: Path) -> None:
    bare = {"name": "x", "chat_messages": [{"sender": "human", "text": "a"}, {"sender": "human", "text": "a"}]}
    path = write(tmp_path / "c.json", [bare])
    ids = [one.id for one in read_claude(path) if isinstance(one, Message)]
    assert ids == [one.id for one in read_claude(path) if isinstance(one, Message)]
    assert len(set(ids)) == 2
