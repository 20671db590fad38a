"""Write the asyncio doors, `AsyncMemory` and `AsyncClient`, from the signatures of `Memory` and `Client`.

    python tools/make_async.py [--check]

Every public method of the plain class becomes a coroutine of the same name, parameters and docstring that runs it in a
thread. --check writes nothing and fails when a file is not what it would be; a test calls it.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHEAP = {"scope", "system"}  # make a handle and wait for nothing: they stay plain methods
SYNC_ONLY = {"export_lines"}  # gives its answer piece by piece; `export` is the same at once
MEMORY_HEAD = '''"""`Memory` for asyncio: the same verbs, each run in a thread of a small pool.

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
from mnemic.models.budget import Budget
from mnemic.models.llm import LLM
from mnemic.systems.feedback import Verdict
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


CLIENT_HEAD = '''"""`Client` for asyncio: the same verbs, each run in a thread of a small pool.

Made from `client/front.py` by `tools/make_async.py`; change that and run it again. A call that is cancelled is not
waited for any more, but a request that was sent is answered.

    client = AsyncClient("http://127.0.0.1:8700")
    await client.scope("acme/alice").add("I moved to Porto in March.")
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ParamSpec, TextIO, TypeVar

from mnemic.client.connection import Verify
from mnemic.client.front import Client
from mnemic.memory.forget import Receipt
from mnemic.memory.front import CONTEXT_HITS, Episodes, Links, Records, Sessions, Versions
from mnemic.memory.intake import Message, Time
from mnemic.memory.remember import Added
from mnemic.memory.results import Context
from mnemic.memory.transfer import Imported
from mnemic.memory.why_not import WhyNot
from mnemic.model import Episode, Recall
from mnemic.models.llm import LLM
from mnemic.systems.feedback import Verdict
from mnemic.text.tokens import TokenCounter, count_tokens

P = ParamSpec("P")
T = TypeVar("T")
WORKERS = 16  # requests that are under way side by side


class AsyncClient:
    """A memory on a server, for agents that run in an event loop; made like `Client`."""

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout_s: float = 30.0,
        retries: int = 3,
        verify: Verify = True,
    ) -> None:
        """As `Client`."""
        self._client = Client(base_url, api_key, timeout_s=timeout_s, retries=retries, verify=verify)
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="mnemic-client")

    @classmethod
    def _on(cls, client: Client, pool: ThreadPoolExecutor) -> AsyncClient:
        made = cls.__new__(cls)
        made._client, made._pool = client, pool
        return made

    async def _run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, functools.partial(call, *args, **kwargs))

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<Async{repr(self._client)[1:]}"
'''


@dataclass(frozen=True, slots=True)
class Door:
    """A plain class, and the file that its asyncio twin is made into."""

    plain: str
    source: Path
    target: Path
    head: str
    inner: str  # where the twin keeps the plain one
    wrap: str  # what makes a twin of a plain handle and the pool

    @property
    def twin(self) -> str:
        """The name of the class that is made."""
        return f"Async{self.plain}"


DOORS = (
    Door(
        plain="Memory",
        source=ROOT / "src/mnemic/memory/front.py",
        target=ROOT / "src/mnemic/async_memory.py",
        head=MEMORY_HEAD,
        inner="self._memory",
        wrap="AsyncMemory",
    ),
    Door(
        plain="Client",
        source=ROOT / "src/mnemic/client/front.py",
        target=ROOT / "src/mnemic/client/async_client.py",
        head=CLIENT_HEAD,
        inner="self._client",
        wrap="self._on",
    ),
)


def main() -> None:
    for door in DOORS:
        made = formatted(door, door.head + "".join(methods(door)))
        if "--check" not in sys.argv:
            door.target.write_text(made)
        elif door.target.read_text() != made:
            name = door.target.relative_to(ROOT)
            sys.exit(f"{name} is not what the signatures of {door.plain} give. Run: python tools/make_async.py")


def formatted(door: Door, code: str) -> str:
    """The code as ruff would have it."""
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(door.target), "-"]
    return subprocess.run(command, input=code, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def methods(door: Door) -> list[str]:
    """The code of each public method, in the order of the plain class."""
    tree = ast.parse(door.source.read_text())
    plain = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == door.plain)
    made = []
    for node in plain.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and node.name not in SYNC_ONLY:
            made.append(method(door, node))
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
            made.append(f"\n    {ast.unparse(node)}\n")  # remember = add
    return made


def method(door: Door, node: ast.FunctionDef) -> str:
    """One method's code."""
    kinds = {decorator.id for decorator in node.decorator_list if isinstance(decorator, ast.Name)}
    doc = f'        """{ast.get_docstring(node, clean=False)}"""\n'
    returns = ast.unparse(node.returns) if node.returns else "None"
    if "property" in kinds:
        return (
            f"\n    @property\n    def {node.name}(self) -> {returns}:\n{doc}        return {door.inner}.{node.name}\n"
        )
    header = signature(node)
    call = ", ".join([*(argument.arg for argument in node.args.args[1:]), *passed(node)])
    if "classmethod" in kinds:  # open
        return (
            f"\n    @classmethod\n    async def {node.name}({header}) -> {door.twin}:\n{doc}"
            f"        pool = ThreadPoolExecutor(WORKERS, thread_name_prefix='mnemic')\n"
            f"        call = functools.partial({door.plain}.{node.name}, {call})\n"
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
            f"        return await asyncio.to_thread({door.plain}.{node.name}, {static})\n"
        )
    if node.name in CHEAP:
        return (
            f"\n    def {node.name}({header}) -> {door.twin}:\n{doc}"
            f"        return {door.wrap}({door.inner}.{node.name}({call}), self._pool)\n"
        )
    arguments = f"{door.inner}.{node.name}{', ' if call else ''}{call}"
    if returns == door.plain:
        body = f"        return {door.wrap}(await self._run({arguments}), self._pool)\n"
        return f"\n    async def {node.name}({header}) -> {door.twin}:\n{doc}{body}"
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
