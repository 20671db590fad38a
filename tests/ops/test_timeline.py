"""Timelines: paths through what led to a memory and what came of it."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mnemic.ops.timeline import Dated, Relation, Timeline, chosen, chronological


def changed(*pairs: tuple[str, str]) -> list[Relation]:
    return [Relation(one, other, "Changed") for one, other in pairs]


def test_a_chain_is_told_whole_in_session_order_from_any_of_its_memories() -> None:
    graph = Dated({"m1": 1, "m3": 3, "m5": 5}, changed(("m5", "m3"), ("m1", "m3")))
    whole = Timeline(("m1", "m3", "m5"), ("Changed", "Changed"))

    assert [graph.timelines(id) for id in ("m1", "m3", "m5")] == [[whole]] * 3


def test_the_timelines_of_a_diamond_are_past_times_future() -> None:
    sessions = {"a": 1, "b": 1, "m": 2, "x": 3, "y": 4, "z": 9}
    graph = Dated(sessions, changed(("a", "m"), ("b", "m"), ("m", "x"), ("m", "y"), ("x", "z"), ("y", "z")))

    assert graph.past("m") == [("a",), ("b",)]
    assert graph.future("m") == [("x", "z"), ("y", "z")]
    assert [one.steps for one in graph.timelines("m")] == [
        ("a", "m", "x", "z"),
        ("a", "m", "y", "z"),
        ("b", "m", "x", "z"),
        ("b", "m", "y", "z"),
    ]


def test_sessions_are_numbers_so_the_tenth_comes_after_the_ninth() -> None:
    graph = Dated({"s9": 9, "s10": 10}, [Relation("s10", "s9", "Cause")])
    assert graph.timelines("s9") == [Timeline(("s9", "s10"), ("Cause",))]


def test_the_current_session_the_same_session_and_strangers_are_no_part_of_a_timeline() -> None:
    sessions = {"a": 1, "a2": 1, "b": 2, "now": 3}
    graph = Dated(sessions, changed(("a", "a2"), ("a", "b"), ("b", "now"), ("b", "gone")), before=3)

    assert graph.timelines("b") == [Timeline(("a", "b"), ("Changed",))]
    assert graph.timelines("a2") == [Timeline(("a2",), ())]
    assert graph.timelines("now") == []


def test_of_several_relations_between_two_memories_the_last_counts() -> None:
    graph = Dated({"a": 1, "b": 2}, [Relation("a", "b", "Cause"), Relation("b", "a", "Reason")])
    assert graph.timelines("a") == [Timeline(("a", "b"), ("Reason",))]


def test_a_dense_graph_is_cut_and_both_sides_are_seen() -> None:
    sessions = {f"s{session}-{at}": session for session in range(13) for at in range(4)}
    dense = changed(*((one, other) for one in sessions for other in sessions if sessions[other] == sessions[one] + 1))
    found = Dated(sessions, dense).timelines("s6-0", most=20)

    assert len(found) == len(set(found)) == 20
    assert len({one.steps[:6] for one in found}) > 3
    assert len({one.steps[7:] for one in found}) > 3
    assert found == Dated(sessions, reversed(dense)).timelines("s6-0", most=20)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, int], list[tuple[str, str]]]:
    sessions = {f"m{at}": draw(st.integers(0, 4)) for at in range(draw(st.integers(1, 7)))}
    ids = st.sampled_from(sorted(sessions))
    return sessions, draw(st.lists(st.tuples(ids, ids), max_size=10))


@given(graphs())
def test_timelines_are_all_longest_paths_through_the_memory(
    graph: tuple[dict[str, int], list[tuple[str, str]]],
) -> None:
    sessions, pairs = graph
    edges = {
        tuple(sorted(pair, key=lambda id: sessions[id])) for pair in pairs if sessions[pair[0]] != sessions[pair[1]]
    }

    def paths(path: tuple[str, ...]) -> list[tuple[str, ...]]:
        further = [whole for one, other in edges if one == path[-1] for whole in paths((*path, other))]
        return further or [path]

    starts = [id for id in sessions if not any(id == other for _, other in edges)]
    every = {path for start in starts for path in paths((start,))}
    dated = Dated(sessions, changed(*pairs))
    for id in sessions:
        found = [one.steps for one in dated.timelines(id, most=10_000)]
        assert len(found) == len(set(found))
        assert set(found) == {path for path in every if id in path}
        assert all(sessions[one] < sessions[other] for path in found for one, other in pairwise(path))


def test_each_memory_gets_a_timeline_of_its_own_and_none_is_told_twice() -> None:
    graph = Dated({"a": 1, "b": 2, "c": 3, "d": 3}, changed(("a", "b"), ("b", "c"), ("b", "d")))
    every = {id: graph.timelines(id) for id in ("b", "c", "d")}

    for seed in range(10):
        found = chosen(every, seed)
        assert len(set(found.values())) == len(found) == 2
        assert all(line in every[id] for id, line in found.items())
        assert found == chosen(every, seed)
    assert len({chosen(every, seed)["b"] for seed in range(20)}) == 2
    assert chosen({"x": []}) == {}


def test_items_stand_by_time_and_what_has_none_comes_last() -> None:
    items = [("late", 9.0), ("undated", None), ("one", 2.0), ("other", 2.0)]
    assert [name for name, _ in chronological(items, lambda item: item[1])] == ["one", "other", "late", "undated"]
