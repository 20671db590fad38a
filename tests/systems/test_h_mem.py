"""The system "h-mem": four layers, searched from the top down, and weights that feedback changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mnemic import Memory, Record
from mnemic.clock import ManualClock
from mnemic.errors import ParameterError
from mnemic.systems.h_mem import Params, chosen
from mnemic.systems.h_mem_filing import CHILD, EPISODE, ID, LAYERS, ROOT, FiledAnswer, filed
from mnemic.systems.registry import create
from mnemic.testing import RuleLLM
from systems.worlds import START

TALK = [
    ("Ann", "I run a marathon in June"),
    ("Bob", "My doctor says that my knee is fine"),
    ("Ann", "We baked a cake for dinner"),
    ("Bob", "I love running by the river"),
]


def told(memory: Memory, talk: Sequence[tuple[str, str]] = TALK, **settings: Any) -> Memory:
    for at, (who, text) in enumerate(talk):
        memory.add(text, id=f"e{at}", actor=who, occurred_at=START - timedelta(days=1))
    memory.attach(ID, **settings)
    assert "error" not in memory.consolidate()[ID]
    return memory


def links(memory: Memory) -> list[tuple[str, str]]:
    return [(one.from_id, one.to_id) for one in memory._shared.store.records.links(ID, "") if one.kind == CHILD]


def records(memory: Memory) -> dict[str, Record]:
    return {one.id: one for one in memory._shared.store.records.records(ID, "")}


# -- the layers -----------------------------------------------------------------------------------------------


def check_pointers(memory: Memory) -> None:
    """Every entry but the domains has one parent, one layer up, and every entry but the episodes a child."""
    made, pairs = records(memory), links(memory)
    assert {child for _, child in pairs} == set(made)
    for parent, child in pairs:
        assert made[child].data.get("parent", ROOT) == parent
        layer = LAYERS.index(made[child].kind)
        assert parent == ROOT if layer == 0 else made[parent].kind == LAYERS[layer - 1]
    assert len(pairs) == len(made)
    assert {one.id for one in made.values() if one.kind != EPISODE} == {parent for parent, _ in pairs} - {ROOT}


def test_parents_and_children_name_each_other(memory: Memory) -> None:
    check_pointers(told(memory))


def test_a_forgotten_episode_leaves_no_pointer_and_no_empty_entry(memory: Memory) -> None:
    told(memory)
    memory.forget("e2")
    memory.consolidate()
    check_pointers(memory)
    assert "food" not in {one.text for one in records(memory).values()}
    assert [one.sources for one in records(memory).values() if one.kind == EPISODE and "cake" in one.text] == []


def test_offline_an_episode_is_filed_by_its_topics_and_keywords(memory: Memory) -> None:
    made = records(told(memory))
    hits = memory.system(ID).search("cake for dinner", limit=1).hits
    assert (hits[0].text, hits[0].reasons[0].note) == (
        "Ann: We baked a cake for dinner",
        "food › cake, dinner › cake, dinner, baked",
    )
    assert {one.data["by"] for one in made.values()} == {"offline"}
    assert [one.data["profile"] for one in made.values() if "profile" in one.data] == ["Bob loves running by the river"]


class Axes:
    """A text of words "a0 b1 …": one axis for each word, the first ones counting most."""

    id = "axes"
    dim = 64
    is_semantic = True
    max_tokens = 512

    def embed(self, texts: Sequence[str], kind: str = "document") -> NDArray[np.float32]:
        return np.stack([self._one(text) for text in texts])

    def _one(self, text: str) -> NDArray[np.float32]:
        vector = np.zeros(self.dim, np.float32)
        for word in text.replace(",", " ").split():
            if len(word) == 2 and word[0] in "abcde" and word[1].isdigit():
                vector["abcde".index(word[0]) * 10 + int(word[1])] = 1.0
            elif word == "odd":
                vector[60] = 3.0
        length = float(np.sqrt((vector * vector).sum()))
        return vector / np.float32(length) if length else vector


@pytest.mark.parametrize(
    ("children", "founded"),
    [(100, {"domain": 2, "category": 3, "trace": 4}), (1, {"domain": 1, "category": 1, "trace": 1})],
)
def test_without_a_model_alike_lies_together_and_an_entry_has_only_so_many_below_it(
    children: int, founded: dict[str, int], open_memory: Callable[..., Memory]
) -> None:
    memory = open_memory(embedder=Axes())
    memory.add(["a1 b1 c1", "a1 b1 c2", "a1 d2 d3", "e1"])  # cosines of the first with the others: 2/3, 1/3, 0
    memory.attach(ID, like_domain=0.3, like_category=0.5, like_trace=0.9, children=children)
    memory.consolidate()
    check_pointers(memory)
    assert Counter(one.kind for one in records(memory).values()) == {**founded, "episode": 4}
    assert memory.system(ID).search("a1 b1 c2", limit=1)[0].text == "user: a1 b1 c2"


def test_without_a_model_recall_looks_at_a_part_of_the_episodes_and_finds_what_was_planted(memory: Memory) -> None:
    verbs, things, towns = "paint sell mend lose", "boat fence door piano lamp", "Oslo Porto Turin Cork Graz Lyon Bath"
    talk = [
        ("Ann", f"we {verb} a {thing} near {town} {at}")
        for verb in verbs.split()
        for thing in things.split()
        for at, town in enumerate(towns.split() * 2)
    ]
    told(memory, talk)
    view = memory._shared.view_of("", ID)
    for who, text in talk[::7]:
        assert memory.system(ID).search(text, limit=1)[0].text == f"{who}: {text}"
        vector = view.made.vector(memory.system(ID).search(text, limit=1)[0].id)
        assert vector is not None
        assert chosen(view.made, vector, Params(k=1)).compared < len(talk)


def planted() -> RuleLLM:
    """A text "a1 b2 c3 d4" is filed under a1, then a1 b2, then a1 b2 c3."""
    llm = RuleLLM("rules:planted")

    def answer(asked: Any) -> dict[str, Any]:
        words = asked.data["turns"][0]["text"].split()
        return {
            "domain": words[0],
            "category": " ".join(words[:2]),
            "memory_trace": [" ".join(words[:3])],
            "episode": " ".join(words),
        }

    llm.rule("domain", answer)
    return llm


def test_recall_scores_the_children_of_what_it_chose_and_nothing_else(open_memory: Callable[..., Memory]) -> None:
    llm = planted()
    memory = open_memory(embedder=Axes(), llm=llm)
    memory.add([f"a{a} b{b} c{c} d{d}" for a in range(5) for b in range(5) for c in range(5) for d in range(5)])
    memory.attach(ID, llm=llm, k=2)
    memory.consolidate()
    hits = memory.system(ID).search("a3 b1 c4 d2", limit=1).hits
    assert [hit.text for hit in hits] == ["a3 b1 c4 d2"]
    made, vector = memory._shared.view_of("", ID).made, Axes().embed(["a3 b1 c4 d2"])[0]
    free, capped = chosen(made, vector, Params(k=2)), chosen(made, vector, Params(k=2, most=2))
    assert free.compared == 5 + 2 * 5 + 4 * 5 + 8 * 5
    assert capped.compared == 5 + 2 * 5 + 2 * 5 + 2 * 5


def test_what_lies_under_a_domain_that_is_not_chosen_is_out_of_reach_but_for_the_fallback(
    open_memory: Callable[..., Memory],
) -> None:
    def answered(**parameters: Any) -> list[str]:
        llm = planted()
        memory = open_memory(embedder=Axes(), llm=llm)
        memory.add(["a0 b0 c0 e1 odd", "a1 b0 c0 d0"])
        memory.attach(ID, llm=llm, k=1, **parameters)
        memory.consolidate()
        return [hit.text for hit in memory.system(ID).search("a1 e1 odd")]

    assert answered() == ["a1 b0 c0 d0"]
    assert answered(fallback=True) == ["a0 b0 c0 e1 odd", "a1 b0 c0 d0"]


def test_a_label_of_the_same_meaning_or_words_under_one_parent_is_one_entry(open_memory: Callable[..., Memory]) -> None:
    llm = RuleLLM("rules:drift")
    domains = {"one": "a1 a2 a3 a4", "two": "A1 a2 A3 a4", "three": "a1 a2 a3 a4 a5", "four": "b1"}
    llm.rule(
        "domain",
        lambda asked: {
            "domain": domains[asked.data["turns"][0]["text"]],
            "category": "c1",
            "memory_trace": ["d1"],
            "episode": "",
        },
    )
    memory = open_memory(embedder=Axes(), llm=llm)
    memory.add(list(domains))
    memory.attach(ID, llm=llm)
    memory.consolidate()
    made = records(memory).values()
    assert sorted(one.text for one in made if one.kind == "domain") == ["a1 a2 a3 a4", "b1"]
    assert sorted(one.text for one in made if one.kind == "category") == ["c1", "c1"]
    assert {one.data["by"] for one in made} == {"llm"}


@pytest.mark.parametrize(
    "answer",
    [FiledAnswer(), FiledAnswer("health", "", ["knee"], "x"), FiledAnswer("health", "knee", [" ", ""], "x")],
    ids=["nothing", "no category", "no keywords"],
)
def test_an_answer_without_labels_is_filed_by_rule(answer: FiledAnswer, memory: Memory) -> None:
    memory.add("My doctor says that my knee is fine", id="e0", actor="Bob")
    episode = memory.get("e0")
    assert episode is not None
    assert filed(episode, answer) == filed(episode, None)


def test_a_model_s_profile_and_time_are_kept_and_a_time_that_is_none_is_not(memory: Memory) -> None:
    memory.add("I run", id="e0", actor="Bob")
    episode = memory.get("e0")
    assert episode is not None
    good = filed(episode, FiledAnswer("sport", "running", ["run"], "Bob runs.", "Bob likes sport.", "2024-05-01"))
    assert dict(good.data) == {"by": "llm", "profile": "Bob likes sport.", "when": "2024-05-01T00:00:00"}
    assert "when" not in filed(episode, FiledAnswer("sport", "running", ["run"], "", "", "soon")).data


# -- weights --------------------------------------------------------------------------------------------------


def scores(memory: Memory, **more: Any) -> dict[str, float]:
    return {hit.sources[0]: hit.score for hit in memory.system(ID).search("tea in the garden", **more)}


def twins(memory: Memory) -> Memory:
    return told(memory, [("Ann", "tea in the garden"), ("Bob", "tea in the garden, yes")])


def test_approval_raises_and_objection_lowers_a_memory(memory: Memory) -> None:
    twins(memory)
    before = scores(memory)
    assert before["e0"] > before["e1"]
    hits = {hit.sources[0]: hit.id for hit in memory.system(ID).search("tea in the garden")}
    memory.feedback(hits["e1"], "helpful")
    memory.feedback(hits["e0"], "unhelpful")
    after = scores(memory)
    assert after["e1"] > before["e1"]
    assert after["e0"] < before["e0"]
    assert list(after) == ["e1", "e0"]


def test_feedback_on_an_episode_counts_for_its_memory(memory: Memory) -> None:
    before = scores(twins(memory))
    memory.feedback("e1", "helpful")
    assert scores(memory)["e1"] > before["e1"]


def test_without_reactions_a_memory_decays_with_time_and_use_starts_it_anew(memory: Memory) -> None:
    twins(memory)
    now, later = scores(memory, asked_at=START), scores(memory, asked_at=START + timedelta(days=500))
    assert later["e0"] < now["e0"]
    memory.feedback("e0", "used", occurred_at=START + timedelta(days=499))
    assert later["e0"] < scores(memory, asked_at=START + timedelta(days=500))["e0"] < now["e0"] + 1e-9


def test_an_objection_with_the_right_answer_puts_it_beside_what_was_wrong(memory: Memory) -> None:
    twins(memory)
    memory.feedback("e0", "wrong", note="The tea in the garden was coffee", id="said")
    hits = memory.system(ID).search("tea in the garden").hits
    corrected = next(hit.record for hit in hits if hit.record and "coffee" in hit.text)
    assert set(corrected.sources) == {"e0", "said"}
    assert records(memory)[corrected.data["corrects"]].sources[0] == "e0"
    assert corrected.data["parent"] == records(memory)[corrected.data["corrects"]].data["parent"]
    check_pointers(memory)


def test_as_of_a_time_before_the_reaction_the_memory_is_as_it_was(memory: Memory, clock: ManualClock) -> None:
    twins(memory)
    then, before = clock.now(), memory.system(ID).search("tea in the garden", asked_at=START).hits
    clock.advance(timedelta(hours=1))
    memory.feedback("e0", "wrong", note="It was coffee")
    memory.consolidate()
    assert memory.system(ID).search("tea in the garden", asked_at=START, as_of=then).hits == before


def test_forgetting_a_reaction_takes_its_weight_away(memory: Memory) -> None:
    before = scores(twins(memory))
    memory.feedback("e0", "unhelpful", id="said")
    memory.consolidate()
    memory.forget("said")
    assert scores(memory) == before


@pytest.mark.parametrize("wrong", [{"k": 0}, {"most": 0}, {"same": -1}, {"start": 2.0}, {"stability_days": 0}], ids=str)
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        create(ID, wrong)
