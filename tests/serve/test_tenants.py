"""One file for each tenant: opened on demand, closed when idle or too many, never mixed up."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemic.errors import InvalidScope, NotAStore, StoreClosed
from mnemic.models.hashing import HashingEmbedder
from mnemic.serve.control import Control
from mnemic.serve.settings import Settings
from mnemic.serve.tenants import Tenants, file_name, tenant_of


@pytest.fixture
def open_tenants(tmp_path, clock):
    opened = []

    def open_(**settings):
        control = Control(tmp_path / "server.db", clock)
        tenants = Tenants(Settings(data=tmp_path, **settings), control, clock, HashingEmbedder())
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
