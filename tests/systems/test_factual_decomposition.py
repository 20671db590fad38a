"""Factual decomposition: pairs of an entity and a statement, so that a small context holds more of what is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from mnemic import Hit, Memory
from mnemic.clock import ManualClock
from mnemic.errors import ParameterError
from mnemic.memory import background
from mnemic.systems.factual_decomposition import Pair, grouped, union, within
from mnemic.systems.registry import create
from mnemic.testing import RuleLLM
from mnemic.text.tokens import count_tokens

START = datetime(2024, 5, 1, 12, tzinfo=UTC)
ID = "factual-decomposition"


@pytest.fixture(autouse=True)
def _nothing_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background.Background, "wake", lambda *_: None)


@pytest.fixture
def llm() -> Iterator[RuleLLM]:
    with RuleLLM("rules:fader") as made:
        made.rule("questions", {"questions": ["Where does Ann live?"]})
        made.rule("pairs", {"pairs": []})
        yield made


def filled(texts: Sequence[str], llm: RuleLLM | None = None, **options: Any) -> Memory:
    """Each text a session of its own, all of them closed."""
    memory = Memory.open(embedder="hashing", llm=llm, clock=ManualClock(START))
    for at, text in enumerate([*texts, "Bye!"]):
        memory.add(text, id=f"e{at}", session=f"s{at}", actor="Ann", occurred_at=START - timedelta(days=999 - at))
    memory.attach(ID, **options)
    assert "error" not in memory.consolidate()[ID]
    return memory


def pairs_of(memory: Memory) -> list[tuple[str, str]]:
    records = memory.records(system=ID)
    return [(one.data["entity"], one.data["description"]) for one in records if one.kind == "pair"]


def pair(entity: str, description: str, *turns: int) -> dict[str, Any]:
    return {"entity": entity, "description": description, "turns": list(turns)}


# -- writing --------------------------------------------------------------------------------------------------


def test_a_statement_of_two_facts_becomes_two_pairs_that_stand_alone() -> None:
    with filled(["I adopted a cat and I live in Oslo."]) as memory:
        assert set(pairs_of(memory)) == {("Ann", "Ann adopted a cat"), ("Ann", "Ann lives in Oslo")}


def test_questions_are_asked_first_and_the_pairs_answer_them(llm: RuleLLM) -> None:
    llm.rule("pairs", {"pairs": [pair("Ann", "Ann lives in Oslo.", 1)]})
    with filled(["I live in Oslo."], llm) as memory:
        first, second = llm.requests[0], llm.requests[1]
        assert pairs_of(memory)[0] == ("Ann", "Ann lives in Oslo.")
    assert "questions" not in first.data
    assert second.data["questions"] == ["Where does Ann live?"]


def test_more_passes_never_find_less_and_are_shown_what_was_found(llm: RuleLLM) -> None:
    said = ["Ann lives in Oslo.", "Ann has a cat.", "Ann plays chess.", "Ann likes tea."]
    llm.rule("pairs", lambda asked: {"pairs": [pair("Ann", one, 1) for one in said[: len(asked.data["found"]) + 1]]})
    found = []
    for passes in (1, 2, 3, 4):
        with filled(["I live in Oslo, have a cat, play chess and like tea."], llm, passes=passes) as memory:
            found.append({description for _, description in pairs_of(memory)})
    assert [len(one) for one in found] == [1, 2, 3, 4]
    assert all(fewer < more for fewer, more in pairwise(found))


def test_a_pass_that_finds_nothing_new_is_the_last(llm: RuleLLM) -> None:
    llm.rule("pairs", {"pairs": [pair("Ann", "Ann lives in Oslo.", 1)]})
    with filled(["I live in Oslo."], llm, passes=9) as memory:
        assert len(pairs_of(memory)) == 2  # of both sessions
        of_the_first = [asked for asked in llm.requests if asked.shows("found") and "Oslo" in str(asked.data["turns"])]
    assert len(of_the_first) == 2


def test_the_same_in_nearly_the_same_words_is_one_pair_and_another_number_another() -> None:
    said = ["Ann has a large garden behind her old house", "Ann has a large garden, behind her old house!"]
    same = [Pair("Ann", text, (f"e{at}",)) for at, text in enumerate(said)]
    assert union(same) == [Pair("Ann", said[0], ("e0", "e1"))]
    numbers = [Pair("Ann", f"Ann has {n} large hives behind her old house", ("e0",)) for n in (3, 4)]
    assert union(numbers) == numbers


def test_a_pronoun_at_the_head_of_a_description_is_replaced_and_one_as_an_entity_refused(llm: RuleLLM) -> None:
    given = [pair("Ann", "She lives in Oslo.", 1), pair("Rex", "His owner is Ann.", 1), pair("she", "is tall", 1)]
    llm.rule("pairs", {"pairs": given})
    with filled(["I live in Oslo with Rex."], llm) as memory:
        assert set(pairs_of(memory)) == {("Ann", "Ann lives in Oslo."), ("Rex", "Rex's owner is Ann.")}


def test_pairs_without_text_or_of_turns_that_are_not_there_are_left_out(llm: RuleLLM) -> None:
    llm.rule("pairs", {"pairs": [pair("", "x", 1), pair("Ann", " ", 1), pair("Ann", "Ann flew to Mars.", 9)]})
    with filled(["I live in Oslo."], llm) as memory:
        assert pairs_of(memory) == []


def test_every_pair_points_to_its_chunk_also_those_of_a_long_text() -> None:
    long = " ".join(f"The tower number {at} stands in town {at}." for at in range(60))
    with filled(["I live in Oslo.", long, "I live in Oslo."], chunk_tokens=50) as memory:
        records = {one.id: one for one in memory.records(system=ID)}
        for one in records.values():
            chunk = records[one.data["chunk"]]
            assert chunk.kind == "chunk"
            assert one.kind == "chunk" or one.data["description"].split()[-1] in chunk.text
        chunks = [one for one in records.values() if one.kind == "chunk" and "tower" in one.text]
    assert len(chunks) > 5
    assert max(count_tokens(one.text) for one in chunks) <= 50 + count_tokens("Ann: ")


# -- recalling ------------------------------------------------------------------------------------------------

TOWNS = ["Oslo", "Porto", "Turin", "Lyon", "Ghent", "Bergen", "Malmo", "Vigo", "Graz", "Brno", "Cork", "Bath"]
CRAFTS = ["weaver", "potter", "baker", "joiner", "glazier", "cooper", "tanner", "miller", "mason", "smith", "dyer", "hatter"]  # fmt: skip


def test_in_a_small_budget_pairs_hold_more_of_what_is_asked_than_chunks_of_a_hundred_words() -> None:
    people = [f"{name}{at}" for at, name in enumerate(["Mira", "Otto", "Lena", "Karl"] * 3)]
    facts = [(f"{who} works as a {CRAFTS[at]}.", f"{who} settled in {TOWNS[at]}.") for at, who in enumerate(people)]
    filler = "The weather on that day was mild and the roads were quiet as usual in that part of the country. "
    texts = [" ".join([craft, filler * 2, town, filler * 2]) for craft, town in facts]  # of about 100 words
    held = {"pairs": 0, "chunks": 0}
    with filled(texts, budget_tokens=64) as pairs, filled(texts) as chunks:
        for at, who in enumerate(people):
            query = f"What is the craft of {who} and in which town did {who} settle?"
            small = pairs.system(ID).search(query, limit=20).hits
            assert sum(count_tokens(hit.text) for hit in small) <= 64
            whole = within(chunks.system("dense").search(query, limit=20).hits, 64)
            for name, hits in (("pairs", small), ("chunks", whole)):
                block = " ".join(hit.text for hit in hits)
                held[name] += sum(f"{who} {fact.split(' ', 1)[1]}".rstrip(".") in block for fact in facts[at])
    assert held["pairs"] > held["chunks"]
    assert held["pairs"] >= len(people)


def test_a_budget_counts_the_entity_and_ends_before_what_does_not_fit() -> None:
    with filled(["I live in Oslo. I have a cat. I play chess."], budget_tokens=0) as memory:
        every = memory.system(ID).search("Oslo, cat or chess").hits
    one = count_tokens(every[0].text)
    assert every[0].text == f"{_entity(every[0])}: {_description(every[0])}"
    assert len(within(every, one)) == 1
    assert within(every, one - 1) == []
    assert within(every, 0) == list(every)


def _entity(hit: Hit) -> str:
    assert hit.record is not None
    return str(hit.record.data["entity"])


def _description(hit: Hit) -> str:
    assert hit.record is not None
    return str(hit.record.data["description"])


def test_hits_are_grouped_under_their_entities_for_a_reader() -> None:
    with filled(["I live in Oslo. Rex is a dog from Oslo."]) as memory:
        groups = grouped(memory.system(ID).search("Oslo").hits)
    assert groups["Ann"] == ["Ann lives in Oslo."]
    assert groups["Rex"] == ["Rex is a dog from Oslo."]


@pytest.mark.parametrize("retrieval", ["dense", "sparse"])
def test_the_best_pair_is_found_by_meaning_or_by_words(retrieval: str) -> None:
    with filled(["I live in Oslo.", "My sister plays chess."], retrieval=retrieval) as memory:
        assert memory.system(ID).search("Who plays chess?", limit=1)[0].text.endswith("Ann's sister plays chess.")


@pytest.mark.parametrize(
    "wrong", [{"passes": 0}, {"chunk_tokens": 0}, {"budget_tokens": -1}, {"retrieval": "x"}], ids=str
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        create(ID, wrong)  # fmt: skip
