"""MCP over streamable HTTP, with a real server: each request has its caller's scope and rights, and nobody else's."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route

from mnemic import Memory
from mnemic.errors import StoreBusy, TooManyRequests, Unauthenticated
from mnemic.mcp import Access, http_app

uvicorn = pytest.importorskip("uvicorn", reason="the server extra is not installed")

KEYS = {
    "key-alice": ("acme/alice", {"read", "write", "forget"}),
    "key-bob": ("acme/bob", {"read", "write", "forget"}),
    "key-reader": ("acme/alice", {"read"}),
}
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
HEADERS = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """The URL of a server that runs until the block ends."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        settings = uvicorn.Config(app, log_config=None, ws="none", timeout_graceful_shutdown=2)
        server = uvicorn.Server(settings)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


def by_key(memory: Memory) -> Callable[[Request], Access]:
    """Who may what, as a server with API keys would say it."""

    def handle_of(request: Request) -> Access:
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if key == "key-busy":
            raise StoreBusy("Another writer holds the store. Try again.")
        if key == "key-slow-down":
            raise TooManyRequests("Too many requests. Wait a second.")
        if not key:
            raise Unauthenticated("No key was sent. Send it as Authorization: Bearer KEY.")
        if key not in KEYS:
            raise HTTPException(
                401, "No such key. Send it as Authorization: Bearer KEY.", {"WWW-Authenticate": "Bearer"}
            )
        scope, allowed = KEYS[key]
        below = request.headers.get("x-mnemic-scope") or request.query_params.get("scope")
        handle = memory.scope(scope)
        return Access(handle.scope(below) if below else handle, frozenset(allowed))

    return handle_of


@pytest.fixture
def url(memory: Memory) -> Iterator[str]:
    app = Starlette(routes=[Route("/mcp", http_app(by_key(memory), tools="all"))])  # without a lifespan of its own
    with serving(app) as url:
        yield f"{url}/mcp"


@asynccontextmanager
async def client_of(url: str, key: str, *, mode: str = "auto", headers: dict[str, str] | None = None) -> Any:
    sent = {"authorization": f"Bearer {key}", **(headers or {})}
    async with (
        httpx2.AsyncClient(headers=sent, timeout=20) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


def run(work: Callable[[], Any]) -> Any:
    return anyio.run(work)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_each_key_has_its_own_scope(url: str, mode: str) -> None:
    async def main() -> None:
        async with client_of(url, "key-alice", mode=mode) as alice, client_of(url, "key-bob", mode=mode) as bob:
            added = await alice.call_tool("add_memory", {"text": "Alice's door code is 8264."})
            id = added.structured_content["results"][0]["id"]
            assert (await alice.call_tool("recent", {})).structured_content["count"] == 1
            assert (await bob.call_tool("recent", {})).structured_content["count"] == 0
            assert (await bob.call_tool("get_memory", {"id": id})).is_error
            assert (await bob.call_tool("delete_memory", {"id": id})).is_error
            assert "8264" in (await alice.read_resource("memory://summary")).contents[0].text
            assert "8264" not in (await bob.read_resource("memory://summary")).contents[0].text

    run(main)


def test_a_header_or_the_query_chooses_a_scope_below(url: str, memory: Memory) -> None:
    async def main() -> None:
        async with client_of(url, "key-alice", headers={"x-mnemic-scope": "work"}) as client:
            await client.call_tool("add_memory", {"text": "one"})
        async with client_of(f"{url}?scope=work", "key-alice") as client:
            await client.call_tool("add_memory", {"text": "two"})

    run(main)
    assert [one.text for one in memory.scope("acme/alice/work").list()] == ["one", "two"]


def test_a_key_that_may_only_read_sees_and_calls_only_that(url: str) -> None:
    async def main() -> None:
        async with client_of(url, "key-reader") as client:
            assert all(one.annotations.read_only_hint for one in (await client.list_tools()).tools)
            refused = await client.call_tool("add_memory", {"text": "x"})
            assert refused.is_error
            assert "may not write" in refused.content[0].text

    run(main)


def test_the_query_chooses_the_tools(url: str) -> None:
    async def main() -> None:
        async with client_of(f"{url}?tools=reference", "key-alice") as client:
            assert "read_graph" in [one.name for one in (await client.list_tools()).tools]
            assert "recent" not in [one.name for one in (await client.list_tools()).tools]

    run(main)
    assert post(url, "key-alice", params={"tools": "nonsense"}).status_code == 422


def post(url: str, key: str, **more: Any) -> httpx2.Response:
    headers = HEADERS | {"authorization": f"Bearer {key}"} | more.pop("headers", {})
    return httpx2.post(url, json=more.pop("json", HELLO), headers=headers, timeout=20, **more)


def test_a_request_without_a_key_is_refused_as_the_factory_says(url: str) -> None:
    refused = post(url, "wrong")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert "No such key" in refused.json()["error"]["message"]
    assert "wrong" not in refused.text
    none = httpx2.post(url, json=HELLO, headers=HEADERS, timeout=20)
    assert (none.status_code, none.headers["www-authenticate"]) == (401, 'Bearer realm="mnemic"')
    for key, status in (("key-busy", 503), ("key-slow-down", 429)):
        later = post(url, key)
        assert (later.status_code, later.headers["retry-after"]) == (status, "1")
    assert post(url, "key-alice", headers={"x-mnemic-scope": "../bob"}).status_code == 422


def test_there_is_no_session_for_another_key_to_take_over(url: str, memory: Memory) -> None:
    memory.scope("acme/alice").add("Alice's secret")
    opened = post(url, "key-alice")
    assert opened.status_code == 200
    assert "mcp-session-id" not in opened.headers
    asked = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "recent", "arguments": {}}}
    for id in ("anything", "0" * 32):
        answer = post(url, "key-bob", json=asked, headers={"mcp-session-id": id, "mcp-protocol-version": "2025-06-18"})
        assert "secret" not in answer.text
    assert post(url, "wrong", json=asked, headers={"mcp-session-id": "anything"}).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example:80"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://localhost:5173"}, 200),
        ({"content-type": "text/plain"}, 400),
    ],
)
def test_a_web_page_cannot_reach_it_by_another_name(url: str, headers: dict[str, str], status: int) -> None:
    assert post(url, "key-alice", headers=headers).status_code == status


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_only_post_is_served(url: str, method: str) -> None:
    refused = httpx2.request(method, url, headers=HEADERS | {"authorization": "Bearer key-alice"}, timeout=20)
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")


def test_a_body_that_is_too_long_or_no_message_is_refused(memory: Memory) -> None:
    with serving(http_app(by_key(memory), max_body_bytes=1000)) as url:  # on its own: it answers the lifespan, too
        long = {**HELLO, "params": {**HELLO["params"], "x": "y" * 2000}}
        assert post(url, "key-alice", json=long).status_code == 413
        assert post(url, "key-alice", json=[1, 2]).status_code == 400
        assert post(url, "key-alice").status_code == 200


def test_other_names_of_the_server_are_served_when_they_are_listed(memory: Memory) -> None:
    with serving(http_app(by_key(memory), allowed_hosts=["memory.example.org"])) as url:
        assert post(url, "key-alice").status_code == 421
        assert post(url, "key-alice", headers={"host": "memory.example.org"}).status_code == 200


def test_a_listener_learns_of_writes_in_its_scope_alone(url: str) -> None:
    graph = "memory://knowledge-graph"

    def entity(name: str) -> dict[str, Any]:
        return {"entities": [{"name": name, "entityType": "x", "observations": []}]}

    async def main() -> None:
        async with client_of(url, "key-alice") as listener, listener.listen(resource_subscriptions=[graph]) as events:
            async with client_of(url, "key-bob") as bob:
                await bob.call_tool("create_entities", entity("B"))
            with anyio.move_on_after(0.3) as waited:
                async for _ in events:
                    break
            assert waited.cancelled_caught
            async with client_of(url, "key-alice") as alice:
                await alice.call_tool("create_entities", entity("A"))
            with anyio.fail_after(5):
                async for event in events:
                    assert event.uri == graph
                    break

    run(main)


def test_many_clients_write_at_once_and_nothing_is_lost(url: str, memory: Memory) -> None:
    async def one(n: int) -> None:
        async with client_of(url, "key-alice" if n % 2 else "key-bob") as client:
            for at in range(5):
                result = await client.call_tool("add_memory", {"text": f"note {n}-{at}"})
                assert not result.is_error

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for n in range(6):
                group.start_soon(one, n)

    run(main)
    for scope, odd in (("acme/alice", 1), ("acme/bob", 0)):
        texts = sorted(one.text for one in memory.scope(scope).list())
        assert texts == sorted(f"note {n}-{at}" for n in range(6) if n % 2 == odd for at in range(5))


def test_an_answer_is_plain_json(url: str) -> None:
    answer = post(url, "key-alice")
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.text)["result"]["serverInfo"]["name"] == "mnemic"
