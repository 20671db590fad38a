"""The system "memgas": sessions at four granularities, linked by a mixture, ranked by a walk over the links."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mnemic import Memory, Record
from mnemic.clock import ManualClock
from mnemic.errors import ParameterError
from mnemic.systems.mem_gas import GRANULARITIES, ID, KEYWORD, SESSION, SUMMARY, TURN, unit_ids, verbatim
from mnemic.systems.registry import create
from mnemic.testing import RuleLLM
from systems.worlds import START

TALK = {
    "mon": ["I planted tulips in the garden", "The tulips are red"],
    "tue": ["My violin is out of tune", "The violin teacher comes on Friday"],
    "wed": ["We flew to Porto", "Porto has a wide river"],
    "thu": ["The dog needs a vet", "The vet was kind"],
}


def told(memory: Memory, talk: dict[str, list[str]] = TALK, is_attached: bool = True, **settings: Any) -> Memory:
    for day, (session, texts) in enumerate(talk.items()):
        for turn, text in enumerate(texts):
            memory.add(
                text,
                id=f"{session}{turn}",
                session=session,
                actor=("Ann", "Bo")[turn % 2],
                occurred_at=START - timedelta(days=9 - day, minutes=-turn),
            )
    if is_attached:
        memory.attach(ID, **settings)
        assert "error" not in memory.consolidate()[ID]
    return memory


def records(memory: Memory) -> list[Record]:
    return memory._shared.store.records.records(ID, "")


def sessions(memory: Memory, cue: str, **more: Any) -> list[str]:
    return [hit.sources[0][:-1] for hit in memory.system(ID).search(cue, **more)]


def test_every_session_is_kept_at_four_granularities_with_all_its_turns_as_sources(memory: Memory) -> None:
    made = records(told(memory))
    assert sorted((one.kind, one.sources) for one in made) == sorted(
        (kind, (f"{name}0", f"{name}1")) for kind in GRANULARITIES for name in TALK
    )
    monday = {one.kind: one.text for one in made if one.sources[0] == "mon0"}
    assert monday[SESSION] == "Ann: I planted tulips in the garden\nBo: The tulips are red"
    assert monday[TURN] == "2 turns by Ann, Bo"
    assert "Ann planted tulips in the garden" in monday[SUMMARY]
    assert "tulips" in monday[KEYWORD]


def test_a_session_is_recalled_once_and_in_full(memory: Memory) -> None:
    hits = told(memory).system(ID).search("violin teacher").hits
    assert hits[0].text == "Ann: My violin is out of tune\nBo: The violin teacher comes on Friday"
    assert len({hit.id for hit in hits}) == len(hits)
    assert {hit.kind for hit in hits} == {SESSION}


def test_a_session_that_is_still_open_is_recalled_turn_by_turn_until_it_is_consolidated(memory: Memory) -> None:
    told(memory, is_attached=False)
    memory.attach(ID)
    before = memory.system(ID).search("vet").hits
    assert [(hit.kind, hit.id) for hit in before][:1] == [("episode", "thu0")] or before[0].id == "thu1"
    assert "thu0" not in {source for one in records(memory) for source in one.sources}
    memory.consolidate()
    after = memory.system(ID).search("vet").hits
    assert (after[0].kind, after[0].sources) == (SESSION, ("thu0", "thu1"))
    assert [hit for hit in after if hit.kind == "episode"] == []


def test_what_was_made_for_now_gives_way_when_the_session_goes_on(memory: Memory) -> None:
    told(memory)
    assert {one.sources[0] for one in records(memory) if one.data.get("provisional")} == {"thu0"}
    memory.add(
        "The dog sleeps", id="thu2", session="thu", actor="Ann", occurred_at=START - timedelta(days=6, minutes=-2)
    )
    memory.consolidate()
    assert {one.sources for one in records(memory) if one.data.get("provisional")} == {("thu0", "thu1", "thu2")}


def test_a_session_closes_by_silence_and_by_its_length(memory: Memory) -> None:
    for at in range(5):
        memory.add(f"turn {at}", id=f"e{at}", session="s", occurred_at=START + timedelta(minutes=at if at < 4 else 90))
    memory.attach(ID, max_turns=3)
    memory.consolidate()
    units = {one.sources: one.data.get("provisional", False) for one in records(memory) if one.kind == SESSION}
    assert units == {("e0", "e1", "e2"): False, ("e3",): False, ("e4",): True}


class Words:
    """An axis for each of some words; a text lies between those it has."""

    id = "words"
    dim = 16
    is_semantic = True
    max_tokens = 512
    WORDS = ("tea", "cup", "pot", "car", "road", "sun", "moon", "fish", "boat", "hat", "coat", "sock")

    def embed(self, texts: Sequence[str], kind: str = "document") -> NDArray[np.float32]:
        rows = np.array(
            [[float(text.casefold().count(word)) for word in self.WORDS] + [0.0] * 4 for text in texts], np.float32
        )
        lengths = np.sqrt((rows * rows).sum(1, keepdims=True))
        found: NDArray[np.float32] = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
        return found


LINKED = {  # what the last says is near the first, and has nothing of the question
    "a": ["tea cup pot"],
    "c": ["car road"],
    "d": ["sun moon"],
    "e": ["fish boat"],
    "f": ["hat coat sock"],
    "b": ["cup pot pot"],
}


def test_a_new_unit_is_linked_to_the_older_ones_that_stand_out(open_memory: Callable[..., Memory]) -> None:
    memory = told(open_memory(embedder=Words()), LINKED, first=0)
    of = {one.id: one.sources[0] for one in records(memory)}
    pairs = {(of[link.from_id], of[link.to_id]) for link in memory._shared.store.records.links(ID, "")}
    assert pairs == {("b0", "a0")}


def test_a_session_that_only_links_lead_to_enters_with_the_walk_alone(open_memory: Callable[..., Memory]) -> None:
    def found(**parameters: Any) -> list[str]:
        memory = told(open_memory(embedder=Words()), LINKED, first=0, seeds=4, **parameters)
        return sessions(memory, "tea")

    assert found() == ["a", "b"]
    assert found(follow=0.0) == ["a"]


def test_the_first_sessions_are_not_linked(open_memory: Callable[..., Memory]) -> None:
    memory = told(open_memory(embedder=Words()), LINKED, first=6)
    assert memory._shared.store.records.links(ID, "") == []


def test_as_of_an_earlier_time_is_what_was_closed_then_and_the_turns_of_what_was_open(
    memory: Memory, clock: ManualClock
) -> None:
    for session, texts in TALK.items():
        told(memory, {session: texts}, is_attached=False)
        clock.advance(timedelta(hours=1))
    memory.attach(ID)
    memory.consolidate()
    then = clock.now() - timedelta(hours=2, minutes=30)  # tuesday was told, and was still open
    hits = memory.system(ID).search("tulips violin Porto vet", as_of=then).hits
    assert {(hit.kind, hit.sources) for hit in hits} <= {
        (SESSION, ("mon0", "mon1")),
        ("episode", ("tue0",)),
        ("episode", ("tue1",)),
    }
    assert len(hits) >= 2


def test_what_was_corrected_before_its_session_was_over_is_not_in_it(memory: Memory) -> None:
    memory.add("The violin is in the attic", id="old", session="s")
    memory.add("The piano is out of tune", id="piano", session="s")
    new = memory.update("old", "The violin is in the hall")
    memory.attach(ID)
    for _ in range(2):  # for now, and for good
        memory.consolidate()
        (session,) = [one for one in records(memory) if one.kind == SESSION and "violin" in one.text]
        assert ("attic" in session.text, session.sources) == (False, ("piano", new.id))
        memory.add("Good morning", session="t")


# -- with a model ---------------------------------------------------------------------------------------------


def model(relevant: Any) -> RuleLLM:
    llm = RuleLLM("rules:sessions")
    llm.rule("summary", lambda asked: {"summary": f"about {asked.data['pieces'][0]['text'].split()[-1]}"})
    llm.rule("keywords", {"keywords": ["one; two", "two", " "]})
    llm.rule("relevant", {"relevant": relevant})
    return llm


def test_a_model_writes_summary_and_keywords_two_calls_for_a_session(memory: Memory) -> None:
    llm = model([])
    told(memory, llm=llm)
    assert llm.calls == 2 * len(TALK)
    monday = {one.kind: (one.text, one.data["by"]) for one in records(memory) if one.sources[0] == "mon0"}
    assert (monday[SUMMARY], monday[KEYWORD]) == (("about garden", "llm"), ("one; two", "llm"))


def test_a_model_keeps_of_the_best_sessions_what_bears_on_the_cue_word_for_word(memory: Memory) -> None:
    llm = model(
        [{"session": 1, "parts": ["The violin  teacher comes", "She plays well"]}, {"session": 9, "parts": ["x"]}]
    )
    told(memory, llm=llm)
    hits = memory.system(ID).search("violin teacher").hits
    assert hits[0].text == "The violin teacher comes"
    assert hits[0].sources == ("tue0", "tue1")
    assert all("\n" in hit.text for hit in hits[1:])


def test_nothing_usable_from_the_filter_leaves_the_sessions_whole(memory: Memory) -> None:
    told(memory, llm=model([{"session": 1, "parts": ["never said"]}]))
    assert memory.system(ID).search("violin teacher").hits[0].text.startswith("Ann: My violin")


def test_with_no_filter_a_recall_asks_nothing(memory: Memory) -> None:
    llm = model([])
    told(memory, llm=llm, filtered=0)
    before = llm.calls
    memory.system(ID).search("violin teacher")
    assert llm.calls == before


def test_verbatim_parts_come_in_the_order_of_the_text() -> None:
    assert verbatim("one two\nthree four", ["three  four", "two three", "five", ""]) == "two\nthree\nthree four"


def test_the_units_of_a_session_have_ids_of_their_own() -> None:
    assert len(set(unit_ids("e0").values()) | set(unit_ids("e1").values())) == 8


@pytest.mark.parametrize(
    "wrong", [{"candidates": 1}, {"follow": 1.0}, {"temperature": 0}, {"formula": "bits"}, {"gap_minutes": 0}], ids=str
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        create(ID, wrong)
