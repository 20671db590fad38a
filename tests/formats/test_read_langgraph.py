"""A LangGraph store: the same items from a dump, SqliteStore's file and a table as CSV, where their namespace says."""

import csv
import gzip
import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic import Memory
from mnemic.errors import FormatError
from mnemic.formats import Limits, Message, Problem, read, sniff
from mnemic.formats.langgraph import scope_of
from mnemic.integrations import langgraph_names as names

AT, LATER = "2024-05-01T10:00:00+00:00", "2024-05-02T11:30:00.250000+00:00"
ITEMS = [
    {"namespace": ["memories", "alice"], "key": "k1", "value": {"kind": "Memory", "content": {"content": "Likes tea"}}},
    {"namespace": ["memories", "alice"], "key": "k2", "value": {"text": 'Said "no",\nthen left', "score": 0}},
    {"namespace": ["docs"], "key": "a key/with.dots", "value": {"a": [1, 2], "b": {"c": "d"}}},
]
ITEMS = [{**one, "created_at": AT, "updated_at": LATER} for one in ITEMS]
SCHEMA = (
    "CREATE TABLE store (\n    -- 'prefix' represents the doc's 'namespace'\n    prefix text NOT NULL, key text NOT NULL, value text NOT NULL, "
    "created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, "
    "expires_at TIMESTAMP, ttl_minutes REAL, PRIMARY KEY (prefix, key))"
)


def rows(items: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (".".join(one["namespace"]), one["key"], json.dumps(one["value"]), one["created_at"], one["updated_at"])
        for one in items
    ]


def as_sqlite(path: Path, items: list[tuple[Any, ...]]) -> Path:
    with sqlite3.connect(path) as connection:
        connection.execute(SCHEMA)
        connection.executemany(
            "INSERT INTO store (prefix, key, value, created_at, updated_at) VALUES (?, ?, ?, ?, ?)", items
        )
    connection.close()
    return path


def as_csv(path: Path, items: list[tuple[Any, ...]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["prefix", "key", "value", "created_at", "updated_at", "expires_at"])
        table.writerows(
            [(*one[:3], *(at.replace("T", " ").removesuffix(":00") for at in one[3:]), "") for one in items]
        )
    return path


def as_json(path: Path, items: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps(items))
    return path


def as_lines(path: Path, items: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps({**one, "score": 0.5}) + "\n" for one in items))
    return path


def places(found: list[Message | Problem]) -> list[str]:
    return [one.location for one in found]


def test_all_dumps_give_the_same_items(tmp_path: Path, memory: Memory) -> None:
    paths = [
        as_json(tmp_path / "a.json", ITEMS),
        as_lines(tmp_path / "a.jsonl", ITEMS),
        as_sqlite(tmp_path / "store.db", rows(ITEMS)),
        as_csv(tmp_path / "store.csv", rows(ITEMS)),
    ]
    assert [sniff(path) for path in paths] == ["langgraph"] * 4
    first, *others = [
        [
            (one.id, one.text, one.scope, one.metadata, one.occurred_at, one.recorded_at)
            for one in read(path)
            if isinstance(one, Message)
        ]
        for path in paths
    ]
    assert all(other == first for other in others)
    created_at, updated_at = datetime(2024, 5, 1, 10, tzinfo=UTC), datetime(2024, 5, 2, 11, 30, 0, 250_000, UTC)
    assert first[:2] == [
        (
            "langgraph:memories:alice:k1",
            "Likes tea",
            "memories/alice",
            {
                "kind": "Memory",
                "langgraph": {"namespace": ["memories", "alice"], "key": "k1", "field": "content.content"},
            },
            created_at,
            updated_at,
        ),
        (
            "langgraph:memories:alice:k2",
            'Said "no",\nthen left',
            "memories/alice",
            {"score": 0, "langgraph": {"namespace": ["memories", "alice"], "key": "k2", "field": "text"}},
            created_at,
            updated_at,
        ),
    ]
    assert (first[2][1], first[2][2]) == ('{"a": [1, 2], "b": {"c": "d"}}', "docs")
    assert [memory.import_(path).added for path in paths] == [3, 0, 0, 0]
    assert [hit.text for hit in memory.scope("memories/alice").search("tea", filters={"kind": "Memory"})] == [
        "Likes tea"
    ]


@given(
    st.lists(
        st.text(min_size=1, max_size=6) | st.sampled_from(["a/b", "50 %", " x", "e\u0301", "\u202e"]),
        min_size=1,
        max_size=3,
    )
)
def test_a_namespace_is_the_scope_that_our_own_store_keeps_it_in(labels: list[str]) -> None:
    assert scope_of(labels) == names.scope_of(tuple(labels))


def test_a_table_is_told_by_its_header_whatever_the_file_is_called(tmp_path: Path) -> None:
    path = as_csv(tmp_path / "3f8a", rows(ITEMS))
    assert len([one for one in read(path) if isinstance(one, Message)]) == 3
    squeezed = tmp_path / "77c0"
    squeezed.write_bytes(gzip.compress(path.read_bytes()))
    assert len([one for one in read(squeezed) if isinstance(one, Message)]) == 3


def test_an_item_that_is_changed_is_reported_and_the_first_one_kept(tmp_path: Path, memory: Memory) -> None:
    memory.import_(as_json(tmp_path / "a.json", ITEMS[:1]))
    changed = {**ITEMS[0], "value": {"content": "Likes coffee"}}
    done = memory.import_(as_json(tmp_path / "b.json", [changed]))
    assert (done.added, len(done.problems)) == (0, 1)
    assert "already names other content" in done.problems[0].reason
    assert memory.scope("memories/alice").list()[0].text == "Likes tea"


def test_the_database_is_left_as_it_was(tmp_path: Path) -> None:
    path = as_sqlite(tmp_path / "store.db", rows(ITEMS))
    before = path.read_bytes()
    assert len(list(read(path))) == 3
    assert ([one.name for one in tmp_path.iterdir()], path.read_bytes()) == (["store.db"], before)


def test_time_to_live_stays_with_the_item(tmp_path: Path) -> None:
    path = as_sqlite(tmp_path / "store.db", rows(ITEMS[:1]))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE store SET expires_at = '2024-05-03 00:00:00', ttl_minutes = 5.0")
    connection.close()
    (found,) = read(path)
    assert isinstance(found, Message)
    assert (found.metadata["langgraph"]["expires_at"], found.metadata["langgraph"]["ttl_minutes"]) == (
        "2024-05-03 00:00:00",
        5.0,
    )


def test_bad_items_are_named_with_their_place_and_the_rest_is_read(tmp_path: Path) -> None:
    good = ITEMS[0]
    bad: list[Any] = [
        {**good, "namespace": []},
        {**good, "namespace": ["a", ""]},
        {**good, "namespace": "a"},
        {**good, "value": "text"},
        {**good, "key": 7},
        [],
        {**good, "created_at": "never", "key": "k9"},
    ]
    found = list(read(as_json(tmp_path / "a.json", [*bad, good]), "langgraph"))
    assert places(found) == [*(f"a.json[{n}]" for n in range(6)), "a.json[6].created_at", "a.json[6]", "a.json[7]"]
    assert sum(isinstance(one, Problem) for one in found) == 7

    table = [("a", "k1", "{", AT, AT), ("a", "k2", "[" * 100_000, AT, AT), ("", "k3", "{}", AT, AT), *rows([good])]
    found = list(read(as_sqlite(tmp_path / "store.db", table), "langgraph"))
    assert places(found) == [f"store.db.store[{n}]" for n in range(4)]
    assert [isinstance(one, Problem) for one in found] == [True, True, True, False]


def test_a_bad_row_of_a_table_does_not_stop_the_next(tmp_path: Path) -> None:
    path = tmp_path / "store.csv"
    path.write_text(
        'prefix,key,value\na,k1,"{""text"": ""one""}"\na,k2\na,k3,x"y,z"\n\na,k4,"{""text"":\n""two""}"\r\na,k5,"{""text'
    )
    found = list(read(path))
    assert [one.text if isinstance(one, Message) else one.location for one in found] == [
        "one",
        "store.csv:3",
        "store.csv:4",
        "two",
        "store.csv:8",
    ]
    path.write_text("prefix,key\na,b\n")
    with pytest.raises(FormatError, match=r"no column value.*COPY store"):
        list(read(path, "langgraph"))


def test_a_long_row_is_passed_over_and_the_next_one_read(tmp_path: Path) -> None:
    long_value = json.dumps(dict.fromkeys(map(str, range(1000)), "x"), indent=1)
    path = as_csv(tmp_path / "store.csv", [("a", "k1", long_value, AT, AT), *rows(ITEMS[:1])])
    long, good = read(path, limits=Limits(entry_bytes=2000))
    assert isinstance(long, Problem)
    assert (long.location, long.reason) == ("store.csv:2", "The row is longer than 2000 characters.")
    assert isinstance(good, Message)
