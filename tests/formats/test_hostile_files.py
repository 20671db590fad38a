"""Files made to do harm: they cost little time and memory, write nothing, lead nowhere, and do not stop what is good."""

import gzip
import json
import os
import random
import sqlite3
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnemic import Memory
from mnemic.errors import FormatError, ParameterError
from mnemic.formats import FORMATS, Limits, Message, Problem, read, sniff
from mnemic.formats.sqlite_source import rows

TALK = '[{"uuid":"c","name":"n","created_at":"2024-05-01","chat_messages":[{"uuid":"m","sender":"human","text":"x","content":[]}]}]'
LINE = '{"role": "user", "content": "one"}\n'
NEW_FORMATS = ("graphiti", "langgraph", "letta", "mem0", "zep")


def packed(
    path: Path, *members: tuple[str | zipfile.ZipInfo, str | bytes], compression: int = zipfile.ZIP_DEFLATED
) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content, compression)
    return path


def texts(found: list[Message | Problem]) -> list[str]:
    return [one.text for one in found if isinstance(one, Message)]


def reasons(found: list[Message | Problem]) -> list[str]:
    return [f"{one.location}: {one.reason}" for one in found if isinstance(one, Problem)]


# -- archives ---------------------------------------------------------------------------------------------------


def test_a_member_that_unpacks_to_far_more_than_its_size_stops_early(tmp_path: Path) -> None:
    bomb = LINE.encode() + b" " * (40 << 20)
    limits = Limits(ratio_free_bytes=1 << 20)
    squeezed = tmp_path / "log.jsonl.gz"
    squeezed.write_bytes(gzip.compress(bomb))
    for path in (packed(tmp_path / "a.zip", ("log.jsonl", bomb)), squeezed):
        tracemalloc.start()
        try:
            found = list(read(path, "openai", limits=limits))
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert texts(found) == ["one"]
        assert "more than 200 times its size" in reasons(found)[0]
        assert peak_bytes < 16 << 20


def test_many_members_share_one_allowance(tmp_path: Path) -> None:
    noise = LINE + json.dumps({"role": "user", "content": os.urandom(3000).hex()}) + "\n"
    path = packed(tmp_path / "a.zip", *((f"{number}.jsonl", noise) for number in range(5)))
    found = list(read(path, "openai", limits=Limits(archive_bytes=2 * len(noise) + 10)))
    assert [one.location for one in found] == [
        *("a.zip/0.jsonl:1", "a.zip/0.jsonl:2", "a.zip/1.jsonl:1", "a.zip/1.jsonl:2"),
        "a.zip/2.jsonl:1",
        "a.zip",
    ]
    assert "The archive unpacks to more than" in reasons(found)[0]
    assert "The members after this one were not read" in reasons(found)[1]


def test_an_archive_of_too_many_members_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", *((f"{number}.jsonl", LINE) for number in range(20)))
    with pytest.raises(FormatError, match="more than 19 files"):
        list(read(path, "openai", limits=Limits(members=19)))
    assert len(list(read(path, "openai", limits=Limits(members=20)))) == 20


@pytest.mark.parametrize("is_large", [False, True])
def test_a_directory_too_large_to_load_is_refused_before_it_is_loaded(tmp_path: Path, is_large: bool) -> None:
    claimed = 3 << 30
    path = tmp_path / "a.zip"
    content = packed(tmp_path / "b.zip", ("log.jsonl", LINE)).read_bytes()
    body, end = content[:-22], bytearray(content[-22:])
    struct.pack_into("<L", end, 12, 0xFFFFFFFF if is_large else claimed)
    if is_large:
        record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, claimed, 0)
        body += record + struct.pack("<4sLQL", b"PK\x06\x07", 0, len(body), 1)
    path.write_bytes(body + bytes(end))
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="holds more than 1000 files"):
            list(read(path, "openai", limits=Limits(members=1000)))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 << 20


@pytest.mark.parametrize(
    "name",
    [
        "../conversations.json",
        "a/../../conversations.json",
        "/etc/conversations.json",
        "..\\..\\/conversations.json",
        "C:/conversations.json",
        "\x1b[2J/conversations.json",
        "x" * 1200 + "/conversations.json",
    ],
)
def test_names_that_lead_elsewhere_are_refused_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    path = packed(inside / "a.zip", (name, TALK), ("good/conversations.json", TALK))
    found = list(read(path))
    assert (texts(found), len(reasons(found))) == (["x"], 1)
    assert all("\x1b" not in str(one) and "\n" not in str(one) for one in found if isinstance(one, Problem))
    assert sorted(one.relative_to(tmp_path).as_posix() for one in tmp_path.rglob("*")) == ["in", "in/a.zip"]


def test_a_name_with_a_nul_is_not_taken_for_what_stands_before_it(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", ("conversations.json#.exe", TALK))
    path.write_bytes(path.read_bytes().replace(b"json#", b"json\0"))
    assert [isinstance(one, Problem) for one in read(path, "claude")] == [True]


def test_links_in_an_archive_are_not_followed(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("conversations.json")
    link.external_attr = 0o120777 << 16
    (problem,) = read(packed(tmp_path / "a.zip", (link, "/etc/passwd")), "claude")
    assert isinstance(problem, Problem)
    assert "symbolic link" in problem.reason


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_that_unpack_without_a_bound_are_refused(tmp_path: Path, compression: int) -> None:
    (problem,) = read(packed(tmp_path / "a.zip", ("conversations.json", TALK), compression=compression), "claude")
    assert isinstance(problem, Problem)
    assert "Its compression is not deflate" in problem.reason


def test_encrypted_members_are_named(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", ("conversations.json", TALK))
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    (problem,) = read(path, "claude")
    assert isinstance(problem, Problem)
    assert "cannot be unpacked" in problem.reason


def test_an_archive_within_an_archive_is_not_opened_but_named(tmp_path: Path) -> None:
    inner = packed(tmp_path / "inner.zip", ("conversations.json", TALK))
    path = packed(tmp_path / "a.zip", ("inner.zip", inner.read_bytes()))
    with pytest.raises(FormatError, match=r"Unpack 'inner\.zip' in it"):
        list(read(path, "claude"))
    twice = tmp_path / "twice.jsonl.gz"
    twice.write_bytes(gzip.compress(gzip.compress((LINE * 1000).encode())))
    assert texts(list(read(twice, "openai"))) == []


def test_one_member_in_another_encoding_does_not_stop_the_others(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", ("1.jsonl", LINE.encode("utf-16")), ("2.jsonl", b"\xef\xbb\xbf" + LINE.encode()))
    found = list(read(path, "openai"))
    assert (texts(found), len(reasons(found))) == (["one"], 1)
    assert "Save it as UTF-8" in reasons(found)[0]


# -- folders ----------------------------------------------------------------------------------------------------


def test_links_in_a_folder_are_reported_and_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text("# 2024-05-01\n\nsecret\n")
    notes = tmp_path / "notes"
    (notes / "sub").mkdir(parents=True)
    (notes / "sub" / "day.md").write_text("good\n")
    (notes / "link.md").symlink_to(secret)
    (notes / "dangling.md").symlink_to(tmp_path / "nowhere.md")
    (notes / "loop").symlink_to(notes)
    (notes / ".hidden").symlink_to(notes)
    found = list(read(notes))
    assert texts(found) == ["good"]
    assert sorted(one.split(":")[0] for one in reasons(found)) == ["dangling.md", "link.md", "loop"]

    exports = tmp_path / "exports"
    exports.mkdir()
    (exports / "conversations.json").symlink_to(secret)
    (exports / "conversations-1.json").write_text(json.dumps([{"mapping": {}}]))
    assert texts(list(read(exports, "chatgpt"))) == []
    assert "conversations.json: It is a symbolic link" in reasons(list(read(exports, "chatgpt")))[0]
    assert texts(list(read(notes / "link.md"))) == ["secret"]  # what a person names is followed


def test_folders_deeper_than_anyone_makes_are_reported(tmp_path: Path) -> None:
    deepest = tmp_path.joinpath(*["a"] * 80)
    deepest.mkdir(parents=True)
    (deepest / "x.md").write_text("deep\n")
    (tmp_path / "y.md").write_text("near\n")
    found = list(read(tmp_path, "markdown"))
    assert texts(found) == ["near"]
    assert "deeper than 64 levels" in reasons(found)[0]


def test_a_folder_of_too_many_files_ends_in_a_problem(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.md").write_text(f"note {number}\n")
    found = list(read(tmp_path, "markdown", limits=Limits(members=3)))
    assert texts(found) == ["note 0", "note 1", "note 2"]
    assert "more than 3 files" in reasons(found)[0]


def test_a_file_whose_name_is_no_text_can_be_reported(tmp_path: Path) -> None:
    name = os.fsdecode(b"bad\xff\x1b[2Jname.jsonl")
    (tmp_path / name).write_text(LINE + "{")
    *_, problem = read(tmp_path / name, "openai")
    json.dumps(problem.location, ensure_ascii=False).encode()
    assert "\x1b" not in problem.location


# -- content ----------------------------------------------------------------------------------------------------

DEEP = [
    "[" * 3000 + "]" * 3000,
    '{"a":' * 3000 + "1" + "}" * 3000,
    "[" * 900 + "]" * 900,
    '{"a":' * 300 + "1" + "}" * 300,
]


@pytest.mark.parametrize("name", sorted(FORMATS))
@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
@pytest.mark.parametrize(
    "shape",
    [
        "%s",
        '{"results": %s}',
        '{"results": [%s]}',
        '{"messages": [{"role": "user", "content": %s}]}',
        '{"memory": "x", "metadata": %s}',
        '{"key": %s, "results": [{"memory": "x"}]}',
        '[{"namespace": ["a"], "key": "k", "value": {"v": %s}}]',
        '[{"fact": "x", "attributes": %s}]',
        '[{"label": "x", "value": "y", "metadata": %s}]',
        '[{"chat_messages": [{"sender": "human", "content": [%s]}]}]',
        '[{"mapping": {"n": {"message": %s}}}]',
    ],
)
def test_depth_without_end_is_a_problem(tmp_path: Path, name: str, suffix: str, shape: str) -> None:
    path = tmp_path / f"file{suffix}"
    for deep in DEEP:
        path.write_text(shape % deep + "\n")
        try:
            found = list(read(path, name))
        except FormatError:
            continue
        for one in found:
            str(one).encode() if isinstance(one, Problem) else json.dumps([one.text, one.metadata, one.parts])


@pytest.mark.parametrize("name", sorted(FORMATS))
@pytest.mark.parametrize(
    "unit",
    [
        b"\0",
        b'"',
        b"[",
        b"\n",
        *(pytest.param(one, marks=pytest.mark.slow) for one in (b"a", b"{", b"\xff", b"> ", b"a: b\n")),
    ],
)
def test_a_line_without_end_takes_no_more_memory_than_the_bound(tmp_path: Path, name: str, unit: bytes) -> None:
    path = tmp_path / ("file.json" if unit in (b"[", b"{", b'"') else "file.jsonl")
    n_bytes = 1 << 15 if unit.endswith(b"\n") else 16 << 20
    path.write_bytes(LINE.encode() + unit * (n_bytes // len(unit)))
    tracemalloc.start()
    try:
        n_found = 0
        for one in read(path, name, limits=Limits(entry_bytes=1 << 16)):
            n_found += isinstance(one, Message)
            if n_found > 3000:
                break  # many short messages are no harm
    except FormatError:
        pass
    finally:
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak_bytes < 8 << 20


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_line_of_gigabytes_is_passed_over(tmp_path: Path, name: str) -> None:
    path = tmp_path / "file.jsonl"
    with path.open("wb") as file:
        file.truncate(2 << 30)  # a hole, which reads as NUL
    try:
        found = list(read(path, name))
    except FormatError:
        return
    assert texts(found) == [] or len(found) < 5000


known = st.sampled_from(
    [
        "id",
        "uuid",
        "memory",
        "data",
        "metadata",
        "user_id",
        "agent_id",
        "run_id",
        "app_id",
        "created_at",
        "updated_at",
        "role",
        "role_type",
        "content",
        "text",
        "fact",
        "facts",
        "valid_at",
        "group_id",
        "session_id",
        "messages",
        "results",
        "items",
        "sessions",
        "users",
        "edges",
        "episodes",
        "nodes",
        "agents",
        "blocks",
        "block_ids",
        "name",
        "label",
        "labels",
        "value",
        "key",
        "namespace",
        "prefix",
        "tools",
        "tool_calls",
        "message_type",
        "properties",
        "type",
        "summary",
        "system",
        "core_memory",
        "passages",
        "is_deleted",
        "relations",
        "function",
        "arguments",
        "reasoning",
        "date",
    ]
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(
        ["2024-05-01", "send_message", "node", "relationship", "user_message", "a/b", "\0", "\ud83d", "Entity", " "]
    )
)
nested = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(known, inner, max_size=5),
    max_leaves=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.dictionaries(known, nested, min_size=1, max_size=6)
    | st.lists(st.dictionaries(known, nested, max_size=6), max_size=3)
)
@pytest.mark.parametrize("name", NEW_FORMATS)
def test_any_json_is_read_to_the_end_and_the_same_twice(tmp_path: Path, name: str, value: Any) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(value))
    found = list(read(path, name))
    assert found == list(read(path, name))
    for one in found:
        if isinstance(one, Message):
            kept = [one.text, one.id, one.actor, one.role, one.session, one.scope, one.metadata, one.parts]
            json.dumps(kept, allow_nan=False, ensure_ascii=False).encode()
            assert one.text.strip() or one.parts
        else:
            str(one).encode()


@pytest.mark.parametrize("name", NEW_FORMATS)
def test_what_gets_past_a_reader_gets_past_the_memory_or_is_reported(
    tmp_path: Path, name: str, open_memory: Callable[..., Memory]
) -> None:
    bad = {"a\0": "\0", "b\u202e": "x" * 2000}
    row = {
        "id": "1",
        "uuid": "u\0",
        "memory": "kept \0 text",
        "fact": "kept",
        "key": "k\0",
        "namespace": ["a\0"],
        "value": bad,
    }
    row |= {
        "text": "kept",
        "metadata": bad,
        "session_id": "s" * 2000,
        "run_id": "r\0",
        "actor_id": "\x1b[2J",
        "label": "l",
    }
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(row) + "\n")
    memory = open_memory()
    done = memory.import_(path, name)
    assert done.added + len(done.problems) >= 1
    assert memory.import_(path, name).added == 0


def test_a_row_longer_than_the_bound_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a TEXT, b TEXT GENERATED ALWAYS AS (hex(zeroblob(40000000))) VIRTUAL)")
        connection.executemany("INSERT INTO t (a) VALUES (?)", [("x",), ("y" * 100_000,)])
    connection.close()
    first, second = rows(path, "t", ("a",), Limits(entry_bytes=50_000))
    assert not isinstance(first, Problem)
    assert first.value == {"a": "x"}  # the computed column was not asked for
    assert isinstance(second, Problem)


def test_damaged_databases_raise_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE store (prefix text, key text, value text)")
        connection.executemany(
            "INSERT INTO store VALUES (?, ?, ?)", [("a.b", f"k{n}", json.dumps({"text": "x" * 50})) for n in range(200)]
        )
    connection.close()
    whole, draw = path.read_bytes(), random.Random(7)
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(draw.randint(1, 20)):
            content[draw.randrange(16, len(content))] = draw.randrange(256)
        path.write_bytes(content[: draw.choice([len(content), draw.randrange(100, len(content))])])
        sniff(path)
        for name in ("langgraph", "mem0"):
            try:
                for one in read(path, name):
                    str(one).encode("utf-8", "surrogatepass")
            except FormatError:
                continue
    assert [one.name for one in tmp_path.iterdir()] == ["a.db"]


def test_limits_are_whole_numbers_above_zero() -> None:
    with pytest.raises(ParameterError, match="members=0"):
        Limits(members=0)
