"""Mem-α: the tools do exactly what they say, rewards are their four terms, and a policy can be trained with them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.errors import ParameterError
from mnemic.model import Record
from mnemic.systems.draft_shelf import short_ids
from mnemic.systems.mem_alpha import MemAlpha, Params
from mnemic.systems.memory_tools import Call, Chunk, PlainShelf, Result, Trace, advantages, applied, rewards
from mnemic.testing import RuleLLM
from mnemic.text.tokens import count_tokens

START = datetime(2024, 5, 1, 12, tzinfo=UTC)
FACTS, EVENTS, CORE = "semantic_memory", "episodic_memory", "core_memory"


def insert(content: str, kind: str = FACTS) -> Call:
    return Call("new_memory_insert", kind, content)


# -- the tools --------------------------------------------------------------------------------------------


def test_an_insert_makes_an_item_with_a_short_id_and_the_same_again_is_skipped() -> None:
    shelf = PlainShelf()
    first, again = applied([insert("Ann has a dog."), insert("  Ann has   a dog. ")], shelf)
    assert (len(first.id), first.is_ok, first.is_skipped) == (4, True, False)
    assert (again.id, again.is_ok, again.is_skipped) == (first.id, True, True)
    assert shelf.items["semantic"] == {first.id: "Ann has a dog."}


def test_an_update_replaces_and_a_delete_removes_the_item_of_that_id() -> None:
    shelf = PlainShelf()
    (made,) = applied([insert("Ann has a dog.")], shelf)
    applied([Call("memory_update", FACTS, memory_id=made.id, new_content="Ann has two dogs.")], shelf)
    assert shelf.items["semantic"] == {made.id: "Ann has two dogs."}
    applied([Call("memory_delete", FACTS, memory_id=made.id)], shelf)
    assert shelf.items["semantic"] == {}


def test_the_core_is_only_updated_or_cleared_and_holds_512_tokens() -> None:
    shelf = PlainShelf()
    results = applied([insert("Ann is kind.", CORE), Call("memory_update", CORE, new_content="word " * 900)], shelf)
    assert [one.is_ok for one in results] == [False, True]
    assert 500 <= count_tokens(shelf.core) <= 512
    applied([Call("memory_delete", CORE)], shelf)
    assert shelf.core == ""


@pytest.mark.parametrize(
    "call",
    [
        Call("memory_update", FACTS, memory_id="beef", new_content="x"),
        Call("memory_delete", EVENTS, memory_id="beef"),
        Call("memory_delete", FACTS),
        Call("search", FACTS, "x"),
        Call("new_memory_insert", "moon", "x"),
        insert(" ?! "),
        insert("Ann laughed.", EVENTS),
    ],
    ids=lambda call: f"{call.tool} {call.memory_type} {call.memory_id or call.content}",
)
def test_a_call_that_cannot_be_done_changes_nothing_and_costs_reward(call: Call) -> None:
    shelf = PlainShelf()
    results = applied([insert("Ann has a dog."), call], shelf)
    assert [one.is_ok for one in results] == [True, False]
    assert results[1].error
    assert (shelf.core, list(shelf.items["semantic"].values()), shelf.items["episodic"]) == ("", ["Ann has a dog."], {})
    (reward,) = rewards(Trace((Chunk(tuple(results)),), (), 1, 10))
    assert reward.calls == 0.5


def test_ids_that_would_collide_grow_longer() -> None:
    shelf = PlainShelf()
    results = applied([insert(f"fact number {at}") for at in range(700)], shelf)
    assert len({one.id for one in results}) == 700
    assert max(len(one.id) for one in results) > 4
    assert short_ids(["a-12345", "a-12346"]) == {"a-12345": "12345", "a-12346": "12346"}


# -- rewards ----------------------------------------------------------------------------------------------


def test_a_reward_is_the_sum_of_its_four_terms() -> None:
    chunks = (
        Chunk((Result(True), Result(False), Result(True), Result(True)), (True, False)),
        Chunk(),
    )
    first, second = rewards(Trace(chunks, (1.0, 0.5), memory_tokens=25, input_tokens=100))
    assert (first.answers, first.calls, first.compression, first.content) == (0.75, 0.75, 0.75, 0.5)
    assert first.total == pytest.approx(0.75 + 0.75 + 0.05 * 0.75 + 0.1 * 0.5)
    assert (second.answers, second.calls, second.compression, second.content) == (0.75, 1.0, 0.75, 1.0)


def test_a_memory_longer_than_what_was_read_is_punished() -> None:
    (one,) = rewards(Trace((Chunk(),), (1.0,), memory_tokens=300, input_tokens=100))
    assert one.compression == -2.0
    with pytest.raises(ParameterError):
        rewards(Trace((Chunk(),), (1.0,), memory_tokens=0, input_tokens=0))


def rolled_out(probability: np.ndarray, dice: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
    """(kinds of chunks, what was stored, reward): half the chunks tell what will be asked, half are chatter."""
    kinds = np.arange(12) % 2  # 1: will be asked
    texts = [
        f"the code of door {at} is {at * 37}" if kind else f"well, nice weather, chat {at} " * 3
        for at, kind in enumerate(kinds)
    ]
    stored = dice.random(12) < probability[kinds]
    shelf, chunks = PlainShelf(), []
    for text, is_stored in zip(texts, stored, strict=True):
        chunks.append(Chunk(tuple(applied([insert(text)] if is_stored else [], shelf))))
    kept = set(shelf.items["semantic"].values())
    answers = tuple(float(text in kept) for text, kind in zip(texts, kinds, strict=True) if kind)
    trace = Trace(tuple(chunks), answers, shelf.tokens(), sum(map(count_tokens, texts)))
    return kinds, stored, float(np.mean([one.total for one in rewards(trace, beta=0.5)]))


def test_a_tiny_policy_learns_to_store_only_what_is_asked() -> None:
    dice, logits = np.random.default_rng(0), np.zeros(2)
    for _ in range(150):
        probability = 1.0 / (1.0 + np.exp(-logits))
        group = [rolled_out(probability, dice) for _ in range(8)]
        gradient = np.zeros(2)
        for (kinds, stored, _), better in zip(group, advantages([one[2] for one in group]), strict=True):
            np.add.at(gradient, kinds, better * (stored - probability[kinds]))
        logits += 0.2 * gradient / len(group)
    chatter, asked = 1.0 / (1.0 + np.exp(-logits))
    assert asked > 0.9
    assert chatter < 0.1


# -- the system -------------------------------------------------------------------------------------------


def opened(clock: ManualClock | None = None, **named: Any) -> Memory:
    return Memory.open(embedder="hashing", clock=clock or ManualClock(START), **named)


def current(memory: Memory) -> dict[str, list[str]]:
    records: list[Record] = list(memory.records(system="mem-alpha", include_retired=False))
    return {kind: sorted(one.text for one in records if one.kind == kind) for kind in ("core", "semantic", "episodic")}


def test_without_a_model_statements_are_facts_what_happened_events_and_the_core_what_holds() -> None:
    clock = ManualClock(START)
    with opened(clock) as memory:
        memory.add(["I live in Porto.", "I bought a violin."], actor="Ann", occurred_at="2024-04-30")
        then = clock.now()
        memory.attach("mem-alpha")
        memory.consolidate()
        assert current(memory) == {
            "core": ["Ann lives in Porto."],
            "semantic": ["Ann lives in Porto."],
            "episodic": ["2024-04-30: Ann bought a violin."],
        }
        clock.advance(timedelta(days=1))
        memory.add("I moved to Rome.", actor="Ann")
        memory.consolidate()
        assert current(memory)["core"] == current(memory)["semantic"] == ["Ann moved to Rome."]
        hits = memory.system("mem-alpha").search("Where does Ann live?", as_of=then).hits
        assert [hit.text for hit in hits[:2]] == ["Ann lives in Porto."] * 2
        assert [hit.kind for hit in hits[:2]] == ["core", "semantic"]


def test_behind_the_core_stand_the_episodes_of_the_sentences_it_still_has() -> None:
    with opened() as memory:
        for id, text in (("home", "I live in Porto."), ("work", "I am a doctor."), ("moved", "I live in Rome.")):
            memory.add(text, actor="Ann", id=id)
        memory.attach("mem-alpha")
        memory.consolidate()
        (core,) = [one for one in memory.records(system="mem-alpha", include_retired=False) if one.kind == "core"]
        assert (core.text, core.sources) == ("Ann is a doctor. Ann lives in Rome.", ("work", "moved"))


def test_a_model_writes_all_three_parts_and_sees_the_memory_as_it_stands() -> None:
    seen: list[dict[str, Any]] = []

    def writes(asked: Any) -> dict[str, Any]:
        seen.append(asked.data)
        if len(seen) == 1:
            return {
                "calls": [
                    {"tool": "memory_update", "memory_type": CORE, "new_content": "Ann lives in Porto."},
                    {"tool": "new_memory_insert", "memory_type": FACTS, "content": "Ann has a dog."},
                    {"tool": "new_memory_insert", "memory_type": EVENTS, "content": "Ann moved house."},
                    {"tool": "memory_delete", "memory_type": FACTS, "memory_id": "ffff"},
                ]
            }
        (item,) = asked.data["semantic"]["items"]
        return {
            "calls": [
                {
                    "tool": "memory_update",
                    "memory_type": FACTS,
                    "memory_id": item["id"],
                    "new_content": "Ann has a cat.",
                }
            ]
        }

    llm = RuleLLM("rules:mem-alpha-parts")
    llm.rule("calls", writes)
    with opened() as memory:
        memory.attach("mem-alpha", llm=llm)
        memory.add("I moved to Porto with my dog.", actor="Ann", session="one")
        memory.consolidate()
        assert current(memory) == {
            "core": ["Ann lives in Porto."],
            "semantic": ["Ann has a dog."],
            "episodic": ["2024-05-01: Ann moved house."],
        }
        memory.add("It is a cat.", actor="Ann", session="two")
        memory.consolidate()
        assert current(memory)["semantic"] == ["Ann has a cat."]
        assert seen[-1]["core"] == "Ann lives in Porto."
        assert seen[-1]["episodic"]["count"] == 1
        new = next(one for one in memory.records(system="mem-alpha") if one.text == "Ann has a cat.")
        assert len(new.sources) == 2
        assert memory.records(system="mem-alpha", ids=[new.data["previous"]])[0].text == "Ann has a dog."
    llm.check()


def test_every_few_chunks_the_policy_is_asked_to_bring_the_memory_in_order() -> None:
    asked_for: list[bool] = []

    def writes(asked: Any) -> dict[str, Any]:
        asked_for.append(asked.shows("turns"))
        if asked.shows("turns"):
            text = asked.data["turns"][0]["text"]
            return {"calls": [{"tool": "new_memory_insert", "memory_type": FACTS, "content": text}]}
        first = asked.data["semantic"]["items"][0]
        return {"calls": [{"tool": "memory_delete", "memory_type": FACTS, "memory_id": first["id"]}]}

    llm = RuleLLM("rules:mem-alpha-rethink")
    llm.rule("calls", writes)
    with opened() as memory:
        memory.attach("mem-alpha", llm=llm, rethink_every=2)
        for at, text in enumerate(["Tea is green.", "Coffee is black.", "Milk is white."]):
            memory.add(text, session=str(at))
        memory.consolidate()
        assert asked_for.count(False) == 1
        assert len(current(memory)["semantic"]) == 2
    llm.check()


@pytest.mark.parametrize(
    ("turns", "sources"), [([2], ("e1",)), ([], ("e0", "e1")), ([9], ("e0", "e1")), ([1, 9], ("e0",))], ids=str
)
def test_an_item_stands_on_the_turns_that_its_call_names_else_on_the_chunk(
    turns: list[int], sources: tuple[str, ...]
) -> None:
    llm = RuleLLM("rules:mem-alpha-turns")
    llm.rule(
        "calls",
        {"calls": [{"tool": "new_memory_insert", "memory_type": FACTS, "content": "Tea is hot.", "turns": turns}]},
    )
    with opened() as memory:
        memory.attach("mem-alpha", llm=llm)
        for at in range(2):
            memory.add(f"Something {at}", id=f"e{at}", session="s")
        memory.consolidate()
        assert [one.sources for one in memory.records(system="mem-alpha")] == [sources]
    llm.check()


def test_a_sentence_of_the_core_that_a_model_kept_keeps_its_sources() -> None:
    cores = iter(["Ann is a doctor. Ann lives in Porto.", "Ann is a doctor. Porto was left for Rome. Bo sings."])
    llm = RuleLLM("rules:mem-alpha-core")
    llm.rule(
        "calls", lambda asked: {"calls": [{"tool": "memory_update", "memory_type": CORE, "new_content": next(cores)}]}
    )
    with opened() as memory:
        memory.attach("mem-alpha", llm=llm)
        for at in range(2):
            memory.add(f"Something {at}", id=f"e{at}", session=str(at))
            memory.consolidate()
        (core,) = [one for one in memory.records(system="mem-alpha", include_retired=False) if one.kind == "core"]
        assert core.data["behind"] == {
            "Ann is a doctor.": ["e0"],
            "Porto was left for Rome.": ["e0", "e1"],
            "Bo sings.": ["e1"],
        }
        assert core.sources == ("e0", "e1")
    llm.check()


def test_what_a_rethink_writes_stands_on_what_it_was_made_of() -> None:
    def writes(asked: Any) -> dict[str, Any]:
        if asked.shows("turns"):
            text = asked.data["turns"][0]["text"]
            return {"calls": [{"tool": "new_memory_insert", "memory_type": FACTS, "content": text}]}
        ids = {one["text"]: one["id"] for one in asked.data["semantic"]["items"]}
        return {
            "calls": [
                {
                    "tool": "memory_update",
                    "memory_type": FACTS,
                    "memory_id": ids["Tea is green."],
                    "new_content": "Tea is green and hot.",
                },
                {"tool": "memory_delete", "memory_type": FACTS, "memory_id": ids["Tea is hot."]},
                {"tool": "new_memory_insert", "memory_type": FACTS, "content": "There is a kitchen."},
            ]
        }

    llm = RuleLLM("rules:mem-alpha-merge")
    llm.rule("calls", writes)
    with opened() as memory:
        memory.attach("mem-alpha", llm=llm, rethink_every=3)
        for at, text in enumerate(["Tea is green.", "Tea is hot.", "Milk is white.", "Bye."]):
            memory.add(text, id=f"e{at}", session=str(at))
        memory.consolidate()
        found = {one.text: set(one.sources) for one in memory.records(system="mem-alpha", include_retired=False)}
        assert found == {
            "Tea is green and hot.": {"e0", "e1"},
            "Milk is white.": {"e2"},
            "There is a kitchen.": {"e0", "e1", "e2"},
            "Bye.": {"e3"},
        }
    llm.check()


@pytest.mark.parametrize("has_model", [False, True], ids=["offline", "with a model"])
def test_what_only_a_corrected_message_said_may_be_said_again(has_model: bool) -> None:
    llm = RuleLLM("rules:mem-alpha-again")
    llm.rule(
        "calls",
        lambda asked: {
            "calls": [
                {"tool": "new_memory_insert", "memory_type": FACTS, "content": f"Ann says: {one['text']}"}
                for one in asked.data["turns"]
            ]
        },
    )
    with opened() as memory:
        memory.attach("mem-alpha", **({"llm": llm} if has_model else {}))
        memory.add("I have a violin.", id="first", actor="Ann", session="a")
        memory.update("first", "I have a flute.")
        memory.add("I have a violin.", id="again", actor="Ann", session="b")
        memory.consolidate()
        hits = memory.system("mem-alpha").search("Who has a violin?").hits
        assert [hit.sources for hit in hits if "violin" in hit.text] == [("again",)]


def test_a_sentence_of_the_core_goes_with_the_message_that_was_corrected() -> None:
    with opened() as memory:
        memory.attach("mem-alpha")
        memory.add("I live in Porto.", id="home", actor="Ann")
        memory.update("home", "I live in Braga.")
        memory.add("I am a doctor.", id="work", actor="Ann")
        memory.consolidate()
        (core,) = [one for one in memory.system("mem-alpha").search("Where does Ann live?").hits if one.kind == "core"]
        assert core.text == "Ann lives in Braga. Ann is a doctor."
        assert "home" not in core.sources


@pytest.mark.parametrize("method", ["bm25", "embedding", "both"])
def test_the_method_of_a_recall_is_followed(method: str) -> None:
    with opened() as memory:
        memory.add(["Tea is green.", "Coffee is black."], actor="Ann")
        memory.attach("mem-alpha", method=method)
        memory.consolidate()
        hit = next(hit for hit in memory.system("mem-alpha").search("green tea") if hit.kind == "semantic")
        assert hit.text == "Tea is green."
        signals = {one.signal for one in hit.reasons if one.contribution > 0.0}
        assert signals == {"bm25": {"words"}, "embedding": {"meaning"}, "both": {"meaning", "words"}}[method]


@pytest.mark.parametrize("wrong", [{"method": "grep"}, {"chunk_tokens": 0}, {"shown": True}], ids=str)
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        MemAlpha(Params(**wrong))
