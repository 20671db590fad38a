"""Filters decided on an index's columns: for any filter the same rows as by calling it with each episode."""

import threading
from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic.errors import InvalidFilter
from mnemic.filters import compile_filter
from mnemic.index import fields as fields_module
from mnemic.index import filtering
from mnemic.index.filtering import passing
from mnemic.index.library import IndexLibrary
from mnemic.index.scope_index import ScopeIndex
from mnemic.model import Episode
from mnemic.store.sqlite import SqliteStore
from store.world import START, entry, minute, vector

# few values of each kind, so that filters meet what is stored; and those that are easily taken for one another
TEXTS = [
    "",
    "tea",
    "Tea",
    "a",
    "b",
    "12",
    "3",
    " 3.0",
    "1e2",
    "nan",
    "inf",
    "2024-05-01",
    "2024-05-01T12:03:00",
    "*",
    "é",
]
NUMBERS = [0, 1, -0.0, 3, 3.0, 2.5, -7, 100, 2**53, 2**53 + 1, float(2**53), 2**70, 1e300, 10**400]
PLAIN = [*TEXTS, *NUMBERS, True, False, None]
SCALARS = st.sampled_from(PLAIN)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)
KEYS = ["topic", "a", "metadata.a", "metadata", "role", "session", 'strange"key\\\n']
DRAFT = st.fixed_dictionaries(
    {
        "scope": st.sampled_from(["a", "a/b"]),
        "session": st.sampled_from([None, "monday", "tea"]),
        "actor": st.sampled_from([None, "Ada", "tea", "12"]),
        "role": st.sampled_from(["user", "tool"]),
        "minutes": st.integers(-3, 3),
        "offset": st.sampled_from([0, 90]),
        "metadata": st.just({}) | st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3),
        "text": st.sampled_from(["tea", "Green tea", "coffee"]),
    }
)
LOG = st.lists(DRAFT, min_size=1, max_size=12)
MOMENTS = st.integers(-3, 3).map(minute)
TIMES = (
    MOMENTS
    | MOMENTS.map(lambda moment: moment.astimezone(timezone(timedelta(hours=2))))
    | MOMENTS.map(datetime.isoformat)
    | MOMENTS.map(datetime.timestamp)
    | st.sampled_from(["2024-05-01", date(2024, 5, 1), date(2024, 4, 30), "yesterday"])
)


class Word(str):
    """Text of another class, which is equal to plain text all the same."""


IDS = st.sampled_from([*map(str, range(14)), "gone", "\ud800", "é"])
WANTED = VALUES | TIMES | IDS | st.sampled_from([(), ("tea",), {"tea"}, Word("tea")])
NAMED = [
    *KEYS,
    "id",
    "actor",
    "actor_id",
    "name",
    "run_id",
    "session_id",
    "text",
    "occurred_at",
    "recorded_at",
    "created_at",
]
CONDITIONS = (
    WANTED
    | st.just("*")
    | st.dictionaries(
        st.sampled_from(["eq", "ne", "$eq", "$ne", "contains", "icontains", "$icontains"]), WANTED, min_size=1, max_size=2
    )
    | st.dictionaries(st.sampled_from(["in", "nin", "$in", "$nin"]), st.lists(WANTED, max_size=4), min_size=1, max_size=2)
    | st.dictionaries(
        st.sampled_from(["gt", "gte", "lt", "lte", "$gt", "$lte"]), SCALARS | TIMES, min_size=1, max_size=2
    )
    | st.dictionaries(st.sampled_from("ab"), WANTED | st.just("*"), max_size=2)
)  # fmt: skip
FILTERS = st.recursive(
    st.dictionaries(st.sampled_from(NAMED), CONDITIONS, max_size=2),
    lambda inner: st.dictionaries(
        st.sampled_from(["AND", "OR", "NOT", "$or"]), st.lists(inner, max_size=3), max_size=2
    ),
    max_leaves=5,
)


def written(log: list[dict[str, Any]], store: SqliteStore | None = None) -> SqliteStore:
    """A store with these episodes, numbered."""
    store = store or SqliteStore(None)
    first = store.last_change(all_of(store)).seq if all_of(store) else 0
    for n, draft in enumerate(log, start=first):
        zone = timezone(timedelta(minutes=draft["offset"]))
        fields = {name: draft[name] for name in ("scope", "session", "actor", "role", "metadata")}
        times = {"occurred_at": minute(draft["minutes"]).astimezone(zone), "recorded_at": minute(n)}
        store.append([entry(draft["text"], id=str(n), vector=vector(1, n), **fields, **times)])
    return store


def all_of(store: SqliteStore) -> tuple[int, ...]:
    return store.scope_ids("a", include_children=True)


def grown(store: SqliteStore, index: ScopeIndex | None = None) -> ScopeIndex:
    index = index or ScopeIndex(2)
    index.extend(store.index_rows(all_of(store), after=index.last_seq))
    return index


def reader(store: SqliteStore, index: ScopeIndex) -> Any:
    """Episodes by row, as a view gives them."""

    def read(rows: Any) -> Mapping[int, Episode]:
        by_seq = store.by_seq(index.seqs[rows].tolist())
        return {
            row: by_seq[seq] for row, seq in zip(rows.tolist(), index.seqs[rows].tolist(), strict=True) if seq in by_seq
        }

    return read


def decided(filters: Any, store: SqliteStore, index: ScopeIndex, among: Any = None) -> list[int]:
    """The positions of the rows that pass."""
    mask = passing(compile_filter(filters), index, store, reader(store, index), among)
    assert mask.dtype == np.bool_
    assert mask.shape == (len(index),)
    return index.seqs[mask if among is None else mask & among].tolist()


def called(filters: Any, store: SqliteStore, index: ScopeIndex) -> list[int]:
    """The same, by calling the filter with every episode."""
    keep = compile_filter(filters)
    episodes = store.by_seq(index.seqs.tolist())
    return [seq for seq in index.seqs.tolist() if keep(episodes[seq])]


def is_sound(filters: Any) -> bool:
    try:
        compile_filter(filters)
    except InvalidFilter:
        return False
    return True


SOUND = FILTERS.filter(is_sound)


@settings(max_examples=250)
@given(LOG, st.lists(SOUND, min_size=1, max_size=4))
def test_the_rows_are_those_whose_episodes_pass(log, filters) -> None:
    store = written(log)
    index = grown(store)
    for one in filters:
        assert decided(one, store, index) == called(one, store, index)


OPERATORS = ["eq", "ne", "in", "nin", "contains", "icontains", "gt", "gte", "lt", "lte"]


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("is_backwards", [False, True])
def test_values_that_are_easily_taken_for_one_another_are_told_apart(operator: str, is_backwards: bool) -> None:
    values = [
        *PLAIN,
        [],
        [1],
        [True],
        ["tea", "12"],
        {},
        {"a": 1},
        {"a": True},
        {"a": "tea", "b": 1},
        {"b": 1, "a": "tea"},
    ]
    store = SqliteStore(None)
    store.append([entry("x"), *(entry("x", metadata={"a": one}) for one in (values[::-1] if is_backwards else values))])
    index = grown(store)
    for wanted in values:
        one = {"a": {operator: [wanted, "b"] if operator in ("in", "nin") else wanted}}
        if is_sound(one):
            assert decided(one, store, index) == called(one, store, index), one


@settings(max_examples=100)
@given(LOG, SOUND, st.lists(st.booleans(), min_size=12, max_size=12))
def test_where_only_some_rows_matter_those_are_decided(log, filters, chosen) -> None:
    store = written(log)
    index = grown(store)
    among = np.array(chosen[: len(index)], np.bool_)
    wanted = [seq for seq in called(filters, store, index) if seq in index.seqs[among].tolist()]
    assert decided(filters, store, index, among) == wanted


@settings(max_examples=150)
@given(LOG, LOG, SOUND, st.booleans())
def test_rows_that_come_later_are_decided_as_well_and_an_older_index_goes_on_as_it_was(
    log, more, one, is_cloned
) -> None:
    store = written(log)
    index = grown(store)
    before = decided(one, store, index)
    older = index if is_cloned else grown(store)
    newer = index.clone() if is_cloned else index
    written(more, store)
    newer = grown(store, newer)
    assert decided(one, store, newer) == called(one, store, newer)
    assert decided(one, store, older) == before


@settings(max_examples=100)
@given(LOG, SOUND, st.sets(st.integers(1, 12)))
def test_without_some_episodes_the_rest_is_decided_as_before(log, one, gone) -> None:
    store = written(log)
    index = grown(store)
    decided(one, store, index)
    for scope in ("a", "a/b"):
        store.remove(scope, sorted(gone), at=START)
    smaller = index.without(sorted(gone))
    assert decided(one, store, smaller) == called(one, store, smaller)


@settings(max_examples=100)
@given(LOG, st.lists(SOUND, min_size=2, max_size=3))
def test_fields_too_large_to_keep_are_decided_by_reading_the_episodes(log, filters) -> None:
    store = written(log)
    index = grown(store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filtering, "LEAST_ROOM", 1)  # with 4 bytes of vectors a row, hardly a field fits
        patch.setattr(fields_module, "_PAGE", 2)
        for one in filters:
            assert decided(one, store, index) == called(one, store, index)


# -- what is read ---------------------------------------------------------------------------------------------


class Counting(SqliteStore):
    """A store that counts the rows it gave."""

    episodes = metadata_rows = 0

    def by_seq(self, seqs):
        found = super().by_seq(seqs)
        self.episodes += len(found)
        return found

    def metadata(self, scope_ids, *, after=0, limit=None):
        rows = super().metadata(scope_ids, after=after, limit=limit)
        self.metadata_rows += len(rows)
        return rows


def counting(n: int = 20, **fields: Any) -> tuple[Counting, ScopeIndex]:
    store = Counting(None)
    store.append([entry(f"text {i}", id=str(i), session=f"s{i % 3}", metadata={"n": i, **fields}) for i in range(n)])
    return store, grown(store)


BY_COLUMNS = [
    {"session": "s1"},
    {"NOT": [{"session": "s1"}, {"actor": {"contains": "x"}}]},
    {"id": {"nin": ["3", "4"]}},
    {"id": "*", "occurred_at": {"gte": "2024-05-01"}},
    {"OR": [{"n": {"gt": 5}}, {"n": 3}, {"other": "x"}]},
]


@pytest.mark.parametrize("filters", BY_COLUMNS, ids=str)
def test_no_episode_is_read_for_what_columns_hold(filters) -> None:
    store, index = counting()
    wanted = called(filters, store, index)
    store.episodes = 0
    assert decided(filters, store, index) == wanted
    assert store.episodes == 0


def test_only_what_the_rest_of_a_filter_leaves_open_is_read() -> None:
    store, index = counting()
    assert decided({"text": {"contains": "1"}, "n": {"lt": 2}}, store, index) == [2]
    assert store.episodes == 2
    assert len(decided({"OR": [{"text": {"contains": "1"}}, {"n": {"gte": 2}}]}, store, index)) == 19
    assert store.episodes == 4
    among = np.arange(20) == 7
    assert decided({"id": {"contains": "7"}}, store, index, among) == [8]
    assert store.episodes == 5


def test_metadata_is_read_once_for_each_field_and_then_only_that_of_new_rows() -> None:
    store, index = counting(topic="tea")
    for _ in range(3):
        assert decided({"n": {"lt": 3}, "topic": "tea"}, store, index) == [1, 2, 3]
    assert store.metadata_rows == 20  # both fields at once
    newer = index.clone()
    store.append([entry("late", metadata={"n": 1, "topic": "tea"}), entry("without")])
    newer = grown(store, newer)
    assert decided({"n": {"lt": 3}, "topic": "tea"}, store, newer) == [1, 2, 3, 21]
    assert decided({"n": {"lt": 3}}, store, index) == [1, 2, 3]
    assert store.metadata_rows == 21
    decided({"other": "*"}, store, newer)
    assert store.metadata_rows == 42


def test_a_field_is_read_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fields_module, "_PAGE", 3)
    store, index = counting()
    assert decided({"n": {"gte": 17}}, store, index) == [18, 19, 20]


def test_a_row_that_was_removed_meanwhile_has_no_metadata_and_disturbs_no_other() -> None:
    store, index = counting()
    store.remove("a", [5, 6], at=START)
    store.append([entry("after", metadata={"n": 5})])
    assert decided({"n": {"in": [3, 4, 5, 6]}}, store, index) == [4, 7]
    assert decided({"id": {"in": ["3", "4", "6"]}}, store, index) == [4, 7]


# -- how much is kept ------------------------------------------------------------------------------------------


def test_fields_are_counted_and_those_not_asked_for_lately_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filtering, "LEAST_ROOM", 45_000)
    store = Counting(None)
    store.append([entry("x", metadata={key: f"{key}{i}" for key in "abc"}) for i in range(100)])
    index, bare = grown(store), grown(store).nbytes
    decided({"a": "a1"}, store, index)
    one = index.nbytes - bare
    assert 100 * 100 < one < 45_000 / 2
    for key in "abcabc":
        decided({key: f"{key}1"}, store, index)
        assert index.nbytes - bare < 45_000
    assert store.metadata_rows > 300  # not all of them fit, so some were read again


def test_a_field_whose_values_take_too_much_room_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filtering, "LEAST_ROOM", 50_000)
    store = Counting(None)
    store.append([entry("x", metadata={"raw": f"{i} " * 1000, "n": i}) for i in range(50)])
    index, bare = grown(store), grown(store).nbytes
    for _ in range(2):
        assert decided({"raw": {"contains": "49 "}, "n": {"gt": 10}}, store, index) == [50]
        assert index.nbytes - bare < 50_000
    assert store.metadata_rows == 50
    assert store.episodes == 2 * 39


def test_a_library_counts_what_filters_made_an_index_grow_by() -> None:
    store, _ = counting(2000)
    library = IndexLibrary(store, 2, None)
    index = library.of(store.scope_ids("a"))
    before = library.nbytes
    decided({"n": 3}, store, index)
    assert library.of(store.scope_ids("a")) is index
    assert library.nbytes - before == index.fields.nbytes > 2000 * 30


def test_a_library_puts_other_indexes_away_for_what_filters_need() -> None:
    store, _ = counting(2000)
    store.append([entry("far", scope="b")])
    a, b = store.scope_ids("a"), store.scope_ids("b")
    large = IndexLibrary(store, 2, None)
    large.of(a), large.of(b)
    library = IndexLibrary(store, 2, None, budget_bytes=large.nbytes + 10_000)
    library.of(b)
    index = library.of(a)
    assert library.holds(b)
    decided({"n": 3}, store, index)
    assert library.of(a) is index
    assert (library.holds(a), library.holds(b)) == (True, False)


def test_nothing_of_a_forgotten_value_stays_with_a_smaller_index() -> None:
    store, index = counting()
    decided({"n": "*"}, store, index)
    smaller = index.without([4])
    assert smaller.fields is not index.fields
    assert smaller.fields.nbytes == 0


def test_filters_in_many_threads_while_the_index_grows_agree() -> None:
    store = SqliteStore(None)
    store.append([entry("x", metadata={"n": i, "k": f"v{i % 5}"}) for i in range(50)])
    library, wrong = IndexLibrary(store, 2, None), []
    is_done = threading.Event()

    def ask() -> None:
        while not is_done.is_set():
            index = library.of(store.scope_ids("a"))
            expected = [seq for seq in index.seqs.tolist() if (seq - 1) % 5 == 2 and seq > 10]
            if decided({"k": "v2", "n": {"gte": 10}}, store, index) != expected:
                wrong.append(len(index))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(50, 120):
        store.append([entry("x", metadata={"n": i, "k": f"v{i % 5}"})])
    is_done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
