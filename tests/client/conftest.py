"""One server for the tests of a module, a tenant of its own for each; and no test waits for a retry."""

from datetime import UTC, datetime
from itertools import count

import pytest

pytest.importorskip("httpx")
pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from mnemic.client import Client
from mnemic.clock import ManualClock

from .serving import mnemic_at

START = datetime(2024, 5, 1, 12, tzinfo=UTC)
_numbers = count(1)


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A server whose clock stands still, as that of the memories beside it."""
    with mnemic_at(tmp_path_factory.mktemp("server"), ManualClock(START)) as (address, _):
        yield address


@pytest.fixture
def client(url, monkeypatch):
    monkeypatch.delenv("MNEMIC_URL", raising=False)
    monkeypatch.delenv("MNEMIC_API_KEY", raising=False)
    with Client(url, timeout_s=20) as made:
        yield made


@pytest.fixture
def tenant():
    """A name that no other test has."""
    return f"tenant{next(_numbers)}"


@pytest.fixture
def pauses(monkeypatch):
    """The pauses between tries, which then take no time."""
    taken = []
    monkeypatch.setattr("mnemic.client.connection.time.sleep", taken.append)
    return taken
