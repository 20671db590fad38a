"""A run measures every system on every sample once, with nothing of the key in sight, and can be cut short and gone on with."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from bench.tiny import SAMPLES, TINY, sample
from mnemic import Cue, Episode, Hit, Memory
from mnemic.bench import run as running
from mnemic.bench.dataset import Turn
from mnemic.bench.results import Asked, Results
from mnemic.bench.run import Done, Settings, check_counts, code_digest, run
from mnemic.bench.spec import CONTROLS, parse_spec, with_controls
from mnemic.bench.trial import open_log, times_of
from mnemic.errors import FormatError, ParameterError, SystemNotFound
from mnemic.models.resolve import open_embedder
from mnemic.store.contract import Changes
from mnemic.systems.bm25 import BM25
from mnemic.systems.registry import SYSTEMS
from mnemic.systems.view import View


def measured(folder: Path, *systems: str, **more: Any) -> Done:
    settings = Settings(**{"out": folder / "r.sqlite", "systems": systems, "embedder": "hashing", "depth": 10} | more)
    return run(TINY, TINY.variants[0], folder, settings)


def rows(folder: Path, name: str = "r.sqlite") -> list[Any]:
    """What does not depend on when and how fast."""
    with Results(folder / name, must_exist=True) as results:
        return [asdict(replace(one, run="", elapsed_ms=0.0)) for one in results.asked("tiny")]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of the default system and the controls."""
    folder = tmp_path_factory.mktemp("run")
    measured(folder, "hybrid")
    return folder


def of(folder: Path, system: str, kind: str) -> list[Asked]:
    with Results(folder / "r.sqlite", must_exist=True) as results:
        return [one for one in results.asked("tiny", system) if one.question.startswith(kind)]


# -- what is measured -----------------------------------------------------------------------------------------


def test_every_system_is_asked_every_question_once(done: Path) -> None:
    with Results(done / "r.sqlite", must_exist=True) as results:
        assert results.systems("tiny") == ["hybrid", *CONTROLS]
        expected = [one.id for number in range(SAMPLES) for one in sample(number).questions]
        for system in results.systems("tiny"):
            assert [one.question for one in results.asked("tiny", system)] == expected
            assert [one.sample for one in results.ingested("tiny", system)] == [f"home-{n}" for n in range(SAMPLES)]


def test_hits_are_given_by_the_datasets_own_ids_and_its_texts_are_kept(done: Path) -> None:
    (one, *_) = of(done, "bm25", "key")
    assert one.found[0].turns == ("answer_0_0",)
    with Results(done / "r.sqlite", must_exist=True) as results:
        text = results.text("tiny", one.sample, one.found[0].turns[0])
    assert text is not None
    assert text.text == "I keep the spare key of the boathouse under brick 3."


def test_the_oracle_is_perfect_and_nothing_finds_nothing(done: Path) -> None:
    for kind, metric in (
        ("key", "recall@1"),
        ("two", "recall@5"),
        ("new", "newest"),
        ("order", "order"),
        ("has", "contains@1"),
    ):
        assert {one.scores[metric] for one in of(done, "oracle", kind)} == {1.0}
    assert {one.scores["vote@5"] for one in of(done, "oracle", "vote")} == {1.0}
    assert {one.scores["recall@5"] for one in of(done, "none", "two")} == {0.0}
    assert {one.scores["order"] for one in of(done, "none", "order")} == {0.5}
    assert {one.context_tokens for one in of(done, "none", "key")} == {0}


def test_which_came_first_is_told_from_the_times_of_what_each_option_recalls(done: Path) -> None:
    assert {one.scores["order"] for one in of(done, "bm25", "order")} == {1.0}
    assert {one.scores["order_found"] for one in of(done, "bm25", "order")} == {1.0}


def test_the_context_block_is_that_of_the_memory(done: Path, tmp_path: Path) -> None:
    asked = {one.question: one for one in of(done, "hybrid", "")}
    with open_log(tmp_path / "log.db", sample(0), open_embedder("hashing")) as log:
        for question in sample(0).questions:
            if question.task != "order":
                context = log.memory.context(question.text, budget_tokens=700, asked_at=log.after)
                turns = {log.turn_of[citation.id] for citation in context.citations}
                assert asked[question.id].context_tokens == context.tokens
                assert turns <= set(asked[question.id].context_turns)


def test_ablations_are_systems_of_their_own_and_leave_nothing_on_each_other(tmp_path: Path) -> None:
    measured(tmp_path, "hybrid:words=0+context=0", "hybrid", samples=1)
    with Results(tmp_path / "r.sqlite", must_exist=True) as results:
        one, other = (results.asked("tiny", name) for name in ("hybrid:words=0+context=0", "hybrid"))
        assert results.runs()[0].settings["parameters"]["hybrid:words=0+context=0"] == {"words": 0, "context": 0}
    assert [row.found for row in one] != [row.found for row in other]
    measured(tmp_path, "hybrid", samples=1, out=tmp_path / "alone.sqlite")
    alone = [row for row in rows(tmp_path, "alone.sqlite") if row["system"] == "hybrid"]
    assert alone == [row for row in rows(tmp_path) if row["system"] == "hybrid"]


def test_two_runs_with_one_seed_agree_and_another_seed_shuffles_anew(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 7)):
        measured(tmp_path, samples=1, seed=seed, out=tmp_path / name)
    a, b, c = (rows(tmp_path, name) for name in "abc")
    assert a == b
    changed = {one["system"] for one, other in zip(a, c, strict=True) if one != other}
    assert changed == {"random"}


def test_processes_give_the_rows_that_one_gives(done: Path, tmp_path: Path) -> None:
    measured(tmp_path, "hybrid", jobs=2)
    assert rows(tmp_path) == rows(done)


# -- the log --------------------------------------------------------------------------------------------------


def test_turns_without_a_time_follow_one_another() -> None:
    turns = [Turn(id=str(n), text="x", occurred_at=None) for n in range(3)]
    times = times_of(turns)
    assert list(times) == sorted(set(times))


def test_the_log_holds_what_was_said_in_order_and_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with open_log(path, sample(0), open_embedder("hashing")) as log:
        first = [(one.id, one.text, one.actor, one.session, one.occurred_at) for one in log.memory.list()]
        written = log.log_s
    said = [
        (f"m{place + 1:06}", turn.text, "Nora", f"s{place // 4 + 1:04}", turn.occurred_at)
        for place, turn in enumerate(sample(0).turns)
    ]
    assert first == said
    with open_log(path, sample(0), open_embedder("hashing")) as log:
        assert len(log.memory.list()) == len(said)
        assert log.log_s == written


def test_a_log_without_its_note_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with Memory.open(path, embedder="hashing") as memory:
        memory.scope("memory").add("left by a run that was killed", id="m000001", session="s0001")
    with open_log(path, sample(0), open_embedder("hashing")) as log:
        assert len(log.memory.list()) == len(sample(0).turns)


def test_a_turn_that_cannot_be_kept_is_counted_and_the_others_are_kept(tmp_path: Path) -> None:
    one = sample(0)
    broken = replace(one, turns=(replace(one.turns[0], text=""), *one.turns[1:]))
    with open_log(tmp_path / "log.db", broken, open_embedder("hashing")) as log:
        assert log.failures == 1
        assert [episode.id for episode in log.memory.list()][:2] == ["m000002", "m000003"]


def test_logs_are_deleted_at_the_end_unless_they_are_to_be_kept(tmp_path: Path) -> None:
    measured(tmp_path, samples=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.sqlite"]
    measured(tmp_path, samples=1, out=tmp_path / "kept", keep_logs=True)
    assert {path.suffix for path in (tmp_path / "kept.work" / "tiny").iterdir()} >= {".db", ".json"}


# -- going on -------------------------------------------------------------------------------------------------


def test_what_is_there_is_not_measured_again(tmp_path: Path) -> None:
    first = measured(tmp_path, samples=2)
    again = measured(tmp_path, samples=2)
    assert (first.measured, first.skipped) == (2 * len(CONTROLS), 0)
    assert (again.measured, again.skipped) == (0, 2 * len(CONTROLS))
    more = measured(tmp_path, "hybrid", samples=3)
    assert (more.measured, more.skipped) == (2 + len(CONTROLS) + 1, 2 * len(CONTROLS))


@pytest.mark.parametrize("change", ["code", "depth", "budget", "k"])
def test_what_was_measured_otherwise_is_measured_again_in_its_place(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(tmp_path, samples=1)
    more: dict[str, Any] = {"depth": {"depth": 8}, "budget": {"budget_tokens": 300}, "k": {"ks": (3,)}}.get(change, {})
    if change == "code":
        monkeypatch.setattr(running, "code_digest", lambda: "another")
    again = measured(tmp_path, samples=1, **more)
    assert (again.measured, again.skipped) == (len(CONTROLS), 0)
    with Results(tmp_path / "r.sqlite", must_exist=True) as results:
        assert len(results.asked("tiny")) == len(CONTROLS) * len(sample(0).questions)


def test_a_log_that_other_code_wrote_is_not_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured(tmp_path, samples=1, keep_logs=True)
    work = tmp_path / "r.sqlite.work" / "tiny"
    (before,) = work.glob("*.db")
    monkeypatch.setattr(running, "code_digest", lambda: "another")
    measured(tmp_path, samples=1, keep_logs=True)
    (after,) = work.glob("*.db")
    assert before != after


def test_a_limit_never_takes_rows_away(tmp_path: Path) -> None:
    measured(tmp_path, "hybrid", samples=1)
    whole = rows(tmp_path)
    with pytest.raises(ParameterError, match=r"would leave 2 of them\. Give another --out"):
        measured(tmp_path, "hybrid", limit=2)
    assert rows(tmp_path) == whole


def test_systems_that_were_asked_fewer_questions_are_named(tmp_path: Path) -> None:
    measured(tmp_path, "hybrid", samples=1)
    measured(tmp_path, samples=2)
    with Results(tmp_path / "r.sqlite") as results:
        assert "Not all systems were asked all 14 questions: hybrid 7. Run these again." in results.warnings("tiny")
    measured(tmp_path, "hybrid", samples=2)
    with Results(tmp_path / "r.sqlite") as results:
        assert [one for one in results.warnings("tiny") if "Run these again" in one] == []


def test_rows_of_other_code_are_named_until_they_are_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(tmp_path, "hybrid", samples=1)
    monkeypatch.setattr(running, "code_digest", lambda: "another")
    measured(tmp_path, samples=1)
    with Results(tmp_path / "r.sqlite") as results:
        assert [one for one in results.warnings("tiny") if "other code" in one and "the rest: hybrid." in one] != []
    measured(tmp_path, "hybrid", samples=1)
    with Results(tmp_path / "r.sqlite") as results:
        assert [one for one in results.warnings("tiny") if "other code" in one] == []


class Cut(BaseException):
    """The run is cut short."""


def test_a_run_that_is_cut_short_keeps_what_was_done_and_goes_on(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[str] = []
    save = Results.save

    def cut(self: Results, *rows_: Any, **more: Any) -> None:
        if len(saved) == 13:
            raise Cut
        saved.append("")
        save(self, *rows_, **more)

    monkeypatch.setattr(Results, "save", cut)
    with pytest.raises(Cut):
        measured(tmp_path, "hybrid")
    monkeypatch.setattr(Results, "save", save)
    again = measured(tmp_path, "hybrid")
    assert again.skipped == 13
    assert again.measured == SAMPLES * (1 + len(CONTROLS)) - 13
    assert rows(tmp_path) == rows(done)


# -- what goes wrong ------------------------------------------------------------------------------------------


class Stumbling(BM25):
    """Fails at one question."""

    card = replace(BM25.card, id="stumbling")

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        if "blood" in cue.text:
            raise ZeroDivisionError("no blood")
        return super().recall(cue, view)


class Unwilling(BM25):
    """Takes nothing in."""

    card = replace(BM25.card, id="unwilling")

    def observe(self, episodes: Sequence[Episode], view: View) -> Changes:
        raise RuntimeError("no room")


@pytest.mark.parametrize(("system", "why"), [("stumbling", "ZeroDivisionError: no blood"), ("unwilling", "no room")])
def test_a_system_that_fails_gives_an_error_and_no_numbers_and_the_others_are_measured(
    system: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SYSTEMS, system, f"bench.test_run:{system.capitalize()}")
    finished = measured(tmp_path, system, samples=1)
    assert list(finished.errors) == [system]
    assert why in finished.errors[system]
    with Results(tmp_path / "r.sqlite", must_exist=True) as results:
        assert results.systems("tiny") == list(CONTROLS)
        assert why in results.warnings("tiny")[-1]


def test_a_dataset_with_other_counts_than_promised_is_refused() -> None:
    variant = replace(TINY.variants[0], categories=TINY.variants[0].categories[:-1])
    with pytest.raises(FormatError, match="category 5: 4 questions, 0 expected"):
        check_counts("tiny", variant, Counter(one.category for n in range(SAMPLES) for one in sample(n).questions))


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"depth": 0}, "depth=0"),
        ({"ks": (0,)}, "k=0"),
        ({"ks": (20,)}, "deeper than --depth 10"),
        ({"jobs": 0}, "jobs=0"),
    ],
)
def test_settings_out_of_range_are_refused(more: dict[str, Any], match: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=match):
        measured(tmp_path, **more)


def test_a_system_is_named_with_its_parameters() -> None:
    assert parse_spec("hybrid:time=0+neighbours=3").parameters == {"time": 0, "neighbours": 3}
    for wrong, error in (("hybird", SystemNotFound), ("hybrid:tmie=0", ParameterError), ("hybrid:time", ParameterError),
                         ("oracle:k=1", ParameterError)):  # fmt: skip
        with pytest.raises(error):
            parse_spec(wrong)
    assert [spec.label for spec in with_controls(["bm25", "hybrid", "bm25"])][:2] == ["bm25", "hybrid"]


def test_results_stay_readable_by_sql_alone(done: Path) -> None:
    database = sqlite3.connect(done / "r.sqlite")
    n = database.execute(
        "SELECT count(*) FROM asked WHERE json_extract(row, '$.scores.mrr') = 1.0 AND system = 'oracle'"
    )
    assert n.fetchone()[0] > 0
    database.close()


def test_the_code_has_a_name_that_stays() -> None:
    assert code_digest() == code_digest()
    assert len(code_digest()) == 16
