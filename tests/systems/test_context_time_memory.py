"""The system "context-time-memory": the log as a table, questions of time as chains of operations on it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mnemic import Memory
from mnemic.errors import ParameterError
from mnemic.systems.context_time_memory import NextAnswer, operation
from mnemic.systems.registry import create
from mnemic.testing import RuleLLM

ID = "context-time-memory"
NOW = datetime(2023, 10, 23, 10, 30, tzinfo=UTC)
TALKS = {
    "one": (
        datetime(2023, 5, 8, 13, tzinfo=UTC),
        ["I planted tulips", "my sister loves tulips", "the shed needs paint"],
    ),
    "two": (datetime(2023, 5, 25, 9, tzinfo=UTC), ["I bought a violin", "the violin sounds warm"]),
    "three": (datetime(2023, 10, 20, 12, tzinfo=UTC), ["tulips again next spring", "the shed is blue now"]),
    "four": (datetime(2023, 10, 23, 8, tzinfo=UTC), ["good morning", "we talked on May 8th, remember?"]),
}


@pytest.fixture
def talks(open_memory: Callable[..., Memory]) -> Callable[..., Memory]:
    def talks(**settings: Any) -> Memory:
        memory = open_memory(**settings)
        for session, (began, texts) in TALKS.items():
            for turn, text in enumerate(texts):
                memory.add(
                    text,
                    session=session,
                    actor=("Ann", "Bo")[turn % 2],
                    occurred_at=began + timedelta(minutes=turn),
                )
        return memory

    return talks


def texts(memory: Memory, question: str, **more: Any) -> list[str]:
    return [hit.text for hit in memory.system(ID).search(question, asked_at=NOW, **more)]


def test_a_question_of_time_alone_gives_all_its_rows_in_their_order(talks: Callable[..., Memory]) -> None:
    memory = talks()
    assert texts(memory, "What did we discuss on May 8th?") == TALKS["one"][1]
    assert texts(memory, "What did we discuss last Friday?") == TALKS["three"][1]
    assert texts(memory, "What did we discuss in our second session?") == TALKS["two"][1]
    assert texts(memory, "What did we talk about in May?") == [*TALKS["one"][1], *TALKS["two"][1]]


def test_no_matching_rows_are_an_empty_answer_and_not_the_nearest(talks: Callable[..., Memory]) -> None:
    memory = talks()
    assert texts(memory, "What did we discuss in July?") == []
    assert texts(memory, "What did Ann say about tulips in July?") == []
    assert texts(memory, "What did we discuss on May 8th?", session="two") == []


def test_a_question_of_both_filters_first_and_then_ranks(talks: Callable[..., Memory]) -> None:
    hits = talks().system(ID).search("What did Ann say about tulips on October 20th?", asked_at=NOW).hits
    assert [hit.text for hit in hits] == ["tulips again next spring"]
    assert hits[0].reasons[0].signal == "meaning"
    assert "date = 2023-10-20" in hits[0].reasons[0].note


def test_a_question_without_a_time_is_one_of_meaning(talks: Callable[..., Memory]) -> None:
    assert texts(talks(), "Who loves tulips?", limit=1) == ["my sister loves tulips"]


def test_what_one_of_them_said_at_a_time_is_only_theirs(talks: Callable[..., Memory]) -> None:
    assert texts(talks(), "What did Bo say on May 8th?") == ["my sister loves tulips"]


def test_a_hit_tells_the_chain_and_the_columns_of_its_row(talks: Callable[..., Memory]) -> None:
    first = talks().system(ID).search("What did we discuss in session 2?", asked_at=NOW).hits[0]
    assert first.explain() == "time 1.00 (session = 2 (response 3, session 2, Thursday 2023-05-25 09:00, ann))"


def test_now_is_when_the_cue_was_asked(talks: Callable[..., Memory]) -> None:
    memory = talks()
    asked = memory.system(ID).search("What did we discuss yesterday?", asked_at=datetime(2023, 5, 9, tzinfo=UTC))
    assert [hit.text for hit in asked] == TALKS["one"][1]


def test_vectors_alone_find_less_than_half_of_what_was_said_at_a_time(talks: Callable[..., Memory]) -> None:
    memory = talks()
    questions = {
        "What did we discuss on May 8th?": "one",
        "What did we discuss in our second session?": "two",
        "What did we discuss 3 days ago?": "three",
    }
    found: dict[str, list[float]] = {ID: [], "dense": []}
    for question, session in questions.items():
        wanted = TALKS[session][1]
        for system, recalls in found.items():
            hits = memory.system(system).search(question, asked_at=NOW, limit=len(wanted))
            recalls.append(len({hit.text for hit in hits} & set(wanted)) / len(wanted))
    assert found[ID] == [1.0, 1.0, 1.0]
    assert sum(found["dense"]) / 3 < 0.5


# -- with a model ---------------------------------------------------------------------------------------------


def model(kind: str, *operations: dict[str, Any], rewritten: str = "") -> RuleLLM:
    llm = RuleLLM(f"rules:{kind}")
    llm.rule("kind", {"kind": kind})
    llm.rule("op", lambda asked: [*operations, {"op": "end"}][len(asked.data["applied"])])
    llm.rule("question", lambda asked: {"question": rewritten or asked.data["question"]})
    return llm


def attached(memory: Memory, llm: RuleLLM, **parameters: Any) -> Memory:
    return memory.attach(ID, llm=llm, **parameters)


def test_a_vague_question_fails_as_it_is_and_succeeds_once_it_stands_alone(talks: Callable[..., Memory]) -> None:
    def answered(**parameters: Any) -> list[str]:
        llm = model(
            "metadata",
            rewritten="What did we discuss on May 8th?",
        )
        llm.rule("kind", lambda asked: {"kind": "metadata" if "May" in asked.data["question"] else "semantic"})
        return texts(attached(talks(), llm, **parameters), "What was it about then?", limit=3)

    assert answered() == TALKS["one"][1]
    assert answered(is_rewritten=False) != TALKS["one"][1]


def test_the_model_sees_the_last_turns_of_the_conversation_for_a_vague_question(talks: Callable[..., Memory]) -> None:
    llm = model("semantic")
    texts(attached(talks(), llm), "What was it about then?")
    shown = next(one.data["turns"] for one in llm.requests if one.shows("turns"))
    assert [turn["text"] for turn in shown] == TALKS["four"][1]


def test_a_question_that_stands_alone_is_not_rewritten(talks: Callable[..., Memory]) -> None:
    llm = model("semantic")
    texts(attached(talks(), llm), "Who loves tulips?")
    assert [one for one in llm.requests if one.shows("turns")] == []


def test_the_chain_of_a_model_is_applied_step_by_step(talks: Callable[..., Memory]) -> None:
    llm = model(
        "metadata",
        {"op": "between", "column": "session", "low": "1", "high": "2"},
        {"op": "value", "column": "speaker", "values": ["Bo"]},
    )
    assert texts(attached(talks(), llm), "All that Bo told early on") == [
        "my sister loves tulips",
        "the violin sounds warm",
    ]
    tables = [one.data["table"] for one in llm.requests if one.shows("table")]
    assert [(one["rows"], one["session"]) for one in tables] == [(9, [1, 4]), (5, [1, 2]), (2, [1, 2])]


def test_a_model_s_chain_that_leaves_nothing_answers_with_nothing(talks: Callable[..., Memory]) -> None:
    llm = model("both", {"op": "value", "column": "date", "values": ["2023-07-01"]})
    assert texts(attached(talks(), llm), "tulips of July") == []


@pytest.mark.parametrize(
    "answer",
    [
        {"op": "value", "column": "mood", "values": ["good"]},
        {"op": "value", "column": "date", "values": ["someday"]},
        {"op": "value", "column": "date", "values": []},
        {"op": "between", "column": "speaker", "low": "a", "high": "b"},
        {"op": "drop", "column": "date"},
    ],
    ids=["no column", "no date", "no value", "no order", "no operation"],
)
def test_an_operation_that_there_cannot_be_leaves_the_chain_to_the_rules(
    answer: dict[str, Any], talks: Callable[..., Memory]
) -> None:
    memory = attached(talks(), model("metadata", answer))
    assert texts(memory, "What did we discuss on May 8th?") == TALKS["one"][1]


def test_a_model_that_is_down_or_talks_nonsense_leaves_the_rules(talks: Callable[..., Memory]) -> None:
    llm = model("nonsense")
    assert texts(attached(talks(), llm), "What did we discuss on May 8th?") == TALKS["one"][1]
    llm = model("metadata")
    llm.down()
    assert texts(attached(talks(), llm), "What did we discuss in our second session?") == TALKS["two"][1]


def test_an_operation_is_what_the_model_named() -> None:
    assert operation(None) is None
    assert operation(NextAnswer()) is None
    assert str(operation(NextAnswer("value", "session", ["3", " 4 "]))) == "session = 3, 4"
    assert str(operation(NextAnswer("between", "date", [], "2023-05-01", ""))) == "date from 2023-05-01"


def test_parameters_out_of_range_are_refused() -> None:
    with pytest.raises(ParameterError):
        create(ID, {"most_operations": 0})
