"""Working memory in blocks, with the shape and the tools that Letta's agents know.

    blocks = Blocks(memory.scope("acme/alice"), agent="tutor")
    system_prompt = blocks.render()
    answer = blocks.call("memory_insert", {"label": "human", "new_string": "She teaches physics."})

Blocks are always in the prompt and the agent edits them; what is too much for that goes to archival memory, which is
the handle's own log, as the conversation is: `archival_memory_search` and `conversation_search` recall from it. Every
edit is a version with who and why (`history`), and can be undone. There is no server and no other dependency here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mnemic.errors import EditConflict, EpisodeNotFound, MnemicError, ParameterError, StoreError
from mnemic.integrations.agent_file import AgentBlocks, read_agent_file
from mnemic.integrations.block import Block, BlockVersion
from mnemic.integrations.block_schemas import checked_call, schemas
from mnemic.integrations.block_store import BlockStore
from mnemic.text.edits import apply_patch, insert_at, lines_of, numbered, refuse_line_numbers, replace_once, shown
from mnemic.text.paths import checked_path

__all__ = ["Block", "BlockVersion", "Blocks"]

ARCHIVAL = "archival"  # metadata of an episode that an agent archived
_MOST_FOUND = 100
Found = list[dict[str, Any]]
Schemas = list[dict[str, Any]]
Loaded = list[Block]


class Blocks(BlockStore):
    """The blocks of an agent, with the tools by which it edits them; see `BlockStore` for what programs do with them."""

    # -- for the model --------------------------------------------------------------------------------------

    def tool_schemas(self, *names: str) -> Schemas:
        """The tools in the form of OpenAI's function calling; all of them, or those that are named."""
        return schemas(names)

    def call(self, name: str, arguments: Mapping[str, Any] | str | None = None) -> str:
        """Run a tool as a model called it, with its arguments as an object or as JSON text; the text to give back.

        What is refused is an answer, too, "Error: ...", so that the model can do better. What the store cannot do is raised.
        """
        try:
            answer = getattr(self, name)(**checked_call(name, arguments))
        except StoreError:
            raise
        except MnemicError as error:
            return f"Error: {error}"
        return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)

    # -- edits ----------------------------------------------------------------------------------------------

    def core_memory_append(self, label: str, content: str) -> str:
        """Add a line at the end."""
        return self._change(label, lambda value: f"{value}\n{content}" if value else content, "core_memory_append")

    def core_memory_replace(self, label: str, old_content: str, new_content: str) -> str:
        """Replace every occurrence of a text."""

        def change(value: str) -> str:
            old, new = _as_written(value, old_content, new_content)
            if not old or old not in value:
                raise ParameterError(
                    f"old_content `{shown(old_content)}` did not appear verbatim in the block {label!r}. Nothing was changed. "
                    "Copy it exactly."
                )
            return value.replace(old, new)

        return self._change(label, change, "core_memory_replace")

    def memory_replace(self, label: str, old_string: str, new_string: str) -> str:
        """Replace a text that stands there exactly once."""
        refuse_line_numbers(old_string=old_string, new_string=new_string)

        def change(value: str) -> str:
            old, new = _as_written(value, old_string, new_string)
            return replace_once(value, old, new, name="old_string", place=f"the block {label!r}").text

        return self._change(label, change, "memory_replace")

    def memory_insert(self, label: str, new_string: str, insert_line: int = -1) -> str:
        """Insert lines behind a line; 0 is the top, -1 the end."""
        refuse_line_numbers(new_string=new_string)

        def change(value: str) -> str:
            line = len(lines_of(value)) if insert_line == -1 else insert_line
            made = insert_at(value, line, new_string, name="insert_line")
            return made if value.endswith("\n") else made.removesuffix("\n")

        return self._change(label, change, "memory_insert")

    def memory_apply_patch(self, label: str, patch: str) -> str:
        """Apply a unified diff, all of it or nothing."""
        return self._change(label, lambda value: apply_patch(value, patch), "memory_apply_patch")

    def memory_rethink(self, label: str, new_memory: str) -> str:
        """Write the whole value anew; a label that is not there is made."""
        refuse_line_numbers(new_memory=new_memory)
        if all(block.label != label for block in self.attached()):
            return _made(self.create(label, new_memory, reason="memory_rethink"))
        return self._change(label, lambda value: new_memory, "memory_rethink")

    def memory_finish_edits(self) -> str:
        """Say that the edits are done."""
        return "The edits of memory are finished."

    def memory(
        self,
        command: str,
        path: str | None = None,
        *,
        file_text: str = "",
        description: str | None = None,
        old_str: str | None = None,
        new_str: str = "",
        insert_line: int = -1,
        insert_text: str | None = None,
        old_path: str | None = None,
        new_path: str | None = None,
    ) -> str:
        """One tool for everything: view, create, str_replace, insert, delete and rename, by paths such as /memories/human."""
        if command == "view" and not checked_path(path or "/memories"):
            return "\n".join(f"{len(block.value)}/{block.limit}\t/memories/{block.label}" for block in self.list())
        if command == "rename":
            return self._rename(old_path or path, new_path, description)
        label = _label(path)
        if command == "view":
            return numbered(self.get(label).value)
        if command == "create":
            return _made(self.create(label, file_text, description=description or "", reason="memory create"))
        if command == "str_replace":
            return self.memory_replace(label, _needed("old_str", old_str), new_str)
        if command == "insert":
            return self.memory_insert(label, _needed("insert_text", insert_text), insert_line)
        if command == "delete":
            return self._let_go(label)
        raise ParameterError(
            f"Unknown command: {command!r}. Commands are view, create, str_replace, insert, delete and rename."
        )

    # -- what is not in a block -----------------------------------------------------------------------------

    def archival_memory_insert(self, content: str, tags: Sequence[str] | None = None) -> str:
        """Keep a statement in the log, with tags."""
        metadata = {ARCHIVAL: True, "tags": list(tags or ())}
        added = self.handle.add(content, role="assistant", actor=self.agent, metadata=metadata)
        if added.echoes:
            return "Known already: it repeats what was recalled not long ago, so it was not kept as news. Search finds that."
        return f"Kept as {added.id}."

    def archival_memory_search(
        self,
        query: str,
        tags: Sequence[str] | None = None,
        tag_match_mode: str = "any",
        top_k: int = 10,
        start_datetime: str | None = None,
        end_datetime: str | None = None,
    ) -> Found:
        """What was archived and answers the query, best first; the newest where the query is empty."""
        if tag_match_mode not in ("any", "all"):
            raise ParameterError(f"tag_match_mode={tag_match_mode!r}: give 'any' or 'all'.")
        wanted = [{"tags": {"contains": tag}} for tag in tags or ()]
        conditions: Found = [{ARCHIVAL: True}]
        if wanted:
            conditions.append({"OR" if tag_match_mode == "any" else "AND": wanted})
        found = self._recalled(query, conditions, top_k, start_datetime, end_datetime)
        return [
            {
                "id": one["id"],
                "timestamp": one["occurred_at"],
                "content": one["memory"],
                "tags": one["metadata"].get("tags", []),
            }
            for one in found
        ]

    def conversation_search(
        self,
        query: str | None = None,
        roles: Sequence[str] | None = None,
        limit: int = 5,
        start_date: str | None = None,
        end_date: str | None = None,
    ) -> Found:
        """What was said and answers the query, best first; the newest where there is no query."""
        conditions: Found = [{"NOT": [{ARCHIVAL: True}]}]
        if roles:
            conditions.append({"role": {"in": list(roles)}})
        found = self._recalled(query or "", conditions, limit, start_date, end_date)
        return [
            {
                "id": one["id"],
                "timestamp": one["occurred_at"],
                "role": one["role"],
                "name": one["actor_id"],
                "content": one["memory"],
            }
            for one in found
        ]

    # -- import ---------------------------------------------------------------------------------------------

    def load_agent_file(self, path: str | Path, *, agent: str | None = None) -> Loaded:
        """Take over the memory blocks of an agent file (`.af`); those of `agent`, where it holds several.

        A block that this agent has by that label is set to what the file says; others are made. Loading it again changes
        nothing. Nothing is written where any block of the file cannot be kept. Raises FormatError and ParameterError.
        """
        chosen = _chosen(read_agent_file(path), agent, Path(path).name)
        reason = f"loaded from {Path(path).name}"
        have = {block.label: block.id for block in self.attached()}
        return [self._load(block, have.get(block.label), reason) for block in chosen.blocks]

    # -- inside ---------------------------------------------------------------------------------------------

    def _change(self, label: str, change: Callable[[str], str], tool: str) -> str:
        block = self.edit(label, lambda block: replace(block, value=change(block.value)), reason=tool, as_agent=True)
        return f"The block {block.label!r} was edited: it has {len(block.value):,} of {block.limit:,} characters."

    def _rename(self, old_path: str | None, new_path: str | None, description: str | None) -> str:
        label = _label(old_path)
        if new_path is None and description is None:
            raise ParameterError("rename needs `new_path`, or a new `description`. Give one and try again.")
        new_label = label if new_path is None else _label(new_path)
        block = self.get(label)
        if any(one.label == new_label and one.id != block.id for one in self.attached()):
            raise EditConflict(f"The destination /memories/{new_label} already exists.")
        self.edit(
            label,
            lambda one: replace(
                one, label=new_label, description=one.description if description is None else description
            ),
            reason="memory rename",
            as_agent=True,
        )
        return f"Renamed /memories/{label} to /memories/{new_label}." if new_path else f"Described /memories/{label}."

    def _let_go(self, label: str) -> str:
        block = self.get(label)
        if block.read_only:
            raise ParameterError(f"The block {label!r} is read-only. Nothing was deleted.")
        if set(self.agents(label)) - {self.agent}:
            self.detach(label)
            return f"The block {label!r} is no longer yours; others still share it."
        self.delete(label, reason="memory delete")
        return f"Deleted the block {label!r}."

    def _load(self, block: Block, id: str | None, reason: str) -> Block:
        if id is not None:
            return self.update(
                id,
                value=block.value,
                limit=block.limit,
                description=block.description,
                read_only=block.read_only,
                metadata=block.metadata,
                tags=block.tags,
                hidden=block.hidden,
                reason=reason,
            )
        return self.create(
            block.label,
            block.value,
            limit=block.limit,
            description=block.description,
            read_only=block.read_only,
            metadata=block.metadata,
            tags=block.tags,
            hidden=block.hidden,
            reason=reason,
        )

    def _recalled(self, query: str, conditions: Found, limit: int, since: str | None, until: str | None) -> Found:
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= _MOST_FOUND:
            raise ParameterError(f"{limit!r} memories cannot be given at once. Ask for 1 to {_MOST_FOUND}.")
        window = {name: at for name, at in (("gte", since), ("lte", until)) if at}
        filters = {"AND": [*conditions, *([{"occurred_at": window}] if window else [])]}
        if query.strip():
            return [hit.to_dict() for hit in self.handle.search(query, limit=limit, filters=filters)]
        return list(self.handle.get_all(limit=limit, filters=filters)["results"])


def _chosen(agents: Sequence[AgentBlocks], agent: str | None, file: str) -> AgentBlocks:
    names = ", ".join(repr(one.agent) for one in agents) or "none"
    fitting = [one for one in agents if agent in (None, one.agent)]
    if not fitting:
        raise EpisodeNotFound(f"{file} has no agent {agent!r}. It has: {names}.")
    if len(fitting) > 1:
        raise ParameterError(f"{file} has several agents: {names}. Say which with agent=....")
    return fitting[0]


def _label(path: str | None) -> str:
    label = checked_path(_needed("path", path))
    if not label:
        raise ParameterError("/memories is not a block. Give a path such as /memories/human.")
    return label


def _needed(name: str, value: str | None) -> str:
    if value is None:
        raise ParameterError(f"This command needs `{name}`. Give it and try again.")
    return value


def _made(block: Block) -> str:
    return f"Made the block {block.label!r}: it has {len(block.value):,} of {block.limit:,} characters."


def _as_written(value: str, old: str, new: str) -> tuple[str, str]:
    """Both texts as the block has them, where the model copied a "<" in the way in which prompts show it."""
    if old not in value and (plain := old.replace("&lt;", "<")) in value:
        return plain, new.replace("&lt;", "<")
    return old, new
