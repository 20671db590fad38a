"""What the suites share: a clock that stands still, memories that are closed again, and how hypothesis runs.

Properties run with fixed examples, so that a run can be repeated; HYPOTHESIS_PROFILE=explore draws new ones.
"""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from mnemic import Memory
from mnemic.clock import ManualClock

settings.register_profile("fixed", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

START = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def open_memory(clock: ManualClock) -> Iterator[Callable[..., Memory]]:
    """Memory.open with the hashing embedder and the clock that stands still; closed when the test ends."""
    opened: list[Memory] = []

    def open_(path: Any = None, **settings: Any) -> Memory:
        opened.append(Memory.open(path, **{"embedder": "hashing", "clock": clock} | settings))
        return opened[-1]

    yield open_
    for memory in opened:
        memory.close()


@pytest.fixture
def memory(open_memory: Callable[..., Memory]) -> Memory:
    """An empty memory that lives in this process alone."""
    return open_memory()
