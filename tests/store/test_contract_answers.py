"""What every store promises of model answers: kept by scope, gone with what they saw, and what they cost stays."""

import inspect
import sys
from pathlib import Path

import pytest

from mnemic.store.contract import Answered, AnswerStore, Kept, Spent, Store

from .conftest import Opener
from .world import START, entry


@pytest.fixture
def store(open_store: Opener) -> Store:
    """A store whose scope "a" holds the episodes x, y and z, and whose scope "b" holds x."""
    store = open_store()
    store.append([entry(id, id=id) for id in "xyz"] + [entry("x", id="x", scope="b")])
    return store


def answered(key: bytes, answer: str, *sources: str, **named) -> Answered:
    values = {"system": "notes", "step": "extract", "model": "m", "calls": 1, "tokens_in": 10, "tokens_out": 3, **named}
    return Answered(key=key, answer=answer, sources=sources, answered_at=START, **values)


DAY = "2024-05-01"


def test_an_answer_is_found_by_its_key_in_its_scope_alone(store: Store) -> None:
    store.answers.keep("a", answered(b"k", "of x", "x"), DAY)
    assert store.answers.kept("a", b"k") == Kept("of x")
    assert (store.answers.kept("b", b"k"), store.answers.kept("a", b"other")) == (None, None)


def test_a_later_answer_to_the_same_prompt_takes_the_place_of_the_first(store: Store) -> None:
    store.answers.keep("a", answered(b"k", "broken", "x", attempts=1), DAY)
    store.answers.keep("a", answered(b"k", "better", "x", "y"), DAY)
    assert store.answers.kept("a", b"k") == Kept("better", 0)
    assert store.remove("a", [2], at=START).answers == 1


def test_an_answer_goes_with_any_episode_that_the_model_saw(store: Store) -> None:
    store.answers.keep("a", answered(b"1", "of x and y", "x", "y"), DAY)
    store.answers.keep("a", answered(b"2", "of z", "z"), DAY)
    assert store.remove("a", [1], at=START).answers == 1
    assert (store.answers.kept("a", b"1"), store.answers.kept("a", b"2")) == (None, Kept("of z"))


def test_an_answer_to_a_question_goes_with_the_next_forgetting_in_its_scope(store: Store) -> None:
    store.answers.keep("a", answered(b"1", "to a question"), DAY)
    store.answers.keep("b", answered(b"2", "to another"), DAY)
    assert store.remove("a", [3], at=START).answers == 1
    assert (store.answers.kept("a", b"1"), store.answers.kept("b", b"2")) == (None, Kept("to another"))


def test_an_answer_to_a_question_goes_when_something_below_its_scope_is_forgotten(store: Store) -> None:
    store.append([entry("secret", id="s", scope="a/below")])
    store.answers.keep("a", answered(b"1", "to a question with what stands below"), DAY)
    store.answers.keep("b", answered(b"2", "to another"), DAY)
    (seq,) = [one.seq for one in store.get("a/below", ["s"])]
    assert store.remove("a/below", [seq], at=START).answers == 1
    assert (store.answers.kept("a", b"1"), store.answers.kept("b", b"2")) == (None, Kept("to another"))


def test_an_answer_to_a_question_is_not_kept_if_anything_was_forgotten_since_it_was_asked(store: Store) -> None:
    before = store.answers.newest_removal()
    store.answers.keep("a", answered(b"1", "in time", last_removal=before), DAY)
    store.remove("b", [4], at=START)
    assert store.answers.newest_removal() > before
    store.answers.keep("a", answered(b"2", "late", last_removal=before), DAY)
    assert (store.answers.kept("a", b"1"), store.answers.kept("a", b"2")) == (Kept("in time"), None)
    assert [one.calls for one in store.answers.spent()] == [2]


def test_an_answer_about_what_was_forgotten_meanwhile_is_not_kept_but_its_cost_is(store: Store) -> None:
    store.remove("a", [1], at=START)
    store.answers.keep("a", answered(b"k", "of x", "x", "y"), DAY)
    assert store.answers.kept("a", b"k") is None
    assert [one.calls for one in store.answers.spent()] == [1]


def test_what_cannot_be_used_is_kept_and_can_be_tried_again(store: Store) -> None:
    store.answers.keep("a", answered(b"1", "{", "x", attempts=3), DAY)
    store.answers.keep("a", answered(b"2", "fine", "x"), DAY)
    store.answers.keep("a", answered(b"3", "{", "x", attempts=3, system="others"), DAY)
    assert store.answers.kept("a", b"1") == Kept("{", 3)
    assert store.answers.unusable() == {"notes": 1, "others": 1}
    assert store.answers.retry_unusable("notes", "a", attempts=2) == 1
    found = [store.answers.kept("a", key) for key in (b"1", b"2", b"3")]
    assert found == [Kept("{", 2), Kept("fine"), Kept("{", 3)]


def test_what_was_spent_is_summed_by_system_step_and_model_and_told_by_scope_and_day(store: Store) -> None:
    store.answers.keep("a", answered(b"1", "one", "x", usd=0.5), DAY)
    store.answers.keep("a", answered(b"2", "two", "x", calls=2, failed=1), "2024-05-02")
    store.answers.keep("b", answered(b"3", "three", "x", step="update", is_kept=False), DAY)
    extract = {"system": "notes", "step": "extract", "model": "m"}
    assert store.answers.spent() == [
        Spent(**extract, calls=3, failed=1, tokens_in=20, tokens_out=6, usd=0.5),
        Spent(**{**extract, "step": "update"}, calls=1, failed=0, tokens_in=10, tokens_out=3, usd=0.0),
    ]
    assert store.answers.spent(scope="a", day=DAY) == [
        Spent(**extract, calls=1, failed=0, tokens_in=10, tokens_out=3, usd=0.5)
    ]
    assert store.answers.kept("b", b"3") is None


def test_what_was_spent_stays_when_the_text_or_the_whole_scope_is_forgotten(store: Store) -> None:
    store.answers.keep("a", answered(b"1", "one", "x"), DAY)
    store.remove("a", [1], at=START)
    assert [one.calls for one in store.answers.spent(scope="a")] == [1]
    store.remove("a", [2, 3], at=START, drop_scope=True)
    assert [one.calls for one in store.answers.spent()] == [1]  # or forgetting would begin the day's budget anew
    assert store.answers.spent(scope="a") == []


def test_an_answer_in_a_scope_that_is_gone_is_passed_over(store: Store) -> None:
    store.answers.keep("nowhere", answered(b"1", "one"), DAY)
    assert (store.answers.kept("nowhere", b"1"), store.answers.spent()) == (None, [])


def test_answers_are_there_after_opening_again(open_store: Opener, store: Store) -> None:
    store.answers.keep("a", answered(b"k", "of x", "x"), DAY)
    again = open_store.again(store)
    assert (again.answers.kept("a", b"k"), len(again.answers.spent())) == (Kept("of x"), 1)


def test_every_method_of_the_answer_store_is_called_in_this_file() -> None:
    source = Path(inspect.getfile(sys.modules[__name__])).read_text()
    names = [name for name in vars(AnswerStore) if not name.startswith("_")]
    assert [name for name in names if f"answers.{name}(" not in source] == []
