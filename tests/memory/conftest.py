"""A world in which the system `scribe` can be attached, and the background does not pause for long."""

from __future__ import annotations

import pytest

from mnemic.memory import background
from mnemic.systems.registry import SYSTEMS

from .scribe import Scribe, World


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setitem(SYSTEMS, "scribe", f"{Scribe.__module__}:Scribe")
    monkeypatch.setattr(background, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(background, "LONGEST_PAUSE_S", 0.1)
    return World()
