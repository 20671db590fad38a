"""The command `proxy`: a memory for every program that speaks the OpenAI protocol."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mnemic.cli.options import DEFAULT_DB, AsJson, Db, Embedder, Scope, open_to_add

if TYPE_CHECKING:
    from mnemic.proxy.settings import Settings

KEY_VARIABLE = "MNEMIC_PROXY_KEY"
PORT = 8377


def proxy(
    upstream: Annotated[
        str | None,
        typer.Option(
            "--upstream",
            envvar="OPENAI_BASE_URL",
            metavar="URL",
            help="Where chats go on to, with the /v1.",
            show_default="https://api.openai.com/v1",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; beyond this machine only with a key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = PORT,
    user: Annotated[
        str | None, typer.Option("--user", metavar="NAME", help="Keep the memory of this user, and of no other.")
    ] = None,
    any_user: Annotated[bool, typer.Option("--any-user", help="With --user: let requests name another.")] = False,
    session: Annotated[
        str | None, typer.Option("--session", metavar="NAME", help="The session of requests that name none.")
    ] = None,
    budget: Annotated[
        int, typer.Option("--budget", metavar="TOKENS", help="The most that memories take of a prompt.")
    ] = 1000,
    min_confidence: Annotated[
        float, typer.Option("--min-confidence", min=0, max=1, help="What is recalled with less is not shown.")
    ] = 0.2,
    recalls: Annotated[bool, typer.Option("--recall/--no-recall", help="Add what is remembered to chats.")] = True,
    remembers: Annotated[bool, typer.Option("--remember/--no-remember", help="Remember chats.")] = True,
    api_key_file: Annotated[
        Path | None,
        typer.Option("--api-key-file", metavar="FILE", help=f"Holds the key clients must show; else ${KEY_VARIABLE}."),
    ] = None,
    own_key: Annotated[
        bool, typer.Option("--own-key", help="Send $OPENAI_API_KEY to the upstream, whatever key a client sends.")
    ] = False,
    db: Db = DEFAULT_DB,
    scope: Scope = "",
    embedder: Embedder = None,
    as_json: AsJson = False,
) -> None:
    """Stand between OpenAI clients and their endpoint: add what is remembered to each chat, and remember it.

    Point a client at it with OPENAI_BASE_URL=http://127.0.0.1:8377/v1. A client's own key goes on to the upstream; where it
    sends none, $OPENAI_API_KEY does. --json prints the settings, and starts nothing.

    \b
    Example: mnemic proxy --db agent.db --user alice
             mnemic proxy --upstream http://localhost:11434/v1
    """
    from mnemic.cli import render
    from mnemic.proxy.settings import OPENAI_URL, Settings

    settings = Settings(
        upstream=upstream or OPENAI_URL,
        upstream_key=os.environ.get("OPENAI_API_KEY") or None,
        is_own_key_first=own_key,
        proxy_key=_proxy_key(api_key_file),
        scope=scope,
        user=user,
        is_any_user=any_user,
        session=session,
        budget_tokens=budget,
        min_confidence=min_confidence,
        is_recalling=recalls,
        is_remembering=remembers,
    )
    _check_place(settings, host, port)
    if as_json:
        render.as_json({"listen": _address(host, port), "path": str(db), **_shown(settings)})
        return
    _serve(settings, host, port, db, embedder)


def _serve(settings: Settings, host: str, port: int, db: Path, embedder: str | None) -> None:
    """Listen until interrupted."""
    import signal
    import sys
    from contextlib import suppress
    from importlib.util import find_spec

    from mnemic.cli import render
    from mnemic.errors import DependencyMissing

    if find_spec("uvicorn") is None or find_spec("httpx") is None:
        raise DependencyMissing('The proxy needs uvicorn and httpx. Install them with: pip install "mnemic[server]"')
    import uvicorn

    from mnemic.proxy import proxy_app
    from mnemic.serve.run import bound

    with (
        bound(host, port) as listening,
        open_to_add(db, "", embedder) as memory,
    ):
        config = uvicorn.Config(
            proxy_app(memory.scope, settings=settings),
            ws="none",
            log_level="warning",
            access_log=False,
            # a client may not say that it is another machine than it is; and the upstream's headers are enough
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=10,
        )
        place = _address(host, listening.getsockname()[1])
        render.note(f"Listening on {place}, before {settings.base}; remembering in {db}. End with Ctrl-C.")
        # uvicorn raises the signal that ended it once more: leave through here, so that the memory is closed
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])


def _proxy_key(file: Path | None) -> str | None:
    """The key in the first line of the file, or in the environment."""
    from mnemic.errors import ParameterError

    if file is None:
        return os.environ.get(KEY_VARIABLE) or None
    lines = file.read_text("utf-8", "replace").splitlines()
    if not lines or not lines[0].strip():
        raise ParameterError(f"The file {file} holds no key. Write one into its first line.")
    return lines[0].strip()


def _check_place(settings: Settings, host: str, port: int) -> None:
    """Refuse to listen for everybody without a key, and to be one's own upstream."""
    from urllib.parse import urlsplit

    from mnemic.errors import ParameterError
    from mnemic.proxy.http import is_loopback

    if settings.proxy_key is None and not is_loopback(host):
        raise ParameterError(
            f"Listening on {host} lets other machines in. Give the key they must show: --api-key-file FILE, or ${KEY_VARIABLE}."
        )
    ahead = urlsplit(settings.base)
    if ahead.port == port and (ahead.hostname == host or (is_loopback(host) and is_loopback(ahead.hostname or ""))):
        raise ParameterError(
            f"The upstream {settings.base} is this proxy itself. Give --upstream; OPENAI_BASE_URL is for its clients here."
        )


def _address(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"


def _shown(settings: Settings) -> dict[str, Any]:
    """The settings without their secrets."""
    from dataclasses import asdict

    values = asdict(settings)
    values["has_proxy_key"] = values.pop("proxy_key") is not None
    values["has_upstream_key"] = values.pop("upstream_key") is not None
    return values


COMMANDS = (proxy,)
