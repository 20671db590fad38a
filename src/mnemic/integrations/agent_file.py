"""Agent files (`.af`): the memory blocks that an exported Letta agent had.

Two shapes are read: the present one, with lists of agents and blocks that refer to each other by id, and the first
one, a single agent with its blocks under "core_memory". What else is in such a file (messages, tools, settings of a
model) is not looked at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemic.errors import FormatError
from mnemic.integrations.block import Block, checked, limit_of

MAX_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class AgentBlocks:
    """An agent of a file, and its blocks."""

    agent: str
    blocks: tuple[Block, ...]


def read_agent_file(path: str | Path) -> list[AgentBlocks]:
    """The agents of a file with their blocks, checked. Raises FormatError, ParameterError and OSError."""
    path = Path(path)
    if path.stat().st_size > MAX_BYTES:
        raise FormatError(f"{path.name} has more than {MAX_BYTES // 2**20} MiB, which no agent file has.")
    try:
        whole = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path.name} is no agent file: it cannot be read as JSON ({error}).") from error
    if not isinstance(whole, Mapping):
        raise _no_agent_file(path)
    if isinstance(whole.get("agents"), list) and isinstance(whole.get("blocks"), list):
        found = _of_many(path, whole)
    elif isinstance(whole.get("core_memory"), list):
        found = [AgentBlocks(_agent_name(whole), tuple(_block(path, one) for one in whole["core_memory"]))]
    else:
        raise _no_agent_file(path)
    for one in found:
        labels = [block.label for block in one.blocks]
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise FormatError(
                f"{path.name}: the agent {one.agent!r} has two blocks {twice[0]!r}. Rename one in the file."
            )
    return found


def _of_many(path: Path, whole: Mapping[str, Any]) -> list[AgentBlocks]:
    blocks = {str(one.get("id")): one for one in whole["blocks"] if isinstance(one, Mapping)}
    found = []
    for agent in whole["agents"]:
        ids = agent.get("block_ids") if isinstance(agent, Mapping) else None
        if not isinstance(ids, list):
            raise _no_agent_file(path)
        if missing := [id for id in ids if str(id) not in blocks]:
            raise FormatError(f"{path.name}: an agent has the block {missing[0]!r}, which the file does not hold.")
        found.append(AgentBlocks(_agent_name(agent), tuple(_block(path, blocks[str(id)]) for id in ids)))
    return found


def _block(path: Path, given: object) -> Block:
    if not isinstance(given, Mapping) or not isinstance(given.get("label"), str):
        raise FormatError(f"{path.name}: a block has no label. Each is an object with 'label' and 'value'.")
    label = given["label"]
    metadata = given.get("metadata")
    tags = given.get("tags")
    return checked(
        Block(
            id=str(given.get("id") or ""),
            label=label,
            value=given.get("value") or "",
            limit=given.get("limit") or limit_of(label),
            description=given.get("description") or "",
            read_only=bool(given.get("read_only")),
            metadata=metadata if isinstance(metadata, Mapping) else {},
            tags=tuple(tags) if isinstance(tags, list) else (),
            hidden=bool(given.get("hidden")),
        )
    )


def _agent_name(agent: Mapping[str, Any]) -> str:
    return str(agent.get("name") or agent.get("id") or "agent")


def _no_agent_file(path: Path) -> FormatError:
    return FormatError(
        f"{path.name} is no agent file. One has 'agents' and 'blocks', or, in the first form, 'core_memory'. "
        "Export the agent again."
    )
