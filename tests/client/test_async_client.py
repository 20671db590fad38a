"""The asyncio door to a server does what the plain one does."""

import asyncio

import pytest

from mnemic.client import AsyncClient
from mnemic.errors import EpisodeNotFound, ParameterError


def test_many_tasks_write_and_read_at_once(url, tenant):
    async def run():
        async with AsyncClient(url) as client:
            handle = client.scope(tenant)
            assert type(handle) is AsyncClient
            await asyncio.gather(*(handle.add(f"note number {number}", id=f"n{number}") for number in range(30)))
            found = await asyncio.gather(*(handle.get(f"n{number}") for number in (3, 17)))
            attached = await handle.attach("bm25")
            recall = await attached.search("note number 17")
            return [one.text for one in found], await handle.scopes(), (type(attached), recall.system, repr(handle))

    texts, scopes, (kind, system, shown) = asyncio.run(run())
    assert texts == ["note number 3", "note number 17"]
    assert scopes == {tenant: 30}
    assert (kind, system) == (AsyncClient, "bm25")
    assert shown == f"<AsyncClient {url!r} scope={tenant!r} system='hybrid'>"


def test_errors_come_through(url, tenant):
    async def run():
        async with AsyncClient(url, retries=0) as client:
            with pytest.raises(EpisodeNotFound):
                await client.scope(tenant).get("nothing")
            await client.scope(tenant).add("one")
            return await client.scope(tenant).consolidate()

    assert asyncio.run(run()) == {}


def test_an_address_is_checked_as_for_the_plain_one():
    with pytest.raises(ParameterError, match="address"):
        AsyncClient("nowhere")
