"""Personalised PageRank, against the linear system that it solves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mnemic.errors import ParameterError
from mnemic.ops.pagerank import pagerank, seeded


def solved(
    n: int, edges: list[tuple[int, int, float]], reset: list[float], follow: float, is_directed: bool
) -> NDArray[np.float64]:
    """x = f (Pᵀ + r dᵀ) x + (1 - f) r, as a dense system."""
    heavy = np.zeros((n, n))
    for one, other, weight in edges:
        heavy[one, other] += weight
        if not is_directed and one != other:
            heavy[other, one] += weight
    start = np.maximum(np.array(reset), 0.0)
    start /= start.sum()
    leaving = heavy.sum(1)
    step = np.where(leaving[:, None] > 0, heavy / np.where(leaving > 0, leaving, 1.0)[:, None], start)
    return np.linalg.solve(np.eye(n) - follow * step.T, (1.0 - follow) * start)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, list[tuple[int, int, float]], list[float]]:
    n = draw(st.integers(1, 12))
    nodes = st.integers(0, n - 1)
    edges = draw(st.lists(st.tuples(nodes, nodes, st.floats(0.1, 5.0)), max_size=30))
    reset = draw(st.lists(st.floats(-1.0, 1.0), min_size=n, max_size=n))
    reset[draw(nodes)] = 1.0
    return n, edges, reset


@given(graphs(), st.sampled_from([0.0, 0.1, 0.5, 0.85, 0.95]), st.booleans())
def test_the_scores_solve_the_equation(
    graph: tuple[int, list[tuple[int, int, float]], list[float]], follow: float, is_directed: bool
) -> None:
    n, edges, reset = graph
    begins, ends, weights = ([edge[at] for edge in edges] for at in range(3))
    found = pagerank(n, begins, ends, reset, follow=follow, weights=weights, is_directed=is_directed)

    assert found == pytest.approx(solved(n, edges, reset, follow, is_directed), abs=1e-8)
    assert found.sum() == pytest.approx(1.0)
    assert (found >= 0.0).all()


def test_a_walk_with_no_way_on_starts_anew() -> None:
    found = pagerank(3, [0], [1], [1.0, 0.0, 0.0], is_directed=True)

    assert found == pytest.approx([1 / 1.85, 0.85 / 1.85, 0.0])


def test_a_node_that_was_not_found_gets_a_score_through_its_link_only_when_edges_are_followed() -> None:
    assert pagerank(3, [0], [1], [1.0, 0.0, 0.0], follow=0.0).tolist() == [1.0, 0.0, 0.0]
    shallow, deep = (pagerank(3, [0], [1], [1.0, 0.0, 0.0], follow=follow) for follow in (0.1, 0.85))
    assert 0.0 < shallow[1] < deep[1]
    assert shallow[2] == deep[2] == 0.0


def test_nowhere_to_start_gives_no_scores() -> None:
    assert pagerank(2, [0], [1], [0.0, -3.0]).tolist() == [0.0, 0.0]
    assert pagerank(0, [], [], []).tolist() == []


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((2, [0], [2], [1, 0]), {}),
        ((2, [-1], [0], [1, 0]), {}),
        ((2, [0], [1], [1]), {}),
        ((2, [0], [1], [float("nan"), 1]), {}),
        ((2, [0, 1], [1], [1, 0]), {}),
        ((2, [0], [1], [1, 0]), {"weights": [-1.0]}),
        ((2, [0], [1], [1, 0]), {"follow": 1.0}),
        ((2, [0], [1], [1, 0]), {"tolerance": 0.0}),
    ],
    ids=range(8),
)
def test_what_is_no_graph_is_refused(arguments, options) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ParameterError):
        pagerank(*arguments, **options)


@given(st.lists(st.floats(-1.0, 1.0, width=32), max_size=20), st.integers(0, 25))
def test_no_more_seeds_than_asked_for_and_none_below_zero(scores: list[float], count: int) -> None:
    found = seeded(np.array(scores, np.float32), count)

    ranked = sorted(range(len(scores)), key=lambda at: (-scores[at], at))[:count]
    assert found.tolist() == [max(score, 0.0) if at in ranked else 0.0 for at, score in enumerate(scores)]
