"""The benchmark of conversation memories is right in what it computes itself: slopes, prompts read, answers, verdicts."""

import importlib
import itertools
import json
import math
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.model import Hit, Record
from mnemic.models.prompt import Prompt, Shown
from mnemic.models.structured import schema_of
from mnemic.ops.extract import FactsAnswer
from mnemic.ops.summarise import SummaryAnswer
from mnemic.ops.update import ChangesAnswer
from mnemic.systems.mem_alpha import CallsAnswer
from mnemic.systems.registry import SYSTEMS
from mnemic.testing.asked import Asked, asked

PARTS = Path(__file__).parents[2] / "benchmarks" / "conversation"
START = datetime(2024, 5, 1, 12, tzinfo=UTC)


def load(name: str) -> ModuleType:
    """A module of the benchmark, which is a script and no package."""
    if str(PARTS) not in sys.path:
        sys.path.insert(0, str(PARTS))
    return importlib.import_module(name)


dialogue, found, growth, prompts, recorded_model = map(
    load, ("dialogue", "found", "growth", "prompts", "recorded_model")
)
ruled, updates = load("ruled"), load("updates")

LOCOMO = [
    {
        "conversation": {
            "session_1": [
                {"speaker": "Ada", "dia_id": "D1:1", "text": "Well, I really moved to Porto last week."},
                {"speaker": "Ben", "dia_id": "D1:2", "text": "Oh nice, I have a cat there."},
            ]
        },
        "observation": {
            "session_1_observation": {"Ada": [["Ada lives in Porto.", "D1:1"]], "Ben": [["Ben has a cat.", "D1:2"]]}
        },
        "session_summary": {"session_1_summary": "Ada told Ben of her move."},
    }
]
TURNS = [
    {"turn": 1, "time": START.isoformat(), "speaker": "Ada", "text": "Well, I really moved to Porto last week."},
    {"turn": 2, "time": START.isoformat(), "speaker": "Ben", "text": "Oh nice, I have a cat there."},
]


def ask(schema: type[Any], **data: Any) -> Asked:
    prompt = Prompt("Do it.", {name: Shown(value) for name, value in data.items()})
    return asked(prompt.messages(), schema=schema_of(schema))


@pytest.fixture
def model() -> Any:
    return recorded_model.RecordedModel(LOCOMO)


# -- growth ---------------------------------------------------------------------------------------------------


@given(
    st.floats(0.2, 3.0), st.floats(1e-6, 10.0), st.lists(st.integers(10, 10**6), min_size=2, max_size=8, unique=True)
)
def test_the_slope_is_the_exponent_of_what_grows_by_a_power(exponent, scale, sizes):
    assert growth.slope([(n, scale * n**exponent) for n in sorted(sizes)]) == pytest.approx(exponent, abs=1e-6)


@given(st.lists(st.integers(10, 10**6), min_size=2, max_size=8, unique=True), st.floats(1e-6, 10.0))
def test_what_takes_n_log_n_is_not_beyond_it(sizes, scale):
    times = [(n, scale * t) for n, t in growth.n_log_n(sorted(sizes))]
    assert growth.beyond_n_log_n(times) == pytest.approx(1.0)


def test_one_point_has_no_slope_and_no_picture():
    assert math.isnan(growth.slope([(1000, 1.0)]))
    assert growth.picture({"a": [(1000, 1.0)]}) == ""


def test_the_picture_has_a_line_for_each_series_and_one_for_n_log_n():
    text = growth.picture({"a<b": [(1000, 1.0), (2000, 2.5)], "c": [(1000, 0.1), (2000, 0.2)]})
    assert text.count("<polyline") == 3
    assert "a&lt;b" in text


# -- dialogue -------------------------------------------------------------------------------------------------


def test_dialogue_is_the_same_every_time_and_a_short_one_is_the_beginning_of_a_long_one():
    assert dialogue.messages(40) == dialogue.messages(400)[:40]
    assert dialogue.messages(40) != dialogue.messages(40, seed=1)


def test_sessions_have_ten_to_thirty_turns_and_times_go_forward():
    said = dialogue.messages(600)
    sizes = [len(list(turns)) for _, turns in itertools.groupby(said, key=lambda one: one["session"])]
    assert all(10 <= size <= 30 for size in sizes[:-1])
    assert [one["occurred_at"] for one in said] == sorted(one["occurred_at"] for one in said)
    assert len({one["content"] for one in said}) > 0.7 * len(said)


def test_word_vectors_are_unit_vectors_that_share_what_texts_share():
    embedder = dialogue.WordVectors()
    one, like, other = embedder.embed(["Ada plays the cello", "the cello that Ada plays", "rain in Oslo"])
    assert np.allclose(np.linalg.norm([one, like, other], axis=1), 1.0)
    assert one @ like > 0.9 > 0.3 > one @ other


# -- the model ------------------------------------------------------------------------------------------------


def test_facts_come_from_the_recording_with_the_turns_that_say_them(model):
    assert model.answer(ask(FactsAnswer, turns=TURNS)) == {
        "facts": [{"text": "Ada lives in Porto.", "turns": [1]}, {"text": "Ben has a cat.", "turns": [2]}]
    }
    assert model.shares() == {"recorded: facts of turns": 1}


def test_turns_whose_words_were_left_out_are_found_again(model):
    short = [{"id": 7, "speaker": "Ada", "text": "moved Porto week"}]
    assert [fact["text"] for fact in model.said.facts(short)] == ["Ada lives in Porto."]
    assert prompts.turns_of({"topics": [{"topic": 1, "messages": short}]}) == [{**short[0], "turn": 7}]


def test_turns_that_are_not_in_the_recording_are_facts_as_they_stand(model):
    said = [{"turn": 4, "speaker": "user", "text": "colour: blue"}]
    assert model.said.facts(said) == [{"text": "colour: blue", "turn": 4, "speaker": "user"}]


def test_a_whole_session_has_its_recorded_summary_and_a_part_of_it_its_facts(model):
    part = ask(SummaryAnswer, pieces=TURNS, max_words=50)
    assert model.answer(part) == {"summary": "Ada lives in Porto. Ben has a cat."}
    whole = ask(SummaryAnswer, pieces=TURNS * 4, max_words=50)
    assert model.answer(whole) == {"summary": "Ada told Ben of her move."}


def test_recorded_facts_become_calls_of_tools_and_take_the_place_of_what_they_end(model):
    shown = {"core": "", "semantic": {"count": 1, "items": [{"id": "0a", "text": "Ada lives in Paris."}]}}
    calls = model.answer(ask(CallsAnswer, **shown, episodic={"count": 0, "items": []}, turns=TURNS))["calls"]
    assert [(one["tool"], one.get("memory_id"), one.get("content") or one["new_content"]) for one in calls] == [
        ("memory_update", "0a", "Ada lives in Porto."),
        ("new_memory_insert", None, "Ben has a cat."),
        ("memory_update", None, "Ada lives in Porto."),
    ]
    assert [one["turns"] for one in calls] == [[1], [2], [1]]
    assert model.shares() == {"recorded: calls of tools": 1}


def test_a_new_fact_updates_what_it_ends_and_adds_what_is_news(model):
    old = [{"id": "0", "text": "Ada lives in Paris."}, {"id": "1", "text": "Ben has a cat."}]
    new = [{"fact": 0, "text": "Ada moved to Rome."}, {"fact": 1, "text": "It rained in Oslo."}]
    decided = model.answer(ask(ChangesAnswer, old=old, new=new))["memory"]
    assert [(one["event"], one["id"]) for one in decided] == [("UPDATE", "0"), ("ADD", "")]


@pytest.mark.parametrize(
    ("old", "new", "how"),
    [
        ("colour: blue", "colour: red", "updates"),
        ("colour: blue", "colour: blue", "same"),
        ("Ada loves pizza.", "Ada dislikes pizza.", "contradicts"),
    ],
)
def test_lines_of_one_key_are_told_apart_by_their_values(old, new, how):
    assert ruled.standing(old, new) == how


def test_what_nothing_fits_gets_the_emptiest_answer_and_is_counted_as_such(model):
    schema = {"type": "object", "properties": {"verdict": {"enum": ["yes", "no"]}, "notes": {"type": "array"}}}
    strange = asked(Prompt("Judge.", {"thing": Shown(1)}).messages(), schema=schema)
    assert model.answer(strange) == {"verdict": "yes", "notes": []}
    assert sum(model.counts.values()) == 1
    assert next(iter(model.counts))[0] == recorded_model.EMPTY


def test_a_system_runs_on_the_recorded_answers_and_says_that_a_model_made_its_records(model):
    llm = model.llm()
    with Memory.open(embedder="hashing", clock=ManualClock(START), llm="none", background=False) as memory:
        memory.add([{"role": "user", "name": one["speaker"], "content": one["text"], "session": "s"} for one in TURNS])
        memory.attach("mem0", llm=llm)
        memory.consolidate()
        made = {one.text: one.data["by"] for one in memory.records(system="mem0") if one.kind == "fact"}
    assert made == {"Ada lives in Porto.": "llm", "Ben has a cat.": "llm"}
    assert llm.problems == []


# -- verdicts -------------------------------------------------------------------------------------------------


def hit(text: str, *sources: str) -> Hit:
    record = Record(id=text, system="s", scope="", kind="fact", text=text, sources=sources, recorded_at=START)
    return Hit(score=1.0, record=record)


@pytest.mark.parametrize(
    ("texts", "is_newest"),
    [
        (["colour: blue red"], 1.0),
        (["colour: grey", "colour: blue red"], 0.0),
        (["shape: round", "colour: blue red"], 1.0),
        (["It was grey, then blue red."], 1.0),
        (["It is blue red and was grey."], 0.0),
        ([], 0.0),
    ],
)
def test_the_first_hit_that_tells_a_value_decides_by_the_last_value_it_tells(texts, is_newest):
    assert updates.is_newest([hit(text, "t1") for text in texts], ["t0", "t1"], ["grey", "blue red"]) == is_newest


# -- figures --------------------------------------------------------------------------------------------------


def test_a_row_that_is_measured_again_is_replaced_and_the_others_stay(tmp_path):
    out = tmp_path / "figures.json"
    found.merge_into(out, "calls", [{"system": "a", "n": 1}, {"system": "b", "n": 2}], ("system",))
    found.merge_into(out, "update", [{"system": "a", "n": 9}], ("system",))
    rows = found.merge_into(out, "calls", [{"system": "a", "n": 3}], ("system",))
    assert rows == [{"system": "a", "n": 3}, {"system": "b", "n": 2}]
    assert json.loads(out.read_text())["update"]["rows"] == [{"system": "a", "n": 9}]


def test_conversation_memories_are_measured_and_baselines_only_where_they_are_named():
    ids = [card.id for card in found.measured()]
    assert {"mem0", "lightmem"} <= set(ids) <= set(SYSTEMS)
    assert not set(found.BASELINES) & set(ids)
    assert [card.id for card in found.measured(["dense,bm25"])] == ["dense", "bm25"]
    assert found.with_records(found.measured(["dense"])) == []
