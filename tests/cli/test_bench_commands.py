"""What `mnemic bench` and `mnemic compare` print: honest counts, no NaN, and where evidence was after all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mnemic.bench import registry
from mnemic.bench.compare import Seen
from mnemic.bench.results import Results
from mnemic.cli import compare
from mnemic.cli.main import app


@pytest.fixture(autouse=True)
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny dataset is known, and everything is written to a folder of the test's own."""
    monkeypatch.setitem(registry.DATASETS, "tiny", "bench.tiny:TINY")
    monkeypatch.setenv("MNEMIC_EMBEDDER", "hashing")
    monkeypatch.chdir(tmp_path)


def bench(*words: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["bench", *words])
    assert result.exit_code == code, f"{words}: {result.exit_code}: {result.output} {result.exception!r}"
    return result


def test_each_system_stands_with_the_number_of_its_own_questions() -> None:
    bench("tiny", "--system", "hybrid", "--limit", "1")
    result = bench("tiny", "--limit", "3")
    n = {line.split()[0]: line.split()[1] for line in result.stdout.splitlines() if line.strip()}
    assert (n["hybrid"], n["bm25"]) == ("1", "3")
    assert "Not all systems were asked all 3 questions: hybrid 1" in result.stderr


def test_what_was_there_is_said_when_a_run_is_repeated() -> None:
    assert "measured before" not in bench("tiny", "--limit", "1").stderr
    assert "9 of 9 pairs of a system and a sample were measured before" in bench("tiny", "--limit", "1").stderr


def test_questions_counted_apart_are_said_and_json_has_no_nan() -> None:
    bench("tiny", "--samples", "1")
    result = bench("tiny", "--samples", "1", "--json")
    figures = json.loads(result.stdout, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert any("counted apart and in no mean" in one for one in figures["warnings"])


def test_a_dataset_is_described_with_its_categories_and_traps() -> None:
    shown = bench("datasets", "locomo").stdout
    assert all(part in shown for part in ("locomo/ten", "1 multi-hop (142)", "CC BY-NC", "adversarial: "))
    assert [row["id"] for row in json.loads(bench("datasets", "locomo", "--json").stdout)] == [
        "locomo/five",
        "locomo/ten",
    ]
    assert "Did you mean 'locomo'?" in bench("datasets", "lokomo", code=2).stderr


def test_a_report_of_results_without_rrf_compares_with_what_was_named_first(tmp_path: Path) -> None:
    log = ["--db", "log.db"]
    for at in range(3):
        CliRunner().invoke(app, ["add", f"The key number {at} is under the mat.", "--id", f"m{at}", *log])
    Path("q.jsonl").write_text('{"question": "Where is key number 2?", "evidence": ["m2"]}')
    words = ["compare", "--systems", "bm25,recent", "--questions", "q.jsonl", "--out", "r.sqlite", *log]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert "less that of bm25" in bench("report", "r.sqlite").stdout


def test_a_folder_is_no_file_of_results(tmp_path: Path) -> None:
    assert "is a folder" in bench("tiny", "--out", str(tmp_path), code=2).stderr


def test_results_that_may_not_be_written_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    bench("tiny", "--limit", "1", "--out", "r.sqlite")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with Results("r.sqlite", must_exist=True) as results:
        assert len(results.systems("tiny")) == 9
    assert sorted(os.listdir()) == ["r.sqlite"]


def test_the_first_evidence_is_shown_with_its_rank_however_far_down() -> None:
    seen = [
        Seen(text=f"{at}", speaker="Ann", occurred_at="2024-01-01", is_evidence=at in (6, 8)) for at in range(1, 10)
    ]
    assert [(rank, one.text) for rank, one in compare._first(seen)] == [(1, "1"), (2, "2"), (3, "3"), (6, "6")]
    assert [rank for rank, _ in compare._first(seen[5:])] == [1, 2, 3]
