"""A server for the tests: the real application over a folder, reached without a socket."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra 'server'")
from starlette.testclient import TestClient

from mnemic.clock import ManualClock
from mnemic.serve.app import create_app
from mnemic.serve.settings import Settings

ADDRESS = "http://127.0.0.1:8700"


@pytest.fixture
def serve(tmp_path: Path, clock: ManualClock) -> Iterator[Callable[..., TestClient]]:
    """Start a server on a folder; stopped when the test ends. The same folder may be served again after `stop`."""
    with ExitStack() as stack:

        def start(data: Path | None = None, **settings: Any) -> TestClient:
            given = {"data": data or tmp_path / "data", "embedder": "hashing", "consolidate_after_s": None} | settings
            app = create_app(Settings(**given), clock)
            return stack.enter_context(TestClient(app, base_url=ADDRESS, raise_server_exceptions=False))

        yield start


@pytest.fixture
def client(serve: Callable[..., TestClient]) -> TestClient:
    """A server without keys."""
    return serve()


def key(client: TestClient, *scopes: str, verbs: str = "read write forget") -> dict[str, str]:
    """The headers of a new key."""
    _, secret = client.app.state.server.keys.create("test", scopes, verbs.split())  # type: ignore[attr-defined]
    return {"Authorization": f"Bearer {secret}"}
