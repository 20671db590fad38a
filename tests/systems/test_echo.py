"""Echo: rendered times are right, generated questions can be answered from them, and not without them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.errors import ParameterError
from mnemic.model import Episode
from mnemic.ops.elapsed import days_between, elapsed
from mnemic.systems.echo import Echo, Params, render
from mnemic.systems.echo_set import KINDS, EchoSet, Question, generated
from mnemic.testing import RuleLLM

START = datetime(2024, 3, 1, 12, tzinfo=UTC)


def episodes_of(world: EchoSet) -> list[Episode]:
    return [
        Episode(text=one.text, id=f"e{at}", scope="", occurred_at=one.at, recorded_at=one.at, actor=one.speaker)
        for at, one in enumerate(world.turns)
    ]


class Reader:
    """Answers from rendered lines and the now it is told, by the form of the question; None where they do not say."""

    line = re.compile(
        r"\d+\. \[(?P<date>\d{4}-\d\d-\d\d) .*?\] (?P<who>\w+): I (?P<did>.+?) (?P<day>today|yesterday)\. "
        r"\[(?P=day) = (?P<told>\d{4}-\d\d-\d\d)\]"
    )

    def __init__(self, lines: list[str], now: datetime) -> None:
        self.now = now
        self.days: dict[str, datetime] = {}
        for one in lines:
            if match := self.line.fullmatch(one):
                self.days[f"{match['who']} {match['did']}"] = datetime.fromisoformat(match["told"]).replace(tzinfo=UTC)

    def answer(self, question: Question) -> str | None:
        named = [event for event in self.days if event in question.text]
        if question.kind == "event":
            who, date = re.fullmatch(r"What did (\w+) do on (\S+)\?", question.text).groups()  # type: ignore[union-attr]
            found = [
                event for event, day in self.days.items() if event.startswith(who) and day.date().isoformat() == date
            ]
            return found[0].removeprefix(f"{who} ") if found else None
        if not named:
            return None
        days = sorted(self.days[one] for one in named)
        if question.kind == "date":
            return days[0].date().isoformat()
        if question.kind == "ago":
            return str(days_between(days[0], self.now))
        if question.kind == "between":
            return elapsed(days[0], days[-1]).in_words
        return min(named, key=lambda one: self.days[one])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_reader_answers_every_generated_question_from_the_rendered_text_alone(seed: int) -> None:
    world = generated(seed)
    reader = Reader(render(episodes_of(world), world.now), world.now)
    assert [one for one in world.questions if reader.answer(one) != one.answer] == []
    assert {one.kind for one in world.questions} == set(KINDS)


def test_without_times_no_question_about_time_can_be_answered() -> None:
    world = generated(1)
    lines = render(episodes_of(world), world.now, has_times=False)
    reader = Reader(lines, world.now)
    assert [reader.answer(one) for one in world.questions] == [None] * len(world.questions)
    assert not re.search(r"\d{4}|ago", "".join(lines))


def test_the_same_seed_gives_the_same_set_and_another_one_another() -> None:
    assert generated(7) == generated(7) != generated(8)
    with pytest.raises(ParameterError):
        generated(1, events=100)


def test_every_line_shows_when_it_was_said_how_long_ago_and_the_date_that_it_tells_of() -> None:
    said = Episode(
        text="I adopted a cat yesterday.",
        id="e",
        scope="",
        occurred_at=datetime(2024, 1, 31, 9, 5, tzinfo=UTC),
        recorded_at=START,
        actor="Ann",
    )
    assert render([said], datetime(2024, 3, 1, 9, 5, tzinfo=UTC)) == [
        "1. [2024-01-31 Wed 09:05, 1 month and 1 day ago] Ann: I adopted a cat yesterday. [yesterday = 2024-01-30]"
    ]


def test_what_now_is_changes_the_relative_times_and_nothing_else() -> None:
    world = generated(4)
    first, second = (render(episodes_of(world), world.now + timedelta(days=later)) for later in (0, 31))
    assert [re.sub(r", [^\]]*\]", "]", one, count=1) for one in first] == [
        re.sub(r", [^\]]*\]", "]", one, count=1) for one in second
    ]
    assert first != second


def remembered(**named: Any) -> Memory:
    memory = Memory.open(embedder="hashing", clock=ManualClock(START), **named)
    memory.add("I adopted a cat yesterday.", id="cat", actor="Ann", occurred_at="2024-02-10T12:00:00+00:00")
    memory.add("The vet saw a cat.", id="vet", actor="Ann", occurred_at="2023-06-02T12:00:00+00:00")
    memory.add("We had tea.", id="tea", actor="Bob", occurred_at="2024-02-28T12:00:00+00:00")
    return memory


def test_a_cue_that_names_a_time_finds_what_was_said_then_and_what_tells_of_it() -> None:
    with remembered() as memory:
        echo = memory.system("echo")
        assert echo.search("what about a cat in June 2023").hits[0].id == "vet"
        assert echo.search("what about a cat on 2024-02-09").hits[0].id == "cat"
        assert echo.search("what happened two days ago").hits[0].id == "tea"


def test_a_cue_about_a_time_to_come_finds_what_tells_of_it() -> None:
    with remembered() as memory:
        memory.add("We fly to Rome next week.", id="rome", actor="Bob", occurred_at="2024-02-29T12:00:00+00:00")
        memory.add("We fly home from Rome.", id="home", actor="Bob", occurred_at="2024-02-29T12:01:00+00:00")
        hits = memory.system("echo").search("what about the trip on 2024-03-06").hits
        assert hits[0].id == "rome"
        assert "time" in {one.signal for one in hits[0].reasons}
        assert not any("time" in {one.signal for one in hit.reasons} for hit in hits[1:])


def test_each_hit_says_when_it_happened_seen_from_when_it_was_asked() -> None:
    with remembered() as memory:
        (hit,) = memory.system("echo").search("the cat that was adopted", limit=1).hits
        notes = {one.signal: one.note for one in hit.reasons}
        assert notes["when"] == "2024-02-10 Sat 12:00, 20 days ago"
        (later,) = (
            memory.system("echo").search("the cat that was adopted", limit=1, asked_at="2024-03-10T12:00:00Z").hits
        )
        assert {one.signal: one.note for one in later.reasons}["when"] == "2024-02-10 Sat 12:00, 1 month ago"


def test_a_model_reads_the_rendered_text_and_its_answer_stands_with_the_turns_it_names() -> None:
    def reads(asked: Any) -> dict[str, Any]:
        assert asked.data["now"] == "2024-03-01 Fri 12:00"
        at = next(at for at, line in enumerate(asked.data["context"], start=1) if "vet" in line)
        assert "2023-06-02" in asked.data["context"][at - 1]
        return {"answer": "8 months and 28 days ago", "turns": [at, 99]}

    llm = RuleLLM("rules:echo")
    llm.rule("answer", reads)
    with remembered(llm=llm) as memory:
        memory.attach("echo")
        recall = memory.system("echo").search("How long ago was the doctor for animals there, the cat and tea?")
        assert (recall.hits[0].id, recall.path) == ("vet", "llm")
        assert {one.signal: one.note for one in recall.hits[0].reasons}["read"] == "8 months and 28 days ago"
    llm.check()


@pytest.mark.parametrize("wrong", [{"meaning": 0.5}, {"context": 0}, {"time": 2.0}, {"read": -1}], ids=str)
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Echo(Params(**wrong))
