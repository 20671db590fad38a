"""Without the extra 'server' the application says what to install."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["mnemic.serve.app", "mnemic.serve.run"])
def test_what_is_missing_is_named_with_the_line_that_installs_it(module: str, tmp_path: object) -> None:
    program = f"""
import sys
sys.modules["fastapi"] = None
from pathlib import Path
from mnemic.errors import DependencyMissing
from mnemic.serve.settings import Settings
try:
    import {module} as found
    found.serve(Settings(data=Path({str(tmp_path)!r})))
except DependencyMissing as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "the package fastapi, which is not installed" in told
    assert 'pip install "mnemic[server]"' in told
