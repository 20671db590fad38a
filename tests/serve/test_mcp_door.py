"""MCP at a running server, as the SDK's own client meets it: whose memory a request is on, and with which tools."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra 'server'")
pytest.importorskip("mcp", reason="needs the extra 'mcp'")

import httpx2
from fastapi import FastAPI
from mcp.client.streamable_http import streamable_http_client
from tests.client.serving import mnemic_at

from mcp import Client
from mnemic.clock import ManualClock

PATHS = ("/mcp", "/mcp/")
Running = tuple[str, FastAPI]


@pytest.fixture
def running(tmp_path: Path, clock: ManualClock) -> Iterator[Running]:
    with mnemic_at(tmp_path / "data", clock) as found:
        yield found


def remember(url: str, content: str, **headers: str) -> str:
    """Add a memory and search for it there; what was found."""

    async def talk() -> str:
        async with (
            httpx2.AsyncClient(headers=headers, timeout=20) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            added = await client.call_tool("add_memory", {"content": content})
            assert not added.is_error, added
            found = await client.call_tool("search_memories", {"query": content})
            assert found.structured_content is not None
            return str(found.structured_content["results"][0]["memory"])

    return asyncio.run(talk())


def tools(url: str, **headers: str) -> set[str]:
    async def talk() -> set[str]:
        async with (
            httpx2.AsyncClient(headers=headers, timeout=20) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            return {tool.name for tool in (await client.list_tools()).tools}

    return asyncio.run(talk())


def holds(app: FastAPI, scope: str) -> list[str]:
    with app.state.server.tenants.lease(scope) as memory:
        return [one.text for one in memory.list()]


def new_key(app: FastAPI, scopes: list[str], verbs: list[str]) -> dict[str, Any]:
    _, secret = app.state.server.keys.create("test", scopes, verbs)
    return {"Authorization": f"Bearer {secret}"}


@pytest.mark.parametrize("path", PATHS)
def test_a_header_names_the_scope_else_the_address_else_it_is_the_root(running: Running, path: str) -> None:
    url, app = running
    mcp = url + path
    assert remember(mcp, "By header.", **{"X-Mnemic-Scope": "acme/alice"}) == "By header."
    assert remember(f"{mcp}?scope=acme/bob", "By address.") == "By address."
    both = f"{mcp}?scope=acme/bob"
    assert remember(both, "The header goes first.", **{"X-Mnemic-Scope": "acme/carol"}) == "The header goes first."
    assert remember(mcp, "Nobody's in particular.") == "Nobody's in particular."
    assert holds(app, "acme/alice") == ["By header."]
    assert holds(app, "acme/bob") == ["By address."]
    assert holds(app, "acme/carol") == ["The header goes first."]
    assert holds(app, "") == ["Nobody's in particular."]


@pytest.mark.parametrize("path", PATHS)
def test_a_key_for_one_scope_needs_no_other_word_and_lists_what_it_may(running: Running, path: str) -> None:
    url, app = running
    writer = new_key(app, ["acme/alice"], ["read", "write"])
    assert remember(url + path, "By key.", **writer) == "By key."
    assert holds(app, "acme/alice") == ["By key."]
    assert tools(url + path, **writer) == {"add_memory", "get_memory", "recent", "search_memories", "update_memory"}
    of_several = new_key(app, ["acme/alice", "acme/bob"], ["read", "write"])
    answer = httpx2.post(url + path, json={}, headers=of_several)
    assert answer.status_code == 403
    assert "X-Mnemic-Scope" in answer.json()["error"]["message"]
    assert remember(url + path, "Told which.", **of_several, **{"X-Mnemic-Scope": "acme/bob"}) == "Told which."
    assert httpx2.post(url + path, json={}).status_code == 401


@pytest.mark.parametrize("path", PATHS)
def test_the_address_chooses_the_tools(running: Running, path: str) -> None:
    url, _ = running
    assert "create_entities" in tools(f"{url}{path}?tools=reference")
    assert "add_memory" not in tools(f"{url}{path}?tools=reference")
    assert {"create_entities", "add_memory"} <= tools(f"{url}{path}?tools=all")
