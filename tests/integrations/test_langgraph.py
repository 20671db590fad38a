"""`MnemicStore` is a LangGraph store: the same rules as the stores that come with it, and our choice where those differ.

The first part runs against LangGraph's own in-memory store as well; what holds there must hold here.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

pytest.importorskip("langgraph.store.base")

from langchain_core.embeddings import Embeddings
from langgraph.store.base import (
    BaseStore,
    GetOp,
    InvalidNamespaceError,
    Item,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchItem,
    SearchOp,
)
from langgraph.store.memory import InMemoryStore

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.documents import Documents
from mnemic.errors import InvalidEpisode, ParameterError
from mnemic.integrations.langgraph import MnemicStore
from mnemic.integrations.langgraph_names import namespace_of, scope_of

START = datetime(2024, 5, 1, 12, tzinfo=UTC)
WORDS = ["tea", "coffee", "river", "garden", "violin"]


def embed(texts: Any) -> list[list[float]]:
    """How often each word stands in a text, and a little of its length; may be negative."""
    return [[float(text.count(word)) for word in WORDS] + [1.0 - len(text) / 40.0] for text in texts]


INDEX: Any = {"dims": len(WORDS) + 1, "embed": embed, "fields": ["text", "notes[*]"]}


@pytest.fixture(params=["langgraph", "mnemic", "mnemic below a scope"])
def make(request: pytest.FixtureRequest, open_memory: Callable[..., Memory]) -> Callable[..., BaseStore]:
    """How a store is made: LangGraph's own, ours on a whole memory, ours on a scope between others with episodes."""

    def make(**settings: Any) -> BaseStore:
        if request.param == "langgraph":
            return InMemoryStore(**settings)
        memory = open_memory()
        if request.param == "mnemic":
            return MnemicStore(memory, **settings)
        here = memory.scope("acme/alice")
        for scope in (here, here.scope("a"), here.scope("a/b"), memory.scope("acme")):
            scope.add(["tea in the garden", "who said that?"])
        MnemicStore(memory.scope("acme/bob")).put(("a",), "k", {"text": "his"})
        return MnemicStore(here, **settings)

    return make


@pytest.fixture
def store(make: Callable[..., BaseStore]) -> BaseStore:
    return make()


def keys(items: list[SearchItem]) -> list[str]:
    return [item.key for item in items]


# -- 1. results ------------------------------------------------------------------------------------------------


def test_1_results_come_in_the_order_of_the_operations(store: BaseStore) -> None:
    store.put(("a",), "k", {"x": 1})
    results = store.batch(
        [
            SearchOp(("nothing",)),
            PutOp(("a",), "new", {"x": 2}),
            GetOp(("a",), "k"),
            GetOp(("a",), "missing"),
            ListNamespacesOp(),
            SearchOp(("a",)),
        ]
    )
    assert results[:2] == [[], None]
    assert results[2].value == {"x": 1}
    assert results[3] is None
    assert results[4] == [("a",)]
    assert keys(results[5]) == ["k"]
    assert store.batch([]) == []


def test_1_an_item_has_what_was_put_where_and_when(store: BaseStore) -> None:
    store.put(("a", "b"), "k", {"x": [1, 2.5, None, {"y": "z"}]})
    item = store.get(("a", "b"), "k")
    assert type(item) is Item
    assert (item.value, item.key, item.namespace) == ({"x": [1, 2.5, None, {"y": "z"}]}, "k", ("a", "b"))
    assert item.created_at <= item.updated_at
    assert item.created_at.utcoffset() == timedelta(0)
    (found,) = store.search(("a",))
    assert type(found) is SearchItem
    assert (found.value, found.key, found.namespace, found.score) == (item.value, "k", ("a", "b"), None)


# -- 2. reads before writes ------------------------------------------------------------------------------------


def test_2_reads_of_a_batch_see_what_was_before_it(store: BaseStore) -> None:
    store.put(("a",), "k", {"x": 1})
    results = store.batch(
        [PutOp(("a",), "k", {"x": 2}), GetOp(("a",), "k"), PutOp(("a",), "l", {"x": 3}), SearchOp(("a",))]
    )
    assert results[1].value == {"x": 1}
    assert keys(results[3]) == ["k"]
    assert store.get(("a",), "k").value == {"x": 2}


def test_2_of_several_puts_of_a_key_the_last_counts(store: BaseStore) -> None:
    store.batch(
        [
            PutOp(("a",), "k", {"x": 1}),
            PutOp(("b",), "k", {"x": 9}),
            PutOp(("a",), "k", {"x": 2}),
            PutOp(("a",), "gone", {"x": 3}),
            PutOp(("a",), "gone", None),
            PutOp(("a",), "back", None),
            PutOp(("a",), "back", {"x": 4}),
        ]
    )
    found = {(item.namespace, item.key): item.value["x"] for item in store.search(())}
    assert found == {(("a",), "k"): 2, (("b",), "k"): 9, (("a",), "back"): 4}


# -- 3, 4, 5. delete, replace, keys ----------------------------------------------------------------------------


def test_3_putting_none_deletes_and_deleting_nothing_is_silent(store: BaseStore) -> None:
    store.put(("a",), "k", {"x": 1})
    store.batch([PutOp(("a",), "k", None), PutOp(("never",), "k", None)])
    store.delete(("a",), "k")
    store.delete(("b", "c"), "k")
    assert store.get(("a",), "k") is None
    assert store.search(()) == []


def test_4_a_put_replaces_the_whole_value_and_moves_updated_at(store: BaseStore, clock: ManualClock) -> None:
    store.put(("a",), "k", {"x": 1, "y": 2})
    before = store.get(("a",), "k")
    clock.advance(timedelta(seconds=1))
    store.put(("a",), "k", {"y": 3})
    after = store.get(("a",), "k")
    assert after.value == {"y": 3}
    assert after.updated_at > before.updated_at


def test_5_keys_become_text(store: BaseStore) -> None:
    store.put(("a",), 7, {"x": 1})  # type: ignore[arg-type]
    assert store.get(("a",), "7").key == "7"
    assert store.get(("a",), 7).value == {"x": 1}  # type: ignore[arg-type]
    store.delete(("a",), 7)  # type: ignore[arg-type]
    assert store.get(("a",), "7") is None


@pytest.mark.parametrize("key", ["", "\0", "\0\0x", "a/b", "..", "é", "e\u0301", " ", "K", "k", "x" * 2000], ids=ascii)
def test_5_any_text_is_a_key_and_no_two_are_the_same(store: BaseStore, key: str) -> None:
    others = {"", "\0", "a", "k", "é"} - {key}
    for other in others:
        store.put(("a",), other, {"key": other})
    store.put(("a",), key, {"key": key})
    assert store.get(("a",), key).value == {"key": key}
    assert {item.key: item.value["key"] for item in store.search(("a",), limit=20)} == {
        one: one for one in {*others, key}
    }


# -- 6. namespaces ---------------------------------------------------------------------------------------------

BAD_LABELS: list[Any] = [("a.b",), ("",), ("a", ""), ("a\0b",), ("a", 7), (None,)]


@pytest.mark.parametrize("namespace", BAD_LABELS, ids=ascii)
def test_6_a_bad_label_is_refused_by_every_verb(store: BaseStore, namespace: Any) -> None:
    for verb in (
        lambda: store.get(namespace, "k"),
        lambda: store.put(namespace, "k", {}),
        lambda: store.delete(namespace, "k"),
        lambda: store.search(namespace),
        lambda: store.list_namespaces(prefix=namespace),
    ):
        with pytest.raises(InvalidNamespaceError):
            verb()
    assert issubclass(InvalidNamespaceError, ValueError)


def test_6_put_forbids_the_empty_namespace_and_the_root_langgraph_and_reading_does_not(store: BaseStore) -> None:
    for namespace in ((), ("langgraph",), ("langgraph", "x")):
        with pytest.raises(InvalidNamespaceError):
            store.put(namespace, "k", {})
        assert store.get(namespace, "k") is None
        assert store.search(namespace) == []
        store.delete(namespace, "k")
    store.put(("a", "langgraph"), "k", {"x": 1})
    assert keys(store.search(())) == ["k"]


# -- 7. search without a query ---------------------------------------------------------------------------------


def test_7_a_prefix_is_one_of_whole_labels_in_their_case(store: BaseStore) -> None:
    for namespace in (("user",), ("user", "alice"), ("users",), ("User",), ("user", "alice", "deep"), ("x", "user")):
        store.put(namespace, "/".join(namespace), {})
    assert set(keys(store.search(("user",)))) == {"user", "user/alice", "user/alice/deep"}
    assert set(keys(store.search(("user", "alice")))) == {"user/alice", "user/alice/deep"}
    assert keys(store.search(("us",))) == []
    assert len(store.search(())) == 6


@pytest.mark.parametrize("index", [None, INDEX], ids=["no index", "an index and no query"])
def test_7_a_query_without_an_index_and_an_index_without_a_query_give_all_without_scores(
    make: Callable[..., BaseStore], index: Any
) -> None:
    store = make(index=index)
    for key in "abc":
        store.put(("a",), key, {"text": "tea"})
    found = store.search(("a",), query=None if index else "tea")
    assert set(keys(found)) == {"a", "b", "c"}
    assert [item.score for item in found] == [None] * 3
    assert len(store.search(("a",), limit=2)) == 2
    pages = [keys(store.search(("a",), limit=1, offset=at)) for at in range(4)]
    assert sorted(key for page in pages for key in page) == ["a", "b", "c"]


FILTERS: list[tuple[Any, set[str]]] = [
    ({"kind": "x"}, {"1", "3"}),
    ({"kind": "x", "n": 1}, {"1"}),
    ({"n": {"$eq": 2}}, {"2"}),
    ({"n": {"$ne": 2}}, {"1", "3", "4"}),
    ({"deep": {"at": {"least": 1}}}, {"1"}),
    ({"deep": {"at": {"least": {"$eq": 1}}}}, {"1"}),
    ({"deep": {"at": 1}}, set()),
    ({"list": ["p", "q"]}, {"1"}),
    ({"list": ["p"]}, {"2"}),
    ({"list": ["q", "p"]}, set()),
    ({"list": [{"$ne": "p"}, "q"]}, set()),
    ({"missing": None}, {"1", "2", "3", "4"}),
    ({"missing": 1}, set()),
    ({}, {"1", "2", "3", "4"}),
    ({"f": {"$gt": 1, "$lte": 3}}, {"2", "3"}),
    ({"f": {"$gte": "1"}}, {"1", "2", "3", "4"}),
    ({"f": {"$lt": 2.5}}, {"1", "2"}),
]


@pytest.mark.parametrize(
    ("filter", "expected"), FILTERS, ids=lambda value: "" if isinstance(value, set) else str(value)
)
def test_7_filters_compare_values_by_key_and_operator(store: BaseStore, filter: Any, expected: set[str]) -> None:
    store.put(("a",), "1", {"kind": "x", "n": 1, "deep": {"at": {"least": 1}}, "list": ["p", "q"], "f": 1})
    store.put(("a",), "2", {"kind": "y", "n": 2, "deep": {"at": {"least": 2}}, "list": ["p"], "f": 2})
    store.put(("a", "b"), "3", {"kind": "x", "n": 3, "deep": None, "f": "3"})
    store.put(("a",), "4", {"kind": ["x"], "f": 4.5})
    assert set(keys(store.search(("a",), filter=filter))) == expected


def test_7_an_unknown_operator_is_refused(store: BaseStore) -> None:
    store.put(("a",), "k", {"n": 1})
    with pytest.raises(ValueError, match="regex"):
        store.search(("a",), filter={"n": {"$regex": "1"}})


# -- 8. search with a query ------------------------------------------------------------------------------------


def test_8_items_are_ranked_by_the_best_cosine_of_their_vectors(make: Callable[..., BaseStore]) -> None:
    store = make(index=INDEX)
    store.put(("a",), "tea", {"text": "tea tea"})
    store.put(("a",), "notes", {"text": "river", "notes": ["coffee", "tea", "garden"]})
    store.put(("a",), "other", {"text": "x" * 200})
    found = store.search(("a",), query="tea")
    query = np.array(embed(["tea"])[0])

    def cosine(text: str) -> float:
        vector = np.array(embed([text])[0])
        return float(vector @ query / np.linalg.norm(vector) / np.linalg.norm(query))

    assert keys(found) == ["notes", "tea", "other"]
    expected = [cosine("tea"), cosine("tea tea"), cosine("x" * 200)]
    assert [item.score for item in found] == pytest.approx(expected, abs=1e-6)
    assert expected[2] < 0  # the least like it, and still with its score


def test_8_offset_and_limit_count_items_and_not_vectors(make: Callable[..., BaseStore]) -> None:
    store = make(index=INDEX)
    for at in range(6):
        store.put(("a",), str(at), {"text": "tea " * (at + 1), "notes": ["tea", "river"] if at % 2 else []})
    whole = keys(store.search(("a",), query="tea", limit=10))
    assert sorted(whole) == list("012345")
    assert [keys(store.search(("a",), query="tea", limit=2, offset=at)) for at in (0, 2, 4, 6)] == [
        whole[:2],
        whole[2:4],
        whole[4:],
        [],
    ]


def test_8_items_without_vectors_only_fill_up(make: Callable[..., BaseStore]) -> None:
    store = make(index=INDEX)
    store.put(("a",), "scored", {"text": "tea"})
    store.put(("a",), "unindexed", {"text": "tea"}, index=False)
    store.put(("a",), "textless", {"number": 3})
    store.put(("a",), "also scored", {"text": "river"})
    found = store.search(("a",), query="tea")
    assert (keys(found)[:2], set(keys(found)[2:])) == (["scored", "also scored"], {"unindexed", "textless"})
    assert [item.score is None for item in found] == [False, False, True, True]
    assert keys(store.search(("a",), query="tea", limit=2)) == ["scored", "also scored"]


def test_8_a_filter_and_a_prefix_narrow_before_ranking(make: Callable[..., BaseStore]) -> None:
    store = make(index=INDEX)
    for at in range(30):
        store.put(("a", "b"), f"strong {at}", {"text": "tea", "kind": "x"})
    store.put(("a", "b"), "weak", {"text": "tea river garden", "kind": "rare"})
    store.put(("a", "c"), "elsewhere", {"text": "tea river", "kind": "x"})
    assert keys(store.search(("a",), query="tea", filter={"kind": "rare"}, limit=1)) == ["weak"]
    assert keys(store.search(("a", "c"), query="tea", limit=1)) == ["elsewhere"]


# -- 9. what is embedded ---------------------------------------------------------------------------------------


class Noting(Embeddings):
    """Embeddings that note what they were asked for."""

    def __init__(self) -> None:
        self.documents: list[list[str]] = []
        self.queries: list[str] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.documents.append(sorted(texts))
        return embed(texts)

    def embed_query(self, text: str) -> list[float]:
        self.queries.append(text)
        return embed([text])[0]


VALUE = {
    "a": {"b": "tea", "n": 3},
    "list": ["one", "two", {"deep": "three"}],
    "b": True,
    "none": None,
    "wild": {"p": "P", "q": "Q"},
}
PATHS: list[tuple[Any, list[str]]] = [
    (["a.b"], ["tea"]),
    (["a.n", "b"], ["3", "True"]),
    (["list[0]"], ["one"]),
    (["list[-1].deep"], ["three"]),
    (["list[*]"], ["one", "two", '{"deep": "three"}']),
    (["list[*].deep"], ["three"]),
    (["a"], ['{"b": "tea", "n": 3}']),
    (["none", "missing", "list[9]"], []),
    (["wild.*"], ["P", "Q"]),
    (["{wild.p,a.b}"], ["P", "tea"]),
]  # fmt: skip


@pytest.mark.parametrize(("paths", "texts"), PATHS, ids=lambda one: str(one)[:40])
def test_9_paths_say_what_is_embedded(make: Callable[..., BaseStore], paths: Any, texts: list[str]) -> None:
    by_put, by_config = Noting(), Noting()
    store = make(index={"dims": 6, "embed": by_put, "fields": ["nothing"]})
    store.put(("a",), "k", VALUE, index=paths)
    make(index={"dims": 6, "embed": by_config, "fields": paths}).put(("a",), "k", VALUE)
    expected = [sorted(set(texts))] if texts else []
    assert [by_put.documents, by_config.documents] == [expected, expected]


def test_9_the_whole_item_is_embedded_unless_fields_say_otherwise_and_false_embeds_nothing(
    make: Callable[..., BaseStore],
) -> None:
    noting = Noting()
    store = make(index={"dims": 6, "embed": noting})
    store.put(("a",), "k", {"y": 1, "x": "é"})
    store.put(("a",), "l", {"x": 2}, index=False)
    assert noting.documents == [['{"x": "é", "y": 1}']]


def test_9_the_index_of_a_put_is_ignored_by_a_store_without_one(store: BaseStore) -> None:
    store.put(("a",), "k", {"text": "tea"}, index=["text"])
    store.put(("a",), "l", {"text": "tea"}, index=False)
    assert [item.score for item in store.search(("a",), query="tea")] == [None, None]


def test_9_what_a_batch_puts_is_embedded_in_one_call_and_each_query_once(make: Callable[..., BaseStore]) -> None:
    noting = Noting()
    store = make(index={"dims": 6, "embed": noting, "fields": ["text"]})
    store.batch([PutOp(("a",), key, {"text": f"tea {key}"}) for key in "abc"])
    store.batch([SearchOp(("a",), query="tea"), SearchOp((), query="tea"), SearchOp((), query="river")])
    assert noting.documents == [["tea a", "tea b", "tea c"]]
    assert sorted(noting.queries) == ["river", "tea"]


def test_9_embed_may_be_a_function_a_coroutine_function_or_an_object(make: Callable[..., BaseStore]) -> None:
    async def later(texts: Any) -> list[list[float]]:
        await asyncio.sleep(0)
        return embed(texts)

    async def use(store: BaseStore) -> list[SearchItem]:
        await store.aput(("a",), "k", {"text": "tea"})
        await store.aput(("a",), "l", {"text": "river"})
        return await store.asearch(("a",), query="tea")

    for one in (embed, later, Noting()):
        found = asyncio.run(use(make(index={"dims": 6, "embed": one, "fields": ["text"]})))
        assert keys(found) == ["k", "l"]
        assert found[0].score == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(ValueError, match="async"):
        make(index={"dims": 6, "embed": later}).put(("a",), "k", {"text": "tea"})
    with pytest.raises(ValueError, match="Could not load embeddings"):
        make(index={"dims": 6, "embed": "nobody:nothing"})


# -- 11. namespaces that are listed ----------------------------------------------------------------------------

LISTED = [("a",), ("a", "b"), ("a", "b", "c"), ("a", "x", "c"), ("b", "c"), ("z", "y", "x", "c")]


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"prefix": ("a",)},
        {"prefix": ("a", "*", "c")},
        {"prefix": ("*", "b")},
        {"suffix": ("c",)},
        {"suffix": ("*", "c")},
        {"suffix": ("x", "*")},
        {"prefix": ("a",), "suffix": ("c",)},
        {"prefix": ("nothing",)},
        {"prefix": ("a", "b", "c", "d")},
        {"max_depth": 1},
        {"max_depth": 2},
        {"max_depth": 2, "prefix": ("a",)},
        {"limit": 2},
        {"limit": 2, "offset": 1},
        {"max_depth": 1, "limit": 1, "offset": 1},
    ],
    ids=str,
)
def test_11_namespaces_are_matched_truncated_sorted_and_paged(store: BaseStore, question: dict[str, Any]) -> None:
    model = InMemoryStore()
    for each in (store, model):
        for namespace in LISTED:
            each.put(namespace, "k", {})
    assert store.list_namespaces(**question) == model.list_namespaces(**question)


def test_11_all_conditions_of_an_operation_must_match(store: BaseStore) -> None:
    for namespace in LISTED:
        store.put(namespace, "k", {})
    conditions = (
        MatchCondition("prefix", ("a",)),
        MatchCondition("prefix", ("*", "b")),
        MatchCondition("suffix", ("c",)),
    )
    assert store.batch([ListNamespacesOp(conditions)]) == [[("a", "b", "c")]]


# -- 12. in an event loop --------------------------------------------------------------------------------------


def test_12_every_verb_has_its_async_twin(make: Callable[..., BaseStore]) -> None:
    async def use() -> None:
        store = make(index=INDEX)
        await store.aput(("a",), "k", {"text": "tea"})
        assert (await store.aget(("a",), "k")).value == {"text": "tea"}
        assert (await store.asearch(("a",), query="tea"))[0].score == pytest.approx(1.0, abs=1e-6)
        assert await store.alist_namespaces() == [("a",)]
        await store.adelete(("a",), "k")
        assert await store.abatch([GetOp(("a",), "k"), SearchOp(())]) == [None, []]

    asyncio.run(use())


def test_12_the_plain_verbs_work_in_a_running_loop_and_many_calls_at_once_lose_nothing(
    make: Callable[..., BaseStore],
) -> None:
    async def use() -> None:
        store = make()
        store.put(("a",), "plain", {"x": 1})
        await asyncio.gather(*(store.aput(("a", str(at % 3)), str(at), {"x": at}) for at in range(30)))
        found = await asyncio.gather(*(store.aget(("a", str(at % 3)), str(at)) for at in range(30)))
        assert [item.value["x"] for item in found] == list(range(30))
        assert len(store.search((), limit=100)) == 31

    asyncio.run(use())


# -- both at once, whatever is done ----------------------------------------------------------------------------

NAMESPACES = st.sampled_from([("a",), ("a", "b"), ("a", "b", "c"), ("b",), ("A", "b/c", "é"), ("A", "e\u0301")])
KEYS = st.sampled_from(["k", "l", "K", ""])
TEXTS = st.lists(st.sampled_from([*WORDS, "and more"]), max_size=4).map(" ".join)
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "text": TEXTS,
        # theirs refuses a batch in which a text stands twice
        "notes": st.lists(TEXTS.map(lambda text: f"note {text}"), max_size=3, unique=True),
        "n": st.integers(-3, 3) | st.floats(-2, 2) | st.booleans(),
        "deep": st.dictionaries(st.sampled_from("pq"), st.integers(0, 2)),
    },
)
ANY_FILTER = st.fixed_dictionaries(
    {},
    optional={"n": st.integers(-3, 3) | st.fixed_dictionaries({"$ne": st.integers(-3, 3)}), "deep": st.just({"p": 1})},
)


class Together(RuleBasedStateMachine):
    """LangGraph's in-memory store and ours, with the same calls."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock(START)
        self.memory = Memory.open(embedder="hashing", clock=self.clock)
        self.ours = MnemicStore(self.memory.scope("acme"), index=INDEX, clock=self.clock)
        self.theirs = InMemoryStore(index=INDEX)

    def teardown(self) -> None:
        self.memory.close()

    @rule(namespace=NAMESPACES, key=KEYS, value=VALUES, index=st.sampled_from([None, None, False, ["notes[0]"]]))
    def put(self, namespace: Any, key: str, value: Any, index: Any) -> None:
        self.theirs.delete(namespace, key)  # theirs keeps vectors of places that the new value does not have
        for store in (self.ours, self.theirs):
            store.put(namespace, key, value, index)

    @rule(namespace=NAMESPACES, key=KEYS)
    def delete(self, namespace: Any, key: str) -> None:
        for store in (self.ours, self.theirs):
            store.delete(namespace, key)

    @rule(ops=st.lists(st.tuples(NAMESPACES, KEYS, st.none() | VALUES), max_size=5), read=st.tuples(NAMESPACES, KEYS))
    def batch(self, ops: Any, read: Any) -> None:
        places = dict.fromkeys(op[:2] for op in ops if op[:2] != read)
        last = {place: next(op for op in reversed(ops) if op[:2] == place) for place in places}
        calls = [GetOp(*read), *(PutOp(*op) for op in ops if op[:2] != read), GetOp(*read)]
        ours = self.ours.batch(calls)
        theirs = self.theirs.batch([GetOp(*read), GetOp(*read)])
        for place, op in last.items():
            self.theirs.delete(*place)
            self.theirs.batch([PutOp(*op)])
        assert [one and one.value for one in ours if one] == [one.value for one in theirs if one]

    @rule(prefix=NAMESPACES | st.just(()) | st.just(("A",)), filter=ANY_FILTER, query=TEXTS.filter(bool))
    def search(self, prefix: Any, filter: Any, query: str) -> None:
        ours, theirs = (
            store.search(prefix, filter=filter, query=query, limit=50) for store in (self.ours, self.theirs)
        )
        scores = [{(item.namespace, item.key): item.score for item in found} for found in (ours, theirs)]
        assert scores[0].keys() == scores[1].keys()
        for place, score in scores[1].items():
            assert (scores[0][place] is None) == (score is None)
            assert score is None or scores[0][place] == pytest.approx(score, abs=1e-5)
        first = self.ours.search(prefix, filter=filter, query=query, limit=3)
        assert [item.score for item in first] == [item.score for item in ours[:3]]

    @invariant()
    def they_hold_the_same(self) -> None:
        ours, theirs = (
            {(item.namespace, item.key): item.value for item in store.search((), limit=100)}
            for store in (self.ours, self.theirs)
        )
        assert ours == theirs
        assert self.ours.list_namespaces() == sorted({namespace for namespace, _ in theirs})
        for namespace, key in theirs:
            assert self.ours.get(namespace, key).value == theirs[namespace, key]


Together.TestCase.settings = settings(max_examples=20, stateful_step_count=15)
TestTogether = Together.TestCase


# -- our choices where stores differ ---------------------------------------------------------------------------


@pytest.fixture
def ours(memory: Memory, clock: ManualClock) -> MnemicStore:
    return MnemicStore(memory.scope("acme"), index=INDEX, clock=clock)


def test_created_at_survives_an_overwrite_and_not_a_deletion(ours: MnemicStore, clock: ManualClock) -> None:
    ours.put(("a",), "k", {"x": 1})
    clock.advance(timedelta(hours=1))
    ours.put(("a",), "k", {"x": 2})
    for item in (ours.get(("a",), "k"), ours.search(("a",))[0]):
        assert item is not None
        assert (item.created_at, item.updated_at) == (START, START + timedelta(hours=1))
    ours.delete(("a",), "k")
    ours.put(("a",), "k", {"x": 3})
    assert ours.get(("a",), "k").created_at == START + timedelta(hours=1)  # type: ignore[union-attr]


def test_without_a_score_the_latest_changed_comes_first(ours: MnemicStore) -> None:
    for key in "abc":
        ours.put(("a", key), key, {"text": "tea"}, index=False)
    ours.put(("a", "b"), "b", {"x": 2}, index=False)
    assert keys(ours.search(("a",))) == ["b", "c", "a"]
    assert keys(ours.search(("a",), query="tea")) == ["b", "c", "a"]


def test_a_page_of_a_search_goes_on_through_items_without_vectors(ours: MnemicStore) -> None:
    for at in range(3):
        ours.put(("a",), f"scored {at}", {"text": "tea " * (at + 1)})
    for at in range(3):
        ours.put(("a",), f"none {at}", {}, index=False)
    pages = [keys(ours.search(("a",), query="tea", limit=2, offset=at)) for at in (0, 2, 4, 6)]
    assert pages[3] == []
    assert [key.split()[0] for page in pages for key in page] == ["scored"] * 3 + ["none"] * 3
    assert len({key for page in pages for key in page}) == 6


def test_namespaces_without_items_are_not_listed(ours: MnemicStore) -> None:
    ours.get(("phantom",), "k")
    ours.search(("phantom", "b"))
    ours.put(("a", "b"), "k", {})
    ours.delete(("a", "b"), "k")
    ours.handle.scope("talk").add("no item, but something that was said")
    assert ours.list_namespaces() == []


@pytest.mark.parametrize("wanted", [{"$gt": 1}, {"$lt": 1}, {"$gte": "a"}, {"$lte": 0}])
def test_a_comparison_with_what_is_missing_or_of_another_kind_does_not_match(ours: MnemicStore, wanted: Any) -> None:
    ours.put(("a",), "missing", {"x": 1})
    ours.put(("a",), "list", {"n": [1]})
    ours.put(("a",), "none", {"n": None})
    assert ours.search(("a",), filter={"n": wanted}) == []


def test_a_text_that_stands_twice_in_a_batch_is_embedded_once(memory: Memory) -> None:
    noting = Noting()
    store = MnemicStore(memory, index={"dims": 6, "embed": noting, "fields": ["text", "again"]})
    store.batch([PutOp(("a",), key, {"text": "tea", "again": "tea"}) for key in "abc"])
    assert noting.documents == [["tea"]]
    assert len(store.search(("a",), query="tea")) == 3


def test_the_whole_item_can_also_be_named_where_it_is_put(memory: Memory) -> None:
    noting = Noting()
    store = MnemicStore(memory, index={"dims": 6, "embed": noting, "fields": ["text"]})
    store.put(("a",), "k", {"text": "tea", "x": 1}, index=["$", "x"])
    assert noting.documents == [["1", '{"text": "tea", "x": 1}']]


def test_texts_that_are_no_numbers_compare_as_texts(ours: MnemicStore) -> None:
    for day in ("2024-05-01", "2024-06-01"):
        ours.put(("a",), day, {"day": day})
    assert keys(ours.search(("a",), filter={"day": {"$gt": "2024-05-15"}})) == ["2024-06-01"]


@pytest.mark.parametrize("namespace", BAD_LABELS, ids=ascii)
def test_a_bad_label_is_refused_in_a_batch_too_and_then_nothing_is_written(ours: MnemicStore, namespace: Any) -> None:
    for op in (
        GetOp(namespace, "k"),
        PutOp(namespace, "k", {}),
        SearchOp(namespace),
        ListNamespacesOp((MatchCondition("prefix", namespace),)),
    ):
        with pytest.raises(InvalidNamespaceError):
            ours.batch([PutOp(("a",), "k", {"x": 1}), op])
    assert ours.search(()) == []


@pytest.mark.parametrize(
    "op",
    [
        PutOp(("b",), "k", {"x": float("nan")}),
        PutOp(("b",), "k", {"x": object()}),
        PutOp(("b",), "k", {1: 2}),  # type: ignore[dict-item]
        PutOp(("b",), "k", "text"),  # type: ignore[arg-type]
        PutOp(("b",), "\ud800", {}),
        PutOp(("b",), "x" * 9000, {}),
        PutOp(("b" * 1001,), "k", {}),
        PutOp(("b",), "k", {}, ttl=-1),
        PutOp(("b",), "k", {}, ttl=float("inf")),
        "no operation",
    ],
    ids=lambda op: ascii(op)[:60],
)
def test_what_cannot_be_kept_is_a_value_error_and_nothing_of_the_batch_is_written(ours: MnemicStore, op: Any) -> None:
    with pytest.raises(ValueError):
        ours.batch([PutOp(("a",), "k", {"x": 1}), op])
    assert ours.search(()) == []


def test_an_embed_function_that_gives_something_else_writes_nothing(memory: Memory) -> None:
    for wrong in ([[1.0]], [], [[float("nan")] * 3], [["x"] * 3]):
        store = MnemicStore(memory, index={"dims": 3, "embed": lambda texts, wrong=wrong: wrong})
        with pytest.raises(ValueError):
            store.put(("a",), "k", {"x": 1})
        assert store.search(()) == []

    def broken(texts: Any) -> Any:
        raise RuntimeError("no network")

    store = MnemicStore(memory, index={"dims": 3, "embed": broken})
    with pytest.raises(RuntimeError):
        store.put(("a",), "k", {"x": 1})
    assert store.search(()) == []


def test_what_is_given_out_is_a_copy(ours: MnemicStore) -> None:
    value = {"list": [1]}
    ours.put(("a",), "k", value)
    value["list"].append(2)
    for item in (ours.get(("a",), "k"), ours.search(("a",))[0]):
        assert item is not None
        item.value["list"].append(3)
    assert [ours.get(("a",), "k").value, ours.search(("a",))[0].value] == [{"list": [1]}] * 2  # type: ignore[union-attr]


# -- labels ----------------------------------------------------------------------------------------------------

LABELS = st.text(min_size=1, max_size=8).filter(lambda label: "." not in label and "\0" not in label)
ODD = [
    "a/b",
    "%",
    "%2F",
    "%ttl",
    " a ",
    "\n",
    "\u200b",
    "e\u0301",
    "é",
    "\ud800",
    "Ω",
    "\u2126",
    "A\u200d\u0301",
    "A",
    "a",
]


@given(
    one=st.lists(LABELS | st.sampled_from(ODD), max_size=3), other=st.lists(LABELS | st.sampled_from(ODD), max_size=3)
)
@settings(max_examples=300)
def test_a_namespace_is_a_scope_and_back_and_no_two_are_one(one: list[str], other: list[str]) -> None:
    from mnemic.model import check_scope

    scope = check_scope(scope_of(tuple(one)))
    assert namespace_of(scope) == tuple(one)
    assert scope.count("/") == max(len(one) - 1, 0)
    assert (scope_of(tuple(other)) == scope) == (one == other)
    assert unicodedata.is_normalized("NFC", scope)


@pytest.mark.parametrize("scope", ["%ttl", "%2f", "%41", "a//b", "%FF", "%E2%82", "%"])
def test_a_scope_that_no_namespace_is_written_as_is_none(scope: str) -> None:
    assert namespace_of(scope) is None


@pytest.mark.parametrize("label", ODD, ids=ascii)
def test_any_label_keeps_its_items_apart(memory: Memory, label: str) -> None:
    store = MnemicStore(memory)
    for other in ODD:
        store.put((other, "x"), "k", {"label": ascii(other)})
    assert [item.value for item in store.search((label,))] == [{"label": ascii(label)}]
    assert store.list_namespaces(prefix=(label,)) == [(label, "x")]
    assert len(store.list_namespaces()) == len(ODD)


# -- 10. time to live ------------------------------------------------------------------------------------------


@pytest.fixture
def dying(memory: Memory, clock: ManualClock) -> MnemicStore:
    return MnemicStore(memory.scope("acme"), index=INDEX, clock=clock, ttl={"omit_expired": True})


def minutes(clock: ManualClock, number: float) -> None:
    clock.advance(timedelta(minutes=number))


def test_10_the_stores_say_whether_they_support_it() -> None:
    assert MnemicStore.supports_ttl
    with pytest.raises(NotImplementedError):
        InMemoryStore().put(("a",), "k", {}, ttl=1)


def test_10_an_item_ends_after_its_minutes(dying: MnemicStore, clock: ManualClock) -> None:
    dying.put(("a",), "k", {"text": "tea"}, ttl=10)
    dying.put(("a",), "for ever", {"text": "tea"})
    minutes(clock, 9.9)
    assert dying.get(("a",), "k", refresh_ttl=False) is not None
    minutes(clock, 0.1)
    assert dying.get(("a",), "k") is None
    assert keys(dying.search(("a",))) == ["for ever"]
    assert keys(dying.search(("a",), query="tea")) == ["for ever"]
    assert dying.search(("a",), limit=1)[0].key == "for ever"


@pytest.mark.parametrize("read", ["get", "search", "query"])
def test_10_reading_prolongs_unless_it_is_asked_not_to(dying: MnemicStore, clock: ManualClock, read: str) -> None:
    def look(refresh: bool) -> bool:
        if read == "get":
            return dying.get(("a",), "k", refresh_ttl=refresh) is not None
        return bool(dying.search((), query="tea" if read == "query" else None, refresh_ttl=refresh))

    dying.put(("a",), "k", {"text": "tea"}, ttl=10)
    for _ in range(4):
        minutes(clock, 8)
        assert look(True)
    minutes(clock, 6)
    assert look(False)
    minutes(clock, 4)
    assert not look(True)


def test_10_writing_begins_it_anew_also_with_another_time_or_none(dying: MnemicStore, clock: ManualClock) -> None:
    dying.put(("a",), "k", {"x": 1}, ttl=10)
    minutes(clock, 5)
    assert dying.get(("a",), "k") is not None
    dying.put(("a",), "k", {"x": 2}, ttl=2)
    minutes(clock, 3)
    assert dying.get(("a",), "k") is None
    dying.put(("a",), "k", {"x": 3})
    minutes(clock, 10_000)
    assert dying.get(("a",), "k").value == {"x": 3}  # type: ignore[union-attr]


def test_10_a_sweep_forgets_for_good_what_has_ended(dying: MnemicStore, clock: ManualClock) -> None:
    for key in "abc":
        dying.put(("a", key), key, {"text": f"tea of {key}"}, ttl=10)
    dying.put(("a",), "for ever", {})
    minutes(clock, 8)
    dying.get(("a", "b"), "b")
    minutes(clock, 3)
    assert dying.list_namespaces() == [("a",), ("a", "b")]
    assert dying.sweep_ttl() == 2
    assert dying.sweep_ttl() == 0
    assert keys(dying.search(())) == ["for ever", "b"]
    assert dying.handle.scope("a/a").list() == []


def test_10_expired_items_are_given_out_until_the_sweep_unless_they_are_omitted(
    memory: Memory, clock: ManualClock
) -> None:
    store = MnemicStore(memory, clock=clock, ttl={"default_ttl": 5, "refresh_on_read": False})
    store.put(("a",), "k", {"x": 1})
    minutes(clock, 6)
    assert store.get(("a",), "k") is not None
    assert keys(store.search(())) == ["k"]
    assert store.sweep_ttl() == 1
    assert store.get(("a",), "k") is None


def test_10_the_default_holds_for_puts_that_say_nothing_and_none_is_for_ever(
    memory: Memory, clock: ManualClock
) -> None:
    store = MnemicStore(memory, clock=clock, ttl={"default_ttl": 5, "omit_expired": True})
    store.put(("a",), "default", {})
    store.put(("a",), "own", {}, ttl=20)
    store.put(("a",), "for ever", {}, ttl=None)
    minutes(clock, 6)
    assert set(keys(store.search(("a",), refresh_ttl=False))) == {"own", "for ever"}


def test_10_reads_close_together_write_nothing_and_many_leave_little(dying: MnemicStore, clock: ManualClock) -> None:
    dying.put(("a",), "k", {}, ttl=100)
    notes = dying.handle.scope("%ttl")
    minutes(clock, 0.5)
    dying.get(("a",), "k")
    assert notes.list() == []
    for _ in range(150):
        minutes(clock, 2)
        assert dying.get(("a",), "k") is not None
    assert 0 < len(notes.list(limit=1000)) <= 64
    dying.delete(("a",), "k")
    assert notes.list() == []
    assert dying.list_namespaces() == []


def test_10_another_store_on_the_memory_knows_what_was_read(dying: MnemicStore, clock: ManualClock) -> None:
    dying.put(("a",), "k", {}, ttl=10)
    minutes(clock, 8)
    dying.get(("a",), "k")
    minutes(clock, 8)
    other = MnemicStore(dying.handle, clock=clock, ttl={"omit_expired": True})
    assert other.sweep_ttl() == 0
    assert keys(other.search(())) == ["k"]


def test_10_a_sweeper_sweeps_by_itself_until_it_is_stopped(memory: Memory) -> None:
    store = MnemicStore(memory, ttl={"default_ttl": 0.0001})
    store.put(("a",), "k", {})
    store.start_ttl_sweeper(0.0005)
    waited = threading.Event()
    for _ in range(100):
        if not memory.scope("a").list():
            break
        waited.wait(0.02)
    assert memory.scope("a").list() == []
    assert store.stop_ttl_sweeper(timeout=5)
    assert store.stop_ttl_sweeper()


# -- on the log ------------------------------------------------------------------------------------------------


def test_deleting_forgets_every_version_for_good_with_its_vectors(
    open_memory: Callable[..., Memory], tmp_path: Path
) -> None:
    memory = open_memory(tmp_path / "m.db")
    store = MnemicStore(memory.scope("acme"), index=INDEX)
    store.put(("a",), "k", {"text": "the violet violin", "more": "of the umber lamp"})
    store.put(("a",), "k", {"text": "the scarlet violin"})
    store.put(("a",), "l", {"text": "the violin that stays"})
    store.search(("a",), query="violin")
    episode = memory.scope("acme/a").list()[0]
    vectors = episode.metadata["document_vectors"]["float32"]
    assert memory.find_traces("violet violin") != []
    assert memory.find_traces(vectors) != []
    store.delete(("a",), "k")
    for trace in ("violet violin", "scarlet violin", "umber lamp", vectors):
        assert memory.find_traces(trace) == []
    assert keys(store.search(("a",), query="violin")) == ["l"]


def test_two_items_that_say_the_same_do_not_go_with_each_other(ours: MnemicStore) -> None:
    for key in "ab":
        ours.put(("a",), key, {"text": "she likes green tea in the garden"})
        ours.search(("a",), query="tea")
    ours.delete(("a",), "a")
    assert keys(ours.search(("a",), query="tea")) == ["b"]


def test_an_items_past_can_be_read_and_asked_for_as_of_a_time(ours: MnemicStore, clock: ManualClock) -> None:
    for at in range(3):
        ours.put(("a",), "k", {"x": at})
        minutes(clock, 1)
    assert [item.value["x"] for item in ours.history(("a",), "k")] == [0, 1, 2]
    assert [item.updated_at for item in ours.history(("a",), "k")] == [START + timedelta(minutes=at) for at in range(3)]
    found = [ours.get_as_of(("a",), "k", START + timedelta(minutes=at)) for at in (-1, 0, 1.5)]
    assert [item and item.value["x"] for item in found] == [None, 0, 1]
    ours.delete(("a",), "k")
    assert ours.history(("a",), "k") == []


def test_a_namespace_is_deleted_with_all_below_it_and_nothing_beside_it(ours: MnemicStore) -> None:
    for namespace in (("a",), ("a", "b"), ("a", "b", "c"), ("ab",)):
        ours.put(namespace, "k", {"x": 1})
    ours.handle.scope("a/b").add("something that was said")
    assert ours.delete_namespace(("a", "b")) == 2
    assert ours.list_namespaces() == [("a",), ("ab",)]
    assert [episode.text for episode in ours.handle.scope("a/b").list()] == ["something that was said"]
    assert ours.delete_namespace(("nothing",)) == 0
    assert ours.delete_namespace(()) == 2
    with pytest.raises(InvalidNamespaceError):
        ours.delete_namespace(("a.b",))


def test_an_item_is_a_document_and_a_document_with_an_object_as_its_value_an_item(ours: MnemicStore) -> None:
    ours.put(("a",), "k", {"text": "tea"})
    documents = Documents(ours.handle.scope("a"))
    assert documents.get("k").value == {"text": "tea"}  # type: ignore[union-attr]
    documents.put("plain", "only text")
    documents.put("object", "", value={"x": 1})
    assert set(keys(ours.search(("a",)))) == {"k", "object"}
    assert ours.get(("a",), "plain") is None
    documents.delete("k")
    assert (ours.get(("a",), "k"), keys(ours.search(("a",)))) == (None, ["object"])


def test_items_and_vectors_are_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    with MnemicStore.open(tmp_path / "m.db", index=INDEX) as store:
        store.put(("a",), "k", {"text": "tea in the garden"})
        store.put(("a",), "l", {"text": "river"})
        before = store.search(("a",), query="garden tea")
    noting = Noting()
    with MnemicStore.open(tmp_path / "m.db", index={**INDEX, "embed": noting}) as store:
        assert store.search(("a",), query="garden tea") == before
        assert [one.score for one in store.search(("a",), query="garden tea")] == [one.score for one in before]
    assert noting.documents == []  # nothing is embedded again


def test_items_with_vectors_of_another_length_are_not_passed_over_in_silence(memory: Memory) -> None:
    MnemicStore(memory, index=INDEX).put(("a",), "k", {"text": "tea"})
    other = MnemicStore(memory, index={"dims": 2, "embed": lambda texts: [[1.0, 2.0] for _ in texts]})
    with pytest.raises(ParameterError, match="6 dimensions"):
        other.search(("a",), query="tea")
    other.put(("a",), "k", {"text": "tea"})
    assert keys(other.search(("a",), query="tea")) == ["k"]


def test_what_others_write_and_forget_is_seen(open_memory: Callable[..., Memory], tmp_path: Path) -> None:
    one, two = (MnemicStore(open_memory(tmp_path / "m.db"), index=INDEX) for _ in range(2))
    for at in range(5):
        one.put(("a",), str(at), {"text": "tea", "at": at})
        assert len(two.search(("a",), query="tea")) == at + 1
    two.delete(("a",), "0")
    two.put(("a",), "1", {"text": "river"})  # one fewer and one more: as many episodes as before
    two.delete(("a",), "2")
    two.put(("a",), "9", {"text": "tea"})
    assert {item.key: item.value["text"] for item in one.search(("a",), query="tea")} == {
        "1": "river",
        "3": "tea",
        "4": "tea",
        "9": "tea",
    }
    one.delete_namespace(())
    assert (two.search(()), two.list_namespaces()) == ([], [])


WRITING = """
import sys
from pathlib import Path
from mnemic.integrations.langgraph import MnemicStore

path, name = sys.argv[1:]
with MnemicStore.open(path) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    for at in range(20):
        store.put(("shared",), f"{name} {at}", {"at": at})
        store.put(("shared",), "same", {"by": name, "at": at})
        store.delete(("shared",), "gone")
"""


def test_two_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    MnemicStore.open(path).close()
    children = [
        subprocess.Popen([sys.executable, "-c", WRITING, str(path), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]  # fmt: skip
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        child.communicate("go\n")
    assert [child.returncode for child in children] == [0, 0]
    with MnemicStore.open(path) as store:
        assert len(store.search((), limit=100)) == 41
        assert len(store.history(("shared",), "same")) == 40


def test_many_vectors_of_items_that_are_gone_do_not_stay_in_memory(ours: MnemicStore) -> None:
    for at in range(300):
        ours.put(("a",), str(at % 5), {"text": f"tea {at}"})
        if at % 50 == 0:
            ours.search(("a",), query="tea")
    assert len(ours.search(("a",), query="tea")) == 5
    rows = ours._shelves[("a",)]._rows[len(WORDS) + 1]
    assert len(rows.owners) == len(rows.units) <= 2 * 5 + 33


# -- by the handle's own embedder ------------------------------------------------------------------------------


@pytest.fixture(params=["mnemic", {"embed": "mnemic", "fields": ["text", "notes[*]"]}], ids=["all", "fields"])
def own(memory: Memory, request: pytest.FixtureRequest) -> Iterator[MnemicStore]:
    return MnemicStore(memory.scope("acme"), index=request.param)


def test_by_its_own_embedder_items_are_ranked_by_meaning_and_words(own: MnemicStore) -> None:
    own.put(("a", "b"), "tea", {"text": "she likes green tea"})
    own.put(("a",), "river", {"text": "a walk by the river"})
    own.put(("a",), "hidden", {"text": "green tea"}, index=False)
    own.put(("z",), "tea", {"text": "green tea elsewhere"})
    found = own.search(("a",), query="green tea")
    assert keys(found) == ["tea", "river", "hidden"]
    assert found[0].score is not None
    assert 1.0 >= found[0].score > (found[1].score or 0.0) >= 0.0
    assert found[2].score is None
    assert keys(own.search((), query="green tea", limit=2, filter={"text": {"$ne": "a walk by the river"}})) in (
        [["tea"] * 2]
    )


def test_by_its_own_embedder_only_the_present_value_of_an_item_is_found(own: MnemicStore) -> None:
    own.put(("a",), "k", {"text": "green tea", "notes": ["in the garden"]})
    own.put(("a",), "k", {"text": "black coffee"})
    own.put(("a",), "l", {"text": "water"})
    found = {item.key: item.score for item in own.search(("a",), query="green tea")}
    again = {item.key: item.score for item in own.search(("a",), query="black coffee")}
    assert again["k"] > found["k"]  # type: ignore[operator]
    own.delete(("a",), "k")
    assert keys(own.search(("a",), query="black coffee")) == ["l"]


def test_without_an_index_nothing_of_an_item_is_embedded(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded: list[str] = []
    embedder = memory._shared.embedder
    monkeypatch.setattr(embedder, "embed", lambda texts, kind="document": embedded.extend(texts) or np.zeros((len(texts), embedder.dim), np.float32))  # fmt: skip
    MnemicStore(memory).put(("a",), "k", {"text": "the secret tea"})
    assert "".join(embedded) == ""


def test_a_memory_that_is_no_handle_of_documents_is_still_the_users(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        MnemicStore.open(tmp_path / "m.db", index={"dims": 1})  # type: ignore[typeddict-item]
    with Memory.open(tmp_path / "m.db", embedder="hashing") as memory:  # it was closed, and can be opened
        store = MnemicStore(memory)
        store.put(("a",), "k", {})
        store.close()
        assert store.get(("a",), "k") is not None  # what was not opened by it is not closed by it


def test_a_value_that_cannot_be_kept_names_what_is_wrong(ours: MnemicStore) -> None:
    with pytest.raises(InvalidEpisode, match="value"):
        ours.put(("a",), "k", {"when": datetime(2024, 1, 1)})


# -- on a server -----------------------------------------------------------------------------------------------


def test_a_store_on_a_client_of_a_server_keeps_the_same_rules(tmp_path: Path) -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    from client.serving import mnemic_at
    from mnemic.client import Client

    clock = ManualClock(START)
    with mnemic_at(tmp_path, clock) as (address, _), Client(address, timeout_s=20) as client:
        for at, index in enumerate([INDEX, "mnemic"]):
            store = MnemicStore(client.scope(f"tenant{at}"), index=index, clock=clock, ttl={"omit_expired": True})
            store.batch([PutOp(("a", "b/c"), str(n), {"text": "tea " * n, "n": n}) for n in range(5)])
            store.put(("a", "b/c"), "1", {"text": "river"}, ttl=10)
            assert store.get(("a", "b/c"), "1").value == {"text": "river"}  # type: ignore[union-attr]
            assert [item.value["text"] for item in store.history(("a", "b/c"), "1")] == ["tea ", "river"]
            assert (store.search(("a",), query="tea")[0].score or 0.0) > 0.0
            assert keys(store.search((), filter={"n": {"$gt": 3}})) == ["4"]
            assert store.list_namespaces() == [("a", "b/c")]
            minutes(clock, 8)
            store.get(("a", "b/c"), "1")
            minutes(clock, 12)
            assert store.sweep_ttl() == 1
            store.delete(("a", "b/c"), "2")
            assert set(keys(store.search(()))) == {"0", "3", "4"}
            assert (store.delete_namespace(()), store.search(())) == (3, [])
