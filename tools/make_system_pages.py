"""Write a page for every memory system from its card, and the table of all in docs/systems.md.

    python tools/make_system_pages.py [--check]

A page holds what the card says, a diagram, the parameters with the comments that stand beside them in the code, and how to
use the system. --check writes nothing and fails when a page is not what it would be; a test calls it.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import sys
import tokenize
from io import StringIO
from pathlib import Path
from typing import Any

from mnemic.systems.contract import Card, MemorySystem
from mnemic.systems.registry import SYSTEMS, system_class

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "systems"
INDEX = ROOT / "docs" / "systems.md"
BEGIN, END = "<!-- made by tools/make_system_pages.py: begin -->", "<!-- made by tools/make_system_pages.py: end -->"


def page(system: type[MemorySystem]) -> str:
    """The Markdown page of a system."""
    card = system.card
    parts = [
        f"# {card.title}\n",
        f"{card.summary}\n",
        _facts(card, system),
        f"Source: {card.source}.\n" if not card.source.endswith(".") else f"Source: {card.source}\n",
    ]
    if card.flow:
        parts += ["## How it works\n", f"```mermaid\nflowchart LR\n{_indented(card.flow)}\n```\n"]
    parts += ["## Use\n", _use(card, system)]
    if system.params_type is not None:
        parts += ["## Parameters\n", _parameters(system.params_type)]
    if card.departures:
        parts += ["## Where it departs from its source\n", "\n".join(f"- {one}" for one in card.departures) + "\n"]
    if system.exempt:
        rows = "\n".join(
            f"- {name.removeprefix('test_').replace('_', ' ')}: {why}" for name, why in system.exempt.items()
        )
        parts += ["## Contracts that it cannot keep\n", rows + "\n"]
    module = SYSTEMS[card.id].split(":")[0].replace(".", "/")
    parts.append(f"The code, to be read beside the paper: `src/{module}.py`. [All systems](../systems.md).\n")
    return "\n".join(parts)


def table() -> str:
    """All systems in one table, by family."""
    cards = [system_class(id).card for id in SYSTEMS]
    lines = [
        "| system | family | year | needs | what it does | what it asks a model |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for card in cards:
        needs = ", ".join(card.needs) or "nothing"
        cost = card.cost or "nothing"
        name = f"[`{card.id}`](systems/{card.id}.md)"
        lines.append(f"| {name} | {card.family} | {card.year} | {needs} | {_cell(card.summary)} | {_cell(cost)} |")
    return "\n".join(lines)


def made() -> dict[Path, str]:
    """What every page would be."""
    index = INDEX.read_text()
    start, stop = index.index(BEGIN) + len(BEGIN), index.index(END)
    pages = {PAGES / f"{id}.md": page(system_class(id)) for id in SYSTEMS}
    return {**pages, INDEX: f"{index[:start]}\n\n{table()}\n\n{index[stop:]}"}


def _facts(card: Card, system: type[MemorySystem]) -> str:
    keeps = system.observe is not MemorySystem.observe
    rows = {
        "id": f"`{card.id}`",
        "family, year": f"{card.family}, {card.year}",
        "needs": ", ".join(card.needs) + ("; without a model it takes its offline path" if "llm" in card.needs else "")
        if card.needs
        else "nothing",
        "asks a model": card.cost or "never",
        "keeps": ", ".join(card.makes)
        if card.makes
        else "what it makes of the log"
        if keeps
        else "no records of its own",
    }
    return "| | |\n| --- | --- |\n" + "\n".join(f"| {name} | {_cell(value)} |" for name, value in rows.items()) + "\n"


def _use(card: Card, system: type[MemorySystem]) -> str:
    if system.observe is MemorySystem.observe:
        return f'`memory.system("{card.id}").search("…")`; `mnemic search "…" --system {card.id}`.\n'
    lines = [
        "```python",
        "from mnemic import Memory",
        "",
        'memory = Memory.open(embedder="hashing")',
        'memory.add("I moved to Porto in March.", actor="Ann")',
        'memory.add("How is the new flat?", actor="Ben")',
        f'system = memory.attach("{card.id}")',
        "memory.consolidate()",
        'print(system.search("Where does Ann live?"))',
        "```",
    ]
    text = "\n".join(lines) + "\n"
    if "llm" in card.needs:
        text += f'\nWith a model: `memory.attach("{card.id}", llm="openai:gpt-4o-mini")`; see [language models](../llm.md).\n'
    return text


def _parameters(params: type[Any]) -> str:
    comments = _comments(params)
    lines = ["| parameter | default | |", "| --- | --- | --- |"]
    for field in dataclasses.fields(params):
        default = field.default if field.default is not dataclasses.MISSING else None
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        lines.append(f"| `{field.name}` | `{default!r}` | {_cell(comments.get(field.name, ''))} |")
    return "\n".join(lines) + "\n"


def _comments(params: type[Any]) -> dict[str, str]:
    """What stands beside each field in the code, by the field's name."""
    source = inspect.cleandoc("\n" + inspect.getsource(params)) + "\n"
    by_line: dict[int, str] = {}
    for token in tokenize.generate_tokens(StringIO(source).readline):
        if token.type == tokenize.COMMENT and not token.string.startswith(("# fmt", "# noqa", "# type")):
            by_line[token.start[0]] = token.string.lstrip("# ").strip()
    body = ast.parse(source).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for node in body.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            lines = [
                by_line[line] for line in range(node.lineno, (node.end_lineno or node.lineno) + 1) if line in by_line
            ]
            found[node.target.id] = " ".join(lines)
    return found


def _indented(text: str) -> str:
    return "\n".join(f"    {line.strip()}" for line in text.strip().splitlines() if line.strip())


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> int:
    """Write or check all pages; the exit code."""
    wanted = made()
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    extra = [path for path in sorted(PAGES.glob("*.md")) if path not in wanted]
    if "--check" in sys.argv:
        for path in [*stale, *extra]:
            print(f"{path.relative_to(ROOT)} is not what tools/make_system_pages.py makes. Run it.", file=sys.stderr)
        return 1 if stale or extra else 0
    PAGES.mkdir(exist_ok=True)
    for path in extra:
        path.unlink()
    for path in stale:
        path.write_text(wanted[path])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
