"""`mnemic bench` as a person meets it: help, tables, errors with a remedy, and a run that was killed and goes on."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bench.tiny import SAMPLES, TINY
from mnemic.bench import registry
from mnemic.bench.dataset import Dataset, File
from mnemic.bench.download import data_folder
from mnemic.bench.results import Results
from mnemic.bench.spec import CONTROLS
from mnemic.cli.main import app
from mnemic.testing import ScriptedLLM

TESTS = Path(__file__).parents[1]
SCRIPT = """
import sys, time
from mnemic.bench.registry import DATASETS
from mnemic.bench.results import Results
from mnemic.cli.main import run

DATASETS["tiny"] = "bench.tiny:TINY"
if sys.argv[1:2] == ["--slow"]:
    del sys.argv[1]
    save = Results.save
    Results.save = lambda self, *rows, **more: (save(self, *rows, **more), time.sleep(0.03))[0]
run()
"""


@pytest.fixture(autouse=True)
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny dataset is known, and everything is written to a folder of the test's own."""
    monkeypatch.setitem(registry.DATASETS, "tiny", "bench.tiny:TINY")
    monkeypatch.setenv("MNEMIC_EMBEDDER", "hashing")
    monkeypatch.delenv("MNEMIC_SHARED_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def bench(*words: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["bench", *words])
    assert result.exit_code == code, f"{words}: {result.exit_code}: {result.output} {result.exception!r}"
    return result


def offering(monkeypatch: pytest.MonkeyPatch, *files: File) -> Dataset:
    """The tiny dataset with files to fetch."""
    variant = replace(TINY.variants[0], files=files)
    monkeypatch.setattr("bench.tiny.TINY", made := replace(TINY, variants=(variant,)))
    return made


def rows(path: Path) -> list[Any]:
    with Results(path, must_exist=True) as results:
        return [asdict(replace(one, run="", elapsed_ms=0.0)) for one in results.asked("tiny")]


# -- running --------------------------------------------------------------------------------------------------


def test_systems_ask_the_model_that_is_named_and_none_where_none_is(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openai")
    words = ("tiny", "--system", "mem0", "--samples", "1")
    with ScriptedLLM() as llm:
        llm.answers({"facts": []})
        spec = f"openai:scripted?base_url={llm.base_url}"
        monkeypatch.setenv("MNEMIC_LLM", spec)
        assert "mem0: without a model" in bench(*words).output
        assert llm.requests == []
        assert "mem0: with openai:scripted" in bench(*words, "--system-llm", spec).output
        assert len(llm.requests) > 0
    assert "not a language model" in bench(*words, "--system-llm", "gpt", code=2).output


def test_a_first_word_that_is_no_command_is_the_dataset() -> None:
    shown = bench("tiny", "--system", "hybrid,hybrid:time=0", "--k", "1,5", "--samples", "1", "--depth", "10").stdout
    lines = {line.split()[0]: line for line in shown.splitlines() if line.strip()}
    assert {"hybrid", "hybrid:time=0", *CONTROLS} <= set(lines)
    assert "recall@5" in lines["system"]
    assert "mnemic bench report mnemic-bench.sqlite" in shown
    assert Path("mnemic-bench.sqlite").exists()


def test_json_has_means_with_their_denominators_and_nothing_else() -> None:
    printed = json.loads(bench("tiny", "--depth", "10", "--json", "--out", "r.sqlite").stdout)
    assert printed["dataset"] == "tiny"
    assert printed["figures"]["oracle"]["recall@5"] == {"mean": 1.0, "n": 4 * SAMPLES}
    assert any("covers more than a tenth" in one for one in printed["warnings"])


def test_the_report_and_the_rows_come_from_the_file_of_results() -> None:
    bench("tiny", "--out", "r.sqlite", "--limit", "3", "--depth", "10")
    shown = bench("report", "r.sqlite", "--rows", "rows.jsonl").stdout
    assert "| oracle |" in shown
    assert len(Path("rows.jsonl").read_text().splitlines()) == 3 * len(CONTROLS)
    bench("report", "r.sqlite", "--markdown", "r.md", "--html", "r.html")
    assert Path("r.md").read_text() == shown
    assert Path("r.html").read_text().startswith("<!")
    assert "no results at missing.sqlite" in bench("report", "missing.sqlite", code=2).stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["locmo"], "Did you mean 'locomo'?"),
        (["tiny/huge"], "has no variant 'huge'"),
        (["tiny", "--system", "hybird"], "Did you mean 'hybrid'?"),
        (["tiny", "--system", "hybrid:tmie=0"], "has no parameter tmie"),
        (["tiny", "--k", "five"], "give numbers of hits, such as 5,10,20"),
        (["tiny", "--k", "99"], "deeper than --depth 50"),
    ],
)
def test_a_mistake_is_answered_with_what_to_do(words: list[str], said: str) -> None:
    assert said in bench(*words, code=2).stderr


def test_help_teaches_a_run_by_example() -> None:
    assert "Example: mnemic bench locomo" in bench("--help").stdout
    for words in (["locomo", "--help"], ["report", "--help"], ["datasets", "--help"], ["download", "--help"]):
        assert "Example: mnemic bench" in bench(*words).stdout
    shown = bench("locomo", "--help").stdout
    assert all(
        option in shown for option in ("--system", "--k", "--depth", "--limit", "--jobs", "--budget", "--keep-logs")
    )


# -- files ----------------------------------------------------------------------------------------------------


def test_a_missing_file_is_named_with_the_command_that_fetches_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offering(monkeypatch, File(path="tiny/one.json", url="file:///nowhere"))
    said = bench("tiny", "--data", str(tmp_path), code=2).stderr
    assert f"{tmp_path}/tiny/one.json" in said
    assert f"mnemic bench download tiny --data {tmp_path}" in said


def test_data_is_looked_for_as_given_then_by_the_variable_then_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert data_folder(tmp_path / "given") == tmp_path / "given"
    monkeypatch.setenv("MNEMIC_SHARED_DATA", str(tmp_path / "named"))
    assert data_folder() == tmp_path / "named"


def test_download_fetches_checks_and_says_what_has_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "origin.json").write_text("{}")
    digest = sha256(b"{}").hexdigest()
    url = (tmp_path / "origin.json").as_uri()
    offering(monkeypatch, File(path="tiny/a.json", sha256=digest, url=url), File(path="tiny/b.json"))
    shown = bench("download", "tiny", "--data", "data", code=1)
    assert Path("data/tiny/a.json").read_text() == "{}"
    assert "no address" in shown.stdout
    assert "made for the tests" in shown.stderr
    assert json.loads(bench("download", "tiny", "--data", "data", "--json", code=1).stdout) == {
        "tiny/a.json": "there",
        "tiny/b.json": "no address",
    }


def test_a_file_with_another_checksum_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "origin.json").write_text("forged")
    url = (tmp_path / "origin.json").as_uri()
    offering(monkeypatch, File(path="tiny/a.json", sha256="0" * 64, url=url))
    assert "not 0000" in bench("download", "tiny", "--data", "data", code=2).stderr
    assert list(Path("data/tiny").iterdir()) == []
    offering(monkeypatch, File(path="tiny/a.json", url="file:///nowhere/at/all"))
    assert "does not answer" in bench("download", "tiny", "--data", "data", code=2).stderr


def test_the_table_of_datasets_has_counts_licences_and_whether_the_files_are_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "DATASETS", {"tiny": "bench.tiny:TINY"})
    (row,) = json.loads(bench("datasets", "--json").stdout)
    assert row == {
        "id": "tiny",
        "title": "Tiny households",
        "samples": 4,
        "turns": 128,
        "questions": 28,
        "licence": "CC0",
        "files": "here",
    }
    assert "Tiny households" in bench("datasets").stdout


# -- as a process ---------------------------------------------------------------------------------------------

posix = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")


def command(*words: str) -> list[str]:
    return [sys.executable, "-c", SCRIPT, *words]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(TESTS), "MNEMIC_EMBEDDER": "hashing"}


def n_ingested(path: Path) -> int:
    if not path.exists():
        return 0
    database = sqlite3.connect(path)
    try:
        return int(database.execute("SELECT count(*) FROM ingested").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        database.close()


@posix
def test_a_run_that_is_killed_loses_no_sample_that_was_done_and_goes_on(tmp_path: Path) -> None:
    words = ("bench", "tiny", "--depth", "10", "--samples", "2", "--out", "r.sqlite")
    process = subprocess.Popen(command("--slow", *words), env=environment(), stdout=subprocess.DEVNULL)
    path = tmp_path / "r.sqlite"
    deadline = time.monotonic() + 60
    while n_ingested(path) < len(CONTROLS) + 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    kept = rows(path)
    n = n_ingested(path)
    assert len(CONTROLS) + 2 <= n < 2 * len(CONTROLS)
    assert len(kept) == 7 * n  # whole samples only
    done = subprocess.run(command(*words, "--json"), env=environment(), capture_output=True, timeout=120, check=True)
    assert json.loads(done.stdout)["figures"]["oracle"]["recall@5"]["n"] == 4 * 2
    bench("tiny", "--depth", "10", "--samples", "2", "--out", "whole.sqlite")
    assert rows(path) == rows(tmp_path / "whole.sqlite")
    assert all(row in rows(path) for row in kept)
    assert not Path("r.sqlite.work").exists()


@posix
@pytest.mark.slow
def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    words = ("bench", "tiny", "--depth", "10", "--jobs", "2", "--out", "r.sqlite")
    process = subprocess.Popen(command(*words), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 60
    while n_ingested(tmp_path / "r.sqlite") < 1 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.stdout is not None
    process.stdout.read()  # its end comes when the last process that holds it is gone
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    subprocess.run(command(*words), env=environment(), capture_output=True, timeout=120, check=True)
    assert n_ingested(tmp_path / "r.sqlite") == SAMPLES * len(CONTROLS)
