"""Adding: what is accepted and how it is kept, what is refused, retries, and that a batch is all or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from mnemic import Memory
from mnemic.errors import (
    IdConflict,
    InvalidEpisode,
    InvalidInput,
    InvalidScope,
    InvalidTime,
)

Open = Callable[..., Memory]
NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


def only(memory: Memory, message: Any, **settings: Any) -> Any:
    """The episode that the log holds after adding one message."""
    return memory.get(memory.add(message, **settings).id)


# -- what is accepted -----------------------------------------------------------------------------------------


def test_a_string_is_what_a_user_said_now(memory: Memory) -> None:
    episode = only(memory, "I like tea.")
    assert (episode.text, episode.role, episode.actor, episode.session, episode.origin, episode.seq) == (
        "I like tea.",
        "user",
        None,
        None,
        "observed",
        1,
    )
    assert (episode.occurred_at, episode.recorded_at) == (NOW, NOW)


def test_what_was_added_is_counted_in_words(memory: Memory) -> None:
    assert str(memory.add("I moved to Porto in March.", id="one")) == "Added 1 episode"
    assert str(memory.add(["Otto hates the tram.", "The rent is due."])) == "Added 2 episodes"
    assert str(memory.add("I moved to Porto in March.", id="one")) == "Added 0 episodes (1 there already)"


def test_a_chat_message_keeps_its_role_name_time_session_id_and_metadata(memory: Memory) -> None:
    message = {
        "role": "assistant",
        "content": "Noted.",
        "name": "Tutor",
        "timestamp": "2023-01-02T03:04:05+02:00",
        "session_id": "mon",
        "id": "m1",
        "metadata": {"a": {"b": [1, 2.5, None, True, "ü"]}},
    }
    episode = only(memory, message)
    assert episode.to_dict() == {
        "id": "m1",
        "scope": "",
        "text": "Noted.",
        "role": "assistant",
        "occurred_at": "2023-01-02T03:04:05+02:00",
        "recorded_at": NOW.isoformat(),
        "actor": "Tutor",
        "session": "mon",
        "metadata": {"a": {"b": [1, 2.5, None, True, "ü"]}},
    }


def test_what_a_message_says_of_itself_goes_before_what_the_call_says_of_all(memory: Memory) -> None:
    messages = [{"role": "assistant", "content": "a", "session": "own", "metadata": {"k": 1}}, "b"]
    added = memory.add(messages, role="tool", actor="Bot", session="all", metadata={"k": 0, "j": 2})
    assert [(one.text, one.role, one.actor, one.session, one.metadata) for one in added] == [
        ("a", "assistant", "Bot", "own", {"k": 1, "j": 2}),
        ("b", "tool", "Bot", "all", {"k": 0, "j": 2}),
    ]


def test_the_text_parts_are_the_text_and_the_others_are_kept_as_they_came(memory: Memory) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:,x", "detail": "low"}}
    content = [{"type": "text", "text": "Look:"}, image, {"type": "input_text", "text": "a cat"}, "really"]
    episode = only(memory, {"role": "user", "content": content})
    assert (episode.text, episode.parts) == ("Look:\na cat\nreally", (image,))


def test_tool_calls_and_their_answers_are_kept(memory: Memory) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    asked = only(memory, {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None})
    answered = only(memory, {"role": "tool", "content": "42", "tool_call_id": "c1"})
    assert (asked.text, asked.parts) == ("", ({"type": "message", "tool_calls": [call]},))
    assert (answered.text, answered.parts) == ("42", ({"type": "message", "tool_call_id": "c1"},))


@pytest.mark.parametrize(
    ("message", "text", "parts"),
    [
        ({"text": "b"}, "b", ()),
        ({"content": None, "text": "b"}, "b", ()),
        ({"content": "a", "text": "a"}, "a", ()),
        ({"content": "a", "text": "b"}, "a", ({"type": "message", "text": "b"},)),
        ({"content": [{"type": ["odd"], "text": "x"}]}, "", ({"type": ["odd"], "text": "x"},)),
    ],
    ids=str,
)
def test_nothing_that_a_message_says_is_lost(
    memory: Memory, message: dict[str, Any], text: str, parts: tuple[Any, ...]
) -> None:
    episode = only(memory, message)
    assert (episode.text, episode.parts) == (text, parts)


def test_a_list_and_a_generator_are_added_in_their_order(memory: Memory) -> None:
    memory.add(["a", {"content": "b"}])
    memory.add(text for text in ("c", "d"))
    assert [(one.seq, one.text) for one in memory.list()] == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]


def test_adding_nothing_adds_nothing(memory: Memory) -> None:
    added = memory.add([])
    assert (len(added), added.ids, added["results"], memory.list()) == (0, [], [], [])


def test_the_answer_has_the_shape_of_other_memory_libraries_and_is_a_sequence_of_episodes(memory: Memory) -> None:
    added = memory.add(["a", "b"])
    assert [(one["id"], one["memory"], one["event"]) for one in added["results"]] == [
        (added[0].id, "a", "ADD"),
        (added[1].id, "b", "ADD"),
    ]
    assert list(added) == list(added[:]) == memory.list()
    json.dumps(added.to_dict())


def test_user_agent_app_and_run_choose_scope_and_session(memory: Memory) -> None:
    memory.add("a", user_id=" alice ", run_id="r1")
    memory.add("b", user_id="alice", agent_id="tutor", app_id="crm")
    memory.add("c", agent_id="tutor")
    memory.add("d", user_id=7)  # type: ignore[arg-type]
    assert memory.scopes() == {"agent:tutor": 1, "app:crm/user:alice": 1, "user:7": 1, "user:alice": 1}
    assert [one.session for one in memory.scope("user:alice").list()] == ["r1"]
    assert [one.metadata for one in memory.scope("app:crm/user:alice").list()] == [{"agent_id": "tutor"}]


def test_a_message_cannot_name_another_agent_than_the_call(memory: Memory) -> None:
    memory.add({"content": "a", "metadata": {"agent_id": "other"}}, user_id="alice", agent_id="tutor")
    assert memory.scope("user:alice").list()[0].metadata == {"agent_id": "tutor"}


# -- times ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (datetime(2024, 1, 2, 3), "2024-01-02T03:00:00+00:00"),
        (datetime(2024, 1, 2, 3, tzinfo=timezone(timedelta(hours=-8))), "2024-01-02T03:00:00-08:00"),
        (datetime(1935, 6, 1, 0, 0, 0, 1), "1935-06-01T00:00:00.000001+00:00"),
        (datetime(1, 1, 1), "0001-01-01T00:00:00+00:00"),
        (datetime(2155, 1, 1), "2155-01-01T00:00:00+00:00"),
        (datetime(9999, 12, 31, 23, 59, 59, 999999), "9999-12-31T23:59:59.999999+00:00"),
        (date(2024, 2, 29), "2024-02-29T00:00:00+00:00"),
        (0, "1970-01-01T00:00:00+00:00"),
        (-86400.5, "1969-12-30T23:59:59.500000+00:00"),
        (1714564800, "2024-05-01T12:00:00+00:00"),
        ("2024-05-01", "2024-05-01T00:00:00+00:00"),
        ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00+00:00"),
        (" 2024-05-01 10:00 ", "2024-05-01T10:00:00+00:00"),
        ("2024-05-01T10:00:00+05:30", "2024-05-01T10:00:00+05:30"),
    ],
    ids=str,
)
def test_a_time_is_kept_with_the_offset_in_which_it_was_said(memory: Memory, given: Any, kept: str) -> None:
    assert only(memory, "x", occurred_at=given).occurred_at.isoformat() == kept
    assert only(memory, {"content": "y", "timestamp": given}).occurred_at.isoformat() == kept


@pytest.mark.parametrize("offset", ["+23:59:59", "-23:59:59", "+00:34:08", "-00:00:01", "+14:00"])
def test_an_offset_with_seconds_keeps_the_moment_and_the_episode_readable(memory: Memory, offset: str) -> None:
    moment = datetime.fromisoformat(f"2024-05-01T10:00:00{offset}")
    assert only(memory, "x", occurred_at=moment).occurred_at == moment


@pytest.mark.parametrize(
    "wrong",
    ["yesterday", "", "2024-13-01", True, float("nan"), float("inf"), 1714564800000, [2024], "1714564800"],
    ids=repr,
)
def test_what_is_no_time_is_refused_and_nothing_is_written(memory: Memory, wrong: Any) -> None:
    with pytest.raises(InvalidTime):
        memory.add("x", occurred_at=wrong)
    with pytest.raises(InvalidTime):
        memory.add(["fine", {"content": "y", "timestamp": wrong}])
    assert memory.list() == []


# -- what is refused ------------------------------------------------------------------------------------------

REFUSED: list[Any] = [
    "",
    {"role": "user", "content": ""},
    {"role": "user"},
    {"content": 5},
    {"content": [5]},
    {"content": b"x"},
    {"content": "x", "role": 5},
    {"content": "x", "name": ["Bob"]},
    {"content": "x", "session": "a\nb"},
    {"content": "x", "id": ""},
    {"content": "x", "id": True},
    {"content": "x", "id": "a\0b"},
    {"content": "x", "id": "x" * 257},
    {"content": "x", "metadata": ["a"]},
    {"content": "x", "metadata": {1: "a"}},
    {"content": "x", "metadata": {"a": float("nan")}},
    {"content": "x", "metadata": {"a": {1, 2}}},
    {"content": "x", "metadata": {"a": "\ud800"}},
    {"content": "x", "metadata": {"\udfff": 1}},
    {"content": "x", "extra": object()},
    "half \ud83d a pair",
    b"bytes",
    bytearray(b"bytes"),
    5,
    None,
    [None],
    [b"x"],
    [["nested"]],
]


@pytest.mark.parametrize("wrong", REFUSED, ids=lambda one: ascii(one)[:40])
def test_what_cannot_be_kept_is_refused_and_nothing_is_written(memory: Memory, wrong: Any) -> None:
    with pytest.raises(InvalidInput):
        memory.add(wrong)
    if not isinstance(wrong, list | bytes | bytearray | int | None):
        with pytest.raises(InvalidInput, match="Message 1 of 2"):
            memory.add(["fine", wrong])
    assert memory.list() == []
    assert memory.scopes() == {}


@pytest.mark.parametrize("metadata", [["a"], "a", 5, []], ids=repr)
def test_metadata_that_is_no_dictionary_is_refused_also_beside_ids(memory: Memory, metadata: Any) -> None:
    with pytest.raises(InvalidEpisode, match="dictionary"):
        memory.add("x", metadata=metadata)
    with pytest.raises(InvalidEpisode, match="dictionary"):
        memory.add("x", metadata=metadata, user_id="alice", agent_id="tutor")


def test_metadata_that_holds_itself_is_refused(memory: Memory) -> None:
    loop: dict[str, Any] = {}
    loop |= {"a": loop, "b": loop, "c": [loop, loop]}
    with pytest.raises(InvalidEpisode, match="nested"):
        memory.add("x", metadata=loop)


@pytest.mark.parametrize("depth", [60, 70, 100_000])
def test_metadata_is_kept_to_a_depth_of_64_and_refused_beyond(memory: Memory, depth: int) -> None:
    deep: Any = "end"
    for _ in range(depth):
        deep = {"a": deep}
    if depth < 64:
        assert only(memory, "x", metadata=deep).metadata == deep
    else:
        with pytest.raises(InvalidEpisode, match="nested more than 64 deep"):
            memory.add("x", metadata=deep)


@pytest.mark.parametrize("name", ["user_id", "agent_id", "app_id", "run_id"])
@pytest.mark.parametrize("wrong", ["", "  ", True, 1.5, ["a"]], ids=repr)
def test_an_id_that_is_empty_or_no_text_is_refused_by_every_verb(memory: Memory, name: str, wrong: Any) -> None:
    memory.add("x", session="kept")
    verbs: list[Callable[[], Any]] = [
        lambda: memory.add("y", **{name: wrong}),
        lambda: memory.search("x", **{name: wrong}),
        lambda: memory.context("x", **{name: wrong}),
        lambda: memory.list(**{name: wrong}),
        lambda: memory.forget(everything=True, **{name: wrong}),
        lambda: memory.delete_all(**{name: wrong}),
    ]
    for verb in verbs:
        with pytest.raises(InvalidScope):
            verb()
    assert [one.text for one in memory.list()] == ["x"]


@pytest.mark.parametrize(
    "path",
    ["/", "a/", "/a", "a//b", "a/./b", "..", " a", "a /b", "a\nb", "a\u200bb", "e\u0301", "\ud800", "x" * 1001, "a\0"],
    ids=ascii,
)
def test_a_path_that_could_be_mistaken_for_another_is_no_scope(memory: Memory, path: str) -> None:
    with pytest.raises(InvalidScope):
        memory.scope(path)


@pytest.mark.parametrize("path", ["a", "a/b/c", "user:alice", "é/日本/привет", "a b/c'd\"%_*?", "🙂", "x" * 1000])
def test_other_paths_are_scopes_of_their_own(memory: Memory, path: str) -> None:
    memory.scope(path).add("tea", id="e")
    memory.add("tea", id="e")
    assert memory.scopes() == {"": 1, path: 1}
    assert [hit.scope for hit in memory.scope(path).search("tea")] == [path]


# -- retries and conflicts ------------------------------------------------------------------------------------


def test_a_retry_with_the_same_id_and_content_changes_nothing(memory: Memory) -> None:
    first = memory.add("tea", id="e1", metadata={"a": 1})
    again = memory.add({"content": "tea", "id": "e1", "metadata": {"a": 1}})
    assert (first.is_new, again.is_new) == ((True,), (False,))
    assert list(again) == list(first) == memory.list()
    assert again["results"][0]["event"] == "NONE"


def test_a_retry_of_a_batch_adds_only_what_was_missing(memory: Memory) -> None:
    memory.add([{"content": "a", "id": "1"}, {"content": "b", "id": "2"}])
    added = memory.add([{"content": "b", "id": "2"}, {"content": "c", "id": "3"}, {"content": "c", "id": "3"}])
    assert (added.is_new, [one.seq for one in added]) == ((False, True, False), [2, 3, 3])
    assert [one.text for one in memory.list()] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "other",
    [{"content": "coffee"}, {"role": "tool"}, {"name": "Bob"}, {"session": "s"}, {"metadata": {"a": 2}}, {"x": 1}],
    ids=str,
)
def test_the_same_id_with_other_content_is_a_conflict_and_nothing_is_written(
    memory: Memory, other: dict[str, Any]
) -> None:
    memory.add({"content": "tea", "id": "e1", "metadata": {"a": 1}})
    with pytest.raises(IdConflict, match="'e1' already names other content"):
        memory.add(["before", {"content": "tea", "id": "e1", "metadata": {"a": 1}} | other])
    assert [one.text for one in memory.list()] == ["tea"]


def test_an_id_names_one_episode_in_each_scope(memory: Memory) -> None:
    memory.scope("a").add("tea", id="e1")
    memory.scope("b").add("coffee", id="e1")
    assert [memory.scope(name).get("e1").text for name in "ab"] == ["tea", "coffee"]


def test_one_id_for_several_messages_is_refused(memory: Memory) -> None:
    with pytest.raises(InvalidEpisode, match="own 'id'"):
        memory.add(["a", "b"], id="e1")


def test_an_iterable_that_fails_leaves_nothing_behind(memory: Memory) -> None:
    def failing() -> Any:
        yield "a"
        raise ConnectionError("the source went away")

    with pytest.raises(ConnectionError):
        memory.add(failing())
    assert memory.list() == []
