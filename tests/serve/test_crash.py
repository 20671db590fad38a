"""A server that is killed, told to stop, started twice, or out of space: what it acknowledged is there, once, and nothing else."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

import pytest

pytest.importorskip("fastapi", reason="needs the extra 'server'")
pytest.importorskip("uvicorn")

from mnemic.errors import StoreBusy
from mnemic.serve.run import only_one

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
RUN = "from mnemic.cli.main import run; run()"
LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0})); " + RUN
GONE = (OSError, http.client.HTTPException)  # what a client sees of a server that was killed


class Process:
    """A server as a process."""

    def __init__(self, data, *words, script=RUN):
        self.log = data.parent / f"{time.monotonic_ns()}.log"
        known = {key: value for key, value in os.environ.items() if not key.startswith("MNEMIC_")}
        with self.log.open("w") as log:
            self.popen = subprocess.Popen(
                [sys.executable, "-c", script, "serve", "--data", str(data), "--port", "0", *words],
                env=known | {"MNEMIC_EMBEDDER": "hashing", "OMP_NUM_THREADS": "1"},
                stderr=log,
                stdout=subprocess.DEVNULL,
            )
        self.port = 0

    def ready(self):
        """Once it listens."""
        ends_at = time.monotonic() + 60
        while time.monotonic() < ends_at and self.popen.poll() is None:
            if found := re.search(r"url=\S+:(\d+)", self.log.read_text()):
                self.port = int(found[1])
                with suppress(*GONE):
                    self.ask("GET", "/healthz")
                    return self
            time.sleep(0.02)
        raise AssertionError(self.log.read_text())

    def ask(self, method, path, body=None, **headers):
        """(status, parsed body). Raises OSError and HTTPException where no whole answer came."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            sent = body if body is None or isinstance(body, bytes) else json.dumps(body)
            names = {"Content-Type": "application/json"} | {
                name.replace("_", "-"): value for name, value in headers.items()
            }
            line.request(method, path, sent, names)
            answer = line.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            line.close()

    def send(self, number):
        """A signal."""
        self.popen.send_signal(number)

    def join(self):
        """Its exit code."""
        return self.popen.wait(60)


@pytest.fixture
def start(tmp_path):
    started = []

    def start(*words, script=RUN):
        started.append(Process(tmp_path / "data", *words, script=script))
        return started[-1]

    yield start
    for one in started:
        if one.popen.poll() is None:
            one.popen.kill()
        one.popen.wait(60)


def everything(server, scope):
    """All episodes of a scope: (id, text), page by page."""
    found, cursor = [], None
    while True:
        query = {"scope": scope, "limit": 1000} | ({"cursor": cursor} if cursor else {})
        status, page = server.ask("GET", f"/v1/episodes?{urlencode(query)}")
        assert status == 200, page
        found += [(one["id"], one["text"]) for one in page["episodes"]]
        if (cursor := page["next_cursor"]) is None:
            return found


def write(server, n, count, acknowledged):
    """One client: writes with idempotency keys until all are written or the server is gone."""
    for k in range(count):
        body = {"scope": f"t{n % 3}/u", "messages": f"{n}-{k} " + "x" * (k * 37 % 2000)}
        try:
            status, _ = server.ask("POST", "/v1/episodes", body, Idempotency_Key=f"{n}-{k}")
        except GONE:
            return
        assert status == 201
        acknowledged.append(f"{n}-{k}")


def texts_of(server):
    """The names of all that was written, with how often."""
    return sorted(text.split()[0] for scope in ("t0/u", "t1/u", "t2/u") for _, text in everything(server, scope))


def kill_while_writing(start, after_s):
    server = start().ready()
    acknowledged = []
    with ThreadPoolExecutor(8) as pool:
        for n in range(8):
            pool.submit(write, server, n, 60, acknowledged)
        while len(acknowledged) < 20:
            time.sleep(0.001)
        time.sleep(after_s)
        server.send(signal.SIGKILL)
    assert server.join() == -signal.SIGKILL

    server = start().ready()
    found = texts_of(server)
    assert set(acknowledged) <= set(found)
    assert len(set(found)) == len(found)
    again = []
    for n in range(8):
        write(server, n, 60, again)
    assert texts_of(server) == sorted(f"{n}-{k}" for n in range(8) for k in range(60))
    server.send(signal.SIGTERM)
    assert server.join() == 0


def test_what_was_acknowledged_before_a_kill_is_there_once_and_sending_all_again_doubles_nothing(start):
    kill_while_writing(start, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [0.0, 0.01, 0.1, 0.2, 0.3, 0.5])
def test_whenever_it_is_killed_what_was_acknowledged_is_there_once(start, after_s):
    kill_while_writing(start, after_s)


def past(count):
    """A file to import."""
    return b"".join(
        json.dumps({"role": "user", "content": f"note {n} of a long past", "id": f"n{n}"}).encode() + b"\n"
        for n in range(count)
    )


def killed_under_way(server, tmp_path, method, path, body, delay_s):
    """Begin a request, kill the server a moment later."""

    def ask():
        with suppress(*GONE):
            server.ask(method, path, body)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(delay_s)
    server.send(signal.SIGKILL)
    server.join()
    thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", [0.05, 0.3, 0.8])
def test_an_import_that_was_cut_short_is_finished_by_sending_it_again(start, tmp_path, delay_s):
    server = start().ready()
    killed_under_way(server, tmp_path, "POST", "/v1/import?scope=a/b&format=openai", past(6000), delay_s)
    server = start().ready()
    assert list((tmp_path / "data" / "uploads").iterdir()) == []  # what was half taken in
    before = len(everything(server, "a/b"))
    status, done = server.ask("POST", "/v1/import?scope=a/b&format=openai", past(6000))
    assert (status, done["added"] + done["skipped"], done["skipped"]) == (200, 6000, before)
    found = everything(server, "a/b")
    assert len(found) == len(set(found)) == 6000


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", [0.005, 0.05, 0.2])
def test_a_forgetting_that_was_cut_short_is_finished_by_asking_again(start, tmp_path, delay_s):
    server = start().ready()
    assert server.ask("POST", "/v1/import?scope=a/b&format=openai", past(3000))[0] == 200
    server.ask("POST", "/v1/episodes", {"scope": "a/c", "messages": "stays"})
    killed_under_way(server, tmp_path, "POST", "/v1/forget", {"scope": "a/b", "everything": True}, delay_s)
    server = start().ready()
    assert len(everything(server, "a/b")) in (0, 3000)  # all or nothing
    assert server.ask("POST", "/v1/forget", {"scope": "a/b", "everything": True})[0] == 200
    assert (everything(server, "a/b"), [text for _, text in everything(server, "a/c")]) == ([], ["stays"])
    status, found = server.ask("POST", "/v1/search", {"scope": "a/b", "query": "note of a long past"})
    assert (status, found["results"]) == (200, [])
    server.send(signal.SIGTERM)
    assert server.join() == 0
    left = [one.name for one in (tmp_path / "data" / "tenants").rglob("*") if one.is_file()]
    assert [one for one in left if b"of a long past" in (tmp_path / "data" / "tenants" / one).read_bytes()] == []


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", [0.02, 0.2])
def test_a_consolidation_that_was_cut_short_goes_on_at_the_next_start(start, tmp_path, delay_s):
    server = start().ready()
    assert server.ask("PUT", "/v1/systems/amem?scope=a", {})[0] in (200, 404)
    known = [one["id"] for one in server.ask("GET", "/v1/systems?scope=a")[1]["systems"] if one["makes"]]
    assert server.ask("PUT", f"/v1/systems/{known[0]}?scope=a", {})[0] == 200
    for n in range(6):
        assert server.ask("POST", f"/v1/import?scope=a/s{n}&format=openai", past(60))[0] == 200
    job = server.ask("POST", "/v1/consolidate", {"scope": "a"})[1]
    time.sleep(delay_s)
    server.send(signal.SIGKILL)
    server.join()
    server = start().ready()
    ends_at = time.monotonic() + 60
    while (state := server.ask("GET", f"/v1/jobs/{job['id']}")[1])["state"] in ("waiting", "running"):
        assert time.monotonic() < ends_at, state
        time.sleep(0.05)
    assert state["state"] == "done", state
    for n in range(6):
        assert len(everything(server, f"a/s{n}")) == 60


def test_a_folder_is_served_by_one_process_at_a_time_and_by_the_next_after_a_kill(start, tmp_path):
    first = start().ready()
    first.ask("POST", "/v1/episodes", {"scope": "a", "messages": "mine"})
    second = start()
    assert second.join() not in (0, None)
    assert "Another server serves" in second.log.read_text()
    assert [text for _, text in everything(first, "a")] == ["mine"]
    first.send(signal.SIGKILL)
    first.join()
    data = tmp_path / "data"
    with (
        only_one(data),
        pytest.raises(StoreBusy, match="Another server"),
        only_one(data),
    ):  # the lock ended with its holder
        pass


def test_an_application_on_a_folder_that_is_served_does_not_start(serve):
    first = serve()
    with pytest.raises(StoreBusy, match="Another server"):
        serve()
    assert first.get("/v1/me").status_code == 200


def test_the_command_bounds_the_head_of_a_request(start):
    server, sent = start().ready(), 0
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line, suppress(OSError):
        line.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")
        while sent < 2**23:
            line.sendall(b"a" * 2**14)
            sent += 2**14
    assert sent < 2**23


def test_a_request_under_way_is_finished_when_the_server_is_told_to_stop(start):
    server = start().ready()
    body = past(50)
    line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    line.putrequest("POST", "/v1/import?scope=a&format=openai")
    line.putheader("Content-Length", str(len(body)))
    line.endheaders()
    line.send(body[:100])
    time.sleep(0.3)
    server.send(signal.SIGTERM)
    time.sleep(0.3)
    with pytest.raises(GONE):  # nobody new is let in
        server.ask("GET", "/healthz")
    line.send(body[100:])
    answer = line.getresponse()
    assert (answer.status, json.loads(answer.read())["added"]) == (200, 50)
    line.close()
    assert server.join() == 0


def test_a_full_disk_is_told_and_what_was_acknowledged_is_there(serve, tmp_path):
    client = serve()
    assert client.post("/v1/episodes", json={"scope": "a", "messages": "one", "id": "one"}).status_code == 201
    with client.app.state.server.tenants.lease("a") as memory:
        writer = memory._shared.store._database._writer  # to SQLite this is a full disk
        pages = writer.execute("PRAGMA page_count").fetchone()[0]
        writer.execute(f"PRAGMA max_page_count = {pages + 2}")
        answer = client.post("/v1/episodes", json={"scope": "a", "messages": "x" * 300_000})
        assert (answer.status_code, answer.json()["code"]) == (507, "StoreFull")
        assert str(tmp_path) not in answer.text
        assert client.get("/v1/episodes", params={"scope": "a"}).json()["episodes"][0]["id"] == "one"
        writer.execute("PRAGMA max_page_count = 1000000")
        assert client.post("/v1/episodes", json={"scope": "a", "messages": "x" * 300_000}).status_code == 201


def test_an_import_for_which_there_is_no_room_is_told_and_leaves_nothing(serve, monkeypatch):
    import errno

    client = serve()
    opened = Path.open

    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    def open_(self, mode="r", *rest, **named):
        return Full() if mode == "xb" else opened(self, mode, *rest, **named)

    monkeypatch.setattr(Path, "open", open_)
    answer = client.post("/v1/import", params={"scope": "a"}, content=past(3))
    assert (answer.status_code, answer.json()["code"]) == (507, "StoreFull")
    assert list(client.app.state.server.uploads.iterdir()) == []


def test_files_that_may_not_grow_lose_nothing_that_was_acknowledged(start):
    server = start(script=LIMITED.format(700_000)).ready()
    acknowledged, refused = [], set()
    for n in range(200):
        status, told = server.ask("POST", "/v1/episodes", {"scope": "a", "messages": f"{n} " + "é" * 8000})
        if status == 201:
            acknowledged.append(told["results"][0]["id"])
        else:
            refused.add((status, told["code"]))
    assert acknowledged
    assert refused
    assert {status for status, _ in refused} <= {503, 507}, refused
    assert server.ask("GET", "/healthz")[0] == 200
    server.send(signal.SIGKILL)
    server.join()
    server = start().ready()
    assert [id for id, _ in everything(server, "a")] == acknowledged
