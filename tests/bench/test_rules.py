"""The ten rules of the harness, each the lesson of a published figure that was wrong. Ties being called ties is with the statistics."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.tiny import SAMPLES, TINY, sample
from mnemic import Cue, Hit, Memory
from mnemic.bench import check
from mnemic.bench.dataset import Key, Question
from mnemic.bench.metrics import BUDGETS, Outcome, average, score
from mnemic.bench.results import Asked, Found, Results
from mnemic.bench.run import Settings, check_counts, run
from mnemic.bench.spec import CONTROLS, Spec
from mnemic.bench.trial import Asking, Leak, measure, open_log
from mnemic.errors import FormatError
from mnemic.models.resolve import open_embedder
from mnemic.ops.pack import pack
from mnemic.systems.bm25 import BM25
from mnemic.systems.registry import SYSTEMS
from mnemic.systems.view import View
from mnemic.text.tokens import count_tokens


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A finished run in which only the default system was named."""
    out = tmp_path_factory.mktemp("rules") / "r.sqlite"
    run(TINY, TINY.variants[0], out.parent, Settings(out=out, systems=("hybrid",), embedder="hashing", depth=10))
    with Results(out, must_exist=True) as made:
        yield made


def rows(results: Results, system: str | None = None) -> list[Asked]:
    return results.asked("tiny", system)


# -- 1 --------------------------------------------------------------------------------------------------------


def test_1_the_controls_run_in_every_run_though_nobody_names_them(results: Results) -> None:
    expected = {"none", "full", "recent", "random", "bm25", "grep", "dense", "rrf", "oracle"}
    assert expected == set(CONTROLS)
    assert set(results.systems("tiny")) == expected | {"hybrid"}
    assert {len(rows(results, system)) for system in results.systems("tiny")} == {7 * SAMPLES}


# -- 2 --------------------------------------------------------------------------------------------------------


def test_2_figures_come_from_evidence_and_need_no_answer_of_a_model(results: Results) -> None:
    scored = {metric for one in rows(results) for metric in one.scores}
    assert {"recall@5", "all@5", "any@5", "ndcg@5", "mrr", "newest", "order", "contains@5", "vote@5"} <= scored
    assert [metric for metric in scored if metric.startswith(("answer", "judge"))] == []
    assert {one.llm_calls for one in results.ingested("tiny")} == {0}


# -- 3 --------------------------------------------------------------------------------------------------------


def test_3_every_system_is_compared_at_equal_context_tokens(results: Results) -> None:
    for system in results.systems("tiny"):
        facts = [one for one in rows(results, system) if one.question.startswith("key")]
        assert {f"recall@{budget}t" for budget in BUDGETS} <= set.intersection(*(set(one.scores) for one in facts))
        assert {average(facts, "block_recall")[1]} == {SAMPLES}
        assert max(one.context_tokens for one in rows(results, system)) <= 700


def test_3_only_what_stands_in_the_block_counts_as_shown_and_every_hit_costs_more_than_its_words(
    tmp_path: Path,
) -> None:
    settings = Settings(
        out=tmp_path / "r.sqlite",
        systems=("hybrid",),
        embedder="hashing",
        depth=10,
        budget_tokens=90,
        keeps_blocks=True,
    )
    run(TINY, TINY.variants[0], tmp_path, settings)
    texts = {turn.id: turn.text for number in range(SAMPLES) for turn in sample(number).turns}
    with Results(settings.out) as made:
        for one in made.asked("tiny"):
            assert all(texts[turn] in str(one.extra["block"]) for turn in one.context_turns)
            assert len(one.context_turns) < len(one.found) or len(one.found) < 3
            assert all(hit.tokens > count_tokens(texts[hit.turns[0]]) for hit in one.found)


# -- 4 --------------------------------------------------------------------------------------------------------


def test_4_a_k_that_covers_more_than_a_tenth_of_the_log_is_warned_of(results: Results) -> None:
    assert "k = 5 covers more than a tenth of the log in 4 of 4 samples" in " ".join(results.warnings("tiny"))


def test_4_a_k_within_a_tenth_of_the_log_is_not(tmp_path: Path) -> None:
    settings = Settings(out=tmp_path / "r.sqlite", embedder="hashing", ks=(3,), depth=10, limit=1)
    run(TINY, TINY.variants[0], tmp_path, settings)
    with Results(settings.out) as made:
        assert made.warnings("tiny") == []


# -- 5 --------------------------------------------------------------------------------------------------------


def test_5_what_has_no_answer_counts_apart_and_never_in_the_total(results: Results) -> None:
    asked = rows(results, "recent")
    assert [set(one.scores) for one in asked if one.category == "5"] == [{"sources@1", "sources@5"}] * SAMPLES
    _, n = average(asked, "sources@1", TINY.apart)
    assert n == 6 * SAMPLES
    assert all(one.confidence is not None for one in asked)


def test_5_what_has_no_answer_is_never_scored_by_the_evidence_that_its_file_names() -> None:
    question = Question(id="q", text="?", category="5", key=Key(evidence=("a",)), task="absent")
    found = [Found(turns=("a",), score=1.0, tokens=5)]
    outcome = Outcome(found=found, is_all=True, texts=["a"], context_turns=["a"])
    assert score(question, outcome, (1,)) == {"sources@1": 1.0}


def test_5_denominators_are_asserted() -> None:
    counted = Counter(one.category for number in range(SAMPLES) for one in sample(number).questions)
    check_counts("tiny", TINY.variants[0], counted)
    with pytest.raises(FormatError, match="category 2: 5 questions, 4 expected"):
        check_counts("tiny", TINY.variants[0], counted + Counter(["2"]))
    with pytest.raises(FormatError, match="category 9: 1 questions, 0 expected"):
        check_counts("tiny", TINY.variants[0], counted + Counter(["9"]))


# -- 7 --------------------------------------------------------------------------------------------------------


class Faulty(BM25):
    """An adapter with a fault of the kind that has made published tables."""

    card = replace(BM25.card, id="faulty")
    fault = ""

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        if self.fault == "raises":
            raise KeyError("hits")
        if self.fault == "forgets":
            return []
        hits = super().recall(replace(cue, limit=20) if self.fault == "ignores the limit" else cue, view)
        return hits[:2] if self.fault == "gives two" and cue.limit < 20 else hits


class Crossing(BM25):
    """Remembers on the class what it saw, whatever the scope."""

    card = replace(BM25.card, id="crossing")
    seen: dict[str, Hit] = {}

    def recall(self, cue: Cue, view: View) -> list[Hit]:
        self.seen.update({hit.id + hit.scope: hit for hit in super().recall(cue, view)})
        return sorted(self.seen.values(), key=lambda hit: -hit.score)[: cue.limit]


@pytest.mark.parametrize("system", SYSTEMS)
def test_7_every_system_reads_back_what_it_was_given_before_it_is_measured(system: str) -> None:
    assert check.problems(system, {}, open_embedder("hashing")) == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("forgets", "did not read back"),
        ("ignores the limit", "asked for 1 hits it gave"),
        ("gives two", "asked for 5 hits it gave 2, of 10"),
        ("raises", "it raised KeyError"),
    ],
)
def test_7_an_adapter_with_a_fault_is_found_out(fault: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SYSTEMS, "faulty", "bench.test_rules:Faulty")
    monkeypatch.setattr(Faulty, "fault", fault)
    assert said in " ".join(check.problems("faulty", {}, open_embedder("hashing")))


def test_7_a_system_that_mixes_scopes_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SYSTEMS, "crossing", "bench.test_rules:Crossing")
    assert check.problems("crossing", {}, open_embedder("hashing")) == [
        "it recalled what stands in another scope alone"
    ]


def test_7_a_context_block_that_comes_out_empty_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnemic.memory.front.pack", lambda *_: pack([], 10, lambda _: ""))
    assert "its context block" in check.problems("bm25", {}, open_embedder("hashing"))[0]


def test_7_a_system_that_fails_its_check_has_an_error_and_no_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SYSTEMS, "faulty", "bench.test_rules:Faulty")
    monkeypatch.setattr(Faulty, "fault", "ignores the limit")
    settings = Settings(out=tmp_path / "r.sqlite", systems=("faulty",), embedder="hashing", limit=1)
    assert "self-check failed" in run(TINY, TINY.variants[0], tmp_path, settings).errors["faulty"]
    with Results(settings.out) as made:
        assert made.systems("tiny") == list(CONTROLS)
        assert made.asked("tiny", "faulty") == []
        assert "faulty gives no numbers: its self-check failed" in " ".join(made.warnings("tiny"))
        monkeypatch.setattr(Faulty, "fault", "")
        assert run(TINY, TINY.variants[0], tmp_path, settings).errors == {}
        assert len(made.asked("tiny", "faulty")) == 1


def test_7_turns_that_could_not_be_taken_in_are_counted_for_every_system(tmp_path: Path) -> None:
    whole = sample(0)
    broken = replace(whole, turns=(*whole.turns[:-1], replace(whole.turns[-1], text="")))
    asking = Asking(run="r", dataset="tiny", ks=(5,), depth=10, budget_tokens=700)
    with open_log(tmp_path / "log.db", broken, open_embedder("hashing")) as log:
        for system in ("bm25", "oracle"):
            assert measure(log, Spec(system, system), asking)[0].failures == 1


# -- 8 --------------------------------------------------------------------------------------------------------


def test_8_nothing_of_the_key_reaches_the_store(tmp_path: Path) -> None:
    one = sample(0)
    with open_log(tmp_path / "log.db", one, open_embedder("hashing")) as log:
        assert check.leaks(log.memory) == []
        stored = json.dumps([episode.to_dict() for episode in log.memory.list()])
        assert log.memory.scopes() == {"memory": len(one.turns)}
    assert [word for word in ("answer", "evidence", "has_", "home-", "label", "other") if word in stored] == []
    everything = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.name.startswith("log.db"))
    assert [turn.id for turn in one.turns if turn.id.encode() in everything] == []


@pytest.mark.parametrize(
    "more", [{"id": "D1:3"}, {"session": "answer_17"}, {"metadata": {"has_answer": True}}], ids=str
)
def test_8_a_log_that_gives_its_key_away_is_found_out(more: dict[str, Any], memory: Memory) -> None:
    memory.add("harmless", **{"id": "m000001", "session": "s0001"} | more)
    assert len(check.leaks(memory)) == 1


def test_8_a_log_that_gives_its_key_away_is_not_measured(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with open_log(path, sample(0), open_embedder("hashing")) as log:
        log.memory.add("harmless", id="answer_1")
    with pytest.raises(Leak, match="answer_1"), open_log(path, sample(0), open_embedder("hashing")):
        pass


# -- 9 --------------------------------------------------------------------------------------------------------


def test_9_cost_stands_beside_accuracy(results: Results) -> None:
    for one in results.ingested("tiny"):
        assert (one.turns, one.sessions, one.failures) == (32, 8, 0)
        assert min(one.tokens, one.log_s, one.bytes, one.peak_rss_bytes) > 0
        assert one.system_s >= 0
    for asked in rows(results):
        assert asked.elapsed_ms > 0 or asked.system in ("none", "oracle")


# -- 10 -------------------------------------------------------------------------------------------------------


def test_10_the_row_of_every_question_is_kept_and_can_be_read_and_scored_again(
    results: Results, tmp_path: Path
) -> None:
    n = results.export_jsonl(tmp_path / "rows.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text("utf-8").splitlines()]
    assert n == len(lines) == len(rows(results)) == 7 * SAMPLES * (1 + len(CONTROLS))
    for line in lines:
        if "recall@5" in line["scores"] and line["task"] != "order":
            found = {turn for hit in line["found"][:5] for turn in hit["turns"]}
            assert line["scores"]["recall@5"] == len(found & set(line["evidence"])) / len(line["evidence"])
    (begun,) = results.runs()
    assert {"systems", "parameters", "k", "depth", "budget", "seed", "embedder", "code", "machine", "files"} <= set(
        begun.settings
    )
