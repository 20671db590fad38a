"""The system "memtree": a tree that grows online, whose inner nodes sum up what lies below."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mnemic import Memory, Record
from mnemic.clock import ManualClock
from mnemic.errors import ParameterError
from mnemic.ops.tree import Tree
from mnemic.systems.mem_tree import CHILD, ID, INNER, LEAF, ROOT, Family
from mnemic.systems.registry import create
from mnemic.testing import RuleLLM

DIM = 16


class Themes:
    """A text "t2 d3 …" lies at theme 2, a little towards detail 3; a summary "t2" at the theme itself."""

    id = "themes"
    dim = DIM
    is_semantic = True
    max_tokens = 512

    def __init__(self, spread: float = 0.3) -> None:
        self._spread = spread

    def embed(self, texts: Sequence[str], kind: str = "document") -> NDArray[np.float32]:
        return np.stack([self._one(text) for text in texts])

    def _one(self, text: str) -> NDArray[np.float32]:
        vector = np.zeros(DIM, np.float32)
        for word in text.replace(".", " ").split():
            if word[0] == "t" and word[1:].isdigit():
                vector[int(word[1:])] = 1.0
            elif word[0] == "d" and word[1:].isdigit():
                vector[8 + int(word[1:])] = self._spread
        length = float(np.sqrt((vector * vector).sum()))
        return vector / np.float32(length) if length else vector


def theme_llm(id: str = "rules:themes") -> RuleLLM:
    """A summary is the theme of what it sums up."""
    llm = RuleLLM(id)
    llm.rule("summary", lambda asked: {"summary": asked.data["summary"].split("t", 1)[1].join(["t", ""]).split()[0]})
    return llm


def grown(
    open_memory: Callable[..., Memory], texts: Sequence[str], llm: Any = None, spread: float = 0.3, **parameters: Any
) -> Memory:
    memory = open_memory(embedder=Themes(spread), llm=llm)
    for at, text in enumerate(texts):
        memory.add(text, id=f"e{at:03}", actor="Ann")
    memory.attach(ID, llm=llm, **parameters)
    assert "error" not in memory.consolidate()[ID]
    return memory


def kept(memory: Memory) -> tuple[list[Record], Tree[str]]:
    """The current records, and the tree of their keys."""
    store = memory._shared.store.records
    parents = {one.to_id: one.from_id for one in store.links(ID, "") if one.kind == CHILD}
    return [one for one in store.records(ID, "") if one.retired_at is None], Tree(ROOT, parents)


def clusters(seed: int = 3) -> list[str]:
    texts = [f"t{theme} d{detail}" for theme in range(3) for detail in range(5)]
    random.Random(seed).shuffle(texts)
    return texts


def test_three_tight_clusters_in_any_order_become_three_subtrees(open_memory: Callable[..., Memory]) -> None:
    for seed in (1, 2, 3):
        texts = clusters(seed)
        records, tree = kept(grown(open_memory, texts, theme_llm()))
        assert len(tree.children(ROOT)) == 3
        leaves = [one for one in records if one.kind == LEAF]
        assert len(leaves) == len(texts)
        assert sorted(tree.leaves(ROOT)) == sorted(one.id for one in leaves)
        themes = [{one.text.split()[1] for one in leaves if one.id in tree.leaves(top)} for top in tree.children(ROOT)]
        assert sorted(map(sorted, themes)) == [["t0"], ["t1"], ["t2"]]


def test_an_inner_node_stands_for_exactly_what_lies_below_it(open_memory: Callable[..., Memory]) -> None:
    llm = RuleLLM("rules:longer")
    llm.rule("summary", lambda asked: {"summary": f"{asked.data['summary']} {asked.data['new'][0]['text']}"})
    records, tree = kept(grown(open_memory, clusters(), llm))
    inner = [one for one in records if one.kind == INNER]
    leaves = {one.id: one.sources[0] for one in records if one.kind == LEAF}
    assert len(inner) >= 3
    for one in inner:
        assert sorted(one.sources) == sorted(leaves[leaf] for leaf in tree.leaves(one.data["key"]))


def test_an_insert_asks_once_for_each_node_on_its_way_and_never_for_the_root(
    open_memory: Callable[..., Memory],
) -> None:
    llm, asked = theme_llm(), []
    memory = open_memory(embedder=Themes(), llm=llm)
    memory.attach(ID, llm=llm)
    for at, text in enumerate(["t0 d0", "t0 d1", "t1 d0", "t0 d2", "t0 d3"]):
        before = llm.calls
        memory.add(text, id=f"e{at}")
        memory.consolidate()
        _, tree = kept(memory)
        leaf = next(one.id for one in memory.records(system=ID, kind=LEAF) if one.sources == (f"e{at}",))
        asked.append((llm.calls - before, len(tree.path(leaf)) - 2))
    # the second expands the first, which is one node on the way; later ones go deeper
    assert asked[:4] == [(0, 0), (1, 1), (0, 0), (2, 2)]
    assert asked[4] in [
        (1, 2),
        (2, 2),
    ]  # the two on the last one's way are summed up alike: the same prompt, asked once or at once


def test_the_model_is_told_how_many_entries_a_summary_stands_for(open_memory: Callable[..., Memory]) -> None:
    llm = theme_llm()
    grown(open_memory, ["t0 d0", "t0 d1", "t0 d2"], llm, spread=1.0)
    assert [one.data["entries"] for one in llm.requests] == [1, 2]


def test_the_same_log_gives_the_same_tree(open_memory: Callable[..., Memory]) -> None:
    one, other = (grown(open_memory, clusters()) for _ in range(2))
    assert kept(one)[1].parents == kept(other)[1].parents


def test_a_theme_finds_the_summary_above_its_leaves_and_a_detail_the_leaf(open_memory: Callable[..., Memory]) -> None:
    memory = grown(open_memory, [f"t0 d{at}" for at in range(4)] + ["t1 d0", "t1 d1"], theme_llm(), spread=1.0)
    theme, detail = (memory.system(ID).search(cue, limit=3).hits for cue in ("t0", "t0 d3"))
    assert (theme[0].kind, theme[0].text) == (INNER, "t0")
    assert {hit.kind for hit in theme[1:]} == {LEAF}
    assert (detail[0].kind, detail[0].text) == (LEAF, "Ann: t0 d3")


def test_a_higher_threshold_never_has_fewer_nodes_under_the_root(open_memory: Callable[..., Memory]) -> None:
    texts = [f"t{random.Random(at).randrange(4)} t{random.Random(-at).randrange(4)} d{at % 6}" for at in range(40)]
    tops = [
        len(kept(grown(open_memory, texts, base=base))[1].children(ROOT)) for base in (0.1, 0.3, 0.5, 0.7, 0.9, 1.1)
    ]
    assert tops == sorted(tops)
    assert (tops[0] < tops[-1], tops[-1]) == (True, len(texts))


def test_the_papers_threshold_leaves_a_tree_of_three_levels_and_the_scaled_one_a_deeper(
    open_memory: Callable[..., Memory],
) -> None:
    texts = ["t0 d0"] * 8
    assert kept(grown(open_memory, texts, theme_llm()))[1].deepest() <= 3
    assert kept(grown(open_memory, texts, theme_llm("rules:deeper"), is_scaled=True))[1].deepest() > 3


def test_what_a_summary_said_before_can_be_asked_for_as_of_then(
    open_memory: Callable[..., Memory], clock: ManualClock
) -> None:
    llm = RuleLLM("rules:counting")
    llm.rule("summary", lambda asked: {"summary": f"t0 after {asked.data['new'][0]['text']}"})
    memory = open_memory(embedder=Themes(spread=1.0), llm=llm)
    memory.attach(ID, llm=llm)
    for detail in range(3):
        memory.add(f"t0 d{detail}", id=f"e{detail}")
        clock.advance(timedelta(minutes=1))
    memory.consolidate()
    then = clock.now() - timedelta(minutes=1, seconds=30)
    now, past = (memory.system(ID).search("t0", as_of=at).hits for at in (None, then))
    assert [hit.text for hit in now if hit.kind == INNER] == ["t0 after t0 d2"]
    assert [hit.text for hit in past if hit.kind == INNER] == ["t0 after t0 d1"]
    assert [hit.sources for hit in past if hit.kind == INNER] == [("e0", "e1")]
    newest = next(hit.record for hit in now if hit.kind == INNER and hit.record)
    assert newest.data["previous"] == next(hit.id for hit in past if hit.kind == INNER)


def test_versions_of_one_moment_are_one_version(open_memory: Callable[..., Memory]) -> None:
    memory = grown(open_memory, clusters(), theme_llm())  # the clock stands still
    versions = Counter(one.data["key"] for one in memory.records(system=ID, kind=INNER))
    assert set(versions.values()) == {1}


def test_an_empty_answer_leaves_the_summary_to_the_offline_path(open_memory: Callable[..., Memory]) -> None:
    llm = RuleLLM("rules:silent")
    llm.rule("summary", {"summary": "  "})
    memory = grown(open_memory, ["I like t0 d0", "I want t0 d1"], llm)
    summary = next(iter(memory.records(system=ID, kind=INNER)))
    assert summary.text == "Ann likes t0 d0. Ann wants t0 d1."
    assert summary.data["by"] == "offline"


def test_many_children_are_compared_as_exactly_as_few() -> None:
    generator = np.random.default_rng(5)
    rows = generator.standard_normal((900, 32)).astype(np.float32)
    rows /= np.sqrt((rows * rows).sum(1, keepdims=True))
    said = rows[:20] + np.float32(0.3) * rows[20:40]
    family = Family(said)
    for at, row in enumerate(rows[:700]):
        family.add(f"k{at:03}", row)
    family.nearest(0, said[0])  # from here on some are replaced and some are new
    family.replace("k001", "k001", rows[880])
    family.replace("k003", "other", said[3])
    for at, row in enumerate(rows[700:900], start=700):
        family.add(f"k{at:03}", row)
    family.replace("k800", "k800", rows[801])
    names = [f"k{at:03}" for at in range(900)]
    names[3] = "other"
    current = rows.copy()
    current[1], current[3], current[800] = rows[880], said[3], rows[801]
    for at, vector in enumerate(said):
        cosines = np.einsum("ij,j->i", current, vector)
        best = min(names[row] for row in np.flatnonzero(cosines == cosines.max()))
        assert family.nearest(at, vector) == {best: float(cosines.max())}


@pytest.mark.parametrize("wrong", [{"base": -1.0}, {"rate": float("nan")}, {"max_words": 0}], ids=str)
def test_parameters_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        create(ID, wrong)


def test_without_a_model_summaries_are_statements_of_what_lies_below(memory: Memory) -> None:
    for text in ("I bought a blue tent in Porto", "I bought a blue tent in Lisbon", "The violin is out of tune"):
        memory.add(text, actor="Ann", occurred_at=datetime(2024, 4, 1, tzinfo=UTC))
    memory.attach(ID)
    memory.consolidate()
    summaries = memory.records(system=ID, kind=INNER)
    assert [one.text for one in summaries] == ["Ann bought a blue tent in Porto. Ann bought a blue tent in Lisbon."]
