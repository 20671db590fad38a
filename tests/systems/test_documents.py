"""The system "documents": edits in the log become the documents as they stand and as they stood."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemic import Memory, Record
from mnemic.clock import ManualClock
from mnemic.systems import runner
from mnemic.systems.documents import edit_in, state_id, version_id
from systems.worlds import START, empty, made, queries, seen, texts


@dataclass(frozen=True)
class Step:
    """One edit, or where the name is None a thing said; a follower supersedes the last edit of its name."""

    id: str
    name: str | None
    op: str
    text: str
    is_follower: bool


@st.composite
def logs(draw: st.DrawFn, min_size: int = 1, max_size: int = 10) -> list[Step]:
    n = draw(st.integers(min_size, max_size))
    return [
        Step(
            f"e{at}",
            draw(st.sampled_from(["plan", "notes", None])),
            draw(st.sampled_from(["put", "put", "put", "delete"])),
            draw(texts),
            draw(st.booleans()),
        )
        for at in range(n)
    ]


def write(memory: Memory, steps: list[Step], last: dict[str, str]) -> None:
    """Write the steps; `last` has the last edit of each name."""
    for step in steps:
        edit = {"document": {"name": step.name, "op": step.op, "value": [step.id, 1.5, None], "reason": "so"}}
        if step.name is None:
            memory.add(step.text, id=step.id)
        elif step.is_follower and step.name in last:
            memory.update(last[step.name], step.text, metadata=edit, new_id=step.id)
            last[step.name] = step.id
        else:
            memory.add(step.text, id=step.id, metadata={**edit, "topic": "tea"}, role="document")
            last[step.name] = step.id


def fresh(steps: list[Step]) -> tuple[list[Any], list[Any]]:
    with empty() as memory:
        write(memory, steps, {})
        memory.records(system="documents")
        return made(memory, "documents")


@given(steps=logs(), splits=st.sets(st.integers(1, 9)), batch=st.integers(1, 5))
@settings(max_examples=30)
def test_records_made_in_pieces_are_those_made_at_once(steps: list[Step], splits: set[int], batch: int) -> None:
    with pytest.MonkeyPatch.context() as patch, empty() as memory:
        patch.setattr(runner, "BATCH", batch)
        last: dict[str, str] = {}
        for at, step in enumerate(steps):
            if at in splits:
                memory.records(system="documents")
            write(memory, [step], last)
        memory.records(system="documents")
        in_pieces = made(memory, "documents")
    assert in_pieces == fresh(steps)


@given(steps=logs(2), gone=st.sets(st.integers(0, 9), min_size=1), seen_first=st.integers(0, 10))
@settings(max_examples=40)
def test_after_forgetting_the_records_are_those_of_a_log_in_which_it_never_was(
    steps: list[Step], gone: set[int], seen_first: int
) -> None:
    with empty() as memory:
        memory.attach("documents")
        last: dict[str, str] = {}
        write(memory, steps[:seen_first], last)
        memory.records(system="documents")
        write(memory, steps[seen_first:], last)
        chosen = [step.id for at, step in enumerate(steps) if at in gone]
        receipt = memory.forget(chosen) if chosen else None
        memory.records(system="documents")
        left = made(memory, "documents")
    forgotten = set() if receipt is None else set(receipt.ids)
    assert receipt is None or receipt.rebuilt_systems == ()  # it never has to start again
    # what forgetting leaves begins no chain anew: a follower of something forgotten was forgotten with it
    assert left == fresh([step for step in steps if step.id not in forgotten])


@given(steps=logs(1, 6), later=logs(0, 5), query=queries)
@settings(max_examples=30)
def test_a_recall_as_of_an_earlier_time_is_the_recall_that_was_made_then(
    steps: list[Step], later: list[Step], query: str
) -> None:
    clock = ManualClock(START)
    with empty(clock) as memory:
        last: dict[str, str] = {}
        write(memory, steps, last)
        asked, then = memory.system("documents"), clock.now()
        answer = seen(asked.search(query).hits)
        clock.advance(timedelta(minutes=1))
        write(memory, [Step(f"l{one.id}", one.name, one.op, one.text, one.is_follower) for one in later], last)
        assert seen(asked.search(query, as_of=then, asked_at=then).hits) == answer


def edits(memory: Memory, *steps: tuple[str, str, str]) -> list[str]:
    """Edits that follow each other; their ids."""
    last: dict[str, str] = {}
    for at, (name, op, text) in enumerate(steps):
        write(memory, [Step(f"e{at}", name, op, text, True)], last)
    return [f"e{at}" for at in range(len(steps))]


def current(memory: Memory) -> dict[str, str]:
    return {one.data["name"]: one.text for one in memory.records(system="documents", include_retired=False)}


def test_the_last_edit_of_a_name_is_its_document_and_each_before_it_a_retired_version(memory: Memory) -> None:
    edits(memory, ("plan", "put", "tea at nine"), ("plan", "put", "tea at ten"))
    first, second = memory.get("e0"), memory.get("e1")
    said = {"value": ["e0", 1.5, None], "reason": "so", "name": "plan", "op": "put", "created_at": START.isoformat()}
    assert memory.records(system="documents") == sorted(
        [
            Record(
                id=version_id("plan", "e0"),
                system="documents",
                scope="",
                kind="version",
                text="tea at nine",
                sources=("e0",),
                recorded_at=first.recorded_at,
                retired_at=second.recorded_at,
                data={**said, "version": "e0", "number": 1, "metadata": {"topic": "tea"}},
            ),
            Record(
                id=state_id("plan"),
                system="documents",
                scope="",
                kind="document",
                text="tea at ten",
                sources=("e1",),
                recorded_at=second.recorded_at,
                data={**said, "value": ["e1", 1.5, None], "version": "e1", "number": 2, "previous": "e0"},
            ),
        ],
        key=lambda one: (one.recorded_at, one.id),
    )


def test_a_deletion_leaves_nothing_current_and_a_put_begins_again(memory: Memory) -> None:
    edits(memory, ("plan", "put", "tea"), ("plan", "delete", "-"), ("notes", "put", "river"))
    assert current(memory) == {"notes": "river"}
    write(memory, [Step("e9", "plan", "put", "coffee", False)], {})
    assert current(memory) == {"notes": "river", "plan": "coffee"}


def test_forgetting_the_newest_of_edits_that_do_not_supersede_each_other_brings_back_the_one_before(
    memory: Memory,
) -> None:
    for at, text in enumerate(["tea", "coffee", "water"]):
        write(memory, [Step(f"e{at}", "plan", "put", text, False)], {})
    assert current(memory) == {"plan": "water"}
    memory.forget(["e2"])
    assert current(memory) == {"plan": "coffee"}
    memory.forget(["e0", "e1"])
    assert memory.records(system="documents") == []


def test_only_the_current_version_is_recalled_as_the_document_and_a_deleted_one_not_at_all(memory: Memory) -> None:
    edits(
        memory, ("plan", "put", "tea in the garden"), ("plan", "put", "tea by the river"), ("old", "put", "tea house")
    )
    write(memory, [Step("gone", "old", "delete", "-", True)], {"old": "e2"})
    memory.add("somebody said tea", id="said")
    hits = memory.system("documents").search("tea garden river house").hits
    assert [(hit.kind, hit.text, hit.sources) for hit in hits] == [
        ("document", "tea by the river", ("e1",)),
        ("episode", "somebody said tea", ("said",)),
    ]


def test_an_unchained_older_edit_is_not_recalled_as_the_document(memory: Memory) -> None:
    for at, text in enumerate(["tea in the garden", "coffee"]):
        write(memory, [Step(f"e{at}", "plan", "put", text, False)], {})
    assert memory.system("documents").search("tea garden").hits == ()


@pytest.mark.parametrize(
    "metadata",
    [
        {"document": "plan"},
        {"document": {"name": "plan"}},
        {"document": {"name": 7, "op": "put"}},
        {"document": {"name": "plan", "op": "burn"}},
        {},
    ],
    ids=str,
)
def test_what_is_no_edit_makes_no_document_and_stays_an_episode(memory: Memory, metadata: dict[str, Any]) -> None:
    episode = memory.add("tea", metadata=metadata).episodes[0]
    assert edit_in(episode) is None
    assert memory.records(system="documents") == []
    assert [hit.kind for hit in memory.system("documents").search("tea")] == ["episode"]


def test_documents_below_a_scope_are_recalled_with_it_and_say_where_they_are(memory: Memory) -> None:
    edits(memory.scope("acme/alice"), ("plan", "put", "tea at nine"), ("plan", "put", "tea at ten"))
    edits(memory.scope("acme/bob"), ("plan", "put", "tea at noon"))
    hits = memory.scope("acme").system("documents").search("tea", include_children=True).hits
    assert {(hit.scope, hit.text, hit.record is not None) for hit in hits} == {
        ("acme/alice", "tea at ten", True),
        ("acme/bob", "tea at noon", True),
    }


def test_vectors_kept_beside_an_edit_are_no_part_of_the_document(memory: Memory) -> None:
    memory.add("tea", metadata={"document": {"name": "plan", "op": "put"}, "document_vectors": {"x": "y" * 50}})
    (record,) = memory.records(system="documents")
    assert "y" * 50 not in str(record)


def test_a_large_scope_is_ranked_by_candidates_and_finds_the_rare_document(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnemic.index.vectors.LARGE", 1500)
    monkeypatch.setattr("mnemic.index.vectors.SMALL", 100)
    memory.add([f"lovely tea number {at}" for at in range(1600)])
    write(memory, [Step("rare", "plan", "put", "a cup of tea that time", False)], {})
    hits = memory.system("documents").search("cup of tea that time", limit=2).hits
    assert hits[0].sources == ("rare",)
