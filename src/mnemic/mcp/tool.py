"""A tool, without the protocol: what it is called, what it takes and gives, and what it does with a handle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mnemic.errors import EpisodeNotFound
from mnemic.integrations.handle import Handle
from mnemic.mcp.access import Verb
from mnemic.mcp.arguments import Argument, Schema, object_schema, read_arguments


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call gave: for programs, and for a model to read."""

    structured: dict[str, Any]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One tool. `run` is given a handle and the arguments as they were read."""

    name: str
    title: str
    description: str
    verb: Verb
    run: Callable[[Handle, dict[str, Any]], Outcome]
    output_schema: Schema
    arguments: tuple[Argument, ...] = ()
    is_destructive: bool = False
    is_idempotent: bool = True
    is_of_graph: bool = False  # whether a call may change the knowledge graph

    @property
    def input_schema(self) -> Schema:
        """The JSON schema of the arguments."""
        return object_schema(self.arguments)

    @property
    def annotations(self) -> dict[str, bool]:
        """What a client may tell its user before a call."""
        return {
            "readOnlyHint": self.verb == "read",
            "destructiveHint": self.is_destructive,
            "idempotentHint": self.is_idempotent,
            "openWorldHint": False,
        }

    def to_dict(self) -> dict[str, Any]:
        """As the protocol lists it."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": self.input_schema,
            "outputSchema": self.output_schema,
            "annotations": self.annotations,
        }

    def call(self, handle: Handle, given: Mapping[str, Any] | None) -> Outcome:
        """Do it. Raises MnemicError, with what to do instead."""
        read = read_arguments(self.name, self.arguments, given)
        try:
            return self.run(handle, read)
        except EpisodeNotFound:  # its own remedy speaks of the library
            raise EpisodeNotFound(
                f"{self.name}: there is no memory with such an id here. Nothing was changed. search_memories and recent give the "
                "ids of those that there are; one that was corrected has a new id."
            ) from None


def output_of(required: Mapping[str, Schema], **optional: Schema) -> Schema:
    """The JSON schema of a result."""
    return {"type": "object", "properties": {**required, **optional}, "required": list(required)}


STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}


def array(items: Schema) -> Schema:
    """The JSON schema of a list."""
    return {"type": "array", "items": items}
