"""The verbs of `Memory` over HTTP: `Client`, and `AsyncClient` for asyncio."""

from typing import TYPE_CHECKING, Any

from mnemic.client.front import Client

if TYPE_CHECKING:
    from mnemic.client.async_client import AsyncClient

__all__ = ["AsyncClient", "Client"]


def __getattr__(name: str) -> Any:
    if name == "AsyncClient":  # only those who use it pay for importing asyncio
        from mnemic.client.async_client import AsyncClient

        return AsyncClient
    raise AttributeError(f"module 'mnemic.client' has no attribute {name!r}")
