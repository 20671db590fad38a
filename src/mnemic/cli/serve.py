"""The command `serve`: the server over a data folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mnemic.cli.options import AsJson

Data = Annotated[
    Path,
    typer.Option(
        "--data", envvar="MNEMIC_DATA", metavar="FOLDER", help="The server's folder.", show_default="mnemic-data"
    ),
]
DEFAULT_DATA = Path("mnemic-data")


def serve(
    data: Data = DEFAULT_DATA,
    host: Annotated[
        str, typer.Option("--host", envvar="MNEMIC_HOST", help="Where to listen; beyond this machine only with keys.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", envvar="MNEMIC_PORT", min=0, max=65535, help="0 takes a free one.")
    ] = 8700,
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", metavar="FILE", help="A certificate with its chain, PEM.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="Its key, PEM.")] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="A name that the server is reached by; may be repeated."),
    ] = None,
    embedder: Annotated[
        str | None,
        typer.Option(
            "--embedder",
            envvar="MNEMIC_EMBEDDER",
            metavar="NAME",
            help="Of new tenants: minilm, hashing, openai:MODEL, sentence-transformers:NAME. Others keep theirs.",
            show_default="minilm, else hashing",
        ),
    ] = None,
    max_open_tenants: Annotated[
        int, typer.Option("--max-open-tenants", min=1, help="Files of tenants that are open at once.")
    ] = 64,
    index_memory_mb: Annotated[
        int, typer.Option("--index-memory-mb", min=1, help="What the indexes of all tenants may take.")
    ] = 512,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Requests that are worked on side by side.")] = 8,
    rate: Annotated[
        float | None,
        typer.Option("--rate", metavar="N", help="Requests a second for each key.", show_default="no limit"),
    ] = None,
    burst: Annotated[int, typer.Option("--burst", min=1, help="Requests that a quiet key may send at once.")] = 50,
    max_body_mb: Annotated[float, typer.Option("--max-body-mb", help="The largest request.")] = 16.0,
    max_import_mb: Annotated[float, typer.Option("--max-import-mb", help="The largest file to import.")] = 512.0,
    consolidate_after: Annotated[
        float,
        typer.Option(
            "--consolidate-after",
            metavar="SECONDS",
            min=0,
            help="Quiet time after a write before attached systems do their work; 0: when asked to.",
        ),
    ] = 60.0,
    log_format: Annotated[
        str,
        typer.Option(
            "--log-format", envvar="MNEMIC_LOG_FORMAT", metavar="text|json", help="How a line of the log looks."
        ),
    ] = "text",
    verbose: Annotated[bool, typer.Option("--verbose", help="Log health checks and the HTTP server too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Serve memories over HTTP: REST under /v1, MCP under /mcp, and an inspector at /, for many tenants and keys.

    Each tenant, the first segment of a scope, has a file of its own in the folder. Without a key only this machine is let
    in; `mnemic keys create` makes one. Ctrl-C or SIGTERM ends it gracefully. --json prints the settings and starts nothing.

    \b
    Example: mnemic serve --data mnemic-data
             mnemic serve --data /srv/mnemic --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem
    """
    from mnemic.cli import render
    from mnemic.serve.settings import Settings

    settings = Settings(
        data=data,
        host=host,
        port=port,
        embedder=embedder,
        max_open_tenants=max_open_tenants,
        index_memory_mb=index_memory_mb,
        threads=threads,
        max_body_mb=max_body_mb,
        max_import_mb=max_import_mb,
        rate_per_s=rate,
        burst=burst,
        tls_cert=tls_cert,
        tls_key=tls_key,
        allow_hosts=tuple(allow_host or ()),
        consolidate_after_s=consolidate_after or None,
    )
    lines = _checked(log_format)
    if as_json:
        render.as_json(_shown(settings))
        return
    from mnemic.serve.run import serve as run

    run(settings, log_format=lines, verbose=verbose)


def _checked(log_format: str) -> Literal["text", "json"]:
    from mnemic.errors import ParameterError

    if log_format not in ("text", "json"):
        raise ParameterError(f"--log-format {log_format!r}: give text or json.")
    return "json" if log_format == "json" else "text"


def _shown(settings: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(settings)


COMMANDS = (serve,)
