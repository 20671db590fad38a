"""CrewAI's storage backend over a memory, alone and under CrewAI's own Memory."""

import asyncio
from datetime import datetime, timedelta

import pytest

pytest.importorskip("crewai", reason="crewai is a peer, not a dependency")
from crewai import Memory as CrewMemory
from crewai.memory.storage.backend import StorageBackend
from crewai.memory.types import MemoryRecord

from mnemic.errors import IdConflict, ParameterError
from mnemic.integrations.crewai import MnemicStorage

pytestmark = pytest.mark.filterwarnings("default")  # what CrewAI and its dependencies warn of
NOON = datetime(2024, 5, 1, 12)  # in UTC without saying so, as CrewAI has it


@pytest.fixture
def storage(memory):
    return MnemicStorage(memory.scope("crew"))


def record(content, scope="/", **fields):
    return MemoryRecord(content=content, scope=scope, created_at=NOON, last_accessed=NOON, **fields)


def found(storage, text, **arguments):
    (vector,) = storage.embed([text])
    return storage.search(vector, **arguments)


def contents(records):
    return [one.content for one in records]


def test_it_is_a_backend_as_crewai_checks_it(storage):
    assert isinstance(storage, StorageBackend)


def test_a_record_comes_back_as_it_was(storage):
    saved = record(
        "The client wants a blue door.", "/acme/site", categories=["wish", "door"], metadata={"n": 1, "who": {"x": None}},
        importance=0.9, source="alice", private=True,
    )  # fmt: skip
    storage.save([saved])
    assert storage.get_record(saved.id) == saved
    ((hit, score),) = found(storage, "blue door")
    assert hit == saved
    assert 0.0 < score <= 1.0
    assert storage.list_records() == [saved]
    assert storage.get_record("nobody") is None


def test_saving_again_changes_nothing_and_other_content_under_an_id_is_refused(storage):
    saved = record("tea")
    storage.save([saved])
    storage.save([saved])
    assert storage.count() == 1
    with pytest.raises(IdConflict):
        storage.save([saved.model_copy(update={"content": "cake"})])


def test_a_prefix_takes_in_what_is_below_it_by_whole_names(storage):
    storage.save([record("tea one", "/a"), record("tea two", "/a/b"), record("tea three", "/ab"), record("tea four")])
    assert {one.content for one, _ in found(storage, "tea", scope_prefix="/a")} == {"tea one", "tea two"}
    assert {one.content for one, _ in found(storage, "tea")} == {"tea one", "tea two", "tea three", "tea four"}
    assert set(contents(storage.list_records("/a/"))) == {"tea one", "tea two"}
    assert storage.list_scopes() == ["/a", "/ab"]
    assert storage.list_scopes("/a") == ["/a/b"]
    assert (storage.count("/a"), storage.count(), storage.count("/nowhere")) == (2, 4, 0)


def test_categories_and_metadata_choose(storage):
    storage.save(
        [
            record(f"tea {n}", categories=["odd" if n % 2 else "even", "tea"], metadata={"n": n, "role": "x"})
            for n in range(4)
        ]
    )
    assert {one.content for one, _ in found(storage, "tea", categories=["odd", "none"])} == {"tea 1", "tea 3"}
    assert {one.content for one, _ in found(storage, "tea", metadata_filter={"n": 2, "role": "x"})} == {"tea 2"}
    assert found(storage, "tea", metadata_filter={"role": "user"}) == []
    assert len(found(storage, "tea", limit=2)) == 2
    assert found(storage, "tea", min_score=1.0) == []
    assert storage.list_categories() == {"tea": 4, "odd": 2, "even": 2}


def test_what_a_scope_holds_is_summed_up(storage):
    storage.save(
        [
            record("one", "/a/b", categories=["x"]),
            MemoryRecord(content="two", scope="/a", created_at=NOON + timedelta(days=2)),
        ]
    )
    info = storage.get_scope_info("/a")
    assert (info.path, info.record_count, info.categories, info.child_scopes) == ("/a", 2, ["x"], ["/a/b"])
    assert (info.oldest_record, info.newest_record) == (NOON, NOON + timedelta(days=2))
    assert storage.get_scope_info("/nowhere").record_count == 0


def test_records_are_listed_newest_first_in_pages(storage):
    storage.save(
        [MemoryRecord(content=str(n), scope=f"/{n % 2}", created_at=NOON + timedelta(days=n)) for n in range(5)]
    )
    assert contents(storage.list_records(limit=2)) == ["4", "3"]
    assert contents(storage.list_records(limit=2, offset=3)) == ["1", "0"]


def test_an_update_keeps_the_id_and_may_move_the_record(memory, storage):
    saved = record("I like tea.", "/a", categories=["x"])
    storage.save([saved])
    newer = saved.model_copy(update={"content": "I like coffee.", "importance": 1.0})
    storage.update(newer)
    assert storage.get_record(saved.id) == newer
    assert storage.list_records() == [one for one, _ in found(storage, "coffee")] == [newer]
    moved = newer.model_copy(update={"scope": "/b"})
    storage.update(moved)
    assert storage.get_record(saved.id) == moved
    assert storage.list_scopes() == ["/b"]
    with pytest.raises(ParameterError):
        storage.update(record("nobody"))


def test_deleting_forgets_what_is_chosen_and_says_how_many(memory, storage):
    old = MemoryRecord(content="old tea", scope="/a", created_at=NOON - timedelta(days=9), categories=["tea"])
    new = record("new tea", "/a", categories=["tea"])
    cake, other = record("cake", "/a"), record("pie", "/b", metadata={"n": 1})
    storage.save([old, new, cake, other])
    assert storage.delete(record_ids=["nobody"]) == 0
    assert storage.delete(scope_prefix="/a", categories=["tea"], older_than=NOON) == 1
    assert storage.delete(metadata_filter={"n": 1}) == 1
    assert storage.delete(record_ids=[cake.id]) == 1
    assert contents(storage.list_records()) == ["new tea"]
    storage.update(new.model_copy(update={"content": "newer tea"}))
    assert storage.delete(record_ids=[new.id]) == 1
    assert memory.find_traces("tea") == []


def test_a_reset_stays_below_its_scope(memory, storage):
    memory.scope("beside").add("tea")
    storage.save([record("one", "/a"), record("two", "/a/b"), record("three", "/c")])
    storage.reset("/a")
    assert contents(storage.list_records()) == ["three"]
    storage.reset()
    assert storage.count() == 0
    assert len(memory.scope("beside").list()) == 1


def test_a_vector_that_was_not_made_here_is_refused_with_the_remedy(storage):
    with pytest.raises(ParameterError, match=r"storage\.embed"):
        storage.search([0.1, 0.2])
    assert storage.embed([]) == []


def test_what_was_added_in_other_ways_is_a_record_too(memory, storage):
    memory.scope("crew/a").add("The ferry leaves at ten.")
    ((hit, _),) = found(storage, "ferry")
    assert (hit.content, hit.scope, hit.categories, hit.importance) == ("The ferry leaves at ten.", "/a", [], 0.5)


def test_the_async_verbs_do_the_same(storage):
    async def go():
        await storage.asave([record("tea")])
        (vector,) = storage.embed(["tea"])
        hits = await storage.asearch(vector)
        return [one.content for one, _ in hits], await storage.adelete(), storage.count()

    assert asyncio.run(go()) == (["tea"], 1, 0)


def test_crewais_own_memory_remembers_recalls_updates_and_forgets_with_it(open_memory, tmp_path):
    handle = open_memory(tmp_path / "m.db").scope("crew")
    storage = MnemicStorage(handle)
    crew = CrewMemory(storage=storage, embedder=storage.embed, llm="none/none")
    crew._llm_instance = object()  # fields are given, so no model is asked; this one could not answer
    given = {"categories": ["travel"], "importance": 0.5}
    kept = crew.remember("The ferry leaves at ten.", scope="/trip", **given)
    crew.remember_many(["The hotel is near the quay.", "Breakfast is at eight."], scope="/trip/hotel", **given)
    crew.drain_writes()
    matches = crew.recall("When does the ferry leave?", depth="shallow", limit=3)
    assert "The ferry leaves at ten." in [match.record.content for match in matches]
    assert crew.info("/trip").record_count == 3
    assert [match.record.scope for match in crew.scope("/trip/hotel").recall("breakfast", depth="shallow")][:1] == [
        "/trip/hotel"
    ]
    crew.update(kept.id, content="The ferry leaves at eleven.")
    assert storage.get_record(kept.id).content == "The ferry leaves at eleven."
    assert crew.forget(scope="/trip/hotel") == 2
    assert contents(crew.list_records()) == ["The ferry leaves at eleven."]
    crew.reset()
    assert crew.list_records() == []
    crew.close()
    assert handle.add("still open")


def test_private_records_stay_with_their_source(storage):
    crew = CrewMemory(storage=storage, embedder=storage.embed, llm="none/none")
    crew._llm_instance = object()
    crew.remember("Alice's secret tea.", scope="/", categories=[], importance=0.5, source="alice", private=True)
    assert crew.recall("tea", depth="shallow", source="bob") == []
    assert len(crew.recall("tea", depth="shallow", source="alice")) == 1
    crew.close()
