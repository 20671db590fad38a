"""A progress bar for long work, drawn on a terminal's standard error and nowhere else.

The library itself is quiet; the command line and whoever passes ``progress=True`` see the bar. Rich is imported only
when a bar is really drawn.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


def track(items: Iterable[T], label: str, total: int | None = None, *, show: bool = True) -> Iterator[T]:
    """The items, with a bar of how many have passed; no bar where `show` is false or no terminal looks on."""
    if not show or not sys.stderr.isatty():
        yield from items
        return
    with told(label) as step:
        passed = 0
        step(passed, total)
        for item in items:
            yield item
            step(passed := passed + 1, total)


@contextmanager
def told(label: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar on standard error that is told how many have passed, and of how many; for a terminal alone."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda passed, total: bar.update(task, completed=passed, total=total)
