"""Asking a model which candidates answer a question, and doing without."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.errors import ParameterError
from mnemic.models.prompt import Prompt, Shown
from mnemic.models.structured import read_answer
from mnemic.ops.rerank import (
    DocumentScore,
    DocumentScores,
    Verdict,
    Verdicts,
    fused,
    overlapping,
    relevant,
    rerank,
    sorted_around,
)

T = TypeVar("T")


class Scripted:
    """A model that answers by a function of the data that it is shown, and keeps what it was asked."""

    def __init__(self, answer: Callable[[dict[str, Any]], Any]) -> None:
        self.answer = answer
        self.asked: list[tuple[str, Prompt]] = []

    def __call__(self, step: str, prompt: Prompt, schema: type[T]) -> T | None:
        self.asked.append((step, prompt))
        found = self.answer({name: shown.value for name, shown in prompt.data.items()})
        assert found is None or isinstance(found, schema)
        return found

    def many(self, step: str, prompts: Sequence[Prompt], schema: type[T]) -> list[T | None]:
        return [self(step, prompt, schema) for prompt in prompts]


def units(*texts: str) -> list[Shown]:
    return [Shown(text, (f"episode of {text}",)) for text in texts]


def by_number_in_text(data: dict[str, Any]) -> DocumentScores:
    return DocumentScores([DocumentScore(one["document"], float(one["text"])) for one in data["documents"]])


def test_candidates_are_scored_in_tens_and_sorted_over_all_batches() -> None:
    texts = [str(1 + at * 7 % 10) for at in range(23)]
    ask = Scripted(by_number_in_text)
    found = rerank("Why?", units(*texts), ask)

    assert list(found.order) == sorted(range(23), key=lambda at: -int(texts[at]))
    assert (found.path, found.scores[3]) == ("llm", float(texts[3]))
    assert [len(prompt.data["documents"].value) for _, prompt in ask.asked] == [10, 10, 3]
    step, prompt = ask.asked[2]
    assert (step, prompt.data["question"].value) == ("rerank", "Why?")
    assert prompt.data["documents"].value[0] == {"document": 1, "text": texts[20]}
    assert set(prompt.sources) == {f"episode of {text}" for text in texts[20:]}
    assert not any(text in prompt.task for text in ("Why?", "episode"))


@pytest.mark.parametrize("wrong", [0.0, 11.0, -5.0, float("nan")])
def test_a_score_out_of_range_leaves_the_candidate_where_it_was(wrong: float) -> None:
    ask = Scripted(lambda _: DocumentScores([DocumentScore(1, 2.0), DocumentScore(2, wrong), DocumentScore(3, 9.0)]))
    assert rerank("Why?", units("a", "b", "c", "d"), ask).order == (2, 1, 0, 3)


def test_an_unknown_document_is_left_out_and_the_first_of_two_scores_counts() -> None:
    scores = [
        DocumentScore(7, 10.0),
        DocumentScore(0, 10.0),
        DocumentScore(2, 8.0),
        DocumentScore(2, 1.0),
        DocumentScore(1, 3.0),
    ]
    found = rerank("Why?", units("a", "b"), Scripted(lambda _: DocumentScores(scores)))

    assert (found.order, found.scores) == ((1, 0), {1: 8.0, 0: 3.0})


def test_a_batch_without_an_answer_keeps_its_order_among_the_others() -> None:
    ask = Scripted(lambda data: by_number_in_text(data) if data["documents"][0]["text"] != "5" else None)
    assert rerank("Why?", units("1", "9", "5", "6", "2", "8"), ask, batch=2).order == (1, 5, 2, 3, 4, 0)


def test_without_a_model_the_offline_order_is_taken_or_the_old_one() -> None:
    silent = Scripted(lambda _: None)

    assert rerank("Why?", units("a", "b"), silent).order == (0, 1)
    found = rerank("Why?", units("a", "b"), silent, offline=fused([0.1, 3.0], [0.2, 0.9]))
    assert (found.order, found.path, found.scores) == ((1, 0), "offline", {})
    assert rerank("Why?", [], silent).order == ()
    with pytest.raises(ParameterError):
        rerank("Why?", [], silent, batch=0)


@given(st.integers(0, 25), st.dictionaries(st.integers(1, 30), st.floats(-3.0, 14.0)), st.integers(1, 12))
def test_whatever_a_model_says_every_candidate_is_there_once(n: int, said: dict[int, float], batch: int) -> None:
    answer = DocumentScores([DocumentScore(at, score) for at, score in said.items()])
    found = rerank("Why?", units(*map(str, range(n))), Scripted(lambda _: answer), batch=batch)

    assert sorted(found.order) == list(range(n))
    assert all(found.order[at] == at for at in range(n) if at not in found.scores)
    ranked = [found.scores[at] for at in found.order if at in found.scores]
    assert ranked == sorted(ranked, reverse=True)


def test_no_scores_change_nothing_and_equal_scores_keep_their_order() -> None:
    assert sorted_around(3, {}) == [0, 1, 2]
    assert sorted_around(3, {0: 5.0, 1: 5.0, 2: 5.0}) == [0, 1, 2]


def test_ranks_by_words_and_by_meaning_are_fused() -> None:
    assert fused([3.0, 1.0, 0.0], [0.1, 0.9, 0.2]) == [1, 0, 2]
    assert fused([0.0, 0.0], [0.3, 0.3]) == [0, 1]
    with pytest.raises(ParameterError):
        fused([1.0], [])


def test_chunks_are_judged_in_one_call_and_what_is_not_judged_goes_by_the_offline_verdict() -> None:
    ask = Scripted(lambda _: Verdicts([Verdict(1, True), Verdict(2, False), Verdict(2, True), Verdict(9, True)]))
    found = relevant(units("a", "b", "c", "d"), "Why?", ask, [False, True, True, False])

    assert found == [True, False, True, False]
    assert [step for step, _ in ask.asked] == ["filter"]
    assert ask.asked[0][1].data["chunks"].value[3] == {"chunk": 4, "text": "d"}


def test_no_chunks_are_not_asked_about_and_without_a_model_the_offline_verdicts_hold() -> None:
    silent = Scripted(lambda _: None)

    assert relevant([], "Why?", silent, []) == []
    assert silent.asked == []
    assert relevant(units("a", "b"), "Why?", silent, [True, False]) == [True, False]
    assert relevant(units("Ada sings.", "It rained."), "What does Ada sing?", silent) == [True, False]
    with pytest.raises(ParameterError):
        relevant(units("a"), "Why?", silent, [])


def test_no_for_every_chunk_leaves_none() -> None:
    ask = Scripted(lambda data: Verdicts([Verdict(one["chunk"], False) for one in data["chunks"]]))
    assert relevant(units("a", "b"), "Why?", ask, [True, True]) == [False, False]


def test_without_a_model_terms_in_common_or_a_high_cosine_make_a_chunk_relevant() -> None:
    texts = ["Ada plays the cello in an orchestra.", "It rained all day.", "She performs on Fridays."]

    assert overlapping(texts, "Which instrument does Ada play?") == [True, False, False]
    assert overlapping(texts, "Which instrument does Ada play?", cosines=[0.1, 0.1, 0.6]) == [True, False, True]
    assert overlapping(texts, "?", cosines=[0.1, 0.1, 0.6]) == [False, False, True]


def test_answers_as_models_write_them_are_read() -> None:
    scores = read_answer(
        'Here: [{"document": 2, "relevance_score": "7"}, {"document": 1, "relevance_score": 3}]', DocumentScores
    )
    assert scores[0] == DocumentScores([DocumentScore(2, 7.0), DocumentScore(1, 3.0)])
    verdicts = read_answer('{"verdicts": [{"chunk": 1, "is_relevant": true}]}', Verdicts)
    assert verdicts[0] == Verdicts([Verdict(1, True)])
