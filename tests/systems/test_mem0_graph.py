"""Mem0 with graph memory: edges that are retired, merged and found beside the facts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.systems.mem0_graph import MOST_EDGES, mentions
from mnemic.testing import Asked, RuleLLM

ID = "mem0-graph"


def edges(memory: Memory, *, is_current: bool = True) -> list[str]:
    found = memory.records(system=ID, kind="relation", include_retired=not is_current)
    return sorted(" ".join(one.data["triple"]) for one in found)


def nodes(memory: Memory) -> list[str]:
    return sorted(one.data["name"] for one in memory.records(system=ID, kind="entity"))


def model(retires: Callable[[str, str], bool] = lambda edge, said: False) -> RuleLLM:
    """Turns are "a | b | c": a triple. Edges go where `retires` says so of the edge and the turns' text."""
    llm = RuleLLM("rules:graph")

    def triples(asked: Asked) -> list[tuple[int, list[str]]]:
        return [(one["turn"], one["text"].split(" | ")) for one in asked.data["turns"] if " | " in one["text"]]

    def retired(asked: Asked) -> dict[str, Any]:
        said = " ".join(one["text"] for one in asked.data["turns"])
        return {"ids": [one["id"] for one in asked.data["edges"] if retires(one["edge"], said)] + ["777", "x"]}

    llm.rule("facts", {"facts": []})
    llm.rule(
        "entities",
        lambda asked: {
            "entities": [{"entity": name, "entity_type": "t"} for _, (a, _, b) in triples(asked) for name in (a, b)]
        },
    )
    llm.rule(
        "triples",
        lambda asked: {
            "triples": [{"subject": a, "relation": r, "object": b, "turns": [at]} for at, (a, r, b) in triples(asked)]
        },
    )
    llm.rule("ids", retired)
    return llm


def say(memory: Memory, *texts: str) -> None:
    for text in texts:
        memory.add([{"role": "user", "content": text}, {"role": "assistant", "content": "I see."}])


def test_a_contradicted_edge_is_retired_with_its_time_and_found_as_of_before(
    memory: Memory, clock: ManualClock
) -> None:
    memory.attach(ID, llm=model(lambda edge, said: "paris" in edge and "Rome" in said))
    say(memory, "Alice | lives in | Paris")
    then = clock.now()
    clock.advance(timedelta(days=1))
    say(memory, "Alice | lives in | Rome")
    memory.consolidate()
    assert edges(memory) == ["alice lives_in rome"]
    [paris] = [one for one in memory.records(system=ID, kind="relation") if one.retired_at]
    assert (paris.text, paris.retired_at, paris.valid_to) == ("Alice lives in Paris", clock.now(), clock.now())
    asked = memory.system(ID)
    assert asked.search("Where does Alice live?", limit=1)[0].text == "Alice lives in Rome"
    assert asked.search("Where does Alice live?", limit=1, as_of=then)[0].text == "Alice lives in Paris"


def test_by_rule_a_move_retires_the_home_and_another_liking_retires_nothing(memory: Memory, clock: ManualClock) -> None:
    memory.add(["Alice lives in Paris.", "Alice loves pizza."])
    then = clock.now()
    clock.advance(timedelta(days=1))
    memory.add(["Alice moved to Rome.", "Alice also loves burgers."])
    assert edges(memory) == ["alice also_loves burgers", "alice loves pizza", "alice moved_to rome"]
    hits = memory.system(ID).search("Where does Alice live? Paris", as_of=then)
    assert "Alice lives in Paris" in [hit.text for hit in hits if hit.kind == "relation"]
    hits = memory.system(ID).search("Where does Alice live? Paris")
    assert "Alice lives in Paris" not in [hit.text for hit in hits]


def test_with_a_model_that_sees_no_conflict_both_edges_stay(memory: Memory) -> None:
    memory.attach(ID, llm=model())
    say(memory, "Ann | loves | pizza", "Ann | loves | burgers")
    memory.consolidate()
    assert edges(memory) == ["ann loves burgers", "ann loves pizza"]


def test_an_edge_stated_again_is_counted_and_one_that_holds_again_is_a_new_version(
    memory: Memory, clock: ManualClock
) -> None:
    memory.attach(ID, llm=model(lambda edge, said: edge.startswith("ann") and said.startswith("Ann | hates")))
    say(memory, "Ann | loves | tea", "Ann | loves | tea")
    memory.consolidate()
    [edge] = memory.records(system=ID, kind="relation")
    assert mentions(memory.links(system=ID)) == {edge.id: 2}
    clock.advance(timedelta(days=1))
    say(memory, "Ann | hates | tea")
    clock.advance(timedelta(days=1))
    say(memory, "Ann | loves | tea")
    memory.consolidate()
    assert edges(memory) == ["ann hates tea", "ann loves tea"]
    assert edges(memory, is_current=False) == ["ann hates tea", "ann loves tea", "ann loves tea"]
    assert mentions(memory.links(system=ID), as_of=clock.now() - timedelta(hours=36)) == {edge.id: 2}


def test_of_an_entity_with_very_many_edges_the_model_sees_those_near_to_what_was_said(memory: Memory) -> None:
    llm = model(lambda edge, said: edge == "ann -- lives_in -- paris" and "Rome" in said)
    memory.attach(ID, llm=llm)
    say(memory, "Ann | lives in | Paris")
    films = [hashlib.md5(bytes([at])).hexdigest() for at in range(MOST_EDGES + 40)]
    memory.add([{"role": "assistant", "content": f"Ann | saw | {film}"} for film in films])
    say(memory, "Ann | lives in | Rome")
    memory.consolidate()
    assert "ann lives_in paris" not in edges(memory)
    assert len(edges(memory)) == MOST_EDGES + 41
    shown = [one.data["edges"] for one in llm.requests if one.shows("edges")]
    assert max(map(len, shown)) == MOST_EDGES


class FixedVectors:
    """Names near and far, by hand; anything else points nowhere near them."""

    id = "fixed"
    dim = 8
    is_semantic = True
    max_tokens = 512

    def embed(self, texts: Sequence[str], kind: str = "document") -> np.ndarray[Any, np.dtype[np.float32]]:
        return np.stack([self._vector(text) for text in texts])

    def _vector(self, text: str) -> np.ndarray[Any, np.dtype[np.float32]]:
        likeness = {"New York": 1.0, "Newer York": 0.85, "New York City": 0.95}.get(text)
        vector = np.zeros(self.dim, np.float32)
        if likeness is None:
            vector[2 + len(text) % 6] = 1.0
        else:
            vector[:2] = likeness, (1.0 - likeness**2) ** 0.5
        return vector


def test_nodes_of_one_name_or_nearly_one_are_merged_and_others_are_not(open_memory: Callable[..., Memory]) -> None:
    memory = open_memory(embedder=FixedVectors())
    memory.attach(ID, llm=model())
    say(memory, "Ann | visits | New York", "Bobby | visits | New  York ", "Dana | visits | New York City")
    say(memory, "Cemile | visits | Newer York")
    memory.consolidate()
    assert [name for name in nodes(memory) if "york" in name] == ["new_york", "newer_york"]
    ends = {one.data["triple"][0]: one.data["to"] for one in memory.records(system=ID, kind="relation")}
    assert ends["ann"] == ends["bobby"] == ends["dana"] != ends["cemile"]


def test_facts_stand_beside_the_edges(memory: Memory) -> None:
    memory.add("Alice lives in Paris.")
    kinds = {hit.kind for hit in memory.system(ID).search("Where does Alice live?")}
    assert kinds == {"fact", "relation"}


@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_with_a_model_records_and_links_made_in_pieces_are_those_made_at_once(
    pieces: int, open_memory: Callable[..., Memory]
) -> None:
    texts = ["Ann | loves | tea", "Ann | hates | tea", "Bob | loves | tea", "Ann | loves | tea", "Bob | is | tall"]
    results = []
    for every in (pieces, 99):
        memory = open_memory()
        memory.attach(ID, llm=model(lambda edge, said: edge.startswith("ann") and "hates" in said))
        for at, text in enumerate(texts):
            memory.add(text, id=f"e{at}")
            if at % every == 0:
                memory.consolidate()
        memory.consolidate()
        results.append((list(memory.records(system=ID)), list(memory.links(system=ID))))
    assert results[0] == results[1]


def test_the_five_best_edges_come_with_the_facts_as_if_all_had_been_ranked(
    open_memory: Callable[..., Memory],
) -> None:
    people, towns = ["Ann", "Bob", "Cleo", "Dan", "Eve"], ["Porto", "Rome", "Oslo", "Bern", "Lyon", "Nice"]
    found = []
    for wanted in (5, 1000):
        memory = open_memory()
        memory.attach(ID, edges=wanted)
        memory.add([f"{who} visited {town}." for who in people for town in towns])
        hits = memory.system(ID).search("When did Bob visit Oslo?", limit=100).hits
        found.append([(hit.text, hit.score) for hit in hits if hit.kind == "relation"])
    assert len(found[1]) == 30
    assert found[0] == found[1][:5]
    assert found[0][0][0] == "Bob visited Oslo"
    assert [score for _, score in found[1]] == sorted((score for _, score in found[1]), reverse=True)
