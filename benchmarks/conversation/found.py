"""What is measured: the systems that keep records, as the registry has them, and where figures go."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mnemic import __version__
from mnemic.errors import MnemicError
from mnemic.systems.contract import Card, keeps_records
from mnemic.systems.registry import SYSTEMS, create, system_class

FAMILIES = ("conversation", "analysis")
BESIDES = ("factual-decomposition",)
BASELINES = ("hybrid", "bm25", "dense", "recent")


def measured(names: Iterable[str] = ()) -> list[Card]:
    """The cards of the systems to measure: those named, else all conversation memories; one that cannot be loaded is said."""
    wanted = [name for given in names for name in given.split(",") if name]
    found = []
    for id in wanted or SYSTEMS:
        try:
            card = system_class(id).card
        except MnemicError:
            raise
        except Exception as error:  # one broken file must not hide the figures of the others
            print(f"{id} cannot be loaded: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        if wanted or card.family in FAMILIES or id in BESIDES:
            found.append(card)
    return found


def with_records(cards: Sequence[Card]) -> list[Card]:
    """Those that make anything of what they observe; the others have nothing to ingest."""
    return [card for card in cards if keeps_records(create(card.id))]


def machine() -> dict[str, Any]:
    """What a figure was measured on."""
    return {
        "version": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs",
        "load": os.getloadavg()[0],
    }


def merge_into(path: Path, part: str, rows: Sequence[dict[str, Any]], keys: Sequence[str], **more: Any) -> list[Any]:
    """Write the rows of a part beside those that the file has already: a row with the same keys is replaced."""
    whole = json.loads(path.read_text("utf-8")) if path.exists() else {}
    kept = {tuple(row.get(key) for key in keys): row for row in whole.get(part, {}).get("rows", [])}
    kept |= {tuple(row.get(key) for key in keys): row for row in rows}
    whole[part] = {**more, **machine(), "rows": list(kept.values())}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return list(kept.values())


def show(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table on standard output, as wide as it needs."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for at, column in enumerate(columns):
        table.add_column(column, justify="left" if at == 0 else "right", no_wrap=at == 0)
    for row in rows:
        table.add_row(*map(_cell, row))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
