"""The file of results keeps what it is given, whole or not at all, and gives it back in the dataset's order."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from mnemic.bench.results import Asked, Found, Ingested, Results, Run, Text
from mnemic.errors import ParameterError

ASKED = Asked(
    run="r1",
    dataset="tiny/small",
    system="bm25",
    sample="s",
    question="q1",
    text="Où est la clé?",
    category="1",
    task="recall",
    evidence=("t1", "t2"),
    corrected=("t1",),
    found=(Found(turns=("t1", "t9"), score=0.5, tokens=12), Found(turns=("t3",), score=0.25, tokens=7)),
    scores={"recall@5": 0.5, "corrected:recall@5": 1.0},
    confidence=0.5,
    elapsed_ms=1.25,
    context_tokens=19,
    context_turns=("t1", "t3"),
    extra={"answers": ["ici"], "error": "sic"},
)
INGESTED = Ingested(
    run="r1",
    dataset="tiny/small",
    system="bm25",
    sample="s",
    turns=9,
    sessions=2,
    tokens=99,
    log_s=0.5,
    system_s=0.25,
    bytes=4096,
    failures=0,
    llm_calls=1,
    llm_tokens=50,
    peak_rss_bytes=1,
)
RUN = Run(
    id="r1",
    dataset="tiny/small",
    began_at="2024-05-01T12:00:00+00:00",
    version="0.1",
    settings={"systems": ["rrf", "bm25"], "k": [5], "seed": 0},
)


@pytest.fixture
def results(tmp_path: Path) -> Results:
    with Results(tmp_path / "r.sqlite") as made:
        yield made


def of(system: str, sample: str, *questions: str) -> tuple[Ingested, list[Asked]]:
    rows = [replace(ASKED, system=system, sample=sample, question=question) for question in questions]
    return replace(INGESTED, system=system, sample=sample), rows


def test_what_was_saved_is_read_back_whole_by_another_process_of_reading(results: Results) -> None:
    results.begin(RUN)
    results.save(INGESTED, [ASKED], state="abc")
    with Results(results.path, must_exist=True) as again:
        assert again.runs() == [RUN]
        assert again.datasets() == ["tiny/small"]
        assert again.systems("tiny/small") == ["bm25"]
        assert again.asked("tiny/small") == again.asked("tiny/small", "bm25") == [ASKED]
        assert again.ingested("tiny/small") == [INGESTED]
        assert again.state("tiny/small", "bm25", "s") == "abc"
        assert again.state("tiny/small", "rrf", "s") is None
        assert again.asked("other") == again.asked("tiny/small", "rrf") == []


def test_rows_come_in_the_order_of_the_dataset_whatever_the_order_of_saving(results: Results) -> None:
    for place, sample in ((2, "c"), (0, "a"), (1, "b")):
        results.save(*of("bm25", sample, "q2", "q1"), place=place)
    order = [(one.sample, one.question) for one in results.asked("tiny/small")]
    assert order == [("a", "q2"), ("a", "q1"), ("b", "q2"), ("b", "q1"), ("c", "q2"), ("c", "q1")]
    assert [one.sample for one in results.ingested("tiny/small")] == ["a", "b", "c"]


def test_systems_come_in_the_order_in_which_they_were_named(results: Results) -> None:
    for system in ("bm25", "dense", "rrf"):
        results.save(*of(system, "s", "q"))
    results.begin(RUN)
    assert results.systems("tiny/small") == ["rrf", "bm25", "dense"]


def test_saving_a_sample_again_replaces_it(results: Results) -> None:
    results.save(*of("bm25", "s", "q1", "q2"), state="old")
    results.save(*of("bm25", "s", "q3"), state="new")
    assert [one.question for one in results.asked("tiny/small")] == ["q3"]
    assert len(results.ingested("tiny/small")) == 1
    assert results.state("tiny/small", "bm25", "s") == "new"


def test_a_save_that_fails_leaves_what_was_there(results: Results) -> None:
    results.save(*of("bm25", "s", "q1"), state="old")
    with pytest.raises(sqlite3.IntegrityError):
        results.save(*of("bm25", "s", "q2", "q2"), state="new")
    assert [one.question for one in results.asked("tiny/small")] == ["q1"]
    assert results.state("tiny/small", "bm25", "s") == "old"


def test_a_row_can_be_given_an_answer_later(results: Results) -> None:
    results.save(INGESTED, [ASKED])
    answered = replace(ASKED, scores={**ASKED.scores, "answer_f1": 0.5}, extra={"answer": "là"})
    results.update([answered])
    assert results.asked("tiny/small") == [answered]
    with pytest.raises(ParameterError, match="Save it first"):
        results.update([replace(ASKED, question="q9")])


def test_a_system_that_failed_has_an_error_and_no_numbers_until_it_passes(results: Results) -> None:
    results.save(*of("bm25", "s", "q"))
    results.save(*of("rrf", "s", "q"))
    results.warn("tiny/small", "wide", "k is wide")
    results.fail("tiny/small", "bm25", "it gave 3 hits for 1")
    assert results.systems("tiny/small") == ["rrf"]
    assert {one.system for one in results.asked("tiny/small")} == {"rrf"}
    assert results.asked("tiny/small", "bm25") == results.ingested("tiny/small", "bm25") == []
    assert results.warnings("tiny/small") == ["k is wide", "bm25 gives no numbers: it gave 3 hits for 1"]
    results.fail("tiny/small", "bm25", None)
    results.warn("tiny/small", "wide", None)
    assert results.systems("tiny/small") == ["bm25", "rrf"]
    assert results.warnings("tiny/small") == []


def test_a_warning_replaces_the_last_of_its_kind(results: Results) -> None:
    results.warn("d", "wide", "old")
    results.warn("d", "wide", "new")
    results.warn("d", "files", "other")
    assert results.warnings("d") == ["new", "other"]


def test_what_a_turn_says_is_kept_once(results: Results) -> None:
    text = Text("d", "s", "t1", "Nora", "monday", "2024-05-01T12:00:00", "Salut")
    results.keep_texts([text])
    results.keep_texts([replace(text, text="other")])
    assert results.text("d", "s", "t1") == text
    assert results.text("d", "s", "t2") is None


def test_the_export_has_every_row_as_a_line_of_json(results: Results, tmp_path: Path) -> None:
    results.save(*of("bm25", "s", "q1", "q2"))
    assert results.export_jsonl(tmp_path / "rows.jsonl") == 2
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text("utf-8").splitlines()]
    assert [row["question"] for row in rows] == ["q1", "q2"]
    assert rows[0]["found"][0] == {"turns": ["t1", "t9"], "score": 0.5, "tokens": 12}
    assert rows[0]["text"] == ASKED.text


def test_another_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("dear diary, " * 100)
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE t (x)")
    other.close()
    for name in ("notes.txt", "other.db"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(ParameterError, match="no file of benchmark results"):
            Results(tmp_path / name)
        assert (tmp_path / name).read_bytes() == before
    with pytest.raises(ParameterError, match="no results at"):
        Results(tmp_path / "missing.sqlite", must_exist=True)
    with pytest.raises(ParameterError, match="no folder"):
        Results(tmp_path / "nowhere" / "r.sqlite")
