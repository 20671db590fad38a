"""The registry with the systems that the tests bring along."""

from collections.abc import Iterator

import pytest

from mnemic.systems.registry import SYSTEMS
from systems.digest import FOR_TESTS


@pytest.fixture(autouse=True, scope="module")
def _systems_for_tests() -> Iterator[None]:
    SYSTEMS.update(FOR_TESTS)
    yield
    for name in FOR_TESTS:
        del SYSTEMS[name]
