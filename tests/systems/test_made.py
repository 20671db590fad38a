"""What a system has made, kept in mind from batch to batch, is what the store holds; and the nearest records are the nearest."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic.model import Episode, Link, Record
from mnemic.store.contract import Changes, Entry
from mnemic.store.sqlite import SqliteStore
from mnemic.systems import made as made_module
from mnemic.systems.draft import Draft
from mnemic.systems.made import Made, Vector, rounded
from mnemic.text.terms import terms

DIM = 4
START = datetime(2024, 5, 1, 12, tzinfo=UTC)
HERE = timezone(timedelta(hours=2))
AXES = np.vstack([np.eye(DIM), -np.eye(DIM), np.full((1, DIM), 0.5)]).astype(np.float32)


def embed(texts: Any) -> Vector:
    """Few different vectors, so that there are ties."""
    found: Vector = np.stack([AXES[sum(map(ord, text)) % len(AXES)] for text in texts])
    return found


def record(id: str, kind: str, text: str, minute: int, **named: Any) -> Record:
    at = START.astimezone(HERE) + timedelta(minutes=minute)
    return Record(
        id=id, system="s", scope="a", kind=kind, text=text, sources=("e1", "e0"), recorded_at=at, valid_from=at, **named
    )


def link(id: str, ends: tuple[str, str], minute: int) -> Link:
    at = START + timedelta(minutes=minute)
    return Link(id=id, system="s", scope="a", kind="k", from_id=ends[0], to_id=ends[1], sources=("e0",), recorded_at=at)


ids, kinds, minutes = st.sampled_from("abcdef"), st.sampled_from(["fact", "note"]), st.integers(0, 5)
DOES = st.one_of(
    st.tuples(st.just("put"), ids, kinds, st.sampled_from("uvwxyz"), minutes, st.sampled_from([True, False, "other"])),
    st.tuples(st.just("change"), ids, st.integers(0, 3)),
    st.tuples(st.just("retire"), ids, minutes),
    st.tuples(st.just("drop"), ids),
    st.tuples(st.just("link"), st.sampled_from("LMN"), st.tuples(ids, ids), minutes),
    st.tuples(st.just("unlink"), st.sampled_from("LMN")),
    st.tuples(st.just("note"), st.sampled_from("pq"), st.integers(0, 3)),
)
Does = tuple[Any, ...]


def do(draft: Draft, one: Does) -> None:
    match one:
        case ("put", id, kind, text, minute, how):
            draft.put(record(id, kind, text, minute, data={"n": (1, {2: None})}), embed=how)
        case ("change", id, number):
            if (old := draft.get(id)) is not None:
                draft.change(replace(old, strength=float(number), data={**old.data, "n": number}))
        case ("retire", id, minute):
            draft.retire(id, START + timedelta(minutes=minute), START)
        case ("drop", id):
            draft.drop(id)
        case ("link", id, ends, minute):
            draft.put_link(link(id, ends, minute))
        case ("unlink", id):
            draft.drop_link(id)
        case ("note", name, number):
            draft.state[name] = (number, {number: 1.5})


def opened() -> SqliteStore:
    store = SqliteStore(None)
    episodes = [
        Episode(id=id, scope="a", role="user", text=id, occurred_at=START, recorded_at=START) for id in ("e0", "e1")
    ]
    store.append([Entry(one, terms=one.text, content_hash=0) for one in episodes])
    return store


def plain(one: Record) -> Record:
    """Sources are a set: the store gives them in the order of the log."""
    return replace(one, sources=tuple(sorted(one.sources)))


def searches(what: Made | Draft, **named: Any) -> list[list[tuple[str, float]]]:
    return [
        [(one.id, score) for one, score in what.nearest(axis, k, kinds=only, **named)]
        for axis in AXES[::4]
        for k in (1, 3)
        for only in (None, ("fact",))
    ]


def same(one: Made, other: Made) -> None:
    assert {id: plain(each) for id, each in one.records.items()} == {
        id: plain(each) for id, each in other.records.items()
    }
    for id, each in one.records.items():  # also what is equal and looks otherwise, as times of two zones do
        assert repr(plain(each)) == repr(plain(other.records[id]))
    assert one.links == other.links
    assert one.state == other.state
    for id in "abcdef":
        first, second = one.vector(id), other.vector(id)
        assert (first is None) == (second is None)
        assert first is None or second is None or (first == second).all()
        assert one.links_of(id) == other.links_of(id)
    for as_of in (None, *(START + timedelta(minutes=minute) for minute in range(0, 6, 2))):
        assert searches(one, as_of=as_of) == searches(other, as_of=as_of)
        assert [each.id for each in one.current(as_of=as_of)] == [each.id for each in other.current(as_of=as_of)]
        assert one.words(["u", "v"], as_of=as_of) == other.words(["u", "v"], as_of=as_of)


@settings(max_examples=60)
@given(st.lists(st.lists(DOES, max_size=6), max_size=5))
def test_what_is_kept_in_mind_is_what_the_store_holds(batches: list[list[Does]]) -> None:
    store = opened()
    made, earlier = Made.of(store.records.standing("s", "a"), DIM), list[tuple[Made, Any]]()
    for batch in batches:
        draft = Draft(made, embed)
        for one in batch:
            do(draft, one)
        mid = searches(draft), [draft.links_of(id) for id in "abcdef"], draft.records(), draft.links()
        earlier.append((made, searches(made)))
        changes = draft.changes()
        version = store.records.apply(
            "s", "a", changes, cursor_from=1 if len(earlier) > 1 else 0, cursor_to=1, based_on=made.version
        )
        assert version
        made = made.after(changes, version)
        same(made, Made.of(store.records.standing("s", "a"), DIM))
        assert mid[0] == searches(made)  # a draft answers as what follows from it will
        assert mid[1] == [made.links_of(id) for id in "abcdef"]
        assert mid[2] == made.current()
        assert mid[3] == sorted(made.links.values(), key=lambda each: (each.recorded_at, each.id))
    for before, found in earlier:  # and no earlier state has changed
        assert searches(before) == found
    store.close()


# -- many records ---------------------------------------------------------------------------------------------

WIDE = 384


def clustered(n: int, seed: int) -> Vector:
    """Unit vectors around a few hundred centres, as texts on recurring topics have them."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((300, WIDE))
    rows = centres[random.integers(0, 300, n)] + 0.5 * random.standard_normal((n, WIDE))
    return rounded((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32))


def many(vectors: Vector, pieces: int) -> Made:
    """Records with these vectors, made in so many pieces."""
    made = Made(WIDE)
    for piece in np.array_split(np.arange(len(vectors)), pieces):
        put = tuple(record(f"{row:05d}", "fact", "", 0) for row in piece.tolist())
        given = {one.id: vectors[int(one.id)].astype("<f2").tobytes() for one in put}
        made = made.after(Changes(put_records=put, vectors=given), made.version + 1)
    return made


def test_of_many_records_the_nearest_are_found_whatever_batches_they_came_in() -> None:
    both = clustered(8040, 1)
    vectors, cues = both[:8000], both[8000:]
    made, other = many(vectors, 1), many(vectors, 7)
    found, right = 0, 0
    for cue in cues:
        nearest = made.nearest(cue, 10)
        assert nearest == other.nearest(cue, 10)
        exact = {one.id for one, _ in made.scores(cue)[:10]}
        found, right = found + len(exact & {one.id for one, _ in nearest}), right + 10
    assert found / right >= 0.95


def test_of_many_records_a_draft_finds_what_it_will_find_once_it_is_written() -> None:
    both = clustered(8020, 3)
    vectors, cues = both[:8000], both[8000:]
    draft = Draft(many(vectors[:7500], 1), embed)
    for row in range(7500, 8000):
        draft.put(record(f"{row:05d}", "fact", "", 0), vector=vectors[row])
    for row in range(0, 7500, 15):
        draft.drop(f"{row:05d}")
    after = many(vectors[:7500], 1).after(draft.changes(), 2)
    for cue in cues:
        assert [(one.id, score) for one, score in draft.nearest(cue, 10)] == [
            (one.id, score) for one, score in after.nearest(cue, 10)
        ]


def test_of_many_records_as_many_as_fit_are_found() -> None:
    both = clustered(4020, 5)
    made = many(both[:4000], 1)
    for cue in both[4000:4005]:
        assert [one.id for one, _ in made.nearest(cue, 5, where=lambda one: one.id.endswith("99"))] == [
            one.id for one, _ in made.scores(cue) if one.id.endswith("99")
        ][:5]
        hidden = {one.id for one, _ in made.nearest(cue, 10)}
        assert hidden.isdisjoint(one.id for one, _ in made.nearest(cue, 10, but=hidden))
        now = START + timedelta(days=1)
        assert made.nearest(cue, 10, as_of=now) == made.nearest(cue, 10)
        assert made.nearest(cue, 10, as_of=START - timedelta(days=1)) == []


def test_records_that_come_and_go_leave_no_room_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made_module, "_SPARE", 10)
    random = np.random.default_rng(2)
    made, kept = Made(DIM), dict[str, Record]()
    for round in range(40):
        vectors = rounded(random.standard_normal((4, DIM)).astype(np.float32))
        put = tuple(record(f"{round}.{at}", "fact", f"marmot{round} badger", round) for at in range(4))
        gone = tuple(id for id in made.records if not id.endswith(".0"))
        given = {one.id: vector.astype("<f2").tobytes() for one, vector in zip(put, vectors, strict=True)}
        made = made.after(Changes(put_records=put, drop_records=gone, vectors=given), round + 1)
        kept = {id: one for id, one in kept.items() if id not in gone} | {one.id: one for one in put}
        assert made.records == kept
        assert {one.id for one, _ in made.scores(None)} == set(kept)
        assert set(made.words(terms("badger"))) == set(kept)
        assert set(made.words(terms(f"marmot{round}"))) == {one.id for one in put}
        for one, vector in zip(put, vectors, strict=True):
            assert (made.vector(one.id) == vector).all()
        assert len(made._vectors) <= 2 * len(kept) + 10
    assert len(kept) == 43


def test_two_states_that_follow_from_one_do_not_see_each_other() -> None:
    first = many(clustered(20, 1), 1)
    assert first.words(terms("badger")) == {}
    left = first.after(Changes(put_records=(record("left", "fact", "badger left", 1),)), 2)
    right = first.after(Changes(put_records=(record("right", "fact", "badger right", 1),)), 2)
    assert set(right.words(terms("badger"))) == {"right"}
    assert set(left.words(terms("badger"))) == {"left"}
    assert first.words(terms("badger")) == {}


def test_words_are_ready_before_anybody_reads_them() -> None:
    """Several recalls read one state at once: nothing may be left to sort in."""
    made = many(clustered(20, 1), 1)
    made.words(terms("badger"))
    for n, round in ((3, 2), (600, 3)):
        put = tuple(record(f"{round}.{at}", "fact", f"badger {at}", 1) for at in range(n))
        made = made.after(Changes(put_records=put), round)
        assert made._words is not None
        assert not made._words.index._unsorted
        assert len(made.words(terms("badger"))) == (n if round == 2 else 603)
