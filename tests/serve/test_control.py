"""The server's own file: durable, private, shared by processes, and refused where it is something else."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.errors import NotAStore, StoreClosed, StoreError, StoreReadOnly, StoreTooNew
from mnemic.serve.control import Control


@pytest.fixture
def control(tmp_path: Path, clock: ManualClock):
    with Control(tmp_path / "server.db", clock) as control:
        yield control


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
def test_the_file_and_its_log_are_for_their_owner_alone(control):
    control.claim_tenant("acme", "t-acme.db")
    files = sorted(control.path.parent.iterdir())
    assert [one.name for one in files] == ["server.db", "server.db-shm", "server.db-wal"]
    assert {stat.S_IMODE(one.stat().st_mode) for one in files} == {0o600}


def test_a_tenant_keeps_the_file_that_it_got_first(control):
    assert control.tenant_file("acme") is None
    assert control.claim_tenant("acme", "a.db") == "a.db"
    assert control.claim_tenant("acme", "b.db") == "a.db"
    assert control.tenant_file("acme") == "a.db"


def test_no_two_tenants_share_a_file(control):
    control.claim_tenant("acme", "a.db")
    with pytest.raises(StoreError, match="another tenant"):
        control.claim_tenant("other", "a.db")
    assert control.tenants() == ["acme"]


def test_tenants_are_listed_in_order_by_prefix_and_page(control):
    names = ["", "acme", "acme-b", "Ærø", "zebra", "東京", "acmf"]
    for number, name in enumerate(names):
        control.claim_tenant(name, f"{number}.db")
    assert control.tenants() == sorted(names)
    assert control.tenants(prefix="acme") == ["acme", "acme-b"]
    assert control.tenants(after="acme", limit=2) == ["acme-b", "acmf"]
    assert control.tenants(after="acme", prefix="acme") == ["acme-b"]


def test_what_one_process_commits_another_sees_at_once(control):
    script = "import sys; from pathlib import Path; from mnemic.serve.control import Control\n"
    script += "Control(Path(sys.argv[1])).claim_tenant('acme', 'a.db')"
    subprocess.run([sys.executable, "-c", script, str(control.path)], check=True, timeout=60)
    assert control.tenant_file("acme") == "a.db"


def test_many_threads_make_the_file_and_write_it_at_once(tmp_path):
    problems = []

    def claim(number: int) -> None:
        try:
            with Control(tmp_path / "server.db") as control:
                for n in range(10):
                    control.claim_tenant(f"t{number}-{n}", f"{number}-{n}.db")
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    with Control(tmp_path / "server.db") as control:
        assert len(control.tenants(limit=1000)) == 60


def test_a_memory_is_not_taken_for_a_control_file_and_stays_as_it_is(tmp_path):
    path = tmp_path / "server.db"
    Memory.open(path, embedder="hashing").close()
    before = path.read_bytes()
    with pytest.raises(NotAStore):
        Control(path)
    assert path.read_bytes() == before


def test_a_newer_file_is_refused_with_what_to_do(tmp_path):
    Control(tmp_path / "server.db").close()
    connection = sqlite3.connect(tmp_path / "server.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreTooNew, match="pip install --upgrade"):
        Control(tmp_path / "server.db")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StoreReadOnly, match="folder exists"):
        Control(tmp_path / "no" / "server.db")


def test_a_closed_file_says_so(control):
    control.close()
    control.close()
    with pytest.raises(StoreClosed):
        control.tenants()


def test_a_backup_made_while_others_write_is_whole(control, tmp_path):
    stop = threading.Event()

    def write() -> None:
        n = 0
        while not stop.is_set():
            control.claim_tenant(f"t{n}", f"{n}.db")
            n += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        control.backup(tmp_path / "copy.db")
    finally:
        stop.set()
        thread.join()
    assert not (tmp_path / "copy.db-wal").exists()
    with Control(tmp_path / "copy.db") as copy:
        names = copy.tenants(limit=100_000)
        assert sorted(names) == sorted(f"t{n}" for n in range(len(names)))
