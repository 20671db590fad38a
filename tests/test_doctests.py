"""Every example in a docstring runs and says what it shows."""

import doctest
import importlib
import pkgutil

import pytest

import mnemic
from mnemic.errors import DependencyMissing

MODULES = sorted(
    one.name for one in pkgutil.walk_packages(mnemic.__path__, "mnemic.") if not one.name.endswith("__main__")
)


def test_modules_are_found() -> None:
    assert {"mnemic.clock", "mnemic.filters", "mnemic.ops.fuse", "mnemic.text.times"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except DependencyMissing as missing:
        pytest.skip(f"an optional package is not installed: {missing}")
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("mnemic"):
            raise
        pytest.skip(f"an optional package is not installed: {missing.name}")
    names = {**vars(module), **{noun: getattr(mnemic, noun) for noun in mnemic.__all__ if not hasattr(module, noun)}}
    failed, _ = doctest.testmod(module, extraglobs=names, optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    assert failed == 0
