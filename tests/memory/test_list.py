"""Reading without searching: by id, page by page, in the shape of other libraries."""

from __future__ import annotations

from typing import Any

import pytest

from mnemic import Memory
from mnemic.errors import EpisodeNotFound, InvalidFilter, ParameterError


def test_pages_joined_are_the_log_in_both_directions(memory: Memory) -> None:
    memory.add([f"tea {at}" for at in range(25)])
    memory.scope("other").add("coffee")
    whole = memory.list(limit=100)
    for newest_first in (False, True):
        joined: list[Any] = []
        while page := memory.list(limit=7, after=joined[-1].seq if joined else 0, newest_first=newest_first):
            joined += page
        assert joined == (whole[::-1] if newest_first else whole)


def test_pages_of_a_filtered_list_joined_are_the_filtered_log(memory: Memory) -> None:
    memory.add([{"content": f"tea {at}", "metadata": {"n": at % 5}, "session": "ab"[at % 2]} for at in range(60)])
    expected = [one for one in memory.list(limit=100) if one.metadata["n"] < 2 and one.session == "a"]
    joined: list[Any] = []
    while page := memory.list(limit=3, after=joined[-1].seq if joined else 0, filters={"n": {"lt": 2}}, session="a"):
        joined += page
    assert joined == expected


def test_get_finds_an_episode_in_its_scope_only(memory: Memory) -> None:
    added = memory.add("tea", user_id="alice")
    assert memory.get(added.id, user_id="alice") == added[0]
    with pytest.raises(EpisodeNotFound, match=r"No episode .* in the scope ''"):
        memory.get(added.id)


@pytest.mark.parametrize("id", ["nothing", "", "\ud800", "%", None, 5, ["a"]], ids=ascii)
def test_an_id_that_names_nothing_is_not_found_by_any_verb(memory: Memory, id: Any) -> None:
    memory.add("tea", id="5")
    for verb in (memory.get, memory.history, memory.update):
        with pytest.raises(EpisodeNotFound):
            verb(id)


def test_get_all_gives_the_newest_first_as_results(memory: Memory) -> None:
    memory.add(["a", "b", "c"], user_id="alice")
    assert [one["memory"] for one in memory.get_all(limit=2, user_id="alice")["results"]] == ["c", "b"]
    assert memory.get_all(user_id="bob") == {"results": []}


@pytest.mark.parametrize("limit", [0, -3])
def test_a_page_of_nothing_is_refused(memory: Memory, limit: int) -> None:
    with pytest.raises(ParameterError, match="at least 1"):
        memory.list(limit=limit)


def test_a_malformed_filter_is_refused(memory: Memory) -> None:
    with pytest.raises(InvalidFilter):
        memory.list(filters={"k": {"in": "abc"}})


def test_get_all_shows_what_is_remembered_now_without_echoes_and_corrected_texts(memory: Memory) -> None:
    first = memory.add("The dentist is on the 14th.").id
    memory.add(str(memory.context("dentist")), role="assistant")
    memory.update(first, "The dentist is on the 16th.")
    assert [one["memory"] for one in memory.get_all()["results"]] == ["The dentist is on the 16th."]
    assert len(memory.list()) == 3


def test_get_all_shows_no_corrected_text_whose_correction_the_filter_hides(memory: Memory) -> None:
    first = memory.add("The dentist is on the 14th.", metadata={"topic": "health"}).id
    memory.update(first, "The dentist is on the 16th.", metadata={"topic": "done"})
    assert memory.get_all(filters={"topic": "health"})["results"] == []
