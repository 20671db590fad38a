"""The file of the reference memory server: a line of JSON for each entity and each relation.

    {"type": "entity", "name": "Alice", "entityType": "person", "observations": ["likes tea"]}
    {"type": "relation", "from": "Alice", "to": "Bob", "relationType": "knows"}

It is read once, into the log; importing it again changes nothing, but for bringing back what was deleted since.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemic.errors import FormatError
from mnemic.integrations.handle import Handle
from mnemic.mcp.graph import Entity, Graph, KnowledgeGraph, Relation


@dataclass(frozen=True, slots=True)
class ImportedGraph:
    """What an import brought in that was not there, and what could not be read, with its line."""

    entities: int
    observations: int
    relations: int
    problems: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            "entities": self.entities,
            "observations": self.observations,
            "relations": self.relations,
            "problems": list(self.problems),
        }


def import_graph(handle: Handle, path: Path) -> ImportedGraph:
    """Bring the graph of such a file into the handle's scope. Raises FormatError when nothing in it is a part of one."""
    graph, problems = read_graph_file(path)
    return ImportedGraph(*KnowledgeGraph(handle).merge(graph), tuple(problems))


def read_graph_file(path: Path) -> tuple[Graph, list[str]]:
    """The graph that the file holds, and what is wrong with which line. Raises FormatError."""
    entities: list[Entity] = []
    relations: list[Relation] = []
    problems: list[str] = []
    is_empty = True
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            is_empty = False
            try:
                part = _part(json.loads(line))
            except (ValueError, RecursionError) as error:
                problems.append(f"{path.name}, line {number}: {error}")
                continue
            if isinstance(part, Entity):
                entities.append(part)
            else:
                relations.append(part)
    if not (entities or relations or is_empty):
        raise FormatError(
            f"{path} is not the reference memory server's file: no line is an entity or a relation. The first: {problems[0]} "
            "`mnemic import` reads other formats."
        )
    return Graph(tuple(entities), tuple(relations)), problems


def _part(value: Any) -> Entity | Relation:
    match value:
        case {"type": "entity", "name": str(name), "entityType": str(kind)} if name.strip():
            observations = value.get("observations", [])
            if not isinstance(observations, list) or not all(isinstance(one, str) for one in observations):
                raise ValueError("the observations of an entity are a list of texts.")
            return Entity(name, kind, tuple(observations))
        case {"type": "relation", "from": str(start), "to": str(end), "relationType": str(kind)}:
            return Relation(start, end, kind)
    raise ValueError(
        'neither {"type": "entity", "name", "entityType", ...} nor {"type": "relation", "from", "to", ...}.'
    )
