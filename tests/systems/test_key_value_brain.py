"""Key-value memory: linear and exponential recall, separated keys, values untouched, keys that learn from use."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.errors import ParameterError
from mnemic.ops.keys import matrix, recall_from, recall_values
from mnemic.systems import runner
from mnemic.systems.key_value_brain import Params, separate
from mnemic.testing import RuleLLM
from systems.imported import import_feedback
from systems.word_axes import WordAxes

Open = Callable[..., Memory]
ID = "key-value-brain"
START = datetime(2024, 5, 1, 12, tzinfo=UTC)


def units(generator: np.random.Generator, n: int, d: int) -> Any:
    rows = generator.standard_normal((n, d))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_linear_recall_by_the_matrix_is_the_weighted_sum_of_the_values() -> None:
    generator = np.random.default_rng(1)
    keys, values, query = units(generator, 30, 16), units(generator, 30, 8), units(generator, 1, 16)[0]
    by_matrix = recall_from(matrix(keys, values), query)
    np.testing.assert_allclose(by_matrix, recall_values(query, keys, values, "linear"), atol=1e-12)


def test_the_error_of_linear_recall_grows_with_the_load_and_that_of_exponential_recall_stays_near_zero() -> None:
    generator = np.random.default_rng(2)
    d = 64

    def error(n: int, separation: Any) -> float:
        keys, values = units(generator, n, d), units(generator, n, d)
        found = [recall_values(keys[at], keys, values, separation, 60.0) - values[at] for at in range(20)]
        return float(np.mean(np.square(found).sum(axis=1)))

    linear = [error(n, "linear") for n in (32, 64, 256)]
    assert linear == sorted(linear)
    assert linear[-1] > 2.0
    assert max(error(n, "softmax") for n in (32, 64, 256, 1024)) < 0.01


def test_separated_keys_interfere_less_and_the_values_come_back_whole() -> None:
    generator = np.random.default_rng(3)
    common = units(generator, 1, 64)[0]
    plain = units(generator, 20, 64) * 0.5 + common
    plain = (plain / np.linalg.norm(plain, axis=1, keepdims=True)).astype(np.float32)
    apart = np.stack([separate(key, list(np.delete(plain, at, axis=0)), 1.0) for at, key in enumerate(plain)])

    def interference(keys: Any) -> float:
        alike = np.abs(keys @ keys.T)
        return float((alike.sum() - np.trace(alike)) / (len(keys) * (len(keys) - 1)))

    assert interference(apart) < 0.3 * interference(plain)
    for at in range(20):  # the values are what they were: max returns them without any error
        np.testing.assert_array_equal(recall_values(apart[at], apart, plain, "max"), plain[at].astype(float))


def keyed(open_memory: Open, keys: dict[str, Any], texts: list[str], **parameters: Any) -> Memory:
    llm = RuleLLM("rules:keys")
    llm.rule("questions", lambda asked: keys[asked.data["memory"][0]["text"]])
    memory = open_memory(embedder=WordAxes("tea chess river garden lamp"), llm=llm)
    for at, text in enumerate(texts):
        memory.add(text, occurred_at=START + timedelta(minutes=at))
    memory.attach(ID, **parameters)
    assert "error" not in memory.consolidate()[ID]
    return memory


TWO = {
    "The pot is in the shed": {
        "questions": ["where is the garden pot"],
        "cues": ["time for tea"],
        "keywords": ["lamp"],
    },
    "He won again": {"questions": ["who won at chess"], "cues": [], "keywords": []},
}


def test_a_value_is_found_by_each_of_its_keys_and_is_the_episode_word_for_word(open_memory: Open) -> None:
    memory = keyed(open_memory, TWO, list(TWO))
    for cue in ("garden", "tea", "lamp"):
        hits = memory.system(ID).search(cue, threshold=0.3).hits
        assert [(hit.kind, hit.text) for hit in hits] == [("value", "The pot is in the shed")]
        assert hits[0].reasons[0].note.split(": ")[1] in ("where is the garden pot", "time for tea", "lamp")


def test_the_value_is_not_its_own_key(open_memory: Open) -> None:
    memory = keyed(open_memory, TWO, list(TWO))
    keys = {one.text for one in memory.records(system=ID, kind="key")}
    assert keys.isdisjoint(TWO)


def test_what_no_cue_reaches_is_not_lost_and_comes_back_with_a_better_cue(open_memory: Open) -> None:
    memory = keyed(open_memory, TWO, list(TWO))
    asked = memory.system(ID)
    assert [hit.text for hit in asked.search("river", threshold=0.3)] == []
    assert [hit.text for hit in asked.search("chess", threshold=0.3)] == ["He won again"]


@pytest.mark.parametrize(("separation", "n"), [("softmax", 2), ("linear", 2), ("max", 1)])
def test_the_separation_decides_how_many_values_answer(open_memory: Open, separation: str, n: int) -> None:
    memory = keyed(open_memory, TWO, list(TWO), separation=separation, most_keys=3)
    hits = memory.system(ID).search("tea chess", threshold=0.1).hits
    assert len(hits) == n


def test_under_max_the_best_of_what_a_filter_lets_through_answers(open_memory: Open) -> None:
    memory = keyed(open_memory, TWO, list(TWO), separation="max")
    second = memory.list()[1]
    asked = memory.system(ID)
    assert [hit.text for hit in asked.search("tea chess tea")] == [next(iter(TWO))]
    assert [hit.sources for hit in asked.search("tea chess tea", since=second.occurred_at)] == [(second.id,)]


@pytest.mark.parametrize("by", ["value", "episode"])
def test_what_was_helpful_is_found_better_by_its_cue_afterwards_and_as_before_as_of_then(
    open_memory: Open, clock: ManualClock, by: str
) -> None:
    memory = keyed(open_memory, TWO, list(TWO), learning_rate=0.2)
    asked = memory.system(ID)

    def score(text: str, **when: Any) -> float:
        return next((hit.score for hit in asked.search("river", **when) if hit.text == text), 0.0)

    pot, other = list(TWO)
    then, before, before_other = clock.now(), score(pot), score(other)
    (value,) = [one for one in memory.records(system=ID, kind="value") if one.text == pot]
    clock.advance(timedelta(minutes=1))
    memory.feedback(value.id if by == "value" else value.sources[0], "helpful", note="river")
    memory.consolidate()
    assert score(pot) > before + 0.05
    assert score(other) <= before_other
    assert score(pot, as_of=then) == before
    assert [one.text for one in memory.records(system=ID, kind="value", ids=[value.id])] == [pot]


def test_feedback_without_a_note_teaches_the_cue_that_was_asked_last(open_memory: Open) -> None:
    asking = {"What of the river?": {"questions": ["chess"], "cues": [], "keywords": []}}
    memory = keyed(open_memory, TWO | asking, [*TWO, *asking], learning_rate=0.2)
    (value,) = [one for one in memory.records(system=ID, kind="value") if one.text == next(iter(TWO))]
    memory.feedback(value.id, "used", id="told")
    memory.consolidate()
    learned = [one for one in memory.records(system=ID, kind="key") if one.data["version"] == 1]
    assert value.id in {one.data["value"] for one in learned}
    asked = memory.list()[2].id
    assert all({asked, "told"} <= set(one.sources) for one in learned)


@pytest.mark.parametrize(("verdict", "ids"), [("wrong", None), ("helpful", ["nobody"])], ids=["wrong", "an unknown id"])
def test_other_verdicts_and_unknown_ids_teach_nothing(open_memory: Open, verdict: Any, ids: Any) -> None:
    memory = keyed(open_memory, TWO, list(TWO))
    before = list(memory.records(system=ID))
    import_feedback(memory, ids or [before[0].id], verdict, note="river tea")
    memory.consolidate()
    assert list(memory.records(system=ID)) == before


def test_an_answer_without_a_key_leaves_the_keys_to_the_rules(open_memory: Open) -> None:
    memory = keyed(open_memory, {"I play chess": {"questions": [" "], "cues": ["!"], "keywords": []}}, ["I play chess"])
    assert {one.data["by"] for one in memory.records(system=ID)} == {"offline"}


def test_without_a_model_an_answer_is_found_by_its_question_and_a_statement_with_an_end_left_open(
    memory: Memory,
) -> None:
    memory.add("Which instrument do you play?", actor="Bob", session="mon")
    memory.add("The cello.", actor="Ann", session="mon")
    memory.add("I live in Oslo", actor="Ann", session="mon")
    memory.attach(ID)
    memory.consolidate()
    assert "The cello." in {hit.text for hit in memory.system(ID).search("Which instrument do you play?", limit=2)}
    keys = {one.text for one in memory.records(system=ID, kind="key")}
    assert {"Which instrument do you play?", "Ann lives in what?", "who lives in Oslo?"} <= keys


@pytest.mark.parametrize(
    "wrong",
    [{"separation": "none"}, {"beta": 0.0}, {"pattern_separation": 1.5}, {"most_keys": 0}, {"learning_rate": -1.0}],
    ids=str,
)
def test_parameters_out_of_their_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Params(**wrong)


def test_feedback_moves_the_keys_that_there_were_whatever_comes_in_the_same_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = []
    for batch in (1, 64):
        monkeypatch.setattr(runner, "BATCH", batch)
        with Memory.open(embedder="hashing", clock=ManualClock(START)) as memory:
            memory.attach(ID)
            memory.add("My dog Rex likes the park.", id="a")
            memory.add("What does my dog like?", id="q")
            memory.feedback("a", "helpful", note="What does the dog like most?")
            memory.add("My dog likes most of all the beach.", id="b")
            memory.consolidate()
            made.append(sorted((one.id, one.text) for one in memory.records(system=ID)))
    assert made[0] == made[1]
