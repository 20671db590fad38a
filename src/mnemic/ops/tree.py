"""Trees that grow as memories come, and recall from the top down.

Growing: a new text descends from the root to the most similar child for as long as the similarity reaches a threshold that
grows with depth, θ(d) = θ0·exp(λ·d), d the depth of the node whose children are compared (the root's is 0). Where it stops it
becomes a child; a leaf that it stops at becomes an inner node, with its old content as first child.
Source: MemTree, arXiv 2410.14052; θ0 = 0.4, λ = 0.5. With these θ(2) is above 1, so that trees stay two levels deep; the
variant that divides d by the depth of the tree lets them grow.

Recall by layers: the k best of the top layer, the k best among their children, and so on. Source: H-MEM, arXiv 2507.22925.
Departs: it may keep the k best of a layer altogether, without which the frontier of layer l has k^l entries.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from mnemic.errors import ParameterError

N = TypeVar("N", bound=Hashable)


def threshold(depth: int, base: float = 0.4, rate: float = 0.5, deepest: int | None = None) -> float:
    """θ(d) = base·exp(rate·depth), the similarity that a child of a node at this depth must reach.

    deepest: the depth of the deepest node of the tree, for the variant base·exp(rate·depth / deepest); None for the paper's.

    >>> threshold(0), round(threshold(1), 3), round(threshold(2), 3), round(threshold(2, deepest=4), 3)
    (0.4, 0.659, 1.087, 0.514)
    """
    return base * math.exp(rate * (depth if deepest is None else depth / max(deepest, 1)))


@dataclass(frozen=True, slots=True)
class Descent(Generic[N]):
    """Where a new node belongs.

    path: from the root to its parent. is_leaf: whether that parent is a leaf with content, which is to be expanded first.
    compared: how many similarities were looked at.
    """

    path: tuple[N, ...]
    is_leaf: bool
    compared: int

    @property
    def parent(self) -> N:
        """The node that gets the new one as a child."""
        return self.path[-1]

    @property
    def changed(self) -> tuple[N, ...]:
        """The nodes whose content has to take the new text in: all on the path but the root, the topmost first."""
        return self.path[1:]


def descend(
    root: N,
    children: Callable[[N], Sequence[N]],
    similarities: Callable[[Sequence[N]], Sequence[float]],
    theta: Callable[[int], float] = threshold,
) -> Descent[N]:
    """The way of a new node down the tree.

    similarities: of the new node to each of some nodes. theta: the threshold by the depth of the node whose children are
    compared. Of two children alike the earlier is taken.
    """
    path, compared = [root], 0
    while below := children(path[-1]):
        found = similarities(below)
        compared += len(below)
        nearest = max(range(len(below)), key=lambda at: (found[at], -at))
        if found[nearest] < theta(len(path) - 1):
            return Descent(tuple(path), False, compared)
        path.append(below[nearest])
    return Descent(tuple(path), len(path) > 1, compared)


class Tree(Generic[N]):
    """Which node is whose child. The root holds no content and is never removed; children keep the order they came in."""

    def __init__(self, root: N, parents: Mapping[N, N] | None = None) -> None:
        """parents: of every node but the root, in the order in which siblings stand; raises ParameterError for no tree."""
        self.root = root
        self.parents: dict[N, N] = {}
        self._children: dict[N, list[N]] = {root: []}
        for node, parent in (parents or {}).items():
            if node == root:
                raise ParameterError(f"The root {root!r} has a parent. Leave it out of the parents.")
            self.parents[node] = parent
            self._children.setdefault(parent, []).append(node)
        if len(self.below(root)) < len(self.parents):
            raise ParameterError(f"Some nodes do not hang together with the root {root!r}. Give every node its parent.")

    def __contains__(self, node: N) -> bool:
        return node == self.root or node in self.parents

    def __len__(self) -> int:
        """How many nodes there are, without the root."""
        return len(self.parents)

    def children(self, node: N) -> Sequence[N]:
        """A node's children, in the order they came."""
        return self._children.get(node, ())

    def is_leaf(self, node: N) -> bool:
        """Whether it has no children."""
        return not self._children.get(node)

    def path(self, node: N) -> list[N]:
        """The nodes from the root to this one, both included."""
        found = [node]
        while found[-1] != self.root:
            found.append(self.parents[found[-1]])
        return found[::-1]

    def depth(self, node: N) -> int:
        """Steps from the root, which has depth 0."""
        return len(self.path(node)) - 1

    def deepest(self) -> int:
        """The depth of the deepest node."""
        depth, layer = 0, list(self.children(self.root))
        while layer:
            depth, layer = depth + 1, [child for node in layer for child in self.children(node)]
        return depth

    def below(self, node: N) -> list[N]:
        """Every node under this one, each before its children, siblings in order."""
        found, waiting = list[N](), list(reversed(self._children.get(node, ())))
        while waiting:
            found.append(waiting.pop())
            waiting += reversed(self._children.get(found[-1], ()))
        return found

    def leaves(self, node: N) -> list[N]:
        """The leaves under a node, in order; itself where it is one."""
        return [one for one in (node, *self.below(node)) if self.is_leaf(one) and one != self.root]

    def add(self, node: N, parent: N) -> None:
        """Hang a new node under a parent, as its last child."""
        if node in self or parent not in self:
            raise ParameterError(f"{node!r} is in the tree already, or its parent {parent!r} is not.")
        self.parents[node] = parent
        self._children.setdefault(parent, []).append(node)

    def expand(self, leaf: N, content: N) -> None:
        """Make a leaf an inner node whose first child is `content`, a new node for what the leaf held."""
        if leaf == self.root or not self.is_leaf(leaf):
            raise ParameterError(f"{leaf!r} is no leaf. Expand only what has no children.")
        self.add(content, leaf)

    def insert(self, node: N, descent: Descent[N], content: Callable[[N], N]) -> None:
        """Hang a new node where a descent ended; content: the id of the node for what an expanded leaf held."""
        if descent.is_leaf:
            self.expand(descent.parent, content(descent.parent))
        self.add(node, descent.parent)

    def remove(self, leaf: N) -> list[N]:
        """Take a leaf out, and every node above it that is left without children; what was removed, lowest first."""
        if leaf == self.root or leaf not in self or not self.is_leaf(leaf):
            raise ParameterError(f"{leaf!r} is no leaf of the tree. Remove what hangs under it first.")
        removed, node = list[N](), leaf
        while node != self.root and self.is_leaf(node):
            parent = self.parents.pop(node)
            self._children[parent].remove(node)
            self._children.pop(node, None)
            removed.append(node)
            node = parent
        return removed


@dataclass(frozen=True, slots=True)
class Layers(Generic[N]):
    """What was kept of each layer, the top one first, each (node, score) best first; and how many scores were computed."""

    kept: tuple[tuple[tuple[N, float], ...], ...]
    compared: int

    @property
    def last(self) -> tuple[tuple[N, float], ...]:
        """What was kept of the lowest layer."""
        return self.kept[-1] if self.kept else ()


def top_down(
    tops: Iterable[N],
    children: Callable[[N], Sequence[N]],
    scores: Callable[[Sequence[N]], Sequence[float]],
    k: int,
    *,
    most: int | None = None,
) -> Layers[N]:
    """The k best of the top layer, then of each of them the k best children, down to the nodes without children.

    most: how many are kept of a layer altogether, as the complexity of H-MEM has it for most = k; None keeps all, up to k^l
    in layer l. Of equal scores the earlier node is kept. What lies below a node that was not kept is never looked at.
    """
    if k < 1 or (most is not None and most < 1):
        raise ParameterError(f"k={k}, most={most}: keep at least 1 of each layer.")
    compared, kept = 0, list[tuple[tuple[N, float], ...]]()
    families: list[Sequence[N]] = [list(tops)]
    while families := [family for family in families if family]:
        layer = list[tuple[N, float]]()
        for family in families:
            compared += len(family)
            layer += sorted(zip(family, map(float, scores(family)), strict=True), key=lambda one: -one[1])[:k]
        layer.sort(key=lambda one: -one[1])
        once: dict[N, float] = {}
        for node, score in layer:
            once.setdefault(node, score)  # a node of two parents counts once
        kept.append(tuple(islice(once.items(), most)))
        families = [children(node) for node, _ in kept[-1]]
    return Layers(tuple(kept), compared)
