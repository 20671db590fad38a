"""A model's answer becomes an object: repaired where that needs no guess, asked again, or refused; never made up."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.errors import AnswerUnusable, LLMClosed, LLMRefused, LLMUnavailable, ParameterError
from mnemic.models.lenient_json import OpenDict, OpenList, json_values
from mnemic.models.llm import Completion
from mnemic.models.prompt import Message
from mnemic.models.structured import Unreadable, ask_structured, parsed, read_answer, schema_of, with_schema


@dataclass
class Fact:
    text: str
    kind: Literal["event", "state"] = "state"
    weight: int | None = None
    tags: list[str] = field(default_factory=list)


@dataclass
class Extraction:
    facts: list[Fact]


@dataclass
class Verdict:
    is_right: bool
    score: float
    reason: str = ""


@dataclass
class Two:
    adds: list[str]
    drops: list[int]


@dataclass
class Tree:
    name: str
    children: list[Tree] = field(default_factory=list)


@dataclass
class Choice:
    ids: list[str] = field(default_factory=list)
    why: dict[str, str] = field(default_factory=dict)


PORTO = Extraction([Fact("Mara moved to Porto", "event", 5, ["home"]), Fact("It rains")])
AS_JSON = json.dumps(asdict(PORTO))
TASK = [Message(role="system", content="Extract facts."), Message(role="user", content="{}")]


class Says:
    """A model that says one text after another, the last one again and again."""

    id = "says:1"

    def __init__(self, *said: str | Completion | Exception) -> None:
        self.said = list(said)
        self.asked: list[tuple[list[Message], Mapping[str, Any] | None, int]] = []

    def complete(
        self, messages: Sequence[Message], *, schema: Mapping[str, Any] | None = None, max_tokens: int = 2048
    ) -> Completion:
        self.asked.append((list(messages), schema, max_tokens))
        said = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        if isinstance(said, Exception):
            raise said
        return said if isinstance(said, Completion) else Completion(text=said, tokens_in=10, tokens_out=2)

    def close(self) -> None:
        pass


# -- repairs without another call -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(AS_JSON, id="as it should be"),
        pytest.param(f"```json\n{AS_JSON}\n```", id="in a fence"),
        pytest.param(f"Here are the facts [as asked]:\n\n{AS_JSON}\n\nI hope {{this}} helps!", id="in prose"),
        pytest.param(f"<think>It could be {{}} or [1].</think>\n{AS_JSON}", id="behind thoughts"),
        pytest.param(f"{AS_JSON}\n\nAgain: {AS_JSON}", id="said twice"),
        pytest.param(AS_JSON.replace("}", ",}").replace('"]', '", ]'), id="with trailing commas"),
        pytest.param(repr(asdict(PORTO)), id="in Python"),
        pytest.param(json.dumps(asdict(PORTO)["facts"]), id="as a bare list"),
        pytest.param(f"[{AS_JSON}]", id="in a list of its own"),
        pytest.param(AS_JSON.replace("5", '"5"'), id="a number in quotes"),
        pytest.param(AS_JSON.replace('"facts"', '"Facts"').replace('"text"', '"TEXT"'), id="names in other case"),
        pytest.param(AS_JSON.replace(', "weight": null', "").replace(', "tags": []', ""), id="without optional fields"),
        pytest.param(AS_JSON.replace('"tags": []', '"tags": null'), id="null for a list that may be left out"),
        pytest.param(AS_JSON.replace('"facts"', '"note": "done", "facts"'), id="with a field of its own"),
    ],
)
def test_an_answer_is_repaired_without_another_call(answer):
    llm = Says(answer)
    got = ask_structured(llm, TASK, Extraction)
    assert (got.value, got.raw, got.calls, got.is_cut) == (PORTO, answer, 1, False)
    assert (got.tokens_in, got.tokens_out) == (10, 2)


@pytest.mark.parametrize(
    ("cut", "kept"),
    [
        pytest.param('{"facts": [{"text": "a"}, {"text": "b', ["a"], id="in a text"),
        pytest.param('{"facts": [{"text": "a"}, {"text": "b"', ["a"], id="before the end of an item"),
        pytest.param('{"facts": [{"text": "a"}, {"text": "b"}', ["a", "b"], id="behind an item"),
        pytest.param('{"facts": [{"text": "a"}, {"text": "b"}]', ["a", "b"], id="behind the list"),
        pytest.param('[{"text": "a"}, {"te', ["a"], id="in a bare list"),
        pytest.param('```json\n{"facts": [{"text": "a", "weight": 1}, {"text": "b", "weight": 1', ["a"], id="a number"),
    ],
)
def test_of_an_answer_that_was_cut_the_complete_items_are_kept(cut, kept):
    llm = Says(Completion(text=cut, is_cut=True))
    got = ask_structured(llm, TASK, Extraction)
    assert [fact.text for fact in got.value.facts] == kept
    assert (got.is_cut, got.calls) == (True, 1)


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        pytest.param(Extraction, "", id="nothing"),
        pytest.param(Extraction, "I cannot do that.", id="prose"),
        pytest.param(Extraction, "{}", id="nothing of what is required"),
        pytest.param(Choice, '{"id": ["1"]}', id="no name that is known"),
        pytest.param(Extraction, '{"facts": [{"text": "a"}, {"text": "b" oops}]}', id="broken behind an item"),
        pytest.param(Extraction, '{"facts": [{"text": "He said "hi" to me"}]}', id="quotes in a text"),
        pytest.param(Extraction, "{'facts': [{'text': 'it's late'}]}", id="an apostrophe in single quotes"),
        pytest.param(Extraction, '{"facts": [{"text": "a"}]} or {"facts": []} ', id="two answers"),
        pytest.param(Extraction, '{"facts": [{"text": "a", "kind": "whim"}]}', id="a word that is not among them"),
        pytest.param(Extraction, '{"facts": [', id="cut before the first item"),
        pytest.param(Verdict, '{"is_right": true, "score": 0.5, "reason": "bec', id="a text that was cut"),
        pytest.param(Verdict, '{"is_right": true, "score": 0.5', id="a number that was cut"),
        pytest.param(Choice, '{"ids": ["1"], "why": {"1": "x"', id="a map that was cut"),
        pytest.param(Two, '["a", "b"]', id="a bare list for one of two"),
        pytest.param(Extraction, '{"facts": [], "Facts ": [], "FACTS": []} {', id="an open bracket behind"),
        pytest.param(Extraction, "<think>what about {'facts': []}", id="thoughts alone"),
        pytest.param(Extraction, '{"facts": [{"text": "a", "Text": "b", "TEXT": NaN}]}', id="no number"),
        pytest.param(Extraction, '{"facts": ["\\ud800"]}', id="half a character"),
        pytest.param(Extraction, "[" * 100_000, id="too deep"),
    ],
)
def test_an_answer_that_could_mean_something_else_is_refused(schema, answer):
    with pytest.raises(Unreadable):
        read_answer(answer, schema)


def test_what_one_says_about_the_answer_is_not_taken_for_it():
    assert read_answer('Instead of {} I give [this]: {"ids": ["1"]}', Choice) == (Choice(["1"]), False)
    assert read_answer("{}", Choice) == (Choice(), False)
    assert read_answer("{'ids': [0, 1]}", Choice) == (Choice(["0", "1"]), False)


values = st.builds(
    Extraction,
    st.lists(
        st.builds(
            Fact,
            st.text(st.characters(codec="utf-8")),
            st.sampled_from(["event", "state"]),
            st.none() | st.integers(-(2**60), 2**60),
            st.lists(
                st.sampled_from(["null", "true", "[", '{"facts": []}', "'", '"', "```", "\\"]) | st.text(max_size=3)
            ),
        ),
        max_size=4,
    ),
)
written = st.sampled_from(
    [
        lambda value: json.dumps(value),
        lambda value: json.dumps(value, indent=2, ensure_ascii=False),
        lambda value: json.dumps(value["facts"]),
        lambda value: msgspec.json.encode(value).decode(),
    ]
)
around = st.sampled_from(
    [
        ("", ""),
        ("```json\n", "\n```"),
        ("Here it is:\n```\n", "\n```\nAnything else?"),
        ("I found these [1]. ", " That's all, {name}."),
        ("<think>Hmm, 'facts' {or} not.</think>", ""),
    ]
)


@given(values, written, around)
def test_any_answer_comes_through_fences_and_prose(value, write, wrap):
    answer = wrap[0] + write(asdict(value)) + wrap[1]
    assert read_answer(answer, Extraction) == (value, False)


@given(values, written, around, st.floats(0, 1))
def test_an_answer_cut_anywhere_is_a_prefix_of_its_items_or_refused(value, write, wrap, share):
    answer = wrap[0] + write(asdict(value)) + wrap[1]
    cut = answer[: int(share * len(answer))]
    try:
        got, _ = read_answer(cut, Extraction)
    except Unreadable:
        return
    assert got.facts == value.facts[: len(got.facts)]


@given(st.builds(Two, st.lists(st.text()), st.lists(st.integers(-9, 9))), st.floats(0, 1))
def test_of_two_lists_each_is_a_prefix(value, share):
    answer = json.dumps(asdict(value))
    try:
        got, _ = read_answer(answer[: int(share * len(answer))], Two)
    except Unreadable:
        return
    assert got.adds == value.adds[: len(got.adds)]
    assert got.drops == value.drops[: len(got.drops)]
    assert not got.drops or got.adds == value.adds


@given(st.builds(Verdict, st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.text()), st.floats(0, 1))
def test_without_lists_an_answer_is_whole_or_none(value, share):
    answer = json.dumps(asdict(value))
    cut = answer[: int(share * len(answer))]
    try:
        got, _ = read_answer(cut, Verdict)
    except Unreadable:
        return
    assert got == value
    assert cut == answer


@given(st.text(st.sampled_from("{}[]\"',: \n`\\aT1-.e")))
def test_any_text_is_read_or_refused(text):
    with suppress(Unreadable):
        read_answer(text, Choice)


texts = st.text(st.characters(codec="utf-8"))
json_any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=20,
)


@given(st.lists(json_any) | st.dictionaries(texts, json_any))
def test_proper_json_is_read_as_it_is(value):
    assert json_values(json.dumps(value)) == [value]


def test_what_a_text_ends_in_is_open():
    (value,) = json_values('{"a": 1, "b": [true, {"c": "d", "e": "f')
    assert value == {"a": 1, "b": [True, {"c": "d"}]}
    assert (type(value), type(value["b"]), type(value["b"][1])) == (OpenDict, OpenList, OpenDict)


# -- asking again ---------------------------------------------------------------------------------------------


def test_an_answer_that_cannot_be_used_is_asked_for_again_with_its_fault():
    llm = Says('{"facts": [{"text": 1.5}]}', AS_JSON)
    got = ask_structured(llm, TASK, Extraction, max_tokens=100)
    assert (got.value, got.calls, got.tokens_in, got.tokens_out) == (PORTO, 2, 20, 4)
    first, second = llm.asked
    assert second[0][: len(first[0])] == first[0]
    answer, complaint = second[0][len(first[0]) :]
    assert (answer.role, answer.content) == ("assistant", '{"facts": [{"text": 1.5}]}')
    assert complaint.role == "user"
    assert "$.facts[0].text" in complaint.content
    assert (first[2], second[2]) == (100, 100)


def test_an_answer_that_was_cut_is_asked_for_again_with_twice_the_tokens():
    llm = Says(Completion(text='{"facts": [{"text": "Ma', is_cut=True), Completion(text="", is_cut=True), AS_JSON)
    assert ask_structured(llm, TASK, Extraction, max_tokens=100).value == PORTO
    assert [limit for _, _, limit in llm.asked] == [100, 200, 400]
    assert llm.asked[0][0] == llm.asked[2][0]


def test_after_all_attempts_the_last_answer_is_in_the_error():
    llm, told = Says("no", "nope", "never"), []
    with pytest.raises(AnswerUnusable, match=r"asked 3 times .* Extraction.*no JSON object") as raised:
        ask_structured(llm, TASK, Extraction, told=told.append)
    assert raised.value.raw == "never"
    assert (raised.value.calls, raised.value.tokens_in, raised.value.tokens_out) == (3, 30, 6)
    assert [one.text for one in told] == ["no", "nope", "never"]


@pytest.mark.parametrize("error", [LLMRefused("too long"), LLMUnavailable("down"), LLMClosed("closed")])
def test_what_the_endpoint_says_passes_through_with_what_was_spent(error):
    with pytest.raises(type(error)) as raised:
        ask_structured(Says("no", error), TASK, Extraction)
    assert raised.value is error
    assert (error.calls, error.tokens_in) == (1, 10)


def test_no_attempt_and_no_dataclass_are_refused():
    with pytest.raises(ParameterError, match="attempts"):
        ask_structured(Says(""), TASK, Extraction, attempts=0)
    with pytest.raises(ParameterError, match="dataclass"):
        schema_of(int)


def test_a_kept_answer_is_read_again():
    assert parsed(f"Sure: {AS_JSON}", Extraction) == PORTO
    with pytest.raises(AnswerUnusable, match="no longer"):
        parsed("gone", Extraction)


# -- telling the form -----------------------------------------------------------------------------------------


@dataclass
class Rated:
    kind: Literal["a", "b"]
    rate: Annotated[int, msgspec.Meta(ge=1, le=10, description="10 is best")]
    notes: dict[str, int] = field(default_factory=dict)
    pair: tuple[str, int] | None = None


def test_the_form_is_told_at_the_end_of_the_system_message_once():
    told = with_schema(TASK, Extraction)
    assert told[0].content == (
        "Extract facts.\n\n"
        'Answer with one JSON object and nothing else. Its form: Names with "?" may be left out.\n'
        '{"facts": [{"text": string, "kind"?: "event" | "state", "weight"?: integer | null, "tags"?: [string, …]}, …]}'
    )
    assert told[1:] == TASK[1:]
    assert with_schema(told, Extraction) == told
    assert with_schema(TASK[1:], Extraction)[0].role == "system"


def test_bounds_and_meanings_and_forms_inside_themselves_are_told():
    assert with_schema([], Rated)[0].content.splitlines()[-1] == (
        '{"kind": "a" | "b", "rate": integer, at least 1, at most 10 (10 is best), "notes"?: {string: integer, …}, '
        '"pair"?: [string, integer] | null}'
    )
    assert with_schema([], Tree)[0].content.splitlines()[-1] == '{"name": string, "children"?: [<Tree again>, …]}'
    assert read_answer('{"name": "a", "children": [{"name": "b"}]}', Tree)[0] == Tree("a", [Tree("b")])


def test_the_schema_has_an_object_at_its_root():
    assert schema_of(Extraction)["type"] == "object"
    assert list(schema_of(Extraction)["$defs"]) == ["Fact"]
    assert list(schema_of(Tree)["$defs"]) == ["Tree"]
    assert "$defs" not in schema_of(Verdict)
