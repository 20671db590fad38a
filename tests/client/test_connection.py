"""The way to a server: what is tried again and what is not, what is said when nothing comes back, and the key, which stays hidden."""

import json
import logging
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import pytest

from mnemic.client import Client
from mnemic.client.connection import LONGEST_ASKED_S
from mnemic.client.problem import KINDS
from mnemic.errors import (
    DependencyMissing,
    EpisodeNotFound,
    Forbidden,
    MnemicError,
    ParameterError,
    ServerUnreachable,
    StoreBusy,
    StoreClosed,
    StoreCorrupt,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
)
from mnemic.serve.app import create_app
from mnemic.serve.server import Server
from mnemic.serve.settings import Settings

from .serving import http, mnemic_at, raw, served

PAGE = http(200, b"<html><body>Welcome</body></html>", "text/html; charset=utf-8")
EMPTY = http(200, b'{"episodes": [], "next_cursor": null}')


def problem(status, code, detail="It is so. Do this.", *headers):
    body = json.dumps({"code": code, "detail": detail, "status": status}).encode()
    return http(status, body, "application/problem+json", *headers)


def nobody():
    """An address at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/mcp"])
def test_an_address_with_the_path_of_a_door_says_which_one_to_give(tmp_path, clock, path):
    with mnemic_at(tmp_path / "data", clock) as (url, _), Client(url + path) as client:
        for ask in (lambda: client.search("tea"), lambda: client.add("tea"), lambda: client.scope("a").list()):
            with pytest.raises(ServerUnreachable, match=f"Leave out the {path.rstrip('/')}: {url}[.]"):
                ask()


# -- trying again -------------------------------------------------------------------------------------------


def test_where_nothing_listens_it_is_tried_again_with_growing_pauses_and_then_said(pauses):
    where = nobody()
    with pytest.raises(ServerUnreachable, match=r"after 4 tries.*mnemic serve") as raised:
        Client(where).list()
    assert where in str(raised.value)
    assert len(pauses) == 3
    assert all(
        low <= pause <= high for pause, low, high in zip(pauses, (0.125, 0.25, 0.5), (0.25, 0.5, 1.0), strict=True)
    )


def test_without_retries_there_is_one_try(pauses):
    with pytest.raises(ServerUnreachable):
        Client(nobody(), retries=0).list()
    assert pauses == []


@pytest.mark.parametrize(
    "passing", [b"", http(503, b"busy", "text/plain"), problem(503, "StoreBusy"), problem(429, "TooManyRequests")]
)
def test_what_passes_is_tried_again_until_it_has(passing, pauses):
    with raw([passing, passing, EMPTY]) as (where, asked):
        assert Client(where).list() == []
    assert len(asked) == 3
    assert len(pauses) == 2


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (problem(503, "StoreBusy", "Busy. Wait."), StoreBusy),
        (problem(429, "TooManyRequests", "Too often. Wait."), TooManyRequests),
    ],
)
def test_what_does_not_pass_is_raised_as_what_it_is(refusal, kind, pauses):
    with raw([refusal]) as (where, asked), pytest.raises(kind, match=r"Wait\."):
        Client(where, retries=2).list()
    assert len(asked) == 3


def test_it_waits_as_long_as_the_server_asks_and_not_less(pauses):
    with raw([problem(429, "TooManyRequests", "Wait.", "Retry-After: 7"), EMPTY]) as (where, _):
        Client(where).list()
    assert 7.0 <= pauses[0] <= 7.0 * 1.25


def test_a_server_that_asks_for_an_hour_is_not_waited_for(pauses):
    assert LONGEST_ASKED_S < 3600
    refusal = problem(429, "TooManyRequests", "Wait an hour.", "Retry-After: 3600")
    with raw([refusal]) as (where, asked), pytest.raises(TooManyRequests, match="Wait an hour"):
        Client(where).list()
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (problem(404, "EpisodeNotFound"), EpisodeNotFound),
        (problem(422, "ParameterError"), ParameterError),
        (problem(401, "Unauthenticated"), Unauthenticated),
        (problem(403, "Forbidden"), Forbidden),
        (problem(413, "TooLarge"), TooLarge),
        (problem(503, "StoreCorrupt"), StoreCorrupt),
        (problem(500, "Fault"), ServerUnreachable),
        (problem(421, "WrongHost"), ServerUnreachable),
        (problem(409, "OfANewerServer"), ServerUnreachable),
        (problem(422, "Exception"), ServerUnreachable),
    ],
)
def test_a_refusal_is_raised_at_once_as_the_class_it_names_with_its_words(refusal, kind, pauses):
    with raw([refusal]) as (where, asked), pytest.raises(MnemicError, match=r"It is so\. Do this\.") as raised:
        Client(where).list()
    assert type(raised.value) is kind
    assert len(asked) == 1


def test_every_error_has_a_class_of_its_own_on_the_way_back():
    with raw([problem(422, name) for name in KINDS]) as (where, _), Client(where) as client:
        for kind in KINDS.values():
            with pytest.raises(kind, match=r"It is so\. Do this\.$") as raised:
                client.list()
            assert type(raised.value) is kind


def test_an_answer_that_does_not_come_in_time_is_given_up(pauses):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = Client(f"http://127.0.0.1:{listening.getsockname()[1]}", timeout_s=0.05, retries=1)
        with pytest.raises(ServerUnreachable, match=r"ReadTimeout.*after 2 tries"):
            client.list()


# -- writing once -------------------------------------------------------------------------------------------


class Dies:
    """An application that does what it was asked, once, and then never answers."""

    def __init__(self, app, method, path, deaths=1):
        self.app, self.method, self.path, self.left, self.asked = app, method, path, deaths, []

    async def __call__(self, scope, receive, send):
        is_it = scope["type"] == "http" and scope["method"] == self.method and scope["path"].startswith(self.path)
        if is_it:
            self.asked.append({name.decode(): value.decode() for name, value in scope["headers"]})
        if not is_it or not self.left:
            await self.app(scope, receive, send)
            return
        self.left -= 1

        async def nothing(_):
            return None

        await self.app(scope, receive, nothing)  # it is committed
        await send({"type": "http.response.start", "status": 201, "headers": [(b"content-length", b"1000")]})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})
        raise ConnectionError("the server died after committing")


@pytest.fixture
def dying(tmp_path, clock):
    """A client of a server that dies after a request, and what it was asked."""
    with ExitStack() as stack:

        def start(method, path, deaths=1):
            app = create_app(Settings(data=tmp_path / "server", embedder="hashing", consolidate_after_s=None), clock)
            dies = Dies(app, method, path, deaths)
            where = stack.enter_context(served(dies))
            return stack.enter_context(Client(where, timeout_s=10)), dies.asked

        yield start


def test_an_add_that_was_committed_and_not_answered_is_written_once(dying, pauses):
    client, asked = dying("POST", "/v1/episodes", deaths=2)
    alice = client.scope("acme/alice")
    added = alice.add(["one", {"role": "assistant", "content": "two", "id": "mine"}])
    assert [one.text for one in alice.list()] == ["one", "two"]
    assert added.ids == [one.id for one in alice.list()]
    assert len(asked) == 3
    assert len({headers["idempotency-key"] for headers in asked}) == 1


def test_two_adds_of_the_same_text_are_two(dying):
    client, asked = dying("POST", "/v1/episodes", deaths=0)
    client.scope("acme").add("again")
    client.scope("acme").add("again")
    assert len(client.scope("acme").list()) == 2
    assert len({headers["idempotency-key"] for headers in asked}) == 2


def test_an_update_that_was_committed_and_not_answered_is_written_once(dying, pauses):
    client, asked = dying("PATCH", "/v1/episodes")
    alice = client.scope("acme/alice")
    alice.add("I live in Porto.", id="home")
    newer = alice.update("home", "I live in Lisbon.")
    assert [one.episode.text for one in alice.history("home")] == ["I live in Porto.", "I live in Lisbon."]
    assert alice.history("home")[-1].episode.id == newer.id
    assert len(asked) == 2


def test_forgetting_that_was_not_answered_is_not_tried_again_and_that_is_said(dying, pauses):
    client, asked = dying("POST", "/v1/forget")
    alice = client.scope("acme/alice")
    alice.add("a secret", id="secret")
    with pytest.raises(ServerUnreachable, match="Whether it was forgotten is not known"):
        alice.delete("secret")
    assert len(asked) == 1
    assert alice.list() == []


def test_an_import_that_was_not_answered_is_sent_again_and_changes_nothing(dying, pauses, tmp_path):
    file = tmp_path / "talk.jsonl"
    file.write_text(
        '{"format": "mnemic", "version": 1}\n{"type": "episode", "id": "a", "scope": "", "text": "tea", "role": "user", "occurred_at": "2024-05-01T00:00:00+00:00", "recorded_at": "2024-05-01T00:00:00+00:00"}\n'
    )
    client, asked = dying("POST", "/v1/import")
    assert client.scope("acme").import_(file).skipped == 1
    assert len(asked) == 2
    assert [one.id for one in client.scope("acme").list()] == ["a"]


def test_many_threads_share_one_client(client, tenant):
    handle = client.scope(tenant)
    failed = []

    def write(number):
        try:
            handle.add(f"note number {number}", id=f"n{number}")
            assert handle.get(f"n{number}").text.endswith(str(number))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(handle.list()) == 20


# -- what is no Mnemic server -------------------------------------------------------------------------------

HOSTILE = {
    "a web page": PAGE,
    "a web page as an error": http(404, b"<html>no such page</html>", "text/html"),
    "a login page": http(302, b"", "text/html", "Location: http://login.example/"),
    "JSON of something else": http(200, b'{"hello": "world"}'),
    "a list": http(200, b"[1, 2, 3]"),
    "null": http(200, b"null"),
    "no JSON": http(200, b"{nope"),
    "nested without end": http(200, b"[" * 100_000),
    "bytes that are not UTF-8": http(200, b'{"episodes": "\xff\xfe"}'),
    "an episode without a text": http(200, b'{"episodes": [{"id": "x"}], "next_cursor": null}'),
    "an episode with a bad time": http(
        200,
        b'{"episodes": [{"id": "x", "scope": "", "text": "", "role": "user", "occurred_at": "soon", "recorded_at": ""}],'
        b' "next_cursor": null}',
    ),
    "an error without words": http(404, b'{"code": "EpisodeNotFound"}', "application/problem+json"),
    "an error that is no object": http(404, b"[]", "application/problem+json"),
    "an error nested without end": http(404, b"[" * 100_000, "application/problem+json"),
    "fewer bytes than it said": http(200, b'{"episodes": [', length=4000),
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Type: appl",
    "another protocol": b"220 mail.example ESMTP\r\n",
    "a broken encoding": http(200, b"no gzip", "application/json", "Content-Encoding: gzip"),
    "nothing": b"",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_does_not_answer_as_mnemic_does_is_said_to_be_so(name, pauses):
    with raw([HOSTILE[name]]) as (where, _), pytest.raises(ServerUnreachable) as raised:
        Client(where, retries=1, timeout_s=5).scope("acme").list()
    said = str(raised.value)
    assert said.startswith(where)
    assert said.endswith(".")
    assert len(said) < 600


@pytest.mark.parametrize("name", HOSTILE)
def test_an_export_of_it_is_no_export(name, pauses, tmp_path):
    with raw([HOSTILE[name]]) as (where, _), pytest.raises(ServerUnreachable):
        Client(where, retries=0, timeout_s=5).scope("acme").export(tmp_path / "out.jsonl")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [b'{"format": "mnemic"}\n{"type": "ep', b'{"format": "mnemic"}\n\xff\xfe\n'])
def test_an_export_that_is_cut_short_leaves_no_file(cut, tmp_path):
    whole = http(200, cut, "application/x-ndjson")
    with raw([whole]) as (where, _), pytest.raises(ServerUnreachable):
        Client(where).scope("acme").export(tmp_path / "out.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_breaks_off_says_so_after_the_lines_that_came():
    line = b'{"format": "mnemic"}\n'
    with raw([http(200, line, "application/x-ndjson", length=10_000)]) as (where, _):
        lines = Client(where).scope("acme").export_lines()
        with pytest.raises(ServerUnreachable, match="not the whole"):
            list(lines)


def test_a_redirect_is_not_followed_with_the_key():
    with raw([EMPTY]) as (elsewhere, asked):
        answer = http(307, b"", "text/plain", f"Location: {elsewhere}/v1/episodes")
        with raw([answer]) as (where, _), pytest.raises(ServerUnreachable, match="sends on to"):
            Client(where, "mnk_a_secret").list()
    assert asked == []


# -- what is given ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "",
        "127.0.0.1:8700",
        "ftp://x",
        "http://",
        "http://x:y",
        "http://x:99999",
        "http://[::1",
        "http://x?y",
        "http://x#y",
        5,
        "http://ü",
    ],
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ParameterError, match=r"http://127\.0\.0\.1:8700"):
        Client(address)


def test_a_password_in_the_address_is_refused_and_not_repeated():
    with pytest.raises(ParameterError, match="api_key") as raised:
        Client("http://me:hunter2@x")
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("key", ["two\nlines", "ключ", "a b", 5])
def test_what_is_no_key_is_refused_and_not_repeated(key):
    with pytest.raises(ParameterError) as raised:
        Client("http://x", key)
    assert str(key) not in str(raised.value)


@pytest.mark.parametrize(
    "settings", [{"retries": -1}, {"retries": True}, {"timeout_s": 0}, {"timeout_s": float("nan")}]
)
def test_what_is_out_of_range_is_refused(settings):
    with pytest.raises(ParameterError):
        Client("http://x", **settings)


def test_without_an_address_that_of_the_environment_is_taken(monkeypatch):
    monkeypatch.delenv("MNEMIC_URL", raising=False)
    with pytest.raises(ParameterError, match="MNEMIC_URL"):
        Client()
    with raw([EMPTY]) as (where, asked):
        monkeypatch.setenv("MNEMIC_URL", where + "/")
        monkeypatch.setenv("MNEMIC_API_KEY", "mnk_of_the_environment\n")
        Client().list()
        Client(where, "mnk_given").list()
    assert b"authorization: bearer mnk_of_the_environment\r\n" in asked[0].lower()
    assert b"authorization: bearer mnk_given\r\n" in asked[1].lower()


def test_an_address_may_have_a_path_before_ours():
    with raw([EMPTY]) as (where, asked):
        Client(f"{where}/memory/").list()
    assert asked[0].startswith(b"GET /memory/v1/episodes?")


def test_the_key_is_in_no_text_that_anyone_could_read(caplog, pauses):
    key = "mnk_0123_averysecretsecret"
    caplog.set_level(logging.DEBUG)
    with raw([EMPTY]) as (where, _):
        Client(where, key).list()
    with pytest.raises(ServerUnreachable) as raised:
        Client(nobody(), key, retries=0).list()
    assert key not in caplog.text + str(raised.value)
    for answer in (
        problem(422, "ParameterError", f"You sent {key}. Do not."),
        http(200, key.encode(), key),
        http(302, b"", "text/plain", f"Location: {key}"),
    ):
        with raw([answer]) as (where, asked):
            client = Client(where, key, retries=0)
            with pytest.raises(MnemicError) as raised:
                client.scope("acme").list()
            assert key.encode() in asked[0]
            assert key not in repr(client) + repr(client._connection) + str(raised.value) + repr(raised.value)


def test_a_key_reaches_what_it_was_made_for_and_no_more(tmp_path, clock):
    with mnemic_at(tmp_path / "server", clock) as (where, app):
        server: Server = app.state.server
        _, secret = server.keys.create("reader", ("acme/alice",), ("read", "write"))
        with pytest.raises(Unauthenticated, match="mnemic keys create"):
            Client(where).scope("acme/alice").list()
        with pytest.raises(Unauthenticated):
            Client(where, "mnk_wrong_wrong").scope("acme/alice").list()
        client = Client(where, secret)
        client.scope("acme/alice").add("mine", id="x")
        assert client.scopes() == {"acme/alice": 1}
        for refused in (
            lambda: client.scope("acme").list(),
            lambda: client.scope("acme/bob").add("not mine"),
            lambda: client.scope("acme/alice").forget("x"),
            lambda: client.scope("acme/alice").attach("bm25"),
            lambda: list(client.scope("acme/bob").export_lines()),
        ):
            with pytest.raises(Forbidden, match="may not"):
                refused()


# -- the rest -----------------------------------------------------------------------------------------------


def test_without_httpx_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr("mnemic.client.connection.find_spec", lambda name: None)
    with pytest.raises(DependencyMissing, match=r"pip install 'mnemic\[remote\]'"):
        Client("http://x")


def test_importing_mnemic_or_the_client_imports_no_http_library():
    code = "import sys, mnemic, mnemic.client, mnemic.integrations.handle; print([n for n in ('httpx', 'asyncio') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_closed_client_says_so_and_closing_again_does_nothing(url):
    with Client(url) as client:
        other = client.scope("acme")
        other.list()
    client.close()
    with pytest.raises(StoreClosed, match="Make a new one"):
        other.list()


def test_a_counter_of_ones_own_is_refused_with_the_reason(client):
    with pytest.raises(ParameterError, match="cannot be sent to a server"):
        client.context("tea", count=len)


def test_a_server_that_starts_a_moment_later_is_waited_for(tmp_path, clock):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    client = Client(f"http://127.0.0.1:{port}", retries=6)
    found = []
    asking = threading.Thread(target=lambda: found.append(client.scope("acme").list()))
    asking.start()
    time.sleep(0.1)
    with mnemic_at(tmp_path / "server", clock, port):
        asking.join(20)
    assert found == [[]]
