"""Trees that grow, and recall from the top down."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.errors import ParameterError
from mnemic.ops.tree import Descent, Tree, descend, threshold, top_down


def test_the_threshold_grows_with_depth_and_slower_in_a_deep_tree() -> None:
    assert [threshold(d) for d in range(3)] == pytest.approx([0.4, 0.4 * math.exp(0.5), 0.4 * math.exp(1.0)])
    assert threshold(2, 0.3, 0.2) == pytest.approx(0.3 * math.exp(0.4))
    assert threshold(3, deepest=6) == pytest.approx(0.4 * math.exp(0.25))
    assert threshold(0, deepest=0) == 0.4


def grown(vectors: np.ndarray, base: float = 0.4) -> tuple[Tree[str], dict[str, np.ndarray], list[Descent[str]]]:
    """The tree of some vectors; an inner node's vector is the mean of what it was given."""
    tree, seen, ways = Tree("root"), dict[str, list[np.ndarray]](), list[Descent[str]]()

    def mean(node: str) -> np.ndarray:
        total = np.sum(seen[node], axis=0)
        return np.asarray(total / np.linalg.norm(total))

    for at, vector in enumerate(vectors):

        def likeness(nodes: Sequence[str], vector: np.ndarray = vector) -> list[float]:
            return [float(mean(node) @ vector) for node in nodes]

        way = descend("root", tree.children, likeness, lambda depth: threshold(depth, base))
        if way.is_leaf:
            seen[f"{way.parent}'"] = list(seen[way.parent])
        tree.insert(str(at), way, lambda leaf: f"{leaf}'")
        for node in way.changed:
            seen[node].append(vector)
        seen[str(at)] = [vector]
        ways.append(way)
    return tree, {node: mean(node) for node in seen}, ways


def clusters(seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    vectors = np.eye(3)[draw.permutation(np.repeat(np.arange(3), 6))] + 0.1 * draw.standard_normal((18, 3))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


@pytest.mark.parametrize("seed", range(4))
def test_three_tight_clusters_in_any_order_become_three_subtrees(seed: int) -> None:
    vectors = clusters(seed)
    tree, _, ways = grown(vectors)

    assert len(tree.children("root")) == 3
    for top in tree.children("root"):
        axes = {int(vectors[int(leaf.rstrip("'"))].argmax()) for leaf in tree.leaves(top)}
        assert len(axes) == 1
    assert len(tree.leaves("root")) == len(vectors)
    assert [way.changed for way in ways] == [way.path[1:] for way in ways]
    assert "root" not in {node for way in ways for node in way.changed}
    assert grown(vectors)[0].parents == tree.parents


def test_a_higher_threshold_never_makes_fewer_topmost_nodes() -> None:
    vectors = np.random.default_rng(5).standard_normal((60, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    counts = [len(grown(vectors, base)[0].children("root")) for base in (0.1, 0.3, 0.5, 0.7, 0.9)]

    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


def test_a_descent_stops_below_the_threshold_and_reaches_it_at_equality() -> None:
    tree = Tree("r", {"a": "r", "b": "r", "c": "a"})
    likeness = {"a": 0.5, "b": 0.5, "c": 0.1}

    def similarities(nodes: Sequence[str]) -> list[float]:
        return [likeness[node] for node in nodes]

    assert descend("r", tree.children, similarities, lambda _: 0.5) == Descent(("r", "a"), False, 3)
    assert descend("r", tree.children, similarities, lambda _: 0.51) == Descent(("r",), False, 2)
    assert descend("r", tree.children, similarities, lambda _: 0.0) == Descent(("r", "a", "c"), True, 3)
    assert descend("x", lambda _: (), similarities) == Descent(("x",), False, 0)


def test_an_expanded_leaf_keeps_its_content_as_first_child() -> None:
    tree = Tree("r", {"a": "r"})
    tree.insert("new", Descent(("r", "a"), True, 1), lambda leaf: f"{leaf} as it was")

    assert tree.children("a") == ["a as it was", "new"]
    assert (tree.path("new"), tree.depth("new"), tree.deepest()) == (["r", "a", "new"], 2, 2)
    assert (tree.below("r"), tree.leaves("r")) == (["a", "a as it was", "new"], ["a as it was", "new"])


def test_removing_a_leaf_removes_what_is_left_empty_above_it() -> None:
    tree = Tree("r", {"a": "r", "b": "a", "c": "b", "d": "a"})

    assert tree.remove("c") == ["c", "b"]
    assert tree.remove("d") == ["d", "a"]
    assert (len(tree), tree.children("r"), tree.is_leaf("r"), tree.leaves("r")) == (0, [], True, [])


@given(st.lists(st.integers(0, 100), max_size=30), st.lists(st.integers(0, 100), max_size=30))
def test_every_parent_contains_its_children_after_any_growth_and_removal(adds: list[int], removes: list[int]) -> None:
    tree = Tree(0)
    for at, place in enumerate(adds, start=1):
        tree.add(at, [0, *tree.parents][place % at])
    for place in removes:
        if leaves := tree.leaves(0):
            tree.remove(leaves[place % len(leaves)])

    assert sorted(tree.below(0)) == sorted(tree.parents)
    for node, parent in tree.parents.items():
        assert parent in tree
        assert list(tree.children(parent)).count(node) == 1
    assert Tree(0, tree.parents).parents == tree.parents


@pytest.mark.parametrize(
    "call",
    [
        lambda tree: tree.add("a", "r"),
        lambda tree: tree.add("x", "nowhere"),
        lambda tree: tree.remove("a"),
        lambda tree: tree.remove("r"),
        lambda tree: tree.expand("a", "x"),
        lambda _: Tree("r", {"a": "b", "b": "a"}),
        lambda _: Tree("r", {"r": "a"}),
    ],
    ids=range(7),
)
def test_what_would_break_the_tree_is_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ParameterError):
        call(Tree("r", {"a": "r", "b": "a"}))


Node = tuple[int, ...]


def ten_each(node: Node) -> list[Node]:
    return [(*node, at) for at in range(10)] if len(node) < 4 else []


def near(wanted: Node, nodes: Sequence[Node]) -> list[float]:
    """1 on the way to what is wanted, less beside it."""
    return [sum(1.0 for one, other in zip(node, wanted, strict=False) if one == other) for node in nodes]


@pytest.mark.parametrize(("most", "compared"), [(None, 10 + 20 + 40 + 80), (2, 10 + 20 + 20 + 20)])
def test_recall_from_the_top_looks_at_few_and_finds_what_was_planted(most: int | None, compared: int) -> None:
    planted = (3, 1, 4, 1)
    found = top_down(ten_each(()), ten_each, lambda nodes: near(planted, nodes), 2, most=most)

    assert found.compared == compared
    assert found.last[0] == (planted, 4.0)
    assert [len(layer) for layer in found.kept] == ([2, 4, 8, 16] if most is None else [2, 2, 2, 2])


def test_what_lies_below_a_node_that_was_not_kept_is_never_found() -> None:
    scores = {"sport": 0.9, "food": 0.1, "chess": 0.5, "bread": 1.0}
    children = {"sport": ["chess"], "food": ["bread"]}
    found = top_down(
        ["sport", "food"], lambda node: children.get(node, []), lambda nodes: [scores[one] for one in nodes], 1
    )

    assert found.last == (("chess", 0.5),)
    assert found.compared == 3


def test_a_node_of_two_parents_is_kept_once_and_nothing_gives_nothing() -> None:
    found = top_down(["a", "b"], lambda node: ["c"] if node in "ab" else [], lambda nodes: [1.0] * len(nodes), 2)

    assert found.kept == ((("a", 1.0), ("b", 1.0)), (("c", 1.0),))
    assert top_down([], lambda _: [], lambda _: [], 2).last == ()
    with pytest.raises(ParameterError):
        top_down(["a"], lambda _: [], lambda _: [1.0], 0)
