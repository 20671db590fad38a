"""All indexes of a scope together: the same however they came to be, and honest about what a cue may see."""

import sys
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.world import contents, part, seen
from mnemic.clock import to_microseconds
from mnemic.index.scope_index import ScopeIndex
from mnemic.model import ECHO
from mnemic.store.sqlite import SqliteStore
from store.world import START, entry, minute, vector

DRAFT = st.fixed_dictionaries(
    {
        "text": st.sampled_from(["ada ran", "bob ran home", "cat", "ada and bob ran and ran"]),
        "scope": st.sampled_from(["a", "a/b"]),
        "session": st.sampled_from([None, "monday", "tuesday"]),
        "actor": st.sampled_from([None, "Ada Lovelace", "Bob"]),
        "role": st.sampled_from(["user", "tool"]),
        "minutes": st.integers(-5, 5),
        "is_echo": st.booleans(),
        "has_vector": st.booleans(),
        "corrects": st.none() | st.integers(0, 30),
    }
)
LOG = st.lists(DRAFT, min_size=1, max_size=16)


def written(log: list[dict[str, Any]]) -> SqliteStore:
    """A store in memory with these episodes; one that corrects names an earlier one of its scope, if there is any left."""
    store = SqliteStore(None)
    for n, draft in enumerate(log):
        one = {
            "text": draft["text"],
            "id": str(n),
            "scope": draft["scope"],
            "session": draft["session"],
            "actor": draft["actor"],
            "role": draft["role"],
            "occurred_at": minute(draft["minutes"]),
            "recorded_at": minute(n),
            "vector": vector(n, 1) if draft["has_vector"] else None,
        }
        if draft["is_echo"]:
            one |= {"origin": ECHO}
        if draft["corrects"] is not None and n:
            older = str(draft["corrects"] % n)
            if store.append_superseding(entry(**one, supersedes=older)):
                continue
        store.append([entry(**one)])
    return store


def all_of(store: SqliteStore) -> tuple[int, ...]:
    return store.scope_ids("a", include_children=True)


def fresh(store: SqliteStore, scopes: tuple[int, ...] | None = None) -> ScopeIndex:
    index = ScopeIndex(2)
    index.extend(store.index_rows(all_of(store) if scopes is None else scopes))
    return index


@settings(max_examples=60)
@given(LOG, st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_an_index_grown_in_pieces_equals_one_built_at_once(log, pieces) -> None:
    store = written(log)
    rows, index, at, n = store.index_rows(all_of(store)), ScopeIndex(2), 0, 0
    while at < len(rows.seqs):
        size = pieces[n % len(pieces)]
        index = index.clone() if n % 2 else index
        index.extend(part(rows, at, at + size))
        at, n = at + size, n + 1
    assert contents(index) == contents(fresh(store))


@settings(max_examples=60)
@given(LOG, st.integers(1, 4))
def test_an_index_read_page_by_page_equals_one_read_at_once(log, page) -> None:
    store, index = written(log), ScopeIndex(2)
    while len(rows := store.index_rows(all_of(store), after=index.last_seq, limit=page).seqs):
        index.extend(store.index_rows(all_of(store), after=index.last_seq, limit=page))
        assert len(rows) <= page
    assert contents(index) == contents(fresh(store))


@settings(max_examples=80)
@given(LOG, st.sets(st.integers(1, 16)), LOG)
def test_an_index_without_some_episodes_equals_one_that_never_had_them_and_goes_on_like_it(log, gone, more) -> None:
    store = written(log)
    index = fresh(store)
    for scope in ("a", "a/b"):
        store.remove(scope, sorted(gone), at=START)
    smaller = index.without(sorted(gone))
    rebuilt = fresh(store)
    assert contents(smaller) | {"last_seq": 0} == contents(rebuilt) | {"last_seq": 0}
    for one in more:
        store.append([entry(one["text"], scope=one["scope"], session=one["session"], actor=one["actor"])])
    smaller.extend(store.index_rows(all_of(store), after=smaller.last_seq))
    assert contents(smaller) == contents(fresh(store))


@settings(max_examples=40)
@given(LOG)
def test_an_index_comes_back_from_its_arrays_and_goes_on(log) -> None:
    store = written(log)
    index = fresh(store)
    index.last_removal = 7
    again = ScopeIndex.from_arrays({name: array.copy() for name, array in index.arrays().items()})
    assert contents(again) == contents(index)
    assert (again.last_removal, again.visible() is None) == (7, index.visible() is None)
    store.append([entry("late", session="monday", actor="Ada"), entry("later", scope="a/b")])
    for one in (again, index):
        one.extend(store.index_rows(all_of(store), after=one.last_seq))
    assert contents(again) == contents(index) == contents(fresh(store))


@settings(max_examples=60)
@given(LOG, st.integers(-1, 17))
def test_as_of_a_time_exactly_what_was_recorded_by_then_is_visible_as_it_was(log, n) -> None:
    store = written(log)
    index = fresh(store)
    then = store.index_rows(all_of(store))
    n_known = int((then.recorded_at <= to_microseconds(minute(n))).sum())
    past = ScopeIndex(2)
    past.extend(part(then, 0, n_known))
    as_of = to_microseconds(minute(n))
    assert seen(index, as_of) == seen(past) + [False] * (len(index) - n_known)
    mask = index.visible(as_of)
    known = index.lexical.scores(["ada", "ran"], mask)[0][:n_known]
    assert known.tolist() == pytest.approx(past.lexical.scores(["ada", "ran"], past.visible())[0].tolist(), abs=1e-6)


@settings(max_examples=40)
@given(LOG, LOG)
def test_a_clone_that_grows_changes_nothing_for_those_who_read_the_older_one(log, more) -> None:
    store = written(log)
    index = fresh(store)
    index.settle()
    scores = index.lexical.scores(["ada"], index.visible())[0].tolist()
    columns = {name: column.values.tolist() for name, column in index._columns.items()}
    clone = index.clone()
    for n, one in enumerate(more):
        corrected = entry(one["text"], id=f"later {n}", scope=one["scope"], actor="Ada Byron", supersedes=str(n))
        store.append_superseding(corrected) or store.append([corrected])
    clone.extend(store.index_rows(all_of(store), after=clone.last_seq))
    assert {name: column.values.tolist() for name, column in index._columns.items()} == columns
    assert index.lexical.scores(["ada"], index.visible())[0].tolist() == scores
    assert contents(clone) == contents(fresh(store))


def test_neighbours_are_of_the_same_session_of_the_same_scope() -> None:
    store = SqliteStore(None)
    for scope, session in [("a", "s"), ("a", None), ("a/b", "s"), ("a", "s"), ("a", None), ("a", "t")]:
        store.append([entry("x", scope=scope, session=session)])
    index = fresh(store)
    assert index.previous.tolist() == [-1, -1, -1, 0, 1, -1]
    assert index.following.tolist() == [3, 4, -1, -1, -1, -1]


def test_a_plain_index_needs_no_mask_and_one_with_an_echo_or_a_correction_does() -> None:
    store = SqliteStore(None)
    store.append([entry("one", id="x"), entry("two", origin=ECHO)])
    assert seen(fresh(store)) == [True, False]
    store.remove("a", [2], at=START)
    assert fresh(store).visible() is None
    store.append_superseding(entry("three", supersedes="x"))
    assert seen(fresh(store)) == [False, True]


def test_names_of_what_was_forgotten_go_into_no_file() -> None:
    store = SqliteStore(None)
    store.append([entry("hello", actor="Zoë Quine", session="secret"), entry("bye", actor="Bob", session="open")])
    arrays = fresh(store).without([1]).arrays()
    held = b"".join(array.tobytes() for array in arrays.values())
    assert [word in held for word in (b"Zo\xc3\xab", b"secret", b"hello", b"Bob", b"open", b"bye")] == [False] * 3 + [
        True
    ] * 3


def test_speakers_are_found_by_any_word_of_their_name_in_lower_case() -> None:
    store = SqliteStore(None)
    store.append([entry("x", actor=actor) for actor in ("Ada Lovelace", "Ada Byron", "BOB", None)])
    index = fresh(store)
    names = [index.name(number) for number in index.speakers(["ada", "bob", "nobody"])]
    assert sorted(map(str, names)) == ["Ada Byron", "Ada Lovelace", "BOB"]
    assert (index.number("BOB") >= 0, index.number(None), index.number("Carol")) == (True, -1, -2)


def test_a_page_in_which_nobody_has_a_vector_has_zeros_of_the_indexs_width() -> None:
    store = SqliteStore(None)
    store.append([entry("one", vector=vector(1, 2)), entry("two"), entry("three")])
    rows, index = store.index_rows(store.scope_ids("a")), ScopeIndex(2)
    index.extend(part(rows, 0, 1))
    index.extend(store.index_rows(store.scope_ids("a"), after=1))
    assert index.vectors.arrays()["vectors"].tolist() == [[1, 2], [0, 0], [0, 0]]


def test_reading_the_names_while_another_thread_adds_some_is_safe() -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # so that the threads meet in the middle of things
    store = SqliteStore(None)
    store.append([entry("x", actor=f"user {n}") for n in range(300)])
    rows = store.index_rows(store.scope_ids("a"))
    index = ScopeIndex(2)
    index.extend(part(rows, 0, 10))
    is_done = threading.Event()
    errors: list[BaseException] = []

    def grow() -> None:
        clone = index
        for n in range(10, 300):
            clone = clone.clone()
            clone.extend(part(rows, n, n + 1))
        is_done.set()

    thread = threading.Thread(target=grow)
    thread.start()
    while not is_done.is_set():
        try:
            index.speakers(["user"])
        except RuntimeError as error:  # pragma: no cover - the failure that this test is about
            errors.append(error)
    thread.join()
    sys.setswitchinterval(before)
    assert errors == []
    assert np.array_equal(index.seqs, np.arange(1, 11))
