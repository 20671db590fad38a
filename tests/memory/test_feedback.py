"""Feedback: it speaks of what is there, or is refused before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mnemic import Memory
from mnemic.errors import EpisodeNotFound
from mnemic.systems.registry import SYSTEMS
from systems.digest import FOR_TESTS
from systems.story import STORY
from systems.worlds import empty, say

Open = Callable[..., Memory]


@pytest.fixture(autouse=True)
def _digest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SYSTEMS, "digest", FOR_TESTS["digest"])


def test_an_episode_and_a_record_can_be_judged_also_one_that_was_corrected_or_retired(memory: Memory) -> None:
    memory.add("I live in Porto.", id="porto", session="mon")
    memory.update("porto", "I live in Rome.", new_id="rome")
    (record,) = memory.attach("digest").search("Rome").hits
    assert memory.feedback(["porto", "rome", record.id], "helpful").metadata["feedback"]["ids"] == [
        "porto",
        "rome",
        record.id,
    ]


@pytest.mark.parametrize("named", ["nothing", ["tea", "nothing"]], ids=["alone", "among others"])
def test_an_id_that_names_nothing_is_refused_and_nothing_is_written(memory: Memory, named: Any) -> None:
    memory.add("tea", id="tea")
    with pytest.raises(EpisodeNotFound, match=r"neither an episode nor a record.*Nothing was written.*search again"):
        memory.feedback(named, "helpful")
    assert len(memory.list()) == 1


def test_what_another_scope_remembers_cannot_be_judged_in_this_one(memory: Memory) -> None:
    memory.scope("ann").add("tea", id="tea")
    with pytest.raises(EpisodeNotFound, match="the scope 'bo'"):
        memory.scope("bo").feedback("tea", "used")
    (hit,) = memory.search("tea", include_children=True).hits
    memory.scope(hit.scope).feedback(hit.id, "used")  # the remedy that the error names


def test_feedback_that_is_added_as_a_message_is_checked_as_well(memory: Memory) -> None:
    def said_of(id: str) -> dict[str, Any]:
        return {"role": "feedback", "content": "used", "metadata": {"feedback": {"ids": [id], "verdict": "used"}}}

    memory.add([{"content": "tea", "id": "tea"}, said_of("tea")])
    with pytest.raises(EpisodeNotFound):
        memory.add([{"content": "coffee"}, said_of("nothing")])
    assert len(memory.list()) == 2


def test_a_retry_is_harmless_also_when_what_it_judged_was_made_anew_since(memory: Memory) -> None:
    memory.add("tea", session="mon")
    (hit,) = memory.attach("digest").search("tea").hits
    told = memory.feedback(hit.id, "used", id="told")
    memory.detach("digest")
    assert memory.feedback(hit.id, "used", id="told", occurred_at=told.occurred_at) == told
    with pytest.raises(EpisodeNotFound):
        memory.feedback(hit.id, "used")


def test_a_log_is_imported_with_its_feedback_though_records_have_other_ids_here(
    open_memory: Open, tmp_path: Any
) -> None:
    memory, other = open_memory(), open_memory()
    memory.add("tea", session="mon")
    memory.feedback(memory.attach("digest").search("tea")[0].id, "used")
    memory.export(tmp_path / "log.jsonl")
    assert other.import_(tmp_path / "log.jsonl").added == 2


@pytest.mark.parametrize("system", sorted(SYSTEMS))
def test_whatever_a_system_recalls_can_be_judged_by_the_id_of_its_hit(system: str) -> None:
    with empty() as memory:
        say(memory, STORY)
        asked = memory.attach(system)
        memory.consolidate()
        hits = [
            hit for query in ("Where does Bob live?", "violin", "When is the flight?") for hit in asked.search(query)
        ]
        assert hits or system == "documents"
        if hits:
            memory.feedback([hit.id for hit in hits], "used")
