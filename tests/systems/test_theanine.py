"""Theanine: sessions become memories on timelines, and what has changed comes before what it was."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from mnemic import Hit, Memory
from mnemic.bench.datasets.files import read_json
from mnemic.bench.datasets.pi_llm import stream
from mnemic.clock import ManualClock
from mnemic.errors import ParameterError
from mnemic.memory import background
from mnemic.ops.cause_effect import related
from mnemic.ops.timeline import Dated, Relation
from mnemic.systems.registry import create
from mnemic.systems.timeline_recall import plain
from mnemic.testing import RuleLLM

START = datetime(2024, 5, 1, 12, tzinfo=UTC)
Vectors = Mapping[str, Sequence[float]]
NONE = {"explanation": "", "relation": "None"}
CHANGED = {"explanation": "It is so no more.", "relation": "Changed"}


class Fixed:
    """Vectors by text, told by the test."""

    id, dim, is_semantic, max_tokens = "fixed", 8, True, 512

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors

    def embed(self, texts: Sequence[str], kind: Literal["document", "query"] = "document") -> NDArray[np.float32]:
        rows = np.zeros((len(texts), self.dim), np.float32)
        for row, text in zip(rows, texts, strict=True):
            said = self._vectors.get(text, ())
            row[: len(said)] = said
            row[-1] = 1e-3 if not len(said) else 0.0
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows


@pytest.fixture(autouse=True)
def _nothing_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background.Background, "wake", lambda *_: None)


@pytest.fixture
def llm() -> Iterator[RuleLLM]:
    with RuleLLM("rules:theanine") as made:
        made.rule(
            "facts",
            lambda asked: {"facts": [{"text": one["text"], "turns": [one["turn"]]} for one in asked.data["turns"]]},
        )
        made.rule("relation", NONE)
        made.rule("text", lambda asked: {"text": "Told: " + "; ".join(one["text"] for one in asked.data["timeline"])})
        yield made  # fmt: skip


def say(memory: Memory, sessions: Sequence[Sequence[str]], first: int = 0, gap: timedelta = timedelta(days=1)) -> None:
    """One session a day, s1, s2, …, each line a turn."""
    for at, said in enumerate(sessions, start=first + 1):
        for turn, text in enumerate(said):
            when = START - timedelta(days=100) + at * gap + timedelta(minutes=turn)
            memory.add(text, id=f"s{at}-{turn}", session=f"s{at}", occurred_at=when)


def with_model(llm: RuleLLM, vectors: Vectors, sessions: Sequence[Sequence[str]]) -> Memory:
    memory = Memory.open(embedder=Fixed(vectors), llm=llm, clock=ManualClock(START))
    say(memory, sessions)
    memory.attach("theanine")
    report = memory.consolidate()["theanine"]
    assert "error" not in report
    return memory


def named(memory: Memory) -> dict[str, str]:
    """Texts of memories by their names."""
    return {one.data["name"]: one.text for one in memory.records(system="theanine")}


def links(memory: Memory) -> list[tuple[str, str, str]]:
    """(older, kind, newer) of all links, by text."""
    records = memory._shared.store.records
    texts = {one.id: one.text for one in records.records("theanine", "")}
    return sorted((texts[one.from_id], one.kind, texts[one.to_id]) for one in records.links("theanine", ""))


def when_both(asked: Any, pairs: Sequence[tuple[str, str]], answer: Mapping[str, str] = CHANGED) -> Mapping[str, str]:
    return answer if (asked.data["A"], asked.data["B"]) in pairs else NONE


# -- timelines ------------------------------------------------------------------------------------------------

CHAIN: Vectors = {"m1": [1, 0.9, 0], "m3": [1, 0.9, 0.1], "m5": [1, 0, 0], "m2": [0, 0, 0, 1], "q": [1, -0.9, 0]}


def test_a_cue_that_matches_only_the_newest_of_a_chain_is_told_all_of_it_in_session_order(llm: RuleLLM) -> None:
    llm.rule("relation", lambda asked: when_both(asked, [("m1", "m3"), ("m3", "m5")]))
    with with_model(llm, CHAIN, [["m1"], ["m2"], ["m3"], ["m5"], ["end"]]) as memory:
        assert links(memory) == [("m1", "Changed", "m3"), ("m3", "Changed", "m5")]
        hits = memory.system("theanine").search("q").hits
        told = [asked.data["timeline"] for asked in llm.requests if asked.shows("timeline")]
    assert [step["text"] for step in told[0]] == ["m1", "m3", "m5"]
    assert [step.get("relation") for step in told[0]] == ["Changed", "Changed", None]
    assert (hits[0].text, hits[0].kind, hits[0].sources) == ("Told: m1; m3; m5", "timeline", ("s1-0", "s3-0", "s4-0"))


def test_the_timelines_of_a_diamond_are_all_pasts_with_all_futures() -> None:
    sessions = {"a1": 1, "a2": 2, "m": 3, "b1": 4, "b2": 5, "now": 6}
    ends = [("a1", "m"), ("a2", "m"), ("m", "b1"), ("m", "b2"), ("m", "now"), ("b1", "now")]
    graph = Dated(sessions, [Relation(one, other, "Cause") for one, other in ends], before=6)
    expected = {(past, "m", future) for past, future in product(["a1", "a2"], ["b1", "b2"])}
    assert {line.steps for line in graph.timelines("m")} == expected


def test_a_recall_asks_once_for_each_different_timeline_and_the_reply_is_the_callers(llm: RuleLLM) -> None:
    vectors: Vectors = {"m1": [1, 0.1], "m2": [1, 0.2], "other": [1, -0.6], "q": [1, 0]}
    llm.rule("relation", lambda asked: when_both(asked, [("m1", "m2")]))
    with with_model(llm, vectors, [["m1"], ["m2"], ["other"], ["end"]]) as memory:
        before = llm.calls
        hits = memory.system("theanine").search("q").hits
        asked = llm.calls - before
    # m1 and m2 lie on one timeline, which is not told twice; "other" is alone on its own
    assert asked == 2
    assert [hit.text for hit in hits if hit.kind == "timeline"] == ["Told: m1; m2", "Told: other"]


def test_memories_of_one_session_are_never_linked(llm: RuleLLM) -> None:
    same: Vectors = {"m1": [1, 0], "m2": [1, 0.01], "m3": [1, 0.02], "end": [1, 0.03]}
    llm.rule("relation", CHANGED)
    with with_model(llm, same, [["m1", "m2"], ["m3"], ["end"]]) as memory:
        sessions = {text: name.split("-")[0] for name, text in named(memory).items()}
        assert [(one, other) for one, _, other in links(memory) if sessions[one] == sessions[other]] == []
        assert links(memory)


def test_a_new_memory_is_linked_to_the_newest_of_the_component_and_the_released_code_to_all_that_are_like_it(
    llm: RuleLLM,
) -> None:
    vectors: Vectors = {"m1": [1, 0], "m2": [1, 0.3], "m3": [1, 0.01], "end": [0, 0, 1]}
    llm.rule("relation", CHANGED)
    with with_model(llm, vectors, [["m1"], ["m2"], ["m3"], ["end"]]) as memory:
        assert [one for one in links(memory) if one[2] == "m3"] == [("m2", "Changed", "m3")]
    with Memory.open(embedder=Fixed(vectors), llm=llm, clock=ManualClock(START)) as memory:
        say(memory, [["m1"], ["m2"], ["m3"], ["end"]])
        memory.attach("theanine", link_to="similar")
        memory.consolidate()
        assert [one for one in links(memory) if one[2] == "m3"] == [("m1", "Changed", "m3"), ("m2", "Changed", "m3")]


def test_a_memory_is_compared_with_the_three_most_like_it_in_view_of_both_sessions(
    llm: RuleLLM,
) -> None:
    vectors: Vectors = {"m1": [1, 0.3], "m2": [1, 0.2], "m3": [1, 0.1], "m4": [1, 0.9], "new": [1, 0]}
    llm.rule("relation", lambda asked: CHANGED if asked.data["B"] == "new" else NONE)
    with Memory.open(embedder=Fixed(vectors), llm=llm, clock=ManualClock(START)) as memory:
        say(memory, [["m1"], ["m2"], ["m3"], ["m4"], ["new", "aside"], ["end"]])
        memory.attach("theanine", link_to="similar")
        memory.consolidate()
        asked = [one.data for one in llm.requests if one.shows("A") and one.data["B"] == "new"]
        assert sorted(one for one, _, other in links(memory) if other == "new") == ["m1", "m2", "m3"]
    assert sorted(one["A"] for one in asked) == ["m1", "m2", "m3"]
    for one in asked:
        assert [turn["text"] for turn in one["earlier"]] == [one["A"]]
        assert [turn["text"] for turn in one["later"]] == ["new", "aside"]


def test_numbers_are_those_of_the_paper() -> None:
    params = create("theanine", {}).params
    assert (params.similar, params.recalled, params.link_to) == (3, 3, "newest")


def test_no_timeline_goes_through_the_session_that_is_still_open(llm: RuleLLM) -> None:
    llm.rule("relation", lambda asked: when_both(asked, [("m1", "m3"), ("m3", "m5")]))
    with with_model(llm, CHAIN, [["m1"], ["m3"], ["m5"]]) as memory:
        said_at = START - timedelta(days=97)
        assert ("m3", "Changed", "m5") in links(memory)
        memory.system("theanine").search("q", asked_at=said_at + timedelta(minutes=5))
        told = [[step["text"] for step in one.data["timeline"]] for one in llm.requests if one.shows("timeline")]
    assert told == [["m1", "m3"]]


def test_of_a_long_timeline_a_model_is_shown_what_led_to_the_memory_and_how_it_ends(llm: RuleLLM) -> None:
    names = [f"m{at}" for at in range(9)]
    vectors: Vectors = {name: [1, 0.05 * at] for at, name in enumerate(names)} | {"q": [1, -0.2]}
    llm.rule("relation", lambda asked: when_both(asked, list(pairwise(names))))
    with Memory.open(embedder=Fixed(vectors), llm=llm, clock=ManualClock(START)) as memory:
        say(memory, [*([name] for name in names), ["end"]])
        memory.attach("theanine", most_steps=4, recalled=1)
        memory.consolidate()
        memory.system("theanine").search("q")
        (told,) = [one.data["timeline"] for one in llm.requests if one.shows("timeline")]
    assert [step["text"] for step in told] == ["m0", "m6", "m7", "m8"]
    assert [step.get("relation") for step in told] == ["later", "Changed", "Changed", None]


def test_what_only_a_corrected_message_said_is_linked_to_nothing_that_is_said_later(llm: RuleLLM) -> None:
    vectors: Vectors = {"m1": [1, 0.1], "wrong": [1, 0], "right": [0, 1], "new": [1, 0.02]}
    llm.rule("relation", CHANGED)
    with Memory.open(embedder=Fixed(vectors), llm=llm, clock=ManualClock(START)) as memory:
        memory.attach("theanine", link_to="similar", similar=1)
        say(memory, [["m1"], ["wrong"]])
        memory.update("s2-0", "right")
        memory.add("new", session="s9", occurred_at=START + timedelta(days=1))
        memory.add("end", session="s10", occurred_at=START + timedelta(days=2))
        memory.consolidate()
        assert [one for one, _, other in links(memory) if other == "new"] == ["m1"]


_COLOURS = ["red", "blue", "green", "pink", "grey", "teal", "gold", "navy", "lime", "plum", "rose"]


def test_a_tenth_session_comes_after_the_ninth() -> None:
    with Memory.open(embedder="hashing", clock=ManualClock(START)) as memory:
        say(memory, [[f"My favourite colour: {colour}"] for colour in _COLOURS])
        memory.attach("theanine")
        memory.consolidate()
        assert memory.system("theanine").search("favourite colour", limit=1)[0].text.endswith("rose")
        assert "s11-m1" in named(memory)


# -- answers that are wrong -----------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["None", "", "Loves", "Changed or Cause", "0"])
def test_a_relation_that_there_is_not_links_nothing(llm: RuleLLM, answer: str) -> None:
    llm.rule("relation", {"explanation": "?", "relation": answer})
    with with_model(llm, {"m1": [1], "m2": [1]}, [["m1"], ["m2"], ["end"]]) as memory:
        assert links(memory) == []


def test_a_relation_is_read_whatever_its_case_and_spacing(llm: RuleLLM) -> None:
    llm.rule("relation", {"explanation": "", "relation": " hindered by. "})
    with with_model(llm, {"m1": [1], "m2": [1]}, [["m1"], ["m2"], ["end"]]) as memory:
        assert ("m1", "HinderedBy", "m2") in links(memory)


def test_why_two_memories_are_linked_is_not_kept_since_it_may_hold_anything_of_both_sessions(llm: RuleLLM) -> None:
    llm.rule("relation", CHANGED)
    with with_model(llm, {"m1": [1], "m2": [1]}, [["m1"], ["m2"], ["end"]]) as memory:
        assert {str(one.data) for one in memory.links(system="theanine")} == {"{'by': 'llm'}"}


def test_a_timeline_that_is_told_with_nothing_is_shown_as_it_stands(llm: RuleLLM) -> None:
    llm.rule("relation", lambda asked: when_both(asked, [("m1", "m3"), ("m3", "m5")]))
    llm.rule("text", {"text": " "})
    with with_model(llm, CHAIN, [["m1"], ["m3"], ["m5"], ["end"]]) as memory:
        assert memory.system("theanine").search("q")[0].text == plain(["m1", "m3", "m5"], ["Changed", "Changed"])


def test_facts_without_text_or_of_turns_that_are_not_there_become_no_memories(llm: RuleLLM) -> None:
    llm.rule(
        "facts", {"facts": [{"text": "", "turns": [1]}, {"text": "lost", "turns": [9]}, {"text": "kept", "turns": [1]}]}
    )
    with with_model(llm, {}, [["m1"], ["end"]]) as memory:
        assert named(memory) == {"s1-m1": "kept", "s2-m1": "kept"}  # fmt: skip


# -- without a model: what has changed ------------------------------------------------------------------------


def newest_first(memory: Memory, values: Mapping[str, Sequence[str]], **asked: Any) -> float:
    """The share of keys whose last value comes before all their earlier ones."""
    right = 0
    for key, said in values.items():
        texts = [hit.text for hit in memory.system("theanine").search(f"What is the current value of {key}?", **asked)]
        of_key = [
            text for text in texts if text.startswith((f"{key}: ", f"The user {key}: "))
        ]  # "built …" seems a deed
        right += bool(of_key) and of_key[0].endswith(f"{key}: {said[-1]}")
    return right / len(values)


def stream_of(keys: Sequence[str], updates: int, seed: int = 1) -> list[tuple[str, str]]:
    rng = random.Random(seed)
    order = [key for key in keys for _ in range(updates)]
    rng.shuffle(order)
    names = ["amber", "birch", "cedar", "delta", "ember", "flint", "grove", "heron", "iris", "jade"]
    return [(key, f"{rng.choice(names)} {at}") for at, key in enumerate(order)]


@pytest.mark.parametrize("is_consolidated", [True, False])
@pytest.mark.parametrize("wait", [timedelta(minutes=1), timedelta(days=1)], ids=["at once", "a day later"])
def test_the_newest_value_of_a_key_comes_first_and_an_old_one_as_of_its_time(
    is_consolidated: bool, wait: timedelta
) -> None:
    clock = ManualClock(START)
    said = stream_of(["harbour", "orchestra", "ladder", "pepper", "glacier"], 24)
    with Memory.open(embedder="hashing", clock=clock) as memory:
        memory.attach("theanine")
        values: dict[str, list[str]] = {}
        half: tuple[dict[str, list[str]], datetime] | None = None
        for at, (key, value) in enumerate(said):
            clock.advance(timedelta(minutes=1))
            memory.add(f"{key}: {value}", occurred_at=clock.now())
            values.setdefault(key, []).append(value)
            if at == 70:
                half = {name: list(more) for name, more in values.items()}, clock.now()
        if is_consolidated:
            memory.consolidate()
        assert newest_first(memory, values, asked_at=clock.now() + wait) == 1.0
        assert half is not None
        assert newest_first(memory, half[0], asked_at=clock.now() + wait, as_of=half[1]) == 1.0


_DATA = Path(os.environ.get("MNEMIC_SHARED_DATA", "/nowhere")) / "pi-llm/dict_category_double-word_46-400_v1-1.json"


@pytest.mark.slow
@pytest.mark.skipif(not _DATA.is_file(), reason="the values of PI-LLM are not here: set MNEMIC_SHARED_DATA")
@pytest.mark.parametrize("updates", [4, 24, 48])
def test_of_published_update_streams_at_least_95_in_100_keys_give_their_newest_value_first(updates: int) -> None:
    sample = stream(read_json(_DATA), updates)
    clock = ManualClock(START)
    values: dict[str, list[str]] = {}
    halfway: dict[str, list[str]] = {}
    with Memory.open(embedder="hashing", clock=clock) as memory:
        memory.attach("theanine")
        for at, turn in enumerate(sample.turns):
            if at == len(sample.turns) // 2:
                halfway, then = {key: list(more) for key, more in values.items()}, clock.now()
                clock.advance(timedelta(hours=1))
            key, _, value = turn.text.partition(": ")
            values.setdefault(key, []).append(value)
            memory.add(turn.text, occurred_at=turn.occurred_at)
        memory.consolidate()
        asked_at = sample.turns[-1].occurred_at
        assert newest_first(memory, values, asked_at=asked_at) >= 0.95
        assert newest_first(memory, halfway, asked_at=asked_at, as_of=then) >= 0.95


def test_what_was_said_of_a_person_is_followed_through_its_changes() -> None:
    with Memory.open(embedder="hashing", clock=ManualClock(START)) as memory:
        say(
            memory,
            [["I live in Paris."], ["I play tennis on Sundays."], ["I moved to Rome."], ["Tea is nice in the garden."]],
        )
        memory.attach("theanine")
        memory.consolidate()
        assert ("The user lives in Paris.", "Changed", "The user moved to Rome.") in links(memory)
        hits = memory.system("theanine").search("Where in Paris do I live?").hits
    texts = [hit.text for hit in hits]
    assert texts.index("The user moved to Rome.") < texts.index("The user lives in Paris.")
    assert "what has changed" in _why(hits, "The user moved to Rome.")  # fmt: skip


def _why(hits: Sequence[Hit], text: str) -> str:
    return next(hit.explain() for hit in hits if hit.text == text)


@pytest.mark.parametrize(
    ("older", "newer", "kind"),
    [
        ("favourite colour: red", "favourite colour: dark red", "Changed"),
        ("Ann has a trip to Lisbon in June.", "Ann had to cancel the trip to Lisbon.", "HinderedBy"),
        ("Ann's knee injury kept Ann home.", "Ann stopped running because of the knee injury.", "Cause"),
        ("Ann saw the northern lights in Norway.", "Ann wants to see the northern lights again.", "Want"),
        ("Ann adopted a puppy from the shelter.", "Ann feels happy with the puppy from the shelter.", "React"),
        ("Ann joined a pottery class downtown.", "The pottery class downtown has ten people.", "SameTopic"),
        ("bird: emu", "fish: eel", None),
        ("Ann lives in Oslo.", "Ann likes tea.", None),
    ],
)
def test_relations_are_told_by_rule(older: str, newer: str, kind: str | None) -> None:
    assert related(older, newer) == kind


# -- the open session -----------------------------------------------------------------------------------------


def test_what_is_still_open_is_recalled_as_it_was_said_and_later_as_memories() -> None:
    with Memory.open(embedder="hashing", clock=ManualClock(START)) as memory:
        say(memory, [["I bought a violin."], ["I sold my bicycle."]])
        theanine = memory.system("theanine")
        assert {hit.kind: hit.text for hit in theanine.search("bicycle")} == {"episode": "I sold my bicycle."}
        memory.attach("theanine")
        memory.consolidate()
        ended = START - timedelta(days=98)
        assert [hit.kind for hit in theanine.search("bicycle", asked_at=ended + timedelta(minutes=5))] == ["episode"]
        assert [hit.kind for hit in theanine.search("bicycle", asked_at=ended + timedelta(hours=5))] == ["memory"]
        say(memory, [["I play chess."]], first=2)
        memory.consolidate()
        marks = {one.text: "provisional" in one.data for one in memory.records(system="theanine")}
    assert marks == {"The user bought a violin.": False, "The user sold the user's bicycle.": False, "The user plays chess.": True}  # fmt: skip


@pytest.mark.parametrize(
    "wrong", [{"similar": 0}, {"recalled": 0}, {"link_to": "all"}, {"gap_minutes": 0.0}, {"nearness": 1.5}]
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        create("theanine", wrong)


def test_a_told_timeline_can_be_judged() -> None:
    llm = RuleLLM("rules:told")
    llm.rule(
        "facts", lambda asked: {"facts": [{"text": one["text"], "turns": [one["turn"]]} for one in asked.data["turns"]]}
    )
    llm.rule("relation", {"explanation": "", "relation": "Changed"})
    llm.rule("text", {"text": "First Porto, then Rome."})
    with Memory.open(embedder="hashing", llm="none", background=False) as memory:
        memory.attach("theanine", llm=llm)
        for session, text in (("a", "I live in Porto."), ("b", "I live in Rome now."), ("c", "Bye.")):
            memory.add(text, session=session)
        memory.consolidate()
        hit = memory.system("theanine").search("Where do I live?").hits[0]
        assert hit.text == "First Porto, then Rome."
        assert memory.feedback(hit.id, "helpful")
