"""Structural memory: chunks, triples, facts and summaries of the same past, and three ways to search them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.errors import ParameterError
from mnemic.memory import background
from mnemic.store.contract import iterate
from mnemic.systems.chunked import cut, pieces
from mnemic.systems.registry import create
from mnemic.systems.structural_memory import KINDS
from mnemic.testing import RuleLLM
from mnemic.text.tokens import count_tokens
from systems.worlds import Said, empty, made, pasts, queries, say, seen

START = datetime(2024, 5, 1, 12, tzinfo=UTC)
ID = "structural-memory"
Vectors = Mapping[str, Sequence[float]]


class Fixed:
    """Vectors by text, told by the test; a text with none of them is like nothing."""

    id, dim, is_semantic, max_tokens = "fixed", 16, True, 512

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors

    def embed(self, texts: Sequence[str], kind: Literal["document", "query"] = "document") -> NDArray[np.float32]:
        rows = np.zeros((len(texts), self.dim), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for part, vector in self._vectors.items():
                if part in text:
                    row[: len(vector)] += vector
            row[-1] += 0.0 if row.any() else 1.0
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows


@pytest.fixture(autouse=True)
def _nothing_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background.Background, "wake", lambda *_: None)


@pytest.fixture
def llm() -> Iterator[RuleLLM]:
    with RuleLLM("rules:structural") as made:
        made.rule("facts", {"facts": []})
        made.rule("triples", {"triples": []})
        made.rule("summary", {"summary": ""})
        yield made


def filled(texts: Sequence[str], *, vectors: Vectors | None = None, llm: RuleLLM | None = None, **asked: Any) -> Memory:
    """Each text a session of its own, all of them closed."""
    memory = Memory.open(embedder=Fixed(vectors) if vectors else "hashing", llm=llm, clock=ManualClock(START))
    for at, text in enumerate([*texts, "The end."]):
        memory.add(text, id=f"e{at}", session=f"s{at}", actor="Ann", occurred_at=START - timedelta(days=99 - at))
    memory.attach(ID, **asked)
    assert "error" not in memory.consolidate()[ID]
    return memory


def texts_of(memory: Memory, kind: str) -> list[str]:
    return [one.text for one in memory.records(system=ID) if one.kind == kind]


# -- writing --------------------------------------------------------------------------------------------------


def test_a_chunk_becomes_itself_triples_facts_and_a_summary() -> None:
    with filled(["I live in Oslo. My dog is called Rex."]) as memory:
        assert texts_of(memory, "chunk")[0] == "Ann: I live in Oslo. My dog is called Rex."
        assert "Ann lives in Oslo." in texts_of(memory, "atomic_fact")
        assert "Ann lives in Oslo" in texts_of(memory, "triple")
        assert "Ann lives in Oslo." in texts_of(memory, "summary")[0]


@pytest.mark.parametrize("structure", ["chunks", "triples", "atomic_facts", "summaries"])
def test_a_single_structure_keeps_its_kind_and_the_chunks_behind_it(structure: str) -> None:
    with filled(["I live in Oslo. My dog is called Rex."], structure=structure) as memory:
        assert {one.kind for one in memory.records(system=ID)} == {"chunk", *KINDS[structure]}
        hits = memory.system(ID).search("Oslo").hits
        assert {hit.kind for hit in hits} == set(KINDS[structure])


def test_every_unit_resolves_to_its_chunk_also_where_two_chunks_say_the_same() -> None:
    with filled(["I live in Oslo.", "I live in Oslo."]) as memory:
        records = {one.id: one for one in memory.records(system=ID)}
        for one in records.values():
            chunk = records[one.data["chunk"]]
            assert chunk.kind == "chunk"
            assert set(one.sources) <= set(chunk.sources)
        assert texts_of(memory, "atomic_fact").count("Ann lives in Oslo.") == 2


def test_what_two_speakers_say_is_one_fact_with_the_episodes_of_both() -> None:
    with Memory.open(embedder="hashing", clock=ManualClock(START)) as memory:
        memory.add("I live in Oslo.", id="e0", session="s", actor="Ann")
        memory.add("Ann lives in Oslo.", id="e1", session="s", actor="Bob")
        memory.attach(ID)
        memory.consolidate()
        found = [one for one in memory.records(system=ID) if one.kind in ("atomic_fact", "triple")]
    assert {one.kind: one.sources for one in found} == {"atomic_fact": ("e0", "e1"), "triple": ("e0", "e1")}
    assert len(found) == 2


def test_answers_that_hold_nothing_make_no_units(llm: RuleLLM) -> None:
    llm.rule("facts", {"facts": [{"text": " ", "turns": [1]}, {"text": "of no turn", "turns": [7]}]})
    llm.rule("triples", {"triples": [{"subject": "", "relation": "is", "object": "x", "turns": [1]}]})
    with filled(["I live in Oslo."], llm=llm) as memory:
        assert {one.kind for one in memory.records(system=ID)} == {"chunk", "summary"}


@given(
    texts=st.lists(st.text("abc de. ", min_size=1, max_size=60).filter(str.strip), min_size=1, max_size=8),
    most=st.integers(1, 12),
)
@settings(max_examples=15)
def test_a_chunk_holds_no_more_than_it_may_and_nothing_is_lost(texts: list[str], most: int) -> None:
    with Memory.open(embedder="hashing", clock=ManualClock(START)) as memory:
        memory.add([{"content": text} for text in texts])
        log = list(iterate(memory._shared.store, ""))
    units, tail = cut(log, most)
    assert [one.id for unit in [*units, tail] for one in unit] == [one.id for one in log]
    assert [unit for unit in units if len(unit) > 1 and sum(count_tokens(one.text) for one in unit) > most] == []
    for text in texts:
        assert "".join("".join(pieces(text, most)).split()) == "".join(text.split())


# -- recalling ------------------------------------------------------------------------------------------------

QUESTION = "Where was the director of Casablanca born?"
BRIDGE, ANSWER = "Casablanca was directed by Michael Curtiz.", "Budapest is where Curtiz grew up."
TWO_HOPS: Vectors = {
    "Casablanca": [1, 0, 0],
    "Curtiz": [0, 0, 1],
    "Budapest": [0, 1, 0],
    "wine": [0.4, 0, 0, 1],
    "jazz": [0.4, 0, 0, 0, 1],
}
PAST = [BRIDGE, ANSWER, "A wine bar opened downtown.", "A jazz record was sold."]


def test_what_shares_no_word_with_the_question_is_found_by_iteration_and_not_in_one_step(llm: RuleLLM) -> None:
    llm.rule("thought", {"thought": "It was directed by Curtiz; where was Curtiz born? Budapest?"})
    kept: dict[str, Any] = {"structure": "chunks", "candidates": 2, "vectors": TWO_HOPS, "llm": llm}
    with filled(PAST, **kept) as memory:
        found = [hit.text for hit in memory.system(ID).search(QUESTION, limit=2)]
    with filled(PAST, retrieval="iterative", **kept) as memory:
        iterated = [hit.text for hit in memory.system(ID).search(QUESTION, limit=2)]
    assert [f"Ann: {ANSWER}" in texts for texts in (found, iterated)] == [False, True]
    assert f"Ann: {BRIDGE}" in iterated


def test_without_a_model_the_best_unit_leads_on_to_the_next() -> None:
    kept: dict[str, Any] = {"structure": "chunks", "candidates": 2, "vectors": TWO_HOPS}
    with filled(PAST, retrieval="iterative", **kept) as memory:
        hits = memory.system(ID).search(QUESTION, limit=2).hits
    assert {hit.text for hit in hits} == {f"Ann: {BRIDGE}", f"Ann: {ANSWER}"}


def test_iteration_thinks_once_less_than_it_searches(llm: RuleLLM) -> None:
    llm.rule("thought", lambda asked: {"thought": ["Curtiz", "wine", "jazz", "too late"][len(asked.data["units"]) - 1]})
    options: dict[str, Any] = {"structure": "chunks", "retrieval": "iterative", "each_turn": 1, "search_turns": 4}
    with filled(["Casablanca", "Curtiz Budapest", "wine", "jazz"], vectors=TWO_HOPS, llm=llm, **options) as memory:
        before = llm.calls
        memory.system(ID).search(QUESTION)
        assert llm.calls - before <= 3
        assert all(asked.data["question"] == QUESTION for asked in llm.requests[before:])


def test_a_thought_that_comes_again_ends_the_iteration(llm: RuleLLM) -> None:
    llm.rule("thought", {"thought": "Curtiz"})
    with filled(PAST, vectors=TWO_HOPS, llm=llm, retrieval="iterative", search_turns=9) as memory:
        before = llm.calls
        memory.system(ID).search(QUESTION)
        assert llm.calls - before <= 2


def test_scores_that_are_missing_or_out_of_range_leave_units_where_they_were(llm: RuleLLM) -> None:
    def scores(asked: Any) -> dict[str, Any]:
        numbers = {one["text"]: one["document"] for one in asked.data["documents"]}
        jazz = next(number for text, number in numbers.items() if "jazz" in text)
        wine = next(number for text, number in numbers.items() if "wine" in text)
        return {"scores": [{"document": jazz, "relevance_score": 9}, {"document": wine, "relevance_score": 11}, {"document": 77, "relevance_score": 5}]}  # fmt: skip

    llm.rule("scores", scores)
    kept: dict[str, Any] = {"structure": "chunks", "vectors": TWO_HOPS, "llm": llm}
    with filled(PAST, **kept) as memory:
        plain = [hit.text for hit in memory.system(ID).search(QUESTION)]
    with filled(PAST, retrieval="reranked", **kept) as memory:
        hits = memory.system(ID).search(QUESTION).hits
    assert [hit.text for hit in hits] == plain
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_a_reranker_turns_the_order_round(llm: RuleLLM) -> None:
    llm.rule("scores", lambda asked: {"scores": [{"document": one["document"], "relevance_score": one["document"]} for one in asked.data["documents"]]})  # fmt: skip
    kept: dict[str, Any] = {"structure": "chunks", "vectors": TWO_HOPS, "llm": llm}
    with filled(PAST, **kept) as memory:
        plain = [hit.text for hit in memory.system(ID).search(QUESTION)]
    with filled(PAST, retrieval="reranked", **kept) as memory:
        assert [hit.text for hit in memory.system(ID).search(QUESTION)] == plain[::-1]


def test_a_chunk_is_shown_without_what_was_corrected_in_it() -> None:
    clock = ManualClock(START)
    with Memory.open(embedder="hashing", clock=clock) as memory:
        memory.attach(ID, structure="chunks")
        for at, text in enumerate(["I live in Oslo,\nnear the park.", "I live in Turin.", "The end."]):
            memory.add(text, id=f"e{at}", session=f"s{at // 2}", actor="Ann")
        memory.consolidate()
        then = clock.now()
        clock.advance(timedelta(hours=1))
        memory.update("e0", "I live in Bergen.")
        memory.consolidate()
        now = [hit for hit in memory.system(ID).search("Oslo or Turin") if "Turin" in hit.text]
        past = [hit for hit in memory.system(ID).search("Oslo or Turin", as_of=then) if "Turin" in hit.text]
    assert [(hit.text, hit.sources) for hit in now] == [("Ann: I live in Turin.", ("e1",))]
    assert [hit.text for hit in past] == ["Ann: I live in Oslo,\nnear the park.\nAnn: I live in Turin."]


def test_answering_with_documents_gives_each_chunk_once() -> None:
    with filled(["I live in Oslo. My dog in Oslo is Rex.", "Tea is nice."], answer_with="documents") as memory:
        hits = memory.system(ID).search("Oslo dog Rex").hits
    assert hits[0].text == "Ann: I live in Oslo. My dog in Oslo is Rex."
    assert len({hit.id for hit in hits}) == len(hits)
    assert {hit.kind for hit in hits} == {"chunk"}


def test_with_noise_mixed_memory_loses_less_than_triples_alone(llm: RuleLLM) -> None:
    """A triple keeps who, how and what, and loses where; other documents say the same of other places."""
    people = ["Ann", "Bo", "Cy", "Di", "Ed", "Flo", "Gus", "Hal"]
    gold = [f"{one} keeps bees behind the old mill at {one}ville." for one in people]
    noise = [f"{one} keeps bees, says story number {at}." for at in range(3) for one in people]
    llm.rule("facts", lambda asked: {"facts": [{"text": one["text"], "turns": [1]} for one in asked.data["turns"]]})
    llm.rule("triples", lambda asked: {"triples": [_triple(one["text"]) for one in asked.data["turns"]]})

    def recall(structure: str, past: Sequence[str]) -> float:
        with filled(past, structure=structure, llm=llm) as memory:
            asked = [f"Who keeps bees behind the old mill at {one}ville? Does {one}?" for one in people]
            found = [memory.system(ID).search(query, limit=2).hits for query in asked]
        return sum(any(f"e{at}" in hit.sources for hit in hits) for at, hits in enumerate(found)) / len(people)

    lost = {name: recall(name, gold) - recall(name, [*gold, *noise]) for name in ("mixed", "triples")}
    assert recall("triples", gold) == 1.0
    assert lost["mixed"] < lost["triples"]


def _triple(text: str) -> dict[str, Any]:
    return {"subject": text.split(" ")[0], "relation": "keeps", "object": "bees", "turns": [1]}


@pytest.mark.parametrize("retrieval", ["single", "reranked", "iterative"])
@pytest.mark.parametrize("answer_with", ["units", "documents"])
@given(past=pasts(), later=pasts(0, 4), query=queries)
@settings(max_examples=4)
def test_a_recall_as_of_a_time_is_the_one_that_was_made_then_however_it_searches(
    retrieval: str, answer_with: str, past: list[Said], later: list[Said], query: str
) -> None:
    clock = ManualClock(START)
    with empty(clock) as memory:
        memory.attach(ID, retrieval=retrieval, answer_with=answer_with)
        say(memory, past)
        answer, then = seen(memory.system(ID).search(query, asked_at=START).hits), clock.now()
        clock.advance(timedelta(minutes=1))
        say(memory, [Said(f"later{one.id}", one.text, one.session, one.actor, one.day) for one in later])
        memory.consolidate()
        assert seen(memory.system(ID).search(query, asked_at=START, as_of=then).hits) == answer
        assert made(memory, ID)[1] == []


@pytest.mark.parametrize(
    "wrong",
    [{"structure": "graph"}, {"retrieval": "all"}, {"answer_with": "x"}, {"candidates": 0}, {"chunk_tokens": 0}],
    ids=str,
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        create(ID, wrong)
