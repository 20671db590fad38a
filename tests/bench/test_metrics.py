"""Metrics on rankings that can be worked out by hand, and what must hold for every ranking."""

import math
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.bench import metrics
from mnemic.bench.dataset import Key, Question
from mnemic.bench.metrics import Outcome
from mnemic.bench.results import Asked, Found

TURNS = [f"t{number}" for number in range(12)]
rankings = st.lists(st.sets(st.sampled_from(TURNS), min_size=1, max_size=3), max_size=10)
keys = st.sets(st.sampled_from(TURNS), min_size=1, max_size=4).map(sorted)


def question(**more: object) -> Question:
    return Question(**{"id": "q", "text": "?", "category": "1", "key": Key(evidence=("a", "b"))} | more)  # type: ignore[arg-type]


def outcome(*turns: str | tuple[str, ...], **more: object) -> Outcome:
    found = [Found(turns=(one,) if isinstance(one, str) else one, score=1.0, tokens=100) for one in turns]
    given = {"found": found, "is_all": True, "texts": [""] * len(found), "context_turns": ()}
    return Outcome(**given | more)  # type: ignore[arg-type]


# -- by hand --------------------------------------------------------------------------------------------------


def test_the_official_gain_of_hits_at_ranks_1_and_2_is_2_and_the_standard_one_1_63() -> None:
    assert metrics.dcg([1, 2], is_official=True) == 2.0
    assert round(metrics.dcg([1, 2]), 2) == 1.63
    assert metrics.ndcg([{"x"}, {"a"}], ["a"], 5, is_official=True) == 1.0
    assert metrics.ndcg([{"x"}, {"a"}], ["a"], 5) == pytest.approx(1 / math.log2(3))


def test_evidence_is_found_at_the_first_hit_that_stands_on_it() -> None:
    figures = metrics.score(question(), outcome("x", ("a", "y"), "a", "b"), (1, 2, 4))
    assert [figures[f"recall@{k}"] for k in (1, 2, 4)] == [0.0, 0.5, 1.0]
    assert [figures[f"any@{k}"] for k in (1, 2, 4)] == [0.0, 1.0, 1.0]
    assert [figures[f"all@{k}"] for k in (1, 2, 4)] == [0.0, 0.0, 1.0]
    assert figures["mrr"] == 0.5
    assert figures["ndcg@4"] == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / (1 + 1 / math.log2(3)))
    assert figures["sources@4"] == 1.25


def test_the_corrected_key_is_scored_beside_the_files_own() -> None:
    figures = metrics.score(question(corrected=Key(evidence=("x",))), outcome("x", "a"), (2,))
    assert (figures["recall@2"], figures["corrected:recall@2"]) == (0.5, 1.0)
    assert (figures["mrr"], figures["corrected:mrr"]) == (0.5, 1.0)


def test_sessions_are_read_on_until_k_different_ones_are_seen() -> None:
    sessions = {"a": "s1", "b": "s2", "x": "s3", "y": "s3", "z": "s3"}
    figures = metrics.score(question(), outcome("x", "y", "z", "a", "b", sessions=sessions), (2,))
    assert figures["recall@2"] == 0.0
    assert (figures["session_recall@2"], figures["session_all@2"]) == (0.5, 0.0)
    assert figures["session_mrr"] == 0.5
    one_session = metrics.score(question(), outcome("a", sessions=dict.fromkeys("ab", "s")), (2,))
    assert [name for name in one_session if name.startswith("session")] == []


def test_recall_at_a_budget_counts_the_hits_that_fit() -> None:
    ranking = ["x"] * 4 + ["a"] + ["x"] * 5 + ["b"]
    figures = metrics.score(question(), outcome(*ranking), (1,))
    assert [figures[f"recall@{tokens}t"] for tokens in (500, 1000, 2000)] == [0.5, 0.5, 1.0]


def test_a_budget_that_the_depth_did_not_fill_has_no_figure() -> None:
    figures = metrics.score(question(), outcome(*["x"] * 6, is_all=False), (1,))
    assert [name for name in figures if name.endswith("t")] == ["recall@500t"]


def test_recall_in_the_block_is_of_what_stands_in_it() -> None:
    figures = metrics.score(question(), outcome("a", "b", context_turns=("b", "x")), (1,))
    assert figures["block_recall"] == 0.5


@pytest.mark.parametrize(
    ("ranking", "expected"),
    [
        ([{"v3"}, {"v1"}], {"newest": 1.0, "lag": 0.0}),
        ([{"v2"}, {"v3"}], {"newest": 0.0, "lag": 1.0}),
        ([{"x"}, {"v1"}], {"newest": 0.0, "lag": 2.0}),
        ([{"v1", "v3"}], {"newest": 0.0, "lag": 2.0}),
        ([{"x"}], {"newest": 0.0}),
    ],
)
def test_the_newest_value_must_be_found_before_every_earlier_one(
    ranking: list[set[str]], expected: dict[str, float]
) -> None:
    assert metrics.newest(ranking, "v3", ["v1", "v2"]) == expected


def test_what_comes_below_the_depth_that_was_asked_for_has_no_rank() -> None:
    asked = question(task="newest", key=Key(evidence=("a",)), stale=("b",))
    deep = outcome("x", "x", "a", context_turns=("a",), depth=2)
    figures = metrics.score(asked, deep, (2,))
    assert (figures["newest"], figures["mrr"], figures["recall@500t"]) == (0.0, 0.0, 1.0)
    assert metrics.score(asked, replace(deep, depth=3), (2,))["newest"] == 1.0


def test_order_is_right_wrong_or_a_coins_worth() -> None:
    asked = question(task="order", options=("x", "y"), key=Key(evidence=("a", "b"), answers=("1",)))
    told = [metrics.score(asked, outcome("a", earlier=earlier, located=(True, True)), (1,)) for earlier in (1, 0, None)]
    assert [one["order"] for one in told] == [1.0, 0.0, 0.5]
    assert metrics.score(asked, outcome("a", located=(True, False)), (1,))["order_found"] == 0.0


def test_an_answer_is_contained_as_whole_words_whatever_its_case() -> None:
    asked = question(task="contains", key=Key(answers=("Red Lion",)))
    assert metrics.score(asked, outcome("x", "y", texts=["a red lioness", "the red-lion!"]), (1, 2)) == {
        "sources@1": 1.0,
        "sources@2": 1.0,
        "contains@1": 0.0,
        "contains@2": 1.0,
    }
    assert metrics.contains(["他住在东京了"], ["东京"]) == 1.0
    assert metrics.contains(["anything"], ["", "?!"]) == 0.0


def test_labels_elect_an_answer_and_the_first_to_come_up_wins_a_tie() -> None:
    asked = question(task="vote", key=Key(answers=("one",)))
    labels = {"a": "one", "b": "two", "c": "two"}
    figures = metrics.score(asked, outcome("a", "b", "c", labels=labels), (1, 2, 3))
    assert [figures[f"vote@{k}"] for k in (1, 2, 3)] == [1.0, 1.0, 0.0]
    assert metrics.vote([]) is None


def test_hits_on_a_day_of_the_evidence_are_counted_where_the_question_names_a_time() -> None:
    days = {"a": date(2024, 1, 1), "b": date(2024, 1, 2), "x": date(2024, 1, 2), "y": date(2024, 1, 9)}
    figures = metrics.score(question(), outcome("x", "y", days=days, names_a_time=True), (1, 2))
    assert (figures["in_time@1"], figures["in_time@2"]) == (1.0, 0.5)
    assert "in_time@1" not in metrics.score(question(), outcome("x", "y", days=days), (1, 2))


def test_a_question_without_evidence_or_answer_has_no_figure_of_either() -> None:
    assert metrics.score(question(key=Key()), outcome("a"), (1,)) == {"sources@1": 1.0}
    assert metrics.score(question(key=Key(), task="absent"), outcome(), (1,)) == {}


# -- for every ranking ----------------------------------------------------------------------------------------


@given(rankings, keys)
def test_figures_lie_in_0_to_1_and_recall_grows_with_k(ranking: list[set[str]], evidence: list[str]) -> None:
    sessions = {turn: f"s{number // 3}" for number, turn in enumerate(TURNS)}
    given_ = outcome(*map(tuple, ranking), sessions=sessions)
    figures = metrics.score(question(key=Key(evidence=tuple(evidence))), given_, (1, 2, 5, 10))
    figures = {name: value for name, value in figures.items() if not name.startswith("sources")}
    assert [name for name, value in figures.items() if not 0.0 <= value <= 1.0] == []
    for kind in ("recall", "any", "all", "session_recall"):
        rising = [figures[f"{kind}@{k}"] for k in (1, 2, 5, 10)]
        assert rising == sorted(rising)
    assert all(figures[f"all@{k}"] <= figures[f"recall@{k}"] <= figures[f"any@{k}"] for k in (1, 2, 5, 10))
    assert (figures["mrr"] > 0) == (figures["any@10"] > 0)


@given(keys, st.booleans())
def test_the_evidence_in_front_is_perfect_by_every_figure(evidence: list[str], is_official: bool) -> None:
    ranking = [{turn} for turn in [*evidence, "x", "y"]]
    assert metrics.ndcg(ranking, evidence, 5, is_official=is_official) == pytest.approx(1.0)
    assert metrics.reciprocal_rank(ranking, evidence) == 1.0
    assert metrics.recall(ranking[: len(evidence)], evidence) == 1.0


@given(rankings, keys, st.integers(0, 9))
def test_evidence_further_up_is_never_worth_less(ranking: list[set[str]], evidence: list[str], at: int) -> None:
    if len(ranking) < 2:
        return
    lower = at % (len(ranking) - 1) + 1
    raised = [*ranking[: lower - 1], ranking[lower], ranking[lower - 1], *ranking[lower + 1 :]]
    if ranking[lower] & set(evidence) and not ranking[lower - 1] & set(evidence):
        for is_official in (True, False):
            before, after = (
                metrics.ndcg(each, evidence, len(ranking), is_official=is_official) for each in (ranking, raised)
            )
            assert after >= before - 1e-12


@given(st.lists(st.integers(1, 300), max_size=20), st.integers(1, 2000))
def test_what_fits_a_budget_is_the_longest_beginning_that_does(tokens: list[int], budget: int) -> None:
    n = metrics.within_budget(tokens, budget)
    assert sum(tokens[:n]) <= budget
    assert n == len(tokens) or sum(tokens[: n + 1]) > budget


# -- of many questions ----------------------------------------------------------------------------------------

ROW = Asked(
    run="r",
    dataset="d",
    system="s",
    sample="1",
    question="q",
    text="?",
    category="1",
    task="recall",
    evidence=(),
    corrected=None,
    found=(),
    scores={"recall@5": 1.0},
    confidence=0.9,
    elapsed_ms=1.0,
    context_tokens=1,
    context_turns=(),
)


def test_an_average_says_over_how_many_and_leaves_out_what_is_apart() -> None:
    rows = [ROW, replace(ROW, scores={"recall@5": 0.0}), replace(ROW, scores={}), replace(ROW, category="5")]
    assert metrics.average(rows, "recall@5", apart=("5",)) == (0.5, 2)
    mean, n = metrics.average(rows, "mrr")
    assert (math.isnan(mean), n) == (True, 0)


def test_confidence_tells_what_has_an_answer_from_what_has_none() -> None:
    unsure = replace(ROW, task="absent", confidence=0.2)
    adversarial = replace(ROW, category="5", confidence=0.9)
    assert metrics.abstention_auroc([ROW, unsure]) == 1.0
    assert metrics.abstention_auroc([ROW, unsure, adversarial], apart=("5",)) == 0.75
    assert math.isnan(metrics.abstention_auroc([ROW]))
