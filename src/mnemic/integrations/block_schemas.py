"""What the tools of working memory are called and take: one table, for the models' function calls and for checking them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mnemic.errors import ParameterError

_TYPES: dict[str, type | tuple[type, ...]] = {"string": str, "integer": int, "array": list}


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool: what it does, in words for a model, and its arguments as JSON schema."""

    description: str
    arguments: Mapping[str, Mapping[str, Any]]
    needed: tuple[str, ...] = ()


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


def _number(description: str) -> dict[str, Any]:
    return {"type": "integer", "description": description}


def _texts(description: str, **items: Any) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string", **items}, "description": description}


_LABEL = _text("The label of the memory block to change.")
_EXACT = "Exactly as it stands in the block, with its white space, without line numbers."
_SINCE = _text("Only from this time on: an ISO 8601 date or time.")
_UNTIL = _text("Only up to this time: an ISO 8601 date, which means its whole day, or a time.")

TOOLS: dict[str, Tool] = {
    "core_memory_append": Tool(
        "Add a line at the end of a memory block.",
        {"label": _LABEL, "content": _text("What to add.")},
        ("label", "content"),
    ),
    "core_memory_replace": Tool(
        "Replace every occurrence of a text in a memory block. An empty new_content removes it.",
        {
            "label": _LABEL,
            "old_content": _text(f"What to replace. {_EXACT}"),
            "new_content": _text("What to put there."),
        },
        ("label", "old_content", "new_content"),
    ),
    "memory_replace": Tool(
        "Replace a text that stands in a memory block exactly once.",
        {"label": _LABEL, "old_string": _text(f"What to replace. {_EXACT}"), "new_string": _text("What to put there.")},
        ("label", "old_string", "new_string"),
    ),
    "memory_insert": Tool(
        "Insert lines into a memory block.",
        {
            "label": _LABEL,
            "new_string": _text("The lines to insert, without line numbers."),
            "insert_line": _number("The line behind which to insert: 0 is the top, -1 (the default) the end."),
        },
        ("label", "new_string"),
    ),
    "memory_apply_patch": Tool(
        "Apply a unified diff to a memory block: several edits at once, all or none.",
        {"label": _LABEL, "patch": _text("Hunks of ' ', '-' and '+' lines, each behind an '@@' line.")},
        ("label", "patch"),
    ),
    "memory_rethink": Tool(
        "Write a memory block anew, to bring much of it into a better order. A label that is not there is made.",
        {"label": _LABEL, "new_memory": _text("The whole new value.")},
        ("label", "new_memory"),
    ),
    "memory_finish_edits": Tool("Say that the edits of memory are done.", {}),
    "memory": Tool(
        "View, make, edit, rename and delete memory blocks by their paths, such as /memories/human.",
        {
            "command": _text("What to do.", enum=["view", "create", "str_replace", "insert", "delete", "rename"]),
            "path": _text("The block's path. To view all blocks, /memories."),
            "file_text": _text("For create: the value."),
            "description": _text("For create: what the block is for. For rename: a new description."),
            "old_str": _text(f"For str_replace: what to replace. {_EXACT}"),
            "new_str": _text("For str_replace: what to put there."),
            "insert_line": _number("For insert: the line behind which to insert; 0 is the top."),
            "insert_text": _text("For insert: the lines."),
            "old_path": _text("For rename: the path as it is."),
            "new_path": _text("For rename: the path as it shall be."),
        },
        ("command",),
    ),
    "archival_memory_insert": Tool(
        "Keep a statement for good, outside of the memory blocks, to be found by archival_memory_search.",
        {"content": _text("A statement that is clear by itself."), "tags": _texts("Words to find it by.")},
        ("content",),
    ),
    "archival_memory_search": Tool(
        "Search what was kept with archival_memory_insert, by meaning and words.",
        {
            "query": _text("What to look for. Empty for the newest."),
            "tags": _texts("Only what has these tags."),
            "tag_match_mode": _text("Whether any tag will do (the default), or all are needed.", enum=["any", "all"]),
            "top_k": _number("How many at most; 10 by default."),
            "start_datetime": _SINCE,
            "end_datetime": _UNTIL,
        },
        ("query",),
    ),
    "conversation_search": Tool(
        "Search what was said before, by meaning and words.",
        {
            "query": _text("What to look for. Without it, the newest."),
            "roles": _texts("Only what these said.", enum=["user", "assistant", "system", "tool"]),
            "limit": _number("How many at most; 5 by default."),
            "start_date": _SINCE,
            "end_date": _UNTIL,
        },
    ),
}


def schemas(names: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """The tools in the form of OpenAI's function calling; all of them, or those that are named."""
    if unknown := [name for name in names if name not in TOOLS]:
        raise ParameterError(f"There is no tool {unknown[0]!r}. There are {', '.join(TOOLS)}.")
    return [
        {
            "type": "function",
            "function": {
                "name": name,
                "description": tool.description,
                "parameters": {
                    "type": "object",
                    "properties": {key: dict(schema) for key, schema in tool.arguments.items()},
                    "required": list(tool.needed),
                    "additionalProperties": False,
                },
            },
        }
        for name, tool in TOOLS.items()
        if not names or name in names
    ]


def checked_call(name: str, arguments: Mapping[str, Any] | str | None) -> dict[str, Any]:
    """The arguments of a call, a JSON object or its text, when they fit the tool. Raises ParameterError."""
    if name not in TOOLS:
        raise ParameterError(f"There is no tool {name!r}. There are {', '.join(TOOLS)}.")
    tool = TOOLS[name]
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except ValueError as error:
            raise ParameterError(f"The arguments of {name} are no JSON: {error}. Send one JSON object.") from error
    if not isinstance(arguments, Mapping | None):
        raise ParameterError(f"The arguments of {name} are {type(arguments).__name__}. Send one JSON object.")
    given = {key: value for key, value in (arguments or {}).items() if value is not None}
    if missing := [key for key in tool.needed if key not in given]:
        raise ParameterError(f"{name} needs `{missing[0]}`. Give it and try again.")
    for key, value in given.items():
        if key not in tool.arguments:
            raise ParameterError(f"{name} takes no `{key}`. It takes {', '.join(tool.arguments) or 'nothing'}.")
        _check(name, key, value, tool.arguments[key])
    return given


def _check(name: str, key: str, value: Any, schema: Mapping[str, Any]) -> None:
    wanted = schema["type"]
    fits = isinstance(value, _TYPES[wanted]) and not isinstance(value, bool)
    if not fits or (wanted == "array" and not all(isinstance(one, str) for one in value)):
        kind = "array of texts" if wanted == "array" else wanted
        raise ParameterError(f"`{key}` of {name} is {value!r:.80}; {kind} is expected.")
    choices = schema.get("enum") or schema.get("items", {}).get("enum")
    odd = [one for one in (value if wanted == "array" else [value]) if choices and one not in choices]
    if odd:
        raise ParameterError(f"`{key}` of {name} is {odd[0]!r}; give one of {', '.join(choices)}.")
