"""mem0's classes over a memory of ours: signatures, result shapes, ids, and what is never shown to somebody else."""

import asyncio
import hashlib
import inspect
import json
import warnings
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic import Memory as OwnMemory
from mnemic.errors import IdConflict, InvalidFilter, MnemicError, ParameterError
from mnemic.integrations.mem0 import AsyncMemory, Memory, MemoryNotFound, ValidationError
from mnemic.integrations.mem0_settings import read_settings

UNSET = "unset"  # mem0 uses an object of its own
# name: parameters in order as (name, has to be named, default), as in mem0ai 2.2.1
SIGNATURES = {
    "from_config": [("config_dict", False, ...)],
    "add": [
        ("messages", False, ...), ("user_id", True, None), ("agent_id", True, None), ("run_id", True, None), ("metadata", True, None),
        ("timestamp", True, None), ("expiration_date", True, None), ("infer", True, True), ("memory_type", True, None), ("prompt", True, None),
    ],
    "search": [
        ("query", False, ...), ("top_k", True, 20), ("filters", True, None), ("threshold", True, 0.1), ("rerank", True, False),
        ("explain", True, False), ("reference_date", True, None), ("show_expired", True, False), ("**kwargs", False, ...),
    ],
    "get": [("memory_id", False, ...)],
    "get_all": [("filters", True, None), ("top_k", True, 20), ("show_expired", True, False), ("**kwargs", False, ...)],
    "update": [
        ("memory_id", False, ...), ("text", False, None), ("metadata", False, None), ("expiration_date", False, UNSET), ("data", False, None),
    ],
    "delete": [("memory_id", False, ...)],
    "delete_all": [("user_id", False, None), ("agent_id", False, None), ("run_id", False, None)],
    "history": [("memory_id", False, ...)],
    "reset": [],
    "close": [],
}  # fmt: skip
ASYNC_SIGNATURES = {**SIGNATURES, "add": [*SIGNATURES["add"], ("llm", True, None)]}
PLAIN = {"from_config", "close"}  # not coroutines in mem0's AsyncMemory either


def signature_of(verb):
    found = []
    for parameter in inspect.signature(verb).parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            found.append((f"**{parameter.name}", False, ...))
            continue
        default = ... if parameter.default is parameter.empty else parameter.default
        default = UNSET if type(default) is object else default
        found.append((parameter.name, parameter.kind is parameter.KEYWORD_ONLY, default))
    return found


@pytest.mark.parametrize("verb", SIGNATURES)
def test_every_verb_is_called_as_in_mem0(verb):
    assert signature_of(getattr(Memory, verb)) == SIGNATURES[verb]
    assert signature_of(getattr(AsyncMemory, verb)) == ASYNC_SIGNATURES[verb]
    assert inspect.iscoroutinefunction(getattr(AsyncMemory, verb)) == (verb not in PLAIN)


@pytest.fixture
def peer(tmp_path, monkeypatch):
    """The real mem0, offline: a local store, and vectors of our own."""
    monkeypatch.setenv("MEM0_TELEMETRY", "false")
    monkeypatch.setenv("MEM0_DIR", str(tmp_path))
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    mem0 = pytest.importorskip("mem0", reason="mem0ai is a peer, not a dependency")
    memory = mem0.Memory.from_config(
        {
            "vector_store": {"provider": "qdrant", "config": {"path": str(tmp_path / "q"), "embedding_model_dims": 3}},
            "history_db_path": str(tmp_path / "history.db"),
        }
    )
    memory.embedding_model = SimpleNamespace(embed=lambda *_, **__: [1.0, 0.0, 0.0])
    yield memory
    memory.close()


@pytest.mark.filterwarnings("default")
def test_the_signatures_written_down_here_are_those_of_the_installed_mem0(peer):
    import mem0

    for verb in SIGNATURES:
        assert signature_of(getattr(mem0.Memory, verb)) == SIGNATURES[verb]
        assert signature_of(getattr(mem0.AsyncMemory, verb)) == ASYNC_SIGNATURES[verb]


def keys_in_every_verb(mem):
    """The keys of what each verb returns, in order, after the same calls."""
    said = [{"role": "user", "content": "I like green tea.", "name": "Alice"}]
    ids = {"user_id": "alice", "agent_id": "tutor", "run_id": "r1"}
    added = mem.add(said, **ids, metadata={"topic": "tea"}, expiration_date="2999-12-31", infer=False)
    id = added["results"][0]["id"]
    plain = mem.add("tea", agent_id="cook", infer=False)["results"][0]["id"]
    updated = mem.update(id, "I like coffee.", metadata={"n": 1})
    listed, found = mem.get_all(filters=ids), mem.search("coffee", filters=ids)
    one, rows = mem.get(id), mem.history(id)
    return {
        "add": list(added["results"][0]),
        "update": updated,
        "list": sorted(listed["results"][0]),
        "search": sorted(found["results"][0]),
        "get": sorted(one),
        "plain": sorted(mem.get(plain)),
        "values": [one[key] for key in ("memory", "hash", "metadata", "user_id", "agent_id", "run_id", "actor_id", "role", "expiration_date")],
        "history": [list(rows[0]), *((row["event"], row["old_memory"], row["new_memory"], row["is_deleted"], row["actor_id"], row["role"]) for row in rows)],
        "is_stable": {row["memory_id"] for row in rows} == {id},
        "delete": mem.delete(id),
        "missing": mem.get(id),
        "delete_all": mem.delete_all(agent_id="cook"),
        "left": mem.get_all(filters={"agent_id": "cook"}),
    }  # fmt: skip


@pytest.mark.filterwarnings("default")
def test_every_verb_returns_what_the_installed_mem0_returns(peer, memory):
    assert keys_in_every_verb(Memory(memory)) == keys_in_every_verb(peer)


@pytest.fixture
def mem(memory):
    return Memory(memory)


def texts(found):
    return [item["memory"] for item in found["results"]]


# -- shapes -------------------------------------------------------------------------------------------------------


def test_adding_says_what_was_kept(mem):
    talk = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "I moved to Porto.", "name": "Alice"},
        {"role": "assistant", "content": "How is it there?"},
    ]
    results = mem.add(talk, user_id="alice")["results"]
    assert [{key: value for key, value in item.items() if key != "id"} for item in results] == [
        {"memory": "I moved to Porto.", "event": "ADD", "actor_id": "Alice", "role": "user"},
        {"memory": "How is it there?", "event": "ADD", "actor_id": None, "role": "assistant"},
    ]
    assert mem.add([], user_id="alice") == {"results": []}


@pytest.mark.parametrize("infer", [True, False])
def test_nothing_is_inferred_whatever_infer_says(mem, infer):
    text = "  My name is Alice, and -- well -- I think I like tea?  "
    mem.add(text, user_id="alice", infer=infer)
    assert texts(mem.get_all(filters={"user_id": "alice"})) == [text]


def test_a_memory_has_mem0s_keys_in_every_verb(mem):
    added = mem.add(
        [{"role": "user", "content": "I like green tea.", "name": "Alice"}],
        user_id="alice", agent_id="tutor", run_id="r1", metadata={"topic": "tea"}, expiration_date="2999-12-31",
    )["results"][0]  # fmt: skip
    got = mem.get(added["id"])
    assert got == {
        "id": added["id"],
        "memory": "I like green tea.",
        "hash": hashlib.md5(b"I like green tea.").hexdigest(),
        "metadata": {"topic": "tea"},
        "score": None,
        "created_at": "2024-05-01T12:00:00+00:00",
        "updated_at": "2024-05-01T12:00:00+00:00",
        "user_id": "alice",
        "agent_id": "tutor",
        "run_id": "r1",
        "actor_id": "Alice",
        "role": "user",
        "expiration_date": "2999-12-31",
    }
    (listed,) = mem.get_all(filters={"user_id": "alice"})["results"]
    assert listed == {key: value for key, value in got.items() if key != "score"}
    (found,) = mem.search("green tea", filters={"user_id": "alice"})["results"]
    assert found == {**got, "score": found["score"]}
    assert 0.1 < found["score"] <= 1.0
    json.dumps([got, listed, found])


def test_what_is_not_known_of_a_memory_is_not_in_it(mem):
    id = mem.add("tea", agent_id="tutor")["results"][0]["id"]
    assert list(mem.get(id)) == [
        "id",
        "memory",
        "hash",
        "metadata",
        "score",
        "created_at",
        "updated_at",
        "agent_id",
        "role",
    ]
    assert mem.get(id)["metadata"] is None


def test_an_explained_search_says_how_the_score_came_about(mem):
    mem.add("I like green tea.", user_id="alice")
    (plain,) = mem.search("green tea", filters={"user_id": "alice"})["results"]
    (found,) = mem.search("green tea", filters={"user_id": "alice"}, explain=True, rerank=True)["results"]
    assert "score_details" not in plain
    details = found["score_details"]
    assert list(details) == ["semantic_score", "bm25_score", "entity_boost", "raw_score", "max_possible_score", "final_score", "threshold", "signals"]  # fmt: skip
    assert (details["final_score"], details["threshold"]) == (found["score"], 0.1)
    assert details["semantic_score"] == details["signals"]["meaning"]["value"] > 0.0


def test_an_update_keeps_the_id_and_adds_to_the_history(mem, clock):
    id = mem.add("I like tea.", user_id="alice", metadata={"a": 1, "b": 2})["results"][0]["id"]
    clock.advance(timedelta(days=1))
    assert mem.update(id, "I like coffee.", metadata={"b": 3}) == {"message": "Memory updated successfully!"}
    clock.advance(timedelta(days=1))
    mem.update(memory_id=id, text="I like water.")
    got = mem.get(id)
    assert (got["id"], got["memory"], got["metadata"]) == (id, "I like water.", {"a": 1, "b": 3})
    assert (got["created_at"], got["updated_at"]) == ("2024-05-01T12:00:00+00:00", "2024-05-03T12:00:00+00:00")
    listed = mem.get_all(filters={"user_id": "alice"})["results"]
    found = mem.search("water", filters={"user_id": "alice"})["results"]
    assert [(one["id"], one["memory"], one["created_at"]) for one in listed + found] == [
        (id, "I like water.", got["created_at"])
    ] * 2
    rows = mem.history(id)
    assert [(row["event"], row["old_memory"], row["new_memory"], row["memory_id"]) for row in rows] == [
        ("ADD", None, "I like tea.", id),
        ("UPDATE", "I like tea.", "I like coffee.", id),
        ("UPDATE", "I like coffee.", "I like water.", id),
    ]
    assert list(rows[0]) == ["id", "memory_id", "old_memory", "new_memory", "event", "created_at", "updated_at", "is_deleted", "actor_id", "role"]  # fmt: skip


def test_a_correction_made_beside_it_is_one_memory_with_the_first_id(memory, mem):
    id = mem.add("I like tea.", user_id="alice")["results"][0]["id"]
    newer = memory.scope("user:alice").update(id, "I like coffee.").id
    assert mem.get(newer) == mem.get(id)
    assert mem.get_all(filters={"user_id": "alice"})["results"][0]["id"] == id
    mem.update(newer, "I like water.")
    assert mem.get(id)["memory"] == "I like water."


def test_the_last_of_two_that_update_at_once_wins_and_nothing_is_lost(mem):
    id = mem.add("nobody", user_id="alice")["results"][0]["id"]

    async def go():
        await asyncio.gather(*(asyncio.to_thread(mem.update, id, f"writer {n}") for n in range(6)))

    asyncio.run(go())
    assert sorted(row["new_memory"] for row in mem.history(id)) == ["nobody", *(f"writer {n}" for n in range(6))]


def test_the_older_name_of_text_still_works_and_says_so(mem):
    id = mem.add("tea", user_id="alice")["results"][0]["id"]
    with pytest.warns(DeprecationWarning, match="text="):
        mem.update(id, data="coffee")
    assert mem.get(id)["memory"] == "coffee"
    with pytest.raises(ValueError, match="nothing to update"):
        mem.update(id)


# -- whose ------------------------------------------------------------------------------------------------------


def test_the_ids_may_be_arguments_or_filters(mem):
    mem.add("Alice has tea.", user_id="alice", run_id="r1")
    mem.add("Alice has cake.", user_id="alice", run_id="r2")
    for ask in (mem.get_all, lambda **given: mem.search("Alice", **given)):
        assert texts(ask(user_id="alice", run_id="r1")) == ["Alice has tea."]
        assert texts(ask(filters={"user_id": "alice", "run_id": "r1"})) == ["Alice has tea."]
        assert texts(ask(filters={"AND": [{"user_id": "alice"}, {"run_id": {"eq": "r2"}}]})) == ["Alice has cake."]
        assert texts(ask(user_id="alice", filters={"run_id": "r2"})) == ["Alice has cake."]
        with pytest.raises(InvalidFilter):
            ask(user_id="alice", filters={"user_id": "bob"})


def test_ids_are_trimmed_and_numbers_are_names(mem):
    mem.add("tea", user_id="  alice ")
    mem.add("cake", user_id=7)
    assert texts(mem.get_all(filters={"user_id": "alice"})) == ["tea"]
    assert texts(mem.get_all(filters={"user_id": 7})) == texts(mem.get_all(user_id=" 7 ")) == ["cake"]


@pytest.mark.parametrize("empty", ["", "  "])
@pytest.mark.parametrize("name", ["user_id", "agent_id", "run_id"])
def test_an_empty_id_is_refused_everywhere(mem, name, empty):
    mem.add("tea", user_id="alice")
    for call in (
        lambda: mem.add("x", **{name: empty}),
        lambda: mem.search("x", filters={name: empty}),
        lambda: mem.get_all(**{name: empty}),
        lambda: mem.delete_all(**{name: empty}),
        lambda: mem.delete_all(**({"user_id": "alice"} | {name: empty})),
    ):
        with pytest.raises(ValueError):
            call()
    assert texts(mem.get_all(user_id="alice")) == ["tea"]


def test_without_an_id_nothing_happens_and_the_error_says_what_to_give(mem):
    mem.add("tea", user_id="alice")
    for call in (
        lambda: mem.add("x"),
        lambda: mem.search("x"),
        lambda: mem.search("x", filters={"topic": "tea"}),
        lambda: mem.get_all(),
        lambda: mem.delete_all(),
    ):
        with pytest.raises(ValidationError, match="user_id='alice'") as caught:
            call()
        assert isinstance(caught.value, ValueError)
        assert isinstance(caught.value, MnemicError)
        assert caught.value.error_code == "VALIDATION_001"
        assert caught.value.suggestion
    assert texts(mem.get_all(user_id="alice")) == ["tea"]


def test_ids_in_metadata_move_no_memory_to_somebody_else(mem):
    with pytest.warns(UserWarning, match=r"user_id, actor_id in the metadata") as caught:
        mem.add("tea", user_id="alice", metadata={"user_id": "bob-secret", "actor_id": "x", "topic": "t"})
    assert "bob-secret" not in str(caught[0].message)
    with pytest.warns(UserWarning, match="agent_id in a message's metadata"):
        mem.add(
            {"role": "user", "content": "cake", "metadata": {"agent_id": "spy"}, "session": "s", "id": "x"},
            user_id="alice",
        )
    assert texts(mem.get_all(user_id="bob-secret")) == []
    assert texts(mem.get_all(user_id="alice", agent_id="spy")) == texts(mem.get_all(user_id="alice", run_id="s")) == []
    tea = mem.get_all(user_id="alice")["results"][1]
    assert tea["metadata"] == {"topic": "t"}
    with pytest.warns(UserWarning, match="run_id"):
        mem.update(tea["id"], metadata={"run_id": "r9", "user_id": "alice", "n": 1})
    assert mem.get(tea["id"])["metadata"] == {"topic": "t", "n": 1}
    assert "run_id" not in mem.get(tea["id"])


def test_an_agent_of_a_user_is_that_users(mem):
    mem.add("Alice and the tutor.", user_id="alice", agent_id="tutor")
    mem.add("The tutor alone.", agent_id="tutor")
    mem.add("A run alone.", run_id="r1")
    assert texts(mem.get_all(user_id="alice")) == ["Alice and the tutor."]
    assert texts(mem.get_all(user_id="alice", agent_id="tutor")) == ["Alice and the tutor."]
    assert texts(mem.get_all(agent_id="tutor")) == ["The tutor alone."]
    assert texts(mem.get_all(run_id="r1")) == ["A run alone."]
    mem.delete_all(agent_id="tutor")
    assert texts(mem.get_all(user_id="alice")) == ["Alice and the tutor."]


ids = st.sampled_from(["alice", "bob", "c:d", "7"])


@given(
    adds=st.lists(st.tuples(ids, st.none() | ids, st.none() | ids), min_size=1, max_size=6),
    asked=st.tuples(ids, st.none() | ids, st.none() | ids),
)
def test_what_is_found_is_what_was_added_under_the_same_ids_and_nothing_else(adds, asked):
    with OwnMemory.open(embedder="hashing") as memory:
        mem = Memory(memory)
        for n, (user, agent, run) in enumerate(adds):
            mem.add(f"green tea {n}", user_id=user, agent_id=agent, run_id=run)
        user, agent, run = asked
        named = {"user_id": user, **({"agent_id": agent} if agent else {}), **({"run_id": run} if run else {})}
        wanted = {
            f"green tea {n}"
            for n, one in enumerate(adds)
            if one[0] == user and agent in (None, one[1]) and run in (None, one[2])
        }
        assert set(texts(mem.get_all(filters=named))) == wanted
        assert set(texts(mem.search("green tea", filters=named, threshold=0.0))) == wanted
        for item in mem.get_all(filters=named)["results"]:
            assert mem.get(item["id"])["user_id"] == user


# -- what is chosen ---------------------------------------------------------------------------------------------


def test_what_has_expired_is_hidden_until_it_is_asked_for(mem):
    today = datetime.now(UTC).date()
    for name, day in (
        ("past", today - timedelta(days=1)),
        ("today", today),
        ("future", today + timedelta(days=1)),
        ("ever", None),
    ):
        mem.add(f"tea of the {name}", user_id="alice", expiration_date=day)
    mem.add("tea without sense", user_id="alice", metadata={"expiration_date": "soon"})
    current = {"tea of the today", "tea of the future", "tea of the ever", "tea without sense"}
    for ask in (mem.get_all, lambda **given: mem.search("tea", **given)):
        assert set(texts(ask(user_id="alice"))) == current
        assert set(texts(ask(user_id="alice", show_expired=True))) == {*current, "tea of the past"}
        assert len(texts(ask(user_id="alice", top_k=2))) == 2
        assert texts(ask(user_id="alice", filters={"expiration_date": str(today)})) == ["tea of the today"]


def test_an_expiration_is_set_changed_and_cleared(mem):
    id = mem.add("tea", user_id="alice", expiration_date="2001-01-31")["results"][0]["id"]
    assert texts(mem.get_all(user_id="alice")) == []
    assert mem.get(id)["expiration_date"] == "2001-01-31"  # by its id it is still there, as in mem0
    mem.update(id, expiration_date=datetime(2999, 1, 31, tzinfo=UTC))
    assert mem.get(id)["expiration_date"] == "2999-01-31"
    mem.update(id, expiration_date=None)
    assert "expiration_date" not in mem.get(id)
    for wrong in ("tomorrow", "2024-13-01", 20240501):
        with pytest.raises(ValueError, match="YYYY-MM-DD"):
            mem.add("x", user_id="alice", expiration_date=wrong)
        with pytest.raises(ValueError, match="YYYY-MM-DD"):
            mem.update(id, expiration_date=wrong)


def test_filters_of_both_kinds_choose_by_metadata(mem):
    for n in range(4):
        mem.add(f"tea number {n}", user_id="alice", metadata={"n": n, "kind": "odd" if n % 2 else "even"})
    for ask in (mem.get_all, lambda **given: mem.search("tea number", threshold=0.0, **given)):
        assert set(texts(ask(filters={"user_id": "alice", "kind": "odd"}))) == {"tea number 1", "tea number 3"}
        assert set(texts(ask(filters={"user_id": "alice", "n": {"gte": 2}}))) == {"tea number 2", "tea number 3"}
        some = {"user_id": "alice", "OR": [{"n": 0}, {"NOT": [{"n": {"in": [0, 1, 2]}}]}], "kind": "*"}
        assert set(texts(ask(filters=some))) == {"tea number 0", "tea number 3"}
        with pytest.raises(InvalidFilter):
            ask(filters={"user_id": "alice", "n": {"in": "12"}})


def test_how_many_and_how_good(mem):
    for n in range(30):
        mem.add(f"tea number {n}", user_id="alice")
    assert len(texts(mem.search("tea", user_id="alice", threshold=0.0))) == 20
    assert (
        texts(mem.get_all(user_id="alice", top_k=2))
        == texts(mem.get_all(user_id="alice", limit=2))
        == ["tea number 29", "tea number 28"]
    )
    assert len(texts(mem.get_all(user_id="alice", limit=1000))) == 30
    assert texts(mem.search("tea", user_id="alice", top_k=0)) == texts(mem.get_all(user_id="alice", top_k=0)) == []
    assert texts(mem.search("tea", user_id="alice", threshold=1.0)) == []
    for wrong in ({"top_k": -1}, {"top_k": "3"}, {"threshold": 1.5}, {"depth": 3}):
        with pytest.raises(ParameterError):
            mem.search("tea", user_id="alice", **wrong)
    for query in ("", "  ", None):
        with pytest.raises(ParameterError, match="query"):
            mem.search(query, user_id="alice")


def test_a_timestamp_says_when_it_happened_and_a_reference_date_when_it_is_asked(mem):
    mem.add("We went to the lake.", user_id="alice", timestamp="2024-03-10T09:00:00Z")
    mem.add("We went to the sea.", user_id="alice", timestamp=datetime(2024, 4, 2, tzinfo=UTC))
    listed = mem.get_all(user_id="alice")["results"]
    assert [one["created_at"][:10] for one in listed] == ["2024-04-02", "2024-03-10"]
    assert (
        texts(mem.search("Where did we go yesterday?", user_id="alice", reference_date="2024-03-11"))[0]
        == "We went to the lake."
    )


def test_what_mem0_would_do_with_a_model_is_refused_or_said(mem):
    with pytest.warns(UserWarning, match="not used"):
        mem.add("tea", user_id="alice", prompt="extract")
    with pytest.raises(ValidationError) as caught:
        mem.add("tea", user_id="alice", memory_type="episodic")
    assert caught.value.error_code == "VALIDATION_002"
    id = mem.add("First boil water.", agent_id="cook", memory_type="procedural_memory")["results"][0]["id"]
    assert mem.get(id)["metadata"] == {"memory_type": "procedural_memory"}
    for wrong in (7, None, ["tea"], b"tea"):
        with pytest.raises(ValidationError) as caught:
            mem.add(wrong, user_id="alice")
        assert caught.value.error_code == "VALIDATION_003"


def test_a_text_that_only_repeats_what_was_recalled_adds_nothing(mem):
    mem.add("The ferry leaves at ten from the north quay.", user_id="alice")
    mem.search("When does the ferry leave?", user_id="alice")
    again = mem.add({"role": "assistant", "content": "The ferry leaves at ten from the north quay."}, user_id="alice")
    assert [one["event"] for one in again["results"]] == ["NONE"]
    assert len(mem.get_all(user_id="alice")["results"]) == 1


# -- forgetting -------------------------------------------------------------------------------------------------


def test_deleting_forgets_for_good_and_a_missing_id_is_named(memory, mem):
    id = mem.add("tea", user_id="alice")["results"][0]["id"]
    mem.update(id, "green tea")
    assert mem.delete(id) == {"message": "Memory deleted successfully!"}
    assert mem.get(id) is None
    assert mem.history(id) == []
    assert memory.scope("user:alice").list() == []
    for call in (lambda: mem.delete(id), lambda: mem.update(id, "x"), lambda: mem.delete("no such")):
        with pytest.raises(MemoryNotFound, match="not found") as caught:
            call()
        assert isinstance(caught.value, ValueError)
    for strange in ("", None, "\ud800", 7):
        assert mem.get(strange) is None


def test_deleting_all_of_some_ids_leaves_the_others(mem):
    for user, agent, run in (
        ("alice", "tutor", "r1"),
        ("alice", "cook", "r2"),
        ("alice", None, None),
        ("bob", "tutor", "r1"),
    ):
        mem.add(f"{user} {agent} {run}", user_id=user, agent_id=agent, run_id=run)
    assert mem.delete_all(user_id="alice", agent_id="tutor") == {"message": "Memories deleted successfully!"}
    assert set(texts(mem.get_all(user_id="alice"))) == {"alice cook r2", "alice None None"}
    mem.delete_all(user_id="alice", run_id="r2")
    assert set(texts(mem.get_all(user_id="alice"))) == {"alice None None"}
    mem.delete_all("alice")
    mem.delete_all("alice")  # again: nothing to do
    assert texts(mem.get_all(user_id="alice")) == []
    assert texts(mem.get_all(user_id="bob")) == ["bob tutor r1"]


def test_a_reset_forgets_everything_below_the_handle_and_nothing_beside_it(memory):
    here, there = Memory(memory.scope("here")), Memory(memory.scope("there"))
    for one in (here, there):
        one.add("tea", user_id="alice")
        one.add("cake", agent_id="tutor")
    assert here.reset() is None
    assert texts(here.get_all(user_id="alice")) == texts(here.get_all(agent_id="tutor")) == []
    assert texts(there.get_all(user_id="alice")) == ["tea"]


# -- where a memory lies ------------------------------------------------------------------------------------------


def test_a_memory_is_found_by_its_id_alone_and_only_below_the_handle(memory):
    here, there = Memory(memory.scope("here")), Memory(memory.scope("there"))
    id = here.add("tea", user_id="alice")["results"][0]["id"]
    assert Memory(memory.scope("here")).get(id)["user_id"] == "alice"  # also for one that has not added it
    assert Memory(memory).get(id)["memory"] == "tea"
    assert there.get(id) is None
    with pytest.raises(MemoryNotFound):
        there.delete(id)


def test_a_memory_that_was_added_in_other_ways_is_found_too(memory, mem):
    own = memory.scope("acme/alice").add("tea", id="my-own-id").id
    plain = memory.add("cake", user_id="bob").id
    assert (mem.get(own)["memory"], mem.get(plain)["user_id"]) == ("tea", "bob")
    assert mem.history(plain)[0]["new_memory"] == "cake"


# -- opening ----------------------------------------------------------------------------------------------------


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MNEMIC_DB", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return tmp_path


HASHING = {"embedder": {"provider": "hashing"}}


@pytest.mark.filterwarnings("ignore:The weights of:UserWarning")
def test_without_arguments_the_file_is_in_the_working_directory_or_where_the_variable_says(in_folder, monkeypatch):
    with Memory() as mem:
        mem.add("tea", user_id="alice")
    assert (in_folder / "mnemic.db").exists()
    monkeypatch.setenv("MNEMIC_DB", str(in_folder / "other.db"))
    with Memory() as mem:
        assert texts(mem.get_all(user_id="alice")) == []
    assert (in_folder / "other.db").exists()


def test_what_was_added_is_there_after_closing_and_opening(in_folder):
    config = {"vector_store": {"provider": "mnemic", "config": {"path": "own.db"}}, **HASHING}
    with Memory.from_config(config) as mem:
        id = mem.add("tea", user_id="alice")["results"][0]["id"]
    assert (in_folder / "own.db").is_file()
    with Memory(config) as mem:
        assert mem.get(id)["memory"] == "tea"


def test_a_configuration_of_mem0_is_read_and_what_is_not_used_is_named_without_its_value(in_folder):
    config = {
        "vector_store": {"provider": "qdrant", "config": {"path": "data/q", "collection_name": "support", "api_key": "sk-secret"}},
        "llm": {"provider": "openai", "config": {"api_key": "sk-secret"}},
        "history_db_path": "data/history.db",
        "custom_instructions": "be nice",
        **HASHING,
    }  # fmt: skip
    with pytest.warns(UserWarning, match="does not use") as caught:
        mem = Memory.from_config(config)
    (message,) = [str(one.message) for one in caught]
    for key in ("vector_store.provider", "vector_store.config.api_key", "llm", "custom_instructions"):
        assert key in message
    assert "embedder" not in message
    assert "history_db_path" not in message
    assert "secret" not in message
    assert (in_folder / "data/q/mnemic.db").is_file()
    with mem:
        mem.add("tea", user_id="alice")
        assert mem._handle.scope_path == "collection:support"


def test_two_collections_of_one_path_do_not_see_each_other(in_folder):
    def config(name):
        return {"vector_store": {"provider": "mnemic", "config": {"path": "m.db", "collection_name": name}}, **HASHING}

    with Memory(config("mem0")) as plain, Memory(config("support")) as support:
        id = support.add("tea", user_id="alice")["results"][0]["id"]
        assert texts(plain.get_all(user_id="alice")) == []
        assert support.get(id)["user_id"] == "alice"


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({}, "mnemic.db"),
        ({"history_db_path": "h/history.db"}, "h/mnemic.db"),
        ({"vector_store": {"config": {"path": "v"}}, "history_db_path": "h/history.db"}, "v/mnemic.db"),
        ({"vector_store": {"provider": "mnemic", "config": {"path": "v.db"}}}, "v.db"),
        ({"vector_store": {"provider": "qdrant", "config": {"host": "h", "port": 1}}}, "mnemic.db"),
    ],
)
def test_the_file_lies_where_the_configuration_keeps_things(in_folder, config, path):
    assert str(read_settings(config).path) == path


def test_embedders_of_a_configuration_are_opened_and_never_at_somebody_elses_address(in_folder):
    def embedder(provider, **config):
        return read_settings({"embedder": {"provider": provider, "config": config}})

    openai = embedder(
        "openai", model="text-embedding-3-large", embedding_dims=256, openai_base_url="http://here/v1", api_key="k"
    )
    assert (openai.embedder.id, openai.embedder.base_url, openai.ignored) == (
        "openai:text-embedding-3-large?dimensions=256",
        "http://here/v1",
        (),
    )
    ollama = embedder("ollama", model="nomic", embedding_dims=768)
    assert (ollama.embedder.id, ollama.embedder.base_url) == ("openai:nomic", "http://localhost:11434/v1")
    assert ollama.ignored == ("embedder.config.embedding_dims",)
    assert embedder("ollama", model="n", ollama_base_url="http://box:1/").embedder.base_url == "http://box:1/v1"
    assert embedder("huggingface", model="all-MiniLM-L12-v2").embedder == "sentence-transformers:all-MiniLM-L12-v2"
    assert embedder("vertexai", model="m").embedder is None
    assert embedder("vertexai", model="m").ignored == ("embedder.provider", "embedder.config.model")


def test_a_configuration_that_is_none_is_refused(in_folder):
    for wrong in (7, "x.db", object()):
        with pytest.raises(ParameterError):
            Memory(wrong)
    for wrong in ({"vector_store": "qdrant"}, {"embedder": {"config": [1]}}):
        with pytest.raises(ParameterError, match="dictionary is expected"):
            Memory.from_config(wrong)
    with pytest.raises(ParameterError):
        Memory.from_config("x.db")
    assert list(in_folder.iterdir()) == []


def test_a_handle_stays_open_when_it_is_only_borrowed(memory):
    with Memory(memory) as mem:
        mem.add("tea", user_id="alice")
    assert len(memory.scope("user:alice").list()) == 1


# -- in an event loop ---------------------------------------------------------------------------------------------


def test_the_async_class_does_the_same(memory):
    async def go():
        async with AsyncMemory(memory) as mem:
            id = (await mem.add("I like tea.", user_id="alice"))["results"][0]["id"]
            await mem.update(id, "I like coffee.")
            await mem.add("cake", user_id="alice", run_id="r1")
            found = await mem.search("coffee", filters={"user_id": "alice"})
            before = (await mem.get(id))["memory"], len(await mem.history(id)), texts(found)[0]
            await mem.delete(id)
            left = texts(await mem.get_all(user_id="alice"))
            await mem.delete_all(user_id="alice", run_id="r1")
            gone = texts(await mem.get_all(user_id="alice"))
            await mem.reset()
            return before, left, gone

    assert asyncio.run(go()) == (("I like coffee.", 2, "I like coffee."), ["cake"], [])


def test_the_async_class_opens_from_a_configuration(in_folder):
    config = {"vector_store": {"provider": "mnemic", "config": {"path": "m.db"}}, **HASHING}

    async def go():
        async with AsyncMemory.from_config(config) as mem:
            await mem.add("tea", user_id="alice")
        async with AsyncMemory(config) as mem:
            return texts(await mem.get_all(user_id="alice"))

    assert asyncio.run(go()) == ["tea"]


def test_errors_of_the_memory_come_through(mem):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="surrogate"):
            mem.add("\ud800", user_id="alice")
    assert not issubclass(IdConflict, ValueError)
    assert texts(mem.get_all(user_id="alice")) == []
