"""A progress bar for long work, drawn on a terminal's standard error and nowhere else.

The library itself is quiet; the command line and whoever passes ``progress=True`` see the bar. Rich is imported only
when a bar is really drawn.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def track(items: Iterable[T], label: str, total: int | None = None, *, show: bool = True) -> Iterator[T]:
    """The items, with a bar of how many have passed; no bar where `show` is false or no terminal looks on."""
    if not show or not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        for item in items:
            yield item
            bar.advance(task)
