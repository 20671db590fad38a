"""Write src/mnemic/async_memory.py from the signatures of `Memory`, so that both have the same verbs.

    python tools/make_async.py [--check]

Every public method of `Memory` becomes a coroutine of the same name, parameters and docstring that runs it in a thread.
--check writes nothing and fails when the file is not what it would be; a test calls it.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src/mnemic/memory/front.py"
TARGET = ROOT / "src/mnemic/async_memory.py"
CHEAP = {"scope", "system"}  # make a handle and wait for nothing: they stay plain methods
SYNC_ONLY = {"export_lines"}  # gives its answer piece by piece; `export` is the same at once
HEAD = '''"""`Memory` for asyncio: the same verbs, each run in a thread of a small pool.

Made from `memory/front.py` by `tools/make_async.py`; change that and run it again. A call that is cancelled is not
waited for any more, but a write that has begun is finished.

    memory = await AsyncMemory.open("agent.db")
    await memory.scope("acme/alice").add("I moved to Porto in March.")
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, ParamSpec, TextIO, TypeVar

from mnemic.clock import Clock
from mnemic.memory.forget import Receipt
from mnemic.memory.front import CONTEXT_HITS, Embeds, Episodes, Links, Memory, Paths, Records, Sessions, Versions
from mnemic.memory.intake import Message, Time
from mnemic.memory.remember import Added
from mnemic.memory.results import Context
from mnemic.memory.transfer import Imported
from mnemic.memory.why_not import WhyNot
from mnemic.model import Episode, Recall
from mnemic.text.tokens import TokenCounter, count_tokens

P = ParamSpec("P")
T = TypeVar("T")
WORKERS = 8  # searches that run side by side; writes share commits, whatever their number


class AsyncMemory:
    """A memory for agents that run in an event loop. Made with `await AsyncMemory.open(...)`."""

    def __init__(self, memory: Memory, pool: ThreadPoolExecutor) -> None:
        self._memory = memory
        self._pool = pool

    async def _run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, functools.partial(call, *args, **kwargs))

    async def __aenter__(self) -> AsyncMemory:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<Async{repr(self._memory)[1:]}"
'''


def main() -> None:
    made = formatted(HEAD + "".join(methods()))
    if "--check" not in sys.argv:
        TARGET.write_text(made)
    elif TARGET.read_text() != made:
        sys.exit("src/mnemic/async_memory.py is not what Memory's signatures give. Run: python tools/make_async.py")


def formatted(code: str) -> str:
    """The code as ruff would have it."""
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(TARGET), "-"]
    return subprocess.run(command, input=code, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def methods() -> list[str]:
    """The code of each public method, in the order of `Memory`."""
    tree = ast.parse(SOURCE.read_text())
    memory = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Memory")
    made = []
    for node in memory.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and node.name not in SYNC_ONLY:
            made.append(method(node))
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
            made.append(f"\n    {ast.unparse(node)}\n")  # remember = add
    return made


def method(node: ast.FunctionDef) -> str:
    """One method's code."""
    kinds = {decorator.id for decorator in node.decorator_list if isinstance(decorator, ast.Name)}
    doc = f'        """{ast.get_docstring(node, clean=False)}"""\n'
    returns = ast.unparse(node.returns) if node.returns else "None"
    if "property" in kinds:
        return (
            f"\n    @property\n    def {node.name}(self) -> {returns}:\n{doc}        return self._memory.{node.name}\n"
        )
    header = signature(node)
    call = ", ".join([*(argument.arg for argument in node.args.args[1:]), *passed(node)])
    if "classmethod" in kinds:  # open
        return (
            f"\n    @classmethod\n    async def {node.name}({header}) -> AsyncMemory:\n{doc}"
            f"        pool = ThreadPoolExecutor(WORKERS, thread_name_prefix='mnemic')\n"
            f"        call = functools.partial(Memory.{node.name}, {call})\n"
            f"        try:\n"
            f"            return cls(await asyncio.get_running_loop().run_in_executor(pool, call), pool)\n"
            f"        except BaseException:\n"
            f"            pool.shutdown(wait=False)\n"
            f"            raise\n"
        )
    if "staticmethod" in kinds:
        static = ", ".join([*(argument.arg for argument in node.args.args), *passed(node)])
        return (
            f"\n    @staticmethod\n    async def {node.name}({header}) -> {returns}:\n{doc}"
            f"        return await asyncio.to_thread(Memory.{node.name}, {static})\n"
        )
    if node.name in CHEAP:
        return (
            f"\n    def {node.name}({header}) -> AsyncMemory:\n{doc}"
            f"        return AsyncMemory(self._memory.{node.name}({call}), self._pool)\n"
        )
    arguments = f"self._memory.{node.name}{', ' if call else ''}{call}"
    if returns == "Memory":
        body = f"        return AsyncMemory(await self._run({arguments}), self._pool)\n"
        return f"\n    async def {node.name}({header}) -> AsyncMemory:\n{doc}{body}"
    body = f"        return await self._run({arguments})\n"
    if node.name == "close":
        body = f"        await self._run({arguments})\n        self._pool.shutdown(wait=False)\n"
    return f"\n    async def {node.name}({header}) -> {returns}:\n{doc}{body}"


def signature(node: ast.FunctionDef) -> str:
    """The parameters as they are written."""
    return ast.unparse(node.args)


def passed(node: ast.FunctionDef) -> list[str]:
    """Keyword parameters, handed on by name."""
    names = [f"{argument.arg}={argument.arg}" for argument in node.args.kwonlyargs]
    return [*names, f"**{node.args.kwarg.arg}"] if node.args.kwarg else names


if __name__ == "__main__":
    main()
