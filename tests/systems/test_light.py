"""LIGHT: three stores that each answer what the others cannot, a scratchpad that is compressed, a budget that is shared."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.errors import ParameterError
from mnemic.memory import background
from mnemic.model import Episode, Hit
from mnemic.systems import runner
from mnemic.systems.light import Params, shared_out
from mnemic.systems.scratchpad import Line, compressed
from mnemic.testing import RuleLLM
from mnemic.text.tokens import count_tokens
from systems.any_llm import AnyLLM
from systems.under_test import examples, fresh
from systems.worlds import START, Said, empty, made, pasts, say

OFF: dict[str, dict[str, Any]] = {
    "episodic": {"top_pairs": 0},
    "working": {"working_pairs": 0},
    "scratchpad": {"scratchpad_tokens": 0},
}


@pytest.fixture(autouse=True)
def _nothing_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background.Background, "wake", lambda *_: None)


def script(*, relevant: Any = None) -> RuleLLM:
    """A digest of what is said, a note of what is an instruction, and chunks that hold one are relevant."""
    llm = RuleLLM("rules:light")

    def digest(asked: Any) -> Any:
        return {"entries": [{"key": "said", "value": one["text"]} for one in asked.data["pair"]], "summary": ""}

    def note(asked: Any) -> Any:
        return {"notes": [f"Instruction: {one['text']}" for one in asked.data["pair"] if "Always" in one["text"]]}

    def judge(asked: Any) -> Any:
        return {"verdicts": [{"chunk": one["chunk"], "is_relevant": True} for one in asked.data["chunks"]]}

    llm.rule("entries", digest)
    llm.rule("notes", note)
    llm.rule("verdicts", relevant or judge)
    return llm


def spoken(memory: Memory) -> None:
    memory.add(
        [
            {"role": "user", "content": "Always answer me in metric units."},
            {"role": "assistant", "content": "Understood."},
            {"role": "user", "content": "My locker in the gym has the number 4711."},
            {"role": "assistant", "content": "Noted."},
        ]
    )
    memory.add(
        [{"role": ("user", "assistant")[at % 2], "content": f"small talk about weather {at}"} for at in range(40)]
    )
    memory.add([{"role": "user", "content": "Zebras went by."}, {"role": "assistant", "content": "How nice!"}])


@pytest.mark.parametrize(
    ("query", "wanted", "store"),
    [
        ("How long is a marathon?", "metric", "scratchpad"),
        ("What number has my gym locker?", "4711", "episodic"),
        ("What did I just tell you?", "Zebras", "working"),
    ],
)
def test_each_store_answers_what_the_others_cannot(query: str, wanted: str, store: str) -> None:
    with script() as llm:
        for off in [None, *OFF]:
            settings = OFF[off] if off else {}
            with Memory.open(embedder="hashing", llm=llm) as memory:
                memory.attach("light", **{"top_pairs": 4, "working_pairs": 5, **settings})
                spoken(memory)
                memory.consolidate()
                found = any(wanted in hit.text for hit in memory.system("light").search(query))
                assert found == (off != store), f"without {off}"


def test_a_pair_is_found_by_its_digest_and_returned_as_it_was_said() -> None:
    with RuleLLM("rules:light-digest") as llm, Memory.open(embedder="hashing", llm=llm) as memory:
        llm.rule(
            "entries", {"entries": [{"key": "pet", "value": "axolotl"}, {"key": "", "value": "x"}], "summary": "A pet."}
        )
        llm.rule("notes", {"notes": []})
        memory.attach("light", working_pairs=0)
        memory.add([{"role": "user", "content": "It is called Bo."}, {"role": "assistant", "content": "Cute."}])
        memory.consolidate()
        hit = memory.system("light").search("axolotl").hits[0]
        assert hit.text == "user: It is called Bo.\nassistant: Cute."
        assert hit.record is not None
        assert hit.record.data["digest"] == "pet: axolotl\nSummary: A pet."
        assert hit.score > 0.3


def test_notes_are_compressed_exactly_when_they_exceed_twice_the_limit_and_later_ones_are_kept() -> None:
    limit = 60
    note = "The red bus to the harbour leaves at noon, number {}."

    def noted(asked: Any) -> Any:
        return {"notes": [note.format(asked.data["pair"][0]["text"])]}

    def shorter(asked: Any) -> Any:
        return {"items": [{"section": "critical context", "text": "Buses leave at noon.", "notes": [0, 1, 999]}]}

    with RuleLLM("rules:light-notes") as llm, Memory.open(embedder="hashing", llm=llm) as memory:
        llm.rule("entries", {"entries": [], "summary": "bus"})
        llm.rule("notes", noted)
        llm.rule("items", shorter)
        memory.attach("light", scratchpad_tokens=limit)
        each = count_tokens(note.format(1))
        n = 2 * limit // each  # notes that still fit
        for at in range(n):
            memory.add([{"role": "user", "content": str(at)}, {"role": "assistant", "content": "ok"}])
        memory.consolidate()
        assert [one for one in llm.requests if one.asks_for("items")] == []
        for at in (n, n + 1):
            memory.add([{"role": "user", "content": str(at)}, {"role": "assistant", "content": "ok"}])
        memory.consolidate()
        assert len([one for one in llm.requests if one.asks_for("items")]) == 1
        held = [one for one in made(memory, "light")[0] if one.kind != "pair" and one.retired_at is None]
        assert sorted((one.kind, one.text) for one in held) == [
            ("chunk", "Buses leave at noon."),
            ("note", note.format(n + 1)),
        ]
        chunk = next(one for one in held if one.kind == "chunk")
        assert len(chunk.sources) == 4  # two pairs
        retired = [one for one in made(memory, "light")[0] if one.retired_at is not None]
        assert len(retired) == n + 1


def test_without_a_model_instructions_survive_compression_and_the_rest_fits() -> None:
    at = START
    lines = [
        Line(f"The train number {n} is late because of snow.", "critical context", (str(n),), at) for n in range(60)
    ]
    order = Line("Instruction: Always answer in metric units.", "user instructions", ("i",), at)
    kept = compressed([order, *lines, lines[0]], 100)
    assert kept[0] == order
    assert 50 < sum(count_tokens(one.text) for one in kept) <= 100


def test_lines_that_differ_in_a_small_word_are_two_and_the_same_line_is_one() -> None:
    said = ["I do like tea.", "I do not like tea.", "I do like tea."]
    lines = [Line(text, "critical context", (str(n),), START) for n, text in enumerate(said)]
    assert compressed(lines, 100) == lines[1:]


def test_what_a_note_took_from_the_history_goes_from_the_compressed_notes_with_the_history(tmp_path: Path) -> None:
    def noted(asked: Any) -> Any:
        if asked.data["pair"][0]["text"] == "Quuxbert calls.":
            return {"notes": []}
        is_meant = asked.data["pair"][0]["text"] == "Who is it?" and "Quuxbert" in json.dumps(asked.data["history"])
        return {"notes": ["Quuxbert is meant." if is_meant else "It is a long day in the harbour today."]}

    with (
        RuleLLM("rules:light-history") as llm,
        Memory.open(tmp_path / "m.db", embedder="hashing", llm=llm) as memory,
    ):
        llm.rule("entries", {"entries": [], "summary": "a day"})
        llm.rule("notes", noted)
        llm.rule("items", lambda asked: {"items": [{"text": asked.data["notes"][0]["text"], "notes": [0]}]})
        memory.attach("light", scratchpad_tokens=10)
        memory.add(
            [{"role": "user", "content": "Quuxbert calls.", "id": "gone"}, {"role": "assistant", "content": "Ok"}]
        )
        for text in ("Who is it?", "Well", "So", "And"):
            memory.add([{"role": "user", "content": text}, {"role": "assistant", "content": "Ok"}])
        memory.consolidate()
        assert memory.find_traces("Quuxbert is meant")
        memory.forget("gone")
        memory.consolidate()
        assert memory.find_traces("Quuxbert") == []


def test_a_model_that_finds_no_chunk_relevant_leaves_the_scratchpad_out() -> None:
    def no(asked: Any) -> Any:
        return {"verdicts": [{"chunk": one["chunk"], "is_relevant": False} for one in asked.data["chunks"]]}

    with script(relevant=no) as llm, Memory.open(embedder="hashing", llm=llm) as memory:
        memory.attach("light", top_pairs=0, working_pairs=0)
        spoken(memory)
        memory.consolidate()
        before = llm.calls
        assert memory.system("light").search("How long is a marathon?").hits == ()
        assert llm.calls == before + 1  # about all chunks at once


def test_unusable_compressions_fall_back_on_rules_and_lose_no_instruction() -> None:
    with script() as llm, Memory.open(embedder="hashing", llm=llm) as memory:
        llm.rule(
            "notes", lambda asked: {"notes": [f"Instruction: Always say {one['text']}" for one in asked.data["pair"]]}
        )
        llm.rule("items", {"items": [{"section": "?", "text": "  ", "notes": []}]})
        memory.attach("light", scratchpad_tokens=60)
        memory.add([{"role": ("user", "assistant")[at % 2], "content": f"word {at}"} for at in range(24)])
        memory.consolidate()
        chunks = [one for one in made(memory, "light")[0] if one.kind == "chunk" and one.retired_at is None]
        assert chunks
        assert {one.data["by"] for one in chunks} == {"offline"}
        assert {one.data["section"] for one in chunks} == {"user instructions"}


def test_the_history_shown_with_a_pair_is_of_its_session_or_of_the_one_before_and_fits() -> None:
    with script() as llm, Memory.open(embedder="hashing", llm=llm) as memory:
        memory.attach("light", history_tokens=14)
        for session in ("a", "b"):
            for at in range(3):
                memory.add(
                    [{"role": "user", "content": f"{session}{at} is here"}, {"role": "assistant", "content": "ok"}],
                    session=session,
                )
        memory.consolidate()
        asked = [one.data for one in llm.requests if one.asks_for("entries")]
        shown = {one["pair"][0]["text"][:2]: [said["text"][:2] for said in one["history"][::2]] for one in asked}
    assert shown == {"a0": [], "a1": ["a0"], "a2": ["a0", "a1"], "b0": ["a1", "a2"], "b1": ["b0"], "b2": ["b0", "b1"]}


def test_many_pairs_leave_working_memory_and_scratchpad_their_part_of_the_budget() -> None:
    def hits(name: str, n: int) -> list[Hit]:
        episode = Episode(text=name, id=name, scope="", occurred_at=START, recorded_at=START)
        return [Hit(score=0.5, episode=episode)] * n

    stores = [hits("scratch", 9), hits("episodic", 90), hits("working", 90)]
    kept = shared_out(stores, (0.2, 0.6, 0.2), 100, [[10] * len(one) for one in stores])
    assert list(map(len, kept)) == [2, 6, 2]
    kept = shared_out([[], *stores[1:]], (0.2, 0.6, 0.2), 100, [[], [10] * 90, [10] * 90])
    assert list(map(len, kept)) == [0, 8, 2]
    assert list(map(len, shared_out(stores, (0.2, 0.6, 0.2), 1, [[1] * len(one) for one in stores]))) == [0, 1, 0]


def test_a_pair_that_is_longer_than_its_share_is_recalled_and_keeps_no_other_out() -> None:
    with Memory.open(embedder="hashing") as memory:
        light = memory.attach("light", reader_tokens=300, working_pairs=0, scratchpad_tokens=0)
        giant = "The tram to the harbour is late. " * 100
        memory.add([giant, "Yes.", "The tram to the harbour has the number 7.", "I see.", giant, "Yes."])
        hits = light.search("tram harbour").hits
    assert [len(hit.text) > 1000 for hit in hits].count(True) == 1
    assert any("number 7" in hit.text for hit in hits)


def test_the_latest_pairs_are_those_that_were_known_at_a_time_also_behind_much_that_makes_none() -> None:
    clock = ManualClock(START)
    with Memory.open(embedder="hashing", clock=clock) as memory:
        light = memory.attach("light", top_pairs=0, scratchpad_tokens=0, working_pairs=2)
        memory.add([{"role": ("user", "assistant")[at % 2], "content": f"word {at}"} for at in range(8)])
        then = clock.now()
        clock.advance(timedelta(hours=1))
        memory.add([{"role": "system", "content": f"be kind {at}"} for at in range(9)])
        memory.add([{"role": ("user", "assistant")[at % 2], "content": f"later {at}"} for at in range(4)])
        now = [hit.text for hit in light.search("unheard")]
        past = [hit.text for hit in light.search("unheard", as_of=then)]
    assert now == ["user: later 2\nassistant: later 3", "user: later 0\nassistant: later 1"]
    assert past == ["user: word 6\nassistant: word 7", "user: word 4\nassistant: word 5"]


@pytest.mark.parametrize("store", ["episodic", "working", "scratchpad"])
def test_what_was_corrected_is_shown_no_more_and_what_stood_beside_it_still_is(store: str) -> None:
    clock = ManualClock(START)
    others = {name: value for off, one in OFF.items() if off != store for name, value in one.items()}
    with Memory.open(embedder="hashing", clock=clock) as memory:
        light = memory.attach("light", **others)
        memory.add("I live in Oslo near the park.", id="e1", actor="Ann")
        memory.add("I live in Turin near the park.", id="e2", actor="Bob")
        light.search("warm")
        then = clock.now()
        clock.advance(timedelta(hours=1))
        memory.update("e1", "I live in Bergen near the park.")
        memory.add("Good.", actor="Bob")
        now = " ".join(hit.text for hit in light.search("Who lives near the park in Oslo, Turin or Bergen?"))
        past = " ".join(hit.text for hit in light.search("Who lives near the park in Oslo, Turin?", as_of=then))
    assert [town in now for town in ("Oslo", "Turin", "Bergen")] == [False, True, True]
    assert [town in past for town in ("Oslo", "Turin", "Bergen")] == [True, True, False]


def test_everything_recalled_together_fits_the_readers_budget() -> None:
    with Memory.open(embedder="hashing") as memory:
        light = memory.attach("light", reader_tokens=150)
        memory.add([f"I saw the number {at} tram near the harbour on a long rainy day." for at in range(80)])
        hits = light.search("number tram harbour", limit=50).hits
        assert hits
        assert sum(count_tokens(hit.text) for hit in hits) <= 150


@pytest.mark.parametrize("with_model", [False, True], ids=["offline", "model"])
@given(past=pasts(2, 14), splits=st.sets(st.integers(1, 13)), batch=st.integers(1, 5))
@settings(max_examples=examples(6))
def test_records_made_in_pieces_are_those_made_at_once_also_when_notes_are_compressed(
    with_model: bool, past: list[Said], splits: set[int], batch: int
) -> None:
    small = {"scratchpad_tokens": 6, "history_tokens": 12}

    def attached() -> dict[str, Any]:
        return {**small, **({"llm": AnyLLM()} if with_model else {})}

    with pytest.MonkeyPatch.context() as patch, empty() as memory:
        patch.setattr(runner, "BATCH", batch)
        memory.attach("light", **attached())
        for at, one in enumerate(past):
            if at in splits:
                memory.consolidate()
            say(memory, [one])
        memory.consolidate()
        in_pieces = made(memory, "light")
    assert in_pieces == fresh(past, "light", **attached())


def test_pairs_are_ordered_by_number_and_not_as_text() -> None:
    with Memory.open(embedder="hashing") as memory:
        light = memory.attach("light", top_pairs=0, scratchpad_tokens=0, working_pairs=3)
        memory.add([{"role": ("user", "assistant")[at % 2], "content": f"word {at}"} for at in range(24)])
        assert [json.loads(json.dumps(hit.record.data["number"])) for hit in light.search("unheard") if hit.record] == [
            12,
            11,
            10,
        ]


@pytest.mark.parametrize(
    "bad", [{"top_pairs": -1}, {"reader_tokens": 0}, {"episodic_share": 0.9}, {"working_weight": 2.0}]
)
def test_parameters_out_of_range_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Params(**bad)


def test_what_was_corrected_is_in_no_part_of_a_hit() -> None:
    with empty(ManualClock(START)) as memory:
        memory.attach("light")
        talk = [("user", "My secret code is Zanzibar."), ("assistant", "The garden looks lovely in May.")]
        memory.add([{"role": role, "content": text} for role, text in talk], session="first")
        memory.add("Another talk, about the weather.", session="second")
        (wrong,) = (one for one in memory.list() if "Zanzibar" in one.text)
        assert "Zanzibar" in repr(memory.system("light").search("garden in May").hits)
        memory.update(wrong.id, "My secret code is Lisbon.")
        hits = memory.system("light").search("garden in May").hits
        assert hits
        assert "Zanzibar" not in repr(hits)


def test_messages_recorded_in_another_order_than_said_can_be_asked_for_as_of_between(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    said = [("user", "I keep bees in Porto.", "2024-02-01"), ("assistant", "Bees are nice.", "2024-01-01")]
    rows: list[dict[str, Any]] = [{"format": "mnemic", "version": 1, "made_by": "test", "scope": ""}]
    for at, (role, text, day) in enumerate(said):
        times = {"occurred_at": "2024-01-01T00:00:00+00:00", "recorded_at": f"{day}T00:00:00+00:00"}
        rows.append(
            {"type": "episode", "id": f"e{at}", "scope": "", "role": role, "text": text, "session": "s"} | times
        )
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with empty(ManualClock(START)) as memory:
        memory.import_(file)
        memory.attach("light")
        between = memory.system("light").search("bees", as_of="2024-01-15T00:00:00+00:00").hits
        assert "Porto" not in repr(between)
        assert "Porto" in repr(memory.system("light").search("bees").hits)
