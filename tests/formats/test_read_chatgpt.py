"""ChatGPT's export: the current branch in order, what is hidden left out, bad conversations reported."""

import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mnemic.formats import Message, Problem, read, sniff
from mnemic.formats.chatgpt import current_branch, read_chatgpt


def node(
    node_id: str, parent: str | None, role: str, content: Any, at: float | None = None, **more: Any
) -> dict[str, Any]:
    content = content if isinstance(content, dict) else {"content_type": "text", "parts": [content]}
    message = {"id": node_id, "author": {"role": role, "name": None}, "create_time": at, "content": content} | more
    return {"id": node_id, "parent": parent, "children": [], "message": message}


def conversation(*nodes: dict[str, Any], current: str, conversation_id: str = "c1") -> dict[str, Any]:
    root = {"id": "root", "parent": None, "children": [], "message": None}
    mapping = {one["id"]: one for one in (root, *nodes)}
    for one in nodes:
        mapping[one["parent"]]["children"].append(one["id"])
    return {
        "title": "Tea",
        "create_time": 1714557600.0,
        "conversation_id": conversation_id,
        "current_node": current,
        "mapping": mapping,
    }


TEA = conversation(
    node("m1", "root", "system", "be kind", metadata={"is_visually_hidden_from_conversation": True}),
    node("m2", "m1", "user", "Which tea?", 1714557601.5),
    node("m3", "m2", "assistant", "Black.", 1714557602.0),
    node("m4", "m2", "assistant", "Green.", metadata={"model_slug": "gpt-4o"}),
    current="m4",
)


def write(path: Path, conversations: list[Any]) -> Path:
    path.write_text(json.dumps(conversations), encoding="utf-8")
    return path


def test_the_current_branch_is_read_from_the_root_down_without_hidden_messages(tmp_path: Path) -> None:
    path = write(tmp_path / "conversations.json", [TEA])
    at = datetime(2024, 5, 1, 10, 0, 1, 500000, UTC)
    assert list(read_chatgpt(path)) == [
        Message(
            text="Which tea?",
            id="chatgpt:c1:m2",
            location="conversations.json[0].mapping.m2",
            session="c1",
            occurred_at=at,
            metadata={"title": "Tea"},
        ),
        Message(
            text="Green.",
            id="chatgpt:c1:m4",
            location="conversations.json[0].mapping.m4",
            role="assistant",
            session="c1",
            occurred_at=at,
            metadata={"title": "Tea", "model": "gpt-4o"},
        ),
    ]


def test_side_branches_are_added_on_request_and_marked(tmp_path: Path) -> None:
    found = list(read_chatgpt(write(tmp_path / "c.json", [TEA]), side_branches=True))
    assert [(one.text, one.metadata.get("branch")) for one in found if isinstance(one, Message)] == [
        ("Which tea?", None),
        ("Green.", None),
        ("Black.", "side"),
    ]


@pytest.mark.parametrize(
    ("content", "text", "parts"),
    [
        (
            {
                "content_type": "multimodal_text",
                "parts": [{"content_type": "image_asset_pointer", "asset_pointer": "file-service://x"}, "What is it?"],
            },
            "What is it?",
            ({"content_type": "image_asset_pointer", "asset_pointer": "file-service://x"},),
        ),
        (
            {"content_type": "code", "language": "python", "text": "print(1)"},
            "print(1)",
            ({"type": "code", "language": "python"},),
        ),
        ({"content_type": "execution_output", "text": "1"}, "1", ()),
        ({"content_type": "thoughts", "thoughts": [{"summary": "Sum", "content": "adding"}]}, "Sum\nadding", ()),
        (
            {"content_type": "tether_quote", "url": "https://a.example", "text": "said there"},
            "said there",
            ({"type": "tether_quote", "url": "https://a.example"},),
        ),
    ],
)
def test_each_kind_of_content_gives_its_text_and_keeps_the_rest_as_parts(
    tmp_path: Path, content: dict[str, Any], text: str, parts: tuple[Any, ...]
) -> None:
    path = write(tmp_path / "c.json", [conversation(node("m1", "root", "assistant", content), current="m1")])
    (found,) = read_chatgpt(path)
    assert isinstance(found, Message)
    assert (found.text, found.parts) == (text, parts)


def test_a_bad_conversation_and_a_bad_node_are_reported_and_the_rest_is_read(tmp_path: Path) -> None:
    broken = conversation(node("m1", "root", "user", "one"), node("m2", "m1", "user", "two"), current="m2")
    broken["mapping"]["m1"]["message"] = {"author": "nobody"}
    found = list(read_chatgpt(write(tmp_path / "c.json", [{"title": "no mapping"}, broken, TEA])))
    assert [one.location if isinstance(one, Problem) else one.text for one in found] == [
        "c.json[0]",
        "c.json[1].mapping.m1",
        "two",
        "Which tea?",
        "Green.",
    ]


def test_a_zip_with_split_conversations_is_read_in_order_and_told_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("chat.html", "<html>")
        archive.writestr("conversations-001.json", json.dumps([TEA | {"conversation_id": "c2"}]))
        archive.writestr("conversations-000.json", json.dumps([TEA]))
    assert sniff(path) == "chatgpt"
    assert [one.id for one in read(path) if isinstance(one, Message)] == [
        "chatgpt:c1:m2",
        "chatgpt:c1:m4",
        "chatgpt:c2:m2",
        "chatgpt:c2:m4",
    ]


def test_a_cycle_of_parents_ends() -> None:
    mapping = {"a": {"parent": "b"}, "b": {"parent": "a"}}
    assert current_branch(mapping, "a") == ("b", "a")


def test_without_a_current_node_the_last_leaf_is_followed() -> None:
    mapping = {"r": {"children": ["a", "b"]}, "a": {"parent": "r"}, "b": {"parent": "r", "children": []}}
    assert current_branch(mapping, "gone") == ("r", "b")
