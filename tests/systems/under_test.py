"""Which systems a contract is tested for, and how often."""

from __future__ import annotations

import os
from typing import Any

import pytest

from mnemic import Memory
from mnemic.systems.contract import MemorySystem
from mnemic.systems.registry import SYSTEMS, system_class
from systems.digest import FOR_TESTS
from systems.worlds import Said, empty, made, say

THOROUGH = bool(os.environ.get("MNEMIC_THOROUGH"))  # ten times as many examples
_BUILT_IN = [name for name in SYSTEMS if name not in FOR_TESTS]
ALL = [*_BUILT_IN, *FOR_TESTS]
KEEPING = [  # those that keep records
    *(name for name in _BUILT_IN if system_class(name).observe is not MemorySystem.observe),
    *FOR_TESTS,
]
ASKING = [name for name in _BUILT_IN if "llm" in system_class(name).card.needs]
every_system = pytest.mark.parametrize("system", ALL)
keeping_systems = pytest.mark.parametrize("system", KEEPING)
asking_systems = pytest.mark.parametrize("system", ASKING)
PAST = [
    Said("e0", "Anna bought a violin", "mon", "Anna", 9),
    Said("e1", "Bob walks by the river in Porto", "mon", "Bob", 8),
    Said("e2", "tea in the garden", "tue", None, 5),
    Said("e3", "Bob bought coffee", "wed", "Bob", 2),
    Said("e4", "more tea in the garden", "mon", "Anna", 1),
]


class PowerCut(BaseException):
    """The machine stops; nothing in the library may catch it."""


def examples(n: int) -> int:
    """How many examples of a property to try: the default run is kept short, since there are many systems."""
    return 10 * n if THOROUGH else n


def fresh(said: list[Said], system: str, **attached: Any) -> tuple[list[Any], list[Any]]:
    """What the system makes of a log that it observes at once."""
    with empty() as memory:
        say(memory, said)
        memory.attach(system, **attached)
        memory.consolidate()
        return made(memory, system)


def observed_all(memory: Memory, system: str) -> None:
    """Nothing may have failed on the way."""
    assert [one.error for one in memory._shared.store.records.failures() if one.system == system] == []
