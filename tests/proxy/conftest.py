"""A proxy that really listens, before a scripted endpoint, with a memory behind it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from mnemic import Memory
from mnemic.clock import ManualClock
from mnemic.model import Episode
from mnemic.proxy import Proxy, Settings, proxy_app

from .scripted_llm import Asked, ScriptedLLM

if TYPE_CHECKING:
    import openai

Start = Callable[..., "Running"]


class Server:
    """One listening server for all tests, since starting one takes longer than most of them; the app behind it changes."""

    def __init__(self) -> None:
        import openai
        import uvicorn

        self.app: Proxy | None = None
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.client = openai.OpenAI(base_url=f"{self.url}/v1", api_key="client-key", max_retries=0, timeout=20)
        self.loop = asyncio.new_event_loop()
        config = uvicorn.Config(
            self._answer,
            interface="asgi3",
            lifespan="off",
            ws="none",
            log_level="error",
            server_header=False,
            date_header=False,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        assert self.app is not None, "a test has started a proxy"
        await self.app(scope, receive, send)

    def _run(self) -> None:
        self.loop.run_until_complete(self._server.serve(sockets=[self._socket]))
        self.loop.close()

    def wait_for(self, work: Any) -> Any:
        """What a coroutine gives, run where the server runs."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def stop(self) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join(20)
        self._socket.close()


class Running:
    """A proxy that listens, before its endpoint and with its memory."""

    def __init__(self, server: Server, app: Proxy, memory: Memory, llm: ScriptedLLM) -> None:
        self.app, self.memory, self.llm = app, memory, llm
        self.url = server.url
        self._server = server
        server.app = app

    def client(self, **headers: str) -> openai.OpenAI:
        """A client of the proxy that tries everything once."""
        return self._server.client.with_options(default_headers=headers)

    def ask(self, *messages: Any, headers: dict[str, str] | None = None, **more: Any) -> Any:
        """One whole answer; a text is what the user says."""
        return self.client(**(headers or {})).chat.completions.create(
            model="scripted-1", messages=[_message(one) for one in messages], **more
        )

    def settle(self) -> None:
        """Until everything is remembered."""
        self._server.wait_for(self.app.settle())

    def log(self, scope: str = "") -> list[Episode]:
        """What is remembered in a scope."""
        self.settle()
        return self.memory.scope(scope).list(limit=1000)

    def said(self, scope: str = "") -> list[tuple[str, str]]:
        """The same, as roles and texts."""
        return [(one.role, one.text) for one in self.log(scope)]

    @property
    def upstream(self) -> Asked:
        """What reached the endpoint last."""
        return self.llm.requests[-1]

    def stop(self) -> None:
        self._server.wait_for(self.app.aclose())
        self._server.app = None


def _message(one: Any) -> Any:
    return {"role": "user", "content": one} if isinstance(one, str) else one


def assistant(text: str) -> dict[str, Any]:
    """What an assistant said, as a client sends it again."""
    return {"role": "assistant", "content": text}


@pytest.fixture
def llm() -> Iterator[ScriptedLLM]:
    """The endpoint."""
    with ScriptedLLM() as scripted:
        yield scripted


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """What listens."""
    one = Server()
    yield one
    one.stop()


@pytest.fixture
def start(server: Server, llm: ScriptedLLM, memory: Memory, clock: ManualClock) -> Iterator[Start]:
    """Starts a proxy with these settings; stopped when the test ends."""
    running: list[Running] = []

    def start_(*, handle_of: Any = None, **settings: Any) -> Running:
        given = Settings(**{"upstream": llm.base_url} | settings)
        running.append(Running(server, proxy_app(handle_of or memory.scope, settings=given, clock=clock), memory, llm))
        return running[-1]

    yield start_
    for one in running:
        one.stop()


@pytest.fixture
def proxy(start: Start) -> Running:
    """A proxy as it is without any setting."""
    return start()
