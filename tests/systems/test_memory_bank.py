"""MemoryBank: dated turns and days, and a forgetting curve that recall resets."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.errors import ParameterError
from mnemic.model import Episode, Record
from mnemic.ops.decay import Strength
from mnemic.systems.memory_bank import MemoryBank, Params, turn_id
from mnemic.testing import RuleLLM

START = datetime(2024, 5, 1, 12, tzinfo=UTC)
SHARED = Path(os.environ.get("MNEMIC_SHARED_DATA", "/work/shared/data")) / "memorybank"
Open = Callable[..., Memory]


def chat(memory: Memory, day: int, *pairs: tuple[str, str], session: str | None = None) -> None:
    """Questions and answers of one day, counted from the start."""
    for at, (asked, answered) in enumerate(pairs):
        when = START + timedelta(days=day, minutes=at)
        messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
        memory.add(messages, session=session or f"day {day}", occurred_at=when)


def bank(memory: Memory, **parameters: Any) -> Memory:
    asked = memory.attach("memorybank", **parameters)
    memory.consolidate()
    return asked


def texts(memory: Memory, kind: str, *, current: bool = True) -> list[str]:
    return [one.text for one in memory.records(system="memorybank", kind=kind, include_retired=not current)]


def companion() -> RuleLLM:
    llm = RuleLLM("rules:companion")
    llm.rule(
        "summary", lambda asked: {"summary": f"Summed up: {' / '.join(one['text'] for one in asked.data['pieces'])}"}
    )
    llm.rule("personality", {"personality": "Open.", "mood": "Glad.", "strategy": "Be brief."})
    return llm


# -- what is kept ---------------------------------------------------------------------------------------------


def test_a_turn_is_what_was_said_and_its_answer(memory: Memory) -> None:
    chat(memory, 0, ("I like tea.", "Green tea?"), ("Yes, sencha.", "Noted."))
    bank(memory)
    assert sorted(texts(memory, "turn")) == [
        "user: I like tea.\nassistant: Green tea?",
        "user: Yes, sencha.\nassistant: Noted.",
    ]


def test_what_has_no_answer_yet_is_recalled_as_it_was_said(memory: Memory) -> None:
    asked = bank(memory)
    memory.add("The violin needs new strings", id="open")
    assert [hit.id for hit in asked.search("violin strings")] == ["open"]
    memory.add("I can order violin strings", role="assistant", id="answer")
    assert [hit.sources for hit in asked.search("violin strings")] == [("open", "answer")]


def test_each_day_is_summed_up_once_when_another_begins(open_memory: Open) -> None:
    llm = companion()
    memory = open_memory(llm=llm)
    chat(memory, 0, ("I like tea.", "Green tea?"))
    chat(memory, 1, ("I like coffee.", "Black?"))
    chat(memory, 2, ("I like milk.", "Warm?"))
    bank(memory)
    calls = llm.calls
    assert sorted(texts(memory, "day_summary")) == [
        "Summed up: I like coffee. / Black?",
        "Summed up: I like milk. / Warm?",  # provisional: the day may go on
        "Summed up: I like tea. / Green tea?",
    ]
    memory.consolidate()
    assert llm.calls == calls


def test_the_global_summary_and_portrait_are_refreshed_when_a_day_is_over(open_memory: Open) -> None:
    memory = open_memory(llm=companion())
    bank(memory)
    seen = []
    for day, drink in enumerate(["tea", "coffee", "milk"]):
        chat(memory, day, (f"I like {drink}.", "Good."))
        memory.consolidate()
        seen.append([text.count("Summed up") for text in texts(memory, "global_summary")])
    assert seen == [[2], [2], [3]]  # each holds the summaries of the days before the open one, and is one itself
    assert texts(memory, "global_portrait") == ["Personality: Open. Mood: Glad. How to answer: Be brief."]
    assert len(texts(memory, "global_summary", current=False)) == 2


def test_what_is_told_late_of_a_day_gives_its_summary_another_version(open_memory: Open, clock: ManualClock) -> None:
    memory = open_memory(llm=companion())
    asked = bank(memory)
    chat(memory, 0, ("I like tea.", "Good."))
    chat(memory, 1, ("I like coffee.", "Good."))
    memory.consolidate()
    then = clock.now()
    clock.advance(timedelta(hours=1))
    chat(memory, 0, ("I also bought a violin.", "Nice."), session="later")
    chat(memory, 2, ("Hello.", "Hi."))
    memory.consolidate()
    versions = [
        one for one in memory.records(system="memorybank", kind="day_summary") if one.data["date"] == "2024-05-01"
    ]
    assert [
        (one.data["number"], one.retired_at is None) for one in sorted(versions, key=lambda one: one.data["number"])
    ] == [
        (0, False),
        (1, True),
    ]
    assert set(versions[0].sources) < set(versions[1].sources)
    assert [
        hit.record and hit.record.data.get("number")
        for hit in asked.search("tea", as_of=then)
        if hit.kind == "day_summary"
    ][:1] == [0]


def test_the_portrait_of_a_day_is_made_of_what_the_user_says_of_himself(memory: Memory) -> None:
    chat(memory, 0, ("I love painting and I feel lonely in Porto.", "Paint the river! I recommend Monet."))
    bank(memory)
    (portrait,) = memory.records(system="memorybank", kind="day_portrait")
    assert "loves painting" in portrait.text
    assert "Monet" not in portrait.text
    assert (portrait.data["by"], portrait.data["provisional"]) == ("offline", True)


@pytest.mark.parametrize("answer", [{"summary": "  "}, {"summary": ""}])
def test_an_empty_summary_by_a_model_is_none_and_the_rules_make_one(open_memory: Open, answer: Any) -> None:
    llm = RuleLLM("rules:empty")
    llm.rule("summary", answer)
    llm.rule("personality", {"personality": "", "mood": " ", "strategy": ""})
    memory = open_memory(llm=llm)
    chat(memory, 0, ("I moved to Porto.", "Lovely."))
    bank(memory)
    (day,) = memory.records(system="memorybank", kind="day_summary")
    assert (day.data["by"], "Porto" in day.text) == ("offline", True)
    assert texts(memory, "day_portrait") == []


def test_what_was_corrected_on_its_day_is_not_in_the_days_summary(memory: Memory) -> None:
    memory.add("I love tea.", id="old", actor="Ann")
    memory.add("I bought a violin.", actor="Ann")
    memory.update("old", "I love coffee.")
    bank(memory)
    (day,), (portrait,) = texts(memory, "day_summary"), texts(memory, "day_portrait")
    assert ("tea" in day, "tea" in portrait, "coffee" in day) == (False, False, True)


# -- forgetting -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "uses", "scale"), [(1, 0, 1.0), (2, 1, 1.0), (3, 3, 1.0), (4, 0, 5.0)])
def test_the_share_of_turns_that_draws_keep_is_the_retention(days: int, uses: int, scale: float) -> None:
    system = MemoryBank(Params(forgetting="drawn", scale_days=scale))
    strength = Strength(0.0, uses)
    kept = sum(system.keeps(_turn(str(at)), strength, float(days)) for at in range(4000)) / 4000
    assert kept == pytest.approx(2.718281828 ** (-days / (scale * (1 + uses))), abs=0.03)


def test_a_memory_that_was_used_more_often_survives_longer_and_use_starts_its_time_anew(
    memory: Memory, clock: ManualClock
) -> None:
    for thing in ("violin", "piano", "flute"):
        memory.add(f"The {thing} stands in the hall", id=thing, session=thing)
    memory.add("bye", session="end")
    asked = bank(memory, forgetting="threshold", threshold=0.2)  # forgotten after 1.6 days times S

    def left(days: float) -> list[str]:
        hits = asked.search("what stands in the hall", asked_at=START + timedelta(days=days))
        return sorted(hit.sources[0] for hit in hits if hit.kind == "turn" and hit.sources[0] != "bye")

    clock.advance(timedelta(days=1))
    memory.feedback("piano", "used")
    (violin,) = [one for one in memory.records(system="memorybank", kind="turn") if one.sources == ("violin",)]
    memory.feedback(violin.id, "helpful")
    memory.feedback("violin", "used")
    memory.feedback("flute", "unhelpful")
    assert left(1.5) == ["flute", "piano", "violin"]
    assert left(2.0) == ["piano", "violin"]
    assert left(4.3) == ["violin"]  # piano: 1 + 2·1.61 days; violin: 1 + 3·1.61
    assert left(6.0) == []


def test_forgotten_turns_disappear_from_recall_stay_in_the_log_and_come_back_at_another_setting(memory: Memory) -> None:
    chat(memory, 0, ("The violin is in the attic.", "Good to know."))
    late = START + timedelta(days=30)
    asked = bank(memory, forgetting="threshold")
    assert asked.search("violin", asked_at=late).hits == ()
    assert [hit.kind for hit in asked.search("violin", asked_at=START)] != []
    assert [one.text for one in memory.list()][:1] == ["The violin is in the attic."]
    again = bank(memory, forgetting="off")
    assert {hit.kind for hit in again.search("violin", asked_at=late)} == {"turn", "day_summary"}


def test_a_day_whose_turns_are_all_forgotten_loses_its_summary_unless_it_is_to_keep_it(memory: Memory) -> None:
    chat(memory, 0, ("The violin is in the attic.", "Good to know."))
    chat(memory, 9, ("The piano is out of tune.", "A pity."))
    late = START + timedelta(days=9)
    hidden = bank(memory, forgetting="threshold").search("violin in the attic", asked_at=late)
    assert [hit.text for hit in hidden if "violin" in hit.text] == []
    kept = bank(memory, forgetting="threshold", hides_empty_days=False).search("violin in the attic", asked_at=late)
    assert [hit.kind for hit in kept if "violin" in hit.text] == ["day_summary"]


def test_a_day_is_not_over_for_what_still_waits_for_an_answer(memory: Memory) -> None:
    memory.add("The violin is in the attic.")
    hits = bank(memory, forgetting="threshold").search("violin in the attic", asked_at=START)
    assert sorted(hit.kind for hit in hits) == ["day_summary", "episode"]


def test_forgetting_is_off_unless_it_is_asked_for(memory: Memory) -> None:
    chat(memory, 0, ("The violin is in the attic.", "Good to know."))
    assert len(bank(memory).search("violin", asked_at=START + timedelta(days=3650))) == 2


def test_feedback_is_known_only_from_when_it_was_given(memory: Memory, clock: ManualClock) -> None:
    memory.add("The violin is in the attic.", id="v", session="a")
    memory.add("bye", session="b")
    asked = bank(memory, forgetting="threshold", threshold=0.2)
    before, late = clock.now(), START + timedelta(days=3)
    clock.advance(timedelta(days=1))
    memory.feedback("v", "used")
    assert [hit.sources for hit in asked.search("violin", asked_at=late)] == [("v",)]
    assert asked.search("violin", asked_at=late, as_of=before).hits == ()


def test_a_use_that_is_forgotten_strengthens_nothing(memory: Memory, clock: ManualClock) -> None:
    memory.add("The violin is in the attic.", id="v", session="a")
    memory.add("bye", session="b")
    asked = bank(memory, forgetting="threshold", threshold=0.2)
    clock.advance(timedelta(days=1))
    memory.feedback("v", "used", id="use")
    late = START + timedelta(days=3)
    assert len(asked.search("violin", asked_at=late)) == 1
    memory.forget("use")
    assert asked.search("violin", asked_at=late).hits == ()


@pytest.mark.parametrize("bad", [{"forgetting": "sometimes"}, {"scale_days": 0}, {"threshold": 1.5}, {"day_words": 0}])
def test_parameters_out_of_range_are_refused(memory: Memory, bad: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        memory.attach("memorybank", **bad)


# -- the paper's own data -------------------------------------------------------------------------------------


@pytest.mark.skipif(not SHARED.exists(), reason="the MemoryBank conversations are not on this machine")
@pytest.mark.parametrize("language", ["en", "cn"])
def test_ten_days_of_the_papers_own_users_make_ten_summaries_and_every_turn(open_memory: Open, language: str) -> None:
    people = json.loads((SHARED / language / f"memory_bank_{language}.json").read_text())
    person = next(iter(people.values()))
    memory = open_memory()
    pairs = 0
    for date, said in person["history"].items():
        for at, pair in enumerate(said):
            when = datetime.fromisoformat(f"{date}T10:00:00+00:00") + timedelta(minutes=at)
            messages = [{"role": "user", "content": pair["query"]}, {"role": "assistant", "content": pair["response"]}]
            memory.add([one for one in messages if one["content"].strip()], session=date, occurred_at=when)
            pairs += 1
    bank(memory)
    records = memory.records(system="memorybank")
    assert len([one for one in records if one.kind == "day_summary"]) == len(person["history"])
    assert len([one for one in records if one.kind == "turn"]) == pairs
    assert all(one.text for one in records)


def _turn(id: str) -> Record:
    return Record(
        id=id, system="memorybank", scope="", kind="turn", text=id, sources=(id,), recorded_at=START, valid_from=START
    )


def test_the_id_of_a_turn_follows_from_its_first_episode(memory: Memory) -> None:
    chat(memory, 0, ("I like tea.", "Green tea?"))
    bank(memory)
    (turn,) = memory.records(system="memorybank", kind="turn")
    (first, _) = memory.list()
    assert turn.id == turn_id(first)
    assert turn_id(first) != turn_id(Episode(text=first.text, id="v", scope="", occurred_at=START, recorded_at=START))


def test_a_turn_shows_nothing_of_a_message_that_was_corrected() -> None:
    with Memory.open(embedder="hashing", llm="none") as memory:
        memory.attach("memorybank")
        memory.add("My secret code is Zanzibar.", id="wrong")
        memory.add([{"role": "assistant", "content": "The garden looks lovely in May."}])
        memory.consolidate()
        assert "Zanzibar" in repr(memory.system("memorybank").search("garden in May").hits)
        memory.update("wrong", "My secret code is Lisbon.")
        hits = memory.system("memorybank").search("garden in May").hits
        assert any("garden" in hit.text for hit in hits)
        assert "Zanzibar" not in repr(hits)
