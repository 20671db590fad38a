"""Listing what a filter chooses: the same however it is found, by ids, by reading the log, or by the index."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic import Memory
from mnemic.filters import compile_filter
from mnemic.memory import choose
from mnemic.memory.choose import listed, selector, wanted_ids

FILTERS: list[dict[str, Any]] = [
    {"n": {"gte": 7}},
    {"topic": "tea"},
    {"NOT": [{"topic": "tea"}]},
    {"text": {"contains": "3"}},
    {"id": {"in": ["e3", "e11", "gone", "\ud800"]}},
    {"id": "e5", "topic": "tea"},
    {"AND": [{"n": {"lt": 9}}, {"id": {"in": ["e1", "e2", "e9"]}}]},
    {"id": {"nin": ["e3"]}},
    {"topic": "nothing"},
]


@pytest.fixture
def kept(memory: Memory) -> Memory:
    """Twenty episodes in a scope, one of them corrected, and one elsewhere."""
    scope = memory.scope("acme")
    for n in range(20):
        metadata = {"n": n, "topic": "tea" if n % 3 else "coffee"}
        scope.add(f"number {n}", id=f"e{n}", session=f"s{n % 2}", metadata=metadata)
    scope.update("e4", "number four")
    memory.scope("other").add("number 3", id="e3", metadata={"n": 8, "topic": "tea"})
    return scope


@pytest.mark.parametrize("is_warm", [False, True])
def test_every_way_of_finding_lists_the_same(kept: Memory, is_warm: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "_PAGE", 3)
    if is_warm:
        kept.search("number")
    log = kept.list(limit=100)

    @settings(max_examples=150)
    @given(st.sampled_from(FILTERS), st.none() | st.just("s1"), st.integers(0, 25), st.integers(1, 25), st.booleans())
    def check(filters: dict[str, Any], session: str | None, after: int, limit: int, newest_first: bool) -> None:
        chosen = selector(None, session, None, None, filters)
        found = listed(
            kept._shared, "acme", chosen, session=session, after=after, limit=limit, newest_first=newest_first
        )
        wanted = [one for one in log if chosen(one)]
        if newest_first:
            wanted = [one for one in wanted[::-1] if not after or one.seq < after]
        else:
            wanted = [one for one in wanted if one.seq > after]
        assert found == wanted[:limit]

    check()


def test_a_rare_match_in_a_scope_whose_index_is_in_memory_is_found_without_reading_the_log(
    kept: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "_PAGE", 2)
    kept.search("number")
    store, read = kept._shared.store, list[int]()
    scan = store.scan
    monkeypatch.setattr(store, "scan", lambda *args, **given: read.append(given["limit"]) or scan(*args, **given))
    chosen = selector(None, None, None, None, {"n": 19})
    found = listed(kept._shared, "acme", chosen, session=None, after=0, limit=1, newest_first=False)
    assert [one.id for one in found] == ["e19"]
    assert read == [1, 2, 2]


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({"id": "x"}, {"x"}),
        ({"id": {"in": ["x", "y"]}, "topic": "tea"}, {"x", "y"}),
        ({"AND": [{"topic": "tea"}, {"AND": [{"id": {"eq": "x"}}]}]}, {"x"}),
        ({"id": {"in": []}}, set()),
        ({"id": {"nin": ["x"]}}, None),
        ({"id": {"contains": "x"}}, None),
        ({"OR": [{"id": "x"}]}, None),
        ({"NOT": [{"id": "x"}]}, None),
        ({"topic": "x"}, None),
        ({}, None),
    ],
    ids=lambda value: "" if value is None or isinstance(value, set) else str(value),
)
def test_the_ids_to_which_a_filter_confines_are_known(filters: dict[str, Any], ids: set[str] | None) -> None:
    assert wanted_ids(compile_filter(filters)) == ids


def test_a_selection_holds_where_everything_that_was_given_does(kept: Memory) -> None:
    chosen = selector({"e3", "e4", "e5"}, "s1", "2024-01-01", "2024-05-01", {"topic": "tea"})
    assert [one.id for one in kept.list() if chosen(one)] == ["e5"]
    assert [one.id for one in kept.list() if selector(None, None, None, None, None)(one)][:2] == ["e0", "e1"]
    assert not any(map(selector(None, "*", None, None, None), kept.list()))  # a session of that name, not any session
