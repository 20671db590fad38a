"""A-MEM: notes are linked and rewritten, the index is rebuilt now and then, and what a note was stays readable."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mnemic import Memory, Record
from mnemic.clock import ManualClock
from mnemic.errors import ParameterError
from mnemic.ops.attributes import Attributes
from mnemic.systems.a_mem import Params
from mnemic.systems.a_mem_notes import history, reindex, rendered, version_at
from mnemic.systems.draft import Draft
from mnemic.testing import Asked, RuleLLM
from systems.word_axes import WordAxes

ABOUT = {"keywords": ["word"], "tags": ["things"], "context": "Somebody said something."}
NOTHING: dict[str, Any] = {"should_evolve": False, "actions": []}
Open = Callable[..., Memory]


def scripted(evolve: Any) -> RuleLLM:
    llm = RuleLLM("rules:a-mem")
    llm.rule("keywords", ABOUT)
    llm.rule("should_evolve", evolve)
    return llm


def number_of(asked: Asked, word: str) -> str:
    """The number under which the neighbour with a word is shown."""
    return str(next(one["id"] for one in asked.data["neighbours"] if word in one["content"]))


def boxed(open_memory: Open, evolve: Any, texts: list[str], **parameters: Any) -> Memory:
    axes = WordAxes("alpha beta gamma delta epsilon zeta omega")
    memory = open_memory(embedder=axes, llm=scripted(evolve))
    memory.add(texts, session="mon")
    memory.attach("a-mem", **parameters)
    assert "error" not in memory.consolidate()["a-mem"]
    return memory


def linking(asked: Asked) -> dict[str, Any]:
    if "gamma" not in asked.data["note"]["content"]:
        return NOTHING
    return {"should_evolve": True, "actions": ["strengthen"], "suggested_connections": [number_of(asked, "alpha")]}


@pytest.mark.parametrize(("follow", "found"), [(True, ["about gamma", "about alpha"]), (False, ["about gamma"])])
def test_a_recalled_note_brings_the_one_it_is_linked_to_unless_links_are_off(
    open_memory: Open, follow: bool, found: list[str]
) -> None:
    memory = boxed(open_memory, linking, ["about alpha", "about beta", "about gamma"], follow_links=follow)
    hits = memory.system("a-mem").search("gamma", threshold=0.3).hits
    assert [hit.record and hit.record.data["content"] for hit in hits] == found
    if follow:
        assert [reason.signal for reason in hits[1].reasons] == ["link"]


def test_links_are_followed_from_either_end(open_memory: Open) -> None:
    memory = boxed(open_memory, linking, ["about alpha", "about beta", "about gamma"])
    hits = memory.system("a-mem").search("alpha", threshold=0.3).hits
    assert [hit.record and hit.record.data["content"] for hit in hits] == ["about alpha", "about gamma"]


def test_one_note_with_many_links_leaves_room_for_those_of_another(open_memory: Open) -> None:
    def to_all(asked: Asked) -> dict[str, Any]:
        numbers = [one["id"] for one in asked.data["neighbours"]]
        return {"should_evolve": True, "actions": ["strengthen"], "suggested_connections": numbers}

    texts = ["alpha", "beta", "delta", "epsilon", "gamma gamma"]
    memory = boxed(open_memory, to_all, texts, through_each=2)
    hits = memory.system("a-mem").search("gamma", threshold=0.3).hits
    assert len([hit for hit in hits if hit.reasons[0].signal == "link"]) == 2


def rewriting(asked: Asked) -> dict[str, Any]:
    """The note about gamma gives the one about alpha a context about omega."""
    if "gamma" not in asked.data["note"]["content"]:
        return NOTHING
    contexts = ["about omega" if "alpha" in one["content"] else one["context"] for one in asked.data["neighbours"]]
    return {"should_evolve": True, "actions": ["update_neighbor"], "new_context_neighborhood": contexts}


def of_omega(memory: Memory) -> list[str]:
    hits = memory.system("a-mem").search("omega", threshold=0.3).hits
    return [hit.record.data["content"] for hit in hits if hit.record]


def test_a_rewritten_note_is_found_by_its_new_context_only_once_the_notes_are_indexed_again(open_memory: Open) -> None:
    memory = boxed(open_memory, rewriting, ["about alpha", "about beta", "about gamma"], evolution_threshold=2)
    assert of_omega(memory) == []
    (alpha,) = [one for one in current(memory) if one.data["content"] == "about alpha"]
    assert (alpha.data["context"], alpha.data["is_stale"]) == ("about omega", True)
    memory.add("more gamma", session="mon")  # changes nothing: the context is omega already, so nothing is counted
    memory.consolidate()
    assert of_omega(memory) == []
    again = boxed(open_memory, rewriting, ["about alpha", "about beta", "about gamma"], evolution_threshold=1)
    assert of_omega(again) == ["about alpha"]
    assert [one.data.get("is_stale") for one in current(again)] == [None, None, None]


def test_indexing_again_a_second_time_changes_nothing(open_memory: Open) -> None:
    memory = boxed(open_memory, rewriting, ["about alpha", "about beta", "about gamma"], evolution_threshold=1)
    view = memory._shared.observing_view("", "a-mem", None)
    draft: Draft = view.draft()
    assert reindex(draft, current(memory)[-1]) == []
    assert not draft.changes()


def test_neighbours_for_whom_nothing_was_answered_keep_what_they_have(open_memory: Open) -> None:
    def short(asked: Asked) -> dict[str, Any]:
        n = len(asked.data["neighbours"])
        if n < 5:
            return NOTHING
        lists = {
            "new_context_neighborhood": ["new"] * (n - 2),
            "new_tags_neighborhood": [["fresh"]] * (n - 2),
        }
        return {"should_evolve": True, "actions": ["update_neighbor"], **lists}

    memory = boxed(open_memory, short, ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"])
    fields = sorted((one.data["context"], tuple(one.data["tags"])) for one in current(memory))
    old, new = ("Somebody said something.", ("things",)), ("new", ("fresh",))
    assert fields == [old, old, old, new, new, new]  # the other two, and the new note itself


def test_what_a_note_was_can_be_read_back_and_is_what_was_known_then(open_memory: Open, clock: ManualClock) -> None:
    axes = WordAxes("alpha beta gamma omega")
    memory = open_memory(embedder=axes, llm=scripted(rewriting))
    memory.attach("a-mem")
    alpha = memory.add("about alpha").episodes[0]
    memory.consolidate()
    then = clock.now()
    clock.advance(timedelta(days=1))
    gamma = memory.add("about gamma").episodes[0]
    memory.consolidate()
    made = memory._shared.observing_view("", "a-mem", None).made
    key = next(one.data["key"] for one in memory.records(system="a-mem") if one.sources == (alpha.id,))
    assert [one.data["context"] for one in history(key, made)] == ["Somebody said something.", "about omega"]
    assert [one.retired_at for one in history(key, made)] == [clock.now(), None]
    assert history(key, made)[1].sources == (alpha.id, gamma.id)
    before = version_at(key, made, then)
    assert before is not None
    assert before.data["context"] == "Somebody said something."
    (hit,) = memory.system("a-mem").search("alpha", as_of=then).hits
    assert hit.record is not None
    assert (hit.record.data["context"], hit.record.retired_at) == ("Somebody said something.", None)


def test_what_went_from_context_to_context_is_gone_with_the_turn_that_it_came_from(
    open_memory: Open, tmp_path: Path
) -> None:
    def spreading(asked: Asked) -> dict[str, Any]:
        if "zanzibar" not in str(asked.data):
            return NOTHING
        contexts = ["about zanzibar"] * len(asked.data["neighbours"])
        return {"should_evolve": True, "actions": ["update_neighbor"], "new_context_neighborhood": contexts}

    axes = WordAxes("alpha beta gamma delta")
    with open_memory(tmp_path / "memory.db", embedder=axes, llm=scripted(spreading)) as memory:
        memory.attach("a-mem", neighbours=2)
        first, _ = memory.add(["alpha", "beta"]).episodes
        gone = memory.add("zanzibar alpha").episodes[0]
        memory.add(["alpha beta", "beta", "gamma", "beta gamma", "gamma", "delta", "gamma delta", "delta", "delta"])
        memory.consolidate()
        far = [one for one in current(memory) if "zanzibar" in one.data["context"] and gone.id not in one.sources]
        assert far  # their sources name the turns of the notes that were shown, which in turn name it
        memory.forget(gone.id)
        memory.consolidate()
        assert memory.find_traces("zanzibar") == []
        assert first.id in {one.data["episode"] for one in current(memory)}


@pytest.mark.parametrize(
    "answer",
    [
        {"should_evolve": True, "actions": ["strengthen"], "suggested_connections": ["99", "x", "-1"]},
        {"should_evolve": True, "actions": ["burn"], "suggested_connections": ["0"]},
        {"should_evolve": False, "actions": ["strengthen"], "suggested_connections": ["0"]},
        {"should_evolve": True, "actions": ["update_neighbor"], "new_context_neighborhood": ["", " "]},
        {"should_evolve": True, "actions": ["strengthen", "update_neighbor"], "tags_to_update": ["", "!"]},
    ],
    ids=["numbers that there are not", "another action", "told not to", "empty contexts", "empty tags"],
)
def test_an_answer_that_means_nothing_changes_nothing(open_memory: Open, answer: dict[str, Any]) -> None:
    memory = boxed(open_memory, answer, ["alpha", "beta"])
    still = boxed(open_memory, NOTHING, ["alpha", "beta"])
    assert [(one.text, one.data["version"]) for one in current(memory)] == [
        (one.text, one.data["version"]) for one in current(still)
    ]
    assert memory._shared.store.records.links("a-mem", "") == []


def test_new_tags_make_the_new_note_anew_and_name_what_the_model_was_shown(open_memory: Open) -> None:
    answer = {"should_evolve": True, "actions": ["strengthen"], "tags_to_update": ["Travel", "travel"]}
    memory = boxed(open_memory, answer, ["alpha", "beta"])
    first, second = current(memory)
    assert (first.data["tags"], second.data["tags"]) == (["things"], ["travel"])
    assert set(second.sources) == {second.data["episode"], *first.sources}


def test_a_filter_that_only_a_later_turn_passes_does_not_bring_the_note_that_it_rewrote(open_memory: Open) -> None:
    memory = boxed(open_memory, rewriting, ["about alpha"])
    memory.add("about gamma", session="tue")
    memory.consolidate()
    hits = memory.system("a-mem").search("alpha", session="tue").hits
    assert [hit.record and hit.record.data["content"] for hit in hits] == ["about gamma"]


def test_without_a_model_notes_that_are_alike_and_share_a_word_are_linked_and_none_is_rewritten(
    memory: Memory,
) -> None:
    memory.add(["The pottery class starts in March", "I left the pottery class in March", "Rain fell on Porto"])
    memory.attach("a-mem", link_floor=0.3)
    memory.consolidate()
    (link,) = memory._shared.store.records.links("a-mem", "")
    by_key = {one.data["key"]: one.data["content"] for one in memory.records(system="a-mem")}
    assert sorted((by_key[link.from_id], by_key[link.to_id])) == [
        "I left the pottery class in March",
        "The pottery class starts in March",
    ]
    assert {one.data["version"] for one in memory.records(system="a-mem")} == {0}
    assert memory.system("a-mem").search("pottery").path == "offline"


def test_keywords_of_a_question_are_looked_up_instead_where_they_are_asked_for(open_memory: Open) -> None:
    axes = WordAxes("alpha beta")
    llm = RuleLLM("rules:keywords")
    llm.rule("keywords", lambda asked: {"keywords": ["beta"]} if asked.shows("question") else ABOUT)
    llm.rule("should_evolve", NOTHING)
    memory = open_memory(embedder=axes, llm=llm)
    memory.add(["alpha", "beta"])
    memory.attach("a-mem", ask_keywords=True)
    memory.consolidate()
    assert memory.system("a-mem").search("what of alpha?").hits[0].text.startswith("beta")


def test_a_note_is_rendered_with_what_a_model_wrote_of_it(open_memory: Open) -> None:
    memory = boxed(open_memory, NOTHING, ["alpha"])
    assert current(memory)[0].text == "alpha\nContext: Somebody said something.\nKeywords: word\nTags: things"
    assert rendered("alpha", Attributes(("word",))) == "alpha"


@pytest.mark.parametrize(
    "wrong", [{"neighbours": 0}, {"evolution_threshold": 0}, {"link_share": 2.0}, {"link_floor": -2.0}], ids=str
)
def test_parameters_out_of_their_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        Params(**wrong)


def current(memory: Memory) -> list[Record]:
    """The notes as they stand, in the order in which their turns were heard."""
    order = [one.id for one in memory.list()]
    return sorted(
        memory.records(system="a-mem", include_retired=False), key=lambda one: order.index(one.data["episode"])
    )
