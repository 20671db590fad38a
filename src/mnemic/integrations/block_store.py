"""Working-memory blocks as documents: made, read, edited, shared between agents, undone, and shown in a prompt.

A block is the document "block/<id>" in the scope "blocks" below the handle's, its text being the value; which blocks
an agent has is the document "agent/<name>". So every edit is a version with who and why, two agents that share a block
lose nothing of each other's, and undo and redo are new versions: nothing is ever taken out of the history but by
`forget`. An agent begins with the blocks "persona" and "human", which are written when they are first changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from mnemic.documents import Document, Documents
from mnemic.errors import EditConflict, EpisodeNotFound, ParameterError
from mnemic.integrations.block import (
    DEFAULTS,
    Block,
    BlockVersion,
    checked,
    checked_label,
    default_id,
    is_id,
    limit_of,
    render,
    stack,
)
from mnemic.integrations.handle import Handle
from mnemic.memory.forget import Receipt
from mnemic.model import new_id

SCOPE = "blocks"
_ATTEMPTS = 16
Listed = list[Block]  # names for what BlockStore.list would hide from type checkers inside the class
Names = list[str]
Versions = list[BlockVersion]


class BlockStore:
    """The blocks of one agent in a scope. Cheap to make, and nothing is written before something is changed.

    agent: whose blocks these are; several agents of a scope may share some. actor: who edits, by default the agent.
    defaults: the labels that an agent begins with.
    """

    def __init__(
        self,
        handle: Handle,
        *,
        agent: str = "main",
        actor: str | None = None,
        defaults: Sequence[str] = tuple(DEFAULTS),
    ) -> None:
        self.handle = handle
        self.agent = checked_label(agent, "agent")
        self._actor = actor or agent
        self._defaults = tuple(checked_label(label) for label in defaults)
        self._documents = Documents(handle.scope(SCOPE))

    # -- reading --------------------------------------------------------------------------------------------

    def get(self, label: str) -> Block:
        """The agent's block of that label; or any block of the scope, by its id. Raises EpisodeNotFound."""
        if is_id(label):
            if (found := self._by_id(label)) is not None:
                return found
            raise EpisodeNotFound(f"There is no block {label!r} in this scope. `all` lists those there are.")
        attached = self.attached()
        found = next((block for block in attached if block.label == label), None)
        if found is None:
            there = ", ".join(repr(block.label) for block in attached) or "none"
            raise EpisodeNotFound(f"The agent {self.agent!r} has no block {label!r}. It has: {there}.")
        return found

    def list(self, *, tags: Iterable[str] = (), show_hidden: bool = False) -> Listed:
        """The agent's blocks, in the order in which they were attached; those with all the tags."""
        wanted = set(tags)
        return [block for block in self.attached() if wanted <= set(block.tags) and (show_hidden or not block.hidden)]

    def all(self, *, label: str | None = None, show_hidden: bool = False) -> Listed:
        """Every block of the scope, whoever has it, by label."""
        found = [_block_of(document) for document in self._documents.list("block/")]
        found = [block for block in found if (show_hidden or not block.hidden) and label in (None, block.label)]
        return sorted(found, key=lambda block: (block.label, block.id))

    def attached(self) -> Listed:
        """The agent's blocks, hidden ones too."""
        ids = self._attached_ids()[0]
        found = self._documents.get_all([_name(id) for id in ids])
        own = {default_id(self.agent, label): label for label in self._defaults}
        blocks = []
        for id in ids:
            if _name(id) in found:
                blocks.append(_block_of(found[_name(id)]))
            elif id in own and not self._documents.history(_name(id)):
                blocks.append(_default(self.agent, own[id]))
        return blocks

    def agents(self, label: str) -> Names:
        """The agents that have this block."""
        id = self.get(label).id
        sharing = {
            document.name.removeprefix("agent/")
            for document in self._documents.list("agent/")
            if id in document.value["blocks"]
        }
        return sorted(sharing | ({self.agent} if id in self._attached_ids()[0] else set()))

    # -- writing --------------------------------------------------------------------------------------------

    def create(
        self,
        label: str,
        value: str = "",
        *,
        limit: int | None = None,
        description: str = "",
        read_only: bool = False,
        metadata: Mapping[str, Any] | None = None,
        tags: Sequence[str] = (),
        hidden: bool = False,
        attach: bool = True,
        reason: str | None = None,
    ) -> Block:
        """Make a block, and attach it to the agent unless `attach` is false. Raises EditConflict for a label that it has."""
        block = checked(
            Block(
                id=f"block-{new_id()}",
                label=label,
                value=value,
                limit=limit_of(label) if limit is None else limit,
                description=description or DEFAULTS.get(label, ""),
                read_only=read_only,
                metadata=dict(metadata or {}),
                tags=tuple(tags),
                hidden=hidden,
            )
        )
        if attach:
            self._check_label_is_free(block)
        made = self._write(block, None, reason or "create", "edit")
        if attach:
            try:
                self._attach(made)
            except EditConflict:
                self._documents.forget(_name(made.id))
                raise
        return made

    def update(
        self,
        label: str,
        *,
        value: str | None = None,
        new_label: str | None = None,
        limit: int | None = None,
        description: str | None = None,
        read_only: bool | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Sequence[str] | None = None,
        hidden: bool | None = None,
        expected: str | None = None,
        reason: str | None = None,
    ) -> Block:
        """Change what is given of a block. expected: the version that must stand now. Raises EditConflict, ParameterError."""
        changes: dict[str, Any] = {
            "value": value,
            "label": new_label,
            "limit": limit,
            "description": description,
            "read_only": read_only,
            "metadata": None if metadata is None else dict(metadata),
            "tags": None if tags is None else tuple(tags),
            "hidden": hidden,
        }
        given = {name: change for name, change in changes.items() if change is not None}
        if new_label is not None:
            self._check_label_is_free(replace(self.get(label), label=new_label))
        return self.edit(label, lambda block: replace(block, **given), expected=expected, reason=reason or "update")

    def edit(
        self,
        label: str,
        change: Callable[[Block], Block],
        *,
        expected: str | None = None,
        reason: str | None = None,
        as_agent: bool = False,
    ) -> Block:
        """Change a block by a function of it, which runs again on what somebody else made of it meanwhile.

        as_agent: refuse what is read-only. Raises EditConflict where `expected` is not the version that stands.
        """
        for _ in range(_ATTEMPTS):
            block = self.get(label)
            if as_agent and block.read_only:
                raise ParameterError(
                    f"The block {block.label!r} is read-only. Nothing was changed. Choose another block."
                )
            _check_expected(block, expected)
            changed = checked(change(block))
            if changed == block:
                return block
            try:
                if block.version is None:  # the state that undo comes back to
                    block = self._write(block, None, "begin", "edit")
                return self._write(changed, block.version, reason, "edit")
            except EditConflict:
                continue
        raise EditConflict(f"The block {label!r} is being changed by others all the time. Read it and try again.")

    def delete(self, label: str, *, reason: str | None = None) -> None:
        """Take a block away from this agent and from all that share it. Its history stays; `forget` removes that, too."""
        block = self.get(label)
        if block.id in self._attached_ids()[0]:
            self.detach(block.id)
        if block.version is not None:
            self._documents.delete(_name(block.id), actor=self._actor, reason=reason or "delete")

    def forget(self, label: str) -> Receipt:
        """Remove a block with all its versions for good; by its id where it was deleted."""
        return self._documents.forget(_name(label if is_id(label) else self.get(label).id))

    # -- sharing --------------------------------------------------------------------------------------------

    def for_agent(self, agent: str, *, actor: str | None = None) -> Self:
        """The blocks of another agent of this scope."""
        return type(self)(self.handle, agent=agent, actor=actor, defaults=self._defaults)

    def attach(self, id: str) -> Block:
        """Give the agent a block of this scope, by its id. Raises EditConflict where it has another of that label."""
        block = self.get(id)
        self._attach(block)
        return block

    def share(self, label: str, *agents: str) -> Block:
        """Give other agents of this scope a block of this agent. Raises EditConflict where one has another of that label."""
        block = self.get(label)
        if block.version is None:  # one that the agent began with: now it must be there for others
            block = self._write(block, None, "share", "edit")
        for agent in agents:
            self.for_agent(agent).attach(block.id)
        return block

    def detach(self, label: str) -> None:
        """Take a block from the agent; it stays in the scope, and with others."""
        block = self.get(label)
        self._attach_list(lambda ids: [id for id in ids if id != block.id])

    # -- looking back ---------------------------------------------------------------------------------------

    def history(self, label: str) -> Versions:
        """Every version of a block, oldest first, with who made it, why and when; by label, or by id when it was deleted."""
        id = label if is_id(label) else self.get(label).id
        documents = [one for one in self._documents.history(_name(id)) if not one.is_deleted]
        return [
            BlockVersion(
                block=_block_of(one),
                version=one.version,
                actor=one.actor,
                reason=one.reason,
                at=one.updated_at,
                change=one.value.get("change", "edit"),
                is_current=one is documents[-1],
            )
            for one in documents
        ]

    def undo(self, label: str, *, expected: str | None = None, reason: str | None = None) -> Block:
        """Back to the state before the last edit. Raises ParameterError where there is none."""
        return self._step(label, -1, "undo", expected, reason)

    def redo(self, label: str, *, expected: str | None = None, reason: str | None = None) -> Block:
        """Forward to the state that was undone last. An edit made since ends what can be redone."""
        return self._step(label, +1, "redo", expected, reason)

    # -- in the prompt --------------------------------------------------------------------------------------

    def render(self, *, line_numbers: bool = False) -> str:
        """The agent's blocks as a section of its system prompt."""
        return render(self.attached(), line_numbers=line_numbers)

    # -- inside ---------------------------------------------------------------------------------------------

    def _by_id(self, id: str) -> Block | None:
        document = self._documents.get(_name(id))
        if document is not None:
            return _block_of(document)
        return next((block for block in self.attached() if block.id == id), None)

    def _attached_ids(self) -> tuple[Names, Document | None]:
        document = self._documents.get(f"agent/{self.agent}")
        if document is None:
            return [default_id(self.agent, label) for label in self._defaults], None
        return list(document.value["blocks"]), document

    def _check_label_is_free(self, block: Block) -> None:
        if any(one.label == block.label and one.id != block.id for one in self.attached()):
            raise EditConflict(
                f"The agent {self.agent!r} has a block {block.label!r} already. Update it, detach it, or use another label."
            )

    def _attach(self, block: Block) -> None:
        def add(ids: Names) -> Names:
            self._check_label_is_free(block)
            return ids if block.id in ids else [*ids, block.id]

        self._attach_list(add)

    def _attach_list(self, change: Callable[[Names], Names]) -> None:
        for _ in range(_ATTEMPTS):
            ids, document = self._attached_ids()
            changed = change(ids)
            if document is not None and changed == ids:
                return
            try:
                self._documents.put(
                    f"agent/{self.agent}",
                    "",
                    value={"blocks": changed},
                    expected=None if document is None else document.version,
                    actor=self._actor,
                )
            except EditConflict:
                continue
            return
        raise EditConflict(f"The blocks of {self.agent!r} are being changed by others all the time. Try again.")

    def _write(self, block: Block, expected: str | None, reason: str | None, change: str) -> Block:
        return _block_of(
            self._documents.put(
                _name(block.id),
                block.value,
                value={
                    "label": block.label,
                    "limit": block.limit,
                    "description": block.description,
                    "read_only": block.read_only,
                    "metadata": dict(block.metadata),
                    "tags": list(block.tags),
                    "hidden": block.hidden,
                    "change": change,
                },
                expected=expected,
                actor=self._actor,
                reason=reason,
            )
        )

    def _step(self, label: str, by: int, change: str, expected: str | None, reason: str | None) -> Block:
        block = self.get(label)
        _check_expected(block, expected)
        history = self.history(block.id)
        if block.version is None or history[-1].version != block.version:
            history = []
        states, at = stack(history)
        if not 0 <= at + by < len(states):
            raise ParameterError(f"There is nothing to {change} in the block {label!r}. Nothing was changed.")
        wanted = states[at + by]
        if block.id in self._attached_ids()[0]:
            self._check_label_is_free(wanted)
        return self._write(wanted, block.version, reason or change, change)


def _default(agent: str, label: str) -> Block:
    return Block(id=default_id(agent, label), label=label, limit=limit_of(label), description=DEFAULTS.get(label, ""))


def _name(id: str) -> str:
    return f"block/{id}"


def _block_of(document: Document) -> Block:
    said = document.value
    return Block(
        id=document.name.removeprefix("block/"),
        label=said["label"],
        value=document.text,
        limit=said["limit"],
        description=said["description"],
        read_only=said["read_only"],
        metadata=said["metadata"],
        tags=tuple(said["tags"]),
        hidden=said["hidden"],
        version=document.version,
        created_at=document.created_at,
        updated_at=document.updated_at,
    )


def _check_expected(block: Block, expected: str | None) -> None:
    if expected is not None and expected != block.version:
        raise EditConflict(
            f"The block {block.label!r} is at version {block.version!r}, not at {expected!r}. Nothing was changed. "
            "Read it and try again."
        )
