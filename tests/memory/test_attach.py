"""Attaching systems: parameters, answers, starting anew, detaching, consolidating."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnemic import Memory
from mnemic.errors import ParameterError, SystemNotFound
from mnemic.memory.consolidate import consolidate
from mnemic.systems import runner
from mnemic.systems.registry import SYSTEMS
from systems.digest import FOR_TESTS

Open = Callable[..., Memory]


@pytest.fixture(autouse=True)
def _digest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SYSTEMS, "digest", FOR_TESTS["digest"])


def test_attach_gives_a_handle_whose_searches_the_system_answers(memory: Memory) -> None:
    memory.add(["tea with Anna", "coffee"], session="mon")
    digest = memory.attach("digest")
    assert (digest.system_id, memory.system_id) == ("digest", "hybrid")
    assert [(hit.kind, hit.text) for hit in digest.search("tea")] == [("digest", "tea with Anna\ncoffee")]
    assert digest.search("tea").system == "digest"


def test_an_attached_system_and_its_parameters_are_there_in_the_next_process(open_memory: Open, tmp_path: Path) -> None:
    memory = open_memory(tmp_path / "memory.db")
    memory.add("tea in the garden")
    memory.attach("hybrid", words=1.0, meaning=0.0)
    hits = memory.search("tea").hits
    memory.close()
    again = open_memory(tmp_path / "memory.db")
    assert again.search("tea").hits == hits
    assert "meaning" not in {reason.signal for reason in hits[0].reasons}


def test_attaching_again_with_other_parameters_starts_anew_and_with_the_same_does_not(memory: Memory) -> None:
    memory.add("tea", session="mon")
    memory.attach("digest")
    memory.consolidate()
    memory.attach("digest")
    assert memory.consolidate()["digest"] == {"observed": 0}


def test_detaching_drops_what_it_made_and_not_the_log(memory: Memory) -> None:
    memory.add("tea", session="mon")
    memory.attach("digest")
    memory.consolidate()
    assert memory.stats()["records"] == 1
    memory.detach("digest")
    assert (memory.stats()["records"], memory.stats()["attached"], len(memory.list())) == (0, [], 1)
    assert memory.consolidate() == {}


def test_consolidate_covers_this_scope_and_those_below(memory: Memory) -> None:
    for path in ("acme", "acme/alice", "other"):
        memory.scope(path).add("tea", session="mon")
    memory.attach("digest")
    assert memory.scope("acme").consolidate() == {"digest": {"observed": 2}}
    assert memory.consolidate() == {"digest": {"observed": 1}}


@pytest.mark.parametrize(
    ("system", "parameters", "error", "match"),
    [
        ("digets", {}, SystemNotFound, "Did you mean 'digest'"),
        ("bm25", {"k1": 2.0}, ParameterError, "has no parameter k1. It has: none"),
        ("hybrid", {"half_life": 3.0}, ParameterError, "It has: meaning, context, words"),
        ("hybrid", {"words": -1.0}, ParameterError, "words=-1.0"),
        ("hybrid", {"time": float("nan")}, ParameterError, "time=nan"),
        ("hybrid", {"meaning": "much"}, ParameterError, "meaning='much'"),
        ("hybrid", {"neighbours": 1.5}, ParameterError, "neighbours=1.5"),
        ("hybrid", {"meaning": 0.0, "words": 0.0}, ParameterError, "both 0"),
        ("hybrid", {"half_life_days": 0}, ParameterError, "half_life_days"),
    ],
)
def test_an_unknown_system_or_parameter_is_refused_and_nothing_is_attached(
    memory: Memory, system: str, parameters: dict[str, Any], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        memory.attach(system, **parameters)
    assert memory.stats()["attached"] == []


def test_consolidating_tells_how_many_episodes_are_observed_of_how_many(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "BATCH", 2)
    memory.add(["tea", "coffee", "milk"], session="mon")
    memory.scope("ann").add(["cake", "bread"], session="mon")
    for system in ("digest", "bm25"):  # the other keeps no records
        memory.attach(system)
    heard: list[tuple[int, int]] = []
    scopes = list(memory.scopes())
    consolidate(memory._shared, scopes, told=lambda observed, of: heard.append((observed, of)))
    assert heard == [(0, 5), (2, 5), (3, 5), (5, 5)]
    memory.add("water", session="tue")
    heard.clear()
    assert consolidate(memory._shared, scopes, told=lambda *said: heard.append(said))["digest"].observed == 1
    assert heard == [(0, 1), (1, 1)]
