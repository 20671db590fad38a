"""Anthropic's memory tool (`memory_20250818`), kept in Mnemic.

    tool = MnemicMemoryTool(memory.scope("acme/alice"), actor="tutor")
    runner = client.beta.messages.tool_runner(model=..., max_tokens=1024, messages=[...], tools=[tool])

What the commands do is in `mnemic.memory_files`, which needs no SDK; here they are given to the SDK's tool runner. A
refusal reaches the model as a tool result with `is_error`. `tool.files` has what the model is not offered: versions,
restoring, redaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnemic.errors import DependencyMissing, MnemicError, StoreError
from mnemic.integrations.handle import Handle
from mnemic.memory_files import MAX_BYTES, MemoryFiles

try:
    from anthropic.lib.tools import BetaAbstractMemoryTool, BetaAsyncAbstractMemoryTool, ToolError
    from anyio.to_thread import run_sync
except ImportError as error:
    raise DependencyMissing(
        "The memory tool needs the package 'anthropic', with its tool helpers. Install it: pip install 'mnemic[anthropic]'. "
        "Without it, mnemic.memory_files.MemoryFiles answers the same commands."
    ) from error

if TYPE_CHECKING:
    from anthropic.types.beta import (
        BetaCacheControlEphemeralParam,
        BetaMemoryTool20250818CreateCommand,
        BetaMemoryTool20250818DeleteCommand,
        BetaMemoryTool20250818InsertCommand,
        BetaMemoryTool20250818RenameCommand,
        BetaMemoryTool20250818StrReplaceCommand,
        BetaMemoryTool20250818ViewCommand,
    )

__all__ = ["MnemicAsyncMemoryTool", "MnemicMemoryTool"]


class MnemicMemoryTool(BetaAbstractMemoryTool):
    """The memory tool for `Anthropic().beta.messages.tool_runner`.

    actor: who the edits are by, such as the agent's name. max_bytes: how large one file may grow.
    """

    def __init__(
        self,
        handle: Handle,
        *,
        actor: str | None = None,
        max_bytes: int = MAX_BYTES,
        cache_control: BetaCacheControlEphemeralParam | None = None,
    ) -> None:
        super().__init__(cache_control=cache_control)
        self.files = MemoryFiles(handle, actor=actor, max_bytes=max_bytes)

    def call(self, input: object) -> str:
        """Run a command as the model sent it: checked here, since the SDK hands it on unchecked."""
        return _answered(self.files, input)

    def view(self, command: BetaMemoryTool20250818ViewCommand) -> str:
        """A file with numbered lines, or a directory's tree."""
        return _answered(self.files, command.to_dict(warnings=False))

    def create(self, command: BetaMemoryTool20250818CreateCommand) -> str:
        """A new file."""
        return _answered(self.files, command.to_dict(warnings=False))

    def str_replace(self, command: BetaMemoryTool20250818StrReplaceCommand) -> str:
        """Replace text that stands in a file once."""
        return _answered(self.files, command.to_dict(warnings=False))

    def insert(self, command: BetaMemoryTool20250818InsertCommand) -> str:
        """Insert lines behind a line."""
        return _answered(self.files, command.to_dict(warnings=False))

    def delete(self, command: BetaMemoryTool20250818DeleteCommand) -> str:
        """Delete a file or directory."""
        return _answered(self.files, command.to_dict(warnings=False))

    def rename(self, command: BetaMemoryTool20250818RenameCommand) -> str:
        """Rename or move a file or directory."""
        return _answered(self.files, command.to_dict(warnings=False))

    def clear_all_memory(self) -> str:
        """Delete every file; their versions stay."""
        return self.files.clear()


class MnemicAsyncMemoryTool(BetaAsyncAbstractMemoryTool):
    """The same for `AsyncAnthropic`: the commands run in a worker thread, so the event loop never waits for the disk."""

    def __init__(
        self,
        handle: Handle,
        *,
        actor: str | None = None,
        max_bytes: int = MAX_BYTES,
        cache_control: BetaCacheControlEphemeralParam | None = None,
    ) -> None:
        super().__init__(cache_control=cache_control)
        self.files = MemoryFiles(handle, actor=actor, max_bytes=max_bytes)

    async def call(self, input: object) -> str:
        """Run a command as the model sent it: checked here, since the SDK hands it on unchecked."""
        return await _in_thread(self.files, input)

    async def view(self, command: BetaMemoryTool20250818ViewCommand) -> str:
        """A file with numbered lines, or a directory's tree."""
        return await _in_thread(self.files, command.to_dict(warnings=False))

    async def create(self, command: BetaMemoryTool20250818CreateCommand) -> str:
        """A new file."""
        return await _in_thread(self.files, command.to_dict(warnings=False))

    async def str_replace(self, command: BetaMemoryTool20250818StrReplaceCommand) -> str:
        """Replace text that stands in a file once."""
        return await _in_thread(self.files, command.to_dict(warnings=False))

    async def insert(self, command: BetaMemoryTool20250818InsertCommand) -> str:
        """Insert lines behind a line."""
        return await _in_thread(self.files, command.to_dict(warnings=False))

    async def delete(self, command: BetaMemoryTool20250818DeleteCommand) -> str:
        """Delete a file or directory."""
        return await _in_thread(self.files, command.to_dict(warnings=False))

    async def rename(self, command: BetaMemoryTool20250818RenameCommand) -> str:
        """Rename or move a file or directory."""
        return await _in_thread(self.files, command.to_dict(warnings=False))

    async def clear_all_memory(self) -> str:
        """Delete every file; their versions stay."""
        return await run_sync(self.files.clear)


def _answered(files: MemoryFiles, command: object) -> str:
    """The command's answer; what it refuses becomes the tool result that the model sees."""
    try:
        return files.execute(command)
    except StoreError:
        raise  # the model cannot mend a full disk: the runner logs it and tells the model that the tool failed
    except MnemicError as error:
        raise ToolError(str(error)) from error


async def _in_thread(files: MemoryFiles, command: object) -> str:
    return await run_sync(_answered, files, command)
