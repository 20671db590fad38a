"""Where the shared data sets are, for the tests that read them."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of data sets; skips where there is none."""
    folder = Path(os.environ.get("MNEMIC_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the shared data sets are not on this machine")
    return folder
