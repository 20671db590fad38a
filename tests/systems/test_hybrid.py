"""Each signal of the default system says what it measured, and moves the score by its weight."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.model import Hit
from mnemic.systems.hybrid import Hybrid, Params

NOW = datetime(2024, 6, 15, 12, tzinfo=UTC)


@pytest.fixture
def memory():
    with Memory.open(embedder="hashing", clock=ManualClock(NOW)) as memory:
        yield memory


def signals(hit: Hit) -> dict[str, float]:
    return {reason.signal: reason.value for reason in hit.reasons}


def by_text(memory: Memory, query: str) -> dict[str, dict[str, float]]:
    return {hit.text: signals(hit) for hit in memory.search(query)}


def test_names_is_the_share_of_the_cues_names_that_an_episode_mentions_or_is_said_by(memory: Memory) -> None:
    memory.add([{"name": "Wilma", "content": "Porto is lovely"}, {"content": "Porto is far"}, {"content": "it rains"}])
    found = by_text(memory, "What did Wilma say about Porto?")
    assert [found[text].get("names", 0.0) for text in ("Porto is lovely", "Porto is far")] == [1.0, 0.5]


def test_recency_halves_with_every_half_life(memory: Memory) -> None:
    for day in ("2024-06-15T12:00:00", "2024-05-16T12:00:00"):
        memory.add(f"tea on {day}", occurred_at=day)
    found = by_text(memory, "tea")
    assert found["tea on 2024-06-15T12:00:00"]["recency"] == pytest.approx(1.0)
    assert found["tea on 2024-05-16T12:00:00"]["recency"] == pytest.approx(0.5)


def test_speaker_is_who_the_cue_names(memory: Memory) -> None:
    memory.add([{"name": "Mara Lindqvist", "content": "I like tea"}, {"name": "Tobias", "content": "I like tea too"}])
    found = by_text(memory, "Does mara like tea?")
    assert ("speaker" in found["I like tea"], "speaker" in found["I like tea too"]) == (True, False)


def test_time_is_whether_it_happened_when_the_cue_says(memory: Memory) -> None:
    memory.add("tea in the garden", occurred_at="2024-03-10")
    memory.add("tea in the kitchen", occurred_at="2023-03-10")
    found = by_text(memory, "tea in March 2024")
    assert (found["tea in the garden"]["time"], "time" in found["tea in the kitchen"]) == (1.0, False)


def test_context_lifts_what_stands_beside_the_words_that_were_asked(memory: Memory) -> None:
    memory.add(["where is the telescope", "under the stairs", "good night"], session="a")
    memory.add(["under the bridge", "good morning", "how are you"], session="b")
    found = by_text(memory, "telescope under something")
    assert found["under the stairs"]["context"] > found["under the bridge"].get("context", 0.0)


def test_strength_grows_when_the_same_thing_is_said_again_by_the_same_person(memory: Memory) -> None:
    memory.add(["I am allergic to hazelnuts", "Hazelnuts grow on trees", "i am allergic to hazelnuts!"])
    first = memory.search("hazelnuts allergic")[0]
    assert (signals(first)["strength"], len(first.duplicates)) == (0.5, 1)


def test_what_was_forgotten_and_is_said_again_is_news(memory: Memory) -> None:
    id = memory.add("The cat is called Otto").id
    memory.search("cat")
    memory.forget(id)
    assert memory.add("The cat is called Otto").echoes == []
    assert [hit.text for hit in memory.search("cat")] == ["The cat is called Otto"]


def test_the_same_words_from_another_mouth_are_another_hit(memory: Memory) -> None:
    said = "I am allergic to hazelnuts and only to hazelnuts"
    memory.add([{"name": "Mara", "content": said}, {"name": "Tobias", "content": f"{said} too"}])
    assert len(memory.search("who is allergic to hazelnuts")) == 2


def test_who_is_asked_about_is_found_by_what_they_said_of_themselves(tmp_path: Path) -> None:
    with Memory.open(tmp_path / "a.db", embedder="hashing") as memory:
        memory.add([{"role": "user", "name": "Ann", "content": "I adopted a greyhound."}], session="s1")
        memory.add([{"role": "user", "name": "Bo", "content": "I adopted a parrot."}], session="s2")
        assert memory.search("What did Ann adopt?")[0].text == "I adopted a greyhound."
        assert memory.search("What did Bo adopt?")[0].text == "I adopted a parrot."


def test_the_newest_value_comes_first_where_the_current_one_is_asked(tmp_path: Path) -> None:
    with Memory.open(tmp_path / "a.db", embedder="hashing") as memory:
        for day, value in enumerate(["12 Elm Street", "3 Oak Road", "9 Mill Lane"], start=1):
            memory.add(f"address: {value}", occurred_at=f"2024-05-{day:02}")
        assert memory.search("What is the current address?")[0].text == "address: 9 Mill Lane"
        assert memory.search("What was the original address?")[0].text == "address: 12 Elm Street"


def test_an_instruction_comes_along_with_what_it_bears_on(tmp_path: Path) -> None:
    with Memory.open(tmp_path / "a.db", embedder="hashing") as memory:
        memory.add([{"role": "user", "content": "Always give distances in kilometres."}], session="s1")
        memory.add([{"role": "assistant", "content": "I will."}], session="s1")
        for dish in ("soup", "bread", "rice", "fish", "cake", "stew", "salad", "pie", "beans", "tea"):
            memory.add([{"role": "user", "content": f"Yesterday I made {dish} for my sister."}], session=dish)
        hits = memory.search("How far is it from Lisbon to Sintra?", limit=3)
        assert "Always give distances in kilometres." in [hit.text for hit in hits]


def test_a_parameter_changes_one_thing_whoever_speaks() -> None:
    plain, other = Hybrid(), Hybrid(Params(half_life_days=10.0))
    assert plain._with_assistant == other._with_assistant
    assert Hybrid(Params(time=0.5))._with_assistant["standing"] > 0.0
