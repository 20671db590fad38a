"""MemOS: conflicts end in one active memory, headers are kept, the scheduler keeps what is hot at hand, cubes travel."""

from __future__ import annotations

import json
import os
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.errors import Forbidden, FormatError, NotFound, ParameterError
from mnemic.model import Record
from mnemic.models.hashing import HashingEmbedder
from mnemic.ops.scheduling import Activation, Monitor, activated, renewed
from mnemic.systems.mem_reader import judged_by_rule, keyed, slots_of
from mnemic.systems.memcube import MemCube, governance
from mnemic.systems.memos import MERGED_TO, PARENT, MemOS, Params, audit
from mnemic.testing import RuleLLM

START = datetime(2024, 5, 1, 12, tzinfo=UTC)
PI_LLM = Path(os.environ.get("MNEMIC_SHARED_DATA", "/work/shared/data")) / "pi-llm"


def opened(clock: ManualClock | None = None, **named: Any) -> Memory:
    return Memory.open(embedder="hashing", clock=clock or ManualClock(START), **named)


def texts(memory: Memory, query: str, **named: Any) -> list[str]:
    return [hit.text for hit in memory.system("memos").search(query, **named).hits]


def active(memory: Memory) -> list[Record]:
    return [one for one in memory.records(system="memos", include_retired=False) if one.kind == "memory"]


# -- update correctness -----------------------------------------------------------------------------------


def newest_first(values: dict[str, list[str]], rounds: int) -> float:
    """The share of keys whose newest value is the first hit, after a stream of updates."""
    dice = random.Random(1)
    last: dict[str, str] = {}
    with opened() as memory:
        for at in range(rounds):
            keys = sorted(values)
            dice.shuffle(keys)
            memory.add([f"{key}: {values[key][at]}" for key in keys])
            last |= {key: values[key][at] for key in keys}
        memory.attach("memos")
        memory.consolidate()
        right = [
            texts(memory, f"What is the current value of {key}?", limit=1) == [f"{key}: {last[key]}"] for key in last
        ]
        assert len(active(memory)) == len(last)
    return sum(right) / len(right)


def test_the_newest_value_comes_first_in_a_stream_of_updates() -> None:
    values = {
        "bird": ["emu", "kea", "great tit", "serin"],
        "body": ["uterus", "knee joint", "hand", "calf"],
        "water body": ["lagoon", "light water", "vernal pool", "bay"],
        "built environment": ["mall", "institution", "hut", "barn"],
        "American place": ["Tarija", "Peoria", "Monterrey", "Lima"],
        "African place": ["Ho", "Egypt", "Boma", "Jos"],
    }
    assert newest_first(values, 4) == 1.0


@pytest.mark.slow
@pytest.mark.skipif(not PI_LLM.exists(), reason="the shared data set pi-llm is not here")
@pytest.mark.parametrize("rounds", [2, 20, 100])
def test_the_newest_of_many_values_comes_first_for_95_of_100_keys(rounds: int) -> None:
    values = json.loads((PI_LLM / "dict_category_double-word_46-400_v1-1.json").read_text())
    assert newest_first(values, rounds) >= 0.95


def test_an_old_value_is_reached_as_of_its_time_and_archived_with_a_link_to_the_new_one() -> None:
    clock = ManualClock(START)
    with opened(clock) as memory:
        memory.add("bird: emu")
        then = clock.now()
        clock.advance(timedelta(days=1))
        memory.add("bird: kea")
        assert texts(memory, "bird") == ["bird: kea"]
        assert texts(memory, "bird", as_of=then) == ["bird: emu"]
        old, new = (one for one in memory.records(system="memos") if one.kind == "memory")
        assert (old.text, old.retired_at, old.valid_to) == ("bird: emu", clock.now(), clock.now())
        links = memory.links(system="memos")
        assert [(one.kind, one.from_id, one.to_id) for one in links] == [(MERGED_TO, old.id, new.id)]


def test_what_is_told_late_does_not_replace_what_holds_since() -> None:
    with opened() as memory:
        memory.add("bird: kea", occurred_at="2024-04-01")
        memory.add("bird: emu", occurred_at="2024-03-01")
        assert texts(memory, "bird") == ["bird: kea"]
        assert [one.text for one in memory.records(system="memos")] == ["bird: emu", "bird: kea"] or len(
            active(memory)
        ) == 1


def test_a_sentence_with_a_label_is_no_line_of_a_table() -> None:
    assert keyed("Water body: lagoon") == ("water body", "lagoon")
    assert [keyed(one) for one in ("Update: Bob is ill", "Note: buy milk", "Anna: thanks a lot", "no colon")] == [
        None
    ] * 4
    assert judged_by_rule("Update: Bob is ill", "Update: Ann moved to Rome") == "independent"
    assert slots_of("Note: I moved to Porto") == slots_of("I moved to Porto") != ()


def test_a_correction_takes_the_place_of_what_it_corrects() -> None:
    with opened() as memory:
        added = memory.add("I live in Porto", actor="Ann")
        memory.attach("memos")
        memory.consolidate()
        memory.update(added.ids[0], "I live in Rome")
        memory.consolidate()
        assert [one.text for one in active(memory)] == ["Ann lives in Rome"]


# -- with a model -----------------------------------------------------------------------------------------


def reader(asked: Any) -> dict[str, Any]:
    """Every turn is one item, whose key is its first word."""
    return {
        "memory_list": [
            {"key": one["text"].split()[0], "value": one["text"], "tags": ["pets"], "turns": [one["turn"]]}
            for one in asked.data["turns"]
        ]
    }


def model(name: str, relation: str, fused: str) -> RuleLLM:
    llm = RuleLLM(f"rules:memos-{name}")
    llm.rule("memory_list", reader)
    llm.rule("relation", {"relation": relation})
    llm.rule("text", {"text": fused})
    llm.rule("groups", {"groups": []})
    llm.rule("trigger_retrieval", {"trigger_retrieval": False, "missing_evidences": []})
    return llm


def test_two_contradictory_notes_become_one_active_note_that_inherits_their_edges() -> None:
    clock = ManualClock(START)
    with opened(clock) as memory:
        memory.attach(
            "memos", llm=model("fuse", "contradictory", "Ann's cat was grey and is white since May."), threshold=0.5
        )
        memory.add("Ann's cat is grey.", session="one")
        memory.add("The weather was fine.", session="two")
        memory.consolidate()
        then = clock.now()
        clock.advance(timedelta(days=1))
        memory.add("Ann's cat is white.", session="three")
        memory.consolidate()
        every = {one.text: one for one in memory.records(system="memos") if one.kind == "memory"}
        fused = every["Ann's cat was grey and is white since May."]
        parents = [every["Ann's cat is grey."], every["Ann's cat is white."]]
        assert [one.text for one in active(memory)] == ["The weather was fine.", fused.text]
        assert fused.data["previous"] == [one.id for one in parents]
        assert fused.sources == (*parents[0].sources, *parents[1].sources)
        merged = {(one.from_id, one.to_id) for one in memory.links(system="memos") if one.kind == MERGED_TO}
        assert merged == {(one.id, fused.id) for one in parents}
        assert texts(memory, "Ann's cat", limit=1) == [fused.text]
        assert texts(memory, "Ann's cat", limit=1, as_of=then) == ["Ann's cat is grey."]
        lines = audit(memory.records(system="memos"), memory.links(system="memos"))
        assert [what for _, what, id in lines if id == parents[0].id] == ["activated", "merged"]


def test_where_the_model_cannot_fuse_the_older_is_archived_and_nothing_deleted() -> None:
    with opened() as memory:
        memory.attach("memos", llm=model("no", "redundant", "no"), threshold=0.5)
        memory.add("Ann's cat is grey.", session="one")
        memory.add("Ann's cat is white.", session="two")
        memory.consolidate()
        assert [one.text for one in active(memory)] == ["Ann's cat is white."]
        assert len([one for one in memory.records(system="memos") if one.kind == "memory"]) == 2


def test_answers_that_mean_nothing_change_nothing() -> None:
    llm = RuleLLM("rules:memos-bad")
    bad = [{"value": "", "turns": [1]}, {"value": "Ann has a cat.", "turns": [77]}, {"value": "?!", "turns": []}]
    llm.rule("memory_list", {"memory_list": [*bad, {"value": "Ann has a dog.", "memory_type": "Moon", "turns": [1]}]})
    with opened() as memory:
        memory.attach("memos", llm=llm)
        memory.add("I have a dog.", actor="Ann")
        memory.consolidate()
        (one,) = active(memory)
        assert (one.text, one.data["memory_type"], one.data["by"]) == ("Ann has a dog.", "LongTermMemory", "llm")


def test_in_fine_mode_a_model_says_what_a_question_looks_for() -> None:
    llm = model("fine", "independent", "no")
    llm.rule("rephrased_query", {"keys": ["violin"], "tags": [], "rephrased_query": "violin lessons"})
    with opened() as memory:
        memory.attach("memos", llm=llm, mode="fine")
        memory.add(["violin lessons are on Monday", "tea is in the kitchen"])
        memory.consolidate()
        recall = memory.system("memos").search("that instrument of hers")
        assert (recall.hits[0].text, recall.path) == ("violin lessons are on Monday", "llm")


def test_edges_of_what_is_fused_go_on_from_the_fused_note() -> None:
    llm = model("edges", "contradictory", "Ann's cat was grey and is white since May.")
    llm.rule("groups", {"groups": [{"ids": ["0", "1", "2", "3"], "key": "pets", "value": "Pets of some people."}]})
    said = ["Ann's cat is grey.", "Bob has a parrot.", "Eve has a horse.", "Tom has a canary."]
    with opened() as memory:
        memory.attach("memos", llm=llm, threshold=0.5, cluster=4)
        memory.add(said, session="one")
        memory.add("The weather was fine.", session="two")
        memory.consolidate()
        every = {one.text: one.id for one in memory.records(system="memos")}
        before = {(one.from_id, one.to_id) for one in memory.links(system="memos") if one.kind == PARENT}
        parent = every["Pets of some people."]
        assert before == {(every[text], parent) for text in said}
        memory.add("Ann's cat is white.", session="three")
        memory.consolidate()
        fused = next(one for one in active(memory) if one.text.startswith("Ann's cat was"))
        after = {(one.from_id, one.to_id) for one in memory.links(system="memos") if one.kind == PARENT}
    assert after == before | {(fused.id, parent)}


def test_each_near_pair_is_judged_by_one_call_and_shown_with_what_a_merging_needs() -> None:
    llm = model("calls", "redundant", "Ann has a cat.")
    with opened() as memory:
        memory.attach("memos", llm=llm, threshold=0.5)
        memory.add("Ann has a grey cat.", session="one")
        memory.add("Ann has a cat of grey fur.", session="two")
        memory.consolidate()
    asked = [list(one.data) for one in llm.requests]
    assert asked == [["turns"], ["turns"], ["old", "new"], ["memories"]]
    (shown,) = [one.data["memories"] for one in llm.requests if one.shows("memories")]
    assert [sorted(one) for one in shown] == [["background", "confidence", "key", "text", "updated_at"]] * 2


def test_numbers_are_those_of_the_repository() -> None:
    numbers = Params()
    assert (numbers.window, numbers.similar, numbers.threshold) == (10, 5, 0.8)
    assert (numbers.working, numbers.long_term, numbers.user) == (20, 1500, 480)
    assert (numbers.cluster, numbers.smallest, numbers.retrieved) == (20, 4, 10)


# -- governance -------------------------------------------------------------------------------------------


def test_what_has_expired_is_invisible_and_stays_in_the_audit() -> None:
    with opened() as memory:
        memory.add("the door code is 4711", metadata={"ttl_days": 3})
        assert texts(memory, "door code", asked_at=START + timedelta(days=2)) == ["the door code is 4711"]
        assert texts(memory, "door code", asked_at=START + timedelta(days=3)) == []
        assert [what for _, what, _ in audit(memory.records(system="memos"))] == ["activated", "expired"]


def test_a_memory_of_one_session_is_seen_in_that_session_alone() -> None:
    with opened() as memory:
        memory.add("plan: Bluebird", session="s1", metadata={"visibility": "session"})
        assert texts(memory, "plan", session="s1") == ["plan: Bluebird"]
        assert texts(memory, "plan") == []


def test_what_is_frozen_is_never_merged() -> None:
    with opened() as memory:
        memory.add("bird: emu", metadata={"frozen": True})
        memory.add("bird: kea")
        memory.attach("memos")
        memory.consolidate()
        assert sorted(one.text for one in active(memory)) == ["bird: emu", "bird: kea"]


def test_beyond_capacity_the_least_used_of_the_oldest_is_archived_and_still_reached_as_of() -> None:
    clock = ManualClock(START)
    with opened(clock) as memory:
        memory.attach("memos", long_term=3)
        said = [
            "The violin lay under the table.",
            "Coffee grows in the mountains.",
            "Trains run to Porto at night.",
            "Rain fell on the garden.",
        ]
        for text in said[:3]:
            clock.advance(timedelta(minutes=1))
            memory.add(text)
        then = clock.now()
        memory.consolidate()
        first = active(memory)[0]
        assert first.data["memory_type"] == "LongTermMemory"
        memory.feedback(first.id, "used")
        clock.advance(timedelta(minutes=1))
        memory.add(said[3])
        memory.consolidate()
        assert [one.text for one in active(memory)] == [said[0], said[2], said[3]]
        assert said[1] in texts(memory, "coffee mountains", as_of=then)


def test_what_only_a_corrected_message_said_can_be_said_again() -> None:
    with opened() as memory:
        memory.attach("memos")
        added = memory.add("I have a grey cat and a dog", actor="Ann")
        memory.update(added.ids[0], "I have a parrot")
        memory.add("I have a grey cat", actor="Ann")
        memory.consolidate()
        assert "Ann has a grey cat" in texts(memory, "grey cat")


def test_a_text_that_is_stored_twice_is_recalled_once() -> None:
    with opened() as memory:
        memory.add(["bird: emu", "fish: eel"], metadata={"frozen": True})
        memory.add("bird: emu")
        memory.attach("memos")
        memory.consolidate()
        assert len([one for one in active(memory) if one.text == "bird: emu"]) == 2
        assert texts(memory, "bird").count("bird: emu") == 1


def test_two_shared_tags_or_a_key_lift_a_memory_and_one_tag_does_not() -> None:
    llm = model("tags", "independent", "no")
    llm.rule(
        "memory_list",
        lambda asked: {
            "memory_list": [
                {
                    "key": f"note{one['turn']}",
                    "value": one["text"],
                    "tags": one["text"].split()[:2],
                    "turns": [one["turn"]],
                }
                for one in asked.data["turns"]
            ]
        },
    )
    llm.rule("rephrased_query", {"keys": ["note3"], "tags": ["red", "kites"], "rephrased_query": "zzz"})
    with opened() as memory:
        memory.attach("memos", llm=llm, mode="fine")
        memory.add(["red kites", "red barns", "blue doors"])
        memory.consolidate()
        hits = memory.system("memos").search("something else").hits
    why = {hit.text: {one.signal for one in hit.reasons} for hit in hits}
    assert "tags" in why["red kites"]
    assert "key" in why["blue doors"]
    assert "tags" not in why.get("red barns", set())


# -- structure and scheduler --------------------------------------------------------------------------------


def test_from_twenty_memories_on_clusters_have_parents_which_merged_children_keep() -> None:
    with opened() as memory:
        memory.attach("memos")
        memory.add([f"box {letter}{letter}: {letter}-shaped toy" for letter in "abcdefghijklmnopqrst"])
        memory.consolidate()
        topics = [one for one in memory.records(system="memos") if one.kind == "topic"]
        children = [one for one in memory.links(system="memos") if one.kind == PARENT]
        assert topics
        assert len(children) == 20
        assert {one.to_id for one in children} == {one.id for one in topics}
        assert [hit for hit in memory.system("memos").search("shaped toy") if hit.kind == "topic"] == []
        old = next(one for one in active(memory) if one.text == "box cc: c-shaped toy")
        memory.add("box cc: hat")
        memory.consolidate()
        new = next(one for one in active(memory) if one.text == "box cc: hat")
        parents = {
            one.from_id: one.to_id
            for one in memory.links(system="memos")
            if one.kind == PARENT and one.from_id in (old.id, new.id)
        }
        assert parents[new.id] == parents[old.id]


def test_a_group_that_a_model_makes_of_fewer_than_four_has_no_parent() -> None:
    llm = model("small", "independent", "no")
    small = {"ids": ["0", "1", "2", "99"], "key": "few", "value": "A few boxes."}
    llm.rule("groups", {"groups": [small, {**small, "ids": ["3", "4", "5", "6"], "value": "Some boxes."}]})
    with opened() as memory:
        memory.attach("memos", llm=llm, window=10)
        memory.add([f"box {letter}{letter}: {letter * 600}" for letter in "abcdefghijklmnopqrst"])
        memory.consolidate()
        shown = [one.data["notes"] for one in llm.requests if one.shows("notes")]
        topics = [one.text for one in memory.records(system="memos") if one.kind == "topic"]
    assert topics == ["Some boxes."]
    assert max(sum(len(one["text"]) for one in notes) for notes in shown) <= 8000


def test_what_expires_or_is_of_one_session_is_told_by_no_parent() -> None:
    with opened() as memory:
        memory.attach("memos")
        memory.add([f"box {letter}{letter}: {letter}-shaped toy" for letter in "abcdefghijklmnopqrs"])
        memory.add("box tt: t-shaped toy", metadata={"ttl_days": 3})
        memory.add("box uu: u-shaped toy", session="s1", metadata={"visibility": "session"})
        memory.consolidate()
        bound = {one.id for one in active(memory) if "governance" in one.data}
        children = {one.from_id for one in memory.links(system="memos") if one.kind == PARENT}
        topics = [one.text for one in memory.records(system="memos") if one.kind == "topic"]
    assert len(bound) == 2
    assert len(children) == 19
    assert not bound & children
    assert topics
    assert not any("t-shaped" in text or "u-shaped" in text for text in topics)


def test_the_importance_of_a_monitor_is_the_formula() -> None:
    assert Monitor("a", 10.0, 4.0, 3).importance == pytest.approx(0.9 * 10 + 0.05 * 4 + 0.05 * 3)
    assert Monitor("a", 0.0, 1000.0, 1000).importance == pytest.approx(5.0 + 2.0)


def test_hot_memories_stay_cold_ones_leave_and_two_leftovers_wait_with_zeroed_scores() -> None:
    first = renewed([], ["a", "b", "c", "d", "e"], {"a": 2.0})
    assert [(one.id, one.sorting, one.count) for one in first] == [
        ("a", 5.0, 1), ("b", 4.0, 1), ("c", 3.0, 1), ("d", 2.0, 1), ("e", 1.0, 1),
    ]  # fmt: skip
    second = renewed(first, ["x", "a"], {"x": 1.0})
    assert second == [
        Monitor("x", 2.0, 1.0, 1),
        Monitor("a", 1.0, 0.0, 2),
        Monitor("b", 0.0, 0.0, 1),
        Monitor("c", 0.0, 0.0, 1),
    ]
    assert len(renewed([], [str(at) for at in range(50)], {})) == 30


def test_the_activation_memory_is_made_again_only_when_its_texts_change_and_not_too_often() -> None:
    monitors, said = renewed([], ["a", "b"], {}), {"a": "tea", "b": "coffee"}
    first = activated(Activation(), monitors, said, START)
    assert first.text == "coffee\ntea"
    later = START + timedelta(seconds=400)
    assert activated(first, renewed(monitors, ["b", "a"], {}), said, later) is first
    changed = {"a": "tea", "b": "milk"}
    assert activated(first, monitors, changed, START + timedelta(seconds=299)) is first
    assert activated(first, monitors, changed, later) == Activation("milk\ntea", later)


def test_questions_in_the_log_renew_the_working_set_as_the_model_decides() -> None:
    llm = model("schedule", "independent", "no")
    llm.rule("trigger_retrieval", {"trigger_retrieval": True, "missing_evidences": ["violin"]})
    llm.rule(
        "order",
        lambda asked: {"order": [one["id"] for one in asked.data["memories"] if "violin" in one["text"]] + ["99", "x"]},
    )
    with opened() as memory:
        memory.attach("memos", llm=llm, window=2)
        memory.add(["The violin is old.", "The kettle is new.", "Where is the violin?", "Under the bed."])
        memory.consolidate()
        violin = next(one for one in active(memory) if one.text == "The violin is old.")
        (working,) = [one for one in memory.records(system="memos", include_retired=False) if one.kind == "working_set"]
        assert next(id for id, *_ in working.data["monitors"]) in {
            one.id for one in active(memory) if "violin" in one.text
        }
        assert violin.id in [id for id, *_ in working.data["monitors"]]


def test_the_working_set_is_what_the_scheduler_chose_then_the_newest() -> None:
    clock = ManualClock(START)
    with opened(clock) as memory:
        memory.attach("memos")
        for text in ["The violin is old.", "The kettle is new.", "Where is the violin?"]:
            clock.advance(timedelta(minutes=1))
            memory.add(text)
        memory.consolidate()
        records = memory.records(system="memos", include_retired=False)
        working = next(one for one in records if one.kind == "working_set")
        assert next(id for id, *_ in working.data["monitors"]) == next(
            one.id for one in records if "violin" in one.text
        )


def test_the_newest_twenty_are_at_hand_where_nothing_was_asked() -> None:
    with opened() as memory:
        memory.attach("memos")
        for at, letter in enumerate("abcdefghijklmnopqrstuvwxy"):
            memory.add(f"box {letter}{letter}: toy", occurred_at=START - timedelta(days=30 - at))
        memory.consolidate()
        made = memory.system("memos")
        with_reason = [
            hit.text for hit in made.search("box", limit=25) if "at hand" in {one.signal for one in hit.reasons}
        ]
    assert sorted(with_reason) == [f"box {letter}{letter}: toy" for letter in "fghijklmnopqrstuvwxy"]


def test_scripted_intents_keep_what_is_hot_drop_what_is_cold_and_retain_two() -> None:
    wanted: list[list[str]] = [["apple", "birch", "cedar", "delta", "ember"], ["apple"], []]
    llm = model("script", "independent", "no")
    llm.rule("trigger_retrieval", lambda asked: {"trigger_retrieval": bool(wanted[0]), "missing_evidences": wanted[0]})
    llm.rule(
        "order",
        lambda asked: {
            "order": [one["id"] for word in wanted[0] for one in asked.data["memories"] if one["text"].startswith(word)]
        },
    )

    def working(memory: Memory) -> list[tuple[str, list[float]]]:
        said = {one.id: one.text.split()[0] for one in active(memory)}
        current = [one for one in memory.records(system="memos", include_retired=False) if one.kind == "working_set"]
        return [(said[id], scores) for one in current for id, *scores in one.data["monitors"]]

    with opened() as memory:
        memory.attach("memos", llm=llm, window=5)
        memory.add([f"{word} is a word." for word in wanted[0]], session="one")
        memory.add("Which words are there?", session="two")
        memory.add("Well.", session="three")
        memory.consolidate()
        first = working(memory)
        assert [word for word, _ in first] == wanted[0]
        assert [scores[0] for _, scores in first] == [5.0, 4.0, 3.0, 2.0, 1.0]
        wanted.pop(0)
        memory.add("Which was the fruit?", session="four")
        memory.add("Well, well.", session="five")
        memory.consolidate()
        second = working(memory)
        assert [(word, scores[0], scores[2]) for word, scores in second] == [
            ("apple", 1.0, 2), ("birch", 0.0, 1), ("cedar", 0.0, 1),
        ]  # fmt: skip
        wanted.pop(0)
        memory.add("And now?", session="six")
        memory.add("Well, well, well.", session="seven")
        memory.consolidate()
        assert working(memory) == second


# -- cubes --------------------------------------------------------------------------------------------------


def cube_of(memory: Memory) -> tuple[MemCube, HashingEmbedder]:
    embedder = HashingEmbedder()

    def embed(those: Any) -> Any:
        return embedder.embed(list(those), "document")

    memory.attach("memos")
    memory.consolidate()
    records = [one for one in memory.records(system="memos") if one.kind == "memory"]
    return MemCube.take(records, memory.links(system="memos"), embed, owner="ann", at=START, readers=["bob"]), embedder


def test_a_cube_that_was_dumped_and_loaded_elsewhere_answers_the_same(tmp_path: Path) -> None:
    with opened() as memory:
        memory.add(["bird: emu", "bird: kea", "The violin is old.", "Ann has a dog."])
        cube, embedder = cube_of(memory)
    mark = cube.dump(tmp_path / "cube.json", "ann", START)
    loaded = MemCube.load(tmp_path / "cube.json", "bob", START)
    assert len(mark) == 64
    assert (loaded.records, loaded.links, loaded.owner, loaded.origin) == (cube.records, cube.links, "ann", cube.origin)
    vector = embedder.embed(["which bird is it"], "query")[0]
    assert loaded.search(vector, 3, "bob", START) == cube.search(vector, 3, "ann", START)
    kea = next(one for one in loaded.records.values() if one.text == "bird: kea")
    assert [one.text for one, _ in loaded.search(vector, 9, "ann", START)].count("bird: emu") == 0
    assert [one.text for one in loaded.versions(kea.id, "ann", START)] == ["bird: kea", "bird: emu"]


def test_a_cube_is_closed_to_others_and_every_attempt_is_on_record(tmp_path: Path) -> None:
    with opened() as memory:
        memory.add("Ann has a dog.")
        cube, embedder = cube_of(memory)
    cube.dump(tmp_path / "cube.json", "ann", START)
    for attempt in (
        lambda: cube.read("eve", START),
        lambda: cube.search(embedder.embed(["dog"], "query")[0], 1, "eve", START),
        lambda: cube.dump(tmp_path / "stolen.json", "bob", START),
        lambda: cube.freeze(next(iter(cube.records)), "bob", START),
        lambda: MemCube.load(tmp_path / "cube.json", "eve", START),
    ):
        with pytest.raises(Forbidden):
            attempt()
    assert [(one.who, one.operation) for one in cube.audit if one.outcome == "denied"] == [
        ("eve", "read"), ("eve", "search"), ("bob", "dump"), ("bob", "freeze"),
    ]  # fmt: skip
    assert not (tmp_path / "stolen.json").exists()


def test_in_a_cube_the_expired_is_invisible_and_audited_and_the_public_open_to_all() -> None:
    with opened() as memory:
        memory.add("the door code is 4711", metadata={"ttl_days": 1})
        memory.add("the office is in Porto", metadata={"visibility": "public"})
        cube, _ = cube_of(memory)
    later = START + timedelta(days=2)
    assert [one.text for one in cube.read("eve", later)] == ["the office is in Porto"]
    expired = [one for one in cube.audit if one.outcome == "expired"]
    assert [cube.records[id].text for line in expired for id in line.ids] == ["the door code is 4711"]


def test_a_cube_rolls_back_to_an_earlier_version_unless_it_is_frozen() -> None:
    clock = ManualClock(START)
    with opened(clock) as memory:
        memory.attach("memos", llm=model("back", "contradictory", "Ann's cat is grey or white."), threshold=0.5)
        memory.add("Ann's cat is grey.", session="one")
        memory.add("Ann's cat is white.", session="two")
        memory.consolidate()
        records = [one for one in memory.records(system="memos") if one.kind == "memory"]
    embedder = HashingEmbedder()
    cube = MemCube.take(records, [], lambda those: embedder.embed(list(those), "document"), owner="ann", at=START)
    (now,) = cube.read("ann", START)
    grey = next(one for one in records if one.text == "Ann's cat is grey.")
    later = START + timedelta(days=1)
    again = cube.roll_back(now.id, grey.id, "ann", later)
    assert [one.text for one in cube.read("ann", later)] == ["Ann's cat is grey."]
    assert [one.text for one in cube.read("ann", later, as_of=later - timedelta(hours=1))] == [now.text]
    cube.freeze(again.id, "ann", later)
    assert governance(cube.records[again.id]).is_frozen
    with pytest.raises(Forbidden, match="frozen"):
        cube.roll_back(again.id, now.id, "ann", later)
    with pytest.raises(NotFound):
        cube.freeze("nobody", "ann", later)


def test_what_a_cubes_memory_took_the_place_of_is_shown_to_those_who_may_see_it_and_can_hold_again() -> None:
    with opened() as memory:
        memory.add(["bird: emu", "bird: kea"])
        memory.add("door code: 4711", metadata={"ttl_days": 1})
        cube, _ = cube_of(memory)
    by_text = {one.text: one.id for one in cube.records.values()}
    kea, emu, code = by_text["bird: kea"], by_text["bird: emu"], by_text["door code: 4711"]
    assert [one.id for one in cube.versions(kea, "bob", START)] == [kea, emu]
    with pytest.raises(Forbidden):
        cube.versions(kea, "eve", START)
    assert [(line.who, line.outcome) for line in cube.audit if line.operation == "versions"] == [
        ("bob", "done"), ("eve", "denied"),
    ]  # fmt: skip
    later = START + timedelta(days=2)
    assert cube.versions(code, "ann", later) == []
    again = cube.roll_back(kea, emu, "ann", later)
    assert [one.text for one in cube.read("ann", later)] == ["bird: emu"]
    assert [one.id for one in cube.versions(again.id, "ann", later)] == [again.id, kea, emu]
    cube.freeze(again.id, "ann", later)
    with pytest.raises(Forbidden, match="frozen"):
        cube.put(replace(cube.records[emu], text="bird: owl"), cube.vectors[emu], "ann", later)
    cube.put(replace(cube.records[code], text="door code: 1234"), cube.vectors[code], "ann", later)
    with pytest.raises(Forbidden):
        cube.put(cube.records[code], cube.vectors[code], "bob", later)


def test_a_cube_that_was_tampered_with_is_refused(tmp_path: Path) -> None:
    with opened() as memory:
        memory.add("Ann has a dog.")
        cube, _ = cube_of(memory)
    path = tmp_path / "cube.json"
    cube.dump(path, "ann", START)
    path.write_text(path.read_text().replace("dog", "cat"))
    with pytest.raises(FormatError, match="changed"):
        MemCube.load(path, "ann", START)
    path.write_text("[]")
    with pytest.raises(FormatError):
        MemCube.load(path, "ann", START)


@pytest.mark.parametrize("wrong", [{"window": 0}, {"mode": "slow"}, {"threshold": -0.1}, {"meaning": 2.0}], ids=str)
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        MemOS(Params(**wrong))
