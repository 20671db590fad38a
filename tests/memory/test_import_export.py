"""Moving out and in: nothing is lost, twice is harmless, what is cut short goes on, what is wrong is reported."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic import Episode, Memory
from mnemic.clock import ManualClock
from mnemic.errors import FormatError, ParameterError
from systems.worlds import START, Said, empty, pasts, say, seen

Open = Callable[..., Memory]
texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
metadata = st.dictionaries(texts, st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts)


def log(memory: Memory) -> dict[str, list[Episode]]:
    return {path: [replace(one, seq=0) for one in memory.scope(path).list(limit=1000)] for path in memory.scopes()}


def fill(memory: Memory, clock: ManualClock) -> None:
    """A correction, an echo, parts, odd offsets and letters, in three scopes."""
    memory.add("Anna keeps the spare key under the pot", id="key", occurred_at="2024-01-01T01:00:00+05:45")
    clock.advance(timedelta(hours=1))
    memory.add(str(memory.context("spare key")), role="assistant")
    memory.update("key", "Anna keeps the spare key in the \u2028 cellar\x85")
    memory.scope("a").add({"content": [{"type": "text", "text": "look"}, {"type": "image", "url": "u"}]}, actor="Bob")
    memory.scope("a/b").add("日本 \0 🙂", session="s", metadata={"k": [1, None, {"ü": 1.5}]}, occurred_at="0001-01-01")


def test_an_export_read_into_an_empty_memory_is_the_same_memory(open_memory: Open, tmp_path: Path) -> None:
    clock = ManualClock(START)
    one, other = open_memory(clock=clock), open_memory()
    fill(one, clock)
    assert one.export(tmp_path / "out.jsonl") == 5
    imported = other.import_(tmp_path / "out.jsonl")
    assert (imported.added, imported.skipped, imported.problems) == (5, 0, [])
    assert log(other) == log(one)
    for as_of in (START + timedelta(minutes=1), None):
        asked = {"as_of": as_of, "asked_at": START}
        assert seen(other.search("spare key", **asked).hits) == seen(one.search("spare key", **asked).hits)


@given(
    said=st.lists(
        st.tuples(texts, texts.filter(str.isprintable), metadata, st.sampled_from(["", "a", "a/b"])), max_size=8
    ),
    place=st.sampled_from(["", "new", "new/place"]),
)
@settings(max_examples=25)
def test_whatever_is_exported_is_imported_as_it_was(
    said: list[tuple[str, str, dict[str, Any], str]], place: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("out") / "out.jsonl"
    with empty() as one, empty() as other:
        for text, name, fields, scope in said:
            one.scope(scope).add(text, actor=name, session=name, metadata=fields)
        one.export(path)
        other.scope(place).import_(path)
        expected = {
            "/".join(filter(None, (place, scope))): [
                replace(each, scope="/".join(filter(None, (place, scope)))) for each in episodes
            ]
            for scope, episodes in log(one).items()
        }
        assert log(other) == expected


def test_a_scope_is_exported_with_those_below_it_and_without_when_told(open_memory: Open, clock: ManualClock) -> None:
    memory = open_memory()
    fill(memory, clock)
    whole, alone = io.StringIO(), io.StringIO()
    assert (memory.scope("a").export(whole), memory.scope("a").export(alone, include_children=False)) == (2, 1)
    assert [json.loads(line)["scope"] for line in whole.getvalue().splitlines()[1:]] == ["", "b"]


def test_importing_twice_adds_nothing(open_memory: Open, tmp_path: Path, clock: ManualClock) -> None:
    one, other = open_memory(), open_memory()
    fill(one, clock)
    one.export(tmp_path / "out.jsonl")
    other.import_(tmp_path / "out.jsonl")
    before = log(other)
    again = other.import_(tmp_path / "out.jsonl")
    assert (again.added, again.skipped, again.problems, log(other)) == (0, 5, [], before)


def test_an_import_that_was_cut_short_goes_on_where_it_was(
    open_memory: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [json.dumps({"role": "user", "content": f"tea number {at}"}) for at in range(20)]
    (tmp_path / "said.jsonl").write_text("\n".join(lines))
    monkeypatch.setattr("mnemic.memory.transfer._BATCH", 6)
    memory = open_memory()
    append, calls = memory._shared.store.append, iter([True, True, False])

    def stopping(*entries: Any) -> Any:
        if not next(calls, True):
            raise KeyboardInterrupt
        return append(*entries)

    monkeypatch.setattr(memory._shared.store, "append", stopping)
    with pytest.raises(KeyboardInterrupt):
        memory.import_(tmp_path / "said.jsonl")
    assert len(memory.list()) == 12
    imported = memory.import_(tmp_path / "said.jsonl")
    assert (imported.added, imported.skipped) == (8, 12)
    assert [one.text for one in memory.list()] == [f"tea number {at}" for at in range(20)]


def exported(*episodes: dict[str, Any]) -> str:
    whole = {
        "type": "episode",
        "scope": "",
        "text": "tea",
        "role": "user",
        "occurred_at": START.isoformat(),
        "recorded_at": START.isoformat(),
    }
    header = {"format": "mnemic", "version": 1}
    return "\n".join(json.dumps(line) for line in [header, *({**whole, **episode} for episode in episodes)])


def test_bad_entries_are_reported_with_their_place_and_the_rest_is_kept(open_memory: Open, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text(
        exported(
            {"id": "a"},
            {"id": "b", "scope": "x/../y"},
            {"id": "c", "actor": "An\0na"},
            {"id": "", "text": "no id"},
            {"id": "d", "occurred_at": "soon"},
            {"id": "e", "session": "\0"},
            {"id": "f"},
        )
        + "\nno json"
    )
    memory = open_memory()
    imported = memory.import_(path)
    assert [one.id for one in memory.list()] == ["a", "f"]
    assert sorted(one.location for one in imported.problems) == [f"out.jsonl:{line}" for line in (3, 4, 5, 6, 7, 9)]


def test_an_id_that_already_names_other_content_is_reported_and_not_passed_over(
    open_memory: Open, tmp_path: Path
) -> None:
    memory = open_memory()
    memory.add("coffee", id="a")
    (tmp_path / "out.jsonl").write_text(exported({"id": "a"}, {"id": "b"}, {"id": "b"}, {"id": "b", "text": "mint"}))
    imported = memory.import_(tmp_path / "out.jsonl")
    assert [(one.id, one.text) for one in memory.list()] == [("a", "coffee"), ("b", "tea")]
    assert (imported.added, imported.skipped) == (1, 1)
    assert [one.location for one in imported.problems] == ["out.jsonl:2", "out.jsonl:5"]
    assert all("already names other content" in one.reason for one in imported.problems)


def test_a_format_that_is_unknown_is_refused_with_those_that_are(open_memory: Open, tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(bytes(range(256)))
    for format in (None, "yaml"):
        with pytest.raises(FormatError, match="mnemic"):
            open_memory().import_(tmp_path / "x.bin", format)


@given(past=pasts())
@settings(max_examples=10)
def test_an_imported_memory_answers_like_the_one_that_was_exported(
    past: list[Said], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("out") / "out.jsonl"
    with empty() as one, empty() as other:
        say(one, past)
        one.export(path)
        other.import_(path)
        for query in ("tea", "Anna walks by the river", past[0].text):
            assert seen(other.search(query).hits) == seen(one.search(query).hits)


def test_an_export_onto_the_memory_itself_is_refused_and_harms_nothing(open_memory: Open, tmp_path: Path) -> None:
    memory = open_memory(tmp_path / "memory.db")
    memory.add("tea")
    for name in ("memory.db", "memory.db-wal"):
        with pytest.raises(ParameterError, match=r"memory\.jsonl"):
            memory.export(tmp_path / name)
    assert memory.export(tmp_path / "memory.jsonl") == 1
    assert [one.text for one in memory.list()] == ["tea"]
