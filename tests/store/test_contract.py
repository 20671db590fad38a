"""What every store promises about the log; `test_contract_records.py` has what it promises systems."""

import inspect
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from mnemic.errors import EmbedderMismatch, IdConflict, StoreClosed
from mnemic.model import ECHO, Episode, new_id
from mnemic.store.contract import Appended, Change, Removal, Store, VectorsBy, iterate

from .conftest import Opener
from .world import START, entry, log_of, minute, texts, vector

# -- appending --------------------------------------------------------------------------------------------


def test_positions_grow_by_one_over_all_scopes_in_the_order_of_the_calls(store: Store) -> None:
    first = store.append([entry("one", scope="b"), entry("two", scope="a")])
    second = store.append([entry("three", scope="b")])
    assert (first, second) == (Appended((1, 2), (True, True)), Appended((3,), (True,)))
    assert [one.seq for one in store.scan("b")] == [1, 3]


def test_an_empty_batch_appends_nothing(store: Store) -> None:
    assert store.append([]) == Appended((), ())


@pytest.mark.parametrize("drop_scope", [False, True])
def test_a_position_is_not_used_again_after_the_newest_was_forgotten(open_store: Opener, drop_scope: bool) -> None:
    store = open_store()
    store.append([entry("one"), entry("two")])
    store.remove("a", [1, 2], at=START, drop_scope=drop_scope)
    store = open_store.again(store)
    assert store.append([entry("three")]).seqs == (3,)
    store.remove("a", [3], at=START, drop_scope=drop_scope)
    assert store.append([entry("four", scope="b")]).seqs == (4,)


def test_a_conflict_anywhere_in_a_batch_writes_nothing_of_it(store: Store) -> None:
    store.append([entry("one", id="x")])
    before = log_of(store)
    for place in range(3):
        batch = [entry("new", scope="new scope"), entry("newer")]
        batch.insert(place, entry("other", id="x"))
        with pytest.raises(IdConflict, match="'x' already names other content"):
            store.append(batch)
    assert (log_of(store), store.scopes()) == (before, {"a": 1})
    assert store.append([entry("two")]).seqs == (2,)


def test_sending_a_batch_again_changes_nothing_and_says_where_it_is(store: Store) -> None:
    batch = [entry("one", id="x"), entry("two", id="y")]
    assert store.append(batch) == Appended((1, 2), (True, True))
    later = [replace(one, episode=replace(one.episode, recorded_at=minute(5))) for one in batch]
    assert store.append([later[1], entry("three", id="z"), later[0]]) == Appended((2, 3, 1), (False, True, False))
    assert [one.recorded_at for one in store.scan("a")] == [START] * 3


def test_the_same_thing_twice_in_one_batch_is_written_once(store: Store) -> None:
    assert store.append([entry("one", id="x"), entry("one", id="x")]) == Appended((1, 1), (True, False))
    with pytest.raises(IdConflict):
        store.append([entry("two", id="y"), entry("three", id="y")])
    assert texts(store.scan("a")) == ["one"]


@pytest.mark.parametrize(
    "other",
    [
        {"text": "other"},
        {"role": "assistant"},
        {"actor": "Zoë"},
        {"session": "monday"},
        {"metadata": {"n": 2}},
        {"parts": ({"type": "image"},)},
    ],
)
def test_an_id_sent_again_with_another_field_is_a_conflict(store: Store, other: dict) -> None:
    fields = {"text": "one", "actor": "Ann", "session": "sunday", "metadata": {"n": 1}, "parts": ()}
    store.append([entry(id="x", **fields)])
    with pytest.raises(IdConflict):
        store.append([entry(id="x", **fields | other)])
    assert store.append([entry(id="x", **fields)]).is_new == (False,)


def test_the_same_id_in_two_scopes_names_two_episodes(store: Store) -> None:
    store.append([entry("one", id="x", scope="a"), entry("two", id="x", scope="b")])
    assert (texts(store.get("a", ["x"])), texts(store.get("b", ["x"]))) == (["one"], ["two"])


def test_an_id_that_was_said_to_be_new_and_is_not_is_a_conflict(store: Store) -> None:
    store.append([entry("one", id="x")])
    with pytest.raises(IdConflict, match="Nothing of this call was written"):
        store.append([entry("before"), replace(entry("two", id="x"), is_client_id=False)])
    assert texts(store.scan("a")) == ["one"]


def test_an_id_that_was_forgotten_may_name_something_new(store: Store) -> None:
    store.append([entry("one", id="x")])
    store.remove("a", [1], at=START)
    assert store.append([entry("two", id="x")]) == Appended((2,), (True,))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
TIMES = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)).flatmap(
    lambda naive: st.integers(-14 * 60, 14 * 60).map(
        lambda offset: naive.replace(tzinfo=timezone(timedelta(minutes=offset)))
    )
)
EPISODES = st.builds(
    Episode,
    text=TEXT,
    id=st.just(""),
    scope=st.just("a"),
    occurred_at=TIMES,
    recorded_at=TIMES.map(lambda moment: moment.astimezone(UTC)),
    role=st.sampled_from(["user", "tool"]),
    actor=st.none() | st.just("Zoë"),
    session=st.none() | TEXT.filter(bool),
    metadata=st.dictionaries(st.text(), JSON, max_size=3),
    parts=st.lists(st.dictionaries(st.text(), JSON, min_size=1, max_size=2), max_size=2).map(tuple),
    supersedes=st.none() | st.just("older"),
).flatmap(lambda one: st.sampled_from([one, replace(one, origin=ECHO), replace(one, origin=ECHO, echo_of=("x", "y"))]))


def test_an_episode_comes_back_as_it_went_in(store: Store) -> None:
    @settings(max_examples=60)
    @given(EPISODES)
    def check(one: Episode) -> None:
        one = replace(one, id=new_id())
        seq = store.append([replace(entry(""), episode=one)]).seqs[0]
        found = store.by_seq([seq])[seq]
        assert found == replace(one, seq=seq)
        assert found.occurred_at.utcoffset() == one.occurred_at.utcoffset()

    check()


# -- reading ----------------------------------------------------------------------------------------------


def test_get_gives_what_the_scope_has_once_and_in_log_order(store: Store) -> None:
    store.append([entry(id, id=id) for id in "xyz"] + [entry("far", id="w", scope="b")])
    assert texts(store.get("a", ["z", "gone", "x", "z", "w"])) == ["x", "z"]
    assert store.get("nowhere", ["x"]) == []


def test_by_seq_leaves_out_positions_that_hold_nothing(store: Store) -> None:
    store.append([entry("one"), entry("two", scope="b")])
    assert {seq: one.text for seq, one in store.by_seq([2, 1, 7, 0, -1]).items()} == {1: "one", 2: "two"}


def test_a_thousand_ids_and_positions_can_be_asked_for_at_once(store: Store) -> None:
    ids = [f"id {n}" for n in range(1_200)]
    store.append([entry(id, id=id) for id in ids])
    assert texts(store.get("a", ids[::-1])) == ids
    assert store.existing("a", [*ids, "gone"]) == set(ids)
    assert list(store.by_seq(range(1, 1_201))) == list(range(1, 1_201))
    assert store.append([entry(id, id=id) for id in ids]).is_new == (False,) * 1_200


def test_scan_gives_pages_of_exactly_one_scope_from_either_end(store: Store) -> None:
    store.append([entry(str(n), scope="a" if n % 2 else "a/b") for n in range(1, 10)])  # 1, 3, 5, 7, 9 in "a"
    assert texts(store.scan("a")) == ["1", "3", "5", "7", "9"]
    assert texts(store.scan("a", limit=2)) == ["1", "3"]
    assert texts(store.scan("a", after=3, limit=2)) == ["5", "7"]
    assert texts(store.scan("a", newest_first=True, limit=2)) == ["9", "7"]
    assert texts(store.scan("a", after=7, newest_first=True)) == ["5", "3", "1"]
    assert store.scan("a", after=9) == store.scan("nowhere") == []


def test_an_id_is_found_in_every_scope_below_one(store: Store) -> None:
    store.append([entry(scope, scope=scope, id="x") for scope in ("a", "a/b", "ab", "c")])
    assert texts(store.find("a", "x")) == ["a", "a/b"]
    assert texts(store.find("", "x")) == ["a", "a/b", "ab", "c"]
    assert store.find("a", "y") == store.find("nowhere", "x") == []


def test_scan_gives_pages_of_one_session(store: Store) -> None:
    store.append([entry(str(n), session=name) for n, name in enumerate(["x", "y", "x", None, "x"])])
    assert texts(store.scan("a", session="x")) == ["0", "2", "4"]
    assert texts(store.scan("a", session="x", after=1, limit=1)) == ["2"]
    assert texts(store.scan("a", session="x", newest_first=True, limit=1)) == ["4"]
    assert store.scan("a", session="z") == []


def test_sessions_are_listed_from_either_end_with_their_size_and_times(store: Store) -> None:
    at = [minute(n) for n in range(6)]
    store.append([entry(str(n), session=name, occurred_at=at[n]) for n, name in enumerate("xyxzx")])
    store.append([entry("5", scope="b", session="x"), entry("6", session=None)])

    def known(found):
        return [(one.session, one.episodes, one.first_seq, one.last_seq) for one in found]

    assert known(store.sessions("a")) == [("x", 3, 1, 5), ("y", 1, 2, 2), ("z", 1, 4, 4)]
    assert known(store.sessions("a", after=1, limit=1)) == [("y", 1, 2, 2)]
    assert known(store.sessions("a", newest_first=True, limit=2)) == [("x", 3, 1, 5), ("z", 1, 4, 4)]
    assert known(store.sessions("a", newest_first=True, after=4)) == [("y", 1, 2, 2)]
    assert (store.sessions("a")[0].began_at, store.sessions("a")[0].ended_at) == (at[0], at[4])
    assert store.sessions("nowhere") == []


def test_iterate_reads_a_scope_page_by_page(store: Store) -> None:
    store.append([entry(str(n)) for n in range(7)])
    assert texts(iterate(store, "a", after=2, page=2)) == ["2", "3", "4", "5", "6"]


def test_existing_says_which_ids_the_scope_has(store: Store) -> None:
    store.append([entry("one", id="x"), entry("two", id="y", scope="b")])
    assert store.existing("a", ["x", "y", "z"]) == {"x"}


# -- superseding ------------------------------------------------------------------------------------------


def test_superseding_finds_the_correction_in_the_same_scope_only(store: Store) -> None:
    store.append([entry("old", id="x"), entry("old", id="x", scope="b")])
    assert store.superseding("a", "x") is None
    assert store.append_superseding(entry("new", id="y", supersedes="x")) == Appended((3,), (True,))
    found = store.superseding("a", "x")
    assert found is not None
    assert (found.id, found.text, found.seq) == ("y", "new", 3)
    assert store.superseding("b", "x") is store.superseding("a", "y") is None


def test_what_is_gone_or_already_superseded_is_not_superseded_and_nothing_is_written(store: Store) -> None:
    store.append([entry("old", id="x")])
    store.append_superseding(entry("new", supersedes="x"))
    before = log_of(store)
    assert store.append_superseding(entry("other", supersedes="x")) is None
    assert store.append_superseding(entry("other", supersedes="gone")) is None
    assert store.append_superseding(entry("other", supersedes="x", scope="another")) is None
    assert (log_of(store), store.scopes()) == (before, {"a": 2})


def test_all_superseding_finds_every_correction_where_an_import_brought_several(store: Store) -> None:
    store.append(
        [entry("old", id="x"), entry("one", supersedes="x"), entry("two", supersedes="x"), entry("far", id="z")]
    )
    store.append([entry("elsewhere", supersedes="x", scope="b")])
    assert texts(store.all_superseding("a", ["z", "x"])) == ["one", "two"]
    assert store.all_superseding("a", []) == []


def test_the_first_to_write_vectors_decides_whose_they_are_and_anothers_are_refused_whole(store: Store) -> None:
    mine, another = VectorsBy("mine", 4), VectorsBy("another", 4)
    store.append([entry("one", id="x")], mine)
    assert (store.meta("embedder"), store.meta("dim")) == ("mine", "4")
    for refused in (another, VectorsBy("mine", 8)):
        with pytest.raises(EmbedderMismatch, match="reindex"):
            store.append([entry("two")], refused)
        with pytest.raises(EmbedderMismatch):
            store.append_superseding(entry("two", supersedes="x"), refused)
        with pytest.raises(EmbedderMismatch):
            store.put_vectors([(1, bytes(8))], refused)
    assert texts(store.scan("a")) == ["one"]
    store.append([entry("two")], mine)


def test_of_many_threads_that_supersede_the_same_episode_exactly_one_wins(store: Store) -> None:
    store.append([entry("old", id="x")])
    barrier = Barrier(8)

    def supersede(n: int) -> bool:
        barrier.wait()
        return store.append_superseding(entry(f"new {n}", supersedes="x")) is not None

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(supersede, range(8)))
    assert won.count(True) == 1
    assert texts(store.scan("a")) == ["old", f"new {won.index(True)}"]


def test_echoes_of_finds_what_only_repeats_one_of_the_ids_in_log_order(store: Store) -> None:
    store.append(
        [
            entry("said", id="x"),
            entry("of x and y", origin=ECHO, echo_of=("x", "y")),
            entry("of nothing named", origin=ECHO),
            entry("of z", origin=ECHO, echo_of=("z",)),
            entry("far", origin=ECHO, echo_of=("x",), scope="b"),
            entry("of y", origin=ECHO, echo_of=("y",)),
        ]
    )
    assert texts(store.echoes_of("a", ["y", "gone"])) == ["of x and y", "of y"]
    assert texts(store.echoes_of("a", ["z", "x", *map(str, range(600)), "y"])) == ["of x and y", "of z", "of y"]
    assert store.echoes_of("a", []) == store.echoes_of("nowhere", ["x"]) == []


# -- scopes -----------------------------------------------------------------------------------------------

SEGMENT = st.sampled_from(
    ["a", "a0", "a-b", "a.b", "A", "%", "_", "a%", "a_", "*", "?", "[a]", "é", "ä/", "日本", "'", '"', "~", "0", "😀"]
)
PATHS = st.lists(SEGMENT.map(lambda one: one.strip("/")), min_size=0, max_size=3).map("/".join)


def is_below(path: str, prefix: str) -> bool:
    return prefix in ("", path) or path.startswith(prefix + "/")


def test_a_prefix_finds_itself_and_what_lies_below_it_and_nothing_else(open_store: Opener) -> None:
    store = open_store()
    paths = ["", "a", "a/b", "a/b/c", "a0", "a-b", "a.", "ab", "%", "_", "a%", "a_", "%/a", "a/%", "b", "A", "a/b0"]

    @settings(max_examples=25)
    @given(st.lists(PATHS, max_size=6), PATHS)
    def check(more: list[str], prefix: str) -> None:
        store.append([entry("x", scope=path) for path in more])
        known = store.scopes()
        for asked in {prefix, *paths}:
            assert store.scopes(asked) == {path: n for path, n in known.items() if is_below(path, asked)}
            ids = {path: store.scope_ids(path) for path in known}
            below = sorted(number for path, (number,) in ids.items() if is_below(path, asked))
            assert store.scope_ids(asked, include_children=True) == tuple(below)

    store.append([entry("x", scope=path) for path in paths])
    assert store.scopes() == dict.fromkeys(sorted(paths, key=str.encode), 1)
    check()


def test_a_scope_that_was_dropped_gets_another_number_when_it_comes_again(store: Store) -> None:
    store.append([entry("one"), entry("two")])
    first = store.scope_ids("a")
    assert store.remove("a", [1], at=START, drop_scope=True) == Removal(1)
    assert store.scopes() == {"a": 1}
    store.remove("a", [2], at=START, drop_scope=True)
    assert (store.scopes(), store.scope_ids("a")) == ({}, ())
    store.append([entry("three")])
    assert len(store.scope_ids("a")) == 1
    assert store.scope_ids("a") != first


# -- forgetting -------------------------------------------------------------------------------------------


def test_remove_takes_the_scopes_own_episodes_and_passes_over_the_rest(store: Store) -> None:
    store.append([entry("one"), entry("two", scope="b"), entry("three")])
    assert store.remove("a", [1, 2, 1, 99], at=START) == Removal(1)
    assert (texts(store.scan("a")), texts(store.scan("b"))) == (["three"], ["two"])
    assert store.remove("nowhere", [2], at=START) == store.remove("a", [], at=START) == Removal(0)
    assert store.scopes() == {"a": 1, "b": 1}


def test_removed_seqs_lists_each_removal_once_after_any_number(store: Store) -> None:
    store.append([entry(str(n), scope="ab"[n % 2]) for n in range(6)])  # "a": 1, 3, 5; "b": 2, 4, 6
    a, b = store.scope_ids("a"), store.scope_ids("b")
    assert store.removed_seqs(a) == (0, [])
    store.remove("a", [5], at=START)
    first, seqs = store.removed_seqs(a)
    assert seqs == [5]
    store.remove("b", [2, 6], at=START)
    store.remove("a", [1], at=START)
    last, seqs = store.removed_seqs(a, after=first)
    assert (seqs, last > first, store.removed_seqs(a, after=last)) == ([1], True, (last, []))
    assert store.removed_seqs(a + b)[1] == [5, 2, 6, 1]


def test_last_change_moves_with_every_append_removal_and_new_vector(store: Store) -> None:
    store.append([entry("one"), entry("far", scope="b")])
    a, b = store.scope_ids("a"), store.scope_ids("b")
    assert store.last_change(a) == Change(1, 0, 0)
    assert store.last_change(()) == Change(0, 0, 0)
    store.append([entry("two")])
    assert (store.last_change(a), store.last_change(a + b)) == (Change(3, 0, 0), Change(3, 0, 0))
    store.put_vectors([(1, vector(1, 0))])
    versions = store.last_change(a).vectors
    assert versions > 0
    store.remove("a", [3], at=START)
    change = store.last_change(a)
    assert (change.seq, change.removal > 0, change.vectors) == (1, True, versions)
    assert store.last_change(b).removal == 0


def test_scrub_succeeds_where_nobody_reads(store: Store) -> None:
    store.append([entry("one"), entry("two")])
    store.remove("a", [1], at=START)
    assert store.scrub()
    assert texts(store.scan("a")) == ["two"]


# -- what indexes read ------------------------------------------------------------------------------------


def test_index_rows_hold_each_episode_of_the_scopes_in_log_order(store: Store) -> None:
    store.append(
        [
            entry("one", id="x", session="s", actor="Ann", vector=vector(1, 0), occurred_at=minute(-3)),
            entry("two", scope="b"),
            entry("three", role="tool", origin=ECHO, recorded_at=minute(9)),
            entry("far", scope="c"),
        ]
    )
    a, b = store.scope_ids("a"), store.scope_ids("b")
    rows = store.index_rows(a + b)
    at = lambda moment: int(moment.timestamp() * 1_000_000)  # noqa: E731
    assert rows.seqs.tolist() == [1, 2, 3]
    assert rows.scope_ids.tolist() == [a[0], b[0], a[0]]
    assert rows.occurred_at.tolist() == [at(minute(-3)), at(START), at(START)]
    assert rows.recorded_at.tolist() == [at(START), at(START), at(minute(9))]
    assert rows.content_hashes.tolist() == [entry(text).content_hash for text in ("one", "two", "three")]
    assert (rows.sessions, rows.actors, rows.roles) == (
        ["s", None, None],
        ["Ann", None, None],
        ["user", "user", "tool"],
    )
    assert (rows.is_echo.tolist(), rows.terms) == ([False, False, True], ["one", "two", "three"])
    assert rows.vectors.tolist() == [[1, 0], [0, 0], [0, 0]]
    assert (rows.vectors.dtype, rows.has_vector.tolist()) == (np.float16, [True, False, False])
    assert store.index_rows(a, after=1, limit=1).seqs.tolist() == [3]
    assert store.index_rows(a, after=3).seqs.tolist() == store.index_rows(()).seqs.tolist() == []


def test_metadata_is_given_as_json_of_those_that_have_any_in_log_order(store: Store) -> None:
    store.append([entry("one", metadata={"n": 1, "big": 10**400, "é": [None, True]}), entry("none")])
    store.append([entry("far", scope="b", metadata={"n": 3}), entry("four", metadata={"n": 4})])
    a, b = store.scope_ids("a"), store.scope_ids("b")
    assert [(seq, json.loads(text)) for seq, text in store.metadata(a + b)] == [
        (1, {"n": 1, "big": 10**400, "é": [None, True]}),
        (3, {"n": 3}),
        (4, {"n": 4}),
    ]
    assert [seq for seq, _ in store.metadata(a)] == [1, 4]
    assert [seq for seq, _ in store.metadata(a, after=1)] == [4]
    assert [seq for seq, _ in store.metadata(a + b, after=1, limit=1)] == [3]
    assert store.metadata(()) == store.metadata(a, after=4) == []


def test_positions_are_given_for_ids_of_the_scopes(store: Store) -> None:
    store.append([entry(id, id=id, scope=scope) for scope in ("a", "b", "c") for id in "xyz"])
    a, b = store.scope_ids("a"), store.scope_ids("b")
    assert store.seqs_of(a, ["z", "gone", "x", "z"]) == [1, 3]
    assert store.seqs_of(a + b, ["y"]) == [2, 5]
    assert store.seqs_of(a, []) == store.seqs_of((), ["x"]) == []
    many = [f"id {n}" for n in range(1_200)]
    store.append([entry(id, id=id) for id in many])
    assert store.seqs_of(a, many) == list(range(10, 1_210))


def test_index_rows_name_a_correction_in_the_page_in_which_the_new_one_stands(store: Store) -> None:
    store.append([entry("one", id="x"), entry("two", id="y")])
    store.append_superseding(entry("one, corrected", id="x2", supersedes="x"))
    store.append_superseding(entry("two, corrected", supersedes="y"))
    store.append_superseding(entry("one, corrected again", supersedes="x2"))
    a = store.scope_ids("a")
    assert store.index_rows(a).superseded == [(1, 3), (2, 4), (3, 5)]
    pages = [store.index_rows(a, after=after, limit=1).superseded for after in range(5)]
    assert pages == [[], [], [(1, 3)], [(2, 4)], [(3, 5)]]


def test_vectors_of_another_width_than_the_stores_count_as_missing(store: Store) -> None:
    store.clear_vectors({"dim": "3"})
    store.append([entry("late", vector=vector(1, 0)), entry("right", vector=vector(1, 2, 3))])
    rows = store.index_rows(store.scope_ids("a"))
    assert (rows.vectors.tolist(), rows.has_vector.tolist()) == ([[0, 0, 0], [1, 2, 3]], [False, True])


# -- vectors ----------------------------------------------------------------------------------------------


def test_episodes_without_a_vector_wait_in_log_order_until_they_have_one(store: Store) -> None:
    store.append([entry("one", actor="Ann"), entry("two", vector=vector(1, 0)), entry("three", scope="b")])
    assert store.without_vector(10) == [(1, "one"), (3, "three")]
    assert store.without_vector(1) == [(1, "one")]
    store.put_vectors([(3, vector(0, 1)), (99, vector(0, 1))])
    assert store.without_vector(10) == [(1, "one")]
    assert store.index_rows(store.scope_ids("b")).vectors.tolist() == [[0, 1]]


def test_clearing_vectors_sets_the_new_embedder_and_makes_every_episode_wait(store: Store) -> None:
    store.append([entry("one", vector=vector(1, 0)), entry("two", vector=vector(1, 0), scope="b")])
    store.claim_meta("embedder", "old")
    before = store.last_change(store.scope_ids("a")).vectors
    store.clear_vectors({"embedder": "new", "dim": "3"})
    assert [seq for seq, _ in store.without_vector(10)] == [1, 2]
    assert (store.meta("embedder"), store.meta("dim")) == ("new", "3")
    assert store.last_change(store.scope_ids("a")).vectors > before


# -- settings and counts ----------------------------------------------------------------------------------


def test_a_setting_belongs_to_whoever_claimed_it_first(store: Store) -> None:
    assert store.meta("owner") is None
    assert store.claim_meta("owner", "one") == store.claim_meta("owner", "two") == store.meta("owner") == "one"


def test_threads_that_claim_a_setting_at_once_agree_on_its_value(store: Store) -> None:
    barrier = Barrier(8)

    def claim(n: int) -> str:
        barrier.wait()
        return store.claim_meta("owner", str(n))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(claim, range(8))) == {store.meta("owner")}


def test_recalls_add_up_and_are_found_latest_first_in_their_scope(store: Store) -> None:
    store.append([entry("one"), entry("two"), entry("three"), entry("far", scope="b")])
    store.note_recalls({1: (1, minute(1)), 2: (2, minute(5)), 4: (1, minute(9)), 99: (1, minute(9))})
    store.note_recalls({1: (1, minute(7)), 2: (1, minute(2))})  # a later call may bring an earlier time
    assert store.recalled_since("a", START, 10) == [1, 2]
    assert store.recalled_since("a", minute(5), 1) == [1]
    assert store.recalled_since("a", minute(6), 10) == [1]
    store.remove("a", [1], at=START)
    store.note_recalls({1: (1, minute(9))})
    assert store.recalled_since("a", START, 10) == [2]
    assert store.counts("a")["recalled"] == 1


def test_counts_are_of_one_scope_or_of_the_whole_store(store: Store) -> None:
    for scope in ("a", "b"):
        store.append([entry("one", id="x", session="s", scope=scope), entry("two", origin=ECHO, scope=scope)])
        store.append_superseding(entry("three", supersedes="x", vector=vector(1), scope=scope))
    store.append([entry("below", scope="a/b")])
    store.note_recalls({1: (3, START)})
    empty = {"records": 0, "links": 0, "failures": 0}
    of_a = {
        "episodes": 3,
        "echoes": 1,
        "superseded": 1,
        "waiting_vectors": 2,
        "recalled": 1,
        "sessions": 1,
        "scopes": 1,
    }
    of_all = {
        "episodes": 7,
        "echoes": 2,
        "superseded": 2,
        "waiting_vectors": 5,
        "recalled": 1,
        "sessions": 2,
        "scopes": 3,
    }
    assert {name: n for name, n in store.counts("a").items() if name != "bytes"} == of_a | empty
    assert {name: n for name, n in store.counts().items() if name != "bytes"} == of_all | empty
    assert store.counts()["bytes"] > 0
    assert set(store.counts("nowhere").values()) - {store.counts()["bytes"]} == {0}


# -- closing ----------------------------------------------------------------------------------------------


def test_a_closed_store_says_so_and_may_be_closed_again(store: Store) -> None:
    store.append([entry("one")])
    store.close()
    store.close()
    for call in (lambda: store.scan("a"), lambda: store.append([entry("two")]), lambda: store.records.failures()):
        with pytest.raises(StoreClosed, match="Open it again"):
            call()


def test_what_was_written_is_there_after_opening_again(open_store: Opener) -> None:
    if not open_store.keeps:
        pytest.skip("this store keeps nothing beyond the process")
    store = open_store()
    store.append([entry("one", id="x", metadata={"n": 1}, vector=vector(1, 0))])
    before = (store.scan("a"), store.index_rows(store.scope_ids("a")).vectors.tolist(), store.counts())
    store.close()
    store = open_store()
    after = (store.scan("a"), store.index_rows(store.scope_ids("a")).vectors.tolist(), store.counts())
    assert [{**one, "bytes": 0} if isinstance(one, dict) else one for one in after] == [
        {**one, "bytes": 0} if isinstance(one, dict) else one for one in before
    ]


# -- any order of calls -----------------------------------------------------------------------------------

IDS = st.sampled_from(["x", "y", "z", "w"])
WORDS = st.sampled_from(["red", "green", "blue"])
DRAFTS = st.lists(st.tuples(st.sampled_from(["a", "a/b"]), IDS | st.none(), WORDS), min_size=1, max_size=4)


class Log(RuleBasedStateMachine):
    """A store beside a list of (seq, scope, id, text) that is handled as the contract says."""

    sent = Bundle("sent")

    def __init__(self, open_store: Opener, place: str) -> None:
        super().__init__()
        self.opener, self.place = open_store, place
        self.store = open_store(place)
        self.log: list[tuple[int, str, str, str]] = []
        self.corrected: set[tuple[str, str]] = set()
        self.next = 1

    @rule(target=sent, drafts=DRAFTS)
    def append(self, drafts: list[tuple[str, str | None, str]]) -> list[tuple[str, str | None, str]]:
        known = {(scope, id): (seq, text) for seq, scope, id, text in self.log}
        entries = [entry(word, id=id, scope=scope) for scope, id, word in drafts]
        seqs, is_new, new, next_ = [], [], [], self.next
        is_refused = False
        for one in entries:
            key = (one.episode.scope, one.episode.id)
            if key in known:
                is_refused |= known[key][1] != one.episode.text
                seqs.append(known[key][0])
                is_new.append(False)
            else:
                known[key] = (next_, one.episode.text)
                new.append((next_, *key, one.episode.text))
                seqs.append(next_)
                is_new.append(True)
                next_ += 1
        if is_refused:
            with pytest.raises(IdConflict):
                self.store.append(entries)
        else:
            assert self.store.append(entries) == Appended(tuple(seqs), tuple(is_new))
            self.log, self.next = self.log + new, next_
        return drafts

    @rule(drafts=sent)
    def send_again(self, drafts: list[tuple[str, str | None, str]]) -> None:
        self.append([draft for draft in drafts if draft[1] is not None] or drafts)

    @rule(data=st.data(), drop_scope=st.booleans())
    def remove(self, data: st.DataObject, drop_scope: bool) -> None:
        scope = data.draw(st.sampled_from(["a", "a/b"]))
        own = [seq for seq, where, _, _ in self.log if where == scope]
        chosen = data.draw(st.lists(st.sampled_from([*own, 99_999]), unique=True))
        gone = set(own) & set(chosen)
        assert self.store.remove(scope, chosen, at=START, drop_scope=drop_scope).episodes == len(gone)
        self.log = [row for row in self.log if row[0] not in gone]

    @rule(id=IDS, word=WORDS)
    def supersede(self, id: str, word: str) -> None:
        one = entry(word, supersedes=id)
        is_there = any(row[1:3] == ("a", id) for row in self.log)
        by = {self.store.by_seq([seq])[seq].supersedes for seq, scope, _, _ in self.log if scope == "a"}
        appended = self.store.append_superseding(one)
        if is_there and id not in by:
            assert appended == Appended((self.next,), (True,))
            self.log.append((self.next, "a", one.episode.id, word))
            self.next += 1
        else:
            assert appended is None

    @rule()
    def open_again(self) -> None:
        if self.opener.keeps:
            self.store.close()
            self.store = self.opener(self.place)

    @invariant()
    def holds_the_log(self) -> None:
        for scope in ("a", "a/b"):
            assert log_of(self.store, scope) == [(seq, id, text) for seq, where, id, text in self.log if where == scope]
            assert self.store.counts(scope)["episodes"] == len(log_of(self.store, scope))

    def teardown(self) -> None:
        self.store.close()


def test_any_order_of_calls_leaves_the_log_that_the_contract_describes(open_store: Opener) -> None:
    places = iter(range(10**6))
    run_state_machine_as_test(
        lambda: Log(open_store, f"place {next(places)}"), settings=settings(max_examples=25, stateful_step_count=20)
    )


def test_episodes_behind_a_position_are_counted_scope_by_scope(store: Store) -> None:
    store.append([entry(text, id=text, scope=scope) for text, scope in (("x", "a"), ("y", "a/b"), ("z", "a"))])
    assert [store.count("a"), store.count("a", after=1), store.count("a", after=3), store.count("none")] == [2, 1, 0, 0]


# -- completeness -----------------------------------------------------------------------------------------


def test_every_method_of_the_log_is_called_in_this_file() -> None:
    source = Path(inspect.getfile(sys.modules[__name__])).read_text()
    names = [name for name in vars(Store) if not name.startswith("_") and name not in ("records", "answers")]
    assert [name for name in names if f"store.{name}(" not in source] == []
