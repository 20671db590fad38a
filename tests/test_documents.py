"""Documents: named values with versions, who and why, and compare-and-set."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.documents import ANY, Document, Documents, Put
from mnemic.errors import EditConflict, EpisodeNotFound, InvalidEpisode, ParameterError

START = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def documents(memory: Memory, clock: ManualClock) -> Documents:
    return Documents(memory.scope("acme/alice"), clock=clock)


def said(document: Document | None) -> tuple[Any, ...] | None:
    """What the model in the properties knows of a document."""
    return None if document is None else (document.text, document.value, document.metadata, document.is_deleted)


# -- properties -----------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["plan", "notes/a", "notes/b", "Ünïcode \U0001f34b", "control\x01\n", "é", "e\u0301"])
TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


class AgainstADictionary(RuleBasedStateMachine):
    """Whatever is done to documents, they are those of a dictionary from names to lists of versions."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = Memory.open(embedder="hashing", clock=ManualClock(START))
        self.documents = Documents(self.memory.scope("a"), clock=ManualClock(START))
        self.versions: dict[str, list[tuple[Any, ...]]] = {}
        self.seen: dict[str, list[str]] = {}  # ids of versions by name, also of those that are gone

    def teardown(self) -> None:
        self.memory.close()

    def current(self, name: str) -> tuple[Any, ...] | None:
        versions = self.versions.get(name)
        return versions[-1] if versions and not versions[-1][3] else None

    def standing(self, name: str) -> str | None:
        return None if self.current(name) is None else self.seen[name][-1]

    def note(self, made: Document) -> None:
        self.seen.setdefault(made.name, []).append(made.version)

    @rule(name=NAMES, text=TEXTS, value=VALUES, topic=st.sampled_from(["tea", None]))
    def put(self, name: str, text: str, value: Any, topic: str | None) -> None:
        metadata = {} if topic is None else {"topic": topic}
        self.note(self.documents.put(name, text, value=value, metadata=metadata))
        self.versions.setdefault(name, []).append((text, value, metadata, False))

    @rule(name=NAMES, text=TEXTS, data=st.data())
    def compare_and_set(self, name: str, text: str, data: st.DataObject) -> None:
        expected = data.draw(st.sampled_from([None, "no such version", *self.seen.get(name, [])]))
        if expected != self.standing(name):
            with pytest.raises(EditConflict):
                self.documents.put(name, text, expected=expected)
            with pytest.raises(EditConflict):
                self.documents.delete(name, expected=expected)
            return
        self.note(self.documents.put(name, text, expected=expected))
        self.versions.setdefault(name, []).append((text, None, {}, False))

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        made = self.documents.delete(name)
        assert (made is None) == (self.current(name) is None)
        if made is not None:
            self.note(made)
            self.versions[name].append(("", None, {}, True))

    @rule(items=st.dictionaries(NAMES, TEXTS, max_size=4))
    def put_all(self, items: dict[str, str]) -> None:
        made = self.documents.put_all([Put(name=name, text=text, value=[text]) for name, text in items.items()])
        assert [one.name for one in made] == list(items)
        for one in made:
            self.note(one)
            self.versions.setdefault(one.name, []).append((items[one.name], [items[one.name]], {}, False))

    @rule(old=NAMES, new=NAMES)
    def rename(self, old: str, new: str) -> None:
        current = self.current(old)
        if current is None:
            with pytest.raises(EpisodeNotFound):
                self.documents.rename(old, new)
        elif old != new and self.current(new) is not None:
            with pytest.raises(EditConflict):
                self.documents.rename(old, new)
        elif old != new:
            self.note(self.documents.rename(old, new))
            self.seen[old].append(self.documents.history(old)[-1].version)
            self.versions.setdefault(new, []).append(current)
            self.versions[old].append(("", None, {}, True))

    @rule(name=NAMES)
    def forget(self, name: str) -> None:
        if not self.versions.get(name):
            with pytest.raises(EpisodeNotFound):
                self.documents.forget(name)
            return
        gone = set(self.documents.forget(name).ids)
        assert set(self.seen[name]) <= gone
        for other, ids in self.seen.items():  # also what it was before it was renamed
            kept = [(id, version) for id, version in zip(ids, self.versions[other], strict=True) if id not in gone]
            self.seen[other], self.versions[other] = [id for id, _ in kept], [version for _, version in kept]
        assert not self.seen[name]

    @invariant()
    def they_are_the_same(self) -> None:
        there = {name: current for name in self.versions if (current := self.current(name)) is not None}
        assert {one.name: said(one) for one in self.documents.list()} == there
        for name in self.versions:
            history = self.documents.history(name)
            assert [said(one) for one in history] == self.versions[name]
            assert [one.version for one in history] == self.seen[name]
            assert [one.number for one in history] == list(range(1, len(history) + 1))
            assert said(self.documents.get(name)) == self.current(name)


AgainstADictionary.TestCase.settings = settings(max_examples=30, stateful_step_count=20)
TestAgainstADictionary = AgainstADictionary.TestCase


@given(value=VALUES)
@settings(max_examples=60)
def test_a_json_value_comes_back_exactly_as_it_was_put(value: Any) -> None:
    with Memory.open(embedder="hashing") as memory:
        documents = Documents(memory)
        documents.put("v", "", value=value)
        back = documents.get("v")
        assert back is not None
        assert json.dumps(back.value) == json.dumps(value)  # 1 and 1.0 and True are not the same here


# -- one at a time --------------------------------------------------------------------------------------------


def test_a_document_says_what_who_why_and_when(documents: Documents, clock: ManualClock) -> None:
    first = documents.put("plan", "Tea at nine.", value={"hour": 9}, actor="tutor", reason="asked", metadata={"t": 1})
    clock.advance(timedelta(hours=1))
    second = documents.put("plan", "Tea at ten.", expected=first.version, actor="alice")
    assert second == Document(
        name="plan",
        text="Tea at ten.",
        version=second.version,
        number=2,
        created_at=START,
        updated_at=START + timedelta(hours=1),
        actor="alice",
        scope="acme/alice",
    )
    assert documents.get("plan") == second
    assert documents.history("plan") == [first, second]
    assert (first.value, first.actor, first.reason, first.metadata) == ({"hour": 9}, "tutor", "asked", {"t": 1})
    assert documents.handle.get(second.version).occurred_at == clock.now()  # type: ignore[attr-defined]


def test_a_document_as_of_a_time_is_the_one_that_stood_then(documents: Documents, clock: ManualClock) -> None:
    first = documents.put("plan", "one")
    clock.advance(timedelta(hours=1))
    documents.put("plan", "two")
    clock.advance(timedelta(hours=1))
    documents.delete("plan")
    times = [START + timedelta(minutes=minutes) for minutes in (-1, 0, 59, 60, 119, 120)]
    found = [documents.get("plan", as_of=at) for at in times]
    assert [one and one.text for one in found] == [None, "one", "one", "two", "two", None]
    assert found[1] == first


def test_a_conflict_names_the_version_that_stands(documents: Documents) -> None:
    first = documents.put("plan", "one")
    second = documents.put("plan", "two")
    with pytest.raises(EditConflict, match=second.version):
        documents.put("plan", "three", expected=first.version)
    with pytest.raises(EditConflict, match=second.version):
        documents.put("plan", "three", expected=None)
    assert [one.text for one in documents.history("plan")] == ["one", "two"]
    with pytest.raises(EditConflict, match="no document"):
        documents.put("other", "x", expected=first.version)


@pytest.mark.parametrize("name", ["", None, 7, "x" * 5000, "\ud800"], ids=ascii)
def test_a_name_that_cannot_be_kept_is_refused(documents: Documents, name: Any) -> None:
    for verb in (
        documents.get,
        documents.delete,
        documents.history,
        documents.forget,
        lambda name: documents.put(name, ""),
    ):
        with pytest.raises(ParameterError):
            verb(name)


def test_what_cannot_be_kept_is_refused_and_nothing_is_written(documents: Documents) -> None:
    documents.put("plan", "one")
    for name in ("plan", "new"):
        for text, value in (("\ud800", None), ("x", float("nan")), ("x", {1: 2}), ("x", object())):
            with pytest.raises(InvalidEpisode):
                documents.put(name, text, value=value)
    with pytest.raises(ParameterError):
        documents.put("plan", "two", expected=3)  # type: ignore[arg-type]
    assert [(one.name, one.text) for one in documents.list()] == [("plan", "one")]


def test_names_with_a_prefix_are_listed_in_order(documents: Documents) -> None:
    documents.put_all([Put(name=name, text=name) for name in ("b/2", "a", "b/1", "c")])
    documents.delete("c")
    assert [one.name for one in documents.list()] == ["a", "b/1", "b/2"]
    assert [one.name for one in documents.list("b/")] == ["b/1", "b/2"]


def test_more_documents_than_a_page_are_all_listed(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnemic.documents._PAGE", 3)
    documents.put_all([Put(name=f"n{at}", text="x") for at in range(10)])
    assert [one.name for one in documents.list()] == [f"n{at}" for at in range(10)]
    assert len(documents.get_all([f"n{at}" for at in range(12)])) == 10


def test_the_scopes_of_others_have_documents_of_their_own(memory: Memory) -> None:
    alice, bob, tutor = (Documents(memory.scope(place)) for place in ("acme/alice", "acme/bob", "acme/alice/tutor"))
    alice.put("plan", "hers")
    bob.put("plan", "his")
    assert [one.text for one in alice.list()] == ["hers"]
    assert [one.document.text for one in bob.search("hers his")] == ["his"]
    assert tutor.get("plan") is None
    alice.forget("plan")
    assert bob.get("plan") is not None


def test_a_search_finds_documents_and_nothing_else_that_was_said(documents: Documents) -> None:
    documents.handle.add([{"content": f"tea, tea and tea again, number {at}"} for at in range(30)])
    documents.put("plan", "old tea in the garden")
    documents.put("plan", "a pot of tea")
    documents.put("gone", "tea")
    documents.delete("gone")
    found = documents.search("tea", limit=3)
    assert [(one.document.name, one.document.text) for one in found] == [("plan", "a pot of tea")]
    assert abs(found[0].score - sum(reason.contribution for reason in found[0].reasons)) < 1e-5


def test_a_deleted_document_of_that_text_is_still_in_the_log_and_a_forgotten_one_in_no_file(
    open_memory: Callable[..., Memory], tmp_path: Path
) -> None:
    memory = open_memory(tmp_path / "m.db")
    documents = Documents(memory.scope("acme/alice"))
    for text in ("the violet lamp", "the amber lamp"):
        documents.put("lamp", text, value={"secret": f"{text} as JSON"})
        documents.put("lamp2", "another of them", reason="because of the umber lamp")
    documents.delete("lamp")
    documents.put("lamp", "the scarlet lamp")
    documents.search("lamp")
    assert memory.find_traces("violet lamp") != []
    documents.forget("lamp")
    documents.forget("lamp2")
    assert [memory.find_traces(word) for word in ("violet lamp", "amber lamp", "scarlet lamp", "umber lamp")] == [
        []
    ] * 4
    assert (documents.history("lamp"), documents.list()) == ([], [])


def test_forgetting_a_renamed_document_forgets_it_under_its_old_name_and_not_what_took_that_name(
    documents: Documents,
) -> None:
    documents.put("a", "first life")
    documents.delete("a")
    documents.put("a", "the secret")
    documents.rename("a", "b")
    documents.rename("b", "c")
    documents.put("a", "something new")
    documents.forget("c")
    assert [one.text for one in documents.history("a")] == ["first life", "", "something new"]
    assert (documents.history("b"), documents.history("c")) == ([], [])


def test_a_document_that_says_what_was_recalled_stays_when_that_is_forgotten(documents: Documents) -> None:
    said = documents.handle.add([{"content": "Alice works at the observatory in Porto."}])
    documents.handle.system("hybrid").search("where does Alice work", limit=3, threshold=0.0, as_of=None, filters=None)
    documents.put("alice", "Alice works at the observatory in Porto.")
    assert [found.document.name for found in documents.search("observatory")] == ["alice"]
    documents.handle.forget([said.id], dry_run=False)
    assert [one.name for one in documents.list()] == ["alice"]


def test_a_dry_run_of_forgetting_forgets_nothing(documents: Documents) -> None:
    documents.put("plan", "one")
    documents.put("plan", "two")
    assert len(documents.forget("plan", dry_run=True).ids) == 2
    assert [one.text for one in documents.history("plan")] == ["one", "two"]


def test_a_rename_keeps_the_old_document_when_it_changes_meanwhile(
    documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents.put("a", "one")
    put = Documents._put

    def with_news(self: Documents, wanted: Put, *arguments: Any, **named: Any) -> Document:
        made = put(self, wanted, *arguments, **named)
        if wanted.name == "b":
            put(self, Put(name="a", text="two"), ANY)
        return made

    monkeypatch.setattr(Documents, "_put", with_news)
    with pytest.raises(EditConflict):
        documents.rename("a", "b")
    assert [(one.name, one.text) for one in documents.list()] == [("a", "two")]


# -- two at once ----------------------------------------------------------------------------------------------

COUNTING = """
import sys
from mnemic import Memory
from mnemic.documents import Documents
from mnemic.errors import EditConflict

path, times = sys.argv[1], int(sys.argv[2])
with Memory.open(path, embedder="hashing") as memory:
    documents = Documents(memory.scope("a"))
    print("ready", flush=True)
    sys.stdin.readline()
    made = 0
    while made < times:
        there = documents.get("count")
        number = 0 if there is None else there.value
        try:
            documents.put("count", "", value=number + 1, expected=None if there is None else there.version)
        except EditConflict:
            continue
        made += 1
    for at in range(times):
        documents.put("last wins", f"{sys.argv[3]} {at}")
"""


def test_two_processes_that_count_in_one_document_lose_no_count(tmp_path: Path) -> None:
    path, times = tmp_path / "m.db", 15
    Memory.open(path, embedder="hashing").close()
    children = [
        subprocess.Popen(
            [sys.executable, "-c", COUNTING, str(path), str(times), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        child.communicate("go\n")
    assert [child.returncode for child in children] == [0, 0]
    with Memory.open(path, embedder="hashing") as memory:
        documents = Documents(memory.scope("a"))
        assert [one.value for one in documents.history("count")] == list(range(1, 2 * times + 1))
        assert len(documents.history("last wins")) == 2 * times


def test_of_many_threads_that_make_one_document_one_does(documents: Documents) -> None:
    made: list[str] = []
    refused: list[str] = []
    at_once = threading.Barrier(6)

    def make(name: str) -> None:
        at_once.wait()
        try:
            documents.put("plan", "the same text", expected=None, actor=name[:1])
            made.append(name)
        except EditConflict:
            refused.append(name)

    threads = [threading.Thread(target=make, args=(f"t{at}",)) for at in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused), len(documents.history("plan"))) == (1, 5, 1)


def test_documents_are_there_when_the_store_is_opened_again(open_memory: Callable[..., Memory], tmp_path: Path) -> None:
    memory = open_memory(tmp_path / "m.db")
    first = Documents(memory).put("plan", "one", value=[1])
    memory.close()
    assert Documents(open_memory(tmp_path / "m.db")).get("plan") == first
