"""stats, systems, doctor, audit; and the demo."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnemic.models import resolve, weights
from mnemic.systems.registry import SYSTEMS

from .conftest import AsJson, Run


@pytest.mark.usefixtures("story")
def test_stats_counts_the_scope(run: Run, as_json: AsJson) -> None:
    run("add", "Elsewhere.", "--scope", "acme")
    assert as_json("stats")["episodes"] == 4
    assert as_json("stats", "--scope", "acme")["episodes"] == 1
    assert as_json("stats")["by_scope"] == {"": 3, "acme": 1}
    assert "hashing/char3-5/1024/v1" in run("stats").stdout


def test_systems_are_listed_from_their_cards(run: Run, as_json: AsJson) -> None:
    cards = as_json("systems")
    assert [card["id"] for card in cards] == list(SYSTEMS)
    assert [card["id"] for card in cards if card["is_default"]] == ["hybrid"]
    shown = run("systems").stdout
    assert all(card["summary"] in shown for card in cards)


@pytest.mark.usefixtures("story")
def test_doctor_is_content_with_a_sound_memory(run: Run, as_json: AsJson, db: Path) -> None:
    assert as_json("doctor")["is_sound"] is True
    assert "integrity" in run("doctor", str(db)).stdout


def test_doctor_exits_with_1_when_something_is_bad(run: Run, as_json: AsJson) -> None:
    assert as_json("doctor", code=1)["is_sound"] is False
    assert run("doctor", code=1).stdout.startswith("bad  file")


@pytest.mark.usefixtures("story")
def test_audit_shows_shares_with_examples(run: Run, as_json: AsJson) -> None:
    run("add", "i moved to porto in march", "--id", "again")
    assert as_json("audit")["duplicates"]["count"] == 1
    shown = run("audit").stdout
    assert "said again, word for word" in shown
    assert "repeats m1" in shown
    assert "Growth: 4 recorded" in shown


def test_the_demo_tells_what_happened_and_leaves_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    told = run("demo").stdout
    for scene in ("1  Remember", "2  Ask", "3  Ask what was known then", "4  No echo", "5  Forget", "6  Your turn"):
        assert scene in told
    assert "383 messages" in told
    assert "stands in no file of the store" in told
    assert "same scores as before" in told
    assert all(line == line.rstrip() and len(line) <= 100 for line in told.splitlines())
    assert list(temporary.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["tmp"]


def test_the_demo_as_json_is_what_was_told(as_json: AsJson, tmp_path: Path) -> None:
    told = as_json("demo", "--keep", "here")
    assert told["remember"]["messages"] == 383
    assert len(told["ask"]) == 5
    assert all(len(one["top"]) == 3 for one in told["ask"])
    as_of = told["as_said"]["as_of"]
    assert all(hit["created_at"][:10] <= as_of[:10] for hit in told["as_said"]["then"]["top"])
    assert told["echo"]["echo_of"]
    assert told["echo"]["scores_unchanged"] is True
    assert told["forget"]["files_before"]
    assert told["forget"]["is_gone"] is True
    assert told["all_questions"]["asked"] == 38
    assert (tmp_path / "here" / "demo.db").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"here"}


def test_the_demo_keeps_no_one_elses_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "demo.db").write_text("precious")
    assert "there already" in run("demo", "--keep", ".", code=2).stderr
    assert (tmp_path / "demo.db").read_text() == "precious"


def test_the_demo_names_the_one_command_that_makes_recall_semantic(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MNEMIC_EMBEDDER")
    monkeypatch.setattr(resolve, "find_weights", lambda: None)
    told = " ".join(run("demo").stdout.split())
    assert "Recall is lexical only" in told
    assert weights.INSTALL_WEIGHTS in told


def test_a_warning_of_the_library_is_one_note_on_standard_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MNEMIC_EMBEDDER")
    monkeypatch.setattr(resolve, "find_weights", lambda: None)
    result = run("add", "Tea.", "--json")
    assert result.stderr.startswith("Note: The weights of all-MiniLM-L6-v2 are not on this machine")
    assert result.stderr.count("\n") == 1
