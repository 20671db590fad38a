"""What every store promises systems: records, links, cursors and failures, and that nothing outlives its sources."""

import inspect
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from mnemic.errors import ParameterError
from mnemic.store.contract import Changes, Failure, RecordStore, Removal, Store

from .conftest import Opener
from .world import START, entry, link, minute, record, texts


@pytest.fixture
def store(open_store: Opener) -> Store:
    """A store whose scope "a" holds the episodes x, y and z, at 1 to 3, and whose scope "b" holds x at 4."""
    store = open_store()
    store.append([entry(id, id=id) for id in "xyz"] + [entry("x", id="x", scope="b")])
    return store


def put(store: Store, *things, system: str = "notes", scope: str = "a", at: int = 0, to: int = 3) -> bool:
    """Apply records and links, moving the cursor from `at` to `to`."""
    records = tuple(one for one in things if hasattr(one, "strength"))
    links = tuple(one for one in things if hasattr(one, "weight"))
    changes = Changes(put_records=records, put_links=links)
    return bool(store.records.apply(system, scope, changes, cursor_from=at, cursor_to=to))


def test_records_are_read_by_kind_by_id_while_current_and_page_by_page(store: Store) -> None:
    notes = store.records
    made = [record("r", "x"), record("s", "y", kind="fact"), record("t", "z", retired_at=minute(5))]
    assert put(store, *made)
    assert notes.records("notes", "a", kind="fact") == [made[1]]
    assert notes.records("notes", "a", current_only=True) == made[:2]
    assert notes.records("notes", "a", ["t", "r", "none"]) == [made[0], made[2]]
    assert notes.records("notes", "a", limit=2) == made[:2]
    assert notes.records("notes", "a", after="s", limit=2) == made[2:]
    assert (store.records.systems(), put(store, system="idle", to=1), store.records.systems()) == (
        ["notes"],
        True,
        ["idle", "notes"],
    )


# -- writing ----------------------------------------------------------------------------------------------


def test_records_links_and_the_cursor_move_together(store: Store) -> None:
    notes = store.records
    assert notes.cursor("notes", "a") == 0
    assert put(store, record("r", "x", "y"), link("l", "x"))
    assert notes.records("notes", "a") == [record("r", "x", "y")]
    assert notes.links("notes", "a") == [link("l", "x")]
    assert (notes.cursor("notes", "a"), notes.cursor("notes", "b"), notes.cursor("others", "a")) == (3, 0, 0)
    assert notes.records("others", "a") == notes.records("notes", "b") == notes.links("notes", "b") == []


def test_whoever_read_from_another_position_than_the_cursors_writes_nothing(store: Store) -> None:
    assert put(store, record("r", "x"), at=0, to=2)
    for stale in (0, 1, 3):
        assert not put(store, record("s", "y"), at=stale, to=9)
    assert (store.records.records("notes", "a"), store.records.cursor("notes", "a")) == ([record("r", "x")], 2)
    assert put(store, at=2, to=3)
    assert store.records.cursor("notes", "a") == 3


def test_a_scope_that_does_not_exist_takes_no_records(store: Store) -> None:
    assert not put(store, scope="nowhere")
    assert store.scopes() == {"a": 3, "b": 1}


def test_of_many_threads_that_observed_the_same_episodes_exactly_one_writes(store: Store) -> None:
    barrier = Barrier(8)

    def apply(n: int) -> bool:
        barrier.wait()
        return put(store, record(f"r{n}", "x"))

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(apply, range(8)))
    assert won.count(True) == 1
    assert store.records.records("notes", "a") == [record(f"r{won.index(True)}", "x")]


def test_put_replaces_by_id_and_drop_takes_away(store: Store) -> None:
    put(store, record("r", "x", "y"), record("s", "x"), link("l", "x"), link("m", "y"), at=0, to=1)
    changes = Changes(
        (record("r", "z", text="new"),), ("s", "unknown"), (link("l", "z", weight=0.5),), ("m", "unknown")
    )
    assert store.records.apply("notes", "a", changes, cursor_from=1, cursor_to=2)
    assert store.records.records("notes", "a") == [record("r", "z", text="new")]
    assert store.records.links("notes", "a") == [link("l", "z", weight=0.5)]


def test_every_field_of_a_record_and_of_a_link_comes_back(store: Store) -> None:
    full = record(
        "r", "y", "x", kind="fact", text="Zoë 日本", data={"n": [1, None]}, valid_from=minute(1), valid_to=minute(2),
        retired_at=minute(3), strength=0.25,
    )  # fmt: skip
    tie = link(
        "l", "z", "x", kind="same", from_id="r", to_id="s", weight=-2.5, data={"why": "é"}, recorded_at=minute(4)
    )
    put(store, full, tie)
    found, tied = store.records.records("notes", "a")[0], store.records.links("notes", "a")[0]
    assert (found, set(found.sources)) == (record("r", *found.sources, **_rest(full)), {"x", "y"})
    assert (tied, set(tied.sources)) == (link("l", *tied.sources, **_rest(tie)), {"x", "z"})


def _rest(one) -> dict:
    names = set(type(one).__dataclass_fields__) - {"id", "sources", "system", "scope"}
    return {name: getattr(one, name) for name in names}


def test_sources_come_back_in_log_order_and_once(store: Store) -> None:
    put(store, record("r", "z", "x", "z"))
    assert store.records.records("notes", "a")[0].sources == ("x", "z")


def test_records_and_links_are_ordered_by_when_they_were_recorded_then_by_id(store: Store) -> None:
    made = [
        record("c", "x", recorded_at=minute(1)),
        record("b", "x"),
        record("a", "x", recorded_at=minute(2)),
        record("d", "x"),
    ]
    tied = [link("2", "x"), link("3", "x", recorded_at=minute(-1)), link("1", "x")]
    put(store, *made, *tied)
    assert [one.id for one in store.records.records("notes", "a")] == ["b", "d", "c", "a"]
    assert [one.id for one in store.records.records("notes", "a", ["a", "d", "gone"])] == ["d", "a"]
    assert store.records.records("notes", "a", []) == []
    assert [one.id for one in store.records.links("notes", "a")] == ["3", "1", "2"]


@pytest.mark.parametrize(
    "wrong",
    [
        record("r"),
        record("r", "x", "gone"),
        record("r", "x", system="others"),
        link("l"),
        link("l", "gone"),
        link("l", "x", system="others"),
    ],
    ids=lambda one: f"{one.id} of {one.system} from {one.sources}",
)
def test_a_record_without_its_sources_or_of_another_system_is_refused_with_all_that_came_with_it(
    store: Store, wrong
) -> None:
    with pytest.raises(ParameterError):
        put(store, record("good", "x"), link("good", "x"), wrong)
    assert (store.records.records("notes", "a"), store.records.links("notes", "a")) == ([], [])
    assert store.records.cursor("notes", "a") == 0


def test_an_episode_of_another_scope_is_no_source(store: Store) -> None:
    with pytest.raises(ParameterError, match="'z', which is no episode of its scope"):
        put(store, record("r", "z", scope="b"), scope="b")


# -- forgetting -------------------------------------------------------------------------------------------


def test_forgetting_an_episode_takes_all_that_a_system_made_of_its_scope_and_starts_it_again(store: Store) -> None:
    put(store, record("r", "x"), record("s", "y"), link("l", "z"))
    put(store, record("o", "y", system="others"), system="others")
    put(store, record("r", "x", scope="b"), scope="b", to=4)
    # one record came from it; the others are made again
    assert store.remove("a", [1], at=START) == Removal(1, records=1, rebuilt_systems=("notes",))
    assert (store.records.records("notes", "a"), store.records.links("notes", "a")) == ([], [])
    assert store.records.cursor("notes", "a") == 0
    assert store.records.records("others", "a") == [record("o", "y", system="others")]
    assert store.records.records("notes", "b") == [record("r", "x", scope="b")]
    assert (store.records.cursor("others", "a"), store.records.cursor("notes", "b")) == (3, 4)


def test_a_link_alone_is_enough_to_start_its_system_again(store: Store) -> None:
    put(store, record("r", "x"), link("l", "y"))
    assert store.remove("a", [2], at=START) == Removal(1, links=1, rebuilt_systems=("notes",))


def test_forgetting_what_no_record_came_from_leaves_systems_where_they_are(store: Store) -> None:
    put(store, record("r", "x"))
    assert store.remove("a", [3], at=START) == Removal(1)
    assert (store.records.records("notes", "a"), store.records.cursor("notes", "a")) == ([record("r", "x")], 3)


def test_a_system_that_says_itself_what_changes_is_not_started_again(store: Store) -> None:
    put(store, record("r", "x", "y"), record("s", "x"), link("l", "x"))
    changes = Changes((record("r", "y", text="of y alone"),), ("s",), (), ("l",))
    assert store.remove("a", [1], at=START, changes={"notes": changes}) == Removal(1, records=2, links=1)
    assert store.records.records("notes", "a") == [record("r", "y", text="of y alone")]
    assert store.records.cursor("notes", "a") == 3


def test_what_a_system_leaves_of_a_removed_source_goes_all_the_same(store: Store) -> None:
    put(store, record("r", "x", "y"), record("s", "x"))
    changes = {"notes": Changes(put_records=(record("r", "x", text="still of x"),))}
    assert store.remove("a", [1], at=START, changes=changes) == Removal(1, records=2, rebuilt_systems=("notes",))
    assert store.records.records("notes", "a") == []


def test_changes_that_cannot_be_written_leave_everything_as_it_was(store: Store) -> None:
    put(store, record("r", "x"))
    with pytest.raises(ParameterError):
        store.remove("a", [1], at=START, changes={"notes": Changes((record("s", "gone"),), ("r",))})
    assert (texts(store.scan("a")), store.records.records("notes", "a")) == (["x", "y", "z"], [record("r", "x")])
    assert store.removed_seqs(store.scope_ids("a")) == (0, [])


def test_dropping_a_scope_leaves_nothing_of_it(store: Store) -> None:
    put(store, record("r", "x"), link("l", "y"))
    put(store, system="idle")
    store.records.note_failure(Failure("a", "notes", "observe", "what x said", 1, START, START))
    store.remove("a", [1, 2, 3], at=START, drop_scope=True)
    store.append([entry("new")])
    assert {name: n for name, n in store.counts("a").items() if n and name != "bytes"} == {
        "episodes": 1, "waiting_vectors": 1, "scopes": 1,
    }  # fmt: skip
    assert store.records.cursor("idle", "a") == store.records.cursor("notes", "a") == 0


# -- attaching --------------------------------------------------------------------------------------------


def test_attached_systems_are_known_with_their_parameters_in_the_order_they_came(
    open_store: Opener, store: Store
) -> None:
    store.records.attach("second", {"n": 2, "words": ["é"]}, minute(2))
    store.records.attach("first", {}, minute(1))
    store.records.attach("second", {"n": 3}, minute(2))
    assert list(open_store.again(store).records.attached().items()) == [("first", {}), ("second", {"n": 3})]


def test_detaching_a_system_drops_what_it_made_in_every_scope_and_nothing_of_others(store: Store) -> None:
    store.records.attach("notes", {}, START)
    put(store, record("r", "x"), link("l", "x"))
    put(store, record("r", "x", scope="b"), scope="b", to=4)
    put(store, record("o", "x", system="others"), system="others")
    store.records.note_failure(Failure("a", "notes", "observe", "error", 1, START, START))
    store.records.detach("notes")
    kept = [store.records.records(system, scope) for system in ("notes", "others") for scope in "ab"]
    assert kept == [[], [], [record("o", "x", system="others")], []]
    assert (store.records.attached(), store.records.failures(), store.records.cursor("notes", "b")) == ({}, [], 0)
    assert store.records.cursor("others", "a") == 3


def test_reset_starts_a_system_again_in_one_scope_or_in_all(store: Store) -> None:
    store.records.attach("notes", {}, START)
    for scope, to in (("a", 3), ("b", 4)):
        put(store, record("r", "x", scope=scope), scope=scope, to=to)
    store.records.reset("notes", "a")
    store.records.reset("notes", "nowhere")
    assert [store.records.cursor("notes", scope) for scope in "ab"] == [0, 4]
    store.records.reset("notes")
    assert [store.records.records("notes", scope) for scope in "ab"] == [[], []]
    assert store.records.attached() == {"notes": {}}


# -- failures ---------------------------------------------------------------------------------------------


def test_the_same_step_that_fails_again_counts_one_more_attempt(store: Store) -> None:
    store.records.note_failure(Failure("a", "notes", "observe", "first", 1, START, START, {"n": 1}))
    store.records.note_failure(Failure("a", "notes", "observe", "second", 1, minute(5), minute(5)))
    assert store.records.failures() == [Failure("a", "notes", "observe", "second", 2, START, minute(5), {})]


def test_failures_are_told_apart_by_scope_system_and_step_oldest_first(store: Store) -> None:
    failures = [
        Failure(scope, system, step, "error", 1, START + timedelta(minutes=-n), START)
        for n, (scope, system, step) in enumerate(
            [
                ("a", "notes", "observe"),
                ("b", "notes", "observe"),
                ("a", "others", "observe"),
                ("a", "notes", "consolidate"),
            ]
        )
    ]
    for failure in failures:
        store.records.note_failure(failure)
    assert store.records.failures() == failures[::-1]
    store.records.clear_failure("notes", "a", "observe")
    store.records.clear_failure("notes", "nowhere", "observe")
    assert store.records.failures() == failures[:0:-1]
    assert store.counts("a")["failures"] == 2


def test_a_failure_goes_with_any_episode_of_its_scope_since_its_error_may_quote_it(store: Store) -> None:
    for scope in "ab":
        store.records.note_failure(Failure(scope, "notes", "observe", "cannot read 'x'", 1, START, START))
    store.remove("a", [], at=START)
    assert [one.scope for one in store.records.failures()] == ["a", "b"]
    store.remove("a", [2], at=START)
    assert [one.scope for one in store.records.failures()] == ["b"]


def test_a_failure_in_a_scope_that_is_gone_is_passed_over(store: Store) -> None:
    store.records.note_failure(Failure("nowhere", "notes", "observe", "error", 1, START, START))
    assert store.records.failures() == []


def test_records_and_failures_are_there_after_opening_again(open_store: Opener, store: Store) -> None:
    put(store, record("r", "x"), link("l", "y"))
    store.records.note_failure(Failure("a", "notes", "observe", "error", 1, START, START))
    again = open_store.again(store)
    found = (again.records.records("notes", "a"), again.records.links("notes", "a"), again.records.cursor("notes", "a"))
    assert found == ([record("r", "x")], [link("l", "y")], 3)
    assert again.records.failures() == [Failure("a", "notes", "observe", "error", 1, START, START)]


def test_changes_that_follow_from_an_older_version_are_not_written(store: Store) -> None:
    apply = store.records.apply
    first = apply("notes", "a", Changes((record("r", "x"),)), cursor_from=0, cursor_to=1, based_on=0)
    assert store.records.version("notes", "a") == first > 0
    second = apply("notes", "a", Changes((record("s", "y"),)), cursor_from=1, cursor_to=1, based_on=first)
    assert second > first
    assert apply("notes", "a", Changes((record("t", "z"),)), cursor_from=1, cursor_to=1, based_on=first) == 0
    assert [one.id for one in store.records.records("notes", "a")] == ["r", "s"]


def test_changes_are_not_written_when_an_episode_was_forgotten_since_their_system_read(store: Store) -> None:
    before = store.last_change(store.scope_ids("a")).removal
    store.remove("b", [4], at=START)
    assert store.records.apply(
        "notes", "a", Changes((record("r", "x"),)), cursor_from=0, cursor_to=1, last_removal=before
    )
    store.remove("a", [3], at=START)
    late = Changes((record("s", "y"),))
    assert store.records.apply("notes", "a", late, cursor_from=1, cursor_to=2, last_removal=before) == 0
    now = store.last_change(store.scope_ids("a")).removal
    assert store.records.apply("notes", "a", late, cursor_from=1, cursor_to=2, last_removal=now) > 0


def test_what_stands_is_read_with_vectors_and_notes_as_one_snapshot(store: Store) -> None:
    vector = np.arange(4, dtype="<f2").tobytes()
    changes = Changes((record("r", "x"), record("s", "y")), (), (link("l", "x"),), (), {"r": vector}, {"done": 2})
    version = store.records.apply("notes", "a", changes, cursor_from=0, cursor_to=2)
    standing = store.records.standing("notes", "a")
    assert standing.records == store.records.records("notes", "a")
    assert (standing.vectors, standing.links, standing.state, standing.version) == (
        {"r": vector}, store.records.links("notes", "a"), {"done": 2}, version,
    )  # fmt: skip
    store.records.apply("notes", "a", Changes(drop_links=("l",)), cursor_from=2, cursor_to=3)
    assert (store.records.standing("notes", "a").state, store.records.standing("notes", "a").links) == ({"done": 2}, [])
    store.records.reset("notes", "a")
    empty = store.records.standing("notes", "a")
    assert (empty.records, empty.state) == ([], {})
    assert empty.version not in (
        0,
        version,
    )  # what was begun before, with nothing or with something, is not written after


def test_a_version_is_never_used_twice_not_even_after_starting_again(store: Store) -> None:
    one = Changes((record("r", "x"),))
    versions = []
    for _ in range(3):
        versions.append(store.records.apply("notes", "a", one, cursor_from=0, cursor_to=1))
        store.records.reset("notes", "a")
    assert len(set(versions)) == 3


def test_a_system_can_be_started_again_though_none_of_its_records_came_from_what_goes(store: Store) -> None:
    put(store, record("r", "x"))
    assert store.remove("a", [3], at=START, restart=["notes"]) == Removal(1, rebuilt_systems=("notes",))
    assert store.records.cursor("notes", "a") == 0


def test_vectors_of_another_embedder_end_what_all_systems_made(store: Store) -> None:
    put(store, record("r", "x"))
    store.clear_vectors({"embedder": "other"})
    assert (store.records.records("notes", "a"), store.records.cursor("notes", "a")) == ([], 0)


def test_which_ids_are_of_records_of_a_scope_is_told_whichever_system_made_them(store: Store) -> None:
    put(store, record("r", "x"), record("retired", "y", retired_at=START))
    put(store, record("o", "y", system="others"), system="others")
    put(store, record("elsewhere", "x", scope="b"), scope="b", to=4)
    wanted = ["r", "retired", "o", "elsewhere", "nothing", "it's", "r"]
    assert store.records.existing("a", wanted) == {"r", "retired", "o"}
    assert store.records.existing("nowhere", wanted) == store.records.existing("a", []) == set()


def test_every_method_of_the_record_store_is_called_in_this_file() -> None:
    source = Path(inspect.getfile(sys.modules[__name__])).read_text()
    names = [name for name in vars(RecordStore) if not name.startswith("_")]
    assert [name for name in names if f"records.{name}(" not in source] == []


def test_what_was_begun_before_a_restart_is_not_written_after_it(store: Store) -> None:
    for restart in (
        lambda: store.records.reset("notes"),
        lambda: store.records.detach("notes"),
        lambda: store.clear_vectors({"embedder": "another"}),
    ):
        begun = store.records.version("notes", "a")
        restart()
        late = Changes((record("r", "x"),))
        assert store.records.apply("notes", "a", late, cursor_from=0, cursor_to=2, based_on=begun) == 0
    begun = store.records.version("notes", "a")
    assert store.records.apply("notes", "a", late, cursor_from=0, cursor_to=2, based_on=begun)


def test_a_failure_that_may_quote_what_was_forgotten_meanwhile_is_not_kept(store: Store) -> None:
    begun = store.last_change(store.scope_ids("a")).removal
    store.remove("a", [1], at=START)
    store.records.note_failure(Failure("a", "notes", "observe", "of x", 1, START, START), begun)
    store.records.note_failure(Failure("a", "notes", "ask", "of x", 1, START, START, {"sources": ["x", "y"]}))
    assert store.records.failures() == []
    store.records.note_failure(Failure("a", "notes", "ask", "of y", 1, START, START, {"sources": ["y"]}))
    assert [one.error for one in store.records.failures()] == ["of y"]
