"""What passes unchanged: everything but chats, the upstream's headers and errors, and no secret."""

from __future__ import annotations

import logging
import socket
from typing import Any

import pytest

pytest.importorskip("httpx")
pytest.importorskip("uvicorn")
pytest.importorskip("openai")

import httpx
import openai

from mnemic.proxy.http import is_climbing, is_loopback, passing

from .conftest import Running, Start
from .scripted_llm import Reply, ScriptedLLM, gives, refuses, says, streams, zipped


def test_models_and_embeddings_pass_through(proxy: Running, llm: ScriptedLLM) -> None:
    llm.will(
        gives({"object": "list", "data": [{"id": "scripted-1", "object": "model"}]}),
        gives({"object": "list", "data": [{"index": 0, "embedding": [0.5]}], "model": "e"}),
    )
    assert [model.id for model in proxy.client().models.list()] == ["scripted-1"]
    found = proxy.client().embeddings.create(model="e", input="tea", encoding_format="float", user="bob")
    assert found.data[0].embedding == [0.5]
    assert [(one.method, one.target) for one in llm.requests] == [("GET", "/v1/models"), ("POST", "/v1/embeddings")]
    assert proxy.memory.scopes() == {}


def test_responses_pass_unchanged_and_are_not_remembered(proxy: Running, llm: ScriptedLLM) -> None:
    llm.will(gives({"id": "resp_1", "object": "response", "output": []}))
    raw = httpx.post(f"{proxy.url}/v1/responses?include=a%20b", content=b'{"input":  "Hi"}')
    assert raw.json()["id"] == "resp_1"
    assert (proxy.upstream.raw, proxy.upstream.target) == (b'{"input":  "Hi"}', "/v1/responses?include=a%20b")
    assert proxy.said() == []


@pytest.mark.parametrize("path", ["/v1/files", "/v1/chat/completions/chatcmpl-1", "/v1/a%2Fb/%C3%A9?x=%2F&y=1"])
@pytest.mark.parametrize("method", ["GET", "DELETE", "POST", "PUT"])
def test_methods_paths_and_queries_arrive_as_they_were_sent(proxy: Running, method: str, path: str) -> None:
    assert httpx.request(method, proxy.url + path).status_code == 200
    assert (proxy.upstream.method, proxy.upstream.target) == (method, path)


@pytest.mark.parametrize(
    ("status", "kind"), [(400, openai.BadRequestError), (429, openai.RateLimitError), (500, openai.InternalServerError)]
)
@pytest.mark.parametrize("is_streamed", [False, True])
def test_the_upstreams_errors_pass_with_their_headers(
    proxy: Running, llm: ScriptedLLM, status: int, kind: type[openai.APIStatusError], is_streamed: bool
) -> None:
    llm.will(refuses(status, "Not now.", retry_after=7))
    with pytest.raises(kind, match="Not now") as caught:
        proxy.ask("Hello?", stream=is_streamed)
    assert caught.value.status_code == status
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.response.headers["x-request-id"] == "req-7"
    assert caught.value.body == {"message": "Not now.", "type": "scripted", "param": None, "code": "no"}
    assert proxy.said() == []


def test_headers_of_one_hop_and_our_own_go_no_further(proxy: Running, llm: ScriptedLLM) -> None:
    llm.will(
        gives({"ok": True}, headers={"Keep-Alive": "timeout=5", "Connection": "X-Hop", "X-Hop": "1", "X-Stays": "2"})
    )
    sent = {"Connection": "x-mine", "X-Mine": "1", "TE": "trailers", "X-Other": "ä".encode(), "X-Mnemic-User": "ana"}
    raw = httpx.get(f"{proxy.url}/v1/models", headers={**sent, "OpenAI-Organization": "org-1"})
    names = {name.lower() for name, _ in proxy.upstream.headers}
    assert names.isdisjoint({"x-mine", "te", "x-mnemic-user", "keep-alive"})
    assert {"x-other", "openai-organization"} <= names
    assert proxy.upstream.header("host") == llm.base_url.split("/")[2]
    assert "x-hop" not in raw.headers
    assert "keep-alive" not in raw.headers
    assert raw.headers["x-stays"] == "2"
    assert raw.headers.get_list("content-length") == ["12"]


def test_headers_named_by_connection_are_of_one_hop() -> None:
    headers = [
        (b"Connection", b"close, X-One"),
        (b"X-One", b"1"),
        (b"X-Two", b"2"),
        (b"X-Two", b"3"),
        (b"Upgrade", b"h2"),
    ]
    assert passing(headers) == [(b"x-two", b"2"), (b"x-two", b"3")]


def test_one_clients_cookie_is_not_sent_for_another(proxy: Running, llm: ScriptedLLM) -> None:
    llm.will(gives({}, headers={"Set-Cookie": "id=ana; Path=/"}), gives({}))
    assert httpx.get(f"{proxy.url}/v1/models").cookies["id"] == "ana"
    httpx.get(f"{proxy.url}/v1/models")
    assert proxy.upstream.header("cookie") is None


def test_an_answer_that_is_compressed_all_the_same_is_read_and_passed_on(proxy: Running, llm: ScriptedLLM) -> None:
    llm.will(zipped("Pressed."))
    assert proxy.ask("Hello?").choices[0].message.content == "Pressed."
    assert proxy.upstream.header("accept-encoding") == "identity"
    assert proxy.said()[1] == ("assistant", "Pressed.")


def test_a_compressed_answer_of_another_endpoint_stays_compressed(proxy: Running, llm: ScriptedLLM) -> None:
    llm.will(zipped("Pressed."))
    with httpx.stream("GET", f"{proxy.url}/v1/models", headers={"Accept-Encoding": "gzip"}) as raw:
        assert raw.headers["content-encoding"] == "gzip"
        assert b"".join(raw.iter_raw()) == zipped("Pressed.").pieces[0]


def test_a_body_in_pieces_is_passed_on_in_pieces(proxy: Running) -> None:
    pieces = [b"a" * 70_000, b"b", b"c" * 1000]
    assert httpx.post(f"{proxy.url}/v1/files", content=iter(pieces)).status_code == 200
    assert proxy.upstream.raw == b"".join(pieces)
    assert proxy.upstream.header("transfer-encoding") == "chunked"
    assert httpx.post(f"{proxy.url}/v1/files", content=pieces[0]).status_code == 200
    assert proxy.upstream.header("content-length") == "70000"


def test_pieces_of_an_answer_come_as_they_are_made(proxy: Running, llm: ScriptedLLM) -> None:
    llm.will(streams("one", goes_on=True, is_finished=False))  # has no end: what came must be seen before it
    with httpx.stream(
        "POST", f"{proxy.url}/v1/chat/completions", json={"messages": [{"role": "user", "content": "Count!"}]}
    ) as raw:
        assert b"one" in next(chunk for chunk in raw.iter_raw() if b"one" in chunk)
    assert llm.left.wait(10)


def test_a_client_that_leaves_stops_other_requests_too(proxy: Running, llm: ScriptedLLM) -> None:
    llm.will(Reply(200, [b"data"], {"Content-Type": "audio/mpeg"}, goes_on=True))
    with httpx.stream("POST", f"{proxy.url}/v1/audio/speech", content=b"{}") as raw:
        next(raw.iter_raw())
    assert llm.left.wait(10)


@pytest.mark.parametrize("path", ["/v1/files", "/v1/chat/completions"])
def test_a_client_that_leaves_while_it_sends_leaves_nothing_behind(
    proxy: Running, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = proxy.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\r\n{{".encode())
    assert httpx.get(f"{proxy.url}/v1/models").status_code == 200
    proxy.settle()
    assert caplog.text == ""


def test_an_upstream_that_is_not_there_is_told_apart(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
    proxy = start(upstream=address)
    with pytest.raises(openai.APIStatusError, match="cannot be reached") as caught:
        proxy.ask("Hello?")
    assert caught.value.status_code == 502
    assert address in caplog.text
    assert proxy.said() == []


def test_an_upstream_that_does_not_answer_in_time_is_told_apart(start: Start, llm: ScriptedLLM) -> None:
    llm.will(says("Late.", wait_s=0.5))
    with pytest.raises(openai.APIStatusError, match="in time") as caught:
        start(read_timeout_s=0.1).ask("Hello?")
    assert caught.value.status_code == 504


@pytest.mark.parametrize(
    "path", ["/v1/../admin", "/v1/%2e%2e/admin", "/v1/a/%252e%252e/b", "/v1/..%5cadmin", "/v1/./x"]
)
def test_a_path_cannot_climb_out_of_the_upstream(proxy: Running, path: str) -> None:
    host, port = proxy.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as raw:  # a client would tidy the path
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        assert raw.makefile("rb").readline().split()[1] == b"404"
    assert proxy.llm.requests == []
    assert is_climbing(path)


@pytest.mark.parametrize("path", ["/", "/admin", "/v2/models", "/v1"])
def test_there_is_nothing_beside_v1(proxy: Running, path: str) -> None:
    raw = httpx.get(proxy.url + path)
    assert raw.status_code == 404
    assert "/v1" in raw.json()["error"]["message"]


def test_health_says_that_it_runs(proxy: Running) -> None:
    assert httpx.get(f"{proxy.url}/health").json() == {"status": "ok"}


def test_a_chat_that_is_too_large_is_refused(start: Start) -> None:
    proxy = start(max_body_bytes=1000)
    with pytest.raises(openai.APIStatusError, match="1,000 bytes") as caught:
        proxy.ask("x" * 1001)
    assert caught.value.status_code == 413
    assert proxy.llm.requests == []


# -- keys -------------------------------------------------------------------------------------------------

KEY = "a-key-for-this-proxy"


def authorization(proxy: Running, sent: dict[str, str]) -> str | None:
    assert httpx.get(f"{proxy.url}/v1/models", headers=sent).status_code == 200
    return proxy.upstream.header("authorization")


@pytest.mark.parametrize(
    ("settings", "sent", "arrives"),
    [
        ({}, {}, None),
        ({}, {"Authorization": "Bearer mine"}, "Bearer mine"),
        ({"upstream_key": "ours"}, {"Authorization": "Bearer mine"}, "Bearer mine"),
        ({"upstream_key": "ours"}, {}, "Bearer ours"),
        ({"upstream_key": "ours", "is_own_key_first": True}, {"Authorization": "Bearer mine"}, "Bearer ours"),
        ({"proxy_key": KEY}, {"Authorization": f"Bearer {KEY}"}, None),  # the proxy's own key goes no further
        ({"proxy_key": KEY, "upstream_key": "ours"}, {"Authorization": f"bearer {KEY}"}, "Bearer ours"),
        ({"proxy_key": KEY}, {"X-Mnemic-Key": KEY, "Authorization": "Bearer mine"}, "Bearer mine"),
        ({"proxy_key": KEY, "upstream_key": "ours"}, {"X-Mnemic-Key": KEY}, "Bearer ours"),
    ],
)
def test_which_key_the_upstream_gets(
    start: Start, settings: dict[str, Any], sent: dict[str, str], arrives: str | None
) -> None:
    proxy = start(**settings)
    assert authorization(proxy, sent) == arrives
    assert KEY not in str(proxy.upstream.headers)


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": KEY},
        {"X-Mnemic-Key": KEY[:-1]},
        {"X-Mnemic-Key": "\xe9"},
    ],
)
def test_without_the_proxys_key_nobody_is_let_in(start: Start, sent: dict[str, str]) -> None:
    proxy = start(proxy_key=KEY)
    headers = {name: value.encode("latin-1") for name, value in sent.items()}
    raw = httpx.post(f"{proxy.url}/v1/chat/completions", json={}, headers=headers)
    assert raw.status_code == 401
    assert raw.json()["error"]["code"] == "invalid_api_key"
    assert proxy.llm.requests == []


@pytest.mark.parametrize(
    "sent",
    [
        {"Host": "rebound.example:80"},
        {"Origin": "https://page.example"},
        {"Origin": "null"},
        {"Host": "127.0.0.1.example"},
    ],
)
def test_a_page_in_a_browser_is_not_this_machine(proxy: Running, sent: dict[str, str]) -> None:
    assert httpx.get(f"{proxy.url}/v1/models", headers=sent).status_code == 403
    assert httpx.get(f"{proxy.url}/v1/models", headers={"Origin": "http://localhost:3000"}).status_code == 200


def test_without_a_key_another_machine_is_not_answered(proxy: Running) -> None:
    import asyncio

    sent: list[dict[str, Any]] = []

    async def ask(client: str) -> int:
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/v1/models",
            "headers": [(b"host", b"localhost")],
            "client": (client, 1),
        }

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        async def send(message: Any) -> None:
            sent.append(message)

        await proxy.app(scope, receive, send)
        return int(sent[-2]["status"])

    assert asyncio.run(ask("192.168.1.7")) == 403
    assert proxy.llm.requests == []


def test_hosts_that_are_this_machine_alone() -> None:
    assert all(map(is_loopback, ["localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]", "::ffff:127.0.0.1"]))
    assert not any(map(is_loopback, ["", "0.0.0.0", "::", "10.0.0.1", "localhost.example", "127.1", "::ffff:10.0.0.1"]))


def test_no_key_is_ever_logged(start: Start, llm: ScriptedLLM, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpcore").setLevel(logging.INFO)  # at its deepest level it logs the bytes that it sends
    proxy = start(proxy_key=KEY, upstream_key="sk-ours-123456")
    llm.will(refuses(500, "no"))
    raw = httpx.post(
        f"{proxy.url}/v1/chat/completions",
        json={"messages": [{"role": "user", "content": "a private matter"}]},
        headers={"Authorization": f"Bearer {KEY}"},
    )
    assert raw.status_code == 500
    httpx.get(f"{proxy.url}/v1/models", headers={"Authorization": "Bearer sk-guessed"})
    assert not [secret for secret in (KEY, "sk-ours", "sk-guessed", "private") if secret in caplog.text]
    assert KEY not in repr(proxy.app.settings)


# -- as a part of another app -----------------------------------------------------------------------------


def test_it_can_be_mounted_in_another_app_and_asked_asynchronously(memory: Any, llm: ScriptedLLM) -> None:
    import asyncio

    from fastapi import FastAPI

    from mnemic.proxy import Settings, proxy_app

    inner = proxy_app(memory.scope, settings=Settings(upstream=llm.base_url))
    outer = FastAPI()
    outer.mount("/llm", inner)
    llm.will(says("Hello."), streams("Tea", " it is."))

    async def talk() -> list[str]:
        transport = httpx.ASGITransport(app=outer, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost/llm/v1") as http:
            said = []
            for text in ("Hello?", "Tea?"):
                body = {"messages": [{"role": "user", "content": text}]}
                said.append((await http.post("/chat/completions", json=body)).text)
            assert (await http.get("/models/a%2Fb")).status_code == 200
        await inner.aclose()
        return said

    first, second = asyncio.run(talk())
    assert "Hello." in first
    assert second.endswith("data: [DONE]\n\n")
    assert [one.text for one in memory.list()] == ["Hello?", "Hello.", "Tea?", "Tea it is."]
    assert [one.target for one in llm.requests] == ["/v1/chat/completions"] * 2 + ["/v1/models/a%2Fb"]
