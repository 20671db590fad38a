"""The remote embedder, against a real server on the loopback that can misbehave in the ways real ones do."""

import json
import threading
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from mnemic.clock import ManualClock
from mnemic.errors import DependencyMissing, EmbedderUnavailable, ParameterError
from mnemic.models import RemoteEmbedder

pytest.importorskip("httpx", reason="httpx, of the extra 'remote', is not installed")
KEY = "sk-very-secret-0123456789"


class Server(ThreadingHTTPServer):
    """Answers each text with [its length, 1, 0]; `script` holds what to do first, one entry for each request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list = []
        self.bodies: list[dict] = []
        self.headers_seen: list[dict] = []
        self.release = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        self.server.headers_seen.append(dict(self.headers))
        data = [
            {"object": "embedding", "index": place, "embedding": [len(text), 1, 0]}
            for place, text in enumerate(body["input"])
        ]
        act = self.server.script.pop(0) if self.server.script else None
        if act == "drop":
            self.close_connection = True
            return
        if act == "slow":
            self.server.release.wait(5)
            self.close_connection = True
            return
        status, headers, answer = act(data) if callable(act) else (act or (200, {}, {"data": data}))
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        if self.path != "/v1/embeddings":
            status, content = 404, b"no such path"
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.release.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def remote(server: Server, pauses: list[float]):
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    embedder = RemoteEmbedder("m", base_url=server.url, api_key=KEY, sleep=pauses.append, clock=clock)
    with closing(embedder):
        yield embedder


def unit(*lengths: int) -> np.ndarray:
    rows = np.array([[length, 1.0, 0.0] for length in lengths])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_texts_become_unit_vectors_in_their_order(server: Server, remote: RemoteEmbedder) -> None:
    np.testing.assert_allclose(remote.embed(["a", "bbb"]), unit(1, 3), atol=1e-6)
    assert server.bodies == [{"model": "m", "input": ["a", "bbb"]}]
    assert server.headers_seen[0]["Authorization"] == f"Bearer {KEY}"
    assert (remote.id, remote.dim) == ("openai:m", 3)


def test_texts_go_in_batches(server: Server) -> None:
    with closing(RemoteEmbedder("m", base_url=server.url, batch_size=2)) as remote:
        np.testing.assert_allclose(remote.embed(["a", "bb", "ccc"]), unit(1, 2, 3), atol=1e-6)
    assert [body["input"] for body in server.bodies] == [["a", "bb"], ["ccc"]]


def test_an_answer_in_another_order_is_put_right(server: Server, remote: RemoteEmbedder) -> None:
    server.script = [lambda data: (200, {}, {"data": data[::-1]})]
    np.testing.assert_allclose(remote.embed(["a", "bb", "ccc"]), unit(1, 2, 3), atol=1e-6)


def test_blank_texts_are_not_sent_and_long_ones_are_cut(server: Server) -> None:
    with closing(RemoteEmbedder("m", base_url=server.url, max_tokens=2)) as remote:
        vectors = remote.embed(["", "123456789", " "])
    np.testing.assert_allclose(vectors[1:2], unit(6), atol=1e-6)
    assert not vectors[[0, 2]].any()
    assert server.bodies == [{"model": "m", "input": ["123456"]}]


def test_nothing_is_sent_before_it_is_needed(server: Server, remote: RemoteEmbedder) -> None:
    assert server.bodies == []
    assert remote.dim == 3
    assert len(server.bodies) == 1
    assert remote.embed([]).shape == (0, 3)
    assert len(server.bodies) == 1


def test_asked_dimensions_are_sent_and_checked(server: Server) -> None:
    with closing(RemoteEmbedder("m", base_url=server.url, dimensions=3)) as remote:
        remote.embed(["a"])
        assert remote.id == "openai:m?dimensions=3"
    assert server.bodies[0]["dimensions"] == 3
    with (
        closing(RemoteEmbedder("m", base_url=server.url, dimensions=2)) as remote,
        pytest.raises(EmbedderUnavailable, match="3 dimensions where 2 were expected"),
    ):
        remote.embed(["a"])


@pytest.mark.parametrize("refusal", [(429, {}, b"slow down"), (503, {}, b"busy"), "drop"])
def test_a_passing_refusal_is_tried_again_with_growing_pauses(
    server: Server, remote: RemoteEmbedder, pauses: list[float], refusal
) -> None:
    server.script = [refusal, refusal, refusal]
    np.testing.assert_allclose(remote.embed(["a"]), unit(1), atol=1e-6)
    assert len(pauses) == 3
    for pause, most in zip(pauses, (0.5, 1.0, 2.0), strict=True):
        assert most / 2 <= pause <= most


@pytest.mark.parametrize(
    ("asked", "pause"),
    [("7", 7.0), ("0.25", 0.25), ("Thu, 01 Jan 2026 00:00:09 GMT", 9.0), ("86400", 60.0), ("-3", 0.0)],
)
def test_the_server_says_how_long_to_wait(
    server: Server, remote: RemoteEmbedder, pauses: list[float], asked: str, pause: float
) -> None:
    server.script = [(429, {"Retry-After": asked}, b"slow down")]
    remote.embed(["a"])
    assert pauses == [pause]


def test_a_retry_after_that_means_nothing_is_ignored(
    server: Server, remote: RemoteEmbedder, pauses: list[float]
) -> None:
    server.script = [(429, {"Retry-After": "soon"}, b"slow down")]
    remote.embed(["a"])
    assert 0.25 <= pauses[0] <= 0.5


def test_patience_ends(server: Server, remote: RemoteEmbedder, pauses: list[float]) -> None:
    server.script = [(500, {}, b"broken")] * 5
    with pytest.raises(EmbedderUnavailable, match=r"after 5 tries: HTTP 500: broken\. Check that it runs"):
        remote.embed(["a"])
    assert len(pauses) == 4


def test_a_slow_server_times_out(server: Server) -> None:
    server.script = ["slow"]
    with (
        closing(RemoteEmbedder("m", base_url=server.url, timeout_s=0.05, max_tries=1)) as remote,
        pytest.raises(EmbedderUnavailable, match="ReadTimeout"),
    ):
        remote.embed(["a"])


def test_a_server_that_is_down_is_named(pauses: list[float], server: Server) -> None:
    with Server() as gone:
        url = gone.url
    with (
        closing(RemoteEmbedder("m", base_url=url, sleep=pauses.append, max_tries=2)) as remote,
        pytest.raises(EmbedderUnavailable, match=f"{url}: after 2 tries: ConnectError"),
    ):
        remote.embed(["a"])


@pytest.mark.parametrize(
    ("status", "remedy"),
    [(401, "Check OPENAI_API_KEY"), (404, "Check the model's name"), (400, "set max_tokens lower")],
)
def test_a_lasting_refusal_is_not_tried_again(
    server: Server, remote: RemoteEmbedder, pauses: list[float], status: int, remedy: str
) -> None:
    server.script = [(status, {}, f"no, not with {KEY}".encode())]
    with pytest.raises(EmbedderUnavailable, match=remedy) as caught:
        remote.embed(["a"])
    assert pauses == []
    assert "no, not with ***" in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>hello</html>",
        [],
        {},
        {"data": None},
        {"data": [3, 4]},
        {"data": [{"index": 0, "embedding": [1, 2]}]},
        {"data": [{"index": 0, "embedding": [1, 2]}, {"index": 0, "embedding": [1, 2]}]},
        {"data": [{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": [1, 2, 3]}]},
        {"data": [{"index": 0, "embedding": [1, 2]}, {"index": 1, "embedding": [1, float("nan")]}]},
        {"data": [{"index": 0, "embedding": "AAAA"}, {"index": 1, "embedding": "AAAA"}]},
        {"data": [{"index": 0, "embedding": []}, {"index": 1, "embedding": []}]},
        {"data": [{"index": 0}, {"index": 1}]},
    ],
)
def test_a_malformed_answer_is_said_and_not_guessed_around(server: Server, remote: RemoteEmbedder, answer) -> None:
    server.script = [(200, {}, answer)]
    with pytest.raises(EmbedderUnavailable, match="not in the format of /v1/embeddings"):
        remote.embed(["a", "b"])


def test_a_dimension_that_changes_is_refused(server: Server, remote: RemoteEmbedder) -> None:
    remote.embed(["a"])
    server.script = [(200, {}, {"data": [{"index": 0, "embedding": [1, 2]}]})]
    with pytest.raises(EmbedderUnavailable, match="2 dimensions where 3 were expected"):
        remote.embed(["b"])


def test_the_key_shows_nowhere(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    server.script = [(401, {}, f"bad key {KEY}".encode())]
    address = server.url.replace("://", f"://user:{KEY}@")
    with (
        closing(RemoteEmbedder("m", base_url=address, api_key=KEY)) as remote,
        pytest.raises(EmbedderUnavailable) as caught,
    ):
        remote.embed(["a"])
    assert KEY not in f"{remote!r} {caught.value!r} {caught.getrepr(style='short')}"
    assert not [record for record in caplog.records if record.name.startswith("mnemic") and KEY in record.getMessage()]


def test_the_environment_is_read_at_construction(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.url + "/")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    remote = RemoteEmbedder("m")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1")
    with closing(remote):
        remote.embed(["a"])
    assert server.headers_seen[0]["Authorization"] == f"Bearer {KEY}"


def test_without_a_key_openai_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setattr(RemoteEmbedder, "_post", None)  # calling it would fail
    with pytest.raises(EmbedderUnavailable, match="Set OPENAI_API_KEY"):
        RemoteEmbedder("text-embedding-3-small").embed(["a"])


def test_openais_own_models_have_known_dimensions() -> None:
    assert RemoteEmbedder("text-embedding-3-large", api_key=KEY).dim == 3072


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnemic.models.remote.find_spec", lambda name: None)
    with pytest.raises(DependencyMissing, match=r"pip install 'mnemic\[remote\]'"):
        RemoteEmbedder("m")


@pytest.mark.parametrize("wrong", [{"model": ""}, {"dimensions": 0}, {"batch_size": 0}, {"max_tries": 0}])
def test_arguments_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(ParameterError):
        RemoteEmbedder(**{"model": "m", **wrong})
