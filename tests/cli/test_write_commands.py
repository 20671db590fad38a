"""add, import, export, forget, reindex."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import AsJson, Run


def test_add_reads_text_or_standard_input_and_keeps_what_it_is_told(run: Run, as_json: AsJson, db: Path) -> None:
    assert as_json("add", "Tea.", "--id", "a1")["results"][0] | {"origin": ""} == {
        "id": "a1",
        "memory": "Tea.",
        "event": "ADD",
        "origin": "",
    }
    run(
        "add",
        "-",
        "--id",
        "a2",
        "--role",
        "tool",
        "--scope",
        "acme",
        "-m",
        "n=3",
        "-m",
        '{"deep": {"a": [1]}}',
        stdin="piped\n",
    )
    one = as_json("show", "a2", "--scope", "acme")
    assert (one["text"], one["role"], one["metadata"]) == ("piped", "tool", {"n": 3, "deep": {"a": [1]}})


def test_add_again_with_the_same_id_is_harmless_and_another_text_is_refused(run: Run) -> None:
    run("add", "Tea.", "--id", "a1")
    assert "already" in run("add", "Tea.", "--id", "a1").stdout
    assert "other content" in run("add", "Coffee.", "--id", "a1", code=2).stderr


@pytest.mark.parametrize(
    "words",
    [
        ("add", "x", "--metadata", "novalue"),
        ("add", "x", "--metadata", "{broken"),
        ("add", "x", "--at", "teatime"),
        ("add", "x", "--scope", "a//b"),
        ("add", ""),
        ("search", "x", "--filter", "[1]"),
        ("search", "x", "--limit", "0"),
        ("search", "x", "--system", "nosuch"),
        ("import", "nowhere.json"),
        ("forget",),
        ("forget", "m1", "--everything"),
        ("nosuchcommand",),
    ],
)
def test_bad_input_is_exit_code_2_without_a_traceback(run: Run, words: tuple[str, ...]) -> None:
    run("add", "something")
    result = run(*words, code=2)
    assert result.stderr.strip()
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "words",
    [
        ("search", "x"),
        ("context", "x"),
        ("list",),
        ("show", "x"),
        ("stats",),
        ("audit",),
        ("export",),
        ("reindex",),
        ("forget", "x"),
    ],
)
def test_what_reads_refuses_a_missing_file_and_makes_none(run: Run, words: tuple[str, ...], db: Path) -> None:
    assert "There is no memory at" in run(*words, code=3).stderr
    assert list(db.parent.iterdir()) == []


def test_a_file_of_something_else_is_exit_code_3(run: Run, db: Path) -> None:
    db.write_bytes(b"not a database at all" * 100)
    assert "not a Mnemic store" in run("stats", code=3).stderr


def test_import_twice_changes_nothing_and_names_what_it_could_not_read(
    run: Run, as_json: AsJson, tmp_path: Path
) -> None:
    good = '{"role": "user", "content": "Hello there"}'
    (tmp_path / "chat.jsonl").write_text(f"{good}\n{{broken\n", "utf-8")
    first = as_json("import", "chat.jsonl", "--scope", "chat", code=1)
    assert (first["added"], len(first["problems"]), first["scopes"]) == (1, 1, {"chat": 1})
    again = run("import", "chat.jsonl", "--scope", "chat", code=1)
    assert "chat.jsonl:2" in again.stderr
    assert "Imported 0 episodes; 1 was there already; 1 could not be read." in again.stdout


@pytest.mark.usefixtures("story")
def test_an_export_imports_as_the_same_memory(run: Run, as_json: AsJson, tmp_path: Path) -> None:
    assert as_json("export", "out.jsonl")["episodes"] == 3
    assert "--force" in run("export", "out.jsonl", code=2).stderr
    run("export", "out.jsonl", "--force")
    assert not list(tmp_path.glob("*.part"))
    to_pipe = [json.loads(line) for line in run("export", "-").stdout.splitlines()]
    assert to_pipe == [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    run("import", "out.jsonl", "--db", "other.db", "--scope", "copy")
    copied = as_json("list", "--db", "other.db", "--scope", "copy")["episodes"]
    kept = as_json("list")["episodes"]
    assert [{**one, "scope": ""} for one in copied] == kept


@pytest.mark.usefixtures("story")
def test_forget_wants_yes_where_nobody_can_be_asked(run: Run, as_json: AsJson) -> None:
    refused = run("forget", "m2", code=2)
    assert "The door code is 8264." in refused.stderr
    assert "--yes" in refused.stderr
    assert len(as_json("list")["episodes"]) == 3


@pytest.mark.usefixtures("story")
def test_forget_gives_a_receipt_and_proves_it(run: Run, as_json: AsJson) -> None:
    assert as_json("forget", "m2", "--dry-run")["is_dry_run"] is True
    told = run("forget", "m2", "--yes", "--prove", "8264").stdout
    assert "Forgot 1 episode" in told
    assert "now it is in no file" in told
    assert [one["id"] for one in as_json("list")["episodes"]] == ["m1", "t1"]
    run("forget", "m2", "--yes", code=1)


@pytest.mark.usefixtures("story")
def test_a_text_that_something_else_holds_is_not_proved_gone(as_json: AsJson) -> None:
    as_json("add", "Remind me: 8264 is the code.", "--id", "m3")
    receipt = as_json("forget", "m2", "--yes", "--prove", "8264", code=1)
    assert receipt["episodes"] == 1
    assert receipt["prove"]["after"]


@pytest.mark.usefixtures("story")
def test_forget_by_session_and_everything(as_json: AsJson) -> None:
    assert as_json("forget", "--session", "one", "--yes")["ids"] == ["m1", "t1"]
    assert as_json("forget", "--everything", "--children", "--yes")["ids"] == ["m2"]


@pytest.mark.usefixtures("story")
def test_reindex_keeps_the_files_own_embedder_unless_another_is_named(
    as_json: AsJson, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MNEMIC_EMBEDDER")
    assert as_json("reindex") == {
        "embedded": 0,
        "embedder": "hashing/char3-5/1024/v1",
        "before": "hashing/char3-5/1024/v1",
    }
    assert as_json("reindex", "--again")["embedded"] == 3


@pytest.mark.usefixtures("story")
def test_a_memory_can_be_read_moved_and_forgotten_without_its_embedder(
    run: Run, db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mnemic.store.sqlite import SqliteStore

    store = SqliteStore(db)
    store.clear_vectors({"embedder": "someone-elses-model"})
    store.close()
    monkeypatch.delenv("MNEMIC_EMBEDDER")
    run("list")
    run("show", "m1")
    run("stats")
    run("audit")
    run("export", "-")
    run("forget", "m2", "--yes")
    assert "someone-elses-model" in run("search", "Porto", code=3).stderr
