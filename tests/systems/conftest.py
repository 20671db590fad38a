"""The registry with the systems that the tests bring along, and the exemptions that systems declare."""

from collections.abc import Iterator

import pytest

from mnemic.systems.registry import SYSTEMS, system_class
from systems.digest import FOR_TESTS


@pytest.fixture(autouse=True, scope="module")
def _systems_for_tests() -> Iterator[None]:
    SYSTEMS.update(FOR_TESTS)
    yield
    for name in FOR_TESTS:
        del SYSTEMS[name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A contract that a system says it cannot keep, with its reason, is expected to fail."""
    for item in items:
        system = getattr(item, "callspec", None) and item.callspec.params.get("system")
        if system in SYSTEMS and system not in FOR_TESTS:
            reason = system_class(system).exempt.get(item.originalname)
            if reason:
                item.add_marker(pytest.mark.xfail(reason=reason, strict=False))
